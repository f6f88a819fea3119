"""``learning-curve``: how many people, or laboratories, a model needs, and how good their data must be.

The persons tested and the one or ones that stop a fit are the same at every size. A draw is an order of the others, so
that its 8 persons are its 4 and 4 more: what changes along a curve is how many there are, and not who.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from kinbench.errors import NotApplicable
from kinbench.perturbations import Change
from kinbench.protocol import Fold, ProtocolCard
from kinbench.recording import TaskEntry, natural
from kinbench.tasks import Task
from kinbench_benchmarks.protocols.persons import (
    MIN_WINDOWS,
    TESTED,
    Notes,
    Persons,
    Roles,
    dealt,
    joined,
    ug_roles,
)
from kinbench_benchmarks.protocols.transfer import apart, by_dataset, sources_of, whole_time

DRAWS = 5
HELD_OUT = 20
"""From so many persons on, the first fold of ``ug`` is tested and the next one stops the fit; with fewer, each person
is left out in turn."""
SIZES = (1, 2, 5, 10, 20, 50, 100, 200)
"""Persons to fit on, where there are more than ``FEW``. The five below 50 cost next to nothing, and a curve fitted
through fewer points says nothing."""
FEW = 50
"""With so many persons or fewer to fit on, sizes are doubled from 1."""
DEGRADED_SIZES, DEGRADED_SIZES_FEW = (10, 50), (2, 8)
"""Persons at which the training data are made worse, besides all: where there are more than ``FEW``, and fewer."""


@dataclass(frozen=True)
class _Split:
    """Who is tested and who stops the fit; ``pool`` are those a size is drawn from, ``dealt`` into folds or not."""

    name: str
    dealt: bool
    tested: tuple[str, ...]
    validating: tuple[str, ...]
    pool: tuple[str, ...]


@dataclass(frozen=True)
class LearningCurve:
    """The error against the number of persons fitted on, five draws at each."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return one fold per split, size and draw; raises ``NotApplicable`` below four persons with enough data."""
        persons = Persons(entries, task)
        tested, notes = persons.having(ug_roles, TESTED)
        return [
            _fold(persons, split, tested, notes, size, draw)
            for split in _splits(persons, tested, self.card.name, notes)
            for size in sizes(len(split.pool))
            for draw in _draws(size, len(split.pool))
        ]


@dataclass(frozen=True)
class Degradation:
    """One way in which training data are worse: its kind, the levels in the kind's ``unit``, and the change of each."""

    kind: Literal["noise", "sync", "axes", "labels"]
    unit: str
    levels: tuple[float, ...]

    def changes(self, level: float, draw: int, task: Task) -> tuple[Change, ...]:
        """Return what is done to what a model learns from: nothing at level 0."""
        if level == 0:
            return ()
        match self.kind:
            case "noise":
                return (Change.of("noise", acc_sd=level, gyr_sd=round(level * _GYR_PER_ACC, 6), draw=draw),)
            case "sync":
                return (Change.of("late", samples=max(1, round(level / 1000 * task.rate_hz))),)
            case "axes":
                return (Change.of("turn", angle_deg=level, draw=draw),)
            case "labels":
                return (Change.of("label_offset", sd_deg=level, draw=draw),)


_GYR_PER_ACC = 0.25
"""rad/s of gyro noise per m/s^2 of acceleration noise: as their spreads on a walking leg, about 1.5 to 6."""


@dataclass(frozen=True)
class DegradedCurve:
    """The error against the number of persons, whose data are worse in one way; test data are untouched."""

    card: ProtocolCard
    degradation: Degradation

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return one fold per split, size, level and draw; raises ``NotApplicable`` as ``learning-curve`` does."""
        persons = Persons(entries, task)
        tested, notes = persons.having(ug_roles, TESTED)
        way = self.degradation
        found = []
        for split in _splits(persons, tested, self.card.name, notes):
            count = len(split.pool)
            for size in _degraded_sizes(count):
                for draw in _draws(size, count):
                    fold = _fold(persons, split, tested, notes, size, draw)
                    found += [
                        replace(
                            fold, name=f"{fold.name}, {way.kind} {level:g} {way.unit}",
                            condition={**fold.condition, "kind": way.kind, "level": level},
                            fit_changes=way.changes(level, draw, task),
                        )
                        for level in way.levels
                    ]  # fmt: skip
        return found


@dataclass(frozen=True)
class DatasetCurve:
    """The error on a dataset left out against the number of other datasets fitted on, five draws at each."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return one fold per target, number of sources and draw; raises ``NotApplicable`` below three datasets."""
        groups = by_dataset(entries)
        if len(groups) < 3:
            raise NotApplicable(
                f"'{self.card.name}' needs three datasets that feed '{task.name}', one to test and two to learn from, "
                f"and there {'is' if len(groups) == 1 else 'are'} {' and '.join(groups) or 'none'}."
            )
        found: list[Fold] = []
        reasons: list[str] = []
        for target in groups:
            try:
                found += _datasets(groups, target, task)
            except NotApplicable as reason:
                reasons.append(f"{target}: {reason}")
        if not found:
            raise NotApplicable(f"No dataset can be tested under '{self.card.name}': {' '.join(reasons)}")
        return [replace(fold, notes=(*fold.notes, *reasons)) for fold in found]


# --- sizes and draws -------------------------------------------------------------------------------------------------


def sizes(count: int) -> tuple[int, ...]:
    """Return the numbers of persons that a curve is drawn over, all ``count`` last."""
    if count > FEW:
        return (*(size for size in SIZES if size < count), count)
    return (*(1 << power for power in range(count.bit_length()) if 1 << power < count), count)


def _degraded_sizes(count: int) -> tuple[int, ...]:
    some = DEGRADED_SIZES if count > FEW else DEGRADED_SIZES_FEW
    return (*(size for size in some if size < count), count)


def _draws(size: int, count: int) -> range:
    """Return the draws at a size; of all persons there is one."""
    return range(1 if size == count else DRAWS)


def drawn(names: Sequence[str], draw: int) -> list[str]:
    """Return names in the order of one draw, which nobody chose: its first ones are the draw at any size."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{draw}/{name}".encode()).hexdigest())


# --- persons ---------------------------------------------------------------------------------------------------------


def _splits(persons: Persons, tested: Mapping[str, Roles], protocol: str, notes: Notes) -> list[_Split]:
    """Return who is tested, who stops the fit and who is drawn from; raises ``NotApplicable`` where that is nobody."""
    usable = [name for name in persons.names if persons.windows(persons.blocks([name])) >= MIN_WINDOWS]
    if not tested or len(usable) < 4:
        raise NotApplicable(
            f"'{protocol}' needs four persons with enough data, one to test, one to stop on, two to learn from, and "
            f"'{persons.dataset}' has {len(usable) if tested else 'nobody to test'}"
            f"{': ' + '; '.join(notes) if notes else ''}."
        )
    if len(usable) >= HELD_OUT:
        return [_held_out_tenth(persons, tested, usable)]
    splits = []
    for number, name in enumerate(persons.names):
        others = [other for other in persons.names[number + 1 :] + persons.names[:number] if other in usable]
        if name in tested:
            splits.append(_Split(name, False, (name,), tuple(others[:1]), tuple(others[1:])))
    return splits


def _held_out_tenth(persons: Persons, tested: Mapping[str, Roles], usable: Sequence[str]) -> _Split:
    """Return the first fold of ``ug`` with somebody to test, the next one to stop on, and all others."""
    folds = dealt(persons)
    first = next(number for number, (_, group, _) in enumerate(folds) if set(group) & set(tested))
    name, group, _ = folds[first]
    scored = tuple(person for person in group if person in tested)
    validating = next(
        some for _, others, _ in folds[first + 1 :] + folds[:first] if (some := _both(others, usable))
    )  # fmt: skip
    pool = tuple(person for person in usable if person not in group and person not in validating)
    return _Split(name, True, scored, validating, pool)


def _both(names: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in others)


def _fold(
    persons: Persons, split: _Split, tested: Mapping[str, Roles], notes: Notes, size: int, draw: int
) -> Fold:  # fmt: skip
    chosen = sorted(drawn(split.pool, draw)[:size], key=natural)
    fold = persons.fold(
        f"{split.name}: {size} persons, draw {draw}", split.tested,
        {
            "fit": persons.blocks(chosen), "validation": persons.blocks(split.validating),
            **joined([tested[name] for name in split.tested]),
        },
        notes, dealt=split.dealt,
    )  # fmt: skip
    return replace(fold, condition={"persons": size, "draw": draw})


# --- datasets --------------------------------------------------------------------------------------------------------


def _datasets(groups: Mapping[str, Sequence[TaskEntry]], target: str, task: Task) -> Iterator[Fold]:
    """Yield the folds that test one dataset; raises ``NotApplicable`` where it cannot be tested."""
    there = Persons(groups[target], task)
    tested, notes = whole_time(there)
    sources, told = sources_of(groups, there, task)
    notes += told
    if len(sources) < 2:
        raise NotApplicable(f"fewer than two other datasets can be learnt from: {'; '.join(notes)}.")
    owner = {str(entry.key): entry.person for entries in groups.values() for entry in entries}
    scored = joined(list(tested.values()))
    for count in range(1, len(sources) + 1):
        for draw in _draws(count, len(sources)):
            chosen = sorted(drawn(list(sources), draw)[:count], key=natural)
            yield Fold(
                name=f"{target}: {count} datasets, draw {draw}",
                test_persons=tuple(tested),
                train_datasets=tuple(chosen),
                test_dataset=target,
                roles={**apart([sources[name] for name in chosen], owner), **scored},
                notes=notes,
                condition={"datasets": count, "draw": draw},
            )


# --- the values ------------------------------------------------------------------------------------------------------

_WHO = (
    "Tested on block D of a fixed tenth of the persons (the first fold of 'ug'), stopped on the next tenth (below 20 "
    "persons each is left out in turn, and the next one stops), fitted on"
)

LEARNING_CURVE = LearningCurve(
    ProtocolCard(
        name="learning-curve",
        version=1,
        title="learning curve over persons",
        description=f"{_WHO} 1, 2, 5, 10, 20, 50, 100, 200 and all of the others (up to 50 others: 1, 2, 4, … and all) "
        "in five nested draws.",
        sees="nothing",
        ranks=False,
        study=True,
    )
)
LEARNING_CURVE_DATASETS = DatasetCurve(
    ProtocolCard(
        name="learning-curve/datasets",
        version=1,
        title="learning curve over datasets",
        description="Tested on all of one dataset, fitted on all persons but a fifth, who stop it, of 1, 2, … and all "
        "others, in five nested draws.",
        sees="nothing",
        scope="datasets",
        ranks=False,
        study=True,
    )
)


def _degraded(name: str, what: str, degradation: Degradation) -> DegradedCurve:
    return DegradedCurve(
        ProtocolCard(
            name=f"learning-curve/degraded-{name}",
            version=1,
            title=f"learning curve with {what} in training",
            description=f"{_WHO} 10, 50 and all of the others (up to 50 others: 2, 8 and all) in five nested draws, "
            f"whose data have {what}: {', '.join(f'{level:g}' for level in degradation.levels)} {degradation.unit}. "
            "Test data are untouched.",
            sees="nothing",
            ranks=False,
            study=True,
        ),
        degradation,
    )


LEARNING_CURVE_NOISE = _degraded(
    "noise", "white noise on acceleration (SD) and a quarter of it, in rad/s, on angular rate",
    Degradation("noise", "m/s^2", (0.0, 0.1, 0.3, 1.0, 3.0)),
)  # fmt: skip
LEARNING_CURVE_SYNC = _degraded(
    "sync", "sensors that are late against the angles",
    Degradation("sync", "ms", (0.0, 10.0, 20.0, 50.0, 100.0, 200.0)),
)  # fmt: skip
LEARNING_CURVE_AXES = _degraded(
    "axes", "each sensor turned about an axis of its own",
    Degradation("axes", "deg", (0.0, 5.0, 10.0, 20.0, 45.0)),
)  # fmt: skip
LEARNING_CURVE_LABELS = _degraded(
    "labels", "angles off by a constant of each person, of this SD",
    Degradation("labels", "deg", (0.0, 2.0, 5.0, 10.0, 20.0)),
)  # fmt: skip
