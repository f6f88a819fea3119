"""A recording's declared virtual sensors, made from its reference's segments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench.errors import DataError, UsageError, suggest
from kinbench.recording import Declared, Key, Placement, Recording, VirtualImu, VirtualPlacement, imu_dataset
from kinbench.virtual_imu._derivatives import MINIMUM_SAMPLES
from kinbench.virtual_imu._hardware import Output, clock, output_rate, read_out
from kinbench.virtual_imu._quaternions import exponential, turn
from kinbench.virtual_imu._signals import angular_rate, on_segment, specific_force
from kinbench.virtual_imu._smoothing import edge, smooth
from kinbench.virtual_imu._soft_tissue import ride

FloatArray = NDArray[np.float64]

_JITTER = 0.25
"""How far, in samples, a time stamp may stand from equal spacing: stamps are rounded, but no sample is missing."""


def synthesise(recording: Recording) -> Recording:
    """Return the recording with the imu stream that ``declared.virtual`` asks for, and its signals in float32.

    The reference must be in schema form but for its precision, as ``harmonise`` leaves it: ``segment_quat``, and
    ``segment_position`` where accelerations are wanted; without it the sensors have ``gyr`` only, and ``absent`` says
    so. In this order: positions and orientations low-passed (``Dynamics.cutoff_hz``), sensors put in place, turned by
    their misalignment and moved with soft tissue, differentiated, read out by the hardware. A reading that would have
    to look at a missing sample is NaN and not ``valid``. The sensors say that they are synthetic.

    ``history`` gains the whole request and, as ``measured``, what came of it: both rates, and per sensor how many
    samples are missing, how many values were clipped, and how far soft tissue travelled. Without a request the
    recording comes back as it is. Raises ``UsageError`` for a request that cannot be met (all reasons at once), and
    ``DataError`` for a reference whose time is not equally spaced, is shorter than four samples, or is too slow for
    the request.
    """
    declared = recording.declared or Declared()
    request = declared.virtual
    if request is None:
        return recording
    if recording.reference is None or "segment_quat" not in recording.reference:
        raise UsageError(f"{recording.key}: virtual sensors need the motion of segments, and there is none")
    reference = recording.reference
    rate_hz = _rate(reference["time"].values, recording.key)
    _require(recording.key, request, reference, rate_hz)
    imu, measured = _worn(request, reference, rate_hz)
    exact = [name for name, array in reference.data_vars.items() if array.dtype == np.float64]
    done = replace(
        recording,
        imu=imu,
        reference=reference.assign({name: reference[name].astype(np.float32) for name in exact}),
        attrs=_attributes(recording.attrs, request, rate_hz, imu),
        declared=replace(declared, virtual=None),
    )
    return done.with_step("virtual_imu", **request.plain(), measured=measured)


# --- refusals ---------------------------------------------------------------------------------------------------------


def _rate(time: FloatArray, key: Key) -> float:
    """Return the reference's rate in Hz; raises ``DataError`` unless its samples are equally spaced."""
    n = len(time)
    if n < MINIMUM_SAMPLES:
        raise DataError(f"virtual sensors need at least {MINIMUM_SAMPLES} samples, found {n}", where=key)
    rate_hz = (n - 1) / float(time[-1] - time[0])
    off = np.abs((time - time[0]) * rate_hz - np.arange(n))
    if not off.max() <= _JITTER:
        raise DataError(
            f"virtual sensors need a reference with equally spaced samples, and sample {int(np.argmax(off))} is "
            f"{off.max():.2f} of a sample off; fill lost ones with NaN",
            where=key,
        )
    return rate_hz


def _require(key: Key, request: VirtualImu, reference: xr.Dataset, rate_hz: float) -> None:
    there = [str(name) for name in reference["segment"].values]
    problems = [
        f"the reference has no segment {virtual.placement.segment!r} for sensor {virtual.placement.sensor!r}."
        f"{suggest(virtual.placement.segment, there)}"
        for virtual in request.placements
        if virtual.placement.segment not in there
    ]
    if not request.placements:
        problems.append("no virtual sensor is placed")
    hardware = request.hardware
    for name, value in vars(hardware).items():
        if name.endswith(("_range", "rate_hz")):
            if value is not None and not value > 0:
                problems.append(f"hardware {name} must be positive, and is {value:g}")
        elif not value >= 0:
            problems.append(f"hardware {name} must not be negative, and is {value:g}")
    tissue = request.dynamics.soft_tissue
    if tissue is not None and not (tissue.damping > 0 and tissue.limit_m > 0):
        problems.append("soft tissue needs a damping and a limit_m above 0")
    if problems:
        raise UsageError("\n".join(f"{key}: {problem}" for problem in problems))
    _require_rate(key, request, rate_hz)


def _require_rate(key: Key, request: VirtualImu, rate_hz: float) -> None:
    """Refuse what would suit a faster recording: it is this one that fails, and others may well convert."""
    limit = f"must lie between 0 and half of this recording's rate ({rate_hz / 2:g} Hz)"
    cutoff_hz, tissue = request.dynamics.cutoff_hz, request.dynamics.soft_tissue
    problems = []
    if cutoff_hz is not None and not 0 < cutoff_hz < rate_hz / 2:
        problems.append(f"cutoff_hz {limit}, and is {cutoff_hz:g}")
    if tissue is not None and not 0 < tissue.natural_hz < rate_hz / 2:
        problems.append(f"soft tissue's natural_hz {limit}, and is {tissue.natural_hz:g}")
    if problems:
        raise DataError(problems, where=key)


# --- from motion to signals -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Segment:
    """A segment's motion: position (n, 3) m, None where it is not known, and orientation (n, 4)."""

    position: FloatArray | None
    orientation: FloatArray


def _worn(request: VirtualImu, reference: xr.Dataset, rate_hz: float) -> tuple[xr.Dataset, dict[str, Any]]:
    """Return the imu stream, and what is to be known of how it came about."""
    time = clock(request.hardware, reference["time"].values, rate_hz)
    names = {virtual.placement.segment for virtual in request.placements}
    segments = {name: _segment(reference, name, request.dynamics.cutoff_hz, rate_hz) for name in sorted(names)}
    outputs: dict[str, Output] = {}
    travel_m: dict[str, float] = {}
    for virtual in request.placements:
        sensor = virtual.placement.sensor
        acc, gyr, travel_m[sensor] = _felt(virtual, segments[virtual.placement.segment], request, rate_hz)
        outputs[sensor] = read_out(request.hardware, sensor, acc, gyr, rate_hz, len(time))
    imu, missing = _stream(time, request, outputs)
    measured: dict[str, Any] = {
        "motion_rate_hz": round(rate_hz, 6),
        "rate_hz": round(output_rate(request.hardware, rate_hz), 6),
        "missing": missing,
    }
    if request.hardware.acc_range is not None or request.hardware.gyr_range is not None:
        measured["clipped"] = {sensor: output.clipped for sensor, output in outputs.items()}
    if request.dynamics.soft_tissue is not None:
        measured["tissue_travel_m"] = {sensor: round(most, 6) for sensor, most in travel_m.items()}
    return imu, measured


def _segment(reference: xr.Dataset, name: str, cutoff_hz: float | None, rate_hz: float) -> _Segment:
    column = [str(segment) for segment in reference["segment"].values].index(name)
    turns = reference["segment_quat"].values[:, column].astype(np.float64)
    places = None
    if "segment_position" in reference:
        places = reference["segment_position"].values[:, column].astype(np.float64)
    if cutoff_hz is not None:
        still = np.zeros((len(turns), 3)) if places is None else places
        smoothed, turns = smooth(still, turns, rate_hz, cutoff_hz)
        smoothed[edge(smoothed, rate_hz, cutoff_hz)] = np.nan
        turns[edge(turns, rate_hz, cutoff_hz)] = np.nan
        places = None if places is None else smoothed
    return _Segment(places, turns)


def _felt(
    virtual: VirtualPlacement, segment: _Segment, request: VirtualImu, rate_hz: float
) -> tuple[FloatArray | None, FloatArray, float]:
    """Return what one sensor feels, acc (None without positions) and gyr, and how far its tissue travels in metres."""
    rotation, offset_m = _really(virtual), np.asarray(virtual.offset_m, dtype=np.float64)
    tissue = request.dynamics.soft_tissue
    if segment.position is None:
        _, orientation = on_segment(np.zeros((len(segment.orientation), 3)), segment.orientation, offset_m, rotation)
        return None, angular_rate(orientation, rate_hz), 0.0
    travel_m = 0.0
    if tissue is None:
        position, orientation = on_segment(segment.position, segment.orientation, offset_m, rotation)
    else:
        position, orientation, travel_m = ride(
            tissue, segment.position, segment.orientation, offset_m, rotation, rate_hz
        )
    return specific_force(position, orientation, rate_hz), angular_rate(orientation, rate_hz), travel_m


def _really(virtual: VirtualPlacement) -> FloatArray:
    """Return the rotation (3, 3) that the sensor really has: what is believed of it, then its misalignment.

    Where nothing is believed of it, the sensor's axes are the segment's.
    """
    believed = np.eye(3) if virtual.placement.rotation is None else np.asarray(virtual.placement.rotation)
    error = exponential(np.deg2rad(np.asarray(virtual.misalignment_deg, dtype=np.float64))[:, None])
    return turn(error, believed)


def _stream(time: FloatArray, request: VirtualImu, outputs: Mapping[str, Output]) -> tuple[xr.Dataset, dict[str, int]]:
    """Return the sensors as an imu stream, with how many samples of each are missing."""
    gyr = np.stack([output.gyr for output in outputs.values()], axis=1)
    known = np.isfinite(gyr).all(axis=2)
    signals: dict[str, tuple[FloatArray, Mapping[str, Any]]] = {"gyr": (gyr, {"units": "rad s-1", "frame": "sensor"})}
    forces = [output.acc for output in outputs.values() if output.acc is not None]
    if forces:
        acc = np.stack(forces, axis=1)
        known &= np.isfinite(acc).all(axis=2)
        signals = {"acc": (acc, {"units": "m s-2", "kind": "specific_force", "frame": "sensor"}), **signals}
    worn = [_synthetic(virtual.placement) for virtual in request.placements]
    imu = imu_dataset(time, worn, signals, valid=None if known.all() else known)
    return imu, {sensor: int(count) for sensor, count in zip(outputs, (~known).sum(axis=0), strict=True)}


def _synthetic(placement: Placement) -> Placement:
    attachment = "virtual" if placement.attachment == "unknown" else placement.attachment
    return replace(placement, origin="synthetic", attachment=attachment, clock_offset_s=0.0)


def _attributes(attrs: Mapping[str, Any], request: VirtualImu, rate_hz: float, imu: xr.Dataset) -> dict[str, Any]:
    """Return the recording's attributes with the new stream's rates, and with what it has no signal of."""
    rates = dict(attrs.get("rates") or {})
    nominal = (rates.get("reference") or {}).get("nominal_hz") or round(rate_hz, 6)
    out_hz = output_rate(request.hardware, rate_hz)
    rates["imu"] = {
        "nominal_hz": nominal if request.hardware.rate_hz is None else request.hardware.rate_hz,
        "measured_hz": round(out_hz, 6),
        "regular": True,
        "lost": 0,
    }
    absent = {name: reason for name, reason in (attrs.get("absent") or {}).items() if name not in ("imu", "acc", "gyr")}
    if "acc" not in imu:
        absent["acc"] = "the reference has no positions, from which virtual accelerometers are made"
    done = {**attrs, "rates": rates}
    if absent or "absent" in attrs:
        done["absent"] = absent
    return done
