"""Read Noraxon MR3 text exports of MyoMotion and Ultium Motion sensors.

A few lines of preamble or none, then a row of names with ``time`` (s). ``<Segment> Accel Sensor X LT (mG)`` is what
the sensor's accelerometer read, in thousandths of g and in its own axes; its gyroscope is ``Noraxon
MyoMotion-Segments-<Segment> LT-Gyroscope-x (deg/s)``. A sensor goes by segment and side: ``Foot LT``, ``Pelvis``. All
other columns (joint angles, contacts, orientations) are read by name; they are the vendor's own fusion, not a truth.
Names vary with version and language; here they are the English ones. Layout from the open GaitPrint recordings (Wiles
et al. 2023); checked on files made in it, not on a real export.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench_adapters._formats.vendor import VendorFile, acceleration, in_sensor
from kinbench_adapters._formats.vendor_text import Header, group_problems, picked, stacked, table_at, text_lines

FloatArray = NDArray[np.float64]

_ACC = re.compile(
    r"^(?P<segment>.+?) Accel Sensor (?P<axis>[XYZ])(?: (?P<side>LT|RT))? \((?P<unit>mG|G|m/s\^2)\)$", re.IGNORECASE
)
_GYR = re.compile(
    r"^(?:Noraxon )?MyoMotion-Segments-(?P<segment>.+?)(?: (?P<side>LT|RT))?-Gyroscope-(?P<axis>[xyz]) "
    r"\((?P<unit>deg/s|rad/s)\)$",
    re.IGNORECASE,
)
_TIME = re.compile(r"^time(?: ?\(s\)|,s)?$", re.IGNORECASE)
_UNITS = {"mg": "mg", "g": "g", "m/s^2": "m s-2", "deg/s": "deg s-1", "rad/s": "rad s-1"}
_HEAD_LINES = 20
_SHOWN = 10


def read_vendor(path: Path, wanted: Iterable[str] = ()) -> VendorFile:
    """Read one export; ``wanted`` are further columns by name.

    Raises ``DataError`` naming line and column (all problems at once) where the file has no such names, a vector is not
    whole, rows are damaged, or the time does not rise.
    """
    lines = text_lines(path)
    table, clock = _table(path, lines)
    vectors, units, problems = _vectors(table)
    facts, wrong = _facts(table, units)
    problems += wrong
    also = picked(wanted)
    if not vectors and not also:
        problems.append(
            f"line {table.first}: expected names such as 'Foot Accel Sensor X LT (mG)', found none; "
            "export the sensors' accelerometers and gyroscopes"
        )
    if problems:
        raise DataError(problems, where=path)
    numbers = table.numbers([clock, *(c for own in vectors.values() for names in own.values() for c in names), *also])
    _refuse_bad_times(table, numbers[clock])
    sensors = {
        sensor: {signal: stacked(numbers, names) for signal, names in own.items()} for sensor, own in vectors.items()
    }
    return VendorFile(path, sensors, facts, time_s=numbers[clock], columns={name: numbers[name] for name in also})


def _table(path: Path, lines: list[str]) -> tuple[Header, str]:
    for row, line in enumerate(lines[:_HEAD_LINES]):
        if "time" in line.lower() and row + 1 < len(lines):
            table = table_at(path, lines, row)
            clock = next((name for name in table.names if _TIME.match(name)), None)
            if clock is not None:
                return table, clock
    raise DataError(
        f"expected a row of names with 'time' in the first {_HEAD_LINES} lines and rows below it, found none; this is "
        "no MR3 export",
        where=path,
    )


def _vectors(table: Header) -> tuple[dict[str, dict[str, list[str]]], dict[str, set[str]], list[str]]:
    """Return each sensor's columns by signal, the units told of each signal, and what is wrong with the names."""
    places: dict[tuple[str, str], dict[str, str]] = {}
    units: dict[str, set[str]] = {}
    for name in table.names:
        for signal, pattern in (("acc", _ACC), ("gyr", _GYR)):
            match = pattern.match(name)
            if match is not None:
                sensor = f"{match['segment']} {match['side'].upper()}" if match["side"] else match["segment"]
                places.setdefault((sensor, signal), {})[match["axis"].lower()] = name
                units.setdefault(signal, set()).add(_UNITS[match["unit"].lower()])
    vectors: dict[str, dict[str, list[str]]] = {}
    problems = []
    for (sensor, signal), axes in places.items():
        problem = group_problems("xyz", sorted(axes))
        if problem is not None:
            problems.append(f"line {table.first}, {signal} of '{sensor}': {problem}")
        else:
            vectors.setdefault(sensor, {})[signal] = [axes[axis] for axis in "xyz"]
    return vectors, units, problems


def _facts(table: Header, units: dict[str, set[str]]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    problems = [
        f"line {table.first}: {signal} is in {' and '.join(sorted(told))}; export all sensors in one unit"
        for signal, told in units.items()
        if len(told) > 1
    ]
    makers = {"acc": acceleration, "gyr": in_sensor}
    return {signal: makers[signal](sorted(told)[0]) for signal, told in units.items()}, problems


def _refuse_bad_times(table: Header, time: FloatArray) -> None:
    missing = np.flatnonzero(~np.isfinite(time))
    if missing.size:
        raise DataError(
            (f"line {table.first + 1 + row}: expected a time, found none" for row in missing[:_SHOWN]), where=table.path
        )
    back = np.flatnonzero(np.diff(time) <= 0)
    if back.size:
        raise DataError(
            (
                f"line {table.first + 2 + row}: the time does not rise ({time[row]:g} to {time[row + 1]:g} s)"
                for row in back[:_SHOWN]
            ),
            where=table.path,
        )
