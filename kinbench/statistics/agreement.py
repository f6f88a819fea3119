"""Bland and Altman's limits of agreement between a measurement and its reference, one or many values per person."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtri, ndtri, stdtrit

from kinbench.errors import DataError, UsageError
from kinbench.statistics._tables import frame_of, persons
from kinbench.statistics.intervals import LEVEL, MIN_PERSONS, Estimate, bootstrap_statistic

FloatArray = NDArray[np.float64]
Codes = NDArray[np.intp]
RESAMPLES = 2_000


@dataclass(frozen=True)
class Agreement:
    """Bias (measured minus reference), its limits of agreement, each with an interval, in the values' unit.

    ``sd`` is that of a single difference; ``person_sd`` between and ``within_sd`` within persons (0 where each has one
    value). ``slope`` is the proportional bias: how much the difference grows per unit of the mean of both.
    """

    n: int
    values: int
    bias: Estimate
    lower: Estimate
    upper: Estimate
    sd: float
    person_sd: float
    within_sd: float
    slope: Estimate
    reason: str | None = None

    def to_frame(self) -> pd.DataFrame:
        """Return one row."""
        return frame_of([self])


def bland_altman(
    measured: Sequence[float] | FloatArray,
    reference: Sequence[float] | FloatArray,
    person: Sequence[str] | None = None,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> Agreement:
    """Return the limits within which ``level`` of single differences lie (Bland & Altman 1986, 1999).

    ``person`` names who each pair of values is of; without it every pair is of another person. Several values per
    person are taken as of a true value that varies (Bland & Altman 2007, section 3): the variance of a difference is
    that within persons plus that between them. Persons weigh alike, however many values they bring, and the limits'
    intervals recover both variances (Zou 2013, eq. 8 to 11); with equally many values per person the limits are those
    of Bland and Altman's analysis of variance. With one value per person intervals are Bland and Altman's (1999,
    section 2): a limit's variance is s^2 (1/n + z^2 / (2 (n - 1))), with Student's t. The slope is by least squares
    over all values; its interval draws persons.

    NaN with a reason for fewer than three persons. Raises ``DataError`` for values that are not finite or of unequal
    number.
    """
    if not 0.0 < level < 1.0:
        raise UsageError(f"A level lies between 0 and 1, not at {level}.")
    a, b = (np.asarray(values, dtype=np.float64).ravel() for values in (measured, reference))
    names = np.arange(a.size) if person is None else np.asarray([str(name) for name in person])
    if not a.size == b.size == names.size or not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise DataError(
            "Agreement needs as many finite measured values as reference values, and a person for each; got "
            f"{a.size}, {b.size} and {names.size}."
        )
    codes = np.unique(names, return_inverse=True)[1]
    counts = np.bincount(codes).astype(np.float64)
    n = counts.size
    difference = a - b
    if n < MIN_PERSONS:
        centre = float(np.mean(np.bincount(codes, difference) / counts)) if n else math.nan
        reason = f"{persons(n)}: limits of agreement need {MIN_PERSONS}"
        none = Estimate(math.nan, n=n, level=level, reason=reason)
        bias = Estimate(centre, n=n, level=level, reason=reason)
        return Agreement(n, a.size, bias, none, none, math.nan, math.nan, math.nan, none, reason)
    slope = _slope(difference, (a + b) / 2, codes, level, resamples)
    means = np.bincount(codes, difference) / counts
    within = float(np.sum((difference - means[codes]) ** 2))
    limits = _single(means, level) if a.size == n else _repeated(means, counts, within, level)
    return Agreement(n, a.size, *limits, slope)


def _single(difference: FloatArray, level: float) -> tuple[Estimate, Estimate, Estimate, float, float, float]:
    n, centre, sd = difference.size, float(difference.mean()), float(difference.std(ddof=1))
    z, t = float(ndtri((1 + level) / 2)), float(stdtrit(n - 1, (1 + level) / 2))
    about_bias = t * sd / math.sqrt(n)
    about_limit = t * sd * math.sqrt(1 / n + z**2 / (2 * (n - 1)))
    return (
        Estimate(centre, centre - about_bias, centre + about_bias, n, level),
        Estimate(centre - z * sd, centre - z * sd - about_limit, centre - z * sd + about_limit, n, level),
        Estimate(centre + z * sd, centre + z * sd - about_limit, centre + z * sd + about_limit, n, level),
        sd, sd, 0.0,
    )  # fmt: skip


def _repeated(
    means: FloatArray, counts: FloatArray, within: float, level: float
) -> tuple[Estimate, Estimate, Estimate, float, float, float]:
    n, free = means.size, float(counts.sum()) - means.size
    centre, between = float(means.mean()), float(means.var(ddof=1))
    single = within / free
    share = 1.0 - float(np.mean(1.0 / counts))  # 1 - 1 / (harmonic mean of the counts)
    variance = between + share * single
    sd, z = math.sqrt(variance), float(ndtri((1 + level) / 2))

    def bound(tail: float) -> float:
        """Return the distance of the variance's bound from it, at one tail of chi squared (Zou 2013, eq. 9)."""
        parts = (between * (1 - (n - 1) / chdtri(n - 1, tail)), share * single * (1 - free / chdtri(free, tail)))
        return math.hypot(*map(float, parts))

    least = math.sqrt(max(0.0, variance - bound((1 - level) / 2)))
    most = math.sqrt(variance + bound((1 + level) / 2))
    about_bias = float(stdtrit(n - 1, (1 + level) / 2)) * math.sqrt(between / n)
    near = math.sqrt(z**2 * between / n + z**2 * (sd - least) ** 2)
    far = math.sqrt(z**2 * between / n + z**2 * (most - sd) ** 2)
    low, high = centre - z * sd, centre + z * sd
    return (
        Estimate(centre, centre - about_bias, centre + about_bias, n, level),
        Estimate(low, low - far, low + near, n, level),
        Estimate(high, high - near, high + far, n, level),
        sd, math.sqrt(max(0.0, between - single * (1.0 - share))), math.sqrt(single),
    )  # fmt: skip


def _slope(
    difference: FloatArray, middle: FloatArray, codes: NDArray[np.intp], level: float, resamples: int
) -> Estimate:
    """Return the slope of difference on mean; each person is the five sums that a slope is made of."""
    n = int(codes.max()) + 1
    if np.ptp(middle) == 0:
        return Estimate(math.nan, n=n, level=level, reason="all means are equal: no slope")
    x, y = middle - middle.mean(), difference - difference.mean()
    parts = (np.ones_like(x), x, y, x * x, x * y)
    sums = np.stack([np.asarray(np.bincount(codes, each), dtype=np.float64) for each in parts], axis=1)

    def slope(drawn: FloatArray) -> FloatArray:
        m, sx, sy, sxx, sxy = np.moveaxis(drawn.sum(axis=1), -1, 0)
        spread = sxx - sx**2 / m
        flat = spread <= 1e-12 * float(np.sum(x * x))
        return np.where(flat, math.nan, (sxy - sx * sy / m) / np.where(flat, 1.0, spread))

    return bootstrap_statistic(sums, slope, resamples=resamples, level=level)
