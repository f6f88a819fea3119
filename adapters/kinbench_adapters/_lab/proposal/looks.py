"""One look at one file: by its content how it is written, and its numbers, or a share of them.

What a reader of the manifest makes of a file is what is looked at, so that nothing is proposed that cannot be read.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench_adapters._formats import arrays, c3d, hdf5, motive, nexus, opensim, v3d_text
from kinbench_adapters._formats.delimited import DELIMITERS, Dialect, read_delimited, read_text
from kinbench_adapters._formats.line_pattern import compile_pattern, read_lines
from kinbench_adapters._formats.markers import length_unit
from kinbench_adapters._formats.vendor import VendorFile
from kinbench_adapters._formats.vendors import VENDORS
from kinbench_adapters._lab.grammar.files import SUFFIXES
from kinbench_adapters._lab.proposal.vocabulary import read_signal

FloatArray = NDArray[np.float64]

HEAD_BYTES = 2**16
SHARE_BYTES = 2**23
"""Of a longer text only the beginning is looked at."""
LARGEST_BYTES = 2**28
_WORDS = {",": "comma", "\t": "tab", ";": "semicolon", " ": "space"}
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|nan)(?![^\W\d])", re.IGNORECASE)
_LEAST_ROWS = 20
_MOST_STRANGE = 10
"""Lines of a log that are no samples: its beginning, its end, a restart."""
_RATE = re.compile(
    r"\b(?:fs|(?:sampl\w*|output|update|frame)?[ _]?(?:rate|freq(?:uency)?))\b\W{0,3}(\d+(?:\.\d+)?)", re.I
)
_NO_RATE = re.compile(r"cut|filter|pass|baud", re.I)
"""Words beside a frequency that is no sample rate."""


@dataclass(frozen=True)
class Look:
    """What was seen of one file.

    ``reader`` is what the manifest needs to say (``name`` and options). ``columns`` (n,) or (n, k) by the name that the
    manifest calls them by; ``labels`` what people wrote above each, which may tell more. ``vendor`` is set where the
    format is one that says itself what it holds. ``rate_hz`` is what the file says (``rate_told`` in which words).
    """

    path: Path
    name: str
    reader: Mapping[str, Any]
    columns: Mapping[str, FloatArray] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    time_s: FloatArray | None = None
    rate_hz: float | None = None
    rate_told: str = ""
    in_degrees: bool | None = None
    vendor: VendorFile | None = None
    length_unit: str | None = None
    """Set where the columns are markers: what they are in, '' where the file does not say."""
    whole: bool = True
    """Whether all rows were read."""

    @property
    def rows(self) -> int:
        """How many rows were read."""
        if self.vendor is not None:
            return self.vendor.rows
        return len(next(iter(self.columns.values()), ()))


def look_at(path: Path, name: str) -> Look | None:
    """Return what a file holds; None where it holds no series of numbers that a reader knows."""
    try:
        size = path.stat().st_size
        if not 0 < size <= LARGEST_BYTES:
            return None
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return None
    for sniff in _SNIFFERS:
        try:
            found = sniff(path, name, head)
        except DataError:
            continue
        if found is not None and found.rows >= (1 if found.vendor is not None else _LEAST_ROWS):
            return found
    return None


def why_unread(path: Path) -> str | None:
    """Return in a sentence why a file whose ending a reader knows could not be read; None for any other file."""
    reader = SUFFIXES.get(path.suffix.lower())
    if reader is None:
        return None
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        return f"cannot be opened: {error.strerror or error}"
    if not head:
        return f"expected what the reader '{reader}' reads, found an empty file"
    try:
        _STRICT.get(reader, _anything)(path)
        found = _BY_READER[reader](path, path.name, head) if reader in _BY_READER else None
    except DataError as error:
        return str(error).splitlines()[0].replace(f"{path}: ", "").replace(f"{path}:", "line ")
    if found is None:
        return f"expected what the reader '{reader}' reads, found something else inside"
    return None if found.rows else "expected rows of numbers, found a head and nothing below it"


def _anything(path: Path) -> None:
    """Read nothing: what a table of text lacks, no reader says before it knows its columns."""


# --- formats that say themselves what they are ------------------------------------------------------------------------


def _vendor(path: Path, name: str, head: bytes) -> Look | None:
    """A vendor's reader takes its own files and no others; two that take one would be a riddle, and so a no."""
    found = []
    for word, vendor in VENDORS.items():
        try:
            found.append((word, vendor.read(path)))
        except DataError:
            continue
    if len(found) != 1:
        return None
    word, file = found[0]
    return Look(
        path, name, {"name": word}, file.columns, {column: column for column in file.columns}, file.time_s,
        file.rate_hz, "the file's header", None, file,
    )  # fmt: skip


def _npy(path: Path, name: str, head: bytes) -> Look | None:
    if not head.startswith(b"\x93NUMPY"):
        return None
    values = arrays.read_npy(path)
    table = values.reshape(len(values), -1)
    columns = {str(index): table[:, index] for index in range(table.shape[1])}
    return Look(path, name, {"name": "npy"}, columns, dict.fromkeys(columns, ""))


def _mat(path: Path, name: str, head: bytes) -> Look | None:
    if not head.startswith(b"MATLAB 5.0") and path.suffix.lower() != ".mat":
        return None
    columns = arrays.read_mat(path)
    lengths = [len(values) for values in columns.values()]
    rows = max(lengths, key=lengths.count, default=0)
    kept = {key: values for key, values in columns.items() if len(values) == rows and values.ndim <= 2}
    return Look(path, name, {"name": "mat"}, kept, {key: key for key in kept})


def _sto(path: Path, name: str, head: bytes) -> Look | None:
    if re.search(rb"^[ \t]*endheader[ \t]*\r?$", head, re.MULTILINE) is None:
        return None
    table = opensim.read_sto(path)
    columns = {column: table.values[:, index] for index, column in enumerate(table.columns)}
    return Look(
        path, name, {"name": "sto"}, columns, {column: column for column in columns}, table.time, None, "",
        table.in_degrees,
    )  # fmt: skip


def _trc(path: Path, name: str, head: bytes) -> Look | None:
    if not head.startswith(b"PathFileType"):
        return None
    table = opensim.read_trc(path)
    columns = {marker: table.values[:, index] for index, marker in enumerate(table.markers)}
    labels = {marker: marker for marker in columns}
    return Look(
        path, name, {"name": "trc"}, columns, labels, table.time, table.rate_hz, "the file's header",
        length_unit=length_unit(table.units),
    )  # fmt: skip


def _trajectories(path: Path, name: str, head: bytes) -> Look | None:
    """Markers as Nexus and Motive export them."""
    if b"\0" in head:
        return None
    for word, read in (("nexus", nexus.read_markers), ("motive", motive.read_markers)):
        try:
            found = read(path)
        except DataError:
            continue
        labels = {marker: marker for marker in found.paths}
        return Look(
            path, name, {"name": word}, found.paths, labels, found.time_s, found.rate_hz, "the file's header",
            length_unit=found.units,
        )  # fmt: skip
    return None


def _c3d(path: Path, name: str, head: bytes) -> Look | None:
    if head[1:2] != b"\x50" or path.suffix.lower() != ".c3d":
        return None
    markers, _ = c3d.read_c3d(path)
    labels = {marker: marker for marker in markers.paths}
    return Look(
        path, name, {"name": "c3d"}, markers.paths, labels, None, markers.rate_hz, "the file's header",
        length_unit=length_unit(markers.units),
    )  # fmt: skip


def _v3d(path: Path, name: str, head: bytes) -> Look | None:
    """Visual3D's export; its signals are wide, and their components have names of their own."""
    text = _decoded(head)
    rows = [] if text is None else [line.split("\t") for line in text.split("\n")[:5]]
    if len(rows) < 5 or rows[4][0].upper() != "ITEM":
        return None
    wanted = list(
        dict.fromkeys(f"{signal}.{part}" for signal, part in zip(rows[1][1:], rows[4][1:], strict=False) if signal)
    )
    columns = _share(path, lambda part: v3d_text.read_columns(part, wanted))
    return Look(path, name, {"name": "v3d_text"}, columns, {column: column for column in columns})


def _hdf5(path: Path, name: str, head: bytes) -> Look | None:
    """Datasets with named columns; of (trial, sample, column) ones the trials of the first dataset, one after another.

    Rows of zeros at the end of a trial fill it up to the length of the others.
    """
    if not head.startswith(b"\x89HDF"):
        return None
    file = hdf5.read_hdf5(path)
    tables = {dataset: values for dataset, values in file.datasets.items() if file.names_of(dataset)}
    if not tables:
        return None
    dataset, values = next(iter(tables.items()))
    reader: dict[str, Any] = {"name": "hdf5"}
    if values.ndim == 3:
        filled = [values[trial, : _filled_rows(values[trial])] for trial in range(len(values))]
        reader["each"] = "{subject}[{trial}]"
        if any(len(rows) < values.shape[1] for rows in filled):
            reader["padding"] = "zero"
        values = np.concatenate(filled)
    if values.ndim != 2:
        return None
    columns = {column: values[:, index] for index, column in enumerate(file.names_of(dataset))}
    return Look(path, name, reader, columns, {column: column for column in columns})


def _filled_rows(trial: FloatArray) -> int:
    used = np.flatnonzero(np.abs(trial).sum(axis=1) > 0)
    return int(used[-1]) + 1 if used.size else 0


# --- lines of text ---------------------------------------------------------------------------------------------------


def _lines(path: Path, name: str, head: bytes) -> Look | None:
    """Free text with one sample a line: the same words around the numbers in nearly all lines."""
    text = _decoded(head)
    if text is None:
        return None
    lines = [line for line in text.split("\n")[:-1] if line.strip()][:400]
    shapes = [_NUMBER.sub("\0", line) for line in lines]
    usual = max(set(shapes), key=shapes.count, default="")
    if shapes.count(usual) < max(_LEAST_ROWS, 0.9 * len(shapes)) or not re.search(r"[A-Za-z]{2}", usual):
        return None
    pattern, names = _pattern_of(usual)
    expression, _ = compile_pattern(pattern)

    def read(part: Path) -> dict[str, FloatArray]:
        strange = [line.strip() for line in read_text(part).split("\n") if line.strip() and not expression.match(line)]
        if len(strange) > _MOST_STRANGE:
            raise DataError(f"{len(strange)} lines are no samples", where=part)
        if strange:
            reader["skip_lines"] = _alike(strange)
        return read_lines(part, pattern, skip_lines=reader.get("skip_lines", ()))

    reader: dict[str, Any] = {"name": "line_pattern", "pattern": pattern}
    return Look(path, name, reader, _share(path, read), names, whole=path.stat().st_size <= SHARE_BYTES)


def _alike(lines: list[str]) -> list[str]:
    """Return what the lines have in common at both ends, with * between, or the lines where that is too little."""
    start, end = _beginning(lines), _beginning([line[::-1] for line in lines])[::-1]
    if len(start) >= 2 and len(end) >= 2 and len(set(lines)) > 1:
        return [f"{start.rstrip()} * {end.lstrip()}"]
    return sorted(set(lines))


def _beginning(texts: list[str]) -> str:
    """Return the characters that all texts begin with."""
    columns = takewhile(lambda column: len(set(column)) == 1, zip(*texts, strict=False))
    return "".join(column[0] for column in columns)


def _pattern_of(shape: str) -> tuple[str, dict[str, str]]:
    """Return a line pattern with a field for every number, named by the words before it, and the fields.

    Numbers that follow one another without a word are the axes of one signal. A signal without a sensor's name belongs
    to the sensor named before it.
    """
    literals = shape.split("\0")
    runs: list[list[str]] = []
    sensor = ""
    for literal in literals[:-1]:
        words = re.findall(r"[^\W\d_]\w*", literal)
        if not words and runs:
            runs[-1].append("xyz"[len(runs[-1]) - 1 :][:1] or str(len(runs[-1])))
            continue
        signal = words and read_signal(words[-1])
        sensor = ("_".join(words[:-1]) or sensor) if signal else ""
        runs.append(["_".join(filter(None, (sensor, words[-1]))) if signal else "_".join(words) or "value", "x"])
    names: dict[str, str] = {}
    for base, *axes in runs:
        for axis in axes:
            wanted = f"{base}_{axis}" if len(axes) > 1 else base
            names[wanted if wanted not in names else f"{wanted}_{len(names)}"] = ""
    pieces = [piece for pair in zip(literals, (f"{{{name}}}" for name in names), strict=False) for piece in pair]
    return "".join([*pieces, literals[-1]]).strip(), {name: name for name in names}


# --- tables of text --------------------------------------------------------------------------------------------------


def _delimited(path: Path, name: str, head: bytes) -> Look | None:
    """Numbers in columns: the delimiter, the decimal sign and the header that make all lines below one table."""
    text = _decoded(head)
    if text is None:
        return None
    cut = len(head) == HEAD_BYTES
    lines = text.split("\n")[:-1] if cut else text.split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    best: tuple[int, str, str, int] | None = None
    for delimiter in (",", "\t", ";", " "):
        for decimal in (".", ",") if delimiter != "," else (".",):
            first = _first_row(lines, delimiter, decimal)
            if first is not None:
                width = len(_cells(lines[first], delimiter))
                if best is None or width > best[0]:
                    best = (width, delimiter, decimal, first)
    if best is None:
        return None
    width, delimiter, decimal, first = best
    above = [_cells(line, delimiter) for line in lines[:first]]
    names_row = next((row for row in range(first - 1, -1, -1) if _is_header(above[row], width)), None)
    reader: dict[str, Any] = {"name": "delimited", "delimiter": _WORDS[delimiter]}
    if decimal != ".":
        reader["decimal"] = decimal
    labels = _labels(above, width, first)
    names = [] if names_row is None else above[names_row]
    if names_row is None or len(set(names)) < len(names) or first - names_row > 2:
        reader |= {"header": "none"} | ({"skip_rows": first} if first else {})
        columns = {str(index): label for index, label in enumerate(labels)}
    else:
        reader |= {"skip_rows": names_row} if names_row else {}
        reader |= {"rows_after_header": first - names_row - 1} if first - names_row > 1 else {}
        columns = {column: label for column, label in zip(names, labels, strict=True) if column}
    dialect = Dialect(
        delimiter=DELIMITERS[reader["delimiter"]], decimal=decimal, skip_rows=reader.get("skip_rows", 0),
        header="header" not in reader, rows_after_header=reader.get("rows_after_header", 0),
    )  # fmt: skip
    values = _share(path, lambda part: _numeric(part, tuple(columns), dialect))
    rate = next((m for line in lines[:first] if not _NO_RATE.search(line) and (m := _RATE.search(line))), None)
    return Look(
        path, name, reader, values, {key: columns[key] for key in values}, None, float(rate[1]) if rate else None,
        f"'{rate[0].strip()}' above the table" if rate else "", whole=path.stat().st_size <= SHARE_BYTES,
    )  # fmt: skip


def _numeric(path: Path, names: tuple[str, ...], dialect: Dialect) -> dict[str, FloatArray]:
    """Return the columns that are numbers throughout; a column of words is passed over."""
    try:
        return read_delimited(path, names, dialect)
    except DataError:
        found: dict[str, FloatArray] = {}
        for name in names:
            try:
                found |= read_delimited(path, (name,), dialect)
            except DataError:
                continue
        if not found:
            raise
        return found


def _cells(line: str, delimiter: str) -> list[str]:
    if delimiter == " ":
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]


def _first_row(lines: list[str], delimiter: str, decimal: str) -> int | None:
    """Return the first of the rows that are numbers to the end, of one width above one; None where there are none."""
    first = None
    width = 0
    for row in range(len(lines) - 1, -1, -1):
        cells = _cells(lines[row], delimiter)
        if width and len(cells) != width:
            break
        if not _row_of_numbers(cells, decimal):
            break
        width = len(cells)
        first = row
    enough = first is not None and len(lines) - first >= min(_LEAST_ROWS, max(5, len(lines) // 2))
    return first if enough and (width > 1 or delimiter == ",") else None


def _row_of_numbers(cells: list[str], decimal: str) -> bool:
    numbers = [cell for cell in cells if cell and _NUMBER.fullmatch(cell.replace(decimal, "."))]
    words = [cell for cell in cells if cell and not _NUMBER.fullmatch(cell.replace(decimal, "."))]
    return len(numbers) >= max(1, len(words)) and (decimal == "." or all("." not in cell for cell in numbers))


def _is_header(cells: list[str], width: int) -> bool:
    return len(cells) == width and any(re.search(r"[^\W\d]", cell) for cell in cells)


def _labels(above: list[list[str]], width: int, first: int) -> list[str]:
    """Return for each column all that stands above it, without what is the same for all."""
    rows = [row for row in above[-6:] if len(row) == width and any(re.search(r"[^\W\d]", cell) for cell in row)]
    if len(rows) > 1:
        rows = [row for row in rows if len({cell for cell in row[1:] if cell}) > 1 or row is rows[-1]]
        rows = [row for row in rows if len({cell for cell in row if cell}) > 1] or rows
    return [" ".join(row[index] for row in rows if row[index]) for index in range(width)]


def _decoded(head: bytes) -> str | None:
    if b"\0" in head:
        return None
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            return None
        text = head[: error.start].decode("utf-8-sig")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _share(path: Path, read: Callable[[Path], dict[str, FloatArray]]) -> dict[str, FloatArray]:
    """Read a text file, of a long one a copy of its beginning."""
    if path.stat().st_size <= SHARE_BYTES:
        return read(path)
    with path.open("rb") as file:
        beginning = file.read(SHARE_BYTES)
    with TemporaryDirectory() as folder:
        part = Path(folder) / path.name
        part.write_bytes(beginning[: beginning.rfind(b"\n") + 1])
        return read(part)


_STRICT: dict[str, Callable[[Path], object]] = {
    "npy": arrays.read_npy, "mat": arrays.read_mat, "sto": opensim.read_sto, "trc": opensim.read_trc,
    "c3d": c3d.read_c3d, "hdf5": hdf5.read_hdf5, "mvnx": VENDORS["mvnx"].read,
}  # fmt: skip
_BY_READER = {"npy": _npy, "mat": _mat, "c3d": _c3d, "trc": _trc, "sto": _sto, "hdf5": _hdf5, "delimited": _delimited}
_SNIFFERS = (_npy, _mat, _c3d, _trc, _sto, _v3d, _vendor, _trajectories, _hdf5, _lines, _delimited)
