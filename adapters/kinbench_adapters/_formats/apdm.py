"""Read APDM Opal recordings: comma separated text in both layouts, and HDF5 of file format versions 3 to 5.

Calibrated signals are specific force in m s-2, angular rate in rad s-1 and magnetic field in uT, in sensor axes;
orientations are quaternions S, X, Y, Z, sensor to earth with Z up. All sensors of a file share one clock. The older
text layout says its units, rate and sensors' names; the newer one ("Format=7") says the names, and stamps in
microseconds since 1970; HDF5 says names, stamps and (versions 3 and 4) the rate. Source: APDM SDK Developer Guide
(2016); the text layouts are checked on real files, HDF5 on files made in the documented layout and not on a real
export.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench_adapters._formats.delimited import Dialect, split_cells
from kinbench_adapters._formats.hdf5 import Hdf5, read_hdf5, text_of
from kinbench_adapters._formats.vendor import VendorFile, acceleration, in_sensor, orientation
from kinbench_adapters._formats.vendor_text import Header, picked, stacked, text_lines

FloatArray = NDArray[np.float64]

ACC_UNITS = {"m/s^2": "m s-2", "m/s/s": "m s-2", "m/s2": "m s-2", "g": "g"}
GYR_UNITS = {"rad/s": "rad s-1", "deg/s": "deg s-1"}
MAG_UNITS = {"uT": "uT", "a.u.": "1"}

_LABELS = {
    "acc": ("Acceleration", ("X", "Y", "Z"), ACC_UNITS),
    "gyr": ("Angular Velocity", ("X", "Y", "Z"), GYR_UNITS),
    "mag": ("Magnetic Field", ("X", "Y", "Z"), MAG_UNITS),
    "quat": ("Orientation", ("Scalar", "X", "Y", "Z"), {"": "1"}),
}
_GROUPS = {
    "acc": ("Accelerometer", ("X", "Y", "Z")),
    "gyr": ("Gyroscope", ("X", "Y", "Z")),
    "mag": ("Magnetometer", ("X", "Y", "Z")),
    "quat": ("Orientation", ("S", "X", "Y", "Z")),
}
_FACTS: dict[str, dict[str, Any]] = {
    "acc": acceleration(), "gyr": in_sensor("rad s-1"), "mag": in_sensor("uT"), "quat": orientation(),
}  # fmt: skip
_NAME_AFTER = 3
"""In the newer layout a sensor's name stands so many cells after its serial number."""
_RATE_LINE = re.compile(r"^\"?Sample Rate:\"?,\s*\"?(?P<value>[^,\"]*)\"?,\s*\"?Hz", re.MULTILINE)
_COMMA = Dialect()
_SHOWN = 10


def read_csv(path: Path, wanted: Iterable[str] = ()) -> VendorFile:
    """Read a text of either layout; ``wanted`` are further columns by name.

    Raises ``DataError`` naming line and column (all problems at once) where the file is neither, a sensor's vector is
    not whole, a unit is not known, rows are damaged, or the time does not rise.
    """
    lines = text_lines(path)
    if lines[0].startswith("Format="):
        return _newer(path, lines, wanted)
    header = next((row for row, line in enumerate(lines[:20]) if re.match(r"\"?Time\"?,", line)), None)
    if header is None:
        raise DataError(
            "expected a row of names that begins with 'Time', or 'Format=7' on line 1; this is no APDM text", where=path
        )
    return _older(path, lines, header, wanted)


# --- the older layout ------------------------------------------------------------------------------------------------


def _older(path: Path, lines: list[str], header: int, wanted: Iterable[str]) -> VendorFile:
    names = tuple(split_cells(lines[header], _COMMA))
    if header + 2 >= len(lines):
        raise DataError(f"has a header (line {header + 1}) but no data below it", where=path)
    units = dict(zip(names, split_cells(lines[header + 1], _COMMA), strict=False))
    places, facts, problems = _labelled(names, units, header)
    match = _RATE_LINE.search("\n".join(lines[:header]))
    rate_hz = _positive(match["value"]) if match is not None else None
    if match is not None and rate_hz is None:
        problems.append(f"Sample Rate: expected a number of Hz, found '{match['value']}'")
    if units.get("Time") != "s":
        problems.append(f"line {header + 2}, column 'Time': expected s, found '{units.get('Time', '')}'")
    if problems:
        raise DataError(problems, where=path)
    also = picked(wanted)
    table = Header(path, lines, names, header + 2, _COMMA)
    numbers = table.numbers(["Time", *(name for own in places.values() for c in own.values() for name in c), *also])
    sensors = {
        sensor: {signal: stacked(numbers, columns) for signal, columns in own.items()} for sensor, own in places.items()
    }
    _refuse_bad_times(path, numbers["Time"], table.first)
    return VendorFile(
        path, sensors, facts, time_s=numbers["Time"], rate_hz=rate_hz, columns={name: numbers[name] for name in also}
    )


def _labelled(
    names: tuple[str, ...], units: Mapping[str, str], header: int
) -> tuple[dict[str, dict[str, list[str]]], dict[str, dict[str, Any]], list[str]]:
    """Return each sensor's columns by signal, what holds of each signal, and what is wrong with the header."""
    problems: list[str] = []
    places: dict[str, dict[str, list[str]]] = {}
    found: dict[str, set[str]] = {}
    sensors = dict.fromkeys(name.split("/")[0] for name in names if name.count("/") == 2)
    for sensor in sensors:
        for signal, (label, axes, known) in _LABELS.items():
            columns = [f"{sensor}/{label}/{axis}" for axis in axes]
            present = [column for column in columns if column in names]
            if present and len(present) < len(columns):
                absent = ", ".join(column for column in columns if column not in names)
                problems.append(f"line {header + 1}: {absent} missing; export the whole vector")
            elif present:
                places.setdefault(sensor, {})[signal] = columns
                told = {units.get(column, "") for column in columns}
                problems += [
                    f"line {header + 2}, {sensor}/{label}: expected {' or '.join(known) or 'no unit'}, found '{unit}'"
                    for unit in sorted(told - set(known))
                ]
                found.setdefault(signal, set()).update(known[unit] for unit in told & set(known))
    if not sensors:
        problems.append(f"line {header + 1}: expected names such as 'Lumbar/Acceleration/X', found none")
    problems += [
        f"line {header + 2}: sensors tell {signal} in {' and '.join(sorted(told))}; export them in one unit"
        for signal, told in found.items()
        if len(told) > 1
    ]
    facts = {signal: {**_FACTS[signal], "units": next(iter(told))} for signal, told in found.items() if len(told) == 1}
    return places, facts, problems


# --- the newer layout ------------------------------------------------------------------------------------------------


def _newer(path: Path, lines: list[str], wanted: Iterable[str]) -> VendorFile:
    version = lines[0].split(",")[0].removeprefix("Format=").strip()
    if version != "7":
        raise DataError(f"line 1: expected Format=7, found Format={version}; export the recording again", where=path)
    if len(lines) < 4:
        raise DataError(f"has {len(lines)} lines, expected three of header and rows below them", where=path)
    titles, groups, axes = (split_cells(line, _COMMA) for line in lines[:3])
    if not groups or groups[0] != "Time" or len(axes) != len(groups):
        raise DataError("line 2 and 3: expected 'Time', the groups' names, and an axis under each", where=path)
    names = _full_names(titles, groups, axes)
    places = _by_sensor(path, names)
    also = picked(wanted)
    table = Header(path, lines, names, 3, _COMMA)
    numbers = table.numbers(["Time", *(name for own in places.values() for c in own.values() for name in c), *also])
    stamps = numbers["Time"]
    _refuse_bad_times(path, stamps, table.first)
    sensors = {
        sensor: {signal: stacked(numbers, columns) for signal, columns in own.items()} for sensor, own in places.items()
    }
    present = {signal for own in places.values() for signal in own}
    return VendorFile(
        path, sensors, {signal: _FACTS[signal] for signal in _FACTS if signal in present},
        time_s=(stamps - stamps[0]) * 1e-6, columns={name: numbers[name] for name in also},
    )  # fmt: skip


def _full_names(titles: list[str], groups: list[str], axes: list[str]) -> tuple[str, ...]:
    """Return ``sensor/group/axis`` for every column."""
    names, sensor, group = ["Time"], "", ""
    for index in range(1, len(groups)):
        if groups[index]:
            group = groups[index]
        if groups[index] == _GROUPS["acc"][0]:
            after = index + _NAME_AFTER
            sensor = (titles[after] if after < len(titles) else "") or (titles[index] if index < len(titles) else "")
        names.append(f"{sensor}/{group}/{axes[index]}" if axes[index] else f"{sensor}/{group}")
    return tuple(names)


def _by_sensor(path: Path, names: tuple[str, ...]) -> dict[str, dict[str, list[str]]]:
    places: dict[str, dict[str, list[str]]] = {}
    problems = []
    for sensor in dict.fromkeys(name.split("/")[0] for name in names[1:]):
        if not sensor:
            problems.append("line 1: a sensor has neither a name nor a serial number")
            continue
        for signal, (group, axes) in _GROUPS.items():
            columns = [f"{sensor}/{group}/{axis}" for axis in axes]
            count = sum(names.count(column) for column in columns)
            if count > len(columns):
                problems.append(f"line 1: two sensors are called '{sensor}'; name them apart and export again")
                break
            if 0 < count < len(columns):
                problems.append(f"line 3, {sensor}: expected {', '.join(axes)} under {group}; export the whole vector")
            elif count:
                places.setdefault(sensor, {})[signal] = columns
    if not places and not problems:
        problems.append("line 2: expected Accelerometer, Gyroscope, Magnetometer or Orientation, found none")
    if problems:
        raise DataError(problems, where=path)
    return places


def _refuse_bad_times(path: Path, time: FloatArray, first: int) -> None:
    missing = np.flatnonzero(~np.isfinite(time))
    if missing.size:
        raise DataError(
            (f"line {first + 1 + row}, column 'Time': expected a time, found none" for row in missing[:_SHOWN]),
            where=path,
        )
    back = np.flatnonzero(np.diff(time) <= 0)
    if back.size:
        raise DataError(
            (
                f"line {first + 2 + row}: the time does not rise ({time[row]:.6f} to {time[row + 1]:.6f}); rows are "
                "doubled or out of order"
                for row in back[:_SHOWN]
            ),
            where=path,
        )


def _positive(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value < 1e5 else None


# --- HDF5 ------------------------------------------------------------------------------------------------------------

_KEEP = ("*/Time", "*/Calibrated/*", "*/Accelerometer", "*/Gyroscope", "*/Magnetometer", "*/Orientation")
_OLD_SETS = {"acc": "Accelerometers", "gyr": "Gyroscopes", "mag": "Magnetometers", "quat": "Orientation"}
_NEW_SETS = {"acc": "Accelerometer", "gyr": "Gyroscope", "mag": "Magnetometer"}


def read_h5(path: Path, wanted: Iterable[str] = ()) -> VendorFile:
    """Read an HDF5 recording of file format version 3, 4 or 5; ``wanted`` are further datasets by path.

    Raises ``DataError`` (all problems at once) where it is none, a sensor lacks its name, clock or signals, or the
    sensors' clocks are not one; ``UsageError`` where the package h5py is not installed.
    """
    also = picked(wanted)
    file = read_hdf5(path, (*_KEEP, *also))
    version = file.attribute("", "FileFormatVersion")
    if version is None:
        raise DataError("expected the attribute FileFormatVersion of an APDM recording, found none", where=path)
    new = any(name.startswith("Sensors/") for name in file.datasets)
    found = _new_sensors(file) if new else _old_sensors(file)
    sensors, problems = {}, []
    stamps: dict[str, FloatArray] = {}
    for label, sets in found.items():
        own, wrong = _own_signals(file, label, sets)
        problems += wrong
        sensors[label], stamps[label] = own, file.datasets.get(sets["time"], np.zeros(0))
    problems += [f"there is no dataset '{name}'" for name in also if name not in file.datasets]
    if not found:
        problems.append("expected sensors (groups of CaseIdList, or /Sensors), found none")
    if not problems:
        problems = _clock_problems(stamps)
    if problems:
        raise DataError(problems, where=path)
    time = next(iter(stamps.values()))
    present = {signal for own in sensors.values() for signal in own}
    rates = [_positive(str(file.attribute(sets["group"], "SampleRate"))) for sets in found.values()]
    return VendorFile(
        path, sensors, {signal: _FACTS[signal] for signal in _FACTS if signal in present},
        time_s=(time - time[0]) * 1e-6, rate_hz=rates[0] if not new else None,
        columns={name: file.datasets[name] for name in also},
    )  # fmt: skip


def _old_sensors(file: Hdf5) -> dict[str, dict[str, str]]:
    """Return the datasets of each sensor by its label: versions 3 and 4 list cases and labels in one order."""
    cases = [text_of(name) for name in file.listed("", "CaseIdList")]
    labels = [text_of(name) for name in file.listed("", "MonitorLabelList")]
    return {
        label or case: {
            "group": case, "time": f"{case}/Time",
            **{signal: f"{case}/Calibrated/{name}" for signal, name in _OLD_SETS.items()},
        }
        for case, label in zip(cases, labels, strict=False)
    }  # fmt: skip


def _new_sensors(file: Hdf5) -> dict[str, dict[str, str]]:
    """Return the datasets of each sensor by its label: version 5 has a group for each serial number."""
    serials = dict.fromkeys(name.split("/")[1] for name in file.datasets if name.startswith("Sensors/"))
    found = {}
    for serial in serials:
        label = text_of(file.attribute(f"Sensors/{serial}/Configuration", "Label 0") or "") or serial
        group = f"Sensors/{serial}"
        found[label] = {
            "group": group, "time": f"{group}/Time", "quat": f"Processed/{serial}/Orientation",
            **{signal: f"{group}/{name}" for signal, name in _NEW_SETS.items()},
        }  # fmt: skip
    return found


def _own_signals(file: Hdf5, label: str, sets: Mapping[str, str]) -> tuple[dict[str, FloatArray], list[str]]:
    own, problems = {}, []
    time = file.datasets.get(sets["time"])
    if time is None or time.ndim != 1:
        return {}, [f"sensor '{label}': there is no '{sets['time']}' of one time a sample"]
    for signal, width in (("acc", 3), ("gyr", 3), ("mag", 3), ("quat", 4)):
        values = file.datasets.get(sets[signal])
        if values is None:
            continue
        if values.shape != (time.size, width):
            problems.append(f"'{sets[signal]}': expected {(time.size, width)} numbers, found {values.shape}")
        else:
            own[signal] = values
    if not own and not problems:
        problems.append(f"sensor '{label}': expected calibrated signals, found none; convert the recording again")
    return own, problems


def _clock_problems(stamps: Mapping[str, FloatArray]) -> list[str]:
    """Return what is wrong with the sensors' stamps (microseconds), which must be one clock's, row by row."""
    first_label, first = next(iter(stamps.items()))
    if first.size < 2:
        return [f"sensor '{first_label}': holds {first.size} sample, expected at least 2"]
    if not np.isfinite(first).all() or (np.diff(first) <= 0).any():
        row = int(np.argmax(~(np.diff(first) > 0)))
        return [f"sensor '{first_label}': the time does not rise after sample {row}"]
    half = 0.5 * float(np.median(np.diff(first)))
    return [
        f"sensors '{first_label}' and '{label}' have {first.size} and {time.size} samples whose times are not the "
        "same; convert the recording again, synchronised"
        for label, time in stamps.items()
        if time.size != first.size or not np.abs(time - first).max() <= half
    ]
