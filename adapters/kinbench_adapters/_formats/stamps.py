"""Put sensors whose samples bear the time stamps of one clock on one grid, whatever each one's counter says.

Devices that number their samples from 1 and stamp them on a shared clock are together only by their stamps: rows of one
number may be an instant apart, and then a join by counter would be wrong without a sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench_adapters._formats.clock import LOST_ALLOWED

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

OFF_GRID = 0.25
"""How far a stamp may lie from its place, in samples: beyond it, the sensors are not of one clock or not regular."""

CONSTANT = 0.05
"""Largest spread, in samples, of a remainder that is an offset of the sensor's clock and not its jitter."""

RATE_TOLERANCE = 0.005


@dataclass(frozen=True)
class Grid:
    """One clock for several sensors: row ``k`` is at ``start_s + k * step_s`` seconds.

    ``rows`` gives by sensor the row of each of its samples, rising; row 0 is somebody's first sample. ``offset_s`` is
    what remains of a sensor's stamps beyond its rows where that is constant, else 0.
    """

    start_s: float
    step_s: float
    rows: dict[str, IntArray]
    offset_s: dict[str, float]


def grid_of(stamps: Mapping[str, FloatArray]) -> Grid:
    """Return the grid of several sensors' stamps, each (n,) in seconds, finite and rising, at least two.

    Its step is that of the longest sensor, its phase that of the first. Raises ``DataError`` naming the sensors (all
    problems at once) where two run at different rates, a stamp is more than a quarter of a sample off the grid, two
    stamps of one sensor meet one row, more is missing than there is, or a sensor's span does not overlap the others'.
    """
    steps = {name: _step_s(time) for name, time in stamps.items()}
    longest = max(stamps, key=lambda name: stamps[name].size)
    step_s = steps[longest]
    problems = [
        f"sensor {name}: its stamps run at {1 / own:.3f} Hz, those of {longest} at {1 / step_s:.3f} Hz; sensors of two "
        "rates are no one recording: export them again at one rate"
        for name, own in steps.items()
        if abs(own - step_s) > RATE_TOLERANCE * step_s
    ]
    if not problems:
        problems = _span_problems(stamps)
    if problems:
        raise DataError(problems)
    origin_s = float(next(iter(stamps.values()))[0])
    places = {name: (time - origin_s) / step_s for name, time in stamps.items()}
    rows = {name: np.round(place).astype(np.int64) for name, place in places.items()}
    problems = [text for name in stamps for text in _grid_problems(name, stamps[name], places[name], rows[name])]
    if problems:
        raise DataError(problems)
    first = min(int(own[0]) for own in rows.values())
    return Grid(
        origin_s + first * step_s, step_s, {name: own - first for name, own in rows.items()},
        {name: _constant(places[name] - rows[name]) * step_s for name in stamps},
    )  # fmt: skip


def _step_s(time: FloatArray) -> float:
    """Return the mean step, gaps apart: stamps in whole milliseconds have a median that is off by their rounding."""
    steps = np.diff(time)
    return float((time[-1] - time[0]) / np.round(steps / np.median(steps)).sum())


def _span_problems(stamps: Mapping[str, FloatArray]) -> list[str]:
    if max(time[0] for time in stamps.values()) <= min(time[-1] for time in stamps.values()):
        return []
    spans = ", ".join(f"{name} {time[0]:.3f} to {time[-1]:.3f} s" for name, time in stamps.items())
    return [f"the sensors' time stamps do not overlap ({spans}); they are not of one trial, or not of one clock"]


def _grid_problems(name: str, time: FloatArray, place: FloatArray, rows: IntArray) -> list[str]:
    off = np.abs(place - rows)
    wrong = np.flatnonzero(off > OFF_GRID)
    if wrong.size:
        return [
            f"sensor {name}: the times of {wrong.size} samples, the first of sample {wrong[0]} at {time[wrong[0]]:.6f} "
            f"s, are up to {off.max():.2f} of a sample off the sensors' common grid, at most {OFF_GRID} is allowed; "
            "their clocks are not one clock, or stumble: export them again, synchronised"
        ]
    met = np.flatnonzero(np.diff(rows) < 1)
    if met.size:
        return [
            f"sensor {name}: samples {met[0]} and {met[0] + 1} ({time[met[0]]:.6f} and {time[met[0] + 1]:.6f} s) are "
            "of one instant on the sensors' grid, expected one sample each; packets are doubled: export them again"
        ]
    lost = int(rows[-1] - rows[0]) + 1 - rows.size
    if lost > max(rows.size, LOST_ALLOWED):
        return [
            f"sensor {name}: its time stamps leave out {lost} samples against {rows.size} received, most after "
            f"{time[np.argmax(np.diff(rows))]:.3f} s; more is missing than there is: check the stamps there, or split "
            "the recording"
        ]
    return []


def _constant(remainder: FloatArray) -> float:
    """Return the remainder, in samples, that all of a sensor's stamps share; 0 where they share none."""
    shared = float(np.median(remainder))
    spread = float(np.abs(remainder - shared).max())
    return shared if spread <= CONSTANT and abs(shared) > max(spread, 1e-6) else 0.0
