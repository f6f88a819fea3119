"""From a model's answers to scores. Only this room holds the truth and the answers at once (protocols 1, Scores)."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kinbench import windows
from kinbench.contracts import Model
from kinbench.errors import DataError, StoreError
from kinbench.metrics import Metric, Quantity, compute_all, metrics_of
from kinbench.protocol import Fold
from kinbench.recording import Span
from kinbench.results import PersonScore, Result, View
from kinbench.runner import predictions
from kinbench.runner.predictions import PredictedView
from kinbench.runner.stopwatch import Stopwatch
from kinbench.store import Store
from kinbench.tasks import Task, from_plain
from kinbench.windows import TaskData
from kinbench.windows.batches import BoolArray, Float32Array, IntArray
from kinbench.windows.loads import SHORTEST_STANCE_S
from kinbench.windows.taskdata import Predictions

Ask = Callable[[int, int], Float32Array]
"""A filter's answer (samples, dof) for numbers of an entry and a leg."""
VIEWS: tuple[Literal["test", "test_long"], ...] = ("test", "test_long")


# --- predicting ------------------------------------------------------------------------------------------------------


def predict_view(
    model: Model, data: TaskData, spans: Sequence[Span], watch: Stopwatch, ask: Ask | None = None
) -> PredictedView:
    """Return a model's answer for every covered sample of the spans, person by person.

    Of a filter, which has no answer to windows, ``ask`` gives that to the recording and leg of these numbers.
    Raises ``DataError`` where the model answers in another shape, or with a value that is not finite.
    """
    parts = [_predict(model, data, mine, watch, ask) for mine in _by_person(data, spans).values()]
    entry, leg, sample = (np.concatenate([part[name] for part in parts]) for name in ("key", "leg", "sample"))
    prediction = np.concatenate([part["prediction"] for part in parts])
    used = np.bincount(entry, minlength=len(data.entries)) > 0
    recording = (np.cumsum(used) - 1)[entry]
    # One number per row sorts faster than three columns, and in next to no time where the rows are in order.
    order = np.argsort((recording * len(data.task.legs) + leg) * (sample.max() + 1) + sample, kind="stable")
    return PredictedView(
        keys=tuple(str(data.entries[number].key) for number in np.flatnonzero(used)), legs=data.task.legs,
        dofs=data.task.dofs, recording=recording[order], leg=leg[order], sample=sample[order],
        prediction=prediction[order],
    )  # fmt: skip


def _by_person(data: TaskData, spans: Sequence[Span]) -> dict[str, list[Span]]:
    """Return the spans by person: one person's windows at a time bound the memory a prediction needs."""
    persons = {str(entry.key): entry.person for entry in data.entries}
    found: dict[str, list[Span]] = defaultdict(list)
    for span in sorted(spans):
        found[persons[span.key]].append(span)
    return found


def _predict(
    model: Model, data: TaskData, spans: Sequence[Span], watch: Stopwatch, ask: Ask | None
) -> Predictions:  # fmt: skip
    test = data.test_windows(spans)
    if len(test) == 0:
        raise DataError(f"the test spans of {spans[0].key} hold no sample")
    if ask is not None:
        return windows.answered(test, len(data.task.dofs), ask)
    x = test.x
    with watch.time("predict"):
        answer = model.predict(x)
    return test.assemble(test.checked(answer, len(data.task.dofs)))


# --- scoring ---------------------------------------------------------------------------------------------------------


def score_view(
    view: View, table: PredictedView, data: TaskData, persons: Sequence[str], metrics: Sequence[Metric]
) -> list[PersonScore]:
    """Score every person and DoF of one view over the samples with a valid reference, both legs together.

    Loads are scored over stance; with the headline come the scores of the same spans outside it, as ``test_swing``.
    Raises ``DataError`` where a person of the fold has no sample at all.
    """
    reference, valid, whose = truth_of(table, data)
    borne = stance_in(table, data)
    if borne is not None:
        steps = steps_of(table, borne, data.task.rate_hz)
        phases: list[tuple[View, BoolArray]] = [(view, borne)]
        if view == "test":
            phases.append(("test_swing", ~borne))
    else:
        steps, phases = None, [(view, np.ones(table.leg.size, dtype=bool))]
    scores = []
    for person in persons:
        mine = np.array([owner == person for owner in whose])[table.recording]
        if not mine.any():
            raise DataError(f"nothing of {person} was predicted in '{view}'")
        for phase, during in phases:
            for column, dof in enumerate(table.dofs):
                use = mine & during & valid[:, column]
                scores.append(
                    _score(
                        phase, person, dof, int((mine & during).sum()), metrics,
                        table.prediction[use, column], reference[use, column], table.leg[use],
                        None if steps is None else steps[use],
                    )
                )  # fmt: skip
    return scores


def truth_of(table: PredictedView, data: TaskData) -> tuple[Float32Array, BoolArray, list[str]]:
    """Return (reference (m, dof) in the quantity's unit, valid (m, dof), the person of each of its recordings)."""
    numbers = {str(entry.key): number for number, entry in enumerate(data.entries)}
    reference, valid = data.truth(_numbered(table, data))
    return reference, valid, [data.entries[numbers[key]].person for key in table.keys]


def stance_in(table: PredictedView, data: TaskData) -> BoolArray | None:
    """Return where the foot bears weight (m,); None for a task of angles."""
    return data.borne(_numbered(table, data))


def steps_of(table: PredictedView, borne: BoolArray, rate_hz: float) -> IntArray:
    """Return which stance each sample is of (m,), numbered through; -1 in swing, or in what is too short for a step.

    A stance ends with its recording, its leg, or where the samples do not follow each other.
    """
    follows = (
        (np.diff(table.recording) == 0) & (np.diff(table.leg) == 0) & (np.diff(table.sample) == 1)
        & borne[1:] & borne[:-1]
    )  # fmt: skip
    number = np.cumsum(np.concatenate([[True], ~follows])) - 1
    long_enough = np.bincount(number) >= SHORTEST_STANCE_S * rate_hz
    return np.asarray(np.where(borne & long_enough[number], number, -1), dtype=np.int64)


def _numbered(table: PredictedView, data: TaskData) -> Predictions:
    """Return a table with its recordings numbered as the task's data number them."""
    numbers = {str(entry.key): number for number, entry in enumerate(data.entries)}
    entry = np.array([numbers[key] for key in table.keys], dtype=np.int64)[table.recording]
    return {"key": entry, "leg": table.leg, "sample": table.sample, "prediction": table.prediction}


def _score(
    view: View, person: str, dof: str, covered: int, metrics: Sequence[Metric],
    prediction: NDArray[np.float32], reference: NDArray[np.float32], leg: NDArray[np.int64],
    step: NDArray[np.int64] | None,
) -> PersonScore:  # fmt: skip
    if prediction.size == 0:
        nothing = "no test sample has a valid reference"
        return PersonScore(
            view=view, person=person, dof=dof, samples=0, covered=covered,
            values={metric.name: None for metric in metrics}, reasons={metric.name: nothing for metric in metrics},
        )  # fmt: skip
    found = compute_all(metrics, prediction, reference, leg, step)
    return PersonScore(
        view=view, person=person, dof=dof, samples=int(prediction.size), covered=covered,
        values={name: score.value for name, score in found.items()},
        reasons={name: score.reason for name, score in found.items() if score.reason is not None},
    )  # fmt: skip


def views_of(fold: Fold) -> dict[View, tuple[Span, ...]]:
    """Return the test spans by view; the headline first."""
    return {view: fold.roles[view] for view in VIEWS if fold.roles.get(view)}


def coverage(scores: Sequence[PersonScore]) -> float:
    """Return the share of headline samples that have a valid reference and were scored."""
    headline = [score for score in scores if score.view == "test"]
    covered = sum(score.covered for score in headline)
    return sum(score.samples for score in headline) / covered if covered else 0.0


# --- recomputing -----------------------------------------------------------------------------------------------------


def rescore(result: Result, store: Store, *, results: Path, cache: Path) -> tuple[PersonScore, ...]:
    """Score a result's kept predictions again, against the reference in ``store``; equal bit for bit, or a fault.

    ``results`` is the folder with ``<key>.npz``, ``cache`` that of the task caches. No model, protocol or task plugin
    is needed. Raises ``DataError`` when there are no predictions or their sha256 is another, ``StoreError`` when
    the store's recordings are not the ones that were scored.
    """
    views = kept_views(result, results)
    task_data = data_of(result, store, cache=cache)
    metrics = [metric_of(name, part.version, task_data.task.quantity) for name, part in result.metrics.items()]
    return tuple(
        score
        for view in VIEWS
        if view in views
        for score in score_view(view, views[view], task_data, result.fold.test_persons, metrics)
    )


def kept_views(result: Result, results: Path) -> dict[str, PredictedView]:
    """Return a result's kept predictions by view; raises ``DataError`` where there are none, or others."""
    path = results / f"{result.key}.npz"
    if not result.done or not path.is_file():
        raise DataError("there are no predictions to score again", where=path)
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != result.predictions:
        raise DataError("the predictions are not those that were scored: their sha256 differs", where=path)
    return predictions.unpack(data)


def data_of(result: Result, store: Store, *, cache: Path) -> TaskData:
    """Return the windows of a result's test dataset; raises ``StoreError`` unless they are of what was scored."""
    known = {str(entry.key): entry.digest for entry in store.entries()}
    used = next(part.recordings for part in result.datasets if part.name == result.fold.test_dataset)
    other = sorted(key for key, digest in used.items() if known.get(key) != digest)
    if other:
        raise StoreError(f"its recordings {', '.join(other)} are not the ones that were scored", where=store.path)
    return windows.prepare(store, task_of(result), cache=cache)


def task_of(result: Result) -> Task:
    """Return the task that a result's cell was scored on, made from the result alone."""
    try:
        return from_plain(result.task.definition)
    except ValueError as error:
        raise DataError(
            f"the task '{result.task.name}' of this result has other fields than this kinbench knows"
        ) from error


def metric_of(name: str, version: int, quantity: Quantity = "angle") -> Metric:
    """Return a quantity's metric in one version; raises ``DataError`` where this kinbench has another."""
    metric = metrics_of(quantity).get(name)
    if metric is None or metric.version != version:
        raise DataError(f"this kinbench has no metric '{name}' of version {version}")
    return metric
