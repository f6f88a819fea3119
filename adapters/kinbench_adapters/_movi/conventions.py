"""How the cameras' segments are written, measured on the recording itself: rows or columns, and which axis is which.

Nothing of this is guessed. That the rotation blocks stand transposed cannot be told from segment lengths (the distance
of two neighbouring joints is the length of a local translation, whatever the rotations are); it is told by markers,
which keep their place on a segment that is turned rightly, else by the feet, of which one stands while a person walks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kinbench import kinematics
from kinbench.errors import DataError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

LOOSE_MM = 25.0
"""Skin moves a marker by up to two centimetres on the thigh; on a segment turned wrongly it wanders by decimetres."""
MARKER_RATIO = 2.0
STANCE_RATIO = 1.5
"""How much looser the other convention must be before it is called wrong."""
_FRAMES = 1500
_FEWEST_UPRIGHT = 30
UPRIGHT_DEG = 15.0
AXIS_LIMIT_DEG = 35.0
FOOT_LIMIT_DEG = 50.0
"""A foot's axes follow it from heel to toe, or from ankle to toe, which slopes by 20 to 35 degrees."""


@dataclass(frozen=True)
class Segments:
    """The segments in the cameras' world: ``rotation`` (n, j, 3, 3) segment to world, ``position`` (n, j, 3) mm."""

    names: tuple[str, ...]
    rotation: FloatArray
    position: FloatArray

    def of(self, name: str) -> tuple[FloatArray, FloatArray]:
        """Return the rotation (n, 3, 3) and position (n, 3) of one segment."""
        index = self.names.index(name)
        return self.rotation[:, index], self.position[:, index]


# --- rows or columns --------------------------------------------------------------------------------------------------


def placed(
    names: Sequence[str], affine: FloatArray, parents: Sequence[int], markers: FloatArray | None, where: object
) -> tuple[Segments, dict[str, object]]:
    """Return the segments under the convention that the recording bears out, and the evidence.

    ``affine`` (n, j, 4, 4) local, NaN where missing; ``markers`` (n, m, 3) mm, NaN where missing, None where the file
    holds none. Raises ``DataError`` where neither convention fits, or the two cannot be told apart.
    """
    try:
        both = {
            rows: Segments(tuple(names), *kinematics.world_from_affines(affine, parents, row_vectors=rows))
            for rows in (True, False)
        }
    except DataError as error:
        raise DataError(error.problems, where=where) from error
    if markers is not None and np.isfinite(markers).all(axis=2).any():
        found = {rows: _looseness_mm(segments, markers) for rows, segments in both.items()}
        told, ratio, limit = "markers on their segments, mm", MARKER_RATIO, LOOSE_MM
    else:
        found = {rows: _slide_mm(segments) for rows, segments in both.items()}
        told, ratio, limit = "way of the foot that stands, mm per frame", STANCE_RATIO, np.inf
    rows = min(found, key=lambda rows: found[rows])
    if not found[rows] <= limit or not found[not rows] >= ratio * found[rows]:
        raise DataError(
            "cannot tell whether 'jointsAffine_v3d' is written for rows or for columns: "
            f"{told}, {found[True]:.3g} for rows and {found[False]:.3g} for columns; one should be clearly smaller",
            where=where,
        )
    evidence = {"row_vectors": rows, "by": told, "rows": round(found[True], 3), "columns": round(found[False], 3)}
    return both[rows], evidence


def _looseness_mm(segments: Segments, markers: FloatArray) -> float:
    """Return how far the truest marker of each segment strays from its place on it: RMS, median over segments."""
    step = max(1, len(markers) // _FRAMES)
    points = markers[::step]
    strays = []
    for index in range(len(segments.names)):
        rotation, position = segments.rotation[::step, index], segments.position[::step, index]
        local = np.einsum("nji,nmj->nmi", rotation, points - position[:, None])
        known = np.isfinite(local).all(axis=2)
        enough = known.sum(axis=0) >= max(_FEWEST_UPRIGHT, len(points) // 4)
        if enough.any():
            kept = local[:, enough]
            middle = np.nanmedian(kept, axis=0)
            strays.append(float(np.nanmin(np.sqrt(np.nanmean(((kept - middle) ** 2).sum(axis=2), axis=0)))))
    return float(np.median(strays)) if strays else np.inf


def _slide_mm(segments: Segments) -> float:
    """Return how far the slower of the two ankles moves from frame to frame: RMS."""
    steps = [np.linalg.norm(np.diff(segments.of(name)[1], axis=0), axis=1) for name in ("foot_r", "foot_l")]
    slower = np.minimum(*steps)
    known = slower[np.isfinite(slower)]
    return float(np.sqrt((known**2).mean())) if known.size else np.inf


# --- which axis is which ----------------------------------------------------------------------------------------------

VISUAL3D = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
"""x to the right, y to the front, z up the segment: Visual3D's default. Rows are our X, Y, Z in those axes."""
ALONG_FOOT = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
"""A foot built from ankle to toe: z points back to the ankle, y up."""
AXES: Mapping[str, Mapping[str, FloatArray]] = {
    "foot": {"z up, y forward, x right": VISUAL3D, "z back to the ankle, y up, x right": ALONG_FOOT},
    "": {"z up, y forward, x right": VISUAL3D},
}


def upright_frames(segments: Segments) -> BoolArray:
    """Return (n,) where both thighs and shanks stand within ``UPRIGHT_DEG`` of the world's Z, by their joints alone."""
    upright = np.ones(len(segments.position), dtype=bool)
    for letter in "rl":
        chain = [segments.of(f"{name}_{letter}")[1] for name in ("thigh", "shank", "foot")]
        for upper, lower in pairwise(chain):
            along = upper - lower
            with np.errstate(invalid="ignore", divide="ignore"):
                upright &= along[:, 2] / np.linalg.norm(along, axis=1) > np.cos(np.radians(UPRIGHT_DEG))
    return upright


def segment_axes(
    segments: Segments, upright: BoolArray, where: object
) -> tuple[dict[str, FloatArray], dict[str, dict[str, object]]]:
    """Return the matrix from each segment's axes to ours, and by how much each is off while the person is upright.

    While the legs hang straight down, the axis called proximal must point up, and the axis called right from the left
    hip to the right one, both within ``AXIS_LIMIT_DEG``. Raises ``DataError`` with every segment that does not.
    """
    if upright.sum() < _FEWEST_UPRIGHT:
        raise DataError(
            f"expected {_FEWEST_UPRIGHT} frames with both legs upright, by which the segments' axes are checked, found "
            f"{int(upright.sum())}; nothing confirms which axis is which",
            where=where,
        )
    right = segments.of("thigh_r")[1][upright] - segments.of("thigh_l")[1][upright]
    right[:, 2] = 0.0
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    axes, evidence, problems = {}, {}, []
    for index, name in enumerate(segments.names):
        rotation = segments.rotation[upright, index]
        up_local, right_local = rotation[:, 2, :], np.einsum("nji,nj->ni", rotation, right)
        if not np.isfinite(up_local).all(axis=1).any():
            continue
        reading, matrix, off = _reading(name, np.nanmean(up_local, axis=0), np.nanmean(right_local, axis=0))
        limit = FOOT_LIMIT_DEG if name.startswith("foot") else AXIS_LIMIT_DEG
        if off[0] > limit or off[1] > AXIS_LIMIT_DEG:
            problems.append(
                f"{name}: while the person is upright, its {reading} are {off[0]:.0f} degrees off up and {off[1]:.0f} "
                "off right; its axes are none that this adapter knows"
            )
        axes[name] = matrix
        evidence[name] = {"axes": reading, "up_off_deg": round(off[0], 1), "right_off_deg": round(off[1], 1)}
    if problems:
        raise DataError(problems, where=where)
    return axes, evidence


def _reading(name: str, up: FloatArray, right: FloatArray) -> tuple[str, FloatArray, tuple[float, float]]:
    """Return the known axes that are least off, and how far: of up, of right, in degrees."""
    known = AXES.get(name.partition("_")[0], AXES[""])
    off = {reading: (_off_deg(matrix[1], up), _off_deg(matrix[2], right)) for reading, matrix in known.items()}
    reading = min(off, key=lambda name: max(off[name]))
    return reading, known[reading], off[reading]


def _off_deg(axis: FloatArray, direction: FloatArray) -> float:
    cosine = float(axis @ direction) / max(float(np.linalg.norm(direction)), 1e-12)
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
