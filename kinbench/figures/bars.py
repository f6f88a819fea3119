"""Bars with their deviation, and boxes with every person in sight."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from kinbench.figures.canvas import FAINT, HATCHES, INK, LINES, Axes, Figure, counted, error_label, label, note, nothing
from kinbench.figures.curves import stars
from kinbench.studies import Answer

MOST_BRACKETS = 6


def models(answer: Answer, figure: Figure) -> None:
    """Mean error of each model ± SD over persons; brackets join pairs that differ (Wilcoxon, Holm).

    For methods by models, groups of bars: one group per model, one bar per method.
    """
    axes = figure.subplots()
    if "cells" in answer.tables:
        _grouped(axes, answer.tables["cells"], "model", "method")
        n = answer.tables["cells"]["n"]
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=4)
    else:
        table = answer.tables["models"]
        n = table["n"]
        _plain(axes, table["model"], table)
        _brackets(axes, table, answer.tables.get("pairs"))
    told = _told(axes, answer)
    label(axes, "", error_label(answer))
    note(
        axes,
        f"{counted(n)}; bars: mean ± SD" + ("" if "cells" in answer.tables else "; * p ≤ 0.05, ** 0.01, *** 0.001")
        + told,
    )  # fmt: skip


def centring(answer: Answer, figure: Figure) -> None:
    """Error as it is, and after moving each person's answer by the mean error of the first strides."""
    axes, table = figure.subplots(), answer.tables["centring"]
    if table.empty:
        nothing(axes, "Nobody has strides enough: their first ten are left out of every bar.")
        return
    names = table["strides"].map(
        lambda count: "as it is" if count == 0 else f"{count:g} stride{'s' if count > 1 else ''}"
    )
    _grouped(axes, table.assign(after=names), "model", "after")
    label(axes, "", error_label(answer))
    note(axes, f"{counted(table['n'])}; bars: mean ± SD")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, title="Moved by the mean error of the first")


def turned(answer: Answer, figure: Figure) -> None:
    """Error ± SD with sensors as worn and turned in the test, by what the model was fitted on."""
    axes, table = figure.subplots(), answer.tables["turned"]
    names = table["model"] + ",\nfitted " + table["trained"]
    _grouped(axes, table.assign(fit=names, tested="tested " + table["tested"]), "fit", "tested")
    label(axes, "", error_label(answer))
    note(axes, f"{counted(table['n'])}; bars: mean ± SD")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)


def conditions(answer: Answer, figure: Figure) -> None:
    """Error ± SD under every condition of a study, a bar per model; a star where it differs from the base (Holm)."""
    axes, table, against = figure.subplots(), answer.tables["conditions"], answer.tables["against"]
    if table.empty:
        nothing(axes, "Nobody has every condition.")
        return
    differ = set(against[against["significant"]]["condition"]) if len(against) else set()
    marked = [f"{name} *" if name in differ else str(name) for name in table["condition"]]
    _grouped(axes, table.assign(marked=marked), "marked", "model")
    axes.tick_params(axis="x", rotation=25)
    label(axes, ", ".join(answer.settings["conditions"]).capitalize(), error_label(answer))
    note(axes, f"{counted(table['n'])}; bars: mean ± SD; * differs from the base, p ≤ 0.05 after Holm")
    axes.legend(loc="best")


def levels(answer: Answer, figure: Figure) -> None:
    """Mean error ± SD at every level of what differs within persons; a star where the slice differs (Holm)."""
    table, tests = answer.tables["levels"], answer.tables["tests"]
    slices = (
        [name for name, rows in table.groupby("slice", sort=False) if rows["level"].nunique() > 1] if len(table) else []
    )
    panels = figure.subplots(1, max(1, len(slices)), squeeze=False, sharey=True)[0]
    if not slices:
        nothing(panels[0], "No slice has two levels.")
        return
    for axes, name in zip(panels, slices, strict=True):
        rows = table[table["slice"] == name]
        _grouped(axes, rows, "level", "model")
        found = tests[(tests["slice"] == name) & tests["significant"].astype(bool)]["model"].tolist()
        axes.set_title(str(name).capitalize() + (f" * ({', '.join(found)})" if found else ""), fontsize=6.5)
        axes.tick_params(axis="x", labelsize=5.5, rotation=30)
    panels[0].set_ylabel(error_label(answer))
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, [*names], loc="outside lower center", ncols=4,
                  title=f"{counted(table['n'])}; bars: mean ± SD; * differs, p ≤ 0.05 after Holm")  # fmt: skip


def sensors(answer: Answer, figure: Figure) -> None:
    """What each sensor adds to a set that lacks it, with its 95 % interval over persons."""
    axes, table = figure.subplots(), answer.tables["worth"]
    table = table.dropna(subset="adds") if "adds" in table else pd.DataFrame()
    if table.empty:
        nothing(axes, "No set can be held against itself with one sensor more.")
        return
    order = [*dict.fromkeys(table.sort_values("adds", ascending=False)["sensor"])]
    names = [*dict.fromkeys(table["model"])]
    width = 0.8 / len(names)
    for number, model in enumerate(names):
        rows = table[table["model"] == model].set_index("sensor").reindex(order)
        at = np.arange(len(order)) + (number - (len(names) - 1) / 2) * width
        spread = np.nan_to_num(
            np.array([rows["adds"] - rows["adds_low"], rows["adds_high"] - rows["adds"]], dtype=float)
        )
        _bar(axes, at, rows["adds"], spread.clip(min=0), width, number, str(model))
    axes.set_xticks(range(len(order)), [name.replace("_", "\n") for name in order])
    axes.axhline(0, color=INK, linewidth=0.6)
    label(axes, "Sensor that joins a set", f"Fall of the {error_label(answer)}")
    note(axes, f"{counted(table['n'].dropna())}; 95 % interval")
    axes.legend(loc="best")


def boxes(answer: Answer, figure: Figure) -> None:
    """A box per model (median, quartiles, whiskers to the extremes) with every person as a point."""
    axes, table = figure.subplots(), answer.tables["persons"]
    value = "value" if "value" in table else "error"
    if table.empty:
        nothing(axes, "No person has every cell.")
        return
    by = ["method", "model"] if "method" in table else ["model"]
    groups = [(name, rows.sort_values("person")) for name, rows in table.groupby(by, sort=True)]
    places = np.arange(len(groups))
    axes.boxplot(
        [rows[value].to_numpy() for _, rows in groups], positions=places, widths=0.55, whis=(0, 100), showfliers=False,
        medianprops={"color": INK, "linewidth": 1.2}, boxprops={"color": FAINT}, whiskerprops={"color": FAINT},
        capprops={"color": FAINT},
    )  # fmt: skip
    for place, (_, rows) in zip(places, groups, strict=True):
        aside = np.resize(np.linspace(-0.16, 0.16, 7), len(rows))  # the same place for the same person in every box
        colour, shape, _ = LINES[int(place) % len(LINES)]
        axes.plot(place + aside, rows[value], shape, color=colour, markersize=2.4, linestyle="", alpha=0.75)
    axes.set_xticks(places, ["\n".join(map(str, name)) for name, _ in groups])
    axes.set_ylim(bottom=0)
    label(axes, "", error_label(answer))
    note(axes, f"{counted([len(rows) for _, rows in groups])}, a point each")


# --- strokes ---------------------------------------------------------------------------------------------------------


def _bar(axes: Axes, at: Any, height: Any, spread: Any, width: float, number: int, name: str) -> None:
    axes.bar(
        at, height, width * 0.92, yerr=spread, color=LINES[number % len(LINES)][0], label=name, linewidth=0.4,
        hatch=HATCHES[number % len(HATCHES)], edgecolor="white",
        error_kw={"elinewidth": 0.6, "capsize": 1.5, "ecolor": INK},
    )  # fmt: skip


def _plain(axes: Axes, names: pd.Series, table: pd.DataFrame) -> None:
    for number, (mean, sd) in enumerate(zip(table["mean"], table["sd"], strict=True)):
        _bar(axes, [number], [mean], [np.nan_to_num(sd)], 0.65, number, str(names.iloc[number]))
    axes.set_xticks(range(len(table)), [*names])
    axes.set_xlim(-0.6, len(table) - 0.4)


def _told(axes: Axes, answer: Answer) -> str:
    """Draw what each model's error would be with the test offset told to it, and return the words for it."""
    if "ceilings" not in answer.tables or "cells" in answer.tables:
        return ""
    ceilings = answer.tables["ceilings"].set_index("model")["ceiling"].reindex(answer.tables["models"]["model"])
    for number, ceiling in enumerate(ceilings):
        axes.plot([number - 0.36, number + 0.36], [ceiling, ceiling], color=INK, linestyle=":", linewidth=1.0)
    return "; dotted: with the test offset told, no result"


def _grouped(axes: Axes, table: pd.DataFrame, along: str, apart: str) -> None:
    places, names = [*dict.fromkeys(table[along])], [*dict.fromkeys(table[apart])]
    width = 0.8 / len(names)
    for number, name in enumerate(names):
        rows = table[table[apart] == name].set_index(along).reindex(places)
        at = np.arange(len(places)) + (number - (len(names) - 1) / 2) * width
        _bar(axes, at, rows["mean"], np.nan_to_num(rows["sd"].to_numpy(dtype=float)), width, number, str(name))
    axes.set_xticks(range(len(places)), [str(place) for place in places])
    axes.set_ylim(bottom=0)


def _brackets(axes: Axes, table: pd.DataFrame, pairs: pd.DataFrame | None) -> None:
    """Join the pairs that differ, the nearest ones lowest."""
    if pairs is None:
        return
    place = {name: number for number, name in enumerate(table["model"])}
    top = float((table["mean"] + np.nan_to_num(table["sd"])).max())
    found = [row for row in pairs.to_dict("records") if row["significant"]]
    found.sort(key=lambda row: (abs(place[row["first"]] - place[row["second"]]), row["p_adjusted"]))
    for height, row in enumerate(found[:MOST_BRACKETS], start=1):
        left, right = sorted((place[row["first"]], place[row["second"]]))
        y = top * (1 + 0.09 * height)
        axes.plot([left, left, right, right], [y - 0.02 * top, y, y, y - 0.02 * top], color=INK, linewidth=0.6)
        axes.text((left + right) / 2, y, stars(row["p_adjusted"]), ha="center", va="bottom", fontsize=6)
    axes.set_ylim(0, top * (1.12 + 0.09 * min(len(found), MOST_BRACKETS)))
