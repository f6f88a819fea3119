"""Where the sensors really sit, and what a real device makes of what it feels.

A sensor is strapped off the bone, centimetres and degrees away from where the laboratory believes it to be, rides on
skin and muscle that shift as the joints beside it bend and ring at every step, and has a bias, a gain and noise of its
own. Placement errors of 5 to 10 degrees are what the literature reports (for a review: Weygers et al., Sensors 20:673,
2020). Soft tissue is driven by the proximal and distal joint's angles, as Bonci et al. found it to be (J Biomech
47:2354-2361, 2014).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from kinbench.virtual_imu import angular_rate, on_segment, specific_force
from kinbench_adapters._simulation.chain import Body, Motion
from kinbench_adapters._simulation.gait import DOFS, Course

FloatArray = NDArray[np.float64]

DIRECTIONS: dict[str, tuple[int, int, int]] = {
    "anterior": (1, 0, 0), "posterior": (-1, 0, 0), "proximal": (0, 1, 0), "distal": (0, -1, 0),
    "right": (0, 0, 1), "left": (0, 0, -1),
}  # fmt: skip

_PLACEMENT_SD_DEG = 4.5
"""About each axis: 7 degrees in all on average."""
_PLACEMENT_SD_M = 0.012
_SKIN_SD_DEG = {"trunk": 0.02, "pelvis": 0.02, "thigh": 0.03, "shank": 0.02, "foot": 0.01}
"""Degrees about each axis that the skin turns, per degree that a neighbouring joint bends."""
_SKIN_SD_M = {"trunk": 2e-5, "pelvis": 3e-5, "thigh": 1e-4, "shank": 5e-5, "foot": 2e-5}
"""Metres along each axis that the skin slides, per degree."""
_NEIGHBOURS = {
    "trunk": ("trunk_rotation", "trunk_bending"),
    "pelvis": ("hip_flexion_r", "hip_flexion_l"),
    **{f"thigh_{letter}": (f"hip_flexion_{letter}", f"knee_flexion_{letter}") for letter in "rl"},
    **{f"shank_{letter}": (f"knee_flexion_{letter}", f"ankle_dorsiflexion_{letter}") for letter in "rl"},
    **{f"foot_{letter}": (f"ankle_dorsiflexion_{letter}",) for letter in "rl"},
}
_IMPACT_M = {"trunk": 0.00008, "pelvis": 0.00015, "thigh": 0.0003, "shank": 0.0005, "foot": 0.0008}
_IMPACT_HZ, _IMPACT_DECAY_S, _IMPACT_ONSET_S = 15.0, 0.03, 0.008


@dataclass(frozen=True)
class Mount:
    """A place for a sensor, as the laboratory's protocol has it.

    ``axes`` names where two sensor axes point on the segment; ``pitch_deg`` turns them about the segment's Z.
    ``along`` is the distance from the proximal joint as a share of the segment's length (of the trunk: from the
    lumbar joint up); ``off_m`` the way from the bone to the skin, in segment axes.
    """

    sensor: str
    segment: str
    site: str
    axes: Mapping[str, str]
    along: float
    off_m: tuple[float, float, float]
    pitch_deg: float = 0.0

    @property
    def rotation(self) -> FloatArray:
        """The nominal (3, 3) rotation from sensor to segment axes."""
        column = {name: np.array(DIRECTIONS[way], dtype=np.float64) for name, way in self.axes.items()}
        for third, first, second in (("x", "y", "z"), ("y", "z", "x"), ("z", "x", "y")):
            if third not in column:
                column[third] = np.cross(column[first], column[second])
        pitch = Rotation.from_euler("Z", self.pitch_deg, degrees=True).as_matrix()
        return np.asarray(pitch @ np.stack([column[axis] for axis in "xyz"], axis=1), dtype=np.float64)


@dataclass(frozen=True)
class Device:
    """What a make of sensor adds: standard deviations of bias and of noise per sample, and of the gain."""

    acc_bias: float
    acc_noise: float
    gyr_bias: float
    gyr_noise: float
    gain: float


@dataclass(frozen=True)
class Seat:
    """How one sensor really sits on one person: (3, 3) sensor to segment, place (3,) m, and how its skin moves.

    ``skin`` (joint, 6) is what one degree of each neighbouring joint does: three turns in rad, three ways in m.
    """

    mount: Mount
    rotation: FloatArray
    offset_m: FloatArray
    skin: FloatArray


@dataclass(frozen=True)
class Reading:
    """What one sensor felt: acc (n, 3) m s-2, gyr (n, 3) rad s-1, orientation (n, 4) sensor to world."""

    acc: FloatArray
    gyr: FloatArray
    orientation: FloatArray


def draw_seat(random: np.random.RandomState, mount: Mount, body: Body) -> Seat:
    """Return how a sensor comes to sit on a person."""
    stem = mount.segment.split("_")[0]
    ups = {"trunk": 1.0}.get(stem, -1.0)
    direction = np.array([1.0, 0, 0]) if stem == "foot" else np.array([0, ups, 0])
    nominal = mount.along * body.length_m[stem] * direction + np.asarray(mount.off_m)
    error = Rotation.from_rotvec(np.deg2rad(_PLACEMENT_SD_DEG) * random.normal(size=3)).as_matrix()
    spread = np.array([np.deg2rad(_SKIN_SD_DEG[stem])] * 3 + [_SKIN_SD_M[stem]] * 3)
    return Seat(
        mount=mount,
        rotation=error @ mount.rotation,
        offset_m=nominal + _PLACEMENT_SD_M * random.normal(size=3),
        skin=spread * random.normal(size=(len(_NEIGHBOURS[mount.segment]), 6)),
    )


def feel(seat: Seat, motion: Motion, course: Course) -> Reading:
    """Return what an ideal sensor on that seat feels, at the course's rate."""
    segment = seat.mount.segment
    bent = course.angles[:, [DOFS.index(name) for name in _NEIGHBOURS[segment]]]
    skin = (bent - bent[0]) @ seat.skin
    offset = seat.offset_m + skin[:, 3:]
    offset[:, 1] += _impacts(segment, course)
    rotation = Rotation.from_rotvec(skin[:, :3]).as_matrix() @ seat.rotation
    position, orientation = on_segment(
        motion.position[segment], motion.turn[segment].as_quat(scalar_first=True), offset, rotation
    )
    return Reading(
        specific_force(position, orientation, course.rate_hz), angular_rate(orientation, course.rate_hz), orientation
    )


def sample(random: np.random.RandomState, reading: Reading, device: Device, start: int, every: int) -> Reading:
    """Return what the device puts out: averaged over each of its samples, with bias, gain and noise.

    Sample k stands at ``start + k * every`` of the reading's samples; each is the mean over one output interval
    around it, as strap-down integration on board gives.
    """
    weights = np.ones(every + 1)
    weights[[0, -1]] = 0.5
    rows = np.arange(start, len(reading.acc) - every, every)
    window = rows[:, None] + np.arange(-(every // 2), every // 2 + 1)
    acc, gyr = ((weights / every) @ values[window] for values in (reading.acc, reading.gyr))
    n = len(rows)
    gain = 1 + device.gain * random.normal(size=6)
    acc = acc * gain[:3] + device.acc_bias * random.normal(size=3) + device.acc_noise * random.normal(size=(n, 3))
    gyr = gyr * gain[3:] + device.gyr_bias * random.normal(size=3) + device.gyr_noise * random.normal(size=(n, 3))
    return Reading(acc, gyr, reading.orientation[rows])


def _impacts(segment: str, course: Course) -> FloatArray:
    """Return the ringing of a segment after each heel contact, (n,) m along its Y axis."""
    stem, _, letter = segment.partition("_")
    blows = np.zeros(len(course.time))
    for side, lead in (("r", 0.0), ("l", 0.5)):
        if letter in ("", side):
            contact = 1 + np.flatnonzero(np.diff(np.floor(course.phase + lead)) > 0)
            blows[contact] += course.effort[contact]
    t = np.arange(int(0.25 * course.rate_hz)) / course.rate_hz
    ring = np.sin(2 * np.pi * _IMPACT_HZ * t) * np.exp(-t / _IMPACT_DECAY_S) * (1 - np.exp(-t / _IMPACT_ONSET_S))
    return np.asarray(_IMPACT_M[stem] * np.convolve(blows, ring)[: len(blows)], dtype=np.float64)
