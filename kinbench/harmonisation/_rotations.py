"""The few operations on arrays of quaternions (w first) that the steps need."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def product(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return the Hamilton product, w first, of arrays (..., 4) that broadcast; norms and NaN pass through."""
    w1, x1, y1, z1 = np.moveaxis(left, -1, 0)
    w2, x2, y2, z2 = np.moveaxis(right, -1, 0)
    return np.stack(
        [
            w1 * w2 - x1 * x2 - y1 * y2 - z1 * z2,
            w1 * x2 + x1 * w2 + y1 * z2 - z1 * y2,
            w1 * y2 - x1 * z2 + y1 * w2 + z1 * x2,
            w1 * z2 + x1 * y2 - y1 * x2 + z1 * w2,
        ],
        axis=-1,
    )


def continuous(quaternions: FloatArray) -> FloatArray:
    """Return unit quaternions (n, 4), each with the sign that is nearer to the one before."""
    unit = quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)
    turned = np.sum(unit[1:] * unit[:-1], axis=1) < 0
    signs = np.where(np.cumsum(np.concatenate([[False], turned])) % 2, -1.0, 1.0)
    return np.asarray(unit * signs[:, None], dtype=np.float64)


def turned(quaternions: FloatArray, vectors: FloatArray) -> FloatArray:
    """Return vectors (n, 3) turned by unit quaternions (n, 4)."""
    scalar, axis = quaternions[:, :1], quaternions[:, 1:]
    twice = 2 * np.cross(axis, vectors)
    return np.asarray(vectors + scalar * twice + np.cross(axis, twice), dtype=np.float64)
