"""Alignment: lags and mounting rotations are found where they were planted, on real recordings too, or are refused."""

import re
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from conftest import SHARED, needs_shared
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline
from scipy.io import loadmat
from scipy.spatial.transform import Rotation

from kinbench.alignment import CONSTRUCTION, align, calibrate, confident, estimate_lag, rate_correlation
from kinbench.errors import DataError, UsageError
from kinbench.kinematics import dofs_from_segments, rotation_from_angles
from kinbench.recording import (
    Calibration,
    Declared,
    Key,
    Placement,
    Recording,
    Sync,
    angle_dataset,
    imu_dataset,
    placements_of,
    segment_dataset,
)
from kinbench.schema import GRAVITY
from kinbench.virtual_imu import angular_rate, specific_force

KEY = Key("lab", "S01", "1", "walk")
SEGMENTS = ("pelvis", "thigh_r", "shank_r", "foot_r")


# --- a walking leg, as a function of time -----------------------------------------------------------------------------


class Leg:
    """A leg that stands for ``still_s`` and then walks, no two strides alike; known at 300 Hz."""

    rate_hz = 300.0

    def __init__(self, seed, duration_s=30.0, still_s=2.0, pause_s=0.0):
        random = np.random.default_rng(seed)
        self.time = np.arange(-6.0, duration_s + 6.0, 1 / self.rate_hz)
        strides = int(self.time[-1] / 0.8) + 12
        ends = -6.0 + np.cumsum(random.normal(1.1, 0.05, strides))
        phase = np.interp(self.time, ends, np.arange(strides))
        size = CubicSpline(ends, random.normal(1.0, 0.08, strides))(self.time)
        going = np.clip((self.time - still_s) / 1.0, 0, 1)
        going *= np.where(abs(self.time - duration_s / 2) < pause_s / 2, 0.0, 1.0) if pause_s else 1.0
        going = np.convolve(going, np.hanning(180) / np.hanning(180).sum(), mode="same")
        wave = {
            "hip": (25, 8, 3),
            "knee": (22, 18, 5),
            "ankle": (8, 9, 4),
            "hip_b": (5, 3, 1),
            "hip_c": (4, 4, 2),
            "knee_c": (4, 3, 1),
            "tilt": (2, 3, 1),
            "turn": (6, 1, 1),
        }
        values = {}
        for name, sizes in wave.items():
            shifts = random.uniform(0, 2 * np.pi, 3)
            harmonics = enumerate(zip(sizes, shifts, strict=True), 1)
            values[name] = going * size * sum(a * np.sin(2 * np.pi * k * phase + b) for k, (a, b) in harmonics)
        zero = np.zeros_like(self.time)
        turn = Rotation.from_quat
        pelvis = turn(rotation_from_angles(values["tilt"], zero, values["turn"]), scalar_first=True)
        hip = turn(rotation_from_angles(values["hip"], values["hip_b"], values["hip_c"]), scalar_first=True)
        knee = turn(rotation_from_angles(-values["knee"] - 25 * going, zero, values["knee_c"]), scalar_first=True)
        ankle = turn(rotation_from_angles(values["ankle"], zero, zero), scalar_first=True)
        chain = [pelvis, pelvis * hip, pelvis * hip * knee, pelvis * hip * knee * ankle]
        self.orientation = dict(zip(SEGMENTS, chain, strict=True))

    def rate(self, segment):
        return angular_rate(self.orientation[segment].as_quat(scalar_first=True), self.rate_hz)

    def imu(self, rate_hz, duration_s, seed=0, segments=SEGMENTS, bias=0.02, noise=0.05, mounting=None, start_s=0.0):
        random = np.random.default_rng(seed)
        time = start_s + np.arange(0, duration_s, 1 / rate_hz)
        gyr, acc, self.mounted = [], [], {}
        for segment in segments:
            if mounting is None:
                self.mounted[segment] = Rotation.random(random_state=int(random.integers(1 << 30)))
            else:
                self.mounted[segment] = mounting
            sensor = self.orientation[segment] * self.mounted[segment]
            place = np.zeros((len(self.time), 3))
            force = specific_force(place, sensor.as_quat(scalar_first=True), self.rate_hz)
            turn = self.mounted[segment].inv().apply(self.rate(segment))
            at = CubicSpline(self.time, np.hstack([turn, force]))(time)
            at += random.normal(0, noise, at.shape) + np.r_[random.normal(0, bias, 3), np.zeros(3)]
            gyr.append(at[:, :3])
            acc.append(at[:, 3:])
        return imu_dataset(
            time,
            [Placement(s, s, "right") for s in segments],
            {
                "gyr": (np.stack(gyr, 1), {"units": "rad s-1", "frame": "sensor"}),
                "acc": (np.stack(acc, 1), {"units": "m s-2", "kind": "specific_force", "frame": "sensor"}),
            },
        )

    def segments(self, rate_hz, start_s, duration_s, late_s=0.0, names=SEGMENTS):
        """Segment orientations whose declared time is too early by ``late_s``."""
        time = np.arange(start_s, start_s + duration_s, 1 / rate_hz)
        quat = []
        for name in names:
            known = self.orientation[name].as_quat(scalar_first=True)
            at = CubicSpline(self.time, known * np.sign(known[:, :1]))(time)
            quat.append(at / np.linalg.norm(at, axis=1, keepdims=True))
        return segment_dataset(time - late_s, names, np.stack(quat, 1), tier="optical_6dof")

    def angles(self, rate_hz, start_s, duration_s, late_s=0.0, noise_deg=0.1, seed=1, dofs=None):
        found = dofs_from_segments(self.segments(rate_hz, start_s, duration_s, late_s))
        names = [str(name) for name in found["dof"].values if dofs is None or str(name) in dofs]
        values = found["angle"].sel(dof=names).values
        values = values + np.random.default_rng(seed).normal(0, noise_deg, values.shape)
        return angle_dataset(
            found["time"].values, names, values, units="deg", convention="isb_zxy", tier="optical_marker_ik"
        )


@cache
def walking(seed):
    return Leg(seed)


@pytest.fixture(scope="module")
def leg():
    return Leg(3)


def recorded(imu, reference, sync=None, **declared):
    return Recording(KEY, imu, reference, {"history": []}, Declared(sync=sync, **declared))


# --- planted lags -----------------------------------------------------------------------------------------------------


@settings(max_examples=16, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    late_s=st.floats(-1.5, 1.5),
    rates=st.sampled_from([(100.0, 100.0), (60.0, 60.0), (40.0, 100.0), (60.0, 200.0), (100.0, 60.0)]),
    kind=st.sampled_from(["angles", "segments"]),
)
def test_a_planted_lag_is_found_within_a_third_of_a_sample(seed, late_s, rates, kind):
    imu_hz, reference_hz = rates
    leg = Leg(seed)
    imu = leg.imu(imu_hz, 30.0, seed)
    late_s = round(late_s * imu_hz) / imu_hz + 0.37 / imu_hz
    reference = getattr(leg, kind)(reference_hz, 1.0, 27.0, late_s)
    lag = estimate_lag(imu, reference, search_s=2.0)
    assert abs(lag.shift_s - late_s) * imu_hz < 0.3
    assert confident(lag)
    assert lag.method == {"angles": "joint_rate", "segments": "segment_speed"}[kind]


def test_an_imu_that_is_late_asks_for_a_positive_shift(leg):
    imu = leg.imu(100.0, 30.0)
    late = imu.assign_coords(time=imu["time"].values + 0.05)
    lag = estimate_lag(late, leg.angles(100.0, 0.0, 30.0), search_s=1.0)
    assert lag.shift_s == pytest.approx(0.05, abs=0.003)


def test_masked_and_lost_samples_do_not_speak(leg):
    imu = leg.imu(100.0, 30.0)
    reference = leg.angles(100.0, 0.0, 30.0, late_s=0.123, dofs=("knee_flexion_r",))
    angle = reference["angle"].values.copy()
    angle[800:1200] = 170 * np.sign(np.sin(np.arange(400) / 3))[:, None]
    valid = np.ones(angle.shape, bool)
    valid[800:1200] = False
    wild = reference.assign(angle=reference["angle"].copy(data=angle))
    masked = wild.assign(valid=(("time", "dof"), valid))
    gyr = imu["gyr"].values.copy()
    gyr[2000:2060, 1] = np.nan
    lossy = imu.assign(gyr=imu["gyr"].copy(data=gyr))
    assert estimate_lag(lossy, masked, search_s=1.0).shift_s == pytest.approx(0.123, abs=0.003)
    assert not confident(estimate_lag(lossy, wild, search_s=1.0))


def test_a_clock_with_holes_is_bridged_not_squeezed(leg):
    imu = leg.imu(100.0, 30.0)
    kept = np.r_[0:900, 930:1500, 1504:2000, 2100:3000]
    lag = estimate_lag(imu.isel(time=kept), leg.angles(100.0, 0.0, 30.0, late_s=0.2), search_s=1.0)
    assert lag.shift_s == pytest.approx(0.2, abs=0.003)


def test_a_sensor_s_own_clock_offset_is_counted(leg):
    imu = leg.imu(100.0, 30.0)
    told = imu.assign_coords(clock_offset_s=("sensor", np.full(4, 0.004)))
    reference = leg.angles(100.0, 0.0, 30.0)
    difference = (
        estimate_lag(told, reference, search_s=1.0).shift_s - estimate_lag(imu, reference, search_s=1.0).shift_s
    )
    assert difference == pytest.approx(0.004, abs=5e-4)


def test_one_bad_joint_does_not_move_the_lag_of_the_others(leg):
    imu = leg.imu(100.0, 30.0)
    reference = leg.angles(100.0, 0.0, 30.0, late_s=0.1)
    names = [str(name) for name in reference["dof"].values]
    angle = reference["angle"].values.copy()
    angle[:, names.index("hip_flexion_r")] = np.roll(angle[:, names.index("hip_flexion_r")], 25)
    spoilt = reference.assign(angle=reference["angle"].copy(data=angle))
    assert estimate_lag(imu, spoilt, search_s=2.0).shift_s == pytest.approx(0.1, abs=0.003)


def test_correlation_of_the_rate_tells_a_right_shift_from_a_wrong_one(leg):
    imu, reference = leg.imu(100.0, 30.0), leg.angles(100.0, 0.0, 30.0, noise_deg=0.02)
    right = rate_correlation(imu, reference, "knee_flexion_r", start_s=5.0, stop_s=25.0)
    wrong = rate_correlation(imu, reference.assign_coords(time=reference["time"].values + 0.2), "knee_flexion_r")
    assert right > 0.97
    assert wrong < right - 0.05
    assert rate_correlation(imu.drop_vars("gyr"), reference, "knee_flexion_r") is None
    assert rate_correlation(imu.isel(sensor=[0, 2]), reference, "knee_flexion_r") is None


# --- what cannot be known is not claimed ------------------------------------------------------------------------------


@pytest.mark.parametrize("search_s", [1.0, 3.0])
@pytest.mark.parametrize("kind", ["angles", "segments"])
def test_another_walk_gives_no_confidence(kind, search_s):
    for seed in range(4):
        lag = estimate_lag(
            walking(seed).imu(100.0, 30.0), getattr(walking(seed + 50), kind)(100.0, 0.0, 30.0), search_s=search_s
        )
        assert lag is not None
        assert not confident(lag)


def test_a_lag_outside_the_search_gives_no_confidence():
    for seed in range(4):
        leg = walking(seed)
        lag = estimate_lag(leg.imu(100.0, 30.0), leg.angles(100.0, 0.0, 30.0, late_s=4.0), search_s=2.0)
        assert not confident(lag)


def test_a_search_narrower_than_a_stride_does_not_believe_the_wrong_stride(leg):
    imu, reference = leg.imu(100.0, 30.0), leg.angles(100.0, 0.0, 30.0)
    for away_s in (1.0, 1.1, 1.2):
        lag = estimate_lag(imu, reference.assign_coords(time=reference["time"].values + away_s), search_s=0.4)
        assert not confident(lag)
    assert confident(estimate_lag(imu, reference, search_s=0.4))


def test_a_clock_that_does_not_increase_is_refused(leg):
    imu, reference = leg.imu(100.0, 10.0), leg.angles(100.0, 0.0, 10.0)
    with pytest.raises(DataError, match="imu's time must increase"):
        estimate_lag(imu.isel(time=np.r_[0:500, 499:900]), reference, search_s=1.0)


def test_shuffled_motion_gives_no_confidence(leg):
    imu, reference = leg.imu(100.0, 30.0), leg.angles(100.0, 0.0, 30.0)
    pieces = np.random.default_rng(0).permutation(np.arange(3000).reshape(30, 100)).ravel()
    shuffled = reference.assign(angle=reference["angle"].copy(data=reference["angle"].values[pieces]))
    assert not confident(estimate_lag(imu, shuffled, search_s=2.0))


def test_a_lag_that_cannot_be_assessed_is_none(leg):
    imu, reference = leg.imu(100.0, 30.0), leg.angles(100.0, 0.0, 30.0, dofs=("knee_flexion_r",))
    assert estimate_lag(imu.drop_vars("gyr"), reference, search_s=1.0) is None
    assert estimate_lag(imu.isel(sensor=[0, 1]), reference, search_s=1.0) is None
    assert estimate_lag(imu, reference.isel(time=slice(0, 100)), search_s=1.0) is None
    assert estimate_lag(imu, reference.isel(time=slice(0, 1)), search_s=1.0) is None
    assert estimate_lag(imu.isel(time=slice(0, 2)), reference, search_s=1.0) is None
    standing = reference.assign(angle=reference["angle"] * 0)
    assert estimate_lag(imu, standing, search_s=1.0) is None
    absent = reference.assign(angle=reference["angle"] * np.nan)
    assert estimate_lag(imu, absent, search_s=1.0) is None
    assert estimate_lag(imu, reference.assign_coords(time=reference["time"].values + 100), search_s=1.0) is None


# --- calibration ------------------------------------------------------------------------------------------------------

UPRIGHT = Rotation.from_matrix(np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]))
"""Sensor x up the segment, y backwards, z to the right."""


@pytest.mark.parametrize("segment", ["thigh_r", "shank_r"])
@pytest.mark.parametrize(("axis", "toward"), [("z", "right"), ("-y", "anterior")])
def test_a_planted_mounting_is_recovered_whatever_the_strap_did(segment, axis, toward):
    for seed in range(4):
        strap = Rotation.from_rotvec(np.random.default_rng(seed).normal(0, 0.15, 3))
        planted = UPRIGHT * strap
        imu = walking(seed).imu(100.0, 30.0, seed, segments=(segment,), mounting=planted)
        rotation, how = calibrate(imu, segment, Calibration((0.0, 1.5), None, axis, toward))
        off = np.degrees((Rotation.from_matrix(rotation).inv() * planted).magnitude())
        assert off < 9.0, (seed, off, how)
        assert rotation @ rotation.T == pytest.approx(np.eye(3), abs=1e-9)
        assert np.linalg.det(rotation) == pytest.approx(1.0)
        assert how["hint_deg"] < 30
        assert how["explained"] > 0.8


def test_the_opposite_hint_turns_the_sensor_around():
    imu = walking(1).imu(100.0, 30.0, segments=("thigh_r",), mounting=UPRIGHT)
    right, _ = calibrate(imu, "thigh_r", Calibration((0.0, 1.5), (4.0, 29.0), "z", "right"))
    left, _ = calibrate(imu, "thigh_r", Calibration((0.0, 1.5), (4.0, 29.0), "-z", "right"))
    assert left == pytest.approx(np.diag([-1, 1, -1]) @ right, abs=1e-9)


@pytest.fixture(scope="module")
def worn():
    return walking(1).imu(100.0, 30.0, segments=("thigh_r",), mounting=UPRIGHT)


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        (Calibration((5.0, 9.0), None, "z", "right"), DataError, "not still"),
        (Calibration((0.0, 0.1), None, "z", "right"), DataError, "still_s"),
        (Calibration((50.0, 60.0), None, "z", "right"), DataError, "0.0 to 30.0 s"),
        (Calibration((0.0, 1.5), (90.0, 99.0), "z", "right"), DataError, "moving_s"),
        (Calibration((0.0, 1.5), None, "x", "right"), DataError, "degrees from it"),
        (Calibration((0.0, 1.5), None, "y", "right"), DataError, "degrees from it"),
        (Calibration((0.0, 1.5), None, "up", "right"), UsageError, "'up'"),
        (Calibration((0.0, 1.5), None, "z", "left"), UsageError, "'left'"),
    ],
)
def test_a_calibration_without_ground_is_refused(worn, request_, error, words):
    with pytest.raises(error, match=words):
        calibrate(worn, "thigh_r", request_)


def test_a_calibration_needs_gravity_rate_and_the_sensor_it_names(worn):
    fine = Calibration((0.0, 1.5), None, "z", "right")
    free = worn.assign(acc=worn["acc"].assign_attrs(kind="gravity_removed"))
    with pytest.raises(DataError, match="needs gravity"):
        calibrate(free, "thigh_r", fine)
    with pytest.raises(DataError, match="no gyr"):
        calibrate(worn.drop_vars("gyr"), "thigh_r", fine)
    with pytest.raises(UsageError, match="thigh_l"):
        calibrate(worn, "thigh_l", fine)
    in_g = worn.assign(acc=worn["acc"].copy(data=worn["acc"].values / GRAVITY))
    with pytest.raises(DataError, match="check the declared unit"):
        calibrate(in_g, "thigh_r", fine)


def test_motion_about_no_axis_in_particular_is_refused(worn):
    tumbling = worn["gyr"].values.copy()
    tumbling[150:] = np.random.default_rng(0).normal(0, 1, tumbling[150:].shape)
    with pytest.raises(DataError, match="no flexion axis"):
        calibrate(
            worn.assign(gyr=worn["gyr"].copy(data=tumbling)), "thigh_r", Calibration((0.0, 1.5), None, "z", "right")
        )


# --- align ------------------------------------------------------------------------------------------------------------


def test_an_estimated_shift_is_applied_and_told(leg):
    done = align(recorded(leg.imu(100.0, 30.0), leg.angles(100.0, 0.5, 29.0, late_s=0.25), Sync("estimated")))
    sync = done.attrs["sync"]
    assert sync["method"] == "estimated"
    assert sync["shift_s"] == pytest.approx(0.25, abs=0.003)
    assert sync["offset_s"] == pytest.approx(0.5, abs=0.003)
    assert sync["confident"] is True
    assert done.reference["time"].values[0] == pytest.approx(0.5, abs=0.003)
    assert done.reference["time"].attrs["units"] == "s"
    assert [step["step"] for step in done.attrs["history"]] == ["synchronise"]
    assert done.declared is None


@pytest.mark.parametrize("method", ["hardware", "same_clock", "none"])
def test_a_shared_clock_is_measured_and_left_alone(leg, method):
    reference = leg.angles(100.0, 0.0, 30.0, late_s=0.02)
    done = align(recorded(leg.imu(100.0, 30.0), reference, Sync(method)))
    assert np.array_equal(done.reference["time"].values, reference["time"].values)
    assert done.attrs["sync"]["shift_s"] == 0.0
    assert done.attrs["sync"]["measured_shift_s"] == pytest.approx(0.02, abs=0.003)
    assert done.attrs["history"] == []


def test_sensors_made_of_the_reference_share_its_clock_by_construction(leg):
    """Nothing is measured of them, unless somebody asks for an estimate; the step says how they came about."""
    virtual = recorded(leg.imu(100.0, 30.0), leg.angles(100.0, 0.0, 30.0), Sync("same_clock"))
    sync = align(virtual.with_step("virtual_imu")).attrs["sync"]
    assert (sync["method"], sync["by"], sync["offset_s"], sync["shift_s"]) == ("same_clock", CONSTRUCTION, 0.0, 0.0)
    assert sync["measured_shift_s"] is sync["r"] is sync["confident"] is sync["search_s"] is None
    asked = replace(virtual, declared=replace(virtual.declared, sync=Sync("estimated"))).with_step("virtual_imu")
    assert align(asked).attrs["sync"]["by"] == "rate"
    assert align(asked).attrs["sync"]["r"] > 0.9


def on_the_left(imu):
    """The same sensors, told to be on the other leg."""
    segments = [str(name).replace("_r", "_l") for name in imu["segment"].values]
    return imu.assign_coords(segment=("sensor", segments), side=("sensor", ["left"] * len(segments)))


@pytest.mark.parametrize("kind", ["angles", "segments"])
def test_sensors_of_one_leg_beside_the_other_are_named(leg, kind):
    told = {"names": ("thigh_r", "shank_r")} if kind == "segments" else {}
    reference = getattr(leg, kind)(100.0, 0.0, 20.0, **told)
    with pytest.raises(DataError) as error:
        align(recorded(on_the_left(leg.imu(100.0, 20.0)), reference, Sync("estimated")))
    (said,) = error.value.problems
    assert "'thigh_r' on thigh_l" in said and "'shank_r' on shank_l" in said
    assert "knee_flexion_r" in said if kind == "angles" else "(thigh_r, shank_r)" in said
    assert "correct the side" in said


def test_what_lacks_for_another_reason_is_not_laid_on_the_sides(leg):
    thigh = leg.imu(100.0, 20.0, segments=("thigh_r",))
    for imu in (thigh, on_the_left(thigh)):
        with pytest.raises(DataError, match="it needs angular rate on both segments of a joint"):
            align(recorded(imu, leg.angles(100.0, 0.0, 20.0), Sync("estimated")))


def test_a_declared_offset_is_the_fact_and_what_remains_is_measured(leg):
    reference = leg.angles(100.0, 3.0, 26.0)
    loose = reference.assign_coords(time=reference["time"].values - 3.0)
    done = align(recorded(leg.imu(100.0, 30.0), loose, Sync("declared", offset_s=2.9)))
    assert done.reference["time"].values[0] == pytest.approx(2.9)
    assert done.attrs["sync"]["shift_s"] == pytest.approx(2.9)
    assert done.attrs["sync"]["measured_shift_s"] == pytest.approx(0.1, abs=0.003)


def test_an_offset_centres_the_search_for_an_estimate(leg):
    reference = leg.angles(100.0, 5.0, 24.0)
    loose = reference.assign_coords(time=reference["time"].values - 5.0)
    done = align(recorded(leg.imu(100.0, 30.0), loose, Sync("estimated", offset_s=4.6, search_s=1.0)))
    assert done.attrs["sync"]["offset_s"] == pytest.approx(5.0, abs=0.003)


def test_a_lag_that_is_not_clear_is_refused_with_the_remedy():
    unrelated = recorded(walking(1).imu(100.0, 30.0), walking(60).angles(100.0, 0.0, 30.0), Sync("estimated"))
    with pytest.raises(DataError, match="declare the offset"):
        align(unrelated)
    with pytest.raises(DataError, match="cannot be estimated"):
        align(replace(unrelated, imu=unrelated.imu.drop_vars("gyr")))
    align(replace(unrelated, declared=Declared(sync=Sync("declared", offset_s=0.0))))


def test_a_request_without_sense_is_refused(leg):
    imu, reference = leg.imu(100.0, 10.0), leg.angles(100.0, 0.0, 10.0)
    with pytest.raises(UsageError, match="offset_s"):
        align(recorded(imu, reference, Sync("declared")))
    with pytest.raises(UsageError, match="by_ear"):
        align(recorded(imu, reference, Sync("by_ear")))
    with pytest.raises(UsageError, match="has none"):
        align(recorded(None, reference, calibrations={"a": Calibration((0, 1), None, "z", "right")}))


def test_time_zero_is_the_first_sample_of_the_imu_else_of_the_reference(leg):
    imu, reference = leg.imu(100.0, 10.0, start_s=4.0), leg.angles(100.0, 3.0, 10.0)
    both = align(recorded(imu, reference, Sync("same_clock")))
    assert both.imu["time"].values[0] == 0.0
    assert both.reference["time"].values[0] == pytest.approx(-1.0)
    assert both.attrs["sync"]["offset_s"] == pytest.approx(-1.0)
    alone = align(recorded(None, reference))
    assert alone.reference["time"].values[0] == 0.0
    assert alone.attrs["sync"]["method"] == "none"
    assert align(recorded(imu, None)).imu["time"].values[0] == 0.0


def test_calibrations_are_run_marked_and_all_their_faults_told_at_once():
    imu = walking(1).imu(100.0, 30.0, segments=("thigh_r", "shank_r"), mounting=UPRIGHT)
    good = Calibration((0.0, 1.5), None, "z", "right")
    done = align(recorded(imu, None, calibrations={"thigh_r": good}))
    thigh, shank = placements_of(done.imu)
    assert thigh.rotation_origin == "functional"
    assert np.degrees((Rotation.from_matrix(thigh.rotation).inv() * UPRIGHT).magnitude()) < 9
    assert (shank.rotation, shank.rotation_origin) == (None, "unknown")
    assert done.attrs["history"][0]["step"] == "calibrate"
    bad = replace(good, still_s=(5.0, 8.0))
    with pytest.raises(DataError) as caught:
        align(recorded(imu, None, calibrations={"thigh_r": bad, "shank_r": bad}))
    assert len(caught.value.problems) == 2


def test_a_calibration_that_is_not_required_leaves_the_rotation_unknown_and_says_why():
    imu = walking(1).imu(100.0, 30.0, segments=("thigh_r", "shank_r"), mounting=UPRIGHT)
    good = Calibration((0.0, 1.5), None, "z", "right", required=False)
    bad = replace(good, still_s=(5.0, 8.0))
    asked = recorded(imu, None, calibrations={"shank_r": bad, "thigh_r": good}).with_attrs(quality=["worn"])
    done = align(asked)
    thigh, shank = placements_of(done.imu)
    assert thigh.rotation_origin == "functional"
    assert (shank.rotation, shank.rotation_origin) == (None, "unknown")
    assert done.attrs["quality"] == ["worn", "rotation_unknown:shank_r"]
    (told,) = (step for step in done.attrs["history"] if "failed" in step)
    assert (told["step"], told["sensor"]) == ("calibrate", "shank_r") and "is not still" in told["failed"]
    assert "quality" not in align(recorded(imu, None, calibrations={"thigh_r": good})).attrs
    with pytest.raises(DataError) as caught:
        align(recorded(imu, None, calibrations={"shank_r": bad, "thigh_r": replace(bad, required=True)}))
    assert len(caught.value.problems) == 1 and "thigh_r" in caught.value.problems[0]


# --- real recordings, read here in the plainest way -------------------------------------------------------------------

GYR = ["Gyr_X", "Gyr_Y", "Gyr_Z"]


def packets(path, separator="\t"):
    skipped = next(n for n, line in enumerate(path.read_text().splitlines()) if line.startswith("PacketCounter"))
    table = pd.read_csv(path, skiprows=skipped, sep=separator).drop_duplicates("PacketCounter")
    return table.set_index("PacketCounter")[GYR]


def worn_on(tables, rate_hz):
    joined = pd.concat(tables, axis=1)
    time = (joined.index.to_numpy() - joined.index[0]) / rate_hz
    return gyros(time, {name: joined[name].to_numpy() for name in tables})


def gyros(time, rates):
    return imu_dataset(
        time,
        [Placement(name, name, "right" if name.endswith("_r") else "left") for name in rates],
        {"gyr": (np.stack(list(rates.values()), 1), {"units": "rad s-1", "frame": "sensor"})},
    )


def truth(time, dofs, valid=None):
    values = np.stack([np.asarray(column, dtype=float) for column in dofs.values()], 1)
    return angle_dataset(
        time, list(dofs), values, units="deg", convention="visual3d", tier="optical_marker_ik", valid=valid
    )


def halilaj():
    folder = SHARED / "halilaj_lab"
    names = {"thigh_l": "00B4D7FD", "shank_l": "00B4D7CE"}
    imu = worn_on({name: packets(folder / f"MT_01200E04_001-000_{i}.txt") for name, i in names.items()}, 40.0)
    knee = np.load(folder / "mocap_left_knee.npy", allow_pickle=False)
    time = np.arange(len(knee)) / 40
    return imu, truth(time, {"knee_flexion_l": knee}, ((time < 93) | (time >= 175))[:, None])


def fan():
    folder = SHARED / "fan_knee"
    names = {"thigh_l": "00B4490A", "shank_l": "00B44910"}
    imu = worn_on({name: packets(folder / f"MT_2020-07-10_010_{i}.txt") for name, i in names.items()}, 100.0)
    knee = pd.read_csv(folder / "Lknee trial 271.txt", sep="\t", skiprows=5, header=None).to_numpy()
    return imu, truth(np.arange(len(knee)) / 100, {"knee_flexion_l": -knee[:, 1]})


def neura():
    folder = SHARED / "neura_sparse"
    names = {
        "pelvis": "00B40B91", "thigh_l": "00B40C45", "thigh_r": "00B40C3C", "shank_l": "00B40BA5",
        "shank_r": "00B40C35", "foot_l": "00B40C55", "foot_r": "00B40C48",
    }  # fmt: skip
    imu = worn_on(
        {n: packets(folder / "rawimu" / f"S02-Trial-Walk-1-000_{i}.txt", ",") for n, i in names.items()}, 100.0
    )
    vicon = loadmat(folder / "vicon" / "S02-Trial-Walk-1.mat")
    dofs = {}
    for letter in "RL":
        dofs[f"knee_flexion_{letter.lower()}"] = vicon[f"{letter}_Femur_{letter}_Tibia"][0]
        dofs[f"hip_flexion_{letter.lower()}"] = -vicon[f"Root_{letter}_Femur"][:, 0]
        dofs[f"ankle_dorsiflexion_{letter.lower()}"] = -vicon[f"{letter}_Tibia_{letter}_Foot"][:, 0]
    return imu, truth(np.arange(2503) / 100, dofs)


def capsense():
    folder = SHARED / "capsense_treadmill" / "Sub02" / "CSBaseline"
    lines = (folder / "OpenSim_Sub02_CSBaseline_Gyro.trc").read_text().splitlines()[6:]
    table = np.array([[float(cell) for cell in line.split()] for line in lines if line.strip()])
    columns = {"pelvis": 1, "shank_r": 2, "thigh_r": 3, "shank_l": 4, "thigh_l": 5}
    imu = gyros(table[:, 1], {name: table[:, 2 + 3 * k : 5 + 3 * k] for name, k in columns.items()})
    text = (folder / "IKoutput_20to65secs.mot").read_text().splitlines()
    angles = pd.read_csv(folder / "IKoutput_20to65secs.mot", sep=r"\s+", skiprows=text.index("endheader") + 1)
    aliases = {"knee_flexion": "knee_angle", "hip_flexion": "hip_flexion"}
    dofs = {f"{ours}_{side}": angles[f"{theirs}_{side}"] for ours, theirs in aliases.items() for side in "rl"}
    return imu, truth(angles["time"], dofs)


def zare(number):
    pattern = re.compile(r"Angle: (\S+)°.*MPU1.*?Gyro: (.*?) \|\| MPU2.*?Gyro: (.*?) \|\| Time: (\d+) ms")
    text = (SHARED / "zare_ankle" / f"LOG{number}.TXT").read_text(encoding="utf-8", errors="replace")
    rows = [match.groups() for match in map(pattern.search, text.splitlines()) if match]
    time = np.array([int(row[3]) for row in rows]) / 1000
    kept = np.r_[True, np.diff(time) > 0]
    rates = {
        name: np.radians([[float(x) for x in row[column].split(",")] for row in rows])[kept]
        for name, column in (("foot_r", 1), ("shank_r", 2))
    }
    return gyros(time[kept], rates), truth(
        time[kept], {"ankle_dorsiflexion_r": np.array([float(r[0]) for r in rows])[kept]}
    )


REAL = {
    # name: (loader, rate, lag in samples, tolerance, search_s, (dofs, least r after synchronisation), span)
    "halilaj": (halilaj, 40.0, 116.7, 1.0, 10.0, ("knee_flexion_l",), 0.9, (333.0, 346.0)),
    "fan": (fan, 100.0, -0.3, 0.5, 2.0, ("knee_flexion_l",), 0.95, (-np.inf, np.inf)),
    "neura": (neura, 100.0, 1.5, 0.5, 2.0, ("knee_flexion_r", "knee_flexion_l"), 0.95, (-np.inf, np.inf)),
    "capsense": (capsense, 100.0, 1.7, 0.5, 2.0, ("knee_flexion_r", "knee_flexion_l"), 0.95, (-np.inf, np.inf)),
    **{
        f"zare-{n}": (lambda n=n: zare(n), 97.2, 0.0, 0.3, 2.0, ("ankle_dorsiflexion_r",), 0.95, (-np.inf, np.inf))
        for n in (2, 7, 8, 10)
    },
}


@needs_shared
@pytest.mark.parametrize("name", REAL)
def test_the_lag_of_a_real_recording_is_the_known_one(name):
    load, rate_hz, samples, tolerance, search_s, dofs, least, (start_s, stop_s) = REAL[name]
    imu, reference = load()
    lag = estimate_lag(imu, reference, search_s=search_s)
    assert lag.shift_s * rate_hz == pytest.approx(samples, abs=tolerance)
    assert confident(lag), lag
    placed = reference.assign_coords(time=reference["time"].values + lag.shift_s)
    for dof in dofs:
        assert rate_correlation(imu, placed, dof, start_s=start_s, stop_s=stop_s) > least


@needs_shared
@pytest.mark.parametrize("name", REAL)
def test_a_real_reference_run_backwards_gives_no_confidence(name):
    load, _, _, _, search_s, *_ = REAL[name]
    imu, reference = load()
    backwards = reference.assign(angle=reference["angle"].copy(data=reference["angle"].values[::-1].copy()))
    lag = estimate_lag(imu, backwards, search_s=search_s)
    assert not confident(lag), lag


@needs_shared
@pytest.mark.parametrize("name", ["neura", "capsense", "zare-2", "fan"])
def test_a_real_lag_outside_the_search_gives_no_confidence(name):
    imu, reference = REAL[name][0]()
    for away_s, search_s in ((1.2, 0.5), (2.5, 2.0), (4.7, 2.0), (-3.0, 2.0), (-6.0, 2.0)):
        moved = reference.assign_coords(time=reference["time"].values + away_s)
        lag = estimate_lag(imu, moved, search_s=search_s)
        assert not confident(lag), (away_s, lag)


@needs_shared
@pytest.mark.parametrize(("sensor", "axis"), [("thigh_r", "z"), ("shank_r", "z"), ("thigh_l", "-z"), ("shank_l", "-z")])
def test_slanted_straps_are_calibrated_from_one_still_second_before_walking(sensor, axis):
    imu, _ = capsense()
    folder = SHARED / "capsense_treadmill" / "Sub02" / "CSBaseline"
    lines = (folder / "OpenSim_Sub02_CSBaseline_Accel.trc").read_text().splitlines()[6:]
    table = np.array([[float(cell) for cell in line.split()] for line in lines if line.strip()])
    columns = {"pelvis": 1, "shank_r": 2, "thigh_r": 3, "shank_l": 4, "thigh_l": 5}
    acc = np.stack(
        [table[:, 2 + 3 * columns[str(name)] : 5 + 3 * columns[str(name)]] for name in imu["sensor"].values], 1
    )
    imu["acc"] = (("time", "sensor", "axis"), acc, {"units": "m s-2", "kind": "specific_force"})
    rotation, how = calibrate(imu, sensor, Calibration((0.0, 0.8), (5.0, 70.0), axis, "right"))
    assert rotation[1, 0] > np.cos(np.radians(25))
    assert 5 < how["hint_deg"] < 40
