"""Predicted angles against the reference: over the gait cycle, and by Bland and Altman."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from kinbench.figures.canvas import FAINT, INK, LINES, Axes, Figure, counted, nothing
from kinbench.studies import Answer

DOFS = {"hip_flexion": "Hip flexion", "knee_flexion": "Knee flexion", "ankle_dorsiflexion": "Ankle dorsiflexion"}


def cycles(answer: Answer, figure: Figure) -> None:
    """Mean ± SD over persons of predicted and reference angles over the gait cycle: a row per DoF."""
    table = answer.tables["cycles"]
    if table.empty:
        nothing(figure.subplots(), "No stride is told by these references: there is no gait cycle.")
        return
    models, dofs = [*dict.fromkeys(table["model"])], [*dict.fromkeys(table["dof"])]
    grid = figure.subplots(len(dofs), len(models), squeeze=False, sharex=True, sharey="row")
    for row, dof in zip(grid, dofs, strict=True):
        for axes, model in zip(row, models, strict=True):
            rows = table[(table["model"] == model) & (table["dof"] == dof)]
            _cycle(axes, rows, "reference", INK, "-", "reference")
            _cycle(axes, rows, "predicted", LINES[1][0], (0, (4, 1.5)), "predicted")
            axes.set_title(f"{model} ({counted(rows['n'])})" if len(rows) else model, fontsize=6.5)
            axes.set_xlim(0, 100)
        row[0].set_ylabel(f"{DOFS.get(dof, dof.replace('_', ' '))} ({answer.unit})")
    for axes in grid[-1]:
        axes.set_xlabel("Gait cycle from contact (%)")
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, title="mean, band ± SD over persons")


def _cycle(axes: Axes, rows: pd.DataFrame, what: str, colour: str, dash: Any, name: str) -> None:
    x, mean, sd = rows["cycle_percent"], rows[what], rows[f"{what}_sd"]
    axes.fill_between(x, mean - sd, mean + sd, color=colour, alpha=0.15, linewidth=0)
    axes.plot(x, mean, color=colour, linestyle=dash, label=name)


def bland_altman(answer: Answer, figure: Figure) -> None:
    """Difference against mean of predicted and reference range of motion (samples, where no stride is told), by DoF."""
    limits, points = answer.tables["limits"], answer.tables["points"]
    if limits.empty:
        nothing(figure.subplots(), "There are no values to compare.")
        return
    measure = "range" if "range" in set(limits["measure"]) else "sample"
    limits = limits[limits["measure"] == measure]
    models, dofs = [*dict.fromkeys(limits["model"])], [*dict.fromkeys(limits["dof"])]
    grid = figure.subplots(len(dofs), len(models), squeeze=False)
    for row, dof in zip(grid, dofs, strict=True):
        for axes, model in zip(row, models, strict=True):
            some = points[(points["model"] == model) & (points["dof"] == dof) & (points["measure"] == measure)]
            _agreed(axes, some, limits[(limits["model"] == model) & (limits["dof"] == dof)])
            axes.set_title(f"{model}: {dof.replace('_', ' ')}", fontsize=6.5)
        row[0].set_ylabel(f"Predicted minus\nreference ({answer.unit})")
    for axes in grid[-1]:
        axes.set_xlabel(f"Mean of both, {'range of motion' if measure == 'range' else 'every sample'} ({answer.unit})")


COARSE = 2.0
"""Limits further apart than this are read to a tenth: degrees are, forces in body weights are not."""


def _agreed(axes: Axes, points: pd.DataFrame, limits: pd.DataFrame) -> None:
    if limits.empty:
        nothing(axes, "no values")
        return
    told = limits.iloc[0]
    mean = (points["predicted"] + points["reference"]) / 2
    difference = points["predicted"] - points["reference"]
    people = [*dict.fromkeys(points["person"])]
    for number, person in enumerate(people):
        mine = points["person"] == person
        axes.plot(mean[mine], difference[mine], LINES[number % len(LINES)][1], color=LINES[number % len(LINES)][0],
                  linestyle="", markersize=2.2, alpha=0.5, markeredgewidth=0, rasterized=True)  # fmt: skip
    axes.axhline(0, color=FAINT, linewidth=0.5)
    digits = 1 if told["upper"] - told["lower"] > COARSE else 3
    for name, dash in (("bias", "-"), ("lower", (0, (4, 2))), ("upper", (0, (4, 2)))):
        if not math.isfinite(told[name]):
            continue
        axes.axhline(told[name], color=INK, linewidth=0.9, linestyle=dash)
        if math.isfinite(told[f"{name}_low"]):
            bounds = [[told[name] - told[f"{name}_low"]], [told[f"{name}_high"] - told[name]]]
            axes.errorbar(
                [0.985], [told[name]], yerr=bounds, transform=axes.get_yaxis_transform(), color=INK, elinewidth=0.7,
                capsize=1.5, clip_on=True,
            )  # fmt: skip
        axes.annotate(
            f"{told[name]:+.{digits}f}", (0.965, told[name]), xycoords=("axes fraction", "data"), ha="right",
            va="bottom", fontsize=5.5,
        )  # fmt: skip
    reach = [difference.min(), difference.max(), told["lower"], told["upper"]]
    low, high = min(map(float, filter(math.isfinite, reach))), max(map(float, filter(math.isfinite, reach)))
    axes.set_ylim(low - 0.12 * (high - low), high + 0.3 * (high - low))
    axes.text(0.02, 0.98, f"n = {told['n']} persons, {told['values']} values\nICC(2,1) {told['icc']:.2f}",
              transform=axes.transAxes, va="top", fontsize=5.5)  # fmt: skip
