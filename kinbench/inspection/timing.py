"""The lag that is left between reference and imu, measured again on what stands in the recording."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from kinbench.alignment import Lag, confident, estimate_lag
from kinbench.errors import DataError
from kinbench.inspection.findings import Finding, median_rate_hz
from kinbench.recording import Recording
from kinbench.schema import DOFS

SEARCH_S = 2.0
QUARTER = 0.2
"""Samples: with segment orientations sound recordings are within 0.001, and a quarter must be found."""
HALF = 0.5
SPREADS = 3.0
"""With joint angles of several joints: half a sample and three times how far the joints differ."""
ONE_JOINT = 1.0
"""With the angle of one joint: a sample."""
BLOCK_S = 12.0
DRIFT_SAMPLES = 2.0
RATE_PPM = 20000.0
"""Lags of the first and the last third may differ by two samples. Beyond 2 % it is no packet's fault."""


def check_sync(recording: Recording) -> Iterator[Finding]:
    """Judge what is left of the lag, and whether it grows; how sync was declared or measured before plays no part."""
    imu, reference = recording.imu, recording.reference
    sync = recording.attrs.get("sync") or {}
    if imu is None or reference is None:
        return
    method, where = sync.get("method", "none"), "attrs.sync"
    lag = _lag(imu, reference)
    if lag is None:
        yield Finding("sync", "NOT ASSESSED", where, f"method {method}; too little motion, or nothing to compare")
        return
    told = f"method {method}, residual {lag.shift_s:+.4f} s, r {lag.r:.3f}"
    if not confident(lag):
        yield Finding("sync", "NOT ASSESSED", where, f"{told}; the lag could not be measured with confidence")
        return
    rate_hz = max(1e-9, min(median_rate_hz(imu["time"].values), median_rate_hz(reference["time"].values)))
    limit_s = _limit_s(lag, rate_hz, joints=_joints(imu, reference))
    samples = lag.shift_s * rate_hz
    if abs(lag.shift_s) > limit_s:
        message = f"{told}: {samples:+.2f} samples, over {limit_s * rate_hz:.2f}; declare the offset or estimate it"
        mend = f"shift the reference by {lag.shift_s:+.4f} s"
        yield Finding("sync", "FAIL", where, message, lag.shift_s, "sync", mend)
    else:
        message = f"{told}: {samples:+.2f} samples; known within {limit_s * rate_hz:.2f}, less could not be told"
        yield Finding("sync", "PASS", where, message, lag.shift_s, within=limit_s)
    yield _drift(imu, reference, rate_hz)


def _limit_s(lag: Lag, rate_hz: float, *, joints: int) -> float:
    if lag.method == "segment_speed":
        return QUARTER / rate_hz
    if joints < 2:
        return ONE_JOINT / rate_hz
    return HALF / rate_hz + SPREADS * lag.spread_s / float(np.sqrt(joints))


def _joints(imu: xr.Dataset, reference: xr.Dataset) -> int:
    segments = {str(name) for name in imu["segment"].values}
    dofs = [DOFS[str(name)] for name in reference["dof"].values] if "dof" in reference.coords else []
    return sum(dof.component == 0 and {dof.proximal, dof.distal} <= segments for dof in dofs)


def _lag(imu: xr.Dataset, reference: xr.Dataset) -> Lag | None:
    if "gyr" not in imu:
        return None
    try:
        return estimate_lag(imu, reference, search_s=SEARCH_S)
    except DataError:  # told by the clock's own check
        return None


def _drift(imu: xr.Dataset, reference: xr.Dataset, rate_hz: float) -> Finding:
    """Compare the lags of the first and the last third: a wrong rate or lost samples move them apart."""
    where = "attrs.sync"
    start = max(float(imu["time"].values[0]), float(reference["time"].values[0]))
    stop = min(float(imu["time"].values[-1]), float(reference["time"].values[-1]))
    if stop - start < 3 * BLOCK_S:
        return Finding("drift", "NOT ASSESSED", where, f"shorter than {3 * BLOCK_S:g} s")
    third = (stop - start) / 3
    lags = []
    for low in (start, stop - third):
        piece = reference.isel(time=(reference["time"].values >= low) & (reference["time"].values < low + third))
        lag = _lag(imu, piece)
        if lag is None or not confident(lag):
            return Finding("drift", "NOT ASSESSED", where, "the lag of a third alone is not clear")
        lags.append(lag.shift_s)
    moved_s = lags[1] - lags[0]
    told = f"from the first to the last third the lag moves by {moved_s * rate_hz:+.2f} samples"
    if abs(moved_s) * rate_hz > DRIFT_SAMPLES:
        ppm = 1e6 * moved_s / (2 * third)
        mend = "place samples by counter or clock; check the rates"
        cause = "rate" if abs(ppm) > RATE_PPM else "packets:lost"
        return Finding("drift", "FAIL", where, f"{told}; lost samples, or rates that differ by {ppm:.0f} ppm", moved_s,
                       cause, mend)  # fmt: skip
    return Finding("drift", "PASS", where, told, moved_s)
