"""Read Vicon Nexus text exports: trajectories, model outputs and devices, each a section of its own clock.

A section is a word (``Trajectories``, ``Model Outputs``, ``Devices``), its rate in Hz, a row of names (over the first
column of each), a row with ``Frame``, ``Sub Frame`` and components, a row of units, and rows up to a blank line. A
marker's name has its subject before a colon, left out here where a file holds one subject. A cell that is empty was
not seen. Frame 1 is time 0, so that a cut trial keeps the clock of the whole. Source: Vicon Nexus User Guide, "Export
ASCII"; trajectories are checked on real files, devices and model outputs on files made in the documented layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError, suggest
from kinbench_adapters._formats.delimited import Dialect, read_rows, split_cells
from kinbench_adapters._formats.markers import Markers, length_unit
from kinbench_adapters._formats.vendor_text import picked, text_lines

FloatArray = NDArray[np.float64]

TRAJECTORIES = "Trajectories"
SECTIONS = (TRAJECTORIES, "Model Outputs", "Devices", "Joints", "Segments")

_COMMA = Dialect()
_HEAD = 5
_SHOWN = 5


@dataclass(frozen=True)
class Section:
    """One section: ``columns`` by name, (n,) or (n, k), their ``units``, and its own clock (seconds, Hz)."""

    title: str
    rate_hz: float
    time_s: FloatArray
    columns: Mapping[str, FloatArray]
    units: Mapping[str, str]


@dataclass(frozen=True)
class _Part:
    """A section's lines: ``lines[start]`` is its title, ``stop`` the line after its last."""

    title: str
    start: int
    stop: int


def read_markers(path: Path) -> Markers:
    """Read the trajectories; raises ``DataError`` naming line and column (all problems at once), or that none are."""
    lines = text_lines(path)
    part = next((part for part in _parts(path, lines) if part.title == TRAJECTORIES), None)
    if part is None:
        raise DataError(f"expected a section '{TRAJECTORIES}', found none; export the trajectories", where=path)
    section = _section(path, lines, part)
    paths = {name: values for name, values in section.columns.items() if values.shape[1:] == (3,)}
    told = {section.units[name] for name in paths}
    if len(told) > 1:
        raise DataError(f"expected markers in one unit, found {', '.join(sorted(told))}", where=path)
    return Markers(path, section.rate_hz, section.time_s, length_unit(next(iter(told), "")), paths)


def read_section(path: Path, wanted: Iterable[str]) -> Section:
    """Return the section that holds the columns wanted, and those alone.

    A column is a marker or a model output (three numbers a row) by its name, or a device's channel as
    ``device:channel``. Raises ``DataError`` where one is in no section, or they are not all in one.
    """
    lines = text_lines(path)
    names = picked(wanted)
    sections = [_section(path, lines, part) for part in _parts(path, lines)]
    owners = {name: [section for section in sections if name in section.columns] for name in names}
    every = tuple(name for section in sections for name in section.columns)
    problems = [f"there is no '{name}'.{suggest(name, every)}" for name, found in owners.items() if not found]
    problems += [
        f"'{name}' is in the sections {', '.join(section.title for section in found)}; rename one and export again"
        for name, found in owners.items()
        if len(found) > 1
    ]
    chosen = {found[0].title: found[0] for found in owners.values() if found}
    if len(chosen) > 1:
        problems.append(
            f"the columns are in the sections {' and '.join(chosen)}, each with a clock of its own; take them from one"
        )
    if problems:
        raise DataError(problems, where=path)
    section = next(iter(chosen.values()), sections[0])
    kept = {name: section.columns[name] for name in names}
    return Section(section.title, section.rate_hz, section.time_s, kept, {name: section.units[name] for name in kept})


def _parts(path: Path, lines: Sequence[str]) -> list[_Part]:
    starts = [row for row, line in enumerate(lines) if line.strip().strip(",") in SECTIONS]
    if not starts:
        raise DataError(f"expected a section such as '{TRAJECTORIES}', found none; this is no Nexus export", where=path)
    parts = []
    for start, following in zip(starts, [*starts[1:], len(lines)], strict=True):
        stop = following
        while stop > start + 1 and not lines[stop - 1].strip().strip(","):
            stop -= 1
        parts.append(_Part(lines[start].strip().strip(","), start, stop))
    return parts


def _section(path: Path, lines: Sequence[str], part: _Part) -> Section:
    where = f"section '{part.title}'"
    if part.stop - part.start <= _HEAD:
        raise DataError(
            f"{where}: expected a rate, names, components, units and rows, found its head alone", where=path
        )
    rate_hz = _rate_hz(path, lines[part.start + 1], part.start + 2)
    names, components, units = (split_cells(lines[part.start + row], _COMMA) for row in (2, 3, 4))
    if [cell.lower() for cell in components[:2]] != ["frame", "sub frame"]:
        raise DataError(f"line {part.start + 4}: expected 'Frame,Sub Frame' and components", where=path)
    width = len(components)
    owners = _owners(names, width)
    places = {"frame": 0, "sub": 1, **{str(index): index for index in range(2, width) if owners[index]}}
    read = read_rows(path, lines[: part.stop], part.start + _HEAD, width, places, _COMMA)
    time_s = _time_s(path, read["frame"], read["sub"], rate_hz, part.start + _HEAD)
    units += [""] * (width - len(units))
    return _named(path, part, rate_hz, time_s, owners, components, units, read)


def _rate_hz(path: Path, line: str, number: int) -> float:
    try:
        rate_hz = float(line.split(",")[0])
    except ValueError:
        rate_hz = 0.0
    if not 0 < rate_hz < 1e6:
        raise DataError(f"line {number}: expected a rate in Hz, found '{line[:40]}'", where=path)
    return rate_hz


def _owners(names: Sequence[str], width: int) -> list[str]:
    """Return whose each column is: a name stands over the first of its columns."""
    owners, owner = [], ""
    for index in range(width):
        if index < len(names) and names[index]:
            owner = names[index]
        owners.append(owner if index > 1 else "")
    return owners


def _time_s(path: Path, frame: FloatArray, sub: FloatArray, rate_hz: float, first: int) -> FloatArray:
    """Return seconds since frame 1; raises where frames are not numbered one after another."""
    bad = np.flatnonzero(~(np.isfinite(frame) & np.isfinite(sub) & (frame == np.round(frame))))
    if bad.size:
        raise DataError(
            (f"line {first + 1 + row}: expected the numbers of frame and sub frame" for row in bad[:_SHOWN]), where=path
        )
    per_frame = int(sub.max()) + 1
    if per_frame > len(sub):
        raise DataError(f"sub frames count to {per_frame}, there are {len(sub)} rows", where=path)
    number = frame * per_frame + sub
    jumps = np.flatnonzero(np.diff(number) != 1)
    if jumps.size:
        told = [f"{frame[row]:g}.{sub[row]:g}" for row in range(len(frame))]
        raise DataError(
            (
                f"line {first + 2 + row}: frame {told[row + 1]} follows {told[row]}; expected every frame, in order"
                for row in jumps[:_SHOWN]
            ),
            where=path,
        )
    return (number - per_frame) / rate_hz


def _named(
    path: Path,
    part: _Part,
    rate_hz: float,
    time_s: FloatArray,
    owners: Sequence[str],
    components: Sequence[str],
    units: Sequence[str],
    read: Mapping[str, FloatArray],
) -> Section:
    places: dict[str, list[int]] = {}
    for index in range(2, len(owners)):
        owner = owners[index]
        if owner and part.title == "Devices":
            places.setdefault(f"{owner}:{components[index]}", []).append(index)
        elif owner:
            places.setdefault(owner, []).append(index)
    if part.title != "Devices":
        subjects = {name.partition(":")[0] for name in places if ":" in name}
        if len(subjects) == 1 and len({name.rpartition(":")[2] for name in places}) == len(places):
            places = {name.rpartition(":")[2]: own for name, own in places.items()}
        problems = [
            f"line {part.start + 3}: '{name}' stands over {len(own)} columns, expected X, Y, Z"
            for name, own in places.items()
            if part.title == TRAJECTORIES and [components[i].upper() for i in own] != ["X", "Y", "Z"]
        ]
        if problems:
            raise DataError(problems[:_SHOWN], where=path)
    columns = {
        name: read[str(own[0])] if len(own) == 1 else np.column_stack([read[str(index)] for index in own])
        for name, own in places.items()
    }
    return Section(part.title, rate_hz, time_s, columns, {name: units[own[0]] for name, own in places.items()})
