"""Tables from results alone: known means, ranks on what is shared, versions apart, and honest words."""

import csv
import json
import math
import random
import subprocess
import sys

import pandas as pd
import pytest
from result_cases import failed, protocol, result, scores

from kinbench.errors import DataError, UsageError
from kinbench.leaderboards import board, frame, write
from kinbench.results import View

ACROSS = protocol(name="cross", scope="datasets", title="Across datasets")


def three(model, values, **more):
    return [result(f"lab/S{i}", value, model=model, **more) for i, value in enumerate(values, 1)]


def only(results, **more):
    (table,) = board(results, **more).tables
    return table


def row(table, model):
    return table.overall.set_index("model").loc[model]


# --- numbers ---------------------------------------------------------------------------------------------------------


def test_mean_deviation_interval_and_rank_have_known_answers():
    table = only(three("good", (1.0, 2.0, 3.0)) + three("bad", (4.0, 5.0, 9.0)))
    assert list(table.overall["model"]) == ["good", "bad"] and list(table.overall["rank"]) == [1, 2]
    good = row(table, "good")
    assert (good["rmse"], good["rmse_sd"], good["centred_rmse"], good["r"]) == (2.0, 1.0, 1.0, 0.9)
    assert (good["n"], good["coverage"], good["seeds"], good["parameters"]) == (3, 1.0, 1, 4)
    assert 1.0 <= good["low"] < 2.0 < good["high"] <= 3.0


def test_seeds_are_averaged_within_the_person_and_their_deviation_shown():
    table = only([r for seed in (0, 1, 2) for r in three("line", (1.0 + seed, 2.0 + seed, 3.0 + seed), seed=seed)])
    line = row(table, "line")
    assert (line["rmse"], line["rmse_sd"], line["seed_sd"], line["seeds"], line["n"]) == (3.0, 1.0, 1.0, 3, 3)


def test_overall_is_the_mean_over_dofs_and_each_dof_has_its_own_row():
    dofs = ("hip_flexion", "knee_flexion")
    table = only([result(f"lab/S{i}", (1.0 * i, 3.0 * i), dofs=dofs) for i in (1, 2, 3)])
    assert row(table, "line")["rmse"] == 4.0
    assert dict(zip(table.per_dof["dof"], table.per_dof["rmse"], strict=True)) == {
        "hip_flexion": 2.0,
        "knee_flexion": 6.0,
    }
    assert "Per degree of freedom" in table.text()


def test_another_metric_may_come_first_and_ranks_stay_by_rmse():
    table = only(three("a", (1.0, 2.0, 3.0), r=0.1) + three("b", (2.0, 3.0, 4.0), r=0.99), metric="r")
    assert table.metrics[0] == "r" and row(table, "a")["rank"] == 1
    with pytest.raises(UsageError, match="Did you mean 'rmse'"):
        board(three("a", (1.0, 2.0, 3.0)), metric="rmsee")


def test_equal_means_share_a_rank():
    table = only(three("a", (1.0, 2.0, 3.0)) + three("b", (3.0, 2.0, 1.0)) + three("c", (4.0, 4.0, 4.0)))
    assert [row(table, model)["rank"] for model in "abc"] == [1, 1, 3]


def test_a_missing_correlation_is_a_dash_with_a_reason_and_never_zero():
    table = only(three("line", (1.0, 2.0, 3.0), r=None))
    assert math.isnan(row(table, "line")["r"])
    assert "r is missing in 3 of 3 values: the reference varies less than 2 deg" in table.caption


@pytest.mark.parametrize("view", ["test", "test_long"])
def test_the_headline_and_the_longer_test_are_apart(view: View):
    both = [
        result(f"lab/S{i}", scores=(*scores(f"lab/S{i}", 1.0), *scores(f"lab/S{i}", 2.0, view="test_long")))
        for i in (1, 2, 3)
    ]
    assert row(only(both, view=view), "line")["rmse"] == (1.0 if view == "test" else 2.0)


def test_a_view_that_no_result_has_gives_no_table():
    assert not board(three("line", (1.0, 2.0, 3.0)), view="test_long").tables


# --- few persons -----------------------------------------------------------------------------------------------------


def test_fewer_than_three_persons_get_values_dashes_and_no_rank():
    table = only([result("lab/S1", 1.0), result("lab/S2", 3.0)])
    line = row(table, "line")
    assert line["rmse"] == 2.0 and (line["lab/S1"], line["lab/S2"]) == (1.0, 3.0)
    assert all(math.isnan(line[name]) for name in ("rank", "rmse_sd", "low", "high"))
    assert "2.00 ± –" in table.text() and "Fewer than 3 persons" in table.caption


def test_a_protocol_that_never_ranks_does_not():
    table = only(three("line", (1.0, 2.0, 3.0), card=protocol(ranks=False)))
    assert math.isnan(row(table, "line")["rank"]) and "never ranks" in table.caption


# --- coverage --------------------------------------------------------------------------------------------------------


def test_a_model_that_lacks_cells_is_ranked_on_shared_ones_only():
    full = [result(f"lab/S{i}", value, model="full") for i, value in enumerate((1.0, 1.0, 1.0, 99.0), 1)]
    part = [result(f"lab/S{i}", 2.0, model="part") for i in (1, 2, 3)]
    table = only(full + part)
    assert row(table, "full")["rank"] == 1 and row(table, "part")["rank"] == 2
    assert row(table, "part")["coverage"] == 0.75 and row(table, "full")["rmse_shared"] == 1.0
    assert row(table, "full")["rmse"] == 25.5 and "nothing is imputed" in table.caption


def test_a_model_that_shares_too_few_persons_is_not_ranked_and_takes_no_rank_from_others():
    full = [result(f"lab/S{i}", 2.0, model="full") for i in range(1, 6)]
    part = [result(f"lab/S{i}", 1.0, model="part") for i in (1, 2)]
    table = only(full + part)
    assert row(table, "full")["rank"] == 1 and math.isnan(row(table, "part")["rank"])
    assert row(table, "part")["coverage"] == 0.4


def test_failures_lower_the_coverage_are_listed_and_never_ranked():
    table = only(
        [*three("line", (1.0, 2.0, 3.0)), failed("lab/S4"), *(failed(f"lab/S{i}", model="net") for i in (1, 2))]
    )
    assert row(table, "line")["coverage"] == 0.75 and list(table.overall["model"]) == ["line"]
    assert len(table.failures) == 3 and "turnip" in table.text() and "3 cells failed" in table.caption


def test_a_table_of_failures_alone_can_be_shown():
    table = only([failed("lab/S1")])
    assert table.overall.empty and "turnip" in table.text() and "turnip" in table.markdown()


def test_limited_results_are_left_out_and_counted():
    table = only(three("line", (1.0, 2.0, 3.0)) + three("net", (0.1, 0.1, 0.1), limit=3))
    assert list(table.overall["model"]) == ["line"] and "3 results of limited runs are left out" in table.caption
    assert not board(three("net", (0.1, 0.1, 0.1), limit=3)).tables


# --- versions and selections -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", [{"card": protocol(version=2)}, {"task_version": 2}, {"state": "b"}])
def test_versions_and_states_of_the_data_never_meet_in_one_table(other):
    found = board(three("line", (1.0, 2.0, 3.0)) + three("line", (9.0, 9.0, 9.0), **other))
    assert sorted(row(table, "line")["rmse"] for table in found) == [2.0, 9.0]


def test_two_versions_of_a_model_are_two_rows_that_say_so():
    table = only(three("line", (1.0, 2.0, 3.0)) + three("line", (9.0, 9.0, 9.0), model_version="2"))
    assert len(table.overall) == 2 and "(2, toy 1.0)" in table.text()


def test_two_results_for_the_same_thing_are_refused():
    with pytest.raises(DataError, match="two results score line on lab/S1"):
        board([result(), result(key="e" * 64)])


def test_names_select():
    everything = [
        *three("line", (1.0, 2.0, 3.0)), *three("line", (1.0, 2.0, 3.0), card=protocol(name="ui")),
        *[result(f"barn/S{i}", 1.0, dataset="barn") for i in (1, 2, 3)],
    ]  # fmt: skip
    assert [t.title for t in board(everything)] == ["ug · knee · barn", "ug · knee · lab", "ui · knee · lab"]
    assert [t.protocol for t in board(everything, protocols="ui")] == ["ui"]
    assert [t.dataset for t in board(everything, datasets=["barn"])] == ["barn"]
    with pytest.raises(UsageError, match=r"no results of the dataset 'bran'. Did you mean 'barn'"):
        board(everything, datasets=["barn", "bran"])
    with pytest.raises(UsageError, match="no results of the task 'hip'"):
        board(everything, tasks="hip")


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_results_plays_no_part(seed):
    results = three("a", (1.0, 2.0, 3.0)) + three("b", (4.0, 5.0, 9.0)) + [failed("lab/S4")]
    shuffled = results[:]
    random.Random(seed).shuffle(shuffled)
    assert board(shuffled).to_json() == board(results).to_json()


# --- transfer --------------------------------------------------------------------------------------------------------


def transfer():
    two, four = {"lab/S1": 1.0, "lab/S2": 3.0}, {f"barn/P{i}": float(i) for i in (1, 2, 3, 4)}
    return [
        result(dataset="lab", train=("barn",), persons=two, card=ACROSS),
        result(dataset="barn", train=("lab",), persons=four, card=ACROSS),
        *(result(dataset="barn", train=("barn",), persons={p: 0.5}, card=ACROSS) for p in four),
    ]


def test_a_transfer_matrix_has_a_row_per_training_and_a_column_per_test_dataset():
    table = only(transfer())
    matrix = table.matrices["line", "rmse"]
    assert matrix.loc["barn", "lab"] == 2.0 and matrix.loc["lab", "barn"] == 2.5 and matrix.loc["barn", "barn"] == 0.5
    assert math.isnan(matrix.loc["lab", "lab"]) and table.matrices["line", "centred_rmse"].loc["lab", "barn"] == 1.25
    assert "0.50 (ug)" in table.text() and "marks the diagonal" in table.caption


def test_each_pair_of_a_transfer_table_has_its_own_persons_and_ranks():
    overall = only(transfer()).overall.set_index(["train", "test"])
    assert overall.loc[("lab", "barn"), "rank"] == 1 and math.isnan(overall.loc[("barn", "lab"), "rank"])
    assert overall.loc[("barn", "lab"), "n"] == 2 and overall.loc[("barn", "lab"), "lab/S2"] == 3.0


# --- words and files -------------------------------------------------------------------------------------------------


def study(person, rmse, **condition):
    card = protocol(name="few-shot", study=True, ranks=False)
    return result(person, rmse, card=card, condition=condition)


def test_a_study_has_a_row_per_condition_in_order_of_size_and_stays_out_of_the_overview():
    many = [study(f"lab/S{p}", 5.0 - s / 20 + p, seconds=s) for s in (30, 5, 10) for p in range(3)]
    ranked = [result(f"lab/S{p}", 5.0, card=protocol(name=name)) for name in ("ug", "ui") for p in range(3)]
    found = board([*many, *ranked])
    table = next(table for table in found if table.protocol == "few-shot")
    assert table.conditions == ("seconds",)
    assert table.overall["seconds"].tolist() == [5, 10, 30]
    assert table.overall["rmse"].tolist() == pytest.approx([5.75, 5.5, 4.5])
    assert table.overall["n"].tolist() == [3, 3, 3]
    assert table.overall["rank"].isna().all()
    assert "few-shot" not in found.overview.columns
    assert "seconds" in table.text()


def test_a_condition_that_only_some_rows_have_is_a_dash_in_the_others():
    rows = [study("lab/S1", 5.0, change="none"), study("lab/S1", 6.0, change="turn", amount=30)]
    table = next(iter(board(rows)))
    assert table.conditions == ("change", "amount")
    assert len(table.overall) == 2
    assert table.overall.set_index("change")["rmse"].to_dict() == {"none": 5.0, "turn": 6.0}


def test_the_caption_says_what_the_numbers_mean():
    caption = only(three("line", (1.0, 2.0, 3.0))).caption
    for words in (
        "root-mean-square error, in deg; lower is better", "the model sees: nothing", "n = 3", "seeds: 0",
        "protocol ug, version 1", "task knee, version 1", "bootstrap", "Coverage",
    ):  # fmt: skip
        assert words in caption


def test_simulation_is_said_wherever_a_score_of_it_appears(tmp_path):
    found = board(three("line", (1.0, 2.0, 3.0), simulation=True))
    found.write(tmp_path)
    assert all("SIMULATION" in shown for shown in (found.text(), found.markdown(), found.tables[0].caption))
    assert "SIMULATION" in (tmp_path / "leaderboard.md").read_text()
    assert set(pd.read_csv(tmp_path / "leaderboard.csv")["simulation"]) == {True}
    assert json.loads((tmp_path / "leaderboard.json").read_text())["tables"][0]["simulation"] is True
    assert "SIMULATION" not in board(three("line", (1.0, 2.0, 3.0))).markdown()


def test_virtual_sensors_are_said_in_the_caption():
    worn = three("line", (1.0, 2.0, 3.0))
    virtual = [
        r.model_copy(update={"datasets": (r.datasets[0].model_copy(update={"sensor_origins": ("synthetic",)}),)})
        for r in worn
    ]
    assert "VIRTUAL SENSORS: the signals of lab" in only(virtual).caption
    assert "VIRTUAL" not in only(worn).caption


def test_a_model_that_estimates_from_whole_recordings_has_a_mark_wherever_it_is_named(tmp_path):
    note = "estimated from the whole of each recording's inputs, at their own rate"
    mixed = [
        *three("line", (1.0, 2.0, 3.0)), *three("filter", (0.5, 1.0, 1.5), notes=(note,)),
        *three("filter", (0.5, 1.0, 1.5), notes=(note,), card=protocol(name="ui")),
    ]  # fmt: skip
    found = board(mixed, ceilings=True)
    ug = next(table for table in found if table.protocol == "ug")
    words = "‡ estimates from the whole recording's inputs, later ones too."
    assert words in ug.caption and ug.to_json()["caption"] == ug.caption
    for text in (ug.text(), ug.markdown(), found.text(), found.markdown()):
        assert "filter ‡" in text and "line ‡" not in text and words in " ".join(text.split())
    assert list(found.overview["model"]) == ["filter ‡", "line"]
    assert {row["model"]: row["whole_recording"] for row in ug.to_json()["overall"]} == {"filter": True, "line": False}
    assert row(ug, "filter")["rank"] == 1
    found.write(tmp_path)
    frame = pd.read_csv(tmp_path / "leaderboard.csv")
    assert set(frame["model"]) == {"filter", "line"}
    assert frame.groupby("model")["whole_recording"].agg(set).to_dict() == {"filter": {True}, "line": {False}}
    assert "‡" not in board(three("line", (1.0, 2.0, 3.0))).markdown()


def test_names_cannot_break_the_tables(tmp_path):
    evil = three("=a|b<script>", (1.0, 2.0, 3.0))
    found = board(evil)
    assert "<script>" not in found.markdown().replace("\\<script\\>", "") and "a\\|b" in found.markdown()
    found.write(tmp_path)
    with (tmp_path / "leaderboard.csv").open() as file:
        assert next(csv.DictReader(file))["model"].startswith("'=")


def test_files_are_written_whole_and_the_same_each_time(tmp_path):
    results = three("line", (1.0, 2.0, 3.0)) + transfer()
    paths = write(tmp_path / "a", results)
    write(tmp_path / "b", results[::-1])
    assert [path.name for path in paths] == [
        "leaderboard.md", "leaderboard.csv", "leaderboard-per-dof.csv", "leaderboard.json"
    ]  # fmt: skip
    assert {p.name for p in (tmp_path / "a").iterdir()} == {path.name for path in paths}
    assert all(path.read_bytes() == (tmp_path / "b" / path.name).read_bytes() for path in paths)


def test_a_tidy_frame_has_one_row_per_score():
    tidy = frame([*three("line", (1.0, 2.0, 3.0)), failed("lab/S4")])
    assert len(tidy) == 9 and set(tidy["metric"]) == {"rmse", "centred_rmse", "r"}


def test_no_results_is_an_empty_board(tmp_path):
    assert len(board([])) == 0 and board([]).text() == "" and board([]).failures.empty
    write(tmp_path, [])


def test_a_board_needs_no_dataset_model_or_heavy_library():
    code = (
        "import sys, kinbench.leaderboards\n"
        "heavy = {'torch', 'zarr', 'xarray', 'kinbench_benchmarks', 'kinbench_adapters', 'kinbench.store'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
