"""Legs that walk with ideal sensors on, as filters are handed them, and what the segments truly do."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from raw_folders.bodies import walker

from kinbench import kinematics, virtual_imu, windows
from kinbench.recording import Placement, imu_dataset
from kinbench.schema import DOFS
from kinbench.tasks import Task

SIDES = {"r": "right", "l": "left"}
STEMS = (
    "hip_flexion", "hip_adduction", "hip_internal_rotation", "knee_flexion", "knee_adduction", "knee_internal_rotation",
    "ankle_dorsiflexion", "ankle_inversion", "ankle_internal_rotation",
)  # fmt: skip
RATE_HZ = 100.0
COORDINATES = {
    "hip_flexion": "hip_flexion", "hip_adduction": "hip_adduction", "hip_internal_rotation": "hip_rotation",
    "knee_flexion": "knee_angle", "ankle_dorsiflexion": "ankle_angle",
}  # fmt: skip
"""OpenSim's names of angles, without the leg."""


@dataclass(frozen=True)
class Walk:
    """``signals[segment]`` = (acc, gyr) in segment axes; ``rotation[segment]`` (n, 3, 3) to a world with Y up."""

    time_s: np.ndarray
    signals: dict
    rotation: dict

    def truth(self, dof):
        """One angle (n,) in degrees."""
        known = DOFS[dof]
        near, far = (kinematics.quaternions(self.rotation[name]) for name in (known.proximal, known.distal))
        return known.sign * kinematics.joint_angles(near, far)[:, known.component]


@cache
def walked(seed=0, *, length_s=24.0, turn_deg=0.0, legs="rl"):
    """A person who stands for three seconds and walks; sensors sit a little off the joints, in segment axes."""
    person = walker(seed, length_s=length_s, rate_hz=RATE_HZ, stand_s=3.0, turn_deg=turn_deg)
    segments = ["pelvis", *(f"{part}_{leg}" for leg in legs for part in ("thigh", "shank", "foot"))]
    signals = {}
    for name in segments:
        quat = kinematics.quaternions(person.rotation[name])
        path = person.point(name, (0.02, -0.1, 0.03))
        signals[name] = (
            virtual_imu.specific_force(path, quat, RATE_HZ), virtual_imu.angular_rate(quat, RATE_HZ)
        )  # fmt: skip
    return Walk(person.time, signals, {name: person.rotation[name] for name in segments})


def task(dofs, *, per_leg=False, rate_hz=RATE_HZ):
    stems = {"hip": ("pelvis", "thigh"), "knee": ("thigh", "shank"), "ankle": ("shank", "foot")}
    segments = []
    for dof in dofs:
        leg = "" if per_leg else dof[-2:]
        segments += [name if name == "pelvis" else f"{name}{leg}" for name in stems[dof.split("_")[0]]]
    return Task(
        name="toy-joints", version=1, title="Joints", segments=tuple(dict.fromkeys(segments)), channels=("acc", "gyr"),
        dofs=tuple(dofs), rate_hz=rate_hz, window=100, stride=50, per_leg=per_leg,
    )  # fmt: skip


def sensors(walk, *, mounts=None, known=True, quat=None, mag=None, names=None):
    """An imu stream; ``mounts[segment]`` (3, 3) turns a sensor's axes to its segment's."""
    mounts = mounts or {}
    placements, acc, gyr = [], [], []
    for name, (a, g) in walk.signals.items():
        if names is not None and name not in names:
            continue
        turn = mounts.get(name, np.eye(3))
        acc.append(a @ turn)
        gyr.append(g @ turn)
        side = SIDES.get(name[-1], "midline") if "_" in name else "midline"
        placements.append(
            Placement(
                name, name, side, rotation=turn if known else None, rotation_origin="declared" if known else "unknown"
            )
        )  # fmt: skip
    signals = {
        "acc": (np.stack(acc, 1), {"units": "m s-2", "kind": "specific_force", "frame": "sensor"}),
        "gyr": (np.stack(gyr, 1), {"units": "rad s-1", "frame": "sensor"}),
    }
    if quat is not None:
        turns = np.stack([quat(placement.sensor, mounts) for placement in placements], 1)
        signals["quat"] = (turns, {"units": "1", "maps": "sensor_to_world", "origin": "device"})
    if mag is not None:
        fields = np.stack([mag(placement.sensor, mounts) for placement in placements], 1)
        signals["mag"] = (fields, {"units": "1", "frame": "sensor"})
    return imu_dataset(walk.time_s, placements, signals)


def oriented(walk, turn=None):
    """A device's orientations, exact; ``turn(segment)`` (3, 3) turns the world of each."""

    def quat(segment, mounts):
        world = np.eye(3) if turn is None else turn(segment)
        return kinematics.quaternions(world @ walk.rotation[segment] @ mounts.get(segment, np.eye(3)))

    return quat


def stream(imu, dofs, leg="", **how):
    per_leg = bool(leg)
    return windows.stream_of(imu, {}, task(dofs, per_leg=per_leg, **how), leg)


def about_y(angle):
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])


def motion(path):
    """The names and the table of an OpenSim motion."""
    lines = path.read_text().splitlines()
    begin = lines.index("endheader") + 1
    rows = [[float(part) for part in line.split("\t")] for line in lines[begin + 1 :] if line.strip()]
    return lines[begin].split("\t"), np.array(rows)
