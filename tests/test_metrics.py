"""Known answers, and laws that hold for any numbers."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kinbench.errors import DataError
from kinbench.metrics import METRICS, Metric, Score, circular_difference, compute_all, exact_sum

RELAXED = settings(max_examples=40, deadline=None)
ANGLES = st.floats(-170, 170, width=32)


def score(name, prediction, reference, group=None):
    group = np.zeros(len(prediction), dtype=int) if group is None else group
    return METRICS[name].compute(prediction, reference, group)


def sine(n=400):
    return 30.0 * np.sin(np.linspace(0, 8 * np.pi, n))


# --- known answers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rmse", math.sqrt(30 / 4)), ("mae", 2.0), ("offset", 1.0), ("centred_rmse", math.sqrt(26 / 4)),
        ("nrmse", 100 * math.sqrt(30 / 4) / 30), ("r2", 1 - 30 / 500), ("range_error", 1.0),
    ],
)  # fmt: skip
def test_known_answers(name, value):
    reference = np.array([0.0, 10.0, 20.0, 30.0])
    prediction = reference + np.array([0.0, 5.0, -2.0, 1.0])
    assert score(name, prediction, reference).value == pytest.approx(value, rel=1e-14)


def test_correlation_of_a_line_is_one_and_of_its_mirror_minus_one():
    assert score("r", 2 * sine() + 5, sine()).value == 1.0
    assert score("r", -0.5 * sine(), sine()).value == -1.0


def test_correlation_agrees_with_numpy():
    rng = np.random.default_rng(3)
    q = rng.normal(size=3000) * 20
    p = q + rng.normal(size=3000) * 10
    assert score("r", p, q).value == pytest.approx(np.corrcoef(p, q)[0, 1], abs=1e-12)


def test_the_centred_error_removes_each_legs_own_offset():
    leg = np.repeat([0, 1], 200)
    prediction = sine() + np.where(leg == 0, 7.0, -3.0)
    assert score("centred_rmse", prediction, sine(), leg).value == pytest.approx(0, abs=1e-12)
    assert score("centred_rmse", prediction, sine()).value == pytest.approx(5.0, rel=1e-12)


def test_a_wrap_of_the_circle_is_a_small_error():
    assert score("rmse", [179.5, -179.5], [-179.5, 179.5]).value == 1.0


@pytest.mark.parametrize("name", ["r", "r2", "nrmse"])
def test_a_constant_reference_has_no_score_and_says_why(name):
    found = score(name, sine(), np.full(400, 12.0))
    assert found == Score(None, "the reference varies less than 2 deg")


def test_a_constant_prediction_has_no_correlation_and_says_why():
    assert score("r", np.full(400, 0.1), sine()) == Score(None, "the prediction is constant")


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("side", ["prediction", "reference"])
def test_a_value_that_is_not_finite_is_refused(name, bad, side):
    values = {"prediction": sine(), "reference": sine() + 1}
    values[side] = np.where(np.arange(400) == 7, bad, values[side])
    with pytest.raises(DataError, match=f"1 of 400 {side} values"):
        score(name, **values)


def test_nothing_to_score_is_refused():
    with pytest.raises(DataError, match="at least one sample"):
        score("rmse", [], [])


def test_lengths_that_differ_are_refused():
    with pytest.raises(DataError, match="one length"):
        score("rmse", sine(400), sine(399))


def test_a_group_below_zero_is_refused():
    with pytest.raises(DataError, match="counted from 0"):
        score("centred_rmse", [1.0, 2.0], [1.0, 2.0], [0, -1])


def test_a_metric_that_overflows_is_refused():
    with pytest.raises(DataError, match="too large"), np.errstate(over="ignore"):
        Metric("bad", 1, "deg", "lower", "", lambda sample: Score(float("inf"))).compute([1.0], [2.0], [0])


# --- laws ------------------------------------------------------------------------------------------------------------


@st.composite
def samples(draw):
    n = draw(st.integers(2, 40))
    p, q = draw(arrays(np.float64, n, elements=ANGLES)), draw(arrays(np.float64, n, elements=ANGLES))
    return p, q, draw(arrays(np.int64, n, elements=st.integers(0, 1))), draw(st.permutations(range(n)))


@RELAXED
@given(samples())
def test_the_order_of_samples_changes_no_bit(drawn):
    p, q, group, order = drawn
    order = np.array(order)
    assert compute_all(METRICS.values(), p, q, group) == compute_all(METRICS.values(), p[order], q[order], group[order])


@pytest.mark.parametrize("n", [511, 512, 5000])
def test_the_order_of_many_samples_changes_no_bit(n):
    rng = np.random.default_rng(n)
    p, q, group, order = rng.normal(size=n) * 40, rng.normal(size=n) * 40, rng.integers(0, 2, n), rng.permutation(n)
    assert compute_all(METRICS.values(), p, q, group) == compute_all(METRICS.values(), p[order], q[order], group[order])


@RELAXED
@given(samples(), st.data())
def test_whole_turns_of_single_samples_change_nothing(drawn, data):
    p, q, group, _ = drawn
    p, q = np.round(p * 64) / 64, np.round(q * 64) / 64  # so that adding 360 is exact
    turns = data.draw(arrays(np.float64, len(p), elements=st.sampled_from([-720.0, -360.0, 0.0, 360.0])))
    assert compute_all(METRICS.values(), p, q, group) == compute_all(METRICS.values(), p + turns, q, group)


@RELAXED
@given(samples())
def test_the_squared_error_splits_into_offset_and_centred_error(drawn):
    p, q, _, _ = drawn
    whole, offset, centred = (score(name, p, q).value for name in ("rmse", "offset", "centred_rmse"))
    assert whole**2 == pytest.approx(offset**2 + centred**2, rel=1e-9, abs=1e-9)
    assert score("mae", p, q).value <= whole + 1e-9


@RELAXED
@given(arrays(np.float64, st.integers(1, 50), elements=st.floats(-1e6, 1e6)))
def test_the_difference_lies_on_the_circle(values):
    difference = circular_difference(values, np.zeros_like(values))
    assert (difference >= -180).all() and (difference < 180).all()


@RELAXED
@given(
    st.integers(0, 2**32), st.integers(1, 3000), st.integers(0, 300), st.sampled_from([1.0, 1e-280, 1e290, 1e14]),
)  # fmt: skip
def test_exact_sum_is_fsum_bit_for_bit(seed, n, decades, scale):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=n) * 10.0 ** rng.uniform(-decades, 1, n) * scale
    assert exact_sum(values) == math.fsum(values.tolist())


def test_exact_sum_keeps_what_cancels():
    values = np.concatenate([np.full(600, 1e9), [2.0**-40], np.full(600, -1e9)])
    assert exact_sum(values) == 2.0**-40
    assert exact_sum(np.full(3000, 0.1)) == float(3000 * Fraction(0.1))
    assert exact_sum(np.zeros(2000)) == 0.0


def test_every_metric_says_what_it_is():
    for name, metric in METRICS.items():
        assert metric.name == name and metric.version >= 1 and metric.unit and metric.title
