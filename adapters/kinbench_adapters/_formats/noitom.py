"""Read Noitom text exports: calculation files of Axis Neuron and CSV of Axis Studio.

The number of frames may stand on line 1; then a row of names ``<Bone>-Sensor-Acce-x``, ``<Bone>-Sensor-Gyro-x``,
``<Bone>-Bone-Quat-w``, ``<Bone>-Sensor-Lost``, whose order varies. A lost sample has zeros, which are missing values
and become NaN. A file tells neither its rate (60 Hz is usual for Axis Studio, 120 Hz for Axis Neuron) nor its units
(the MoVi set's suit told g and rad s-1), nor which way its quaternions map: rate and units are asked for, and
quaternions are columns by name. Checked on files made in the documented layout, not on a real export.
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

_VECTOR = re.compile(r"^(?P<bone>.+)-Sensor-(?P<channel>Acce|Gyro)-(?P<axis>[xyz])$")
_NAME = re.compile(r"^.+-(Sensor|Bone|Joint)-")
_SIGNALS = {"Acce": "acc", "Gyro": "gyr"}
_LOST = "{bone}-Sensor-Lost"
_HEAD_LINES = 10


def read_vendor(
    path: Path, wanted: Iterable[str] = (), *, acc_unit: str | None = None, acc_kind: str | None = None,
    gyr_unit: str | None = None,
) -> VendorFile:  # fmt: skip
    """Read one export; ``wanted`` are further columns by name.

    ``acc_unit``, ``gyr_unit`` (the schema's words) and ``acc_kind`` say what the file does not; a signal without them
    is left out and noted. Raises ``DataError`` naming line and column (all problems at once) where the file has no such
    names, a vector is not whole, rows are damaged, or the number of frames is not the one told.
    """
    table = _table(path, text_lines(path))
    vectors, problems = _vectors(table)
    also = picked(wanted)
    if not vectors and not also:
        problems.append(f"line {table.first}: expected names such as 'Hips-Sensor-Acce-x', found none; export sensors")
    problems += _frames_problems(table)
    if problems:
        raise DataError(problems, where=path)
    lost = {bone: _LOST.format(bone=bone) for bone in vectors if _LOST.format(bone=bone) in table.names}
    facts: dict[str, dict[str, Any]] = {}
    if acc_unit is not None and acc_kind is not None:
        facts["acc"] = acceleration(acc_unit, acc_kind)
    if gyr_unit is not None:
        facts["gyr"] = in_sensor(gyr_unit)
    names = [c for own in vectors.values() for signal, columns in own.items() if signal in facts for c in columns]
    numbers = table.numbers([*names, *lost.values(), *also])
    sensors, notes = {}, []
    for bone, own in vectors.items():
        sensors[bone] = {signal: stacked(numbers, columns) for signal, columns in own.items() if signal in facts}
        if bone in lost:
            gone = numbers[lost[bone]] != 0
            for values in sensors[bone].values():
                values[gone] = np.nan
            notes += [f"{bone}: {int(gone.sum())} lost samples made missing"] if gone.any() else []
    present = {signal for own in vectors.values() for signal in own}
    notes += [
        f"{signal} left out: say {options} of the reader, which the file does not tell"
        for signal, options in (("acc", "'acc_unit' and 'acc_kind'"), ("gyr", "'gyr_unit'"))
        if signal in present - set(facts)
    ]
    return VendorFile(
        path, {bone: own for bone, own in sensors.items() if own},
        {signal: fact for signal, fact in facts.items() if signal in present},
        columns={name: numbers[name] for name in also}, notes=tuple(notes),
    )  # fmt: skip


def _table(path: Path, lines: list[str]) -> Header:
    for row, line in enumerate(lines[:_HEAD_LINES]):
        if re.search(r"-(Sensor|Bone|Joint)-", line):
            table = table_at(path, lines, row)
            if any(_NAME.match(name) for name in table.names):
                return table
    raise DataError(
        f"expected a row of names such as 'Hips-Sensor-Acce-x' in the first {_HEAD_LINES} lines, found none; this is "
        "no Noitom export",
        where=path,
    )


def _vectors(table: Header) -> tuple[dict[str, dict[str, list[str]]], list[str]]:
    axes: dict[tuple[str, str], list[str]] = {}
    for name in table.names:
        match = _VECTOR.match(name)
        if match is not None:
            axes.setdefault((match["bone"], match["channel"]), []).append(name)
    vectors: dict[str, dict[str, list[str]]] = {}
    problems = []
    for (bone, channel), present in axes.items():
        columns = [f"{bone}-Sensor-{channel}-{axis}" for axis in "xyz"]
        problem = group_problems(columns, present)
        if problem is not None:
            problems.append(f"line {table.first}: {problem}")
        else:
            vectors.setdefault(bone, {})[_SIGNALS[channel]] = columns
    return vectors, problems


def _frames_problems(table: Header) -> list[str]:
    told = table.lines[0].strip().strip(",;")
    rows = len(table.lines) - table.first
    if not told.isdecimal() or table.first < 2 or int(told[:12]) == rows:
        return []
    return [f"line 1 says {told[:12]} frames, {rows} rows follow; the file was cut short"]
