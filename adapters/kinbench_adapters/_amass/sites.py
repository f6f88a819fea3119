"""Where virtual sensors sit on the body, and how they are turned, as others have placed them on AMASS.

A sensor's axes are Tan et al.'s: z the outward normal, y up, x = y cross z (on the front of the body: to the left).
Vertices are those of the SMPL mesh (6890), and hold where the user's body model has that mesh; elsewhere a sensor sits
where ``virtual_imu.site_offset`` puts its site, or the one next to it, on a segment of that length: some 3 cm off.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from kinbench import virtual_imu
from kinbench.recording import Placement, VirtualPlacement
from kinbench_adapters._amass.skeleton import SEGMENT_JOINT, Rest

FloatArray = NDArray[np.float64]
Vector = tuple[float, float, float]

_INSTEP_DEG = 60.0
FRONT = np.eye(3)
"""Columns are the sensor's axes in model axes (left, up, forward): a sensor on the front, or with the bone's axes."""
BACK = np.diag([-1.0, 1.0, -1.0])
LEFT = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
RIGHT = LEFT.T
INSTEP = Rotation.from_euler("x", -_INSTEP_DEG, degrees=True).as_matrix()
"""On the instep: the normal up and forward, y up along it. Tan et al. turn the foot's signals by 60 degrees about x."""


@dataclass(frozen=True)
class Site:
    """One place on one kind of segment (``thigh`` for both thighs), on the right side or in the middle.

    ``vertex`` (left, right) are its vertices on the SMPL mesh, where somebody published them; ``near`` is the site of
    the closed list next to one that has none.
    """

    segment: str
    site: str
    level: str
    vertex: tuple[int, int] | None = None
    axes: tuple[FloatArray, FloatArray] = (FRONT, FRONT)
    """The sensor's axes on the left and on the right."""
    near: str | None = None


@dataclass(frozen=True)
class SiteSet:
    """Sensors of one published system; ``left_out`` are those on segments that the schema does not have."""

    sites: tuple[Site, ...]
    source: str
    left_out: tuple[str, ...] = ()


_UPPER = ("forearm_l (vertex 1961)", "forearm_r (vertex 5424)", "head (vertex 411)")
SITE_SETS: dict[str, SiteSet] = {
    "kinbench": SiteSet(
        (
            Site("trunk", "sternum", "proximal"),
            Site("pelvis", "sacrum", "mid", axes=(BACK, BACK)),
            Site("thigh", "lateral", "mid", axes=(LEFT, RIGHT)),
            Site("shank", "lateral", "mid", axes=(LEFT, RIGHT)),
            Site("foot", "dorsum", "mid", axes=(INSTEP, INSTEP)),
        ),
        "where laboratories strap them: sternum, sacrum, lateral thighs and shanks, insteps",
    ),
    "tan": SiteSet(
        (
            Site("trunk", "sternum", "proximal", (1329, 1329)),
            Site("pelvis", "anterior", "mid", (3147, 3147)),
            Site("thigh", "anterior", "mid", (945, 4434)),
            Site("shank", "anterior", "mid", (1075, 4563)),
            Site("foot", "dorsum", "mid", (3343, 6740), (INSTEP, INSTEP)),
        ),
        "Tan et al., IEEE Trans Biomed Eng 71(7) (2024)",
    ),
    "transpose": SiteSet(
        (
            Site("pelvis", "sacrum", "mid", (3021, 3021)),
            Site("shank", "unknown", "proximal", (1176, 4662), near="anterior"),
        ),
        "Yi et al., TransPose, ACM Trans Graph 40(4) (2021): sensors have their bones' axes",
        _UPPER,
    ),
    "imuposer": SiteSet(
        (
            Site("pelvis", "sacrum", "mid", (3021, 3021)),
            Site("thigh", "unknown", "proximal", (876, 4362), near="anterior"),
        ),
        "Mollyn et al., IMUPoser, CHI (2023): phones in the pockets, sensors have their bones' axes",
        _UPPER,
    ),
}  # fmt: skip

VARIANT_DEG: dict[str | None, tuple[float, float]] = {None: (-10.0, 10.0), "tan2024": (0.0, 10.0)}
"""What each angle of a variant's misalignment is drawn from: as the paper says, and as its code does."""


def place(
    sites: SiteSet,
    named: Mapping[str, int],
    rest: Rest,
    axes: Mapping[int, FloatArray],
    skin: FloatArray | None,
    misalignment: Mapping[str, FloatArray],
) -> tuple[VirtualPlacement, ...]:
    """Return the sensors of a set on a body.

    ``named`` gives each segment's joint, ``axes`` each joint's matrix from model to segment axes, ``skin`` (6890, 3) m
    the person's mesh at rest where there is one, ``misalignment`` per segment a rotation vector in degrees, in the
    sensor's axes, by which its readings are turned.
    """
    found = []
    for segment, joint in named.items():
        for site in sites.sites:
            if site.segment != segment.removesuffix("_r").removesuffix("_l"):
                continue
            turn = axes[joint]
            rotation = turn @ site.axes[_is_right(joint)]
            placement = Placement(
                sensor=segment, segment=segment, side=_side(segment), site=site.site, level=site.level,
                rotation=rotation, rotation_origin="declared", attachment="virtual", origin="synthetic",
                device="virtual",
            )  # fmt: skip
            away = -rotation @ misalignment.get(segment, np.zeros(3))
            offset = _offset(site, joint, rest, turn, skin)
            found.append(VirtualPlacement(placement, _vector(offset), _vector(away)))
    return tuple(found)


def misalignments(
    segments: Iterable[str], *, seed: int, name: str, variant: int, compat: str | None
) -> dict[str, FloatArray]:
    """Return how each sensor's readings are turned in one orientation variant of the recording ``name``.

    Rx(a) Ry(b) Rz(c), each angle uniform within ``VARIANT_DEG[compat]``, as a rotation vector in degrees. The draw
    depends on nothing but the arguments. Variant 0 is the nominal one: no misalignment.
    """
    if variant == 0:
        return {}
    names = tuple(segments)
    random = np.random.default_rng([seed, zlib.crc32(name.encode()), variant])
    angles = random.uniform(*VARIANT_DEG[compat], size=(len(names), 3))
    turns = Rotation.from_euler("XYZ", angles, degrees=True).as_rotvec(degrees=True)
    return dict(zip(names, np.asarray(turns, dtype=np.float64), strict=True))


def _offset(site: Site, joint: int, rest: Rest, turn: FloatArray, skin: FloatArray | None) -> FloatArray:
    """Return a site's place from the segment's origin, (3,) m in segment axes."""
    if skin is not None and site.vertex is not None:
        found: FloatArray = turn @ (skin[site.vertex[_is_right(joint)]] - rest.joint[joint] - rest.origin[joint])
        return found
    segment = next(name for name, one in SEGMENT_JOINT.items() if one == joint)  # the side it is of, not is named after
    where = site.near or site.site
    return virtual_imu.site_offset(segment, _side(segment), where, site.level, rest.length_m(joint))


def _is_right(joint: int) -> bool:
    return joint in (2, 5, 8)


def _side(segment: str) -> str:
    return {"_r": "right", "_l": "left"}.get(segment[-2:], "midline")


def _vector(values: FloatArray) -> Vector:
    x, y, z = (float(value) + 0.0 for value in values)  # + 0.0: no negative zero in the history
    return (x, y, z)
