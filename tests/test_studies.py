"""A study's question answered from results whose answers are known, and from one small real run."""

import csv
import hashlib
import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from result_cases import failed, protocol, result
from runner_cases import ENTRY_POINTS, MODELS, PROTOCOLS, TASK, recording
from study_cases import OFFSETS, STUDY, campaign, cell, curve, own, stressed

import kinbench
from kinbench import results, runner, store, windows
from kinbench.cli import main
from kinbench.errors import DataError, UsageError
from kinbench.runner.predictions import pack, unpack
from kinbench.studies import Kept, study
from kinbench.studies.cells import meets


def only(name, found, **asked):
    return study(name, found, **asked).only


def first(table):
    return table.to_dict("records")[0]


# --- few shot --------------------------------------------------------------------------------------------------------

BUDGETS = {0: 9.0, 5: 7.0, 10: 5.0, 30: 3.0, 60: 3.0}


@pytest.mark.parametrize(("level", "at"), [(4.0, 20.0), (3.0, 30.0), (8.0, 2.5)])
def test_few_shot_says_where_a_curve_meets_the_persons_own_model_by_interpolation(level, at):
    answer = only("few-shot", curve("few-shot", "seconds", BUDGETS, adapts=True) + own(level))
    row = first(answer.tables["enough"])
    assert row["matches_ui_at"] == pytest.approx(at) and row["ui"] == pytest.approx(level)
    assert row["matches_ui_at_low"] == row["matches_ui_at_high"] == pytest.approx(at)  # persons differ alike
    assert answer.tables["curve"].set_index("seconds")["mean"].to_dict() == pytest.approx(BUDGETS)


def test_few_shot_refuses_a_match_that_never_comes_and_says_so_of_one_that_was_there_from_the_start():
    never = only("few-shot", curve("few-shot", "seconds", BUDGETS) + own(1.0))
    row = first(never.tables["enough"])
    assert math.isnan(row["matches_ui_at"]) and row["matches_ui_at_reason"] == "never: at 60 it is still 2 away"
    assert "does not reach that of 'ui'" in never.sentences[0]
    always = first(only("few-shot", curve("few-shot", "seconds", BUDGETS) + own(20.0)).tables["enough"])
    assert always["matches_ui_at"] == 0 and "already at 0" in always["matches_ui_at_reason"]
    without = only("few-shot", curve("few-shot", "seconds", BUDGETS))
    assert "there are no results of 'ui'" in without.sentences[0]


def test_few_shot_tells_from_which_budget_on_a_model_is_shown_not_to_be_worse_than_the_margin():
    spread = [
        cell("few-shot", f"lab/S{i}", error + offset + 0.1 * (i - 1.5), {"seconds": at})
        for at, error in BUDGETS.items()
        for i, offset in enumerate(OFFSETS)
    ]
    row = first(only("few-shot", spread + own(3.0), margin=1.0).tables["enough"])
    assert row["not_worse_from"] == 30
    assert math.isnan(first(only("few-shot", spread + own(1.5), margin=1.0).tables["enough"])["not_worse_from"])


def test_few_shot_holds_pre_training_against_none_person_by_person():
    scratch = {at: error + 2.0 for at, error in BUDGETS.items() if at}
    found = curve("few-shot", "seconds", BUDGETS, adapts=True) + curve("few-shot/scratch", "seconds", scratch)
    answer = only("few-shot", found)
    gains = answer.tables["pre_training"]
    assert gains["difference"].tolist() == pytest.approx([2.0] * 4) and gains["n"].tolist() == [4] * 4
    assert any("pre-training on other people helps up to 60 s for sure" in told for told in answer.sentences)


def test_a_budget_that_few_persons_have_is_left_out_and_a_person_who_lacks_a_common_one_too():
    found = curve("few-shot", "seconds", BUDGETS)
    rare = [r for r in found if r.fold.condition != {"seconds": 60} or r.fold.test_persons == ("lab/S0",)]
    answer = only("few-shot", rare)
    assert sorted(set(answer.tables["curve"]["seconds"])) == [0, 5, 10, 30]
    assert any("60 is left out: 1 of 4 persons" in note for note in answer.notes)
    lacking = [r for r in found if not (r.fold.condition == {"seconds": 30} and r.fold.test_persons == ("lab/S3",))]
    answer = only("few-shot", lacking)
    assert set(answer.tables["curve"]["n"]) == {3}
    assert any("lab/S3 lack a condition" in note for note in answer.notes)


def test_each_kind_of_budget_is_an_answer_of_its_own_and_several_are_not_one():
    found = curve("few-shot", "seconds", BUDGETS) + curve("few-shot/strides", "strides", {0: 9.0, 1: 8.0, 10: 6.0})
    both = study("few-shot", found)
    assert [answer.variant for answer in both] == ["by seconds", "by strides"]
    with pytest.raises(UsageError, match="has 2 answers, and one is needed: few-shot · by seconds"):
        both.only  # noqa: B018 - it is the asking that is refused
    assert both.choose("by strides").only.variant == only("few-shot/strides", found).variant == "by strides"
    with pytest.raises(UsageError, match="no answer with 'by miles'"):
        both.choose("by miles")


# --- learning curves -------------------------------------------------------------------------------------------------


def test_a_learning_curve_names_the_law_and_the_persons_that_a_target_needs():
    found = curve("learning-curve", "persons", {n: 2.0 + 6.0 / n for n in (1, 2, 4, 8, 16, 32)})
    answer = only("learning-curve", found, target=4.0)
    fits = answer.tables["fits"].set_index("curve")
    assert fits["better"].to_dict() == {"exponential": False, "power": True}
    assert fits.loc["power", "plateau"] == pytest.approx(2.0, abs=1e-3)
    assert first(answer.tables["needed"])["needed"] == pytest.approx(3.0, rel=1e-3)
    assert any("The power law fits better" in told for told in answer.sentences)
    assert {"model", "persons", "mean", "low", "high"} <= set(answer.tables["lines"])


@pytest.mark.parametrize(
    ("values", "target", "why"),
    [
        ({n: 2.0 + 6.0 / n for n in (1, 2, 4, 8, 16, 32)}, 1.0, "levels off at 2, above the target of 1"),
        ({1: 8.0, 2: 5.0, 4: 4.0}, 5.0, "needs 4 sizes or more, and there are 3"),
    ],
)
def test_a_target_that_cannot_be_told_is_refused_with_the_reason(values, target, why):
    answer = only("learning-curve", curve("learning-curve", "persons", values), target=target)
    assert math.isnan(first(answer.tables["needed"])["needed"])
    assert any(why in told for told in answer.sentences)


def test_draws_are_averaged_within_a_person_before_persons_are_counted():
    found = [
        cell("learning-curve", f"lab/S{i}", 4.0 + offset + draw, {"persons": n, "draw": draw})
        for n in (1, 2) for draw in (0, 2) for i, offset in enumerate(OFFSETS)
    ]  # fmt: skip
    table = only("learning-curve", found).tables["curve"]
    assert table["mean"].tolist() == pytest.approx([5.0, 5.0]) and table["n"].tolist() == [4, 4]


def test_degraded_data_have_a_threshold_by_interpolation_or_none():
    def noisy(values, model="line"):
        return [
            cell("learning-curve/degraded-noise", f"lab/S{i}", error + offset,
                 {"persons": 4, "draw": 0, "kind": "noise", "level": level}, model=model)
            for level, error in values.items() for i, offset in enumerate(OFFSETS)
        ]  # fmt: skip

    answer = only("learning-curve", noisy({0.0: 5.0, 10.0: 5.5, 20.0: 7.0}) + noisy({0.0: 5.0, 10.0: 5.2}, "firm"))
    rows = answer.tables["thresholds"].set_index("model")
    assert rows.loc["line", "threshold"] == pytest.approx(10 + 10 * 0.5 / 1.5)
    assert math.isnan(rows.loc["firm", "threshold"]) and "never" in rows.loc["firm", "threshold_reason"]
    assert answer.variant == "degraded noise"


# --- sensors ---------------------------------------------------------------------------------------------------------


def test_sensor_subsets_know_the_front_the_best_and_what_each_sensor_adds():
    worth = {"a": 3.0, "b": 2.0, "c": 0.0}
    sets = ["a", "b", "c", "a+b", "a+c", "b+c", "a+b+c"]
    found = [
        cell("sensor-subsets/ug", f"lab/S{i}", 10.0 + offset - sum(worth[s] for s in name.split("+")),
             {"sensors": name, "count": len(name.split("+"))})
        for name in sets for i, offset in enumerate(OFFSETS)
    ]  # fmt: skip
    answer = only("sensor-subsets", found)
    assert answer.tables["front"].sort_values("count")["sensors"].tolist() == ["a", "a+b"]  # c adds nothing to them
    adds = answer.tables["worth"].set_index("sensor")
    assert adds["adds"].to_dict() == pytest.approx(worth) and adds["pairs"].to_dict() == {"a": 3, "b": 3, "c": 3}
    assert adds.loc["a", "with"] < adds.loc["a", "without"]
    best = answer.tables["best_by_dof"].set_index("best")["sensors"].to_dict()
    assert best == {"single sensor": "a", "pair": "a+b", "three": "a+b+c"}
    assert answer.tables["matrix"][["a", "b", "c"]].to_numpy().sum() == 12


# --- placement -------------------------------------------------------------------------------------------------------


def test_placement_stress_finds_where_the_error_doubles_and_says_where_it_never_does():
    found = [
        *stressed("turn", "deg", {0.0: 4.0, 10.0: 6.0, 20.0: 10.0}),
        *stressed("turn", "deg", {10.0: 4.0}, sensor="shank"),
        *stressed("shift", "cm", {-10.0: 12.0, -5.0: 6.0, 5.0: 4.0, 10.0: 5.0}),
        *stressed("rate", "Hz", {50.0: 5.0, 20.0: 9.0, 10.0: 12.0}),
        *stressed("missing", "", {1.0: 16.0}, sensor="shank"),
    ]  # fmt: skip
    answer = only("placement-stress", found)
    rows = answer.tables["breakdown"].set_index(["change", "sensor", "direction"])
    assert rows.loc[("turn", "all", ""), "breakdown"] == pytest.approx(15.0)
    assert rows.loc[("shift", "all", "down"), "breakdown"] == pytest.approx(5 + 5 * 2 / 6)
    for never in (("turn", "shank", ""), ("shift", "all", "up")):
        assert math.isnan(rows.loc[never, "breakdown"]) and "never" in rows.loc[never, "breakdown_reason"]
    assert rows.loc[("rate", "all", "less"), "breakdown"] == 20.0
    assert "first measured" in rows.loc[("rate", "all", "less"), "breakdown_reason"]
    assert first(answer.tables["either_or"])["ratio"] == pytest.approx(4.0)
    assert any("missing (shank) is worst: 16.00 deg, 4.0 times" in told for told in answer.sentences)


def test_trainings_stand_side_by_side_and_a_table_of_turned_fits_apart():
    turned = [
        cell("placement-stress/rapp2021-table3", f"lab/S{i}", error + offset,
             {"trained": trained, "change": "turn_random", "amount": amount, "unit": "deg", "sensor": "all", "draw": 0})
        for (trained, amount), error in {("as worn", 0.0): 4.0, ("as worn", 13.5): 9.0, ("turned", 0.0): 5.0,
                                         ("turned", 13.5): 6.0}.items()
        for i, offset in enumerate(OFFSETS)
    ]  # fmt: skip
    turn = {0.0: 4.0, 10.0: 9.0}
    found = stressed("turn", "deg", turn) + stressed("turn", "deg", turn, name="placement-stress/augmented") + turned
    plain, table = study("placement-stress", found)
    assert set(plain.tables["breakdown"]["training"]) == {"as worn", "augmented"}
    assert "+5.00 deg when fitted as worn, +1.00 deg when fitted turned" in table.sentences[0]


# --- transfer --------------------------------------------------------------------------------------------------------


def test_transfer_lays_out_pairs_and_holds_the_loss_against_a_distance():
    names = ["a", "b", "c", "d"]
    place = dict(zip(names, (0.0, 1.0, 3.0, 7.0), strict=True))
    distance = pd.DataFrame({x: {y: abs(place[x] - place[y]) for y in names} for x in names})
    found = [
        result(f"{to}/S{i}", 5.0 + offset + distance.loc[source, to], dataset=to, train=(source,),
               card=protocol(name="cross-dataset", scope="datasets"))
        for source in names for to in names for i, offset in enumerate(OFFSETS)
    ]  # fmt: skip
    found += [
        result(f"a/S{i}", 5.5 + offset, dataset="a", train=("b", "c", "d"),
               card=protocol(name="cross-dataset", scope="datasets"))
        for i, offset in enumerate(OFFSETS)
    ]  # fmt: skip
    answer = only("cross-dataset", found, distances={"in place": distance})
    pairs = answer.tables["pairs"].set_index(["train", "dataset"])
    assert pairs.loc[("a", "d"), "loss"] == pytest.approx(7.0) and pairs.loc[("a", "a"), "kind"] == "own"
    test = first(answer.tables["loss_by_distance"])
    assert test["r"] == pytest.approx(1.0) and test["p"] == pytest.approx(1 / math.factorial(4))
    left = first(answer.tables["left_out"])
    assert (
        left["others_together"] == pytest.approx(5.5)
        and left["from"] == "b"
        and left["best_single"] == pytest.approx(6)
    )
    assert "+3.83 deg on average over 12 pairs" in answer.sentences[0]


def test_a_distance_of_other_datasets_is_refused_in_words():
    found = [
        result(f"{to}/S{i}", 5.0 + offset, dataset=to, train=(source,),
               card=protocol(name="cross-dataset", scope="datasets"))
        for source in "ab" for to in "ab" for i, offset in enumerate(OFFSETS)
    ]  # fmt: skip
    answer = only("cross-dataset", found, distances={"odd": pd.DataFrame([[0.0]], index=["a"], columns=["a"])})
    assert "cannot be told" in answer.sentences[-1]


def test_what_else_sets_transfer_apart_is_a_column_and_the_diagonal_is_that_of_cross_dataset():
    across = protocol(name="cross-dataset", scope="datasets")
    adapted = {"scope": "datasets", "adapts": True}
    found = [
        result(f"{to}/S{i}", 5.0 + offset, dataset=to, train=(to,), card=across)
        for to in "ab" for i, offset in enumerate(OFFSETS)
    ] + [
        cell("cross-dataset-adapted", f"{to}/S{i}", error + offset, {"adapted": how}, train=(source,), dataset=to,
             **adapted)
        for source, to in ("ab", "ba") for how, error in {"no": 9.0, "yes": 6.0}.items()
        for i, offset in enumerate(OFFSETS)
    ]  # fmt: skip
    answer = only("cross-dataset-adapted", found)
    assert {one.kind for one in study("cross-dataset", found)} == {"cross-dataset", "cross-dataset-adapted"}
    assert only("cross-dataset", found).kind == "cross-dataset"  # the study's own name is meant, not its family's
    pairs = answer.tables["pairs"].set_index(["adapted", "train"])
    assert pairs["loss"].to_dict() == pytest.approx({("no", "a"): 4, ("no", "b"): 4, ("yes", "a"): 1, ("yes", "b"): 1})
    found += [
        cell("cross-dataset-adapted", f"{to}/S{i}", error + offset, {"adapted": how}, train=(to,), dataset=to,
             **adapted)
        for to in "ab" for how, error in {"no": 5.0, "yes": 3.0}.items() for i, offset in enumerate(OFFSETS)
    ]  # fmt: skip
    own_diagonal = only("cross-dataset-adapted", found).tables["pairs"].set_index(["adapted", "train", "dataset"])
    assert own_diagonal.loc[("yes", "a", "b"), "loss"] == pytest.approx(3.0)  # of those adapted too
    assert "line, adapted yes: 6.00 deg on average over 2 pairs, +1.00 against each one's own." in answer.sentences


def test_activities_make_a_matrix_of_their_own():
    found = [
        cell("cross-activity", f"lab/S{i}", 4.0 + offset + 3.0 * (fitted != tested),
             {"fitted_activity": fitted, "tested_activity": tested})
        for fitted in ("running", "walking") for tested in ("running", "walking") for i, offset in enumerate(OFFSETS)
    ]  # fmt: skip
    pairs = only("cross-activity", found).tables["pairs"].set_index(["train", "dataset"])
    assert pairs.loc[("running", "walking"), "loss"] == pytest.approx(3.0)


def test_a_part_of_the_data_is_a_curve_and_any_other_study_a_table_against_its_base():
    sizes = [
        cell("data-size/windows", f"lab/S{i}", 2.0 + 1.0 / fraction + offset,
             {"fraction": fraction, "windows": int(100 * fraction)})
        for fraction in (0.1, 0.2, 0.4, 0.6, 0.8, 1.0) for i, offset in enumerate(OFFSETS)
    ]  # fmt: skip
    answer = only("data-size", sizes, target=6.0)
    assert answer.variant == "over fraction of windows"
    assert first(answer.tables["needed"])["needed"] == pytest.approx(0.25, rel=1e-3)
    random = np.random.default_rng(1)
    steps = [
        cell("harmonisation-off", f"lab/S{i}", error + random.normal(0, 0.1), {"step": step})
        for step, error in {"none": 4.0, "clocks": 6.0, "units": 4.0}.items() for i in range(8)
    ]  # fmt: skip
    against = only("harmonisation-off", steps).tables["against"].set_index("condition")
    assert set(against["base"]) == {"none"} and against.loc["clocks", "difference"] == pytest.approx(2.0, abs=0.2)
    assert against["significant"].to_dict() == {"clocks": True, "units": False}


# --- models ----------------------------------------------------------------------------------------------------------


def test_models_are_compared_by_person_with_holm_ranks_equivalence_and_variance():
    found = study("compare", campaign(), margin=0.5)
    assert [answer.variant for answer in found] == ["ug", "ui", "methods by models"]
    pairs = found.choose(" ug ").only.tables["pairs"].set_index(["first", "second"])
    assert pairs["significant"].to_dict() == {("bad", "good"): True, ("bad", "same"): True, ("good", "same"): False}
    same = found.choose(" ug ").only.tables["equivalence"].set_index(["first", "second"])
    assert same["shown"].to_dict() == {("bad", "good"): False, ("bad", "same"): False, ("good", "same"): True}
    ranks = found.choose(" ug ").only.tables["ranks"].set_index("model")
    assert ranks.loc["bad", "mean_rank"] == 3 and ranks.loc["good", "groups"] == ranks.loc["same", "groups"]
    variance = found.choose("methods").only.tables["variance"].set_index(["kind", "name"])
    within = variance.loc["repeated measures"]
    assert within.loc["method", "p_corrected"] < 1e-6 and within.loc["model", "p_corrected"] < 1e-6
    assert within.loc["method:model", "p_corrected"] > 0.05
    assert "two-way (rows as persons)" in variance.index.get_level_values("kind")


def test_models_that_never_rank_are_held_against_no_other_and_that_is_told():
    made = campaign()
    unknown = results.WeightsPart(name="theirs", sha256="0" * 64, unknown="theirs")
    bad = [one for one in made if one.model.name == "bad"]
    begun = [one.model_copy(update={"model": one.model.model_copy(update={"weights": unknown})}) for one in bad]
    found = study("compare", [one for one in made if one not in bad] + begun)
    assert [answer.variant for answer in found] == ["ug", "ui", "methods by models"]
    for answer in found:
        assert all(set(table.get("model", ["good"])) <= {"good", "same"} for table in answer.tables.values())
        assert any("bad is left out, since it never ranks: nobody wrote down" in note for note in answer.notes)
    told = study("compare", begun + [one for one in made if one.model.name == "same"])
    assert "nothing to compare" in told.choose(" ug ").only.sentences[0]
    assert only("compare", begun).sentences == ("Nothing can be compared: no model of these results ever ranks.",)


def test_one_model_is_no_comparison_and_too_few_persons_are_told():
    alone = only("compare", [r for r in campaign() if r.model.name == "good" and r.protocol.name == "ug"])
    assert "nothing to compare" in alone.sentences[0]
    few = study("compare", [r for r in campaign(4) if r.protocol.name == "ug"]).only
    assert any("With 4 persons no pair can be significant" in told for told in few.sentences)


# --- what is refused, and what is written ----------------------------------------------------------------------------


def test_a_question_nobody_knows_or_no_result_answers_is_refused():
    with pytest.raises(UsageError, match=r"no study 'few-shots'.*Did you mean 'few-shot'"):
        study("few-shots", own(4.0))
    with pytest.raises(UsageError, match=r"No result answers 'few-shot'.*kinbench run --protocol few-shot"):
        study("few-shot", own(4.0))
    with pytest.raises(UsageError, match=r"no results of the model 'lin'.*Did you mean 'line'"):
        study("compare", own(4.0), models="lin")
    with pytest.raises(UsageError, match=r"no results of the protocol 'ux'"):
        study("compare", own(4.0), protocols=("ux",))
    with pytest.raises(UsageError, match="no metric 'rmsd'"):
        study("compare", own(4.0), metric="rmsd")


def test_two_versions_of_the_data_have_no_one_mean_and_two_scores_of_one_thing_are_refused():
    found = curve("few-shot", "seconds", BUDGETS)
    other = [r.model_copy(update={"datasets": (r.datasets[0].model_copy(update={"digest": "b" * 64}),)}) for r in found]
    with pytest.raises(UsageError, match="two versions of the protocol, the task, the metrics or the data"):
        study("few-shot", found + other)
    with pytest.raises(DataError, match=r"Two results score line on lab/S0 in the fold"):
        study("few-shot", [*found, found[0].model_copy(update={"key": "9" * 64})])


def test_limited_results_are_left_out_and_failed_cells_are_told():
    found = curve("few-shot", "seconds", BUDGETS)
    limited = [r.model_copy(update={"limit": 1}) for r in curve("few-shot", "seconds", {120: 1.0})]
    broken = failed("lab/S0", card=protocol(name="few-shot", **STUDY), condition={"seconds": 120})
    answer = only("few-shot", [*found, *limited, broken])
    assert 120 not in set(answer.tables["curve"]["seconds"])
    assert any("1 cells failed" in note for note in answer.notes)


def test_simulation_and_virtual_sensors_are_said_in_every_form(tmp_path):
    found = [
        r.model_copy(update={
            "simulation": True,
            "datasets": tuple(p.model_copy(update={"sensor_origins": ("synthetic",)}) for p in r.datasets),
        })
        for r in curve("few-shot", "seconds", BUDGETS)
    ]  # fmt: skip
    answers = study("few-shot", found)
    for text in (answers.text(), answers.markdown()):
        assert "SIMULATION" in text and "VIRTUAL SENSORS" in text and "lab" in text
    plain = answers.to_json()["answers"][0]
    assert plain["simulation"] and plain["virtual"] == ["lab"]


def test_a_study_writes_text_and_every_table_and_the_order_of_results_plays_no_part(tmp_path):
    found = curve("few-shot", "seconds", BUDGETS, model="=1+1") + own(4.0, model="=1+1")
    written = study("few-shot", found).write(tmp_path / "one")
    again = study("few-shot", found[::-1]).write(tmp_path / "two")
    assert [path.read_bytes() for path in written] == [path.read_bytes() for path in again]
    (table,) = (path for path in written if path.name.endswith(".curve.csv"))
    with table.open(encoding="utf-8") as file:
        assert {row["model"] for row in csv.DictReader(file)} == {"'=1+1"}  # no formula for a spreadsheet
    text = next(path for path in written if path.suffix == ".json").read_text(encoding="utf-8")
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


# --- where a curve meets a level -------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(
    steps=st.lists(st.floats(0.1, 5.0), min_size=2, max_size=8), share=st.floats(0.01, 0.99),
    offsets=st.lists(st.floats(-3.0, 3.0), min_size=1, max_size=2),
)  # fmt: skip
def test_a_falling_curve_meets_a_level_where_its_inverse_says(steps, share, offsets):
    at = np.arange(len(steps) + 1.0)
    values = np.concatenate([[0.0], -np.cumsum(steps)])
    level = share * values[-1]
    table = values + np.array(offsets)[:, None]
    found = meets(at, table, level + np.array(offsets), rising=False)
    assert found.value == pytest.approx(np.interp(-level, -values, at), abs=1e-9)
    assert meets(at, -table, -level - np.array(offsets), rising=True).value == pytest.approx(found.value)


# --- from kept predictions -------------------------------------------------------------------------------------------

SEXES = ("female", "male", "female", "male", "female", "male", "female", "male")


@pytest.fixture
def run(tmp_path, install, monkeypatch):
    """Eight persons, one model under 'toy-ui'; its answers replaced by the reference and errors that are known."""
    install("toy", ENTRY_POINTS, {"toy_models": MODELS})
    with store.create(tmp_path / "lab.zarr", dataset="lab", card={"name": "lab", "simulation": True}) as writer:
        for i, sex in enumerate(SEXES):
            made = recording("lab", f"S{i}", seconds=150.0)
            made.attrs["person_table"] = {"sex": sex, "age_y": 20.0 + i, "height_m": None, "condition": "unknown"}
            writer.write(made)
    opened = store.open(tmp_path / "lab.zarr")
    ui = {"toy-ui": PROTOCOLS["toy-ui"]}
    planned = runner.plan(
        [opened],
        ui,
        {TASK.name: TASK},
        ["toy-mean"],
        seeds=(0,),
        results=tmp_path / "results",
        cache=tmp_path / "cache",
    )
    runner.run(planned)
    return opened, results.read(tmp_path / "results"), tmp_path


def known(run, error):
    """The results, their predictions the reference plus ``error(person, leg, sample)``; and how they are read."""
    opened, found, folder = run
    data = windows.prepare(opened, TASK, cache=folder / "cache")
    replaced = []
    for one in found:
        (aligned,) = runner.align(one, data, results=folder / "results")
        view = unpack((folder / "results" / f"{one.key}.npz").read_bytes())["test"]
        wrong = error(aligned.person, aligned.leg, aligned.sample)[:, None]
        told = pack(
            {"test": type(view)(**{**view.__dict__, "prediction": (aligned.reference + wrong).astype("float32")})}
        )
        (folder / "known").mkdir(exist_ok=True)
        (folder / "known" / f"{one.key}.npz").write_bytes(told)
        replaced.append(one.model_copy(update={"predictions": hashlib.sha256(told).hexdigest()}))
    return replaced, Kept(folder / "known", lambda name: opened, folder / "cache")


def test_aligned_answers_are_those_that_were_scored(run):
    opened, found, folder = run
    data = windows.prepare(opened, TASK, cache=folder / "cache")
    for one in found:
        (aligned,) = runner.align(one, data, results=folder / "results")
        use = aligned.valid[:, 0]
        error = (aligned.prediction - aligned.reference)[use, 0].astype(float)
        (score,) = (s for s in one.scores if s.view == "test")
        assert math.sqrt(np.mean(error**2)) == pytest.approx(score.values["rmse"], rel=1e-6)
        assert use.sum() == score.samples and aligned.person == score.person
    with pytest.raises(DataError, match="nothing was predicted in the view 'test_long'"):
        runner.align(found[0], data, results=folder / "results", view="test_long")


def test_slices_find_what_was_planted_and_nothing_else(run):
    """The right leg errs by 6, the left by 2, women by 1 more, and nothing drifts."""
    women = {f"lab/S{i}" for i, sex in enumerate(SEXES) if sex == "female"}
    found, kept = known(run, lambda person, leg, sample: np.where(leg == 0, 6.0, 2.0) + (person in women))
    answer = only("slices", found, kept=kept)
    tests = answer.tables["tests"].set_index("slice")
    assert set(tests.index) >= {"side", "sex", "age", "gait phase", "stride rate", "strides per minute"}
    assert tests.loc["side", "significant"] and tests.loc["sex", "p"] == pytest.approx(2 / math.comb(8, 4))
    assert not tests.loc["age", "significant"] and "height" not in tests.index and "condition" not in tests.index
    levels = answer.tables["levels"].set_index(["slice", "level"])
    assert levels.loc[("side", "right"), "mean"] == pytest.approx(6.5, abs=1e-3)
    assert levels.loc[("side", "left"), "mean"] == pytest.approx(2.5, abs=1e-3)
    assert first(answer.tables["worst"])["person"] in women
    assert first(answer.tables["drift"])["mean"] == pytest.approx(0.0, abs=1e-3)
    people = answer.tables["persons"].set_index("person")
    assert people.loc["lab/S3", "sex"] == "male" and people.loc["lab/S3", "age_y"] == 23.0


def test_an_offset_goes_with_one_stride_and_a_drift_is_measured_per_minute(run):
    offset, kept = known(run, lambda person, leg, sample: np.full(leg.shape, 1.0 + int(person[-1])))
    centring = only("slices", offset, kept=kept).tables["centring"].set_index("strides")["mean"]
    assert centring[0] == pytest.approx(4.5, abs=1e-3)
    assert centring[[1, 2, 5, 10]].max() < 1e-3
    drifting, kept = known(run, lambda person, leg, sample: 3.0 + 2.0 * sample / TASK.rate_hz / 60.0)
    answer = only("slices", drifting, kept=kept)
    assert first(answer.tables["drift"])["mean"] == pytest.approx(2.0, abs=1e-3)
    over = answer.tables["over_time"]
    assert (np.diff(over["mean"]) > 0).all() and over["elapsed_s"].is_monotonic_increasing


def test_agreement_tells_the_bias_its_limits_and_the_correlation(run):
    found, kept = known(run, lambda person, leg, sample: 3.0 + 0.5 * np.where(sample % 2 == 0, 1.0, -1.0))
    answer = only("agreement", found, kept=kept)
    limits = answer.tables["limits"].set_index("measure")
    assert limits.loc["sample", "bias"] == pytest.approx(3.0, abs=0.01)
    assert limits.loc["sample", "upper"] == pytest.approx(3.0 + 1.96 * 0.5, abs=0.02)
    assert limits.loc["sample", "n"] == 8 and set(limits.index) == {"sample", "peak", "range"}
    assert limits.loc["range", "icc"] > 0.95
    points = answer.tables["points"]
    angle = points[points["measure"] == "sample"]
    assert (angle["predicted"] - angle["reference"]).mean() == pytest.approx(3.0, abs=0.1)


def test_cycles_are_a_mean_per_person_over_the_phase_that_the_reference_tells(run):
    found, kept = known(run, lambda person, leg, sample: np.full(leg.shape, 2.0))
    answer = only("cycles", found, kept=kept)
    table = answer.tables["cycles"]
    assert len(table) == 101 and set(table["n"]) == {8}
    assert (table["predicted"] - table["reference"]).to_numpy() == pytest.approx(np.full(101, 2.0), abs=1e-3)
    assert table["reference"].max() - table["reference"].min() > 20  # a cycle, not its mean
    assert table["reference"].argmax() == pytest.approx(72, abs=4)  # where the knee is flexed most, by definition


def test_predictions_that_were_changed_or_are_gone_are_refused(run):
    opened, found, folder = run
    kept = Kept(folder / "results", lambda name: opened, folder / "cache")
    (folder / "results" / f"{found[0].key}.npz").write_bytes(b"PK other bytes")
    with pytest.raises(DataError, match="their sha256 differs"):
        study("slices", found, kept=kept)
    (folder / "results" / f"{found[0].key}.npz").unlink()
    with pytest.raises(DataError, match="no predictions"):
        study("agreement", found, kept=kept)


# --- doors -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    for one in curve("few-shot", "seconds", BUDGETS, adapts=True) + own(4.0) + campaign():
        if one.protocol.name != "ui" or one.model.name == "line":
            results.write(tmp_path / "results", one)
    return tmp_path / "results"


def test_the_api_answers_from_a_folder(folder):
    found = kinbench.study("few-shot", results=folder, margin=2.0)
    assert found.only.settings["margin"] == 2.0 and found._repr_markdown_().startswith("# few-shot")
    with pytest.raises(UsageError, match=r"no results of the dataset 'lob'.*Did you mean 'lab'"):
        kinbench.study("few-shot", datasets="lob", results=folder)


def test_the_command_prints_words_or_json_and_writes(folder, tmp_path, monkeypatch, capsys):
    arguments = ["kinbench", "study", "few-shot", "--results", str(folder)]
    monkeypatch.setattr("sys.argv", [*arguments, "--write", str(tmp_path / "out")])
    with pytest.raises(SystemExit, match="0"):
        main()
    told = capsys.readouterr()
    assert "How much of a new person's data" in told.out and "wrote" in told.err
    assert (tmp_path / "out" / "few-shot-by-seconds-knee-lab.md").is_file()
    monkeypatch.setattr("sys.argv", [*arguments, "--json"])
    with pytest.raises(SystemExit, match="0"):
        main()
    assert json.loads(capsys.readouterr().out)["answers"][0]["study"] == "few-shot"


def test_a_wrong_question_on_the_command_line_is_one_sentence(folder, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["kinbench", "study", "sensor-subset", "--results", str(folder)])
    with pytest.raises(SystemExit, match="2"):
        main()
    told = capsys.readouterr()
    assert not told.out and "no study 'sensor-subset'" in told.err and "Traceback" not in told.err
