"""``ug-self-normalised``: what a model gains by the test person's own statistics, without one of that person's labels.

A sensor worn elsewhere, or a heavier tread, moves and stretches the inputs. Statistics of a few unlabelled minutes can
undo that; z-scoring each person's whole recording, as published work does, sees the test itself, and this does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kinbench.errors import NotApplicable
from kinbench.protocol import Fold, ProtocolCard
from kinbench.recording import TaskEntry
from kinbench.tasks import Task
from kinbench_benchmarks.protocols.persons import TESTED, Persons, Roles, Spans, generalised, ua_roles, ug_roles


@dataclass(frozen=True)
class SelfNormalised:
    """The model of ``ug``'s same fold, then the inputs of block A to take statistics of, D to test."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return one fold per person, with fit and validation of the ``ug`` fold that tests this person.

        Raises ``NotApplicable`` below two persons, or where nobody has enough of any activity.
        """
        persons = Persons(entries, task)
        tested, _ = persons.having(ug_roles, TESTED)
        normalised, notes = persons.having(_roles, ("unlabelled", "test"))
        folds = generalised(persons, self.card.name, tested, notes)
        if not normalised:
            raise NotApplicable(f"Nobody has enough for '{self.card.name}': {'; '.join(notes)}.")
        return [
            persons.fold(person, (person,), {**others, **normalised[person]}, notes)
            for _, group, others in folds
            for person in group
            if person in normalised
        ]


def _roles(timeline: Spans, embargoes: Mapping[str, int]) -> Roles:
    """Return the A that ``ua`` adapts to and the D that ``ug`` tests, to the sample."""
    roles = ua_roles(timeline, embargoes)
    return {"unlabelled": roles["adaptation"], "test": roles["test"]}


# --- the value -------------------------------------------------------------------------------------------------------

UG_SELF_NORMALISED = SelfNormalised(
    ProtocolCard(
        name="ug-self-normalised",
        version=1,
        title="user-generalised, self-normalised",
        description="The model of the same fold of 'ug', its inputs scaled by the person's own statistics of block A, "
        "of which it sees no label; tested on block D.",
        sees="unlabelled 20 %",
        normalises=True,
    )
)
