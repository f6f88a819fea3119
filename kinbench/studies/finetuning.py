"""What tuning a model to its target changes, movement by movement, and how much of that was a constant offset.

Squared error is the squared offset (the mean error of a leg) plus the squared centred error, exactly. Two laboratories
that put the zero of an angle elsewhere give every model an offset; taking it away is not estimating better. So each
movement is told before and after as it is, centred, and by the share of its fall that was offset alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinbench.errors import UsageError
from kinbench.statistics import MIN_PERSONS, Estimate, bootstrap_statistic, paired_difference
from kinbench.studies.answers import Answer, plain
from kinbench.studies.cells import RESAMPLES, Cells, columns, grouped, mapping

BEFORE = {"ua": "ug", "finetune-brough2025": "cross-dataset"}
"""Protocols that have nothing but the tuned model, and the one whose results are the same model as it came."""
_TUNED_ON = {"ua": "the person", "finetune-brough2025": "the same trials"}
ELSEWHERE = {
    "finetune-brough2025": "Before and after are not of the same seconds: the model as it came was tested on all of "
    "everybody's time, the tuned one on the last 6 % of it."
}
OFFSET = (
    "A squared error is the squared offset (the mean error of a leg) plus the squared centred error; means of persons "
    "do not add up so. Differences are after minus before, with 95 % bootstrap intervals over persons."
)
_PAIR = ["model", "train", "dataset", "tuned", "movement"]
_NUMBERS = ["error", "centred", "offset", "error_square", "offset_square"]

FloatArray = NDArray[np.float64]


def answers(cells: Cells, name: str, *, protocols: tuple[str, ...] = (), **_: object) -> list[Answer]:
    """Return one answer per protocol that has a model both as it came and tuned (of ``protocols``, where said).

    Those are protocols whose condition says which (``adapted``, or the number of ``persons`` tuned on), and those of
    ``BEFORE``. Raises ``UsageError`` for any metric but RMSE, which alone falls apart into offset and the rest.
    """
    if cells.metric != "rmse":
        raise UsageError(f"'{name}' tells RMSE and its offset apart and takes no other metric; got '{cells.metric}'.")
    cards = {result.protocol.name: result.protocol for result in cells.results}
    asked = cells.of(lambda protocol: cards[protocol].adapts or protocol in BEFORE.values())
    if not any(cards[protocol].adapts for protocol in asked.protocols):
        return []
    return [
        _answer(cells, protocol, persons)
        for protocol, persons in _paired(_errors(asked))
        if len(persons) and protocol in (protocols or {protocol})
    ]


# --- before and after ------------------------------------------------------------------------------------------------


def _errors(cells: Cells) -> pd.DataFrame:
    """Return a row per score: what it is of, its RMSE, centred RMSE and offset, and what the model was tuned on."""
    centred = cells.told_in("centred_rmse").scores
    rows = cells.scores.merge(
        centred, on=[name for name in centred.columns if name != "value"], suffixes=("", "_centred")
    ).rename(columns={"value": "error", "value_centred": "centred", "dof": "movement"})
    across = {result.protocol.name for result in cells.results if result.protocol.scope == "datasets"}
    rows = rows[~rows["protocol"].isin(across) | (rows["train"] != rows["dataset"])]
    squares = {"error_square": rows["error"] ** 2, "offset_square": (rows["error"] ** 2 - rows["centred"] ** 2).clip(0)}
    tuned = [_tuned(row) for row in rows.to_dict("records")]
    return rows.assign(**squares, offset=np.sqrt(squares["offset_square"]), tuned=tuned)


def _tuned(row: dict[Any, Any]) -> str:
    """Return what a row's model was tuned on, nothing for one as it came."""
    adapted, persons = row.get("adapted"), row.get("persons")
    if isinstance(adapted, str):
        return "" if adapted == "no" else "the person"
    if persons is not None and math.isfinite(persons):
        return "" if persons == 0 else f"{plain(float(persons))} other{'s' if persons > 1 else ''}"
    return _TUNED_ON.get(row["protocol"], "")


def _paired(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each protocol with its persons' means over folds and seeds, ``_before`` and ``_after``."""
    for protocol in sorted(rows["protocol"].unique()):
        own, came = rows[rows["protocol"] == protocol], rows[rows["protocol"] == BEFORE.get(protocol, protocol)]
        after, before = own[own["tuned"] != ""], came[came["tuned"] == ""].assign(tuned="")
        if len(before) and len(after):
            same = [*(name for name in _PAIR if name != "tuned"), "person"]
            first = before.groupby(same, sort=True)[_NUMBERS].mean().reset_index()
            then = after.groupby([*_PAIR, "person"], sort=True)[_NUMBERS].mean().reset_index()
            yield protocol, then.merge(first, on=same, suffixes=("_after", "_before"))


# --- tables and words ------------------------------------------------------------------------------------------------


def _answer(cells: Cells, protocol: str, persons: pd.DataFrame) -> Answer:
    order = {dof: number for number, dof in enumerate(cells.results[0].task.dofs)}
    amount = persons["tuned"].str.extract(r"(\d+)", expand=False).astype(float)
    persons = persons.assign(amount=amount, place=persons["movement"].map(order)).sort_values(
        ["model", "train", "dataset", "amount", "tuned", "place", "person"], ignore_index=True
    )
    movements = pd.DataFrame([
        {**dict(zip(_PAIR, names, strict=True)), **_movement(rows)} for names, rows in grouped(persons, _PAIR)
    ])  # fmt: skip
    told = [*_PAIR, *(name for name in movements.columns if name.startswith("error_")), "n"]
    facts = cells.facts
    notes = (OFFSET, *([ELSEWHERE[protocol]] if protocol in ELSEWHERE else []))
    shown = [f"{name}_{state}" for name in ("error", "centred", "offset") for state in ("before", "after")]
    return Answer(
        kind="finetuning", variant=protocol, question="What does tuning the model to its target change?",
        sentences=tuple(_words(row, cells.unit) for row in movements.to_dict("records")),
        tables={
            "movements": movements[told], "without_offset": movements.drop(columns=told[len(_PAIR):]),
            "persons": persons[[*_PAIR, "person", *shown]],
        },
        shown=("movements", "without_offset"),
        **{**facts, "notes": (*facts["notes"], *notes)},
    )  # fmt: skip


def _movement(rows: pd.DataFrame) -> dict[str, Any]:
    """Return the means of one movement, the difference that tuning made, and the offset's share in it."""
    found: dict[str, Any] = {}
    for name in ("error", "centred"):
        found |= {f"{name}_{state}": float(rows[f"{name}_{state}"].mean()) for state in ("before", "after")}
        found |= _change(rows, name)
    found |= {f"offset_{state}": float(rows[f"offset_{state}"].mean()) for state in ("before", "after")}
    return {**found, **columns(_offset_share(rows), "offset_share"), "n": len(rows)}


def _change(rows: pd.DataFrame, name: str) -> dict[str, float]:
    of = rows.set_index("person")
    found = paired_difference(mapping(of[f"{name}_after"]), mapping(of[f"{name}_before"]), resamples=RESAMPLES)
    low, high = (math.nan if bound is None else bound for bound in (found.low, found.high))
    return {f"{name}_change": found.mean, f"{name}_change_low": low, f"{name}_change_high": high}


def _offset_share(rows: pd.DataFrame) -> Estimate:
    """Return which percentage of the fall of squared error was the squared offset's; above 100, centred error rose."""
    squares = ("error_square", "offset_square")
    fall = np.column_stack([rows[f"{name}_before"] - rows[f"{name}_after"] for name in squares])
    if not fall[:, 0].mean() > 0:
        return Estimate(math.nan, n=len(fall), reason="the squared error did not fall")
    found = bootstrap_statistic(fall, _share, resamples=RESAMPLES)
    if len(fall) >= MIN_PERSONS and math.isnan(found.low):
        return Estimate(math.nan, n=len(fall), reason="whether the squared error fell hangs on who is drawn")
    return found


def _share(fall: FloatArray) -> FloatArray:
    """Return (resamples,) percentages for (resamples, n, 2) falls; NaN where the persons drawn have none."""
    total, offset = np.moveaxis(fall.mean(axis=1), -1, 0)
    return np.where(total > 0, 100.0 * offset / np.where(total > 0, total, 1.0), np.nan)


def _words(row: dict[Any, Any], unit: str) -> str:
    share, low, high = (row[f"offset_share{end}"] for end in ("", "_low", "_high"))
    interval = f" ({low:.0f} to {high:.0f})" if math.isfinite(low) else ""
    words = [_told(row, "error", unit), f"centred {_told(row, 'centred', unit)}"]
    if math.isfinite(share):
        words.append(f"{share:.0f} %{interval} of the fall of squared error was a constant offset")
    which = f"{row['model']}, {between(row['train'], row['dataset'])}, tuned on {row['tuned']}"
    return f"{which}, {row['movement'].replace('_', ' ')}: {'; '.join(words)}."


def between(train: str, dataset: str) -> str:
    """Return where a model came from and where it was tuned, in words."""
    return f"in {dataset}" if train == dataset else f"{train} to {dataset}"


def _told(row: dict[Any, Any], name: str, unit: str) -> str:
    low, high = row[f"{name}_change_low"], row[f"{name}_change_high"]
    interval = f" ({low:+.2f} to {high:+.2f})" if math.isfinite(low) else ""
    before, after = row[f"{name}_before"], row[f"{name}_after"]
    return f"{before:.2f} to {after:.2f} {unit}, {row[f'{name}_change']:+.2f}{interval}"
