"""What the index may say of a recording: made from the recording, kept as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, fields
from functools import lru_cache
from typing import Any

import xarray as xr

from kinbench import schema
from kinbench.recording import IndexEntry, Key, Recording, SensorEntry, placements_of


def entry_of(recording: Recording, digest: str) -> IndexEntry:
    """Return the index entry of a schema-form recording with content digest ``digest``.

    ``duration_s`` is the last minus the first time of the imu (of the reference, where there is no imu). A rate is
    the declared nominal one where there is one, else (n - 1) / duration.
    """
    imu, reference, attrs = recording.imu, recording.reference, recording.attrs
    angle = _variable(reference, "angle")
    tiers = [found.attrs.get("tier") for found in (angle, _variable(reference, "segment_quat")) if found is not None]
    acc = _variable(imu, "acc")
    return IndexEntry(
        key=recording.key,
        person=str(attrs.get("person") or recording.key.person),
        digest=digest,
        activity=str(attrs.get("activity") or "unknown"),
        duration_s=_duration_s(imu if imu is not None else reference),
        imu_rate_hz=_rate_hz("imu", imu, attrs),
        reference_rate_hz=_rate_hz("reference", reference, attrs),
        sensors=() if imu is None else tuple(
            SensorEntry(
                found.sensor, found.segment, found.side, found.rotation_origin, found.origin, found.site, found.level
            )
            for found in placements_of(imu)
        ),
        signals=() if imu is None else tuple(sorted(str(name) for name in imu.data_vars if name != "valid")),
        acc_kind=None if acc is None else acc.attrs.get("kind"),
        dofs=() if angle is None else tuple(str(name) for name in angle["dof"].values),
        convention=None if angle is None else angle.attrs.get("convention"),
        tier=next((tier for tier in tiers if tier), None),
        simulation=bool(attrs.get("simulation")),
        compat=attrs.get("compat"),
        forces=_forces(_variable(reference, "grf")),
        moments=_names(reference, "load"),
        mass_kg=(attrs.get("person_table") or {}).get("mass_kg"),
    )  # fmt: skip


def to_json(entry: IndexEntry) -> dict[str, Any]:
    """Return the entry as JSON-plain data."""
    return {
        **{field.name: getattr(entry, field.name) for field in fields(entry)},
        "key": str(entry.key),
        "sensors": [list(astuple(sensor)) for sensor in entry.sensors],
        "signals": list(entry.signals),
        "dofs": list(entry.dofs),
        "forces": list(entry.forces),
        "moments": list(entry.moments),
    }


def from_json(data: Mapping[str, Any]) -> IndexEntry:
    """Return the entry that ``to_json`` wrote; raises KeyError, TypeError or ValueError for anything else."""
    return IndexEntry(
        **{
            **data,
            "key": Key.parse(data["key"]),
            "sensors": tuple(_sensor(*sensor) for sensor in data["sensors"]),
            "signals": tuple(data["signals"]),
            "dofs": tuple(data["dofs"]),
            "forces": tuple(data.get("forces", ())),
            "moments": tuple(data.get("moments", ())),
        }
    )


_sensor = lru_cache(maxsize=1024)(SensorEntry)
"""The recordings of a dataset share their few sensors, so the same entry serves for all."""


def _names(reference: xr.Dataset | None, dim: str) -> tuple[str, ...]:
    return () if reference is None or dim not in reference.coords else tuple(map(str, reference[dim].values))


def _forces(grf: xr.DataArray | None) -> tuple[str, ...]:
    """Return the components that are known: of a foot with a plate of its own, all where forward is known too."""
    if grf is None:
        return ()
    plates, headless = {str(name) for name in grf["plate"].values}, grf.attrs.get("frame") == schema.ARBITRARY_HEADING
    return tuple(
        name
        for name, force in schema.GROUND_FORCES.items()
        if force.side in plates and (force.axis == 1 or not headless)
    )


def _variable(stream: xr.Dataset | None, name: str) -> xr.DataArray | None:
    return stream[name] if stream is not None and name in stream.data_vars else None


def _duration_s(stream: xr.Dataset | None) -> float:
    if stream is None or stream.sizes.get("time", 0) < 2:
        return 0.0
    return float(stream["time"].values[-1] - stream["time"].values[0])


def _rate_hz(name: str, stream: xr.Dataset | None, attrs: Mapping[str, Any]) -> float | None:
    if stream is None:
        return None
    nominal = ((attrs.get("rates") or {}).get(name) or {}).get("nominal_hz")
    if nominal is not None:
        return float(nominal)
    duration_s = _duration_s(stream)
    return (stream.sizes["time"] - 1) / duration_s if duration_s > 0 else None
