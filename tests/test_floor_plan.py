"""The house's plan as a law: imports go only downwards, and heavy libraries stay in their rooms."""

import ast
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
    8: ("acquisition", "conversion", "exports", "leaderboards", "prediction", "runner", "testing", "verification"),
    9: ("pages", "studies"),
    10: ("figures", "literature"),
    11: ("api",),
    12: ("cli",),
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
    "yaml": ("adapters/kinbench_adapters/_lab",),
}


def modules():
    return [*_modules()]


def _modules():
    for package in ("kinbench", "adapters/kinbench_adapters", "benchmarks/kinbench_benchmarks"):
        yield from sorted((ROOT / package).rglob("*.py"))


def imported(path):
    """Every absolute module name that a file imports, wherever in the file it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms(names):
    return {name.split(".")[1] for name in names if name.startswith("kinbench.") and name.split(".")[1] in FLOOR}


def name_of(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_go_only_downwards(path):
    name = name_of(path)
    if name in ("kinbench/__init__.py", "kinbench/__main__.py"):
        return
    if name.startswith("kinbench/"):
        room = Path(name).parts[1].removesuffix(".py")
        assert room in FLOOR, f"{name} stands on no floor of the plan"
        wrong = {other for other in rooms(imported(path)) if other != room and FLOOR[other] >= FLOOR[room]}
        plugins = {n for n in imported(path) if n.startswith(("kinbench_adapters", "kinbench_benchmarks"))}
        assert not plugins, f"{name} names a plugin: {plugins}"
    else:
        guest = max((g for g in GUESTS if g.replace(".", "/") in name), key=len)
        wrong = rooms(imported(path)) - GUESTS[guest]
    assert not wrong, f"{name} imports {sorted(wrong)}, which its floor may not"


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_heavy_libraries_stay_in_their_rooms(path):
    for library, homes in HOMES.items():
        if any(n == library or n.startswith(f"{library}.") for n in imported(path)):
            assert name_of(path).startswith(homes), f"{name_of(path)} imports {library}, which lives in {homes}"


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_no_import_hides_from_the_plan(path):
    assert "TYPE_CHECKING" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_no_room_reaches_for_the_network(path):
    forbidden = {"urllib.request", "http.client", "socket", "requests"}
    assert not forbidden & set(imported(path))
