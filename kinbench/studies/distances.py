"""How far apart datasets are before any model is fitted: what sensors feel, how people move, and where sensors sit.

Each component is a table of datasets by datasets, symmetric, 0 on the diagonal, in a unit of its own:

- ``spectra``, dB: log-spectral distance (Gray & Markel, IEEE Trans ASSP 24:380-391, 1976) of the power spectral
  densities of each input channel (Welch, windows of the task's length, mean removed) up to ``TOP_HZ``; root mean square
  over frequencies, mean over channels. A factor of 10 in amplitude at every frequency is 20 dB.
- ``gravity``, deg: angle between the mean directions of the specific force in the sensor's axes as the task has them,
  mean over sensors: how differently calibrated axes lie.
- ``range``, the reference's unit: difference of how far a reference goes from its 5th to its 95th percentile, mean
  over DoFs.
- ``speed``, rad s-1: difference of the root mean square of the angular rate, mean over sensors.
- ``cadence``, strides per minute: difference of the median stride rates.
- ``placement``, share of a segment's length: how far apart the sensors' sites are, by ``virtual_imu.site_offset``, mean
  over sensors; of datasets with several sites, half of the energy distance (Székely & Rizzo, J Stat Plan Inference
  143:1249-1272, 2013), which for one site each is the distance between the two.
- ``calibration``, share: half the sum of absolute differences of how often a sensor's rotation to its segment was found
  in each way (total variation), mean over sensors.

A dataset is the mean of its persons; persons weigh alike. What cannot be told (no acceleration, no strides, a site that
nobody wrote down) is NaN and never 0. ``combined`` is the mean of the components that are known for all pairs, each
divided by its own mean over pairs: 1 is an average pair of the datasets at hand, and means nothing beside others.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import welch

from kinbench.errors import UsageError
from kinbench.recording import IndexEntry, SensorEntry
from kinbench.tasks import Task
from kinbench.virtual_imu import site_offset
from kinbench.windows import TaskData

FloatArray = NDArray[np.float64]

TOP_HZ = 20.0
"""Above it human motion has next to nothing, and what spectra tell is the devices' noise and filters."""
MOST_S = 600.0
"""So much of a person is looked at, evenly over the runs."""
FLOOR = {"acc": 1e-5, "gyr": 1e-7}
"""Power below which a channel counts as silent: (m s-2)^2 / Hz and (rad s-1)^2 / Hz, about a good sensor's noise."""
RANGE_PERCENT = (5.0, 95.0)
COMPONENTS = ("spectra", "gravity", "range", "speed", "cadence", "placement", "calibration")
UNITS = {
    "spectra": "dB", "gravity": "deg", "range": "the reference's", "speed": "rad s-1", "cadence": "strides min-1",
    "placement": "segment lengths", "calibration": "share", "combined": "average pairs",
}  # fmt: skip


@dataclass(frozen=True)
class _Dataset:
    """What is compared of one dataset: means over persons, and the sensors in its index."""

    name: str
    log_power: FloatArray
    force: FloatArray
    rate: FloatArray
    reach: FloatArray
    strides_per_min: float
    sensors: Mapping[str, Counter[SensorEntry]]


def distances(data: Sequence[TaskData], index: Mapping[str, Sequence[IndexEntry]]) -> dict[str, pd.DataFrame]:
    """Return a table (dataset, dataset) for each of ``COMPONENTS`` and ``combined``; ``attrs['unit']`` is its unit.

    ``data`` are stores as one and the same task sees them, ``index`` their stores' entries by name. ``combined`` names
    the components it is made of in ``attrs['components']``. Raises ``UsageError`` below two datasets, for different
    tasks, two stores of one name, or a store that feeds the task nothing.
    """
    _check(data)
    found = [_dataset(some, index.get(some.store_name, ())) for some in data]
    task = data[0].task
    measures: dict[str, Callable[[_Dataset, _Dataset], float]] = {
        "spectra": lambda a, b: _mean(np.sqrt(((a.log_power - b.log_power) ** 2).mean(axis=1))),
        "gravity": _between_forces,
        "range": lambda a, b: _mean(np.abs(a.reach - b.reach)),
        "speed": lambda a, b: _mean(np.abs(a.rate - b.rate)),
        "cadence": lambda a, b: abs(a.strides_per_min - b.strides_per_min),
        "placement": lambda a, b: _over_sensors(a, b, task, _between_sites),
        "calibration": lambda a, b: _over_sensors(a, b, task, _between_origins),
    }
    tables = {name: _table(name, found, measures[name]) for name in COMPONENTS}
    return {**tables, "combined": _combined(tables)}


def _check(data: Sequence[TaskData]) -> None:
    names = [some.store_name for some in data]
    if len(names) < 2:
        raise UsageError(f"A distance is between two datasets or more, and there is {names[0] if names else 'none'}.")
    doubled = sorted(name for name, count in Counter(names).items() if count > 1)
    if doubled:
        raise UsageError(f"Expected different datasets, got {', '.join(doubled)} more than once.")
    tasks = {some.task for some in data}
    if len(tasks) > 1:
        raise UsageError(
            f"Datasets are compared as one task sees them, got {', '.join(sorted(task.name for task in tasks))}."
        )
    empty = [some.store_name for some in data if not any(piece.runs for piece in some.pieces)]
    if empty:
        raise UsageError(f"Nothing of {', '.join(empty)} feeds the task '{data[0].task.name}'.")


def _table(
    name: str, found: Sequence[_Dataset], measure: Callable[[_Dataset, _Dataset], float]
) -> pd.DataFrame:  # fmt: skip
    names = [some.name for some in found]
    values = np.zeros((len(found), len(found)))
    for row in range(len(found)):
        for column in range(row):
            values[row, column] = values[column, row] = measure(found[row], found[column])
    table = pd.DataFrame(values, index=names, columns=names)
    table.attrs["unit"] = UNITS[name]
    return table


def _combined(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    scaled: dict[str, pd.DataFrame] = {}
    for name, table in tables.items():
        pairs = table.to_numpy()[~np.eye(len(table), dtype=bool)]
        if np.isfinite(pairs).all() and pairs.mean() > 0:
            scaled[name] = table / pairs.mean()
    first = next(iter(tables.values()))
    nothing = pd.DataFrame(np.nan, index=first.index, columns=first.columns)
    combined = sum(scaled.values(), start=nothing.fillna(0.0)) / len(scaled) if scaled else nothing
    combined.attrs.update(unit=UNITS["combined"], components=tuple(scaled))
    return combined


# --- one dataset -----------------------------------------------------------------------------------------------------


def _dataset(data: TaskData, entries: Sequence[IndexEntry]) -> _Dataset:
    task = data.task
    parts: dict[str, list[slice]] = defaultdict(list)
    for piece in data.pieces:
        parts[data.entries[piece.entry].person] += [
            slice(piece.offset + start, piece.offset + stop) for start, stop in piece.runs
        ]
    persons = [_person(data, some) for some in parts.values() if some]
    log_power, force, rate, reach = (_means(np.array([one[k] for one in persons])) for k in range(4))
    used = {str(entry.key) for entry in data.entries}
    sensors: dict[str, Counter[SensorEntry]] = defaultdict(Counter)
    for entry in entries:
        for sensor in entry.sensors if str(entry.key) in used else ():
            bare = sensor.segment.removesuffix("_r").removesuffix("_l") if task.per_leg else sensor.segment
            if bare in task.segments:
                sensors[bare][sensor] += 1
    return _Dataset(data.store_name, log_power, force, rate, reach, _strides_per_min(data), sensors)


def _person(data: TaskData, runs: Sequence[slice]) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return, of one person, log power (channel, frequency), force (sensor, 3), rate (sensor,) and reach (DoF,)."""
    task = data.task
    stretches = [data.signals[rows].astype(np.float64) for rows in _some(runs, task)]
    spectra, weights = zip(*(_power(part, task) for part in stretches), strict=True)
    power = sum(w * one for w, one in zip(weights, spectra, strict=True)) / (sum(weights) or np.nan)
    floor = [FLOOR[name.split("/")[1].removesuffix("_norm")] for name in task.channel_names]
    inputs = np.concatenate(stretches)
    truth = np.concatenate([np.where(data.labelled[rows], data.targets[rows], np.nan) for rows in runs])
    felt = _triads(task, "acc") if task.acc_kind == "specific_force" else []
    low, high = np.nanpercentile(truth.astype(np.float64), RANGE_PERCENT, axis=0)
    return (
        10 * np.log10(np.maximum(power, np.array(floor)[:, None])),
        np.array([inputs[:, columns].mean(axis=0) for columns in felt]),
        np.array([np.sqrt((inputs[:, columns] ** 2).sum(axis=1).mean()) for columns in _triads(task, "gyr")]),
        np.asarray(high - low),
    )


def _some(runs: Sequence[slice], task: Task) -> list[slice]:
    """Return runs with no more than ``MOST_S`` in all: of each its beginning, all by the same share."""
    share = min(1.0, MOST_S * task.rate_hz / sum(rows.stop - rows.start for rows in runs))
    return [slice(rows.start, rows.start + max(1, round(share * (rows.stop - rows.start)))) for rows in runs]


def _power(part: FloatArray, task: Task) -> tuple[FloatArray, int]:
    """Return the power density (channel, frequency) of one stretch and its weight, its length; 0 if it is too short."""
    long = len(part) >= task.window
    at, power = welch(
        part if long else np.zeros((task.window, part.shape[1])), task.rate_hz, nperseg=task.window, axis=0
    )
    return np.asarray(power[(at > 0) & (at <= TOP_HZ)].T), len(part) if long else 0


def _triads(task: Task, channel: str) -> list[list[int]]:
    names = task.channel_names
    if channel not in task.channels:
        return []
    return [[names.index(f"{segment}/{channel}/{axis}") for axis in "xyz"] for segment in task.segments]


def _strides_per_min(data: TaskData) -> float:
    """Return the mean over persons of the median stride rate; NaN where no stride is told."""
    steps: dict[str, list[FloatArray]] = defaultdict(list)
    for entry in data.entries:
        if len(entry.strides) > 1:
            steps[entry.person].append(np.diff(np.asarray(entry.strides, dtype=np.float64)))
    medians = [float(np.median(np.concatenate(some))) for some in steps.values()]
    return 60 * data.task.rate_hz * float(np.mean([1 / step for step in medians])) if medians else np.nan


def _means(values: FloatArray) -> FloatArray:
    """Return means over the first axis of what is known; NaN where nothing is."""
    known = np.isfinite(values)
    count = np.where(known.any(axis=0), known.sum(axis=0), np.nan)
    return np.asarray(np.where(known, values, 0.0).sum(axis=0) / count)


def _mean(values: FloatArray) -> float:
    return float(_means(values.ravel())) if values.size else np.nan


# --- between two -----------------------------------------------------------------------------------------------------


def _between_forces(a: _Dataset, b: _Dataset) -> float:
    if not a.force.size:
        return np.nan
    across = np.linalg.norm(np.cross(a.force, b.force), axis=1)
    return _mean(np.degrees(np.arctan2(across, (a.force * b.force).sum(axis=1))))


def _over_sensors(
    a: _Dataset, b: _Dataset, task: Task, measure: Callable[[Counter[SensorEntry], Counter[SensorEntry]], float]
) -> float:  # fmt: skip
    """Return the mean over sensors of what can be told; NaN where nothing can."""
    each = [measure(a.sensors[name], b.sensors[name]) for name in task.segments
            if name in a.sensors and name in b.sensors]  # fmt: skip
    return _mean(np.array(each))


def _between_sites(a: Counter[SensorEntry], b: Counter[SensorEntry]) -> float:
    places = [_places(some) for some in (a, b)]
    if any(some is None for some in places):
        return np.nan
    one, other = (some for some in places if some is not None)
    return max(0.0, _apart(one, other) - (_apart(one, one) + _apart(other, other)) / 2)


def _apart(some: Sequence[tuple[FloatArray, float]], others: Sequence[tuple[FloatArray, float]]) -> float:
    """Return the expected distance between a place of the one and a place of the other, by their shares."""
    return float(sum(p * q * np.linalg.norm(x - y) for (x, p), (y, q) in product(some, others)))


def _places(sensors: Counter[SensorEntry]) -> list[tuple[FloatArray, float]] | None:
    """Return sites as (3,) segment lengths with their shares, left ones mirrored; None where one has no place."""
    try:
        return [
            (_place(sensor), count / sensors.total()) for sensor, count in sensors.items()
        ]  # fmt: skip
    except UsageError:
        return None


def _place(sensor: SensorEntry) -> FloatArray:
    side = "right" if sensor.side == "left" else sensor.side
    return site_offset(sensor.segment, side, sensor.site, sensor.level, 1.0)


def _between_origins(a: Counter[SensorEntry], b: Counter[SensorEntry]) -> float:
    one, other = (_shares(some) for some in (a, b))
    return sum(abs(one.get(name, 0.0) - other.get(name, 0.0)) for name in {*one, *other}) / 2


def _shares(sensors: Counter[SensorEntry]) -> dict[str, float]:
    shares: dict[str, float] = defaultdict(float)
    for sensor, count in sensors.items():
        shares[sensor.rotation_origin] += count / sensors.total()
    return shares
