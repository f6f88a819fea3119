"""One floor of white noise for all sensors, by adding what the quieter ones lack."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import periodogram

from kinbench.errors import DataError, UsageError
from kinbench.harmonisation._streams import (
    BoolArray,
    FloatArray,
    Signal,
    altered,
    even_rate_hz,
    stretches,
)
from kinbench.recording import Recording

BAND = (0.7, 0.95)
"""Where the floor is read, in shares of half the rate: people move little there, and filters have not yet cut it."""
SEGMENT_S = 1.0
TOLERANCE = 0.1
"""A floor this much above the one asked for passes for it: the estimate is no better."""
_SIGNALS = ("acc", "gyr")


def equalise_noise(recording: Recording, *, density: Mapping[str, float], seed: int = 0) -> Recording:
    """Return the recording with the white noise of each axis brought up to a common ``density``, by adding noise.

    ``density`` names ``acc`` (m s-2 Hz-0.5), ``gyr`` (rad s-1 Hz-0.5) or both: one-sided, as data sheets give it, so
    that white noise has the standard deviation density * sqrt(rate / 2). Each axis' floor is the root of the median
    over time (Welch's method, Hann windows of 1 s, half overlapping) and mean over 0.7 to 0.95 of half the rate of its
    spectral density; motion in that band counts as noise, so a floor is an upper bound. What lacks is added as
    independent Gaussian noise whose power is the difference (Brough et al. 2025 match synthetic to real sensors so);
    nothing is ever removed. The draw depends on ``seed``, the variable's and the sensor's name only. Floors go into the
    step, per variable and sensor, as [x, y, z]; None where no second of known samples hangs together, and such an axis
    stays as it is.

    Raises ``UsageError`` for a density that is negative or of another variable, and ``DataError`` for a clock that is
    not even, or where floors already lie above the density: all of them at once.
    """
    if any(not value >= 0 for value in density.values()):
        raise UsageError(f"equalise_noise needs densities of 0 or more, and got {dict(density)}")
    floors: dict[str, dict[str, list[float] | None]] = {}
    above: list[str] = []

    def raise_to(signal: Signal) -> None:
        rate_hz, wanted, name = even_rate_hz(recording, signal.stream), float(density[signal.name]), signal.name
        floors[name] = {}
        for at, label in enumerate(signal.labels):
            values = signal.values[:, at]
            floor = _floor(signal.time_s, values, signal.known[:, at], rate_hz)
            floors[name][label] = None if floor is None else [float(f"{x:.6g}") for x in floor]
            if floor is None:
                continue
            if (floor > (1 + TOLERANCE) * wanted).any():
                above.append(
                    f"the noise of {name} of {label} is {floor.max():.3g} already, above the {wanted:.3g} asked for"
                )
                continue
            lack = np.sqrt(np.clip(wanted**2 - floor**2, 0.0, None) * rate_hz / 2)
            random = np.random.default_rng([seed, zlib.crc32(f"{name}/{label}".encode())])
            values += lack * random.standard_normal(values.shape)

    noisy = altered(recording, "equalise_noise", tuple(density), _SIGNALS, raise_to)
    if above:
        raise DataError(
            [f"{problem}; ask for more, or leave that sensor out" for problem in above], where=recording.key
        )
    return noisy.with_step(
        "equalise_noise", density={name: float(value) for name, value in density.items()}, seed=seed, floors=floors
    )


def _floor(time_s: FloatArray, values: FloatArray, known: BoolArray, rate_hz: float) -> FloatArray | None:
    """Return the noise density (component,) of one sensor, or None where no second hangs together.

    Each window's spectrum counts alike, whichever stretch it comes from.
    """
    length = max(8, round(SEGMENT_S * rate_hz))
    spectra = [
        _spectra(values[start:stop], length, rate_hz)
        for start, stop in stretches(time_s, known)
        if stop - start >= length
    ]
    if not spectra:
        return None
    return np.asarray(np.sqrt(np.median(np.concatenate(spectra), axis=0)), dtype=np.float64)


def _spectra(values: FloatArray, length: int, rate_hz: float) -> FloatArray:
    """Return (window, component): each window's mean spectral density in the band."""
    windows = sliding_window_view(values, length, axis=0)[:: length // 2]
    line = np.linalg.qr(np.stack([np.ones(length), np.arange(length)], axis=1))[0]  # of least squares, for all at once
    straightened = windows - (windows @ line) @ line.T
    frequency_hz, power = periodogram(straightened, rate_hz, window="hann", detrend=False)
    low, high = (share * rate_hz / 2 for share in BAND)
    return np.asarray(power[..., (frequency_hz >= low) & (frequency_hz <= high)].mean(axis=-1), dtype=np.float64)
