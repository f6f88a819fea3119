"""Whether two things are the same within a stated margin: no difference found is no proof that there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from kinbench.errors import UsageError
from kinbench.statistics._tables import check_alpha, complete, frame_of, persons
from kinbench.statistics.comparisons import ALPHA
from kinbench.statistics.intervals import MIN_PERSONS, Estimate

MARGIN_DEG = 5.0
"""Differences of joint angles up to here are called acceptable by convention (McGinley et al. 2009)."""


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided paired t tests against a margin, or one of them; the interval is at 1 - 2 alpha (90 %).

    ``difference`` is first minus second. ``p`` is the larger of the two (two-sided), or that of the one test made;
    ``shown`` whether p is at most alpha. ``sentence`` states the margin, the interval and the verdict.
    """

    kind: Literal["equivalence", "non-inferiority"]
    margin: float
    unit: str
    alpha: float
    n: int
    difference: Estimate
    p_above_lower: float
    p_below_upper: float
    p: float
    shown: bool
    sentence: str
    left_out: tuple[str, ...] = ()
    reason: str | None = None

    def to_frame(self) -> pd.DataFrame:
        """Return one row."""
        return frame_of([self])


def equivalence(
    first: Mapping[str, float],
    second: Mapping[str, float],
    *,
    margin: float = MARGIN_DEG,
    unit: str = "deg",
    alpha: float = ALPHA,
) -> Equivalence:
    """Test whether the mean difference lies within ± margin (two one-sided tests, Schuirmann 1987), by person.

    NaN with a reason for fewer than three persons, and where all persons differ alike. Raises ``UsageError`` for a
    margin that is not above zero, ``DataError`` where the two share nobody.
    """
    return _tested("equivalence", first, second, margin, unit, alpha)


def non_inferiority(
    candidate: Mapping[str, float],
    established: Mapping[str, float],
    *,
    margin: float = MARGIN_DEG,
    unit: str = "deg",
    alpha: float = ALPHA,
) -> Equivalence:
    """Test whether the candidate's error is by less than ``margin`` above the established one's, by person.

    Lower is better; refusals as ``equivalence``.
    """
    return _tested("non-inferiority", candidate, established, margin, unit, alpha)


def _tested(
    kind: Literal["equivalence", "non-inferiority"],
    first: Mapping[str, float],
    second: Mapping[str, float],
    margin: float,
    unit: str,
    alpha: float,
) -> Equivalence:
    check_alpha(alpha)
    if not 0.0 < margin < math.inf:
        raise UsageError(f"A margin is a number above zero, not {margin}.")
    table = complete({"first": first, "second": second}, what="sides")
    differences = table.values[:, 0] - table.values[:, 1]
    n, centre = table.n, float(differences.mean())
    deviation = float(differences.std(ddof=1)) if n > 1 else math.nan
    reason = None
    if n < MIN_PERSONS:
        reason = f"{persons(n)}: an equivalence test needs {MIN_PERSONS}"
    elif deviation <= 1e-12 * float(np.abs(table.values).max()):
        reason = "all persons differ alike: there is no error to test against"
    if reason:
        unknown = Estimate(centre, n=n, level=1 - 2 * alpha, reason=reason)
        told = f"{kind} within {margin:g} {unit} cannot be told: {reason}"
        return Equivalence(
            kind, margin, unit, alpha, n, unknown, math.nan, math.nan, math.nan, False, told, table.left_out, reason
        )
    error = deviation / math.sqrt(n)
    above = float(stdtr(n - 1, -(centre + margin) / error))
    below = float(stdtr(n - 1, (centre - margin) / error))
    about = float(stdtrit(n - 1, 1 - alpha)) * error
    p = max(above, below) if kind == "equivalence" else below
    found = Estimate(centre, centre - about, centre + about, n, 1 - 2 * alpha)
    told = _sentence(kind, margin, unit, found, p, alpha)
    return Equivalence(kind, margin, unit, alpha, n, found, above, below, p, p <= alpha, told, table.left_out)


def _sentence(kind: str, margin: float, unit: str, found: Estimate, p: float, alpha: float) -> str:
    stated = f"± {margin:g} {unit}" if kind == "equivalence" else f"{margin:g} {unit}"
    verdict = "shown" if p <= alpha else "not shown"
    return (
        f"{kind} within {stated} is {verdict}: mean difference {found.value:.2f} {unit} ({100 * found.level:.0f} % "
        f"interval {found.low:.2f} to {found.high:.2f}), p = {p:.3g}, {persons(found.n)}"
    )
