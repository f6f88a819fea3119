"""People who walk with ideal sensors on, in schema form: what is compared, shown and plotted in the tests."""

import numpy as np
from raw_folders.bodies import walker
from scipy.spatial.transform import Rotation

from kinbench import kinematics, virtual_imu
from kinbench.recording import Key, Placement, Recording, angle_dataset, imu_dataset

SEGMENTS = ("pelvis", "thigh_r", "shank_r", "foot_r")
SIDES = {"pelvis": "midline"}
STRIDE_S = 1.1


def mounts(seed):
    return {
        segment: Rotation.random(random_state=100 * seed + index).as_matrix() for index, segment in enumerate(SEGMENTS)
    }


def walk(
    seed=0, *, dataset="lab", subject="S1", trial="walk", mount=0, known=True, rate_hz=100.0, length_s=22.0,
    stand_s=3.0, noise=(0.0, 0.0), names=None, segments=SEGMENTS, stride_s=STRIDE_S, reference=True, activity="walking",
):  # fmt: skip
    """A straight walk; ``mount`` turns every sensor in its own way, ``noise`` is (acc, gyr) per root Hz."""
    person = walker(seed, length_s=length_s, rate_hz=rate_hz, stand_s=stand_s, stride_s=stride_s, turn_deg=0.0)
    turns, random = mounts(mount), np.random.default_rng(seed)
    acc, gyr, placements = [], [], []
    for segment in segments:
        quat = kinematics.quaternions(person.rotation[segment] @ turns[segment])
        path = person.point(segment, (0.03, -0.1, 0.02))
        sd = np.asarray(noise) * np.sqrt(rate_hz / 2)
        acc.append(virtual_imu.specific_force(path, quat, rate_hz) + random.normal(0, 1, path.shape) * sd[0])
        gyr.append(virtual_imu.angular_rate(quat, rate_hz) + random.normal(0, 1, path.shape) * sd[1])
        placements.append(
            Placement(
                (names or {}).get(segment, segment), segment, SIDES.get(segment, "right"),
                rotation=turns[segment] if known else None, rotation_origin="declared" if known else "unknown",
            )
        )  # fmt: skip
    imu = imu_dataset(
        person.time,
        placements,
        {
            "acc": (np.stack(acc, 1), {"units": "m s-2", "kind": "specific_force", "frame": "sensor"}),
            "gyr": (np.stack(gyr, 1), {"units": "rad s-1", "frame": "sensor"}),
        },
    )
    dofs = ["hip_flexion_r", "knee_flexion_r"]
    angles = angle_dataset(
        person.time, dofs, np.stack([person.angles[dof] for dof in dofs], 1),
        units="deg", convention="isb_zxy", tier="simulation",
    )  # fmt: skip
    rate = {"nominal_hz": rate_hz, "measured_hz": rate_hz, "regular": True}
    key = Key(dataset, subject, "1", trial)
    return Recording(key, imu, angles if reference else None, {
        "schema_version": "1", "dataset": dataset, "dataset_version": "1", "subject": subject, "session": "1",
        "trial": trial, "person": key.person, "activity": activity,
        "licence": {"id": "CC0-1.0", "redistributable": True}, "rates": {"imu": rate, "reference": rate},
        "world": "Y up", "sync": {"method": "same_clock", "measured_shift_s": 0.0, "confident": True, "r": 0.99},
        "source": [{"name": f"{trial}.csv", "sha256": "0" * 64}], "adapter": {"name": "lab", "version": "1"},
        "history": [{"step": "read"}], "simulation": True,
    })  # fmt: skip
