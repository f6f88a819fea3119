"""Published signals, faults and all: their laws, and what sets them apart from physics."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_folders.bodies import walker
from scipy.signal import butter, filtfilt
from scipy.spatial.transform import Rotation

from kinbench.errors import DataError, UsageError
from kinbench.virtual_imu import angular_rate, random_rotations, rapp2021, rapp2021_touchdowns, specific_force

RATE_HZ = 200.0
AXES = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
"""X right, Y up, Z back, from our world: X forward, Y up, Z right."""
AT_TOUCHDOWN = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
SHELL = np.array([[0.06, -0.15, 0.05], [0.06, -0.25, 0.05], [0.07, -0.16, 0.09]])


@pytest.fixture(scope="module")
def shank():
    """Three markers (n, 3, 3) on the right shank of somebody who walks straight on, and the touchdowns."""
    person = walker(5, length_s=12.0, rate_hz=RATE_HZ, stand_s=1.0, turn_deg=0.0)
    markers = np.stack([person.point("shank_r", offset) for offset in SHELL], axis=1)
    heel = person.point("foot_r", (-0.05, -0.05, 0.0))
    return markers, rapp2021_touchdowns(heel[:, 1], RATE_HZ), person


def by_hand(markers, touchdowns):
    """The same with scipy's rotations, written from the paper's code's description."""
    place = markers @ AXES.T
    u1, w = place[:, 1] - place[:, 0], place[:, 2] - place[:, 0]
    u2 = np.cross(w, u1)
    frame = np.stack([u / np.linalg.norm(u, axis=1, keepdims=True) for u in (u1, u2, np.cross(u1, u2))], axis=2)
    cluster = Rotation.from_matrix(frame)
    offset = (cluster[touchdowns].inv() * Rotation.from_matrix(AT_TOUCHDOWN)).mean()  # scipy's mean is Markley's
    return place.mean(axis=1), cluster * offset


def test_the_accelerometer_is_turned_twice_and_upside_down(shank):
    markers, touchdowns, _ = shank
    acc, _ = rapp2021(markers, touchdowns, RATE_HZ, axes=AXES)
    origin, sensor = by_hand(markers, touchdowns)
    felt = np.gradient(np.gradient(origin, 1 / RATE_HZ, axis=0), 1 / RATE_HZ, axis=0)
    world = felt + np.array([0, 9.81, 0])
    np.testing.assert_allclose(acc, -sensor.apply(world), atol=1e-6)
    right = sensor.inv().apply(world)
    np.testing.assert_allclose(acc, -(sensor * sensor).apply(right), atol=1e-6)
    ours = specific_force(origin, sensor.as_quat(scalar_first=True), RATE_HZ)
    assert np.abs(acc - ours)[300:-300].max() > 10, "nothing sets it apart from physics"
    at = touchdowns[(touchdowns > 300) & (touchdowns < len(acc) - 300)]
    near = (acc[at] - right[at] * [1, -1, 1]) / np.linalg.norm(right[at], axis=1, keepdims=True)
    assert np.abs(near).max() < 0.25


def test_the_gyroscope_is_the_turn_from_the_sample_before_below_8_hz(shank):
    markers, touchdowns, _ = shank
    _, gyr = rapp2021(markers, touchdowns, RATE_HZ, axes=AXES)
    _, sensor = by_hand(markers, touchdowns)
    turns = (sensor[:-1].inv() * sensor[1:]).as_rotvec() * RATE_HZ
    turns = np.concatenate([turns[:1], turns])
    above, below = butter(4, 8.0, fs=RATE_HZ)
    np.testing.assert_allclose(gyr, filtfilt(above, below, turns, axis=0, padlen=200), atol=1e-6)
    ours = angular_rate(sensor.as_quat(scalar_first=True), RATE_HZ)
    assert np.corrcoef(gyr[200:-200, 2], ours[200:-200, 2])[0, 1] > 0.98


def test_a_jump_of_the_gyroscope_is_mended_by_the_median_around_it(shank):
    markers, _, _ = shank
    still = np.tile(markers[:1], (400, 1, 1))
    broken = still.copy()
    broken[200] = (
        markers[0] @ Rotation.from_rotvec([0, 0, 0.4]).as_matrix().T
    )  # one frame in which markers were swapped
    _, gyr = rapp2021(broken, [100], RATE_HZ, axes=AXES)
    np.testing.assert_allclose(gyr, 0, atol=1e-9)


def test_the_sensor_is_level_at_touchdown_whatever_the_markers_look_like(shank):
    """Other markers of the same shell: the same gyroscope, and a still sensor that reads -9.81 on y."""
    markers, touchdowns, person = shank
    other = np.stack([person.point("shank_r", SHELL[k]) for k in (2, 0, 1)], axis=1)
    first, second = (rapp2021(place, touchdowns, RATE_HZ, axes=AXES) for place in (markers, other))
    np.testing.assert_allclose(first[1], second[1], atol=1e-6)
    np.testing.assert_allclose(first[0], second[0], atol=1e-5)
    still = np.tile(markers[:1], (100, 1, 1))
    acc, _ = rapp2021(still, [50], RATE_HZ, axes=AXES)
    np.testing.assert_allclose(acc, np.tile([0, -9.81, 0], (100, 1)), atol=1e-9)


def test_touchdowns_are_the_minima_of_the_feet_and_not_of_noise():
    t = np.arange(2000) / RATE_HZ
    height = 0.1 + 0.06 * np.cos(2 * np.pi * 0.9 * t) + 0.001 * np.sin(2 * np.pi * 40 * t)
    found = rapp2021_touchdowns(height, RATE_HZ)
    assert len(found) == 9
    np.testing.assert_allclose(found / RATE_HZ, (np.arange(9) + 0.5) / 0.9, atol=0.02)
    assert len(rapp2021_touchdowns(height / 3, RATE_HZ)) == 0
    assert len(rapp2021_touchdowns(0.1 + 0.06 * np.cos(2 * np.pi * 3 * t), RATE_HZ)) <= 20


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda m, e: (m[:, :2], e), "expected markers"),
        (lambda m, e: (m[:10], [3]), "at least 11"),
        (lambda m, e: (np.where(np.arange(len(m))[:, None, None] == 7, np.nan, m), e), "missing at sample 7"),
        (lambda m, e: (m[:, [0, 1, 1]], e), "in one line"),
        (lambda m, e: (m, []), "expected touchdowns"),
        (lambda m, e: (m, [len(m)]), "expected touchdowns"),
    ],
)
def test_markers_of_which_no_sensor_can_be_made_are_refused(shank, spoil, said):
    markers, events = spoil(*shank[:2])
    with pytest.raises(DataError, match=said):
        rapp2021(markers, events, RATE_HZ, axes=AXES)


def test_a_mirrored_world_and_a_height_with_holes_are_refused(shank):
    with pytest.raises(UsageError, match="right-handed rotation"):
        rapp2021(*shank[:2], RATE_HZ, axes=np.diag([1.0, 1.0, -1.0]))
    with pytest.raises(DataError, match="without missing samples"):
        rapp2021_touchdowns([0.1, np.nan, 0.2], RATE_HZ)


# --- rotations for augmentation ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("compat", "sd_deg"), [(None, 13.5), ("rapp2021", 27.0)])
def test_random_rotations_are_as_wide_as_the_paper_says_or_as_its_code_makes_them(compat, sd_deg):
    turns = Rotation.from_matrix(random_rotations(20_000, seed=1, compat=compat)).as_rotvec(degrees=True)
    assert np.sqrt((turns**2).sum(axis=1).mean()) == pytest.approx(sd_deg, rel=0.02)
    np.testing.assert_allclose(np.sqrt((turns**2).mean(axis=0)), sd_deg / np.sqrt(3), rtol=0.04)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1), st.floats(0.1, 90.0))
def test_random_rotations_are_rotations_and_their_seeds(seed, sd_deg):
    turns = random_rotations(5, sd_deg=sd_deg, seed=seed)
    np.testing.assert_allclose(turns @ np.swapaxes(turns, 1, 2), np.tile(np.eye(3), (5, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(turns), 1)
    np.testing.assert_array_equal(turns, random_rotations(5, sd_deg=sd_deg, seed=seed))
    assert not np.array_equal(turns, random_rotations(5, sd_deg=sd_deg, seed=seed + 1))


def test_an_unknown_compat_is_refused():
    with pytest.raises(UsageError, match="compat must be"):
        random_rotations(1, seed=0, compat="rapp")
