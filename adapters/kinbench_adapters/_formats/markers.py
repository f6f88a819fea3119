"""One shape for files of marker trajectories, whichever system wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

LENGTHS = {
    "m": "m", "meter": "m", "meters": "m", "metre": "m", "metres": "m", "mm": "mm", "millimeter": "mm",
    "millimeters": "mm", "millimetre": "mm", "millimetres": "mm", "cm": "cm", "centimeters": "cm", "centimetres": "cm",
}  # fmt: skip
"""Words for a unit of length in such files, to ours."""


@dataclass(frozen=True)
class Markers:
    """The markers of one file: ``paths[name]`` (n, 3) in ``units`` (m, cm, mm; '' where not told), NaN where not seen.

    ``time_s`` (n,) and ``rate_hz`` are the file's own clock. ``up`` is the axis of its world that points up where the
    format has it fixed, None where the laboratory chose it.
    """

    path: Path
    rate_hz: float
    time_s: FloatArray
    units: str
    paths: Mapping[str, FloatArray]
    up: str | None = None


def length_unit(word: str) -> str:
    """Return our word for a file's unit of length, '' for one that is none."""
    return LENGTHS.get(word.strip().lower(), "")
