"""``cross-dataset/mixtures``: whether other laboratories' people, or sensors that nobody wore, help with one's own.

Everybody is tested as under ``ug``. What changes from one condition to the next is what is fitted on beside the other
persons of the same laboratory, and nothing else: who is tested and who stops the fit are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kinbench.errors import NotApplicable
from kinbench.protocol import Fold, ProtocolCard
from kinbench.recording import TaskEntry, natural
from kinbench.tasks import Task
from kinbench_benchmarks.protocols.persons import (
    MIN_WINDOWS,
    TESTED,
    Notes,
    Persons,
    Spans,
    generalised,
    joined,
    ug_roles,
)
from kinbench_benchmarks.protocols.transfer import ByDataset, by_dataset, by_origin, refuse_mixed_conventions

SOURCES: Mapping[str, tuple[str, ...]] = {
    "own": (), "own+others": ("others",), "own+virtual": ("virtual",), "own+others+virtual": ("others", "virtual"),
}  # fmt: skip
"""Which pools each condition adds to the other persons of the target."""


@dataclass(frozen=True)
class _Pool:
    """What may be added: the datasets by name, and who is told about those that may not."""

    datasets: Mapping[str, Persons]
    notes: Notes

    def spans(self, barred: frozenset[str]) -> Spans:
        """Return all time of everybody with enough of it who is not barred."""
        return tuple(
            span
            for persons in self.datasets.values()
            for name in persons.names
            if name not in barred and persons.windows(persons.whole([name])) >= MIN_WINDOWS
            for span in persons.whole([name])
        )


@dataclass(frozen=True)
class Mixtures:
    """The folds of ``ug`` of every dataset with real sensors, fitted on four mixtures of sources."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return, per dataset and fold of ``ug``, one fold for each mixture whose sources there are.

        ``sources`` is 'own', 'own+others', 'own+virtual' or 'own+others+virtual': virtual are datasets whose sensors
        were computed, of the target's people as well as of others'. Whoever is tested, or stops the fit, is in none.
        Raises ``NotApplicable`` where there is nothing to mix.
        """
        worn, computed, notes = by_origin(by_dataset(entries))
        found: list[Fold] = []
        reasons = list(notes)
        for target in worn:
            try:
                found += _mixed(worn, computed, target, task, self.card.name)
            except NotApplicable as reason:
                reasons.append(f"{target}: {reason}")
        if not found:
            why = " ".join(reasons) or f"nobody wore the sensors of '{task.name}'."
            raise NotApplicable(f"No dataset can be tested under '{self.card.name}': {why}")
        return [replace(fold, notes=(*fold.notes, *reasons)) for fold in found]


def _mixed(worn: ByDataset, computed: ByDataset, target: str, task: Task, protocol: str) -> list[Fold]:
    own = Persons(worn[target], task)
    tested, notes = own.having(ug_roles, TESTED)
    pools = {
        "others": _pool({name: some for name, some in worn.items() if name != target}, worn[target], task),
        "virtual": _pool(computed, worn[target], task),
    }
    mixtures = {name: parts for name, parts in SOURCES.items() if all(pools[part].datasets for part in parts)}
    notes += tuple(note for pool in pools.values() for note in pool.notes)
    if len(mixtures) < 2:
        raise NotApplicable(f"there is no other source beside its own people{'; ' * bool(notes)}{'; '.join(notes)}.")
    owner = {str(entry.key): entry.person for entry in worn[target]}
    found = []
    for name, group, roles in generalised(own, protocol, tested, notes):
        barred = frozenset({*group, *(owner[span.key] for span in roles["validation"])})
        scored = joined([tested[person] for person in group])
        added = {part: pool.spans(barred) for part, pool in pools.items()}
        for mixture, parts in mixtures.items():
            fit = roles["fit"] + tuple(span for part in parts for span in added[part])
            fold = own.fold(f"{target}: {name}: {mixture}", group, {**roles, "fit": fit, **scored}, notes)
            datasets = {target, *(dataset for part in parts for dataset in pools[part].datasets)}
            found.append(
                replace(
                    fold, train_datasets=tuple(sorted(datasets, key=natural)), condition={"sources": mixture}
                )
            )  # fmt: skip
    return found


def _pool(groups: ByDataset, target: Sequence[TaskEntry], task: Task) -> _Pool:
    datasets: dict[str, Persons] = {}
    notes: Notes = ()
    for name, entries in groups.items():
        try:
            refuse_mixed_conventions([*entries, *target], task)
        except NotApplicable as reason:
            notes += (f"{name} is no source: {reason}",)
            continue
        persons = Persons(entries, task)
        if any(persons.windows(persons.whole([person])) >= MIN_WINDOWS for person in persons.names):
            datasets[name] = persons
        else:
            notes += (f"{name} is no source: nobody in it has enough to fit a model on",)
    return _Pool(datasets, notes)


CROSS_DATASET_MIXTURES = Mixtures(
    ProtocolCard(
        name="cross-dataset/mixtures",
        version=1,
        title="mixtures of sources",
        description="The folds of 'ug' of every dataset with real sensors, fitted on the other persons of that dataset "
        "alone, with all other such datasets, with all virtual sensors (of the same people too, but for those tested "
        "or stopping the fit), and with both. Stopped on the same one of its own persons, tested on block D.",
        sees="nothing",
        scope="datasets",
        ranks=False,
        study=True,
    )
)
