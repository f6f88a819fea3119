"""Sensors' rotations found without a hint: of made-up and real walkers, remounted, backwards, seated, contradicted."""

import json
from dataclasses import replace
from functools import cache
from itertools import permutations, product

import numpy as np
import pytest
from conftest import ROOT, needs_shared
from hypothesis import given, settings
from hypothesis import strategies as st
from kinbench_adapters.lab import LabAdapter
from raw_folders.bodies import walker
from scipy.ndimage import uniform_filter1d
from scipy.spatial.transform import Rotation

from kinbench import conversion
from kinbench.alignment import CONFIDENT, align, find_rotations
from kinbench.errors import UsageError
from kinbench.kinematics import dofs_from_segments, matrices, quaternions
from kinbench.recording import (
    Calibration,
    Declared,
    Key,
    Placement,
    Recording,
    Sync,
    imu_dataset,
    placements_of,
    segment_dataset,
)
from kinbench.virtual_imu import angular_rate, specific_force

RATE_HZ = 100.0
SITES_M = {
    "trunk": (0.1, 0.25, 0.0), "pelvis": (-0.1, 0.05, 0.0), "thigh": (0.02, -0.2, 0.06), "shank": (0.02, -0.15, 0.05),
    "foot": (0.08, -0.02, 0.0),
}  # fmt: skip
LEG = ("thigh", "shank", "foot")
CUBE = [
    np.eye(3)[list(order)] * signs
    for order in permutations(range(3))
    for signs in product((1.0, -1.0), repeat=3)
    if np.linalg.det(np.eye(3)[list(order)] * signs) > 0
]
"""The 24 ways to put a box into a box."""


# --- walkers ----------------------------------------------------------------------------------------------------------


@cache
def body(seed, stand_s=2.0):
    """Positions (n, 3) and orientations (n, 3, 3) of a walker's segments."""
    person = walker(seed, length_s=16.0, rate_hz=RATE_HZ, stand_s=stand_s)
    return {name: (person.position[name], person.rotation[name]) for name in person.rotation}


def recorded(seed=1, *, backwards=False, stand_s=2.0, segments=None, mounted=None, noise=1.0):
    """The imu stream that sensors mounted at random feel, their rotations, and the reference on the same clock."""
    random = np.random.default_rng(seed)
    placements, acc, gyr, quats, true = [], [], [], [], {}
    found = body(seed, stand_s)
    names = [name for name in found if segments is None or name in segments]
    for name in names:
        position, turn = (values[::-1] if backwards else values for values in found[name])
        part, _, letter = name.partition("_")
        site = np.array(SITES_M[part]) * (1, 1, -1 if letter == "l" else 1)
        quat = quaternions(turn)
        mounting = Rotation.random(rng=random).as_matrix() if mounted is None else mounted
        acc.append(specific_force(position + turn @ site, quat, RATE_HZ) @ mounting)
        gyr.append(angular_rate(quat, RATE_HZ) @ mounting)
        quats.append(quat)
        true[name] = mounting
        side = {"r": "right", "l": "left"}.get(letter, "midline")
        placements.append(Placement(name, name, side))
    acc, gyr = np.stack(acc, 1), np.stack(gyr, 1)
    acc = acc + noise * random.normal(0, 0.05, acc.shape)
    gyr = gyr + noise * random.normal(0, 0.005, gyr.shape) + noise * random.normal(0, 0.005, gyr.shape[1:])
    time = np.arange(len(acc)) / RATE_HZ
    reference = segment_dataset(time, names, np.stack(quats, 1), tier="optical_marker_ik")
    return stream(time, placements, acc, gyr), true, reference


def stream(time, placements, acc, gyr):
    frame = {"frame": "sensor"}
    signals = {
        "acc": (acc, {"units": "m s-2", "kind": "specific_force", **frame}),
        "gyr": (gyr, {"units": "rad s-1", **frame}),
    }
    return imu_dataset(time, placements, signals)


def angles(reference):
    """The reference's joint angles alone."""
    return dofs_from_segments(reference).drop_vars("segment_quat")


def negated(reference):
    return reference.assign(angle=-reference["angle"])


def off_deg(rotation, true):
    """How far the proximal and the flexion axis are off."""
    return np.degrees(np.arccos(np.clip((rotation * true).sum(axis=1)[1:], -1, 1)))


def verdicts(found, true):
    """The names of sensors found right, declined, and found wrong."""
    right = {
        name for name, one in found.items() if one.rotation is not None and max(off_deg(one.rotation, true[name])) < 45
    }
    declined = {name for name, one in found.items() if one.rotation is None}
    return right, declined, set(found) - right - declined


def remounted(imu, turn):
    """The stream as the same sensors, all turned in their cases, would give it."""
    gone = imu.drop_vars([name for name in ("quat", "mag") if name in imu])
    for name in ("acc", "gyr"):
        if name in gone:
            gone = gone.assign({name: gone[name].copy(data=(gone[name].values.astype(float) @ turn.T).astype("f4"))})
    return gone


# --- without a reference ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_walkers_legs_and_pelvis_are_found_by_how_bodies_move(seed):
    imu, true, _ = recorded(seed)
    found = find_rotations(imu)
    right, declined, wrong = verdicts(found, true)
    assert not wrong
    assert declined == {"trunk"}
    for name in right - {"pelvis"}:
        assert max(off_deg(found[name].rotation, true[name])) < 12, name
        assert found[name].confident
    assert max(off_deg(found["pelvis"].rotation, true["pelvis"])) < 20
    assert all(abs(np.linalg.det(found[name].rotation) - 1) < 1e-9 for name in right)
    assert json.loads(json.dumps(found["thigh_r"].evidence)) == found["thigh_r"].evidence


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_turning_the_sensors_turns_the_answer_and_nothing_else(seed):
    imu, _, _ = recorded(2, segments=("thigh_r", "shank_r", "foot_r"), mounted=np.eye(3))
    turn = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    as_it_was, turned = find_rotations(imu), find_rotations(remounted(imu, turn))
    for name, one in as_it_was.items():
        assert np.allclose(turned[name].rotation, one.rotation @ turn.T, atol=2e-3)
        assert turned[name].confidence == pytest.approx(one.confidence, abs=0.01)


def test_who_walks_backwards_is_not_taken_for_one_who_walks_forwards():
    imu, true, reference = recorded(3, backwards=True)
    right, _, wrong = verdicts(find_rotations(imu), true)
    assert not right and not wrong
    right, _, wrong = verdicts(find_rotations(imu, angles(reference)), true)
    assert not wrong
    assert right >= {f"{part}_{leg}" for part in LEG for leg in "rl"}


@pytest.mark.parametrize(
    "segments", [("shank_r",), ("thigh_l",), ("foot_r",), ("pelvis",), ("trunk",), ("pelvis", "thigh_r")]
)
def test_one_sensor_alone_does_not_tell_its_sign(segments):
    imu, _, _ = recorded(1, segments=segments)
    found = find_rotations(imu)
    assert all(one.rotation is None and one.sign == "declined" for one in found.values())
    assert all(one.evidence["declined"] for one in found.values())


def test_a_person_who_sits_most_of_the_time_is_not_taken_for_one_who_stands():
    imu, true, _ = recorded(1, segments=("thigh_r", "shank_r"), mounted=np.eye(3))
    still = {"thigh_r": (9.81, 0.0, 0.0), "shank_r": (0.0, 9.81, 0.0)}
    random = np.random.default_rng(0)
    seated = np.stack([np.tile(still[str(name)], (4000, 1)) for name in imu["segment"].values], 1)
    acc = np.concatenate([seated + random.normal(0, 0.02, seated.shape), imu["acc"].values])
    gyr = np.concatenate([random.normal(0, 0.005, seated.shape), imu["gyr"].values])
    found = find_rotations(stream(np.arange(len(acc)) / RATE_HZ, placements_of(imu), acc, gyr))
    assert all(max(off_deg(found[name].rotation, true[name])) < 12 for name in true)
    assert found["thigh_r"].evidence["proximal_by"] == "rest"


def test_without_gravity_or_motion_nothing_is_found():
    imu, _, _ = recorded(1, segments=("thigh_r", "shank_r"))
    floating = imu.assign(acc=imu["acc"].assign_attrs(kind="gravity_removed"))
    standing = imu.isel(time=slice(0, 150))
    for one in (floating, standing):
        found = find_rotations(one)
        assert all(item.rotation is None and item.confidence == 0 for item in found.values())


def test_orientations_stand_in_for_angular_rates():
    imu, true, reference = recorded(1, segments=("thigh_r", "shank_r"))
    quat = quaternions(matrices(reference["segment_quat"].values.astype(float)) @ np.stack([true[n] for n in true]))
    orientation = (("time", "sensor", "component"), quat.astype("f4"), {"maps": "sensor_to_world"})
    found = find_rotations(imu.drop_vars("gyr").assign(quat=orientation))
    assert all(max(off_deg(found[name].rotation, true[name])) < 12 for name in true)


def test_only_those_asked_for_are_told_and_strangers_refused():
    imu, _, _ = recorded(1, segments=("thigh_r", "shank_r"))
    assert set(find_rotations(imu, sensors=["shank_r"])) == {"shank_r"}
    with pytest.raises(UsageError, match=r"no sensor 'shank'.*shank_r"):
        find_rotations(imu, sensors=["shank"])


# --- with a reference -------------------------------------------------------------------------------------------------


def test_a_reference_that_bends_the_other_way_is_not_believed():
    imu, true, reference = recorded(2)
    found = find_rotations(imu, negated(angles(reference)))
    legs = [one for name, one in found.items() if name.partition("_")[0] in LEG]
    assert all(one.rotation is None and "contradict" in one.evidence["declined"] for one in legs)
    assert not verdicts(found, true)[2]


def test_nor_is_one_that_only_the_bending_of_knees_speaks_against():
    """Backwards, swing and bending disagree, and motion tells no sign; but knees bend as they do, whoever walks."""
    imu, _, reference = recorded(3, backwards=True)
    found = find_rotations(imu, negated(angles(reference)))
    assert all(one.rotation is None for name, one in found.items() if name.partition("_")[0] in LEG)


def test_a_reference_off_the_clock_is_not_used():
    imu, _, reference = recorded(2, backwards=True)
    late = angles(reference)
    late = late.assign_coords(time=("time", late["time"].values + 0.3, late["time"].attrs))
    found = find_rotations(imu, late)
    assert all(one.rotation is None for one in found.values())
    assert found["thigh_r"].evidence["reference"]["used"] is False


def test_orientations_of_segments_give_the_rotations_themselves():
    imu, true, reference = recorded(3)
    found = find_rotations(imu, reference)
    assert not verdicts(found, true)[2]
    assert all(max(off_deg(found[name].rotation, true[name])) < 2 for name in true)


# --- align ------------------------------------------------------------------------------------------------------------


def recording(imu, reference, **declared):
    return Recording(Key("lab", "S1", "1", "walk"), imu, reference, {"quality": []}, Declared(**declared))


def test_align_sets_what_the_sensors_tell_and_never_asks_the_answers():
    """Inputs that were turned to fit the reference would have seen what models are scored on, test spans and all."""
    imu, true, reference = recorded(3, segments=("thigh_r", "shank_r"))
    late = angles(reference)
    late = late.assign_coords(time=("time", late["time"].values + 0.4, late["time"].attrs))
    asked = {"automatic": ("thigh_r", "shank_r")}
    done = align(recording(imu, late, **asked, sync=Sync("estimated")))
    told = done.imu["rotation"].values
    for answers in (None, reference, angles(reference), angles(reference).assign(angle=-angles(reference)["angle"])):
        np.testing.assert_array_equal(align(recording(imu, answers, **asked)).imu["rotation"].values, told)
    for placement in placements_of(done.imu):
        assert placement.rotation_origin == "functional"
        assert max(off_deg(placement.rotation, true[placement.sensor])) < 15
    steps = {step["sensor"]: step for step in done.attrs["history"] if step["step"] == "orient"}
    assert set(steps) == {"thigh_r", "shank_r"}
    assert steps["thigh_r"]["confidence"] >= CONFIDENT
    assert done.attrs["quality"] == []


def test_align_does_not_borrow_a_sign_from_the_reference():
    """Backwards, only the reference could tell the signs."""
    imu, _, reference = recorded(3, backwards=True, segments=("thigh_r", "shank_r"))
    assert all(found.confident for found in find_rotations(imu, angles(reference)).values())
    done = align(recording(imu, angles(reference), automatic=("thigh_r", "shank_r"), sync=Sync("same_clock")))
    assert all(placement.rotation is None for placement in placements_of(done.imu))


def test_align_leaves_unknown_what_it_cannot_tell_and_what_nobody_asked_for():
    imu, _, _ = recorded(3, backwards=True, segments=("thigh_r", "shank_r"))
    done = align(recording(imu, None, automatic=("shank_r",)))
    assert all(placement.rotation is None for placement in placements_of(done.imu))
    assert done.attrs["quality"] == ["rotation_unknown:shank_r"]
    (step,) = [step for step in done.attrs["history"] if step["step"] == "orient"]
    assert "which end" in step["failed"] and step["proximal_by"]
    forwards, _, _ = recorded(3, segments=("thigh_r", "shank_r"))
    untouched = align(recording(forwards, None))
    assert all(placement.rotation is None for placement in placements_of(untouched.imu))


HINTED = Calibration((0, 1), None, "x", "right", required=False)


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ({"automatic": ("toe",)}, "no sensor 'toe'"),
        ({"automatic": ("thigh_r",), "calibrations": {"thigh_r": HINTED}}, "both auto and a request for thigh_r"),
    ],
)
def test_requests_that_make_no_sense_are_refused(declared, says):
    imu, _, reference = recorded(1, segments=("thigh_r", "shank_r"))
    with pytest.raises(UsageError, match=says):
        align(recording(imu, None, **declared))
    with pytest.raises(UsageError, match="the recording has none"):
        align(recording(None, angles(reference), automatic=("thigh_r",)))


# --- real recordings --------------------------------------------------------------------------------------------------


def flat_foot(imu, sensor):
    """Where specific force points in a foot's sensor while it lies flat in gait: of lively seconds, the still ones."""
    one = imu.sel(sensor=sensor)
    rate_hz = 1 / np.median(np.diff(imu["time"].values))
    known = np.isfinite(one["acc"].values).all(axis=1) & np.isfinite(one["gyr"].values).all(axis=1)
    acc, turning = one["acc"].values[known].astype(float), np.linalg.norm(one["gyr"].values[known], axis=1)
    now, about = (uniform_filter1d(turning, round(seconds * rate_hz)) for seconds in (0.1, 2.0))
    force = np.median(acc[(about > 1.0) & (now < 0.35)], axis=0)
    return force / np.linalg.norm(force)


def _upright(up, right):
    across = right - (right @ up) * up
    across /= np.linalg.norm(across)
    return np.stack([np.cross(up, across), up, across])


def _strapped(segment):
    """Where a strapped sensor's axes point by and large (proximal, right): x up a leg's outside, y along an instep."""
    if segment.startswith("foot"):
        return np.eye(3)[2], np.eye(3)[1]
    return np.eye(3)[0], np.eye(3)[2] * (-1 if segment.endswith("_l") else 1)


@cache
def laboratory(name, subject):
    """A real recording, and where its sensors truly point, by what finding them does not use.

    What a manifest declares was found by regression on the reference. Where it has the rotation found, as on capsense's
    straps on slanted surfaces, it is known where the sensors point by and large. A foot's proximal axis is gravity's
    while it lies flat on the ground in mid-stance: the instep, which manifests speak of, slopes by 20 to 40 degrees.
    """
    sources = LabAdapter().find(ROOT / "tests" / "manifests" / name).sources
    found = conversion.prepare(next(source for source in sources if source.key.subject == subject))
    true = {}
    for placement in placements_of(found.imu):
        rotation = placement.rotation
        if placement.rotation_origin in ("functional", "unknown"):
            proximal, right = _strapped(placement.segment)
            rotation = np.stack([np.cross(proximal, right), proximal, right])
        if placement.segment.startswith("foot"):
            rotation = _upright(flat_foot(found.imu, placement.sensor), rotation[2])
        true[placement.sensor] = rotation
    return found, true


REAL = {
    # How far the two axes may be off (proximal, flexion), degrees, on the foot and above; how many sensors are found at
    # least. Sub04 never rests, so its proximal axes are those of gait.
    ("neura_sparse", "S02"): ((4, 27), (30, 23), 9),
    ("fan_knee", "P1"): (None, (13, 36), 2),
    ("halilaj_lab", "P1"): (None, (9, 14), 2),
    ("capsense_treadmill", "Sub02"): ((6, 19), (23, 34), 7),
    ("capsense_treadmill", "Sub04"): ((13, 18), (24, 45), 7),
    ("capsense_treadmill", "Sub07"): ((3, 9), (18, 42), 7),
}


@needs_shared
@pytest.mark.parametrize(("name", "subject"), REAL)
def test_no_sign_is_wrong_on_real_recordings_however_the_sensors_are_mounted(shared, name, subject):
    found, true = laboratory(name, subject)
    feet_deg, above_deg, least = REAL[name, subject]
    feet = {placement.sensor for placement in placements_of(found.imu) if placement.segment.startswith("foot")}
    turns = CUBE[:: 12 if found.imu.sizes["time"] > 5000 else 6]
    for turn in turns:
        worn = remounted(found.imu, turn)
        there = {sensor: rotation @ turn.T for sensor, rotation in true.items()}
        for reference in [None] if found.reference is None else [None, found.reference]:
            told = find_rotations(worn, reference)
            right, _, wrong = verdicts(told, there)
            assert not wrong
            assert len(right) >= least
            for sensor in right:
                off = off_deg(told[sensor].rotation, there[sensor])
                assert (off <= (feet_deg if sensor in feet else above_deg)).all(), (sensor, off)


@needs_shared
def test_real_seconds_of_squats_and_jumps_are_not_taken_for_walking(shared):
    """Slices of eleven minutes of mixed tasks: whatever is found in one of them is right."""
    found, true = laboratory("halilaj_lab", "P1")
    time_s = found.imu["time"].values
    count = 0
    for start_s in range(0, 660, 20):
        piece = found.imu.isel(time=(time_s >= start_s) & (time_s < start_s + 20))
        right, _, wrong = verdicts(find_rotations(piece), true)
        assert not wrong, start_s
        count += len(right)
    assert count >= 4


@needs_shared
def test_a_real_reference_that_bends_the_other_way_is_not_believed(shared):
    for name, subject in (("neura_sparse", "S02"), ("halilaj_lab", "P1")):
        found, _ = laboratory(name, subject)
        told = find_rotations(found.imu, negated(found.reference))
        legs = [p.sensor for p in placements_of(found.imu) if p.segment != "pelvis"]
        assert all(told[sensor].rotation is None for sensor in legs)


@needs_shared
def test_a_real_manifest_that_asks_for_it_gets_its_rotations(shared):
    found, true = laboratory("fan_knee", "P1")
    asking = replace(found, declared=Declared(automatic=tuple(true), sync=Sync("same_clock")))
    done = align(asking)
    assert [p.rotation_origin for p in placements_of(done.imu)] == ["functional"] * 2
    assert all(max(off_deg(p.rotation, true[p.sensor])) < 36 for p in placements_of(done.imu))
