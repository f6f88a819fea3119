"""The people of a table beside the recordings, or of columns in them: what a manifest should not have to hold."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kinbench import schema
from kinbench.errors import DataError, suggest
from kinbench_adapters._lab.grammar.dataset import (
    ID_FIELD,
    LENGTHS_M,
    PLAUSIBLE,
    Person,
    PersonColumn,
    PersonNumber,
    PersonTable,
)
from kinbench_adapters._lab.spreadsheet import by_header, read_rows
from kinbench_adapters._lab.tables import Table

_UNTOLD = ("", "na", "n/a", "nan", "-", "unknown")
_WORDS = ("sex", "condition", "affected_side")


def read_people(table: PersonTable, path: Path, subjects: Collection[str]) -> dict[str, Person]:
    """Return those of ``subjects`` whom the table holds; raises ``DataError`` with all that is wrong about them."""
    rows = by_header(path, read_rows(path) if path.suffix.lower() == ".xlsx" else _delimited(path))
    present = tuple(rows[0]) if rows else ()
    wanted = {"id": table.id} | {f"columns.{name}": column.column for name, column in table.columns.items()}
    absent = [f"{key}: there is no column '{name}'.{suggest(name, present)}" for key, name in wanted.items()
              if name not in present]  # fmt: skip
    if absent:
        raise DataError([f"person_table.{text}" for text in absent], where=path)
    people: dict[str, Person] = {}
    problems = []
    for number, row in enumerate(rows, start=2):
        if not row[table.id]:
            continue
        subject = _subject(table, row[table.id])
        if subject not in subjects:
            continue
        if subject in people:
            problems.append(f"row {number}: '{subject}' is there already; one row a person is expected")
        try:
            people[subject] = Person(**_facts(table, row))
        except DataError as error:
            problems += [f"row {number}: {text}" for text in error.problems]
    if problems:
        raise DataError(problems, where=path)
    return people


def person_in(columns: Mapping[PersonNumber, str], tables: Collection[Table]) -> Person:
    """Return the person of a recording by columns of its files that hold one number in all their rows.

    Raises ``DataError`` for a column that says several things, or nothing that can be believed.
    """
    facts: dict[str, Any] = {}
    problems = []
    for name, column in columns.items():
        told = np.unique([value for table in tables if column in table.columns for value in table.single(column)])
        try:
            if told.size != 1:
                raise DataError(f"{column}: expected one number in every row, found {told.size} different ones")
            facts[name] = _number(name, PersonColumn(column=column), f"{told[0]:.7g}")  # as float32 holds it
        except DataError as error:
            problems += [f"person_columns.{name}: {text}" for text in error.problems]
    if problems:
        raise DataError(problems, where=next((table.path for table in tables), None))
    return Person(**facts)


def _delimited(path: Path) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
            rows = [row for row in csv.reader(file, delimiter=delimiter, strict=True) if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"expected a table of people, and it cannot be read: {error}", where=path) from error
    if not rows:
        raise DataError("the table holds nothing", where=path)
    return rows


def _subject(table: PersonTable, cell: str) -> str:
    """Return the subject's name; a whole number in a cell may have been saved as 1.0."""
    cell = cell.removesuffix(".0") if cell.removesuffix(".0").isdigit() else cell
    return ID_FIELD.sub(lambda field: cell.zfill(int(field["digits"] or 0)), table.subject)


def _facts(table: PersonTable, row: Mapping[str, str]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    problems: list[str] = []
    for name, column in table.columns.items():
        cell = row[column.column]
        if cell.lower() in _UNTOLD:
            continue
        try:
            facts[name] = _word(name, column, cell) if name in _WORDS else _number(name, column, cell)
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return facts


def _word(name: str, column: PersonColumn, cell: str) -> str:
    if column.words and cell not in column.words:
        raise DataError(f"{column.column}: '{cell}' is none of {', '.join(column.words)}; add it to 'words'")
    value = column.words.get(cell, cell)
    if name == "sex" and value not in schema.SEXES:
        raise DataError(f"{column.column}: expected one of {', '.join(schema.SEXES)}, got '{cell}'; say under 'words' "
                        "what it means")  # fmt: skip
    return value


def _number(name: str, column: PersonColumn, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        raise DataError(f"{column.column}: expected a number, got '{cell}'") from None
    if name.endswith("_m"):
        value = round(value * LENGTHS_M[column.unit], 6)
    low, high = PLAUSIBLE[name]
    if not (math.isfinite(value) and low < value < high):
        raise DataError(f"{column.column}: expected {name} between {low:g} and {high:g}, got {value:g}; mind its unit")
    return value
