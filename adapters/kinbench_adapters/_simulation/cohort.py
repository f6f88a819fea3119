"""The people, the two laboratories, and what happens in a trial. Nothing here writes a file.

The laboratories disagree where real ones do: rate, sensor axes and sites, device, clocks, pace and style of walking,
and what each person's static trial made the zero of every joint (the reference is not the truth either).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from kinbench_adapters._simulation import gait
from kinbench_adapters._simulation.chain import Body, angles_of, draw_body, move
from kinbench_adapters._simulation.gait import Style, Walk, draw_style, smooth_noise
from kinbench_adapters._simulation.mounting import Device, Mount, Reading, Seat, draw_seat, feel, sample

FloatArray = NDArray[np.float64]

SEED = 20250114
VERSION = "1"
"""Together the cohort's identity: other people, or the same walking otherwise, are another version."""

OVERSAMPLING = 2
"""The motion is computed at twice a device's rate, and averaged down as a device does."""

_ZERO_SD_DEG = 3.0
"""What a reference's zero pose is off by, per person and DoF (McGinley et al., Gait Posture 29:360-369, 2009:
2 to 5 degrees between sessions and laboratories)."""
_REFERENCE_NOISE_DEG, _REFERENCE_NOISE_S = 0.5, 0.1

_LATERAL_R = {"x": "proximal", "y": "anterior"}
_LATERAL_L = {"x": "proximal", "y": "posterior"}
HALL_MOUNTS = (
    Mount("pelvis_imu", "pelvis", "sacrum", {"x": "proximal", "y": "right"}, 0.0, (-0.10, 0.02, 0.0)),
    Mount("torso_imu", "trunk", "posterior", {"x": "proximal", "y": "right"}, 0.6, (-0.10, 0.0, 0.0)),
    Mount("femur_r_imu", "thigh_r", "lateral", _LATERAL_R, 0.5, (0.0, 0.0, 0.08)),
    Mount("tibia_r_imu", "shank_r", "lateral", _LATERAL_R, 0.45, (0.0, 0.0, 0.05)),
    Mount("calcn_r_imu", "foot_r", "dorsum", {"x": "left", "z": "distal"}, 0.6, (0.0, -0.02, 0.0), -30.0),
    Mount("femur_l_imu", "thigh_l", "lateral", _LATERAL_L, 0.5, (0.0, 0.0, -0.08)),
    Mount("tibia_l_imu", "shank_l", "lateral", _LATERAL_L, 0.45, (0.0, 0.0, -0.05)),
    Mount("calcn_l_imu", "foot_l", "dorsum", {"x": "right", "z": "distal"}, 0.6, (0.0, -0.02, 0.0), -30.0),
)
CORRIDOR_MOUNTS = (
    Mount("TRK", "trunk", "sternum", {"x": "distal", "y": "right"}, 0.7, (0.11, 0.0, 0.0)),
    Mount("PEL", "pelvis", "sacrum", {"x": "right", "y": "proximal"}, 0.0, (-0.11, 0.0, 0.0)),
    Mount("THR", "thigh_r", "anterior", {"x": "distal", "z": "anterior"}, 0.6, (0.08, 0.0, 0.0)),
    Mount("THL", "thigh_l", "anterior", {"x": "proximal", "z": "anterior"}, 0.6, (0.08, 0.0, 0.0)),
    Mount("SHR", "shank_r", "anterior", {"y": "distal", "z": "anterior"}, 0.3, (0.05, 0.0, 0.0)),
    Mount("SHL", "shank_l", "anterior", {"y": "proximal", "z": "anterior"}, 0.3, (0.05, 0.0, 0.0)),
    Mount("FTR", "foot_r", "heel", {"x": "proximal", "z": "posterior"}, 0.0, (-0.05, -0.03, 0.0)),
    Mount("FTL", "foot_l", "heel", {"x": "proximal", "z": "posterior"}, 0.0, (-0.05, -0.03, 0.0)),
)


@dataclass(frozen=True)
class Laboratory:
    """One simulated laboratory and its habits."""

    dataset: str
    number: int
    subjects: tuple[str, ...]
    trials: tuple[str, ...]
    rate_hz: float
    reference_rate_hz: float
    mounts: tuple[Mount, ...]
    device: Device
    plan: Walk
    stride_s: float
    amplitude: float
    imu_start_s: tuple[float, float]
    reference_start_s: tuple[float, float]


HALL = Laboratory(
    dataset="simulated-a",
    number=1,
    subjects=tuple(f"Subject{n:02d}" for n in range(1, 7)),
    trials=("walking",),
    rate_hz=100.0,
    reference_rate_hz=100.0,
    mounts=HALL_MOUNTS,
    device=Device(acc_bias=0.04, acc_noise=0.02, gyr_bias=0.004, gyr_noise=0.004, gain=0.002),
    plan=Walk(length_s=108.0, stand_s=7.0, turn_deg=180.0, straight_s=(9.0, 13.0), pace=1.0),
    stride_s=1.06,
    amplitude=1.0,
    imu_start_s=(0.1, 0.6),
    reference_start_s=(1.5, 4.5),
)
"""A gait hall: brisk, to and fro, sensors on lateral straps, 100 Hz; the cameras start seconds after the sensors."""

CORRIDOR = Laboratory(
    dataset="simulated-b",
    number=2,
    subjects=tuple(f"P{n:02d}" for n in range(1, 7)),
    trials=("walk1", "walk2"),
    rate_hz=60.0,
    reference_rate_hz=60.0,
    mounts=CORRIDOR_MOUNTS,
    device=Device(acc_bias=0.08, acc_noise=0.08, gyr_bias=0.015, gyr_noise=0.012, gain=0.005),
    plan=Walk(length_s=58.0, stand_s=7.5, turn_deg=-90.0, straight_s=(6.0, 9.0), pace=0.95),
    stride_s=1.24,
    amplitude=0.88,
    imu_start_s=(0.8, 1.6),
    reference_start_s=(0.1, 2.4),
)
"""A corridor with corners: slow, shorter steps, small cheap sensors in front, 60 Hz; either clock may start first."""

LABORATORIES = (HALL, CORRIDOR)


@dataclass(frozen=True)
class Person:
    """One simulated human being in one laboratory, and what the reference takes for this person's zero."""

    laboratory: Laboratory
    subject: str
    body: Body
    style: Style
    seats: tuple[Seat, ...]
    zero_deg: Mapping[str, float]


@dataclass(frozen=True)
class Trial:
    """One recording before any vendor's format: two streams on two clocks that both start at zero.

    ``readings`` in the order of the laboratory's mounts, SI units; ``angles`` in the schema's names, signs and
    degrees; ``offset_s`` is where the reference's zero lies on the imu's clock.
    """

    person: Person
    trial: str
    readings: tuple[Reading, ...]
    reference_time: FloatArray
    angles: Mapping[str, FloatArray]
    pelvis_m: FloatArray
    offset_s: float

    @property
    def key(self) -> str:
        """The recording's key as it prints."""
        return key(self.person.laboratory, self.person.subject, self.trial)


@dataclass(frozen=True)
class Truth:
    """What was planted in one recording and stands in none of its files.

    ``offset_s``: start of the reference on the imu's clock. ``rotations``: per sensor, as it stands, (3, 3) sensor to
    segment axes. ``zero_deg``: what the reference adds to each true angle.
    """

    offset_s: float
    rotations: Mapping[str, FloatArray]
    zero_deg: Mapping[str, float]


def truths() -> dict[str, Truth]:
    """Return what was planted, by recording key."""
    return {
        key(person.laboratory, person.subject, trial): Truth(
            offset_s=offset_s(person, trial),
            rotations={seat.mount.sensor: seat.rotation for seat in person.seats},
            zero_deg=person.zero_deg,
        )
        for person in people()
        for trial in person.laboratory.trials
    }


def key(laboratory: Laboratory, subject: str, trial: str) -> str:
    """Return the key under which a trial is to be found in a store."""
    return f"{laboratory.dataset}/{subject}/1/{trial}"


def people() -> Iterator[Person]:
    """Yield everybody, laboratory by laboratory."""
    for laboratory in LABORATORIES:
        for index, subject in enumerate(laboratory.subjects):
            yield draw_person(laboratory, index, subject)


def draw_person(laboratory: Laboratory, index: int, subject: str) -> Person:
    """Return one person: the same for ever for the same seed."""
    random = _random(laboratory.number, index, 0)
    body = draw_body(random)
    style = draw_style(random, stride_s=laboratory.stride_s, amplitude=laboratory.amplitude)
    return Person(
        laboratory=laboratory,
        subject=subject,
        body=body,
        style=style,
        seats=tuple(draw_seat(random, mount, body) for mount in laboratory.mounts),
        zero_deg={name: _ZERO_SD_DEG * float(random.normal()) for name in gait.DOFS if not name.startswith("trunk")},
    )


def clocks(person: Person, trial: str) -> tuple[int, float]:
    """Return when the sensors start, as a sample of the motion, and when the reference does, in seconds of it."""
    laboratory = person.laboratory
    random = _random(laboratory.number, laboratory.subjects.index(person.subject), 1, laboratory.trials.index(trial))
    start = round(random.uniform(*laboratory.imu_start_s) * OVERSAMPLING * laboratory.rate_hz)
    return start, float(random.uniform(*laboratory.reference_start_s))


def offset_s(person: Person, trial: str) -> float:
    """Return the start of the reference on the imu's clock, seconds."""
    start, reference_start_s = clocks(person, trial)
    return reference_start_s - start / (OVERSAMPLING * person.laboratory.rate_hz)


def capture(person: Person, trial: str, length_s: float | None = None) -> Trial:
    """Return one trial: walk, carry the sensors along, and look at it with the cameras.

    ``length_s`` overrides the laboratory's plan; clocks and people stay as they are.
    """
    laboratory = person.laboratory
    plan = laboratory.plan if length_s is None else replace(laboratory.plan, length_s=length_s)
    index, which = laboratory.subjects.index(person.subject), laboratory.trials.index(trial)
    random = _random(laboratory.number, index, 2, which)
    course = gait.walk(random, person.style, plan, OVERSAMPLING * laboratory.rate_hz)
    motion = move(person.body, course)
    start, reference_start_s = clocks(person, trial)
    readings = tuple(
        sample(random, feel(seat, motion, course), laboratory.device, start, OVERSAMPLING) for seat in person.seats
    )
    seen_s = plan.length_s - reference_start_s - random.uniform(0.2, 0.8)
    time = np.arange(int(seen_s * laboratory.reference_rate_hz)) / laboratory.reference_rate_hz
    truth = angles_of(course, motion)
    noise = _REFERENCE_NOISE_DEG * smooth_noise(random, time, len(truth), _REFERENCE_NOISE_S)
    seen = CubicSpline(course.time, np.stack([*truth.values(), *motion.position["pelvis"].T], axis=1))(
        time + reference_start_s
    )
    return Trial(
        person=person,
        trial=trial,
        readings=readings,
        reference_time=time,
        angles={name: seen[:, column] + person.zero_deg[name] + noise[:, column] for column, name in enumerate(truth)},
        pelvis_m=seen[:, -3:],
        offset_s=offset_s(person, trial),
    )


def _random(*path: int) -> np.random.RandomState:
    return np.random.RandomState([SEED, *path])
