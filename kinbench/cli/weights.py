"""``kinbench weights``: trained models that somebody offers, what they are, and how they come here."""

from __future__ import annotations

from typing import Annotated

import typer

import kinbench
from kinbench.cli import display
from kinbench.cli.app import Data, Json, Quiet, app

weights = typer.Typer(
    name="weights",
    help="List and fetch trained models; 'kinbench run -m model@NAME' and 'kinbench predict --weights NAME' take them.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
app.add_typer(weights)


@weights.command(name="list", epilog="Example: kinbench weights list")
def list_(data: Data = None, json: Json = False, quiet: Quiet = False) -> None:
    """List the weights that installed packages offer: of which model, for which task, trained on how many people."""
    found = [row.to_json() for row in kinbench.weights(data=data)]
    if json:
        display.show_json(found)
        return
    rows = [
        {**row, "people": len(row["persons"]), "here": "yes" if row["folder"] or row["shipped"] else "no"}
        for row in found
    ]
    names = ["name", "version", "model", "task", "people", "licence", "here", "title"]
    display.show(display.columns(rows, names) if rows else "No installed package offers any weights.")


@weights.command(epilog="Example: kinbench weights fetch tan2024-demo")
def fetch(
    name: Annotated[str, typer.Argument(help="Weights ('kinbench weights list').")],
    data: Data = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Bring offered weights here, each file checked against its hash, and tell their folder."""
    with display.progress("fetch", quiet, in_bytes=True) as bar:
        folder = kinbench.fetch_weights(name, data=data, on_progress=bar)
    display.show_json({"name": name, "folder": str(folder)}) if json else display.show(str(folder))
