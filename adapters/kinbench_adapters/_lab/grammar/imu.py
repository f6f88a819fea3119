"""The imu: its files, the signals in them and their units, and its sensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from kinbench import schema
from kinbench.errors import suggest
from kinbench_adapters._formats.vendor import Vendor
from kinbench_adapters._formats.vendors import VENDORS
from kinbench_adapters._lab.grammar.files import Files, check_file_pattern, clock_problems, named_reader
from kinbench_adapters._lab.grammar.sensors import Sensor
from kinbench_adapters._lab.grammar.values import ColumnsBySensor, Facts, SignedAxis, one_of

ACC_UNITS = {"m/s2": "m s-2", "m/s^2": "m s-2", "m s-2": "m s-2", "g": "g", "mg": "mg"}
GYR_UNITS = {"rad/s": "rad s-1", "rad s-1": "rad s-1", "deg/s": "deg s-1", "deg s-1": "deg s-1"}
MAG_UNITS = {"uT": "uT", "a.u.": "1", "1": "1", "mG": "mG", "gauss": "gauss"}


class SensorSignal(Facts):
    """A signal's columns, alike for every sensor or by sensor; ``{sensor}`` in a name stands for the sensor's key."""

    columns: ColumnsBySensor
    files: str | None = None

    def columns_of(self, sensor: str) -> tuple[str, ...]:
        """Return the columns of one sensor; raises ``KeyError`` where they are given by sensor and not for this one."""
        listed = self.columns[sensor] if isinstance(self.columns, Mapping) else self.columns
        return tuple(name.replace("{sensor}", sensor) for name in listed)


class Acceleration(SensorSignal):
    """Acceleration: three columns or one column of three."""

    unit: Annotated[str, one_of(tuple(ACC_UNITS))]
    kind: Annotated[str, one_of(schema.ACC_KINDS)]


class AngularRate(SensorSignal):
    """Angular rate, columns as for the acceleration."""

    unit: Annotated[str, one_of(tuple(GYR_UNITS))]


class MagneticField(SensorSignal):
    """Magnetic field, columns as for the acceleration."""

    unit: Annotated[str, one_of(tuple(MAG_UNITS))]


class SensorQuaternion(SensorSignal):
    """The device's own orientation: four columns, and in which world."""

    order: Literal["wxyz", "xyzw"]
    maps: Literal["sensor_to_world", "world_to_sensor"]
    up: SignedAxis
    filter: str = "device filter"


Signal = Acceleration | AngularRate | MagneticField | SensorQuaternion
"""Any signal that a manifest may declare."""


def width_of(signal: str) -> int:
    """Return how many numbers a sample of a signal has, by the schema's name of it."""
    return 4 if signal == "quat" else 3


class Imu(Files):
    """The sensors' files, signals and places."""

    counter: str | None = None
    acc: Acceleration | None = None
    gyr: AngularRate | None = None
    mag: MagneticField | None = None
    quat: SensorQuaternion | None = None
    sensors: dict[str, Sensor] = Field(min_length=1)

    @property
    def signals(self) -> dict[str, Signal]:
        """The signals that are declared, by the schema's names."""
        found = {"acc": self.acc, "gyr": self.gyr, "mag": self.mag, "quat": self.quat}
        return {name: value for name, value in found.items() if value is not None}

    @property
    def vendor(self) -> Vendor | None:
        """The vendor whose files these are: they tell their columns, units and clock themselves."""
        return VENDORS.get(named_reader(self) or "")

    @model_validator(mode="after")
    def _complete(self) -> Imu:
        problems = [
            *_signal_problems(self),
            *(_vendor_problems(self, self.vendor) if self.vendor is not None else ()),
            *(_counter_problems(self) if self.counter is not None else ()),
            *clock_problems(self, self.files or next((s.files for s in self.signals.values() if s.files), None)),
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _signal_problems(imu: Imu) -> Iterator[str]:
    if imu.files is not None and not imu.signals and imu.vendor is None:
        yield "expected at least one of 'acc', 'gyr', 'mag' and 'quat', which say what the columns hold"
    for name, signal in imu.signals.items():
        if signal.files is not None:
            check_file_pattern(signal.files)
        pattern = signal.files or imu.files or ""
        if isinstance(signal.columns, Mapping):
            yield from _by_sensor_problems(name, signal.columns, imu, pattern)
            continue
        yield from _width_problems(f"{name}.columns", name, signal.columns)
        if len(imu.sensors) > 1 and "{sensor}" not in pattern + "".join(signal.columns):
            yield (
                f"{name}: write {{sensor}} in the file pattern or in the column names, or give the columns by sensor, "
                "to tell the sensors apart"
            )
    if imu.files is None and (not imu.signals or any(s.files is None for s in imu.signals.values())):
        yield "'files' is missing: the pattern of the imu files, such as '{subject}/{trial}.csv'"


def _width_problems(place: str, signal: str, columns: Sequence[str]) -> Iterator[str]:
    width = width_of(signal)
    if len(columns) not in (1, width):
        yield f"{place}: expected {width} columns, or one that holds {width} numbers"


def _by_sensor_problems(name: str, columns: Mapping[str, Sequence[str]], imu: Imu, pattern: str) -> Iterator[str]:
    """Columns by sensor name every sensor once, and in one file no two sensors have the same ones."""
    sensors = tuple(imu.sensors)
    owners: dict[tuple[str, ...], str] = {}
    for sensor, listed in columns.items():
        place = f"{name}.columns.{sensor}"
        if sensor not in imu.sensors:
            yield f"{place}: there is no sensor '{sensor}'.{suggest(sensor, sensors)}"
            continue
        yield from _width_problems(place, name, listed)
        own = tuple(text.replace("{sensor}", sensor) for text in listed)
        other = owners.setdefault(own, sensor)
        if other != sensor and "{sensor}" not in pattern:
            yield f"{place}: expected columns of its own, found those of '{other}' ({', '.join(own)})"
    lacking = [sensor for sensor in sensors if sensor not in columns]
    if lacking:
        yield f"{name}.columns: expected columns for every sensor, found none for {', '.join(lacking)}"


def _vendor_problems(imu: Imu, vendor: Vendor) -> Iterator[str]:
    """A vendor's files say their columns, units and clock themselves."""
    name = next(name for name, own in VENDORS.items() if own is vendor)
    strange = [*imu.signals, *(key for key in ("counter", "time") if getattr(imu, key) is not None)]
    if strange:
        yield f"reader '{name}' knows its columns, units and clock; leave out {', '.join(strange)}"
    if imu.files is None:
        return
    if vendor.one_each is True and "{sensor}" not in imu.files:
        yield f"reader '{name}' reads one file per sensor; write {{sensor}} in 'files'"
    if vendor.one_each is False and "{sensor}" in imu.files:
        yield f"reader '{name}' finds all sensors in one file; leave {{sensor}} out of 'files'"


def _counter_problems(imu: Imu) -> Iterator[str]:
    if imu.rate_hz is None or imu.time is not None:
        yield "'counter' numbers the samples, so it needs 'rate_hz', and no 'time'"
    if imu.files is None or "{sensor}" not in imu.files or any(s.files for s in imu.signals.values()):
        yield "'counter' joins one file per sensor; write {sensor} in 'files', and no 'files' under a signal"
