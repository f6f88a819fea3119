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
from scipy.special import chdtrc, fdtrc
from scipy.stats import rankdata, studentized_range

from kinbench.statistics._tables import Table, check_alpha, complete, persons
from kinbench.statistics.comparisons import ALPHA, Comparisons, compare
from kinbench.statistics.intervals import MIN_PERSONS


@dataclass(frozen=True)
class CriticalDifference:
    """Mean ranks over persons, best first, and the groups that are not told apart.

    ``friedman`` (chi squared, k - 1) and ``iman_davenport`` (F, k - 1 and (k - 1)(n - 1)) with their p; ``difference``
    is Nemenyi's: two mean ranks so far apart or farther are told apart. ``groups`` are the largest sets of two or more
    models no two of which are told apart: all of them where the test of them together finds nothing.
    ``wilcoxon_groups`` are the same by ``comparisons``; models of such a group need not be neighbours in rank.
    NaN with a ``reason`` for what cannot be known.
    """

    mean_ranks: Mapping[str, float]
    n: int
    alpha: float
    friedman: float
    friedman_p: float
    iman_davenport: float
    iman_davenport_p: float
    difference: float
    groups: tuple[tuple[str, ...], ...]
    wilcoxon_groups: tuple[tuple[str, ...], ...]
    comparisons: Comparisons
    left_out: tuple[str, ...]
    reason: str | None = None

    @property
    def p(self) -> float:
        """Iman and Davenport's p, or Friedman's where all persons rank the models alike and there is no F."""
        return self.friedman_p if math.isnan(self.iman_davenport_p) else self.iman_davenport_p

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
    signed = table.values if lower_is_better else -table.values
    ranks = np.asarray(rankdata(signed, axis=1), dtype=np.float64)
    n, k = ranks.shape
    means = ranks.mean(axis=0)
    order = sorted(range(k), key=lambda i: (means[i], table.names[i]))
    named = {table.names[i]: float(means[i]) for i in order}
    compared = compare(scores, alpha=alpha)
    reason = _refused(ranks)
    chi, chi_p, f, f_p = _friedman(ranks) if reason is None else (math.nan,) * 4
    width = nemenyi(k, n, alpha) if reason is None else math.nan
    overall = chi_p if math.isnan(f_p) else f_p
    apart = {
        frozenset((a, b)) for a, b in combinations(named, 2) if overall <= alpha and abs(named[a] - named[b]) >= width
    }
    significant = {frozenset((pair.first, pair.second)) for pair in compared.pairs if pair.significant}
    known = {frozenset((pair.first, pair.second)) for pair in compared.pairs if not math.isnan(pair.p)}
    return CriticalDifference(
        mean_ranks=named,
        n=n,
        alpha=alpha,
        friedman=chi,
        friedman_p=chi_p,
        iman_davenport=f,
        iman_davenport_p=f_p,
        difference=width,
        groups=_groups(named, apart) if reason is None else (),
        wilcoxon_groups=_groups(named, significant) if known else (),
        comparisons=compared,
        left_out=table.left_out,
        reason=reason,
    )


def nemenyi(models: int, n: int, alpha: float = ALPHA) -> float:
    """Return Nemenyi's critical difference of mean ranks: q_alpha sqrt(k (k + 1) / (6 n)) (Demšar 2006, eq. 6)."""
    q = float(studentized_range.ppf(1.0 - alpha, models, np.inf)) / math.sqrt(2.0)
    return q * math.sqrt(models * (models + 1) / (6.0 * n))


def _refused(ranks: np.ndarray) -> str | None:
    n = ranks.shape[0]
    if n < MIN_PERSONS:
        return f"{persons(n)}: ranks over persons need {MIN_PERSONS}"
    if np.ptp(ranks) == 0:
        return "every person scores the same with every model"
    return None


def _friedman(ranks: np.ndarray) -> tuple[float, float, float, float]:
    """Return Friedman's chi squared, corrected for ties, and Iman and Davenport's F (1980), each with its p."""
    n, k = ranks.shape
    spread = float(np.sum((ranks - (k + 1) / 2) ** 2)) / (n * (k - 1))
    chi = n * float(np.sum((ranks.mean(axis=0) - (k + 1) / 2) ** 2)) / spread
    rest = n * (k - 1) - chi
    chi_p = float(chdtrc(k - 1, chi))
    if rest <= 1e-9 * chi:
        return chi, chi_p, math.nan, math.nan
    f = (n - 1) * chi / rest
    return chi, chi_p, f, float(fdtrc(k - 1, (k - 1) * (n - 1), f))


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
