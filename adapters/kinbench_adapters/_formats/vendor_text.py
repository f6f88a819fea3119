"""What the text exports of vendors share: an encoding told by the bytes, a header found by its words, named columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError, suggest
from kinbench_adapters._formats.delimited import Dialect, lines_of, read_rows, read_text, split_cells

FloatArray = NDArray[np.float64]

_PICKED = re.compile(r"(?P<name>.+)\[(?P<index>\d+)\]")


@dataclass(frozen=True)
class Header:
    """A table in a text: its ``lines``, the names of its columns, and where its rows begin (an index from 0)."""

    path: Path
    lines: Sequence[str]
    names: tuple[str, ...]
    first: int
    dialect: Dialect

    @property
    def width(self) -> int:
        """How many cells a row has."""
        return len(self.names)

    def numbers(self, names: Iterable[str]) -> dict[str, FloatArray]:
        """Return the columns of these names, each (n,); raises where one is absent or holds no numbers."""
        listed = list(dict.fromkeys(names))
        problems = []
        for name in listed:
            count = self.names.count(name)
            if count == 0:
                problems.append(f"there is no column '{name}'.{suggest(name, [own for own in self.names if own])}")
            elif count > 1:
                problems.append(f"{count} columns are called '{name}', expected one")
        if problems:
            raise DataError(problems, where=self.path)
        places = {name: self.names.index(name) for name in listed}
        return read_rows(self.path, self.lines, self.first, self.width, places, self.dialect)


def text_lines(path: Path) -> list[str]:
    """Return the lines of a text in UTF-8, UTF-16 (with its mark) or Windows' Latin; raises where it is no text."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=path) from error
    encoding = "utf-8"
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    else:
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError:
            encoding = "latin-1"  # numbers and the words that are looked for are ASCII in all of these
    lines = lines_of(read_text(path, encoding))
    if not lines:
        raise DataError("is empty", where=path)
    return lines


def table_at(path: Path, lines: Sequence[str], header: int, *, below: int = 0, delimiters: str = "\t;,") -> Header:
    """Return the table whose names stand on line ``header`` (an index from 0), ``below`` further lines before its rows.

    The cells are apart by the first of ``delimiters`` that the header holds; where that is no comma, a comma in the
    rows is a decimal comma.
    """
    delimiter = next((sign for sign in delimiters if sign in lines[header]), ",")
    first = header + 1 + below
    if first >= len(lines):
        raise DataError(f"has a header (line {header + 1}) but no data below it", where=path)
    sample = lines[first : first + 100]
    decimal = "," if delimiter != "," and any("," in line for line in sample) else "."
    dialect = Dialect(delimiter=delimiter, decimal=decimal)
    return Header(path, lines, tuple(split_cells(lines[header], dialect)), first, dialect)


def stacked(columns: Mapping[str, FloatArray], names: Sequence[str]) -> FloatArray:
    """Return (n, k): the columns side by side."""
    return np.column_stack([columns[name] for name in names])


def group_problems(names: Sequence[str], present: Sequence[str]) -> str | None:
    """Return what is wrong where only some of the columns of a vector are there, None where all or none are."""
    absent = [name for name in names if name not in present]
    if absent and len(absent) < len(names):
        return f"expected {', '.join(names)} together, {', '.join(absent)} missing; export all of them"
    return None


def picked(names: Iterable[str]) -> list[str]:
    """Return names of whole columns for those that pick one number of several (``name[2]``)."""
    found = []
    for name in names:
        part = _PICKED.fullmatch(name)
        found.append(part["name"] if part is not None else name)
    return list(dict.fromkeys(found))
