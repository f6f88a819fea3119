"""Joint angles from segment orientations, and mirroring: the only home of the joint-angle convention.

Every joint rotation is R = R_proximal^T R_distal in segment axes X anterior, Y proximal, Z right. It is taken apart
into three angles, a about Z, b about X, c about Y, in the order that a convention names:

- ``isb_zxy``: the intrinsic sequence Z-X-Y (Wu et al. 2002; Grood & Suntay 1983).
- ``calgary_clinic``: the intrinsic sequence Y-X-Z, as the Running Injury Clinic's ``gait_kinematics.m`` has it (Ferber
  et al. 2024, Sci. Data 11:1232, supplement), whose printed x, y, z are -b, -c, -a.

Sagittal angles of the two differ by a degree, the others by up to ten. Which angle with which sign is a degree of
freedom stands in ``kinbench.schema.DOFS`` and is the same for both.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from kinbench import recording, schema
from kinbench.errors import DataError, UsageError, suggest
from kinbench.kinematics._rotations import matrices, of_shape

FloatArray = NDArray[np.float64]
CONVENTION = "isb_zxy"


def joint_angles(proximal: ArrayLike, distal: ArrayLike, *, convention: str = CONVENTION) -> FloatArray:
    """Return (n, 3) degrees: a, b, c (about Z, X, Y) of R_proximal^T R_distal in a ``convention``.

    ``proximal`` and ``distal`` (n, 4) are quaternions w, x, y, z from segment axes to one common world. A row in which
    either is NaN or zero gives NaN. b lies within +-90 degrees, a and c within +-180; at b = +-90 degrees, where a and
    c cannot be told apart, the values stay finite but are not to be trusted. Raises ``UsageError`` for a convention
    that joint angles cannot be taken in.
    """
    decompose, _ = _convention(convention)
    return decompose(_relative(proximal, distal))


def rotation_from_angles(a: ArrayLike, b: ArrayLike, c: ArrayLike, *, convention: str = CONVENTION) -> FloatArray:
    """Return (n, 4) quaternions w, x, y, z of the joint rotation with these angles in degrees, each (n,).

    The inverse of ``joint_angles``: ``joint_angles(identity, rotation_from_angles(a, b, c))`` gives a, b, c back.
    """
    _, sequence = _convention(convention)
    named = dict(zip("ZXY", np.broadcast_arrays(*(np.atleast_1d(np.asarray(x, dtype=np.float64)) for x in (a, b, c))),
                     strict=True))  # fmt: skip
    angles = np.stack([named[axis] for axis in sequence], axis=1)
    quaternions = Rotation.from_euler(sequence, angles, degrees=True).as_quat(scalar_first=True)
    return np.asarray(quaternions, dtype=np.float64)


def clinic_angles(proximal: ArrayLike, distal: ArrayLike) -> FloatArray:
    """Return (n, 3) degrees: x, y, z of a joint as the Running Injury Clinic's ``gait_kinematics.m`` prints them.

    ``proximal`` and ``distal`` (n, 4) as in ``joint_angles``. With r = R_proximal^T R_distal: x = atan2(r23,
    sqrt(r13^2 + r33^2)), y = atan2(-r13, r33), z = atan2(-r21, r22). Signs are the clinic's, not mirrored between the
    legs: z is extension at the hip, flexion at the knee, plantarflexion at the ankle; x is abduction and y external
    rotation of a right leg. ``joint_angles(..., convention="calgary_clinic")`` gives the same with our signs.
    """
    a, b, c = joint_angles(proximal, distal, convention="calgary_clinic").T
    return np.stack([-b, -c, -a], axis=1)


def dofs_from_segments(segments: xr.Dataset, *, convention: str = CONVENTION) -> xr.Dataset:
    """Return the reference with ``angle`` (time, dof) in degrees beside its ``segment_quat``.

    ``segments`` must be in canonical axes (segment to world, Y up), as harmonisation leaves it. Every DoF of
    ``schema.DOFS`` both of whose segments are present is computed (a pelvis needs only itself and the world).
    ``angle`` is NaN, and ``valid`` (time, dof) False, where a quaternion is missing. The tier is copied. ``convention``
    is ``isb_zxy`` or ``calgary_clinic`` and is written on ``angle``.

    Raises ``DataError`` where no DoF can be computed from the segments present, ``UsageError`` for a convention that
    joint angles cannot be taken in.
    """
    _convention(convention)
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
        (proximal, distal): joint_angles(present[proximal], present[distal], convention=convention)
        for proximal, distal in {(dof.proximal, dof.distal) for dof in known}
    }
    angle = np.stack([dof.sign * joints[dof.proximal, dof.distal][:, dof.component] for dof in known], axis=1)
    angles = recording.angle_dataset(
        segments["time"].values,
        [dof.name for dof in known],
        angle,
        units="deg",
        convention=convention,
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


def _relative(proximal: ArrayLike, distal: ArrayLike) -> FloatArray:
    """Return the joint rotations (n, 3, 3), NaN where a quaternion is not finite or has no length."""
    w, x, y, z = np.moveaxis(of_shape(proximal, (4,), "proximal quaternions"), -1, 0)
    dw, dx, dy, dz = np.moveaxis(of_shape(distal, (4,), "distal quaternions"), -1, 0)
    joint = np.stack(
        [
            w * dw + x * dx + y * dy + z * dz,
            w * dx - x * dw - y * dz + z * dy,
            w * dy + x * dz - y * dw - z * dx,
            w * dz - x * dy + y * dx - z * dw,
        ],
        axis=-1,
    )
    return matrices(joint)


def _z_x_y(relative: FloatArray) -> FloatArray:
    a = np.arctan2(-relative[:, 0, 1], relative[:, 1, 1])
    b = np.arcsin(np.clip(relative[:, 2, 1], -1.0, 1.0))
    c = np.arctan2(-relative[:, 2, 0], relative[:, 2, 2])
    return np.asarray(np.degrees(np.stack([a, b, c], axis=1)), dtype=np.float64)


def _y_x_z(relative: FloatArray) -> FloatArray:
    a = np.arctan2(relative[:, 1, 0], relative[:, 1, 1])
    b = -np.arctan2(relative[:, 1, 2], np.hypot(relative[:, 0, 2], relative[:, 2, 2]))
    c = np.arctan2(relative[:, 0, 2], relative[:, 2, 2])
    return np.asarray(np.degrees(np.stack([a, b, c], axis=1)), dtype=np.float64)


_CONVENTIONS: dict[str, tuple[Callable[[FloatArray], FloatArray], str]] = {
    "isb_zxy": (_z_x_y, "ZXY"),
    "calgary_clinic": (_y_x_z, "YXZ"),
}
"""How a joint rotation is taken apart, and the intrinsic sequence that puts it together again."""


def _convention(name: str) -> tuple[Callable[[FloatArray], FloatArray], str]:
    if name not in _CONVENTIONS:
        known = suggest(name, tuple(_CONVENTIONS))
        raise UsageError(f"joint angles cannot be taken in the convention '{name}'.{known}")
    return _CONVENTIONS[name]
