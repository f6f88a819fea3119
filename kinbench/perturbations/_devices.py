"""What a device makes of what it feels: a bias, noise, a range it cannot leave, a lower rate, lost packets, silence."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from kinbench.errors import NotApplicable, UsageError
from kinbench.perturbations._leg import ALL, BoolArray, FloatArray, Leg
from kinbench.schema import GRAVITY

FILLS = ("hold", "interpolate")
"""What stands in for samples that never came: the last one that did, as a receiver shows it at once, or the straight
line to the next one, as a program draws it afterwards."""
ABSENT = ("nan", "zero", "mean")
_SHORTEST_FILTERED = 2


def bias(leg: Leg, *, acc: float = 0.0, gyr_deg_s: float = 0.0, draw: int = 0, sensor: str = ALL) -> Leg:
    """Return a leg whose sensors are off by a constant: ``acc`` m s-2 and ``gyr_deg_s`` deg s-1, in random directions.

    Directions are uniform on the sphere and stay with the person's sensor; a larger bias of one draw points the same
    way.
    """
    size = {"acc": acc, "gyr": np.radians(gyr_deg_s)}

    def biased(segment: str, channel: str, values: FloatArray) -> FloatArray:
        direction = leg.generator(f"bias {channel}", draw, segment).standard_normal(3)
        return np.asarray(values + leg.as_worn(channel, size[channel] * direction / np.linalg.norm(direction)))

    return leg.each("bias", sensor, biased)


def noise(leg: Leg, *, acc_sd: float = 0.0, gyr_sd: float = 0.0, draw: int = 0, sensor: str = ALL) -> Leg:
    """Return a leg with white noise on every axis: deviations ``acc_sd`` in m s-2 and ``gyr_sd`` in rad s-1 per sample.

    More noise of one draw is the same noise, louder.
    """
    size = {"acc": acc_sd, "gyr": gyr_sd}

    def noisy(segment: str, channel: str, values: FloatArray) -> FloatArray:
        drawn = leg.fresh_generator(f"noise {channel}", draw, segment).standard_normal(values.shape)
        return np.asarray(values + leg.as_worn(channel, size[channel] * drawn))

    return leg.each("noise", sensor, noisy)


def clip(leg: Leg, *, acc_g: float | None = None, gyr_deg_s: float | None = None, sensor: str = ALL) -> Leg:
    """Return a leg whose sensors saturate at +-``acc_g`` (9.80665 m s-2 each) and +-``gyr_deg_s``; None: they do not.

    Each axis alone, as if the sensor's axes were the task's: how the device was turned inside its strap is not known
    here, and a skew device clips a little earlier or later. Raises ``UsageError`` for a range that is not positive.
    """
    limits = {"acc": acc_g and acc_g * GRAVITY, "gyr": gyr_deg_s and np.radians(gyr_deg_s)}
    wrong = [limit for limit in (acc_g, gyr_deg_s) if limit is not None and not limit > 0]
    if wrong:
        raise UsageError(f"Expected positive ranges to clip at, got {wrong[0]}.")

    def clipped(segment: str, channel: str, values: FloatArray) -> FloatArray:
        limit = limits[channel]
        return values if limit is None else np.clip(values, -limit, limit)

    return leg.each("clip", sensor, clipped)


def rate(leg: Leg, *, rate_hz: float, fill: str = "hold", sensor: str = ALL) -> Leg:
    """Return a leg whose sensors sampled at ``rate_hz`` only, brought back to the task's grid by ``fill``.

    A device samples its anti-aliased signal; that filter is scipy's polyphase one (zero phase). ``hold`` repeats the
    last sample until the next, and so comes late by half an interval on average. Raises ``UsageError`` for a rate
    that is not positive or above the task's, or another fill.
    """
    if not 0 < rate_hz <= leg.task.rate_hz:
        raise UsageError(f"Expected a rate above 0 and up to the {leg.task.rate_hz:g} Hz of the task, got {rate_hz:g}.")
    _check_fill(fill)
    ratio = Fraction(rate_hz / leg.task.rate_hz).limit_denominator(1000)
    if ratio == 1:
        return leg

    def lowered(segment: str, channel: str, values: FloatArray) -> FloatArray:
        result = values.copy()
        for start, stop in leg.stretches(segment):
            if stop - start >= _SHORTEST_FILTERED:
                result[start:stop] = _resampled(values[start:stop], ratio, fill)
        return result

    return leg.each("rate", sensor, lowered)


def packets(
    leg: Leg, *, share: float, burst_s: float = 0.05, fill: str = "hold", draw: int = 0, sensor: str = ALL
) -> Leg:
    """Return a leg of whose sensors' packets a ``share`` was lost, in bursts of ``burst_s`` on average.

    A radio link that is now good, now bad: Gilbert's two states (Bell Syst Tech J 39:1253-1265, 1960), one packet per
    sample and sensor, every sensor on a link of its own. A larger share of one draw loses the same packets and more.
    ``fill`` stands in for them. Raises ``UsageError`` for a share that such bursts cannot reach, or another fill.
    """
    _check_fill(fill)
    length = max(burst_s * leg.task.rate_hz, 1.0)
    stays_bad = 1 - 1 / length
    if not 0 <= share < 1 or (share > 0 and share / (1 - share) / length > stays_bad):
        raise UsageError(
            f"Expected a share of packets from 0 up to what bursts of {burst_s:g} s can lose "
            f"({stays_bad / (1 / length + stays_bad):.2g}), got {share:g}."
        )
    if share == 0:
        return leg
    goes_bad = share / (1 - share) / length
    lost = {
        segment: _bursts(leg.fresh_generator("packets", draw, segment).random(len(leg.signals)), goes_bad, stays_bad)
        for segment in leg.sensors(sensor)
    }
    return leg.each("packets", sensor, lambda segment, _, values: _filled(values, lost[segment], fill))


def missing(leg: Leg, *, sensor: str, filled: str = "nan") -> Leg:
    """Return a leg without one sensor; ``filled`` says what the model gets instead.

    ``nan``: the missing sensor as a model's contract has it, who is told by NaN and does what it does about it.
    ``zero``: zeros, as Mollyn et al. (IMUPoser, CHI 2023) mask the devices that a person does not wear. ``mean``: this
    recording's mean of every channel, a sensor that lies still as the segment lay on average. Raises ``UsageError``
    for another.
    """
    if filled not in ABSENT:
        raise UsageError(f"A missing sensor may be filled with {', '.join(ABSENT)}, not '{filled}'.")

    def absent(segment: str, channel: str, values: FloatArray) -> FloatArray:
        known = np.isfinite(values)
        if filled == "nan":
            return np.full_like(values, np.nan)
        level = np.zeros(3) if filled == "zero" else np.where(known, values, 0.0).sum(0) / np.maximum(known.sum(0), 1)
        return np.where(known, level, np.nan)

    return leg.each("missing", sensor, absent)


def late(leg: Leg, *, samples: int) -> Leg:
    """Return a leg whose inputs come ``samples`` late against its labels (early where negative), on the task's grid.

    Where nothing has come yet, the nearest sample that there is stands in, so that what was known stays known.
    """
    n = len(leg.signals)
    signals = leg.signals.copy()
    for segment in leg.task.segments:
        columns = leg.block(segment)
        known: BoolArray = np.asarray(np.isfinite(leg.signals[:, columns]).all(axis=1))
        if known.any():
            source = _held(known)[np.clip(np.arange(n) - int(samples), 0, n - 1)]
            came = leg.signals[source][:, columns]
            signals[:, columns] = np.where(known[:, None], came, np.float32(np.nan))
    return replace(leg, signals=signals)


def magnetic(leg: Leg, **settings: object) -> Leg:
    """Refuse: a magnetic disturbance reaches magnetometers, and orientations made with them; no task has either."""
    raise NotApplicable(
        f"A magnetic disturbance changes nothing that the task '{leg.task.name}' takes: it has no magnetometer and no "
        "orientation made with one."
    )


# --- what never came -------------------------------------------------------------------------------------------------


def _check_fill(fill: str) -> None:
    if fill not in FILLS:
        raise UsageError(f"Samples that never came may be filled by {' or '.join(FILLS)}, not '{fill}'.")


def _bursts(drawn: FloatArray, goes_bad: float, stays_bad: float) -> BoolArray:
    """Return where a link that starts good is bad, from uniform numbers (n,).

    Below ``goes_bad`` it goes bad, from ``stays_bad`` on it goes good, between them it stays as it was.
    """
    told = np.where(drawn < goes_bad, 1, np.where(drawn >= stays_bad, 0, -1))
    told[0] = 0
    since = np.maximum.accumulate(np.where(told >= 0, np.arange(len(told)), 0))
    return np.asarray(told[since] == 1)


def _filled(values: FloatArray, lost: BoolArray, fill: str) -> FloatArray:
    """Return (n, 3) values with the lost ones filled from those that came; what was no number stays none."""
    known = np.isfinite(values).all(axis=1)
    came = known & ~lost
    if not came.any():
        return values
    if fill == "hold":
        there = values[_held(came)]
    else:
        at, places = np.arange(len(values)), np.flatnonzero(came)
        there = np.stack([np.interp(at, places, values[came, axis]) for axis in range(3)], axis=1)
    return np.where((known & lost)[:, None], there, values)


def _held(came: BoolArray) -> NDArray[np.int64]:
    """Return, for every sample, the last one up to it that came; the first that came where none has."""
    at = np.where(came, np.arange(len(came)), -1)
    last = np.maximum.accumulate(at)
    return np.where(last < 0, np.argmax(came), last)


def _resampled(values: FloatArray, ratio: Fraction, fill: str) -> FloatArray:
    """Return (n, 3) values seen at ``ratio`` of their rate, on their own grid again."""
    low = resample_poly(values, ratio.numerator, ratio.denominator, axis=0, padtype="line")
    place = np.arange(len(values)) * float(ratio)
    if fill == "hold":
        # Integers, so that a sample that stands on the grid is never taken for the one before.
        held = np.arange(len(values)) * ratio.numerator // ratio.denominator
        return np.asarray(low[np.minimum(held, len(low) - 1)])
    return np.stack([np.interp(place, np.arange(len(low)), low[:, axis]) for axis in range(values.shape[1])], axis=1)
