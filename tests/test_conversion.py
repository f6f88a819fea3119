"""From what an adapter declares to what stands in a store: whole, renamed, refused, and nothing left behind."""

from dataclasses import replace

import numpy as np
import pytest
from store_cases import recording

from kinbench import store
from kinbench.contracts import DatasetCard, RawDataset, Source
from kinbench.conversion import convert
from kinbench.errors import DataError, StoreError, UsageError
from kinbench.kinematics import rotation_from_angles
from kinbench.recording import Declared, Mask, Sync, segment_dataset

CARD = DatasetCard("lab", "A lab", "1", "Two sensors.", "CC0-1.0", True, "here", "none")


class Toy:
    """An adapter that finds these recordings; an exception in their place is what loading raises."""

    card = CARD
    version = "1"

    def __init__(self, *recordings):
        self.recordings = recordings

    def find(self, raw):
        return RawDataset(CARD, tuple(self.source(n, found) for n, found in enumerate(self.recordings)))

    def source(self, number, found):
        def load():
            if isinstance(found, Exception):
                raise found
            return found

        key = recording(f"bad{number}").key if isinstance(found, Exception) else found.key
        return Source(key, (), load)


def declared(trial="walk", **facts):
    made = recording(trial)
    attrs = {name: value for name, value in made.attrs.items() if name != "sync"}
    return replace(made, attrs=attrs, declared=Declared(sync=Sync("same_clock"), **facts))


def test_what_is_declared_is_done_and_stands_in_the_store(tmp_path):
    found = declared(dof_scale={"knee_flexion_r": -1.0}, masks=(Mask(0.0, 0.1, "wobbles"),))
    seen = []
    done = convert(Toy(found), tmp_path, tmp_path / "data", on_progress=lambda *step: seen.append(step))
    kept = store.open(done.path).read(found.key)
    np.testing.assert_allclose(kept.reference["angle"].values[12:], -found.reference["angle"].values[12:])
    assert np.isnan(kept.reference["angle"].values[:9]).all()
    assert [step["step"] for step in kept.attrs["history"]] == ["read", "scale_dof", "mask"]
    assert (done.outcomes[0].status, done.outcomes[0].sync, done.outcomes[0].dofs) == ("converted", "same_clock", 1)
    assert seen[-1][:2] == (1, 1)


def test_segment_orientations_become_angles(tmp_path):
    base = declared()
    n = base.imu.sizes["time"]
    thigh = rotation_from_angles(np.zeros(n), np.zeros(n), np.zeros(n))
    shank = rotation_from_angles(np.full(n, -40.0), np.zeros(n), np.zeros(n))
    segments = segment_dataset(
        base.imu["time"].values, ["thigh_r", "shank_r"], np.stack([thigh, shank], axis=1), tier="optical_6dof"
    )
    done = convert(Toy(replace(base, reference=segments)), tmp_path, tmp_path / "data")
    kept = store.open(done.path).read(base.key).reference
    knee = kept["angle"].sel(dof=[str(name) == "knee_flexion_r" for name in kept["dof"].values])
    np.testing.assert_allclose(knee, 40.0, atol=1e-3)
    assert "segment_quat" in kept


def test_one_that_cannot_be_believed_fails_alone(tmp_path):
    broken = declared("unit")
    broken.imu["acc"].attrs["units"] = "furlong"
    adapter = Toy(declared("one"), DataError("line 3 is cut short", where="x.csv"), broken, declared("two"))
    done = convert(adapter, tmp_path, tmp_path / "data")
    assert [outcome.status for outcome in done.outcomes] == ["converted", "failed", "failed", "converted"]
    assert "x.csv: line 3 is cut short" in done.failed[0].reason
    assert "furlong" in done.failed[1].reason
    assert [key.trial for key in store.open(done.path)] == ["one", "two"]
    assert done.table()["reason"].notna().sum() == 2
    assert done.to_json()["recordings"][0]["reason"] is None


@pytest.mark.parametrize("name", [None, "renamed"])
def test_why_one_fails_does_not_begin_with_its_key_again(tmp_path, name):
    found = recording("bad0").key
    for number, where in enumerate((found, None, "a.csv")):
        planted = DataError(["line 3 is cut short", "line 9 too"], where=where)
        (failed,) = convert(Toy(planted), tmp_path, tmp_path / f"data{number}", name=name).failed
        assert failed.key.dataset == (name or found.dataset)
        assert failed.reason == ("a.csv: " if where == "a.csv" else "") + "line 3 is cut short; line 9 too"


def test_a_breach_of_the_schema_is_a_failure_with_every_breach(tmp_path):
    wrong = declared()
    wrong = replace(wrong, attrs={**wrong.attrs, "activity": "dancing", "licence": None})
    done = convert(Toy(wrong), tmp_path, tmp_path / "data")
    assert "attrs.activity" in done.failed[0].reason
    assert "attrs.licence" in done.failed[0].reason


def test_a_folder_of_bad_recordings_leaves_nothing(tmp_path):
    done = convert(Toy(DataError("no")), tmp_path, tmp_path / "data")
    assert len(done.failed) == 1
    assert not (tmp_path / "data").exists()
    with pytest.raises(StoreError):
        store.open(done.path)


def test_a_folder_of_nothing_is_refused(tmp_path):
    with pytest.raises(DataError, match="found none"):
        convert(Toy(), tmp_path, tmp_path / "data")


def test_an_error_of_ours_is_not_a_bad_recording(tmp_path):
    with pytest.raises(ZeroDivisionError):
        convert(Toy(declared("one"), ZeroDivisionError()), tmp_path, tmp_path / "data")
    assert [key.trial for key in store.open(tmp_path / "data" / "lab.zarr")] == ["one"]


def test_another_name_goes_into_keys_and_attributes_and_makes_nobody_anew(tmp_path):
    done = convert(Toy(declared()), tmp_path, tmp_path / "data", name="mine")
    kept = store.open(done.path).read(done.outcomes[0].key)
    assert done.path.name == "mine.zarr"
    assert (kept.key.dataset, kept.attrs["dataset"], kept.attrs["person"]) == ("mine", "mine", "lab/S1")


def test_a_person_known_elsewhere_keeps_that_name(tmp_path):
    found = declared()
    found = replace(found, attrs={**found.attrs, "person": "other/P7"})
    done = convert(Toy(found), tmp_path, tmp_path / "data", name="mine")
    assert store.open(done.path).read(done.outcomes[0].key).attrs["person"] == "other/P7"


def test_a_store_holds_recordings_read_in_one_way_only(tmp_path):
    convert(Toy(declared()), tmp_path, tmp_path / "data", settings="convention=clinic")
    convert(Toy(declared()), tmp_path, tmp_path / "data", settings="convention=clinic")
    with pytest.raises(UsageError, match="settings 'convention=clinic' and not ''"):
        convert(Toy(declared()), tmp_path, tmp_path / "data")


def test_a_name_that_is_no_name_is_refused(tmp_path):
    with pytest.raises(UsageError, match="--name"):
        convert(Toy(declared()), tmp_path, tmp_path / "data", name="a/b")


def test_converting_again_replaces_and_adds(tmp_path):
    data = tmp_path / "data"
    first = convert(Toy(declared("one")), tmp_path, data)
    second = convert(Toy(declared("one"), declared("two")), tmp_path, data)
    assert first.outcomes[0].digest == second.outcomes[0].digest
    assert [key.trial for key in store.open(second.path)] == ["one", "two"]


def test_another_dataset_is_not_mixed_in_under_the_same_name(tmp_path):
    data = tmp_path / "data"
    convert(Toy(declared("one")), tmp_path, data)

    class Other(Toy):
        def find(self, raw):
            return replace(super().find(raw), card=replace(CARD, title="Simulated", simulation=True))

    with pytest.raises(UsageError, match=r"holds another dataset.*title 'A lab' and not 'Simulated'.*--name"):
        convert(Other(declared("two")), tmp_path, data)
    kept = store.open(data / "lab.zarr")
    assert [key.trial for key in kept] == ["one"]
    assert kept.card["simulation"] is False


def test_what_is_not_among_the_files_any_more_is_named(tmp_path):
    data = tmp_path / "data"
    convert(Toy(declared("one"), declared("two")), tmp_path, data)
    done = convert(Toy(declared("two")), tmp_path, data)
    assert [key.trial for key in done.left_over] == ["one"]
    assert done.to_json()["left_over"] == ["lab/S1/1/one"]


def test_one_that_is_bad_now_takes_its_earlier_version_along(tmp_path):
    data = tmp_path / "data"
    convert(Toy(declared("bad0"), declared("two")), tmp_path, data)
    done = convert(Toy(DataError("cut short"), declared("two")), tmp_path, data)
    assert "has left the store" in done.failed[0].reason
    assert [key.trial for key in store.open(done.path)] == ["two"]


def test_a_damaged_store_is_mended_by_converting_again(tmp_path):
    data = tmp_path / "data"
    done = convert(Toy(declared("one"), declared("two")), tmp_path, data)
    unit = next(done.path.rglob("one.zarr.zip"))
    sound = unit.read_bytes()
    unit.write_bytes(sound[:-100])
    with pytest.raises(StoreError, match="one"):
        store.open(done.path).keys()
    convert(Toy(declared("one"), declared("two")), tmp_path, data)
    assert unit.read_bytes() == sound
    assert len(store.open(done.path)) == 2
