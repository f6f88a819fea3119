"""``cross-dataset``: fitted on one laboratory's people, tested on another's (protocols 1, Splits)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kinbench.errors import NotApplicable
from kinbench.protocol import Fold, ProtocolCard
from kinbench.recording import TaskEntry, natural
from kinbench.schema import DOFS
from kinbench.tasks import Task
from kinbench_benchmarks.protocols.headline import UG, UI
from kinbench_benchmarks.protocols.persons import TESTED, Persons, by_persons, joined

DIAGONAL_UG = 3
"""From so many persons on, a transfer matrix's diagonal is ``ug``."""


@dataclass(frozen=True)
class CrossDataset:
    """Every ordered pair of datasets: all persons of the one to fit, all time of the other to test, per person."""

    card: ProtocolCard

    def folds(self, entries: Sequence[TaskEntry], task: Task) -> Sequence[Fold]:
        """Return the folds of every pair, sources and targets in natural order, the diagonal within one dataset.

        Raises ``NotApplicable`` below two datasets, or where no pair can be made.
        """
        by_dataset: dict[str, list[TaskEntry]] = {}
        for entry in entries:
            by_dataset.setdefault(entry.key.dataset, []).append(entry)
        names = sorted(by_dataset, key=natural)
        if len(names) < 2:
            raise NotApplicable(
                f"'{self.card.name}' needs two datasets that feed '{task.name}', and there is "
                f"{'only ' + names[0] if names else 'none'}."
            )
        folds: list[Fold] = []
        reasons: dict[tuple[str, str], str] = {}
        for source in names:
            for target in names:
                try:
                    if source == target:
                        folds += diagonal_folds(by_dataset[source], task)
                    else:
                        folds.append(transfer_fold(by_dataset[source], by_dataset[target], task))
                except NotApplicable as reason:
                    reasons[source, target] = f"{source} -> {target}: {reason}"
        if not folds:
            raise NotApplicable(f"No pair of datasets can be made for '{self.card.name}': {' '.join(reasons.values())}")
        return [_told_of_its_neighbours(fold, reasons) for fold in folds]


# --- transfer --------------------------------------------------------------------------------------------------------


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
    tested, notes = there.having(lambda timeline, _: {"test": timeline}, TESTED)
    if not tested:
        raise NotApplicable(f"nobody has enough to test on: {'; '.join(notes) or 'no recording'}.")
    shared = [person for person in here.names if person in there.names]
    fitted = [person for person in here.names if person not in there.names]
    if shared:
        notes += (f"{', '.join(shared)} left out of the fit: the same person is in {there.dataset}",)
    roles = by_persons(here, fitted)
    if roles is None:
        raise NotApplicable(f"nobody in {here.dataset} has enough to fit a model on.")
    return Fold(
        name=f"{here.dataset} -> {there.dataset}",
        test_persons=tuple(tested),
        train_datasets=here.datasets,
        test_dataset=there.dataset,
        roles={**roles, **joined(list(tested.values()))},
        notes=notes,
    )


def refuse_mixed_conventions(entries: Sequence[TaskEntry], task: Task) -> None:
    """Sagittal angles of different conventions may meet in one score; frontal and transverse ones never do."""
    conventions = sorted({entry.convention or "unknown" for entry in entries})
    dofs = [dof for leg in task.legs for dof in task.dofs_of(leg)]
    bound = [dof for dof in dofs if DOFS[dof].plane != "sagittal"]
    if len(conventions) > 1 and bound:
        raise NotApplicable(
            f"their angle conventions ({', '.join(conventions)}) differ, and {', '.join(bound)} of different "
            "conventions never meet in one score."
        )


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
