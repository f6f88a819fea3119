"""Physics between a sensor's signals: gravity at rest, angular rate against orientation, orientation against gravity.

Nothing here needs a second dataset. A device cannot be wrong about gravity, nor can its gyroscope and its
orientation disagree, except by unit, axes, order or direction: so a check names the one that would explain it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from scipy.spatial.transform import Rotation

from kinbench.inspection.findings import BoolArray, Finding, FloatArray, Sensor, Verdict, median_rate_hz, norm
from kinbench.inspection.inertia import IDENTITY, Axes, Carried, cause_of, signed_axes, spelt
from kinbench.inspection.rates import CUTOFF_HZ, Agreement, agreement, low_passed, slices
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
UP_SOUND_DEG = 5.0
"""Mean R acc points up within a degree on good devices, for mean acceleration over seconds is gravity. Between the two
a biased accelerometer and axes turned against the orientation look alike."""
RATE_RATIO = (0.8, 1.25)
"""|gyr| over the rate of the orientation: 0.999 to 1.002 on good devices, 25 % off where an optical one is noisy."""
CLOSE_RATIO = (0.9, 1.1)
CLOSE_R = 0.98
"""A device's own orientation is made of its gyro: the ratio is 1 to the clock's accuracy, and in impacts, which a
filter smooths, within some hundredths. So it is where a reference's orientation shares all of the gyro's motion."""
STRIDES_TOLERANCE = 1.0
"""m s-2 around 9.81 over some strides without rest: what changes of speed and a biased accelerometer leave."""
REMAINS = 0.3
"""Of gravity over some strides: what a slow filter or an orientation some degrees off leaves of it. No device's scale
is off so far."""
DEG = float(np.degrees(1.0))
FAST_RAD_S = 40.0
"""No body segment turns at 40 rad/s for 1 % of the time: such a figure is in deg/s."""
SLOW_RAD_S = 0.25
AGREED_R = 0.9
"""Where two rates share less on free axes (low-passed), neither their slope nor their offset means anything."""
TURNED_R = 0.95
OWN_TURNED_DEG = 10.0
"""A device's gyro and its own orientation have one frame: up to 1.3 degrees apart on three labs' devices."""
SEGMENT_TURNED_DEG = {"nominal": 60.0, "": 35.0}
"""Against the reference's segment, by the rotation's origin: a sensor strapped on the outside of a thigh is up to 50
degrees round it, real and right."""
BIAS_RAD_S = 0.1
"""Of a gyro against its orientation: up to 0.036 on three labs' devices, raw ones included."""
REST_BIAS_RAD_S = 0.15
"""The same at rest, where people sway."""
OWN_LATE_S = 0.03
OWN_LATE_SAMPLES = 2.5
"""A filter's orientation may be a sample late."""
_MOVING_RAD_S = 0.3
_STEADY_RAD_S = 0.1
_LEAST_S = 2.0
_DECLARED = "sensor_to_world"


# --- gravity ---------------------------------------------------------------------------------------------------------


def check_gravity(sensor: Sensor, carrying: Carried | None) -> Iterator[Finding]:
    """Compare the median |acc| of still periods with gravity, and name the unit that would explain it.

    ``carrying`` speaks where there is no rest.
    """
    if sensor.acc is None:
        return
    where = f"imu.acc[{sensor.name}]"
    rest = resting(sensor.acc, sensor.rate_hz)
    if len(rest) < REST_WINDOWS:
        yield _without_rest(sensor, where, len(rest) * REST_S, carrying)
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


def _without_rest(sensor: Sensor, where: str, rest_s: float, carrying: Carried | None) -> Finding:
    """Judge mean specific force in a frame that stands still, by gyro or orientation: that too is gravity."""
    told = f"only {rest_s:g} s at rest"
    value = _turned_length(sensor) if carrying is None else carrying.length
    if value is None or sensor.acc_kind not in ("specific_force", "gravity_removed"):
        return _gross(sensor, where, told)
    told = f"{told}, but over strides {value:.4g} m/s2 in a frame that stands still"
    if sensor.acc_kind == "gravity_removed":
        kept = abs(value - GRAVITY) < STRIDES_TOLERANCE
        verdict, cause, mend = _gravity_removed(value) if kept else ("NOT ASSESSED", "", "it may be a bias")
    elif abs(value - GRAVITY) <= STRIDES_TOLERANCE:
        verdict, cause, mend = "PASS", "", ""
    elif value < REMAINS * GRAVITY and abs(value - 1.0) > 0.1:  # 1 is gravity in g
        verdict, cause = "FAIL", "gravity:removed"
        mend = "expected 9.81; gravity looks removed but for a rest, declare kind gravity_removed"
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


@dataclass(frozen=True)
class Pair:
    """The same on one even grid, low-passed, ``known`` away from holes, and how they agree."""

    rates: Rates
    known: BoolArray
    rate_hz: float
    agreed: Agreement | None

    def moving(self) -> Rates | None:
        """Return both while it turns, the lag taken out where it is clear; None where it hardly turns.

        It turns where it does so for two seconds, or where both agree though it is slow.
        """
        lag = round(self.agreed.lag_s * self.rate_hz) if self.agreed is not None and lagging(self.agreed) else 0
        late, early = slices(lag)
        known = self.known[late] & self.known[early]
        gyr, other = self.rates.gyr[late].copy(), self.rates.by_orientation[early]
        gyr[~known] = np.nan
        return _moving(Rates(gyr, other), self.rate_hz) or (
            Rates(gyr[known], other[known]) if _agrees(self.agreed) else None
        )


def lagging(agreed: Agreement) -> bool:
    """Whether two rates clearly share more at their lag than without one."""
    return agreed.r > AGREED_R and agreed.r - agreed.unlagged_r > 0.02


def pair_of(sensor: Sensor) -> Pair | None:
    """Return the sensor's rate by gyroscope and by its own orientation; None where it has not both."""
    if sensor.gyr is None or sensor.quat is None:
        return None
    return _paired(sensor, sensor.gyr, sensor.time, sensor.quat)


def segment_pair_of(
    sensor: Sensor, reference: xr.Dataset | None, *, order: tuple[int, ...] = (0, 1, 2, 3), sign: int = 1
) -> Pair | None:
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
    return _paired(sensor, sensor.gyr @ sensor.rotation.T, time, quat[:, order] * (1, sign, sign, sign))


class Pairs:
    """The pairs of a recording's sensors, each worked out once for all checks."""

    def __init__(self, reference: xr.Dataset | None) -> None:
        self.reference = reference
        self._own: dict[str, Pair | None] = {}
        self._segment: dict[str, Pair | None] = {}

    def own(self, sensor: Sensor) -> Pair | None:
        """Return the sensor's rate by gyroscope and by its own orientation; None where it has not both."""
        if sensor.name not in self._own:
            self._own[sensor.name] = pair_of(sensor)
        return self._own[sensor.name]

    def segment(self, sensor: Sensor) -> Pair | None:
        """Return its rate in segment axes and that of the reference's segment; None where there are not both."""
        if sensor.name not in self._segment:
            self._segment[sensor.name] = segment_pair_of(sensor, self.reference)
        return self._segment[sensor.name]


def _paired(sensor: Sensor, gyr: FloatArray, time: FloatArray, quat: FloatArray) -> Pair | None:
    rate_hz = min(sensor.rate_hz, median_rate_hz(time))
    if rate_hz <= 0 or any((np.diff(at) <= 0).any() for at in (time, sensor.time)):
        return None
    clock = sensor.time if time is sensor.time else sensor.time + sensor.clock_offset_s
    grid = np.arange(max(time[0], clock[0]), min(time[-1], clock[-1]), 1.0 / rate_hz)
    cutoff_hz = min(CUTOFF_HZ, 0.4 * rate_hz)
    turned, seen = low_passed((time[1:] + time[:-1]) / 2, body_rate(time, quat), grid, rate_hz, cutoff_hz)
    measured, heard = low_passed(clock, gyr, grid, rate_hz, cutoff_hz)
    known = seen & heard
    return Pair(Rates(measured, turned), known, rate_hz, agreement(measured, turned, known, rate_hz))


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


def check_gyro_unit(sensors: Sequence[Sensor], pairs: Pairs) -> Iterator[Finding]:
    """Tell rad/s and deg/s apart: by orientation, per sensor; where there is none, by what bodies do, all together."""
    alone = []
    for sensor in sensors:
        if sensor.gyr is None:
            continue
        pair = pairs.own(sensor) or pairs.segment(sensor)
        found = None if pair is None else _unit(sensor, pair)
        if found is None:
            alone.append(sensor)
        else:
            yield found
    if alone:
        yield _plausible_rate(alone)


def _unit(sensor: Sensor, pair: Pair) -> Finding | None:
    """Judge how much faster the gyro turns than the orientation; None where it hardly turns."""
    where, agreed = f"imu.gyr[{sensor.name}]", pair.agreed
    if agreed is not None and agreed.seconds > _LEAST_S and agreed.r > CLOSE_R:
        return _rate_ratio(where, agreed.slope / agreed.r, close=True)
    rates = pair.moving()
    if rates is None:
        return None
    ratio = float(np.median(norm(rates.gyr) / norm(rates.by_orientation)))
    found = _rate_ratio(where, ratio, close=sensor.quat is not None)
    if found.kind != "rate" or (agreed is not None and agreed.r > AGREED_R):
        return found
    # Another sensor's motion is faster or slower than this one's too: only what agrees has a slope.
    told = f"the gyro is {ratio:.3g} times the rate of the orientation, with which it does not agree on any axes"
    return Finding("gyro unit", "NOT ASSESSED", where, told, ratio)


def _rate_ratio(where: str, ratio: float, *, close: bool) -> Finding:
    """Judge the slope of angular rate over an orientation's, which is ``close``: the device's own, or it follows it."""
    told = f"the gyro is {ratio:.3g} times the rate of the orientation"
    low, high = CLOSE_RATIO if close else RATE_RATIO
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


def check_axes(sensor: Sensor, pairs: Pairs) -> Iterator[Finding]:
    """Check the declared rotation, the gyro's axes against the orientation's and against the reference segment's."""
    yield _rotation(sensor)
    if sensor.gyr is None:
        return
    where = f"imu.gyr[{sensor.name}]"
    own = pairs.own(sensor)
    if sensor.quat is not None:
        yield _axes(where, "gyro axes", own, "its own orientation", OWN_TURNED_DEG, same_device=True)
    if own is not None:
        yield _late(sensor, own)
    segment = pairs.segment(sensor)
    yield _bias(sensor, own or segment)
    if segment is None or segment.moving() is None:
        return
    limit_deg = SEGMENT_TURNED_DEG.get(sensor.rotation_origin, SEGMENT_TURNED_DEG[""])
    found = _axes(where, "segment axes", segment, f"the reference's {sensor.segment}", limit_deg, same_device=False)
    yield found if found.verdict == "PASS" else _read_otherwise(sensor, pairs.reference, found)


def _agrees(agreed: Agreement | None) -> bool:
    """Whether two rates are so alike that it is no chance, however slow."""
    return agreed is not None and agreed.seconds > _LEAST_S and agreed.r > TURNED_R


def _late(sensor: Sensor, pair: Pair) -> Finding:
    """Judge how late a gyro is against its own device's orientation."""
    check, where, agreed = "orientation lag", f"imu.quat[{sensor.name}]", pair.agreed
    if agreed is None or agreed.seconds < 2 * _LEAST_S or agreed.r < AGREED_R:
        return Finding(check, "NOT ASSESSED", where, "too little motion, or gyro and orientation do not agree")
    told = f"the gyro is {agreed.lag_s:+.3f} s late against its own orientation"
    if abs(agreed.lag_s) > max(OWN_LATE_S, OWN_LATE_SAMPLES / pair.rate_hz) and lagging(agreed):
        mend = "place each signal by its own counter or clock"
        return Finding(check, "FAIL", where, told, agreed.lag_s, "clock:late", mend)
    return Finding(check, "PASS", where, told, agreed.lag_s)


def _bias(sensor: Sensor, pair: Pair | None) -> Finding:
    """Judge the offset of a gyro: against an orientation, else at rest."""
    check, where = "gyro bias", f"imu.gyr[{sensor.name}]"
    agreed = None if pair is None else pair.agreed
    least_r = AGREED_R if sensor.quat is not None else CLOSE_R
    if agreed is not None and agreed.seconds > 2 * _LEAST_S and agreed.r > least_r:
        value, limit = float(norm(agreed.bias)), BIAS_RAD_S
        told = f"{value:.3f} rad/s more than the orientation turns"
    else:
        rest = _resting_rates(sensor)
        value, limit = float(norm(np.median(rest, axis=0))) if len(rest) else 0.0, REST_BIAS_RAD_S
        if len(rest) < REST_WINDOWS or float(norm(rest.std(axis=0))) > limit / 2:
            return Finding(check, "NOT ASSESSED", where, "no orientation that agrees, and not at rest")
        told = f"{value:.3f} rad/s at rest"
    if value > limit:
        return Finding(check, "FAIL", where, f"{told}; a constant was added to it", value, "bias:gyr",
                       "subtract the mean at rest")  # fmt: skip
    return Finding(check, "PASS", where, told, value)


def _resting_rates(sensor: Sensor) -> FloatArray:
    """Return the mean angular rate (windows, 3) of half seconds in which acceleration is still and the rate steady."""
    none: FloatArray = np.zeros((0, 3))
    if sensor.gyr is None or sensor.acc is None:
        return none
    length = max(3, round(REST_S * sensor.rate_hz))
    count = len(sensor.acc) // length
    acc, gyr = (v[: count * length].reshape(count, length, 3) for v in (sensor.acc, sensor.gyr))
    scale = np.sqrt(np.nanmean(norm(sensor.acc) ** 2))
    spread = norm(acc.std(axis=1))
    still = (spread < REST_SHARE * scale) & (spread > 0) & (norm(gyr.std(axis=1)) < _STEADY_RAD_S)
    found: FloatArray = gyr[still].mean(axis=1) if still.any() else none
    return found


def _read_otherwise(sensor: Sensor, reference: xr.Dataset | None, found: Finding) -> Finding:
    """Return the finding, or that the reference's orientations fit when their numbers are read in another way."""
    full, alike = found.evidence.get("of", 0.0), dict(found.evidence)
    by_axes = max((v for k, v in found.evidence.items() if k != "of"), default=0.0) / full if full else 0.0
    for cause, order, sign in (("quaternion:direction", (0, 1, 2, 3), -1), ("quaternion:order", (3, 0, 1, 2), 1),
                               ("quaternion:order+direction", (3, 0, 1, 2), -1)):  # fmt: skip
        pair = segment_pair_of(sensor, reference, order=order, sign=sign)
        rates = None if pair is None else pair.moving()
        if rates is None:
            continue
        scale = np.sqrt((rates.gyr**2).sum() * (rates.by_orientation**2).sum())
        cosine = float((rates.gyr * rates.by_orientation).sum() / max(scale, 1e-12))
        if found.evidence:
            alike[cause] = full * max(0.0, cosine)
        if cosine > max(0.85, (found.value or 0.0) + 0.2, by_axes):
            message = (
                f"cosine {found.value or 0.0:.2f} with {sensor.segment}; it would be {cosine:.2f} with another "
                f"{cause.partition(':')[2]} of the reference's orientations"
            )
            return Finding(found.check, "FAIL", found.where, message, found.value, cause,
                           "read the reference's orientations so", alike)  # fmt: skip
    return replace(found, evidence=alike)


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


def _axes(where: str, check: str, pair: Pair | None, whom: str, limit_deg: float, *, same_device: bool) -> Finding:
    """Judge axes that are exchanged or turned round, then any other angle that the rates share motion at."""
    agreed = None if pair is None else pair.agreed
    rates = None if pair is None else pair.moving()
    if rates is None:
        return Finding(check, "NOT ASSESSED", where, "too little motion, or no gyro or orientation")
    found = _signed(where, check, rates, whom, same_device=same_device)
    if (found.verdict == "FAIL" and found.kind == "axes") or agreed is None or not _agrees(agreed):
        return found
    if not agreed.mirrored and agreed.angle_deg <= limit_deg:
        return found
    told = f"agrees with {whom} when turned by {agreed.angle_deg:.0f} deg, correlation {agreed.r:.2f}"
    if not agreed.determined:
        message = f"{told}, but it turns about one axis only, which leaves the angle about it open"
        return Finding(check, "NOT ASSESSED", where, message, agreed.angle_deg, evidence=found.evidence)
    # rotation[:, i] is where the axis i of the other points; axes[i] where the gyro's does.
    nearest = max(signed_axes(), key=lambda axes: float((agreed.rotation * np.array(axes)).sum()))
    if nearest == IDENTITY:
        cause, mend = f"axes:{agreed.angle_deg:.0f}deg", "turn the sensor's axes by the rotation between them"
    else:
        cause, mend = cause_of(nearest), f"read the axes as ({spelt(nearest)})"
        told = f"agrees with {whom} read as ({spelt(nearest)}), correlation {agreed.r:.2f}"
    return Finding(check, "FAIL", where, f"{told}; one of them is turned", agreed.angle_deg, cause, mend)


def _signed(where: str, check: str, rates: Rates, whom: str, *, same_device: bool) -> Finding:
    scale = max(float(np.sqrt((rates.gyr**2).sum() * (rates.by_orientation**2).sum())), 1e-12)
    shared = rates.gyr.T @ rates.by_orientation / scale  # [from, to]
    scores = dict(zip(signed_axes(), np.einsum("ij,aij->a", shared, np.array(signed_axes())).tolist(), strict=True))
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
    quat: FloatArray
    up: FloatArray
    concentration: float

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
        told = f"turns gravity up, {asis.tilt_deg:.1f} deg off"
        if asis.tilt_deg <= UP_SOUND_DEG:
            return Finding("quaternion up", "PASS", where, told, asis.tilt_deg)
        message = f"{told}: a biased accelerometer, or axes that are not the orientation's"
        return Finding("quaternion up", "NOT ASSESSED", where, message, asis.tilt_deg)
    if steadiest <= 0.8:
        return Finding("quaternion up", "NOT ASSESSED", where, "it is shaken too much to tell where gravity is")
    best = max(readings, key=lambda reading: _likely(sensor, reading))
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
            yield _Reading(name, way, quat, up, spread)


def _likely(sensor: Sensor, reading: _Reading) -> float:
    """Return what speaks for a reading: gravity that stands still, a rate that is the gyro's, then gravity up."""
    upright = 0.01 if reading.tilt_deg <= UP_LIMIT_DEG else 0.0
    return reading.concentration + _agreement(sensor, reading.quat) + upright


def _agreement(sensor: Sensor, quat: FloatArray) -> float:
    """Return the cosine between gyro and the rate of this reading, 0 where it cannot be told."""
    if sensor.gyr is None:
        return 0.0
    pair = _paired(sensor, sensor.gyr, sensor.time, quat)
    rates = None if pair is None else pair.moving()
    if rates is None:
        return 0.0
    scale = np.sqrt((rates.gyr**2).sum() * (rates.by_orientation**2).sum())
    return float((rates.gyr * rates.by_orientation).sum() / max(scale, 1e-12))
