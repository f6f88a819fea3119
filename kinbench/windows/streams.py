"""One recording's sensors as they were recorded: what a model is handed that is a filter and not a map of windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from kinbench import schema
from kinbench.errors import DataError
from kinbench.harmonisation.grids import plan
from kinbench.tasks import Task
from kinbench.windows.batches import TaskSpec
from kinbench.windows.derivation import sensor_on
from kinbench.windows.taskdata import Predictions, TestWindows

FloatArray = NDArray[np.float64]

BODY = ("height_m", "mass_kg", "leg_length_m")
"""What of a person a filter may know: what anybody could measure beside the sensors."""
_SIGNALS = tuple(name for name, variable in schema.VARIABLES.items() if variable.stream == "imu")
_COORDS = ("time", "sensor", "axis", *schema.PLACEMENT_COORDS, "rotation", "clock_offset_s")


@dataclass(frozen=True)
class Stream:
    """The sensors of one recording and leg at their own rate, and where angles are asked for. It holds inputs only.

    ``imu`` is a stream of the schema with one sensor for each segment that the task has and the recording too: SI
    units, sensor axes (``rotation`` turns them to the segment's, NaN where that is not known), NaN or ``valid`` False
    where nothing was recorded. ``quat`` is the device's own orientation; that of sensors that were computed from a
    motion is left out, for it is the motion. ``leg`` is one of the task's legs; a left leg is not mirrored. ``body``
    has what is known of ``BODY``. ``time_s`` (samples,) is the task's grid, in seconds on the imu's clock, and ``dofs``
    are the full names of what is asked for, of this leg. ``spec`` is that of the task, with the sensors given.
    """

    imu: xr.Dataset
    leg: str
    body: Mapping[str, float]
    time_s: FloatArray
    dofs: tuple[str, ...]
    spec: TaskSpec

    def sensor(self, segment: str) -> int | None:
        """Return which of the sensors is on a segment (its full name), None where none is."""
        found = np.flatnonzero([str(name) == segment for name in self.imu["segment"].values])
        return int(found[0]) if found.size else None


def stream_of(imu: xr.Dataset, attrs: Mapping[str, Any], task: Task, leg: str) -> Stream:
    """Return what a filter is handed of a recording's ``imu`` and attributes, for one of the task's legs.

    Of several sensors on a segment it is the one that windows take, or the first where the rotation of none is known: a
    filter may find one itself. Neither the task's channels nor its activities play a part. Raises ``DataError`` for a
    recording shorter than two samples.
    """
    time_s = np.asarray(imu["time"].values, dtype=np.float64)
    if time_s.size < 2:
        raise DataError("a filter needs two samples at least, and the recording is shorter")
    found = [_sensor_on(imu, segment, task) for segment in task.segments_of(leg)]
    samples = plan(time_s, task.rate_hz, task.max_gap_s).samples
    return Stream(
        imu=_inputs(imu, [index for index in found if index is not None]), leg=leg,
        body=_body(attrs.get("person_table") or {}), time_s=np.arange(samples) / task.rate_hz, dofs=task.dofs_of(leg),
        spec=TaskSpec(
            task.name, task.version, task.channel_names, task.dofs, task.segments, task.rate_hz, task.window
        ),
    )  # fmt: skip


def _sensor_on(imu: xr.Dataset, segment: str, task: Task) -> int | None:
    index = sensor_on(imu, segment, task)
    return sensor_on(imu, segment, replace(task, axes="sensor")) if index is None else index


def _inputs(imu: xr.Dataset, sensors: list[int]) -> xr.Dataset:
    """Return copies of the signals of some sensors, and of what stands in the schema about them: nothing else."""
    chosen = imu.isel(sensor=sensors)
    held = [name for name in (*_SIGNALS, "valid") if name in chosen]
    if "quat" in held and any(str(origin) != "measured" for origin in chosen["origin"].values):
        held.remove("quat")
    kept = chosen[held].reset_coords(drop=True).assign_coords(
        {name: chosen.coords[name].variable for name in _COORDS if name in chosen.coords}
    )  # fmt: skip
    kept.attrs = {}
    return kept.copy(deep=True)


def _body(table: Mapping[str, Any]) -> dict[str, float]:
    known = {name: table.get(name) for name in BODY}
    return {name: float(value) for name, value in known.items() if value is not None and math.isfinite(float(value))}


def answered(test: TestWindows, dofs: int, ask: Callable[[int, int], ArrayLike]) -> Predictions:
    """Return one answer per covered sample, as ``TestWindows.assemble`` does, of a filter that is asked by recording.

    ``ask(entry, leg)`` gives, for numbers as in ``Predictions``, angles (samples, dof) on the task's grid. Raises
    ``DataError`` where these have another shape, or are not finite at a covered sample.
    """
    found = np.full((test.key.size, dofs), np.nan, dtype=np.float32)
    for entry, leg in dict.fromkeys(zip(test.key.tolist(), test.leg.tolist(), strict=True)):
        mine = (test.key == entry) & (test.leg == leg)
        found[mine] = _checked(ask(entry, leg), dofs, int(test.sample[mine].max()))[test.sample[mine]]
    wrong = int(found.size - np.isfinite(found).sum())
    if wrong:
        raise DataError(f"{wrong} of {found.size} values that the model answered are not finite")
    return Predictions(key=test.key, leg=test.leg, sample=test.sample, prediction=found)


def _checked(answer: ArrayLike, dofs: int, last: int) -> NDArray[np.float32]:
    values = np.asarray(answer)
    if values.ndim != 2 or values.shape[1] != dofs or len(values) <= last or values.dtype.kind not in "fiu":
        raise DataError(
            f"the model was to answer numbers (samples, DoF) with {dofs} DoFs for every instant of 'time_s', but "
            f"answered {values.shape} of type {values.dtype}"
        )
    with np.errstate(over="ignore"):  # an overflow to infinity is told by who asked
        return values.astype(np.float32)
