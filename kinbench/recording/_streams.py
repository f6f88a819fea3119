"""The two signal streams as xarray: how they are made, and what of them is read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from kinbench import schema
from kinbench.recording._key import Placement

FloatArray = NDArray[np.float64]


def imu_dataset(
    time: ArrayLike,
    placements: Sequence[Placement],
    signals: Mapping[str, tuple[ArrayLike, Mapping[str, Any]]],
    *,
    valid: ArrayLike | None = None,
) -> xr.Dataset:
    """Return an imu stream.

    ``time`` (n,) seconds; ``signals`` maps a variable name to (values (n, sensor, 3 or 4), attributes); ``valid``
    (n, sensor) bool. Attributes must hold at least ``units``. Values become float32, time float64.
    """
    dims = {name: schema.VARIABLES[name].dims for name in signals}
    data = xr.Dataset(
        {
            name: (dims[name], np.asarray(values, dtype=np.float32), dict(attrs))
            for name, (values, attrs) in signals.items()
        },
        coords={
            "time": ("time", np.asarray(time, dtype=np.float64), {"units": "s"}),
            "sensor": ("sensor", labels(p.sensor for p in placements)),
            "axis": ("axis", labels(schema.AXES)),
            "segment_axis": ("segment_axis", labels(("anterior", "proximal", "right"))),
            **{
                name: ("sensor", labels(getattr(p, name) for p in placements))
                for name in schema.PLACEMENT_COORDS
            },
            "rotation": (("sensor", "segment_axis", "axis"), _rotations(placements)),
            "clock_offset_s": (
                "sensor", np.array([p.clock_offset_s for p in placements], dtype=np.float64), {"units": "s"},
            ),
        },
    )  # fmt: skip
    if "quat" in signals:
        data = data.assign_coords(quat_component=("component", labels(schema.QUATERNION)))
    if valid is not None:
        data["valid"] = (("time", "sensor"), np.asarray(valid, dtype=bool))
    return data


def angle_dataset(
    time: ArrayLike,
    dofs: Sequence[str],
    angle: ArrayLike,
    *,
    units: str,
    convention: str,
    tier: str,
    valid: ArrayLike | None = None,
) -> xr.Dataset:
    """Return a reference stream of joint angles, ``angle`` (n, dof) in ``units`` (``deg`` or ``rad``)."""
    known = [schema.DOFS[name] for name in dofs]
    data = xr.Dataset(
        {
            "angle": (
                ("time", "dof"),
                np.asarray(angle, dtype=np.float32),
                {"units": units, "convention": convention, "tier": tier},
            )
        },
        coords={
            "time": ("time", np.asarray(time, dtype=np.float64), {"units": "s"}),
            "dof": ("dof", labels(dofs)),
            "joint": ("dof", labels(dof.joint for dof in known)),
            "side": ("dof", labels(dof.side for dof in known)),
            "positive": ("dof", labels(dof.positive for dof in known)),
        },
    )
    if valid is not None:
        data["valid"] = (("time", "dof"), np.asarray(valid, dtype=bool))
    return data


def segment_dataset(
    time: ArrayLike,
    segments: Sequence[str],
    quat: ArrayLike,
    *,
    tier: str,
    position: ArrayLike | None = None,
    position_units: str = "m",
    point: str = "origin",
    exact: bool = False,
) -> xr.Dataset:
    """Return a reference stream of segment orientations, ``quat`` (n, segment, 4).

    ``position`` (n, segment, 3), in ``position_units`` and the same world, is that of one ``point`` of each segment,
    its proximal joint say. ``exact`` keeps float64 until virtual sensors have been made of it: a position in float32,
    differenced twice, is noise.
    """
    dtype = np.float64 if exact else np.float32
    data = xr.Dataset(
        {
            "segment_quat": (
                ("time", "segment", "component"),
                np.asarray(quat, dtype=dtype),
                {"units": "1", "maps": "segment_to_world", "tier": tier},
            )
        },
        coords={
            "time": ("time", np.asarray(time, dtype=np.float64), {"units": "s"}),
            "segment": ("segment", labels(segments)),
            "quat_component": ("component", labels(schema.QUATERNION)),
        },
    )
    if position is not None:
        attrs = {"units": position_units, "point": point}
        values = np.asarray(position, dtype=dtype)
        data["segment_position"] = (("time", "segment", "axis"), values, attrs)
        data = data.assign_coords(axis=("axis", labels(schema.AXES)))
    return data


def labels(values: Any) -> NDArray[Any]:
    """Return variable-length strings, which Zarr v3 can store without a warning."""
    return np.array([str(value) for value in values], dtype=np.dtypes.StringDType())


def _rotations(placements: Sequence[Placement]) -> FloatArray:
    unknown = np.full((3, 3), np.nan)
    return np.array([unknown if p.rotation is None else p.rotation for p in placements], dtype=np.float64).reshape(
        len(placements), 3, 3
    )


def placements_of(imu: xr.Dataset) -> list[Placement]:
    """Return the sensors of an imu stream, in its order."""
    found = []
    for index, sensor in enumerate(imu["sensor"].values):
        rotation = np.asarray(imu["rotation"].values[index], dtype=np.float64)
        found.append(
            Placement(
                sensor=str(sensor),
                rotation=rotation if np.isfinite(rotation).all() else None,
                clock_offset_s=float(imu["clock_offset_s"].values[index]),
                **{name: str(imu[name].values[index]) for name in schema.PLACEMENT_COORDS},
            )
        )
    return found


def with_rotations(imu: xr.Dataset, rotations: Mapping[str, tuple[FloatArray, str]]) -> xr.Dataset:
    """Return the stream with (matrix, origin) set for the sensors named."""
    matrices = imu["rotation"].values.copy()
    origins = [str(origin) for origin in imu["rotation_origin"].values]
    for index, sensor in enumerate(imu["sensor"].values):
        if str(sensor) in rotations:
            matrices[index], origins[index] = rotations[str(sensor)]
    return imu.assign_coords(rotation=(imu["rotation"].dims, matrices), rotation_origin=("sensor", labels(origins)))


def with_valid(stream: xr.Dataset, kept: ArrayLike) -> xr.Dataset:
    """Return the stream with ``valid`` False wherever ``kept`` (n,) is False; values and earlier masks stay.

    A stream without a mask gets one: (time, sensor); (time, dof), False also where an angle is missing; else (time,).
    """
    inside = np.asarray(kept, dtype=bool)
    dims: tuple[Any, ...] = ("time",)
    mask = np.ones(inside.size, dtype=bool)
    if "valid" in stream:
        mask, dims = np.asarray(stream["valid"].values, dtype=bool), stream["valid"].dims
    elif "sensor" in stream.dims:
        mask, dims = np.ones((inside.size, stream.sizes["sensor"]), dtype=bool), ("time", "sensor")
    elif "angle" in stream:
        mask, dims = np.isfinite(stream["angle"].values), ("time", "dof")
    return stream.assign(valid=(dims, mask & inside.reshape((-1,) + (1,) * (mask.ndim - 1))))
