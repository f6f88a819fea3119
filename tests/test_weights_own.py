"""The weights that ship with kinbench: their cards are true, they run, and the people they saw are refused."""

import pytest
from kinbench_adapters._simulation import Cohort

import kinbench
from kinbench import plugins, provenance
from kinbench.tasks import from_plain

OURS = [name for name, plugin in plugins.find("weights").items() if plugin.distribution == "kinbench"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The demo's two stores, of one person each."""
    folder = tmp_path_factory.mktemp("demo")
    for part in Cohort(people_per_laboratory=1, length_s=30.0).write(folder / "raw"):
        kinbench.convert(part.adapter, part.raw, name=part.name, data=folder / "data")
    return folder / "data"


@pytest.mark.parametrize("name", OURS)
def test_what_is_offered_is_what_the_files_say(name, tmp_path):
    offered = plugins.get("weights", name).load()
    folder = provenance.fetch(name, cache=tmp_path)
    card = provenance.read_card(folder)  # every byte checked against it
    assert offered.name == name and {file.path for file in offered.files} == {"card.json", *card["files"]}
    assert (offered.model, offered.task) == (card["model"]["selector"], card["task"]["name"])
    assert set(offered.persons) == {person for role in card["persons"].values() for person in role}
    assert from_plain(card["task"]["definition"]) == plugins.get("tasks", offered.task).load()
    assert card["simulation"] and offered.title.startswith("SIMULATION") and "SIMULATION" in offered.description
    assert all(person.startswith("simulated-a/") for person in offered.persons)
    command = "pretrain" if card["stage"] == "pre-trained" else "train"
    assert all(f"kinbench {word} " in offered.description.replace(";", " ") for word in ("demo", command))


@pytest.mark.parametrize(
    ("task", "model"),
    [
        ("knee-pair", "hur2025-cnn@simulated-knee-cnn"),
        ("sagittal", "ssl-transformer[width=32,probe_steps=3,tune_steps=3]@simulated-gait-ssl"),
    ],
)
def test_they_run_on_strangers_and_are_refused_on_the_people_they_saw(task, model, data, tmp_path):
    assert model.partition("@")[2] in OURS
    finished = kinbench.execute(kinbench.plan(
        protocols="ui", tasks=task, datasets=("simulated-a", "simulated-b"), models=model, seeds=0, data=data,
        results=tmp_path,
    ))  # fmt: skip
    assert finished.made
    for result in finished.made:
        stranger = result.fold.test_dataset == "simulated-b"
        assert result.done == stranger and result.simulation
        assert stranger or "learnt from simulated-a/Subject01, and person simulated-a/Subject01 is tested" in (
            result.failure.sentence
        )


def test_the_fitted_ones_know_a_strangers_knee_as_they_are(data, tmp_path):
    asked = {"protocols": "ui", "tasks": "knee-pair", "datasets": "simulated-b", "seeds": 0, "data": data}
    models = ("hur2025-cnn@simulated-knee-cnn", "mean-pose")
    made = kinbench.execute(kinbench.plan(models=models, results=tmp_path, **asked)).made
    rmse = {result.model.selector: result.scores[0].values["rmse"] for result in made}
    assert rmse["hur2025-cnn@simulated-knee-cnn"] < 0.8 * rmse["mean-pose"]
    [begun] = [result for result in made if result.model.weights]
    assert any("nothing was fitted" in note for note in begun.notes)
