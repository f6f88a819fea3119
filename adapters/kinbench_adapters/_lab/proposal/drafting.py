"""Reading what a proposal describes, as far as it goes: for plots, to measure how clocks stand, and to be checked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import xarray as xr
import yaml

from kinbench import alignment, harmonisation, kinematics
from kinbench.contracts import DatasetCard
from kinbench.errors import DataError, UsageError
from kinbench.recording import Declared, Recording
from kinbench_adapters._lab.inventory import Plan, take_inventory
from kinbench_adapters._lab.manifest import FILE_NAME, read_manifest
from kinbench_adapters._lab.recording import load

MOST_DRAFTS = 2
MOST_BYTES = 2**26
MOST_S = 120.0
"""So much of a recording, where it moves most, is checked: enough strides for every check, and done in a breath."""
_FILLED = {"licence": "none stated", "subject": "P1", "activity": "unknown", "tier": "imu_fusion",
           "convention": "axis_angle", "kind": "specific_force", "sign": "1", "method": "hardware",
           "order": "wxyz", "maps": "sensor_to_world", "up": "z", "version": "1", "calibrate": "auto"}  # fmt: skip
_UNITS = {"acc": "m/s2", "gyr": "rad/s", "mag": "a.u.", "reference": "deg"}


@dataclass(frozen=True)
class Drafts:
    """The recordings that could be read, in schema units, and why others could not, a sentence each."""

    recordings: tuple[Recording, ...] = ()
    problems: tuple[str, ...] = ()


def draft(raw: Path, text: str) -> Drafts:
    """Return the first and the last recording that the manifest describes, its questions answered at random.

    What cannot be read is told and left out, for a proposal must not fail by what it has to ask for.
    """
    plain = _filled(yaml.load(text.replace('"?"', '""'), Loader=yaml.BaseLoader))
    if plain is None:
        return Drafts()
    plain["root"] = str(raw.resolve())
    found: list[Recording] = []
    problems: list[str] = []
    with TemporaryDirectory() as folder:
        file = Path(folder) / FILE_NAME
        file.write_text(json.dumps(plain), encoding="utf-8")
        try:
            manifest, root = read_manifest(file)
            plans, _ = take_inventory(manifest, file, root)
        except (UsageError, DataError):
            return Drafts()  # by a question that has no harmless answer
        card = DatasetCard("draft", "draft", "1", "", "none stated", False, "", "")
        for plan in _chosen(plans):
            try:
                found.append(harmonisation.harmonise(load(plan, card, "1")))
            except (DataError, UsageError) as error:
                problems.append(f"{plan.key}: {str(error).splitlines()[0]}")
    return Drafts(tuple(found), tuple(problems))


def _chosen(plans: Sequence[Plan]) -> list[Plan]:
    """Return the first and the last recording that are not too large, of those with a reference if there are any."""
    small = [plan for plan in plans if sum(path.stat().st_size for path in plan.paths) <= MOST_BYTES]
    whole = [plan for plan in small if plan.reference] or small
    return whole if len(whole) <= MOST_DRAFTS else [whole[0], whole[-1]]


def place(recording: Recording) -> Recording:
    """Return a draft as a conversion would store it: joint angles made, clocks and rotations treated as it says.

    Virtual sensors are not made: they would only say what the reference does. Raises ``DataError`` where that fails.
    """
    reference = recording.reference
    if reference is not None and "angle" not in reference and "segment_quat" in reference:
        convention = (recording.declared or Declared()).convention
        recording = replace(recording, reference=kinematics.dofs_from_segments(reference, convention=convention))
    return alignment.align(recording)


def busiest(recording: Recording) -> Recording:
    """Return the two minutes of a placed recording in which its sensors (else its joints) move most."""
    stream = recording.imu if recording.imu is not None else recording.reference
    if stream is None or not len(stream["time"]):
        return recording
    time = np.asarray(stream["time"].values, dtype=np.float64)
    if time[-1] - time[0] <= MOST_S:
        return recording
    first = time[0] + MOST_S * int(np.argmax(_motion(stream, time)))
    return replace(recording, imu=_between(recording.imu, first), reference=_between(recording.reference, first))


def _motion(stream: xr.Dataset, time: np.ndarray[Any, np.dtype[np.float64]]) -> list[float]:
    """Return how much a stream varies in each whole stretch of ``MOST_S``."""
    name = next(word for word in ("gyr", "acc", "quat", "angle", "segment_quat") if word in stream)
    values = np.asarray(stream[name].values, dtype=np.float64).reshape(len(time), -1)
    steps = np.nan_to_num(np.abs(np.diff(values, axis=0, append=values[-1:]))).sum(axis=1)
    stretch = ((time - time[0]) // MOST_S).astype(int)
    sums: list[float] = np.bincount(stretch, weights=steps).tolist()
    return sums[: int((time[-1] - time[0]) // MOST_S)]


def _between(stream: xr.Dataset | None, first_s: float) -> xr.Dataset | None:
    if stream is None:
        return None
    time = stream["time"].values
    return stream.isel(time=(time >= first_s) & (time < first_s + MOST_S))


def _filled(plain: Any) -> dict[str, Any] | None:
    """Return the manifest with every empty value filled; None where an empty one has no harmless filling."""
    if plain.get("imu", {}).get("rate_hz") == "" or plain.get("reference", {}).get("rate_hz") == "":
        return None
    _fill(plain, "")
    angles = plain.get("reference", {}).get("angles", {})
    for name in [name for name in angles if name[-2:] not in ("_r", "_l") and not name.startswith("pelvis")]:
        angles[f"{name}_r"] = angles.pop(name)
    return plain if isinstance(plain, dict) else None


def _fill(node: Any, parent: str) -> None:
    for key, value in list(node.items()):
        if isinstance(value, dict):
            _fill(value, key)
        elif value == "" and key == "segment":
            node[key] = "trunk"
        elif value == "" and key == "unit":
            node[key] = _UNITS.get(parent, "deg")
        elif value == "":
            node[key] = _FILLED.get(key, value)
