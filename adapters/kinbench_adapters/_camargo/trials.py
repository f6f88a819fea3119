"""Which trials there are, and of which files. Looks at names and at no file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kinbench.errors import DataError
from kinbench.recording import Key

MODES = {"treadmill": "walking_treadmill", "levelground": "walking", "ramp": "ramp", "stair": "stairs"}
"""The dataset's modes and the schema's activities."""
IMU, CYCLES, CONDITIONS = "imu", "gcRight", "conditions"
PEOPLE = "SubjectInfo.mat"
_PERSON = re.compile(r"AB\d{2}", re.IGNORECASE)
_DATE = re.compile(r"\d{1,2}_\d{1,2}_\d{2,4}")
_LEVEL = re.compile(r"(?:ramp|stair)_(\d+)_[lr]_", re.IGNORECASE)
_SPEED = re.compile(r"levelground_(?:cw|ccw)_(slow|normal|fast)_", re.IGNORECASE)
RAMPS_DEG: Mapping[int, float] = {1: 5.2, 2: 7.8, 3: 9.2, 4: 11.0, 5: 12.4, 6: 18.0}
STAIRS_M: Mapping[int, float] = {1: 0.1016, 2: 0.127, 3: 0.1524, 4: 0.1778}
"""What the number in a trial's name stands for, by the paper: ramps in degrees, stairs of 4, 5, 6 and 7 inches."""


@dataclass(frozen=True)
class Trial:
    """One trial: its ``mode`` and, per folder's name, its file; ``people`` is the table of the people, if any."""

    raw: Path
    key: Key
    mode: str
    files: Mapping[str, Path]
    people: Path | None

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files this trial is read from."""
        return (*self.files.values(), *(() if self.people is None else (self.people,)))

    def name_of(self, path: Path) -> str:
        """Return a file's name below the raw folder."""
        return path.relative_to(self.raw).as_posix()

    @property
    def level(self) -> int | None:
        """The number of the ramp or stair in the trial's name, None where it has none."""
        match = _LEVEL.match(self.key.trial)
        return None if match is None else int(match[1])

    @property
    def pace(self) -> str | None:
        """The word for the speed in the name of a trial on level ground, None elsewhere."""
        match = _SPEED.match(self.key.trial)
        return None if match is None else match[1].lower()


def find_trials(raw: Path, dataset: str, angles: str) -> list[Trial]:
    """Return every trial that has sensors or angles; raises ``DataError`` where there is none, or one comes twice.

    Names of trials differ in their capitals between people; a trial keeps the spelling of its files in small letters.
    """
    found: dict[Key, tuple[Path, str, dict[str, Path]]] = {}
    for folder in (IMU, angles):
        for path in sorted(raw.rglob(f"{folder}/*.mat")):
            mode, date = path.parent.parent, path.parent.parent.parent
            if mode.name.lower() not in MODES or not (
                _DATE.fullmatch(date.name) and _PERSON.fullmatch(date.parent.name)
            ):
                continue
            key = Key(dataset, date.parent.name.upper(), date.name, path.stem.lower())
            first, _, files = found.setdefault(key, (mode, mode.name.lower(), {}))
            if first != mode or folder in files:
                raise DataError(f"holds {key} twice, in {first} and {path}; keep one of them", where=raw)
            files[folder] = path
    if not found:
        raise DataError(
            f"holds no trial; expected <AB..>/<MM_DD_YY>/<{'|'.join(MODES)}>/{IMU}/<trial>.mat, and {angles}",
            where=raw,
        )
    trials = []
    for key, (folder_of_mode, mode_name, files) in found.items():
        for other in (CONDITIONS, CYCLES):
            beside = next(
                (p for p in sorted(folder_of_mode.glob(f"{other}/*.mat")) if p.stem.lower() == key.trial), None
            )
            files |= {} if beside is None else {other: beside}
        trials.append(Trial(raw, key, mode_name, files, _people(raw, folder_of_mode)))
    return sorted(trials, key=lambda trial: trial.key)


def _people(raw: Path, folder: Path) -> Path | None:
    """Return the table of the people that is nearest above a trial."""
    above = [place for place in folder.parents if place == raw or raw in place.parents]
    return next((place / PEOPLE for place in above if (place / PEOPLE).is_file()), None)
