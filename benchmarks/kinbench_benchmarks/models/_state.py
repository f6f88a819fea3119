"""What every baseline shares besides its method: scaling learnt from training windows, and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench.contracts import ModelCard
from kinbench.errors import DataError, KinbenchError
from kinbench.windows import Batches, TaskSpec, Unlabelled

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]

CHUNK = 256
"""Windows handled at a time, so that memory does not grow with the set."""
FEW_WINDOWS = 8
"""With fewer validation windows than this nothing is chosen on them (protocols 1, Splits)."""
SCALING = "Inputs are scaled by the training set's mean and SD, and only in ug-self-normalised by the person's own."
"""What the card of every model says that can take a person's own scaling."""


# --- scaling ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scaling:
    """Mean and SD of inputs (channel,) and targets (dof,), and the smallest target (dof,), of training windows only.

    Where a channel or DoF does not vary, or was never there, its SD is 1.
    """

    x_mean: FloatArray
    x_sd: FloatArray
    y_mean: FloatArray
    y_sd: FloatArray
    y_min: FloatArray

    @classmethod
    def fit(cls, train: Batches) -> Scaling:
        """Learn from ``train``. Raises ``DataError`` without windows or with a DoF that is nowhere labelled."""
        if len(train) == 0:
            raise DataError(f"no training window for task '{train.spec.task}'; give it more or longer recordings")
        x_sums = _Sums(len(train.spec.channel_names))
        y_sums = _Sums(len(train.spec.dof_names))
        for x, y, valid in train.iterate(CHUNK):
            x_sums.add(x)
            y_sums.add(np.where(valid, y, np.nan))
        unlabelled = [name for name, n in zip(train.spec.dof_names, y_sums.count, strict=True) if n == 0]
        if unlabelled:
            raise DataError(f"no valid training sample of {', '.join(unlabelled)}; nothing can be learnt about it")
        return cls(*x_sums.moments(), *y_sums.moments(), y_sums.low)

    def inputs(self, x: Float32Array) -> Float32Array:
        """Return (n, time, channel) z-scores; missing sensors and lost samples become 0, the training mean."""
        z = (x - self.x_mean.astype(np.float32)) / self.x_sd.astype(np.float32)
        return np.where(np.isfinite(z), z, np.float32(0.0)).astype(np.float32, copy=False)

    def normalised(self, unlabelled: Unlabelled) -> Scaling:
        """Return the scaling with the inputs' mean and SD of these windows; targets stay as they were."""
        mean, sd = own_scaling(unlabelled, self.x_mean, self.x_sd)
        return replace(self, x_mean=mean, x_sd=sd)

    def arrays(self) -> dict[str, FloatArray]:
        """Return the arrays to keep on disk, prefixed ``scaling/``."""
        return {f"scaling/{name}": value for name, value in vars(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Scaling:
        """Return what ``arrays()`` gave."""
        return cls(*(arrays[f"scaling/{name}"] for name in cls.__dataclass_fields__))


def own_scaling(unlabelled: Unlabelled, mean: FloatArray, sd: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the inputs' mean and SD (channel,) of a person's windows, given those of training.

    A channel that the windows never have keeps its mean and SD of training; one that does not vary in them, its SD.
    """
    sums = _Sums(len(unlabelled.spec.channel_names))
    for x in unlabelled.iterate(CHUNK):
        sums.add(x)
    own_mean, own_sd = sums.measured()
    return np.where(sums.count > 0, own_mean, mean), np.where(own_sd > 0, own_sd, sd)


def own_note(unlabelled: Unlabelled) -> str:
    """Return what a model notes that took a person's own scaling."""
    return f"inputs scaled by the person's own mean and SD, of {len(unlabelled)} windows"


class _Sums:
    """Running NaN-aware sums in float64, shifted by the first chunk's mean so that squares do not cancel."""

    def __init__(self, size: int) -> None:
        self.count = np.zeros(size)
        self.total = np.zeros(size)
        self.square = np.zeros(size)
        self.low = np.full(size, np.inf)
        self.shift: FloatArray | None = None

    def add(self, values: Float32Array) -> None:
        flat = values.reshape(-1, values.shape[-1]).astype(np.float64)
        known = np.isfinite(flat)
        if self.shift is None:
            self.shift = np.where(known, flat, 0.0).sum(0) / np.maximum(known.sum(0), 1)
        moved = np.where(known, flat - self.shift, 0.0)
        self.count += known.sum(0)
        self.total += moved.sum(0)
        self.square += (moved**2).sum(0)
        self.low = np.minimum(self.low, np.where(known, flat, np.inf).min(0))

    def moments(self) -> tuple[FloatArray, FloatArray]:
        """Return mean and SD (size,) each, an SD of 1 where nothing varies: what may be divided by."""
        mean, sd = self.measured()
        return mean, np.where(sd > 0, sd, 1.0)

    def measured(self) -> tuple[FloatArray, FloatArray]:
        """Return mean and SD (size,) each, an SD of 0 where nothing varies or nothing was there."""
        count = np.maximum(self.count, 1.0)
        mean = self.total / count
        sd = np.sqrt(np.maximum(self.square / count - mean**2, 0.0))
        # Relative to the level, so that the rounding noise of a constant channel is not taken for a signal.
        sd[sd <= 1e-6 * (1.0 + np.abs(mean if self.shift is None else mean + self.shift))] = 0.0
        return mean + (0.0 if self.shift is None else self.shift), sd


# --- what every model refuses -----------------------------------------------------------------------------------------


def not_fitted(card: ModelCard) -> KinbenchError:
    """Return the error for using a model before ``fit`` or ``load``."""
    return KinbenchError(f"model '{card.name}' knows nothing yet: call fit or load before predict, adapt or save")


def check_inputs(x: Float32Array, spec: TaskSpec) -> None:
    """Raise ``DataError`` unless ``x`` is (n, time, channel) with the channels the model was fitted on."""
    if x.ndim != 3 or x.shape[2] != len(spec.channel_names):
        raise DataError(
            f"expected inputs (n, time, {len(spec.channel_names)}) for task '{spec.task}', got {x.shape}; "
            "predict on the task the model was fitted on"
        )
