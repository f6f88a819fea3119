"""Matrices: which sensors a set holds, and what is left of a model's accuracy in another laboratory."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np

from kinbench.figures.canvas import FAINT, INK, LINES, Figure, counted, error_label, label, note, nothing
from kinbench.studies import Answer
from kinbench.studies.answers import plain

MOST_SETS = 40
BEST_PER_COUNT = 5
MOST_PANELS = 9


def subsets(answer: Answer, figure: Figure) -> None:
    """Error ± SD of the best sets of each size above, below a dot for every sensor that a set holds (first model)."""
    matrix = answer.tables["matrix"]
    if matrix.empty:
        nothing(figure.subplots(), "Nobody has every set of sensors.")
        return
    first = matrix["model"].iloc[0]
    mine = matrix[matrix["model"] == first]
    rows = mine if len(mine) <= MOST_SETS else mine.groupby("count", sort=True).head(BEST_PER_COUNT)
    rows = rows.sort_values(["count", "mean"], ignore_index=True)
    sensors = max(rows["sensors"], key=len).split("+")  # all of them, in the task's order
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 0.34 * len(sensors) + 0.4])
    at = np.arange(len(rows))
    best = rows["mean"] == rows.groupby("count")["mean"].transform("min")
    colour = [LINES[1][0] if leads else LINES[5][0] for leads in best]
    spread = rows["sd"].to_numpy(dtype=float)
    spreads = np.isfinite(spread).any()  # one person has none
    upper.bar(
        at, rows["mean"], 0.75, yerr=np.nan_to_num(spread) if spreads else None, color=colour,
        error_kw={"elinewidth": 0.5, "capsize": 1, "ecolor": INK},
    )  # fmt: skip
    upper.set_ylabel(error_label(answer))
    upper.tick_params(axis="x", length=0, labelbottom=False)
    which = "all sets" if len(rows) == len(mine) else f"the best {BEST_PER_COUNT} sets of each size"
    note(upper, f"{first}: {which}; {counted(rows['n'])}; mean{' ± SD' if spreads else ''}; dark: best of its size")
    for y, sensor in enumerate(sensors):
        worn = rows[sensor].to_numpy(dtype=bool)
        lower.plot(at[~worn], np.full((~worn).sum(), y), "o", color="#DDDDDD", markersize=3)
        lower.plot(at[worn], np.full(worn.sum(), y), "o", color=INK, markersize=3.4)
    lower.set_yticks(range(len(sensors)), [name.replace("_", " ") for name in sensors])
    lower.set_ylim(len(sensors) - 0.5, -0.5)
    lower.set_xlim(-0.7, len(rows) - 0.3)
    lower.grid(False)
    borders = np.flatnonzero(np.diff(rows["count"])) + 0.5
    for axes in (upper, lower):
        for border in borders:
            axes.axvline(border, color=FAINT, linewidth=0.4)
    edges = [-0.5, *borders, len(rows) - 0.5]
    middles = [(a + b) / 2 for a, b in pairwise(edges)]
    lower.set_xticks(middles, [f"{count}" for count in dict.fromkeys(rows["count"])])
    lower.tick_params(axis="both", length=0)
    lower.set_xlabel("Number of sensors")


def transfer(answer: Answer, figure: Figure) -> None:
    """Error by what was trained on (rows) and tested on (columns), a panel per model and condition; n in each cell."""
    pairs = answer.tables["pairs"]
    by = ["model", *answer.settings.get("conditions", ())]
    everyone = frozenset(pairs["dataset"]).union(*(name.split("+") for name in pairs["train"]))
    groups = [*pairs.groupby(by, sort=False)]
    columns = min(3, len(groups))
    grid = figure.subplots(-(-min(len(groups), MOST_PANELS) // columns), columns, squeeze=False)
    low, high = float(pairs["mean"].min()), float(pairs["mean"].max())
    image = None
    for axes in grid.ravel()[len(groups) :]:
        axes.axis("off")
    for number, (axes, (names, rows)) in enumerate(zip(grid.ravel(), groups, strict=False)):
        mean = rows.pivot(index="train", columns="dataset", values="mean")
        n = rows.pivot(index="train", columns="dataset", values="n")
        image = axes.imshow(mean, cmap="cividis", vmin=low, vmax=high, aspect="auto")
        for (y, train), (x, test) in product(enumerate(mean.index), enumerate(mean.columns)):
            value = float(mean.to_numpy()[y, x])
            if np.isfinite(value):
                axes.text(
                    x, y, f"{value:.1f}\nn={n.to_numpy()[y, x]:.0f}", ha="center", va="center", fontsize=5.5,
                    color="white" if value < (low + high) / 2 else "black",
                    fontweight="bold" if train == test else "normal",
                )  # fmt: skip
        axes.set_xticks(range(len(mean.columns)), mean.columns, rotation=30, ha="right")
        axes.set_yticks(range(len(mean.index)), [_trained_on(name, everyone) for name in mean.index])
        axes.grid(False)
        conditions = [f"{name} {plain(value)}" for name, value in zip(by[1:], names[1:], strict=True)]
        axes.set_title(", ".join([str(names[0]), *conditions]), fontsize=6.5)
        label(axes, "Tested on", "Trained on" if number % columns == 0 else "")
    figure.colorbar(image, ax=[*grid.ravel()], label=error_label(answer), shrink=0.8)
    if len(groups) > MOST_PANELS:
        note(grid[0, -1], f"the first {MOST_PANELS} of {len(groups)} conditions")


def _trained_on(name: str, everyone: frozenset[str]) -> str:
    """Return what a row is labelled with: what is left out, where many are trained on and that is shorter."""
    names = name.split("+")
    missing = sorted(everyone.difference(names))
    if len(names) > 2 and len(missing) == 1:
        return f"all but {missing[0]}"
    return "+\n".join(names)
