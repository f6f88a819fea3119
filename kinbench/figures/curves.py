"""Errors against an amount: of data, of people, of time, of what is wrong with a sensor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from kinbench.figures.canvas import (
    FAINT,
    INK,
    LINES,
    Axes,
    Figure,
    band,
    counted,
    error_label,
    label,
    line,
    note,
    nothing,
)
from kinbench.studies import Answer

_BUDGETS = {"seconds": "Own data (s)", "percent": "Own data (% of timeline)", "strides": "Own data (strides)"}


def budgets(answer: Answer, figure: Figure) -> None:
    """Error against a person's own data, with 95 % intervals over persons; dashed: each model's ``ui``."""
    axes, table, budget = figure.subplots(), answer.tables["curve"], answer.settings["budget"]
    if table.empty:
        nothing(axes, "Too few persons share these budgets.")
        return
    positive = sorted(size for size in table[budget].unique() if size > 0)
    axes.set_xscale("symlog", linthresh=positive[0], linscale=0.6)
    axes.set_xlim(-0.15 * positive[0], 1.15 * positive[-1])
    for number, (model, rows) in enumerate(table.groupby("model")):
        for training, some in rows.groupby("training", sort=True):
            scratch = training == "from scratch"
            line(axes, some[budget], some["mean"], number, f"{model}, {training}", faint=scratch)
            axes.lines[-1].set_linestyle((0, (2, 1.2)) if scratch else "-")
            band(axes, some[budget], some["low"], some["high"], number)
        _own(axes, answer.tables["baseline"], str(model), number)
    axes.set_xticks(sorted(table[budget].unique()))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    label(axes, _BUDGETS[budget], error_label(answer))
    note(axes, f"{counted(table['n'])}; bands: 95 % interval")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2)


def _own(axes: Axes, baseline: pd.DataFrame, model: str, number: int) -> None:
    own = baseline[baseline["model"] == model] if len(baseline) else baseline
    if len(own):
        axes.axhline(own["mean"].iloc[0], color=LINES[number % len(LINES)][0], linewidth=0.7, linestyle=(0, (6, 3)),
                     label=f"{model}, ui (own 80 %)")  # fmt: skip


def learning(answer: Answer, figure: Figure) -> None:
    """Error against the number of persons (or datasets) fitted on: means with 95 % intervals, the better curve."""
    axes, table, size = figure.subplots(), answer.tables["curve"], answer.settings["size"]
    if table.empty:
        nothing(axes, "Nobody has every size.")
        return
    axes.set_xscale("log")
    fitted = answer.tables["lines"]
    for number, (model, rows) in enumerate(table.groupby("model")):
        colour, shape, dash = LINES[number % len(LINES)]
        axes.errorbar(
            rows[size], rows["mean"], yerr=_bars(rows), fmt=shape, color=colour, capsize=1.5, elinewidth=0.6,
            label=str(model),
        )  # fmt: skip
        own = fitted[fitted["model"] == model] if len(fitted) else fitted
        if len(own):
            axes.plot(
                own[size], own["mean"], color=colour, linestyle=dash, label=f"{model}: {own['curve'].iloc[0]} fit"
            )
            band(axes, own[size], own["low"], own["high"], number)
        else:
            axes.plot(rows[size], rows["mean"], color=colour, linewidth=0.5, linestyle=":")
    target = answer.settings["target"]
    if target is not None:
        told = f"target {target:g} {answer.unit}"
        axes.axhline(target, color=FAINT, linewidth=0.7, linestyle=(0, (6, 3)), label=told)
    ticks = sorted(table[size].unique())
    digits = 2 if size == "fraction" else 3  # eleven fractions stand side by side
    axes.set_xticks(ticks, [f"{each:.{digits}g}" for each in ticks])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    label(axes, f"{answer.variant.removeprefix('over ').capitalize()} fitted on", error_label(answer))
    note(axes, f"{counted(table['n'])} tested; bars and bands: 95 % interval")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2)


def _bars(rows: pd.DataFrame) -> Any:
    return np.nan_to_num(np.array([rows["mean"] - rows["low"], rows["high"] - rows["mean"]])).clip(min=0)


def degraded(answer: Answer, figure: Figure) -> None:
    """Error against how much worse the training data were, a panel per model and a line per number of persons."""
    table, size = answer.tables["curve"], answer.settings["size"]
    models = [*dict.fromkeys(table["model"])] if len(table) else []
    panels = figure.subplots(1, max(1, len(models)), squeeze=False, sharey=True)[0]
    if not models:
        nothing(panels[0], "Nobody has every level.")
        return
    for axes, model in zip(panels, models, strict=True):
        rows = table[table["model"] == model]
        for number, (at, some) in enumerate(rows.groupby(size)):
            line(axes, some["level"], some["mean"], number, f"{at:g} {size}")
            band(axes, some["level"], some["low"], some["high"], number)
        axes.set_title(model)
        label(axes, _LEVELS.get(answer.settings["degradation"], "Level"), "")
        note(axes, counted(rows["n"]))
        axes.set_ylim(bottom=0)
    panels[0].set_ylabel(error_label(answer))
    panels[0].legend(loc="best")


_LEVELS = {
    "noise": "Noise on acceleration in training (SD, m/s²)", "sync": "Sensors late in training (ms)",
    "axes": "Sensors turned in training (deg)", "labels": "Offset of angles in training (SD, deg)",
}  # fmt: skip
_CHANGES = {
    "turn": "Turned (deg)", "shift": "Moved along the segment (cm)", "packets": "Packets lost (%)",
    "gyr_bias": "Gyroscope bias (deg/s)", "acc_bias": "Accelerometer bias (m/s²)", "rate": "Rate (Hz)",
    "acc_range": "Accelerometer range (g)", "gyr_range": "Gyroscope range (deg/s)",
}  # fmt: skip


def stress(answer: Answer, figure: Figure) -> None:
    """Error against how much is wrong with all sensors, a panel per kind; dotted: where it has doubled."""
    table = answer.tables["curve"]
    table = table[(table["sensor"] == "all") & table["change"].isin(_CHANGES)] if len(table) else table
    _multiples(answer, figure, table, ["model", "training"])


def stress_by_sensor(answer: Answer, figure: Figure) -> None:
    """As ``stress``, a line per sensor, of the model that errs least with sensors as worn."""
    table = answer.tables["curve"]
    who = ""
    if len(table):
        best = table[table["amount"] == 0].sort_values("mean", kind="stable").head(1).to_dict("records")[0]
        who = f"{best['model']}, {best['training']}; "
        table = table[(table["model"] == best["model"]) & (table["training"] == best["training"])]
        table = table[table["change"].isin(("turn", "shift"))]
    _multiples(answer, figure, table, ["sensor"], who)


def _multiples(answer: Answer, figure: Figure, table: pd.DataFrame, by: list[str], who: str = "") -> None:
    changes = [change for change in _CHANGES if len(table) and change in set(table["change"])]
    if not changes:
        nothing(figure.subplots(), "There is no amount to draw over.")
        return
    columns = min(4, len(changes))
    grid = figure.subplots(-(-len(changes) // columns), columns, squeeze=False, sharey=True)
    for axes in grid.ravel()[len(changes) :]:
        axes.axis("off")
    factor = answer.settings.get("factor", 2.0)
    for axes, change in zip(grid.ravel(), changes, strict=False):
        rows = table[table["change"] == change]
        falling = change in ("acc_range", "gyr_range", "rate")
        for number, (name, some) in enumerate(rows.groupby(by, sort=False)):
            _one(axes, some, number, ", ".join(map(str, name)), factor, falling)
        if falling:
            axes.invert_xaxis()
        label(axes, _CHANGES[change], "")
        axes.set_ylim(bottom=0)
    for row in grid:
        row[0].set_ylabel(error_label(answer))
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=min(4, len(names)))
    grid[0, -1 if len(changes) >= columns else 0].set_title(
        f"{who}{counted(table['n'])}; dotted: {factor:g} x as worn", loc="right", fontsize=6, fontweight="normal"
    )


def _one(axes: Axes, rows: pd.DataFrame, number: int, name: str, factor: float, falling: bool) -> None:
    worn = rows[rows["amount"] == 0]
    shown = (rows[rows["amount"] != 0] if falling else rows).sort_values("amount")
    line(axes, shown["amount"], shown["mean"], number, name)
    band(axes, shown["amount"], shown["low"], shown["high"], number)
    if len(worn):
        colour = LINES[number % len(LINES)][0]
        axes.axhline(worn["mean"].iloc[0] * factor, color=colour, linewidth=0.6, linestyle=":")
        if falling:
            axes.axhline(worn["mean"].iloc[0], color=colour, linewidth=0.4)


def front(answer: Answer, figure: Figure) -> None:
    """Error of every set of sensors against how many they are; the line joins the sets that no smaller one beats."""
    axes, table = figure.subplots(), answer.tables["subsets"]
    if table.empty:
        nothing(axes, "Nobody has every set of sensors.")
        return
    models = [*dict.fromkeys(table["model"])]
    for number, model in enumerate(models):
        rows = table[table["model"] == model]
        aside = (number - (len(models) - 1) / 2) * 0.18
        axes.plot(
            rows["count"] + aside, rows["mean"], ".", color=LINES[number % len(LINES)][0], alpha=0.35, markersize=3
        )
        best = rows[rows["on_front"]].sort_values("count")
        line(axes, best["count"] + aside, best["mean"], number, str(model))
        if number == 0:
            for row in best.to_dict("records"):
                axes.annotate(row["sensors"].replace("+", "\n"), (row["count"] + aside, row["mean"]), fontsize=5,
                              xytext=(0, -4), textcoords="offset points", ha="center", va="top", color=INK)  # fmt: skip
    axes.set_xticks(sorted(table["count"].unique()))
    axes.margins(y=0.3)
    axes.set_ylim(bottom=0)
    label(axes, "Number of sensors", error_label(answer))
    note(axes, counted(table["n"]))
    axes.legend(loc="upper right")


def drift(answer: Answer, figure: Figure) -> None:
    """Error against the time since a recording began, with 95 % intervals over persons."""
    axes, table = figure.subplots(), answer.tables["over_time"]
    if table.empty:
        nothing(axes, "No recording is long enough to tell.")
        return
    for number, (model, rows) in enumerate(table.groupby("model")):
        line(axes, rows["elapsed_s"], rows["mean"], number, str(model))
        band(axes, rows["elapsed_s"], rows["low"], rows["high"], number)
    axes.set_ylim(bottom=0)
    label(axes, "Time since the recording began (s)", error_label(answer))
    note(axes, f"{counted(table['n'])}; bands: 95 % interval")
    axes.legend(loc="best")


def distance(answer: Answer, figure: Figure) -> None:
    """Each person's error against the distance of that person's mean angles from those of the persons fitted on."""
    axes, table = figure.subplots(), answer.tables["distances"]
    if table.empty or not np.isfinite(table["distance"]).any():
        nothing(axes, "The models were fitted on nobody else of this dataset.")
        return
    for number, (model, rows) in enumerate(table.groupby("model")):
        colour, shape, _ = LINES[number % len(LINES)]
        axes.plot(rows["distance"], rows["error"], shape, color=colour, label=str(model), linestyle="", alpha=0.8)
        if len(rows) > 2 and np.ptp(rows["distance"]) > 0:
            slope, start = np.polyfit(rows["distance"], rows["error"], 1)
            ends = np.array([rows["distance"].min(), rows["distance"].max()])
            axes.plot(ends, start + slope * ends, color=colour, linewidth=0.7)
    axes.set_ylim(bottom=0)
    label(axes, "Distance of a person's mean angles from the others' (deg)", error_label(answer))
    note(axes, f"n = {table['person'].nunique()} persons; lines: least squares")
    axes.legend(loc="best")


def stars(p: float) -> str:
    """Return the usual marks of significance; none for a p that is unknown."""
    if not math.isfinite(p):
        return ""
    return "***" if p <= 0.001 else "**" if p <= 0.01 else "*" if p <= 0.05 else ""
