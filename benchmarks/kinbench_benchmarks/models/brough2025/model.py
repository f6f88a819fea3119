"""``rope-transformer``: an encoder with rotary positions over a window, and an angle at every sample of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

from torch import nn

from kinbench.contracts import Choice, ModelCard, Real
from kinbench.errors import DataError, UsageError
from kinbench.windows import Batches, TaskSpec
from kinbench_benchmarks.models import published
from kinbench_benchmarks.models._network import Fitted
from kinbench_benchmarks.models._state import SCALING, Scaling
from kinbench_benchmarks.models.brough2025.network import RopeNetwork
from kinbench_benchmarks.models.brough2025.recipes import chosen, override
from kinbench_benchmarks.models.brough2025.rope import LAYOUTS
from kinbench_benchmarks.models.rapp2021._augmentation import COMPAT_CODE
from kinbench_benchmarks.models.rapp2021._model import TRAINED, CroppedModel
from kinbench_benchmarks.training import load_into, quiet_torch

CITATION = "Brough E, Chen Z, Kwon D, Mahajan S, Tang J (2025). Course report, Carnegie Mellon University"
PUBLISHED_HEADS = 1
"""Sizes of weights do not tell into how many heads they are cut; the one published transformer has this many."""
_BEHIND = "network."


class RopeTransformer(CroppedModel):
    """The transformer as reported: 350,467 weights for 16 channels and 3 DoFs at width 96, which no report gives.

    ``compat='code'`` turns queries and keys by their positions as the publication's code does, which is no rotation,
    and sensors in training twice as far, as the code does that it took over. ``begin`` takes a folder of ours, or the
    one transformer that was published, of whatever size its weights are: then ``compat`` must say how windows reach it
    (``published.LAYOUTS``), and its positions are turned as its code did.
    """

    card = ModelCard(
        name="rope-transformer",
        version="1",
        title="Brough et al. 2025, transformer with rotary positions",
        description="Encoder layers over all samples of a window, normalised after each sum, queries and keys turned "
        f"by their positions, and a linear layer at every sample. {TRAINED} {SCALING}",
        citation=CITATION,
    )
    compats: ClassVar[tuple[str, ...]] = (COMPAT_CODE, *published.LAYOUTS)
    shape: Any
    """The ``Recipe`` of this package, its sizes those of the weights where the model began from some."""
    head = ("out_linear", f"{_BEHIND}out_linear")
    space: ClassVar[Mapping[str, Real | Choice]] = {
        "lr": Real(1e-5, 1e-2), "lr_decay": Real(0.9, 0.9997), "iterations": Choice((500, 1000, 5000)),
        "dropout": Real(0.0, 0.3), "layers": Choice((1, 2, 3, 4)), "width": Choice((48, 96)),
        "feed_forward": Choice((64, 128, 256)),
    }  # fmt: skip

    def __init__(
        self,
        recipe: str = "fast",
        compat: str | None = None,
        tune: str | None = None,
        layers: int | None = None,
        heads: int | None = None,
        width: int | None = None,
        feed_forward: int | None = None,
        dropout: float | None = None,
        iterations: int | None = None,
        lr: float | None = None,
        lr_decay: float | None = None,
        turn_sd_deg: float | None = None,
        noise: float | None = None,
        adapt_iterations: int | None = None,
        adapt_lr: float | None = None,
    ) -> None:
        made = override(
            chosen(recipe), layers=layers, heads=heads, width=width, feed_forward=feed_forward,
            dropout=dropout, iterations=iterations, lr=lr, lr_decay=lr_decay, turn_sd_deg=turn_sd_deg, noise=noise,
            adapt_iterations=adapt_iterations, adapt_lr=adapt_lr,
        )  # fmt: skip
        super().__init__(cast(Any, made), compat, tune)
        self._published: published.Published | None = None
        self._relaid = False

    def build(self, spec: TaskSpec, scaling: Scaling) -> nn.Module:
        """Return the network for the task's channels and DoFs, or a published one behind them."""
        shape, as_coded = self.shape, self._relaid or self.compat == COMPAT_CODE
        network = RopeNetwork(
            *((16, 3) if self._relaid else (len(spec.channel_names), len(spec.dof_names))), width=shape.width,
            layers=shape.layers, heads=shape.heads, feed_forward=shape.feed_forward, dropout=shape.dropout,
            layout=LAYOUTS["code" if as_coded else "neighbours"],
        )  # fmt: skip
        return published.Relaid(network, spec, self._layout) if self._relaid else network

    def settings(self) -> dict[str, bool]:
        """Return what weights mean beside their sizes: into how many heads they are cut, and how positions turn."""
        relaid = {layout: self._relaid and self._layout == layout for layout in published.LAYOUTS}
        code = {COMPAT_CODE: self.compat == COMPAT_CODE, f"{self.shape.heads} heads": True}
        return {**super().settings(), **relaid, **code}

    def begin(self, folder: Path) -> None:
        """Take up weights that ``save`` wrote, or that were published; raises ``DataError`` for any other folder."""
        if not published.is_published(folder):
            super().begin(folder)
            return
        found = published.read(folder)
        sizes = {name: tuple(value.shape) for name, value in found.weights.items()}
        self.shape = replace(self.shape, heads=PUBLISHED_HEADS, **self.shape_of(sizes))
        self._published, self._relaid, self._begun = found, True, "/".join(folder.parts[-2:])

    def fit(self, train: Batches, valid: Batches, *, seed: int) -> None:
        """Train by the recipe, or take up weights as ``tune`` says. Raises ``DataError`` where they do not fit."""
        if self._layout and not self._relaid:
            raise UsageError(f"compat={self.compat} is for published weights; begin from them, with --weights FOLDER.")
        if self._published is not None:
            self._take_up(self._published, train.spec)
        super().fit(train, valid, seed=seed)
        if self.compat == COMPAT_CODE:
            self.notes = (*self.notes, "compat code: queries and keys turned as the publication's code does")
        if self._published is not None:
            self.notes = (*self.notes, f"published weights, compat {self._layout}: {_SAID[self._layout]}")

    def load(self, folder: Path) -> None:
        """Take up what ``save`` wrote, of whatever size it is."""
        self._relaid = bool(self._layout)  # without published weights no fit had such a compat
        if self._relaid:
            self.shape = replace(self.shape, heads=PUBLISHED_HEADS)
        super().load(folder)

    @staticmethod
    def shape_of(sizes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
        """Return layers, width and feed-forward. Raises ``DataError`` where there is no first layer."""
        bare = {name.removeprefix(_BEHIND): size for name, size in sizes.items()}
        first = bare.get("layers.0.linear1.weight", ())
        if len(first) != 2:
            raise DataError(
                "expected the weights of a transformer, 'layers.0.linear1.weight' of two dimensions among them"
            )
        layers = sum(name.startswith("layers.") and name.endswith(".linear1.weight") for name in bare)
        return {"layers": layers, "width": first[1], "feed_forward": first[0]}

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
    published.AS_PUBLISHED: "positions turned as its code does, inputs taken for its own, whose accelerometer is not "
    "physics",
    published.AT_TOUCHDOWN: "positions turned as its code does; it reads (x, -y, z) of the specific force, what it was "
    "trained on at touchdown alone",
}
