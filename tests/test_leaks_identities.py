"""The same human being under the names of several datasets is one person, wherever persons are compared."""

import pytest
from kinbench_benchmarks.protocols import CROSS_DATASET, UG

from kinbench.errors import LeakError
from kinbench.protocol import Fold, cautions, check_leaks
from kinbench.recording import Key, Span, TaskEntry, canonical_person, identities, names_of, not_a_person
from kinbench.tasks import Task

TASK = Task("knee", 1, "knee", ("thigh", "shank"), ("acc", "gyr"), ("knee_flexion",), 100.0, 16, 8, per_leg=True)


def entry(key, person=None):
    key = Key.parse(key)
    return TaskEntry(key, canonical_person(person or key.person), "walking", "0" * 64, 100.0, 16, 20, ((0, 2000),))


@pytest.mark.parametrize(
    ("name", "person"),
    [
        ("amass/BMLmovi-Subject_7_F_MoSh", "movi/Subject_7"), ("amass/BMLmovi_Subject_07", "movi/Subject_7"),
        ("MoVi/subject_7", "movi/Subject_7"), ("amass/TotalCapture-s3", "totalcapture/S3"),
        ("TotalCapture/S3", "totalcapture/S3"), ("amass/HumanEva-S1", "humaneva/S1"),
        ("amass/SSM-20160930_50032", "amass/MPI_50032"), ("amass/DFaust-50002", "amass/MPI_50002"),
        ("dfaust/50002", "amass/MPI_50002"), ("amass/SSM_20160330_03333", "amass/MPI_03333"),
        ("cmu/01", "amass/CMU_01"), ("lab/S7", "lab/S7"), ("movi/Subject_7b", "movi/Subject_7b"),
        ("my-movi/Subject_7", "my-movi/Subject_7"),
    ],
)  # fmt: skip
def test_a_person_has_one_name(name, person):
    assert canonical_person(name) == person
    assert canonical_person(person) == person


def test_every_row_has_its_evidence_and_leads_to_one_name():
    told = identities()
    assert told.version == 1 and len(told.sha256) == 64
    for row in told.people:
        assert row.evidence and row.source
        for template in row.names:
            name = template.format(n=4, id="50004", date="20160101")
            assert canonical_person(name) == row.person.format(n=4, id="50004")
            assert name in names_of(canonical_person(name)) or "date" in template


def test_fitted_on_amass_and_tested_on_movi_is_refused():
    entries = [entry("amass/BMLmovi-Subject_7_F_MoSh/1/a"), entry("movi/Subject_7/S1/all")]
    spans = [Span(str(e.key), 0, 2000) for e in entries]
    fold = Fold("amass -> movi", ("movi/Subject_7",), ("amass",), "movi", {"fit": spans[:1], "test": spans[1:]})
    with pytest.raises(LeakError, match="person movi/Subject_7 is on both sides, with amass/BMLmovi-Subject_7_F_MoSh"):
        check_leaks(fold, entries, signals=None)
    raw = [TaskEntry(e.key, e.key.person, *[getattr(e, f) for f in (
        "activity", "digest", "rate_hz", "window", "embargo", "runs")]) for e in entries]  # fmt: skip
    with pytest.raises(LeakError, match="on both sides"):
        check_leaks(fold, raw, signals=None)


def test_cross_dataset_leaves_them_out_of_the_fit_and_says_so():
    amass = [entry(f"amass/{name}/1/a") for name in ("BMLmovi-Subject_7_F", "BMLmovi-Subject_8", "KIT-3", "ACCAD-s1")]
    movi = [entry(f"movi/Subject_{n}/S1/all") for n in (7, 8, 9)]
    (fold,) = [f for f in CROSS_DATASET.folds([*amass, *movi], TASK) if f.name == "amass -> movi"]
    fitted = {span.key.split("/")[1] for role in ("fit", "validation") for span in fold.roles[role]}
    assert fitted == {"KIT-3", "ACCAD-s1"}
    assert any("movi/Subject_7, movi/Subject_8 left out of the fit" in note for note in fold.notes)
    check_leaks(fold, [*amass, *movi], signals=None)
    assert any("identity map" in note for note in cautions(fold, [*amass, *movi]))


@pytest.mark.parametrize("name", ["amass/BMLmovi-Subject_7", "movi/Subject_7", "amass/BMLmovi*", "movi/*", "amass/*"])
def test_a_pre_training_card_names_them_by_any_name_or_by_the_whole_set(name):
    entries = [entry("movi/Subject_7/S1/all"), entry("movi/Subject_8/S1/all")]
    spans = [Span(str(e.key), 0, 2000) for e in entries]
    fold = Fold("f", ("movi/Subject_7",), ("movi",), "movi", {"fit": spans[1:], "test": spans[:1]})
    with pytest.raises(LeakError, match=r"pre-training card names .*, and person movi/Subject_7 is tested"):
        check_leaks(fold, entries, signals=None, trained_on=(name,))
    check_leaks(fold, entries, signals=None, trained_on=("amass/KIT*", "movi/Subject_9", "kuopio/*"))


def test_subject_numbers_that_are_no_persons_are_told():
    assert "several subject numbers" in not_a_person(canonical_person("cmu/35"))
    assert not_a_person("lab/S1") is None
    entries = [entry(f"amass/CMU-{n:02d}/1/walk", f"amass/CMU_{n:02d}") for n in range(1, 5)]
    for fold in UG.folds(entries, TASK):
        assert any("split by subject number, not by person" in note for note in cautions(fold, entries))
    plain = [entry(f"lab/S{n}/1/walk") for n in range(1, 5)]
    assert not any(cautions(fold, plain) for fold in UG.folds(plain, TASK))


def test_a_result_says_by_which_map_a_person_was_known():
    entries = [entry("amass/BMLmovi-Subject_7/1/a"), entry("amass/KIT-3/1/a"), entry("amass/KIT-4/1/a")]
    notes = [note for fold in UG.folds(entries, TASK) for note in cautions(fold, entries)]
    assert any("identity map, version 1" in note and "movi/Subject_7" in note for note in notes)
