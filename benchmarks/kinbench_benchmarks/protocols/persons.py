"""The persons of a dataset, what each has enough of, and how they are dealt into folds (protocols 1, Splits)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from kinbench.errors import NotApplicable
from kinbench.protocol import BLOCKS, Fold, Role, cut, deal, embargo, timelines, windows_in
from kinbench.recording import Span, TaskEntry, natural
from kinbench.tasks import Task
from kinbench_benchmarks.splits import split_of

MIN_WINDOWS = 4
"""An activity that leaves fewer windows in a block that a protocol needs is left out of that person."""
LEAVE_ONE_OUT = 10
"""Up to so many persons each is a fold of their own; more are dealt into as many folds."""
TESTED: tuple[Role, ...] = ("test",)

Spans = tuple[Span, ...]
Roles = dict[Role, Spans]
Notes = tuple[str, ...]


def ui_roles(timeline: Spans, embargoes: Mapping[str, int]) -> Roles:
    """Return the first 64 % to fit, up to 80 % to stop, block D to test."""
    parts: dict[Role, Spans] = {
        "fit": cuts(timeline, 0, 20, 40, 64),
        "validation": cut(timeline, 64, 80),
        "test": cut(timeline, 80, 100),
    }
    return embargo(parts, embargoes)


def ug_roles(timeline: Spans, embargoes: Mapping[str, int]) -> Roles:
    """Return D and C + D. They are what ``ua`` tests, to the sample, so that the protocols stand side by side."""
    roles = ua_roles(timeline, embargoes)
    return {"test": roles["test"], "test_long": roles["test_long"]}


def ua_roles(timeline: Spans, embargoes: Mapping[str, int]) -> Roles:
    """Return A to adapt, B to stop, D to test, C + D as the long test."""
    a, b, c, d = (cut(timeline, *BLOCKS[name]) for name in "ABCD")
    before = embargo({"A": a, "B": b, "rest": c + d}, embargoes)
    test = embargo({"rest": c, "D": d}, embargoes)["D"]
    c_long = embargo({"B": b, "C": c}, embargoes)["C"]
    return {"adaptation": before["A"], "stopping": before["B"], "test": test, "test_long": c_long + test}


# --- the persons of one dataset --------------------------------------------------------------------------------------


class Persons:
    """The persons of some entries, in natural order, and what each has enough of."""

    def __init__(self, entries: Sequence[TaskEntry], task: Task) -> None:
        self.task = task
        self.timelines = timelines(entries)
        self.names = sorted(self.timelines, key=natural)
        self.embargoes = {str(entry.key): entry.embargo for entry in entries}
        self.datasets = tuple(sorted({entry.key.dataset for entry in entries}, key=natural))
        self.dataset = " + ".join(self.datasets)
        self.manifest = split_of(self.dataset)

    def fold(
        self, name: str, tested: tuple[str, ...], roles: Roles, notes: Notes, *, individual: bool = False,
        dealt: bool = True,
    ) -> Fold:  # fmt: skip
        """Return a fold that fits and tests within this dataset; of persons dealt by a manifest, it names that one.

        Nobody is dealt where a fold is ``individual``, or where one person after another is left out.
        """
        manifest = self.manifest if dealt and not individual else None
        return Fold(
            name=name,
            test_persons=tested,
            train_datasets=self.datasets,
            test_dataset=self.dataset,
            roles=roles,
            notes=notes if manifest is None else (*notes, manifest.note(self.names)),
            individual=individual,
            manifest=None if manifest is None else manifest.sha256,
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
                found[person] = joined(kept)
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
            for span in cuts(timeline, 0, 20, 40, 80, 100)
        )

    def last_fifth(self, person: str) -> Roles:
        """Return the first 80 % of one person's timelines to fit, the last 20 % to stop, an embargo between."""
        return joined(
            [
                embargo({"fit": cut(timeline, 0, 80), "validation": cut(timeline, 80, 100)}, self.embargoes)
                for timeline in self.timelines[person].values()
            ]
        )

    def windows(self, spans: Spans) -> int:
        """Return how many windows spans give to learn from."""
        return windows_in(spans, self.task.window, self.task.stride, self.task.least)


def cuts(timeline: Spans, *percent: int) -> Spans:
    """Return a timeline cut at each of the borders, the parts in order: no window crosses one."""
    return tuple(span for start, stop in pairwise(percent) for span in cut(timeline, start, stop))


def joined(parts: Sequence[Mapping[Role, Spans]]) -> Roles:
    """Return the spans of several activities or persons, role by role."""
    roles = dict.fromkeys((role for part in parts for role in part), ())
    return {role: tuple(span for part in parts for span in part.get(role, ())) for role in roles}


def by_hash(persons: Sequence[str]) -> list[str]:
    """Return persons in the order of the sha256 of their names, which nobody chose."""
    return sorted(persons, key=lambda person: hashlib.sha256(person.encode()).hexdigest())


def generalised(
    persons: Persons, protocol: str, tested: Mapping[str, Roles], notes: Notes
) -> list[tuple[str, tuple[str, ...], Roles]]:
    """Return (name, test persons, fit and validation) of every fold; raises ``NotApplicable`` where there is none."""
    count = len(persons.names)
    if count < 2:
        held = f"'{persons.dataset}' has {'one' if count else 'nobody'}"
        raise NotApplicable(f"'{protocol}' needs two persons or more, to fit on others than it tests; {held}.")
    if not tested:
        raise NotApplicable(f"Nobody has enough for '{protocol}': {'; '.join(notes)}.")
    folds = []
    for name, held_out, others in dealt(persons):
        group = tuple(person for person in held_out if person in tested)
        roles = fit_and_validation(persons, others)
        if group and roles is not None:
            folds.append((name or group[0], group, roles))
    if not folds:
        alike = " (its split manifest has all of them in one fold)" if len(dealt(persons)) == 1 else ""
        raise NotApplicable(f"'{protocol}' finds nobody in '{persons.dataset}' with a window to fit a model on{alike}.")
    return folds


def dealt(persons: Persons) -> list[tuple[str, list[str], list[str]]]:
    """Return (name, persons held out, the others) of every fold; the name is empty where one person is held out.

    A person's fold is that of the dataset's split manifest, where there is one. Of the others, whoever comes next in
    order stands first, so that validation falls on the next one with enough windows.
    """
    if persons.manifest is None and len(persons.names) <= LEAVE_ONE_OUT:
        groups = [("", [person]) for person in persons.names]
        order = persons.names
    else:
        order, manifest = by_hash(persons.names), persons.manifest
        count = LEAVE_ONE_OUT if manifest is None else manifest.folds
        fold_of = dict(deal(order, count)).__getitem__ if manifest is None else manifest.fold_of
        groups = [
            (f"fold-{number + 1:02d}", [person for person in order if fold_of(person) == number])
            for number in range(count)
        ]
    folds = []
    for name, held_out in groups:
        if held_out:
            first = order.index(held_out[0])
            others = [person for person in order[first + 1 :] + order[:first] if person not in held_out]
            folds.append((name, held_out, others))
    return folds


def fit_and_validation(persons: Persons, others: Sequence[str]) -> Roles | None:
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


def by_persons(persons: Persons, names: Sequence[str]) -> Roles | None:
    """Return a fifth of the persons, at least one, to validate, the others to fit; one alone gives both."""
    usable = [name for name in by_hash(names) if persons.windows(persons.whole([name])) >= MIN_WINDOWS]
    if len(usable) < 2:
        return fit_and_validation(persons, usable)
    validating = max(1, round(len(usable) / 5))
    return {
        "fit": persons.whole(sorted(usable[validating:], key=natural)),
        "validation": persons.whole(sorted(usable[:validating], key=natural)),
    }
