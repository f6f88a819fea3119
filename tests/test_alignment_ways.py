"""Synchronising by hops and by orientation: planted lags and drifts are found, doubtful ones refused."""

import copy
from functools import cache

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from raw_folders.bodies import walker
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation, Slerp

from kinbench.alignment import (
    align,
    confident,
    estimate_hops,
    estimate_lag,
    estimate_orientation,
    orientation_agreement,
)
from kinbench.errors import DataError, UsageError
from kinbench.recording import (
    Declared,
    Key,
    Placement,
    Recording,
    Sync,
    angle_dataset,
    imu_dataset,
    segment_dataset,
)
from kinbench.schema import GRAVITY
from kinbench.virtual_imu import angular_rate, specific_force

KEY = Key("lab", "S01", "1", "walk")
FINE_HZ = 1000.0
PHASES = (Phase.explicit, Phase.generate)


def recorded(imu, reference, **sync):
    return Recording(KEY, imu, reference, {"history": []}, Declared(sync=Sync(**sync)))


# --- a person who hops ------------------------------------------------------------------------------------------------


class Hopper:
    """Stands, hops at the times told, for flights as long as told, and sways and steps all the while."""

    def __init__(self, hops_s=(3.0, 4.1, 5.6), flights_s=None, length_s=30.0, seed=0):
        random = np.random.default_rng(seed)
        self.time = np.arange(0.0, length_s, 1 / FINE_HZ)
        self.flights_s = random.uniform(0.2, 0.4, len(hops_s)) if flights_s is None else flights_s
        up = np.zeros_like(self.time)
        for at, flight in zip(hops_s, self.flights_s, strict=True):
            up += self._hop(self.time - at, flight)
        speed = np.cumsum(up) / FINE_HZ
        self.height = np.cumsum(speed) / FINE_HZ
        sway = CubicSpline(np.arange(-1, length_s + 2), random.normal(0, 0.01, int(length_s) + 3))(self.time)
        step = 0.02 * np.sin(2 * np.pi * 1.9 * self.time) * np.clip((self.time - 8) / 2, 0, 1) ** 3
        self.place = np.stack([sway, 1.0 + self.height + step, 0.5 * sway], axis=1)
        lean = CubicSpline(np.arange(-1, length_s + 2), random.normal(0, 0.08, (int(length_s) + 3, 3)))(self.time)
        self.turn = Rotation.from_rotvec(lean)
        self.knee = -40 * np.gradient(self.height, 1 / FINE_HZ) * 0.3 + 20 * lean[:, 0]

    @staticmethod
    def _hop(since, flight, effort_s=0.25):
        """Upward acceleration: a push-off, free flight about 0, a landing; it leaves neither height nor speed."""
        push = GRAVITY * flight / 2 / effort_s
        soft = np.pi / 2 * push
        start, stop = (since + flight / 2) / effort_s, (since - flight / 2) / effort_s
        wave = np.where((start > -1) & (start < 0), soft * np.sin(np.pi * -start), 0.0)
        wave += np.where((stop > 0) & (stop < 1), soft * np.sin(np.pi * stop), 0.0)
        return wave - np.where(np.abs(since) < flight / 2, GRAVITY, 0.0)

    def at(self, values, time):
        return CubicSpline(self.time[::2], values[::2])(time)

    def imu(self, rate_hz=100.0, start_s=0.5, stop_s=29.5, noise=0.2, seed=1, size=1.0):
        random = np.random.default_rng(seed)
        time = np.arange(start_s, stop_s, 1 / rate_hz)
        mount = Rotation.random(random_state=seed)
        force = specific_force(self.place, (self.turn * mount).as_quat(scalar_first=True), FINE_HZ)
        rate = angular_rate((self.turn * mount).as_quat(scalar_first=True), FINE_HZ)
        force, rate = self.at(size * force, time), self.at(rate, time)
        force += noise * random.normal(size=force.shape)
        return imu_dataset(
            time,
            [Placement("pelvis", "pelvis", "midline")],
            {
                "acc": (force[:, None], {"units": "m s-2", "kind": "specific_force", "frame": "sensor"}),
                "gyr": (rate[:, None], {"units": "rad s-1", "frame": "sensor"}),
            },
        )

    def positions(self, rate_hz=100.0, start_s=0.0, stop_s=30.0, late_s=0.0, drift_ppm=0.0, noise_m=3e-4, scale=1.0):
        """The pelvis, on a clock that is early by ``late_s`` in the middle and slow by ``drift_ppm``."""
        true_s = np.arange(start_s, stop_s - 0.01, 1 / rate_hz)
        place = self.at(self.place * [1, scale, 1], true_s)
        place += noise_m * np.random.default_rng(5).normal(size=place.shape)
        middle = (self.time[-1] + self.time[0]) / 2
        clock = (true_s - middle) / (1 + 1e-6 * drift_ppm) + middle - late_s
        quat = np.tile([1.0, 0, 0, 0], (len(clock), 1, 1))
        return segment_dataset(clock, ("pelvis",), quat, tier="optical_6dof", position=place[:, None], exact=True)

    def forces(self, rate_hz=1000.0, late_s=0.0, mass_kg=70.0):
        """Ground reactions of two plates, of which one is stood on."""
        up = np.gradient(np.gradient(self.place[:, 1], 1 / FINE_HZ), 1 / FINE_HZ) + GRAVITY
        keep = slice(None, None, round(FINE_HZ / rate_hz))
        force = mass_kg * np.clip(up[keep], 0, None)[:, None, None] * np.array([[0, 0.6, 0], [0, 0.4, 0]])
        reference = self.positions(100.0)
        base = reference.isel(time=[0]).drop_vars(["segment_quat", "segment_position"]).drop_dims("time")
        data = base.assign_coords(time=("time", self.time[keep] - late_s, {"units": "s"}))
        return data.assign(grf=(("time", "plate", "axis"), force.astype(np.float32), {"units": "N", "frame": "world"}))


@cache
def hopper(seed=0):
    random = np.random.default_rng(seed)
    return Hopper(3.0 + np.cumsum(random.uniform(1.0, 1.8, 4)), seed=seed)


@settings(max_examples=16, deadline=None, derandomize=True, phases=PHASES)
@given(
    seed=st.integers(0, 5),
    late_s=st.floats(-1.5, 1.5),
    rates=st.sampled_from([(100.0, 100.0), (60.0, 200.0), (100.0, 120.0), (200.0, 100.0)]),
    scale=st.floats(0.9, 1.1),
)
def test_hops_tell_a_planted_lag_whatever_their_size(seed, late_s, rates, scale):
    person = hopper(seed)
    found = estimate_hops(person.imu(rates[0]), person.positions(rates[1], late_s=late_s, scale=scale), search_s=2.0)
    assert abs(found.lag.shift_s - late_s) * rates[0] < 0.3
    assert confident(found.lag)
    assert found.lag.method == "hops"
    assert found.lag.samples >= 3
    assert found.lag.r > 0.85


def test_the_largest_hop_need_not_be_the_same_on_both_sides():
    person = Hopper((3.0, 4.1, 5.6), (0.2, 0.3, 0.4))
    imu = person.imu()
    time = imu["time"].values
    loud = imu["acc"].values * np.where(time < 3.6, 1.6, 1.0)[:, None, None]
    found = estimate_hops(imu.assign(acc=imu["acc"].copy(data=loud)), person.positions(late_s=0.7), search_s=2.0)
    assert found.lag.shift_s == pytest.approx(0.7, abs=0.01)
    assert confident(found.lag)


@pytest.mark.parametrize("late_s", [-0.8, 0.33])
def test_hops_show_in_ground_reactions_too(late_s):
    person = hopper(2)
    found = estimate_hops(person.imu(), person.forces(late_s=late_s), search_s=2.0)
    assert found.lag.shift_s == pytest.approx(late_s, abs=0.003)
    assert confident(found.lag)


@pytest.mark.parametrize("drift_ppm", [-150.0, 0.0, 80.0])
def test_drift_shows_between_hops_at_both_ends(drift_ppm):
    person = Hopper((3.0, 4.1, 5.6, 112.0, 113.3, 114.7), length_s=120.0, seed=3)
    imu = person.imu(stop_s=119.0)
    found = estimate_hops(imu, person.positions(stop_s=120.0, late_s=0.4, drift_ppm=drift_ppm), search_s=2.0)
    assert found.lag.drift_ppm == pytest.approx(drift_ppm, abs=15)
    assert found.lag.shift_s == pytest.approx(0.4, abs=0.003)
    assert found.lag.residual_s == pytest.approx(abs(drift_ppm) * 1e-6 * 55, abs=0.005)
    assert [hop["at_s"] for hop in found.lag.notes["hops"]] == pytest.approx(
        [3.0, 4.1, 5.6, 112, 113.3, 114.7], abs=0.02
    )


def test_hops_that_could_pair_otherwise_are_not_believed():
    many = Hopper(np.arange(1.0, 29.0, 0.9), np.full(32, 0.25))
    found = estimate_hops(many.imu(), many.positions(late_s=0.3), search_s=2.0)
    assert not confident(found.lag)
    even = Hopper((3.0, 4.0, 5.0), (0.3, 0.3, 0.3))
    assert confident(estimate_hops(even.imu(), even.positions(late_s=0.3), search_s=2.0).lag)
    other = Hopper((3.0, 4.3, 7.1, 7.9), seed=9)
    stranger = estimate_hops(even.imu(), other.positions(), search_s=3.0)
    assert stranger is None or not confident(stranger.lag)


def test_fewer_than_three_hops_tell_nothing():
    two = Hopper((3.0, 4.1))
    assert estimate_hops(two.imu(), two.positions(), search_s=2.0) is None
    person = hopper(0)
    assert estimate_hops(person.imu().drop_vars("acc"), person.positions(), search_s=2.0) is None
    free = person.imu()
    free["acc"].attrs["kind"] = "gravity_removed"
    assert estimate_hops(free, person.positions(), search_s=2.0) is None
    outside = estimate_hops(person.imu(), person.positions(late_s=4.0), search_s=2.0)
    assert outside is None or not confident(outside.lag)


def test_walking_is_no_hop():
    person = walker(0, length_s=30.0, rate_hz=200.0)
    imu, reference = worn(person, ("pelvis",)), seen(person, ("pelvis",), position=True)
    assert estimate_hops(imu, reference, search_s=2.0) is None


def test_aligning_by_hops_masks_them_and_says_why():
    person = hopper(1)
    before = recorded(person.imu(), person.positions(late_s=0.4), method="estimated", by="hops")
    kept = copy.deepcopy(before)
    done = align(before)
    assert before.imu.identical(kept.imu) and before.reference.identical(kept.reference)
    sync = done.attrs["sync"]
    assert (sync["method"], sync["by"], sync["confident"]) == ("estimated", "hops", True)
    assert sync["shift_s"] == pytest.approx(0.4, abs=0.003)
    assert sync["drift_ppm"] is None
    assert len(sync["hops"]) == 4
    assert sync["residual_s"] < 0.006
    step = next(s for s in done.attrs["history"] if s["step"] == "mask_hops")
    assert step["reason"] == "hops to synchronise by"
    origin = 0.5  # the imu's first sample, which is zero now
    for stream in (done.imu, done.reference):
        clock = stream["time"].values + origin
        hopping = np.any([(clock >= a) & (clock <= b) for a, b in step["spans_s"]], axis=0)
        valid = stream["valid"].values.reshape(len(clock), -1).all(axis=1)
        assert (valid == ~hopping).mean() > 0.998
        assert 0.05 < hopping.mean() < 0.4
    again = align(copy.deepcopy(kept))
    assert again.imu.identical(done.imu) and again.attrs == done.attrs


def test_hops_under_a_declared_offset_are_measured_and_masked_and_move_nothing():
    person = hopper(1)
    reference = person.positions(late_s=0.4)
    offset_s = float(reference["time"].values[0] + 0.4 - 0.5)
    done = align(recorded(person.imu(), reference, method="declared", offset_s=offset_s, by="hops"))
    assert done.attrs["sync"]["measured_shift_s"] == pytest.approx(0.0, abs=0.003)
    assert not done.reference["valid"].values.all()


def test_hops_with_angles_only_are_compared_by_rates_about_them():
    person = Walking(4)
    lag = estimate_hops(person.imu, person.angles(late_s=0.25), search_s=1.0)
    assert lag.lag.shift_s == pytest.approx(0.25, abs=0.004)
    assert lag.lag.method == "joint_rate"
    assert len(lag.lag.notes["hops"]) == 3


class Walking:
    """A walker whose pelvis' accelerometer feels three flights: for the way that needs rates and hops."""

    def __init__(self, seed):
        self.person = walker(seed, length_s=30.0, rate_hz=200.0)
        imu = worn(self.person, ("pelvis", "thigh_r", "shank_r"))
        acc = imu["acc"].values.copy()
        for at in (8.0, 9.2, 10.9):
            since = imu["time"].values - at
            near = np.abs(since) < 0.4
            acc[near, 0] *= np.where(np.abs(since[near]) < 0.15, 0.05, 1.7)[:, None]
        self.imu = imu.assign(acc=imu["acc"].copy(data=acc))

    def angles(self, late_s):
        dofs = ("hip_flexion_r", "knee_flexion_r")
        values = np.stack([self.person.angles[dof] for dof in dofs], axis=1)
        return angle_dataset(
            self.person.time - late_s, dofs, values, units="deg", convention="isb_zxy", tier="optical_marker_ik"
        )


# --- orientations -----------------------------------------------------------------------------------------------------

SEGMENTS = ("trunk", "pelvis", "thigh_r", "shank_r")


@cache
def person_of(seed, length_s=30.0):
    return walker(seed, length_s=length_s, rate_hz=200.0)


def sampled(person, segment, time):
    return Slerp(person.time, Rotation.from_matrix(person.rotation[segment]))(time)


def worn(person, segments=SEGMENTS, *, rate_hz=100.0, start_s=0.3, seed=0, noise_deg=0.3, drift_deg_s=0.0):
    """Sensors with arbitrary mountings, in a world of their own heading that may drift."""
    random = np.random.default_rng(seed)
    time = np.arange(start_s, person.time[-1] - 0.1, 1 / rate_hz)
    world = Rotation.from_rotvec(np.radians(random.uniform(-180, 180) + drift_deg_s * time)[:, None] * [0, 1, 0])
    quat, acc, gyr = [], [], []
    for segment in segments:
        mount = Rotation.random(random_state=int(random.integers(1 << 30)))
        turn = Rotation.from_matrix(person.rotation[segment]) * mount
        place = person.position[segment]
        force = specific_force(place, turn.as_quat(scalar_first=True), person.rate_hz)
        rate = angular_rate(turn.as_quat(scalar_first=True), person.rate_hz)
        acc.append(CubicSpline(person.time, force)(time))
        gyr.append(CubicSpline(person.time, rate)(time))
        jitter = Rotation.from_rotvec(np.radians(noise_deg) * random.normal(size=(len(time), 3)))
        found = (world * sampled(person, segment, time) * mount * jitter).as_quat(scalar_first=True)
        quat.append(found * random.choice([-1, 1], (len(time), 1)))
    return imu_dataset(
        time,
        [Placement(s, s, "midline" if s in ("trunk", "pelvis") else "right") for s in segments],
        {
            "acc": (np.stack(acc, 1), {"units": "m s-2", "kind": "specific_force", "frame": "sensor"}),
            "gyr": (np.stack(gyr, 1), {"units": "rad s-1", "frame": "sensor"}),
            "quat": (np.stack(quat, 1), {"units": "1", "maps": "sensor_to_world", "origin": "device"}),
        },
    )


def seen(person, segments=SEGMENTS, *, rate_hz=120.0, late_s=0.0, drift_ppm=0.0, start_s=1.0, position=False):
    true_s = np.arange(start_s, person.time[-1] - 1.0, 1 / rate_hz)
    quat = np.stack([sampled(person, s, true_s).as_quat(scalar_first=True) for s in segments], axis=1)
    place = np.stack([CubicSpline(person.time, person.position[s])(true_s) for s in segments], 1) if position else None
    middle = (true_s[0] + true_s[-1]) / 2
    clock = (true_s - middle) / (1 + 1e-6 * drift_ppm) + middle - late_s
    return segment_dataset(clock, segments, quat, tier="optical_6dof", position=place, exact=True)


@settings(max_examples=12, deadline=None, derandomize=True, phases=PHASES)
@given(
    seed=st.integers(0, 5),
    late_s=st.floats(-1.5, 1.5),
    rates=st.sampled_from([(100.0, 120.0), (60.0, 100.0), (100.0, 100.0), (40.0, 200.0)]),
)
def test_orientations_tell_a_planted_lag_whatever_the_mounting_and_the_worlds(seed, late_s, rates):
    person = person_of(seed)
    lag = estimate_orientation(
        worn(person, rate_hz=rates[0], seed=seed), seen(person, rate_hz=rates[1], late_s=late_s), search_s=2.0
    )
    assert abs(lag.shift_s - late_s) * rates[0] < 0.3
    assert confident(lag), lag
    assert lag.notes["angle_deg"] < 1.5
    assert abs(lag.notes["angle_shift_s"] - late_s) * rates[0] < 0.5


@pytest.mark.parametrize("seed", [0, 1])
def test_turning_either_world_or_any_sensor_makes_no_difference(seed):
    person = person_of(seed)
    imu, reference = worn(person, noise_deg=0.0), seen(person, late_s=0.4)
    world, mount = Rotation.random(random_state=seed), Rotation.random(random_state=seed + 5)

    def turned(stream, name, world, mount):
        shape = stream[name].shape
        q = world * Rotation.from_quat(stream[name].values.reshape(-1, 4), scalar_first=True) * mount
        return stream.assign({name: stream[name].copy(data=q.as_quat(scalar_first=True).reshape(shape))})

    plain = estimate_orientation(imu, reference, search_s=1.0)
    other = estimate_orientation(
        turned(imu, "quat", world, mount), turned(reference, "segment_quat", mount, Rotation.identity()), search_s=1.0
    )
    assert other.shift_s == pytest.approx(plain.shift_s, abs=1e-5)
    assert other.r == pytest.approx(plain.r, abs=1e-5)
    assert other.notes["angle_deg"] == pytest.approx(plain.notes["angle_deg"], abs=0.01)
    shuffled = estimate_orientation(imu.isel(sensor=[2, 0, 3, 1]), reference.isel(segment=[3, 1, 0, 2]), search_s=1.0)
    assert shuffled.shift_s == pytest.approx(plain.shift_s, abs=1e-9)


def test_turns_confirm_the_lag_by_the_yaw_of_the_trunk():
    person = person_of(2)
    lag = estimate_orientation(worn(person, noise_deg=0.2), seen(person, late_s=0.3), search_s=1.0)
    turns = lag.notes["turns"]
    assert len(turns) >= 2
    assert all(120 < abs(turn["turned_deg"]) < 200 for turn in turns)
    assert max(abs(apart) for turn in turns for apart in turn["yaw_apart_deg"]) < 2.0
    drifting = estimate_orientation(
        worn(person, noise_deg=0.2, drift_deg_s=0.5), seen(person, late_s=0.3), search_s=1.0
    )
    assert drifting.shift_s == pytest.approx(0.3, abs=0.003)
    assert max(abs(apart) for turn in drifting.notes["turns"] for apart in turn["yaw_apart_deg"]) > 2.0


@pytest.mark.parametrize("drift_ppm", [0.0, 120.0])
def test_drift_shows_from_block_to_block(drift_ppm):
    person = person_of(1, 120.0)
    lag = estimate_orientation(worn(person), seen(person, late_s=0.2, drift_ppm=drift_ppm), search_s=1.0)
    assert lag.drift_ppm == pytest.approx(drift_ppm, abs=25)
    assert lag.shift_s == pytest.approx(0.2, abs=0.003)


@settings(max_examples=15, deadline=None, derandomize=True, phases=PHASES)
@given(seed=st.integers(0, 10_000), n=st.integers(40, 90), m=st.integers(40, 90), reach=st.integers(1, 120))
def test_the_agreement_at_every_lag_is_that_of_brute_force(seed, n, m, reach):
    random = np.random.default_rng(seed)
    p, q = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (random.normal(size=(k, 4)) for k in (n, m)))
    p[random.integers(n, size=4)] = np.nan
    q[random.integers(m, size=4)] = np.nan
    fast = orientation_agreement(p, q, reach)
    for at, lag in enumerate(range(-reach, reach + 1)):
        t = np.arange(max(0, -lag), min(n, m - lag))
        inner = np.sum(p[t] * q[t + lag], axis=1) ** 2 if t.size else np.array([np.nan])
        known = inner[np.isfinite(inner)]
        assert fast[at] == pytest.approx(known.mean(), abs=1e-9) if known.size else np.isnan(fast[at])


def test_another_walk_gives_no_confidence():
    for seed in range(3):
        lag = estimate_orientation(worn(person_of(seed)), seen(person_of(seed + 3)), search_s=2.0)
        assert lag is None or not confident(lag)
    late = estimate_orientation(worn(person_of(0)), seen(person_of(0), late_s=4.0), search_s=2.0)
    assert not confident(late)


def test_orientations_that_are_not_there_or_do_not_move_tell_nothing():
    person = person_of(0)
    imu, reference = worn(person), seen(person)
    assert estimate_orientation(imu.drop_vars("quat"), reference, search_s=1.0) is None
    assert estimate_orientation(imu, seen(person, ("foot_r",)), search_s=1.0) is None
    still = imu.assign(quat=imu["quat"].copy(data=np.tile([1.0, 0, 0, 0], (*imu["quat"].shape[:2], 1))))
    assert estimate_orientation(still, reference, search_s=1.0) is None
    assert estimate_orientation(imu, reference.assign_coords(time=reference["time"].values + 100), search_s=1.0) is None


def test_masked_and_lost_orientations_do_not_speak():
    person = person_of(0)
    imu, reference = worn(person), seen(person, late_s=0.15)
    quat = imu["quat"].values.copy()
    quat[900:1000] = np.nan
    quat[1500:1700] = np.random.default_rng(0).normal(size=quat[1500:1700].shape)
    valid = np.ones(quat.shape[:2], dtype=bool)
    valid[1500:1700] = False
    spoilt = imu.assign(quat=imu["quat"].copy(data=quat), valid=(("time", "sensor"), valid))
    lag = estimate_orientation(spoilt, reference, search_s=1.0)
    assert lag.shift_s == pytest.approx(0.15, abs=0.003)
    assert confident(lag)


# --- aligning ---------------------------------------------------------------------------------------------------------


def test_aligning_by_orientation_moves_the_reference_and_nothing_else():
    person = person_of(1)
    before = recorded(worn(person, start_s=0.0), seen(person, late_s=0.35), method="estimated", by="orientation")
    done = align(before)
    sync = done.attrs["sync"]
    assert sync["by"] == "orientation"
    assert sync["shift_s"] == pytest.approx(0.35, abs=0.003)
    assert {"drift_ppm", "residual_s", "angle_deg", "angle_shift_s", "turns", "r", "margin"} <= set(sync)
    assert np.array_equal(done.reference["segment_quat"].values, before.reference["segment_quat"].values)
    steps = np.diff(done.reference["time"].values) - np.diff(before.reference["time"].values)
    assert np.abs(steps).max() < 1e-12
    assert "valid" not in done.reference
    rate = estimate_lag(done.imu, done.reference, search_s=0.5)
    assert rate.shift_s == pytest.approx(0.0, abs=0.003)


def test_an_unknown_way_is_refused_with_a_suggestion():
    person = person_of(0)
    with pytest.raises(UsageError, match="Did you mean 'orientation'"):
        align(recorded(worn(person), seen(person), method="estimated", by="orientations"))


@pytest.mark.parametrize(("by", "words"), [("hops", "three hops"), ("orientation", "orientations of sensors")])
def test_a_way_that_cannot_be_taken_says_what_it_needs(by, words):
    person = person_of(0)
    imu = worn(person).drop_vars("quat")
    with pytest.raises(DataError, match=f"cannot be estimated by {by}: .*{words}"):
        align(recorded(imu, seen(person, position=True), method="estimated", by=by))


def test_doubtful_hops_are_refused_in_one_sentence():
    many = Hopper(np.arange(1.0, 29.0, 0.9), np.full(32, 0.25))
    with pytest.raises(DataError, match="not clear within 2 s"):
        align(recorded(many.imu(), many.positions(late_s=0.3), method="estimated", by="hops"))
