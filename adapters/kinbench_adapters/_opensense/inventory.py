"""What the study's raw folder should hold, how a person comes by it, and a cheap look at each kind of file."""

from __future__ import annotations

from pathlib import Path

from kinbench.contracts import Expected, RawTree
from kinbench.errors import DataError
from kinbench_adapters._formats.imu_mapping import read_mapping
from kinbench_adapters._formats.mt_manager import COUNTER

STUDY_PAGE = "https://simtk.org/plugins/datashare/index.php?group_id=2164"
MAJIC_PAGE = "https://simtk.org/projects/majic_dataset"

_HEAD = 2**16


def _mapping_problem(path: Path) -> str | None:
    try:
        read_mapping(path)
    except DataError as error:
        return "; ".join(error.problems)
    return None


def _head(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_HEAD).decode("latin-1")


def _export_problem(path: Path) -> str | None:
    """Say what a sensor's export lacks, by its header row alone."""
    header = next((line for line in _head(path).splitlines() if COUNTER in line), None)
    if header is None:
        return f"no header row with '{COUNTER}'; this is no MT Manager export"
    signals = ("Acc_X", "Gyr_X", "Mat[1][1]", "Quat_q0")
    return None if any(name in header for name in signals) else f"none of the columns {', '.join(signals)}"


def _markers_problem(path: Path) -> str | None:
    """Say what is wrong with a marker file, by its first lines alone."""
    head = _head(path)
    if not head.startswith("PathFileType"):
        return "it does not begin with 'PathFileType'; this is no .trc file"
    if "static" not in path.stem.lower() and "_imu_" not in head.lower():
        return "no marker of a plate, such as 'R.Femur_IMU_O'"
    return None


def _angles_problem(path: Path) -> str | None:
    return None if "endheader" in _head(path) else "no line 'endheader'; this is no .mot file"


TREE = RawTree(
    expected=(
        Expected(
            "sensor mappings, one a trial: SubjectNN/<walking|complexTasks>/[IMU/]myIMUMappings_<trial>.xml",
            ("**/myIMUMapping*.xml",), check=_mapping_problem,
        ),
        Expected(
            "the sensors' own exports: IMU/xsens/LowerExtremity/ (study), 'imu data/' (MAJIC), IMUData/ (example)",
            (
                "**/[xX]sens/[lL]ower[eE]xtremity/MT_*.txt", "**/[iI][mM][uU] data/*.txt",
                "**/[iI][mM][uU][dD]ata/MT_*.txt",
            ),
            check=_export_problem,
        ),
        Expected(
            "joint angles of marker inverse kinematics (the study only): Mocap/ikResults/<trial>_IK.mot",
            ("**/[mM]ocap/[iI][kK]results/*_IK.mot", "**/[mM]ocap/[iI][kK]Results/*_IK.mot"), required=False,
            check=_angles_problem,
        ),
        Expected(
            "markers: Mocap/<trial>.trc (study) or <trial>.trc (MAJIC), where the plates on the sensors are",
            ("**/*.trc",), required=False, check=_markers_problem,
        ),
    ),
    steps=(
        f"Open {STUDY_PAGE} (SimTK project 2164, 'OpenSense validation'). SimTK may ask for an account and for an "
        "agreement; nothing here goes round them, and the licence of the data is not known to us.",
        "Download the data share's archive, study20-latest.tar.gz (study 20, about 5.5 GB), and unpack it: "
        "tar -xzf study20-latest.tar.gz. Its top folder is files/, which holds Subject01 to Subject11.",
        "Give that folder, or any folder above or below it, as the raw folder. Of each trial four things are read: "
        "IMU/myIMUMappings_<trial>.xml, IMU/xsens/LowerExtremity/MT_*.txt, Mocap/<trial>.trc and "
        "Mocap/ikResults/<trial>_IK.mot. The results of sensor fusion below IMU/ (xsens, madgwick, mahony IKResults) "
        "are never read: they are estimates, not truth.",
        f"Or take the cleaned re-release, MAJIC, from {MAJIC_PAGE}: SubjectNN/<trial>/ with 'imu data/', <trial>.trc "
        "and myIMUMappings_<trial>.xml. It has no joint angles; its reference is made from the marker plates.",
        "Take one of the two, or give them stores of two names (--name): they hold the same people and trials, and "
        "keep the same person ids.",
    ),
)  # fmt: skip
