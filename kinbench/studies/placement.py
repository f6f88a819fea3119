"""How wrong sensors may be put on, and how badly they may work, before a model breaks down."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from kinbench.statistics import Estimate
from kinbench.studies.answers import Answer
from kinbench.studies.cells import Cells, by_person, columns, grouped, meets, melted, shared, summary, told

FACTOR = 2.0
"""A model has broken down where its error is so many times that with sensors as worn."""
SMALLER_IS_WORSE = ("acc_range", "gyr_range", "rate")
UNMEASURED = ("swap_sides", "swap_labels", "missing")
"""Things that are so or not: there is no amount to interpolate over."""
_CONDITION = ("change", "amount", "unit", "sensor")


def answers(cells: Cells, name: str, *, factor: float = FACTOR, **_: object) -> list[Answer]:
    """Return one answer with all trainings that have results (as worn, augmented, several sites) side by side.

    The historical table of turned fits and tests has an answer of its own, as its conditions are others.
    """
    chosen = cells.of(lambda protocol: protocol == name or protocol.startswith(f"{name}/"))
    own = chosen.of(lambda protocol: "rapp" not in protocol)
    table = chosen.of(lambda protocol: "rapp" in protocol)
    found = [_answer(own, name, factor)] if len(own.scores) else []
    return found + ([_trained(table)] if "trained" in table.scores else [])


def _answer(cells: Cells, name: str, factor: float) -> Answer:
    training = cells.scores["protocol"].map(lambda protocol: _training(protocol, name))
    rows = by_person(cells.scores.assign(training=training), ["model", "training", *_CONDITION])
    worn = rows[rows["amount"] == 0]
    persons, breakdowns, plain, sentences, notes = [], [], [], [], []
    for (model, trained), some in grouped(rows, ["model", "training"]):
        here = worn[(worn["model"] == model) & (worn["training"] == trained)].set_index("person")["value"]
        if here.empty:
            notes.append(
                f"{model}, {trained}: there is no score with sensors as worn, so nothing to hold others against."
            )
            continue
        where = {"model": model, "training": trained}
        found = []
        for (change, unit, sensor), stressed in grouped(some[some["amount"] != 0], ["change", "unit", "sensor"]):
            part = shared(
                pd.concat([_zero(here, stressed["person"]), stressed[["amount", "person", "value"]]]), "amount"
            )
            if part.table.empty or 0 not in part.table.columns:
                continue
            persons.append(melted(part.table, "amount", **where, change=change, unit=unit, sensor=sensor))
            if change in UNMEASURED:
                plain.append(_plainly(part.table, {**where, "change": change, "sensor": sensor}))
            else:
                found += _breakdowns(part.table, {**where, "change": change, "unit": unit, "sensor": sensor}, factor)
        breakdowns += found
        sentences += _words(found, f"{model}, {trained}", factor, float(here.mean()), cells.unit)
    sentences += [_worst(plain, model, cells.unit) for model in dict.fromkeys(row["model"] for row in plain)]
    everyone = pd.concat(persons, ignore_index=True) if persons else pd.DataFrame()
    by = ["model", "training", "change", "unit", "sensor", "amount"]
    facts = cells.facts
    return Answer(
        kind="placement-stress", question="How wrong may sensors be put on, or work, before a model breaks down?",
        sentences=tuple(sentences),
        tables={
            "breakdown": pd.DataFrame(breakdowns), "either_or": pd.DataFrame(plain),
            "curve": summary(everyone, by) if persons else pd.DataFrame(), "persons": everyone,
        },
        shown=("breakdown", "either_or"), settings={"factor": factor},
        **{**facts, "notes": (*facts["notes"], *notes)},
    )  # fmt: skip


def _training(protocol: str, name: str) -> str:
    return protocol.removeprefix(name).strip("/") or "as worn"


def _zero(worn: pd.Series, persons: pd.Series) -> pd.DataFrame:
    """Return the scores with sensors as worn, of the persons that were stressed, as an amount of 0."""
    kept = worn[worn.index.isin(set(persons))]
    return pd.DataFrame({"amount": 0.0, "person": kept.index, "value": kept.to_numpy()})


def _breakdowns(table: pd.DataFrame, where: dict[str, Any], factor: float) -> list[dict[str, Any]]:
    """Return where the error has grown ``factor`` times, up and down apart where a change has a direction."""
    rows = []
    for direction, amounts in _directions([float(amount) for amount in table.columns], where["change"]).items():
        values = table[amounts].to_numpy(dtype=np.float64)
        if where["change"] in SMALLER_IS_WORSE:
            at = _first_beyond(amounts[1:], values[:, 1:], values[:, 0] * factor)
        else:
            at = meets([abs(amount) for amount in amounts], values, values[:, 0] * factor, rising=True)
        rows.append({
            **where, "direction": direction, **columns(at, "breakdown"), "worst_amount": amounts[-1],
            "as_worn": float(values[:, 0].mean()), "at_worst": float(values[:, -1].mean()),
            "ratio": float(values[:, -1].mean() / values[:, 0].mean()), "n": len(values),
        })  # fmt: skip
    return rows


def _directions(amounts: list[float], change: str) -> dict[str, list[float]]:
    """Return amounts from harmless to worst, 0 (as worn) first, by direction."""
    if change in SMALLER_IS_WORSE:
        return {"less": [0.0, *sorted((amount for amount in amounts if amount), reverse=True)]}
    up, down = [a for a in amounts if a >= 0], sorted((a for a in amounts if a <= 0), reverse=True)
    found = {"up" if len(down) > 1 else "": up, "down": down}
    return {direction: some for direction, some in found.items() if len(some) > 1}


def _first_beyond(amounts: list[float], table: np.ndarray[Any, Any], level: np.ndarray[Any, Any]) -> Estimate:
    """Return the first amount, as listed, from which on the error is beyond its level: there is no amount of 'none'."""
    beyond = table.mean(axis=0) >= level.mean()
    for k, amount in enumerate(amounts):
        if beyond[k:].all():
            return Estimate(amount, n=len(table), reason="the first measured level at which it has")
    return Estimate(math.nan, n=len(table), reason=f"never: not at {amounts[-1]:g} either")


def _plainly(table: pd.DataFrame, where: dict[str, Any]) -> dict[str, Any]:
    worn, stressed = (float(table[amount].mean()) for amount in (0, table.columns[-1]))
    return {**where, "as_worn": worn, "error": stressed, "ratio": stressed / worn, "n": len(table)}


def _words(found: list[dict[str, Any]], who: str, factor: float, worn: float, unit: str) -> list[str]:
    """Say what breaks a model down, and what does not, of what befalls all its sensors at once."""
    words, harmless = [f"{who}: {worn:.2f} {unit} with sensors as worn."], []
    for row in (row for row in found if row["sensor"] == "all"):
        what = row["change"].replace("_", " ") + (f" {row['direction']}" if row["direction"] in ("up", "down") else "")
        if math.isfinite(row["breakdown"]):
            reason = row["breakdown_reason"] or None
            at = Estimate(row["breakdown"], row["breakdown_low"], row["breakdown_high"], row["n"], reason=reason)
            words.append(f"{who}: {what} makes the error {factor:g} times as large at {told(at, row['unit'])}.")
        else:
            harmless.append(f"{what} ({row['ratio']:.2f} times at {abs(row['worst_amount']):g} {row['unit']})")
    if harmless:
        words.append(f"{who}: the error never becomes {factor:g} times as large by {', '.join(harmless)}.")
    alone = [row for row in found if row["change"] == "turn" and row["sensor"] != "all"]
    broken = [row for row in alone if math.isfinite(row["breakdown"])]
    if broken:
        first = min(broken, key=lambda row: float(row["breakdown"]))
        at_deg = f"{first['breakdown']:.0f} {first['unit']}"
        words.append(f"{who}: turned alone, {first['sensor']} breaks it first, at {at_deg}.")
    return words


def _worst(plain: list[dict[str, Any]], model: str, unit: str) -> str:
    worst = max((row for row in plain if row["model"] == model), key=lambda row: row["ratio"])
    what = f"{worst['change'].replace('_', ' ')} ({worst['sensor']})"
    error = f"{worst['error']:.2f} {unit}, {worst['ratio']:.1f} times as worn"
    return f"{model}: of what is so or not, {what} is worst: {error}."


# --- fitted and tested as worn or turned -----------------------------------------------------------------------------


def _trained(cells: Cells) -> Answer:
    tested = cells.scores["amount"].map(lambda amount: "turned" if amount else "as worn")
    rows = by_person(cells.scores.assign(tested=tested), ["model", "trained", "tested"])
    table = summary(rows, ["model", "trained", "tested"])
    sentences = []
    for (model,), some in grouped(table, ["model"]):
        mean = some.set_index(["trained", "tested"])["mean"]
        losses = ", ".join(
            f"{mean[trained, 'turned'] - mean[trained, 'as worn']:+.2f} {cells.unit} when fitted {trained}"
            for trained in dict.fromkeys(some["trained"])
            if {(trained, "turned"), (trained, "as worn")} <= set(mean.index)
        )
        sentences.append(f"{model}: turning all sensors in the test changes the error by {losses}.")
    facts = cells.facts
    return Answer(
        kind="placement-stress", variant="turned fits",
        question="Does a fit on turned sensors stand turned ones better?",
        sentences=tuple(sentences), tables={"turned": table, "persons": rows}, shown=("turned",), **facts,
    )  # fmt: skip
