"""What each condition of any other study costs: errors side by side, every condition against the first."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from kinbench.statistics.comparisons import ALPHA, compare, holm
from kinbench.studies.answers import Answer
from kinbench.studies.cells import Cells, by_person, grouped, p_said, shared, summary

BASES = ("none", "no", "as worn", "0")
"""Conditions that others are held against, where there is one of them; the first by name where there is none."""


def answers(cells: Cells, name: str, **_: object) -> list[Answer]:
    """Return one answer per protocol with conditions: draws are averaged, conditions joined into one label."""
    chosen = cells.of(lambda protocol: protocol == name or protocol.startswith(f"{name}/"))
    return [_answer(one, protocol) for protocol, one in chosen.each() if [c for c in one.conditions if c != "draw"]]


def _answer(cells: Cells, protocol: str) -> Answer:
    names = [name for name in cells.conditions if name != "draw"]
    label = cells.scores[names].astype(str).agg(", ".join, axis=1)
    rows = by_person(cells.scores.assign(condition=label), ["model", "condition"])
    tables, pairs, sentences, notes = [], [], [], []
    for (model,), some in grouped(rows, ["model"]):
        part = shared(some, "condition")
        notes += part.notes(str(model))
        if part.table.empty:
            continue
        tables.append(some[some["person"].isin(part.table.index) & some["condition"].isin(part.table.columns)])
        if part.table.shape[1] > 1:
            found = _against(part.table, str(model))
            pairs += found
            sentences += [_said(row, cells.unit) for row in found]
    everyone = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    facts = cells.facts
    return Answer(
        kind=protocol, question="What does each condition cost?", sentences=tuple(sentences),
        tables={
            "conditions": summary(everyone, ["model", "condition"]) if tables else pd.DataFrame(),
            "against": pd.DataFrame(pairs), "persons": everyone,
        },
        shown=("conditions", "against"), settings={"conditions": names},
        **{**facts, "notes": (*facts["notes"], *notes)},
    )  # fmt: skip


def _against(table: pd.DataFrame, model: str) -> list[dict[str, Any]]:
    """Return each condition minus the base, with Holm's correction over them alone."""
    base = next((name for name in BASES if name in table.columns), str(table.columns[0]))
    found: list[dict[str, Any]] = []
    for condition in (name for name in table.columns if name != base):
        (pair,) = compare(table[[condition, base]], correction="none").pairs
        found.append({
            "model": model, "condition": condition, "base": base, "difference": pair.difference.mean,
            "low": pair.difference.low, "high": pair.difference.high, "p": pair.p, "n": pair.n,
        })  # fmt: skip
    adjusted = holm([float(row["p"]) for row in found])
    return [{**row, "p_adjusted": p, "significant": p <= ALPHA} for row, p in zip(found, adjusted, strict=True)]


def _said(row: dict[str, Any], unit: str) -> str:
    told = f"; {p_said(row['p_adjusted'])} (Wilcoxon, Holm)" if math.isfinite(row["p_adjusted"]) else ""
    return f"{row['model']}, {row['condition']}: {row['difference']:+.2f} {unit} against {row['base']}{told}."
