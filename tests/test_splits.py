"""Split manifests: everybody's fold by a rule, the same for whoever is present, on whatever machine."""

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from kinbench_benchmarks.protocols import CROSS_DATASET, UA, UG, UI
from kinbench_benchmarks.splits import AMASS, CALGARY, MOVI, OPENSENSE, split_of
from runner_cases import laboratory

from kinbench import plugins
from kinbench.errors import DataError, NotApplicable
from kinbench.protocol import check_leaks, deal, fit_digest, fold_digest, read_manifest, write_manifest
from kinbench.recording import Key, TaskEntry
from kinbench.tasks import Task

TASK = Task("knee", 1, "knee", ("thigh", "shank"), ("acc", "gyr"), ("knee_flexion",), 100.0, 16, 8, per_leg=True)
MANIFESTS = (AMASS, CALGARY, MOVI, OPENSENSE)


def entries(persons):
    keys = [Key.parse(f"{person}/1/t") for person in persons]
    return [TaskEntry(key, key.person, "walking", "0" * 64, 100.0, 16, 20, ((0, 2000),)) for key in keys]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: manifest.name)
def test_a_manifest_is_its_rule(manifest):
    assert plugins.get("splits", manifest.name).load() is manifest
    assert manifest.persons == deal([person for person, _ in manifest.persons], manifest.folds)
    sizes = Counter(fold for _, fold in manifest.persons)
    assert len(sizes) == manifest.folds and max(sizes.values()) - min(sizes.values()) <= 1
    assert read_manifest(write_manifest(manifest)) == manifest
    assert all(person == f"{person.split('/')[0]}/{person.split('/')[1]}" for person, _ in manifest.persons)


def test_who_is_listed_is_who_the_datasets_have(shared):
    assert {person for person, _ in MOVI.persons} == {f"movi/Subject_{n}" for n in range(1, 91)}
    assert {person for person, _ in AMASS.persons} == {person for person, _ in MOVI.persons}
    assert {person for person, _ in OPENSENSE.persons} == {f"opensense/Subject{n:02d}" for n in range(1, 12)}
    found = set()
    for mode in ("run", "walk"):
        path = shared / "calgary_ric" / "metadata" / f"{mode}_data_meta.csv"
        with path.open(newline="", encoding="utf-8-sig") as file:
            found |= {f"calgary/{row['sub_id']}" for row in csv.DictReader(file)}
    assert {person for person, _ in CALGARY.persons} == found and len(found) == 1798


@pytest.mark.parametrize("name", ["movi", "opensense", "calgary"])
def test_two_laboratories_with_different_people_test_a_person_in_the_same_fold(name):
    manifest = split_of(name)
    everybody = [person for person, _ in manifest.persons][:60]
    random = np.random.default_rng(0)
    where = {}
    for _ in range(3):
        part = sorted(random.choice(everybody, max(6, len(everybody) // 2), replace=False).tolist())
        for fold in UG.folds(entries(part), TASK):
            check_leaks(fold, entries(part), signals=None)
            assert fold.manifest == manifest.sha256
            assert any(manifest.sha256[:16] in note for note in fold.notes)
            for person in fold.test_persons:
                assert where.setdefault(person, fold.name) == fold.name
                assert fold.name == f"fold-{manifest.fold_of(person) + 1:02d}"
    assert len(where) > len(everybody) // 2


def test_everybody_present_is_dealt_as_ever():
    movi = [f"movi/Subject_{n}" for n in range(1, 91)]
    other = [person.replace("movi", "moxi") for person in movi]
    folds = UG.folds(entries(movi), TASK)
    assert [len(fold.test_persons) for fold in folds] == [9] * 10
    assert {fold.manifest for fold in UG.folds(entries(other), TASK)} == {None}


def test_the_manifest_is_in_the_digest_of_what_it_deals_and_of_nothing_else():
    part = entries([f"movi/Subject_{n}" for n in (1, 2, 3, 4, 5, 6)])
    for protocol in (UG, UA):
        for fold in protocol.folds(part, TASK):
            without = replace(fold, manifest=None)
            assert fold_digest(fold, TASK, protocol.card) != fold_digest(without, TASK, protocol.card)
            assert fit_digest(fold, TASK) == fit_digest(without, TASK)
    assert {fold.manifest for fold in UI.folds(part, TASK)} == {None}
    lab = [*part, *entries(["lab/S1", "lab/S2"])]
    (pair,) = [fold for fold in CROSS_DATASET.folds(lab, TASK) if fold.name == "movi -> lab"]
    assert pair.manifest is None


def test_whoever_is_not_listed_has_a_fold_of_the_own_name():
    strangers = [f"amass/KIT-{n}" for n in range(40)]
    assert {AMASS.fold_of(person) for person in strangers} == set(range(10))
    assert not AMASS.lists(strangers[0]) and AMASS.lists("movi/Subject_90")
    alone = {p: f.name for f in UG.folds(entries(strangers[:20]), TASK) for p in f.test_persons}
    together = {p: f.name for f in UG.folds(entries(strangers), TASK) for p in f.test_persons}
    assert alone.items() <= together.items()
    assert any("20 not listed" in note for note in UG.folds(entries(strangers[:20]), TASK)[0].notes)


def test_people_who_are_all_in_one_fold_cannot_be_parted():
    alike = [person for person, fold in MOVI.persons if fold == 3][:2]
    with pytest.raises(NotApplicable, match="split manifest has all of them in one fold"):
        UG.folds(entries(alike), TASK)


@pytest.mark.parametrize("change", ["fold", "rule", "person", "text"])
def test_a_split_chosen_by_hand_is_refused(change):
    plain = json.loads(write_manifest(OPENSENSE))
    if change == "fold":
        plain["persons"]["opensense/Subject03"] = (plain["persons"]["opensense/Subject03"] + 1) % 10
    elif change == "rule":
        plain["rule"] = "as I like it"
    elif change == "person":
        del plain["persons"][next(iter(plain["persons"]))]
    text = "[]" if change == "text" else json.dumps(plain)
    with pytest.raises(DataError, match=r"opensense\.json: expected"):
        read_manifest(text, where="opensense.json")


# --- the same on every machine ---------------------------------------------------------------------------------------

_DIGESTS = """
import json, os, random, sys
from pathlib import Path

shuffle = random.Random(int(sys.argv[2]))
def shuffled(ask):
    def asked(*given, **more):
        found = list(ask(*given, **more))
        shuffle.shuffle(found)
        return found
    return asked

class Scan(list):
    def __enter__(self):
        return iter(self)
    def __exit__(self, *_):
        return None
    def close(self):
        return None
scandir = os.scandir
def scanned(*given):
    with scandir(*given) as found:
        entries = Scan(found)
    shuffle.shuffle(entries)
    return entries
os.listdir, os.scandir = shuffled(os.listdir), scanned

from kinbench import plugins, store, windows
from kinbench.errors import NotApplicable
from kinbench.protocol import fold_digest
from runner_cases import TASK

data = Path(sys.argv[1])
stores = [path for path in os.listdir(data) if path.endswith(".zarr")]
task = [windows.prepare(store.open(data / name), TASK, cache=data / sys.argv[2]) for name in stores]
entries = {part.store_name: list(part.entries) for part in task}
found = {}
for name, plugin in plugins.find("protocols").items():
    protocol = plugin.load()
    groups = [sum(entries.values(), [])] if protocol.card.scope == "datasets" else entries.values()
    for group in groups:
        try:
            for fold in protocol.folds(group, TASK):
                found[f"{name} {fold.test_dataset} {fold.name}"] = fold_digest(fold, TASK, protocol.card)
        except NotApplicable:
            continue
print(json.dumps(found, sort_keys=True))
"""


def test_digests_are_equal_in_another_process_place_time_and_order(tmp_path):
    laboratory(tmp_path, "movi", [f"Subject_{n}" for n in (9, 10, 11)], seconds=30.0)
    laboratory(tmp_path, "many", [f"P{n}" for n in range(1, 12)], seconds=20.0)
    answers = []
    for seed, locale, zone in (("1", "C", "UTC"), ("2", "tr_TR.UTF-8", "Asia/Kathmandu")):
        home = {**os.environ, "LC_ALL": locale, "TZ": zone, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1",
                "PYTHONPATH": str(Path(__file__).parent)}  # fmt: skip
        command = [sys.executable, "-c", _DIGESTS, str(tmp_path), seed]
        done = subprocess.run(command, capture_output=True, text=True, env=home, check=False)
        assert done.returncode == 0, done.stderr
        answers.append(json.loads(done.stdout))
    assert answers[0] == answers[1]
    assert {name.split()[0] for name in answers[0]} >= {"ui", "ug", "ua", "cross-dataset"}
    assert sum(name.startswith("ug many fold-") for name in answers[0]) == 10
