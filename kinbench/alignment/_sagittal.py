"""What each sensor sees of a moving person: which way is up, about which axis it turns most, how it tilts.

All of it follows a sensor whose mounting is not known, up to one sign: which end of the flexion axis points to the
right. Under the other sign rate, tilt and horizontal acceleration change theirs, and nothing else does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, uniform_filter1d
from scipy.signal import butter, sosfiltfilt

from kinbench import schema, virtual_imu
from kinbench.alignment._grid import Grid, on_grid, valid_column
from kinbench.kinematics import rhythm

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

RATE_HZ = 100.0
CUTOFF_HZ = 10.0

STILL_S = 0.5
STILL_GYR_RAD_S = 0.15
STILL_ACC_M_S2 = 0.4
"""A person rests where, for half a second, no sensor's rate varies by more than this, nor its acceleration (standard
deviation of the worst axis): quiet standing sways a third as much."""

RHYTHM = 0.4
SPEED_RAD_S = 0.8
"""A person's gait: half of the sensors on the legs, or more, repeat themselves a stride later and turn this fast."""

MIN_GAIT_S = 3.0
MIN_GAIT_ALONE_S = 5.0
"""Least gait to learn from, beside a rest in standing and without one."""

HARD_M_S2 = 1.4 * schema.GRAVITY
MIN_HARD = 20
CONCENTRATED = 0.8
"""Where there is no gait, forces above 1.4 g (landings, steps) tell which way the leg stands: they go up along it. At
least 20 samples, and this much of their length must remain in their mean."""

SAME_POSE_DEG = 35.0
"""A rest counts as upright where up lies within this of the mean up of gait, for every sensor on the legs: seated, a
thigh is off by 60 degrees and more."""

ONE_AXIS = 0.7
"""Least share of the horizontal angular rate's power about one axis for that to be a flexion axis."""

TILT_HZ = 0.3
"""Below it gravity tells the tilt, above it the gyroscope."""

LEGS = ("thigh", "shank", "foot")


@dataclass(frozen=True)
class Signals:
    """One sensor on the common grid: acceleration and angular rate (n, 3), low-passed, and where they count (n,)."""

    sensor: str
    segment: str
    acc: FloatArray
    gyr: FloatArray
    counts: BoolArray

    @property
    def part(self) -> str:
        """``thigh``, ``shank``, ``foot``, ``pelvis`` or ``trunk``."""
        return self.segment.rpartition("_")[0] or self.segment

    @property
    def leg(self) -> str:
        """``r``, ``l``, or nothing for the pelvis and the trunk."""
        return self.segment.rpartition("_")[2] if "_" in self.segment else ""


@dataclass(frozen=True)
class Scene:
    """All sensors on one grid from ``start`` (in samples at ``rate_hz``), and what the person does, (n,) each."""

    rate_hz: float
    start: int
    sensors: tuple[Signals, ...]
    rest: BoolArray
    gait: BoolArray

    @property
    def has_gait(self) -> bool:
        """Whether there is enough gait to learn from."""
        return bool(self.gait.sum() >= MIN_GAIT_S * self.rate_hz)

    @property
    def moving(self) -> BoolArray:
        """Where axes are learnt: in gait where there is enough, else in all that is no rest."""
        return self.gait if self.has_gait else ~self.rest


@dataclass(frozen=True)
class View:
    """How one sensor sees its segment. Vectors are in sensor axes, series on the scene's grid.

    ``up`` is the proximal axis and ``across`` the flexion axis, of unknown sign; ``explained`` the share of the
    horizontal angular rate's power about it. ``rate`` (rad/s) and ``tilt`` (rad, from ``up``) are about ``across``,
    ``ahead`` (m s-2) is the horizontal acceleration along across x vertical. ``apart_deg`` is the angle between up at
    rest and up in motion, None where the person never rests upright.
    """

    seen: Signals
    up: FloatArray
    up_by: str
    apart_deg: float | None
    across: FloatArray
    explained: float
    counts: BoolArray
    rate: FloatArray
    tilt: FloatArray
    ahead: FloatArray

    @property
    def one_axis(self) -> bool:
        """Whether one axis of turning stands out."""
        return self.explained >= ONE_AXIS


def scene_of(imu: xr.Dataset) -> Scene | None:
    """Return the sensors that have specific force and angular rate (or orientation), None where there are none."""
    if "acc" not in imu or imu["acc"].attrs.get("kind") != "specific_force" or imu.sizes["time"] < 4:
        return None
    native_hz = float(1.0 / np.median(np.diff(imu["time"].values)))
    grid = Grid(min(RATE_HZ, native_hz), min(CUTOFF_HZ, 0.4 * min(RATE_HZ, native_hz)))
    found = [(_signals(imu, index, grid)) for index in range(imu.sizes["sensor"])]
    there = [(signals, start) for signals, start in found if signals is not None]
    if not there:
        return None
    start = max(start for _, start in there)
    stop = min(start + len(signals.counts) for signals, start in there)
    if stop - start < STILL_S * grid.rate_hz:
        return None
    sensors = [_cut(signals, start - first, stop - first) for signals, first in there]
    rest = _rest(sensors, grid.rate_hz)
    return Scene(grid.rate_hz, start, tuple(_unbiased(s, rest) for s in sensors), rest, _gait(sensors, grid.rate_hz))


def _signals(imu: xr.Dataset, index: int, grid: Grid) -> tuple[Signals | None, int]:
    time_s = np.asarray(imu["time"].values, dtype=np.float64)
    acc = imu["acc"].values[:, index].astype(np.float64)
    if "gyr" in imu:
        gyr = imu["gyr"].values[:, index].astype(np.float64)
    elif "quat" in imu:
        gyr = virtual_imu.angular_rate(imu["quat"].values[:, index].astype(np.float64), 1.0)
        gyr = gyr / np.gradient(time_s)[:, None]
    else:
        return None, 0
    known = np.isfinite(acc).all(axis=1) & np.isfinite(gyr).all(axis=1) & valid_column(imu, index)
    own_s = time_s + float(imu["clock_offset_s"].values[index])
    values, counts, start = on_grid(own_s, np.hstack([acc, gyr]), known, grid)
    if not counts.any():
        return None, 0
    sensor, segment = str(imu["sensor"].values[index]), str(imu["segment"].values[index])
    return Signals(sensor, segment, values[:, :3], values[:, 3:], counts), start


def _cut(signals: Signals, start: int, stop: int) -> Signals:
    keep = slice(start, stop)
    return Signals(
        signals.sensor, signals.segment, signals.acc[keep], signals.gyr[keep], signals.counts[keep]
    )  # fmt: skip


def _rest(sensors: Sequence[Signals], rate_hz: float) -> BoolArray:
    """Return where every sensor keeps still, ends of half a second included only in their middle."""
    length = max(2, round(STILL_S * rate_hz))
    still = np.ones(len(sensors[0].counts), dtype=bool)
    for signals in sensors:
        still &= signals.counts
        still &= _deviation(signals.gyr, length) < STILL_GYR_RAD_S
        still &= _deviation(signals.acc, length) < STILL_ACC_M_S2
    return np.asarray(binary_erosion(still, np.ones(max(1, length // 4), dtype=bool), border_value=1), dtype=bool)


def _deviation(values: FloatArray, length: int) -> FloatArray:
    """Return (n,): the standard deviation of the worst axis over ``length`` samples about each."""
    mean = uniform_filter1d(values, length, axis=0, mode="nearest")
    square = uniform_filter1d(values**2, length, axis=0, mode="nearest")
    return np.asarray(np.sqrt(np.clip(square - mean**2, 0.0, None)).max(axis=1), dtype=np.float64)


def _unbiased(signals: Signals, rest: BoolArray) -> Signals:
    """Return the sensor with its mean rate at rest taken off."""
    if not rest.any():
        return signals
    gyr = signals.gyr - signals.gyr[rest].mean(axis=0)
    return Signals(signals.sensor, signals.segment, signals.acc, gyr, signals.counts)


def _gait(sensors: Sequence[Signals], rate_hz: float) -> BoolArray:
    legs = [signals for signals in sensors if signals.part in LEGS]
    if not legs:
        return np.zeros(len(sensors[0].counts), dtype=bool)
    found = [rhythm(np.where(signals.counts[:, None], signals.gyr, 0.0), rate_hz) for signals in legs]
    walks = np.median([one.strength for one in found], axis=0) >= RHYTHM
    walks &= np.median([one.speed for one in found], axis=0) >= SPEED_RAD_S
    at = np.clip(np.searchsorted(found[0].time_s, np.arange(len(legs[0].counts)) / rate_hz), 0, len(walks) - 1)
    return np.asarray(walks[at], dtype=bool)


# --- which way is up --------------------------------------------------------------------------------------------------


def views_of(scene: Scene) -> list[View]:
    """Return how each sensor sees its segment, without those for which nothing tells up or a flexion axis."""
    found = {signals.sensor: _up_in_motion(scene, signals) for signals in scene.sensors}
    rough = {sensor: up for sensor, up in found.items() if up is not None}
    known = [signals for signals in scene.sensors if signals.sensor in rough]
    upright = _upright(scene, known, rough)
    views = []
    for signals in known:
        moved = rough[signals.sensor]
        up, by, apart_deg = moved, "gait" if scene.has_gait else "landings", None
        if not upright.any() and scene.has_gait and scene.gait.sum() < MIN_GAIT_ALONE_S * scene.rate_hz:
            continue
        if upright.any():
            rested = _unit(signals.acc[upright].mean(axis=0))
            up, by, apart_deg = rested, "rest", _angle_deg(rested, moved)
        view = _view(scene, signals, up, by, apart_deg)
        if view is not None:
            views.append(view)
    return views


def _up_in_motion(scene: Scene, signals: Signals) -> FloatArray | None:
    if scene.has_gait:
        inside = scene.gait & signals.counts
        return _unit(signals.acc[inside].mean(axis=0)) if inside.any() else None
    size = np.linalg.norm(signals.acc, axis=1)
    hard = signals.counts & (size > HARD_M_S2)
    if hard.sum() < MIN_HARD:
        return None
    mean = (signals.acc[hard] / size[hard, None]).mean(axis=0)
    return _unit(mean) if np.linalg.norm(mean) >= CONCENTRATED else None


def _upright(scene: Scene, known: Sequence[Signals], rough: dict[str, FloatArray]) -> BoolArray:
    """Return the rest in which every sensor on the legs stands as it does, on the whole, in motion."""
    legs = [signals for signals in known if signals.part in LEGS]
    upright = scene.rest & bool(legs)
    for signals in legs:
        size = np.linalg.norm(signals.acc, axis=1)
        upright &= signals.acc @ rough[signals.sensor] >= np.cos(np.radians(SAME_POSE_DEG)) * size
    return upright


# --- about which axis -------------------------------------------------------------------------------------------------


def _view(scene: Scene, signals: Signals, up: FloatArray, by: str, apart_deg: float | None) -> View | None:
    inside = scene.moving & signals.counts
    if inside.sum() < scene.rate_hz:
        return None
    level = signals.gyr[inside] - np.outer(signals.gyr[inside] @ up, up)
    values, vectors = np.linalg.eigh(level.T @ level)
    across = _unit(vectors[:, -1] - (vectors[:, -1] @ up) * up)
    explained = float(values[-1] / max(values[-1] + values[-2], 1e-12))
    rate, tilt, ahead = _in_plane(signals, up, across, scene.rate_hz)
    return View(signals, up, by, apart_deg, across, explained, inside, rate, tilt, ahead)


def _in_plane(
    signals: Signals, up: FloatArray, across: FloatArray, rate_hz: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return rate, tilt and horizontal acceleration, (n,) each, in the plane across which the segment turns."""
    rate = signals.gyr @ across
    turn = np.cumsum(rate) / rate_hz
    force = signals.acc @ up + 1j * (signals.acc @ np.cross(up, across))
    held = force * np.exp(-1j * turn)
    sos = butter(2, TILT_HZ, fs=rate_hz, output="sos")
    slow = sosfiltfilt(sos, held.real) + 1j * sosfiltfilt(sos, held.imag)
    tilt = turn + np.unwrap(np.angle(slow))
    tilt = tilt - 2 * np.pi * np.round(np.median(tilt) / (2 * np.pi))
    return rate, tilt, np.asarray((force * np.exp(-1j * tilt)).imag, dtype=np.float64)


def _unit(vector: FloatArray) -> FloatArray:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), dtype=np.float64)


def _angle_deg(one: FloatArray, other: FloatArray) -> float:
    return float(np.degrees(np.arccos(np.clip(one @ other, -1.0, 1.0))))
