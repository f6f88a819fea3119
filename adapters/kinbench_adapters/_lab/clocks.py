"""Seconds: the clock of one stream from a packet counter, from a column of times, or from a declared rate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench_adapters._formats.clock import Joined
from kinbench_adapters._formats.stamps import Grid
from kinbench_adapters._lab.grammar.files import TIME_UNITS, TimeColumn
from kinbench_adapters._lab.tables import Table

FloatArray = NDArray[np.float64]

_RATE_TOLERANCE = 0.005

APART = (
    "with one file per sensor and stamps of one clock, declare 'time: {column, unit}'; declare 'counter:' only if all "
    "sensors count together, so that equal numbers are one instant; else export them again"
)
"""What to do about files whose rows are not of one instant. A counter that each device starts anew misplaces them."""


@dataclass(frozen=True)
class Clock:
    """Times of one stream in seconds, what ``attrs['rates']`` says of them, and what counter or stamps mended."""

    time: FloatArray
    rates: dict[str, Any]
    mended: dict[str, Any] = field(default_factory=dict)


def counted_clock(joined: Joined, rate_hz: float | None, start_s: float | None) -> Clock:
    """Return the clock of sensors that a packet counter has put in place."""
    if rate_hz is None:
        raise DataError("the files do not tell their rate; declare 'imu: rate_hz:' in the manifest")
    lost = {name: report.lost for name, report in joined.reports.items() if report.lost}
    rates = {"nominal_hz": rate_hz, "measured_hz": rate_hz, "regular": True, "lost": sum(lost.values())}
    mended = {
        name: {**report.plain(), "conflicting": joined.conflicting[name]}
        for name, report in joined.reports.items()
        if report.doubled or report.lost or report.wraps
    }
    time = (start_s or 0.0) + np.arange(len(joined.counter), dtype=np.float64) / rate_hz
    return Clock(time, rates, {"counter": mended} if mended else {})


def stamped_clock(grid: Grid, joined: Joined, rate_hz: float | None, start_s: float | None) -> Clock:
    """Return the clock of sensors that their time stamps have put in place."""
    measured_hz = 1.0 / grid.step_s
    if rate_hz is not None and abs(measured_hz - rate_hz) > _RATE_TOLERANCE * rate_hz:
        raise DataError(
            f"the sensors' clock runs at {measured_hz:.3f} Hz, {rate_hz:g} Hz is declared (0.5 % is allowed); correct "
            "'rate_hz' or the unit of time"
        )
    size = len(joined.counter)
    mended = {
        name: {
            "rows": report.received,
            "lost": report.lost,
            "missing_at_ends": size - report.received - report.lost,
            "first_s": round(grid.start_s + int(grid.rows[name][0]) * grid.step_s + grid.offset_s[name], 6),
            "clock_offset_s": round(grid.offset_s[name], 9),
        }
        for name, report in joined.reports.items()
    }
    nominal_hz = rate_hz if rate_hz is not None else round(measured_hz, 3)
    lost = sum(report.lost for report in joined.reports.values())
    rates = {"nominal_hz": nominal_hz, "measured_hz": round(measured_hz, 6), "regular": True, "lost": lost}
    time = (grid.start_s if start_s is None else start_s) + np.arange(size, dtype=np.float64) * grid.step_s
    return Clock(time, rates, {"time_stamps": mended})


def stamps_of(table: Table, column: TimeColumn) -> FloatArray:
    """Return a table's time stamps in seconds; raises ``DataError`` where one is missing or they do not rise."""
    time = table.single(column.column) * TIME_UNITS[column.unit]
    _refuse_bad_times(table.path, time)
    return time


def same_instants(stamps: Iterable[FloatArray]) -> bool:
    """Whether row by row the samples are of one instant, to half a sample."""
    first, *others = stamps
    reach = 0.5 * float(np.median(np.diff(first)))
    return all(time.size == first.size and float(np.abs(time - first).max()) <= reach for time in others)


def common_clock(
    tables: Mapping[Path, Table], column: TimeColumn | None, rate_hz: float | None, start_s: float | None
) -> Clock:
    """Return the one clock of files whose rows are of one instant."""
    clocks = {path: _clock(table, column, rate_hz, start_s) for path, table in tables.items()}
    (first_path, first), *others = clocks.items()
    step = 1.0 / first.rates["measured_hz"]
    for path, clock in others:
        apart = float(np.abs(clock.time - first.time).max())
        if apart > 0.5 * step:
            raise DataError(
                f"{path.name} and {first_path.name} are rows of one recording, but their times differ by up to "
                f"{apart:.3f} s; {APART}"
            )
    return first


def _clock(table: Table, column: TimeColumn | None, rate_hz: float | None, start_s: float | None) -> Clock:
    told = table.time
    if column is not None:
        told = table.single(column.column) * TIME_UNITS[column.unit]
    rate_hz = agreed_rate(rate_hz, table.rate_hz, f"the header of {table.path.name}")
    if told is None and rate_hz is None:
        raise DataError("the file holds no clock; declare 'rate_hz:' or 'time:' in the manifest", where=table.path)
    if told is None:
        time = (start_s or 0.0) + np.arange(table.rows, dtype=np.float64) / (rate_hz or 1.0)
        return Clock(time, {"nominal_hz": rate_hz, "measured_hz": rate_hz, "regular": True, "lost": 0})
    _refuse_bad_times(table.path, told)
    time = told if start_s is None else told - told[0] + start_s
    return Clock(time, _measured(table.path, told, rate_hz, regular=column is None or column.regular))


def agreed_rate(declared: float | None, told: float | None, where: str) -> float | None:
    """Return the rate declared or told; raises ``DataError`` where the two differ by more than half a percent."""
    if declared is not None and told is not None and abs(declared - told) > _RATE_TOLERANCE * told:
        raise DataError(f"the manifest says {declared:g} Hz, {where} {told:g} Hz; correct 'rate_hz' or leave it out")
    return declared if declared is not None else told


def _refuse_bad_times(path: Path, time: FloatArray) -> None:
    if time.size < 2:
        raise DataError(f"holds {time.size} sample, expected at least 2", where=path)
    if not np.isfinite(time).all():
        raise DataError(f"the time of sample {int(np.argmin(np.isfinite(time)))} is missing", where=path)
    steps = np.diff(time)
    if (steps <= 0).any():
        row = int(np.argmax(steps <= 0))
        raise DataError(
            f"the time does not rise at {int((steps <= 0).sum())} samples, first from {time[row]:g} s to "
            f"{time[row + 1]:g} s (sample {row + 1}); packets are doubled or out of order",
            where=path,
        )


def _measured(path: Path, time: FloatArray, rate_hz: float | None, *, regular: bool) -> dict[str, Any]:
    """Return what is to be said of a clock that was read; refuses one declared regular that is not."""
    steps = np.diff(time)
    usual = float(np.median(steps))
    measured_hz = (time.size - 1) / float(time[-1] - time[0])
    lost = int((np.round(steps / usual) - 1).clip(min=0).sum())
    if regular and lost:
        row = int(np.argmax(steps))
        raise DataError(
            f"{int((steps > 1.5 * usual).sum())} gaps in its clock, the longest of {steps[row]:.3f} s after "
            f"{time[row]:.3f} s; declare 'regular: false' under time if that is how it was recorded",
            where=path,
        )
    if regular and rate_hz is not None and abs(measured_hz - rate_hz) > _RATE_TOLERANCE * rate_hz:
        raise DataError(
            f"its clock runs at {measured_hz:.3f} Hz, {rate_hz:g} Hz is declared (0.5 % is allowed); correct "
            "'rate_hz' or the unit of time",
            where=path,
        )
    nominal_hz = rate_hz if rate_hz is not None else round(1.0 / usual, 3)
    rates = {"nominal_hz": nominal_hz, "measured_hz": round(measured_hz, 6), "regular": regular, "lost": lost}
    if not regular:
        rates["longest_gap_s"] = round(float(steps.max()), 6)
        rates["jitter_s"] = round(float(np.std(steps[steps < 1.5 * usual])), 6)
    return rates
