"""Networks that others published weights of: begun from such a folder, they take its sizes and its layout."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from kinbench.errors import UsageError
from kinbench.windows import Batches, TaskSpec
from kinbench_benchmarks.models import published
from kinbench_benchmarks.models._network import Fitted
from kinbench_benchmarks.models._state import Scaling
from kinbench_benchmarks.models.rapp2021._augmentation import COMPAT_CODE
from kinbench_benchmarks.models.rapp2021._model import CroppedModel
from kinbench_benchmarks.models.rapp2021._recipes import Recipe
from kinbench_benchmarks.training import load_into, quiet_torch

BEHIND = "network."
"""What the names of a published network's weights begin with, behind a task's own layout."""
_SIZES = (16, 3)
"""Inputs and outputs of every published network."""


class PublishedModel(CroppedModel):
    """A model that ``begin`` takes a folder of ours for, or one that Brough et al. (2025) published.

    ``compat`` must then say how windows reach the network (``published.LAYOUTS``), and ``tune`` what is fitted on. A
    subclass gives ``network``, ``shape_of`` and ``said``: what a result says of weights in each layout.
    """

    compats: ClassVar[tuple[str, ...]] = (COMPAT_CODE, *published.LAYOUTS)
    said: ClassVar[Mapping[str, str]]
    untold: ClassVar[Mapping[str, Any]] = {}
    """What the recipe of published weights is beside their sizes, which do not tell it."""

    def __init__(self, recipe: Recipe, compat: str | None, tune: str | None) -> None:
        super().__init__(recipe, compat, tune)
        self._published: published.Published | None = None
        self._relaid = False

    @abstractmethod
    def network(self, inputs: int, outputs: int) -> nn.Module:
        """Return a fresh network from so many inputs to so many outputs."""

    def build(self, spec: TaskSpec, scaling: Scaling) -> nn.Module:
        """Return the network for the task's channels and DoFs, or a published one behind them."""
        if self._relaid:
            return published.Relaid(self.network(*_SIZES), spec, self._layout)
        return self.network(len(spec.channel_names), len(spec.dof_names))

    def settings(self) -> dict[str, bool]:
        """Return what weights mean beside their sizes: whether they are a publication's, and in which layout."""
        relaid = {layout: self._relaid and self._layout == layout for layout in published.LAYOUTS}
        return {**super().settings(), **relaid}

    def begin(self, folder: Path) -> None:
        """Take up weights that ``save`` wrote, or that were published; raises ``DataError`` for any other folder."""
        if not published.is_published(folder):
            super().begin(folder)
            return
        found = published.read(folder)
        sizes = {name: tuple(value.shape) for name, value in found.weights.items()}
        self.shape = replace(self.shape, **self.untold, **self.shape_of(sizes))
        self._published, self._relaid, self._begun = found, True, "/".join(folder.parts[-2:])

    def fit(self, train: Batches, valid: Batches, *, seed: int) -> None:
        """Train by the recipe, or take up weights as ``tune`` says. Raises ``DataError`` where they do not fit."""
        if self._layout and not self._relaid:
            raise UsageError(f"compat={self.compat} is for published weights; begin from them, with --weights FOLDER.")
        if self._published is not None:
            self._take_up(self._published, train.spec)
        super().fit(train, valid, seed=seed)
        if self._published is not None:
            self.notes = (*self.notes, f"published weights, compat {self._layout}: {self.said[self._layout]}")

    def load(self, folder: Path) -> None:
        """Take up what ``save`` wrote, of whatever size it is."""
        self._relaid = bool(self._layout)  # without published weights no fit had such a compat
        if self._relaid:
            self.shape = replace(self.shape, **self.untold)
        super().load(folder)

    @property
    def _layout(self) -> str:
        return self.compat if self.compat in published.LAYOUTS else ""

    def _take_up(self, found: published.Published, spec: TaskSpec) -> None:
        found.check(spec, self._layout)
        scaling = found.scaling(spec, self._layout)
        with quiet_torch(0):
            network = self.build(spec, scaling)
        load_into(network, {f"{BEHIND}{name}": value for name, value in found.weights.items()}, where=found.folder)
        self._fitted = Fitted(spec, scaling, self.targets(scaling), network)
