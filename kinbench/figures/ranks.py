"""The critical-difference diagram (Demšar 2006): mean ranks on a line, bars over models that are not told apart."""

from __future__ import annotations

import math

import numpy as np

from kinbench.figures.canvas import INK, LINES, Figure, nothing
from kinbench.studies import Answer


def critical_difference(answer: Answer, figure: Figure) -> None:
    """Mean rank of each model over persons, best on the left; Nemenyi's critical difference above."""
    axes, table = figure.subplots(), answer.tables.get("ranks")
    if table is None or table.empty:
        nothing(axes, "There are no two models to rank.")
        return
    names, ranks = [*table["model"]], table["mean_rank"].to_numpy(dtype=float)
    count, width = len(names), float(table["critical_difference"].iloc[0])
    room = 0.11 * (count - 1 + 0.4) * max(map(len, names)) / 6  # for the names, beside the ranks
    axes.set_xlim(0.8 - room, count + 0.2 + room)
    axes.set_ylim(-0.6 - 0.45 * math.ceil(count / 2) - 0.25, 1.0)
    axes.axis("off")
    axes.plot([1, count], [0, 0], color=INK, linewidth=0.8)
    for tick in range(1, count + 1):
        axes.plot([tick, tick], [0, 0.08], color=INK, linewidth=0.8)
        axes.text(tick, 0.14, f"{tick}", ha="center", va="bottom", fontsize=6.5)
    if math.isfinite(width):
        axes.plot([1, min(count, 1 + width)], [0.62, 0.62], color=INK, linewidth=1.2, solid_capstyle="butt")
        axes.text(0.8 - room, 0.68, f"critical difference {width:.2f}; n = {table['n'].iloc[0]} persons; "
                  "mean rank by error, best left", ha="left", va="bottom", fontsize=6)  # fmt: skip
    groups = {group: [r for r, told in zip(ranks, table["groups"], strict=True) if group in told.split(", ")]
              for told in table["groups"] for group in told.split(", ") if group}  # fmt: skip
    for level, (_, inside) in enumerate(sorted(groups.items()), start=1):
        axes.plot([min(inside) - 0.03, max(inside) + 0.03], [-0.12 * level] * 2, color=INK, linewidth=3, alpha=0.75,
                  solid_capstyle="round")  # fmt: skip
    start = -0.12 * len(groups) - 0.4
    for place, (name, rank) in enumerate(zip(names, ranks, strict=True)):
        left = place < (count + 1) // 2
        y = start - 0.45 * (place if left else count - 1 - place)
        end = 0.85 if left else count + 0.15
        axes.plot([rank, rank, end], [0, y, y], color=LINES[place % len(LINES)][0], linewidth=0.8)
        axes.plot([rank], [0], "o", color=LINES[place % len(LINES)][0], markersize=3.5)
        told = f"{name}  {rank:.2f}" if left else f"{rank:.2f}  {name}"
        axes.text(end, y, f"{told} " if left else f" {told}", ha="right" if left else "left", va="center", fontsize=6.5)
    axes.set_ylim(min(-0.9, float(np.min(axes.get_ylim())), start - 0.45 * (count // 2) - 0.1), 1.0)
