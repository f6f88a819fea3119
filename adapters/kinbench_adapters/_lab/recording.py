"""One recording as its manifest declares it: the streams, what is said of them, and what is to be done with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kinbench import schema
from kinbench.contracts import DatasetCard
from kinbench.errors import DataError
from kinbench.recording import Calibration, Declared, Mask, Placement, Recording, Sync
from kinbench_adapters._attributes import identity, sources
from kinbench_adapters._lab.grammar.dataset import Person
from kinbench_adapters._lab.grammar.directions import matrix_from_axes
from kinbench_adapters._lab.grammar.recordings import SyncFacts
from kinbench_adapters._lab.grammar.sensors import Rotation, Sensor
from kinbench_adapters._lab.inventory import Plan
from kinbench_adapters._lab.manifest import Manifest
from kinbench_adapters._lab.streams import imu_stream, reference_beside_imu, reference_stream


def load(plan: Plan, card: DatasetCard, version: str) -> Recording:
    """Read one recording; raises ``DataError`` that names it, with all that is wrong with it."""
    try:
        return _read(plan, card, version)
    except DataError as error:
        raise error if error.where is not None else DataError(error.problems, where=plan.key) from error


def _read(plan: Plan, card: DatasetCard, version: str) -> Recording:
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
        reference = reference_stream(truth, path, truth.files or "", plan.model)
    strangers = plan.imu.strangers(manifest.imu.sensors)
    absent = {**imu.absent, **{f"sensor {name}": "the manifest does not describe it" for name in strangers}}
    if reference is None:
        absent["reference"] = _why_unlabelled(manifest)
    mended = [{"step": "clock", **imu.clock.mended}] if imu.clock.mended else []
    streams = {"imu": imu} if reference is None else {"imu": imu, "reference": reference}
    attrs = {
        **_facts(plan, card),
        "rates": {name: stream.clock.rates for name, stream in streams.items()},
        "source": _sources(plan, plan.imu_paths if path is None else (*plan.imu_paths, path, *plan.models)),
        "adapter": {"name": "lab", "version": version},
        "history": [*mended, *(() if reference is None else reference.steps)],
        "absent": absent,
    }
    quality = [*plan.override.quality, *_flags(plan), *(() if reference is None else reference.doubts)]
    if quality:
        attrs["quality"] = quality
    return Recording(
        plan.key, imu.data, None if reference is None else reference.data, attrs,
        _declared(plan, sensors, labelled=reference is not None),
    )  # fmt: skip


def _reference_path(plan: Plan) -> Path | None:
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


def _facts(plan: Plan, card: DatasetCard) -> dict[str, Any]:
    manifest, key = plan.manifest, plan.key
    person = manifest.people.get(key.subject, Person())
    return {
        **identity(key, card, person=person.alias or key.person, activity=plan.override.activity or manifest.activity),
        "person_table": {name: getattr(person, name) for name in schema.PERSON_FIELDS},
        "world": _world(manifest),
    }


def _world(manifest: Manifest) -> str:
    reference = manifest.reference
    known = reference is not None and reference.quat is not None and reference.quat.forward is not None
    return "Y up, X forward" if known else "Y up, heading arbitrary"


def _flags(plan: Plan) -> list[str]:
    """Return ``sensor:flag`` for every doubt the manifest casts on a sensor."""
    flags = []
    for name, sensor in plan.manifest.imu.sensors.items():
        override = plan.override.sensors.get(name)
        told = override.quality if override is not None and override.quality else sensor.quality
        flags += [f"{name}:{flag}" for flag in told]
    return flags


def _declared(plan: Plan, sensors: Mapping[str, tuple[Sensor, Rotation]], *, labelled: bool) -> Declared:
    manifest = plan.manifest
    calibrations = {
        name: Calibration(**rotation.calibrate.model_dump())
        for name, (_, rotation) in sensors.items()
        if rotation.calibrate is not None
    }
    quat = manifest.imu.quat
    vendor = manifest.imu.vendor
    inputs: dict[str, Any] = {} if vendor is None else {"imu_up": vendor.up}
    if quat is not None:
        inputs = {"imu_up": quat.up, "quat_order": quat.order, "quat_maps": quat.maps}
    if not labelled:
        return Declared(**inputs, calibrations=calibrations)
    return Declared(
        **inputs, **_declared_reference(plan), calibrations=calibrations,
        sync=_sync(plan.override.sync or manifest.sync),
    )  # fmt: skip


def _declared_reference(plan: Plan) -> dict[str, Any]:
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


def _sources(plan: Plan, paths: Iterable[Path]) -> list[dict[str, str]]:
    """Return the bytes a recording came from: its files, and the manifest, which decides what they mean."""
    named = {plan.file.name: plan.file} | {path.relative_to(plan.root).as_posix(): path for path in paths}
    return sources(sorted(named.items()))
