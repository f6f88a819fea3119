"""Both streams of a recording on even clocks of one rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench.errors import DataError, UsageError, suggest
from kinbench.harmonisation import grids
from kinbench.harmonisation._rotations import continuous
from kinbench.harmonisation._streams import (
    CIRCULAR,
    ROTATIONS,
    BoolArray,
    FloatArray,
    believed,
    cells,
    known_cells,
    rewrapped,
    streams_of,
    unwrapped,
    with_streams,
)
from kinbench.recording import Recording

METHODS = ("polyphase", "linear")
JITTER = 0.01
"""How far, in samples, a clock may depart from an even one, and the filtered grid from the one promised."""
_SAME_TIME = 1e-6
"""A clock is already the one asked for when no sample stands further than this, in samples, from it."""


def resample(recording: Recording, rate_hz: float, *, method: str = "polyphase", max_gap_s: float = 0.05) -> Recording:
    """Return the recording with both streams at ``rate_hz``.

    Sample k of a stream stands at its first time + k / ``rate_hz``; nothing is shifted. ``polyphase`` is anti-aliased
    (a linear-phase Kaiser window, its half-power point at the lower Nyquist frequency, applied without delay);
    ``linear`` interpolates and aliases, as in Tan et al. 2024, Hur et al. 2025 and Brough et al. 2025. Clocks whose
    rate stands in no ratio of small whole numbers to ``rate_hz``, and uneven ones, are interpolated linearly onto a
    finer grid first. Quaternions are taken with continuous signs, filtered by component and made units again (linear:
    along the shorter arc); angles go round the circle, and keep their count of turns.

    Missing values up to ``max_gap_s`` are bridged, longer gaps stay NaN, and ``valid`` False; what ``valid`` masks in
    the reference is never bridged. A recording that is at that rate already comes back as it is.

    Raises ``UsageError`` for a rate that is not positive or an unknown method, and ``DataError`` for a stream with
    fewer than two samples or a clock that does not increase.
    """
    _require(rate_hz, method, max_gap_s)
    streams = streams_of(recording)
    changed = {}
    for where, stream in streams.items():
        time_s = _clock(recording, where, stream)
        if not _on_grid(time_s, rate_hz):
            changed[where] = _resampled(stream, time_s, rate_hz, method, max_gap_s, bridges_masks=where == "imu")
    if not changed:
        return recording
    native = {where: round(grids.measured_rate_hz(streams[where]["time"].values), 6) for where in changed}
    rates = dict(recording.attrs.get("rates") or {})
    for where in changed:
        rates[where] = {**rates.get(where, {}), "nominal_hz": rate_hz, "measured_hz": rate_hz, "regular": True}
    done = with_streams(recording, changed).with_attrs(rates=rates)
    return done.with_step("resample", rate_hz=rate_hz, method=method, max_gap_s=max_gap_s, native_hz=native)


def _require(rate_hz: float, method: str, max_gap_s: float) -> None:
    if not rate_hz > 0:
        raise UsageError(f"resample needs a rate above 0 Hz, and got {rate_hz:g}")
    if method not in METHODS:
        raise UsageError(f"resample knows no method {method!r}.{suggest(method, METHODS)}")
    if max_gap_s < 0:
        raise UsageError(f"resample needs a max_gap_s of 0 or more, and got {max_gap_s:g}")


def _clock(recording: Recording, where: str, stream: xr.Dataset) -> FloatArray:
    time_s = np.asarray(stream["time"].values, dtype=np.float64)
    if time_s.size < 2 or not (np.diff(time_s) > 0).all():
        raise DataError(
            f"expected a clock of two samples or more that increases from sample to sample, found {time_s.size} samples"
            f"{', with steps back' if time_s.size > 1 else ''}",
            where=f"{recording.key}/{where}",
        )
    return time_s


def _on_grid(time_s: FloatArray, rate_hz: float) -> bool:
    even = time_s[0] + np.arange(time_s.size) / rate_hz
    return bool(np.abs(time_s - even).max() * rate_hz <= _SAME_TIME)


def _resampled(
    stream: xr.Dataset, time_s: FloatArray, rate_hz: float, method: str, max_gap_s: float, *, bridges_masks: bool
) -> xr.Dataset:
    since_s = time_s - time_s[0]
    way = grids.plan(since_s, rate_hz, max_gap_s, jitter=JITTER)
    grid_s = np.arange(way.samples) / rate_hz
    period_s = 1.0 / way.native_hz
    done: dict[str, Any] = {}
    for name, array in stream.data_vars.items():
        if "time" not in array.dims:
            continue
        if name == "valid":
            masks = np.asarray(array.values, dtype=bool).reshape(time_s.size, -1)
            kept = np.stack([grids.covered(since_s[m], grid_s, period_s, max_gap_s) for m in masks.T], axis=1)
            if not bridges_masks:
                kept &= ~_beside(masks, since_s, grid_s)
            values = kept.reshape((way.samples, *array.shape[1:]))
        else:
            known = known_cells(stream, str(name))
            columns = [
                _column(str(name), way, since_s, cells(array.values)[:, at], known[:, at], method, max_gap_s)
                for at in range(known.shape[1])
            ]
            wide = np.stack(columns, axis=1)
            if not bridges_masks:
                wide[_beside(believed(stream, str(name)), since_s, grid_s)] = np.nan
            values = wide.reshape((way.samples, *array.shape[1:])).astype(array.dtype)
        done[str(name)] = (array.dims, values, array.attrs)
    clock = ("time", time_s[0] + grid_s, dict(stream["time"].attrs))
    return stream.drop_dims("time").assign_coords(time=clock).assign(done)


def _beside(masks: BoolArray, since_s: FloatArray, grid_s: FloatArray) -> BoolArray:
    """Return (m, column): grid samples at, or between neighbours of which one is at, a masked sample of (n, column)."""
    return np.asarray(grids.interpolate(since_s, (~masks).astype(np.float64), grid_s) > 0, dtype=bool)


def _column(
    name: str,
    way: grids.Plan,
    since_s: FloatArray,
    values: FloatArray,
    known: BoolArray,
    method: str,
    max_gap_s: float,
) -> FloatArray:
    """Return (m, component) of one sensor's, segment's or DoF's (n, component), NaN where nothing reaches."""
    grid_s = np.arange(way.samples) / way.rate_hz
    reached = grids.covered(since_s[known], grid_s, 1.0 / way.native_hz, max_gap_s)
    if not reached.any():
        return np.full((way.samples, values.shape[1]), np.nan)
    straight = values.copy()
    if name in ROTATIONS:
        straight[known] = continuous(values[known])
    elif name in CIRCULAR:
        straight[known] = unwrapped(values[known])
    if method == "linear":
        way_between = _slerp if name in ROTATIONS else grids.interpolate
        done = way_between(since_s[known], straight[known], grid_s)
    else:
        done = grids.onto_grid(way, since_s, straight, known)
    if name in ROTATIONS:
        done = done / np.linalg.norm(done, axis=1, keepdims=True)
    elif name in CIRCULAR:
        done = rewrapped(done, values[known][_nearest(since_s[known], grid_s)])
    return np.where(reached[:, None], done, np.nan)


def _slerp(since_s: FloatArray, quaternions: FloatArray, at_s: FloatArray) -> FloatArray:
    """Return (m, 4) at other times, along the arc between sign-continuous neighbours; the ends are held."""
    if since_s.size == 1:
        return np.repeat(quaternions, at_s.size, axis=0)
    right = np.clip(np.searchsorted(since_s, at_s, side="right"), 1, since_s.size - 1)
    before, after = quaternions[right - 1], quaternions[right]
    part = np.clip((at_s - since_s[right - 1]) / (since_s[right] - since_s[right - 1]), 0.0, 1.0)[:, None]
    half = np.arccos(np.clip(np.sum(before * after, axis=1, keepdims=True), -1.0, 1.0))
    near = half < 1e-6
    whole = np.where(near, 1.0, np.sin(half))
    start = np.where(near, 1.0 - part, np.sin((1.0 - part) * half) / whole)
    stop = np.where(near, part, np.sin(part * half) / whole)
    return np.asarray(start * before + stop * after, dtype=np.float64)


def _nearest(since_s: FloatArray, at_s: FloatArray) -> NDArray[np.intp]:
    right = np.clip(np.searchsorted(since_s, at_s), 1, max(1, since_s.size - 1))
    if since_s.size == 1:
        return np.zeros(at_s.size, dtype=np.intp)
    return np.where(at_s - since_s[right - 1] <= since_s[right] - at_s, right - 1, right)
