"""Two sets of recordings side by side, by segment and axis: the gait cycle, its spectrum, what each step does to them.

Nobody's thigh moves as another's, so there is no verdict here: figures and curves for a person to judge by. Everything
is measured on strides: without gait there is nothing that two recordings of different people share, and the pair is
``NOT ASSESSED`` with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy.signal import welch

from kinbench import harmonisation
from kinbench.errors import KinbenchError
from kinbench.inspection.findings import BoolArray, FloatArray, Sensor, median_rate_hz, norm, sensors_of
from kinbench.kinematics import events_from_gyro, events_from_hip_angle
from kinbench.recording import Recording
from kinbench.schema import SEGMENTS

AXES = ("x", "y", "z", "length")
"""Segment axes (anterior, proximal, right) and the length of the vector, which needs no rotation."""
SIGNALS = {"acc": "m/s2", "gyr": "rad/s"}
POINTS = 101
"""Of a gait cycle, 0 to 100 %."""
STORED = "as stored"
STRIDE_S = (0.5, 2.5)
STRIDE_OFF = 0.3
"""A stride differs from the recording's median by at most this share; else a contact was missed, or someone turned."""
ALIKE_R = 0.8
"""Of a stride's shank rate (or hip angle) with the median one: what merely has contacts in it is no gait."""
LEAST_STRIDES = 3
MOST_S = 120.0
"""Of each recording, the two minutes with most strides are taken."""
MARGIN_S = 1.0
BRIDGED_S = 0.05
"""Holes up to this are bridged by a line, as ``harmonisation.resample`` does."""
PEAK_HZ = (0.4, 4.0)
PEAK_WINDOW_S = 10.0
PEAK_LEAST_S = 3.0
FLOOR_BAND = (0.7, 0.95)
FLOOR_WINDOW_S = 1.0
"""As in ``harmonisation.equalise_noise``: shares of half the rate, and Hann windows, half overlapping."""
SMOOTH_S, SMOOTH_ORDER = 0.11, 3


# --- strides ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gait:
    """The strides of a recording, per leg (``r``, ``l``): (k, 2) start and stop in s on the imu's clock.

    ``method`` says per leg what the contacts were found by; ``reason`` why there is no stride, empty where there are.
    """

    strides: Mapping[str, FloatArray]
    method: Mapping[str, str]
    reason: str = ""


def gait_of(recording: Recording) -> Gait:
    """Return the strides that are alike, each from one contact of a foot to its next.

    Contacts come from a shank's gyro (Salarian et al. 2004), about its main axis where its rotation is unknown, else
    from the reference's hip flexion. A stride lasts 0.5 to 2.5 s, within 30 % of the median, and goes as the median
    one does (r 0.8); a leg needs three of them.
    """
    strides: dict[str, FloatArray] = {}
    method: dict[str, str] = {}
    reasons: list[str] = []
    for leg in "rl":
        for name, signal in _rhythms(recording, leg):
            try:
                found = _strides(*signal, name)
            except KinbenchError as error:
                reasons.append(f"{name} of leg {leg}: {error}")
                continue
            if len(found) >= LEAST_STRIDES:
                strides[leg], method[leg] = found, name
                break
            reasons.append(f"{name} of leg {leg}: {len(found)} strides alike, and {LEAST_STRIDES} are needed")
    if strides:
        return Gait(strides, method)
    return Gait({}, {}, "no gait: " + "; ".join(dict.fromkeys(reasons)) if reasons else NO_RHYTHM)


NO_RHYTHM = "no gait to be found: it has neither the gyro of a shank nor a hip flexion angle"


def _rhythms(recording: Recording, leg: str) -> Iterator[tuple[str, tuple[FloatArray, FloatArray]]]:
    """Yield (method, (even time, signal)) of what tells a leg's contacts."""
    for sensor in [] if recording.imu is None else sensors_of(recording.imu):
        if sensor.segment == f"shank_{leg}" and sensor.gyr is not None:
            time, values = _even(sensor.time + sensor.clock_offset_s, _swing(sensor.gyr, sensor.rotation))
            yield "shank gyro", (time, values[:, 0])
    reference = recording.reference
    if reference is None or "angle" not in reference:
        return
    names = [str(name) for name in reference["dof"].values]
    if f"hip_flexion_{leg}" in names:
        column = names.index(f"hip_flexion_{leg}")
        angle = np.array(reference["angle"].values[:, column], dtype=np.float64)
        if "valid" in reference:
            mask = np.asarray(reference["valid"].values)
            angle[~(mask if mask.ndim == 1 else mask[:, column])] = np.nan
        time, values = _even(np.asarray(reference["time"].values, dtype=np.float64), angle)
        yield "hip angle", (time, values[:, 0])


def _swing(gyr: FloatArray, rotation: FloatArray) -> FloatArray:
    """Return (n,) the rate about the segment's Z, or, where nobody knows that, about the axis it turns about most.

    A shank is never faster than when it swings forward, so that is where the unknown axis' rate is made positive. It is
    good enough to find contacts by, and is used for nothing else.
    """
    if np.isfinite(rotation).all():
        return np.asarray(gyr @ rotation[2], dtype=np.float64)
    known = gyr[np.isfinite(gyr).all(axis=1)]
    main = np.linalg.eigh(known.T @ known)[1][:, -1]
    rate = known @ main
    forward = np.quantile(rate, 0.995) >= -np.quantile(rate, 0.005)
    return np.asarray(gyr @ (main if forward else -main), dtype=np.float64)


def _strides(time: FloatArray, signal: FloatArray, method: str) -> FloatArray:
    rate_hz = median_rate_hz(time)
    if rate_hz == 0.0 or not np.isfinite(signal).any():
        return np.empty((0, 2))
    find = events_from_gyro if method == "shank gyro" else events_from_hip_angle
    contact = time[0] + find(signal, rate_hz).contact_s
    pairs = np.array(list(pairwise(contact)), dtype=np.float64).reshape(-1, 2)
    length = pairs[:, 1] - pairs[:, 0]
    pairs = pairs[(length >= STRIDE_S[0]) & (length <= STRIDE_S[1])]
    if not len(pairs):
        return pairs
    length = pairs[:, 1] - pairs[:, 0]
    pairs = pairs[np.abs(length / np.median(length) - 1) <= STRIDE_OFF]
    curves = _cycles(time, signal[:, None], pairs)[:, :, 0]
    known = np.isfinite(curves).all(axis=1)
    pairs, curves = pairs[known], curves[known]
    if not len(pairs):
        return pairs
    usual = np.median(curves, axis=0)
    alike = np.array([_correlation(curve, usual) >= ALIKE_R for curve in curves], dtype=bool)
    return np.asarray(pairs[alike], dtype=np.float64)


def _even(time: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return (even time (n,), values (n, k)) at the median rate; NaN where nothing was known for over ``BRIDGED_S``."""
    wide = values[:, None] if values.ndim == 1 else values
    rate_hz = median_rate_hz(time)
    if rate_hz == 0.0 or not np.isfinite(time).all() or (np.diff(time) <= 0).any():
        return np.empty(0), np.empty((0, wide.shape[1]))
    grid = time[0] + np.arange(round((time[-1] - time[0]) * rate_hz) + 1) / rate_hz
    found: FloatArray = np.full((grid.size, wide.shape[1]), np.nan)
    widest = max(1.5 / rate_hz, BRIDGED_S + 0.5 / rate_hz)
    for at, column in enumerate(wide.T):
        known = np.isfinite(column)
        if known.sum() < 2:
            continue
        there = time[known]
        right = np.clip(np.searchsorted(there, grid), 1, there.size - 1)
        near = (there[right] - there[right - 1] <= widest) & (grid >= there[0]) & (grid <= there[-1])
        found[near, at] = np.interp(grid[near], there, column[known])
    return grid, found


def _cycles(time: FloatArray, values: FloatArray, strides: FloatArray) -> FloatArray:
    """Return (stride, 101, column) of values (n, column) on an even clock; NaN where a stride misses a sample."""
    share = np.linspace(0.0, 1.0, POINTS)
    at = strides[:, :1] + share * (strides[:, 1:] - strides[:, :1])
    columns = [np.interp(at, time, column, left=np.nan, right=np.nan) for column in values.T]
    found = np.stack(columns, axis=2)
    # A hole between two of the 101 points would pass unseen.
    holes = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(~np.isfinite(values), axis=0)])
    first, last = (np.clip(np.searchsorted(time, strides[:, side]), 0, time.size) for side in (0, 1))
    broken = (holes[last] - holes[first]) > 0
    found[np.broadcast_to(broken[:, None, :], found.shape)] = np.nan
    return found


def _correlation(first: FloatArray, second: FloatArray) -> float:
    a, b = first - first.mean(), second - second.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else 0.0


# --- what is compared ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figures:
    """One signal's axis over all strides of one side.

    ``mean`` and ``sd`` (101,) are over the strides of all recordings, in the signal's unit. The rest are medians over
    recordings: ``peak_hz``, the strongest frequency of the vector's length from 0.4 to 4 Hz (a shank's is the stride's,
    a pelvis' the step's); ``harmonic_db``, the power that repeats from stride to stride, which is that at the harmonics
    of the stride, over all other power; ``snr_db``, the same over what a floor of white noise as high as ``floor``
    would have; ``floor`` (unit per root Hz), the spectral density over 0.7 to 0.95 of half the rate. None: not known.
    """

    recordings: int
    strides: int
    mean: FloatArray
    sd: FloatArray
    peak_hz: float | None
    harmonic_db: float | None
    snr_db: float | None
    floor: float | None


@dataclass(frozen=True)
class Pair:
    """One axis of one signal on one segment, after ``stage``, on both sides.

    ``r`` and ``rms`` (in ``unit``) are between the two mean cycles. Where ``reason`` is not empty, the pair is NOT
    ASSESSED, and these are None.
    """

    stage: str
    segment: str
    signal: str
    axis: str
    unit: str
    this: Figures | None
    other: Figures | None
    r: float | None = None
    rms: float | None = None
    reason: str = ""

    @property
    def verdict(self) -> str:
        """``COMPARED`` or ``NOT ASSESSED``."""
        return "NOT ASSESSED" if self.reason else "COMPARED"


@dataclass(frozen=True)
class Side:
    """One of the two: its name, how many recordings it gave, what their strides were found by, and who has none.

    ``there`` is how many there were to choose from, where that is known.
    """

    name: str
    recordings: int
    walking: int
    methods: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    there: int | None = None

    @property
    def counted(self) -> str:
        """How many recordings were compared, of how many that were read, of how many that there are."""
        chosen = f", chosen evenly among {self.there}" if self.there and self.there > self.recordings else ""
        return f"{self.walking} of {self.recordings} recordings{chosen}"


@dataclass(frozen=True)
class Comparison:
    """Two sets of recordings side by side. ``steps`` are the harmonisation steps in order, with what they were told."""

    this: Side
    other: Side
    steps: tuple[tuple[str, Mapping[str, Any]], ...]
    pairs: tuple[Pair, ...]

    @property
    def stages(self) -> tuple[str, ...]:
        """``as stored`` and then the name of each step: the figures after it, and after those before it."""
        return (STORED, *(name for name, _ in self.steps))

    def at(self, stage: str) -> tuple[Pair, ...]:
        """Return the pairs after one stage."""
        return tuple(pair for pair in self.pairs if pair.stage == stage)

    def table(self) -> pd.DataFrame:
        """Return one row per stage, segment, signal and axis with the figures of both sides; curves left out."""
        return pd.DataFrame([_row(pair) for pair in self.pairs], columns=list(_COLUMNS))

    def by_stage(self) -> pd.DataFrame:
        """Return the medians over segments and axes after each stage, by signal, over what every stage could assess."""
        table = self.table()
        table = table[table["verdict"] == "COMPARED"]
        keys = ["segment", "signal", "axis"]
        complete = table.groupby(keys)["stage"].transform("nunique") == len(self.stages)
        columns = [name for name in _COLUMNS if name not in ("stage", *keys, "unit", "verdict", "reason")]
        found = table[complete].astype(dict.fromkeys(columns, "float64"))
        found = found.groupby(["signal", "stage"], sort=False)[columns].median().reset_index()
        order = {name: place for place, name in enumerate(self.stages)}
        return found.sort_values(["signal", "stage"], key=lambda c: c.map(order).fillna(-1) if c.name == "stage" else c)

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain JSON types, with the curves as stored and after the last step."""
        last = {STORED, self.stages[-1]}
        return {
            "this": _plain_side(self.this),
            "other": _plain_side(self.other),
            "steps": [{"step": name, **settings} for name, settings in self.steps],
            "pairs": [
                {name: _finite(value) for name, value in _row(pair).items()}
                | ({"curves": _curves(pair)} if pair.stage in last else {})
                for pair in self.pairs
            ],
        }

    def text(self) -> str:
        """Return the comparison for people: who walks, r and RMS per axis as stored, and what the steps do."""
        lines = [_told(side) for side in (self.this, self.other)]
        stored = [pair for pair in self.at(STORED) if not pair.reason]
        if stored:
            lines.append(f"{'as stored':<14}{'axis':<8}{'strides':>11}{'peak Hz':>13}{'SNR dB':>15}{'r':>7}{'RMS':>9}")
        lines += [_line(pair) for pair in stored]
        if stored:
            lines.append(f"{'median after':<22}{'SNR dB':>15}{'floor':>22}{'r':>7}{'RMS':>9}")
            lines += [_step_line(row) for row in self.by_stage().to_dict("records")]
        reasons: dict[str, list[str]] = {}
        for pair in self.at(STORED):
            if pair.reason:
                reasons.setdefault(pair.reason, []).append(f"{pair.segment} {pair.signal} {pair.axis}")
        lines += [f"not assessed  {reason} ({_short(places)})" for reason, places in reasons.items()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return self.table().to_html()


def compare(
    recordings: Iterable[Recording],
    others: Iterable[Recording],
    *,
    names: tuple[str, str] = ("this", "other"),
    on_recording: Callable[[str], None] = lambda key: None,
) -> Comparison:
    """Return two sets of recordings in schema form side by side; each recording is read once, and cut to its gait.

    The first sensor on a segment speaks for it. Axes are the segment's, and need a known rotation on both sides; the
    length of the vector needs none. Accelerations with gravity and without are not compared. Segments of the trunk go
    by the right leg's strides, of the left's where the right has none.

    The steps are those of ``kinbench.harmonisation``, each after the ones before it, with the same settings for both
    sides: ``resample`` to the lowest rate among them, ``remove_spikes``, ``smooth_savgol``, and ``equalise_noise`` to
    the highest floor that is left.
    """
    sides = [_Walkers(name) for name in names]
    for side, given in zip(sides, (recordings, others), strict=True):
        for recording in given:
            on_recording(str(recording.key))
            side.add(recording)
    stages: list[tuple[str, Mapping[str, Any]]] = [(STORED, {})]
    measured = [side.measured() for side in sides]
    pairs = list(_paired(STORED, sides, measured))
    for name in _STEPS if all(side.walks for side in sides) else ():
        settings = _settings(name, sides, measured)
        for side in sides:
            side.step(name, settings)
        stages.append((name, settings))
        measured = [side.measured() for side in sides]
        pairs += _paired(name, sides, measured)
    this, other = (side.side() for side in sides)
    return Comparison(this, other, tuple(stages[1:]), tuple(pairs))


# --- one side --------------------------------------------------------------------------------------------------------

_Place = tuple[str, str]
"""Segment and signal."""


@dataclass(frozen=True)
class _Walk:
    """A recording cut to its gait."""

    recording: Recording
    gait: Gait


@dataclass
class _Walkers:
    """One side's recordings, as far as they walk, on their way through the steps."""

    name: str
    walks: list[_Walk] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)
    seen: int = 0
    turned: dict[str, bool] = field(default_factory=dict)
    """Per segment that was seen at all, whether a rotation is known on it anywhere."""

    def add(self, recording: Recording) -> None:
        self.seen += 1
        if recording.imu is None:
            self.left_out.append((str(recording.key), "it has no imu"))
            return
        gait = gait_of(recording)
        if gait.reason:
            self.left_out.append((str(recording.key), gait.reason))
            return
        self.walks.append(_cut(recording, gait))
        for sensor in _speakers(recording):
            known = bool(np.isfinite(sensor.rotation).all())
            self.turned[sensor.segment] = self.turned.get(sensor.segment, False) or known
            if sensor.acc is not None:
                self.kinds.add(sensor.acc_kind)

    def step(self, name: str, settings: Mapping[str, Any]) -> None:
        """Do one step to every recording; one that cannot take it is left out from here on, with the reason."""
        done = []
        for walk in self.walks:
            try:
                done.append(replace(walk, recording=_STEPS[name](walk.recording, settings)))
            except KinbenchError as error:
                self.left_out.append((str(walk.recording.key), f"{name}: {error}"))
        self.walks = done

    def measured(self) -> dict[_Place, list[_Measured]]:
        found: dict[_Place, list[_Measured]] = {}
        for walk in self.walks:
            for sensor in _speakers(walk.recording):
                for signal in SIGNALS:
                    one = _measure(sensor, signal, walk.gait)
                    if one is not None:
                        found.setdefault((sensor.segment, signal), []).append(one)
        return found

    def side(self) -> Side:
        methods = {method for walk in self.walks for method in walk.gait.method.values()}
        walking = self.seen - len({key for key, _ in self.left_out})
        return Side(self.name, self.seen, walking, tuple(sorted(methods)), tuple(self.left_out))


def _speakers(recording: Recording) -> Iterator[Sensor]:
    """Yield the first sensor on each segment."""
    assert recording.imu is not None  # the caller looked
    told: set[str] = set()
    for sensor in sensors_of(recording.imu):
        if sensor.segment not in told:
            told.add(sensor.segment)
            yield sensor


def _cut(recording: Recording, gait: Gait) -> _Walk:
    """Return the imu of the span of ``MOST_S`` that holds most strides, and those strides."""
    assert recording.imu is not None  # the caller looked
    every = np.concatenate(list(gait.strides.values()))
    every = every[np.argsort(every[:, 0])]
    counts = [int(np.sum((every[:, 0] >= start) & (every[:, 1] <= start + MOST_S))) for start in every[:, 0]]
    start = float(every[int(np.argmax(counts)), 0])
    strides = {
        leg: kept
        for leg, found in gait.strides.items()
        if len(kept := found[(found[:, 0] >= start) & (found[:, 1] <= start + MOST_S)])
    }
    stop = max(float(found[:, 1].max()) for found in strides.values())
    time = np.asarray(recording.imu["time"].values, dtype=np.float64)
    inside = np.flatnonzero((time >= start - MARGIN_S) & (time <= stop + MARGIN_S))
    imu = recording.imu.isel(time=slice(int(inside[0]), int(inside[-1]) + 1))
    return _Walk(replace(recording, imu=imu, reference=None), replace(gait, strides=strides))


# --- figures ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Measured:
    """One sensor's signal in one recording: cycles (k, 101, 4) along ``AXES`` and the figures of each axis."""

    leg: str
    cycles: FloatArray
    peak_hz: float | None
    harmonic_db: Sequence[float | None]
    snr_db: Sequence[float | None]
    floor: Sequence[float | None]


def _measure(sensor: Sensor, signal: str, gait: Gait) -> _Measured | None:
    values = sensor.acc if signal == "acc" else sensor.gyr
    side = sensor.segment[-1] if sensor.segment[-2:] in ("_r", "_l") else ""
    leg = side or next((leg for leg in "rl" if leg in gait.strides), "")
    if values is None or leg not in gait.strides:
        return None
    four = np.column_stack([values @ sensor.rotation.T, norm(values)])
    time, even = _even(sensor.time + sensor.clock_offset_s, four)
    strides = gait.strides[leg]
    cycles = _cycles(time, even, strides)
    cycles = cycles[np.isfinite(cycles[:, :, 3]).all(axis=1)]
    if len(cycles) < LEAST_STRIDES:
        return None
    rate_hz = median_rate_hz(time)
    stretches = [even[run] for run in _runs(time, strides)]
    floor = _floors(stretches, rate_hz)
    harmonic, rest = _powers(cycles)
    return _Measured(
        leg, cycles, _peak_hz([stretch[:, 3] for stretch in stretches], rate_hz),
        [_decibel(h, r) for h, r in zip(harmonic, rest, strict=True)],
        [_decibel(h, f**2 * rate_hz / 2) for h, f in zip(harmonic, floor, strict=True)],
        [float(f) if np.isfinite(f) else None for f in floor],
    )  # fmt: skip


def _runs(time: FloatArray, strides: FloatArray) -> Iterator[slice]:
    """Yield the samples of each run of strides that follow each other."""
    start = float(strides[0, 0])
    for (_, stop), (following, _) in pairwise(strides):
        if following - stop > 1e-6:
            yield slice(*np.searchsorted(time, (start, stop)))
            start = float(following)
    yield slice(*np.searchsorted(time, (start, float(strides[-1, 1]))))


def _powers(cycles: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return per axis the power that repeats from stride to stride, without the mean, and the power that does not.

    On strides of equal length the first is all that a spectrum has at the harmonics of the stride, less what chance
    puts there, and the second is what it has between them.
    """
    rest = cycles.var(axis=0, ddof=1).mean(axis=0)
    return np.asarray(cycles.mean(axis=0).var(axis=0) - rest / len(cycles), dtype=np.float64), rest


def _peak_hz(stretches: Sequence[FloatArray], rate_hz: float) -> float | None:
    known = [stretch[np.isfinite(stretch)] for stretch in stretches if np.isfinite(stretch).all()]
    longest = max(known, key=len, default=np.empty(0))
    if len(longest) < PEAK_LEAST_S * rate_hz:
        return None
    length = min(len(longest), round(PEAK_WINDOW_S * rate_hz))
    fine = max(length, 2 ** int(np.ceil(np.log2(64 * rate_hz))))  # points less than a 64th of a Hz apart
    frequency_hz, power = welch(_level(longest[None])[0], rate_hz, nperseg=length, nfft=fine)
    inside = (frequency_hz >= PEAK_HZ[0]) & (frequency_hz <= PEAK_HZ[1])
    return float(frequency_hz[inside][np.argmax(power[inside])])


def _floors(stretches: Sequence[FloatArray], rate_hz: float) -> FloatArray:
    """Return (4,) spectral densities in the highest band, NaN where no second hangs together.

    The median over windows of the mean over the band, as ``equalise_noise`` reads it.
    """
    length = max(8, round(FLOOR_WINDOW_S * rate_hz))
    windows = [
        stretch[start : start + length]
        for stretch in stretches
        for start in range(0, len(stretch) - length + 1, length // 2)
    ]
    if not windows:
        return np.full(len(AXES), np.nan)
    stack = np.stack(windows)
    known: BoolArray = np.asarray(np.isfinite(stack).all(axis=1), dtype=bool)  # (window, axis)
    frequency_hz, power = welch(_level(np.nan_to_num(stack)), rate_hz, nperseg=length, axis=1)
    low, high = (share * rate_hz / 2 for share in FLOOR_BAND)
    band = power[:, (frequency_hz >= low) & (frequency_hz <= high)].mean(axis=1)
    return np.array(
        [np.sqrt(np.median(band[known[:, axis], axis])) if known[:, axis].any() else np.nan for axis in range(4)]
    )


def _level(windows: FloatArray) -> FloatArray:
    """Return (window, n, ...) less the straight line of each window."""
    line = np.linspace(-1.0, 1.0, windows.shape[1])
    slope = np.einsum("wn...,n->w...", windows, line) / (line @ line)
    return np.asarray(windows - windows.mean(axis=1)[:, None] - np.einsum("w...,n->wn...", slope, line))


def _decibel(power: float, against: float) -> float | None:
    if not (np.isfinite(power) and np.isfinite(against)) or power <= 0 or against <= 0:
        return None
    return float(10 * np.log10(power / against))


# --- the steps -------------------------------------------------------------------------------------------------------


def _signals_of(recording: Recording) -> list[str]:
    assert recording.imu is not None  # a walk has one
    return [name for name in SIGNALS if name in recording.imu]


_STEPS: dict[str, Callable[[Recording, Mapping[str, Any]], Recording]] = {
    "resample": lambda recording, told: harmonisation.resample(recording, told["rate_hz"]),
    "remove_spikes": lambda recording, told: harmonisation.remove_spikes(
        recording, bridge_samples=told["bridge_samples"], variables=_signals_of(recording)
    ),
    "smooth_savgol": lambda recording, told: harmonisation.smooth_savgol(
        recording, window_s=told["window_s"], order=told["order"], variables=_signals_of(recording)
    ),
    "equalise_noise": lambda recording, told: harmonisation.equalise_noise(
        recording, density={name: told["density"][name] for name in _signals_of(recording)}
    ),
}


def _settings(
    name: str, sides: Sequence[_Walkers], measured: Sequence[Mapping[_Place, list[_Measured]]]
) -> dict[str, Any]:
    """Return what both sides are told in a step."""
    if name == "resample":
        return {"rate_hz": min(_rate_hz(walk.recording) for side in sides for walk in side.walks)}
    if name == "remove_spikes":
        return {"bridge_samples": 1}
    if name == "smooth_savgol":
        return {"window_s": SMOOTH_S, "order": SMOOTH_ORDER}
    return {"density": {signal: _highest_floor(sides, signal) for signal in SIGNALS}}


def _rate_hz(recording: Recording) -> float:
    assert recording.imu is not None  # a walk has one
    rate_hz = median_rate_hz(np.asarray(recording.imu["time"].values, dtype=np.float64))
    whole = float(round(rate_hz))
    return whole if abs(rate_hz / whole - 1) < 0.005 else round(rate_hz, 3)


def _highest_floor(sides: Sequence[_Walkers], signal: str) -> float:
    """Return the highest floor of any sensor's own axis in any recording, over all that was kept of it."""
    highest = 0.0
    for side in sides:
        for walk in side.walks:
            assert walk.recording.imu is not None  # a walk has one
            for sensor in sensors_of(walk.recording.imu):
                values = sensor.acc if signal == "acc" else sensor.gyr
                if values is None:
                    continue
                time, even = _even(sensor.time, np.column_stack([values, norm(values)]))
                floors = _floors([even[run] for run in _whole(even)], median_rate_hz(time))[:3]
                highest = max(highest, float(np.nanmax(floors, initial=0.0)))
    return float(f"{highest:.3g}")


def _whole(values: FloatArray) -> Iterator[slice]:
    """Yield the runs of rows without NaN."""
    known = np.asarray(np.isfinite(values).all(axis=1), dtype=bool)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(np.int8)))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        yield slice(int(start), int(stop))


# --- pairs -----------------------------------------------------------------------------------------------------------


def _paired(
    stage: str, sides: Sequence[_Walkers], measured: Sequence[Mapping[_Place, list[_Measured]]]
) -> Iterator[Pair]:
    seen = {segment for side in sides for segment in side.turned}
    for segment in sorted(seen, key=SEGMENTS.index):
        for signal, unit in SIGNALS.items():
            place = (segment, signal)
            both = [side.get(place, []) for side in measured]
            legs = [{one.leg for one in found} for found in both]
            for axis in AXES:
                figures = [_figures(found, AXES.index(axis)) for found in both]
                reason = _obstacle(sides, place, axis, figures, legs)
                this, other = figures
                pair = Pair(stage, segment, signal, axis, unit, this, other, reason=reason)
                if not reason and this is not None and other is not None:
                    apart = this.mean - other.mean
                    rms = float(np.sqrt((apart**2).mean()))
                    pair = replace(pair, r=_correlation(this.mean, other.mean), rms=rms)
                yield pair


def _figures(found: Sequence[_Measured], axis: int) -> Figures | None:
    """Return the figures over all recordings in which the axis is known, None where it is in none."""
    known = [one for one in found if np.isfinite(one.cycles[:, :, axis]).all()]
    if not known:
        return None
    cycles = np.concatenate([one.cycles[:, :, axis] for one in known])
    return Figures(
        len(known), len(cycles), cycles.mean(axis=0), cycles.std(axis=0, ddof=1),
        _median(one.peak_hz for one in known), _median(one.harmonic_db[axis] for one in known),
        _median(one.snr_db[axis] for one in known), _median(one.floor[axis] for one in known),
    )  # fmt: skip


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def _obstacle(
    sides: Sequence[_Walkers],
    place: _Place,
    axis: str,
    figures: Sequence[Figures | None],
    legs: Sequence[set[str]],
) -> str:
    """Return why a pair cannot be compared, empty where it can."""
    segment, signal = place
    still = [side.name for side in sides if not side.walks]
    if still:
        return f"no gait in {' or '.join(still)}"
    without = [side.name for side in sides if segment not in side.turned]
    if without:
        return f"no sensor on {segment} where {without[0]} walks"
    kinds = set().union(*(side.kinds for side in sides))
    if signal == "acc" and len(kinds) > 1:
        return f"acceleration with gravity and without it: {', '.join(sorted(kinds))}"
    for side, found in zip(sides, figures, strict=True):
        if found is None and axis != "length" and not side.turned[segment]:
            return f"the rotation to {segment} is unknown in {side.name}"
        if found is None:
            return f"fewer than {LEAST_STRIDES} strides with {signal} of {segment} in {side.name}"
    if legs[0].isdisjoint(legs[1]):
        return f"{segment}: strides of the other leg"
    return ""


# --- shown -----------------------------------------------------------------------------------------------------------

_BOTH = ("recordings", "strides", "peak_hz", "harmonic_db", "snr_db", "floor")
_COLUMNS = (
    "stage", "segment", "signal", "axis", "unit", "verdict", "reason",
    *(f"{name}_{side}" for name in _BOTH for side in ("this", "other")), "r", "rms",
)  # fmt: skip


def _row(pair: Pair) -> dict[str, Any]:
    found: dict[str, Any] = {
        "stage": pair.stage, "segment": pair.segment, "signal": pair.signal, "axis": pair.axis, "unit": pair.unit,
        "verdict": pair.verdict, "reason": pair.reason,
    }  # fmt: skip
    for name in _BOTH:
        for side, figures in (("this", pair.this), ("other", pair.other)):
            found[f"{name}_{side}"] = None if figures is None else getattr(figures, name)
    return found | {"r": pair.r, "rms": pair.rms}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _curves(pair: Pair) -> dict[str, Any]:
    return {
        side: None
        if figures is None
        else {"mean": [float(f"{v:.5g}") for v in figures.mean], "sd": [float(f"{v:.5g}") for v in figures.sd]}
        for side, figures in (("this", pair.this), ("other", pair.other))
    }


def _plain_side(side: Side) -> dict[str, Any]:
    return {
        "name": side.name, "there": side.there, "recordings": side.recordings, "walking": side.walking,
        "methods": list(side.methods),
        "left_out": [{"recording": key, "reason": reason} for key, reason in side.left_out],
    }  # fmt: skip


def _told(side: Side) -> str:
    how = f", strides by {' and '.join(side.methods)}" if side.methods else ""
    lines = [f"{side.name}: {side.counted} compared{how}"]
    lines += [f"  left out {key}: {reason}" for key, reason in side.left_out]
    return "\n".join(lines)


def _two(pair: Pair, name: str, spec: str) -> str:
    values = [None if side is None else getattr(side, name) for side in (pair.this, pair.other)]
    return " | ".join("-" if value is None else format(value, spec) for value in values)


def _line(pair: Pair) -> str:
    return (
        f"{pair.segment:<9}{pair.signal:<5}{pair.axis:<8}{_two(pair, 'strides', 'd'):>11}"
        f"{_two(pair, 'peak_hz', '.2f'):>13}{_two(pair, 'snr_db', '.1f'):>15}{pair.r:>7.2f}{pair.rms:>9.3g}"
    )


def _step_line(row: Mapping[Any, Any]) -> str:
    def two(name: str, spec: str) -> str:
        values = (row[f"{name}_this"], row[f"{name}_other"])
        return " | ".join("-" if pd.isna(value) else format(value, spec) for value in values)

    head = f"{row['signal']} {row['stage']}"
    return f"{head:<22}{two('snr_db', '.1f'):>15}{two('floor', '.2g'):>22}{row['r']:>7.2f}{row['rms']:>9.3g}"


def _short(places: Sequence[str], most: int = 4) -> str:
    more = f" and {len(places) - most} more" if len(places) > most else ""
    return ", ".join(places[:most]) + more
