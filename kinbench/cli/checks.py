"""``kinbench check``: proof that a model or a protocol keeps its promises, and that the guards are awake."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import kinbench
from kinbench.cli import display
from kinbench.cli.app import Data, Json, Names, Quiet, Results, app

check = typer.Typer(
    name="check",
    help="Put a model, a protocol, or the leak guards themselves, to the test.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
app.add_typer(check)

_COLUMNS = {
    "protocol": "protocol", "task": "task", "dataset": "dataset", "folds": "folds", "persons": "persons",
    "embargo (s)": "embargo_s", "leaks": "leaks", "digest": "digest",
}  # fmt: skip


@check.command(epilog="Example: kinbench check protocol ug    or: kinbench check protocol my-split --dataset my-lab")
def protocol(
    name: Annotated[
        list[str] | None, typer.Argument(help="Protocols ('kinbench list protocols'). Default: all.")
    ] = None,
    task: Annotated[
        Names, typer.Option("--task", "-t", metavar="NAME", help="Task; repeatable. Default: all that apply.")
    ] = None,
    dataset: Annotated[
        Names, typer.Option("--dataset", "-d", metavar="NAME", help="Dataset; repeatable. Default: all.")
    ] = None,
    data: Data = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Try what a protocol promises on made-up people, and the leak check on every fold of your stores.

    Exits 1 where a promise is broken, folds are unsound or something leaks.
    """
    with display.progress("check", quiet) as bar:
        done = kinbench.check_protocol(name or None, tasks=task, datasets=dataset, data=data, on_progress=bar)
    display.show_json(done.to_json()) if json else display.show(_told(done))
    if not done.ok:
        raise typer.Exit(1)


@check.command(epilog="Example: kinbench check model ridge    or: kinbench check model my-lstm --task knee-pair")
def model(
    name: Annotated[str, typer.Argument(help="Model, e.g. 'ridge' or 'my-lstm[hidden=64]' ('kinbench list models').")],
    task: Annotated[
        str | None, typer.Option("--task", "-t", metavar="NAME", help="Try it on this task. Default: two small ones.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="With --task: on people of the stores in this folder.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Try what a model promises, plant answers where it must not reach, and measure how far it looks ahead.

    A line for each promise: kept, broken (with the sentence) or not applicable. Exits 1 where one is broken.
    """
    with display.progress("check", quiet) as bar:
        done = kinbench.check_model(name, task=task, data=data, on_progress=bar)
    display.show_json(done.to_json()) if json else display.show(done.text())
    if not done.ok:
        raise typer.Exit(1)


@check.command(epilog="Example: kinbench check results --results results")
def results(results: Results = None, json: Json = False, quiet: Quiet = False) -> None:
    """Tell what of the results was chosen, left out, or tried again on the same test view.

    Exits 1 where seeds or people are missing; that a model has several variants is only told.
    """
    found = kinbench.check_results(results=results)
    if json:
        display.show_json([finding.to_json() for finding in found])
    else:
        for finding in found:
            display.show(finding.sentence)
        partial = sum(finding.kind != "openings" for finding in found)
        display.say(f"{partial} tables partial, {len(found) - partial} told", quiet)
    if any(finding.kind != "openings" for finding in found):
        raise typer.Exit(1)


@check.command(epilog="Example: kinbench check guards")
def guards(json: Json = False, quiet: Quiet = False) -> None:
    """Plant every leak we know of, and show the sentence that refuses it.

    Exits 1 where one passes.
    """
    with display.progress("guards", quiet) as bar:
        caught = kinbench.check_guards(on_progress=bar)
    if json:
        display.show_json([row.to_json() for row in caught])
    else:
        for row in caught:
            display.show(f"{row.name}: {row.leak}\n  guard: {row.guard}\n  {row.sentence or 'NOT CAUGHT'}")
        display.show(f"{sum(row.caught for row in caught)} of {len(caught)} planted leaks caught")
    if not all(row.caught for row in caught):
        raise typer.Exit(1)


def _told(done: Any) -> str:
    """Return a check for a person: promises, a table of what was checked, every refusal."""
    lines = [
        f"{name}: {done.broken.get(name, 'keeps its promises on made-up cohorts of 1, 2, 5 and 13 people')}"
        for name in done.protocols
    ]
    checked = [row for row in done.rows if row.folds]
    if checked:
        rows = [{**row.to_json(), "leaks": len(row.leaks), "digest": row.digest[:12]} for row in checked]
        table = [{shown: row[name] for shown, name in _COLUMNS.items()} for row in rows]
        lines += ["", display.columns(table, list(_COLUMNS)), ""]
    lines += [
        f"not applicable: {row.protocol} · {row.task} · {row.dataset}: {row.reason}" for row in done.rows if row.reason
    ]
    lines += [
        f"{name} declares, and is let through: {', '.join(kinds)}"
        for name, kinds in {row.protocol: row.declared for row in checked if row.declared}.items()
    ]
    lines += [f"FLAW  {sentence}" for sentence in done.flaws]
    lines += [f"LEAK  {sentence}" for sentence in done.leaks]
    folds = sum(row.folds for row in checked)
    where = f"{folds} folds checked" if checked else "no store to check folds on; make one with 'kinbench convert'"
    counts = f"{len(done.leaks)} leaks, {len(done.flaws)} flaws, {len(done.broken)} promises broken"
    return "\n".join([*lines, f"{where}, {counts}"])
