"""A recording's name sorts as people expect, and what is put into a stream comes out again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_cases import recording

from kinbench import schema
from kinbench.recording import Key, Placement, TaskEntry, imu_dataset, placements_of, with_rotations

names = st.from_regex(schema.IDENTIFIER, fullmatch=True)


@given(parts=st.lists(names, min_size=4, max_size=4))
@settings(max_examples=50, deadline=None)
def test_a_key_prints_as_a_path_and_back(parts):
    assert Key.parse(str(Key(*parts))) == Key(*parts)


def test_keys_sort_as_people_count():
    trials = ["walk10", "walk2", "walk1", "run1"]
    assert [key.trial for key in sorted(Key("d", "S", "1", trial) for trial in trials)] == [
        "run1", "walk1", "walk2", "walk10",
    ]  # fmt: skip


@given(keys=st.lists(st.tuples(names, names), min_size=2, max_size=6, unique=True), seed=st.randoms())
@settings(max_examples=30, deadline=None)
def test_the_order_of_keys_does_not_depend_on_where_they_start(keys, seed):
    made = [Key("d", subject, "1", trial) for subject, trial in keys]
    shuffled = seed.sample(made, len(made))
    assert sorted(shuffled, key=lambda key: (key.sort_key, str(key))) == sorted(
        made, key=lambda key: (key.sort_key, str(key))
    )


@pytest.mark.parametrize("text", ["a/b/c", "a/b/c/d/e", ""])
def test_another_form_is_no_key(text):
    with pytest.raises(ValueError, match="values to unpack"):
        Key.parse(text)


def test_placements_come_out_as_they_went_in():
    turn = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    before = [
        Placement("a", "thigh_r", "right", "lateral", "mid", turn, "declared", "strap", "measured", "MTw", 0.002),
        Placement("b", "pelvis", "midline"),
    ]
    acc = (np.zeros((2, 2, 3)), {"units": "m s-2"})
    after = placements_of(imu_dataset([0.0, 0.01], before, {"acc": acc}))
    np.testing.assert_array_equal(after[0].rotation, turn)
    assert after[1].rotation is None
    for one, other in zip(before, after, strict=True):
        same = (field for field in Placement.__dataclass_fields__ if field != "rotation")
        assert all(getattr(one, field) == getattr(other, field) for field in same)


def test_a_rotation_found_later_replaces_only_its_own():
    imu = with_rotations(recording().imu, {"b": (np.eye(3), "functional")})
    assert imu["rotation_origin"].values.tolist() == ["declared", "functional"]
    assert recording().imu["rotation_origin"].values.tolist() == ["declared", "unknown"]


def test_a_step_is_added_and_the_original_keeps_its_history():
    before = recording()
    after = before.with_step("filter", cutoff_hz=6.0)
    assert after.attrs["history"] == [*before.attrs["history"], {"step": "filter", "cutoff_hz": 6.0}]
    assert len(before.attrs["history"]) == 1


def test_a_task_entry_counts_its_samples():
    entry = TaskEntry(Key("d", "S", "1", "t"), "d/S", "walking", "0", 100.0, 128, 128, ((0, 10), (20, 25)))
    assert entry.samples == 15
