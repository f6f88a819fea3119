"""What carries over from one laboratory, from virtual sensors or from one activity to another: folds, and distances."""

import hashlib
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinbench_benchmarks import protocols
from kinbench_benchmarks.protocols.harmonisation import steps_of
from kinbench_benchmarks.tasks import KNEE_PAIR, SAGITTAL
from runner_cases import TASK as TOY
from runner_cases import recording

from kinbench import contracts, plugins, runner, store
from kinbench.errors import LeakError, NotApplicable, UsageError
from kinbench.perturbations import Leg, perturb
from kinbench.protocol import check_leaks, fit_digest, fold_digest
from kinbench.recording import IndexEntry, Key, SensorEntry, TaskEntry, canonical_person
from kinbench.studies.distances import COMPONENTS, distances
from kinbench.tasks import Task
from kinbench.testing import check_protocol
from kinbench.testing.protocols import cohort
from kinbench.windows import Piece, TaskData, prepare

STUDIES = (
    protocols.CROSS_ACTIVITY, protocols.CROSS_DATASET_ADAPTED, protocols.CROSS_DATASET_FINETUNED,
    protocols.CROSS_DATASET_MIXTURES, protocols.HARMONISATION_OFF, protocols.LEAVE_ONE_DATASET_OUT,
    protocols.SIM_TO_REAL,
)  # fmt: skip
TASK = Task("knee", 1, "knee", ("thigh", "shank"), ("acc", "gyr"), ("knee_flexion",), 100.0, 16, 8, per_leg=True)
FRONTAL = replace(TASK, segments=("thigh_r",), dofs=("knee_flexion_r", "knee_adduction_r"), per_leg=False)


def lab(name, count, *, people=None, first=1, length=2000, activity="walking", origin="measured", **how):
    return [
        TaskEntry(
            Key(name, f"S{n}", "1", activity), f"{people or name}/S{n}", activity, "0" * 64, 100.0, 16, 20,
            ((0, length),), **{"convention": "isb_zxy", "sensor_origin": origin, **how},
        )
        for n in range(first, first + count)
    ]  # fmt: skip


def name_of(protocol):
    return protocol.card.name


def persons_in(fold, entries, *roles):
    owner = {str(entry.key): entry.person for entry in entries}
    return {owner[span.key] for role in roles for span in fold.roles.get(role, ())}


def datasets_in(fold, role):
    return {span.key.split("/")[0] for span in fold.roles[role]}


def sound(folds, entries):
    """Check what holds for every fold, and return them."""
    assert len({fold.name for fold in folds}) == len(folds)
    for fold in folds:
        check_leaks(fold, entries, signals=None)
        assert not persons_in(fold, entries, "fit", "validation") & set(fold.test_persons)
    twice = Counter((f.train_datasets, f.test_dataset, *f.condition.items(), p) for f in folds for p in f.test_persons)
    assert max(twice.values()) == 1, "a condition must score a person once"
    return folds


# --- what they promise -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", STUDIES, ids=name_of)
def test_each_is_a_registered_study_that_keeps_its_promises(protocol):
    assert isinstance(protocol, contracts.BenchmarkProtocol)
    assert plugins.get("protocols", protocol.card.name).load() is protocol
    assert protocol.card.study and not protocol.card.ranks
    check_protocol(protocol)


RUNS = st.lists(st.integers(0, 1500), min_size=2, max_size=6, unique=True).map(
    lambda edges: tuple(zip(sorted(edges)[::2], sorted(edges)[1::2], strict=False))
)
ENTRY = st.tuples(
    st.sampled_from("abc"), st.integers(1, 5), RUNS, st.sampled_from(["walking", "running"]),
    st.sampled_from(["measured", "synthetic", "mixed"]), st.booleans(),
)  # fmt: skip
MIXED = st.lists(ENTRY, min_size=4, max_size=16).map(
    lambda rows: [
        replace(
            lab(name, 1, people="shared" if shared else None, first=n, activity=activity, origin=origin)[0],
            key=Key(name, f"S{n}", "1", f"t{number}"), runs=runs,
        )
        for number, (name, n, runs, activity, origin, shared) in enumerate(rows)
    ]
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(entries=MIXED)
def test_whoever_is_in_whatever_dataset_no_fold_leaks(entries):
    for protocol in STUDIES:
        groups = [entries] if protocol.card.scope == "datasets" else [
            [e for e in entries if e.key.dataset == name] for name in "abc"
        ]  # fmt: skip
        for group in groups:
            try:
                folds = list(protocol.folds(group, TASK))
            except NotApplicable as reason:
                assert str(reason)
                continue
            sound(folds, group)


def test_people_known_by_another_name_are_one():
    """The same person as two datasets call him: AMASS's BMLmovi is MoVi. The task's entries bear the common name."""
    there = lab("movi", 4)
    there = [replace(e, person=f"movi/Subject_{n}") for n, e in enumerate(there, 1)]
    names = [f"amass/BMLmovi_Subject_{n}_F_MoSh" for n in (2, 3, 7, 8, 9)]
    here = lab("amass", 5, origin="synthetic")
    known = [replace(e, person=canonical_person(name)) for e, name in zip(here, names, strict=True)]
    assert {e.person for e in known} & {e.person for e in there} == {"movi/Subject_2", "movi/Subject_3"}
    folds = sound(protocols.SIM_TO_REAL.folds([*there, *known], TASK), [*there, *known])
    assert {f.test_persons for f in folds if f.condition["virtual"] == "same people"} == {
        ("movi/Subject_2",), ("movi/Subject_3",)
    }  # fmt: skip
    nobody_knew = [replace(e, person=name) for e, name in zip(here, names, strict=True)]
    folds = protocols.SIM_TO_REAL.folds([*there, *nobody_knew], TASK)
    (fold,) = [f for f in folds if f.condition["virtual"] == "others"]
    with pytest.raises(LeakError, match=r"person movi/Subject_[23] is on both sides"):
        check_leaks(fold, [*there, *nobody_knew], signals=None)


@pytest.mark.parametrize("protocol", STUDIES, ids=name_of)
def test_folds_are_the_same_for_ever(protocol):
    entries = cohort("a", 12) if protocol.card.scope == "dataset" else [
        *cohort("a", 12), *cohort("b", 4), *cohort("v", 6, people="b", sensor_origin="synthetic")
    ]  # fmt: skip
    text = "".join(fold_digest(fold, KNEE_PAIR, protocol.card) for fold in protocol.folds(entries, KNEE_PAIR))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == GOLDEN[protocol.card.name]


@pytest.mark.parametrize(
    ("protocol", "entries", "says"),
    [
        (protocols.CROSS_DATASET_ADAPTED, lab("a", 4), "needs two datasets.*only a"),
        (protocols.CROSS_DATASET_FINETUNED, [*lab("a", 2), *lab("b", 2)], "three persons of b.* and 2 have enough"),
        (protocols.LEAVE_ONE_DATASET_OUT, lab("a", 4), "needs two datasets"),
        (protocols.HARMONISATION_OFF, [], "there is none"),
        (protocols.CROSS_DATASET_MIXTURES, lab("a", 4), "no other source beside its own people"),
        (protocols.CROSS_DATASET_MIXTURES, lab("a", 4, origin="synthetic"), "nobody wore the sensors of 'knee'"),
        (protocols.SIM_TO_REAL, lab("a", 4), "none are virtual"),
        (protocols.SIM_TO_REAL, lab("a", 4, origin="synthetic"), "none are real"),
        (protocols.CROSS_ACTIVITY, lab("a", 4), "needs walking and running.*'a' has walking"),
        (
            protocols.CROSS_ACTIVITY, [*lab("a", 4), *lab("a", 4, activity="running_treadmill")],
            "'a' has running_treadmill, walking",
        ),
        (
            protocols.CROSS_ACTIVITY,
            [*lab("a", 1), *lab("a", 1, activity="running")],
            "two persons or more, .*'a' has one",
        ),
    ],
)  # fmt: skip
def test_a_study_without_meaning_says_why(protocol, entries, says):
    with pytest.raises(NotApplicable, match=says):
        protocol.folds(entries, TASK)


# --- adapted, tuned, left out ----------------------------------------------------------------------------------------


def test_adapted_is_the_model_of_cross_dataset_before_and_after():
    entries = [*lab("a", 6), *lab("b", 3), *lab("b", 1, people="a", first=9), *lab("a", 1, first=9)]
    folds = sound(protocols.CROSS_DATASET_ADAPTED.folds(entries, TASK), entries)
    (pair,) = [f for f in protocols.CROSS_DATASET.folds(entries, TASK) if f.name == "a -> b"]
    mine = [f for f in folds if f.train_datasets == ("a",) and f.test_dataset == "b"]
    assert {fit_digest(f, TASK) for f in mine} == {fit_digest(pair, TASK)}
    assert [(f.test_persons, f.condition["adapted"]) for f in mine] == [
        ((person,), adapted) for person in ("a/S9", "b/S1", "b/S2", "b/S3") for adapted in ("no", "yes")
    ]
    ua = {f.test_persons: f for f in protocols.UA.folds([e for e in entries if e.key.dataset == "b"], TASK)}
    for before, after in zip(mine[::2], mine[1::2], strict=True):
        assert before.roles["test"] == after.roles["test"] == ua[after.test_persons].roles["test"]
        assert not before.adapts and "stopping" not in before.roles
        for role in ("adaptation", "stopping", "test_long"):
            assert after.roles[role] == ua[after.test_persons].roles[role]
        assert any("a/S9 left out of the fit: the same person is in b" in note for note in after.notes)
    own = [f for f in folds if f.train_datasets == (f.test_dataset,)]
    assert {f.diagonal for f in own} == {"ug"} and {f.condition["adapted"] for f in own} == {"no", "yes"}


def test_everybody_of_a_small_target_is_tuned_on_stopped_on_and_tested_as_often_as_any_other():
    entries = [*lab("a", 3), *lab("b", 7)]
    folds = sound(protocols.CROSS_DATASET_FINETUNED.folds(entries, TASK), entries)
    mine = [f for f in folds if f.test_dataset == "b"]
    assert Counter(f.condition["persons"] for f in mine) == {0: 1, 1: 7, 2: 7, 4: 7}
    (pair,) = [f for f in protocols.CROSS_DATASET.folds(entries, TASK) if f.name == "a -> b"]
    assert {fit_digest(f, TASK) for f in mine} == {fit_digest(pair, TASK)}
    assert mine[0].roles == pair.roles and not mine[0].adapts
    tuned = defaultdict(dict)
    for fold in mine[1:]:
        size, draw = fold.condition["persons"], fold.condition["draw"]
        adapting, stopping = (persons_in(fold, entries, role) for role in ("adaptation", "stopping"))
        assert (len(adapting), len(stopping), len(fold.test_persons)) == (size, 1, 6 - size)
        assert fold.adapts_to == "dataset" and not (adapting | stopping) & set(fold.test_persons)
        tuned[draw][size] = adapting
    assert all(sizes[1] < sizes[2] < sizes[4] for sizes in tuned.values())
    for size in (1, 2, 4):
        some = [f for f in mine if f.condition["persons"] == size]
        assert set(Counter(p for f in some for p in f.test_persons).values()) == {6 - size}
        assert set(Counter(p for f in some for p in persons_in(f, entries, "stopping")).values()) == {1}


def test_a_large_target_has_ten_draws():
    entries = [*lab("a", 2), *lab("b", 25)]
    folds = sound(protocols.CROSS_DATASET_FINETUNED.folds(entries, TASK), entries)
    assert Counter(f.condition["persons"] for f in folds) == {0: 1, 1: 10, 2: 10, 4: 10, 8: 10, 16: 10}
    assert {f.test_dataset for f in folds} == {"b"}


def test_one_dataset_is_left_out_and_all_others_are_fitted_on():
    entries = [*lab("a", 6), *lab("b", 5), *lab("c", 4, people="a"), *lab("d", 2)]
    folds = sound(protocols.LEAVE_ONE_DATASET_OUT.folds(entries, TASK), entries)
    assert [f.name for f in folds] == [f"all others -> {name}" for name in "abcd"]
    last = folds[3]
    assert last.train_datasets == ("a", "b", "c") and datasets_in(last, "fit") == {"a", "b", "c"}
    assert not persons_in(last, entries, "fit") & persons_in(last, entries, "validation")
    first = folds[0]  # everybody of c is in a
    assert first.train_datasets == ("b", "d") and first.condition == {"datasets": 2}
    assert any("c is no source: nobody" in note for note in first.notes)


def test_frontal_angles_of_another_convention_are_no_source():
    entries = [*lab("a", 3), *lab("b", 3), *lab("c", 3, convention="visual3d")]
    assert protocols.LEAVE_ONE_DATASET_OUT.folds(entries, TASK)[0].train_datasets == ("b", "c")
    folds = protocols.LEAVE_ONE_DATASET_OUT.folds(entries, FRONTAL)
    assert [f.test_dataset for f in folds] == ["a", "b"] and folds[0].train_datasets == ("b",)
    assert any("c is no source: their angle conventions" in note for note in folds[0].notes)


# --- mixtures and virtual sensors ------------------------------------------------------------------------------------


def test_mixtures_change_nothing_but_what_is_fitted_on():
    entries = [
        *lab("a", 5), *lab("b", 3), *lab("b", 1, people="a", first=5), *lab("v", 6, people="a", origin="synthetic"),
    ]  # fmt: skip
    folds = sound(protocols.CROSS_DATASET_MIXTURES.folds(entries, TASK), entries)
    mine = [f for f in folds if f.test_dataset == "a"]
    assert {f.test_dataset for f in folds} == {"a", "b"}
    alone = {f.test_persons: f for f in protocols.UG.folds([e for e in entries if e.key.dataset == "a"], TASK)}
    used = {
        "own": {"a"}, "own+others": {"a", "b"}, "own+virtual": {"a", "v"}, "own+others+virtual": {"a", "b", "v"},
    }  # fmt: skip
    assert Counter(f.condition["sources"] for f in mine) == dict.fromkeys(used, 5)
    for fold in mine:
        ug = alone[fold.test_persons]
        assert set(fold.train_datasets) == used[fold.condition["sources"]] == datasets_in(fold, "fit")
        assert (fold.roles["test"], fold.roles["validation"]) == (ug.roles["test"], ug.roles["validation"])
        assert set(fold.roles["fit"]) >= set(ug.roles["fit"])
        assert not persons_in(fold, entries, "fit") & persons_in(fold, entries, "validation")
        if fold.condition["sources"] == "own":
            assert fit_digest(fold, TASK) == fit_digest(ug, TASK)
        if "virtual" in fold.condition["sources"]:  # his own people's virtual sensors too, and somebody else's
            assert {e.person for e in entries if e.key.dataset == "v"} - persons_in(fold, entries, "fit") == {
                *fold.test_persons, *persons_in(fold, entries, "validation")
            }  # fmt: skip


def test_without_virtual_sensors_there_are_two_mixtures_and_mixed_ones_are_told():
    entries = [*lab("a", 3), *lab("b", 3), *lab("m", 2, origin="mixed")]
    folds = sound(protocols.CROSS_DATASET_MIXTURES.folds(entries, TASK), entries)
    assert {f.condition["sources"] for f in folds} == {"own", "own+others"}
    assert all("m" not in f.train_datasets and any("2 recordings of m left out" in n for n in f.notes) for f in folds)


def test_virtual_sensors_of_the_same_people_and_of_others_are_told_apart():
    entries = [*lab("real", 4), *lab("virtual", 6, people="real", first=2, origin="synthetic")]
    folds = sound(protocols.SIM_TO_REAL.folds(entries, TASK), entries)
    by = defaultdict(list)
    for fold in folds:
        by[fold.condition["virtual"]].append(fold)
        assert all(s.start == 0 and s.stop == 2000 for s in fold.roles["test"])
    assert [f.test_persons for f in by["same people"]] == [("real/S2",), ("real/S3",), ("real/S4",)]
    assert [f.test_persons for f in by["none"]] == [(f"real/S{n}",) for n in (1, 2, 3, 4)]
    (others,) = by["others"]
    assert others.test_persons == ("real/S1", "real/S2", "real/S3", "real/S4")
    assert persons_in(others, entries, "fit", "validation") == {"real/S5", "real/S6", "real/S7"}
    assert len(persons_in(others, entries, "validation")) == 1
    for fold in (*by["same people"], others):
        assert datasets_in(fold, "fit") == datasets_in(fold, "validation") == {"virtual"} == {*fold.train_datasets}
        assert datasets_in(fold, "test") == {"real"}
    for fold in by["same people"]:
        seen = persons_in(fold, entries, "fit", "validation")
        assert seen == {"real/S2", "real/S3", "real/S4"} - {*fold.test_persons}
    assert {f.diagonal for f in by["none"]} == {"ug"} and {f.train_datasets for f in by["none"]} == {("real",)}


def test_a_dataset_may_hold_both_and_ten_folds_are_dealt_above_ten_people():
    worn, computed = lab("both", 12), lab("both", 12, origin="synthetic")
    entries = [*worn, *(replace(e, key=replace(e.key, trial="f")) for e in computed)]
    folds = sound(protocols.SIM_TO_REAL.folds(entries, TASK), entries)
    same = [f for f in folds if f.condition["virtual"] == "same people"]
    assert len(same) == 10
    assert sorted(p for f in same for p in f.test_persons) == sorted(e.person for e in worn)
    assert all(s.key.endswith("/f") for f in same for role in ("fit", "validation") for s in f.roles[role])
    assert all(not s.key.endswith("/f") for f in same for s in f.roles["test"])
    ug = protocols.UG.folds([e for e in entries if e.sensor_origin == "measured"], TASK)
    assert [f.test_persons for f in same] == [f.test_persons for f in ug]
    assert any("no virtual sensors of other people" in note for note in folds[0].notes)


# --- activities ------------------------------------------------------------------------------------------------------


def test_activities_that_differ_in_one_thing_are_fitted_and_tested_crosswise():
    entries = [
        *lab("a", 4), *lab("a", 3, activity="running"), *lab("a", 4, activity="walking_treadmill"),
        *lab("a", 4, activity="squat"),
    ]  # fmt: skip
    folds = sound(protocols.CROSS_ACTIVITY.folds(entries, TASK), entries)
    pairs = {(f.condition["fitted_activity"], f.condition["tested_activity"]) for f in folds}
    names = {"walking", "running", "walking_treadmill"}
    assert pairs == {*((n, n) for n in names), *((n, "walking") for n in names), *(("walking", n) for n in names)}
    for fold in folds:
        fitted, tested = fold.condition["fitted_activity"], fold.condition["tested_activity"]
        assert {s.key.split("/")[-1] for role in ("fit", "validation") for s in fold.roles[role]} == {fitted}
        assert {s.key.split("/")[-1] for s in fold.roles["test"]} == {tested}
    seconds = defaultdict(set)
    for fold in folds:
        seconds[fold.test_persons, fold.condition["tested_activity"]].add(fold.roles["test"])
    assert all(len(spans) == 1 for spans in seconds.values())
    assert ("a/S4",) not in {person for person, tested in seconds if tested == "running"}


# --- steps of harmonisation ------------------------------------------------------------------------------------------


def test_every_step_left_out_is_tested_with_the_model_of_cross_dataset():
    entries = [*lab("a", 3), *lab("b", 2)]
    folds = sound(protocols.HARMONISATION_OFF.folds(entries, KNEE_PAIR), entries)
    pairs = {f.name: f for f in protocols.CROSS_DATASET.folds(entries, KNEE_PAIR)}
    steps, notes = steps_of(KNEE_PAIR)
    assert [s.name for s in steps] == [
        "none", "clocks", "unit of acc", "sign of acc", "unit of gyr", "segment axes", "mirrored left legs",
    ]  # fmt: skip
    assert not notes and len(folds) == 2 * len(steps)
    for fold in folds:
        assert fit_digest(fold, KNEE_PAIR) == fit_digest(pairs[fold.name.split(":")[0]], KNEE_PAIR)
        assert not fold.fit_changes and bool(fold.test_changes) == (fold.condition["step"] != "none")


@pytest.mark.parametrize("task", [KNEE_PAIR, SAGITTAL, replace(KNEE_PAIR, axes="sensor"), TOY], ids=lambda t: t.name)
def test_every_step_of_a_task_can_be_left_out_of_its_inputs(task):
    steps, notes = steps_of(task)
    values = np.random.default_rng(0).normal(size=(300, len(task.channel_names))).astype(np.float32)
    targets = np.zeros((300, len(task.dofs)), np.float32)
    leg = Leg(task, "a/S1", task.legs[-1], values, targets, np.ones(targets.shape, bool))
    changed = [not np.array_equal(perturb(leg, step.changes).signals, values) for step in steps]
    assert changed == [False] + [True] * (len(steps) - 1)
    mirrors = task.per_leg and task.axes == "segment"
    assert ("mirroring is no step here: the task mirrors no leg" in notes) == (not mirrors)


def test_no_step_can_be_undone_on_lengths_alone():
    with pytest.raises(NotApplicable, match="lengths without their vectors"):
        protocols.HARMONISATION_OFF.folds([*lab("a", 3), *lab("b", 2)], replace(TASK, channels=("gyr_norm",)))


# --- run -------------------------------------------------------------------------------------------------------------


def made(folder, name, subjects, *, people=None, origin="measured"):
    path = folder / f"{name}.zarr"
    with store.create(path, dataset=name, card={"name": name, "simulation": True}) as writer:
        for subject in subjects:
            one = recording(people or name, subject)
            key, attrs = replace(one.key, dataset=name), {**one.attrs, "dataset": name}
            imu = one.imu.assign_coords(origin=("sensor", [origin] * one.imu.sizes["sensor"]))
            writer.write(replace(one, key=key, imu=imu, attrs=attrs))
    return store.open(path)


def test_models_are_fitted_on_computed_sensors_and_tested_on_worn_ones(tmp_path):
    real = made(tmp_path, "real", ("S1", "S2", "S3"))
    virtual = made(tmp_path, "virtual", ("S2", "S3", "S4", "S5"), people="real", origin="synthetic")
    for some, origin in ((real, "measured"), (virtual, "synthetic")):
        assert {entry.sensor_origin for entry in prepare(some, TOY, cache=tmp_path / "c").entries} == {origin}
    chosen = {name_of(p): p for p in (protocols.SIM_TO_REAL, protocols.CROSS_DATASET_MIXTURES)}
    plan = runner.plan(
        [real, virtual], chosen, {"toy-knee": TOY}, ["ridge"], seeds=(0,), results=tmp_path / "r", cache=tmp_path / "c"
    )  # fmt: skip
    done = runner.run(plan)
    assert not done.failed and not plan.skipped
    found = Counter((r.protocol.name, *r.fold.condition.values()) for r in done.made)
    assert found == {
        ("sim-to-real", "same people"): 2, ("sim-to-real", "others"): 1, ("sim-to-real", "none"): 3,
        ("cross-dataset/mixtures", "own"): 3, ("cross-dataset/mixtures", "own+virtual"): 3,
    }  # fmt: skip


def test_tuning_and_adapting_across_laboratories_help_those_they_are_for(tmp_path):
    labs = [made(tmp_path, "lab-a", ("S1", "S2", "S3")), made(tmp_path, "lab-b", ("X1", "X2", "X3"))]
    chosen = {name_of(p): p for p in (protocols.CROSS_DATASET_ADAPTED, protocols.CROSS_DATASET_FINETUNED)}
    plan = runner.plan(
        labs, chosen, {"toy-knee": TOY}, ["ridge"], seeds=(0,), results=tmp_path / "r", cache=tmp_path / "c"
    )  # fmt: skip
    done = runner.run(plan)
    assert not done.failed, done.text()
    error = defaultdict(list)
    for result in done.made:
        if result.protocol.name == "cross-dataset-adapted":
            error[result.fold.condition["adapted"]].append(result.scores[0].values["rmse"])
    assert np.mean(error["yes"]) < np.mean(error["no"])
    across = {r.fit_key for r in done.made if r.fold.train_datasets == ("lab-a",) and r.fold.test_dataset == "lab-b"}
    assert len(across) == 1


# --- distances -------------------------------------------------------------------------------------------------------

PAIR = replace(KNEE_PAIR, moving=None)
UP = np.array([0, 9.81, 0])


def motion(name, *, change=lambda acc, gyr: (acc, gyr), reach=60.0, step=110, persons=3, site="lateral", seed=0, **how):
    """Three people's noise about gravity on the y axis, seen by ``change``; and their index entries."""
    n = 2000
    signals, targets, pieces, entries, index = [], [], [], [], []
    for number in range(persons):
        random = np.random.default_rng([seed, number])
        parts = [
            part for _ in PAIR.segments for part in change(UP + random.normal(size=(n, 3)), random.normal(size=(n, 3)))
        ]
        signals.append(np.concatenate(parts, axis=1))
        targets.append(np.linspace(0, reach, n)[:, None])
        key = Key(name, f"S{number}", "1", "t")
        entries.append(
            TaskEntry(key, key.person, "walking", "0" * 64, 100.0, 128, 128, ((0, n),), strides=(*range(0, n, step),))
        )
        found = how.get("found", "static")
        sensors = tuple(
            SensorEntry(f"s{s}", f"{s}_r", "right", found, "measured", site, "mid") for s in PAIR.segments
        )  # fmt: skip
        index.append(
            IndexEntry(
                key, key.person, "", "walking", 20.0, 100.0, 100.0, sensors, ("acc", "gyr"), "specific_force",
                ("knee_flexion_r",), "isb_zxy", None, False,
            )
        )  # fmt: skip
        pieces.append(Piece(number, 0, number * n, n, ((0, n),)))
    task = how.get("task", PAIR)
    data = TaskData(
        task, name, tuple(entries), (), tuple(pieces), np.concatenate(signals).astype(np.float32),
        np.concatenate(targets).astype(np.float32), np.ones((persons * n, 1), bool), (), np.empty(0),
        np.empty(0, dtype=np.uint64),
    )  # fmt: skip
    return data, index


def between(one, other):
    tables = distances([one[0], other[0]], {one[0].store_name: one[1], other[0].store_name: other[1]})
    for name, table in tables.items():
        assert list(table.index) == list(table.columns) == [one[0].store_name, other[0].store_name]
        np.testing.assert_array_equal(table.values, table.values.T)
        assert (np.diag(table) == 0).all() or name == "combined"
    return {name: table.iloc[0, 1] for name, table in tables.items()}, tables


def test_the_same_data_are_at_no_distance():
    found, tables = between(motion("a"), motion("b"))
    assert {name: found[name] for name in COMPONENTS} == pytest.approx(dict.fromkeys(COMPONENTS, 0.0), abs=1e-5)
    assert np.isnan(found["combined"]) and tables["combined"].attrs["components"] == ()


def test_ten_times_the_amplitude_is_20_db():
    def ten(acc, gyr):
        return UP + (acc - UP) * 10, gyr * 10

    found, _ = between(motion("a"), motion("b", change=ten))
    assert found["spectra"] == pytest.approx(20.0, abs=0.01)
    assert found["speed"] == pytest.approx(9 * np.sqrt(3), rel=0.02)


@settings(max_examples=10, deadline=None)
@given(angle=st.floats(1, 179))
def test_turned_axes_are_at_their_angle(angle):
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    found, _ = between(motion("a"), motion("b", change=lambda acc, gyr: (acc @ turn.T, gyr @ turn.T)))
    assert found["gravity"] == pytest.approx(angle, abs=0.01)
    assert found["range"] == 0 and found["speed"] == pytest.approx(0, abs=1e-5)


def test_reach_cadence_sites_and_calibration_are_in_their_units():
    found, tables = between(
        motion("a"), motion("b", reach=50.0, step=120, site="anterior", found="functional")
    )  # fmt: skip
    assert found["range"] == pytest.approx(0.9 * 10, rel=1e-3)
    assert found["cadence"] == pytest.approx(6000 / 110 - 6000 / 120)
    # From the side to the front of thigh and shank: the skin is as far both ways there.
    assert found["placement"] == pytest.approx(np.sqrt(2) * (0.19 + 0.125) / 2)
    assert found["calibration"] == 1.0
    assert tables["combined"].attrs["components"] == ("range", "cadence", "placement", "calibration")
    assert found["combined"] == pytest.approx(1.0)


def test_what_nobody_wrote_down_is_not_taken_for_the_same():
    task = replace(PAIR, acc_kind="gravity_removed", axes="sensor")
    found, tables = between(
        motion("a", site="unknown", task=task), motion("b", site="unknown", step=3000, reach=50.0, task=task)
    )  # fmt: skip
    assert all(np.isnan(found[name]) for name in ("placement", "cadence", "gravity"))
    assert tables["combined"].attrs["components"] == ("range",)


def test_stretches_shorter_than_a_window_have_no_spectrum():
    one, index = motion("a")
    short = replace(one, pieces=tuple(replace(p, runs=((0, 100),)) for p in one.pieces))
    found, _ = between((short, index), motion("b"))
    assert np.isnan(found["spectra"]) and np.isfinite(found["speed"])


def test_datasets_that_cannot_be_compared_are_refused():
    one, other = motion("a")[0], motion("b")[0]
    for data, says in (
        ([one], "two datasets or more, and there is a"),
        ([one, one], "got a more than once"),
        ([one, replace(other, task=replace(PAIR, name="another"))], "as one task sees them, got another, knee-pair"),
        ([one, replace(other, pieces=())], "Nothing of b feeds"),
    ):
        with pytest.raises(UsageError, match=says):
            distances(data, {})


GOLDEN = {
    "cross-activity": "0e5323db3aa0aa35",
    "cross-dataset-adapted": "ccd390860db0cf44",
    "cross-dataset-finetuned": "ca303fe6d322a6c6",
    "cross-dataset/mixtures": "14df6035af73cc30",
    "harmonisation-off": "d58463b6f6bcf24f",
    "leave-one-dataset-out": "bfe4df480cb4b013",
    "sim-to-real": "f66dfa747a72dee7",
}
"""Digests of digests: a change of any of them is a new version of the protocol."""
