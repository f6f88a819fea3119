"""What a person does, second by second, from the sensors alone: walk, run, turn, be still, or something else.

Nothing here needs a mounting: the figures are sizes of vectors, rotations about gravity, and how well the angular rate
of a sensor repeats after a stride (``kinematics.rhythm``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from kinbench import schema, virtual_imu
from kinbench.errors import DataError
from kinbench.harmonisation import grids
from kinbench.harmonisation._streams import BoolArray, FloatArray, known_cells
from kinbench.kinematics import rhythm
from kinbench.recording import Recording

VERSION = 1
"""Of the rules and figures below: raised by whatever may give the same signals another label."""

LABELS = ("walk", "run", "turn", "still", "other")
"""What there is; where two hold, turning comes before walking and running."""

LOOK_HZ = 50.0
LABEL_HZ = 10.0
"""Signals are looked at on a grid of 50 Hz (slower ones on their own), labels stand on one of 10."""

HOLE_S = 0.2
"""A hole longer than this is no signal; what lies in one is ``other``, with confidence 0."""

STILL_S = 1.0
STILL_RAD_S = {"trunk": 0.12, "pelvis": 0.12, "thigh": 0.15, "shank": 0.15, "foot": 0.2}
"""A sensor is still where the root mean square of its rate, less its bias, stays below this for a second."""
MAX_BIAS_RAD_S = 0.05
"""A rate that a sensor never falls below is its bias, up to this."""

RHYTHM = 0.55
GAIT_RAD_S = {"trunk": 0.2, "pelvis": 0.25, "thigh": 0.6, "shank": 1.0, "foot": 1.4}
"""A sensor sees gait where its rate repeats this well after a stride, and is at least this (root mean square)."""

SHAKEN_M_S2 = {"trunk": 5.0, "pelvis": 5.0, "thigh": 5.5, "shank": 6.3, "foot": 11.0}
RUN_RAD_S = {"trunk": 0.0, "pelvis": 0.0, "thigh": 1.85, "shank": 2.2, "foot": 3.0}
"""Running shakes a sensor (standard deviation of the size of its acceleration over a second) as walking does not, and
turns it more than hopping on the spot, which shakes it as much. Measured in walking, 2nd to 98th percentile: pelvis up
to 2.8 m s-2, thigh 3.6, shank 5.1, foot 10.4; in running from 6.1 at the thigh, 6.4 at the pelvis, 7.3 at the shank and
12.5 at the foot."""

WALK_S = 0.8
"""Strides shorter than this are not walked: nobody walks 150 steps a minute for long."""
UNFELT_RUN = 1.75
"""Where there is no acceleration, running is a short stride on a sensor that turns so many times as fast as it must."""

TURN_RAD_S = np.radians(30.0)
TURN_DEG = 45.0
TURN_MEAN_S = 1.0
"""A turn is a rotation of the trunk or the pelvis (else the legs) about the vertical that exceeds 30 degrees a second,
averaged over about a stride, and comes to 45 degrees or more."""

EDGE_S = 1.2
EDGE_SHARE = 0.5
"""Gait reaches beyond where it repeats, by up to this time, as long as the sensors turn half as fast as inside: a first
and a last step have no like."""

LEAST_S = {"walk": 1.0, "run": 1.0, "turn": 0.5, "still": 0.5, "other": 0.5}
"""Anything shorter belongs to what is about it."""

LEGS = ("thigh", "shank", "foot")
BODY = ("trunk", "pelvis")


@dataclass(frozen=True)
class _Sensor:
    """What one sensor says, on the grid of labels (n,): what it sees, how well its rate repeats, how fast it turns.

    ``yaw`` is its rate about the vertical in rad/s, NaN where it does not feel gravity. ``known`` is where it speaks.
    """

    part: str
    known: BoolArray
    still: BoolArray
    strength: FloatArray
    stride_s: FloatArray
    speed: FloatArray
    shake: FloatArray
    yaw: FloatArray


def label_activities(recording: Recording) -> Recording:
    """Return the recording with ``attrs["activities"]``: what the person does, from the imu stream alone.

    A list of {``activity``, ``start_s``, ``stop_s``, ``confidence``} on the imu's clock, in order, without gaps from
    its first sample to its last. ``activity`` is one of ``LABELS``; ``other`` is also what cannot be told.
    ``confidence``, 0 to 1, is the share of the sensors that see it (of a turn: how much of a quarter of a circle).

    Gait is rhythm of stride length on most of the sensors on the legs (of those on trunk and pelvis, where
    there are none); it is running where it shakes the sensors. Any mounting serves, any
    rate from about 20 Hz, and any of the sensors; acceleration may lack, or lack gravity: then nothing turns.

    The signals stay as they are. The step names the version of the rules, the sensors and the seconds of each
    activity. Raises ``DataError``
    where the recording has no sensor with angular rate or orientation.
    """
    imu = recording.imu
    if imu is None or not {"gyr", "quat"} & set(map(str, imu.data_vars)) or imu.sizes["time"] < 2:
        raise DataError("activities show in angular rates or orientations, and there are none", where=recording.key)
    time_s = np.asarray(imu["time"].values, dtype=np.float64)
    at_s = np.arange(time_s[0], time_s[-1] + 0.5 / LABEL_HZ, 1 / LABEL_HZ)
    sensors = [_sensor(imu, index, time_s, at_s) for index in range(imu.sizes["sensor"])]
    heard = [sensor for sensor in sensors if sensor is not None]
    labels, confidence = _labels(heard, at_s.size)
    spans = _spans(labels, confidence, at_s, float(time_s[-1]))
    seconds = {
        name: round(sum(span["stop_s"] - span["start_s"] for span in spans if span["activity"] == name), 2)
        for name in LABELS
    }
    named = [str(name) for name, sensor in zip(imu["sensor"].values, sensors, strict=True) if sensor is not None]
    return recording.with_attrs(activities=spans).with_step(
        "label_activities", version=VERSION, label_hz=LABEL_HZ, sensors=named, seconds=seconds
    )


# --- what a sensor sees -----------------------------------------------------------------------------------------------


def _sensor(imu: xr.Dataset, index: int, time_s: FloatArray, at_s: FloatArray) -> _Sensor | None:
    """Return what one sensor says at ``at_s``, None where it never speaks."""
    part = str(imu["segment"].values[index]).rpartition("_")
    name = part[0] or part[2]
    values, known = _rates(imu, index, time_s)
    if known.sum() < 2:
        return None
    rate_hz = min(LOOK_HZ, 1.0 / float(np.median(np.diff(time_s))))
    grid_s = np.arange(time_s[0], time_s[-1] + 0.5 / rate_hz, 1 / rate_hz)
    heard = grids.covered(time_s[known], grid_s, 1.0 / rate_hz, HOLE_S)
    rates = np.where(heard[:, None], _averaged(time_s[known], values[known], grid_s), 0.0)
    rates = np.where(heard[:, None], rates - _bias(rates[heard], rate_hz), 0.0)
    found = rhythm(rates, rate_hz)
    # Shares of a second that are heard make up for what a hole lacks.
    size = np.sqrt(np.clip(_mean((rates**2).sum(axis=1), heard, STILL_S * rate_hz), 0.0, None))
    shake, yaw = np.full(grid_s.size, np.nan), np.full(grid_s.size, np.nan)
    if "acc" in imu:
        force = imu["acc"].values[:, index].astype(np.float64)
        felt = known & known_cells(imu, "acc")[:, index]
        if felt.sum() >= 2:
            force = _averaged(time_s[felt], force[felt], grid_s)
            length = np.linalg.norm(force, axis=1)
            mean = _mean(length, heard, STILL_S * rate_hz)
            shake = np.sqrt(np.clip(_mean(length**2, heard, STILL_S * rate_hz) - mean**2, 0.0, None))
            if imu["acc"].attrs.get("kind") == "specific_force":
                yaw = _yaw(rates, force, TURN_MEAN_S * rate_hz)
    seen = np.clip(np.searchsorted(grid_s, at_s), 0, grid_s.size - 1)
    struck = np.clip(np.searchsorted(found.time_s + grid_s[0], at_s), 0, found.time_s.size - 1)
    return _Sensor(
        part=name, known=heard[seen], still=(size < STILL_RAD_S[name])[seen], strength=found.strength[struck],
        stride_s=found.stride_s[struck], speed=found.speed[struck], shake=shake[seen], yaw=yaw[seen],
    )  # fmt: skip


def _rates(imu: xr.Dataset, index: int, time_s: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Return a sensor's angular rate (n, 3), of its orientation where it has no other, and where it is known."""
    if "gyr" in imu and known_cells(imu, "gyr")[:, index].any():
        return imu["gyr"].values[:, index].astype(np.float64), known_cells(imu, "gyr")[:, index]
    if "quat" not in imu:
        return np.zeros((time_s.size, 3)), np.zeros(time_s.size, dtype=bool)
    turns = virtual_imu.angular_rate(imu["quat"].values[:, index].astype(np.float64), 1.0)
    rates = turns / np.gradient(time_s)[:, None]
    return rates, known_cells(imu, "quat")[:, index] & np.isfinite(rates).all(axis=1)


def _averaged(time_s: FloatArray, values: FloatArray, grid_s: FloatArray) -> FloatArray:
    """Return values (n, 3) on a grid; a faster clock's are averaged over a step of the grid first."""
    fewer = float(np.median(np.diff(grid_s)) / np.median(np.diff(time_s))) if grid_s.size > 1 else 1.0
    smooth = uniform_filter1d(values, round(fewer), axis=0, mode="nearest") if fewer >= 1.5 else values
    return np.stack([np.interp(grid_s, time_s, column) for column in smooth.T], axis=1)


def _bias(rates: FloatArray, rate_hz: float) -> FloatArray:
    """Return the mean rate (3,) of the quietest second, where that is small enough to be a bias; else none."""
    length = round(STILL_S * rate_hz)
    if len(rates) < length or length < 2:
        return np.zeros(3)
    mean = uniform_filter1d(rates, length, axis=0, mode="nearest")
    spread = uniform_filter1d(rates**2, length, axis=0, mode="nearest") - mean**2
    quietest = mean[int(np.argmin(spread.sum(axis=1)))]
    return quietest if np.abs(quietest).max() <= MAX_BIAS_RAD_S else np.zeros(3)


def _mean(values: FloatArray, heard: BoolArray, length: float) -> FloatArray:
    """Return the mean of what is heard over ``length`` samples about each."""
    size = max(1, round(length))
    shares = uniform_filter1d(heard.astype(np.float64), size, mode="nearest")
    return np.asarray(
        uniform_filter1d(np.where(heard, values, 0.0), size, mode="nearest") / np.maximum(shares, 1e-9)
    )  # fmt: skip


def _yaw(rates: FloatArray, force: FloatArray, length: float) -> FloatArray:
    """Return the rate about the vertical: what a leg swings to and fro has no mean over a stride."""
    size = max(1, round(length))
    turn = uniform_filter1d(rates, size, axis=0, mode="mirror")
    up = uniform_filter1d(force, size, axis=0, mode="mirror")
    return np.asarray((turn * up).sum(axis=1) / np.maximum(np.linalg.norm(up, axis=1), 0.1 * schema.GRAVITY))


# --- what they see together -------------------------------------------------------------------------------------------


def _labels(sensors: Sequence[_Sensor], samples: int) -> tuple[NDArray[np.str_], FloatArray]:
    """Return a label and its confidence (samples,) each."""
    labels, confidence = np.full(samples, "other", dtype="U5"), np.zeros(samples)
    if not sensors:
        return labels, confidence
    known = np.logical_or.reduce([sensor.known for sensor in sensors])
    confidence[known] = 0.5
    witnesses = [s for s in sensors if s.part in LEGS] or list(sensors)
    still = _share(sensors, [sensor.still for sensor in sensors])
    walks, runs = (_share(witnesses, [_sees(sensor, kind) for sensor in witnesses]) for kind in ("walk", "run"))
    for name, share in (("walk", walks), ("run", runs), ("still", still)):
        here = (share >= 1.0 if name == "still" else share > 0.5) & known
        labels[here], confidence[here] = name, share[here]
    labels = _with_edges(labels, witnesses, confidence)
    for start, stop, turned_deg in _turns(sensors):
        inside = slice(start, stop)
        going = known[inside] & (labels[inside] != "still")
        labels[inside][going], confidence[inside][going] = "turn", min(1.0, abs(turned_deg) / 90.0)
    return labels, confidence


def _share(sensors: Sequence[_Sensor], seen: Sequence[BoolArray]) -> FloatArray:
    """Return the share of those sensors that speak which see something."""
    speak = np.sum([sensor.known for sensor in sensors], axis=0)
    agree = np.sum([sensor.known & one for sensor, one in zip(sensors, seen, strict=True)], axis=0)
    return np.asarray(agree / np.maximum(speak, 1), dtype=np.float64)


def _sees(sensor: _Sensor, kind: str) -> BoolArray:
    gait = (sensor.strength >= RHYTHM) & (sensor.speed >= GAIT_RAD_S[sensor.part])
    short = sensor.stride_s < WALK_S
    quick = sensor.speed >= RUN_RAD_S[sensor.part]
    unfelt = short & (sensor.speed >= UNFELT_RUN * RUN_RAD_S[sensor.part])
    shaken = np.where(np.isfinite(sensor.shake), sensor.shake >= SHAKEN_M_S2[sensor.part], unfelt)
    return np.asarray(gait & shaken & quick if kind == "run" else gait & ~shaken & ~short, dtype=bool)


def _with_edges(labels: NDArray[np.str_], sensors: Sequence[_Sensor], confidence: FloatArray) -> NDArray[np.str_]:
    """Return the labels with each stretch of gait grown over its first and last steps."""
    speed = np.median([sensor.speed for sensor in sensors], axis=0)
    reach = round(EDGE_S * LABEL_HZ)
    grown = labels.copy()
    for start, stop, name in _stretches(labels):
        if name in ("walk", "run"):
            least = EDGE_SHARE * float(np.median(speed[start:stop]))
            for steps in (range(start - 1, start - reach - 1, -1), range(stop, stop + reach)):
                for at in steps:
                    if not 0 <= at < labels.size or labels[at] != "other" or speed[at] < least or not confidence[at]:
                        break
                    grown[at], confidence[at] = name, confidence[start]
    return grown


def _turns(sensors: Sequence[_Sensor]) -> list[tuple[int, int, float]]:
    """Return [start, stop) and degrees of each turn: by trunk or pelvis, else by the median of the legs."""
    body = [sensor for part in BODY for sensor in sensors if sensor.part == part and np.isfinite(sensor.yaw).any()]
    told = body[:1] or [sensor for sensor in sensors if np.isfinite(sensor.yaw).any()]
    if not told:
        return []
    yaw = np.nan_to_num(np.median([sensor.yaw for sensor in told], axis=0))
    found = []
    for sign in (1.0, -1.0):
        for start, stop, fast in _stretches(sign * yaw > TURN_RAD_S):
            turned_deg = float(np.degrees(yaw[start:stop].sum() / LABEL_HZ))
            if fast and abs(turned_deg) >= TURN_DEG:
                found.append((start, stop, turned_deg))
    return found


# --- spans ------------------------------------------------------------------------------------------------------------


def _stretches(values: NDArray[Any]) -> list[tuple[int, int, Any]]:
    """Return [start, stop) and value of each run of equal values."""
    if not values.size:
        return []
    edges = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1, [values.size]]).tolist()
    return [(start, stop, values[start]) for start, stop in pairwise(edges)]


def _spans(labels: NDArray[np.str_], confidence: FloatArray, at_s: FloatArray, end_s: float) -> list[Mapping[str, Any]]:
    """Return the stretches as JSON-plain spans."""
    return [
        {
            "activity": str(name),
            "start_s": round(float(at_s[start]), 3),
            "stop_s": round(float(at_s[stop]) if stop < at_s.size else end_s, 3),
            "confidence": round(float(np.mean(confidence[start:stop])), 3),
        }
        for start, stop, name in _stretches(_without_blinks(labels))
    ]


def _without_blinks(labels: NDArray[np.str_]) -> NDArray[np.str_]:
    """Return the labels with every stretch that is too short given to its longer neighbour, the shortest first."""
    whole = labels.copy()
    while True:
        pieces = _stretches(whole)
        short = [at for at, (start, stop, name) in enumerate(pieces) if stop - start < round(LEAST_S[name] * LABEL_HZ)]
        if not short or len(pieces) == 1:
            return whole
        at = min(short, key=lambda one: pieces[one][1] - pieces[one][0])
        beside = [pieces[one] for one in (at - 1, at + 1) if 0 <= one < len(pieces)]
        whole[pieces[at][0] : pieces[at][1]] = max(beside, key=lambda piece: piece[1] - piece[0])[2]
