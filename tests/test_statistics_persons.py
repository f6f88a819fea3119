"""One value per person and model, from scores; and the README's example as written."""

import math
import re
from pathlib import Path

import pandas as pd
import pytest
from result_cases import protocol, result

from kinbench.errors import DataError, UsageError
from kinbench.leaderboards import frame
from kinbench.statistics.persons import by_person

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def scores(people=3, **more):
    dofs = ("hip_flexion", "knee_flexion")
    return frame(
        result(f"lab/S{i}", (1.0 * i + seed, 3.0 * i + seed + shift), dofs=dofs, seed=seed, model=model, **more)
        for i in range(1, people + 1)
        for seed in (0, 1)
        for model, shift in (("good", 0.0), ("bad", 4.0))
    )


def test_dofs_and_seeds_are_averaged_within_the_person():
    table = by_person(scores())
    assert list(table.index) == ["lab/S1", "lab/S2", "lab/S3"]
    assert table["good"].tolist() == [2.5, 4.5, 6.5] and table["bad"].tolist() == [4.5, 6.5, 8.5]


def test_dofs_may_be_left_apart_and_other_metrics_asked_for():
    one = scores()[lambda s: s["model"] == "good"]
    assert by_person(one, by="dof")["knee_flexion"].tolist() == [3.5, 6.5, 9.5]
    assert by_person(scores(), metric="r").shape == (3, 2)


def test_a_model_that_lacks_a_person_has_nan_there():
    whole = scores()
    table = by_person(whole[(whole["model"] == "good") | (whole["person"] != "lab/S2")])
    assert math.isnan(table.loc["lab/S2", "bad"]) and table.loc["lab/S2", "good"] == 4.5


def test_what_would_be_mixed_is_refused():
    both = pd.concat([scores(), scores(protocol=protocol(name="other"))])
    with pytest.raises(UsageError, match=r"several kinds of protocol \(.*other.*\) have no one mean"):
        by_person(both)
    assert by_person(both[both["model"] == "good"], by="protocol").shape == (3, 2)
    with pytest.raises(DataError, match="several values of person lab/S1, model good, seed 0, dof hip_flexion"):
        by_person(pd.concat([scores(), scores()]))


def test_unknown_names_are_refused_with_what_there_is():
    with pytest.raises(UsageError, match="Did you mean 'rmse'"):
        by_person(scores(), metric="rsme")
    with pytest.raises(UsageError, match="no view 'long'"):
        by_person(scores(), view="long")
    with pytest.raises(UsageError, match="Did you mean 'model'"):
        by_person(scores(), by="modell")


def test_the_readmes_example_runs_as_written(capsys):
    block = re.search(r"```python statistics\n(.*?)```", README, re.DOTALL)[1]
    held = {"scores": scores(people=8)}
    exec(block, held)  # what the README tells people to type
    assert held["pairs"]["significant"].all() and held["same"].margin == 5.0
    assert held["ranks"].mean_ranks == {"good": 1.0, "bad": 2.0}
