"""The board on one page: every model's RMSE under every protocol, side by side."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from kinbench.leaderboards.tables import DASH, Table, marked, number

_KEYS = ("task", "dataset", "model")


def overview(tables: Sequence[Table]) -> pd.DataFrame:
    """Return one row per task, dataset tested on, and model; one column of RMSE texts per protocol.

    Under a protocol that trains on other datasets the text covers all of them (lowest to highest mean), without the
    diagonal. A model that estimates from whole recordings has its mark. Empty when there are fewer than two protocols
    to put side by side.
    """
    texts: dict[tuple[str, str, str], dict[str, str]] = {}
    tables = [table for table in tables if not table.conditions]  # a study has a table of its own, of many rows
    whole = frozenset[str]().union(*(table.whole for table in tables))
    for table in tables:
        for key, text in _cells(table).items():
            texts.setdefault(key, {})[table.protocol] = text
    protocols = list(dict.fromkeys(table.protocol for table in tables))
    if len(protocols) < 2:
        return pd.DataFrame(columns=[*_KEYS])
    rows = [
        {
            "task": task, "dataset": dataset, "model": marked(model, whole),
            **{name: found.get(name, DASH) for name in protocols},
        }
        for (task, dataset, model), found in sorted(texts.items())
    ]
    return pd.DataFrame(rows)


def _cells(table: Table) -> dict[tuple[str, str, str], str]:
    frame = table.overall
    if "train" not in frame:
        return {
            (table.task, table.dataset, str(row["model"])): _mean(row["rmse"], row["rmse_sd"])
            for row in frame.to_dict("records")
        }
    others = frame[frame["train"] != frame["test"]]
    found = {}
    for (test, model), rows in others.groupby(["test", "model"], sort=True):
        known = rows.dropna(subset=["rmse"])
        if len(known) == 1:
            text = _mean(known["rmse"].iloc[0], known["rmse_sd"].iloc[0])
        else:
            text = f"{number(known['rmse'].min(), 2)} to {number(known['rmse'].max(), 2)}" if len(known) else DASH
        found[table.task, str(test), str(model)] = text
    return found


def _mean(mean: float, deviation: float) -> str:
    value = number(mean, 2)
    return DASH if value == DASH else f"{value} ± {number(deviation, 2)}"
