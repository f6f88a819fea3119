"""Where the suit's sensors sit, and how their cases are turned, as far as anybody has published it.

The matrices are those that Tan et al. (IEEE Trans Biomed Eng 71(7), 2024) give for the suit in MoVi: they turn a raw
vector into axes x to the left, y up along the segment, z to the front. On the foot z is the normal of the instep and
y points up and back along it; they take the instep to slope by 30 degrees. From there to ours (X anterior, Y proximal,
Z right) is X = z, Y = y, Z = -x.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Mount:
    """One sensor: ``joint`` is the suit's name of it, ``rotations`` (3, 3) sensor to segment, the nominal one first.

    More than one rotation stands where the published one is doubted; gravity at rest decides between them.
    """

    joint: str
    segment: str
    side: str
    site: str
    level: str
    rotations: dict[str, FloatArray]


_FROM_TAN = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
_BODY = np.array([[0.0, -1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
_THIGH = {
    "right": np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
    "left": np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
}
_FOOT = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]])
_SIN, _COS = 0.5, float(np.sqrt(0.75))
_SLOPE = np.array([[1.0, 0.0, 0.0], [0.0, _SIN, _COS], [0.0, -_COS, _SIN]])
"""From the axes on the instep to x left, y up, z forward: a turn about x by 60 degrees."""

_ON_INSTEP = _FROM_TAN @ _SLOPE @ _FOOT
_QUARTER = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
_HALF = np.diag([1.0, -1.0, -1.0])
_FOOT_ROTATIONS = {
    "instep normal along -x": _ON_INSTEP,
    "x to the toes, z into the foot": _ON_INSTEP @ _QUARTER,
    "x to the toes, z out of the foot": _ON_INSTEP @ _QUARTER @ _HALF,
}
"""The published matrix, and two readings of the words beside it ("foot: x forward"), which contradict it."""

TRUNK = {"spine1": "Spine1", "spine3": "Spine3"}

_UPRIGHT = {"published": _FROM_TAN @ _BODY}


def mounts(trunk: str) -> tuple[Mount, ...]:
    """Return the eight sensors on trunk (``spine1`` or ``spine3``), pelvis and legs.

    Where on the trunk and pelvis they sit nobody has published, so ``site`` is unknown there.
    """
    found = [
        Mount(TRUNK[trunk], "trunk", "midline", "unknown", "unknown", _UPRIGHT),
        Mount("Hip", "pelvis", "midline", "unknown", "unknown", _UPRIGHT),
    ]
    for side, letter in (("right", "r"), ("left", "l")):
        word = side.capitalize()
        found += [
            Mount(f"{word}UpLeg", f"thigh_{letter}", side, "lateral", "mid", {"published": _FROM_TAN @ _THIGH[side]}),
            Mount(f"{word}Leg", f"shank_{letter}", side, "anterior", "mid", _UPRIGHT),
            Mount(f"{word}Foot", f"foot_{letter}", side, "dorsum", "mid", _FOOT_ROTATIONS),
        ]
    return tuple(found)
