"""Force plates as a manifest declares them: forces by plate, on a clock of their own or on that of the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench import schema
from kinbench.recording import labels
from kinbench_adapters._lab.grammar.plates import GroundReaction
from kinbench_adapters._lab.tables import Table

FloatArray = NDArray[np.float64]

_FASTER = 1.5
"""Plates that are this much faster than the reference are averaged over each of its samples; others interpolated."""


@dataclass(frozen=True)
class Forces:
    """Forces (n, plate, 3) at ``time`` (n,) s, by plate, as the file has them but for whom they act on."""

    time: FloatArray
    values: FloatArray
    plates: tuple[str, ...]
    unit: str
    steps: tuple[dict[str, Any], ...] = ()

    def dataset(self) -> xr.Dataset:
        """Return the forces as the reference's variable ``grf``."""
        attrs = {"units": self.unit, "frame": "world"}
        return xr.Dataset(
            {"grf": (("time", "plate", "axis"), self.values.astype(np.float32), attrs)},
            coords={
                "time": ("time", self.time, {"units": "s"}),
                "plate": ("plate", labels(self.plates)),
                "axis": ("axis", labels(schema.AXES)),
            },
        )


def forces(facts: GroundReaction, table: Table, time: FloatArray) -> Forces:
    """Return what the plates of one file measured, acting on the person."""
    values = np.stack([table.block(columns, 3) for columns in facts.plates.values()], axis=1)
    steps: tuple[dict[str, Any], ...] = ()
    if facts.acts_on == "plate":
        values, steps = -values, ({"step": "reverse_forces", "reason": "the file has those on the plates"},)
    return Forces(time, values, tuple(facts.plates), facts.unit, steps)


def columns_of(facts: GroundReaction) -> list[str]:
    """Return every column that the plates need."""
    return [name for columns in facts.plates.values() for name in columns]


def on_clock(found: Forces, time: FloatArray) -> Forces:
    """Return the forces at other times of the same clock, NaN outside; says in a step how they came there."""
    if time.shape == found.time.shape and np.allclose(time, found.time, atol=1e-6, rtol=0):
        return Forces(time, found.values, found.plates, found.unit, found.steps)
    rate_hz, other_hz = (_rate(values) for values in (found.time, time))
    faster = rate_hz > _FASTER * other_hz
    values = _means(found, time, 0.5 / other_hz) if faster else _between(found, time)
    outside = (time < found.time[0] - 0.5 / rate_hz) | (time > found.time[-1] + 0.5 / rate_hz)
    values[outside] = np.nan
    step = {
        "step": "plates_on_reference_clock", "from_hz": round(rate_hz, 6), "to_hz": round(other_hz, 6),
        "by": "mean over the reference's sample" if faster else "linear interpolation",
    }  # fmt: skip
    return Forces(time, values, found.plates, found.unit, (*found.steps, step))


def _rate(time: FloatArray) -> float:
    return (time.size - 1) / float(time[-1] - time[0])


def _means(found: Forces, time: FloatArray, reach_s: float) -> FloatArray:
    """Return the mean of the samples within ``reach_s`` of each time, so that what is too fast does not fold down."""
    first, last = (np.searchsorted(found.time, time + offset, side="left") for offset in (-reach_s, reach_s))
    means = [
        found.values[start:stop].mean(axis=0) if stop > start else np.full(found.values.shape[1:], np.nan)
        for start, stop in zip(first, last, strict=True)
    ]
    return np.stack(means)


def _between(found: Forces, time: FloatArray) -> FloatArray:
    flat = found.values.reshape(found.time.size, -1)
    columns = [np.interp(time, found.time, column) for column in flat.T]
    return np.column_stack(columns).reshape(time.size, *found.values.shape[1:])
