"""``rope-transformer``: an encoder with rotary positions over a window, and an angle at every sample of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from torch import nn

from kinbench.contracts import Choice, ModelCard, Real
from kinbench.errors import DataError
from kinbench.windows import Batches
from kinbench_benchmarks.models import published
from kinbench_benchmarks.models._state import SCALING
from kinbench_benchmarks.models.brough2025.network import RopeNetwork
from kinbench_benchmarks.models.brough2025.recipes import chosen, override
from kinbench_benchmarks.models.brough2025.rope import LAYOUTS
from kinbench_benchmarks.models.rapp2021._augmentation import COMPAT_CODE
from kinbench_benchmarks.models.rapp2021._beginning import BEHIND, PublishedModel
from kinbench_benchmarks.models.rapp2021._model import TRAINED

CITATION = "Brough E, Chen Z, Kwon D, Mahajan S, Tang J (2025). Course report, Carnegie Mellon University"
PUBLISHED_HEADS = 1
"""Sizes of weights do not tell into how many heads they are cut; the one published transformer has this many."""


class RopeTransformer(PublishedModel):
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
    shape: Any
    """The ``Recipe`` of this package, its sizes those of the weights where the model began from some."""
    head = ("out_linear", f"{BEHIND}out_linear")
    space: ClassVar[Mapping[str, Real | Choice]] = {
        "lr": Real(1e-5, 1e-2), "lr_decay": Real(0.9, 0.9997), "iterations": Choice((500, 1000, 5000)),
        "dropout": Real(0.0, 0.3), "layers": Choice((1, 2, 3, 4)), "width": Choice((48, 96)),
        "feed_forward": Choice((64, 128, 256)),
    }  # fmt: skip
    said: ClassVar[Mapping[str, str]] = {
        published.AS_PUBLISHED: "positions turned as its code does, inputs taken for its own, whose accelerometer is "
        "not physics",
        published.AT_TOUCHDOWN: "positions turned as its code does; it reads (x, -y, z) of the specific force, what it "
        "was trained on at touchdown alone",
    }
    untold: ClassVar[Mapping[str, Any]] = {"heads": PUBLISHED_HEADS}

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

    def network(self, inputs: int, outputs: int) -> nn.Module:
        """Return the transformer of this shape; its positions are turned by the code's rule where that was meant."""
        shape, as_coded = self.shape, self._relaid or self.compat == COMPAT_CODE
        return RopeNetwork(
            inputs, outputs, width=shape.width, layers=shape.layers, heads=shape.heads, feed_forward=shape.feed_forward,
            dropout=shape.dropout, layout=LAYOUTS["code" if as_coded else "neighbours"],
        )  # fmt: skip

    def settings(self) -> dict[str, bool]:
        """Return what weights mean beside their sizes: into how many heads they are cut, and how positions turn."""
        code = {COMPAT_CODE: self.compat == COMPAT_CODE, f"{self.shape.heads} heads": True}
        return {**super().settings(), **code}

    def fit(self, train: Batches, valid: Batches, *, seed: int) -> None:
        """Train as ``PublishedModel.fit``, and say where positions are turned by the code's rule."""
        super().fit(train, valid, seed=seed)
        if self.compat == COMPAT_CODE:
            self.notes = (*self.notes, "compat code: queries and keys turned as the publication's code does")

    @staticmethod
    def shape_of(sizes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
        """Return layers, width and feed-forward. Raises ``DataError`` where there is no first layer."""
        bare = {name.removeprefix(BEHIND): size for name, size in sizes.items()}
        first = bare.get("layers.0.linear1.weight", ())
        if len(first) != 2:
            raise DataError(
                "expected the weights of a transformer, 'layers.0.linear1.weight' of two dimensions among them"
            )
        layers = sum(name.startswith("layers.") and name.endswith(".linear1.weight") for name in bare)
        return {"layers": layers, "width": first[1], "feed_forward": first[0]}
