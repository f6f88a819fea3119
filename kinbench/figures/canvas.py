"""Paper, ink and print: sizes of a journal's columns, colours that all eyes tell apart, the same bytes every time."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from textwrap import fill
from typing import Any

from kinbench.errors import UsageError
from kinbench.files import publish
from kinbench.studies import Answer

SINGLE_IN, DOUBLE_IN = 3.5, 7.2
"""Widths of a journal's one and two columns, 89 and 183 mm."""
FORMATS = ("svg", "pdf", "png")
DPI = 300
LINES: tuple[tuple[str, str, Any], ...] = (
    ("#0072B2", "o", "-"), ("#D55E00", "s", (0, (5, 1.5))), ("#009E73", "^", (0, (1.5, 1))),
    ("#CC79A7", "D", (0, (6, 1.5, 1.5, 1.5))), ("#E69F00", "v", (0, (3, 1))), ("#56B4E9", "P", (0, (1, 2))),
    ("#000000", "X", (0, (8, 2))),
)  # fmt: skip
"""Colour (Okabe & Ito 2008), marker and dash together, so that none alone is needed to tell lines apart."""
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++", "oo")
INK, FAINT, ALARM = "#222222", "#999999", "#A00000"

Axes = Any
"""A matplotlib Axes; its type would load it."""
Figure = Any
Draw = Callable[[Answer, Figure], None]

_STYLE = {
    "svg.fonttype": "none", "pdf.fonttype": 42, "text.parse_math": False, "text.usetex": False,
    "font.family": "DejaVu Sans", "font.size": 7, "axes.titlesize": 7.5, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "axes.labelsize": 7.5, "xtick.labelsize": 6.5, "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5, "legend.frameon": False, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "axes.axisbelow": True, "grid.color": "#E4E4E4", "grid.linewidth": 0.5, "axes.linewidth": 0.6,
    "axes.edgecolor": INK, "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
    "lines.linewidth": 1.1, "lines.markersize": 3.2, "hatch.linewidth": 0.5, "axes.unicode_minus": True,
    "figure.constrained_layout.use": True,
}  # fmt: skip


def require() -> Any:
    """Return matplotlib; raises ``UsageError`` where it is not installed."""
    try:
        import matplotlib
    except ImportError as error:
        raise UsageError("A figure needs matplotlib; run: pip install 'kinbench[pages]'.") from error
    return matplotlib


def check(to: Path) -> Path:
    """Return where a figure is to go; raises ``UsageError`` unless it is named as one, or where none can be drawn."""
    if to.suffix.lower().removeprefix(".") not in FORMATS or to.is_dir():
        raise UsageError(f"Expected a figure's name that ends in .svg, .pdf or .png, got '{to}'.")
    require()
    return to


def save(answer: Answer, draw: Draw, to: Path, *, width_in: float, height_in: float) -> Path:
    """Draw an answer, say in the figure what it is of, and write it; the same answer gives the same bytes."""
    matplotlib = require()
    check(to)
    from matplotlib.figure import Figure as Paper

    kind = to.suffix.lower().removeprefix(".")
    style = {**matplotlib.rcParamsDefault, **_STYLE, "svg.hashsalt": f"{answer.title}/{draw.__name__}"}
    with matplotlib.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from")
        paper = Paper(figsize=(width_in, height_in))
        draw(answer, paper)
        _head(answer, paper, width_in)
        written = io.BytesIO()
        paper.savefig(written, format=kind, dpi=DPI, metadata=_METADATA[kind])
    publish(written.getvalue(), to)
    return to


_METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None}, "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}  # fmt: skip


def _head(answer: Answer, paper: Figure, width_in: float) -> None:
    """Say above the figure what it is of, and whether nobody wore the sensors or nobody walked."""
    told = [fill(answer.title, int(width_in * 17))]
    if answer.simulation:
        told.append("SIMULATION: simulated people")
    if answer.virtual:
        told.append(fill(f"VIRTUAL SENSORS: {', '.join(answer.virtual)}", int(width_in * 17)))
    paper.suptitle(
        "\n".join(told), fontsize=7, x=0.01, ha="left", color=ALARM if len(told) > 1 else INK,
    )  # fmt: skip


# --- what several figures say alike ----------------------------------------------------------------------------------


def label(axes: Axes, x: str, y: str) -> None:
    """Name both axes."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def error_label(answer: Answer) -> str:
    """Return an error's name and unit."""
    names = {"rmse": "RMSE", "centred_rmse": "centred RMSE", "mae": "MAE", "nrmse": "NRMSE", "r2": "R²"}
    name = names.get(answer.metric, answer.metric.replace("_", " "))
    return name if answer.unit == "1" else f"{name} ({answer.unit})"


def counted(values: Any) -> str:
    """Return ``n = 12 persons``, or from how few to how many."""
    low, high = int(min(values)), int(max(values))
    many = f"{low}" if low == high else f"{low} to {high}"
    return f"n = {many} person{'' if high == 1 else 's'}"


def note(axes: Axes, text: str, *, right: bool = True) -> None:
    """Write a small note into an upper corner, outside the data."""
    axes.set_title(text, loc="right" if right else "left", fontsize=6.5, fontweight="normal", color=INK)


def band(axes: Axes, x: Any, low: Any, high: Any, line: int) -> None:
    """Draw an interval about a line."""
    axes.fill_between(x, low, high, color=LINES[line % len(LINES)][0], alpha=0.15, linewidth=0)


def line(axes: Axes, x: Any, y: Any, number: int, name: str, *, marker: bool = True, faint: bool = False) -> None:
    """Draw one line in its own colour, marker and dash."""
    colour, shape, dash = LINES[number % len(LINES)]
    axes.plot(
        x, y, color=colour, marker=shape if marker else "", linestyle=dash, label=name,
        markerfacecolor="white" if faint else colour,
    )  # fmt: skip


def nothing(axes: Axes, text: str) -> None:
    """Say why there is nothing to see."""
    axes.axis("off")
    axes.text(0.5, 0.5, fill(text, 48), ha="center", va="center", transform=axes.transAxes)
