"""Figures as inline SVG: the only room that knows matplotlib, which is loaded when the first picture is drawn."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import UsageError

FloatArray = NDArray[np.float64]
Axes = Any
"""A matplotlib Axes; its type would load it."""

LINES: tuple[tuple[str, Any], ...] = (
    ("#0a4f8f", "-"), ("#b34700", (0, (5, 1.5))), ("#00664d", (0, (1.5, 1))), ("#7a2a7a", (0, (6, 1.5, 1.5, 1.5))),
)  # fmt: skip
"""Colour and dash together, so that neither is needed to tell lines apart."""
WIDTH_IN = 9.6
LEFT_IN, RIGHT_IN, COLUMN_GAP_IN, ROW_GAP_IN, SHARED_GAP_IN = 0.55, 0.1, 0.55, 0.45, 0.28
"""Fixed, as finding the best margins takes longer than drawing."""
MOST_POINTS = 400

_STYLE = {
    "svg.fonttype": "none", "svg.image_inline": True, "text.parse_math": False, "text.usetex": False,
    "font.family": "DejaVu Sans", "font.size": 8, "axes.titlesize": 8, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "axes.labelsize": 8, "xtick.labelsize": 7, "ytick.labelsize": 7,
    "legend.fontsize": 7, "legend.frameon": False, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.color": "#dddddd", "grid.linewidth": 0.5, "axes.edgecolor": "#555555",
    "lines.linewidth": 0.9, "path.simplify": True, "path.simplify_threshold": 0.2, "axes.unicode_minus": True,
    "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none", "agg.path.chunksize": 0,
}  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """A figure: its title, what it shows in words for whoever cannot see it, and the SVG element itself."""

    title: str
    alt: str
    svg: str


def require() -> Any:
    """Return matplotlib; raises ``UsageError`` where it is not installed."""
    try:
        import matplotlib
    except ImportError as error:
        raise UsageError("A page needs matplotlib for its plots; run: pip install 'kinbench[pages]'.") from error
    return matplotlib


def picture(
    title: str, alt: str, draw: Callable[[Any], None], *, rows: int = 1, columns: int = 1, row_in: float = 1.5,
    top_in: float = 0.3, bottom_in: float = 0.42, same_x: bool = False, name: str = "",
) -> Picture:  # fmt: skip
    """Return what ``draw`` puts into an array of axes (rows, columns). ``name`` tells pictures of one page apart.

    Sizes are in inches; ``row_in`` is a row with the space above it. ``same_x``: the rows share their x axis, which is
    written below the last one.
    """
    matplotlib = require()
    from matplotlib.figure import Figure

    height_in = top_in + rows * row_in + bottom_in - ROW_GAP_IN
    salt = f"{name}/{title}"
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **_STYLE, "svg.hashsalt": salt}), _quiet_fonts():
        figure = Figure(figsize=(WIDTH_IN, height_in))
        grid = figure.subplots(rows, columns, squeeze=False, sharex="col" if same_x else False)
        across_in = (WIDTH_IN - LEFT_IN - RIGHT_IN - (columns - 1) * COLUMN_GAP_IN) / columns
        gap_in = SHARED_GAP_IN if same_x else ROW_GAP_IN
        figure.subplots_adjust(
            left=LEFT_IN / WIDTH_IN, right=1 - RIGHT_IN / WIDTH_IN, top=1 - top_in / height_in,
            bottom=bottom_in / height_in, wspace=COLUMN_GAP_IN / across_in, hspace=gap_in / (row_in - gap_in),
        )  # fmt: skip
        draw(grid)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    return Picture(title, alt, _inline(written.getvalue(), alt))


class _quiet_fonts(warnings.catch_warnings):  # noqa: N801 - read as a verb
    """A letter that the font lacks is drawn by the reader's own; nobody has to be told."""

    def __enter__(self) -> Any:
        found = super().__enter__()
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from")
        return found


def _inline(document: str, alt: str) -> str:
    """Return an SVG document as an element of a page: described, scaled by the page, coordinates to a tenth of a point.

    Its style sheet would apply to the whole page, so the page's own says the same.
    """
    svg = document[document.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r"\s*<style type=\"text/css\">.*?</style>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r' d="([^"]*)"', lambda found: f' d="{_rounded(found[1])}"', svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(alt, quote=True)}" ', 1).strip()


def _rounded(path: str) -> str:
    short = re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.1f}".replace(".0", ""), path)
    return re.sub(r"\s*\n\s*", " ", short).strip()


def thinned(*signals: FloatArray, most: int = MOST_POINTS) -> list[FloatArray]:
    """Return every k-th sample of each, so that at most ``most`` are left."""
    every = max(1, -(-len(signals[0]) // most))
    return [signal[::every] for signal in signals]


def lines(axes: Axes, x: FloatArray, columns: FloatArray, labels: Iterable[str] = ()) -> None:
    """Draw the columns of (n, k) over ``x``, each in its own colour and dash."""
    names = [*labels]
    for index, column in enumerate(columns.T):
        colour, dash = LINES[index % len(LINES)]
        axes.plot(x, column, color=colour, linestyle=dash, label=names[index] if names else None)


def band(axes: Axes, x: FloatArray, mean: FloatArray, sd: FloatArray, line: int, label: str) -> None:
    """Draw a mean with its standard deviation about it."""
    colour, dash = LINES[line]
    axes.fill_between(x, mean - sd, mean + sd, color=colour, alpha=0.15, linewidth=0)
    axes.plot(x, mean, color=colour, linestyle=dash, label=label, linewidth=1.3)
