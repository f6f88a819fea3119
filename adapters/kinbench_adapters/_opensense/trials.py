"""Which trials a folder holds, in any of the known layouts. Opens the sensor mappings and no signal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kinbench.errors import DataError
from kinbench.recording import Key, Recording
from kinbench_adapters._formats.imu_mapping import ImuMapping, read_mapping
from kinbench_adapters._opensense.mounts import segment_of

LAYOUTS = """expected one of:
  SubjectNN/<walking|complexTasks>/IMU/{myIMUMappings_<trial>.xml, xsens/LowerExtremity/MT_*.txt}
      with Mocap/{<trial>.trc, ikResults/<trial>_IK.mot} beside IMU (the study);
  SubjectNN/<trial>/{myIMUMappings_<trial>.xml, <trial>.trc, imu data/MT_*.txt} (its re-release);
  a folder with myIMUMappings.xml and MT_*.txt, the latter there or in IMUData/ (OpenSim's example)"""

_SUBJECT = re.compile(r"subject[ _-]?\d+", re.IGNORECASE)
_TEXT_FOLDERS = ("xsens/lowerextremity", "lowerextremity", "imu data", "imudata", ".")
_STUDY_TEXT_FOLDER = "xsens/LowerExtremity"


@dataclass(frozen=True)
class Trial:
    """One trial's folders, before a file is opened."""

    raw: Path
    xml: Path
    folder: Path
    text_folder: Path
    key: Key
    angles: tuple[Path, ...]
    markers: tuple[Path, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files a trial is made of, as far as its mapping can be read."""
        try:
            mapping = read_mapping(self.xml)
        except DataError:
            return (self.xml, *self.angles, *self.markers)
        known = [self.text_file(mapping, name) for name, frame in mapping.sensors if segment_of(frame) is not None]
        return (self.xml, *known, *self.angles, *self.markers)

    def text_file(self, mapping: ImuMapping, name: str) -> Path:
        """Return the export of the sensor that the mapping calls ``name``."""
        return self.text_folder / f"{mapping.trial_prefix}{name}.txt"

    def name_of(self, path: Path) -> str:
        """Return a file's or folder's name as people see it: below the raw folder where it stands there."""
        return path.relative_to(self.raw).as_posix() if path.is_relative_to(self.raw) else path.name


@dataclass(frozen=True)
class Unmapped:
    """A trial whose exports are there (``paths``), and no sensor mapping in ``folder`` to say what they are of."""

    key: Key
    folder: Path
    paths: tuple[Path, ...]

    def refuse(self) -> Recording:
        """Raise the ``DataError`` that says what is missing, and where it is expected."""
        raise DataError(
            f"Expected a sensor mapping (myIMUMappings*.xml) for {len(self.paths)} exports such as "
            f"'{self.paths[0].name}', found none; put it into this folder, or write a manifest and convert them with "
            "the lab adapter.",
            where=self.folder,
        )


def find_trials(raw: Path, dataset: str) -> tuple[list[Trial], list[Unmapped]]:
    """Return the trials below ``raw``, and those that lack their mapping, each in natural order.

    Raises ``DataError`` when there is none of either, or two would have one name.
    """
    trials = sorted(_trials(raw, dataset), key=lambda trial: trial.key)
    _refuse_twins(trials)
    unmapped = _unmapped(raw, dataset, trials)
    if not trials and not unmapped:
        raise DataError(f"Found no sensor mapping (myIMUMappings*.xml) below this folder; {LAYOUTS}", where=raw)
    return trials, unmapped


def _unmapped(raw: Path, dataset: str, trials: Sequence[Trial]) -> list[Unmapped]:
    """Return the folders with exports that no mapping claims; copies of one trial count once."""
    homes = {trial.xml.parent for trial in trials}
    claimed = {trial.text_folder for trial in trials}
    known = {trial.key for trial in trials}
    found: dict[Key, Unmapped] = {}
    for folder, paths in _export_folders(raw).items():
        home = _home(folder)
        if home in homes or folder in claimed or not home.is_relative_to(raw):
            continue
        key = _unmapped_key(raw, dataset, home, paths[0])
        if key not in known:
            found.setdefault(key, Unmapped(key, home, paths))
    return sorted(found.values(), key=lambda trial: trial.key)


def _export_folders(raw: Path) -> dict[Path, tuple[Path, ...]]:
    found: dict[Path, tuple[Path, ...]] = {}
    for path in sorted(raw.rglob("MT_*.txt")):
        found[path.parent] = (*found.get(path.parent, ()), path)
    return found


def _home(folder: Path) -> Path:
    """Return the folder whose mapping would be that of the exports in ``folder``: its IMU folder, if it has one."""
    for place in (folder, *folder.parents):
        if place.name.lower() == "imu":
            return place
        if _SUBJECT.fullmatch(place.name):
            break
    for name in _TEXT_FOLDERS[:-1]:
        parts = name.split("/")
        if [part.lower() for part in folder.parts[-len(parts) :]] == parts:
            return folder.parents[len(parts) - 1]
    return folder


def _unmapped_key(raw: Path, dataset: str, home: Path, export: Path) -> Key:
    in_study = home.name.lower() == "imu"
    subject = _subject(raw, home)
    trial = (home.parent if in_study else home).name
    if not in_study and subject is None:
        trial = export.stem.rpartition("_")[0]
    return Key(dataset, _identifier(subject or home.name), "1", _identifier(trial))


def _trials(raw: Path, dataset: str) -> Iterator[Trial]:
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
            angles, markers = _angle_files(trial_folder, trial), _marker_files(trial_folder, trial)
            yield Trial(raw, xml, trial_folder, text, key, angles, markers)


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


def _marker_files(trial_folder: Path, trial: str) -> tuple[Path, ...]:
    """Return the markers of a trial in motion, from ``Mocap/`` or beside the mapping: the file of its name, else all.

    A file with 'static' in its name holds another moment, and is left out.
    """
    for folder in (_below(trial_folder, "mocap"), trial_folder):
        found = [] if folder is None else [p for p in sorted(folder.iterdir()) if p.suffix.lower() == ".trc"]
        found = [p for p in found if "static" not in p.stem.lower()]
        if found:
            return tuple(p for p in found if p.stem.lower() == trial.lower()) or tuple(found)
    return ()


def _refuse_twins(trials: Sequence[Trial]) -> None:
    first: dict[Key, Path] = {}
    for trial in trials:
        if trial.key in first:
            raise DataError(
                f"Two trials would both be '{trial.key}': {first[trial.key]} and {trial.xml}; keep one, or convert "
                "the folders apart.",
                where=trial.raw,
            )
        first[trial.key] = trial.xml
