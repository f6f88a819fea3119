"""``cross-dataset`` and its kin: what a model keeps, or regains, in a laboratory it was not fitted in.

As it comes (``cross-dataset``), adapted to the tested person (``-adapted``) or to other people of that laboratory
(``-finetuned``), and fitted on all other laboratories at once (``leave-one-dataset-out``); protocols 1, Splits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from kinbench.errors import NotApplicable
from kinbench.protocol import Fold, ProtocolCard
from kinbench.recording import TaskEntry, natural
from kinbench.schema import DOFS
from kinbench.tasks import Task
from kinbench_benchmarks.protocols.headline import UA, UG, UI
from kinbench_benchmarks.protocols.persons import (
    TESTED,
    Notes,
    Persons,
    Roles,
    Spans,
    by_hash,
    by_persons,
    joined,
    ua_roles,
)

DIAGONAL_UG = 3
"""From so many persons on, a transfer matrix's diagonal is ``ug``."""
MOST_DRAWS = 10
"""Draws of the people a model is fine-tuned on; with so many persons or fewer, each begins one draw."""

Entries = Sequence[TaskEntry]
ByDataset = Mapping[str, Entries]


@dataclass(frozen=True)
class CrossDataset:
    """Every ordered pair of datasets: all persons of the one to fit, all time of the other to test, per person."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return the folds of every pair, sources and targets in natural order, the diagonal within one dataset.

        Raises ``NotApplicable`` below two datasets, or where no pair can be made.
        """
        return over_pairs(
            self.card, entries, task, lambda source, target: [transfer_fold(source, target, task)],
            lambda own: diagonal_folds(own, task),
        )  # fmt: skip


@dataclass(frozen=True)
class CrossDatasetAdapted:
    """The models of ``cross-dataset``, before and after they are adapted to the person tested, on the same seconds."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return two folds per pair of datasets and person of the target, ``adapted`` 'no' and 'yes'.

        Both test block D (C and D as the long test); 'yes' adapts on A and stops on B. The diagonal is ``ug`` and
        ``ua``. Raises ``NotApplicable`` as ``cross-dataset`` does.
        """
        return over_pairs(
            self.card, entries, task, lambda source, target: _before_and_after(_adapted(source, target, task)),
            lambda own: _before_and_after(_adapted_within(own, task)),
        )  # fmt: skip


@dataclass(frozen=True)
class CrossDatasetFinetuned:
    """The models of ``cross-dataset``, then tuned on 0, 1, 2, 4, … persons of the target and tested on its others."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return one fold per pair of datasets, number of persons and draw.

        ``persons`` 0 is the model as it came, tested on everybody. Raises ``NotApplicable`` below two datasets, or
        where no target has three persons with enough data.
        """
        return over_pairs(
            self.card, entries, task, lambda source, target: _finetuned(source, target, task), lambda own: []
        )  # fmt: skip


@dataclass(frozen=True)
class LeaveOneDatasetOut:
    """All other datasets to fit, all time of the one left out to test, per person."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return one fold per dataset; raises ``NotApplicable`` below two, or where none can be left out."""
        groups = by_dataset(entries)
        _check_two(self.card, groups, task)
        found: list[Fold] = []
        reasons: list[str] = []
        for target in groups:
            try:
                found.append(_left_out(groups, target, task))
            except NotApplicable as reason:
                reasons.append(f"{target}: {reason}")
        if not found:
            raise NotApplicable(f"No dataset can be left out for '{self.card.name}': {' '.join(reasons)}")
        return [replace(fold, notes=(*fold.notes, *reasons)) for fold in found]


# --- pairs of datasets -----------------------------------------------------------------------------------------------


def by_dataset(entries: Iterable[TaskEntry]) -> dict[str, list[TaskEntry]]:
    """Return entries by dataset, in natural order of the datasets' names."""
    groups: dict[str, list[TaskEntry]] = {}
    for entry in entries:
        groups.setdefault(entry.key.dataset, []).append(entry)
    return {name: groups[name] for name in sorted(groups, key=natural)}


def by_origin(groups: ByDataset) -> tuple[dict[str, list[TaskEntry]], dict[str, list[TaskEntry]], Notes]:
    """Return the recordings by dataset whose sensors were worn, and those computed, and which are neither."""
    worn, computed = (
        {name: some for name, group in groups.items() if (some := [e for e in group if e.sensor_origin == origin])}
        for origin in ("measured", "synthetic")
    )
    notes = tuple(
        f"{count} recordings of {name} left out: some of their sensors were worn and some computed"
        for name, group in groups.items()
        if (count := sum(entry.sensor_origin == "mixed" for entry in group))
    )
    return worn, computed, notes


def over_pairs(
    card: ProtocolCard, entries: Entries, task: Task, across: Callable[[Entries, Entries], Iterable[Fold]],
    within: Callable[[Entries], Iterable[Fold]],
) -> list[Fold]:  # fmt: skip
    """Return the folds of every ordered pair of datasets (source, target), and those within each on the diagonal.

    A pair that cannot be made is told in the notes of its row and column. Raises ``NotApplicable`` below two datasets,
    or where nothing can be made.
    """
    groups = by_dataset(entries)
    _check_two(card, groups, task)
    folds: list[Fold] = []
    reasons: dict[tuple[str, str], str] = {}
    for source in groups:
        for target in groups:
            try:
                folds += within(groups[source]) if source == target else across(groups[source], groups[target])
            except NotApplicable as reason:
                reasons[source, target] = f"{source} -> {target}: {reason}"
    if not folds:
        raise NotApplicable(f"No pair of datasets can be made for '{card.name}': {' '.join(reasons.values())}")
    return [_told_of_its_neighbours(fold, reasons) for fold in folds]


def _check_two(card: ProtocolCard, groups: ByDataset, task: Task) -> None:
    if len(groups) < 2:
        raise NotApplicable(
            f"'{card.name}' needs two datasets that feed '{task.name}', and there is "
            f"{'only ' + next(iter(groups)) if groups else 'none'}."
        )


def _told_of_its_neighbours(fold: Fold, reasons: Mapping[tuple[str, str], str]) -> Fold:
    """Return a fold whose notes tell why pairs of its row and column of the matrix are empty."""
    empty = (
        reason
        for (source, target), reason in reasons.items()
        if source in fold.train_datasets or target == fold.test_dataset
    )
    return replace(fold, notes=(*fold.notes, *empty))


def diagonal_folds(entries: Sequence[TaskEntry], task: Task) -> list[Fold]:
    """Return the folds within one dataset: ``ug``, or ``ui`` below three persons."""
    if len({entry.person for entry in entries if entry.runs}) >= DIAGONAL_UG:
        folds = [replace(fold, diagonal="ug") for fold in UG.folds(entries, task)]
    else:
        folds = [replace(fold, diagonal="ui") for fold in UI.folds(entries, task)]
    return [replace(fold, name=f"{fold.test_dataset} -> {fold.test_dataset}: {fold.name}") for fold in folds]


def transfer_fold(source: Sequence[TaskEntry], target: Sequence[TaskEntry], task: Task) -> Fold:
    """Return the fold that fits on one dataset and tests on another."""
    refuse_mixed_conventions([*source, *target], task)
    there, here = Persons(target, task), Persons(source, task)
    tested, notes = whole_time(there)
    roles, left_out = fitted_elsewhere(here, there)
    return Fold(
        name=f"{here.dataset} -> {there.dataset}",
        test_persons=tuple(tested),
        train_datasets=here.datasets,
        test_dataset=there.dataset,
        roles={**roles, **joined(list(tested.values()))},
        notes=(*notes, *left_out),
    )


def whole_time(there: Persons) -> tuple[dict[str, Roles], Notes]:
    """Return all time of every person with enough of it, to test; raises ``NotApplicable`` where nobody has."""
    tested, notes = there.having(lambda timeline, _: {"test": timeline}, TESTED)
    if not tested:
        raise NotApplicable(f"nobody has enough to test on: {'; '.join(notes) or 'no recording'}.")
    return tested, notes


def fitted_elsewhere(here: Persons, there: Persons) -> tuple[Roles, Notes]:
    """Return fit and validation of those persons of one dataset who are not in the other, and who was left out."""
    shared = [person for person in here.names if person in there.names]
    roles = by_persons(here, [person for person in here.names if person not in there.names])
    if roles is None:
        raise NotApplicable(f"nobody in {here.dataset} has enough to fit a model on.")
    if not shared:
        return roles, ()
    return roles, (f"{', '.join(shared)} left out of the fit: the same person is in {there.dataset}",)


def refuse_mixed_conventions(entries: Sequence[TaskEntry], task: Task) -> None:
    """Sagittal angles of different conventions may meet in one score; frontal and transverse ones never do."""
    conventions = sorted({entry.convention or "unknown" for entry in entries})
    dofs = [dof for leg in task.legs for dof in task.dofs_of(leg)]
    bound = [dof for dof in dofs if dof in DOFS and DOFS[dof].plane != "sagittal"]
    if len(conventions) > 1 and bound:
        raise NotApplicable(
            f"their angle conventions ({', '.join(conventions)}) differ, and {', '.join(bound)} of different "
            "conventions never meet in one score."
        )


# --- adapted to the person -------------------------------------------------------------------------------------------


def _adapted(source: Entries, target: Entries, task: Task) -> list[Fold]:
    refuse_mixed_conventions([*source, *target], task)
    there, here = Persons(target, task), Persons(source, task)
    adapted, notes = there.having(ua_roles, ("adaptation", "stopping", "test"))
    if not adapted:
        raise NotApplicable(f"nobody has enough to adapt to and to test on: {'; '.join(notes) or 'no recording'}.")
    roles, left_out = fitted_elsewhere(here, there)
    return [
        Fold(
            name=f"{here.dataset} -> {there.dataset}: {person}",
            test_persons=(person,),
            train_datasets=here.datasets,
            test_dataset=there.dataset,
            roles={**roles, **own},
            notes=(*notes, *left_out),
        )
        for person, own in adapted.items()
    ]


def _adapted_within(own: Entries, task: Task) -> list[Fold]:
    return [
        replace(fold, name=f"{fold.test_dataset} -> {fold.test_dataset}: {fold.name}", diagonal="ug")
        for fold in UA.folds(own, task)
    ]


def _before_and_after(folds: Iterable[Fold]) -> list[Fold]:
    """Return each fold twice: its model as it came, and adapted. Both are fitted alike and tested on the same time."""
    return [one for fold in folds for one in (_as_it_came(fold), _with_adaptation(fold))]


def _as_it_came(fold: Fold) -> Fold:
    roles = {role: spans for role, spans in fold.roles.items() if role not in ("adaptation", "stopping")}
    return replace(fold, name=f"{fold.name}, as it came", roles=roles, condition={"adapted": "no"})


def _with_adaptation(fold: Fold) -> Fold:
    return replace(fold, name=f"{fold.name}, adapted", condition={"adapted": "yes"})


# --- tuned on other people of the target -----------------------------------------------------------------------------


def _finetuned(source: Entries, target: Entries, task: Task) -> list[Fold]:
    as_it_came = transfer_fold(source, target, task)
    there = Persons(target, task)
    time, _ = whole_time(there)
    if len(time) < 3:
        raise NotApplicable(
            f"fine-tuning needs three persons of {there.dataset}, one to tune on, one to stop on and one to test, and "
            f"{len(time)} have enough."
        )
    folds = [_tuned(as_it_came, 0, 0, {})]
    for persons in powers_of_two(len(time) - 2):
        for draw, ring in enumerate(rings(by_hash(list(time)))):
            stopping, tuning, others = ring[:1], ring[1 : persons + 1], ring[persons + 1 :]
            roles: Roles = {
                "adaptation": _time_of(tuning, time), "stopping": _time_of(stopping, time),
                "test": _time_of(others, time),
            }  # fmt: skip
            fold = replace(as_it_came, test_persons=tuple(sorted(others, key=natural)), adapts_to="dataset")
            folds.append(_tuned(fold, persons, draw, roles))
    return folds


def _tuned(fold: Fold, persons: int, draw: int, roles: Roles) -> Fold:
    return replace(
        fold, name=f"{fold.name}: {persons} persons, draw {draw}", roles={**fold.roles, **roles},
        condition={"persons": persons, "draw": draw},
    )  # fmt: skip


def _time_of(persons: Iterable[str], time: Mapping[str, Roles]) -> Spans:
    return tuple(span for person in sorted(persons, key=natural) for span in time[person]["test"])


def powers_of_two(most: int) -> list[int]:
    """Return 1, 2, 4, … up to ``most``."""
    return [1 << power for power in range(most.bit_length())]


def rings(order: Sequence[str]) -> list[list[str]]:
    """Return persons in a ring, begun at each of them up to ``MOST_DRAWS``, and at so many evenly spaced above.

    So up to ten persons each is tuned on, stopped on and tested as often as any other, at any number of them.
    """
    draws = min(len(order), MOST_DRAWS)
    starts = [draw * len(order) // draws for draw in range(draws)]
    return [[*order[start:], *order[:start]] for start in starts]


# --- all other datasets ----------------------------------------------------------------------------------------------


def sources_of(groups: ByDataset, target: Persons, task: Task) -> tuple[dict[str, Roles], Notes]:
    """Return fit and validation of every dataset but the target's that can be learnt from, and why others cannot.

    Persons of the target are in none of them.
    """
    sources: dict[str, Roles] = {}
    notes: Notes = ()
    for name, entries in groups.items():
        if name == target.dataset:
            continue
        try:
            refuse_mixed_conventions([*entries, *groups[target.dataset]], task)
            sources[name], left_out = fitted_elsewhere(Persons(entries, task), target)
            notes += left_out
        except NotApplicable as reason:
            notes += (f"{name} is no source: {reason}",)
    return sources, notes


def apart(parts: Sequence[Roles], owner: Mapping[str, str]) -> Roles:
    """Return the roles of several sources; whoever stops the fit in one is not fitted on in another.

    ``owner`` tells the person of each recording.
    """
    stopping = [{owner[span.key] for span in part["validation"]} for part in parts]
    fit: Spans = ()
    for part, own in zip(parts, stopping, strict=True):
        elsewhere = set().union(*stopping) - own
        fit += tuple(span for span in part["fit"] if owner[span.key] not in elsewhere)
    return {"fit": fit, "validation": joined(parts)["validation"]}


def _left_out(groups: ByDataset, target: str, task: Task) -> Fold:
    there = Persons(groups[target], task)
    tested, notes = whole_time(there)
    sources, told = sources_of(groups, there, task)
    if not sources:
        raise NotApplicable(f"no other dataset can be learnt from: {'; '.join(told)}.")
    owner = {str(entry.key): entry.person for entries in groups.values() for entry in entries}
    return Fold(
        name=f"all others -> {target}",
        test_persons=tuple(tested),
        train_datasets=tuple(sources),
        test_dataset=target,
        roles={**apart(list(sources.values()), owner), **joined(list(tested.values()))},
        notes=(*notes, *told),
        condition={"datasets": len(sources)},
    )


# --- the values ------------------------------------------------------------------------------------------------------

_FITTED = "Fitted on all persons of one dataset but a fifth, which stop it"

CROSS_DATASET = CrossDataset(
    ProtocolCard(
        name="cross-dataset",
        version=1,
        title="cross-dataset",
        description="Fitted on all persons of one dataset but a fifth, which stop it, tested on all of another "
        "dataset, for every ordered pair. The diagonal is 'ug' within the dataset, or 'ui' below three persons.",
        sees="nothing",
        scope="datasets",
    )
)
CROSS_DATASET_ADAPTED = CrossDatasetAdapted(
    ProtocolCard(
        name="cross-dataset-adapted",
        version=1,
        title="cross-dataset, adapted to the person",
        description=f"{_FITTED}, adapted to each person of another dataset on block A, stopped on B, tested on D "
        "beside the same model as it came. The diagonal is 'ug' and 'ua'.",
        sees="labelled 40 %",
        scope="datasets",
        adapts=True,
        ranks=False,
        study=True,
    )
)
CROSS_DATASET_FINETUNED = CrossDatasetFinetuned(
    ProtocolCard(
        name="cross-dataset-finetuned",
        version=1,
        title="cross-dataset, tuned on a few people of the new laboratory",
        description=f"{_FITTED}, tuned on 0, 1, 2, 4, … persons of another dataset, stopped on one more of them, "
        "tested on all time of its other persons. Up to ten persons each begins a draw; ten draws above.",
        sees="nothing",
        scope="datasets",
        adapts=True,
        ranks=False,
        study=True,
    )
)
LEAVE_ONE_DATASET_OUT = LeaveOneDatasetOut(
    ProtocolCard(
        name="leave-one-dataset-out",
        version=1,
        title="leave one dataset out",
        description="Fitted on all persons of all other datasets but a fifth of each, which stop it, tested on all of "
        "the one left out. With two datasets this is 'cross-dataset' itself.",
        sees="nothing",
        scope="datasets",
        ranks=False,
        study=True,
    )
)
