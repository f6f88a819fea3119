"""The lag that is left between reference and imu, measured again on what stands in the recording."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import xarray as xr

from kinbench.alignment import Lag, confident, estimate_lag
from kinbench.errors import DataError
from kinbench.inspection.findings import BoolArray, Finding, FloatArray, median_rate_hz, sensors_of
from kinbench.inspection.joints import GRID_LIMIT_HZ, known_angle
from kinbench.inspection.rates import low_passed, slices
from kinbench.recording import Recording
from kinbench.schema import DOFS

SEARCH_S = 2.0
QUARTER = 0.2
"""Samples: with segment orientations sound recordings are within 0.001, and a quarter must be found."""
HALF = 0.5
SPREADS = 3.0
"""With joint angles half a sample, for a joint's rate is no one angle; with both as far as joints or sensors differ."""
HIDDEN = 0.4
"""What is not explained, sqrt(1 - r2) of the motion, could all be a lag: of so many seconds, by how fast the motion
changes. It never all is: joints of one walk differ by a lag of 0.13 of that, and three times so much is allowed."""
SMOOTH_S = 0.1
APART_SAMPLES = 2.0
"""Sensors of one recording are no further from each other than this, and what r leaves of each."""
NEAR_S = (-0.08, 0.08)
FAR_S = (-0.16, 0.16)
CLEARER = 0.5
"""A sensor is late where, moved, it leaves half as much of its joints' rates unexplained; in time, where moving it by
the least step leaves twice as much."""
EXPLAINED_R = 0.9
LOOK_S = 30.0
"""So long a span is enough to place a sensor in time: the one in which the sensors turn most."""
CUTOFF_HZ = 12.0
LEAST_S = 3.0
STILL_RAD_S = 0.05
"""As for the lag itself: the low-pass of both sides, the least overlap, and what is no motion."""
BLOCK_S = 12.0
DRIFT_SAMPLES = 2.0
RATE_PPM = 20000.0
"""Lags of the first and the last third may differ by two samples. Beyond 2 % it is no packet's fault."""


def check_sync(recording: Recording) -> Iterator[Finding]:
    """Judge what is left of the lag, and whether it grows; how sync was declared or measured before plays no part."""
    imu, reference = recording.imu, recording.reference
    sync = recording.attrs.get("sync") or {}
    if imu is None or reference is None:
        return
    method, where = sync.get("method", "none"), "attrs.sync"
    lag = _lag(imu, reference)
    if lag is None:
        yield Finding("sync", "NOT ASSESSED", where, f"method {method}; too little motion, or nothing to compare")
        return
    told = f"method {method}, residual {lag.shift_s:+.4f} s, r {lag.r:.3f}"
    if not confident(lag):
        yield Finding("sync", "NOT ASSESSED", where, f"{told}; the lag could not be measured with confidence")
        return
    rate_hz = max(1e-9, min(median_rate_hz(imu["time"].values), median_rate_hz(reference["time"].values)))
    limit_s = _limit_s(lag, rate_hz, imu, reference)
    samples = lag.shift_s * rate_hz
    if abs(lag.shift_s) > limit_s:
        message = f"{told}: {samples:+.2f} samples, over {limit_s * rate_hz:.2f}; declare the offset or estimate it"
        mend = f"shift the reference by {lag.shift_s:+.4f} s"
        yield Finding("sync", "FAIL", where, message, lag.shift_s, "sync", mend)
    else:
        message = f"{told}: {samples:+.2f} samples; known within {limit_s * rate_hz:.2f}, less could not be told"
        yield Finding("sync", "PASS", where, message, lag.shift_s, within=limit_s)
    yield _drift(imu, reference, rate_hz)


def _limit_s(lag: Lag, rate_hz: float, imu: xr.Dataset, reference: xr.Dataset) -> float:
    """Return up to where a lag is not told from none: by the method, by how sources differ, and by what r leaves."""
    hidden_s = HIDDEN * float(np.sqrt(max(0.0, 1.0 - lag.r**2))) / max(_quickness(imu), 1e-6)
    if lag.method == "segment_speed":
        apart_s = SPREADS * lag.spread_s / float(np.sqrt(imu.sizes["sensor"]))
        return max(QUARTER / rate_hz, apart_s + hidden_s)
    joints = _joints(imu, reference)
    if joints < 2:
        return HALF / rate_hz + hidden_s
    return HALF / rate_hz + SPREADS * lag.spread_s / float(np.sqrt(joints))


def _quickness(imu: xr.Dataset) -> float:
    """Return how fast angular rates change, root mean square over that of the rates, rad/s: 2 pi times a frequency."""
    step_s = float(np.median(np.diff(imu["time"].values)))
    width = max(1, round(SMOOTH_S / step_s))
    found = []
    for sensor in range(imu.sizes["sensor"]):
        rates = np.asarray(imu["gyr"].values[:, sensor], dtype=np.float64)
        if len(rates) <= 2 * width:
            continue
        sums = np.cumsum(np.nan_to_num(rates), axis=0)
        smooth = (sums[width:] - sums[:-width]) / width
        changes = np.gradient(smooth, step_s, axis=0)
        size = float(np.mean((smooth - smooth.mean(axis=0)) ** 2))
        if size > 0:
            found.append(float(np.sqrt(np.mean(changes**2) / size)))
    return float(np.median(found)) if found else 0.0


def _joints(imu: xr.Dataset, reference: xr.Dataset) -> int:
    segments = {str(name) for name in imu["segment"].values}
    dofs = [DOFS[str(name)] for name in reference["dof"].values] if "dof" in reference.coords else []
    return sum(dof.component == 0 and {dof.proximal, dof.distal} <= segments for dof in dofs)


def _lag(imu: xr.Dataset, reference: xr.Dataset) -> Lag | None:
    if "gyr" not in imu:
        return None
    try:
        return estimate_lag(imu, reference, search_s=SEARCH_S)
    except DataError:  # told by the clock's own check
        return None


def _drift(imu: xr.Dataset, reference: xr.Dataset, rate_hz: float) -> Finding:
    """Compare the lags of the first and the last third: a wrong rate or lost samples move them apart."""
    where = "attrs.sync"
    start = max(float(imu["time"].values[0]), float(reference["time"].values[0]))
    stop = min(float(imu["time"].values[-1]), float(reference["time"].values[-1]))
    if stop - start < 3 * BLOCK_S:
        return Finding("drift", "NOT ASSESSED", where, f"shorter than {3 * BLOCK_S:g} s")
    third = (stop - start) / 3
    lags = []
    for low in (start, stop - third):
        piece = reference.isel(time=(reference["time"].values >= low) & (reference["time"].values < low + third))
        lag = _lag(imu, piece)
        if lag is None or not confident(lag):
            return Finding("drift", "NOT ASSESSED", where, "the lag of a third alone is not clear")
        lags.append(lag.shift_s)
    moved_s = lags[1] - lags[0]
    told = f"from the first to the last third the lag moves by {moved_s * rate_hz:+.2f} samples"
    if abs(moved_s) * rate_hz > DRIFT_SAMPLES:
        ppm = 1e6 * moved_s / (2 * third)
        mend = "place samples by counter or clock; check the rates"
        cause = "rate" if abs(ppm) > RATE_PPM else "packets:lost"
        return Finding("drift", "FAIL", where, f"{told}; lost samples, or rates that differ by {ppm:.0f} ppm", moved_s,
                       cause, mend)  # fmt: skip
    return Finding("drift", "PASS", where, told, moved_s)


# --- one sensor against the others -----------------------------------------------------------------------------------


def check_sensor_sync(recording: Recording) -> Iterator[Finding]:
    """Look for a sensor that is late or early against the others, by what the reference says of its segment or joints.

    Without a reference nothing tells it: segments of a body do not move at one moment.
    """
    imu, reference = recording.imu, recording.reference
    if imu is None or imu.sizes["sensor"] < 2:
        return
    check = "sync of sensors"
    if reference is None or "gyr" not in imu or not _forward(imu, reference):
        yield Finding(check, "NOT ASSESSED", "imu", "no reference, angular rate or clock to tell it by")
    elif "segment_quat" in reference:
        yield from _by_segments(check, *_liveliest(imu, reference))
    elif "angle" in reference:
        yield from _by_joints(check, *_liveliest(imu, reference))
    else:
        yield Finding(check, "NOT ASSESSED", "imu", "the reference says nothing of segments or joints")


def _liveliest(imu: xr.Dataset, reference: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Return both streams within the span in which sensors turn most, of those that both cover."""
    time, other = (np.asarray(stream["time"].values, dtype=np.float64) for stream in (imu, reference))
    start_s, stop_s = max(time[0], other[0]), min(time[-1], other[-1])
    if stop_s - start_s <= LOOK_S:
        return imu, reference
    speed = np.nan_to_num(np.linalg.norm(imu["gyr"].values, axis=2)).sum(axis=1)
    known = reference["valid"].values.reshape(other.size, -1) if "valid" in reference else np.ones((other.size, 1))
    heard = np.interp(time, other, known.mean(axis=1))
    starts = np.arange(start_s, stop_s - LOOK_S, LOOK_S / 2)
    turned = [float((speed * heard)[(time >= at) & (time < at + LOOK_S)].sum()) for at in starts]
    first = float(starts[int(np.argmax(turned))])
    return _span(imu, first), _span(reference, first)


def _span(stream: xr.Dataset, start_s: float) -> xr.Dataset:
    time = np.asarray(stream["time"].values, dtype=np.float64)
    return stream.isel(time=np.flatnonzero((time >= start_s) & (time < start_s + LOOK_S)))


def _forward(*streams: xr.Dataset) -> bool:
    return all(bool((np.diff(stream["time"].values) > 0).all()) for stream in streams)


def _late(check: str, name: str, late_s: float, told: str) -> Finding:
    mend = f"set this sensor's own clock offset to {-late_s:+.3f} s"
    message = f"{late_s:+.3f} s late against the other sensors, {told}"
    return Finding(check, "FAIL", f"imu[{name}]", f"{message}; {mend}", late_s, "clock:late", mend)


def _by_segments(check: str, imu: xr.Dataset, reference: xr.Dataset) -> Iterator[Finding]:
    """Compare each sensor's own lag to its segment with the median of all."""
    rate_hz = median_rate_hz(imu["time"].values)
    quick = max(_quickness(imu), 1e-6)
    lags: dict[str, Lag] = {}
    names = [str(name) for name in imu["sensor"].values]
    for at, name in enumerate(names):
        lag = _lag(imu.isel(sensor=[at]), reference)
        if lag is not None and confident(lag):
            lags[name] = lag
    for name in names:
        where = f"imu[{name}]"
        if name not in lags or len(lags) < 3:
            yield Finding(check, "NOT ASSESSED", where, "its lag, or that of the others, is not clear")
            continue
        late_s = lags[name].shift_s - float(np.median([lag.shift_s for lag in lags.values()]))
        hidden_s = HIDDEN * float(np.sqrt(max(0.0, 1.0 - lags[name].r ** 2))) / quick
        limit_s = APART_SAMPLES / rate_hz + SPREADS * hidden_s
        if abs(late_s) > limit_s:
            yield _late(check, name, late_s, f"by its segment (up to {limit_s:.3f} s could be chance)")
        else:
            yield Finding(check, "PASS", where, f"within {limit_s:.3f} s of the others", late_s, within=limit_s)


def _by_joints(check: str, imu: xr.Dataset, reference: xr.Dataset) -> Iterator[Finding]:
    """Move each sensor in time, and look whether the rates of its joints are explained better."""
    joints = _Joints(imu, reference)
    near, far = joints.steps(NEAR_S), joints.steps(FAR_S)
    for at, name in enumerate(str(name) for name in imu["sensor"].values):
        asis = joints.left(at, 0)
        where = f"imu[{name}]"
        if asis is None:
            yield Finding(check, "NOT ASSESSED", where, "no joint beside it, or too little motion or overlap")
            continue
        left = {step: joints.left(at, step) for step in near}
        in_time = asis < 1 - EXPLAINED_R**2 and all(one is None or asis < CLEARER * one for one in left.values())
        if not in_time:
            left |= {step: joints.left(at, step) for step in far}
        known = {step: one for step, one in left.items() if one is not None}
        best = min(known, key=lambda step: known[step], default=0)
        if in_time:
            message = f"{asis:.1%} of its joints' rates is unexplained, and twice as much {NEAR_S[1]:g} s off"
            yield Finding(check, "PASS", where, message, 0.0, within=NEAR_S[1] / 2)
        elif best and known[best] < CLEARER * asis and known[best] < 1 - EXPLAINED_R**2:
            told = f"where {known[best]:.1%} of its joints' rates is left unexplained and not {asis:.1%}"
            yield _late(check, name, -joints.finer_s(at, best), told)
        else:
            least = min(known.values(), default=asis)
            message = f"{asis:.1%} of its joints' rates is unexplained, moved in time {least:.1%}: too near"
            yield Finding(check, "NOT ASSESSED", where, message)


class _Joints:
    """The rates of flexions and the gyros beside them on one grid, so that a sensor can be moved by whole samples."""

    def __init__(self, imu: xr.Dataset, reference: xr.Dataset) -> None:
        segments = [str(name) for name in imu["segment"].values]
        sensors = list(sensors_of(imu))
        time = np.asarray(reference["time"].values, dtype=np.float64)
        clocks = [sensor.time + sensor.clock_offset_s for sensor in sensors]
        rates = [median_rate_hz(time), *(sensor.rate_hz for sensor in sensors)]
        self.rate_hz = min(GRID_LIMIT_HZ, max(rates))
        cutoff_hz = min(CUTOFF_HZ, 0.4 * min(rates))
        first_s, last_s = max(time[0], *(at[0] for at in clocks)), min(time[-1], *(at[-1] for at in clocks))
        grid = np.arange(first_s, last_s, 1.0 / self.rate_hz)
        self._gyros = {
            at: low_passed(clock, sensor.gyr, grid, self.rate_hz, cutoff_hz)
            for at, (sensor, clock) in enumerate(zip(sensors, clocks, strict=True))
            if sensor.gyr is not None and segments.index(sensor.segment) == at
        }  # fmt: skip
        self._rates: list[tuple[int, int, FloatArray, BoolArray]] = []
        for column, dof in enumerate(DOFS[str(name)] for name in reference["dof"].values):
            near, far = (segments.index(name) if name in segments else -1 for name in (dof.proximal, dof.distal))
            if dof.component or near not in self._gyros or far not in self._gyros:
                continue
            angle = np.radians(known_angle(reference, column))[:, None]
            flexion, seen = low_passed(time, angle, grid, self.rate_hz, cutoff_hz)
            rate = np.gradient(flexion[:, 0], 1.0 / self.rate_hz) if grid.size > 1 else flexion[:, 0]
            self._rates.append((near, far, np.asarray(rate, dtype=np.float64), seen))

    def steps(self, moves_s: Iterable[float]) -> list[int]:
        """Return moves in samples of the grid."""
        return [round(move_s * self.rate_hz) for move_s in moves_s]

    def left(self, sensor: int, later: int) -> float | None:
        """Return the mean share of its joints' rates that is unexplained with one sensor so many samples later."""
        ends = [joint for joint in self._rates if sensor in joint[:2]]
        shares = [one for joint in ends if (one := self._unexplained(joint, sensor, later)) is not None]
        return float(np.mean(shares)) if shares else None

    def _unexplained(self, joint: tuple[int, int, FloatArray, BoolArray], sensor: int, later: int) -> float | None:
        near, far, rate, seen = joint
        other = self._gyros[far if sensor == near else near]
        moved, fixed = slices(later)[::-1]
        own = self._gyros[sensor]
        known = seen[fixed] & other[1][fixed] & own[1][moved]
        if known.sum() < LEAST_S * self.rate_hz:
            return None
        target, given = rate[fixed][known], np.hstack([other[0][fixed][known], own[0][moved][known]])
        if min(_rms(target), _rms(given)) < STILL_RAD_S:
            return None
        target, given = target - target.mean(), given - given.mean(axis=0)
        gram, shared = given.T @ given, given.T @ target
        gram += (1e-9 * np.trace(gram) + 1e-12) * np.eye(len(gram))
        return float(np.clip(1.0 - shared @ np.linalg.solve(gram, shared) / (target @ target), 0.0, 1.0))

    def finer_s(self, sensor: int, about: int) -> float:
        """Return the move in seconds that leaves least unexplained, by a parabola through three about a step."""
        width = max(1, round(NEAR_S[1] / 2 * self.rate_hz))
        three = [self.left(sensor, about + step) for step in (-width, 0, width)]
        before, here, after = (np.inf if one is None else one for one in three)
        bend = before - 2 * here + after
        part = float(np.clip(0.5 * (before - after) / bend, -1.0, 1.0)) if 0 < bend < np.inf else 0.0
        return (about + part * width) / self.rate_hz


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
