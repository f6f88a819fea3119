"""Slices and distances: SciPy's tests, exact counts, laws, and how often nothing is called something."""

import math
from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kinbench.errors import DataError, UsageError
from kinbench.statistics.distances import mantel
from kinbench.statistics.slices import between, corrected, correlated, within


def within_band(hits, trials, rate):
    low, high = stats.binom.interval(0.9999, trials, rate)
    return low <= hits <= high


def groups(**values):
    """{group: {person: value}} of different people."""
    return {name: {f"{name}{i}": float(v) for i, v in enumerate(group)} for name, group in values.items()}


def levels(**values):
    """{level: {person: value}} of the same people."""
    return {name: {f"p{i:02d}": float(v) for i, v in enumerate(level)} for name, level in values.items()}


NINE = levels(a=range(9))["a"]


# --- groups and levels -----------------------------------------------------------------------------------------------


def test_two_groups_are_mann_and_whitneys():
    """SciPy's worked example: ages at diagnosis of diabetes, U = 17, p = 0.1111 exact."""
    found = between(groups(male=[19, 22, 16, 29, 24], female=[20, 11, 17, 12]))
    assert (found.test, found.statistic, found.p) == ("Mann-Whitney", 17.0, pytest.approx(0.111111, abs=1e-6))
    assert found.effect.value == pytest.approx(2 * 17 / 20 - 1) and found.means["male"] == 22.0


@pytest.mark.parametrize("digits", [6, 0])
def test_groups_with_and_without_ties_agree_with_scipy(digits):
    rng = np.random.default_rng(1)
    a, b, c = (np.round(rng.normal(shift, 2, 9), digits) for shift in (5, 6, 7))
    if digits:
        assert between(groups(a=a, b=b)).p == pytest.approx(stats.mannwhitneyu(a, b, method="exact").pvalue)
    peer = stats.kruskal(a, b, c)
    found = between(groups(a=a, b=b, c=c))
    assert (found.statistic, found.p) == pytest.approx((peer.statistic, peer.pvalue))
    assert found.effect.value == pytest.approx(peer.statistic / 26)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=4, max_size=5), st.lists(st.integers(0, 5), min_size=4, max_size=5))
def test_ties_are_exact_against_every_choice_of_the_first_group(first, second):
    found = between(groups(a=first, b=second))
    ranks = stats.rankdata(first + second)
    if np.ptp(ranks) == 0:
        assert found.reason == "no value differs"
        return
    sums = np.array([sum(chosen) for chosen in combinations(ranks, len(first))])
    seen = ranks[: len(first)].sum()
    tail = min(np.mean(sums <= seen + 1e-9), np.mean(sums >= seen - 1e-9))
    assert found.p == pytest.approx(min(1.0, 2 * tail))


def test_large_groups_are_scipys_normal_test():
    a, b = np.round(np.random.default_rng(9).normal(size=(2, 40)), 1)
    peer = stats.mannwhitneyu(a, b, method="asymptotic")
    assert between(groups(a=a, b=b)).p == pytest.approx(peer.pvalue)


def test_two_levels_are_wilcoxons_and_three_friedmans():
    rng = np.random.default_rng(2)
    a, b, c = rng.normal(size=(3, 12)) + np.array([[0.0], [0.5], [1.0]])
    found = within(levels(left=a, right=b))
    assert found.p == pytest.approx(stats.wilcoxon(a, b).pvalue) and found.test == "Wilcoxon"
    found = within(levels(a=a, b=b, c=c))
    chi = stats.friedmanchisquare(a, b, c).statistic
    assert found.statistic == pytest.approx(chi)
    assert found.effect.value == pytest.approx(chi / 24) and found.effect_name == "Kendall's W"


def test_a_person_who_lacks_a_level_is_left_out():
    table = levels(left=range(8), right=range(1, 9))
    table["left"]["alone"] = 99.0
    assert within(table).n == 8 and within(table).means == {"left": 3.5, "right": 4.5}


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (between(groups(a=[1, 2, 3], b=[4, 5, 6])), "with 3 and 3 persons p cannot fall below 0.1"),
        (between(groups(a=[1, 2], b=[4, 5, 6])), "group a has 2 persons: a comparison needs 3 in each"),
        (between(groups(a=[1] * 5, b=[1] * 5, c=[1] * 5)), "no value differs"),
        (within(levels(a=range(4), b=range(1, 5))), "with 4 persons p cannot fall below 0.125: 0.05 takes 6 persons"),
        (within(levels(a=range(7), b=range(7))), "no person differs"),
        (within(levels(a=[1, 2], b=[2, 3], c=[3, 4])), "2 persons: ranks over persons need 3"),
        (correlated(levels(a=range(3))["a"], levels(a=range(3))["a"]), "with 3 persons p cannot reach 0.05"),
        (correlated(NINE, dict.fromkeys(NINE, 1.0)), "numbers of the factor are the same in all persons"),
        (correlated(dict.fromkeys(NINE, 1.0), NINE), "values are the same in all persons"),
    ],
)  # fmt: skip
def test_what_cannot_be_tested_is_a_reason_and_counts_for_nothing(found, reason):
    assert math.isnan(found.p) and found.reason == reason and found.effect.reason in (None, reason)
    sound = within(levels(a=range(9), b=range(1, 10)))
    both = corrected({"broken": found, "sound": sound})
    assert both.tests["sound"].p_adjusted == sound.p and both.tests["sound"].significant
    assert not both.tests["broken"].significant
    frame = both.to_frame().set_index("slice")
    assert frame.loc["broken", "reason"] == reason and frame.loc["sound", "means"] == "a 4.00, b 5.00"


def test_slices_are_corrected_together():
    rng = np.random.default_rng(3)
    sound = within(levels(a=rng.normal(size=12), b=rng.normal(size=12) + 3))
    others = {f"s{i}": between(groups(a=rng.normal(size=8), b=rng.normal(size=8))) for i in range(4)}
    found = corrected({"speed": sound, **others})
    assert found.tests["speed"].p_adjusted == pytest.approx(5 * sound.p)
    assert len(corrected({}).to_frame()) == 0


def test_groups_of_the_same_people_and_single_ones_are_refused():
    with pytest.raises(DataError, match="p00, p01 are in two: use within"):
        between(levels(a=[1, 2], b=[1, 2]))
    with pytest.raises(DataError, match="two groups or more, got 1"):
        between(groups(a=[1, 2, 3]))
    with pytest.raises(DataError, match="at least 2 levels, got 1: a"):
        within(levels(a=[1, 2, 3]))
    with pytest.raises(UsageError, match="between 0 and 1, not at 5"):
        between(groups(a=[1, 2, 3], b=[1, 2, 3]), alpha=5)


def test_equal_groups_are_told_apart_in_five_percent():
    rng = np.random.default_rng(4)
    two = three = paired = 0
    for _ in range(2000):
        x = rng.normal(size=(3, 10))
        two += between(groups(a=x[0], b=x[1])).p <= 0.05
        three += between(groups(a=x[0], b=x[1], c=x[2])).p <= 0.05
        paired += within(levels(a=x[0], b=x[1], c=x[2])).p <= 0.05
    assert within_band(two, 2000, 0.0433)  # exact size at 10 and 10: P(U <= 23) twice
    assert within_band(three, 2000, 0.0475) and within_band(paired, 2000, 0.05)


# --- numbers ---------------------------------------------------------------------------------------------------------


def test_rho_is_scipys_and_its_p_is_exact_for_seven():
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(2, 7))
    found = correlated(*levels(x=x, y=y).values())
    assert found.effect.value == found.statistic == pytest.approx(stats.spearmanr(x, y).statistic)
    orders = np.array([*permutations(stats.rankdata(x))])
    rhos = np.corrcoef(np.vstack([stats.rankdata(y), orders]))[0, 1:]
    assert found.p == pytest.approx(np.mean(np.abs(rhos) >= abs(found.statistic) - 1e-9))


def test_many_persons_have_nearly_scipys_p_and_an_interval():
    rng = np.random.default_rng(6)
    age = rng.uniform(20, 70, 30)
    error = age / 20 + rng.normal(0, 1.5, 30)
    found = correlated(*levels(error=error, age=age).values())
    assert found.p == pytest.approx(stats.spearmanr(error, age).pvalue, abs=0.004)
    assert found.effect.low < found.effect.value < found.effect.high


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(12)), st.floats(-10, 10), st.floats(0.1, 10))
def test_order_and_unit_leave_rho_and_p(order, shift, scale):
    x, y = np.random.default_rng(7).normal(size=(2, 12))
    before = correlated(*levels(x=x, y=y).values(), resamples=199)
    order = list(order)
    after = correlated(*levels(x=shift + scale * x[order], y=y[order]).values(), resamples=199)
    assert (after.p, after.statistic) == pytest.approx((before.p, before.statistic))


def test_unrelated_numbers_are_called_related_in_five_percent():
    rng = np.random.default_rng(8)
    hits = sum(
        correlated(*levels(x=rng.normal(size=12), y=rng.normal(size=12)).values(), resamples=199).p <= 0.05
        for _ in range(400)
    )
    assert within_band(hits, 400, 0.05)


# --- distances -------------------------------------------------------------------------------------------------------


def matrices(seed, n, slope=0.0):
    rng = np.random.default_rng(seed)
    places = rng.normal(size=(n, 2))
    distance = np.linalg.norm(places[:, None] - places, axis=-1)
    return distance, 5 + slope * distance + rng.normal(0, 0.3, (n, n))


def test_mantel_is_the_correlation_off_the_diagonal_and_counts_every_order():
    distance, loss = matrices(0, 5, slope=1.0)
    off = ~np.eye(5, dtype=bool)
    for method, peer in (("spearman", stats.spearmanr), ("pearson", stats.pearsonr)):
        found = mantel(distance, loss, method=method)
        assert found.r == pytest.approx(peer(distance[off], loss[off]).statistic)
        rs = []
        for order in permutations(range(5)):
            shuffled = loss[np.ix_(order, order)]
            rs.append(peer(distance[off], shuffled[off]).statistic)
        assert found.p == pytest.approx(np.mean(np.array(rs) >= found.r - 1e-9)) and found.permutations == 120
        two = mantel(distance, loss, method=method, alternative="two-sided")
        assert two.p == pytest.approx(np.mean(np.abs(rs) >= abs(found.r) - 1e-9))


def test_frames_are_matched_by_name_and_the_diagonal_is_not_asked_for():
    distance, loss = matrices(1, 9, slope=1.0)
    names = [f"d{i}" for i in range(9)]
    whole = mantel(distance, loss, permutations=199)
    np.fill_diagonal(loss, math.nan)
    frames = [pd.DataFrame(m, names, names) for m in (distance, loss)]
    shuffled = frames[1].loc[names[::-1], names[3:] + names[:3]]
    found = mantel(frames[0], shuffled, permutations=199)
    assert (found.r, found.p) == pytest.approx((whole.r, whole.p))
    assert whole.p <= 0.01 and whole.to_frame().loc[0, "n"] == 9


def test_few_datasets_and_equal_distances_are_a_reason():
    assert mantel(*matrices(2, 3)).reason == "with 3 datasets p cannot fall below 0.17"
    assert mantel(np.ones((5, 5)), matrices(2, 5)[1]).reason == "the distances do not differ"
    assert mantel(matrices(2, 5)[0], np.ones((5, 5))).reason == "the losses do not differ"


def test_matrices_that_do_not_match_are_refused():
    distance, loss = matrices(3, 5)
    loss[1, 2] = math.nan
    with pytest.raises(DataError, match="missing: 1 to 2"):
        mantel(distance, loss)
    with pytest.raises(DataError, match="missing: b to c"):
        mantel(distance, loss, names=list("abcde"))
    with pytest.raises(DataError, match="two square matrices of one size"):
        mantel(distance, loss[:4])
    with pytest.raises(DataError, match="same names down and across"):
        mantel(pd.DataFrame(distance), pd.DataFrame(loss, list("abcde"), list("abcde")))
    for settings_, message in (({"method": "x"}, "'pearson', not 'x'"), ({"alternative": "less"}, "not 'less'")):
        with pytest.raises(UsageError, match=message):
            mantel(distance, distance, **settings_)


def test_a_loss_without_distance_is_called_one_in_five_percent():
    hits = sum(mantel(*matrices(seed, 5)).p <= 0.05 for seed in range(800))
    assert within_band(hits, 800, 0.05)
