"""From markers to the motion of segments: a marker set by name, clusters that carry frames, or frames sample by sample.

The frames are what the manifest says they are; nothing here knows a laboratory. Hip centres, where they are asked for,
follow Harrington et al. 2007 (J. Biomech. 40:595-602, the regression on pelvic width and depth).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench.kinematics import Frame, SegmentMotion, cluster_motion, fit_rigid, orthonormal, plug_in_gait
from kinbench_adapters._lab.grammar.markers import Hips, Markers, MarkerSegment

FloatArray = NDArray[np.float64]
Paths = Mapping[str, FloatArray]
"""Markers by the manifest's names, each (n, 3) in metres, NaN where not seen."""

_MM = 1e3


@dataclass(frozen=True)
class Body:
    """How segments move, in metres, the paths of every marker and point, and what is to be told in the history."""

    motions: Mapping[str, SegmentMotion]
    places: Paths
    step: dict[str, Any] = field(default_factory=dict)


def follow(markers: Markers, moving: Paths, static: Paths | None) -> Body:
    """Return the motion of the segments; raises ``DataError`` where the markers cannot give it."""
    if markers.set == "plug_in_gait":
        motions = plug_in_gait(static, moving, **markers.person.model_dump())
        return Body(motions, moving, _told(markers, motions))
    places = _with_points(markers, moving)
    if markers.set == "frames":
        framed = {name: _framed(segment, places) for name, segment in markers.segments.items()}
        return Body(framed, places, _told(markers, framed))
    still = places if static is None else _with_points(markers, static)
    carried, lost, problems = {}, {}, []
    for name, segment in markers.segments.items():
        try:
            carried[name], lost[name] = _carried(segment, places, still, markers.residual_mm)
        except DataError as error:
            problems += [f"{name}: {text}" for text in error.problems]
    if problems:
        raise DataError(problems)
    return Body(carried, places, {**_told(markers, carried), "refused": {k: v for k, v in lost.items() if v}})


def _told(markers: Markers, motions: Mapping[str, SegmentMotion]) -> dict[str, Any]:
    residual_mm = {
        name: round(float(np.sqrt(np.nanmean(motion.residual**2))) * _MM, 3)
        for name, motion in motions.items()
        if motion.residual is not None and np.isfinite(motion.residual).any()
    }
    lost = {name: int((~np.isfinite(motion.rotation).all(axis=(1, 2))).sum()) for name, motion in motions.items()}
    return {
        "step": "segments_from_markers",
        "set": markers.set,
        "residual_mm": residual_mm,
        "missing": {name: count for name, count in lost.items() if count},
    }


# --- points ----------------------------------------------------------------------------------------------------------


def _with_points(markers: Markers, paths: Paths) -> dict[str, FloatArray]:
    places = dict(paths)
    if markers.hips is not None:
        places |= _hips(markers.hips, paths)
    for name, parts in markers.points.items():
        places[name] = np.mean([places[part] for part in parts], axis=0)
    return places


def _hips(hips: Hips, paths: Paths) -> dict[str, FloatArray]:
    """Return both hip centres: in pelvis axes from the middle of the ASIS, by the pelvis' width and depth."""
    right, left = (paths[name] for name in hips.asis)
    front, back = (right + left) / 2, np.mean([paths[name] for name in hips.psis], axis=0)
    width_m, depth_m = (_median(np.linalg.norm(arm, axis=1)) for arm in (right - left, front - back))
    frame = orthonormal(right - left, front - back, order="zx")
    place = np.array([-0.24 * depth_m - 0.0099, -0.30 * width_m - 0.0109, 0.33 * width_m + 0.0073])
    return {name: front + frame @ (place * [1.0, 1.0, side]) for name, side in (("hip_r", 1.0), ("hip_l", -1.0))}


def _median(values: FloatArray) -> float:
    if not np.isfinite(values).any():
        raise DataError("the hips need markers on both ASIS and the PSIS, and they are never seen together")
    return float(np.nanmedian(values))


# --- frames ----------------------------------------------------------------------------------------------------------


def _framed(segment: MarkerSegment, places: Paths) -> SegmentMotion:
    """Return the frame that the markers span in every sample."""
    return SegmentMotion(_rotation(segment, places), np.mean([places[name] for name in segment.origin], axis=0))


def _rotation(segment: MarkerSegment, places: Paths) -> FloatArray:
    first, second = (places[end] - places[start] for start, end in segment.axes.values())
    return orthonormal(first, second, order="".join(segment.axes))


def _carried(segment: MarkerSegment, moving: Paths, still: Paths, residual_mm: float) -> tuple[SegmentMotion, int]:
    """Return the motion of the frame that rides on a cluster, and how many samples its markers were too far apart in.

    The frame is that of the ``still`` trial's typical sample: every place it needs, seen from the cluster, by its
    median over the trial.
    """
    cluster = np.stack([still[name] for name in segment.cluster], axis=1)
    complete = np.isfinite(cluster).all(axis=(1, 2))
    if not complete.any():
        raise DataError(f"its markers {', '.join(segment.cluster)} are never all seen together")
    fit = fit_rigid(cluster[int(np.argmax(complete))], cluster)
    places = {name: _seen_from(fit.rotation, fit.translation, still[name]) for name in segment.places}
    unseen = [name for name, place in places.items() if not np.isfinite(place).all()]
    if unseen:
        told = ", ".join(unseen)
        raise DataError(f"{told} is never seen together with its cluster; give a static trial that shows it")
    shape = np.stack([_seen_from(fit.rotation, fit.translation, still[name])[0] for name in segment.cluster])
    origin = np.mean([places[name][0] for name in segment.origin], axis=0)
    frame = Frame(_rotation(segment, places)[0], origin)
    ridden = np.stack([moving[name] for name in segment.cluster], axis=1)
    return _believed(cluster_motion(shape, frame, ridden), residual_mm)


def _seen_from(rotation: FloatArray, translation: FloatArray, place: FloatArray) -> FloatArray:
    """Return where a place (n, 3) is, as the cluster sees it, (1, 3): NaN where it was never seen."""
    seen = np.einsum("nji,nj->ni", rotation, place - translation)
    known = np.isfinite(seen).all(axis=1)
    return np.median(seen[known], axis=0, keepdims=True) if known.any() else np.full((1, 3), np.nan)


def _believed(motion: SegmentMotion, residual_mm: float) -> tuple[SegmentMotion, int]:
    """Return the motion without the samples in which the cluster's markers kept no shape."""
    if motion.residual is None:
        return motion, 0
    bad = np.nan_to_num(motion.residual * _MM) > residual_mm
    rotation, origin = motion.rotation.copy(), motion.origin.copy()
    rotation[bad], origin[bad] = np.nan, np.nan
    return SegmentMotion(rotation, origin, motion.residual), int(bad.sum())
