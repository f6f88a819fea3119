"""Which trials there are, and of which files. Looks at names and at no signal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from kinbench.errors import DataError
from kinbench.recording import Key

SESSION = "laboratory"
"""Everybody came once."""
SPEEDS = {"slow": "slow", "comf": "comfortable", "fast": "fast"}
_NAME = r"(?P<trial>(?P<side>[lr])_(?P<speed>slow|comf|fast)_\d+)"
_MARKERS = re.compile(_NAME + r"\.c3d", re.IGNORECASE)
_SENSORS = re.compile(rf"data_{_NAME}\.mat", re.IGNORECASE)
_PERSON = re.compile(r"\d{2}")


@dataclass(frozen=True)
class Trial:
    """One walk: ``side`` and ``speed`` are what its name says, either file may be absent."""

    raw: Path
    key: Key
    side: str
    speed: str
    markers: Path | None
    sensors: Path | None

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files this trial is read from."""
        return tuple(path for path in (self.sensors, self.markers) if path is not None)

    def name_of(self, path: Path) -> str:
        """Return a file's name below the raw folder."""
        return path.relative_to(self.raw).as_posix()


def find_trials(raw: Path, dataset: str) -> list[Trial]:
    """Return every walk below ``raw``; raises ``DataError`` where there is none, or one comes twice."""
    markers = _files(raw, "mocap", _MARKERS)
    sensors = _files(raw, "imu_extracted", _SENSORS)
    trials = []
    for person, name in {**markers, **sensors}:
        side, speed, _ = name.split("_", 2)
        key = Key(dataset, person, SESSION, name)
        found = markers.get((person, name)), sensors.get((person, name))
        trials.append(Trial(raw, key, {"l": "left", "r": "right"}[side], SPEEDS[speed], *found))
    if not trials:
        raise DataError(
            "holds no trial; expected NN/mocap/<l|r>_<slow|comf|fast>_<k>.c3d and NN/imu_extracted/data_<trial>.mat, "
            "unpacked from the archives",
            where=raw,
        )
    return sorted(trials, key=lambda trial: trial.key)


def _files(raw: Path, folder: str, pattern: re.Pattern[str]) -> dict[tuple[str, str], Path]:
    found: dict[tuple[str, str], Path] = {}
    for path in sorted(raw.rglob(f"{folder}/*")):
        match, person = pattern.fullmatch(path.name), path.parent.parent.name
        if match is None or not _PERSON.fullmatch(person):
            continue
        first = found.setdefault((person, match["trial"].lower()), path)
        if first != path:
            raise DataError(f"holds {path.name} of person {person} twice, as {first} and {path}", where=raw)
    return found
