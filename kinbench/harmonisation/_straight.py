"""Where a person walks straight: by the heading of the trunk or the pelvis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, sosfiltfilt
from scipy.spatial.transform import Rotation

from kinbench.errors import DataError, UsageError
from kinbench.harmonisation import grids
from kinbench.harmonisation._rotations import continuous, product, turned
from kinbench.harmonisation._streams import (
    BoolArray,
    FloatArray,
    even_rate_hz,
    known_cells,
    streams_of,
    stretches,
    with_streams,
)
from kinbench.recording import Recording, with_valid

BODY = ("trunk", "pelvis")
"""Whose heading is a person's, in this order."""
INCLINATION_S = 3.0
"""Time constant of the low-pass that finds gravity among a walker's accelerations (Laidig and Seel 2023)."""
STILL_S = 1.0
STILL_RAD_S = 0.1
"""A gyroscope whose every axis departs from its mean by less than this (standard deviation, 1 s) lies or stands still,
and reads its bias."""
HOLE_S = 0.05
"""Rates are integrated over holes up to this long; a longer one ends what can be known of the heading."""


def straight_walking(recording: Recording, *, tolerance_deg: float = 30.0) -> Recording:
    """Return the recording with all that is not straight walking marked not valid, in both streams.

    Hur et al. 2025: the yaw of the trunk's sensor (here else the pelvis'), counted from the first sample, without jumps
    of a whole turn; kept is what lies within ``tolerance_deg`` of a multiple of 180 degrees. So a trial must begin
    facing the way. Nothing is cut out or joined: samples keep their time, ``valid`` becomes False outside the spans
    kept, and the spans stand in the step.

    Yaw is the twist about the vertical of the sensor's turn since the first sample. It comes from ``quat`` where there
    is one, else from the gyroscope, integrated, with the inclination held to gravity by the accelerometer (low-passed
    in the frame that the gyroscope holds still, Laidig and Seel 2023) and the bias taken from still seconds; nothing
    then holds the heading itself, which drifts with what bias is left: people sway, and a bias taken from T seconds of
    standing is good to about 0.5 / T degrees per second.

    Raises ``UsageError`` for a tolerance outside 0 to 90 degrees or where the clocks have yet to be brought together,
    and ``DataError`` where no sensor on trunk or pelvis tells a heading.
    """
    if not 0 < tolerance_deg < 90:
        raise UsageError(f"straight_walking needs a tolerance between 0 and 90 degrees, and got {tolerance_deg:g}")
    declared = recording.declared
    if declared is not None and declared.sync is not None and recording.reference is not None:
        raise UsageError(
            f"{recording.key}: align the reference first; straight_walking marks both streams by one clock"
        )
    sensor, time_s, yaw_deg, how = _heading(recording)
    away = np.abs((yaw_deg + 90.0) % 180.0 - 90.0)
    straight = np.isfinite(yaw_deg) & (away <= tolerance_deg)
    spans = [(float(time_s[start]), float(time_s[stop - 1])) for start, stop in stretches(time_s, straight)]
    marked = {
        where: with_valid(stream, _inside(np.asarray(stream["time"].values, dtype=np.float64), spans))
        for where, stream in streams_of(recording).items()
    }
    return with_streams(recording, marked).with_step(
        "straight_walking", tolerance_deg=tolerance_deg, sensor=sensor, **how, spans_s=[list(span) for span in spans]
    )


def _inside(time_s: FloatArray, spans: Sequence[tuple[float, float]]) -> BoolArray:
    inside = np.zeros(time_s.size, dtype=bool)
    for start_s, stop_s in spans:
        inside |= (time_s >= start_s) & (time_s <= stop_s)
    return inside


def _heading(recording: Recording) -> tuple[str, FloatArray, FloatArray, dict[str, Any]]:
    """Return the sensor, its clock, its yaw (n,) in degrees since the first known sample, and how it was found."""
    imu = recording.imu
    if imu is not None:
        segments = [str(name) for name in imu["segment"].values]
        time_s = np.asarray(imu["time"].values, dtype=np.float64)
        for at in (segments.index(name) for name in BODY if name in segments):
            sensor = str(imu["sensor"].values[at])
            if "quat" in imu and known_cells(imu, "quat")[:, at].any():
                known = known_cells(imu, "quat")[:, at]
                return sensor, time_s, _yaw(imu["quat"].values[:, at].astype(np.float64), known), {"by": "quat"}
            if "gyr" in imu and "acc" in imu and imu["acc"].attrs.get("kind") == "specific_force":
                known = known_cells(imu, "gyr")[:, at] & known_cells(imu, "acc")[:, at]
                if known.any():
                    rate_hz = even_rate_hz(recording, "imu")
                    gyr, acc = (imu[name].values[:, at].astype(np.float64) for name in ("gyr", "acc"))
                    yaw_deg, bias = _integrated(time_s, gyr, acc, known, rate_hz)
                    return sensor, time_s, yaw_deg, {"by": "gyr", "bias_rad_s": bias}
    raise DataError(
        "straight walking shows in the heading of a sensor on trunk or pelvis with orientations, or with angular rate "
        "and specific force, and there is none",
        where=recording.key,
    )


def _yaw(quaternions: FloatArray, known: BoolArray) -> FloatArray:
    """Return (n,) degrees: the twist about Y of each orientation since the first known one, NaN where unknown."""
    yaw_deg = np.full(known.size, np.nan)
    turn = continuous(quaternions[known])
    w0, x0, y0, z0 = turn[0]
    w, x, y, z = turn.T
    # The scalar part and the Y part of q(t) q(0)^-1, in the world.
    scalar = w * w0 + x * x0 + y * y0 + z * z0
    upward = -w * y0 + y * w0 + x * z0 - z * x0
    yaw_deg[known] = np.degrees(np.unwrap(2 * np.arctan2(upward, scalar)))
    return yaw_deg


def _integrated(
    time_s: FloatArray, gyr: FloatArray, acc: FloatArray, known: BoolArray, rate_hz: float
) -> tuple[FloatArray, list[float] | None]:
    """Return the yaw (n,) in degrees from rates (n, 3), up to the first long hole, and the bias taken off."""
    heard = grids.covered(time_s[known], time_s, 1.0 / rate_hz, HOLE_S)
    first = int(np.argmax(known))
    broken = np.flatnonzero(
        (~heard[first:]) | (np.diff(time_s[first:], prepend=time_s[first]) > HOLE_S + 1.5 / rate_hz)
    )
    stop = first + int(broken[0]) if broken.size else known.size
    clock = time_s[first:stop]
    rates, forces = (grids.interpolate(time_s[known], values[known], clock) for values in (gyr, acc))
    bias = _bias(rates, rate_hz)
    level = _upright(forces[: max(1, round(STILL_S * rate_hz))].mean(axis=0))
    held = product(level, _accumulated(rates - (0.0 if bias is None else bias), clock))
    upright = _levelling(turned(held, forces), rate_hz)
    yaw_deg = np.full(known.size, np.nan)
    yaw_deg[first:stop] = _yaw(product(upright, held), np.ones(clock.size, dtype=bool))
    return yaw_deg, None if bias is None else [float(f"{x:.6g}") for x in bias]


def _bias(rates: FloatArray, rate_hz: float) -> FloatArray | None:
    """Return the mean rate (3,) of still seconds, or None where there is none."""
    length = max(2, round(STILL_S * rate_hz))
    if len(rates) < length:
        return None
    mean = uniform_filter1d(rates, length, axis=0)
    spread = np.sqrt(np.clip(uniform_filter1d(rates**2, length, axis=0) - mean**2, 0.0, None))
    still = (spread < STILL_RAD_S).all(axis=1) & (np.abs(mean) < STILL_RAD_S).all(axis=1)
    return np.asarray(rates[still].mean(axis=0), dtype=np.float64) if still.sum() >= length else None


def _accumulated(rates: FloatArray, time_s: FloatArray) -> FloatArray:
    """Return the orientation (n, 4) since the first sample that body rates (n, 3) add up to.

    Products of neighbours, then of pairs of pairs: a running product in log2(n) passes.
    """
    vectors = (rates[1:] + rates[:-1]) / 2 * np.diff(time_s)[:, None]
    half = np.linalg.norm(vectors, axis=1, keepdims=True) / 2
    steps = np.concatenate([np.cos(half), 0.5 * np.sinc(half / np.pi) * vectors], axis=1)
    running = np.concatenate([[[1.0, 0.0, 0.0, 0.0]], steps])
    reach = 1
    while reach < len(running):
        running = np.concatenate([running[:reach], product(running[:-reach], running[reach:])])
        reach *= 2
    return np.asarray(running / np.linalg.norm(running, axis=1, keepdims=True), dtype=np.float64)


def _upright(force: FloatArray) -> FloatArray:
    """Return a turn (4,) that brings a force (3,) to the vertical."""
    turn, _ = Rotation.align_vectors([[0.0, 1.0, 0.0]], force[None])
    return np.asarray(turn.as_quat(scalar_first=True), dtype=np.float64)


def _levelling(forces: FloatArray, rate_hz: float) -> FloatArray:
    """Return the shortest turns (n, 4) that bring the low-passed force (n, 3) to the vertical."""
    cutoff_hz = 1.0 / (2 * np.pi * INCLINATION_S)
    sos = butter(1, cutoff_hz, fs=rate_hz, output="sos")
    pad = min(len(forces) - 1, round(3 * INCLINATION_S * rate_hz))
    up = sosfiltfilt(sos, forces, axis=0, padtype="even", padlen=pad)
    up = up / np.linalg.norm(up, axis=1, keepdims=True)
    # The turn from u to Y by the shorter way: (1 + u.Y, u x Y), made a unit.
    turn = np.stack([1 + up[:, 1], -up[:, 2], np.zeros(len(up)), up[:, 0]], axis=1)
    return np.asarray(turn / np.linalg.norm(turn, axis=1, keepdims=True), dtype=np.float64)
