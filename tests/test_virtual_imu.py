"""The virtual sensor against the laws of motion."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from kinbench.errors import DataError
from kinbench.schema import GRAVITY
from kinbench.virtual_imu import angular_acceleration, angular_rate, on_segment, smooth, specific_force, transfer

RATE_HZ = 200.0
SMALL = settings(max_examples=25, deadline=None)
numbers = st.floats(-1.0, 1.0, allow_nan=False)
vectors = st.tuples(numbers, numbers, numbers).map(np.array)
quaternions = (
    st.tuples(numbers, numbers, numbers, numbers)
    .map(np.array)
    .filter(lambda q: np.linalg.norm(q) > 0.1)
    .map(lambda q: q / np.linalg.norm(q))
)


def held(quaternion, n=12):
    return np.tile(quaternion, (n, 1))


def quats(rotation):
    return rotation.as_quat(scalar_first=True)


def turning(axis_rate, start, n=400, rate_hz=RATE_HZ):
    """Sensor that turns at a constant rate (rad/s, in its own axes) from an orientation."""
    t = np.arange(n)[:, None] / rate_hz
    return Rotation.from_quat(start, scalar_first=True) * Rotation.from_rotvec(t * axis_rate)


@SMALL
@given(quaternions, vectors)
def test_a_resting_sensor_reads_gravity_along_up_however_it_is_turned(quaternion, where):
    read = specific_force(np.tile(100 * where, (12, 1)), held(quaternion), RATE_HZ)
    up = Rotation.from_quat(quaternion, scalar_first=True).inv().apply([0, GRAVITY, 0])
    np.testing.assert_allclose(read, np.tile(up, (12, 1)), atol=1e-6)
    np.testing.assert_allclose(angular_rate(held(quaternion), RATE_HZ), 0, atol=1e-9)


@SMALL
@given(quaternions, vectors, vectors)
def test_a_steady_velocity_is_not_felt_and_a_steady_acceleration_adds_to_gravity(quaternion, velocity, acceleration):
    t = np.arange(50)[:, None] / RATE_HZ
    read = specific_force(velocity * t + acceleration * t**2 / 2, held(quaternion, 50), RATE_HZ)
    felt = Rotation.from_quat(quaternion, scalar_first=True).inv().apply(acceleration + np.array([0, GRAVITY, 0]))
    np.testing.assert_allclose(read, np.tile(felt, (50, 1)), atol=1e-6)


def test_free_fall_feels_nothing():
    t = np.arange(50)[:, None] / RATE_HZ
    read = specific_force(np.array([0, -GRAVITY, 0]) * t**2 / 2, held([1, 0, 0, 0], 50), RATE_HZ)
    np.testing.assert_allclose(read, 0, atol=1e-6)


@SMALL
@given(quaternions, vectors)
def test_a_constant_rate_is_read_exactly_in_sensor_axes(quaternion, rate):
    orientation = quats(turning(10 * rate, quaternion))
    np.testing.assert_allclose(angular_rate(orientation, RATE_HZ), np.tile(10 * rate, (400, 1)), atol=1e-6)


@SMALL
@given(quaternions, vectors, st.integers(0, 2**31 - 1))
def test_the_sign_of_a_quaternion_changes_nothing(quaternion, rate, seed):
    orientation = quats(turning(rate, quaternion, n=20))
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(20, 1))
    np.testing.assert_allclose(
        angular_rate(signs * orientation, RATE_HZ), angular_rate(orientation, RATE_HZ), atol=1e-9
    )


@pytest.mark.parametrize("radius_m", [0.1, 0.5])
def test_a_carousel_presses_inwards_with_omega_squared_r(radius_m):
    omega = 4.0
    spin = turning(np.array([0, omega, 0]), [1, 0, 0, 0], rate_hz=1000.0)
    position, orientation = on_segment(np.zeros((400, 3)), quats(spin), [radius_m, 0, 0], np.eye(3))
    read = specific_force(position, orientation, 1000.0)
    np.testing.assert_allclose(read, np.tile([-(omega**2) * radius_m, GRAVITY, 0], (400, 1)), atol=1e-3)


def test_a_pendulum_reads_its_tangential_and_radial_force():
    rate_hz, length_m = 2000.0, 0.8
    t = np.arange(4000) / rate_hz
    angle, speed, acceleration = 0.5 * np.sin(3 * t), 1.5 * np.cos(3 * t), -4.5 * np.sin(3 * t)
    swing = Rotation.from_rotvec(angle[:, None] * [0, 0, 1.0])
    position, orientation = on_segment(np.zeros((4000, 3)), quats(swing), [0, -length_m, 0], np.eye(3))
    read = specific_force(position, orientation, rate_hz)
    tangential = acceleration * length_m + GRAVITY * np.sin(angle)
    radial = speed**2 * length_m + GRAVITY * np.cos(angle)
    np.testing.assert_allclose(read, np.stack([tangential, radial, 0 * t], axis=1), atol=1e-3)
    np.testing.assert_allclose(angular_rate(orientation, rate_hz)[:, 2], speed, atol=1e-3)


@SMALL
@given(quaternions, vectors, vectors)
def test_integrating_the_gyro_gives_the_orientation_back(quaternion, first, second):
    rate_hz, n = 400.0, 400
    t = np.arange(n)[:, None] / rate_hz
    truth = (
        Rotation.from_quat(quaternion, scalar_first=True)
        * Rotation.from_rotvec(np.sin(5 * t) * first)
        * Rotation.from_rotvec((1 - np.cos(7 * t)) * second)
    )
    rate = angular_rate(quats(truth), rate_hz)
    steps = Rotation.from_rotvec((rate[:-1] + rate[1:]) / 2 / rate_hz)
    walked = truth[0]
    for step in steps:
        walked = walked * step
    assert (walked.inv() * truth[-1]).magnitude() < np.deg2rad(0.3)


@SMALL
@given(quaternions, quaternions, vectors)
def test_a_mounted_sensor_reads_the_segment_turned_into_its_axes(segment, mount, rate):
    carried = quats(turning(3 * rate, segment))
    matrix = Rotation.from_quat(mount, scalar_first=True).as_matrix()
    position, orientation = on_segment(np.zeros((400, 3)), carried, [0, 0, 0], matrix)
    np.testing.assert_allclose(angular_rate(orientation, RATE_HZ) @ matrix.T, angular_rate(carried, RATE_HZ), atol=1e-6)
    bare = specific_force(np.zeros((400, 3)), carried, RATE_HZ)
    np.testing.assert_allclose(specific_force(position, orientation, RATE_HZ) @ matrix.T, bare, atol=1e-6)


def test_far_from_the_origin_nothing_is_lost_to_rounding():
    t = np.arange(100)[:, None] / RATE_HZ
    near = 0.01 * np.sin(20 * t) * [1, 0, 0]
    here = specific_force(near, held([1, 0, 0, 0], 100), RATE_HZ)
    there = specific_force(near + np.array([1000, 0, 0]), held([1, 0, 0, 0], 100), RATE_HZ)
    np.testing.assert_allclose(there, here, atol=1e-4)


@pytest.mark.parametrize(
    ("position", "orientation"),
    [(np.zeros((3, 3)), held([1, 0, 0, 0], 3)), (np.zeros((9, 2)), held([1, 0, 0, 0], 9)),
     (np.zeros((9, 3)), held([1, 0, 0, 0], 8)), (np.zeros((9, 3)), np.zeros((9, 3)))],
)  # fmt: skip
def test_what_cannot_be_differenced_is_refused(position, orientation):
    with pytest.raises(DataError, match="expected"):
        specific_force(position, orientation, RATE_HZ)


@pytest.mark.parametrize("matrix", [np.diag([1.0, 1.0, -1.0]), 2 * np.eye(3)], ids=["mirror", "stretch"])
def test_a_mounting_that_is_no_rotation_is_refused(matrix):
    with pytest.raises(DataError, match="rotation matrix"):
        on_segment(np.zeros((9, 3)), held([1, 0, 0, 0], 9), [0, 0, 0], matrix)


def amplitude(values, frequency_hz, rate_hz):
    """Amplitude of a sine of known frequency in a signal (n,), by least squares."""
    t = np.arange(len(values)) / rate_hz
    basis = np.column_stack([np.sin(2 * np.pi * frequency_hz * t), np.cos(2 * np.pi * frequency_hz * t)])
    return np.hypot(*np.linalg.lstsq(basis, values, rcond=None)[0])


@pytest.mark.parametrize("rate_hz", [100.0, 200.0])
@pytest.mark.parametrize("frequency_hz", [1.0, 2.0, 5.0, 10.0, 15.0, 20.0])
def test_what_shakes_is_read_with_its_whole_amplitude(frequency_hz, rate_hz):
    """Up to 15 Hz within 1 % at 100 Hz already; at 20 Hz the rate has lost 2.1 % there."""
    t = np.arange(int(4 * rate_hz)) / rate_hz
    omega = 2 * np.pi * frequency_hz
    sway = 0.01 * np.sin(omega * t)
    allowed = 0.01 if frequency_hz <= 15 else 0.022
    read = specific_force(sway[:, None] * [1, 0, 0], held([1, 0, 0, 0], len(t)), rate_hz)[5:-5, 0]
    assert amplitude(read, frequency_hz, rate_hz) == pytest.approx(0.01 * omega**2, rel=allowed)
    orientation = quats(Rotation.from_rotvec(sway[:, None] * [0, 0, 1.0]))
    read = angular_rate(orientation, rate_hz)[5:-5, 2]
    assert amplitude(read, frequency_hz, rate_hz) == pytest.approx(0.01 * omega, rel=allowed)


@pytest.mark.parametrize("n", [4, 5, 6, 7, 12])
def test_the_ends_are_right_for_what_they_can_know(n):
    t = np.arange(n)[:, None] / RATE_HZ
    fall = np.array([1.0, -3.0, 2.0])
    read = specific_force(fall * t**2 / 2, held([1, 0, 0, 0], n), RATE_HZ)
    np.testing.assert_allclose(read, np.tile(fall + np.array([0, GRAVITY, 0]), (n, 1)), atol=1e-6)
    turn = quats(Rotation.from_rotvec(t * [1.0, 2.0, -3.0]))
    np.testing.assert_allclose(angular_rate(turn, RATE_HZ), np.tile([1.0, 2.0, -3.0], (n, 1)), atol=1e-9)


def test_a_moving_axis_is_followed_to_high_order():
    """A coning motion, whose rate in body axes is known: halving the interval leaves 1/32 of the error or less."""
    errors = []
    for rate_hz in (100.0, 200.0):
        t = np.arange(int(2 * rate_hz)) / rate_hz
        spin, tilt = 12.0, 0.4
        axis = np.stack([np.cos(spin * t), np.sin(spin * t), 0 * t], axis=1)
        across, along = spin * np.sin(tilt), spin * (np.cos(tilt) - 1)
        rate = np.stack([-across * np.sin(spin * t), across * np.cos(spin * t), along + 0 * t], axis=1)
        read = angular_rate(quats(Rotation.from_rotvec(tilt * axis)), rate_hz)
        errors.append(np.abs(read - rate)[5:-5].max())
    assert errors[1] < errors[0] / 32 < 1e-4


@pytest.mark.parametrize("speed", [150.0, 300.0, 550.0])
def test_fast_turns_are_read_up_to_half_a_revolution_from_sample_to_sample(speed):
    orientation = quats(turning(np.array([0.0, speed, 0.0]), [1, 0, 0, 0], n=40))
    np.testing.assert_allclose(angular_rate(orientation, RATE_HZ), np.tile([0, speed, 0], (40, 1)), rtol=1e-9)


@SMALL
@given(vectors, vectors, vectors, vectors)
def test_two_sensors_on_one_rigid_body_read_what_its_turning_says(axis, sway, here, there):
    rate_hz = 400.0
    t = np.arange(400)[:, None] / rate_hz
    turn = Rotation.from_rotvec(np.sin(6 * t) * axis) * Rotation.from_rotvec(np.cos(4 * t) * sway)
    course = np.sin(3 * t) * sway + t * axis
    gyr = angular_rate(quats(turn), rate_hz)
    first, second = (
        specific_force(*on_segment(course, quats(turn), offset, np.eye(3)), rate_hz) for offset in (here, there)
    )
    moved = transfer(first, gyr, rate_hz, there - here)
    np.testing.assert_allclose(moved[7:-7], second[7:-7], atol=2e-4)
    arm = there - here
    by_hand = np.cross(angular_acceleration(gyr, rate_hz), arm) + np.cross(gyr, np.cross(gyr, arm))
    np.testing.assert_allclose(moved, first + by_hand, atol=1e-9)


def test_a_gap_is_left_open_as_far_as_the_derivative_looks():
    t = np.arange(60)[:, None] / RATE_HZ
    position, orientation = np.sin(5 * t) * [1.0, 0.5, 0], quats(Rotation.from_rotvec(np.sin(3 * t) * [0, 0, 1.0]))
    holed, blind = position.copy(), orientation.copy()
    holed[30:33], blind[30:33] = np.nan, np.nan
    for read, whole, unknown in (
        (specific_force(holed, orientation, RATE_HZ), specific_force(position, orientation, RATE_HZ), slice(27, 36)),
        (specific_force(position, blind, RATE_HZ), specific_force(position, orientation, RATE_HZ), slice(30, 33)),
        (angular_rate(blind, RATE_HZ), angular_rate(orientation, RATE_HZ), slice(27, 36)),
    ):
        missing = np.isnan(read).any(axis=1)
        assert missing[unknown].all() and missing.sum() == unknown.stop - unknown.start
        np.testing.assert_array_equal(read[~missing], whole[~missing])


def test_a_quaternion_of_zeros_is_refused_and_not_taken_for_missing():
    broken = held([1.0, 0, 0, 0], 9)
    broken[4] = 0
    with pytest.raises(DataError, match="all zeros at sample 4"):
        angular_rate(broken, RATE_HZ)


@pytest.mark.parametrize(("gyr", "n"), [(np.zeros((8, 3)), 9), (np.zeros((9, 2)), 9)])
def test_signals_that_do_not_belong_together_are_not_transferred(gyr, n):
    with pytest.raises(DataError, match="expected"):
        transfer(np.zeros((n, 3)), gyr, RATE_HZ, [0.1, 0, 0])


# --- smoothing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", [100.0, 200.0])
@pytest.mark.parametrize("share", [0.3, 0.47, 1.0, 2.0])
def test_the_low_pass_leaves_what_it_says_and_moves_nothing(rate_hz, share):
    cutoff_hz = 10.0
    t = np.arange(int(20 * rate_hz)) / rate_hz
    wave = np.sin(2 * np.pi * share * cutoff_hz * t)
    kept, _ = smooth(wave[:, None] * [1, 0, 0], held([1.0, 0, 0, 0], len(t)), rate_hz, cutoff_hz)
    middle = slice(len(t) // 4, -len(t) // 4)
    gain = kept[middle, 0] @ wave[middle] / (wave[middle] @ wave[middle])
    warped = np.tan(np.pi * share * cutoff_hz / rate_hz) / np.tan(np.pi * cutoff_hz / rate_hz)
    assert gain == pytest.approx(1 / (1 + (np.sqrt(2) - 1) * warped**4), abs=1e-3)
    if share == 1.0:
        assert gain == pytest.approx(np.sqrt(0.5), abs=1e-3)
    np.testing.assert_allclose(kept[middle, 0], gain * wave[middle], atol=5e-3)


@pytest.mark.parametrize(("cutoff_hz", "bound_deg"), [(6.0, 0.01), (10.0, 0.002), (20.0, 0.0001)])
def test_a_shank_that_swings_is_smoothed_as_its_angle_would_be(cutoff_hz, bound_deg):
    rate_hz = 100.0
    t = np.arange(2000) / rate_hz
    angle = np.deg2rad(35 * np.sin(2 * np.pi * 0.9 * t) + 12 * np.sin(2 * np.pi * 1.8 * t + 1))
    flips = np.where(np.arange(len(t)) % 7 < 3, -1.0, 1.0)[:, None]
    orientation = flips * quats(Rotation.from_rotvec(angle[:, None] * [0, 0, 1.0]))
    by_angle, turned = smooth(angle[:, None] * [1, 0, 0], orientation, rate_hz, cutoff_hz)
    read = Rotation.from_quat(turned, scalar_first=True).as_rotvec()[:, 2]
    assert np.rad2deg(np.abs(read - by_angle[:, 0])[50:-50].max()) < bound_deg
    np.testing.assert_allclose(np.linalg.norm(turned, axis=1), 1, atol=1e-12)


def test_smoothing_bridges_no_gap_and_gives_up_on_what_is_too_short():
    t = np.arange(300) / RATE_HZ
    position = np.sin(t)[:, None] * [1.0, 0, 0]
    position[100:102], position[112] = np.nan, np.nan  # ten known samples between two gaps: too few
    orientation = held([1.0, 0, 0, 0], 300)
    orientation[200] = np.nan
    kept, turned = smooth(position, orientation, RATE_HZ, 10.0)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(kept[:, 0])), np.arange(100, 113))
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(turned[:, 0])), [200])
    alone, _ = smooth(position[:100], orientation[:100], RATE_HZ, 10.0)
    np.testing.assert_array_equal(kept[:100], alone)


@pytest.mark.parametrize("cutoff_hz", [0.0, -1.0, 100.0, 150.0, np.nan])
def test_a_cutoff_that_cannot_be_is_refused(cutoff_hz):
    with pytest.raises(DataError, match="cutoff_hz must lie between 0 and half the rate"):
        smooth(np.zeros((50, 3)), held([1.0, 0, 0, 0], 50), RATE_HZ, cutoff_hz)


def test_motion_that_does_not_belong_together_is_not_smoothed():
    with pytest.raises(DataError, match="expected position"):
        smooth(np.zeros((50, 3)), held([1.0, 0, 0, 0], 49), RATE_HZ, 10.0)
