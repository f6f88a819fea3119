"""A stranger's package gets in by one line of its own pyproject.toml, and nothing of it runs before it is asked for."""

import sys

import pytest

from kinbench import plugins
from kinbench.errors import KinbenchError, UsageError
from kinbench.tasks import Task, parse_selector

MODEL = """
class Card: name = "stranger"
class Stranger:
    card = Card()
    def __init__(self, hidden=8):
        if not isinstance(hidden, int): raise ValueError("hidden must be a number")
        self.hidden = hidden
"""


@pytest.mark.parametrize("kind", plugins.KINDS)
def test_an_installed_distribution_is_found_without_being_imported(install, kind):
    install("strangers-lab", [(f"kinbench.{kind}", "my-own = strangers_code:Stranger")], {"strangers_code": MODEL})
    found = plugins.find(kind)["my-own"]
    assert (found.distribution, found.version) == ("strangers-lab", "1.0")
    assert "strangers_code" not in sys.modules
    assert found.load().__name__ == "Stranger"


def test_a_selector_hands_settings_to_the_factory(install):
    install("strangers-lab", [("kinbench.models", "my-own = strangers_code:Stranger")], {"strangers_code": MODEL})
    assert plugins.create("models", "my-own[hidden=64]").hidden == 64
    with pytest.raises(UsageError, match=r"'my-own' has no setting hiden. Did you mean 'hidden'\?"):
        plugins.create("models", "my-own[hiden=2]")
    with pytest.raises(UsageError, match="'my-own' does not take these settings: hidden must be a number"):
        plugins.create("models", "my-own[hidden=many]")


def test_a_name_claimed_twice_names_both_distributions(install):
    install("first-lab", [("kinbench.models", "same = strangers_code:Stranger")], {"strangers_code": MODEL})
    install("second-lab", [("kinbench.models", "same = strangers_code:Stranger")], {})
    with pytest.raises(UsageError, match="both first-lab and second-lab"):
        plugins.create("models", "same")
    assert "ridge" in plugins.find("models"), "the others are not disturbed"


def test_an_unknown_name_suggests_the_closest():
    with pytest.raises(UsageError, match=r"no model 'rigde'\. Did you mean 'ridge'"):
        plugins.get("models", "rigde")


def test_a_plugin_that_does_not_import_disturbs_nobody_until_it_is_asked_for(install):
    install(
        "broken-lab", [("kinbench.models", "broken = broken_code:Model")], {"broken_code": "raise SystemError('no')"}
    )
    assert {"broken", "ridge"} <= set(plugins.find("models"))
    with pytest.raises(KinbenchError, match=r"model 'broken' of broken-lab 1\.0 cannot be loaded.*SystemError: no"):
        plugins.create("models", "broken")


@pytest.mark.parametrize("kind", plugins.KINDS)
def test_every_plugin_of_ours_loads(kind):
    ours = [plugin for plugin in plugins.find(kind).values() if plugin.distribution == "kinbench"]
    assert ours
    for plugin in ours:
        assert plugin.load() is not None


def test_a_name_that_is_not_there_is_told_in_english():
    with pytest.raises(UsageError, match=r"^There are no weights 'nothing'\."):
        plugins.get("weights", "nothing")
    with pytest.raises(UsageError, match=r"^There is no model 'nothing'\."):
        plugins.get("models", "nothing")


def test_our_tasks_are_registered_under_their_own_names():
    for name, plugin in plugins.find("tasks").items():
        task = plugin.load()
        assert isinstance(task, Task)
        assert task.name == name


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("ridge", ("ridge", {})),
        ("net[n=64, rate=1e-3,deep=true,kind=gru]", ("net", {"n": 64, "rate": 1e-3, "deep": True, "kind": "gru"})),
        ("net[]", ("net", {})),
    ],
)  # fmt: skip
def test_selectors(text, parsed):
    assert parse_selector(text) == parsed


@pytest.mark.parametrize("text", ["net[hidden]", "net[=3]", "net[a=1", "", "net[a=1]b"])
def test_malformed_selectors_are_refused(text):
    with pytest.raises(ValueError, match="expected"):
        parse_selector(text)
