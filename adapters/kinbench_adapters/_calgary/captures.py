"""One trial's markers as they stand in a session's JSON, or in a pair of C3D files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench_adapters._attributes import sources
from kinbench_adapters._formats.c3d import read_markers
from kinbench_adapters._formats.json_markers import parse_object, read_paths, read_points

FloatArray = NDArray[np.float64]

MODES = ("running", "walking")
KEYS = ("joints", "neutral", "walking", "running", "hz_w", "hz_r")
_RATES = {"running": "hz_r", "walking": "hz_w"}
_PLAUSIBLE_HZ = (50.0, 1000.0)


@dataclass(frozen=True)
class Capture:
    """The markers of one trial: ``standing[name]`` (3,), ``moving[name]`` (n, 3), in the files' world and unit.

    ``units`` is '' where the files do not tell. ``sources`` are the files' names and sha256, ``step`` what the
    history says of the reading.
    """

    standing: Mapping[str, FloatArray]
    moving: Mapping[str, FloatArray]
    rate_hz: float
    units: str
    sources: list[dict[str, str]]
    step: dict[str, Any]


def read_session(data: bytes, mode: str, name: str) -> Capture:
    """Return one mode of a session's JSON, ``name`` being what its file is called.

    Raises ``DataError`` where the JSON is not a session of the release, or has no such mode.
    """
    session = parse_object(data, where=name)
    absent = [key for key in KEYS if key not in session.keys()]  # noqa: SIM118 - a parsed object is not a dict
    if absent:
        raise DataError(f"expected the keys {', '.join(KEYS)} of a session, found no {', '.join(absent)}", where=name)
    objects = {key: session[key] for key in ("joints", "neutral", mode)}
    wrong = [key for key, value in objects.items() if not hasattr(value, "keys")]
    if wrong:
        told = "this session has no such trial" if wrong == [mode] else "it is damaged"
        raise DataError(f"expected markers by name under {', '.join(wrong)}, found none: {told}", where=name)
    joints, neutral = (read_points(objects[key], key, where=name) for key in ("joints", "neutral"))
    return Capture(
        standing={**neutral, **joints},
        moving=read_paths(objects[mode], mode, where=name),
        rate_hz=_rate(session[_RATES[mode]], f"{name}: {_RATES[mode]}"),
        units="mm",
        sources=[{"name": name, "sha256": hashlib.sha256(data).hexdigest()}],
        step={"step": "read_markers", "format": "JSON", "joints": len(joints), "neutral": len(neutral)},
    )


def read_pair(moving: Path, standing: Path, names: Mapping[Path, str]) -> Capture:
    """Return a trial from a C3D file and that of the standing trial, whose frames are averaged."""
    run, static = read_markers(moving), read_markers(standing)
    if run.units != static.units:
        raise DataError(
            f"expected the unit of {standing.name} ('{static.units}'), found '{run.units}'; one of the files is not "
            "of this session",
            where=moving,
        )
    return Capture(
        standing={name: _mean(path) for name, path in static.paths.items()},
        moving=run.paths,
        rate_hz=_rate(run.rate_hz, f"{moving}: POINT:RATE"),
        units=run.units,
        sources=sources((names[path], path) for path in (moving, standing)),
        step={"step": "read_markers", "format": "C3D", "standing_frames": len(next(iter(static.paths.values()), ()))},
    )


def modes_within(data: Any) -> tuple[str, ...]:
    """Return the modes that the bytes of a session hold, found without parsing them."""
    found = []
    for mode in MODES:
        place = data.find(f'"{mode}"'.encode())
        if place >= 0 and re.match(rb'"\w+"\s*:\s*\{', data[place : place + 64]):
            found.append(mode)
    return tuple(found)


def _mean(path: FloatArray) -> FloatArray:
    seen = path[np.isfinite(path).all(axis=1)]
    return seen.mean(axis=0) if len(seen) else np.full(3, np.nan)


def _rate(value: Any, where: str) -> float:
    low, high = _PLAUSIBLE_HZ
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        told = value if isinstance(value, int | float) else "none"
        raise DataError(f"expected a sampling rate of {low:g} to {high:g} Hz, found {told}", where=where)
    return float(value)
