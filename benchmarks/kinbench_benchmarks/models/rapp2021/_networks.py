"""The three networks of Rapp et al. (2021), from windows (n, time, channel) of z-scores.

Names of weights are those of the files that Brough et al. (2025) published, so that these load as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

HIDDEN = 20
"""Units of the linear layer between convolutions and angles."""
SIX = 6
"""Numbers that a rotation is put out as: two columns of its matrix, before they are made orthonormal."""


class ConvNetwork(nn.Module):
    """Convolutions of one width, each followed by ReLU, batch norm and dropout; then 20 sigmoid units, per sample.

    The kernel is odd and the padding zero, so that the length stays, and a sample sees half a kernel either way per
    layer. 449,833 weights for 16 channels, 3 DoFs, 3 layers of 70 and a kernel of 41; 559,033 for one of 51.
    """

    def __init__(self, channels: int, dofs: int, layers: int, width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.layers = layers
        for number in range(layers):
            incoming = width if number else channels
            self.add_module(f"conv{number}", nn.Conv1d(incoming, width, kernel, padding=kernel // 2))
            self.add_module(f"conv_batchnorm{number}", nn.BatchNorm1d(width))
        self.dropout = nn.Dropout(dropout)
        self.lin0 = nn.Linear(width, HIDDEN)
        self.lin_out = nn.Linear(HIDDEN, dofs)

    def forward(self, z: Tensor) -> Tensor:
        """Return (n, time, dof)."""
        x = z.transpose(1, 2)
        for number in range(self.layers):
            convolved = torch.relu(self.get_submodule(f"conv{number}")(x))
            x = self.dropout(self.get_submodule(f"conv_batchnorm{number}")(convolved))
        out: Tensor = self.lin_out(torch.sigmoid(self.lin0(x.transpose(1, 2))))
        return out


class LstmNetwork(nn.Module):
    """LSTM layers of one width, one way or both, dropout between them, and a linear layer per sample."""

    def __init__(
        self, channels: int, outputs: int, layers: int, width: int, *, bidirectional: bool, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.lstm = nn.LSTM(
            channels, width, layers, batch_first=True, bidirectional=bidirectional,
            dropout=dropout if layers > 1 else 0.0,
        )  # fmt: skip
        self.head = nn.Linear(width * (2 if bidirectional else 1), outputs)

    def forward(self, z: Tensor) -> Tensor:
        """Return (n, time, output)."""
        out: Tensor = self.head(self.lstm(z)[0])
        return out


class OrientationNetwork(LstmNetwork):
    """Three bidirectional LSTM layers of 70 to one rotation per segment and sample: 288,412 weights for 16 channels."""

    def __init__(self, channels: int, segments: int, layers: int = 3, width: int = 70) -> None:
        super().__init__(channels, SIX * segments, layers, width, bidirectional=True)
        self.segments = segments

    def forward(self, z: Tensor) -> Tensor:
        """Return rotation matrices (n, time, segment, 3, 3)."""
        out = super().forward(z)
        return rotations(out.reshape(*out.shape[:2], self.segments, SIX))


def rotations(six: Tensor) -> Tensor:
    """Return rotation matrices (..., 3, 3) of six numbers (..., 6) each: two columns, made orthonormal by Gram-Schmidt.

    Zhou et al. (CVPR 2019): a continuous way to name a rotation, of which any six numbers but those in one line name
    one.
    """
    first = nn.functional.normalize(six[..., :3], dim=-1)
    along = (first * six[..., 3:]).sum(dim=-1, keepdim=True)
    second = nn.functional.normalize(six[..., 3:] - along * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)
