from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinbench_adapters.lab import LabAdapter
from kinbench_adapters.opensense import OpenSenseAdapter
from scipy.spatial.transform import Rotation

from kinbench import inspection, virtual_imu
from kinbench.alignment import align
from kinbench.harmonisation import harmonise
from kinbench.inspection.saturation import clipped
from kinbench.inspection.values import spikes
from kinbench.recording import Key, Placement, Recording, angle_dataset, imu_dataset, segment_dataset, with_rotations

RATE_HZ = 100.0
MOUNT = {
    "thigh": Rotation.from_euler("ZXY", [20, -35, 50], degrees=True).as_matrix(),
    "shank": Rotation.from_euler("ZXY", [-80, 10, 130], degrees=True).as_matrix(),
}
BOTH = tuple(MOUNT)


def leg(seed=0, *, seconds=40, still=False):
    """A thigh and a shank that rest for 6 s, then swing in all three directions: {segment: (position, quat)}."""
    n = int(seconds * RATE_HZ)
    t = np.arange(n) / RATE_HZ
    rise = np.clip((t - 6) / 2.0, 0, 1)
    grow = np.zeros(n) if still else rise**3 * (10 - 15 * rise + 6 * rise**2)  # smooth, or its kinks would be spikes
    found = {}
    for lag, name in ((0.0, "thigh"), (0.7, "shank")):
        flex = grow * (25 * np.sin(2 * np.pi * 0.9 * t - lag) + 8 * np.sin(4 * np.pi * 0.9 * t))
        tilt = grow * 9 * np.sin(2 * np.pi * 0.9 * t + 1 + lag)
        turn = grow * (20 * np.sin(2 * np.pi * 0.13 * t) + 8 * np.cos(2 * np.pi * 0.9 * t + lag))
        quat = Rotation.from_euler("ZXY", np.stack([flex, tilt, turn], 1), degrees=True).as_quat(scalar_first=True)
        position = np.stack([0.2 * np.sin(2 * np.pi * 0.45 * t), 0.9 + 0.03 * np.cos(2 * np.pi * 1.8 * t), 0 * t], 1)
        found[name] = (position * grow[:, None], quat, flex)
    return t, found


def recording(seed=0, *, quat=True, segments=False, **options):
    """A consistent recording in schema form; each test spoils one thing."""
    rng = np.random.default_rng(seed)
    t, motion = leg(seed, **options)
    acc, gyr, orientation = [], [], []
    for name, (position, segment, _) in motion.items():
        sensor = (Rotation.from_quat(segment, scalar_first=True) * Rotation.from_matrix(MOUNT[name])).as_quat(
            scalar_first=True
        )
        acc.append(virtual_imu.specific_force(position, sensor, RATE_HZ) + rng.normal(0, 0.03, (t.size, 3)))
        gyr.append(virtual_imu.angular_rate(sensor, RATE_HZ) + rng.normal(0, 0.01, (t.size, 3)))
        orientation.append(sensor)
    signals = {
        "acc": (np.stack(acc, 1), {"units": "m s-2", "kind": "specific_force", "frame": "sensor"}),
        "gyr": (np.stack(gyr, 1), {"units": "rad s-1", "frame": "sensor"}),
    }
    if quat:
        signals["quat"] = (np.stack(orientation, 1), {"units": "1", "maps": "sensor_to_world", "origin": "test"})
    imu = imu_dataset(
        t, [Placement(n, f"{n}_r", "right", rotation=MOUNT[n], rotation_origin="optical") for n in BOTH], signals
    )
    knee = motion["thigh"][2] - motion["shank"][2] + 20
    reference = (
        segment_dataset(t, ["thigh_r", "shank_r"], np.stack([motion[n][1] for n in BOTH], 1), tier="optical_6dof")
        if segments
        else angle_dataset(
            t, ["knee_flexion_r"], knee[:, None], units="deg", convention="isb_zxy", tier="optical_marker_ik"
        )
    )
    rate = {"nominal_hz": RATE_HZ, "measured_hz": RATE_HZ, "regular": True}
    attrs = {"rates": {"imu": rate, "reference": rate}, "sync": {"method": "none", "measured_shift_s": None}}
    return Recording(Key("lab", "S1", "1", "walk"), imu, reference, attrs)


def findings(found, check, where=""):
    return [finding for finding in found if finding.check == check and where in finding.where]


def verdicts(found):
    return {finding.verdict for finding in found}


def failures(recording):
    return [finding for finding in inspection.check(recording) if finding.verdict == "FAIL"]


def spoil(original, name, change):
    """Return the recording with imu variable ``name`` changed by ``change(values) -> values``."""
    imu = original.imu.copy(deep=True)
    imu[name].values = np.asarray(change(imu[name].values.astype(np.float64)), dtype=np.float32)
    return replace(original, imu=imu)


@pytest.mark.parametrize("options", [{}, {"quat": False}, {"segments": True}, {"quat": False, "segments": True}])
def test_a_sound_recording_has_no_failure_and_is_assessed(options):
    found = inspection.check(recording(**options))
    assert not [str(f) for f in found if f.verdict == "FAIL"]
    passed = {f.check for f in found if f.verdict == "PASS"}
    assert {"gravity", "gyro unit", "handedness", "gaps", "rate", "spikes", "clipping", "stuck"} <= passed
    if options.get("quat", True):
        assert {"quaternion norm", "quaternion up", "gyro axes"} <= passed
    if options.get("segments"):
        assert "segment axes" in passed
    else:
        assert {"angle range", "angle unit", "axes against the reference"} <= passed
    assert "gravity against the axes" in passed


def test_the_same_recording_gives_the_same_findings():
    assert inspection.check(recording()) == inspection.check(recording())


def test_nothing_passes_by_default():
    short = recording()
    cut = replace(short, imu=short.imu.isel(time=slice(0, 20)), reference=short.reference.isel(time=slice(0, 20)))
    assert "FAIL" not in verdicts(inspection.check(cut))
    assert {f.check for f in inspection.check(cut) if f.verdict == "PASS"} == {"handedness", "quaternion norm"}


def test_stillness_leaves_motion_unassessed():
    found = inspection.check(recording(still=True))
    assert verdicts(findings(found, "gyro unit")) == verdicts(findings(found, "gyro axes")) == {"NOT ASSESSED"}
    assert verdicts(findings(found, "gravity")) == {"PASS"}


def test_motion_without_rest_shows_gravity_in_a_frame_that_stands_still():
    walking = recording()
    moving = replace(walking, imu=walking.imu.isel(time=slice(800, None)))
    found = findings(inspection.check(moving), "gravity")
    assert verdicts(found) == {"PASS"}
    assert all("over strides" in f.message for f in found)


def test_too_little_motion_without_rest_leaves_gravity_unassessed():
    walking = recording(quat=False)
    moving = replace(walking, imu=walking.imu.isel(time=slice(900, 1200)))
    assert verdicts(findings(inspection.check(moving), "gravity")) == {"NOT ASSESSED"}


def test_an_empty_sensor_is_not_a_fault():
    lost = spoil(recording(), "acc", lambda v: np.full_like(v, np.nan))
    assert not failures(lost)


# --- gravity ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factor", "told"),
    [(1 / 9.80665, "in g"), (1000 / 9.80665, "in mg"), (9.80665, "9.81 twice"), (1.15, "factor 1.1")],
)
def test_wrong_units_of_acceleration_are_named(factor, told):
    found = findings(inspection.check(spoil(recording(), "acc", lambda v: v * factor)), "gravity")
    assert verdicts(found) == {"FAIL"}
    assert all(told in f.message for f in found)


def without_rest(factor, kind="specific_force"):
    original = spoil(recording(), "acc", lambda v: v * factor)
    original.imu["acc"].attrs["kind"] = kind
    return replace(original, imu=original.imu.isel(time=slice(800, None)))


@pytest.mark.parametrize(
    ("factor", "told"),
    [(1 / 9.80665, "looks in g"), (9.80665, "9.81 twice"), (1000 / 9.80665, "looks in mg")],
)
def test_gross_units_of_acceleration_are_found_without_rest(factor, told):
    found = findings(inspection.check(without_rest(factor)), "gravity")
    assert verdicts(found) == {"FAIL"}
    assert all(told in f.message and "0 s at rest" in f.message for f in found)


@pytest.mark.parametrize(("factor", "kind"), [(1.5, "specific_force"), (0.01, "gravity_removed")])
def test_without_rest_only_gross_mistakes_of_specific_force_are_judged(factor, kind):
    assert verdicts(findings(inspection.check(without_rest(factor, kind)), "gravity")) == {"NOT ASSESSED"}


def free_acc(seed=0):
    original = recording(seed)
    turned = Rotation.from_quat(original.imu["quat"].values.reshape(-1, 4), scalar_first=True)
    gravity = turned.inv().apply([0, 9.80665, 0]).reshape(original.imu["acc"].shape)
    return spoil(original, "acc", lambda v: v - gravity)


def test_removed_gravity_under_the_wrong_name_is_found_both_ways():
    found = failures(free_acc())
    assert any("gravity looks removed" in f.message for f in findings(found, "gravity"))
    kept = recording()
    kept.imu["acc"].attrs["kind"] = "gravity_removed"
    assert all("gravity is still there" in f.message for f in findings(inspection.check(kept), "gravity"))


def test_removed_gravity_passes_when_it_is_declared():
    free = free_acc()
    free.imu["acc"].attrs["kind"] = "gravity_removed"
    assert verdicts(findings(inspection.check(free), "gravity")) == {"PASS"}


# --- gyro ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"quat": False}, {"quat": False, "segments": True}])
@pytest.mark.parametrize(("factor", "told"), [(180 / np.pi, "deg/s"), (np.pi / 180, "converted from deg/s twice")])
def test_wrong_units_of_angular_rate_are_named(options, factor, told):
    found = findings(inspection.check(spoil(recording(**options), "gyr", lambda v: v * factor)), "gyro unit")
    assert verdicts(found) == {"FAIL"}
    assert all(told in f.message for f in found)


def test_a_wrong_scale_of_angular_rate_is_found():
    found = findings(inspection.check(spoil(recording(), "gyr", lambda v: v * 1.6)), "gyro unit")
    assert all("expected 1" in f.message for f in found)
    assert verdicts(found) == {"FAIL"}


# --- axes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("matrix", "told"),
    [
        ([[0, 1, 0], [-1, 0, 0], [0, 0, 1]], "(-y, x, z)"),
        ([[0, 1, 0], [0, 0, 1], [1, 0, 0]], "(z, x, y)"),
        ([[1, 0, 0], [0, -1, 0], [0, 0, 1]], "(x, -y, z) (mirrored)"),
        ([[-1, 0, 0], [0, -1, 0], [0, 0, 1]], "(-x, -y, z)"),
    ],
)
def test_turned_gyro_axes_are_named_with_their_remedy(matrix, told):
    found = findings(inspection.check(spoil(recording(), "gyr", lambda v: v @ np.array(matrix).T)), "gyro axes")
    assert verdicts(found) == {"FAIL"}
    assert all(told in f.message for f in found)


def test_a_wrong_rotation_to_the_segment_is_found_by_the_reference():
    right = recording(segments=True)
    flip = np.diag([-1.0, -1.0, 1.0])
    wrong = replace(right, imu=with_rotations(right.imu, {"shank": (flip @ MOUNT["shank"], "declared")}))
    found = findings(inspection.check(wrong), "segment axes")
    assert [f.verdict for f in found] == ["PASS", "FAIL"]
    assert "(-x, -y, z)" in found[1].message


@pytest.mark.parametrize(
    ("matrix", "told"), [(np.diag([1.0, 1.0, -1.0]), "mirrored"), (1.2 * np.eye(3), "not orthonormal")]
)
def test_a_rotation_that_is_none_is_found(matrix, told):
    right = recording()
    found = failures(replace(right, imu=with_rotations(right.imu, {"thigh": (matrix, "declared")})))
    assert [told in f.message for f in findings(found, "handedness")] == [True]


# --- mounting --------------------------------------------------------------------------------------------------------

HALF_ABOUT_Y = np.diag([-1.0, 1.0, -1.0])
HALF_ABOUT_Z = np.diag([-1.0, -1.0, 1.0])
QUARTER_ABOUT_Y = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
QUARTER_ABOUT_Z = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
JOINT, UP = "axes against the reference", "gravity against the axes"


def mounted(original, turn, sensors=None):
    """Return the recording with the declared rotations of some sensors (all) turned in segment axes."""
    names = [str(name) for name in original.imu["sensor"].values]
    wrong = {
        name: (turn @ original.imu["rotation"].values[index], "declared")
        for index, name in enumerate(names)
        if sensors is None or name in sensors
    }
    return replace(original, imu=with_rotations(original.imu, wrong))


def exchanged(original, order=(1, 0)):
    """Return the recording with the segments of its sensors exchanged."""
    swapped = original.imu["segment"].values[list(order)]
    return replace(original, imu=original.imu.assign_coords(segment=("sensor", swapped)))


def test_axes_turned_half_round_are_found_by_the_joints_rate():
    found = inspection.check(mounted(recording(), HALF_ABOUT_Y))
    assert [(f.check, f.value < -0.9) for f in found if f.verdict == "FAIL"] == [(JOINT, True)]
    assert "turned half round" in findings(found, JOINT)[0].message
    assert verdicts(findings(found, UP)) == {"PASS"}


def test_exchanged_sensors_are_found_by_the_joints_rate():
    (found,) = failures(exchanged(recording()))
    assert (found.check, found.where) == (JOINT, "imu.rotation[shank, thigh]")
    assert "proximal and distal sensors are exchanged" in found.message


def test_one_sensor_a_quarter_turn_off_is_found_and_not_called_half_a_turn():
    (found,) = failures(mounted(recording(), QUARTER_ABOUT_Y, {"thigh"}))
    assert found.check == JOINT
    assert "knee_flexion_r" in found.message
    assert "the declared axes of thigh or shank are off" in found.message


def test_axes_that_follow_only_loosely_do_not_pass():
    forty = Rotation.from_euler("y", 40, degrees=True).as_matrix()
    (found,) = findings(inspection.check(mounted(recording(), forty, {"thigh"})), JOINT)
    assert (found.verdict, found.value) == ("NOT ASSESSED", pytest.approx(0.75, abs=0.03))
    assert "only loosely" in found.message


def test_a_strap_thirty_degrees_off_is_no_fault():
    thirty = Rotation.from_euler("y", 30, degrees=True).as_matrix()
    found = inspection.check(mounted(recording(), thirty))
    assert verdicts(findings(found, JOINT)) == verdicts(findings(found, UP)) == {"PASS"}


def test_sensors_upside_down_are_found_by_gravity_alone():
    found = inspection.check(mounted(recording(), HALF_ABOUT_Z))
    assert {f.check for f in found if f.verdict == "FAIL"} == {UP}
    assert all("upside down" in f.message for f in findings(found, UP))
    assert verdicts(findings(found, JOINT)) == {"PASS"}


def test_gravity_across_a_segment_is_not_judged():
    found = findings(inspection.check(mounted(recording(), QUARTER_ABOUT_Z, {"thigh"})), UP)
    assert [f.verdict for f in found] == ["NOT ASSESSED", "PASS"]


def test_gravity_is_not_looked_for_where_it_was_removed():
    free = mounted(free_acc(), HALF_ABOUT_Z)
    assert verdicts(findings(inspection.check(free), UP)) == {"NOT ASSESSED"}  # no steady direction is left
    free.imu["acc"].attrs["kind"] = "gravity_removed"
    assert not findings(inspection.check(free), UP)


def test_rest_upside_down_alone_is_no_fault_for_a_sensor_may_lie_on_a_table():
    def lie(values):
        values[:550] = -values[:550]
        return values

    found = findings(inspection.check(spoil(recording(), "acc", lie)), UP)
    assert verdicts(found) == {"NOT ASSESSED"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda r: recording(still=True), "too little motion"),
        (lambda r: mounted(r, np.full((3, 3), np.nan), {"shank"}), "rotation of shank to its segment is unknown"),
        (lambda r: retimed(r, lambda t: np.where(np.arange(t.size) == 99, t - 0.02, t)), "does not go forward"),
        (
            lambda r: r.with_attrs(sync={"method": "hardware", "measured_shift_s": 0.4, "r": 0.97, "confident": True}),
            "clocks are +0.40 s apart",
        ),
        (lambda r: bent(lambda a: np.random.default_rng(0).normal(0, 20, a.shape)), "on no axes"),
    ],
)
def test_wrong_axes_are_not_blamed_for_what_else_is_wrong(change, told):
    (found,) = findings(inspection.check(change(mounted(recording(), HALF_ABOUT_Y))), JOINT)
    assert found.verdict == "NOT ASSESSED"
    assert told in found.message


def test_masked_spans_say_nothing_about_the_axes():
    wild = np.random.default_rng(0).normal(0, 60, (1500, 1))
    spoilt = bent(lambda a: np.concatenate([a[:1000], wild, a[2500:]]))
    assert verdicts(findings(inspection.check(spoilt), JOINT)) == {"NOT ASSESSED"}
    numbers = np.arange(spoilt.reference.sizes["time"])
    spoilt.reference["valid"] = (("time", "dof"), ((numbers < 1000) | (numbers >= 2500))[:, None])
    (found,) = findings(inspection.check(spoilt), JOINT)
    assert (found.verdict, found.value > 0.95) == ("PASS", True)


def test_a_sensors_own_clock_is_heeded():
    late = recording()
    late.imu["clock_offset_s"].values[:] = 0.3
    moved = replace(late, imu=late.imu.assign_coords(time=("time", late.imu["time"].values - 0.3, {"units": "s"})))
    (found,) = findings(inspection.check(moved), JOINT)
    assert (found.verdict, found.value > 0.95) == ("PASS", True)


# --- orientation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda q: q * (1, -1, -1, -1), "w, x, y, z world_to_sensor with y up"),
        (lambda q: q[..., [1, 2, 3, 0]], "x, y, z, w sensor_to_world with y up"),
    ],
)
def test_quaternions_read_the_wrong_way_are_named(change, told):
    found = findings(inspection.check(spoil(recording(), "quat", change)), "quaternion up")
    assert verdicts(found) == {"FAIL"}
    assert all(told in f.message for f in found)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda q: q * (1, -1, -1, -1), "quaternion:direction"),
        (lambda q: q[..., [1, 2, 3, 0]], "quaternion:order"),
    ],
)
def test_the_references_orientations_read_the_wrong_way_are_blamed_and_not_the_sensors(change, cause):
    original = recording(segments=True, quat=False)
    reference = original.reference.copy(deep=True)
    reference["segment_quat"].values = change(reference["segment_quat"].values).astype(np.float32)
    found = findings(inspection.check(replace(original, reference=reference)), "segment axes")
    assert {f.cause for f in found} == {cause}


def test_another_world_axis_up_is_named():
    to_z_up = Rotation.from_euler("x", 90, degrees=True)

    def turn(quat):
        turned = to_z_up * Rotation.from_quat(quat.reshape(-1, 4), scalar_first=True)
        return turned.as_quat(scalar_first=True).reshape(quat.shape)

    found = findings(inspection.check(spoil(recording(), "quat", turn)), "quaternion up")
    assert all("w, x, y, z sensor_to_world with z up" in f.message for f in found)
    assert verdicts(found) == {"FAIL"}


def test_missing_orientations_coded_as_zeros_are_found():
    def lose(quat):
        quat[1000:1200] = 0
        return quat

    found = findings(inspection.check(spoil(recording(), "quat", lose)), "quaternion norm")
    assert verdicts(found) == {"FAIL"}
    assert all("5.0% near 0" in f.message for f in found)


# --- clock -----------------------------------------------------------------------------------------------------------


def retimed(original, change):
    time = change(original.imu["time"].values.copy())
    return replace(original, imu=original.imu.assign_coords(time=("time", time, {"units": "s"})))


def test_doubled_and_backward_steps_are_found():
    def double(time):
        time[100] = time[99]
        time[200:] -= 0.05
        return time

    found = findings(inspection.check(retimed(recording(), double)), "clock", "imu")
    assert [f.verdict for f in found] == ["FAIL"]
    assert "2 steps not forward, 1 of them repeated" in found[0].message


def test_a_wrong_rate_is_found_and_lost_packets_do_not_disturb_it():
    off = findings(inspection.check(retimed(recording(), lambda t: t * 1.006)), "rate", "imu")
    assert [f.verdict for f in off] == ["FAIL"]
    whole = recording()
    gapped = replace(whole, imu=whole.imu.isel(time=np.r_[0:500, 530:1700, 1790:4000]))
    found = inspection.check(gapped)
    assert [f.verdict for f in findings(found, "rate", "imu")] == ["PASS"]
    assert "2 gaps" in findings(found, "gaps", "imu")[0].message


def test_too_much_lost_time_is_a_fault():
    whole = recording()
    found = inspection.check(replace(whole, imu=whole.imu.isel(time=np.r_[0:500, 900:4000])))
    assert [f.verdict for f in findings(found, "gaps", "imu")] == ["FAIL"]


def test_an_irregular_clock_is_not_held_to_its_nominal_rate():
    rates = {"imu": {"nominal_hz": 100.0, "regular": False}}
    found = inspection.check(retimed(recording(), lambda t: t * 1.03).with_attrs(rates=rates))
    assert [f.verdict for f in findings(found, "rate", "imu")] == ["NOT ASSESSED"]


# --- values ----------------------------------------------------------------------------------------------------------


def test_isolated_spikes_are_counted_and_placed():
    def strike(values):
        values[[700, 1500, 2400], 0, 1] += 60
        return values

    found = failures(spoil(recording(), "gyr", strike))
    assert [(f.check, f.where, f.value) for f in found] == [("spikes", "imu.gyr[thigh]", 3.0)]
    assert "first at 7.00 s" in found[0].message


@settings(max_examples=25, deadline=None)
@given(at=st.integers(20, 1979), height=st.floats(30, 300), sign=st.sampled_from((-1, 1)), seed=st.integers(0, 1000))
def test_a_lone_spike_is_found_wherever_it_stands_and_a_heel_strike_is_not_one(at, height, sign, seed):
    rng = np.random.default_rng(seed)
    t = np.arange(2000) / 100
    strike = 40 * np.exp(-((t % 1.1) / 0.02)) * np.cos(2 * np.pi * 18 * (t % 1.1))
    signal = 5 * np.sin(2 * np.pi * 0.9 * t) + strike + rng.normal(0, 0.05, t.size)
    assert not spikes(signal).any()
    quiet = 5 * np.sin(2 * np.pi * 0.9 * t) + rng.normal(0, 0.05, t.size)
    quiet[at] += sign * height
    assert np.flatnonzero(spikes(quiet)).tolist() == [at]


def test_a_saturated_gyroscope_is_found_and_a_smooth_peak_is_not():
    clean = recording()
    limit = 0.7 * float(np.nanmax(np.abs(clean.imu["gyr"].values)))
    found = failures(spoil(clean, "gyr", lambda v: np.clip(v, -limit, limit)))
    assert {f.check for f in found} == {"clipping"}
    slow = 3 * np.sin(2 * np.pi * 0.05 * np.arange(4000) / 100)
    assert clipped(slow)[0] == 0


def test_stuck_values_are_found():
    def stick(values):
        values[900:1000, 1] = values[900, 1]
        return values

    found = failures(spoil(recording(), "acc", stick))
    assert [(f.check, f.where) for f in found] == [("stuck", "imu.acc[shank]")]
    assert found[0].value == pytest.approx(1.0, abs=0.02)


# --- reference -------------------------------------------------------------------------------------------------------


def bent(change):
    original = recording()
    reference = original.reference.copy(deep=True)
    reference["angle"].values = change(reference["angle"].values.astype(np.float64)).astype(np.float32)
    return replace(original, reference=reference)


@pytest.mark.parametrize(
    ("change", "check", "told"),
    [
        (lambda a: 25 - a, "axes against the reference", "the angle's sign is turned"),
        (lambda a: np.where(np.arange(len(a))[:, None] % 50 < 5, a + 300, a), "angle range", "jumps of over 180"),
        (lambda a: a + 200, "angle range", "no matter of spans"),
        (lambda a: np.where(np.arange(len(a))[:, None] % 50 < 5, a + 150, a), "angle range", "mask those spans"),
        (np.deg2rad, "angle unit", "looks like radians"),
    ],
)
def test_impossible_angles_are_found(change, check, told):
    found = failures(bent(change))
    assert [f.check for f in found] == [check]
    assert told in found[0].message


def test_a_turned_sign_of_flexion_is_found_by_its_range_and_by_the_gyros():
    found = failures(bent(lambda a: -a - 25))
    assert [f.check for f in found] == ["axes against the reference", "angle range"]
    assert "sign looks turned" in found[1].message


def test_degrees_taken_for_radians_are_told_as_a_unit_and_not_to_be_masked():
    found = failures(bent(np.rad2deg))
    assert [f.check for f in found] == ["angle unit", "angle range"]
    assert "deg declared as rad?" in found[0].message
    assert "see the angle unit" in found[1].message
    assert "mask" not in found[1].message


def test_a_few_wild_angles_are_no_wrong_unit():
    found = failures(bent(lambda a: np.where(np.arange(len(a))[:, None] % 200 == 7, 2000.0, a)))
    assert [f.check for f in found] == ["angle range"]
    assert "mask that span" in found[0].message


def test_masked_angles_are_not_judged():
    wrong = bent(lambda a: np.where(np.arange(len(a))[:, None] < 300, 500.0, a))
    mask = np.arange(wrong.reference.sizes["time"])[:, None] >= 300
    wrong.reference["valid"] = (("time", "dof"), mask)
    assert not failures(wrong)


@pytest.mark.parametrize("segments", [False, True])
@pytest.mark.parametrize("method", ["hardware", "declared", "estimated", "same_clock"])
@pytest.mark.parametrize(("late_s", "verdict"), [(0.0, "PASS"), (0.02, "FAIL"), (-0.4, "FAIL")])
def test_the_lag_that_is_left_is_measured_whatever_was_declared(segments, method, late_s, verdict):
    found = findings(inspection.check(late(recording(segments=segments), late_s, method)), "sync")
    assert [f.verdict for f in found] == [verdict]
    assert found[0].value == pytest.approx(-late_s, abs=0.001 if segments else 0.007)  # a joint's rate is no one angle


def late(original, late_s, method="declared"):
    time = ("time", original.reference["time"].values + late_s, {"units": "s"})
    moved = replace(original, reference=original.reference.assign_coords(time=time))
    return moved.with_attrs(sync={"method": method, "measured_shift_s": -late_s, "r": 0.97, "confident": True})


def test_a_quarter_of_a_sample_is_found_by_segments_and_not_by_one_joint():
    quarter = 0.25 / RATE_HZ
    assert [f.cause for f in findings(inspection.check(late(recording(segments=True), quarter)), "sync")] == ["sync"]
    assert verdicts(findings(inspection.check(late(recording(), quarter)), "sync")) == {"PASS"}


def test_without_motion_no_lag_is_judged():
    assert verdicts(findings(inspection.check(recording(still=True)), "sync")) == {"NOT ASSESSED"}


# --- real recordings -------------------------------------------------------------------------------------------------

MANIFESTS = Path(__file__).parent / "manifests"


def loaded(adapter, raw):
    for source in adapter.find(raw).sources:
        yield str(source.key), align(harmonise(source.load()))


@pytest.mark.parametrize("lab", ["neura_sparse", "fan_knee", "halilaj_lab"])
def test_real_laboratories_raise_no_false_alarm(shared, lab):
    for key, real in loaded(LabAdapter(), MANIFESTS / lab):
        found = inspection.check(real)
        assert not [f"{key}: {f}" for f in found if f.verdict == "FAIL"]
        for check in ("gravity", "gyro unit", "quaternion up", "gyro axes", "rate"):
            assert verdicts(findings(found, check)) == {"PASS"}, check


@pytest.mark.parametrize(
    ("spoilt", "check"),
    [
        (lambda real: mounted(real, HALF_ABOUT_Y), JOINT),
        (lambda real: mounted(real, HALF_ABOUT_Y, {"00B44910"}), JOINT),  # the thigh's
        (lambda real: mounted(real, HALF_ABOUT_Y, {"00B4490A"}), JOINT),
        (lambda real: mounted(real, QUARTER_ABOUT_Y, {"00B4490A"}), JOINT),
        (exchanged, JOINT),
        (lambda real: mounted(real, HALF_ABOUT_Z), UP),
    ],
)
def test_a_wrong_mounting_of_a_real_laboratory_is_found(shared, spoilt, check):
    for _, real in loaded(LabAdapter(), MANIFESTS / "fan_knee"):
        assert not failures(real)
        assert check in {f.check for f in failures(spoilt(real))}


def test_the_real_opensense_example_raises_no_false_alarm(shared):
    for _, real in loaded(OpenSenseAdapter(), shared / "opensense" / "example"):
        found = inspection.check(real)
        assert not [str(f) for f in found if f.verdict == "FAIL"]
        assert verdicts(findings(found, "quaternion up")) == {"PASS"}


def test_the_known_bad_accelerometers_and_saturated_sensors_are_found(shared):
    capsense = {f.where for _, real in loaded(LabAdapter(), MANIFESTS / "capsense_treadmill") for f in failures(real)}
    assert capsense == {"imu.acc[torso]", "imu.acc[toes_l]"}
    zare = {f.check for _, real in loaded(LabAdapter(), MANIFESTS / "zare_ankle") for f in failures(real)}
    assert zare == {"clipping"}  # the foot's gyro stops at 500 deg/s
