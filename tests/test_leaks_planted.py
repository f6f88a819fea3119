"""Every leak we know of, planted: the guard that catches it, its own sentence, and the clean case that it lets pass.

``kinbench check guards`` prints the table. What no protocol can plant (seeds left out, results left out, a stale
cache, the order of rows, answers within a model's reach) is planted here, in results and in the runner.
"""

from dataclasses import fields

import numpy as np
import pytest
import result_cases
import runner_cases

from kinbench import leaderboards, results, runner, testing, windows
from kinbench.errors import LeakError
from kinbench.protocol import check_answers, check_causal, check_leaks
from kinbench.testing import leaks
from kinbench.windows import find_copies


@pytest.fixture(scope="module")
def caught():
    return testing.check_guards()


@pytest.mark.parametrize("place", range(len(leaks.PLANTED)), ids=[f"{p.name}: {p.leak}" for p in leaks.PLANTED])
def test_a_planted_leak_is_caught_with_its_own_sentence(caught, place):
    planted, row = leaks.PLANTED[place], caught[place]
    assert row.caught, f"{planted.leak} was not caught by {planted.guard}"
    assert all(word in row.sentence for word in planted.culprits)
    assert len(row.sentence.split("\n")) == 1, "one leak, one sentence"


def test_there_are_twelve_at_least_and_no_two_are_alike(caught):
    assert len({row.leak for row in caught}) == len(caught) >= 12
    assert len({row.name for row in caught}) >= 12


def test_what_is_clean_passes_every_guard():
    signals = leaks._native({})
    check_leaks(leaks._fold(), leaks.ENTRIES, signals=signals, copies=find_copies([leaks._data({})]),
                trained_on=("else/S1", "movi/*"))  # fmt: skip
    own = leaks._own(fit=(leaks._span(1, 0, 4600),))
    check_leaks(own, leaks.ENTRIES, signals=signals)
    check_answers(leaks._data({}), "S1")
    x = np.stack([leaks.walk(1, trial, 50) for trial in range(6)]).astype(np.float32)
    check_causal(lambda given: np.cumsum(given, axis=1), x, "S1")


def test_a_guard_that_sleeps_is_noticed(monkeypatch):
    monkeypatch.setattr(leaks, "check_leaks", lambda *_, **__: None)
    monkeypatch.setattr(leaks, "check_answers", lambda *_: None)
    assert not any(row.caught for row in testing.check_guards() if row.guard != "check_causal")


@pytest.mark.parametrize("later", [1, 5])
def test_a_causal_model_may_not_look_ahead_by_a_few_samples(later):
    x = np.stack([leaks.walk(1, trial, 50) for trial in range(6)]).astype(np.float32)
    with pytest.raises(LeakError, match="uses the future"):
        check_causal(lambda given: np.roll(given, -later, axis=1), x, "S1")


# --- what only results, or the runner, can show ----------------------------------------------------------------------


def test_seeds_left_out_cost_coverage_and_are_told():
    """S1: three of four seeds, the worst one left out: ranked on what all have, and said under the table."""
    values = {0: 5.0, 1: 5.1, 2: 5.2, 3: 9.0}
    made = [
        result_cases.result(person, values[seed] + offset, model=model, seed=seed)
        for person in ("lab/S1", "lab/S2", "lab/S3") for model, offset in (("whole", 0.0), ("chosen", 0.01))
        for seed in values if not (model == "chosen" and seed == 3)
    ]  # fmt: skip
    (table,) = leaderboards.board(made)
    shown = table.overall.set_index("model")
    assert shown.loc["chosen", "coverage"] < 1.0 == shown.loc["whole", "coverage"]
    assert shown.loc["chosen", "rmse"] < shown.loc["whole", "rmse"]
    assert shown.loc["chosen", "rmse_shared"] > shown.loc["whole", "rmse_shared"]
    assert "Not every model has every cell" in table.text()


def test_a_person_left_out_costs_coverage_and_is_told():
    """L3.3: the hardest person is not scored: the means of the table do not hide it."""
    hard = {"lab/S1": 4.0, "lab/S2": 5.0, "lab/S3": 6.0, "lab/S4": 20.0}
    made = [
        result_cases.result(person, value + offset, model=model)
        for person, value in hard.items() for model, offset in (("whole", 0.0), ("easy", 0.1))
        if not (model == "easy" and person == "lab/S4")
    ]  # fmt: skip
    (table,) = leaderboards.board(made)
    shown = table.overall.set_index("model")
    assert shown.loc["easy", "coverage"] == 0.75
    assert shown.loc["easy", "rmse_shared"] > shown.loc["whole", "rmse_shared"]
    assert "nothing is imputed" in table.text()


_KEY = {
    "recordings": {"lab/S1/1/walk": "a" * 64}, "task": {"name": "t", "version": 1}, "protocol": ("ug", 1),
    "fold": "f" * 64, "metrics": {"rmse": 1}, "model": {"name": "m", "settings": {}, "version": "1"}, "seed": 0,
    "threads": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("recordings", {"lab/S1/1/walk": "b" * 64}), ("recordings", {"lab/S2/1/walk": "a" * 64}),
        ("task", {"name": "t", "version": 2}), ("protocol", ("ug", 2)), ("protocol", ("ua", 1)), ("fold", "e" * 64),
        ("metrics", {"rmse": 2}), ("model", {"name": "m", "settings": {"size": 2}, "version": "1"}),
        ("model", {"name": "m", "settings": {}, "version": "2"}), ("seed", 1), ("threads", 2),
    ],
)  # fmt: skip
def test_a_result_is_never_taken_for_another_ones(part, other):
    """S2: one field changed, one miss."""
    assert results.cell_key(**{**_KEY, part: other}) != results.cell_key(**_KEY)


def test_what_a_model_is_tested_on_holds_no_answer_and_no_name():
    """L1.2b, L2.3: the test view is inputs alone, and people are opaque numbers in the training view."""
    handed = {field.name for field in fields(windows.TestWindows)}
    assert handed.isdisjoint({"targets", "labelled", "y", "person", "entries"})
    data = leaks._data({})
    batches = data.batches([leaks._span(1), leaks._span(2)])
    told = {name for name in dir(batches) if not name.startswith("_")}
    assert told.isdisjoint({"key", "keys", "entries", "persons", "trial", "activity"})
    assert set(np.unique(batches.person)) != {1, 2} and batches.person.dtype.kind == "i"


def test_a_model_of_row_numbers_gains_nothing():
    """L2.3: who answers by the number of the row in the training view does no better than the mean."""
    data = leaks._data({})
    fit, test = data.batches([leaks._span(3), leaks._span(4)]), data.batches([leaks._span(1, 4800)])
    mean = np.full(test.y.shape, fit.y.mean())
    by_row = fit.y[np.arange(len(test)) % len(fit)]
    rmse = [float(np.sqrt(np.mean((answer - test.y) ** 2))) for answer in (mean, by_row)]
    assert rmse[1] >= rmse[0]


def test_changes_of_training_windows_reach_no_other_window():
    """L1.4c: copies that augmentation makes are of the fold's training spans; the test view keeps its bits."""
    data = leaks._data({})
    before = data.test_windows([leaks._span(1, 4800)]).x.copy()
    augmented = data.batches([leaks._span(3)])
    augmented.signals[:] = 7.0
    np.testing.assert_array_equal(data.test_windows([leaks._span(1, 4800)]).x, before)
    assert not (augmented.signals == data.signals[: len(augmented.signals)]).all()


AHEAD = """
import numpy as np
from toy_models import Mean
from kinbench.contracts import ModelCard


class Ahead(Mean):
    card = ModelCard("toy-ahead", "1", "ahead", "takes the window's mean away, and says that it is causal")
    causal = True

    def predict(self, x):
        return (x - x.mean(axis=1, keepdims=True))[..., :1]
"""


def test_a_run_refuses_a_model_that_falsely_claims_to_be_causal(tmp_path, install):
    install("toy", runner_cases.ENTRY_POINTS, {"toy_models": runner_cases.MODELS})
    install("ahead", [("kinbench.models", "toy-ahead = ahead_models:Ahead")], {"ahead_models": AHEAD})
    lab = runner_cases.laboratory(tmp_path, "lab")
    planned = runner.plan(
        [lab], {"toy-ug": runner_cases.UG}, {"toy-knee": runner_cases.TASK}, ["toy-ahead", "toy-mean"], seeds=(0,),
        results=tmp_path / "results", cache=tmp_path / "cache",
    )  # fmt: skip
    finished = runner.run(planned)
    told = {result.model.name: result.failure for result in finished.made}
    assert told["toy-mean"] is None
    assert told["toy-ahead"].kind == "LeakError" and "claims to be causal" in told["toy-ahead"].sentence
