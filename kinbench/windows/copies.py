"""The same motion under two names, whatever was done to it: turned, mirrored, its axes exchanged, scaled, resampled.

None of these changes when the peaks of a sensor's turning speed come, nor how high they are to each other. Nine peaks
in a row, the middle one the highest, are a point: their eight intervals over the mean interval and their nine heights
over the mean height. Copies lie together (half of them within 0.017 where real recordings were resampled from 100 to
60 Hz or given 2 % of noise); two recordings, of other people or of one, do not (0.059 at least among 19,642 points,
whichever peak is highest, of 41 real and simulated recordings of 21 people). Three points in a row must agree. Movement
that repeats itself, as of a machine or a simple simulation, cannot tell, and is passed over; so is a copy shorter than
its three highest peaks and their neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, find_peaks, sosfiltfilt
from scipy.spatial import cKDTree

from kinbench.recording import Span
from kinbench.tasks import Task
from kinbench.windows.taskdata import Piece, TaskData

FloatArray = NDArray[np.float64]

PEAKS = 9
"""So many peaks in a row are one point."""
ROW = 3
"""So many points in a row must agree."""
NEAR = 0.03
"""Points nearer than that are the same motion: half of the least distance of two recordings."""
REPEATS = 0.06
"""A point that its own recording comes so near to elsewhere cannot tell."""
CUTOFF_HZ = 5.0
FLOOR = 0.2
"""Peaks below this part of the recording's 95th percentile are noise."""
LEAST_S = 3.0


@dataclass(frozen=True, order=True)
class Copy:
    """Two spans of two recordings in which a sensor moves alike, peak for peak."""

    one: Span
    other: Span


@dataclass(frozen=True)
class _Points:
    """Points (m, 17) of many recordings, where each begins and ends (m, 2) in samples, and of which it is one.

    ``series`` tells apart sensors and legs: points of one series stand in the order of time.
    """

    values: FloatArray
    where: NDArray[np.int64]
    key: NDArray[np.int64]
    series: NDArray[np.int64]


def find_copies(stores: Iterable[TaskData]) -> tuple[Copy, ...]:
    """Return all spans of two recordings of some stores that are the same motion, in order."""
    keys: list[str] = []
    parts: list[tuple[FloatArray, NDArray[np.int64], int]] = []
    for data in stores:
        for piece in data.pieces:
            name = str(data.entries[piece.entry].key)
            if name not in keys[-1:]:
                keys.append(name)
            for speed in _speeds(data, piece):
                parts += [(*_points(speed, data.task.rate_hz), len(keys) - 1)]
    points = _joined(parts)
    return tuple(sorted(_agreeing(points, keys)))


def _speeds(data: TaskData, piece: Piece) -> list[FloatArray]:
    """Return, per sensor of one leg, the size of its angular rate (of its acceleration where the task has no other)."""
    signals = data.signals[piece.offset : piece.offset + piece.samples]
    return [np.linalg.norm(signals[:, columns].astype(np.float64), axis=1) for columns in _vectors(data.task)]


def _vectors(task: Task) -> list[list[int]]:
    names = task.channel_names
    channel = next((name for name in ("gyr", "acc") if name in task.channels), None)
    if channel is None:
        return []
    return [[names.index(f"{segment}/{channel}/{axis}") for axis in "xyz"] for segment in task.segments]


def _points(speed: FloatArray, rate_hz: float) -> tuple[FloatArray, NDArray[np.int64]]:
    """Return the points of one sensor, and the samples they span; those that repeat themselves are left out."""
    values, where = [np.empty((0, 2 * PEAKS - 1))], [np.empty((0, 2), dtype=np.int64)]
    finite = np.concatenate([[False], np.isfinite(speed), [False]])
    for start, stop in np.flatnonzero(finite[1:] != finite[:-1]).reshape(-1, 2):
        if stop - start < LEAST_S * rate_hz:
            continue
        at, height = _peaks(speed[start:stop], rate_hz)
        if at.size < PEAKS:
            continue
        intervals = np.lib.stride_tricks.sliding_window_view(np.diff(at), PEAKS - 1)
        heights = np.lib.stride_tricks.sliding_window_view(height, PEAKS)
        highest = np.flatnonzero(heights.argmax(axis=1) == PEAKS // 2)
        intervals, heights = intervals[highest], heights[highest]
        values.append(
            np.concatenate(
                [intervals / intervals.mean(axis=1, keepdims=True), heights / heights.mean(axis=1, keepdims=True)],
                axis=1,
            )
        )
        begun, ended = at[: 1 - PEAKS][highest], at[PEAKS - 1 :][highest] + 1
        where.append(np.stack([begun, ended], axis=1).astype(np.int64) + start)
    every: FloatArray = np.concatenate(values)
    ends: NDArray[np.int64] = np.concatenate(where)
    if len(every) > 1:
        telling = np.asarray(cKDTree(every).query(every, k=2)[0])[:, 1] > REPEATS
        every, ends = every[telling], ends[telling]
    return every, ends


def _peaks(speed: FloatArray, rate_hz: float) -> tuple[FloatArray, FloatArray]:
    """Return where the peaks of a smoothed signal are, between samples, and how high."""
    smooth = sosfiltfilt(butter(4, min(CUTOFF_HZ, 0.45 * rate_hz), fs=rate_hz, output="sos"), speed)
    peaks = find_peaks(smooth)[0]
    peaks = peaks[smooth[peaks] > FLOOR * np.percentile(smooth, 95)]
    before, here, after = smooth[peaks - 1], smooth[peaks], smooth[peaks + 1]
    beside = (before - after) / (2 * (before - 2 * here + after))
    return peaks + beside, here - 0.25 * (before - after) * beside


def _joined(parts: Sequence[tuple[FloatArray, NDArray[np.int64], int]]) -> _Points:
    return _Points(
        np.concatenate([np.empty((0, 2 * PEAKS - 1)), *(values for values, _, _ in parts)]),
        np.concatenate([np.empty((0, 2), dtype=np.int64), *(where for _, where, _ in parts)]),
        np.repeat([key for _, _, key in parts], [len(values) for values, _, _ in parts]).astype(np.int64),
        np.repeat(np.arange(len(parts)), [len(values) for values, _, _ in parts]),
    )


def _agreeing(points: _Points, keys: Sequence[str]) -> list[Copy]:
    """Return the rows of points of two recordings that agree, each as one copy."""
    if len(points.values) < ROW or len(keys) < 2:
        return []
    pairs = cKDTree(points.values).query_pairs(NEAR, output_type="ndarray").astype(np.int64)
    pairs = pairs[points.key[pairs[:, 0]] != points.key[pairs[:, 1]]]
    there = {(int(a), int(b)) for a, b in pairs}
    found = []
    for first, second in sorted(there):
        if _follows(points, (first - 1, second - 1), (first, second)) and (first - 1, second - 1) in there:
            continue
        last = 0
        while (first + last + 1, second + last + 1) in there and _follows(
            points, (first + last, second + last), (first + last + 1, second + last + 1)
        ):
            last += 1
        if last + 1 >= ROW:
            spans = [
                Span(keys[points.key[n]], int(points.where[n, 0]), int(points.where[n + last, 1]))
                for n in (first, second)
            ]
            found.append(Copy(*sorted(spans)))
    return found


def _follows(points: _Points, before: tuple[int, int], after: tuple[int, int]) -> bool:
    """Return whether two pairs of points lie in the same two series."""
    return all(
        one >= 0 and points.series[one] == points.series[other] for one, other in zip(before, after, strict=True)
    )
