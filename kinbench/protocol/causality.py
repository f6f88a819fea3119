"""A model that says it looks at the past only, put to the test: another future must not change an answer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import LeakError

Float32Array = NDArray[np.float32]

WINDOWS = 4
"""So many windows are tried."""
ALIKE = 1e-4
"""Degrees: sums may round otherwise where the later numbers are others."""


def check_causal(predict: Callable[[Float32Array], Float32Array], x: Float32Array, cell: str) -> None:
    """Raise ``LeakError`` where answers before the middle of a window change with what comes after it.

    ``x`` is (n, time, channel); of a few windows the second half is replaced by its own samples in reverse, once, and
    by other windows', once.
    """
    tried = np.ascontiguousarray(x[np.linspace(0, len(x) - 1, min(WINDOWS, len(x))).astype(int)])
    middle = tried.shape[1] // 2
    if middle == 0:
        return
    before = np.asarray(predict(tried.copy()))[:, :middle]
    turned, swapped = tried.copy(), tried.copy()
    turned[:, middle:] = turned[:, : middle - 1 : -1]
    swapped[:, middle:] = np.roll(tried, 1, axis=0)[:, middle:] + np.float32(1.0)
    for other in (turned, swapped):
        change = np.abs(np.asarray(predict(other))[:, :middle] - before)
        if change.size and float(change.max()) > ALIKE:
            at = int(np.unravel_index(change.argmax(), change.shape)[1])
            raise LeakError(
                f"{cell}: the model claims to be causal, and its answer for sample {at} changes by "
                f"{float(change.max()):.3g} when only samples from {middle} on are others; it uses the future."
            )
