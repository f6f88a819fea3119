"""Segment frames from markers, joint angles from frames, gait events: the only home of a joint-angle convention."""

from kinbench.kinematics._angles import (
    CONVENTION,
    clinic_angles,
    dofs_from_segments,
    joint_angles,
    mirror_acc,
    mirror_gyr,
    rotation_from_angles,
)
from kinbench.kinematics._chains import forward_kinematics, world_from_affines
from kinbench.kinematics._gait_events import (
    GaitEvents,
    events_from_foot_markers,
    events_from_force,
    events_from_gyro,
    events_from_hip_angle,
    events_from_knee_angle,
)
from kinbench.kinematics._plug_in_gait import PLUG_IN_GAIT, plug_in_gait
from kinbench.kinematics._rhythm import Rhythm, rhythm
from kinbench.kinematics._rotations import matrices, orthonormal, quaternions, rotations_from_vectors
from kinbench.kinematics._segments import Frame, RigidFit, SegmentMotion, cluster_motion, fit_rigid

__all__ = [
    "CONVENTION",
    "PLUG_IN_GAIT",
    "Frame",
    "GaitEvents",
    "Rhythm",
    "RigidFit",
    "SegmentMotion",
    "clinic_angles",
    "cluster_motion",
    "dofs_from_segments",
    "events_from_foot_markers",
    "events_from_force",
    "events_from_gyro",
    "events_from_hip_angle",
    "events_from_knee_angle",
    "fit_rigid",
    "forward_kinematics",
    "joint_angles",
    "matrices",
    "mirror_acc",
    "mirror_gyr",
    "orthonormal",
    "plug_in_gait",
    "quaternions",
    "rhythm",
    "rotation_from_angles",
    "rotations_from_vectors",
    "world_from_affines",
]
