"""Rotations as arrays: matrices, unit quaternions and rotation vectors into each other, thousands at a time.

Matrices are (..., 3, 3) and turn columns, ``v_world = R v_segment``; quaternions are (..., 4), w first. What is not a
rotation because something is missing (NaN, or a quaternion without length) stays NaN in its row and is never repaired.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kinbench.errors import DataError

FloatArray = NDArray[np.float64]


def matrices(quaternions: ArrayLike) -> FloatArray:
    """Return the rotation matrices (..., 3, 3) of ``quaternions`` (..., 4), w first, of any length but zero.

    A quaternion that is not finite or has no length gives NaN. Raises ``DataError`` for another last dimension.
    """
    given = of_shape(quaternions, (4,), "quaternions")
    square = np.einsum("...i,...i->...", given, given)
    with np.errstate(invalid="ignore", divide="ignore"):
        w, x, y, z = np.moveaxis(given * np.sqrt(2.0 / square)[..., None], -1, 0)
    found = np.empty((*given.shape[:-1], 3, 3))
    found[..., 0, 0] = 1.0 - (y * y + z * z)
    found[..., 1, 1] = 1.0 - (x * x + z * z)
    found[..., 2, 2] = 1.0 - (x * x + y * y)
    found[..., 0, 1], found[..., 1, 0] = x * y - w * z, x * y + w * z
    found[..., 0, 2], found[..., 2, 0] = x * z + w * y, x * z - w * y
    found[..., 1, 2], found[..., 2, 1] = y * z - w * x, y * z + w * x
    found[~(np.isfinite(square) & (square > 0))] = np.nan
    return found


def quaternions(matrices: ArrayLike) -> FloatArray:
    """Return the unit quaternions (..., 4), w first, of rotation ``matrices`` (..., 3, 3).

    Of the two quaternions of a rotation, each is taken on the side of the one before it along axis 0 (over gaps too),
    and the first with w >= 0; so a smooth motion has smooth quaternions. A matrix with a NaN gives NaN. The matrices
    are taken to be rotations and not checked. Raises ``DataError`` for other last dimensions.
    """
    given = of_shape(matrices, (3, 3), "matrices")
    found = _unit_quaternions(given)
    if found.ndim == 1:
        return found if found[0] >= 0 or np.isnan(found[0]) else -found
    return _continuous(found)


def rotations_from_vectors(vectors: ArrayLike) -> FloatArray:
    """Return the rotation matrices (..., 3, 3) of rotation ``vectors`` (..., 3): axis times angle in radians.

    Rodrigues' formula, exact also where the angle is very small. NaN stays NaN. Raises ``DataError`` for another last
    dimension.
    """
    given = of_shape(vectors, (3,), "rotation vectors")
    x, y, z = np.moveaxis(given, -1, 0)
    turns = np.sqrt(x * x + y * y + z * z) / np.pi
    along, across = np.sinc(turns), 0.5 * np.sinc(turns / 2) ** 2  # sin t / t and (1 - cos t) / t^2
    found = np.empty((*given.shape[:-1], 3, 3))
    found[..., 0, 0] = 1.0 - across * (y * y + z * z)
    found[..., 1, 1] = 1.0 - across * (x * x + z * z)
    found[..., 2, 2] = 1.0 - across * (x * x + y * y)
    for row, column, product, axis in ((0, 1, x * y, -z), (0, 2, x * z, y), (1, 2, y * z, -x)):
        found[..., row, column] = across * product + along * axis
        found[..., column, row] = across * product - along * axis
    return found


def orthonormal(first: ArrayLike, second: ArrayLike, *, order: str = "yz") -> FloatArray:
    """Return frames (..., 3, 3), columns X, Y, Z, from two directions (..., 3) that need not be at right angles.

    ``order`` names the two axes: with ``"yz"``, ``first`` is Y and is kept, ``second`` is Z and gives up what it has
    along Y, and X completes a right-handed frame. Only directions matter, not lengths. NaN where a direction is
    missing or has no length, or where both lie on one line. Raises ``DataError`` for an ``order`` that does not name
    two different axes.
    """
    if len(order) != 2 or len(set(order)) != 2 or not set(order) <= set("xyz"):
        raise DataError(f"expected order to name two different axes, such as 'yz', got '{order}'")
    kept = _unit(of_shape(first, (3,), "first"))
    kept, given = np.broadcast_arrays(kept, _unit(of_shape(second, (3,), "second")))
    moved = _unit(given - np.einsum("...i,...i->...", given, kept)[..., None] * kept)
    one, two = ("xyz".index(letter) for letter in order)
    handed = 1.0 if (two - one) % 3 == 1 else -1.0
    frame = np.empty((*kept.shape, 3))
    frame[..., one], frame[..., two], frame[..., 3 - one - two] = kept, moved, handed * np.cross(kept, moved)
    frame[np.isnan(frame).any(axis=(-1, -2))] = np.nan
    return frame


_NO_LENGTH = 1e-9
"""A vector shorter than this, of directions of length 1 or of millimetres, points nowhere."""


def _unit(vectors: FloatArray) -> FloatArray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(length > _NO_LENGTH, vectors, np.nan) / np.where(length > _NO_LENGTH, length, 1.0)


def _unit_quaternions(rotation: FloatArray) -> FloatArray:
    """Return quaternions of either sign: the longest column of 4 q q^T, whose entries are sums of the rotation's."""
    m00, m01, m02, m10, m11, m12, m20, m21, m22 = np.moveaxis(rotation.reshape(*rotation.shape[:-2], 9), -1, 0)
    product = np.empty((*rotation.shape[:-2], 4, 4))
    product[..., 0, 0] = 1.0 + m00 + m11 + m22
    product[..., 1, 1] = 1.0 + m00 - m11 - m22
    product[..., 2, 2] = 1.0 - m00 + m11 - m22
    product[..., 3, 3] = 1.0 - m00 - m11 + m22
    for row, column, entry in (
        (0, 1, m21 - m12), (0, 2, m02 - m20), (0, 3, m10 - m01),
        (1, 2, m01 + m10), (1, 3, m02 + m20), (2, 3, m12 + m21),
    ):  # fmt: skip
        product[..., row, column] = product[..., column, row] = entry
    longest = np.argmax(np.einsum("...ii->...i", product), axis=-1)
    chosen = product.reshape(-1, 4, 4)[np.arange(longest.size), longest.ravel()].reshape(*longest.shape, 4)
    known = np.isfinite(chosen).all(axis=-1, keepdims=True)
    length = np.linalg.norm(chosen, axis=-1, keepdims=True)
    return np.where(known, chosen, np.nan) / np.where(known, length, 1.0)


def _continuous(quaternions: FloatArray) -> FloatArray:
    """Return the quaternions with signs that do not jump along axis 0, where a gap is bridged by its last neighbour."""
    known = np.isfinite(quaternions[..., 0])
    rows = np.arange(len(quaternions)).reshape(-1, *(1,) * (known.ndim - 1))
    last = np.maximum.accumulate(np.where(known, rows, 0), axis=0)
    filled = np.take_along_axis(quaternions, last[..., None], axis=0)
    agrees = np.einsum("...i,...i->...", filled[1:], filled[:-1])
    steps = np.ones(known.shape)
    steps[1:] = np.where(agrees < 0, -1.0, 1.0)
    sign = np.cumprod(steps, axis=0)
    first = np.take_along_axis(quaternions[..., 0], np.argmax(known, axis=0)[None], axis=0)
    return np.asarray(quaternions * np.where(first < 0, -sign, sign)[..., None], dtype=np.float64)


def of_shape(values: ArrayLike, shape: tuple[int, ...], name: str) -> FloatArray:
    """Return an array of float64; raises ``DataError`` where its last dimensions are not ``shape``."""
    found = np.asarray(values, dtype=np.float64)
    if found.shape[-len(shape) :] != shape:
        raise DataError(f"expected {name} of shape (..., {', '.join(map(str, shape))}), got {found.shape}")
    return found
