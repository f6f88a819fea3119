"""The raw files: what two vendors and their laboratories leave on a disk, warts included.

The hall's sensors write Xsens MT Manager 4.x text, one file each, in the folders of the OpenSense study (Al Borno et
al., J NeuroEng Rehabil 19:22, 2022), with OpenSim's inverse kinematics beside them. The corridor writes one wide
CSV for all sensors and one of joint angles in a convention of its own, explained by a ``kinbench.yaml``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from kinbench.schema import GRAVITY
from kinbench_adapters._formats.opensim import write_sto
from kinbench_adapters._simulation.cohort import CORRIDOR, HALL, SEED, VERSION, Person, Trial
from kinbench_adapters._simulation.mounting import Reading

FloatArray = NDArray[np.float64]

# --- the hall: MT Manager text, mapping XML, inverse kinematics -------------------------------------------------------

_MT_HEADER = """// Start Time: Unknown
// Update Rate: 100.0Hz
// Filter Profile: human (46.1)
// Option Flags: AHS Disabled ICC Disabled\x20
// Firmware Version: 4.0.2
"""
_EMPTY = ("SampleTimeFine", "Year", "Month", "Day", "Second")
_MT_COLUMNS = (
    "PacketCounter", *_EMPTY, *(f"{signal}_{axis}" for signal in ("Acc", "Gyr", "Mag") for axis in "XYZ"),
    *(f"Mat[{row}][{column}]" for column in (1, 2, 3) for row in (1, 2, 3)),
)  # fmt: skip
_EARTH_FROM_WORLD = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""Y-up world to the device's Z-up earth, before its heading."""
_HEADING_DEG = 63.0
"""Where magnetic east lies in the hall's camera world."""
_FIELD = np.array([0.0, 0.42, -0.91])
"""The magnetic field in earth axes, in the device's unit (1 is its strength)."""
_FILTER_ERROR_DEG = 1.5
_COUNTER_MODULUS = 65536


@dataclass(frozen=True)
class Fault:
    """What radio and buttons did to one sensor's file: rows that never came, one that came twice, early ends."""

    lost: tuple[int, ...] = ()
    doubled: int | None = None
    late: int = 0
    early: int = 0


FAULTS: dict[str, dict[str, Fault]] = {
    "Subject02": {"femur_r_imu": Fault(doubled=0), "calcn_l_imu": Fault(doubled=4000)},
    "Subject03": {"tibia_r_imu": Fault(lost=(1203, 2950, 2951, 2952, 7021)), "calcn_l_imu": Fault(lost=(5000,))},
    "Subject04": {"femur_l_imu": Fault(late=7), "tibia_l_imu": Fault(early=31), "torso_imu": Fault(late=3, early=12)},
    "Subject06": {"pelvis_imu": Fault(lost=tuple(range(6100, 6121)))},
}
"""Hall subjects whose files are not perfect, by sensor; rows count from the trial's first packet."""
FIRST_PACKET = {"Subject01": 472, "Subject02": 1850, "Subject05": 65000}
"""Where the packet counter stood; Subject05's wraps in the middle of the trial."""

_IK_COLUMNS: dict[str, str | None] = {
    "pelvis_tilt": "pelvis_tilt", "pelvis_list": "pelvis_list", "pelvis_rotation": "pelvis_rotation",
    "pelvis_tx": None, "pelvis_ty": None, "pelvis_tz": None,
} | {
    f"{coordinate}_{letter}": dof if dof is None else f"{dof}_{letter}"
    for letter in "rl"
    for coordinate, dof in (
        ("hip_flexion", "hip_flexion"), ("hip_adduction", "hip_adduction"),
        ("hip_rotation", "hip_internal_rotation"), ("knee_angle", "knee_flexion"),
        ("ankle_angle", "ankle_dorsiflexion"), ("subtalar_angle", None), ("mtp_angle", None),
    )
}  # fmt: skip
"""OpenSim's coordinates and the DoF each one is; subtalar and toe joints are locked at zero, as in the study."""


def write_hall_trial(folder: Path, trial: Trial) -> None:
    """Write one trial of the hall below ``folder`` in the OpenSense study's layout."""
    subject = trial.person.subject
    home = folder / subject / trial.trial
    sensors, cameras = home / "IMU" / "xsens" / "LowerExtremity", home / "Mocap" / "ikResults"
    for needed in (sensors, cameras):
        needed.mkdir(parents=True, exist_ok=True)
    number = HALL.subjects.index(subject) + 1
    prefix = f"MT_012005D6_{number:03d}-001"
    serials = [f"_00B4{number:02X}{0x21 + index:02X}" for index in range(len(HALL.mounts))]
    random = np.random.RandomState([SEED, HALL.number, number, 3])
    for mount, serial, reading in zip(HALL.mounts, serials, trial.readings, strict=True):
        fault = FAULTS.get(subject, {}).get(mount.sensor, Fault())
        text = _mt_text(random, reading, FIRST_PACKET.get(subject, 100), fault)
        _write(sensors / f"{prefix}{serial}.txt", text)
    mapping = [(serial, mount.sensor) for serial, mount in zip(serials, HALL.mounts, strict=True)]
    _write(home / "IMU" / f"myIMUMappings_{trial.trial}.xml", _mapping_xml(prefix, mapping))
    zeros = np.zeros_like(trial.reference_time)
    translation = dict(zip(("pelvis_tx", "pelvis_ty", "pelvis_tz"), trial.pelvis_m.T, strict=True))
    values = [translation.get(name, zeros) if dof is None else trial.angles[dof] for name, dof in _IK_COLUMNS.items()]
    write_sto(
        cameras / f"{trial.trial}_IK.mot",
        tuple(_IK_COLUMNS),
        trial.reference_time,
        np.round(np.stack(values, axis=1), 6),
        in_degrees=True,
    )


def write_hall_label(folder: Path) -> None:
    """Write the label that tells a reader of the study's layout that these people never lived."""
    label = {"simulation": True, "name": HALL.dataset, "version": VERSION, "seed": SEED}
    _write(folder / "SIMULATED.json", json.dumps(label, indent=2) + "\n")


def _mt_text(random: np.random.RandomState, reading: Reading, first_packet: int, fault: Fault) -> str:
    n = len(reading.acc)
    counter = (first_packet + np.arange(n)) % _COUNTER_MODULUS
    matrix = _device_orientation(random, reading.orientation)
    field = np.einsum("nij,i->nj", matrix, _FIELD) + 0.004 * random.normal(size=(n, 3))
    column_major = np.swapaxes(matrix, 1, 2).reshape(n, 9)
    table = np.column_stack([counter, reading.acc, reading.gyr, field, column_major])
    rows = np.setdiff1d(np.arange(fault.late, n - fault.early), fault.lost)
    if fault.doubled is not None and fault.doubled < n:
        rows = np.insert(rows, np.searchsorted(rows, fault.doubled), fault.doubled)
    line = "%05d" + "\t" * len(_EMPTY) + "\t%.6f" * (table.shape[1] - 1) + "\n"
    return _MT_HEADER + "\t".join(_MT_COLUMNS) + "\n" + _formatted(line, table[rows])


def _device_orientation(random: np.random.RandomState, orientation: FloatArray) -> FloatArray:
    """Return what the sensor's own filter makes of its orientation: (n, 3, 3), sensor to earth, a little wrong."""
    heading = Rotation.from_euler("Z", _HEADING_DEG, degrees=True).as_matrix()
    error = Rotation.from_rotvec(np.deg2rad(_FILTER_ERROR_DEG) * random.normal(size=3)).as_matrix()
    true = Rotation.from_quat(orientation, scalar_first=True).as_matrix()
    return np.asarray(error @ heading @ _EARTH_FROM_WORLD @ true, dtype=np.float64)


def _mapping_xml(prefix: str, mapping: Sequence[tuple[str, str]]) -> str:
    sensors = "\n".join(
        f'\t\t\t<ExperimentalSensor name="{serial}">\n'
        f"\t\t\t\t<name_in_model>{name}</name_in_model>\n"
        "\t\t\t</ExperimentalSensor>"
        for serial, name in mapping
    )
    return f"""<?xml version="1.0" encoding="UTF-8" ?>
<OpenSimDocument Version="40000">
\t<XsensDataReaderSettings>
\t\t<!--Name of trial (Common prefix of txt files representing trial).-->
\t\t<trial_prefix>{prefix}</trial_prefix>
\t\t<ExperimentalSensors>
{sensors}
\t\t</ExperimentalSensors>
\t</XsensDataReaderSettings>
</OpenSimDocument>
"""


# --- the corridor: CSV and a manifest ---------------------------------------------------------------------------------

ANGLE_COLUMNS: dict[str, tuple[str, int, float]] = {
    f"{dof}_{letter}": (f"{side}_{column}", sign, zero)
    for letter, side in (("r", "R"), ("l", "L"))
    for dof, column, sign, zero in (
        ("hip_flexion", "HipExt", -1, 0.0),
        ("hip_adduction", "HipAbd", -1, 0.0),
        ("hip_internal_rotation", "HipIntRot", +1, 0.0),
        ("knee_flexion", "KneeExt", -1, 0.0),
        ("ankle_dorsiflexion", "AnkleInner", -1, 90.0),
    )
}
"""DoF -> (column, sign, zero): dof = sign * column + zero. The corridor counts extension and abduction positive, and
the ankle as the inner angle between shank and foot."""

HIDDEN_MARKER = ("P03", "walk2", "L_KneeExt", (30.0, 30.4))
"""Subject, trial, column and span (reference clock, s) in which the cameras lost a marker: the cells are empty."""


def write_corridor_trial(folder: Path, trial: Trial) -> None:
    """Write one trial of the corridor: a wide sensor CSV and an angle CSV."""
    home = folder / trial.person.subject
    home.mkdir(parents=True, exist_ok=True)
    n = len(trial.readings[0].acc)
    table = np.column_stack(
        [
            1000 * np.arange(n) / CORRIDOR.rate_hz,
            *(values for r in trial.readings for values in (r.acc / GRAVITY, np.rad2deg(r.gyr))),
        ]
    )
    names = [f"{m.sensor}_{column}" for m in CORRIDOR.mounts for column in ("ax", "ay", "az", "gx", "gy", "gz")]
    line = "%.3f" + (",%.5f" * 3 + ",%.4f" * 3) * len(CORRIDOR.mounts) + "\n"
    _write(home / f"{trial.trial}_imu.csv", ",".join(["t_ms", *names]) + "\n" + _formatted(line, table))
    angles = {
        column: np.deg2rad(sign * (trial.angles[dof] - zero)) for dof, (column, sign, zero) in ANGLE_COLUMNS.items()
    }
    text = _formatted("%.5f" + ",%.6f" * len(angles) + "\n", np.column_stack([trial.reference_time, *angles.values()]))
    text = _hide_marker(trial, ",".join(["time_s", *angles]) + "\n" + text)
    _write(home / f"{trial.trial}_angles.csv", text)


def write_corridor_manifest(folder: Path, people: Sequence[Person]) -> None:
    """Write the ``kinbench.yaml`` by which the corridor's files can be read."""
    persons = "\n".join(f"  {p.subject}: {{height_m: {p.body.height_m:.2f}}}" for p in people)
    sensors = "\n".join(
        f"    {m.sensor}: {{segment: {m.segment}, site: {m.site}, attachment: strap, "
        f"axes: {{{', '.join(f'{axis}: {way}' for axis, way in m.axes.items())}}}}}"
        for m in CORRIDOR.mounts
    )
    angles = "\n".join(
        f"    {dof}: {{column: {column}, sign: {sign}" + (f", zero_deg: {zero:g}" if zero else "") + "}"
        for dof, (column, sign, zero) in ANGLE_COLUMNS.items()
    )
    _write(
        folder / "kinbench.yaml",
        f"""# SIMULATED: nobody here ever lived. Written by kinbench's demo cohort, version {VERSION}, seed {SEED}.
kinbench: 1
dataset:
  id: {CORRIDOR.dataset}
  version: "{VERSION}"
  title: Simulated corridor of the demo cohort
  licence: Apache-2.0
  redistributable: true
simulation: true
activity: walking
people:
{persons}
imu:
  files: "{{subject}}/{{trial}}_imu.csv"
  rate_hz: {CORRIDOR.rate_hz:g}
  time: {{column: t_ms, unit: ms}}
  acc: {{columns: ["{{sensor}}_ax", "{{sensor}}_ay", "{{sensor}}_az"], unit: g, kind: specific_force}}
  gyr: {{columns: ["{{sensor}}_gx", "{{sensor}}_gy", "{{sensor}}_gz"], unit: deg/s}}
  sensors:
{sensors}
reference:
  files: "{{subject}}/{{trial}}_angles.csv"
  rate_hz: {CORRIDOR.reference_rate_hz:g}
  time: {{column: time_s, unit: s}}
  tier: simulation
  convention: isb_zxy
  unit: rad
  angles:
{angles}
sync: {{method: estimated, search_s: 5}}
""",
    )


def _hide_marker(trial: Trial, text: str) -> str:
    subject, name, column, (start_s, stop_s) = HIDDEN_MARKER
    if (trial.person.subject, trial.trial) != (subject, name):
        return text
    header, *lines = text.splitlines()
    place = header.split(",").index(column)
    for row in np.flatnonzero((trial.reference_time >= start_s) & (trial.reference_time < stop_s)):
        cells = lines[row].split(",")
        cells[place] = ""
        lines[row] = ",".join(cells)
    return "\n".join([header, *lines]) + "\n"


# --- both -------------------------------------------------------------------------------------------------------------


def _formatted(line: str, table: FloatArray) -> str:
    """Return the table as text, ``line`` being the format of one row: one formatting call for all of it."""
    return (line * len(table)) % tuple(table.ravel().tolist())


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


WRITERS: dict[str, Callable[[Path, Trial], None]] = {
    HALL.dataset: write_hall_trial,
    CORRIDOR.dataset: write_corridor_trial,
}
