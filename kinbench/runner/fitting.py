"""A model fitted once for every cell that shares it, kept on disk where the model can be kept.

One that learns from sums is fitted from those of its persons, each made once per process: the sums of a fold are added
in the order in which the model adds them itself, so that what is shared, kept or read again changes no bit.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from functools import reduce
from operator import add, attrgetter
from pathlib import Path
from typing import Any

from kinbench.contracts import AdaptiveModel, AdditiveModel, Model, Summary, TrainedModel, Training
from kinbench.errors import DataError
from kinbench.files import canonical, sync_folder, working_folder
from kinbench.perturbations import Change
from kinbench.protocol import FIT_ROLES, Fold, Role
from kinbench.recording import Span
from kinbench.results import STAGING
from kinbench.runner.cells import Cell
from kinbench.runner.stopwatch import Stopwatch
from kinbench.runner.summaries import Part
from kinbench.runner.workspace import Workspace
from kinbench.windows import Batches

_WEIGHTS = "model"
_ABOUT = "fit.json"
_EMPTY = "the spans to fit on hold no window"
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Fitted:
    """A fitted model and what its fit left to tell."""

    model: Model
    windows: Mapping[str, int]
    notes: tuple[str, ...]
    parameters: int | None


class Fits:
    """The fitted models of one job's cells, in their order: one, or those of several sets of sensors from one sum.

    A fit that failed fails again at once, for each of them. One that is stopped leaves what it wrote on its way below
    ``models``, and the next run of the same goes on from there.
    """

    def __init__(
        self, space: Workspace, folder: Path, cells: Sequence[Cell], device: str, on_progress: Progress
    ) -> None:  # fmt: skip
        self._space = space
        self._folder = folder
        self._cells = cells
        self._device = device
        self._on_progress = on_progress
        self._fit_key = ""
        self._in_memory: Fitted | None = None
        self._from: Iterator[tuple[str, Fitted]] | None = None
        self._failure: Exception | SystemExit | None = None

    def take(self, cell: Cell, watch: Stopwatch) -> Fitted:
        """Return a model that is as ``fit`` left it. One to be adapted is always a copy read from disk.

        So ``ua`` after ``ug``, in one run or after a resume, starts from the same bits. Any other is a copy too, of the
        object alone: what a filter notes of one cell's recordings must not stand in the next one's result.
        """
        if self._failure is not None:
            raise self._failure
        kept = self._kept(cell)
        if self._fit_key != cell.fit_key:
            self._fit_key, self._in_memory = cell.fit_key, None
        if self._in_memory is None and not kept.is_dir():
            try:
                self._in_memory = self._fit(cell, kept, watch)
            except (Exception, SystemExit) as failure:
                self._failure = failure
                raise
        if self._in_memory is None or cell.fold.adapts:
            shutil.rmtree(self._progress(cell.fit_key), ignore_errors=True)  # of a run killed as it kept the fit
            return _load(self._fresh(cell), kept)
        return replace(self._in_memory, model=copy(self._in_memory.model))

    @contextmanager
    def training(self, cell: Cell, name: str) -> Iterator[Training]:
        """Yield how to train: with a folder for checkpoints, which goes once what is done inside is done."""
        if not cell.model.trains:
            yield Training(self._device)
            return
        with working_folder(self._progress(name)) as place:
            yield Training(self._device, place, self._on_progress)

    def _progress(self, name: str) -> Path:
        return self._folder / "models" / f"{name}.progress"

    def _fresh(self, cell: Cell, training: Training | None = None) -> Any:
        """Return a fresh model, told how to train, that has not begun from weights yet."""
        model = self._space.model(cell.model)
        if isinstance(model, TrainedModel):
            model.prepare(Training(self._device) if training is None else training)
        return model

    def _fit(self, cell: Cell, kept: Path, watch: Stopwatch) -> Fitted:
        with self.training(cell, cell.fit_key) as training:
            fitted = self._summed(cell, watch) if cell.model.additive else self._alone(cell, watch, training)
            if isinstance(fitted.model, AdaptiveModel):
                _save(fitted.model, fitted, kept)
        if isinstance(fitted.model, TrainedModel):
            fitted.model.prepare(Training(self._device))
        return fitted

    def _alone(self, cell: Cell, watch: Stopwatch, training: Training) -> Fitted:
        train, valid = (self._windows(cell, cell.fold, role, self._spans(cell, role)) for role in FIT_ROLES)
        if len(train) == 0:
            raise DataError(_EMPTY)
        model = self._fresh(cell, training)
        with watch.time("fit"):
            if cell.model.begins_in is not None:
                model.begin(cell.model.begins_in)
            model.fit(train, valid, seed=cell.seed)
        return _described(model, len(train), len(valid))

    def _summed(self, cell: Cell, watch: Stopwatch) -> Fitted:
        """Return one cell's model; the time of the first holds what all of them share."""
        with watch.time("fit"):
            if self._from is None:
                self._from = self._begin(cell)
            return next(fitted for fit_key, fitted in self._from if fit_key == cell.fit_key)

    def _begin(self, cell: Cell) -> Iterator[tuple[str, Fitted]]:
        """Yield (fit key, fitted model) of every set of sensors that this job has and that is not kept on disk."""
        wanted = {c.fit_key: c.fold.narrowed(c.task).segments for c in self._cells if not self._kept(c).is_dir()}
        model = self._space.model(cell.model)
        (train, count), (valid, judged) = (self._sums(cell, model, role) for role in FIT_ROLES)
        if count == 0:
            raise DataError(_EMPTY)
        models = model.fit_from(train, valid, tuple(wanted.values()), seed=cell.seed)
        for fit_key, fitted in zip(wanted, models, strict=True):
            yield fit_key, _described(fitted, count, judged)

    def _sums(self, cell: Cell, model: AdditiveModel[Any], role: Role) -> tuple[Summary, int]:
        """Return the summary of a role's windows with all sensors, and how many they are."""
        fold = replace(cell.fold, segments=None)
        persons = {str(entry.key): entry.person for entry in self._space.entries(fold, cell.task)}
        by_person: dict[str, list[Span]] = {}
        for span in sorted(self._spans(cell, role)):
            by_person.setdefault(persons.get(span.key, ""), []).append(span)
        parts = [self._part(cell, model, fold, role, tuple(spans)) for spans in by_person.values()]
        held = sorted((part for part in parts if part.windows), key=attrgetter("person"))
        if not held:
            return model.summarise(self._windows(cell, fold, role, ())), 0
        return reduce(add, (part.summary for part in held)), sum(part.windows for part in held)

    def _part(self, cell: Cell, model: AdditiveModel[Any], fold: Fold, role: Role, spans: tuple[Span, ...]) -> Part:
        """Return the summary of one person's spans, made once per process.

        There a model's selector, a task, the stores and a span stand for the same data throughout.
        """

        def make() -> Part:
            batches = self._windows(cell, fold, role, spans)
            return Part(int(batches.person[0]) if len(batches) else 0, len(batches), model.summarise(batches))

        changes = (fold.fit_changes, _copies(fold, role))
        key = (cell.model.selector, cell.task, self._space.datasets(fold), changes, spans)
        return self._space.summaries.take(key, make)

    def _windows(self, cell: Cell, fold: Fold, role: Role, spans: Sequence[Span]) -> Batches:
        return self._space.batches(fold, cell.task, spans, _copies(fold, role))

    def _spans(self, cell: Cell, role: Role) -> tuple[Span, ...]:
        return cell.fold.roles.get(role, ())

    def _kept(self, cell: Cell) -> Path:
        return self._folder / "models" / cell.fit_key


def _copies(fold: Fold, role: Role) -> tuple[tuple[Change, ...], ...]:
    """Return the copies that are learnt from; validation is none."""
    return fold.fit_copies if role == "fit" else ()


def _described(model: Model, train: int, valid: int) -> Fitted:
    return Fitted(model, {"fit": train, "validation": valid}, notes_of(model), _parameters(model))


def notes_of(model: object) -> tuple[str, ...]:
    """Return what a model wants told of its fit: the texts of its ``notes``, where it has any."""
    return tuple(str(note) for note in getattr(model, "notes", ()))


def _parameters(model: object) -> int | None:
    count = getattr(model, "parameters", None)
    return int(count()) if callable(count) else None


def _save(model: AdaptiveModel, fitted: Fitted, kept: Path) -> None:
    """Keep a fitted model: written aside, on disk in full, then in place by one rename."""
    aside = kept.parent.parent / STAGING / f"{kept.name}.{os.getpid()}"
    shutil.rmtree(aside, ignore_errors=True)
    (aside / _WEIGHTS).mkdir(parents=True)
    model.save(aside / _WEIGHTS)
    about = {"windows": dict(fitted.windows), "notes": list(fitted.notes), "parameters": fitted.parameters}
    (aside / _ABOUT).write_bytes(canonical(about))
    for path in aside.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    kept.parent.mkdir(exist_ok=True)
    aside.rename(kept)
    sync_folder(kept.parent)


def _load(model: AdaptiveModel, kept: Path) -> Fitted:
    about: dict[str, Any] = json.loads((kept / _ABOUT).read_text(encoding="utf-8"))
    model.load(kept / _WEIGHTS)
    return Fitted(model, about["windows"], tuple(about["notes"]), about["parameters"])
