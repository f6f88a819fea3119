"""Which way a person goes, and how the segments stand to that: what a model may learn orientations from."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench.kinematics import matrices, quaternions
from kinbench.metrics import circular_difference
from kinbench.tasks import Task
from kinbench.windows.references import angle_of, on_grid

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]

HEADING = "pelvis_rotation"
"""The DoF that tells where a person heads."""


def heading_of(reference: xr.Dataset, task: Task, samples: int) -> tuple[FloatArray, float]:
    """Return where the pelvis heads (n,), NaN where unknown, and the line of walking, both in degrees to the left.

    The line is the mean of the doubled heading, so that there and back are one.
    """
    if "dof" not in reference.coords or HEADING not in map(str, reference["dof"].values):
        return np.full(samples, np.nan), np.nan
    heading, known = on_grid(reference, *angle_of(reference, HEADING), samples, task, circular_difference)
    if not known.any():
        return np.full(samples, np.nan), np.nan
    doubled = np.deg2rad(2.0 * heading[known])
    return heading, float(np.rad2deg(np.arctan2(np.sin(doubled).mean(), np.cos(doubled).mean())) / 2.0)


def orientations_of(reference: xr.Dataset | None, leg: str, task: Task, samples: int) -> Float32Array:
    """Return quaternions (n, segment, 4), w first, segment to walking frame; NaN where they are not known.

    The walking frame is the world turned about the vertical until X points where the person goes: along the recording's
    line of walking, there or back, whichever way the pelvis heads. No sensor could know a laboratory's own axes. Where
    the reference tells no heading at all, the world stays as it is stored. A left leg is mirrored in the walking
    frame's sagittal plane, as its signals are, so that both legs of one gait have the same orientations.
    """
    names = task.segments_of(leg)
    found = np.full((samples, len(names), 4), np.nan)
    if reference is None or "segment_quat" not in reference or reference.sizes["time"] < 2:
        return found.astype(np.float32)
    stored = [str(name) for name in reference["segment"].values]
    for column, name in enumerate(names):
        if name in stored:
            quat = np.asarray(reference["segment_quat"].values[:, stored.index(name)], dtype=np.float64)
            found[:, column] = _quaternions_on_grid(reference, quat, samples, task)
    way_deg = way_of(reference, task, samples)
    found = _about_vertical(found, np.zeros(samples) if np.isnan(way_deg).all() else -way_deg)
    if leg == "l" and task.axes == "segment":
        found *= (1.0, -1.0, -1.0, 1.0)
    return found.astype(np.float32)


def _quaternions_on_grid(reference: xr.Dataset, quat: FloatArray, samples: int, task: Task) -> FloatArray:
    """Return unit quaternions (samples, 4): linear between neighbours of one sign, then of length one again."""
    smooth = quaternions(matrices(quat))
    masked = np.zeros(len(smooth), dtype=bool)
    found = np.stack([on_grid(reference, part, masked, samples, task)[0] for part in smooth.T], axis=1)
    return np.asarray(found / np.sqrt((found**2).sum(axis=1, keepdims=True)))


def way_of(reference: xr.Dataset, task: Task, samples: int) -> FloatArray:
    """Return which way the person goes (n,), in degrees to the left: along the line of walking or back; NaN where no
    heading is known.
    """
    heading_deg, line_deg = heading_of(reference, task, samples)
    back = np.cos(np.deg2rad(heading_deg - line_deg)) < 0
    return np.where(np.isnan(heading_deg), np.nan, line_deg + 180.0 * back)


def _about_vertical(quat: FloatArray, turn_deg: FloatArray) -> FloatArray:
    """Return quaternions (n, segment, 4) turned about the world's Y by degrees (n,), which a turn to the left is."""
    cos, sin = (part(np.deg2rad(turn_deg) / 2)[:, None] for part in (np.cos, np.sin))
    w, x, y, z = np.moveaxis(quat, -1, 0)
    return np.stack([cos * w - sin * y, cos * x + sin * z, cos * y + sin * w, cos * z - sin * x], axis=-1)


def not_known(orientations: Float32Array | None) -> bool:
    """Return whether nothing of a leg's orientations is known."""
    return orientations is None or not bool(np.isfinite(orientations).any())
