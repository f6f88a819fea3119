"""Plates against sensors: the lag between the two clocks, the turn from sensor to plate, the heading of their worlds.

A plate and its sensor are one rigid body, so both turn at one rate. Its size has no axes and gives the lag; the vectors
at that lag give the constant rotation (Wahba's problem, solved by SVD: Markley 1988, J. Astronaut. Sci. 36:245-258).
The sensor's orientation as the cameras saw it against the sensor's own then leaves a turn about the vertical: the
heading of the cameras' world over the sensors', and its drift.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import butter, sosfiltfilt

from kinbench.errors import DataError
from kinbench.kinematics import matrices, quaternions
from kinbench.virtual_imu import angular_rate
from kinbench_adapters._opensense.plates import Plate, Plates
from kinbench_adapters._opensense.sensors import WornSensor

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

CUTOFF_HZ = 12.0
"""Low-pass of both rates; what lies above it is skin, marker noise and the filter of the cameras' software."""
GRID_LIMIT_HZ = 200.0
LEAST_OVERLAP_S = 4.0
LEAST_R = 0.75
SPREAD_LIMIT_S = 0.05
"""A lag is believed where two sensors or more follow their plates with ``LEAST_R``, and agree within the spread."""
EXCHANGED_R = 0.2
"""A plate belongs to the other leg where that leg's sensor follows it, and better than its own by this much."""
LEAST_TURN = 2e-3
"""Share of a second axis in the common motion below which the turn about the first is left to noise."""
HEADING_EVERY_S = 0.1

DRIFT_LIMIT_DEG_PER_MIN = 2.0
DRIFT_LIMIT_DEG = 5.0
SPREAD_LIMIT_DEG = 10.0
APART_LIMIT_DEG = 20.0
"""Headings to be flagged: drifting faster than the first and further than the second, scattered (standard deviation)
beyond the third, or further than the last from the median of the trial's sensors."""

Z_UP_TO_Y_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""The sensors' world (east, north, up) to one with Y up: what harmonisation makes of it."""


@dataclass(frozen=True)
class Heading:
    """Turn about the vertical from the sensor's world to the cameras': v_lab = R_y(heading) v_sensors.

    ``mean_deg``, the standard deviation about its trend ``spread_deg``, ``drift_deg_per_min``, and ``tilt_deg``, the
    median angle between the two verticals, which should be small.
    """

    mean_deg: float
    spread_deg: float
    drift_deg_per_min: float
    tilt_deg: float


@dataclass(frozen=True)
class Pair:
    """One sensor and its plate.

    ``lag_s`` is the sensor's own estimate (added to the cameras' time it gives the imu's) and ``speed_r`` its
    correlation; ``rotation`` (3, 3) sensor to plate; ``residual_rad_s`` what the two rates differ by after it (root
    mean square), ``r`` how they agree. On the cameras' clock, a frame every ``step_s``: ``orientation`` (n, 3, 3) the
    sensor's in the lab, ``rate`` (n, 3) rad s-1 its low-passed angular rate as the cameras saw it, in its own axes, and
    ``origin`` (n, 3) m the plate's place.
    """

    sensor: str
    segment: str
    lag_s: float
    speed_r: float
    rotation: FloatArray
    residual_rad_s: float
    r: float
    orientation: FloatArray
    rate: FloatArray
    origin: FloatArray
    step_s: float
    heading: Heading | None

    def plain(self) -> dict[str, object]:
        """Return what is to be said of it, for a recording's history."""
        return {
            "lag_s": round(self.lag_s, 5),
            "speed_r": round(self.speed_r, 4),
            "sensor_to_plate": self.rotation.tolist(),
            "residual_rad_s": round(self.residual_rad_s, 5),
            "r": round(self.r, 4),
        }


@dataclass(frozen=True)
class Pairing:
    """The pairs that are believed, by segment, and the shift from the cameras' clock to the imu's.

    ``unlike`` gives the speed correlation of plates whose sensor moves differently; ``exchanged`` the segments (without
    side) whose left and right plates bore each other's names.
    """

    pairs: Mapping[str, Pair]
    shift_s: float
    spread_s: float
    unlike: Mapping[str, float]
    exchanged: tuple[str, ...]


def pair(plates: Plates, worn: Sequence[WornSensor], *, search_s: float) -> Pairing:
    """Find the lag and every sensor's turn to its plate, searching ``search_s`` both ways.

    Raises ``DataError`` where no lag can be believed: fewer than two sensors follow their plates, or they disagree.
    """
    rates = [1.0 / float(np.median(np.diff(time))) for time in (plates.time, *(sensor.time for sensor in worn[:1]))]
    rate_hz = min(GRID_LIMIT_HZ, max(rates))
    cutoff_hz = min(CUTOFF_HZ, 0.4 * min(rates))
    seen = {name: _plate_rate(plate, plates.time, rate_hz, cutoff_hz) for name, plate in plates.by_segment.items()}
    felt = {
        sensor.segment: _Rates.of(sensor.time, sensor.gyr, rate_hz, cutoff_hz)
        for sensor in worn
        if sensor.segment in seen and sensor.gyr is not None
    }
    reach = round(search_s * rate_hz)
    lags = {name: _lag(seen[name], felt[name], reach) for name in felt}
    clear = {name: lag for name, (lag, r) in lags.items() if r >= LEAST_R}
    if len(clear) < 2:
        told = ", ".join(f"{name} {r:.2f}" for name, (_, r) in lags.items()) or "none of both"
        raise DataError(
            f"no lag between plates and sensors within {search_s:g} s: their angular speeds correlate by {told}, and "
            f"two must by {LEAST_R}"
        )
    shift_s = float(np.median(list(clear.values())))
    spread_s = float(np.median(np.abs(np.array(list(clear.values())) - shift_s)))
    if spread_s > SPREAD_LIMIT_S:
        told = ", ".join(f"{name} {lag:+.3f} s" for name, lag in clear.items())
        raise DataError(f"the sensors' lags to their plates do not agree: {told}")
    exchanged = _exchanged(seen, felt, shift_s)
    pairs, unlike = {}, {}
    for sensor in (sensor for sensor in worn if sensor.segment in felt):
        name = sensor.segment
        plate = _other_side(name) if name.rpartition("_")[0] in exchanged else name
        lag_s, r = lags[name] if plate == name else _lag(seen[plate], felt[name], reach)
        if plate not in seen or r < LEAST_R or abs(lag_s - shift_s) > SPREAD_LIMIT_S:
            unlike[name] = round(_alike(seen[plate], felt[name], shift_s), 3)
            continue
        turn = _turn(seen[plate], felt[name], shift_s)
        if turn is None:
            unlike[name] = round(r, 3)
            continue
        rotation, residual, agreement = turn
        orientation = plates.by_segment[plate].rotation @ rotation
        pairs[name] = Pair(
            sensor.name, name, lag_s, r, rotation, residual, agreement, orientation,
            seen[plate].at(plates.time) @ rotation, plates.by_segment[plate].origin, 1.0 / rates[0],
            _heading(orientation, plates.time + shift_s, sensor),
        )  # fmt: skip
    return Pairing(pairs, shift_s, spread_s, unlike, exchanged)


# --- rates on one grid -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rates:
    """Low-passed rates (n, 3) at whole multiples of 1 / rate_hz from ``start``, and which of them count."""

    values: FloatArray
    known: BoolArray
    start: int
    rate_hz: float

    @classmethod
    def of(cls, time: FloatArray, values: FloatArray, rate_hz: float, cutoff_hz: float) -> _Rates:
        known: BoolArray = np.asarray(np.isfinite(values).all(axis=1))
        grid = np.arange(np.ceil(time[0] * rate_hz), np.floor(time[-1] * rate_hz) + 1)
        if known.sum() < 2 or grid.size < 2 * rate_hz:
            return cls(np.zeros((0, 3)), np.zeros(0, dtype=bool), 0, rate_hz)
        at = grid / rate_hz
        bridged = np.stack([np.interp(at, time[known], column[known]) for column in values.T], axis=1)
        smooth = sosfiltfilt(butter(4, cutoff_hz, fs=rate_hz, output="sos"), bridged, axis=0)
        near = np.searchsorted(time, at).clip(1, len(time) - 1)
        counts = known[near] & known[near - 1]
        guard = round(0.15 * rate_hz)
        holes = np.convolve(~counts, np.ones(2 * guard + 1), mode="same") > 0
        return cls(np.asarray(smooth), ~holes, int(grid[0]), rate_hz)

    def at(self, time: FloatArray) -> FloatArray:
        """Return the rates (m, 3) at other instants, NaN where they do not count."""
        values = np.where(self.known[:, None], self.values, np.nan)
        grid = (self.start + np.arange(len(values))) / self.rate_hz
        return np.stack([np.interp(time, grid, column, left=np.nan, right=np.nan) for column in values.T], axis=1)

    @property
    def speed(self) -> FloatArray:
        return np.asarray(np.linalg.norm(self.values, axis=1))


def _plate_rate(plate: Plate, time: FloatArray, rate_hz: float, cutoff_hz: float) -> _Rates:
    quat = quaternions(plate.rotation)
    known: BoolArray = np.asarray(np.isfinite(quat).all(axis=1))
    whole = known & np.roll(known, 1) & np.roll(known, -1)
    held = np.where(known[:, None], quat, [1.0, 0.0, 0.0, 0.0])
    rate = angular_rate(held, 1.0) / np.gradient(time)[:, None]
    return _Rates.of(time, np.where(whole[:, None], rate, np.nan), rate_hz, cutoff_hz)


# --- the lag ---------------------------------------------------------------------------------------------------------


def _lag(seen: _Rates, felt: _Rates, reach: int) -> tuple[float, float]:
    """Return the shift that carries the cameras' clock onto the imu's, in seconds, and the correlation there."""
    curve = _correlations(seen, felt, reach)
    if not np.isfinite(curve).any():
        return np.nan, 0.0
    best = int(np.nanargmax(curve))
    place = float(best)
    if 0 < best < len(curve) - 1:
        before, here, after = curve[best - 1 : best + 2]
        bend = before - 2 * here + after
        place += 0.5 * (before - after) / bend if bend < 0 else 0.0
    return float((place - reach) / seen.rate_hz), float(curve[best])


def _correlations(seen: _Rates, felt: _Rates, reach: int) -> FloatArray:
    """Return Pearson's r of both speeds at every shift from -reach to reach samples; NaN where too little overlaps."""
    x, y, mx, my = seen.speed, felt.speed, seen.known.astype(float), felt.known.astype(float)
    if not (mx.sum() and my.sum()):
        return np.full(2 * reach + 1, np.nan)
    x = np.where(seen.known, x - x[seen.known].mean(), 0.0)
    y = np.where(felt.known, y - y[felt.known].mean(), 0.0)
    size = next_fast_len(len(x) + len(y) + 2 * reach, real=True)
    lags = seen.start - felt.start + np.arange(-reach, reach + 1)
    inside = (lags > -len(x)) & (lags < len(y))

    def sums(a: FloatArray, b: FloatArray) -> FloatArray:
        both = irfft(np.conj(rfft(a, size)) * rfft(b, size), size)
        return np.where(inside, both[lags % size], 0.0)

    n = sums(mx, my)
    enough = n >= max(LEAST_OVERLAP_S * seen.rate_hz, 0.5 * n.max())
    n = np.where(enough, n, 1.0)
    sx, sy = sums(x, my), sums(mx, y)
    vx, vy = sums(x * x, my) - sx**2 / n, sums(mx, y * y) - sy**2 / n
    usable = enough & (vx > 0) & (vy > 0)
    r = (sums(x, y) - sx * sy / n) / np.sqrt(np.where(usable, vx * vy, 1.0))
    return np.where(usable, r, np.nan)


def _together(seen: _Rates, felt: _Rates, shift_s: float) -> tuple[FloatArray, FloatArray]:
    """Return both rates (m, 3) at the cameras' grid instants where both count."""
    at = (seen.start + np.arange(len(seen.values))) + shift_s * seen.rate_hz - felt.start
    below = np.floor(at).astype(int)
    inside = (below >= 0) & (below + 1 < len(felt.values)) & seen.known
    low = below[inside]
    inside[inside] = felt.known[low] & felt.known[low + 1]
    low, part = below[inside], (at - below)[inside, None]
    return seen.values[inside], felt.values[low] * (1 - part) + felt.values[low + 1] * part


def _alike(seen: _Rates, felt: _Rates, shift_s: float) -> float:
    one, other = (np.linalg.norm(values, axis=1) for values in _together(seen, felt, shift_s))
    if len(one) < LEAST_OVERLAP_S * seen.rate_hz or not (one.std() > 0 and other.std() > 0):
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _other_side(segment: str) -> str:
    stem, _, letter = segment.rpartition("_")
    return f"{stem}_{'l' if letter == 'r' else 'r'}" if stem else segment


def _exchanged(seen: Mapping[str, _Rates], felt: Mapping[str, _Rates], shift_s: float) -> tuple[str, ...]:
    """Return the segments whose plates bear each other's side: every sensor there follows the other leg's plate."""
    found = []
    for stem in ("thigh", "shank", "foot"):
        there = [name for name in felt if name.rpartition("_")[0] == stem]
        crossed = [
            _other_side(name) in seen
            and (r := _alike(seen[_other_side(name)], felt[name], shift_s)) >= LEAST_R
            and r > _alike(seen[name], felt[name], shift_s) + EXCHANGED_R
            for name in there
        ]
        if there and all(crossed):
            found.append(stem)
    return tuple(found)


# --- the turn from sensor to plate, and the heading ------------------------------------------------------------------


def _turn(seen: _Rates, felt: _Rates, shift_s: float) -> tuple[FloatArray, float, float] | None:
    """Return the rotation (3, 3) sensor to plate, what is left (rad s-1, root mean square) and the correlation."""
    plate, sensor = _together(seen, felt, shift_s)
    left, share, right = np.linalg.svd(plate.T @ sensor)
    if share[1] < LEAST_TURN * share[0]:
        return None
    rotation = left @ np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))]) @ right
    turned = sensor @ rotation.T
    residual = float(np.sqrt(np.mean(np.sum((plate - turned) ** 2, axis=1))))
    agreement = float(np.sum(plate * turned) / np.sqrt(np.sum(plate**2) * np.sum(turned**2)))
    return rotation, residual, agreement


def _heading(orientation: FloatArray, time: FloatArray, sensor: WornSensor) -> Heading | None:
    """Return the heading of the lab over the sensor's world; ``time`` (n,) is the cameras', on the imu's clock."""
    if sensor.quat is None:
        return None
    step = max(1, round(HEADING_EVERY_S / float(np.median(np.diff(time)))))
    optical, at = orientation[::step], time[::step]
    known = np.isfinite(sensor.quat).all(axis=1)
    if known.sum() < 2:
        return None
    steady = quaternions(matrices(sensor.quat[known]))
    clock = sensor.time[known]
    own = np.stack([np.interp(at, clock, column) for column in steady.T], axis=1)
    usable = np.isfinite(optical).all(axis=(1, 2)) & (at >= clock[0]) & (at <= clock[-1])
    if usable.sum() < 2:
        return None
    between = optical[usable] @ np.swapaxes(Z_UP_TO_Y_UP @ matrices(own[usable]), 1, 2)
    angle = np.arctan2(between[:, 0, 2] - between[:, 2, 0], between[:, 0, 0] + between[:, 2, 2])
    middle = float(np.angle(np.exp(1j * angle).sum()))
    around = np.degrees(np.angle(np.exp(1j * (angle - middle))))
    minutes = (at[usable] - at[usable].mean()) / 60
    drift = float(minutes @ around / (minutes @ minutes))
    tilt = np.degrees(np.arccos(np.clip(between[:, 1, 1], -1, 1)))
    return Heading(
        mean_deg=float((np.degrees(middle) + around.mean() + 180) % 360 - 180),
        spread_deg=float((around - around.mean() - drift * minutes).std()),
        drift_deg_per_min=drift,
        tilt_deg=float(np.median(tilt)),
    )


def heading_flags(headings: Mapping[str, Heading], length_s: float) -> list[str]:
    """Return a flag, with its number, for every heading beyond a limit."""
    if not headings:
        return []
    means = np.array([heading.mean_deg for heading in headings.values()])
    between = np.abs((means[:, None] - means + 180) % 360 - 180)
    distances = between[:, int(np.argmin(between.sum(axis=0)))]  # from the most central one: a median on a circle
    flags = []
    for (sensor, heading), apart in zip(headings.items(), distances, strict=True):
        gone = abs(heading.drift_deg_per_min) * length_s / 60
        if abs(heading.drift_deg_per_min) > DRIFT_LIMIT_DEG_PER_MIN and gone > DRIFT_LIMIT_DEG:
            flags.append(f"heading_drift:{sensor}:{heading.drift_deg_per_min:+.1f}deg_per_min")
        if heading.spread_deg > SPREAD_LIMIT_DEG:
            flags.append(f"heading_spread:{sensor}:{heading.spread_deg:.1f}deg")
        if len(headings) > 2 and apart > APART_LIMIT_DEG:
            flags.append(f"heading_apart:{sensor}:{apart:.1f}deg")
    return flags
