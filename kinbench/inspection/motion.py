"""Physics between a sensor's signals: gravity at rest, angular rate against orientation, orientation against gravity.

Nothing here needs a second dataset. A device cannot be wrong about gravity, nor can its gyroscope and its
orientation disagree, except by unit, axes, order or direction: so a check names the one that would explain it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.spatial.transform import Rotation

from kinbench.inspection.findings import Finding, FloatArray, Sensor, Verdict, median_rate_hz, norm
from kinbench.inspection.inertia import IDENTITY, Axes, carried_length, cause_of, signed_axes, spelt
from kinbench.schema import GRAVITY

GRAVITY_TOLERANCE = 0.3
"""m s-2 around 9.81 at rest (schema 1, Validation); accelerometers in use are biased by up to 0.2."""
REST_S = 0.5
REST_WINDOWS = 2
REST_SHARE = 0.02
"""At rest: half a second in which acceleration varies by less than 2 % of its overall RMS, whatever the unit."""
GROSS = (2.0, 50.0)
"""m s-2: a median |acc| outside is no body's, rest or not, unless gravity is gone."""
FREE_LIMIT = 1.0
"""m s-2 left at rest after gravity was removed with a fused orientation that is a few degrees off."""
UP_LIMIT_DEG = 15.0
"""Mean R acc points up within a degree on good devices, for mean acceleration over seconds is gravity."""
RATE_RATIO = (0.8, 1.25)
"""|gyr| over the rate of the orientation: 0.999 to 1.002 on good devices, 25 % off where an optical one is noisy."""
FUSED_RATIO = (0.9, 1.1)
"""A device's own orientation is made of its gyro: the median ratio is 1 to the clock's accuracy, and in
impacts, which a filter smooths, within some hundredths."""
STRIDES_TOLERANCE = 1.0
"""m s-2 around 9.81 over some strides without rest: what changes of speed and a biased accelerometer leave."""
DEG = float(np.degrees(1.0))
FAST_RAD_S = 40.0
"""No body segment turns at 40 rad/s for 1 % of the time: such a figure is in deg/s."""
SLOW_RAD_S = 0.25
_MOVING_RAD_S = 0.3
_LEAST_S = 2.0
_DECLARED = "sensor_to_world"


# --- gravity ---------------------------------------------------------------------------------------------------------


def check_gravity(sensor: Sensor) -> Iterator[Finding]:
    """Compare the median |acc| of still periods with gravity, and name the unit that would explain it."""
    if sensor.acc is None:
        return
    where = f"imu.acc[{sensor.name}]"
    rest = resting(sensor.acc, sensor.rate_hz)
    if len(rest) < REST_WINDOWS:
        yield _without_rest(sensor, where, len(rest) * REST_S)
        return
    value = float(np.median(rest))
    judge = _gravity_removed if sensor.acc_kind == "gravity_removed" else _specific_force
    yield _gravity(where, f"{value:.4g} m/s2 at rest", value, *judge(value))


def _gravity(where: str, told: str, value: float, verdict: Verdict, cause: str, mend: str) -> Finding:
    message = f"{told}; {mend}" if mend else told
    return Finding("gravity", verdict, where, message, value, cause, mend)


def resting(acc: FloatArray, rate_hz: float) -> FloatArray:
    """Return the mean |acc| of every still window of half a second."""
    lengths: FloatArray = norm(still_windows(acc, rate_hz)).mean(axis=1)
    return lengths


def still_windows(acc: FloatArray, rate_hz: float) -> FloatArray:
    """Return every still window of half a second, (windows, n, 3). Exactly constant ones are stuck, not still."""
    length = max(3, round(REST_S * rate_hz))
    count = len(acc) // length
    windows = acc[: count * length].reshape(count, length, 3)
    spread = norm(windows.std(axis=1))
    scale = np.sqrt(np.nanmean(norm(acc) ** 2)) if np.isfinite(acc).any() else np.nan
    still = (spread < REST_SHARE * scale) & (spread > 0)  # False where NaN
    found: FloatArray = windows[still]
    return found


def _without_rest(sensor: Sensor, where: str, rest_s: float) -> Finding:
    """Judge mean specific force in a frame that stands still, by gyro or orientation: that too is gravity."""
    told = f"only {rest_s:g} s at rest"
    value = carried_length(sensor)
    if value is None:
        value = _turned_length(sensor)
    if value is None or sensor.acc_kind not in ("specific_force", "gravity_removed"):
        return _gross(sensor, where, told)
    told = f"{told}, but over strides {value:.4g} m/s2 in a frame that stands still"
    if sensor.acc_kind == "gravity_removed":
        kept = abs(value - GRAVITY) < STRIDES_TOLERANCE
        verdict, cause, mend = _gravity_removed(value) if kept else ("NOT ASSESSED", "", "it may be a bias")
    elif abs(value - GRAVITY) <= STRIDES_TOLERANCE:
        verdict, cause, mend = "PASS", "", ""
    elif not 0.5 < value / GRAVITY < 2:
        verdict, cause, mend = _specific_force(value)
    else:
        verdict, cause, mend = "NOT ASSESSED", "", "off gravity, which axes, rate or bias may explain as well"
    return _gravity(where, told, value, verdict, cause, mend if verdict != "PASS" else "")


def _turned_length(sensor: Sensor) -> float | None:
    """Return the length of mean specific force turned into the world by the sensor's own orientation, m s-2."""
    if sensor.acc is None or sensor.quat is None:
        return None
    known = np.isfinite(sensor.quat).all(axis=1) & np.isfinite(sensor.acc).all(axis=1)
    known &= norm(np.nan_to_num(sensor.quat)) > 0.5
    if known.sum() < 2 * _LEAST_S * sensor.rate_hz:
        return None
    turned = Rotation.from_quat(sensor.quat[known], scalar_first=True).apply(sensor.acc[known])
    return float(norm(turned.mean(axis=0)))


def _gross(sensor: Sensor, where: str, told: str) -> Finding:
    """Judge gross mistakes only: whatever a body does, half of the time |acc| is within a few times gravity."""
    assert sensor.acc is not None  # the caller looked
    lengths = norm(sensor.acc[np.isfinite(sensor.acc).all(axis=1)])
    if sensor.acc_kind != "specific_force" or len(lengths) < _LEAST_S * sensor.rate_hz or not len(lengths):
        return Finding("gravity", "NOT ASSESSED", where, told)
    value = float(np.median(lengths))
    if value > GROSS[1]:
        likely, cause = ("in mg", "unit:acc:mg") if value > 50 * GRAVITY else ("like g x 9.81 twice", "unit:acc:twice")
        message = f"{told}, but the median is {value:.4g} m/s2; it looks {likely}, declare the unit"
        return Finding("gravity", "FAIL", where, message, value, cause, "declare the unit")
    if value < GROSS[0]:
        message = f"{told}, but the median is {value:.2f} m/s2; it looks like g, or gravity was removed: declare which"
        cause = "unit:acc:g" if value > 0.5 else "gravity:removed"
        return Finding("gravity", "FAIL", where, message, value, cause, "declare the unit, or kind gravity_removed")
    return Finding("gravity", "NOT ASSESSED", where, f"{told}; the median of {value:.1f} m/s2 is plausible", value)


_Judged = tuple[Verdict, str, str]
_UNITS = (
    (1 / GRAVITY, "unit:acc:g", "it looks in g"),
    (1000 / GRAVITY, "unit:acc:mg", "it looks in mg"),
    (GRAVITY, "unit:acc:twice", "it looks multiplied by 9.81 twice"),
)


def _specific_force(value: float) -> _Judged:
    if abs(value - GRAVITY) <= GRAVITY_TOLERANCE:
        return "PASS", "", ""
    for factor, cause, looks in _UNITS:
        if abs(value / (GRAVITY * factor) - 1) < 0.1:
            return "FAIL", cause, f"{looks}, expected 9.81 m/s2: declare the unit"
    if value < FREE_LIMIT:
        return "FAIL", "gravity:removed", "expected 9.81; gravity looks removed, declare kind gravity_removed"
    return "FAIL", "scale:acc", f"expected 9.81; scale or bias is off by a factor {value / GRAVITY:.3f}"


def _gravity_removed(value: float) -> _Judged:
    if value < FREE_LIMIT:
        # The same figure in g would be invisible: gravity is the only yardstick, and it was taken away.
        return "PASS", "", ""
    if abs(value - GRAVITY) < 1.0:
        return "FAIL", "gravity:kept", "expected 0; gravity is still there, declare kind specific_force"
    return "FAIL", "scale:acc", "expected 0; neither gravity nor rest, check unit and kind"


# --- angular rate ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rates:
    """Angular rate by the gyroscope and by an orientation, (n, 3) rad/s each, on the same moments and axes."""

    gyr: FloatArray
    by_orientation: FloatArray


def rates_of(sensor: Sensor) -> Rates | None:
    """Return the sensor's rate by gyroscope and by its own orientation; None unless it moves for two seconds."""
    if sensor.gyr is None or sensor.quat is None:
        return None
    turned = body_rate(sensor.time, sensor.quat)
    return _moving(Rates((sensor.gyr[1:] + sensor.gyr[:-1]) / 2, turned), sensor.rate_hz)


def segment_rates_of(
    sensor: Sensor, reference: xr.Dataset | None, *, order: tuple[int, ...] = (0, 1, 2, 3), sign: int = 1
) -> Rates | None:
    """Return the rate by gyroscope, in segment axes, and by the reference's orientation of that segment.

    ``order`` and ``sign`` are another way to read the reference's quaternions.
    """
    if reference is None or "segment_quat" not in reference or sensor.gyr is None:
        return None
    names = [str(name) for name in reference["segment"].values]
    if sensor.segment not in names or not np.isfinite(sensor.rotation).all():
        return None
    time = np.asarray(reference["time"].values, dtype=np.float64)
    quat = np.asarray(reference["segment_quat"].values[:, names.index(sensor.segment)], dtype=np.float64)
    turned = body_rate(time, quat[:, order] * (1, sign, sign, sign))
    gyr = sensor.gyr @ sensor.rotation.T
    middle = (time[1:] + time[:-1]) / 2
    resampled = np.stack(
        [np.interp(middle, sensor.time, gyr[:, axis], left=np.nan, right=np.nan) for axis in range(3)], axis=1
    )
    return _moving(Rates(_smooth(resampled), _smooth(turned)), median_rate_hz(time))


def _moving(rates: Rates, rate_hz: float) -> Rates | None:
    known = np.isfinite(rates.gyr).all(axis=1) & np.isfinite(rates.by_orientation).all(axis=1)
    known &= norm(np.nan_to_num(rates.by_orientation)) > _MOVING_RAD_S
    if known.sum() < _LEAST_S * rate_hz:
        return None
    return Rates(rates.gyr[known], rates.by_orientation[known])


def body_rate(time: FloatArray, quat: FloatArray) -> FloatArray:
    """Return (n - 1, 3) rad/s in the turning frame between successive orientations (frame to world)."""
    known = np.isfinite(quat).all(axis=1) & (norm(np.nan_to_num(quat)) > 0.5)
    turn = Rotation.from_quat(np.where(known[:, None], quat, (1.0, 0.0, 0.0, 0.0)), scalar_first=True)
    steps = np.diff(time)
    rate: FloatArray = (turn[:-1].inv() * turn[1:]).as_rotvec() / np.where(steps > 0, steps, np.nan)[:, None]
    rate[~(known[1:] & known[:-1])] = np.nan
    return rate


def _smooth(values: FloatArray, half: int = 3) -> FloatArray:
    """Return a running mean: optical orientations are noisy when differentiated."""
    kernel = np.ones(2 * half + 1) / (2 * half + 1)
    return np.stack([np.convolve(values[:, axis], kernel, mode="same") for axis in range(values.shape[1])], axis=1)


def check_gyro_unit(sensors: Sequence[Sensor], reference: xr.Dataset | None) -> Iterator[Finding]:
    """Tell rad/s and deg/s apart: by orientation, per sensor; where there is none, by what bodies do, all together."""
    alone = []
    for sensor in sensors:
        if sensor.gyr is None:
            continue
        rates = rates_of(sensor) or segment_rates_of(sensor, reference)
        if rates is None:
            alone.append(sensor)
            continue
        speed = norm(rates.by_orientation)
        ratio = float(np.median(norm(rates.gyr) / speed)) if sensor.quat is not None else float(
            (norm(rates.gyr) * speed).sum() / (speed**2).sum()
        )  # fmt: skip
        yield _rate_ratio(f"imu.gyr[{sensor.name}]", ratio, fused=sensor.quat is not None)
    if alone:
        yield _plausible_rate(alone)


def _rate_ratio(where: str, ratio: float, *, fused: bool) -> Finding:
    """Judge the slope of angular rate over that of an orientation, the device's own (``fused``) or the reference's."""
    told = f"the gyro is {ratio:.3g} times the rate of the orientation"
    low, high = FUSED_RATIO if fused else RATE_RATIO
    check = "gyro unit"
    if low <= ratio <= high:
        return Finding(check, "PASS", where, told, ratio)
    if 0.7 < ratio / DEG < 1.4:
        return Finding(check, "FAIL", where, f"{told}; it looks like deg/s, declare the unit", ratio,
                       "unit:gyr:deg/s", "declare the unit deg/s")  # fmt: skip
    if 0.7 < ratio * DEG < 1.4:
        return Finding(check, "FAIL", where, f"{told}; it looks converted from deg/s twice", ratio,
                       "unit:gyr:twice", "declare the unit rad/s")  # fmt: skip
    if not 0.2 < ratio < 5.0:
        message = f"{told}, expected 1; check its scale, the sample rate and the orientation"
        return Finding(check, "FAIL", where, message, ratio, "scale:gyr", "check the gyro's scale and the orientation")
    message = f"{told}, expected 1; the rate looks wrong by that factor, or the gyro's scale"
    return Finding(check, "FAIL", where, message, ratio, f"rate:{1 / ratio:.3g}",
                   "check the sample rate, then the gyro's scale")  # fmt: skip


def _plausible_rate(sensors: Sequence[Sensor]) -> Finding:
    """Judge the fastest sensor's 99th percentile: the unit is the device's, so it is one for all."""
    fastest = max(_p99(sensor.gyr) for sensor in sensors)
    where = "imu.gyr"
    if fastest > FAST_RAD_S:
        return Finding("gyro unit", "FAIL", where, f"p99 {fastest:.0f} looks like deg/s, declare the unit", fastest,
                       "unit:gyr:deg/s", "declare the unit deg/s")  # fmt: skip
    shaken = any(_shaken_s(sensor) >= _LEAST_S for sensor in sensors)
    if shaken and fastest < SLOW_RAD_S:
        message = f"p99 {fastest:.3f} rad/s although it moves; it looks converted from deg/s twice"
        return Finding("gyro unit", "FAIL", where, message, fastest, "unit:gyr:twice", "declare the unit rad/s")
    if fastest < 4 * SLOW_RAD_S:
        return Finding("gyro unit", "NOT ASSESSED", where, f"p99 {fastest:.3f} rad/s: too still to tell", fastest)
    return Finding("gyro unit", "PASS", where, f"p99 {fastest:.1f} rad/s is what bodies do", fastest)


def moves(sensor: Sensor) -> bool:
    """Return whether the gyro shows motion as limbs have it, in a unit that can be believed."""
    return 8 * SLOW_RAD_S < _p99(sensor.gyr) <= FAST_RAD_S


def _p99(gyr: FloatArray | None) -> float:
    return 0.0 if gyr is None else float(np.nanpercentile(norm(gyr), 99))


def _shaken_s(sensor: Sensor) -> float:
    """Return the seconds in which acceleration varies by more than a fifth of its RMS, as in walking."""
    if sensor.acc is None:
        return 0.0
    length = max(3, round(REST_S * sensor.rate_hz))
    count = len(sensor.acc) // length
    spread = norm(sensor.acc[: count * length].reshape(count, length, 3).std(axis=1))
    scale = np.sqrt(np.nanmean(norm(sensor.acc) ** 2))
    return float((spread > 0.2 * scale).sum() * REST_S)


# --- axes ------------------------------------------------------------------------------------------------------------


def check_axes(sensor: Sensor, reference: xr.Dataset | None) -> Iterator[Finding]:
    """Check the declared rotation, the gyro's axes against the orientation's and against the reference segment's."""
    yield _rotation(sensor)
    if sensor.gyr is None:
        return
    where = f"imu.gyr[{sensor.name}]"
    if sensor.quat is not None:
        rates = rates_of(sensor)
        yield (
            Finding("gyro axes", "NOT ASSESSED", where, "too little motion, or no gyro or orientation")
            if rates is None
            else _axes(where, "gyro axes", rates, "its own orientation", same_device=True)
        )
    rates = segment_rates_of(sensor, reference)
    if rates is None:
        return
    found = _axes(where, "segment axes", rates, f"the reference's {sensor.segment}", same_device=False)
    yield found if found.verdict == "PASS" else _read_otherwise(sensor, reference, found)


def _read_otherwise(sensor: Sensor, reference: xr.Dataset | None, found: Finding) -> Finding:
    """Return the finding, or that the reference's orientations fit when their numbers are read in another way."""
    full = found.evidence.get("of", 0.0)
    by_axes = max((v for k, v in found.evidence.items() if k != "of"), default=0.0) / full if full else 0.0
    for cause, order, sign in (("quaternion:direction", (0, 1, 2, 3), -1), ("quaternion:order", (3, 0, 1, 2), 1),
                               ("quaternion:order+direction", (3, 0, 1, 2), -1)):  # fmt: skip
        rates = segment_rates_of(sensor, reference, order=order, sign=sign)
        if rates is None:
            continue
        scale = np.sqrt((rates.gyr**2).sum() * (rates.by_orientation**2).sum())
        cosine = float((rates.gyr * rates.by_orientation).sum() / max(scale, 1e-12))
        if cosine > max(0.85, (found.value or 0.0) + 0.2, by_axes):
            message = (
                f"cosine {found.value or 0.0:.2f} with {sensor.segment}; it would be {cosine:.2f} with another "
                f"{cause.partition(':')[2]} of the reference's orientations"
            )
            return Finding(found.check, "FAIL", found.where, message, found.value, cause,
                           "read the reference's orientations so")  # fmt: skip
    return found


def _rotation(sensor: Sensor) -> Finding:
    where = f"imu.rotation[{sensor.name}]"
    if not np.isfinite(sensor.rotation).all():
        return Finding("handedness", "NOT ASSESSED", where, "the rotation to the segment is unknown")
    error = float(np.abs(sensor.rotation @ sensor.rotation.T - np.eye(3)).max())
    if error > 1e-3:
        return Finding("handedness", "FAIL", where, f"not orthonormal, by {error:.3g}; check its axes", error, "axes",
                       "declare axes at right angles")  # fmt: skip
    if np.linalg.det(sensor.rotation) < 0:
        return Finding("handedness", "FAIL", where, "mirrored, determinant -1; turn one of its axes round", -1.0,
                       "axes:mirrored", "turn one of its axes round")  # fmt: skip
    return Finding("handedness", "PASS", where, f"a right-handed rotation ({sensor.rotation_origin})", 1.0)


def _axes(where: str, check: str, rates: Rates, whom: str, *, same_device: bool) -> Finding:
    scale = max(float(np.sqrt((rates.gyr**2).sum() * (rates.by_orientation**2).sum())), 1e-12)
    shared = rates.gyr.T @ rates.by_orientation / scale  # [from, to]
    scores = {axes: float(sum(shared[i] @ axes[i] for i in range(3))) for axes in signed_axes()}
    # axes[i] is where gyro axis i points; the score is the cosine between the two rates over all samples.
    best = max(scores, key=lambda axes: scores[axes])
    asis, found = scores[IDENTITY], scores[best]
    seconds = float(len(rates.gyr))
    evidence = {cause_of(axes): seconds * max(0.0, score) for axes, score in scores.items()} | {"of": seconds}
    if found - asis < 0.2:
        if asis > 0.85 and (rivals := _rivals(scores, best)) == 0:
            return Finding(check, "PASS", where, f"agrees with {whom}, cosine {asis:.2f}", asis, evidence=evidence)
        if asis > 0.85:
            message = f"agrees with {whom}, cosine {asis:.2f}, but so would {rivals} other readings: it hardly turns"
            return Finding(check, "NOT ASSESSED", where, message, asis, evidence=evidence)
        if same_device and found < 0.5:
            message = f"agrees with {whom} on no axis, cosine {asis:.2f}; different frames, order or clocks"
            return Finding(check, "FAIL", where, message, asis, "quaternion", "check the order of its four numbers")
        message = f"agrees with {whom} only loosely, cosine {asis:.2f}"
        return Finding(check, "NOT ASSESSED", where, message, asis, evidence=evidence)
    if found < 0.8:
        message = f"no axes fit {whom} well, best cosine {found:.2f}"
        return Finding(check, "NOT ASSESSED", where, message, found, evidence=evidence)
    mirrored = " (mirrored)" if np.linalg.det(np.array(best)) < 0 else ""
    message = f"cosine {asis:.2f} with {whom}; read as ({spelt(best)}){mirrored} it would be {found:.2f}"
    mend = f"read the axes as ({spelt(best)})"
    return Finding(check, "FAIL", where, message, asis, cause_of(best), mend, evidence)


def _rivals(scores: Mapping[Axes, float], best: Axes) -> int:
    """Return how many other readings agree about as well as the best: axes about which nothing turned."""
    return sum(score > scores[best] - 0.01 for axes, score in scores.items() if axes != best)


# --- orientation -----------------------------------------------------------------------------------------------------


def check_quaternion(sensor: Sensor) -> Iterator[Finding]:
    """Check that orientations have length 1 and turn measured gravity up (world Y), and name what would."""
    if sensor.quat is None:
        return
    where = f"imu.quat[{sensor.name}]"
    lengths = norm(sensor.quat[np.isfinite(sensor.quat).all(axis=1)])
    off = float(np.mean(np.abs(lengths - 1) > 0.02))
    if off > 0:
        zeros = float(np.mean(lengths < 0.5))
        cause = "missing:zeros" if zeros > off / 2 else "quaternion:norm"
        message = f"{off:.1%} off 1, {zeros:.1%} near 0; mask those rows"
        yield Finding("quaternion norm", "FAIL", where, message, off, cause, "mask those rows")
    else:
        yield Finding("quaternion norm", "PASS", where, "length 1 throughout", 0.0)
    if sensor.acc is not None and sensor.acc_kind == "specific_force":
        yield _up(sensor, where)


@dataclass(frozen=True)
class _Reading:
    """One way to read the four numbers: what gravity becomes, and how concentrated that is (1: perfectly)."""

    order: str
    way: str
    up: FloatArray
    concentration: float
    agreement: float

    @property
    def name(self) -> str:
        return f"{self.order} {self.way}"

    @property
    def cause(self) -> str:
        wrong = [word for word, fine in (("order", self.order == "w, x, y, z"), ("direction", self.way == _DECLARED))
                 if not fine]  # fmt: skip
        return "quaternion:" + ("+".join(wrong) if wrong else f"up:{self.axis}")

    @property
    def tilt_deg(self) -> float:
        return float(np.degrees(np.arccos(np.clip(self.up[1] / max(float(norm(self.up)), 1e-12), -1.0, 1.0))))

    @property
    def axis(self) -> str:
        strongest = int(np.argmax(np.abs(self.up)))
        return ("-" if self.up[strongest] < 0 else "") + "xyz"[strongest]


def _up(sensor: Sensor, where: str) -> Finding:
    readings = list(_readings(sensor))
    if not readings:
        return Finding("quaternion up", "NOT ASSESSED", where, f"less than {_LEAST_S:g} s of acceleration with it")
    asis = readings[0]
    steadiest = max(reading.concentration for reading in readings)
    if asis.tilt_deg <= UP_LIMIT_DEG and asis.concentration > steadiest - 0.1:
        return Finding(
            "quaternion up", "PASS", where, f"turns gravity up, {asis.tilt_deg:.1f} deg off", asis.tilt_deg
        )  # fmt: skip
    if steadiest <= 0.8:
        return Finding("quaternion up", "NOT ASSESSED", where, "it is shaken too much to tell where gravity is")
    best = max(readings, key=lambda r: (r.concentration + r.agreement) + (0.01 if r.tilt_deg <= UP_LIMIT_DEG else 0.0))
    hint = f"read as {best.name} with {best.axis} up it would fit" if best.concentration > 0.9 else "no reading fits"
    message = f"turns gravity {asis.tilt_deg:.0f} deg away from up (world y); {hint}"
    cause = best.cause if best.concentration > 0.9 else "quaternion"
    return Finding("quaternion up", "FAIL", where, message, asis.tilt_deg, cause, hint)


def _readings(sensor: Sensor) -> Iterator[_Reading]:
    assert sensor.quat is not None and sensor.acc is not None  # the caller looked
    known = np.isfinite(sensor.quat).all(axis=1) & np.isfinite(sensor.acc).all(axis=1)
    known &= norm(np.nan_to_num(sensor.quat)) > 0.5
    if known.sum() < _LEAST_S * sensor.rate_hz:
        return
    for order, name in (((0, 1, 2, 3), "w, x, y, z"), ((3, 0, 1, 2), "x, y, z, w")):
        for sign, way in ((1, _DECLARED), (-1, "world_to_sensor")):
            quat = sensor.quat[:, order] * (1, sign, sign, sign)
            turned = Rotation.from_quat(quat[known], scalar_first=True).apply(sensor.acc[known])
            up = turned.mean(axis=0)
            spread = float(norm(up) / max(norm(turned).mean(), 1e-12))
            yield _Reading(name, way, up, spread, _agreement(sensor, quat))


def _agreement(sensor: Sensor, quat: FloatArray) -> float:
    """Return the cosine between gyro and the rate of this reading, 0 where it cannot be told."""
    if sensor.gyr is None:
        return 0.0
    rates = _moving(
        Rates((sensor.gyr[1:] + sensor.gyr[:-1]) / 2, body_rate(sensor.time, quat)), sensor.rate_hz
    )  # fmt: skip
    if rates is None:
        return 0.0
    scale = np.sqrt((rates.gyr**2).sum() * (rates.by_orientation**2).sum())
    return float((rates.gyr * rates.by_orientation).sum() / max(scale, 1e-12))
