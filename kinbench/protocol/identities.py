"""What a result must say of who was taken for whom: names that are no persons, and people known by other names."""

from __future__ import annotations

from collections.abc import Iterable

from kinbench.protocol.folds import SEEN_ROLES, Fold
from kinbench.recording import TaskEntry, canonical_person, identities, names_of, not_a_person


def cautions(fold: Fold, entries: Iterable[TaskEntry]) -> tuple[str, ...]:
    """Return what a reader of a fold's scores must know of its people, one sentence each.

    A name that may stand for somebody else's too (a CMU subject number) is told where such names are on both sides of
    a fold that claims people apart; and the identity map is named where it knew a person by another name.
    """
    known = {str(entry.key): entry for entry in entries}
    spans = {role: part for role, part in fold.roles.items() if part}
    seen = {canonical_person(known[s.key].person) for role in SEEN_ROLES for s in spans.get(role, ()) if s.key in known}
    tested = {canonical_person(person) for person in fold.test_persons}
    notes = []
    for reason in sorted({told for person in tested if (told := not_a_person(person))}):
        if any(not_a_person(person) == reason for person in seen - tested):
            notes.append(f"split by subject number, not by person: {reason}")
    mapped = sorted({
        entry.person for entry in known.values()
        if entry.person in seen | tested and entry.key.person != entry.person
        and entry.key.person in names_of(entry.person)
    })  # fmt: skip
    if mapped:
        shipped = identities()
        notes.append(
            f"known by another name through the identity map, version {shipped.version} (sha256 "
            f"{shipped.sha256[:16]}): {', '.join(mapped)}"
        )
    return tuple(notes)
