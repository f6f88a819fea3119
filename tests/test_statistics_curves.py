"""Learning curves: known curves found again, SciPy's least squares, which curve it is, and when nothing is foretold."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from kinbench.errors import DataError, UsageError
from kinbench.statistics.curves import area_under, fit_curve, fit_curves

SIZES = np.array([1, 2, 4, 8, 12, 16, 24, 32], dtype=float)
KINDS = {
    "exponential": lambda s, a, b, c: a + b * np.exp(-(s - SIZES[0]) / c),
    "power": lambda s, a, b, c: a + b * (s / SIZES[0]) ** -c,
}
TRUE = {"exponential": (3.0, 5.0, 6.0), "power": (3.0, 5.0, 0.7)}


def campaign(kind, *, rows=12, noise=0.3, spread=0.3, seed=0):
    """Errors (rows, sizes) of people who differ, about a known curve."""
    rng = np.random.default_rng(seed)
    truth = KINDS[kind](SIZES, *TRUE[kind])
    return truth + rng.normal(0, spread, (rows, 1)) + rng.normal(0, noise, (rows, SIZES.size))


def numbers(fit):
    return (fit.bootstrap.plateau.value, fit.bootstrap.gain.value, fit.bootstrap.rate.value)


# --- fits ------------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(["exponential", "power"]),
    plateau=st.floats(0.5, 10),
    gain=st.floats(0.5, 20),
    rate=st.floats(0.3, 3),
)
def test_a_curve_without_noise_is_found_again(kind, plateau, gain, rate):
    rate = 8 * rate if kind == "exponential" else rate
    fit = fit_curve(SIZES, KINDS[kind](SIZES, plateau, gain, rate), kind)
    assert numbers(fit) == pytest.approx((plateau, gain, rate), rel=1e-3)
    assert fit.r_squared == pytest.approx(1.0)
    assert fit.predict([3, 50]) == pytest.approx(KINDS[kind](np.array([3.0, 50.0]), plateau, gain, rate), rel=1e-3)


@pytest.mark.parametrize("kind", ["exponential", "power"])
def test_least_squares_and_its_delta_intervals_are_scipys(kind):
    table = campaign(kind)
    fit = fit_curve(SIZES, table, kind)
    best, covariance = curve_fit(KINDS[kind], SIZES, table.mean(axis=0), p0=TRUE[kind])
    assert numbers(fit) == pytest.approx(best, rel=1e-5)
    half = 2.570582 * np.sqrt(np.diag(covariance))  # Student's t, 8 sizes less 3 numbers
    for name, width in zip(("plateau", "gain", "rate"), half, strict=True):
        delta = getattr(fit.delta, name)
        assert (delta.high - delta.low) / 2 == pytest.approx(width, rel=1e-3)


def test_no_start_is_a_wrong_one():
    """A step that SciPy's search misses from a common start is found, since every rate is looked at."""
    errors = np.array([20.0, 5.1, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0])
    fit = fit_curve(SIZES, errors, "exponential")
    best, _ = curve_fit(KINDS["exponential"], SIZES, errors, p0=(5, 15, 0.2))
    assert fit.residual_sum_of_squares <= np.sum((errors - KINDS["exponential"](SIZES, *best)) ** 2) + 1e-9


@pytest.mark.parametrize("kind", ["exponential", "power"])
def test_neither_plateau_nor_gain_falls_below_zero(kind):
    steep = fit_curve(SIZES, 10 / SIZES**0.5 - 1.0, kind)
    assert steep.bootstrap.plateau.value >= 0 and steep.bootstrap.gain.value > 0
    rising = fit_curve(SIZES, np.log(SIZES) + 1, kind)
    assert rising.bootstrap.gain.value == 0.0 and rising.r_squared == pytest.approx(0.0, abs=1e-9)
    assert rising.delta.rate.reason == "plateau or gain lies at zero, its bound"


@pytest.mark.parametrize("kind", ["exponential", "power"])
@settings(max_examples=10, deadline=None)
@given(scale=st.floats(0.1, 20), stretch=st.floats(0.1, 100))
def test_units_change_the_numbers_and_nothing_else(kind, scale, stretch):
    table = campaign(kind)
    before = fit_curve(SIZES, table, kind, resamples=50)
    after = fit_curve(stretch * SIZES, scale * table, kind, resamples=50)
    plateau, gain, rate = numbers(before)
    rate = stretch * rate if kind == "exponential" else rate
    assert numbers(after) == pytest.approx((scale * plateau, scale * gain, rate), rel=1e-4)
    assert after.r_squared == pytest.approx(before.r_squared)
    needed = before.needed_for(4.5), after.needed_for(scale * 4.5)
    assert needed[1].value == pytest.approx(stretch * needed[0].value, rel=1e-3)


def test_rows_may_come_in_any_order_and_one_may_lack_a_size():
    table = campaign("power")
    table[3, 5] = math.nan
    fit = fit_curve(SIZES, table, "power", resamples=100)
    assert fit_curve(SIZES, table[::-1], "power", resamples=100) == fit
    assert fit.errors[5] == pytest.approx(np.delete(table[:, 5], 3).mean()) and fit.rows == 12


def test_the_bootstrap_covers_the_true_numbers_about_as_often_as_it_says():
    trials, hits, needed = 40, 0, 0
    size = SIZES[0] * (1.5 / 5.0) ** (-1 / 0.7)
    for seed in range(trials):
        fit = fit_curve(SIZES, campaign("power", rows=15, seed=seed), "power", resamples=200)
        hits += fit.bootstrap.plateau.low <= 3.0 <= fit.bootstrap.plateau.high
        found = fit.needed_for(4.5)
        needed += found.low <= size <= found.high
    assert hits >= 30 and needed >= 30  # 0.93 of 40 is 37; four binomial SDs are 6.5


def test_a_band_holds_the_curve_and_is_nan_without_rows():
    fit = fit_curve(SIZES, campaign("exponential"), "exponential")
    low, high = fit.band(SIZES)
    assert (low < fit.predict(SIZES)).all() and (fit.predict(SIZES) < high).all()
    assert np.isnan(fit_curve(SIZES, campaign("exponential")[:2], "exponential").band([1.0])).all()


# --- which curve -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["exponential", "power"])
def test_the_curve_that_made_the_errors_is_called_better(kind):
    found = fit_curves(SIZES, campaign(kind, noise=0.1))
    assert found.better.kind == kind
    assert "fits better than the" in found.sentence and f"AICc {found.better.aicc:.1f} against" in found.sentence
    frame = found.to_frame()
    assert len(frame) == 6 and set(frame.loc[frame["better"], "kind"]) == {kind}


def test_aicc_is_the_published_formula():
    """Hurvich & Tsai 1989: n ln(RSS / n) + 2 K + 2 K (K + 1) / (n - K - 1)."""
    fit = fit_curve(SIZES, campaign("power"), "power")
    assert fit.aicc == pytest.approx(8 * math.log(fit.residual_sum_of_squares / 8) + 8 + 40 / 3)


def test_noise_has_no_curve():
    found = fit_curves(SIZES, np.random.default_rng(1).normal(5, 0.3, (10, 8)))
    assert found.better is None and found.sentence.startswith("Error does not fall with size")
    assert not found.to_frame()["better"].any()


def test_few_sizes_are_judged_by_what_is_left_and_that_is_said():
    found = fit_curves([1, 2, 4, 8, 16], [9.0, 6.1, 4.4, 3.8, 3.6])
    assert found.better is not None and "5 sizes are too few for AICc, which takes 6" in found.sentence


# --- what is foretold ------------------------------------------------------------------------------------------------


def test_what_a_target_needs_is_read_off_the_curve_with_its_interval():
    fit = fit_curve(SIZES, campaign("power"), "power")
    found = fit.needed_for(4.5)
    assert fit.predict([found.value])[0] == pytest.approx(4.5)
    assert found.low < found.value < found.high and found.reason is None and found.n == 12


@pytest.mark.parametrize(
    ("errors", "target", "reason"),
    [
        (campaign("power"), 2.0, "levels off at 2.92, above the target of 2"),
        (campaign("power"), 3.25, "more than 3 times the largest size measured, 32|as good as unbounded"),
        (campaign("exponential", spread=1.5), 3.6, "interval begins at .* as good as unbounded"),
        (np.random.default_rng(1).normal(5, 0.3, (10, 8)), 4.0, "explains .* % of what differs"),
        (campaign("exponential")[:2], 5.0, "without 3 persons or draws its interval is unknown"),
        (np.ones(8), 0.5, "the same at every size"),
    ],
)
def test_a_worthless_answer_is_refused_with_its_reason(errors, target, reason):
    kind = "exponential" if errors.shape == (2, 8) or target == 3.6 else "power"
    found = fit_curve(SIZES, errors, kind).needed_for(target)
    assert math.isnan(found.value)
    assert re.search(reason, found.reason), found.reason


def test_far_beyond_the_data_is_a_guess():
    found = fit_curve(SIZES, 2 + 10 * SIZES**-0.3, "power").needed_for(4.0)
    assert "214 would be needed, more than 3 times the largest size measured, 32" in found.reason


def test_a_target_that_the_smallest_size_meets_has_that_for_an_answer():
    found = fit_curve(SIZES, campaign("power"), "power").needed_for(20.0)
    assert found.value == 1.0 and "already meets the target" in found.reason


def test_three_sizes_carry_no_curve():
    found = fit_curves([1, 2, 3], [3.0, 2.0, 1.5])
    assert found.better is None and "needs 4 sizes or more, and there are 3" in found.sentence
    assert "needs 4 sizes" in found.power.needed_for(1.7).reason
    assert "needs 4 sizes" in found.power.flattens_at().reason


@pytest.mark.parametrize(("kind", "size"), [("exponential", 1 - 6 * math.log(0.1)), ("power", 0.1 ** (-1 / 0.7))])
def test_it_flattens_where_a_stated_share_of_the_gain_is_left(kind, size):
    fit = fit_curve(SIZES, KINDS[kind](SIZES, *TRUE[kind]), kind)
    found = fit.flattens_at(0.1)
    assert found.value == pytest.approx(size, rel=1e-3)
    left = fit.predict([found.value])[0] - fit.bootstrap.plateau.value
    assert left == pytest.approx(0.1 * fit.bootstrap.gain.value)
    drawn = fit_curve(SIZES, campaign(kind), kind).flattens_at(0.1)
    assert drawn.low < drawn.value < drawn.high
    assert "it would flatten at" in fit_curve(SIZES, KINDS["power"](SIZES, 1, 5, 0.3), "power").flattens_at().reason


# --- area ------------------------------------------------------------------------------------------------------------


def test_areas_are_trapezoids_over_the_sizes_or_their_logarithm():
    assert area_under([1, 3, 4], [2.0, 4.0, 4.0], axis="linear", mean=False).value == pytest.approx(10.0)
    assert area_under([1, 3, 4], [2.0, 4.0, 4.0], axis="linear").value == pytest.approx(10 / 3)
    assert area_under([1, 10, 1000], [4.0, 2.0, 2.0]).value == pytest.approx((3 + 2 * 2) / 3)
    found = area_under(SIZES, campaign("power"))
    assert found.low < found.value < found.high and found.n == 12
    assert area_under(SIZES, campaign("power")[:2]).reason == "too few rows for an interval"


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "errors", "message"),
    [
        ([0, 1, 2, 3], np.ones(4), "above zero and rise"),
        ([1, 3, 2, 4], np.ones(4), "above zero and rise"),
        ([], [], "above zero and rise"),
        ([1, 2, 3, 4], np.ones(5), "rows by 4 sizes"),
        ([1, 2, 3, 4], [1, 2, math.inf, 3], "must be finite"),
        ([1, 2, 3, 4], [[1, 2, math.nan, 3]] * 2, "Every size needs an error; 3 has none"),
    ],
)
def test_tables_that_are_no_curve_are_refused(sizes, errors, message):
    for call in (fit_curves, area_under):
        with pytest.raises(DataError, match=message):
            call(sizes, errors)


def test_unknown_ways_are_refused():
    with pytest.raises(UsageError, match="'exponential' or 'power', not 'line'"):
        fit_curve(SIZES, SIZES, "line")
    with pytest.raises(UsageError, match="'linear' or 'log', not 'cube'"):
        area_under(SIZES, SIZES, axis="cube")
    with pytest.raises(DataError, match="two sizes or more"):
        area_under([1], [2.0])
    fit = fit_curve(SIZES, campaign("power"), "power", resamples=50)
    with pytest.raises(UsageError, match="between 0 and 1, not at 5"):
        fit.flattens_at(5)
    with pytest.raises(DataError, match="finite error, not nan"):
        fit.needed_for(math.nan)
    with pytest.raises(UsageError, match="level lies between 0 and 1"):
        fit_curve(SIZES, campaign("power"), "power", level=95)
