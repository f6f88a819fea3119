"""Where the study puts its sensors, and how their cases are turned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinbench import schema

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Mount:
    """Where the study puts the sensor of one segment, and how its case is turned.

    In the study's one published recording the case's x axis points up the segment and its z axis into the body (its
    ``Mat`` in the calibration pose, heading by the pelvis). ``hint`` is the sensor axis that points to the right,
    which settles the sign of the flexion axis, ``up`` the one that points up while the person stands. ``nominal``
    columns are the sensor's axes in segment axes, given only where no functional axis can be had: the pelvis and trunk
    turn about all three axes in gait.
    """

    side: str
    site: str
    level: str
    hint: str | None = None
    up: str = "x"
    nominal: tuple[tuple[float, float, float], ...] | None = None

    @property
    def right(self) -> FloatArray:
        """The sensor direction (3,) that nominally points to the right."""
        return direction(self.hint) if self.hint is not None else np.asarray(self.nominal)[2]


_FACING_FORWARD = ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
"""x up, y to the right, z to the front: a case on the back with z into the body."""

MOUNTS: dict[str, Mount] = {
    "trunk": Mount("midline", "posterior", "proximal", nominal=_FACING_FORWARD),
    "pelvis": Mount("midline", "sacrum", "mid", nominal=_FACING_FORWARD),
    "thigh_r": Mount("right", "lateral", "mid", hint="-z"),
    "shank_r": Mount("right", "lateral", "mid", hint="-z"),
    "foot_r": Mount("right", "dorsum", "mid", hint="-x", up="-z"),
    "thigh_l": Mount("left", "lateral", "mid", hint="z"),
    "shank_l": Mount("left", "lateral", "mid", hint="z"),
    "foot_l": Mount("left", "dorsum", "mid", hint="x", up="-z"),
}


def direction(axis: str) -> FloatArray:
    """Return the unit vector (3,) of an axis such as ``'x'`` or ``'-z'``."""
    unit: FloatArray = np.eye(3)["xyz".index(axis[-1])]
    return -unit if axis.startswith("-") else unit


def opposite(axis: str) -> str:
    """Return the other way along an axis: ``'-z'`` for ``'z'``."""
    return axis.removeprefix("-") if axis.startswith("-") else f"-{axis}"


def segment_of(frame: str) -> str | None:
    """Return our word for the segment of a model frame such as ``femur_r_imu``, None where we have none."""
    body = frame.strip().lower().removesuffix("_imu")
    return body if body in schema.SEGMENTS else schema.SEGMENT_ALIASES.get(body)
