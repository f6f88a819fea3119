"""What a model keeps of its accuracy elsewhere: a matrix of datasets or activities, one left out, loss by distance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from kinbench.errors import DataError
from kinbench.results import Result
from kinbench.statistics.distances import mantel
from kinbench.studies.answers import Answer, plain
from kinbench.studies.cells import Cells, by_person, grouped, summary

_TO, _FROM = "dataset", "train"
DIAGONAL = "cross-dataset"
"""The protocol that trains and tests in one dataset, where another one of transfer does not."""
_ACTIVITIES = ("fitted_activity", "tested_activity")
_QUESTION = "What does a model keep of its accuracy where it was not trained?"

Distances = Mapping[str, pd.DataFrame] | Callable[[Iterable[Result]], Mapping[str, pd.DataFrame]]


def answers(cells: Cells, name: str, *, distances: Distances | None = None, **_: object) -> list[Answer]:
    """Return one answer per protocol that spans datasets: rows are trained on, columns tested on.

    ``distances`` are frames by name, datasets down and across (or what makes them of results), each held against the
    loss (error minus that of the dataset's own diagonal) by Mantel's test. What else sets folds apart (adapted or not,
    persons tuned on, the mixture of sources) is a column of its own.
    """
    chosen = cells.of(lambda protocol: protocol == name or protocol.startswith((f"{name}/", f"{name}-")))
    own = cells.of(DIAGONAL.__eq__).scores
    own = own[own[_FROM] == own[_TO]]
    return [
        _answer(one, protocol, (distances(one.results) if callable(distances) else distances) or {}, own)
        for protocol, one in chosen.each()
        if any(result.protocol.scope == "datasets" for result in one.results)
    ]


def activities(cells: Cells, name: str, **_: object) -> list[Answer]:
    """Return the matrix of activities: rows are fitted on, columns tested on, within one dataset."""
    chosen = cells.of(lambda protocol: protocol == name)
    if not set(_ACTIVITIES) <= set(chosen.conditions):
        return []
    scores = chosen.scores.assign(**dict(zip((_FROM, _TO), (chosen.scores[name] for name in _ACTIVITIES), strict=True)))
    return [_answer(replace(chosen, scores=scores.drop(columns=[*_ACTIVITIES])), name, {}, scores.head(0))]


def _answer(cells: Cells, protocol: str, distances: Mapping[str, pd.DataFrame], diagonal: pd.DataFrame) -> Answer:
    names = [name for name in cells.conditions if name != "draw"]
    rows = by_person(cells.scores, ["model", _FROM, _TO, *names])
    pairs = summary(rows, ["model", _FROM, _TO, *names])
    pairs["kind"] = [_kind(train, test) for train, test in zip(pairs[_FROM], pairs[_TO], strict=True)]
    pairs["loss"] = _losses(pairs, names, diagonal)
    tests: list[dict[str, Any]] = []
    sentences: list[str] = []
    for model in cells.models:
        mine = pairs[pairs["model"] == model]
        sentences += _by_condition(mine, names, model, cells.unit) if names else _words(mine, model, cells.unit)
        if not names:
            tests += [_tested(mine, model, name, frame) for name, frame in distances.items()]
    sentences += _told_of_distance(tests)
    return Answer(
        kind=protocol, question=_QUESTION, sentences=tuple(sentences),
        tables={
            "pairs": pairs, "left_out": _left_out(pairs) if not names else pd.DataFrame(),
            "loss_by_distance": pd.DataFrame(tests), "distances": _listed(distances), "persons": rows,
        },
        shown=("pairs", "left_out", "distances", "loss_by_distance"), settings={"conditions": names}, **cells.facts,
    )  # fmt: skip


def _kind(train: str, test: str) -> str:
    if train == test:
        return "own"
    return "others" if "+" in train else "other"


def _losses(pairs: pd.DataFrame, names: list[str], diagonal: pd.DataFrame) -> list[float]:
    """Return each error minus that of what was tested trained on itself: under the same condition, where there is one.

    Where the protocol has no diagonal of its own, that of ``cross-dataset`` stands in, which has no conditions.
    """
    own = pairs[pairs["kind"] == "own"]
    here = own.set_index(["model", _TO, *names])["mean"].to_dict()
    plain = by_person(diagonal, ["model", _TO]) if len(diagonal) else pd.DataFrame()
    there = plain.groupby(["model", _TO])["value"].mean().to_dict() if len(plain) else {}
    return [
        float(row["mean"])
        - here.get(tuple(row[name] for name in ("model", _TO, *names)), there.get((row["model"], row[_TO]), np.nan))
        for row in pairs.to_dict("records")
    ]


def _left_out(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return, per model and dataset left out, the error of all others together beside the best single one's."""
    rows = []
    for (model, test), some in grouped(pairs[pairs["kind"] != "own"], ["model", _TO]):
        alone, joined = some[some["kind"] == "other"], some[some["kind"] == "others"]
        if joined.empty:
            continue
        best = _extreme(alone, "mean", least=True) if len(alone) else None
        rows.append({
            "model": model, "left_out": test, "others_together": float(joined["mean"].iloc[0]),
            "best_single": float(best["mean"]) if best is not None else np.nan,
            "from": best[_FROM] if best is not None else "",
        })  # fmt: skip
    return pd.DataFrame(rows)


def _extreme(rows: pd.DataFrame, column: str, *, least: bool) -> dict[Any, Any]:
    """Return the row with the least or the largest value of a column."""
    ordered: list[dict[Any, Any]] = rows.sort_values(column, ascending=least, kind="stable").head(1).to_dict("records")
    return ordered[0]


def _tested(pairs: pd.DataFrame, model: str, name: str, distance: pd.DataFrame) -> dict[str, Any]:
    """Return Mantel's test of one distance against the loss, or why there is none."""
    loss = pairs[pairs["kind"] == "other"].pivot(index=_FROM, columns=_TO, values="loss")
    names = sorted(set(loss.index) & set(loss.columns) & set(map(str, distance.index)))
    row: dict[str, Any] = {"model": model, "distance": name, "datasets": len(names)}
    try:
        found = mantel(distance.loc[names, names], loss.loc[names, names])
    except DataError as error:
        return {**row, "r": np.nan, "p": np.nan, "reason": str(error)}
    return {**row, "r": found.r, "p": found.p, "reason": found.reason or ""}


def _words(pairs: pd.DataFrame, model: str, unit: str) -> list[str]:
    known = pairs.dropna(subset="loss")
    other = known[known["kind"] == "other"] if (known["kind"] == "other").any() else known[known["kind"] == "others"]
    if other.empty:
        return [f"{model}: no pair has both a score and one of where it was tested trained on itself."]
    worst, best = _extreme(other, "loss", least=False), _extreme(other, "loss", least=True)
    return [
        f"{model}: elsewhere the error is {other['loss'].mean():+.2f} {unit} on average over {len(other)} pairs "
        f"against each one's own, from {best['loss']:+.2f} ({best[_FROM]} to {best[_TO]}) to {worst['loss']:+.2f} "
        f"({worst[_FROM]} to {worst[_TO]})."
    ]


def _by_condition(pairs: pd.DataFrame, names: list[str], model: str, unit: str) -> list[str]:
    """Say the mean under each condition over the pairs that have all of them, or over each one's own if none has."""
    elsewhere = pairs[pairs["kind"] != "own"]
    rows = elsewhere if len(elsewhere) else pairs
    times = rows.groupby([_FROM, _TO])["mean"].transform("size")
    whole = rows[times == len(rows[names].drop_duplicates())]
    words = []
    for condition, some in grouped(whole if len(whole) else rows, names):
        named = ", ".join(f"{name} {plain(value)}" for name, value in zip(names, condition, strict=True))
        loss = some["loss"].dropna()
        of = f" ({len(loss)} of these)" if len(loss) < len(some) else ""
        against = f", {loss.mean():+.2f} against each one's own{of}" if len(loss) else ""
        words.append(f"{model}, {named}: {some['mean'].mean():.2f} {unit} on average over {len(some)} pairs{against}.")
    if 0 < len(whole) < len(rows):
        missing = len(rows[[_FROM, _TO]].drop_duplicates()) - len(whole[[_FROM, _TO]].drop_duplicates())
        pair = "pairs are" if missing > 1 else "pair is"
        words.append(f"{model}: {missing} {pair} left out of these means: not under every condition.")
    return words


def _told_of_distance(tests: list[dict[str, Any]]) -> list[str]:
    """Say every test that could be made, and once for each reason which ones could not."""
    words = [
        f"{test['model']}, {test['distance']}: loss against distance r = {test['r']:.2f}, p = {test['p']:.3f} (Mantel)."
        for test in tests
        if not test["reason"]
    ]
    refused: dict[str, list[str]] = {}
    for test in tests:
        if test["reason"]:
            refused.setdefault(test["reason"].rstrip("."), []).append(test["distance"])
    return words + [
        f"Whether loss grows with {', '.join(dict.fromkeys(names))} cannot be told: {reason}."
        for reason, names in refused.items()
    ]


def _listed(distances: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return distances as rows: which, in what unit, between whom."""
    return pd.DataFrame([
        {"distance": name, "unit": frame.attrs.get("unit", ""), "of": str(of), "to": str(to), "value": float(value)}
        for name, frame in distances.items()
        for of, row in frame.iterrows() for to, value in row.items() if str(of) < str(to)
    ])  # fmt: skip
