"""Split manifests: which fold a person is in, said once for all, for datasets whose people are known beforehand.

Folds dealt among the people who are present shift, every one of them, when one person is missing. A manifest deals
everybody the dataset is known to have, by a rule that nobody can steer, so that two laboratories that hold different
parts of a dataset, and never speak, test the same person in the same fold.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property

from kinbench.errors import DataError
from kinbench.files import digest

FOLDS = 10
"""The folds of a dataset with more people than that (protocols 1, Splits)."""
RULE = "sorted by the sha256 of 'dataset/subject' and dealt round into the folds; not listed: sha256 modulo folds"


@dataclass(frozen=True)
class SplitCard:
    """What a split manifest is, without its list: ``persons`` is how many are listed, ``per_fold`` how many in each."""

    name: str
    version: int
    dataset: str
    folds: int
    persons: int
    per_fold: tuple[int, ...]
    rule: str
    known: str
    source: str
    sha256: str


@dataclass(frozen=True)
class SplitManifest:
    """The folds of one dataset's people. ``persons`` are (person, fold) pairs, folds counted from 0.

    ``known`` says how much of the dataset is listed and why, ``source`` where the list comes from. Whoever is not
    listed has a fold all the same, by ``fold_of``, that depends on nobody else.
    """

    name: str
    version: int
    dataset: str
    folds: int
    rule: str
    source: str
    known: str
    persons: tuple[tuple[str, int], ...]

    @cached_property
    def sha256(self) -> str:
        """The sha256 of the manifest's canonical JSON; it enters the digest of every fold that was dealt by it."""
        return digest(asdict(self))

    @cached_property
    def card(self) -> SplitCard:
        """The manifest without its list, for people."""
        listed = [fold for _, fold in self.persons]
        return SplitCard(
            name=self.name, version=self.version, dataset=self.dataset, folds=self.folds, persons=len(listed),
            per_fold=tuple(listed.count(fold) for fold in range(self.folds)), rule=self.rule, known=self.known,
            source=self.source, sha256=self.sha256,
        )  # fmt: skip

    @cached_property
    def _folds(self) -> Mapping[str, int]:
        return dict(self.persons)

    def fold_of(self, person: str) -> int:
        """Return a person's fold: that of the list, else the sha256 of the name modulo the folds."""
        listed = self._folds.get(person)
        return _number(person) % self.folds if listed is None else listed

    def lists(self, person: str) -> bool:
        """Return whether a person is listed by name."""
        return person in self._folds

    def note(self, persons: Iterable[str]) -> str:
        """Return what a result says of folds dealt by this manifest to some persons."""
        strangers = [person for person in persons if not self.lists(person)]
        beside = f"; {len(strangers)} not listed are dealt by their own names" if strangers and self.persons else ""
        return f"folds by the split manifest '{self.name}' version {self.version} (sha256 {self.sha256[:16]}){beside}"


def deal(persons: Iterable[str], folds: int = FOLDS) -> tuple[tuple[str, int], ...]:
    """Return (person, fold) of everybody, in the order of the sha256 of their names, dealt round."""
    order = sorted(set(persons), key=lambda person: (hashlib.sha256(person.encode()).hexdigest(), person))
    return tuple((person, place % folds) for place, person in enumerate(order))


def read_manifest(text: str, *, where: object = None) -> SplitManifest:
    """Return the manifest that a JSON text holds.

    Raises ``DataError`` where the text is none, or where its folds are not those of its own rule.
    """
    try:
        plain = json.loads(text)
        manifest = SplitManifest(**{**plain, "persons": tuple(plain["persons"].items())})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"expected a split manifest, found {type(error).__name__}: {error}", where=where) from error
    dealt = dict(deal(manifest._folds, manifest.folds))
    moved = [person for person, fold in manifest.persons if dealt[person] != fold]
    if moved or manifest.rule != RULE:
        raise DataError(
            f'expected folds by the rule "{RULE}", and {", ".join(moved[:3]) or "its rule"} '
            f"{'and others ' if len(moved) > 3 else ''}differ; a split may not be chosen by hand",
            where=where,
        )
    return manifest


def write_manifest(manifest: SplitManifest) -> str:
    """Return a manifest as JSON, one person a line, in the order of the deal."""
    return json.dumps({**asdict(manifest), "persons": dict(manifest.persons)}, indent=1, ensure_ascii=True) + "\n"


def _number(person: str) -> int:
    return int(hashlib.sha256(person.encode()).hexdigest(), 16)
