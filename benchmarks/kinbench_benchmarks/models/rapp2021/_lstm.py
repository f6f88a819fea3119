"""``rapp2021-lstm``: LSTM layers one way or both, three angles at every sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import nn

from kinbench.contracts import Choice, ModelCard, Real
from kinbench.errors import DataError
from kinbench.windows import TaskSpec
from kinbench_benchmarks.models._state import SCALING, Scaling
from kinbench_benchmarks.models.rapp2021._model import CITATION, SPACE, TRAINED, CroppedModel
from kinbench_benchmarks.models.rapp2021._networks import LstmNetwork
from kinbench_benchmarks.models.rapp2021._recipes import LSTM, chosen, override


class Lstm(CroppedModel):
    """The recurrent network of the paper; with ``bidirectional=false`` no answer depends on later samples."""

    card = ModelCard(
        name="rapp2021-lstm",
        version="1",
        title="Rapp et al. 2021, LSTM",
        description="One to three LSTM layers of one width, one way or both, and a linear layer, at every sample. "
        f"{TRAINED} {SCALING}",
        citation=CITATION,
    )
    head = ("head",)
    space: ClassVar[Mapping[str, Real | Choice]] = {**SPACE, "bidirectional": Choice((False, True))}

    def __init__(
        self,
        recipe: str = "fast",
        compat: str | None = None,
        tune: str | None = None,
        layers: int | None = None,
        width: int | None = None,
        bidirectional: bool | None = None,
        dropout: float | None = None,
        iterations: int | None = None,
        lr: float | None = None,
        lr_decay: float | None = None,
        turn_sd_deg: float | None = None,
        noise: float | None = None,
    ) -> None:
        made = override(
            chosen(LSTM, recipe), layers=layers, width=width, bidirectional=bidirectional, dropout=dropout,
            iterations=iterations, lr=lr, lr_decay=lr_decay, turn_sd_deg=turn_sd_deg, noise=noise,
        )  # fmt: skip
        super().__init__(made, compat, tune)

    @property
    def causal(self) -> bool:
        """Whether no answer depends on later samples of its window."""
        return not self.shape.bidirectional

    def build(self, spec: TaskSpec, scaling: Scaling) -> nn.Module:
        """Return the network for the task's channels and DoFs."""
        shape = self.shape
        return LstmNetwork(
            len(spec.channel_names), len(spec.dof_names), shape.layers, shape.width,
            bidirectional=shape.bidirectional, dropout=shape.dropout,
        )  # fmt: skip

    @staticmethod
    def shape_of(sizes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
        """Return layers, width and whether it goes both ways. Raises ``DataError`` where there is no first layer."""
        if "lstm.weight_hh_l0" not in sizes:
            raise DataError("expected the weights of an LSTM, 'lstm.weight_hh_l0' among them")
        return {
            "layers": sum(name.startswith("lstm.weight_hh_l") and name[-1].isdigit() for name in sizes),
            "width": sizes["lstm.weight_hh_l0"][1],
            "bidirectional": "lstm.weight_hh_l0_reverse" in sizes,
        }
