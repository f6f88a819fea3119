"""Samples that are lost without a trace, doubled, or written as zeros: what a file's own clock does not say.

A clock that is counted by rows knows nothing of a packet that never came. The signals do: a sensor that turns cannot
jump, and two readings of a moving sensor are never the same in every digit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr
from scipy.spatial.transform import Rotation

from kinbench.inspection.findings import BoolArray, Finding, FloatArray, Sensor, norm, runs_of

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
ZERO_BEND = 6.0
"""Times the 99th percentile of the bends elsewhere: what moves cannot come to zero and stand there at once."""
ZERO_FINEST = 50.0
ZERO_COARSE = 10.0
"""Times the finest digit: angles written so finely do not meet zero in every digit three times running, and of coarse
ones four degrees may be a step between two digits."""
END_S = 1.0
END_SHARE = 0.05
"""More than both missing at an end of one sensor or angle, where others go on, is a file cut short."""
WHOLE_SHARE = 0.98


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
    resting = int(alone.sum())
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
    if resting >= LEAST_DOUBLED:
        message = f"{resting} samples repeat the one before, but at rest, where they may be alike"
        return Finding(check, "NOT ASSESSED", where, message, float(resting))
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
        step = ZERO_STEP * float(np.sqrt(np.nanmean(norm(values) ** 2)))
        yield _zero(where, values, norm(values) > step, "values")


def _zero(where: str, values: FloatArray, beside: BoolArray, what: str) -> Finding:
    """Judge runs of exact zeros in (n, k) values; ``beside`` (n,) says where a zero beside a value is no continuation.

    Runs that the signal may have reached by itself, as at rest, are neither passed nor failed.
    """
    check = "zeros for missing"
    told = [(start, stop) for start, stop in runs_of((values == 0).all(axis=1)) if stop - start >= ZERO_ROWS]
    if not told:
        return Finding(check, "PASS", where, f"no zeros among {what}", 0.0)
    wrong = [
        (start, stop) for start, stop in told
        if any(beside[at] for at in (start - 1, stop) if 0 <= at < len(values) and np.isfinite(values[at]).all())
    ]  # fmt: skip
    found = sum(stop - start for start, stop in wrong)
    if found:
        message = f"{found} samples of exact zeros between {what}; missing data must be masked"
        return Finding(check, "FAIL", where, message, float(found), "missing:zeros", "mask them")
    return Finding(check, "NOT ASSESSED", where, f"{len(told)} runs of exact zeros, which rest may have been")


def check_zero_angles(reference: xr.Dataset) -> Iterator[Finding]:
    """Look for runs of exact zeros in the reference's angles that no joint's motion leads into or out of."""
    if "angle" not in reference:
        return
    for column, name in enumerate(str(dof) for dof in reference["dof"].values):
        values = np.asarray(reference["angle"].values[:, column], dtype=np.float64)
        where = f"reference.angle[{name}]"
        if len(values) < LEAST_SAMPLES:
            yield Finding("zeros for missing", "NOT ASSESSED", where, f"only {len(values)} samples")
        else:
            yield _zero(where, values[:, None], _off_zero(values), "angles")


def _off_zero(angle: FloatArray) -> BoolArray:
    """Return where an angle (n,) in degrees is too far from zero, or moves too fast, to stand at zero one sample on.

    Far is 4 degrees, or 50 times a finer digit, or 10 times a coarser one; moving, that a line through the last two
    samples misses zero by far more than the angle bends anywhere else.
    """
    known = np.unique(angle[np.isfinite(angle) & (angle != 0)])
    finest = float(np.percentile(np.diff(known), 1.0)) if known.size > 1 else np.inf
    far: BoolArray = np.abs(angle) > min(max(ZERO_ANGLE_DEG, ZERO_COARSE * finest), ZERO_FINEST * finest)
    bend = np.abs(np.diff(angle, n=2))
    bend = bend[np.isfinite(bend) & (bend > 0)]
    if bend.size:
        limit = max(ZERO_BEND * float(np.percentile(bend, 99)), ZERO_FINEST * finest)
        before = np.concatenate([[np.nan], np.diff(angle)])
        after = np.concatenate([-np.diff(angle), [np.nan]])
        far |= (np.abs(angle + before) > limit) & (np.abs(angle + after) > limit)
    return far


def check_ends(imu: xr.Dataset | None, reference: xr.Dataset | None) -> Iterator[Finding]:
    """Look for sensors and angles that are missing at an end at which others go on, as of a file cut short."""
    check = "missing at the ends"
    for stream, data, dim, signals in (("imu", imu, "sensor", ("acc", "gyr", "quat")),
                                       ("reference", reference, "dof", ("angle",))):  # fmt: skip
        if data is None or dim not in data.sizes or not any(name in data for name in signals):
            continue
        there = _there(data, dim, [name for name in signals if name in data])
        step_s = float(np.median(np.diff(data["time"].values))) if data.sizes["time"] > 1 else 0.0
        yield from _ends(stream, [str(label) for label in data[dim].values], there, step_s, _measured(data, dim))
    if imu is not None and reference is not None and imu.sizes["time"] > 1 and reference.sizes["time"] > 1:
        yield _overlap(check, imu, reference)


def _there(data: xr.Dataset, dim: str, signals: Sequence[str]) -> BoolArray:
    """Return (n, sensors or DoFs): whether any signal is there, and not masked."""
    there = np.zeros((data.sizes["time"], data.sizes[dim]), dtype=bool)
    for name in signals:
        known = np.isfinite(data[name].values)
        there |= known if known.ndim == 2 else known.all(axis=2)
    if "valid" in data:
        mask = np.asarray(data["valid"].values, dtype=bool)
        there &= mask if mask.ndim == 2 else mask[:, None]
    return there


def _measured(data: xr.Dataset, dim: str) -> list[bool]:
    """Return which columns are a device's own: what cameras see begins and ends where markers come into sight."""
    if "origin" not in data.coords:
        return [False] * data.sizes[dim]
    return [str(origin) != "synthetic" for origin in data["origin"].values]


def _ends(
    stream: str, names: Sequence[str], there: BoolArray, step_s: float, measured: Sequence[bool]
) -> Iterator[Finding]:
    """Yield a finding for each column of (n, names) that ends early or starts late; where none does, one pass."""
    check = "missing at the ends"
    together = np.flatnonzero(there.any(axis=1))
    uneven, most_s = False, 0.0
    for column, name in enumerate(names):
        own = np.flatnonzero(there[:, column])
        if not own.size:
            continue  # nothing at all was declared missing, or is the schema's business
        lost = {"first": int(own[0] - together[0]), "last": int(together[-1] - own[-1])}
        end = max(lost, key=lambda name: lost[name])
        missing_s, share = lost[end] * step_s, lost[end] / max(1, together[-1] - together[0])
        most_s = max(most_s, missing_s)
        if missing_s > END_S and share > END_SHARE:
            uneven = True
            message = f"nothing in the {end} {missing_s:.1f} s, {share:.0%} of what the others cover"
            yield _end(f"{stream}[{name}]", message, missing_s, device=measured[column])
    if not together.size or (together[-1] - together[0]) * step_s < LEAST_S:
        yield Finding(check, "NOT ASSESSED", stream, f"shorter than {LEAST_S:g} s")
    elif not uneven:
        yield Finding(check, "PASS", stream, f"all end and start within {most_s:.2f} s of each other", most_s)


def _end(where: str, message: str, missing_s: float, *, device: bool) -> Finding:
    check = "missing at the ends"
    if not device:
        return Finding(check, "NOT ASSESSED", where, f"{message}; markers out of sight, or a file cut short", missing_s)
    mend = "fetch the whole file, or cut the recording to what all cover"
    return Finding(check, "FAIL", where, f"{message}; {mend}", missing_s, "missing:ends", mend)


def _overlap(check: str, imu: xr.Dataset, reference: xr.Dataset) -> Finding:
    """Tell how much of the sensors' time the reference covers: less may be meant, or its file be cut short."""
    first, last = (float(imu["time"].values[at]) for at in (0, -1))
    start, stop = (float(reference["time"].values[at]) for at in (0, -1))
    share = max(0.0, min(last, stop) - max(first, start)) / max(last - first, 1e-9)
    told = f"the reference covers {share:.0%} of the sensors' time"
    if share >= WHOLE_SHARE and last - first >= LEAST_S:
        return Finding(check, "PASS", "reference", told, share)
    return Finding(check, "NOT ASSESSED", "reference", f"{told}; it may be meant so, or its file be cut short", share)


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
