"""The two streams of one recording, as a manifest declares them: raw numbers on seconds, nothing converted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench.errors import DataError, suggest
from kinbench.recording import Placement, angle_dataset, imu_dataset, segment_dataset
from kinbench_adapters._formats.clock import Counted, Joined, common_rate, join
from kinbench_adapters._formats.mt_manager import MtFile, read_mt
from kinbench_adapters._manifest import (
    ACC_UNITS,
    GYR_UNITS,
    MAG_UNITS,
    TIME_UNITS,
    Acceleration,
    AngularRate,
    Imu,
    MagneticField,
    Reference,
    SensorQuaternion,
    TimeColumn,
)
from kinbench_adapters._tables import Table, read_table, reader_for

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Signals = dict[str, tuple[FloatArray, dict[str, Any]]]

WHOLE = ""
"""Stands for the sensor's name where one file holds all sensors."""

_RATE_TOLERANCE = 0.005
_MT_UNITS = {"acc": "m s-2", "gyr": "rad s-1", "mag": "1"}
_MISSING_WHY = {
    "acc": "the manifest and the files give no acceleration",
    "gyr": "the manifest and the files give no angular rate",
}


@dataclass(frozen=True)
class ImuFiles:
    """The imu files of one recording: per pattern, the file of each sensor, or one under ``WHOLE``."""

    by_pattern: Mapping[str, Mapping[str, Path]]

    def paths(self, sensors: Collection[str]) -> tuple[Path, ...]:
        """Return every file of these sensors once, in order."""
        wanted = {WHOLE, *sensors}
        return tuple(
            sorted({path for files in self.by_pattern.values() for name, path in files.items() if name in wanted})
        )

    def strangers(self, sensors: Collection[str]) -> tuple[str, ...]:
        """Return the sensors that have files and are not among ``sensors``."""
        return tuple(sorted({name for files in self.by_pattern.values() for name in files} - {WHOLE, *sensors}))

    def of(self, pattern: str, sensors: Mapping[str, object]) -> dict[str, Path]:
        """Return the file of each sensor; raises ``DataError`` naming those that have none."""
        files = self.by_pattern.get(pattern, {})
        if not files:
            raise DataError(f"no file fits '{pattern}' for this recording")
        if WHOLE in files:
            return dict.fromkeys(sensors, files[WHOLE])
        absent = [name for name in sensors if name not in files]
        if absent:
            raise DataError(
                f"sensor '{name}' is in the manifest, but no file fits '{pattern}' for it."
                f"{suggest(name, [other for other in files if other not in sensors])}"
                for name in absent
            )
        return {sensor: files[sensor] for sensor in sensors}


@dataclass(frozen=True)
class Clock:
    """Times of one stream in seconds, what ``attrs['rates']`` says of them, and what a counter mended."""

    time: FloatArray
    rates: dict[str, Any]
    mended: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stream:
    """One stream with its clock, what is missing from it with the reason, and the tables it was read from."""

    data: xr.Dataset
    clock: Clock
    absent: dict[str, str] = field(default_factory=dict)
    tables: Mapping[Path, Table] = field(default_factory=dict)


# --- imu -------------------------------------------------------------------------------------------------------------


def imu_stream(imu: Imu, files: ImuFiles, placements: list[Placement], *, beside: Reference | None = None) -> Stream:
    """Return the imu stream in declared units; raises ``DataError`` where a file cannot be read or believed.

    ``beside`` is a reference that stands in the imu's own file; its columns are read in the same pass.
    """
    if imu.reader is not None and imu.reader.name == "mt_manager":
        return _mt_stream(imu, files, placements)
    if imu.counter is not None:
        return _counted_stream(imu, files, placements)
    return _row_stream(imu, files, placements, () if beside is None else _reference_columns(beside))


def _mt_stream(imu: Imu, files: ImuFiles, placements: list[Placement]) -> Stream:
    paths = files.of(imu.files or "", imu.sensors)
    exports = _read_exports(paths)
    rate_hz = common_rate({name: export.rate_hz for name, export in exports.items()})
    rate_hz = _agreed_rate(imu.rate_hz, rate_hz, "the files' header")
    joined = join({name: Counted(export.counter, export.columns) for name, export in exports.items()})
    clock = _counted_clock(joined, rate_hz, imu.start_s)
    filters = sorted({export.header.get("Filter Profile", "unknown") for export in exports.values()})
    signals: Signals = {
        name: (joined.arrays[name], _attributes(name, unit))
        for name, unit in _MT_UNITS.items()
        if name in joined.arrays
    }
    if "quat" in joined.arrays:
        origin = f"device filter, profile {', '.join(filters)}"
        signals["quat"] = (joined.arrays["quat"], {"units": "1", "maps": "sensor_to_world", "origin": origin})
    words = {name: list(export.mended) for name, export in exports.items() if export.mended}
    if words:
        clock = Clock(clock.time, clock.rates, {**clock.mended, "text": words})
    return _assembled(clock, placements, signals, joined.valid)


def _read_exports(paths: Mapping[str, Path]) -> dict[str, MtFile]:
    """Read every sensor's export, so that the problems of all are told at once."""
    exports, problems = {}, []
    for name, path in paths.items():
        try:
            exports[name] = read_mt(path)
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError(problems)
    return exports


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
        blocks = {
            name: tables[(name, sensor)].block(_columns(signal, sensor), _width(name))
            for name, signal in imu.signals.items()
        }
        counted[sensor] = Counted(values.astype(np.int64), blocks)
    joined = join(counted)
    clock = _counted_clock(joined, imu.rate_hz, imu.start_s)
    signals = {name: (joined.arrays[name], _signal_attributes(name, value)) for name, value in imu.signals.items()}
    return _assembled(clock, placements, signals, joined.valid)


def _counted_clock(joined: Joined, rate_hz: float | None, start_s: float | None) -> Clock:
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


def _row_stream(imu: Imu, files: ImuFiles, placements: list[Placement], also: Sequence[str]) -> Stream:
    """Sensors in one file, or in several of equal length whose rows are of one instant."""
    tables = _tables(imu, files, also)
    rows = {table.path.name: table.rows for table in tables.values()}
    if len(set(rows.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in rows.items())
        raise DataError(
            f"the imu files of one recording differ in length ({told} rows), so their rows are not of one instant; "
            "declare the packet counter ('counter:'), or export them again"
        )
    clock = _common_clock({table.path: table for table in tables.values()}, imu.time, imu.rate_hz, imu.start_s)
    signals = {}
    for name, signal in imu.signals.items():
        blocks = [tables[(name, sensor)].block(_columns(signal, sensor), _width(name)) for sensor in imu.sensors]
        signals[name] = (np.stack(blocks, axis=1), _signal_attributes(name, signal))
    stream = _assembled(clock, placements, signals, None)
    return replace(stream, tables={table.path: table for table in tables.values()})


def _tables(imu: Imu, files: ImuFiles, also: Sequence[str] = ()) -> dict[tuple[str, str], Table]:
    """Read each file once, with all the columns that any sensor and signal wants of it."""
    wanted: dict[Path, list[str]] = {}
    places: dict[tuple[str, str], tuple[Path, str]] = {}
    clock = [name for name in (imu.counter, imu.time.column if imu.time else None) if name]
    for name, signal in imu.signals.items():
        pattern = signal.files or imu.files or ""
        for sensor, path in files.of(pattern, imu.sensors).items():
            wanted.setdefault(path, [*clock, *(also if pattern == imu.files else ())]).extend(_columns(signal, sensor))
            places[(name, sensor)] = (path, pattern)
    patterns = dict(places.values())
    tables = {path: read_table(path, reader_for(patterns[path], imu.reader), names) for path, names in wanted.items()}
    return {key: tables[path] for key, (path, _) in places.items()}


def _columns(signal: Acceleration | AngularRate | MagneticField | SensorQuaternion, sensor: str) -> tuple[str, ...]:
    return tuple(name.replace("{sensor}", sensor) for name in signal.columns)


def _width(name: str) -> int:
    return 4 if name == "quat" else 3


def _signal_attributes(
    name: str, signal: Acceleration | AngularRate | MagneticField | SensorQuaternion
) -> dict[str, Any]:
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


# --- reference -------------------------------------------------------------------------------------------------------


def reference_stream(reference: Reference, path: Path, pattern: str) -> Stream:
    """Return the reference of a file of its own, in declared units and axes."""
    wanted = _reference_columns(reference)
    if reference.time is not None:
        wanted.append(reference.time.column)
    table = read_table(path, reader_for(pattern, reference.reader), wanted)
    if table.in_degrees is not None and reference.unit is not None and table.in_degrees != (reference.unit == "deg"):
        told = "degrees" if table.in_degrees else "radians"
        raise DataError(f"says its angles are in {told}, the manifest says '{reference.unit}'", where=path)
    clock = _common_clock({path: table}, reference.time, reference.rate_hz, reference.start_s)
    return _reference_data(reference, table, clock)


def reference_beside_imu(reference: Reference, imu: Imu, files: ImuFiles, stream: Stream) -> Stream:
    """Return the reference that stands in the imu's own file, on the imu's clock."""
    pattern = imu.files or ""
    path = files.of(pattern, imu.sensors)[next(iter(imu.sensors))]
    table = stream.tables.get(path)
    if table is None:
        table = read_table(path, reader_for(pattern, imu.reader), _reference_columns(reference))
    if table.rows != len(stream.clock.time):
        raise DataError(f"holds {table.rows} rows of the reference, {len(stream.clock.time)} of the imu", where=path)
    return _reference_data(reference, table, stream.clock)


def _reference_columns(reference: Reference) -> list[str]:
    return [angle.column for angle in reference.angles.values()] + [
        name for segment in reference.segments.values() for name in segment.columns
    ]


def _reference_data(reference: Reference, table: Table, clock: Clock) -> Stream:
    if reference.segments:
        quaternions = np.stack([table.block(s.columns, 4) for s in reference.segments.values()], axis=1)
        data = segment_dataset(clock.time, tuple(reference.segments), quaternions, tier=reference.tier)
        return Stream(data, clock)
    angles = np.column_stack([table.single(angle.column) for angle in reference.angles.values()])
    data = angle_dataset(
        clock.time, tuple(reference.angles), angles, units=reference.unit or "deg",
        convention=reference.convention or "", tier=reference.tier,
    )  # fmt: skip
    return Stream(data, clock)


# --- clocks of rows --------------------------------------------------------------------------------------------------


def _common_clock(
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
                f"{apart:.3f} s; declare the packet counter ('counter:'), or export them again"
            )
    return first


def _clock(table: Table, column: TimeColumn | None, rate_hz: float | None, start_s: float | None) -> Clock:
    told = table.time
    if column is not None:
        told = table.single(column.column) * TIME_UNITS[column.unit]
    rate_hz = _agreed_rate(rate_hz, table.rate_hz, f"the header of {table.path.name}")
    if told is None and rate_hz is None:
        raise DataError("the file holds no clock; declare 'rate_hz:' or 'time:' in the manifest", where=table.path)
    if told is None:
        time = (start_s or 0.0) + np.arange(table.rows, dtype=np.float64) / (rate_hz or 1.0)
        return Clock(time, {"nominal_hz": rate_hz, "measured_hz": rate_hz, "regular": True, "lost": 0})
    _refuse_bad_times(table.path, told)
    time = told if start_s is None else told - told[0] + start_s
    return Clock(time, _measured(table.path, told, rate_hz, regular=column is None or column.regular))


def _agreed_rate(declared: float | None, told: float | None, where: str) -> float | None:
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
