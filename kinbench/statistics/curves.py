"""How error falls with the size of the data: two curves, which one it is, and how much data a target needs.

An exponential decay and a power law, each to a plateau (EXP3 and POW3 of Viering & Loog 2023). For a given rate both
are linear in the plateau and the gain, so the rate alone is searched, everywhere at once: no start can be a wrong one.
Intervals draw the rows that a curve is the mean of (test persons, or draws of training persons) and are widened for
few rows: those of a plateau at 95 % held the true one in 92, 91 and 95 % of simulated campaigns of 5, 12 and 20 rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, stdtrit

from kinbench.errors import DataError, UsageError
from kinbench.statistics.intervals import LEVEL, MIN_PERSONS, SEED, Estimate

FloatArray = NDArray[np.float64]
Kind = Literal["exponential", "power"]

RESAMPLES = 1_000
MIN_SIZES = 4
"""Three parameters and something left over."""
MIN_R_SQUARED = 0.8
"""A fit that explains less of what differs between sizes is not used to foretell."""
FARTHEST = 3.0
"""A size so many times the largest one measured is still told; beyond, it is a guess."""
LOOSEST = 10.0
"""An interval that reaches so many times the largest size measured is as good as unbounded."""
TELLING = 2.0
"""AICc that differ by less say nothing (Burnham & Anderson 2002, section 2.6)."""
_RATES = 161
_ZOOMS = 7


@dataclass(frozen=True)
class Parameters:
    """The numbers of one curve: with s the size and s0 the smallest one measured.

    exponential: ``plateau + gain exp(-(s - s0) / rate)``, rate in units of size;
    power: ``plateau + gain (s / s0)^-rate``, rate without a unit. ``gain`` is so what is left to win at s0. In the
    forms ``a + b exp(-s / c)`` and ``a + b s^-c``: a = plateau, c = rate, b = gain exp(s0 / c) or gain s0^c.
    """

    plateau: Estimate
    gain: Estimate
    rate: Estimate


@dataclass(frozen=True)
class CurveFit:
    """One curve through the mean error at each size.

    ``bootstrap`` has intervals by drawing rows, ``delta`` by the least squares' own covariance (NaN with a reason where
    the plateau or the gain lies at zero, its bound). ``aicc`` is of the mean errors (Hurvich & Tsai 1989; 4 numbers
    fitted with their variance), NaN below 6 sizes. NaN with a ``reason`` where nothing can be fitted.
    """

    kind: Kind
    sizes: tuple[float, ...]
    errors: tuple[float, ...]
    rows: int
    bootstrap: Parameters
    delta: Parameters
    r_squared: float
    residual_sum_of_squares: float
    aicc: float
    level: float
    reason: str | None = None
    draws: FloatArray = field(default_factory=lambda: np.empty((0, 3)), repr=False, compare=False)

    def predict(self, sizes: ArrayLike) -> FloatArray:
        """Return the curve's error at any sizes."""
        at = np.asarray(sizes, dtype=np.float64).ravel()
        return np.asarray(_curve(self.kind, self._values[None], at, self.sizes[0])[0])

    def band(self, sizes: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return the lower and upper bounds of the curve at any sizes; NaN where rows are too few to draw from."""
        at = np.asarray(sizes, dtype=np.float64).ravel()
        if not len(self.draws):
            return np.full(at.size, math.nan), np.full(at.size, math.nan)
        low, high = np.quantile(_curve(self.kind, self.draws, at, self.sizes[0]), _tails(self.level, self.rows), axis=0)
        return low, high

    def needed_for(self, target: float) -> Estimate:
        """Return the size at which the curve reaches ``target``, with its interval.

        NaN with a reason where the fit is worthless for that: nothing fitted, R² below ``MIN_R_SQUARED``, a plateau
        above the target, an answer beyond ``FARTHEST`` times the largest size, an interval that is unknown or reaches
        ``LOOSEST`` times the largest size. A target that the smallest size already meets has that size for an answer,
        with the reason that it may be less.
        """
        if not math.isfinite(target):
            raise DataError(f"A target is a finite error, not {target}.")
        largest = self.sizes[-1] if self.sizes else math.nan
        worthless = self._worthless()
        if worthless:
            return self._refused(worthless)
        plateau = float(self._values[0])
        if plateau >= target:
            return self._refused(f"the curve levels off at {plateau:.3g}, above the target of {target:g}")
        size = float(self._inverse(self._values[None], target)[0])
        if size <= self.sizes[0]:
            told = f"the smallest size measured, {self.sizes[0]:g}, already meets the target of {target:g}"
            return Estimate(self.sizes[0], n=self.rows, level=self.level, reason=told)
        if size > FARTHEST * largest:
            return self._refused(
                f"{size:.3g} would be needed, more than {FARTHEST:g} times the largest size measured, {largest:g}"
            )
        if not len(self.draws):
            return self._refused(f"without {MIN_PERSONS} persons or draws its interval is unknown")
        low, high = _quantiles(self._inverse(self.draws, target), self.level, self.rows)
        if not high <= LOOSEST * largest:
            return self._refused(
                f"{size:.3g} would be needed, but its interval begins at {low:.3g} and is as good as unbounded"
            )
        return Estimate(size, low, high, self.rows, self.level)

    def flattens_at(self, share: float = 0.05) -> Estimate:
        """Return the first size at which less than ``share`` of the gain from the smallest size on is left.

        NaN with a reason as in ``needed_for``.
        """
        if not 0.0 < share < 1.0:
            raise UsageError(f"A share of the gain lies between 0 and 1, not at {share}.")
        worthless = self._worthless()
        if worthless:
            return self._refused(worthless)
        size = float(self._flat(self._values[None], share)[0])
        if size > FARTHEST * self.sizes[-1]:
            far = f"at {size:.3g}" if size < 1e3 * self.sizes[-1] else "at no size that anybody measures"
            return self._refused(
                f"it would flatten {far}, more than {FARTHEST:g} times the largest size measured, {self.sizes[-1]:g}"
            )
        if not len(self.draws):
            return Estimate(size, n=self.rows, level=self.level, reason="too few rows for an interval")
        return Estimate(size, *_quantiles(self._flat(self.draws, share), self.level, self.rows), self.rows, self.level)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per parameter, with both intervals."""
        rows = []
        for name in ("plateau", "gain", "rate"):
            drawn, delta = getattr(self.bootstrap, name), getattr(self.delta, name)
            rows.append(
                {
                    "kind": self.kind, "parameter": name, "value": drawn.value, "low": drawn.low, "high": drawn.high,
                    "delta_low": delta.low, "delta_high": delta.high, "r_squared": self.r_squared, "aicc": self.aicc,
                    "sizes": len(self.sizes), "rows": self.rows, "reason": self.reason or drawn.reason,
                }
            )  # fmt: skip
        return pd.DataFrame(rows)

    @property
    def _values(self) -> FloatArray:
        return np.array([self.bootstrap.plateau.value, self.bootstrap.gain.value, self.bootstrap.rate.value])

    def _worthless(self) -> str | None:
        if self.reason:
            return self.reason
        if self.r_squared < MIN_R_SQUARED:
            return f"the fit explains {100 * self.r_squared:.0f} % of what differs between sizes, too little to use"
        return None

    def _refused(self, reason: str) -> Estimate:
        return Estimate(math.nan, n=self.rows, level=self.level, reason=reason)

    def _inverse(self, values: FloatArray, target: float) -> FloatArray:
        """Return the size at which each curve reaches the target; infinity where it never does."""
        plateau, gain, rate = values.T
        never = (plateau >= target) | (gain <= 0)
        left = np.where(never, 1.0, (target - plateau) / np.where(never, 1.0, gain))
        return np.where(never, np.where(plateau < target, self.sizes[0], math.inf), self._size_with(left, rate))

    def _flat(self, values: FloatArray, share: float) -> FloatArray:
        return self._size_with(np.full(len(values), share), values[:, 2])

    def _size_with(self, left: FloatArray, rate: FloatArray) -> FloatArray:
        """Return the size at which ``left`` of the gain is left."""
        if self.kind == "exponential":
            return self.sizes[0] - rate * np.log(left)
        return self.sizes[0] * np.exp(np.minimum(-np.log(left) / rate, 700.0))


@dataclass(frozen=True)
class Curves:
    """Both curves, which is ``better`` (None where error does not fall with size at all), and why, in a sentence."""

    exponential: CurveFit
    power: CurveFit
    flat_aicc: float
    better: CurveFit | None
    sentence: str

    def to_frame(self) -> pd.DataFrame:
        """Return one row per curve and parameter."""
        frame = pd.concat([self.exponential.to_frame(), self.power.to_frame()], ignore_index=True)
        return frame.assign(better=frame["kind"] == (self.better.kind if self.better else None))


def fit_curves(
    sizes: Sequence[float] | FloatArray, errors: ArrayLike, *, level: float = LEVEL, resamples: int = RESAMPLES
) -> Curves:
    """Fit both curves and say which is better by AICc (by the residual where sizes are fewer than six).

    ``errors`` is (rows, sizes), a row per test person or draw, or (sizes,); NaN is a cell that was not run.
    Raises ``DataError`` as ``fit_curve``.
    """
    kinds: tuple[Kind, Kind] = ("exponential", "power")
    exponential, power = (fit_curve(sizes, errors, kind, level=level, resamples=resamples) for kind in kinds)
    means = np.array(exponential.errors)
    flat = math.nan if exponential.reason else _aicc(float(np.sum((means - means.mean()) ** 2)), means, 2)
    better, sentence = _verdict(exponential, power, flat)
    return Curves(exponential, power, flat, better, sentence)


def _verdict(exponential: CurveFit, power: CurveFit, flat: float) -> tuple[CurveFit | None, str]:
    if exponential.reason:
        return None, f"No curve was fitted: {exponential.reason}."
    names = {"exponential": "exponential decay", "power": "power law"}
    if math.isnan(power.aicc):
        better, other = sorted((exponential, power), key=lambda fit: fit.residual_sum_of_squares)
        return better, (
            f"The {names[better.kind]} leaves the smaller residual (R² {better.r_squared:.3f} against "
            f"{other.r_squared:.3f}); {len(power.sizes)} sizes are too few for AICc, which takes 6."
        )
    better, other = sorted((exponential, power), key=lambda fit: fit.aicc)
    if flat <= better.aicc:
        return None, (
            f"Error does not fall with size: no curve is better than its mean (AICc {flat:.1f} against "
            f"{better.aicc:.1f} of the {names[better.kind]})."
        )
    apart = other.aicc - better.aicc
    if apart < TELLING:
        told = f"The {names[better.kind]} fits a little better, not tellingly so"
    else:
        told = f"The {names[better.kind]} fits better than the {names[other.kind]}"
    return better, f"{told}: AICc {better.aicc:.1f} against {other.aicc:.1f}, R² {better.r_squared:.3f}."


def fit_curve(
    sizes: Sequence[float] | FloatArray,
    errors: ArrayLike,
    kind: Kind,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> CurveFit:
    """Fit one curve to the mean error at each size by least squares, plateau and gain not below zero.

    ``sizes`` are above zero and rise; ``errors`` as in ``fit_curves``. Below ``MIN_SIZES`` sizes, and where no error
    differs, there is no fit but a reason; below three rows there is no bootstrap.

    Raises ``DataError`` for sizes that do not rise, a table of another width, infinite errors and a size without any.
    """
    if kind not in ("exponential", "power"):
        raise UsageError(f"A curve is 'exponential' or 'power', not '{kind}'.")
    at, table = _checked(sizes, errors, level)
    means = _means(table[None])[0]
    reason = None
    if at.size < MIN_SIZES:
        reason = f"a curve of three numbers needs {MIN_SIZES} sizes or more, and there are {at.size}"
    elif float(np.sum((means - means.mean()) ** 2)) <= 1e-24 * float(np.sum(means**2)):
        reason = "error is the same at every size"
    told = (kind, tuple(at.tolist()), tuple(means.tolist()), len(table))
    if reason:
        none = Estimate(math.nan, n=len(table), level=level, reason=reason)
        nothing = Parameters(none, none, none)
        return CurveFit(*told, nothing, nothing, math.nan, math.nan, math.nan, level, reason)
    values = _fitted(kind, at, means[None])[0]
    residual = float(np.sum((means - _curve(kind, values[None], at, at[0])[0]) ** 2))
    r_squared = 1.0 - residual / float(np.sum((means - means.mean()) ** 2))
    draws = _drawn(kind, at, table, resamples)
    return CurveFit(
        *told, _from_draws(values, draws, len(table), level), _by_delta(kind, at, values, residual, len(table), level),
        r_squared, residual, _aicc(residual, means, 4), level, None, draws,
    )  # fmt: skip


def area_under(
    sizes: Sequence[float] | FloatArray,
    errors: ArrayLike,
    *,
    axis: Literal["linear", "log"] = "log",
    mean: bool = True,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Return the area under the mean curve by trapezoids, over the sizes or their logarithm, with its interval.

    ``mean`` divides by the axis's length: the mean error along it, in the errors' unit. ``errors`` as in
    ``fit_curves``; rows are drawn. Raises ``DataError`` as ``fit_curve``, and for fewer than two sizes.
    """
    if axis not in ("linear", "log"):
        raise UsageError(f"An axis is 'linear' or 'log', not '{axis}'.")
    at, table = _checked(sizes, errors, level)
    if at.size < 2:
        raise DataError("An area needs two sizes or more.")
    x = at if axis == "linear" else np.log(at)
    width = float(x[-1] - x[0]) if mean else 1.0
    value = float(np.trapezoid(_means(table[None])[0], x)) / width
    if len(table) < MIN_PERSONS:
        return Estimate(value, n=len(table), level=level, reason="too few rows for an interval")
    drawn = np.asarray(np.trapezoid(_resampled(table, resamples), x, axis=1)) / width
    return Estimate(value, *_quantiles(drawn[np.isfinite(drawn)], level, len(table)), len(table), level)


def data_efficiency(
    sizes: Sequence[float] | FloatArray,
    errors: ArrayLike,
    baseline: ArrayLike,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Return how many times less data a model needs for the mean error that a baseline has on all of them.

    ``errors`` (rows, sizes) are the model's, ``baseline`` (rows,) the other's at the largest size, of the same rows
    (persons). The size needed is the least from which on the mean error stays at or below the baseline's, on straight
    lines over the logarithm of the size. Where it is the smallest one measured, the factor is a lower bound, and the
    reason says so; NaN where the model never comes so low. Rows are drawn, the two together. Raises ``DataError`` as
    ``area_under``, and for baselines that are not one finite value per row.
    """
    at, table = _checked(sizes, errors, level)
    rows = np.atleast_2d(np.asarray(errors, dtype=np.float64))
    target = np.asarray(baseline, dtype=np.float64).ravel()
    if at.size < 2:
        raise DataError("A data-efficiency factor needs two sizes or more.")
    if target.size != len(rows) or not np.isfinite(target).all():
        raise DataError(f"Expected one finite error of the baseline for each of {len(rows)} rows, got {target.size}.")
    joint = np.column_stack([rows, target])
    joint = joint[np.lexsort(joint.T[::-1])]
    means = _means(joint[None])[0]
    factor = _times_less(at, means[:-1], means[-1])
    reason = None
    if math.isnan(factor):
        reason = "with all data the error is above the baseline's"
    elif factor >= at[-1] / at[0]:
        reason = "at least: the baseline's error is reached at the smallest size already"
    if len(table) < MIN_PERSONS or math.isnan(factor):
        return Estimate(factor, n=len(table), level=level, reason=reason or "too few rows for an interval")
    drawn = _resampled(joint, resamples)
    factors = np.array([_times_less(at, row[:-1], row[-1]) for row in drawn if np.isfinite(row).all()])
    bounds = _quantiles(np.where(np.isnan(factors), 0.0, factors), level, len(table))  # a draw that never gets there
    return Estimate(factor, *bounds, len(table), level, reason)


def _times_less(at: FloatArray, means: FloatArray, target: float) -> float:
    """Return the largest size over the one from which on ``means`` stay at or below ``target``; NaN for none."""
    above = np.flatnonzero(means > target)
    if above.size == 0:
        return float(at[-1] / at[0])
    last = int(above[-1])
    if last == at.size - 1:
        return math.nan
    share = (means[last] - target) / (means[last] - means[last + 1])
    needed = math.log(at[last]) + share * math.log(at[last + 1] / at[last])
    return float(at[-1] / math.exp(needed))


# --- tables ----------------------------------------------------------------------------------------------------------


def _checked(sizes: Sequence[float] | FloatArray, errors: ArrayLike, level: float) -> tuple[FloatArray, FloatArray]:
    if not 0.0 < level < 1.0:
        raise UsageError(f"A level lies between 0 and 1, not at {level}.")
    at = np.asarray(sizes, dtype=np.float64).ravel()
    table = np.atleast_2d(np.asarray(errors, dtype=np.float64))
    if at.size == 0 or not (np.isfinite(at).all() and at[0] > 0 and (np.diff(at) > 0).all()):
        raise DataError(f"Sizes must be above zero and rise, got {at.tolist()}.")
    if table.ndim != 2 or table.shape[1] != at.size or np.isinf(table).any():
        raise DataError(f"Errors must be finite, rows by {at.size} sizes (NaN: not run), got {table.shape}.")
    empty = at[np.isnan(table).all(axis=0)]
    if empty.size:
        raise DataError(f"Every size needs an error; {', '.join(f'{size:g}' for size in empty)} has none.")
    # One table has one interval, in whatever order its rows come.
    return at, table[np.lexsort(table.T[::-1])]


def _means(tables: FloatArray) -> FloatArray:
    """Return the mean over rows of (draws, rows, sizes), NaN left out; NaN where no row has a value."""
    known = np.isfinite(tables)
    count = known.sum(axis=1)
    total = np.where(known, tables, 0.0).sum(axis=1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), math.nan))


def _resampled(table: FloatArray, resamples: int) -> FloatArray:
    picks = np.random.default_rng(SEED).integers(0, len(table), size=(resamples, len(table)))
    return _means(table[picks])


def _drawn(kind: Kind, at: FloatArray, table: FloatArray, resamples: int) -> FloatArray:
    if len(table) < MIN_PERSONS:
        return np.empty((0, 3))
    means = _resampled(table, resamples)
    return _fitted(kind, at, means[np.isfinite(means).all(axis=1)])


def _tails(level: float, rows: int) -> list[float]:
    """Return the percentiles to read, wider for few rows (the expanded percentile interval, Hesterberg 2015)."""
    tail = float(ndtr(-math.sqrt(rows / (rows - 1)) * stdtrit(rows - 1, (1 + level) / 2)))
    return [tail, 1 - tail]


def _quantiles(values: FloatArray, level: float, rows: int) -> tuple[float, float]:
    """Return both bounds of values that may be infinite: the nearest values, never a mean of them."""
    low, high = np.quantile(values, _tails(level, rows), method="inverted_cdf")
    return float(low), float(high)


# --- least squares ---------------------------------------------------------------------------------------------------


def _basis(kind: Kind, rate: FloatArray, sizes: FloatArray, smallest: float) -> FloatArray:
    """Return what is left of the gain: (..., sizes) for rates (...)."""
    if kind == "exponential":
        return np.exp(np.clip(-(sizes - smallest) / rate[..., None], -700.0, 700.0))
    return np.exp(np.clip(-rate[..., None] * np.log(sizes / smallest), -700.0, 700.0))


def _curve(kind: Kind, values: FloatArray, sizes: FloatArray, smallest: float) -> FloatArray:
    plateau, gain, rate = values.T
    return np.asarray(plateau[:, None] + gain[:, None] * _basis(kind, rate, sizes, smallest))


def _fitted(kind: Kind, at: FloatArray, means: FloatArray) -> FloatArray:
    """Return plateau, gain and rate (curves, 3): the rate by search, from a grid into ever smaller ones."""
    bounds = (0.1 * float(np.diff(at).min()), 100.0 * float(np.ptp(at))) if kind == "exponential" else (1e-3, 20.0)
    grid = np.linspace(math.log(bounds[0]), math.log(bounds[1]), _RATES)
    rates = np.broadcast_to(grid, (len(means), _RATES))
    step = float(grid[1] - grid[0])
    chosen = np.empty(len(means))
    for _ in range(_ZOOMS):
        plateau, gain, residual = _linear(_basis(kind, np.exp(rates), at, at[0]), means)
        best = residual.argmin(axis=1)[:, None]
        chosen = np.take_along_axis(rates, best, axis=1)[:, 0]
        found = [np.take_along_axis(each, best, axis=1)[:, 0] for each in (plateau, gain)]
        rates = np.clip(chosen[:, None] + step * np.linspace(-1.0, 1.0, 21), grid[0], grid[-1])
        step /= 10.0
    return np.stack([*found, np.exp(chosen)], axis=1)


def _linear(basis: FloatArray, means: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return plateau, gain (neither below zero) and residual for each rate: bases (curves, rates, sizes)."""
    y = means[:, None, :]
    about = basis.mean(axis=-1)
    spread = np.sum((basis - about[..., None]) ** 2, axis=-1)
    middle = y.mean(axis=-1)
    free_gain = np.sum((basis - about[..., None]) * (y - middle[..., None]), axis=-1) / np.maximum(spread, 1e-300)
    free_plateau = middle - free_gain * about
    through = np.maximum(0.0, np.sum(basis * y, axis=-1) / np.sum(basis**2, axis=-1))
    level = np.maximum(0.0, np.broadcast_to(middle, about.shape))
    zero = np.zeros_like(about)
    free = (free_gain >= 0.0) & (free_plateau >= 0.0) & (spread > 0.0)
    ways = [(np.where(free, free_plateau, level), np.where(free, free_gain, 0.0)), (zero, through), (level, zero)]
    left = np.stack([np.sum((y - a[..., None] - b[..., None] * basis) ** 2, axis=-1) for a, b in ways])
    best = left.argmin(axis=0)[None]
    plateau, gain = (np.take_along_axis(np.stack([way[i] for way in ways]), best, axis=0)[0] for i in (0, 1))
    return plateau, gain, np.take_along_axis(left, best, axis=0)[0]


def _aicc(residual: float, means: FloatArray, fitted: int) -> float:
    """Return Akaike's criterion corrected for few values; a perfect fit counts as one to machine precision."""
    n = means.size
    if n - fitted - 1 <= 0:
        return math.nan
    least = n * (np.finfo(np.float64).eps * float(np.abs(means).max())) ** 2
    return n * math.log(max(residual, least) / n) + 2 * fitted + 2 * fitted * (fitted + 1) / (n - fitted - 1)


def _from_draws(values: FloatArray, draws: FloatArray, rows: int, level: float) -> Parameters:
    if not len(draws):
        reason = f"a bootstrap needs {MIN_PERSONS} persons or draws, and there are {rows}"
        return Parameters(*(Estimate(float(value), n=rows, level=level, reason=reason) for value in values))
    bounds = [_quantiles(column, level, rows) for column in draws.T]
    return Parameters(*(Estimate(float(value), *pair, rows, level) for value, pair in zip(values, bounds, strict=True)))


def _by_delta(kind: Kind, at: FloatArray, values: FloatArray, residual: float, rows: int, level: float) -> Parameters:
    plateau, gain, rate = values
    free = at.size - 3
    if plateau <= 0.0 or gain <= 0.0:
        reason = "plateau or gain lies at zero, its bound"
        return Parameters(*(Estimate(float(value), n=rows, level=level, reason=reason) for value in values))
    basis = _basis(kind, np.array(rate), at, at[0])
    by_rate = basis * ((at - at[0]) / rate**2 if kind == "exponential" else -np.log(at / at[0]))
    jacobian = np.stack([np.ones_like(at), basis, gain * by_rate], axis=1)
    scale = np.linalg.norm(jacobian, axis=0)
    if np.linalg.cond(jacobian / scale) > 1e8:
        reason = "the sizes do not tell the three numbers apart"
        return Parameters(*(Estimate(float(value), n=rows, level=level, reason=reason) for value in values))
    covariance = np.linalg.inv((jacobian / scale).T @ (jacobian / scale)) / np.outer(scale, scale)
    about = stdtrit(free, (1 + level) / 2) * np.sqrt(residual / free * np.diag(covariance))
    pairs = zip(values, about, strict=True)
    return Parameters(*(Estimate(float(v), float(v - d), float(v + d), rows, level) for v, d in pairs))
