"""Virtual sensors as a manifest asks for them, put on the body that the markers measured."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError, UsageError
from kinbench.recording import Body, Dynamics, Placement, VirtualImu, VirtualPlacement
from kinbench.virtual_imu import site_offset
from kinbench_adapters._lab.grammar.directions import matrix_from_axes
from kinbench_adapters._lab.grammar.virtual import Virtual, VirtualSensor
from kinbench_adapters._lab.segments import Body as Measured

FloatArray = NDArray[np.float64]

SIDES = {"r": "right", "l": "left"}
_FAR = {"thigh": "shank", "shank": "foot"}
"""The segment whose origin is the far joint of another."""


def side_of(segment: str) -> str:
    """Return the side of a segment by the schema's word."""
    return SIDES.get(segment.rpartition("_")[2], "midline")


def request(virtual: Virtual, measured: Measured | None) -> VirtualImu:
    """Return the request for the sensors of the manifest; raises ``DataError`` for all that have no place on this body.

    A sensor on a segment that this recording does not have is left out, and said to be.
    """
    lengths = {**dict(_lengths(measured)), **virtual.length_m}
    placed, problems, left_out = [], [], {}
    for name, sensor in virtual.sensors.items():
        if measured is not None and sensor.segment not in measured.motions:
            left_out[name] = f"the markers of {sensor.segment} are missing throughout"
            continue
        try:
            x, y, z = _offset_m(sensor, lengths, measured)
        except (DataError, UsageError) as error:
            problems.append(f"virtual sensor {name}: {error}")
            continue
        placed.append(VirtualPlacement(_placement(name, sensor), offset_m=(float(x), float(y), float(z))))
    if problems:
        raise DataError(problems)
    body = Body(
        geometry="measured", length_m={name: round(length, 4) for name, length in lengths.items()},
        source="distances between the origins of neighbouring segments, medians over the trial; or the manifest",
    )  # fmt: skip
    return VirtualImu(body, tuple(placed), Dynamics(cutoff_hz=virtual.cutoff_hz), left_out=left_out)


def _lengths(measured: Measured | None) -> Iterator[tuple[str, float]]:
    for name, motion in {} if measured is None else measured.motions.items():
        stem, _, side = name.partition("_")
        far = measured.motions.get(f"{_FAR.get(stem)}_{side}") if measured is not None else None
        if far is not None:
            length = np.linalg.norm(far.origin - motion.origin, axis=1)
            if np.isfinite(length).any():
                yield name, float(np.nanmedian(length))


def _offset_m(sensor: VirtualSensor, lengths: dict[str, float], measured: Measured | None) -> FloatArray:
    if sensor.offset_m is not None:
        return np.array(sensor.offset_m)
    if sensor.at and measured is not None:
        return _place_of(sensor, measured)
    if sensor.segment not in lengths:
        raise DataError(
            f"the length of {sensor.segment} is not known; give it under virtual.length_m, or the place by 'at' or "
            "'offset_m'"
        )
    return site_offset(sensor.segment, side_of(sensor.segment), sensor.site, sensor.level, lengths[sensor.segment])


def _place_of(sensor: VirtualSensor, measured: Measured) -> FloatArray:
    """Return where markers are in segment axes (3,), by their median over the trial."""
    motion = measured.motions[sensor.segment]
    place = np.mean([measured.places[name] for name in sensor.at], axis=0) - motion.origin
    seen = np.einsum("nji,nj->ni", motion.rotation, place)
    known = np.isfinite(seen).all(axis=1)
    if not known.any():
        raise DataError(f"{', '.join(sensor.at)} is never seen together with {sensor.segment}")
    return np.asarray(np.median(seen[known], axis=0))


def _placement(name: str, sensor: VirtualSensor) -> Placement:
    return Placement(
        sensor=name, segment=sensor.segment, side=side_of(sensor.segment), site=sensor.site, level=sensor.level,
        rotation=np.eye(3) if sensor.axes is None else matrix_from_axes(sensor.axes), rotation_origin="declared",
        attachment="virtual", origin="synthetic", device="virtual",
    )  # fmt: skip
