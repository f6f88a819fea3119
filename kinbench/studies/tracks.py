"""Kept predictions laid out for a study: one leg of one recording at a time, with the strides that it takes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinbench import runner
from kinbench.files import digest
from kinbench.kinematics import events_from_hip_angle, events_from_knee_angle
from kinbench.metrics import circular_difference
from kinbench.results import Result
from kinbench.runner import Aligned
from kinbench.schema import PERSON_FIELDS
from kinbench.store import Store
from kinbench.studies.distances import distances as between
from kinbench.windows import TaskData

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

SHORTEST_STRIDE_S, LONGEST_STRIDE_S = 0.4, 2.0
"""Two contacts nearer or further apart are no stride: a stumble, or a pause between them."""
_EVENTS = {"hip_flexion": events_from_hip_angle, "knee_flexion": events_from_knee_angle}


@dataclass(frozen=True)
class Track:
    """One leg ("r", "l", or "" for what belongs to neither) of one recording's test samples.

    ``sample`` (m,) counts at ``rate_hz`` from the recording's start; ``reference`` and ``error`` (prediction minus
    reference, of angles on the circle) are (m, dof) in the task's unit, NaN where nothing is scored. ``dofs`` are the
    task's names, ``strides`` pairs of rows [start, stop) from one foot contact to the next, told by the reference.
    """

    key: str
    activity: str
    side: str
    rate_hz: float
    dofs: tuple[str, ...]
    sample: NDArray[np.int64]
    reference: FloatArray
    error: FloatArray
    strides: tuple[tuple[int, int], ...]


class Kept:
    """The predictions of a results folder and the stores they were made on, opened as they are asked for."""

    def __init__(self, results: Path, open_store: Callable[[str], Store], cache: Path) -> None:
        self._results = results
        self._open = open_store
        self._cache = cache
        self._stores: dict[str, Store] = {}
        self._data: dict[str, TaskData] = {}
        self._facts: dict[str, dict[str, dict[str, Any]]] = {}

    def tracks(self, result: Result) -> dict[str, list[Track]]:
        """Return the headline's tracks by test person; raises ``DataError`` and ``StoreError`` as ``rescore`` does."""
        aligned = runner.align(result, self._task_data(result), results=self._results)
        return {one.person: [*_tracks(one)] for one in aligned}

    def others(self, result: Result) -> FloatArray:
        """Return the mean reference (dof,) of the persons of the test dataset whom a result's model was fitted with.

        Persons weigh alike. NaN where the model was fitted elsewhere, or on nobody else.
        """
        data = self._task_data(result)
        if result.fold.test_dataset not in result.fold.train_datasets:
            return np.full(len(data.task.dofs), np.nan)
        used = next(part.recordings for part in result.datasets if part.name == result.fold.test_dataset)
        means = runner.mean_reference(data, set(used))
        rest = [mean for person, mean in means.items() if person not in result.fold.test_persons]
        return np.mean(rest, axis=0) if rest else np.full(len(data.task.dofs), np.nan)

    def distances(self, results: Iterable[Result]) -> dict[str, pd.DataFrame]:
        """Return how far apart the datasets of some results lie, by component (``studies.distances``)."""
        tested = {result.fold.test_dataset: result for result in results}
        if len(tested) < 2:
            return {}
        data = [self._task_data(tested[name]) for name in sorted(tested)]
        return between([*data], {name: self._store(name).entries() for name in sorted(tested)})

    def facts(self, dataset: str) -> dict[str, dict[str, Any]]:
        """Return what a store says of each person (``schema.PERSON_FIELDS``); what it leaves open is not there."""
        if dataset not in self._facts:
            store = self._store(dataset)
            first = {entry.person: entry.key for entry in reversed(store.entries())}
            self._facts[dataset] = {
                person: _known(store.read_inputs(key)[1].get("person_table") or {}) for person, key in first.items()
            }
        return self._facts[dataset]

    def _store(self, dataset: str) -> Store:
        if dataset not in self._stores:
            self._stores[dataset] = self._open(dataset)
        return self._stores[dataset]

    def _task_data(self, result: Result) -> TaskData:
        name = digest([result.fold.test_dataset, result.task.definition])
        if name not in self._data:
            self._data[name] = runner.data_of(result, self._store(result.fold.test_dataset), cache=self._cache)
        return self._data[name]


def _known(table: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in table.items()
        if name in PERSON_FIELDS and value not in (None, "unknown") and not _nan(value)
    }


def _nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


# --- one leg at a time -----------------------------------------------------------------------------------------------


def _tracks(aligned: Aligned) -> Iterator[Track]:
    legs = aligned.task.legs
    for recording, key in enumerate(aligned.keys):
        for leg, name in enumerate(legs):
            rows = np.flatnonzero((aligned.recording == recording) & (aligned.leg == leg))
            for side, columns in _sides(aligned.task.dofs, name).items():
                if rows.size:
                    yield _track(aligned, key, aligned.activities[recording], side, rows, columns,
                                 bool(aligned.strides[recording]))  # fmt: skip


def _sides(dofs: tuple[str, ...], leg: str) -> dict[str, list[int]]:
    """Return the columns of each side; of a task of single legs, all are of the leg at hand."""
    if leg:
        return {leg: [*range(len(dofs))]}
    found: dict[str, list[int]] = defaultdict(list)
    for column, dof in enumerate(dofs):
        found[dof[-1] if dof.endswith(("_r", "_l")) else ""].append(column)
    return found


def _track(
    aligned: Aligned, key: str, activity: str, side: str, rows: NDArray[np.intp], columns: list[int], going: bool
) -> Track:  # fmt: skip
    valid, truth, answered = (
        values[rows][:, columns] for values in (aligned.valid, aligned.reference, aligned.prediction)
    )
    reference = np.where(valid, truth.astype(np.float64), np.nan)
    prediction = answered.astype(np.float64)
    known = np.nan_to_num(reference)
    apart = circular_difference(prediction, known) if aligned.task.quantity == "angle" else prediction - known
    error = np.where(valid, apart, np.nan)
    dofs = tuple(aligned.task.dofs[column] for column in columns)
    sample = aligned.sample[rows]
    strides = _strides(sample, reference, dofs, aligned.task.rate_hz) if going else ()
    return Track(key, activity, side, aligned.task.rate_hz, dofs, sample, reference, error, strides)


def _strides(
    sample: NDArray[np.int64], reference: FloatArray, dofs: tuple[str, ...], rate_hz: float
) -> tuple[tuple[int, int], ...]:
    """Return the strides that lie whole in the samples, by the hip's flexion or else the knee's."""
    bare = [dof.removesuffix("_r").removesuffix("_l") for dof in dofs]
    column = next((bare.index(name) for name in _EVENTS if name in bare), None)
    if column is None:
        return ()
    first, last = int(sample[0]), int(sample[-1])
    angle = np.full(last - first + 1, np.nan)
    angle[sample - first] = reference[:, column]
    row_of = np.full(angle.size, -1)
    row_of[sample - first] = np.arange(sample.size)
    contacts = np.rint(_EVENTS[bare[column]](angle, rate_hz).contact_s * rate_hz).astype(int)
    found = []
    for start, stop in pairwise(contacts[(contacts >= 0) & (contacts < angle.size)]):
        whole = SHORTEST_STRIDE_S <= (stop - start) / rate_hz <= LONGEST_STRIDE_S
        if whole and (row_of[start : stop + 1] >= 0).all():
            found.append((int(row_of[start]), int(row_of[stop])))
    return tuple(found)
