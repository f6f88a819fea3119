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

from kinbench.inspection.findings import Finding, Sensor, Verdict, norm
from kinbench.inspection.hinges import check_hinges
from kinbench.inspection.joints import Explanation, JointRates
from kinbench.inspection.motion import still_windows
from kinbench.schema import DOFS, Dof

LEAST_S = 3.0
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
    imu: xr.Dataset,
    reference: xr.Dataset | None,
    sensors: Sequence[Sensor],
    attrs: Mapping[str, Any],
    *,
    forward: bool = False,
) -> Iterator[Finding]:
    """Compare each flexion's rate with the Z rates of the two adjacent sensors, turned by their declared rotations.

    The first sensor with a gyro on a segment speaks for it, as in the tasks. Joints without two sensors are passed
    over in silence: there is nothing declared that could be wrong.
    """
    yield from check_hinges(sensors, reference)
    if reference is None or "angle" not in reference:
        return
    first: dict[str, Sensor] = {}
    for sensor in sensors:
        if sensor.gyr is not None:
            first.setdefault(sensor.segment, sensor)
    rates = JointRates(sensors, reference)
    told = _Told(imu, reference, attrs.get("sync") or {}, rates, rates.explain(forward=forward))
    for name in (str(name) for name in reference["dof"].values):
        dof = DOFS.get(name)
        if dof is None or dof.component or dof.proximal not in first or dof.distal not in first:
            continue
        yield _joint_axes(_Joint(dof, first[dof.proximal], first[dof.distal]), told)


@dataclass(frozen=True)
class _Told:
    """What all joints of a recording have in common."""

    imu: xr.Dataset
    reference: xr.Dataset
    sync: Mapping[str, Any]
    rates: JointRates
    explanation: Explanation | None


@dataclass(frozen=True)
class _Joint:
    """A flexion and the sensors on either side of it."""

    dof: Dof
    proximal: Sensor
    distal: Sensor


def _joint_axes(joint: _Joint, told: _Told) -> Finding:
    check, where = "axes against the reference", f"imu.rotation[{joint.proximal.name}, {joint.distal.name}]"
    name = joint.dof.name
    obstacle = _obstacle(joint, told)
    if obstacle:
        return Finding(check, "NOT ASSESSED", where, f"{name}: {obstacle}")
    best = told.rates.free().get(name)
    if best is None:
        return Finding(check, "NOT ASSESSED", where, f"{name}: too little motion or overlap")
    if best < BEST_R:
        message = f"{name}: on no axes do the gyros explain its rate, r {best:.2f}; clocks, masks or too little motion"
        return Finding(check, "NOT ASSESSED", where, message, best)
    r, slope = told.rates.r()[name], told.rates.slopes()[name]
    seen = f"{name}: r {r:.2f} and slope {slope:.2f} about the declared Z, r {best:.2f} on free axes"
    evidence = {"": max(0.0, r), "of": 1.0}
    if told.explanation is not None:
        evidence[told.explanation.cause] = max(0.0, told.explanation.r[name])
    verdict, remedy = _judged(r, slope, f"{joint.proximal.name} or {joint.distal.name}")
    if verdict != "FAIL":
        return Finding(check, verdict, where, f"{seen}; {remedy}", r, evidence=evidence)
    cause = "axes"
    if told.explanation is not None:
        cause = told.explanation.cause
        remedy += f"; {cause} would explain it, r {told.explanation.r[name]:.2f}"
        if told.explanation.rivals:
            remedy += f", and so would {' or '.join(told.explanation.rivals)}"
    return Finding(check, verdict, where, f"{seen}; {remedy}", r, cause, remedy, evidence)


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


def _obstacle(joint: _Joint, told: _Told) -> str:
    """Return why nothing can be said about the axes of a joint, empty where it can."""
    for sensor in (joint.proximal, joint.distal):
        if not np.isfinite(sensor.rotation).all():
            return f"the rotation of {sensor.name} to its segment is unknown"
    if not all((np.diff(stream["time"].values) > 0).all() for stream in (told.imu, told.reference)):
        return "a clock does not go forward"
    apart_s = told.sync.get("measured_shift_s")
    confident, method = told.sync.get("confident"), told.sync.get("method")
    if confident and method != "estimated" and abs(float(apart_s or 0.0)) > CLOCK_LIMIT_S:
        return f"the clocks are {float(apart_s or 0.0):+.2f} s apart"
    return ""


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
        yield Finding(check, "FAIL", where, message, value, "axes:upside-down", "check the axis declared proximal")
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
