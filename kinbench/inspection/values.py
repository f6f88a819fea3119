"""Clocks and values: what an adapter, a radio link or a saturated sensor may have done to the numbers themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from kinbench.inspection.findings import BoolArray, Finding, FloatArray, Sensor, runs_of
from kinbench.inspection.motion import body_rate
from kinbench.inspection.saturation import judge_range
from kinbench.schema import DOFS

RATE_TOLERANCE = 0.005
COUNTER = 2**16
TICKS = 2**32
TICKS_PER_S = (1e4, 1e6)
"""Packet counters have 16 bits; sample times 32, in ticks of 0.1 ms (MTw) or 1 us (Movella DOT)."""
GAP_SHARE = 0.05
"""More lost time than this is a fault; up to it, gaps are counted and passed."""
SPIKE_SD = 6.0
SPIKE_OVER_PEAKS = 4.0
SPIKE_QUIET = 0.15
SPIKE_REACH = 12
STUCK_S = 0.5
TURNS_DEG = 500.0
"""No joint turns so far; degrees taken for radians are 57 times too many, even of a stiff ankle."""
BEYOND_DOFS = 3
"""Angles of so many joints are not beyond their limits at once by an offset."""
BENDING = ("hip_flexion", "knee_flexion", "ankle_dorsiflexion")
_LEAST_SAMPLES = 50
_MOSTLY = 0.5
"""An angle that is out of its range for more of its samples than this is not mended by masking them."""
_ELSEWHERE = "it is no matter of spans: check its zero, sign, unit and column where it comes from"


# --- clock -----------------------------------------------------------------------------------------------------------


def check_clock(stream: str, data: xr.Dataset, rates: Mapping[str, Any]) -> Iterator[Finding]:
    """Check that time goes forward, how much of it is missing, and the rate against the nominal one."""
    where = f"{stream}.time"
    time = np.asarray(data["time"].values, dtype=np.float64)
    if time.size < _LEAST_SAMPLES:
        yield Finding("clock", "NOT ASSESSED", where, f"only {time.size} samples")
        return
    steps = np.diff(time)
    back = int((steps <= 0).sum()) + int((~np.isfinite(time)).sum())
    if back:
        repeated = int((steps == 0).sum())
        cause = _clock_cause(steps, repeated == back)
        mend = "unwrap the counter" if cause == "clock:wrap" else "re-index by the packet counter"
        message = f"{back} steps not forward, {repeated} of them repeated; {mend}"
        yield Finding("clock", "FAIL", where, message, float(back), cause, mend)
        return
    if _wrapped(steps):
        message = f"a step of {steps.max():.1f} s is a counter's whole range; it was unwrapped once too often"
        yield Finding("clock", "FAIL", where, message, float(steps.max()), "clock:wrap", "unwrap it by its range")
        return
    yield _gaps(where, steps, _lost(data))
    yield _rate(where, steps, rates)


def _wrapped(steps: FloatArray) -> bool:
    """Whether a step is a counter's range of packets or ticks, forwards or back, less the sample it hides."""
    typical = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    far = np.abs(steps[np.isfinite(steps)])
    ranges = [COUNTER * typical, *(TICKS / per_s for per_s in TICKS_PER_S)]
    return typical > 0 and any(bool((np.abs(far - full) <= max(0.01 * full, 2 * typical)).any()) for full in ranges)


def _clock_cause(steps: FloatArray, only_repeated: bool) -> str:
    if _wrapped(steps):
        return "clock:wrap"
    return "packets:doubled" if only_repeated else "clock:backwards"


def _lost(data: xr.Dataset) -> float:
    """Return the share of samples at which any sensor or DoF is masked, averaged over them."""
    return float(1.0 - np.asarray(data["valid"].values).mean()) if "valid" in data else 0.0


def _gaps(where: str, steps: FloatArray, masked: float) -> Finding:
    typical = float(np.median(steps))
    gaps = steps[steps > 1.5 * typical]
    share = float((gaps - typical).sum() / steps.sum())
    longest = float(gaps.max()) if gaps.size else 0.0
    told = f"{gaps.size} gaps, {share:.2%} of the time, longest {longest:.3f} s; {masked:.2%} of samples masked"
    if share > GAP_SHARE:
        return Finding("gaps", "FAIL", where, f"{told}; at most {GAP_SHARE:.0%} can be bridged", share, "packets:gaps",
                       "leave the recording out, or cut it at its gaps")  # fmt: skip
    return Finding("gaps", "PASS", where, told, share)


def _rate(where: str, steps: FloatArray, rates: Mapping[str, Any]) -> Finding:
    typical = float(np.median(steps))
    measured = float(1.0 / steps[steps <= 1.5 * typical].mean())
    nominal = rates.get("nominal_hz")
    if rates.get("regular") is False:
        return Finding("rate", "NOT ASSESSED", where, f"{measured:.2f} Hz; the clock is declared irregular", measured)
    if not nominal:
        return Finding("rate", "NOT ASSESSED", where, f"{measured:.2f} Hz measured, no nominal rate", measured)
    off = measured / float(nominal) - 1
    if abs(off) > RATE_TOLERANCE:
        message = f"{measured:.3f} Hz measured, {float(nominal):g} nominal, {off:+.2%}; check rate and clock"
        return Finding("rate", "FAIL", where, message, measured, f"rate:{measured:.4g}", "declare the measured rate")
    return Finding("rate", "PASS", where, f"{measured:.3f} Hz measured, {float(nominal):g} nominal", measured)


# --- values of a sensor ----------------------------------------------------------------------------------------------


def check_values(sensor: Sensor) -> Iterator[Finding]:
    """Look for isolated spikes, clipping and stuck values in acceleration and angular rate."""
    for name, values in (("acc", sensor.acc), ("gyr", sensor.gyr)):
        if values is None:
            continue
        where = f"imu.{name}[{sensor.name}]"
        if np.isfinite(values).all(axis=1).sum() < _LEAST_SAMPLES:
            yield Finding("values", "NOT ASSESSED", where, f"fewer than {_LEAST_SAMPLES} samples")
            continue
        yield _spikes(where, values, sensor.time)
        yield judge_range(where, values, partial(_turned, sensor if name == "gyr" else None))
        yield _stuck(where, values, sensor.rate_hz)


def _turned(sensor: Sensor | None) -> FloatArray | None:
    """Return the angular rate by the sensor's own orientation, None where it has none."""
    if sensor is None or sensor.quat is None:
        return None
    rate = body_rate(sensor.time, sensor.quat)
    return np.concatenate([rate, rate[-1:]])


def _spikes(where: str, values: FloatArray, time: FloatArray) -> Finding:
    found = np.zeros(len(values), dtype=bool)
    for axis in range(values.shape[1]):
        found |= spikes(values[:, axis])
    count = int(found.sum())
    if count:
        first = float(time[np.flatnonzero(found)[0]])
        message = f"{count} isolated spikes, the first at {first:.2f} s; mask them or replace the file"
        return Finding("spikes", "FAIL", where, message, float(count), "spikes", "mask them or replace the file")
    return Finding("spikes", "PASS", where, "no isolated spike", 0.0)


def without_spikes(imu: xr.Dataset) -> xr.Dataset:
    """Return an imu stream whose isolated spikes are missing: three wrong numbers are no other sync.

    The stream itself where there is none.
    """
    masked = {}
    for name in ("acc", "gyr"):
        if name not in imu:
            continue
        values = np.asarray(imu[name].values)
        found = np.zeros(values.shape, dtype=bool)
        for sensor, axis in np.ndindex(values.shape[1:]):
            found[:, sensor, axis] = spikes(values[:, sensor, axis].astype(np.float64))
        if found.any():
            masked[name] = imu[name].copy(data=np.where(found, np.nan, values))
    return imu.assign(masked) if masked else imu


def spikes(values: FloatArray) -> BoolArray:
    """Return which samples stand alone, off by far more than anything the body does in this signal.

    A heel strike at 40 Hz is one sample wide as well, and tens of SD high. What it does not do: leave the signal as if
    nothing had happened, in a quiet neighbourhood, at several times the height of all other impacts. So a spike has
    neighbours that agree within 15 % of its height, no bend of over 15 % of it within 12 samples, a second
    difference beyond 6 SD, and 4 times the 99.9th percentile of the bends elsewhere.
    """
    found = np.zeros(values.size, dtype=bool)
    bend = values[1:-1] - (values[2:] + values[:-2]) / 2  # minus half the second difference
    known = np.isfinite(bend)
    if known.sum() < _LEAST_SAMPLES:
        return found
    size = np.abs(np.where(known, bend, 0.0))
    around = _largest_around(size)
    returns = np.abs(np.where(known, values[2:] - values[:-2], np.inf)) < SPIKE_QUIET * size
    alone = known & returns & (around < SPIKE_QUIET * size)
    beside = alone.copy()
    beside[1:] |= alone[:-1]
    beside[:-1] |= alone[1:]
    others = size[known & ~beside]
    if others.size:
        least = max(SPIKE_SD * float(others.std()), SPIKE_OVER_PEAKS * float(np.percentile(others, 99.9)))
        found[1:-1] = alone & (size > least)
    return found


def _largest_around(size: FloatArray) -> FloatArray:
    """Return the largest value within ``SPIKE_REACH`` samples, leaving out a sample and its two neighbours."""
    side = SPIKE_REACH - 1
    padded = np.pad(size, SPIKE_REACH)
    largest = np.lib.stride_tricks.sliding_window_view(padded, side).max(axis=1)
    around: FloatArray = np.maximum(largest[: size.size], largest[SPIKE_REACH + 2 : SPIKE_REACH + 2 + size.size])
    return around


def _stuck(where: str, values: FloatArray, rate_hz: float) -> Finding:
    same = (np.diff(values, axis=0) == 0).all(axis=1)
    longest = max((stop - start + 1 for start, stop in runs_of(same)), default=0)
    length_s = longest / rate_hz if rate_hz else 0.0
    if longest >= 10 and length_s >= STUCK_S:
        message = f"the same numbers for {length_s:.2f} s; missing data must be masked, not repeated"
        return Finding("stuck", "FAIL", where, message, length_s, "missing:repeated", "mask what is repeated")
    return Finding("stuck", "PASS", where, "never repeats itself", length_s)


# --- the reference ---------------------------------------------------------------------------------------------------


def check_angles(reference: xr.Dataset, *, moving: bool) -> Iterator[Finding]:
    """Check every DoF's range against what living joints do, wraps, the sign of flexion, and the unit.

    ``moving``: the sensors say that the person moved.
    """
    if "angle" not in reference:
        return
    angles = np.array(reference["angle"].values, dtype=np.float64)
    if "valid" in reference:
        mask = np.asarray(reference["valid"].values)
        angles[~(mask if mask.ndim == 2 else mask[:, None] & np.ones(angles.shape, dtype=bool))] = np.nan
    names = [str(name) for name in reference["dof"].values]
    unit = _angle_unit(angles, names, moving)
    yield unit
    remedy = "see the angle unit" if unit.verdict == "FAIL" else ""
    by_name = {name: column for name, column in zip(names, angles.T, strict=True) if name in DOFS}
    for name, column in by_name.items():
        yield _angle(name, column, _exchanged(name, by_name), remedy)


def _angle_unit(angles: FloatArray, names: list[str], moving: bool) -> Finding:
    sagittal = [name in DOFS and DOFS[name].plane == "sagittal" and DOFS[name].joint != "pelvis" for name in names]
    spans = [float(np.ptp(c[np.isfinite(c)])) for c in angles[:, sagittal].T if np.isfinite(c).any()]
    where = "reference.angle"
    if not spans:
        return Finding("angle unit", "NOT ASSESSED", where, "no sagittal angle")
    narrowest = min(_usual_span(column) for column in angles[:, sagittal].T if np.isfinite(column).any())
    if narrowest > TURNS_DEG:
        message = (
            f"every sagittal angle spans at least {narrowest:.0f} deg; the unit looks wrong (deg declared as rad?)"
        )
        return Finding("angle unit", "FAIL", where, message, narrowest, "unit:angle:deg", "declare the unit deg")
    beyond = _beyond(angles, names)
    if beyond >= BEYOND_DOFS:
        message = f"{beyond} angles are out of all range for most of the time, and none would be 57 times smaller"
        return Finding("angle unit", "FAIL", where, f"{message}; the unit looks wrong (deg declared as rad?)",
                       float(beyond), "unit:angle:deg", "declare the unit deg")  # fmt: skip
    widest = max(spans)
    told = f"the widest sagittal angle spans {widest:.3g} deg"
    if widest > 2 * np.pi:
        return Finding("angle unit", "PASS", where, told, widest)
    if moving:
        message = f"{told} although the sensors move; it looks like radians"
        return Finding("angle unit", "FAIL", where, message, widest, "unit:angle:rad", "declare the unit rad")
    return Finding("angle unit", "NOT ASSESSED", where, f"{told}: too little to tell", widest)


def _beyond(angles: FloatArray, names: list[str]) -> int:
    """Return how many angles are mostly beyond their limits, 0 where any would be so 57.3 times smaller too."""
    count = 0
    for name, column in zip(names, angles.T, strict=True):
        known = column[np.isfinite(column)]
        if name not in DOFS or known.size < _LEAST_SAMPLES:
            continue
        low, high = DOFS[name].limits_deg
        smaller = np.degrees(1.0)
        if known.min() / smaller < low or known.max() / smaller > high:
            return 0
        count += float(((known < low) | (known > high)).mean()) > 0.5
    return count


def _usual_span(column: FloatArray) -> float:
    """Return the span between the 1st and the 99th percentile: a few wild samples do not make a wrong unit."""
    low, high = np.percentile(column[np.isfinite(column)], (1, 99))
    return float(high - low)


def _exchanged(name: str, angles: Mapping[str, FloatArray]) -> str:
    """Return the flexion of the same leg that this one would be exchanged with, empty where none is.

    Both must fit the other's limits, and the knee be the one that bends less: in gait it bends the most.
    """
    joint, side = name[:-2], name[-2:]
    if joint not in BENDING:
        return ""
    for other in BENDING:
        if other == joint or other + side not in angles or "knee_flexion" not in (joint, other):
            continue
        knee, beside = (angles[each + side] for each in ("knee_flexion", (other, joint)[other == "knee_flexion"]))
        spans = [_usual_span(column) if np.isfinite(column).any() else np.nan for column in (knee, beside)]
        if spans[0] < spans[1] and _within(angles[name], other + side) and _within(angles[other + side], name):
            return other + side
    return ""


def _within(column: FloatArray, name: str) -> bool:
    low, high = DOFS[name].limits_deg
    return bool(np.nanmin(column) >= low and np.nanmax(column) <= high)


def _angle(name: str, column: FloatArray, other: str, remedy: str = "") -> Finding:
    """Judge one angle's range; ``remedy`` takes the place of masking where the cause is known.

    ``other`` is an angle that it may have been exchanged with.
    """
    dof, where = DOFS[name], f"reference.angle[{name}]"
    known = column[np.isfinite(column)]
    if known.size < _LEAST_SAMPLES:
        return Finding("angle range", "NOT ASSESSED", where, f"only {known.size} samples")
    steps = np.abs(np.diff(column))
    wraps = int((steps[np.isfinite(steps)] > 180).sum())
    if wraps and dof.joint != "pelvis":
        message = f"{wraps} jumps of over 180 deg; {remedy or 'mask that span'}"
        return Finding("angle range", "FAIL", where, message, float(wraps), "range", remedy or "mask that span")
    low, high = float(known.min()), float(known.max())
    told = f"{low:.1f} to {high:.1f} deg"
    if low >= dof.limits_deg[0] and high <= dof.limits_deg[1]:
        return Finding("angle range", "PASS", where, told, high - low)
    outside = (known < dof.limits_deg[0]) | (known > dof.limits_deg[1])
    turned = -known
    message = f"{told}, {outside.mean():.1%} outside {dof.limits_deg[0]:g} to {dof.limits_deg[1]:g}"
    if other:
        first, second = sorted((name[:-2], other[:-2]))
        return Finding("angle range", "FAIL", where, f"{message}; it looks exchanged with {other}",
                       float(outside.mean()), f"label:{first}<->{second}", f"exchange it with {other}")  # fmt: skip
    if dof.plane == "sagittal" and turned.min() >= dof.limits_deg[0] and turned.max() <= dof.limits_deg[1]:
        return Finding("angle range", "FAIL", where, f"{message}; its sign looks turned", float(outside.mean()), "sign",
                       "turn its sign")  # fmt: skip
    mend = remedy or ("mask those spans" if outside.mean() <= _MOSTLY else _ELSEWHERE)
    return Finding("angle range", "FAIL", where, f"{message}; {mend}", float(outside.mean()), "range", mend)
