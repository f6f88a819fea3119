"""The lag between two clocks from hops that both have seen: free flights, paired by their times and not by their size.

Brough et al. 2025 let people make calibration hops, take the first for the offset and look for drift at the others.
Here a hop is a flight: the specific force of the trunk's or pelvis' accelerometer falls below half of gravity for a
tenth of a second, between a push-off and a landing; so does the ground reaction, in body weights, and a segment's
acceleration plus gravity. Its time is the middle between both crossings, on which thresholds, filters and the size of
the hop have little influence. Where the reference has angles or orientations only, hops are found by the accelerometer,
and the lag is that of the rates about the hops alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench.alignment._grid import MIN_SAMPLES, Grid, on_grid, valid_column
from kinbench.alignment._lag import Lag, estimate_lag, require_clocks
from kinbench.recording import with_valid
from kinbench.schema import GRAVITY, SEGMENTS

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

CUTOFF_HZ = 8.0
"""Low-pass of both sides: a marker's jitter of a millimetre, differenced twice, is then a tenth of gravity."""
FREE_G = 0.5
"""A body in flight feels less than this, in shares of gravity."""
EFFORT_G = 1.2
EFFORT_S = 0.6
"""What it feels within this time before and after: somebody who hops pushes off and lands."""
MIN_FLIGHT_S = 0.1
PAIRED_S = 0.1
"""Two hops this near are the same hop. People do not hop faster than every 0.3 s."""
RIVAL_S = 5.0
"""How far beyond the search other pairings are looked for."""
MIN_HOPS = 3
MIN_DRIFT_S = 20.0
"""Hops that lie closer together than this tell no drift: 2 ms of jitter would be 100 ppm."""
AROUND_S = 0.5
ABOUT_RATES_S = 1.5
"""How much on both sides of a flight belongs to the hop, for masking and for comparing rates."""
BODY = ("pelvis", "trunk", *(name for name in SEGMENTS if name not in ("pelvis", "trunk")))
"""On whose sensor, and by whose position, flights are looked for, in this order."""

Span = tuple[float, float]


@dataclass(frozen=True)
class Hops:
    """The lag that hops tell, and when the hops were, (start, stop) s, each on its stream's declared clock."""

    lag: Lag
    imu_s: tuple[Span, ...]
    reference_s: tuple[Span, ...]


@dataclass(frozen=True)
class _Felt:
    """The size of the specific force in shares of gravity, on the grid from sample number ``start``."""

    size: FloatArray
    counts: BoolArray
    start: int
    rate_hz: float

    @property
    def extent_s(self) -> Span:
        known = np.flatnonzero(self.counts)
        return (self.start + int(known[0])) / self.rate_hz, (self.start + int(known[-1])) / self.rate_hz

    def flights(self) -> FloatArray:
        """Return (k, 2) s: where the force falls below ``FREE_G`` and where it is back."""
        below = self.size < FREE_G
        edges = np.flatnonzero(np.diff(below))
        at = edges + (FREE_G - self.size[edges]) / (self.size[edges + 1] - self.size[edges])
        if edges.size and below[0]:
            at = at[1:]
        pairs = at[: at.size // 2 * 2].reshape(-1, 2)
        return np.array([self._time(pair) for pair in pairs if self._hop(pair)]).reshape(-1, 2)

    def _hop(self, pair: FloatArray) -> bool:
        first, last = int(pair[0]), int(np.ceil(pair[1]))
        reach = round(EFFORT_S * self.rate_hz)
        before, after = self.size[max(0, first - reach) : first + 1], self.size[last : last + reach + 1]
        whole = bool(self.counts[max(0, first - 1) : last + 1].all())
        effort = before.size > 0 and after.size > 0 and min(before.max(), after.max()) > EFFORT_G
        return whole and effort and float(pair[1] - pair[0]) >= MIN_FLIGHT_S * self.rate_hz

    def _time(self, at: FloatArray) -> FloatArray:
        return np.asarray((at + self.start) / self.rate_hz, dtype=np.float64)


def estimate_hops(imu: xr.Dataset, reference: xr.Dataset, *, search_s: float) -> Hops | None:
    """Measure the lag between an imu stream and a reference stream by the hops in both, within +-``search_s``.

    Both streams must be in schema units. ``lag.shift_s`` is that in the middle of the hops; ``drift_ppm`` (where they
    lie 20 s apart or more), ``residual_s`` and ``notes["hops"]`` (the time of each on the imu's clock, and what the
    shift leaves of it) tell how it fares at the others. ``r`` correlates both forces about the hops, ``margin`` is by
    how many more hops, as a share, this pairing fits than the next best.

    Returns None where there is no accelerometer with specific force, nothing to compare it with, or fewer than three
    hops pair. Raises ``DataError`` where a clock does not increase strictly.
    """
    require_clocks(imu, reference)
    if min(imu.sizes["time"], reference.sizes["time"]) < MIN_SAMPLES:
        return None
    grid = Grid.of(imu, reference, cutoff_hz=CUTOFF_HZ)
    worn = _worn(imu, grid)
    if worn is None:
        return None
    segment, felt = worn
    flights = felt.flights()
    seen = _seen(reference, segment, grid)
    if seen is None:
        return _by_rates(imu, reference, flights, search_s)
    found = seen.flights()
    if min(len(flights), len(found)) < MIN_HOPS:
        return None
    return _paired(felt, flights, seen, found, search_s)


# --- what was felt ----------------------------------------------------------------------------------------------------


def _worn(imu: xr.Dataset, grid: Grid) -> tuple[str, _Felt] | None:
    """Return the segment of the best placed accelerometer, and what it felt."""
    if "acc" not in imu or imu["acc"].attrs.get("kind") != "specific_force":
        return None
    segments = [str(name) for name in imu["segment"].values]
    for at in (segments.index(name) for name in BODY if name in segments):
        values = imu["acc"].values[:, at].astype(np.float64)
        known = _whole(values) & valid_column(imu, at)
        time = imu["time"].values + float(imu["clock_offset_s"].values[at])
        smooth, counts, start = on_grid(time, values, np.asarray(known, dtype=bool), grid)
        if counts.any():
            return segments[at], _Felt(np.linalg.norm(smooth, axis=1) / GRAVITY, counts, start, grid.rate_hz)
    return None


def _seen(reference: xr.Dataset, segment: str, grid: Grid) -> _Felt | None:
    """Return the force that the reference implies: of the ground, else of a segment's motion; None without either."""
    if "grf" in reference:
        return _pressed(reference, grid)
    if "segment_position" in reference:
        return _moved(reference, segment, grid)
    return None


def _pressed(reference: xr.Dataset, grid: Grid) -> _Felt | None:
    total = reference["grf"].values.astype(np.float64).sum(axis=1)
    smooth, counts, start = on_grid(reference["time"].values, total, _whole(total), grid)
    size = np.linalg.norm(smooth, axis=1)
    if not counts.any() or not np.percentile(size[counts], 95) > 0:
        return None
    stood_on = counts & (size > 0.1 * np.percentile(size[counts], 95))  # not of the greatest: one sample may be wild
    weight = float(np.median(size[stood_on]))
    return _Felt(size / weight, counts, start, grid.rate_hz)


def _moved(reference: xr.Dataset, segment: str, grid: Grid) -> _Felt | None:
    names = [str(name) for name in reference["segment"].values]
    for name in (segment, *BODY):
        if name not in names:
            continue
        place = reference["segment_position"].values[:, names.index(name)].astype(np.float64)
        smooth, counts, start = on_grid(reference["time"].values, place, _whole(place), grid)
        if counts.sum() > MIN_SAMPLES:
            force = np.diff(smooth, n=2, axis=0) * grid.rate_hz**2 + np.array([0.0, GRAVITY, 0.0])
            return _Felt(np.linalg.norm(force, axis=1) / GRAVITY, counts[1:-1], start + 1, grid.rate_hz)
    return None


def _whole(values: FloatArray) -> BoolArray:
    return np.asarray(np.isfinite(values).all(axis=1), dtype=bool)


# --- pairing ----------------------------------------------------------------------------------------------------------


def _paired(felt: _Felt, flights: FloatArray, seen: _Felt, found: FloatArray, search_s: float) -> Hops | None:
    a, b = flights.mean(axis=1), found.mean(axis=1)
    apart = (a[:, None] - b[None, :]).ravel()
    near = apart[np.abs(apart) <= search_s + RIVAL_S]
    tries = [
        _fit(a, b, float(d), felt.extent_s, seen.extent_s)
        for d in np.unique(np.round(near * 2 / PAIRED_S)) * PAIRED_S / 2
    ]
    inside = [fit for fit in tries if abs(fit.shift_s) <= search_s and len(fit.first) >= MIN_HOPS]
    if not inside:
        return None
    best = max(inside, key=lambda fit: (fit.score, -fit.spread_s))
    rivals = [fit.score for fit in tries if abs(fit.shift_s - best.shift_s) > 2 * PAIRED_S]
    hops = len(best.first)
    t, u = a[best.first], b[best.second]
    shift_s, drift = _line(u, t - u)
    left = t - u - shift_s
    lag = Lag(
        shift_s=shift_s,
        r=_likeness(felt, seen, t, shift_s),
        margin=(best.score - max([0, *rivals])) / hops,
        spread_s=float(np.median(np.abs(left - (drift or 0.0) * (u - _middle(u))))),
        samples=hops,
        method="hops",
        drift_ppm=None if drift is None else round(1e6 * drift, 1),
        residual_s=float(np.abs(left).max()),
        notes={
            "hops": [
                {"at_s": round(float(x), 4), "residual_s": round(float(y), 4)} for x, y in zip(t, left, strict=True)
            ]
        },
    )
    return Hops(lag, _spans(flights[best.first]), _spans(found[best.second]))


@dataclass(frozen=True)
class _Fit:
    """One way to pair: which of either side, the shift, and how many more hops pair than stay alone."""

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    shift_s: float
    score: int
    spread_s: float


def _fit(a: FloatArray, b: FloatArray, shift_s: float, a_extent: Span, b_extent: Span) -> _Fit:
    for _ in range(2):  # the pairs found move the shift to their middle, which may find more
        apart = np.abs(a[:, None] - b[None, :] - shift_s)
        near, back = apart.argmin(axis=1), apart.argmin(axis=0)
        first = np.flatnonzero((back[near] == np.arange(a.size)) & (apart.min(axis=1) <= PAIRED_S))
        second = near[first]
        if first.size == 0:
            return _Fit(first, second, shift_s, 0, np.inf)
        shift_s = float(np.median(a[first] - b[second]))
    low, high = max(a_extent[0], b_extent[0] + shift_s), min(a_extent[1], b_extent[1] + shift_s)
    could = int(((a >= low) & (a <= high)).sum() + ((b + shift_s >= low) & (b + shift_s <= high)).sum())
    alone = max(0, could - 2 * first.size)
    spread_s = float(np.median(np.abs(a[first] - b[second] - shift_s)))
    return _Fit(first, second, shift_s, first.size - alone, spread_s)


def _line(at_s: FloatArray, shifts_s: FloatArray) -> tuple[float, float | None]:
    """Return the shift in the middle of the hops, and the drift (s/s) where they lie far enough apart.

    The slope is the median of those between hops at least half of the whole span apart (Theil 1950; Sen 1968).
    """
    span_s = float(np.ptp(at_s))
    if span_s < MIN_DRIFT_S:
        return float(np.median(shifts_s)), None
    i, j = np.triu_indices(at_s.size, 1)
    wide = np.abs(at_s[j] - at_s[i]) >= span_s / 2
    slope = float(np.median((shifts_s[j] - shifts_s[i])[wide] / (at_s[j] - at_s[i])[wide]))
    return float(np.median(shifts_s - slope * (at_s - _middle(at_s)))), slope


def _middle(at_s: FloatArray) -> float:
    return float(at_s.min() + at_s.max()) / 2


def _likeness(felt: _Felt, seen: _Felt, hops_s: FloatArray, shift_s: float) -> float:
    """Return the correlation of both forces about the hops, with the clocks so shifted."""
    time_s = (np.arange(felt.size.size) + felt.start) / felt.rate_hz
    theirs_s = (np.arange(seen.size.size) + seen.start) / seen.rate_hz + shift_s
    about = felt.counts & (np.abs(time_s[:, None] - hops_s).min(axis=1) <= AROUND_S)
    about &= (time_s >= theirs_s[0]) & (time_s <= theirs_s[-1])
    both = np.stack([felt.size[about], np.interp(time_s[about], theirs_s, seen.size)])
    return float(np.corrcoef(both)[0, 1]) if about.sum() > 2 and (both.std(axis=1) > 0).all() else 0.0


def _spans(flights: FloatArray) -> tuple[Span, ...]:
    return tuple((float(start), float(stop)) for start, stop in flights)


# --- angles only ------------------------------------------------------------------------------------------------------


def _by_rates(imu: xr.Dataset, reference: xr.Dataset, flights: FloatArray, search_s: float) -> Hops | None:
    """Compare rates about the hops alone."""
    if len(flights) < MIN_HOPS:
        return None
    time_s = imu["time"].values
    about = (
        (time_s[:, None] >= flights[:, 0] - ABOUT_RATES_S) & (time_s[:, None] <= flights[:, 1] + ABOUT_RATES_S)
    ).any(axis=1)
    lag = estimate_lag(with_valid(imu, about), reference, search_s=search_s)
    if lag is None:
        return None
    hops = [{"at_s": round(float(x), 4), "residual_s": None} for x in flights.mean(axis=1)]
    return Hops(replace(lag, notes={"hops": hops}), _spans(flights), _spans(flights - lag.shift_s))
