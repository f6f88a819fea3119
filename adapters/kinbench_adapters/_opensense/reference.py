"""A trial's joint angles, from OpenSim's inverse kinematics of optical markers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from kinbench import schema
from kinbench.errors import DataError
from kinbench.recording import angle_dataset
from kinbench_adapters._formats.opensim import StoTable, read_sto
from kinbench_adapters._opensense.trials import Trial


def read_reference(trial: Trial, *, simulation: bool) -> tuple[xr.Dataset, dict[str, Any]]:
    """Return the joint angles of a trial in the unit they were written in, and the history step."""
    if len(trial.angles) > 1:
        names = ", ".join(path.name for path in trial.angles)
        raise DataError(f"Expected one IK result named after the trial, found {names}; keep one.", where=trial.folder)
    path = trial.angles[0]
    table = read_sto(path)
    columns = [name for name in table.columns if name in schema.DOF_ALIASES]
    _refuse_angles(path, table, columns)
    values = table.values[:, [table.columns.index(name) for name in columns]]
    dofs = [schema.DOF_ALIASES[name] for name in columns]
    reference = angle_dataset(
        table.time, dofs, values, units="deg" if table.in_degrees else "rad", convention="opensim_coordinate",
        tier="simulation" if simulation else "optical_marker_ik", valid=np.isfinite(values),
    )  # fmt: skip
    return reference, {
        "step": "read_reference",
        "format": "OpenSim motion",
        "columns": dict(zip(columns, dofs, strict=True)),
        "dropped": [name for name in table.columns if name not in schema.DOF_ALIASES],
        "in_degrees": table.in_degrees,
    }


def _refuse_angles(path: Path, table: StoTable, columns: Sequence[str]) -> None:
    problems = []
    if table.values.ndim != 2 or not columns:
        raise DataError("Expected OpenSim coordinates such as 'knee_angle_r', found none.", where=path)
    if table.in_degrees is None:
        problems.append(
            "Neither 'inDegrees' nor the header's words say degrees or radians; add 'inDegrees=yes' or 'no'."
        )
    if not np.isfinite(table.time).all() or (np.diff(table.time) <= 0).any():
        problems.append("Expected a time column that rises at every row; it stands still, falls, or is not a number.")
    elif table.time.size < 2:
        problems.append("Expected at least two rows of angles, found one.")
    for name in columns:
        if name.startswith("knee_angle"):
            problems += _knee_problem(name, table)
    if problems:
        raise DataError(problems, where=path)


def _knee_problem(name: str, table: StoTable) -> list[str]:
    """Refuse a knee that flexes to negative angles: the gait2392 family's sign, not this study's model's."""
    values = table.values[:, table.columns.index(name)] * (1.0 if table.in_degrees else np.degrees(1.0))
    if not np.isfinite(values).any():
        return []
    low, high = np.nanpercentile(values, (5, 95))
    if low < -20 and high < 15:
        return [
            f"{name} lies between {low:.0f} and {high:.0f} degrees: flexion is negative, as in gait2392; the study's "
            "model (Rajagopal 2015) has it positive. Convert it with the lab adapter, which can declare the sign."
        ]
    return []


def reference_rate(reference: xr.Dataset) -> dict[str, Any]:
    """Return what is to be said of the reference's clock."""
    steps = np.diff(reference["time"].values)
    measured = float((reference["time"].size - 1) / (reference["time"].values[-1] - reference["time"].values[0]))
    return {
        "nominal_hz": round(1.0 / float(np.median(steps)), 3),
        "measured_hz": round(measured, 6),
        "regular": bool(np.ptp(steps) < 0.01 * np.median(steps)),
        "lost": 0,
    }
