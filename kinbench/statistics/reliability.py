"""Intraclass correlations: how much of what differs between values is that persons differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import fdtrc, fdtri

from kinbench.errors import DataError, UsageError
from kinbench.statistics._tables import frame_of, persons
from kinbench.statistics.intervals import LEVEL, MIN_PERSONS, Estimate

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Correlation:
    """One intraclass correlation with its interval, and the F test that it is above zero."""

    form: str
    value: Estimate
    f: float
    df: int
    error_df: int
    p: float


@dataclass(frozen=True)
class Reliability:
    """The six intraclass correlations of n persons by k methods (or repeats), by Shrout and Fleiss's names."""

    n: int
    k: int
    forms: tuple[Correlation, ...]
    reason: str | None = None

    def form(self, name: str) -> Correlation:
        """Return one form, such as ``ICC(2,1)``; raises ``UsageError`` where there is none of that name."""
        for form in self.forms:
            if form.form == name:
                return form
        raise UsageError(f"There is no '{name}'; there are {', '.join(form.form for form in self.forms)}.")

    def to_frame(self) -> pd.DataFrame:
        """Return one row per form."""
        return frame_of(self.forms, n=self.n, k=self.k)


def icc(ratings: Sequence[Sequence[float]] | FloatArray, *, level: float = LEVEL) -> Reliability:
    """Return ICC(1,1), (2,1), (3,1) and, for the mean of k, (1,k), (2,k), (3,k) of (persons, methods).

    Form 1: each person by other methods; 2: methods drawn at random, absolute agreement (what a sensor against a
    reference asks for); 3: these methods alone, consistency (an offset is forgiven). Shrout & Fleiss 1979 with the
    intervals of McGraw & Wong 1996, table 7. NaN with a reason for fewer than three persons and where no value differs.

    Raises ``DataError`` for a table that is not (persons, two methods or more) or has values that are not finite.
    """
    if not 0.0 < level < 1.0:
        raise UsageError(f"A level lies between 0 and 1, not at {level}.")
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < 2 or not np.isfinite(table).all():
        raise DataError(
            f"An intraclass correlation needs a complete table of persons by two methods or more, got {table.shape}"
            f"{'' if np.isfinite(table).all() else ' with values that are not finite'}."
        )
    n, k = table.shape
    reason = f"{persons(n)}: it needs {MIN_PERSONS}" if n < MIN_PERSONS else None
    rows, columns, error, inside = _mean_squares(table) if n > 1 else (math.nan,) * 4
    noise = 1e-12 * float(np.sum(table**2))
    reason = reason or ("no value differs" if rows + inside <= noise else None)
    if reason is None and error <= noise:
        reason = "the methods differ by the same in all persons: there is no error"
    if reason:
        none = Estimate(math.nan, n=n, level=level, reason=reason)
        forms = tuple(Correlation(form, none, math.nan, n - 1, 0, math.nan) for form in _FORMS)
        return Reliability(n, k, forms, reason)
    return Reliability(n, k, tuple(_forms(rows, columns, error, inside, n, k, level)))


_FORMS = ("ICC(1,1)", "ICC(2,1)", "ICC(3,1)", "ICC(1,k)", "ICC(2,k)", "ICC(3,k)")


def _mean_squares(table: FloatArray) -> tuple[float, float, float, float]:
    """Return the mean squares between persons, between methods, of the rest, and within persons."""
    n, k = table.shape
    by_person, by_method, centre = table.mean(axis=1, keepdims=True), table.mean(axis=0), table.mean()
    rows = k * float(np.sum((by_person - centre) ** 2)) / (n - 1)
    columns = n * float(np.sum((by_method - centre) ** 2)) / (k - 1)
    error = float(np.sum((table - by_person - by_method + centre) ** 2)) / ((n - 1) * (k - 1))
    inside = float(np.sum((table - by_person) ** 2)) / (n * (k - 1))
    return rows, columns, error, inside


def _forms(rows: float, columns: float, error: float, inside: float, n: int, k: int, level: float) -> list[Correlation]:
    tail = (1 + level) / 2
    one = (n - 1, n * (k - 1))
    rest = (n - 1, (n - 1) * (k - 1))
    f_one, f_rest = rows / inside, rows / error
    first = _interval(f_one, *one, tail)
    third = _interval(f_rest, *rest, tail)
    absolute = (rows - error) / (rows + (k - 1) * error + k * (columns - error) / n)
    low, high = _absolute(absolute, rows, columns, error, n, k, tail)

    def correlation(form: str, value: float, bounds: tuple[float, float], f: float, df: tuple[int, int]) -> Correlation:
        return Correlation(form, Estimate(value, *bounds, n, level), f, *df, float(fdtrc(*df, f)))

    def single(f: float) -> float:
        return (f - 1) / (f + k - 1)

    def average(f: float) -> float:
        return 1 - 1 / f

    def stepped(rho: float) -> float:
        """Return the correlation of means of k from that of single values (Spearman & Brown 1910)."""
        return k * rho / (1 + (k - 1) * rho)

    return [
        correlation(_FORMS[0], single(f_one), (single(first[0]), single(first[1])), f_one, one),
        correlation(_FORMS[1], absolute, (low, high), f_rest, rest),
        correlation(_FORMS[2], single(f_rest), (single(third[0]), single(third[1])), f_rest, rest),
        correlation(_FORMS[3], average(f_one), (average(first[0]), average(first[1])), f_one, one),
        correlation(_FORMS[4], stepped(absolute), (stepped(low), stepped(high)), f_rest, rest),
        correlation(_FORMS[5], average(f_rest), (average(third[0]), average(third[1])), f_rest, rest),
    ]


def _interval(f: float, df: int, error_df: int, tail: float) -> tuple[float, float]:
    return f / float(fdtri(df, error_df, tail)), f * float(fdtri(error_df, df, tail))


def _absolute(
    rho: float, rows: float, columns: float, error: float, n: int, k: int, tail: float
) -> tuple[float, float]:
    """Return the interval of ICC(2,1), with Satterthwaite's degrees of freedom (McGraw & Wong 1996, table 7)."""
    a = k * rho / (n * (1 - rho))
    b = 1 + k * rho * (n - 1) / (n * (1 - rho))
    v = (a * columns + b * error) ** 2 / ((a * columns) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1)))
    lower, upper = float(fdtri(n - 1, v, tail)), float(fdtri(v, n - 1, tail))
    mixed = k * columns + (k * n - k - n) * error
    return (
        n * (rows - lower * error) / (lower * mixed + n * rows),
        n * (upper * rows - error) / (mixed + n * upper * rows),
    )
