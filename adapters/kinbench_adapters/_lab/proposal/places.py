"""Which segment each sensor sits on: by its name, by a table or a mapping in the folder, or by how it moves."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinbench.contracts import Guess
from kinbench.errors import DataError
from kinbench_adapters._formats.imu_mapping import read_mapping
from kinbench_adapters._lab.proposal.questions import side_question
from kinbench_adapters._lab.proposal.verdicts import asked, guessed, known
from kinbench_adapters._lab.proposal.vocabulary import Place, read_code, read_place

FloatArray = NDArray[np.float64]

_TABLE_BYTES = 2**16
_TABLES = {".txt", ".csv", ".tsv", ".md"}


def told_by_files(raw: Path, names: Sequence[str], sensors: Sequence[str]) -> dict[str, tuple[Place, str]]:
    """Return what small files of the folder say of each sensor: OpenSim's mapping XML, or a line with both names."""
    found: dict[str, tuple[Place, str]] = {}
    for name in names:
        path = raw / name
        suffix = path.suffix.lower()
        if suffix == ".xml":
            found |= _mapped(path, sensors)
        elif suffix in _TABLES and path.stat().st_size <= _TABLE_BYTES:
            found |= _tabled(path, sensors)
    return found


def _mapped(path: Path, sensors: Sequence[str]) -> dict[str, tuple[Place, str]]:
    try:
        mapping = read_mapping(path)
    except DataError:
        return {}
    found = {}
    for sensor in sensors:
        frames = {frame for name, frame in mapping.sensors if name.strip("_ ") == sensor}
        place = read_place(next(iter(frames))) if len(frames) == 1 else None
        if place is not None:
            found[sensor] = (place, f"'{path.name}' maps it to {next(iter(frames))}")
    return found


def _tabled(path: Path, sensors: Sequence[str]) -> dict[str, tuple[Place, str]]:
    """A line that holds one sensor's name and one segment says where that sensor was, if no other line disagrees."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    told: dict[str, set[tuple[Place, str]]] = {}
    for line in lines[:500]:
        for sensor in sensors:
            if len(sensor) < 3 or re.search(rf"(?<![A-Za-z0-9]){re.escape(sensor)}(?![A-Za-z0-9])", line) is None:
                continue
            place = read_place(line.replace(sensor, " "))
            if place is not None:
                told.setdefault(sensor, set()).add((place, f"'{path.name}' says '{' '.join(line.split())}'"))
    return {sensor: next(iter(said)) for sensor, said in told.items() if len(said) == 1}


def guess_places(
    sensors: Mapping[str, Mapping[str, FloatArray]], told: Mapping[str, tuple[Place, str]]
) -> dict[str, Guess]:
    """Return a guess of the segment for every sensor, given its signals and what files say."""
    guesses = {}
    hints = _by_motion(sensors)
    for name in sensors:
        where = f"imu.sensors.{name}.segment"
        place, words = told.get(name, (read_place(name), f"its name, '{name}'"))
        if place is not None and place.name is not None:
            # Whoever names files may exchange them: only a mapping or a table is a statement about the sensor.
            say = known if name in told else guessed
            guesses[name] = say(where, place.name, 0.97 if name in told else 0.9, words)
        elif place is not None:
            guesses[name] = Guess(where, None, "open", 0.0, side_question(place.segment, words))
        elif (code := read_code(name)) is not None and code.name is not None:
            guesses[name] = guessed(where, code.name, 0.7, f"its name, '{name}', looks like a code for it")
        else:
            guesses[name] = asked(where, hints.get(name, "its name says nothing"))
    return guesses


def _by_motion(sensors: Mapping[str, Mapping[str, FloatArray]]) -> dict[str, str]:
    """Return in words how each sensor is shaken compared with the others: feet most, then shanks, thighs, the trunk."""
    shaken = {
        name: float(np.nanstd(np.linalg.norm(signals["acc"], axis=1)))
        for name, signals in sensors.items()
        if "acc" in signals and np.isfinite(signals["acc"]).any()
    }
    if len(shaken) < 2:
        return {}
    most = max(shaken.values())
    order = sorted(shaken, key=lambda name: -shaken[name])
    return {
        name: f"it is shaken {shaken[name] / most:.2f} times as much as the one that is shaken most, number "
        f"{order.index(name) + 1} of {len(order)} (feet and shanks are shaken most, pelvis and trunk least)"
        for name in shaken
    }  # fmt: skip
