"""Inputs without answers: every recording that has sensors gives windows, whoever measured a reference or did not."""

from dataclasses import replace

import numpy as np
import pytest

from kinbench import schema, store, windows
from kinbench.errors import UsageError
from kinbench.recording import Key, Placement, Recording, angle_dataset, imu_dataset
from kinbench.tasks import Moving, Task

RATE_HZ = 100.0
TASK = Task(
    name="toy", version=1, title="Hip and knee flexion", segments=("pelvis", "thigh_r", "shank_r"),
    channels=("acc", "gyr"), dofs=("knee_flexion_r",), rate_hz=RATE_HZ, window=64, stride=32,
    activities=("walking",), moving=None,
)  # fmt: skip
PAIR = replace(TASK, name="toy-pair", segments=("thigh", "shank"), dofs=("knee_flexion",), per_leg=True)
EVERYTHING = ("pelvis", "thigh_r", "shank_r")


def recording(subject, *, segments=EVERYTHING, seconds=10.0, trial="walk", activity="walking", reference=False,
              unturned=(), acc_kind="specific_force", change=lambda acc, gyr: None):  # fmt: skip
    rng = np.random.default_rng(sum(map(ord, subject + trial)))
    samples = int(seconds * RATE_HZ)
    acc = rng.normal(0, 2.0, (samples, len(segments), 3))
    gyr = rng.normal(0, 1.5, (samples, len(segments), 3))
    change(acc, gyr)
    time = np.arange(samples) / RATE_HZ
    places = [
        Placement(name, name, "right")
        if name in unturned
        else Placement(name, name, "right", rotation=np.eye(3), rotation_origin="declared")
        for name in segments
    ]
    signals = {
        "acc": (acc, {"units": "m s-2", "frame": "sensor", "kind": acc_kind}),
        "gyr": (gyr, {"units": "rad s-1", "frame": "sensor"}),
    }
    angles = None
    if reference:
        angles = angle_dataset(time, ("knee_flexion_r",), np.sin(time)[:, None], units="deg", convention="isb_zxy",
                               tier="simulation")  # fmt: skip
    return Recording(
        Key("lab", subject, "1", trial), imu_dataset(time, places, signals), angles,
        {
            "schema_version": schema.SCHEMA_VERSION, "dataset": "lab", "dataset_version": "1", "subject": subject,
            "session": "1", "trial": trial, "person": f"lab/{subject}", "activity": activity,
            "licence": {"id": "CC0-1.0", "redistributable": True}, "rates": {"imu": {"nominal_hz": RATE_HZ}},
            "world": "Y up", "sync": {"method": "same_clock" if reference else "none"},
            "source": [{"name": "walk.csv", "sha256": "0" * 64}], "adapter": {"name": "toy", "version": "1"},
            "history": [], "simulation": True, "absent": {},
        },
    )  # fmt: skip


def laboratory(folder, *recordings):
    with store.create(folder / "lab.zarr", dataset="lab", card={"name": "lab", "simulation": True}) as writer:
        for one in recordings:
            writer.write(one)
    return store.open(folder / "lab.zarr")


def found(folder, *recordings, task=TASK):
    return windows.inputs(laboratory(folder, *recordings), task, cache=folder / "cache")


# --- what gives windows ----------------------------------------------------------------------------------------------


def test_takes_what_has_no_reference_and_does_what_the_task_does_not_admit(tmp_path):
    mine = found(tmp_path, recording("A"), recording("B", activity="jumping", reference=True))
    each = (1000 - 64) // 32 + 1
    assert mine.counts == {"lab/A": each, "lab/B": each}
    assert mine.excluded == ()
    assert mine.windows.spec.segments == EVERYTHING
    assert mine.windows.x.shape == (2 * each, 64, 18)
    assert np.isfinite(mine.windows.x).all()
    assert mine.windows.present.all()
    assert set(mine.digests) == {"lab/A/1/walk", "lab/B/1/walk"}


def test_never_reads_a_reference(tmp_path):
    real = laboratory(tmp_path, recording("A", reference=True))

    class Blind:
        name, digest, entries, read_inputs = real.name, real.digest, real.entries, real.read_inputs

        def read(self, key):
            raise AssertionError("a reference was read")

    assert len(windows.inputs(Blind(), TASK, cache=tmp_path / "cache"))


def test_an_absent_sensor_is_nan_and_said_to_be_absent_and_one_is_enough(tmp_path):
    mine = found(tmp_path, recording("A", segments=("pelvis", "shank_r")), recording("B", segments=("thigh_r",)))
    for person, there in (("lab/A", [True, False, True]), ("lab/B", [False, True, False])):
        of = mine.of([person])
        assert (of.present == there).all()
        known = np.isfinite(of.x).reshape(-1, 3, 6)
        assert (known == np.array(there)[None, :, None]).all()


def test_a_sensor_whose_axes_nobody_knows_counts_as_absent_where_axes_matter(tmp_path):
    made = laboratory(tmp_path, recording("A", unturned=("thigh_r",)), recording("B", unturned=EVERYTHING))
    mine = windows.inputs(made, TASK, cache=tmp_path / "cache")
    assert (mine.windows.present == [True, False, True]).all()
    assert mine.excluded == (
        ("lab/B/1/walk", "it has no sensor with known axes on any of pelvis, thigh_r, shank_r"),
    )  # fmt: skip
    assert windows.inputs(made, replace(TASK, axes="sensor"), cache=tmp_path / "cache").windows.present.all()


def test_other_kinds_of_acceleration_and_short_recordings_are_named(tmp_path):
    mine = found(tmp_path, recording("A", acc_kind="gravity_removed"), recording("B", seconds=0.5))
    assert len(mine) == 0
    assert mine.persons == ()
    assert mine.windows.x.shape == (0, 64, 18)
    reasons = dict(mine.excluded)
    assert "gravity_removed" in reasons["lab/A/1/walk"]
    assert reasons["lab/B/1/walk"] == "it has no whole window in which somebody moves as a body can"


def test_both_legs_give_windows_the_left_one_mirrored_and_a_leg_without_sensors_none(tmp_path):
    both = recording("A", segments=("thigh_r", "shank_r", "thigh_l", "shank_l"))
    right = recording("B", segments=("thigh_r", "shank_r"))
    mine = found(tmp_path, both, right, task=PAIR)
    assert mine.counts["lab/A"] == 2 * mine.counts["lab/B"]
    left = mine.of(["lab/A"]).x[mine.counts["lab/B"]]
    worn = both.imu["acc"].values[:64, 2]
    np.testing.assert_allclose(left[:, :3], worn * [1, 1, -1], rtol=1e-6)


def test_the_tasks_rule_of_motion_holds(tmp_path):
    def still_then_moving(acc, gyr):
        gyr[:500] = 0.0

    one = recording("A", change=still_then_moving)
    moving = found(tmp_path, one, task=replace(TASK, moving=Moving()))
    assert 0 < len(moving) < len(windows.inputs(store.open(tmp_path / "lab.zarr"), TASK, cache=tmp_path / "cache"))


# --- what is left out ------------------------------------------------------------------------------------------------


def test_static_and_impossible_windows_are_left_out_and_counted(tmp_path):
    def still_hit_and_spun(acc, gyr):
        acc[:256] = [0.0, 9.81, 0.0]  # windows 0 to 6
        acc[400, 1, 2] = -161.0  # of windows 11 and 12
        gyr[600, 2, 0] = 35.1  # of windows 17 and 18

    mine = found(tmp_path, recording("A", change=still_hit_and_spun))
    assert (mine.static, mine.impossible) == (7, 4)
    assert len(mine) == 30 - 7 - 4
    assert np.abs(mine.windows.x).max() < 35.0


@pytest.mark.parametrize(("sd", "kept"), [(0.15, 0), (0.25, 30)])
def test_the_threshold_of_stillness_is_the_papers(tmp_path, sd, kept):
    def shaken(acc, gyr):
        acc[:] = np.where(np.arange(len(acc)) % 2, sd, -sd)[:, None, None] + 9.81

    assert len(found(tmp_path, recording("A", change=shaken))) == kept


# --- whose the windows are -------------------------------------------------------------------------------------------


def test_of_a_person_holds_nothing_of_anybody_else(tmp_path):
    mine = found(tmp_path, recording("A"), recording("B"), recording("B", trial="again"), recording("C"))
    of = mine.of(["lab/B"], weight=2.5)
    theirs = [mine.windows.signals[s : s + 64] for s in mine.windows.starts[mine.person == 1]]
    np.testing.assert_array_equal(of.x, theirs)
    assert len(of.signals) < len(mine.windows.signals) / 2 + 1
    assert of.weight.tolist() == [2.5] * len(of)
    assert mine.of(["lab/B"]).weight is None
    assert len(mine.of([])) == 0
    assert mine.keys == ("lab/A/1/walk", "lab/B/1/again", "lab/B/1/walk", "lab/C/1/walk")
    assert [mine.keys[number] for number in np.unique(mine.recording[mine.person == 1])] == list(mine.keys[1:3])


def test_pooled_windows_are_those_of_each_and_weigh_what_they_weighed(tmp_path):
    mine = found(tmp_path, recording("A"), recording("B"), recording("C"))
    parts = [mine.of(["lab/C"]), mine.of([]), mine.of(["lab/A"], weight=3.0)]
    together = windows.pool(parts)
    np.testing.assert_array_equal(together.x, np.concatenate([part.x for part in parts]))
    assert together.weight.tolist() == [1.0] * len(parts[0]) + [3.0] * len(parts[2])
    assert windows.pool([parts[0], parts[0]]).weight is None
    with pytest.raises(UsageError, match="cannot be pooled"):
        windows.pool([parts[0], replace(parts[0], spec=replace(parts[0].spec, task="other"))])
    with pytest.raises(UsageError, match="nothing to pool"):
        windows.pool([])


def test_the_cache_gives_the_same_without_reading_again(tmp_path):
    made = laboratory(tmp_path, recording("A"), recording("B", segments=("pelvis",)))
    first = windows.inputs(made, TASK, cache=tmp_path / "cache")

    class Closed:
        name, digest, entries = made.name, made.digest, made.entries

        def read_inputs(self, key):
            raise AssertionError("read again")

    again = windows.inputs(Closed(), TASK, cache=tmp_path / "cache")
    np.testing.assert_array_equal(again.windows.x, first.windows.x)
    assert (again.persons, again.keys, again.digests) == (first.persons, first.keys, first.digests)
    assert windows.inputs(made, replace(TASK, stride=64), cache=tmp_path / "cache").counts != first.counts
