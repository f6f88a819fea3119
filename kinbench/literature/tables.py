"""A published table typeset with what was measured here under each of its rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from kinbench.leaderboards.tables import DASH, number
from kinbench.literature.measures import Measured, measured
from kinbench.publications import Measure, PublishedTable, Reported, Row, commands
from kinbench.results import Result
from kinbench.statistics import MIN_PERSONS, mean, standard_deviation

REPORTED = "reported"
HERE = "measured here"


@dataclass(frozen=True)
class Line:
    """One line of a typeset table: the paper's own, or of one dataset and model here.

    ``values`` has one entry per column: mean and spread, either None where there is none. ``persons`` are how many
    stand behind it here.
    """

    row: str
    kind: str
    source: str
    values: tuple[tuple[float | None, float | None], ...]
    persons: int | None = None


@dataclass(frozen=True)
class TypesetTable:
    """A published table, line by line. ``missing`` are commands that would measure the rows without results."""

    paper: str
    table: PublishedTable
    lines: tuple[Line, ...]
    missing: tuple[str, ...]

    @property
    def frame(self) -> pd.DataFrame:
        """The table as texts, a line each."""
        digits = 2 if self.table.unit in ("deg", "%") else 3
        return pd.DataFrame(
            [
                {
                    "": line.row, "whose": line.kind, "data": line.source,
                    **{
                        column.label: _written(value, digits)
                        for column, value in zip(self.table.columns, line.values, strict=True)
                    },
                }
                for line in self.lines
            ]
        )  # fmt: skip

    @property
    def caption(self) -> str:
        """What the numbers are, the paper's and ours, and what sets them apart."""
        return (
            f"In {self.table.unit}. {REPORTED.capitalize()}: {self.table.spread}. {HERE.capitalize()}: mean over DoFs, "
            f"folds and seeds within a person, then mean ± SD over persons. {self.table.differs}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the table as plain JSON values."""
        columns = [column.label for column in self.table.columns]
        return {
            "paper": self.paper, "table": self.table.number, "title": self.table.title, "unit": self.table.unit,
            "differs": self.table.differs, "columns": columns, "not_measured": list(self.missing),
            "lines": [
                {
                    "row": line.row, "whose": line.kind, "data": line.source, "persons": line.persons,
                    "values": {
                        label: {"mean": value[0], "sd": value[1]}
                        for label, value in zip(columns, line.values, strict=True)
                    },
                }
                for line in self.lines
            ],
        }  # fmt: skip


def typeset(paper: str, table: PublishedTable, results: Iterable[Result]) -> TypesetTable:
    """Return a published table with the lines that some results hold of each of its rows."""
    listed = [*results]
    lines: list[Line] = []
    missing: list[Measure] = []
    for row in table.rows:
        lines.append(Line(row.label, REPORTED, paper, tuple(map(_reported, row.values))))
        here = _lines(row, table, listed)
        lines += here
        if row.measure is not None and not here:
            missing += [row.measure.joined(column.measure) for column in table.columns]
    return TypesetTable(paper, table, tuple(lines), commands(missing))


def _lines(row: Row, table: PublishedTable, results: Sequence[Result]) -> list[Line]:
    """Return one line for each dataset and model that has a value in any column."""
    if row.measure is None:
        return []
    by_column = [
        {(one.source, one.model): one for one in measured(results, row.measure.joined(column.measure))}
        for column in table.columns
    ]
    return [
        Line(
            row="", kind=HERE, source=f"{source}: {model}",
            values=tuple(_mean(column.get((source, model))) for column in by_column),
            persons=max(len(column[source, model].persons) for column in by_column if (source, model) in column),
        )
        for source, model in sorted({place for column in by_column for place in column})
    ]  # fmt: skip


def _mean(found: Measured | None) -> tuple[float | None, float | None]:
    if found is None:
        return None, None
    values = [*found.persons.values()]
    return mean(values), standard_deviation(values) if len(values) >= MIN_PERSONS else None


def _reported(value: Reported) -> tuple[float | None, float | None]:
    if isinstance(value, tuple):
        return value
    return value, None


def _written(value: tuple[float | None, float | None], digits: int) -> str:
    centre, spread = value
    if centre is None:
        return DASH
    return number(centre, digits) if spread is None else f"{number(centre, digits)} ± {number(spread, digits)}"

