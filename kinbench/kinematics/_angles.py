"""Joint angles from segment orientations, and mirroring: the only home of the joint-angle convention.

Every joint rotation is R = R_proximal^T R_distal, taken apart as the intrinsic sequence Z-X-Y (a, b, c) in segment
axes X anterior, Y proximal, Z right (ISB: Wu et al. 2002; Grood & Suntay 1983). Which component with which sign is a
degree of freedom stands in ``kinbench.schema.DOFS``.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from kinbench import recording, schema
from kinbench.errors import DataError

FloatArray = NDArray[np.float64]
CONVENTION = "isb_zxy"


def joint_angles(proximal: ArrayLike, distal: ArrayLike) -> FloatArray:
    """Return (n, 3) degrees: a, b, c of the intrinsic Z-X-Y sequence of R_proximal^T R_distal.

    ``proximal`` and ``distal`` (n, 4) are quaternions w, x, y, z from segment axes to one common world. A row in which
    either is NaN or zero gives NaN. b lies within +-90 degrees, a and c within +-180; at b = +-90 degrees, where a and
    c cannot be told apart, the values stay finite but are not to be trusted.
    """
    relative = np.swapaxes(_matrices(proximal), 1, 2) @ _matrices(distal)
    a = np.arctan2(-relative[:, 0, 1], relative[:, 1, 1])
    b = np.arcsin(np.clip(relative[:, 2, 1], -1.0, 1.0))
    c = np.arctan2(-relative[:, 2, 0], relative[:, 2, 2])
    return np.asarray(np.degrees(np.stack([a, b, c], axis=1)), dtype=np.float64)


def rotation_from_angles(a: ArrayLike, b: ArrayLike, c: ArrayLike) -> FloatArray:
    """Return (n, 4) quaternions w, x, y, z of the joint rotation with these angles in degrees, each (n,).

    The inverse of ``joint_angles``: ``joint_angles(identity, rotation_from_angles(a, b, c))`` gives a, b, c back.
    """
    angles = np.stack(np.broadcast_arrays(*(np.atleast_1d(np.asarray(x, dtype=np.float64)) for x in (a, b, c))), axis=1)
    quaternions = Rotation.from_euler("ZXY", angles, degrees=True).as_quat(scalar_first=True)
    return np.asarray(quaternions, dtype=np.float64)


def dofs_from_segments(segments: xr.Dataset, *, convention: str = CONVENTION) -> xr.Dataset:
    """Return the reference with ``angle`` (time, dof) in degrees beside its ``segment_quat``.

    ``segments`` must be in canonical axes (segment to world, Y up), as harmonisation leaves it. Every DoF of
    ``schema.DOFS`` both of whose segments are present is computed (a pelvis needs only itself and the world).
    ``angle`` is NaN, and ``valid`` (time, dof) False, where a quaternion is missing. The tier is copied.

    Raises ``DataError`` where no DoF can be computed from the segments present.
    """
    quaternions = segments["segment_quat"]
    present = {str(name): quaternions.values[:, index] for index, name in enumerate(segments["segment"].values)}
    present["world"] = np.tile(np.array([1.0, 0.0, 0.0, 0.0]), (segments.sizes["time"], 1))
    known = [dof for dof in schema.DOFS.values() if dof.proximal in present and dof.distal in present]
    if not known:
        raise DataError(
            "a joint angle needs the orientations of two adjacent segments, or of the pelvis, and the reference has "
            f"only {', '.join(sorted(set(present) - {'world'})) or 'none'}; add the missing segment"
        )
    joints = {
        pair: joint_angles(present[pair[0]], present[pair[1]]) for pair in {(dof.proximal, dof.distal) for dof in known}
    }
    angle = np.stack([dof.sign * joints[dof.proximal, dof.distal][:, dof.component] for dof in known], axis=1)
    angles = recording.angle_dataset(
        segments["time"].values,
        [dof.name for dof in known],
        angle,
        units="deg",
        convention=CONVENTION,
        tier=str(quaternions.attrs["tier"]),
        valid=np.isfinite(angle),
    )
    kept = segments.drop_vars([name for name in ("angle", "valid") if name in segments])
    return kept.merge(angles, join="exact", combine_attrs="no_conflicts")


def mirror_acc(values: ArrayLike) -> NDArray[np.floating]:
    """Return a vector (..., 3) in segment axes mirrored in the sagittal plane: (x, y, -z), a left leg onto a right."""
    return _signed(values, (1, 1, -1))


def mirror_gyr(values: ArrayLike) -> NDArray[np.floating]:
    """Return an axial vector (..., 3) in segment axes, such as angular rate, mirrored likewise: (-x, -y, z)."""
    return _signed(values, (-1, -1, 1))


def _signed(values: ArrayLike, signs: tuple[int, int, int]) -> NDArray[np.floating]:
    array: NDArray[np.floating] = np.asarray(values)
    signed: NDArray[np.floating] = array * np.array(signs, dtype=array.dtype)
    return signed


def _matrices(quaternions: ArrayLike) -> FloatArray:
    """Return (n, 3, 3) rotation matrices, NaN where a quaternion is not finite or has no length."""
    rows = np.asarray(quaternions, dtype=np.float64)
    known = np.isfinite(rows).all(axis=1) & (np.abs(rows).sum(axis=1) > 0)
    matrices = np.full((len(rows), 3, 3), np.nan)
    if known.any():
        matrices[known] = Rotation.from_quat(rows[known], scalar_first=True).as_matrix()
    return matrices
