"""``few-shot``: how little of a new person's own data is enough, in seconds, in part of the data, in strides.

Every budget of a person is tested on the same block D as ``ui``, ``ug`` and ``ua``, and begins where the person's data
begin. A ``…/scratch`` variant learns from the budget alone: what is left without the other people's pre-training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from kinbench.errors import NotApplicable
from kinbench.protocol import Fold, ProtocolCard, Role, cut, embargo, length, part
from kinbench.recording import Span, TaskEntry
from kinbench.tasks import Task
from kinbench_benchmarks.protocols.persons import (
    MIN_WINDOWS,
    TESTED,
    Notes,
    Persons,
    Roles,
    Spans,
    generalised,
    joined,
    ug_roles,
)

SECONDS = (0, 5, 10, 30, 60, 120)
PERCENT = (0, 2, 5, 10, 20, 30, 40)
STRIDES = (0, 1, 2, 5, 10, 20, 40)
LAST_PERCENT = 78
"""A budget ends here at the latest: 80 % is where block D begins."""
FEW_WINDOWS = 8
"""Fewer windows cannot say when to stop (protocols 1, Splits): then the whole budget is learnt from."""
LONGEST_STRIDE_S = 2.0
"""Two contacts further apart have a pause between them, or a gap."""

Unit = Literal["seconds", "percent", "strides"]
_WORDS: dict[Unit, str] = {"seconds": "s", "percent": "%", "strides": "strides"}


@dataclass(frozen=True)
class FewShot:
    """A model adapted to, or fitted on, the first part of a person's data: one fold per person and budget."""

    card: ProtocolCard
    unit: Unit
    budgets: tuple[int, ...]
    scratch: bool = False

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return the folds, persons in order, each with the budgets that this person's data allow.

        A budget that a person lacks is left out of that person, and the notes of that person's folds say why. Raises
        ``NotApplicable`` where nobody has any, or strides are asked for and no reference tells them.
        """
        if self.unit == "strides" and entries and not any(entry.strides for entry in entries):
            raise NotApplicable(
                f"'{self.card.name}' counts strides, and no recording tells them: nobody walks or runs in it, or the "
                "reference has neither hip nor knee flexion."
            )
        persons = Persons(entries, task)
        tested, notes = persons.having(ug_roles, TESTED)
        known = {str(entry.key): entry for entry in entries}
        found, lacking = [], list(notes)
        for person, others in self._pretrained(persons, tested, notes).items():
            mine, told = self._of_one(persons, person, known)
            if not mine:
                lacking += told
            for budget, roles in mine.items():
                fold = persons.fold(
                    f"{person}: {budget} {_WORDS[self.unit]}", (person,),
                    {**others, **roles, "test": tested[person]["test"]}, told, individual=self.scratch,
                )  # fmt: skip
                found.append(replace(fold, condition={self.unit: budget}))
        if not found:
            raise NotApplicable(f"Nobody has enough for '{self.card.name}': {'; '.join(lacking) or 'no recording'}.")
        return [replace(fold, notes=(*lacking, *fold.notes)) for fold in found]

    def _pretrained(self, persons: Persons, tested: Mapping[str, Roles], notes: Notes) -> dict[str, Roles]:
        """Return, per tested person, what the model knows before it meets that person: that of ``ug``'s same fold."""
        if self.scratch:
            return {person: {} for person in tested}
        folds = generalised(persons, self.card.name, tested, notes)
        return {person: others for _, group, others in folds for person in group}

    def _of_one(self, persons: Persons, person: str, known: Mapping[str, TaskEntry]) -> tuple[dict[int, Roles], Notes]:
        """Return the roles of one person by budget, and why others are left out."""
        allowed = _allowed(persons, person, known if self.unit == "strides" else {})
        found: dict[int, Roles] = {}
        notes: list[str] = []
        for budget in self.budgets:
            if budget == 0:
                found[0] = {}
                continue
            spans = self._first(budget, allowed, persons.task)
            if isinstance(spans, str):
                notes.append(f"{budget} {_WORDS[self.unit]} of {person} are left out: {spans}")
                continue
            roles = _split(persons, spans, scratch=self.scratch)
            if persons.windows(roles["fit" if self.scratch else "adaptation"]):
                found[budget] = roles
            else:
                window_s = persons.task.window / persons.task.rate_hz
                notes.append(
                    f"{budget} {_WORDS[self.unit]} of {person} are left out: they hold no window of {window_s:g} s"
                )
        return found, tuple(notes)

    def _first(self, budget: int, allowed: Sequence[_Allowed], task: Task) -> tuple[Spans, ...] | str:
        """Return the first part of every activity that makes up a budget, or why there is not so much."""
        if self.unit == "strides":
            return _first_strides(budget, allowed, task.window)
        total = sum(activity.samples for activity in allowed)
        if self.unit == "percent":
            wanted = [activity.samples * budget // 100 for activity in allowed]
        else:
            wanted = [int(budget * task.rate_hz) * activity.samples // total for activity in allowed]
        if any(length(activity.spans) < samples for activity, samples in zip(allowed, wanted, strict=True)):
            there_s = sum(length(activity.spans) for activity in allowed) / task.rate_hz
            return f"there are {there_s:.1f} s up to {LAST_PERCENT} % of each activity"
        return tuple(part(activity.spans, 0, samples) for activity, samples in zip(allowed, wanted, strict=True))


# --- what a budget may take ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Allowed:
    """What a budget may take of one activity, of how many ``samples`` in all, and the ``strides`` in it."""

    spans: Spans
    samples: int
    strides: Spans


def _allowed(persons: Persons, person: str, known: Mapping[str, TaskEntry]) -> list[_Allowed]:
    """Return what may be taken of each activity in which ``ug`` tests this person: up to 78 %, clear of block D."""
    found = []
    for timeline in persons.timelines[person].values():
        if persons.windows(ug_roles(timeline, persons.embargoes)["test"]) >= MIN_WINDOWS:
            before = embargo({"before": cut(timeline, 0, 80), "D": cut(timeline, 80, 100)}, persons.embargoes)["before"]
            samples = length(timeline)
            spans = part(before, 0, samples * LAST_PERCENT // 100)
            found.append(_Allowed(spans, samples, _strides(spans, known)))
    return found


def _first_strides(budget: int, allowed: Sequence[_Allowed], window: int) -> tuple[Spans, ...] | str:
    """Return the first strides of every activity, dealt out in the activities' shares of all strides."""
    strides = [activity.strides for activity in allowed]
    there = sum(map(len, strides))
    if there < budget:
        return f"there are {there} whole strides up to {LAST_PERCENT} % of each activity"
    counts = [budget * len(some) // there for some in strides]
    rest = [budget * len(some) % there for some in strides]
    for number in sorted(range(len(rest)), key=lambda number: (-rest[number], number))[: budget - sum(counts)]:
        counts[number] += 1
    return tuple(
        _at_least_a_window(_merged(some[:count]), activity.spans, window)
        for activity, some, count in zip(allowed, strides, counts, strict=True)
        if count
    )


def _strides(spans: Spans, known: Mapping[str, TaskEntry]) -> Spans:
    """Return the strides of known recordings that lie whole inside spans, in the order of the spans."""
    return tuple(
        Span(span.key, start, stop)
        for span in spans
        if span.key in known
        for start, stop in pairwise(known[span.key].strides)
        if span.start <= start and stop <= span.stop and stop - start <= LONGEST_STRIDE_S * known[span.key].rate_hz
    )


def _merged(strides: Sequence[Span]) -> Spans:
    """Return strides that follow each other as one span, so that a window may lie across their border."""
    spans: list[Span] = []
    for stride in strides:
        if spans and (spans[-1].key, spans[-1].stop) == (stride.key, stride.start):
            stride = Span(stride.key, spans.pop().start, stride.stop)
        spans.append(stride)
    return tuple(spans)


def _at_least_a_window(strides: Spans, allowed: Spans, window: int) -> Spans:
    """Return strides that hold a window: the first one drawn out to one, where none is so long and the data go on.

    A walker's stride is shorter than a window of 1.28 s, and less than a window nobody can be shown.
    """
    first = Span(strides[0].key, strides[0].start, strides[0].start + window)
    there = any(span.key == first.key and span.start <= first.start and first.stop <= span.stop for span in allowed)
    if not there or any(span.stop - span.start >= window for span in strides):
        return strides
    return (first, *(span for span in strides[1:] if span.key != first.key or span.start >= first.stop))


def _split(persons: Persons, budget: Sequence[Spans], *, scratch: bool) -> Roles:
    """Return a budget's last fifth to stop on and the rest to learn from; all of it where a fifth is too little.

    A fifth that cannot say when to stop would be lost, and the embargo before it as well.
    """
    learn: Role = "fit" if scratch else "adaptation"
    stop: Role = "validation" if scratch else "stopping"
    parts: list[Roles] = []
    for spans in budget:
        border = length(spans) * 4 // 5
        halves: Roles = {learn: part(spans, 0, border), stop: part(spans, border, length(spans))}
        parts.append(embargo(halves, persons.embargoes))
    roles = joined(parts)
    if persons.windows(roles[stop]) * len(persons.task.legs) >= FEW_WINDOWS:
        return roles
    return {learn: tuple(span for spans in budget for span in spans)}


# --- the values ------------------------------------------------------------------------------------------------------


def _card(name: str, title: str, budget: str, *, scratch: bool = False) -> ProtocolCard:
    learnt = (
        "A model fitted on nothing but"
        if scratch
        else "The model of the same fold of 'ug', as it is (0) and adapted to"
    )
    return ProtocolCard(
        name=name,
        version=1,
        title=title,
        description=f"{learnt} {budget}, from its beginning, every activity in its share, the last fifth of it to stop "
        f"where that holds {FEW_WINDOWS} windows; tested on block D.",
        sees=f"labelled, {budget}",
        adapts=not scratch,
        ranks=False,
        study=True,
    )


_SECONDS = "the first 5 to 120 s of the person"
_PERCENT = "the first 2 to 40 % of the person's timeline"
_STRIDES = "the first 1 to 40 strides of the person (never less than a window)"

FEW_SHOT = FewShot(_card("few-shot", "few-shot, by seconds", _SECONDS), "seconds", SECONDS)
FEW_SHOT_FRACTION = FewShot(_card("few-shot/fraction", "few-shot, by fraction", _PERCENT), "percent", PERCENT)
FEW_SHOT_STRIDES = FewShot(_card("few-shot/strides", "few-shot, by strides", _STRIDES), "strides", STRIDES)
FEW_SHOT_SCRATCH = FewShot(
    _card("few-shot/scratch", "few-shot from scratch, by seconds", _SECONDS, scratch=True),
    "seconds", SECONDS[1:], scratch=True,
)  # fmt: skip
FEW_SHOT_FRACTION_SCRATCH = FewShot(
    _card("few-shot/fraction/scratch", "few-shot from scratch, by fraction", _PERCENT, scratch=True),
    "percent", PERCENT[1:], scratch=True,
)  # fmt: skip
FEW_SHOT_STRIDES_SCRATCH = FewShot(
    _card("few-shot/strides/scratch", "few-shot from scratch, by strides", _STRIDES, scratch=True),
    "strides", STRIDES[1:], scratch=True,
)  # fmt: skip
