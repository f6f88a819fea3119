"""The virtual sensor against the laws of motion."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from kinbench.errors import DataError
from kinbench.schema import GRAVITY
from kinbench.virtual_imu import angular_rate, on_segment, specific_force

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
