"""Two measurements of one angular rate: how late one of them is, how it is turned, scaled and biased.

A gyroscope and an orientation see the same turning. The lag at which they share most of it on free axes is found first;
then the rotation (or mirrored rotation) between them by the singular value decomposition of their shared motion
(Schönemann, Psychometrika 31, 1966), the slope, and the offset that is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.ndimage import binary_dilation
from scipy.signal import butter, sosfiltfilt

from kinbench.inspection.findings import BoolArray, FloatArray, norm

CUTOFF_HZ = 6.0
GUARD_S = 0.15
MAX_GAP_S = 0.1
LAG_S = 0.35
"""Less than the half of a stride, after which the pelvis repeats itself."""


def low_passed(
    time: FloatArray, values: FloatArray, grid: FloatArray, rate_hz: float, cutoff_hz: float
) -> tuple[FloatArray, BoolArray]:
    """Return signals (n, k) on the grid, low-passed, and which samples stand away from every hole."""
    known = np.isfinite(values).all(axis=1)
    at = time[known]
    if at.size < 20 or grid.size < 20:
        return np.zeros((grid.size, values.shape[1])), np.zeros(grid.size, dtype=bool)
    sos = _filter(cutoff_hz, rate_hz)
    between = np.stack([np.interp(grid, at, column) for column in values[known].T], axis=1)
    smooth: FloatArray = sosfiltfilt(sos, between, axis=0)
    after = np.clip(np.searchsorted(at, grid), 1, at.size - 1)
    hole = at[after] - at[after - 1] > max(MAX_GAP_S, 1.5 * float(np.median(np.diff(at))))
    hole |= (grid < at[0]) | (grid > at[-1])
    guard = np.ones(2 * round(GUARD_S * rate_hz) + 1, dtype=bool)
    ends = np.pad(hole, 1, constant_values=True)  # the filter knows nothing beyond them either
    return smooth, ~np.asarray(binary_dilation(ends, structure=guard)[1:-1], dtype=bool)


@cache
def _filter(cutoff_hz: float, rate_hz: float) -> FloatArray:
    return np.asarray(butter(4, cutoff_hz, fs=rate_hz, output="sos"), dtype=np.float64)


@dataclass(frozen=True)
class Agreement:
    """How a gyro's rate is made of another: ``slope * rotation @ other(t - lag_s) + bias``, in rad/s.

    ``r`` is the correlation of the two so fitted, ``unlagged_r`` with no lag; ``rotation`` is orthogonal and may be a
    mirror image. ``around`` is the share of the motion that is not about the strongest axis, which alone tells how far
    one is turned about that axis; ``across`` the share about the weakest, which tells mirror images apart.
    """

    seconds: float
    lag_s: float
    r: float
    unlagged_r: float
    slope: float
    rotation: FloatArray
    bias: FloatArray
    around: float
    across: float

    @property
    def angle_deg(self) -> float:
        """The angle of the rotation."""
        return float(np.degrees(np.arccos(np.clip((np.trace(self.rotation) - 1) / 2, -1.0, 1.0))))

    @property
    def mirrored(self) -> bool:
        """Whether no rotation explains it, only one with an axis turned round, and enough turns to tell."""
        return float(np.linalg.det(self.rotation)) < 0 and self.across > max(0.01, 3 * (1 - self.r))

    @property
    def determined(self) -> bool:
        """Whether enough turns about other axes than the strongest to tell the angle."""
        known = self.mirrored or float(np.linalg.det(self.rotation)) > 0
        return known and self.around > max(0.05, 5 * (1 - self.r))


def agreement(gyr: FloatArray, other: FloatArray, known: BoolArray, rate_hz: float) -> Agreement | None:
    """Return how two rates (n, 3) on one even grid agree; None where nothing moves."""
    weights = known.astype(np.float64)[:, None]
    if known.sum() < 50:
        return None
    one, two = ((values - values[known].mean(axis=0)) * weights for values in (gyr, other))
    power = float(np.sqrt((one**2).sum() * (two**2).sum()))
    if power <= 0:
        return None
    most = round(LAG_S * rate_hz)
    scores = np.array([
        float(np.linalg.svd(shared, compute_uv=False).sum()) / power for shared in _shared(one, two, most)
    ])  # fmt: skip
    best = int(np.argmax(scores))
    lag = best - most
    part = 0.0
    if 0 < best < 2 * most:
        before, at, after = scores[best - 1 : best + 2]
        bend = before - 2 * at + after
        part = 0.5 * (before - after) / bend if bend < 0 else 0.0
    late, early = slices(lag)
    both = known[late] & known[early]
    if both.sum() < 50:
        return None
    given, told = other[early][both], gyr[late][both]
    means = given.mean(axis=0), told.mean(axis=0)
    u, singular, vt = np.linalg.svd((told - means[1]).T @ (given - means[0]))
    rotation = u @ vt
    squares = float(((given - means[0]) ** 2).sum()), float(((told - means[1]) ** 2).sum())
    if min(squares) <= 0:
        return None
    slope = float(singular.sum()) / squares[0]
    return Agreement(
        seconds=float(both.sum() / rate_hz),
        lag_s=float((lag + part) / rate_hz),
        r=float(singular.sum()) / float(np.sqrt(squares[0] * squares[1])),
        unlagged_r=float(scores[most]),
        slope=slope,
        rotation=rotation,
        bias=means[1] - slope * rotation @ means[0],
        around=float(singular[1:].sum() / singular.sum()),
        across=float(singular[2] / singular.sum()),
    )


def slices(lag: int) -> tuple[slice, slice]:
    """Return which samples of a signal that is late, and of the other, belong together."""
    return (slice(lag, None), slice(None, -lag)) if lag > 0 else (slice(None, lag or None), slice(-lag, None))


def _shared(one: FloatArray, two: FloatArray, most: int) -> FloatArray:
    """Return the shared motion (lags, 3, 3) of two rates, the first being -most ... most samples late."""
    size = 1 << int(len(one) + 2 * most).bit_length()
    first, second = (np.fft.rfft(values, size, axis=0) for values in (one, two))
    product = np.fft.irfft(first[:, :, None] * np.conj(second[:, None, :]), size, axis=0)
    found: FloatArray = product[np.arange(-most, most + 1) % size]
    return found


def speed(rate: FloatArray) -> float:
    """Return the root mean square length of rates (n, 3)."""
    return float(np.sqrt((norm(rate) ** 2).mean())) if len(rate) else 0.0
