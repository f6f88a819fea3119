"""How inputs and answers are scaled: per axis, as the paper says, or as its code does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kinbench.windows import Batches, TaskSpec, Unlabelled
from kinbench_benchmarks.models._state import CHUNK, Scaling
from kinbench_benchmarks.models.tan2024.layout import Layout

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Compat = Literal["code"] | None


@dataclass(frozen=True)
class InputScaling:
    """Puts a task's inputs into the network's layout and units; ``mean`` and ``sd`` (layout's channels,) float64.

    ``mirror`` fills a leg's absent sensors with the other leg's, mirrored.
    """

    layout: Layout
    mean: FloatArray
    sd: FloatArray
    mirror: bool = False

    @classmethod
    def fit(cls, windows: Unlabelled, layout: Layout, *, compat: Compat, mirror: bool) -> InputScaling:
        """Learn mean and SD of some windows' inputs, per axis; ``code``: one SD of all accelerations and one of all
        angular rates, nothing taken off. What the windows never have keeps mean 0 and SD 1.
        """
        unit = cls(layout, np.zeros(len(layout.names)), np.ones(len(layout.names)), mirror)
        return unit.normalised(windows, compat=compat)

    def __call__(self, x: Float32Array, spec: TaskSpec) -> Float32Array:
        """Return (n, time, layout's channels) scaled, NaN where there is no sample."""
        scaled = (self._placed(x, spec) - self.mean.astype(np.float32)) / self.sd.astype(np.float32)
        return np.where(np.isfinite(scaled), scaled, np.float32(np.nan))

    def back(self, scaled: Float32Array, spec: TaskSpec) -> Float32Array:
        """Return a task's channels (n, time, channel) in SI units of values in the network's layout and units."""
        values = scaled * self.sd.astype(np.float32) + self.mean.astype(np.float32)
        return np.ascontiguousarray(values[..., self.layout.columns(spec)])

    def normalised(self, windows: Unlabelled, *, compat: Compat) -> InputScaling:
        """Return the scaling of these windows' inputs; a channel that they never have, or that stands still, keeps its
        own.
        """
        together = self._kinds() if compat == "code" else np.arange(len(self.layout.names))
        mean, sd, count = self._moments(windows, together)
        mean = self.mean if compat == "code" else np.where(count > 0, mean, self.mean)
        # Relative to the level, so that the rounding noise of a constant channel is not taken for a signal.
        return replace(self, mean=mean, sd=np.where(sd > 1e-6 * (1.0 + np.abs(mean)), sd, self.sd))

    def arrays(self) -> dict[str, FloatArray]:
        """Return the arrays to keep on disk."""
        return {"inputs/mean": self.mean, "inputs/sd": self.sd}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], layout: Layout, *, mirror: bool) -> InputScaling:
        """Return what ``arrays()`` gave."""
        return cls(layout, arrays["inputs/mean"], arrays["inputs/sd"], mirror)

    def _placed(self, x: Float32Array, spec: TaskSpec) -> Float32Array:
        placed = self.layout.place(x, spec)
        return self.layout.mirrored(placed) if self.mirror else placed

    def _kinds(self) -> IntArray:
        """Return a number for each channel that those of one modality share."""
        kinds = [name.split("/")[1].removesuffix("_norm") for name in self.layout.names]
        return np.array([sorted(set(kinds)).index(kind) for kind in kinds], dtype=np.int64)

    def _moments(self, windows: Unlabelled, together: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return mean, SD and number of samples of each channel, over all channels of its number in ``together``."""
        total, square, count = np.zeros((3, together.size))
        for x in windows.iterate(CHUNK):
            values = self._placed(x, windows.spec).astype(np.float64)
            count += np.isfinite(values).sum(axis=(0, 1), dtype=np.float64)
            total += np.nansum(values, axis=(0, 1))
        shared: FloatArray = np.maximum(np.bincount(together, count)[together], 1.0)
        mean = np.bincount(together, total)[together] / shared
        for x in windows.iterate(CHUNK):  # a second pass, so that squares of what is far from 0 do not cancel
            square += np.nansum((self._placed(x, windows.spec).astype(np.float64) - mean) ** 2, axis=(0, 1))
        return mean, np.sqrt(np.bincount(together, square)[together] / shared), count


@dataclass(frozen=True)
class TargetScaling:
    """The affine map between answers and what the network puts out, (dof,) each."""

    zero: FloatArray
    scale: FloatArray

    @classmethod
    def fit(cls, train: Batches, *, compat: Compat) -> TargetScaling:
        """Learn mean and SD of the training answers; ``code`` takes no mean off. Raises ``DataError`` without any."""
        scaling = Scaling.fit(train)
        return cls(np.zeros_like(scaling.y_mean) if compat == "code" else scaling.y_mean, scaling.y_sd)

    def encode(self, y: Float32Array) -> Float32Array:
        """Return (n, time, dof) network values of answers, NaN kept."""
        return ((y - self.zero) / self.scale).astype(np.float32)

    def decode(self, value: Float32Array) -> Float32Array:
        """Return answers of network values."""
        return (value * self.scale + self.zero).astype(np.float32)

    def arrays(self) -> dict[str, FloatArray]:
        """Return the arrays to keep on disk."""
        return {"targets/zero": self.zero, "targets/scale": self.scale}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> TargetScaling:
        """Return what ``arrays()`` gave."""
        return cls(arrays["targets/zero"], arrays["targets/scale"])
