"""What a device makes of what it feels: its own rate, bias, noise and range."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinbench.recording import Hardware

FloatArray = NDArray[np.float64]

_ZEROS = 10
"""Zero crossings of the interpolation kernel to either side."""
_CUTOFF = 0.42
"""Where it has 1/2 of a sine's amplitude left, as a share of the lower rate."""
_KAISER_BETA = 6.0
"""Side lobes below -60 dB; with the two above, flat to 0.33 of the lower rate and silent from 0.5 of it."""
_BLOCK = 4096


@dataclass(frozen=True)
class Output:
    """One sensor's acc (m, 3), None where no position is known, and gyr (m, 3), with how many values were clipped."""

    acc: FloatArray | None
    gyr: FloatArray
    clipped: int


def clock(hardware: Hardware, time: FloatArray, rate_hz: float) -> FloatArray:
    """Return the device's sampling times (m,): its own rate from the first sample on, else those of the motion."""
    if hardware.rate_hz is None or np.isclose(hardware.rate_hz, rate_hz, rtol=1e-6):
        return time
    count = int(np.floor((len(time) - 1) * hardware.rate_hz / rate_hz + 1e-6)) + 1
    return np.asarray(time[0] + np.arange(count) / hardware.rate_hz)


def read_out(
    hardware: Hardware, sensor: str, acc: FloatArray | None, gyr: FloatArray, rate_hz: float, count: int
) -> Output:
    """Return what the device puts out of what it felt: sampled ``count`` times, biased, noisy, clipped, in that order.

    White noise of one-sided density D has a standard deviation of ``D sqrt(rate / 2)`` per sample, as its spectrum
    ends at half the rate: data sheets' densities are to be given as they stand. The bias starts at a normal draw of
    deviation ``acc_bias`` / ``gyr_bias`` per axis, and walks: it gains a normal draw of deviation
    ``bias_walk sqrt(1 / rate)`` with every sample after the first. Each sensor draws from ``seed`` and its own name,
    so that its noise does not depend on which others there are, and every quantity is drawn whether it is wanted or
    not, so that it does not depend on which others are set; of an ideal device nothing is.
    """
    out_hz = output_rate(hardware, rate_hz)
    acc_error, gyr_error = _drawn(hardware, sensor, out_hz, count)
    turning, clipped = _limited(resample(gyr, out_hz / rate_hz, count) + gyr_error, hardware.gyr_range)
    if acc is None:
        return Output(None, turning, clipped)
    force, cut = _limited(resample(acc, out_hz / rate_hz, count) + acc_error, hardware.acc_range)
    return Output(force, turning, clipped + cut)


def output_rate(hardware: Hardware, rate_hz: float) -> float:
    """Return the device's rate, the motion's where it has none of its own."""
    return rate_hz if hardware.rate_hz is None else hardware.rate_hz


def _drawn(hardware: Hardware, sensor: str, rate_hz: float, count: int) -> tuple[FloatArray, FloatArray]:
    """Return what is wrong with acc and gyr, (count, 3) each; one row of zeros stands for nothing at all."""
    acc = (hardware.acc_bias, hardware.acc_bias_walk, hardware.acc_noise_density)
    gyr = (hardware.gyr_bias, hardware.gyr_bias_walk, hardware.gyr_noise_density)
    if not any((*acc, *gyr)):
        return np.zeros((1, 3)), np.zeros((1, 3))
    random = _random(hardware.seed, sensor)
    return _errors(random, *acc, rate_hz, count), _errors(random, *gyr, rate_hz, count)


def _errors(
    random: np.random.RandomState, bias: float, walk: float, density: float, rate_hz: float, count: int
) -> FloatArray:
    """Return bias, bias walk and white noise (count, 3) together."""
    start, steps, white = random.normal(size=3), random.normal(size=(count, 3)), random.normal(size=(count, 3))
    steps[0] = 0.0
    walked = walk / np.sqrt(rate_hz) * np.cumsum(steps, axis=0)
    return np.asarray(bias * start + walked + density * np.sqrt(rate_hz / 2) * white)


def _limited(values: FloatArray, limit: float | None) -> tuple[FloatArray, int]:
    """Return values within +-``limit``, and how many were not."""
    if limit is None:
        return values, 0
    return np.clip(values, -limit, limit), int((np.abs(values) > limit).sum())


def _random(seed: int, sensor: str) -> np.random.RandomState:
    """Return the sensor's own generator; ``RandomState`` because its streams are the same in every numpy."""
    words = np.frombuffer(hashlib.sha256(sensor.encode()).digest(), dtype="<u4")
    return np.random.RandomState([seed, *(int(word) for word in words)])


def resample(values: FloatArray, ratio: float, count: int) -> FloatArray:
    """Return ``count`` samples of (n, k), ``ratio`` times as many per second, without aliases and without delay.

    Sample j stands at j / ratio of the input's samples. A sinc under a Kaiser window, cut off at ``_CUTOFF`` of the
    lower rate, its weights scaled to a sum of 1; beyond the ends the values are continued by point reflection. NaN
    reaches as far as the kernel does.
    """
    if np.isclose(ratio, 1.0, rtol=1e-6) and count == len(values):
        return values
    cutoff = _CUTOFF * min(1.0, ratio)
    reach = int(np.ceil(_ZEROS / (2 * cutoff)))
    padded = np.pad(values, ((reach, reach + 1), (0, 0)), mode="reflect", reflect_type="odd")
    lags = np.arange(-reach, reach + 1)
    out = np.empty((count, values.shape[1]))
    for start in range(0, count, _BLOCK):
        place = np.arange(start, min(start + _BLOCK, count)) / ratio
        nearest = np.minimum(np.round(place).astype(np.int64), len(values) - 1)
        distance = lags - (place - nearest)[:, None]
        window = np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - (distance / (reach + 0.5)) ** 2, 0, None)))
        weights = np.sinc(2 * cutoff * distance) * window
        weights /= weights.sum(axis=1, keepdims=True)
        out[start : start + len(place)] = np.einsum("mk,mkc->mc", weights, padded[nearest[:, None] + lags + reach])
    return out
