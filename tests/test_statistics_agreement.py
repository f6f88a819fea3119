"""Agreement and reliability: Bland and Altman's own data, Shrout and Fleiss's, laws, and coverage of the intervals."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kinbench.errors import DataError, UsageError
from kinbench.statistics.agreement import bland_altman
from kinbench.statistics.reliability import icc

WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
"""Bland & Altman 1986, table 1: peak expiratory flow of 17 people by two meters (l/min, first readings)."""

CARDIAC = """
1: 7.83 6.57, 7.42 5.62, 7.89 6.90, 7.12 6.57, 7.88 6.35; 2: 6.16 4.06, 7.26 4.29, 6.71 4.26, 6.54 4.09
3: 4.75 4.71, 5.24 5.50, 4.86 5.08, 4.78 5.02, 6.05 6.01, 5.42 5.67
4: 4.21 4.14, 3.61 4.20, 3.72 4.61, 3.87 4.68, 3.92 5.04
5: 3.13 3.03, 2.98 2.86, 2.85 2.77, 3.17 2.46, 3.09 2.32, 3.12 2.43; 6: 5.92 5.90, 6.42 5.81, 5.92 5.70, 6.27 5.76
7: 7.13 5.09, 6.62 4.63, 6.58 4.61, 6.93 5.09; 8: 4.54 4.72, 4.81 4.61, 5.11 4.36, 5.29 4.20, 5.39 4.36, 5.57 4.20
9: 4.48 3.17, 4.92 3.12, 3.97 2.96; 10: 4.22 4.35, 4.65 4.62, 4.74 3.16, 4.44 3.53, 4.50 3.53
11: 6.78 7.20, 6.07 6.09, 6.52 7.00, 6.42 7.10, 6.41 7.40, 5.76 6.80
12: 5.06 4.50, 4.72 4.20, 4.90 3.80, 4.80 3.80, 4.90 4.20, 5.10 4.50
"""
"""Bland & Altman 2007, table 1: cardiac output of 12 people by RV and IC, while the true value varies."""


def cardiac():
    rows = []
    for person in CARDIAC.strip().replace("\n", ";").split(";"):
        name, pairs = person.split(":")
        rows += [(*map(float, pair.split()), name.strip()) for pair in pairs.split(",")]
    first, second, names = zip(*rows, strict=True)
    return np.array(first), np.array(second), list(names)


def within_band(hits, trials, rate):
    low, high = stats.binom.interval(0.9999, trials, rate)
    return low <= hits <= high


# --- limits of agreement ---------------------------------------------------------------------------------------------


def test_peak_flow_has_its_published_limits():
    """Bland & Altman 1986: bias -2.1 (-22.0 to 17.8), limits with SD 38.8; their 2 is 1.96 here."""
    found = bland_altman(WRIGHT, MINI)
    assert (found.bias.value, found.bias.low, found.bias.high) == pytest.approx((-2.1, -22.0, 17.8), abs=0.1)
    assert found.sd == pytest.approx(38.8, abs=0.05)
    assert found.lower.value == pytest.approx(-2.12 - 1.96 * 38.77, abs=0.1)
    # Their rounder error of a limit, sqrt(3 / n) s, gives -114.3 to -45.1 and 40.9 to 110.1 about 2 SD.
    assert found.lower.high - found.lower.low == pytest.approx(114.3 - 45.1, rel=0.01)
    assert found.upper.high - found.upper.low == pytest.approx(110.1 - 40.9, rel=0.01)
    assert (found.n, found.values, found.within_sd) == (17, 17, 0.0)


def test_cardiac_output_is_as_published_where_persons_weigh_alike():
    """Bland & Altman 2007, section 3: 0.60, SD 0.99, limits -1.34 and 2.54, where people weigh by their values.

    Within people the variance is theirs, 0.1707; here persons weigh alike, which moves the limits by less than 0.2.
    """
    first, second, names = cardiac()
    found = bland_altman(first, second, names)
    assert found.within_sd**2 == pytest.approx(0.1707, abs=1e-4)
    assert found.sd == pytest.approx(0.99, abs=0.05)
    assert (found.lower.value, found.upper.value) == pytest.approx((-1.34, 2.54), abs=0.2)
    assert (found.n, found.values) == (12, 60)
    assert found.to_frame().loc[0, "lower_low"] < found.lower.value < found.to_frame().loc[0, "lower_high"]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6))
def test_equally_many_values_per_person_are_the_published_analysis_of_variance(seed, m):
    """Bland & Altman 2007, section 3: the variance between persons is (MSB - MSW) / m; a difference has both."""
    rng = np.random.default_rng(seed)
    difference = rng.normal(1, 1, (8, 1)) + rng.normal(0, 0.7, (8, m))
    within = float(np.mean(difference.var(axis=1, ddof=1)))
    between = (m * float(difference.mean(axis=1).var(ddof=1)) - within) / m
    reference = rng.normal(30, 8, difference.shape)
    names = np.repeat([f"p{i}" for i in range(8)], m)
    found = bland_altman((reference + difference).ravel(), reference.ravel(), names, resamples=50)
    assert found.sd**2 == pytest.approx(between + within)
    assert found.person_sd**2 == pytest.approx(max(0.0, between))


def test_windows_of_one_person_do_not_pass_for_persons():
    """A hundred equal windows per person leave the bias as uncertain as one each."""
    rng = np.random.default_rng(0)
    offset, reference = rng.normal(0, 3, 10), rng.normal(30, 5, 10)
    one = bland_altman(reference + offset, reference)
    names = np.repeat([f"p{i}" for i in range(10)], 100)
    many = bland_altman(np.repeat(reference + offset, 100), np.repeat(reference, 100), names)
    assert (many.bias.low, many.bias.high) == pytest.approx((one.bias.low, one.bias.high))
    assert many.sd == pytest.approx(one.sd) and many.within_sd < 1e-12


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(60)), st.floats(-20, 20), st.floats(0.2, 5))
def test_order_and_unit_change_nothing_else(order, shift, scale):
    first, second, names = cardiac()
    before = bland_altman(first, second, names, resamples=50)
    order = list(order)
    after = bland_altman(
        shift + scale * first[order], shift + scale * second[order], [names[i] for i in order], resamples=50
    )
    for name in ("bias", "lower", "upper"):
        old, new = getattr(before, name), getattr(after, name)
        assert (new.value, new.low, new.high) == pytest.approx((scale * old.value, scale * old.low, scale * old.high))
    assert after.slope.value == pytest.approx(before.slope.value)


def test_a_gain_error_is_a_slope():
    rng = np.random.default_rng(1)
    reference = rng.uniform(10, 60, 40)
    measured = 0.9 * reference + rng.normal(0, 0.5, 40)
    found = bland_altman(measured, reference)
    assert found.slope.value == pytest.approx(-0.1 / 0.95, abs=0.02)
    assert found.slope.low < -0.1 / 0.95 < found.slope.high < 0
    middle, difference = (measured + reference) / 2, measured - reference
    assert found.slope.value == pytest.approx(stats.linregress(middle, difference).slope)


@pytest.mark.parametrize("m", [1, 4])
def test_limits_cover_the_true_ones_about_as_often_as_they_say(m):
    rng = np.random.default_rng(2)
    trials, hits, bias = 500, 0, 0
    truth = 1.0 + stats.norm.ppf(0.975) * math.hypot(1.0, 0.7)
    names = np.repeat([f"p{i}" for i in range(15)], m)
    for _ in range(trials):
        difference = (1.0 + rng.normal(0, 1.0, (15, 1)) + rng.normal(0, 0.7, (15, m))).ravel()
        found = bland_altman(difference, np.zeros_like(difference), names, resamples=10)
        hits += found.upper.low <= truth <= found.upper.high
        bias += found.bias.low <= 1.0 <= found.bias.high
    assert within_band(bias, trials, 0.95)
    assert stats.binom.ppf(0.0001, trials, 0.93) <= hits <= stats.binom.ppf(0.9999, trials, 0.97)


def test_agreement_of_few_or_equal_values_is_a_reason():
    few = bland_altman([1.0, 2.0], [1.5, 2.5])
    assert few.reason == "2 persons: limits of agreement need 3"
    assert few.bias.value == -0.5 and math.isnan(few.lower.value) and few.bias.reason == few.reason
    assert bland_altman([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], ["a", "a", "a"]).reason.startswith("1 person")
    flat = bland_altman(np.full(5, 2.0), np.full(5, 1.0))
    assert (flat.lower.value, flat.upper.value) == (1.0, 1.0) and flat.slope.reason == "all means are equal: no slope"
    assert bland_altman([], []).reason.startswith("0 persons")


@pytest.mark.parametrize(
    "arguments",
    [([1.0, 2.0], [1.0]), ([1.0, math.nan, 2.0], [1.0, 2.0, 3.0]), ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], ["a", "b"])],
)
def test_values_that_do_not_match_are_refused(arguments):
    with pytest.raises(DataError, match="as many finite measured values as reference values"):
        bland_altman(*arguments)
    with pytest.raises(UsageError, match="between 0 and 1, not at 95"):
        bland_altman([1.0], [1.0], level=95)


# --- intraclass correlation ------------------------------------------------------------------------------------------

SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)


@pytest.mark.parametrize(
    ("form", "value", "low", "high"),
    [
        ("ICC(1,1)", 0.17, -0.13, 0.72),
        ("ICC(2,1)", 0.29, 0.02, 0.76),
        ("ICC(3,1)", 0.71, 0.34, 0.95),
        ("ICC(1,k)", 0.44, -0.88, 0.91),
        ("ICC(2,k)", 0.62, 0.07, 0.93),
        ("ICC(3,k)", 0.91, 0.68, 0.99),
    ],
)
def test_shrout_and_fleiss_have_their_published_correlations(form, value, low, high):
    """Shrout & Fleiss 1979, table 4; intervals as McGraw & Wong 1996 have them (and psych for R prints)."""
    found = icc(SHROUT_FLEISS).form(form).value
    assert (found.value, found.low, found.high) == pytest.approx((value, low, high), abs=0.006)


def test_their_tests_have_the_published_f_and_p():
    first, third = (icc(SHROUT_FLEISS).form(form) for form in ("ICC(1,1)", "ICC(3,1)"))
    assert (first.f, first.df, first.error_df, first.p) == pytest.approx((1.79, 5, 18, 0.165), abs=0.006)
    assert (third.f, third.df, third.error_df, third.p) == pytest.approx((11.03, 5, 15, 0.0001), abs=0.006)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(6)), st.permutations(range(4)), st.floats(-50, 50), st.floats(0.1, 10))
def test_persons_methods_and_unit_may_change_places(persons, methods, shift, scale):
    before = icc(SHROUT_FLEISS).to_frame()
    after = icc(shift + scale * SHROUT_FLEISS[list(persons)][:, list(methods)]).to_frame()
    for column in ("value", "value_low", "value_high", "p"):
        assert after[column].to_numpy() == pytest.approx(before[column].to_numpy(), rel=1e-6, abs=1e-9)


def test_an_offset_of_one_method_is_forgiven_by_consistency_only():
    moved = SHROUT_FLEISS + np.array([0, 10, 0, 0])
    assert icc(moved).form("ICC(3,1)").value.value == pytest.approx(icc(SHROUT_FLEISS).form("ICC(3,1)").value.value)
    assert icc(moved).form("ICC(2,1)").value.value < icc(SHROUT_FLEISS).form("ICC(2,1)").value.value


@pytest.mark.parametrize("form", ["ICC(1,1)", "ICC(2,1)", "ICC(3,1)"])
def test_the_interval_covers_the_true_correlation_about_as_often_as_it_says(form):
    rng = np.random.default_rng(3)
    rater = 1.0 if form == "ICC(2,1)" else 0.0
    truth = 4.0 / (4.0 + 1.0 + rater)
    hits = 0
    for _ in range(500):
        table = 2 * rng.normal(size=(15, 1)) + math.sqrt(rater) * rng.normal(size=4) + rng.normal(size=(15, 4))
        found = icc(table).form(form).value
        hits += found.low <= truth <= found.high
    assert stats.binom.ppf(0.0001, 500, 0.94) <= hits <= stats.binom.ppf(0.9999, 500, 0.97)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (np.ones((5, 3)), "no value differs"),
        (SHROUT_FLEISS[:2], "2 persons: it needs 3"),
        (SHROUT_FLEISS[:1], "1 person: it needs 3"),
        (np.arange(5.0)[:, None] + [0, 3], "the methods differ by the same in all persons: there is no error"),
    ],
)
def test_correlations_of_too_little_are_a_reason(table, reason):
    found = icc(table)
    assert found.reason == reason
    assert all(math.isnan(form.value.value) and form.value.reason == reason for form in found.forms)
    assert len(found.to_frame()) == 6


def test_tables_that_are_none_are_refused():
    for table in (np.ones(4), np.ones((4, 1)), np.array([[1.0, math.nan], [2.0, 3.0], [1.0, 1.0]])):
        with pytest.raises(DataError, match="complete table of persons by two methods"):
            icc(table)
    with pytest.raises(UsageError, match=r"no 'ICC\(4,1\)'; there are ICC\(1,1\)"):
        icc(SHROUT_FLEISS).form("ICC(4,1)")
