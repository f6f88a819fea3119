"""From a clock to an even grid: anti-aliased where the rate falls, linear where the clock is uneven.

Sample k of a grid stands at time k / rate_hz. Gaps up to a stated length are bridged linearly, longer ones are masked
(protocols 1, Resampling and Gaps). ``resample`` uses it per stream, ``kinbench.windows`` for a task's grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import firwin, resample_poly

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

JITTER = 0.1
"""A clock is regular when no sample stands further than this, in samples, from where an even one would put it."""
LARGEST_TERM = 256
"""Rate ratios with larger numerators or denominators count as irrational: 148 Hz to 100 Hz is 25/37, well inside."""
FILTER_REACH = 10
"""Half-length of ``scipy.signal.resample_poly``'s default filter, in samples of the slower of the two rates."""
SAME_RATE = 1.1
"""Up to this multiple of the task's rate an uneven clock is interpolated without a filter: what could alias then lies
in the last tenth below the Nyquist frequency, where the linear interpolation itself already attenuates."""


@dataclass(frozen=True)
class Plan:
    """How one clock reaches a grid. ``support`` is the widest reach of a grid sample over its inputs, in grid samples.

    ``ratio`` is that of a polyphase filter; ``None`` means linear interpolation onto ``fine`` samples per grid sample,
    then (where ``fine`` > 1) an anti-aliased decimation.
    """

    rate_hz: float
    native_hz: float
    samples: int
    ratio: Fraction | None
    fine: int
    support: int


def measured_rate_hz(time_s: FloatArray) -> float:
    """Return (n - 1) / duration; needs two samples."""
    return float((time_s.size - 1) / (time_s[-1] - time_s[0]))


def plan(time_s: FloatArray, rate_hz: float, max_gap_s: float, *, jitter: float = JITTER) -> Plan:
    """Return the way from strictly increasing ``time_s`` (n >= 2) to the grid that starts at 0 and ends with it.

    ``jitter`` is how far, in samples, a regular clock's may stand from even ones; others are interpolated.
    """
    native_hz = measured_rate_hz(time_s)
    samples = max(0, math.floor(time_s[-1] * rate_hz + JITTER)) + 1
    ratio = _ratio(time_s, native_hz, rate_hz, jitter)
    fine = 1 if ratio is not None or native_hz <= SAME_RATE * rate_hz else math.ceil(native_hz / rate_hz)
    if ratio is not None and ratio != 1:
        support = 2 * FILTER_REACH * max(1.0, rate_hz / native_hz)
    else:
        support = 2.0 * (max_gap_s + 1.0 / native_hz) * rate_hz + (2 * FILTER_REACH if fine > 1 else 0)
    return Plan(rate_hz, native_hz, samples, ratio, fine, math.ceil(support))


def _ratio(time_s: FloatArray, native_hz: float, rate_hz: float, jitter: float) -> Fraction | None:
    """Return grid over native rate where the clock is regular, starts at 0 and the ratio is a fraction, else None."""
    even = np.arange(time_s.size) / native_hz
    if np.abs(time_s - even).max() * native_hz > jitter:
        return None
    ratio = Fraction(rate_hz / native_hz).limit_denominator(LARGEST_TERM)
    drift = abs(float(ratio) - rate_hz / native_hz) * time_s.size
    fits = 0 < ratio.numerator <= LARGEST_TERM and drift <= jitter
    return ratio if fits else None


def onto_grid(plan: Plan, time_s: FloatArray, values: FloatArray, known: BoolArray) -> FloatArray:
    """Return (samples, channel) of one sensor's (n, channel) values; those not ``known`` (n,) are bridged first.

    What no input reaches must be masked with ``covered``; at least one sample must be known. Within the filter's
    reach of a long gap, samples lean on the straight line across it.
    """
    filled = values if known.all() else interpolate(time_s[known], values[known], time_s)
    if plan.ratio == 1:
        return _to_length(filled, plan.samples)
    if plan.ratio is not None:
        return _to_length(_polyphase(filled, plan.ratio.numerator, plan.ratio.denominator), plan.samples)
    grid = np.arange(plan.samples * plan.fine) / (plan.rate_hz * plan.fine)
    even = interpolate(time_s, filled, grid)
    return even if plan.fine == 1 else _to_length(_polyphase(even, 1, plan.fine), plan.samples)


def _polyphase(values: FloatArray, up: int, down: int) -> FloatArray:
    """Return (n * up / down, channel), rounded up.

    The line from the first to the last sample is taken off first and put back after, so that gravity makes no
    transient at the ends, and a steady turn none anywhere.
    """
    if values.shape[0] == 1:
        return values
    slope = (values[-1] - values[0]) / (values.shape[0] - 1)
    rest = values - values[0] - np.arange(values.shape[0])[:, None] * slope
    taps: Any = _low_pass(up, down)  # the stubs know no windows but named ones
    done: FloatArray = np.asarray(resample_poly(rest, up, down, axis=0, window=taps), dtype=np.float64)
    return np.asarray(done + values[0] + np.arange(done.shape[0])[:, None] * (slope * down / up), dtype=np.float64)


@cache
def _low_pass(up: int, down: int) -> FloatArray:
    """Return the taps of ``scipy.signal.resample_poly``'s own design, and each phase's sum made one.

    Without that a constant comes out with a ripple of 4e-4 of itself: 0.004 m s-2 on gravity, at the rate at which the
    phases recur.
    """
    greater = max(up, down)
    taps = np.asarray(firwin(2 * FILTER_REACH * greater + 1, 1.0 / greater, window=("kaiser", 5.0)), dtype=np.float64)
    for phase in range(up):
        taps[phase::up] /= up * taps[phase::up].sum()
    return taps


def _to_length(values: FloatArray, samples: int) -> FloatArray:
    if values.shape[0] >= samples:
        return values[:samples]
    return np.concatenate([values, np.repeat(values[-1:], samples - values.shape[0], axis=0)])


def _difference(later: FloatArray, earlier: FloatArray) -> FloatArray:
    return later - earlier


def interpolate(
    time_s: FloatArray,
    values: FloatArray,
    at_s: FloatArray,
    difference: Callable[[FloatArray, FloatArray], FloatArray] = _difference,
) -> FloatArray:
    """Return (m, channel) of (n, channel) values at other times, linearly; the ends are held.

    ``difference`` tells how far two values are apart: pass the one on the circle for angles.
    """
    if time_s.size == 1:
        return np.repeat(values, at_s.size, axis=0)
    right = np.clip(np.searchsorted(time_s, at_s, side="right"), 1, time_s.size - 1)
    left = right - 1
    weight = np.clip((at_s - time_s[left]) / (time_s[right] - time_s[left]), 0.0, 1.0)[:, None]
    return np.asarray(values[left] + weight * difference(values[right], values[left]), dtype=np.float64)


def covered(known_s: FloatArray, at_s: FloatArray, period_s: float, max_gap_s: float) -> BoolArray:
    """Return where times lie on a known sample, or between two with no more than ``max_gap_s`` missing.

    The missing stretch between two known samples is their distance less one period of the clock.
    """
    if known_s.size == 0:
        return np.zeros(at_s.size, dtype=bool)
    slack = JITTER * period_s
    right = np.searchsorted(known_s, at_s, side="right")
    before = known_s[np.clip(right - 1, 0, known_s.size - 1)]
    after = known_s[np.clip(right, 0, known_s.size - 1)]
    on_sample = np.minimum(np.abs(at_s - before), np.abs(at_s - after)) <= slack
    between = (right > 0) & (right < known_s.size) & (after - before - period_s <= max_gap_s + slack)
    return on_sample | between
