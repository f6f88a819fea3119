"""The command line as a person meets it: light to start, one sentence an error, the exit code of the house rules."""

import json
import shutil
import subprocess
import sys

import pytest
from conftest import needs_shared
from walking_cases import walk

import kinbench
from kinbench import store

COMMANDS = ("demo", "data", "convert", "inspect", "validate", "run", "leaderboard", "list", "info", "export",
            "train", "predict")  # fmt: skip
HEAVY = ("torch", "zarr", "xarray", "pandas", "numpy", "scipy", "pooch", "requests", "matplotlib", "jinja2")


def loaded_by(*arguments):
    code = (
        "import sys\nsys.argv = ['kinbench', *sys.argv[1:]]\nfrom kinbench.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print('LOADED', *[name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.rsplit("LOADED", 1)[1].split()


@pytest.mark.parametrize("arguments", [(), ("--help",), ("--version",), ("run", "--help"), ("demo", "--help")])
def test_help_loads_nothing_heavy(arguments):
    assert loaded_by(*arguments) == []


def test_the_package_can_be_run():
    done = subprocess.run([sys.executable, "-m", "kinbench", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == kinbench.__version__


def test_import_loads_nothing_heavy():
    code = f"import sys, kinbench; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_example_json_and_quiet(call, command):
    code, shown, _ = call(command, "--help")
    assert code == 0
    assert f"Example: kinbench {command}" in shown
    assert "--json" in shown
    assert "--quiet" in shown


def test_the_python_doors_are_those_of_the_command_line():
    doors = {
        "compare",
        "convert",
        "data",
        "info",
        "inspect",
        "leaderboard",
        "open",
        "page",
        "rescore",
        "run",
        "validate",
    }
    assert doors <= set(dir(kinbench))
    for name in set(dir(kinbench)) - {"__version__"}:
        assert callable(getattr(kinbench, name)), "a submodule of that name hides the function"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = kinbench.nothing


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("convert", "opensense", "nowhere"), 2, ("folder", "nowhere")),
        (("convert", "opnsense", "."), 2, ("no adapter 'opnsense'", "Did you mean 'opensense'?")),
        (("convert", "opensense", "."), 1, ("expected", "IMU")),
        (("convert", "lab", "."), 2, ("kinbench.yaml",)),
        (("validate", "nothing"), 2, ("no dataset 'nothing'",)),
        (("validate", "nothing", "--html", "report.pdf"), 2, ("--html", "report.html", "report.pdf")),
        (("inspect", "nowhere"), 2, ("folder", "nowhere")),
        (("inspect", ".", "--adapter", "amass"), 2, ("amass", "cannot propose")),
        (("inspect", ".", "--adapter", "lob"), 2, ("Did you mean 'lab'?",)),
        (("inspect", "."), 1, ()),
        (("info", "amass", "--schema"), 2, ("reads no manifest", "lab")),
        (("run",), 2, ("no datasets", "kinbench convert")),
        (("leaderboard",), 2, ("no results folder", "kinbench run")),
        (("list", "modles"), 2, ("Did you mean 'models'?",)),
        (("info", "knee-pear"), 2, ("Did you mean 'knee-pair'?",)),
        (("run", "--limit", "0"), 2, ("--limit",)),
        (("rum",), 2, ("rum",)),
        (("leaderboard", "--results", "/proc/version"), 2, ("no results folder",)),
        (("run", "--seed", "-1", "--data", "/proc"), 2, ()),
    ],
)
def test_bad_input_is_one_sentence_and_an_exit_code(call, tmp_path, arguments, code, words):
    found, shown, told = call(*arguments)
    assert found == code, told
    assert shown == ""
    for word in words:
        assert word in told
    assert "Traceback" not in told
    assert not list(tmp_path.iterdir()), "something was left behind"


def test_a_fault_of_ours_is_told_as_such(call, monkeypatch):
    monkeypatch.setattr("kinbench.api.listing", lambda *_, **__: 1 / 0)
    code, _, told = call("list")
    assert code == 1
    assert "fault in kinbench" in told
    assert "KINBENCH_TRACEBACK" in told
    monkeypatch.setenv("KINBENCH_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        call("list")


def test_list_names_ours_and_whose_they_are(call):
    code, shown, _ = call("list", "models")
    assert code == 0
    assert {"ridge", "mean-pose", "hur2025-cnn", "hur2025-cnn-code", "hur2025-lstm"} <= set(shown.split())
    assert f"kinbench {kinbench.__version__}" in shown
    assert set(json.loads(call("list", "--json")[1])) >= {"datasets", "models", "protocols", "tasks", "adapters"}


def test_list_tells_what_a_protocol_is_for(call):
    rows = {row["name"]: row for row in json.loads(call("list", "protocols", "--json")[1])["protocols"]}
    assert {rows[name]["use"] for name in ("ui", "ug", "ua", "cross-dataset", "ug-self-normalised")} == {"ranks"}
    assert {rows[name]["use"] for name in ("few-shot", "placement-stress", "sim-to-real")} == {"study"}
    assert {rows[name]["use"] for name in ("five-fold", "split-rapp2021")} == {"by name"}
    shown = call("list", "protocols")[1]
    for row in rows.values():
        assert row["title"] and row["title"] in shown and row["object"] not in shown


def test_a_protocol_that_cannot_be_loaded_is_listed_as_such(call, install):
    install("stranger", [("kinbench.protocols", "ux = not_there:UX")], {})
    code, shown, _ = call("list", "protocols")
    assert code == 0
    assert "cannot be loaded: see 'kinbench info ux'" in shown
    assert "few-shot" in shown


@pytest.mark.parametrize("name", ["opensense", "lab", "knee-pair", "ug", "ridge", "cohort"])
def test_info_tells_what_a_plugin_is(call, name):
    code, shown, _ = call("info", name)
    assert code == 0
    assert "from: kinbench" in shown
    assert json.loads(call("info", name, "--json")[1])[0]["name"] == name


@needs_shared
def test_convert_validate_info_on_a_real_folder(call, shared):
    code, shown, _ = call("convert", "opensense", shared / "opensense" / "example")
    assert (code, shown.strip()) == (0, "1 of 1 recordings converted into data/opensense.zarr")
    report = json.loads(call("validate", "opensense", "--json")[1])
    assert report["ok"] is True
    shown = call("info", "opensense")[1]
    assert "dataset opensense" in shown
    assert "adapter opensense" in shown


@needs_shared
def test_in_a_folder_of_many_a_bad_recording_fails_alone(call, shared, tmp_path):
    raw = tmp_path / "raw"
    for subject in ("Subject01", "Subject02"):
        imu = raw / subject / "walking" / "IMU"
        shutil.copytree(shared / "opensense" / "example" / "IMUData", imu / "xsens" / "LowerExtremity")
        shutil.copy(shared / "opensense" / "example" / "myIMUMappings.xml", imu / "myIMUMappings_walking.xml")
    victim = next((raw / "Subject01" / "walking" / "IMU" / "xsens" / "LowerExtremity").glob("*.txt"))
    victim.write_bytes(victim.read_bytes()[:-40])
    code, shown, told = call("convert", "opensense", raw, "--data", "out")
    assert code == 1
    assert shown.startswith("1 of 2 recordings converted")
    assert victim.name in told
    assert "Subject01" in told
    table = json.loads(call("convert", "opensense", raw, "--data", "out", "--json")[1])["recordings"]
    assert [row["status"] for row in table] == ["failed", "converted"]
    assert len(kinbench.open("out/opensense.zarr").keys()) == 1


@needs_shared
def test_a_folder_of_bad_recordings_leaves_no_store(call, shared, tmp_path):
    raw = tmp_path / "raw"
    shutil.copytree(shared / "opensense" / "example" / "IMUData", raw / "IMUData")
    shutil.copy(shared / "opensense" / "example" / "myIMUMappings.xml", raw)
    next((raw / "IMUData").glob("*.txt")).unlink()
    code, _, told = call("convert", "opensense", raw)
    assert code == 1
    assert "is mapped, but its file is absent" in told
    assert not (tmp_path / "data").exists()


# --- inspect ---------------------------------------------------------------------------------------------------------

PROPOSER = """
from pathlib import Path

from kinbench.contracts import DatasetCard, Guess, Proposal
from kinbench.errors import DataError


class Guesser:
    version = "1"
    card = DatasetCard("guesser", "t", "1", "d", "l", False, "a", "c")

    def find(self, raw):
        raise DataError("reads nothing")

    def propose(self, raw: Path, *, to=None, on_progress=None) -> Proposal:
        asked = raw / "asked.txt"
        if not (raw / "guess.me").is_file():
            raise DataError("no guess.me")
        guesses = [
            Guess("imu.acc.unit", "m s-2", "known", 1.0, "9.81 at rest"),
            Guess("dataset.name", "<script>" + chr(27) + "[31m", "guessed", 0.5, "the folder's name, =cmd"),
        ]
        if not asked.is_file():
            guesses.append(Guess("imu.sensors.T.segment", None, "open", 0.0, "is it the right or the left thigh?"))
        return Proposal("dataset: guessed\\n", tuple(guesses))


class Rival(Guesser):
    pass
"""


@pytest.fixture
def guesser(install, tmp_path):
    """An adapter of somebody else's that can propose, and a folder that it knows."""
    install("guesser", [("kinbench.adapters", "guesser = guessing:Guesser")], {"guessing": PROPOSER})
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "guess.me").touch()
    return raw


def test_inspect_tells_every_field_and_asks_what_is_open(call, guesser):
    code, shown, _ = call("inspect", guesser)
    assert code == 1, "a question is open"
    assert shown.split()[:5] == ["field", "value", "verdict", "confidence", "evidence"]
    assert "imu.acc.unit" in shown and "9.81 at rest" in shown
    assert "open questions" in shown and "right or the left thigh?" in shown
    assert shown.strip().endswith("1 known, 1 guessed, 1 open")
    assert "\x1b" not in shown, "no name steers the terminal"


def test_inspect_exits_0_where_nothing_is_open_and_is_json_for_machines(call, guesser):
    (guesser / "asked.txt").touch()
    code, shown, _ = call("inspect", guesser, "--json")
    told = json.loads(shown)
    assert (code, told["complete"]) == (0, True)
    assert told["manifest"] == "dataset: guessed\n"
    assert {field["verdict"] for field in told["fields"]} == {"known", "guessed"}


def test_inspect_writes_only_what_is_asked_and_replaces_nothing(call, guesser, tmp_path):
    manifest = tmp_path / "kinbench.yaml"
    call("inspect", guesser)
    assert not manifest.exists()
    code, _, told = call("inspect", guesser, "--to", manifest)
    assert (code, manifest.read_text()) == (1, "dataset: guessed\n")
    assert f"wrote {manifest}" in told
    manifest.write_text("mine")
    code, shown, told = call("inspect", guesser, "--to", manifest)
    assert (code, shown, manifest.read_text()) == (2, "", "mine")
    assert "--force" in told
    call("inspect", guesser, "--to", manifest, "--force")
    assert manifest.read_text() == "dataset: guessed\n"


def test_inspect_prints_a_page(call, guesser, tmp_path):
    call("inspect", guesser, "--html", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "Proposed manifest for raw" in page
    assert "<script" not in page


def test_two_that_propose_are_not_chosen_between(call, guesser, install):
    install("rival", [("kinbench.adapters", "rival = guessing:Rival")], {})
    code, shown, told = call("inspect", guesser)
    assert (code, shown) == (2, "")
    assert "guesser and rival" in told
    assert call("inspect", guesser, "--adapter", "rival")[0] == 1


def test_a_broken_adapter_keeps_nobody_from_proposing(call, guesser, install):
    install("broken", [("kinbench.adapters", "broken = wreck:Wreck")], {"wreck": "raise ImportError('gone')"})
    assert "9.81 at rest" in call("inspect", guesser)[1]


def test_without_matplotlib_a_page_is_refused_before_anything_is_read(call, guesser, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, shown, told = call("inspect", guesser, "--html", "page.html")
    assert (code, shown) == (2, "")
    assert "pip install 'kinbench[pages]'" in told


def test_info_says_where_the_grammar_of_a_manifest_is(call):
    assert "kinbench info lab --schema" in call("info", "lab")[1]
    code, shown, _ = call("info", "lab", "--schema")
    assert code == 0
    assert "json-schema.org" in json.loads(shown)["$schema"]


def test_validate_against_another_store_prints_both_and_a_page(call, tmp_path):
    for name, mount in (("ours", 0), ("theirs", 1)):
        with store.create(tmp_path / "data" / f"{name}.zarr", dataset=name, card={"name": name}) as writer:
            writer.write(walk(dataset=name, mount=mount, length_s=14.0, segments=("shank_r",), reference=False))
    code, shown, told = call("validate", "ours", "--against", "theirs", "--html", "page.html")
    assert code == 0, shown
    assert "ours: 1 of 1 recordings compared, strides by shank gyro" in shown
    assert "shank_r  gyr  z" in shown
    assert "wrote page.html" in told
    page = (tmp_path / "page.html").read_text()
    assert "ours against theirs" in page
    told = json.loads(call("validate", "ours", "--against", "theirs", "--json")[1])
    assert (told["ok"], told["against"]["other"]["name"]) == (True, "theirs")
    assert "against" not in json.loads(call("validate", "ours", "--json")[1])


def test_a_name_is_the_stores_where_the_raw_folder_is_called_the_same(call, tmp_path):
    (tmp_path / "ours").mkdir()
    with store.create(tmp_path / "data" / "ours.zarr", dataset="ours", card={"name": "ours"}) as writer:
        writer.write(walk(dataset="ours", mount=0, length_s=8.0, segments=("shank_r",), reference=False))
    code, shown, _ = call("validate", "ours", "-q")
    assert code == 0 and "ours: 1 recordings" in shown
