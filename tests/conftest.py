"""Where the shared recordings are, fake installed distributions, and other things several rooms' tests need."""

import os
import sys
from importlib import invalidate_caches
from pathlib import Path

import pytest

from kinbench.cli import main

ROOT = Path(__file__).parent.parent


def shared_data() -> Path | None:
    """The folder of real recordings, where this machine has it."""
    named = os.environ.get("KINBENCH_SHARED_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    return folder if folder.is_dir() else None


SHARED = shared_data()
needs_shared = pytest.mark.skipif(
    SHARED is None, reason="the shared recordings are not here: set KINBENCH_SHARED_DATA to their folder"
)


@pytest.fixture(autouse=True, scope="session")
def unsynced():
    """Let nothing wait for the disk: no test outlives a power cut. Those of what is synced, and when, watch it anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture
def shared(monkeypatch):
    """The folder of real recordings; its name is also put where manifests look for it."""
    if SHARED is None:
        pytest.skip("the shared recordings are not here: set KINBENCH_SHARED_DATA to their folder")
    monkeypatch.setenv("KINBENCH_SHARED_DATA", str(SHARED))
    return SHARED


@pytest.fixture
def empty(tmp_path):
    """Build a folder in which nothing but the names is right: enough for what opens no file."""

    def build(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(b"")
        return tmp_path

    return build


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Call the command line in the test's folder; returns (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    for name in ("KINBENCH_DATA", "KINBENCH_RESULTS"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["kinbench", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return call


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a distribution on the path as pip would: install(name, entry_points, {module: source})."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def install(name, entry_points, modules):
        info = site / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"[{group}]\n{line}" for group, line in entry_points]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        for module, source in modules.items():
            (site / f"{module}.py").write_text(source)
            monkeypatch.delitem(sys.modules, module, raising=False)
        invalidate_caches()

    return install
