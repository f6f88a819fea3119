"""The store: what goes in comes out, is found, is checked, and is refused when it is not what it says."""

import json
import multiprocessing
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from store_cases import CARD, recording

from kinbench import schema, store
from kinbench.errors import DataError, StoreError
from kinbench.recording import Declared, Key, Placement, imu_dataset, labels

UNIT = Path("recordings/S1/1/walk.zarr.zip")


@pytest.fixture
def lab(tmp_path):
    with store.create(tmp_path / "lab.zarr", dataset="lab", card=CARD) as writer:
        for trial in ("walk", "walk10", "walk2"):
            writer.write(recording(trial, seed=len(trial)))
    return tmp_path / "lab.zarr"


def tree(path):
    return {found.relative_to(path).as_posix(): found.read_bytes() for found in path.rglob("*") if found.is_file()}


def assert_same(one, other):
    assert one.key == other.key
    assert one.attrs == other.attrs
    for mine, theirs in ((one.imu, other.imu), (one.reference, other.reference)):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            assert mine.identical(theirs)
            assert set(mine.coords) == set(theirs.coords)
            assert {n: v.dtype for n, v in mine.variables.items()} == {n: v.dtype for n, v in theirs.variables.items()}
    assert store.content_digest(one) == store.content_digest(other)


# --- what goes in comes out -----------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
FLOATS = st.floats(width=32) | st.sampled_from([0.0, -0.0, float("nan"), float("inf")])


@st.composite
def recordings(draw):
    n, sensors = draw(st.integers(0, 7)), draw(st.integers(1, 3))
    values = np.array(draw(st.lists(FLOATS, min_size=3, max_size=3)), dtype=np.float32)
    placements = [
        Placement(
            f"s{place}", draw(st.sampled_from(schema.SEGMENTS)), "right", device=draw(st.text(max_size=9)),
            rotation=draw(st.none() | st.just(np.eye(3))), clock_offset_s=draw(st.floats(-1, 1)),
        )
        for place in range(sensors)
    ]  # fmt: skip
    names = draw(st.sets(st.sampled_from(["acc", "gyr", "mag", "quat"])))
    signals = {
        name: (np.resize(values, (n, sensors, 4 if name == "quat" else 3)), {"units": "1", "note": draw(JSON)})
        for name in names
    }
    valid = draw(st.none() | st.just(np.resize([True, False, False], (n, sensors))))
    imu = imu_dataset(np.arange(n) / 7, placements, signals, valid=valid)
    base = recording(n=draw(st.integers(0, 5)), imu=False, reference=draw(st.booleans()))
    return replace(base, imu=imu, attrs={**base.attrs, "quality": draw(JSON)})


@settings(max_examples=25, deadline=None)
@given(recordings())
def test_any_recording_comes_back_equal(tmp_path_factory, given_one):
    path = tmp_path_factory.mktemp("store") / "lab.zarr"
    with store.create(path, dataset="lab", card=CARD) as writer:
        digest = writer.write(given_one)
    opened = store.open(path)
    assert_same(opened.read(given_one.key), given_one)
    assert digest == store.content_digest(given_one) == opened.entries()[0].digest
    assert opened.verify() == []


@pytest.mark.parametrize("missing", ["imu", "reference"])
def test_a_recording_may_lack_a_stream(tmp_path, missing):
    one = recording(**{missing: False})
    with store.create(tmp_path / "lab.zarr", dataset="lab", card=CARD) as writer:
        writer.write(one)
    assert_same(store.open(tmp_path / "lab.zarr").read(one.key), one)


def test_long_recordings_are_chunked_along_time_only(tmp_path):
    one = recording(n=70_000)
    with store.create(tmp_path / "lab.zarr", dataset="lab", card=CARD) as writer:
        writer.write(one)
    with zipfile.ZipFile(tmp_path / "lab.zarr" / UNIT) as archive:
        chunks = [name for name in archive.namelist() if name.startswith("inputs/acc/c/")]
    assert chunks == ["inputs/acc/c/0/0/0", "inputs/acc/c/1/0/0"]
    assert_same(store.open(tmp_path / "lab.zarr").read(one.key), one)


def test_the_same_recordings_give_the_same_bytes(tmp_path):
    for name, order in (("one", (1, 2)), ("two", (2, 1))):
        with store.create(tmp_path / name, dataset="lab", card=CARD) as writer:
            for seed in order:
                writer.write(recording(f"t{seed}", seed=seed))
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert store.open(tmp_path / "one").digest == store.open(tmp_path / "two").digest


def test_a_stranger_reads_it_with_plain_zarr_and_xarray(lab):
    one = recording("walk", seed=4)
    with zarr.storage.ZipStore(lab / UNIT) as unit:
        inputs = xr.open_zarr(unit, group="inputs", consolidated=False).load()
        reference = xr.open_zarr(unit, group="reference", consolidated=False).load()
        assert zarr.open_group(unit, mode="r").attrs["activity"] == "walking"
    assert inputs.identical(one.imu)
    assert reference.identical(one.reference)
    root = zarr.open_group(lab, mode="r").attrs.asdict()
    assert (root["kinbench_format"], root["schema_version"], root["dataset"]) == ("1", schema.SCHEMA_VERSION, "lab")
    assert root["card"] == CARD


def test_inputs_are_read_without_a_byte_of_the_reference(lab):
    one = recording("walk", seed=4)
    with zipfile.ZipFile(lab / UNIT) as archive:
        spans = [
            (info.header_offset, info.header_offset + 30 + len(info.filename) + info.file_size)
            for info in archive.infolist() if info.filename.startswith("reference/")
        ]  # fmt: skip
    data = bytearray((lab / UNIT).read_bytes())
    assert spans
    for start, stop in spans:
        data[start:stop] = bytes(stop - start)
    (lab / UNIT).write_bytes(data)
    imu, attrs = store.open(lab).read_inputs(one.key)
    assert imu.identical(one.imu)
    assert attrs == one.attrs
    with pytest.raises(StoreError, match="reference/angle"):
        store.open(lab).read(one.key)


# --- identity -------------------------------------------------------------------------------------------------------


def changed(**change):
    one = recording()
    return replace(one, **{name: make(getattr(one, name)) for name, make in change.items()})


def with_values(name, place, value):
    def make(stream):
        values = stream[name].values.copy()
        values[place] = value
        return stream.assign({name: (stream[name].dims, values, stream[name].attrs)})

    return make


IDENTITY = {
    "a sample": changed(imu=with_values("gyr", (3, 0, 1), 7.0)),
    "a mask": changed(imu=with_values("valid", (0, 0), True)),
    "a time": changed(reference=with_values("time", 2, 0.0251)),
    "a unit": changed(reference=lambda r: r.assign(angle=r["angle"].assign_attrs(units="rad"))),
    "a convention": changed(reference=lambda r: r.assign(angle=r["angle"].assign_attrs(convention="axis_angle"))),
    "a kind": changed(imu=lambda i: i.assign(acc=i["acc"].assign_attrs(kind="gravity_removed"))),
    "a placement": changed(imu=lambda i: i.assign_coords(segment=("sensor", labels(["thigh_l", "shank_r"])))),
    "a rotation": changed(imu=with_values("rotation", (1,), np.eye(3))),
    "a type": changed(imu=lambda i: i.assign(gyr=i["gyr"].astype("float64").assign_attrs(i["gyr"].attrs))),
    "the person": recording(person="other/S9"),
    "the activity": recording(activity="running"),
    "the sync": recording(sync={"method": "hardware", "offset_s": 0.006, "r": 0.99}),
    "the key": changed(key=lambda key: replace(key, session="2")),
    "a stream": recording(reference=False),
}
NOT_IDENTITY = {
    "history": recording(history=[{"step": "another"}]),
    "adapter": recording(adapter={"name": "lab", "version": "2"}),
    "source": recording(source=[]),
    "sync confidence": recording(sync={"method": "hardware", "offset_s": 0.005, "r": 0.9900000000000001}),
    "another NaN": changed(
        imu=with_values("acc", 0, np.array([0xFFC00001], dtype=np.uint32).view(np.float32)[0])
    ),
    "big-endian numbers": changed(imu=lambda i: i.assign(gyr=i["gyr"].astype(">f4").assign_attrs(i["gyr"].attrs))),
    "object labels": changed(
        imu=lambda i: i.assign_coords(segment=("sensor", np.array(["thigh_r", "shank_r"], dtype=object)))
    ),
    "order of variables": changed(imu=lambda i: xr.Dataset({n: i[n] for n in ("valid", "gyr", "acc")}, i.coords)),
}  # fmt: skip


@pytest.mark.parametrize("what", IDENTITY)
def test_the_digest_changes_with(what):
    assert store.content_digest(IDENTITY[what]) != store.content_digest(recording())


@pytest.mark.parametrize("what", NOT_IDENTITY)
def test_the_digest_does_not_change_with(what):
    assert store.content_digest(NOT_IDENTITY[what]) == store.content_digest(recording())


def test_the_digest_is_this_one_for_ever():
    # A change here makes every stored result a stranger to its data: raise the layout's format with it.
    assert store.content_digest(recording()) == "e576434fdfbf70cc039f0792ad32ddabf34c8c540952da9be850d04bd5722e2f"


# --- finding ---------------------------------------------------------------------------------------------------------


def test_keys_stand_in_natural_order_and_entries_beside_them(lab):
    opened = store.open(lab)
    assert [key.trial for key in opened] == ["walk", "walk2", "walk10"]
    assert [entry.key for entry in opened.entries()] == opened.keys() == list(opened)
    assert (opened.name, opened.card, len(opened)) == ("lab", CARD, 3)


def test_an_entry_tells_what_a_protocol_asks(lab):
    entry = store.open(lab).entries()[0]
    assert entry.person == "lab/S1"
    assert entry.duration_s == pytest.approx(0.39)
    assert (entry.imu_rate_hz, entry.reference_rate_hz) == (100.0, pytest.approx(100.0))
    assert [(sensor.sensor, sensor.segment, sensor.rotation_origin) for sensor in entry.sensors] == [
        ("a", "thigh_r", "declared"), ("b", "shank_r", "unknown"),
    ]  # fmt: skip
    assert (entry.signals, entry.acc_kind, entry.dofs) == (("acc", "gyr"), "specific_force", ("knee_flexion_r",))
    assert (entry.convention, entry.tier, entry.simulation) == ("isb_zxy", "simulation", True)


def test_a_store_opens_and_lists_without_opening_a_recording(lab, monkeypatch):
    from kinbench.store import unit

    monkeypatch.setattr(unit, "read_manifest", lambda *_: pytest.fail("a recording was opened"))
    opened = store.open(lab)
    assert len(opened.entries()) == 3
    assert opened.digest


@pytest.mark.parametrize("damage", ["gone", "cut", "lies"])
def test_the_index_is_derived_and_never_believed_over_the_recordings(lab, damage):
    before, index = store.open(lab).entries(), lab / "index.json"
    whole = index.read_bytes()
    if damage == "gone":
        index.unlink()
    elif damage == "cut":
        index.write_bytes(whole[:-40])
    else:
        index.write_bytes(whole.replace(b'"walking"', b'"running"'))
    opened = store.open(lab)
    assert opened.entries() == before
    assert opened.verify() == ([] if damage == "gone" else ["index.json: damaged; rebuild the index"])
    opened.rebuild_index()
    assert index.read_bytes() == whole
    assert opened.verify() == []


def test_a_recording_exchanged_by_hand_is_seen_at_once(lab, tmp_path):
    old = store.open(lab)
    known = old.digest
    with store.create(tmp_path / "other.zarr", dataset="lab", card=CARD) as writer:
        writer.write(recording("walk", seed=99))
    (lab / UNIT).write_bytes((tmp_path / "other.zarr" / UNIT).read_bytes())
    assert store.open(lab).digest != known
    assert store.open(lab).verify() == []


# --- writing ---------------------------------------------------------------------------------------------------------


def test_a_store_is_added_to_and_a_recording_replaced(lab):
    with store.create(lab, dataset="lab", card={**CARD, "version": "2"}) as writer:
        writer.write(recording("walk", seed=50))
        writer.write(recording("run", seed=51))
    opened = store.open(lab)
    assert opened.card["version"] == "2"
    assert [key.trial for key in opened] == ["run", "walk", "walk2", "walk10"]
    assert_same(opened.read(Key("lab", "S1", "1", "walk")), recording("walk", seed=50))
    assert opened.verify() == []


def test_has_knows_source_adapter_and_damage(lab):
    one = recording("walk", seed=4)
    with store.create(lab, dataset="lab", card=CARD) as writer:
        assert writer.has(one.key)
        assert writer.has(one.key, source=one.attrs["source"], adapter=one.attrs["adapter"])
        assert not writer.has(one.key, source=[{"name": "walk.csv", "sha256": "1" * 64}])
        assert not writer.has(one.key, adapter={"name": "lab", "version": "2"})
        assert not writer.has(replace(one.key, trial="absent"))
        flip(lab / UNIT, 5000)
        assert not writer.has(one.key)
        writer.write(one)
        assert writer.has(one.key)


def test_remove_takes_the_recording_and_its_empty_folders(lab):
    with store.create(lab, dataset="lab", card=CARD) as writer:
        for trial in ("walk", "walk2", "walk10"):
            writer.remove(Key("lab", "S1", "1", trial))
        with pytest.raises(StoreError, match="no recording lab/S1/1/walk to remove"):
            writer.remove(Key("lab", "S1", "1", "walk"))
    opened = store.open(lab)
    assert opened.keys() == []
    assert opened.verify() == []
    assert list((lab / "recordings").iterdir()) == []


def test_what_a_killed_writer_left_aside_is_swept(lab):
    (lab / ".staging").mkdir()
    (lab / ".staging" / "walk.zarr.zip").write_bytes(b"half")
    assert store.open(lab).verify() == []
    with store.create(lab, dataset="lab", card=CARD):
        pass
    assert not (lab / ".staging").exists()


def test_an_error_while_writing_keeps_what_is_whole(tmp_path):
    with (
        pytest.raises(KeyboardInterrupt),
        store.create(tmp_path / "lab.zarr", dataset="lab", card=CARD) as writer,
    ):
        writer.write(recording())
        raise KeyboardInterrupt
    assert store.open(tmp_path / "lab.zarr").verify() == []
    assert len(store.open(tmp_path / "lab.zarr")) == 1


BAD = {
    "declared": (replace(recording(), declared=Declared()), "harmonise"),
    "attribute against key": (recording(subject="S1", trial="walk", session="9"), "session is '9'"),
    "NaN in attributes": (recording(quality={"x": float("nan")}), r"quality.x.*finite"),
    "object in attributes": (recording(quality={1, 2}), "quality.*JSON-plain"),
    "number as a name": (recording(quality={1: 2}), "must be text"),
    "array of objects": (changed(imu=lambda i: i.assign(odd=("sensor", np.array([1, 2], dtype=object)))), "imu.odd"),
    "array of dates": (changed(imu=lambda i: i.assign(odd=("sensor", np.zeros(2, dtype="m8[s]")))), "imu.odd"),
    "key as a path": (changed(key=lambda key: replace(key, trial="../x")), "identifier"),
    "another dataset": (changed(key=lambda key: replace(key, dataset="b")), "does not belong"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_recording_that_cannot_be_stored_is_refused_and_nothing_is_left(tmp_path, what):
    (bad, message), path = BAD[what], tmp_path / "lab.zarr"
    if what == "key as a path":
        bad = replace(bad, attrs={})
    with store.create(path, dataset="lab", card=CARD) as writer, pytest.raises(DataError, match=message):
        writer.write(bad)
    assert store.open(path).keys() == []
    assert store.open(path).verify() == []


# --- refusals -------------------------------------------------------------------------------------------------------


def test_an_absent_store_says_what_to_run(tmp_path):
    with pytest.raises(StoreError, match="kinbench convert"):
        store.open(tmp_path / "none.zarr")
    (tmp_path / "some").mkdir()
    with pytest.raises(StoreError, match=r"not a kinbench store.*kinbench convert"):
        store.open(tmp_path / "some")


def test_another_version_is_refused(lab):
    for name in ("kinbench_format", "schema_version"):
        root = json.loads((lab / "zarr.json").read_bytes())
        root["attributes"][name] = "99"
        (lab / "zarr.json").write_text(json.dumps(root))
        with pytest.raises(StoreError, match="99"):
            store.open(lab)
        (lab / "zarr.json").write_text(json.dumps(root).replace('"99"', '"1"'))


def test_an_edited_or_alien_card_is_refused(lab):
    text = (lab / "zarr.json").read_text()
    for other in (text.replace("A lab", "B lab"), '{"zarr_format": 3, "node_type": "group"}', "[]", "{"):
        (lab / "zarr.json").write_text(other)
        with pytest.raises(StoreError, match="convert the dataset again"):
            store.open(lab)


def test_an_unknown_recording_is_named_with_the_nearest(lab):
    with pytest.raises(StoreError, match="Did you mean 'lab/S1/1/walk'"):
        store.open(lab).read(Key("lab", "S1", "1", "walc"))
    with pytest.raises(StoreError, match="no recording other/S1/1/walk"):
        store.open(lab).read(Key("other", "S1", "1", "walk"))


def test_a_recording_is_read_by_the_text_of_its_key(lab):
    opened, one = store.open(lab), recording("walk", seed=4)
    assert_same(opened.read("lab/S1/1/walk"), one)
    assert opened.read_inputs("lab/S1/1/walk")[0].identical(one.imu)
    for read in (opened.read, opened.read_inputs):
        for wrong in ("lab/S1/1/walc", "S1/1/walk", "lab/S1/1/walk/", "lab/S1/1/walk!"):
            with pytest.raises(StoreError, match="Did you mean 'lab/S1/1/walk'"):
                read(wrong)


def test_a_folder_or_store_of_another_is_not_written_into(lab, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for path, name, message in (
        (tmp_path / "home", "lab", "thesis.txt"),
        (tmp_path / "file", "lab", "a file stands"),
        (lab, "other", "the store of 'lab'"),
    ):
        with pytest.raises(StoreError, match=message), store.create(path, dataset=name, card=CARD):
            pass
    assert tree(tmp_path / "home") == {"thesis.txt": b"mine"}
    assert store.open(lab).verify() == []


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with (
        pytest.raises(StoreError, match="make the folder writable"),
        store.create(tmp_path / "file" / "lab.zarr", dataset="lab", card=CARD),
    ):
        pass


# --- damage -----------------------------------------------------------------------------------------------------------


def flip(path, bit):
    data = bytearray(path.read_bytes())
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    path.write_bytes(data)


def test_no_flipped_bit_is_silent(lab):
    opened, key = store.open(lab), Key("lab", "S1", "1", "walk")
    good, whole = opened.read(key), (lab / UNIT).read_bytes()
    rng = np.random.default_rng(0)
    for bit in rng.integers(0, 8 * len(whole), 250):
        flip(lab / UNIT, int(bit))
        assert any(line.startswith(UNIT.as_posix()) for line in opened._unit_problems())
        with pytest.raises(StoreError, match="walk"):
            opened.read(key)
        try:
            imu, attrs = opened.read_inputs(key)
            assert imu.identical(good.imu)
            assert attrs == good.attrs
        except StoreError as error:
            assert "walk.zarr.zip" in str(error)
        (lab / UNIT).write_bytes(whole)


def test_verify_names_a_cut_lost_swapped_renamed_or_foreign_file(lab):
    one, two = lab / UNIT, lab / "recordings/S1/1/walk2.zarr.zip"
    first, second = one.read_bytes(), two.read_bytes()

    def verified():
        return store.open(lab).verify()

    for cut in (0, 30, len(first) // 2, len(first) - 1):
        one.write_bytes(first[:cut])
        with pytest.raises(StoreError, match="walk"):
            store.open(lab).read(Key("lab", "S1", "1", "walk"))
        assert any(line.startswith(UNIT.as_posix()) for line in store.open(lab).verify())
    one.write_bytes(second)
    two.write_bytes(first)
    assert len([line for line in verified() if "swapped or renamed" in line]) == 2
    two.unlink()
    one.write_bytes(first)
    assert verified() == ["recordings/S1/1/walk2.zarr.zip: missing; convert it again"]
    two.write_bytes(second)
    (lab / "recordings/S1/notes.txt").write_text("hello")
    assert verified() == ["recordings/S1/notes.txt: not part of the store; move it elsewhere"]


def test_a_forged_manifest_is_found(lab):
    # Everything resealed, as a careful hand would: only the content can tell.
    from kinbench.store import unit

    with zipfile.ZipFile(lab / UNIT) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for old, new, message in ((b'"walking"', b'"running"', "index entry"), (b'"digest":"', b'"digest":"0', "digest")):
        forged = members | {"manifest.json": members["manifest.json"].replace(old, new)}
        (lab / UNIT).write_bytes(unit._sealed_zip(forged))
        assert any(message in line for line in store.open(lab).verify())
    lost = {name: data for name, data in members.items() if name != "inputs/acc/c/0/0/0"}
    (lab / UNIT).write_bytes(unit._sealed_zip(lost))
    for read in (store.open(lab).read, store.open(lab).read_inputs):
        with pytest.raises(StoreError, match="inputs/acc/c/0/0/0 is missing"):
            read(Key("lab", "S1", "1", "walk"))


def test_a_damaged_recording_does_not_hide_in_the_listing(lab):
    (lab / "index.json").unlink()
    (lab / UNIT).write_bytes(b"nothing")
    with pytest.raises(StoreError, match=r"walk\.zarr\.zip"):
        store.open(lab).keys()


SPOILED = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:900]),
    "empty": lambda path: path.write_bytes(b""),
    "swapped": lambda path: path.write_bytes(path.with_name("walk2.zarr.zip").read_bytes()),
    "a stray": lambda path: path.with_name("foo.zarr.zip").write_bytes(b"hello"),
    "a copy": lambda path: path.with_name("foo.zarr.zip").write_bytes(path.read_bytes()),
    "a folder": lambda path: path.with_name("foo.zarr.zip").mkdir(),
    "lost": lambda path: path.unlink(),
}


@pytest.mark.parametrize("how", SPOILED)
def test_a_reader_names_all_that_is_damaged_or_lost_and_goes_on_with_none(lab, how):
    SPOILED[how](lab / UNIT)
    (lab / "recordings/S1/1/walk10.zarr.zip").write_bytes(b"")
    spoiled = "foo" if (lab / UNIT).with_name("foo.zarr.zip").exists() else "walk"
    opened = store.open(lab)
    for ask in (opened.entries, opened.keys, lambda: opened.digest, lambda: len(opened)):
        with pytest.raises(StoreError, match="kinbench validate") as told:
            ask()
        for trial in (spoiled, "walk10"):
            assert any(line.startswith(f"recordings/S1/1/{trial}.zarr.zip: ") for line in told.value.problems)
        assert "convert them again" in str(told.value)
        assert "walk2.zarr.zip" not in "".join(line.partition(":")[0] for line in told.value.problems)
    assert "damaged" in repr(opened)
    told = {line.partition(":")[0] for line in opened.verify()}
    assert {f"recordings/S1/1/{trial}.zarr.zip" for trial in (spoiled, "walk10")} == told
    assert opened.read("lab/S1/1/walk2").key.trial == "walk2"


@pytest.mark.parametrize("how", ["cut", "empty", "swapped", "lost"])
def test_writing_a_spoiled_recording_again_mends_the_store(lab, how):
    whole = tree(lab)
    SPOILED[how](lab / UNIT)
    with store.create(lab, dataset="lab", card=CARD) as writer:
        assert not writer.has(Key("lab", "S1", "1", "walk"))
    with pytest.raises(StoreError, match=r"walk\.zarr\.zip"):  # a writer that did not mend it does not hide it
        store.open(lab).keys()
    with store.create(lab, dataset="lab", card=CARD) as writer:
        writer.write(recording("walk", seed=4))
    assert store.open(lab).verify() == []
    assert tree(lab) == whole


def test_a_lost_recording_is_forgotten_by_removing_it_or_by_a_rebuilt_index(lab):
    (lab / UNIT).unlink()
    with store.create(lab, dataset="lab", card=CARD) as writer:
        writer.remove(Key("lab", "S1", "1", "walk"))
    assert [key.trial for key in store.open(lab)] == ["walk2", "walk10"]
    (lab / "recordings/S1/1/walk2.zarr.zip").unlink()
    with pytest.raises(StoreError, match="expected recording lab/S1/1/walk2, found its file missing; convert it again"):
        store.open(lab).read("lab/S1/1/walk2")
    store.open(lab).rebuild_index()
    assert [key.trial for key in store.open(lab)] == ["walk10"]
    assert store.open(lab).verify() == []


def test_an_index_is_rebuilt_around_a_damaged_recording_which_stays_to_be_told(lab):
    (lab / UNIT).write_bytes(b"")
    store.open(lab).rebuild_index()
    with pytest.raises(StoreError, match=r"walk\.zarr\.zip"):
        store.open(lab).keys()


def test_a_reader_of_an_old_index_does_not_take_a_removed_recording_for_a_lost_one(lab, monkeypatch):
    from kinbench.store import index

    old, listed = index.stored(lab), []
    with store.create(lab, dataset="lab", card=CARD) as writer:
        writer.remove(Key("lab", "S1", "1", "walk"))
    now = index.stored
    monkeypatch.setattr(index, "stored", lambda root: listed.append(root) or (old if len(listed) == 1 else now(root)))
    assert [key.trial for key in store.open(lab)] == ["walk2", "walk10"]
    assert len(listed) == 2


# --- flat arrays ------------------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 3) | st.sampled_from([8191, 8192, 8193, 20_000]),
    st.sampled_from(["float32", "float64", "int64", "bool", ">f4"]),
    st.sampled_from([(), (1,), (5,), (2, 3), (0,)]),
)
def test_flat_arrays_are_maps_and_plain_zarr_at_once(tmp_path_factory, rows, dtype, rest):
    folder = tmp_path_factory.mktemp("cache") / "task"
    values = (np.random.default_rng(0).normal(size=(rows, *rest)) * 3).astype(dtype)
    zeros = np.zeros((rows, *rest), dtype)
    store.write_flat(folder, {"x": values, "zeros": zeros}, {"keys": ["a", "b"], "digest": "1"})
    found, meta = store.open_flat(folder)
    assert meta == {"keys": ["a", "b"], "digest": "1"}
    for name, expected in (("x", values), ("zeros", zeros)):
        assert found[name].dtype == expected.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found[name], expected)
        np.testing.assert_array_equal(zarr.open_array(folder / name, mode="r")[...], expected)
    assert rows * int(np.prod(rest)) == 0 or isinstance(found["x"], np.memmap)


def test_flat_arrays_are_replaced_and_read_only(tmp_path):
    for value in (1.0, 2.0):
        store.write_flat(tmp_path / "task", {"x": np.full((9, 2), value)}, {})
    found, _ = store.open_flat(tmp_path / "task")
    assert found["x"][0, 0] == 2.0
    with pytest.raises(ValueError, match="read-only"):
        found["x"][0, 0] = 3.0
    assert sorted(path.name for path in tmp_path.iterdir()) == [".task.lock", "task"]


def test_incomplete_flat_arrays_are_none(tmp_path):
    folder = tmp_path / "task"
    assert store.open_flat(folder) is None
    store.write_flat(folder, {"x": np.zeros((9000, 2), np.float32)}, {})
    shard, root = folder / "x/c/0/0", folder / "zarr.json"
    whole, text = shard.read_bytes(), root.read_bytes()
    for path, data in (
        (shard, whole[:-1]),
        (root, text[:50]),
        (root, b"[]"),
        (root, text.replace(b'"kinbench_flat": "2"', b'"kinbench_flat": "1"')),
    ):
        path.write_bytes(data)
        assert store.open_flat(folder) is None
        shard.write_bytes(whole)
        root.write_bytes(text)
    assert store.open_flat(folder) is not None


@pytest.mark.parametrize("name", ["x", "mask", "hashes"])
def test_no_flipped_bit_of_flat_arrays_is_silent(tmp_path, name):
    folder = tmp_path / "task"
    arrays = {
        "x": np.ones((50, 3), np.float32),
        "mask": np.zeros((9, 2), bool),
        "hashes": np.arange(7, dtype=np.uint64),
    }
    store.write_flat(folder, arrays, {"rows": [50, 9]})
    assert store.open_flat(folder) is not None
    shard = folder / name / "/".join(["c", *("0" for _ in arrays[name].shape)])
    flip(shard, 8 * arrays[name].nbytes - 3)
    assert store.open_flat(folder) is None
    store.write_flat(folder, arrays, {"rows": [50, 9]})
    assert store.open_flat(folder) is not None


def test_altered_meta_and_arrays_without_a_checksum_are_none(tmp_path):
    folder = tmp_path / "task"
    store.write_flat(folder, {"x": np.ones((5, 3))}, {"offset": 17})
    whole = (folder / "zarr.json").read_bytes()
    assert b"17" in whole
    for bad in (whole.replace(b"17", b"16"), whole.replace(b'"sha256"', b'"sha255"')):
        (folder / "zarr.json").write_bytes(bad)
        assert store.open_flat(folder) is None


@pytest.mark.parametrize("values", [np.array(["a"]), np.float32(1), np.array([object()])])
def test_only_blocks_of_numbers_are_flat(tmp_path, values):
    with pytest.raises(StoreError, match="no block of numbers"):
        store.write_flat(tmp_path / "task", {"x": np.asarray(values)}, {})
    assert list(tmp_path.iterdir()) == []


def _fill_cache(folder):
    for value in range(5):
        store.write_flat(folder, {"x": np.full((9000, 3), value)}, {"value": value})


def test_two_builders_of_one_cache_take_turns(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_fill_cache, args=(tmp_path / "task",)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    found, meta = store.open_flat(tmp_path / "task")
    assert (found["x"] == meta["value"]).all()
