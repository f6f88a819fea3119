"""The motion of segments from markers that ride on them: a rigid fit, and an anatomical frame carried by a cluster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kinbench.errors import DataError
from kinbench.kinematics._rotations import quaternions

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

LEAST_MARKERS = 3
COLLINEAR = 0.01
"""Markers whose spread across their longest direction is less than this share of the spread along it count as lying
on one line: the turn about that line is then decided by the markers' noise."""


@dataclass(frozen=True)
class Frame:
    """A coordinate system in the marker world: ``rotation`` (3, 3) holds X, Y, Z as columns, ``origin`` (3,)."""

    rotation: FloatArray
    origin: FloatArray


@dataclass(frozen=True)
class SegmentMotion:
    """How a segment moves: ``rotation`` (n, 3, 3) segment to world, ``origin`` (n, 3) and ``residual`` (n,).

    The origin is in the markers' world and unit, and so is the residual: the root mean square distance of the markers
    from the rigid body that was fitted to them, None where nothing was fitted. NaN where the motion is not known.
    """

    rotation: FloatArray
    origin: FloatArray
    residual: FloatArray | None = None

    @property
    def quaternion(self) -> FloatArray:
        """The rotation as quaternions (n, 4), w first, of continuous sign; NaN where it is not known."""
        return quaternions(self.rotation)


@dataclass(frozen=True)
class RigidFit:
    """The rigid motion of a marker cluster: ``v = rotation @ reference + translation``, per frame.

    ``rotation`` (n, 3, 3), ``translation`` (n, 3) and ``residual`` (n,), the root mean square distance that the fit
    leaves, both in the markers' unit; NaN in frames without three markers that span a plane.
    """

    rotation: FloatArray
    translation: FloatArray
    residual: FloatArray


def fit_rigid(reference: ArrayLike, moving: ArrayLike) -> RigidFit:
    """Fit the rotation and translation that carry ``reference`` (k, 3) onto every frame of ``moving`` (n, k, 3).

    Least squares by singular value decomposition; the result is a rotation and never a reflection (Soederkvist and
    Wedin 1993, J. Biomech. 26:1473-1477). A marker that is NaN in a frame, or in the reference, is left out there.
    Raises ``DataError`` for shapes that do not belong together.
    """
    model, place = np.asarray(reference, dtype=np.float64), np.asarray(moving, dtype=np.float64)
    if model.ndim != 2 or model.shape[1] != 3 or place.ndim != 3 or place.shape[1:] != model.shape:
        raise DataError(
            f"expected reference markers (k, 3) and the same k markers over time (n, k, 3), got {model.shape} and "
            f"{place.shape}"
        )
    fit = RigidFit(*(np.full((len(place), *shape), np.nan) for shape in ((3, 3), (3,), ())))
    present = np.asarray(np.isfinite(place).all(axis=2) & np.isfinite(model).all(axis=1))
    for pattern, frames in _patterns(present):
        if pattern.sum() >= LEAST_MARKERS:
            found = _fit_complete(model[pattern], place[frames][:, pattern])
            fit.rotation[frames], fit.translation[frames], fit.residual[frames] = found
    return fit


def cluster_motion(static_cluster: ArrayLike, frame: Frame, moving: ArrayLike) -> SegmentMotion:
    """Return the motion of an anatomical ``frame`` that is fixed to a cluster of markers.

    ``static_cluster`` (k, 3) are the cluster's markers while ``frame`` was found, in the same world; ``moving``
    (n, k, 3) the same markers in motion. NaN markers are left out, as in ``fit_rigid``.
    """
    fit = fit_rigid(static_cluster, moving)
    origin = fit.rotation @ np.asarray(frame.origin, dtype=np.float64) + fit.translation
    return SegmentMotion(fit.rotation @ np.asarray(frame.rotation, dtype=np.float64), origin, fit.residual)


def _patterns(present: BoolArray) -> list[tuple[BoolArray, NDArray[np.intp]]]:
    """Return each pattern of present markers with the frames that show it, so that each is fitted in one go."""
    if present.all():
        return [(np.ones(present.shape[1], dtype=bool), np.arange(len(present)))]
    packed = np.packbits(present, axis=1)
    _, first, inverse = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    by_pattern = np.split(np.argsort(inverse.ravel(), kind="stable"), np.cumsum(np.bincount(inverse.ravel()))[:-1])
    return [(present[row], frames) for row, frames in zip(first, by_pattern, strict=True)]


def _fit_complete(model: FloatArray, place: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return rotation, translation and residual for markers that are all present."""
    centre, centres = model.mean(axis=0), place.mean(axis=1)
    arms, moved = model - centre, place - centres[:, None]
    left, spread, right = np.linalg.svd(np.swapaxes(moved, 1, 2) @ arms)
    left[:, :, 2] *= np.sign(np.linalg.det(left) * np.linalg.det(right))[:, None]
    rotation = left @ right
    # The singular values are products of two spreads, that of the reference and that of the frame: hence the squares.
    rotation[spread[:, 1] <= COLLINEAR**2 * spread[:, 0]] = np.nan
    rest = moved - arms @ np.swapaxes(rotation, 1, 2)
    residual = np.sqrt(np.einsum("nki,nki->n", rest, rest) / len(model))
    return rotation, centres - rotation @ centre, residual
