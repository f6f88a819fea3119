"""The lower body from the 16 markers of Plug-in Gait: hip centres by regression, knees and ankles by chords.

The conventional gait model of Kadaba et al. (1990, J. Orthop. Res. 8:383-392) and Davis et al. (1991, Hum. Mov. Sci.
10:575-587), with our segment axes (X anterior, Y proximal, Z right). What the model cannot see, no number here shows:
the foot is a line from heel to toe, whose turn about itself is taken from the shank, so ``ankle_inversion`` means
nothing; and how far the tibia is twisted is not seen, so rotations at knee and ankle count from the straight knee's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kinbench.errors import DataError, UsageError, suggest
from kinbench.kinematics._rotations import orthonormal
from kinbench.kinematics._segments import SegmentMotion, fit_rigid

FloatArray = NDArray[np.float64]
Markers = dict[str, FloatArray]

PELVIS_MARKERS = ("LASI", "RASI", "LPSI", "RPSI")
LEG_MARKERS = ("THI", "KNE", "TIB", "ANK", "HEE", "TOE")
_SIDES = {"r": ("R", 1.0), "l": ("L", -1.0)}
_NEEDS = {"thigh": ("THI", "KNE", "ANK"), "shank": ("THI", "KNE", "TIB", "ANK"), "foot": LEG_MARKERS}

PLUG_IN_GAIT: dict[str, tuple[str, ...]] = {"pelvis": PELVIS_MARKERS} | {
    f"{segment}_{letter}": PELVIS_MARKERS + tuple(capital + name for name in names)
    for letter, (capital, _) in _SIDES.items()
    for segment, names in _NEEDS.items()
}
"""The markers without which a segment cannot be had."""

THETA_DEG, BETA_DEG = 28.4, 18.0
"""Davis et al. 1991: where the hip lies as seen from the ASIS, in the frontal and the sagittal plane, means of 25 hips
on X-rays."""

SKIN_MOTION_M = 0.04
"""No marker slides further than this on the skin of a walking leg (Cappozzo et al. 1996, Clin. Biomech. 11:90-100); one
that does was filled in or labelled wrongly, and counts as missing there."""

_KNEE_AXES = ("functional", "markers")

ASIS_DISTANCE_M = (0.10, 0.45)
"""Between the ASIS of any walking person, so that metres and millimetres are told apart."""


@dataclass(frozen=True)
class _Offsets:
    """How far a joint's centre lies from the centre of the marker on its side; 0 where no width is known."""

    knee_m: float
    ankle_m: float


def plug_in_gait(
    static: Mapping[str, ArrayLike] | None,
    moving: Mapping[str, ArrayLike],
    *,
    marker_diameter_m: float = 0.014,
    leg_length_m: float | None = None,
    asis_width_m: float | None = None,
    knee_width_m: float | None = None,
    ankle_width_m: float | None = None,
    knee_axis: str = "functional",
) -> dict[str, SegmentMotion]:
    """Return the motion of pelvis, thighs, shanks and feet from Plug-in Gait markers.

    ``moving`` maps LASI RASI LPSI RPSI and, with L or R before it, THI KNE TIB ANK HEE TOE to (n, 3) in metres, in any
    right-handed world; NaN is missing. ``static`` is a trial of the same person with the same markers, from which what
    is constant is taken (shape of the pelvis, leg length, the foot's zero); without it, the moving trial itself.
    ``leg_length_m`` is the clinical one (ASIS to medial malleolus); without it, the way from ASIS over knee to ankle
    marker; ``asis_width_m`` the distance between the bones, without it that between LASI and RASI. Where
    ``knee_width_m`` or ``ankle_width_m`` is not known the marker itself stands for the joint's centre, which tilts
    thigh and shank by some 10 degrees in the frontal plane and changes sagittal angles by one.
    ``knee_axis``: ``functional`` finds in ``moving`` the axis about which each knee bends; ``markers`` believes that
    the thigh and shank markers were put in the frontal plane, as on wands (one on the skin can be 70 degrees off).

    Origins are proximal joints: the middle of the hips, hip, knee, ankle. One missing pelvis marker is put back from
    the other three; any other missing marker, or one that has left its place (``SKIN_MOTION_M``), makes its segments
    NaN in that frame, and one that is missing throughout leaves them out of the result (``PLUG_IN_GAIT`` says which
    need what). The pelvis' residual is that of its four markers. Raises ``DataError`` where the pelvis cannot be had or
    its labels are swapped, where the markers are not in metres, or where a knee bends too little to show its axis.
    """
    if knee_axis not in _KNEE_AXES:
        raise UsageError(
            f"knee_axis: expected functional or markers, got '{knee_axis}'.{suggest(knee_axis, _KNEE_AXES)}"
        )
    radius_m = marker_diameter_m / 2
    offsets = _Offsets(_offset(knee_width_m, radius_m), _offset(ankle_width_m, radius_m))
    seen = _checked(moving)
    reference = seen if static is None else _checked(static)
    _refuse_incomplete_pelvis(reference)
    length_m = _leg_length(reference) if leg_length_m is None else leg_length_m
    hip_from_asis = partial(_hip_from_asis, length_m=length_m, width_m=asis_width_m, radius_m=radius_m)
    pelvis = _pelvis(reference, seen, hip_from_asis)
    still_pelvis = pelvis if static is None else _pelvis(reference, reference, hip_from_asis)
    middle = (pelvis.hips["r"] + pelvis.hips["l"]) / 2
    segments = {"pelvis": SegmentMotion(pelvis.rotation, middle, pelvis.residual)}
    for letter, name in (("r", "right"), ("l", "left")):
        leg, still = _Leg.of(letter, seen, pelvis), _Leg.of(letter, reference, still_pelvis)
        _refuse_upside_down(leg, pelvis, name)
        turns = _functional_turns(leg, offsets, name) if knee_axis == "functional" else _Turns()
        found = zip(("thigh", "shank", "foot"), _segments(leg, still, offsets, turns), strict=True)
        segments |= {f"{part}_{letter}": motion for part, motion in found if np.isfinite(motion.rotation).any()}
    return segments


def _refuse_upside_down(leg: _Leg, pelvis: _Pelvis, name: str) -> None:
    """Raise ``DataError`` where the pelvis' up points down the leg: some of its four labels are swapped."""
    up = np.einsum("ni,ni->n", pelvis.rotation[..., 1], leg.hip - leg.markers["KNE"])
    known = up[np.isfinite(up)]
    if known.size and np.median(known) < 0:
        raise DataError(
            f"the pelvis stands upside down above the {name} knee: left and right, or ASI and PSI, are swapped among "
            f"{', '.join(PELVIS_MARKERS)}; label the trial again"
        )


def _checked(markers: Mapping[str, ArrayLike]) -> Markers:
    """Return float64 markers, NaN for a pelvis marker that is not there; raises ``DataError`` for shapes and units."""
    found = {name: np.asarray(values, dtype=np.float64) for name, values in markers.items()}
    count = max((len(values) for values in found.values()), default=0)
    problems = [
        f"expected marker {name} of shape (n, 3) with one n for all, found {values.shape}"
        for name, values in found.items()
        if values.shape != (count, 3)
    ]
    if problems:
        raise DataError(problems)
    found |= {name: np.full((count, 3), np.nan) for name in PELVIS_MARKERS if name not in found}
    width = np.linalg.norm(found["LASI"] - found["RASI"], axis=1)
    low, high = ASIS_DISTANCE_M
    if np.isfinite(width).any() and not low <= np.nanmedian(width) <= high:
        raise DataError(
            f"expected markers in metres, with {low} to {high} between LASI and RASI, found {np.nanmedian(width):.4g}; "
            "declare their unit, and convert them"
        )
    return found


def _refuse_incomplete_pelvis(markers: Markers) -> None:
    """Raise ``DataError`` where the pelvis' shape cannot be had, because its markers are never all there."""
    missing = [name for name in PELVIS_MARKERS if not np.isfinite(markers[name]).all(axis=1).any()]
    if missing:
        raise DataError(
            f"the pelvis needs {', '.join(PELVIS_MARKERS)}, and {', '.join(missing)} is missing throughout; give a "
            "static trial that has all four"
        )
    if not np.isfinite(_stacked(markers, PELVIS_MARKERS)).all(axis=(1, 2)).any():
        raise DataError("the four pelvis markers are never seen together; give a static trial in which they are")


def _stacked(markers: Markers, names: tuple[str, ...]) -> FloatArray:
    return np.stack([markers[name] for name in names], axis=1)


def _offset(width_m: float | None, radius_m: float) -> float:
    return 0.0 if width_m is None else width_m / 2 + radius_m


# --- pelvis and hips -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pelvis:
    """The pelvis' ``rotation`` (n, 3, 3), the ``residual`` (n,) of its markers, and both hip centres (n, 3)."""

    rotation: FloatArray
    residual: FloatArray
    hips: dict[str, FloatArray]


def _pelvis(reference: Markers, seen: Markers, hip_from_asis: Callable[[float], FloatArray]) -> _Pelvis:
    """Return the pelvis, with a missing marker put back from the other three by its shape in ``reference``."""
    corners = _stacked(reference, PELVIS_MARKERS)
    shape = np.nanmedian((corners - corners.mean(axis=1, keepdims=True)) @ _pelvis_frame(corners), axis=0)
    moving = _stacked(seen, PELVIS_MARKERS)
    fit = fit_rigid(shape, moving)
    expected = shape @ np.swapaxes(fit.rotation, 1, 2) + fit.translation[:, None]
    whole = np.where(np.isfinite(moving), moving, expected)
    frame = _pelvis_frame(whole)
    right = hip_from_asis(float(np.linalg.norm(shape[0] - shape[1])))
    middle = whole[:, :2].mean(axis=1)
    hips = {letter: middle + frame @ (right * [1.0, 1.0, side]) for letter, (_, side) in _SIDES.items()}
    return _Pelvis(frame, fit.residual, hips)


def _pelvis_frame(corners: FloatArray) -> FloatArray:
    """Z from left to right ASIS, X in the plane of the ASIS and the middle of the PSIS, forward."""
    left, right, back_left, back_right = np.moveaxis(corners, 1, 0)
    return orthonormal(right - left, (left + right) / 2 - (back_left + back_right) / 2, order="zx")


def _leg_length(markers: Markers) -> float:
    """Return the mean way from ASIS over knee to ankle marker, of the legs that have all three."""
    ways = [
        np.linalg.norm(markers[f"{side}ASI"] - markers[f"{side}KNE"], axis=1)
        + np.linalg.norm(markers[f"{side}KNE"] - markers[f"{side}ANK"], axis=1)
        for side in "LR"
        if {f"{side}KNE", f"{side}ANK"} <= markers.keys()
    ]
    lengths = [float(np.nanmedian(way)) for way in ways if np.isfinite(way).any()]
    if not lengths:
        raise DataError(
            "the leg length is needed for the hip centres, and no leg has its knee and ankle markers; give it"
        )
    return float(np.mean(lengths))


def _hip_from_asis(between_m: float, *, length_m: float, width_m: float | None, radius_m: float) -> FloatArray:
    """Return where the right hip lies in pelvis axes (3,), from the middle of the ASIS (Davis et al. 1991), metres.

    ``between_m`` lies between the two markers, ``width_m`` between the two bones, where that has been measured.
    """
    theta, beta = np.radians(THETA_DEG), np.radians(BETA_DEG)
    depth = 0.1288 * length_m - 0.04856 + radius_m
    reach = 0.115 * length_m - 0.0153
    anterior = reach * np.cos(theta) * np.sin(beta) - depth * np.cos(beta)
    proximal = -reach * np.cos(theta) * np.cos(beta) - depth * np.sin(beta)
    lateral = (between_m if width_m is None else width_m) / 2 - reach * np.sin(theta)
    return np.array([anterior, proximal, lateral])


# --- legs ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Leg:
    """One leg's markers with its hip centre and the pelvis' right, and which side it is on (+1 right, -1 left)."""

    markers: Markers
    hip: FloatArray
    right: FloatArray
    side: float

    @classmethod
    def of(cls, letter: str, markers: Markers, pelvis: _Pelvis) -> _Leg:
        capital, side = _SIDES[letter]
        missing = np.full_like(pelvis.hips[letter], np.nan)
        own = {name: markers.get(capital + name, missing) for name in LEG_MARKERS}
        for plane, marker in (("THI", "KNE"), ("TIB", "ANK")):
            own[plane] = _where_stuck(own[plane], own[marker])
        return cls(own, pelvis.hips[letter], pelvis.rotation[..., 2], side)

    def limbs(self, offsets: _Offsets, turns: _Turns) -> tuple[SegmentMotion, SegmentMotion, SegmentMotion]:
        """Return thigh, shank, and the frame whose X points from the ankle to the toe marker."""
        seen = self.markers
        knee, thigh = self._limb(self.hip, seen["KNE"], seen["THI"], offsets.knee_m, turns.thigh)
        ankle, shank = self._limb(knee, seen["ANK"], seen["TIB"], offsets.ankle_m, turns.shank)
        pointing = orthonormal(seen["TOE"] - ankle, shank[..., 2], order="xz")
        return SegmentMotion(thigh, self.hip), SegmentMotion(shank, knee), SegmentMotion(pointing, ankle)

    def _limb(
        self, proximal: FloatArray, marker: FloatArray, plane: FloatArray, offset_m: float, turn: float
    ) -> tuple[FloatArray, FloatArray]:
        """Return the distal joint's centre (n, 3) and the limb's frame (n, 3, 3).

        The centre is ``offset_m`` from its marker at a right angle to the limb's long axis (the chord), in a plane
        that holds the proximal joint and the marker and stands ``turn`` away from the limb's ``plane`` marker.
        """
        along = proximal - marker
        placed = orthonormal(along, self.side * (plane - marker), order="yz")
        right = placed @ np.array([np.sin(turn), 0.0, np.cos(turn)])
        length = np.linalg.norm(along, axis=1, keepdims=True)
        share = offset_m / length
        centre = marker + offset_m * (share * along / length - np.sqrt(1 - share**2) * self.side * right)
        return centre, orthonormal(proximal - centre, right, order="yz")


def _where_stuck(plane: FloatArray, marker: FloatArray) -> FloatArray:
    """Return a limb's plane marker, NaN where its distance from the limb's other marker is not what it mostly is."""
    distance = np.linalg.norm(plane - marker, axis=1)
    if not np.isfinite(distance).any():
        return plane
    return np.where(np.abs(distance - np.nanmedian(distance))[:, None] <= SKIN_MOTION_M, plane, np.nan)


@dataclass(frozen=True)
class _Turns:
    """By how much (rad, about Y) the knee's axis is turned from where thigh and shank marker say that Z is."""

    thigh: float = 0.0
    shank: float = 0.0


def _segments(moving: _Leg, still: _Leg, offsets: _Offsets, turns: _Turns) -> tuple[SegmentMotion, ...]:
    """Return thigh, shank and foot; the foot's zero is taken from the ``still`` trial."""
    thigh, shank, pointing = moving.limbs(offsets, turns)
    _, _, still_pointing = still.limbs(offsets, turns)
    foot = SegmentMotion(pointing.rotation @ _foot_zero(still, still_pointing), pointing.origin)
    return thigh, shank, foot


def _functional_turns(moving: _Leg, offsets: _Offsets, name: str) -> _Turns:
    """Return the turns that put Z on the axis about which the knee really bends.

    The thigh's is that at which the frontal angle of the knee varies least as it bends (Baker, Finney and Orr 1999,
    Hum. Mov. Sci. 18:655-667). That angle is the share of the shank's long axis along the thigh's Z, so the answer is
    the minor axis of that long axis as the thigh sees it from above. The shank's turn is that at which the straight
    knee is not rotated, as a knee alignment device would have it. Joint centres depend on both, hence the rounds.
    NaN where the knee was never seen.
    """
    turns = _Turns()
    for _ in range(_ROUNDS):
        thigh, shank, _ = moving.limbs(offsets, turns)
        # The ankle's marker is beside the ankle, along the axis that is looked for, where it does no harm.
        along = shank.origin - moving.markers["ANK"]
        seen = np.einsum("nij,ni->nj", thigh.rotation, along / np.linalg.norm(along, axis=1, keepdims=True))
        known = np.isfinite(seen).all(axis=1)
        if not known.any():
            return _Turns(np.nan, np.nan)
        minor = _minor_axis(seen[known][:, ::2], name)
        right = np.einsum("nij,ni->nj", thigh.rotation[known], moving.right[known])[:, ::2].mean(axis=0)
        minor = minor if minor @ right > 0 else -minor
        step = float(np.arctan2(minor[0], minor[1]))
        turns = _Turns(turns.thigh + step, turns.shank + step - _straight_rotation(thigh, shank))
    return turns


def _straight_rotation(thigh: SegmentMotion, shank: SegmentMotion) -> float:
    """Return by how much (rad, about Y) the shank is turned in the thigh while the knee is straight; 0 if not seen."""
    seen = np.swapaxes(thigh.rotation, 1, 2) @ shank.rotation
    seen = seen[np.isfinite(seen).all(axis=(1, 2))]
    if not len(seen):
        return 0.0
    straight = seen[seen[:, 1, 1] >= np.quantile(seen[:, 1, 1], 1 - _STRAIGHT_SHARE)].mean(axis=0)
    return float(np.arctan2(straight[0, 2] - straight[2, 0], straight[0, 0] + straight[2, 2]))


_ROUNDS = 8
_STRAIGHT_SHARE = 0.25
"""The straightest quarter of the frames counts as a straight knee."""

LEAST_KNEE_RANGE_DEG = 25.0
"""The knee's axis is found from how it bends: walking bends it by 60 degrees, standing by none."""


def _minor_axis(points: FloatArray, name: str) -> FloatArray:
    """Return the unit direction (2,) along which points (n, 2) vary least."""
    centred = points - points.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    bent = np.arcsin(np.clip(points @ axes[:, 1], -1, 1))
    moved_deg = float(np.degrees(np.quantile(bent, 0.98) - np.quantile(bent, 0.02)))
    if moved_deg < LEAST_KNEE_RANGE_DEG:
        raise DataError(
            f"the axis of the {name} knee is found from how it bends, and it bends by {moved_deg:.0f} degrees only; "
            f"give a trial in which it bends by {LEAST_KNEE_RANGE_DEG:.0f} or more, or take the axis from the markers "
            "as they were placed (knee_axis='markers')"
        )
    return np.asarray(axes[:, 0], dtype=np.float64)


def _foot_zero(still: _Leg, pointing: SegmentMotion) -> FloatArray:
    """Return (3, 3) from the foot's axes to the ankle-toe frame: the foot lies along the line from heel to toe.

    Constant, for the foot is rigid: the mean over the trial's frames, made a rotation.
    """
    flat = orthonormal(still.markers["TOE"] - still.markers["HEE"], pointing.rotation[..., 2], order="xz")
    turns = np.swapaxes(pointing.rotation, 1, 2) @ flat
    turns = turns[np.isfinite(turns).all(axis=(1, 2))]
    if not len(turns):
        return np.full((3, 3), np.nan)
    left, _, right = np.linalg.svd(turns.mean(axis=0))
    return np.asarray(left @ right, dtype=np.float64)
