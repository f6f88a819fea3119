"""Comparing models: published examples, SciPy and statsmodels, laws, and how often nothing is called something."""

import math
import sys
import warnings
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kinbench.errors import DataError, UsageError
from kinbench.statistics.comparisons import bonferroni, compare, holm, least_persons, paired_t, signed_rank
from kinbench.statistics.equivalence import equivalence, non_inferiority
from kinbench.statistics.ranks import critical_difference, friedman, nemenyi
from kinbench.statistics.variance import mixed_model, one_way, repeated_measures, two_way

DIFFERENCES = st.lists(st.integers(-6, 6), min_size=6, max_size=10)


def people(values, names=None):
    """{model: {person: value}} from (persons, models)."""
    values = np.asarray(values, dtype=float)
    names = names or [f"m{j}" for j in range(values.shape[1])]
    return {name: {f"p{i:02d}": float(v) for i, v in enumerate(values[:, j])} for j, name in enumerate(names)}


def within_band(hits, trials, rate):
    """Whether a count lies where all but one in ten thousand binomial counts lie."""
    low, high = stats.binom.interval(0.9999, trials, rate)
    return low <= hits <= high


# --- paired tests ----------------------------------------------------------------------------------------------------


def test_darwins_plants_have_their_exact_p():
    """Fisher 1935, ch. 3: heights of 15 pairs of cross- and self-fertilised plants; SciPy's own worked example."""
    found = signed_rank([6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75])
    assert (found.positive, found.negative, found.p) == (96.0, 24.0, pytest.approx(0.041259765625))
    assert found.effect == pytest.approx((96 - 24) / 120)


def test_students_sleep_has_its_published_t():
    """Student 1908: ten sleepers, two drugs, t = 4.06, p = 0.0028."""
    first = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
    second = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
    found = paired_t(second - first)
    assert (found.t, found.df, found.p) == (pytest.approx(4.0621, abs=1e-4), 9, pytest.approx(0.002833, abs=1e-6))
    assert found.dz == pytest.approx(1.58 / 1.229995, abs=1e-5)
    assert found.t == pytest.approx(stats.ttest_rel(second, first).statistic)


@settings(max_examples=40, deadline=None)
@given(DIFFERENCES)
def test_ties_and_zeros_are_exact_against_every_pattern_of_signs(values):
    """Pratt 1959: zeros take ranks and no sign. Counted one pattern at a time."""
    found = signed_rank(values)
    ranks = stats.rankdata(np.abs(values))[np.array(values) != 0]
    if not ranks.size:
        assert math.isnan(found.p) and found.reason == "no person differs"
        return
    sums = np.array([*product((0, 1), repeat=ranks.size)]) @ ranks
    tail = min(np.mean(sums <= found.positive + 1e-9), np.mean(sums >= found.positive - 1e-9))
    assert found.p == pytest.approx(min(1.0, 2 * tail), abs=1e-12)


@pytest.mark.parametrize("n", [6, 20, 50])
def test_without_ties_it_is_scipys_exact_test(n):
    values = np.random.default_rng(n).normal(0.3, 1, n)
    assert signed_rank(values).p == pytest.approx(stats.wilcoxon(values, method="exact").pvalue, rel=1e-10)


def test_above_the_exact_count_it_is_scipys_normal_test_with_pratts_zeros():
    values = np.round(np.random.default_rng(0).normal(0.1, 1, 260), 1)
    assert (values == 0).any()
    peer = stats.wilcoxon(values, zero_method="pratt", method="asymptotic", correction=False).pvalue
    assert signed_rank(values).p == pytest.approx(peer, rel=1e-9)


def test_four_persons_are_refused_for_they_can_never_show_it():
    found = signed_rank([1.0, 2.0, 3.0, 4.0])
    assert math.isnan(found.p) and found.effect == 1.0
    assert found.reason == "with 4 persons p cannot fall below 0.125: 0.05 takes 6 persons"
    assert signed_rank(np.arange(1.0, 7.0)).p == pytest.approx(2 / 64)


@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.001])
@pytest.mark.parametrize("family", [1, 3, 10])
def test_the_least_number_of_persons_is_where_the_smallest_p_gets_there(alpha, family):
    n = least_persons(alpha, family)
    assert 2.0 ** (1 - n) * family <= alpha < 2.0 ** (2 - n) * family
    assert signed_rank(np.arange(1.0, n + 1), alpha=alpha).p * family <= alpha


@pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0], [0.5] * 8])
def test_t_of_nothing_that_varies_is_a_reason(values):
    found = paired_t(values)
    assert math.isnan(found.p) and math.isnan(found.t) and found.reason


@pytest.mark.parametrize("test", [signed_rank, paired_t])
def test_a_difference_that_is_no_number_is_refused(test):
    with pytest.raises(DataError, match="one finite difference per person"):
        test([1.0, math.nan, 2.0])


# --- corrections -----------------------------------------------------------------------------------------------------


def test_corrections_have_their_known_answers():
    """R's help of p.adjust; NaN is a test that was not made and counts for none."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert bonferroni([0.01, 0.04, 0.3]) == pytest.approx((0.03, 0.12, 0.9))
    assert holm([math.nan, 0.02, 0.5])[1:] == pytest.approx((0.04, 0.5))
    assert bonferroni([math.nan, 0.02, 0.6])[1:] == pytest.approx((0.04, 1.0))
    assert holm([]) == ()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_corrections_agree_with_statsmodels(p):
    from statsmodels.stats.multitest import multipletests

    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], abs=1e-12)
    assert bonferroni(p) == pytest.approx(multipletests(p, method="bonferroni")[1], abs=1e-12)


# --- pairs of models -------------------------------------------------------------------------------------------------


def campaign(n=14, seed=0):
    rng = np.random.default_rng(seed)
    return people(rng.normal(8, 2, (n, 1)) + np.array([0.0, 0.1, 1.5]) + rng.normal(0, 0.4, (n, 3)), ["a", "b", "c"])


def test_pairs_are_found_by_wilcoxon_and_by_t_and_a_frame_is_accepted():
    scores = campaign()
    scores["a"]["only a"] = 3.0
    for test, correction in (("wilcoxon", "holm"), ("t", "bonferroni")):
        found = compare(scores, test=test, correction=correction)
        assert found.left_out == ("only a",) and len(found.persons) == 14
        assert [pair.significant for pair in found.pairs] == [False, True, True]
        assert found.pair("c", "a").difference.mean == pytest.approx(-1.5, abs=0.4)
        frame = found.to_frame()
        assert list(frame["first"]) == ["a", "a", "b"] and (frame["difference_low"] < frame["difference"]).all()
        assert compare(pd.DataFrame(scores), test=test, correction=correction) == found


def test_too_few_for_a_family_is_noted_and_too_few_at_all_is_refused():
    assert compare(campaign(6)).note == (
        "With 6 persons no pair can be significant at 0.05 after correction for 3 pairs; that takes 7 at least."
    )
    assert compare(campaign(7)).note is None
    four = compare(campaign(4))
    assert all(math.isnan(pair.p_adjusted) and "6 persons" in pair.reason for pair in four.pairs)
    assert not any(pair.significant for pair in four.pairs)


def test_equal_models_get_a_reason_and_do_not_count_for_the_others():
    scores = campaign()
    scores["b"] = scores["a"]
    found = compare(scores)
    assert found.pair("a", "b").reason == "no person differs"
    assert found.pair("a", "c").p_adjusted == pytest.approx(2 * found.pair("a", "c").p)


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(9)), st.floats(-3, 3), st.floats(0.5, 4))
def test_who_comes_first_and_the_unit_change_no_verdict(order, shift, scale):
    values = np.random.default_rng(5).normal(6, 1, (9, 3)) + np.array([0, 0.5, 1])
    before, after = compare(people(values)), compare(people(shift + scale * values[list(order)]))
    for old, new in zip(before.pairs, after.pairs, strict=True):
        assert new.p == pytest.approx(old.p) and new.rank_biserial == pytest.approx(old.rank_biserial)
        assert new.dz == pytest.approx(old.dz) and new.difference.mean == pytest.approx(scale * old.difference.mean)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({"a": {"p": 1.0}}, "at least 2 models, got 1: a"),
        ({}, "at least 2 models, got 0"),
        ({"a": {"p": 1.0}, "b": {"q": 1.0}}, "share none"),
        ({"a": {"p": 1.0}, "b": {"p": math.nan}}, "share none"),
    ],
)
@pytest.mark.parametrize("question", [compare, critical_difference])
def test_what_cannot_be_compared_is_refused(question, scores, message):
    with pytest.raises(DataError, match=message):
        question(scores)


def test_unknown_ways_are_refused():
    for settings_, message in (
        ({"test": "z"}, "'wilcoxon' or 't', not 'z'"),
        ({"correction": "fdr"}, "holm, bonferroni, none, not 'fdr'"),
        ({"alpha": 5}, "between 0 and 1, not at 5"),
    ):
        with pytest.raises(UsageError, match=message):
            compare(campaign(), **settings_)
    with pytest.raises(UsageError, match="No pair of 'a' and 'x'"):
        compare(campaign()).pair("a", "x")


def test_a_family_of_true_nulls_is_broken_no_more_often_than_promised():
    """Three equal models, 12 persons: any significant pair after Holm in at most 5 % of 2,000 campaigns."""
    rng = np.random.default_rng(6)
    broken = singles = 0
    for _ in range(2000):
        x = rng.normal(size=(12, 3))
        p = [signed_rank(x[:, i] - x[:, j]).p for i, j in ((0, 1), (0, 2), (1, 2))]
        broken += min(holm(p)) <= 0.05
        singles += p[0] <= 0.05
    # The exact test of 12 untied differences has the size P(W <= 13) = 2 * 87 / 4096.
    assert within_band(singles, 2000, 2 * 87 / 4096)
    assert 0 < broken <= stats.binom.ppf(0.9999, 2000, 0.05)


def test_paired_t_calls_nothing_something_in_its_five_percent():
    rng = np.random.default_rng(7)
    hits = sum(paired_t(rng.normal(size=8)).p <= 0.05 for _ in range(2000))
    assert within_band(hits, 2000, 0.05)


# --- ranks -----------------------------------------------------------------------------------------------------------

DEMSAR = """
0.763 0.768 0.771 0.798; 0.599 0.591 0.590 0.569; 0.954 0.971 0.968 0.967; 0.628 0.661 0.654 0.657
0.882 0.888 0.886 0.898; 0.936 0.931 0.916 0.931; 0.661 0.668 0.609 0.685; 0.583 0.583 0.563 0.625
0.775 0.838 0.866 0.875; 1.000 1.000 1.000 1.000; 0.940 0.962 0.965 0.962; 0.619 0.666 0.614 0.669
0.972 0.981 0.9752 0.975; 0.957 0.978 0.946 0.970
"""
"""Demšar 2006, table 6: AUC of four trees on 14 sets (the tie of "voting" broken as its printed ranks have it)."""


def demsar():
    rows = DEMSAR.strip().replace("\n", ";").split(";")
    return people([[float(v) for v in row.split()] for row in rows], ["C4.5", "m", "cf", "m+cf"])


def test_demsars_example_has_its_published_ranks_and_critical_difference():
    found = critical_difference(demsar(), lower_is_better=False)
    assert {k: round(v, 3) for k, v in found.mean_ranks.items()} == {
        "m+cf": 1.964,
        "m": 2.0,
        "cf": 2.893,
        "C4.5": 3.143,
    }
    assert found.difference == pytest.approx(1.25, abs=0.005)
    assert found.groups == (("m+cf", "m", "cf", "C4.5"),)  # "the post-hoc test is not powerful enough" (p. 12)
    values = np.array([[*column.values()] for column in demsar().values()])
    peer = stats.friedmanchisquare(*values)
    assert (found.friedman.chi_squared, found.friedman.chi_squared_p) == pytest.approx((peer.statistic, peer.pvalue))


def test_friedmans_f_follows_demsars_formula():
    """Demšar 2006, p. 11: chi squared 9.28 of 4 models on 14 sets is F = 3.69, with 3 and 39 degrees of freedom."""
    ranks = np.array([(1, 2, 3, 4)] * 5 + [(2, 1, 4, 3)] * 4 + [(4, 3, 2, 1)] * 3 + [(3, 1, 2, 4)] * 2)
    found = friedman(ranks)
    chi = 12 * 14 / 20 * (np.sum(ranks.mean(axis=0) ** 2) - 4 * 25 / 4)
    assert (found.chi_squared, found.f) == pytest.approx((chi, 13 * chi / (14 * 3 - chi)))
    assert found.p == pytest.approx(stats.f.sf(found.f, 3, 39))


@pytest.mark.parametrize(("models", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_nemenyis_difference_follows_the_published_table(models, q):
    """Demšar 2006, table 5(a)."""
    assert nemenyi(models, 10) == pytest.approx(q * math.sqrt(models * (models + 1) / 60), abs=2e-3)


def test_groups_join_those_that_are_not_told_apart():
    rng = np.random.default_rng(8)
    found = critical_difference(people(rng.normal(0, 1, (30, 4)) + np.array([0, 0.1, 4, 4.1]), ["a", "b", "c", "d"]))
    assert {frozenset(group) for group in found.groups} == {frozenset("ab"), frozenset("cd")}
    assert found.groups == found.wilcoxon_groups and found.friedman.p < 1e-6
    frame = found.to_frame().set_index("model")
    assert frame.loc["a", "groups"] == frame.loc["b", "groups"] != frame.loc["c", "groups"]


def test_groups_overlap_where_a_middle_model_is_like_both_ends():
    ranks = [(1, 2, 3)] * 6 + [(2, 1, 3)] * 4 + [(1, 3, 2)] * 4
    found = critical_difference(people(ranks, ["a", "b", "c"]))
    assert found.difference == pytest.approx(2.343 * math.sqrt(12 / 84), abs=1e-3)
    assert found.groups == (("a", "b"), ("b", "c"))  # mean ranks 1.29, 2.00 and 2.71
    assert found.to_frame()["groups"].tolist() == ["1", "1, 2", "2"]


def test_ranks_of_few_or_equal_persons_are_a_reason():
    few = critical_difference(people([[1, 2], [1, 2]]))
    assert few.reason == "2 persons: ranks over persons need 3" and few.groups == () and math.isnan(few.difference)
    same = critical_difference(people(np.ones((7, 3))))
    assert same.reason == "every person scores the same with every model" and math.isnan(same.friedman.p)
    alike = critical_difference(people(np.arange(8.0)[:, None] + [1, 2, 3]))
    assert math.isnan(alike.friedman.f) and alike.friedman.p == alike.friedman.chi_squared_p < 0.05


def test_equal_models_are_ranked_apart_in_their_five_percent():
    rng = np.random.default_rng(9)
    hits = sum(friedman(rng.normal(size=(15, 4))).p <= 0.05 for _ in range(2000))
    assert within_band(hits, 2000, 0.05)


# --- analysis of variance --------------------------------------------------------------------------------------------

REACTION = """
420 420 480 480 600 780; 420 480 480 360 480 600; 480 480 540 660 780 780; 420 540 540 480 780 900
540 660 540 480 660 720; 360 420 360 360 480 540; 480 480 600 540 720 840; 480 600 660 540 720 900
540 600 540 480 720 780; 480 420 540 540 660 780
"""
"""Maxwell & Delaney 1990, p. 497: reaction times of ten people, noise absent or present, at 0, 4 and 8 degrees."""


def long(values, *factors):
    """A long table from (persons, levels of a[, levels of b])."""
    rows = []
    for index in np.ndindex(values.shape):
        cell = {factor: f"{factor}{level}" for factor, level in zip(factors, index[1:], strict=True)}
        rows.append({"person": f"p{index[0]:02d}", **cell, "value": float(values[index])})
    return pd.DataFrame(rows)


def reaction():
    rows = [row.split() for row in REACTION.strip().replace("\n", ";").split(";")]
    return long(np.array(rows, dtype=float).reshape(10, 2, 3), "noise", "deg")


def random_table(seed, *shape):
    rng = np.random.default_rng(seed)
    factors = ("a", "b")[: len(shape) - 1]
    shift = rng.normal(0, 2, (shape[0], *(1,) * len(factors)))
    return long(
        rng.normal(10, 1, shape) + shift + np.arange(shape[1]).reshape(1, -1, *(1,) * (len(shape) - 2)), *factors
    )


def test_maxwell_and_delaneys_reaction_times_have_their_published_table():
    found = repeated_measures(reaction(), ("noise", "deg"))
    published = {"noise": (285660, 76140, 33.766), "deg": (289920, 64080, 40.719), "noise:deg": (105120, 20880, 45.310)}
    for name, (explained, error, f) in published.items():
        effect = found.effect(name)
        assert (effect.sum_of_squares, effect.error_sum_of_squares) == pytest.approx((explained, error))
        assert effect.f == pytest.approx(f, abs=1e-3)
        assert effect.partial_eta_squared == pytest.approx(explained / (explained + error))
    assert found.effect("deg").epsilon == pytest.approx(0.9616, abs=1e-4)  # ibid.; also the example of R's SSD
    assert found.effect("noise").epsilon == pytest.approx(1.0)


@pytest.mark.parametrize("shape", [(6, 4), (9, 3, 4), (5, 2, 2)])
def test_repeated_measures_agree_with_statsmodels(shape):
    from statsmodels.stats.anova import AnovaRM

    table = random_table(len(shape), *shape).sample(frac=1, random_state=0)
    within = ["a", "b"][: len(shape) - 1]
    peer = AnovaRM(table, "value", "person", within=within).fit().anova_table
    found = repeated_measures(table, within).to_frame().set_index("name")
    assert found["f"].to_numpy() == pytest.approx(peer["F Value"].to_numpy())
    assert found["p"].to_numpy() == pytest.approx(peer["Pr > F"].to_numpy())
    assert found["error_df"].to_numpy() == pytest.approx(peer["Den DF"].to_numpy())


def test_epsilon_is_one_where_covariances_are_and_least_where_one_contrast_does_all():
    rng = np.random.default_rng(2)
    wild = rng.normal(0, 0.001, (12, 4))
    wild[:, 0] += rng.normal(0, 10, 12)
    effect = repeated_measures(long(wild, "a"), ("a",)).effect("a")
    assert effect.epsilon == pytest.approx(1 / 3, abs=1e-3)
    assert effect.p_corrected == pytest.approx(stats.f.sf(effect.f, 1, 11), rel=1e-2)
    calm = repeated_measures(long(rng.normal(size=(20_000 // 8, 4)), "a"), ("a",)).effect("a")
    assert calm.epsilon == pytest.approx(1.0, abs=0.01)


def test_one_factor_of_two_levels_is_the_paired_t():
    table = random_table(3, 9, 2)
    wide = table.pivot(index="person", columns="a", values="value")
    effect = repeated_measures(table, ("a",)).effect("a")
    t = paired_t((wide["a0"] - wide["a1"]).to_numpy())
    assert (effect.f, effect.p, effect.epsilon) == pytest.approx((t.t**2, t.p, 1.0))


def test_two_way_agrees_with_statsmodels_where_cells_are_unequal():
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    table = random_table(4, 9, 3, 4).assign(person=lambda t: [f"q{i}" for i in range(len(t))]).iloc[3:-7]
    peer = anova_lm(ols("value ~ C(a) * C(b)", table).fit(), typ=2)
    found = two_way(table, ("a", "b"))
    for name, row in (("a", "C(a)"), ("b", "C(b)"), ("a:b", "C(a):C(b)")):
        effect = found.effect(name)
        mine = (effect.sum_of_squares, effect.df, effect.f, effect.p, effect.p_corrected)
        assert mine == pytest.approx((*peer.loc[row], peer.loc[row, "PR(>F)"]))
    assert found.effects[0].error_df == peer.loc["Residual", "df"]


def test_one_way_agrees_with_scipy():
    rng = np.random.default_rng(5)
    groups = {f"g{i}": {f"g{i}p{j}": float(v) for j, v in enumerate(rng.normal(i / 2, 1, 5 + i))} for i in range(3)}
    peer = stats.f_oneway(*([*g.values()] for g in groups.values()))
    effect = one_way(groups).effect("group")
    assert (effect.f, effect.p) == pytest.approx((peer.statistic, peer.pvalue))


def test_missing_and_repeated_cells_are_refused_by_name():
    table = random_table(6, 5, 2, 3)
    with pytest.raises(DataError, match="person=p01 a=a0 b=b2 missing"):
        repeated_measures(table.drop(table.index[8]), ("a", "b"))
    with pytest.raises(DataError, match="person=p00 a=a0 b=b0 repeated: average them"):
        repeated_measures(pd.concat([table, table.iloc[:1]]), ("a", "b"))


def test_persons_who_come_twice_are_refused_unless_an_old_papers_way_is_asked_for():
    table = random_table(7, 6, 2, 2)
    with pytest.raises(DataError, match="use repeated_measures"):
        two_way(table, ("a", "b"))
    assert two_way(table, ("a", "b"), compat="independent_rows").n == 24
    with pytest.raises(DataError, match="p0; p1 come more than once"):
        one_way({"x": {"p0": 1.0, "p1": 2.0}, "y": {"p0": 1.0, "p1": 3.0}})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: repeated_measures(t.rename(columns={"value": "v"}), ("a",)), "no column value; it has"),
        (lambda t: repeated_measures(t.assign(value=math.nan), ("a",)), "finite values; the column 'value'"),
        (lambda t: repeated_measures(t[t["a"] == "a0"], ("a",)), "'a' has 1"),
        (lambda t: repeated_measures(t[t["person"] == "p00"], ("a",)), "two persons or more, got 1"),
        (lambda t: repeated_measures(t.iloc[:0], ("a",)), "needs rows"),
        (lambda t: two_way(t.assign(b="x", person=range(len(t))), ("a", "b")), "'b' has 1"),
        (lambda t: two_way(t.assign(b=t["a"], person=range(len(t))), ("a", "b")), "a=a0 b=a1 has none"),
        (lambda t: one_way({"x": {"p": 1.0}}), "got x: 1 person"),
        (lambda t: one_way({"x": {"p": 1.0}, "y": {}}), "y: 0 persons"),
        (lambda t: mixed_model(t[t["person"] < "p02"], ("a",)), "three persons or more, got 2"),
    ],
)
def test_what_has_no_analysis_is_refused_in_a_sentence(call, message):
    with pytest.raises(DataError, match=message):
        call(random_table(8, 5, 3))


def test_no_error_is_a_reason():
    flat = repeated_measures(long(np.arange(5.0)[:, None] + [1, 2, 3], "a"), ("a",)).effect("a")
    assert math.isnan(flat.p) and flat.reason == "all persons change alike: there is no error"
    same = one_way({"x": {"p": 1.0, "q": 1.0}, "y": {"r": 2.0, "s": 2.0}}).effect("group")
    assert math.isnan(same.p) and "all persons of a cell are alike" in same.reason
    lone = one_way({"x": {"p": 1.0}, "y": {"r": 2.0}}).effect("group")
    assert math.isnan(lone.p) and "no person is left" in lone.reason
    with pytest.raises(UsageError, match="no effect 'b'; it has group"):
        one_way({"x": {"p": 1.0}, "y": {"r": 2.0}}).effect("b")


def test_repeated_measures_call_nothing_something_in_their_five_percent():
    """Where sphericity holds p does; where it does not, p does so too often, and the corrected p not."""
    rng = np.random.default_rng(10)
    even = wild = mended = 0
    for _ in range(1000):
        calm = rng.normal(size=(10, 4))
        even += repeated_measures(long(calm, "a"), ("a",)).effects[0].p <= 0.05
        rough = repeated_measures(long(calm * [4.0, 1.0, 0.5, 0.5], "a"), ("a",)).effects[0]
        wild += rough.p <= 0.05
        mended += rough.p_corrected <= 0.05
    assert within_band(even, 1000, 0.05)
    assert wild > stats.binom.ppf(0.9999, 1000, 0.05)
    assert stats.binom.ppf(0.0001, 1000, 0.03) <= mended <= stats.binom.ppf(0.9999, 1000, 0.06)


def test_one_way_calls_nothing_something_in_its_five_percent():
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(500):
        values = rng.normal(size=12)
        groups = {g: {f"{g}{i}": v for i, v in enumerate(values[4 * k : 4 * k + 4])} for k, g in enumerate("abc")}
        hits += one_way(groups).effects[0].p <= 0.05
    assert within_band(hits, 500, 0.05)


# --- mixed model -----------------------------------------------------------------------------------------------------


def test_a_mixed_model_of_complete_persons_is_the_repeated_analysis():
    """Balanced, person as an offset: Wald's chi squared is F times df, with the persons' interactions pooled."""
    table = random_table(12, 10, 4)
    effect = repeated_measures(table, ("a",)).effect("a")
    found = mixed_model(table, ("a",))
    assert found.terms[0].chi_squared == pytest.approx(effect.f * effect.df, rel=1e-3)
    assert found.residual_sd == pytest.approx(math.sqrt(effect.error_sum_of_squares / effect.error_df), rel=1e-3)
    assert 1.0 < found.person_sd < 4.0 and found.to_frame().loc[0, "df"] == 3


def test_a_mixed_model_takes_persons_who_lack_cells():
    table = random_table(13, 12, 3, 2).drop(index=[0, 7, 20])
    found = mixed_model(table, ("a", "b"))
    assert found.rows == 69 and [term.name for term in found.terms] == ["a", "b", "a:b"]
    assert found.terms[0].p < 0.001 < found.terms[1].p


def test_a_mixed_model_without_its_library_says_what_to_install(monkeypatch):
    for module in [name for name in sys.modules if name.startswith("statsmodels")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "statsmodels", None)
    with pytest.raises(UsageError, match=r"pip install 'kinbench\[statistics\]'"):
        mixed_model(random_table(0, 5, 2), ("a",))


def test_a_mixed_model_that_cannot_be_fitted_is_a_reason_or_a_fit_and_never_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = mixed_model(long(np.zeros((4, 2)), "a"), ("a",))
    assert math.isnan(found.terms[0].p) and found.reason


# --- equivalence -----------------------------------------------------------------------------------------------------


def sides(first, second):
    return tuple({f"p{i}": float(v) for i, v in enumerate(side)} for side in (first, second))


def test_two_one_sided_tests_agree_with_statsmodels():
    from statsmodels.stats.weightstats import ttost_paired

    rng = np.random.default_rng(14)
    a = rng.normal(30, 5, 15)
    b = a + rng.normal(1, 4, 15)
    found = equivalence(*sides(a, b), margin=3.0)
    peer, lower, upper = ttost_paired(a, b, -3.0, 3.0)
    assert (found.p, found.p_above_lower, found.p_below_upper) == pytest.approx((peer, lower[1], upper[1]))
    peer = stats.ttest_rel(a, b).confidence_interval(0.90)
    assert (found.difference.low, found.difference.high) == pytest.approx((peer.low, peer.high))


def test_the_verdict_is_the_intervals_and_the_margin_is_always_stated():
    rng = np.random.default_rng(15)
    for _ in range(40):
        found = equivalence(*sides(rng.normal(30, 5, 8), rng.normal(30, 5, 8)))
        inside = found.difference.low > -5 and found.difference.high < 5
        assert found.shown == inside
        assert f"within ± 5 deg is {'shown' if inside else 'not shown'}" in found.sentence and "90 %" in found.sentence
        assert found.to_frame().loc[0, "margin"] == 5.0


def test_non_inferiority_asks_one_side_only():
    better, worse = sides([1.0, 2.0, 3.0, 2.5], [9.0, 9.5, 11.5, 10.0])
    assert non_inferiority(better, worse, margin=1.0).shown and not equivalence(better, worse, margin=1.0).shown
    assert not non_inferiority(worse, better, margin=1.0).shown


def test_equivalence_that_cannot_be_tested_is_a_reason_or_refused():
    few = equivalence(*sides([1, 2], [1, 3]))
    assert few.reason == "2 persons: an equivalence test needs 3" and not few.shown and "cannot be told" in few.sentence
    assert "differ alike" in equivalence(*sides([1, 2, 3], [2, 3, 4])).reason
    with pytest.raises(UsageError, match="above zero, not 0"):
        equivalence(*sides([1, 2, 3], [2, 3, 5]), margin=0)
    with pytest.raises(DataError, match="share none"):
        equivalence({"p": 1.0}, {"q": 1.0})


def test_a_difference_on_the_margin_is_called_equivalent_in_five_percent():
    rng = np.random.default_rng(16)
    zero = np.zeros(12)
    hits = sum(equivalence(*sides(rng.normal(5, 1, 12), zero)).shown for _ in range(2000))
    assert within_band(hits, 2000, 0.05)
