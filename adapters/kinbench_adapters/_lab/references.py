"""The reference stream of one recording: angles, segments, or markers made into either, and the forces of plates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench.recording import angle_dataset, labels, segment_dataset
from kinbench_adapters._formats.opensim import read_trc
from kinbench_adapters._lab import plates
from kinbench_adapters._lab.clocks import Clock, common_clock
from kinbench_adapters._lab.grammar.files import Files, Reader, reader_for
from kinbench_adapters._lab.grammar.imu import Imu
from kinbench_adapters._lab.grammar.markers import Markers
from kinbench_adapters._lab.grammar.moments import Moments
from kinbench_adapters._lab.grammar.reference import OpensimIk, Reference
from kinbench_adapters._lab.inventory import Plan
from kinbench_adapters._lab.manifest import Manifest
from kinbench_adapters._lab.segments import Body, follow
from kinbench_adapters._lab.streams import Stream
from kinbench_adapters._lab.tables import Table, read_table
from kinbench_adapters._lab.wearing import request
from kinbench_adapters._opensim_ik import solve

FloatArray = NDArray[np.float64]

_DOUBTFUL_MARKER_ERROR_M = 0.02
"""RMS over all markers that good inverse kinematics stays below (OpenSim user's guide, "How Inverse Kinematics Works":
less than 2 cm RMS)."""
_METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001}
_SAME_INSTANT = 0.25
"""Share of a sample by which two files' times may differ and still be of one instant."""


def read_reference(plan: Plan, imu: Stream | None) -> Stream | None:
    """Return the reference in declared units and axes, None where this recording has none.

    Its clock is that of the angles or segments; forces are put on it, and keep their own where there is nothing else.
    Raises ``DataError`` where a file cannot be read or believed.
    """
    reference = plan.manifest.reference
    if reference is None:
        return None
    found = _kinematics(reference, plan, imu)
    if found is not None and plan.manifest.virtual is not None:
        body, stream = found
        found = (body, replace(stream, virtual=request(plan.manifest.virtual, body)))
    return _with_forces(reference, plan, None if found is None else found[1], imu)


def columns_beside(manifest: Manifest) -> list[str]:
    """Return the columns of the reference that stand in the imu's own file."""
    reference = manifest.reference
    if reference is None or reference.files is not None:
        return []
    grf = [] if reference.grf is None or reference.grf.files is not None else plates.columns_of(reference.grf)
    return [*_columns(reference, manifest), *grf]


def _columns(reference: Reference, manifest: Manifest) -> list[str]:
    markers = reference.markers
    inside = [] if markers is None or markers.files is not None else _marker_columns(markers, manifest)
    angles = [] if reference.opensim_ik is not None else [angle.column for angle in reference.angles.values()]
    segments = [name for segment in reference.segments.values() for name in segment.columns]
    moments = () if reference.moments is None else reference.moments.columns.values()
    return [*angles, *segments, *inside, *(moment.column for moment in moments)]


def _one(paths: tuple[Path, ...], what: str) -> Path | None:
    if len(paths) > 1:
        raise DataError(f"two {what} for one recording: {', '.join(path.name for path in paths)}")
    return paths[0] if paths else None


# --- angles and segments ---------------------------------------------------------------------------------------------


def _kinematics(reference: Reference, plan: Plan, imu: Stream | None) -> tuple[Body | None, Stream] | None:
    if not (reference.angles or reference.segments or reference.markers):
        return None
    if reference.files is None:
        if imu is None or plan.manifest.imu is None:
            return None
        return _of_table(
            reference, plan, _beside(plan.manifest.imu, plan, imu, columns_beside(plan.manifest)), imu.clock
        )
    path = _one(plan.reference, "references")
    if path is None:
        if reference.optional:
            return None
        raise DataError(
            f"no file fits the reference pattern '{reference.files}' for this recording; write 'optional: true' under "
            "reference to keep it unlabelled"
        )
    if reference.opensim_ik is not None and plan.model is not None:
        return None, _marker_ik_stream(reference, reference.opensim_ik, path, plan.model)
    beside = [] if reference.grf is None or reference.grf.files is not None else plates.columns_of(reference.grf)
    table, clock = _read(
        reference, path, reference.files, reference.reader, [*_columns(reference, plan.manifest), *beside]
    )
    if table.in_degrees is not None and reference.unit is not None and table.in_degrees != (reference.unit == "deg"):
        told = "degrees" if table.in_degrees else "radians"
        raise DataError(f"says its angles are in {told}, the manifest says '{reference.unit}'", where=path)
    return _of_table(reference, plan, table, clock)


def _read(facts: Files, path: Path, pattern: str, reader: Reader | None, columns: list[str]) -> tuple[Table, Clock]:
    """Return the columns of a file and its clock."""
    wanted = [*columns, *([] if facts.time is None else [facts.time.column])]
    table = read_table(path, reader_for(pattern, reader), wanted)
    return table, common_clock({path: table}, facts.time, facts.rate_hz, facts.start_s)


def _beside(imu: Imu, plan: Plan, stream: Stream, columns: list[str]) -> Table:
    """Return the table of a reference that stands in the imu's own file."""
    pattern = imu.files or ""
    path = plan.imu.of(pattern, imu.sensors)[next(iter(imu.sensors))]
    table = stream.tables.get(path)
    if table is None:
        table = read_table(path, reader_for(pattern, imu.reader), columns)
    if table.rows != len(stream.clock.time):
        raise DataError(f"holds {table.rows} rows of the reference, {len(stream.clock.time)} of the imu", where=path)
    return table


def _of_table(reference: Reference, plan: Plan, table: Table, clock: Clock) -> tuple[Body | None, Stream]:
    body, stream = _motion(reference, plan, table, clock)
    if reference.moments is None:
        return body, stream
    return body, replace(stream, data=stream.data.merge(_moments(reference.moments, table, clock)))


def _moments(facts: Moments, table: Table, clock: Clock) -> xr.Dataset:
    values = np.column_stack([float(one.sign) * table.single(one.column) for one in facts.columns.values()])
    return xr.Dataset(
        {"moment": (("time", "load"), values.astype(np.float32), {"units": facts.unit, "acts": "external"})},
        coords={"time": ("time", clock.time, {"units": "s"}), "load": ("load", labels(facts.columns))},
    )


def _motion(reference: Reference, plan: Plan, table: Table, clock: Clock) -> tuple[Body | None, Stream]:
    tables = {table.path: table}
    if reference.segments:
        quaternions = np.stack([table.block(s.columns, 4) for s in reference.segments.values()], axis=1)
        data = segment_dataset(clock.time, tuple(reference.segments), quaternions, tier=reference.tier or "")
        return None, Stream(data, clock, tables=tables)
    if reference.markers is None:
        return None, Stream(_angles(reference, table, clock), clock, tables=tables)
    return _with_markers(reference, reference.markers, plan, table, clock)


def _angles(reference: Reference, table: Table, clock: Clock) -> xr.Dataset:
    angles = np.column_stack([table.single(angle.column) for angle in reference.angles.values()])
    return angle_dataset(
        clock.time, tuple(reference.angles), angles, units=reference.unit or "deg",
        convention=reference.convention or "", tier=reference.tier or "",
    )  # fmt: skip


def _marker_ik_stream(reference: Reference, asked: OpensimIk, path: Path, model: Path) -> Stream:
    """Return the coordinates of the OpenSim model that follows the markers, masked where too few were seen."""
    markers = read_trc(path)
    names = list(dict.fromkeys(angle.column for angle in reference.angles.values()))
    found = solve(model, markers, names, weights=asked.weights, where=path)
    columns = {name: found.values[:, index] for index, name in enumerate(names)}
    table = Table(path, columns, markers.time, markers.rate_hz, in_degrees=True)
    clock = common_clock({path: table}, None, reference.rate_hz, reference.start_s)
    step = {"step": "opensim_ik", "model": model.name, **found.plain()}
    doubtful = found.error_rms_m > _DOUBTFUL_MARKER_ERROR_M
    return Stream(
        _angles(reference, table, clock), clock, steps=(step,), doubts=("reference:marker_error",) if doubtful else ()
    )


# --- markers ---------------------------------------------------------------------------------------------------------


def _with_markers(
    reference: Reference, markers: Markers, plan: Plan, table: Table, clock: Clock
) -> tuple[Body, Stream]:
    """Return the body that the markers show, and its segments beside the angles, where these are measured too."""
    angles = None
    if reference.angles:
        angles = _angles(reference, table, clock)
        path = _one(plan.parts.get("markers", ()), "files of markers")
        if path is None:
            raise DataError(f"no file fits the pattern of the markers '{markers.files}' for this recording")
        table, own = _read(markers, path, markers.files or "", markers.reader, _marker_columns(markers, plan.manifest))
        moving = _at(clock.time, own.time, _paths(markers, plan.manifest, table), path)
    else:
        moving = _paths(markers, plan.manifest, table)
    body = follow(markers, moving, _static(markers, plan))
    motions = body.motions.values()
    data = segment_dataset(
        clock.time,
        tuple(body.motions),
        np.stack([motion.quaternion for motion in motions], axis=1),
        tier=reference.tier or "",
        position=np.stack([motion.origin for motion in motions], axis=1),
        point="proximal joint" if markers.set == "plug_in_gait" else "the manifest's origin",
        exact=plan.manifest.virtual is not None,
    )
    data = data if angles is None else angles.merge(data)
    absent = {f"segment {name}": "its markers are missing throughout" for name in _expected(markers) - {*body.motions}}
    return body, Stream(data, clock, absent=absent, tables={table.path: table}, steps=(_plain(body),))


def _expected(markers: Markers) -> set[str]:
    legs = {f"{name}_{side}" for name in ("thigh", "shank", "foot") for side in "rl"}
    return {"pelvis", *legs} if markers.set == "plug_in_gait" else set()


def _plain(body: Body) -> dict[str, Any]:
    return dict(body.step)


def _needed(markers: Markers, manifest: Manifest) -> tuple[str, ...]:
    """Return the markers that the segments need, and those at which virtual sensors sit."""
    worn = () if manifest.virtual is None else manifest.virtual.places
    return tuple(dict.fromkeys((*markers.needed, *(name for name in worn if name not in markers.made))))


def _marker_columns(markers: Markers, manifest: Manifest) -> list[str]:
    return [name for marker in _needed(markers, manifest) for name in markers.columns_of(marker)]


def _paths(markers: Markers, manifest: Manifest, table: Table) -> dict[str, FloatArray]:
    """Return the markers by the manifest's names, (n, 3) in metres, NaN where not seen."""
    found = {}
    told = table.length_unit
    if told and told != markers.unit:
        raise DataError(f"says its markers are in {told}, the manifest says '{markers.unit}'", where=table.path)
    for marker in _needed(markers, manifest):
        values = table.block(markers.columns_of(marker), 3)
        if markers.zero == "missing":
            values = np.where((values == 0).all(axis=1, keepdims=True), np.nan, values)
        found[marker] = values * _METRES[markers.unit]
    return found


def _static(markers: Markers, plan: Plan) -> dict[str, FloatArray] | None:
    """Return the markers of the standing trial, None where none is declared."""
    static = markers.static
    if static is None:
        return None
    path = _one(plan.parts.get("static", ()), "standing trials")
    if path is None:
        raise DataError(f"no file fits the standing trial's pattern '{static.files}' for this recording")
    table, clock = _read(static, path, static.files or "", static.reader, _marker_columns(markers, plan.manifest))
    paths = _paths(markers, plan.manifest, table)
    if static.span_s is None:
        return paths
    inside = (clock.time >= static.span_s[0]) & (clock.time < static.span_s[1])
    if not inside.any():
        raise DataError(f"static.span_s {list(static.span_s)} holds none of its samples", where=path)
    return {name: values[inside] for name, values in paths.items()}


def _at(time: FloatArray, own: FloatArray, paths: Mapping[str, FloatArray], path: Path) -> dict[str, FloatArray]:
    """Return the markers at the angles' instants; raises ``DataError`` where the two files are not of one clock."""
    rows = np.clip(np.searchsorted(own, time), 1, own.size - 1)
    rows -= np.abs(own[rows - 1] - time) <= np.abs(own[rows] - time)
    apart = np.abs(own[rows] - time)
    if apart.max() > _SAME_INSTANT * float(np.median(np.diff(time))):
        at = int(np.argmax(apart))
        raise DataError(
            f"its samples are not of the angles' instants: the nearest to {time[at]:g} s is {own[rows[at]]:g} s",
            where=path,
        )
    return {name: values[rows] for name, values in paths.items()}


# --- forces ----------------------------------------------------------------------------------------------------------


def _with_forces(reference: Reference, plan: Plan, stream: Stream | None, imu: Stream | None) -> Stream | None:
    """Return the stream with the plates' forces, or these alone."""
    facts = reference.grf
    if facts is None:
        return stream
    if facts.files is not None:
        path = _one(plan.parts.get("grf", ()), "files of ground reactions")
        if path is None and not facts.optional:
            raise DataError(f"no file fits the pattern of the plates '{facts.files}' for this recording")
        if path is None:
            return stream
        table, clock = _read(facts, path, facts.files, facts.reader, plates.columns_of(facts))
    elif stream is not None:
        table, clock = next(iter(stream.tables.values())), stream.clock
    elif imu is not None and plan.manifest.imu is not None:
        table, clock = _beside(plan.manifest.imu, plan, imu, plates.columns_of(facts)), imu.clock
    else:
        return None
    found = plates.forces(facts, table, clock.time)
    if stream is None:
        return Stream(found.dataset(), clock, steps=found.steps)
    found = plates.on_clock(found, stream.clock.time)
    data = stream.data.merge(found.dataset())
    return replace(stream, data=data, steps=(*stream.steps, *found.steps))
