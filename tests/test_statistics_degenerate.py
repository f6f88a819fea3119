"""Tables that break statistics: each door answers, gives a reason, or refuses in a sentence; none warns or crashes."""

import numpy as np
import pandas as pd
import pytest

from kinbench.errors import KinbenchError
from kinbench.statistics import bootstrap_statistic
from kinbench.statistics.agreement import bland_altman
from kinbench.statistics.comparisons import compare
from kinbench.statistics.curves import area_under, fit_curves
from kinbench.statistics.distances import mantel
from kinbench.statistics.equivalence import equivalence, non_inferiority
from kinbench.statistics.ranks import critical_difference
from kinbench.statistics.reliability import icc
from kinbench.statistics.slices import between, corrected, correlated, within
from kinbench.statistics.variance import one_way, repeated_measures, two_way


def columns(a):
    return {f"m{j}": {f"p{i}": v for i, v in enumerate(a[:, j])} for j in range(a.shape[1])}


def groups(a):
    return {f"m{j}": {f"p{i}.{j}": v for i, v in enumerate(a[:, j])} for j in range(a.shape[1])}


def long(a):
    rows = [
        {"person": f"p{i}", "a": f"a{j}", "b": f"b{(i + j) % 2}", "value": v} for (i, j), v in np.ndenumerate(a)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["person", "a", "b", "value"])


def read_off(curves):
    frames = [curves.to_frame()]
    for fit in (curves.exponential, curves.power):
        assert not (np.isnan(fit.needed_for(4.9).value) and fit.needed_for(4.9).reason is None)
        frames.append((fit.flattens_at(), fit.band([3]), fit.predict([3])))
    return frames


DOORS = {
    "wilcoxon": lambda a: compare(columns(a), resamples=50).to_frame(),
    "t": lambda a: compare(columns(a), test="t", correction="bonferroni", resamples=50).to_frame(),
    "ranks": lambda a: critical_difference(columns(a)).to_frame(),
    "one-way": lambda a: one_way(groups(a)).to_frame(),
    "two-way": lambda a: two_way(long(a), ("a", "b"), compat="independent_rows").to_frame(),
    "repeated": lambda a: repeated_measures(long(a), ("a",)).to_frame(),
    "limits": lambda a: bland_altman(a[:, 0], a[:, -1], resamples=50).to_frame(),
    "limits of many": lambda a: bland_altman(a.T.ravel(), 0.9 * a.T.ravel(), [*range(len(a))] * a.shape[1]).to_frame(),
    "icc": lambda a: icc(a).to_frame(),
    "equivalence": lambda a: equivalence(columns(a)["m0"], [*columns(a).values()][-1]).to_frame(),
    "non-inferiority": lambda a: non_inferiority(columns(a)["m0"], [*columns(a).values()][-1]).sentence,
    "between": lambda a: corrected({"slice": between(groups(a))}).to_frame(),
    "within": lambda a: corrected({"slice": within(columns(a))}).to_frame(),
    "correlated": lambda a: correlated(columns(a)["m0"], [*columns(a).values()][-1], resamples=49),
    "mantel": lambda a: mantel(a[: a.shape[1]], a[: a.shape[1]].T, permutations=49).to_frame(),
    "curves": lambda a: read_off(fit_curves(range(1, a.shape[1] + 1), a, resamples=20)),
    "area": lambda a: area_under(range(1, len(a) + 1), a.T, resamples=20),
    "bca": lambda a: bootstrap_statistic(a, lambda d: d.mean(axis=(1, 2)), method="bca", resamples=50),
}
TABLES = {
    "equal": lambda a: np.full_like(a, 3.3),
    "zeros": lambda a: np.zeros_like(a),
    "tied": lambda a: np.round(a),
    "gaps": lambda a: np.where(a > 5.5, np.nan, a),
    "equal models": lambda a: np.repeat(a[:, :1], a.shape[1], axis=1),
    "equal persons": lambda a: np.repeat(a[:1], len(a), axis=0),
    "tiny": lambda a: a * 1e-300,
    "infinite": lambda a: np.where(a > 6.5, np.inf, a),
    "plain": lambda a: a,
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("table", TABLES)
def test_broken_tables_are_answered_or_refused_in_a_sentence(door, table):
    rng = np.random.default_rng(0)
    for persons, models in ((0, 2), (1, 2), (2, 3), (5, 1), (6, 6), (12, 5)):
        values = rng.normal(5, 1, (persons, models))
        try:
            assert DOORS[door](TABLES[table](values) if persons else values) is not None
        except KinbenchError as refusal:
            assert str(refusal).rstrip().endswith((".", "?")) and "nan nan" not in str(refusal)
