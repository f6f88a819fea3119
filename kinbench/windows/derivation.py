"""One recording as a task sees it: on the task's grid, in segment axes, left legs mirrored, masked where undefined."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench import schema
from kinbench.harmonisation.grids import Plan, covered, interpolate, onto_grid, plan
from kinbench.kinematics import events_from_hip_angle, events_from_knee_angle, mirror_acc, mirror_gyr
from kinbench.recording import Recording
from kinbench.schema import OPEN_ACTIVITIES
from kinbench.tasks import Moving, Task
from kinbench.windows.accelerations import BODY, accelerations_of, path_known
from kinbench.windows.fingerprints import Samples, samples_of
from kinbench.windows.loads import contacts_of, load_of, mass_of, stance_of
from kinbench.windows.orientations import heading_of, not_known, orientations_of
from kinbench.windows.references import on_grid, targets_of

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
Runs = tuple[tuple[int, int], ...]

UPSAMPLED_BELOW = 0.9
"""A native rate below this part of the task's is flagged (protocols 1, Resampling)."""
EMBARGO_S = 1.0
"""The shortest embargo (protocols 1, Splits)."""
RAW_CHANNELS = ("acc", "gyr")
ORIENTED = "euler"
"""A channel made of the device's own orientation (``quat``)."""
_TOO_SHORT = "its imu stream is shorter than two samples"
ADMITS = {
    "walk": ("walking", "walking_treadmill"),
    "run": ("running", "running_treadmill"),
    "still": ("standing", "sitting"),
}
"""What a labelled span counts as among the activities that a task admits. A turn is no straight walk, and what is
something else is nothing in particular."""

GAITS = ("walking", "walking_treadmill", "running", "running_treadmill", "stairs", "ramp")
"""Activities that are made of strides."""
_STRIDE_EVENTS = (("hip_flexion", events_from_hip_angle), ("knee_flexion", events_from_knee_angle))


@dataclass(frozen=True)
class LegSignals:
    """One leg on the task's grid: inputs (n, channel), NaN where masked, angles or loads (n, dof) in the quantity's
    unit, where they hold (n, dof), and the stretches where inputs are present, the person moves and every DoF is known.

    ``stance`` (n,), of loads, is where the leg's foot bears weight; None where no plate tells. ``orientations`` (n,
    segment, 4) are those of a task that asks for them, as ``orientations_of`` has them.
    """

    leg: str
    signals: Float32Array
    targets: Float32Array
    labelled: BoolArray
    runs: Runs
    stance: BoolArray | None = None
    orientations: Float32Array | None = None


@dataclass(frozen=True)
class Derived:
    """One recording as a task sees it. ``runs`` are those of any leg; ``embargo`` is in samples of the grid.

    ``strides`` are the samples at which one leg's strides begin: for protocols that count strides, never for a model.
    """

    legs: tuple[LegSignals, ...]
    runs: Runs
    embargo: int
    upsampled: bool
    native: Samples
    strides: tuple[int, ...]


@dataclass(frozen=True)
class LegInputs:
    """One leg's inputs on the task's grid (n, channel), NaN where masked, and the stretches where they are present."""

    leg: str
    signals: Float32Array
    runs: Runs


@dataclass(frozen=True)
class Inputs:
    """One recording's inputs as a task sees them, whether or not it has a reference.

    ``moving`` (n,) is where the person moves by the task's rule: what a model of the task was fitted on.
    """

    legs: tuple[LegInputs, ...]
    moving: BoolArray
    upsampled: bool


@dataclass(frozen=True)
class _Sensor:
    """One sensor on the grid: (n, 3) by channel, in the task's axes, and where it is known (n,)."""

    channels: dict[str, FloatArray]
    known: BoolArray


def derive(recording: Recording, task: Task, legs: tuple[str, ...]) -> Derived | str:
    """Return one recording as the task sees it, or the reason why nothing of it is left.

    ``legs`` are those that the index says are there. The recording is one that ``applicable`` let pass.
    """
    imu, reference = recording.imu, recording.reference
    if imu is None or reference is None or task.quantity not in (*reference, "acceleration"):
        return f"it has no imu stream or no reference {task.quantity}"
    if task.quantity == "acceleration" and not path_known(reference):
        return f"its reference tells no path of the {BODY} that could be differenced twice"
    time_s = np.asarray(imu["time"].values, dtype=np.float64)
    if time_s.size < 2:
        return _TOO_SHORT
    way = plan(time_s, task.rate_hz, task.max_gap_s)
    known = _sensors(imu, task, legs, way, time_s)
    if isinstance(known, str):
        return known
    doing = _doing(recording, task, way.samples)
    if isinstance(doing, str):
        return doing
    moving = _moving(list(known.values()), task.moving, task.rate_hz, way.samples) & doing
    moving &= _straight(reference, task, way.samples)
    found = tuple(_leg(leg, task, known, recording, moving) for leg in legs)
    runs = _runs(np.logical_or.reduce([_mask(leg.runs, way.samples) for leg in found]))
    if not runs:
        return _nothing_left(known, moving, found)
    if task.orientations and all(not_known(leg.orientations) for leg in found):
        return f"its reference holds no orientation of {' or '.join(task.segments)}"
    return Derived(
        legs=tuple(leg for leg in found if leg.runs),
        runs=runs,
        embargo=max(task.window, math.ceil(EMBARGO_S * task.rate_hz), way.support),
        upsampled=way.native_hz < UPSAMPLED_BELOW * task.rate_hz,
        native=_native(imu, time_s),
        strides=_strides(recording, reference, task, way.samples),
    )


def derive_inputs(imu: xr.Dataset, task: Task, legs: tuple[str, ...]) -> Inputs | str:
    """Return the inputs of one recording as the task sees them, or the reason why there are none.

    No reference is asked for, and nothing is left out for stillness or for its activity. ``legs`` are those whose
    sensors the index says are there.
    """
    time_s = np.asarray(imu["time"].values, dtype=np.float64)
    if time_s.size < 2:
        return _TOO_SHORT
    way = plan(time_s, task.rate_hz, task.max_gap_s)
    known = _sensors(imu, task, legs, way, time_s)
    if isinstance(known, str):
        return known
    found = []
    for leg in legs:
        signals, present = _signals(leg, task, known)
        found.append(LegInputs(leg, signals, _runs(present)))
    if not any(leg.runs for leg in found):
        return "at no instant do all of its sensors hold a valid sample"
    return Inputs(
        legs=tuple(found),
        moving=_moving(list(known.values()), task.moving, task.rate_hz, way.samples),
        upsampled=way.native_hz < UPSAMPLED_BELOW * task.rate_hz,
    )


# --- inputs ----------------------------------------------------------------------------------------------------------


def _sensors(
    imu: xr.Dataset, task: Task, legs: tuple[str, ...], way: Plan, time_s: FloatArray
) -> dict[str, _Sensor] | str:
    """Return the sensors of some legs by segment, or which of them cannot be turned to their segments."""
    segments = tuple(dict.fromkeys(name for leg in legs for name in task.segments_of(leg)))
    found = {name: _sensor(imu, name, task, way, time_s) for name in segments}
    dispensable = {name for leg in legs for name in replace(task, segments=task.optional).segments_of(leg)}
    unturned = [name for name, sensor in found.items() if sensor is None and name not in dispensable]
    if unturned:
        return f"the rotation of the sensor on {', '.join(unturned)} to its segment is unknown"
    return {name: sensor for name, sensor in found.items() if sensor is not None}


def sensor_on(imu: xr.Dataset, segment: str, task: Task) -> int | None:
    """Return the first sensor on a segment (with a known rotation where the task turns it), or None."""
    on_segment = [index for index, name in enumerate(imu["segment"].values) if str(name) == segment]
    if task.axes == "sensor":
        return on_segment[0] if on_segment else None
    rotations = np.asarray(imu["rotation"].values, dtype=np.float64)
    return next((index for index in on_segment if np.isfinite(rotations[index]).all()), None)


def _sensor(imu: xr.Dataset, segment: str, task: Task, way: Plan, time_s: FloatArray) -> _Sensor | None:
    """Return the task's sensor on a segment, or None."""
    index = sensor_on(imu, segment, task)
    if index is None:
        return None
    rotations = np.asarray(imu["rotation"].values, dtype=np.float64)
    names = [name for name in RAW_CHANNELS if name in imu and (name == "gyr" or _wants(task, name))]
    parts = [np.asarray(imu[name].values[:, index], dtype=np.float64) for name in names]
    if _wants(task, ORIENTED):
        parts.append(_orientation(np.asarray(imu["quat"].values[:, index], dtype=np.float64)))
    values = np.concatenate(parts, axis=1)
    known: BoolArray = np.asarray(np.isfinite(values).all(axis=1))
    if "valid" in imu:
        known &= np.asarray(imu["valid"].values[:, index], dtype=bool)
    grid_s = np.arange(way.samples) / task.rate_hz
    # A sample of a sensor with a clock of its own was taken clock_offset_s after the common clock's time.
    own_s = time_s + float(imu["clock_offset_s"].values[index])
    inside = covered(own_s[known], grid_s, 1.0 / way.native_hz, task.max_gap_s)
    if not known.any():
        on_grid = np.full((way.samples, values.shape[1]), np.nan)
    else:
        if own_s[0] != time_s[0]:
            values, known = interpolate(own_s[known], values[known], time_s), np.ones_like(known)
        on_grid = onto_grid(way, time_s, values, known)
    if task.axes == "segment":
        parts = [_turned(on_grid[:, start : start + 3], rotations[index]) for start in range(0, on_grid.shape[1], 3)]
        on_grid = np.concatenate(parts, axis=1)
    channels = {name: on_grid[:, 3 * at : 3 * at + 3] for at, name in enumerate(names)}
    if _wants(task, ORIENTED):
        channels[ORIENTED] = _euler(on_grid[:, 3 * len(names) :].reshape(-1, 3, 3))
    return _Sensor(channels, inside)


def _orientation(quat: FloatArray) -> FloatArray:
    """Return the rows of the matrices (n, 9) of quaternions sensor to world (n, 4), w first.

    Each row is one of the world's axes in the sensor's, and so is turned to the segment's as any vector is.
    """
    w, x, y, z = (quat / np.sqrt((quat**2).sum(axis=1, keepdims=True))).T
    return np.stack([
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ], axis=1)  # fmt: skip


def _euler(rows: FloatArray) -> FloatArray:
    """Return the angles (n, 3) in rad about X, Y and Z of matrices body to world (n, 3, 3), taken in the order Y-X-Z.

    Heading first, about the vertical, then leaning to a side, then forward: a segment that stands is far from where two
    of them are one. Only ratios are taken, so that rows shortened by the way onto the grid do no harm.
    """
    heading = np.arctan2(rows[:, 0, 2], rows[:, 2, 2])
    leaning = np.arctan2(-rows[:, 1, 2], np.hypot(rows[:, 1, 0], rows[:, 1, 1]))
    forward = np.arctan2(rows[:, 1, 0], rows[:, 1, 1])
    return np.stack([leaning, heading, forward], axis=1)


def _turned(vectors: FloatArray, rotation: FloatArray) -> FloatArray:
    """Return (n, 3) vectors rotated, without BLAS: the same bits on every machine."""
    return np.asarray(sum(vectors[:, axis, None] * rotation[:, axis] for axis in range(3)))


def _wants(task: Task, name: str) -> bool:
    return any(channel.removesuffix("_norm") == name for channel in task.channels)


def _moving(sensors: list[_Sensor], rule: Moving | None, rate_hz: float, samples: int) -> BoolArray:
    """Return where the person moves, by ``tasks.Moving``."""
    if rule is None:
        return np.ones(samples, dtype=bool)
    total, count = np.zeros(samples), np.zeros(samples)
    for sensor in sensors:
        if "gyr" in sensor.channels:
            speed = np.sqrt((sensor.channels["gyr"] ** 2).sum(axis=1))
            total += np.where(sensor.known, speed, 0.0)
            count += sensor.known
    level = np.divide(total, count, out=np.zeros(samples), where=count > 0)
    known = (count > 0).astype(np.float64)
    reach = round(rule.smooth_s * rate_hz / 2)
    smooth = np.divide(_sliding_sum(level, reach), _sliding_sum(known, reach), out=np.zeros(samples), where=known > 0)
    at_least = max(1, round(rule.at_least_s * rate_hz))
    active = smooth > rule.floor_rad_s
    for start, stop in _runs(~active):  # pauses shorter than that are kept
        if stop - start < at_least and start > 0 and stop < samples:
            active[start:stop] = True
    for start, stop in _runs(active):
        if stop - start < at_least:
            active[start:stop] = False
    return active


def _doing(recording: Recording, task: Task, samples: int) -> BoolArray | str:
    """Return where the person does what the task admits, or why nobody knows that.

    A recording of an activity that the task admits counts whole. Of one whose activity is open (``OPEN_ACTIVITIES``),
    those of its ``activities`` count that the task admits by ``ADMITS``: spans on the imu's clock whose zero is its
    first sample, as labelled by ``harmonisation.label_activities``.
    """
    activity = str(recording.attrs.get("activity"))
    if task.activities is None or activity in task.activities or activity not in OPEN_ACTIVITIES:
        return np.ones(samples, dtype=bool)
    spans = recording.attrs.get("activities")
    if not spans:
        return (
            f"its activity is '{activity}', nobody says what is done when, and {task.name} takes "
            f"{', '.join(task.activities)}; convert it again with --activities ('activity: auto' in a manifest)"
        )
    at_s = np.arange(samples) / task.rate_hz
    doing = np.zeros(samples, dtype=bool)
    for span in spans:
        if set(ADMITS.get(span["activity"], ())) & set(task.activities):
            doing |= (at_s >= span["start_s"]) & (at_s < span["stop_s"])
    if not doing.any():
        told = ", ".join(dict.fromkeys(span["activity"] for span in spans))
        return f"nothing in it is {' or '.join(task.activities)}: its activities are {told}"
    return doing


def _sliding_sum(values: FloatArray, reach: int) -> FloatArray:
    """Return the sum over ``reach`` samples before to ``reach`` samples after each, fewer at the ends."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(values.size)
    return np.asarray(sums[np.minimum(at + reach + 1, values.size)] - sums[np.maximum(at - reach, 0)])


# --- legs ------------------------------------------------------------------------------------------------------------


def _leg(leg: str, task: Task, sensors: dict[str, _Sensor], recording: Recording, moving: BoolArray) -> LegSignals:
    signals, present = _signals(leg, task, sensors)
    if task.quantity == "acceleration":
        targets, labelled = accelerations_of(recording.reference, task.dofs_of(leg), present.size, task)
    else:
        targets, labelled = targets_of(recording, task.dofs_of(leg), present.size, task)
    usable = present & moving & labelled.all(axis=1)
    if not task.loads:
        orientations = orientations_of(recording.reference, leg, task, present.size) if task.orientations else None
        return LegSignals(leg, signals, targets, labelled, _runs(usable), orientations=orientations)
    stance = _stance(recording, task.dofs_of(leg)[0], present.size, task)
    if task.around is not None:
        usable &= _around(stance, task)
    return LegSignals(leg, signals, targets, labelled, _runs(usable), stance)


def _signals(leg: str, task: Task, sensors: dict[str, _Sensor]) -> tuple[Float32Array, BoolArray]:
    """Return one leg's inputs (n, channel), the left one mirrored, and where they are present (n,); else NaN."""
    used = [sensors.get(name) for name in task.segments_of(leg)]
    present = np.logical_and.reduce([sensor.known for sensor in used if sensor is not None])
    mirrored = leg == "l" and task.axes == "segment"  # raw sensor axes have no plane to mirror across
    absent = np.full((present.size, len(task.channel_names) // len(task.segments)), np.nan)
    parts = [absent if sensor is None else _channels(sensor, task, mirrored=mirrored) for sensor in used]
    signals = np.concatenate(parts, axis=1)
    signals[~present] = np.nan
    return signals.astype(np.float32), present


def _channels(sensor: _Sensor, task: Task, *, mirrored: bool) -> FloatArray:
    parts = []
    for channel in task.channels:
        values = sensor.channels[channel.removesuffix("_norm")]
        if channel.endswith("_norm"):
            parts.append(np.sqrt((values**2).sum(axis=1, keepdims=True)))
        elif mirrored:
            parts.append(mirror_acc(values) if channel == "acc" else mirror_gyr(values))
        else:
            parts.append(values)
    return np.concatenate(parts, axis=1)


# --- stance and straight walking -------------------------------------------------------------------------------------


def _stance(recording: Recording, dof: str, samples: int, task: Task) -> BoolArray | None:
    """Return where the foot on the side of a load bears weight, or None where no plate tells."""
    reference = recording.reference
    vertical = f"grf_vertical_{dof[-1]}"
    if reference is None or "grf" not in reference or reference.sizes["time"] < 2:
        return None
    if schema.GROUND_FORCES[vertical].side not in map(str, reference["plate"].values):
        return None
    force, _ = on_grid(reference, *load_of(reference, vertical, mass_of(recording)), samples, task)
    return stance_of(force)


def _around(stance: BoolArray | None, task: Task) -> BoolArray | bool:
    """Return the time around contacts that the task asks for; none where no plate tells them."""
    if stance is None or task.around is None:
        return False
    inside = np.zeros(stance.size, dtype=bool)
    for contact in contacts_of(stance, task.rate_hz):
        first = contact - task.around.before
        inside[max(first, 0) : max(first + task.around.length, 0)] = True
    return inside


def _straight(reference: xr.Dataset, task: Task, samples: int) -> BoolArray:
    """Return where the pelvis heads along the recording's line of walking, one way or the other.

    A heading that nobody measured, or that is not known at an instant, leaves nothing out.
    """
    if task.straight_deg is None:
        return np.ones(samples, dtype=bool)
    heading_deg, line_deg = heading_of(reference, task, samples)
    off_deg = np.abs((heading_deg - line_deg + 90.0) % 180.0 - 90.0)
    return np.isnan(off_deg) | (off_deg <= task.straight_deg)


# --- strides ---------------------------------------------------------------------------------------------------------


def _strides(recording: Recording, reference: xr.Dataset, task: Task, samples: int) -> tuple[int, ...]:
    """Return where one leg's strides begin: by its hip's flexion or else its knee's, the right leg's before the left's.

    Only where the person goes: a squat bends hip and knee too. A task of loads takes the contacts of its foot where the
    reference has neither angle; for one of angles there are none then.
    """
    going = _going(recording, samples, task.rate_hz)
    known = {str(name) for name in reference["dof"].values} if "angle" in reference else set()
    angles = replace(task, quantity="angle")
    for dof, events in _STRIDE_EVENTS:
        for name in (f"{dof}_r", f"{dof}_l"):
            if name in known:
                angle, holds = targets_of(recording, (name,), samples, angles)
                contacts = events(np.where(holds & going[:, None], angle, np.nan)[:, 0], task.rate_hz).contact_s
                if contacts.size:
                    return tuple(np.rint(contacts * task.rate_hz).astype(int).tolist())
    if not task.loads:
        return ()
    stance = _stance(recording, task.dofs_of(task.legs[0])[0], samples, task)
    return () if stance is None else tuple(at for at in contacts_of(stance, task.rate_hz) if going[at])


def _going(recording: Recording, samples: int, rate_hz: float) -> BoolArray:
    """Return where the person walks or runs, as the recording's activity or its labelled spans say."""
    activity = str(recording.attrs.get("activity"))
    if activity not in OPEN_ACTIVITIES:
        return np.full(samples, activity in GAITS)
    at_s = np.arange(samples) / rate_hz
    going = np.zeros(samples, dtype=bool)
    for span in recording.attrs.get("activities") or ():
        if set(ADMITS.get(span["activity"], ())) & set(GAITS):
            going |= (at_s >= span["start_s"]) & (at_s < span["stop_s"])
    return going


# --- runs ------------------------------------------------------------------------------------------------------------


def _runs(mask: BoolArray) -> Runs:
    """Return the stretches [start, stop) where a mask holds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return tuple((int(start), int(stop)) for start, stop in edges.reshape(-1, 2))


def _mask(runs: Runs, samples: int) -> BoolArray:
    mask = np.zeros(samples, dtype=bool)
    for start, stop in runs:
        mask[start:stop] = True
    return mask


def _nothing_left(sensors: dict[str, _Sensor], moving: BoolArray, legs: tuple[LegSignals, ...]) -> str:
    if not any(sensor.known.any() for sensor in sensors.values()):
        return "none of its sensors holds a valid sample"
    if not moving.any():
        return "nobody moves in it, by the task's rule"
    if not any(leg.labelled.all(axis=1).any() for leg in legs):
        return "its reference holds no instant at which all of the task's DoFs are valid"
    return "it has no instant with inputs, motion and a valid reference together"


def _native(imu: xr.Dataset, time_s: FloatArray) -> Samples:
    """Return every sensor's native-rate acceleration and angular rate as hashes, for the leak check."""
    names = [name for name in RAW_CHANNELS if name in imu]
    values = np.concatenate([np.asarray(imu[name].values, dtype=np.float32) for name in names], axis=2)
    return samples_of(time_s, values)
