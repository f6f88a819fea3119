"""The commands for people who train elsewhere, and for people who only want angles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import kinbench
from kinbench.cli import display
from kinbench.cli.app import Data, Json, Names, Quiet, app

Stores = Annotated[list[str], typer.Argument(help="Stores: their paths, or their names in the data folder.")]
TaskName = Annotated[str, typer.Option("--task", "-t", metavar="NAME", help="Task ('kinbench list tasks').")]
To = Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder to write; it must be new or empty.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a folder that the same command wrote before.")]


@app.command(epilog="Example: kinbench export --task knee-pair calgary --to knee-pair --protocol ug")
def export(
    stores: Stores,
    task: TaskName,
    to: To,
    format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="npz (windows), csv or folders (every sample).")
    ] = "npz",
    protocol: Annotated[
        Names, typer.Option("--protocol", "-p", metavar="NAME", help="Also write this protocol's folds; repeatable.")
    ] = None,
    force: Force = False,
    data: Data = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a task's data for people who train elsewhere: arrays, tables or folders, and the fixed folds."""
    with display.progress("export", quiet) as bar:
        done = kinbench.export(
            task, stores, to, format=format, protocols=protocol, force=force, data=data, on_progress=bar
        )
    display.show_json(done.to_json()) if json else display.show(done.text())


@app.command(epilog="Example: kinbench train --task knee-pair --model ridge calgary --to knee-weights")
def train(
    stores: Stores,
    task: TaskName,
    model: Annotated[str, typer.Option("--model", "-m", metavar="NAME", help="Model, e.g. 'ridge'.")],
    to: To,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed.")] = 0,
    force: Force = False,
    data: Data = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit a model on everybody in some stores and keep its weights, for 'kinbench predict'."""
    with display.progress("train", quiet) as bar:
        weights = kinbench.train(task, model, stores, to, seed=seed, force=force, data=data, on_progress=bar)
    display.show_json({"folder": str(weights.folder), **weights.card}) if json else display.show(_told(weights))


@app.command(epilog="Example: kinbench predict my-lab --weights knee-weights --to angles --format mot")
def predict(
    store: Annotated[str, typer.Argument(help="A store: its path, or its name in the data folder.")],
    weights: Annotated[Path, typer.Option("--weights", metavar="DIR", help="Folder that 'kinbench train' wrote.")],
    to: To,
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="NAME", help="The model, to make sure it is this one.")
    ] = None,
    format: Annotated[str, typer.Option("--format", metavar="NAME", help="mot (OpenSim) or csv.")] = "mot",
    keep_still: Annotated[
        bool, typer.Option("--keep-still", help="In a .mot, also rows of a person at rest, whom no model is fitted on.")
    ] = False,
    force: Force = False,
    data: Data = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the joint angles of every recording of a store; it needs no reference."""
    with display.progress("predict", quiet) as bar:
        done = kinbench.predict(
            store, weights, to, model=model, format=format, keep_still=keep_still, force=force, data=data,
            on_progress=bar,
        )  # fmt: skip
    display.show_json(done.to_json()) if json else display.show(done.text())


def _told(weights: Any) -> str:
    """Return fitted weights for a person: on whom, and how well on whoever stopped the fit."""
    from kinbench.metrics import UNITS  # brings numpy, which no help text needs

    card, unit = weights.card, UNITS[weights.task.quantity]
    lines = [f"{name}: {', '.join(persons)}" for name, persons in card["persons"].items() if persons]
    lines += [
        f"{row['dof']} of {row['person']}: RMSE {row['rmse']:.2f} {unit} on validation, which is no test"
        for row in card["validation"]
    ]
    windows = card["windows"]
    return "\n".join([
        *lines,
        f"{weights.selector} for {weights.task.name}, fitted on {windows['fit']} windows and stopped on "
        f"{windows['validation']}, in {weights.folder}",
    ])  # fmt: skip
