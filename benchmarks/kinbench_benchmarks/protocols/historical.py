"""Splits as published, with the leaks they have: to stand beside a paper's figure, never in a ranking.

Each card names its leaks, and the leak check lets those through and no other. What spans of time cannot repeat (windows
drawn at random, statistics of whole recordings, windows across joins) is not repeated, and the description says so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kinbench.errors import NotApplicable
from kinbench.protocol import Fold, ProtocolCard, cut
from kinbench.recording import Span, TaskEntry, natural
from kinbench.tasks import Task
from kinbench_benchmarks.protocols.persons import (
    TESTED,
    Persons,
    Roles,
    Spans,
    by_persons,
    cuts,
    joined,
)
from kinbench_benchmarks.protocols.transfer import refuse_mixed_conventions

HUR_FITTED, HUR_VALIDATING, HUR_TESTED = (1, 2, 3, 4, 6), 7, 8
"""Hur et al. (2025), participants of the OpenSense data."""
RAPP_SEED = 42
"""Rapp et al. (2021) shuffled their rows with it."""


@dataclass(frozen=True)
class HurGeneralised:
    """Participants 1, 2, 3, 4 and 6 to fit, 7 to stop, 8 to test."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return the one fold; raises ``NotApplicable`` where a participant of this number is missing."""
        persons = Persons(entries, task)
        fitted, tested = _hur_fit(persons, self.card.name)
        return [persons.fold(tested, (tested,), {**fitted, "test": persons.whole([tested])}, (), dealt=False)]


@dataclass(frozen=True)
class HurAdaptive:
    """The model of ``ug-hur2025``; of participant 8, 20 % to adapt, 20 % to stop, 60 % to test, with no embargo."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return the one fold; raises ``NotApplicable`` where a participant of this number is missing."""
        persons = Persons(entries, task)
        fitted, tested = _hur_fit(persons, self.card.name)
        parts: list[Roles] = [
            {"adaptation": cut(timeline, 0, 20), "stopping": cut(timeline, 20, 40), "test": cut(timeline, 40, 100)}
            for timeline in persons.timelines[tested].values()
        ]
        return [persons.fold(tested, (tested,), {**fitted, **joined(parts)}, (), dealt=False)]


@dataclass(frozen=True)
class RappSplit:
    """Recordings, not persons, shuffled and cut at 80 and 90 %, each activity by itself."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return the one fold; raises ``NotApplicable`` below ten recordings of an activity."""
        persons = Persons(entries, task)
        rows: dict[str, list[TaskEntry]] = {}
        for entry in sorted(entries, key=lambda entry: entry.key.sort_key):
            if entry.runs:
                rows.setdefault(entry.activity, []).append(entry)
        parts = [_rows(rows[activity]) for activity in sorted(rows) if len(rows[activity]) >= 10]
        short = tuple(
            f"{activity} is left out: fewer than ten recordings"
            for activity in sorted(rows)
            if len(rows[activity]) < 10
        )
        if not parts:
            raise NotApplicable(
                f"'{self.card.name}' needs ten recordings of one activity: {'; '.join(short) or 'none'}."
            )
        roles = joined(parts)
        owner = {str(entry.key): entry.person for entry in entries}
        tested = tuple(sorted({owner[span.key] for span in roles["test"]}, key=natural))
        return [persons.fold("80/10/10 by row", tested, roles, short, dealt=False)]


@dataclass(frozen=True)
class BroughFinetuning:
    """A model of one dataset tuned to the first 94 % of everybody's time in another, tested on the rest of it."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return one fold per ordered pair of datasets; raises ``NotApplicable`` where there is none."""
        by_dataset: dict[str, list[TaskEntry]] = {}
        for entry in entries:
            by_dataset.setdefault(entry.key.dataset, []).append(entry)
        names = sorted(by_dataset, key=natural)
        found, reasons = [], []
        for source in names:
            for target in names:
                if source != target:
                    try:
                        found.append(_tuned(by_dataset[source], by_dataset[target], task))
                    except NotApplicable as reason:
                        reasons.append(f"{source} -> {target}: {reason}")
        if not found:
            raise NotApplicable(
                f"'{self.card.name}' needs two datasets that feed '{task.name}'"
                f"{', and there is only ' + names[0] if len(names) == 1 else ''}. {' '.join(reasons)}".strip()
            )
        return [replace(fold, notes=(*fold.notes, *reasons)) for fold in found]


# --- parts -----------------------------------------------------------------------------------------------------------


def _hur_fit(persons: Persons, protocol: str) -> tuple[Roles, str]:
    """Return fit and validation, and the person who is tested."""
    numbered = _numbered(persons.names)
    wanted = (*HUR_FITTED, HUR_VALIDATING, HUR_TESTED)
    missing = [str(number) for number in wanted if number not in numbered]
    if missing:
        raise NotApplicable(
            f"'{protocol}' is a split of participants {', '.join(map(str, wanted))}, and '{persons.dataset}' has no "
            f"participant {', '.join(missing)}."
        )
    fitted = [numbered[number] for number in HUR_FITTED]
    return {"fit": persons.whole(fitted), "validation": persons.whole([numbered[HUR_VALIDATING]])}, numbered[HUR_TESTED]


def _numbered(names: Sequence[str]) -> Mapping[int, str]:
    """Return persons by the number that their subject's name ends with; of two with one number, neither."""
    found: dict[int, list[str]] = {}
    for name in names:
        digits = re.search(r"\d+$", name)
        if digits:
            found.setdefault(int(digits.group()), []).append(name)
    return {number: owners[0] for number, owners in found.items() if len(owners) == 1}


def _rows(rows: Sequence[TaskEntry]) -> Roles:
    order = np.random.RandomState(RAPP_SEED).permutation(len(rows))
    first, second = math.ceil(0.8 * len(rows)), math.ceil(0.9 * len(rows))
    shuffled = [rows[number] for number in order.tolist()]
    return {
        "fit": _whole(shuffled[:first]), "validation": _whole(shuffled[first:second]), "test": _whole(shuffled[second:])
    }  # fmt: skip


def _whole(rows: Sequence[TaskEntry]) -> Spans:
    return tuple(Span(str(row.key), *run) for row in sorted(rows, key=lambda row: row.key.sort_key) for run in row.runs)


def _tuned(source: Sequence[TaskEntry], target: Sequence[TaskEntry], task: Task) -> Fold:
    refuse_mixed_conventions([*source, *target], task)
    here, there = Persons(source, task), Persons(target, task)
    roles = by_persons(here, [person for person in here.names if person not in there.names])
    if roles is None:
        raise NotApplicable(f"nobody in {here.dataset} has enough to fit a model on.")
    tested, notes = there.having(
        lambda timeline, _: {"adaptation": cuts(timeline, 0, 94), "test": cuts(timeline, 94, 100)},
        ("adaptation", *TESTED),
    )
    if not tested:
        raise NotApplicable(f"nobody has enough to test on: {'; '.join(notes) or 'no recording'}.")
    return Fold(
        name=f"{here.dataset} -> {there.dataset}",
        test_persons=tuple(tested),
        train_datasets=here.datasets,
        test_dataset=there.dataset,
        roles={**roles, **joined(list(tested.values()))},
        notes=notes,
    )


# --- the values ------------------------------------------------------------------------------------------------------

UG_HUR2025 = HurGeneralised(
    ProtocolCard(
        name="ug-hur2025",
        version=1,
        title="user-generalised, as Hur et al. 2025",
        description="Fitted on participants 1, 2, 3, 4 and 6, stopped on 7, tested on all of 8: one person, so that "
        "its figure says little. Not repeated: inputs scaled by each participant's whole recording, the test part "
        "with it; windows across the joins of straight walks, scored twice where they overlap.",
        sees="nothing",
        ranks=False,
    )
)
UA_HUR2025 = HurAdaptive(
    ProtocolCard(
        name="ua-hur2025",
        version=1,
        title="user-adaptive, as Hur et al. 2025",
        description="The model of 'ug-hur2025', adapted to the first 20 % of participant 8, stopped on the next 20 %, "
        "tested on the last 60 %, without an embargo between them. Not repeated: the ratio and the epochs were "
        "chosen by the test error; stopping on windows drawn at random.",
        sees="labelled 40 %",
        adapts=True,
        ranks=False,
        leaks=("embargo",),
    )
)
SPLIT_RAPP2021 = RappSplit(
    ProtocolCard(
        name="split-rapp2021",
        version=1,
        title="80/10/10 by row, as Rapp et al. 2021",
        description="The recordings of each activity, in the order of their keys, shuffled by seed 42, cut at "
        "80 and 90 "
        "%. A person with two recordings, or with two activities, may be fitted on and tested. Not repeated: "
        "people left out by the range of motion of their labels.",
        sees="other recordings of the same person, labelled, by chance",
        ranks=False,
        leaks=("person",),
    )
)
FINETUNE_BROUGH2025 = BroughFinetuning(
    ProtocolCard(
        name="finetune-brough2025",
        version=1,
        title="fine-tuning on parts of the same trials, as Brough et al. 2025",
        description="Fitted on one dataset, tuned to 94 % (47 of 50 parts) of everybody's time in another, tested on "
        "the last 6 % of the same trials and people, without an embargo and without anything to stop on. Not repeated: "
        "axes chosen by looking at the target.",
        sees="labelled 94 %",
        scope="datasets",
        adapts=True,
        ranks=False,
        leaks=("embargo",),
    )
)
