"""Derivatives that leave gait's impacts whole: sixth-order central differences.

A sine of f Hz sampled at r Hz, x = 2 pi f / r, comes out of the central difference of seven samples with this share of
its amplitude, and no shift of phase:

====================  =============  =============  =============
x (f at r = 100 Hz)   0.63 (10 Hz)   0.94 (15 Hz)   1.26 (20 Hz)
====================  =============  =============  =============
second derivative     0.9999         0.9989         0.9945
first derivative      0.9996         0.9958         0.9793
====================  =============  =============  =============

The three-point second difference keeps 0.968, 0.928 and 0.875 of it, the mean of the two neighbouring intervals 0.935,
0.858 and 0.757. White noise in position grows by 3.4 instead of 2.4, in orientation by 1.1 instead of 0.7 (per sample
and unit time step): whoever has noisy motion smooths it first (``smooth``), and knows with which cutoff.

Towards the ends the stencil shrinks to five and to three samples, and the outermost sample is had one-sidedly at
second order: a sixth-order one-sided formula would multiply noise by 85.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

REACH = 3
"""How many samples a derivative looks to either side: a missing sample makes that many neighbours unknown."""

MINIMUM_SAMPLES = 4
"""What the one-sided second difference at either end needs."""

_SECOND = {1: (1.0,), 2: (16 / 12, -1 / 12), 3: (270 / 180, -27 / 180, 2 / 180)}
FIRST = {1: (1 / 2,), 2: (8 / 12, -1 / 12), 3: (45 / 60, -9 / 60, 1 / 60)}
"""By how far they look: the weights of the 1st, 2nd and 3rd neighbours, for a sampling interval of 1."""


def second_derivative(values: FloatArray, rate_hz: float) -> FloatArray:
    """Return the second derivative of rows (k, n), n at least ``MINIMUM_SAMPLES``, along their last axis."""

    def around(start: int, stop: int, weights: tuple[float, ...]) -> FloatArray:
        middle = values[:, start:stop]
        total = np.zeros_like(middle)
        for step, weight in enumerate(weights, 1):
            left, right = values[:, start - step : stop - step], values[:, start + step : stop + step]
            total += weight * ((left - middle) + (right - middle))
        return total

    n = values.shape[1]
    out = np.empty_like(values)
    for start, stop, reach in _spans(n):
        out[:, start:stop] = around(start, stop, _SECOND[reach])
    out[:, 0] = 2 * values[:, 0] - 5 * values[:, 1] + 4 * values[:, 2] - values[:, 3]
    out[:, -1] = 2 * values[:, -1] - 5 * values[:, -2] + 4 * values[:, -3] - values[:, -4]
    return np.asarray(out * rate_hz**2)


def first_derivative(values: FloatArray, rate_hz: float) -> FloatArray:
    """Return the first derivative of rows (k, n), n at least ``MINIMUM_SAMPLES``, along their last axis."""
    return from_turns({step: values[:, step:] - values[:, :-step] for step in (1, 2, 3)}, rate_hz)


def from_turns(steps: dict[int, FloatArray], rate_hz: float) -> FloatArray:
    """Return the first derivative at each of n samples from what changes over 1, 2 and 3 intervals.

    ``steps[k]`` (m, n - k) is the change from sample i to i + k. For rotations it is the rotation vector of the turn,
    whose derivative at no turn at all is the angular rate in body axes: the order of the formula holds for any axis.
    """
    n = steps[1].shape[1] + 1
    out = np.empty((len(steps[1]), n))
    for start, stop, reach in _spans(n):
        total = np.zeros((len(out), stop - start))
        for step, weight in enumerate(FIRST[reach], 1):
            total += weight * (steps[step][:, start - step : stop - step] + steps[step][:, start:stop])
        out[:, start:stop] = total
    out[:, 0] = 2 * steps[1][:, 0] - steps[2][:, 0] / 2
    out[:, -1] = 2 * steps[1][:, -1] - steps[2][:, -1] / 2
    return np.asarray(out * rate_hz)


def _spans(n: int) -> list[tuple[int, int, int]]:
    """Return (start, stop, reach) of all samples but the first and the last."""
    if n <= 2 * REACH:
        return [(i, i + 1, min(i, n - 1 - i)) for i in range(1, n - 1)]
    near = [(i, i + 1, i) for i in range(1, REACH)]
    far = [(n - 1 - i, n - i, i) for i in range(1, REACH)]
    return [(REACH, n - REACH, REACH), *near, *far]
