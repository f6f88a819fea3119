"""A model of one's own in ten minutes: a package is written, installed as pip would, checked and scored."""

import ast
import json
import shutil
import subprocess
import sys
import tomllib
from importlib import invalidate_caches
from pathlib import Path

import pytest
from runner_cases import TASK, laboratory

import kinbench
from kinbench import plugins, scaffolds
from kinbench.errors import UsageError

ROOT = Path(__file__).parent.parent
TOOLS = Path(sys.executable).parent
AWKWARD = ("my-lstm", "network", "path", "none", "batches-2", "x", "a" * 30)


@pytest.fixture
def call(call, tmp_path, monkeypatch):
    """Call the command line in an empty folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return call


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Put a written package on the path with the metadata that 'pip install -e' would make of its pyproject.toml."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    modules = []

    def install(folder, name):
        module = name.replace("-", "_")
        modules.append(module)
        shutil.copytree(folder / "src" / module, site / module)
        info = site / f"{module}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        lines = [f"{key} = {value}" for key, value in project["entry-points"]["kinbench.models"].items()]
        (info / "entry_points.txt").write_text("\n".join(["[kinbench.models]", *lines, ""]))
        invalidate_caches()

    yield install
    for module in modules:
        sys.modules.pop(module, None)


def test_from_nothing_to_a_score(call, installed):
    code, shown, _ = call("new", "model", "my-lstm")
    assert code == 0
    commands = [line.split() for line in shown.split("next:\n")[1].splitlines()]
    assert [line[:2] for line in commands] == [["pip", "install"], ["kinbench", "check"], ["kinbench", "run"]]
    installed(Path("my-lstm"), "my-lstm")
    assert plugins.find("models")["my-lstm"].distribution == "my-lstm"

    code, shown, _ = call("check", "model", "my-lstm[epochs=2,hidden=16]")
    assert code == 0, shown
    assert "BROKEN" not in shown
    kept = {line.split(":")[0].split("  ", 1)[1].strip() for line in shown.splitlines() if line.startswith("kept")}
    assert {"card", "determinism", "missing sensors", "save and load", "adapt", "no peeking"} <= kept
    assert all("causal" not in line for line in shown.splitlines() if "look-ahead" in line), "it goes both ways"

    stores = [laboratory(Path.cwd(), name) for name in ("lab", "other")]
    scored = run_tiny(stores, "my-lstm[epochs=2,hidden=16]")
    assert not scored.failed
    assert len(scored.made) == 2, "each laboratory to the other"
    assert all(score.values["rmse"] < 90 for result in scored.made for score in result.scores)


def run_tiny(stores, model):
    from runner_cases import ACROSS

    from kinbench.runner import plan, run

    folder = Path.cwd()
    planned = plan(
        stores, {ACROSS.card.name: ACROSS}, {TASK.name: TASK}, [model], seeds=[0], results=folder / "results",
        cache=folder / "cache",
    )  # fmt: skip
    return run(planned)


def test_what_looks_at_the_past_only_is_measured_so(call, installed):
    call("new", "model", "past-only")
    installed(Path("past-only"), "past-only")
    done = kinbench.check_model("past-only[epochs=1,hidden=8,bidirectional=false]", task="knee-pair")
    assert done.ok, done.text()
    (told,) = [finding for finding in done.findings if finding.promise == "look-ahead"]
    assert told.sentence == "look-ahead 0 samples: causal"


@pytest.mark.parametrize("name", AWKWARD)
def test_whatever_its_name_the_package_is_sound(name, tmp_path):
    written = scaffolds.new_model(name, tmp_path / "made")
    texts = {path: (written.folder / path).read_text(encoding="utf-8") for path in written.files}
    left = [word for word in ("my-lstm", "my_lstm", "MyLstm") if name != "my-lstm" and word in "".join(texts.values())]
    assert not left, "the template's own name is still there"
    for path, text in texts.items():
        if path.suffix == ".py":
            tree = ast.parse(text)
            defined = [node.name for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
            bound = [alias.asname or alias.name for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))
                     for alias in node.names]  # fmt: skip
            assert len({*defined, *bound}) == len(defined) + len(bound), "the class hides something"
    linted = [TOOLS / "ruff", "check", "--no-cache", "--config", ROOT / "pyproject.toml", "."]
    done = subprocess.run(linted, cwd=written.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_only_public_doors_are_used(tmp_path):
    written = scaffolds.new_model("my-lstm", tmp_path / "made")
    used = set()
    for path in written.files:
        if path.suffix == ".py":
            for node in ast.walk(ast.parse((written.folder / path).read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom):
                    used.add(node.module)
                elif isinstance(node, ast.Import):
                    used |= {alias.name for alias in node.names}
    ours = {name for name in used if name.split(".")[0].startswith("kinbench")}
    assert ours == {"kinbench.contracts", "kinbench.errors", "kinbench.windows", "kinbench.testing"}


def test_the_package_is_typed(tmp_path):
    written = scaffolds.new_model("my-lstm", tmp_path / "made")
    cache = ROOT / ".mypy_cache"
    if not cache.is_dir():
        pytest.skip("torch's types are read for half a minute where they are not cached: run mypy here once")
    done = subprocess.run(
        [TOOLS / "mypy", "--cache-dir", cache, "--config-file", ROOT / "pyproject.toml", "src"], cwd=written.folder,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("My-Lstm", "lower-case letters"), ("2fast", "a letter first"), ("my--lstm", "single hyphens"),
        ("my_lstm", "hyphens"), ("../evil", "lower-case"), ("", "lower-case"), ("a" * 31, "at most 30"),
        ("ridge", "There is a model 'ridge' already, of kinbench"), ("json", "module 'json' already"),
        ("torch", "module 'torch' already"), ("class", "word of Python"),
    ],
)  # fmt: skip
def test_a_name_that_will_not_do_is_refused(name, says, tmp_path):
    with pytest.raises(UsageError, match=says):
        scaffolds.new_model(name, tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_what_is_there_is_left_alone(call):
    Path("my-lstm").mkdir()
    assert call("new", "model", "my-lstm")[0] == 0, "an empty folder will do"
    mine = Path("my-lstm/src/my_lstm/__init__.py")
    mine.write_text("changed")
    code, shown, told = call("new", "model", "my-lstm")
    assert (code, shown) == (2, "")
    assert "'my-lstm' is there already" in told
    assert mine.read_text() == "changed"
    Path("file").write_text("x")
    assert call("new", "model", "my-lstm", "--to", "file")[0] == 2


def test_machines_are_told_in_json(call):
    code, shown, _ = call("new", "model", "my-lstm", "--to", "made", "--json")
    told = json.loads(shown)
    assert (code, told["folder"]) == (0, "made")
    assert all((Path("made") / name).is_file() for name in told["files"])
    code, shown, _ = call("check", "model", "mean-pose", "--task", "knee-pair", "--json")
    told = json.loads(shown)
    assert (code, told["ok"], told["model"]) == (0, True, "mean-pose")
    assert {row["task"] for row in told["findings"]} == {"knee-pair"}


def test_a_broken_promise_exits_1(call, install):
    source = (
        "import numpy as np\nfrom kinbench.contracts import ModelCard\n\n\nclass Drifts:\n"
        "    card = ModelCard('drifts', '1', 'drifts', 'answers otherwise each time')\n    calls = 0\n\n"
        "    def fit(self, train, valid, *, seed):\n        self.dofs = len(train.spec.dof_names)\n\n"
        "    def predict(self, x):\n        self.calls += 1\n"
        "        return np.full((*x.shape[:2], self.dofs), self.calls, dtype=np.float32)\n"
    )
    install("stranger", [("kinbench.models", "drifts = drifting:Drifts")], {"drifting": source})
    code, shown, _ = call("check", "model", "drifts")
    assert code == 1
    assert "BROKEN          determinism: predict must give the same" in shown
    assert "kept            shapes" in shown, "one breach hides no other promise"


def test_checks_on_real_stores_take_their_windows(call, monkeypatch):
    store = laboratory(Path.cwd(), "lab", acc_kind="specific_force")
    monkeypatch.setattr(plugins, "get", fake_task(plugins.get))
    monkeypatch.setattr("kinbench.api.checks.get", plugins.get)
    done = kinbench.check_model("mean-pose", task=TASK.name, data=store.path.parent)
    assert done.ok, done.text()
    code, _, told = call("check", "model", "mean-pose", "--task", "knee-pair", "--data", store.path.parent)
    assert code == 1 and "holds a labelled window" in told
    code, _, told = call("check", "model", "mean-pose", "--data", store.path.parent)
    assert code == 2 and "--data goes with --task" in told


def fake_task(get):
    class Toy:
        @staticmethod
        def load():
            return TASK

    return lambda kind, name: Toy if (kind, name) == ("tasks", TASK.name) else get(kind, name)
