"""The lag between two clocks from orientations: the sensors' quaternions against those of their segments.

Hur et al. 2025 slide one series along the other and take the lag at which the mean shortest angle 2 acos |<q, p>| is
least. Two constants stand between a sensor's quaternion and its segment's: its mounting, and the turn between the two
worlds; neither need be known. First the turns over a twentieth of a second are compared, as vectors in the body: the
turn between the worlds is not in them, and the best mounting at every lag is that of Wahba's problem, whose 3 x 3 sums
are correlations. Then, with mounting and worlds as found, the shortest angle itself: <q, p>^2 is the inner product of
the ten products of components, so its mean at every lag is ten real correlations (by FFT, not lag by lag), and the
exact mean angle is needed at the few best lags only. Both must agree for a lag to be believed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import uniform_filter1d
from scipy.spatial.transform import Rotation

from kinbench.alignment._curves import LaggedSums, common_peak, refined
from kinbench.alignment._grid import MIN_SAMPLES, Grid, counts, valid_column
from kinbench.alignment._lag import (
    LOBE_S,
    MIN_OVERLAP_S,
    MIN_OVERLAP_SHARE,
    MIN_RATE_RAD_S,
    RIVAL_S,
    Lag,
    require_clocks,
)

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

TURN_S = 0.05
"""Turns are taken over this time: long enough to rise above the jitter of a fused orientation."""
EXACT_LAGS = 16
"""At so many lags of largest mean cos^2(angle / 2) the mean angle itself is computed; its least lies among them."""
BLOCK_S = 30.0
"""Drift shows in the lags of blocks of at least this length, where there are two or more."""
BLOCK_REACH_S = 0.3
TURN_RATE_DEG_S = 25.0
TURN_DEG = 60.0
"""A person turns where the heading, averaged over a second, changes faster than this, and by this much in all."""
BODY = ("trunk", "pelvis")
"""Whose heading is a person's, in this order."""


def orientation_agreement(target: ArrayLike, inputs: ArrayLike, reach: int) -> FloatArray:
    """Return the mean cos^2(angle / 2) between unit quaternions at every lag from ``-reach`` to ``reach``.

    Lag k compares ``target[t]`` (n, 4) with ``inputs[t + k]`` (m, 4), wherever both are finite; NaN where nothing
    meets. The sign of a quaternion does not matter. Hur et al. 2025's cost, without O(n reach).
    """
    p, q = (np.asarray(values, dtype=np.float64) for values in (target, inputs))
    return _agreement(p, q, reach, 0)[0]


def _agreement(p: FloatArray, q: FloatArray, reach: int, starts_apart: int) -> tuple[FloatArray, FloatArray]:
    """Return the mean cos^2(angle / 2) and the samples that meet, at every lag; p starts ``starts_apart`` after q."""
    heard, seen = _known(p), _known(q)
    sums = LaggedSums(len(p), len(q), reach, starts_apart=starts_apart)
    count: FloatArray = np.round(sums(sums.transform(heard), sums.transform(seen)))
    total: FloatArray = np.zeros(2 * reach + 1)
    for i in range(4):
        for j in range(i, 4):
            one = np.where(heard, p[:, i] * p[:, j], 0.0)
            other = np.where(seen, q[:, i] * q[:, j], 0.0)
            total += (1 if i == j else 2) * sums(sums.transform(one), sums.transform(other))
    return np.where(count > 0, total / np.maximum(count, 1.0), np.nan), count


def estimate_orientation(imu: xr.Dataset, reference: xr.Dataset, *, search_s: float) -> Lag | None:
    """Measure the lag between the sensors' ``quat`` and the reference's ``segment_quat`` within +-``search_s``.

    ``shift_s`` comes from turns in the body, median over sensors; ``r`` is the share of their size that one mounting
    explains. ``notes`` hold ``angle_deg`` (mean shortest angle, what is left of it at its best lag, median over
    sensors), ``angle_shift_s`` (the shift at which it is least) and ``turns``: for each turn of the trunk (else the
    pelvis), when it was on the imu's clock and how far the yaws of sensor and segment differ at its start, middle and
    end, in degrees. ``drift_ppm`` comes from the lags of blocks of 30 s.

    Returns None where no sensor with ``quat`` sits on a segment of the reference, too little overlaps, or nothing
    moves. Raises ``DataError`` where a clock does not increase strictly.
    """
    require_clocks(imu, reference)
    if "quat" not in imu or "segment_quat" not in reference:
        return None
    if min(imu.sizes["time"], reference.sizes["time"]) < MIN_SAMPLES:
        return None
    rate_hz = Grid.of(imu, reference).rate_hz
    inside = int(np.ceil(search_s * rate_hz))
    reach = inside + round(RIVAL_S * rate_hz)
    lobe = round(LOBE_S * rate_hz)
    pairs = [pair for pair in _pairs(imu, reference, rate_hz) if pair.moves]
    curves = [curve for curve in (_curve(pair, reach, 0) for pair in pairs) if curve is not None]
    peak = common_peak(np.array([curve for curve, _ in curves]), reach, inside, lobe) if curves else None
    if peak is None:
        return None
    lag = round(peak.lag)
    matched = [found for found in (_matched(pair, lag, inside) for pair in pairs) if found is not None]
    if not matched:
        return None
    drift, residual_s = _drift(pairs, lag, rate_hz)
    return Lag(
        shift_s=peak.lag / rate_hz,
        r=peak.r,
        margin=peak.margin,
        spread_s=peak.spread / rate_hz,
        samples=int(np.median([count for _, count in curves])),
        method="orientation",
        drift_ppm=drift,
        residual_s=residual_s,
        notes={
            "angle_deg": round(float(np.median([found.angle_deg for found in matched])), 3),
            "angle_shift_s": float(np.median([found.lag for found in matched])) / rate_hz,
            "turns": _turns(matched, rate_hz),
        },
    )


# --- both sides on one grid -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pair:
    """Orientations of a segment (target) and its sensor (inputs) on one grid, NaN where unknown, and their turns."""

    segment: str
    rate_hz: float
    target: FloatArray
    target_start: int
    inputs: FloatArray
    inputs_start: int
    target_turns: FloatArray
    input_turns: FloatArray

    @property
    def moves(self) -> bool:
        """Whether both sides turn at all."""
        least = MIN_RATE_RAD_S * TURN_S
        sizes = [turns[_known(turns)] for turns in (self.target_turns, self.input_turns)]
        return all(len(size) > MIN_SAMPLES and float(np.sqrt(np.mean(size**2) * 3)) > least for size in sizes)


def _pairs(imu: xr.Dataset, reference: xr.Dataset, rate_hz: float) -> Iterator[_Pair]:
    names = [str(name) for name in reference["segment"].values]
    step = max(1, round(TURN_S * rate_hz))
    for sensor, segment in enumerate(str(name) for name in imu["segment"].values):
        if segment not in names:
            continue
        own_s = imu["time"].values + float(imu["clock_offset_s"].values[sensor])
        worn = _on_grid(own_s, imu["quat"].values[:, sensor], valid_column(imu, sensor), rate_hz)
        believed = np.ones(reference.sizes["time"], dtype=bool)
        if "valid" in reference and reference["valid"].ndim == 1:
            believed = np.asarray(reference["valid"].values, dtype=bool)
        seen = _on_grid(
            reference["time"].values, reference["segment_quat"].values[:, names.index(segment)], believed, rate_hz
        )
        if worn is not None and seen is not None:
            yield _Pair(segment, rate_hz, *seen, *worn, _body_turns(seen[0], step), _body_turns(worn[0], step))


def _on_grid(
    time_s: FloatArray, quaternions: NDArray[np.floating], believed: BoolArray, rate_hz: float
) -> tuple[FloatArray, int] | None:
    """Return unit quaternions (m, 4) at whole multiples of 1/rate, NaN in and about holes, and the first number."""
    values = np.asarray(quaternions, dtype=np.float64)
    known = _known(values) & (np.abs(values).sum(axis=1) > 0) & believed
    if known.sum() < MIN_SAMPLES:
        return None
    known_s, turn = time_s[known], values[known] / np.linalg.norm(values[known], axis=1, keepdims=True)
    flips = np.cumsum(np.concatenate([[False], np.sum(turn[1:] * turn[:-1], axis=1) < 0])) % 2
    turn = turn * np.where(flips, -1.0, 1.0)[:, None]
    start, stop = int(np.ceil(known_s[0] * rate_hz)), int(np.floor(known_s[-1] * rate_hz)) + 1
    grid_s = np.arange(start, stop) / rate_hz
    if grid_s.size < MIN_SAMPLES:
        return None
    between = np.stack([np.interp(grid_s, known_s, column) for column in turn.T], axis=1)
    unit = between / np.linalg.norm(between, axis=1, keepdims=True)
    return np.where(counts(known_s, grid_s, rate_hz)[:, None], unit, np.nan), start


def _body_turns(quaternions: FloatArray, step: int) -> FloatArray:
    """Return (n, 3): the rotation vector, in the body, of the turn over ``step`` samples about each; NaN where none."""
    turns = np.full((len(quaternions), 3), np.nan)
    if len(quaternions) <= step:
        return turns
    before, after = quaternions[:-step], quaternions[step:]
    both = _known(before) & _known(after)
    middle = np.flatnonzero(both) + step // 2
    turns[middle] = (_rotation(before[both]).inv() * _rotation(after[both])).as_rotvec()
    return turns


def _known(values: FloatArray) -> BoolArray:
    return np.asarray(np.isfinite(values).all(axis=1), dtype=bool)


def _rotation(quaternions: FloatArray) -> Rotation:
    return Rotation.from_quat(quaternions, scalar_first=True)


# --- turns in the body ------------------------------------------------------------------------------------------------


def _curve(pair: _Pair, reach: int, about: int) -> tuple[FloatArray, int] | None:
    """Return the share of the turns that the best mounting explains, at lags ``about`` - reach to ``about`` + reach.

    NaN where too little overlaps; with it, the samples at most.
    """
    sums = LaggedSums(
        len(pair.target), len(pair.inputs), reach, starts_apart=pair.target_start - pair.inputs_start + about
    )
    p, q = pair.target_turns, pair.input_turns
    heard, seen = _known(p), _known(q)
    p, q = np.where(heard[:, None], p, 0.0), np.where(seen[:, None], q, 0.0)
    ears, eyes = sums.transform(heard), sums.transform(seen)
    count = np.round(sums(ears, eyes))
    enough = count >= max(MIN_OVERLAP_SHARE * count.max(), MIN_OVERLAP_S * pair.rate_hz)
    if not enough.any():
        return None
    told, felt = [sums.transform(side) for side in p.T], [sums.transform(side) for side in q.T]
    cross = np.stack([np.stack([sums(one, other) for other in felt], axis=-1) for one in told], axis=-2)
    size = np.sqrt(
        np.clip(sums(sums.transform((p**2).sum(axis=1)), eyes), 0.0, None)
        * np.clip(sums(ears, sums.transform((q**2).sum(axis=1))), 0.0, None)
    )
    single = np.linalg.svd(cross, compute_uv=False)
    fit = single[:, 0] + single[:, 1] + np.sign(np.linalg.det(cross)) * single[:, 2]
    return np.where(enough & (size > 0), fit / np.where(size > 0, size, 1.0), np.nan), int(count.max())


# --- the shortest angle -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Matched:
    """A pair with mounting and worlds made one: the lag of the least mean angle, that angle, and what is left of it.

    ``left`` holds the turns (n, 4), in the imu's world, from the segment as the sensor should have it to the sensor,
    ``heading`` the segment so turned, at grid samples ``at`` of the imu's clock.
    """

    segment: str
    lag: float
    angle_deg: float
    at: NDArray[np.intp]
    left: Rotation
    heading: Rotation


def _matched(pair: _Pair, lag: int, inside: int) -> _Matched | None:
    """Return how orientations compare when mounting and worlds are those that fit best at ``lag``."""
    first = np.arange(len(pair.target))
    second = first + pair.target_start - pair.inputs_start + lag
    meet = (second >= 0) & (second < len(pair.inputs))
    meet[meet] &= _known(pair.inputs[second[meet]])
    meet &= _known(pair.target)
    moving = meet & _known(pair.target_turns)
    moving[moving] &= _known(pair.input_turns[second[moving]])
    if moving.sum() < MIN_SAMPLES:
        return None
    # Turns of the segment are those of the sensor, turned by its mounting.
    u, _, vt = np.linalg.svd(pair.target_turns[moving].T @ pair.input_turns[second[moving]])
    mounting = Rotation.from_matrix(u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt)
    segment, sensor = _rotation(pair.target[meet]), _rotation(pair.inputs[second[meet]])
    world = (sensor * mounting.inv() * segment.inv()).mean()
    expected = np.full_like(pair.target, np.nan)
    known = _known(pair.target)
    expected[known] = (world * _rotation(pair.target[known]) * mounting).as_quat(scalar_first=True)
    angle_lag, angle_deg = _least_angle(expected, pair, lag, inside)
    should = _rotation(expected[meet])
    return _Matched(
        pair.segment,
        angle_lag,
        angle_deg,
        second[meet] + pair.inputs_start,
        sensor * should.inv(),
        should * mounting.inv(),
    )


def _least_angle(expected: FloatArray, pair: _Pair, lag: int, inside: int) -> tuple[float, float]:
    """Return the lag, refined between samples, and the mean shortest angle in degrees at its best whole lag."""
    starts_apart = pair.target_start - pair.inputs_start
    reach = max(inside, abs(lag)) + 1
    agreement, meets = _agreement(expected, pair.inputs, reach, starts_apart)
    agreement[meets < MIN_OVERLAP_SHARE * meets.max()] = np.nan
    best = np.argsort(np.where(np.isfinite(agreement), -agreement, np.inf))[:EXACT_LAGS]
    angles = {int(at): _mean_angle_deg(expected, pair.inputs, int(at) - reach + starts_apart) for at in best}
    least = min(angles, key=lambda at: angles[at])
    return refined(agreement, least) - reach, angles[least]


def _mean_angle_deg(target: FloatArray, inputs: FloatArray, lag: int) -> float:
    start, stop = max(0, -lag), min(len(target), len(inputs) - lag)
    inner = np.abs(np.sum(target[start:stop] * inputs[start + lag : stop + lag], axis=1))
    known = np.isfinite(inner)
    return float(np.degrees(np.mean(2 * np.arccos(np.clip(inner[known], 0.0, 1.0))))) if known.any() else np.inf


# --- drift and turns --------------------------------------------------------------------------------------------------


def _drift(pairs: list[_Pair], lag: int, rate_hz: float) -> tuple[float | None, float | None]:
    """Return the drift in ppm, and the largest departure of a block's lag (s); None where there are no two blocks."""
    start = min(pair.target_start for pair in pairs)
    stop = max(pair.target_start + len(pair.target) for pair in pairs)
    blocks = int((stop - start) / rate_hz // BLOCK_S)
    if blocks < 2:
        return None, None
    edges = np.linspace(start, stop, blocks + 1).astype(int)
    reach = round(BLOCK_REACH_S * rate_hz)
    at_s, shifts_s = [], []
    for low, high in pairwise(edges.tolist()):
        curves = [
            curve for curve in (_curve(_block(pair, low, high), reach, lag) for pair in pairs) if curve is not None
        ]
        peak = common_peak(np.array([curve for curve, _ in curves]), reach, reach, reach) if curves else None
        if peak is not None and peak.margin >= 0 and abs(peak.lag) < reach:
            at_s.append((low + high) / 2 / rate_hz)
            shifts_s.append((peak.lag + lag) / rate_hz)
    if len(at_s) < 2:
        return None, None
    slope = float(np.polyfit(at_s, shifts_s, 1)[0])
    return round(1e6 * slope, 1), float(np.abs(np.array(shifts_s) - np.median(shifts_s)).max())


def _block(pair: _Pair, low: int, high: int) -> _Pair:
    """Return the pair with nothing of its target but grid samples [low, high)."""
    inside = np.arange(max(low, pair.target_start), min(high, pair.target_start + len(pair.target))) - pair.target_start
    if inside.size == 0:
        inside = np.arange(1)
    piece = slice(int(inside[0]), int(inside[-1]) + 1)
    return _Pair(
        pair.segment,
        pair.rate_hz,
        pair.target[piece],
        pair.target_start + piece.start,
        pair.inputs,
        pair.inputs_start,
        pair.target_turns[piece],
        pair.input_turns,
    )


def _turns(matched: list[_Matched], rate_hz: float) -> list[dict[str, Any]]:
    """Return each turn of the trunk, else the pelvis: when, and how far the yaws differ at start, middle and end."""
    by_segment = {found.segment: found for found in reversed(matched)}
    body = next((by_segment[name] for name in BODY if name in by_segment), None)
    if body is None or len(body.at) < rate_hz:
        return []
    steps = (body.heading[1:] * body.heading[:-1].inv()).as_rotvec()[:, 1]
    yaw_deg = np.degrees(np.concatenate([[0.0], np.cumsum(np.where(np.diff(body.at) == 1, steps, 0.0))]))
    rate = uniform_filter1d(np.gradient(yaw_deg) * rate_hz, max(1, round(rate_hz)))
    w, _, y, _ = body.left.as_quat(scalar_first=True).T
    apart_deg = (np.degrees(2 * np.arctan2(y, w)) + 180.0) % 360.0 - 180.0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], np.abs(rate) > TURN_RATE_DEG_S, [False]])))
    return [
        {
            "at_s": round(float(body.at[start] + body.at[stop - 1]) / 2 / rate_hz, 2),
            "turned_deg": round(float(yaw_deg[stop - 1] - yaw_deg[start]), 1),
            "yaw_apart_deg": [round(float(apart_deg[at]), 1) for at in (start, (start + stop - 1) // 2, stop - 1)],
        }
        for start, stop in edges.reshape(-1, 2)
        if abs(yaw_deg[stop - 1] - yaw_deg[start]) >= TURN_DEG
    ]
