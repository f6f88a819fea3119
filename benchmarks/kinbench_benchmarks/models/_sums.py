"""Sums over windows that a linear model on lagged channels learns from: those of some persons add up to those of all.

Sums of squares and products are kept about their own means and joined with the correction for the distance between the
means (Chan, Golub & LeVeque 1983), so that an offset, such as gravity's, costs no digits. How inputs are scaled and
what a missing sample is filled with depends on all windows of a fit: both are worked in afterwards, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from kinbench.windows import Batches, TaskSpec

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

_CHUNK = 128
"""Windows multiplied out at a time, so that memory does not grow with the set."""
_STILL = 1e-6
"""An SD below this part of the level (plus one) is the rounding of a constant, not a signal."""


@dataclass(frozen=True)
class Moments:
    """How many values there are of each column, their mean, and sums of squares about it.

    All are (k,), or ``spread`` is (k, k), sums of products, where the columns have one ``count`` (1,).
    """

    count: FloatArray
    mean: FloatArray
    spread: FloatArray

    def __add__(self, other: Moments) -> Moments:
        count = self.count + other.count
        step = other.mean - self.mean
        part = other.count / np.maximum(count, 1.0)
        spread = self.spread + other.spread
        if spread.ndim == 1:
            spread += self.count * part * step**2
        else:
            spread += np.outer(self.count * part * step, step)
        return Moments(count, self.mean + part * step, spread)

    def picked(self, at: IntArray) -> Moments:
        """Return the columns at some places, in this order; of products, those among them."""
        block = self.spread[at] if self.spread.ndim == 1 else self.spread[np.ix_(at, at)]
        return Moments(self.count, self.mean[at], block)


@dataclass(frozen=True)
class Group:
    """The samples on which some DoFs are labelled, mostly all: products of inputs, gaps and these DoFs' targets.

    The columns of ``products`` are the inputs (lag by lag, missing ones 0), whether they are missing (lag by lag, of
    the channels with gaps) and the targets in degrees.
    """

    dofs: tuple[int, ...]
    products: Moments


@dataclass(frozen=True)
class Normal:
    """What of some DoFs is left to solve: ``count`` samples, and means and centred products of z-scores and targets.

    ``mean`` (p,) and ``gram`` (p, p) are of the inputs' z-scores, lag by lag, ``cross`` (p, dof) theirs with the
    targets, ``target_mean`` and ``target_square`` (dof,) the targets' own.
    """

    dofs: tuple[int, ...]
    count: float
    mean: FloatArray
    gram: FloatArray
    cross: FloatArray
    target_mean: FloatArray
    target_square: FloatArray

    def narrowed(self, features: IntArray) -> Normal:
        """Return what some of the inputs (k,) alone give."""
        gram = self.gram[np.ix_(features, features)]
        return replace(self, mean=self.mean[features], gram=gram, cross=self.cross[features])

    def mean_square(self, weights: FloatArray, intercept: FloatArray) -> FloatArray:
        """Return the mean squared error (..., dof) of weights (..., dof, p) and intercepts (..., dof)."""
        flat = weights.reshape(-1, self.mean.size)
        explained = (flat * (flat @ self.gram)).sum(1).reshape(intercept.shape)
        explained -= 2.0 * (weights * self.cross.T).sum(-1)
        offset = self.target_mean - weights @ self.mean - intercept
        return np.asarray((explained + self.target_square) / max(self.count, 1.0) + offset**2)


@dataclass(frozen=True)
class Sums:
    """The sums of ``windows`` windows: ``channels`` holds each channel's moments over all their samples.

    ``gaps`` are the channels that are missing somewhere, ``groups`` the products by DoFs.
    """

    spec: TaskSpec
    lags: int
    windows: int
    channels: Moments
    gaps: tuple[int, ...]
    groups: tuple[Group, ...]

    def __add__(self, other: Sums) -> Sums:
        gaps = tuple(sorted({*self.gaps, *other.gaps}))
        shared = [
            (tuple(dof for dof in mine.dofs if dof in theirs.dofs), mine, theirs)
            for mine in self.groups
            for theirs in other.groups
        ]
        groups = tuple(
            Group(dofs, self._fitted(mine, dofs, gaps) + other._fitted(theirs, dofs, gaps))
            for dofs, mine, theirs in shared
            if dofs
        )
        windows, channels = self.windows + other.windows, self.channels + other.channels
        return replace(self, windows=windows, channels=channels, gaps=gaps, groups=groups)

    @property
    def nbytes(self) -> int:
        """How much memory they take."""
        return sum(group.products.spread.nbytes for group in self.groups)

    def scaling(self) -> tuple[FloatArray, FloatArray]:
        """Return mean and SD of every channel, the SD 1 where a channel does not vary or was never there."""
        mean = self.channels.mean
        sd = np.sqrt(self.channels.spread / np.maximum(self.channels.count, 1.0))
        return mean, np.where(sd <= _STILL * (1.0 + np.abs(mean)), 1.0, sd)

    def normal(self, mean: FloatArray, sd: FloatArray) -> list[Normal]:
        """Return what is left to solve on z-scores by this mean and SD (channel,), missing inputs at the mean (z = 0).

        One for each group of DoFs that are labelled alike.
        """
        inputs = self.lags * mean.size
        filled = (np.arange(self.lags)[:, None] * mean.size + np.array(self.gaps, dtype=np.int64)).reshape(-1)
        level = np.tile(mean[list(self.gaps)], self.lags)
        scale = np.tile(sd, self.lags)
        found = []
        for group in self.groups:
            means, products = group.products.mean.copy(), group.products.spread
            if filled.size:  # an input and the mean wherever it is missing, one after the other on either side
                gap, products = slice(inputs, inputs + filled.size), products.copy()
                means[filled] += level * means[gap]
                products[filled] += level[:, None] * products[gap]
                products[:, filled] += products[:, gap] * level
            targets = slice(inputs + filled.size, None)
            found.append(
                Normal(
                    group.dofs, float(group.products.count[0]), (means[:inputs] - np.tile(mean, self.lags)) / scale,
                    products[:inputs, :inputs] / scale[:, None] / scale, products[:inputs, targets] / scale[:, None],
                    means[targets], np.diagonal(products)[targets],
                )
            )  # fmt: skip
        return found

    def _fitted(self, group: Group, dofs: tuple[int, ...], gaps: tuple[int, ...]) -> Moments:
        """Return a group's products of some of its DoFs, with columns for these channels' gaps."""
        if (dofs, gaps) == (group.dofs, self.gaps):
            return group.products
        inputs = self.lags * self.channels.mean.size
        own, wanted = self.lags * len(self.gaps), self.lags * len(gaps)
        among = np.array([gaps.index(channel) for channel in self.gaps], dtype=np.int64)
        source = np.array([*range(inputs + own), *(inputs + own + group.dofs.index(dof) for dof in dofs)])
        target = np.concatenate([
            np.arange(inputs), inputs + (np.arange(self.lags)[:, None] * len(gaps) + among).reshape(-1),
            inputs + wanted + np.arange(len(dofs)),
        ])  # fmt: skip
        picked, size = group.products.picked(source), inputs + wanted + len(dofs)
        mean, spread = np.zeros(size), np.zeros((size, size))
        mean[target], spread[np.ix_(target, target)] = picked.mean, picked.spread
        return Moments(picked.count, mean, spread)


def sums_of(batches: Batches, rows: IntArray, at: IntArray) -> Sums:
    """Return the sums of some windows, person by person in the order of their numbers.

    ``rows`` (k,) are the samples of a window that are learnt from, ``at`` (k, lag) the rows of each one's context.
    """
    persons = [np.flatnonzero(batches.person == person) for person in np.unique(batches.person[: len(batches)])]
    parts = [reduce(add, (_chunk(batches, some, rows, at) for some in _cut(windows))) for windows in persons]
    return reduce(add, parts) if parts else _none(batches, at.shape[1])


def _cut(windows: IntArray) -> list[IntArray]:
    return [windows[begin : begin + _CHUNK] for begin in range(0, windows.size, _CHUNK)]


def _none(batches: Batches, lags: int) -> Sums:
    channels, dofs = len(batches.spec.channel_names), len(batches.spec.dof_names)
    size = lags * channels + dofs
    products = Moments(np.zeros(1), np.zeros(size), np.zeros((size, size)))
    none = Moments(np.zeros(channels), np.zeros(channels), np.zeros(channels))
    return Sums(batches.spec, lags, 0, none, (), (Group(tuple(range(dofs)), products),))


def _chunk(batches: Batches, windows: IntArray, rows: IntArray, at: IntArray) -> Sums:
    x, y, valid = batches.take(windows)
    known = np.isfinite(x)
    gaps = np.flatnonzero(~known.all(axis=(0, 1)))
    x0 = x.astype(np.float64) if gaps.size == 0 else np.where(known, x, np.float32(0.0)).astype(np.float64)
    columns = _columns(x0, known, gaps, y[:, rows], at)
    labelled = valid[:, rows].reshape(-1, valid.shape[2])
    groups = tuple(
        Group(dofs, _products(columns, labelled[:, dofs[0]], dofs, labelled.shape[1])) for dofs in _alike(labelled)
    )  # fmt: skip
    channels = _channels(x0.reshape(-1, x.shape[2]), known.reshape(-1, x.shape[2]))
    return Sums(batches.spec, at.shape[1], len(x), channels, tuple(gaps.tolist()), groups)


def _columns(x0: FloatArray, known: BoolArray, gaps: IntArray, y: Float32Array, at: IntArray) -> FloatArray:
    """Return (n * k, q) inputs lag by lag, gaps lag by lag, and targets."""
    n, (k, lags), channels = len(x0), at.shape, x0.shape[2]
    columns = np.empty((n, k, lags * (channels + gaps.size) + y.shape[2]))
    missing = ~known[:, :, gaps]
    for lag in range(lags):
        columns[:, :, lag * channels : (lag + 1) * channels] = x0[:, at[:, lag]]
        begin = lags * channels + lag * gaps.size
        columns[:, :, begin : begin + gaps.size] = missing[:, at[:, lag]]
    columns[:, :, columns.shape[2] - y.shape[2] :] = y
    return columns.reshape(n * k, -1)


def _alike(labelled: BoolArray) -> list[tuple[int, ...]]:
    """Return the DoFs (columns) that are labelled on the same samples, together."""
    found: dict[bytes, list[int]] = {}
    for dof in range(labelled.shape[1]):
        found.setdefault(labelled[:, dof].tobytes(), []).append(dof)
    return [tuple(dofs) for dofs in found.values()]


def _products(columns: FloatArray, mask: BoolArray, dofs: Sequence[int], targets: int) -> Moments:
    inputs = columns.shape[1] - targets
    kept = columns
    if len(dofs) < targets or not mask.all():
        kept = columns[np.ix_(mask, np.array([*range(inputs), *(inputs + dof for dof in dofs)]))]
    count = len(kept)
    mean = kept.sum(0) / max(count, 1)
    centred = kept - mean
    return Moments(np.array([float(count)]), mean, centred.T @ centred)


def _channels(x0: FloatArray, known: BoolArray) -> Moments:
    count = known.sum(0).astype(np.float64)
    mean = x0.sum(0) / np.maximum(count, 1.0)
    return Moments(count, mean, (np.where(known, x0 - mean, 0.0) ** 2).sum(0))
