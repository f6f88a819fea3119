import json

import numpy as np
import pytest
from store_cases import CARD, recording

from kinbench import store, verification
from kinbench.errors import StoreError


def calm(trial="walk", **options):
    """A recording in which nothing is wrong: at rest, with a knee that does not move."""
    made = recording(trial, n=200, **options)
    rng = np.random.default_rng(1)
    made.imu["acc"].values = (rng.normal(0, 0.01, (200, 2, 3)) + np.array([0, 9.8, 0])).astype(np.float32)
    made.imu["gyr"].values = rng.normal(0, 0.01, (200, 2, 3)).astype(np.float32)
    made.reference["angle"].values = (10 + rng.normal(0, 0.1, (200, 1))).astype(np.float32)
    made.imu["valid"].values[:] = True
    return made


@pytest.fixture
def stored(tmp_path):
    def write(*recordings):
        with store.create(tmp_path / "lab.zarr", dataset="lab", card=CARD) as writer:
            for each in recordings:
                writer.write(each)
        return tmp_path / "lab.zarr"

    return write


def test_a_sound_store_is_ok(stored):
    steps = []
    report = verification.validate(stored(calm("a"), calm("b")), on_progress=lambda *step: steps.append(step))
    assert report.ok, report.text()
    assert report.recordings == 2
    assert report.counts()["PASS"] > 10
    assert steps == [(0, 3, "files"), (1, 3, "lab/S1/1/a"), (2, 3, "lab/S1/1/b"), (3, 3, "done")]


def test_validating_twice_says_the_same(stored):
    path = stored(calm())
    assert verification.validate(path) == verification.validate(path)


def test_there_must_be_a_store(tmp_path):
    with pytest.raises(StoreError):
        verification.validate(tmp_path / "none.zarr")


def test_a_breach_of_the_schema_is_listed_and_its_signals_are_not_judged(stored):
    wrong = calm("wrong")
    wrong.imu["acc"].attrs["units"] = "g"
    report = verification.validate(stored(wrong, calm("fine")))
    assert not report.ok
    assert [(key, breach.path) for key, breach in report.breaches] == [("lab/S1/1/wrong", "imu.acc.units")]
    assert {f.check for key, f in report.findings if key.endswith("wrong")} == {"physics"}
    assert {f.verdict for key, f in report.findings if key.endswith("fine")} == {"PASS", "NOT ASSESSED"}


def test_a_breach_elsewhere_does_not_keep_physics_from_being_judged(stored):
    wrong = calm()
    attrs = dict(wrong.attrs, activity="strolling")
    wrong = type(wrong)(wrong.key, wrong.imu, wrong.reference, attrs)
    report = verification.validate(stored(wrong))
    assert [breach.path for _, breach in report.breaches] == ["attrs.activity"]
    assert report.counts()["PASS"] > 5


def test_a_fault_of_physics_is_a_failure(stored):
    wrong = calm()
    wrong.imu["acc"].values[:] *= np.float32(1 / 9.8)
    report = verification.validate(stored(wrong))
    assert not report.ok
    assert not report.breaches
    assert {f.check for _, f in report.failures} == {"gravity"}


def test_damage_is_told_and_the_other_recordings_are_checked_all_the_same(stored):
    path = stored(calm("a"), calm("b"))
    unit = next(p for p in sorted(path.rglob("*")) if p.is_file() and "a" in p.stem and p.stat().st_size > 2000)
    data = bytearray(unit.read_bytes())
    data[len(data) // 2] ^= 0xFF
    unit.write_bytes(bytes(data))
    report = verification.validate(path)
    assert not report.ok
    assert report.damaged
    assert [key for key, _ in report.unread] == ["lab/S1/1/a"]
    assert {key for key, _ in report.findings} == {"lab/S1/1/b"}


def test_spoiled_files_hide_neither_each_other_nor_the_breaches_and_physics_of_the_rest(stored):
    breached, faulty = calm("e"), calm("f")
    breached.imu["acc"].attrs["units"] = "g"
    faulty.imu["acc"].values[:] *= np.float32(1 / 9.8)
    path = stored(calm("a"), calm("b"), calm("c"), calm("d"), breached, faulty, calm("g"))
    units = path / "recordings/S1/1"
    whole = (units / "a.zarr.zip").read_bytes()
    (units / "a.zarr.zip").write_bytes(whole[: len(whole) // 2])
    (units / "b.zarr.zip").write_bytes(b"")
    (units / "c.zarr.zip").write_bytes((units / "g.zarr.zip").read_bytes())
    (units / "d.zarr.zip").unlink()
    (units / "foo bar.zarr.zip").write_bytes(b"hello")
    report = verification.validate(path)
    assert not report.ok
    names = [f"recordings/S1/1/{name}.zarr.zip" for name in ("a", "b", "c", "d", "foo bar")]
    assert sorted({sentence.partition(":")[0] for sentence in report.damaged}) == names
    assert [key for key, _ in report.unread] == [f"lab/S1/1/{name}" for name in ("a", "b", "c", "foo bar")]
    assert [key for key, _ in report.breaches] == ["lab/S1/1/e"]
    joined = "lab/S1: 2 short recordings joined"
    assert {key for key, _ in report.failures} == {"lab/S1/1/f", joined}
    assert {key for key, _ in report.findings} == {*(f"lab/S1/1/{name}" for name in "efg"), joined}
    assert "if it is no recording, move it elsewhere" in report.text()
    assert "7 recordings, 4 unread; 5 faults of files" in report.text()


def test_the_report_reads_as_json_table_and_text(stored):
    wrong = calm("wrong")
    wrong.imu["acc"].attrs["units"] = "g"
    still = calm("still")
    still.imu["gyr"].values[50:150] = 0
    report = verification.validate(stored(wrong, still))
    plain = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert plain["ok"] is False
    assert plain["breaches"][0]["expected"] == "m s-2"
    table = report.table()
    assert list(table.columns) == list(verification.COLUMNS)
    assert len(table) == len(report.breaches) + len(report.findings) + len(report.pooled) + len(report.warnings)
    assert {"tip 2", "tip 4"} <= set(table.loc[table.verdict == "WARNING", "check"])
    assert {tip["number"] for tip in plain["tips"]} == set(range(1, 8))
    assert {one["check"]: one["verdict"] for one in plain["pooled"]}["stuck"] == "FAIL"
    assert {"schema", "stuck"} <= set(table.loc[table.verdict == "FAIL", "check"])
    text = report.text()
    assert "lab/S1/1/wrong: imu.acc.units: expected m s-2, found 'g'" in text
    assert "the same numbers for 1.00 s" in text
    assert "not assessed" in text
    assert "too still to tell" not in report.text(findings=False)


def test_an_empty_store_has_an_empty_table(stored):
    report = verification.validate(stored())
    assert report.ok
    assert report.table().empty
