"""Least squares on every subset of blocks of inputs, by elimination that the subsets share.

Subsets that begin alike have their first steps in common: each block is eliminated once per set of blocks before it,
from what is left of the blocks after it (Furnival & Wilson 1974, there with single inputs). All 127 sets of seven equal
blocks so cost about a fifth of as many Cholesky factors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

FloatArray = NDArray[np.float64]
Subset = tuple[int, ...]


@dataclass(frozen=True)
class _Step:
    """One eliminated block: its factor's inverse (b, b), and (rows, b) what it does to the blocks and targets after."""

    inverse: FloatArray
    below: FloatArray
    end: int


def solve_subsets(
    gram: FloatArray, cross: FloatArray, sizes: Sequence[int], subsets: Iterable[Subset]
) -> Mapping[Subset, FloatArray]:
    """Return, for each subset of the blocks, X (rows of its blocks, k) with gram[S, S] X = cross[S].

    ``gram`` (p, p) is positive definite and made of blocks of these sizes, ``cross`` is (p, k); a subset is ascending
    numbers of blocks. Its answer is the same to the bit whichever others are asked for. Raises ``LinAlgError`` where
    ``gram`` is not positive definite.
    """
    return _Solver(gram, cross, sizes, subsets).answers


class _Solver:
    def __init__(self, gram: FloatArray, cross: FloatArray, sizes: Sequence[int], subsets: Iterable[Subset]) -> None:
        self._ends = np.cumsum([0, *sizes])
        self._targets = cross.shape[1]
        self._wanted = set(subsets)
        self._heads = {subset[:length] for subset in self._wanted for length in range(1, len(subset) + 1)}
        self.answers: dict[Subset, FloatArray] = {}
        # The targets stand below the inputs and are carried along; products among themselves are of no interest.
        whole = np.zeros((len(gram) + self._targets,) * 2)
        whole[: len(gram), : len(gram)], whole[len(gram) :, : len(gram)] = gram, cross.T
        self._descend(whole, 0, (), ())

    def _descend(self, left: FloatArray, first: int, subset: Subset, steps: tuple[_Step, ...]) -> None:
        """Answer all wanted subsets that begin with this one; ``left`` is what its steps left of blocks from first."""
        if subset in self._wanted:
            self.answers[subset] = self._substitute(subset, steps)
        for block in range(first, self._ends.size - 1):
            if (*subset, block) not in self._heads:
                continue
            begin, end = self._ends[block : block + 2] - self._ends[first]
            factor = np.linalg.cholesky(left[begin:end, begin:end])
            inverse = solve_triangular(factor, np.eye(len(factor)), lower=True, check_finite=False)
            below = left[end:, begin:end] @ inverse.T
            rest = left[end:, end:] - below @ below.T
            step = _Step(inverse, below, int(self._ends[block + 1]))
            self._descend(rest, block + 1, (*subset, block), (*steps, step))

    def _substitute(self, subset: Subset, steps: tuple[_Step, ...]) -> FloatArray:
        solved: list[tuple[int, FloatArray]] = []
        for block, step in zip(reversed(subset), reversed(steps), strict=True):
            wanted = step.below[-self._targets :].T
            for later, answer in solved:
                rows = slice(self._ends[later] - step.end, self._ends[later + 1] - step.end)
                wanted = wanted - step.below[rows].T @ answer
            solved.append((block, step.inverse.T @ wanted))
        return np.concatenate([answer for _, answer in reversed(solved)])
