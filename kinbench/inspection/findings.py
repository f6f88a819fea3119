"""What a check says, and what it is told about a sensor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Verdict = Literal["PASS", "FAIL", "NOT ASSESSED"]
CAUSES = {
    "unit": "acceleration, angular rate or angle in another unit than declared",
    "scale": "a factor that is no unit's",
    "bias": "a constant added to angular rate or acceleration",
    "gravity": "gravity taken away, or still there, against what is declared",
    "axes": "a sensor's axes exchanged or turned round, or its rotation to the segment",
    "sign": "a joint angle counted the other way",
    "quaternion": "order, direction or world of the orientations, or rows that are none",
    "side": "left and right exchanged",
    "label": "a sensor on another segment than declared",
    "sync": "the reference is early or late",
    "reversal": "time runs backwards",
    "rate": "another sample rate than declared",
    "clock": "the clock itself: steps back, a counter that wraps",
    "packets": "samples lost without a trace, or doubled",
    "missing": "missing values written as numbers, such as zeros",
    "clipping": "the sensor's range was too small",
    "spikes": "isolated wrong numbers",
    "range": "angles that no joint reaches",
}
"""Every kind of mistake that a finding may name."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check in one place.

    ``where`` is a path as in a schema breach (``imu.acc[thigh]``); ``value`` is the figure the verdict rests on, in
    the unit the message names. ``PASS`` is said only after a look at enough data; too little is ``NOT ASSESSED``.

    ``cause`` names the mistake for machines, ``kind`` or ``kind:detail`` (``unit:gyr:deg/s``, ``axes:y,-x,z``; the
    kinds are ``CAUSES``), and ``mend`` says what would mend it; both are empty where nothing is wrong or known.
    ``evidence`` is how far the data support each explanation: by cause, ``""`` being what was declared, in amounts that
    add up over sensors and recordings, of at most ``of`` each.
    """

    check: str
    verdict: Verdict
    where: str
    message: str
    value: float | None = None
    cause: str = ""
    mend: str = ""
    evidence: Mapping[str, float] = field(default_factory=dict)
    within: float | None = None
    """Of a pass that holds only so far: up to where ``value``'s truth may still lie, in its unit."""

    @property
    def kind(self) -> str:
        """The first word of the cause."""
        return self.cause.partition(":")[0]

    def __str__(self) -> str:
        return f"{self.verdict} {self.check} {self.where}: {self.message}"


@dataclass(frozen=True)
class Sensor:
    """One sensor's signals as (n, 3 or 4) float64, NaN where masked or missing; None where there is no such signal."""

    name: str
    segment: str
    time: FloatArray
    acc: FloatArray | None
    gyr: FloatArray | None
    quat: FloatArray | None
    acc_kind: str
    rotation: FloatArray
    rotation_origin: str
    clock_offset_s: float = 0.0
    """To be added to ``time`` so that it lies on the stream's clock."""

    @property
    def rate_hz(self) -> float:
        """The rate by the median step, 0 where there is none."""
        return median_rate_hz(self.time)


def sensors_of(imu: xr.Dataset) -> Iterator[Sensor]:
    """Yield each sensor of an imu stream in schema form."""
    time = np.asarray(imu["time"].values, dtype=np.float64)
    for index, name in enumerate(imu["sensor"].values):
        lost = np.zeros(time.size, dtype=bool)
        if "valid" in imu:
            mask = np.asarray(imu["valid"].values)
            lost = ~(mask if mask.ndim == 1 else mask[:, index])
        signals: dict[str, FloatArray | None] = {}
        for variable in ("acc", "gyr", "quat"):
            signals[variable] = None
            if variable in imu:
                values = np.array(imu[variable].values[:, index], dtype=np.float64)
                values[lost] = np.nan
                signals[variable] = values if np.isfinite(values).any() else None
        yield Sensor(
            name=str(name), segment=str(imu["segment"].values[index]), time=time,
            acc=signals["acc"], gyr=signals["gyr"], quat=signals["quat"],
            acc_kind=str(imu["acc"].attrs.get("kind", "")) if "acc" in imu else "",
            rotation=np.asarray(imu["rotation"].values[index], dtype=np.float64),
            rotation_origin=str(imu["rotation_origin"].values[index]),
            clock_offset_s=float(imu["clock_offset_s"].values[index]) if "clock_offset_s" in imu.coords else 0.0,
        )  # fmt: skip


def median_rate_hz(time: FloatArray) -> float:
    """Return 1 / median step of a time axis in seconds, 0 where it has no steps forward."""
    steps = np.diff(time[np.isfinite(time)])
    steps = steps[steps > 0]
    return float(1.0 / np.median(steps)) if steps.size else 0.0


def norm(values: FloatArray) -> FloatArray:
    """Return the length of each row."""
    lengths: FloatArray = np.linalg.norm(values, axis=-1)
    return lengths


def runs_of(flags: BoolArray) -> list[tuple[int, int]]:
    """Return [start, stop) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]
