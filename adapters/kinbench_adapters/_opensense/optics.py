"""What the cameras add to one trial: plates paired with sensors, the turn of every case, and segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench.kinematics import quaternions
from kinbench.recording import segment_dataset
from kinbench_adapters._opensense.anatomy import Anatomy, segment_axes
from kinbench_adapters._opensense.pairing import Pairing, heading_flags, pair
from kinbench_adapters._opensense.plates import Plates, read_plates
from kinbench_adapters._opensense.sensors import WornSensor

FloatArray = NDArray[np.float64]

VERTICAL_LIMIT_DEG = 20.0
"""How far the sensors' gravity, carried to the lab by their plates, may lie from the lab's Y axis."""


@dataclass(frozen=True)
class Optics:
    """The plates of a trial and what they make of its sensors."""

    path: Path
    plates: Plates
    pairing: Pairing
    vertical_deg: float

    @property
    def flags(self) -> list[str]:
        """Return the quality flags that the plates give rise to, each with its number."""
        flags = []
        if self.plates.units != self.plates.written:
            flags.append(f"marker_units:{self.plates.units}_not_{self.plates.written}")
        for segment, plate in self.plates.by_segment.items():
            if plate.exchanged:
                flags.append(f"markers_exchanged:{segment}:{plate.exchanged}")
            if plate.refused:
                flags.append(f"markers_refused:{segment}:{plate.refused}")
        flags += [f"plates_exchanged:{stem}" for stem in self.pairing.exchanged]
        flags += [f"plate_unlike:{segment}:r_{r:.2f}" for segment, r in self.pairing.unlike.items()]
        headings = {p.sensor: p.heading for p in self.pairing.pairs.values() if p.heading is not None}
        length_s = float(self.plates.time[-1] - self.plates.time[0])
        return flags + heading_flags(headings, length_s)

    def attrs(self) -> dict[str, Any]:
        """Return the attributes ``heading`` and ``plate_sync``: what nothing else in a recording says."""
        headings = {p.sensor: p.heading for p in self.pairing.pairs.values() if p.heading is not None}
        return {
            "heading": {
                sensor: {
                    "mean_deg": round(heading.mean_deg, 3),
                    "spread_deg": round(heading.spread_deg, 3),
                    "drift_deg_per_min": round(heading.drift_deg_per_min, 4),
                    "tilt_deg": round(heading.tilt_deg, 3),
                }
                for sensor, heading in headings.items()
            },
            "plate_sync": {
                "shift_s": round(self.pairing.shift_s, 5),
                "spread_s": round(self.pairing.spread_s, 5),
                "sensors": {p.sensor: round(p.lag_s, 5) for p in self.pairing.pairs.values()},
            },
        }

    def step(self) -> dict[str, Any]:
        """Return the history step of reading the plates."""
        return {
            "step": "read_plates",
            "format": "TRC",
            "units": self.plates.units,
            "rate_hz": self.plates.rate_hz,
            "plates": {segment: plate.plain() for segment, plate in self.plates.by_segment.items()},
            "pairs": {p.sensor: p.plain() for p in self.pairing.pairs.values()},
            "vertical_deg": round(self.vertical_deg, 2),
        }


def read_optics(path: Path, worn: Sequence[WornSensor], *, search_s: float) -> Optics:
    """Read a trial's plates and pair them with its sensors.

    Raises ``DataError`` where the plates cannot be read, no lag can be believed, or the lab's Y axis is not up.
    """
    plates = read_plates(path)
    try:
        pairing = pair(plates, worn, search_s=search_s)
        vertical_deg = _vertical_deg(plates.time, pairing, worn)
    except DataError as error:
        raise DataError(error.problems, where=path) from error
    return Optics(path, plates, pairing, vertical_deg)


def _vertical_deg(time: FloatArray, pairing: Pairing, worn: Sequence[WornSensor]) -> float:
    """Return how far the mean specific force lies from the lab's Y, the median over sensors.

    Whoever does not leave the room is not accelerated in the mean, so that what remains in the lab's axes is gravity.
    """
    at = time + pairing.shift_s
    angles = []
    for sensor in worn:
        if sensor.acc is None or sensor.segment not in pairing.pairs:
            continue
        known = np.isfinite(sensor.acc).all(axis=1)
        clock = sensor.time[known]
        felt = np.stack([np.interp(at, clock, column) for column in sensor.acc[known].T], axis=1)
        seen = np.einsum("nij,nj->ni", pairing.pairs[sensor.segment].orientation, felt)
        seen = seen[np.isfinite(seen).all(axis=1) & (at >= clock[0]) & (at <= clock[-1])]
        if len(seen):
            mean = seen.mean(axis=0)
            angles.append(float(np.degrees(np.arccos(np.clip(mean[1] / np.linalg.norm(mean), -1, 1)))))
    middle = float(np.median(angles)) if angles else 0.0
    if middle > VERTICAL_LIMIT_DEG:
        raise DataError(
            f"gravity as the sensors feel it is {middle:.0f} degrees from the lab's Y axis (median of {len(angles)} "
            "sensors); expected a lab with Y up"
        )
    return middle


def segments_of(optics: Optics, right: Mapping[str, FloatArray], *, tier: str) -> tuple[xr.Dataset, Anatomy]:
    """Return the orientations of the sensors' cases as the cameras saw them, and what makes segments of them.

    ``right`` is the sensor direction (3,) that points to the right, by segment. Raises ``DataError`` where no segment
    can be had.
    """
    anatomy = segment_axes(optics.plates.time, optics.pairing.pairs, right)
    names = [name for name in optics.pairing.pairs if name in anatomy.axes]
    if not names:
        told = "; ".join(f"{name}: {reason}" for name, reason in anatomy.lacking.items())
        raise DataError(f"no plate could be made a segment ({told})", where=optics.path)
    quat = np.stack([quaternions(optics.pairing.pairs[name].orientation) for name in names], axis=1)
    return segment_dataset(optics.plates.time, names, quat, tier=tier), anatomy
