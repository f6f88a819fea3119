"""Any laboratory's recordings, by a manifest (``kinbench.yaml``) that says what is in its files.

The manifest's grammar is ``_manifest``'s, explained in ``adapters/README.md``. Finding reads no signal; each recording
is read when its source is loaded, and one that cannot be read fails alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

from kinbench import schema
from kinbench.contracts import DatasetCard, RawDataset, Source
from kinbench.errors import DataError, UsageError
from kinbench.recording import Calibration, Declared, Key, Mask, Placement, Recording, Sync
from kinbench_adapters._file_patterns import Match, fields_of, list_files, match_files
from kinbench_adapters._manifest import (
    EXAMPLE,
    FILE_NAME,
    Manifest,
    Override,
    Person,
    Rotation,
    Sensor,
    SyncFacts,
    matrix_from_axes,
    read_manifest,
)
from kinbench_adapters._streams import WHOLE, ImuFiles, imu_stream, reference_beside_imu, reference_stream
from kinbench_adapters._tables import reader_for

Identity = tuple[str, str, str]
"""Subject, session, trial."""

_KEY_FIELDS = ("subject", "session", "trial")


@dataclass(frozen=True)
class _Plan:
    """All that is known of one recording before a signal is read."""

    manifest: Manifest
    file: Path
    root: Path
    key: Key
    imu: ImuFiles
    reference: tuple[Path, ...]
    override: Override

    @property
    def imu_paths(self) -> tuple[Path, ...]:
        """The imu files of the sensors that the manifest describes."""
        return self.imu.paths(self.manifest.imu.sensors)


class LabAdapter:
    """Reads a folder with a ``kinbench.yaml``. ``manifest`` names another file in it."""

    card = DatasetCard(
        name="lab",
        title="Any laboratory's own recordings",
        version="1",
        description="Text, arrays and OpenSim tables, as declared in a manifest in the folder. The shortest:\n\n"
        + EXAMPLE,
        licence="as the manifest says",
        redistributable=False,
        access="your own files",
        citation="as the manifest says",
    )
    version = "1"

    def __init__(self, manifest: str = FILE_NAME) -> None:
        self._manifest = manifest

    def find(self, raw: Path) -> RawDataset:
        """Return what the manifest in ``raw`` (a folder, or the manifest itself) describes.

        Raises ``UsageError`` when there is no folder or manifest, or the manifest has mistakes; ``DataError`` when no
        file fits its patterns.
        """
        file = self._locate(raw)
        manifest, root = read_manifest(file)
        listing = list_files(root)
        imu = _imu_files(manifest, root, listing)
        references, orphans = _references(manifest, root, listing, imu)
        overrides = _overrides(manifest, imu)
        sources = []
        for identity in imu:
            override = overrides[identity]
            if override.exclude is None:
                files = references.get(identity, ())
                plan = _Plan(manifest, file, root, Key(manifest.dataset.id, *identity), imu[identity], files, override)
                sources.append(Source(plan.key, (file, *plan.imu_paths, *files), partial(_load, plan, self.version)))
        sources += [Source(key, (path,), partial(_refuse_orphan, path)) for key, path in orphans]
        return RawDataset(_card(manifest), tuple(sorted(sources, key=lambda source: source.key)))

    def _locate(self, raw: Path) -> Path:
        if raw.is_file():
            return raw
        if not raw.is_dir():
            raise UsageError(f"there is no folder '{raw}'; give the folder that holds {self._manifest}")
        path = raw / self._manifest
        if not path.is_file():
            raise UsageError(f"there is no {self._manifest} in '{raw}'; 'kinbench info lab' shows the shortest one")
        return path


def _card(manifest: Manifest) -> DatasetCard:
    facts = manifest.dataset
    return DatasetCard(
        name=facts.id, title=facts.title or facts.id, version=facts.version, description=facts.description,
        licence=facts.licence, redistributable=facts.redistributable, access=facts.access, citation=facts.citation,
        url=facts.url, simulation=manifest.simulation,
    )  # fmt: skip


# --- finding ---------------------------------------------------------------------------------------------------------


def _imu_files(manifest: Manifest, root: Path, listing: Sequence[str]) -> dict[Identity, ImuFiles]:
    """Return the imu files of every recording; raises where none fit, or two claim one place."""
    found: dict[Identity, dict[str, dict[str, Path]]] = {}
    truths = _reference_paths(manifest, root, listing)
    for pattern in _imu_patterns(manifest):
        if manifest.imu.reader is None:
            reader_for(pattern, None)
        matches = [match for match in match_files(root, pattern, listing) if not _is_reference(manifest, match, truths)]
        if not matches:
            seen = f"; there are, for example, {', '.join(listing[:3])}" if listing else "; there is no file at all"
            raise DataError(f"no file fits the imu pattern '{pattern}'{seen}", where=root)
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


def _reference_paths(manifest: Manifest, root: Path, listing: Sequence[str]) -> set[Path]:
    pattern = None if manifest.reference is None else manifest.reference.files
    if pattern is None or pattern in _imu_patterns(manifest):
        return set()
    return {match.path for match in match_files(root, pattern, listing)}


def _is_reference(manifest: Manifest, match: Match, truths: Container[Path]) -> bool:
    """Whether a file that fits an imu pattern is a reference whose name merely looks like a sensor's."""
    return match.path in truths and match.fields.get("sensor") not in manifest.imu.sensors


def _imu_patterns(manifest: Manifest) -> tuple[str, ...]:
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


def _references(
    manifest: Manifest, root: Path, listing: Sequence[str], imu: Mapping[Identity, ImuFiles]
) -> tuple[dict[Identity, tuple[Path, ...]], list[tuple[Key, Path]]]:
    """Return the reference files of every recording, and those that belong to none."""
    reference = manifest.reference
    if reference is None or reference.files is None:
        return {}, []
    if reference.reader is None:
        reader_for(reference.files, None)
    matches = match_files(root, reference.files, listing)
    named = fields_of(reference.files)
    found: dict[Identity, tuple[Path, ...]] = {}
    for identity in imu:
        own = dict(zip(_KEY_FIELDS, identity, strict=True))
        found[identity] = tuple(m.path for m in matches if all(m.fields[name] == own[name] for name in named))
    used = {path for paths in found.values() for path in paths}
    orphans = [
        (Key(manifest.dataset.id, *_identity(manifest, match)), match.path)
        for match in matches
        if match.path not in used
    ]
    return found, orphans


def _refuse_orphan(path: Path) -> Recording:
    raise DataError("is a reference without imu files: no imu file has its subject, session and trial", where=path)


def _overrides(manifest: Manifest, imu: Iterable[Identity]) -> dict[Identity, Override]:
    """Return, per recording, what differs for it; raises where a pattern fits no recording."""
    identities = list(imu)
    names = {identity: "/".join(identity) for identity in identities}
    for pattern in manifest.recordings:
        if not any(fnmatchcase(name, pattern) for name in names.values()):
            raise UsageError(
                f"recordings: '{pattern}' fits no recording; there are {', '.join(sorted(names.values())[:5])}"
            )
    merged = {}
    for identity, name in names.items():
        facts: dict[str, Any] = {}
        for pattern, override in manifest.recordings.items():
            if fnmatchcase(name, pattern):
                facts |= {key: getattr(override, key) for key in override.model_fields_set}
        merged[identity] = Override.model_construct(**facts)
    return merged


# --- reading ---------------------------------------------------------------------------------------------------------


def _load(plan: _Plan, version: str) -> Recording:
    try:
        return _read(plan, version)
    except DataError as error:
        raise error if error.where is not None else DataError(error.problems, where=plan.key) from error


def _read(plan: _Plan, version: str) -> Recording:
    manifest = plan.manifest
    sensors = {name: _turned(sensor, plan.override.sensors.get(name)) for name, sensor in manifest.imu.sensors.items()}
    placements = [_placement(name, *pair, simulation=manifest.simulation) for name, pair in sensors.items()]
    truth, path = manifest.reference, _reference_path(plan)
    beside = truth if truth is not None and truth.files is None else None
    imu = imu_stream(manifest.imu, plan.imu, placements, beside=beside)
    reference = None
    if beside is not None:
        reference = reference_beside_imu(beside, manifest.imu, plan.imu, imu)
    elif truth is not None and path is not None:
        reference = reference_stream(truth, path, truth.files or "")
    strangers = plan.imu.strangers(manifest.imu.sensors)
    absent = {**imu.absent, **{f"sensor {name}": "the manifest does not describe it" for name in strangers}}
    if reference is None:
        absent["reference"] = _why_unlabelled(manifest)
    mended = [{"step": "clock", **imu.clock.mended}] if imu.clock.mended else []
    streams = {"imu": imu} if reference is None else {"imu": imu, "reference": reference}
    attrs = {
        **_facts(plan),
        "rates": {name: stream.clock.rates for name, stream in streams.items()},
        "source": _sources(plan, plan.imu_paths if path is None else (*plan.imu_paths, path)),
        "adapter": {"name": "lab", "version": version},
        "history": mended,
        "absent": absent,
    }
    quality = [*plan.override.quality, *_flags(plan)]
    if quality:
        attrs["quality"] = quality
    return Recording(
        plan.key, imu.data, None if reference is None else reference.data, attrs,
        _declared(plan, sensors, labelled=reference is not None),
    )  # fmt: skip


def _reference_path(plan: _Plan) -> Path | None:
    reference = plan.manifest.reference
    if reference is None or reference.files is None:
        return None
    if len(plan.reference) > 1:
        raise DataError(f"two references for one recording: {', '.join(path.name for path in plan.reference)}")
    if not plan.reference and not reference.optional:
        raise DataError(
            f"no file fits the reference pattern '{reference.files}' for this recording; write 'optional: true' under "
            "reference to keep it unlabelled"
        )
    return plan.reference[0] if plan.reference else None


def _why_unlabelled(manifest: Manifest) -> str:
    if manifest.reference is None:
        return "the manifest declares no reference"
    return f"no file fits '{manifest.reference.files}'"


def _turned(sensor: Sensor, override: Rotation | None) -> tuple[Sensor, Rotation]:
    """Return the sensor and the rotation that holds for this recording."""
    return sensor, override if override is not None and override.stated else sensor


def _placement(name: str, sensor: Sensor, rotation: Rotation, *, simulation: bool) -> Placement:
    matrix, origin = rotation.resolved()
    side = {"r": "right", "l": "left"}.get(sensor.segment.rpartition("_")[2], "midline")
    return Placement(
        sensor=name, segment=sensor.segment, side=side, site=sensor.site, level=sensor.level, rotation=matrix,
        rotation_origin=origin, attachment=sensor.attachment or ("virtual" if simulation else "unknown"),
        origin="synthetic" if simulation else "measured", device=sensor.device,
    )  # fmt: skip


def _facts(plan: _Plan) -> dict[str, Any]:
    manifest, key = plan.manifest, plan.key
    person = manifest.people.get(key.subject, Person())
    return {
        "schema_version": schema.SCHEMA_VERSION,
        "dataset": key.dataset,
        "dataset_version": manifest.dataset.version,
        "subject": key.subject,
        "session": key.session,
        "trial": key.trial,
        "person": person.alias or key.person,
        "person_table": {name: getattr(person, name) for name in schema.PERSON_FIELDS},
        "activity": plan.override.activity or manifest.activity,
        "licence": {"id": manifest.dataset.licence, "redistributable": manifest.dataset.redistributable},
        "world": _world(manifest),
        "simulation": manifest.simulation,
    }


def _world(manifest: Manifest) -> str:
    reference = manifest.reference
    known = reference is not None and reference.quat is not None and reference.quat.forward is not None
    return "Y up, X forward" if known else "Y up, heading arbitrary"


def _flags(plan: _Plan) -> list[str]:
    """Return ``sensor:flag`` for every doubt the manifest casts on a sensor."""
    flags = []
    for name, sensor in plan.manifest.imu.sensors.items():
        override = plan.override.sensors.get(name)
        told = override.quality if override is not None and override.quality else sensor.quality
        flags += [f"{name}:{flag}" for flag in told]
    return flags


def _declared(plan: _Plan, sensors: Mapping[str, tuple[Sensor, Rotation]], *, labelled: bool) -> Declared:
    manifest = plan.manifest
    calibrations = {
        name: Calibration(**rotation.calibrate.model_dump())
        for name, (_, rotation) in sensors.items()
        if rotation.calibrate is not None
    }
    quat = manifest.imu.quat
    mt = manifest.imu.reader is not None and manifest.imu.reader.name == "mt_manager"
    inputs: dict[str, Any] = {"imu_up": "z"} if mt else {}
    if quat is not None:
        inputs = {"imu_up": quat.up, "quat_order": quat.order, "quat_maps": quat.maps}
    if not labelled:
        return Declared(**inputs, calibrations=calibrations)
    return Declared(
        **inputs, **_declared_reference(plan), calibrations=calibrations,
        sync=_sync(plan.override.sync or manifest.sync),
    )  # fmt: skip


def _declared_reference(plan: _Plan) -> dict[str, Any]:
    reference = plan.manifest.reference
    if reference is None:
        return {}
    world = reference.quat
    facts: dict[str, Any] = {
        "segment_axes": {name: matrix_from_axes(s.axes) for name, s in reference.segments.items()},
        "dof_scale": {name: -1.0 for name, angle in reference.angles.items() if angle.sign == "-1"},
        "dof_zero_deg": {name: angle.zero_deg for name, angle in reference.angles.items() if angle.zero_deg},
        "masks": tuple(Mask(*mask.span_s, mask.reason, mask.dofs) for mask in (*reference.masks, *plan.override.masks)),
    }
    if world is not None:
        facts |= {
            "reference_up": world.up, "reference_forward": world.forward, "segment_quat_order": world.order,
            "segment_quat_maps": world.maps,
        }  # fmt: skip
    return facts


def _sync(facts: SyncFacts | None) -> Sync:
    if facts is None:
        return Sync("same_clock")
    return Sync(facts.method, facts.offset_s, facts.search_s)


def _sources(plan: _Plan, paths: Iterable[Path]) -> list[dict[str, str]]:
    """Return the bytes a recording came from: its files, and the manifest, which decides what they mean."""
    named = {plan.file.name: plan.file} | {path.relative_to(plan.root).as_posix(): path for path in paths}
    found = [{"name": name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for name, path in named.items()]
    return sorted(found, key=lambda source: source["name"])
