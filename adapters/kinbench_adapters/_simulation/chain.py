"""Angles to motion: seven leg segments and a trunk, carried over the ground by the foot that stands on it.

Segment axes are X anterior, Y proximal, Z right; the world is Y up. Lengths are shares of body height after Drillis
and Contini, as printed in Winter, *Biomechanics and Motor Control of Human Movement* (4th ed. 2009), fig. 4.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from kinbench import kinematics, schema
from kinbench_adapters._simulation.gait import DOFS, Course

FloatArray = NDArray[np.float64]

SEGMENTS = schema.SEGMENTS


@dataclass(frozen=True)
class Body:
    """A person's lengths in metres."""

    height_m: float
    thigh_m: float
    shank_m: float
    ankle_m: float
    heel_m: float
    ball_m: float
    hip_m: float
    lumbar_m: float

    @property
    def length_m(self) -> Mapping[str, float]:
        """What a sensor's place along a segment is a share of."""
        return {"trunk": 0.29 * self.height_m, "pelvis": self.lumbar_m, "thigh": self.thigh_m, "shank": self.shank_m,
                "foot": self.ball_m}  # fmt: skip


@dataclass(frozen=True)
class Motion:
    """Where every segment is: ``position[segment]`` (n, 3) m of its proximal joint, ``turn[segment]`` to the world."""

    position: Mapping[str, FloatArray]
    turn: Mapping[str, Rotation]


def draw_body(random: np.random.RandomState) -> Body:
    """Return a person's lengths: height, and shares of it that vary by a few per cent."""
    height = 1.71 + 0.09 * float(random.normal())
    thigh, shank, ankle, heel, ball, hip, lumbar = (
        share * height * (1 + 0.03 * float(random.normal()))
        for share in (0.245, 0.246, 0.039, 0.025, 0.105, 0.052, 0.06)
    )
    return Body(height, thigh, shank, ankle, heel, ball, hip, lumbar)


def move(body: Body, course: Course) -> Motion:
    """Return the motion of all segments.

    The standing foot rolls over a point that travels from heel to ball and does not slip; the body is carried by it.
    """
    turn = _turns(course)
    relative = _joints(body, turn)
    root = _carried(body, course, turn, relative)
    return Motion({segment: root + place for segment, place in relative.items()}, turn)


def angles_of(course: Course, motion: Motion) -> dict[str, FloatArray]:
    """Return every DoF of the schema, (n,) degrees each; the pelvis against the world, unwrapped."""
    found = {name: course.angles[:, DOFS.index(name)] for name in schema.DOFS}
    pelvis = motion.turn["pelvis"].as_quat(scalar_first=True)
    world = np.tile([1.0, 0.0, 0.0, 0.0], (len(pelvis), 1))
    components = kinematics.joint_angles(world, pelvis)
    for name in ("pelvis_tilt", "pelvis_list", "pelvis_rotation"):
        found[name] = np.unwrap(components[:, schema.DOFS[name].component], period=360)
    return found


def _turns(course: Course) -> dict[str, Rotation]:
    column = dict(zip(DOFS, course.angles.T, strict=True))
    heading = Rotation.from_rotvec(np.deg2rad(course.heading_deg)[:, None] * [0.0, 1.0, 0.0])
    turn = {
        "pelvis": heading
        * _cardan(column["pelvis_tilt"], column["pelvis_list"], column["pelvis_rotation"])
    }  # fmt: skip
    turn["trunk"] = turn["pelvis"] * _cardan(
        column["trunk_extension"], column["trunk_bending"], column["trunk_rotation"]
    )
    for letter in "rl":
        for joint in ("hip", "knee", "ankle"):
            dofs = [d for d in schema.DOFS.values() if d.joint == joint and d.name.endswith(f"_{letter}")]
            a, b, c = (d.sign * column[d.name] for d in sorted(dofs, key=lambda d: d.component))
            turn[dofs[0].distal] = turn[dofs[0].proximal] * _cardan(a, b, c)
    return turn


def _cardan(a: FloatArray, b: FloatArray, c: FloatArray) -> Rotation:
    return Rotation.from_quat(kinematics.rotation_from_angles(a, b, c), scalar_first=True)


def _joints(body: Body, turn: Mapping[str, Rotation]) -> dict[str, FloatArray]:
    """Return each segment's proximal joint, (n, 3) m, from the middle of the hips, in world axes."""
    pelvis = turn["pelvis"]
    place = {
        "pelvis": np.zeros((len(pelvis), 3)),
        "trunk": pelvis.apply([-0.03, body.lumbar_m, 0]),
    }
    for letter, side in (("r", 1), ("l", -1)):
        hip = pelvis.apply([0, 0, side * body.hip_m])
        knee = hip + turn[f"thigh_{letter}"].apply([0, -body.thigh_m, 0])
        ankle = knee + turn[f"shank_{letter}"].apply([0, -body.shank_m, 0])
        place |= {f"thigh_{letter}": hip, f"shank_{letter}": knee, f"foot_{letter}": ankle}
    return place


def _carried(
    body: Body, course: Course, turn: Mapping[str, Rotation], relative: Mapping[str, FloatArray]
) -> FloatArray:
    """Return the path of the middle of the hips, (n, 3) m."""
    n = len(course.time)
    velocity, height, total = np.zeros((n, 3)), np.zeros(n), np.zeros(n)
    for letter, lead in (("r", 0.0), ("l", 0.5)):
        phase = np.mod(course.phase + lead, 1.0)
        effort = course.effort
        weight = effort * _bump(phase, 0.0, 0.62, 0.12) + (1 - effort)
        ahead = (effort * _step((phase - 0.05) / 0.35) + (1 - effort) * 0.5)[:, None]
        ankle, foot = relative[f"foot_{letter}"], turn[f"foot_{letter}"]
        heel = ankle + foot.apply([-body.heel_m, -body.ankle_m, 0])
        ball = ankle + foot.apply([body.ball_m, -body.ankle_m, 0])
        slide = (1 - ahead) * np.gradient(heel, axis=0) + ahead * np.gradient(ball, axis=0)
        contact = (1 - ahead) * heel + ahead * ball
        velocity -= weight[:, None] * slide
        height -= weight * contact[:, 1]
        total += weight
    steps = velocity / total[:, None]
    path = np.cumsum(steps, axis=0)
    path[:, 1] = height / total
    return np.asarray(gaussian_filter1d(path, 0.03 * course.rate_hz, axis=0, mode="nearest"), dtype=np.float64)


def _bump(phase: FloatArray, start: float, stop: float, edge: float) -> FloatArray:
    """Return 1 inside [start, stop] of a cycle, falling smoothly to a small floor over ``edge`` at both ends."""
    centred = np.mod(phase - (start + stop) / 2 + 0.5, 1.0) - 0.5
    return 1e-3 + _step(((stop - start) / 2 - np.abs(centred)) / edge)


def _step(x: FloatArray) -> FloatArray:
    x = np.clip(x, 0.0, 1.0)
    return np.asarray(x**3 * (10 - 15 * x + 6 * x**2), dtype=np.float64)
