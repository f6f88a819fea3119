"""The house's plan as a law: imports go only downwards, and heavy libraries stay in their rooms."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = {
    0: ("errors",),
    1: ("schema", "metrics", "tasks", "files", "publications"),
    2: ("recording", "plugins", "results"),
    3: ("virtual_imu", "kinematics"),
    4: ("store", "harmonisation", "alignment", "downloads", "perturbations"),
    5: ("windows", "inspection"),
    6: ("protocol",),
    7: ("contracts", "engines", "statistics"),
    8: ("provenance",),
    9: ("acquisition", "conversion", "exports", "leaderboards", "prediction", "runner", "scaffolds", "testing",
        "verification"),
    10: ("pages", "studies"),
    11: ("figures", "literature"),
    12: ("api",),
    13: ("cli",),
}
FLOOR = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
GUESTS = {
    "kinbench_adapters": {"contracts", "recording", "schema", "errors", "virtual_imu", "kinematics"},
    "kinbench_adapters._lab": {
        "contracts", "recording", "schema", "errors", "virtual_imu", "kinematics", "harmonisation", "alignment",
        "inspection",
    },
    "kinbench_benchmarks": {
        "perturbations", "protocol", "windows", "recording", "schema", "tasks", "metrics", "contracts", "kinematics",
        "virtual_imu", "alignment", "errors", "publications",
    },
}  # fmt: skip
HOMES = {
    "zarr": ("kinbench/store",),
    "tabulate": ("kinbench/leaderboards",),
    "torch": ("benchmarks/kinbench_benchmarks",),
    "typer": ("kinbench/cli",),
    "rich": ("kinbench/cli",),
    "pooch": ("kinbench/downloads",),
    "jinja2": ("kinbench/pages",),
    "matplotlib": ("kinbench/pages", "kinbench/figures"),
    "statsmodels": ("kinbench/statistics",),
    "optuna": ("kinbench/prediction",),
    "yaml": ("adapters/kinbench_adapters/_lab",),
}


MODULES = [
    path
    for package in ("kinbench", "adapters/kinbench_adapters", "benchmarks/kinbench_benchmarks")
    for path in sorted((ROOT / package).rglob("*.py"))
]


@cache
def imported(path):
    """Every absolute module name that a file imports, wherever in the file it stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def rooms(names):
    return {name.split(".")[1] for name in names if name.startswith("kinbench.") and name.split(".")[1] in FLOOR}


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def faults(law):
    """What a law, given (path, its name), says of all modules."""
    return [fault for path in MODULES for fault in law(path, name_of(path))]


def climbing(path, name):
    if name in ("kinbench/__init__.py", "kinbench/__main__.py"):
        return
    if not name.startswith("kinbench/"):
        guest = max((g for g in GUESTS if g.replace(".", "/") in name), key=len)
        wrong = rooms(imported(path)) - GUESTS[guest]
    elif (room := Path(name).parts[1].removesuffix(".py")) not in FLOOR:
        yield f"{name} stands on no floor of the plan"
        return
    else:
        wrong = {other for other in rooms(imported(path)) if other != room and FLOOR[other] >= FLOOR[room]}
        wrong |= {n for n in imported(path) if n.startswith(("kinbench_adapters", "kinbench_benchmarks"))}
    if wrong:
        yield f"{name} imports {sorted(wrong)}, which its floor may not"


def straying(path, name):
    for library, homes in HOMES.items():
        if any(n == library or n.startswith(f"{library}.") for n in imported(path)) and not name.startswith(homes):
            yield f"{name} imports {library}, which lives in {homes}"


def hiding(path, name):
    if "TYPE_CHECKING" in path.read_text(encoding="utf-8"):
        yield f"{name} hides imports from the plan"


def calling_out(path, name):
    if reached := {"urllib.request", "http.client", "socket", "requests"} & imported(path):
        yield f"{name} reaches for the network with {sorted(reached)}"


@pytest.mark.parametrize("law", [climbing, straying, hiding, calling_out])
def test_every_module_keeps_to_the_plan(law):
    assert len(MODULES) > 300
    assert faults(law) == []


@pytest.mark.parametrize(
    ("law", "place", "source"),
    [
        (climbing, "kinbench/store/planted.py", "import kinbench.runner"),
        (climbing, "kinbench/store/planted.py", "from kinbench_adapters import lab"),
        (climbing, "kinbench/cellar.py", "import json"),
        (climbing, "adapters/kinbench_adapters/planted.py", "def f():\n    from kinbench import runner"),
        (straying, "kinbench/store/planted.py", "import torch.nn"),
        (hiding, "kinbench/store/planted.py", "from typing import TYPE_CHECKING"),
        (calling_out, "kinbench/store/planted.py", "from urllib.request import urlopen"),
    ],
)
def test_the_plan_would_catch_a_breach(law, place, source, tmp_path):
    breach, sound = tmp_path / "breach.py", tmp_path / "sound.py"
    breach.write_text(source)
    sound.write_text("import kinbench.errors")
    assert [*law(breach, place)]
    assert not [*law(sound, "kinbench/store/planted.py")]
