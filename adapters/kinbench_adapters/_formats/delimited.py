"""Delimited text: numbers in columns, told apart by commas, tabs, semicolons or spaces.

Strict on purpose: a line with more or fewer cells than the header, or a cell that is no number, is refused with its
line (counted from 1, as an editor does) and column. Nothing about the file is sniffed; the manifest says it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinbench.errors import DataError, suggest

FloatArray = NDArray[np.float64]

DELIMITERS = {"comma": ",", "tab": "\t", "semicolon": ";", "space": " ", ",": ",", ";": ";", "\t": "\t"}
_MISSING = ("", "NaN", "nan", "NAN")
BEYOND = 1e30
"""No sensor tells such a number, whatever its unit; it is a damaged exponent."""

_SHOWN = 5
_UNIT_SEPARATOR = "\x1f"


@dataclass(frozen=True)
class Dialect:
    """How one delimited file is written.

    ``skip_rows`` lines stand before the header, or all lines before the first that contains ``skip_until``.
    ``header`` False: no names, columns are called by index from 0. ``rows_after_header`` are skipped too (units).
    ``decimal`` is ``.`` or ``,``. ``nan`` are words for a missing value beside the empty cell and NaN. ``comment``
    starts lines to be skipped before the header.
    """

    delimiter: str = ","
    decimal: str = "."
    skip_rows: int = 0
    skip_until: str | None = None
    header: bool = True
    rows_after_header: int = 0
    nan: tuple[str, ...] = ()
    encoding: str = "utf-8"
    comment: str | None = None


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """Return a text file with plain newlines; raises ``DataError`` where it is not text in that encoding."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=path) from error
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff") and not encoding.lower().startswith("utf-16"):
        raise DataError(f"is UTF-16 text, expected {encoding}; declare 'encoding: utf-16'", where=path)
    try:
        text = raw.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DataError(
            f"line {line}: byte 0x{raw[error.start]:02x} is not {encoding} text; declare its encoding "
            "(for example 'encoding: latin-1'), or export the file again",
            where=path,
        ) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise DataError(f"line {line}: holds a zero byte, so this is not a text file", where=path)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_delimited(path: Path, wanted: Iterable[str], dialect: Dialect | None = None) -> dict[str, FloatArray]:
    """Return the wanted columns, each (n,) float64 with NaN where a cell is empty or a word for missing.

    ``wanted`` are header names; a name that is no header but all digits is an index from 0. Raises ``DataError``
    naming line and column for everything that is not as declared.
    """
    dialect = dialect or Dialect()
    lines = lines_of(read_text(path, dialect.encoding))
    start = _header_line(path, lines, dialect)
    names = split_cells(lines[start], dialect) if dialect.header else []
    first = start + (1 if dialect.header else 0) + dialect.rows_after_header
    if first >= len(lines):
        raise DataError(f"has a header (line {start + 1}) but no data below it", where=path)
    width = len(names) if dialect.header else len(split_cells(lines[first], dialect))
    return read_rows(path, lines, first, width, _places(path, wanted, names, width), dialect)


def lines_of(text: str) -> list[str]:
    """Return the lines of a text without the blank ones at its end."""
    lines = text.split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def read_rows(
    path: Path, lines: Sequence[str], first: int, width: int, places: Mapping[str, int], dialect: Dialect
) -> dict[str, FloatArray]:
    """Return columns by name of the rows from line ``first`` (an index from 0) to the end, each (n,).

    Rows have ``width`` cells, of which those of ``places`` are read. Raises ``DataError`` naming the line of every row
    of another length and, where all are of that length, line and column of cells that are no numbers.
    """
    body, separator = lines[first:], dialect.delimiter
    if any('"' in line for line in body):
        body, separator = _unquote(path, body, dialect, first), _UNIT_SEPARATOR
    elif separator == " ":
        body, separator = [_UNIT_SEPARATOR.join(line.split()) for line in body], _UNIT_SEPARATOR
    _refuse_ragged(path, body, separator, width, first)
    return _numbers(path, body, separator, places, dialect, first)


def _header_line(path: Path, lines: Sequence[str], dialect: Dialect) -> int:
    if not lines:
        raise DataError("is empty", where=path)
    start = dialect.skip_rows
    if dialect.skip_until is not None:
        found = next((i for i, line in enumerate(lines) if i >= start and dialect.skip_until in line), None)
        if found is None:
            raise DataError(f"no line contains '{dialect.skip_until}' (skip_until)", where=path)
        start = found
    while dialect.comment and start < len(lines) and lines[start].startswith(dialect.comment):
        start += 1
    if start >= len(lines):
        raise DataError(f"has {len(lines)} lines, expected a header on line {start + 1}", where=path)
    return start


def split_cells(line: str, dialect: Dialect) -> list[str]:
    """Return the cells of one line, without the blanks around them."""
    if dialect.delimiter == " ":
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=dialect.delimiter), [])]


def _unquote(path: Path, body: Sequence[str], dialect: Dialect, first: int) -> list[str]:
    """Return lines without quotes, cells apart by a character that no text holds."""
    unquoted = []
    for number, line in enumerate(body, start=first + 1):
        try:
            cells = next(csv.reader([line], delimiter=dialect.delimiter, strict=True), [])
        except csv.Error as error:
            raise DataError(f"line {number}: {error} (is a quote left open?)", where=path) from error
        unquoted.append(_UNIT_SEPARATOR.join(cells))
    return unquoted


def _refuse_ragged(path: Path, body: Sequence[str], separator: str, width: int, first: int) -> None:
    counts = np.array([line.count(separator) + 1 for line in body])
    blank = np.array([not line.strip() for line in body])
    wrong = np.flatnonzero((counts != width) | blank)
    if wrong.size == 0:
        return
    problems = [
        f"line {first + 1 + row}: "
        + ("is blank" if blank[row] else f"{counts[row]} cells, expected {width}")
        + (" (the last line: was the file cut short?)" if row == len(body) - 1 else "")
        for row in wrong[:_SHOWN]
    ]
    raise DataError(_with_rest(problems, wrong.size, "lines like it"), where=path)


def _places(path: Path, wanted: Iterable[str], names: Sequence[str], width: int) -> dict[str, int]:
    places, problems = {}, []
    for name in dict.fromkeys(wanted):
        if names.count(name) > 1:
            problems.append(f"{names.count(name)} columns are called '{name}'; name it by its index instead")
        elif name in names:
            places[name] = names.index(name)
        elif name.isdecimal() and int(name) < width:
            places[name] = int(name)
        elif name.isdecimal():
            problems.append(f"there is no column {name}: {width} columns, counted from 0")
        else:
            problems.append(f"there is no column '{name}'.{suggest(name, [n for n in names if n])}")
    if problems:
        raise DataError(problems, where=path)
    return places


def _numbers(
    path: Path, body: Sequence[str], separator: str, places: Mapping[str, int], dialect: Dialect, first: int
) -> dict[str, FloatArray]:
    used = sorted(set(places.values()))
    missing = [*_MISSING, *dialect.nan]
    try:
        frame = pd.read_csv(
            io.StringIO("\n".join(body)), sep=separator, header=None, usecols=used, dtype=np.float64,
            na_values=missing, keep_default_na=False, decimal=dialect.decimal, engine="c", quoting=csv.QUOTE_NONE,
            skip_blank_lines=False, skipinitialspace=True,
        )  # fmt: skip
    except ValueError:
        raise DataError(_not_numbers(body, separator, places, dialect, first), where=path) from None
    columns = {name: frame[place].to_numpy(dtype=np.float64, copy=True) for name, place in places.items()}
    endless = []
    for name, values in columns.items():
        rows = np.flatnonzero(np.abs(values) > BEYOND)
        if rows.size:
            told = "infinity" if np.isinf(values[rows[0]]) else f"{values[rows[0]]:g}"
            endless.append(f"line {first + 1 + int(rows[0])}, column '{name}': {told} is no measurement")
    if endless:
        raise DataError(endless, where=path)
    return columns


def _not_numbers(
    body: Sequence[str], separator: str, places: Mapping[str, int], dialect: Dialect, first: int
) -> list[str]:
    """Name the cells that are no numbers, by a slow walk that only a refused file pays for."""
    missing = {*_MISSING, *dialect.nan}
    problems = []
    for number, line in enumerate(body, start=first + 1):
        cells = line.split(separator)
        for name, place in places.items():
            cell = cells[place].strip()
            if cell not in missing and not _is_number(cell, dialect.decimal):
                hint = "; declare \"decimal: ','\"" if _is_number(cell, ",") else ""
                problems.append(f"line {number}, column '{name}': expected a number, got '{cell[:40]}'{hint}")
    return _with_rest(problems[:_SHOWN], len(problems), "cells like it") or ["holds a cell that is no number"]


def _is_number(cell: str, decimal: str) -> bool:
    if decimal != "." and "." in cell:
        return False
    try:
        float(cell.replace(decimal, "."))
    except ValueError:
        return False
    return "_" not in cell


def _with_rest(problems: list[str], total: int, what: str) -> list[str]:
    return problems + ([f"and {total - len(problems)} more {what}"] if total > len(problems) else [])
