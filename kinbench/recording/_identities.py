"""Who is who across datasets: the same human being under the names of several of them.

The rows stand in ``identities.json``, each with its evidence and source. A template's ``{n}`` is a number, leading
zeros aside; any other field is digits as they stand. Upper and lower case are one. What no row knows is one person per
name, and whether that person has another name is not known.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

_FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class People:
    """Names that stand for the same people: the one used here, the others, and what that rests on."""

    person: str
    known_as: tuple[str, ...]
    evidence: str
    source: str

    @property
    def names(self) -> tuple[str, ...]:
        """All templates, the one used here first."""
        return (self.person, *self.known_as)


@dataclass(frozen=True)
class NotPersons:
    """Names that do not stand for one person each, and why."""

    named: str
    reason: str
    source: str


@dataclass(frozen=True)
class Identities:
    """The identity map: its version, its rows, and the sha256 of the file."""

    version: int
    people: tuple[People, ...]
    not_persons: tuple[NotPersons, ...]
    sha256: str


@cache
def identities() -> Identities:
    """Return the identity map that this kinbench ships."""
    raw = (files(__package__) / "identities.json").read_bytes()
    plain = json.loads(raw)
    return Identities(
        version=plain["version"],
        people=tuple(People(**{**row, "known_as": tuple(row["known_as"])}) for row in plain["people"]),
        not_persons=tuple(NotPersons(**row) for row in plain["not_persons"]),
        sha256=hashlib.sha256(raw).hexdigest(),
    )


@lru_cache(maxsize=65536)
def canonical_person(name: str) -> str:
    """Return the one name by which a person (``dataset/subject``) is compared; unknown ones keep their own."""
    for row in identities().people:
        for template in row.names:
            found = _match(template, name)
            if found is not None:
                return row.person.format_map(found)
    return name


def names_of(person: str) -> tuple[str, ...]:
    """Return every name by which a person may go, that given first."""
    for row in identities().people:
        found = _match(row.person, person)
        if found is not None:
            told = (
                template.format_map(found) for template in row.known_as if set(_FIELD.findall(template)) <= set(found)
            )
            return (person, *told)
    return (person,)


def not_a_person(person: str) -> str | None:
    """Return why a name does not stand for one person, None where it does as far as anybody knows."""
    return next((row.reason for row in identities().not_persons if _match(row.named, person) is not None), None)


def _match(template: str, name: str) -> dict[str, str] | None:
    found = _pattern(template).fullmatch(name)
    return None if found is None else found.groupdict()


@cache
def _pattern(template: str) -> re.Pattern[str]:
    parts = _FIELD.split(template)
    pattern = "".join(
        re.escape(part) if place % 2 == 0 else "0*(?P<n>\\d+)" if part == "n" else f"(?P<{part}>\\d+)"
        for place, part in enumerate(parts)
    )
    return re.compile(pattern, re.IGNORECASE)
