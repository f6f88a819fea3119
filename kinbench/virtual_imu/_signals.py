"""What an ideal inertial sensor reads while it rides on a moving body: specific force and angular rate.

World axes are those of the schema (metres, Y up). Orientations are quaternions w, x, y, z that turn sensor (or
segment) axes into world axes: ``v_world = R(q) v_sensor``. Everything stays in float64 until it is returned: a
position of some metres, differenced twice, leaves nothing of a float32's seven digits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from kinbench.errors import DataError
from kinbench.schema import GRAVITY

FloatArray = NDArray[np.float64]

UP = (0.0, 1.0, 0.0)
"""The world axis that points up."""

MINIMUM_SAMPLES = 4
"""What the one-sided second difference at either end needs."""


def specific_force(position: ArrayLike, orientation: ArrayLike, rate_hz: float) -> FloatArray:
    """Return what an accelerometer reads, (n, 3) in m s-2 and sensor axes: ``R^T (d2p/dt2 + g up)``.

    ``position`` (n, 3) is the sensor's own, in metres and world axes, ``orientation`` (n, 4) sensor to world. At
    rest the result is ``GRAVITY`` along up. The second derivative is the central difference, second order also at
    both ends. Raises ``DataError`` for unequal lengths or fewer than four samples.
    """
    place = _samples(position, 3, "position")
    turn = _rotation(orientation)
    if len(place) != len(turn):
        raise DataError(f"expected as many positions as orientations, got {len(place)} and {len(turn)}")
    second = np.empty_like(place)
    second[1:-1] = place[2:] - 2 * place[1:-1] + place[:-2]
    second[0] = 2 * place[0] - 5 * place[1] + 4 * place[2] - place[3]
    second[-1] = 2 * place[-1] - 5 * place[-2] + 4 * place[-3] - place[-4]
    return _apply(turn.inv(), second * rate_hz**2 + GRAVITY * np.asarray(UP))


def angular_rate(orientation: ArrayLike, rate_hz: float) -> FloatArray:
    """Return what a gyroscope reads, (n, 3) in rad s-1 and sensor axes, from ``orientation`` (n, 4) sensor to world.

    Each sample is the mean of the turns of the two intervals it stands between, the ends are extrapolated; exact for
    a constant rate, second order otherwise. A turn of more than half a revolution from one sample to the next cannot
    be told from the shorter way round. Raises ``DataError`` for fewer than four samples.
    """
    turn = _rotation(orientation)
    interval = (turn[:-1].inv() * turn[1:]).as_rotvec() * rate_hz
    rate = np.empty((len(interval) + 1, 3))
    rate[1:-1] = (interval[:-1] + interval[1:]) / 2
    rate[0] = 1.5 * interval[0] - 0.5 * interval[1]
    rate[-1] = 1.5 * interval[-1] - 0.5 * interval[-2]
    return rate


def on_segment(
    segment_position: ArrayLike, segment_orientation: ArrayLike, offset_m: ArrayLike, rotation: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Return position (n, 3) and orientation (n, 4) of a sensor that is fixed to a segment.

    ``offset_m`` (3,) is where the sensor sits, in segment axes, from the point that ``segment_position`` (n, 3)
    follows; ``rotation`` (3, 3) maps sensor axes to segment axes. Both may also be given per sample, (n, 3) and
    (n, 3, 3), for a sensor that moves with the skin. Raises ``DataError`` for a ``rotation`` that is none.
    """
    place = _samples(segment_position, 3, "segment_position")
    turn = _rotation(segment_orientation)
    matrix = np.asarray(rotation, dtype=np.float64)
    product = matrix @ np.swapaxes(matrix, -1, -2)
    if not np.allclose(product, np.eye(3), atol=1e-6) or not np.all(np.linalg.det(matrix) > 0):
        raise DataError("expected a rotation matrix (orthonormal, determinant +1) from sensor to segment axes")
    seated = turn * Rotation.from_matrix(matrix)
    position = place + _apply(turn, np.asarray(offset_m, dtype=np.float64))
    return position, np.asarray(seated.as_quat(scalar_first=True), dtype=np.float64)


def _apply(turn: Rotation, vectors: FloatArray) -> FloatArray:
    return np.asarray(turn.apply(vectors), dtype=np.float64)


def _rotation(orientation: ArrayLike) -> Rotation:
    return Rotation.from_quat(_samples(orientation, 4, "orientation"), scalar_first=True)


def _samples(values: ArrayLike, width: int, name: str) -> FloatArray:
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 2 or found.shape[1] != width or len(found) < MINIMUM_SAMPLES:
        raise DataError(f"expected {name} of shape (n, {width}) with n at least {MINIMUM_SAMPLES}, got {found.shape}")
    return found
