"""``sim-to-real``: whether a model that only ever saw computed sensors can read worn ones (protocols 1, Splits)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kinbench.errors import NotApplicable
from kinbench.protocol import Fold, ProtocolCard
from kinbench.recording import TaskEntry
from kinbench.tasks import Task
from kinbench_benchmarks.protocols.persons import (
    Notes,
    Persons,
    Roles,
    by_hash,
    dealt,
    fit_and_validation,
    joined,
)
from kinbench_benchmarks.protocols.transfer import (
    ByDataset,
    Entries,
    by_dataset,
    by_origin,
    refuse_mixed_conventions,
    whole_time,
)


@dataclass(frozen=True)
class SimToReal:
    """Virtual sensors to fit, real ones to test, for every pair of such datasets; and real ones to fit, beside it."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return the folds of every dataset with real sensors, per dataset with virtual ones.

        ``virtual`` says whose virtual sensors are fitted on. 'same people': of those who wore the real ones, the person
        tested and the one who stops the fit left out, dealt as under ``ug``. 'others': of everybody else. 'none': what
        both are held against, the real sensors of the others, dealt as under ``ug``. All test all time of a person.
        Virtual sensors are told from real ones by ``TaskEntry.sensor_origin``, and people by the names they have in all
        datasets. Raises ``NotApplicable`` where there is no pair.
        """
        worn, computed, notes = by_origin(by_dataset(entries))
        if not computed or not worn:
            raise NotApplicable(
                f"'{self.card.name}' needs virtual sensors to fit a model on and real ones to test it, and of those "
                f"that feed '{task.name}' {'none are virtual' if not computed else 'none are real'}."
            )
        found: list[Fold] = []
        reasons = list(notes)
        for name, target in worn.items():
            carried, told = _carried(computed, target, task)
            reasons += [f"{name}: {reason}" for reason in told]
            found += [*carried, *(_real(target, task) if carried else ())]
        if not found:
            raise NotApplicable(f"No dataset can be tested under '{self.card.name}': {' '.join(reasons)}")
        return [replace(fold, notes=(*fold.notes, *reasons)) for fold in found]


def _carried(computed: ByDataset, target: Entries, task: Task) -> tuple[list[Fold], list[str]]:
    """Return the folds from all virtual datasets to one real one, and why others cannot be made."""
    found: list[Fold] = []
    reasons: list[str] = []
    for source in computed.values():
        for whose in (_same_people, _others):
            try:
                refuse_mixed_conventions([*source, *target], task)
                found += whose(source, target, task)
            except NotApplicable as reason:
                reasons.append(str(reason))
    return found, list(dict.fromkeys(reasons))


def _same_people(source: Entries, target: Entries, task: Task) -> list[Fold]:
    both = {entry.person for entry in source} & {entry.person for entry in target}
    here = Persons([entry for entry in source if entry.person in both], task)
    there = Persons([entry for entry in target if entry.person in both], task)
    if len(both) < 2:
        raise NotApplicable(
            f"{source[0].key.dataset} has virtual sensors of {len(both) or 'none'} of its people, and two are needed."
        )
    folds = _left_out_in_turn(here, there, "same people", f"{here.dataset} -> {there.dataset}: same people")
    if not folds:
        raise NotApplicable(f"{here.dataset} has virtual sensors of nobody of it with enough to fit a model on.")
    return folds


def _others(source: Entries, target: Entries, task: Task) -> list[Fold]:
    here, there = Persons(source, task), Persons(target, task)
    tested, notes = whole_time(there)
    roles = fit_and_validation(here, by_hash([name for name in here.names if name not in there.names]))
    if roles is None:
        raise NotApplicable(f"{here.dataset} has no virtual sensors of other people with enough to fit a model on.")
    name = f"{here.dataset} -> {there.dataset}: others"
    return [_fold(here, there, name, "others", tuple(tested), {**roles, **_all(tested)}, notes, dealt=False)]


def _real(target: Entries, task: Task) -> list[Fold]:
    there = Persons(target, task)
    folds = _left_out_in_turn(there, there, "none", f"{there.dataset} -> {there.dataset}: no virtual sensors")
    return [replace(fold, diagonal="ug") for fold in folds]


def _left_out_in_turn(here: Persons, there: Persons, virtual: str, name: str) -> list[Fold]:
    """Return a fold for every group of persons dealt as under ``ug``: fitted on ``here`` without it, tested there."""
    tested, notes = whole_time(there)
    folds = []
    for fold, held_out, others in dealt(there):
        group = tuple(person for person in held_out if person in tested)
        roles = fit_and_validation(here, [person for person in others if person in here.names])
        if group and roles is not None:
            scored = _all({person: tested[person] for person in group})
            folds.append(
                _fold(here, there, f"{name}: {fold or group[0]}", virtual, group, {**roles, **scored}, notes)
            )  # fmt: skip
    return folds


def _fold(
    here: Persons, there: Persons, name: str, virtual: str, group: tuple[str, ...], roles: Roles, notes: Notes, *,
    dealt: bool = True,
) -> Fold:  # fmt: skip
    fold = there.fold(name, group, roles, notes, dealt=dealt)
    return replace(fold, train_datasets=here.datasets, condition={"virtual": virtual})


def _all(tested: Mapping[str, Roles]) -> Roles:
    return joined(list(tested.values()))


SIM_TO_REAL = SimToReal(
    ProtocolCard(
        name="sim-to-real",
        version=1,
        title="from virtual sensors to real ones",
        description="Fitted on virtual sensors of the same people (without those tested, ten folds above ten persons) "
        "or of others, stopped on one of them, tested on all time of the real sensors, per person; beside it the same "
        "fitted on the real sensors of the other persons ('none').",
        sees="nothing",
        scope="datasets",
        ranks=False,
        study=True,
    )
)
