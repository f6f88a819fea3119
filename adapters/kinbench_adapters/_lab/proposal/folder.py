"""What lies in a raw folder: families of like files, looked at in a few of their members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kinbench.contracts import Progress
from kinbench_adapters._lab.patterns import list_files
from kinbench_adapters._lab.proposal.families import (
    Naming,
    name_files,
    sensors_by_difference,
    sensors_by_name,
    skeleton,
    unstamped,
)
from kinbench_adapters._lab.proposal.looks import Look, look_at, why_unread
from kinbench_adapters._lab.proposal.signals import Signals, find_signals

MOST_FILES = 20_000
MOST_FAMILIES = 200
MOST_RECORDINGS = 3
MOST_SENSORS = 24
_NO_RECORDINGS = {".md", ".pdf", ".xlsx", ".xls", ".docx", ".png", ".jpg", ".jpeg", ".osim", ".xml", ".yaml", ".yml",
                  ".py", ".m", ".zip", ".mp4", ".avi", ".json", ".html", ".vtp"}  # fmt: skip
_KEY = ("subject", "session", "trial")

Identity = tuple[str, str, str]


@dataclass(frozen=True)
class Family:
    """Files of one kind: their naming, and those that were looked at."""

    naming: Naming
    looks: Mapping[str, Look]
    signals: Mapping[str, Signals]
    """By file, where the kind holds sensors' signals."""

    @property
    def first(self) -> Look:
        """The first file looked at."""
        return next(iter(self.looks.values()))

    @property
    def how(self) -> str:
        """By what its signals were told."""
        return next(iter(self.signals.values())).how

    def by_recording(self) -> dict[Identity, dict[str, Look]]:
        """Return the files looked at, by recording and sensor ('' where a file is not one sensor's)."""
        found: dict[Identity, dict[str, Look]] = {}
        for name, look in self.looks.items():
            fields = self.naming.fields[name]
            key = (fields.get("subject", ""), fields.get("session", ""), fields.get("trial", ""))
            found.setdefault(key, {})[fields.get("sensor", "")] = look
        return found

    @property
    def rows(self) -> int:
        """How many samples of sensors were seen in the first recording."""
        return sum(look.rows * len(self.signals[name].of) for name, look in self.looks.items() if name in self.signals)


@dataclass(frozen=True)
class Surroundings:
    """A folder's families of files that hold numbers, the names of all its files, and those that could not be read."""

    families: tuple[Family, ...]
    names: tuple[str, ...]
    unread: Mapping[str, str]
    """By name: why, in a sentence."""

    @property
    def refusals(self) -> list[str]:
        """The files that could not be read, each with its sentence."""
        return [f"'{name}': {why}" for name, why in self.unread.items()]


def look_around(raw: Path, on_progress: Progress) -> Surroundings:
    """Return what lies in a folder."""
    names = [name for name in list_files(raw)[:MOST_FILES] if Path(name).suffix.lower() not in _NO_RECORDINGS]
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(skeleton(name), []).append(name)
    chosen = [*groups.values()][:MOST_FAMILIES]
    families: list[Family] = []
    unread: dict[str, str] = {}
    for done, group in enumerate(chosen):
        on_progress(done, len(chosen), group[0])
        families += _families(raw, group, unread)
    on_progress(len(chosen), len(chosen), "")
    return Surroundings(tuple(_merged(families)), tuple(names), unread)


def _families(raw: Path, names: Sequence[str], unread: dict[str, str]) -> list[Family]:
    """Return the family of like-named files, or several where their contents are of several kinds.

    ``unread`` gains those that could not be read although their ending is a reader's.
    """
    sensors = sensors_by_name(names)
    sampled = _sample(names, sensors)
    looks = {name: look for name in sampled if (look := look_at(raw / name, name)) is not None}
    absent = [name for name in sampled if name not in looks]
    empty = [name for name in names if name not in sampled and not (raw / name).stat().st_size]
    unread |= {name: why for name in (*absent, *empty) if (why := why_unread(raw / name)) is not None}
    kinds: dict[str, list[str]] = {}
    for name, look in looks.items():
        kinds.setdefault(_kind(look), []).append(name)
    if len(kinds) == 1 and not set(absent) - set(unread):
        return [_family(names, looks, sensors)]  # what could not be read is named as the others are
    return [_family(kind, {name: looks[name] for name in kind}, sensors_by_name(kind)) for kind in kinds.values()]


def _family(names: Sequence[str], looks: Mapping[str, Look], sensors: Mapping[str, str] | None) -> Family:
    signals = {name: found for name, look in looks.items() if (found := find_signals(look)) is not None}
    single = bool(signals) and all(_single(found) for found in signals.values())
    if sensors is None and single and len(names) > 1:
        sensors = sensors_by_difference(names)
    if signals and not single:
        sensors = None
    naming = name_files(names, sensors if signals else None)
    return Family(naming, looks, signals)


def _single(found: Signals) -> bool:
    """Whether a file is one sensor's, for all it says."""
    return len(found.of) == 1


def _kind(look: Look) -> str:
    columns = "" if look.vendor is not None else ",".join(look.columns)
    return f"{look.reader['name']} {columns} {look.reader.get('skip_rows')}"


def _sample(names: Sequence[str], sensors: Mapping[str, str] | None) -> list[str]:
    """Return the files of the first, the middle and the last recording."""
    if sensors is None:
        places = sorted({0, len(names) // 2, len(names) - 1})
        return [names[place] for place in places] if len(names) > MOST_SENSORS else list(names)
    recordings: dict[str, list[str]] = {}
    for name, plain in unstamped(names).items():
        head, _, tail = plain.rpartition(sensors[name])
        recordings.setdefault(f"{head}\0{tail}", []).append(name)
    keys = list(recordings)
    chosen = sorted({0, len(keys) // 2, len(keys) - 1}) if len(keys) > MOST_RECORDINGS else range(len(keys))
    return [name for place in chosen for name in recordings[keys[place]][:MOST_SENSORS]]


def _merged(families: Sequence[Family]) -> list[Family]:
    """Join the families that are one sensor each of the same kind: their names differ by a word we do not know."""
    found: list[Family] = []
    kinds: dict[str, list[Family]] = {}
    for family in _united(families):
        lonely = bool(family.signals) and "{sensor}" not in family.naming.pattern
        lonely = lonely and all(_single(held) for held in family.signals.values())
        if lonely:
            kinds.setdefault(_kind(family.first), []).append(family)
        else:
            found.append(family)
    for alike in kinds.values():
        names = [name for family in alike for name in family.naming.fields]
        sensors = sensors_by_difference(names) if len(alike) > 1 else None
        naming = None if sensors is None else name_files(names, sensors)
        if naming is None or not naming.pattern:
            found += alike
            continue
        looks = {name: look for family in alike for name, look in family.looks.items()}
        signals = {name: held for family in alike for name, held in family.signals.items()}
        found.append(Family(naming, looks, signals))
    return found


def _united(families: Sequence[Family]) -> list[Family]:
    """Join families whose names fit one pattern and whose files are of one kind."""
    alike: dict[tuple[str, str], list[Family]] = {}
    for place, family in enumerate(families):
        alike.setdefault((family.naming.pattern or str(place), _kind(family.first)), []).append(family)
    return [members[0] if len(members) == 1 else _one(members) for members in alike.values()]


def _one(members: Sequence[Family]) -> Family:
    naming = members[0].naming
    fields = {name: held for family in members for name, held in family.naming.fields.items()}
    looks = {name: look for family in members for name, look in family.looks.items()}
    signals = {name: found for family in members for name, found in family.signals.items()}
    return Family(Naming(naming.pattern, fields, naming.how), looks, signals)
