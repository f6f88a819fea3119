"""Kept predictions and the reference side by side, for whoever asks more of them than a score."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench.results import Result, View
from kinbench.runner.scoring import kept_views, stance_in, truth_of
from kinbench.tasks import Task
from kinbench.windows import TaskData
from kinbench.windows.batches import BoolArray, Float32Array


@dataclass(frozen=True)
class Aligned:
    """One person's test samples in one view, in the order of recording, leg, sample.

    ``recording`` (m,) points into ``keys``, ``activities`` and ``strides`` (where strides begin, in samples of the
    recording's grid, empty where nobody goes), ``leg`` (m,) into the task's legs; ``sample`` (m,) counts at the task's
    rate. ``prediction`` and ``reference`` (m, dof) are in the task's unit, ``valid`` (m, dof) says what is scored:
    where there is a reference and, of a load, where the foot bears weight.
    """

    person: str
    view: View
    task: Task
    keys: tuple[str, ...]
    activities: tuple[str, ...]
    strides: tuple[tuple[int, ...], ...]
    recording: NDArray[np.int64]
    leg: NDArray[np.int64]
    sample: NDArray[np.int64]
    prediction: Float32Array
    reference: Float32Array
    valid: BoolArray


def align(result: Result, data: TaskData, *, results: Path, view: View = "test") -> tuple[Aligned, ...]:
    """Return each test person's kept predictions beside the reference; ``data`` is that of ``scoring.data_of``.

    ``results`` is the folder with ``<key>.npz``. Raises ``DataError`` where there are no predictions, their sha256 is
    another, or the view was not predicted.
    """
    views = kept_views(result, results)
    if view not in views:
        raise DataError(f"nothing was predicted in the view '{view}'", where=results / f"{result.key}.npz")
    table = views[view]
    reference, valid, whose = truth_of(table, data)
    borne = stance_in(table, data)
    if borne is not None:
        valid = valid & borne[:, None]
    entries = {str(entry.key): entry for entry in data.entries}
    found = []
    for person in result.fold.test_persons:
        own = np.array([owner == person for owner in whose])
        mine = own[table.recording]
        renumbered = np.cumsum(own) - 1
        keys = tuple(key for key, is_own in zip(table.keys, own, strict=True) if is_own)
        found.append(
            Aligned(
                person=person, view=view, task=data.task, keys=keys,
                activities=tuple(entries[key].activity for key in keys),
                strides=tuple(entries[key].strides for key in keys),
                recording=renumbered[table.recording[mine]], leg=table.leg[mine], sample=table.sample[mine],
                prediction=table.prediction[mine], reference=reference[mine], valid=valid[mine],
            )
        )  # fmt: skip
    return tuple(found)


def mean_reference(data: TaskData, keys: set[str]) -> dict[str, NDArray[np.float64]]:
    """Return each person's mean reference over some recordings, (dof,) in the task's unit; NaN where there is none."""
    sums: dict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros((2, len(data.task.dofs))))
    for piece in data.pieces:
        entry = data.entries[piece.entry]
        if str(entry.key) not in keys:
            continue
        for start, stop in piece.runs:
            rows = slice(piece.offset + start, piece.offset + stop)
            known = data.labelled[rows]
            sums[entry.person] += [np.where(known, data.targets[rows], 0.0).sum(axis=0), known.sum(axis=0)]
    return {
        person: np.where(count > 0, total / np.maximum(count, 1), np.nan) for person, (total, count) in sums.items()
    }
