"""Critical-difference ranks: which models' mean ranks over persons can be told apart (Demšar 2006).

Friedman's test with Iman and Davenport's correction asks whether any model differs; then Nemenyi's critical difference
and, beside it, paired Wilcoxon tests with Holm's correction (Benavoli et al. 2016, whose verdict on two models does not
depend on the others) say which.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc, fdtrc
from scipy.stats import rankdata, studentized_range

from kinbench.errors import DataError
from kinbench.statistics._tables import Table, check_alpha, complete, persons
from kinbench.statistics.comparisons import ALPHA, Comparisons, compare
from kinbench.statistics.intervals import MIN_PERSONS

FloatArray = NDArray[np.float64]

MOST_MODELS = 30


@dataclass(frozen=True)
class Friedman:
    """Friedman's test of k columns over n persons: chi squared corrected for ties, and F, each with its p.

    ``mean_ranks`` in the order of the columns, 1 for the lowest values. NaN with a ``reason`` for what cannot be known;
    F is also NaN where all persons rank the columns alike.
    """

    n: int
    mean_ranks: tuple[float, ...]
    chi_squared: float
    chi_squared_p: float
    f: float
    f_p: float
    reason: str | None = None

    @property
    def p(self) -> float:
        """The p of F, or Friedman's own where all persons rank the columns alike and there is no F."""
        return self.chi_squared_p if math.isnan(self.f_p) else self.f_p


@dataclass(frozen=True)
class CriticalDifference:
    """Mean ranks over persons, best first, and the groups that are not told apart.

    ``difference`` is Nemenyi's: two mean ranks so far apart or farther are told apart. ``groups`` are the largest sets
    of two or more models no two of which are told apart: all of them where the test of them together finds nothing.
    ``wilcoxon_groups`` are the same by ``comparisons``; models of such a group need not be neighbours in rank, and
    among more than ``MOST_MODELS`` models there may be too many of them to seek (empty: read ``comparisons``).
    NaN with a ``reason`` for what cannot be known.
    """

    mean_ranks: Mapping[str, float]
    n: int
    alpha: float
    friedman: Friedman
    difference: float
    groups: tuple[tuple[str, ...], ...]
    wilcoxon_groups: tuple[tuple[str, ...], ...]
    comparisons: Comparisons
    left_out: tuple[str, ...]
    reason: str | None = None

    def to_frame(self) -> pd.DataFrame:
        """Return one row per model: its mean rank and the numbers of its groups, from 1."""
        rows = []
        for name, rank in self.mean_ranks.items():
            row = {"model": name, "mean_rank": rank, "n": self.n}
            for column, groups in (("groups", self.groups), ("wilcoxon_groups", self.wilcoxon_groups)):
                row[column] = ", ".join(str(i) for i, group in enumerate(groups, start=1) if name in group)
            rows.append(row)
        return pd.DataFrame(rows)


def critical_difference(scores: Table, *, alpha: float = ALPHA, lower_is_better: bool = True) -> CriticalDifference:
    """Rank the models within each person that all have, and say which mean ranks differ.

    Raises ``DataError`` for fewer than two models or no shared person.
    """
    check_alpha(alpha)
    table = complete(scores)
    tested = friedman(table.values if lower_is_better else -table.values)
    n, means = tested.n, tested.mean_ranks
    order = sorted(range(len(means)), key=lambda i: (means[i], table.names[i]))
    named = {table.names[i]: means[i] for i in order}
    compared = compare(scores, alpha=alpha)
    width = nemenyi(len(means), n, alpha) if tested.reason is None else math.nan
    apart = {
        frozenset((a, b)) for a, b in combinations(named, 2) if tested.p <= alpha and abs(named[a] - named[b]) >= width
    }
    significant = {frozenset((pair.first, pair.second)) for pair in compared.pairs if pair.significant}
    sought = len(named) <= MOST_MODELS and any(not math.isnan(pair.p) for pair in compared.pairs)
    return CriticalDifference(
        mean_ranks=named,
        n=n,
        alpha=alpha,
        friedman=tested,
        difference=width,
        groups=_groups(named, apart) if tested.reason is None else (),
        wilcoxon_groups=_groups(named, significant) if sought else (),
        comparisons=compared,
        left_out=table.left_out,
        reason=tested.reason,
    )


def nemenyi(models: int, n: int, alpha: float = ALPHA) -> float:
    """Return Nemenyi's critical difference of mean ranks: q_alpha sqrt(k (k + 1) / (6 n)) (Demšar 2006, eq. 6)."""
    q = float(studentized_range.ppf(1.0 - alpha, models, np.inf)) / math.sqrt(2.0)
    return q * math.sqrt(models * (models + 1) / (6.0 * n))


def friedman(values: FloatArray) -> Friedman:
    """Test whether the columns of (persons, columns) rank alike within persons: Friedman 1937, Iman & Davenport 1980.

    NaN with a reason for fewer than three persons, and where no person's values differ. Raises ``DataError`` for fewer
    than two columns and values that are not finite.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < 2 or not table.size or not np.isfinite(table).all():
        raise DataError(f"Ranks need finite values of persons by two columns or more, got {table.shape}.")
    ranks = np.asarray(rankdata(table, axis=1), dtype=np.float64)
    n, k = ranks.shape
    means = tuple(ranks.mean(axis=0).tolist())
    spread = float(np.sum((ranks - (k + 1) / 2) ** 2)) / (n * (k - 1))
    reason = f"{persons(n)}: ranks over persons need {MIN_PERSONS}" if n < MIN_PERSONS else None
    if reason is None and spread == 0:
        reason = "every person scores the same with every model"
    if reason:
        return Friedman(n, means, math.nan, math.nan, math.nan, math.nan, reason)
    chi = n * float(np.sum((np.array(means) - (k + 1) / 2) ** 2)) / spread
    chi_p = float(chdtrc(k - 1, chi))
    rest = n * (k - 1) - chi
    if rest <= 1e-9 * chi:
        return Friedman(n, means, chi, chi_p, math.nan, math.nan)
    f = (n - 1) * chi / rest
    return Friedman(n, means, chi, chi_p, f, float(fdtrc(k - 1, (k - 1) * (n - 1), f)))


def _groups(names: Iterable[str], apart: set[frozenset[str]]) -> tuple[tuple[str, ...], ...]:
    """Return the largest sets of two or more names without a pair in ``apart`` (Bron & Kerbosch 1973)."""
    order = {name: place for place, name in enumerate(names)}
    near = {a: {b for b in order if a != b and frozenset((a, b)) not in apart} for a in order}
    found: list[tuple[str, ...]] = []

    def grow(chosen: set[str], able: set[str], seen: set[str]) -> None:
        if not able and not seen and len(chosen) > 1:
            found.append(tuple(sorted(chosen, key=order.__getitem__)))
        pivot = max(able | seen, key=lambda name: len(near[name] & able), default=None)
        for name in sorted(able - (near[pivot] if pivot is not None else set()), key=order.__getitem__):
            grow(chosen | {name}, able & near[name], seen & near[name])
            able, seen = able - {name}, seen | {name}

    grow(set(), set(order), set())
    return tuple(sorted(found, key=lambda group: [order[name] for name in group]))
