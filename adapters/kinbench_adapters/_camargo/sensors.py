"""The four sensors: their unit and axes, each held against physics before it is believed.

Users of the dataset disagree on both. Their accelerations are in g (one card says m s-2): the median size of specific
force decides, which is 1 g for anybody who walks or stands. One turns raw vectors by x' = y, y' = -x, z' = z into axes
with y' up and z' out of the skin; another takes raw x to point up: gravity decides. With z out of the front of the
limb, ours are X = z', Y = y', Z = -x' (X anterior, Y proximal, Z right). Whether that is the front is told by the knee:
its rate is the difference of the two sensors' rates about Z. A sensor that does not fit keeps an unknown rotation, as
the foot's does: on the instep nobody has published how it lies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench_adapters._camargo.tables import Table

FloatArray = NDArray[np.float64]

RATE_HZ = 200.0
PLACES: Mapping[str, tuple[str, str, str, str]] = {
    "trunk": ("trunk", "midline", "anterior", "unknown"),
    "thigh": ("thigh_r", "right", "anterior", "unknown"),
    "shank": ("shank_r", "right", "anterior", "unknown"),
    "foot": ("foot_r", "right", "dorsum", "mid"),
}
"""The dataset's names and where the sensors sit: segment, side, site, level."""
READINGS: Mapping[str, FloatArray] = {
    "x down": np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
    "x up": np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
}
"""Sensor to segment, the published reading first."""
ON_LIMB = ("trunk", "thigh", "shank")

_UNITS = {"g": (0.85, 1.3), "m s-2": (8.3, 12.7)}
"""Median size of specific force: at rest 1 g, in walking and running up to a tenth more."""
TILT_LIMIT_DEG = 35.0
_WINDOW = 100
_STILL_RAD_S = 0.15
FOLLOWED_R = 0.6
_MOVES_RAD_S = 0.3
_SCALE = (0.5, 2.0)
_TURN_RAD_S = 40.0
"""No sensor of such a suit measures more than 35 rad s-1, and none on a walking person more than 20."""
_LEAST_S = 2.0


@dataclass(frozen=True)
class Sensors:
    """``acc`` in ``unit`` and ``gyr`` in rad s-1, (n, k, 3), of the sensors ``names``, on the file's clock.

    ``size`` is the median size of specific force in that unit, ``absent`` the sensors without columns.
    """

    names: tuple[str, ...]
    time: FloatArray
    acc: FloatArray
    gyr: FloatArray
    unit: str
    size: float
    absent: tuple[str, ...]

    def of(self, name: str) -> tuple[FloatArray, FloatArray]:
        """Return one sensor's acc (n, 3) and gyr (n, 3)."""
        place = self.names.index(name)
        return self.acc[:, place], self.gyr[:, place]


@dataclass(frozen=True)
class Axes:
    """What was found of the axes: ``rotations`` (3, 3) or None by sensor, ``flags``, and the ``evidence``."""

    rotations: Mapping[str, FloatArray | None]
    flags: tuple[str, ...]
    evidence: Mapping[str, object]


def read_sensors(table: Table) -> Sensors:
    """Return the sensors of an ``imu`` table; raises ``DataError`` for a clock, unit or signals that none can have."""
    time = clock(table)
    names = [name for name in PLACES if all(column in table.numbers for column in _columns(name))]
    if not names:
        raise DataError("expected columns such as 'thigh_Accel_X' and 'thigh_Gyro_X', found none", where=table.path)
    signals = np.stack([np.stack([table.column(c) for c in _columns(name)], axis=1) for name in names], axis=1)
    acc, gyr = signals[..., :3], signals[..., 3:]
    gone = ~np.isfinite(signals).all(axis=2) | (acc == 0).all(axis=2)
    acc, gyr = (np.where(gone[..., None], np.nan, values) for values in (acc, gyr))
    if gone.all(axis=0).any():
        lost = ", ".join(name for name, all_gone in zip(names, gone.all(axis=0), strict=True) if all_gone)
        raise DataError(f"{lost}: every sample is missing", where=table.path)
    size = {name: float(np.nanmedian(np.linalg.norm(acc[:, place], axis=1))) for place, name in enumerate(names)}
    units = {unit for unit, (low, high) in _UNITS.items() if all(low <= one <= high for one in size.values())}
    if len(units) != 1:
        told = ", ".join(f"{name} {one:.3g}" for name, one in size.items())
        raise DataError(
            f"expected specific force of about 1 g or 9.8 m s-2 in the middle of every sensor's values, found {told}: "
            "its unit is neither",
            where=table.path,
        )
    fastest = float(np.nanpercentile(np.linalg.norm(gyr, axis=2), 99.9))
    if fastest > _TURN_RAD_S:
        raise DataError(
            f"expected angular rates in rad s-1, found {fastest:.0f}, which no walking person reaches: degrees?",
            where=table.path,
        )
    absent = tuple(name for name in PLACES if name not in names)
    return Sensors(tuple(names), time, acc, gyr, units.pop(), round(float(np.median(list(size.values()))), 4), absent)


def clock(table: Table) -> FloatArray:
    """Return a table's ``Header`` (n,) in seconds; raises ``DataError`` where it is no clock of ``RATE_HZ``."""
    time = table.column("Header")
    if len(time) < 2 or not np.isfinite(time).all() or not (np.diff(time) > 0).all():
        raise DataError("'Header': expected seconds that increase from row to row, found others", where=table.path)
    rate = 1.0 / float(np.median(np.diff(time)))
    if abs(rate - RATE_HZ) > 0.01 * RATE_HZ:
        raise DataError(f"'Header': expected {RATE_HZ:g} rows a second, found {rate:.4g}", where=table.path)
    return time


def _columns(name: str) -> list[str]:
    return [f"{name}_{kind}_{axis}" for kind in ("Accel", "Gyro") for axis in "XYZ"]


# --- axes -------------------------------------------------------------------------------------------------------------


def find_axes(sensors: Sensors, knee_time: FloatArray | None, knee_deg: FloatArray | None) -> Axes:
    """Return each sensor's rotation to its segment, as far as gravity and the knee bear the published one out.

    ``knee_deg`` (n,) is the right knee's flexion in degrees at ``knee_time``, None where there is none. Raises
    ``DataError`` where the sensors follow the knee at another scale: one of the two is in another unit.
    """
    inside, told = _resting(sensors)
    rotations: dict[str, FloatArray | None] = dict.fromkeys(sensors.names)
    flags = []
    tilts: dict[str, object] = {}
    for name in (name for name in ON_LIMB if name in sensors.names):
        mean = np.nanmean(sensors.of(name)[0][inside], axis=0)
        off = {reading: _off_deg(matrix, mean) for reading, matrix in READINGS.items()}
        best = min(off, key=lambda reading: off[reading])
        tilts[name] = {"axes": best, "off_deg": off[best]}
        if off[best] > TILT_LIMIT_DEG:
            flags.append(f"gravity_off:{name}")
            continue
        rotations[name] = READINGS[best]
        if best != next(iter(READINGS)):
            flags.append(f"axes_by_gravity:{name}")
    knee = _knee(sensors, rotations, knee_time, knee_deg)
    if knee is None:
        flags.append("flexion_axes_unchecked")
    elif not knee["r"] >= FOLLOWED_R:
        flags.append("flexion_axes_contradict_knee")
        rotations |= {"thigh": None, "shank": None}
    return Axes(rotations, tuple(flags), {"gravity_by": told, "tilt": tilts, "knee": knee})


def _resting(sensors: Sensors) -> tuple[NDArray[np.bool_], str]:
    """Return the samples (n,) at rest, or all where the person never rests long enough."""
    windows = len(sensors.time) // _WINDOW
    turning = np.linalg.norm(sensors.gyr, axis=2)[: windows * _WINDOW].reshape(windows, _WINDOW, -1)
    with np.errstate(invalid="ignore"):
        still = (np.sqrt((turning**2).mean(axis=1)) < _STILL_RAD_S).all(axis=1)
    inside = np.zeros(len(sensors.time), dtype=bool)
    inside[: windows * _WINDOW] = np.repeat(still, _WINDOW)
    if inside.any():
        return inside, f"{int(still.sum())} windows of rest"
    return np.ones(len(sensors.time), dtype=bool), "mean specific force of the whole trial; nobody rests"


def _off_deg(matrix: FloatArray, felt: FloatArray) -> float:
    cosine = float((matrix @ felt)[1] / np.linalg.norm(felt))
    return round(float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))), 1)


def _knee(
    sensors: Sensors, rotations: Mapping[str, FloatArray | None], time: FloatArray | None, angle_deg: FloatArray | None
) -> dict[str, float] | None:
    """Return how the sensors' rates about Z follow the knee's, None where that cannot be told."""
    thigh, shank = rotations.get("thigh"), rotations.get("shank")
    if thigh is None or shank is None or time is None or angle_deg is None:
        return None
    rate = np.gradient(np.radians(angle_deg), time)
    inside = (sensors.time >= time[0]) & (sensors.time <= time[-1])
    knee = np.interp(sensors.time[inside], time, rate)
    seen = (sensors.of("thigh")[1] @ thigh.T)[inside, 2] - (sensors.of("shank")[1] @ shank.T)[inside, 2]
    known = np.isfinite(knee) & np.isfinite(seen)
    if known.sum() < _LEAST_S * RATE_HZ or max(knee[known].std(), seen[known].std()) < _MOVES_RAD_S:
        return None
    r = float(np.corrcoef(knee[known], seen[known])[0, 1])
    scale = float(seen[known] @ knee[known] / (knee[known] @ knee[known]))
    if r >= FOLLOWED_R and not _SCALE[0] <= scale <= _SCALE[1]:
        raise DataError(
            f"expected thigh and shank to turn against each other as fast as the knee, found {scale:.3g} times that: "
            "their rates are not in rad s-1, or the angles not in degrees"
        )
    return {"r": round(r, 4), "scale": round(scale, 4)}
