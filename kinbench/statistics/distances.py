"""Whether a loss grows with a distance: an N x N matrix of errors against one of distances between datasets.

The N (N - 1) pairs are not independent, since each dataset is in many; Mantel's test (1967) shuffles the datasets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations as orders
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from kinbench.errors import DataError, UsageError
from kinbench.statistics._tables import check_alpha, frame_of
from kinbench.statistics.comparisons import ALPHA
from kinbench.statistics.intervals import SEED

FloatArray = NDArray[np.float64]
Alternative = Literal["two-sided", "greater"]

PERMUTATIONS = 9_999
ALL_PERMUTATIONS = 7
"""Up to so many datasets every order is counted (5,040)."""
_CHUNK = 1_000


@dataclass(frozen=True)
class Mantel:
    """The correlation of two matrices off their diagonals over n datasets, and its p by shuffling datasets.

    NaN with a ``reason`` where no p could reach alpha, or a matrix does not differ.
    """

    method: str
    alternative: Alternative
    n: int
    r: float
    p: float
    permutations: int
    reason: str | None = None

    def to_frame(self) -> pd.DataFrame:
        """Return one row."""
        return frame_of([self])


def mantel(
    distance: ArrayLike | pd.DataFrame,
    loss: ArrayLike | pd.DataFrame,
    *,
    method: Literal["spearman", "pearson"] = "spearman",
    alternative: Alternative = "greater",
    permutations: int = PERMUTATIONS,
    alpha: float = ALPHA,
    names: Sequence[str] | None = None,
) -> Mantel:
    """Test whether ``loss`` (trained on the row, tested on the column) grows with ``distance``, both (N, N).

    Neither need be symmetric; diagonals are left out. Two frames are matched by their names. Up to seven datasets every
    order of them is counted, ``permutations`` seeded ones above.

    Raises ``DataError`` for matrices that are not square, of unequal size or names, or that lack a value off the
    diagonal (each pair is named).
    """
    check_alpha(alpha)
    if method not in ("spearman", "pearson"):
        raise UsageError(f"A correlation is 'spearman' or 'pearson', not '{method}'.")
    if alternative not in ("two-sided", "greater"):
        raise UsageError(f"An alternative is 'two-sided' or 'greater', not '{alternative}'.")
    a, b, n = _matched(distance, loss, names)
    off = ~np.eye(n, dtype=bool)
    exact = n <= ALL_PERMUTATIONS
    counted = math.factorial(n) if exact else permutations
    reason = None
    if 1 / math.factorial(n) > alpha:
        reason = f"with {n} datasets p cannot fall below {1 / math.factorial(n):.2g}"
    elif np.ptp(a[off]) == 0 or np.ptp(b[off]) == 0:
        reason = f"the {'distances' if np.ptp(a[off]) == 0 else 'losses'} do not differ"
    if reason:
        return Mantel(method, alternative, n, math.nan, math.nan, 0, reason)
    x, y = (_standardised(matrix, off, method) for matrix in (a, b))
    r = float(np.sum(x * y))
    shuffles = np.array([*orders(range(n))]) if exact else _shuffles(n, permutations)
    found = np.concatenate([_products(x, y, some) for some in np.array_split(shuffles, 1 + len(shuffles) // _CHUNK)])
    far = np.abs(found) >= abs(r) - 1e-12 if alternative == "two-sided" else found >= r - 1e-12
    p = float(far.mean()) if exact else float((1 + far.sum()) / (1 + permutations))
    return Mantel(method, alternative, n, r, p, counted)


def _shuffles(n: int, permutations: int) -> NDArray[np.intp]:
    if permutations < 1:
        raise UsageError(f"Permutations are one or more, not {permutations}.")
    return np.random.default_rng(SEED).permuted(np.broadcast_to(np.arange(n), (permutations, n)), axis=1)


def _products(x: FloatArray, y: FloatArray, some: NDArray[np.intp]) -> FloatArray:
    """Return the correlation of x with y after each shuffle of y's rows and columns together."""
    return np.asarray(np.einsum("ij,kij->k", x, y[some[:, :, None], some[:, None, :]]))


def _matched(
    distance: ArrayLike | pd.DataFrame, loss: ArrayLike | pd.DataFrame, names: Sequence[str] | None
) -> tuple[FloatArray, FloatArray, int]:
    if isinstance(distance, pd.DataFrame) and isinstance(loss, pd.DataFrame):
        names = [str(name) for name in distance.index]
        if any({*axis} != {*distance.index} for axis in (distance.columns, loss.index, loss.columns)):
            raise DataError(f"Both matrices need the same names down and across; the distances have {names}.")
        loss = loss.loc[distance.index, distance.index]
        distance = distance[distance.index]
    a, b = (np.asarray(matrix, dtype=np.float64) for matrix in (distance, loss))
    n = a.shape[0] if a.ndim else 0
    if a.shape != (n, n) or b.shape != (n, n) or n < 2 or (names is not None and len(names) != n):
        raise DataError(f"Mantel's test needs two square matrices of one size, got {a.shape} and {b.shape}.")
    told = [str(i) for i in range(n)] if names is None else [*names]
    off = ~np.eye(n, dtype=bool)
    lacking = [f"{told[i]} to {told[j]}" for i, j in np.argwhere(off & ~(np.isfinite(a) & np.isfinite(b)))]
    if lacking:
        raise DataError(f"Mantel's test needs a distance and a loss for every pair; missing: {', '.join(lacking[:5])}.")
    return a, b, n


def _standardised(matrix: FloatArray, off: NDArray[np.bool_], method: str) -> FloatArray:
    """Return ranks or values off the diagonal with mean 0 and length 1; zeros on it, so that it adds nothing."""
    values = np.asarray(rankdata(matrix[off]), dtype=np.float64) if method == "spearman" else matrix[off]
    about = values - values.mean()
    done = np.zeros_like(matrix)
    done[off] = about / np.sqrt(np.sum(about**2))
    return done
