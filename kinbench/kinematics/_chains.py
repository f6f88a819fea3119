"""Chains of joints: local rotations and offsets to where every joint is in the world."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kinbench.errors import DataError

FloatArray = NDArray[np.float64]

ROOT = -1
"""The parent of a joint that has none."""


def forward_kinematics(
    rotation: ArrayLike, offset: ArrayLike, parents: Sequence[int], root: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Return every joint's rotation (n, j, 3, 3), joint to world, and position (n, j, 3).

    ``rotation`` (n, j, 3, 3) turns each joint's axes into its parent's (columns: ``v_parent = R v_joint``); ``offset``
    (j, 3), or (n, j, 3) where it varies, is each joint's place in its parent's axes; ``parents`` (j,) are indices in
    any order, -1 for a joint without one. Such a joint sits at ``root`` (n, 3), and its own offset is not used. NaN
    spreads to the joints below it. Raises ``DataError`` for shapes or parents that make no tree.
    """
    local = np.asarray(rotation, dtype=np.float64)
    if local.ndim != 4 or local.shape[2:] != (3, 3):
        raise DataError(f"expected local rotations of shape (n, j, 3, 3), got {local.shape}")
    count, joints = local.shape[:2]
    arm, base = np.asarray(offset, dtype=np.float64), np.asarray(root, dtype=np.float64)
    if arm.shape not in ((joints, 3), (count, joints, 3)) or base.shape != (count, 3):
        raise DataError(
            f"expected offsets ({joints}, 3) or ({count}, {joints}, 3) and a root ({count}, 3), got {arm.shape} and "
            f"{base.shape}"
        )
    # Joints come first while multiplying, so that every factor lies in one piece of memory.
    turns, arms = np.ascontiguousarray(np.moveaxis(local, 1, 0)), np.broadcast_to(arm, (count, joints, 3))
    world, position = np.empty_like(turns), np.empty((joints, count, 3))
    for joint in _from_the_root(parents, joints):
        parent = parents[joint]
        if parent == ROOT:
            world[joint], position[joint] = turns[joint], base
        else:
            np.matmul(world[parent], turns[joint], out=world[joint])
            position[joint] = position[parent] + np.einsum("nij,nj->ni", world[parent], arms[:, joint])
    return np.moveaxis(world, 0, 1), np.moveaxis(position, 0, 1)


def world_from_affines(
    affine: ArrayLike, parents: Sequence[int], *, row_vectors: bool
) -> tuple[FloatArray, FloatArray]:
    """Return every segment's rotation (n, j, 3, 3), segment to world, and position (n, j, 3), from affine matrices.

    ``affine`` (n, j, 4, 4) is each segment's pose in its parent's axes, in the world's where ``parents`` says -1.
    ``row_vectors`` says that the rotation blocks are to be applied to rows (``v_parent = v A``: Visual3D), so that they
    stand transposed. The translation is taken from where it is, the last column or the last row: the other one must
    be 0, 0, 0, 1. Raises ``DataError`` where neither is, and for shapes or parents that make no tree.
    """
    given = np.asarray(affine, dtype=np.float64)
    if given.ndim != 4 or given.shape[2:] != (4, 4):
        raise DataError(f"expected affine matrices of shape (n, j, 4, 4), got {given.shape}")
    local = given[..., :3, :3]
    rotation = np.swapaxes(local, 2, 3) if row_vectors else local
    offset = _translation(given)
    roots = [joint for joint, parent in enumerate(parents) if parent == ROOT]
    if len(roots) != 1:
        raise DataError(f"expected one segment without a parent (-1), found {len(roots)} among parents {list(parents)}")
    return forward_kinematics(rotation, offset, parents, offset[:, roots[0]])


def _translation(affine: FloatArray) -> FloatArray:
    """Return (n, j, 3): the last column or the last row, whichever is not the constant 0, 0, 0, 1."""
    constant = np.array([0.0, 0.0, 0.0, 1.0])
    for edge, other in ((affine[..., 3, :], affine[..., :3, 3]), (affine[..., :, 3], affine[..., 3, :3])):
        known = np.isfinite(edge).all(axis=-1)
        if np.allclose(edge[known], constant, atol=1e-6):
            return other
    raise DataError("expected affine matrices whose last row or last column is 0, 0, 0, 1, found neither")


def _from_the_root(parents: Sequence[int], joints: int) -> list[int]:
    """Return the joints in an order in which every parent stands before its children."""
    if len(parents) != joints:
        raise DataError(f"expected one parent for each of {joints} joints, got {len(parents)}")
    order: list[int] = []
    waiting = list(range(joints))
    while waiting:
        ready = [joint for joint in waiting if parents[joint] == ROOT or parents[joint] in order]
        if not ready:
            raise DataError(f"expected parents that lead to -1, found none for joints {waiting}")
        order += ready
        waiting = [joint for joint in waiting if joint not in ready]
    return order
