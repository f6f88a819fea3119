"""few-shot, learning-curve and the historical splits: exactly what they promise, on made-up cohorts of any size."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinbench_benchmarks import protocols
from kinbench_benchmarks.protocols.few_shot import FEW_WINDOWS
from kinbench_benchmarks.protocols.learning import drawn, sizes
from runner_cases import laboratory, recording

from kinbench import contracts, plugins, runner, schema, windows
from kinbench.errors import LeakError, NotApplicable
from kinbench.leaderboards import board
from kinbench.perturbations import KINDS
from kinbench.protocol import ProtocolCard, check_leaks, fit_digest, fold_digest, length, windows_in
from kinbench.recording import Key, TaskEntry, angle_dataset
from kinbench.tasks import Task
from kinbench.testing import check_protocol
from kinbench.testing.protocols import TASK as CONFORMANCE
from kinbench.testing.protocols import cohort
from kinbench.windows.derivation import GAITS, derive

WINDOW, STRIDE, EMBARGO, RATE_HZ = 16, 8, 20, 100.0
TASK = Task(
    "knee", 1, "knee", ("thigh", "shank"), ("acc", "gyr"), ("knee_flexion",), RATE_HZ, WINDOW, STRIDE, per_leg=True
)
WHOLE = Task("knee", 1, "knee", ("thigh_r",), ("acc", "gyr"), ("knee_flexion_r",), RATE_HZ, WINDOW, STRIDE)
UNITS = {"seconds": protocols.FEW_SHOT, "percent": protocols.FEW_SHOT_FRACTION, "strides": protocols.FEW_SHOT_STRIDES}
SCRATCH = {
    "seconds": protocols.FEW_SHOT_SCRATCH, "percent": protocols.FEW_SHOT_FRACTION_SCRATCH,
    "strides": protocols.FEW_SHOT_STRIDES_SCRATCH,
}  # fmt: skip
DEGRADED = {
    "noise": protocols.LEARNING_CURVE_NOISE, "sync": protocols.LEARNING_CURVE_SYNC,
    "axes": protocols.LEARNING_CURVE_AXES, "labels": protocols.LEARNING_CURVE_LABELS,
}  # fmt: skip
HISTORICAL = (
    protocols.UG_HUR2025, protocols.UA_HUR2025, protocols.SPLIT_RAPP2021, protocols.FINETUNE_BROUGH2025,
)  # fmt: skip
STUDIES = (
    *UNITS.values(), *SCRATCH.values(), protocols.LEARNING_CURVE, protocols.LEARNING_CURVE_DATASETS, *DEGRADED.values(),
)  # fmt: skip
ALL = (*STUDIES, *HISTORICAL)


def entry(key, *runs, person=None, activity="walking", strides=(), rate_hz=RATE_HZ):
    key = Key.parse(key)
    return TaskEntry(
        key, person or key.person, activity, "0" * 64, rate_hz, WINDOW, EMBARGO, runs, convention="isb_zxy",
        strides=tuple(strides),
    )  # fmt: skip


def lab(count, name="lab", length=20000):
    return [
        entry(f"{name}/S{number}/1/t", (0, length), strides=range(40, length, 105)) for number in range(1, count + 1)
    ]


def conditions(folds, name):
    return {fold.condition[name] for fold in folds}


def of_person(protocol, person, entries, task=TASK):
    return {next(iter(f.condition.values())): f for f in protocol.folds(entries, task) if f.test_persons == (person,)}


def covered(spans):
    return {(span.key, at) for span in spans for at in range(span.start, span.stop)}


# --- all of them -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ALL, ids=lambda protocol: protocol.card.name)
def test_each_is_registered_keeps_the_contract_and_never_ranks(protocol):
    assert isinstance(protocol, contracts.BenchmarkProtocol)
    assert plugins.get("protocols", protocol.card.name).load() is protocol
    assert not protocol.card.ranks
    assert protocol.card.study == (protocol in STUDIES)
    check_protocol(protocol)


def golden_entries(protocol):
    if protocol.card.scope == "datasets":
        return [*cohort("two", 2), *cohort("five", 5), *cohort("other", 5)]
    return cohort("many", 70 if protocol is protocols.LEARNING_CURVE else 22 if protocol in DEGRADED.values() else 13)


def digest_of(protocol, entries):
    text = "".join(fold_digest(fold, CONFORMANCE, protocol.card) for fold in protocol.folds(entries, CONFORMANCE))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize("protocol", ALL, ids=lambda protocol: protocol.card.name)
def test_folds_are_the_same_for_ever(protocol):
    assert digest_of(protocol, golden_entries(protocol)) == GOLDEN[protocol.card.name]


def test_another_process_in_another_order_makes_the_same_folds():
    script = (
        "import random, sys, json; import test_protocols_learning as t\n"
        "found = {}\n"
        "for p in t.ALL:\n"
        "    entries = t.golden_entries(p); random.Random(7).shuffle(entries)\n"
        "    found[p.card.name] = t.digest_of(p, entries)\n"
        "print(json.dumps(found))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77", "LC_ALL": "C", "TZ": "Pacific/Kiritimati"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parent, env=environment, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == GOLDEN


# --- few-shot --------------------------------------------------------------------------------------------------------


def test_seconds_come_from_the_beginning_and_a_fifth_of_them_stops():
    folds = of_person(protocols.FEW_SHOT, "lab/S2", lab(3))
    assert list(folds) == [0, 5, 10, 30, 60, 120]
    assert folds[0].roles.keys() == {"fit", "validation", "test"} and not folds[0].adapts
    assert folds[10].name == "lab/S2: 10 s"
    (adapt,), (stop,) = folds[10].roles["adaptation"], folds[10].roles["stopping"]
    assert (adapt.start, adapt.stop) == (0, 800 - EMBARGO) and (stop.start, stop.stop) == (800 + EMBARGO, 1000)


@pytest.mark.parametrize("unit", UNITS)
def test_the_model_and_the_test_are_those_of_ug(unit):
    entries = lab(13)
    ug = {person: fold for fold in protocols.UG.folds(entries, TASK) for person in fold.test_persons}
    folds = UNITS[unit].folds(entries, TASK)
    assert len({fit_digest(fold, TASK) for fold in folds}) == 10
    for fold in folds:
        (person,) = fold.test_persons
        assert fit_digest(fold, TASK) == fit_digest(ug[person], TASK)
        assert set(fold.roles["test"]) == {span for span in ug[person].roles["test"] if person in span.key}
        assert conditions([fold], unit)


@pytest.mark.parametrize("unit", SCRATCH)
def test_from_scratch_the_budget_is_all_there_is(unit):
    with_others = {fold.name: fold for fold in UNITS[unit].folds(lab(3), TASK)}
    for fold in SCRATCH[unit].folds(lab(3), TASK):
        same = with_others[fold.name]
        assert fold.individual and not fold.adapts and 0 not in fold.condition.values()
        assert fold.roles["fit"] == same.roles["adaptation"]
        assert fold.roles.get("validation", ()) == same.roles.get("stopping", ())
        assert fold.roles["test"] == same.roles["test"]


def test_one_person_alone_can_start_from_scratch():
    assert conditions(protocols.FEW_SHOT_SCRATCH.folds(lab(1), TASK), "seconds") == {5, 10, 30, 60, 120}
    with pytest.raises(NotApplicable, match="needs two persons"):
        protocols.FEW_SHOT.folds(lab(1), TASK)


def test_a_person_who_lacks_a_budget_says_why_and_others_keep_theirs():
    entries = [*lab(2), entry("lab/S3/1/t", (0, 4000))]
    short, long = (of_person(protocols.FEW_SHOT, person, entries) for person in ("lab/S3", "lab/S1"))
    assert list(short) == [0, 5, 10, 30] and list(long) == [0, 5, 10, 30, 60, 120]
    assert "60 s of lab/S3 are left out: there are 31.2 s up to 78 % of each activity" in short[5].notes
    assert not any("lab/S3" in note for note in long[5].notes)


def test_a_fifth_that_cannot_stop_is_learnt_from():
    body, leg = (
        of_person(protocols.FEW_SHOT, "lab/S1", lab(2), replace(task, stride=16))[5].roles for task in (WHOLE, TASK)
    )
    assert "stopping" not in body and length(body["adaptation"]) == 500  # a fifth holds five windows of the body
    assert windows_in(leg["stopping"], WINDOW, 16) == 5 and FEW_WINDOWS <= 2 * 5  # and ten of two legs


def test_activities_have_their_shares():
    entries = [
        e for n in (1, 2, 3)
        for e in (entry(f"lab/S{n}/1/t", (0, 9000)), entry(f"lab/S{n}/1/u", (0, 3000), activity="squat"))
    ]  # fmt: skip
    fold = of_person(protocols.FEW_SHOT_SCRATCH, "lab/S1", entries, WHOLE)[5]
    by_activity = {s.key[-1]: s.stop - s.start for s in fold.roles["fit"]}
    assert by_activity == {"t": 375, "u": 125}


def test_a_budget_without_a_window_is_left_out():
    entries = [
        e for n in (1, 2)
        for e in [entry(f"lab/S{n}/1/t{a}", (0, 2000), activity=f"other:a{a}") for a in range(40)]
    ]  # fmt: skip
    found = of_person(protocols.FEW_SHOT, "lab/S1", entries)
    assert list(found) == [0, 10, 30, 60, 120]
    assert "5 s of lab/S1 are left out: they hold no window of 0.16 s" in found[0].notes


def test_strides_are_whole_and_as_many_as_said():
    for count, fold in of_person(protocols.FEW_SHOT_STRIDES_SCRATCH, "lab/S1", lab(2), WHOLE).items():
        spans = sorted((*fold.roles["fit"], *fold.roles.get("validation", ())))
        assert (spans[0].start, spans[-1].stop) == (40, 40 + 105 * count)


def test_strides_go_to_the_activities_that_have_them_and_cross_no_pause():
    strides = [10, 110, 220, 620, 720, 830, 930]  # four seconds stand between the third and the fourth
    entries = [
        e for n in (1, 2, 3)
        for e in (
            entry(f"lab/S{n}/1/t", (0, 9000), strides=[*strides, *range(1030, 9000, 100)]),
            entry(f"lab/S{n}/1/u", (0, 9000), activity="squat"),
        )
    ]  # fmt: skip
    found = of_person(protocols.FEW_SHOT_STRIDES_SCRATCH, "lab/S1", entries, replace(WHOLE, stride=16))
    assert covered(found[5].roles["fit"]) == {
        ("lab/S1/1/t", at) for start, stop in ((10, 220), (620, 930)) for at in range(start, stop)
    }
    assert {span.key[-1] for span in found[5].roles["test"]} == {"t", "u"}


def test_a_stride_shorter_than_a_window_is_drawn_out_to_one():
    task = replace(WHOLE, window=128, stride=64)
    found = of_person(protocols.FEW_SHOT_STRIDES_SCRATCH, "lab/S1", lab(2), task)
    assert [(s.start, s.stop) for s in found[1].roles["fit"]] == [(40, 168)]
    assert [(s.start, s.stop) for s in found[2].roles["fit"]] == [(40, 250)]
    ends = [entry(f"lab/S{n}/1/t", (0, 100), (200, 20000), strides=range(5, 20000, 90)) for n in (1, 2)]
    notes = protocols.FEW_SHOT_STRIDES_SCRATCH.folds(ends, task)[0].notes
    assert "1 strides of lab/S1 are left out: they hold no window of 1.28 s" in notes


def test_where_nothing_tells_strides_they_are_not_guessed():
    with pytest.raises(NotApplicable, match=r"no recording tells them.*neither hip nor knee flexion"):
        protocols.FEW_SHOT_STRIDES.folds([entry(f"lab/S{n}/1/t", (0, 9000)) for n in (1, 2)], TASK)
    entries = [*lab(2), entry("lab/S3/1/t", (0, 9000))]
    found = of_person(protocols.FEW_SHOT_STRIDES, "lab/S3", entries)
    assert list(found) == [0]
    assert "1 strides of lab/S3 are left out: there are 0 whole strides up to 78 % of each activity" in found[0].notes


RUNS = st.lists(st.integers(0, 9000), min_size=2, max_size=6, unique=True).map(
    lambda edges: tuple(zip(sorted(edges)[::2], sorted(edges)[1::2], strict=False))
)
RECORDING = st.tuples(RUNS, st.sampled_from(["walking", "squat"]), st.integers(60, 160))
COHORT = st.lists(st.lists(RECORDING, min_size=1, max_size=3), min_size=2, max_size=6).map(
    lambda persons: [
        entry(f"a/P{p}/1/t{r}", *runs, activity=activity, strides=range(7, 9000, every))
        for p, recordings in enumerate(persons)
        for r, (runs, activity, every) in enumerate(recordings)
    ]
)


def folds_of(protocol, entries):
    try:
        return list(protocol.folds(entries, TASK))
    except NotApplicable:
        return []


@settings(max_examples=15, deadline=None)
@given(entries=COHORT)
def test_a_budget_is_what_it_says_and_nobody_meets_their_test(entries):
    headline = {(p, s) for f in folds_of(protocols.UG, entries) for p in f.test_persons for s in f.roles["test"]}
    total = {e.person: 0 for e in entries}
    for fold in folds_of(protocols.UG, entries):
        for e in entries:
            if e.activity in {x.activity for x in entries for s in fold.roles["test"] if s.key == str(x.key)}:
                total[e.person] += e.samples if e.person in fold.test_persons else 0
    for unit in UNITS:
        for protocol in (UNITS[unit], SCRATCH[unit]):
            for fold in folds_of(protocol, entries):
                check_leaks(fold, entries, signals=None)
                (person,) = fold.test_persons
                if protocol is UNITS[unit]:
                    assert {(person, span) for span in fold.roles["test"]} <= headline
                given_spans = [
                    span
                    for role in (("fit", "validation") if protocol is SCRATCH[unit] else ("adaptation", "stopping"))
                    for span in fold.roles.get(role, ())
                ]
                held, budget = length(given_spans), fold.condition[unit]
                # Of every activity an embargo on each side of the border between learning and stopping is nobody's.
                stops = "validation" in fold.roles if fold.individual else "stopping" in fold.roles
                lost = 2 * 2 * EMBARGO if stops else 0
                if unit == "seconds" and budget:
                    assert budget * RATE_HZ - lost - WINDOW <= held <= budget * RATE_HZ
                if unit == "percent" and protocol is UNITS[unit]:
                    assert held <= total[person] * budget / 100
                    assert held >= total[person] * budget / 100 - lost - WINDOW
                if unit == "strides":
                    assert held <= max(160, WINDOW) * budget


# --- learning-curve --------------------------------------------------------------------------------------------------


def fitted(fold):
    return {span.key.rsplit("/", 2)[0] for span in fold.roles["fit"]}


def test_sizes_are_those_stated():
    assert sizes(2) == (1, 2) and sizes(9) == (1, 2, 4, 8, 9) and sizes(8) == (1, 2, 4, 8)
    assert sizes(50) == (1, 2, 4, 8, 16, 32, 50)
    assert sizes(1440) == (1, 2, 5, 10, 20, 50, 100, 200, 1440)


def test_with_twenty_a_tenth_is_tested_and_another_stops():
    entries = lab(70)
    folds = protocols.LEARNING_CURVE.folds(entries, TASK)
    ug = protocols.UG.folds(entries, TASK)
    assert {fold.test_persons for fold in folds} == {ug[0].test_persons}
    assert all(fold.roles["test"] == ug[0].roles["test"] for fold in folds)
    stopping = {fold.roles["validation"] for fold in folds}
    assert len(stopping) == 1
    people = {span.key.rsplit("/", 2)[0] for span in stopping.pop()}
    assert people == set(ug[1].test_persons)
    assert conditions(folds, "persons") == {1, 2, 5, 10, 20, 50, 56}
    assert len(folds) == 6 * 5 + 1
    for fold in folds:
        assert len(fitted(fold)) == fold.condition["persons"]
        assert not fitted(fold) & {*people, *fold.test_persons}


def test_a_draw_of_more_holds_the_draw_of_fewer():
    folds = protocols.LEARNING_CURVE.folds(lab(70), TASK)
    by_draw = {d: [fitted(f) for f in folds if f.condition["draw"] == d] for d in range(5)}
    for draw in by_draw.values():
        assert all(few < many for few, many in pairwise(draw))
    assert len({frozenset(draw[3]) for draw in by_draw.values()}) == 5
    names = [f"x/{n}" for n in range(9)]
    assert drawn(names, 3) == drawn(names[::-1], 3) != drawn(names, 4)


def test_below_twenty_each_is_left_out_and_all_others_are_ugs_model():
    folds = protocols.LEARNING_CURVE.folds(lab(6), TASK)
    ug = {fold.test_persons: fold for fold in protocols.UG.folds(lab(6), TASK)}
    assert conditions(folds, "persons") == {1, 2, 4}
    assert {fold.test_persons for fold in folds} == set(ug)
    for fold in folds:
        assert fold.roles["test"] == ug[fold.test_persons].roles["test"]
        assert fold.roles["validation"] == ug[fold.test_persons].roles["validation"]
        if fold.condition["persons"] == 4:
            assert fit_digest(fold, TASK) == fit_digest(ug[fold.test_persons], TASK)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_curve_needs_four_persons(count):
    with pytest.raises(NotApplicable, match="needs four persons"):
        protocols.LEARNING_CURVE.folds(lab(count), TASK)


@pytest.mark.parametrize("way", DEGRADED)
def test_worse_data_are_the_same_persons_data(way):
    curve = {
        (f.test_persons, f.condition["persons"], f.condition["draw"]): f
        for f in protocols.LEARNING_CURVE.folds(lab(70), TASK)
    }
    folds = DEGRADED[way].folds(lab(70), TASK)
    assert conditions(folds, "persons") == {10, 50, 56} and conditions(folds, "kind") == {way}
    for fold in folds:
        same = curve[fold.test_persons, fold.condition["persons"], fold.condition["draw"]]
        assert fold.roles == same.roles and not fold.test_changes
        assert bool(fold.fit_changes) == (fold.condition["level"] > 0)
        assert {change.kind for change in fold.fit_changes} <= set(KINDS)
        assert (fit_digest(fold, TASK) == fit_digest(same, TASK)) == (fold.condition["level"] == 0)


def test_datasets_are_added_one_by_one_to_test_on_the_one_left_out():
    entries = [*lab(3, "a"), *lab(6, "b"), *lab(1, "c"), *lab(5, "d")]
    folds = [f for f in protocols.LEARNING_CURVE_DATASETS.folds(entries, TASK) if f.test_dataset == "a"]
    assert conditions(folds, "datasets") == {1, 2, 3} and len(folds) == 5 + 5 + 1
    for fold in folds:
        assert len(fold.train_datasets) == fold.condition["datasets"] and "a" not in fold.train_datasets
        assert {key.split("/")[0] for key in fitted(fold)} == set(fold.train_datasets)
        assert fold.test_persons == ("a/S1", "a/S2", "a/S3")
    for draw in range(5):
        mine = [set(f.train_datasets) for f in folds if f.condition["draw"] == draw]
        assert all(few < many for few, many in pairwise(mine))
    with pytest.raises(NotApplicable, match=r"needs three datasets.*a and b"):
        protocols.LEARNING_CURVE_DATASETS.folds([*lab(3, "a"), *lab(6, "b")], TASK)


def test_a_person_of_two_datasets_does_not_both_fit_and_stop():
    shared = [entry(f"c/X{n}/1/t", (0, 20000), person=f"b/S{n}") for n in range(1, 7)]
    for fold in protocols.LEARNING_CURVE_DATASETS.folds([*lab(3, "a"), *lab(6, "b"), *shared, *lab(5, "d")], TASK):
        owner = {str(e.key): e.person for e in (*lab(6, "b"), *shared)}
        fit, stop = ({owner.get(s.key, s.key) for s in fold.roles[role]} for role in ("fit", "validation"))
        assert not fit & stop
        check_leaks(fold, [*lab(3, "a"), *lab(6, "b"), *shared, *lab(5, "d")], signals=None)


# --- historical ------------------------------------------------------------------------------------------------------


def test_hurs_persons_are_found_by_their_numbers():
    (fold,) = protocols.UG_HUR2025.folds(lab(11), TASK)
    assert fitted(fold) == {f"lab/S{n}" for n in (1, 2, 3, 4, 6)} and fold.test_persons == ("lab/S8",)
    assert {span.key for span in fold.roles["validation"]} == {"lab/S7/1/t"}
    (adapted,) = protocols.UA_HUR2025.folds(lab(11), TASK)
    assert fit_digest(adapted, TASK) == fit_digest(fold, TASK)
    assert [length(adapted.roles[role]) for role in ("adaptation", "stopping", "test")] == [4000, 4000, 12000]
    with pytest.raises(NotApplicable, match="has no participant 8"):
        protocols.UG_HUR2025.folds(lab(7), TASK)


def test_rapps_rows_are_shuffled_as_numpy_did():
    rows = [entry(f"lab/S{n}/{session}/t", (0, 900)) for n in range(1, 11) for session in (1, 2)]
    (fold,) = protocols.SPLIT_RAPP2021.folds(rows[::-1], TASK)
    order = list(range(20))
    np.random.RandomState(42).shuffle(order)
    names = [str(row.key) for row in rows]
    assert {span.key for span in fold.roles["fit"]} == {names[number] for number in order[:16]}
    assert {span.key for span in fold.roles["test"]} == {names[number] for number in order[18:]}


@pytest.mark.parametrize("protocol", [p for p in HISTORICAL if p.card.leaks], ids=lambda p: p.card.name)
def test_a_declared_leak_is_there_told_and_the_only_one(protocol):
    entries = golden_entries(protocol)
    folds = protocol.folds(entries, CONFORMANCE)
    told = [line for f in folds for line in check_leaks(f, entries, signals=None, declared=protocol.card.leaks)]
    assert told and all(f"fold '{folds[0].name}'" in line or len(folds) > 1 for line in told)
    with pytest.raises(LeakError) as caught:
        for fold in folds:
            check_leaks(fold, entries, signals=None)
    assert set(str(caught.value).splitlines()) <= set(told)


def test_a_leak_that_is_not_declared_is_refused_still():
    entries = golden_entries(protocols.SPLIT_RAPP2021)
    (fold,) = protocols.SPLIT_RAPP2021.folds(entries, CONFORMANCE)
    with pytest.raises(LeakError, match="on both sides"):
        check_leaks(fold, entries, signals=None, declared=("embargo", "samples"))


def test_a_card_cannot_leak_and_rank():
    with pytest.raises(ValueError, match="must not rank"):
        ProtocolCard("p", 1, "p", "p", "nothing", leaks=("person",))
    with pytest.raises(ValueError, match=r"expected some of person.*got a bit"):
        ProtocolCard("p", 1, "p", "p", "nothing", ranks=False, leaks=("a bit",))


# --- run -------------------------------------------------------------------------------------------------------------

TOY = Task(
    name="toy-knee", version=1, title="Knee flexion from a shank gyroscope", segments=("shank",), channels=("gyr",),
    dofs=("knee_flexion",), rate_hz=50.0, window=32, stride=16, per_leg=True, axes="sensor", moving=None,
)  # fmt: skip


def test_a_few_seconds_are_run_from_one_fit_a_person_and_the_leak_stands_under_the_table(tmp_path):
    store = laboratory(tmp_path, "lab", seconds=120.0)
    chosen = {p.card.name: p for p in (protocols.FEW_SHOT, protocols.FEW_SHOT_STRIDES, protocols.FINETUNE_BROUGH2025)}
    other = laboratory(tmp_path, "other", subjects=("S4", "S5"), seconds=120.0)
    plan = runner.plan(
        [store, other], chosen, {"toy-knee": TOY}, ["ridge"], seeds=(0,), results=tmp_path / "results",
        cache=tmp_path / "cache",
    )  # fmt: skip
    done = runner.run(plan)
    assert not done.failed
    few = [r for r in done.made if r.protocol.name == "few-shot" and r.fold.test_dataset == "lab"]
    assert len({r.fit_key for r in few}) == 3 and sum(r.timings.fit_s is not None for r in few) == 3
    error = {s: np.mean([r.scores[0].values["rmse"] for r in few if r.fold.condition["seconds"] == s]) for s in (0, 60)}
    assert error[60] < error[0]
    assert {r.fold.condition["strides"] for r in done.made if r.protocol.name == "few-shot/strides"} > {0, 5, 10}
    tuned = [r for r in done.made if r.protocol.name == "finetune-brough2025"]
    assert tuned and all(r.protocol.leaks == ("embargo",) for r in tuned)
    assert "THIS PROTOCOL LEAKS, as its source does (embargo)" in board(tuned).text()


# --- strides ---------------------------------------------------------------------------------------------------------


def gait(activity="walking", dofs=("hip_flexion_r", "knee_flexion_r"), seconds=20.0, stride_s=1.1):
    """A recording whose hip is flexed most at 85 % and whose knee at 72 % of strides that begin at 0.3 s."""
    made = recording("lab", "S1", seconds=seconds)
    time = made.reference["time"].values
    peak = {"hip_flexion": 0.85, "knee_flexion": 0.72}
    columns = [
        20 * np.cos(2 * np.pi * ((time - 0.3) / stride_s - peak[dof.rsplit("_", 1)[0]])) + 20 for dof in dofs
    ]  # fmt: skip
    reference = angle_dataset(
        time, dofs, np.stack(columns, axis=1), units="deg", convention="isb_zxy", tier="simulation"
    )  # fmt: skip
    return replace(made, reference=reference, attrs={**made.attrs, "activity": activity})


@pytest.mark.parametrize("dofs", [("hip_flexion_r", "knee_flexion_r"), ("knee_flexion_r",), ("knee_flexion_l",)])
def test_strides_begin_at_contacts_that_hip_or_knee_tell(dofs):
    strides = derive(gait(dofs=dofs), TOY, (dofs[-1][-1],)).strides
    expected = np.arange(0.3, 20.0, 1.1) * 50.0
    assert len(strides) > 14
    assert max(np.abs(expected - at).min() for at in strides) <= 2
    assert all(abs(b - a - 55) <= 1 for a, b in pairwise(strides))


@pytest.mark.parametrize("activity", ["squat", "mixed", "other:dancing"])
def test_nobody_strides_in_a_squat(activity):
    assert derive(gait(activity), TOY, ("r",)).strides == ()


def test_strides_outlive_the_cache_and_models_never_see_them(tmp_path):
    store = laboratory(tmp_path, "lab", subjects=("S1",))
    made = windows.prepare(store, TOY, cache=tmp_path / "cache")
    again = windows.prepare(store, TOY, cache=tmp_path / "cache")
    assert made.entries[0].strides and made.entries == again.entries
    assert not hasattr(made.batches([]), "strides") and not hasattr(made.spec, "strides")
    assert set(GAITS) <= set(schema.ACTIVITIES)


GOLDEN = {
    "few-shot": "c7b4c509fde8468f",
    "few-shot/fraction": "0bee46c1562d57cc",
    "few-shot/strides": "6e029e58363bafa2",
    "few-shot/scratch": "55e32594ec02ecc9",
    "few-shot/fraction/scratch": "eb8a4a9afa4684b6",
    "few-shot/strides/scratch": "7b58840619f87e62",
    "learning-curve": "7e29b20dea70f0af",
    "learning-curve/datasets": "fd74b1eb75cb9cd0",
    "learning-curve/degraded-noise": "c568a4bae6784714",
    "learning-curve/degraded-sync": "5e467178269f927e",
    "learning-curve/degraded-axes": "3453f8bb04729b6a",
    "learning-curve/degraded-labels": "e088614661531e15",
    "ug-hur2025": "53444a10b5a472ce",
    "ua-hur2025": "b6284b9248929e57",
    "split-rapp2021": "e81ada7499c1830f",
    "finetune-brough2025": "a19fafbfc8b2415b",
}
"""Digests of digests: a change of any of them is a new version of the protocol."""
