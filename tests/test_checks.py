"""``kinbench check``: any protocol, ours or a stranger's, and the guards themselves."""

import json

import pytest
import result_cases
from runner_cases import laboratory

import kinbench
from kinbench import plugins, results
from kinbench.errors import UsageError
from kinbench.runner import Workspace, check
from kinbench.runner.auditing import audit

STRANGER = '''
from dataclasses import replace
from kinbench.protocol import Fold, ProtocolCard
from kinbench.recording import Span
from kinbench.tasks import Task
from runner_cases import TASK, UG

TOY = TASK


class Leaking:
    """Leaves one person out, and learns from the block it tests, of one fold."""
    card = ProtocolCard("stranger", 1, "left out", "but for one", "nothing")

    def folds(self, entries, task):
        first, *others = UG.folds(entries, task)
        roles = {**first.roles, "fit": (*first.roles["fit"], *first.roles["test"])}
        return [replace(first, roles=roles), *others]


class Honest:
    card = ProtocolCard("honest", 1, "left out", "one by one", "nothing")

    def folds(self, entries, task):
        return UG.folds(entries, task)


class Broken:
    card = ProtocolCard("broken", 1, "none", "raises", "nothing")

    def folds(self, entries, task):
        raise ZeroDivisionError("no people")


class Surprised:
    """Keeps its promises on made-up people, and breaks on those of a laboratory."""
    card = ProtocolCard("surprised", 1, "left out", "one by one", "nothing")

    def folds(self, entries, task):
        return UG.folds([entry for entry in entries if entry.key.dataset != "lab" or {}[entry.person]], task)


LEAKING, HONEST, BROKEN, SURPRISED = Leaking(), Honest(), Broken(), Surprised()
'''


@pytest.fixture
def stranger(install):
    lines = "\n".join(f"{name} = strange_splits:{value}" for name, value in
                      (("stranger", "LEAKING"), ("honest", "HONEST"), ("broken", "BROKEN"),
                       ("surprised", "SURPRISED")))  # fmt: skip
    entry_points = [("kinbench.protocols", lines), ("kinbench.tasks", "toy-knee = strange_splits:TOY")]
    install("strange-splits", entry_points, {"strange_splits": STRANGER})


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    laboratory(folder, "lab")
    laboratory(folder, "far", ("P1", "P2", "P3", "P4"))
    return folder


def test_a_clean_protocol_of_a_stranger_passes_with_a_table(stranger, data):
    seen = []
    done = kinbench.check_protocol("honest", tasks="toy-knee", data=data, on_progress=lambda *now: seen.append(now))
    assert done.ok and not done.leaks and not done.broken
    table = done.table().set_index("dataset")
    assert table.loc["lab", "folds"] == table.loc["lab", "persons"] == 3 and table.loc["far", "folds"] == 4
    assert table.loc["lab", "embargo_s"] == 1.0 and len(table.loc["lab", "digest"]) == 64
    assert seen[-1][0] == seen[-1][1] == 7


def test_a_leaking_protocol_of_a_stranger_is_refused_a_sentence_a_leak(stranger, data, call):
    done = kinbench.check_protocol("stranger", tasks="toy-knee", datasets="lab", data=data)
    assert not done.ok and "leaks" in done.broken["stranger"]
    assert any("person lab/S1 is on both sides" in sentence for sentence in done.leaks)
    assert all(sentence.startswith("stranger · toy-knee · lab/S1: ") for sentence in done.leaks)
    code, shown, _ = call("check", "protocol", "stranger", "--task", "toy-knee", "--data", data)
    assert code == 1 and "LEAK  stranger · toy-knee · lab/S1: " in shown and "promises broken" in shown
    code, shown, _ = call("check", "protocol", "honest", "-t", "toy-knee", "-d", "lab", "--data", data)
    assert code == 0 and "3 folds checked, 0 leaks" in shown


def test_a_protocol_over_datasets_is_checked_over_them_together(stranger, data):
    done = kinbench.check_protocol("cross-dataset", tasks="toy-knee", datasets=["lab", "far"], data=data)
    assert done.ok and done.rows[0].dataset == "lab + far"


def test_a_protocol_that_raises_is_told_and_stops_no_other(stranger, data):
    done = kinbench.check_protocol(["broken", "honest"], tasks="toy-knee", datasets="lab", data=data)
    assert not done.ok and "ZeroDivisionError" in done.broken["broken"]
    rows = {row.protocol: row for row in done.rows}
    (flaw,) = rows["broken"].flaws
    assert "folds of lab cannot be had: ZeroDivisionError: no people" in flaw and rows["honest"].folds == 3


def test_a_protocol_that_breaks_on_stores_alone_is_not_ok(stranger, data, call):
    done = kinbench.check_protocol("surprised", tasks="toy-knee", datasets="lab", data=data)
    assert not done.ok and not done.broken and not done.leaks
    (flaw,) = done.flaws
    assert flaw == "surprised · toy-knee · folds of lab cannot be had: KeyError: 'lab/S1'."
    code, shown, _ = call("check", "protocol", "surprised", "-t", "toy-knee", "-d", "lab", "--data", data)
    assert code == 1 and f"FLAW  {flaw}" in shown and "0 leaks, 1 flaws" in shown


def test_without_a_store_promises_are_tried(stranger, tmp_path, call):
    done = kinbench.check_protocol("honest", data=tmp_path)
    assert done.ok and done.rows == ()
    code, shown, _ = call("check", "protocol", "honest", "--data", tmp_path)
    assert code == 0 and "keeps its promises" in shown and "no store" in shown


def test_an_unknown_protocol_is_refused(tmp_path, call):
    with pytest.raises(UsageError, match="no protocol 'ugg'"):
        kinbench.check_protocol("ugg", data=tmp_path)
    assert call("check", "protocol", "ugg")[0] == 2


def test_none_of_ours_is_refused(ours):
    """Every registered protocol on the demo's people; what they promise is tried where each of them is tested."""
    workspace = Workspace(tuple(kinbench.open(path) for path in sorted(ours.glob("*.zarr"))), ours / ".cache")
    protocols = {name: plugin.load() for name, plugin in plugins.find("protocols").items()}
    rows = check(workspace, protocols, {"knee-pair": plugins.get("tasks", "knee-pair").load()})
    assert [sentence for row in rows for sentence in row.leaks] == []
    assert {row.protocol for row in rows} == set(protocols)
    assert [sentence for row in rows for sentence in row.flaws] == []
    assert sum(row.folds for row in rows) > 100


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """The demo's two laboratories, two people each, for half a minute."""
    folder = tmp_path_factory.mktemp("ours")
    cohort = plugins.get("demos", "cohort").load()
    for part in type(cohort)(people_per_laboratory=2, length_s=30.0).write(folder / "raw"):
        kinbench.convert(part.adapter, part.raw, name=part.name, data=folder / "data")
    return folder / "data"


def test_guards_are_told_for_a_person_and_for_a_machine(call):
    code, shown, _ = call("check", "guards")
    assert code == 0 and "NOT CAUGHT" not in shown and "planted leaks caught" in shown
    code, told, _ = call("check", "guards", "--json")
    rows = json.loads(told)
    assert code == 0 and len(rows) >= 12 and all(row["sentence"] for row in rows)


@pytest.mark.parametrize("command", ["protocol", "results", "guards"])
def test_help_has_an_example(call, command):
    code, shown, _ = call("check", command, "--help")
    assert code == 0 and f"Example: kinbench check {command}" in shown and "--json" in shown and "--quiet" in shown


def test_json_is_for_a_machine(stranger, data, call):
    code, told, _ = call("check", "protocol", "stranger", "-t", "toy-knee", "--data", data, "--json")
    plain = json.loads(told)
    assert code == 1 and plain["ok"] is False and plain["checked"][0]["folds"] >= 3


def test_seeds_people_and_variants_are_told(tmp_path, call):
    made = [
        result_cases.result(person, 5.0, model=model, seed=seed)
        for model in ("whole", "chosen", "easy") for person in ("lab/S1", "lab/S2") for seed in (0, 1, 2)
        if not (model == "chosen" and seed == 1) and not (model == "easy" and person == "lab/S2")
    ]  # fmt: skip
    made += [made[0].model_copy(update={"model": made[0].model.model_copy(update={"selector": "whole[size=2]"})})]
    found = {(finding.kind, finding.model): finding.sentence for finding in audit(made)}
    assert "has the seeds 0, 2, and the benchmark's are 0, 1, 2" in found["seeds", "chosen"]
    assert "not scored on lab/S2, 1 of 2 people" in found["people", "easy"]
    assert "2 variants of whole were scored on the same test view" in found["openings", "whole"]
    assert not {("seeds", "whole"), ("people", "whole"), ("people", "chosen"), ("openings", "chosen")} & set(found)
    for number, result in enumerate(made):
        results.write(tmp_path / "results", result.model_copy(update={"key": f"{number:064d}"}))
    code, shown, _ = call("check", "results", "--results", tmp_path / "results")
    assert code == 1 and found["seeds", "chosen"] in shown
