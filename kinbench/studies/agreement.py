"""How predicted angles agree with the reference: Bland-Altman limits and intraclass correlations, DoF by DoF."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from kinbench.statistics.agreement import bland_altman
from kinbench.statistics.reliability import icc
from kinbench.studies.answers import Answer
from kinbench.studies.cells import Cells
from kinbench.studies.slices import labels, plain_cells
from kinbench.studies.tracks import FloatArray, Kept, Track

MEASURES = ("sample", "peak", "range")
"""Every sample; the highest value of each stride; from the lowest to the highest of each stride."""
MOST_POINTS = 2_000
"""Pairs that are told for whoever draws them, evenly over each person; all of them enter the limits."""
ICC_FORM = "ICC(2,1)"
PHASES = np.linspace(0.0, 100.0, 101)
USUAL = (0.7, 1.3)
"""Strides outside these shares of a person's mean stride are left out of mean curves (protocols 1, Scores)."""


def answers(
    cells: Cells, name: str, *, kept: Kept, protocols: tuple[str, ...] = (), **_: object
) -> list[Answer]:  # fmt: skip
    """Return one answer per protocol without conditions (or those named): of ``name`` 'agreement', or 'cycles'."""
    make = _cycles if name == "cycles" else _agreement
    return [make(part, protocol, kept) for protocol, part in plain_cells(cells, protocols)]


def _first_seed(cells: Cells, kept: Kept) -> dict[tuple[str, str], list[Track]]:
    """Return the tracks by model and person of the lowest seed: the mean of several would be another model."""
    seeds = cells.scores.groupby("model")["seed"].min()
    found = {}
    for model, result in labels(cells):
        if result.seed == seeds.get(model):
            for person, tracks in kept.tracks(result).items():
                found[model, person] = tracks
    return found


def _agreement(cells: Cells, protocol: str, kept: Kept) -> Answer:
    unit = cells.own_unit
    pairs: dict[tuple[str, str, str], dict[str, list[FloatArray]]] = defaultdict(lambda: defaultdict(list))
    for (model, person), tracks in _first_seed(cells, kept).items():
        for track in tracks:
            for column, dof in enumerate(track.dofs):
                for measure, values in _measured(track, column).items():
                    if values.size:
                        pairs[model, dof, measure][person].append(values)
    rows, points, sentences = [], [], []
    for (model, dof, measure), by_person in sorted(pairs.items()):
        each = {person: np.concatenate(some) for person, some in by_person.items()}
        row = {"model": model, "dof": dof, "measure": measure, **_agreed(each)}
        rows.append(row)
        points.append(_points(each, model, dof, measure))
        if measure != "sample":
            continue
        sentences.append(
            f"{model}, {dof}: bias {row['bias']:+.2f} {unit}, 95 % of samples within {row['lower']:.2f} to "
            f"{row['upper']:.2f} {unit} of the reference ({row['n']} persons); {ICC_FORM} of the persons' means "
            f"{row['icc']:.2f}."
            if math.isfinite(row["lower"]) else f"{model}, {dof}: {row['reason']}."
        )  # fmt: skip
    base = cells.facts
    return Answer(
        kind="agreement", variant=protocol, question="How well do predicted angles agree with the reference?",
        sentences=tuple(sentences),
        tables={
            "limits": pd.DataFrame(rows), "points": pd.concat(points, ignore_index=True) if points else pd.DataFrame(),
        },
        shown=("limits",),
        **{**base, "metric": "difference", "unit": unit, "notes": (
            *base["notes"][1:],
            "Predicted minus reference, of the lowest seed; limits by Bland & Altman 2007, persons weigh alike; peak "
            "and range are of each stride.",
        )},
    )  # fmt: skip


def _measured(track: Track, column: int) -> dict[str, FloatArray]:
    """Return (k, 2) predicted and reference values of each measure."""
    reference = track.reference[:, column]
    predicted = reference + track.error[:, column]
    both = np.stack([predicted, reference], axis=1)
    strides = [both[start:stop] for start, stop in track.strides if np.isfinite(reference[start:stop]).all()]
    empty = np.empty((0, 2))
    return {
        "sample": both[np.isfinite(reference)],
        "peak": np.array([stride.max(axis=0) for stride in strides]) if strides else empty,
        "range": np.array([np.ptp(stride, axis=0) for stride in strides]) if strides else empty,
    }


def _agreed(each: Mapping[str, FloatArray]) -> dict[str, Any]:
    person = np.repeat([*each], [len(values) for values in each.values()])
    values = np.concatenate([*each.values()])
    found = bland_altman(values[:, 0], values[:, 1], [*person])
    means = np.array([some.mean(axis=0) for some in each.values()])
    same = icc(means).form(ICC_FORM)
    return {
        "bias": found.bias.value, "bias_low": found.bias.low, "bias_high": found.bias.high,
        "lower": found.lower.value, "lower_low": found.lower.low, "lower_high": found.lower.high,
        "upper": found.upper.value, "upper_low": found.upper.low, "upper_high": found.upper.high,
        "slope": found.slope.value, "icc": same.value.value, "icc_low": same.value.low, "icc_high": same.value.high,
        "n": found.n, "values": found.values, "reason": found.reason or "",
    }  # fmt: skip


def _points(each: Mapping[str, FloatArray], model: str, dof: str, measure: str) -> pd.DataFrame:
    share = min(1.0, MOST_POINTS / sum(map(len, each.values())))
    parts = []
    for person, values in each.items():
        # Places that are not a whole number apart, so that no rhythm of the values is met at one phase only.
        at = np.linspace(0, len(values) - 1, max(1, round(share * len(values)))).astype(int)
        parts.append(pd.DataFrame({"person": person, "predicted": values[at, 0], "reference": values[at, 1]}))
    return pd.concat(parts, ignore_index=True).assign(model=model, dof=dof, measure=measure)


# --- gait cycles -----------------------------------------------------------------------------------------------------


def _cycles(cells: Cells, protocol: str, kept: Kept) -> Answer:
    rows: list[dict[str, Any]] = []
    counts: dict[str, int] = defaultdict(int)
    curves: dict[tuple[str, str], list[FloatArray]] = defaultdict(list)
    for (model, person), tracks in sorted(_first_seed(cells, kept).items()):
        for dof, cycles in _of_person(tracks).items():
            curves[model, dof].append(cycles.mean(axis=0))
            counts[model] += len(cycles)
            apart = cycles.mean(axis=0)
            rows.append({
                "model": model, "dof": dof, "person": person, "cycles": len(cycles),
                "value": float(np.sqrt(np.mean((apart[:, 0] - apart[:, 1]) ** 2))),
            })  # fmt: skip
    parts = [_banded(np.array(some), model, dof) for (model, dof), some in sorted(curves.items())]
    base = cells.facts
    sentences = [
        f"{model}, {dof}: the mean cycles of {len(some)} persons differ by "
        f"{np.mean([np.sqrt(np.mean((one[:, 0] - one[:, 1]) ** 2)) for one in some]):.2f} {cells.own_unit} "
        "(RMS along the cycle)."
        for (model, dof), some in sorted(curves.items())
    ]
    return Answer(
        kind="cycles", variant=protocol, question="Where in the gait cycle do predicted and reference angles part?",
        sentences=tuple(sentences) or ("No stride is told by these references: there is no gait cycle.",),
        tables={
            "cycles": pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(), "persons": pd.DataFrame(rows),
        },
        shown=(), **{**base, "metric": cells.quantity, "unit": cells.own_unit, "notes": (
            *base["notes"][1:],
            "Mean of each person's cycles (both legs), then mean and SD over persons; cycles outside 70 to 130 % of a "
            "person's mean duration are left out; predictions of the lowest seed.",
        )},
    )  # fmt: skip


def _of_person(tracks: list[Track]) -> dict[str, FloatArray]:
    """Return a person's cycles by DoF without its side, (cycles, phase, 2): predicted and reference."""
    lengths = [stop - start for track in tracks for start, stop in track.strides]
    usual = (USUAL[0] * np.mean(lengths), USUAL[1] * np.mean(lengths)) if lengths else (0.0, 0.0)
    found: dict[str, list[FloatArray]] = defaultdict(list)
    for track in tracks:
        for start, stop in track.strides:
            if not usual[0] <= stop - start <= usual[1]:
                continue
            at = np.linspace(0.0, 100.0, stop - start + 1)
            for column, dof in enumerate(track.dofs):
                reference = track.reference[start : stop + 1, column]
                if np.isfinite(reference).all():
                    both = (reference + track.error[start : stop + 1, column], reference)
                    bare = dof.removesuffix("_r").removesuffix("_l")
                    found[bare].append(np.stack([np.interp(PHASES, at, one) for one in both], axis=1))
    return {dof: np.array(some) for dof, some in found.items()}


def _banded(persons: FloatArray, model: str, dof: str) -> pd.DataFrame:
    """Return mean and SD over persons of predicted and reference, a row per percent of the cycle."""
    n = len(persons)
    sd = persons.std(axis=0, ddof=1) if n > 1 else np.full(persons.shape[1:], np.nan)
    mean = persons.mean(axis=0)
    return pd.DataFrame({
        "model": model, "dof": dof, "cycle_percent": PHASES, "predicted": mean[:, 0], "predicted_sd": sd[:, 0],
        "reference": mean[:, 1], "reference_sd": sd[:, 1], "n": n,
    })  # fmt: skip
