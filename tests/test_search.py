"""A search for settings: seeded, resumed as if never stopped, never on a test person, its budget told in results."""

import json
import sys

import numpy as np
import pytest
from runner_cases import TASK, UG, laboratory
from trained_cases import DOORS, MODULES

from kinbench import plugins, prediction, results
from kinbench.contracts import Choice, Real
from kinbench.errors import DataError, KinbenchError, UsageError
from kinbench.prediction.searching import _suggest
from kinbench.provenance import origin_of, read_search
from kinbench.runner import plan, run

optuna = pytest.importorskip("optuna")


@pytest.fixture
def space(tmp_path, install, monkeypatch):
    install("toy", DOORS, MODULES)
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log.txt"))
    return tmp_path


@pytest.fixture
def lab(space):
    return laboratory(space, "lab", ("S1", "S2", "S3"), seconds=15.0)


@pytest.fixture
def elsewhere(space):
    return laboratory(space, "elsewhere", ("P1", "P2"), seconds=15.0)


def search(space, labs, name="s", selector="steady", trials=3, **how):
    return prediction.search(labs, TASK, selector, space / name, trials=trials, cache=space / "cache", **how)


def stable(search):
    """All of a search but how long it took."""
    trials = [{**trial, "seconds": 0} for trial in search.plain["trials"]]
    return {**search.plain, "trials": trials, "best": {**search.plain["best"], "seconds": 0}}


# --- the sampler -----------------------------------------------------------------------------------------------------

BOWL = {"x": Real(0.1, 10.0, log=True), "y": Real(-1.0, 1.0), "kind": Choice((True, 1, "wide"))}


def bowl(settings):
    return np.log(settings["x"] / 2.0) ** 2 + (settings["y"] - 0.3) ** 2 + (settings["kind"] is not True)


def tried(count, seed):
    trials = []
    for _ in range(count):
        settings = _suggest(BOWL, trials, seed)
        trials.append({"settings": settings, "score": bowl(settings)})
    return trials


def test_what_is_tried_lies_in_the_space_and_comes_nearer_than_chance():
    runs = [tried(40, seed) for seed in (0, 1, 2)]
    for settings in (trial["settings"] for trials in runs for trial in trials):
        assert 0.1 <= settings["x"] <= 10.0 and -1.0 <= settings["y"] <= 1.0
        assert float(f"{settings['x']:.4g}") == settings["x"]
        assert any(settings["kind"] is option for option in (True, 1, "wide"))
    scores = np.array([[trial["score"] for trial in trials] for trials in runs])
    assert np.median(scores[:, -10:]) < np.median(scores[:, :10]) / 2  # ten random ones come first


def test_a_suggestion_depends_on_seed_and_trials_alone():
    trials = tried(14, 3)
    for number in (0, 1, 9, 13):
        assert _suggest(BOWL, trials[:number], 3) == trials[number]["settings"]
    assert _suggest(BOWL, trials[:5], 4) != trials[5]["settings"]
    assert _suggest(BOWL, [], 3) != _suggest(BOWL, trials[:1], 3)


# --- a search on stores ----------------------------------------------------------------------------------------------


def test_a_search_writes_down_all_that_it_did(space, elsewhere):
    found = search(space, [elsewhere], trials=3, seed=4)
    plain = json.loads((space / "s" / "search.json").read_text())
    assert plain == found.plain and not [path for path in (space / "s").iterdir() if path.name != "search.json"]
    assert plain["space"] == {
        "rate": {"kind": "Real", "low": 0.02, "high": 0.5, "log": True},
        "turned": {"kind": "Choice", "options": [True, False]},
    }
    assert (plain["seed"], plain["budget"], len(plain["trials"]), plain["unit"]) == (4, 3, 3, "deg")
    assert plain["stores"][0]["digest"] == elsewhere.digest and plain["simulation"] is True
    assert {person for role in plain["persons"].values() for person in role} == {"elsewhere/P1", "elsewhere/P2"}
    best = min(plain["trials"], key=lambda trial: trial["score"])
    assert plain["best"] == best and found.selector == best["selector"]
    assert all(trial["seconds"] > 0 for trial in plain["trials"])
    # The score is what 'kinbench train' with these settings writes down of its validation persons.
    card = prediction.train([elsewhere], TASK, best["selector"], space / "w", seed=4, cache=space / "cache").card
    assert [row["person"] for row in card["validation"]] == plain["persons"]["validation"]
    assert best["score"] == np.mean([row["rmse"] for row in card["validation"]])


def test_a_search_that_was_stopped_goes_on_as_if_it_had_not_been(space, elsewhere):
    whole = search(space, [elsewhere], "whole", trials=4)

    def stop(done, total, label):
        if (done, total) == (2, 4):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(space, [elsewhere], "stopped", trials=4, on_progress=stop)
    assert read_search(space / "stopped").trials == 2
    assert stable(search(space, [elsewhere], "stopped", trials=4)) == stable(whole)
    before = (space / "stopped" / "search.json").read_bytes()
    search(space, [elsewhere], "stopped", trials=3)  # what is there is enough
    assert (space / "stopped" / "search.json").read_bytes() == before


def test_a_folder_of_another_search_is_left_alone(space, elsewhere, lab):
    search(space, [elsewhere], trials=1)
    for labs, how in (([lab], {}), ([elsewhere], {"seed": 1}), ([elsewhere], {"selector": "steady[steps=5]"})):
        with pytest.raises(UsageError, match="holds a search of another"):
            search(space, labs, **{"trials": 2, **how})
    assert search(space, [elsewhere], trials=1, seed=1, force=True).seed == 1


def test_a_fixed_setting_is_kept_and_the_others_are_searched(space, elsewhere):
    found = search(space, [elsewhere], selector="steady[turned=false]", trials=2)
    assert set(found.plain["space"]) == {"rate"}
    assert all(trial["selector"].endswith(",turned=false]") for trial in found.plain["trials"])
    for trial in found.plain["trials"]:
        assert plugins.create("models", trial["selector"]).rate == trial["settings"]["rate"]


def test_a_trial_that_fails_is_kept_with_its_reason(space, elsewhere):
    found = search(space, [elsewhere], selector="moody", trials=6)
    failed = [trial for trial in found.plain["trials"] if trial["score"] is None]
    assert failed and all("not today" in trial["reason"] for trial in failed)
    assert {trial["settings"]["steps"] for trial in failed} <= {5, 8}
    assert found.plain["best"]["settings"]["steps"] in (3, 13)


def test_a_search_without_any_score_gives_no_settings(space, elsewhere):
    seed = next(seed for seed in range(50) if _suggest({"steps": Choice((3, 5, 8, 13))}, [], seed)["steps"] in (5, 8))
    with pytest.raises(DataError, match="no trial of this search came to a score"):
        search(space, [elsewhere], selector="moody", trials=1, seed=seed)


@pytest.mark.parametrize(
    ("selector", "kind", "words"),
    [
        ("toy-mean", UsageError, "no save and load|no 'space'"), ("ridge", UsageError, "no 'space'"),
        ("twisted", KinbenchError, "cannot be searched: height"),
        ("steady[rate=0.1,turned=true]", UsageError, "nothing to search"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_told_at_once(space, elsewhere, selector, kind, words):
    with pytest.raises(kind, match=words):
        search(space, [elsewhere], selector=selector)
    assert not (space / "s").exists()


def test_without_optuna_the_extra_is_named(space, elsewhere, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match=r"pip install 'kinbench\[search\]'"):
        search(space, [elsewhere])


# --- a run with what was found ---------------------------------------------------------------------------------------


def planned(space, lab, models):
    return plan([lab], {"toy-ug": UG}, {TASK.name: TASK}, models, seeds=(0,), results=space / "results",
                cache=space / "cache")  # fmt: skip


def test_a_result_carries_the_budget_of_its_settings(space, lab, elsewhere):
    found = search(space, [elsewhere], trials=2)
    by_hand, searched = planned(space, lab, [found.selector]), planned(space, lab, [found])
    assert searched.cells[0].model.identity == {**by_hand.cells[0].model.identity, "search": found.sha256}
    result = run(searched).made[0]
    part = result.model.search
    assert (part.trials, part.seed, part.sha256, part.persons) == (2, 0, found.sha256, 2)
    assert part.score == found.plain["best"]["score"] and result.model.settings["rate"]
    assert "the settings are the best of 2 trials of a search on 2 people" in result.notes
    assert results.from_json(results.to_json(result)) == result


def test_whoever_a_search_saw_is_refused_in_a_test(space, lab, elsewhere):
    known = laboratory(space / "apart", "lab", ("S2",), seconds=20.0)
    found = search(space, [elsewhere, known], trials=1)
    [refused] = run(planned(space, lab, [found])).failed
    assert refused.fold.test_persons == ("lab/S2",)
    assert "the search 's/search.json' learnt from lab/S2, and person lab/S2 is tested" in refused.failure.sentence


def test_a_search_goes_from_the_same_weights_in_every_trial_and_in_the_run(space, lab, elsewhere):
    prediction.pretrain([elsewhere], TASK, "steady", space / "enc", cache=space / "cache")
    origin = origin_of(space / "enc", cache=space / "cache")
    found = search(space, [elsewhere], trials=1, origin=origin)
    assert found.plain["began_from"]["sha256"] == origin.sha256
    [result, *_] = run(planned(space, lab, [found])).made
    assert result.done and result.model.weights.name == "enc" and result.model.search.trials == 1


def test_search_and_run_from_the_command_line(space, lab, elsewhere, call, monkeypatch):
    monkeypatch.chdir(space)
    monkeypatch.setenv("KINBENCH_DATA", str(space))
    asked = ("search", "steady", "elsewhere", "--task", "toy-knee", "--to", "s", "--trials")
    code, shown, told = call(*asked, 2)
    assert code == 0, told
    assert "best of 2: steady[" in shown and "kinbench run --search s/search.json" in shown
    assert json.loads(call(*asked, 2, "--json")[1])["best"]["score"] > 0
    code, shown, told = call("run", "-p", "toy-ug", "-t", "toy-knee", "-d", "lab", "--seed", "0", "--search", "s")
    assert (code, shown) == (0, "3 scored, 0 failed, 0 done before\n"), told
    code, _, told = call("run", "-t", "toy-knee", "--search", "nowhere")
    assert code == 2 and "make one with 'kinbench search'" in told
