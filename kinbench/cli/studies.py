"""``kinbench study`` and ``kinbench plot``: what results say to a question, and a figure of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import kinbench
from kinbench.cli import display
from kinbench.cli.app import Data, Json, Names, Quiet, Results, app

_NAMES = (
    "A study protocol or its family (few-shot, learning-curve, sensor-subsets, placement-stress, cross-dataset), or "
    "compare, slices, agreement, cycles for any protocol, or finetuning for those that tune."
)
Name = Annotated[str, typer.Argument(help=_NAMES)]
Protocol = Annotated[
    Names, typer.Option("--protocol", "-p", metavar="NAME", help="With compare, slices, agreement, cycles; repeatable.")
]
Task = Annotated[Names, typer.Option("--task", "-t", metavar="NAME", help="Task; repeatable. Default: all.")]
Dataset = Annotated[Names, typer.Option("--dataset", "-d", metavar="NAME", help="Dataset; repeatable. Default: all.")]
Model = Annotated[Names, typer.Option("--model", "-m", metavar="NAME", help="Model; repeatable. Default: all.")]
Variant = Annotated[
    str | None, typer.Option("--variant", metavar="TEXT", help="Only answers with this text in their title.")
]
Metric = Annotated[str, typer.Option("--metric", metavar="NAME", help="What errors are told in.")]
Target = Annotated[
    float | None, typer.Option("--target", metavar="X", help="learning-curve: the error that persons are counted for.")
]
Margin = Annotated[
    float | None, typer.Option("--margin", metavar="X", help="How far apart two errors may be and count as the same.")
]


@app.command(epilog="Example: kinbench study learning-curve --task knee-pair --target 5")
def study(
    name: Name,
    protocol: Protocol = None,
    task: Task = None,
    dataset: Dataset = None,
    model: Model = None,
    variant: Variant = None,
    metric: Metric = "rmse",
    target: Target = None,
    margin: Margin = None,
    distances: Annotated[
        bool, typer.Option("--distances", help="cross-dataset: hold the loss against how far the stores lie apart.")
    ] = False,
    write: Annotated[
        Path | None,
        typer.Option("--write", metavar="DIR", help="Also write text and tables (CSV, JSON) into this folder."),
    ] = None,
    data: Data = None,
    results: Results = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Answer a study's question from results: sentences and tables, with intervals and what cannot be told."""
    asked = _asked(protocol, task, dataset, model, variant, metric, target, margin, data, results)
    found = kinbench.study(name, **asked, distances=distances)
    if write is not None:
        for path in found.write(write):
            display.say(f"wrote {path}", quiet)
    display.show_json(found.to_json()) if json else display.show(found.text())


@app.command(epilog="Example: kinbench plot few-shot --task knee-pair --to few-shot.pdf")
def plot(
    name: Name,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Where to: a name that ends in .svg, .pdf or .png.")],
    figure: Annotated[
        str | None, typer.Option("--figure", metavar="NAME", help="Which figure, where a study has several.")
    ] = None,
    protocol: Protocol = None,
    task: Task = None,
    dataset: Dataset = None,
    model: Model = None,
    variant: Variant = None,
    metric: Metric = "rmse",
    target: Target = None,
    margin: Margin = None,
    data: Data = None,
    results: Results = None,
) -> None:
    """Draw a study's figure as a paper prints it (needs the extra 'pages')."""
    asked = _asked(protocol, task, dataset, model, variant, metric, target, margin, data, results)
    display.show(f"wrote {kinbench.plot(name, to, figure=figure, **asked)}")


def _asked(
    protocol: Names, task: Names, dataset: Names, model: Names, variant: str | None, metric: str, target: float | None,
    margin: float | None, data: Path | None, results: Path | None,
) -> dict[str, Any]:  # fmt: skip
    return {
        "protocols": protocol, "tasks": task, "datasets": dataset, "models": model, "variant": variant,
        "metric": metric, "target": target, "margin": margin, "data": data, "results": results,
    }  # fmt: skip
