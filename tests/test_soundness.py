"""Folds that no leak check would refuse, and that cannot be carried out or count something twice all the same."""

import re
from dataclasses import replace

import pytest
from runner_cases import TASK, UG, laboratory

from kinbench import runner, store
from kinbench.perturbations import Change
from kinbench.protocol import ProtocolCard, flaws
from kinbench.recording import Span
from kinbench.runner import Workspace, check
from kinbench.testing import check_protocol

LABELS = Change.of("label_offset", sd_deg=5.0)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("soundness")
    laboratory(folder, "lab")
    return Workspace((store.open(folder / "lab.zarr"),), folder / "cache")


@pytest.fixture(scope="module")
def entries(lab):
    return list(lab.data(TASK, "lab").entries)


def test_sound_folds_have_no_flaw(entries):
    assert flaws(UG.folds(entries, TASK), entries, TASK) == ()


def roles(fold, **changed):
    return replace(fold, roles={**fold.roles, **changed})


def again(fold, later=0):
    first = fold.roles["test"][0]
    return roles(fold, test=(*fold.roles["test"], Span(first.key, first.start + later, first.stop)))


PLANTED = {
    "a person tested twice": (lambda f: replace(f, test_persons=f.test_persons * 2), "is among its test persons 2"),
    "a test span twice": (again, "test counts time twice: lab/S1"),
    "two test spans that overlap": (lambda f: again(f, 3), "test counts time twice: lab/S1"),
    "a span beyond its recording": (lambda f: roles(f, test=(Span(f.roles["test"][0].key, 0, 10**6),)), "beyond"),
    "an empty span": (lambda f: roles(f, test=(Span(f.roles["test"][0].key, 9, 9),)), r"\[9, 9\) is empty"),
    "nothing tested": (lambda f: roles(f, test=()), "has no test span"),
    "a role that there is not": (lambda f: roles(f, peek=()), "no role 'peek'"),
    "a dataset that there is not": (lambda f: replace(f, train_datasets=("labb",)), "the dataset 'labb'"),
    "a sensor that there is not": (lambda f: replace(f, segments=("wrist",)), "no sensor 'wrist'; it has shank"),
    "no sensor": (lambda f: replace(f, segments=()), "leaves a model no sensor"),
    "a change that there is not": (lambda f: replace(f, fit_changes=(Change.of("peek"),)), "no change 'peek'"),
    "such a change of a copy": (lambda f: replace(f, fit_copies=((Change.of("peek"),),)), "no change 'peek'"),
    "labels changed at the test": (lambda f: replace(f, test_changes=(LABELS,)), "to be made to the test"),
    "a condition named as a column": (lambda f: replace(f, condition={"mean": 1, "n": 2}), "called mean, n, as"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_a_flaw_is_told_of_its_fold(entries, name):
    plant, told = PLANTED[name]
    first, *others = UG.folds(entries, TASK)
    found = flaws([plant(first), *others], entries, TASK)
    assert len(found) >= 1 and all(sentence.startswith("fold 'lab/S1': ") for sentence in found)
    assert any(re.search(told, sentence) for sentence in found)


def test_two_folds_of_one_name_are_told(entries):
    first, *_ = UG.folds(entries, TASK)
    assert flaws([first, first], entries, TASK) == ("two folds or more are called 'lab/S1'",)


class Twice:
    """As the honest split, with every person tested twice."""

    card = ProtocolCard("twice", 1, "counts twice", "every person twice", "nothing")

    def folds(self, entries, task):
        return [replace(fold, test_persons=fold.test_persons * 2) for fold in UG.folds(entries, task)]


def test_a_run_leaves_unsound_folds_out_and_says_why(lab, tmp_path):
    planned = runner.plan(
        lab.stores, {"twice": Twice(), "toy-ug": UG}, {TASK.name: TASK}, ["mean-pose"], seeds=(0,),
        results=tmp_path / "results", cache=tmp_path / "cache",
    )  # fmt: skip
    assert {cell.protocol.name for cell in planned.cells} == {"toy-ug"}
    (skipped,) = [entry for entry in planned.skipped if entry.protocol == "twice"]
    assert "not sound: fold 'lab/S1': lab/S1 is among its test persons 2 times" in skipped.reason


def test_both_checks_of_a_protocol_refuse_unsound_folds(lab):
    (row,) = check(lab, {"twice": Twice()}, {TASK.name: TASK})
    assert len(row.flaws) == 3 and row.flaws[0].startswith("twice · toy-knee · fold 'lab/S1': ") and not row.leaks
    with pytest.raises(AssertionError, match="Folds must be sound"):
        check_protocol(Twice())
