"""Read Movella (Xsens) DOT text: exports of the app and of the Data Exporter, logs of the PC SDK.

Lines ``key:,value`` of whatever number, then the row of names that holds ``SampleTimeFine``, then one row a packet;
comma separated, or semicolons with decimal commas where the locale has them. ``Acc`` is specific force in m s-2,
``Gyr`` deg s-1 (MT Manager writes rad s-1), ``Mag`` in units of the local field, ``FreeAcc`` free of gravity in the
earth frame (ENU, Z up), ``Quat`` and Euler angles (degrees) sensor to earth. ``dv`` and ``dq`` are the change of
velocity and orientation within one sample. ``SampleTimeFine`` counts microseconds since power on and wraps at 2^32
(every 71.6 minutes); synchronised sensors share it, while every sensor numbers its packets from 1. Source: Movella
DOT User Manual (XD0502P). Rate quantities are checked on real exports, the other payloads on files made in the
documented layout.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench_adapters._formats.mt_manager import AGREEMENT_DEG, angle_between_deg, quaternion_from_euler
from kinbench_adapters._formats.quaternions import rate_of_steps, specific_force
from kinbench_adapters._formats.vendor import VendorFile, acceleration, in_sensor, orientation
from kinbench_adapters._formats.vendor_text import Header, group_problems, picked, stacked, table_at, text_lines

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

STAMP = "SampleTimeFine"
WRAP_US = 2**32
GRAVITY = 9.81
"""What the device takes away to make ``FreeAcc``, m s-2."""

GROUPS: dict[str, tuple[str, ...]] = {
    "Acc": ("Acc_X", "Acc_Y", "Acc_Z"),
    "Gyr": ("Gyr_X", "Gyr_Y", "Gyr_Z"),
    "Mag": ("Mag_X", "Mag_Y", "Mag_Z"),
    "Quat": ("Quat_W", "Quat_X", "Quat_Y", "Quat_Z"),
    "Euler": ("Euler_X", "Euler_Y", "Euler_Z"),
    "FreeAcc": ("FreeAcc_X", "FreeAcc_Y", "FreeAcc_Z"),
    "dq": ("dq_W", "dq_X", "dq_Y", "dq_Z"),
    "dv": ("dv[1]", "dv[2]", "dv[3]"),
}

_KEY = re.compile(r"\s*\"?(?P<key>[A-Za-z][A-Za-z ]*):[\s,;\t]*(?P<value>.*?)[\s,;\t\"]*$")
_RATE = re.compile(r"([0-9.]+)\s*Hz")
_LONGEST_GAP_US = 60_000_000
_HEAD_LINES = 50
_SHOWN = 10


def read_vendor(path: Path, wanted: Iterable[str] = (), *, synchronised: bool | None = None) -> VendorFile:
    """Read one sensor's export; ``wanted`` are further columns by name.

    ``synchronised`` tells whether the sensors were, where the file does not. Raises ``DataError`` naming file and line
    (all problems at once) where the file is no such export, a row is damaged, half a vector is there, stamps run
    backwards, or orientations contradict each other.
    """
    table, facts = _table(path)
    groups, others = _groups(table, wanted)
    time_s, kept, notes = _time_s(table)
    differing = _differing(groups, ~kept)
    notes += [f"{differing} of the packets that came twice differ from the first"] if differing else []
    groups = {name: values[kept] for name, values in groups.items()}
    rate_hz = _told_rate_hz(path, facts)
    signals, own = _signals(path, groups, rate_hz if rate_hz is not None else _usual_rate_hz(time_s), notes)
    if not signals:
        raise DataError("expected columns of at least one signal, found none with a value", where=path)
    if "Status" in others:
        clipped = int((np.nan_to_num(others["Status"][kept]) > 0).sum())
        notes += [f"Status reports clipping in {clipped} samples"] if clipped else []
    told = facts.get("SyncStatus", "").lower()
    together = told == "synced" if told else bool(synchronised)
    return VendorFile(
        path, {facts.get("DeviceTag") or path.stem: signals}, own, time_s=time_s, synchronised=together,
        rate_hz=rate_hz, columns={**groups, **{name: values[kept] for name, values in others.items()}},
        filter=facts.get("FilterProfile") or "unknown", notes=tuple(notes),
    )  # fmt: skip


def _table(path: Path) -> tuple[Header, dict[str, str]]:
    lines = text_lines(path)
    header = next((row for row, line in enumerate(lines[:_HEAD_LINES]) if STAMP in line), None)
    if header is None:
        raise DataError(
            f"expected a row of names with '{STAMP}' in the first {_HEAD_LINES} lines, found none; this is no DOT "
            "export, or it was exported without its time stamps, without which no clock can be had",
            where=path,
        )
    facts = {}
    for line in lines[:header]:
        match = _KEY.match(line)
        if match is not None:
            facts[match["key"].strip()] = match["value"]
    return table_at(path, lines, header), facts


def _groups(table: Header, wanted: Iterable[str]) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """Return the vectors that hold a value, each (n, 3 or 4), and the further columns wanted, each (n,)."""
    problems = [problem for names in GROUPS.values() if (problem := group_problems(names, table.names)) is not None]
    if problems:
        raise DataError(problems, where=table.path)
    present = {name: columns for name, columns in GROUPS.items() if columns[0] in table.names}
    also = [name for name in picked(wanted) if name not in present]
    also += ["Status"] if "Status" in table.names else []
    numbers = table.numbers([*(column for columns in present.values() for column in columns), *also])
    groups = {name: stacked(numbers, columns) for name, columns in present.items()}
    return (
        {name: values for name, values in groups.items() if np.isfinite(values).any()},
        {name: numbers[name] for name in also},
    )


# --- the clock -------------------------------------------------------------------------------------------------------


def _time_s(table: Header) -> tuple[FloatArray, NDArray[np.bool_], list[str]]:
    """Return the stamps in seconds, unwrapped, which rows they belong to (a doubled one once), and what was mended."""
    stamps = table.numbers([STAMP])[STAMP]
    wrong = np.flatnonzero(~(np.isfinite(stamps) & (stamps == np.floor(stamps)) & (stamps >= 0) & (stamps < WRAP_US)))
    if wrong.size:
        raise DataError(
            (
                f"line {table.first + 1 + row}, column '{STAMP}': expected whole microseconds below 2^32, found "
                f"'{stamps[row]:g}'"
                for row in wrong[:_SHOWN]
            ),
            where=table.path,
        )
    steps = np.diff(stamps.astype(np.int64))
    wrapped = (steps < 0) & (steps + WRAP_US < _LONGEST_GAP_US)
    back = np.flatnonzero((steps < 0) & ~wrapped)
    if back.size:
        raise DataError(
            (
                f"line {table.first + 2 + row}: {STAMP} goes back from {stamps[row]:.0f} to {stamps[row + 1]:.0f}, "
                "which is no wrap; rows are out of order, or two recordings are in one file"
                for row in back[:_SHOWN]
            ),
            where=table.path,
        )
    unwrapped = stamps.astype(np.int64) + WRAP_US * np.concatenate(([0], np.cumsum(wrapped)))
    kept = np.concatenate(([True], steps != 0))
    doubled, wraps = int((~kept).sum()), int(wrapped.sum())
    notes = [f"{doubled} packets came twice: the second was dropped"] if doubled else []
    notes += [f"{STAMP} wrapped {wraps} times: unwrapped"] if wraps else []
    return unwrapped[kept] * 1e-6, kept, notes


def _differing(groups: dict[str, FloatArray], doubled: NDArray[np.bool_]) -> int:
    """Return how many of the doubled packets hold other numbers than the one before."""
    rows = np.flatnonzero(doubled)
    differs = np.zeros(rows.size, dtype=bool)
    for values in groups.values():
        now, before = values[rows], values[rows - 1]
        differs |= ~((now == before) | (np.isnan(now) & np.isnan(before))).all(axis=1)
    return int(differs.sum())


def _told_rate_hz(path: Path, facts: dict[str, str]) -> float | None:
    told = facts.get("OutputRate")
    if told is None:
        return None
    match = _RATE.search(told)
    try:
        rate_hz = float(match[1]) if match is not None else 0.0
    except ValueError:
        rate_hz = 0.0
    if rate_hz <= 0:
        raise DataError(f"OutputRate: expected a rate such as '60Hz', found '{told}'", where=path)
    return rate_hz


def _usual_rate_hz(time_s: FloatArray) -> float | None:
    return 1.0 / float(np.median(np.diff(time_s))) if time_s.size > 1 else None


# --- the signals -----------------------------------------------------------------------------------------------------


def _signals(
    path: Path, groups: dict[str, FloatArray], rate_hz: float | None, notes: list[str]
) -> tuple[dict[str, FloatArray], dict[str, dict[str, object]]]:
    """Return the signals and what holds of each, measured where the file has them so, else computed and noted."""
    signals: dict[str, FloatArray] = {}
    facts: dict[str, dict[str, object]] = {}
    if "Acc" in groups:
        signals["acc"], facts["acc"] = groups["Acc"], acceleration()
    elif "dv" in groups and rate_hz is not None:
        signals["acc"], facts["acc"] = groups["dv"] * rate_hz, acceleration()
        notes.append("acc: the change of velocity within each sample (dv) times the rate")
    elif "FreeAcc" in groups and "Quat" in groups:
        signals["acc"] = specific_force(groups["Quat"], groups["FreeAcc"], GRAVITY)
        facts["acc"] = acceleration()
        notes.append("acc: rebuilt from FreeAcc and Quat, R^T (FreeAcc + 9.81 m s-2 up)")
    if "Gyr" in groups:
        signals["gyr"], facts["gyr"] = groups["Gyr"], in_sensor("deg s-1")
    elif "dq" in groups and rate_hz is not None:
        signals["gyr"], facts["gyr"] = rate_of_steps(groups["dq"], rate_hz), in_sensor("rad s-1")
        notes.append("gyr: the change of orientation within each sample (dq) times the rate")
    if "Mag" in groups:
        signals["mag"], facts["mag"] = groups["Mag"], in_sensor("1")
    if "Quat" in groups or "Euler" in groups:
        signals["quat"], facts["quat"] = _quaternions(path, groups), orientation()
    return signals, facts


def _quaternions(path: Path, groups: dict[str, FloatArray]) -> FloatArray:
    if "Euler" not in groups:
        return groups["Quat"]
    from_euler = quaternion_from_euler(groups["Euler"])
    if "Quat" not in groups:
        return from_euler
    angle = angle_between_deg(groups["Quat"], from_euler)
    worst = float(np.nanmax(angle)) if np.isfinite(angle).any() else 0.0
    if worst > AGREEMENT_DEG:
        raise DataError(
            f"Quat and Euler hold one orientation twice and differ by up to {worst:.3g} degrees, first in sample "
            f"{int(np.argmax(angle > AGREEMENT_DEG))}; expected {AGREEMENT_DEG} at most: a column is not what its name "
            "says",
            where=path,
        )
    return groups["Quat"]
