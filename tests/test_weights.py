"""Weights that a run begins from: whom they know is refused, who is not known never ranks, what was stopped goes on."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from runner_cases import TASK, UA, UG, laboratory, recording
from trained_cases import DOORS, MODULES
from web import serving

import kinbench
from kinbench import leaderboards, plugins, prediction, provenance, results, store, windows
from kinbench.contracts import WeightsCard, WeightsFile
from kinbench.errors import DataError, KinbenchError, NotApplicable, UsageError
from kinbench.leaderboards.selection import model_identity
from kinbench.provenance import origin_of, split
from kinbench.recording import Key
from kinbench.runner import plan, run

TASKS = {TASK.name: TASK}


@pytest.fixture
def log(tmp_path, monkeypatch):
    path = tmp_path / "log.txt"
    monkeypatch.setenv("TOY_LOG", str(path))
    return lambda: path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def space(tmp_path, install, log):
    install("toy", DOORS, MODULES)
    return tmp_path


@pytest.fixture
def lab(space):
    return laboratory(space, "lab", seconds=16.0)


@pytest.fixture
def elsewhere(space):
    return laboratory(space, "elsewhere", ("P1", "P2"), seconds=16.0)


@pytest.fixture
def weights(space, elsewhere):
    """Weights of nobody in ``lab``."""
    return train(space, [elsewhere], "w").folder


def train(space, labs, name, selector="steady", **how):
    return prediction.train(labs, TASK, selector, space / name, cache=space / "cache", **how)


def planned(space, stores, protocols, models, *, folder="results", seeds=(0,)):
    named = {protocol.card.name: protocol for protocol in protocols}
    return plan(stores, named, TASKS, models, seeds=seeds, results=space / folder, cache=space / "cache")


def scored(space, stores, models, **how):
    return run(planned(space, stores, [UG], models, **how)).made


def of(space, folder):
    return origin_of(folder, cache=space / "cache")


def renamed(folder, original, name, subject):
    """A store with the very samples of another recording, under a name of its own."""
    one = original
    attrs = {**one.attrs, "dataset": name, "subject": subject, "person": f"{name}/{subject}"}
    other = replace(one, key=Key(name, subject, "1", "walk"), attrs=attrs)
    with store.create(folder / f"{name}.zarr", dataset=name, card={"name": name, "licence": "CC0-1.0"}) as writer:
        writer.write(other)
    return store.open(folder / f"{name}.zarr")


# --- selectors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("ridge", ("ridge", None)), ("ridge@w", ("ridge", "w")), ("a[b=1]@/x/y@2[3]", ("a[b=1]", "/x/y@2[3]")),
        ("a[b=c@d]", ("a[b=c@d]", None)), ("a[b=c@d]@e", ("a[b=c@d]", "e")),
    ],
)  # fmt: skip
def test_a_selector_is_taken_apart_at_its_weights(asked, expected):
    assert split(asked) == expected


@pytest.mark.parametrize("asked", ["@w", "a@", "a[b", "a]b@c"])
def test_what_is_no_selector_is_refused(asked):
    with pytest.raises(UsageError, match="with '@WEIGHTS'"):
        split(asked)


# --- a run that begins from weights ----------------------------------------------------------------------------------


def test_a_result_says_what_its_model_began_from(space, lab, elsewhere, weights, log):
    made = scored(space, [lab], [f"steady@{weights}", "steady"])
    assert all(result.done and result.unranked is None for result in made), made[0].failure
    begun, plain = ([r for r in made if bool(r.model.weights) is wanted] for wanted in (True, False))
    assert len(begun) == len(plain) == 3 and log().count("begin") >= 3
    part = begun[0].model.weights
    assert (begun[0].model.selector, part.name, part.sha256) == ("steady@w", "w", of(space, weights).sha256)
    assert (part.model, part.task, part.stage, part.persons) == ("steady", TASK.name, "fitted", 2)
    assert part.stores == {"elsewhere": elsewhere.digest} and part.simulation is True and part.unknown is None
    assert "the weights 'w' were trained on simulated people" in begun[0].notes
    assert "begun from weights" in begun[0].notes
    assert begun[0].scores != plain[0].scores
    assert results.find(space / "results", begun[0].key) == begun[0]
    board = leaderboards.board(made)
    assert sorted(board.overall["model"]) == ["steady", "steady@w"] and board.overall["rank"].notna().all()


def test_only_weights_change_a_key(space, lab, elsewhere, weights):
    other = train(space, [elsewhere], "other/w", "steady[steps=31]").folder
    plain = planned(space, [lab], [UG], ["steady"]).cells
    began, changed = (planned(space, [lab], [UG], [f"steady@{folder}"]).cells for folder in (weights, other))
    assert set(plain[0].model.identity) == {"name", "settings", "version", "distribution", "distribution_version"}
    assert began[0].model.identity == {**plain[0].model.identity, "weights": of(space, weights).sha256}
    for keys in ({cell.key for cell in (*plain, *began, *changed)}, {c.fit_key for c in (*plain, *began, *changed)}):
        assert len(keys) == 9
    moved = weights.rename(space / "elsewhere-w")
    assert {c.key for c in planned(space, [lab], [UG], [f"steady@{moved}"]).cells} == {c.key for c in began}
    with pytest.raises(UsageError, match="weights other names"):
        moved = moved.rename(space / "w")
        planned(space, [lab], [UG], [f"steady@{moved}", f"steady@{other}"])


def test_weights_that_know_a_test_person_are_refused_by_name(space, lab):
    alone = laboratory(space / "alone", "lab", ("S2",), seconds=12.0)
    folder = train(space, [alone], "knows-s2").folder
    made = scored(space, [lab], [f"steady@{folder}"])
    [refused] = [result for result in made if not result.done]
    assert (refused.fold.test_persons, refused.failure.kind) == (("lab/S2",), "LeakError")
    assert "the weights 'knows-s2' learnt from lab/S2, and person lab/S2 is tested" in refused.failure.sentence
    assert refused.failure.sentence.count("\n") == 0


def test_weights_that_know_a_recording_under_another_name_are_refused(space, lab):
    other = renamed(space, lab.read("lab/S3/1/walk"), "borrowed", "Q7")
    folder = train(space, [other], "borrowed-w").folder
    made = scored(space, [lab], [f"steady@{folder}"])
    [refused] = [result for result in made if not result.done]
    assert refused.fold.test_persons == ("lab/S3",)
    expected = "the weights 'borrowed-w' learnt from borrowed/Q7/1/walk, the same recording as lab/S3/1/walk"
    assert f"{expected}, and person lab/S3 is tested" in refused.failure.sentence


def test_a_recording_is_known_again_by_any_of_its_sensors_and_no_other_is():
    one, other = recording("lab", "S1"), recording("lab", "S2")
    left = one.imu.isel(sensor=[1], time=slice(100, 1900))
    mine = set(windows.sketch_of(one.imu))
    assert mine & set(windows.sketch_of(left))
    assert not mine & set(windows.sketch_of(other.imu))


def test_a_models_own_weights_do_not_stand_in_the_way_of_sums(space, lab, elsewhere, weights):
    additive = [cell.model.additive for cell in planned(space, [lab], [UG], ["ridge"]).cells]
    assert all(additive)
    with pytest.raises(UsageError, match="'ridge' cannot begin from weights: it has no 'begin'"):
        planned(space, [lab], [UG], [f"ridge@{weights}"])


def test_weights_that_cannot_be_had_are_told_before_anything_runs(space, lab, weights):
    empty = space / "empty"
    empty.mkdir()
    foreign = space / "foreign"
    foreign.mkdir()
    (foreign / "norm.pt").write_bytes(b"1")
    for folder, kind, words in (
        (space / "nowhere", UsageError, "is neither"), (empty, UsageError, "empty folder"),
        (foreign, DataError, "expected steady.npz"),
    ):  # fmt: skip
        with pytest.raises(kind, match=words):
            planned(space, [lab], [UG], [f"steady@{folder}"])
    state = weights / "model" / "steady.npz"
    state.write_bytes(state.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"model/steady.npz is not what was written"):
        planned(space, [lab], [UG], [f"steady@{weights}"])


# --- weights of which nobody wrote down the persons ------------------------------------------------------------------


@pytest.fixture
def published(space, weights):
    """What a paper's repository has: files of a network, and no card."""
    folder = space / "published"
    folder.mkdir()
    (weights / "model" / "steady.npz").rename(folder / "steady.npz")
    return folder


def test_weights_without_a_card_never_rank_and_tables_say_why(space, lab, published):
    made = scored(space, [lab], [f"steady@{published}", "steady", "toy-mean"])
    mine = [result for result in made if result.model.weights]
    reason = "nobody wrote down whom the weights 'published' were trained on"
    assert all(result.done and result.model.weights.persons is None for result in mine)
    assert all(reason in result.unranked and any(reason in note for note in result.notes) for result in mine)
    table = leaderboards.board(made).tables[0]
    ranks = table.overall.set_index("model")["rank"]
    assert np.isnan(ranks["steady@published"]) and set(ranks.drop("steady@published")) == {1.0, 2.0}
    assert f"steady@published is not ranked: {reason}" in table.caption


def test_what_goes_on_from_unknown_weights_is_unknown_too(space, lab, elsewhere, published):
    origin = of(space, published)
    with pytest.raises(UsageError, match="--model"):
        prediction.finetune([elsewhere], TASK, origin, space / "tuned", cache=space / "cache")
    tuned = prediction.finetune([elsewhere], TASK, origin, space / "tuned", selector="steady", cache=space / "cache")
    assert tuned.unknown == "published" and tuned.seen == {"elsewhere/P1", "elsewhere/P2"}
    [result, *_] = scored(space, [lab], [f"steady@{tuned.folder}"])
    assert result.done and "'published'" in result.unranked
    done = prediction.predict(lab, tuned, space / "angles", format="csv")
    assert any("'published'" in note and "may know these people" in note for note in done.notes)


# --- training that is stopped ----------------------------------------------------------------------------------------

SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = {paths!r}
from runner_cases import TASK, UG
from kinbench import store
from kinbench.runner import plan, run

if __name__ == "__main__":
    space = Path({space!r})
    lab = store.open(space / "lab.zarr")
    run(plan([lab], {{"toy-ug": UG}}, {{"toy-knee": TASK}}, ["steady"], seeds=(0,), results=space / "killed",
             cache=space / "cache"))
"""


def test_a_killed_run_goes_on_where_its_training_stopped(space, lab, log):
    whole = scored(space, [lab], ["steady"], folder="whole")
    script, before = space / "script.py", len(log())
    script.write_text(SCRIPT.format(paths=[str(Path(__file__).parent), str(space / "site-packages")], space=str(space)))
    killed = subprocess.run([sys.executable, str(script)], env={**os.environ, "TOY_KILL_AT": "17"}, check=False)
    assert killed.returncode == -9
    [progress] = (space / "killed" / "models").glob("*.progress")
    assert progress.name == f"{whole[0].fit_key}.progress"
    again = scored(space, [lab], ["steady"], folder="killed")
    assert [line for line in log()[before:] if line.startswith("descend")] == [
        "descend from 0", "descend from 18", "descend from 0", "descend from 0"
    ]  # fmt: skip
    assert not list((space / "killed" / "models").glob("*.progress"))
    assert [r.predictions for r in again] == [r.predictions for r in whole]


def test_adapting_is_told_where_to_keep_its_progress_and_leaves_none(space, lab, log):
    assert not run(planned(space, [lab], [UA], ["steady"])).failed
    assert log().count("adapt kept") == 3
    assert not list((space / "results" / "models").glob("*.progress"))


def test_train_goes_on_from_what_it_left_beside_its_folder(space, elsewhere, log, monkeypatch):
    def stop(done, total, label):
        if label == "steps" and done == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(space, [elsewhere], "w", on_progress=stop)
    assert [path.suffix for path in space.glob(".w.*")] == [".progress"]
    done = train(space, [elsewhere], "w")
    assert log()[-1] == "descend from 11" and not list(space.glob(".w.*"))
    np.testing.assert_array_equal(done.model.weights, train(space, [elsewhere], "again").model.weights)


def test_a_run_tells_how_far_a_training_is(space, lab):
    told = []
    run(planned(space, [lab], [UG], ["steady"]), on_progress=lambda *what: told.append(what))
    assert (0, 3, "steps 7 of 30") in told and (2, 3, "steps 30 of 30") in told


def test_a_device_that_is_not_there_is_refused_before_a_fit(space, lab, elsewhere, log):
    with pytest.raises(UsageError, match="no cuda here"):
        run(planned(space, [lab], [UG], ["steady", "toy-mean"]), device="cuda")
    assert not (space / "results").exists()
    with pytest.raises(UsageError, match="no cuda here"):
        train(space, [elsewhere], "w", device="cuda")
    assert not log()
    made = run(planned(space, [lab], [UG], ["toy-mean"]), device="cuda").made  # nothing of it asks for a device
    assert {result.environment["device"] for result in made} == {"cpu"}


# --- learning from inputs alone --------------------------------------------------------------------------------------


def pretrain(space, labs, name, **how):
    return prediction.pretrain(labs, TASK, "steady", space / name, cache=space / "cache", **how)


def without_reference(folder, name, subjects):
    with store.create(folder / f"{name}.zarr", dataset=name, card={"name": name, "licence": "CC-BY-4.0"}) as writer:
        for subject in subjects:
            writer.write(replace(recording(name, subject, seconds=16.0), reference=None))
    return store.open(folder / f"{name}.zarr")


def test_pretraining_needs_no_reference_and_its_card_names_everybody(space, elsewhere, log):
    bare = without_reference(space, "bare", ("B1", "B2", "B3"))
    card = pretrain(space, [bare, elsewhere], "encoder", seed=5)
    assert json.loads((space / "encoder" / "card.json").read_text())["files"]["model/steady.npz"]
    persons = card["persons"]
    everybody = {"bare/B1", "bare/B2", "bare/B3", "elsewhere/P1", "elsewhere/P2"}
    assert set(persons["pre-training"]) | set(persons["validation"]) == everybody
    assert len(persons["validation"]) == 1 and not set(persons["pre-training"]) & set(persons["validation"])
    assert (card["stage"], card["seed"], card["simulation"]) == ("pre-trained", 5, True)
    assert [(part["name"], part["licence"]) for part in card["stores"]] == [
        ("bare", "CC-BY-4.0"), ("elsewhere", "unknown")
    ]  # fmt: skip
    windows_in = card["windows"]
    assert log() == [f"pretrain {windows_in['pre-training']} {windows_in['validation']} alike"]
    assert windows_in["pre-training"] > 2 * windows_in["validation"] > 0
    with pytest.raises(UsageError, match="never fitted"):
        prediction.open_weights(space / "encoder")


def test_whoever_pretraining_saw_is_refused_in_a_test_through_finetuning_too(space, lab, elsewhere):
    known = without_reference(space / "apart", "lab", ("S1",))
    pretrain(space, [known, elsewhere], "encoder")
    tuned = prediction.finetune([elsewhere], TASK, of(space, space / "encoder"), space / "tuned", cache=space / "cache")
    assert tuned.card["began_from"]["name"] == "encoder" and "lab/S1" in tuned.seen
    assert tuned.selector == "steady" and "begun from weights" in tuned.card["model"]["notes"]
    for folder in ("encoder", "tuned"):
        made = scored(space, [lab], [f"steady@{space / folder}"], folder=f"results-{folder}")
        assert [result.fold.name for result in made if not result.done] == ["lab/S1"]
        assert f"the weights '{folder}' learnt from lab/S1" in made[0].failure.sentence


@pytest.mark.parametrize(
    ("made", "asked", "expected"),
    [
        ("tuned", None, "tuned[tune=all]"),
        ("tuned[steps=20,tune=none]", None, "tuned[steps=20,tune=all]"),  # how they came to be asks for nothing now
        ("tuned", "tuned[tune=none]", "tuned[tune=none]"),
        ("steady", None, "steady"),
    ],
)  # fmt: skip
def test_finetuning_tunes_everything_unless_told_otherwise(made, asked, expected, space, elsewhere, log):
    begun = train(space, [elsewhere], "begun", made)
    tuned = prediction.finetune(
        [elsewhere], TASK, of(space, begun.folder), space / "on", selector=asked, cache=space / "cache"
    )
    assert tuned.selector == tuned.card["model"]["selector"] == expected
    learnt = np.abs(tuned.model.weights - begun.model.weights).max() > 1e-6
    assert learnt == ("none" not in expected)


def test_pretraining_is_refused_where_nothing_can_be_learnt(space, elsewhere):
    with pytest.raises(UsageError, match="'ridge' learns nothing from inputs alone"):
        prediction.pretrain([elsewhere], TASK, "ridge", space / "w", cache=space / "cache")
    other = replace(TASK, segments=("thigh",))
    with pytest.raises(NotApplicable, match="No input feeds"):
        prediction.pretrain([elsewhere], other, "steady", space / "w", cache=space / "cache")
    assert not (space / "w").exists()


def test_stores_are_drawn_by_how_much_their_inputs_look_like_anothers(space, log):
    near = without_reference(space, "near", ("N1", "N2", "N3", "N4"))
    with store.create(space / "far.zarr", dataset="far", card={"name": "far"}) as writer:
        for subject in ("F1", "F2"):
            one = recording("far", subject, seconds=16.0)
            writer.write(replace(one, imu=one.imu.assign(gyr=one.imu["gyr"].copy(data=one.imu["gyr"].values * 0.2))))
    far, target = store.open(space / "far.zarr"), laboratory(space, "target", ("T1", "T2"), seconds=16.0)
    card = pretrain(space, [near, far], "encoder", like=target)
    like = card["like"]
    assert like["store"] == "target" and sum(like["share"].values()) == pytest.approx(1.0)
    assert like["distance_db"]["far"] > like["distance_db"]["near"] + 8  # a fifth of the amplitude is 14 dB
    assert like["share"]["near"] > 2 * like["share"]["far"]
    assert log()[-1].endswith("weighted")


@pytest.mark.parametrize("renamed_since", [False, True])
def test_weights_that_were_drawn_by_the_tested_inputs_never_rank(space, lab, elsewhere, renamed_since):
    folder = Path(pretrain(space, [elsewhere], "encoder", like=lab)["folder"])
    if renamed_since:  # the store had another name then: it is known by what it holds
        card = json.loads((folder / "card.json").read_text())
        card["like"]["store"] = "another"
        (folder / "card.json").write_text(json.dumps(card))
    other = laboratory(space, "other", seconds=16.0)
    made = scored(space, [lab, other], [f"steady@{folder}", "toy-mean"])
    liked = [one for one in made if one.model.weights and one.fold.test_dataset == "lab"]
    reason = "pre-training of the weights 'encoder' drew by the inputs of 'lab', which is tested here"
    assert liked and all(reason in one.unranked and one.unranked.endswith("hands out none of them") for one in liked)
    assert all(any(f"{one.unranked}: this result never ranks" == note for note in one.notes) for one in liked)
    assert all(one.unranked is None for one in made if one not in liked), "elsewhere they rank"
    table = next(table for table in leaderboards.board(made) if table.dataset == "lab")
    ranks = table.overall.set_index("model")["rank"]
    assert np.isnan(ranks["steady@encoder"]) and ranks["toy-mean"] == 1.0
    assert f"steady@encoder is not ranked: {reason}" in table.caption
    handed = liked[0].model_copy(update={"protocol": liked[0].protocol.model_copy(update={"normalises": True})})
    assert handed.unranked is None, "a protocol may hand these inputs out"


def test_results_of_before_know_whom_weights_were_to_look_like(space, lab, elsewhere):
    folder = Path(pretrain(space, [elsewhere], "encoder", like=lab)["folder"])
    [result, *_] = scored(space, [lab], [f"steady@{folder}"])
    plain = json.loads(results.to_json(result))
    del plain["model"]["weights"]["liked"], plain["model"]["files"]
    old = results.from_json(json.dumps(plain))
    assert old.model.weights.like == "lab" and old.unranked == result.unranked
    leaderboards.board([old, *scored(space, [lab], ["toy-mean"])])
    assert model_identity(old) == model_identity(result)


def test_the_draws_of_each_store_add_up_to_its_share(space):
    from kinbench.prediction.pretraining import _pooled

    parts = [windows.inputs(laboratory(space, name, subjects, seconds=16.0), TASK, cache=space / "cache")
             for name, subjects in (("big", ("A", "B", "C")), ("small", ("D",)))]  # fmt: skip
    alike = prediction.similarity(parts, parts[1])
    pooled = _pooled(parts, ["big/A", "big/B", "big/C", "small/D"], alike)
    counts = [len(part) for part in parts]
    drawn = np.array([pooled.weight[: counts[0]].sum(), pooled.weight[counts[0] :].sum()]) / pooled.weight.sum()
    np.testing.assert_allclose(drawn, [alike.share["big"], alike.share["small"]], rtol=1e-5)
    assert pooled.weight.mean() == pytest.approx(1.0, rel=1e-5) and alike.distance_db["small"] == 0.0


# --- weights that somebody offers ------------------------------------------------------------------------------------


@pytest.fixture
def offer(space, weights, install):
    """Offer ``weights`` by the name 'knee-demo': the card shipped, the model's file at ``url`` or shipped too."""

    def offer(url="", **changes):
        package = space / "site-packages" / "knee_weights"
        package.mkdir(exist_ok=True)
        (package / "__init__.py").write_text("")
        (package / "card.json").write_bytes((weights / "card.json").read_bytes())
        (package / "steady.npz").write_bytes((weights / "model" / "steady.npz").read_bytes())
        sha = {name: hashlib.sha256((package / name).read_bytes()).hexdigest() for name in ("card.json", "steady.npz")}
        there = {"url": url} if url else {"packaged": "knee_weights:steady.npz"}
        card = WeightsCard(
            name="knee-demo", version="2", title="Knee", description="For tests.", model="steady", task=TASK.name,
            licence="CC0-1.0", persons=("elsewhere/P1", "elsewhere/P2"), files=(
                WeightsFile("card.json", sha["card.json"], packaged="knee_weights:card.json"),
                WeightsFile("model/steady.npz", changes.get("sha256", sha["steady.npz"]), **there),
            ),
        )  # fmt: skip
        install("knee-weights", [("kinbench.weights", "knee-demo = knee_offer:CARD")], {
            "knee_offer": f"from kinbench.contracts import WeightsCard, WeightsFile\nCARD = {card!r}\n"
        })  # fmt: skip

    return offer


def test_shipped_weights_are_here_without_fetching(space, lab, offer):
    offer()
    row = _offered(space)
    assert (row.folder, row.to_json()["shipped"]) == (None, True)
    [result, *_] = scored(space, [lab], ["steady@knee-demo"])
    assert result.done and result.model.selector == "steady@knee-demo" and result.model.weights.persons == 2
    assert _offered(space).folder == space / "cache" / "weights" / "knee-demo-2"


def _offered(space):
    """What is told of the weights that a test offers, among those that ship."""
    return next(row for row in provenance.available(cache=space / "cache") if row.card.name == "knee-demo")


def test_offered_weights_are_fetched_once_asked_for_and_checked(space, lab, weights, offer):
    with serving() as server:
        server.content = (weights / "model" / "steady.npz").read_bytes()
        offer(server.url())
        with pytest.raises(UsageError, match="kinbench weights fetch knee-demo"):
            planned(space, [lab], [UG], ["steady@knee-demo"])
        assert not server.asked
        folder = provenance.fetch("knee-demo", cache=space / "cache")
        assert provenance.fetch("knee-demo", cache=space / "cache") == folder and len(server.asked) == 1
    assert planned(space, [lab], [UG], ["steady@knee-demo"]).cells
    assert prediction.open_weights(folder).selector == "steady"


def test_offered_weights_that_are_others_are_refused(space, offer):
    offer(sha256="0" * 64)
    with pytest.raises(DataError, match="expected sha256 0000"):
        provenance.fetch("knee-demo", cache=space / "cache")


def test_a_name_that_nobody_offers_is_refused_with_the_closest(space, offer):
    offer()
    with pytest.raises(UsageError, match="Did you mean 'knee-demo'"):
        of(space, "knee-dem")
    with pytest.raises(UsageError, match="Did you mean 'knee-demo'"):
        provenance.fetch("knee-dem", cache=space / "cache")


def test_what_is_no_card_of_weights_is_told_as_the_packages_fault(space, install):
    install("odd", [("kinbench.weights", "odd = odd_offer:CARD")], {"odd_offer": "CARD = 3"})
    with pytest.raises(KinbenchError, match=r"'odd' of odd 1\.0 are no WeightsCard"):
        provenance.available(cache=space / "cache")


# --- from the command line -------------------------------------------------------------------------------------------


@pytest.fixture
def call(call, space, monkeypatch):
    monkeypatch.chdir(space)
    monkeypatch.setenv("KINBENCH_DATA", str(space))
    return call


def test_pretrain_finetune_run_and_predict_in_a_row(call, space, lab, elsewhere, offer):
    code, shown, told = call("pretrain", "elsewhere", "-t", "toy-knee", "-m", "steady", "--to", "enc", "--like", "lab")
    assert code == 0, told
    assert "pre-trained on" in shown and "100.0 % of the draws" in shown
    code, shown, told = call("finetune", "enc", "elsewhere", "-t", "toy-knee", "--to", "tuned", "--json")
    assert code == 0, told
    assert json.loads(shown)["began_from"]["name"] == "enc"
    chosen = ("run", "-p", "toy-ug", "-t", "toy-knee", "-d", "lab", "--seed", "0")
    code, shown, told = call(*chosen, "-m", "steady", "--weights", "tuned", "--device", "cpu")
    assert (code, shown) == (0, "3 scored, 0 failed, 0 done before\n"), told
    code, shown, told = call(*chosen, "-m", "steady@tuned", "--dry-run", "--json")
    assert {cell["done"] for cell in json.loads(shown)["cells"]} == {True}
    [result, *_] = results.read(space / "results")
    assert "pre-training drew its stores by how much their inputs look like those of lab" in result.notes
    assert call("predict", "lab", "--weights", "tuned", "--to", "angles", "--format", "csv")[0] == 0
    assert call("predict", "lab", "--weights", "enc", "--to", "more", "--format", "csv")[0] == 2
    for wrong, words in (
        (("-m", "steady", "-m", "ridge", "--weights", "tuned"), "goes with one --model"),
        (("--weights", "tuned"), "goes with --model"), (("-m", "steady", "--device", "tpu"), "no device 'tpu'"),
    ):  # fmt: skip
        code, shown, told = call(*chosen, *wrong)
        assert code == 2 and words in told and "to run" not in told, "refused before a plan is told"
    offer()
    code, shown, _ = call("weights", "list", "--json")
    assert code == 0
    assert sorted(row["name"] for row in json.loads(shown)) == sorted({"knee-demo", *plugins.find("weights")})
    assert "CC0-1.0" in call("weights", "list")[1]
    code, shown, _ = call("weights", "fetch", "knee-demo")
    assert code == 0 and Path(shown.strip(), "card.json").is_file()
    assert kinbench.weights(data=space)[0].folder == Path(shown.strip())
    assert call("predict", "lab", "--weights", "knee-demo", "--to", "other", "--format", "csv")[0] == 0
    assert "weights knee-demo" in call("info", "knee-demo")[1] and "knee-demo" in call("list", "weights")[1]
