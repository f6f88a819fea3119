"""How little of a new person's own data is enough: error against a budget in seconds, percent or strides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from kinbench.statistics import Estimate, paired_difference
from kinbench.statistics.curves import area_under, fit_curves
from kinbench.statistics.equivalence import non_inferiority
from kinbench.studies.answers import Answer
from kinbench.studies.cells import (
    Cells,
    bounded,
    by_person,
    columns,
    grouped,
    mapping,
    margin_of,
    meets,
    melted,
    shared,
    summary,
    told,
)

UNITS = {"seconds": "s", "percent": "%", "strides": "strides"}
PRE_TRAINED, SCRATCH = "pre-trained", "from scratch"
BASELINE = "ui"


def answers(cells: Cells, name: str, *, margin: float | None = None, **_: object) -> list[Answer]:
    """Return one answer per kind of budget. ``margin`` is what an error may exceed that of ``ui`` by and still match:
    one degree unless said, and not asked of in other units.

    Protocols whose name ends in ``/scratch`` learn from the budget alone; ``ui``'s results, where there are any, are
    what every curve is held against.
    """
    chosen = cells.of(lambda protocol: protocol == name or protocol.startswith(f"{name}/"))
    return [
        _answer(cells, chosen, budget, margin_of(cells.unit, margin))
        for budget in UNITS
        if budget in chosen.scores and chosen.scores[budget].notna().any()
    ]


def _answer(cells: Cells, chosen: Cells, budget: str, margin: float | None) -> Answer:
    scores = chosen.scores[chosen.scores[budget].notna()]
    scores = scores.assign(training=[
        SCRATCH if protocol.endswith("/scratch") else PRE_TRAINED for protocol in scores["protocol"]
    ])  # fmt: skip
    baseline = by_person(cells.scores[cells.scores["protocol"] == BASELINE], ["model"])
    persons, curves, matches, gains, sentences, notes = [], [], [], [], [], []
    tables: dict[tuple[str, str], pd.DataFrame] = {}
    for (model, training), rows in grouped(by_person(scores, ["model", "training", budget]), ["model", "training"]):
        part = shared(rows, budget)
        notes += part.notes(f"{model}, {training}")
        if part.table.empty:
            continue
        tables[model, training] = part.table
        persons.append(melted(part.table, budget, model=model, training=training))
        own = baseline[baseline["model"] == model].set_index("person")["value"]
        row, words = _match(part.table, own, budget, margin, cells.unit)
        matches.append({"model": model, "training": training, **row})
        sentences.append(f"{model}, {training}: {words}")
    everyone = pd.concat(persons, ignore_index=True) if persons else pd.DataFrame()
    if persons:
        curves.append(summary(everyone, ["model", "training", budget]))
    for model in sorted({model for model, _ in tables}):
        gains += _gains(tables, model, budget)
    sentences += _worth(gains, budget, cells.unit)
    facts = chosen.facts
    return Answer(
        kind="few-shot", variant=f"by {budget}",
        question=f"How much of a new person's data ({UNITS[budget]}) is enough?",
        sentences=tuple(sentences),
        tables={
            "curve": pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(),
            "enough": pd.DataFrame(matches), "pre_training": pd.DataFrame(gains), "persons": everyone,
            "baseline": summary(baseline, ["model"]),
        },
        shown=("curve", "enough", "pre_training"), settings={"margin": margin, "budget": budget},
        **{**facts, "notes": (*facts["notes"], *notes)},
    )  # fmt: skip


def _match(
    table: pd.DataFrame, own: pd.Series, budget: str, margin: float | None, unit: str
) -> tuple[dict[str, Any], str]:  # fmt: skip
    """Return a row on one curve, and the same in words: its area, where it flattens, where it meets ``ui``."""
    row, words = _shape(table, budget)
    row = {"n": len(table), **row}
    both = table.loc[[person for person in table.index if person in own.index]]
    if both.empty:
        missing = Estimate(np.nan, reason="there are no results of 'ui'")
        row |= {"ui": np.nan, **columns(missing, "matches_ui_at")}
        return row, f"{words}; {missing.reason} to hold it against."
    level = own.loc[both.index]
    for found, told_so in (_meeting(both, level, budget, unit), _sufficing(both, level, budget, margin, unit)):
        row |= found
        words += f"; {told_so}" if told_so else ""
    return row, f"{words}."


def _shape(table: pd.DataFrame, budget: str) -> tuple[dict[str, Any], str]:
    """Return the area under a curve and where it flattens, and the latter in words."""
    sizes = [float(size) for size in table.columns.astype(float) if size > 0]
    values = table.to_numpy(dtype=np.float64)[:, -len(sizes) :]
    row: dict[str, Any] = {}
    if len(sizes) >= 2:
        area = area_under(sizes, values, axis="log")
        row |= {"area": area.value, "area_low": area.low, "area_high": area.high}
    fits = fit_curves(sizes, values) if sizes else None
    if fits is not None and fits.better is not None:
        flat = bounded(fits.better.flattens_at(), sizes[-1])
    else:
        flat = Estimate(np.nan, reason=fits.sentence if fits is not None else "no budget above zero")
    row |= columns(flat, "flattens_at")
    if not np.isfinite(flat.value):
        return row, f"where it flattens is not known ({flat.reason})"
    beyond = f", beyond the {sizes[-1]:g} measured" if flat.value > sizes[-1] else ""
    return row, f"it flattens at {told(flat, UNITS[budget])}{beyond}"


def _meeting(both: pd.DataFrame, level: pd.Series, budget: str, unit: str) -> tuple[dict[str, Any], str]:
    """Return where a curve's mean meets that of ``ui`` on the same people, and the same in words."""
    mean = float(level.mean())
    sizes = [float(size) for size in both.columns]
    at = meets(sizes, both.to_numpy(dtype=np.float64), level.to_numpy(dtype=np.float64), rising=False)
    row = {"ui": mean, **columns(at, "matches_ui_at")}
    if not np.isfinite(at.value):
        return row, f"its mean does not reach that of 'ui' ({mean:.2f} {unit}), {at.reason}"
    return row, f"its mean matches that of 'ui' ({mean:.2f} {unit}) at {told(at, UNITS[budget])}"


def _sufficing(
    both: pd.DataFrame, level: pd.Series, budget: str, margin: float | None, unit: str
) -> tuple[dict[str, Any], str]:  # fmt: skip
    """Return from which budget on a curve is shown not to be worse than ``ui``, and the same in words."""
    if margin is None:
        return {}, ""
    least = _not_worse_from(both, mapping(level), margin, unit)
    row, told_so = {**columns(least, "not_worse_from")}, f"it is not worse than 'ui' by {margin:g} {unit}"
    if not np.isfinite(least.value):
        return row, f"that {told_so} is not shown: {least.reason}"
    return row, f"{told_so} from {least.value:g} {UNITS[budget]} on"


def _not_worse_from(table: pd.DataFrame, own: Mapping[str, float], margin: float, unit: str) -> Estimate:
    """Return the least budget from which on every budget is shown not to be worse than ``ui`` by the margin."""
    found, reason = np.nan, "at no budget"
    for size in reversed([*table.columns.astype(float)]):
        tested = non_inferiority(mapping(table[size]), own, margin=margin, unit=unit)
        if not tested.shown:
            reason = tested.reason or f"not at {size:g}"
            break
        found = float(size)
    return Estimate(found, n=len(table), reason=None if np.isfinite(found) else reason)


def _gains(tables: Mapping[tuple[str, str], pd.DataFrame], model: str, budget: str) -> list[dict[str, Any]]:
    """Return what pre-training gains at each budget: from scratch minus pre-trained, person by person."""
    if not {(model, PRE_TRAINED), (model, SCRATCH)} <= set(tables):
        return []
    with_, without = tables[model, PRE_TRAINED], tables[model, SCRATCH]
    rows = []
    for size in (size for size in without.columns if size in with_.columns):
        gain = paired_difference(mapping(without[size]), mapping(with_[size]))
        rows.append({
            "model": model, budget: size, PRE_TRAINED: float(with_[size].mean()), SCRATCH: float(without[size].mean()),
            "difference": gain.mean, "low": gain.low, "high": gain.high, "n": gain.n,
        })  # fmt: skip
    return rows


def _worth(gains: list[dict[str, Any]], budget: str, unit: str) -> list[str]:
    words = []
    for model in dict.fromkeys(row["model"] for row in gains):
        mine = [row for row in gains if row["model"] == model]
        helped = [row[budget] for row in mine if row["low"] is not None and row["low"] > 0]
        until = f"up to {max(helped):g} {UNITS[budget]} for sure" if helped else "at no budget for sure"
        first, last = mine[0], mine[-1]
        words.append(
            f"{model}: pre-training on other people helps {until}: {first['difference']:+.2f} {unit} at "
            f"{first[budget]:g}, {last['difference']:+.2f} at {last[budget]:g} {UNITS[budget]} (from scratch minus "
            "pre-trained)."
        )
    return words
