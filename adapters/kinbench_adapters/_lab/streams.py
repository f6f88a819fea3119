"""The imu stream of one recording, as a manifest declares it: raw numbers on seconds, nothing converted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench.recording import Placement, VirtualImu, imu_dataset
from kinbench_adapters._formats.clock import Counted, join
from kinbench_adapters._formats.stamps import grid_of
from kinbench_adapters._lab.clocks import (
    APART,
    Clock,
    common_clock,
    counted_clock,
    same_instants,
    stamped_clock,
    stamps_of,
)
from kinbench_adapters._lab.grammar.files import reader_for
from kinbench_adapters._lab.grammar.imu import (
    ACC_UNITS,
    GYR_UNITS,
    MAG_UNITS,
    Acceleration,
    Imu,
    SensorQuaternion,
    Signal,
    width_of,
)
from kinbench_adapters._lab.inventory import ImuFiles
from kinbench_adapters._lab.tables import Table, read_table
from kinbench_adapters._lab.vendors import read_worn

FloatArray = NDArray[np.float64]

BoolArray = NDArray[np.bool_]
Signals = dict[str, tuple[FloatArray, dict[str, Any]]]

_NEVER_WRAPS = 2**62
_MISSING_WHY = {
    "acc": "the manifest and the files give no acceleration",
    "gyr": "the manifest and the files give no angular rate",
}


@dataclass(frozen=True)
class Stream:
    """One stream with its clock, what is missing from it with the reason, and where it came from."""

    data: xr.Dataset
    clock: Clock
    absent: dict[str, str] = field(default_factory=dict)
    tables: Mapping[Path, Table] = field(default_factory=dict)
    steps: tuple[dict[str, Any], ...] = ()
    """What was computed to get it, for the history."""
    doubts: tuple[str, ...] = ()
    """Flags for ``attrs['quality']``."""
    virtual: VirtualImu | None = None
    """The virtual sensors that are to ride on it."""


# --- imu -------------------------------------------------------------------------------------------------------------


def imu_stream(imu: Imu, files: ImuFiles, placements: list[Placement], *, beside: Sequence[str] = ()) -> Stream:
    """Return the imu stream in declared units; raises ``DataError`` where a file cannot be read or believed.

    ``beside`` are the columns of a reference that stands in the imu's own file; they are read in the same pass.
    """
    if imu.vendor is not None:
        return _vendor_stream(imu, files, placements)
    if imu.counter is not None:
        return _counted_stream(imu, files, placements)
    return _row_stream(imu, files, placements, beside)


def _vendor_stream(imu: Imu, files: ImuFiles, placements: list[Placement]) -> Stream:
    """Sensors in a vendor's files, which say themselves what they hold."""
    worn = read_worn(imu, files.of(imu.files or "", imu.sensors))
    stream = _assembled(worn.clock, worn.placed(placements), worn.signals, worn.valid)
    strangers = {f"sensor {name}": "the manifest does not describe it" for name in worn.strangers}
    return replace(stream, absent={**stream.absent, **strangers})


def _attributes(name: str, units: str, kind: str = "specific_force") -> dict[str, Any]:
    return {"units": units, "frame": "sensor", **({"kind": kind} if name == "acc" else {})}


def _counted_stream(imu: Imu, files: ImuFiles, placements: list[Placement]) -> Stream:
    """Sensors in files of their own, put on one clock by the counter column."""
    counter = imu.counter or ""
    tables = _tables(imu, files)
    counted = {}
    for sensor in imu.sensors:
        table = tables[(next(iter(imu.signals)), sensor)]
        values = table.single(counter)
        if not np.array_equal(values, np.round(values)):
            raise DataError(
                f"column '{counter}' is no packet counter: it holds more than whole numbers", where=table.path
            )
        counted[sensor] = Counted(values.astype(np.int64), _blocks(imu, tables, sensor))
    joined = join(counted)
    clock = counted_clock(joined, imu.rate_hz, imu.start_s)
    signals = {name: (joined.arrays[name], _signal_attributes(name, value)) for name, value in imu.signals.items()}
    return _assembled(clock, placements, signals, joined.valid)


def _row_stream(imu: Imu, files: ImuFiles, placements: list[Placement], also: Sequence[str]) -> Stream:
    """Sensors in one file, or in several whose rows are of one instant or bear the stamps of one clock."""
    tables = _tables(imu, files, also)
    stamps = _stamps(imu, tables)
    if len(stamps) > 1 and not same_instants(stamps.values()):
        return _stamped_stream(imu, tables, stamps, placements)
    rows = {table.path.name: table.rows for table in tables.values()}
    if len(set(rows.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in rows.items())
        raise DataError(
            f"the imu files of one recording differ in length ({told} rows), so their rows are not of one instant; "
            f"{APART}"
        )
    clock = common_clock({table.path: table for table in tables.values()}, imu.time, imu.rate_hz, imu.start_s)
    signals = {}
    for name, signal in imu.signals.items():
        blocks = [tables[(name, sensor)].block(signal.columns_of(sensor), width_of(name)) for sensor in imu.sensors]
        signals[name] = (np.stack(blocks, axis=1), _signal_attributes(name, signal))
    stream = _assembled(clock, placements, signals, None)
    return replace(stream, tables={table.path: table for table in tables.values()})


def _stamps(imu: Imu, tables: Mapping[tuple[str, str], Table]) -> dict[str, FloatArray]:
    """Return each sensor's time stamps in seconds, none where there are no regular ones in a file per sensor."""
    one_each = imu.files is not None and "{sensor}" in imu.files and not any(s.files for s in imu.signals.values())
    if imu.time is None or not imu.time.regular or not one_each:
        return {}
    first = next(iter(imu.signals))
    return {sensor: stamps_of(tables[(first, sensor)], imu.time) for sensor in imu.sensors}


def _stamped_stream(
    imu: Imu, tables: Mapping[tuple[str, str], Table], stamps: Mapping[str, FloatArray], placements: list[Placement]
) -> Stream:
    """Sensors in files of their own, put on one clock by their time stamps."""
    grid = grid_of(stamps)
    # A row of the grid is as good as a counter that all sensors share: what is missing is told the same way.
    joined = join(
        {sensor: Counted(grid.rows[sensor], _blocks(imu, tables, sensor)) for sensor in imu.sensors}, (_NEVER_WRAPS,)
    )
    clock = stamped_clock(grid, joined, imu.rate_hz, imu.start_s)
    turned = [replace(placement, clock_offset_s=grid.offset_s[placement.sensor]) for placement in placements]
    signals = {name: (joined.arrays[name], _signal_attributes(name, value)) for name, value in imu.signals.items()}
    return _assembled(clock, turned, signals, joined.valid)


def _blocks(imu: Imu, tables: Mapping[tuple[str, str], Table], sensor: str) -> dict[str, FloatArray]:
    """Return one sensor's signals, each (n, 3 or 4)."""
    return {
        name: tables[(name, sensor)].block(signal.columns_of(sensor), width_of(name))
        for name, signal in imu.signals.items()
    }


def _tables(imu: Imu, files: ImuFiles, also: Sequence[str] = ()) -> dict[tuple[str, str], Table]:
    """Read each file once, with all the columns that any sensor and signal wants of it."""
    wanted: dict[Path, list[str]] = {}
    places: dict[tuple[str, str], tuple[Path, str]] = {}
    clock = [name for name in (imu.counter, imu.time.column if imu.time else None) if name]
    for name, signal in imu.signals.items():
        pattern = signal.files or imu.files or ""
        for sensor, path in files.of(pattern, imu.sensors).items():
            wanted.setdefault(path, [*clock, *(also if pattern == imu.files else ())]).extend(signal.columns_of(sensor))
            places[(name, sensor)] = (path, pattern)
    patterns = dict(places.values())
    tables = {path: read_table(path, reader_for(patterns[path], imu.reader), names) for path, names in wanted.items()}
    return {key: tables[path] for key, (path, _) in places.items()}


def _signal_attributes(name: str, signal: Signal) -> dict[str, Any]:
    if isinstance(signal, SensorQuaternion):
        return {"units": "1", "maps": "sensor_to_world", "origin": signal.filter}
    if isinstance(signal, Acceleration):
        return _attributes(name, ACC_UNITS[signal.unit], signal.kind)
    return _attributes(name, (GYR_UNITS | MAG_UNITS)[signal.unit])


def _assembled(clock: Clock, placements: list[Placement], signals: Signals, valid: BoolArray | None) -> Stream:
    if valid is None or valid.all():
        present = np.all([np.isfinite(values).all(axis=2) for values, _ in signals.values()], axis=0)
        valid = None if present.all() else present
    data = imu_dataset(clock.time, placements, signals, valid=valid)
    return Stream(data, clock, {name: why for name, why in _MISSING_WHY.items() if name not in signals})
