"""A model fitted once for every cell that shares it, kept on disk where the model can be kept."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kinbench.contracts import AdaptiveModel, Model
from kinbench.errors import DataError
from kinbench.files import canonical, sync_folder
from kinbench.protocol import Fold
from kinbench.results import STAGING
from kinbench.runner.cells import Cell
from kinbench.runner.stopwatch import Stopwatch
from kinbench.runner.workspace import Workspace
from kinbench.windows import Batches

_WEIGHTS = "model"
_ABOUT = "fit.json"


@dataclass(frozen=True)
class Fitted:
    """A fitted model and what its fit left to tell."""

    model: Model
    windows: Mapping[str, int]
    notes: tuple[str, ...]
    parameters: int | None


class Fits:
    """The fitted models of one job's cells, in their order: one, or those of a sweep over sets of sensors.

    A fit that failed fails again at once, for each of them.
    """

    def __init__(self, space: Workspace, folder: Path, cells: Sequence[Cell]) -> None:
        self._space = space
        self._folder = folder
        self._cells = cells
        self._fit_key = ""
        self._in_memory: Fitted | None = None
        self._sweep: Iterator[tuple[str, Fitted]] | None = None
        self._failure: Exception | SystemExit | None = None

    def take(self, cell: Cell, watch: Stopwatch) -> Fitted:
        """Return a model that is as ``fit`` left it. One to be adapted is always a copy read from disk.

        So ``ua`` after ``ug``, in one run or after a resume, starts from the same bits.
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
            return _load(self._space.model(cell.model), kept)
        return self._in_memory

    def _fit(self, cell: Cell, kept: Path, watch: Stopwatch) -> Fitted:
        fitted = self._from_sweep(cell, watch) if cell.swept else self._alone(cell, watch)
        if isinstance(fitted.model, AdaptiveModel):
            _save(fitted.model, fitted, kept)
        return fitted

    def _alone(self, cell: Cell, watch: Stopwatch) -> Fitted:
        train, valid = self._windows(cell, cell.fold)
        model = self._space.model(cell.model)
        with watch.time("fit"):
            model.fit(train, valid, seed=cell.seed)
        return _described(model, train, valid)

    def _from_sweep(self, cell: Cell, watch: Stopwatch) -> Fitted:
        """Return the sweep's model of one cell; the first one's time holds what all of them share."""
        if self._sweep is None:
            self._sweep = self._begin(cell)
        with watch.time("fit"):
            return next(fitted for fit_key, fitted in self._sweep if fit_key == cell.fit_key)

    def _begin(self, cell: Cell) -> Iterator[tuple[str, Fitted]]:
        """Yield (fit key, fitted model) of every set of sensors that this job has and that is not kept on disk."""
        wanted = {c.fit_key: c.fold.segments or () for c in self._cells if not self._kept(c).is_dir()}
        train, valid = self._windows(cell, replace(cell.fold, segments=None))
        models = self._space.model(cell.model).fit_subsets(train, valid, tuple(wanted.values()), seed=cell.seed)
        for fit_key, model in zip(wanted, models, strict=True):
            yield fit_key, _described(model, train, valid)

    def _windows(self, cell: Cell, fold: Fold) -> tuple[Batches, Batches]:
        train = self._space.batches(fold, cell.task, fold.roles["fit"], fold.fit_copies)
        valid = self._space.batches(fold, cell.task, fold.roles.get("validation", ()))
        if len(train) == 0:
            raise DataError("the spans to fit on hold no window")
        return train, valid

    def _kept(self, cell: Cell) -> Path:
        return self._folder / "models" / cell.fit_key


def _described(model: Model, train: Batches, valid: Batches) -> Fitted:
    return Fitted(model, {"fit": len(train), "validation": len(valid)}, notes_of(model), _parameters(model))


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
