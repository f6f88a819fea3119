"""Accelerometer against gyroscope: carried along by the gyro, what is left of acceleration over strides is gravity.

No orientation and no reference is needed. In a frame that the gyro carries along, mean specific force over some strides
is gravity: the body's own acceleration averages out, for it does not run away. So it has gravity's length, and stands
still from one span to the next. Axes, signs, a rate or a unit that are wrong carry the frame wrongly, and the mean
shrinks and wanders. A Hann window keeps broken strides from counting; with a plain mean the residue is ten times as
large (measured on 60 sensors of real walking and running: 0.02 of gravity, against 0.2 for reversed signs).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations, product

import numpy as np
from scipy.signal import butter, sosfiltfilt
from scipy.spatial.transform import Rotation

from kinbench.inspection.findings import Finding, FloatArray, Sensor, norm
from kinbench.schema import GRAVITY

SPAN_S = 4.0
"""Some strides, and short enough that neither drift of the gyro nor a change of speed counts."""
LEAST_SPANS = 3
MOST_SPANS = 24
GRID_HZ = 50.0
MOVING_RAD_S = 0.3
"""Spans in which the sensor turns less (root mean square) tell nothing."""
SOUND = 0.07
"""Misfit in gravities up to which signals agree: 0.01 to 0.06 in sound ones, of which accelerometers are off by 0.03
and more."""
WRONG = 0.07
BETTER = 0.5
"""A mistake is named where it halves a misfit that is larger than ``WRONG``."""
APART = 1.5
"""Another reading is ruled out where its misfit is so many times as large, and above ``RULED_OUT``."""
RULED_OUT = 0.045
SCALES = (0.4, 0.5, 0.6, 0.75, 5 / 6, 1.2, 4 / 3, 5 / 3, 2.0, 2.5)
"""Factors of a wrong rate among 40, 50, 60, 75, 80, 100, 120, 148, 200 and 240 Hz."""
FULL = 0.2
"""Misfit that counts as no support at all, when evidence is summed over recordings."""

LEVER = 1.15
"""A foot's lever arm explains its acceleration better forwards: turned, 1.07 to 1.28 times as much is left (20 feet of
walkers and runners)."""
LEVER_HZ = 8.0
LEVER_S = 8.0

Axes = tuple[tuple[int, int, int], ...]
IDENTITY: Axes = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
REVERSED: Axes = ((-1, 0, 0), (0, -1, 0), (0, 0, -1))


@cache
def signed_axes() -> tuple[Axes, ...]:
    """Return the 48 ways to exchange and turn round three axes, the identity first.

    ``axes[i]`` is the unit vector along which the stored axis i really points.
    """
    found = []
    for order in permutations(range(3)):
        for signs in product((1, -1), repeat=3):
            rows = [[0, 0, 0], [0, 0, 0], [0, 0, 0]]
            for row, (axis, sign) in enumerate(zip(order, signs, strict=True)):
                rows[row][axis] = sign
            found.append(tuple((row[0], row[1], row[2]) for row in rows))
    found.sort(key=lambda axes: axes != IDENTITY)
    return tuple(found)


def spelt(axes: Axes) -> str:
    """Return the new x, y, z in terms of the stored ones, such as ``y, -x, z``."""
    parts = []
    for target in range(3):
        source = next(i for i in range(3) if axes[i][target])
        parts.append(("-" if axes[source][target] < 0 else "") + "xyz"[source])
    return ", ".join(parts)


def cause_of(axes: Axes) -> str:
    """Return the machine-readable name of a reading, such as ``axes:y,-x,z``; empty for the identity."""
    return "" if axes == IDENTITY else "axes:" + spelt(axes).replace(" ", "")


@dataclass(frozen=True)
class Carried:
    """How badly each reading of one sensor's gyro carries gravity: ``misfit`` (readings,) in gravities.

    The readings are ``signed_axes`` and then ``SCALES``.
    """

    sensor: Sensor
    spans: int
    misfit: FloatArray
    length: float
    """Of mean specific force carried along, m s-2: gravity's, though the sensor never rests."""

    def of(self, axes: Axes) -> float:
        """Return the misfit of one way to read the axes."""
        return float(self.misfit[signed_axes().index(axes)])


def carried(sensor: Sensor) -> Carried | None:
    """Return the misfit of every reading of the gyro; None where there are not enough spans of motion."""
    spans = _spans(sensor)
    if spans is None:
        return None
    rates, forces, step_s = spans
    first, second = (
        np.concatenate([_read(moments[:2]), np.einsum("hsijj->hsi", moments[2:])])
        for moments in _moments(np.array([1.0, -1.0, *SCALES]), rates, forces, step_s)
    )
    length = norm(first)
    # Gravity stands still from one span to the next, and is as long as it should be.
    off = np.sqrt(norm(first - second) ** 2 + (length - GRAVITY) ** 2) / GRAVITY
    return Carried(sensor, len(rates), np.median(off, axis=1), float(np.median(length[0])))


def _read(moments: FloatArray) -> FloatArray:
    """Return mean specific force (readings, spans, 3) for all signed axes, of the moments for rates and for minus them.

    A gyro read by a proper rotation P turns as P R P^T, so all readings follow from two integrations: by R and, for
    mirrored axes, by that of the rates turned round.
    """
    found = []
    for axes in signed_axes():
        mirror = float(np.sign(np.linalg.det(np.array(axes))))
        proper = mirror * np.array(axes, dtype=np.float64).T
        found.append(np.einsum("hi,sijk,kj->sh", proper, moments[0 if mirror > 0 else 1], proper))
    return np.array(found)


def _spans(sensor: Sensor) -> tuple[FloatArray, FloatArray, float] | None:
    """Return (spans, samples, 3) of angular rate and specific force, and the step; half a span longer than a span."""
    if sensor.acc is None or sensor.gyr is None or sensor.rate_hz <= 0:
        return None
    every = max(1, round(sensor.rate_hz / GRID_HZ))
    count = len(sensor.gyr) // every * every
    if not count:
        return None
    gyr, acc = (
        values[:count].reshape(-1, every, 3).mean(axis=1) for values in (sensor.gyr, sensor.acc)
    )  # fmt: skip
    step_s = every / sensor.rate_hz
    length = round(SPAN_S / step_s)
    starts = np.arange(0, len(gyr) - length - length // 2 + 1, max(1, length // 2))
    if not starts.size:
        return None
    at = starts[:, None] + np.arange(length + length // 2)
    rates, forces = gyr[at], acc[at]
    usable = np.isfinite(rates).all(axis=(1, 2)) & np.isfinite(forces).all(axis=(1, 2))
    usable &= np.sqrt((np.nan_to_num(rates) ** 2).sum(axis=2).mean(axis=1)) > MOVING_RAD_S
    chosen = np.flatnonzero(usable)
    if chosen.size < LEAST_SPANS:
        return None
    chosen = chosen[np.unique(np.linspace(0, chosen.size - 1, MOST_SPANS).astype(int))]
    return rates[chosen], forces[chosen], step_s


def _moments(scales: FloatArray, rates: FloatArray, forces: FloatArray, step_s: float) -> tuple[FloatArray, FloatArray]:
    """Return windowed means of R (i, j) times specific force (k), (scales, spans, 3, 3, 3), two, half a span apart.

    R turns to the frame of the span's first sample, by the rates times each scale.
    """
    total = rates.shape[1]
    half = total // 3
    window = np.hanning(total - half + 2)[1:-1]
    window /= window.sum()
    early, late = np.zeros(total), np.zeros(total)
    early[: total - half], late[half:] = window, window
    halves = np.moveaxis(_turns(scales[:, None, None, None] * rates * (step_s / 2)), 2, 0)
    steps = _after(halves[:-1], halves[1:])  # from the middle of one sample to that of the next
    path = np.empty_like(halves)
    path[0] = halves[0]
    for sample in range(1, total):
        path[sample] = _after(path[sample - 1], steps[sample - 1])
    matrices = Rotation.from_quat(path.reshape(-1, 4), scalar_first=True).as_matrix().reshape(*path.shape[:-1], 3, 3)
    first, second = (
        np.einsum("t,thsij,stk->hsijk", weights, matrices, forces, optimize=True) for weights in (early, late)
    )
    return first, second


def _turns(vectors: FloatArray) -> FloatArray:
    """Return quaternions, scalar first, of rotation vectors."""
    angle = norm(vectors)[..., None] / 2
    return np.concatenate([np.cos(angle), np.sinc(angle / np.pi) * vectors / 2], axis=-1)


def _after(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return the product of quaternions (..., 4): first ``other``, then ``one``."""
    w, x, y, z = (one[..., i] for i in range(4))
    a, b, c, d = (other[..., i] for i in range(4))
    made = np.empty(one.shape)
    made[..., 0] = w * a - x * b - y * c - z * d
    made[..., 1] = w * b + x * a + y * d - z * c
    made[..., 2] = w * c - x * d + y * a + z * b
    made[..., 3] = w * d + x * c - y * b + z * a
    return made


# --- what it says ----------------------------------------------------------------------------------------------------


def check_carried(sensors: Sequence[Sensor], carrying: Mapping[str, Carried | None]) -> Iterator[Finding]:
    """Check each sensor's gyro axes against its accelerometer's; over all, the direction and rate of time.

    ``carrying`` is what ``carried`` gives, by the sensor's name.
    """
    together = [sensor for sensor in sensors if sensor.acc is not None and sensor.gyr is not None]
    if not together:
        return
    found = []
    for sensor in together:
        where = f"imu.gyr[{sensor.name}]"
        one = carrying[sensor.name] if sensor.acc_kind == "specific_force" else None
        if one is None:
            told = "too little motion" if sensor.acc_kind == "specific_force" else "gravity was removed"
            yield Finding("gyro against gravity", "NOT ASSESSED", where, told)
            continue
        found.append(one)
        yield _sensor(one, where)
    yield _direction(found) if found else _direction_by_feet(together)
    yield _rate(found)


def _support(one: Carried, names: Sequence[tuple[str, int]]) -> dict[str, float]:
    """Return how far spans support each reading, to be added up over recordings; ``of`` is what they could at most."""
    told = {name: float(one.spans * max(0.0, 1.0 - one.misfit[at] / FULL)) for name, at in names}
    return {**told, "of": float(one.spans)}


def _sensor(one: Carried, where: str) -> Finding:
    ways = signed_axes()
    misfit = one.misfit[: len(ways)]
    asis, best = float(misfit[0]), int(np.argmin(misfit))
    check = "gyro against gravity"
    told = f"carried by the gyro, gravity is {asis:.3f} g off"
    evidence = _support(one, [(cause_of(axes), at) for at, axes in enumerate(ways)])
    if asis > WRONG and misfit[best] < min(BETTER * asis, WRONG):
        rivals = [axes for at, axes in enumerate(ways) if misfit[at] < APART * misfit[best] and at != best]
        mend = f"read the gyro as ({spelt(ways[best])}) in the accelerometer's axes, or turn the latter the other way"
        also = f"; {len(rivals)} other readings fit as well" if rivals else ""
        message = f"{told}; read as ({spelt(ways[best])}) it would be {misfit[best]:.3f}{also}"
        return Finding(check, "FAIL", where, message, asis, cause_of(ways[best]), mend, evidence)
    others = misfit[1:]
    open_ways = int(((others < APART * asis) | (others < RULED_OUT)).sum())
    if asis <= SOUND and not open_ways:
        return Finding(check, "PASS", where, f"{told}, on no other axes less", asis, evidence=evidence)
    why = f"{open_ways} other readings of the axes are not ruled out" if asis <= SOUND else "and on no other axes less"
    return Finding(check, "NOT ASSESSED", where, f"{told}; {why}", asis, evidence=evidence)


def _direction(found: Sequence[Carried]) -> Finding:
    """Tell time that runs backwards: every sensor's gyro then carries gravity the wrong way round."""
    check, where = "time direction", "imu.time"
    told = [(one.of(IDENTITY), one.of(REVERSED)) for one in found]
    # One way must be wrong, and the other twice as good; it need not be sound: a knock tells nothing of time.
    clear = [(asis, turned) for asis, turned in told if max(asis, turned) > WRONG and min(asis, turned) < 2 * WRONG]
    forward = sum(turned > 2 * asis for asis, turned in clear)
    backward = sum(asis > 2 * turned for asis, turned in clear)
    evidence = {"": float(forward), "reversal": float(backward), "of": float(forward + backward)}
    if backward > forward and backward >= 0.6 * len(clear) and (backward > 1 or len(found) == 1):
        message = f"{backward} of {len(clear)} sensors carry gravity only with their angular rate turned round"
        mend = "the file was read from its end, or every gyro's sign is turned"
        return Finding(check, "FAIL", where, f"{message}; time runs backwards", float(backward), "reversal", mend,
                       evidence)  # fmt: skip
    if forward > 2 * backward:
        message = f"{forward} of {len(clear)} sensors carry gravity forwards"
        return Finding(check, "PASS", where, message, float(forward), evidence=evidence)
    return Finding(check, "NOT ASSESSED", where, "no sensor turns enough to tell", evidence=evidence)


def _direction_by_feet(sensors: Sequence[Sensor]) -> Finding:
    """Tell the direction of time where gravity was removed: by how feet turn about the ground and the ankle."""
    check, where = "time direction", "imu.time"
    ratios = [ratio for sensor in sensors if (ratio := lever(sensor)) is not None]
    forward = sum(ratio > LEVER for ratio in ratios)
    backward = sum(ratio < 1 / LEVER for ratio in ratios)
    evidence = {"": float(forward), "reversal": float(backward), "of": float(forward + backward)}
    told = f"{len(ratios)} feet turn about a point that leaves {max(ratios, default=1.0):.2f} times as much backwards"
    if backward and not forward:
        mend = "the file was read from its end, or every gyro's sign is turned"
        return Finding(check, "FAIL", where, f"{told}; time runs backwards", float(backward), "reversal", mend,
                       evidence)  # fmt: skip
    if forward and not backward:
        return Finding(check, "PASS", where, told, float(forward), evidence=evidence)
    return Finding(check, "NOT ASSESSED", where, "no sensor turns enough to tell", evidence=evidence)


def lever(sensor: Sensor) -> float | None:
    """Return how much more of a foot's acceleration is left unexplained with time turned, None where it says little.

    A foot rolls over the ground and swings about the ankle: its acceleration is alpha x r + omega x (omega x r) with
    one lever arm r for both terms, of which only the first changes its sign with time.
    """
    if sensor.acc is None or sensor.gyr is None or not sensor.segment.startswith("foot") or sensor.rate_hz <= 0:
        return None
    known = np.asarray(np.isfinite(np.hstack([sensor.acc, sensor.gyr])).all(axis=1))
    if known.sum() < LEVER_S * sensor.rate_hz or known.mean() < 0.5:
        return None
    sos = butter(2, min(LEVER_HZ, 0.4 * sensor.rate_hz), fs=sensor.rate_hz, output="sos")
    rate, force = (sosfiltfilt(sos, np.where(known[:, None], v, 0.0), axis=0) for v in (sensor.gyr, sensor.acc))
    turn, grow = _cross(rate), _cross(np.gradient(rate, 1.0 / sensor.rate_hz, axis=0))
    used = known & (norm(rate) > MOVING_RAD_S)
    if used.sum() < LEVER_S * sensor.rate_hz:
        return None
    inward, along = (turn @ turn)[used].reshape(-1, 3), grow[used].reshape(-1, 3)
    rest, told = np.tile(np.eye(3), (int(used.sum()), 1)), force[used].reshape(-1)
    left = []
    for way in (1, -1):
        matrix = np.column_stack([inward + way * along, rest])
        left.append(float(((told - matrix @ np.linalg.lstsq(matrix, told, rcond=None)[0]) ** 2).sum()))
    return left[1] / left[0] if left[0] > 0 else None


def _cross(vectors: FloatArray) -> FloatArray:
    """Return the matrices (n, 3, 3) of the cross product with each vector."""
    x, y, z = vectors.T
    o = np.zeros(len(vectors))
    return np.moveaxis(np.array([[o, -z, y], [z, o, -x], [-y, x, o]]), 2, 0)


def _rate(found: Sequence[Carried]) -> Finding:
    """Tell a wrong rate (or scale of all gyros) by the factor that lets them carry gravity best, over all sensors."""
    check, where = "rate by gravity", "imu.time"
    usable = [one for one in found if one.misfit.min() < WRONG]
    first = len(signed_axes())
    totals = np.array([
        float(np.sqrt(np.mean([min(float(one.misfit[at]), 3.0) ** 2 for one in usable]))) if usable else np.nan
        for at in (0, *range(first, first + len(SCALES)))
    ])  # fmt: skip
    if not usable:
        return Finding(check, "NOT ASSESSED", where, "no sensor turns enough to tell")
    names = [("", 0)] + [(f"rate:{scale:.3g}", first + at) for at, scale in enumerate(SCALES)]
    evidence: dict[str, float] = {}
    for one in usable:
        for name, value in _support(one, names).items():
            evidence[name] = evidence.get(name, 0.0) + value
    best = int(np.argmin(totals))
    asis = float(totals[0])
    if best and asis > 0.6 * WRONG and totals[best] < BETTER * asis and totals[best] < SOUND:
        factor = SCALES[best - 1]
        message = f"gravity is {asis:.3f} g off, and {totals[best]:.3f} with angular rates {factor:.3g} times as large"
        mend = f"the true rate is {1 / factor:.3g} times the one declared, or all gyros' scale is off"
        return Finding(check, "FAIL", where, f"{message}; the rate looks wrong", factor, f"rate:{factor:.3g}", mend,
                       evidence)  # fmt: skip
    near = float(min(totals[1 + SCALES.index(5 / 6)], totals[1 + SCALES.index(1.2)]))
    if asis < SOUND and near > APART * asis and near > RULED_OUT:
        return Finding(check, "PASS", where, f"gravity is {asis:.3f} g off, at rates 20 % off {near:.3f}", 1.0,
                       evidence=evidence)  # fmt: skip
    return Finding(check, "NOT ASSESSED", where, f"gravity is {asis:.3f} g off, at rates 20 % off {near:.3f}: too near",
                   evidence=evidence)  # fmt: skip
