"""Angles as files: OpenSim motions and CSV tables."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kinbench.prediction.estimation import Angles
from kinbench.schema import DOF_ALIASES

COORDINATES: dict[str, str] = {ours: theirs for theirs, ours in DOF_ALIASES.items()}
"""OpenSim's coordinate of each of our DoFs that it has with the same sign and meaning."""


def motion(angles: Angles, name: str) -> tuple[str, int]:
    """Return the text of an OpenSim motion file (``.mot``, degrees) and its number of rows.

    A row is there where all of its coordinates are known: OpenSim's older reader (``Storage``) ends a file without a
    word at the first number that is none. A coordinate that is never known, or that OpenSim has not, is left out.
    """
    columns = [number for number, dof in enumerate(angles.dofs) if dof in COORDINATES and angles.known[:, number].any()]
    rows = np.flatnonzero(angles.known[:, columns].all(axis=1)) if columns else np.empty(0, dtype=np.int64)
    head = (
        f"{name}\nversion=1\nnRows={rows.size}\nnColumns={len(columns) + 1}\ninDegrees=yes\n\n"
        "Units are S.I. units (second, meters, Newtons, ...)\nAngles are in degrees.\n\nendheader\n"
    )
    header = "\t".join(["time", *(COORDINATES[angles.dofs[column]] for column in columns)])
    cells = _texts(angles.angle[rows][:, columns])
    times = angles.time_s[rows].tolist()
    body = ["\t".join([repr(time), *line]) for time, line in zip(times, cells, strict=True)]
    return head + "\n".join([header, *body]) + "\n", int(rows.size)


def table(angles: Angles) -> str:
    """Return the text of a CSV table, a row per sample of the grid: angles not known are left empty.

    ``moving`` is 1 where the person moves by the task's rule, which is where its models were fitted.
    """
    header = ",".join(["time [s]", *(f"{dof} [deg]" for dof in angles.dofs), "moving"])
    cells, moving = _texts(angles.angle), angles.moving.astype(int).tolist()
    body = [
        ",".join([repr(time), *line, str(moves)])
        for time, line, moves in zip(angles.time_s.tolist(), cells, moving, strict=True)
    ]
    return "\n".join([header, *body]) + "\n"


def _texts(values: NDArray[np.float32]) -> list[list[str]]:
    """Return the shortest texts that read back to the same float32, empty for NaN."""
    texts: list[list[str]] = np.where(np.isfinite(values), values.astype("U32"), "").tolist()
    return texts
