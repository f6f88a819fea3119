"""Whether folds can be carried out and counted once: what is wrong with them besides a leak, before anything is run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from kinbench.perturbations import KINDS, Change
from kinbench.protocol.folds import RESERVED, ROLES, Fold
from kinbench.recording import Span, TaskEntry
from kinbench.tasks import Task

OF_LABELS = ("label_noise", "label_offset")
"""Changes that only a reference feels: none of them can be made to what a fold is tested on."""


def flaws(folds: Sequence[Fold], entries: Sequence[TaskEntry], task: Task) -> tuple[str, ...]:
    """Return a sentence for each thing that keeps folds from being carried out or counted once, none for sound ones.

    Looked for are: two folds of one name; a role that there is not; spans outside their recording, empty, or sharing
    time within one role; no test span, or a person tested twice; datasets, sensors and changes that there are not; a
    change of labels ordered for the test; a condition named as a column of a table is. Spans of an unknown recording
    are the leak check's.
    """
    known = {str(entry.key): entry for entry in entries}
    datasets = {entry.key.dataset for entry in entries}
    told = [f"two folds or more are called '{name}'" for name, n in Counter(f.name for f in folds).items() if n > 1]
    seen: dict[int, tuple[str, ...]] = {}  # folds of a study share the very tuples of the people whom they fit on
    for fold in folds:
        found = [*_of_fold(fold, datasets, task)]
        for role, spans in fold.roles.items():
            if id(spans) not in seen:
                seen[id(spans)] = tuple(_of_spans(spans, known))
            found += [f"{role} {flaw}" for flaw in seen[id(spans)]]
        told += [f"fold '{fold.name}': {flaw}" for flaw in found]
    return tuple(told)


def _of_fold(fold: Fold, datasets: set[str], task: Task) -> Iterator[str]:
    for role in sorted(set(fold.roles) - set(ROLES)):
        yield f"there is no role '{role}'; they are {', '.join(ROLES)}"
    if not fold.roles.get("test"):
        yield "it has no test span"
    for person, count in Counter(fold.test_persons).items():
        if count > 1:
            yield f"{person} is among its test persons {count} times, and would weigh as many in a mean"
    for name in sorted({*fold.train_datasets, fold.test_dataset} - datasets):
        yield f"it names the dataset '{name}', of which there is no recording"
    if fold.segments is not None:
        for name in [name for name in fold.segments if name not in task.segments]:
            yield f"the task '{task.name}' has no sensor '{name}'; it has {', '.join(task.segments)}"
        if not fold.segments:
            yield "it leaves a model no sensor"
    yield from _of_changes(fold)
    clash = sorted(set(fold.condition) & RESERVED)
    if clash:
        yield f"its condition is called {', '.join(clash)}, as a column of every table is; name it otherwise"


def _of_changes(fold: Fold) -> Iterator[str]:
    ordered: dict[Change, None] = dict.fromkeys(
        (*fold.fit_changes, *fold.test_changes, *(change for copy in fold.fit_copies for change in copy))
    )
    for change in ordered:
        if change.kind not in KINDS:
            yield f"there is no change '{change.kind}'; there are {', '.join(sorted(KINDS))}"
    for change in fold.test_changes:
        if change.kind in OF_LABELS:
            yield f"'{change}' is to be made to the test, and the reference that a fold is scored against never changes"


def _of_spans(spans: Sequence[Span], known: Mapping[str, TaskEntry]) -> Iterator[str]:
    ordered = sorted(spans)
    for span in ordered:
        runs = known[span.key].runs if span.key in known else None
        if runs is not None and not (runs and runs[0][0] <= span.start < span.stop <= runs[-1][1]):
            where = f"[{runs[0][0]}, {runs[-1][1]})" if runs else "none of it usable"
            yield f"{span.key} [{span.start}, {span.stop}) is empty or reaches beyond the recording, {where}"
    for one, other in pairwise(ordered):
        if one.key == other.key and other.start < one.stop:
            yield f"counts time twice: {one.key} [{one.start}, {one.stop}) and [{other.start}, {other.stop}) overlap"
