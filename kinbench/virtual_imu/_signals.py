"""What an ideal inertial sensor reads while it rides on a moving body: specific force and angular rate.

World axes are those of the schema (metres, Y up). Orientations are quaternions w, x, y, z that turn sensor (or
segment) axes into world axes: ``v_world = R(q) v_sensor``. Everything stays in float64 until it is returned: a
position of some metres, differenced twice, leaves nothing of a float32's seven digits.

Missing is NaN, and stays it: a signal is NaN wherever its derivative would have to look at a missing sample, up to
``REACH`` samples from it. Nothing is interpolated. ``_derivatives`` holds the response to a sine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kinbench.errors import DataError
from kinbench.schema import GRAVITY
from kinbench.virtual_imu._derivatives import MINIMUM_SAMPLES, first_derivative, from_turns, second_derivative
from kinbench.virtual_imu._quaternions import (
    between,
    columns,
    cross,
    logarithm,
    of_matrices,
    product,
    rows,
    turn,
    turn_back,
    unit,
)

FloatArray = NDArray[np.float64]

UP = (0.0, 1.0, 0.0)
"""The world axis that points up."""

_CONTENT_TURN_RAD = np.pi / 3
"""A turn in one interval up to which three intervals stay within half a revolution."""


def specific_force(position: ArrayLike, orientation: ArrayLike, rate_hz: float) -> FloatArray:
    """Return what an accelerometer reads, (n, 3) in m s-2 and sensor axes: ``R^T (d2p/dt2 + g up)``.

    ``position`` (n, 3) is the sensor's own, in metres and world axes, ``orientation`` (n, 4) sensor to world. At
    rest the result is ``GRAVITY`` along up. The second derivative is the central difference of seven samples, which
    keeps 99.9 % of a 15 Hz sine at 100 Hz, of fewer next to the ends. Raises ``DataError`` for unequal lengths or
    fewer than four samples.
    """
    place = rows(_samples(position, 3, "position"))
    q = _unit_rows(orientation)
    if place.shape[1] != q.shape[1]:
        raise DataError(f"expected as many positions as orientations, got {place.shape[1]} and {q.shape[1]}")
    felt = second_derivative(place, rate_hz) + GRAVITY * np.asarray(UP)[:, None]
    return columns(turn_back(q, felt))


def angular_rate(orientation: ArrayLike, rate_hz: float) -> FloatArray:
    """Return what a gyroscope reads, (n, 3) in rad s-1 and sensor axes, from ``orientation`` (n, 4) sensor to world.

    The derivative of the rotation vector of the turn away from each sample (Bortz, IEEE Trans AES 7:61-66, 1971),
    by the central difference of seven samples: exact for a constant rate, 99.6 % of a 15 Hz sine's at 100 Hz, for a
    moving axis too. A turn of more than half a revolution from one sample to the next cannot be told from the shorter
    way round. Raises ``DataError`` for fewer than four samples.
    """
    q = _unit_rows(orientation)
    turns = {step: logarithm(between(q[:, :-step], q[:, step:])) for step in (1, 2, 3)}
    return columns(from_turns(_unwrapped(turns), rate_hz))


def _unwrapped(turns: dict[int, FloatArray]) -> dict[int, FloatArray]:
    """Return turns over 2 and 3 intervals with the revolutions that the single intervals say were gone."""
    single = turns[1]
    if not (np.einsum("ij,ij->j", single, single) > _CONTENT_TURN_RAD**2).any():
        return turns
    done = {1: single}
    for step in (2, 3):
        n = turns[step].shape[1]
        expected = np.sum([single[:, k : k + n] for k in range(step)], axis=0)
        size = np.linalg.norm(turns[step], axis=0)
        axis = turns[step] / np.where(size > 0, size, 1.0)
        revolutions = np.round((np.einsum("ij,ij->j", expected, axis) - size) / (2 * np.pi))
        done[step] = axis * (size + 2 * np.pi * revolutions)
    return done


def angular_acceleration(gyr: ArrayLike, rate_hz: float) -> FloatArray:
    """Return the derivative (n, 3), rad s-2, of angular rates (n, 3) in rad s-1, in the same (body) axes.

    In body axes the derivative of the components is the angular acceleration itself, for omega x omega is nothing.
    Raises ``DataError`` for fewer than four samples.
    """
    return columns(first_derivative(rows(_samples(gyr, 3, "gyr")), rate_hz))


def transfer(acc: ArrayLike, gyr: ArrayLike, rate_hz: float, offset_m: ArrayLike) -> FloatArray:
    """Return what an accelerometer reads elsewhere on the same rigid body: ``a + alpha x r + omega x (omega x r)``.

    ``acc`` and ``gyr`` (n, 3) are one sensor's, in its axes; ``offset_m`` (3,) leads from it to the other point, in
    the same axes, and the result stands in them. Raises ``DataError`` for unequal lengths or fewer than four samples.
    """
    here, rate = rows(_samples(acc, 3, "acc")), rows(_samples(gyr, 3, "gyr"))
    if here.shape != rate.shape:
        raise DataError(f"expected as many acc samples as gyr samples, got {here.shape[1]} and {rate.shape[1]}")
    arm = np.asarray(offset_m, dtype=np.float64).reshape(3, 1)
    return columns(here + cross(first_derivative(rate, rate_hz), arm) + cross(rate, cross(rate, arm)))


def on_segment(
    segment_position: ArrayLike, segment_orientation: ArrayLike, offset_m: ArrayLike, rotation: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Return position (n, 3) and orientation (n, 4) of a sensor that is fixed to a segment.

    ``offset_m`` (3,) is where the sensor sits, in segment axes, from the point that ``segment_position`` (n, 3)
    follows; ``rotation`` (3, 3) maps sensor axes to segment axes. Both may also be given per sample, (n, 3) and
    (n, 3, 3), for a sensor that moves with the skin. Raises ``DataError`` for a ``rotation`` that is none.
    """
    place = rows(_samples(segment_position, 3, "segment_position"))
    q = _unit_rows(segment_orientation)
    arm = rows(np.atleast_2d(np.asarray(offset_m, dtype=np.float64)))
    return columns(place + turn(q, arm)), columns(product(q, _mounting(rotation)))


def _mounting(rotation: ArrayLike) -> FloatArray:
    """Return the quaternions (4, 1 or n) of rotation matrices; raises ``DataError`` for what is no rotation."""
    matrix = np.asarray(rotation, dtype=np.float64)
    known = matrix.reshape(-1, 3, 3)
    known = known[np.isfinite(known).all(axis=(1, 2))]
    right = np.allclose(known @ np.swapaxes(known, -1, -2), np.eye(3), atol=1e-6) and (np.linalg.det(known) > 0).all()
    if not right or (matrix.ndim == 2 and not len(known)):
        raise DataError("expected a rotation matrix (orthonormal, determinant +1) from sensor to segment axes")
    return of_matrices(matrix)


def _unit_rows(orientation: ArrayLike) -> FloatArray:
    return unit(rows(_samples(orientation, 4, "orientation")))


def _samples(values: ArrayLike, width: int, name: str) -> FloatArray:
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 2 or found.shape[1] != width or len(found) < MINIMUM_SAMPLES:
        raise DataError(f"expected {name} of shape (n, {width}) with n at least {MINIMUM_SAMPLES}, got {found.shape}")
    return found
