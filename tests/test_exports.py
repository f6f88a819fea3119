"""A task's data for people who train elsewhere: the same numbers as the task cache, the same bytes every time."""

import csv
import hashlib
import json

import numpy as np
import pytest
from runner_cases import TASK, Across, General, Individual, laboratory, recording

from kinbench import exports, store, windows
from kinbench.errors import NotApplicable, UsageError
from kinbench.protocol import fold_digest
from kinbench.recording import Span


@pytest.fixture(scope="module")
def labs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return [laboratory(folder, "one"), laboratory(folder, "two", ("P1", "P2"), seconds=20.0)]


@pytest.fixture
def write(labs, tmp_path):
    """Export both laboratories; returns (folder, export)."""

    def write(name="out", stores=labs, **how):
        done = exports.export(stores, how.pop("task", TASK), tmp_path / name, cache=tmp_path / "cache", **how)
        return tmp_path / name, done

    return write


@pytest.fixture
def data(labs, tmp_path):
    return {lab.name: windows.prepare(lab, TASK, cache=tmp_path / "cache") for lab in labs}


def every_span(data):
    return [Span(str(entry.key), *run) for entry in data.entries for run in entry.runs]


def bytes_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- the numbers -----------------------------------------------------------------------------------------------------


def test_the_windows_are_those_of_the_task_cache(write, data):
    folder, done = write()
    for name, mine in data.items():
        batches = mine.batches(every_span(mine))
        with np.load(folder / f"{name}.npz") as found:  # no pickle
            assert found["x"].dtype == np.float32
            for array in ("x", "y", "valid"):
                np.testing.assert_array_equal(found[array], getattr(batches, array))
            assert tuple(found["channels"]) == TASK.channel_names
            assert list(found["channel_units"]) == ["rad s-1"] * 3
            assert tuple(found["dofs"]) == TASK.dofs
            assert list(found["dof_units"]) == ["deg"]
            assert (found["rate_hz"], found["window"], found["stride"]) == (50.0, 32, 16)
            assert (found["task"], found["task_digest"]) == (TASK.name, windows.task_digest(TASK))
            assert len(batches) == next(d["windows"] for d in done.about["datasets"] if d["name"] == name) > 20


def test_every_window_says_whose_it_is_and_where_it_stands(write, data):
    folder, _ = write()
    for name, mine in data.items():
        offsets = {(str(mine.entries[p.entry].key), TASK.legs[p.leg]): p.offset for p in mine.pieces}
        with np.load(folder / f"{name}.npz") as found:
            for number in range(len(found["x"])):
                row = offsets[str(found["key"][number]), str(found["leg"][number])] + int(found["start"][number])
                np.testing.assert_array_equal(found["x"][number], mine.signals[row : row + TASK.window])
                assert str(found["key"][number]).startswith(str(found["person"][number]))


def test_tables_read_back_to_the_same_numbers(write, data):
    folder, _ = write(format="csv")
    for name, mine in data.items():
        for number, entry in enumerate(mine.entries):
            with (folder / name / entry.key.subject / "1" / "walk.csv").open(newline="") as file:
                header, *rows = csv.reader(file)
            assert header == [
                "leg", "sample", "time [s]", "used", "shank/gyr/x [rad s-1]", "shank/gyr/y [rad s-1]",
                "shank/gyr/z [rad s-1]", "knee_flexion [deg]",
            ]  # fmt: skip
            for piece in (piece for piece in mine.pieces if piece.entry == number):
                leg = [row for row in rows if row[0] == TASK.legs[piece.leg]]
                numbers = np.array([[float(cell or "nan") for cell in row[4:]] for row in leg], dtype=np.float32)
                at = slice(piece.offset, piece.offset + piece.samples)
                np.testing.assert_array_equal(numbers[:, :3], mine.signals[at])
                np.testing.assert_array_equal(numbers[:, 3:], mine.targets[at])
                assert [float(row[2]) for row in leg] == [sample / TASK.rate_hz for sample in range(piece.samples)]
                used = np.flatnonzero([row[3] == "1" for row in leg])
                assert used.tolist() == [sample for run in piece.runs for sample in range(*run)]


def test_missing_numbers_are_empty_cells(write, tmp_path):
    gappy = recording("gappy", "S1")
    gappy.imu["gyr"].values[400:600] = np.nan
    with store.create(tmp_path / "gappy.zarr", dataset="gappy", card={"name": "gappy"}) as writer:
        writer.write(gappy)
    folder, _ = write(stores=[store.open(tmp_path / "gappy.zarr")], format="csv")
    lines = (folder / "gappy" / "S1" / "1" / "walk.csv").read_text().splitlines()
    assert lines[1 + 500].split(",")[3:7] == ["0", "", "", ""]
    assert lines[1 + 700].split(",")[3] == "1"
    assert "nan" not in "".join(lines)


def test_folders_hold_the_same_numbers_by_segment_and_joint(write, data):
    folder, _ = write(format="folders")
    for mine in data.values():
        for piece in mine.pieces:
            key, leg = mine.entries[piece.entry].key, TASK.legs[piece.leg]
            person = folder / TASK.name / f"{key.dataset}@{key.subject}"
            at = slice(piece.offset, piece.offset + piece.samples)
            np.testing.assert_array_equal(np.load(person / "shank" / "1" / f"walk_{leg}.imu.npy"), mine.signals[at])
            np.testing.assert_array_equal(np.load(person / "knee" / "1" / f"walk_{leg}.angle.npy"), mine.targets[at])
            about = json.loads((person / "about" / "1" / f"walk_{leg}.json").read_text())
            assert about["columns"][f"knee/1/walk_{leg}.angle.npy"] == ["knee_flexion [deg]"]
            assert (about["rate_hz"], about["samples"]) == (50.0, piece.samples)
            assert about["used"] == [list(run) for run in piece.runs]


@pytest.mark.parametrize("format", exports.FORMATS)
def test_the_same_stores_give_the_same_bytes(write, format):
    once, _ = write("once", format=format, protocols=[General()])
    again, _ = write("again", format=format, protocols=[General()])
    assert bytes_of(once) == bytes_of(again)


# --- what lies beside ------------------------------------------------------------------------------------------------


def test_the_export_tells_what_it_is(write, labs):
    folder, done = write()
    about = json.loads((folder / "export.json").read_text())
    assert about == json.loads(json.dumps(done.about))
    assert [part["digest"] for part in about["datasets"]] == [lab.digest for lab in labs]
    assert about["datasets"][0]["persons"] == ["one/S1", "one/S2", "one/S3"]
    assert about["task"]["definition"]["window"] == TASK.window
    written = bytes_of(folder)
    assert set(about["files"]) == set(written) - {"export.json"}
    for name, sha256 in about["files"].items():
        assert hashlib.sha256(written[name]).hexdigest() == sha256


def test_folds_are_those_of_the_protocol(write, data):
    folder, done = write(protocols=[Individual(), General(), Across()])
    for protocol in (Individual(), General()):
        found = json.loads((folder / "folds" / f"{protocol.card.name}.json").read_text())["folds"]
        folds = protocol.folds(data["one"].entries, TASK)
        mine = [fold for fold in found if fold["test_dataset"] == "one"]
        assert [fold["digest"] for fold in mine] == [fold_digest(fold, TASK, protocol.card) for fold in folds]
        for said, fold in zip(mine, folds, strict=True):
            assert {role: [Span(*span) for span in spans] for role, spans in said["roles"].items()} == {
                role: sorted(spans) for role, spans in fold.roles.items()
            }
    assert done.about["folds"]["toy-ug"]["not_applicable"] == ["two: toy-ug needs three people and there are 2"]
    across = json.loads((folder / "folds" / "toy-cross.json").read_text())["folds"]
    assert [fold["name"] for fold in across] == ["one to two", "two to one"]


def test_the_licence_lies_beside_the_data(write, tmp_path):
    for name, free in (("open", True), ("closed", False), ("silent", None)):
        card = {"name": name, "licence": f"licence of {name}", "citation": "Someone 2020"}
        card |= {} if free is None else {"redistributable": free}
        with store.create(tmp_path / f"{name}.zarr", dataset=name, card=card) as writer:
            writer.write(recording(name, "S1"))
        folder, _ = write(name, stores=[store.open(tmp_path / f"{name}.zarr")])
        text = (folder / "LICENCE.txt").read_text()
        assert f"licence of {name}" in text
        assert "Someone 2020" in text
        assert ("NOT TO BE PASSED ON" in text) == (free is not True)


# --- whole or not at all ---------------------------------------------------------------------------------------------


class Broken(General):
    def folds(self, entries, task):
        raise RuntimeError("broken protocol")


def test_an_export_that_fails_leaves_nothing(write, tmp_path):
    with pytest.raises(RuntimeError, match="broken protocol"):
        write(protocols=[Broken()])
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == []


def test_an_export_that_fails_leaves_the_one_before(write, tmp_path):
    folder, _ = write()
    before = bytes_of(folder)
    with pytest.raises(RuntimeError, match="broken protocol"):
        write(protocols=[Broken()], force=True)
    assert bytes_of(folder) == before


def test_only_an_export_is_ever_replaced(write, tmp_path):
    folder, _ = write()
    with pytest.raises(UsageError, match=r"not empty.*--force"):
        write()
    write(format="csv", force=True)
    assert not list(folder.glob("*.npz"))
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match=r"no export\.json"):
        write("thesis", force=True)
    assert [path.name for path in other.iterdir()] == ["thesis.tex"]
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="found a file"):
        write("file", force=True)


def test_what_cannot_be_exported_is_told(write, labs):
    with pytest.raises(UsageError, match="Did you mean 'npz'"):
        write(format="npy")
    with pytest.raises(UsageError, match="'one' twice"):
        write(stores=[labs[0], labs[0]])
    with pytest.raises(NotApplicable, match="activity is 'walking'"):
        write(task=type(TASK)(**{**vars(TASK), "activities": ("running",)}))
