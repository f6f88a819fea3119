"""What a step learns from: windows in the network's layout and units, with a fresh mask or with their answers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench.windows import Batches, Unlabelled
from kinbench_benchmarks.models.tan2024.masking import Masking
from kinbench_benchmarks.models.tan2024.network import patches_of
from kinbench_benchmarks.models.tan2024.scaling import InputScaling, TargetScaling
from kinbench_benchmarks.training import Shuffled

Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


class Scaled:
    """Unlabelled windows by number, as the network takes them: NaN where a sensor is absent."""

    def __init__(self, windows: Unlabelled, scaling: InputScaling) -> None:
        self._windows, self._scaling = windows, scaling

    def __len__(self) -> int:
        return len(self._windows)

    def take(self, index: IntArray, /) -> Float32Array:
        """Return (n, time, channel) of some windows."""
        return self._scaling(self._windows.take(index), self._windows.spec)


class Answered:
    """Labelled windows by number: inputs and answers as the network has them, and where the answers hold."""

    def __init__(self, batches: Batches, inputs: InputScaling, targets: TargetScaling) -> None:
        self._batches, self._inputs, self._targets = batches, inputs, targets

    def __len__(self) -> int:
        return len(self._batches)

    def take(self, index: IntArray, /) -> tuple[Float32Array, Float32Array, BoolArray]:
        """Return (x (n, time, channel), y (n, time, dof), valid (n, time, dof)) of some windows."""
        x, y, valid = self._batches.take(index)
        return self._inputs(x, self._batches.spec), self._targets.encode(y), valid


class Masked:
    """Draws windows, as often as they weigh, and a fresh mask for each: (n, time, channel) and hidden (n, patches).

    Windows come from ``Shuffled``, masks from a generator of their own; ``state`` holds both.
    """

    def __init__(
        self, windows: Unlabelled, scaling: InputScaling, masking: Masking, *, batch: int, seed: int
    ) -> None:  # fmt: skip
        source: Scaled = Scaled(windows, scaling)
        self._windows: Shuffled[Float32Array] = Shuffled(source, batch, seed, weight=windows.weight)
        self._masking = masking
        self._patches = patches_of(windows.spec.window, masking.patch)
        self._generator = np.random.default_rng([seed, 1])

    def draw(self) -> tuple[Float32Array, BoolArray]:
        """Return the next windows and which of their patches are hidden."""
        x = self._windows.draw()
        return x, self._masking.draw(len(x), self._patches, self._generator)

    def state(self) -> dict[str, Any]:
        """Return where the sampler is."""
        return {"windows": self._windows.state(), "masks": self._generator.bit_generator.state}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        self._windows.restore(state["windows"])
        self._generator.bit_generator.state = state["masks"]

    def fingerprint(self) -> str:
        """Return what tells these windows and masks from others."""
        return f"masked {self._masking} {self._windows.fingerprint()}"
