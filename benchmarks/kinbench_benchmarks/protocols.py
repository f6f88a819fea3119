"""The four protocols of the first leaderboard: ``ui``, ``ug``, ``ua`` (Hur et al. 2025) and ``cross-dataset``.

Frozen, versioned values; what each may see of the test person is its card's ``sees``. Definitions: protocols 1, Splits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from kinbench.errors import NotApplicable
from kinbench.protocol import BLOCKS, Fold, ProtocolCard, Role, cut, embargo, timelines, windows_in
from kinbench.recording import Span, TaskEntry, natural
from kinbench.schema import DOFS
from kinbench.tasks import Task

MIN_WINDOWS = 4
"""An activity that leaves fewer windows in a block that a protocol needs is left out of that person."""
LEAVE_ONE_OUT = 10
"""Up to so many persons each is a fold of their own; more are dealt into as many folds."""
DIAGONAL_UG = 3
"""From so many persons on, a transfer matrix's diagonal is ``ug``."""
TESTED: tuple[Role, ...] = ("test",)

Spans = tuple[Span, ...]
Roles = dict[Role, Spans]
Notes = tuple[str, ...]


@dataclass(frozen=True)
class UserIndividualised:
    """The person's own first 64 % to fit, up to 80 % to stop, block D to test."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return one fold per person; raises ``NotApplicable`` where nobody has enough of any activity."""
        persons = _Persons(entries, task)
        found, notes = persons.having(_ui_roles, ("fit", "test"))
        if not found:
            raise NotApplicable(f"Nobody has enough for '{self.card.name}': {'; '.join(notes) or 'no recording'}.")
        return [
            replace(persons.fold(person, (person,), roles, notes), individual=True) for person, roles in found.items()
        ]


@dataclass(frozen=True)
class UserGeneralised:
    """Other persons to fit, one of them to stop, block D of the tested persons to test (C and D as the long test)."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return one fold per person up to ten, else ten; raises ``NotApplicable`` below two persons."""
        persons = _Persons(entries, task)
        tested, notes = persons.having(_ug_roles, TESTED)
        return [
            persons.fold(name, group, {**others, **_joined([tested[person] for person in group])}, notes)
            for name, group, others in _generalised(persons, self.card.name, tested, notes)
        ]


@dataclass(frozen=True)
class UserAdaptive:
    """The model of ``ug``'s same fold, then block A to adapt it, B to stop, D to test."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return one fold per person, with fit and validation of the ``ug`` fold that tests this person."""
        persons = _Persons(entries, task)
        tested, _ = persons.having(_ug_roles, TESTED)
        adapted, notes = persons.having(_ua_roles, ("adaptation", "stopping", "test"))
        generalised = _generalised(persons, self.card.name, tested, notes)
        if not adapted:
            raise NotApplicable(f"Nobody has enough for '{self.card.name}': {'; '.join(notes)}.")
        return [
            persons.fold(person, (person,), {**others, **adapted[person]}, notes)
            for _, group, others in generalised
            for person in group
            if person in adapted
        ]


@dataclass(frozen=True)
class CrossDataset:
    """Every ordered pair of datasets: all persons of the one to fit, all time of the other to test, per person."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return the folds of every pair, sources and targets in natural order, the diagonal within one dataset.

        Raises ``NotApplicable`` below two datasets, or where no pair can be made.
        """
        by_dataset: dict[str, list[TaskEntry]] = {}
        for entry in entries:
            by_dataset.setdefault(entry.key.dataset, []).append(entry)
        names = sorted(by_dataset, key=natural)
        if len(names) < 2:
            raise NotApplicable(
                f"'{self.card.name}' needs two datasets that feed '{task.name}', and there is "
                f"{'only ' + names[0] if names else 'none'}."
            )
        folds: list[Fold] = []
        reasons: dict[tuple[str, str], str] = {}
        for source in names:
            for target in names:
                try:
                    if source == target:
                        folds += _diagonal(by_dataset[source], task)
                    else:
                        folds.append(_transfer(by_dataset[source], by_dataset[target], task))
                except NotApplicable as reason:
                    reasons[source, target] = f"{source} -> {target}: {reason}"
        if not folds:
            raise NotApplicable(f"No pair of datasets can be made for '{self.card.name}': {' '.join(reasons.values())}")
        return [_told_of_its_neighbours(fold, reasons) for fold in folds]


# --- the roles of one activity of one person -------------------------------------------------------------------------


def _ui_roles(timeline: Spans, embargoes: Mapping[str, int]) -> Roles:
    parts: dict[Role, Spans] = {
        "fit": _cuts(timeline, 0, 20, 40, 64),
        "validation": cut(timeline, 64, 80),
        "test": cut(timeline, 80, 100),
    }
    return embargo(parts, embargoes)


def _ug_roles(timeline: Spans, embargoes: Mapping[str, int]) -> Roles:
    """Return D and C + D. They are what ``ua`` tests, to the sample, so that the protocols stand side by side."""
    roles = _ua_roles(timeline, embargoes)
    return {"test": roles["test"], "test_long": roles["test_long"]}


def _ua_roles(timeline: Spans, embargoes: Mapping[str, int]) -> Roles:
    a, b, c, d = (cut(timeline, *BLOCKS[name]) for name in "ABCD")
    before = embargo({"A": a, "B": b, "rest": c + d}, embargoes)
    test = embargo({"rest": c, "D": d}, embargoes)["D"]
    c_long = embargo({"B": b, "C": c}, embargoes)["C"]
    return {"adaptation": before["A"], "stopping": before["B"], "test": test, "test_long": c_long + test}


# --- the persons of one dataset --------------------------------------------------------------------------------------


class _Persons:
    """The persons of some entries, in natural order, and what each has enough of."""

    def __init__(self, entries: Sequence[TaskEntry], task: Task) -> None:
        self.task = task
        self.timelines = timelines(entries)
        self.names = sorted(self.timelines, key=natural)
        self.embargoes = {str(entry.key): entry.embargo for entry in entries}
        self.datasets = tuple(sorted({entry.key.dataset for entry in entries}, key=natural))
        self.dataset = " + ".join(self.datasets)

    def fold(self, name: str, tested: tuple[str, ...], roles: Roles, notes: Notes) -> Fold:
        """Return a fold that fits and tests within this dataset."""
        return Fold(
            name=name,
            test_persons=tested,
            train_datasets=self.datasets,
            test_dataset=self.dataset,
            roles=roles,
            notes=notes,
        )

    def having(
        self, split: Callable[[Spans, Mapping[str, int]], Roles], needed: Sequence[Role]
    ) -> tuple[dict[str, Roles], Notes]:
        """Return the roles of every person who has one activity with enough windows in each needed role, and why not.

        The roles of a person's activities are joined.
        """
        found: dict[str, Roles] = {}
        notes: list[str] = []
        for person in self.names:
            kept = []
            for activity, timeline in self.timelines[person].items():
                roles = split(timeline, self.embargoes)
                short = [role for role in needed if self.windows(roles[role]) < MIN_WINDOWS]
                if short:
                    notes.append(
                        f"{person}'s {activity} is left out: fewer than {MIN_WINDOWS} windows for {' and '.join(short)}"
                    )
                else:
                    kept.append(roles)
            if kept:
                found[person] = _joined(kept)
        return found, tuple(notes)

    def whole(self, persons: Sequence[str]) -> Spans:
        """Return all time of some persons."""
        return tuple(span for person in persons for spans in self.timelines[person].values() for span in spans)

    def blocks(self, persons: Sequence[str]) -> Spans:
        """Return all blocks of some persons; a window never crosses the border of two."""
        return tuple(
            span
            for person in persons
            for timeline in self.timelines[person].values()
            for span in _cuts(timeline, 0, 20, 40, 80, 100)
        )

    def last_fifth(self, person: str) -> Roles:
        """Return the first 80 % of one person's timelines to fit, the last 20 % to stop, an embargo between."""
        return _joined(
            [
                embargo({"fit": cut(timeline, 0, 80), "validation": cut(timeline, 80, 100)}, self.embargoes)
                for timeline in self.timelines[person].values()
            ]
        )

    def windows(self, spans: Spans) -> int:
        """Return how many whole windows spans hold."""
        return windows_in(spans, self.task.window, self.task.stride)


def _cuts(timeline: Spans, *percent: int) -> Spans:
    """Return a timeline cut at each of the borders, the parts in order: no window crosses one."""
    return tuple(span for start, stop in pairwise(percent) for span in cut(timeline, start, stop))


def _joined(parts: Sequence[Mapping[Role, Spans]]) -> Roles:
    roles = dict.fromkeys((role for part in parts for role in part), ())
    return {role: tuple(span for part in parts for span in part.get(role, ())) for role in roles}


def _by_hash(persons: Sequence[str]) -> list[str]:
    return sorted(persons, key=lambda person: hashlib.sha256(person.encode()).hexdigest())


def _generalised(
    persons: _Persons, protocol: str, tested: Mapping[str, Roles], notes: Notes
) -> list[tuple[str, tuple[str, ...], Roles]]:
    """Return (name, test persons, fit and validation) of every fold; raises ``NotApplicable`` where there is none."""
    count = len(persons.names)
    if count < 2:
        raise NotApplicable(f"'{protocol}' needs two persons, and '{persons.dataset}' has {count}.")
    if not tested:
        raise NotApplicable(f"Nobody has enough for '{protocol}': {'; '.join(notes)}.")
    dealt = count > LEAVE_ONE_OUT
    order = _by_hash(persons.names) if dealt else persons.names
    folds = []
    for number in range(LEAVE_ONE_OUT if dealt else count):
        held_out = order[number::LEAVE_ONE_OUT] if dealt else order[number : number + 1]
        group = tuple(person for person in held_out if person in tested)
        # Whoever comes next in order stands first, so that validation falls on the next one with enough windows.
        others = [person for person in order[number + 1 :] + order[:number] if person not in held_out]
        roles = _fit_and_validation(persons, others)
        if group and roles is not None:
            folds.append((f"fold-{number + 1:02d}" if dealt else group[0], group, roles))
    if not folds:
        raise NotApplicable(f"'{protocol}' finds nobody in '{persons.dataset}' with a window to fit a model on.")
    return folds


def _fit_and_validation(persons: _Persons, others: Sequence[str]) -> Roles | None:
    """Return all blocks of all but the first usable person to fit, those of that one to validate; None if too little.

    A single person gives both, the last fifth to validation.
    """
    usable = [person for person in others if persons.windows(persons.blocks([person])) >= MIN_WINDOWS]
    if not usable:
        return None
    if len(usable) == 1:
        roles = persons.last_fifth(usable[0])
        return roles if persons.windows(roles["fit"]) >= MIN_WINDOWS else None
    return {"fit": persons.blocks(usable[1:]), "validation": persons.blocks(usable[:1])}


# --- transfer --------------------------------------------------------------------------------------------------------


def _told_of_its_neighbours(fold: Fold, reasons: Mapping[tuple[str, str], str]) -> Fold:
    """Return a fold whose notes tell why pairs of its row and column of the matrix are empty."""
    empty = (
        reason
        for (source, target), reason in reasons.items()
        if source in fold.train_datasets or target == fold.test_dataset
    )
    return replace(fold, notes=(*fold.notes, *empty))


def _diagonal(entries: Sequence[TaskEntry], task: Task) -> list[Fold]:
    """Return the folds within one dataset: ``ug``, or ``ui`` below three persons."""
    if len({entry.person for entry in entries if entry.runs}) >= DIAGONAL_UG:
        folds = [replace(fold, diagonal="ug") for fold in UG.folds(entries, task)]
    else:
        folds = [replace(fold, diagonal="ui") for fold in UI.folds(entries, task)]
    return [replace(fold, name=f"{fold.test_dataset} -> {fold.test_dataset}: {fold.name}") for fold in folds]


def _transfer(source: Sequence[TaskEntry], target: Sequence[TaskEntry], task: Task) -> Fold:
    """Return the fold that fits on one dataset and tests on another."""
    _refuse_mixed_conventions([*source, *target], task)
    there, here = _Persons(target, task), _Persons(source, task)
    tested, notes = there.having(lambda timeline, _: {"test": timeline}, TESTED)
    if not tested:
        raise NotApplicable(f"nobody has enough to test on: {'; '.join(notes) or 'no recording'}.")
    shared = [person for person in here.names if person in there.names]
    fitted = [person for person in here.names if person not in there.names]
    if shared:
        notes += (f"{', '.join(shared)} left out of the fit: the same person is in {there.dataset}",)
    roles = _by_persons(here, fitted)
    if roles is None:
        raise NotApplicable(f"nobody in {here.dataset} has enough to fit a model on.")
    return Fold(
        name=f"{here.dataset} -> {there.dataset}",
        test_persons=tuple(tested),
        train_datasets=here.datasets,
        test_dataset=there.dataset,
        roles={**roles, **_joined(list(tested.values()))},
        notes=notes,
    )


def _by_persons(persons: _Persons, names: Sequence[str]) -> Roles | None:
    """Return a fifth of the persons, at least one, to validate, the others to fit; one alone gives both."""
    usable = [name for name in _by_hash(names) if persons.windows(persons.whole([name])) >= MIN_WINDOWS]
    if len(usable) < 2:
        return _fit_and_validation(persons, usable)
    validating = max(1, round(len(usable) / 5))
    return {
        "fit": persons.whole(sorted(usable[validating:], key=natural)),
        "validation": persons.whole(sorted(usable[:validating], key=natural)),
    }


def _refuse_mixed_conventions(entries: Sequence[TaskEntry], task: Task) -> None:
    """Sagittal angles of different conventions may meet in one score; frontal and transverse ones never do."""
    conventions = sorted({entry.convention or "unknown" for entry in entries})
    dofs = [dof for leg in task.legs for dof in task.dofs_of(leg)]
    bound = [dof for dof in dofs if DOFS[dof].plane != "sagittal"]
    if len(conventions) > 1 and bound:
        raise NotApplicable(
            f"their angle conventions ({', '.join(conventions)}) differ, and {', '.join(bound)} of different "
            "conventions never meet in one score."
        )


# --- the values ------------------------------------------------------------------------------------------------------

UI = UserIndividualised(
    ProtocolCard(
        name="ui",
        version=1,
        title="user-individualised",
        description="One model per person, fitted on the first 64 % of the person's own timeline of each activity, "
        "stopped on 64 to 80 %, tested on the last 20 % (block D).",
        sees="labelled 80 %",
    )
)
UG = UserGeneralised(
    ProtocolCard(
        name="ug",
        version=1,
        title="user-generalised",
        description="Fitted on other persons, stopped on one of them, tested on block D of the person left out (ten "
        "folds above ten persons). Blocks C and D are the long test.",
        sees="nothing",
    )
)
UA = UserAdaptive(
    ProtocolCard(
        name="ua",
        version=1,
        title="user-adaptive",
        description="The model of the same fold of 'ug', adapted to the person on block A, stopped on B, tested on D. "
        "Blocks C and D are the long test.",
        sees="labelled 40 %",
        adapts=True,
    )
)
CROSS_DATASET = CrossDataset(
    ProtocolCard(
        name="cross-dataset",
        version=1,
        title="cross-dataset",
        description="Fitted on all persons of one dataset but a fifth, which stop it, tested on all of another "
        "dataset, for every ordered pair. The diagonal is 'ug' within the dataset, or 'ui' below three persons.",
        sees="nothing",
        scope="datasets",
    )
)
