"""Read OpenSim's tables: ``.sto`` and ``.mot`` (storage, motion) and ``.trc`` (markers); write ``.sto``/``.mot``.

The grammar follows OpenSim 4.x's own parsers (STOFileAdapter, TRCFileAdapter) and the SIMM motion header before them.
Values come back as they stand in the file, units unchanged; ``nRows`` and ``nColumns`` are not trusted.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from kinbench.errors import DataError

FloatArray = NDArray[np.float64]

ELEMENTS = {"double": 1, "Vec2": 2, "Vec3": 3, "Quaternion": 4, "Vec6": 6, "SpatialVec": 6}
"""Numbers in one cell, by ``DataType``."""

TRC_KEYS = (
    "DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units", "OrigDataRate", "OrigDataStartFrame",
    "OrigNumFrames",
)  # fmt: skip

_END_OF_HEADER = re.compile(r"^[ \t]*endheader[ \t]*$")
_KEY_VALUE = re.compile(r"^([^=\s]+)=(.*)$")
_SIMM_KEY = re.compile(r"^(datacolumns|datarows|range|otherdata)\s+(.*)$")
_REPORTED_LINES = 10

_SURE_LETTERS = 15
"""A decimal number of so many letters is a whole number below 2**53 over a power of ten that a float64 holds exactly:
the one division that pandas does rounds it correctly (Clinger, Proc PLDI 1990, section 2). Of longer ones it may miss
the last bit."""
_FEW = 1 / 16
"""The share of unsure numbers up to which it pays to read the others with pandas."""


@dataclass(frozen=True)
class StoTable:
    """One ``.sto`` or ``.mot`` file.

    ``columns`` are the labels without ``time``; ``time`` (n,) as written; ``values`` (n, column), or
    (n, column, element) where a cell holds several numbers (Quaternion w, x, y, z; Vec3 x, y, z). ``meta`` holds the
    header's keys, ``text`` its free lines.
    """

    name: str
    meta: Mapping[str, str]
    text: tuple[str, ...]
    columns: tuple[str, ...]
    time: FloatArray
    values: FloatArray

    @property
    def in_degrees(self) -> bool | None:
        """Whether angles are degrees: by ``inDegrees``, else by the header's words, else None (not said).

        It never applies to translations such as ``pelvis_tx``.
        """
        said = self.meta.get("inDegrees", "").lower()
        if said in ("yes", "no"):
            return said == "yes"
        words = " ".join(self.text).lower()
        for unit, answer in (("degrees", True), ("radians", False)):
            if f"angles are in {unit}" in words:
                return answer
        return None


@dataclass(frozen=True)
class TrcTable:
    """One ``.trc`` file: ``time`` (n,) seconds, ``values`` (n, marker, 3) in ``units``, NaN where a marker is missing.

    Unnamed markers (``*``) and repeated names get ``#2``, ``#3``, ... so that every name is one marker.
    """

    rate_hz: float
    units: str
    markers: tuple[str, ...]
    time: FloatArray
    values: FloatArray


# --- .sto and .mot ---------------------------------------------------------------------------------------------------


def read_sto(path: Path) -> StoTable:
    """Read a ``.sto`` or ``.mot`` file.

    Raises ``DataError`` naming file and line (all problems at once) when the file is absent, is not text, has no
    ``endheader`` or no label row that begins with ``time``, no data, rows of unequal length, or a cell that is not a
    number.
    """
    lines = _lines(path)
    end = next((index for index, line in enumerate(lines) if _END_OF_HEADER.match(line)), None)
    if end is None:
        raise DataError("Expected a line 'endheader', found none; this is no .sto or .mot file.", where=path)
    meta, text = _header(lines[:end])
    label_row = next((index for index in range(end + 1, len(lines)) if lines[index].strip()), None)
    if label_row is None:
        raise DataError(f"A header (to line {end + 1}) without labels and data below it.", where=path)
    columns = _labels(path, lines[label_row], label_row + 1)
    first = next((index for index in range(label_row + 1, len(lines)) if lines[index].strip()), len(lines))
    rows = _until_blank(lines, first)
    elements = _elements(path, meta, rows, columns)
    cells = [row.replace(",", " ") for row in rows] if elements > 1 else rows
    width = 1 + elements * len(columns)
    _refuse_ragged(path, [len(row.split()) for row in cells], width, first + 1)
    numbers = _parse(path, cells, None, width, first + 1)
    values = numbers[:, 1:] if elements == 1 else numbers[:, 1:].reshape(len(rows), len(columns), elements)
    name = meta.get("name") or next((line for line in text if line), path.stem)
    return StoTable(name, meta, text, columns, numbers[:, 0], values)


def _header(lines: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    meta: dict[str, str] = {}
    text = []
    for line in (line.strip() for line in lines):
        match = _KEY_VALUE.match(line) or _SIMM_KEY.match(line)
        if match:
            meta[match[1]] = match[2].strip()
        elif line:
            text.append(line)
    return meta, tuple(text)


def _labels(path: Path, line: str, number: int) -> tuple[str, ...]:
    labels = [cell.strip() for cell in line.split("\t")] if "\t" in line else line.split()
    while labels and not labels[-1]:
        labels.pop()
    if not labels or labels[0].lower() != "time":
        raise DataError(f"Line {number}: expected labels that begin with 'time', found '{line[:60]}'.", where=path)
    columns = tuple(labels[1:])
    doubled = sorted({name for name in columns if columns.count(name) > 1})
    if doubled or not columns or "" in columns:
        wrong = f"'{', '.join(doubled)}' twice" if doubled else "an empty label or none at all"
        raise DataError(f"Line {number}: expected one label a column, found {wrong}.", where=path)
    return columns


def _until_blank(lines: Sequence[str], first: int) -> list[str]:
    """Return the lines up to the first empty one, which ends the data in both grammars."""
    stop = next((index for index in range(first, len(lines)) if not lines[index].strip()), len(lines))
    return list(lines[first:stop])


def _elements(path: Path, meta: Mapping[str, str], rows: Sequence[str], columns: Sequence[str]) -> int:
    if not rows:
        raise DataError(f"Labels ({len(columns)} columns) without data below them.", where=path)
    written = meta.get("DataType")
    if written is not None and written not in ELEMENTS:
        raise DataError(f"Expected DataType to be one of {', '.join(ELEMENTS)}, found '{written}'.", where=path)
    return ELEMENTS[written] if written is not None else 1 + round(rows[0].count(",") / len(columns))


def write_sto(
    path: Path,
    columns: Sequence[str],
    time: ArrayLike,
    values: ArrayLike,
    in_degrees: bool,
    *,
    name: str = "Coordinates",
) -> None:
    """Write an OpenSim motion file (``.mot`` or ``.sto``) that reads back to the same numbers.

    ``time`` (n,) seconds, ``values`` (n, column) in the unit that ``in_degrees`` says. Raises ``ValueError`` when the
    shapes do not agree.
    """
    t = np.asarray(time, dtype=np.float64)
    v = np.asarray(values, dtype=np.float64)
    if v.shape != (t.size, len(columns)):
        raise ValueError(f"values have shape {v.shape}, expected {(t.size, len(columns))}")
    head = (
        f"{name}\nversion=1\nnRows={t.size}\nnColumns={len(columns) + 1}\n"
        f"inDegrees={'yes' if in_degrees else 'no'}\n\nUnits are S.I. units (second, meters, Newtons, ...)\n"
        f"Angles are in {'degrees' if in_degrees else 'radians'}.\n\nendheader\n"
    )
    rows = np.column_stack((t, v)).tolist()
    body = "".join("\t".join(map(repr, row)) + "\n" for row in rows)
    path.write_text(head + "\t".join(("time", *columns)) + "\n" + body, encoding="ascii", newline="\n")


# --- .trc ------------------------------------------------------------------------------------------------------------


def read_trc(path: Path) -> TrcTable:
    """Read a ``.trc`` marker file.

    Empty header cells before or after marker names are dropped and the names counted. Raises ``DataError`` naming file
    and line (all problems at once) when the file is absent, is not text, lacks a header line, has no data, has rows
    that do not hold three numbers a marker, or a cell that is not a number.
    """
    text = _text(path)
    lines = text.split("\n", 4)[:4]
    if len(lines) < 4 or not lines[0].startswith("PathFileType"):
        raise DataError("Expected a .trc file: 'PathFileType', keys, values, marker names.", where=path)
    meta = dict(zip(lines[1].split(), lines[2].split(), strict=False))
    rate_hz = _rate(path, meta)
    markers = _markers(path, lines[3])
    width = 2 + 3 * len(markers)
    body, first_line = _body(text, len(lines))
    if not body:
        raise DataError(f"Marker names ({len(markers)}) without data below them.", where=path)
    numbers = _plain_numbers(body, width)
    if numbers is None:
        numbers = _rows_of_any_kind(path, body, width, first_line)
    return TrcTable(rate_hz, meta["Units"], markers, numbers[:, 1], numbers[:, 2:].reshape(len(numbers), -1, 3))


def _rate(path: Path, meta: Mapping[str, str]) -> float:
    absent = [key for key in ("DataRate", "Units") if key not in meta]
    if absent:
        raise DataError(f"Line 2 and 3: expected {', '.join(TRC_KEYS)}, {', '.join(absent)} missing.", where=path)
    if not _is_number(meta["DataRate"]) or not float(meta["DataRate"]) > 0:
        raise DataError(f"Line 3: expected a DataRate in Hz, found '{meta['DataRate']}'.", where=path)
    return float(meta["DataRate"])


def _markers(path: Path, line: str) -> tuple[str, ...]:
    cells = [cell.strip() for cell in (line.split("\t") if "\t" in line else line.split())]
    names = [cell for cell in cells if cell]
    if [name.lower() for name in names[:2]] != ["frame#", "time"] or len(names) < 3:
        raise DataError(f"Line 4: expected 'Frame#', 'Time' and marker names, found '{line[:60]}'.", where=path)
    unique: list[str] = []
    for name in names[2:]:
        again = 2
        candidate = name
        while candidate in unique:
            candidate, again = f"{name}#{again}", again + 1
        unique.append(candidate)
    return tuple(unique)


def _body(text: str, skipped: int) -> tuple[str, int]:
    """Return the text from the first line of data on, and that line's number; an empty one where there is none."""
    start = 0
    for number in range(1, text.count("\n") + 2):
        stop = text.find("\n", start)
        line = text[start:] if stop < 0 else text[start:stop]
        if number > skipped and _begins_with_number(line):
            return text[start:].rstrip("\n"), number
        start = stop + 1
    return "", 0


def _rows_of_any_kind(path: Path, body: str, width: int, first_line: int) -> FloatArray:
    """Return the numbers (row, width), separated by tabs or else by spaces."""
    rows = _until_blank(body.split("\n"), 0)
    separator = "\t" if "\t" in rows[0] else None
    if separator:
        rows = [_trimmed(row, width) for row in rows]
    _refuse_ragged(path, [len(row.split(separator)) for row in rows], width, first_line)
    return _parse(path, rows, separator, width, first_line)


def _begins_with_number(line: str) -> bool:
    cells = line.split()
    return bool(cells) and _is_number(cells[0]) and not line.startswith("\t\t")


def _trimmed(row: str, width: int) -> str:
    """Drop empty cells beyond the last marker; exporters leave one behind."""
    for _ in range(row.count("\t") + 1 - width):
        before, _, last = row.rpartition("\t")
        if last.strip():
            break
        row = before
    return row


# --- shared ----------------------------------------------------------------------------------------------------------


def _lines(path: Path) -> list[str]:
    return _text(path).split("\n")


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError("Expected an OpenSim table, found none; check the name.", where=path) from None
    except OSError as error:
        raise DataError(f"The file cannot be read: {error.strerror}.", where=path) from error
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data:
        raise DataError("Expected plain text, found UTF-16 or binary bytes; export it as text again.", where=path)
    text = data.removeprefix(b"\xef\xbb\xbf").decode("latin-1")
    return text.replace("\r\n", "\n") if "\r" in text else text


def _refuse_ragged(path: Path, counts: Sequence[int], width: int, first_line: int) -> None:
    wrong = [row for row, count in enumerate(counts) if count != width]
    if not wrong:
        return
    problems = [
        f"Line {first_line + row} has {counts[row]} numbers where the labels call for {width}; it is damaged or the "
        "file was cut short."
        for row in wrong[:_REPORTED_LINES]
    ]
    if len(wrong) > _REPORTED_LINES:
        problems.append(f"{len(wrong) - _REPORTED_LINES} more lines have a wrong length.")
    raise DataError(problems, where=path)


def _parse(path: Path, rows: Sequence[str], separator: str | None, width: int, first_line: int) -> FloatArray:
    """Return the numbers of all rows, correctly rounded, so that what ``write_sto`` wrote comes back bit for bit."""
    filled = rows if separator is None else [_with_nan(row, separator) for row in rows]
    try:
        return np.loadtxt(filled, dtype=np.float64, comments=None, delimiter=separator, ndmin=2).reshape(-1, width)
    except ValueError as error:
        raise DataError(_not_numbers(rows, separator, first_line), where=path) from error


def _plain_numbers(body: str, width: int) -> FloatArray | None:
    """Return what ``_parse`` would of tabbed rows, several times faster; None where it takes that to read or refuse.

    Rows must hold ``width`` cells each, but for one empty cell that all of them may end with, and the cells nothing
    but numbers and, where a marker is missing, nothing or ``nan``.
    """
    table = body.encode("latin-1")
    letters = np.frombuffer(table, dtype=np.uint8)
    ends = np.append(np.flatnonzero(letters <= ord("\n")), len(letters))  # any but tab and newline is no number below
    cells = table.count(b"\t", 0, table.find(b"\n") if b"\n" in table else len(table)) + 1
    if cells - width not in (0, 1) or len(ends) % cells or b"\r" in table:
        return None
    cell = ends.reshape(-1, cells)
    if (letters[cell[:-1, -1]] != ord("\n")).any() or (letters[cell[:, :-1]] != ord("\t")).any():
        return None
    if cells > width and (cell[:, -1] - cell[:, -2] > 1).any():
        return None
    try:
        frame = pd.read_csv(
            BytesIO(table), sep="\t", header=None, index_col=False, dtype=np.float64, keep_default_na=False,
            na_values=["", "nan", "NaN"], skip_blank_lines=False, quoting=csv.QUOTE_NONE, low_memory=False,
        )  # fmt: skip
        return _made_sure(np.ascontiguousarray(frame.to_numpy()[:, :width]), table, ends)
    except ValueError:
        return None


def _made_sure(numbers: FloatArray, table: bytes, ends: NDArray[np.int64]) -> FloatArray | None:
    """Return the numbers with those done over that pandas may have rounded wrongly; None where these are not few."""
    unsure = np.diff(ends, prepend=-1) - 1 > _SURE_LETTERS
    if b"e" in table or b"E" in table:
        letters = np.frombuffer(table, dtype=np.uint8)
        powers = np.flatnonzero((letters == ord("e")) | (letters == ord("E")))
        unsure[np.searchsorted(ends, powers)] = True
    places = np.flatnonzero(unsure)
    if len(places) > _FEW * numbers.size:
        return None
    for place in places:
        row, column = divmod(int(place), len(ends) // len(numbers))
        start = int(ends[place - 1]) + 1 if place else 0
        numbers[row, column] = float(table[start : ends[place]])
    return numbers


def _with_nan(row: str, separator: str) -> str:
    if separator * 2 not in row and not row.endswith(separator) and " " not in row:
        return row
    return separator.join(cell.strip() or "nan" for cell in row.split(separator))


def _not_numbers(rows: Sequence[str], separator: str | None, first_line: int) -> list[str]:
    problems = []
    for index, row in enumerate(rows):
        for cell in row.split(separator):
            if not _is_number(cell.strip() or "nan"):
                problems.append(f"Line {first_line + index}: expected a number, found '{cell.strip()}'.")
        if len(problems) >= _REPORTED_LINES:
            break
    return problems or ["A cell is not a number."]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
