"""Spans in which nobody moves, by the rule with which Tan et al. 2024 leave windows out of pre-training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

WINDOW_S = 1.28
STRIDE_S = 0.64
"""Their windows of 128 samples every 64 at 100 Hz, in seconds, since nothing is resampled here."""


def still_samples(
    acc: FloatArray, rate_hz: float, below: float, *, window_s: float = WINDOW_S, stride_s: float = STRIDE_S
) -> NDArray[np.bool_]:
    """Return (n,) True for the samples that stand in no moving window.

    ``acc`` (n, sensor, 3) m s-2. A window moves where the standard deviation of its acceleration, averaged over all
    sensors' axes, is ``below`` or more; windows overlap, and one that would end behind the last sample ends there.
    """
    count = len(acc)
    width = min(max(round(window_s * rate_hz), 1), count)
    stride = max(round(stride_s * rate_hz), 1)
    starts = {*range(0, count - width + 1, stride), count - width}
    still = np.ones(count, dtype=bool)
    channels = acc.reshape(count, -1)
    for start in sorted(starts):
        if channels[start : start + width].std(axis=0).mean() >= below:
            still[start : start + width] = False
    return still


def spans(chosen: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return (first, one past last) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
