"""Which of several models differ, person by person: paired tests, corrected for how many there are.

Wilcoxon's signed-rank test with Holm's correction is what the benchmark reports; paired t with Bonferroni's is what
many of the field's papers report. Beside each p stand the difference in the scores' own unit with its interval, and two
effect sizes; a p alone says little with a dozen persons.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr
from scipy.stats import rankdata

from kinbench.errors import DataError, UsageError
from kinbench.statistics._tables import Table, check_alpha, complete, frame_of, persons
from kinbench.statistics.intervals import MIN_PERSONS, RESAMPLES, Interval, bootstrap

FloatArray = NDArray[np.float64]
Test = Literal["wilcoxon", "t"]
Correction = Literal["holm", "bonferroni", "none"]

ALPHA = 0.05
EXACT_PERSONS = 200
"""Up to so many persons that differ, the signed-rank test counts every pattern of signs; above, it is normal."""


@dataclass(frozen=True)
class SignedRank:
    """Wilcoxon's signed-rank test of n differences: ``positive`` and ``negative`` rank sums, two-sided p, r, reason.

    ``effect`` is the matched-pairs rank-biserial correlation (Kerby 2014): the share of the ranks that favour a
    positive difference minus the share that favours a negative one, from -1 to 1.
    """

    n: int
    positive: float
    negative: float
    p: float
    effect: float
    reason: str | None = None


@dataclass(frozen=True)
class PairedT:
    """Student's paired t of n differences: two-sided p, and Cohen's dz (mean over SD of the differences)."""

    n: int
    t: float
    df: int
    p: float
    dz: float
    reason: str | None = None


@dataclass(frozen=True)
class Pair:
    """Two models compared: ``difference`` is first minus second, so below zero the first has the lower error.

    ``p_adjusted`` is corrected for all pairs that could be tested; NaN with a ``reason`` for those that could not.
    """

    first: str
    second: str
    n: int
    difference: Interval
    statistic: float
    p: float
    p_adjusted: float
    rank_biserial: float
    dz: float
    significant: bool
    reason: str | None = None


@dataclass(frozen=True)
class Comparisons:
    """All pairs of models over the persons that every model has, and a ``note`` on what so few can show."""

    test: Test
    correction: Correction
    alpha: float
    names: tuple[str, ...]
    persons: tuple[str, ...]
    left_out: tuple[str, ...]
    pairs: tuple[Pair, ...]
    note: str | None = None

    def pair(self, first: str, second: str) -> Pair:
        """Return one pair, in whichever order it was asked for; raises ``UsageError`` where there is none."""
        for found in self.pairs:
            if {found.first, found.second} == {first, second}:
                return found
        raise UsageError(f"No pair of '{first}' and '{second}' was compared; there are {', '.join(self.names)}.")

    def to_frame(self) -> pd.DataFrame:
        """Return one row per pair."""
        return frame_of(self.pairs, test=self.test, correction=self.correction, alpha=self.alpha)


def compare(
    scores: Table,
    *,
    test: Test = "wilcoxon",
    correction: Correction = "holm",
    alpha: float = ALPHA,
    resamples: int = RESAMPLES,
) -> Comparisons:
    """Compare every pair of models over the persons that all models have; the others are named in ``left_out``.

    ``resamples`` are those of each difference's interval: 100 models are 4,950 pairs, and 1,000 will do.

    Raises ``DataError`` for fewer than two models or no shared person, ``UsageError`` for an unknown test, correction
    or level.
    """
    check_alpha(alpha)
    if test not in ("wilcoxon", "t"):
        raise UsageError(f"A paired comparison is 'wilcoxon' or 't', not '{test}'.")
    corrected = _correction(correction)
    table = complete(scores)
    tested = []
    for first, second in combinations(range(len(table.names)), 2):
        tested.append((first, second, *_tested(table.values[:, first] - table.values[:, second], alpha, resamples)))
    adjusted = corrected([ranks.p if test == "wilcoxon" else t.p for _, _, ranks, t, _ in tested])
    pairs = tuple(
        Pair(
            first=table.names[first],
            second=table.names[second],
            n=table.n,
            difference=difference,
            statistic=min(ranks.positive, ranks.negative) if test == "wilcoxon" else t.t,
            p=ranks.p if test == "wilcoxon" else t.p,
            p_adjusted=p,
            rank_biserial=ranks.effect,
            dz=t.dz,
            significant=p <= alpha,
            reason=ranks.reason if test == "wilcoxon" else t.reason,
        )
        for (first, second, ranks, t, difference), p in zip(tested, adjusted, strict=True)
    )
    note = _note(table.n, len(pairs), alpha, correction) if test == "wilcoxon" else None
    return Comparisons(test, correction, alpha, table.names, table.persons, table.left_out, pairs, note)


def _tested(differences: FloatArray, alpha: float, resamples: int) -> tuple[SignedRank, PairedT, Interval]:
    interval = bootstrap(differences.tolist(), resamples=resamples)
    return signed_rank(differences, alpha=alpha), paired_t(differences), interval


def _note(n: int, pairs: int, alpha: float, correction: Correction) -> str | None:
    family = 1 if correction == "none" else pairs
    needed = least_persons(alpha, family)
    if n >= needed:
        return None
    corrected = f" after correction for {pairs} pairs" if family > 1 else ""
    return f"With {persons(n)} no pair can be significant at {alpha:g}{corrected}; that takes {needed} at least."


# --- tests -----------------------------------------------------------------------------------------------------------


def least_persons(alpha: float = ALPHA, family: int = 1) -> int:
    """Return how many persons a signed-rank test needs before it can reach ``alpha`` in a family of so many tests.

    With n persons all on one side the two-sided p is 2 / 2^n: 6 persons for 0.05, 7 with three pairs under Holm.
    """
    check_alpha(alpha)
    return 1 + math.ceil(-math.log2(alpha / family))


def signed_rank(differences: Sequence[float] | FloatArray, *, alpha: float = ALPHA) -> SignedRank:
    """Test whether paired differences lie about zero (Wilcoxon 1945), two-sided.

    Zeros are ranked with the others and then left out of both sums (Pratt 1959). Up to ``EXACT_PERSONS`` differences
    other than zero p is exact given the ranks, ties and zeros included: every pattern of signs is counted. Above,
    it is the normal approximation with its variance from the ranks as they are, no continuity correction.

    Refused (NaN with a reason): so few persons that no data could reach ``alpha``, and persons who do not differ.
    Raises ``DataError`` for a value that is not finite.
    """
    values = _finite(differences)
    n = values.size
    ranks = np.asarray(rankdata(np.abs(values)), dtype=np.float64)
    positive, negative = float(ranks[values > 0].sum()), float(ranks[values < 0].sum())
    total = positive + negative
    effect = (positive - negative) / total if total > 0 else math.nan
    reason = _unreachable(n, alpha) or (None if total > 0 else "no person differs")
    if reason:
        return SignedRank(n, positive, negative, math.nan, effect, reason)
    kept = ranks[values != 0]
    p = _exact(kept, positive) if kept.size <= EXACT_PERSONS else _normal(kept, positive)
    return SignedRank(n, positive, negative, p, effect)


def _unreachable(n: int, alpha: float) -> str | None:
    needed = least_persons(alpha)
    if n >= needed:
        return None
    return f"with {persons(n)} p cannot fall below {2.0 ** (1 - n) if n else 1.0:g}: {alpha:g} takes {needed} persons"


def _exact(ranks: FloatArray, positive: float) -> float:
    """Return the two-sided p over all patterns of signs, each as likely: sums of ranks counted one rank at a time."""
    steps = np.rint(2.0 * ranks).astype(int)  # midranks are halves
    share = np.zeros(int(steps.sum()) + 1)
    share[0] = 1.0
    for step in steps:
        share[step:] = 0.5 * share[step:] + 0.5 * share[: share.size - step]
        share[:step] *= 0.5
    seen = round(2.0 * positive)
    tail = min(share[: seen + 1].sum(), share[seen:].sum())
    return float(min(1.0, 2.0 * tail))


def _normal(ranks: FloatArray, positive: float) -> float:
    z = (positive - ranks.sum() / 2) / math.sqrt(float(np.sum(ranks**2)) / 4)
    return float(2.0 * ndtr(-abs(z)))


def paired_t(differences: Sequence[float] | FloatArray) -> PairedT:
    """Test whether paired differences have the mean zero (Student 1908), two-sided.

    Refused (NaN with a reason): fewer than three persons, and persons who all differ alike.
    Raises ``DataError`` for a value that is not finite.
    """
    values = _finite(differences)
    n = values.size
    if n < MIN_PERSONS:
        return PairedT(n, math.nan, max(0, n - 1), math.nan, math.nan, f"{persons(n)}: a t test needs {MIN_PERSONS}")
    centre, deviation = float(values.mean()), float(values.std(ddof=1))
    if deviation <= 1e-12 * float(np.abs(values).max()):
        return PairedT(n, math.nan, n - 1, math.nan, math.nan, "all persons differ alike")
    dz = centre / deviation
    t = dz * math.sqrt(n)
    return PairedT(n, t, n - 1, float(2.0 * stdtr(n - 1, -abs(t))), dz)


def _finite(differences: Sequence[float] | FloatArray) -> FloatArray:
    values = np.asarray(differences, dtype=np.float64).ravel()
    if not np.isfinite(values).all():
        raise DataError(f"A paired test needs one finite difference per person, got {values.tolist()}.")
    return values


# --- corrections -----------------------------------------------------------------------------------------------------


def holm(p: Sequence[float]) -> tuple[float, ...]:
    """Return p values adjusted for their number, step by step (Holm 1979). NaN, a test not made, counts for none."""
    values = np.asarray(p, dtype=np.float64)
    made = np.flatnonzero(np.isfinite(values))
    order = made[np.argsort(values[made], kind="stable")]
    adjusted = np.full(values.size, math.nan)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * np.arange(order.size, 0, -1)))
    return tuple(adjusted.tolist())


def bonferroni(p: Sequence[float]) -> tuple[float, ...]:
    """Return p values times their number, at most 1. NaN, a test not made, counts for none."""
    values = np.asarray(p, dtype=np.float64)
    return tuple(np.minimum(1.0, values * np.isfinite(values).sum()).tolist())


def _correction(name: str) -> Callable[[Sequence[float]], tuple[float, ...]]:
    known: dict[str, Callable[[Sequence[float]], tuple[float, ...]]] = {
        "holm": holm, "bonferroni": bonferroni, "none": tuple,
    }  # fmt: skip
    if name not in known:
        raise UsageError(f"A correction is {', '.join(known)}, not '{name}'.")
    return known[name]
