"""Samples that are lost without a trace, doubled, or written as zeros: what a file's own clock does not say.

A clock that is counted by rows knows nothing of a packet that never came. The signals do: a sensor that turns cannot
jump, and two readings of a moving sensor are never the same in every digit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr
from scipy.spatial.transform import Rotation

from kinbench.inspection.findings import BoolArray, Finding, FloatArray, Sensor, norm

MOVING_RAD_S = 0.3
LEAST_S = 4.0
JUMP_RAD = 0.02
JUMP_OVER = 12.0
"""A jump is a turn between two samples that the gyro did not feel: over 0.02 rad, and 12 times what is usual."""
STEP_OVER = 9.0
"""Without orientation: a step of all signals, so many times what the samples about it would have it."""
STEP_SENSORS = 0.6
LEAST_JUMPS = 3
LEAST_DOUBLED = 3
DOUBLED_SHARE = 1e-4
LEAST_SAMPLES = 50
ZERO_ROWS = 3
ZERO_STEP = 0.05
"""Of the signal's root mean square: zeros that a sensor at rest reads are entered by less."""
ZERO_ANGLE_DEG = 4.0


def check_packets(sensors: Sequence[Sensor]) -> Iterator[Finding]:
    """Look for lost, doubled and zeroed samples, of every sensor and of all together."""
    for sensor in sensors:
        yield _doubled(sensor)
        yield from _zeros(sensor)
        yield _jumps(sensor)
    if sensors:
        yield _steps(sensors)


def _told(values: FloatArray) -> BoolArray:
    return np.asarray(np.isfinite(values).all(axis=1), dtype=bool)


def _doubled(sensor: Sensor) -> Finding:
    """Rows equal to the one before in every digit of every signal, while those about them move."""
    check, where = "doubled samples", f"imu[{sensor.name}]"
    signals = [values for values in (sensor.acc, sensor.gyr, sensor.quat) if values is not None]
    if not signals or len(sensor.time) < LEAST_S * sensor.rate_hz:
        return Finding(check, "NOT ASSESSED", where, "too short, or no signal")
    rows = np.concatenate(signals, axis=1)
    same = (np.diff(rows, axis=0) == 0).all(axis=1)
    alone = same.copy()
    alone[1:] &= ~same[:-1]
    alone[:-1] &= ~same[1:]  # runs are stuck values
    if sensor.gyr is not None:
        alone &= norm(np.nan_to_num(sensor.gyr[1:])) > MOVING_RAD_S
    elif sensor.acc is not None:
        alone &= norm(np.nan_to_num(np.gradient(sensor.acc, axis=0)[1:])) > 0.05
    count = int(alone.sum())
    if count >= max(LEAST_DOUBLED, DOUBLED_SHARE * len(rows)):
        first = float(sensor.time[np.flatnonzero(alone)[0] + 1])
        message = f"{count} samples repeat the one before while it moves, the first at {first:.2f} s"
        mend = "drop doubled packets by their counter, or take time from the file's clock"
        return Finding(check, "FAIL", where, f"{message}; {mend}", float(count), "packets:doubled", mend)
    return Finding(check, "PASS", where, "no sample repeats the one before", float(count))


def _zeros(sensor: Sensor) -> Iterator[Finding]:
    """Runs of exact zeros that the signal enters by a jump."""
    for name, values in (("acc", sensor.acc), ("gyr", sensor.gyr)):
        if values is None:
            continue
        check, where = "zeros for missing", f"imu.{name}[{sensor.name}]"
        if len(values) < LEAST_SAMPLES:
            yield Finding(check, "NOT ASSESSED", where, f"only {len(values)} samples")
            continue
        found = _zero_runs(values, ZERO_STEP * float(np.sqrt(np.nanmean(norm(values) ** 2))))
        if found:
            mend = "mask them"
            message = f"{found} samples of exact zeros between values; missing data must be masked"
            yield Finding(check, "FAIL", where, message, float(found), "missing:zeros", mend)
        else:
            yield Finding(check, "PASS", where, "no zeros among values", 0.0)


def _zero_runs(values: FloatArray, step: float) -> int:
    """Return how many samples lie in runs of exact zeros that begin or end with a step, (n, k) values."""
    zero = (values == 0).all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], zero, [False]]).astype(np.int8)))
    total = 0
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        beside = [values[at] for at in (start - 1, stop) if 0 <= at < len(values)]
        known = [float(norm(value)) for value in beside if np.isfinite(value).all()]
        if stop - start >= ZERO_ROWS and known and max(known) > step:
            total += int(stop - start)
    return total


def check_zero_angles(reference: xr.Dataset) -> Iterator[Finding]:
    """Look for runs of exact zeros in the reference's angles that begin or end with a jump."""
    if "angle" not in reference:
        return
    for column, name in enumerate(str(dof) for dof in reference["dof"].values):
        values = np.asarray(reference["angle"].values[:, column], dtype=np.float64)[:, None]
        found = _zero_runs(values, ZERO_ANGLE_DEG)
        where = f"reference.angle[{name}]"
        if len(values) < LEAST_SAMPLES:
            yield Finding("zeros for missing", "NOT ASSESSED", where, f"only {len(values)} samples")
        elif found:
            message = f"{found} samples of exact zeros between angles; missing data must be masked"
            yield Finding("zeros for missing", "FAIL", where, message, float(found), "missing:zeros", "mask them")
        else:
            yield Finding("zeros for missing", "PASS", where, "no zeros among angles", 0.0)


def _jumps(sensor: Sensor) -> Finding:
    """Turns between two samples by the sensor's own orientation that its gyro did not feel."""
    check, where = "lost samples", f"imu[{sensor.name}]"
    if sensor.gyr is None or sensor.quat is None:
        return Finding(check, "NOT ASSESSED", where, "without angular rate and orientation nothing tells a jump")
    known = _told(sensor.quat) & _told(sensor.gyr) & (norm(np.nan_to_num(sensor.quat)) > 0.5)
    both = known[1:] & known[:-1]
    if (both & (norm(np.nan_to_num(sensor.gyr[1:])) > MOVING_RAD_S)).sum() < LEAST_S * sensor.rate_hz:
        return Finding(check, "NOT ASSESSED", where, "too little motion")
    turn = Rotation.from_quat(np.where(known[:, None], sensor.quat, (1.0, 0.0, 0.0, 0.0)), scalar_first=True)
    felt = (sensor.gyr[1:] + sensor.gyr[:-1]) / 2 * np.diff(sensor.time)[:, None]
    left = np.where(both, norm(np.nan_to_num((turn[:-1].inv() * turn[1:]).as_rotvec() - felt)), 0.0)
    usual = float(np.median(left[both])) + 1e-6
    if np.percentile(left[both], 90) > 0.6 * JUMP_RAD:
        return Finding(check, "NOT ASSESSED", where, "angular rate and orientation disagree throughout, see the axes")
    around = np.array([left[:-2], left[2:]]).max(axis=0) if len(left) > 2 else np.zeros(0)
    jump = np.zeros(len(left), dtype=bool)
    bent = 1.5 * norm(np.nan_to_num(np.diff(sensor.gyr, axis=0))) * np.diff(sensor.time)  # what the trapezoid misses
    jump[1:-1] = (left[1:-1] > max(JUMP_RAD, JUMP_OVER * usual) + bent[1:-1]) & (left[1:-1] > 3 * around)
    count = int(jump.sum())
    if count >= LEAST_JUMPS:
        return _lost(where, sensor, jump, f"{count} turns between two samples that the gyro did not feel")
    return Finding(check, "PASS", where, "between any two samples it turns as the gyro felt", float(count))


def _steps(sensors: Sequence[Sensor]) -> Finding:
    """Steps of all sensors' signals at one moment: packets that nobody received, in a file that closes up."""
    check, where = "lost samples", "imu"
    steps = [found for sensor in sensors if (found := _stepping(sensor)) is not None]
    if not steps or len({len(one) for one in steps}) > 1:
        return Finding(check, "NOT ASSESSED", where, "too short, or no angular rate")
    together = np.sort(np.array(steps), axis=0)[::-1]
    # The sensor that steps least among the best 60 %: a strike shakes one leg, a lost packet all.
    shared = together[max(0, int(np.ceil(STEP_SENSORS * len(steps))) - 1)]
    clear = shared > STEP_OVER
    count = int(clear.sum())
    if len(steps) > 1 and count >= LEAST_JUMPS:
        return _lost(where, sensors[0], clear, f"{count} moments at which the signals of most sensors step")
    return Finding(check, "NOT ASSESSED", where, f"{count} moments at which most sensors step; few losses stay unseen",
                   float(count))  # fmt: skip


def _stepping(sensor: Sensor) -> FloatArray | None:
    """Return, per pair of samples, how far angular rate steps beyond what its neighbours lead to, in usual ones."""
    if sensor.gyr is None or len(sensor.gyr) < LEAST_S * sensor.rate_hz:
        return None
    gyr = sensor.gyr
    # Each half foretells the middle of the gap by a line through its last two samples.
    before = 1.5 * gyr[1:-2] - 0.5 * gyr[:-3]
    after = 1.5 * gyr[2:-1] - 0.5 * gyr[3:]
    off = np.nan_to_num(norm(after - before))
    window = max(5, round(0.25 * sensor.rate_hz)) | 1
    padded = np.pad(off, window // 2, mode="edge")
    around = np.percentile(np.lib.stride_tricks.sliding_window_view(padded, window), 80, axis=1)
    floor = float(np.percentile(off, 50)) + 1e-6
    found: FloatArray = np.concatenate([[0.0], off / np.maximum(around, floor), [0.0]])
    return found


def _lost(where: str, sensor: Sensor, at: BoolArray, told: str) -> Finding:
    first = float(sensor.time[min(int(np.flatnonzero(at)[0]) + 1, len(sensor.time) - 1)])
    mend = "place samples by the packet counter or the file's clock, and mask what is lost"
    message = f"{told}, the first at {first:.2f} s; {mend}"
    return Finding("lost samples", "FAIL", where, message, float(at.sum()), "packets:lost", mend)
