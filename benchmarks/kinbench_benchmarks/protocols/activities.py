"""``cross-activity``: whether a model fitted on one way of moving holds for another, of a person it does not know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kinbench.errors import NotApplicable
from kinbench.protocol import Fold, ProtocolCard
from kinbench.recording import TaskEntry
from kinbench.tasks import Task
from kinbench_benchmarks.protocols.persons import (
    TESTED,
    Persons,
    dealt,
    fit_and_validation,
    joined,
    ug_roles,
)

ALIKE = (
    ("walking", "running"), ("walking_treadmill", "running_treadmill"),
    ("walking", "walking_treadmill"), ("running", "running_treadmill"),
)  # fmt: skip
"""Activities that differ in one thing: the gait, or the ground."""


@dataclass(frozen=True)
class CrossActivity:
    """The split of ``ug``, fitted on one activity of the other persons and tested on another of the one left out."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return, per fold of persons, one fold for each ordered pair of ``ALIKE``, and each activity with itself.

        ``condition`` holds ``fitted_activity`` and ``tested_activity``. Whatever was fitted on, a person is tested on
        the same seconds of an activity, its block D. Raises ``NotApplicable`` where a dataset holds no such pair, or
        below two persons.
        """
        persons = Persons(entries, task)
        held = {entry.activity for entry in entries if entry.runs}
        pairs = [pair for both in ALIKE if held.issuperset(both) for pair in (both, both[::-1])]
        pairs = [(name, name) for name in dict.fromkeys(name for name, _ in pairs)] + pairs
        if not pairs:
            raise NotApplicable(
                f"'{self.card.name}' needs walking and running, or either both over ground and on a treadmill, and "
                f"'{persons.dataset}' has {', '.join(sorted(held)) or 'no recording'}."
            )
        if len(persons.names) < 2:
            raise NotApplicable(
                f"'{self.card.name}' needs two persons or more, to fit on others than it tests; "
                f"'{persons.dataset}' has one."
            )
        alone = {name: Persons([e for e in entries if e.activity == name], task) for name, _ in pairs}
        found = [fold for fitted, tested in pairs for fold in _folds(persons, alone[fitted], alone[tested])]
        if not found:
            raise NotApplicable(f"Nobody in '{persons.dataset}' has enough of two activities for '{self.card.name}'.")
        return found


def _folds(persons: Persons, fitted: Persons, tested: Persons) -> list[Fold]:
    """Return the folds from one activity to one: people are dealt as all of the dataset's are."""
    activities = tuple(_activity(some) for some in (fitted, tested))
    scored, notes = tested.having(ug_roles, TESTED)
    found = []
    for name, held_out, others in dealt(persons):
        group = tuple(person for person in held_out if person in scored)
        roles = fit_and_validation(fitted, [person for person in others if person in fitted.names])
        if not group or roles is None:
            continue
        fold = persons.fold(
            f"{name or group[0]}: {activities[0]} -> {activities[1]}", group,
            {**roles, **joined([scored[person] for person in group])}, notes,
        )  # fmt: skip
        condition = dict(zip(("fitted_activity", "tested_activity"), activities, strict=True))
        found.append(replace(fold, condition=condition))
    return found


def _activity(persons: Persons) -> str:
    return next(activity for timelines in persons.timelines.values() for activity in timelines)


CROSS_ACTIVITY = CrossActivity(
    ProtocolCard(
        name="cross-activity",
        version=1,
        title="from one activity to another",
        description="Fitted on one activity of the other persons, stopped on the same one of one of them, tested on "
        "block D of another activity of the person left out (ten folds above ten persons): walking and running, over "
        "ground and on a treadmill, beside each activity with itself.",
        sees="nothing",
        ranks=False,
        study=True,
    )
)
