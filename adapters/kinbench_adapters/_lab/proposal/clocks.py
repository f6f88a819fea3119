"""How the sensors' clock stands to the reference's, and between which two sensors each joint lies: both by rates.

A joint's rate is a difference of the rates of the segments beside it, so that the two gyros next to it explain it, at
one lag, and no other two do as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench import alignment, schema
from kinbench.alignment import Lag
from kinbench.contracts import Guess
from kinbench.errors import DataError
from kinbench.recording import Recording
from kinbench_adapters._lab.proposal.verdicts import asked, guessed, known

BoolArray = NDArray[np.bool_]

SEARCHES_S = (2.0, 10.0, 30.0)
"""How far apart the clocks are looked for: as near as suffices, for far peaks of gait are alike."""
MOST_PAIRS = 60
LEAST_R = 0.9
JUMP_DEG = 25.0
APART_S = 5.0
MOST_MASKS, MOST_MASKED = 12, 0.4
BESIDE_S = 0.5


@dataclass(frozen=True)
class JointPair:
    """The two sensors that explain a joint's rate best: the lag between the clocks, and the next best pair's r."""

    dof: str
    sensors: tuple[str, str]
    lag: Lag
    search_s: float
    next_r: float


def measure(recording: Recording, segments: Mapping[str, str | None]) -> list[JointPair]:
    """Return for each flexion of the reference the pair of sensors that moves as it does.

    ``segments`` are those known by sensor, None where they are not: any sensor may be any unknown one.
    """
    if recording.imu is None or recording.reference is None or "gyr" not in recording.imu:
        return []
    if "angle" not in recording.reference:
        return []
    believable = _believable(recording.reference)
    imu = recording.imu[["gyr"]] if "valid" not in recording.imu else recording.imu[["gyr", "valid"]]
    names = [str(name) for name in believable["dof"].values]
    found: list[JointPair] = []
    for name in sorted(names, key=lambda name: not name.startswith("knee")):
        dof = schema.DOFS[name]
        if dof.component != 0 or dof.joint == "pelvis":
            continue
        pairs = list(_pairs(imu, dof.proximal, dof.distal, segments))[:MOST_PAIRS]
        if dof.joint == "hip" and len(pairs) > 1:
            continue  # the pelvis turns so little that any second sensor would do
        pair = _best_pair(imu, believable, dof, pairs, found[0].lag.shift_s if found else None)
        if pair is not None:
            found.append(pair)
    return found


def _best_pair(
    imu: xr.Dataset, reference: xr.Dataset, dof: schema.Dof, pairs: Sequence[tuple[str, str]], shift_s: float | None
) -> JointPair | None:
    """Return the pair that explains the joint's rate best, and its lag; at ``shift_s``, where known, all are ranked."""
    one = reference.isel(dof=[[str(name) for name in reference["dof"].values].index(dof.name)])
    ranks: dict[tuple[str, str], float] = {}
    if shift_s is not None and len(pairs) > 1:
        shifted = one.assign_coords(time=one["time"] + shift_s)
        ranks = {pair: alignment.rate_correlation(_two(imu, pair, dof), shifted, dof.name) or 0.0 for pair in pairs}
        pairs = [max(ranks, key=lambda pair: ranks[pair])]
    for search_s in SEARCHES_S:
        lags = {pair: lag for pair in pairs if (lag := _lag(imu, one, pair, dof, search_s)) is not None}
        best = max(lags, key=lambda pair: lags[pair].r, default=None)
        if best is not None and alignment.confident(lags[best]):
            others = [r for pair, r in (ranks or {p: lag.r for p, lag in lags.items()}).items() if pair != best]
            return JointPair(dof.name, best, lags[best], search_s, max(others, default=0.0))
    return None


def _pairs(
    imu: xr.Dataset, proximal: str, distal: str, segments: Mapping[str, str | None]
) -> Iterator[tuple[str, str]]:
    """Yield the pairs of sensors that may lie on both sides of a joint; which is which does not matter to the fit."""
    names = [str(name) for name in imu["sensor"].values]
    for first, second in combinations(names, 2):
        for near, far in ((first, second), (second, first)):
            if segments.get(near) in (None, proximal) and segments.get(far) in (None, distal):
                yield near, far
                break


def _lag(imu: xr.Dataset, reference: xr.Dataset, pair: Sequence[str], dof: schema.Dof, search_s: float) -> Lag | None:
    try:
        return alignment.estimate_lag(_two(imu, pair, dof), reference, search_s=search_s)
    except DataError:
        return None


def _two(imu: xr.Dataset, pair: Sequence[str], dof: schema.Dof) -> xr.Dataset:
    """Return two sensors as if they sat on both sides of a joint."""
    return imu.sel(sensor=list(pair)).assign_coords(segment=("sensor", [dof.proximal, dof.distal]))


def _believable(reference: xr.Dataset, unsigned: Collection[str] = ()) -> xr.Dataset:
    """Return the reference without what no joint does: angles beyond its limits, jumps, and half a second beside.

    An angle of unknown sign has no limits.
    """
    angles = np.array(reference["angle"].values)
    time = reference["time"].values
    reach = max(1, round(BESIDE_S / float(np.median(np.diff(time)))))
    for column, name in enumerate(str(dof) for dof in reference["dof"].values):
        low, high = (-np.inf, np.inf) if name in unsigned else schema.DOFS[name].limits_deg
        values = angles[:, column]
        wrong = (values < low) | (values > high)
        wrong[1:] |= np.abs(np.diff(values)) > JUMP_DEG
        spread = np.convolve(wrong, np.ones(2 * reach + 1), mode="same") > 0
        values[spread] = np.nan
    return reference.assign(angle=reference["angle"].copy(data=angles))


def impossible_spans(reference: xr.Dataset, unsigned: Collection[str]) -> dict[str, list[tuple[float, float]]]:
    """Return per DoF the spans, in seconds on the reference's own clock, in which its angle is none that a joint takes.

    Spans less than five seconds apart are one: between two wraps nothing is to be believed either.
    """
    believable, time = _believable(reference, unsigned), reference["time"].values
    found: dict[str, list[tuple[float, float]]] = {}
    for column, name in enumerate(str(dof) for dof in reference["dof"].values):
        before, after = reference["angle"].values[:, column], believable["angle"].values[:, column]
        spans: list[tuple[float, float]] = []
        for at in time[np.isfinite(before) & ~np.isfinite(after)]:
            if spans and at - spans[-1][1] < APART_S:
                spans[-1] = (spans[-1][0], float(at))
            else:
                spans.append((float(at), float(at)))
        if spans:
            found[name] = spans
    return found


# --- what follows ----------------------------------------------------------------------------------------------------


def guess_sync(measured: Sequence[JointPair], guesses: dict[str, Guess]) -> None:
    """Say how the clocks may be treated: estimated where the lag was measured, a question where it was not."""
    lags = [pair.lag.shift_s for pair in measured]
    if not measured or max(lags) - min(lags) > 0.1:
        why = "joints disagree about the shift" if measured else "the shift could not be measured with confidence"
        guesses["sync.method"] = asked("sync.method", why)
        return
    shift_s = float(np.median(lags))
    r = min(pair.lag.r for pair in measured)
    told = f"the reference is to be shifted by {shift_s:+.3f} s, {min(lags):+.3f} to {max(lags):+.3f} by {len(lags)} "
    told += f"joints' rates and the gyros beside them (r {r:.2f} and more)"
    guesses["sync.method"] = guessed("sync.method", "estimated", 0.85, told)
    guesses["sync.search_s"] = guessed("sync.search_s", max(pair.search_s for pair in measured), 0.85, told)
    guesses["sync.lag_s"] = known("sync.lag_s", round(shift_s, 4), round(r, 3), told)


def guess_segments(measured: Sequence[JointPair], guesses: dict[str, Guess]) -> None:
    """Name thigh, shank and foot of a leg by the knee and the ankle that they lie beside.

    The two pairs must have one sensor in common, which is the shank's. A pair alone does not tell its upper one.
    """
    pairs = {pair.dof: pair for pair in measured if pair.lag.r > LEAST_R}
    votes: dict[str, set[str]] = {}
    for side in "rl":
        knee, ankle = pairs.get(f"knee_flexion_{side}"), pairs.get(f"ankle_dorsiflexion_{side}")
        if knee is None or ankle is None or len({*knee.sensors} & {*ankle.sensors}) != 1:
            continue
        (shank,) = {*knee.sensors} & {*ankle.sensors}
        (thigh,), (foot,) = {*knee.sensors} - {shank}, {*ankle.sensors} - {shank}
        for sensor, segment in ((thigh, f"thigh_{side}"), (shank, f"shank_{side}"), (foot, f"foot_{side}")):
            votes.setdefault(sensor, set()).add(segment)
    for sensor in dict.fromkeys(name for pair in pairs.values() for name in pair.sensors):
        field = f"imu.sensors.{sensor}.segment"
        if field not in guesses or guesses[field].verdict != "open":
            continue
        figures = ", ".join(
            f"{pair.dof} (r {pair.lag.r:.3f}, the next best pair {pair.next_r:.3f})"
            for pair in pairs.values()
            if sensor in pair.sensors
        )
        told = votes.get(sensor, set())
        if len(told) == 1:
            guesses[field] = guessed(field, told.pop(), 0.75, f"moves on one side of {figures}")
        else:
            evidence = f"{guesses[field].evidence}; it moves on one side of {figures}"
            guesses[field] = replace(guesses[field], evidence=evidence)


def guess_masks(recording: Recording, guesses: dict[str, Guess]) -> None:
    """Propose to mask what no joint does, where that is a part of the recording and not the rule."""
    if recording.reference is None or "angle" not in recording.reference:
        return
    time = recording.reference["time"].values
    unsigned = [str(dof) for dof in recording.reference["dof"].values if _asked(guesses, str(dof))]
    spans = impossible_spans(recording.reference, unsigned)
    masks = [
        {"span_s": [np.floor(start * 10) / 10, np.ceil(stop * 10) / 10 + 0.1], "dofs": [dof],
         "reason": "angles that no joint takes"}
        for dof, every in spans.items()
        for start, stop in every
    ]  # fmt: skip
    worst = max((sum(stop - start for start, stop in every) for every in spans.values()), default=0.0)
    if 0 < len(masks) <= MOST_MASKS and worst < MOST_MASKED * (time[-1] - time[0]):
        told = f"beyond a joint's limits, or {JUMP_DEG:g} degrees and more from one sample to the next"
        guesses["reference.masks"] = Guess("reference.masks", masks, "guessed", 0.8, told)


def _asked(guesses: Mapping[str, Guess], dof: str) -> bool:
    guess = guesses.get(f"reference.angles.{dof}")
    return guess is None or guess.verdict == "open"


def known_segments(guesses: Mapping[str, Guess]) -> dict[str, Any]:
    """Return the segments told so far by sensor, None where they are open."""
    return {
        field.removeprefix("imu.sensors.").removesuffix(".segment"): guess.value
        for field, guess in guesses.items()
        if field.startswith("imu.sensors.") and field.endswith(".segment")
    }
