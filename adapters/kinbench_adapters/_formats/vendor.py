"""One shape for the files of vendors whose exports say themselves what they hold: signals, units, sensors, clock.

A reader of such a format returns a ``VendorFile``; whoever consumes it needs to know no vendor. Values are those of the
file: no unit is converted, no axis turned. Only quaternions are put in one order (w first) and one direction (sensor to
world), and what a reader had to compute stands in ``notes``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError, suggest

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

WIDTHS = {"acc": 3, "gyr": 3, "mag": 3, "quat": 4}
"""Signals that a vendor's file may hold, by the schema's names, and the numbers a sample of each has."""

STANDARD_GRAVITY = 9.80665


@dataclass(frozen=True)
class VendorFile:
    """One file of a vendor.

    ``sensors`` gives, by the sensor's name in the file, its signals: ``acc``, ``gyr``, ``mag`` (n, 3), ``quat`` (n, 4;
    w, x, y, z; sensor to world). ``facts`` says of each signal, alike for all sensors, ``units`` (the schema's words),
    ``frame`` and, of ``acc``, its ``kind``. Rows are samples, placed by one of: ``counter`` (n,) packets numbered by a
    master, so that equal numbers of several files are one instant; ``time_s`` (n,) seconds as stamped, rising strictly,
    of one clock for all files where ``synchronised``; or neither, and then rows follow at a rate. ``rate_hz`` is what
    the file says of it, None where it does not. ``columns`` are all other numbers, by the file's own names, each (n,)
    or (n, k). ``filter`` is the device's, in the vendor's word. ``notes`` tell what was put right or computed.
    """

    path: Path
    sensors: Mapping[str, Mapping[str, FloatArray]]
    facts: Mapping[str, Mapping[str, Any]]
    counter: IntArray | None = None
    time_s: FloatArray | None = None
    synchronised: bool = True
    rate_hz: float | None = None
    columns: Mapping[str, FloatArray] = field(default_factory=dict)
    filter: str = "unknown"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        lengths = {name: len(values) for name, values in self.columns.items()}
        for sensor, signals in self.sensors.items():
            lengths |= {f"{sensor} {name}": len(values) for name, values in signals.items()}
        for name, clock in (("its counter", self.counter), ("its clock", self.time_s)):
            if clock is not None:
                lengths[name] = len(clock)
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise DataError(f"expected signals of one length, found {told}", where=self.path)

    @property
    def rows(self) -> int:
        """How many samples there are."""
        arrays = [values for signals in self.sensors.values() for values in signals.values()]
        return len(next(iter([*arrays, *self.columns.values()]), ()))

    def only(self) -> Mapping[str, FloatArray]:
        """Return the signals of a file's one sensor; raises ``DataError`` where it holds several, or none."""
        if len(self.sensors) != 1:
            told = ", ".join(self.sensors) or "none"
            raise DataError(f"expected the file of one sensor, found {len(self.sensors)}: {told}", where=self.path)
        return next(iter(self.sensors.values()))

    def of(self, sensor: str) -> Mapping[str, FloatArray]:
        """Return one sensor's signals; raises ``DataError`` naming the sensors there are."""
        if sensor not in self.sensors:
            raise DataError(f"there is no sensor '{sensor}'.{suggest(sensor, tuple(self.sensors))}", where=self.path)
        return self.sensors[sensor]


Read = Callable[..., VendorFile]
"""Read one file, ``read(path, **options)``; raises ``DataError`` with every problem of it."""


@dataclass(frozen=True)
class Vendor:
    """A vendor's format: its reader, the options that it takes, and what holds of every file of it.

    ``up`` is the axis of the world of its quaternions that points up. ``one_each`` says whether every sensor has a file
    of its own (True), one file holds all (False), or either may be (None). ``clocked`` is False where files do not tell
    when their rows were.
    """

    read: Read
    up: str = "z"
    one_each: bool | None = False
    clocked: bool = True
    options: tuple[str, ...] = ()


def acceleration(units: str = "m s-2", kind: str = "specific_force") -> dict[str, Any]:
    """Return the facts of an acceleration in sensor axes."""
    return {"units": units, "frame": "sensor", "kind": kind}


def in_sensor(units: str) -> dict[str, Any]:
    """Return the facts of an angular rate or a magnetic field in sensor axes."""
    return {"units": units, "frame": "sensor"}


def orientation() -> dict[str, Any]:
    """Return the facts of an orientation."""
    return {"units": "1", "maps": "sensor_to_world"}
