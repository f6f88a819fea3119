"""Turn vectors by orientations that come with a recording, and steps of orientation into angular rates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def into_sensor(quat: FloatArray, vectors: FloatArray) -> FloatArray:
    """Return (n, 3) world vectors in sensor axes, ``R(quat)^T v``; ``quat`` (n, 4) w first, sensor to world.

    NaN where either is missing or the quaternion is zero.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        w, x, y, z = (quat / np.linalg.norm(quat, axis=1, keepdims=True)).T
    a, b, c = vectors.T
    return np.stack(
        (
            (1 - 2 * (y * y + z * z)) * a + 2 * (x * y + w * z) * b + 2 * (x * z - w * y) * c,
            2 * (x * y - w * z) * a + (1 - 2 * (x * x + z * z)) * b + 2 * (y * z + w * x) * c,
            2 * (x * z + w * y) * a + 2 * (y * z - w * x) * b + (1 - 2 * (x * x + y * y)) * c,
        ),
        axis=1,
    )


def specific_force(quat: FloatArray, free_acc: FloatArray, gravity: float) -> FloatArray:
    """Return (n, 3) what an accelerometer reads, of its acceleration free of gravity in a world with Z up."""
    return into_sensor(quat, free_acc + np.array([0.0, 0.0, gravity]))


def rate_of_steps(steps: FloatArray, rate_hz: float) -> FloatArray:
    """Return (n, 3) rad s-1 of the turns (n, 4; w first) that a sensor made within each sample, in its own axes."""
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = steps / np.linalg.norm(steps, axis=1, keepdims=True)
        unit = np.where(unit[:, :1] < 0, -unit, unit)
        half_sine = np.linalg.norm(unit[:, 1:], axis=1)
        angle = 2 * np.arctan2(half_sine, unit[:, 0])
        scale = np.where(half_sine > 1e-12, angle / half_sine, 2.0)
    return np.asarray(unit[:, 1:] * scale[:, None] * rate_hz)
