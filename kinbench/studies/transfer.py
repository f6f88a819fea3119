"""What a model keeps of its accuracy in another laboratory: the matrix, leave-one-dataset-out, loss and distance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from kinbench.errors import DataError
from kinbench.statistics.distances import mantel
from kinbench.studies.answers import Answer
from kinbench.studies.cells import Cells, by_person, grouped, summary

_TO, _FROM = "dataset", "train"


def answers(
    cells: Cells, name: str, *, distances: Mapping[str, pd.DataFrame] | None = None, **_: object
) -> list[Answer]:  # fmt: skip
    """Return one answer per protocol that spans datasets: rows are trained on, columns tested on.

    ``distances`` are frames by name, datasets down and across, each held against the loss (error minus that of the
    dataset's own diagonal) by Mantel's test.
    """
    chosen = cells.of(lambda protocol: protocol == name or protocol.startswith((f"{name}/", f"{name}-")))
    return [
        _answer(one, protocol, distances or {})
        for protocol, one in chosen.each()
        if any(result.protocol.scope == "datasets" for result in one.results)
    ]


def _answer(cells: Cells, protocol: str, distances: Mapping[str, pd.DataFrame]) -> Answer:
    names = [name for name in cells.conditions if name != "draw"]
    rows = by_person(cells.scores, ["model", _FROM, _TO, *names])
    pairs = summary(rows, ["model", _FROM, _TO, *names])
    pairs["kind"] = [_kind(train, test) for train, test in zip(pairs[_FROM], pairs[_TO], strict=True)]
    own = pairs[pairs["kind"] == "own"].set_index(["model", _TO])["mean"]
    pairs["loss"] = [
        mean - own.get((model, test), np.nan)
        for model, test, mean in zip(pairs["model"], pairs[_TO], pairs["mean"], strict=True)
    ]
    tests, sentences = [], []
    for model in cells.models:
        mine = pairs[pairs["model"] == model]
        sentences += _words(mine, model, cells.unit)
        tests += [_tested(mine, model, name, frame) for name, frame in distances.items()]
    sentences += [_said(test) for test in tests]
    return Answer(
        kind=protocol, question="What does a model keep of its accuracy where it was not trained?",
        sentences=tuple(sentences),
        tables={
            "pairs": pairs, "left_out": _left_out(pairs), "distance": pd.DataFrame(tests), "persons": rows,
        },
        shown=("pairs", "left_out", "distance"), **cells.facts,
    )  # fmt: skip


def _kind(train: str, test: str) -> str:
    if train == test:
        return "own"
    return "others" if "+" in train else "other"


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
    other = pairs[pairs["kind"] == "other"].dropna(subset="loss")
    if other.empty:
        return [f"{model}: no pair of datasets has both a score and the target's own diagonal."]
    worst, best = _extreme(other, "loss", least=False), _extreme(other, "loss", least=True)
    return [
        f"{model}: in another laboratory the error is {other['loss'].mean():+.2f} {unit} on average over {len(other)} "
        f"pairs against each one's own, from {best['loss']:+.2f} ({best[_FROM]} to {best[_TO]}) to "
        f"{worst['loss']:+.2f} ({worst[_FROM]} to {worst[_TO]})."
    ]


def _said(test: Mapping[str, Any]) -> str:
    if test["reason"]:
        return f"{test['model']}, {test['distance']}: whether loss grows with it cannot be told: {test['reason']}"
    return (
        f"{test['model']}, {test['distance']}: loss against distance r = {test['r']:.2f}, p = {test['p']:.3f} (Mantel)."
    )
