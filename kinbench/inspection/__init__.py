"""Physics checks on one converted recording that need no second dataset (schema 1, Validation).

Every check has three outcomes. A pass needs evidence: where there is too little motion, rest or length, the finding
says ``NOT ASSESSED`` with the reason. Structure is ``kinbench.schema``'s business.
"""

from __future__ import annotations

from dataclasses import replace

from kinbench.inspection._estimates import (
    Estimate,
    estimate_acceleration,
    estimate_angle_unit,
    estimate_angular_rate,
    estimate_clock,
    estimate_frame,
    estimate_gravity_axis,
    estimate_knee_sign,
    estimate_quaternion,
    estimate_rate,
)
from kinbench.inspection.comparison import Comparison, Gait, Pair, compare, gait_of
from kinbench.inspection.consequences import explained
from kinbench.inspection.findings import CAUSES, Finding, Verdict, sensors_of
from kinbench.inspection.inertia import carried, check_carried
from kinbench.inspection.joining import Short
from kinbench.inspection.motion import Pairs, check_axes, check_gravity, check_gyro_unit, check_quaternion, moves
from kinbench.inspection.mounting import check_joint_axes, check_up
from kinbench.inspection.packets import check_ends, check_packets, check_zero_angles
from kinbench.inspection.places import check_places
from kinbench.inspection.pooling import Pooled, pool
from kinbench.inspection.timing import check_sensor_sync, check_sync
from kinbench.inspection.tips import Tip, tips
from kinbench.inspection.values import check_angles, check_clock, check_values, without_spikes
from kinbench.recording import Recording

_OF_EACH = frozenset({"clock", "gaps", "rate", "missing at the ends", "drift", "gyro bias"})
"""Checks whose answer is each recording's own, however short: over a part of a stride no rate averages out."""

__all__ = [
    "CAUSES",
    "Comparison",
    "Estimate",
    "Finding",
    "Gait",
    "Pair",
    "Pooled",
    "Short",
    "Tip",
    "Verdict",
    "check",
    "check_joined",
    "compare",
    "estimate_acceleration",
    "estimate_angle_unit",
    "estimate_angular_rate",
    "estimate_clock",
    "estimate_frame",
    "estimate_gravity_axis",
    "estimate_knee_sign",
    "estimate_quaternion",
    "estimate_rate",
    "gait_of",
    "pool",
    "tips",
]


def check(recording: Recording) -> list[Finding]:
    """Return every finding about a recording in schema form, in a fixed order.

    Clock, gyro unit; per sensor gravity, quaternion, axes, up, spikes, clipping, stuck values; gyro against
    accelerometer, with the direction and rate of time; lost and doubled samples and zeros; per joint the axes against
    the reference; the reference's clock and angles; what is missing at the ends; sides and
    segments; sync and its drift, and that of each sensor.
    """
    rates = recording.attrs.get("rates") or {}
    findings: list[Finding] = []
    sensors = [] if recording.imu is None else list(sensors_of(recording.imu))
    pairs = Pairs(recording.reference)
    carrying = {sensor.name: carried(sensor) for sensor in sensors}
    if recording.imu is not None:
        findings += check_clock("imu", recording.imu, rates.get("imu") or {})
        findings += check_gyro_unit(sensors, pairs)
        for sensor in sensors:
            findings += check_gravity(sensor, carrying[sensor.name])
            findings += check_quaternion(sensor)
            findings += check_axes(sensor, pairs)
            findings += check_up(sensor)
            findings += check_values(sensor)
        led = list(check_carried(sensors, carrying))
        forward = any(found.check == "time direction" and found.verdict == "PASS" for found in led)
        findings += led
        findings += check_packets(sensors)
        findings += check_joint_axes(recording.imu, recording.reference, sensors, recording.attrs, forward=forward)
    if recording.reference is not None:
        findings += check_clock("reference", recording.reference, rates.get("reference") or {})
        findings += check_angles(recording.reference, moving=any(map(moves, sensors)))
        findings += check_zero_angles(recording.reference)
    findings += check_ends(recording.imu, recording.reference)
    findings += check_places(recording, sensors)
    whole = recording if recording.imu is None else replace(recording, imu=without_spikes(recording.imu))
    findings += check_sync(whole)
    findings += check_sensor_sync(whole)
    return explained(findings, sensors)


def check_joined(short: Short) -> dict[str, list[Finding]]:
    """Return the findings about short recordings of one person laid one behind the other, by a name for people.

    What was gathered is looked at as ``check`` does, but for clocks and ends, which are each recording's own.
    """
    return {
        name: [finding for finding in check(recording) if finding.check not in _OF_EACH and not _loose(finding)]
        for name, recording in short.joined().items()
    }


def _loose(finding: Finding) -> bool:
    """Whether a rate would have to be wrong by what a sensor's strap does in a single step."""
    return finding.check == "gyro unit" and finding.kind == "rate"
