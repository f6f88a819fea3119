"""Unit quaternions as four rows (w, x, y, z), vectors as three: what a numpy that works row by row is fast at.

Every function takes and gives arrays whose FIRST axis holds the components, (4, n) and (3, n), float64, and lets NaN
through. ``q`` turns body axes into world axes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kinbench.errors import DataError

FloatArray = NDArray[np.float64]

_TINY = 1e-9
"""Sine of half a turn below which a rotation vector is twice the quaternion's vector part, to the last digit."""


def rows(values: ArrayLike) -> FloatArray:
    """Return an array (n, k) as k contiguous rows."""
    return np.ascontiguousarray(np.asarray(values, dtype=np.float64).T)


def columns(values: FloatArray) -> FloatArray:
    """Return k rows as a contiguous array (n, k)."""
    return np.ascontiguousarray(values.T)


def unit(q: FloatArray) -> FloatArray:
    """Return the quaternions scaled to norm 1; raises ``DataError`` for one whose norm is 0, which turns nothing."""
    norm = np.sqrt(np.einsum("ij,ij->j", q, q))
    if (norm == 0).any():
        raise DataError(
            f"expected unit quaternions, found all zeros at sample {int(np.argmax(norm == 0))}; missing is NaN"
        )
    return np.asarray(q / norm)


def product(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return the Hamilton product ``p q``: first ``q``, then ``p``."""
    return _multiplied(p[0], p[1:], q)


def between(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return ``p^-1 q``: the turn from ``p`` to ``q`` in the body axes of ``p``."""
    return _multiplied(p[0], -p[1:], q)


def _multiplied(w: FloatArray, v: FloatArray, q: FloatArray) -> FloatArray:
    x, y, z = v
    out = np.empty(np.broadcast_shapes(q.shape, (4, *np.shape(w))))
    out[0] = w * q[0] - x * q[1] - y * q[2] - z * q[3]
    out[1] = w * q[1] + x * q[0] + y * q[3] - z * q[2]
    out[2] = w * q[2] - x * q[3] + y * q[0] + z * q[1]
    out[3] = w * q[3] + x * q[2] - y * q[1] + z * q[0]
    return out


def turn(q: FloatArray, v: FloatArray) -> FloatArray:
    """Return vectors of body axes in world axes."""
    return _turned(q[0], q[1:], v)


def turn_back(q: FloatArray, v: FloatArray) -> FloatArray:
    """Return vectors of world axes in body axes."""
    return _turned(q[0], -q[1:], v)


def _turned(w: FloatArray, u: FloatArray, v: FloatArray) -> FloatArray:
    twice = 2.0 * cross(u, v)
    return np.asarray(v + w * twice + cross(u, twice))


def cross(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the cross product of vectors held in rows."""
    out = np.empty(np.broadcast_shapes(a.shape, b.shape))
    out[0] = a[1] * b[2] - a[2] * b[1]
    out[1] = a[2] * b[0] - a[0] * b[2]
    out[2] = a[0] * b[1] - a[1] * b[0]
    return out


def logarithm(q: FloatArray) -> FloatArray:
    """Return the rotation vectors (3, n), rad, of at most half a revolution."""
    sine = np.sqrt(q[1] ** 2 + q[2] ** 2 + q[3] ** 2)
    cosine = np.abs(q[0])
    small = sine < _TINY
    scale = np.where(small, 2.0, 2.0 * np.arctan2(sine, cosine) / np.where(small, 1.0, sine))
    return np.asarray(q[1:] * np.copysign(scale, q[0]))


def exponential(v: FloatArray) -> FloatArray:
    """Return the quaternions (4, n) of rotation vectors (3, n) in rad."""
    half = 0.5 * np.sqrt(np.einsum("ij,ij->j", v, v))
    scale = 0.5 * np.sinc(half / np.pi)
    return np.concatenate([np.cos(half)[None], v * scale])


def of_matrices(matrices: ArrayLike) -> FloatArray:
    """Return the quaternions (4, n) of rotation matrices (n, 3, 3); the largest component is positive.

    The component with the largest magnitude is found from the diagonal and divides the others (Shepperd, J Guid
    Control 1:223-224, 1978), so that nothing is lost near half a revolution.
    """
    m = np.moveaxis(np.asarray(matrices, dtype=np.float64).reshape(-1, 3, 3), 0, -1)
    trace = m[0, 0] + m[1, 1] + m[2, 2]
    # 4 q q^T from the matrix's elements: any of its rows is a multiple of q
    outer = np.empty((4, 4, m.shape[-1]))
    outer[0, 0] = 1 + trace
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        outer[i + 1, i + 1] = 1 + 2 * m[i, i] - trace
        outer[0, i + 1] = outer[i + 1, 0] = m[k, j] - m[j, k]
        outer[i + 1, j + 1] = outer[j + 1, i + 1] = m[j, i] + m[i, j]
    largest = np.argmax(np.einsum("iin->in", outer), axis=0)
    return unit(outer[:, largest, np.arange(m.shape[-1])])


def continuous(q: FloatArray) -> FloatArray:
    """Return the same rotations with signs such that neighbours are never on opposite sides; NaN stays."""
    alike = np.einsum("ij,ij->j", q[:, 1:], q[:, :-1])
    flips = np.where(alike < 0, -1.0, 1.0)
    return np.asarray(q * np.concatenate([[1.0], np.cumprod(flips)]))
