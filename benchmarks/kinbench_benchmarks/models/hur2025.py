"""The networks of Hur, Baek, Kang and Kim (Sci Rep 15:5287, 2025): the LSTM, and the CNN of paper and of code.

As published: windows of 50 samples at 100 Hz, 72 channels (8 sensors x acc, gyr, Euler angles), 10 angles in
degrees; loss MSE; Adam with lr 0.001; one step per epoch on all windows at once, 500 to 3,000 epochs, tried in steps
of 200 (paper) or 500 with a new optimiser each (code); fine-tuning of all layers for 1 to 15 such epochs.

Kept: architectures, parameter counts, Adam, all layers fine-tuned, stopping on validation. Departures, in all three,
so that one fit takes seconds and no test statistic leaks: minibatches, hence fewer and cheaper passes for as many
steps; early stopping with the best epoch's weights kept; inputs z-scored with training statistics (theirs came from
each person's whole recording); angles scaled by their training SD, so that every DoF weighs the same in the loss and
lr 0.001 fits any task. Channels, DoFs and window come from the task instead of being fixed.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from kinbench.contracts import ModelCard
from kinbench.errors import DataError
from kinbench.windows import TaskSpec
from kinbench_benchmarks.models._fit import Schedule, Targets
from kinbench_benchmarks.models._network import NetworkModel
from kinbench_benchmarks.models._state import SCALING, Float32Array, Scaling

_CITATION = "Hur, Baek, Kang, Kim: Sci Rep 15:5287 (2025)"
_KERNEL = 5
_WIDE, _NARROW = 24, 8
_HIDDEN, _LAYERS, _DROPOUT = 128, 3, 0.2


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


class Lstm(NetworkModel):
    """The LSTM of paper and code: 368,906 parameters for 72 channels and 10 DoFs."""

    card = ModelCard(
        name="hur2025-lstm",
        version="1",
        title="Hur et al. 2025, LSTM",
        description="Three unidirectional LSTM layers of 128 with dropout 0.2, linear head; causal within a window. "
        f"{SCALING}",
        citation=_CITATION,
    )

    def __init__(
        self,
        epochs: int = 20,
        lr: float = 2e-3,
        batch: int = 32,
        patience: int = 4,
        epoch_windows: int = 512,
        adapt_epochs: int = 15,
        adapt_lr: float = 5e-4,
    ) -> None:
        super().__init__(
            Schedule(epochs, min(epochs, 10), lr, batch, patience, epoch_windows),
            Schedule(adapt_epochs, min(adapt_epochs, 5), adapt_lr, batch, min(patience, 4), epoch_windows),
        )

    def build(self, spec: TaskSpec, scaling: Scaling) -> nn.Module:
        """Return the LSTM for the task's channels and DoFs."""
        return LstmNetwork(len(spec.channel_names), len(spec.dof_names))


class _Cnn(NetworkModel):
    """What both CNNs share: angles counted from the smallest of training, because their last ReLU cannot go below.

    Both publications let the network put out degrees directly, so that the paper's CNN could never extend a hip or
    plantarflex an ankle. Here its zero stands for the smallest training angle of that DoF and its unit for the
    training SD: the ReLU is kept, still clips, and the whole range of training can be reached. The last
    convolution's bias starts at the mean angle, since a ReLU that starts at zero everywhere never learns.
    ``time_layer`` puts the code's linear layer over time behind them.
    """

    time_layer: bool

    def __init__(
        self,
        epochs: int = 40,
        lr: float = 3e-3,
        batch: int = 32,
        patience: int = 8,
        epoch_windows: int = 1024,
        adapt_epochs: int = 15,
        adapt_lr: float = 1e-3,
    ) -> None:
        super().__init__(
            Schedule(epochs, min(epochs, 20), lr, batch, patience, epoch_windows),
            Schedule(adapt_epochs, min(adapt_epochs, 5), adapt_lr, batch, min(patience, 4), epoch_windows),
        )

    def targets(self, scaling: Scaling) -> Targets:
        """Return the scaling whose zero is the smallest training angle."""
        return Targets(scaling.y_min, scaling.y_sd)

    def build(self, spec: TaskSpec, scaling: Scaling) -> nn.Module:
        """Return the CNN for the task's channels and DoFs; its last convolution starts at the mean training angle."""
        network = CnnNetwork(len(spec.channel_names), len(spec.dof_names), spec.window if self.time_layer else None)
        start = (scaling.y_mean - scaling.y_min) / scaling.y_sd
        with torch.no_grad():
            network.last_bias.copy_(torch.from_numpy(start.astype(np.float32)))
        return network

    def predict(self, x: Float32Array) -> Float32Array:
        """Return (n, time, dof) degrees. A layer over time refuses windows of another length with ``DataError``."""
        if self.time_layer:
            _check_window(x, self._state()[0])
        return super().predict(x)


class PaperCnn(_Cnn):
    """The CNN as the paper describes it: 10,042 parameters for 72 channels and 10 DoFs.

    ``time_layer=true`` adds the linear layer over time that only the code has (12,592 for a window of 50).
    """

    card = ModelCard(
        name="hur2025-cnn",
        version="1",
        title="Hur et al. 2025, CNN of the paper",
        description="Convolutions to 24, 8 and one channel per DoF, kernel 5, ReLU after each; sees 6 samples either "
        "way. Angles are counted from the smallest training angle, which its last ReLU cannot go below. "
        f"{SCALING}",
        citation=_CITATION,
    )

    def __init__(
        self,
        epochs: int = 40,
        lr: float = 3e-3,
        batch: int = 32,
        patience: int = 8,
        epoch_windows: int = 1024,
        adapt_epochs: int = 15,
        adapt_lr: float = 1e-3,
        time_layer: bool = False,
    ) -> None:
        super().__init__(epochs, lr, batch, patience, epoch_windows, adapt_epochs, adapt_lr)
        self.time_layer = bool(time_layer)

    def settings(self) -> dict[str, bool]:
        """Return whether there is a layer over time."""
        return {"time_layer": self.time_layer}


class CodeCnn(_Cnn):
    """The CNN as its authors' code has it, with a linear layer over time: 12,305 parameters for 3 DoFs, window 50."""

    card = ModelCard(
        name="hur2025-cnn-code",
        version="1",
        title="Hur et al. 2025, CNN of the code",
        description="Convolutions to 24, 8 and one channel per DoF, kernel 5, ReLU after each, then one linear layer "
        f"over the window's time steps, shared by the DoFs. {SCALING}",
        citation=_CITATION,
    )

    time_layer = True


def _check_window(x: Float32Array, spec: TaskSpec) -> None:
    if x.ndim != 3 or x.shape[1] != spec.window:
        raise DataError(
            f"a layer over time needs windows of {spec.window} samples, got {x.shape}; predict on the task it was "
            "fitted on"
        )
