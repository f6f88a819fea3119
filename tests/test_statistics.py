"""Intervals over persons: known answers, and their coverage on data whose truth is known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinbench.errors import DataError
from kinbench.statistics import Interval, bootstrap, mean, paired_difference, standard_deviation

VALUES = st.lists(st.floats(-100, 100), min_size=3, max_size=15)


def test_mean_and_deviation_have_known_answers():
    assert mean([1.0, 2.0, 6.0]) == 3.0
    assert standard_deviation([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]) == pytest.approx(math.sqrt(32 / 7))
    assert standard_deviation([3.0]) is None


def test_equal_persons_leave_no_doubt():
    assert bootstrap([4.5] * 6) == Interval(4.5, 4.5, 4.5, 6)


def test_three_persons_have_the_interval_that_all_27_draws_give():
    # Of the 27 equally likely draws of (0, 0, 27) one in 27 (3.7 %) has the mean 27, and 8 of 27 the mean 0.
    assert bootstrap([0.0, 27.0, 0.0]) == Interval(9.0, 0.0, 27.0, 3)


@pytest.mark.parametrize("values", [[1.0], [1.0, 2.0]])
def test_fewer_than_three_persons_have_no_interval(values):
    found = bootstrap(values)
    assert (found.low, found.high, found.n) == (None, None, len(values))
    assert not found.above_zero


@pytest.mark.parametrize("values", [[], [1.0, math.nan, 2.0], [1.0, math.inf, 3.0]])
def test_what_has_no_interval_is_refused(values):
    with pytest.raises(DataError, match="one finite value per person"):
        bootstrap(values)


@settings(max_examples=20, deadline=None)
@given(VALUES, st.randoms())
def test_order_changes_no_bit(values, random):
    shuffled = list(values)
    random.shuffle(shuffled)
    assert bootstrap(values, resamples=200) == bootstrap(shuffled, resamples=200)


@settings(max_examples=20, deadline=None)
@given(VALUES)
def test_the_interval_lies_within_the_values(values):
    found = bootstrap(values, resamples=200)
    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    trials = 600
    hits = 0
    for _ in range(trials):
        found = bootstrap(rng.normal(size=30), resamples=400)
        hits += found.low <= 0.0 <= found.high
    # True coverage of the percentile interval at n = 30 is about 0.94; four binomial SDs are 0.039.
    assert 0.90 <= hits / trials <= 0.98


def test_a_paired_difference_of_the_same_people_finds_what_the_unpaired_means_hide():
    rng = np.random.default_rng(0)
    people = {f"lab/{i}": float(v) for i, v in enumerate(rng.normal(10, 5, 12))}
    better = {person: value - 0.5 + 0.1 * rng.normal() for person, value in people.items()}
    found = paired_difference(people, better)
    assert found.above_zero and found.mean == pytest.approx(0.5, abs=0.1) and found.n == 12
    assert not paired_difference(better, people).above_zero


def test_a_paired_difference_uses_shared_persons_only():
    assert paired_difference({"a": 3.0, "b": 1.0, "x": 99.0}, {"a": 1.0, "b": 0.0, "y": -99.0}).mean == 1.5


def test_a_paired_difference_of_strangers_is_refused():
    with pytest.raises(DataError, match="share none"):
        paired_difference({"a": 1.0}, {"b": 1.0})


def test_null_differences_are_called_real_no_more_often_than_promised():
    rng = np.random.default_rng(2)
    people = [f"p{i}" for i in range(20)]
    trials = 400
    above = 0
    for _ in range(trials):
        a, b = (dict(zip(people, rng.normal(size=20), strict=True)) for _ in "ab")
        above += paired_difference(a, b, resamples=400).above_zero
    assert above / trials <= 0.035 + 4 * math.sqrt(0.035 * 0.965 / trials)
    assert above > 0
