"""Errors of each movement before and after a model was tuned, its constant offset told apart, every person in sight."""

from __future__ import annotations

from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd

from kinbench.figures.canvas import FAINT, HATCHES, INK, LINES, Axes, Figure, counted, error_label
from kinbench.studies import Answer
from kinbench.studies.finetuning import between

MOST_PANELS = 9
COLUMNS = 3
_WIDTH = 0.38
_PANEL = ["model", "train", "dataset", "tuned"]
_STATES = (("before", -_WIDTH / 2, LINES[4][0]), ("after", _WIDTH / 2, LINES[0][0]))
_LETTERS = 108
"""So many letters of a panel's title go across the figure."""
_MOST_LINES = 40
"""With more persons than this their lines are a blot."""


def before_and_after(answer: Answer, figure: Figure) -> None:
    """Two bars a movement, before and after; what is hatched goes with the offset, what is solid is centred error."""
    persons = answer.tables["persons"].groupby(_PANEL, sort=False)
    centred = answer.tables["without_offset"]
    movements = answer.tables["movements"].merge(centred, on=[*_PANEL, "movement"]).groupby(_PANEL, sort=False)
    panels = [(names, rows, persons.get_group(names)) for names, rows in movements]
    columns = min(COLUMNS, len(panels))
    grid = figure.subplots(rows_of(answer), columns, squeeze=False, sharey=True)
    for axes in grid.ravel()[len(panels) :]:
        axes.axis("off")
    for number, (axes, (names, means, people)) in enumerate(zip(grid.ravel(), panels, strict=False)):
        _panel(axes, means, people)
        model, train, dataset, tuned = names
        named = fill(str(model), _LETTERS // columns)
        axes.set_title(f"{named}\n{between(str(train), str(dataset))}, tuned on {tuned}", fontsize=6.5)
        if number % columns == 0:
            axes.set_ylabel(error_label(answer))
    handles, labels = grid[0, 0].get_legend_handles_labels()
    more = f"; the first {MOST_PANELS} of {len(panels)}" if len(panels) > MOST_PANELS else ""
    figure.legend(
        handles, labels, loc="outside lower center", ncols=4,
        title=f"{counted(answer.tables['movements']['n'])}; whiskers: 95 % interval of the change{more}",
    )  # fmt: skip


def rows_of(answer: Answer) -> int:
    """Return how many rows of panels there are."""
    panels = min(MOST_PANELS, len(answer.tables["movements"].drop_duplicates(_PANEL)))
    return -(-panels // COLUMNS)


def _panel(axes: Axes, means: pd.DataFrame, people: pd.DataFrame) -> None:
    places = np.arange(len(means))
    for number, (state, aside, colour) in enumerate(_STATES):
        whole, centred = means[f"error_{state}"], means[f"centred_{state}"]
        axes.bar(places + aside, whole, _WIDTH * 0.94, color="white", edgecolor=colour, hatch=HATCHES[1], linewidth=0.6,
                 label=f"{state}: with its offset")  # fmt: skip
        axes.bar(places + aside, centred, _WIDTH * 0.94, color=colour, linewidth=0, label=f"{state}: centred")
        if number:
            bounds = _interval(means)
            axes.errorbar(places + aside, whole, yerr=bounds, fmt="none", ecolor=INK, elinewidth=0.8, capsize=2)
    if people["person"].nunique() <= _MOST_LINES:
        for place, (_, rows) in zip(places, people.groupby("movement", sort=False), strict=True):
            ends = [place + aside for _, aside, _ in _STATES]
            errors = rows[["error_before", "error_after"]].to_numpy().T
            axes.plot(ends, errors, color=FAINT, linewidth=0.5, marker=".", markersize=2)
    axes.set_xticks(places, [str(name).replace("_", "\n") for name in means["movement"]])
    axes.set_ylim(bottom=0)


def _interval(means: pd.DataFrame) -> Any:
    """Return (2, n) how far the interval of the change reaches below and above its mean; 0 where there is none."""
    middle = means["error_change"]
    reach = [middle - means["error_change_low"], means["error_change_high"] - middle]
    return np.nan_to_num(np.array(reach, dtype=np.float64)).clip(min=0)
