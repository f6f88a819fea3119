"""Ground reactions and joint moments as shares of the person, and where a foot stands."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench import schema
from kinbench.recording import Recording

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

STANCE_BW = 0.02
"""A foot bears weight where its vertical force is above this share of body weight (Tan et al. 2024, their metrics)."""
SHORTEST_STANCE_S = 0.1
"""What is shorter is no step: a running step stands for 0.2 s, and a belt that shakes for a few samples."""


def mass_of(recording: Recording) -> float:
    """Return the person's mass in kg, NaN where nobody said it."""
    told = (recording.attrs.get("person_table") or {}).get("mass_kg")
    return float("nan") if told is None else float(told)


def load_of(reference: xr.Dataset, name: str, mass_kg: float) -> tuple[FloatArray, BoolArray]:
    """Return a load (n,) by mass, and where it is masked (n,).

    A component of ``schema.GROUND_FORCES`` is in body weights, of the plate under that foot; a moment of
    ``schema.MOMENTS`` in N m/kg. A mask that holds for all of a reference holds for its loads.
    """
    force = schema.GROUND_FORCES.get(name)
    if force is None:
        at = [str(known) for known in reference["load"].values].index(name)
        values = np.asarray(reference["moment"].values[:, at], dtype=np.float64) / mass_kg
    else:
        at = [str(known) for known in reference["plate"].values].index(force.side)
        newton = np.asarray(reference["grf"].values[:, at, force.axis], dtype=np.float64)
        values = force.sign * newton / (mass_kg * schema.GRAVITY)
    masked = np.zeros(values.size, dtype=bool)
    if "valid" in reference and reference["valid"].ndim == 1:
        masked = ~np.asarray(reference["valid"].values, dtype=bool)
    return values, masked


def stance_of(vertical_bw: FloatArray) -> BoolArray:
    """Return where a foot bears weight (n,), by its vertical force in body weights (n,); unknown is no stance."""
    return np.asarray(np.nan_to_num(vertical_bw, nan=0.0) > STANCE_BW, dtype=bool)


def stances_of(stance: BoolArray, rate_hz: float) -> list[tuple[int, int]]:
    """Return the stances [start, stop) that last long enough to be steps, in samples."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], stance, [False]]).astype(np.int8)))
    least = SHORTEST_STANCE_S * rate_hz
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2) if stop - start >= least]


def contacts_of(stance: BoolArray, rate_hz: float) -> list[int]:
    """Return the samples at which steps begin; one that was under way at the first sample has no contact."""
    return [start for start, _ in stances_of(stance, rate_hz) if start > 0]
