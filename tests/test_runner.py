"""Plan, run, resume: which cells there are, that each ends as one whole result, that its score can be made again."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from runner_cases import ENTRY_POINTS, MODELS, PROTOCOLS, TASK, UA, UG, UI, laboratory

from kinbench import results
from kinbench.engines import THREADS
from kinbench.errors import DataError, KinbenchError, NotApplicable, StoreError, UsageError
from kinbench.protocol import fold_digest
from kinbench.runner import plan, rescore, run
from kinbench.runner.predictions import unpack

TASKS = {TASK.name: TASK}


@pytest.fixture
def log(tmp_path, monkeypatch):
    path = tmp_path / "log.txt"
    monkeypatch.setenv("TOY_LOG", str(path))
    return lambda: path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def space(tmp_path, install, log):
    install("toy", ENTRY_POINTS, {"toy_models": MODELS})
    return tmp_path


@pytest.fixture
def lab(space):
    return laboratory(space, "lab")


def planned(space, stores, protocols, models, *, seeds=(0,), tasks=TASKS, folder="results", **more):
    stores = stores if isinstance(stores, list) else [stores]
    named = {protocol.card.name: protocol for protocol in protocols}
    return plan(stores, named, tasks, models, seeds=seeds, results=space / folder, cache=space / "cache", **more)


def stable(result):
    """A result without what may differ from one run to the next."""
    return result.model_copy(update={"timings": results.Timings()})


def saved(folder):
    """Every kept byte that may not differ: results without timings, and predictions."""
    found = {r.key: stable(r) for r in results.read(folder)}
    return found, {path.name: path.read_bytes() for path in folder.glob("*.npz")}


# --- planning --------------------------------------------------------------------------------------------------------


def test_a_plan_lists_every_cell_once(space, lab):
    found = planned(space, lab, [UI, UG], ["toy-mean", "toy-line"], seeds=(0, 1))
    assert len(found.cells) == 2 * 3 * 2 * 2 == len({cell.key for cell in found.cells})
    assert not found.done and found.to_run == found.cells and not found.skipped
    assert not (space / "results").exists()


def test_a_model_that_cannot_adapt_is_not_applicable_with_the_reason(space, lab):
    found = planned(space, lab, [UA], ["toy-mean", "toy-line"])
    assert {cell.model.selector for cell in found.cells} == {"toy-line"}
    (skipped,) = found.skipped
    assert (skipped.model, skipped.protocol) == ("toy-mean", "toy-ua") and "adapt" in skipped.reason
    assert "toy-mean" in found.text() and found.to_json()["not_applicable"][0]["reason"] == skipped.reason


def test_a_protocol_that_does_not_fit_a_dataset_is_listed_with_its_reason(space, lab):
    pair = laboratory(space, "pair", ("P1", "P2"))
    found = planned(space, [lab, pair], [UG], ["toy-mean"])
    assert {cell.dataset for cell in found.cells} == {"lab"}
    assert [(s.dataset, s.reason) for s in found.skipped] == [("pair", "toy-ug needs three people and there are 2")]


def test_a_task_that_fits_nothing_is_listed_or_when_named_refused(space, lab):
    other = replace(TASK, name="toy-hip", dofs=("hip_flexion",))
    found = planned(space, lab, [UI], ["toy-mean"], tasks={**TASKS, "toy-hip": other})
    assert {cell.task.name for cell in found.cells} == {TASK.name}
    assert [(s.task, s.dataset) for s in found.skipped] == [("toy-hip", "lab")]
    assert "no reference of hip_flexion_r" in found.skipped[0].reason
    with pytest.raises(NotApplicable, match=r"toy-hip.*cannot be run here(.|\n)*hip_flexion_r"):
        planned(space, lab, [UI], ["toy-mean"], tasks={"toy-hip": other}, named=True)


def test_the_refusal_of_a_named_task_names_the_variant_that_fits(space, install):
    free = laboratory(space, "free", acc_kind="gravity_removed")
    asked = replace(TASK, name="toy-acc", channels=("acc", "gyr"), variants=("toy-free",))
    variant = replace(asked, name="toy-free", acc_kind="gravity_removed", variants=("toy-acc",))
    with pytest.raises(NotApplicable, match="'toy-free' would fit"):
        planned(space, free, [UI], ["toy-mean"], tasks={"toy-acc": asked}, named=True)
    assert planned(space, free, [UI], ["toy-mean"], tasks={"toy-free": variant}, named=True).cells


@pytest.mark.parametrize(
    ("models", "words"),
    [
        (["toy-meen"], "Did you mean 'toy-mean'"), (["toy-line[rigde=1]"], "has no setting rigde"),
        (["toy-line[ridge=nan]"], "finite numbers"),
        (["toy-line[ridge=1,slow_s=0]", "toy-line[slow_s=0,ridge=1]"], "more than once"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_be_made_is_refused_at_once(space, lab, models, words):
    with pytest.raises(UsageError, match=words):
        planned(space, lab, [UI], models)


def test_two_stores_of_one_name_are_refused(space, lab):
    with pytest.raises(UsageError, match="different stores"):
        planned(space, [lab, lab], [UI], ["toy-mean"])


# --- identity --------------------------------------------------------------------------------------------------------


def keys(space, stores, *, protocols=(UG,), models=("toy-line",), **more):
    return {cell.key for cell in planned(space, stores, protocols, models, **more).cells}


def test_keys_do_not_depend_on_order_place_or_company(space, lab, tmp_path_factory):
    pair = laboratory(space, "pair", ("P1", "P2"))
    here = keys(space, lab)
    assert (
        keys(space, [pair, lab])
        == here
        == keys(space, [lab, pair], models=["toy-mean", "toy-line"]) - keys(space, [lab, pair], models=["toy-mean"])
    )
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert keys(elsewhere, laboratory(elsewhere, "lab")) == here


def test_a_key_depends_on_everything_that_a_score_depends_on(space, lab, monkeypatch):
    class Newer(type(UG)):
        card = replace(UG.card, version=2)

    here = keys(space, lab)
    others = [
        keys(space, lab, seeds=(1,)),
        keys(space, lab, models=["toy-line[ridge=2]"]),
        keys(space, lab, models=["toy-mean"]),
        keys(space, lab, protocols=[Newer()]),
        keys(space, lab, protocols=[UI]),
        keys(space, lab, tasks={TASK.name: replace(TASK, version=2)}),
        keys(space, lab, tasks={TASK.name: replace(TASK, stride=8)}),
        keys(space, laboratory(space / "longer", "lab", seconds=41.0)),
    ]
    monkeypatch.setattr("kinbench.runner.planning.THREADS", THREADS + 1)
    others.append(keys(space, lab))
    for number, other in enumerate(others):
        assert not here & other, number
        assert all(not other & another for another in others[number + 1 :])


def test_the_fold_digest_is_the_protocols_own(space, lab):
    cell = planned(space, lab, [UG], ["toy-mean"]).cells[0]
    assert cell.fold_digest == fold_digest(cell.fold, TASK, UG.card)


# --- running ---------------------------------------------------------------------------------------------------------


def test_every_cell_ends_as_one_result_with_all_that_a_reader_needs(space, lab):
    finished = run(planned(space, lab, [UG], ["toy-line[ridge=0.5]"], seeds=(0, 1)))
    assert len(finished.made) == 6 and not finished.failed and finished.left == 0
    assert sorted(finished.made, key=lambda r: r.key) == results.read(space / "results")
    result = finished.made[0]
    assert result.done and result.simulation and result.limit is None and result.threads == 1
    assert result.model.settings == {"ridge": 0.5} and result.model.parameters == 4
    assert result.model.distribution == "toy" and result.model.distribution_version == "1.0"
    assert result.notes == ("fitted in closed form",)
    assert result.windows == {"fit": 242, "validation": 242}
    assert [(s.view, s.person, s.dof) for s in result.scores] == [
        ("test", "lab/S1", "knee_flexion"), ("test_long", "lab/S1", "knee_flexion")
    ]  # fmt: skip
    assert result.scores[0].samples == result.scores[0].covered and result.coverage == 1.0
    assert set(result.scores[0].values) == set(result.metrics)
    assert result.datasets[0].recordings.keys() == {f"lab/S{i}/1/walk" for i in (1, 2, 3)}
    assert result.environment["python"] and result.environment["numpy"]
    assert result.timings.fit_s > 0 and result.timings.predict_s > 0 and result.timings.overhead_s > 0


def test_what_is_done_is_not_run_again(space, lab, log):
    run(planned(space, lab, [UG], ["toy-mean"]))
    before, fits = saved(space / "results"), len(log())
    again = planned(space, lab, [UG, UI], ["toy-mean"])
    assert len(again.done) == 3 and len(again.to_run) == 3 and "3 done, 3 to run" in again.text()
    finished = run(again)
    assert len(finished.made) == 3 and len(finished.results) == 6 and len(log()) == fits + 3
    after = saved(space / "results")
    assert all(after[0][key] == result for key, result in before[0].items())


@pytest.mark.parametrize("loss", ["predictions", "result", "damage"])
def test_what_is_lost_is_made_again_bit_for_bit(space, lab, loss):
    first = run(planned(space, lab, [UG], ["toy-mean"]))
    before = saved(space / "results")
    victim = space / "results" / f"{first.made[1].key}.{'npz' if loss == 'predictions' else 'json'}"
    victim.write_text(victim.read_text()[:-40]) if loss == "damage" else victim.unlink()
    again = planned(space, lab, [UG], ["toy-mean"])
    assert [cell.key for cell in again.to_run] == [first.made[1].key]
    run(again)
    assert saved(space / "results") == before


def test_two_workers_and_any_order_give_the_same_bytes(space, lab):
    run(planned(space, lab, [UG, UA, UI], ["toy-mean", "toy-line"], folder="one"))
    run(planned(space, lab, [UI, UA, UG], ["toy-line", "toy-mean"], folder="two"), workers=2)
    assert saved(space / "one") == saved(space / "two")


def test_ua_takes_up_the_model_that_ug_fitted_in_one_run(space, lab, log):
    run(planned(space, lab, [UG, UA], ["toy-line"]))
    assert log().count("fit line") == 3 and log().count("adapt line") == 3


def test_ua_takes_up_the_model_that_ug_fitted_after_a_resume(space, lab, log):
    run(planned(space, lab, [UG], ["toy-line"], folder="apart"))
    run(planned(space, lab, [UG, UA], ["toy-line"], folder="apart"))
    assert log().count("fit line") == 3
    run(planned(space, lab, [UA], ["toy-line"], folder="alone"))
    run(planned(space, lab, [UG, UA], ["toy-line"], folder="together"))
    apart, alone, together = (saved(space / name) for name in ("apart", "alone", "together"))
    assert apart == together
    assert all(apart[0][key] == result for key, result in alone[0].items()) and len(alone[0]) == 3
    adapted = [result for result in results.read(space / "apart") if result.protocol.adapts]
    assert {"fitted in closed form", "adapted half-way"} == set(adapted[0].notes)
    assert adapted[0].windows["adaptation"] > 0 and adapted[0].timings.fit_s is None


def test_datasets_are_crossed(space, lab):
    pair = laboratory(space, "pair", ("P1", "P2"))
    finished = run(planned(space, [lab, pair], [PROTOCOLS["toy-cross"]], ["toy-line"]))
    there, back = finished.made
    assert (there.fold.train_datasets, there.fold.test_dataset) == (("lab",), "pair")
    assert [score.person for score in there.scores] == ["pair/P1", "pair/P2"]
    assert [score.person for score in back.scores] == ["lab/S1", "lab/S2", "lab/S3"]
    assert [part.name for part in there.datasets] == ["lab", "pair"]


# --- failing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("hole", "1 of 1536 values that the model answered are not finite"), ("shape", "was to answer"),
        ("text", "of type <U"), ("raise", "RuntimeError: the loss is a turnip"), ("known", "lab/S2"),
    ],
)  # fmt: skip
def test_a_cell_that_fails_is_kept_with_its_reason_and_the_run_goes_on(space, lab, how, words):
    finished = run(planned(space, lab, [UG], [f"toy-faulty[how={how},only=0]", "toy-mean"], seeds=(0, 1)))
    failed = finished.failed
    assert {r.seed for r in failed if how != "known"} <= {0} and len(finished.made) == 12
    assert len(failed) == (2 if how == "known" else 3)
    assert words in failed[0].failure.sentence and words in finished.text()
    assert failed[0].fold.test_persons and failed[0].model.name == "toy-faulty" and failed[0].datasets[0].name == "lab"
    assert not failed[0].scores and failed[0].predictions is None
    assert {r.key for r in results.read(space / "results")} == {r.key for r in finished.made}
    if how == "known":
        assert {r.fold.name for r in failed} == {"lab/S2"} and {r.failure.kind for r in failed} == {"LeakError"}
        assert all(finished.text().count(result.label) == 1 for result in failed)


def test_a_failed_cell_is_tried_again(space, lab, monkeypatch):
    run(planned(space, lab, [UG], ["toy-faulty[how=hole]"]))
    again = planned(space, lab, [UG], ["toy-faulty[how=hole]"])
    assert len(again.to_run) == 3
    mended = space / "mended"
    mended.touch()
    monkeypatch.setenv("TOY_MENDED", str(mended))
    assert not run(again).failed and len(planned(space, lab, [UG], ["toy-faulty[how=hole]"]).done) == 3


def test_fail_fast_raises_the_first_failure_and_keeps_it(space, lab):
    found = planned(space, lab, [UG], ["toy-faulty[how=raise]"], seeds=(0, 1, 2))
    with pytest.raises(KinbenchError, match="turnip"):
        run(found, fail_fast=True)
    assert len(results.read(space / "results")) == 1


def test_a_model_that_kills_its_worker_fails_alone(space):
    alone = laboratory(space, "alone", ("S1",))
    finished = run(planned(space, alone, [UI], ["toy-faulty[how=die,only=1]", "toy-mean"], seeds=(0, 1)), workers=2)
    (failed,) = finished.failed
    assert (failed.model.name, failed.seed, failed.failure.kind) == ("toy-faulty", 1, "WorkerDied")
    assert len(finished.made) == 4


def test_a_limited_run_is_marked_and_not_done(space, lab):
    finished = run(planned(space, lab, [UG], ["toy-mean"]), limit=2)
    assert [result.limit for result in finished.made] == [2, 2] and finished.left == 1
    again = planned(space, lab, [UG], ["toy-mean"])
    assert len(again.to_run) == 3
    assert [result.limit for result in run(again).made] == [None] * 3


def test_a_second_run_in_the_same_folder_is_refused(space, lab):
    found = planned(space, lab, [UG], ["toy-mean"])
    (space / "results").mkdir()
    with FileLock(space / "results" / ".lock"), pytest.raises(UsageError, match="Another run"):
        run(found)
    assert not run(found).failed


# --- scores that can be made again -----------------------------------------------------------------------------------


def test_a_score_is_recomputed_bit_for_bit_from_the_predictions(space, lab):
    for result in run(planned(space, lab, [UG, UA], ["toy-line"])).made:
        assert rescore(result, lab, results=space / "results", cache=space / "fresh") == result.scores


def test_predictions_that_were_touched_are_refused(space, lab):
    result = run(planned(space, lab, [UG], ["toy-mean"])).made[0]
    path = space / "results" / f"{result.key}.npz"
    data = bytearray(path.read_bytes())
    data[-200] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="sha256"):
        rescore(result, lab, results=space / "results", cache=space / "cache")


def test_another_reference_is_refused(space, lab):
    result = run(planned(space, lab, [UG], ["toy-mean"])).made[0]
    longer = laboratory(space / "longer", "lab", seconds=41.0)
    with pytest.raises(StoreError, match="not the ones that were scored"):
        rescore(result, longer, results=space / "results", cache=space / "cache")


def test_predictions_are_plain_arrays_in_order(space, lab):
    result = run(planned(space, lab, [UG], ["toy-line"])).made[0]
    path = space / "results" / f"{result.key}.npz"
    with np.load(path, allow_pickle=False) as plain:
        assert set(plain["test/keys"]) == {"lab/S1/1/walk"} and plain["test/prediction"].dtype == np.float32
    view = unpack(path.read_bytes())["test"]
    rows = list(zip(view.recording.tolist(), view.leg.tolist(), view.sample.tolist(), strict=True))
    assert rows == sorted(set(rows)) and view.legs == ("r", "l") and len(rows) == result.scores[0].covered


@pytest.mark.parametrize("data", [b"", b"PK", b"no archive at all"])
def test_what_is_no_file_of_predictions_is_refused(data):
    with pytest.raises(DataError, match="not a file of predictions"):
        unpack(data)


# --- being killed ----------------------------------------------------------------------------------------------------

SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = {paths!r}
from filelock import FileLock
from runner_cases import TASK, UA, UG
from kinbench import store
from kinbench.runner import plan, run

if __name__ == "__main__":
    space = Path({space!r})
    found = plan(
        [store.open(space / "lab.zarr")], {{"toy-ug": UG, "toy-ua": UA}}, {{"toy-knee": TASK}},
        ["toy-mean", "toy-line[slow_s=0.01]"], seeds=(0, 1, 2), results=space / "killed", cache=space / "cache",
    )
    print("planned", flush=True)
    run(found, workers=int(sys.argv[1]))
"""


@pytest.mark.parametrize(("workers", "kills"), [(1, 3), (2, 1)])
def test_a_killed_run_leaves_whole_results_and_goes_on(space, lab, workers, kills):
    models = ["toy-mean", "toy-line[slow_s=0.01]"]
    expected = planned(space, lab, [UG, UA], models, seeds=(0, 1, 2), folder="whole")
    run(expected)
    script = space / "script.py"
    paths = [str(Path(__file__).parent), str(space / "site-packages")]
    script.write_text(SCRIPT.format(paths=paths, space=str(space)))
    command = [sys.executable, str(script), str(workers)]
    folder = space / "killed"
    moments = random.Random(workers)
    done = {}
    for _ in range(kills):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "planned\n"
            time.sleep(moments.uniform(0.0, 0.25 if workers == 1 else 3.0))
            os.kill(process.pid, signal.SIGKILL)
        _settle(folder)
        there = {path.stem: path.stat().st_mtime_ns for path in folder.glob("*.json")}
        for path in folder.glob("*.json"):
            assert json.loads(path.read_text())["status"] == "done"
            assert path.with_suffix(".npz").exists()
        assert done.items() <= there.items(), "what was done was made again"
        done = there
    finished = run(
        planned(space, lab, [UG, UA], ["toy-mean", "toy-line[slow_s=0.01]"], seeds=(0, 1, 2), folder="killed")
    )
    assert {r.key for r in finished.made} == {cell.key for cell in expected.cells} - set(done)
    assert saved(folder) == saved(space / "whole")
    assert not list(folder.glob("**/.*.json.*")) and not list((folder / results.STAGING).glob("*"))


def _settle(folder):
    """Wait until orphaned workers, if any, have noticed that their parent is gone."""
    before = None
    while before != (before := {path.name for path in folder.glob("*")}):
        time.sleep(0.3)


RUDE = """
import sys
from toy_models import Mean

class Printer(Mean):
    def fit(self, train, valid, *, seed):
        print("HELLO STDOUT")
        super().fit(train, valid, seed=seed)

class Leaver(Mean):
    def fit(self, train, valid, *, seed):
        sys.exit(0)

class Nameless:
    def fit(self, train, valid, *, seed): pass
"""
RUDE_DOORS = [
    ("kinbench.models", "printer = rude_models:Printer"), ("kinbench.models", "leaver = rude_models:Leaver"),
    ("kinbench.models", "nameless = rude_models:Nameless"),
]  # fmt: skip


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_model_prints_is_no_part_of_the_answer(space, lab, install, capfd, workers):
    install("rude", RUDE_DOORS, {"rude_models": RUDE})
    done = run(planned(space, lab, [UG], ["printer"]), workers=workers)
    shown = capfd.readouterr()
    assert not done.failed
    assert "HELLO STDOUT" not in shown.out
    assert "HELLO STDOUT" in shown.err


def test_a_model_that_leaves_the_interpreter_fails_its_cells_only(space, lab, install):
    install("rude", RUDE_DOORS, {"rude_models": RUDE})
    done = run(planned(space, lab, [UG], ["leaver", "toy-mean"]))
    assert {result.model.name for result in done.failed} == {"leaver"}
    assert all("SystemExit" in result.failure.sentence for result in done.failed)
    assert len(done.made) == 6


def test_a_model_without_a_card_is_told_what_it_lacks(space, lab, install):
    install("rude", RUDE_DOORS, {"rude_models": RUDE})
    with pytest.raises(KinbenchError, match=r"'nameless' of rude 1\.0 lacks card, predict"):
        planned(space, lab, [UG], ["nameless"])
