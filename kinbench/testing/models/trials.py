"""What a promise is, what came of one, and one model on trial."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kinbench.contracts import StreamModel
from kinbench.testing.claims import require
from kinbench.testing.models.cohorts import Cohort, bytes_of
from kinbench.windows import Batches, TaskSpec, Unlabelled

Factory = Callable[[], Any]
Float32Array = NDArray[np.float32]
Status = Literal["kept", "broken", "not applicable"]

WINDOW_TOLERANCE_DEG = 0.05
"""Sums may round otherwise in another company of windows."""
EVERY = 7
"""Of so many windows one is predicted alone."""


@dataclass(frozen=True)
class Promise:
    """One thing that models promise.

    ``tells`` says it in a sentence. ``check`` raises ``AssertionError`` with the sentence that tells the breach; what
    it returns is measured, worth telling though nothing is broken. ``only`` are methods without which it does not
    apply, ``on_windows`` promises are none of a filter's. Where a ``founding`` one is broken, those after it cannot be
    judged.
    """

    name: str
    tells: str
    check: Callable[[Trial], str | None]
    only: tuple[str, ...] = ()
    founding: bool = False
    on_windows: bool = True

    def inapplicable(self, model: object) -> str | None:
        """Return why a model cannot be held to it, None where it can."""
        lacking = [name for name in self.only if not callable(getattr(model, name, None))]
        if lacking:
            return f"the model has no '{lacking[0]}'"
        if self.on_windows and isinstance(model, StreamModel):
            return "the model is a filter, and does not predict windows"
        return None


@dataclass(frozen=True)
class Finding:
    """What came of one promise on one task: ``sentence`` tells what was kept or measured, the breach, or the reason."""

    promise: str
    task: str
    status: Status
    sentence: str

    def to_json(self) -> dict[str, str]:
        """Return it as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Examination:
    """What came of all promises of one model, by the selector it was asked for."""

    model: str
    findings: tuple[Finding, ...]

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The promises that are broken."""
        return tuple(finding for finding in self.findings if finding.status == "broken")

    @property
    def declined(self) -> dict[str, str]:
        """The tasks that the model does not take, and why."""
        return {f.task: f.sentence for f in self.findings if f.promise == "fit" and f.status == "not applicable"}

    @property
    def ok(self) -> bool:
        """Whether every promise is kept, on one task at least."""
        return not self.broken and bool({finding.task for finding in self.findings} - self.declined.keys())

    def text(self) -> str:
        """Return a line for each promise, the tasks told apart where they differ, and the sum of it."""
        lines, counts = [], Counter[str]()
        for promise in dict.fromkeys(finding.promise for finding in self.findings):
            mine = [f for f in self.findings if f.promise == promise and f.task not in self.declined]
            counts[_worst(mine)] += bool(mine)
            alike = len({(f.status, f.sentence) for f in mine}) == 1
            for finding in mine[:1] if alike else mine:
                said = f"{finding.sentence} [{finding.task}]" if not alike else finding.sentence
                shown = finding.status.upper() if finding.status == "broken" else finding.status
                lines.append(f"{shown:<14}  {promise}{': ' if said else ''}{said}")
        lines += [f"does not take {task}: {reason}" for task, reason in self.declined.items()]
        lines.append(f"{self.model}: " + ", ".join(f"{counts[s]} {s}" for s in ("kept", "broken", "not applicable")))
        if not self.broken and not self.ok:
            lines.append("The model takes none of the tasks tried; name one that it takes with --task.")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain JSON values."""
        return {"ok": self.ok, "model": self.model, "findings": [finding.to_json() for finding in self.findings]}


def _worst(findings: Sequence[Finding]) -> str:
    found = {finding.status for finding in findings}
    return next((status for status in ("broken", "kept", "not applicable") if status in found), "not applicable")


@dataclass(frozen=True)
class Fitted:
    """A model after ``fit``, and whether the windows that it was given are as they were."""

    model: Any
    untouched: bool


class Trial:
    """One factory's models on one cohort. What several promises look at is fitted once."""

    def __init__(self, factory: Factory, cohort: Cohort) -> None:
        self.factory = factory
        self.cohort = cohort

    @property
    def spec(self) -> TaskSpec:
        """The task that is tried."""
        return self.cohort.spec

    @cached_property
    def x(self) -> Float32Array:
        """Ordinary windows to predict."""
        return self.cohort.windows(3).x

    @cached_property
    def ordinary(self) -> Fitted:
        """A model fitted on ordinary windows; promises that look at it must leave it as it is."""
        return self.fit()

    @cached_property
    def holed(self) -> Fitted:
        """A model fitted on windows with a sensor missing and targets masked."""
        return self.fit(clean=False)

    @property
    def model(self) -> Any:
        """The model of ``ordinary``."""
        return self.ordinary.model

    def fit(self, seed: int = 0, *, clean: bool = True) -> Fitted:
        """Return a fresh model, fitted."""
        model = self.factory()
        train, valid = self.cohort.windows(1, clean=clean), self.cohort.windows(2, people=1, clean=clean)
        return Fitted(model, left_alone(lambda: model.fit(train, valid, seed=seed), train, valid))

    def calibration(self) -> tuple[Batches, Batches]:
        """Return what to adapt on and what to stop on, with holes in the first."""
        return self.cohort.windows(6, people=1, clean=False), self.cohort.windows(7, people=1)

    def kept(self, model: Any) -> Any:
        """Return another model that took up what this one saved; the folder is gone by then."""
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder))
            require(any(Path(folder).iterdir()), "save must write into the folder it is given, and wrote nothing.")
            again = self.factory()
            again.load(Path(folder))
        # A model that still reads from the folder breaks when it is used.
        return again

    def answer(self, model: Any, x: Float32Array, when: str) -> Float32Array:
        """Return a prediction that has kept its promises of shape, type and range."""
        predicted = model.predict(x.copy())
        shape_of(predicted, x, self.spec)
        require(predicted.dtype == np.float32, f"predict must return float32, got {predicted.dtype}.")
        require(bool(np.isfinite(predicted).all()), f"predict must return finite angles, and {when} some are not.")
        result: Float32Array = predicted
        return result

    def alone(self, model: Any, x: Float32Array, together: Float32Array, whose: str) -> None:
        """Require that windows predicted one at a time are predicted as among others."""
        if not len(x):
            return
        single = np.concatenate([model.predict(x[i : i + 1].copy()) for i in range(0, len(x), EVERY)])
        apart = float(np.abs(together[::EVERY] - single).max())
        require(
            apart <= WINDOW_TOLERANCE_DEG,
            f"{whose} prediction must not depend on the windows it comes with (test statistics would leak), and it "
            f"moved by {apart:.3g} deg.",
        )


def left_alone(action: Callable[[], object], *given: Batches | Unlabelled) -> bool:
    """Do something with windows and return whether they are as they were."""
    before = [_bytes(each) for each in given]
    action()
    return [_bytes(each) for each in given] == before


def _bytes(given: Batches | Unlabelled) -> tuple[bytes, ...]:
    return bytes_of(given) if isinstance(given, Batches) else (given.signals.tobytes(), given.starts.tobytes())


def shape_of(predicted: object, x: Float32Array, spec: TaskSpec) -> None:
    """Require an array of the shape that belongs to ``x``."""
    if not isinstance(predicted, np.ndarray):
        raise AssertionError(f"predict must return a numpy array, got {type(predicted).__name__}.")
    expected = (x.shape[0], x.shape[1], len(spec.dof_names))
    require(predicted.shape == expected, f"predict must return (n, time, dof) = {expected}, got {predicted.shape}.")
