"""The floor under every score: the mean training angle, whatever the sensors say."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kinbench.contracts import ModelCard
from kinbench.windows import Batches, TaskSpec
from kinbench_benchmarks.models._state import (
    CHUNK,
    Float32Array,
    FloatArray,
    Scaling,
    check_inputs,
    not_fitted,
)
from kinbench_benchmarks.weights import read_weights, write_weights


class MeanPose:
    """Predicts each DoF's mean over the training samples; adapting takes the mean of the calibration instead."""

    card = ModelCard(
        name="mean-pose",
        version="2",
        title="Mean pose",
        description="The mean of each training angle, for every sample. A model that does not beat it learnt nothing.",
    )

    def __init__(self) -> None:
        self.notes: tuple[str, ...] = ()
        self._fitted: tuple[TaskSpec, FloatArray] | None = None

    def fit(self, train: Batches, valid: Batches, *, seed: int) -> None:
        """Take the mean of the valid targets of ``train``; ``valid`` and ``seed`` play no part."""
        self._fitted = (train.spec, Scaling.fit(train).y_mean)
        self.notes = ()

    def adapt(self, calibration: Batches, valid: Batches, *, seed: int) -> None:
        """Take the mean of ``calibration``, for the DoFs that it labels."""
        spec, mean = self._state()
        total, count = np.zeros_like(mean), np.zeros_like(mean)
        for _, y, known in calibration.iterate(CHUNK):
            total += np.where(known, y, 0.0).sum((0, 1), dtype=np.float64)
            count += known.sum((0, 1))
        self._fitted = (spec, np.where(count > 0, total / np.maximum(count, 1.0), mean))

    def predict(self, x: Float32Array) -> Float32Array:
        """Return (n, time, dof) degrees, the same everywhere."""
        spec, mean = self._state()
        check_inputs(x, spec)
        return np.tile(mean.astype(np.float32), (x.shape[0], x.shape[1], 1))

    def save(self, folder: Path) -> None:
        """Write the means into an existing folder."""
        spec, mean = self._state()
        write_weights(folder, self.card, spec, {"mean": mean}, notes=self.notes)

    def load(self, folder: Path) -> None:
        """Take up what ``save`` wrote."""
        spec, arrays, meta = read_weights(folder, self.card)
        self._fitted = (spec, arrays["mean"])
        self.notes = tuple(meta["notes"])

    def parameters(self) -> int:
        """Return the number of means."""
        return self._state()[1].size

    def _state(self) -> tuple[TaskSpec, FloatArray]:
        if self._fitted is None:
            raise not_fitted(self.card)
        return self._fitted
