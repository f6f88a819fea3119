"""The plots of two sets of recordings side by side: gait cycles overlaid, and what each step does."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kinbench.inspection import Comparison, Pair
from kinbench.inspection.comparison import AXES, POINTS, SIGNALS, STORED
from kinbench.pages.pictures import Picture, band, picture

_NAMES = {"x": "x anterior", "y": "y proximal", "z": "z right", "length": "length"}


def pictures_of(comparison: Comparison) -> Iterator[tuple[str, Picture]]:
    """Yield (segment, its gait cycles as stored) for every segment of which anything could be compared."""
    stored = comparison.at(STORED)
    for segment in dict.fromkeys(pair.segment for pair in stored):
        pairs = {(pair.signal, pair.axis): pair for pair in stored if pair.segment == segment}
        if any(not pair.reason for pair in pairs.values()):
            yield segment, _overlaid(comparison, segment, pairs)


def _overlaid(comparison: Comparison, segment: str, pairs: dict[tuple[str, str], Pair]) -> Picture:
    share = np.linspace(0, 100, POINTS)
    signals = [signal for signal in SIGNALS if any(not pairs[signal, axis].reason for axis in AXES)]
    names = (comparison.this.name, comparison.other.name)

    def draw(grid: np.ndarray) -> None:
        for row, signal in enumerate(signals):
            for column, axis in enumerate(AXES):
                axes, pair = grid[row, column], pairs[signal, axis]
                axes.set_title(f"{signal} {_NAMES[axis]} [{pair.unit}]")
                for line, (name, figures) in enumerate(zip(names, (pair.this, pair.other), strict=True)):
                    if figures is not None:
                        band(axes, share, figures.mean, figures.sd, line, f"{name}, {figures.strides} strides")
                told = pair.reason and "not assessed"
                if pair.r is not None:
                    told = f"r {pair.r:.2f}, RMS {pair.rms:.2g}"
                axes.text(0.99, 0.01, told, ha="right", va="bottom", transform=axes.transAxes, fontsize=7)
                axes.margins(y=0.14)
        for axes in grid[-1]:
            axes.set_xlabel("gait cycle [%]")
        handles, labels = grid[0, -1].get_legend_handles_labels()
        grid[0, 0].figure.legend(handles, labels, loc="upper right", ncols=2)

    figures = "; ".join(
        f"{signal} {axis} r {pair.r:.2f}, RMS {pair.rms:.2g} {pair.unit}"
        for (signal, axis), pair in pairs.items()
        if pair.r is not None
    )
    told = f"{names[0]} over {names[1]}, as stored: {figures}"
    alt = f"Mean gait cycles of {segment} with their standard deviation, {told}."
    return picture(
        f"Gait cycle of {segment}",
        alt,
        draw,
        rows=len(signals),
        columns=len(AXES),
        row_in=1.35,
        top_in=0.5,
        same_x=True,
        name="against",
    )
