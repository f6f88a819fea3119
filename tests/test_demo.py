"""The main job as a stranger does it: a wheel, no checkout, no network, from raw files to a leaderboard."""

import json
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from kinbench import plugins, results
from kinbench.leaderboards import frame
from kinbench.statistics import paired_difference

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


LINES = """
import contextlib, io, json, shlex, sys
from kinbench.cli import main

told = []
for line in json.loads(sys.argv[1]):
    sys.argv = shlex.split(line)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main()
        except SystemExit as end:
            if end.code:
                sys.exit(f"{line}: exit {end.code}; printed {out.getvalue()}")
    told.append(out.getvalue())
print(json.dumps(told))
"""
"""Runs lines of the shell in one process, since starting one costs more than most lines do."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from the checkout without reaching for the network."""
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def stranger(wheel, tmp_path_factory):
    """A fresh environment that holds the wheel; stranger(*lines) runs its kinbench in an empty folder, line by line,
    in one process, and returns what each line printed.

    The dependencies are lent by this environment through a path file, which does not activate an editable install.
    """
    home = tmp_path_factory.mktemp("stranger")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home / "venv")], check=True)
    python = home / "venv" / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home / "venv"), "platbase": str(home / "venv")}))
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        "--target",
        str(site),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def run(*lines):
        command = [str(python), "-W", "error", "-c", LINES, json.dumps(lines)]
        done = subprocess.run(command, cwd=home, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    where = subprocess.run(
        [str(python), "-c", "import kinbench, kinbench_adapters; print(kinbench.__file__, kinbench_adapters.__file__)"],
        cwd=home, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert all(Path(path).is_relative_to(site) for path in where.stdout.split())
    run.home = home
    return run


@pytest.fixture(scope="module")
def demo(stranger):
    """The short tour, run once from the wheel."""
    (shown,) = stranger("kinbench demo --workers 2")
    return shown, stranger.home / "kinbench-demo"


def test_the_wheel_ships_the_engine_and_its_plugins_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"kinbench", "kinbench_adapters", "kinbench_benchmarks", f"{wheel.name.rsplit('-', 3)[0]}.dist-info"}
    trained = {name.rpartition("/")[0] for name in names if name.endswith(("card.json", ".safetensors"))}
    assert {"simulated-knee-cnn", "simulated-gait-ssl"} <= {name.split("/")[2] for name in trained}
    metadata = zipfile.ZipFile(wheel).read(next(name for name in names if name.endswith("METADATA"))).decode()
    assert "License-Expression: Apache-2.0" in metadata


def test_the_demo_ends_with_a_leaderboard_for_people_and_for_machines(demo):
    shown, folder = demo
    for word in ("SIMULATION", "ui", "ug", "ua", "cross-dataset", "mean-pose", "ridge", "hur2025-cnn", "RMSE"):
        assert word in shown
    assert (folder / "leaderboard" / "leaderboard.md").read_text(encoding="utf-8")
    found = results.read(folder / "results")
    assert found
    assert all(result.done and result.simulation for result in found)
    assert {result.protocol.name for result in found} == {"ui", "ug", "ua", "cross-dataset"}


@pytest.mark.parametrize("model", ["ridge", "hur2025-cnn"])
def test_on_the_demo_a_stranger_is_harder_than_a_known_person(demo, model):
    """People differ, so what was learnt of others fits worse; mean pose is the floor of every trained model."""
    scores = frame(results.read(demo[1] / "results"))
    scores = scores[(scores["metric"] == "rmse") & (scores["view"] == "test")]
    by_person = scores.groupby(["protocol", "model", "person"])["value"].mean()
    ug = by_person["ug", model].to_dict()
    assert len(ug) >= 12
    for easier in ("ua", "ui"):
        assert paired_difference(ug, by_person[easier, model].to_dict()).above_zero
    for protocol in ("ui", "ug", "ua"):
        floor = by_person[protocol, "mean-pose"].to_dict()
        assert paired_difference(floor, by_person[protocol, model].to_dict()).above_zero


def test_the_demo_again_computes_nothing_again(demo, stranger):
    folder = demo[1]
    before = {path: path.stat().st_mtime_ns for path in (folder / "results").glob("*.json")}
    stranger("kinbench demo --workers 1")
    assert {path: path.stat().st_mtime_ns for path in (folder / "results").glob("*.json")} == before


def readme_commands():
    blocks = re.findall(r"```sh kinbench\n(.*?)```", README, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def test_the_readmes_commands_run_as_written(demo, stranger):
    lines = readme_commands()
    assert len(lines) > 10
    for line, shown in zip(lines, stranger(*lines), strict=True):
        assert line.startswith("kinbench ") and shown.strip(), line


def test_the_readmes_python_runs_as_written(demo, stranger):
    block = re.search(r"```python kinbench\n(.*?)```", README, re.DOTALL)[1]
    proof = "\nassert len(scores) and len(board) == 1 and again['equal'].all() and walk.imu.sizes['time']\n"
    command = [str(stranger.home / "venv" / "bin" / "python"), "-W", "error", "-c", block + proof]
    done = subprocess.run(command, cwd=stranger.home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_second_command_is_what_ci_runs():
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv")]
    assert len(commands) == 2
    assert commands[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_command_prints_json_for_a_machine(demo, stranger):
    data, kept = "--data kinbench-demo/data", "--results kinbench-demo/results"
    for shown in stranger(
        f"kinbench list --json {data}",
        "kinbench info ug --json",
        f"kinbench leaderboard --json {kept}",
        f"kinbench run --protocol ug --task knee-pair --model ridge --seed 0 --json {data} {kept}",
    ):
        json.loads(shown)


def test_a_strangers_model_appears_on_the_leaderboard(demo, stranger):
    """One entry-point line in its own package, nothing else (the package is put beside the wheel)."""
    site = next((stranger.home / "venv").glob("lib/*/site-packages"))
    info = site / "strangers_lab-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers-lab\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text(STRANGERS_DOORS)
    (site / "strangers_lab.py").write_text(STRANGERS_CODE)
    data, kept = "--data kinbench-demo/data", "--results strangers-results"
    *kinds, _, of_the_model, _, of_the_protocol, _, datasets = stranger(
        *(f"kinbench list {kind}" for kind in ("models", "adapters", "protocols")),
        f"kinbench run -p ug -t knee-pair -m 'my-guess[deg=20]' --seed 0 {data} {kept}",
        f"kinbench leaderboard {kept}",
        f"kinbench run -p my-first-two -t knee-pair -m mean-pose --seed 0 {data} {kept}",
        f"kinbench leaderboard -p my-first-two {kept}",
        "kinbench convert my-reader kinbench-demo/raw/simulated-b --name mine --data strangers-data",
        "kinbench list datasets --data strangers-data",
    )
    assert all("strangers-lab 2.0" in shown for shown in kinds)
    assert "my-guess[deg=20]" in of_the_model
    assert "ug on the first two people" in of_the_protocol
    assert "mine" in datasets


STRANGERS_DOORS = """
[kinbench.models]
my-guess = strangers_lab:Guess
[kinbench.adapters]
my-reader = strangers_lab:Reader
[kinbench.protocols]
my-first-two = strangers_lab:FIRST_TWO
"""
STRANGERS_CODE = """
import numpy as np
from kinbench.contracts import DatasetCard, ModelCard, RawDataset
from kinbench.plugins import create, get
from kinbench.protocol import ProtocolCard

class Reader:
    card = DatasetCard("mine", "Mine", "1", "The first recording only.", "CC0-1.0", True, "here", "none")
    version = "1"
    def find(self, raw):
        found = create("adapters", "lab").find(raw)
        return RawDataset(found.card, found.sources[:1])

class FirstTwo:
    card = ProtocolCard("my-first-two", 1, "ug on the first two people", "Two folds of ug.", "nothing")
    def folds(self, entries, task):
        return get("protocols", "ug").load().folds(entries, task)[:2]

FIRST_TWO = FirstTwo()

class Guess:
    card = ModelCard(name="my-guess", version="1", title="A guess", description="Always the same angle.")
    def __init__(self, deg=10.0): self.deg = float(deg)
    def fit(self, train, valid, *, seed): self.dofs = len(train.spec.dof_names)
    def predict(self, x): return np.full((*x.shape[:2], self.dofs), self.deg, dtype=np.float32)
"""


def test_every_demo_names_only_what_is_registered():
    for plugin in plugins.find("demos").values():
        recipe = plugin.load().recipe
        assert set(recipe.protocols) <= set(plugins.find("protocols"))
        assert set(recipe.tasks) <= set(plugins.find("tasks"))
        assert set(recipe.models) <= set(plugins.find("models"))
