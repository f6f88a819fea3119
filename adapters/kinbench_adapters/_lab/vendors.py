"""Sensors in a vendor's own files: put on one clock by what the files say, with units and kinds from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench.recording import Placement
from kinbench_adapters._formats.clock import Counted, Joined, common_rate, join
from kinbench_adapters._formats.stamps import grid_of
from kinbench_adapters._formats.vendor import VendorFile
from kinbench_adapters._formats.vendors import read_vendors
from kinbench_adapters._lab.clocks import Clock, agreed_rate, counted_clock, stamped_clock
from kinbench_adapters._lab.grammar.files import reader_for
from kinbench_adapters._lab.grammar.imu import Imu

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_NEVER_WRAPS = 2**62


@dataclass(frozen=True)
class Worn:
    """The signals of the sensors that a manifest describes, each (n, sensor, k) with its attributes, on one clock.

    ``strangers`` are sensors in the files that the manifest does not describe; ``clock_offset_s`` is what each sensor's
    stamps lie beyond the clock's rows.
    """

    clock: Clock
    signals: dict[str, tuple[FloatArray, dict[str, Any]]]
    valid: BoolArray
    strangers: tuple[str, ...]
    clock_offset_s: Mapping[str, float]

    def placed(self, placements: list[Placement]) -> list[Placement]:
        """Return the placements with what each sensor's clock is off."""
        return [replace(p, clock_offset_s=self.clock_offset_s.get(p.sensor, p.clock_offset_s)) for p in placements]


def read_worn(imu: Imu, paths: Mapping[str, Path]) -> Worn:
    """Read the sensors' files; raises ``DataError`` where one cannot be read, lacks a sensor, or fits no clock."""
    reader = reader_for(imu.files or "", imu.reader)
    files = read_vendors(reader.name, paths, **reader.vendor_options)
    shared = len(paths) > 1 and len(set(paths.values())) == 1
    arrays = _signals(files, shared=shared)
    facts = _facts(files)
    clock, joined, offset_s = _placed(imu, files, arrays)
    words = {name: list(file.notes) for name, file in files.items() if file.notes}
    if words:
        clock = Clock(clock.time, clock.rates, {**clock.mended, "text": words})
    filters = ", ".join(sorted({file.filter for file in files.values()}))
    signals = {name: (joined.arrays[name], dict(facts[name])) for name in facts if name in joined.arrays}
    if "quat" in signals:
        signals["quat"][1]["origin"] = f"device filter, profile {filters}"
    strangers = {name for file in files.values() for name in file.sensors} - set(paths) if shared else set()
    return Worn(clock, signals, joined.valid, tuple(sorted(strangers)), offset_s)


def _signals(files: Mapping[str, VendorFile], *, shared: bool) -> dict[str, Mapping[str, FloatArray]]:
    """Return each sensor's signals: by its name in a file of several, else those of the file's one sensor."""
    found, problems = {}, []
    for name, file in files.items():
        try:
            found[name] = file.of(name) if shared or len(file.sensors) > 1 else file.only()
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError(problems)
    return found


def _facts(files: Mapping[str, VendorFile]) -> dict[str, Mapping[str, Any]]:
    """Return what holds of each signal; raises ``DataError`` where two sensors' files differ in it."""
    facts: dict[str, tuple[str, Mapping[str, Any]]] = {}
    problems = []
    for sensor, file in files.items():
        for name, own in file.facts.items():
            other, first = facts.setdefault(name, (sensor, own))
            if first != own:
                told = "; ".join(f"{key} {first[key]} and {own[key]}" for key in own if first[key] != own[key])
                problems.append(f"sensors {other} and {sensor} hold {name} in two ways ({told}); export them alike")
    if problems:
        raise DataError(problems)
    return {name: own for name, (_, own) in facts.items()}


def _placed(
    imu: Imu, files: Mapping[str, VendorFile], arrays: Mapping[str, Mapping[str, FloatArray]]
) -> tuple[Clock, Joined, dict[str, float]]:
    """Return the one clock of all sensors, and their signals on it."""
    rate_hz = agreed_rate(
        imu.rate_hz, common_rate({name: file.rate_hz for name, file in files.items()}), "the files' header"
    )
    counters = {name: file.counter for name, file in files.items() if file.counter is not None}
    if len(counters) == len(files):
        joined = join({name: Counted(counters[name], arrays[name]) for name in files})
        return counted_clock(joined, rate_hz, imu.start_s), joined, {}
    stamps = {name: file.time_s for name, file in files.items() if file.time_s is not None}
    if len(stamps) == len(files):
        return _stamped(imu, files, stamps, arrays)
    return _in_rows(imu, rate_hz, files, arrays)


def _stamped(
    imu: Imu,
    files: Mapping[str, VendorFile],
    stamps: Mapping[str, FloatArray],
    arrays: Mapping[str, Mapping[str, FloatArray]],
) -> tuple[Clock, Joined, dict[str, float]]:
    apart = sorted({file.path.name for file in files.values() if not file.synchronised})
    if apart and len({file.path for file in files.values()}) > 1:
        raise DataError(
            f"{', '.join(apart)}: not synchronised with the others, so each sensor has a clock of its own and equal "
            "times are not one instant; synchronise the sensors before recording, or convert one sensor a recording"
        )
    for name, time_s in stamps.items():
        _refuse_bad_stamps(files[name].path, time_s)
    grid = grid_of(stamps)
    joined = join({name: Counted(grid.rows[name], arrays[name]) for name in files}, (_NEVER_WRAPS,))
    told_hz = common_rate({name: file.rate_hz for name, file in files.items()})
    clock = stamped_clock(grid, joined, imu.rate_hz if imu.rate_hz is not None else told_hz, imu.start_s or 0.0)
    return clock, joined, grid.offset_s


def _refuse_bad_stamps(path: Path, time_s: FloatArray) -> None:
    """Refuse what no grid can be made of; readers see to it that stamps rise."""
    if time_s.size < 2:
        raise DataError(f"holds {time_s.size} sample, expected at least 2", where=path)


def _in_rows(
    imu: Imu,
    rate_hz: float | None,
    files: Mapping[str, VendorFile],
    arrays: Mapping[str, Mapping[str, FloatArray]],
) -> tuple[Clock, Joined, dict[str, float]]:
    rows = {file.path.name: file.rows for file in files.values()}
    if len(set(rows.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in rows.items())
        raise DataError(
            f"the imu files of one recording differ in length ({told} rows) and hold no clock to put them in place by; "
            "export them again with their time stamps"
        )
    joined = join({name: Counted(np.arange(file.rows), arrays[name]) for name, file in files.items()}, (_NEVER_WRAPS,))
    return counted_clock(joined, rate_hz, imu.start_s), joined, {}
