"""One door to every reader: a file and the columns wanted, to named arrays and the file's own clock."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError, suggest
from kinbench_adapters._formats import arrays, c3d, delimited, hdf5, line_pattern, motive, nexus, opensim, v3d_text
from kinbench_adapters._formats.clock import DROPPED, place_by_counter
from kinbench_adapters._formats.markers import length_unit
from kinbench_adapters._formats.stamps import grid_of
from kinbench_adapters._formats.vendor_text import picked
from kinbench_adapters._formats.vendors import VENDORS, read_vendor
from kinbench_adapters._lab import inside
from kinbench_adapters._lab.grammar.files import Reader

FloatArray = NDArray[np.float64]

_PICKED = re.compile(r"(?P<name>.+)\[(?P<index>\d+)\]")


@dataclass(frozen=True)
class Table:
    """The columns asked for, (n,) or (n, k), and what the file says of its own clock (seconds) and units."""

    path: Path
    columns: Mapping[str, FloatArray]
    time: FloatArray | None = None
    rate_hz: float | None = None
    in_degrees: bool | None = None
    length_unit: str = ""
    """That of markers (m, cm, mm), '' where the file does not say it."""
    rows: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        lengths = {name: len(values) for name, values in self.columns.items()}
        if self.time is not None:
            lengths["its clock"] = len(self.time)
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise DataError(f"expected columns of one length, found {told}", where=self.path)
        object.__setattr__(self, "rows", next(iter(lengths.values()), 0))

    def block(self, names: Iterable[str], width: int) -> FloatArray:
        """Return (n, width): the named columns side by side, or the one column that holds ``width`` numbers."""
        columns = [self.columns[name] for name in names]
        if len(columns) == 1 and columns[0].ndim == 2:
            return self._wide(columns[0], width, list(names))
        if len(columns) != width or any(column.ndim != 1 for column in columns):
            raise DataError(f"expected {width} numbers a row in {', '.join(names)}", where=self.path)
        return np.column_stack(columns)

    def _wide(self, values: FloatArray, width: int, names: list[str]) -> FloatArray:
        if values.shape[1] != width:
            raise DataError(f"column '{names[0]}' holds {values.shape[1]} numbers, expected {width}", where=self.path)
        return values

    def single(self, name: str) -> FloatArray:
        """Return (n,), refusing a column that holds several numbers a row."""
        values = self.columns[name]
        if values.ndim != 1:
            raise DataError(
                f"column '{name}' holds {values.shape[1]} numbers a row; pick one, for example '{name}[0]'",
                where=self.path,
            )
        return values


def read_table(path: Path, reader: Reader, wanted: Iterable[str]) -> Table:
    """Return the wanted columns of one file; raises ``DataError`` with every problem of it."""
    names = tuple(dict.fromkeys(wanted))
    if reader.name in VENDORS:
        return _vendor(path, reader, names)
    return _READ[reader.name](path, reader, names)


def _delimited(path: Path, reader: Reader, names: tuple[str, ...]) -> Table:
    return Table(path, delimited.read_delimited(path, names, _dialect(path, reader)))


def _line_pattern(path: Path, reader: Reader, names: tuple[str, ...]) -> Table:
    found = line_pattern.read_lines(path, reader.pattern or "", skip_lines=reader.skip_lines, encoding=reader.encoding)
    return Table(path, _picked(path, found, names))


def _npy(path: Path, _: Reader, names: tuple[str, ...]) -> Table:
    return Table(path, _positional(path, arrays.read_npy(path), names))


def _mat(path: Path, _: Reader, names: tuple[str, ...]) -> Table:
    return Table(path, _picked(path, arrays.read_mat(path), names))


def _hdf5(path: Path, reader: Reader, names: tuple[str, ...]) -> Table:
    if reader.each is not None:
        return Table(path, inside.read_columns(path, reader, names))
    return Table(path, _picked(path, hdf5.read_columns(path, picked(names)), names))


def _sto(path: Path, _: Reader, names: tuple[str, ...]) -> Table:
    sto = opensim.read_sto(path)
    columns = {name: sto.values[:, index] for index, name in enumerate(sto.columns)}
    return Table(path, _picked(path, columns, names), sto.time, None, sto.in_degrees)


def _trc(path: Path, _: Reader, names: tuple[str, ...]) -> Table:
    trc = opensim.read_trc(path)
    markers = {name: trc.values[:, index] for index, name in enumerate(trc.markers)}
    return Table(path, _picked(path, markers, names), trc.time, trc.rate_hz, length_unit=trc.units)


def _c3d(path: Path, _: Reader, names: tuple[str, ...]) -> Table:
    """Markers, or analog channels: they have clocks of their own, so a table is of one kind."""
    markers, analog = c3d.read_c3d(path)
    whole = picked(names)
    channels = [name for name in whole if name in analog.channels and name not in markers.paths]
    if channels and len(channels) < len(whole) and all(n in analog.channels or n in markers.paths for n in whole):
        raise DataError(
            f"{', '.join(channels)} are analog channels ({analog.rate_hz:g} Hz) and the others markers "
            f"({markers.rate_hz:g} Hz); take the columns from one of the two",
            where=path,
        )
    found, rate_hz = (analog.channels, analog.rate_hz) if channels else (markers.paths, markers.rate_hz)
    columns = _picked(path, found, names)
    if not rate_hz > 0:
        raise DataError("expected a rate in Hz, found none in the file's parameters", where=path)
    time = np.arange(len(next(iter(found.values()), ()))) / rate_hz
    return Table(path, columns, time, rate_hz, length_unit=length_unit(markers.units))


def _nexus(path: Path, _: Reader, names: tuple[str, ...]) -> Table:
    section = nexus.read_section(path, names)
    units = set(section.units.values())
    in_degrees = True if units == {"deg"} else False if units == {"rad"} else None
    length = length_unit(next(iter(units))) if len(units) == 1 else ""
    columns = _picked(path, section.columns, names)
    return Table(path, columns, section.time_s, section.rate_hz, in_degrees, length_unit=length)


def _motive(path: Path, _: Reader, names: tuple[str, ...]) -> Table:
    found = motive.read_columns(path, names)
    return Table(path, _picked(path, found.paths, names), found.time_s, found.rate_hz, length_unit=found.units)


def _v3d_text(path: Path, _: Reader, names: tuple[str, ...]) -> Table:
    return Table(path, _picked(path, v3d_text.read_columns(path, names), names))


_READ: dict[str, Callable[[Path, Reader, tuple[str, ...]], Table]] = {
    "delimited": _delimited, "line_pattern": _line_pattern, "npy": _npy, "mat": _mat, "hdf5": _hdf5, "sto": _sto,
    "trc": _trc, "c3d": _c3d, "nexus": _nexus, "motive": _motive, "v3d_text": _v3d_text,
}  # fmt: skip


def _vendor(path: Path, reader: Reader, names: tuple[str, ...]) -> Table:
    """Columns of a vendor's file beside its sensors' signals (joint angles), on the clock that these would have.

    The first row is at time 0, and a lost sample has a row of its own that is missing.
    """
    file = read_vendor(reader.name, path, names, **reader.vendor_options)
    columns = _picked(path, file.columns, names)
    rows, step_s = np.arange(file.rows), None if file.rate_hz is None else 1.0 / file.rate_hz
    if file.counter is not None:
        rows, _ = place_by_counter(file.counter)
    elif file.time_s is not None:
        grid = grid_of({path.name: file.time_s})
        rows, step_s = grid.rows[path.name], grid.step_s
    if not columns or not len(rows):
        return Table(path, columns, None, file.rate_hz)
    kept, size = rows != DROPPED, int(rows.max()) + 1
    placed = {name: np.full((size, *values.shape[1:]), np.nan) for name, values in columns.items()}
    for name, values in columns.items():
        placed[name][rows[kept]] = values[kept]
    return Table(path, placed, None if step_s is None else np.arange(size, dtype=np.float64) * step_s, file.rate_hz)


def _dialect(path: Path, reader: Reader) -> delimited.Dialect:
    usual = "tab" if path.suffix.lower() == ".tsv" else "comma"
    return delimited.Dialect(
        delimiter=delimited.DELIMITERS[reader.delimiter or usual], decimal=reader.decimal,
        skip_rows=reader.skip_rows, skip_until=reader.skip_until, header=reader.header,
        rows_after_header=reader.rows_after_header, nan=reader.nan, encoding=reader.encoding, comment=reader.comment,
    )  # fmt: skip


def _picked(path: Path, found: Mapping[str, FloatArray], names: Iterable[str]) -> dict[str, FloatArray]:
    """Return the columns named; ``name[2]`` picks one of a column that holds several numbers a row."""
    columns, problems = {}, []
    for name in names:
        part = _PICKED.fullmatch(name)
        if name in found:
            columns[name] = found[name]
        elif part is not None and part["name"] in found:
            whole, index = found[part["name"]], int(part["index"])
            if whole.ndim == 2 and index < whole.shape[1]:
                columns[name] = whole[:, index]
            else:
                width = 1 if whole.ndim == 1 else whole.shape[1]
                problems.append(f"'{part['name']}' holds {width} numbers a row, there is no [{index}]")
        else:
            problems.append(f"there is no '{name}'.{suggest(name, tuple(found))}")
    if problems:
        raise DataError(problems, where=path)
    return columns


def _positional(path: Path, values: FloatArray, names: Iterable[str]) -> dict[str, FloatArray]:
    table = values.reshape(len(values), -1)
    wrong = [name for name in names if not name.isdecimal() or int(name) >= table.shape[1]]
    if wrong:
        raise DataError(
            f"there is no column '{wrong[0]}': a .npy array has numbers for names, here 0 to {table.shape[1] - 1}",
            where=path,
        )
    return {name: table[:, int(name)] for name in names}
