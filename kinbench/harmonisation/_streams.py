"""What the steps share: which samples of a stream are known, where they hang together, and how they are put back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench import schema
from kinbench.errors import DataError, UsageError, suggest
from kinbench.recording import Recording

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

ROTATIONS = ("quat", "segment_quat")
CIRCULAR = ("angle",)
UNEVEN = 0.1
"""A clock is even within a stretch where no step departs further than this, in samples, from the median one."""


def streams_of(recording: Recording) -> dict[str, xr.Dataset]:
    """Return the streams that there are, by name."""
    both = {"imu": recording.imu, "reference": recording.reference}
    return {name: stream for name, stream in both.items() if stream is not None}


def with_streams(recording: Recording, streams: dict[str, xr.Dataset]) -> Recording:
    """Return the recording with these streams in place of its own."""
    return replace(
        recording, imu=streams.get("imu", recording.imu), reference=streams.get("reference", recording.reference)
    )


def chosen(recording: Recording, step: str, variables: Sequence[str], allowed: Iterable[str]) -> list[tuple[str, str]]:
    """Return (stream, variable) of those named that the recording has.

    Raises ``UsageError`` for one that the step cannot take, and ``DataError`` where the recording has none of them.
    """
    takes = tuple(allowed)
    for name in variables:
        if name not in takes:
            raise UsageError(f"{step} takes {', '.join(takes)}, and not {name!r};{suggest(name, takes)}")
    streams = streams_of(recording)
    found: list[tuple[str, str]] = [
        (where, name)
        for name in variables
        if (where := schema.VARIABLES[name].stream) in streams and name in streams[where]
    ]
    if not found:
        raise DataError(
            f"{step} asks for {', '.join(variables)}, and the recording has none of them", where=recording.key
        )
    return found


@dataclass(frozen=True)
class Signal:
    """One variable of a stream, as a step takes it.

    ``values`` (n, column, component) are a copy, to be changed in place; ``known`` (n, column); ``labels`` those of
    the columns: sensors, DoFs, segments or plates.
    """

    stream: str
    name: str
    labels: tuple[str, ...]
    time_s: FloatArray
    values: FloatArray
    known: BoolArray


def altered(
    recording: Recording,
    step: str,
    variables: Sequence[str],
    allowed: Iterable[str],
    alter: Callable[[Signal], None],
) -> Recording:
    """Return the recording with what ``alter`` makes of each of the variables named; raises as ``chosen``."""
    streams = streams_of(recording)
    for where, name in chosen(recording, step, variables, allowed):
        stream = streams[where]
        time_s = np.asarray(stream["time"].values, dtype=np.float64)
        values = cells(stream[name].values).copy()
        alter(Signal(where, name, tuple(columns_of(stream, name)), time_s, values, known_cells(stream, name)))
        streams[where] = put(stream, name, values)
    return with_streams(recording, streams)


def columns_of(stream: xr.Dataset, name: str) -> list[str]:
    """Return the names along a variable's second dimension: its sensors, DoFs, segments or plates."""
    dim = str(stream[name].dims[1])
    return (
        [str(label) for label in stream[dim].values]
        if dim in stream.coords
        else [str(index) for index in range(stream.sizes[dim])]
    )


def cells(values: NDArray[np.floating]) -> FloatArray:
    """Return (n, column, component) float64 of a variable's values; an angle has one component."""
    wide = np.asarray(values, dtype=np.float64)
    return wide[:, :, None] if wide.ndim == 2 else wide


def believed(stream: xr.Dataset, name: str) -> BoolArray:
    """Return (n, column): False where ``valid`` speaks against a variable's column."""
    shape = stream[name].shape[:2]
    if "valid" not in stream:
        return np.ones(shape, dtype=bool)
    mask = stream["valid"]
    if mask.ndim == 1:
        return np.repeat(np.asarray(mask.values, dtype=bool)[:, None], shape[1], axis=1)
    same = mask.dims[1] == stream[name].dims[1]
    return np.array(mask.values, dtype=bool) if same else np.ones(shape, dtype=bool)


def known_cells(stream: xr.Dataset, name: str) -> BoolArray:
    """Return (n, column): where a variable has a value that ``valid`` does not speak against."""
    values = cells(stream[name].values)
    there = np.isfinite(values).all(axis=2)
    if name in ROTATIONS:
        there &= np.abs(values).sum(axis=2) > 0
    return np.asarray(there & believed(stream, name), dtype=bool)


def put(stream: xr.Dataset, name: str, values: FloatArray) -> xr.Dataset:
    """Return the stream with other values (n, column, component) of one variable, in its own precision."""
    array = stream[name]
    return stream.assign({name: array.copy(data=values.reshape(array.shape).astype(array.dtype))})


def stretches(time_s: FloatArray, known: BoolArray) -> list[tuple[int, int]]:
    """Return [start, stop) of the runs of known samples that no hole in the clock parts."""
    if known.size == 0:
        return []
    steps = np.diff(time_s)
    joined = np.concatenate([[False], steps <= 1.5 * np.median(steps)]) if steps.size else np.array([False])
    starts = known & ~(joined & np.concatenate([[False], known[:-1]]))
    ends = known & ~np.concatenate([(joined[1:] & known[1:]), [False]])
    return list(zip(np.flatnonzero(starts).tolist(), (np.flatnonzero(ends) + 1).tolist(), strict=True))


def even_rate_hz(recording: Recording, where: str) -> float:
    """Return the rate of a stream's clock; raises ``DataError`` where the clock is not even between its holes."""
    time_s = np.asarray(streams_of(recording)[where]["time"].values, dtype=np.float64)
    if time_s.size < 2:
        raise DataError(
            f"expected a stream of two samples or more, found {time_s.size}", where=f"{recording.key}/{where}"
        )
    steps = np.diff(time_s)
    median = float(np.median(steps))
    near = steps[steps <= 1.5 * median]
    if np.abs(near - median).max() > UNEVEN * median:
        raise DataError(
            f"expected an even clock, found steps from {near.min() * 1e3:.2f} to {near.max() * 1e3:.2f} ms; "
            "resample it first",
            where=f"{recording.key}/{where}",
        )
    return 1.0 / median


def unwrapped(angles_deg: FloatArray) -> FloatArray:
    """Return angles (n, 1) in degrees without jumps of a whole turn."""
    return np.asarray(np.unwrap(angles_deg, period=360.0, axis=0), dtype=np.float64)


def rewrapped(angles_deg: FloatArray, near_deg: FloatArray) -> FloatArray:
    """Return angles moved by whole turns to where each is nearest to another one, whose count of turns it takes."""
    return np.asarray(angles_deg - 360.0 * np.round((angles_deg - near_deg) / 360.0), dtype=np.float64)
