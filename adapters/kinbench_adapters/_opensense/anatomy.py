"""From the sensors' cases to the segments, as the cameras saw them: gravity in the calibration pose, and the steps.

The rule is that of ``kinbench.recording.Calibration``, which the engine applies to the sensors' own signals, applied to
what the cameras saw of the same cases: up is the lab's vertical while the person stands, the flexion axis of a leg
segment the principal axis of its angular rate in the first steps. Inputs and truth thus share a definition of the
segments and no signal. The pelvis and trunk have no axis of their own in gait: they face as the legs do in the pose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench.kinematics import orthonormal
from kinbench_adapters._opensense.mounts import MOUNTS
from kinbench_adapters._opensense.pairing import Pair

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

POSE_WITHIN_S = 8.0
POSE_S = 1.5
POSE_LIMIT_RAD_S = 0.15
"""The pose is the quietest span of ``POSE_S`` among the cameras' first seconds, mean speed over all plates."""
MOVING_S = 28.0
"""How long after it the steps are looked at: as long as the engine looks at the sensors' own."""
LEAST_MOVING_S = 4.0
LEAST_EXPLAINED = 0.5
AMBIGUOUS_DEG = 60.0
"""As in the engine: an axis must hold half of the angular rate's power, lie within 60 degrees of the horizontal, and be
within 60 degrees of the direction that settles its sign."""


@dataclass(frozen=True)
class Anatomy:
    """``axes`` gives per segment the (3, 3) rotation from its sensor's axes to its own; ``lacking`` says why not.

    ``pose_s`` is the span of the calibration pose on the cameras' clock; ``figures`` what each rests on.
    """

    axes: dict[str, FloatArray]
    lacking: dict[str, str]
    pose_s: tuple[float, float]
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)

    def step(self) -> dict[str, Any]:
        """Return the history step; the rotations themselves are in harmonisation's."""
        return {"step": "find_segments", "pose_s": list(self.pose_s), "segments": self.figures}


def find_pose(time: FloatArray, pairs: Mapping[str, Pair]) -> tuple[float, float]:
    """Return the span of the calibration pose on the cameras' clock.

    Raises ``DataError`` where nobody stands still at the beginning.
    """
    speeds = np.stack([np.linalg.norm(pair.rate, axis=1) for pair in pairs.values()])
    known = np.isfinite(speeds)
    speed = np.where(known, speeds, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    speed[~known.any(axis=0)] = np.inf
    samples = int(np.ceil(POSE_S / float(np.median(np.diff(time)))))
    first = speed[time < time[0] + POSE_WITHIN_S]
    if len(first) < samples:
        raise DataError(f"the cameras saw {len(first)} frames, too few for a calibration pose of {POSE_S} s")
    held = np.where(np.isfinite(first), first, 1e3)
    means = np.convolve(held, np.ones(samples) / samples, mode="valid")
    start = int(np.argmin(means))
    if means[start] > POSE_LIMIT_RAD_S:
        raise DataError(
            f"nobody stands still in the cameras' first {POSE_WITHIN_S:g} s (at best {means[start]:.2f} rad s-1, at "
            f"most {POSE_LIMIT_RAD_S}), and without a calibration pose no plate is a segment"
        )
    return float(time[start]), float(time[start + samples - 1])


def segment_axes(time: FloatArray, pairs: Mapping[str, Pair], right: Mapping[str, FloatArray]) -> Anatomy:
    """Return every segment's axes; ``right`` is the sensor direction (3,) that points to the right, roughly.

    Raises ``DataError`` where there is no calibration pose.
    """
    pose_s = find_pose(time, pairs)
    still = (time >= pose_s[0]) & (time <= pose_s[1])
    moving = (time > pose_s[1]) & (time <= pose_s[1] + MOVING_S)
    found = Anatomy({}, {}, pose_s)
    poses = {name: pose for name, pair in pairs.items() if (pose := _mean(pair.orientation[still])) is not None}
    found.lacking.update(dict.fromkeys(set(pairs) - set(poses), "its plate is not seen in the calibration pose"))
    legs = [name for name in poses if MOUNTS[name].hint is not None]
    for name in legs:
        _leg(found, name, poses[name], pairs[name].rate[moving], time, right[name])
    across = [poses[name] @ found.axes[name][2] for name in legs if name in found.axes]
    for name in set(poses) - set(legs):
        if not across:
            found.lacking[name] = "no leg says which way the person faces in the calibration pose"
            continue
        facing = poses[name].T @ np.sum(across, axis=0)
        found.axes[name] = orthonormal(poses[name][1], facing, order="yz").T
        found.figures[name] = {"facing_by": len(across), "hint_deg": _angle_deg(found.axes[name][2], right[name])}
    return found


def _leg(found: Anatomy, name: str, pose: FloatArray, rate: FloatArray, time: FloatArray, right: FloatArray) -> None:
    """Add a leg segment's axes, or why there are none."""
    known = rate[np.isfinite(rate).all(axis=1)]
    if len(known) * float(np.median(np.diff(time))) < LEAST_MOVING_S:
        found.lacking[name] = f"its plate is seen for less than {LEAST_MOVING_S:g} s of the first steps"
        return
    powers, vectors = np.linalg.eigh(known.T @ known)
    axis, up = vectors[:, -1], pose[1]
    axis = axis * (1.0 if axis @ right >= 0 else -1.0)
    explained = float(powers[-1] / powers.sum())
    axes = orthonormal(up, axis, order="yz").T
    tilt_deg, hint_deg = 90.0 - _angle_deg(axis * np.sign(axis @ up), up), _angle_deg(axes[2], right)
    if explained < LEAST_EXPLAINED or tilt_deg > AMBIGUOUS_DEG or hint_deg > AMBIGUOUS_DEG:
        found.lacking[name] = (
            f"no flexion axis stands out ({explained:.0%} of the power, {tilt_deg:.0f} degrees from the horizontal, "
            f"{hint_deg:.0f} from the mounting's)"
        )
        return
    found.axes[name] = axes
    found.figures[name] = {
        "explained": round(explained, 4), "tilt_deg": round(tilt_deg, 2), "hint_deg": round(hint_deg, 2),
    }  # fmt: skip


def _mean(rotations: FloatArray) -> FloatArray | None:
    """Return the mean rotation (3, 3), the nearest to the matrices' mean; None where none is known."""
    known = rotations[np.isfinite(rotations).all(axis=(1, 2))]
    if not len(known):
        return None
    left, _, right = np.linalg.svd(known.mean(axis=0))
    return np.asarray(left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right)


def _angle_deg(one: FloatArray, other: FloatArray) -> float:
    return round(float(np.degrees(np.arccos(np.clip(one @ other, -1.0, 1.0)))), 2)
