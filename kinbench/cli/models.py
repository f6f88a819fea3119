"""The commands for people who train elsewhere, and for people who only want angles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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


@app.command(epilog="Example: kinbench predict my-lab --weights knee-weights --to angles --format mot")
def predict(
    store: Annotated[str, typer.Argument(help="A store: its path, or its name in the data folder.")],
    weights: Annotated[
        str, typer.Option("--weights", metavar="DIR", help="Folder of 'kinbench train', or offered weights by name.")
    ],
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
