"""The segments' motion, and which samples of it are not to be believed: a declared rule on the markers alone.

When a camera system takes one marker of a cluster for another, the cluster is no longer the body that stood: the fit
leaves a residual far above the trial's own, or the segment turns or travels as no limb can. Joint angles, and least
of all those of the people tested, play no part in it.

Grounds, on three runners of 25 to 30 s: the clinic's files (already low-passed at about 10 Hz) leave a residual of
0.02 to 0.37 mm, median to maximum, in clean segments, and 5 to 33 mm where markers were exchanged, on slopes that the
filter smears over some 50 ms; unfiltered markers on the skin of the pelvis (another laboratory) leave 3.7 to 7.3 mm.
Clean feet turn at up to 1,180 deg/s and travel at up to 5.2 m/s, exchanged markers at up to 31,000 deg/s and 94 m/s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench.kinematics import SegmentMotion, cluster_motion, fit_rigid
from kinbench_adapters._calgary.anatomy import Anatomy
from kinbench_adapters._calgary.captures import Capture

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_MAD_TO_SD = 1.4826
_PLAUSIBLE_TURN_DEG = 90.0
_ORDER_DOUBT_MM = 1.0
_ORDER_RATIO = 3.0
_ORDER_SAMPLES = 100


@dataclass(frozen=True)
class Limits:
    """What a segment's motion must keep to.

    A sample is masked where the residual is more than ``residual_mm`` and more than ``residual_sd`` robust standard
    deviations above the segment's median, where the turn or the way from one sample to the next is more than
    ``turn_dps`` (deg/s) or ``speed_mps`` allow, and within ``margin_s`` of such a sample. A recording of which a
    segment loses more than ``masked_share`` is refused.
    """

    residual_mm: float = 1.0
    residual_sd: float = 8.0
    turn_dps: float = 2000.0
    speed_mps: float = 15.0
    margin_s: float = 0.05
    masked_share: float = 0.5


@dataclass(frozen=True)
class Tracked:
    """The motion of every segment, NaN where masked, what the history says of it, and short flags of doubt."""

    motions: Mapping[str, SegmentMotion]
    step: dict[str, Any]
    flags: list[str]


def track(capture: Capture, anatomy: Anatomy, limits: Limits, where: object) -> Tracked:
    """Carry every frame along with its cluster, and mask what breaks the limits.

    Raises ``DataError`` naming every segment that loses more than its share.
    """
    motions, told, problems, flags = {}, {}, [], []
    for segment, frame in anatomy.frames.items():
        names = anatomy.markers[segment]
        moving = np.stack([capture.moving[name] for name in names], axis=1)
        order = _order(anatomy.clusters[segment], moving, anatomy.unit_m)
        motion = cluster_motion(anatomy.clusters[segment], frame, moving[:, order])
        turn_deg = np.degrees(_turn(frame.rotation, motion.rotation))
        if np.mean(turn_deg > _PLAUSIBLE_TURN_DEG) > np.mean(turn_deg <= _PLAUSIBLE_TURN_DEG):
            problems.append(
                f"{segment}: expected it within {_PLAUSIBLE_TURN_DEG:g} deg of its standing pose most of the time, "
                f"found a median of {np.nanmedian(turn_deg):.0f} deg: its markers, or the person, stand another way "
                "round than they move"
            )
        if order != sorted(order):
            flags.append(f"{segment}:relabelled")
        bad, counts = _errors(motion, capture.rate_hz, anatomy.unit_m, limits)
        motions[segment] = _masked(motion, bad)
        told[segment] = {**counts, "spans_s": _spans(bad, capture.rate_hz)}
        if order != sorted(order):
            told[segment]["standing_markers_named"] = [names[index] for index in order]
        if bad.mean() > limits.masked_share:
            problems.append(
                f"{segment}: expected at most {limits.masked_share:.0%} of samples missing or mistracked, found "
                f"{bad.mean():.1%} ({counts['missing']} missing, {counts['residual']} with a residual beyond "
                f"{counts['residual_limit_mm']:.2g} mm, {counts['jump']} at jumps, of {len(bad)})"
            )
    if problems:
        raise DataError(problems, where=where)
    step = {"step": "mask_tracking_errors", "limits": asdict(limits), "segments": told}
    flags += [f"{segment}:tracking" for segment, counts in told.items() if counts["residual"] or counts["jump"]]
    return Tracked(motions, step, flags)


def _order(standing: FloatArray, moving: FloatArray, unit_m: float) -> list[int]:
    """Return which moving marker is which standing one; the names say it, unless the shape contradicts them.

    In one public recording the heel markers bear other names standing than running: by name the fit leaves 4.7 mm and
    a foot turned by 100 deg, in the order that fits it leaves 0.3 mm and 38 deg. Another order than the names' is taken
    only where it fits several times better, and by more than a marker on skin moves.
    """
    named = list(range(len(standing)))
    sample = moving[:: max(1, len(moving) // _ORDER_SAMPLES)]
    residuals = {}
    for order in permutations(named):
        found = fit_rigid(standing, sample[:, order]).residual * (unit_m * 1e3)
        residuals[order] = float(np.median(found[np.isfinite(found)])) if np.isfinite(found).any() else np.inf
        if order == tuple(named) and residuals[order] < _ORDER_DOUBT_MM:
            return named
    best = min(residuals, key=lambda order: residuals[order])
    by_name = residuals[tuple(named)]
    better = residuals[best] * _ORDER_RATIO < by_name and by_name - residuals[best] > _ORDER_DOUBT_MM
    return list(best) if better else named


def _turn(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return the angle (n,) in radians between rotations, broadcast against each other; NaN stays NaN."""
    cosine = (np.einsum("...ij,...ij->...", one, other) - 1) / 2
    return np.asarray(np.arccos(np.clip(cosine, -1, 1)), dtype=np.float64)


def _errors(motion: SegmentMotion, rate_hz: float, unit_m: float, limits: Limits) -> tuple[BoolArray, dict[str, Any]]:
    """Return the samples (n,) not to be believed, and how many for which reason."""
    residual_mm = np.asarray(motion.residual) * (unit_m * 1e3)
    missing = ~np.isfinite(residual_mm)
    limit_mm = _residual_limit(residual_mm[~missing], limits)
    with np.errstate(invalid="ignore"):
        loose = residual_mm > limit_mm
        jump = _jumps(motion, rate_hz, unit_m, limits)
    bad = missing | _widened(loose | jump, round(limits.margin_s * rate_hz))
    counts = {"missing": missing.sum(), "residual": loose.sum(), "jump": jump.sum(), "masked": bad.sum()}
    return bad, {**{name: int(count) for name, count in counts.items()}, "residual_limit_mm": round(limit_mm, 4)}


def _residual_limit(residual_mm: FloatArray, limits: Limits) -> float:
    """Return what a residual may be: markers on skin move more than those on a shell, so the trial itself tells."""
    if not residual_mm.size:
        return limits.residual_mm
    middle = float(np.median(residual_mm))
    spread = _MAD_TO_SD * float(np.median(np.abs(residual_mm - middle)))
    return middle + max(limits.residual_mm, limits.residual_sd * spread)


def _jumps(motion: SegmentMotion, rate_hz: float, unit_m: float, limits: Limits) -> BoolArray:
    """Return the samples on both sides of a turn or a way that no limb makes; gaps in between make no jump."""
    before, after = motion.rotation[:-1], motion.rotation[1:]
    turned = np.degrees(_turn(before, after)) * rate_hz > limits.turn_dps
    way = np.linalg.norm(np.diff(motion.origin, axis=0), axis=1) * (unit_m * rate_hz)
    bad = np.zeros(len(motion.origin), dtype=bool)
    bad[np.flatnonzero(turned | (way > limits.speed_mps))[:, None] + [0, 1]] = True
    return bad


def _widened(bad: BoolArray, margin: int) -> BoolArray:
    if margin < 1 or not bad.any():
        return bad
    reach = np.convolve(bad.astype(np.int64), np.ones(2 * margin + 1, dtype=np.int64), mode="full")
    return np.asarray(reach[margin : margin + len(bad)] > 0, dtype=bool)


def _masked(motion: SegmentMotion, bad: BoolArray) -> SegmentMotion:
    rotation = np.where(bad[:, None, None], np.nan, motion.rotation)
    return replace(motion, rotation=rotation, origin=np.where(bad[:, None], np.nan, motion.origin))


def _spans(bad: BoolArray, rate_hz: float) -> list[list[float]]:
    """Return [start, stop) of every masked run, in seconds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], bad, [False]]).astype(np.int8)))
    return [[round(float(start) / rate_hz, 4), round(float(stop) / rate_hz, 4)] for start, stop in edges.reshape(-1, 2)]
