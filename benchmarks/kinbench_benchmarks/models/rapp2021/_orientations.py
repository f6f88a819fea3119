"""Where two segments stand, sample by sample: the part of Rapp et al. (2021) that tells a first orientation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kinbench.contracts import Training
from kinbench.kinematics import matrices
from kinbench.windows import Batches, TaskSpec
from kinbench_benchmarks.models._state import Float32Array, Scaling
from kinbench_benchmarks.models.rapp2021._networks import OrientationNetwork
from kinbench_benchmarks.models.rapp2021._recipes import Recipe
from kinbench_benchmarks.training import quiet_torch, train
from kinbench_benchmarks.training.fingerprints import digest

FloatArray = NDArray[np.float64]
_PREDICT_BATCH = 128


class OrientedWindows:
    """Windows with what their segments' orientations are, where they are known."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def take(self, index: NDArray[np.int64], /) -> tuple[Float32Array, Float32Array, NDArray[np.bool_]]:
        """Return (inputs (n, time, channel), matrices (n, time, segment, 3, 3), known (n, time, segment))."""
        found = matrices(self._batches.oriented(index))
        known = np.asarray(np.isfinite(found).all(axis=(-1, -2)))
        return self._batches.take(index)[0], np.nan_to_num(found).astype(np.float32), known

    def fingerprint(self) -> str:
        """Return what tells these windows from others."""
        return digest(self._batches)


def entry_error(network: nn.Module, drawn: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Return the mean squared error of the matrices' entries, over known orientations."""
    x, wanted, known = drawn
    error = torch.where(known[..., None, None], network(x) - wanted, 0.0)
    return (error**2).sum() / (9 * known.sum()).clamp(min=1)


def build(spec: TaskSpec, shape: Recipe) -> OrientationNetwork:
    """Return a fresh network for a task's channels and segments."""
    return OrientationNetwork(len(spec.channel_names), len(spec.segments), shape.layers, shape.width)


def fit(
    batches: Batches, scaling: Scaling, recipe: Recipe, *, compat: str | None, seed: int, training: Training, name: str
) -> OrientationNetwork:
    """Return a network that learnt the orientations of some windows, its inputs scaled so."""
    with quiet_torch(seed):
        network = build(batches.spec, recipe)
    stages = recipe.fitting.stages(OrientedWindows(batches), batches, scaling, seed, compat=compat)
    train(network, stages, entry_error, seed=seed, training=training, name=name)
    return network


def first_orientations(network: OrientationNetwork, x: Float32Array, scaling: Scaling) -> FloatArray:
    """Return the matrices (n, segment, 3, 3) of the first sample of windows (n, time, channel) in SI units."""
    network.eval()
    done = [np.empty((0, network.segments, 3, 3))]
    with quiet_torch(), torch.inference_mode():
        for begin in range(0, len(x), _PREDICT_BATCH):
            z: Any = torch.from_numpy(scaling.inputs(x[begin : begin + _PREDICT_BATCH]))
            done.append(network(z)[:, 0].numpy().astype(np.float64))
    return np.concatenate(done)
