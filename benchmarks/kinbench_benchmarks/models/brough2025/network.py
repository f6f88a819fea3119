"""The transformer of Brough et al. (2025): encoder layers with rotary positions, an angle at every time step."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from kinbench_benchmarks.models.brough2025.rope import Layout, Rotation


class Attention(nn.Module):
    """Every time step attends to every other one: queries, keys and values from one linear map, no mask, no dropout."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, rotate: Rotation | None) -> Tensor:
        """Return (n, time, width) for (n, time, width); ``rotate`` turns queries and keys by their positions."""
        n, time, width = x.shape
        heads = self.qkv_proj(x).view(n, time, 3, self.heads, width // self.heads)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        if rotate is not None:
            query, key = rotate(query), rotate(key)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        attended: Tensor = self.out_proj(mixed.transpose(1, 2).reshape(n, time, width))
        return attended


class Layer(nn.Module):
    """Attention, then two linear maps with a ReLU between, each added to what came in and normalised after that."""

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads)
        self.linear1, self.linear2 = nn.Linear(width, feed_forward), nn.Linear(feed_forward, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, rotate: Rotation | None) -> Tensor:
        """Return (n, time, width) for (n, time, width)."""
        x = self.norm1(x + self.dropout(self.self_attn(x, rotate)))
        fed = self.linear2(self.dropout(self.linear1(x).relu()))
        normed: Tensor = self.norm2(x + self.dropout(fed))
        return normed


class RopeNetwork(nn.Module):
    """A linear map to ``width``, encoder layers, a linear map to the angles; no position but the rotary one.

    ``layout`` None leaves positions out: the network then takes its window for a set of samples. Any number of time
    steps will do. Weights have the names of the published ones.
    """

    def __init__(
        self, channels: int, dofs: int, *, width: int, layers: int, heads: int, feed_forward: int, dropout: float,
        layout: Layout | None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.layout = layout
        self.size = width // heads
        self.input_linear = nn.Linear(channels, width)
        self.layers = nn.ModuleList(Layer(width, heads, feed_forward, dropout) for _ in range(layers))
        self.out_linear = nn.Linear(width, dofs)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, time, dof) for (n, time, channel)."""
        x = self.input_linear(x)
        rotate = None if self.layout is None else Rotation.of(x.shape[1], self.size, self.layout, x)
        for layer in self.layers:
            x = layer(x, rotate)
        angles: Tensor = self.out_linear(x)
        return angles
