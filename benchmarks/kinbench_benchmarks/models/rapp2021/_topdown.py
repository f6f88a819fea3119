"""What Rapp et al. (2021) call top-down optimisation: a joint's angles from two orientations carried on by gyroscopes.

The paper searches, sample by sample, the rotation whose rate is nearest to the gyroscope's. That rotation can be
written down: exp(rate / rate_hz). So the whole optimisation is strap-down integration from the first orientation that a
network gives, and every later one of the network's plays no part. ``carry`` does that; ``searched_step`` is the search,
which gives the same to 1e-3 rad/s and takes thousands of times longer.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from kinbench import schema
from kinbench.errors import DataError
from kinbench.kinematics import rotations_from_vectors

FloatArray = NDArray[np.float64]

_AXIS_OF_COMPONENT = (2, 0, 1)
"""Flexion turns about Z, adduction about X, rotation about Y: a rotation vector's parts in a DoF's order."""
_GTOL, _MOST = 1e-5, 200


def carry(
    start: NDArray[Any], gyr: NDArray[Any], rate_hz: float, *, compat: str | None = None, search: bool = False
) -> FloatArray:
    """Return orientations (..., time, 3, 3), segment to world, from the first one (..., 3, 3) and rates (..., time, 3).

    Rates are rad/s in segment axes. From one sample to the next a segment turns by the mean of both samples' rates.
    ``compat='code'`` takes the later sample's alone, which is exact for the publication's own gyroscopes, made of the
    turn since the sample before, and half a sample late for real ones. ``search`` finds every turn by the paper's
    search, to the same effect.
    """
    rates = np.asarray(gyr, dtype=np.float64)
    between = rates[..., 1:, :] if compat == "code" else (rates[..., 1:, :] + rates[..., :-1, :]) / 2
    if search:
        steps = np.array([searched_step(rate, rate_hz) for rate in between.reshape(-1, 3)]).reshape(*between.shape, 3)
    else:
        steps = rotations_from_vectors(between / rate_hz)
    found = np.empty((*rates.shape, 3))
    found[..., 0, :, :] = start
    for at in range(steps.shape[-3]):
        found[..., at + 1, :, :] = found[..., at, :, :] @ steps[..., at, :, :]
    return found


def searched_step(rate: NDArray[Any], rate_hz: float) -> FloatArray:
    """Return the turn (3, 3) within one sample whose rate is nearest to ``rate`` (3,) in rad/s, by BFGS.

    The search goes over six numbers, two columns made orthonormal, from no turn at all; it ends at a gradient of 1e-5
    or after 200 steps, as the paper's.
    """
    wanted = np.asarray(rate, dtype=np.float64)

    def error(six: FloatArray) -> float:
        return float(np.sqrt(np.mean((wanted - rate_hz * _vector(_orthonormal(six))) ** 2)))

    start = np.array([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    found = minimize(error, start, method="BFGS", options={"gtol": _GTOL, "maxiter": _MOST})
    return _orthonormal(np.asarray(found.x))


def joint_dofs(proximal: NDArray[Any], distal: NDArray[Any], dofs: tuple[str, ...]) -> FloatArray:
    """Return a joint's DoFs (..., dof) in degrees of two orientations (..., 3, 3): parts of one rotation vector.

    The joint's rotation R = R_proximal^T R_distal is turned into axis times angle, whose parts along Z, X and Y stand
    for flexion, adduction and rotation, with the signs of ``schema.DOFS``. It is what the publication calls joint
    angles, and not ours (Z-X-Y, ``kinematics.joint_angles``): the two agree where only one angle is not zero, to first
    order where all are small, and differ by several degrees where a bent knee also turns. Bare names are of a right
    leg. Raises ``DataError`` for a DoF that is not of these two segments' joint.
    """
    relative = np.swapaxes(proximal, -1, -2) @ distal
    known = np.isfinite(relative).all(axis=(-1, -2))
    safe = np.where(known[..., None, None], relative, np.eye(3))
    flat = Rotation.from_matrix(safe.reshape(-1, 3, 3)).as_rotvec(degrees=True)
    vector = np.where(known[..., None], flat.reshape(*relative.shape[:-2], 3), np.nan)
    signed = []
    for name in dofs:
        dof = schema.DOFS.get(name, schema.DOFS.get(f"{name}_r"))
        if dof is None or dof.proximal == "world":
            raise DataError(f"'{name}' is no angle of a joint")
        signed.append(dof.sign * vector[..., _AXIS_OF_COMPONENT[dof.component]])
    return np.stack(signed, axis=-1)


def _orthonormal(six: FloatArray) -> FloatArray:
    """Return a rotation (3, 3) of six numbers, by Gram-Schmidt; written out, since the search asks it so often."""
    a, b, c, d, e, f = six.tolist()
    length = math.sqrt(a * a + b * b + c * c)
    a, b, c = a / length, b / length, c / length
    along = a * d + b * e + c * f
    d, e, f = d - along * a, e - along * b, f - along * c
    length = math.sqrt(d * d + e * e + f * f)
    d, e, f = d / length, e / length, f / length
    return np.array([[a, d, b * f - c * e], [b, e, c * d - a * f], [c, f, a * e - b * d]])


def _vector(turn: FloatArray) -> FloatArray:
    """Return the rotation vector (3,) in rad of a turn (3, 3) of less than half a circle."""
    (_, xy, xz), (yx, _, yz), (zx, zy, _) = turn.tolist()
    x, y, z = (zy - yz) / 2, (xz - zx) / 2, (yx - xy) / 2
    sine = math.sqrt(x * x + y * y + z * z)
    angle = math.atan2(sine, (float(np.trace(turn)) - 1) / 2)
    return np.array([x, y, z]) * (angle / sine if sine > 0 else 1.0)
