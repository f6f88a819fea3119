"""Read Shimmer Consensys text exports.

Line 1 is ``sep=`` and the delimiter, then a row of names ``<device>_<channel>_<CAL or RAW>`` and a row of units; a
delimiter may end every row. Calibrated accelerometers tell m s-2, gyroscopes deg s-1, magnetometers local field
units. A device has two accelerometers, a low-noise and a wide-range one; where a file holds both, one is chosen by
name. Times are milliseconds since 1970, or text. Source: Consensys User Guide (Shimmer). Checked on files made in the
documented layout, not on a real export.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench_adapters._formats.delimited import Dialect, split_cells
from kinbench_adapters._formats.vendor import VendorFile, acceleration, in_sensor
from kinbench_adapters._formats.vendor_text import Header, group_problems, picked, stacked, table_at, text_lines

FloatArray = NDArray[np.float64]

ACCELEROMETERS = {"low_noise": "Accel_LN", "wide_range": "Accel_WR"}
UNITS = {
    "m/(s^2)": "m s-2", "m/(sec^2)": "m s-2", "m/s^2": "m s-2", "m/(s*s)": "m s-2", "g": "g",
    "deg/s": "deg s-1", "deg/sec": "deg s-1", "rad/s": "rad s-1", "rad/sec": "rad s-1",
    "local_flux": "1", "local_flux*": "1", "local": "1", "uT": "uT",
}  # fmt: skip
STAMPS = (
    "TimestampSync_Unix_CAL", "TimestampSync_FormattedUnix_CAL", "Timestamp_Unix_CAL", "Timestamp_FormattedUnix_CAL",
    "TimestampSync_Shimmer_CAL", "Timestamp_Shimmer_CAL", "TimestampSync_CAL", "Timestamp_CAL", "Timestamp_Unix",
    "TimestampSync_Unix", "TimestampSync_FormattedUnix", "Timestamp_FormattedUnix",
)  # fmt: skip
"""Channels that tell the time, the synchronised ones before the device's own."""

_SEP = re.compile(r"^\s*\"?sep=(?P<sign>.)\"?\s*$")
_VECTOR = re.compile(r"^(?P<device>.+?)_(?P<channel>Accel_LN|Accel_WR|Accel|Gyro|Mag)_(?P<axis>[XYZ])_CAL$")
_TIME_FORMAT = "%Y/%m/%d %H:%M:%S.%f"
_SIGNALS = {"Gyro": "gyr", "Mag": "mag"}
_DIMENSIONS = {"acc": ("m s-2", "g"), "gyr": ("deg s-1", "rad s-1"), "mag": ("1", "uT")}
_SHOWN = 10


def read_vendor(
    path: Path, wanted: Iterable[str] = (), *, accelerometer: str | None = None, synchronised: bool | None = None
) -> VendorFile:
    """Read one export, of one device or of several; ``wanted`` are further columns by name.

    ``accelerometer`` (``low_noise`` or ``wide_range``) chooses where a device has both; ``synchronised`` tells whether
    devices were, where the file does not. Raises ``DataError`` naming line and column (all problems at once) where the
    file is no such export, nothing in it is calibrated, a vector is not whole, a unit is not known, rows are damaged,
    or the time does not rise.
    """
    table, units = _table(path)
    vectors, problems = _vectors(table, accelerometer)
    facts, wrong = _facts(table, units, vectors)
    stamp, others = _stamp(table)
    problems += wrong
    if stamp is None:
        problems.append(f"line {table.first - 1}: expected a time such as '<device>_Timestamp_Unix_CAL', found none")
    if problems or stamp is None:
        raise DataError(problems, where=path)
    also = picked(wanted)
    numbers = table.numbers([*(c for own in vectors.values() for columns in own.values() for c in columns), *also])
    sensors = {
        device: {signal: stacked(numbers, columns) for signal, columns in own.items()}
        for device, own in vectors.items()
    }
    time_s = _time_s(table, stamp, units[stamp])
    for other in others:
        apart_s = float(np.abs(_time_s(table, other, units[other]) - time_s).max())
        if time_s.size > 1 and apart_s > 0.5 * float(np.median(np.diff(time_s))):
            problems.append(
                f"'{stamp}' and '{other}' are up to {apart_s:.3f} s apart on one row; export each device by itself"
            )
    if problems:
        raise DataError(problems, where=path)
    return VendorFile(
        path, sensors, facts, time_s=time_s, synchronised="Sync" in stamp or bool(synchronised),
        columns={name: numbers[name] for name in also},
    )  # fmt: skip


def _table(path: Path) -> tuple[Header, dict[str, str]]:
    lines = text_lines(path)
    match = _SEP.match(lines[0])
    header = 0 if match is None else 1
    if header + 2 >= len(lines):
        raise DataError(f"has {len(lines)} lines, expected names, units and rows below them", where=path)
    sign = match["sign"] if match is not None else next((s for s in "\t;," if s in lines[0]), ",")
    table = table_at(path, lines, header, below=1, delimiters=sign)
    cells = split_cells(lines[header + 1], Dialect(delimiter=table.dialect.delimiter))
    if not any(name.endswith(("_CAL", "_RAW", "_UNCAL")) for name in table.names):
        raise DataError(
            f"line {header + 1}: expected names such as 'Shimmer_AB12_Gyro_X_CAL', found '{lines[header][:60]}'",
            where=path,
        )
    return table, dict(zip(table.names, [*cells, *[""] * table.width], strict=False))


def _vectors(table: Header, accelerometer: str | None) -> tuple[dict[str, dict[str, list[str]]], list[str]]:
    """Return each device's columns by signal, and what is wrong with the names."""
    channels: dict[str, dict[str, dict[str, str]]] = {}
    for name in table.names:
        match = _VECTOR.match(name)
        if match is not None:
            channels.setdefault(match["device"], {}).setdefault(match["channel"], {})[match["axis"]] = name
    vectors: dict[str, dict[str, list[str]]] = {}
    problems = []
    for device, own in channels.items():
        chosen = {_SIGNALS[channel]: channel for channel in own if channel in _SIGNALS}
        kinds = [channel for channel in own if channel.startswith("Accel")]
        asked = ACCELEROMETERS.get(accelerometer or "")
        if asked is not None and asked in kinds:
            chosen["acc"] = asked
        elif len(kinds) == 1:
            chosen["acc"] = kinds[0]
        elif kinds:
            problems.append(
                f"'{device}' has {' and '.join(kinds)}; choose one with 'accelerometer: low_noise' or 'wide_range'"
            )
        for signal, channel in chosen.items():
            columns = [f"{device}_{channel}_{axis}_CAL" for axis in "XYZ"]
            problem = group_problems(columns, table.names)
            if problem is not None:
                problems.append(f"line {table.first - 1}: {problem}")
            else:
                vectors.setdefault(device, {})[signal] = columns
    if not channels:
        problems.append(f"line {table.first - 1}: expected calibrated signals (..._CAL), found none; export them so")
    return vectors, problems


def _facts(
    table: Header, units: dict[str, str], vectors: dict[str, dict[str, list[str]]]
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    found: dict[str, set[str]] = {}
    problems = []
    for own in vectors.values():
        for signal, columns in own.items():
            for column in columns:
                unit = UNITS.get(units[column])
                if unit in _DIMENSIONS[signal]:
                    found.setdefault(signal, set()).add(str(unit))
                else:
                    problems.append(
                        f"line {table.first}, '{column}': expected a unit of {signal}, found '{units[column]}'"
                    )
    problems += [
        f"line {table.first}: {signal} is in {' and '.join(sorted(told))}; export all in one unit"
        for signal, told in found.items()
        if len(told) > 1
    ]
    facts = {}
    for signal, told in found.items():
        unit = sorted(told)[0]
        facts[signal] = acceleration(unit) if signal == "acc" else in_sensor(unit)
    return facts, problems


def _stamp(table: Header) -> tuple[str | None, list[str]]:
    """Return the column that tells the time, and others of the same kind (of further devices)."""
    for channel in STAMPS:
        found = [name for name in table.names if name == channel or name.endswith(f"_{channel}")]
        if found:
            return found[0], found[1:]
    return None, []


def _time_s(table: Header, stamp: str, unit: str) -> FloatArray:
    """Return the times in seconds, those of a text counted from the first row."""
    if "Formatted" in stamp:
        place = table.names.index(stamp)
        texts = [split_cells(line, table.dialect) for line in table.lines[table.first :]]
        cells = [cells[place] if place < len(cells) else "" for cells in texts]
        parsed = pd.to_datetime(pd.Series(cells), format=_TIME_FORMAT, errors="coerce")
        time_s = (parsed - parsed.iloc[0]).dt.total_seconds().to_numpy(dtype=np.float64)
        shown = cells
    else:
        scale = {"ms": 1e-3, "s": 1.0, "us": 1e-6}.get(unit)
        if scale is None:
            raise DataError(f"line {table.first}, '{stamp}': expected ms, found '{unit}'", where=table.path)
        values = table.numbers([stamp])[stamp]
        time_s = values * scale
        shown = [f"{value:g}" for value in values]
    missing = np.flatnonzero(~np.isfinite(time_s))
    if missing.size:
        raise DataError(
            (
                f"line {table.first + 1 + row}, '{stamp}': expected a time, found '{shown[row][:40]}'"
                for row in missing[:_SHOWN]
            ),
            where=table.path,
        )
    back = np.flatnonzero(np.diff(time_s) <= 0)
    if back.size:
        raise DataError(
            (
                f"line {table.first + 2 + row}: the time does not rise ({time_s[row]:.6f} to {time_s[row + 1]:.6f} s)"
                for row in back[:_SHOWN]
            ),
            where=table.path,
        )
    return np.asarray(time_s)
