"""Trees of a MATLAB file: what is written comes back, what is not wanted stays behind, names come without values."""

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from kinbench_adapters._formats.arrays import mat_fields, read_mat, read_mat_tree

from kinbench.errors import DataError


def cell(items):
    made = np.empty((1, len(items)), dtype=object)
    for index, item in enumerate(items):
        made[0, index] = item
    return made


def as_matlab(tree):
    if isinstance(tree, dict):
        return {name: as_matlab(value) for name, value in tree.items()}
    return cell([as_matlab(item) for item in tree]) if isinstance(tree, tuple) else tree


def same(one, other):
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other if isinstance(one, str) else np.array_equal(one, other, equal_nan=True)


names = st.text("abcdefgh", min_size=1, max_size=8)
texts = st.text("abc XYZ-_09", min_size=1, max_size=6).map(str.strip).filter(bool)
numbers = arrays(np.float64, array_shapes(min_dims=2, max_dims=4, max_side=3), elements=st.floats(-1e9, 1e9))
leaves = st.one_of(texts, numbers)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(tuple), st.dictionaries(names, inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(names, trees, min_size=1, max_size=4))
@settings(max_examples=6, deadline=None)
def test_a_tree_comes_back_as_it_was_written(tmp_path_factory, tree):
    path = tmp_path_factory.mktemp("mat") / "tree.mat"
    scipy.io.savemat(path, as_matlab(tree), do_compression=True)
    assert same(tree, read_mat_tree(path))
    fields = mat_fields(path)
    assert fields == {name: tuple(value) if isinstance(value, dict) else () for name, value in tree.items()}


def test_struct_arrays_cells_of_many_rows_and_many_texts(tmp_path):
    path = tmp_path / "a.mat"
    moves = np.zeros((1, 2), dtype=[("name", object), ("flag", object)])
    moves[0, 0], moves[0, 1] = ("walk", 1.0), ("run", 2.0)
    square = np.empty((2, 2), dtype=object)
    square[:] = [["a", "c"], ["b", "d"]]
    scipy.io.savemat(path, {"move": moves, "square": square, "rows": np.array(["one", "two"]), "yes": np.array(True)})
    tree = read_mat_tree(path)
    assert [move["name"] for move in tree["move"]] == ["walk", "run"]
    assert tree["square"] == ("a", "b", "c", "d") and tree["rows"] == ("one", "two")
    np.testing.assert_array_equal(tree["yes"], [[1.0]])


def test_only_what_is_kept_is_handed_over(tmp_path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"imu": {"S1": {"data": np.ones((4, 2))}, "I1": {"data": np.zeros((9, 2)), "name": "x"}}})
    tree = read_mat_tree(path, keep=("imu.S1.*",))
    np.testing.assert_array_equal(tree["imu"]["S1"]["data"], np.ones((4, 2)))
    assert tree["imu"]["I1"] == {"data": (), "name": ()}


def test_more_than_two_dimensions_are_for_the_tree(tmp_path):
    path = tmp_path / "a.mat"
    values = np.arange(24.0).reshape(2, 3, 4)
    scipy.io.savemat(path, {"affine": values, "knee": np.arange(3.0)})
    np.testing.assert_array_equal(read_mat_tree(path)["affine"], values)
    assert list(read_mat(path)) == ["knee"]


def test_names_of_a_version_4_file_are_not_told(tmp_path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"knee": np.arange(400.0)}, format="4")
    with pytest.raises(DataError, match="byte order mark"):
        mat_fields(path)
    assert read_mat(path)["knee"].shape == (400,)


@pytest.mark.parametrize("compressed", [True, False])
def test_any_beginning_of_a_file_is_refused_with_a_sentence(tmp_path, compressed):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"imu": {"S1": np.arange(50.0), "I1": "x"}}, do_compression=compressed)
    whole = path.read_bytes()
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        if size == 128:
            continue
        with pytest.raises(DataError) as caught:
            mat_fields(path)
        assert len(caught.value.problems) == 1 and "a.mat" in str(caught.value)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_names_of_damaged_bytes_are_told_or_refused(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp()
    path = folder / "damaged.mat"
    scipy.io.savemat(path, {"imu": {"S1": np.arange(5.0), "I1": "x"}}, do_compression=data.draw(st.booleans()))
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw)
    try:
        assert all(isinstance(name, str) for name in mat_fields(path))
    except DataError as error:
        assert "\n" not in error.problems[0]
