"""A reference on a task's grid: interpolated by its own times, never filtered, masked where unknown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench.harmonisation.grids import covered, interpolate
from kinbench.metrics import circular_difference
from kinbench.recording import Recording
from kinbench.tasks import Task
from kinbench.windows.loads import load_of, mass_of

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]


def targets_of(recording: Recording, dofs: tuple[str, ...], samples: int, task: Task) -> tuple[Float32Array, BoolArray]:
    """Return angles or loads (n, dof) on the grid and where they hold; NaN elsewhere.

    Interpolated linearly, angles on the circle, never filtered. Missing values are bridged as gaps are; masked ones
    never.
    """
    targets = np.full((samples, len(dofs)), np.nan)
    labelled = np.zeros((samples, len(dofs)), dtype=bool)
    reference = recording.reference
    if reference is None or reference.sizes["time"] < 2:
        return targets.astype(np.float32), labelled
    for column, dof in enumerate(dofs):
        if task.quantity == "angle":
            found = on_grid(reference, *angle_of(reference, dof), samples, task, circular_difference)
        else:
            found = on_grid(reference, *load_of(reference, dof, mass_of(recording)), samples, task)
        targets[:, column], labelled[:, column] = found
    return targets.astype(np.float32), labelled


def angle_of(reference: xr.Dataset, dof: str) -> tuple[FloatArray, BoolArray]:
    """Return a DoF's angle (n,) in degrees and where it is masked (n,)."""
    at = [str(name) for name in reference["dof"].values].index(dof)
    values = np.asarray(reference["angle"].values[:, at], dtype=np.float64)
    if "valid" not in reference:
        return values, np.zeros(values.size, dtype=bool)
    valid = np.asarray(reference["valid"].values, dtype=bool)
    return values, ~(valid if valid.ndim == 1 else valid[:, at])


def on_grid(
    reference: xr.Dataset, values: FloatArray, masked: BoolArray, samples: int, task: Task,
    difference: Callable[[FloatArray, FloatArray], FloatArray] = np.subtract,
) -> tuple[FloatArray, BoolArray]:  # fmt: skip
    """Return one value per grid sample (n,), NaN where it does not hold, and where it does (n,)."""
    time_s = np.asarray(reference["time"].values, dtype=np.float64)
    grid_s = np.arange(samples) / task.rate_hz
    known = np.isfinite(values) & ~masked
    if not known.any():
        return np.full(samples, np.nan), np.zeros(samples, dtype=bool)
    period_s = float(np.median(np.diff(time_s)))
    beside_mask = interpolate(time_s, masked[:, None].astype(np.float64), grid_s)[:, 0] > 0
    holds = covered(time_s[known], grid_s, period_s, task.max_gap_s) & ~beside_mask
    on_grid = interpolate(time_s[known], values[known, None], grid_s, difference)[:, 0]
    return np.where(holds, on_grid, np.nan), holds
