"""``rapp2021-conv1d``: convolutions over a window, three angles at every sample, on others' weights too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import nn

from kinbench.contracts import Choice, ModelCard, Real
from kinbench.errors import DataError
from kinbench_benchmarks.models import published
from kinbench_benchmarks.models._state import SCALING
from kinbench_benchmarks.models.rapp2021._beginning import BEHIND, PublishedModel
from kinbench_benchmarks.models.rapp2021._model import CITATION, SPACE, TRAINED
from kinbench_benchmarks.models.rapp2021._networks import ConvNetwork
from kinbench_benchmarks.models.rapp2021._recipes import CONV1D, chosen, override


class Conv1d(PublishedModel):
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
    head = ("lin_out", f"{BEHIND}lin_out")
    space: ClassVar[Mapping[str, Real | Choice]] = {**SPACE, "kernel": Choice((11, 21, 31, 41, 51))}
    said: ClassVar[Mapping[str, str]] = {
        published.AS_PUBLISHED: "inputs taken for the publication's own, whose accelerometer is not physics",
        published.AT_TOUCHDOWN: "they read (x, -y, z) of the specific force, what they were trained on at touchdown "
        "alone",
    }

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

    def network(self, inputs: int, outputs: int) -> nn.Module:
        """Return the convolutions of this shape."""
        shape = self.shape
        return ConvNetwork(inputs, outputs, shape.layers, shape.width, shape.kernel, shape.dropout)

    @staticmethod
    def shape_of(sizes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
        """Return layers, width and kernel. Raises ``DataError`` where there is no first convolution."""
        bare = {name.removeprefix(BEHIND): size for name, size in sizes.items()}
        first = bare.get("conv0.weight", ())
        if len(first) != 3:
            raise DataError("expected the weights of a Conv1D network, 'conv0.weight' of three dimensions among them")
        layers = sum(name.startswith("conv") and name.endswith(".weight") and len(size) == 3
                     for name, size in bare.items())  # fmt: skip
        return {"layers": layers, "width": first[0], "kernel": first[2]}
