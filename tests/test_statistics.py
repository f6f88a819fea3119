"""Intervals over persons: known answers, and their coverage on data whose truth is known."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kinbench.errors import DataError, UsageError
from kinbench.statistics import (
    Interval,
    bootstrap,
    bootstrap_statistic,
    mean,
    paired_difference,
    standard_deviation,
)

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


# --- any statistic ---------------------------------------------------------------------------------------------------

SPATIAL = np.array(
    [48, 36, 20, 29, 42, 42, 20, 42, 22, 41, 45, 14, 6, 0, 33, 28, 34, 4, 32, 24, 47, 41, 24, 26, 30, 41], dtype=float
)
"""Efron & Tibshirani 1993, table 14.1, column A: spatial perception of 26 children."""


def variance(drawn):
    return drawn.var(axis=1)


@pytest.mark.parametrize(("method", "published"), [("percentile", (100.8, 233.9)), ("bca", (115.8, 259.6))])
def test_the_variance_of_the_spatial_test_has_its_published_interval(method, published):
    """Efron & Tibshirani 1993, table 14.2: 90 % intervals of 2,000 draws, so equal to a few percent only."""
    found = bootstrap_statistic(SPATIAL, variance, level=0.9, method=method)
    assert found.value == pytest.approx(171.5, abs=0.05)
    assert (found.low, found.high) == pytest.approx(published, rel=0.04)


def test_bca_agrees_with_scipy():
    skewed = np.random.default_rng(3).exponential(size=25)
    peer = stats.bootstrap((skewed,), np.mean, n_resamples=20_000, method="BCa", rng=1).confidence_interval
    found = bootstrap(skewed, method="bca", resamples=20_000)
    assert (found.low, found.high) == pytest.approx((peer.low, peer.high), rel=0.02)


@pytest.mark.parametrize("method", ["percentile", "bca"])
@settings(max_examples=15, deadline=None)
@given(values=VALUES, shift=st.floats(-50, 50), scale=st.floats(0.1, 10))
def test_an_interval_moves_and_grows_with_its_values(method, values, shift, scale):
    before = bootstrap(values, resamples=200, method=method)
    after = bootstrap([shift + scale * value for value in values], resamples=200, method=method)
    assert after.low == pytest.approx(shift + scale * before.low, rel=1e-6, abs=1e-6)
    assert after.high == pytest.approx(shift + scale * before.high, rel=1e-6, abs=1e-6)


def test_a_wider_level_is_a_wider_interval_and_rows_may_come_in_any_order():
    table = np.random.default_rng(4).normal(size=(12, 2))
    ratio = lambda drawn: drawn[..., 0].mean(axis=1) - drawn[..., 1].mean(axis=1)  # noqa: E731
    narrow, wide = (bootstrap_statistic(table, ratio, level=level) for level in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high
    assert bootstrap_statistic(table[::-1], ratio, level=0.8) == narrow


def test_draws_are_the_same_however_much_fits_into_memory(monkeypatch):
    whole = bootstrap_statistic(SPATIAL, variance)
    monkeypatch.setattr("kinbench.statistics.intervals._CHUNK", 100)
    assert bootstrap_statistic(SPATIAL, variance) == whole


def test_a_statistic_without_a_value_is_refused_with_a_reason():
    def share(drawn):  # 0 / 0 in every draw that leaves the one person out who is not zero
        total = drawn.sum(axis=1)
        return np.where(total > 0, 1.0, math.nan)

    assert bootstrap_statistic(np.zeros(5), share).reason == "the statistic has no value for these persons"
    seldom = bootstrap_statistic(np.array([0.0, 0, 0, 0, 1]), share)
    assert seldom.value == 1.0 and math.isnan(seldom.low) and "too many draws" in seldom.reason
    assert "1 person: an interval needs 3" in bootstrap_statistic(np.ones(1), variance).reason


def test_a_bootstrap_that_makes_no_sense_is_refused():
    with pytest.raises(UsageError, match="'percentile' or 'bca', not 'magic'"):
        bootstrap([1.0, 2.0, 3.0], method="magic")
    with pytest.raises(UsageError, match="between 0 and 1, not at 95"):
        bootstrap([1.0, 2.0, 3.0], level=95)
    for table in (np.empty((0, 2)), np.array([[1.0, math.nan]])):
        with pytest.raises(DataError, match="one finite row per person"):
            bootstrap_statistic(table, variance)


def test_means_and_intervals_load_no_heavy_library():
    code = "import sys, kinbench.statistics; print([n for n in ('scipy.stats', 'pandas') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
