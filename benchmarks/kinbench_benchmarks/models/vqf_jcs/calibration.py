"""How each sensor sits on its segment: as the store knows, or found from the recording's own signals.

All give the rotation R with ``v_segment = R v_sensor``, segment axes X anterior, Y proximal, Z right on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kinbench import alignment
from kinbench.errors import DataError
from kinbench.kinematics import orthonormal
from kinbench.windows import Stream
from kinbench_benchmarks.models._orientation import at_rest, mean_rotation, sensor_of

FloatArray = NDArray[np.float64]

WAYS = ("store", "static", "functional", "pca")
HINGES = (("thigh_r", "shank_r"), ("thigh_l", "shank_l"), ("shank_r", "foot_r"), ("shank_l", "foot_l"))
_LEAST_RAD_S = 0.5
_STEPS = 20


def as_stored(stream: Stream, segments: Sequence[str]) -> dict[str, FloatArray]:
    """Return the rotations that the store holds; raises ``DataError`` where one is unknown."""
    found = {}
    for segment in segments:
        rotation = np.asarray(stream.imu["rotation"].values[sensor_of(stream, segment)], dtype=np.float64)
        if not np.isfinite(rotation).all():
            raise DataError(
                f"the rotation of the sensor on {segment} to its segment is unknown; take calibration=pca, functional "
                "or static"
            )
        found[segment] = rotation
    return found


def by_principal_axes(stream: Stream, segments: Sequence[str]) -> dict[str, FloatArray]:
    """Return rotations from gravity at rest or in gait (Y) and the principal axis of each gyro (Z).

    Which end of an axis points right is told by how legs swing, and by nothing declared: ``alignment.find_rotations``,
    which takes no reference here. Raises ``DataError`` with its reason where it cannot tell.
    """
    names = {segment: str(stream.imu["sensor"].values[sensor_of(stream, segment)]) for segment in segments}
    told = alignment.find_rotations(stream.imu)
    rotations = {}
    for segment, name in names.items():
        rotation = told[name].rotation
        if rotation is None:
            why = told[name].evidence.get("declined", "nothing tells which end of its axis points right")
            raise DataError(f"the sensor on {segment} cannot be calibrated from its own motion: {why}")
        rotations[segment] = rotation
    return rotations


def by_hinges(stream: Stream, segments: Sequence[str]) -> dict[str, FloatArray]:
    """Return rotations whose flexion axes are those of hinges: the knees, then the ankles for the feet.

    Of both gyros beside a hinge what is not about its axis is equally large: the axes are found by Gauss-Newton on that
    (Seel et al. 2014, Sensors 14:6891-6909), from the principal axes, whose signs and proximal axes
    they keep. A segment without a hinge in ``HINGES`` keeps its principal axis.
    """
    rotations = by_principal_axes(stream, segments)
    refined: dict[str, FloatArray] = {}
    for near, far in HINGES:
        if near in rotations and far in rotations:
            axes = hinge_axes(_rate(stream, near), _rate(stream, far), rotations[near][2], rotations[far][2])
            for segment, axis in zip((near, far), axes, strict=True):
                refined.setdefault(segment, orthonormal(rotations[segment][1], axis, order="yz").T)
    return rotations | refined


def hinge_axes(near: FloatArray, far: FloatArray, axis: FloatArray, other: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the axis of a hinge in the axes of either sensor, from their rates (n, 3) and a first guess of each."""
    moving = (
        np.isfinite(near).all(axis=1)
        & np.isfinite(far).all(axis=1)
        & (np.linalg.norm(near, axis=1) + np.linalg.norm(far, axis=1) > _LEAST_RAD_S)
    )
    rates = [near[moving], far[moving]]
    found = [axis, other]
    if moving.sum() < 10:
        return found[0], found[1]
    for _ in range(_STEPS):
        across = [np.cross(rate, each) for rate, each in zip(rates, found, strict=True)]
        size = [np.maximum(np.linalg.norm(each, axis=1), 1e-9) for each in across]
        # d|g x j| / dj = ((g x j) x g) / |g x j|, seen along two directions at right angles to j.
        slopes = [np.cross(c, g) / s[:, None] for c, g, s in zip(across, rates, size, strict=True)]
        planes = [_plane(each) for each in found]
        jacobian = np.concatenate([slopes[0] @ planes[0], -slopes[1] @ planes[1]], axis=1)
        step = np.linalg.lstsq(jacobian, size[1] - size[0], rcond=None)[0]
        found = [_unit(found[0] + planes[0] @ step[:2]), _unit(found[1] + planes[1] @ step[2:])]
        if np.abs(step).max() < 1e-6:
            break
    return found[0], found[1]


def by_pose(
    stream: Stream, orientations: Mapping[str, FloatArray], base: str, forward: FloatArray
) -> dict[str, FloatArray]:
    """Return the rotations under which a person who stands at rest has all joint angles zero.

    ``orientations`` (samples, 4) are sensor to world with Y up and one heading for all; ``forward`` (3,) is the axis of
    the sensor on ``base`` that points forward, as OpenSim's IMUPlacer has it. The pose is the first second at rest.
    Raises ``DataError`` where nobody stands still, or ``forward`` stands upright.
    """
    standing_still = at_rest(stream, list(orientations))
    standing = {segment: mean_rotation(quat[standing_still]) for segment, quat in orientations.items()}
    ahead = standing[base] @ forward
    if abs(ahead[1]) > np.sin(np.radians(60.0)):
        raise DataError(f"the axis of the sensor on {base} that is said to point forward stands upright; name another")
    upright = orthonormal(np.array([0.0, 1.0, 0.0]), ahead, order="yx")
    return {segment: np.asarray(upright.T @ rotation) for segment, rotation in standing.items()}


def _rate(stream: Stream, segment: str) -> FloatArray:
    return np.asarray(stream.imu["gyr"].values[:, sensor_of(stream, segment)], dtype=np.float64)


def _plane(axis: FloatArray) -> FloatArray:
    """Return two directions (3, 2) at right angles to an axis and to each other."""
    first = _unit(np.cross(axis, np.eye(3)[int(np.argmin(np.abs(axis)))]))
    return np.stack([first, np.cross(axis, first)], axis=1)


def _unit(vector: FloatArray) -> FloatArray:
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float64)
