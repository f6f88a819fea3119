"""SMPL's lower body: which joint moves which segment, and where the joints are at rest.

Model axes at rest are x to the person's left, y up, z forward; every joint's axes are parallel to them. The rest pose
is not the anatomical zero: legs stand apart and knees are a little bent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kinbench import kinematics, schema

FloatArray = NDArray[np.float64]

PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8)
"""Pelvis, L/R hip, Spine1, L/R knee, Spine2, L/R ankle, Spine3, L/R foot (ball): odd side first is the LEFT one."""

MOVED = 10
"""Joints 0 to 9 move the segments; the balls (10, 11) are needed at rest only."""

SEGMENT_JOINT = {
    "trunk": 9, "pelvis": 0, "thigh_r": 2, "shank_r": 5, "foot_r": 8, "thigh_l": 1, "shank_l": 4, "foot_l": 7,
}  # fmt: skip
"""The joint whose rotation a segment has. Joints 1, 4, 7 are left, 2, 5, 8 right (Loper et al. 2015)."""

FAR_JOINT = {0: 3, 1: 4, 2: 5, 4: 7, 5: 8, 7: 10, 8: 11}
"""Per joint, the one at the far end of its segment; the trunk's (the neck) is not among ours."""

ISB_FROM_MODEL = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
"""C: model axes (left, up, forward) to segment axes (anterior, proximal, right)."""

MEAN_OFFSETS_M = np.array(
    [
        (-0.0018, -0.2233, 0.0282),
        (0.0695, -0.0914, -0.0068), (-0.0677, -0.0905, -0.0043), (-0.0025, 0.1090, -0.0267),
        (0.0343, -0.3752, -0.0045), (-0.0383, -0.3826, -0.0089), (0.0055, 0.1352, 0.0011),
        (-0.0136, -0.3980, -0.0437), (0.0158, -0.3984, -0.0423), (0.0015, 0.0529, 0.0254),
        (0.0264, -0.0558, 0.1193), (-0.0254, -0.0481, 0.1233),
    ]
)  # fmt: skip
"""Each joint from its parent (the pelvis from the model's origin), model axes, m: the mean neutral shape, as published
in the openly licensed humanoid of the PHC and ProtoMotions repositories (``smpl_humanoid.xml``, x forward, y left, z up
there). Left and right differ because the template's do."""

MEAN_STATURE_M = 1.69
"""The template's stature, estimated: its shoulders stand 1.317 m above its ankles, which is 0.818 - 0.039 of stature
(Drillis and Contini 1966, in Winter, *Biomechanics and Motor Control of Human Movement*, 4th ed. 2009, fig. 4.1)."""

ORIGINS = "proximal joint (pelvis: middle of the hips; trunk: lumbar joint, as Spine3 carries it from the rest pose)"
"""The trunk moves as Spine3 does; so its base must be a point that is fixed to Spine3, and with a bent spine it is not
quite the lumbar joint."""

TRUNK_M = 0.40
"""From the lumbar joint (Spine1) to the neck in the same humanoid, for places along the trunk."""


@dataclass(frozen=True, eq=False)
class Rest:
    """Where the joints are at rest: ``joint`` (12, 3) m in model axes; ``geometry`` as in ``recording.Body``.

    Two of them are alike only if they are one: what follows from one can be kept by it.
    """

    joint: FloatArray
    geometry: str
    height_m: float
    source: str

    @property
    def scale(self) -> float:
        """The person's size against the template's, by stature."""
        return self.height_m / MEAN_STATURE_M

    @property
    def offset(self) -> FloatArray:
        """Each joint from its parent, (12, 3) m in model axes; the pelvis from the model's origin."""
        found = self.joint.copy()
        found[1:] -= self.joint[list(PARENTS[1:])]
        return found

    @property
    def origin(self) -> FloatArray:
        """What ``segment_position`` follows per joint, (10, 3) m from it in model axes: ``ORIGINS`` in words."""
        found = np.zeros((MOVED, 3))
        found[0] = (self.joint[1] + self.joint[2]) / 2 - self.joint[0]
        found[9] = self.joint[3] - self.joint[9]
        return found

    def length_m(self, joint: int) -> float:
        """Return the length of the segment that ``joint`` moves: to its far joint, of the pelvis from the hips up."""
        if joint not in FAR_JOINT:
            return TRUNK_M * self.scale
        start = self.joint[joint] + self.origin[joint]
        return float(np.linalg.norm(self.joint[FAR_JOINT[joint]] - start))


@lru_cache(maxsize=8)
def mean_rest(height_m: float | None = None) -> Rest:
    """Return the mean template at rest, scaled to a stature; its own where none is given."""
    height = MEAN_STATURE_M if height_m is None else height_m
    joint = MEAN_OFFSETS_M.copy()
    for index in range(1, len(PARENTS)):
        joint[index] += joint[PARENTS[index]]
    source = "mean neutral rest joints of smpl_humanoid.xml (PHC, ProtoMotions)"
    joint *= height / MEAN_STATURE_M
    joint.flags.writeable = False  # all who ask for this height get the same
    return Rest(joint, "mean_template", height, source)


def segment_joints(*, swapped: bool = False) -> dict[str, int]:
    """Return the joint of every segment; ``swapped`` names the legs the wrong way round, as Tan et al. 2024 do."""
    if not swapped:
        return dict(SEGMENT_JOINT)
    other = {"r": "l", "l": "r"}
    return {name[:-1] + other[name[-1]] if name[-2:] in ("_r", "_l") else name: j for name, j in SEGMENT_JOINT.items()}


def segment_axes(rest: Rest, zero: str) -> dict[int, FloatArray]:
    """Return per joint the (3, 3) matrix from its model axes to segment axes: ``v_segment = A v_model``.

    ``zero`` ``rest``: C alone, the rest pose is the zero. ``anatomical``: the thigh's and shank's proximal axis runs
    from the far joint to the near one, anterior is kept, so that the zero is a leg with its joints in line.
    """
    found = dict.fromkeys(SEGMENT_JOINT.values(), ISB_FROM_MODEL)
    if zero == "anatomical":
        for joint in (1, 2, 4, 5):
            along = ISB_FROM_MODEL @ (rest.joint[joint] - rest.joint[FAR_JOINT[joint]])
            frame = kinematics.orthonormal(along, np.array([1.0, 0.0, 0.0]), order="yx")
            found[joint] = frame.T @ ISB_FROM_MODEL
    return found


@lru_cache(maxsize=8)
def rest_angles_deg(rest: Rest) -> Mapping[str, float]:
    """Return the joint angles of the rest pose in anatomical axes: what ``zero=rest`` does not show."""
    axes = segment_axes(rest, "anatomical")
    turn = {name: kinematics.quaternions(axes[joint].T)[None] for name, joint in SEGMENT_JOINT.items()}
    found = {}
    for dof in schema.DOFS.values():
        if dof.proximal != "world":
            components = kinematics.joint_angles(turn[dof.proximal], turn[dof.distal])[0]
            found[dof.name] = round(float(dof.sign * components[dof.component]), 2) + 0.0  # no negative zero
    return found


def segment_motion(
    vectors: FloatArray, trans: FloatArray, rest: Rest
) -> tuple[Mapping[int, FloatArray], Mapping[int, FloatArray]]:
    """Return per joint of a segment its rotation (n, 3, 3), model axes to world, and its origin's path (n, 3) m.

    ``vectors`` (n, 10, 3) rad are joint to parent, ``trans`` (n, 3) m. The model is turned about its pelvis joint
    and moved by ``trans`` afterwards, so that the pelvis joint is at its rest place plus ``trans``.
    """
    local = kinematics.rotations_from_vectors(vectors)
    root = rest.joint[0] + trans
    world, place = kinematics.forward_kinematics(local, rest.offset[:MOVED], PARENTS[:MOVED], root)
    for joint in (0, 9):  # every other origin is its joint
        place[:, joint] += world[:, joint] @ rest.origin[joint]
    joints = sorted(SEGMENT_JOINT.values())
    return {joint: world[:, joint] for joint in joints}, {joint: place[:, joint] for joint in joints}
