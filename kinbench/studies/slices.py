"""For whom, and when, a model is worse: by activity, speed, side and phase, by what a person is, over time."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench.results import Result
from kinbench.statistics import slices as tests
from kinbench.statistics.comparisons import ALPHA, signed_rank
from kinbench.studies.answers import Answer
from kinbench.studies.cells import Cells, grouped, p_said, summary
from kinbench.studies.tracks import FloatArray, Kept, Track

STRIDES = (1, 2, 5, 10)
"""Strides by whose mean error a person's whole answer is moved, as one calibration trial would."""
LEAST_SAMPLES = 50
"""A level with fewer samples of a person says nothing of that person."""
LEAST_STRIDES = 9
"""A person's strides are told apart by speed from so many on: three in each third."""
QUARTERS = ("0-25 %", "25-50 %", "50-75 %", "75-100 %")
SPEEDS = ("slow", "middle", "fast")
SIDES = {"r": "right", "l": "left"}
WITHIN = ("activity", "side", "gait phase", "stride rate")
BETWEEN = ("sex", "condition", "affected_side")
NUMBERS = {"age_y": "age", "height_m": "height", "mass_kg": "mass", "leg_length_m": "leg length"}
TIME_STEPS_S = (5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
MOST_STEPS = 12

Labels = NDArray[np.str_]


def answers(
    cells: Cells, name: str, *, kept: Kept, protocols: tuple[str, ...] = (), **_: object
) -> list[Answer]:  # fmt: skip
    """Return one answer per protocol without conditions (or those named), from the kept predictions of its results."""
    return [_answer(part, protocol, kept) for protocol, part in plain_cells(cells, protocols)]


def plain_cells(cells: Cells, protocols: Sequence[str]) -> list[tuple[str, Cells]]:
    """Return the cells of each protocol named, or of each that is no study and stays within a dataset."""
    plain = {r.protocol.name for r in cells.results if not r.protocol.study and r.protocol.scope == "dataset"}
    return [(protocol, one) for protocol, one in cells.each() if protocol in (set(protocols) or plain)]


def labels(cells: Cells) -> list[tuple[str, Result]]:
    """Return each result with its model's label."""
    by_fold = cells.scores.drop_duplicates(["model", "seed", "fold"])
    known = {(row["fold"], row["seed"], _selector(row["model"])): row["model"] for row in by_fold.to_dict("records")}
    return [
        (known.get((result.fold.name, result.seed, result.model.selector), result.model.selector), result)
        for result in cells.results
    ]


def _selector(label: str) -> str:
    return label.partition(" (")[0]


def _answer(cells: Cells, protocol: str, kept: Kept) -> Answer:
    read = _Readings()
    for model, result in labels(cells):
        others = kept.others(result)
        for person, tracks in kept.tracks(result).items():
            read.add(model, person, tracks, dict(zip(result.task.dofs, others, strict=True)))
    facts = kept.facts(cells.dataset)
    found, persons, worst, sentences = [], [], [], []
    for model in cells.models:
        made = tests.corrected(_tests(read, model, facts)) if read.persons(model) else None
        if made is None:
            continue
        found.append(made.to_frame().assign(model=model))
        mine = read.overall(model)
        persons += [
            {"model": model, "person": who, "error": error, **facts.get(who, {})} for who, error in mine.items()
        ]
        at = max(mine, key=lambda who: mine[who])
        middle = float(np.median([*mine.values()]))
        worst.append({"model": model, "person": at, "error": mine[at], "median": middle, "n": len(mine)})
        sentences += [_said(model, name, test, cells.own_unit) for name, test in made.tests.items() if test.significant]
        shown = sum(test.significant for test in made.tests.values())
        tested = sum(math.isfinite(test.p) for test in made.tests.values())
        sentences.append(
            f"{model}: {shown} of {tested} slices differ after Holm's correction; the worst person is {at}, "
            f"{mine[at]:.2f} {cells.own_unit} against a median of {middle:.2f}."
        )
    centring, drift = _centring(read, cells.models), _drift(read, cells.models)
    sentences += [*_centring_words(centring, cells.own_unit), *_drift_words(drift, cells.own_unit)]
    base = cells.facts
    note = (
        "Slices are RMSE over the kept predictions; strides and phases are told by the reference's flexion. The "
        "centred errors leave out each person's first strides, so that all rows rest on the same samples."
    )
    return Answer(
        kind="slices", variant=protocol, question="For whom, and when, is a model worse?", sentences=tuple(sentences),
        tables={
            "tests": _ordered(found), "levels": read.levels(), "worst": pd.DataFrame(worst), "centring": centring,
            "drift": drift, "over_time": read.over_time(), "persons": pd.DataFrame(persons),
            "distances": read.distances(),
        },
        shown=("tests", "levels", "worst", "centring", "drift"),
        **{**base, "metric": "rmse", "unit": cells.own_unit, "notes": (*base["notes"][1:], note)},
    )  # fmt: skip


def _ordered(found: list[pd.DataFrame]) -> pd.DataFrame:
    if not found:
        return pd.DataFrame()
    names = [
        "model",
        "slice",
        "test",
        "n",
        "means",
        "effect_name",
        "effect",
        "p",
        "p_adjusted",
        "significant",
        "reason",
    ]
    return pd.concat(found, ignore_index=True)[names]


def _said(model: str, name: str, test: tests.SliceTest, unit: str) -> str:
    means = ", ".join(f"{level} {value:.2f}" for level, value in test.means.items())
    what = f"{means} {unit}" if means else f"{test.effect_name} = {test.effect.value:.2f}"
    return f"{model}: the error depends on {name}: {what} ({p_said(test.p_adjusted)}, {test.test}, Holm)."


def _tests(read: _Readings, model: str, facts: Mapping[str, Mapping[str, Any]]) -> dict[str, tests.SliceTest]:
    """Return every slice that there are levels, groups or numbers for; one that makes no sense is left out."""
    errors = read.overall(model)
    made: dict[str, Callable[[], tests.SliceTest]] = {}
    for name in WITHIN:
        levels = read.by_level(model, name)
        if len(levels) > 1:
            made[name] = partial(tests.within, levels)
    for name in BETWEEN:
        groups: dict[str, dict[str, float]] = defaultdict(dict)
        for person, error in errors.items():
            if name in facts.get(person, {}):
                groups[str(facts[person][name])][person] = error
        if len(groups) > 1:
            made[name.replace("_", " ")] = partial(tests.between, groups)
    numbers = {
        word: {who: float(told[name]) for who, told in facts.items() if name in told} for name, word in NUMBERS.items()
    }
    numbers["strides per minute"] = read.rates(model)
    numbers["distance from the others' mean"] = read.distance(model)
    for name, values in numbers.items():
        if set(values) & set(errors):
            made[name] = partial(tests.correlated, errors, values)
    found = {}
    for name, test in made.items():
        try:
            found[name] = test()
        except DataError:  # nobody has every level: nothing to test
            continue
    return found


# --- what is read of the predictions ---------------------------------------------------------------------------------


class _Readings:
    """Errors by model and person, each the mean over seeds."""

    def __init__(self) -> None:
        self._overall: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._levels: dict[tuple[str, str, str, str], list[float]] = defaultdict(list)
        self._rates: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._distance: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._centred: dict[tuple[str, str, int], list[float]] = defaultdict(list)
        self._slopes: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._time: dict[tuple[str, str], list[tuple[FloatArray, FloatArray]]] = defaultdict(list)

    def add(self, model: str, person: str, tracks: Sequence[Track], others: Mapping[str, float]) -> None:
        """Take in one person's tracks of one seed."""
        self._overall[model, person].append(_rmse((track, slice(None)) for track in tracks))
        for (name, level), parts in _levels(tracks).items():
            value = _rmse(parts)
            if math.isfinite(value):
                self._levels[model, person, name, level].append(value)
        lengths = [(stop - start) / track.rate_hz for track in tracks for start, stop in track.strides]
        if lengths:
            self._rates[model, person].append(60.0 / float(np.mean(lengths)))
        away = _away(tracks, others)
        if math.isfinite(away):
            self._distance[model, person].append(away)
        for count, value in _centred(tracks).items():
            self._centred[model, person, count].append(value)
        minutes, size = _elapsed(tracks)
        if minutes.size and np.ptp(minutes) > 0:
            self._slopes[model, person].append(_slope(tracks))
            self._time[model, person].append((minutes, size))

    def persons(self, model: str) -> list[str]:
        """The persons of a model."""
        return sorted(person for name, person in self._overall if name == model)

    def overall(self, model: str) -> dict[str, float]:
        """The error by person."""
        return _means(self._overall, model)

    def rates(self, model: str) -> dict[str, float]:
        """Strides of one leg per minute, by person."""
        return _means(self._rates, model)

    def distance(self, model: str) -> dict[str, float]:
        """How far each person's mean angles lie from those of the persons fitted on, deg."""
        return _means(self._distance, model)

    def slopes(self, model: str) -> dict[str, float]:
        """What the absolute error gains in a minute, deg, by person."""
        return _means(self._slopes, model)

    def centred(self, model: str, strides: int) -> dict[str, float]:
        """The error by person after centring by so many strides; of the same samples for any number."""
        return {
            person: float(np.mean(values))
            for (name, person, count), values in self._centred.items()
            if name == model and count == strides
        }

    def by_level(self, model: str, name: str) -> dict[str, dict[str, float]]:
        """The error by level and person."""
        found: dict[str, dict[str, float]] = defaultdict(dict)
        for (who, person, slice_name, level), values in self._levels.items():
            if who == model and slice_name == name:
                found[level][person] = float(np.mean(values))
        return {level: found[level] for level in sorted(found, key=_rank)}

    def levels(self) -> pd.DataFrame:
        """The mean error of every level over the persons who have it."""
        rows = [
            {"model": model, "slice": name, "level": level, "person": person, "value": float(np.mean(values))}
            for (model, person, name, level), values in self._levels.items()
        ]
        table = summary(pd.DataFrame(rows), ["model", "slice", "level"]) if rows else pd.DataFrame()
        return table.sort_values(
            ["model", "slice", "level"], key=lambda column: column.map(_rank), ignore_index=True
        ) if rows else table  # fmt: skip

    def distances(self) -> pd.DataFrame:
        """Each person's distance from the others' mean, with the error before and after centring."""
        return pd.DataFrame([
            {"model": model, "person": person, "distance": float(np.mean(values)),
             "error": float(np.mean(self._overall[model, person]))}
            for (model, person), values in self._distance.items()
        ])  # fmt: skip

    def over_time(self) -> pd.DataFrame:
        """The error against elapsed time, in steps of a round length: mean, SD and interval over persons."""
        longest = max((float(m.max()) for some in self._time.values() for m, _ in some), default=0.0) * 60
        step = next((step for step in TIME_STEPS_S if longest / step <= MOST_STEPS), TIME_STEPS_S[-1])
        rows = []
        for (model, person), some in self._time.items():
            parts: dict[int, list[float]] = defaultdict(list)
            for minutes, squared in some:
                bins = (minutes * 60 // step).astype(int)
                for k in np.unique(bins):
                    if (bins == k).sum() >= LEAST_SAMPLES:
                        parts[int(k)].append(math.sqrt(float(squared[bins == k].mean())))
            rows += [
                {"model": model, "elapsed_s": (k + 0.5) * step, "person": person, "value": float(np.mean(values))}
                for k, values in parts.items()
            ]
        if not rows:
            return pd.DataFrame()
        return summary(pd.DataFrame(rows), ["model", "elapsed_s"]).sort_values(
            ["model", "elapsed_s"], ignore_index=True
        )


def _means(values: Mapping[tuple[str, str], list[float]], model: str) -> dict[str, float]:
    return {person: float(np.mean(some)) for (name, person), some in sorted(values.items()) if name == model}


def _rank(level: Any) -> Any:
    return f"{SPEEDS.index(level)}" if level in SPEEDS else str(level)


# --- one person ------------------------------------------------------------------------------------------------------


def _rmse(parts: Iterable[tuple[Track, Any]], *, offset: Mapping[tuple[str, str], float] | None = None) -> float:
    """Return the RMSE of some rows of some tracks per DoF, then the mean over DoFs; NaN for too few samples."""
    total: dict[str, float] = defaultdict(float)
    count: dict[str, int] = defaultdict(int)
    for track, rows in parts:
        for column, dof in enumerate(track.dofs):
            error = track.error[rows, column]
            error = error[np.isfinite(error)] - (offset or {}).get((dof, track.side), 0.0)
            total[dof] += float(np.sum(error**2))
            count[dof] += error.size
    values = [math.sqrt(total[dof] / count[dof]) for dof in total if count[dof] >= LEAST_SAMPLES]
    return float(np.mean(values)) if values else math.nan


def _levels(tracks: Sequence[Track]) -> dict[tuple[str, str], list[tuple[Track, Any]]]:
    """Return which rows of which tracks belong to each level of what differs within a person."""
    found: dict[tuple[str, str], list[tuple[Track, Any]]] = defaultdict(list)
    lengths = [stop - start for track in tracks for start, stop in track.strides]
    borders = np.quantile(lengths, [1 / 3, 2 / 3]) if len(lengths) >= LEAST_STRIDES else None
    for track in tracks:
        found["activity", track.activity].append((track, slice(None)))
        if track.side in SIDES:
            found["side", SIDES[track.side]].append((track, slice(None)))
        for start, stop in track.strides:
            edges = np.rint(np.linspace(start, stop, len(QUARTERS) + 1)).astype(int)
            for name, first, last in zip(QUARTERS, edges[:-1], edges[1:], strict=True):
                found["gait phase", name].append((track, slice(first, last)))
            if borders is not None and borders[0] < borders[1]:
                speed = SPEEDS[2 - int(np.searchsorted(borders, stop - start))]
                found["stride rate", speed].append((track, slice(start, stop)))
    return found


def _away(tracks: Sequence[Track], others: Mapping[str, float]) -> float:
    """Return how far a person's mean angles lie from the others', the mean over DoFs of the absolute difference."""
    values: dict[str, list[FloatArray]] = defaultdict(list)
    for track in tracks:
        for column, dof in enumerate(track.dofs):
            values[dof].append(track.reference[:, column])
    apart = [abs(float(np.nanmean(np.concatenate(some))) - others[dof]) for dof, some in values.items()
             if np.isfinite(np.concatenate(some)).any()]  # fmt: skip
    return float(np.mean(apart)) if apart else math.nan


def _centred(tracks: Sequence[Track]) -> dict[int, float]:
    """Return the error by strides centred on (0: none), of all samples after each leg's last of those strides.

    The mean error of a leg's first strides is taken off all of it. A person with fewer strides of any leg has none.
    """
    most = max(STRIDES)
    firsts: dict[str, list[tuple[Track, int, int]]] = defaultdict(list)
    for track in tracks:
        for start, stop in track.strides:
            firsts[track.side].append((track, start, stop))
    if not firsts or any(len(some) <= most for some in firsts.values()):
        return {}
    after: list[tuple[Track, Any]] = []
    for side, some in firsts.items():
        last, _, end = some[most - 1]
        passed = False
        for track in (track for track in tracks if track.side == side):
            if track is last:
                after.append((track, slice(end, None)))
            elif passed:
                after.append((track, slice(None)))
            passed = passed or track is last
    found = {0: _rmse(after)}
    for count in STRIDES:
        offset = {
            (dof, side): float(np.nanmean(np.concatenate([
                track.error[start:stop, track.dofs.index(dof)] for track, start, stop in some[:count]
            ])))
            for side, some in firsts.items() for dof in some[0][0].dofs
        }  # fmt: skip
        found[count] = _rmse(after, offset=offset)
    return {count: value for count, value in found.items() if math.isfinite(value)}


def _elapsed(tracks: Sequence[Track]) -> tuple[FloatArray, FloatArray]:
    """Return minutes since each recording began and the squared error (mean over DoFs) of every scored sample."""
    minutes = [track.sample / track.rate_hz / 60.0 for track in tracks]
    squared = [_mean_over_dofs(track.error**2) for track in tracks]
    at, size = np.concatenate(minutes), np.concatenate(squared)
    known = np.isfinite(size)
    return at[known], size[known]


def _slope(tracks: Sequence[Track]) -> float:
    """Return the gain of the absolute error in a minute, each recording about its own mean."""
    over = under = 0.0
    for track in tracks:
        size = _mean_over_dofs(np.abs(track.error))
        known = np.isfinite(size)
        if known.sum() < LEAST_SAMPLES:
            continue
        x = track.sample[known] / track.rate_hz / 60.0
        about = x - x.mean()
        over += float(about @ (size[known] - size[known].mean()))
        under += float(about @ about)
    return over / under if under > 0 else math.nan


def _mean_over_dofs(values: FloatArray) -> FloatArray:
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.asarray(np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan))


# --- centring and drift ----------------------------------------------------------------------------------------------


def _centring(read: _Readings, models: Sequence[str]) -> pd.DataFrame:
    """Return, per model and strides centred on, the error, and how it hangs on the distance from the others' mean."""
    rows = []
    for model in models:
        away = read.distance(model)
        for count in (0, *STRIDES):
            errors = read.centred(model, count)
            if not errors:
                continue
            frame = pd.DataFrame({"person": [*errors], "value": [*errors.values()], "model": model, "strides": count})
            row: dict[Any, Any] = summary(frame, ["model", "strides"]).to_dict("records")[0]
            if set(errors) & set(away):
                test = tests.correlated(errors, away)
                row |= {"rho_with_distance": test.effect.value, "p": test.p, "reason": test.reason or ""}
            rows.append(row)
    return pd.DataFrame(rows)


def _centring_words(table: pd.DataFrame, unit: str) -> list[str]:
    words = []
    for (model,), rows in grouped(table, ["model"]):
        mean = rows.set_index("strides")["mean"]
        told = ", ".join(f"{mean[count]:.2f} by {count}" for count in STRIDES if count in mean)
        words.append(
            f"{model}: moved by the mean error of each leg's first strides, the error of {mean[0]:.2f} {unit} becomes "
            f"{told}."
        )
        rho = rows.set_index("strides").get("rho_with_distance")
        if rho is not None and math.isfinite(rho[0]):
            last = int(rows["strides"].max())
            words.append(
                f"{model}: error against a person's distance from the others' mean: {_rho(rows, 0)}; after {last} "
                f"strides: {_rho(rows, last)}."
            )
    return words


def _rho(rows: pd.DataFrame, strides: int) -> str:
    """Return a rank correlation in words, with whether persons of whom none is related could have shown it as well."""
    row: Mapping[Any, Any] = rows.set_index("strides").loc[strides].to_dict()
    rho, p = row["rho_with_distance"], row["p"]
    if not math.isfinite(rho):
        return f"not known ({row['reason']})"
    told = p_said(p) if math.isfinite(p) else str(row["reason"])
    shown = "" if p <= ALPHA else ", not shown to be related"
    return f"rho = {rho:.2f} ({told}, {row['n']:g} persons{shown})"


def _drift(read: _Readings, models: Sequence[str]) -> pd.DataFrame:
    rows = []
    for model in models:
        slopes = {person: slope for person, slope in read.slopes(model).items() if math.isfinite(slope)}
        if slopes:
            frame = pd.DataFrame({"person": [*slopes], "value": [*slopes.values()], "model": model})
            test = signed_rank([*slopes.values()])
            rows.append(summary(frame, ["model"]).to_dict("records")[0] | {"p": test.p, "reason": test.reason or ""})
    return pd.DataFrame(rows)


def _drift_words(table: pd.DataFrame, unit: str) -> list[str]:
    return [
        f"{row['model']}: the absolute error changes by {row['mean']:+.3f} {unit} in a minute"
        + (
            f" ({row['low']:+.3f} to {row['high']:+.3f}), {p_said(row['p'])} (Wilcoxon)."
            if math.isfinite(row["p"])
            else f"; {row['reason']}."
        )
        for row in table.to_dict("records")
    ]
