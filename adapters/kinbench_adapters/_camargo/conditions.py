"""What was done when: labels, belt speeds, slopes and steps, and the gait cycles of the right leg."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench_adapters._camargo.tables import MatFile, Table
from kinbench_adapters._camargo.trials import RAMPS_DEG, STAIRS_M, Trial

FloatArray = NDArray[np.float64]

_INCH_M = 0.0254
_PLATEAU_S = 5.0
_SPEED_STEP = 0.05
_HEIGHT_M = 0.005
_SLOPE_DEG = 0.5
_WRAP = 50.0
"""A gait cycle counts from 0 to 100 and begins again."""


def motions(labels: Table, base_s: float) -> list[dict[str, Any]]:
    """Return the spans of one label each, in order, on the recording's clock: ``name``, ``start_s``, ``stop_s``."""
    words, time = labels.texts.get("Label", ()), labels.column("Header")
    if not words or len(words) != len(time):
        return []
    names = np.array([word.strip().lower().replace("-", "_") for word in words])
    return [
        {"name": str(names[start]), "as_written": words[start].strip(), **_span(time, start, stop, base_s)}
        for start, stop in _runs(names)
    ]


def belt_speeds(table: Table, base_s: float) -> list[dict[str, float]]:
    """Return the stretches of 5 s or more at one belt speed, in m s-1, to the nearest 0.05."""
    time, speed = table.column("Header"), table.column("Speed")
    rounded = np.round(speed / _SPEED_STEP)
    found = [
        {"speed_mps": round(float(np.median(speed[start:stop])), 3), **_span(time, start, stop, base_s)}
        for start, stop in _runs(rounded)
    ]
    return [one for one in found if one["stop_s"] - one["start_s"] >= _PLATEAU_S]


def _runs(values: NDArray[Any]) -> list[tuple[int, int]]:
    edges = [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist(), len(values)]
    return list(pairwise(edges))


def _span(time: FloatArray, start: int, stop: int, base_s: float) -> dict[str, float]:
    end = time[stop] if stop < len(time) else time[-1]
    return {"start_s": round(float(time[start]) - base_s, 4), "stop_s": round(float(end) - base_s, 4)}


def terrain(trial: Trial, told: MatFile | None) -> tuple[dict[str, Any], list[str]]:
    """Return slope, step and pace of a trial, and flags where its file and the paper's number in its name disagree.

    Ramps are in degrees; the files give steps in inches, here metres. The paper's value by the number in the trial's
    name is taken; where the name has none, the file's.
    """
    scalars = {} if told is None else told.scalars
    found: dict[str, Any] = {} if trial.pace is None else {"pace": trial.pace}
    flags = []
    for mode, name, variable, factor, by_paper, tolerance in (
        ("stair", "stair_height_m", "stairHeight", _INCH_M, STAIRS_M, _HEIGHT_M),
        ("ramp", "ramp_incline_deg", "rampIncline", 1.0, RAMPS_DEG, _SLOPE_DEG),
    ):
        if trial.mode != mode:
            continue
        value = scalars.get(variable)
        in_file = float(value) * factor if isinstance(value, int | float) else None
        in_paper = by_paper.get(trial.level) if trial.level is not None else None
        taken = in_paper if in_paper is not None else in_file
        found[name] = None if taken is None else round(taken, 4)
        if in_file is not None and in_paper is not None and abs(in_file - in_paper) > tolerance:
            flags.append(f"{name}_differs")
    return found, flags


def gait_events(cycles: Table, base_s: float) -> dict[str, Any]:
    """Return when the right foot touched down and left the ground, by where the cycle's count begins again."""
    time = cycles.column("Header")
    found: dict[str, Any] = {"side": "right", "method": "gcRight, by the dataset's authors"}
    for name, column in (("contact_s", "HeelStrike"), ("off_s", "ToeOff")):
        count = cycles.column(column)
        begins = np.flatnonzero(np.diff(count) < -_WRAP) + 1
        found[name] = [round(float(at) - base_s, 4) for at in time[begins]]
    return found
