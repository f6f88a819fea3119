"""A torch module behind the model contract; what a published system adds is its module and its numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

from torch import nn

from kinbench.contracts import ModelCard, Training
from kinbench.errors import DataError, UsageError
from kinbench.windows import Batches, TaskSpec, Unlabelled
from kinbench_benchmarks.models._recipes import Recipe, Schedule, learn
from kinbench_benchmarks.models._state import Float32Array, Scaling, check_inputs, not_fitted, own_note
from kinbench_benchmarks.models._windows import ScaledWindows, Targets, run_network
from kinbench_benchmarks.training import check_device, load_into, quiet_torch
from kinbench_benchmarks.weights import NETWORK, read_weights, write_weights

TUNES = ("none", "head", "all")


@dataclass(frozen=True)
class Fitted:
    """A network that knows something: what task it is for, and how its inputs and angles are scaled."""

    spec: TaskSpec
    scaling: Scaling
    targets: Targets
    network: nn.Module

    def windows(self, batches: Batches) -> ScaledWindows:
        """Return labelled windows as the network sees them."""
        return ScaledWindows(batches, self.scaling, self.targets)


class NetworkModel(ABC):
    """The contract's verbs for a network from (n, time, channel) z-scores to (n, time, dof) scaled angles.

    A subclass gives ``card``, ``build``, ``head`` and, where angles are not z-scored, ``targets``. ``tune`` says what
    ``fit`` learns where the model began from weights: ``none`` of it, the ``head`` or ``all``.
    """

    card: ClassVar[ModelCard]
    head: tuple[str, ...] = ()
    """What the names of the output layer's weights begin with."""

    def __init__(self, recipe: Recipe, tune: str | None = None) -> None:
        if tune not in (None, *TUNES):
            raise UsageError(f"tune is one of {', '.join(TUNES)}, got '{tune}'.")
        self.recipe = recipe
        self.tune = tune or "none"
        self.training = Training()
        self.notes: tuple[str, ...] = ()
        self._fitted: Fitted | None = None
        self._begun = ""
        self._start: Fitted | None = None
        self._said: tuple[str, ...] = ()

    @abstractmethod
    def build(self, spec: TaskSpec, scaling: Scaling) -> nn.Module:
        """Return a fresh network with random weights for a task of these sizes and data of this scale."""

    def targets(self, scaling: Scaling) -> Targets:
        """Return how angles are scaled for the network: z-scores, or degrees where the recipe says so."""
        if self.recipe.degrees:
            return Targets.degrees(scaling.y_mean.size)
        return Targets(scaling.y_mean, scaling.y_sd)

    def settings(self) -> dict[str, bool]:
        """Return the settings that change the network's shape, as kept with its weights."""
        return {}

    def prepare(self, training: Training) -> None:
        """Take up where to compute and where to keep progress; raises ``UsageError`` where that device is not."""
        check_device(training.device)
        self.training = training

    def begin(self, folder: Path) -> None:
        """Take up weights that ``save`` wrote; ``fit`` then learns what ``tune`` says.

        Raises ``DataError`` as ``load`` does.
        """
        self.load(folder)
        self._begun, self._start, self._said = name_of(folder), self._fitted, self.notes

    def fit(self, train: Batches, valid: Batches, *, seed: int) -> None:
        """Train by the recipe, from scratch unless the model began from weights.

        Raises ``DataError`` when ``train`` teaches nothing, or is of other channels or DoFs than the weights.
        """
        if self._begun:
            self._tune(train, valid, seed)
            return
        scaling = Scaling.fit(train)
        with quiet_torch(seed):
            network = self.build(train.spec, scaling)
        fitted = Fitted(train.spec, scaling, self.targets(scaling), network)
        notes = self._learn(fitted, train, valid, self.recipe.fitting, "fit", seed=seed)
        self._fitted, self.notes = fitted, (self.recipe.told(), *notes)

    def adapt(self, calibration: Batches, valid: Batches, *, seed: int) -> None:
        """Fine-tune every layer on ``calibration``, stopping on ``valid``; the fitted scaling stays."""
        fitted = self._state()
        if len(calibration) == 0:
            self.notes = (*self.notes, "no calibration window: not adapted")
            return
        notes = self._learn(fitted, calibration, valid, self.recipe.adapting, "adapt", seed=seed, keep_start=True)
        self.notes = (*self.notes, *(f"adapting: {note}" for note in notes))

    def normalise(self, unlabelled: Unlabelled, *, seed: int) -> Self:
        """Return this model with the inputs' mean and SD of ``unlabelled``, per channel; ``seed`` plays no part.

        Raises ``DataError`` when the windows are of another task's channels.
        """
        fitted = self._state()
        check_inputs(next(unlabelled.iterate(1)), fitted.spec)
        model = copy(self)
        scaling = fitted.scaling.normalised(unlabelled)
        model._fitted = replace(fitted, scaling=scaling, network=deepcopy(fitted.network))
        model.notes = (*self.notes, own_note(unlabelled))
        return model

    def predict(self, x: Float32Array) -> Float32Array:
        """Return (n, time, dof) degrees."""
        fitted = self._state()
        check_inputs(x, fitted.spec)
        return run_network(fitted.network, x, scaling=fitted.scaling, targets=fitted.targets)

    def save(self, folder: Path) -> None:
        """Write weights and scaling into an existing folder, without pickle."""
        fitted = self._state()
        weights = {f"{NETWORK}{name}": value for name, value in fitted.network.state_dict().items()}
        write_weights(
            folder, self.card, fitted.spec, {**weights, **fitted.scaling.arrays(), **fitted.targets.arrays()},
            settings=self.settings(), notes=self.notes,
        )  # fmt: skip

    def load(self, folder: Path) -> None:
        """Take up what ``save`` wrote. Raises ``DataError`` when it is of a network of another shape."""
        spec, arrays, meta = read_weights(folder, self.card)
        if meta["settings"] != self.settings():
            raise DataError(
                f"weights of settings {meta['settings']}, expected {self.settings()}; load with the same settings",
                where=folder,
            )
        scaling = Scaling.from_arrays(arrays)
        with quiet_torch(0):
            network = self.build(spec, scaling)
        load_into(
            network,
            {name.removeprefix(NETWORK): value for name, value in arrays.items() if name.startswith(NETWORK)},
            where=folder,
        )
        self._fitted = Fitted(spec, scaling, Targets.from_arrays(arrays), network)
        self.notes = tuple(meta["notes"])

    def parameters(self) -> int:
        """Return the number of trainable weights."""
        return count_parameters(self._state().network)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _tune(self, train: Batches, valid: Batches, seed: int) -> None:
        """Learn on from the weights the model began from, as ``tune`` says; their scaling stays, and so do they."""
        if self._start is not None:
            self._fitted = replace(self._start, network=deepcopy(self._start.network))
        self.notes = self._said
        fitted = self._state()
        _check_same(fitted.spec, train.spec)
        said = f"weights of '{self._begun}'"
        if self.tune == "none":
            self.notes = (*self.notes, f"{said} taken as they are: nothing was fitted")
            return
        if len(train) == 0:
            raise DataError(f"no training window for task '{train.spec.task}'; give it more or longer recordings")
        only = self.head if self.tune == "head" else None
        notes = self._learn(fitted, train, valid, self.recipe.fitting, "tune", seed=seed, only=only, keep_start=True)
        what = "their head alone" if only else "all of them"
        self.notes = (self.recipe.told(), f"{said}: {what} fitted on", *notes)

    def _learn(
        self, fitted: Fitted, train: Batches, valid: Batches, schedule: Schedule, what: str, *, seed: int,
        only: tuple[str, ...] | None = None, keep_start: bool = False,
    ) -> tuple[str, ...]:  # fmt: skip
        return learn(
            fitted.network, fitted.windows(train), fitted.windows(valid), schedule, seed=seed, training=self.training,
            name=f"{self.card.name}-{self.card.version}-{what}", only=only, keep_start=keep_start,
        )  # fmt: skip

    def _state(self) -> Fitted:
        if self._fitted is None:
            raise not_fitted(self.card)
        return self._fitted


def name_of(folder: Path) -> str:
    """Return what weights are called: their folder's name, or that of the folder which holds them and their card."""
    return folder.parent.name if (folder.parent / "card.json").is_file() else folder.name


def _check_same(weights: TaskSpec, given: TaskSpec) -> None:
    """Raise ``DataError`` unless windows have the channels, DoFs, rate and length that weights were learnt on."""
    wrong = [
        f"{words} are {getattr(weights, field)} there and {getattr(given, field)} here"
        for field, words in (
            ("channel_names", "channels"), ("dof_names", "DoFs"), ("rate_hz", "rates in Hz"), ("window", "windows"),
        )
        if getattr(weights, field) != getattr(given, field)
    ]  # fmt: skip
    if wrong:
        raise DataError(f"weights of task '{weights.task}' do not fit task '{given.task}': {'; '.join(wrong)}")


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable weights of a network."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
