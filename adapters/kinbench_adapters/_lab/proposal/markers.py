"""What can be said of markers, where there are neither sensors nor angles: Plug-in Gait's set is known by its names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinbench.contracts import Guess
from kinbench.kinematics import PLUG_IN_GAIT
from kinbench_adapters._lab.proposal.folder import Family
from kinbench_adapters._lab.proposal.verdicts import asked, guessed, known

FloatArray = NDArray[np.float64]

NAMES = tuple(dict.fromkeys(name for names in PLUG_IN_GAIT.values() for name in names))
LEG_LENGTHS_M = (0.3, 1.3)
"""From ankle to iliac spine, of a child and of a tall person: it tells metres from millimetres."""
_UPRIGHT = 0.9
_STRAIGHT = 0.8
SITES = {
    "pelvis": {"segment": "pelvis", "site": "sacrum", "at": ["LPSI", "RPSI"]},
    "thigh_r": {"segment": "thigh_r", "site": "lateral", "level": "mid"},
    "thigh_l": {"segment": "thigh_l", "site": "lateral", "level": "mid"},
    "shank_r": {"segment": "shank_r", "site": "lateral", "level": "mid"},
    "shank_l": {"segment": "shank_l", "site": "lateral", "level": "mid"},
    "foot_r": {"segment": "foot_r", "site": "heel", "at": "RHEE"},
    "foot_l": {"segment": "foot_l", "site": "heel", "at": "LHEE"},
}
"""Where virtual sensors may ride, for a start."""


@dataclass(frozen=True)
class MarkerSet:
    """Plug-in Gait markers in a family of files, and what can be said of them."""

    family: Family
    guesses: Mapping[str, Guess]


def look_at_markers(families: Sequence[Family]) -> MarkerSet | None:
    """Return the family with Plug-in Gait's lower-body markers; None where there is none."""
    having = [f for f in families if f.first.length_unit is not None and set(NAMES) <= set(f.first.columns)]
    if not having or not having[0].naming.pattern:
        return None
    family = having[0]
    look = family.first
    told = f"{len(family.naming.fields)} files with the {len(NAMES)} markers of Plug-in Gait's lower body, by name"
    guesses = {
        "reference.files": guessed("reference.files", family.naming.pattern, 0.9, told),
        "reference.reader": known("reference.reader", look.reader["name"], 0.98, f"'{look.name}' was read with it"),
        "reference.rate_hz": known("reference.rate_hz", look.rate_hz, 0.98, look.rate_told),
        "reference.tier": guessed("reference.tier", "optical_6dof", 0.7, "segments follow from optical markers"),
        "reference.markers.set": guessed("reference.markers.set", "plug_in_gait", 0.9, told),
        **_unit_and_world(family),
    }
    return MarkerSet(family, guesses)


def _unit_and_world(family: Family) -> dict[str, Guess]:
    """Which way is up: from ankles to iliac spines. In which unit: by how long that is. Forward: where all walk to."""
    spans, ways = [], []
    for look in family.looks.values():
        hips, ankles = _mean(look.columns, ("LASI", "RASI")), _mean(look.columns, ("LANK", "RANK"))
        spans.append(np.nanmean(hips - ankles, axis=0))
        moved = hips[np.isfinite(hips).all(axis=1)]
        ways.append(moved[-1] - moved[0] if len(moved) else np.full(3, np.nan))
    up = np.nanmean(spans, axis=0)
    said = family.first.length_unit or ""
    forward = _forward(np.array(ways), up)
    return {
        "reference.markers.unit": _length(float(np.linalg.norm(up)), said),
        "reference.world.up": _up(up),
        **({} if forward is None else {"reference.world.forward": forward}),
    }


def _mean(columns: Mapping[str, FloatArray], names: Sequence[str]) -> FloatArray:
    found: FloatArray = np.mean([columns[name] for name in names], axis=0)
    return found


def _length(length: float, said: str) -> Guess:
    field = "reference.markers.unit"
    fits = [
        unit
        for unit, scale in (("m", 1.0), ("cm", 0.01), ("mm", 0.001))
        if LEG_LENGTHS_M[0] < length * scale < LEG_LENGTHS_M[1]
    ]
    told = f"from ankles to iliac spines it is {length:.4g}"
    if len(fits) == 1 and said in ("", fits[0]):
        return known(field, fits[0], 0.98, told + (f", and the file says {said}" if said else ""))
    return asked(field, f"{told}; the file says {said or 'nothing'}")


def _up(direction: FloatArray) -> Guess:
    field, told = "reference.world.up", "from the ankles to the iliac spines"
    axis, share = _axis(direction)
    if share > _UPRIGHT:
        return known(field, axis, 0.97, f"{told} it is {share:.0%} along {axis}")
    return asked(field, f"{told} no axis has {_UPRIGHT:.0%} of it")


def _axis(direction: FloatArray) -> tuple[str, float]:
    """Return the axis that a direction lies along, and how much of it; 0 where there is no direction."""
    length = float(np.linalg.norm(direction))
    if not length > 0:  # nor where it is NaN
        return "x", 0.0
    strongest = int(np.argmax(np.abs(direction)))
    return ("-" if direction[strongest] < 0 else "") + "xyz"[strongest], abs(float(direction[strongest])) / length


def _forward(ways: FloatArray, up: FloatArray) -> Guess | None:
    """Return where all walk to. People may walk there and back: then forward is not one way, and is left out."""
    level = ways - np.outer(ways @ up, up) / float(up @ up)
    lengths = np.linalg.norm(level, axis=1)
    if not np.isfinite(level).all() or (lengths < 0.2 * float(np.linalg.norm(up))).any():
        return None
    mean = (level / lengths[:, None]).mean(axis=0)
    axis, share = _axis(mean)
    if share <= _STRAIGHT or float(np.linalg.norm(mean)) <= _STRAIGHT:
        return None
    told = f"in {len(ways)} recordings people moved on average so: it is {share:.0%} along {axis}"
    return guessed("reference.world.forward", axis, 0.7, told)
