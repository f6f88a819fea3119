"""Put the packets of counting sensors on one clock: unwrap, drop doubled packets, leave gaps where some were lost.

A sensor that numbers its packets tells exactly which are missing. What a counter can mend is mended here and reported;
what it cannot (a counter that runs backwards or restarts) is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kinbench.errors import DataError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

MODULI = (2**16, 2**32)
"""Xsens counters wrap at 65536, newer exports at 2^32."""

DROPPED = -1
"""Position of a packet that came twice."""

_WRAP_REACH = 2**12
"""Packets that may be lost across a wrap (41 s at 100 Hz); a longer jump is a restarted counter, not a wrap."""

LOST_ALLOWED = 2**12
"""Packets that may be lost even where fewer were received; beyond it more lost than received is a broken counter."""


@dataclass(frozen=True)
class ClockReport:
    """What was mended: packets received (doubled ones counted once), doubled, lost in between, and wraps."""

    received: int
    doubled: int
    lost: int
    wraps: int
    modulus: int

    def plain(self) -> dict[str, int]:
        """Return the figures as a JSON-plain dict, for a recording's history."""
        return asdict(self)


@dataclass(frozen=True)
class Counted:
    """One sensor: ``counter`` (n,) as it was read, and arrays by name, each (n, k)."""

    counter: ArrayLike
    arrays: Mapping[str, FloatArray]


@dataclass(frozen=True)
class Joined:
    """Several sensors on one counter axis.

    ``counter`` (N,) rises by exactly one a row, unwrapped, over the union of the sensors' spans. ``arrays`` maps each
    name to (N, sensor, k), NaN where a sensor sent nothing or has no such array; ``valid`` (N, sensor) is False where
    a packet is missing. ``sensors`` is the order along the sensor axis; ``reports`` says per sensor what was mended.
    ``conflicting`` counts, per sensor, doubled packets whose content differs (the first is kept).
    """

    sensors: tuple[str, ...]
    counter: IntArray
    arrays: dict[str, FloatArray]
    valid: BoolArray
    reports: dict[str, ClockReport]
    conflicting: dict[str, int]


def place_by_counter(counter: ArrayLike, moduli: Sequence[int] = MODULI) -> tuple[IntArray, ClockReport]:
    """Return each packet's row on the sensor's own clock (row 0 = first packet), and what was mended.

    ``counter`` (n,) are whole numbers as read. A packet with the number of the one before it gets the position
    ``DROPPED``; a lost packet leaves its row without a packet. The modulus is the smallest of ``moduli`` above every
    value. Raises ``DataError`` (all problems at once, rows counted from 0) where the counter is empty, negative, runs
    backwards, restarts, or would have lost more than it received.
    """
    values = np.asarray(counter, dtype=np.int64)
    if values.size == 0:
        raise DataError("Expected packets with a counter, found none; export the file again.")
    if values.min() < 0 or values.max() >= max(moduli):
        raise DataError(
            f"Expected a packet counter from 0 to {max(moduli) - 1}, found {values.min()} to {values.max()}; "
            "check that the column is the counter."
        )
    modulus = min(m for m in moduli if m > values.max())
    change = np.diff(values)
    wrapped = change < 0
    step = np.where(wrapped, change + modulus, change)
    _refuse_jumps(values, step, wrapped)
    doubled = np.concatenate(([False], step == 0))
    position = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(step)))
    received = int(values.size - doubled.sum())
    lost = int(position[-1]) + 1 - received
    if lost > max(received, LOST_ALLOWED):
        raise DataError(
            f"The packet counter implies {lost} lost packets against {received} received, first after row "
            f"{int(np.argmax(step))}; more is missing than there is, so the counter is not to be believed."
        )
    report = ClockReport(received, int(doubled.sum()), lost, int(wrapped.sum()), modulus)
    return np.where(doubled, DROPPED, position), report


def _refuse_jumps(values: IntArray, step: IntArray, wrapped: BoolArray) -> None:
    restarts = np.flatnonzero(wrapped & (step > _WRAP_REACH))
    if restarts.size:
        raise DataError(
            f"The packet counter goes back from {values[row]} to {values[row + 1]} after row {row}, which is no wrap; "
            "packets out of order or two recordings in one file: split or re-export it."
            for row in restarts[:10]
        )


def join(sensors: Mapping[str, Counted], moduli: Sequence[int] = MODULI) -> Joined:
    """Return all sensors of one trial on one counter axis, the union of their spans.

    Sensors of one trial share the counter of their master, so equal numbers mean one instant; unequal lengths and
    starts, and a start on the other side of a wrap, are all put in place. Raises ``DataError`` naming the sensor
    where a counter is broken, or where a sensor's span does not overlap the others'.
    """
    if not sensors:
        raise DataError("Expected at least one sensor to put on a clock, got none.")
    names = tuple(sensors)
    placed = {name: _placed(name, sensors[name], moduli) for name in names}
    starts = _common_starts(placed, {name: int(np.asarray(sensors[name].counter)[0]) for name in names})
    stops = {name: starts[name] + int(placed[name][0].max()) + 1 for name in names}
    first, last = min(starts.values()), max(stops.values())
    if max(starts.values()) >= min(stops.values()):
        spans = ", ".join(f"{name} {starts[name]}-{stops[name] - 1}" for name in names)
        raise DataError(
            f"The sensors' packet counters do not overlap ({spans}); they are not of one trial, or not of one master."
        )
    size = last - first
    widths = {
        key: values.shape[1] for name in names for key, values in sensors[name].arrays.items()
    }  # one width per kind of array, whichever sensor has it
    arrays = {key: np.full((size, len(names), width), np.nan) for key, width in widths.items()}
    valid = np.zeros((size, len(names)), dtype=bool)
    conflicting = {}
    for index, name in enumerate(names):
        position = placed[name][0]
        kept = position != DROPPED
        rows = position[kept] + (starts[name] - first)
        valid[rows, index] = True
        for key, values in sensors[name].arrays.items():
            arrays[key][rows, index] = values[kept]
        conflicting[name] = _conflicting(kept, sensors[name].arrays)
    return Joined(
        names, np.arange(first, last, dtype=np.int64), arrays, valid,
        {name: report for name, (_, report) in placed.items()}, conflicting,
    )  # fmt: skip


def _placed(name: str, sensor: Counted, moduli: Sequence[int]) -> tuple[IntArray, ClockReport]:
    try:
        return place_by_counter(sensor.counter, moduli)
    except DataError as error:
        raise DataError(error.problems, where=f"sensor {name}") from error


def _common_starts(placed: Mapping[str, tuple[IntArray, ClockReport]], firsts: Mapping[str, int]) -> dict[str, int]:
    """Return every sensor's first counter on the unwrapped axis of the first sensor.

    A short sensor may show only small numbers while another has passed 65536: the trial's modulus is the largest.
    """
    modulus = max(report.modulus for _, report in placed.values())
    origin = next(iter(firsts.values()))
    half = modulus // 2
    return {name: origin + (first - origin + half) % modulus - half for name, first in firsts.items()}


def _conflicting(kept: BoolArray, arrays: Mapping[str, FloatArray]) -> int:
    rows = np.flatnonzero(~kept)
    if rows.size == 0:
        return 0
    differs = np.zeros(rows.size, dtype=bool)
    for values in arrays.values():
        now, before = values[rows], values[rows - 1]
        differs |= ~((now == before) | (np.isnan(now) & np.isnan(before))).all(axis=1)
    return int(differs.sum())


def common_rate(rates_hz: Mapping[str, float | None]) -> float | None:
    """Return the one rate of a trial's sensors, ``None`` where no sensor's file tells any.

    Raises ``DataError`` naming the sensors where they run at two rates.
    """
    known = {name: rate for name, rate in rates_hz.items() if rate is not None}
    if not known:
        return None
    usual = sorted(known.values())[len(known) // 2]
    if any(abs(rate - usual) > 1e-3 * usual for rate in known.values()):
        told = ", ".join(f"{name} {rate:g} Hz" for name, rate in known.items())
        raise DataError(
            f"Expected one rate for all sensors of a trial, found {told}; one counter cannot be one clock for two "
            "rates: export them again at one rate, or convert them as separate recordings."
        )
    return usual
