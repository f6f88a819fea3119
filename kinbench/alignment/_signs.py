"""Which end of each flexion axis points to the right, where the body's own mechanics tell.

Knees bend one way only, and heels rise further than toes: that holds forwards and backwards, walking and squatting.
That a swinging leg overtakes its body faster than it is overtaken tells the direction only of somebody who walks
forwards. So a sign is believed where mechanics of the first sort and another sort agree, and none speaks against it.
The sensors of one leg are first brought to one sign: shank and foot turn together, and the knee, which shank and thigh
share, moves ahead for both of them alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from kinbench import schema
from kinbench.alignment._sagittal import Scene, View
from kinbench.kinematics import rhythm

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

AHEAD_HZ = 4.0
TOGETHER = {"turn": 0.5, "ahead": 0.25, "antiphase": 0.5}
"""Least correlation at which two sensors are brought to one sign: of rates (same segment; shank and foot), of
horizontal accelerations below 4 Hz (across the knee), of the tilts of both legs in gait (which oppose each other)."""

CONTRADICTS = 0.3
"""Correlation from which the tilts of the two legs speak against signs that were found for each alone."""

LEAST_BEND_DEG = 25.0
LEAST = {"knee": 0.25, "foot": 0.25, "seat": 0.5, "swing_shank": 0.35, "swing_thigh": 0.5}
"""Least figure at which each kind of evidence has a say; see ``_evidence``."""

BENDING = ("knee", "foot", "seat")
"""Evidence that does not care which way the person walks."""

SEAT_DEG = 55.0
"""A thigh that tilts further than this from standing is flexed: no hip extends so far."""

SLOWEST_RUN_S = 0.85
FLIGHT = 0.5 * schema.GRAVITY
AHEAD_OF_PELVIS = 0.5
"""Least correlation between the pelvis' horizontal acceleration and that of both thighs, in walking only: strides
longer than 0.85 s and never less than half of gravity felt. In running it turns round."""


@dataclass(frozen=True)
class Evidence:
    """One figure about one leg: positive where it speaks for the sign that the leg's sensors were brought to."""

    kind: str
    figure: float
    sensors: tuple[str, ...]

    @property
    def vote(self) -> int:
        """+1 or -1, 0 where the figure is too small to say anything."""
        return int(np.sign(self.figure)) if abs(self.figure) >= LEAST[self.kind] else 0

    def speaks_against(self, sign: int) -> bool:
        """Whether it doubts a sign: half of what makes a vote is enough for that."""
        return self.figure * sign <= -LEAST[self.kind] / 2


@dataclass(frozen=True)
class Signs:
    """The sign of each sensor's ``across`` (+1: points to the right; absent: not decided), and why.

    ``leaning`` is what a reference must not contradict: the sign that bending speaks for, however little there is of
    it, and where nothing of it speaks, that of the swing.
    """

    sign: Mapping[str, int]
    leaning: Mapping[str, int]
    confidence: Mapping[str, float]
    why: Mapping[str, dict[str, object]]


def signs_of(scene: Scene, views: Sequence[View]) -> Signs:
    """Return the signs that the motion alone tells, of sensors on legs."""
    sign: dict[str, int] = {}
    leaning: dict[str, int] = {}
    confidence: dict[str, float] = {}
    why: dict[str, dict[str, object]] = {}
    for leg in ("r", "l"):
        there = [view for view in views if view.seen.leg == leg and view.one_axis]
        for group in _chained(scene, there):
            found = _evidence(scene, group)
            verdict = _verdict(found)
            told = {"evidence": [_plain(one) for one in found], "with": sorted(view.seen.sensor for view, _ in group)}
            for view, relative in group:
                why[view.seen.sensor] = told
                leaning[view.seen.sensor] = _leaning(found) * relative
                if verdict:
                    sign[view.seen.sensor] = verdict * relative
                    confidence[view.seen.sensor] = _confidence(found, verdict)
    return _across_legs(scene, views, Signs(sign, leaning, confidence, why))


# --- one sign for one leg ---------------------------------------------------------------------------------------------


def _chained(scene: Scene, views: Sequence[View]) -> list[list[tuple[View, int]]]:
    """Return groups of one leg's sensors with signs (+1, -1) under which those of a group go together.

    Links that contradict each other leave the sensors apart.
    """
    links = []
    for first, second in combinations(range(len(views)), 2):
        figure, kind = _link(scene, views[first], views[second])
        if abs(figure) >= TOGETHER[kind]:
            links.append((abs(figure) / TOGETHER[kind], first, second, int(np.sign(figure))))
    group = list(range(len(views)))
    sign = [1] * len(views)
    for _, first, second, same in sorted(links, reverse=True):
        if group[first] != group[second]:
            turn, gone = sign[first] * same * sign[second], group[second]
            for index in range(len(views)):
                if group[index] == gone:
                    group[index], sign[index] = group[first], sign[index] * turn
    torn = {group[first] for _, first, second, same in links if sign[first] * sign[second] != same}
    return [
        [(views[index], sign[index]) for index in range(len(views)) if group[index] == number]
        for number in dict.fromkeys(group)
        if number not in torn
    ]


def _link(scene: Scene, first: View, second: View) -> tuple[float, str]:
    inside = first.counts & second.counts
    parts = {first.seen.part, second.seen.part}
    if len(parts) == 1 or parts == {"shank", "foot"}:
        return _correlation(first.rate[inside], second.rate[inside]), "turn"
    if parts == {"thigh", "foot"}:
        return 0.0, "ahead"
    slow = [_slow(view.ahead, scene.rate_hz)[inside] for view in (first, second)]
    return _correlation(*slow), "ahead"


# --- evidence ---------------------------------------------------------------------------------------------------------


def _evidence(scene: Scene, group: Sequence[tuple[View, int]]) -> list[Evidence]:
    """Return what speaks for or against a group's signs.

    ``knee``: how much further the knee bends one way than the other, from its middle, as a share of the whole range
    (2nd to 98th percentile). ``foot``: the same of its tilt from upright, heel up being the greater. ``seat``: the
    thigh's tilt beyond 55 degrees, one way only (share of the greater). ``swing``: skewness of the rate, third moment
    over the 3/2 power of the second; swinging ahead is the quicker.
    """
    found = []
    for view, sign in group:
        name = (view.seen.sensor,)
        low, high = _range_deg(sign * view.tilt[view.counts], 0.0)
        if view.seen.part == "foot" and low + high > LEAST_BEND_DEG:
            found.append(Evidence("foot", (low - high) / (low + high), name))
        if view.seen.part == "thigh" and view.up_by == "rest":
            whole = np.degrees(np.percentile(sign * view.tilt[view.seen.counts], [1, 99]))
            if max(-whole[0], whole[1]) > SEAT_DEG:
                found.append(Evidence("seat", (whole[1] + whole[0]) / max(-whole[0], whole[1]), name))
        if view.seen.part != "foot" and scene.has_gait:
            rate = sign * view.rate[view.counts]
            skewness = float(np.mean(rate**3) / np.mean(rate**2) ** 1.5)
            found.append(Evidence(f"swing_{view.seen.part}", skewness, name))
    for (one, turn), (other, back) in combinations(group, 2):
        if {one.seen.part, other.seen.part} == {"thigh", "shank"}:
            (thigh, up), (shank, down) = sorted(((one, turn), (other, back)), key=lambda x: x[0].seen.part != "thigh")
            inside = thigh.counts & shank.counts
            knee = (up * thigh.tilt - down * shank.tilt)[inside]
            low, high = _range_deg(knee, float(np.median(knee)))
            if low + high > LEAST_BEND_DEG:
                found.append(Evidence("knee", (high - low) / (low + high), (thigh.seen.sensor, shank.seen.sensor)))
    return found


def _verdict(found: Sequence[Evidence]) -> int:
    """Return the sign that all evidence agrees on, 0 where there is not enough or it disagrees."""
    votes = {one.vote for one in found if one.vote}
    kinds = {one.kind.split("_")[0] for one in found if one.vote}
    if len(votes) != 1 or len(kinds) < 2 or not kinds & set(BENDING):
        return 0
    verdict = votes.pop()
    return 0 if any(one.speaks_against(verdict) for one in found) else verdict


def _leaning(found: Sequence[Evidence]) -> int:
    """Return the sign that bending speaks for, else swinging; 0 where it speaks for both or neither."""
    bending = {one.vote for one in found if one.vote and one.kind in BENDING}
    votes = bending or {one.vote for one in found if one.vote}
    return votes.pop() if len(votes) == 1 else 0


def _confidence(found: Sequence[Evidence], verdict: int) -> float:
    """Return 0 to 1: three kinds of evidence well above their least make a sign as good as sure."""
    best: dict[str, float] = {}
    for one in found:
        if one.vote == verdict:
            kind = one.kind.split("_")[0]
            best[kind] = max(best.get(kind, 0.0), min(1.0, abs(one.figure) / (2 * LEAST[one.kind])))
    return float(1 - np.prod([1 - 0.7 * strength for strength in best.values()]))


def _across_legs(scene: Scene, views: Sequence[View], found: Signs) -> Signs:
    """Return the signs checked against the other leg's in gait, where tilts oppose; contradictory ones are dropped."""
    if not scene.has_gait:
        return found
    sign, confidence = dict(found.sign), dict(found.confidence)
    for part in ("thigh", "shank"):
        legs = {leg: next((v for v in views if v.seen.segment == f"{part}_{leg}"), None) for leg in "rl"}
        right, left = legs["r"], legs["l"]
        if right is None or left is None or {right.seen.sensor, left.seen.sensor} - set(found.sign):
            continue
        inside = right.counts & left.counts
        told = -_correlation(right.tilt[inside], left.tilt[inside])
        told *= found.sign[right.seen.sensor] * found.sign[left.seen.sensor]
        for view in views:
            if view.seen.sensor in found.why:
                found.why[view.seen.sensor][f"{part}s_oppose"] = round(told, 3)
        if told < -CONTRADICTS:
            for view in views:
                sign.pop(view.seen.sensor, None)
                confidence.pop(view.seen.sensor, None)
    return Signs(sign, found.leaning, confidence, found.why)


# --- the pelvis -------------------------------------------------------------------------------------------------------


def ahead_of_pelvis(
    scene: Scene, pelvis: View, thighs: Sequence[tuple[View, int]]
) -> tuple[FloatArray | None, dict[str, object]]:
    """Return the pelvis' anterior axis (3,) in sensor axes: its acceleration along it follows that of both thighs.

    None, with the reason, where there are not both thighs, nobody walks, or the two do not go together.
    """
    if {view.seen.leg for view, _ in thighs} != {"r", "l"} or not scene.has_gait:
        return None, {"declined": "it takes both thighs, with known signs, in gait"}
    inside = np.logical_and.reduce([pelvis.counts, *(view.counts for view, _ in thighs)])
    low = butter(2, AHEAD_HZ, fs=scene.rate_hz, output="sos")
    felt = np.linalg.norm(sosfiltfilt(low, pelvis.seen.acc, axis=0), axis=1)
    stride_s = float(np.median(rhythm(thighs[0][0].seen.gyr[inside], scene.rate_hz).stride_s))
    lightest = float(np.percentile(felt[inside], 1))
    told: dict[str, object] = {"stride_s": round(stride_s, 3), "lightest_m_s2": round(lightest, 2)}
    if stride_s < SLOWEST_RUN_S or lightest < FLIGHT:
        return None, {**told, "declined": "the person runs or leaps"}
    band = butter(2, [0.6, AHEAD_HZ], "band", fs=scene.rate_hz, output="sos")
    level = sosfiltfilt(band, pelvis.seen.acc, axis=0)
    level = (level - np.outer(level @ pelvis.up, pelvis.up))[inside]
    legs = sosfiltfilt(band, np.sum([sign * view.ahead for view, sign in thighs], axis=0))[inside]
    ahead = level.T @ legs
    ahead = ahead - (ahead @ pelvis.up) * pelvis.up
    ahead = ahead / max(float(np.linalg.norm(ahead)), 1e-12)
    r = _correlation(level @ ahead, legs)
    told["with_thighs_r"] = round(r, 3)
    if r < AHEAD_OF_PELVIS:
        return None, {**told, "declined": "its acceleration does not follow the thighs'"}
    return ahead, told


def _range_deg(tilt: FloatArray, middle: float) -> tuple[float, float]:
    """Return how far a tilt in radians goes below and above ``middle``, in degrees, 2nd and 98th percentile."""
    low, high = np.percentile(tilt, [2, 98])
    return float(np.degrees(middle - low)), float(np.degrees(high - middle))


def _slow(values: FloatArray, rate_hz: float) -> FloatArray:
    return np.asarray(sosfiltfilt(butter(2, AHEAD_HZ, fs=rate_hz, output="sos"), values), dtype=np.float64)


def _correlation(one: FloatArray, other: FloatArray) -> float:
    if len(one) < 3 or not one.std() or not other.std():
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _plain(one: Evidence) -> dict[str, object]:
    return {"kind": one.kind, "figure": round(one.figure, 3), "vote": one.vote, "sensors": list(one.sensors)}
