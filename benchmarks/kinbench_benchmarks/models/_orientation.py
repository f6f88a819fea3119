"""How each sensor of a recording stands in the world: by VQF from its own signals, or as its device says.

The world has Y up; its heading is a sensor's own where no magnetometer tells one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from kinbench.errors import DataError, UsageError, suggest
from kinbench.kinematics import matrices, quaternions
from kinbench.windows import Stream

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

SOURCES = ("vqf", "device")
BRIDGED_S = 0.1
"""Lost samples up to this long are drawn linearly for the filter; over a longer gap it starts anew."""
SHORTEST_S = 1.0
"""What is shorter between two gaps tells VQF no orientation: it takes as long to settle."""
HELD_S = 0.06
"""At the ends of what is known, the last value stands for the grid's next samples."""
REST_S = 1.0
RESTING_RAD_S, RESTING_M_S2 = 0.2, 0.5
"""A person stands where, for ``REST_S``, no sensor's rate and acceleration vary by more than this (an SD)."""
_FAR = 1e4
_Y_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""A world of east, north, up turned to X, Y up, Z."""


def check_source(orientation: str, magnetometer: bool) -> None:
    """Raise ``UsageError`` for settings of where orientations come from that cannot be."""
    if orientation not in SOURCES:
        raise UsageError(
            f"orientation: expected {' or '.join(SOURCES)}, got '{orientation}'.{suggest(orientation, SOURCES)}"
        )
    if not isinstance(magnetometer, bool):
        raise UsageError(f"magnetometer: expected true or false, got {magnetometer!r}")
    if orientation == "device" and magnetometer:
        raise UsageError("magnetometer=true is VQF's; with orientation=device the device decided that by itself")


def orientation_on_grid(stream: Stream, segment: str, *, orientation: str, magnetometer: bool) -> FloatArray:
    """Return how the sensor on a segment stands, sensor to world (samples, 4), w first, NaN where it is not known.

    VQF (Laidig and Seel 2023, Inf. Fusion 91:187-204) runs over the sensor's own samples in its offline form, and what
    it says is drawn onto the grid. Raises ``DataError`` where there is no such sensor, or it lacks a signal.
    """
    index = sensor_of(stream, segment)
    if orientation == "device":
        return _device(stream, index, segment)
    return _filtered(stream, index, segment, magnetometer)


def sensor_of(stream: Stream, segment: str) -> int:
    """Return which sensor is on a segment; raises ``DataError`` where none is."""
    index = stream.sensor(segment)
    if index is None:
        raise DataError(f"there is no sensor on {segment}, beside a joint that is asked for")
    return index


# --- sources ---------------------------------------------------------------------------------------------------------


def _device(stream: Stream, index: int, segment: str) -> FloatArray:
    if "quat" not in stream.imu:
        raise DataError("the recording has no 'quat', the device's own orientation; take orientation=vqf")
    quat = np.asarray(stream.imu["quat"].values[:, index], dtype=np.float64)
    known = np.isfinite(quat).all(axis=1) & _valid(stream, index)
    if not known.any():
        raise DataError(f"the sensor on {segment} has no orientation of its device's")
    time_s = _clock_s(stream, index)[known]
    found = np.full((stream.time_s.size, 4), np.nan)
    smooth = quaternions(matrices(quat[known]))
    for start, stop in _stretches(time_s, _clock_s(stream, index), 0.0):
        _draw(found, stream.time_s, time_s[start:stop], smooth[start:stop])
    return found


def _filtered(stream: Stream, index: int, segment: str, magnetometer: bool) -> FloatArray:
    signals = _signals(stream, index, magnetometer)
    values = np.concatenate(signals[:2], axis=1)
    known = np.isfinite(values).all(axis=1) & _valid(stream, index)
    every_s = _clock_s(stream, index)
    time_s = every_s[known]
    magnetic = _gapless(every_s, signals[2], time_s, segment) if magnetometer else None
    found = np.full((stream.time_s.size, 4), np.nan)
    stretches = _stretches(time_s, every_s, SHORTEST_S)
    if not stretches:
        raise DataError(f"the sensor on {segment} has no {SHORTEST_S:g} s of acceleration and angular rate together")
    for start, stop in stretches:
        part = slice(start, stop)
        even_s, even = _evenly(time_s[part], values[known][part], float(np.median(np.diff(every_s))))
        field = None if magnetic is None else _interpolated(even_s, time_s[part], magnetic[part])
        _draw(found, stream.time_s, even_s, _vqf(even[:, 3:], even[:, :3], field, even_s))
    return found


def _signals(stream: Stream, index: int, magnetometer: bool) -> tuple[FloatArray, ...]:
    """Return acceleration, angular rate and, where it is asked for, the magnetic field, (n, 3) each."""
    names = ("acc", "gyr", "mag") if magnetometer else ("acc", "gyr")
    lacking = [name for name in names if name not in stream.imu]
    if lacking:
        ways = {
            "mag": "take magnetometer=false", "gyr": "take orientation=device where the device gives its orientation",
        }  # fmt: skip
        more = f"; {ways[lacking[0]]}" if lacking[0] in ways else ""
        raise DataError(f"VQF needs {', '.join(names)}, and the recording has no {' and no '.join(lacking)}{more}")
    if stream.imu["acc"].attrs.get("kind") != "specific_force":
        raise DataError("VQF needs gravity, and these accelerations are without it; take orientation=device")
    return tuple(np.asarray(stream.imu[name].values[:, index], dtype=np.float64) for name in names)


def _vqf(gyr: FloatArray, acc: FloatArray, mag: FloatArray | None, time_s: FloatArray) -> FloatArray:
    """Return quaternions (n, 4) sensor to world with Y up."""
    step_s = float((time_s[-1] - time_s[0]) / (time_s.size - 1))
    found = _offline()(*(None if part is None else np.ascontiguousarray(part) for part in (gyr, acc, mag)), step_s)
    return quaternions(_Y_UP @ matrices(found["quat6D" if mag is None else "quat9D"]))


def _offline() -> Any:
    try:
        from vqf import offlineVQF  # type: ignore[import-untyped, unused-ignore]
    except ImportError as error:
        raise UsageError("VQF is not installed; run 'pip install kinbench[filters]'.") from error
    return offlineVQF


# --- time ------------------------------------------------------------------------------------------------------------


def _clock_s(stream: Stream, index: int) -> FloatArray:
    """Return when a sensor's samples were taken: it may have a clock of its own."""
    time_s = np.asarray(stream.imu["time"].values, dtype=np.float64)
    return time_s + float(stream.imu["clock_offset_s"].values[index])


def _valid(stream: Stream, index: int) -> BoolArray:
    if "valid" not in stream.imu:
        return np.ones(stream.imu.sizes["time"], dtype=bool)
    return np.asarray(stream.imu["valid"].values[:, index], dtype=bool)


def _stretches(time_s: FloatArray, every_s: FloatArray, least_s: float) -> list[tuple[int, int]]:
    """Return the stretches [start, stop) of known samples between gaps, those that last long enough."""
    if every_s.size < 2 or not time_s.size:
        return []
    longest_s = max(BRIDGED_S, 1.5 * float(np.median(np.diff(every_s))))
    edges = [0, *(np.flatnonzero(np.diff(time_s) > longest_s) + 1).tolist(), time_s.size]
    return [
        (start, stop)
        for start, stop in pairwise(edges)
        if time_s[stop - 1] - time_s[start] >= least_s
    ]


def _evenly(time_s: FloatArray, values: FloatArray, step_s: float) -> tuple[FloatArray, FloatArray]:
    """Return evenly spaced instants over the same time, and values drawn linearly at them."""
    count = round((time_s[-1] - time_s[0]) / step_s) + 1
    even_s = np.linspace(time_s[0], time_s[-1], count)
    if count == time_s.size and np.abs(even_s - time_s).max() < 1e-3 * step_s:
        return even_s, values
    return even_s, _interpolated(even_s, time_s, values)


def _interpolated(at_s: FloatArray, time_s: FloatArray, values: FloatArray) -> FloatArray:
    return np.stack([np.interp(at_s, time_s, column) for column in values.T], axis=1)


def _gapless(every_s: FloatArray, field: FloatArray, time_s: FloatArray, segment: str) -> FloatArray:
    """Return the magnetic field at the instants of the other signals: it changes slowly, and may come less often."""
    known = np.isfinite(field).all(axis=1)
    if not known.any():
        raise DataError(f"the magnetometer on {segment} holds no sample; take magnetometer=false")
    return _interpolated(time_s, every_s[known], field[known])


def _draw(found: FloatArray, grid_s: FloatArray, time_s: FloatArray, quat: FloatArray) -> None:
    """Set the grid's samples within a stretch: linear between neighbours of one sign, of length one again."""
    inside = (grid_s >= time_s[0] - HELD_S) & (grid_s <= time_s[-1] + HELD_S)
    drawn = _interpolated(grid_s[inside], time_s, quat)
    found[inside] = drawn / np.sqrt((drawn**2).sum(axis=1, keepdims=True))


# --- standing --------------------------------------------------------------------------------------------------------


def at_rest(stream: Stream, segments: Sequence[str]) -> slice:
    """Return the first second of the grid in which no sensor on ``segments`` moves.

    Raises ``DataError`` where there is none.
    """
    time_s = np.asarray(stream.imu["time"].values, dtype=np.float64)
    length = max(2, round(REST_S * (time_s.size - 1) / (time_s[-1] - time_s[0])))
    still = np.ones(time_s.size)
    for segment in segments:
        for name, most in (("gyr", RESTING_RAD_S), ("acc", RESTING_M_S2)):
            if name in stream.imu:
                values = np.asarray(stream.imu[name].values[:, sensor_of(stream, segment)], dtype=np.float64)
                still *= _variation(values, length) <= most
    inside = np.flatnonzero(still[length // 2 : time_s.size - length // 2])
    if not inside.size:
        raise DataError(
            f"the pose needs {REST_S:g} s in which the person stands still, and the recording has none"
        )
    start_s = time_s[inside[0]]
    first, last = np.searchsorted(stream.time_s, [start_s, start_s + REST_S])
    return slice(int(first), max(int(last), int(first) + 1))


def _variation(values: FloatArray, length: int) -> FloatArray:
    """Return the largest SD of any axis (n,) about each sample; a huge one where a sample is missing."""
    known = np.asarray(np.isfinite(values).all(axis=1))
    filled = np.where(known[:, None], values, _FAR)
    filled = filled - np.median(filled, axis=0)
    mean = uniform_filter1d(filled, length, axis=0, mode="nearest")
    square = uniform_filter1d(filled**2, length, axis=0, mode="nearest")
    return np.asarray(np.sqrt(np.maximum(square - mean**2, 0.0)).max(axis=1))


def mean_rotation(quat: FloatArray) -> FloatArray:
    """Return the mean (3, 3) of quaternions (n, 4), NaN among them (Markley et al. 2007, J. Guid. 30:1193-1197).

    Raises ``DataError`` where none is known.
    """
    known = quat[np.isfinite(quat).all(axis=1)]
    if not len(known):
        raise DataError("the pose needs the orientation of every sensor while the person stands")
    _, vectors = np.linalg.eigh(known.T @ known)
    return matrices(vectors[:, -1])
