"""Rotations, rigid fits of marker clusters, and chains: each against the law that defines it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from kinbench.errors import DataError
from kinbench.kinematics import (
    Frame,
    cluster_motion,
    fit_rigid,
    forward_kinematics,
    matrices,
    orthonormal,
    quaternions,
    rotations_from_vectors,
    world_from_affines,
)

seeds = st.integers(0, 2**31 - 1)
relaxed = settings(max_examples=60, deadline=None)


def cluster(random, markers):
    """Markers some 10 cm around a middle, in millimetres, none of them near a line."""
    while True:
        shape = random.normal(size=(markers, 3)) * [50, 80, 30] + random.normal(size=3) * 500
        spread = np.linalg.svd(shape - shape.mean(axis=0), compute_uv=False)
        if spread[1] > 0.2 * spread[0]:
            return shape


def moved(random, shape, n=7):
    turn = Rotation.random(n, random_state=random).as_matrix()
    shift = random.normal(size=(n, 3)) * 1000
    return turn, shift, shape @ np.swapaxes(turn, 1, 2) + shift[:, None]


# --- rigid fit -------------------------------------------------------------------------------------------------------


@relaxed
@given(seed=seeds, markers=st.integers(3, 7))
def test_a_rigid_motion_is_found_again_and_leaves_no_residual(seed, markers):
    random = np.random.RandomState(seed)
    shape = cluster(random, markers)
    turn, shift, place = moved(random, shape)
    fit = fit_rigid(shape, place)
    assert fit.rotation == pytest.approx(turn, abs=1e-10)
    assert fit.translation == pytest.approx(shift, abs=1e-7)
    assert fit.residual == pytest.approx(0, abs=1e-8)


@relaxed
@given(seed=seeds, markers=st.integers(4, 8))
def test_missing_markers_are_left_out_as_long_as_three_are_there(seed, markers):
    random = np.random.RandomState(seed)
    shape = cluster(random, markers)
    turn, _, place = moved(random, shape, n=12)
    lost = random.uniform(size=place.shape[:2]) < 0.35
    place[lost] = np.nan
    fit = fit_rigid(shape, place)
    for frame, gone in enumerate(lost):
        spread = np.linalg.svd(shape[~gone] - shape[~gone].mean(axis=0), compute_uv=False) if (~gone).any() else [0, 0]
        if (~gone).sum() < 3:
            assert np.isnan(fit.rotation[frame]).all()
            assert np.isnan(fit.translation[frame]).all()
            assert np.isnan(fit.residual[frame])
        elif spread[1] > 0.05 * spread[0]:
            assert fit.rotation[frame] == pytest.approx(turn[frame], abs=1e-10)


@relaxed
@given(seed=seeds)
def test_the_order_of_markers_does_not_matter(seed):
    random = np.random.RandomState(seed)
    shape = cluster(random, 5)
    _, _, place = moved(random, shape)
    place += random.normal(size=place.shape)
    order = random.permutation(5)
    one, other = fit_rigid(shape, place), fit_rigid(shape[order], place[:, order])
    assert other.rotation == pytest.approx(one.rotation, abs=1e-10)
    assert other.residual == pytest.approx(one.residual, abs=1e-9)


def test_the_residual_is_the_noise_that_was_planted():
    random = np.random.RandomState(4)
    shape = cluster(random, 6)
    _, _, place = moved(random, shape, n=4000)
    fit = fit_rigid(shape, place + random.normal(size=place.shape) * 1.5)
    # Six of the 18 coordinates' freedoms go into the fit (3 for the turn, 3 for the shift).
    expected = 1.5 * np.sqrt((18 - 6) / 6)
    assert np.sqrt(np.mean(fit.residual**2)) == pytest.approx(expected, rel=0.02)


def test_a_mirrored_cluster_is_still_answered_by_a_rotation():
    random = np.random.RandomState(5)
    shape = cluster(random, 5)
    fit = fit_rigid(shape, (shape * [1, 1, -1])[None])
    assert np.linalg.det(fit.rotation[0]) == pytest.approx(1.0)
    assert fit.residual[0] > 1.0


@relaxed
@given(seed=seeds)
def test_no_other_rotation_fits_better(seed):
    random = np.random.RandomState(seed)
    shape = cluster(random, 4)
    _, _, place = moved(random, shape, n=1)
    place += random.normal(size=place.shape) * 20
    fit = fit_rigid(shape, place)
    other = Rotation.from_rotvec(random.normal(size=3) * 0.02).as_matrix() @ fit.rotation[0]
    arms = (shape - shape.mean(axis=0)) @ other.T
    rest = np.sqrt(np.mean(np.sum((place[0] - place[0].mean(axis=0) - arms) ** 2, axis=1)))
    assert rest >= fit.residual[0] - 1e-12


def test_markers_on_one_line_tell_no_rotation():
    line = np.array([[0.0, 0, 0], [10, 0, 0], [30, 0.0, 0]])
    fit = fit_rigid(line, line[None])
    assert np.isnan(fit.rotation).all()
    assert np.isnan(fit.residual).all()
    # Nor do three that stand on one line because the fourth is lost.
    off_line = np.vstack([line, [[10.0, 40, 0]]])
    place = np.stack([off_line, off_line])
    place[1, 3] = np.nan
    fit = fit_rigid(off_line, place)
    assert np.isfinite(fit.rotation[0]).all()
    assert np.isnan(fit.rotation[1]).all()


def test_a_marker_without_a_place_in_the_reference_is_left_out():
    random = np.random.RandomState(6)
    shape = cluster(random, 4)
    turn, _, place = moved(random, shape)
    shape[2] = np.nan
    assert fit_rigid(shape, place).rotation == pytest.approx(turn, abs=1e-10)


@pytest.mark.parametrize("shapes", [((4, 3), (5, 3, 3)), ((4, 2), (5, 4, 2)), ((4, 3), (4, 3))])
def test_a_fit_of_other_markers_than_the_reference_s_is_refused(shapes):
    with pytest.raises(DataError, match="the same k markers"):
        fit_rigid(np.zeros(shapes[0]), np.zeros(shapes[1]))


@relaxed
@given(seed=seeds)
def test_a_cluster_carries_an_anatomical_frame(seed):
    random = np.random.RandomState(seed)
    shape = cluster(random, 4)
    turn, shift, place = moved(random, shape)
    frame = Frame(Rotation.random(random_state=random).as_matrix(), random.normal(size=3) * 400)
    motion = cluster_motion(shape, frame, place)
    assert motion.rotation == pytest.approx(turn @ frame.rotation, abs=1e-10)
    assert motion.origin == pytest.approx(turn @ frame.origin + shift, abs=1e-7)
    assert matrices(motion.quaternion) == pytest.approx(motion.rotation, abs=1e-10)


# --- rotations -------------------------------------------------------------------------------------------------------


@relaxed
@given(seed=seeds)
def test_matrices_and_quaternions_are_scipy_s_and_each_other_s_inverse(seed):
    turn = Rotation.random(9, random_state=seed)
    assert matrices(turn.as_quat(scalar_first=True) * 3.0) == pytest.approx(turn.as_matrix(), abs=1e-14)
    found = quaternions(turn.as_matrix())
    assert np.linalg.norm(found, axis=1) == pytest.approx(1.0)
    assert matrices(found) == pytest.approx(turn.as_matrix(), abs=1e-14)


@pytest.mark.parametrize("axis", [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, -1, 1]])
def test_half_turns_have_their_quaternion(axis):
    turn = Rotation.from_rotvec(np.pi * np.array(axis) / np.linalg.norm(axis)).as_matrix()
    assert matrices(quaternions(turn)) == pytest.approx(turn, abs=1e-14)


def test_a_smooth_turn_has_smooth_quaternions_over_a_gap_too():
    angle = np.linspace(0, 6 * np.pi, 500)
    turn = Rotation.from_rotvec(np.outer(angle, [0.6, 0.0, 0.8])).as_matrix()
    two = np.stack([turn, np.swapaxes(turn, 1, 2)], axis=1)
    two[100:110, 0] = np.nan
    two[0, 1] = np.nan
    found = quaternions(two)
    assert np.isnan(found[100:110, 0]).all()
    assert np.isnan(found[0, 1]).all()
    known = found[np.isfinite(found[:, 0, 0]), 0]
    assert (np.sum(known[1:] * known[:-1], axis=1) > 0.9).all()
    assert (np.sum(found[2:, 1] * found[1:-1, 1], axis=1) > 0.9).all()
    assert found[0, 0, 0] >= 0


@relaxed
@given(seed=seeds, size=st.sampled_from([0.0, 1e-300, 1e-12, 1e-7, 1e-3, 1.0, np.pi, 20.0]))
def test_rotations_from_vectors_are_scipy_s(seed, size):
    vector = np.random.RandomState(seed).normal(size=(2, 4, 3))
    vector *= size / np.linalg.norm(vector, axis=-1, keepdims=True)
    wanted = Rotation.from_rotvec(vector.reshape(-1, 3)).as_matrix().reshape(2, 4, 3, 3)
    assert rotations_from_vectors(vector) == pytest.approx(wanted, abs=1e-14)


def test_what_is_missing_stays_missing_in_its_row_only():
    for convert, good, bad in (
        (matrices, [1.0, 0, 0, 0], [np.nan, 0, 0, 0]),
        (matrices, [1.0, 0, 0, 0], [0.0, 0, 0, 0]),
        (quaternions, np.eye(3), np.full((3, 3), np.nan)),
        (rotations_from_vectors, [0.1, 0, 0], [np.nan, 0, 0]),
    ):
        found = convert(np.array([good, bad]))
        assert np.isfinite(found[0]).all()
        assert np.isnan(found[1]).any()


@pytest.mark.parametrize("convert", [matrices, quaternions, rotations_from_vectors])
def test_arrays_of_another_shape_are_refused(convert):
    with pytest.raises(DataError, match="of shape"):
        convert(np.zeros((5, 7)))


@relaxed
@given(seed=seeds, order=st.sampled_from(["xy", "xz", "yx", "yz", "zx", "zy"]))
def test_two_directions_give_a_right_handed_frame_that_keeps_the_first(seed, order):
    first, second = np.random.RandomState(seed).normal(size=(2, 5, 3))
    frame = orthonormal(first * 30, second, order=order)
    one, two = ("xyz".index(letter) for letter in order)
    assert np.swapaxes(frame, 1, 2) @ frame == pytest.approx(np.tile(np.eye(3), (5, 1, 1)), abs=1e-12)
    assert np.linalg.det(frame) == pytest.approx(1.0)
    assert np.cross(frame[..., one], first) == pytest.approx(0, abs=1e-12)
    assert (np.sum(frame[..., one] * first, axis=1) > 0).all()
    assert (np.sum(frame[..., two] * second, axis=1) > 0).all()
    assert np.sum(np.cross(first, second) * frame[..., two], axis=1) == pytest.approx(0, abs=1e-12)


def test_directions_on_one_line_give_no_frame_and_an_order_must_name_two_axes():
    assert np.isnan(orthonormal([0, 1.0, 0], [0, -2.0, 0])).all()
    assert np.isnan(orthonormal([0, 0.0, 0], [0, 0, 1.0])).all()
    for order in ("yy", "y", "ab", "xyz"):
        with pytest.raises(DataError, match="two different axes"):
            orthonormal([0, 1.0, 0], [0, 0, 1.0], order=order)


# --- chains ----------------------------------------------------------------------------------------------------------


@relaxed
@given(seed=seeds)
def test_a_chain_s_rotations_are_products_and_its_places_are_sums(seed):
    random = np.random.RandomState(seed)
    local = Rotation.random(15, random_state=random).as_matrix().reshape(3, 5, 3, 3)
    offset, root = random.normal(size=(5, 3)), random.normal(size=(3, 3))
    rotation, position = forward_kinematics(local, offset, [-1, 0, 1, 0, 3], root)
    assert rotation[:, 2] == pytest.approx(local[:, 0] @ local[:, 1] @ local[:, 2], abs=1e-12)
    assert rotation[:, 4] == pytest.approx(local[:, 0] @ local[:, 3] @ local[:, 4], abs=1e-12)
    reach = local[:, 0] @ (offset[3] + np.einsum("nij,j->ni", local[:, 3], offset[4]))[..., None]
    assert position[:, 4] == pytest.approx(root + reach[..., 0], abs=1e-12)
    assert position[:, 0] == pytest.approx(root)
    moving = np.tile(offset, (3, 1, 1))
    assert forward_kinematics(local, moving, [-1, 0, 1, 0, 3], root)[1] == pytest.approx(position, abs=1e-12)


@relaxed
@given(seed=seeds)
def test_parents_may_stand_in_any_order(seed):
    random = np.random.RandomState(seed)
    parents = [-1, 0, 0, 1, 3, 2]
    local = Rotation.random(12, random_state=random).as_matrix().reshape(2, 6, 3, 3)
    offset, root = random.normal(size=(6, 3)), random.normal(size=(2, 3))
    rotation, position = forward_kinematics(local, offset, parents, root)
    order = random.permutation(6)
    place = np.argsort(order)
    renamed = [-1 if parents[old] == -1 else int(place[parents[old]]) for old in order]
    again = forward_kinematics(local[:, order], offset[order], renamed, root)
    assert again[0] == pytest.approx(rotation[:, order], abs=1e-12)
    assert again[1] == pytest.approx(position[:, order], abs=1e-12)


@relaxed
@given(seed=seeds)
def test_row_vector_and_column_affines_of_one_body_agree(seed):
    random = np.random.RandomState(seed)
    parents = [4, 0, -1, 2, 2]
    columns = np.tile(np.eye(4), (3, 5, 1, 1))
    columns[..., :3, :3] = Rotation.random(15, random_state=random).as_matrix().reshape(3, 5, 3, 3)
    columns[..., :3, 3] = random.normal(size=(3, 5, 3)) * 400
    rotation, position = world_from_affines(columns, parents, row_vectors=False)
    chain = columns[:, 2] @ columns[:, 4] @ columns[:, 0] @ columns[:, 1]
    assert rotation[:, 1] == pytest.approx(chain[:, :3, :3], abs=1e-10)
    assert position[:, 1] == pytest.approx(chain[:, :3, 3], abs=1e-9)
    # Wholly transposed, and with its rotation block alone transposed.
    turned = columns.copy()
    turned[..., :3, :3] = np.swapaxes(columns[..., :3, :3], 2, 3)
    for rows in (np.swapaxes(columns, 2, 3), turned):
        again = world_from_affines(rows, parents, row_vectors=True)
        assert again[0] == pytest.approx(rotation, abs=1e-10)
        assert again[1] == pytest.approx(position, abs=1e-9)
    mistaken = world_from_affines(turned, parents, row_vectors=False)[0]
    assert np.abs(mistaken - rotation).max() > 1e-3


def test_a_missing_joint_is_missing_below_it_and_nowhere_else():
    local = np.tile(np.eye(3), (2, 3, 1, 1))
    local[1, 1] = np.nan
    rotation, position = forward_kinematics(local, np.ones((3, 3)), [-1, 0, 1], np.zeros((2, 3)))
    assert np.isfinite(rotation[0]).all()
    assert np.isfinite(rotation[1, 0]).all()
    assert np.isnan(rotation[1, 1:]).all()
    assert np.isfinite(position[1, 1]).all()
    assert np.isnan(position[1, 2]).all()


@pytest.mark.parametrize(
    ("parents", "said"), [([1, 0], "lead to -1"), ([-1], "one parent for each"), ([-1, 5], "lead to -1")]
)
def test_parents_that_make_no_tree_are_refused(parents, said):
    with pytest.raises(DataError, match=said):
        forward_kinematics(np.tile(np.eye(3), (1, 2, 1, 1)), np.zeros((2, 3)), parents, np.zeros((1, 3)))


def test_shapes_that_make_no_chain_are_refused():
    with pytest.raises(DataError, match="local rotations"):
        forward_kinematics(np.zeros((4, 3, 3)), np.zeros((2, 3)), [-1, 0], np.zeros((4, 3)))
    with pytest.raises(DataError, match="offsets"):
        forward_kinematics(np.zeros((4, 2, 3, 3)), np.zeros((3, 3)), [-1, 0], np.zeros((4, 3)))
    with pytest.raises(DataError, match="affine"):
        world_from_affines(np.zeros((4, 2, 3, 3)), [-1, 0], row_vectors=True)
    with pytest.raises(DataError, match="last row or last column"):
        world_from_affines(np.ones((4, 2, 4, 4)), [-1, 0], row_vectors=True)
    with pytest.raises(DataError, match="one segment without a parent"):
        world_from_affines(np.tile(np.eye(4), (4, 2, 1, 1)), [-1, -1], row_vectors=True)
