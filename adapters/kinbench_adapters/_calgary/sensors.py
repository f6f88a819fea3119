"""Virtual sensors on the seven marker clusters: where each sits, and the lengths that sites elsewhere are shares of.

A sensor is put at the middle of its cluster's real markers while the person stands. What a laboratory would call that
place is read off the person, since two laboratories do not put their shells at one place: the clinic's sit behind the
thigh and the shank, over the sacrum and on the heel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kinbench.recording import Body, Dynamics, Placement, VirtualImu, VirtualPlacement
from kinbench_adapters._calgary.anatomy import Anatomy

FloatArray = NDArray[np.float64]

CUTOFF_HZ = 30.0
"""Low-pass of the segments' motion ahead of its derivatives; 97 % of a 15 Hz signal pass.

Grounds: markers' accelerations by band, on three runners. The clinic's files have been low-passed (3 m s-2 rms at 10
to 15 Hz, 0.2 at 20 to 30 Hz, below 0.1 beyond), so it takes nothing from them. Unfiltered ones (another laboratory,
150 Hz) have 24 m s-2 rms between 50 and 75 Hz, where noise alone is left; noise that is white in position then makes
up 0.8 of the 2.8 m s-2 found at 15 to 20 Hz, but 2.5 of 4.3 at 20 to 30 Hz.
"""

_DOWN = {"thigh": ("hip", "knee"), "shank": ("knee", "ankle")}
_SIDES = {"r": "right", "l": "left"}
_BEHIND_M = 0.03
_MIDLINE_M = 0.05


def virtual_imu(anatomy: Anatomy, cutoff_hz: float) -> VirtualImu:
    """Return the request for one ideal sensor per cluster, its axes those of the segment."""
    offsets = {segment: offset_m(anatomy, segment) for segment in anatomy.frames}
    lengths, source = _lengths(anatomy)
    placements = tuple(
        VirtualPlacement(_placement(segment, offset, lengths.get(segment)), offset_m=(offset[0], offset[1], offset[2]))
        for segment, offset in offsets.items()
    )
    body = Body(geometry="measured", length_m=lengths, source=source)
    return VirtualImu(body, placements, Dynamics(cutoff_hz=cutoff_hz))


def offset_m(anatomy: Anatomy, segment: str) -> list[float]:
    """Return the middle of a standing cluster in segment axes, in metres from the segment's origin."""
    frame = anatomy.frames[segment]
    middle = anatomy.clusters[segment].mean(axis=0) - frame.origin
    return [float(value) for value in frame.rotation.T @ middle * anatomy.unit_m]


def _placement(segment: str, offset: Sequence[float], length_m: float | None) -> Placement:
    stem, _, letter = segment.partition("_")
    side = _SIDES.get(letter, "midline")
    site, level = _site(stem, side, offset, length_m)
    return Placement(
        sensor=segment, segment=segment, side=side, site=site, level=level, rotation=np.eye(3),
        rotation_origin="declared", attachment="virtual", origin="synthetic", device="virtual, on the marker cluster",
    )  # fmt: skip


def _site(stem: str, side: str, offset: Sequence[float], length_m: float | None) -> tuple[str, str]:
    """Return the words for a place in segment axes: the quadrant and the third of a limb, sacrum and heel."""
    ahead, up, right = offset
    if stem == "pelvis":
        return ("sacrum", "mid") if ahead < -_BEHIND_M and abs(right) < _MIDLINE_M else ("unknown", "unknown")
    if stem == "foot":
        return ("heel" if ahead < -_BEHIND_M else "unknown"), "unknown"
    outward = right if side == "right" else -right
    if abs(ahead) >= abs(outward):
        site = "anterior" if ahead > 0 else "posterior"
    else:
        site = "lateral" if outward > 0 else "medial"
    share = -up / length_m if length_m else np.nan
    return site, "proximal" if share < 1 / 3 else "mid" if share < 2 / 3 else "distal"


def _lengths(anatomy: Anatomy) -> tuple[dict[str, float], str]:
    """Return the segments' lengths in metres and where each comes from; one that no marker gives is left out."""
    centres, unit_m = anatomy.centres, anatomy.unit_m
    lengths = {}
    for letter in "rl":
        for stem, (upper, lower) in _DOWN.items():
            lengths[f"{stem}_{letter}"] = _between(centres[f"{upper}_{letter}"], centres[f"{lower}_{letter}"], unit_m)
    told = ["thigh and shank: between joint centres"]
    highest = max(float(place[1]) for place in anatomy.clusters["pelvis"])
    lengths["pelvis"] = (highest - float(anatomy.frames["pelvis"].origin[1])) * unit_m
    told.append("pelvis: from the hips up to its highest markers, at the level of the posterior superior iliac spines")
    if balls := _balls(anatomy.standing):
        lengths |= {f"foot_{x}": _between(centres[f"ankle_{x}"], ball, unit_m) for x, ball in balls.items()}
        told.append("foot: from the ankle to the middle of the first and fifth metatarsal heads")
    return {segment: round(length, 4) for segment, length in lengths.items()}, "; ".join(told)


def _balls(standing: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Return the middle of the metatarsal heads by side, of the sessions (60 %) that have these markers."""
    found = {}
    for letter, side in (("r", "R"), ("l", "L")):
        heads = [standing.get(f"{side}_{name}", np.full(3, np.nan)) for name in ("first", "fifth")]
        if np.isfinite(heads).all():
            found[letter] = np.mean(heads, axis=0)
    return found


def _between(one: FloatArray, other: FloatArray, unit_m: float) -> float:
    return float(np.linalg.norm(one - other)) * unit_m
