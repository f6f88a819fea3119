"""Each sensor's rotation to its segment, found from what it felt: gravity, gait, and the reference where there is one.

The proximal axis is gravity's while the person stands, and standing is told from sitting by where gravity points in
gait (or in landings). The flexion axis is that about which the segment turns most while the person moves, across the
proximal axis (Seel et al. 2014 use the same constraint). Its sign comes from the reference: joint rates are differences
of the two segments' rates about it; where there is none, from how bodies move (``_signs``), and where that does not
tell, it is not known. A reference that contradicts the body is not believed, nor is the body then.

Where the reference has the segment's orientation, the rotation is the one that turns the sensor's angular rate into
the segment's (Wahba 1965, by singular value decomposition).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench import schema
from kinbench.alignment._grid import Grid, on_grid, valid_column
from kinbench.alignment._lag import confident, estimate_lag, segment_rate
from kinbench.alignment._sagittal import Scene, View, scene_of, views_of
from kinbench.alignment._signs import Signs, ahead_of_pelvis, signs_of
from kinbench.errors import DataError, UsageError, suggest

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

CONFIDENT = 0.5
"""Least confidence with which ``align`` sets a rotation."""

SAME_CLOCK_S = 0.05
"""A reference that lies further than this from the imu, by measurement, says nothing of signs."""

FOLLOWED_R = 0.8
SIZE = (0.6, 1.5)
"""A joint's rate tells signs where it is a difference of both rates about the axes found, each taken about once."""

MIN_OVERLAP_S = 3.0
ORIENTED_R = 0.85
ORIENTED_SECOND = 0.1
"""A segment's orientation tells the rotation where it explains this much of the sensor's rate, and where the rate is
not all about one axis: its second principal axis has at least this share of the first one's amplitude."""

SURELY_ONE_AXIS = 0.9
"""Share of the horizontal angular rate's power about the flexion axis at which it is one for sure."""

APART_DEG = 30.0
UNRESTED = 0.6
"""Confidence in a proximal axis that gait alone gave: on eight recordings it lies 10 degrees off, and up to 23."""


@dataclass(frozen=True)
class Found:
    """A sensor's rotation to its segment (``v_segment = rotation @ v_sensor``), None where its sign is not known.

    ``confidence`` is 0 to 1, ``sign`` whether the direction of the flexion axis could be told. ``evidence`` is
    JSON-plain: the axes (``proximal``, and ``flexion`` up to its sign), where they come from and every figure used.
    """

    rotation: FloatArray | None
    confidence: float
    sign: Literal["known", "declined"]
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def confident(self) -> bool:
        """Whether the rotation may be applied without a person's word."""
        return self.rotation is not None and self.confidence >= CONFIDENT


def find_rotations(
    imu: xr.Dataset, reference: xr.Dataset | None = None, sensors: Sequence[str] | None = None
) -> dict[str, Found]:
    """Return what can be told of the mounting of each sensor (those named, else all), whatever stands in ``rotation``.

    Both streams must be in schema units and on one clock: a reference whose lag, measured, is not near zero is not
    used. Sensors need specific force and angular rate (or orientation). Segments must be declared: the side does not
    matter to the axes, but the two legs are compared. The trunk's direction is told by its orientation in the
    reference only, the pelvis' by that or by both thighs in walking.

    Raises ``UsageError`` for a sensor that is not there and ``DataError`` where a clock does not increase strictly.
    """
    names = [str(name) for name in imu["sensor"].values]
    for sensor in sensors or ():
        if sensor not in names:
            raise UsageError(f"there is no sensor {sensor!r} in {', '.join(names)}.{suggest(sensor, names)}")
    if not (np.diff(imu["time"].values) > 0).all():
        raise DataError("the imu's time must increase strictly from sample to sample, and does not")
    wanted = names if sensors is None else list(sensors)
    scene = scene_of(imu)
    if scene is None:
        reason = "it takes specific force with gravity, and angular rate or orientation"
        return {name: Found(None, 0.0, "declined", {"declined": reason}) for name in wanted}
    views = views_of(scene)
    used, clock = _believed(imu, reference)
    told = signs_of(scene, views)
    joints = {} if used is None else _by_joints(scene, views, used)
    found = {view.seen.sensor: _of_leg(scene, view, told, joints) for view in views if view.seen.leg}
    for view in views:
        if not view.seen.leg:
            found[view.seen.sensor] = _of_body(scene, view, views, found)
    if used is not None and "segment_quat" in used:
        found |= _by_orientation(scene, views, used, found)
    nothing = "it never moves with the person upright, in gait or in landings: nothing tells which way it stands"
    return {
        name: _noted(found.get(name, Found(None, 0.0, "declined", {"declined": nothing})), clock) for name in wanted
    }


def _noted(found: Found, clock: Mapping[str, Any]) -> Found:
    return replace(found, evidence={**found.evidence, **({"reference": dict(clock)} if clock else {})})


# --- one sensor -------------------------------------------------------------------------------------------------------


def _of_leg(scene: Scene, view: View, told: Signs, joints: Mapping[str, Sequence[tuple[str, int, float]]]) -> Found:
    sensor = view.seen.sensor
    evidence = _axes(view) | {"motion": told.why.get(sensor, {})}
    if not view.one_axis:
        return _declined(evidence, "it turns about no one axis: there is no flexion axis to be seen")
    by_joint = joints.get(sensor, ())
    evidence["joints"] = [{"dof": dof, "sign": sign, "r": round(r, 3)} for dof, sign, r in by_joint]
    signs = {sign for _, sign, _ in by_joint} | ({told.sign[sensor]} if sensor in told.sign else set())
    if len(signs) > 1 or -told.leaning.get(sensor, 0) in signs:
        return _declined(evidence, "the reference's flexion and how the body moves contradict each other")
    if not signs:
        return _declined(evidence, "neither reference nor motion tells which end of the flexion axis points right")
    sign = signs.pop()
    sure = 1 - (1 - told.confidence.get(sensor, 0.0)) * float(np.prod([1 - 0.9 * r for _, _, r in by_joint] or [1.0]))
    return _known(_rotation(view.up, sign * view.across), min(sure, _confidence_of_axes(view)), evidence)


def _of_body(scene: Scene, view: View, views: Sequence[View], found: Mapping[str, Found]) -> Found:
    """Return the rotation of a sensor on the pelvis; the trunk does not follow the legs."""
    evidence = _axes(view)
    if view.seen.part != "pelvis":
        return _declined(evidence, "nothing but its orientation in the reference tells which way the trunk faces")
    thighs: list[tuple[View, int]] = []
    for other in views:
        rotation = found[other.seen.sensor].rotation if other.seen.part == "thigh" else None
        if rotation is not None and other.seen.leg not in {seen.seen.leg for seen, _ in thighs}:
            thighs.append((other, int(np.sign(rotation[2] @ other.across))))
    ahead, how = ahead_of_pelvis(scene, view, thighs)
    evidence |= how
    if ahead is None:
        return _declined(evidence, str(how["declined"]))
    sure = min(found[other.seen.sensor].confidence for other, _ in thighs)
    upright = 1.0 if view.apart_deg is not None else UNRESTED
    rotation = _rotation(view.up, np.cross(ahead, view.up))
    return _known(rotation, min(sure, upright, float(str(how["with_thighs_r"]))), evidence)


def _axes(view: View) -> dict[str, Any]:
    return {
        "proximal": [round(float(x), 4) for x in view.up],
        "proximal_by": view.up_by,
        "rest_from_motion_deg": None if view.apart_deg is None else round(view.apart_deg, 1),
        "flexion": [round(float(x), 4) for x in view.across],
        "explained": round(view.explained, 3),
    }


def _declined(evidence: dict[str, Any], why: str) -> Found:
    return Found(None, 0.0, "declined", {**evidence, "declined": why})


def _known(rotation: FloatArray, confidence: float, evidence: dict[str, Any]) -> Found:
    return Found(rotation, round(float(np.clip(confidence, 0.0, 1.0)), 3), "known", evidence)


def _confidence_of_axes(view: View) -> float:
    """Return 0 to 1: how well gravity at rest and in motion agree, and how clearly one axis of turning stands out."""
    one_axis = float(np.clip((view.explained - 0.5) / (SURELY_ONE_AXIS - 0.5), 0.0, 1.0))
    if view.apart_deg is None:
        return min(one_axis, UNRESTED if view.up_by == "gait" else 0.0)
    return min(one_axis, float(np.clip(1.5 - view.apart_deg / APART_DEG, 0.0, 1.0)))


def _rotation(up: FloatArray, right: FloatArray) -> FloatArray:
    across = right - (right @ up) * up
    across = across / np.linalg.norm(across)
    return np.asarray(np.stack([np.cross(up, across), up, across]), dtype=np.float64)


# --- the reference ----------------------------------------------------------------------------------------------------


def _believed(imu: xr.Dataset, reference: xr.Dataset | None) -> tuple[xr.Dataset | None, dict[str, Any]]:
    """Return the reference where the motion shows that it lies on the imu's clock, and what was measured."""
    if reference is None or not {"angle", "segment_quat"} & set(map(str, reference.data_vars)):
        return None, {}
    seen = imu if "gyr" in imu else None
    lag = None if seen is None else estimate_lag(seen, reference, search_s=1.0)
    if lag is None:
        return None, {"used": False, "declined": "nothing shows that it lies on the imu's clock"}
    told = {"shift_s": round(lag.shift_s, 4), "r": round(lag.r, 3)}
    if not confident(lag) or abs(lag.shift_s) > SAME_CLOCK_S:
        return None, {"used": False, "declined": "it does not lie on the imu's clock, or not clearly", **told}
    return reference, {"used": True, **told}


def _by_joints(scene: Scene, views: Sequence[View], reference: xr.Dataset) -> dict[str, list[tuple[str, int, float]]]:
    """Return, per sensor, (DoF, sign of its flexion axis, r) for each flexion that it explains with its neighbour.

    A flexion's rate is its sign times (distal minus proximal angular rate about Z). The pelvis' rate counts with all
    three components, since its own axis is not known.
    """
    found: dict[str, list[tuple[str, int, float]]] = {}
    if "angle" not in reference:
        return found
    for column, name in enumerate(str(name) for name in reference["dof"].values):
        dof = schema.DOFS[name]
        if dof.component != 0:
            continue
        near = [view for view in views if view.seen.segment == dof.proximal and (view.one_axis or not view.seen.leg)]
        far = [view for view in views if view.seen.segment == dof.distal and view.one_axis]
        if not near or not far:
            continue
        rate, heard = _joint_rate(scene, reference, column)
        for one in near:
            for other in far:
                inside = heard & one.counts & other.counts
                if inside.sum() < MIN_OVERLAP_S * scene.rate_hz:
                    continue
                beside = one.rate[:, None] if one.seen.leg else one.seen.gyr
                weights, r = _regression(np.column_stack([beside, other.rate])[inside], rate[inside])
                sizes = np.array([*([] if not one.seen.leg else [weights[0]]), weights[-1]])
                if r < FOLLOWED_R or (np.abs(sizes) < SIZE[0]).any() or (np.abs(sizes) > SIZE[1]).any():
                    continue
                if one.seen.leg:
                    found.setdefault(one.seen.sensor, []).append((name, int(-dof.sign * np.sign(weights[0])), r))
                found.setdefault(other.seen.sensor, []).append((name, int(dof.sign * np.sign(weights[-1])), r))
    return found


def _joint_rate(scene: Scene, reference: xr.Dataset, column: int) -> tuple[FloatArray, BoolArray]:
    """Return a DoF's rate (n,) in rad/s on the scene's grid, and where it counts."""
    angle = np.radians(reference["angle"].values[:, column].astype(np.float64))
    known = np.isfinite(angle) & valid_column(reference, column)
    values, counts, start = on_grid(reference["time"].values, angle[:, None], known, _grid(scene), derive=True)
    placed, heard = _placed(scene, values, counts, start)
    return placed[:, 0], heard


def _regression(inputs: FloatArray, target: FloatArray) -> tuple[FloatArray, float]:
    inputs, target = inputs - inputs.mean(axis=0), target - target.mean()
    weights = np.linalg.lstsq(inputs, target, rcond=None)[0]
    left = float(((target - inputs @ weights) ** 2).sum() / max(float((target**2).sum()), 1e-12))
    return np.asarray(weights, dtype=np.float64), float(np.sqrt(max(0.0, 1 - left)))


def _grid(scene: Scene) -> Grid:
    return Grid(scene.rate_hz, min(10.0, 0.4 * scene.rate_hz))


def _placed(scene: Scene, values: FloatArray, counts: BoolArray, start: int) -> tuple[FloatArray, BoolArray]:
    """Return values (n, k) cut and padded to the scene's samples."""
    length = len(scene.rest)
    placed, heard = np.zeros((length, values.shape[1])), np.zeros(length, dtype=bool)
    first, last = max(start, scene.start), min(start + len(values), scene.start + length)
    if last > first:
        placed[first - scene.start : last - scene.start] = values[first - start : last - start]
        heard[first - scene.start : last - scene.start] = counts[first - start : last - start]
    return placed, heard


def _by_orientation(
    scene: Scene, views: Sequence[View], reference: xr.Dataset, found: Mapping[str, Found]
) -> dict[str, Found]:
    """Return the rotations of sensors whose segments' orientations the reference has, where they explain the rates."""
    names = [str(name) for name in reference["segment"].values]
    time_s = np.asarray(reference["time"].values, dtype=np.float64)
    better = {}
    for view in views:
        sensor = view.seen.sensor
        if view.seen.segment not in names:
            continue
        turns, known = segment_rate(reference["segment_quat"].values[:, names.index(view.seen.segment)], time_s)
        if "valid" in reference and reference["valid"].ndim == 1:
            known = known & np.asarray(reference["valid"].values, dtype=bool)
        values, counts, start = on_grid(time_s, np.where(known[:, None], turns, np.nan), known, _grid(scene))
        target, heard = _placed(scene, values, counts, start)
        inside = heard & view.seen.counts
        if inside.sum() < MIN_OVERLAP_S * scene.rate_hz:
            continue
        rotation, r, second = _wahba(target[inside], view.seen.gyr[inside])
        evidence = {**found[sensor].evidence, "orientation_r": round(r, 3), "second_axis": round(second, 3)}
        evidence.pop("declined", None)
        if r < ORIENTED_R or second < ORIENTED_SECOND:
            better[sensor] = replace(found[sensor], evidence={**found[sensor].evidence, **evidence})
            continue
        moved = found[sensor].rotation
        if moved is not None and moved[2] @ rotation[2] < 0:
            better[sensor] = _declined(
                evidence, "the reference's orientation and how the body moves contradict each other"
            )
        else:
            better[sensor] = _known(rotation, min(r, 2.5 * second + 0.5), evidence)
    return better


def _wahba(target: FloatArray, felt: FloatArray) -> tuple[FloatArray, float, float]:
    """Return the rotation (3, 3) that turns ``felt`` into ``target``, what it explains, and the second axis' share."""
    u, size, vt = np.linalg.svd(target.T @ felt)
    rotation = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
    r = float((target * (felt @ rotation.T)).sum() / np.sqrt((target**2).sum() * (felt**2).sum() + 1e-12))
    return np.asarray(rotation, dtype=np.float64), r, float(np.sqrt(size[1] / max(size[0], 1e-12)))
