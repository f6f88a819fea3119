"""How axes lie: words such as ``{x: proximal, z: right}`` to a rotation matrix, and what is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, WithJsonSchema

from kinbench import schema
from kinbench.errors import suggest

FloatArray = NDArray[np.float64]

DIRECTIONS: dict[str, tuple[float, float, float]] = {
    "anterior": (1.0, 0.0, 0.0), "posterior": (-1.0, 0.0, 0.0), "proximal": (0.0, 1.0, 0.0),
    "distal": (0.0, -1.0, 0.0), "right": (0.0, 0.0, 1.0), "left": (0.0, 0.0, -1.0),
}  # fmt: skip
"""The six ways an axis may point, as vectors along segment X anterior, Y proximal, Z right (schema 1)."""


def matrix_from_axes(axes: Mapping[str, str]) -> FloatArray:
    """Return (3, 3), source axes to segment axes, from words such as ``{x: proximal, z: right}``.

    Two axes suffice, the third follows by the right-hand rule. Raises ``ValueError`` (one sentence).
    """
    for name, word in axes.items():
        if name not in schema.AXES:
            raise ValueError(f"unknown axis '{name}'; expected x, y, z")
        if word not in DIRECTIONS:
            raise ValueError(f"axis {name}: unknown direction '{word}'.{suggest(word, tuple(DIRECTIONS))}")
    if len(axes) < 2:
        raise ValueError("expected at least two of x, y, z (the third follows)")
    known = {name: np.array(DIRECTIONS[word]) for name, word in axes.items()}
    for index, name in enumerate(schema.AXES):
        second, third = schema.AXES[(index + 1) % 3], schema.AXES[(index + 2) % 3]
        if name not in known:
            known[name] = np.cross(known[second], known[third])
    matrix: FloatArray = np.column_stack([known[name] for name in schema.AXES])
    handed = round(float(np.linalg.det(matrix)))
    if handed != 1:
        told = ", ".join(f"{name} {word}" for name, word in axes.items())
        why = "one of them points the other way" if handed == -1 else "two of them lie along one line"
        raise ValueError(f"{told} is no right-handed set of perpendicular axes; {why}")
    return matrix


def check_rotation(rows: Sequence[Sequence[float]]) -> None:
    """Raise ``ValueError`` (one sentence) where the rows are no rotation matrix."""
    if len(rows) != 3 or any(len(row) != 3 for row in rows):
        raise ValueError("expected three rows of three numbers (v_segment = matrix @ v_sensor)")
    matrix = np.array(rows, dtype=np.float64)
    if np.abs(matrix @ matrix.T - np.eye(3)).max() > 1e-3 or np.linalg.det(matrix) < 0:
        raise ValueError("is no right-handed rotation: rows must be unit vectors at right angles, determinant +1")


def _checked(axes: Mapping[str, str]) -> Mapping[str, str]:
    matrix_from_axes(axes)
    return axes


Axes = Annotated[
    Mapping[str, str],
    AfterValidator(_checked),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {name: {"enum": list(DIRECTIONS)} for name in schema.AXES},
            "additionalProperties": False,
            "minProperties": 2,
        }
    ),
]
"""Where a sensor's or a segment's axes point, in words."""
