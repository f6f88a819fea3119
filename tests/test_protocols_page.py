"""The page of tasks and protocols names every one there is, and none that there is not."""

import re
from pathlib import Path

import pytest

from kinbench import plugins

PAGE = (Path(__file__).parents[1] / "benchmarks" / "PROTOCOLS.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`([a-z0-9][a-z0-9/-]*)`", PAGE))


@pytest.mark.parametrize("kind", ["protocols", "tasks"])
def test_the_page_names_all_of_ours(kind):
    ours = {name for name, plugin in plugins.find(kind).items() if plugin.distribution == "kinbench"}
    assert ours <= NAMED


def test_the_page_names_nothing_else():
    known = {*plugins.find("protocols"), *plugins.find("tasks"), "embargo", "person"}
    suffixes = {name for name in NAMED if name.startswith("/")}
    assert NAMED - suffixes <= known
