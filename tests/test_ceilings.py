"""What is left of an error once somebody tells the offset: drawn as a ceiling, and never to be taken for a result."""

import csv
import json
import random

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from result_cases import protocol, result
from study_cases import campaign

from kinbench.figures import bars
from kinbench.leaderboards import board
from kinbench.leaderboards.tables import CEILING
from kinbench.studies import study


def cohort():
    """``centred_rmse`` is half of each RMSE here."""
    return [
        result(f"lab/S{i}", value, model=model, seed=seed)
        for model, values in (("good", (2.0, 4.0, 6.0)), ("bad", (4.0, 5.0, 9.0)))
        for i, value in enumerate(values, 1)
        for seed in (0, 1)
    ]


def only(results, **how):
    (table,) = board(results, **how).tables
    return table


def test_a_ceiling_is_the_models_own_error_without_the_test_offset():
    told = only(cohort(), ceilings=True).ceilings.set_index("model")
    assert told.loc["good", "ceiling"] == 2.0
    assert told.loc["good", "ceiling_sd"] == 1.0
    assert told.loc["bad", "ceiling"] == 3.0
    assert told.loc["good", "n"] == 3
    assert "rank" not in told


def test_it_stands_apart_under_its_own_name_and_says_that_it_is_no_result():
    table = only(cohort(), ceilings=True)
    for text in (table.text(), table.markdown()):
        first, rest = text.split("Ceiling, not a result: each model", 1)
        assert "with the offset told" not in first, "the models' own table is as it was"
        block = rest.split("Leave one person out", 1)[0]
        assert "good with the offset told" in block
        assert "2.00 ± 1.00" in block
        assert "no result: RMSE (deg)" in block
        assert "rank" not in block.replace("never ranked", "")
    assert "never ranked" in CEILING


def test_ranks_rows_and_files_are_the_same_with_and_without(tmp_path):
    plain, told = (board(cohort(), ceilings=ceilings) for ceilings in (False, True))
    assert plain.overall.equals(told.overall)
    assert plain.per_dof.equals(told.per_dof)
    told.write(tmp_path)
    for name in ("leaderboard.csv", "leaderboard-per-dof.csv"):
        rows = list(csv.DictReader((tmp_path / name).read_text().splitlines()))
        assert {row["model"] for row in rows} == {"good", "bad"}
        assert not any("ceiling" in field for field in rows[0])
    (kept,) = json.loads((tmp_path / "leaderboard.json").read_text())["tables"]
    assert [row["model"] for row in kept["overall"]] == ["good", "bad"]
    assert {row["ceiling"] for row in kept["ceilings_no_results"]} == {2.0, 3.0}
    assert "ceilings_no_results" not in only(cohort()).to_json()


def test_every_table_of_one_dataset_says_how_far_its_best_model_would_come():
    for results in (cohort(), random.Random(0).sample(cohort(), len(cohort()))):
        told = only(results).caption
        assert "Ceiling, not a result: told every person's mean error" in told
        assert "good would be left with an RMSE of 2.00 deg" in told
    across = protocol(name="cross", scope="datasets", title="Across datasets")
    transfer = only([result(f"lab/S{i}", 2.0, train=("other",), card=across) for i in (1, 2, 3)])
    assert "Ceiling" not in transfer.caption, "the matrices of a transfer table show it already"


def test_a_study_has_a_ceiling_for_every_condition():
    results = [
        result(f"lab/S{i}", value * i, condition={"seconds": seconds}, card=protocol(study=True, ranks=False))
        for i in (1, 2, 3)
        for seconds, value in ((10, 2.0), (30, 1.0))
    ]
    told = only(results, ceilings=True)
    assert told.ceilings[["seconds", "ceiling"]].values.tolist() == [[10, 2.0], [30, 1.0]]
    assert "seconds" in told.text().split(CEILING[:20])[1]
    assert "Ceiling, not a result: told" not in told.caption


def test_a_model_without_a_value_has_a_dash():
    first = cohort()[0]
    (score,) = first.scores
    values = {**score.values, "centred_rmse": None}
    none = score.model_copy(update={"values": values, "reasons": {"centred_rmse": "x"}})
    alone = only([first.model_copy(update={"scores": (none,)})], ceilings=True)
    assert "–" in alone.text().split(CEILING[:20])[1]
    assert "Ceiling, not a result: told" not in alone.caption


# --- studies and figures ----------------------------------------------------------------------------------------------


def of_one_protocol(answer):
    return next(one for one in answer.answers if one.variant == "ug")


def test_a_comparison_knows_the_ceilings_of_its_own_persons_and_shows_them_in_no_table():
    found = of_one_protocol(study("compare", campaign()))
    means = found.tables["models"].set_index("model")["mean"]
    ceilings = found.tables["ceilings"].set_index("model")["ceiling"]
    assert set(ceilings.index) == {"good", "same", "bad"}
    for model in means.index:
        assert ceilings[model] == pytest.approx(means[model] / 2)
    assert "ceilings" not in found.shown
    centred = of_one_protocol(study("compare", campaign(), metric="centred_rmse"))
    assert "ceilings" not in centred.tables, "of an error without offset there is none"


def test_the_figure_dots_them_in_and_says_what_they_are():
    found = of_one_protocol(study("compare", campaign()))
    figure = Figure()
    bars.models(found, figure)
    (axes,) = figure.axes
    dotted = sorted(float(line.get_ydata()[0]) for line in axes.lines if line.get_linestyle() == ":")
    assert dotted == pytest.approx(sorted(found.tables["ceilings"]["ceiling"]))
    words = " ".join(text.get_text() for text in figure.findobj(Text))
    assert "dotted: with the test offset told, no result" in words
