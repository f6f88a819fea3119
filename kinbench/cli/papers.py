"""``kinbench papers``: what was published beside what was measured here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import kinbench
from kinbench.cli import display
from kinbench.cli.app import Json, Quiet, Results, app


@app.command(epilog="Example: kinbench papers rapp-2021 --results results --write papers/")
def papers(
    name: Annotated[
        list[str] | None, typer.Argument(help="Papers ('kinbench list papers'). Default: all.")
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--write", metavar="DIR", help="Also write papers.md and papers.json into it.")
    ] = None,
    results: Results = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Typeset the field's published tables beside your results, and say what became of the papers' claims."""
    found = kinbench.papers(name or None, results=results)
    if write is not None:
        for path in found.write(write):
            display.say(f"wrote {path}", quiet)
    display.show_json(found.to_json()) if json else display.show(found.text())
