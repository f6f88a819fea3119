"""How many people, or laboratories, a model needs, and how good their data must be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from kinbench.statistics.curves import CurveFit, fit_curves
from kinbench.studies.answers import Answer
from kinbench.studies.cells import Cells, bounded, by_person, columns, grouped, meets, melted, shared, summary, told

SIZES = ("fraction", "persons", "datasets")
POINTS = 60
"""Where a fitted curve is told for whoever draws it."""
TARGET, MARGIN = 5.0, 1.0


def answers(
    cells: Cells, name: str, *, target: float | None = None, margin: float = MARGIN, **_: object
) -> list[Answer]:  # fmt: skip
    """Return an answer for the curve over persons, one over datasets, and one per way in which data were made worse.

    ``target`` is the error that persons are counted for: 5 degrees where nothing is said, and none for what is not an
    angle. ``margin`` is what an error may exceed that of clean data by.
    """
    chosen = cells.of(lambda protocol: protocol == name or protocol.startswith(f"{name}/"))
    found = []
    for _protocol, one in chosen.each():
        size = next((size for size in SIZES if size in one.scores), None)
        if size is not None:
            found.append(_degraded(one, size, margin) if "level" in one.scores else _curve(one, size, target))
    return found


def _curve(cells: Cells, size: str, target: float | None) -> Answer:
    if target is None and cells.unit == "deg":
        target = TARGET
    persons, fits, needed, sentences, notes = [], [], [], [], []
    for (model,), rows in grouped(by_person(cells.scores, ["model", size]), ["model"]):
        part = shared(rows, size)
        notes += part.notes(str(model))
        if part.table.empty:
            continue
        persons.append(melted(part.table, size, model=model))
        sizes, values = [float(each) for each in part.table.columns], part.table.to_numpy(dtype=np.float64)
        both = fit_curves(sizes, values)
        fits += [_row(str(model), fit, fit is both.better) for fit in (both.exponential, both.power)]
        sentences.append(f"{model}: {both.sentence}")
        row: dict[str, Any] = {"model": model, "target": target, "n": len(part.table)}
        if both.better is None:
            row |= {"needed": np.nan, "reason": both.sentence}
        else:
            flat, needs = bounded(both.better.flattens_at(), sizes[-1]), ""
            if target is not None:
                reached = both.better.needed_for(target)
                row |= columns(reached, "needed")
                needs = f"{_needs(reached, size, target, cells.unit)}; "
            row |= columns(flat, "flattens_at")
            flattens = f"flattens at {told(flat, size, 3 if size == 'fraction' else 1)}"
            sentences.append(
                f"{model}: {needs}it {flattens if np.isfinite(flat.value) else f'does not flatten: {flat.reason}'}."
            )
        needed.append(row)
    everyone = pd.concat(persons, ignore_index=True) if persons else pd.DataFrame()
    curve = summary(everyone, ["model", size]) if persons else pd.DataFrame()
    facts = cells.facts
    return Answer(
        kind="learning-curve" if size != "fraction" else "data-size", variant=_over(cells, size),
        question=f"How {'much of the data' if size == 'fraction' else f'many {size}'} does a model need to fit on?",
        sentences=(*sentences, *_sizes(cells, curve, size)),
        tables={
            "curve": curve, "fits": pd.DataFrame(fits).drop(columns="line", errors="ignore"),
            "needed": pd.DataFrame(needed), "parameters": _parameters(cells, curve, size), "persons": everyone,
            "lines": _lines(fits, size),
        },
        shown=("curve", "fits", "needed", "parameters"), settings={"target": target, "size": size},
        **{**facts, "notes": (*facts["notes"], *notes)},
    )  # fmt: skip


def _over(cells: Cells, size: str) -> str:
    """Return what a curve runs over; a fraction may be of persons, or of windows."""
    of = next((name for name in ("windows", "persons") if size == "fraction" and name in cells.conditions), "")
    return f"over {size}" + (f" of {of}" if of else "")


def _needs(reached: Any, size: str, target: float, unit: str) -> str:
    if np.isfinite(reached.value):
        return f"{target:g} {unit} takes {told(reached, size, 2 if size == 'fraction' else 0)}"
    what = "how much of the data" if size == "fraction" else f"how many {size}"
    return f"{what} {target:g} {unit} takes is not told: {reached.reason}"


def _row(model: str, fit: CurveFit, better: bool) -> dict[str, Any]:
    own = fit.bootstrap
    return {
        "model": model, "curve": fit.kind, "better": better, "plateau": own.plateau.value,
        "plateau_low": own.plateau.low, "plateau_high": own.plateau.high, "gain": own.gain.value,
        "rate": own.rate.value, "r_squared": fit.r_squared, "aicc": fit.aicc, "reason": fit.reason or "", "line": fit,
    }  # fmt: skip


def _lines(fits: list[dict[str, Any]], size: str) -> pd.DataFrame:
    """Return the better curve of each model, with its band, for whoever draws it."""
    parts = []
    for row in fits:
        if not row["better"]:
            continue
        fit: CurveFit = row["line"]
        at = np.geomspace(fit.sizes[0], fit.sizes[-1], POINTS)
        low, high = fit.band(at)
        parts.append(pd.DataFrame({
            "model": row["model"], "curve": fit.kind, size: at, "mean": fit.predict(at), "low": low, "high": high,
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _parameters(cells: Cells, curve: pd.DataFrame, size: str) -> pd.DataFrame:
    """Return error against a model's parameters at each size, smaller models first."""
    if curve.empty or "parameters" not in cells.scores:
        return pd.DataFrame()
    known = cells.scores.groupby("model")["parameters"].max()
    rows = curve.assign(parameters=curve["model"].map(known)).dropna(subset="parameters")
    return rows.sort_values([size, "parameters"])[[size, "model", "parameters", "mean", "low", "high", "n"]]


def _sizes(cells: Cells, curve: pd.DataFrame, size: str) -> list[str]:
    """Return which model is best where there are fewest and most to learn from."""
    if curve.empty or curve["model"].nunique() < 2:
        return []
    words = []
    for at in dict.fromkeys((curve[size].min(), curve[size].max())):
        rows = curve[curve[size] == at].sort_values("mean")
        best = rows.iloc[0]
        words.append(f"{best['model']} at {at:g} {size} ({best['mean']:.2f} {cells.unit})")
    return [f"Lowest error: {' and '.join(words)}."]


# --- worse data ------------------------------------------------------------------------------------------------------


def _degraded(cells: Cells, size: str, margin: float) -> Answer:
    kind = str(cells.scores["kind"].iloc[0])
    persons, thresholds, sentences, notes = [], [], [], []
    for (model, at), rows in grouped(by_person(cells.scores, ["model", size, "level"]), ["model", size]):
        part = shared(rows, "level")
        notes += part.notes(f"{model}, {at:g} {size}")
        if part.table.empty or float(part.table.columns[0]) != 0.0:
            continue
        persons.append(melted(part.table, "level", model=model, **{size: at}))
        values = part.table.to_numpy(dtype=np.float64)
        level = meets([float(each) for each in part.table.columns], values, values[:, 0] + margin, rising=True)
        thresholds.append({
            "model": model, size: at, "clean": float(values[:, 0].mean()), "worst": float(values[:, -1].mean()),
            **columns(level, "threshold"), "n": len(values),
        })  # fmt: skip
        sentences.append(
            f"{model}, {at:g} {size}: the error exceeds that of clean data by {margin:g} {cells.unit} from "
            f"{told(level, '', 2)} on."
            if np.isfinite(level.value)
            else f"{model}, {at:g} {size}: the error stays within {margin:g} {cells.unit} of that of clean data up to "
            f"{float(part.table.columns[-1]):g} ({values[:, -1].mean() - values[:, 0].mean():+.2f} there)."
        )
    everyone = pd.concat(persons, ignore_index=True) if persons else pd.DataFrame()
    facts = cells.facts
    return Answer(
        kind="learning-curve", variant=f"degraded {kind}",
        question=f"How much worse may the training data be ({kind})?",
        sentences=tuple(sentences),
        tables={
            "curve": summary(everyone, ["model", size, "level"]) if persons else pd.DataFrame(),
            "thresholds": pd.DataFrame(thresholds), "persons": everyone,
        },
        shown=("curve", "thresholds"), settings={"margin": margin, "size": size, "degradation": kind},
        **{**facts, "notes": (*facts["notes"], *notes)},
    )  # fmt: skip
