"""Rotary position embedding (Su et al. 2021): position as a rotation of queries and keys, so that only lags count.

The components of a vector are taken two by two, and each pair is turned by an angle that grows with the position, one
rate per pair. What two turned vectors have in common then depends on how far apart they stand, and on nothing else.
Which components make a pair is free, as long as both get the same angle. In the code of Brough et al. (2025) they do
not: pairs are neighbours, and angles are laid out for pairs half a vector apart. That is no rotation: lengths change
with the position, and lags are lost. It is here as the layout ``code``, for their weights alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

BASE = 10_000.0
"""The slowest pair turns this many times slower than the first, nearly."""


@dataclass(frozen=True)
class Layout:
    """Which components of a vector make pairs.

    ``spread`` lays (..., size/2) angles out over the components (..., size); ``quarter`` turns every pair of
    (..., size) by 90 degrees. They make rotations only where they agree on the pairs.
    """

    spread: Callable[[Tensor], Tensor]
    quarter: Callable[[Tensor], Tensor]


def _spread_neighbours(angles: Tensor) -> Tensor:
    return angles.repeat_interleave(2, dim=-1)


def _quarter_neighbours(x: Tensor) -> Tensor:
    return torch.stack((-x[..., 1::2], x[..., ::2]), dim=-1).flatten(-2)


def _spread_halves(angles: Tensor) -> Tensor:
    return torch.cat((angles, angles), dim=-1)


def _quarter_halves(x: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)


LAYOUTS = {
    "neighbours": Layout(_spread_neighbours, _quarter_neighbours),
    "halves": Layout(_spread_halves, _quarter_halves),
    "code": Layout(_spread_halves, _quarter_neighbours),
}
"""``neighbours`` is Su et al.'s; ``halves`` differs from it in the order of components alone; ``code`` is the fault."""


@dataclass(frozen=True)
class Rotation:
    """The rotation of every position: ``cos`` and ``sin`` (time, size), and the layout that they are for."""

    cos: Tensor
    sin: Tensor
    layout: Layout

    @classmethod
    def of(cls, time: int, size: int, layout: Layout, like: Tensor) -> Rotation:
        """Return the rotations of positions 0 to ``time`` for vectors of an even ``size``, where ``like`` lies."""
        pairs = torch.arange(0, size, 2, dtype=torch.float32, device=like.device)
        rates = BASE ** (-pairs / size)
        positions = torch.arange(time, dtype=torch.float32, device=like.device)
        angles = layout.spread(positions[:, None] * rates)
        return cls(angles.cos().to(like.dtype), angles.sin().to(like.dtype), layout)

    def __call__(self, x: Tensor) -> Tensor:
        """Return (..., time, size) vectors, each turned as its position says."""
        return x * self.cos + self.layout.quarter(x) * self.sin
