"""``kinbench train``, ``pretrain``, ``finetune`` and ``search``: what a model learns before, or outside, any test."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import kinbench
from kinbench.cli import display
from kinbench.cli.app import Data, Device, Json, Quiet, app
from kinbench.cli.models import Force, Stores, TaskName, To

Model = Annotated[
    str, typer.Option("--model", "-m", metavar="NAME", help="Model, e.g. 'ridge' or 'my-lstm[hidden=64]@WEIGHTS'.")
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Seed.")]


@app.command(epilog="Example: kinbench train --task knee-pair --model ridge calgary --to knee-weights")
def train(
    stores: Stores,
    task: TaskName,
    model: Model,
    to: To,
    seed: Seed = 0,
    device: Device = "cpu",
    force: Force = False,
    data: Data = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit a model on everybody in some stores and keep its weights, for 'kinbench predict'."""
    with display.progress("train", quiet) as bar:
        weights = kinbench.train(
            task, model, stores, to, seed=seed, device=device, force=force, data=data, on_progress=bar
        )
    _show(weights, json)


@app.command(epilog="Example: kinbench pretrain --task lower-body --model ssl-transformer amass movi --to encoder")
def pretrain(
    stores: Stores,
    task: TaskName,
    model: Model,
    to: To,
    like: Annotated[
        str | None,
        typer.Option(
            "--like", metavar="STORE", help="Draw stores by how much their inputs look like those of this one."
        ),
    ] = None,
    seed: Seed = 0,
    device: Device = "cpu",
    force: Force = False,
    data: Data = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Let a model learn what inputs look like; no store needs a reference. Goes on with finetune or run."""
    with display.progress("pretrain", quiet) as bar:
        card = kinbench.pretrain(
            task, model, stores, to, like=like, seed=seed, device=device, force=force, data=data, on_progress=bar
        )
    display.show_json(card) if json else display.show(_pretrained(card))


@app.command(epilog="Example: kinbench finetune encoder my-lab --task lower-body --to my-weights")
def finetune(
    weights: Annotated[str, typer.Argument(help="Weights to go on from: a folder, or offered ones by name.")],
    stores: Stores,
    task: TaskName,
    to: To,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="NAME", help="The model: other settings, or of weights without card."),
    ] = None,
    seed: Seed = 0,
    device: Device = "cpu",
    force: Force = False,
    data: Data = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Go on from weights with the answers of some stores, and keep what comes of it."""
    with display.progress("finetune", quiet) as bar:
        tuned = kinbench.finetune(
            task, weights, stores, to, model=model, seed=seed, device=device, force=force, data=data, on_progress=bar
        )
    _show(tuned, json)


@app.command(epilog="Example: kinbench search my-lstm calgary --task knee-pair --trials 50 --to knee-search")
def search(
    model: Annotated[str, typer.Argument(help="Model; settings given here are kept, e.g. 'my-lstm[hidden=64]'.")],
    stores: Stores,
    task: TaskName,
    trials: Annotated[int, typer.Option("--trials", metavar="N", min=1, help="How many settings to try in all.")],
    to: Annotated[
        Path, typer.Option("--to", metavar="DIR", help="Folder for search.json; asked for more trials, it goes on.")
    ],
    seed: Seed = 0,
    device: Device = "cpu",
    force: Annotated[bool, typer.Option("--force", help="Begin anew, whatever search is there.")] = False,
    data: Data = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Search a model's settings on validation persons; 'kinbench run --search' takes the best (extra 'search')."""
    with display.progress("search", quiet) as bar:
        found = kinbench.search(
            task, model, stores, to, trials=trials, seed=seed, device=device, force=force, data=data, on_progress=bar
        )
    if json:
        display.show_json({"file": str(found.path), "sha256": found.sha256, **found.plain})
    else:
        display.show(_searched(found))


def _show(weights: Any, json: bool) -> None:
    display.show_json({"folder": str(weights.folder), **weights.card}) if json else display.show(_told(weights))


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


def _pretrained(card: Any) -> str:
    """Return the card of pre-trained weights for a person: on whom, on how much, in which shares."""
    lines = [f"{name}: {len(persons)} people" for name, persons in card["persons"].items()]
    if card["like"] is not None:
        like = card["like"]
        lines += [
            f"{name}: {100 * share:.1f} % of the draws, {like['distance_db'][name]:.1f} dB from {like['store']}"
            for name, share in like["share"].items()
        ]
    lines += [f"note: {note}" for note in card["model"]["notes"]]
    windows = card["windows"]
    return "\n".join([
        *lines,
        f"{card['model']['selector']} for {card['task']['name']}, pre-trained on {windows['pre-training']} windows and "
        f"watched on {windows['validation']}, in {card['folder']}",
    ])  # fmt: skip


def _searched(found: Any) -> str:
    """Return a search for a person: every trial, the best one, and how to run it."""
    plain = found.plain
    rows = [
        {
            "trial": trial["number"], **{name: f"{value}" for name, value in trial["settings"].items()},
            f"RMSE ({plain['unit']})": "-" if trial["score"] is None else f"{trial['score']:.3f}",
            "seconds": f"{trial['seconds']:.1f}",
        }
        for trial in plain["trials"]
    ]  # fmt: skip
    failed = [f"trial {trial['number']} failed: {trial['reason']}" for trial in plain["trials"] if trial["reason"]]
    persons = {role: len(names) for role, names in plain["persons"].items()}
    return "\n".join([
        display.columns(rows, list(rows[0])), *failed,
        f"best of {found.trials}: {found.selector}, {plain['best']['score']:.3f} {plain['unit']} on "
        f"{persons['validation']} validation people, which is no test; run it with: kinbench run --search {found.path}",
    ])  # fmt: skip
