"""The transformer: patches of all channels, sinusoidal positions, post-norm layers, and a linear head for each use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kinbench.errors import UsageError


@dataclass(frozen=True)
class Shape:
    """The network's sizes; the published ones unless said. ``patch`` is in samples."""

    patch: int = 1
    width: int = 192
    layers: int = 6
    heads: int = 8
    feed_forward: int = 512
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if min(self.patch, self.width, self.layers, self.heads, self.feed_forward) < 1 or not 0 <= self.dropout < 1:
            raise UsageError(f"The network's sizes must be positive and its dropout below 1, got {self}.")
        if self.width % self.heads or self.width % 2:
            raise UsageError(f"The width must be even and a multiple of the heads, got {self.width} and {self.heads}.")


class SslNetwork(nn.Module):
    """From windows (n, time, channel), NaN where a sensor is absent, to their reconstruction or to answers.

    ``absent`` (time, channel) stands in for samples that are not there, ``hidden`` (patch * channel,) for patches that
    are masked; both are learnt and start uniform in +-0.5. A patch is flattened sample by sample; a window that patches
    do not fill goes on with samples that are not there. There is no norm after the last layer. With ``dofs`` 0 there is
    no head for answers yet.
    """

    def __init__(self, channels: int, window: int, dofs: int, shape: Shape) -> None:
        super().__init__()
        self.patch, self.channels, self.patches = shape.patch, channels, patches_of(window, shape.patch)
        self.absent = nn.Parameter(torch.rand(self.patches * shape.patch, channels) - 0.5)
        self.hidden = nn.Parameter(torch.rand(shape.patch * channels) - 0.5)
        self.embedding = nn.Linear(shape.patch * channels, shape.width)
        # One by one, as nn.TransformerEncoder copies its first layer's random weights into all others.
        self.encoder = nn.ModuleList(
            nn.TransformerEncoderLayer(
                shape.width, shape.heads, shape.feed_forward, shape.dropout, activation="relu", batch_first=True
            )
            for _ in range(shape.layers)
        )
        self.reconstruction = nn.Linear(shape.width, shape.patch * channels)
        self.head = nn.Linear(shape.width, shape.patch * dofs) if dofs else None
        self.positions: Tensor
        self.register_buffer("positions", positions(self.patches, shape.width), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return answers (n, time, dof) for windows (n, time, channel)."""
        if self.head is None:
            raise UsageError("The network has no head for answers yet: fit it first.")
        return self._samples(self.head(self.features(x)), x)

    def reconstruct(self, x: Tensor, hidden: Tensor) -> Tensor:
        """Return windows (n, time, channel) made up from those patches that are not ``hidden`` (n, patches)."""
        return self._samples(self.reconstruction(self.features(x, hidden)), x)

    def features(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Return what is known of each patch, (n, patches, width)."""
        whole = nn.functional.pad(x, (0, 0, 0, len(self.absent) - x.shape[1]), value=torch.nan)
        known = torch.where(torch.isnan(whole), self.absent, whole)
        patches = known.reshape(len(x), self.patches, self.hidden.numel())
        if hidden is not None:
            patches = torch.where(hidden[..., None], self.hidden, patches)
        value: Tensor = self.embedding(patches) + self.positions
        for layer in self.encoder:
            value = layer(value)
        return value

    def _samples(self, patches: Tensor, x: Tensor) -> Tensor:
        """Return (n, time, values) of (n, patches, patch * values), as long as the window."""
        return patches.reshape(len(x), self.patches * self.patch, -1)[:, : x.shape[1]]


def patches_of(window: int, patch: int) -> int:
    """Return how many patches a window needs."""
    return -(-window // patch)


def positions(patches: int, width: int) -> Tensor:
    """Return sinusoidal positions (patches, width) with base 2 * patches, as the code has it, not 10,000."""
    rate = (2.0 * patches) ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angle = torch.arange(patches, dtype=torch.float64)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], dim=2).reshape(patches, width).float()


def hidden_values(hidden: Tensor, x: Tensor, patch: int) -> Tensor:
    """Return which known values of windows (n, time, channel) lie in hidden patches (n, patches)."""
    samples = hidden.repeat_interleave(patch, dim=1)[:, : x.shape[1], None]
    return samples & ~torch.isnan(x)


def transplanted(
    weights: Mapping[str, Tensor], names: Sequence[str], network: SslNetwork, own: Sequence[str]
) -> dict[str, Tensor]:
    """Return a network's weights (channels ``own``) with all but the head's taken from others' (channels ``names``).

    Weights of channels that the others do not have stay as they are in ``network``.
    """
    taken = {name: value.detach().clone() for name, value in network.state_dict().items()}
    here = [place for place, name in enumerate(own) if name in names]
    there = [names.index(own[place]) for place in here]
    for name, value in weights.items():
        if name.startswith("head.") or name not in taken:
            continue
        if name == "absent":
            taken[name][:, here] = value[:, there]
        elif name in ("hidden", "reconstruction.weight", "reconstruction.bias"):
            # (patch * channel, ...), sample by sample
            mine = taken[name].reshape(network.patch, len(own), -1)
            mine[:, here] = value.reshape(network.patch, len(names), -1)[:, there]
        elif name == "embedding.weight":
            mine = taken[name].reshape(len(taken[name]), network.patch, len(own))
            mine[:, :, here] = value.reshape(len(value), network.patch, len(names))[:, :, there]
        else:
            taken[name] = value.clone()
    return taken
