"""The one fit loop of all torch models: seeded, single-threaded, masked, stopped early on validation.

The same data, settings and seed give the same bytes on the same machine: one thread, a private random state for
initial weights and dropout, a numpy generator for the order of windows, and no clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kinbench.errors import KinbenchError, UsageError
from kinbench.windows import Batches
from kinbench_benchmarks.models._state import FEW_WINDOWS, Float32Array, FloatArray, Scaling

_PREDICT_BATCH = 128


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn.

    ``epochs`` is the most there can be; ``fixed_epochs`` is taken where validation is too small to stop on.
    ``epoch_windows`` bounds the windows drawn in an epoch (0: all), so that an epoch of a large set is not longer
    than one of a small set. ``patience`` is how many epochs without a better validation error are borne.
    """

    epochs: int
    fixed_epochs: int
    lr: float
    batch: int
    patience: int
    epoch_windows: int = 0

    def __post_init__(self) -> None:
        counts = (self.epochs, self.fixed_epochs, self.batch, self.patience)
        if min(counts) < 1 or self.epoch_windows < 0 or not self.lr > 0:
            raise UsageError(f"epochs, batch, patience and lr must be positive, got {self}")


@dataclass(frozen=True)
class Targets:
    """The affine map between degrees and what the network puts out: degrees = value * scale + zero, per DoF."""

    zero: FloatArray
    scale: FloatArray

    def encode(self, y: Float32Array) -> Float32Array:
        """Return (n, time, dof) network values for degrees."""
        return ((y - self.zero) / self.scale).astype(np.float32)

    def decode(self, value: Float32Array) -> Float32Array:
        """Return degrees for network values."""
        return (value * self.scale + self.zero).astype(np.float32)


@contextmanager
def quiet_torch(seed: int | None = None) -> Iterator[None]:
    """Run with one thread and, where a seed is given, a random state of its own; leave both as they were."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[], enabled=seed is not None):
            if seed is not None:
                torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


def fit_network(
    network: nn.Module,
    train: Batches,
    valid: Batches,
    *,
    scaling: Scaling,
    targets: Targets,
    schedule: Schedule,
    seed: int,
    keep_start: bool = False,
) -> tuple[str, ...]:
    """Train ``network`` (n, time, channel) -> (n, time, dof) in place and return notes for the result.

    Loss: mean squared error over valid samples, every DoF in units of its training SD. Adam; windows shuffled anew
    each epoch. The weights of the best epoch on ``valid`` are kept; with ``keep_start`` those from before count as
    an epoch too, so that adapting cannot end worse on validation than it began. With fewer than 8 validation windows
    the number of epochs is fixed and the note says so. Call inside ``quiet_torch(seed)``.
    """
    few = len(valid) < FEW_WINDOWS
    optimiser = torch.optim.Adam(network.parameters(), lr=schedule.lr)
    generator = np.random.default_rng(seed)
    best = _Best(network, _validate(network, valid, scaling, targets) if keep_start and not few else np.inf)
    for epoch in range(1, (schedule.fixed_epochs if few else schedule.epochs) + 1):
        network.train()
        for index in _epoch(len(train), schedule, generator):
            x, y, mask = train.take(index)
            optimiser.zero_grad()
            loss = _loss(network, x, y, mask, scaling, targets)
            torch.autograd.backward(loss)
            optimiser.step()
        if few:
            continue
        best.offer(network, _validate(network, valid, scaling, targets), epoch)
        if epoch - best.epoch >= schedule.patience:
            break
    network.eval()
    if few:
        notes: tuple[str, ...] = (
            f"{len(valid)} validation windows: {schedule.fixed_epochs} epochs, not stopped early",
        )
    else:
        network.load_state_dict(best.weights)
        notes = (f"epoch {best.epoch} of {epoch} kept",)
    if not all(torch.isfinite(weight).all() for weight in network.state_dict().values()):
        raise KinbenchError(f"training diverged to non-finite weights; lower lr (now {schedule.lr:g})")
    return notes


def run_network(network: nn.Module, x: Float32Array, *, scaling: Scaling, targets: Targets) -> Float32Array:
    """Return (n, time, dof) degrees of a trained network."""
    network.eval()
    done = [np.empty((0, x.shape[1], targets.zero.size), dtype=np.float32)]
    with quiet_torch(), torch.inference_mode():
        for begin in range(0, len(x), _PREDICT_BATCH):
            z = torch.from_numpy(scaling.inputs(x[begin : begin + _PREDICT_BATCH]))
            done.append(targets.decode(network(z).numpy()))
    return np.concatenate(done)


class _Best:
    """The best weights so far, by validation error."""

    def __init__(self, network: nn.Module, error: float) -> None:
        self.error = error
        self.epoch = 0
        self.weights = deepcopy(network.state_dict())

    def offer(self, network: nn.Module, error: float, epoch: int) -> None:
        if error < self.error:
            self.error, self.epoch, self.weights = error, epoch, deepcopy(network.state_dict())


def _epoch(windows: int, schedule: Schedule, generator: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    order = generator.permutation(windows)[: schedule.epoch_windows or windows]
    for begin in range(0, len(order), schedule.batch):
        yield order[begin : begin + schedule.batch]


def _loss(
    network: nn.Module, x: Float32Array, y: Float32Array, mask: NDArray[np.bool_], scaling: Scaling, targets: Targets
) -> Tensor:
    known = torch.from_numpy(mask)
    wanted = torch.from_numpy(np.where(mask, targets.encode(y), np.float32(0.0)))
    error = torch.where(known, network(torch.from_numpy(scaling.inputs(x))) - wanted, 0.0)
    return (error**2).sum() / known.sum().clamp(min=1)


def _validate(network: nn.Module, valid: Batches, scaling: Scaling, targets: Targets) -> float:
    network.eval()
    total, count = 0.0, 0
    with torch.inference_mode():
        for x, y, mask in valid.iterate(_PREDICT_BATCH):
            total += float(_loss(network, x, y, mask, scaling, targets)) * int(mask.sum())
            count += int(mask.sum())
    return total / max(count, 1)
