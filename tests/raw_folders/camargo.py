"""The folders of Camargo et al. (2021) as users describe them: people who never lived, with the quirks that are known.

The tables are MATLAB ``table`` objects in files of version 7, which mat-io writes; MATLAB wrote none of them.
"""

import warnings

import numpy as np
import pandas as pd
from kinbench_adapters._camargo.sensors import PLACES, READINGS

from kinbench import kinematics
from kinbench.schema import GRAVITY
from kinbench.virtual_imu import angular_rate, on_segment, specific_force
from tests.raw_folders.bodies import walker

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import matio

RATE_HZ = 200.0
STARTS_S = 3.215
"""``Header`` does not begin at zero."""
DATE = "10_09_18"
SITES = {"trunk": (0.1, 0.35, 0.0), "thigh": (0.07, -0.25, 0.0), "shank": (0.05, -0.2, 0.0), "foot": (0.08, 0.03, 0.0)}
ON_FOOT = kinematics.rotations_from_vectors([0.0, 0.0, -1.0]) @ READINGS["x down"]
"""Sensor to segment on the instep: not published, made up here."""
OPENSIM = {
    "hip_flexion": ("hip_flexion", 1), "hip_adduction": ("hip_adduction", 1),
    "hip_rotation": ("hip_internal_rotation", 1), "knee_angle": ("knee_flexion", -1),
    "ankle_angle": ("ankle_dorsiflexion", 1),
}  # fmt: skip
OFFSET_DEG = 2.5


def write(
    folder, *, people=2, length_s=8.0, trials=("treadmill_01_01",), people_at_root=True, **quirks
):  # fmt: skip
    """Write the folder and return it; ``quirks`` are those of ``tables``."""
    subjects = [f"AB{number:02d}" for number in range(6, 6 + people)]
    for subject in subjects:
        for trial in trials:
            body = performance(subject, trial, length_s)
            mode = trial.partition("_")[0].lower()
            for what, variables in tables(body, trial, **quirks).items():
                place = folder / subject / DATE / mode / what
                place.mkdir(parents=True, exist_ok=True)
                save(place / f"{trial}.mat", variables)
        (folder / subject / "osimxml").mkdir(exist_ok=True)
    save((folder if people_at_root else folder / subjects[0]) / "SubjectInfo.mat", {"data": info(subjects)})
    return folder


def save(path, variables):
    matio.save_to_mat(str(path), variables, version="v7")


def performance(subject, trial, length_s=8.0):
    """The walker who did this trial."""
    return walker(7 * int(subject[2:]) + len(trial), length_s=length_s, rate_hz=RATE_HZ, stand_s=2.0, turn_deg=0.0)


def tables(
    body, trial, *, acc_scale=1.0, gyr_scale=1.0, knee=-1.0, angle_scale=1.0, turned=None, inches=9.2, late=0,
    without=(), lost=slice(300, 305),
):  # fmt: skip
    """Every file's variables. ``turned`` (3, 3) turns the sensors on the limb and trunk from where they were."""
    header = STARTS_S + body.time
    found = {
        "imu": {"data": imu(body, header, acc_scale, gyr_scale, turned, lost).iloc[late:]},
        "ik": {"data": angles(body, header, knee, angle_scale, 0.0)},
        "ik_offset": {"data": angles(body, header, knee, angle_scale, OFFSET_DEG)},
        "gcRight": {"data": cycles(header)},
        "conditions": conditions(header, trial, inches),
    }
    return {what: variables for what, variables in found.items() if what not in without}


def imu(body, header, acc_scale=1.0, gyr_scale=1.0, turned=None, lost=slice(0, 0)):
    random = np.random.RandomState(1)
    columns = {"Header": header}
    for name, (segment, *_) in PLACES.items():
        rotation = ON_FOOT if name == "foot" else READINGS["x down"] if turned is None else READINGS["x down"] @ turned
        turn = kinematics.quaternions(body.rotation[segment])
        position, orientation = on_segment(body.position[segment], turn, np.array(SITES[name]), rotation)
        acc = specific_force(position, orientation, RATE_HZ) / GRAVITY + random.normal(0, 0.003, (len(turn), 3))
        gyr = angular_rate(orientation, RATE_HZ) + random.normal(0, 0.005, (len(turn), 3))
        acc[lost] = np.nan
        for kind, values in (("Accel", acc * acc_scale), ("Gyro", gyr * gyr_scale)):
            columns |= {f"{name}_{kind}_{axis}": values[:, place] for place, axis in enumerate("XYZ")}
    return pd.DataFrame(columns)


def angles(body, header, knee=-1.0, scale=1.0, offset_deg=0.0):
    columns = {"Header": header}
    columns |= {name: body.angles[name] * scale for name in ("pelvis_tilt", "pelvis_list", "pelvis_rotation")}
    columns |= {f"pelvis_t{axis}": body.position["pelvis"][:, place] for place, axis in enumerate("xyz")}
    for letter in "rl":
        for theirs, (ours, sign) in OPENSIM.items():
            value = body.angles[f"{ours}_{letter}"] * (knee if theirs == "knee_angle" else sign)
            columns[f"{theirs}_{letter}"] = value * scale + offset_deg
        columns[f"subtalar_angle_{letter}"] = np.zeros(len(header))
    return pd.DataFrame(columns)


def cycles(header):
    """A count from 0 to 100 that begins again every 1.1 s, and one for the foot leaving the ground."""
    phase = (header - header[0]) / 1.1
    return pd.DataFrame({"Header": header, "HeelStrike": 100 * (phase % 1), "ToeOff": 100 * ((phase - 0.62) % 1)})


def conditions(header, trial, inches):
    """Belt speeds on the treadmill, labels elsewhere, at 1000 Hz; a ramp's slope and a stair's height."""
    time = np.arange(header[0], header[-1], 1e-3)
    share = (time - time[0]) / (time[-1] - time[0])
    mode = trial.partition("_")[0].lower()
    if mode == "treadmill":
        return {"speed": pd.DataFrame({"Header": time, "Speed": np.where(share < 0.2, 5 * share, 1.0)})}
    words = np.where(share < 0.25, "idle", np.where(share < 0.5, "walk-rampascent", "rampascent"))
    found = {"labels": pd.DataFrame({"Header": time, "Label": words.astype(object)})}
    if mode in ("ramp", "stair"):
        found["rampIncline" if mode == "ramp" else "stairHeight"] = np.array([[inches]])
    return found


def info(subjects):
    count = len(subjects)
    return pd.DataFrame(
        {
            "Subject": np.array(subjects, dtype=object), "Age": np.arange(20.0, 20 + count),
            "Gender": np.array(["M", "F"] * count, dtype=object)[:count], "Height": np.full(count, 1.7),
            "Weight": np.full(count, 70.0),
        }
    )  # fmt: skip
