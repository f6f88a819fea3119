"""What a study's sentences may not claim: growth without a test, a plateau nobody saw, a best that was chosen."""

import math

import numpy as np
from runner_cases import ENTRY_POINTS, MODELS, TASK, UG, laboratory
from study_cases import OFFSETS, cell, curve
from test_studies import known

from kinbench import results, runner
from kinbench.studies import study

PEOPLE = tuple(f"S{i}" for i in range(8))


def test_a_curve_that_flattens_beyond_the_largest_budget_says_so():
    def told(scale):
        falling = {at: 4.0 + 6.0 * math.exp(-at / scale) for at in (0, 5, 10, 20, 30, 60)}
        return study("few-shot", curve("few-shot", "seconds", falling)).only.sentences[0]

    assert "it flattens at " in told(40.0) and "beyond the 60 measured" in told(40.0)
    assert "it flattens at " in told(5.0) and "beyond" not in told(5.0)


def test_the_best_of_many_sets_are_said_to_be_chosen():
    found = [
        cell("sensor-subsets/ug", f"lab/S{i}", 5.0 + offset, {"sensors": name, "count": len(name.split("+"))})
        for name in ("a", "b", "a+b") for i, offset in enumerate(OFFSETS)
    ]  # fmt: skip
    answer = study("sensor-subsets", found).only
    assert any("chosen by the very errors that are shown" in note for note in answer.notes)


def test_a_correlation_with_distance_is_told_with_its_p_and_never_as_growth(tmp_path, install):
    """Errors by the person's number, whatever their angles."""
    install("toy", ENTRY_POINTS, {"toy_models": MODELS})
    opened = laboratory(tmp_path, "lab", PEOPLE, seconds=150.0)
    folders = {"results": tmp_path / "results", "cache": tmp_path / "cache"}
    runner.run(runner.plan([opened], {"toy-ug": UG}, {TASK.name: TASK}, ["toy-mean"], seeds=(0,), **folders))
    run = opened, results.read(tmp_path / "results"), tmp_path
    found, kept = known(run, lambda person, leg, _: np.full(leg.shape, 1.0 + int(person[-1])))
    answer = study("slices", found, kept=kept).only
    (told,) = [told for told in answer.sentences if "distance from the others' mean" in told]
    row = answer.tables["centring"].set_index("strides").loc[0]
    assert f"others' mean: rho = {row['rho_with_distance']:.2f} (p = {row['p']:.4f}, 8 persons" in told
    assert ("not shown to be related" in told.split(";")[0]) == (row["p"] > 0.05) and "grows" not in told
