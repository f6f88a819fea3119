"""Labelled windows as a network sees them: z-scores in, scaled angles out, and the errors that are validated on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from kinbench.windows import Batches
from kinbench_benchmarks.models._state import Float32Array, FloatArray, Scaling
from kinbench_benchmarks.training import device_of, masked_mse, on_device, quiet_torch
from kinbench_benchmarks.training.fingerprints import digest

Drawn = tuple[Float32Array, Float32Array, NDArray[np.bool_]]
PART = 2048
"""Windows of a full batch that go through a network at a time, so that memory does not grow with the set."""
_PREDICT_BATCH = 128


@dataclass(frozen=True)
class Targets:
    """The affine map between degrees and what the network puts out: degrees = value * scale + zero, per DoF."""

    zero: FloatArray
    scale: FloatArray

    @classmethod
    def degrees(cls, dofs: int) -> Targets:
        """Return the map of a network that puts out degrees itself."""
        return cls(np.zeros(dofs), np.ones(dofs))

    def arrays(self) -> dict[str, FloatArray]:
        """Return the arrays to keep on disk, prefixed ``targets/``."""
        return {"targets/zero": self.zero, "targets/scale": self.scale}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Targets:
        """Return what ``arrays()`` gave."""
        return cls(arrays["targets/zero"], arrays["targets/scale"])

    def encode(self, y: Float32Array) -> Float32Array:
        """Return (n, time, dof) network values for degrees."""
        return ((y - self.zero) / self.scale).astype(np.float32)

    def decode(self, value: Float32Array) -> Float32Array:
        """Return degrees for network values."""
        return (value * self.scale + self.zero).astype(np.float32)


@dataclass(frozen=True)
class ScaledWindows:
    """Labelled windows behind a scaling: what samplers draw from."""

    batches: Batches
    scaling: Scaling
    targets: Targets

    def __len__(self) -> int:
        return len(self.batches)

    def take(self, index: NDArray[np.int64], /) -> Drawn:
        """Return (z-scores (n, time, channel), wanted values (n, time, dof), which are known) of these windows."""
        x, y, known = self.batches.take(index)
        return self.scaling.inputs(x), np.where(known, self.targets.encode(y), np.float32(0.0)), known

    def fingerprint(self) -> str:
        """Return what tells these windows from others."""
        return digest(self.batches, self.scaling, self.targets)


def squared_error(network: nn.Module, drawn: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Return the mean squared error over known values: the loss of a batch of any size."""
    x, wanted, known = drawn
    return masked_mse(_in_parts(network, x), wanted, known)


def mean_square(network: nn.Module, windows: ScaledWindows) -> float:
    """Return the mean squared error over the known values of all windows."""
    total, count = _squares(network, windows)
    return float(total.sum() / max(count.sum(), 1.0))


def summed_rmse(network: nn.Module, windows: ScaledWindows) -> float:
    """Return the sum over DoFs of the RMSE pooled over all windows (Hur et al. 2025, code)."""
    total, count = _squares(network, windows)
    return float(np.sqrt(total / np.maximum(count, 1.0)).sum())


def run_network(network: nn.Module, x: Float32Array, *, scaling: Scaling, targets: Targets) -> Float32Array:
    """Return (n, time, dof) degrees of a trained network."""
    network.eval()
    done = [np.empty((0, x.shape[1], targets.zero.size), dtype=np.float32)]
    with quiet_torch(), torch.inference_mode():
        for begin in range(0, len(x), _PREDICT_BATCH):
            z = torch.from_numpy(scaling.inputs(x[begin : begin + _PREDICT_BATCH]))
            done.append(targets.decode(network(z).numpy()))
    return np.concatenate(done)


def _in_parts(network: nn.Module, x: Tensor) -> Tensor:
    """Return what a network makes of many windows; parts beyond the first are computed again for their gradients."""
    if len(x) <= PART:
        answer: Tensor = network(x)
        return answer
    parts = [checkpoint(network, part, use_reentrant=False) for part in torch.split(x, PART)]
    return torch.cat(parts)


def _squares(network: nn.Module, windows: ScaledWindows) -> tuple[FloatArray, FloatArray]:
    """Return the squared errors summed over windows and time, and how many they are, (dof,) each."""
    total, count = np.zeros(windows.targets.zero.size), np.zeros(windows.targets.zero.size)
    device = device_of(network)
    for begin in range(0, len(windows), _PREDICT_BATCH):
        drawn = windows.take(np.arange(begin, min(begin + _PREDICT_BATCH, len(windows))))
        x, wanted, known = on_device(drawn, device)
        error = torch.where(known, network(x) - wanted, 0.0)
        total += (error**2).sum((0, 1), dtype=torch.float64).cpu().numpy()
        count += drawn[2].sum((0, 1))
    return total, count
