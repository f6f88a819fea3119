"""The page of models names every one there is, settings that there are, sizes that networks have, and commands that
can be typed; those of the README that no test runs are held to the last, too.
"""

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
from kinbench_benchmarks.models import hur2025
from kinbench_benchmarks.models.brough2025 import network as brough
from kinbench_benchmarks.models.brough2025 import recipes as brough_recipes
from kinbench_benchmarks.models.rapp2021 import _networks as rapp
from kinbench_benchmarks.models.rapp2021 import _recipes as rapp_recipes
from kinbench_benchmarks.models.tan2024 import RECIPES, SslNetwork
from typer.main import get_command

from kinbench import plugins
from kinbench.cli.app import app

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "benchmarks" / "MODELS.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
OURS = {name for name, plugin in plugins.find("models").items() if plugin.distribution == "kinbench"}
ELSEWHERE = {"my-lstm"}
"""A model that a reader makes."""


def rows(first):
    """The rows of the page's tables whose first column is called so, as lists of cells."""
    tables = re.findall(rf"^\| {first} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.M)
    assert tables
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for table in tables for line in table.splitlines()]


def named(cell):
    return re.findall(r"`([^`]+)`", cell)


MODELS = {named(row[0])[0]: row for row in rows("model") if not row[0].startswith("**")}
SETTINGS = rows("setting")


def commands():
    """Every line of kinbench in the page and in those blocks of the README that are shown, not run."""
    shown = re.findall(r"```sh\n(.*?)```", f"{PAGE}\n{README}", re.DOTALL)
    lines = [line.partition("  #")[0].strip() for block in shown for line in block.splitlines()]
    return [line for line in lines if line.startswith("kinbench ")]


def test_the_page_names_all_of_ours_and_no_other():
    assert set(MODELS) == OURS


@pytest.mark.parametrize("name", sorted(OURS))
def test_recipes_and_switches_are_those_that_a_model_takes(name):
    *_, recipes, compats, _, _ = MODELS[name]
    settings = plugins.settings_of(plugins.get("models", name).load())
    for setting, cell in (("recipe", recipes), ("compat", compats)):
        assert bool(named(cell)) == (setting in settings)
        for value in named(cell):
            plugins.create("models", f"{name}[{setting}={value}]")
    kinds = set(named(recipes))
    assert not kinds or "fast" in kinds


def test_every_setting_on_the_page_is_one_and_every_one_is_on_the_page():
    told = {name: set() for name in OURS}
    for settings, models, _ in SETTINGS:
        for name in named(models):
            told[name] |= set(named(settings))
    assert told == {name: set(plugins.settings_of(plugins.get("models", name).load())) for name in OURS}


def test_every_value_on_the_page_is_one_that_its_models_take():
    together = {"calibration=static": "magnetometer=true", "heading=world": "magnetometer=true"}
    values = [(name, value) for _, models, what in SETTINGS for name in named(models) for value in named(what)]
    tried = [(name, value) for name, value in values if re.fullmatch(r"\w+=[\w-]+", value)]
    assert len(tried) > 20
    for name, value in tried:
        if name == "opensense-ik":  # it asks for a model's file first
            assert value.partition("=")[0] in plugins.settings_of(plugins.get("models", name).load())
            continue
        plugins.create("models", f"{name}[{','.join(filter(None, [value, together.get(value)]))}]")


def size_of(network):
    return sum(weight.numel() for weight in network.parameters())


def published_sizes():
    kinds = (rapp_recipes.CONV1D, rapp_recipes.LSTM, rapp_recipes.ORIENTATION)
    conv, lstm, orientation = (kind["paper"] for kind in kinds)
    angles = size_of(rapp.ConvNetwork(16, 3, conv.layers, conv.width, conv.kernel, conv.dropout))
    rope = brough_recipes.PAPER
    return {
        "hur2025-lstm": size_of(hur2025.LstmNetwork(72, 10)),
        "hur2025-cnn": size_of(hur2025.CnnNetwork(72, 10, None)),
        "hur2025-cnn-code": size_of(hur2025.CnnNetwork(72, 10, 50)),
        "rapp2021-conv1d": angles,
        "rapp2021-lstm": size_of(
            rapp.LstmNetwork(16, 3, lstm.layers, lstm.width, bidirectional=lstm.bidirectional, dropout=lstm.dropout)
        ),
        "rapp2021": angles + size_of(rapp.OrientationNetwork(16, 2, orientation.layers, orientation.width)),
        "ssl-transformer": size_of(SslNetwork(48, 128, 3, RECIPES["paper"].shape)),
        "rope-transformer": size_of(
            brough.RopeNetwork(
                16, 3, width=rope.width, layers=rope.layers, heads=rope.heads, feed_forward=rope.feed_forward,
                dropout=rope.dropout, layout=None,
            )
        ),
    }  # fmt: skip


def test_sizes_are_those_of_the_networks():
    told = {name: int(row[2].replace(",", "")) for name, row in MODELS.items() if re.fullmatch(r"[\d,]+", row[2])}
    assert told == published_sizes()


def test_who_is_said_not_to_look_ahead_claims_it_and_is_put_to_the_test():
    causal = {name for name in OURS - {"opensense-ik"} if getattr(plugins.create("models", name), "causal", False)}
    assert {name for name, row in MODELS.items() if row[5] == "no"} == causal | {"mean-pose"}


def test_every_command_is_one_that_a_person_can_type():
    lines = commands()
    assert len(lines) > 20
    for line in lines:
        command, words = get_command(app), shlex.split(line)[1:]
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert not [word for word in words if word.startswith("-") and word not in known], line
        selectors = [after for word, after in pairwise(words) if word in ("-m", "--model")]
        selectors += words[:1] if command.name == "search" else []
        for selector in selectors:
            bare = selector.partition("@")[0]
            if bare.partition("[")[0] not in ELSEWHERE:
                plugins.create("models", bare)
        for word, after in pairwise(words):
            assert word not in ("-t", "--task") or after in plugins.find("tasks"), line
            assert word not in ("-p", "--protocol") or after in plugins.find("protocols"), line
