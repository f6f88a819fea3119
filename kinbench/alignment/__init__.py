"""What the engine has to estimate: the lag between two clocks, and a sensor's rotation to its segment.

Each estimate says how well it is known; none is applied silently, and one that is not known well enough is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench.alignment._automatic import CONFIDENT, Found, find_rotations
from kinbench.alignment._calibration import calibrate
from kinbench.alignment._hops import AROUND_S, Hops, Span, estimate_hops
from kinbench.alignment._lag import Lag, confident, estimate_lag, rate_correlation
from kinbench.alignment._orientation import estimate_orientation, orientation_agreement
from kinbench.alignment._sides import crossed_sides
from kinbench.errors import DataError, UsageError, suggest
from kinbench.recording import Declared, Recording, Sync, with_rotations, with_valid
from kinbench.schema import SYNC_METHODS

FloatArray = NDArray[np.float64]

__all__ = [
    "CONFIDENT",
    "CONSTRUCTION",
    "WAYS",
    "Found",
    "Hops",
    "Lag",
    "align",
    "calibrate",
    "confident",
    "estimate_hops",
    "estimate_lag",
    "estimate_orientation",
    "find_rotations",
    "orientation_agreement",
    "rate_correlation",
]

WAYS = {
    "rate": (
        "it needs angular rate on both segments of a joint, or on a segment whose orientation is known, in motion"
    ),
    "hops": (
        "it needs specific force on the body, at least three hops that both streams have seen, and of the reference "
        "ground reactions, segment positions or angles"
    ),
    "orientation": (
        "it needs orientations of sensors and of the segments that they are on, in motion, a few seconds of both"
    ),
}
"""What may be compared (``Sync.by``), and what each way needs."""


CONSTRUCTION = "construction"
"""What tells how the clocks stand where the sensors were made of the reference."""


def align(recording: Recording) -> Recording:
    """Return the recording with calibrated rotations, the reference on the imu's clock, and time zero set.

    Runs the calibrations of ``recording.declared`` (``rotation_origin`` becomes ``functional``), then its sync
    request. The lag is measured wherever it can be and written to ``attrs["sync"]``: ``method``; ``offset_s`` (start
    of the reference minus start of the imu, in the end); ``shift_s`` (applied to the reference's time);
    ``measured_shift_s``, ``r``, ``margin``, ``spread_s`` (all None where the lag cannot be assessed); ``drift_ppm`` and
    ``residual_s`` (None where the way of measuring does not tell them; recorded, never applied: only the start of the
    reference moves); ``confident``; ``search_s``; ``by`` (one of ``WAYS``), and what that way saw besides: ``hops``, or
    ``angle_deg``, ``angle_shift_s`` and ``turns``. Virtual sensors that were made of this very reference share its
    clock by construction: then ``by`` is ``CONSTRUCTION``, and nothing is measured. Hops that both clocks agree on are
    no gait: under ``by="hops"`` half a second about each is marked not valid in both streams.

    Last come the sensors of ``declared.automatic``. Their rotations are found by the sensors alone: models are scored
    on this reference, and an input that was turned to fit it has seen the answer. One that is found with confidence
    (``CONFIDENT``) is set (``functional``), ``history`` gains the step ``orient`` with all its evidence; otherwise it
    stays unknown, with the reason and the flag below.

    Time is shifted under ``estimated`` and ``declared`` only: with ``hardware``, ``same_clock`` and ``none`` the
    measurement stands there for people to judge. Under ``declared`` it is what remains after the declared offset; under
    ``estimated`` the search is centred on ``offset_s`` where one is given.

    Zero is the first imu sample, or the first of the reference where there is no imu. ``declared`` becomes None.

    A calibration that fails and is not required leaves that sensor's rotation unknown: ``history`` gains the reason,
    ``attrs["quality"]`` the flag ``rotation_unknown:<sensor>``.

    Raises ``DataError`` where a lag to be estimated is not known with confidence, or a required calibration fails, and
    ``UsageError`` for a request that makes no sense.
    """
    done = _calibrated(recording)
    done = _oriented(_synchronised(done))
    return replace(_zeroed(done), declared=None)


def _calibrated(recording: Recording) -> Recording:
    requests = (recording.declared or Declared()).calibrations
    if not requests:
        return recording
    if recording.imu is None:
        raise UsageError(f"{recording.key}: calibrate asks for sensors, and the recording has none")
    found = {}
    failed: dict[str, DataError] = {}
    for sensor, request in requests.items():
        try:
            found[sensor] = calibrate(recording.imu, sensor, request)
        except DataError as error:
            failed[sensor] = error
    problems = [text for sensor, error in failed.items() if requests[sensor].required for text in error.problems]
    if problems:
        raise DataError(problems, where=recording.key)
    done = replace(
        recording,
        imu=with_rotations(recording.imu, {sensor: (matrix, "functional") for sensor, (matrix, _) in found.items()}),
    )
    for _, how in found.values():
        done = done.with_step("calibrate", **how)
    return _left_unknown(done, failed)


def _left_unknown(recording: Recording, failed: Mapping[str, DataError]) -> Recording:
    """Return the recording with the reason, and a flag, for each sensor whose rotation could not be found."""
    for sensor, error in failed.items():
        recording = recording.with_step("calibrate", sensor=sensor, failed="; ".join(error.problems))
    flags = [f"rotation_unknown:{sensor}" for sensor in failed]
    return recording.with_attrs(quality=[*recording.attrs.get("quality", ()), *flags]) if flags else recording


def _oriented(recording: Recording) -> Recording:
    """Return the recording with the rotations that could be found of the sensors that ask for it."""
    declared = recording.declared or Declared()
    if not declared.automatic:
        return recording
    imu = recording.imu
    if imu is None:
        raise UsageError(f"{recording.key}: calibrate: auto asks for sensors, and the recording has none")
    twice = sorted(set(declared.automatic) & set(declared.calibrations))
    if twice:
        raise UsageError(
            f"{recording.key}: calibrate is both auto and a request for {', '.join(twice)}; leave one of them out"
        )
    found = find_rotations(imu, None, declared.automatic)
    rotations: dict[str, tuple[FloatArray, str]] = {}
    flags = []
    for sensor, one in found.items():
        if one.rotation is not None and one.confident:
            rotations[sensor] = (one.rotation, "functional")
            recording = recording.with_step("orient", sensor=sensor, confidence=one.confidence, **one.evidence)
        else:
            failed = one.evidence.get("declined", f"its confidence, {one.confidence:.2f}, is below {CONFIDENT}")
            told = {name: value for name, value in one.evidence.items() if name != "declined"}
            recording = recording.with_step("orient", sensor=sensor, failed=failed, **told)
            flags.append(f"rotation_unknown:{sensor}")
    if flags:
        recording = recording.with_attrs(quality=[*recording.attrs.get("quality", ()), *flags])
    return replace(recording, imu=with_rotations(imu, rotations))


def _synchronised(recording: Recording) -> Recording:
    request = (recording.declared or Declared()).sync or Sync("none")
    if request.method not in SYNC_METHODS:
        raise UsageError(
            f"{recording.key}: sync.method must be one of {', '.join(SYNC_METHODS)}, not {request.method!r}"
        )
    if request.by not in WAYS:
        raise UsageError(
            f"{recording.key}: sync.by must be one of {', '.join(WAYS)}, not {request.by!r}."
            f"{suggest(request.by, tuple(WAYS))}"
        )
    imu, reference = recording.imu, recording.reference
    if imu is None or reference is None:
        return recording.with_attrs(sync=_report("none", request, imu, reference, 0.0, None))
    if request.method == "same_clock" and _made_of_reference(recording):
        report = _report(request.method, request, imu, reference, 0.0, None)
        return recording.with_attrs(sync={**report, "search_s": None, "by": CONSTRUCTION})
    if request.method == "declared" and request.offset_s is None:
        raise UsageError(f"{recording.key}: sync.method 'declared' needs offset_s (start of the reference minus imu)")
    placed, shift_s = reference, 0.0
    if request.offset_s is not None and request.method in ("declared", "estimated"):
        shift_s = request.offset_s - _offset(imu, reference)
        placed = _shifted(reference, shift_s)
    lag, hops = _measured(imu, placed, request)
    if request.method == "estimated":
        shift_s += _believed(recording, request, lag)
    report = _report(request.method, request, imu, _shifted(reference, shift_s), shift_s, lag)
    done = replace(recording, reference=_shifted(reference, shift_s)).with_attrs(sync=report)
    if shift_s:
        done = done.with_step("synchronise", method=request.method, by=request.by, shift_s=shift_s)
    if hops is None or not confident(hops.lag):
        return done
    moved_s = hops.lag.shift_s if request.method == "estimated" else 0.0
    return _without_hops(done, hops.imu_s, [(start + moved_s, stop + moved_s) for start, stop in hops.reference_s])


def _made_of_reference(recording: Recording) -> bool:
    """Whether the sensors are virtual ones that ``virtual_imu.synthesise`` made of this reference."""
    return any(step["step"] == "virtual_imu" for step in recording.attrs.get("history", ()))


def _measured(imu: xr.Dataset, reference: xr.Dataset, request: Sync) -> tuple[Lag | None, Hops | None]:
    """Return the lag by the way that is asked for, and the hops where that is theirs."""
    if request.by == "hops":
        hops = estimate_hops(imu, reference, search_s=request.search_s)
        return None if hops is None else hops.lag, hops
    estimate = estimate_orientation if request.by == "orientation" else estimate_lag
    return estimate(imu, reference, search_s=request.search_s), None


def _without_hops(recording: Recording, imu_s: Sequence[Span], reference_s: Sequence[Span]) -> Recording:
    """Return the recording with both streams marked not valid about the hops."""
    marked = {}
    for name, stream, spans in (("imu", recording.imu, imu_s), ("reference", recording.reference, reference_s)):
        if stream is not None:
            time_s = stream["time"].values
            hopping = np.zeros(time_s.size, dtype=bool)
            for start_s, stop_s in spans:
                hopping |= (time_s >= start_s - AROUND_S) & (time_s <= stop_s + AROUND_S)
            marked[name] = with_valid(stream, ~hopping)
    done = replace(recording, imu=marked.get("imu"), reference=marked.get("reference"))
    spans_s = [[round(start_s - AROUND_S, 4), round(stop_s + AROUND_S, 4)] for start_s, stop_s in imu_s]
    return done.with_step("mask_hops", reason="hops to synchronise by", spans_s=spans_s)


def _believed(recording: Recording, request: Sync, lag: Lag | None) -> float:
    """Return the shift to apply, or raise where nobody should believe it."""
    remedy = (
        "declare the offset (sync.method 'declared' with offset_s), or widen or centre the search (search_s, offset_s)"
    )
    if lag is None:
        crossed = _crossed(recording) if request.by != "hops" else None
        if crossed is not None:
            raise DataError(f"the lag between imu and reference cannot be estimated: {crossed}", where=recording.key)
        raise DataError(
            f"the lag between imu and reference cannot be estimated by {request.by}: {WAYS[request.by]}; {remedy}",
            where=recording.key,
        )
    if not confident(lag):
        raise DataError(
            f"the lag between imu and reference is not clear within {request.search_s:g} s: the best, "
            f"{lag.shift_s:+.3f} s, has r {lag.r:.2f}, {lag.margin:.2f} above the next best, "
            f"spread {lag.spread_s:.3f} s; {remedy}",
            where=recording.key,
        )
    return lag.shift_s


def _crossed(recording: Recording) -> str | None:
    imu, reference = recording.imu, recording.reference
    return None if imu is None or reference is None else crossed_sides(imu, reference)


def _report(
    method: str, request: Sync, imu: xr.Dataset | None, reference: xr.Dataset | None, shift_s: float, lag: Lag | None
) -> dict[str, Any]:
    both = imu is not None and reference is not None
    return {
        "method": method,
        "offset_s": _offset(imu, reference) if imu is not None and reference is not None else None,
        "shift_s": float(shift_s),
        "measured_shift_s": None if lag is None else lag.shift_s,
        "r": None if lag is None else lag.r,
        "margin": None if lag is None else lag.margin,
        "spread_s": None if lag is None else lag.spread_s,
        "drift_ppm": None if lag is None else lag.drift_ppm,
        "residual_s": None if lag is None else lag.residual_s,
        "confident": None if lag is None else confident(lag),
        "search_s": float(request.search_s) if both else None,
        "by": request.by if both else None,
        **({} if lag is None else lag.notes),
    }


def _offset(imu: xr.Dataset, reference: xr.Dataset) -> float:
    return float(reference["time"].values[0] - imu["time"].values[0])


def _shifted(stream: xr.Dataset, shift_s: float) -> xr.Dataset:
    if not shift_s:
        return stream
    attrs = dict(stream["time"].attrs)
    return stream.assign_coords(time=("time", np.asarray(stream["time"].values + shift_s, dtype=np.float64), attrs))


def _zeroed(recording: Recording) -> Recording:
    first = recording.imu if recording.imu is not None else recording.reference
    start_s = 0.0 if first is None or not first.sizes["time"] else float(first["time"].values[0])
    if not start_s:
        return recording
    imu = None if recording.imu is None else _shifted(recording.imu, -start_s)
    reference = None if recording.reference is None else _shifted(recording.reference, -start_s)
    return replace(recording, imu=imu, reference=reference).with_step("set_time_zero", start_s=start_s)
