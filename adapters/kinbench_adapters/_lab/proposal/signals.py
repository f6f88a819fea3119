"""The sensors and signals in files: by the names of columns, or by the numbers where there are none worth the name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kinbench_adapters._lab.proposal.looks import Look
from kinbench_adapters._lab.proposal.vocabulary import read_label, read_signal, read_unit

FloatArray = NDArray[np.float64]

SIGNALS = ("acc", "gyr", "mag", "quat")
_UNIT_NORM = 0.02
_ORDER = {"wxyz": ("w", "x", "y", "z"), "xyzw": ("x", "y", "z", "w")}
_AXIS_NAMES = {3: ({"x": 0, "y": 1, "z": 2}, {"1": 0, "2": 1, "3": 2}, {"0": 0, "1": 1, "2": 2})}


@dataclass(frozen=True)
class Found:
    """One sensor's signal in one file: the columns as the manifest calls them, and the numbers (n, 3 or 4)."""

    columns: tuple[str, ...]
    values: FloatArray
    unit: str | None = None
    """What the file says of it."""
    order: str | None = None
    """Of a quaternion, where the names of the columns tell."""


@dataclass(frozen=True)
class Signals:
    """What was found in one file: by sensor ('' where the file is one sensor's) and signal; and how it was told."""

    of: Mapping[str, Mapping[str, Found]]
    how: str
    by_names: bool
    notes: tuple[str, ...] = field(default=())


def find_signals(look: Look) -> Signals | None:
    """Return the sensors and signals of a file; None where it holds neither acceleration nor angular rate."""
    if look.vendor is not None:
        sensors = {
            name: {signal: Found((), values) for signal, values in held.items()}
            for name, held in look.vendor.sensors.items()
        }
        return Signals(sensors, f"the format ({look.reader['name']})", True) if sensors else None
    by_names = _by_names(look)
    if any({"acc", "gyr"} & set(held) for held in by_names.values()):
        return Signals(by_names, "the names of the columns", True)
    by_file = _by_file_name(look)
    if by_file is not None:
        return by_file
    if any(label and any(c.isalpha() for c in label) for label in look.labels.values()):
        return None
    return _by_numbers(look)


def _by_names(look: Look) -> dict[str, dict[str, Found]]:
    """Group the columns that name a signal and an axis, by sensor; wide columns by the signal alone."""
    groups: dict[tuple[str, str], dict[str, tuple[str, str]]] = {}
    for column, label in look.labels.items():
        told = read_label(label) or read_label(column)
        if told is None or told.signal == "free_acc" or look.columns[column].ndim != 1:
            continue
        groups.setdefault((told.sensor, told.signal), {})[told.axis] = (column, told.unit)
    found: dict[str, dict[str, Found]] = {}
    for (sensor, signal), axes in groups.items():
        made = _quaternion(look, axes) if signal == "quat" else _vector(look, axes)
        if made is not None:
            found.setdefault(sensor, {})[signal] = made
    return found


def _vector(look: Look, axes: Mapping[str, tuple[str, str]]) -> Found | None:
    for names in _AXIS_NAMES[3]:
        if set(axes) == set(names):
            ordered = sorted(axes, key=lambda axis: names[axis])
            columns = tuple(axes[axis][0] for axis in ordered)
            units = {read_unit(axes[axis][1]) for axis in ordered}
            return Found(columns, _stacked(look, columns), units.pop() if len(units) == 1 else None)
    return None


def _quaternion(look: Look, axes: Mapping[str, tuple[str, str]]) -> Found | None:
    if set(axes) == {"w", "x", "y", "z"}:
        columns = tuple(axes[axis][0] for axis in "wxyz")
        return Found(columns, _stacked(look, columns), None, "wxyz")
    if set(axes) in ({"0", "1", "2", "3"}, {"1", "2", "3", "4"}):
        columns = tuple(axes[axis][0] for axis in sorted(axes))
        return Found(columns, _stacked(look, columns))
    return None


def _stacked(look: Look, columns: Sequence[str]) -> FloatArray:
    return np.column_stack([look.columns[column] for column in columns])


def _by_file_name(look: Look) -> Signals | None:
    """Columns of three numbers a row in a file whose name speaks of a signal: markers that are none."""
    wide = {name: values for name, values in look.columns.items() if values.ndim == 2 and values.shape[1] in (3, 4)}
    signal = read_signal(look.path.stem)
    if not wide or len(wide) < len(look.columns) or signal not in SIGNALS:
        return None
    if any(values.shape[1] != (4 if signal == "quat" else 3) for values in wide.values()):
        return None
    of = {name: {signal: Found((name,), values)} for name, values in wide.items()}
    return Signals(of, f"the file's name, '{look.path.name}'", True)


def _by_numbers(look: Look) -> Signals | None:
    """Columns without names: blocks of equal make, each with a triple whose length is gravity's while it is still."""
    columns = list(look.columns)
    if not 3 <= len(columns) <= 400 or any(values.ndim != 1 for values in look.columns.values()):
        return None
    table = np.column_stack([look.columns[column] for column in columns])
    start = next((index for index in range(2) if not _counts_up(table[:, index])), 2)
    kinds: list[tuple[str, int]] = []
    index = start
    while index < table.shape[1]:
        kind = _kind_at(table, index)
        if kind is None:
            return None
        kinds.append((kind, index))
        index += 4 if kind == "quat" else 3
    block = _period([kind for kind, _ in kinds])
    names = [kind for kind, _ in kinds[:block]]
    if "acc" not in names or len(set(names)) < len(names) or len(kinds) % block:
        return None
    of: dict[str, dict[str, Found]] = {}
    for place, (kind, first) in enumerate(kinds):
        width = 4 if kind == "quat" else 3
        chosen = tuple(columns[first : first + width])
        of.setdefault(f"s{place // block + 1}", {})[kind] = Found(chosen, table[:, first : first + width])
    return Signals(of, f"the numbers: {len(of)} blocks of {' and '.join(names)}", False)


def _counts_up(values: FloatArray) -> bool:
    steps = np.diff(values[np.isfinite(values)])
    return bool(len(steps) and (steps >= 0).mean() > 0.99 and (steps > 0).mean() > 0.9)


def _kind_at(table: FloatArray, first: int) -> str | None:
    """Return what the columns from ``first`` on hold, by what no other signal does."""
    four = table[:, first : first + 4]
    lengths = np.linalg.norm(four, axis=1)
    if four.shape[1] == 4 and np.nanpercentile(np.abs(lengths - 1), 95) < _UNIT_NORM:
        return "quat"
    three = table[:, first : first + 3]
    if three.shape[1] < 3:
        return None
    length = np.linalg.norm(three, axis=1)
    low, middle, high = np.nanpercentile(length, (1, 50, 99))
    if middle <= 0:
        return None
    # Gravity is always in it: it never stays near nothing, as the angular rate does whenever the sensor is still.
    for gravity in (9.81, 1.0, 1000.0):
        still = gravity != 1.0 and abs(middle / gravity - 1) < 0.05  # a magnetic field is about 1 too
        if abs(middle / gravity - 1) < 0.25 and low > 0.12 * middle and (still or high > 1.1 * gravity):
            return "acc"
    if low < 0.25 * high and abs(np.nanmean(three, axis=0)).max() < 0.5 * high:
        return "gyr"
    if high < 1.5 * low:
        return "mag"
    return None


def _period(kinds: Sequence[str]) -> int:
    """Return the shortest length with which the kinds repeat themselves."""
    return next(n for n in range(1, len(kinds) + 1) if all(kinds[i] == kinds[i % n] for i in range(len(kinds))))
