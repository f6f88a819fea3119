"""Estimates on bare arrays: which unit, frame, order or clock numbers must have, by physics, before any is declared.

Three verdicts. ``known``: physics leaves no other choice. ``guessed``: likely, a person should look. ``open``: the
numbers do not tell. Each comes with the figures that it rests on. Signals of several sensors of one system are judged
together, for they share unit and world.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.spatial.transform import Rotation

from kinbench.inspection.findings import FloatArray, norm
from kinbench.inspection.motion import DEG, FAST_RAD_S, still_windows
from kinbench.schema import GRAVITY

REST_TOLERANCE = 0.15
"""Accelerometers read 9.2 to 10.4 m/s2 at rest, bad ones (a torso of 11) more: units are a factor of ten apart."""
STEADY = 0.05
"""Gravity at rest is one figure in all still windows; what is left where it was removed is not."""
USUAL_RAD_S = 20.0
"""No segment turns faster for 1 % of the time in gait and running; slow movement in deg/s may show such figures."""
FASTEST_DEG_S = 3500.0
"""A gyro's full range of 2000 deg/s on all three axes: more are counts of a converter, or thousandths."""
COUNTS_PER_G = 1024
UP_DEG = 12.0
"""Gravity turned to the world lies this close to one of its axes, within what shaking and bad filters leave."""
CONCENTRATED, UPRIGHT = 0.9, 0.6
"""How steady gravity must be in the world where the gyro says nothing, and where it confirms the reading anyway."""
AGREES = 0.8
"""Cosine between the gyro and the turning of the right reading, 0.95 and more; of a wrong one it is below 0.5."""
LIKELY_HZ = (5.0, 2500.0)
"""Rates of wearable sensors and cameras: less than a factor of 1000 wide, so that s, ms and us are told apart."""
TIME_UNITS_S = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
REGULAR_SHARE = 0.98
REGULAR_RATE = 0.005
"""Of a regular clock the mean step is the median one, and where samples are lost a step is several of these."""
BENT_DEG, STRAIGHT_DEG = 40.0, 25.0
"""A knee that is seen to bend beyond 40 degrees one way and never 25 the other way flexes that way."""
_LEAST_ROWS = 60
_BLIND_RATE_HZ = 64.0
"""Stands in where no rate is known: half a second is then 32 rows, at any usual rate a fair still window."""


@dataclass(frozen=True)
class Estimate:
    """A value with what speaks for it; ``value`` is None where ``verdict`` is ``open``, ``confidence`` is 0 to 1."""

    value: Any
    verdict: Literal["known", "guessed", "open"]
    confidence: float
    evidence: str


def undecided(evidence: str) -> Estimate:
    """Return an open estimate."""
    return Estimate(None, "open", 0.0, evidence)


# --- acceleration ----------------------------------------------------------------------------------------------------


def estimate_acceleration(acc: Sequence[FloatArray], rate_hz: float | None) -> tuple[Estimate, Estimate]:
    """Return the unit (``m/s2``, ``g``, ``mg``) and the kind (``specific_force``, ``gravity_removed``) of (n, 3) each.

    The magnitude in still half seconds is gravity's, in the unit; where it is next to nothing, gravity was removed, and
    the unit can only be guessed by how large movement is.
    """
    known = [values[np.isfinite(values).all(axis=1)] for values in acc]
    known = [values for values in known if len(values) >= _LEAST_ROWS and np.ptp(norm(values)) > 0]
    if not known:
        none = undecided(f"no sensor with {_LEAST_ROWS} samples that vary")
        return none, none
    rests = [norm(still_windows(values, rate_hz or _BLIND_RATE_HZ)).mean(axis=1) for values in known]
    rests = [rest for rest in rests if len(rest) >= 2]
    everywhere = np.concatenate([norm(values) for values in known])
    if not rests:
        largest = float(np.percentile(everywhere, 99))
        return _acceleration_in_motion("of no use: no sensor rests", float(np.median(everywhere)), largest)
    levels = np.array([np.median(rest) for rest in rests])
    level = float(np.median(levels))
    largest = float(np.percentile(everywhere, 99))
    told = f"{level:.4g} at rest (median of {len(levels)} sensors, {levels.min():.4g} to {levels.max():.4g})"
    spread = float(np.median([rest.std() / max(rest.mean(), 1e-12) for rest in rests]))
    for unit, gravity in (("m/s2", GRAVITY), ("g", 1.0), ("mg", 1000.0)):
        if abs(level / gravity - 1) < REST_TOLERANCE and spread < STEADY:
            if unit == "mg" and abs(level / COUNTS_PER_G - 1) < abs(level / gravity - 1):
                return undecided(f"|acc| is {told}: gravity in mg, or in counts of {COUNTS_PER_G} a g?"), undecided(
                    told
                )
            unit_found = Estimate(unit, "known", 0.99, f"|acc| is {told}: gravity in {unit}")
            return unit_found, Estimate("specific_force", "known", 0.99, f"|acc| is {told}: gravity is in it")
    if level < 0.1 * largest and largest > 0:
        return _free_of_gravity(told, largest)
    return _acceleration_in_motion(told, float(np.median(everywhere)), largest)


def _free_of_gravity(told: str, largest: float) -> tuple[Estimate, Estimate]:
    kind = Estimate("gravity_removed", "guessed", 0.9, f"|acc| is {told} where movement reaches {largest:.3g}")
    if 10.0 < largest < 200.0:
        told = f"without gravity the unit shows by size only: p99 {largest:.3g}, in g a body is rarely so shaken"
        return Estimate("m/s2", "guessed", 0.7, told), kind
    return undecided(f"without gravity there is no yardstick: p99 {largest:.3g} may be m/s2 or g"), kind


def _acceleration_in_motion(rest: str, median: float, largest: float) -> tuple[Estimate, Estimate]:
    told = f"|acc| is {rest}; over all its median is {median:.4g}, p99 {largest:.4g}"
    for unit, gravity in (("m/s2", GRAVITY), ("g", 1.0), ("mg", 1000.0)):
        if 0.8 < median / gravity < 1.4 and 1.1 < largest / gravity < 20.0:
            kind = Estimate("specific_force", "guessed", 0.8, f"{told}: gravity is in it")
            return Estimate(unit, "guessed", 0.8, f"{told}: about gravity in {unit}"), kind
    return undecided(told), undecided(told)


# --- angular rate ----------------------------------------------------------------------------------------------------


def estimate_angular_rate(
    gyr: Sequence[FloatArray], quat: Sequence[FloatArray | None], rate_hz: float | None,
    joint_rate_rad_s: float | None = None,
) -> Estimate:  # fmt: skip
    """Return the unit (``rad/s`` or ``deg/s``) of (n, 3) each, by orientation (w first), by the reference, or by size.

    ``joint_rate_rad_s`` is how fast the reference's fastest joint turns in the same motion (90th percentile).
    """
    if rate_hz is not None and (found := _unit_by_orientation(gyr, quat, rate_hz)) is not None:
        return found
    if joint_rate_rad_s is not None and (found := _unit_by_joint(gyr, joint_rate_rad_s)) is not None:
        return found
    return _unit_by_size(gyr)


def _unit_by_joint(gyr: Sequence[FloatArray], joint_rate_rad_s: float) -> Estimate | None:
    """A joint turns as fast as the segments beside it, by a factor of two or so: rad and deg are 57 apart."""
    fastest = max((float(np.nanpercentile(norm(v), 90)) for v in gyr if np.isfinite(v).any()), default=0.0)
    if joint_rate_rad_s < 0.3:
        return None
    ratio = fastest / joint_rate_rad_s
    told = f"the fastest gyro's p90 is {fastest:.3g}, {ratio:.3g} times that of the fastest joint in rad/s"
    for unit, scale in (("rad/s", 1.0), ("deg/s", DEG)):
        if 0.3 < ratio / scale < 4.0:
            return Estimate(unit, "known", 0.97, told)
    return None


def _unit_by_orientation(
    gyr: Sequence[FloatArray], quat: Sequence[FloatArray | None], rate_hz: float
) -> Estimate | None:
    ratios = [
        ratio
        for rate, turn in zip(gyr, quat, strict=True)
        if turn is not None and (ratio := _orientation_ratio(rate, turn, rate_hz)) is not None
    ]
    if not ratios:
        return None
    ratio = float(np.median(ratios))
    told = f"the gyro is {ratio:.3g} times the rate of the orientation ({len(ratios)} sensors)"
    if 0.7 < ratio < 1.4:
        return Estimate("rad/s", "known", 0.99, told)
    if 0.7 < ratio / DEG < 1.4:
        return Estimate("deg/s", "known", 0.99, told)
    return undecided(f"{told}: neither rad/s nor deg/s at {rate_hz:g} Hz")


def _orientation_ratio(gyr: FloatArray, quat: FloatArray, rate_hz: float) -> float | None:
    turned = orientation_rate(quat, rate_hz)
    middle = (gyr[1:] + gyr[:-1]) / 2
    known = np.isfinite(turned).all(axis=1) & np.isfinite(middle).all(axis=1)
    moving = known & (norm(np.nan_to_num(turned)) > 0.3)
    if moving.sum() < _LEAST_ROWS:
        return None
    return float(np.median(norm(middle[moving]) / norm(turned[moving])))


def orientation_rate(quat: FloatArray, rate_hz: float) -> FloatArray:
    """Return (n - 1, 3) rad/s in the turning frame between successive quaternions (n, 4), w first."""
    known = np.isfinite(quat).all(axis=1) & (norm(np.nan_to_num(quat)) > 0.5)
    turn = Rotation.from_quat(np.where(known[:, None], quat, (1.0, 0.0, 0.0, 0.0)), scalar_first=True)
    rate: FloatArray = (turn[:-1].inv() * turn[1:]).as_rotvec() * rate_hz
    rate[~(known[1:] & known[:-1])] = np.nan
    return rate


def _unit_by_size(gyr: Sequence[FloatArray]) -> Estimate:
    fastest = max((float(np.nanpercentile(norm(v), 99)) for v in gyr if np.isfinite(v).any()), default=0.0)
    told = f"the fastest sensor's p99 is {fastest:.3g}"
    if fastest > FASTEST_DEG_S:
        return undecided(f"{told}: no gyro measures so much in deg/s; are these counts of the converter?")
    if fastest > FAST_RAD_S:
        return Estimate("deg/s", "known", 0.97, f"{told}: no body turns so in rad/s")
    if 1.0 < fastest < USUAL_RAD_S:
        return Estimate("rad/s", "guessed", 0.6, f"{told}, as moving limbs have it in rad/s, resting ones in deg/s")
    return undecided(f"{told}: too still in rad/s, or slow in deg/s")


def estimate_rate(gyr_rad_s: Sequence[FloatArray], quat: Sequence[FloatArray | None]) -> Estimate:
    """Return the rate in Hz at which orientations (n, 4), w first, turn as the gyros say; good to some percent."""
    ratios = [
        ratio
        for rate, turn in zip(gyr_rad_s, quat, strict=True)
        if turn is not None and (ratio := _rate_ratio(rate, turn)) is not None
    ]
    if not ratios:
        return undecided("there is no orientation beside the gyro that would tell at which rate they agree")
    rate_hz = float(np.median(ratios))
    return Estimate(rate_hz, "guessed", 0.8, f"orientations turn as the gyros say at {rate_hz:.3g} Hz, within some 7 %")


def _rate_ratio(gyr: FloatArray, quat: FloatArray) -> float | None:
    """Return the rate at which |gyr| fits the orientation's turn per sample."""
    turned = orientation_rate(quat, 1.0)
    middle = norm((gyr[1:] + gyr[:-1]) / 2)
    known = np.isfinite(turned).all(axis=1) & np.isfinite(middle)
    moving = known & (middle > 0.3)
    if moving.sum() < _LEAST_ROWS:
        return None
    return float(np.median(middle[moving] / np.maximum(norm(turned[moving]), 1e-9)))


# --- frames ----------------------------------------------------------------------------------------------------------


def estimate_frame(acc: Sequence[FloatArray], rate_hz: float | None) -> Estimate:
    """Return whether specific force (n, 3) each is in the ``sensor``'s frame or turned to the ``earth``'s.

    In the earth's frame gravity is one axis for all sensors at all times. How it turns in motion tells nothing in gait,
    where specific force swings with the leg as in a pendulum.
    """
    rests = [still_windows(v[np.isfinite(v).all(axis=1)], rate_hz or _BLIND_RATE_HZ).mean(axis=1) for v in acc]
    rests = [rest for rest in rests if len(rest)]
    if not rests:
        return undecided("no sensor rests, so that gravity would show")
    every = np.concatenate([rest / norm(rest)[:, None] for rest in rests])
    mean = every.mean(axis=0)
    strongest = int(np.argmax(np.abs(mean)))
    axis = ("-" if mean[strongest] < 0 else "") + "xyz"[strongest]
    off = np.degrees(np.arccos(np.clip(every[:, strongest] * np.sign(mean[strongest]), -1, 1)))
    told = f"gravity at rest lies up to {float(np.percentile(off, 90)):.0f} deg from {axis} ({len(rests)} sensors)"
    if float(np.percentile(off, 90)) > 8.0:
        return Estimate("sensor", "known", 0.95, f"{told}: it has no axis in common")
    if float(np.percentile(off, 90)) < 2.0 and len(rests) > 2:
        return Estimate("earth", "guessed", 0.7, f"{told}: the sensors hang alike, or were turned to the earth")
    return undecided(told)


# --- orientation -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class QuaternionReading:
    """One way to read four numbers: their order, direction, where gravity points then, how steadily (1: always)."""

    order: str
    maps: str
    up: str
    tilt_deg: float
    concentration: float
    agreement: float | None


def quaternion_readings(
    quat: Sequence[FloatArray], acc: Sequence[FloatArray | None], gyr: Sequence[FloatArray | None], rate_hz: float
) -> Iterator[QuaternionReading]:
    """Yield the four ways to read (n, 4) each. Specific force at rest, turned to the world, points up."""
    for order, places in (("wxyz", (0, 1, 2, 3)), ("xyzw", (3, 0, 1, 2))):
        for maps, sign in (("sensor_to_world", 1), ("world_to_sensor", -1)):
            ups, products, powers = [], 0.0, [0.0, 0.0]
            for turn, force, rate in zip(quat, acc, gyr, strict=True):
                read = turn[:, places] * (1, sign, sign, sign)
                known = np.isfinite(read).all(axis=1) & (norm(np.nan_to_num(read)) > 0.5)
                if force is not None:
                    heard = known & np.isfinite(force).all(axis=1)
                    if heard.sum() >= _LEAST_ROWS:
                        ups.append(Rotation.from_quat(read[heard], scalar_first=True).apply(force[heard]))
                if rate is not None:
                    turned, middle = orientation_rate(read, rate_hz), (rate[1:] + rate[:-1]) / 2
                    both = np.isfinite(turned).all(axis=1) & np.isfinite(middle).all(axis=1)
                    products += float((turned[both] * middle[both]).sum())
                    powers[0] += float((turned[both] ** 2).sum())
                    powers[1] += float((middle[both] ** 2).sum())
            if not ups:
                continue
            every = np.concatenate(ups)
            up = every.mean(axis=0)
            strongest = int(np.argmax(np.abs(up)))
            tilt = float(np.degrees(np.arccos(np.clip(abs(up[strongest]) / max(float(norm(up)), 1e-12), 0.0, 1.0))))
            agreement = products / np.sqrt(powers[0] * powers[1]) if min(powers) > 0 else None
            yield QuaternionReading(
                order, maps, ("-" if up[strongest] < 0 else "") + "xyz"[strongest], tilt,
                float(norm(up) / max(norm(every).mean(), 1e-12)), agreement,
            )  # fmt: skip


def estimate_quaternion(
    quat: Sequence[FloatArray], acc: Sequence[FloatArray | None], gyr: Sequence[FloatArray | None], rate_hz: float
) -> tuple[Estimate, QuaternionReading | None]:
    """Return whether exactly one reading of the numbers turns gravity up, and that reading."""
    readings = list(quaternion_readings(quat, acc, gyr, rate_hz))
    fits = [reading for reading in readings if _reads_well(reading)]
    if not readings:
        return undecided("no acceleration beside the orientation: nothing tells which way is up"), None
    told = "; ".join(
        f"{r.order} {r.maps}: {r.up} up, {r.tilt_deg:.0f} deg off, steadiness {r.concentration:.2f}"
        + ("" if r.agreement is None else f", gyro {r.agreement:.2f}")
        for r in readings
    )
    if len(fits) != 1:
        return undecided(f"{len(fits)} of {len(readings)} readings fit gravity: {told}"), None
    certain = fits[0].agreement is not None
    return Estimate(fits[0], "known" if certain else "guessed", 0.98 if certain else 0.85, told), fits[0]


def _reads_well(reading: QuaternionReading) -> bool:
    if reading.agreement is not None and reading.agreement > AGREES:
        return reading.concentration > UPRIGHT and reading.tilt_deg < UP_DEG
    return reading.agreement is None and reading.concentration > CONCENTRATED and reading.tilt_deg < UP_DEG


def estimate_gravity_axis(acc: FloatArray, rate_hz: float | None) -> Estimate:
    """Return the sensor axis (``x``, ``-z``, ...) that points up while the sensor is still, for (n, 3)."""
    windows = still_windows(acc, rate_hz or _BLIND_RATE_HZ)
    if len(windows) == 0:
        return undecided("the sensor never rests")
    up = windows.mean(axis=1).mean(axis=0)
    strongest = int(np.argmax(np.abs(up)))
    off = float(np.degrees(np.arccos(np.clip(abs(up[strongest]) / max(float(norm(up)), 1e-12), 0.0, 1.0))))
    axis = ("-" if up[strongest] < 0 else "") + "xyz"[strongest]
    told = f"{axis} points up at rest, {off:.0f} deg off ({len(windows)} still half seconds)"
    return Estimate(axis, "known", 0.95, told) if off < 30.0 else undecided(f"no axis does: {told}")


# --- clocks ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClockReading:
    """Stamps read as a clock: their unit (``s``, ``ms``, ``us``), the rate they give, whether they are regular."""

    unit: str
    rate_hz: float
    regular: bool


def estimate_clock(stamps: FloatArray) -> Estimate:
    """Return how a column of stamps (n,) reads as a clock, ``open`` where it is none."""
    steps = np.diff(stamps[np.isfinite(stamps)])
    if len(steps) < _LEAST_ROWS or not (steps >= 0).all() or not (steps > 0).mean() > 0.8:
        return undecided("the column does not increase from row to row")
    step = float(np.median(steps[steps > 0]))
    units = [unit for unit, scale in TIME_UNITS_S.items() if LIKELY_HZ[0] <= 1 / (step * scale) <= LIKELY_HZ[1]]
    if len(units) != 1:
        return undecided(f"its steps of {step:.4g} are those of no usual rate in s, ms or us")
    even = float(np.mean(np.abs(steps / step - np.maximum(np.round(steps / step), 1.0)) < 0.25))
    close = float(steps[steps <= 1.5 * step].mean())
    regular = even >= REGULAR_SHARE and abs(close / step - 1) < REGULAR_RATE
    rate_hz = 1.0 / ((close if regular else float(steps.mean())) * TIME_UNITS_S[units[0]])
    told = f"steps of {step:.4g} are {rate_hz:.4g} Hz in {units[0]}, {even:.1%} of them even"
    told += "" if regular else ", so that it stumbles"
    return Estimate(ClockReading(units[0], rate_hz, regular), "known", 0.95, told)


# --- joint angles ----------------------------------------------------------------------------------------------------


def estimate_angle_unit(angles: FloatArray) -> Estimate:
    """Return ``deg`` or ``rad`` for a sagittal angle of a knee, hip or ankle in motion, (n,)."""
    known = angles[np.isfinite(angles)]
    if len(known) < _LEAST_ROWS:
        return undecided("too few samples")
    span = float(np.subtract(*np.percentile(known, (99, 1))))
    told = f"it spans {span:.3g} (p1 to p99)"
    if span > 2 * np.pi:
        return Estimate("deg", "known", 0.97, f"{told}: more than any joint in rad")
    if 0.2 < span < 2.7:
        return Estimate("rad", "guessed", 0.8, f"{told}: as a moving joint in rad, as a still one in deg")
    return undecided(told)


def estimate_knee_sign(angles_deg: FloatArray) -> Estimate:
    """Return 1 where knee flexion is positive in (n,) degrees, -1 where negative: knees bend one way only."""
    known = angles_deg[np.isfinite(angles_deg)]
    if len(known) < _LEAST_ROWS:
        return undecided("too few samples")
    low, high = (float(value) for value in np.percentile(known, (1, 99)))
    told = f"it goes from {low:.0f} to {high:.0f} deg (p1 to p99), and a knee bends one way only"
    if high > BENT_DEG and low > -STRAIGHT_DEG:
        return Estimate(1, "known", 0.98, told)
    if low < -BENT_DEG and high < STRAIGHT_DEG:
        return Estimate(-1, "known", 0.98, told)
    bent, turned = float(np.mean(known > BENT_DEG)), float(np.mean(known < -BENT_DEG))
    told += f"; {bent:.0%} lie above {BENT_DEG:g}, {turned:.0%} below -{BENT_DEG:g}"
    if max(bent, turned) > 10 * min(bent, turned) and max(bent, turned) > 0.05:
        return Estimate(1 if bent > turned else -1, "guessed", 0.8, told)
    return undecided(told)
