"""The networks of Hur, Baek, Kang and Kim (Sci Rep 15:5287, 2025): the LSTM, and the CNN of paper and of code.

As published: windows of 50 samples at 100 Hz, 72 channels (8 sensors x acc, gyr, Euler angles), 10 angles in
degrees; loss MSE; Adam with lr 0.001; one step per epoch on all windows at once. The recipes:

``paper``: 500 epochs, then 200 more while the validation loss falls, 3,000 at most; all layers are fine-tuned for 1 to
15 epochs, as long as the loss falls. ``code``: 500 epochs, then 500 more, each increment with a new Adam, whose moments
begin at zero, while the sum over angles of pooled RMSE falls; what there is at 3,000 is taken; fine-tuning likewise,
one epoch each. In both the network puts out degrees, whose loss an angle of large range rules, and the CNN's last ReLU
cannot go below zero: it can neither extend a hip nor plantarflex an ankle, and one of its outputs that starts at zero
for every window never learns.

``fast``, the default, fits in seconds and weighs angles alike: minibatches, hence fewer and cheaper passes for as many
steps; early stopping with the best epoch's weights kept; angles scaled by their training SD, so that every DoF weighs
the same in the loss and one lr fits any task; for the CNNs a zero that lies at the smallest training angle.

In all recipes inputs are z-scored with training statistics: those of each person's whole recording, as published, hold
the test, and no model here is shown them. A person's own statistics without the test are what ``ug-self-normalised``
gives. Channels, DoFs and window come from the task instead of being fixed; validation is the protocol's, not windows
drawn at random among those that are learnt from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from kinbench.contracts import Choice, ModelCard, Real
from kinbench.errors import DataError
from kinbench.windows import TaskSpec
from kinbench_benchmarks.models._network import NetworkModel
from kinbench_benchmarks.models._recipes import Increments, Minibatches, Recipe, chosen, override
from kinbench_benchmarks.models._state import SCALING, Float32Array, Scaling
from kinbench_benchmarks.models._windows import Targets

_CITATION = "Hur, Baek, Kang, Kim: Sci Rep 15:5287 (2025)"
_KERNEL = 5
_WIDE, _NARROW = 24, 8
_HIDDEN, _LAYERS, _DROPOUT = 128, 3, 0.2

# --- recipes ---------------------------------------------------------------------------------------------------------

PAPER = Recipe(
    "paper", Increments(first=500, every=200, most=3000), Increments(first=1, every=1, most=15, fixed_epochs=5), True
)
CODE = Recipe(
    "code",
    Increments(first=500, every=500, most=3000, fresh=True, score="summed rmse"),
    Increments(first=1, every=1, most=15, fresh=True, score="summed rmse", fixed_epochs=5),
    True,
)
LSTM_FAST = Recipe("fast", Minibatches(20, 10, 2e-3, 32, 4, 512), Minibatches(15, 5, 5e-4, 32, 4, 512))
CNN_FAST = Recipe("fast", Minibatches(40, 20, 3e-3, 32, 8, 1024), Minibatches(15, 5, 1e-3, 32, 4, 1024))
LSTM_RECIPES = {recipe.name: recipe for recipe in (LSTM_FAST, PAPER, CODE)}
CNN_RECIPES = {recipe.name: recipe for recipe in (CNN_FAST, PAPER, CODE)}


# --- networks --------------------------------------------------------------------------------------------------------


class LstmNetwork(nn.Module):
    """Three unidirectional layers of 128, dropout 0.2 between them (in the code, not the paper), then linear."""

    def __init__(self, channels: int, dofs: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, _HIDDEN, _LAYERS, batch_first=True, dropout=_DROPOUT)
        # PyTorch keeps two bias vectors per layer that only ever act as their sum; both are trained, as published.
        self.head = nn.Linear(_HIDDEN, dofs)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, time, dof) for (n, time, channel)."""
        hidden, _ = self.lstm(x)
        angles: Tensor = self.head(hidden)
        return angles


class CnnNetwork(nn.Module):
    """Convolutions to 24, 8 and ``dofs`` channels, kernel 5, ReLU after each, also the last.

    ``window`` adds the code's linear layer over time (Xavier), one for all DoFs, which fixes the window's length.
    """

    def __init__(self, channels: int, dofs: int, window: int | None) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv1d(channels, _WIDE, _KERNEL, padding=_KERNEL // 2), nn.ReLU(),
            nn.Conv1d(_WIDE, _NARROW, _KERNEL, padding=_KERNEL // 2), nn.ReLU(),
            nn.Conv1d(_NARROW, dofs, _KERNEL, padding=_KERNEL // 2), nn.ReLU(),
        )  # fmt: skip
        self.over_time: nn.Module = nn.Identity()
        if window is not None:
            linear = nn.Linear(window, window)
            nn.init.xavier_uniform_(linear.weight)
            self.over_time = linear

    @property
    def last_bias(self) -> nn.Parameter:
        """The bias of the last convolution."""
        return self.convolutions.get_parameter("4.bias")

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, time, dof) for (n, time, channel)."""
        angles: Tensor = self.over_time(self.convolutions(x.transpose(1, 2))).transpose(1, 2)
        return angles


# --- models ----------------------------------------------------------------------------------------------------------


class _Hur(NetworkModel):
    """What the three share: their settings, each None where the recipe's own is taken."""

    recipes: ClassVar[Mapping[str, Recipe]]
    space: ClassVar[Mapping[str, Real | Choice]] = {"lr": Real(3e-4, 1e-2, log=True), "batch": Choice((16, 32, 64))}
    """Of recipe ``fast``; the paper and its code searched for a number of epochs alone, which fitting does."""

    def __init__(
        self,
        recipe: str = "fast",
        tune: str | None = None,
        epochs: int | None = None,
        max_epochs: int | None = None,
        lr: float | None = None,
        batch: int | None = None,
        patience: int | None = None,
        epoch_windows: int | None = None,
        adapt_epochs: int | None = None,
        adapt_lr: float | None = None,
    ) -> None:
        super().__init__(
            override(
                chosen(self.recipes, recipe), epochs=epochs, max_epochs=max_epochs, lr=lr, batch=batch,
                patience=patience, epoch_windows=epoch_windows, adapt_epochs=adapt_epochs, adapt_lr=adapt_lr,
            ),
            tune,
        )  # fmt: skip


class Lstm(_Hur):
    """The LSTM of paper and code: 368,906 parameters for 72 channels and 10 DoFs."""

    card = ModelCard(
        name="hur2025-lstm",
        version="2",
        title="Hur et al. 2025, LSTM",
        description="Three unidirectional LSTM layers of 128 with dropout 0.2, linear head; causal within a window. "
        f"{SCALING}",
        citation=_CITATION,
    )

    head = ("head.",)
    recipes = LSTM_RECIPES
    causal = True

    def build(self, spec: TaskSpec, scaling: Scaling) -> nn.Module:
        """Return the LSTM for the task's channels and DoFs."""
        return LstmNetwork(len(spec.channel_names), len(spec.dof_names))


class _Cnn(_Hur):
    """What both CNNs share: a last ReLU, which in degrees cannot go below zero.

    Recipe ``fast`` counts angles from the smallest of training instead: the network's zero stands for it and its unit
    for the training SD, so the ReLU is kept, still clips, and the whole range of training can be reached. The last
    convolution's bias then starts at the mean angle, since a ReLU that starts at zero everywhere never learns.
    ``time_layer`` puts the code's linear layer over time behind them.
    """

    recipes = CNN_RECIPES
    time_layer: bool

    def targets(self, scaling: Scaling) -> Targets:
        """Return degrees, or the scaling whose zero is the smallest training angle."""
        return super().targets(scaling) if self.recipe.degrees else Targets(scaling.y_min, scaling.y_sd)

    def build(self, spec: TaskSpec, scaling: Scaling) -> nn.Module:
        """Return the CNN for the task's channels and DoFs; scaled, its last convolution starts at the mean angle."""
        network = CnnNetwork(len(spec.channel_names), len(spec.dof_names), spec.window if self.time_layer else None)
        if not self.recipe.degrees:
            start = (scaling.y_mean - scaling.y_min) / scaling.y_sd
            with torch.no_grad():
                network.last_bias.copy_(torch.from_numpy(start.astype(np.float32)))
        return network

    def predict(self, x: Float32Array) -> Float32Array:
        """Return (n, time, dof) degrees. A layer over time refuses windows of another length with ``DataError``."""
        if self.time_layer:
            _check_window(x, self._state().spec)
        return super().predict(x)


class PaperCnn(_Cnn):
    """The CNN as the paper describes it: 10,042 parameters for 72 channels and 10 DoFs.

    ``time_layer=true`` adds the linear layer over time that only the code has (12,592 for a window of 50).
    """

    card = ModelCard(
        name="hur2025-cnn",
        version="2",
        title="Hur et al. 2025, CNN of the paper",
        description="Convolutions to 24, 8 and one channel per DoF, kernel 5, ReLU after each; sees 6 samples either "
        "way. Its last ReLU cannot go below zero, which recipe 'fast' lets stand for the smallest training angle. "
        f"{SCALING}",
        citation=_CITATION,
    )

    head: tuple[str, ...] = ("convolutions.4.",)

    def __init__(
        self,
        recipe: str = "fast",
        tune: str | None = None,
        epochs: int | None = None,
        max_epochs: int | None = None,
        lr: float | None = None,
        batch: int | None = None,
        patience: int | None = None,
        epoch_windows: int | None = None,
        adapt_epochs: int | None = None,
        adapt_lr: float | None = None,
        time_layer: bool = False,
    ) -> None:
        super().__init__(recipe, tune, epochs, max_epochs, lr, batch, patience, epoch_windows, adapt_epochs, adapt_lr)
        self.time_layer = bool(time_layer)
        if self.time_layer:
            self.head = (*PaperCnn.head, "over_time.")

    def settings(self) -> dict[str, bool]:
        """Return whether there is a layer over time."""
        return {"time_layer": self.time_layer}


class CodeCnn(_Cnn):
    """The CNN as its authors' code has it, with a linear layer over time: 12,305 parameters for 3 DoFs, window 50."""

    card = ModelCard(
        name="hur2025-cnn-code",
        version="2",
        title="Hur et al. 2025, CNN of the code",
        description="Convolutions to 24, 8 and one channel per DoF, kernel 5, ReLU after each, then one linear layer "
        f"over the window's time steps, shared by the DoFs. {SCALING}",
        citation=_CITATION,
    )

    head = ("convolutions.4.", "over_time.")
    time_layer = True


def _check_window(x: Float32Array, spec: TaskSpec) -> None:
    if x.ndim != 3 or x.shape[1] != spec.window:
        raise DataError(
            f"a layer over time needs windows of {spec.window} samples, got {x.shape}; predict on the task it was "
            "fitted on"
        )
