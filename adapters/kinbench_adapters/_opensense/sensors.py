"""The sensors of one trial on one clock, each with what it measured, and the spans in which they are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinbench_adapters._formats.clock import Joined

FloatArray = NDArray[np.float64]

STILL_S = (0.2, 1.8)
"""Every trial begins with the calibration pose; the shipped recording is steady from its first sample to 1.9 s."""
MOVING_S = (2.0, 30.0)
"""The first steps give the flexion axis. What comes later is left alone: protocols score a trial's last fifth."""


@dataclass(frozen=True)
class WornSensor:
    """One sensor: ``time`` (n,) s, ``gyr`` (n, 3) rad s-1, ``acc`` (n, 3) m s-2 specific force, ``quat`` (n, 4).

    ``quat`` turns its axes to its own world, Z up. What an export does not hold is None, what is missing in it NaN.
    """

    name: str
    segment: str
    time: FloatArray
    gyr: FloatArray | None
    acc: FloatArray | None
    quat: FloatArray | None


def worn_sensors(joined: Joined, segments: Mapping[str, str], rate_hz: float) -> list[WornSensor]:
    """Return the sensors of a trial, in its order, from the first packet on."""
    time = (joined.counter - joined.counter[0]) / rate_hz

    def of(name: str, index: int) -> FloatArray | None:
        values = joined.arrays.get(name)
        known = None if values is None else values[:, index]
        return known if known is not None and np.isfinite(known).any() else None

    return [
        WornSensor(name, segments[name], time, of("gyr", index), of("acc", index), of("quat", index))
        for index, name in enumerate(joined.sensors)
    ]
