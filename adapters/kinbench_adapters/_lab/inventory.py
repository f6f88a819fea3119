"""What recordings there are: each one's files, by the manifest's patterns, and what differs for it. Reads no signal."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from kinbench import schema
from kinbench.errors import DataError, UsageError, suggest
from kinbench.recording import Key
from kinbench_adapters._lab.grammar.dataset import Person
from kinbench_adapters._lab.grammar.files import Files, Reader, reader_for
from kinbench_adapters._lab.grammar.recordings import Override
from kinbench_adapters._lab.inside import places
from kinbench_adapters._lab.manifest import Manifest
from kinbench_adapters._lab.patterns import Match, fields_of, list_files, match_files
from kinbench_adapters._lab.people import read_people

Identity = tuple[str, str, str]
"""Subject, session, trial."""

WHOLE = ""
"""Stands for the sensor's name where one file holds all sensors."""

_KEY_FIELDS = ("subject", "session", "trial")


@dataclass(frozen=True)
class ImuFiles:
    """The imu files of one recording: per pattern, the file of each sensor, or one under ``WHOLE``."""

    by_pattern: Mapping[str, Mapping[str, Path]]

    def paths(self, sensors: Collection[str]) -> tuple[Path, ...]:
        """Return every file of these sensors once, in order."""
        wanted = {WHOLE, *sensors}
        return tuple(
            sorted({path for files in self.by_pattern.values() for name, path in files.items() if name in wanted})
        )

    def strangers(self, sensors: Collection[str]) -> tuple[str, ...]:
        """Return the sensors that have files and are not among ``sensors``."""
        return tuple(sorted({name for files in self.by_pattern.values() for name in files} - {WHOLE, *sensors}))

    def of(self, pattern: str, sensors: Mapping[str, object]) -> dict[str, Path]:
        """Return the file of each sensor; raises ``DataError`` naming those that have none."""
        files = self.by_pattern.get(pattern, {})
        if not files:
            raise DataError(f"no file fits '{pattern}' for this recording")
        if WHOLE in files:
            return dict.fromkeys(sensors, files[WHOLE])
        absent = [name for name in sensors if name not in files]
        if absent:
            raise DataError(
                f"sensor '{name}' is in the manifest, but no file fits '{pattern}' for it."
                f"{suggest(name, [other for other in files if other not in sensors])}"
                for name in absent
            )
        return {sensor: files[sensor] for sensor in sensors}


@dataclass(frozen=True)
class Plan:
    """All that is known of one recording before a signal is read."""

    manifest: Manifest
    file: Path
    root: Path
    key: Key
    imu: ImuFiles
    parts: Mapping[str, tuple[Path, ...]]
    """The files that fit each part of the reference: ``PARTS``."""
    override: Override
    person: Person
    people: tuple[Path, ...] = ()
    """The person table, where one is declared."""
    model: Path | None = None
    """The scaled model that is to follow the reference's markers, whether or not it is there."""

    @property
    def reference(self) -> tuple[Path, ...]:
        """The files of the reference itself."""
        return self.parts.get("reference", ())

    @property
    def imu_paths(self) -> tuple[Path, ...]:
        """The imu files of the sensors that the manifest describes."""
        return self.imu.paths(self.manifest.sensors)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file that decides what the recording is, the manifest first."""
        truth = (path for paths in self.parts.values() for path in paths)
        return tuple(dict.fromkeys((self.file, *self.imu_paths, *truth, *self.models, *self.people)))

    @property
    def models(self) -> tuple[Path, ...]:
        """The model, where one is asked for, is there, and has markers to follow."""
        return (self.model,) if self.model is not None and self.reference and self.model.is_file() else ()


def take_inventory(manifest: Manifest, file: Path, root: Path) -> tuple[list[Plan], list[tuple[Key, Path]]]:
    """Return a plan for every recording that is not excluded, and the references that belong to none.

    Raises ``DataError`` where no file fits a pattern, ``UsageError`` where the patterns cannot be told apart.
    """
    listing = list_files(root)
    imu = _imu_files(manifest, root, listing) if manifest.imu is not None else _without_imu(manifest, root, listing)
    parts, orphans = _reference_parts(manifest, root, listing, imu)
    overrides = _overrides(manifest, imu, file)
    people, table = _people(manifest, root, {subject for subject, *_ in imu})
    plans = []
    for identity in imu:
        override = overrides[identity]
        if override.exclude is None:
            key = Key(manifest.dataset.id, *identity)
            person = merged(people.get(identity[0]), manifest.people.get(identity[0]))
            plans.append(
                Plan(
                    _resolved(manifest, identity), file, root, key, imu[identity], parts[identity], override, person,
                    table, _model(manifest, root, identity),
                )
            )  # fmt: skip
    return plans, orphans


def _people(manifest: Manifest, root: Path, subjects: Collection[str]) -> tuple[dict[str, Person], tuple[Path, ...]]:
    """Return the people of the person table, by subject, and its path."""
    if manifest.person_table is None:
        return {}, ()
    path = root / manifest.person_table.files
    if not path.is_file():
        raise UsageError(f"person_table: there is no file '{path}'")
    return read_people(manifest.person_table, path, subjects), (path,)


def merged(told: Person | None, written: Person | None) -> Person:
    """Return the person as told, and as written by whoever knew better where that says more or something else."""
    facts = {} if told is None else told.model_dump(exclude_unset=True)
    return Person(**facts) if written is None else Person(**(facts | written.model_dump(exclude_unset=True)))


def _model(manifest: Manifest, root: Path, identity: Identity) -> Path | None:
    """Return where the recording's OpenSim model should be, None where none is asked for."""
    reference = manifest.reference
    if reference is None or reference.opensim_ik is None:
        return None
    return root / reference.opensim_ik.model.format(**dict(zip(_KEY_FIELDS, identity, strict=True)))


def _imu_files(manifest: Manifest, root: Path, listing: Sequence[str]) -> dict[Identity, ImuFiles]:
    """Return the imu files of every recording; raises where none fit, or two claim one place."""
    found: dict[Identity, dict[str, dict[str, Path]]] = {}
    truths = _reference_paths(manifest, root, listing)
    for pattern in _imu_patterns(manifest):
        if manifest.imu is not None and manifest.imu.reader is None:
            reader_for(pattern, None)
        matches = [match for match in match_files(root, pattern, listing) if not _is_reference(manifest, match, truths)]
        matches = _inside(matches, None if manifest.imu is None else manifest.imu.reader)
        if not matches:
            raise DataError(f"no file fits the imu pattern '{pattern}'; {_seen(listing)}", where=root)
        for match in matches:
            identity = _identity(manifest, match)
            files = found.setdefault(identity, {}).setdefault(pattern, {})
            sensor = match.fields.get("sensor", WHOLE)
            if sensor in files:
                raise UsageError(
                    f"'{files[sensor]}' and '{match.path}' are both {'/'.join(identity)} {sensor} by the pattern "
                    f"'{pattern}'; name what tells them apart ({{session}}, {{trial}}, {{sensor}})"
                )
            files[sensor] = match.path
    return {identity: ImuFiles(files) for identity, files in found.items()}


PARTS = ("reference", "markers", "static", "grf")
"""What of a reference may stand in files of its own."""


def _patterns(manifest: Manifest) -> dict[str, tuple[str, Reader | None]]:
    """Return the file pattern and the reader of every part of the reference that has files of its own."""
    reference = manifest.reference
    if reference is None:
        return {}
    markers = reference.markers
    files: tuple[Files | None, ...] = (
        reference, markers, None if markers is None else markers.static, reference.grf,
    )  # fmt: skip
    return {
        part: (of.files, of.reader)
        for part, of in zip(PARTS, files, strict=True)
        if of is not None and of.files is not None
    }


def _inside(matches: Sequence[Match], reader: Reader | None) -> list[Match]:
    """Return the recordings inside the files, each as a match of its file, where files hold several."""
    if reader is None or reader.each is None:
        return list(matches)
    return [
        Match(match.path, {**match.fields, **fields}) for match in matches for fields in places(match.path, reader.each)
    ]


def _resolved(manifest: Manifest, identity: Identity) -> Manifest:
    """Return the manifest for one recording: readers of files that hold several read that one."""
    fields = dict(zip(_KEY_FIELDS, identity, strict=True))
    changed: dict[str, Any] = {}
    for name, files in (("imu", manifest.imu), ("reference", manifest.reference)):
        if files is not None and files.reader is not None and files.reader.each is not None:
            changed[name] = files.model_copy(update={"reader": files.reader.at(fields)})
    return manifest.model_copy(update=changed) if changed else manifest


def _reference_paths(manifest: Manifest, root: Path, listing: Sequence[str]) -> set[Path]:
    patterns = [pattern for pattern, _ in _patterns(manifest).values() if pattern not in _imu_patterns(manifest)]
    return {match.path for pattern in patterns for match in match_files(root, pattern, listing)}


def _seen(listing: Sequence[str]) -> str:
    """Return what there is instead of the files looked for; a manifest is none of them."""
    others = [name for name in listing if not name.endswith((".yaml", ".yml"))]
    return f"there are, for example, {', '.join(others[:3])}" if others else "there is no file at all"


def _without_imu(manifest: Manifest, root: Path, listing: Sequence[str]) -> dict[Identity, ImuFiles]:
    """Return the recordings of a lab without sensors: those of whom the first part of the reference has files."""
    patterns = _patterns(manifest)
    part = next(name for name in PARTS if name in patterns and name != "static")
    pattern, reader = patterns[part]
    static = {match.path for match in match_files(root, patterns["static"][0], listing)} if "static" in patterns else ()
    matches = _inside([match for match in match_files(root, pattern, listing) if match.path not in static], reader)
    if not matches:
        raise DataError(f"no file fits the reference pattern '{pattern}'; {_seen(listing)}", where=root)
    return {_identity(manifest, match): ImuFiles({}) for match in matches}


def _is_reference(manifest: Manifest, match: Match, truths: Container[Path]) -> bool:
    """Whether a file that fits an imu pattern is a reference whose name merely looks like a sensor's."""
    return match.path in truths and match.fields.get("sensor") not in manifest.sensors


def _imu_patterns(manifest: Manifest) -> tuple[str, ...]:
    if manifest.imu is None:
        return ()
    own = [signal.files for signal in manifest.imu.signals.values()]
    patterns = [manifest.imu.files if name is None else name for name in own] or [manifest.imu.files]
    return tuple(dict.fromkeys(pattern for pattern in patterns if pattern is not None))


def _identity(manifest: Manifest, match: Match) -> Identity:
    usual = {"session": "1", "trial": "1"} | {str(name): value for name, value in manifest.fields.items()}
    values = {name: match.fields.get(name) or usual.get(name) for name in _KEY_FIELDS}
    if values["subject"] is None:
        raise UsageError(
            "no file pattern holds {subject} and 'fields:' does not give it; a recording needs to be somebody's"
        )
    wrong = [name for name, value in values.items() if not schema.IDENTIFIER.fullmatch(str(value))]
    if wrong:
        raise UsageError(
            f"'{match.path}': {wrong[0]} '{values[wrong[0]]}' is no identifier (letters, digits and . _ + -); "
            "widen the pattern with * so that the field holds less"
        )
    return str(values["subject"]), str(values["session"]), str(values["trial"])


def _reference_parts(
    manifest: Manifest, root: Path, listing: Sequence[str], imu: Mapping[Identity, ImuFiles]
) -> tuple[dict[Identity, dict[str, tuple[Path, ...]]], list[tuple[Key, Path]]]:
    """Return every recording's reference files by part, and those of the reference itself that belong to none."""
    parts: dict[Identity, dict[str, tuple[Path, ...]]] = {identity: {} for identity in imu}
    orphans: list[tuple[Key, Path]] = []
    patterns = _patterns(manifest)
    for part in sorted(patterns, key=("static", *PARTS).index):  # a standing trial may bear a moving one's name
        pattern, reader = patterns[part]
        if reader is None:
            reader_for(pattern, None)
        elsewhere = {path for other in parts.values() for path in other.get("static", ())}
        matches = [match for match in match_files(root, pattern, listing) if match.path not in elsewhere]
        matches = _inside(matches, reader)
        named = fields_of(pattern) | fields_of("" if reader is None or reader.each is None else reader.each)
        for identity, files in parts.items():
            own = dict(zip(_KEY_FIELDS, identity, strict=True))
            files[part] = tuple(m.path for m in matches if all(m.fields[name] == own[name] for name in named))
        if part == "reference":
            used = {path for files in parts.values() for path in files[part]}
            orphans += [
                (Key(manifest.dataset.id, *_identity(manifest, match)), match.path)
                for match in matches
                if match.path not in used
            ]
    return parts, orphans


def _overrides(manifest: Manifest, imu: Iterable[Identity], file: Path) -> dict[Identity, Override]:
    """Return, per recording, what differs for it; raises where a pattern fits no recording."""
    identities = list(imu)
    names = {identity: "/".join(identity) for identity in identities}
    for pattern in manifest.recordings:
        if not any(fnmatchcase(name, pattern) for name in names.values()):
            raise UsageError(
                f"{file}: recordings: '{pattern}' fits no recording; there are {', '.join(sorted(names.values())[:5])}"
            )
    merged = {}
    for identity, name in names.items():
        facts: dict[str, Any] = {}
        for pattern, override in manifest.recordings.items():
            if fnmatchcase(name, pattern):
                facts |= {key: getattr(override, key) for key in override.model_fields_set}
        merged[identity] = Override.model_construct(**facts)
    return merged
