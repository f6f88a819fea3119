"""How far a model looks ahead, measured: another future is put in, and the first answer that changes is looked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kinbench.testing.claims import require
from kinbench.testing.models.trials import Float32Array, Promise, Trial

WINDOWS = 2
"""So many windows are tried."""
INSTANTS = 48
"""From so many instants on, evenly over a window, the future is another; all of them in a window that is shorter."""
ALIKE_DEG = 1e-4
"""Sums may round otherwise where later numbers are others."""


@dataclass(frozen=True)
class Horizon:
    """How many later samples of its window an answer may depend on, at least: ``ahead`` of ``window`` samples.

    ``blind`` says that no answer depends on the inputs at all. What is found is a lower bound: the inputs that were
    tried may leave a dependence asleep.
    """

    ahead: int
    window: int
    blind: bool = False

    @property
    def whole(self) -> bool:
        """Whether a window's first answer depends on its last sample."""
        return self.window > 1 and self.ahead == self.window - 1

    def text(self, rate_hz: float) -> str:
        """Return the measurement for a person."""
        if self.blind:
            return "answers do not depend on the inputs"
        if self.ahead == 0:
            return "look-ahead 0 samples: causal"
        part = "the whole window" if self.whole else f"{self.ahead / rate_hz:.3g} s"
        return f"look-ahead {self.ahead} of {self.window - 1} samples: {part}"


def measure(predict: Callable[[Float32Array], Float32Array], x: Float32Array) -> Horizon:
    """Return how far ahead ``predict`` looks on some of the windows ``x`` (n, time, channel).

    From each instant on, samples are replaced twice: by the window's own in reverse, and by another window's, louder.
    The look-ahead is the longest way back from there to an answer that changes.
    """
    tried = np.ascontiguousarray(x[np.linspace(0, len(x) - 1, min(WINDOWS, len(x))).astype(int)])
    window = tried.shape[1]
    instants = np.unique(np.linspace(0, window - 1, min(INSTANTS, window)).astype(int))
    others = (tried[:, ::-1], np.float32(2.0) * np.roll(tried, 1, axis=0) + np.float32(1.0))
    before, ahead, changes = np.asarray(predict(tried.copy())), 0, False
    for other in others:
        future = np.stack([_from(instant, tried, other) for instant in instants])  # (instant, n, time, channel)
        after = np.asarray(predict(future.reshape(-1, *tried.shape[1:]))).reshape(len(instants), *before.shape)
        moved = (np.abs(after - before) > ALIKE_DEG).any(axis=(1, 3))  # (instant, time)
        changes |= bool(moved.any())
        for instant, touched in zip(instants, moved, strict=True):
            if touched.any():
                ahead = max(ahead, int(instant) - int(touched.argmax()))
    return Horizon(ahead, window, blind=not changes)


def _from(instant: int, window: Float32Array, other: Float32Array) -> Float32Array:
    changed = window.copy()
    changed[:, instant:] = other[:, instant:]
    return changed


def _look_ahead(trial: Trial) -> str:
    found = measure(trial.model.predict, trial.x)
    claimed = bool(getattr(trial.model, "causal", False))
    told = found.text(trial.spec.rate_hz)
    require(not claimed or found.ahead == 0, f"The model claims to be causal, and it is not: {told}.")
    if found.ahead == 0 and not found.blind and not claimed:
        told += ", though it does not claim so (causal = True)"
    return told


PROMISES = (Promise("look-ahead", "a model that claims to be causal uses no later sample", _look_ahead),)
