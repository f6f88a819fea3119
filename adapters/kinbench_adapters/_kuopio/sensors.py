"""The sensors of one trial, as they were extracted from Xsens' own files: ``data_<trial>.mat``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from kinbench.errors import DataError
from kinbench_adapters._formats.arrays import Tree, read_mat_tree
from kinbench_adapters._kuopio.wearing import Worn

FloatArray = NDArray[np.float64]

RATE_HZ = 100.0
VARIABLE = "sensors"
_WANTED = (f"{VARIABLE}.*.calibratedAcceleration", f"{VARIABLE}.*.sdi.dq")
_UNIT = 0.05
"""How far from 1 the length of an orientation increment may be."""


@dataclass(frozen=True)
class Sensors:
    """``acc`` and ``gyr`` (n, k, 3) in m s-2 and rad s-1 of the ``serials`` that are placed, NaN where not read.

    ``left_out`` names those that nobody placed, ``shorter`` how many samples a sensor has less than the longest,
    ``lost`` how many of its rows were not read.
    """

    serials: tuple[str, ...]
    acc: FloatArray
    gyr: FloatArray
    left_out: tuple[str, ...]
    shorter: Mapping[str, int]
    lost: Mapping[str, int]


def read_sensors(path: Path, wearing: Mapping[str, Worn]) -> Sensors:
    """Return the sensors that are placed; raises ``DataError`` where there is none, or one is not as published.

    A row of acceleration that was never read is all zero, which no accelerometer measures; the increment of such a
    row is empty. Angular rate is the rotation vector of the orientation increment ``sdi.dq`` (w, x, y, z) times the
    rate. All sensors begin together; where their lengths differ, the rest is missing.
    """
    told = read_mat_tree(path, keep=_WANTED).get(VARIABLE)
    if not isinstance(told, dict):
        raise DataError(f"expected a struct '{VARIABLE}' with one field a sensor, found none", where=path)
    by_serial = {serial.upper(): fields for serial, fields in told.items()}
    placed = [serial for serial in by_serial if serial in wearing]
    if not placed:
        raise DataError(
            f"no sensor of {', '.join(by_serial) or 'none'} is placed on a segment; name them in sensors.csv, from "
            "the dataset's readme.txt",
            where=path,
        )
    signals, problems = {}, []
    for serial in placed:
        try:
            signals[serial] = _signals(by_serial[serial])
        except DataError as error:
            problems += [f"{VARIABLE}.{serial}: {text}" for text in error.problems]
    if problems:
        raise DataError(problems, where=path)
    longest = max(len(acc) for acc, _ in signals.values())
    return Sensors(
        tuple(placed),
        np.stack([_padded(acc, longest) for acc, _ in signals.values()], axis=1),
        np.stack([_padded(gyr, longest) for _, gyr in signals.values()], axis=1),
        tuple(serial for serial in by_serial if serial not in wearing),
        {serial: longest - len(acc) for serial, (acc, _) in signals.items() if len(acc) < longest},
        {
            serial: lost
            for serial, (acc, gyr) in signals.items()
            if (lost := int((~np.isfinite(np.hstack([acc, gyr])).all(axis=1)).sum()))
        },
    )


def _signals(fields: Tree) -> tuple[FloatArray, FloatArray]:
    """Return one sensor's acc (n, 3) and gyr (n, 3); what one has more rows than the other is cut off."""
    if not isinstance(fields, dict):
        raise DataError("expected a struct with calibratedAcceleration and sdi, found something else")
    acc = fields.get("calibratedAcceleration")
    if not isinstance(acc, np.ndarray) or acc.ndim != 2 or acc.shape[1] != 3:
        raise DataError("expected calibratedAcceleration of n x 3 numbers, found something else")
    gyr = _rates(fields.get("sdi"))
    rows = min(len(acc), len(gyr))
    found = acc[:rows].copy()
    found[(found == 0).all(axis=1) | ~np.isfinite(found).all(axis=1)] = np.nan
    if rows < 2 or not np.isfinite(found).any() or not np.isfinite(gyr).any():
        raise DataError("no row of it was read")
    return found, gyr[:rows]


def _rates(increments: Tree | None) -> FloatArray:
    listed = (increments,) if isinstance(increments, dict) else increments
    if not isinstance(listed, tuple) or not all(isinstance(item, dict) and "dq" in item for item in listed):
        raise DataError("expected a struct array sdi with a field dq, found something else")
    quat = np.full((len(listed), 4), np.nan)
    for row, item in enumerate(listed):
        value = item.get("dq") if isinstance(item, dict) else None
        if isinstance(value, np.ndarray) and value.size == 4:
            quat[row] = value.reshape(-1)
    known = np.abs(np.linalg.norm(quat, axis=1) - 1.0) < _UNIT
    rates = np.full((len(quat), 3), np.nan)
    rates[known] = Rotation.from_quat(quat[known], scalar_first=True).as_rotvec() * RATE_HZ
    return rates


def _padded(values: FloatArray, length: int) -> FloatArray:
    padded = np.full((length, 3), np.nan)
    padded[: len(values)] = values
    return padded
