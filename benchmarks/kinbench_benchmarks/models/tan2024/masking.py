"""Which patches of a window are hidden from the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import UsageError

BoolArray = NDArray[np.bool_]

PATCHES = (1, 2, 4, 8)
RATIOS = (0.0625, 0.125, 0.25, 0.375, 0.5, 0.625)
"""The study's grid: samples a patch, and the hidden part of a window (of 128 samples: 8 to 80). The paper's text lists
12.5 % twice and not 6.25 %."""


@dataclass(frozen=True)
class Masking:
    """How much is hidden, and where.

    ``ratio`` of a window's patches, one at least, of ``patch`` samples each, in all channels. ``kind``: ``contiguous``
    is one run of patches from a random start, as the published results were made; ``random`` scatters them, as the
    paper says.
    """

    patch: int = 1
    ratio: float = 0.125
    kind: Literal["contiguous", "random"] = "contiguous"

    def __post_init__(self) -> None:
        if self.patch < 1 or not 0 < self.ratio < 1 or self.kind not in ("contiguous", "random"):
            raise UsageError(
                "Masking needs patches of at least one sample, a ratio between 0 and 1 and the kind 'contiguous' or "
                f"'random', got {self}."
            )

    def hidden(self, patches: int) -> int:
        """Return how many of a window's patches are hidden: never none, never all."""
        return min(max(1, round(self.ratio * patches)), max(patches - 1, 1))

    def draw(self, windows: int, patches: int, generator: np.random.Generator) -> BoolArray:
        """Return which patches are hidden, (windows, patches)."""
        hidden = self.hidden(patches)
        if self.kind == "contiguous":
            start = generator.integers(0, patches - hidden + 1, windows)[:, None]
            place = np.arange(patches)
            return np.asarray((place >= start) & (place < start + hidden))
        rank = generator.random((windows, patches)).argsort(axis=1).argsort(axis=1)
        return np.asarray(rank < hidden)


GRID: Mapping[int, tuple[Masking, ...]] = {patch: tuple(Masking(patch, ratio) for ratio in RATIOS) for patch in PATCHES}
"""The study's 24 settings, by patch length."""
