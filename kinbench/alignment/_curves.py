"""What is summed at every lag at once, and how a curve over lags is read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

FloatArray = NDArray[np.float64]

LEAST = 1e-6


class LaggedSums:
    """Sums over time of (target side) x (inputs side, shifted by each lag), from the transforms of both sides."""

    def __init__(self, target_length: int, inputs_length: int, reach: int, *, starts_apart: int = 0) -> None:
        """Lags go from -``reach`` to ``reach``; the target starts ``starts_apart`` samples after the inputs."""
        self._length = next_fast_len(target_length + inputs_length + 2 * reach + 2, real=True)
        lags = starts_apart + np.arange(-reach, reach + 1)
        self._places = lags % self._length
        self._meet = (lags > -target_length) & (lags < inputs_length)

    def transform(self, side: NDArray[np.generic]) -> NDArray[np.complex128]:
        """Return the spectrum of one side, which may serve in several sums."""
        return np.asarray(rfft(np.asarray(side, dtype=np.float64), self._length), dtype=np.complex128)

    def __call__(self, target: NDArray[np.complex128], inputs: NDArray[np.complex128]) -> FloatArray:
        sums = irfft(np.conj(target) * inputs, self._length)[..., self._places]
        return np.where(self._meet, sums, 0.0)


@dataclass(frozen=True)
class Peak:
    """Where several curves over lags agree: the lag in samples, the height, how far the next peak lies below.

    ``spread`` is the median distance of the single curves' lags from it.
    """

    lag: float
    r: float
    margin: float
    spread: float


def common_peak(stack: FloatArray, reach: int, inside: int, lobe: int) -> Peak | None:
    """Return the highest point of the median of curves (k, 2 reach + 1) within +-``inside``, or None where all is NaN.

    Rivals count over the whole reach. The lag is the median of the single curves' own, each weighted by how well it is
    known.
    """
    together = np.median(stack, axis=0)
    searched = together[reach - inside : reach + inside + 1]
    if not np.isfinite(searched).any():
        return None
    best = reach - inside + int(np.nanargmax(searched))
    summits = [summit(curve, best, lobe) for curve in stack]
    singles = np.array([refined(curve, at) for curve, at in zip(stack, summits, strict=True)])
    weights = np.array([precision(curve, at) for curve, at in zip(stack, summits, strict=True)])
    common = weighted_median(singles, weights)
    return Peak(
        lag=float(common - reach),
        r=float(together[best]),
        margin=margin_of(together, best, lobe),
        spread=float(np.median(np.abs(singles - common))),
    )


def summit(curve: FloatArray, best: int, lobe: int) -> int:
    """Return the highest point of one curve near the common peak."""
    low, high = max(0, best - lobe), min(len(curve), best + lobe + 1)
    near = curve[low:high]
    return best if not np.isfinite(near).any() else low + int(np.nanargmax(near))


def precision(curve: FloatArray, peak: int) -> float:
    """Return one over the standard error of a lag, up to a factor common to all: its weight in a median.

    The likelihood of a lag goes with (1 - r^2)^(-n/2), so its information is the bend of r^2 at the peak over 1 - r^2.
    A joint whose rate the gyros follow at any lag (a hip in regular gait) has a flat peak, high as it may be.
    """
    if peak in (0, len(curve) - 1):
        return LEAST
    before, here, after = curve[peak - 1 : peak + 2] ** 2
    bend = 2 * here - before - after
    return float(np.sqrt(bend / max(1 - here, LEAST))) if np.isfinite(bend) and bend > 0 else LEAST


def weighted_median(values: FloatArray, weights: FloatArray) -> float:
    """Return the value at half of the total weight, interpolated between the middles of neighbours' weights.

    With equal weights it is the plain median; of two values, the better one counts for more.
    """
    order = np.argsort(values, kind="stable")
    upto = np.cumsum(weights[order]) - weights[order] / 2
    return float(np.interp(weights.sum() / 2, upto, values[order]))


def refined(curve: FloatArray, peak: int) -> float:
    """Return the vertex of the parabola through the peak and its neighbours."""
    if peak in (0, len(curve) - 1):
        return float(peak)
    before, here, after = curve[peak - 1 : peak + 2]
    bend = before - 2 * here + after
    return float(
        peak if not np.isfinite(bend) or bend >= 0 else peak + np.clip(0.5 * (before - after) / bend, -0.5, 0.5)
    )


def margin_of(curve: FloatArray, best: int, lobe: int) -> float:
    """Return how far the highest point outside the main peak lies below it; 0 where the best is no peak at all.

    The main peak reaches down both its sides to where the curve turns up again.
    """
    beside = curve[max(0, best - 1) : best + 2]
    if len(beside) < 3 or not np.isfinite(beside).all() or beside.max() > curve[best]:
        return 0.0
    low, high = max(0, best - lobe), min(len(curve) - 1, best + lobe)
    while low > 0 and curve[low - 1] <= curve[low]:
        low -= 1
    while high < len(curve) - 1 and curve[high + 1] <= curve[high]:
        high += 1
    outside = np.concatenate([curve[: low + 1], curve[high:]])
    return float(curve[best] - np.nanmax(outside)) if np.isfinite(outside).any() else 0.0
