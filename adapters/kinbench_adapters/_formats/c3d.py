"""Read the markers and analog channels of a C3D file, through the library ezc3d (the extra ``c3d``).

The format is that of https://www.c3d.org; a point whose residual is -1 was not seen. Some programs write (0, 0, 0)
instead, a place where no marker of a person can be. Either is NaN here. It is read in a child process
(``_formats.child``): of files with a few wrong bytes in the head, ezc3d 1.7 hangs on some and dies on others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench_adapters._formats import child
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


@dataclass(frozen=True)
class C3dAnalog:
    """The analog channels of one file: ``channels[name]`` (n,) and their ``units``, '' where not told."""

    rate_hz: float
    channels: Mapping[str, FloatArray]
    units: Mapping[str, str]


def read_markers(path: Path) -> C3dMarkers:
    """Read one C3D file; raises ``DataError`` for one that is none, is cut or damaged, or names a marker twice."""
    return read_c3d(path)[0]


def read_c3d(path: Path) -> tuple[C3dMarkers, C3dAnalog]:
    """Read markers and analog channels; raises as ``read_markers``. Of channels of one name the later have ``#2``."""
    _require_whole(path)
    optional("ezc3d", extra="c3d", reads="a C3D file")
    try:
        found = child.run(_load, child.Told(str(path.resolve())))
    except child.ChildError as error:
        raise DataError(f"expected a C3D file, and it cannot be read ({error}); fetch it again", where=path) from None
    facts = found.values
    points, analogs = (np.asarray(found.arrays[name], dtype=np.float64) for name in ("points", "analogs"))
    names = [str(name).strip() for name in facts["labels"]]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"POINT:LABELS: expected each marker once, found {', '.join(twice)} more than once", where=path)
    if points.ndim != 3 or points.shape[1] != len(names):
        raise DataError(f"expected one point for each of {len(names)} labels, found {points.shape}", where=path)
    places = np.moveaxis(points[:3], 0, -1)
    places[(places == 0).all(axis=-1)] = np.nan
    units = "".join(str(unit) for unit in facts["units"]).strip()
    rate_hz = float(facts["rate"][0]) if facts["rate"] else np.nan
    return C3dMarkers(rate_hz, units, dict(zip(names, places, strict=True))), _analog(facts, analogs)


def _analog(facts: Mapping[str, list[Any]], values: FloatArray) -> C3dAnalog:
    """Return the channels of ``values`` (1, channel, n); those without a label go by their place."""
    rows = values[0] if values.ndim == 3 and values.size else np.zeros((0, 0))
    labels = [str(label).strip() for label in facts["analog_labels"]]
    units = [str(unit).strip() for unit in facts["analog_units"]]
    channels: dict[str, FloatArray] = {}
    told = {}
    for place, row in enumerate(rows):
        label = (labels[place] if place < len(labels) else "") or f"channel {place}"
        name, again = label, 2
        while name in channels:
            name, again = f"{label}#{again}", again + 1
        channels[name] = row
        told[name] = units[place] if place < len(units) else ""
    return C3dAnalog(float(facts["analog_rate"][0]) if facts["analog_rate"] else np.nan, channels, told)


def _load(asked: child.Told) -> child.Told:
    """Return a file's points and analog channels, and what is said of them; runs in a process of its own."""
    file = optional("ezc3d", extra="c3d", reads="a C3D file").c3d(asked.values)
    point = file["parameters"]["POINT"]
    facts = {name.lower(): _value(point, name) for name in ("LABELS", "UNITS", "RATE")}
    facts["labels"] = _continued(point, "LABELS")
    analog = file["parameters"].get("ANALOG", {})
    facts |= {f"analog_{name.lower()}": _continued(analog, name) for name in ("LABELS", "UNITS")}
    facts["analog_rate"] = _value(analog, "RATE")
    return child.Told(facts, {name: np.asarray(file["data"][name]) for name in ("points", "analogs")})


def _continued(group: Mapping[str, Any], name: str) -> list[Any]:
    """Return a parameter's values with those of its continuations (``LABELS2`` holds what comes after 255)."""
    found, again = _value(group, name), 2
    while f"{name}{again}" in group:
        found += _value(group, f"{name}{again}")
        again += 1
    return found


def _value(group: Mapping[str, Any], name: str) -> list[Any]:
    """Return a parameter's values, an empty list where the file has none."""
    return np.asarray(group[name]["value"]).tolist() if name in group else []


def _require_whole(path: Path) -> None:
    """Refuse what is no C3D file, or ends before its last frame: the library fills up what is not there."""
    try:
        with path.open("rb") as file:
            head = file.read(_BLOCK)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=path) from error
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
