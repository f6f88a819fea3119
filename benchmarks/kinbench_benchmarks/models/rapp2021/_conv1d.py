"""``rapp2021-conv1d``: convolutions over a window, three angles at every sample, on others' weights too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from kinbench.contracts import Choice, ModelCard, Real
from kinbench.errors import DataError, UsageError
from kinbench.windows import Batches, TaskSpec
from kinbench_benchmarks.models import published
from kinbench_benchmarks.models._network import Fitted
from kinbench_benchmarks.models._state import SCALING, Scaling
from kinbench_benchmarks.models.rapp2021._augmentation import COMPAT_CODE
from kinbench_benchmarks.models.rapp2021._model import CITATION, SPACE, TRAINED, CroppedModel
from kinbench_benchmarks.models.rapp2021._networks import ConvNetwork
from kinbench_benchmarks.models.rapp2021._recipes import CONV1D, chosen, override
from kinbench_benchmarks.training import load_into, quiet_torch

_BEHIND = "network."
"""What the names of a published network's weights begin with, behind a task's own layout."""


class Conv1d(CroppedModel):
    """The convolutional network of the paper: 559,033 weights for 16 channels with the paper's recipe.

    ``begin`` takes a folder of ours, or one that Brough et al. (2025) published: then ``compat`` must say how windows
    reach it (``published.LAYOUTS``), and ``tune`` what of it is fitted on.
    """

    card = ModelCard(
        name="rapp2021-conv1d",
        version="1",
        title="Rapp et al. 2021, Conv1D",
        description="One to three convolutions of one width with ReLU, batch norm and dropout, then 20 sigmoid units "
        f"and a linear layer, at every sample. {TRAINED} {SCALING}",
        citation=CITATION,
    )
    compats: ClassVar[tuple[str, ...]] = (COMPAT_CODE, *published.LAYOUTS)
    head = ("lin_out", f"{_BEHIND}lin_out")
    space: ClassVar[Mapping[str, Real | Choice]] = {**SPACE, "kernel": Choice((11, 21, 31, 41, 51))}

    def __init__(
        self,
        recipe: str = "fast",
        compat: str | None = None,
        tune: str | None = None,
        layers: int | None = None,
        width: int | None = None,
        kernel: int | None = None,
        dropout: float | None = None,
        iterations: int | None = None,
        lr: float | None = None,
        lr_decay: float | None = None,
        turn_sd_deg: float | None = None,
        noise: float | None = None,
    ) -> None:
        made = override(
            chosen(CONV1D, recipe), layers=layers, width=width, kernel=kernel, dropout=dropout, iterations=iterations,
            lr=lr, lr_decay=lr_decay, turn_sd_deg=turn_sd_deg, noise=noise,
        )  # fmt: skip
        super().__init__(made, compat, tune)
        self._published: published.Published | None = None
        self._relaid = False

    def build(self, spec: TaskSpec, scaling: Scaling) -> nn.Module:
        """Return the network for the task's channels and DoFs, or a published one behind them."""
        shape = self.shape
        sizes = (16, 3) if self._relaid else (len(spec.channel_names), len(spec.dof_names))
        network = ConvNetwork(*sizes, shape.layers, shape.width, shape.kernel, shape.dropout)
        return published.Relaid(network, spec, self._layout) if self._relaid else network

    def settings(self) -> dict[str, bool]:
        """Return what weights mean: whether they are a publication's, and in which layout."""
        relaid = {layout: self._relaid and self._layout == layout for layout in published.LAYOUTS}
        return {**super().settings(), **relaid}

    def begin(self, folder: Path) -> None:
        """Take up weights that ``save`` wrote, or that were published; raises ``DataError`` for any other folder."""
        if not published.is_published(folder):
            super().begin(folder)
            return
        found = published.read(folder)
        sizes = {name: tuple(value.shape) for name, value in found.weights.items()}
        self.shape = replace(self.shape, **self.shape_of(sizes))
        self._published, self._relaid, self._begun = found, True, "/".join(folder.parts[-2:])

    def fit(self, train: Batches, valid: Batches, *, seed: int) -> None:
        """Train by the recipe, or take up weights as ``tune`` says. Raises ``DataError`` where they do not fit."""
        if self._layout and not self._relaid:
            raise UsageError(f"compat={self.compat} is for published weights; begin from them, with --weights FOLDER.")
        if self._published is not None:
            self._take_up(self._published, train.spec)
        super().fit(train, valid, seed=seed)
        if self._published is not None:
            self.notes = (*self.notes, f"published weights, compat {self._layout}: {_SAID[self._layout]}")

    def load(self, folder: Path) -> None:
        """Take up what ``save`` wrote, of whatever size it is."""
        self._relaid = bool(self._layout)  # without published weights no fit had such a compat
        super().load(folder)

    @staticmethod
    def shape_of(sizes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
        """Return layers, width and kernel. Raises ``DataError`` where there is no first convolution."""
        bare = {name.removeprefix(_BEHIND): size for name, size in sizes.items()}
        first = bare.get("conv0.weight", ())
        if len(first) != 3:
            raise DataError("expected the weights of a Conv1D network, 'conv0.weight' of three dimensions among them")
        layers = sum(name.startswith("conv") and name.endswith(".weight") and len(size) == 3
                     for name, size in bare.items())  # fmt: skip
        return {"layers": layers, "width": first[0], "kernel": first[2]}

    @property
    def _layout(self) -> str:
        return self.compat if self.compat in published.LAYOUTS else ""

    def _take_up(self, found: published.Published, spec: TaskSpec) -> None:
        found.check(spec, self._layout)
        scaling = found.scaling(spec, self._layout)
        with quiet_torch(0):
            network = self.build(spec, scaling)
        load_into(network, {f"{_BEHIND}{name}": value for name, value in found.weights.items()}, where=found.folder)
        self._fitted = Fitted(spec, scaling, self.targets(scaling), network)


_SAID = {
    published.AS_PUBLISHED: "inputs taken for the publication's own, whose accelerometer is not physics",
    published.AT_TOUCHDOWN: "they read (x, -y, z) of the specific force, what they were trained on at touchdown alone",
}
