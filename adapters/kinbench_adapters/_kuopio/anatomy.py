"""The segments' motion from marker clusters, functional joint centres and the markers on condyles and malleoli.

There is no standing trial among the files whose content is known, so everything anatomical is found in the walk
itself: each point is carried into the cluster's own axes in every frame and the median is taken there. Axes: a thigh's
and shank's Y joins its joint centres, Z points along the condyles or malleoli, across Y; the pelvis' Z joins the hip
centres and its Y is the mean vertical of the trial, so that its mean tilt is zero by construction (no marker lies on
its spines); a foot's X goes from the heel to the middle between hallux and fourth toe, so that its ankle zero is its
own. Labels are those that users of the dataset found by the markers' geometry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench.kinematics import Frame, RigidFit, SegmentMotion, cluster_motion, fit_rigid, orthonormal

FloatArray = NDArray[np.float64]
Paths = Mapping[str, FloatArray]

LOOSE_MM = 20.0
"""Skin moves the markers of a cluster against each other by a centimetre; an exchanged marker is off by decimetres."""
LEAST = 3
LEAST_FRAMES = 30
_UPRIGHT_DEG = 25.0
_WAY_MM = 1000.0
_ATHWART_DEG = 20.0
_THIGH_MM = (250.0, 600.0)
_EXPLAINED = 0.5
"""Share of the knee's angular rate that must lie about one axis, before that is called the flexion axis."""
_OUTWARD = {"r": 1.0, "l": -1.0}


@dataclass(frozen=True)
class Anatomy:
    """``motions`` by segment, in the cameras' world and unit; ``lacking`` says why a segment is not there.

    ``up`` is the axis of that world that points up, ``forward`` the one along which the person walks, None where that
    is none. ``flags`` and ``figures`` are for the recording's quality and history.
    """

    motions: dict[str, SegmentMotion] = field(default_factory=dict)
    lacking: dict[str, str] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    figures: dict[str, dict[str, object]] = field(default_factory=dict)
    up: str = ""
    forward: str | None = None


@dataclass(frozen=True)
class Cluster:
    """The markers of one segment that were seen: their rigid ``shape`` (k, 3), ``paths`` (n, k, 3) and ``fit``."""

    names: tuple[str, ...]
    shape: FloatArray
    paths: FloatArray
    fit: RigidFit

    def carry(self, path: FloatArray) -> FloatArray:
        """Return a point (3,) in the shape's axes: the median over the frames in which both were seen."""
        local = np.einsum("nji,nj->ni", self.fit.rotation, path - self.fit.translation)
        known = local[np.isfinite(local).all(axis=1)]
        return np.median(known, axis=0) if len(known) >= LEAST_FRAMES else np.full(3, np.nan)

    def place(self, point: FloatArray) -> FloatArray:
        """Return the path (n, 3) of a point of the shape's axes."""
        path: FloatArray = self.fit.rotation @ point + self.fit.translation
        return path


def find_segments(paths: Paths, where: object) -> Anatomy:
    """Return the motion of every segment that the markers (n, 3), mm, allow.

    Raises ``DataError`` where nobody stands upright in the markers, sides or markers are exchanged, or a length is
    none of a person's.
    """
    clusters = {name: cluster for name, stem in _STEMS.items() if (cluster := _cluster(paths, stem)) is not None}
    found = Anatomy()
    found.lacking.update(dict.fromkeys(_STEMS.keys() - clusters.keys(), f"fewer than {LEAST} of its markers are seen"))
    hips, up = _hips(paths, clusters, where)
    _pelvis(found, clusters["pelvis"], hips, up)
    right = _unit(clusters["pelvis"].place(hips["r"]) - clusters["pelvis"].place(hips["l"]))
    for letter in "rl":
        across = _across(found, paths, clusters, letter, right, where)
        _leg(found, paths, clusters, letter, across, where)
    _require_toes_ahead(found, where)
    forward = _way(found.motions["pelvis"].origin, up)
    return replace(found, up=_axis_name(up), forward=None if forward is None else _axis_name(forward))


def _way(path: FloatArray, up: FloatArray) -> FloatArray | None:
    """Return the axis of the world along which the pelvis travels, None where it goes nowhere or athwart."""
    seen = path[np.isfinite(path).all(axis=1)]
    way = seen[-1] - seen[0]
    way -= (way @ up) * up
    axis = np.sign(way[np.argmax(np.abs(way))]) * np.eye(3)[np.argmax(np.abs(way))]
    length = float(np.linalg.norm(way))
    return axis if length > _WAY_MM and way @ axis > np.cos(np.radians(_ATHWART_DEG)) * length else None


def _axis_name(axis: FloatArray) -> str:
    place = int(np.argmax(np.abs(axis)))
    return ("" if axis[place] > 0 else "-") + "xyz"[place]


# --- clusters ---------------------------------------------------------------------------------------------------------

_STEMS = {
    "pelvis": ("Pelvis", (1, 2, 3, 4)),
    **{f"thigh_{side.lower()}": (f"{side}Femur", (1, 2, 3, 4)) for side in "RL"},
    **{f"shank_{side.lower()}": (f"{side}Tibia", (1, 2, 3, 4)) for side in "RL"},
    **{f"foot_{side.lower()}": (f"{side}Foot", (1, 2, 3, 4, 5)) for side in "RL"},
}
_MEDIAL, _LATERAL = 5, 6
HEEL, HALLUX, FOURTH_TOE = 1, 2, 3


def _cluster(paths: Paths, stem: tuple[str, tuple[int, ...]]) -> Cluster | None:
    names = [f"{stem[0]}{number}" for number in stem[1] if _seen(paths, f"{stem[0]}{number}")]
    if len(names) < LEAST:
        return None
    moving = np.stack([paths[name] for name in names], axis=1)
    whole = np.isfinite(moving).all(axis=(1, 2))
    if whole.sum() < LEAST_FRAMES:
        return None
    shape = moving[np.flatnonzero(whole)[whole.sum() // 2]]
    for _ in range(2):  # the mean of all frames, in the axes of one: noise of that frame goes
        fit = fit_rigid(shape, moving)
        local = np.einsum("nji,nkj->nki", fit.rotation, moving - fit.translation[:, None])
        shape = np.median(local[np.isfinite(local).all(axis=(1, 2))], axis=0)
    fit = fit_rigid(shape, moving)
    loose = fit.residual > LOOSE_MM
    moving[loose] = np.nan
    return Cluster(tuple(names), shape, moving, fit_rigid(shape, moving))


def _seen(paths: Paths, name: str) -> bool:
    return name in paths and int(np.isfinite(paths[name]).all(axis=1).sum()) >= LEAST_FRAMES


def _add(found: Anatomy, name: str, cluster: Cluster, frame: Frame) -> None:
    motion = cluster_motion(cluster.shape, frame, cluster.paths)
    residual = motion.residual if motion.residual is not None else np.full(len(cluster.paths), np.nan)
    known = np.isfinite(residual)
    found.motions[name] = motion
    found.figures[name] = {
        "markers": list(cluster.names), "residual_mm": round(float(np.sqrt((residual[known] ** 2).mean())), 3),
        "missing_frames": int((~known).sum()),
    }  # fmt: skip


# --- pelvis -----------------------------------------------------------------------------------------------------------


def _hips(paths: Paths, clusters: Mapping[str, Cluster], where: object) -> tuple[dict[str, FloatArray], FloatArray]:
    """Return both hip centres in the pelvis cluster's axes, and the axis of the world that points up."""
    wanted = [f"Pelvis_{side}Femur_score" for side in "RL"] + [f"{side}Tibia_{side}Foot_score" for side in "RL"]
    absent = [name for name in wanted if not _seen(paths, name)]
    if "pelvis" not in clusters:
        absent.append(f"{LEAST} of Pelvis1 to Pelvis4")
    if absent:
        raise DataError(f"expected the markers {', '.join(absent)}, found them absent or hardly seen", where=where)
    hip_r, hip_l, ankle_r, ankle_l = (paths[name] for name in wanted)
    along = _unit(hip_r + hip_l - ankle_r - ankle_l)
    mean = np.nanmean(along, axis=0)
    axis = int(np.argmax(np.abs(mean)))
    up = np.sign(mean[axis]) * np.eye(3)[axis]
    off = float(np.degrees(np.arccos(np.clip(mean @ up / np.linalg.norm(mean), -1, 1))))
    if off > _UPRIGHT_DEG:
        raise DataError(
            f"expected a person upright along an axis of the laboratory, found the hips {off:.0f} degrees off the "
            "nearest one, from the ankles: nothing tells which way is up",
            where=where,
        )
    return {"r": clusters["pelvis"].carry(hip_r), "l": clusters["pelvis"].carry(hip_l)}, up


def _pelvis(found: Anatomy, cluster: Cluster, hips: Mapping[str, FloatArray], up: FloatArray) -> None:
    vertical = np.nanmean(np.einsum("nji,j->ni", cluster.fit.rotation, up), axis=0)
    rotation = orthonormal(hips["r"] - hips["l"], vertical, order="zy")
    _add(found, "pelvis", cluster, Frame(rotation, (hips["r"] + hips["l"]) / 2))
    found.figures["pelvis"]["between_hips_mm"] = round(float(np.linalg.norm(hips["r"] - hips["l"])), 1)
    found.flags.append("pelvis_zero:trial_mean")


# --- legs -------------------------------------------------------------------------------------------------------------


def _across(
    found: Anatomy, paths: Paths, clusters: Mapping[str, Cluster], letter: str, right: FloatArray, where: object
) -> dict[str, FloatArray]:
    """Return, for thigh and shank, the direction to the right in their clusters' axes."""
    across = {}
    for segment in (f"thigh_{letter}", f"shank_{letter}"):
        if segment not in clusters:
            continue
        medial, lateral = (f"{_STEMS[segment][0]}{number}" for number in (_MEDIAL, _LATERAL))
        if _seen(paths, medial) and _seen(paths, lateral):
            apart = paths[lateral] - paths[medial]
            outward = float(np.nanmean(np.einsum("ni,ni->n", apart, right))) * _OUTWARD[letter]
            if not outward > 0:
                raise DataError(
                    f"expected {lateral} outside of {medial}, found it {-outward:.0f} mm inside: the two are exchanged",
                    where=where,
                )
            cluster = clusters[segment]
            across[segment] = (cluster.carry(paths[lateral]) - cluster.carry(paths[medial])) * _OUTWARD[letter]
    if len(across) < 2 and f"thigh_{letter}" in clusters and f"shank_{letter}" in clusters:
        across |= _flexion_axis(found, clusters, letter, right, known=set(across))
    return across


def _flexion_axis(
    found: Anatomy, clusters: Mapping[str, Cluster], letter: str, right: FloatArray, known: set[str]
) -> dict[str, FloatArray]:
    """Return the knee's own flexion axis for the segments without markers on condyles or malleoli.

    It is the principal axis of the shank's angular rate against the thigh.
    """
    thigh, shank = (clusters[f"{name}_{letter}"].fit.rotation for name in ("thigh", "shank"))
    relative = np.swapaxes(thigh, 1, 2) @ shank
    step = relative[1:] @ np.swapaxes(relative[:-1], 1, 2)
    turn = np.stack([step[:, 2, 1] - step[:, 1, 2], step[:, 0, 2] - step[:, 2, 0], step[:, 1, 0] - step[:, 0, 1]], 1)
    turn = turn[np.isfinite(turn).all(axis=1)]
    powers, vectors = np.linalg.eigh(turn.T @ turn)
    explained, axis = float(powers[-1] / powers.sum()), vectors[:, -1]
    wanted = [name for name in (f"thigh_{letter}", f"shank_{letter}") if name not in known]
    if not explained >= _EXPLAINED:
        reason = f"no marker tells its flexion axis, and the knee turns about no one axis ({explained:.0%})"
        found.lacking.update(dict.fromkeys(wanted, reason))
        return {}
    in_world = thigh @ axis
    axis = axis * (1.0 if np.nanmean(np.einsum("ni,ni->n", in_world, right)) > 0 else -1.0)
    in_shank = np.nanmean(np.einsum("nji,j->ni", relative, axis), axis=0)
    found.flags.extend(f"flexion_axis:functional:{name}" for name in wanted)
    return {name: axis if name.startswith("thigh") else in_shank for name in wanted}


def _leg(
    found: Anatomy, paths: Paths, clusters: Mapping[str, Cluster], letter: str, across: Mapping[str, FloatArray],
    where: object,
) -> None:  # fmt: skip
    side = letter.upper()
    centre = {"hip": f"Pelvis_{side}Femur_score", "knee": f"{side}Femur_{side}Tibia_score",
              "ankle": f"{side}Tibia_{side}Foot_score"}  # fmt: skip
    for segment, upper, lower in (("thigh", "hip", "knee"), ("shank", "knee", "ankle")):
        name = f"{segment}_{letter}"
        absent = [centre[joint] for joint in (upper, lower) if not _seen(paths, centre[joint])]
        if name not in clusters or name not in across or absent:
            found.lacking.setdefault(name, f"{', '.join(absent) or 'its flexion axis'} is not known")
            continue
        top, bottom = (clusters[name].carry(paths[centre[joint]]) for joint in (upper, lower))
        length = float(np.linalg.norm(top - bottom))
        if not _THIGH_MM[0] <= length <= _THIGH_MM[1]:
            raise DataError(
                f"expected a {segment} of {_THIGH_MM[0]:g} to {_THIGH_MM[1]:g} mm between its joint centres, found "
                f"{length:.4g}: the unit is another one, or the centres are",
                where=where,
            )
        _add(found, name, clusters[name], Frame(orthonormal(top - bottom, across[name], order="yz"), top))
        found.figures[name]["length_mm"] = round(length, 1)
    _foot(found, paths, clusters, letter, centre["ankle"])


def _foot(found: Anatomy, paths: Paths, clusters: Mapping[str, Cluster], letter: str, ankle: str) -> None:
    name = f"foot_{letter}"
    if name not in clusters:
        return
    labels = [f"{letter.upper()}Foot{number}" for number in (HEEL, HALLUX, FOURTH_TOE)]
    absent = [label for label in (*labels, ankle) if not _seen(paths, label)]
    if absent:
        found.lacking[name] = f"{', '.join(absent)} is not seen"
        return
    heel, hallux, fourth, joint = (clusters[name].carry(paths[label]) for label in (*labels, ankle))
    rotation = orthonormal((hallux + fourth) / 2 - heel, (fourth - hallux) * _OUTWARD[letter], order="xz")
    _add(found, name, clusters[name], Frame(rotation, joint))
    found.flags.append(f"ankle_zero:heel_to_toe:{letter}")


def _require_toes_ahead(found: Anatomy, where: object) -> None:
    """Refuse a person whose toes point where the pelvis has its back: the two sides are exchanged."""
    for letter in "rl":
        foot = found.motions.get(f"foot_{letter}")
        if foot is None:
            continue
        ahead = np.nanmean(np.einsum("ni,ni->n", foot.rotation[:, :, 0], found.motions["pelvis"].rotation[:, :, 0]))
        if not ahead > 0:
            raise DataError(
                f"expected the toes of foot_{letter} ahead of the heel as the pelvis faces, found them behind: left "
                "and right hip centres are exchanged, or heel and toes",
                where=where,
            )


def _unit(vectors: FloatArray) -> FloatArray:
    unit: FloatArray = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit
