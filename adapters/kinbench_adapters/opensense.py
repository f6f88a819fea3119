"""The OpenSense validation study (Al Borno et al. 2022), and any folder of MTw exports with an OpenSim sensor mapping.

Three layouts are known: the study's own ``SubjectNN/<trial>/{IMU,Mocap}``, its re-release with ``imu data/``, and a
plain folder with a mapping XML and the exports beside it or in ``IMUData/`` (OpenSim's own example). Inputs are Xsens
MTw signals; the reference is OpenSim's inverse kinematics of optical markers with the Rajagopal 2015 model. The two
were not synchronised by hardware: the shift is to be estimated.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench import schema
from kinbench.contracts import DatasetCard, RawDataset, Source
from kinbench.errors import DataError, UsageError
from kinbench.recording import (
    Calibration,
    Declared,
    Key,
    Placement,
    Recording,
    Sync,
    angle_dataset,
    imu_dataset,
)
from kinbench_adapters._formats.clock import Counted, Joined, common_rate, join
from kinbench_adapters._formats.imu_mapping import ImuMapping, read_mapping
from kinbench_adapters._formats.mt_manager import MtFile, read_mt
from kinbench_adapters._formats.opensim import StoTable, read_sto

FloatArray = NDArray[np.float64]

SYNC_SEARCH_S = 20.0
"""How far apart the clocks may start: in the study the sensors start some seconds before the cameras."""

STILL_S = (0.2, 1.8)
"""Every trial begins with the calibration pose; the shipped recording is steady from its first sample to 1.9 s."""
MOVING_S = (2.0, 30.0)
"""The first steps give the flexion axis. What comes later is left alone: protocols score a trial's last fifth."""

SIMULATED = "SIMULATED.json"
"""A file of this name at the root marks a folder as simulated: {"simulation": true, "name", "version", "seed"}."""


@dataclass(frozen=True)
class Mount:
    """Where the study puts the sensor of one segment, and how its case is turned.

    In the study's one published recording the case's x axis points up the segment and its z axis into the body (its
    ``Mat`` in the calibration pose, heading by the pelvis). ``hint`` is the sensor axis that points to the right,
    which settles the sign of the flexion axis. ``nominal`` columns are the sensor's axes in segment axes, given only
    where no functional axis can be had: the pelvis and trunk turn about all three axes in gait.
    """

    side: str
    site: str
    level: str
    hint: str | None = None
    nominal: tuple[tuple[float, float, float], ...] | None = None


_FACING_FORWARD = ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
"""x up, y to the right, z to the front: a case on the back with z into the body."""

MOUNTS: dict[str, Mount] = {
    "trunk": Mount("midline", "posterior", "proximal", nominal=_FACING_FORWARD),
    "pelvis": Mount("midline", "sacrum", "mid", nominal=_FACING_FORWARD),
    "thigh_r": Mount("right", "lateral", "mid", hint="-z"),
    "shank_r": Mount("right", "lateral", "mid", hint="-z"),
    "foot_r": Mount("right", "dorsum", "mid", hint="-x"),
    "thigh_l": Mount("left", "lateral", "mid", hint="z"),
    "shank_l": Mount("left", "lateral", "mid", hint="z"),
    "foot_l": Mount("left", "dorsum", "mid", hint="x"),
}

SIGNALS: dict[str, dict[str, str]] = {
    "acc": {"units": "m s-2", "kind": "specific_force", "frame": "sensor"},
    "gyr": {"units": "rad s-1", "frame": "sensor"},
    "mag": {"units": "1", "frame": "sensor"},
    "quat": {"units": "1", "maps": "sensor_to_world", "origin": "Xsens filter on the device"},
}

_EXPECTED = """expected one of:
  SubjectNN/<walking|complexTasks>/IMU/{myIMUMappings_<trial>.xml, xsens/LowerExtremity/MT_*.txt}
      with Mocap/ikResults/<trial>_IK.mot beside IMU (the study);
  SubjectNN/<trial>/{myIMUMappings_<trial>.xml, imu data/MT_*.txt} (its re-release);
  a folder with myIMUMappings.xml and MT_*.txt, the latter there or in IMUData/ (OpenSim's example)"""

_SUBJECT = re.compile(r"subject[ _-]?\d+", re.IGNORECASE)
_TEXT_FOLDERS = ("xsens/lowerextremity", "lowerextremity", "imu data", "imudata", ".")
_STUDY_TEXT_FOLDER = "xsens/LowerExtremity"


@dataclass(frozen=True)
class _Trial:
    """One trial's folders, before a file is opened."""

    raw: Path
    xml: Path
    folder: Path
    text_folder: Path
    key: Key
    angles: tuple[Path, ...]


class OpenSenseAdapter:
    """Reads the OpenSense study's folders; see the module for the layouts."""

    version: ClassVar[str] = "1"
    card: ClassVar[DatasetCard] = DatasetCard(
        name="opensense",
        title="OpenSense validation data",
        version="study 20",
        description=(
            "11 people, walking and a sequence of lower-limb tasks of 10 minutes each; 8 Xsens MTw on trunk, pelvis, "
            "thighs, shanks and feet at 100 Hz (two people 40 Hz); joint angles by OpenSim inverse kinematics of "
            "optical markers (Rajagopal 2015) at 100 Hz, not synchronised with the sensors."
        ),
        licence="unconfirmed",
        redistributable=False,
        access=(
            "By hand: download study20-latest.tar.gz (5.5 GB) from SimTK's DataShare, accept its terms there, and "
            f"unpack it. {_EXPECTED}"
        ),
        citation=(
            "Al Borno M, O'Day J, et al. OpenSense: An open-source toolbox for inertial-measurement-unit-based "
            "measurement of lower extremity kinematics over long durations. J NeuroEng Rehabil 19:22 (2022). "
            "doi:10.1186/s12984-022-01001-x"
        ),
        url="https://simtk.org/plugins/datashare/index.php?group_id=2164",
    )

    def find(self, raw: Path) -> RawDataset:
        """Return the trials below ``raw``, in natural order; opens the mapping XMLs and no signals.

        Raises ``UsageError`` when the folder is absent or its ``SIMULATED.json`` is wrong, ``DataError`` when it
        holds no trial of a known layout or two trials would have one name.
        """
        if not raw.is_dir():
            raise UsageError(f"Expected a folder with OpenSense recordings, found none at '{raw}'; check the path.")
        raw = raw.resolve()
        card = _card(raw, self.card)
        trials = sorted(_trials(raw, card.name), key=lambda trial: trial.key)
        if not trials:
            raise DataError(f"Found no sensor mapping (myIMUMappings*.xml) below this folder; {_EXPECTED}", where=raw)
        _refuse_twins(trials)
        return RawDataset(card, tuple(Source(t.key, _files(t), partial(_load, t, card, self.version)) for t in trials))


# --- what there is ---------------------------------------------------------------------------------------------------


def _card(raw: Path, study: DatasetCard) -> DatasetCard:
    """Return the study's card, or the simulation's where the folder says that it is one."""
    path = raw / SIMULATED
    if not path.exists():
        return study
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path}: expected JSON: {error}.") from error
    if not isinstance(told, dict) or told.get("simulation") is not True:
        raise UsageError(f'{path}: expected {{"simulation": true, "name": ..., "version": ..., "seed": ...}}.')
    name = str(told.get("name", ""))
    if not schema.IDENTIFIER.fullmatch(name):
        raise UsageError(f"{path}: expected 'name' of letters, digits and . _ + -, found '{name}'.")
    return DatasetCard(
        name=name,
        title=f"Simulated cohort '{name}'",
        version=f"{told.get('version', 'unknown')} (seed {told.get('seed', 'unknown')})",
        description="A simulation in the OpenSense study's layout. Nobody was measured.",
        licence="none (simulated)",
        redistributable=True,
        access="Written by a demo.",
        citation="",
        simulation=True,
    )


def _trials(raw: Path, dataset: str) -> Iterator[_Trial]:
    by_folder: dict[Path, list[Path]] = {}
    for xml in sorted(raw.rglob("*.[xX][mM][lL]")):
        if xml.name.lower().startswith("myimumapping"):
            by_folder.setdefault(xml.parent, []).append(xml)
    for folder, mappings in by_folder.items():
        in_study = folder.name.lower() == "imu"
        subject = _subject(raw, folder)
        for xml in _chosen(mappings, folder.parent.name if in_study else folder.name):
            trial_folder = folder.parent if in_study else folder
            studied = in_study or subject is not None
            trial = trial_folder.name if studied else _prefix_or_stem(xml)
            key = Key(dataset, _identifier(subject or folder.name), "1", _identifier(trial))
            text = _text_folder(folder, in_study=in_study)
            yield _Trial(raw, xml, trial_folder, text, key, _angle_files(trial_folder, trial))


def _chosen(mappings: Sequence[Path], trial: str) -> list[Path]:
    """Return the mapping that names its trial; all of them where none does."""
    named = [xml for xml in mappings if xml.stem.lower().endswith(f"_{trial.lower()}")]
    return named[:1] or list(mappings)


def _subject(raw: Path, folder: Path) -> str | None:
    """Return the nearest folder name like ``Subject07``, at most two above ``raw`` (which may be its IMU folder)."""
    top = raw.parent.parent
    for place in (folder, *folder.parents):
        if _SUBJECT.fullmatch(place.name):
            return place.name
        if place == top:
            break
    return None


def _prefix_or_stem(xml: Path) -> str:
    """Return the trial's name where no folder gives one; a mapping that cannot be read fails when it is loaded."""
    try:
        return read_mapping(xml).trial_prefix
    except DataError:
        return xml.stem


def _identifier(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("._+-")[:64] or "unknown"


def _text_folder(folder: Path, *, in_study: bool) -> Path:
    """Return the folder that holds the exports, else the one where they are expected."""
    for name in _TEXT_FOLDERS:
        candidate = _below(folder, name)
        if candidate is not None and any(candidate.glob("*.txt")):
            return candidate
    return folder / _STUDY_TEXT_FOLDER if in_study else folder


def _below(folder: Path, name: str) -> Path | None:
    """Return a sub-folder whose lower-case name is ``name``; the study's capitals vary."""
    if name == ".":
        return folder
    for part in name.split("/"):
        match = next((p for p in sorted(folder.iterdir()) if p.is_dir() and p.name.lower() == part), None)
        if match is None:
            return None
        folder = match
    return folder


def _angle_files(trial_folder: Path, trial: str) -> tuple[Path, ...]:
    """Return the marker IK results of a trial: the one that bears its name, else all there are."""
    folder = _below(trial_folder, "mocap/ikresults")
    if folder is None:
        return ()
    found = sorted(p for p in folder.iterdir() if p.name.lower().endswith("_ik.mot"))
    named = [p for p in found if p.name.lower() == f"{trial.lower()}_ik.mot"]
    return tuple(named or found)


def _refuse_twins(trials: Sequence[_Trial]) -> None:
    first: dict[Key, Path] = {}
    for trial in trials:
        if trial.key in first:
            raise DataError(
                f"Two trials would both be '{trial.key}': {first[trial.key]} and {trial.xml}; keep one, or convert "
                "the folders apart.",
                where=trial.raw,
            )
        first[trial.key] = trial.xml


def _files(trial: _Trial) -> tuple[Path, ...]:
    """Return the files a trial is made of, as far as its mapping can be read."""
    try:
        mapping = read_mapping(trial.xml)
    except DataError:
        return (trial.xml, *trial.angles)
    known = [_text_file(trial, mapping, name) for name, frame in mapping.sensors if _segment(frame) is not None]
    return (trial.xml, *known, *trial.angles)


def _text_file(trial: _Trial, mapping: ImuMapping, name: str) -> Path:
    return trial.text_folder / f"{mapping.trial_prefix}{name}.txt"


def _segment(frame: str) -> str | None:
    """Return our word for the segment of a model frame such as ``femur_r_imu``, None where we have none."""
    body = frame.strip().lower().removesuffix("_imu")
    return body if body in schema.SEGMENTS else schema.SEGMENT_ALIASES.get(body)


# --- one recording ---------------------------------------------------------------------------------------------------


def _load(trial: _Trial, card: DatasetCard, version: str) -> Recording:
    """Read one trial as it stands; raises ``DataError`` with all that is wrong with it."""
    mapping = read_mapping(trial.xml)
    segments = _segments(trial, mapping)
    files = _read_sensors(trial, mapping, segments)
    rate_hz = _rate(trial, files)
    joined = join({name: Counted(file.counter, file.columns) for name, file in files.items()})
    absent = _absent_signals(joined)
    imu, calibrations = _imu(joined, files, segments, rate_hz)
    steps = [_imu_step(trial, mapping, files, joined)]
    rates = {"imu": _imu_rate(joined, rate_hz)}
    reference = None
    if not trial.angles:
        absent["reference"] = f"no Mocap/ikResults/*_IK.mot in '{_name(trial, trial.folder)}'"
    elif "gyr" not in joined.arrays:
        absent["reference"] = "it is on a clock of its own, and without angular rates no shift can be estimated"
    else:
        reference, step = _reference(trial, card)
        steps.append(step)
        rates["reference"] = _reference_rate(reference)
    sources = (trial.xml, *(file.path for file in files.values()), *(trial.angles if reference is not None else ()))
    return Recording(
        key=trial.key,
        imu=imu,
        reference=reference,
        attrs={
            "schema_version": schema.SCHEMA_VERSION,
            "dataset": trial.key.dataset,
            "dataset_version": card.version,
            "subject": trial.key.subject,
            "session": trial.key.session,
            "trial": trial.key.trial,
            "person": trial.key.person,
            "activity": _activity(trial),
            "licence": {"id": card.licence, "redistributable": card.redistributable},
            "rates": rates,
            "world": "Y up, right-handed, heading arbitrary",
            "source": [{"name": _name(trial, path), "sha256": _sha256(path)} for path in sources],
            "adapter": {"name": "opensense", "version": version},
            "history": steps,
            "simulation": card.simulation,
            "absent": absent,
            "quality": _quality(segments, rate_hz),
        },
        declared=Declared(
            imu_up="z" if "quat" in joined.arrays else None,
            calibrations=calibrations,
            sync=Sync("estimated", search_s=SYNC_SEARCH_S) if reference is not None else None,
        ),
    )


def _segments(trial: _Trial, mapping: ImuMapping) -> dict[str, str]:
    """Return the segment of every mapped frame that has one in the schema."""
    segments = {frame: segment for _, frame in mapping.sensors if (segment := _segment(frame)) is not None}
    if not segments:
        frames = ", ".join(frame for _, frame in mapping.sensors)
        raise DataError(
            f"None of the frames mapped ({frames}) stands for a segment of the legs or trunk.", where=trial.xml
        )
    twice = sorted({segment for segment in segments.values() if list(segments.values()).count(segment) > 1})
    if twice:
        raise DataError(f"Expected one sensor a segment, found two on {', '.join(twice)}.", where=trial.xml)
    return segments


def _read_sensors(trial: _Trial, mapping: ImuMapping, segments: Mapping[str, str]) -> dict[str, MtFile]:
    paths = {frame: _text_file(trial, mapping, name) for name, frame in mapping.sensors if frame in segments}
    lost = {frame: path for frame, path in paths.items() if not path.is_file()}
    if lost:
        problems = (
            f"Sensor '{frame}' is mapped, but its file is absent: expected '{_name(trial, path)}'."
            for frame, path in lost.items()
        )
        raise DataError(problems, where=trial.xml)
    return _read_all(paths)


def _read_all(paths: Mapping[str, Path]) -> dict[str, MtFile]:
    """Read every sensor's file; what is wrong in any of them is told at once."""
    files, problems = {}, []
    for frame, path in paths.items():
        try:
            files[frame] = read_mt(path)
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError(problems)
    return files


def _rate(trial: _Trial, files: Mapping[str, MtFile]) -> float:
    try:
        rate_hz = common_rate({frame: file.rate_hz for frame, file in files.items()})
    except DataError as error:
        raise DataError(error.problems, where=trial.text_folder) from error
    if rate_hz is None:
        raise DataError(
            "The exports tell no update rate; write a manifest that declares it and convert them with the lab adapter.",
            where=trial.text_folder,
        )
    return rate_hz


def _absent_signals(joined: Joined) -> dict[str, str]:
    words = {"acc": "Acc", "gyr": "Gyr"}
    return {
        name: f"the export holds no {word} columns with values"
        for name, word in words.items()
        if name not in joined.arrays
    }


def _imu(
    joined: Joined, files: Mapping[str, MtFile], segments: Mapping[str, str], rate_hz: float
) -> tuple[xr.Dataset, dict[str, Calibration]]:
    """Return the imu stream in raw sensor axes, and what is to be calibrated.

    A leg sensor that has both signals asks for its rotation to be found; the pelvis and trunk get the nominal one.
    Without angular rates nothing is known of any rotation, and unknown is said.
    """
    placements, calibrations = [], {}
    for index, frame in enumerate(joined.sensors):
        mount = MOUNTS[segments[frame]]
        turned = all(
            name in joined.arrays and np.isfinite(joined.arrays[name][:, index]).any() for name in ("acc", "gyr")
        )
        if turned and mount.hint is not None:
            calibrations[frame] = Calibration(STILL_S, MOVING_S, mount.hint, "right")
        nominal = np.array(mount.nominal) if turned and mount.nominal is not None else None
        placements.append(
            Placement(
                sensor=frame, segment=segments[frame], side=mount.side, site=mount.site, level=mount.level,
                rotation=nominal, rotation_origin="unknown" if nominal is None else "nominal", attachment="strap",
                device=f"Xsens MTw {files[frame].device}",
            )
        )  # fmt: skip
    time = (joined.counter - joined.counter[0]) / rate_hz
    signals = {name: (joined.arrays[name], attrs) for name, attrs in SIGNALS.items() if name in joined.arrays}
    if not signals:
        raise DataError("Expected acceleration, angular rate or orientation of at least one sensor, found none.")
    return imu_dataset(time, placements, signals, valid=joined.valid), calibrations


def _imu_step(trial: _Trial, mapping: ImuMapping, files: Mapping[str, MtFile], joined: Joined) -> dict[str, Any]:
    read = {file.path for file in files.values()}
    beside = sorted(p.name for p in trial.text_folder.glob(f"{mapping.trial_prefix}_*.txt") if p not in read)
    return {
        "step": "read_imu",
        "format": "MT Manager text",
        "sensors": {
            frame: {
                **joined.reports[frame].plain(),
                "conflicting": joined.conflicting[frame],
                "orientation": file.orientation,
                "mended": list(file.mended),
            }
            for frame, file in files.items()
        },
        "not_in_schema": [frame for _, frame in mapping.sensors if _segment(frame) is None],
        "unmapped_files": beside,
    }


def _imu_rate(joined: Joined, rate_hz: float) -> dict[str, Any]:
    # The packet counter is the clock: time is counter / rate, so no rate of its own can be measured from it.
    return {
        "nominal_hz": rate_hz,
        "measured_hz": rate_hz,
        "regular": True,
        "clock": "packet counter",
        "lost": sum(report.lost for report in joined.reports.values()),
        "missing_at_ends": int((~joined.valid).sum()) - sum(report.lost for report in joined.reports.values()),
        "doubled": sum(report.doubled for report in joined.reports.values()),
    }


def _activity(trial: _Trial) -> str:
    told = f"{trial.folder.name} {trial.xml.stem}".lower()
    if "walking" in told:
        return "walking"
    return "mixed" if "complextasks" in told else "unknown"


def _quality(segments: Mapping[str, str], rate_hz: float) -> list[str]:
    flags = [] if rate_hz == 100.0 else [f"rate_{rate_hz:g}hz"]
    present = set(segments.values())
    return flags + [f"{segment}_unmapped" for segment in MOUNTS if segment not in present]


# --- the reference ---------------------------------------------------------------------------------------------------


def _reference(trial: _Trial, card: DatasetCard) -> tuple[xr.Dataset, dict[str, Any]]:
    """Return the joint angles of a trial in the unit they were written in, and the history step."""
    if len(trial.angles) > 1:
        names = ", ".join(path.name for path in trial.angles)
        raise DataError(f"Expected one IK result named after the trial, found {names}; keep one.", where=trial.folder)
    path = trial.angles[0]
    table = read_sto(path)
    columns = [name for name in table.columns if name in schema.DOF_ALIASES]
    _refuse_angles(path, table, columns)
    values = table.values[:, [table.columns.index(name) for name in columns]]
    dofs = [schema.DOF_ALIASES[name] for name in columns]
    reference = angle_dataset(
        table.time, dofs, values, units="deg" if table.in_degrees else "rad", convention="opensim_coordinate",
        tier="simulation" if card.simulation else "optical_marker_ik", valid=np.isfinite(values),
    )  # fmt: skip
    return reference, {
        "step": "read_reference",
        "format": "OpenSim motion",
        "columns": dict(zip(columns, dofs, strict=True)),
        "dropped": [name for name in table.columns if name not in schema.DOF_ALIASES],
        "in_degrees": table.in_degrees,
    }


def _refuse_angles(path: Path, table: StoTable, columns: Sequence[str]) -> None:
    problems = []
    if table.values.ndim != 2 or not columns:
        raise DataError("Expected OpenSim coordinates such as 'knee_angle_r', found none.", where=path)
    if table.in_degrees is None:
        problems.append(
            "Neither 'inDegrees' nor the header's words say degrees or radians; add 'inDegrees=yes' or 'no'."
        )
    if not np.isfinite(table.time).all() or (np.diff(table.time) <= 0).any():
        problems.append("Expected a time column that rises at every row; it stands still, falls, or is not a number.")
    elif table.time.size < 2:
        problems.append("Expected at least two rows of angles, found one.")
    for name in columns:
        if name.startswith("knee_angle"):
            problems += _knee_problem(name, table)
    if problems:
        raise DataError(problems, where=path)


def _knee_problem(name: str, table: StoTable) -> list[str]:
    """Refuse a knee that flexes to negative angles: the gait2392 family's sign, not this study's model's."""
    values = table.values[:, table.columns.index(name)] * (1.0 if table.in_degrees else np.degrees(1.0))
    if not np.isfinite(values).any():
        return []
    low, high = np.nanpercentile(values, (5, 95))
    if low < -20 and high < 15:
        return [
            f"{name} lies between {low:.0f} and {high:.0f} degrees: flexion is negative, as in gait2392; the study's "
            "model (Rajagopal 2015) has it positive. Convert it with the lab adapter, which can declare the sign."
        ]
    return []


def _reference_rate(reference: xr.Dataset) -> dict[str, Any]:
    steps = np.diff(reference["time"].values)
    measured = float((reference["time"].size - 1) / (reference["time"].values[-1] - reference["time"].values[0]))
    return {
        "nominal_hz": round(1.0 / float(np.median(steps)), 3),
        "measured_hz": round(measured, 6),
        "regular": bool(np.ptp(steps) < 0.01 * np.median(steps)),
        "lost": 0,
    }


# --- files -----------------------------------------------------------------------------------------------------------


def _name(trial: _Trial, path: Path) -> str:
    return path.relative_to(trial.raw).as_posix() if path.is_relative_to(trial.raw) else path.name


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
