"""Which sensor was worn where: one serial that users of the dataset published, the user's own table for the rest."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinbench import schema
from kinbench.errors import DataError, suggest

FloatArray = NDArray[np.float64]

TABLE = "sensors.csv"
PELVIS = "B42DA3"
PELVIS_AXES = np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Sensor to segment: the pelvis' sensor has x up, y to the left and z backwards, as users of the dataset found."""
_COLUMNS = ("serial", "segment", "site", "level")
_REQUIRED = 2
_SIDES = {"r": "right", "l": "left"}


@dataclass(frozen=True)
class Worn:
    """Where one sensor sits. ``axes`` (3, 3) sensor to segment, None where nobody has published it."""

    segment: str
    site: str = "unknown"
    level: str = "unknown"
    axes: FloatArray | None = None

    @property
    def side(self) -> str:
        """The side of the body, by the segment's name."""
        return _SIDES.get(self.segment.rpartition("_")[2], "midline")


KNOWN: Mapping[str, Worn] = {PELVIS: Worn("pelvis", "sacrum", axes=PELVIS_AXES)}


def read_wearing(path: Path) -> dict[str, Worn]:
    """Return {serial: place}: what the table at ``path`` says, and of what it leaves out, what is published.

    Without a file only the pelvis is known. A pelvis' sensor keeps its published axes. Raises ``DataError`` with all
    that is wrong, by line.
    """
    if not path.is_file():
        return dict(KNOWN)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [(number, row) for number, row in enumerate(csv.reader(file, strict=True), start=1) if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"expected a table of the sensors, and it cannot be read: {error}", where=path) from error
    header = [cell.strip().lower() for cell in rows[0][1]] if rows else []
    if tuple(header[:_REQUIRED]) != _COLUMNS[:_REQUIRED] or not set(header) <= set(_COLUMNS):
        raise DataError(
            f"line 1: expected the columns serial,segment and if wanted site,level, found '{','.join(header)}'",
            where=path,
        )
    found: dict[str, Worn] = {}
    problems = []
    for number, row in rows[1:]:
        cells = dict(zip(header, (cell.strip() for cell in row), strict=False))
        wrong = _wrong(cells, found)
        if wrong or len(row) > len(header):
            problems += [f"line {number}: {text}" for text in wrong or ["more cells than the header has"]]
            continue
        serial = cells["serial"].upper()
        known = KNOWN.get(serial)
        axes = known.axes if known is not None and known.segment == cells["segment"] else None
        found[serial] = Worn(cells["segment"], cells.get("site") or "unknown", cells.get("level") or "unknown", axes)
    if problems:
        raise DataError(problems, where=path)
    return {**KNOWN, **found}


def _wrong(cells: Mapping[str, str], before: Mapping[str, Worn]) -> list[str]:
    serial, segment = cells.get("serial", "").upper(), cells.get("segment", "")
    problems = [] if serial else ["expected a serial, found none"]
    if serial in before:
        problems.append(f"{serial} is there already; one line a sensor is expected")
    for word, what, words in (
        (segment, "segment", schema.SEGMENTS),
        (cells.get("site") or "unknown", "site", schema.SITES),
        (cells.get("level") or "unknown", "level", schema.LEVELS),
    ):
        if word not in words:
            problems.append(f"expected a {what} of {', '.join(words)}, found '{word}'.{suggest(word, words)}")
    return problems
