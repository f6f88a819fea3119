"""``kinbench new``: something of one's own to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import kinbench
from kinbench.cli import display
from kinbench.cli.app import Json, Quiet, app

new = typer.Typer(
    name="new",
    help="Write a package to begin with: a model of your own.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
app.add_typer(new)


@new.command(epilog="Example: kinbench new model my-lstm")
def model(
    name: Annotated[str, typer.Argument(help="Name of the model: lower-case letters, digits, hyphens.")],
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Folder to write, new or empty. Default: NAME.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write an installable package with a small LSTM that keeps every promise of a model; change it from there."""
    written = kinbench.new_model(name, to)
    if json:
        display.show_json(written.to_json())
    else:
        display.show(str(written.folder) if quiet else written.text())
