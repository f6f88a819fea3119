"""``ui``, ``ug`` and ``ua`` (Hur et al. 2025): how good a model is that knows the person, nobody of them, or a little.

What each may see of the test person is its card's ``sees``. All three test block D.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kinbench.errors import NotApplicable
from kinbench.protocol import Fold, ProtocolCard
from kinbench.recording import TaskEntry
from kinbench.tasks import Task
from kinbench_benchmarks.protocols.persons import TESTED, Persons, generalised, joined, ua_roles, ug_roles, ui_roles


@dataclass(frozen=True)
class UserIndividualised:
    """The person's own first 64 % to fit, up to 80 % to stop, block D to test."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return one fold per person; raises ``NotApplicable`` where nobody has enough of any activity."""
        persons = Persons(entries, task)
        found, notes = persons.having(ui_roles, ("fit", "test"))
        if not found:
            raise NotApplicable(f"Nobody has enough for '{self.card.name}': {'; '.join(notes) or 'no recording'}.")
        return [persons.fold(person, (person,), roles, notes, individual=True) for person, roles in found.items()]


@dataclass(frozen=True)
class UserGeneralised:
    """Other persons to fit, one of them to stop, block D of the tested persons to test (C and D as the long test)."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return one fold per person up to ten, else ten; raises ``NotApplicable`` below two persons."""
        persons = Persons(entries, task)
        tested, notes = persons.having(ug_roles, TESTED)
        return [
            persons.fold(name, group, {**others, **joined([tested[person] for person in group])}, notes)
            for name, group, others in generalised(persons, self.card.name, tested, notes)
        ]


@dataclass(frozen=True)
class UserAdaptive:
    """The model of ``ug``'s same fold, then block A to adapt it, B to stop, D to test."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return one fold per person, with fit and validation of the ``ug`` fold that tests this person."""
        persons = Persons(entries, task)
        tested, _ = persons.having(ug_roles, TESTED)
        adapted, notes = persons.having(ua_roles, ("adaptation", "stopping", "test"))
        folds = generalised(persons, self.card.name, tested, notes)
        if not adapted:
            raise NotApplicable(f"Nobody has enough for '{self.card.name}': {'; '.join(notes)}.")
        return [
            persons.fold(person, (person,), {**others, **adapted[person]}, notes)
            for _, group, others in folds
            for person in group
            if person in adapted
        ]


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
