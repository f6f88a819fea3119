"""One table: its frames, the words that say what its numbers mean, and its text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import fill
from typing import Any

import pandas as pd
from tabulate import tabulate

DASH = "–"
WIDTH = 110
"""Columns of a caption in a terminal."""
CEILING = "Ceiling, not a result: each model with every person's mean error of each angle told to it, never ranked"
MARK = "‡"
WHOLE = f"{MARK} estimates from the whole recording's inputs, later ones too."
SIMULATION = "SIMULATION: these scores come from simulated people and say nothing about real ones."


@dataclass(frozen=True)
class Table:
    """The models under one protocol and task, on one dataset or, in a transfer matrix, on pairs of them.

    ``overall`` has one row per model (and pair), ``per_dof`` one per model and DoF (and pair); values in the units that
    ``units`` gives by metric, missing ones NaN. ``persons`` are the columns of values per person, there below 3
    persons only. ``conditions`` are the columns that set the rows of a study apart. ``matrices`` holds, for a transfer
    table, one (train, test) frame per (model, metric), and ``marks`` what stands beside its values. ``failures`` lists
    the cells without a score. ``ceilings``, on demand, are what no model can know: its error with the test offset gone.
    ``whole`` are the models that estimate from whole recordings, which have a mark wherever they are named in a text.
    """

    title: str
    caption: str
    protocol: str
    task: str
    dataset: str
    metrics: tuple[str, ...]
    units: Mapping[str, str]
    overall: pd.DataFrame
    per_dof: pd.DataFrame
    failures: pd.DataFrame
    persons: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    matrices: Mapping[tuple[str, str], pd.DataFrame] = field(default_factory=dict)
    marks: pd.DataFrame | None = None
    simulation: bool = False
    ceilings: pd.DataFrame | None = None
    whole: frozenset[str] = frozenset()

    def text(self) -> str:
        """Return the table for a terminal."""
        parts = self._parts("simple", "{}", lambda text: f"{text}\n{'=' * len(text)}", str)
        return "\n\n".join(
            fill(part, WIDTH, break_on_hyphens=False) if part == self.caption else part for part in parts
        )

    def markdown(self) -> str:
        """Return the table as Markdown."""
        return "\n\n".join(self._parts("pipe", "**{}**", lambda text: f"## {escape(text)}", escape))

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def _parts(self, style: str, heading: str, title: Any, clean: Any) -> list[str]:
        parts = [title(self.title)]
        if self.simulation:
            parts.append(SIMULATION)
        for (model, metric), matrix in self.matrices.items():
            name = marked(model, self.whole)
            parts.append(heading.format(clean(f"{name}: {self._head(metric)}, rows train, columns test")))
            parts.append(draw(self._matrix(matrix), style, clean))
        parts.append(draw(self._readable(self.overall), style, clean))
        if self.per_dof["dof"].nunique() > 1:
            parts += [heading.format("Per degree of freedom"), draw(self._readable(self.per_dof), style, clean)]
        if self.ceilings is not None:
            parts += [heading.format(clean(CEILING)), draw(self._told(self.ceilings), style, clean)]
        parts.append(clean(self.caption))
        if len(self.failures):
            parts += [heading.format("Not scored"), draw(self.failures.astype(str), style, clean)]
        return parts

    def _readable(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return a frame of texts: mean ± SD in one column, the interval in another, dashes for what is missing."""
        shown = {}
        for name in ("rank", *self.conditions, "model", "train", "test", "dof"):
            if name in frame:
                shown[name] = [number(value, 0) if name == "rank" else _said(value) for value in frame[name]]
        shown["model"] = [marked(name, self.whole) for name in frame["model"]]
        for place, metric in enumerate(self.metrics):
            digits = 3 if self.units[metric] == "1" else 2
            shown[self._head(metric)] = [
                DASH if _missing(mean) else f"{number(mean, digits)} ± {number(deviation, digits)}"
                for mean, deviation in zip(frame[metric], frame[f"{metric}_sd"], strict=True)
            ]
            if place == 0:
                shown["95 % interval"] = [
                    DASH if _missing(low) else f"{number(low, digits)} to {number(high, digits)}"
                    for low, high in zip(frame["low"], frame["high"], strict=True)
                ]
        if "train" in frame and any(person in frame for person in self.persons):
            shown["per person"] = [_by_person(row, self.persons) for row in frame.to_dict("records")]
        else:
            shown |= {p: [number(value, 2) for value in frame[p]] for p in self.persons if p in frame}
        for name, digits, head in (
            ("seed_sd", 3, "seed SD"), ("rmse_shared", 2, "RMSE on shared"), ("n", 0, "n"), ("seeds", 0, "seeds"),
            ("parameters", 0, "parameters"),
        ):  # fmt: skip
            if name in frame:
                shown[head] = [number(value, digits) for value in frame[name]]
        if "coverage" in frame:
            shown["coverage"] = [f"{100 * value:.0f} %" for value in frame["coverage"]]
        return pd.DataFrame(shown)

    def _told(self, ceilings: pd.DataFrame) -> pd.DataFrame:
        """Return the ceilings as texts. They have no rank, and each model's name says that this is not the model."""
        return pd.DataFrame({
            **{name: [_said(value) for value in ceilings[name]] for name in ceilings if name in self._places},
            "model": [f"{marked(name, self.whole)} with the offset told" for name in ceilings["model"]],
            f"no result: {self._head('rmse')}": [
                DASH if _missing(mean) else f"{number(mean, 2)} ± {number(deviation, 2)}"
                for mean, deviation in zip(ceilings["ceiling"], ceilings["ceiling_sd"], strict=True)
            ],
            "n": [number(value, 0) for value in ceilings["n"]],
        })  # fmt: skip

    @property
    def _places(self) -> tuple[str, ...]:
        return (*self.conditions, "train", "test")

    def _matrix(self, matrix: pd.DataFrame) -> pd.DataFrame:
        texts = matrix.map(lambda value: number(value, 2))
        if self.marks is not None:
            texts = texts + self.marks.reindex(index=matrix.index, columns=matrix.columns).fillna("")
        return texts.rename_axis("train").reset_index()

    def _head(self, metric: str) -> str:
        unit = self.units[metric]
        names = {"rmse": "RMSE", "centred_rmse": "centred RMSE", "mae": "MAE", "nrmse": "NRMSE", "r2": "R²"}
        name = names.get(metric, metric.replace("_", " "))
        return name if unit == "1" else f"{name} ({unit})"

    def to_json(self) -> dict[str, Any]:
        """Return the table as plain JSON values; missing ones are null."""
        return {
            "title": self.title, "protocol": self.protocol, "task": self.task, "dataset": self.dataset,
            "metrics": {metric: self.units[metric] for metric in self.metrics}, "simulation": self.simulation,
            "caption": self.caption, "overall": plain_rows(self.overall), "per_dof": plain_rows(self.per_dof),
            "not_scored": plain_rows(self.failures),
            **({} if self.ceilings is None else {"ceilings_no_results": plain_rows(self.ceilings)}),
        }  # fmt: skip


def _by_person(row: Mapping[Any, Any], persons: Sequence[str]) -> str:
    """Return the values of the few persons of one pair of datasets, which other pairs do not share."""
    return ", ".join(f"{person} {number(row[person], 2)}" for person in persons if not _missing(row.get(person)))


def marked(model: str, whole: frozenset[str]) -> str:
    """Return a model's name with the mark of those that estimate from whole recordings, where it is one."""
    return f"{model} {MARK}" if model in whole else model


def number(value: Any, digits: int) -> str:
    """Return a number with so many digits after the point, or a dash for a missing one."""
    return DASH if _missing(value) else f"{value:.{digits}f}"


def _said(value: Any) -> str:
    """Return a condition in words: a whole number without a point, a dash for one that a row does not have."""
    if _missing(value):
        return DASH
    return f"{value:g}" if isinstance(value, float) else str(value)


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame's rows as plain JSON values."""
    rows: Sequence[Mapping[Any, Any]] = frame.astype(object).to_dict("records")
    return [{str(name): _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    if _missing(value):
        return None
    return value.item() if hasattr(value, "item") else value


def escape(text: str) -> str:
    """Return a text that is only text in Markdown: no table borders, no markup, no HTML, one line."""
    for sign in "\\|<>[]`*_":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


def draw(frame: pd.DataFrame, style: str, clean: Any) -> str:
    """Return a frame of texts as a table; ``clean`` makes each cell harmless in that style."""
    cells = [[clean(str(value)) for value in row] for row in frame.itertuples(index=False)]
    words = {"task", "dataset", "model", "train", "test", "dof", "per person", "cell", "reason"}
    align = ["left" if name in words else "right" for name in frame.columns]
    heads = [clean(str(name)) for name in frame.columns]
    return tabulate(cells, headers=heads, tablefmt=style, colalign=align if cells else None, disable_numparse=True)
