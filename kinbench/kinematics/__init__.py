"""Segment frames from markers, joint angles from frames, gait events: the only home of a joint-angle convention."""

from kinbench.kinematics._angles import (
    CONVENTION,
    dofs_from_segments,
    joint_angles,
    mirror_acc,
    mirror_gyr,
    rotation_from_angles,
)

__all__ = [
    "CONVENTION",
    "dofs_from_segments",
    "joint_angles",
    "mirror_acc",
    "mirror_gyr",
    "rotation_from_angles",
]
