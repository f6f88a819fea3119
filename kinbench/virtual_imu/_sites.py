"""Where on a segment a strap sits: the places that sites and levels name, as shares of the segment's length.

THE TABLE IS KINBENCH'S OWN CONVENTION, round figures for an adult of average build. Segments' lengths come from the
body (``Body.length_m``); the distance to the skin grows with them. Behind the shares: a thigh and shank of 0.245 and
0.246 of the body's height (Drillis and Contini 1966, in Winter, Biomechanics and Motor Control of Human Movement,
2009, figure 4.1), 0.43 m at 1.75 m, taken as round about the line between the joints, with girths of about 0.61, 0.51
and 0.42 m at a quarter, half and three quarters of the thigh, and 0.38, 0.34 and 0.24 m of the shank. A site is
known to 2 or 3 cm at best, on paper as in life; at gait's angular rates and accelerations that is up to 1 m s-2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kinbench import schema
from kinbench.errors import UsageError, suggest
from kinbench.recording import Placement, VirtualImu, VirtualPlacement

FloatArray = NDArray[np.float64]

_FAR = {"proximal": 0.25, "mid": 0.5, "distal": 0.75}
"""Way from a segment's proximal end to its distal one, as a share of its length."""

_SKIN = {
    "thigh": {"proximal": (0.225, 0.225), "mid": (0.19, 0.19), "distal": (0.155, 0.155)},
    "shank": {"proximal": (0.14, 0.14), "mid": (0.125, 0.125), "distal": (0.09, 0.09)},
    "trunk": {"proximal": (0.22, 0.32), "mid": (0.23, 0.30), "distal": (0.22, 0.30)},
}
"""Distance from the line between the joints to the skin, to the front and back and to the side."""

_ROUND: dict[str, tuple[float, float]] = {
    "anterior": (1.0, 0.0), "posterior": (-1.0, 0.0), "lateral": (0.0, 1.0), "medial": (0.0, -1.0),
    "anteromedial": (0.5**0.5, -(0.5**0.5)),
}  # fmt: skip
"""Way round the segment: anterior, and away from the other leg."""

_SINGLE: dict[str, dict[str, tuple[float, float, float]]] = {
    "trunk": {"sternum": (0.23, 0.70, 0.0)},
    "pelvis": {
        "sacrum": (-0.70, 0.45, 0.0), "posterior": (-0.70, 0.45, 0.0), "anterior": (0.45, 0.50, 0.0),
        "lateral": (-0.10, 0.55, 1.10),
    },
    "foot": {
        "dorsum": (0.50, -0.05, 0.0), "heel": (-0.50, -0.25, 0.0), "lateral": (0.20, -0.30, 0.30),
        "medial": (0.20, -0.30, -0.30),
    },
}  # fmt: skip
"""Sites that are one place whatever the level: anterior, proximal, away from the midline, as shares of the length."""


def site_offset(segment: str, side: str, site: str, level: str, length_m: float) -> FloatArray:
    """Return where a site is, (3,) m in segment axes, from the segment's proximal joint.

    ``length_m`` is the segment's: thigh and shank from joint to joint; foot from the ankle to the ball; pelvis from
    the middle of the hips to the lumbar joint; trunk from the lumbar joint to the neck. ``level`` counts from the
    proximal end, which for the trunk is the upper one; sites that are one place only (sternum, sacrum, dorsum, heel,
    ...) hold for every level. ``side`` is the sensor's (``left``, ``right``, ``midline``), and says which way is
    lateral. Raises ``UsageError`` for a segment, site or level that has no place, among them ``unknown``, for a
    lateral or medial site on the midline, and for a length that is not positive.
    """
    stem = segment.split("_")[0]
    if segment not in schema.SEGMENTS:
        raise UsageError(f"{segment!r} is no segment.{suggest(segment, schema.SEGMENTS)}")
    if not length_m > 0:
        raise UsageError(f"the length of {segment} must be positive, in metres, and is {length_m:g}")
    shares = _shares(segment, stem, site, level)
    outward = {"left": -1.0, "right": 1.0}.get(side, 0.0)
    if shares[2] and not outward:
        raise UsageError(f"the site {site!r} of {segment} needs a side (left or right), and has {side!r}")
    return np.asarray(shares) * [1.0, 1.0, outward] * length_m


def _shares(segment: str, stem: str, site: str, level: str) -> tuple[float, float, float]:
    """Return a site's place as shares of the length: anterior, proximal, away from the midline."""
    single, skin = _SINGLE.get(stem, {}), _SKIN.get(stem, {})
    if site in single:
        return single[site]
    known = [*single, *(_ROUND if skin else ())]
    if site not in known:
        raise UsageError(f"no place is known for a sensor on the site {site!r} of {segment}.{suggest(site, known)}")
    if level not in skin:
        raise UsageError(f"the site {site!r} of {segment} needs a level (proximal, mid or distal), and has {level!r}")
    (ahead, outward), (depth, breadth) = _ROUND[site], skin[level]
    height = 1 - _FAR[level] if stem == "trunk" else -_FAR[level]
    return ahead * depth, height, outward * breadth


def at_sites(request: VirtualImu, placements: Sequence[Placement]) -> VirtualImu:
    """Return the request with its sensors where other ones, a real store's say, sit: segment, site, level, rotation.

    Places come from ``site_offset`` and the body's ``length_m``. Sensors of segments whose length the body does not
    give are left out, and named in ``left_out``; nothing else of the request changes. The new sensors are synthetic
    and virtual, whatever they copy. Raises ``UsageError`` for a site or level without a place (all of them at once),
    and where no sensor is left.
    """
    placed: list[VirtualPlacement] = []
    left_out, problems = {}, []
    for real in placements:
        length_m = request.body.length_m.get(real.segment)
        if length_m is None:
            left_out[real.sensor] = f"this body has no {real.segment}, or its length is not known"
            continue
        try:
            offset = site_offset(real.segment, real.side, real.site, real.level, length_m)
        except UsageError as error:
            problems.append(f"sensor {real.sensor!r}: {error}")
            continue
        copy = replace(real, attachment="virtual", origin="synthetic", device="virtual", clock_offset_s=0.0)
        placed.append(VirtualPlacement(copy, offset_m=(float(offset[0]), float(offset[1]), float(offset[2]))))
    if not placed and not problems:
        known = ", ".join(sorted(request.body.length_m)) or "none"
        problems.append(f"none of these sensors sits on a segment whose length the body gives (it gives: {known})")
    if problems:
        raise UsageError("\n".join(problems))
    return replace(request, placements=tuple(placed), left_out=left_out)
