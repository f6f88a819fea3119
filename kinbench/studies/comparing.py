"""Which of several models differ under one protocol, and whether the protocol or the model makes the difference."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pandas as pd

from kinbench.errors import DataError
from kinbench.statistics.comparisons import compare
from kinbench.statistics.equivalence import equivalence
from kinbench.statistics.ranks import critical_difference
from kinbench.statistics.variance import repeated_measures, two_way
from kinbench.studies.answers import Answer
from kinbench.studies.cells import Cells, by_person, mapping, margin_of, melted, p_said, shared, summary


def answers(
    cells: Cells, name: str, *, protocols: tuple[str, ...] = (), margin: float | None = None, **_: object
) -> list[Answer]:
    """Return one answer per protocol without conditions (or those named): pairs, ranks, equivalence.

    One more lays methods (protocols) by models and analyses the variance over the persons that have every cell. Models
    that never rank are left out, and the answers say which.
    """
    cells = cells.ranked()
    if not cells.results:
        told = ("Nothing can be compared: no model of these results ever ranks.",)
        return [Answer("compare", question="Which models differ?", sentences=told, tables={}, shown=(), **cells.facts)]
    plain = {r.protocol.name for r in cells.results if not r.protocol.study and r.protocol.scope == "dataset"}
    wanted = [protocol for protocol in cells.protocols if protocol in (set(protocols) or plain)]
    chosen = cells.of(lambda protocol: protocol in wanted)
    found = [_answer(one, protocol, margin_of(one.unit, margin)) for protocol, one in chosen.each()]
    return found + ([_methods(chosen)] if len(wanted) > 1 else [])


def _answer(cells: Cells, protocol: str, margin: float | None) -> Answer:
    rows = by_person(cells.scores, ["model"])
    part = shared(rows, "model")
    facts = cells.facts
    base: dict[str, Any] = {**facts, "notes": (*facts["notes"], *part.notes(protocol))}
    persons = melted(part.table, "model")
    means = summary(persons, ["model"]).sort_values("mean", ignore_index=True)
    if part.table.shape[1] < 2:
        told = f"There is one model under '{protocol}': nothing to compare."
        return Answer(
            kind="compare", variant=protocol, question="Which models differ?", sentences=(told,),
            tables={"models": means, "persons": persons, **_ceilings(cells, persons)}, shown=("models",), **base,
        )  # fmt: skip
    pairs = compare(part.table)
    ranks = critical_difference(part.table)
    of_model = {str(model): mapping(part.table[model]) for model in part.table.columns}
    same = [
        (first, second, equivalence(of_model[first], of_model[second], margin=margin, unit=cells.unit))
        for first, second in combinations(of_model, 2)
        if margin is not None
    ]
    sentences = [
        f"{row['first']} against {row['second']}: {row['difference']:+.2f} {cells.unit} "
        f"({row['difference_low']:+.2f} to {row['difference_high']:+.2f}), {p_said(row['p_adjusted'])} (Wilcoxon, Holm)"
        f"{'' if row['significant'] else ': no difference shown'}."
        for row in pairs.to_frame().dropna(subset="p").to_dict("records")
    ]
    if pairs.note:
        sentences.append(pairs.note)
    groups = [group for group in ranks.groups if len(group) > 1]
    if groups:
        sentences.append(f"Not told apart by rank: {'; '.join(' and '.join(group) for group in groups)}.")
    shown = [f"{first} and {second}" for first, second, test in same if test.shown]
    sentences.append(
        f"Whether models are equivalent takes a margin in {cells.unit}, and none is given."
        if margin is None
        else f"Equivalent within {margin:g} {cells.unit}: {', '.join(shown) or 'no pair that it is shown of'}."
    )
    columns = ["first", "second", "difference", "difference_low", "difference_high", "margin", "p", "shown", "n"]
    equivalent = pd.DataFrame(columns=columns)
    if same:
        equivalent = pd.concat([test.to_frame().assign(first=a, second=b) for a, b, test in same], ignore_index=True)
    return Answer(
        kind="compare", variant=protocol, question="Which models differ, and which are as good as the same?",
        sentences=tuple(sentences),
        tables={
            "models": means,
            "pairs": pairs.to_frame().drop(columns=["test", "correction", "alpha", "statistic"]),
            "ranks": ranks.to_frame().assign(critical_difference=ranks.difference),
            "equivalence": equivalent[columns],
            "persons": persons,
            **_ceilings(cells, persons),
        },
        shown=("models", "pairs", "ranks", "equivalence"), settings={"margin": margin}, **base,
    )  # fmt: skip


def _ceilings(cells: Cells, persons: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return what is left of each model's RMSE once each person's mean error is taken off: a ceiling, and no result.

    It is of the same persons, stands in no table that is shown, and is drawn beside the bars.
    """
    if cells.metric != "rmse" or not all("centred_rmse" in result.metrics for result in cells.results):
        return {}
    rows = by_person(cells.told_in("centred_rmse").scores, ["model"])
    kept = rows.merge(persons[["model", "person"]], on=["model", "person"])
    means = kept.groupby("model")["value"].mean()
    return {"ceilings": pd.DataFrame({"model": means.index, "ceiling": means.to_numpy()})}


def _methods(cells: Cells) -> Answer:
    """Return the analyses of variance, method (protocol) by architecture (model), and the means of the cells."""
    rows = by_person(cells.scores, ["protocol", "model"]).rename(columns={"protocol": "method"})
    cell = rows["method"] + " / " + rows["model"]
    part = shared(rows.assign(cell=cell), "cell")
    kept = rows[rows["person"].isin(part.table.index) & cell.isin(part.table.columns)]
    within = [name for name in ("method", "model") if kept[name].nunique() > 1]
    sentences, tables = [], []
    try:
        found = repeated_measures(kept, within)
        tables.append(found.to_frame())
        sentences += [
            f"{effect.name}: F({effect.df:g}, {effect.error_df:g}) = {effect.f:.1f}, {p_said(effect.p_corrected)} "
            f"(repeated measures of {found.n} persons, Greenhouse-Geisser), partial eta squared "
            f"{effect.partial_eta_squared:.2f}."
            if not effect.reason else f"{effect.name}: {effect.reason}."
            for effect in found.effects
        ]  # fmt: skip
        if len(within) == 2:
            tables.append(two_way(kept, ("method", "model"), compat="independent_rows").to_frame())
            sentences.append(
                "The two-way analysis counts rows as persons, as papers do that score one group with every method; its "
                "p are wrong for such data, and it stands there only to compare with them."
            )
    except DataError as error:
        sentences.append(f"No analysis of variance: {error}")
    facts = cells.facts
    return Answer(
        kind="compare", variant="methods by models", question="Does the method (protocol) matter, or the model?",
        sentences=tuple(sentences),
        tables={
            "cells": summary(kept, ["method", "model"]),
            "variance": pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(), "persons": kept,
        },
        shown=("cells", "variance"), **{**facts, "notes": (*facts["notes"], *part.notes("methods by models"))},
    )  # fmt: skip
