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

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench import schema, virtual_imu
from kinbench.alignment._curves import LaggedSums, common_peak
from kinbench.alignment._grid import MIN_SAMPLES, Grid, on_grid, valid_column
from kinbench.errors import DataError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

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


CLEAR_HOPS = 1 / 3
"""Hops are believed where the next best way to pair them leaves at least this share of them without a partner."""


@dataclass(frozen=True)
class Lag:
    """How far the reference's clock is from the imu's, and how well that is known.

    ``shift_s`` is to be ADDED to the reference's time so that it lies on the imu's clock: an imu that is late by k
    samples at rate f gives +k/f. ``r`` is the correlation at the peak, ``margin`` how far the second peak lies below
    it (periodic motion has one a stride away), ``spread_s`` the median distance of single joints' or sensors' lags from
    it, ``samples`` how many grid samples spoke, ``method`` ``segment_speed``, ``joint_rate``, ``hops`` or
    ``orientation``. ``drift_ppm`` (positive: the reference's clock runs slow against the imu's) and ``residual_s`` (the
    largest departure from ``shift_s``) are None where they were not measured; ``notes`` is what else was seen,
    JSON-plain.
    """

    shift_s: float
    r: float
    margin: float
    spread_s: float
    samples: int
    method: str
    drift_ppm: float | None = None
    residual_s: float | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)


def confident(lag: Lag) -> bool:
    """Say whether a measured lag may be applied without a person's word: see ``CONFIDENT_R`` and its companions."""
    if lag.method == "hops":
        return lag.margin >= CLEAR_HOPS and lag.spread_s <= CONFIDENT_SPREAD_S
    if abs(lag.notes.get("angle_shift_s", lag.shift_s) - lag.shift_s) > CONFIDENT_SPREAD_S:
        return False
    second = lag.r - lag.margin
    clear = lag.margin > 0 and 1 - second**2 >= CONFIDENT_RATIO * (1 - lag.r**2)
    return lag.r >= CONFIDENT_R and clear and lag.spread_s <= CONFIDENT_SPREAD_S


def estimate_lag(imu: xr.Dataset, reference: xr.Dataset, *, search_s: float) -> Lag | None:
    """Measure the lag between an imu stream and a reference stream within +-``search_s`` of their declared times.

    Both streams must be in schema units. Returns None where it cannot be assessed: no ``gyr``, nothing of the
    reference that belongs to a sensor, too little overlap, or no motion. Raises ``DataError`` where a clock does not
    increase strictly.
    """
    require_clocks(imu, reference)
    if "gyr" not in imu or min(imu.sizes["time"], reference.sizes["time"]) < MIN_SAMPLES:
        return None
    grid = Grid.of(imu, reference)
    pairs, method = _pairs(imu, reference, grid)
    inside = int(np.ceil(search_s * grid.rate_hz))
    reach = inside + round(RIVAL_S * grid.rate_hz)
    curves = [(curve, count) for curve, count in (_curve(pair, reach, grid) for pair in pairs) if curve is not None]
    if not curves:
        return None
    peak = common_peak(np.array([curve for curve, _ in curves]), reach, inside, round(LOBE_S * grid.rate_hz))
    if peak is None:
        return None
    return Lag(
        shift_s=peak.lag / grid.rate_hz,
        r=peak.r,
        margin=peak.margin,
        spread_s=peak.spread / grid.rate_hz,
        samples=int(np.median([count for _, count in curves])),
        method=method,
    )


def require_clocks(imu: xr.Dataset, reference: xr.Dataset) -> None:
    """Raise ``DataError`` where the clock of either stream does not increase strictly."""
    for name, stream in (("imu", imu), ("reference", reference)):
        if not (np.diff(stream["time"].values) > 0).all():
            raise DataError(f"the {name}'s time must increase strictly from sample to sample, and does not")


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
    grid = Grid.of(imu, reference)
    for pair in _joint_pairs(imu, reference, grid, only=dof):
        seconds = (pair.target_start + np.arange(len(pair.target))) / grid.rate_hz
        heard = pair.heard & (seconds >= start_s) & (seconds < stop_s)
        curve, _ = _curve(
            _Pair(pair.target, heard, pair.target_start, pair.inputs, pair.seen, pair.inputs_start), 0, grid
        )
        return None if curve is None or not np.isfinite(curve[0]) else float(curve[0])
    return None


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


def _pairs(imu: xr.Dataset, reference: xr.Dataset, grid: Grid) -> tuple[list[_Pair], str]:
    if "segment_quat" in reference:
        speeds = list(_segment_pairs(imu, reference, grid))
        if speeds:
            return speeds, "segment_speed"
    if "angle" in reference:
        return list(_joint_pairs(imu, reference, grid)), "joint_rate"
    return [], "none"


def _segment_pairs(imu: xr.Dataset, reference: xr.Dataset, grid: Grid) -> Iterator[_Pair]:
    """Each sensor's angular speed against its segment's. Filtering the vectors first is independent of axes."""
    names = [str(name) for name in reference["segment"].values]
    time = reference["time"].values
    for sensor, segment in enumerate(str(name) for name in imu["segment"].values):
        if segment not in names:
            continue
        rates, known = segment_rate(reference["segment_quat"].values[:, names.index(segment)], time)
        target, heard, target_start = on_grid(time, rates, known, grid)
        inputs, seen, inputs_start = _sensor_on_grid(imu, sensor, grid)
        yield _Pair(
            _speed(target), heard, target_start, _speed(inputs)[:, None], seen, inputs_start,
        )  # fmt: skip


def _joint_pairs(imu: xr.Dataset, reference: xr.Dataset, grid: Grid, only: str | None = None) -> Iterator[_Pair]:
    """Each joint's flexion rate against the gyros of the two sensors next to it, six channels."""
    sensors: dict[str, int] = {}
    for index, segment in enumerate(str(name) for name in imu["segment"].values):
        if np.isfinite(imu["gyr"].values[:, index]).any():
            sensors.setdefault(segment, index)
    gyro = cache(partial(_sensor_on_grid, imu, grid=grid))  # most sensors stand beside two joints
    for column, name in enumerate(str(name) for name in reference["dof"].values):
        dof = schema.DOFS[name]
        wanted = dof.component == 0 if only is None else name == only
        if not wanted or dof.proximal not in sensors or dof.distal not in sensors:
            continue
        angle = reference["angle"].values[:, column]
        known = np.isfinite(angle) & valid_column(reference, column)
        target, heard, target_start = on_grid(
            reference["time"].values, np.radians(angle)[:, None].astype(np.float64), known, grid, derive=True
        )
        near, near_seen, near_start = gyro(sensors[dof.proximal])
        far, far_seen, far_start = gyro(sensors[dof.distal])
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


def _sensor_on_grid(imu: xr.Dataset, sensor: int, grid: Grid) -> tuple[FloatArray, BoolArray, int]:
    values = imu["gyr"].values[:, sensor].astype(np.float64)
    known = np.isfinite(values).all(axis=1) & valid_column(imu, sensor)
    return on_grid(imu["time"].values + float(imu["clock_offset_s"].values[sensor]), values, known, grid)


def segment_rate(quaternions: NDArray[np.floating], time: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Return the angular rate (n, 3) in segment axes, rad/s, by central differences, and where it is known."""
    known = np.isfinite(quaternions).all(axis=1) & (np.abs(quaternions).sum(axis=1) > 0)
    rates = virtual_imu.angular_rate(np.where(known[:, None], quaternions, np.nan), 1.0) / np.gradient(time)[:, None]
    whole = np.asarray(np.isfinite(rates).all(axis=1), dtype=bool)
    return rates, whole


def _speed(rates: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.norm(rates, axis=1), dtype=np.float64)


# --- multiple correlation at every lag --------------------------------------------------------------------------------


def _curve(pair: _Pair, reach: int, grid: Grid) -> tuple[FloatArray | None, int]:
    """Return r at every lag from -reach to reach samples (NaN where too little overlaps), and the samples at most."""
    if pair.heard.sum() < 2 or pair.seen.sum() < 2:
        return None, 0
    if min(_rms(pair.target[pair.heard]), _rms(pair.inputs[pair.seen])) < MIN_RATE_RAD_S:
        return None, 0
    sums = LaggedSums(len(pair.target), len(pair.inputs), reach, starts_apart=pair.target_start - pair.inputs_start)
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


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
