"""A fake raw folder in the OpenSense study's layouts: MT Manager text, a mapping, marker plates and inverse kinematics.

Eight sensors on plates ride on a simulated walker. The sensors' world lies at a heading to the cameras', their clock
starts earlier by an odd number of milliseconds, and every quirk of the real folders is a switch. ``truth`` tells what
was planted.
"""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from kinbench_adapters._formats.mt_manager import MATRIX
from kinbench_adapters._formats.opensim import write_sto
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation, RotationSpline

from kinbench.virtual_imu import angular_rate, on_segment, specific_force
from raw_folders.bodies import walker

HEADER = """// Start Time: Unknown
// Update Rate: {rate:.1f}Hz
// Filter Profile: human (46.1)
// Option Flags: AHS Disabled ICC Disabled\x20
// Firmware Version: 4.0.2
"""
CLOCKS = ("SampleTimeFine", "Year", "Month", "Day", "Second", "UTC_Nano", "UTC_Year", "UTC_Month", "UTC_Day",
          "UTC_Hour", "UTC_Minute", "UTC_Second", "UTC_Valid")  # fmt: skip
COLUMNS = (*(f"{signal}_{axis}" for signal in ("Acc", "Gyr", "Mag") for axis in "XYZ"), *MATRIX)
ENU_FROM_Y_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
FIELD = np.array([0.42, 0.0, -0.91])
PREFIX = "MT_012005D6_009-001"

LATERAL_R = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, -1]])
LATERAL_L = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
POSTERIOR = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
DORSUM_R = np.array([[0.0, 1, 0], [0, 0, -1], [-1, 0, 0]])
DORSUM_L = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
"""Sensor axes to segment axes: up the segment by x (feet: down by z), as the study has them."""

SENSORS = {
    "torso_imu": ("trunk", "00B42268", POSTERIOR, (-0.10, 0.3, 0.0), "Back"),
    "pelvis_imu": ("pelvis", "00B42279", POSTERIOR, (-0.10, 0.02, 0.0), "Pelvis"),
    "femur_r_imu": ("thigh_r", "00B4227C", LATERAL_R, (0.0, -0.2, 0.08), "R.Femur"),
    "tibia_r_imu": ("shank_r", "00B4227D", LATERAL_R, (0.0, -0.2, 0.05), "R.Tibia"),
    "calcn_r_imu": ("foot_r", "00B421EF", DORSUM_R, (0.1, -0.03, 0.0), "R.Foot"),
    "femur_l_imu": ("thigh_l", "00B421EE", LATERAL_L, (0.0, -0.2, -0.08), "L.Femur"),
    "tibia_l_imu": ("shank_l", "00B421ED", LATERAL_L, (0.0, -0.2, -0.05), "L.Tibia"),
    "calcn_l_imu": ("foot_l", "00B421E6", DORSUM_L, (0.1, -0.03, 0.0), "L.Foot"),
}
"""Model frame -> segment, serial number, nominal mounting, place in segment axes (m), the plate's name."""

CORNERS = {"O": (0.0, 0.0, 0.0), "X": (0.09, 0.0, 0.0), "Y": (0.0, 0.06, 0.0), "D": (0.08, 0.05, 0.012),
           "5": (0.05, -0.02, 0.01)}  # fmt: skip
SQUARE = {**CORNERS, "X": (0.08, 0.0, 0.0), "Y": (0.0, 0.08, 0.0), "D": (0.08, 0.08, 0.0)}
NUMBERS = {"O": "3", "X": "2", "Y": "4", "D": "1", "5": "5"}
IK = {"pelvis_tilt": "pelvis_tilt", "pelvis_list": "pelvis_list", "pelvis_rotation": "pelvis_rotation"} | {
    f"{theirs}_{side}": f"{ours}_{side}"
    for side in "rl"
    for theirs, ours in (
        ("hip_flexion", "hip_flexion"), ("hip_adduction", "hip_adduction"),
        ("hip_rotation", "hip_internal_rotation"), ("knee_angle", "knee_flexion"),
        ("ankle_angle", "ankle_dorsiflexion"),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Quirks:
    """What is wrong with a folder; the defaults are a clean one of the original layout.

    ``imu_rate_hz`` is the true rate and ``header_hz`` what the header says; ``turned`` turns a sensor's case (a
    rotation in its own axes, by frame); ``swapped_corners`` (base, two corners, first and last frame);
    ``exchanged_feet`` gives each foot's plate the other's name; ``hidden`` (base, corner, first, last) frames.
    """

    layout: str = "study"
    trial: str = "walking"
    units: str = "mm"
    written_units: str | None = None
    numbered: bool = False
    frames_as_labels: bool = False
    zeros: bool = False
    imu_rate_hz: float = 100.0
    header_hz: float | None = None
    heading_deg: float = 63.0
    drift_deg_per_min: float = 0.0
    early_s: float = 1.237
    unmapped: tuple = ()
    turned: dict = field(default_factory=dict)
    comments: bool = False
    white_space: bool = False
    shifted: tuple = ()
    first_packet: int = 472
    short: dict = field(default_factory=dict)
    swapped_corners: tuple = ()
    square: bool = False
    exchanged_feet: bool = False
    hidden: tuple = ()
    ik: bool = True
    imu_ik: bool = True
    marker_noise_mm: float = 0.2
    offset_lab_deg: float = 0.0


@dataclass(frozen=True)
class Truth:
    """What was planted: where the cameras' zero lies on the sensors' clock, and each sensor's case on its segment."""

    person: object
    shift_s: float
    sensor_to_segment: dict
    reference_time: np.ndarray


def write(folder, *, people=1, length_s=30.0, seed=0, first_subject=1, **quirks) -> Path:
    """Write ``people`` trials below ``folder`` and return it; ``quirks`` are the fields of ``Quirks``."""
    for number in range(first_subject, first_subject + people):
        write_trial(folder, f"Subject{number:02d}", length_s=length_s, seed=seed + number, **quirks)
    return Path(folder)


def write_trial(folder, subject="Subject01", *, length_s=30.0, seed=1, stand_s=5.0, **quirks) -> Truth:
    """Write one trial in either layout and return what was planted in it."""
    q = Quirks(**quirks)
    random = np.random.default_rng(seed)
    person, time, seen = _course(seed, length_s, stand_s, q.early_s)
    home = Path(folder) / subject / q.trial
    study = q.layout == "study"
    imu = home / "IMU" if study else home
    texts = imu / ("xsens/LowerExtremity" if study else "imu data")
    texts.mkdir(parents=True, exist_ok=True)
    cases, plates, rides = {}, {}, {}
    for frame, (segment, _, nominal, offset, _) in SENSORS.items():
        misplaced = Rotation.from_rotvec(np.radians(5.0) * random.normal(size=3)).as_matrix()
        turned = q.turned.get(frame, Rotation.identity()).as_matrix()
        cases[frame] = misplaced @ nominal @ turned
        plates[frame] = Rotation.random(random_state=int(random.integers(2**31))).as_matrix()
        rides[frame] = on_segment(
            person.position[segment], Rotation.from_matrix(person.rotation[segment]).as_quat(scalar_first=True),
            offset, cases[frame],
        )  # fmt: skip
    _write_sensors(q, random, texts, person, rides)
    _write_mapping(q, imu)
    table = _markers(q, random, seen, cases, plates, len(time))
    mocap = home / "Mocap" if study else home
    mocap.mkdir(parents=True, exist_ok=True)
    write_trc(mocap / f"{q.trial}.trc", table, time - q.early_s, q.written_units or q.units)
    if study:
        write_trc(mocap / f"static_{q.trial}.trc", {n: v[:100] for n, v in table.items()}, time[:100], q.units)
        if q.ik:
            _write_ik(mocap / f"ikResults/{q.trial}_IK.mot", person, time, q.early_s)
        if q.imu_ik:
            _write_ik(imu / f"xsens/IKResults/IKWithErrorsUniformWeights/{q.trial}_IK.mot", person, time, 0, knee=99.0)
    else:
        (home / "madgwick (al borno)").mkdir()
    first_packet_s = round(person.rate_hz / q.imu_rate_hz) / person.rate_hz
    return Truth(person, q.early_s - first_packet_s, cases, time)


# --- the sensors -----------------------------------------------------------------------------------------------------


def _write_sensors(q, random, folder, person, rides):
    """MT Manager text: each row the mean over one packet's time around it, as strap-down integration gives."""
    every = round(person.rate_hz / q.imu_rate_hz)
    heading = q.heading_deg + q.drift_deg_per_min * person.time / 60
    world = ENU_FROM_Y_UP @ Rotation.from_euler("y", -heading[:, None], degrees=True).as_matrix()
    for frame, (_, serial, *_) in SENSORS.items():
        position, quat = rides[frame]
        acc, gyr = specific_force(position, quat, person.rate_hz), angular_rate(quat, person.rate_hz)
        earth = world @ Rotation.from_quat(quat, scalar_first=True).as_matrix()
        rows = np.arange(every, len(acc) - every, every)
        window = rows[:, None] + np.arange(-(every // 2), every // 2 + 1)
        weights = np.ones(window.shape[1])
        weights[[0, -1]] /= 2 - every % 2
        weights /= weights.sum()
        felt = [np.einsum("w,nwk->nk", weights, values[window]) for values in (acc, gyr)]
        felt[0] = felt[0] + 0.02 * random.normal(size=felt[0].shape)
        felt[1] = felt[1] + 0.004 * random.normal(size=felt[1].shape) + 0.002 * random.normal(size=3)
        mag = np.einsum("nij,i->nj", earth[rows], FIELD)
        matrix = np.swapaxes(earth[rows], 1, 2).reshape(len(rows), 9)
        table = np.column_stack([*felt, mag, matrix])
        if frame in q.shifted:
            table = np.column_stack([table[:, :8], matrix, np.full(len(table), np.nan)])
        counter = (q.first_packet + np.arange(len(rows))) % 2**16
        keep = slice(q.short.get(frame, 0), None)
        text = HEADER.format(rate=q.header_hz or q.imu_rate_hz)
        text += "\t".join(("PacketCounter", *CLOCKS, *COLUMNS)) + "\n"
        line = "%05d" + "\t" * len(CLOCKS) + "\t%.6f" * table.shape[1] + "\n"
        text += _formatted(line, np.column_stack([counter, table])[keep]).replace("nan", "NaN")
        (folder / f"{PREFIX}_{serial}.txt").write_text(text, newline="\n")


def _write_mapping(q, folder):
    pad = "  " if q.white_space else ""
    sensors = "\n".join(
        f'\t\t\t<ExperimentalSensor name="{pad}_{serial}{pad}">\n'
        f"\t\t\t\t<!--The name of the frame in the model.-->\n"
        f"\t\t\t\t<name_in_model>{pad}{frame}{pad}</name_in_model>\n\t\t\t</ExperimentalSensor>"
        for frame, (_, serial, *_) in SENSORS.items()
        if frame not in q.unmapped
    )
    if q.comments:
        sensors += (
            '\n<!-- <ExperimentalSensor name="_00B42999"> <!-- the old one --> <name_in_model>pelvis_imu'
            "</name_in_model></ExperimentalSensor> -->"
        )
    (folder / f"myIMUMappings_{q.trial}.xml").write_text(
        f'<?xml version="1.0" encoding="UTF-8" ?>\n<OpenSimDocument Version="40000">\n\t<XsensDataReaderSettings>\n'
        f"\t\t<!--Name of trial (Common prefix of txt files representing trial).-->\n"
        f"\t\t<trial_prefix>{pad}{PREFIX}{pad}</trial_prefix>\n\t\t<ExperimentalSensors>\n{sensors}\n"
        f"\t\t</ExperimentalSensors>\n\t</XsensDataReaderSettings>\n</OpenSimDocument>\n"
    )


# --- the cameras -----------------------------------------------------------------------------------------------------


@cache
def _course(seed, length_s, stand_s, early_s):
    """A person, the cameras' instants on that person's clock, and each segment's place and turn then."""
    person = walker(seed, length_s=length_s, rate_hz=200.0, stand_s=stand_s)
    time = np.arange(early_s, person.time[-1], 0.01)
    seen = {
        segment: (
            CubicSpline(person.time, person.position[segment])(time),
            RotationSpline(person.time, Rotation.from_matrix(person.rotation[segment]))(time).as_matrix(),
        )
        for segment in person.position
    }
    return person, time, seen


def _markers(q, random, seen, cases, plates, frames):
    """Every plate's corners (n, 3), in the unit, by label; ``plates`` are plate axes in sensor axes."""
    scale = {"m": 1.0, "mm": 1e3}[q.units]
    table = {"R.ASIS": np.zeros((frames, 3)), "C7": np.ones((frames, 3)) * scale}
    for frame, (segment, _, _, offset, base) in SENSORS.items():
        place, turn = seen[segment]
        corners = [c for c in CORNERS if c != "5" or segment.endswith("_l")]
        values = {
            corner: place
            + turn @ (offset + cases[frame] @ plates[frame] @ np.asarray((SQUARE if q.square else CORNERS)[corner]))
            + q.marker_noise_mm * 1e-3 * random.normal(size=place.shape)
            for corner in corners
        }
        if q.exchanged_feet and base.endswith("Foot"):
            base = ("L" if base[0] == "R" else "R") + base[1:]
        for wrong, one, other, start, stop in q.swapped_corners:
            if wrong == base:
                values[one], values[other] = values[one].copy(), values[other].copy()
                values[one][start:stop], values[other][start:stop] = (
                    values[other][start:stop].copy(), values[one][start:stop].copy(),
                )  # fmt: skip
        for wrong, corner, start, stop in q.hidden:
            if wrong == base:
                values[corner][start:stop] = 0.0 if q.zeros else np.nan
        for corner in corners:
            name = frame if q.frames_as_labels else f"{base}_IMU"
            label = f"{name}_{NUMBERS[corner] if q.numbered else corner}"
            table[label.lower() if q.frames_as_labels else label] = values[corner] * scale
    if q.offset_lab_deg:
        tilt = Rotation.from_euler("x", q.offset_lab_deg, degrees=True).as_matrix()
        table = {name: values @ tilt.T for name, values in table.items()}
    return table


def write_trc(path, table, time, units):
    n = len(time)
    head = (
        f"PathFileType\t4\t(X/Y/Z)\t{path.name}\n"
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames\n"
        f"100.00\t100.00\t{n}\t{len(table)}\t{units}\t100.00\t1\t{n}\n"
        "Frame#\tTime\t" + "\t\t\t".join(table) + "\t\t\n"
        "\t\t" + "\t".join(f"{axis}{i + 1}" for i in range(len(table)) for axis in "XYZ") + "\n\n"
    )
    values = np.concatenate(list(table.values()), axis=1)
    rows = _formatted("%d\t%.4f" + "\t%.6f" * values.shape[1] + "\n", np.column_stack([1 + np.arange(n), time, values]))
    path.write_text(head + rows.replace("nan", ""), newline="\n")


def _formatted(line, table):
    """The table as text, one formatting call for all of it."""
    return (line * len(table)) % tuple(table.ravel().tolist())


def _write_ik(path, person, time, start_s, *, knee=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.stack([CubicSpline(person.time, person.angles[ours])(time) for ours in IK.values()], axis=1)
    if knee is not None:
        values[:, [list(IK).index(f"knee_angle_{side}") for side in "rl"]] = knee
    write_sto(path, tuple(IK), np.round(time - start_s, 6), values, True)
