"""The real laboratories, from their own files to a transfer matrix: measured clocks, physics, and the refusals."""

import json
import shutil

import numpy as np
import pytest
from conftest import ROOT, SHARED, needs_shared

import kinbench
from kinbench import alignment, inspection, plugins, verification, windows
from kinbench.errors import NotApplicable

pytestmark = [needs_shared, pytest.mark.xdist_group("laboratories")]
MANIFESTS = ROOT / "tests" / "manifests"
LABORATORIES = ("neura_sparse", "fan_knee", "halilaj_lab", "capsense_treadmill", "zare_ankle")
KNEES = LABORATORIES[:4]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """All five laboratories, converted as a user would convert them."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KINBENCH_SHARED_DATA", str(SHARED))
        for name in LABORATORIES:
            assert not kinbench.convert("lab", MANIFESTS / name, data=folder).failed
    return folder


def recording(data, name, subject=None):
    store = kinbench.open(name, data=data)
    return store.read(next(key for key in store if subject in (None, key.subject)))


@pytest.mark.parametrize(
    ("name", "subject", "shift_samples", "tolerance"),
    [
        ("halilaj_lab", None, 116.7, 1.0),
        ("fan_knee", None, -0.3, 0.5),
        ("neura_sparse", None, 1.5, 0.5),
        ("capsense_treadmill", "Sub02", 1.7, 0.7),
        *(("zare_ankle", person, 0.0, 0.5) for person in ("2", "7", "8", "10")),
    ],
)
def test_the_clocks_stand_as_measured_elsewhere(data, name, subject, shift_samples, tolerance):
    found = recording(data, name, subject)
    sync = found.attrs["sync"]
    rate_hz = found.attrs["rates"]["imu"]["nominal_hz"] or found.attrs["rates"]["imu"]["measured_hz"]
    assert sync["confident"] is True
    assert sync["measured_shift_s"] * rate_hz == pytest.approx(shift_samples, abs=tolerance)


@pytest.mark.parametrize(
    ("name", "subject", "dof", "span_s", "least"),
    [
        ("neura_sparse", None, "knee_flexion_r", None, 0.95),
        ("neura_sparse", None, "knee_flexion_l", None, 0.95),
        ("fan_knee", None, "knee_flexion_l", None, 0.95),
        ("capsense_treadmill", "Sub02", "knee_flexion_r", None, 0.95),
        ("capsense_treadmill", "Sub02", "knee_flexion_l", None, 0.95),
        ("halilaj_lab", None, "knee_flexion_l", (333.0, 346.0), 0.9),
        *(("zare_ankle", person, "ankle_dorsiflexion_r", None, 0.95) for person in ("2", "7", "8", "10")),
    ],
)
def test_the_references_rate_is_explained_by_the_two_gyros(data, name, subject, dof, span_s, least):
    found = recording(data, name, subject)
    span = {} if span_s is None else {"start_s": span_s[0], "stop_s": span_s[1]}
    r = alignment.rate_correlation(found.imu, found.reference, dof, **span)
    assert r > least


@pytest.mark.parametrize("name", LABORATORIES)
def test_no_store_is_damaged_or_breaks_the_schema(data, name):
    report = verification.validate(data / f"{name}.zarr")
    assert report.damaged == report.breaches == report.unread == ()


@pytest.mark.parametrize("name", ["neura_sparse", "fan_knee", "halilaj_lab"])
def test_physics_finds_nothing_wrong_with_sound_recordings(data, name):
    assert verification.validate(data / f"{name}.zarr").ok


def test_physics_finds_the_known_faults_and_no_others(data):
    capsense = {finding.where for _, finding in verification.validate(data / "capsense_treadmill.zarr").failures}
    assert capsense == {"imu.acc[torso]", "imu.acc[toes_l]"}
    zare = verification.validate(data / "zare_ankle.zarr").failures
    assert {finding.check for _, finding in zare} == {"clipping"}


@pytest.mark.parametrize(
    ("name", "subject", "joints"),
    [
        ("neura_sparse", None, 6),
        ("fan_knee", None, 1),
        ("halilaj_lab", None, 1),
        ("capsense_treadmill", "Sub02", 6),
        *(("zare_ankle", person, 1) for person in ("2", "7", "8", "10")),
    ],
)
def test_the_declared_axes_follow_every_flexion_of_the_reference(data, name, subject, joints):
    found = inspection.check(recording(data, name, subject))
    followed = [f for f in found if f.check == "axes against the reference"]
    assert [f.verdict for f in followed] == ["PASS"] * joints
    assert min(f.value for f in followed) > 0.85


def test_gravity_stands_along_the_segments_at_rest(data):
    """The declared axes turn what a sensor reads while standing so that up is up."""
    found = recording(data, "neura_sparse")
    still = np.asarray(found.imu["time"]) < 1.0
    for segment in ("thigh_r", "thigh_l", "shank_r", "shank_l"):
        index = [str(name) for name in found.imu["segment"].values].index(segment)
        mean = found.imu["acc"].values[still, index].mean(axis=0) @ found.imu["rotation"].values[index].T
        assert np.linalg.norm(mean) == pytest.approx(9.81, abs=0.3)
        assert mean[1] / np.linalg.norm(mean) > np.cos(np.radians(30))


@pytest.mark.parametrize("name", KNEES)
def test_in_segment_axes_the_knee_turns_as_its_gyros_say(data, tmp_path, name):
    """Flexion rate = thigh minus shank about Z, on either leg: units, axes, signs, mirroring and clock at once."""
    task = plugins.get("tasks", "knee-pair").load()
    found = windows.prepare(kinbench.open(name, data=data), task, cache=tmp_path)
    z = [task.channel_names.index(f"{segment}/gyr/z") for segment in ("thigh", "shank")]
    for piece in found.pieces:
        rows = slice(piece.offset, piece.offset + piece.samples)
        rate = np.gradient(np.radians(found.targets[rows, 0]), 1 / task.rate_hz)
        gyros = found.signals[rows, z[0]] - found.signals[rows, z[1]]
        smooth = np.ones(9) / 9
        rate, gyros = (np.convolve(values, smooth, "same") for values in (rate, gyros))
        both = np.isfinite(rate) & np.isfinite(gyros)
        assert np.corrcoef(rate[both], gyros[both])[0, 1] > 0.9
        assert np.polyfit(gyros[both], rate[both], 1)[0] == pytest.approx(1.0, abs=0.15)


def test_what_a_recording_lacks_is_said_and_not_made_up(data):
    unlabelled = recording(data, "capsense_treadmill", "Sub01")
    assert unlabelled.reference is None
    assert "reference" in unlabelled.attrs["absent"]
    assert unlabelled.attrs["sync"]["method"] == "none"


def test_the_manifest_is_among_the_bytes_a_recording_came_from(data):
    names = {source["name"] for source in recording(data, "fan_knee").attrs["source"]}
    assert "kinbench.yaml" in names
    assert len(names) == 4


@pytest.fixture(scope="module")
def results(data, tmp_path_factory):
    """The knee transfer matrix and the ankle table, with the quick models."""
    folder = tmp_path_factory.mktemp("results")
    quick = {"models": ["mean-pose", "ridge"], "seeds": [0], "data": data, "results": folder}
    kinbench.run(protocols=["cross-dataset"], tasks=["knee-pair"], datasets=KNEES, **quick)
    kinbench.run(protocols=["ug"], tasks=["ankle-pair/free-acc"], datasets=["zare_ankle"], **quick)
    return folder


def test_four_laboratories_give_a_transfer_matrix_without_a_rank(results):
    (table,) = kinbench.leaderboard(protocols=["cross-dataset"], results=results)
    matrix = table.matrices["ridge", "rmse"]
    assert set(matrix.index) == set(matrix.columns) == set(KNEES)
    off_diagonal = matrix.values[~np.eye(4, dtype=bool)]
    assert np.isfinite(off_diagonal.astype(float)).all()
    assert table.overall["rank"].isna().all()
    assert table.overall["rmse_sd"].isna().all()
    assert "neura_sparse -> neura_sparse" in table.caption, "the empty diagonal cell is explained"
    assert "different conventions" in table.caption


def test_four_people_give_leave_one_person_out(results):
    (table,) = kinbench.leaderboard(protocols=["ug"], results=results)
    frame = table.overall.set_index("model")
    assert frame.loc["ridge", "n"] == 4
    assert frame.loc["ridge", "rank"] == 1
    assert frame.loc["ridge", "rmse"] < frame.loc["mean-pose", "rmse"]
    assert table.simulation is False


def test_plain_ankle_pair_is_refused_with_the_variants_name(data, tmp_path):
    with pytest.raises(NotApplicable, match=r"'gravity_removed'.*'ankle-pair/free-acc' would fit"):
        kinbench.plan(protocols=["ug"], tasks=["ankle-pair"], datasets=["zare_ankle"], data=data, results=tmp_path)


def test_the_example_opensim_refuses_converts_with_eight_sensors_on_one_clock(tmp_path):
    conversion = kinbench.convert("opensense", SHARED / "opensense" / "example", data=tmp_path)
    found = recording(tmp_path, "opensense")
    assert len(conversion.outcomes) == 1
    assert found.imu.sizes["sensor"] == 8
    assert set(found.attrs["absent"]) == {"gyr", "reference"}
    assert "gyr" not in found.imu
    assert set(found.imu["rotation_origin"].values.tolist()) == {"unknown"}


def test_the_same_bytes_give_the_same_store(data, tmp_path, monkeypatch):
    monkeypatch.setenv("KINBENCH_SHARED_DATA", str(SHARED))
    kinbench.convert("lab", MANIFESTS / "fan_knee", data=tmp_path)
    once, again = (
        {path.relative_to(root): path.read_bytes() for path in (root / "fan_knee.zarr").rglob("*.zip")}
        for root in (data, tmp_path)
    )
    assert once == again


def test_another_name_for_a_laboratory(tmp_path, monkeypatch):
    monkeypatch.setenv("KINBENCH_SHARED_DATA", str(SHARED))
    conversion = kinbench.convert("lab", MANIFESTS / "fan_knee", name="my-knees", data=tmp_path)
    assert conversion.path.name == "my-knees.zarr"
    found = recording(tmp_path, "my-knees")
    assert found.key.dataset == found.attrs["dataset"] == "my-knees"
    assert found.attrs["person"] == "my-knees/P1"


def test_an_edited_result_of_other_data_is_not_mixed_in(results, tmp_path):
    """Results of two states of one dataset never meet in one table."""
    for path in results.glob("*.json"):
        shutil.copy(path, tmp_path)
        found = json.loads(path.read_text())
        if found["protocol"]["name"] == "ug":
            found["datasets"][0]["digest"] = "0" * 64
            found["key"] = found["key"][::-1]
            (tmp_path / f"{found['key']}.json").write_text(json.dumps(found))
    assert len(kinbench.leaderboard(protocols=["ug"], results=tmp_path)) == 2


def test_every_kept_score_can_be_recomputed_bit_for_bit(results, data, tmp_path):
    again = kinbench.rescore(results=results, data=data)
    assert len(again) > 30
    assert again["equal"].all()
    tampered = tmp_path / "tampered"
    shutil.copytree(results, tampered)
    path = next(tampered.glob("*.json"))
    found = json.loads(path.read_text())
    found["scores"][0]["values"]["rmse"] += 1e-12
    path.write_text(json.dumps(found))
    told = kinbench.rescore(results=tampered, data=data)
    assert told[~told["equal"]]["key"].tolist() == [path.stem]
