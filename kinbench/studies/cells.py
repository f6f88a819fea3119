"""Scores laid out for a study: one task and dataset at a time, a row per person, DoF, seed and condition."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinbench.errors import DataError, UsageError, suggest
from kinbench.leaderboards.selection import Names, group, model_identity, model_labels, refuse_strangers
from kinbench.metrics import UNITS
from kinbench.protocol import RESERVED
from kinbench.results import Result, Setting
from kinbench.statistics import MIN_PERSONS, Estimate, bootstrap, standard_deviation
from kinbench.statistics.curves import LOOSEST

RESAMPLES = 2_000
LEAST_SHARE = 0.5
"""A condition that fewer of the persons have is left out of a curve, rather than the others' persons with it."""
_SCORED = ("protocol", "train", "dataset", "model", "parameters", "person", "seed", "fold", "dof", "value")

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Cells:
    """The scored results of one task on one dataset ("" where a protocol spans datasets), headline view only.

    ``scores`` has the columns protocol, train, dataset, model, parameters, person, seed, fold, dof, value, and one for
    each name of a fold's condition. ``left_out`` says which models were, and why.
    """

    task: str
    dataset: str
    metric: str
    unit: str
    results: tuple[Result, ...]
    scores: pd.DataFrame
    failed: int = 0
    left_out: tuple[str, ...] = ()

    def ranked(self) -> Cells:
        """Return the cells of the models that may be held against each other: those never ranked go, and why is told.

        One of them could have learnt from the people it is tested on, and would win or lose by that.
        """
        labels = model_labels(self.results)
        why = {labels[model_identity(one)]: one.unranked for one in self.results if one.unranked is not None}
        told = tuple(f"{model} is left out, since it never ranks: {reason}." for model, reason in sorted(why.items()))
        mine = tuple(one for one in self.results if labels[model_identity(one)] not in why)
        scores = self.scores[~self.scores["model"].isin(why)]
        return replace(self, results=mine, scores=scores, left_out=(*self.left_out, *told))

    def of(self, wanted: Callable[[str], bool]) -> Cells:
        """Return the cells of the protocols whose name is wanted; its conditions are theirs alone."""
        rows = self.scores[self.scores["protocol"].map(wanted).astype(bool)]
        foreign = [name for name in self.conditions if rows[name].isna().all()]
        mine = tuple(result for result in self.results if wanted(result.protocol.name))
        return replace(self, results=mine, scores=rows.drop(columns=foreign))

    def told_in(self, metric: str) -> Cells:
        """Return the same cells in another metric; raises ``UsageError`` for one that the results have none of."""
        return replace(_cells(self.task, self.dataset, self.results, metric, self.failed), left_out=self.left_out)

    @property
    def quantity(self) -> str:
        """What is estimated: ``angle``, ``grf`` or ``moment``."""
        return str(self.results[0].task.definition.get("quantity", "angle"))

    @property
    def own_unit(self) -> str:
        """The unit of what is estimated, and of its RMSE, whatever the metric asked for."""
        return next(unit for quantity, unit in UNITS.items() if quantity == self.quantity)

    def each(self) -> Iterator[tuple[str, Cells]]:
        """Yield each protocol with its cells."""
        for protocol in self.protocols:
            yield protocol, self.of(protocol.__eq__)

    @property
    def protocols(self) -> tuple[str, ...]:
        """The protocols, by name."""
        return tuple(sorted({result.protocol.name for result in self.results}))

    @property
    def models(self) -> tuple[str, ...]:
        """The models' labels, by name."""
        return tuple(sorted(self.scores["model"].unique()))

    @property
    def conditions(self) -> tuple[str, ...]:
        """The names of what sets folds apart."""
        return tuple(name for name in self.scores.columns if name not in _SCORED)

    @property
    def facts(self) -> dict[str, Any]:
        """What an answer says of where its numbers come from."""
        virtual = {p.name for result in self.results for p in result.datasets if "synthetic" in p.sensor_origins}
        notes = [
            f"{self.metric} in {self.unit}; values are means over DoFs, then over draws and seeds within a person, "
            "then mean, SD and 95 % bootstrap interval over persons."
        ]
        if self.failed:
            notes.append(f"{self.failed} cells failed and are in no table; see 'kinbench leaderboard'.")
        notes += self.left_out
        return {
            "task": self.task, "dataset": self.dataset, "metric": self.metric, "unit": self.unit,
            "notes": tuple(notes), "simulation": any(result.simulation for result in self.results),
            "virtual": tuple(sorted(virtual)),
        }  # fmt: skip


def cells_of(
    results: Iterable[Result], *, tasks: Names = None, datasets: Names = None, models: Names = None,
    metric: str = "rmse",
) -> list[Cells]:  # fmt: skip
    """Return the cells of some results by task and dataset; results of limited runs are left out.

    Raises ``UsageError`` for a name of which there is no result, and where one protocol has results of two versions of
    it, of a task or of the data: they have no mean.
    """
    results = list(results)
    refuse_strangers(results, None, tasks, datasets)
    wanted = None if models is None else {models} if isinstance(models, str) else set(models)
    known = {result.model.selector for result in results}
    for name in sorted((wanted or set()) - known):
        raise UsageError(f"There are no results of the model '{name}'.{suggest(name, sorted(known))}")
    results = [result for result in results if wanted is None or result.model.selector in wanted]
    found: dict[tuple[str, str], dict[str, list[Result]]] = defaultdict(dict)
    failed: dict[tuple[str, str], int] = defaultdict(int)
    for some in group(results, None, tasks, datasets):
        first = some.first
        where = (first.task.name, first.fold.test_dataset if first.protocol.scope == "dataset" else "")
        if first.protocol.name in found[where]:
            raise UsageError(
                f"The results of '{first.protocol.name}' on '{first.task.name}' are of two versions of the protocol, "
                "the task, the metrics or the data, and have no one mean; keep one of them in this folder."
            )
        found[where][first.protocol.name] = some.scored
        failed[where] += len(some.failed)
    return [
        _cells(task, dataset, [r for some in by_protocol.values() for r in some], metric, failed[task, dataset])
        for (task, dataset), by_protocol in sorted(found.items())
        if any(by_protocol.values())
    ]


def _cells(task: str, dataset: str, results: Sequence[Result], metric: str, failed: int) -> Cells:
    known = sorted({name for result in results for name in result.metrics})
    if metric not in known:
        raise UsageError(f"There is no metric '{metric}' in these results.{suggest(metric, known)}")
    labels = model_labels(results)
    rows = [
        {
            "protocol": result.protocol.name, "train": "+".join(result.fold.train_datasets),
            "dataset": result.fold.test_dataset, "model": labels[model_identity(result)],
            "parameters": result.model.parameters, "person": score.person, "seed": result.seed,
            "fold": result.fold.name, "dof": score.dof, "value": score.values[metric], **_condition(result),
        }
        for result in results
        for score in result.scores
        if score.view == "test" and score.values.get(metric) is not None
    ]  # fmt: skip
    scores = pd.DataFrame(rows, columns=None if rows else list(_SCORED))
    each = ["protocol", "train", "dataset", "model", "person", "seed", "fold", "dof"]
    if scores.duplicated(each).any():
        told = scores.loc[scores.duplicated(each)].iloc[0]
        raise DataError(
            f"Two results score {told['model']} on {told['person']} in the fold '{told['fold']}' of "
            f"'{told['protocol']}' with seed {told['seed']}; the folds changed without a new version, so move one away."
        )
    unit = next(result.metrics[metric].unit for result in results if metric in result.metrics)
    return Cells(task, dataset, metric, unit, tuple(results), scores, failed)


def _condition(result: Result) -> dict[str, Setting]:
    clash = sorted(set(result.fold.condition) & RESERVED)
    if clash:
        raise DataError(
            f"A condition of '{result.protocol.name}' is called {', '.join(clash)}, as a column of every table is."
        )
    return dict(result.fold.condition)


# --- persons ---------------------------------------------------------------------------------------------------------


def by_person(scores: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return the columns ``by``, person, value: the mean over DoFs in each fold and seed, then over folds and seeds."""
    each = scores.groupby([*by, "person", "seed", "fold"], sort=True, dropna=False)["value"].mean()
    return each.groupby(level=[*by, "person"], dropna=False).mean().reset_index()


def summary(persons: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return the columns ``by``, mean, sd, low, high, n over persons; NaN below three persons for all but the mean."""
    rows = []
    for names, values in persons.groupby(list(by), sort=False, dropna=False)["value"]:
        listed = values.tolist()
        interval = bootstrap(listed, resamples=RESAMPLES)
        deviation = standard_deviation(listed) if len(listed) >= MIN_PERSONS else None
        rows.append({
            **dict(zip(by, names if isinstance(names, tuple) else (names,), strict=True)), "mean": interval.mean,
            "sd": _or_nan(deviation), "low": _or_nan(interval.low), "high": _or_nan(interval.high), "n": interval.n,
        })  # fmt: skip
    return pd.DataFrame(rows, columns=None if rows else [*by, "mean", "sd", "low", "high", "n"])


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def grouped(frame: pd.DataFrame, by: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """Yield (names, rows) of each group in order of first appearance; an absent one is a group as well."""
    if len(frame):
        for names, rows in frame.groupby([*by], sort=False, dropna=False):
            yield (tuple(names) if isinstance(names, tuple) else (names,)), rows


def mapping(column: pd.Series) -> dict[str, float]:
    """Return a column as values by person."""
    return {str(person): float(value) for person, value in column.items()}


@dataclass(frozen=True)
class Shared:
    """Values of the persons who have every condition that is kept: ``table`` persons down, conditions across."""

    table: pd.DataFrame
    left_out: tuple[str, ...]

    def notes(self, what: str) -> list[str]:
        """Return what was left out, in words."""
        return [f"{what}: {told}." for told in self.left_out]


def shared(persons: pd.DataFrame, across: str) -> Shared:
    """Return the persons that share all conditions; one that fewer than half of them have is left out, by name."""
    table = persons.pivot(index="person", columns=across, values="value").sort_index().sort_index(axis=1)
    enough = table.notna().sum() >= max(1.0, LEAST_SHARE * len(table))
    told = [
        f"{across} {name:g} is left out: {table[name].notna().sum()} of {len(table)} persons have it"
        if isinstance(name, (int, float)) else f"{across} {name} is left out"
        for name in table.columns[~enough]
    ]  # fmt: skip
    table = table.loc[:, enough]
    whole = table.notna().all(axis=1)
    if not whole.all():
        told.append(f"{', '.join(map(str, table.index[~whole]))} lack a condition and are left out")
    return Shared(table[whole], tuple(told))


def melted(table: pd.DataFrame, across: str, **same: Any) -> pd.DataFrame:
    """Return a table of persons by conditions as rows again, with the columns of ``same`` in front."""
    rows = table.reset_index().melt(id_vars="person", var_name=across, value_name="value")
    return rows.assign(**same)[[*same, across, "person", "value"]]


# --- where a curve meets a level -------------------------------------------------------------------------------------


def meets(x: Sequence[float] | FloatArray, table: FloatArray, level: FloatArray, *, rising: bool) -> Estimate:
    """Return where the mean of (persons, conditions) over ``x`` meets the mean of ``level`` (persons,) for good.

    Between conditions it is interpolated; not ``rising`` is for a curve that falls to its level. The interval draws
    persons. NaN with a reason where it never does; the first condition, with one, where it does from the start.
    """
    at = np.asarray(x, dtype=np.float64)
    value = _crossings(at, (table - level[:, None]).mean(axis=0)[None], rising)[0]
    n = len(table)
    if math.isinf(value):
        gap = abs(float(table[:, -1].mean() - level.mean()))
        return Estimate(math.nan, n=n, reason=f"never: at {at[-1]:g} it is still {gap:.2g} away")
    reason = f"already at {at[0]:g}, the first measured" if value == at[0] else None
    if n < MIN_PERSONS:
        few = f"{n} person{'' if n == 1 else 's'}: an interval needs {MIN_PERSONS}"
        return Estimate(value, n=n, reason=reason or few)
    drawn = np.random.default_rng(20_250_101).integers(0, n, size=(RESAMPLES, n))
    found = _crossings(at, (table - level[:, None])[drawn].mean(axis=1), rising)
    low, high = np.quantile(found, [0.025, 0.975], method="inverted_cdf")
    if math.isinf(high):
        told = f"its interval begins at {low:.3g} and has no end in what was measured"
        return Estimate(value, float(low), math.nan, n, reason=reason or told)
    return Estimate(value, float(low), float(high), n, reason=reason)


def _crossings(at: FloatArray, apart: FloatArray, rising: bool) -> FloatArray:
    """Return, per curve of (draws, conditions), from where on it stays at or beyond zero; infinity for never."""
    beyond = apart >= 0 if rising else apart <= 0
    stays = np.flip(np.logical_and.accumulate(np.flip(beyond, axis=1), axis=1), axis=1)
    first = stays.argmax(axis=1)
    found = np.full(len(apart), math.inf)
    for row in np.flatnonzero(stays.any(axis=1)):
        k = int(first[row])
        before, after = (apart[row, k - 1], apart[row, k]) if k else (0.0, 0.0)
        found[row] = at[0] if k == 0 else at[k - 1] + (at[k] - at[k - 1]) * before / (before - after)
    return found


def margin_of(unit: str, margin: float | None) -> float | None:
    """Return how far apart errors may be and count as the same: one degree unless said, and none in other units."""
    return 1.0 if margin is None and unit == "deg" else margin


def told(estimate: Estimate, unit: str = "", digits: int = 1) -> str:
    """Return an estimate in words: the value with its interval, or why there is none."""
    if math.isnan(estimate.value):
        return estimate.reason or "unknown"
    words = f"{estimate.value:.{digits}f}{' ' + unit if unit else ''}"
    if not math.isnan(estimate.high):
        words += f" ({estimate.low:.{digits}f} to {estimate.high:.{digits}f})"
    return f"{words}, {estimate.reason}" if estimate.reason else words


def bounded(estimate: Estimate, largest: float) -> Estimate:
    """Return an estimate without an upper bound that lies so far beyond what was measured that it bounds nothing."""
    if not estimate.high > LOOSEST * largest:
        return estimate
    reason = f"its interval begins at {estimate.low:.3g} and is as good as unbounded"
    return replace(estimate, low=math.nan, high=math.nan, reason=estimate.reason or reason)


def p_said(p: float) -> str:
    """Return a p in words, never as zero."""
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.4f}"


def columns(estimate: Estimate, name: str) -> Mapping[str, Any]:
    """Return an estimate as columns of a table: value, bounds and reason."""
    return {
        name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high,
        f"{name}_reason": estimate.reason or "",
    }  # fmt: skip
