"""What a model is fitted on and judged by, outside any protocol: everybody in some stores, a fifth kept aside."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kinbench import windows
from kinbench.contracts import Float32Array, Model, StreamModel
from kinbench.errors import DataError, NotApplicable, UsageError
from kinbench.metrics import compute_all, metrics_of
from kinbench.prediction.cards import store_part
from kinbench.protocol import cut, embargo, timelines, windows_in
from kinbench.recording import Span, TaskEntry
from kinbench.schema import DOFS
from kinbench.store import Store
from kinbench.tasks import Task
from kinbench.windows import Batches, TaskData

Progress = Callable[[int, int, str], None]
Spans = tuple[Span, ...]
ONE_IN = 5
"""One in so many persons stops the fit; of a single person, the last part of this size does."""


@dataclass(frozen=True)
class Material:
    """The stores as a task sees them, and whose time plays which role: ``fit`` or ``validation``."""

    task: Task
    stores: tuple[Store, ...]
    parts: Mapping[str, TaskData]
    roles: Mapping[str, Spans]

    @property
    def entries(self) -> list[TaskEntry]:
        """The entries of all stores."""
        return [entry for data in self.parts.values() for entry in data.entries]

    def batches(self, role: str) -> Batches:
        """Return the windows of one role, of all stores."""
        return windows.concatenate([self.parts[name].batches(self.roles[role]) for name in sorted(self.parts)])

    def persons(self) -> dict[str, list[str]]:
        """Return the persons by role."""
        found = {}
        for role, spans in self.roles.items():
            used = {span.key for span in spans}
            found[role] = sorted({entry.person for entry in self.entries if str(entry.key) in used})
        return found

    def store_parts(self, cache: Path) -> list[dict[str, Any]]:
        """Return what a card says of each store."""
        used = {span.key for spans in self.roles.values() for span in spans}
        return [
            store_part(
                store,
                {str(e.key): e.digest for e in self.parts[store.name].entries if str(e.key) in used},
                dict(self.parts[store.name].excluded),
                cache=cache,
            )
            for store in self.stores
        ]

    def scores(self, model: Model) -> list[dict[str, Any]]:
        """Return the scores of every validation person and DoF, the recordings of one store together."""
        rows = []
        for store in self.stores:
            data = self.parts[store.name]
            persons = {str(entry.key): entry.person for entry in data.entries}
            by_person: dict[str, list[Span]] = defaultdict(list)
            for span in self.roles["validation"]:
                if span.key in persons:
                    by_person[persons[span.key]].append(span)
            for person, mine in sorted(by_person.items()):
                rows += _scores_of(model, store, data, person, mine)
        return rows


def gather(
    stores: Sequence[Store],
    task: Task,
    *,
    cache: Path,
    on_progress: Progress = lambda done, total, label: None,
) -> Material:
    """Return everybody in some stores, dealt into ``fit`` and ``validation``.

    A fifth of the persons, at least one, is the validation set; of a single person it is the last fifth. Raises
    ``UsageError`` for angles of conventions that may not meet, ``NotApplicable`` where nothing feeds the task.
    """
    refuse_doubles(stores)
    parts = {store.name: windows.prepare(store, task, cache=cache, on_progress=on_progress) for store in stores}
    entries = [entry for data in parts.values() for entry in data.entries]
    _refuse_mixed_conventions(entries, task)
    material = Material(task, tuple(stores), parts, _roles(entries, task, list(parts.values())))
    if not len(material.batches("fit")):
        raise NotApplicable(f"No recording for '{task.name}' holds a whole window; give it longer ones.")
    return material


def refuse_doubles(stores: Sequence[Store]) -> None:
    """Raise ``UsageError`` unless there is a store, and each has a name of its own."""
    if not stores or len({store.name for store in stores}) < len(stores):
        raise UsageError("Expected one store or several of different names to train on.")


def deal(persons: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return (persons to learn from, a fifth for validation) by the hash of their names; of one person, nobody."""
    dealt = sorted(persons, key=lambda person: hashlib.sha256(person.encode()).hexdigest())
    border = max(1, round(len(dealt) / ONE_IN)) if len(dealt) > 1 else 0
    return dealt[border:], dealt[:border]


def _refuse_mixed_conventions(entries: Iterable[TaskEntry], task: Task) -> None:
    """Sagittal angles of different conventions may be learnt together; frontal and transverse ones never.

    Loads have no convention: they are forces and moments by name, about the schema's axes.
    """
    if task.quantity != "angle":
        return
    conventions = sorted({entry.convention or "unknown" for entry in entries})
    bound = [dof for leg in task.legs for dof in task.dofs_of(leg) if DOFS[dof].plane != "sagittal"]
    if len(conventions) > 1 and bound:
        raise UsageError(
            f"The stores' angle conventions ({', '.join(conventions)}) differ, and {', '.join(bound)} of different "
            "conventions cannot be learnt together; train on the stores of one convention."
        )


def _roles(entries: Sequence[TaskEntry], task: Task, parts: Sequence[TaskData]) -> dict[str, Spans]:
    """Return the spans to fit and to validate on; persons are dealt by the hash of their names."""
    times = timelines(entries)
    whole = {person: tuple(span for spans in mine.values() for span in spans) for person, mine in times.items()}
    usable = [person for person, spans in whole.items() if windows_in(spans, task.window, task.stride, task.least)]
    if not usable:
        reasons = dict.fromkeys(reason for data in parts for _, reason in data.excluded)
        raise NotApplicable(f"Nothing feeds '{task.name}': {'; '.join(reasons) or 'no recording is long enough'}.")
    if len(usable) == 1:
        samples = {str(entry.key): entry.embargo for entry in entries}
        last = 100 - 100 // ONE_IN
        mine = [
            embargo({"fit": cut(timeline, 0, last), "validation": cut(timeline, last, 100)}, samples)
            for timeline in times[usable[0]].values()
        ]
        return {role: tuple(span for cuts in mine for span in cuts[role]) for role in ("fit", "validation")}
    chosen = dict(zip(("fit", "validation"), deal(usable), strict=True))
    return {role: tuple(span for person in persons for span in whole[person]) for role, persons in chosen.items()}


# --- judging ---------------------------------------------------------------------------------------------------------


def _asked(model: StreamModel, store: Store, data: TaskData, entry: int, leg: int) -> Float32Array:
    imu, attrs = store.read_inputs(data.entries[entry].key)
    if imu is None:
        raise DataError("it has no imu stream", where=data.entries[entry].key)
    return model.estimate(windows.stream_of(imu, attrs, data.task, data.task.legs[leg]))


def _scores_of(model: Model, store: Store, data: TaskData, person: str, spans: Sequence[Span]) -> list[dict[str, Any]]:
    test = data.test_windows(spans)
    if not len(test):
        return []
    if isinstance(model, StreamModel):
        table = windows.answered(test, len(data.task.dofs), partial(_asked, model, store, data))
    else:
        table = test.assemble(test.checked(model.predict(test.x), len(data.task.dofs)))
    reference, valid = data.truth(table)
    rows = []
    for column, dof in enumerate(data.task.dofs):
        use = valid[:, column]
        if not use.any():
            continue
        found = compute_all(
            metrics_of(data.task.quantity).values(), table["prediction"][use, column], reference[use, column],
            table["leg"][use],
        )  # fmt: skip
        values = {name: score.value for name, score in found.items()}
        rows.append({"store": data.store_name, "person": person, "dof": dof, "samples": int(np.sum(use)), **values})
    return rows
