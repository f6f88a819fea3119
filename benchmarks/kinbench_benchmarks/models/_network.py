"""A torch module behind the model contract; what a published system adds is its module and its numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import copy, deepcopy
from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import nn

from kinbench.contracts import ModelCard
from kinbench.errors import DataError
from kinbench.windows import Batches, TaskSpec, Unlabelled
from kinbench_benchmarks.models._fit import Schedule, Targets, fit_network, quiet_torch, run_network
from kinbench_benchmarks.models._state import (
    Float32Array,
    Scaling,
    check_inputs,
    not_fitted,
    own_note,
    read_state,
    write_state,
)


class NetworkModel(ABC):
    """The contract's verbs for a network from (n, time, channel) z-scores to (n, time, dof) scaled angles.

    A subclass gives ``card``, ``build`` and, where the network's output cannot be negative, ``targets``.
    """

    card: ClassVar[ModelCard]

    def __init__(self, fitting: Schedule, adapting: Schedule) -> None:
        self.fitting = fitting
        self.adapting = adapting
        self.notes: tuple[str, ...] = ()
        self._fitted: tuple[TaskSpec, Scaling, nn.Module] | None = None

    @abstractmethod
    def build(self, spec: TaskSpec, scaling: Scaling) -> nn.Module:
        """Return a fresh network with random weights for a task of these sizes and data of this scale."""

    def targets(self, scaling: Scaling) -> Targets:
        """Return how angles are scaled for the network: z-scores by default."""
        return Targets(scaling.y_mean, scaling.y_sd)

    def settings(self) -> dict[str, bool]:
        """Return the settings that change the network's shape, as kept with its weights."""
        return {}

    def fit(self, train: Batches, valid: Batches, *, seed: int) -> None:
        """Train from scratch, stopping early on ``valid``. Raises ``DataError`` when ``train`` teaches nothing."""
        scaling = Scaling.fit(train)
        with quiet_torch(seed):
            network = self.build(train.spec, scaling)
            self.notes = fit_network(
                network, train, valid, scaling=scaling, targets=self.targets(scaling), schedule=self.fitting, seed=seed
            )
        self._fitted = (train.spec, scaling, network)

    def adapt(self, calibration: Batches, valid: Batches, *, seed: int) -> None:
        """Fine-tune every layer on ``calibration``, stopping on ``valid``; the fitted scaling stays."""
        _, scaling, network = self._state()
        if len(calibration) == 0:
            self.notes = (*self.notes, "no calibration window: not adapted")
            return
        with quiet_torch(seed):
            notes = fit_network(
                network, calibration, valid,
                scaling=scaling, targets=self.targets(scaling), schedule=self.adapting, seed=seed, keep_start=True,
            )  # fmt: skip
        self.notes = (*self.notes, *(f"adapting: {note}" for note in notes))

    def normalise(self, unlabelled: Unlabelled, *, seed: int) -> Self:
        """Return this model with the inputs' mean and SD of ``unlabelled``, per channel; ``seed`` plays no part.

        Raises ``DataError`` when the windows are of another task's channels.
        """
        spec, scaling, network = self._state()
        check_inputs(next(unlabelled.iterate(1)), spec)
        model = copy(self)
        model._fitted = (spec, scaling.normalised(unlabelled), deepcopy(network))
        model.notes = (*self.notes, own_note(unlabelled))
        return model

    def predict(self, x: Float32Array) -> Float32Array:
        """Return (n, time, dof) degrees."""
        spec, scaling, network = self._state()
        check_inputs(x, spec)
        return run_network(network, x, scaling=scaling, targets=self.targets(scaling))

    def save(self, folder: Path) -> None:
        """Write weights and scaling into an existing folder, without pickle."""
        spec, scaling, network = self._state()
        weights = {f"network/{name}": value.numpy() for name, value in network.state_dict().items()}
        write_state(
            folder, self.card, spec, {**weights, **scaling.arrays()}, settings=self.settings(), notes=self.notes
        )

    def load(self, folder: Path) -> None:
        """Take up what ``save`` wrote. Raises ``DataError`` when it is of a network of another shape."""
        spec, arrays, meta = read_state(folder, self.card)
        if meta["settings"] != self.settings():
            raise DataError(
                f"weights of settings {meta['settings']}, expected {self.settings()}; load with the same settings",
                where=folder,
            )
        weights = {
            name.removeprefix("network/"): torch.from_numpy(value)
            for name, value in arrays.items()
            if name.startswith("network/")
        }
        scaling = Scaling.from_arrays(arrays)
        with quiet_torch(0):
            network = self.build(spec, scaling)
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise DataError(f"weights do not fit the network: {error}; fit the model again", where=folder) from error
        network.eval()
        self._fitted = (spec, scaling, network)
        self.notes = tuple(meta["notes"])

    def parameters(self) -> int:
        """Return the number of trainable weights."""
        return count_parameters(self._state()[2])

    def _state(self) -> tuple[TaskSpec, Scaling, nn.Module]:
        if self._fitted is None:
            raise not_fitted(self.card)
        return self._fitted


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable weights of a network."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
