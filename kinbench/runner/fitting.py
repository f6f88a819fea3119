"""A model fitted once for every cell that shares it, kept on disk where the model can be kept."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinbench.contracts import AdaptiveModel, Model
from kinbench.errors import DataError
from kinbench.files import canonical, sync_folder
from kinbench.results import STAGING
from kinbench.runner.cells import Cell
from kinbench.runner.stopwatch import Stopwatch
from kinbench.runner.workspace import Workspace

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
    """The fitted model of one job's cells. A fit that failed fails again at once, for each of them."""

    def __init__(self, space: Workspace, folder: Path) -> None:
        self._space = space
        self._folder = folder
        self._in_memory: Fitted | None = None
        self._failure: Exception | SystemExit | None = None

    def take(self, cell: Cell, watch: Stopwatch) -> Fitted:
        """Return a model that is as ``fit`` left it. One to be adapted is always a copy read from disk.

        So ``ua`` after ``ug``, in one run or after a resume, starts from the same bits.
        """
        if self._failure is not None:
            raise self._failure
        kept = self._folder / "models" / cell.fit_key
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
        train = self._space.batches(cell.fold, cell.task, cell.fold.roles["fit"], cell.fold.fit_copies)
        valid = self._space.batches(cell.fold, cell.task, cell.fold.roles.get("validation", ()))
        if len(train) == 0:
            raise DataError("the spans to fit on hold no window")
        model = self._space.model(cell.model)
        with watch.time("fit"):
            model.fit(train, valid, seed=cell.seed)
        windows = {"fit": len(train), "validation": len(valid)}
        fitted = Fitted(model, windows, notes_of(model), _parameters(model))
        if isinstance(model, AdaptiveModel):
            _save(model, fitted, kept)
        return fitted


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
