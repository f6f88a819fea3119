"""A recording's declared virtual sensors, made from its reference's segments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from kinbench.errors import UsageError
from kinbench.recording import Declared, Recording, VirtualImu, imu_dataset
from kinbench.virtual_imu._signals import angular_rate, on_segment, specific_force


def synthesise(recording: Recording) -> Recording:
    """Return the recording with the imu stream that ``declared.virtual`` asks for, and its signals in float32.

    The reference must be in schema form but for its precision, as ``harmonise`` leaves it. ``history`` gains the
    whole description. Without a request the recording comes back as it is. Raises ``UsageError`` for a segment that
    the reference does not have.
    """
    declared = recording.declared or Declared()
    request = declared.virtual
    if request is None:
        return recording
    if recording.reference is None:
        raise UsageError(f"{recording.key}: virtual sensors need the motion of segments, and there is no reference")
    imu = _ride(request, recording.reference)
    exact = [name for name, array in recording.reference.data_vars.items() if array.dtype == np.float64]
    reference = recording.reference.assign({name: recording.reference[name].astype(np.float32) for name in exact})
    done = replace(recording, imu=imu, reference=reference, declared=replace(declared, virtual=None))
    return done.with_step("virtual_imu", **request.plain())


def _ride(request: VirtualImu, reference: xr.Dataset) -> xr.Dataset:
    time = reference["time"].values
    rate_hz = (len(time) - 1) / float(time[-1] - time[0])
    names = [str(name) for name in reference["segment"].values]
    acc, gyr = [], []
    for virtual in request.placements:
        column = names.index(virtual.placement.segment)
        position, orientation = on_segment(
            reference["segment_position"].values[:, column],
            reference["segment_quat"].values[:, column],
            virtual.offset_m,
            np.eye(3) if virtual.placement.rotation is None else virtual.placement.rotation,
        )
        acc.append(specific_force(position, orientation, rate_hz))
        gyr.append(angular_rate(orientation, rate_hz))
    signals = {
        "acc": (np.stack(acc, axis=1), {"units": "m s-2", "kind": "specific_force", "frame": "sensor"}),
        "gyr": (np.stack(gyr, axis=1), {"units": "rad s-1", "frame": "sensor"}),
    }
    return imu_dataset(time, [virtual.placement for virtual in request.placements], signals)
