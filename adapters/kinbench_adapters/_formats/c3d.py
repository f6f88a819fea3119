"""Read the markers of a C3D file, through the library ezc3d (the extra ``c3d``).

The format is that of https://www.c3d.org; a point whose residual is -1 was not seen. Some programs write (0, 0, 0)
instead, a place where no marker of a person can be. Either is NaN here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench_adapters._formats.extras import optional

FloatArray = NDArray[np.float64]
_MAGIC = 0x50
_BLOCK = 512


@dataclass(frozen=True)
class C3dMarkers:
    """The markers of one file: ``paths[name]`` (n, 3) in ``units``, NaN where not seen; ``units`` '' where not told."""

    rate_hz: float
    units: str
    paths: Mapping[str, FloatArray]


def read_markers(path: Path) -> C3dMarkers:
    """Read one C3D file; raises ``DataError`` for one that is none, is cut, or names a marker twice."""
    _require_whole(path)
    library = optional("ezc3d", extra="c3d", reads="a C3D file")
    try:
        file = library.c3d(str(path))
    except (OSError, RuntimeError, ValueError, MemoryError) as error:
        raise DataError(f"expected a C3D file, and it cannot be read: {error}; fetch it again", where=path) from error
    point = file["parameters"]["POINT"]
    names = [str(name).strip() for name in _value(point, "LABELS")]
    points = np.asarray(file["data"]["points"], dtype=np.float64)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"POINT:LABELS: expected each marker once, found {', '.join(twice)} more than once", where=path)
    if points.ndim != 3 or points.shape[1] != len(names):
        raise DataError(f"expected one point for each of {len(names)} labels, found {points.shape}", where=path)
    places = np.moveaxis(points[:3], 0, -1)
    places[(places == 0).all(axis=-1)] = np.nan
    units = "".join(str(unit) for unit in _value(point, "UNITS")).strip()
    rate = _value(point, "RATE")
    return C3dMarkers(float(rate[0]) if len(rate) else np.nan, units, dict(zip(names, places, strict=True)))


def _value(group: Mapping[str, Any], name: str) -> list[Any]:
    """Return a parameter's values, an empty list where the file has none."""
    return list(group[name]["value"]) if name in group else []


def _require_whole(path: Path) -> None:
    """Refuse what is no C3D file or ends before its last frame: a parser of such a file may ask for any memory."""
    with path.open("rb") as file:
        head = file.read(_BLOCK)
    if len(head) < _BLOCK or head[1] != _MAGIC:
        raise DataError("expected a C3D file (second byte 0x50), found something else; fetch it again", where=path)
    words = np.frombuffer(head, dtype="<u2", count=12)
    points, analog, first, last, start = (int(words[index]) for index in (1, 2, 3, 4, 8))
    scale = float(np.frombuffer(head, dtype="<f4", count=1, offset=12)[0])
    processor = _processor(path, head[0])
    if processor == 1 and last >= first and last < 0xFFFF:  # little-endian, and not a count that ran over
        width = 4 if scale < 0 else 2
        needed = (start - 1) * _BLOCK + (last - first + 1) * (4 * points + analog) * width
        if path.stat().st_size < needed:
            raise DataError(
                f"expected {needed} bytes for frames {first} to {last}, found {path.stat().st_size}; fetch it again",
                where=path,
            )


def _processor(path: Path, block: int) -> int:
    """Return the kind of processor that wrote the file: 1 Intel, 2 DEC, 3 MIPS; 0 where it does not say."""
    with path.open("rb") as file:
        file.seek((block - 1) * _BLOCK + 3 if block else 0)
        told = file.read(1)
    return told[0] - 83 if told and 84 <= told[0] <= 86 else 0
