"""Intervals over persons. The person is the unit: windows, legs and seeds of one person are never independent.

Percentile bootstrap (Efron & Tibshirani 1993, ch. 13): persons are drawn with replacement, the mean is taken, and the
2.5th and 97.5th percentiles of those means bound the interval. With few persons it is somewhat narrow (about 92 %
true coverage at n = 12 for normal data). BCa (ibid., ch. 14) corrects for bias and skew, and is asked for by name. The
generator's seed is fixed and values are sorted first, so that one set of values has one interval, in whatever order
it comes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from kinbench.errors import DataError, UsageError

FloatArray = NDArray[np.float64]
Method = Literal["percentile", "bca"]
Statistic = Callable[[FloatArray], FloatArray]
"""From (resamples, n, ...) to (resamples,): one number per draw of n persons."""

RESAMPLES = 10_000
LEVEL = 0.95
MIN_PERSONS = 3
"""Below this an interval or a standard deviation over persons says nothing (protocols 1, Scores)."""
SEED = 20_250_101
_CHUNK = 4_000_000
"""Values drawn at a time: what a bootstrap holds in memory stays below some 100 MB."""


@dataclass(frozen=True)
class Interval:
    """A mean over n persons and its 95 % bootstrap interval; ``low`` and ``high`` are None below 3 persons."""

    mean: float
    low: float | None
    high: float | None
    n: int

    @property
    def above_zero(self) -> bool:
        """Whether the whole interval lies above zero."""
        return self.low is not None and self.low > 0.0


@dataclass(frozen=True)
class Estimate:
    """A number with its interval at ``level`` over n persons; NaN with a ``reason`` for what cannot be known."""

    value: float
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    level: float = LEVEL
    reason: str | None = None


def mean(values: Iterable[float]) -> float:
    """Return the exactly rounded mean; raises ``DataError`` for none."""
    listed = list(values)
    if not listed:
        raise DataError("A mean needs at least one value.")
    return math.fsum(listed) / len(listed)


def standard_deviation(values: Iterable[float]) -> float | None:
    """Return the sample standard deviation (n - 1), or None for fewer than two values."""
    listed = list(values)
    if len(listed) < 2:
        return None
    centre = mean(listed)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in listed) / (len(listed) - 1))


def bootstrap(
    values: Iterable[float], *, resamples: int = RESAMPLES, level: float = LEVEL, method: Method = "percentile"
) -> Interval:
    """Return the mean over persons with its interval. Raises ``DataError`` for no or NaN values."""
    listed = np.sort(np.array(list(values), dtype=np.float64))
    if listed.size == 0 or not np.isfinite(listed).all():
        raise DataError(f"An interval needs one finite value per person, got {listed.tolist()}.")
    centre = mean(listed.tolist())
    if listed.size < MIN_PERSONS:
        return Interval(centre, None, None, int(listed.size))
    low, high = _bounds(listed, lambda drawn: np.asarray(drawn.mean(axis=1)), resamples, level, method)
    return Interval(centre, low, high, int(listed.size))


def paired_difference(
    a: Mapping[str, float],
    b: Mapping[str, float],
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    method: Method = "percentile",
) -> Interval:
    """Return the mean of a minus b over the persons both have, with its interval.

    ``a`` and ``b`` are values by person. Raises ``DataError`` where they share nobody.
    """
    shared = sorted(set(a) & set(b))
    if not shared:
        raise DataError("A paired difference needs persons that both sides have; these two share none.")
    return bootstrap((a[person] - b[person] for person in shared), resamples=resamples, level=level, method=method)


def bootstrap_statistic(
    table: FloatArray,
    statistic: Statistic,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    method: Method = "percentile",
) -> Estimate:
    """Return any statistic of persons with its interval.

    ``table`` is (n, ...), one row per person; ``statistic`` takes (resamples, n, ...) and returns (resamples,), and may
    return NaN for a draw that has no value (all persons alike): such draws are left out, and the interval is refused
    where they are more than one in twenty. Raises ``DataError`` for no person or a NaN in the table.
    """
    rows = np.asarray(table, dtype=np.float64)
    if rows.ndim == 0 or rows.shape[0] == 0 or not np.isfinite(rows).all():
        raise DataError("A bootstrap needs one finite row per person.")
    n = rows.shape[0]
    rows = rows[np.lexsort(rows.reshape(n, -1).T[::-1])]
    value = float(statistic(rows[None])[0])
    if not math.isfinite(value):
        return Estimate(math.nan, n=n, level=level, reason="the statistic has no value for these persons")
    if n < MIN_PERSONS:
        return Estimate(value, n=n, level=level, reason=f"{_persons(n)}: an interval needs {MIN_PERSONS}")
    low, high = _bounds(rows, statistic, resamples, level, method)
    reason = None if math.isfinite(low) else "too many draws of these persons have no value"
    return Estimate(value, low, high, n, level, reason)


def _persons(n: int) -> str:
    return "1 person" if n == 1 else f"{n} persons"


# --- draws -----------------------------------------------------------------------------------------------------------


def _bounds(
    rows: FloatArray, statistic: Statistic, resamples: int, level: float, method: Method
) -> tuple[float, float]:
    if not 0.0 < level < 1.0:
        raise UsageError(f"An interval's level lies between 0 and 1, not at {level}.")
    if method not in ("percentile", "bca"):
        raise UsageError(f"A bootstrap is 'percentile' or 'bca', not '{method}'.")
    found = _drawn(rows, statistic, resamples)
    known = found[np.isfinite(found)]
    if known.size < 0.95 * resamples:
        return math.nan, math.nan
    shares = np.array([(1 - level) / 2, (1 + level) / 2])
    if method == "bca":
        shares = _corrected(shares, rows, statistic, known)
    low, high = np.quantile(known, shares)
    return float(low), float(high)


def _drawn(rows: FloatArray, statistic: Statistic, resamples: int) -> FloatArray:
    picks = _picks(rows.shape[0], resamples)
    step = max(1, _CHUNK // max(1, rows.size))
    return np.concatenate([statistic(rows[picks[at : at + step]]) for at in range(0, resamples, step)])


@lru_cache(maxsize=1)
def _picks(n: int, resamples: int) -> NDArray[np.int64]:
    """Return who is drawn, (resamples, n): the same for every column of as many persons."""
    return np.random.default_rng(SEED).integers(0, n, size=(resamples, n))


def _corrected(shares: FloatArray, rows: FloatArray, statistic: Statistic, drawn: FloatArray) -> FloatArray:
    """Return the percentiles that BCa reads instead (Efron & Tibshirani 1993, eq. 14.9 to 14.15)."""
    value = statistic(rows[None])[0]
    equal = 1e-9 * float(np.ptp(drawn))  # rounding must not decide on which side of itself a value falls
    below = (np.sum(drawn < value - equal) + np.sum(drawn <= value + equal)) / (2 * drawn.size)
    n = rows.shape[0]
    left_out = statistic(rows[np.array([np.delete(np.arange(n), i) for i in range(n)])])
    spread = left_out.mean() - left_out
    scale = np.sum(spread**2) ** 1.5
    if not 0.0 < below < 1.0 or not scale > 0.0:
        return shares
    acceleration = np.sum(spread**3) / (6.0 * scale)
    bias = ndtri(below)
    shifted = bias + ndtri(shares)
    return np.asarray(ndtr(bias + shifted / (1.0 - acceleration * shifted)))
