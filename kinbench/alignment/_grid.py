"""One uniform grid for both streams, whole multiples of 1/rate on the imu's clock, and one zero-phase low-pass."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.interpolate import Akima1DInterpolator
from scipy.ndimage import binary_dilation
from scipy.signal import butter, sosfiltfilt

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

CUTOFF_HZ = 12.0
"""Low-pass of both sides. Joint rates have nearly all their power below 6 Hz; what lies above it, up to where skin and
markers rattle, is what makes the peak sharp: on a marker-IK treadmill trial the lags of the joints of one body agree
within half a sample at 12 Hz and only within two at 3 Hz."""

GUARD_S = 0.15
"""Samples this near to a missing or masked one are left out: the low-pass has forgotten the hole by then."""

MAX_GAP_S = 0.1
"""A hole in a time axis longer than this counts as missing; a shorter one is bridged."""

GRID_LIMIT_HZ = 200.0
MIN_SAMPLES = 4


@dataclass(frozen=True)
class Grid:
    """The uniform grid of both sides, whole multiples of 1/rate on the imu's declared clock, and their low-pass."""

    rate_hz: float
    cutoff_hz: float

    @classmethod
    def of(cls, imu: xr.Dataset, reference: xr.Dataset, *, cutoff_hz: float = CUTOFF_HZ) -> Grid:
        """Return the faster stream's rate, up to 200 Hz, and a low-pass that both streams can bear."""
        rates = [float(1.0 / np.median(np.diff(stream["time"].values))) for stream in (imu, reference)]
        rate_hz = min(GRID_LIMIT_HZ, max(rates))
        return cls(rate_hz, min(cutoff_hz, 0.4 * min(*rates, rate_hz)))


def valid_column(stream: xr.Dataset, column: int) -> BoolArray:
    """Return (n,): where ``valid`` does not speak against a sensor or DoF."""
    if "valid" not in stream:
        return np.ones(stream.sizes["time"], dtype=bool)
    mask = np.asarray(stream["valid"].values, dtype=bool)
    return mask if mask.ndim == 1 else mask[:, column]


def on_grid(
    time: FloatArray, values: FloatArray, known: BoolArray, on: Grid, *, derive: bool = False
) -> tuple[FloatArray, BoolArray, int]:
    """Return low-passed values on the grid of whole multiples of 1/rate, which of them count, and the first number.

    With ``derive`` the values are those of the derivative. Holes are bridged for the filter's sake only; what was
    bridged, and its neighbourhood, does not count.
    """
    rate_hz = on.rate_hz
    if known.sum() < MIN_SAMPLES:
        return np.zeros((0, values.shape[1])), np.zeros(0, dtype=bool), 0
    known_time = time[known]
    start, stop = int(np.ceil(known_time[0] * rate_hz)), int(np.floor(known_time[-1] * rate_hz)) + 1
    grid = np.arange(start, stop) / rate_hz
    bridged = np.stack([np.interp(time, known_time, column[known]) for column in values.T], axis=1)
    curve = Akima1DInterpolator(time, bridged, method="makima")
    inside = np.clip(grid, time[0], time[-1])
    sos = _low_pass(on.cutoff_hz, rate_hz)
    resampled = curve(inside)
    if len(grid) <= 3 * (2 * len(sos) + 1):
        return np.zeros((0, values.shape[1])), np.zeros(0, dtype=bool), 0
    smooth = sosfiltfilt(sos, resampled, axis=0)
    if derive:
        smooth = np.gradient(smooth, 1.0 / rate_hz, axis=0)
    return smooth, counts(known_time, grid, rate_hz), start


@cache
def _low_pass(cutoff_hz: float, rate_hz: float) -> FloatArray:
    return np.asarray(butter(4, cutoff_hz, fs=rate_hz, output="sos"), dtype=np.float64)


def counts(known_time: FloatArray, grid: FloatArray, rate_hz: float) -> BoolArray:
    """Say which grid samples stand away from every hole and from both ends."""
    after = np.clip(np.searchsorted(known_time, grid), 1, len(known_time) - 1)
    hole = known_time[after] - known_time[after - 1]
    typical = np.median(np.diff(known_time))
    missing = np.pad(hole > max(MAX_GAP_S, 1.5 * typical), 1, constant_values=True)
    guard = 2 * round(GUARD_S * rate_hz) + 1
    return np.asarray(~binary_dilation(missing, structure=np.ones(guard, dtype=bool))[1:-1], dtype=bool)
