"""How much power the inputs have at which frequency: what tells datasets apart without looking at any answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kinbench.windows.batches import Unlabelled

FloatArray = NDArray[np.float64]

TOP_HZ = 20.0
"""Above it human motion has next to nothing, and what spectra tell is the devices' noise and filters."""
FLOOR = {"acc": 1e-5, "gyr": 1e-7, "euler": 1e-7}
"""Power below which a channel counts as silent: (m s-2)^2 / Hz, (rad s-1)^2 / Hz and rad^2 / Hz, about a good sensor's
noise."""
MOST_WINDOWS = 4_000
_CHUNK = 256


def floors(channel_names: Sequence[str]) -> FloatArray:
    """Return the power (channel,) below which each channel counts as silent."""
    return np.array([FLOOR[name.split("/")[1].removesuffix("_norm")] for name in channel_names])


def log_power(windows: Unlabelled) -> FloatArray:
    """Return the power spectral density (channel, frequency) in dB up to ``TOP_HZ``.

    The mean over windows of modified periodograms (Hann, each window's mean removed; Welch, IEEE Trans Audio
    Electroacoust 15:70-73, 1967), of at most ``MOST_WINDOWS`` of them, evenly over the set. A window counts for the
    channels that are finite in it; one that is never there is NaN.
    """
    spec = windows.spec
    index = np.arange(len(windows)) if len(windows) <= MOST_WINDOWS else (
        np.arange(MOST_WINDOWS, dtype=np.int64) * len(windows) // MOST_WINDOWS
    )  # fmt: skip
    at = np.fft.rfftfreq(spec.window, 1.0 / spec.rate_hz)
    use = (at > 0) & (at <= TOP_HZ)
    taper = np.hanning(spec.window)[None, :, None]
    scale = 2.0 / (spec.rate_hz * float((taper**2).sum()))
    total, count = np.zeros((len(spec.channel_names), int(use.sum()))), np.zeros(len(spec.channel_names))
    for begin in range(0, index.size, _CHUNK):
        x = windows.take(index[begin : begin + _CHUNK]).astype(np.float64)
        known = np.asarray(np.isfinite(x).all(axis=1))
        x = np.where(known[:, None, :], x, 0.0)
        power = np.abs(np.fft.rfft((x - x.mean(axis=1, keepdims=True)) * taper, axis=1)[:, use]) ** 2
        total += scale * power.sum(axis=0).T
        count += known.sum(axis=0)
    mean = np.where(count[:, None] > 0, total / np.maximum(count, 1.0)[:, None], np.nan)
    return np.asarray(10 * np.log10(np.maximum(mean, floors(spec.channel_names)[:, None])))


def spectral_distance(one: FloatArray, other: FloatArray) -> float:
    """Return the log-spectral distance in dB (Gray & Markel, IEEE Trans ASSP 24:380-391, 1976) of two ``log_power``.

    Root mean square over frequencies, mean over the channels that both have; NaN where they share none.
    """
    each = np.sqrt(((one - other) ** 2).mean(axis=1))
    known = np.isfinite(each)
    return float(each[known].mean()) if known.any() else float("nan")
