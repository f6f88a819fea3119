"""What gyros, orientations and joints say of each other: turns, lags, offsets, rates and signs, and what follows."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from test_inspection import RATE_HZ, failures, findings, recording, spoil, verdicts

from kinbench import inspection
from kinbench.inspection.consequences import explained
from kinbench.inspection.findings import Finding
from kinbench.inspection.rates import agreement


def wandering(seed, samples=1500):
    """Smooth angular rates about all axes, (samples, 3) rad/s."""
    rng = np.random.default_rng(seed)
    t = np.arange(samples)[:, None] / RATE_HZ
    return sum(rng.normal(size=3) * np.sin(2 * np.pi * rng.uniform(0.2, 3, 3) * t + rng.uniform(0, 6, 3))
               for _ in range(6))  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 999), lag=st.integers(-25, 25), slope=st.floats(0.3, 3), degrees=st.floats(0, 170),
    mirrored=st.booleans(), bias=st.floats(-0.5, 0.5),
)  # fmt: skip
def test_lag_turn_slope_and_offset_of_two_rates_are_recovered(seed, lag, slope, degrees, mirrored, bias):
    rng = np.random.default_rng(seed)
    other, axis = wandering(seed), rng.normal(size=3)
    turn = Rotation.from_rotvec(np.radians(degrees) * axis / np.linalg.norm(axis)).as_matrix()
    if mirrored:
        turn = turn @ np.diag([1.0, 1.0, -1.0])
    gyr = slope * np.roll(other, lag, axis=0) @ turn.T + bias
    known = np.ones(len(gyr), dtype=bool)
    known[:30] = known[-30:] = False
    found = agreement(gyr, other, known, RATE_HZ)
    assert found.lag_s * RATE_HZ == pytest.approx(lag, abs=0.3)
    assert found.slope == pytest.approx(slope, rel=0.02)
    assert found.mirrored == mirrored
    np.testing.assert_allclose(found.rotation, turn, atol=0.02)
    np.testing.assert_allclose(found.bias, bias, atol=0.05)


def test_a_sensor_turned_against_its_own_orientation_is_found_with_its_angle():
    turn = Rotation.from_rotvec(np.radians(40) * np.array([0.6, 0.64, 0.48])).as_matrix()
    original = recording()
    for name in ("acc", "gyr"):
        original = spoil(original, name, lambda v: np.stack([v[:, 0] @ turn.T, v[:, 1]], axis=1))
    (found,) = findings(failures(original), "gyro axes")
    assert found.kind == "axes"
    assert "thigh" in found.where
    assert found.value == pytest.approx(40, abs=2)


def test_a_gyro_late_against_its_own_orientation_is_found():
    late = spoil(recording(), "gyr", lambda v: np.stack([np.roll(v[:, 0], 8, axis=0), v[:, 1]], axis=1))
    (found,) = findings(failures(late), "orientation lag")
    assert found.cause == "clock:late"
    assert found.value == pytest.approx(0.08, abs=0.005)


@pytest.mark.parametrize("options", [{}, {"quat": False, "segments": True}, {"quat": False}])
def test_a_constant_on_the_gyro_is_named_against_an_orientation_and_at_rest(options):
    biased = spoil(recording(**options), "gyr", lambda v: v + np.array([0.0, 0.3, 0.0]))
    found = findings(failures(biased), "gyro bias")
    assert {one.cause for one in found} == {"bias:gyr"}
    assert found[0].value == pytest.approx(0.3, abs=0.03)
    assert verdicts(findings(inspection.check(recording(**options)), "gyro bias")) == {"PASS"}


@pytest.mark.parametrize("factor", [0.6, 1.2, 2.5])
def test_a_wrong_rate_of_all_is_found_by_the_length_of_joint_axes(factor):
    original = recording(quat=False)
    slow = {
        name: stream.assign_coords(time=("time", stream["time"].values * factor, dict(stream["time"].attrs)))
        for name, stream in (("imu", original.imu), ("reference", original.reference))
    }
    (found,) = findings(inspection.check(replace(original, **slow)), "rate by joints")
    (sound,) = findings(inspection.check(original), "rate by joints")
    assert (found.verdict, found.kind) == ("FAIL", "rate")
    assert sound.verdict != "FAIL"
    assert found.value == pytest.approx(sound.value / factor, rel=0.05)


def test_a_knee_that_bends_backwards_has_its_sign_turned():
    original = recording()
    turned = original.reference.copy(deep=True)
    turned["angle"].values = -turned["angle"].values
    found = findings(failures(replace(original, reference=turned)), "axes against the reference")
    assert [one.cause.partition(":")[0] for one in found] == ["sign"]


def finding(check, where, cause, verdict="FAIL"):
    return Finding(check, verdict, where, "as seen", cause=cause)


def test_with_time_turned_every_gyro_follows_from_it():
    found = explained(
        [
            finding("gyro axes", "imu.gyr[a]", "axes:-x,-y,-z"), finding("gyro axes", "imu.gyr[b]", "axes:-x,-y,-z"),
            finding("gravity", "imu.acc[a]", "unit:acc:g"),
        ],
        [],
    )  # fmt: skip
    assert [one.cause for one in found] == ["reversal", "reversal", "unit:acc:g"]
    assert {one.verdict for one in found} == {"FAIL"}
    assert "follows from reversal" in found[0].message


@pytest.mark.parametrize(("others", "cause"), [("PASS", "axes"), ("FAIL", "quaternion:order")])
def test_one_orientation_that_is_off_has_its_axes_turned_and_all_together_another_order(others, cause):
    ups = [finding("quaternion up", "imu.quat[a]", "quaternion:order")]
    ups += [finding("quaternion up", f"imu.quat[{name}]", "quaternion:order", others) for name in "bcd"]
    assert explained(ups, [])[0].cause == cause


def segment_axes(sensor, cause, by_axes, by_direction):
    evidence = {"axes:-x,-y,-z": by_axes, "quaternion:direction": by_direction, "of": 10.0}
    return replace(finding("segment axes", f"imu.gyr[{sensor}]", cause), evidence=evidence)


@pytest.mark.parametrize(("by_direction", "cause"), [(9.8, "quaternion:direction"), (5.0, "axes:-x,-y,-z")])
def test_a_convention_of_the_reference_is_named_for_all_segments_that_it_explains_as_well(by_direction, cause):
    found = [segment_axes("a", "quaternion:direction", 9.0, 9.7)]
    found += [segment_axes(name, "axes:-x,-y,-z", 9.9, by_direction) for name in "bcd"]
    forward = [finding("time direction", "imu.time", "", "PASS"), finding("segment axes", "imu.gyr[e]", "", "PASS")]
    assert explained(found + forward, [])[1].cause == cause


@pytest.mark.parametrize(("r", "cause"), [(0.9, "axes:mirrored"), (-0.95, "reversal")])
def test_a_lone_foot_that_looks_turned_is_mirrored_unless_its_joint_is_turned_too(r, cause):
    foot = replace(finding("time direction", "imu.time", "reversal"), value=1.0)
    joint = replace(finding("axes against the reference", "imu.rotation[a, b]", "", "PASS"), value=r,
                    evidence={"": 0.9, "of": 1.0})  # fmt: skip
    assert explained([foot, joint], [])[0].cause == cause


@pytest.mark.parametrize(("late_s", "cause"), [(0.06, "sync"), (0.01, "axes")])
def test_joints_seem_to_turn_about_other_axes_where_the_reference_is_late(late_s, cause):
    sync = replace(finding("sync", "attrs.sync", "sync"), value=late_s)
    joint = finding("axes against the reference", "imu.rotation[a, b]", "axes")
    label = finding("axes against the reference", "imu.rotation[c, d]", "label:c<->d")
    assert [one.cause for one in explained([joint, label, sync], [])] == [cause, "label:c<->d", "sync"]


def test_where_gravity_was_removed_no_axis_is_blamed_for_it():
    gone = finding("gravity", "imu.acc[a]", "gravity:removed")
    across = finding("gravity in gait", "imu.rotation[b]", "axes:across")
    assert explained([gone, across], [])[1].cause == "gravity:removed"


@pytest.mark.parametrize("lag", [0, 2, -2])
def test_a_lag_of_some_samples_is_no_wrong_rate(lag):
    late = recording(quat=False)
    time_s = late.reference["time"].values + lag / RATE_HZ
    moved = late.reference.assign_coords(time=("time", time_s, dict(late.reference["time"].attrs)))
    late = replace(late, reference=moved)
    (found,) = findings(inspection.check(late), "rate by joints")
    (sound,) = findings(inspection.check(recording(quat=False)), "rate by joints")
    assert found.value == pytest.approx(sound.value, rel=0.01)


def test_what_has_another_cause_is_left_as_it_was():
    found = [finding("gravity", "imu.acc[a]", "scale:acc"), finding("clipping", "imu.gyr[a]", "clipping")]
    assert explained(found, []) == found
