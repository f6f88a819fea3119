"""Virtual sensors for round F, in which nobody wore the suit: where the suit would have put them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kinbench.recording import Body, Placement, VirtualImu, VirtualPlacement
from kinbench.virtual_imu import site_offset
from kinbench_adapters._movi.mounts import mounts
from kinbench_adapters._movi.optical import Optical

FloatArray = NDArray[np.float64]

_LEG_SHARE = 0.491
"""Thigh and shank together, of stature (Drillis and Contini 1966, in Winter 2009, figure 4.1)."""
_SHARES = {"pelvis": 0.06, "trunk": 0.288, "foot": 0.09}
"""Of stature, where no two joints of the file give a length: hips to lumbar joint, to neck, ankle to ball."""
_ASSUMED = {"trunk": ("posterior", "proximal"), "pelvis": ("sacrum", "mid")}
"""The suit's sites that nobody has published; these are where such suits are strapped."""
_LUMBAR_SHARE = 0.2
"""A trunk whose origin stands higher above the hips than this share of stature does not begin at the lumbar joint."""


def virtual_suit(optical: Optical, trunk: str, height_m: float | None) -> VirtualImu:
    """Return the request for ideal sensors at the suit's sites and in its nominal axes.

    Thighs and shanks are as long as the file's joints are apart (medians); the rest are shares of stature.
    """
    length_m = _lengths(optical, height_m)
    placed = []
    for mount in mounts(trunk):
        if mount.segment not in length_m:
            continue
        site, level = _ASSUMED.get(mount.segment, (mount.site, mount.level))
        offset = site_offset(mount.segment, mount.side, site, level, length_m[mount.segment])
        placement = Placement(
            sensor=mount.joint, segment=mount.segment, side=mount.side, site=site, level=level,
            rotation=next(iter(mount.rotations.values())), rotation_origin="nominal", attachment="virtual",
            origin="synthetic", device="virtual",
        )  # fmt: skip
        placed.append(VirtualPlacement(placement, (float(offset[0]), float(offset[1]), float(offset[2]))))
    source = "Visual3D joints of the same round; pelvis, trunk and foot by shares of stature"
    return VirtualImu(Body("measured", length_m, height_m, source), tuple(placed))


def _lengths(optical: Optical, height_m: float | None) -> dict[str, float]:
    names = optical.segments.names
    joint = {name: optical.joints[:, names.index(name)] / 1e3 for name in names}
    length_m = {}
    for letter in "rl":
        for segment, below in (("thigh", "shank"), ("shank", "foot")):
            apart = np.linalg.norm(joint[f"{segment}_{letter}"] - joint[f"{below}_{letter}"], axis=1)
            length_m[f"{segment}_{letter}"] = round(float(np.nanmedian(apart)), 4)
    legs = sum(length_m.values()) / 2
    stature = height_m if height_m is not None else legs / _LEG_SHARE
    length_m |= {name: round(_SHARES["foot"] * stature, 4) for name in ("foot_r", "foot_l")}
    length_m["pelvis"] = round(_SHARES["pelvis"] * stature, 4)
    if "trunk" in joint:
        above = float(np.nanmedian(np.linalg.norm(joint["trunk"] - joint["pelvis"], axis=1)))
        if above < _LUMBAR_SHARE * stature:
            length_m["trunk"] = round(_SHARES["trunk"] * stature, 4)
    return length_m
