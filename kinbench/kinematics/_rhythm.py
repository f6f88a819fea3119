"""How regularly a body part swings: the stride in its angular rate, whatever the axes of the sensor on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, sosfiltfilt

FloatArray = NDArray[np.float64]

LOOK_HZ = 25.0
"""Strides are looked for at about this rate: what repeats in gait lies below 6 Hz."""

STRIDE_S = (0.5, 1.9)
"""Shortest (sprinting) and longest (very slow walking) stride that is looked for."""

SPAN_S = 1.6
"""Length of the pieces that are compared with what comes a stride later."""

AS_GOOD = 0.92
"""Of peaks nearly as high as the highest the first is the stride: two strides repeat as well as one."""


@dataclass(frozen=True)
class Rhythm:
    """The stride at each of ``time_s`` (m,), from the first sample: ``strength`` (m,) is the correlation of the angular
    rate with itself a stride on, 1 at best, and ``stride_s`` (m,) that stride; ``speed`` (m,) is the root mean square
    of the rate about it, rad/s.
    """

    time_s: FloatArray
    strength: FloatArray
    stride_s: FloatArray
    speed: FloatArray


def rhythm(gyr: ArrayLike, rate_hz: float) -> Rhythm:
    """Return how well angular rate (n, 3), rad/s, evenly sampled and without holes, repeats after a stride.

    The three components are correlated together, so that the outcome is the same for every mounting of the sensor. A
    step of the other leg is no repetition: the sensor of one leg turns the other way then. Where nothing between
    ``STRIDE_S`` stands out the strength is 0.
    """
    values = np.asarray(gyr, dtype=np.float64)
    every = max(1, round(rate_hz / LOOK_HZ))
    if every > 1 and len(values) > 30:
        values = sosfiltfilt(butter(4, 0.4 / every, fs=1.0, output="sos"), values, axis=0)
    values, rate = values[::every], rate_hz / every
    span, lags = max(3, round(SPAN_S * rate)), np.arange(*(round(s * rate) for s in STRIDE_S))
    power = (values**2).sum(axis=1)
    alike = np.zeros((len(lags), len(values)))
    for row, lag in zip(alike, lags.tolist(), strict=True):
        if len(values) <= lag:
            continue
        shared = uniform_filter1d((values[:-lag] * values[lag:]).sum(axis=1), span, mode="nearest")
        before, after = (uniform_filter1d(side, span, mode="nearest") for side in (power[:-lag], power[lag:]))
        start = lag // 2
        row[start : start + len(shared)] = shared / np.maximum(np.sqrt(np.abs(before * after)), 1e-9)
        row[:start], row[start + len(shared) :] = row[start], row[start + len(shared) - 1]
    inner = alike[1:-1]
    peaks = np.where((inner >= alike[:-2]) & (inner >= alike[2:]), inner, 0.0)
    highest = peaks.max(axis=0)
    first = (peaks >= AS_GOOD * highest).argmax(axis=0)
    return Rhythm(
        np.arange(len(values)) / rate,
        np.clip(highest, 0.0, 1.0),
        lags[1:-1][first] / rate,
        np.sqrt(np.clip(uniform_filter1d(power, span, mode="nearest"), 0.0, None)),
    )
