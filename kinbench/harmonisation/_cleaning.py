"""What takes errors out of signals: lone samples far off, and jitter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import savgol_filter

from kinbench.errors import UsageError
from kinbench.harmonisation import grids
from kinbench.harmonisation._rotations import continuous
from kinbench.harmonisation._streams import (
    CIRCULAR,
    ROTATIONS,
    BoolArray,
    FloatArray,
    Signal,
    altered,
    even_rate_hz,
    rewrapped,
    stretches,
    unwrapped,
)
from kinbench.recording import Recording
from kinbench.schema import VARIABLES

MAD_TO_SD = 1.4826
"""The standard deviation of a normal variable over its median absolute deviation."""
LOCAL_SAMPLES = 101
OWN_SAMPLES = 5
"""About a sample, this many second differences give the local standard deviation, less its own and its neighbours'."""
ECHO = 0.25
"""A lone wrong value makes second differences 1, -2, 1 times itself; a neighbour's must be at least this share."""


def remove_spikes(
    recording: Recording, *, sd: float = 6.0, bridge_samples: int = 0, variables: Sequence[str] = ("acc", "gyr")
) -> Recording:
    """Return the recording without lone samples whose second difference is beyond ``sd`` standard deviations.

    The rule of Brough et al. 2025, and what it needs to leave gait alone: by itself, against a robust standard
    deviation, it takes a tenth to a quarter of clean walking. So the standard deviation is the greater of the robust
    one of the whole axis (1.4826 times the median absolute deviation) and that of the 101 samples about the one
    judged, without its own neighbourhood; and a spike is one sample: the second differences of both neighbours oppose
    its own, and each is a quarter to all of it. A heel's impact lasts longer. On clean recordings worn by people this
    takes less than 0.5 % of a foot's samples and less than 0.3 % of any other's.

    All axes of a sensor (segment, plate) go with the one that has a spike. They become NaN, or, up to
    ``bridge_samples`` side by side, are interpolated linearly from their neighbours. ``valid`` stays as it is: it
    speaks of the whole sensor, NaN of the one signal. The step counts what was removed, per variable and column.

    Raises ``UsageError`` for an ``sd`` that is not positive or a variable that cannot be taken (quaternions),
    ``DataError`` where the recording has none of the variables.
    """
    if not sd > 0 or bridge_samples < 0:
        raise UsageError(f"remove_spikes needs sd above 0 and bridge_samples from 0, got {sd:g} and {bridge_samples}")
    allowed = [name for name in VARIABLES if name not in ROTATIONS]
    removed: dict[str, dict[str, int]] = {}

    def remove(signal: Signal) -> None:
        for at, label in enumerate(signal.labels):
            column, known = signal.values[:, at].copy(), signal.known[:, at]
            if signal.name in CIRCULAR:
                column[known] = unwrapped(column[known])
            wrong = _spikes(signal.time_s, column, known, sd)
            if wrong.any():
                removed.setdefault(signal.name, {})[label] = int(wrong.sum())
                signal.values[wrong, at] = _mended(signal.time_s, column, known, wrong, bridge_samples)[wrong]

    return altered(recording, "remove_spikes", variables, allowed, remove).with_step(
        "remove_spikes", sd=sd, bridge_samples=bridge_samples, variables=list(variables), removed=removed
    )


def _spikes(time_s: FloatArray, values: FloatArray, known: BoolArray, sd: float) -> BoolArray:
    """Return (n,): the lone samples far off in any axis of (n, component) values."""
    found = np.zeros(known.size, dtype=bool)
    while True:  # a spike beside a greater one shows when that is gone
        more = _lone(time_s, values, known & ~found, sd)
        if not more.any():
            return found
        found |= more


def _lone(time_s: FloatArray, values: FloatArray, known: BoolArray, sd: float) -> BoolArray:
    bend = np.full(values.shape, np.nan)
    for start, stop in stretches(time_s, known):
        bend[start + 1 : stop - 1] = np.diff(values[start:stop], n=2, axis=0)
    judged = np.isfinite(bend).all(axis=1)
    if judged.sum() <= OWN_SAMPLES:
        return np.zeros(known.size, dtype=bool)
    spread = np.maximum(MAD_TO_SD * np.median(np.abs(bend[judged]), axis=0), _local_sd(bend, judged))
    own = np.nan_to_num(bend)
    before, after = (np.roll(own, by, axis=0) for by in (1, -1))
    lone = np.abs(own) > sd * spread
    for beside in (before, after):
        ratio = np.divide(-beside, own, out=np.zeros_like(own), where=own != 0)
        lone &= (ratio >= ECHO) & (ratio <= 1.0)
    return np.asarray((lone & (spread > 0)).any(axis=1) & judged, dtype=bool)


def _local_sd(bend: FloatArray, judged: BoolArray) -> FloatArray:
    """Return (n, component): the root mean square of the judged second differences about each sample, but its own."""
    squares, counts = np.nan_to_num(bend) ** 2, judged.astype(np.float64)[:, None]
    wide, own = (
        [uniform_filter1d(x, size, axis=0, mode="constant") * size for x in (squares, counts)]
        for size in (LOCAL_SAMPLES, OWN_SAMPLES)
    )
    total, number = wide[0] - own[0], wide[1] - own[1]
    return np.sqrt(np.clip(total, 0.0, None) / np.clip(number, 1.0, None))


def _mended(
    time_s: FloatArray, values: FloatArray, known: BoolArray, wrong: BoolArray, bridge_samples: int
) -> FloatArray:
    """Return the values with NaN where wrong, or the line between good neighbours where few are wrong side by side."""
    done = np.where(wrong[:, None], np.nan, values)
    good = known & ~wrong
    for start, stop in stretches(time_s, wrong):
        inside = start > 0 and stop < good.size and good[start - 1] and good[stop]
        if inside and stop - start <= bridge_samples:
            done[start:stop] = grids.interpolate(time_s[good], values[good], time_s[start:stop])
    return done


def smooth_savgol(
    recording: Recording, *, window_s: float, order: int, variables: Sequence[str] = ("acc", "gyr")
) -> Recording:
    """Return the recording smoothed by least-squares polynomials (Savitzky and Golay 1964), without delay.

    The window is the odd number of samples nearest to ``window_s``. Each stretch of known samples is smoothed by
    itself, its ends by the polynomial of the first and the last window; one shorter than the window stays as it is
    and is counted. Quaternions are smoothed by component, with continuous signs, and made units again; angles go
    round the circle. Missing samples stay missing.

    Raises ``UsageError`` for a window of no more samples than ``order``, and ``DataError`` where the recording has
    none of the variables or a clock is not even (resample first).
    """
    left = 0
    windows: dict[str, int] = {}

    def smooth(signal: Signal) -> None:
        nonlocal left
        windows[signal.stream] = length = _odd(window_s * even_rate_hz(recording, signal.stream))
        if not 0 <= order < length:
            raise UsageError(
                f"smooth_savgol needs an order from 0 to less than the window, and got order {order} with {length} "
                f"samples ({window_s:g} s of the {signal.stream})"
            )
        for at in range(len(signal.labels)):
            for start, stop in stretches(signal.time_s, signal.known[:, at]):
                if stop - start < length:
                    left += stop - start
                else:
                    part = signal.values[start:stop, at]
                    signal.values[start:stop, at] = _smoothed(signal.name, part, length, order)

    return altered(recording, "smooth_savgol", variables, VARIABLES, smooth).with_step(
        "smooth_savgol",
        window_s=window_s,
        order=order,
        variables=list(variables),
        window_samples=windows,
        left_as_they_were=left,
    )


def _odd(samples: float) -> int:
    return max(1, 2 * round((samples - 1) / 2) + 1)


def _smoothed(name: str, values: FloatArray, length: int, order: int) -> FloatArray:
    straight = continuous(values) if name in ROTATIONS else unwrapped(values) if name in CIRCULAR else values
    smooth = np.asarray(savgol_filter(straight, length, order, axis=0, mode="interp"), dtype=np.float64)
    if name in ROTATIONS:
        return np.asarray(smooth / np.linalg.norm(smooth, axis=1, keepdims=True), dtype=np.float64)
    return rewrapped(smooth, values) if name in CIRCULAR else smooth
