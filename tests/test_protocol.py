"""Timelines, cuts, embargoes and digests: laws that hold for any entries."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from kinbench.protocol import BLOCKS, Fold, ProtocolCard, blocks, cut, embargo, fit_digest, fold_digest, timelines
from kinbench.protocol import windows_in as count
from kinbench.recording import Key, Span, TaskEntry
from kinbench.tasks import Task

TASK = Task("knee", 1, "knee", ("thigh", "shank"), ("acc", "gyr"), ("knee_flexion",), 100.0, 16, 8, per_leg=True)
CARD = ProtocolCard("p", 1, "t", "d", "nothing")


def entry(key, *runs, person=None, activity="walking", embargo=20):
    key = Key.parse(key)
    return TaskEntry(key, person or key.person, activity, "0" * 64, 100.0, 16, embargo, runs)


RUNS = st.lists(st.integers(0, 400), min_size=2, max_size=8, unique=True).map(
    lambda edges: tuple(zip(sorted(edges)[::2], sorted(edges)[1::2], strict=False))
)
TIMELINE = st.lists(RUNS, min_size=1, max_size=3).map(
    lambda recordings: tuple(
        Span(f"lab/S1/1/t{number}", start, stop) for number, runs in enumerate(recordings) for start, stop in runs
    )
)


def samples(spans):
    return [(span.key, k) for span in spans for k in range(span.start, span.stop)]


def test_a_timeline_follows_keys_not_the_order_given():
    entries = [
        entry("lab/S1/1/t10", (0, 10)), entry("lab/S1/1/t2", (5, 10), (20, 30)), entry("lab/S2/1/t1", (0, 4)),
        entry("lab/S1/2/t1", (0, 5), activity="squat"), entry("lab/S3/1/t1"),
    ]  # fmt: skip
    expected = {
        "lab/S1": {
            "walking": (Span("lab/S1/1/t2", 5, 10), Span("lab/S1/1/t2", 20, 30), Span("lab/S1/1/t10", 0, 10)),
            "squat": (Span("lab/S1/2/t1", 0, 5),),
        },
        "lab/S2": {"walking": (Span("lab/S2/1/t1", 0, 4),)},
    }
    assert timelines(entries) == timelines(entries[::-1]) == expected


def test_a_person_known_by_two_names_has_one_timeline():
    found = timelines([entry("a/S1/1/t", (0, 10)), entry("b/S9/1/t", (0, 10), person="a/S1")])
    assert [span.key for span in found["a/S1"]["walking"]] == ["a/S1/1/t", "b/S9/1/t"]


@settings(max_examples=60, deadline=None)
@given(timeline=TIMELINE, borders=st.lists(st.integers(1, 99), max_size=4, unique=True))
def test_cuts_share_no_sample_and_lose_none(timeline, borders):
    edges = [0, *sorted(borders), 100]
    parts = [cut(timeline, a, b) for a, b in pairwise(edges)]
    assert [one for part in parts for one in samples(part)] == samples(timeline)
    total = len(samples(timeline))
    for (a, b), part in zip(pairwise(edges), parts, strict=True):
        assert abs(len(samples(part)) - total * (b - a) / 100) < 1


def test_blocks_hold_their_share_of_every_activity():
    found = blocks([entry("lab/S1/1/a", (0, 1000)), entry("lab/S1/1/b", (100, 600), activity="squat")])["lab/S1"]
    assert set(found) == set(BLOCKS)
    assert found["A"] == (Span("lab/S1/1/a", 0, 200), Span("lab/S1/1/b", 100, 200))
    assert found["D"] == (Span("lab/S1/1/a", 800, 1000), Span("lab/S1/1/b", 500, 600))


@settings(max_examples=60, deadline=None)
@given(timeline=TIMELINE, reach=st.integers(0, 60), borders=st.lists(st.integers(1, 99), min_size=1, max_size=4))
def test_an_embargo_keeps_groups_two_reaches_apart_and_takes_no_more(timeline, reach, borders):
    edges = sorted({0, *borders, 100})
    groups = {a: cut(timeline, a, b) for a, b in pairwise(edges)}
    kept = embargo(groups, {span.key: reach for span in timeline})
    owner = {sample: group for group, spans in groups.items() for sample in samples(spans)}
    left = {sample: group for group, spans in kept.items() for sample in samples(spans)}
    assert all(owner[sample] == group for sample, group in left.items())
    for key in {span.key for span in timeline}:
        mine = sorted((k, group) for (name, k), group in left.items() if name == key)
        for (k, group), (m, other) in pairwise(mine):
            assert group == other or m - k > 2 * reach
        theirs = sorted((k, group) for (name, k), group in owner.items() if name == key)
        edges_there = [(k + 1 + m) // 2 for (k, g), (m, o) in pairwise(theirs) if g != o]
        for k, _ in theirs:
            near = any(border - reach <= k < border + reach for border in edges_there)
            assert near != ((key, k) in left)


def test_an_embargo_is_inside_a_recording_only():
    groups = {"a": (Span("k1", 0, 100),), "b": (Span("k2", 0, 100),)}
    assert embargo(groups, {"k1": 50, "k2": 50}) == groups


def test_whole_windows_are_counted():
    assert count([Span("k", 0, 16), Span("k", 20, 35), Span("k", 40, 80)], 16, 8) == 1 + 0 + 4


def fold(**changes):
    plain = Fold(
        "f", ("lab/S1",), ("lab",), "lab",
        {"fit": (Span("k2", 0, 5), Span("k3", 0, 5)), "validation": (Span("k4", 0, 5),), "test": (Span("k1", 0, 5),)},
    )  # fmt: skip
    return replace(plain, **changes)


def test_a_digest_names_the_spans_and_not_their_order_or_notes():
    base = fold_digest(fold(), TASK, CARD)
    assert len(base) == 64
    turned = {role: spans[::-1] for role, spans in reversed(fold().roles.items())}
    assert fold_digest(fold(roles=turned, notes=("why",)), TASK, CARD) == base
    others = [
        fold_digest(fold(roles={**fold().roles, "test": (Span("k1", 0, 6),)}), TASK, CARD),
        fold_digest(fold(name="g"), TASK, CARD),
        fold_digest(fold(individual=True), TASK, CARD),
        fold_digest(fold(), replace(TASK, version=2), CARD),
        fold_digest(fold(), TASK, replace(CARD, version=2)),
    ]
    assert len({base, *others}) == 6


def test_a_digest_is_the_same_for_ever():
    assert fold_digest(fold(), TASK, CARD) == "62dc4849812953fc04b716a24d536e17d2b694fa9cd64f5a5417a819aa2e1d54"


def test_folds_with_one_fit_share_its_digest():
    other_test = fold(roles={**fold().roles, "test": (Span("k1", 1, 6),), "adaptation": (Span("k1", 50, 60),)})
    assert fit_digest(other_test, TASK) == fit_digest(fold(name="g"), TASK)
    assert fit_digest(fold(roles={**fold().roles, "fit": ()}), TASK) != fit_digest(fold(), TASK)
