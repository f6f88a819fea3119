"""Whether an error depends on what a person is or does: sex, age, side, speed; all corrected together.

A factor between persons (sex) compares groups of different people; one within them (side, speed) compares each person
with themselves; a number (age, height, mass) is correlated. Holm's correction is over all slices that were tested.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtr
from scipy.stats import rankdata

from kinbench.errors import DataError, UsageError
from kinbench.statistics._tables import Table, check_alpha, columns_of, complete, frame_of, persons
from kinbench.statistics.comparisons import ALPHA, holm, signed_rank
from kinbench.statistics.intervals import MIN_PERSONS, SEED, Estimate, bootstrap_statistic
from kinbench.statistics.ranks import friedman

FloatArray = NDArray[np.float64]

EXACT_PERSONS = 60
PERMUTATIONS = 9_999
ALL_PERMUTATIONS = 7
"""Up to so many persons every order is counted (5,040)."""


@dataclass(frozen=True)
class SliceTest:
    """One slice tested: which test, its statistic, p, and an effect size with its name.

    ``means`` are the mean errors of the groups or levels (empty for a correlation). ``p_adjusted`` is NaN until the
    slices are corrected together. NaN with a ``reason`` where no test could be made.
    """

    test: str
    n: int
    means: Mapping[str, float]
    statistic: float
    p: float
    effect: Estimate
    effect_name: str
    reason: str | None = None
    p_adjusted: float = math.nan
    significant: bool = False


@dataclass(frozen=True)
class Slices:
    """All slices, by name, with p adjusted for how many were tested (Holm)."""

    tests: Mapping[str, SliceTest]
    alpha: float

    def to_frame(self) -> pd.DataFrame:
        """Return one row per slice."""
        frame = frame_of([*self.tests.values()])
        if len(frame):
            frame["means"] = [", ".join(f"{k} {v:.2f}" for k, v in test.means.items()) for test in self.tests.values()]
        frame.insert(0, "slice", [*self.tests])
        return frame


def corrected(tests: Mapping[str, SliceTest], *, alpha: float = ALPHA) -> Slices:
    """Return the slices with p adjusted by Holm; those that could not be tested count for none."""
    check_alpha(alpha)
    adjusted = holm([test.p for test in tests.values()])
    return Slices(
        {
            name: replace(test, p_adjusted=p, significant=p <= alpha)
            for (name, test), p in zip(tests.items(), adjusted, strict=True)
        },
        alpha,
    )


# --- between persons -------------------------------------------------------------------------------------------------


def between(groups: Table, *, alpha: float = ALPHA) -> SliceTest:
    """Compare groups of different persons, ``{group: {person: value}}``.

    Two groups: Mann and Whitney (1947), exact given the ranks, ties included, up to ``EXACT_PERSONS`` persons and
    normal above, with the rank-biserial correlation (above zero: the first group errs more). More: Kruskal
    and Wallis (1952) by chi squared, with epsilon squared (Tomczak & Tomczak 2014). NaN with a reason for a group of
    fewer than three persons, groups so small that no data could reach ``alpha``, and where no value differs.

    Raises ``DataError`` for fewer than two groups and for a person in two of them.
    """
    check_alpha(alpha)
    table = columns_of(groups)
    if len(table) < 2:
        raise DataError(f"A comparison needs two groups or more, got {len(table)}.")
    names = [person for values in table.values() for person in values]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"Groups must be of different persons; {', '.join(twice[:5])} are in two: use within.")
    values = [np.array([*group.values()]) for group in table.values()]
    means = {name: float(each.mean()) if each.size else math.nan for name, each in zip(table, values, strict=True)}
    test, effect_name = ("Mann-Whitney", "rank-biserial") if len(values) == 2 else ("Kruskal-Wallis", "epsilon squared")
    reason = _small(table, values, alpha)
    if reason:
        unknown = Estimate(math.nan, n=len(names), reason=reason)
        return SliceTest(test, len(names), means, math.nan, math.nan, unknown, effect_name, reason)
    statistic, p, effect = _two_groups(*values) if len(values) == 2 else _many_groups(values)
    return SliceTest(test, len(names), means, statistic, p, Estimate(effect, n=len(names)), effect_name)


def _small(table: Mapping[str, Mapping[str, float]], values: list[FloatArray], alpha: float) -> str | None:
    for name, each in zip(table, values, strict=True):
        if each.size < MIN_PERSONS:
            return f"group {name} has {persons(each.size)}: a comparison needs {MIN_PERSONS} in each"
    if np.ptp(np.concatenate(values)) == 0:
        return "no value differs"
    if len(values) == 2:
        least = 2 / math.comb(values[0].size + values[1].size, values[0].size)
        if least > alpha:
            return f"with {values[0].size} and {values[1].size} persons p cannot fall below {least:g}"
    return None


def _two_groups(first: FloatArray, second: FloatArray) -> tuple[float, float, float]:
    """Return U of the first group, its two-sided p and the rank-biserial correlation."""
    ranks = np.asarray(rankdata(np.concatenate([first, second])), dtype=np.float64)
    pairs = first.size * second.size
    u = float(ranks[: first.size].sum()) - first.size * (first.size + 1) / 2
    p = _exact(ranks, first.size) if ranks.size <= EXACT_PERSONS else _normal(ranks, first.size, u - pairs / 2)
    return u, p, 2 * u / pairs - 1


def _exact(ranks: FloatArray, chosen: int) -> float:
    """Return the two-sided p over all ways to choose the first group, each as likely: sums counted rank by rank."""
    steps = np.rint(2.0 * ranks).astype(int)  # midranks are halves
    ways = np.zeros((chosen + 1, int(steps.sum()) + 1))
    ways[0, 0] = 1.0
    for step in steps:
        ways[1:, step:] += ways[:-1, : ways.shape[1] - step].copy()
    counts = ways[chosen]
    seen = int(steps[:chosen].sum())
    return float(min(1.0, 2.0 * min(counts[: seen + 1].sum(), counts[seen:].sum()) / counts.sum()))


def _normal(ranks: FloatArray, chosen: int, apart: float) -> float:
    n = ranks.size
    variance = chosen * (n - chosen) * float(ranks.var(ddof=1)) / n  # with ties as they are
    return float(min(1.0, 2.0 * ndtr(-max(0.0, abs(apart) - 0.5) / math.sqrt(variance))))


def _many_groups(values: list[FloatArray]) -> tuple[float, float, float]:
    ranks = np.asarray(rankdata(np.concatenate(values)), dtype=np.float64)
    n, middle = ranks.size, (ranks.size + 1) / 2
    parts = np.split(ranks, np.cumsum([each.size for each in values])[:-1])
    spread = float(np.sum((ranks - middle) ** 2)) / (n - 1)  # with ties as they are
    h = sum(part.size * float(part.mean() - middle) ** 2 for part in parts) / spread
    return h, float(chdtrc(len(values) - 1, h)), h / (n - 1)


# --- within persons --------------------------------------------------------------------------------------------------


def within(levels: Table, *, alpha: float = ALPHA) -> SliceTest:
    """Compare levels that the same persons have, ``{level: {person: value}}``, over the persons that have all.

    Two levels: Wilcoxon's signed ranks (``comparisons.signed_rank``), with the rank-biserial correlation (above zero:
    the first level's errors are the higher). More: Friedman's test as F (Iman & Davenport 1980), with Kendall's W.

    NaN with a reason as those. Raises ``DataError`` for fewer than two levels or no person that has all.
    """
    table = complete(levels, what="levels")
    means = dict(zip(table.names, table.values.mean(axis=0).tolist(), strict=True))
    if len(table.names) == 2:
        found = signed_rank(table.values[:, 0] - table.values[:, 1], alpha=alpha)
        effect = Estimate(found.effect, n=table.n, reason=found.reason)
        statistic = min(found.positive, found.negative)
        return SliceTest("Wilcoxon", table.n, means, statistic, found.p, effect, "rank-biserial", found.reason)
    ranked = friedman(table.values)
    agreement = ranked.chi_squared / (table.n * (len(table.names) - 1))
    effect = Estimate(agreement, n=table.n, reason=ranked.reason)
    return SliceTest("Friedman", table.n, means, ranked.chi_squared, ranked.p, effect, "Kendall's W", ranked.reason)


# --- numbers ---------------------------------------------------------------------------------------------------------


def correlated(
    values: Mapping[str, float], factor: Mapping[str, float], *, alpha: float = ALPHA, resamples: int = PERMUTATIONS
) -> SliceTest:
    """Correlate values with a number of each person (age, height, mass), over the persons that have both.

    Spearman's rho with a percentile interval over persons, and its p by permutation: every order up to seven persons,
    ``resamples`` seeded ones above (p is then at least 1 / (resamples + 1)).

    NaN with a reason for so few persons that no data could reach ``alpha``, and where values or factor do not differ.
    Raises ``DataError`` where no person has both.
    """
    check_alpha(alpha)
    if resamples < 1:
        raise UsageError(f"Permutations are one or more, not {resamples}.")
    table = complete({"values": values, "factor": factor}, what="columns")
    x, y = (np.asarray(rankdata(column), dtype=np.float64) for column in table.values.T)
    n = table.n
    reason = None
    if n < MIN_PERSONS or 2 / math.factorial(n) > alpha:
        reason = f"with {persons(n)} p cannot reach {alpha:g}"
    elif np.ptp(x) == 0 or np.ptp(y) == 0:
        reason = f"{'values' if np.ptp(x) == 0 else 'numbers of the factor'} are the same in all persons"
    if reason:
        return SliceTest("Spearman", n, {}, math.nan, math.nan, Estimate(math.nan, n=n, reason=reason), "rho", reason)
    rho = bootstrap_statistic(table.values, _spearman, resamples=min(resamples, 2_000))
    p = _permuted(x - x.mean(), y - y.mean(), resamples)
    return SliceTest("Spearman", n, {}, rho.value, p, rho, "rho")


def _spearman(drawn: FloatArray) -> FloatArray:
    """Return rho of (draws, n, 2); NaN where a column does not differ."""
    ranks = np.asarray(rankdata(drawn, axis=1), dtype=np.float64)
    about = ranks - ranks.mean(axis=1, keepdims=True)
    scale = np.sqrt(np.prod(np.sum(about**2, axis=1), axis=1))
    product = np.sum(about[..., 0] * about[..., 1], axis=1)
    return np.asarray(np.where(scale > 0, product / np.where(scale > 0, scale, 1.0), math.nan))


def _permuted(x: FloatArray, y: FloatArray, resamples: int) -> float:
    """Return the two-sided share of orders whose product is as far from zero as the one seen."""
    order = np.lexsort((x, y))
    x, y = x[order], y[order]  # one set of persons has one p, in whatever order they come
    seen = abs(float(x @ y)) * (1 - 1e-12)
    if x.size <= ALL_PERMUTATIONS:
        return float(np.mean(np.abs(x[np.array([*permutations(range(x.size))])] @ y) >= seen))
    shuffled = np.random.default_rng(SEED).permuted(np.broadcast_to(x, (resamples, x.size)), axis=1)
    return float((1 + np.sum(np.abs(shuffled @ y) >= seen)) / (1 + resamples))
