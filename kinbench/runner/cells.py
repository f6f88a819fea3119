"""What a run is made of: cells, the models chosen for them, and what is not applicable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kinbench.contracts import ModelCard
from kinbench.protocol import Fold, ProtocolCard
from kinbench.results import SearchPart, Setting, WeightsPart
from kinbench.schema import DOFS
from kinbench.tasks import Task


@dataclass(frozen=True)
class ModelChoice:
    """One model with its settings, before any is made for a fold.

    ``selector`` is written one way only (settings sorted, the weights' name after an ``@``). ``adapts``: it has
    ``adapt``, ``save`` and ``load``; ``normalises``: it has ``normalise``; ``additive``: it has ``summarise`` and
    ``fit_from``; ``streams``: it has ``estimate``; ``trains``: it has ``prepare``; ``oriented``:
    it learns from orientations. ``weights`` are those that it begins from, which lie in ``begins_in``; ``search`` is
    what found its settings; ``files`` are the sha256 of files that its answers depend on, by the setting that names
    each.
    """

    selector: str
    name: str
    settings: Mapping[str, Setting]
    card: ModelCard
    distribution: str
    distribution_version: str
    adapts: bool
    additive: bool = False
    normalises: bool = False
    streams: bool = False
    trains: bool = False
    oriented: bool = False
    weights: WeightsPart | None = None
    begins_in: Path | None = None
    search: SearchPart | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    def lacks(self, fold: Fold, task: Task) -> str | None:
        """Return what a fold asks of a model and this one has not, None where it can run it."""
        if self.streams and fold.test_changes:
            return "no answer to changed inputs, as it goes through recordings as they were made"
        if self.oriented and not task.orientations:
            return f"no orientations to learn from in this task (take '{task.name}/oriented')"
        unworn = _unworn(fold, task) if self.streams or self.oriented else []
        if unworn:
            return f"no answer without the sensor on {' and '.join(unworn)}"
        if fold.adapts and not self.adapts:
            return "no 'adapt' with 'save' and 'load'"
        return "no 'normalise'" if fold.normalises and not self.normalises else None

    @property
    def identity(self) -> dict[str, Any]:
        """What of the model a score depends on, JSON-plain; what it does not have is not in it.

        A search is, though the settings are there too: whom it saw decides what may be tested. Of a file it is what
        it holds, and not its path.
        """
        began = {} if self.weights is None else {"weights": self.weights.sha256}
        found = {} if self.search is None else {"search": self.search.sha256}
        read = {"files": dict(self.files)} if self.files else {}
        settings = {name: value for name, value in self.settings.items() if name not in self.files}
        return {
            "name": self.name, "settings": settings, "version": self.card.version,
            "distribution": self.distribution, "distribution_version": self.distribution_version,
            **began, **found, **read,
        }  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One thing to score. ``key`` names its result, ``fit_key`` the fitted model, which cells may share.

    Cells of one ``job_key`` are run together: they share a fitted model, or the sums that it is fitted from.
    """

    protocol: ProtocolCard
    task: Task
    fold: Fold
    fold_digest: str
    model: ModelChoice
    seed: int
    key: str
    fit_key: str
    job_key: str

    @property
    def dataset(self) -> str:
        """The dataset tested on, preceded by those fitted on where they differ."""
        fitted = "+".join(self.fold.train_datasets)
        return self.fold.test_dataset if fitted == self.fold.test_dataset else f"{fitted} -> {self.fold.test_dataset}"

    @property
    def label(self) -> str:
        """The cell in words."""
        return (
            f"{self.protocol.name} · {self.task.name} · {self.dataset} · {self.fold.name} · {self.model.selector} · "
            f"seed {self.seed}"
        )


@dataclass(frozen=True)
class Skipped:
    """What is not applicable, and why. An empty ``protocol`` or ``model`` means all of them."""

    task: str
    dataset: str
    reason: str
    protocol: str = ""
    model: str = ""

    def __str__(self) -> str:
        return " · ".join(filter(None, (self.protocol, self.task, self.dataset, self.model))) + f": {self.reason}"


def _unworn(fold: Fold, task: Task) -> list[str]:
    """Return the segments on either side of the joints asked for whose sensors a fold takes away."""
    given = fold.narrowed(task)
    lost: dict[str, None] = {}
    for leg in task.legs:
        taken = set(task.segments_of(leg)) - set(given.segments_of(leg))
        for dof in task.dofs_of(leg):
            beside = (DOFS[dof].proximal, DOFS[dof].distal) if dof in DOFS else tuple(task.segments_of(leg))
            lost |= dict.fromkeys(name for name in beside if name in taken)
    return list(lost)
