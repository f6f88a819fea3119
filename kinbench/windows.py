"""Spans of time to batches: resampling and slicing, the only lossy step (protocols 1, Resampling, Gaps)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True)
class TaskSpec:
    """What a model may know of the task: names and sizes, no data."""

    task: str
    version: int
    channel_names: tuple[str, ...]
    dof_names: tuple[str, ...]
    segments: tuple[str, ...]
    rate_hz: float
    window: int


@dataclass(frozen=True)
class Batches:
    """Labelled windows, cut lazily from flat signals: what a model is fitted on.

    ``signals`` (rows, channel) float32 in SI units, ``targets`` (rows, dof) float32 in degrees and ``labelled``
    (rows, dof) bool are flat arrays of whole recordings; window i is rows ``starts[i] : starts[i] + spec.window``.
    ``person`` (n,) are opaque numbers; ``present`` (n, segment) tells which sensors exist (a missing one is NaN in
    ``x``). ``y`` holds NaN wherever ``valid`` is False.
    """

    signals: Float32Array
    targets: Float32Array
    labelled: BoolArray
    starts: IntArray
    person: IntArray
    present: BoolArray
    spec: TaskSpec

    def __len__(self) -> int:
        return int(self.starts.size)

    @property
    def x(self) -> Float32Array:
        """All inputs, (n, time, channel) float32. Copies; prefer ``take`` or ``iterate`` for large sets."""
        return self._gather(self.signals, self.starts)

    @property
    def y(self) -> Float32Array:
        """All targets, (n, time, dof) float32 in degrees."""
        return self._gather(self.targets, self.starts)

    @property
    def valid(self) -> BoolArray:
        """Which targets may be learnt from, (n, time, dof) bool."""
        return self._gather(self.labelled, self.starts)

    def take(self, index: IntArray) -> tuple[Float32Array, Float32Array, BoolArray]:
        """Return (x, y, valid) of the windows at ``index``, one gather per array."""
        starts = self.starts[index]
        return (
            self._gather(self.signals, starts),
            self._gather(self.targets, starts),
            self._gather(self.labelled, starts),
        )

    def iterate(
        self, size: int, generator: np.random.Generator | None = None
    ) -> Iterator[tuple[Float32Array, Float32Array, BoolArray]]:
        """Yield (x, y, valid) in batches of ``size``, shuffled by ``generator`` where one is given."""
        order = np.arange(len(self)) if generator is None else generator.permutation(len(self))
        for begin in range(0, len(self), size):
            yield self.take(order[begin : begin + size])

    def _gather(self, flat: NDArray[_T], starts: IntArray) -> NDArray[_T]:
        # The strided view indexed once per batch copies at about half of memcpy's speed; taking rows by
        # a (n, window) index array is half as fast again, and np.take would first copy the whole view.
        window = self.spec.window
        if flat.shape[0] < window:
            return np.empty((0, window, flat.shape[1]), dtype=flat.dtype)
        view = sliding_window_view(flat, window, axis=0)
        return np.ascontiguousarray(view[starts].transpose(0, 2, 1))
