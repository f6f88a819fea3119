"""The virtual sensors of Rapp et al. 2021 on the clinic's clusters, on request: ``calgary[compat=rapp2021]``.

Rapp E, Shin S, Thomsen W, Ferber R, Halilaj E, J Biomech 116:110229 (2021), as their published code has it: sensor
frames aligned with the laboratory at the trial's own touchdowns, and an accelerometer that reads minus the specific
force, turned from sensor to world instead of back. It exists to feed networks that were trained on it; no task takes
it. Their cut of 200 samples at either end is not made: whoever feeds such a network leaves out its ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench.recording import Placement, VirtualPlacement, imu_dataset
from kinbench.virtual_imu import rapp2021, rapp2021_touchdowns
from kinbench_adapters._calgary.anatomy import CLUSTERS, Anatomy
from kinbench_adapters._calgary.captures import Capture
from kinbench_adapters._calgary.tracking import Tracked

FloatArray = NDArray[np.float64]

NAME = "rapp2021"
_WORLD = np.eye(3)
"""The clinic's world is theirs: X right, Y up, Z back."""


def read_sensors(
    capture: Capture, anatomy: Anatomy, tracked: Tracked, placements: tuple[VirtualPlacement, ...], where: object
) -> tuple[xr.Dataset, dict[str, Any]]:
    """Return the imu stream of all clusters, and the step for the history.

    A sample that the tracking rule masks is not ``valid``; theirs had no such rule. Raises ``DataError`` for a
    cluster or a heel marker with missing samples, which their code cannot take, and for a foot that never comes down.
    """
    try:
        downs = {side: _touchdowns(capture, anatomy, side) for side in "RL"}
        signals = {
            segment: rapp2021(_cluster(capture, anatomy, stem), _of_side(downs, stem), capture.rate_hz, axes=_WORLD)
            for segment, stem in CLUSTERS.items()
        }
    except DataError as error:
        raise DataError(error.problems, where=where) from error
    worn = [_placement(virtual.placement) for virtual in placements]
    acc, gyr = (np.stack([signals[place.segment][index] for place in worn], axis=1) for index in (0, 1))
    imu = imu_dataset(
        np.arange(len(acc)) / capture.rate_hz,
        worn,
        {
            "acc": (acc, {"units": "m s-2", "kind": NAME, "frame": "sensor"}),
            "gyr": (gyr, {"units": "rad s-1", "frame": "sensor"}),
        },
        valid=np.stack([np.isfinite(tracked.motions[place.segment].origin[:, 0]) for place in worn], axis=1),
    )
    return imu, {"step": NAME, "touchdowns": {side: len(found) for side, found in downs.items()}}


def _touchdowns(capture: Capture, anatomy: Anatomy, side: str) -> NDArray[np.int64]:
    """Return the samples at which a foot comes down; they align the sensors of its side."""
    marker = f"{side}_foot_1"
    found = rapp2021_touchdowns(capture.moving[marker][:, 1] * anatomy.unit_m, capture.rate_hz)
    if not found.size:
        raise DataError(f"expected touchdowns, found no minimum of {marker}'s height 50 mm below its surroundings")
    return found


def _of_side(downs: Mapping[str, NDArray[np.int64]], stem: str) -> NDArray[np.int64]:
    """Return the touchdowns that a cluster goes by: the left foot's on the left leg, else the right foot's."""
    return downs["L" if stem.startswith("L_") else "R"]


def _cluster(capture: Capture, anatomy: Anatomy, stem: str) -> FloatArray:
    """Return the cluster's first three markers (n, 3, 3) in metres."""
    return np.stack([capture.moving[f"{stem}_{number}"] for number in (1, 2, 3)], axis=1) * anatomy.unit_m


def _placement(placement: Placement) -> Placement:
    """Return the placement of a sensor whose axes are the segment's at touchdown only, and by their rule."""
    return Placement(
        sensor=placement.sensor, segment=placement.segment, side=placement.side, site=placement.site,
        level=placement.level, rotation=np.eye(3), rotation_origin="nominal", attachment="virtual", origin="synthetic",
        device="virtual, on the marker cluster, after Rapp et al. 2021",
    )  # fmt: skip
