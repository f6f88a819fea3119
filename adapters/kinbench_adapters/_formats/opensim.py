"""Read OpenSim's tables: ``.sto`` and ``.mot`` (storage, motion) and ``.trc`` (markers); write ``.sto``/``.mot``.

The grammar follows OpenSim 4.x's own parsers (STOFileAdapter, TRCFileAdapter) and the SIMM motion header before them.
Values come back as they stand in the file, units unchanged; ``nRows`` and ``nColumns`` are not trusted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
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
    lines = _lines(path)
    if len(lines) < 4 or not lines[0].startswith("PathFileType"):
        raise DataError("Expected a .trc file: 'PathFileType', keys, values, marker names.", where=path)
    meta = dict(zip(lines[1].split(), lines[2].split(), strict=False))
    rate_hz = _rate(path, meta)
    markers = _markers(path, lines[3])
    first = next((index for index in range(4, len(lines)) if _begins_with_number(lines[index])), len(lines))
    rows = _until_blank(lines, first)
    if not rows:
        raise DataError(f"Marker names ({len(markers)}) without data below them.", where=path)
    width = 2 + 3 * len(markers)
    tabbed = "\t" in rows[0]
    if tabbed:
        rows = [_trimmed(row, width) for row in rows]
    _refuse_ragged(path, [row.count("\t") + 1 if tabbed else len(row.split()) for row in rows], width, first + 1)
    numbers = _parse(path, rows, "\t" if tabbed else None, width, first + 1)
    return TrcTable(rate_hz, meta["Units"], markers, numbers[:, 1], numbers[:, 2:].reshape(len(rows), -1, 3))


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


def _begins_with_number(line: str) -> bool:
    cells = line.split()
    return bool(cells) and _is_number(cells[0]) and not line.startswith("\t\t")


def _trimmed(row: str, width: int) -> str:
    """Drop empty cells beyond the last marker; exporters leave one behind."""
    cells = row.split("\t")
    while len(cells) > width and not cells[-1].strip():
        cells.pop()
    return "\t".join(cells)


# --- shared ----------------------------------------------------------------------------------------------------------


def _lines(path: Path) -> list[str]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError("Expected an OpenSim table, found none; check the name.", where=path) from None
    except OSError as error:
        raise DataError(f"The file cannot be read: {error.strerror}.", where=path) from error
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data:
        raise DataError("Expected plain text, found UTF-16 or binary bytes; export it as text again.", where=path)
    return data.removeprefix(b"\xef\xbb\xbf").decode("latin-1").replace("\r\n", "\n").split("\n")


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
