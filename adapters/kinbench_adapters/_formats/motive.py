"""Read OptiTrack Motive text exports (format versions 1.2x): markers, and rigid bodies or bones.

Line 1 holds keys and values (their times in the language of the computer), a blank line follows, then rows of Type,
Name, ID (and Parent), kind (Position, Rotation) and component. The world has Y up; a cell that is empty was not seen.
Source: OptiTrack documentation, "Data Export: CSV"; checked on a real file of version 1.23 with markers.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError, suggest
from kinbench_adapters._formats.delimited import Dialect, read_rows
from kinbench_adapters._formats.markers import Markers, length_unit
from kinbench_adapters._formats.vendor_text import picked, text_lines

FloatArray = NDArray[np.float64]

MARKERS = ("Marker", "Rigid Body Marker", "Bone Marker", "Skeleton Marker")
"""Types of columns that are markers; where two types bear one name, the first of these is it."""

_COMMA = Dialect()
_HEAD_LINES = 15


@dataclass(frozen=True)
class _Take:
    """A file's head: its keys, and for every column its type, name, kind (Position, Rotation) and component."""

    path: Path
    lines: Sequence[str]
    keys: Mapping[str, str]
    columns: tuple[tuple[str, str, str, str], ...]
    first: int

    def groups(self) -> dict[tuple[str, str, str], list[int]]:
        """Return the columns (places) of each type, name and kind."""
        found: dict[tuple[str, str, str], list[int]] = {}
        for place, (kind_of, name, kind, _) in enumerate(self.columns):
            if place > 1 and name:
                found.setdefault((kind_of, name, kind), []).append(place)
        return found


def read_markers(path: Path) -> Markers:
    """Read the markers; raises ``DataError`` naming line and column (all problems at once), or that there are none."""
    take = _take(path)
    chosen: dict[str, list[int]] = {}
    groups = take.groups()
    for kind_of in MARKERS:
        for (own, name, kind), places in groups.items():
            if own == kind_of and kind == "Position" and len(places) == 3:
                chosen.setdefault(name, places)
    if not chosen:
        raise DataError("expected columns of markers, found none; export markers", where=path)
    read = _read(take, {f"{name}|{index}": place for name, own in chosen.items() for index, place in enumerate(own)})
    paths = {name: np.column_stack([read[f"{name}|{index}"] for index in range(3)]) for name in chosen}
    return Markers(path, _rate_hz(take), read["time"], _units(take), paths, up="y")


def read_columns(path: Path, wanted: Iterable[str]) -> Markers:
    """Return columns by name as a file of markers: a marker, or ``body/Position``, ``body/Rotation`` (x, y, z, w).

    Raises ``DataError`` where one is absent.
    """
    take = _take(path)
    groups = take.groups()
    known: dict[str, list[int]] = {}
    for kind_of in (*MARKERS, *dict.fromkeys(own for own, _, _ in groups)):
        for (own, name, kind), places in groups.items():
            if own == kind_of:
                known.setdefault(f"{name}/{kind}", places)
                if own in MARKERS and kind == "Position":
                    known.setdefault(name, places)
    names = picked(wanted)
    problems = [f"there is no '{name}'.{suggest(name, tuple(known))}" for name in names if name not in known]
    if problems:
        raise DataError(problems, where=path)
    read = _read(take, {f"{name}|{index}": p for name in names for index, p in enumerate(known[name])})
    columns = {name: np.column_stack([read[f"{name}|{index}"] for index in range(len(known[name]))]) for name in names}
    return Markers(path, _rate_hz(take), read["time"], _units(take), columns, up="y")


def _take(path: Path) -> _Take:
    lines = text_lines(path)
    cells = [next(csv.reader([line]), []) for line in lines[:_HEAD_LINES]]
    keys = dict(zip(cells[0][::2], cells[0][1::2], strict=False))
    if "Format Version" not in keys:
        raise DataError("line 1: expected 'Format Version' and further keys; this is no Motive export", where=path)
    frame = next((row for row, own in enumerate(cells) if own[:1] == ["Frame"]), None)
    types = next((row for row, own in enumerate(cells) if own[1:2] == ["Type"]), None)
    names = next((row for row, own in enumerate(cells) if own[1:2] == ["Name"]), None)
    if frame is None or types is None or names is None or frame < 2:
        raise DataError("expected rows 'Type', 'Name' and 'Frame, Time (Seconds)' below the keys", where=path)
    if frame + 1 >= len(lines):
        raise DataError(f"has a header (line {frame + 1}) but no data below it", where=path)
    space = keys.get("Coordinate Space", "Global")
    if space != "Global":
        raise DataError(f"line 1: expected Coordinate Space Global, found '{space}'; export in global axes", where=path)
    width = len(cells[frame])
    rows = [(own + [""] * width)[:width] for own in (cells[types], cells[names], cells[frame - 1], cells[frame])]
    return _Take(path, lines, keys, tuple(zip(*rows, strict=True)), frame + 1)


def _read(take: _Take, places: Mapping[str, int]) -> dict[str, FloatArray]:
    read = read_rows(take.path, take.lines, take.first, len(take.columns), {"time": 1, **places}, _COMMA)
    wrong = np.flatnonzero(~np.isfinite(read["time"]))
    if wrong.size:
        raise DataError(f"line {take.first + 1 + int(wrong[0])}: expected a time, found none", where=take.path)
    return read


def _rate_hz(take: _Take) -> float:
    told = take.keys.get("Export Frame Rate", take.keys.get("Capture Frame Rate", ""))
    try:
        rate_hz = float(told)
    except ValueError:
        rate_hz = 0.0
    if not 0 < rate_hz < 1e6:
        raise DataError(f"line 1: expected an Export Frame Rate in Hz, found '{told}'", where=take.path)
    return rate_hz


def _units(take: _Take) -> str:
    told = take.keys.get("Length Units", "")
    unit = length_unit(told)
    if not unit:
        raise DataError(f"line 1: expected Length Units such as Meters, found '{told}'", where=take.path)
    return unit
