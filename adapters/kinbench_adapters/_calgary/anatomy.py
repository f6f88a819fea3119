"""Segment frames from the standing trial, by the recipe of the clinic's own ``gait_kinematics.m``.

Source: the code published with Ferber et al. 2024 (Scientific Data 11:1232). The world has X to the subject's right,
Y up and Z backwards. The recipe takes the standing pelvis to be level and straight, and the standing foot to point
straight ahead: a standing pelvic tilt or toe-out is zero by construction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench.kinematics import Frame, orthonormal
from kinbench_adapters._calgary.captures import Capture

FloatArray = NDArray[np.float64]

CLUSTERS = {
    "pelvis": "pelvis", "thigh_r": "R_thigh", "shank_r": "R_shank", "foot_r": "R_foot",
    "thigh_l": "L_thigh", "shank_l": "L_shank", "foot_l": "L_foot",
}  # fmt: skip
"""Our segment and the first part of its markers' names (``R_thigh_1`` ... ``R_thigh_4``)."""

JOINTS = tuple(f"{side}_{name}" for side in "RL" for name in ("hip", "lat_knee", "med_knee", "lat_ankle", "med_ankle"))
MARKERS = 4
REAL_AT_LEAST = 3
HIP_SHARE = 0.25
"""The hip centre lies a quarter of the way from one greater trochanter to the other."""

_FORWARD = np.array([0.0, 0.0, -1.0])
_LAB = np.stack([_FORWARD, np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0])], axis=1)
"""X anterior, Y proximal and Z right in the clinic's world, as columns."""

_CENTROID = 0.25
"""Millimetres within which a fourth marker that is the mean of the other three counts as computed from them."""

UNIT_M = {"mm": 1e-3, "m": 1.0}
_HIP_HEIGHT_M = (0.5, 1.4)


@dataclass(frozen=True)
class Anatomy:
    """A standing person: ``frames`` by segment, and ``clusters`` (k, 3), the standing places of its real ``markers``.

    Origins are the proximal joint's centre (pelvis: the middle of the hips), in the unit of the capture, of which
    ``unit_m`` metres make one.
    """

    frames: Mapping[str, Frame]
    markers: Mapping[str, tuple[str, ...]]
    clusters: Mapping[str, FloatArray]
    centres: Mapping[str, FloatArray]
    standing: Mapping[str, FloatArray]
    units: str
    told_by: str

    @property
    def unit_m(self) -> float:
        """Metres per unit of the markers."""
        return UNIT_M[self.units]


def stand(capture: Capture, where: object) -> Anatomy:
    """Return the anatomy of the standing trial; raises ``DataError`` with all markers that it lacks.

    The unit must be millimetres or metres: where the file does not tell it, the height of the hip centres does. A
    person who does not stand upright in the clinic's world is refused.
    """
    _require_markers(capture, where)
    points = capture.standing
    centres = joint_centres(points)
    units, told_by = _length_unit(capture.units, centres, where)
    _require_upright(centres, points, where)
    markers = {segment: _real_markers(capture, stem, units) for segment, stem in CLUSTERS.items()}
    return Anatomy(
        frames=_frames(points, centres),
        markers=markers,
        clusters={segment: np.array([points[name] for name in names]) for segment, names in markers.items()},
        centres=centres, standing=points, units=units, told_by=told_by,
    )  # fmt: skip


def joint_centres(points: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Return the joint centres (3,) ``hip_r`` ... ``ankle_l`` of the standing anatomical markers."""
    centres = {}
    for ours, side, other in (("r", "R", "L"), ("l", "L", "R")):
        across = points[f"{other}_hip"] - points[f"{side}_hip"]
        centres[f"hip_{ours}"] = points[f"{side}_hip"] + HIP_SHARE * across
        for joint in ("knee", "ankle"):
            centres[f"{joint}_{ours}"] = (points[f"{side}_lat_{joint}"] + points[f"{side}_med_{joint}"]) / 2
    return centres


def _frames(points: Mapping[str, FloatArray], centres: Mapping[str, FloatArray]) -> dict[str, Frame]:
    frames = {"pelvis": Frame(_LAB, (centres["hip_r"] + centres["hip_l"]) / 2)}
    for ours, side in (("r", "R"), ("l", "L")):
        for segment, upper, lower in (("thigh", "hip", "knee"), ("shank", "knee", "ankle")):
            right = points[f"{side}_lat_{lower}"] - points[f"{side}_med_{lower}"]
            up = centres[f"{upper}_{ours}"] - centres[f"{lower}_{ours}"]
            rotation = orthonormal(up, right if side == "R" else -right, order="yz")
            frames[f"{segment}_{ours}"] = Frame(rotation, centres[f"{upper}_{ours}"])
        frames[f"foot_{ours}"] = Frame(_foot(points, side), centres[f"ankle_{ours}"])
    return frames


def _foot(points: Mapping[str, FloatArray], side: str) -> FloatArray:
    """Return the foot's axes: X the world's forward, Y along the two heel markers that stand above each other.

    Of the three markers of the heel, whose order is not fixed, the outermost one is the lateral one.
    """
    heel = np.array([points[f"{side}_foot_{number}"] for number in (1, 2, 3)])
    outward = heel[:, 0] if side == "R" else -heel[:, 0]
    lower, upper = sorted(np.delete(heel, int(np.argmax(outward)), axis=0), key=lambda place: float(place[1]))
    return orthonormal(_FORWARD, upper - lower, order="xy")


def _real_markers(capture: Capture, stem: str, units: str) -> tuple[str, ...]:
    """Return a cluster's markers without a fourth that is but the mean of the other three.

    So it is on the clinic's pelvis and feet; the mean adds nothing to a fit (its arm is zero) and hides gaps.
    """
    names = [f"{stem}_{number}" for number in range(1, MARKERS + 1)]
    *three, fourth = names
    if fourth not in capture.standing or fourth not in capture.moving:
        return tuple(three)
    still = np.mean([capture.standing[name] for name in three], axis=0) - capture.standing[fourth]
    moving = np.mean([capture.moving[name] for name in three], axis=0) - capture.moving[fourth]
    apart = np.linalg.norm(np.concatenate([moving, still[None]]), axis=1)
    seen = apart[np.isfinite(apart)]
    computed = seen.size > 0 and float(np.median(seen)) * UNIT_M[units] < _CENTROID * UNIT_M["mm"]
    return tuple(three if computed else names)


# --- what is refused --------------------------------------------------------------------------------------------------


def _require_markers(capture: Capture, where: object) -> None:
    clusters = [f"{stem}_{number}" for stem in CLUSTERS.values() for number in range(1, REAL_AT_LEAST + 1)]
    still = [name for name in (*clusters, *JOINTS) if not np.isfinite(capture.standing.get(name, np.nan)).all()]
    moving = [name for name in clusters if name not in capture.moving]
    problems = []
    if still:
        problems.append(f"standing trial: expected the markers {', '.join(still)}, found them absent or not seen")
    if moving:
        problems.append(f"moving trial: expected the markers {', '.join(moving)}, found none of that name")
    if problems:
        raise DataError(problems, where=where)


def _length_unit(told: str, centres: Mapping[str, FloatArray], where: object) -> tuple[str, str]:
    """Return the unit and what tells it; the standing hips' height must agree in any case."""
    height = float(centres["hip_r"][1] + centres["hip_l"][1]) / 2
    low, high = _HIP_HEIGHT_M
    fitting = [unit for unit, metres in UNIT_M.items() if low <= height * metres <= high]
    if told and told not in UNIT_M:
        raise DataError(f"expected markers in {' or '.join(UNIT_M)}, found '{told}'", where=where)
    if not fitting or (told and told not in fitting):
        raise DataError(
            f"expected the standing hip centres {low:g} to {high:g} m above the floor, found them at {height:g} "
            f"{told or '(unit not told)'} along Y: the unit or the vertical axis is another one",
            where=where,
        )
    return fitting[0], "the file" if told else f"the height of the standing hip centres, {height:.4g} {fitting[0]}"


def _require_upright(centres: Mapping[str, FloatArray], points: Mapping[str, FloatArray], where: object) -> None:
    problems = []
    for side, stem in (("r", "R"), ("l", "L")):
        heights = [float(centres[f"{joint}_{side}"][1]) for joint in ("hip", "knee", "ankle")]
        if heights != sorted(heights, reverse=True):
            told = ", ".join(f"{height:.4g}" for height in heights)
            problems.append(f"expected hip, knee and ankle ({side}) above each other along Y, found heights {told}")
        heel = np.mean([points[f"{stem}_foot_{number}"] for number in (1, 2, 3)], axis=0)
        if not heel[2] > centres[f"ankle_{side}"][2]:
            problems.append(f"expected the heel ({side}) behind the ankle along +Z, found it before: Z points forward")
    if not centres["hip_r"][0] > centres["hip_l"][0]:
        problems.append("expected the right hip to the right of the left one along +X, found them the other way round")
    if problems:
        raise DataError(problems, where=where)
