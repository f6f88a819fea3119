"""The benchmark's protocols: exactly the stated splits, and laws that hold for any cohort."""

import hashlib
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinbench_benchmarks.protocols import CROSS_DATASET, UA, UG, UI

from kinbench import contracts, plugins
from kinbench.errors import NotApplicable
from kinbench.protocol import check_leaks, fit_digest, fold_digest
from kinbench.recording import Key, Span, TaskEntry
from kinbench.tasks import Task

WINDOW, STRIDE, EMBARGO = 16, 8, 20
TASK = Task(
    "knee", 1, "knee", ("thigh", "shank"), ("acc", "gyr"), ("knee_flexion",), 100.0, WINDOW, STRIDE, per_leg=True
)
ALL = (UI, UG, UA, CROSS_DATASET)


def entry(key, *runs, person=None, activity="walking", convention="isb_zxy"):
    key = Key.parse(key)
    return TaskEntry(key, person or key.person, activity, "0" * 64, 100.0, WINDOW, EMBARGO, runs, convention=convention)


def lab(count, name="lab", length=2000):
    return [entry(f"{name}/S{number}/1/t", (0, length)) for number in range(1, count + 1)]


def samples(spans):
    return {(span.key, k) for span in spans for k in range(span.start, span.stop)}


def span(number, start, stop, name="lab"):
    return Span(f"{name}/S{number}/1/t", start, stop)


# --- exactly the table -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ALL, ids=lambda protocol: protocol.card.name)
def test_each_is_a_registered_protocol(protocol):
    assert isinstance(protocol, contracts.BenchmarkProtocol)
    assert plugins.get("protocols", protocol.card.name).load() is protocol


def test_ui_cuts_at_64_and_80_percent():
    (fold,) = UI.folds(lab(1), TASK)
    assert fold.name == "lab/S1" and fold.test_persons == ("lab/S1",) and fold.individual
    assert fold.roles == {
        "fit": (span(1, 0, 400), span(1, 400, 800), span(1, 800, 1260)),
        "validation": (span(1, 1300, 1580),),
        "test": (span(1, 1620, 2000),),
    }


def test_ug_leaves_one_out_and_validates_on_the_next():
    folds = UG.folds(lab(4), TASK)
    assert [fold.name for fold in folds] == ["lab/S1", "lab/S2", "lab/S3", "lab/S4"]
    last = folds[3]
    blocks = ((0, 400), (400, 800), (800, 1600), (1600, 2000))
    assert last.roles == {
        "fit": tuple(span(number, *block) for number in (2, 3) for block in blocks),
        "validation": tuple(span(1, *block) for block in blocks),
        "test": (span(4, 1620, 2000),),
        "test_long": (span(4, 820, 1600), span(4, 1620, 2000)),
    }
    assert not last.individual and last.train_datasets == ("lab",) and last.test_dataset == "lab"


def test_ug_of_two_validates_on_the_last_fifth_of_the_other():
    first, _ = UG.folds(lab(2), TASK)
    assert first.roles["fit"] == (span(2, 0, 1580),)
    assert first.roles["validation"] == (span(2, 1620, 2000),)


def test_ua_is_ug_plus_forty_percent_of_the_tested_person():
    for ug, ua in zip(UG.folds(lab(3), TASK), UA.folds(lab(3), TASK), strict=True):
        assert fit_digest(ua, TASK) == fit_digest(ug, TASK)
        assert ua.name == ug.name
        number = int(ua.name[-1])
        assert ua.roles["adaptation"] == (span(number, 0, 380),)
        assert ua.roles["stopping"] == (span(number, 420, 780),)
        assert ua.roles["test"] == ug.roles["test"] and ua.roles["test_long"] == ug.roles["test_long"]


def test_above_ten_persons_are_dealt_by_the_hash_of_their_names():
    entries = lab(13)
    order = sorted((e.person for e in entries), key=lambda person: hashlib.sha256(person.encode()).hexdigest())
    folds = UG.folds(entries, TASK)
    assert len(folds) == 10
    for number, fold in enumerate(folds):
        assert fold.test_persons == tuple(order[number::10])
        assert {s.key.rsplit("/", 2)[0] for s in fold.roles["validation"]} == {order[number + 1]}
        fitted = {s.key.rsplit("/", 2)[0] for s in fold.roles["fit"]}
        assert fitted == set(order) - set(fold.test_persons) - {order[number + 1]}
    adapted = UA.folds(entries, TASK)
    assert sorted(fold.name for fold in adapted) == sorted(order)
    assert all(len(fold.test_persons) == 1 for fold in adapted)
    assert {fit_digest(fold, TASK) for fold in adapted} == {fit_digest(fold, TASK) for fold in folds}


def test_exactly_ten_are_left_out_one_by_one():
    assert len(UG.folds(lab(10), TASK)) == 10
    assert [fold.test_persons for fold in UG.folds(lab(10), TASK)] == [(f"lab/S{n}",) for n in range(1, 11)]


def test_cross_dataset_gives_every_ordered_pair_and_the_diagonal():
    entries = [*lab(3, "a"), *lab(1, "b"), *lab(6, "c")]
    folds = CROSS_DATASET.folds(entries, TASK)
    pairs = Counter((fold.train_datasets[0], fold.test_dataset) for fold in folds)
    assert set(pairs) == {(s, t) for s in "abc" for t in "abc"}
    assert all(pairs[s, t] == 1 for s, t in pairs if s != t)
    assert {(f.test_dataset, f.diagonal) for f in folds if f.diagonal} == {("a", "ug"), ("b", "ui"), ("c", "ug")}
    assert len({fold.name for fold in folds}) == len(folds)
    (pair,) = [fold for fold in folds if fold.name == "c -> a"]
    assert pair.test_persons == ("a/S1", "a/S2", "a/S3")
    assert pair.roles["test"] == tuple(span(number, 0, 2000, "a") for number in (1, 2, 3))
    assert len(pair.roles["validation"]) == 1 and len(pair.roles["fit"]) == 5
    (alone,) = [fold for fold in folds if fold.name == "b -> a"]
    assert alone.roles["fit"] == (span(1, 0, 1580, "b"),) and alone.roles["validation"] == (span(1, 1620, 2000, "b"),)


def test_a_fifth_of_the_sources_persons_validate():
    (fold,) = [f for f in CROSS_DATASET.folds([*lab(15, "a"), *lab(1, "b")], TASK) if f.name == "a -> b"]
    assert (len(fold.roles["fit"]), len(fold.roles["validation"])) == (12, 3)


def test_a_person_of_both_datasets_is_not_fitted_on():
    entries = [*lab(3, "a"), entry("b/X/1/t", (0, 2000), person="a/S2")]
    (fold,) = [f for f in CROSS_DATASET.folds(entries, TASK) if f.name == "a -> b"]
    assert "a/S2/1/t" not in {s.key for role in ("fit", "validation") for s in fold.roles[role]}
    assert any("a/S2" in note for note in fold.notes)
    check_leaks(fold, entries, signals=None)


def test_frontal_angles_of_two_conventions_never_meet():
    frontal = Task("f", 1, "f", ("thigh_r",), ("gyr",), ("knee_flexion_r", "knee_adduction_r"), 100.0, WINDOW, STRIDE)
    entries = [*lab(3, "a"), *(entry(f"b/S{n}/1/t", (0, 2000), convention="visual3d") for n in (1, 2, 3))]
    folds = CROSS_DATASET.folds(entries, frontal)
    assert {fold.diagonal for fold in folds} == {"ug"}
    assert any("knee_adduction_r of different conventions never meet" in note for note in folds[0].notes)
    assert len(CROSS_DATASET.folds(entries, TASK)) == 3 + 3 + 2


# --- not applicable --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("protocol", "entries", "says"),
    [
        (UG, lab(1), "needs two persons or more, to fit on others than it tests; 'lab' has one\\."),
        (UA, lab(1), "needs two persons"),
        (CROSS_DATASET, lab(4), "needs two datasets.*only lab"),
        (CROSS_DATASET, [], "there is none"),
        (UI, [], "no recording"),
        (UI, lab(2, length=200), "lab/S1's walking is left out: fewer than 4 windows for test"),
        (UG, lab(3, length=200), "fewer than 4 windows for test"),
        (UA, lab(3, length=380), "fewer than 4 windows for stopping"),
    ],
)
def test_a_cell_without_meaning_says_why(protocol, entries, says):
    with pytest.raises(NotApplicable, match=says):
        protocol.folds(entries, TASK)


def test_a_short_activity_is_left_out_of_that_person_alone():
    entries = [*lab(3), entry("lab/S1/1/u", (0, 250), activity="squat"), entry("lab/S4/1/t", (0, 150))]
    folds = UG.folds(entries, TASK)
    assert [fold.name for fold in folds] == ["lab/S1", "lab/S2", "lab/S3"]
    assert {s.key for s in folds[0].roles["test"]} == {"lab/S1/1/t"}
    notes = " ".join(folds[0].notes)
    assert "lab/S1's squat is left out" in notes and "lab/S4's walking is left out" in notes


def test_every_block_holds_every_activity():
    entries = [e for n in (1, 2, 3) for e in (entry(f"lab/S{n}/1/t", (0, 2000)),
               entry(f"lab/S{n}/1/u", (0, 3000), activity="squat"))]  # fmt: skip
    for protocol in (UI, UG, UA):
        for fold in protocol.folds(entries, TASK):
            for spans in fold.roles.values():
                assert {s.key[-1] for s in spans} == {"t", "u"}


# --- laws ------------------------------------------------------------------------------------------------------------

RUNS = st.lists(st.integers(0, 1500), min_size=2, max_size=6, unique=True).map(
    lambda edges: tuple(zip(sorted(edges)[::2], sorted(edges)[1::2], strict=False))
)
RECORDING = st.tuples(RUNS, st.sampled_from(["walking", "squat"]), st.sampled_from(["a", "b"]))
COHORT = st.lists(st.lists(RECORDING, min_size=1, max_size=3), min_size=2, max_size=12).map(
    lambda persons: [
        entry(f"{recordings[0][2]}/P{p}/1/t{r}", *runs, activity=activity)
        for p, recordings in enumerate(persons)
        for r, (runs, activity, _) in enumerate(recordings)
    ]
)


def folds_of(protocol, entries):
    try:
        return list(protocol.folds(entries, TASK))
    except NotApplicable:
        return []


@settings(max_examples=10, deadline=None)
@given(cohort=COHORT)
def test_no_fold_of_any_protocol_leaks(cohort):
    for protocol in ALL:
        for fold in folds_of(protocol, cohort):
            check_leaks(fold, cohort, signals=None)
            assert samples(fold.roles["test"]) <= samples(fold.roles.get("test_long", fold.roles["test"]))
            valid = samples(Span(str(e.key), *run) for e in cohort for run in e.runs)
            assert samples(s for spans in fold.roles.values() for s in spans) <= valid
            roles = [samples(spans) for role, spans in fold.roles.items() if role != "test_long"]
            assert sum(map(len, roles)) == len(set().union(*roles))
            assert set(fold.test_persons) == {
                e.person for e in cohort for s in fold.roles["test"] if s.key == str(e.key)
            }


@settings(max_examples=15, deadline=None)
@given(cohort=COHORT, seed=st.randoms(use_true_random=False))
def test_the_order_of_entries_plays_no_part(cohort, seed):
    turned = list(cohort)
    seed.shuffle(turned)
    for protocol in ALL:
        assert folds_of(protocol, turned) == folds_of(protocol, cohort)


@settings(max_examples=20, deadline=None)
@given(cohort=COHORT)
def test_everybody_is_tested_once_and_on_the_same_seconds(cohort):
    tests = {}
    for protocol in (UI, UG, UA):
        folds = folds_of(protocol, cohort)
        tested = [person for fold in folds for person in fold.test_persons]
        assert len(tested) == len(set(tested))
        person_of = {str(e.key): (e.person, e.activity) for e in cohort}
        for fold in folds:
            for s in fold.roles["test"]:
                tests.setdefault((protocol.card.name, *person_of[s.key]), set()).add(s)
    for (_, person, activity), spans in tests.items():
        same = [tests[name, person, activity] for name in ("ui", "ug", "ua") if (name, person, activity) in tests]
        assert all(other == spans for other in same)


@pytest.mark.parametrize("protocol", ALL, ids=lambda protocol: protocol.card.name)
def test_folds_are_the_same_for_ever(protocol):
    entries = [*lab(12, "a"), *lab(2, "b", 3000)] if protocol is CROSS_DATASET else lab(12)
    text = "".join(fold_digest(fold, TASK, protocol.card) for fold in protocol.folds(entries, TASK))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == GOLDEN[protocol.card.name]


GOLDEN = {
    "ui": "04da8e0e38da6d25",
    "ug": "07b724686b334a2d",
    "ua": "80830c7646098bd8",
    "cross-dataset": "43037f4aee4119de",
}
"""Digests of digests: a change of any of them is a new version of the protocol."""
