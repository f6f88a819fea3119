"""What every baseline shares that is a filter: the angles it can be asked for, and a level that people may lend it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from kinbench.contracts import ModelCard
from kinbench.errors import KinbenchError, NotApplicable, UsageError
from kinbench.schema import DOFS
from kinbench.windows import Batches, Stream, TaskSpec
from kinbench_benchmarks.models._state import CHUNK, not_fitted
from kinbench_benchmarks.weights import read_weights, write_weights

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]

MOVING_RAD_S, MOVING_S = 0.5, 0.5
"""Where the mean rate of the sensors, smoothed, is above this, the person moves: as tasks have it."""


class Filter:
    """A model that learns nothing, or no more than each angle's level.

    With ``offset`` the mean of each angle over a recording, while the person moves, is set to the mean of the people
    trained on (adapted to: of the person's calibration); without, ``fit`` and ``adapt`` leave everything as it is.
    """

    card: ModelCard

    def __init__(self, offset: bool) -> None:
        if not isinstance(offset, bool):
            raise UsageError(f"{self.card.name} offset: expected true or false, got {offset!r}")
        self.offset = offset
        self.notes: tuple[str, ...] = ()
        self._spec: TaskSpec | None = None
        self._level: FloatArray | None = None

    def fit(self, train: Batches, valid: Batches, *, seed: int) -> None:
        """Take up the task and, with ``offset``, the mean of the training angles; ``valid`` and ``seed`` play no part.

        Raises ``NotApplicable`` for a task of anything but joint angles.
        """
        others = [name for name in train.spec.dof_names if name not in DOFS and f"{name}_r" not in DOFS]
        if others:
            raise NotApplicable(f"{self.card.name} estimates joint angles, and the task asks for {', '.join(others)}")
        self._spec, self.notes = train.spec, ()
        self._level = _mean_angle(train, None) if self.offset else None

    def adapt(self, calibration: Batches, valid: Batches, *, seed: int) -> None:
        """Take the level of the person's own ``calibration``, with ``offset``; without there is nothing to adapt."""
        if self.offset:
            self._level = _mean_angle(calibration, self._level)
        else:
            self.notes = (*self.notes, "a filter without offset: there is nothing to adapt")

    def predict(self, x: Float32Array) -> Float32Array:
        """Raise ``KinbenchError``: a window is too short for a filter. ``estimate`` takes whole recordings."""
        raise KinbenchError(f"model '{self.card.name}' goes through whole recordings, not windows: call estimate")

    def save(self, folder: Path) -> None:
        """Write what it knows into an existing folder."""
        level = {} if self._level is None else {"level": self._level}
        write_weights(folder, self.card, self._known(), level, offset=self.offset, notes=self.notes)

    def load(self, folder: Path) -> None:
        """Take up what ``save`` wrote."""
        self._spec, arrays, meta = read_weights(folder, self.card)
        self._level, self.offset, self.notes = arrays.get("level"), bool(meta["offset"]), tuple(meta["notes"])

    def parameters(self) -> int:
        """Return the number of levels."""
        self._known()
        return 0 if self._level is None else self._level.size

    def _known(self) -> TaskSpec:
        if self._spec is None:
            raise not_fitted(self.card)
        return self._spec

    def _levelled(self, stream: Stream, angles: FloatArray) -> Float32Array:
        """Return angles (samples, dof) at the level that was learnt, or as they are."""
        if self._level is not None:
            counts = np.isfinite(angles) & moving(stream)[:, None]
            counts = np.where(counts.any(axis=0), counts, np.isfinite(angles))
            mean = np.where(counts, angles, 0.0).sum(axis=0) / np.maximum(counts.sum(axis=0), 1)
            angles = angles - mean + self._level
        return angles.astype(np.float32)

    def _note(self, *texts: str) -> None:
        """Add what a recording made it say, each text once."""
        self.notes = tuple(dict.fromkeys((*self.notes, *texts)))


def moving(stream: Stream) -> NDArray[np.bool_]:
    """Return where on the grid (samples,) the sensors turn; everywhere where no gyro tells."""
    if "gyr" not in stream.imu:
        return np.ones(stream.time_s.size, dtype=bool)
    rate = np.linalg.norm(np.asarray(stream.imu["gyr"].values, dtype=np.float64), axis=2)
    known = np.isfinite(rate)
    level = np.where(known, rate, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    on_grid = np.interp(stream.time_s, np.asarray(stream.imu["time"].values, dtype=np.float64), level)
    length = max(1, round(MOVING_S * stream.spec.rate_hz))
    return np.asarray(uniform_filter1d(on_grid, length, mode="nearest") > MOVING_RAD_S)


def _mean_angle(batches: Batches, otherwise: Any) -> FloatArray | None:
    """Return the mean of each labelled angle (dof,); those that no window labels as they were."""
    total, count = np.zeros(len(batches.spec.dof_names)), np.zeros(len(batches.spec.dof_names))
    for _, y, valid in batches.iterate(CHUNK):
        total += np.where(valid, y, 0.0).sum((0, 1), dtype=np.float64)
        count += valid.sum((0, 1))
    known = np.zeros_like(total) if otherwise is None else np.asarray(otherwise, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1.0), known)
