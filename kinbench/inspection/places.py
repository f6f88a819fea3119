"""Which segment and which side a sensor is on, by how it moves: against the reference, and against its neighbours.

With a reference both sides of the same joint are compared: the true side explains a joint's rate, the other only half a
stride away and less well. Without one, neighbours on one leg move together, and in gait each segment of the leg turns
faster than the one above it. That all sensors of both legs are exchanged cannot be told without a reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from scipy.signal import butter, sosfiltfilt
from scipy.stats import skew

from kinbench.alignment import Lag, estimate_lag
from kinbench.errors import DataError
from kinbench.inspection.findings import Finding, FloatArray, Sensor, norm
from kinbench.inspection.motion import body_rate
from kinbench.recording import Recording

CUTOFF_HZ = 6.0
LEAST_S = 4.0
MOVING_RAD_S = 0.4
"""Root mean square of a leg's rate below which nothing is said of places."""
SEARCH_S = 1.5
"""Half a stride and more: where sides were exchanged, the lag was perhaps found half a stride off."""
UNEXPLAINED = 2.0
"""The other side is the better one where it leaves so many times less of the rates unexplained (5 to 50 measured)."""
BELIEVED_R = 0.75
TOGETHER = 0.15
"""Two neighbours' correlations (summed over both legs) by which one side must beat the other."""
THIGH_APART = 0.4
"""The same, before a thigh is called exchanged: on a walk in a circle and on a slow one (sides known to be right) thigh
and foot share up to 0.27 more across than on their own side."""
RUNNING_RAD_S = 4.0
"""Root mean square of a shank's rate above which it runs: 1.6 to 2.6 in walking, 5 to 6 in running."""
FASTER = 1.2
"""In gait a shank's rate is 1.5 to 2.4 times its thigh's (root mean square), a foot's 1.04 to 1.4 times its shank's."""
SWING_SKEW = 0.35
"""A shank swings forward fast and back slowly: the skewness of its rate about Z is 0.47 to 1.9 in gait."""
ACROSS = 0.2
UPRIGHT = 0.5
GAIT = ("walking", "running")


def check_places(recording: Recording, sensors: Sequence[Sensor]) -> Iterator[Finding]:
    """Check sides against the reference and between neighbours, and in gait segments and axes by how they move."""
    if recording.imu is None or not sensors:
        return
    legs = [replace(s, gyr=body_rate_of(s)) for s in sensors if s.segment.endswith(("_r", "_l"))]
    if not legs:
        return
    yield _sides(recording.imu, recording.reference, recording.attrs)
    moving = {leg.segment: rate for leg in reversed(legs) if (rate := _steady(leg)) is not None}
    gait = _gait(str(recording.attrs.get("activity", "unknown")), moving)
    yield from _neighbours({leg.segment: leg for leg in reversed(legs)}, moving, gait=gait)
    if gait:
        yield from _segments(moving)
        for leg in legs:
            yield from _swing(leg)
            yield from _upright(leg)


def body_rate_of(sensor: Sensor) -> FloatArray | None:
    """Return the gyro, or where there is none the rate of the sensor's own orientation; (n, 3) rad/s, sensor axes."""
    if sensor.gyr is not None or sensor.quat is None:
        return sensor.gyr
    rate = body_rate(sensor.time, sensor.quat)
    return np.concatenate([rate, rate[-1:]])


def _steady(sensor: Sensor) -> FloatArray | None:
    """Return a sensor's low-passed angular rate less its mean, None where it is too short, too still, or in no unit."""
    if sensor.gyr is None or sensor.rate_hz <= 2.5 * CUTOFF_HZ:
        return None
    known = np.isfinite(sensor.gyr).all(axis=1)
    if known.sum() < LEAST_S * sensor.rate_hz or known.mean() < 0.5:
        return None
    at = np.arange(known.size)
    whole = np.stack([np.interp(at, at[known], column[known]) for column in sensor.gyr.T], axis=1)
    smooth: FloatArray = sosfiltfilt(butter(4, CUTOFF_HZ, fs=sensor.rate_hz, output="sos"), whole, axis=0)
    smooth[~known] = np.nan
    smooth -= np.nanmean(smooth, axis=0)
    return smooth


def _speed(rate: FloatArray) -> float:
    return float(np.sqrt(np.nanmean((rate**2).sum(axis=1))))


def _gait(activity: str, moving: Mapping[str, FloatArray]) -> bool:
    """Whether this is gait: as declared, or where nobody says, by both shanks or feet taking turns."""
    if activity != "unknown":
        return activity.startswith(GAIT)
    for segment in ("shank", "foot"):
        right, left = moving.get(f"{segment}_r"), moving.get(f"{segment}_l")
        if right is not None and left is not None and min(_speed(right), _speed(left)) > 2 * MOVING_RAD_S:
            one, other = norm(right), norm(left)
            both = np.isfinite(one) & np.isfinite(other)
            if both.sum() > 50 and float(np.corrcoef(one[both], other[both])[0, 1]) < 0:
                return True
    return False


# --- sides against the reference -------------------------------------------------------------------------------------


def _sides(imu: xr.Dataset, reference: xr.Dataset | None, attrs: Mapping[str, Any]) -> Finding:
    check, where = "sides", "imu.segment"
    if reference is None or "angle" not in reference:
        return Finding(check, "NOT ASSESSED", where, "without joint angles both legs look alike")
    if "gyr" not in imu:
        return Finding(check, "NOT ASSESSED", where, "without angular rates nothing can be compared with the joints")
    angles = reference.drop_vars([name for name in ("segment_quat", "segment_position") if name in reference])
    asis, exchanged = _lag(imu, angles), _lag(_exchanged(imu), angles)
    mend = "exchange left and right in the sensors' declared segments, or in the reference"
    if asis is None and exchanged is None:
        return Finding(check, "NOT ASSESSED", where, "too little motion, or no joint with two sensors")
    if exchanged is None:
        return Finding(check, "NOT ASSESSED", where, "the other side wears no sensors to compare with")
    best = exchanged.r
    if asis is None:
        if best < BELIEVED_R:
            return Finding(check, "NOT ASSESSED", where, f"neither side explains the joints, r {best:.2f}", best)
        message = f"no sensor is declared on the reference's joints; those of the other side explain it, r {best:.2f}"
        return Finding(check, "FAIL", where, message, best, "side:all", mend)
    told = f"the joints' rates are explained with r {asis.r:.3f}, with sides exchanged {best:.3f}"
    ratio = (1 - asis.r**2 + 1e-6) / (1 - best**2 + 1e-6)
    evidence = {"": max(0.0, -np.log(1 - asis.r**2 + 1e-6)), "side:all": max(0.0, -np.log(1 - best**2 + 1e-6))}
    if ratio > UNEXPLAINED and best > BELIEVED_R:
        message = f"{told}; left and right look exchanged"
        return Finding(check, "FAIL", where, message, ratio, "side:all", mend, evidence)
    if 1 / ratio > UNEXPLAINED and asis.r > BELIEVED_R:
        return Finding(check, "PASS", where, told, ratio, evidence=evidence)
    return Finding(check, "NOT ASSESSED", where, f"{told}: too near", ratio, evidence=evidence)


def _lag(imu: xr.Dataset, reference: xr.Dataset) -> Lag | None:
    try:
        return estimate_lag(imu, reference, search_s=SEARCH_S)
    except DataError:  # a clock that does not go forward is the clock's fault, and told there
        return None


def _exchanged(imu: xr.Dataset) -> xr.Dataset:
    other = {"r": "l", "l": "r"}
    names = [str(name) for name in imu["segment"].values]
    turned = [f"{name[:-1]}{other[name[-1]]}" if name[-2:] in ("_r", "_l") else name for name in names]
    return imu.assign_coords(segment=("sensor", np.array(turned, dtype=imu["segment"].dtype)))


# --- neighbours ------------------------------------------------------------------------------------------------------


def _neighbours(legs: Mapping[str, Sensor], moving: Mapping[str, FloatArray], *, gait: bool) -> Iterator[Finding]:
    """Compare a foot with both shanks, and a thigh with both lower legs."""
    check = "sides between segments"
    for segment, others in (("foot", ("shank",)), ("thigh", ("shank", "foot"))):
        names = [f"{segment}_{side}" for side in "rl"]
        for other in others:
            needed = [*names, f"{other}_r", f"{other}_l"]
            if not all(name in moving for name in needed):
                continue
            where = f"imu.segment[{', '.join(legs[name].name for name in needed)}]"
            if min(_speed(moving[name]) for name in needed) < MOVING_RAD_S:
                yield Finding(check, "NOT ASSESSED", where, "too little motion")
                continue
            yield _together(segment, other, legs, moving, where, gait=gait)
            break


def _together(
    segment: str, other: str, legs: Mapping[str, Sensor], moving: Mapping[str, FloatArray], where: str, *, gait: bool
) -> Finding:
    """Compare what neighbours share on one side and across, whichever way round their sensors are mounted.

    Free axes do for a foot and its shank, and for a thigh and its foot in walking. In running a thigh moves with the
    other leg, in antiphase: there it is told by that, about Z. The sign does not count, for a sensor of the other leg
    may be mounted as its mirror image.
    """
    check = "sides between segments"
    running = max(_speed(moving[f"{other}_{side}"]) for side in "rl") > RUNNING_RAD_S
    if segment == "thigh" and not gait:
        return Finding(check, "NOT ASSESSED", where, "a thigh is told by its gait only")
    antiphase = segment == "thigh" and running
    turned = [legs[f"{name}_{side}"].rotation for name in (segment, other) for side in "rl"]
    if antiphase and not np.isfinite(turned).all():
        return Finding(check, "NOT ASSESSED", where, "without known axes a thigh is not told in running")
    if segment == "thigh" and not running and "foot_r" in moving and "foot_l" in moving:
        other = "foot"  # on free axes a thigh shares more with its foot than with its shank

    def shared(one: str, two: str) -> float:
        first, second = f"{segment}_{one}", f"{other}_{two}"
        if antiphase:
            z = [moving[name] @ legs[name].rotation[2] for name in (first, second)]
            both = np.isfinite(z[0]) & np.isfinite(z[1])
            return -abs(float(np.corrcoef(z[0][both], z[1][both])[0, 1])) if both.sum() > 50 else 0.0
        return (_explained(moving[first], moving[second]) + _explained(moving[second], moving[first])) / 2

    same = shared("r", "r") + shared("l", "l")
    crossed = shared("r", "l") + shared("l", "r")
    told = f"{segment} and {other} share {abs(same):.2f} of their motion on one side, {abs(crossed):.2f} across"
    lead = same - crossed
    apart = THIGH_APART if segment == "thigh" else TOGETHER
    # A small lead is the same in all recordings of a body, whatever the side: it says little, however often it is said.
    evidence = {"": max(0.0, lead), f"side:{segment}": max(0.0, -lead), "of": max(abs(lead), apart)}
    if lead < -apart:
        mend = f"exchange the left and the right {segment}'s sensors (or those of the other segments)"
        message = f"{told}; one pair looks exchanged"
        return Finding(check, "FAIL", where, message, lead, f"side:{segment}", mend, evidence)
    if lead > TOGETHER:
        return Finding(check, "PASS", where, told, lead, evidence=evidence)
    return Finding(check, "NOT ASSESSED", where, f"{told}: too near", lead, evidence=evidence)


def _explained(inputs: FloatArray, target: FloatArray) -> float:
    """Return the share of one sensor's rate (and its speed) that another's explains on free axes."""
    known = np.isfinite(inputs).all(axis=1) & np.isfinite(target).all(axis=1)
    if known.sum() < 50:
        return 0.0
    given, told = (np.column_stack([v[known], norm(v[known]) - norm(v[known]).mean()]) for v in (inputs, target))
    weights = np.linalg.lstsq(given, told, rcond=None)[0]
    return float(1.0 - ((told - given @ weights) ** 2).sum() / (told**2).sum())


# --- in gait ---------------------------------------------------------------------------------------------------------


def _segments(moving: Mapping[str, FloatArray]) -> Iterator[Finding]:
    """Check that in gait each segment of a leg turns faster than the one above it."""
    check = "segments by motion"
    speeds = {segment: _speed(rate) for segment, rate in moving.items()}
    for upper, lower, least in (("thigh", "shank", FASTER), ("shank", "foot", 1.02)):
        for side in "rl":
            names = f"{upper}_{side}", f"{lower}_{side}"
            if not all(name in speeds for name in names):
                continue
            where = f"imu.segment[{names[0]}, {names[1]}]"
            ratio = speeds[names[1]] / max(speeds[names[0]], 1e-9)
            told = f"in gait the {lower} turns {ratio:.2f} times as fast as the {upper}"
            if max(speeds[name] for name in names) < MOVING_RAD_S:
                yield Finding(check, "NOT ASSESSED", where, "too little motion")
            elif ratio < 1 / (1.05 if lower == "foot" else least):
                first, second = sorted(names)
                mend = f"exchange the sensors of {names[0]} and {names[1]}"
                yield Finding(check, "FAIL", where, f"{told}; they look exchanged", ratio,
                              f"label:{first}<->{second}", mend)  # fmt: skip
            elif ratio > least:
                yield Finding(check, "PASS", where, told, ratio)
            else:
                yield Finding(check, "NOT ASSESSED", where, f"{told}: too near", ratio)


def _swing(leg: Sensor) -> Iterator[Finding]:
    """Check a shank's or foot's flexion axis in gait: which axis it turns about, and which way it swings."""
    rate = _steady(leg)
    if rate is None or not np.isfinite(leg.rotation).all() or not leg.segment.startswith(("shank", "foot")):
        return
    check, where = "swing", f"imu.rotation[{leg.name}]"
    if _speed(rate) < MOVING_RAD_S:
        yield Finding(check, "NOT ASSESSED", where, "too little motion")
        return
    turned = (rate @ leg.rotation.T)[np.isfinite(rate).all(axis=1)]
    shares = (turned**2).sum(axis=0) / (turned**2).sum()
    if shares[2] < ACROSS:
        message = f"in gait only {shares[2]:.0%} of the turning is about the declared Z; the axes look exchanged"
        yield Finding(check, "FAIL", where, message, float(shares[2]), "axes:not-z", "check which axis points right")
        return
    if not leg.segment.startswith("shank"):
        return
    leaning = float(skew(turned[:, 2]))
    told = f"the forward swing is the fast one, skewness {leaning:.2f}"
    if leaning < -SWING_SKEW:
        message = f"the backward swing is the fast one, skewness {leaning:.2f}; Z points left, or time runs backwards"
        yield Finding(check, "FAIL", where, message, leaning, "axes:turned", "turn the axes half round about Y")
    elif leaning > SWING_SKEW and shares[2] > 2 * ACROSS:
        yield Finding(check, "PASS", where, told, leaning)
    else:
        yield Finding(check, "NOT ASSESSED", where, f"{told}: too little to tell", leaning)


def _upright(leg: Sensor) -> Iterator[Finding]:
    """Check that in gait gravity does not lie across a leg's segment."""
    if leg.acc is None or leg.acc_kind != "specific_force" or not np.isfinite(leg.rotation).all():
        return
    check, where = "gravity in gait", f"imu.rotation[{leg.name}]"
    known = leg.acc[np.isfinite(leg.acc).all(axis=1)]
    mean = leg.rotation @ known.mean(axis=0) if len(known) else np.zeros(3)
    length = float(norm(mean))
    if len(known) < LEAST_S * leg.rate_hz or length < 0.5 * float(norm(known).mean()):
        yield Finding(check, "NOT ASSESSED", where, "too short, or shaken too much to tell where gravity is")
        return
    mean = mean / length
    told = f"in gait mean acceleration stands {np.degrees(np.arccos(np.clip(mean[1], -1, 1))):.0f} deg from +Y"
    if mean[1] < UPRIGHT:
        up = int(np.argmax(np.abs(mean)))
        likely = f"{'-' if mean[up] < 0 else ''}{'XYZ'[up]}"
        message = f"{told}; it points along {likely}: the axis declared proximal is another"
        yield Finding(check, "FAIL", where, message, float(mean[1]), "axes:across", "check the axis declared proximal")
    else:
        yield Finding(check, "PASS", where, told, float(mean[1]))
