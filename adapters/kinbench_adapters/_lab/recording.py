"""One recording as its manifest declares it: the streams, what is said of them, and what is to be done with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kinbench import schema
from kinbench.contracts import DatasetCard
from kinbench.errors import DataError
from kinbench.recording import Calibration, Declared, Mask, Placement, Recording, Sync
from kinbench_adapters._attributes import identity, sources
from kinbench_adapters._lab.grammar.directions import matrix_from_axes
from kinbench_adapters._lab.grammar.recordings import SyncFacts
from kinbench_adapters._lab.grammar.sensors import Calibrate, Rotation, Sensor
from kinbench_adapters._lab.grammar.values import AUTO
from kinbench_adapters._lab.inventory import Plan, merged
from kinbench_adapters._lab.manifest import Manifest
from kinbench_adapters._lab.people import person_in
from kinbench_adapters._lab.references import columns_beside, read_reference
from kinbench_adapters._lab.streams import Stream, imu_stream
from kinbench_adapters._lab.text import load_text
from kinbench_adapters._lab.wearing import side_of

_MISSED = re.compile(r"there is no column '(?P<name>[^']+)'")

def load(plan: Plan, card: DatasetCard, version: str) -> Recording:
    """Read one recording; raises ``DataError`` that names it, with all that is wrong with it.

    A column that is not there may be misspelt in the manifest as well: its line is told.
    """
    try:
        return _read(plan, card, version)
    except DataError as error:
        problems = [problem + _asked_for(problem, plan.file) for problem in error.problems]
        raise type(error)(problems, where=plan.key if error.where is None else error.where) from error


def _asked_for(problem: str, manifest: Path) -> str:
    """Return where the manifest asks for the column that a problem misses; nothing for any other problem."""
    missed = _MISSED.search(problem)
    lines = [] if missed is None else load_text(manifest).lines_of(missed["name"])
    return "".join(f" {manifest.name}:{line} asks for it." for line in lines[:1])


def _read(plan: Plan, card: DatasetCard, version: str) -> Recording:
    manifest = plan.manifest
    sensors = {name: _turned(sensor, plan.override.sensors.get(name)) for name, sensor in manifest.sensors.items()}
    imu = _imu(plan, sensors)
    if imu is not None and manifest.person_columns:
        person = merged(person_in(manifest.person_columns, imu.tables.values()), plan.person)
        plan = replace(plan, person=person)
    reference = read_reference(plan, imu)
    streams = {name: found for name, found in (("imu", imu), ("reference", reference)) if found is not None}
    mended = [] if imu is None or not imu.clock.mended else [{"step": "clock", **imu.clock.mended}]
    attrs = {
        **_facts(plan, card),
        "rates": {name: stream.clock.rates for name, stream in streams.items()},
        "source": _sources(plan, plan.paths),
        "adapter": {"name": "lab", "version": version},
        "history": [*mended, *(() if reference is None else reference.steps)],
        "absent": _absent(plan, imu, reference),
    }
    quality = [*plan.override.quality, *_flags(plan), *(() if reference is None else reference.doubts)]
    if quality:
        attrs["quality"] = quality
    return Recording(
        plan.key, None if imu is None else imu.data, None if reference is None else reference.data, attrs,
        _declared(plan, sensors, reference),
    )  # fmt: skip


def _imu(plan: Plan, sensors: Mapping[str, tuple[Sensor, Rotation]]) -> Stream | None:
    manifest = plan.manifest
    if manifest.imu is None:
        return None
    placements = [_placement(name, *pair, simulation=manifest.simulation) for name, pair in sensors.items()]
    beside = [*columns_beside(manifest), *manifest.person_columns.values()]
    return imu_stream(manifest.imu, plan.imu, placements, beside=beside)


def _absent(plan: Plan, imu: Stream | None, reference: Stream | None) -> dict[str, str]:
    """Return what the recording lacks, each with the reason."""
    manifest = plan.manifest
    strangers = plan.imu.strangers(manifest.sensors)
    absent = {} if imu is None else dict(imu.absent)
    absent |= {f"sensor {name}": "the manifest does not describe it" for name in strangers}
    if imu is None and (reference is None or reference.virtual is None):
        absent["imu"] = "the manifest declares neither sensors nor virtual ones"
    if manifest.person_table is not None and not plan.person.model_fields_set:
        absent["person"] = f"{manifest.person_table.files} has no row of '{plan.key.subject}'"
    if reference is None:
        absent["reference"] = _why_unlabelled(manifest)
        return absent
    absent |= reference.absent
    truth = manifest.reference
    if truth is not None and truth.angles and "angle" not in reference.data:
        absent["angle"] = _why_unlabelled(manifest)
    return absent


def _why_unlabelled(manifest: Manifest) -> str:
    if manifest.reference is None:
        return "the manifest declares no reference"
    return f"no file fits '{manifest.reference.files}'"


def _turned(sensor: Sensor, override: Rotation | None) -> tuple[Sensor, Rotation]:
    """Return the sensor and the rotation that holds for this recording."""
    return sensor, override if override is not None and override.stated else sensor


def _placement(name: str, sensor: Sensor, rotation: Rotation, *, simulation: bool) -> Placement:
    matrix, origin = rotation.resolved()
    attachment = sensor.attachment or ("virtual" if simulation else "unknown")
    return Placement(
        sensor=name, segment=sensor.segment, side=side_of(sensor.segment), site=sensor.site, level=sensor.level,
        rotation=matrix, rotation_origin=origin, attachment=attachment,
        origin="synthetic" if attachment == "virtual" else "measured", device=sensor.device,
    )  # fmt: skip


def _facts(plan: Plan, card: DatasetCard) -> dict[str, Any]:
    manifest, key, person, told = plan.manifest, plan.key, plan.person, _activity(plan)
    return {
        **identity(key, card, person=person.alias or key.person, activity="mixed" if told == AUTO else told),
        "person_table": {name: getattr(person, name) for name in schema.PERSON_FIELDS},
        "world": _world(manifest),
    }


def _activity(plan: Plan) -> str:
    """Return what the author says of what is done, which may be that nobody said it (``AUTO``)."""
    return plan.override.activity or plan.manifest.activity


def _world(manifest: Manifest) -> str:
    world = None if manifest.reference is None else manifest.reference.directions
    known = world is not None and world.forward is not None
    return "Y up, X forward" if known else "Y up, heading arbitrary"


def _flags(plan: Plan) -> list[str]:
    """Return ``sensor:flag`` for every doubt the manifest casts on a sensor."""
    flags = []
    for name, sensor in plan.manifest.sensors.items():
        override = plan.override.sensors.get(name)
        told = override.quality if override is not None and override.quality else sensor.quality
        flags += [f"{name}:{flag}" for flag in told]
    return flags


def _declared(plan: Plan, sensors: Mapping[str, tuple[Sensor, Rotation]], reference: Stream | None) -> Declared:
    manifest = plan.manifest
    calibrations = {
        name: Calibration(**rotation.calibrate.model_dump())
        for name, (_, rotation) in sensors.items()
        if isinstance(rotation.calibrate, Calibrate)
    }
    automatic = tuple(name for name, (_, rotation) in sensors.items() if rotation.calibrate == AUTO)
    inputs = _declared_quaternions(manifest) | {
        "calibrations": calibrations, "automatic": automatic, "label_activities": _activity(plan) == AUTO,
    }  # fmt: skip
    if reference is None:
        return Declared(**inputs)
    sync = Sync("same_clock") if manifest.imu is None else _sync(plan.override.sync or manifest.sync)
    return Declared(**inputs, **_declared_reference(plan, reference), sync=sync, virtual=reference.virtual)


def _declared_quaternions(manifest: Manifest) -> dict[str, Any]:
    if manifest.imu is None:
        return {}
    quat, vendor = manifest.imu.quat, manifest.imu.vendor
    if quat is not None:
        return {"imu_up": quat.up, "quat_order": quat.order, "quat_maps": quat.maps}
    return {} if vendor is None else {"imu_up": vendor.up}


def _declared_reference(plan: Plan, stream: Stream) -> dict[str, Any]:
    reference = plan.manifest.reference
    if reference is None:
        return {}
    angles = reference.angles if "angle" in stream.data else {}
    facts: dict[str, Any] = {
        "segment_axes": {name: matrix_from_axes(s.axes) for name, s in reference.segments.items()},
        "dof_scale": {name: -1.0 for name, angle in angles.items() if angle.sign == "-1"},
        "dof_zero_deg": {name: angle.zero_deg for name, angle in angles.items() if angle.zero_deg},
        "masks": tuple(
            Mask(*mask.span_s, mask.reason, mask.dofs)
            for mask in (*reference.masks, *plan.override.masks)
            if angles or not mask.dofs  # what names DoFs says nothing of a recording without angles
        ),
    }
    if reference.directions is not None:
        facts |= {"reference_up": reference.directions.up, "reference_forward": reference.directions.forward}
    if reference.quat is not None:
        facts |= {"segment_quat_order": reference.quat.order, "segment_quat_maps": reference.quat.maps}
    if not angles and reference.convention is not None:
        facts["convention"] = reference.convention
    return facts


def _sync(facts: SyncFacts | None) -> Sync:
    if facts is None:
        return Sync("same_clock")
    return Sync(facts.method, facts.offset_s, facts.search_s, facts.by)


def _sources(plan: Plan, paths: Iterable[Path]) -> list[dict[str, str]]:
    """Return the bytes a recording came from: its files, and the manifest, which decides what they mean."""
    named = {plan.file.name: plan.file} | {
        path.relative_to(plan.root).as_posix(): path for path in paths if path != plan.file
    }
    return sources(sorted(named.items()))
