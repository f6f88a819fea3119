"""One heading for two neighbours: without a magnetometer each sensor's world has its own, and they drift apart.

The flexion axis of a joint points the same way in both segments, over a while: by how much the headings of the two
differ is what is to be taken off. That is how Laidig et al. 2017 (ICORR, 971-976) correct the heading at hinges, with
their rating by how far both axes lie in the horizontal, averaged here as a direction over a window. So the joint's mean
internal rotation over a window is lost: it becomes nearly zero. Hips and ankles are no hinges; there, too, the axes
agree on average only, in gait above all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]
_LEAST = 1e-6


def heading_between(near: FloatArray, far: FloatArray, window: int) -> FloatArray:
    """Return by how much (n,) rad about Y the world of ``far`` is to be turned into that of ``near``.

    ``near`` and ``far`` (n, 3, 3) turn segment to world (Y up) and may hold NaN; ``window`` is in samples. Where
    nothing within a window tells, the mean of all counts, and 0 where there is none.
    """
    told = _horizontal(near) * np.conj(_horizontal(far))
    told = np.where(np.isfinite(told), told, 0.0)
    smooth = _sums(told, window)
    silent = np.abs(smooth) < _LEAST * window
    return np.asarray(np.angle(np.where(silent, told.sum() if told.any() else 1.0, smooth)))


def turned(rotation: FloatArray, angle: FloatArray) -> FloatArray:
    """Return rotations (n, 3, 3) with their world turned by angles (n,) rad about Y."""
    cos, sin = np.cos(angle), np.sin(angle)
    found = rotation.copy()
    found[:, 0] = cos[:, None] * rotation[:, 0] + sin[:, None] * rotation[:, 2]
    found[:, 2] = cos[:, None] * rotation[:, 2] - sin[:, None] * rotation[:, 0]
    return found


def _horizontal(rotation: FloatArray) -> ComplexArray:
    """Return the flexion axis in the horizontal (n,): to be turned by an angle about Y is to be multiplied."""
    return np.asarray(rotation[:, 2, 2] + 1j * rotation[:, 0, 2])


def _sums(values: ComplexArray, window: int) -> ComplexArray:
    """Return the sum over a window about each sample, one that is cut off at the ends."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at, half = np.arange(values.size), max(1, window // 2)
    return np.asarray(sums[np.minimum(at + half + 1, values.size)] - sums[np.maximum(at - half, 0)])
