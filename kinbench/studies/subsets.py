"""What each sensor is worth: error against the number of sensors, and with and without each of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from kinbench.statistics import bootstrap
from kinbench.studies.answers import Answer
from kinbench.studies.cells import RESAMPLES, Cells, by_person, grouped, melted, shared, summary

CHOSEN = (
    "The best sets are chosen by the very errors that are shown, of many sets: on other people they err more than told "
    "here, and sets that lie within each other's interval are not told apart."
)
NAMED = {1: "single sensor", 2: "pair", 3: "three"}


def answers(cells: Cells, name: str, **_: object) -> list[Answer]:
    """Return one answer per base protocol (``ui``, ``ug``, ``ua``)."""
    chosen = cells.of(lambda protocol: protocol == name or protocol.startswith(f"{name}/"))
    return [_answer(one, protocol.rpartition("/")[2]) for protocol, one in chosen.each()]


def _answer(cells: Cells, base: str) -> Answer:
    persons, subsets, best, worth, sentences, notes = [], [], [], [], [], []
    counts = cells.scores.groupby("sensors", sort=False)["count"].first().astype(int)
    for model in cells.models:
        scores = cells.scores[cells.scores["model"] == model]
        part = shared(by_person(scores, ["sensors"]), "sensors")
        notes += part.notes(model)
        if part.table.empty:
            continue
        rows = melted(part.table, "sensors", model=model)
        persons.append(rows)
        means = summary(rows, ["model", "sensors"])
        means.insert(2, "count", means["sensors"].map(counts))
        means = _fronted(means.sort_values(["mean", "count", "sensors"], ignore_index=True))
        subsets.append(means)
        best += _best(scores, counts, model)
        each = _worth(part.table, model)
        worth += each
        sentences += _words(means, each, model, cells.unit)
    all_subsets = pd.concat(subsets, ignore_index=True) if subsets else pd.DataFrame()
    facts = cells.facts
    return Answer(
        kind="sensor-subsets", variant=base, question="Which sensors are needed, and what does each add?",
        sentences=tuple(sentences),
        tables={
            "front": all_subsets[all_subsets["on_front"]] if subsets else pd.DataFrame(),
            "best_by_dof": pd.DataFrame(best), "worth": pd.DataFrame(worth), "subsets": all_subsets,
            "matrix": _matrix(all_subsets),
            "persons": pd.concat(persons, ignore_index=True) if persons else pd.DataFrame(),
        },
        shown=("front", "best_by_dof", "worth"), **{**facts, "notes": (*facts["notes"], CHOSEN, *notes)},
    )  # fmt: skip


def _fronted(means: pd.DataFrame) -> pd.DataFrame:
    """Return sets of sensors with ``best_of_count`` and ``on_front``: no smaller or equal set errs less."""
    best = means.groupby("count")["mean"].min()
    fewer = {count: best[best.index < count].min() for count in best.index}
    leads = means["mean"] == means["count"].map(best)
    front = leads & ~(means["mean"] >= means["count"].map(fewer).fillna(np.inf))
    return means.assign(best_of_count=leads, on_front=front)


def _best(scores: pd.DataFrame, counts: pd.Series, model: str) -> list[dict[str, Any]]:
    """Return the best single sensor, pair and three for each DoF, over the persons that all sets share."""
    rows = []
    for (dof,), values in grouped(scores.sort_values("dof"), ["dof"]):
        part = shared(by_person(values, ["sensors"]), "sensors").table
        for count, words in NAMED.items():
            names = [name for name in part.columns if counts[name] == count]
            if names and len(part):
                means = part[names].mean().sort_values(kind="stable")
                second = float(means.iloc[1]) if len(means) > 1 else np.nan
                rows.append({
                    "model": model, "dof": dof, "best": words, "sensors": means.index[0],
                    "error": float(means.iloc[0]), "second": second, "n": len(part),
                })  # fmt: skip
    return rows


def _worth(table: pd.DataFrame, model: str) -> list[dict[str, Any]]:
    """Return the mean error with and without each sensor, and what it adds to a set that lacks it, paired by person.

    Sets with a sensor are larger than those without; ``adds`` therefore compares each set with itself and the sensor.
    """
    sets = {name: frozenset(str(name).split("+")) for name in table.columns}
    named = {parts: name for name, parts in sets.items()}
    rows = []
    for sensor in dict.fromkeys(one for name in table.columns for one in str(name).split("+")):
        with_ = [name for name, parts in sets.items() if sensor in parts]
        without = [name for name, parts in sets.items() if sensor not in parts]
        pairs = [(name, named[sets[name] | {sensor}]) for name in without if sets[name] | {sensor} in named]
        row = {
            "model": model, "sensor": sensor, "with": float(table[with_].to_numpy().mean()),
            "without": float(table[without].to_numpy().mean()) if without else np.nan,
        }  # fmt: skip
        if pairs:
            lacking, having = (table[[pair[k] for pair in pairs]].to_numpy(dtype=np.float64) for k in (0, 1))
            gain = bootstrap((lacking - having).mean(axis=1).tolist(), resamples=RESAMPLES)
            row |= {"adds": gain.mean, "adds_low": gain.low, "adds_high": gain.high, "pairs": len(pairs), "n": gain.n}
        rows.append(row)
    return sorted(rows, key=lambda row: -row.get("adds", -np.inf))


def _matrix(subsets: pd.DataFrame) -> pd.DataFrame:
    """Return one row per model and set: its error, and for each sensor whether it is in it."""
    if subsets.empty:
        return pd.DataFrame()
    sensors = dict.fromkeys(one for name in subsets["sensors"] for one in name.split("+"))
    worn = {sensor: [sensor in name.split("+") for name in subsets["sensors"]] for sensor in sensors}
    return subsets[["model", "sensors", "count", "mean", "sd", "n"]].assign(**worn)


def _words(means: pd.DataFrame, worth: list[dict[str, Any]], model: str, unit: str) -> list[str]:
    front = means[means["on_front"]].sort_values("count")
    most = means.sort_values("count").to_dict("records")[-1]
    told = ", ".join(f"{row['mean']:.2f} with {row['sensors']}" for row in front.to_dict("records"))
    words = [f"{model}: the fewest sensors for an error ({unit}): {told}; all {most['count']} give {most['mean']:.2f}."]
    sure = [row for row in worth if row.get("adds") is not None]
    if sure:
        first, last = sure[0], sure[-1]
        words.append(
            f"{model}: {first['sensor']} adds most (the error falls by {first['adds']:.2f} {unit} on average where it "
            f"joins a set), {last['sensor']} least ({last['adds']:.2f})."
        )
    return words
