"""Angles as files: OpenSim motions and CSV tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinbench.metrics import UNITS, Quantity
from kinbench.prediction.estimation import Angles
from kinbench.schema import DOF_ALIASES

COORDINATES: dict[str, str] = {ours: theirs for theirs, ours in DOF_ALIASES.items()}
"""OpenSim's coordinate of each of our DoFs that it has with the same sign and meaning."""


@dataclass(frozen=True)
class Text:
    """The text of a file of angles and its number of rows.

    ``whole`` counts the instants that have all of the file's angles, ``at_rest`` those among the instants with angles
    at which the person does not move.
    """

    text: str
    rows: int
    whole: int
    at_rest: int


def motion(angles: Angles, name: str, *, keep_still: bool = False) -> Text:
    """Return an OpenSim motion file (``.mot``, degrees).

    A row is there where all of its coordinates are known, and where the person moves by the task's rule, as a model is
    fitted on nothing else; ``keep_still`` keeps the others. There is no way to mark a row: OpenSim's older reader
    (``Storage``) ends a file without a word at the first number that is none. A coordinate that is never known, or
    that OpenSim has not, is left out.
    """
    columns = [number for number, dof in enumerate(angles.dofs) if dof in COORDINATES and angles.known[:, number].any()]
    known = angles.known[:, columns].all(axis=1) if columns else np.zeros(len(angles.angle), dtype=bool)
    rows = np.flatnonzero(known if keep_still else known & angles.moving)
    at_rest = int((known & ~angles.moving).sum())
    head = (
        f"{name}\nversion=1\nnRows={rows.size}\nnColumns={len(columns) + 1}\ninDegrees=yes\n\n"
        f"Units are S.I. units (second, meters, Newtons, ...)\nAngles are in degrees.\n{_rest(at_rest, keep_still)}\n"
        "endheader\n"
    )
    header = "\t".join(["time", *(COORDINATES[angles.dofs[column]] for column in columns)])
    cells = _texts(angles.angle[rows][:, columns])
    times = angles.time_s[rows].tolist()
    body = ["\t".join([repr(time), *line]) for time, line in zip(times, cells, strict=True)]
    return Text(head + "\n".join([header, *body]) + "\n", int(rows.size), int(known.sum()), at_rest)


def _rest(at_rest: int, keep_still: bool) -> str:
    """Return the header's line about rest, '' where there is none."""
    if not at_rest:
        return ""
    kept = "rows are" if keep_still else "instants have no row, being"
    return f"{at_rest} {kept} of a person at rest, where the model was never fitted.\n"


def table(angles: Angles, quantity: Quantity = "angle") -> Text:
    """Return a CSV table, a row per sample of the grid, in the quantity's unit: what is not known is left empty.

    ``moving`` is 1 where the person moves by the task's rule, which is where its models were fitted.
    """
    header = ",".join(["time [s]", *(f"{dof} [{UNITS[quantity]}]" for dof in angles.dofs), "moving"])
    cells, moving = _texts(angles.angle), angles.moving.astype(int).tolist()
    body = [
        ",".join([repr(time), *line, str(moves)])
        for time, line, moves in zip(angles.time_s.tolist(), cells, moving, strict=True)
    ]
    known = angles.known
    at_rest = int((known.any(axis=1) & ~angles.moving).sum())
    return Text("\n".join([header, *body]) + "\n", len(body), int(known.all(axis=1).sum()), at_rest)


def _texts(values: NDArray[np.float32]) -> list[list[str]]:
    """Return the shortest texts that read back to the same float32, empty for NaN."""
    texts: list[list[str]] = np.where(np.isfinite(values), values.astype("U32"), "").tolist()
    return texts
