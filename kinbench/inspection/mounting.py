"""Declared mountings against what they cannot argue with: the reference's joint rates, and which way is up.

With joint angles as the reference, a wrong rotation from a sensor to its segment leaves every other check content: the
gyro agrees with its own orientation, gravity is 9.81 whatever the axes, and the lag is found with free axes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy.ndimage import binary_dilation
from scipy.signal import butter, sosfiltfilt

from kinbench.alignment import rate_correlation
from kinbench.inspection.findings import BoolArray, Finding, FloatArray, Sensor, Verdict, median_rate_hz, norm
from kinbench.inspection.motion import still_windows
from kinbench.schema import DOFS, Dof

CUTOFF_HZ = 6.0
"""Low-pass of both rates: joints have nearly all their power below it, skin and markers rattle above."""
GRID_LIMIT_HZ = 200.0
GUARD_S = 0.15
MAX_GAP_S = 0.1
LEAST_S = 3.0
"""Samples this near to a hole do not count; a hole is longer than ``MAX_GAP_S``; so much must be left."""
BEST_R = 0.8
SOUND_R = 0.8
AXES_R = 0.6
SLOPES = (0.5, 2.0)
TURNED_R = -0.8
"""Where free axes explain a joint's rate with r 0.8, declared ones should as well. In five real labs they reach r 0.86
(nominal feet) to 0.99 with slopes of 0.7 to 1.2. With one sensor turned about its segment by a quarter or a half, r
falls below 0.6, or below 0.8 with a slope under 0.5 - or not at all: in gait a hip's rate is the thigh's whatever the
pelvis does, and a knee's is mostly the shank's. So a pass speaks for the two sensors together, more for the distal one.
Only a rate that is followed and opposite, below -0.8, is called half a turn."""
CLOCK_LIMIT_S = 0.1
"""With clocks further apart, periodic gait can fit on free axes and not on the declared: that is the sync's fault."""
DOWN_COSINE = -0.5
UP_COSINE = float(np.cos(np.radians(45.0)))
STEADY = 0.5
"""Mean acceleration is gravity while its length is at least half of the mean length."""


# --- the joint's rate ------------------------------------------------------------------------------------------------


def check_joint_axes(
    imu: xr.Dataset, reference: xr.Dataset | None, sensors: Sequence[Sensor], attrs: Mapping[str, Any]
) -> Iterator[Finding]:
    """Compare each flexion's rate with the Z rates of the two adjacent sensors, turned by their declared rotations.

    The first sensor with a gyro on a segment speaks for it, as in the tasks. Joints without two sensors are passed
    over in silence: there is nothing declared that could be wrong.
    """
    if reference is None or "angle" not in reference:
        return
    first: dict[str, Sensor] = {}
    for sensor in sensors:
        if sensor.gyr is not None:
            first.setdefault(sensor.segment, sensor)
    for column, name in enumerate(str(name) for name in reference["dof"].values):
        dof = DOFS.get(name)
        if dof is None or dof.component or dof.proximal not in first or dof.distal not in first:
            continue
        joint = _Joint(dof, column, first[dof.proximal], first[dof.distal])
        yield _joint_axes(joint, imu, reference, attrs.get("sync") or {})


@dataclass(frozen=True)
class _Joint:
    """A flexion, its column in the reference, and the sensors on either side of it."""

    dof: Dof
    column: int
    proximal: Sensor
    distal: Sensor


def _joint_axes(joint: _Joint, imu: xr.Dataset, reference: xr.Dataset, sync: Mapping[str, Any]) -> Finding:
    check, where = "axes against the reference", f"imu.rotation[{joint.proximal.name}, {joint.distal.name}]"
    name = joint.dof.name
    obstacle = _obstacle(joint, imu, reference, sync)
    if obstacle:
        return Finding(check, "NOT ASSESSED", where, f"{name}: {obstacle}")
    best = rate_correlation(imu, reference, name)
    rates = _joint_rates(joint, reference)
    if best is None or rates is None:
        return Finding(check, "NOT ASSESSED", where, f"{name}: too little motion or overlap")
    if best < BEST_R:
        message = f"{name}: on no axes do the gyros explain its rate, r {best:.2f}; clocks, masks or too little motion"
        return Finding(check, "NOT ASSESSED", where, message, best)
    r, slope = _fit(*rates)
    told = f"{name}: r {r:.2f} and slope {slope:.2f} about the declared Z, r {best:.2f} on free axes"
    verdict, remedy = _judged(r, slope, f"{joint.proximal.name} or {joint.distal.name}")
    return Finding(check, verdict, where, f"{told}; {remedy}", r)


def _judged(r: float, slope: float, sensors: str) -> tuple[Verdict, str]:
    """Return the verdict on declared axes by how well (r) and how far (slope) they follow what free axes explain."""
    if r < TURNED_R:
        remedy = "turned half round: the joint's rate is the opposite of what the gyros say about Z, or proximal and "
        return "FAIL", f"{remedy}distal sensors are exchanged, or the angle's sign is turned"
    if r < AXES_R or (r < SOUND_R and not SLOPES[0] <= slope <= SLOPES[1]):
        return "FAIL", f"the declared axes of {sensors} are off, or one is on another segment or side"
    if r < SOUND_R:
        return "NOT ASSESSED", f"the axes of {sensors} follow it only loosely; look whether one is a quarter turn off"
    return "PASS", "the declared axes follow it"


def _obstacle(joint: _Joint, imu: xr.Dataset, reference: xr.Dataset, sync: Mapping[str, Any]) -> str:
    """Return why nothing can be said about the axes of a joint, empty where it can."""
    for sensor in (joint.proximal, joint.distal):
        if not np.isfinite(sensor.rotation).all():
            return f"the rotation of {sensor.name} to its segment is unknown"
    if not all((np.diff(stream["time"].values) > 0).all() for stream in (imu, reference)):
        return "a clock does not go forward"
    apart_s = sync.get("measured_shift_s")
    if sync.get("confident") and sync.get("method") != "estimated" and abs(float(apart_s or 0.0)) > CLOCK_LIMIT_S:
        return f"the clocks are {float(apart_s or 0.0):+.2f} s apart"
    return ""


def _joint_rates(joint: _Joint, reference: xr.Dataset) -> tuple[FloatArray, FloatArray] | None:
    """Return the rate of a flexion by the reference and by the gyros, (n,) rad/s each; None where too little is left.

    Both go onto one grid and through one zero-phase low-pass, so that filtering moves neither.
    """
    time = np.asarray(reference["time"].values, dtype=np.float64)
    angle = np.radians(_known_angle(reference, joint.column))[:, None]
    streams = [(time, angle)]
    for sensor in (joint.proximal, joint.distal):
        assert sensor.gyr is not None  # the caller looked
        streams.append((sensor.time + sensor.clock_offset_s, (sensor.gyr @ sensor.rotation[2])[:, None]))
    grid = _grid([(at[np.isfinite(values[:, 0])], values) for at, values in streams])
    if grid is None:
        return None
    (flexion, proximal, distal), counts = zip(
        *(_low_passed(at, values[:, 0], grid) for at, values in streams), strict=True
    )
    both = np.logical_and.reduce(counts)
    if both.sum() < LEAST_S * grid.rate_hz:
        return None
    by_reference = np.gradient(flexion, 1.0 / grid.rate_hz)
    return by_reference[both], joint.dof.sign * (distal - proximal)[both]


def _known_angle(reference: xr.Dataset, column: int) -> FloatArray:
    """Return one angle in deg, NaN where masked."""
    angle = np.array(reference["angle"].values[:, column], dtype=np.float64)
    if "valid" in reference:
        mask = np.asarray(reference["valid"].values, dtype=bool)
        angle[~(mask if mask.ndim == 1 else mask[:, column])] = np.nan
    return angle


@dataclass(frozen=True)
class _Grid:
    """Uniform times in seconds that all streams cover, their rate, and the low-pass all can bear."""

    time: FloatArray
    rate_hz: float
    cutoff_hz: float


def _grid(streams: Sequence[tuple[FloatArray, FloatArray]]) -> _Grid | None:
    if any(known.size < 2 for known, _ in streams):
        return None
    rates = [median_rate_hz(known) for known, _ in streams]
    rate_hz = min(GRID_LIMIT_HZ, max(rates))
    start, stop = max(known[0] for known, _ in streams), min(known[-1] for known, _ in streams)
    time = np.arange(start, stop, 1.0 / rate_hz)
    if time.size < LEAST_S * rate_hz or time.size < 50:
        return None
    return _Grid(time, rate_hz, min(CUTOFF_HZ, 0.4 * min(*rates, rate_hz)))


def _low_passed(time: FloatArray, values: FloatArray, grid: _Grid) -> tuple[FloatArray, BoolArray]:
    """Return one signal on the grid, low-passed, and which samples stand away from every hole."""
    known = np.isfinite(values)
    at = time[known]
    sos = butter(4, grid.cutoff_hz, fs=grid.rate_hz, output="sos")
    smooth: FloatArray = sosfiltfilt(sos, np.interp(grid.time, at, values[known]))
    after = np.clip(np.searchsorted(at, grid.time), 1, at.size - 1)
    hole = at[after] - at[after - 1] > max(MAX_GAP_S, 1.5 * float(np.median(np.diff(at))))
    guard = np.ones(2 * round(GUARD_S * grid.rate_hz) + 1, dtype=bool)
    ends = np.pad(hole, 1, constant_values=True)  # the filter knows nothing beyond them either
    return smooth, ~np.asarray(binary_dilation(ends, structure=guard)[1:-1], dtype=bool)


def _fit(by_reference: FloatArray, by_gyros: FloatArray) -> tuple[float, float]:
    """Return (r, slope of the reference's rate over the gyros'), 0 where the gyros say nothing about Z."""
    told, heard = by_reference - by_reference.mean(), by_gyros - by_gyros.mean()
    shared, power = float(told @ heard), float(heard @ heard)
    scale = np.sqrt(power * float(told @ told))
    return (float(shared / scale), shared / power) if scale > 0 else (0.0, 0.0)


# --- up --------------------------------------------------------------------------------------------------------------


def check_up(sensor: Sensor) -> Iterator[Finding]:
    """Check that gravity does not read down the segment, for people are on their feet or seated far more than not."""
    if sensor.acc is None or sensor.acc_kind != "specific_force" or not np.isfinite(sensor.rotation).all():
        return
    check, where = "gravity against the axes", f"imu.rotation[{sensor.name}]"
    cosines = list(_cosines(sensor))
    if not cosines:
        yield Finding(check, "NOT ASSESSED", where, "too short, or shaken too much to tell where gravity is")
        return
    value = cosines[-1]
    told = f"gravity stands {np.degrees(np.arccos(np.clip(value, -1.0, 1.0))):.0f} deg from the {sensor.segment}'s +Y"
    if max(cosines) < DOWN_COSINE:
        message = f"{told}; upside down: gravity reads down the segment, check the axis declared proximal or distal"
        yield Finding(check, "FAIL", where, message, value)
    elif min(cosines) > UP_COSINE:
        yield Finding(check, "PASS", where, told, value)
    else:
        yield Finding(check, "NOT ASSESSED", where, f"{told}; sitting, lying and wrong axes look alike", value)


def _cosines(sensor: Sensor) -> Iterator[float]:
    """Yield the cosine between mean specific force and the segment's Y: over everything, then over rest, if there is.

    Neither is trusted alone to fail: sensors may rest on a table, and a body may be tumbling.
    """
    assert sensor.acc is not None  # the caller looked
    known = sensor.acc[np.isfinite(sensor.acc).all(axis=1)]
    if len(known) < LEAST_S * sensor.rate_hz or not len(known):
        return
    still = still_windows(sensor.acc, sensor.rate_hz)
    for samples in (known, still.reshape(-1, 3)):
        if not len(samples):
            continue
        mean = sensor.rotation @ samples.mean(axis=0)
        length = float(norm(mean))
        if length > STEADY * float(norm(samples).mean()):
            yield float(mean[1]) / length
