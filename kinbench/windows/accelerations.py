"""How a body's centre is accelerated in the world: told from the path of the pelvis, along the line walked."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench.schema import BODY_ACCELERATIONS, GRAVITY
from kinbench.tasks import Task
from kinbench.virtual_imu import smooth, specific_force
from kinbench.windows.orientations import way_of
from kinbench.windows.references import on_grid

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

BODY = "pelvis"
"""The segment whose origin, the middle of the hips, stands for the body's centre."""
CUTOFF_HZ = 15.0
"""The low-pass of the path ahead of its second derivative: what force plates are low-passed at in the studies that
forces are learnt from. Noise of 1 mm in position would otherwise be one of tens of m s-2."""
GREATEST_M_S2 = 160.0
"""Accelerations are clipped there, as in the code of Tan et al. (2024): a marker that jumps is no motion."""
_UNEVEN = 0.25
"""A clock is uneven where a sample is off its even place by more than this part of a period."""
_SHORTEST = 16
_LEVEL = (1.0, 0.0, 0.0, 0.0)


def path_known(reference: xr.Dataset) -> bool:
    """Return whether a reference tells the body's path at even times, often enough for ``CUTOFF_HZ``."""
    if "segment_position" not in reference or BODY not in map(str, reference["segment"].values):
        return False
    clock = _clock(np.asarray(reference["time"].values, dtype=np.float64))
    return clock is not None and clock[1] > 2 * CUTOFF_HZ


def accelerations_of(
    reference: xr.Dataset | None, dofs: tuple[str, ...], samples: int, task: Task
) -> tuple[Float32Array, BoolArray]:
    """Return ``schema.BODY_ACCELERATIONS`` (n, dof) in m s-2 on the task's grid and where they hold; NaN elsewhere.

    The second derivative of the pelvis's path, low-passed without delay at ``CUTOFF_HZ`` (``virtual_imu.smooth``), by
    its central difference at the reference's own rate, then interpolated as any reference is. Nothing is known within
    1 / ``CUTOFF_HZ`` of a gap, where the filter leans on what it made up. Axes are those of the line walked
    (``orientations.way_of``), since no sensor could know a laboratory's own; without a heading nothing is known.
    """
    if reference is None or not path_known(reference):
        return np.full((samples, len(dofs)), np.nan, dtype=np.float32), np.zeros((samples, len(dofs)), dtype=bool)
    masked = np.zeros(reference.sizes["time"], dtype=bool)
    world = np.clip(_in_world(reference), -GREATEST_M_S2, GREATEST_M_S2)
    x, up, z = (on_grid(reference, part, masked, samples, task)[0] for part in world.T)
    way = np.deg2rad(way_of(reference, task, samples))
    along = np.stack([np.cos(way) * x - np.sin(way) * z, up + 0.0 * way, np.sin(way) * x + np.cos(way) * z], axis=1)
    values = along[:, [list(BODY_ACCELERATIONS).index(dof) for dof in dofs]]
    return values.astype(np.float32), np.isfinite(values)


def _in_world(reference: xr.Dataset) -> FloatArray:
    """Return the acceleration of the body (n, 3) in the world's axes at the reference's samples."""
    clock = _clock(np.asarray(reference["time"].values, dtype=np.float64))
    assert clock is not None
    place, rate_hz = clock
    column = [str(name) for name in reference["segment"].values].index(BODY)
    path = np.full((int(place[-1]) + 1, 3), np.nan)
    path[place] = reference["segment_position"].values[:, column]
    if "valid" in reference and reference["valid"].ndim == 1:
        path[place[~np.asarray(reference["valid"].values, dtype=bool)]] = np.nan
    level = np.tile(_LEVEL, (len(path), 1))
    smoothed, _ = smooth(path, level, rate_hz, CUTOFF_HZ)
    found = specific_force(smoothed, level, rate_hz) - (0.0, GRAVITY, 0.0)
    found[_beside_gap(smoothed, int(np.ceil(rate_hz / CUTOFF_HZ)))] = np.nan
    return np.asarray(found[place])


def _clock(time_s: FloatArray) -> tuple[IntArray, float] | None:
    """Return the place of each sample on an even clock (n,) and its rate, or None where there is no such clock."""
    if time_s.size < _SHORTEST:
        return None
    steps = np.diff(time_s)
    place = np.concatenate([[0], np.cumsum(np.rint(steps / np.median(steps)))]).astype(np.int64)
    if not place[-1]:
        return None
    period_s = float(time_s[-1] - time_s[0]) / int(place[-1])
    even = np.abs(time_s - time_s[0] - place * period_s).max() <= _UNEVEN * period_s and (np.diff(place) > 0).all()
    return (place, 1.0 / period_s) if even else None


def _beside_gap(values: FloatArray, reach: int) -> BoolArray:
    """Return which samples (n,) are within ``reach`` of a missing one of (n, 3), or of an end."""
    missing = np.concatenate([np.ones(reach), ~np.isfinite(values).all(axis=1), np.ones(reach)])
    return np.asarray(np.convolve(missing, np.ones(2 * reach + 1), mode="valid") > 0)
