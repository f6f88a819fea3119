"""A range that was too small: a signal that stops at one and the same value, as high as it goes.

Peaks of a body's motion differ in the last digit; those that a converter cut are equal. So an extreme is counted: how
often it is met, against how often peaks would meet by chance, by how densely values lie below it and how finely they
are written. A lone peak tells nothing, for one that was cut looks the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import poisson

from kinbench.inspection.findings import BoolArray, Finding, FloatArray, runs_of

FLAT_SAMPLES = 4
FLAT_WITHIN = 1e-3
"""Of the level: calibration after the converter leaves a cut peak flat to so much."""
ENTERED = 0.02
"""Of the span: a flat top is entered by a jump, a smooth peak is not."""
LEAST_SAMPLES = 50
CHANCE = 1e-4
"""Peaks that agree in every digit by a lesser chance than this have been cut."""
BELOW = 20
FINEST_PERCENT = 1.0
ENTERED_STEPS = 20
ENTERED_AT_TIES = 0.002
TIES_OVER_NEXT = 3
"""An extreme is met so many times as often as any value below it; a slow sine in coarse digits meets it 2.4 times."""
NEAR_TOP = 0.8
PEAKS = 3
"""A range is large enough where so many peaks reach four fifths of the highest, and all differ."""


@dataclass(frozen=True)
class Ceiling:
    """A level at which a signal stops: on which axes, how many samples lie at it, and how likely that is chance."""

    axes: str
    level: float
    samples: int
    chance: float


def judge_range(where: str, values: FloatArray, true: Callable[[], FloatArray | None] = lambda: None) -> Finding:
    """Judge whether (n, 3) values were cut by the sensor's range.

    ``true`` gives (n, 3) of another source of the same signal, which may say that it went further.
    """
    mend = "mask what is flat; record with a larger range"
    values = _told_once(values)
    if np.isfinite(values).all(axis=1).sum() < LEAST_SAMPLES:
        return Finding("clipping", "NOT ASSESSED", where, "hardly a row that does not repeat the one before")
    told = list(ceilings(values))
    sure = [one for one in told if one.chance < CHANCE]
    if sure:
        worst = max(sure, key=lambda one: one.samples)
        message = f"{worst.samples} samples of {worst.axes} are {worst.level:.5g} in every digit, its extreme"
        return Finding("clipping", "FAIL", where, f"{message}; the sensor's range was too small", float(worst.samples),
                       "clipping", mend)  # fmt: skip
    flat = _flat(where, values, true, mend)
    if flat is not None:
        return flat
    if told:
        message = f"{told[0].samples} samples of {told[0].axes} are {told[0].level:.5g}, its extreme; it may"
        return Finding("clipping", "NOT ASSESSED", where, f"{message} be the range, or chance", float(told[0].samples))
    return _headroom(where, values)


def _told_once(values: FloatArray) -> FloatArray:
    """Return rows with NaN for those that repeat the one before or are zero on every axis: another fault's."""
    rows = values.copy()
    rows[1:][(np.diff(values, axis=0) == 0).all(axis=1)] = np.nan
    rows[(values == 0).all(axis=1)] = np.nan
    return rows


def _flat(where: str, values: FloatArray, other: Callable[[], FloatArray | None], mend: str) -> Finding | None:
    """Judge tops that are flat but not equal; None where there is none."""
    for axis, name in enumerate("xyz"):
        runs, level = clipped(values[:, axis])
        if not runs:
            continue
        told, true = f"{runs} runs of {name} flat at its extreme {level:.4g}", other()
        if true is None:
            message = f"{told}; the sensor's range was too small (no second source to confirm it)"
            return Finding("clipping", "FAIL", where, message, float(runs), "clipping", mend)
        top = np.abs(values[:, axis] - level) <= FLAT_WITHIN * abs(level)
        beyond = float(np.nanmax(true[top, axis] / level)) if np.isfinite(true[top, axis]).any() else np.nan
        if beyond > 1.02:
            message = f"{told}, where its orientation turned {beyond:.2f} times as fast; its range was too small"
            return Finding("clipping", "FAIL", where, message, float(runs), "clipping", mend)
        message = f"{told}, but its orientation turned no faster there"
        return Finding("clipping", "NOT ASSESSED", where, message, float(runs))
    return None


def clipped(values: FloatArray) -> tuple[int, float]:
    """Return (runs, level): how often (n,) values stay flat at their largest magnitude, entered by a jump.

    A smooth peak is flat too, but not before it has slowed down; and a resting value is no extreme.
    """
    total, at = 0, 0.0
    span = float(np.nanmax(values) - np.nanmin(values))
    for level in (float(np.nanmax(values)), float(np.nanmin(values))):
        near = np.abs(values - level) <= FLAT_WITHIN * abs(level)
        for start, stop in runs_of(near):
            if stop - start < FLAT_SAMPLES or start == 0 or stop == values.size:
                continue
            flat = float(np.ptp(values[start:stop]))
            entered = min(abs(values[start] - values[start - 1]), abs(values[stop - 1] - values[stop]))
            if entered > ENTERED * span and entered > 10 * flat:
                total, at = total + 1, level
    return total, at


def ceilings(values: FloatArray) -> Iterator[Ceiling]:
    """Yield the extremes of (n, 3) values that more than one sample meets: of each axis and sign, then of all."""
    for axis, name in enumerate("xyz"):
        for sign in (1.0, -1.0):
            yield from _ceiling(name, sign * values[:, axis], sign)
    whole = np.abs(values[np.isfinite(values).all(axis=1)])
    if len(whole):
        yield from _ceiling("all axes together", whole.ravel(order="F"), 1.0)


def _ceiling(axes: str, values: FloatArray, sign: float) -> Iterator[Ceiling]:
    known = np.sort(values[np.isfinite(values)])[::-1]
    if known.size < 2 or known[0] == known[-1]:
        return
    top = float(known[0])
    met = int((known == top).sum())
    if met < 2:
        return
    below = known[met : met + max(BELOW, 3 * met)]
    finest = float(np.percentile(-np.diff(np.unique(known)[::-1]), FINEST_PERCENT))
    # Near a smooth peak values crowd as the root of what is left to it, everywhere else less.
    expected = below.size * np.sqrt(min(1.0, finest / max(top - float(below[-1]), finest)))
    usual = int(np.unique(below, return_counts=True)[1].max())
    alone = met >= TIES_OVER_NEXT * usual and _entered(values, values == top, finest, top - float(known[-1]))
    yield Ceiling(axes, sign * top, met, float(poisson.sf(met - 2, expected)) if alone else 1.0)


def _entered(values: FloatArray, at: BoolArray, finest: float, span: float) -> bool:
    """Whether most runs at the extreme begin or end with a step: a value at rest is an extreme too, but left slowly."""
    steps = []
    for start, stop in runs_of(at):
        beside = [values[start] - values[i] for i in (start - 1, stop) if 0 <= i < values.size]
        steps.append(max((float(step) for step in beside if np.isfinite(step)), default=np.inf))
    return float(np.median(steps)) > max(ENTERED_STEPS * finest, ENTERED_AT_TIES * span)


def _headroom(where: str, values: FloatArray) -> Finding:
    """Pass where the highest peaks all differ, so that a ceiling can have touched one sample at most."""
    sizes = np.nan_to_num(np.abs(values))
    axis = int(np.argmax(sizes.max(axis=0)))
    sign = np.sign(values[np.argmax(sizes[:, axis]), axis])
    signal = np.nan_to_num(sign * values[:, axis])
    top = float(signal.max())
    peaks = [float(signal[start:stop].max()) for start, stop in runs_of(signal > NEAR_TOP * top)]
    if len(set(peaks)) >= PEAKS:
        return Finding("clipping", "PASS", where, f"the {len(peaks)} highest peaks, up to {top:.4g}, all differ", 0.0)
    return Finding("clipping", "NOT ASSESSED", where, f"a lone peak of {top:.4g}: a range that cut it would look alike")
