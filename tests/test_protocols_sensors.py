"""Fewer sensors, and sensors put on wrongly: the folds, and what the runner makes of them."""

import hashlib
from dataclasses import replace
from functools import reduce
from itertools import combinations
from operator import add

import numpy as np
import pytest
from kinbench_benchmarks.models._sums import Sums
from kinbench_benchmarks.models.ridge import Ridge
from kinbench_benchmarks.protocols import (
    PLACEMENT_STRESS,
    PLACEMENT_STRESS_AUGMENTED,
    PLACEMENT_STRESS_RAPP,
    PLACEMENT_STRESS_SITES,
    SENSOR_SUBSETS_UA,
    SENSOR_SUBSETS_UG,
    SENSOR_SUBSETS_UI,
    UA,
    UG,
    UI,
)
from kinbench_benchmarks.protocols.placement import NO_STRESS, stresses_of
from kinbench_benchmarks.tasks import KNEE_PAIR, KNEE_PAIR_FREE_ACC, SAGITTAL
from runner_cases import recording

from kinbench import contracts, plugins, store
from kinbench.errors import LeakError, NotApplicable
from kinbench.perturbations import KINDS, Change, Leg, perturb
from kinbench.protocol import Fold, ProtocolCard, check_leaks, fit_digest, fold_digest
from kinbench.recording import Key, Placement, Recording, Span, TaskEntry, imu_dataset
from kinbench.runner import plan, run
from kinbench.runner.predictions import unpack
from kinbench.runner.workspace import Workspace
from kinbench.tasks import Task
from kinbench.testing import check_model, check_protocol

SUBSETS = {SENSOR_SUBSETS_UI: UI, SENSOR_SUBSETS_UG: UG, SENSOR_SUBSETS_UA: UA}
STRESSES = (PLACEMENT_STRESS, PLACEMENT_STRESS_AUGMENTED, PLACEMENT_STRESS_SITES)
ALL = (*SUBSETS, *STRESSES, PLACEMENT_STRESS_RAPP)


def lab(persons, task):
    return [
        TaskEntry(
            Key("lab", f"S{n}", "1", "t"), f"lab/S{n}", "walking", "0" * 64, 100.0, task.window, task.window,
            ((0, 12000),), convention="isb_zxy",
        )
        for n in range(1, persons + 1)
    ]  # fmt: skip


def name_of(protocol):
    return protocol.card.name


# --- what they promise -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ALL, ids=name_of)
def test_each_is_a_registered_study(protocol):
    assert isinstance(protocol, contracts.BenchmarkProtocol)
    assert plugins.get("protocols", protocol.card.name).load() is protocol
    assert protocol.card.study and not protocol.card.ranks


@pytest.mark.parametrize("protocol", [*SUBSETS, PLACEMENT_STRESS_RAPP], ids=name_of)
def test_each_keeps_what_a_protocol_promises(protocol):
    check_protocol(protocol)


def test_placement_stress_leaks_nothing_and_is_the_same_in_any_order():
    """``check_protocol`` takes as long for its 207 folds a person as for all others together."""
    entries = lab(3, KNEE_PAIR)
    folds = PLACEMENT_STRESS.folds(entries, KNEE_PAIR)
    assert folds == PLACEMENT_STRESS.folds(entries[::-1], KNEE_PAIR)
    for fold in folds[::50]:
        check_leaks(fold, entries, signals=None)


@pytest.mark.parametrize("protocol", ALL, ids=name_of)
def test_names_are_unique_and_conditions_tell_folds_of_a_person_apart(protocol):
    folds = protocol.folds(lab(3, SAGITTAL), SAGITTAL)
    assert len({fold.name for fold in folds}) == len(folds)
    assert len({(fold.test_persons, *fold.condition.items()) for fold in folds}) == len(folds)
    assert len({tuple(fold.condition) for fold in folds}) == 1


# --- fewer sensors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("protocol", "base"), SUBSETS.items(), ids=name_of)
def test_every_set_of_sensors_once_on_the_seconds_of_the_base(protocol, base):
    entries = lab(3, SAGITTAL)
    folds, bases = protocol.folds(entries, SAGITTAL), base.folds(entries, SAGITTAL)
    assert len(folds) == 127 * len(bases)
    wanted = {sensors for count in range(1, 8) for sensors in combinations(SAGITTAL.segments, count)}
    for number, fold in enumerate(bases):
        mine = folds[127 * number : 127 * (number + 1)]
        assert {tuple(f.condition["sensors"].split("+")) for f in mine} == wanted
        assert all(f.roles == fold.roles and f.test_persons == fold.test_persons for f in mine)
        whole, *smaller = mine
        assert whole.segments is None and whole.condition["count"] == 7
        assert fit_digest(whole, SAGITTAL) == fit_digest(fold, SAGITTAL)
        assert all("+".join(f.segments) == f.condition["sensors"] for f in smaller)
        assert all(len(f.segments) == f.condition["count"] for f in smaller)
        assert len({fit_digest(f, SAGITTAL) for f in mine}) == 127
        assert smaller[0].narrowed(SAGITTAL).segments == ("pelvis",)
        assert whole.name == f"{fold.name}: {'+'.join(SAGITTAL.segments)}"


def test_adapted_and_generalised_subsets_share_their_fits():
    entries = lab(3, SAGITTAL)
    ug, ua = ({fit_digest(f, SAGITTAL) for f in p.folds(entries, SAGITTAL)} for p in (SENSOR_SUBSETS_UG,
              SENSOR_SUBSETS_UA))  # fmt: skip
    assert ug == ua


@pytest.mark.parametrize(
    ("protocol", "persons", "segments", "says"),
    [
        (SENSOR_SUBSETS_UG, 3, ("shank",), "'sensor-subsets/ug' needs a task of 2 to 8 sensors.*has 1"),
        (SENSOR_SUBSETS_UI, 3, tuple(f"s{n}" for n in range(9)), "has 9"),
        (SENSOR_SUBSETS_UG, 1, ("thigh", "shank"), "'sensor-subsets/ug' needs two persons"),
        (PLACEMENT_STRESS, 1, ("thigh", "shank"), "'placement-stress' needs two persons"),
    ],
)
def test_a_study_without_meaning_says_why(protocol, persons, segments, says):
    task = replace(KNEE_PAIR, segments=segments)
    with pytest.raises(NotApplicable, match=says):
        protocol.folds(lab(persons, task), task)


# --- wrong sensors ---------------------------------------------------------------------------------------------------


def leg(task):
    random = np.random.default_rng(1)
    n = 2000  # enough for one packet in a hundred to be lost
    return Leg(
        task, "lab/S1", task.legs[0], random.normal(size=(n, len(task.channel_names))).astype(np.float32),
        np.zeros((n, len(task.dofs)), np.float32), np.ones((n, len(task.dofs)), dtype=bool), "lab/S1/1/t",
    )  # fmt: skip


@pytest.mark.parametrize("task", [KNEE_PAIR, SAGITTAL, KNEE_PAIR_FREE_ACC], ids=lambda task: task.name)
def test_every_stress_can_be_carried_out_and_does_something(task):
    before = leg(task)
    assert {change.kind for stress in stresses_of(task) for change in stress.changes} <= set(KINDS)
    for stress in (stress for stress in stresses_of(task) if stress.draw == 0):
        after = perturb(before, stress.changes)
        untouched = stress.change in ("acc_range", "gyr_range")  # nothing here is as large as those
        assert np.array_equal(after.signals, before.signals, equal_nan=True) == untouched, str(stress)
        assert stress.amount != 0
        if stress.sensor in task.segments:
            other = next(name for name in task.segments if name != stress.sensor)
            np.testing.assert_array_equal(after.signals[:, before.block(other)], before.signals[:, before.block(other)])


def test_only_the_test_is_stressed_and_all_share_the_model_of_ug():
    entries = lab(3, KNEE_PAIR)
    folds = PLACEMENT_STRESS.folds(entries, KNEE_PAIR)
    assert {fit_digest(f, KNEE_PAIR) for f in folds} == {fit_digest(f, KNEE_PAIR) for f in UG.folds(entries, KNEE_PAIR)}
    as_worn = [fold for fold in folds if fold.condition["amount"] == 0]
    assert len(as_worn) == 3 and all(fold.condition == NO_STRESS.condition for fold in as_worn)
    assert not any(fold.test_changes for fold in as_worn)
    assert all(fold.test_changes for fold in folds if fold not in as_worn)
    assert "magnetic" in as_worn[0].notes[-1]
    turned = [f.condition for f in folds[: len(folds) // 3] if f.condition["change"] == "turn"]
    assert {c["amount"] for c in turned} == {0, 5, 10, 15, 20, 30, 45, 90}
    assert {c["sensor"] for c in turned} == {"all", "thigh", "shank"} and {c["draw"] for c in turned} == set(range(5))


def test_what_a_task_cannot_feel_is_told():
    fold = PLACEMENT_STRESS.folds(lab(2, KNEE_PAIR_FREE_ACC), KNEE_PAIR_FREE_ACC)[0]
    assert "shifted site is not applicable" in " ".join(fold.notes)
    assert "swapped sides are not applicable" in " ".join(fold.notes)
    kinds = {stress.change for stress in stresses_of(KNEE_PAIR_FREE_ACC)}
    assert not kinds & {"shift", "swap_sides"} and {"turn", "swap_labels", "missing"} <= kinds
    assert {stress.change for stress in stresses_of(replace(KNEE_PAIR, segments=("shank",)))} & {"missing"} == set()


def test_an_augmented_fit_differs_in_its_copies_alone():
    entries = lab(2, KNEE_PAIR)
    for protocol in STRESSES[1:]:
        pairs = zip(protocol.folds(entries, KNEE_PAIR), PLACEMENT_STRESS.folds(entries, KNEE_PAIR), strict=True)
        for mine, plain in pairs:
            assert replace(mine, fit_copies=()) == plain
            assert fit_digest(mine, KNEE_PAIR) != fit_digest(plain, KNEE_PAIR)
        assert mine.fit_copies[0] == () and len(mine.fit_copies) == 5


def test_rapps_table_has_both_fits_and_both_tests():
    folds = PLACEMENT_STRESS_RAPP.folds(lab(2, KNEE_PAIR), KNEE_PAIR)[:12]
    assert [(f.condition["trained"], f.condition["amount"]) for f in folds] == [
        (trained, amount) for trained in ("as worn", "turned") for amount in (0, *[13.5] * 5)
    ]
    assert len({fit_digest(fold, KNEE_PAIR) for fold in folds}) == 2


@pytest.mark.parametrize("protocol", ALL, ids=name_of)
def test_folds_are_the_same_for_ever(protocol):
    folds = protocol.folds(lab(3, SAGITTAL), SAGITTAL)
    text = "".join(fold_digest(fold, SAGITTAL, protocol.card) for fold in folds)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == GOLDEN[protocol.card.name]


GOLDEN = {
    "sensor-subsets/ui": "edb677bea8cca394",
    "sensor-subsets/ug": "3808afeac30e38b7",
    "sensor-subsets/ua": "494515821a0c2ae5",
    "placement-stress": "9f1f197f9fe23bf7",
    "placement-stress/augmented": "951f78b745907423",
    "placement-stress/multi-site": "5d69c32e0a88fab5",
    "placement-stress/rapp2021-table3": "62e9ebfc87068f61",
}
"""Digests of digests: a change of any of them is a new version of the protocol."""

# --- run -------------------------------------------------------------------------------------------------------------

PAIR = Task(
    "toy-pair", 1, "knee flexion from a thigh and a shank", ("thigh", "shank"), ("acc", "gyr"), ("knee_flexion",), 50.0,
    32, 16, per_leg=True, moving=None,
)  # fmt: skip
MODELS = '''
import os
from kinbench.contracts import ModelCard
from kinbench_benchmarks.models.ridge import Ridge


def tell(what):
    with open(os.environ["TOY_LOG"], "a") as file:
        file.write(what + "\\n")


class Refit:
    """Ridge that hides its sums, is fitted anew for every set of sensors, and tells what it is given."""

    card = Ridge.card

    def __init__(self):
        ridge = Ridge()
        self.ridge, self.predict, self.adapt, self.save, self.load = (
            ridge, ridge.predict, ridge.adapt, ridge.save, ridge.load
        )

    def fit(self, train, valid, *, seed):
        tell(f"fit {len(train)} {len(valid)} {'+'.join(train.spec.segments)} {train.signals.shape[1]}")
        self.ridge.fit(train, valid, seed=seed)


class Sums(Ridge):
    """Ridge that tells of whom it reads and what it is fitted on."""

    def summarise(self, batches):
        tell(f"read {len(batches)} {len(set(batches.person))}")
        return super().summarise(batches)

    def fit_from(self, train, valid, subsets, *, seed):
        tell("fit " + " ".join(map("+".join, subsets)))
        yield from super().fit_from(train, valid, subsets, seed=seed)


class Broken(Ridge):
    """Fits that end too early."""

    def fit_from(self, train, valid, subsets, *, seed):
        yield from super().fit_from(train, valid, subsets[:2], seed=seed)
'''
POINTS = [("kinbench.models", "\n".join(f"toy-{kind.lower()} = toy_sensors:{kind}" for kind in ("Refit", "Sums",
           "Broken")))]  # fmt: skip


def walk(dataset, subject):
    """The toy walk with a thigh sensor, and every sensor in its segment's axes."""
    made = recording(dataset, subject)
    shank = made.imu["gyr"].values
    person = np.random.default_rng(sum(map(ord, subject)))
    gyr = np.concatenate([-0.5 * shank + person.normal(0, 0.1, shank.shape), shank], axis=1)
    acc = person.normal(0, 0.5, gyr.shape) + np.array([0, 9.8, 0])
    places = [
        Placement(f"{segment}{side}", f"{segment}_{side}", {"r": "right", "l": "left"}[side], rotation=np.eye(3),
                  rotation_origin="declared")
        for segment in ("thigh", "shank") for side in "rl"
    ]  # fmt: skip
    imu = imu_dataset(
        made.imu["time"].values, places,
        {
            "acc": (acc, {"units": "m s-2", "frame": "sensor", "kind": "specific_force"}),
            "gyr": (gyr, {"units": "rad s-1", "frame": "sensor"}),
        },
    )  # fmt: skip
    return Recording(made.key, imu, made.reference, made.attrs)


@pytest.fixture
def pair(tmp_path, install, monkeypatch):
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log.txt"))
    install("toy-sensors", POINTS, {"toy_sensors": MODELS})
    with store.create(tmp_path / "pair.zarr", dataset="pair", card={"name": "pair", "simulation": True}) as writer:
        for subject in ("S1", "S2", "S3"):
            writer.write(walk("pair", subject))
    return tmp_path


def planned(folder, protocols, models, where="results"):
    named = {protocol.card.name: protocol for protocol in protocols}
    return plan(
        [store.open(folder / "pair.zarr")], named, {PAIR.name: PAIR}, models, seeds=(0,), results=folder / where,
        cache=folder / "cache",
    )  # fmt: skip


def log(folder):
    path = folder / "log.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def predicted(folder, result):
    return unpack((folder / f"{result.key}.npz").read_bytes())["test"].prediction


class Few:
    """A study cut short: the folds of the first person whose condition is wanted."""

    def __init__(self, protocol, **wanted):
        self.protocol, self.card, self.wanted = protocol, protocol.card, wanted

    def folds(self, entries, task):
        folds = [f for f in self.protocol.folds(entries, task) if f.test_persons == ("pair/S1",)]
        return [f for f in folds if all(f.condition[name] in values for name, values in self.wanted.items())]


def test_sums_give_what_refitting_gives_and_keeps_its_keys_apart(pair):
    whole = run(planned(pair, [SENSOR_SUBSETS_UG, SENSOR_SUBSETS_UA], ["toy-sums"]))
    assert not whole.failed and len(whole.made) == 2 * 3 * 3
    told = log(pair)  # ua takes up what ug left on disk
    assert [line for line in told if line.startswith("fit")] == ["fit thigh+shank thigh shank"] * 3
    alone = run(planned(pair, [SENSOR_SUBSETS_UG, SENSOR_SUBSETS_UA], ["toy-refit"]))
    told = log(pair)
    assert len(told) == 9 and {line.rsplit(" ", 2)[1] for line in told} == {"thigh", "shank", "thigh+shank"}
    assert {line.rsplit(" ", 1)[1] for line in told} == {"6", "12"}
    for one, other in zip(whole.made, alone.made, strict=True):
        assert one.fold == other.fold and one.windows == other.windows
        for score, again in zip(one.scores, other.scores, strict=True):
            assert score.values["rmse"] == pytest.approx(again.values["rmse"], rel=1e-9)
        np.testing.assert_allclose(
            predicted(pair / "results", one), predicted(pair / "results", other), atol=1e-5
        )  # fmt: skip


def test_sums_resumed_or_shared_give_the_same_bits(pair):
    whole = run(planned(pair, [SENSOR_SUBSETS_UG], ["toy-sums"], "whole"))
    read = [line for line in log(pair) if line.startswith("read")]
    assert len(read) == 3 and all(line.endswith(" 1") for line in read)  # each person once, for all folds and sensors
    halves = planned(pair, [SENSOR_SUBSETS_UG], ["toy-sums"], "halves")
    some = replace(halves, cells=tuple(cell for cell in halves.cells if "thigh" not in cell.fold.name))
    assert len(run(some).made) == 3
    log(pair)
    rest = run(planned(pair, [SENSOR_SUBSETS_UG], ["toy-sums"], "halves"))
    assert len(rest.made) == 6 and log(pair).count("fit thigh+shank thigh") == 3
    shared = run(planned(pair, [SENSOR_SUBSETS_UG], ["toy-sums"], "shared"), workers=2)
    for result in whole.results:
        bytes_ = {(pair / name / f"{result.key}.npz").read_bytes() for name in ("whole", "halves", "shared")}
        assert len(bytes_) == 1
    assert [r.key for r in shared.results] == [r.key for r in whole.results] == [r.key for r in rest.results]


def test_fits_that_break_fail_their_cells_and_no_others(pair):
    done = run(planned(pair, [SENSOR_SUBSETS_UG], ["toy-broken"]))
    assert {r.fold.condition["sensors"] for r in done.made if r.done} == {"thigh", "thigh+shank"}
    assert {r.fold.condition["sensors"] for r in done.failed} == {"shank"}


def test_all_stresses_of_a_person_share_one_fit_and_the_first_is_ug(pair):
    few = Few(PLACEMENT_STRESS, change=("turn", "missing", "rate"), amount=(0, 1, 30, 10), draw=(0,))
    done = run(planned(pair, [UG, few], ["toy-refit"]))
    assert not done.failed
    assert len(log(pair)) == 3  # one fit for each person of ug, none for the stresses
    ug, *stressed = [r for r in done.made if r.fold.test_persons == ("pair/S1",)]
    as_worn = next(r for r in stressed if r.fold.condition["amount"] == 0)
    assert (pair / "results" / f"{as_worn.key}.npz").read_bytes() == (pair / "results" / f"{ug.key}.npz").read_bytes()
    assert as_worn.key != ug.key and as_worn.fit_key == ug.fit_key
    for result in stressed:
        if result is not as_worn:
            assert result.fold.test_changes
            assert not np.array_equal(predicted(pair / "results", result), predicted(pair / "results", as_worn))
    again = run(planned(pair, [few], ["toy-refit"], "again"))
    assert [r.predictions for r in again.made] == [r.predictions for r in stressed]


def test_copies_are_learnt_from_and_validation_is_none(pair):
    plain, copied = (
        run(planned(pair, [Few(protocol, amount=(0,))], ["toy-refit"])).made[0]
        for protocol in (PLACEMENT_STRESS, PLACEMENT_STRESS_AUGMENTED)
    )
    assert copied.windows["fit"] == 5 * plain.windows["fit"]
    assert copied.windows["validation"] == plain.windows["validation"]
    assert plain.fold.fit_copies == () and len(copied.fold.fit_copies) == 5
    assert not np.array_equal(predicted(pair / "results", plain), predicted(pair / "results", copied))


def test_a_workspace_gives_a_model_its_sensors_its_changes_and_its_copies(pair):
    space = Workspace((store.open(pair / "pair.zarr"),), pair / "cache")
    (fold, *_) = UG.folds(space.data(PAIR, "pair").entries, PAIR)
    whole = space.batches(fold, PAIR, fold.roles["fit"])
    only = space.batches(replace(fold, segments=("shank",)), PAIR, fold.roles["fit"])
    np.testing.assert_array_equal(only.x, whole.x[..., 6:])
    assert only.spec.channel_names == whole.spec.channel_names[6:] and only.present.shape[1] == 1
    # Changed first and narrowed then: what is exchanged comes from a sensor that the model does not have.
    swapped = replace(fold, segments=("shank",), fit_changes=(Change.of("swap_labels", first="thigh", second="shank"),))
    np.testing.assert_array_equal(space.batches(swapped, PAIR, fold.roles["fit"]).x, whole.x[..., :6])
    copies = space.batches(fold, PAIR, fold.roles["fit"], ((), swapped.fit_changes))
    np.testing.assert_array_equal(copies.x[: len(whole)], whole.x)
    np.testing.assert_array_equal(copies.x[len(whole) :, :, :6], whole.x[..., 6:])
    np.testing.assert_array_equal(copies.y[len(whole) :], whole.y)
    tested = space.test_data(replace(swapped, test_changes=swapped.fit_changes), PAIR)
    plain = space.data(PAIR, "pair").test_windows(fold.roles["test"]).x
    np.testing.assert_array_equal(tested.test_windows(fold.roles["test"]).x, plain[..., :6])


def test_a_split_found_clean_spares_its_likes_and_no_others(pair, monkeypatch):
    space = Workspace((store.open(pair / "pair.zarr"),), pair / "cache")
    (fold, *_) = UG.folds(space.data(PAIR, "pair").entries, PAIR)
    looked = []
    monkeypatch.setattr("kinbench.runner.workspace.check_leaks", lambda *a, **k: looked.append(check_leaks(*a, **k)))
    for condition in ({"amount": 1}, {"amount": 2}):
        space.check(replace(fold, name=str(condition), condition=condition), PAIR, (), "cell", ())
    assert len(looked) == 1
    theirs = fold.roles["test"][0]
    leaking = {**fold.roles, "fit": (*fold.roles["fit"], Span(theirs.key, 0, 400))}
    with pytest.raises(LeakError, match="cell"):
        space.check(replace(fold, roles=leaking), PAIR, (), "cell", ())
    with pytest.raises(LeakError, match="pair/S1"):
        space.check(fold, PAIR, ("pair/S1",), "cell", ())


def test_copies_of_a_fit_enter_its_digest_and_their_absence_does_not():
    fold = Fold("f", ("lab/S1",), ("lab",), "lab", {"fit": (Span("lab/S2/1/t", 0, 99),)})
    card = ProtocolCard("p", 1, "p", "p", "nothing")
    copied = replace(fold, fit_copies=((), (Change.of("turn_random", draw=1),)))
    assert fit_digest(copied, PAIR) != fit_digest(fold, PAIR)
    assert fold_digest(copied, PAIR, card) != fold_digest(fold, PAIR, card)
    turned_about = replace(fold, fit_copies=copied.fit_copies[::-1])
    assert fit_digest(turned_about, PAIR) != fit_digest(copied, PAIR)


def moved(models, by_deg):
    """Models whose every answer is moved by so much."""
    for model in models:
        known = model._fitted
        model._fitted = replace(known, map=replace(known.map, intercept=known.map.intercept + by_deg))
        yield model


class Short(Ridge):
    def fit_from(self, train, valid, subsets, *, seed):
        asked = subsets[1:] if len(subsets) > 1 else subsets
        yield from super().fit_from(train, valid, asked, seed=seed)


class Off(Ridge):
    def fit_from(self, train, valid, subsets, *, seed):
        for sensors, model in zip(subsets, super().fit_from(train, valid, subsets, seed=seed), strict=True):
            yield model if sensors == train.spec.segments else next(moved([model], 0.01))


class Sociable(Ridge):
    def fit_from(self, train, valid, subsets, *, seed):
        yield from moved(super().fit_from(train, valid, subsets, seed=seed), 1e-5 * (len(subsets) - 1))


class Reader(Ridge):
    """Scales what it reads by its own windows, so that sums of persons are not those of all."""

    def summarise(self, batches):
        level = np.nanstd(batches.x) if len(batches) else 1.0
        return super().summarise(replace(batches, signals=(batches.signals / level).astype(np.float32)))


class Unsorted(Ridge):
    """Adds persons up in another order than their numbers'."""

    def summarise(self, batches):
        persons = np.unique(batches.person[: len(batches)])[::-1]
        if len(persons) < 2:
            return super().summarise(batches)
        parts = [np.flatnonzero(batches.person == person) for person in persons]
        return reduce(add, (super(Unsorted, self).summarise(part_of(batches, part)) for part in parts))


class Greedy(Ridge):
    """Adds in place."""

    def summarise(self, batches):
        return InPlace(**vars(super().summarise(batches)))


class InPlace(Sums):
    def __add__(self, other):
        total = super().__add__(other)
        self.__dict__.update(vars(total))
        return self


def part_of(batches, index):
    return replace(
        batches, starts=batches.starts[index], person=batches.person[index], present=batches.present[index]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (Short, "one model for each set"), (Off, "must predict as one fitted on windows of these sensors"),
        (Sociable, "not depend on which other"), (Reader, "in the order of their numbers, must predict as one fitted"),
        (Unsorted, "in the order of their numbers, must predict as one fitted"), (Greedy, "once more in the order"),
    ],
)  # fmt: skip
def test_a_model_that_adds_up_is_held_to_its_promise(model, says):
    with pytest.raises(AssertionError, match=says):
        check_model(model)


def test_ridge_adds_up(pair, tmp_path):
    check_model(Ridge)
    space = Workspace((store.open(pair / "pair.zarr"),), pair / "cache")
    (fold, *_) = UG.folds(space.data(PAIR, "pair").entries, PAIR)
    train, valid = (space.batches(fold, PAIR, fold.roles[role]) for role in ("fit", "validation"))
    ridge = Ridge()
    (some,) = ridge.fit_from(ridge.summarise(train), ridge.summarise(valid), [("shank",)], seed=0)
    (tmp_path / "kept").mkdir()
    some.save(tmp_path / "kept")
    again = Ridge()
    again.load(tmp_path / "kept")
    x = train.narrowed(("shank",)).x[:3]
    assert again.predict(x).tobytes() == some.predict(x).tobytes()
    assert isinstance(Ridge(), contracts.AdditiveModel)
