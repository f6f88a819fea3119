"""The lag between two clocks, measured from the motion that both have seen.

Method (schema 1, Time alignment): where the reference has segment orientations, each sensor's |gyro| against its
segment's angular speed, median over sensors; where it has joint angles only, the lag at which a joint's flexion rate
is best explained by the two adjacent sensors' gyros together, median over joints. The second needs no known rotation:
a joint's rate is a difference of two projections of angular rate, and least squares finds both axes. One sensor alone
does not determine the lag (its rate leads or trails the joint's), so a joint with one sensor is not used.

Both sides are brought to one uniform grid and go through the same zero-phase low-pass, so that filtering moves
neither. The coefficient of multiple correlation at every lag comes from weighted Gram matrices, all of which are
cross-correlations and are had by FFT at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.interpolate import Akima1DInterpolator
from scipy.ndimage import binary_dilation
from scipy.signal import butter, sosfiltfilt

from kinbench import schema, virtual_imu
from kinbench.errors import DataError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

CUTOFF_HZ = 12.0
"""Low-pass of both sides. Joint rates have nearly all their power below 6 Hz; what lies above it, up to where skin and
markers rattle, is what makes the peak sharp: on a marker-IK treadmill trial the lags of the joints of one body agree
within half a sample at 12 Hz and only within two at 3 Hz."""

GUARD_S = 0.15
"""Samples this near to a missing or masked one are left out: the low-pass has forgotten the hole by then."""

MAX_GAP_S = 0.1
"""A hole in a time axis longer than this counts as missing; a shorter one is bridged."""

GRID_LIMIT_HZ = 200.0
MIN_SAMPLES = 4
_LEAST = 1e-6
MIN_OVERLAP_S = 3.0
MIN_OVERLAP_SHARE = 0.5
"""A lag is looked at only if this share of the longest overlap, and at least ``MIN_OVERLAP_S``, speaks for it."""

MIN_RATE_RAD_S = 0.05
"""Root mean square of a rate below which nothing moves, so that there is nothing to compare."""

LOBE_S = 0.2
"""Half the least width of the main peak: a second peak nearer than this is the same peak. No stride is this short."""

RIVAL_S = 2.0
"""How far beyond the search rivals are looked for: otherwise a search narrower than a stride, or one that ends before
the true lag, would find a false peak and nothing better."""

CONFIDENT_R = 0.75
CONFIDENT_RATIO = 1.5
CONFIDENT_SPREAD_S = 0.05
"""A lag is believed where r is at least ``CONFIDENT_R`` (more than half of the variance explained), where the second
peak leaves at least ``CONFIDENT_RATIO`` times as much variance unexplained as the first (``margin`` alone would ask too
much of periodic gait seen clearly, and too little of gait seen badly), and where joints or sensors agree within
``CONFIDENT_SPREAD_S``.

Measured on eight real recordings with an optical or encoder reference (walking over ground and on treadmills, jumps,
mixed tasks): at the true lags r is 0.83 to 0.999 and the ratio 2.8 or more. 350 false ones, got by running the
reference backwards, shuffling its seconds, taking another recording's or person's, or putting the true lag out of the
search, reach r 0.92 (regular treadmill gait, a stride off) and a ratio of 1.06. The thresholds were chosen on the same
recordings."""


@dataclass(frozen=True)
class Lag:
    """How far the reference's clock is from the imu's, and how well that is known.

    ``shift_s`` is to be ADDED to the reference's time so that it lies on the imu's clock: an imu that is late by k
    samples at rate f gives +k/f. ``r`` is the correlation at the peak, ``margin`` how far the second peak lies below
    it (periodic motion has one a stride away), ``spread_s`` the median distance of single joints' or sensors' lags from
    it, ``samples`` how many grid samples spoke, ``method`` ``segment_speed`` or ``joint_rate``.
    """

    shift_s: float
    r: float
    margin: float
    spread_s: float
    samples: int
    method: str


def confident(lag: Lag) -> bool:
    """Say whether a measured lag may be applied without a person's word: see ``CONFIDENT_R`` and its companions."""
    second = lag.r - lag.margin
    clear = lag.margin > 0 and 1 - second**2 >= CONFIDENT_RATIO * (1 - lag.r**2)
    return lag.r >= CONFIDENT_R and clear and lag.spread_s <= CONFIDENT_SPREAD_S


def estimate_lag(imu: xr.Dataset, reference: xr.Dataset, *, search_s: float) -> Lag | None:
    """Measure the lag between an imu stream and a reference stream within +-``search_s`` of their declared times.

    Both streams must be in schema units. Returns None where it cannot be assessed: no ``gyr``, nothing of the
    reference that belongs to a sensor, too little overlap, or no motion. Raises ``DataError`` where a clock does not
    increase strictly.
    """
    for name, stream in (("imu", imu), ("reference", reference)):
        if not (np.diff(stream["time"].values) > 0).all():
            raise DataError(f"the {name}'s time must increase strictly from sample to sample, and does not")
    if "gyr" not in imu or min(imu.sizes["time"], reference.sizes["time"]) < MIN_SAMPLES:
        return None
    grid = _Grid.of(imu, reference)
    pairs, method = _pairs(imu, reference, grid)
    inside = int(np.ceil(search_s * grid.rate_hz))
    reach = inside + round(RIVAL_S * grid.rate_hz)
    curves = [(curve, count) for curve, count in (_curve(pair, reach, grid) for pair in pairs) if curve is not None]
    if not curves:
        return None
    stack = np.array([curve for curve, _ in curves])
    together = np.median(stack, axis=0)
    searched = together[reach - inside : reach + inside + 1]
    if not np.isfinite(searched).any():
        return None
    best = reach - inside + int(np.nanargmax(searched))
    lobe = round(LOBE_S * grid.rate_hz)
    summits = [_summit(curve, best, lobe) for curve in stack]
    singles = np.array([_refined(curve, summit) for curve, summit in zip(stack, summits, strict=True)])
    weights = np.array([_precision(curve, summit) for curve, summit in zip(stack, summits, strict=True)])
    common = _weighted_median(singles, weights)
    return Lag(
        shift_s=float((common - reach) / grid.rate_hz),
        r=float(together[best]),
        margin=_margin(together, best, lobe),
        spread_s=float(np.median(np.abs(singles - common)) / grid.rate_hz),
        samples=int(np.median([count for _, count in curves])),
        method=method,
    )


def rate_correlation(
    imu: xr.Dataset, reference: xr.Dataset, dof: str, *, start_s: float = -np.inf, stop_s: float = np.inf
) -> float | None:
    """Return how well the two adjacent gyros explain a joint's rate, with the clocks as they stand.

    The coefficient of multiple correlation of the rate of ``dof`` with both gyros within [start_s, stop_s), low-passed
    alike. A figure for people: near 1 after a good synchronisation of good signals. None where it cannot be assessed.
    """
    short = min(imu.sizes["time"], reference.sizes["time"]) < MIN_SAMPLES
    if short or "gyr" not in imu or "angle" not in reference:
        return None
    grid = _Grid.of(imu, reference)
    for pair in _joint_pairs(imu, reference, grid, only=dof):
        seconds = (pair.target_start + np.arange(len(pair.target))) / grid.rate_hz
        heard = pair.heard & (seconds >= start_s) & (seconds < stop_s)
        curve, _ = _curve(
            _Pair(pair.target, heard, pair.target_start, pair.inputs, pair.seen, pair.inputs_start), 0, grid
        )
        return None if curve is None or not np.isfinite(curve[0]) else float(curve[0])
    return None


@dataclass(frozen=True)
class _Grid:
    """The uniform grid of both sides, whole multiples of 1/rate on the imu's declared clock, and their low-pass."""

    rate_hz: float
    cutoff_hz: float

    @classmethod
    def of(cls, imu: xr.Dataset, reference: xr.Dataset) -> _Grid:
        rates = [float(1.0 / np.median(np.diff(stream["time"].values))) for stream in (imu, reference)]
        rate_hz = min(GRID_LIMIT_HZ, max(rates))
        return cls(rate_hz, min(CUTOFF_HZ, 0.4 * min(*rates, rate_hz)))


# --- what is compared -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pair:
    """One target and the inputs that should explain it, on one grid of absolute sample numbers."""

    target: FloatArray
    heard: BoolArray
    target_start: int
    inputs: FloatArray
    seen: BoolArray
    inputs_start: int


def _pairs(imu: xr.Dataset, reference: xr.Dataset, grid: _Grid) -> tuple[list[_Pair], str]:
    if "segment_quat" in reference:
        speeds = list(_segment_pairs(imu, reference, grid))
        if speeds:
            return speeds, "segment_speed"
    if "angle" in reference:
        return list(_joint_pairs(imu, reference, grid)), "joint_rate"
    return [], "none"


def _segment_pairs(imu: xr.Dataset, reference: xr.Dataset, grid: _Grid) -> Iterator[_Pair]:
    """Each sensor's angular speed against its segment's. Filtering the vectors first is independent of axes."""
    names = [str(name) for name in reference["segment"].values]
    time = reference["time"].values
    for sensor, segment in enumerate(str(name) for name in imu["segment"].values):
        if segment not in names:
            continue
        rates, known = _segment_rate(reference["segment_quat"].values[:, names.index(segment)], time)
        target, heard, target_start = _on_grid(time, rates, known, grid)
        inputs, seen, inputs_start = _sensor_on_grid(imu, sensor, grid)
        yield _Pair(
            _speed(target), heard, target_start, _speed(inputs)[:, None], seen, inputs_start,
        )  # fmt: skip


def _joint_pairs(imu: xr.Dataset, reference: xr.Dataset, grid: _Grid, only: str | None = None) -> Iterator[_Pair]:
    """Each joint's flexion rate against the gyros of the two sensors next to it, six channels."""
    sensors: dict[str, int] = {}
    for index, segment in enumerate(str(name) for name in imu["segment"].values):
        if np.isfinite(imu["gyr"].values[:, index]).any():
            sensors.setdefault(segment, index)
    for column, name in enumerate(str(name) for name in reference["dof"].values):
        dof = schema.DOFS[name]
        wanted = dof.component == 0 if only is None else name == only
        if not wanted or dof.proximal not in sensors or dof.distal not in sensors:
            continue
        angle = reference["angle"].values[:, column]
        known = np.isfinite(angle) & _valid(reference, column)
        target, heard, target_start = _on_grid(
            reference["time"].values, np.radians(angle)[:, None].astype(np.float64), known, grid, derive=True
        )
        near, near_seen, near_start = _sensor_on_grid(imu, sensors[dof.proximal], grid)
        far, far_seen, far_start = _sensor_on_grid(imu, sensors[dof.distal], grid)
        start = max(near_start, far_start)
        stop = min(near_start + len(near), far_start + len(far))
        if stop <= start:
            continue
        near, near_seen = (
            near[start - near_start : stop - near_start],
            near_seen[start - near_start : stop - near_start],
        )
        far, far_seen = far[start - far_start : stop - far_start], far_seen[start - far_start : stop - far_start]
        yield _Pair(target[:, 0], heard, target_start, np.hstack([near, far]), near_seen & far_seen, start)


def _sensor_on_grid(imu: xr.Dataset, sensor: int, grid: _Grid) -> tuple[FloatArray, BoolArray, int]:
    values = imu["gyr"].values[:, sensor].astype(np.float64)
    known = np.isfinite(values).all(axis=1) & _valid(imu, sensor)
    return _on_grid(imu["time"].values + float(imu["clock_offset_s"].values[sensor]), values, known, grid)


def _valid(stream: xr.Dataset, column: int) -> BoolArray:
    if "valid" not in stream:
        return np.ones(stream.sizes["time"], dtype=bool)
    mask = np.asarray(stream["valid"].values, dtype=bool)
    return mask if mask.ndim == 1 else mask[:, column]


def _segment_rate(quaternions: NDArray[np.floating], time: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Return the angular rate (n, 3) in segment axes, rad/s, by central differences, and where it is known."""
    known = np.isfinite(quaternions).all(axis=1) & (np.abs(quaternions).sum(axis=1) > 0)
    rates = virtual_imu.angular_rate(np.where(known[:, None], quaternions, np.nan), 1.0) / np.gradient(time)[:, None]
    whole = np.asarray(np.isfinite(rates).all(axis=1), dtype=bool)
    return rates, whole


def _speed(rates: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.norm(rates, axis=1), dtype=np.float64)


# --- one uniform grid, one filter -------------------------------------------------------------------------------------


def _on_grid(
    time: FloatArray, values: FloatArray, known: BoolArray, on: _Grid, *, derive: bool = False
) -> tuple[FloatArray, BoolArray, int]:
    """Return low-passed values on the grid of whole multiples of 1/rate, which of them count, and the first number.

    With ``derive`` the values are those of the derivative. Holes are bridged for the filter's sake only; what was
    bridged, and its neighbourhood, does not count.
    """
    rate_hz = on.rate_hz
    if known.sum() < MIN_SAMPLES:
        return np.zeros((0, values.shape[1])), np.zeros(0, dtype=bool), 0
    known_time = time[known]
    start, stop = int(np.ceil(known_time[0] * rate_hz)), int(np.floor(known_time[-1] * rate_hz)) + 1
    grid = np.arange(start, stop) / rate_hz
    bridged = np.stack([np.interp(time, known_time, column[known]) for column in values.T], axis=1)
    curve = Akima1DInterpolator(time, bridged, method="makima")
    inside = np.clip(grid, time[0], time[-1])
    sos = butter(4, on.cutoff_hz, fs=rate_hz, output="sos")
    resampled = curve(inside)
    if len(grid) <= 3 * (2 * len(sos) + 1):
        return np.zeros((0, values.shape[1])), np.zeros(0, dtype=bool), 0
    smooth = sosfiltfilt(sos, resampled, axis=0)
    if derive:
        smooth = np.gradient(smooth, 1.0 / rate_hz, axis=0)
    return smooth, _counts(known_time, grid, rate_hz), start


def _counts(known_time: FloatArray, grid: FloatArray, rate_hz: float) -> BoolArray:
    """Say which grid samples stand away from every hole and from both ends."""
    after = np.clip(np.searchsorted(known_time, grid), 1, len(known_time) - 1)
    hole = known_time[after] - known_time[after - 1]
    typical = np.median(np.diff(known_time))
    missing = np.pad(hole > max(MAX_GAP_S, 1.5 * typical), 1, constant_values=True)
    guard = 2 * round(GUARD_S * rate_hz) + 1
    return np.asarray(~binary_dilation(missing, structure=np.ones(guard, dtype=bool))[1:-1], dtype=bool)


# --- multiple correlation at every lag --------------------------------------------------------------------------------


def _curve(pair: _Pair, reach: int, grid: _Grid) -> tuple[FloatArray | None, int]:
    """Return r at every lag from -reach to reach samples (NaN where too little overlaps), and the samples at most."""
    if pair.heard.sum() < 2 or pair.seen.sum() < 2:
        return None, 0
    if min(_rms(pair.target[pair.heard]), _rms(pair.inputs[pair.seen])) < MIN_RATE_RAD_S:
        return None, 0
    sums = _LaggedSums(pair, reach)
    heard, seen = sums.transform(pair.heard), sums.transform(pair.seen)
    count = sums(heard, seen)
    heaviest = float(count.max())
    enough = count >= max(MIN_OVERLAP_SHARE * heaviest, MIN_OVERLAP_S * grid.rate_hz)
    if not enough.any():
        return None, 0
    safe = np.where(enough, count, 1.0)
    target = np.where(pair.heard, pair.target - pair.target[pair.heard].mean(), 0.0)
    inputs = np.where(pair.seen[:, None], pair.inputs - pair.inputs[pair.seen].mean(axis=0), 0.0)
    channels = range(inputs.shape[1])
    told = sums.transform(target)
    target_sum = sums(told, seen)
    total = sums(sums.transform(target**2), seen) - target_sum**2 / safe
    each = [sums.transform(inputs[:, i]) for i in channels]
    input_sums = np.stack([sums(heard, side) for side in each], axis=1)
    cross = np.stack([sums(told, side) for side in each], axis=1) - input_sums * (target_sum / safe)[:, None]
    gram = np.empty((len(count), len(channels), len(channels)))
    for i in channels:
        for j in range(i + 1):
            gram[:, i, j] = gram[:, j, i] = sums(heard, sums.transform(inputs[:, i] * inputs[:, j]))
    gram -= input_sums[:, :, None] * input_sums[:, None, :] / safe[:, None, None]
    return np.where(enough & (total > 0), _explained(gram, cross, total), np.nan), int(heaviest)


def _explained(gram: FloatArray, cross: FloatArray, total: FloatArray) -> FloatArray:
    """Return r per lag; with a single input its sign is kept, so that speeds that oppose each other score low."""
    floor = 1e-9 * np.trace(gram, axis1=1, axis2=2)[:, None, None] + 1e-12
    weights = np.linalg.solve(gram + floor * np.eye(gram.shape[1]), cross[:, :, None])[:, :, 0]
    share = np.sum(weights * cross, axis=1) / np.where(total > 0, total, 1.0)
    r = np.sqrt(np.clip(share, 0.0, 1.0))
    return np.where(cross[:, 0] < 0, 0.0, r) if gram.shape[1] == 1 else r


class _LaggedSums:
    """Sums over time of (target side) x (inputs side, shifted by each lag), from the transforms of both sides."""

    def __init__(self, pair: _Pair, reach: int) -> None:
        self._length = next_fast_len(len(pair.target) + len(pair.inputs) + 2 * reach + 2, real=True)
        lags = pair.target_start - pair.inputs_start + np.arange(-reach, reach + 1)
        self._places = lags % self._length
        self._meet = (lags > -len(pair.target)) & (lags < len(pair.inputs))

    def transform(self, side: NDArray[np.generic]) -> NDArray[np.complex128]:
        return np.asarray(rfft(np.asarray(side, dtype=np.float64), self._length), dtype=np.complex128)

    def __call__(self, target: NDArray[np.complex128], inputs: NDArray[np.complex128]) -> FloatArray:
        sums = irfft(np.conj(target) * inputs, self._length)[self._places]
        return np.where(self._meet, sums, 0.0)


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


# --- reading the curve ------------------------------------------------------------------------------------------------


def _summit(curve: FloatArray, best: int, lobe: int) -> int:
    """Return the highest point of one curve near the common peak."""
    low, high = max(0, best - lobe), min(len(curve), best + lobe + 1)
    near = curve[low:high]
    return best if not np.isfinite(near).any() else low + int(np.nanargmax(near))


def _precision(curve: FloatArray, peak: int) -> float:
    """Return one over the standard error of a lag, up to a factor common to all: its weight in a median.

    The likelihood of a lag goes with (1 - r^2)^(-n/2), so its information is the bend of r^2 at the peak over 1 - r^2.
    A joint whose rate the gyros follow at any lag (a hip in regular gait) has a flat peak, high as it may be.
    """
    if peak in (0, len(curve) - 1):
        return _LEAST
    before, here, after = curve[peak - 1 : peak + 2] ** 2
    bend = 2 * here - before - after
    return float(np.sqrt(bend / max(1 - here, _LEAST))) if np.isfinite(bend) and bend > 0 else _LEAST


def _weighted_median(values: FloatArray, weights: FloatArray) -> float:
    """Return the value at half of the total weight, interpolated between the middles of neighbours' weights.

    With equal weights it is the plain median; of two values, the better one counts for more.
    """
    order = np.argsort(values, kind="stable")
    upto = np.cumsum(weights[order]) - weights[order] / 2
    return float(np.interp(weights.sum() / 2, upto, values[order]))


def _refined(curve: FloatArray, peak: int) -> float:
    """Return the vertex of the parabola through the peak and its neighbours."""
    if peak in (0, len(curve) - 1):
        return float(peak)
    before, here, after = curve[peak - 1 : peak + 2]
    bend = before - 2 * here + after
    return float(
        peak if not np.isfinite(bend) or bend >= 0 else peak + np.clip(0.5 * (before - after) / bend, -0.5, 0.5)
    )


def _margin(curve: FloatArray, best: int, lobe: int) -> float:
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
