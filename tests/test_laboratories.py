"""The real laboratories, from their own files to a transfer matrix: measured clocks, physics, and the refusals."""

import json
import shutil

import numpy as np
import pytest
from conftest import SHARED, needs_shared
from laboratories import LABORATORIES, MANIFESTS, convert, judge, row

import kinbench
from kinbench import alignment, plugins, windows
from kinbench.errors import NotApplicable
from kinbench.schema import TIERS

pytestmark = [needs_shared, pytest.mark.xdist_group("laboratories")]
KNEES = ("neura_sparse", "fan_knee", "halilaj_lab", "capsense_treadmill")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """All laboratories, converted as a user would convert them."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KINBENCH_SHARED_DATA", str(SHARED))
        for laboratory in LABORATORIES:
            convert(laboratory, SHARED, folder)
    return folder


@pytest.fixture(scope="module")
def judged(data):
    """What came of each laboratory, and what the checks say of it."""
    return {laboratory.name: judge(laboratory, data) for laboratory in LABORATORIES}


@pytest.mark.parametrize("name", [laboratory.name for laboratory in LABORATORIES])
def test_every_body_converts_and_has_the_faults_it_is_known_for(judged, name):
    """No store is damaged or breaks the schema, physics finds the known faults, each of them, and no others."""
    converted = judged[name]
    report = converted.report
    assert report.damaged == report.breaches == report.unread == ()
    assert len(converted.recordings) == converted.laboratory.recordings
    assert len({recording.attrs["person"] for recording in converted.recordings}) == converted.laboratory.persons
    assert converted.faults == converted.laboratory.faults
    told = row(converted)
    assert int(told["PASS"]) > 0
    assert set(told["tier"].split(", ")) <= {"none", *TIERS}


def test_every_folder_with_a_body_is_among_them():
    """A new folder in the shared data needs a line here, or a reason why there is nobody in it."""
    read = {path.parent.name for path in MANIFESTS.glob("*/kinbench.yaml")}
    assert read == {laboratory.name for laboratory in LABORATORIES if laboratory.adapter == "lab"}
    roots = {"opensense", "calgary_ric", "amass"}
    for name in read:
        text = (MANIFESTS / name / "kinbench.yaml").read_text(encoding="utf-8")
        roots.add(next(line for line in text.splitlines() if line.startswith("root:")).split("}/")[1].split("/")[0])
    folders = {path.name for path in SHARED.iterdir() if path.is_dir()}
    assert folders - roots <= {"motive", "published_weights"}, "markers on boards, and no recordings at all"


@pytest.mark.parametrize("name", ["nexus_walk", "opensim_levelground"])
def test_virtual_sensors_turn_as_the_angles_say(judged, name):
    """Markers to segments, segments to sensors, and angles from the same markers or from somebody's own inverse
    kinematics: the knee's rate is thigh minus shank about Z."""
    for found in judged[name].recordings:
        for side in "rl":
            assert alignment.rate_correlation(found.imu, found.reference, f"knee_flexion_{side}") > 0.98
        assert set(found.imu["origin"].values.tolist()) == {"synthetic"}


def test_plates_carry_the_body_where_markers_show_it(judged):
    """Plates at 2000 Hz on the markers' clock: in single support the force is about the body's weight."""
    (found,) = judged["opensim_rajagopal"].recordings
    upward = found.reference["grf"].values[..., 1].sum(axis=1)
    weight = np.median(upward[upward > 200])
    assert 500 < weight < 1000
    assert upward.max() < 1.5 * weight
    (step,) = [step for step in found.attrs["history"] if step["step"] == "plates_on_reference_clock"]
    assert (step["from_hz"], step["to_hz"]) == (pytest.approx(2000, rel=1e-3), pytest.approx(100, rel=1e-3))


def test_steps_filled_up_with_zeros_end_where_they_end(judged):
    found = {recording.key: recording for recording in judged["tan_treadmill"].recordings}
    lengths = {recording.imu.sizes["time"] for recording in found.values()}
    assert max(lengths) < 110 < 152
    for recording in found.values():
        assert np.abs(recording.imu["acc"].values[-1]).max() > 1
        assert recording.reference["grf"].values[..., 1].max() > 400


def test_what_excludes_a_recording_is_a_fact(shared, tmp_path):
    """The excluded walk is refused by what the markers show, too."""
    text = (MANIFESTS / "nexus_walk" / "kinbench.yaml").read_text(encoding="utf-8")
    text = text[: text.index("recordings:")].replace('"{subject}/{trial}.csv"', '"M1/{trial}.csv"')
    (tmp_path / "kinbench.yaml").write_text(text + "fields: {subject: M1}\n", encoding="utf-8")
    conversion = kinbench.convert("lab", tmp_path, data=tmp_path / "data")
    (failed,) = [outcome for outcome in conversion.outcomes if outcome.status == "failed"]
    assert failed.key.trial == "M1Gang16"
    assert "upside down" in failed.reason


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
        ("foot_stride", None, 0.0, 0.5),
        ("realtime_opensense", None, 0.0, 1.0),
        ("nexus_walk", "F5", 0.0, 0.1),
        ("opensim_levelground", None, 0.0, 0.1),
        ("calgary", None, 0.0, 0.1),
        *(("zare_ankle", person, 0.0, 0.5) for person in ("2", "7", "8", "10")),
    ],
)
def test_the_clocks_stand_as_measured_elsewhere(data, name, subject, shift_samples, tolerance):
    found = recording(data, name, subject)
    sync = found.attrs["sync"]
    rate_hz = found.attrs["rates"]["imu"]["nominal_hz"] or found.attrs["rates"]["imu"]["measured_hz"]
    shift_s, sure = sync["measured_shift_s"], sync["confident"]
    if sync["by"] == alignment.CONSTRUCTION:  # conversion has no need to measure these, and this test has
        lag = alignment.estimate_lag(found.imu, found.reference, search_s=2.0)
        shift_s, sure = lag.shift_s, alignment.confident(lag)
    assert sure is True
    assert shift_s * rate_hz == pytest.approx(shift_samples, abs=tolerance)


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
def test_the_declared_axes_follow_every_flexion_of_the_reference(judged, name, subject, joints):
    followed = [
        finding
        for key, finding in judged[name].report.findings
        if finding.check == "axes against the reference" and (subject is None or f"/{subject}/" in str(key))
    ]
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
    without_angles = recording(data, "capsense_treadmill", "Sub01")
    assert "angle" not in without_angles.reference
    assert "angle" in without_angles.attrs["absent"]
    unlabelled = recording(data, "xsens_dot")
    assert unlabelled.reference is None
    assert "reference" in unlabelled.attrs["absent"]
    assert unlabelled.attrs["sync"]["method"] == "none"
    feet = recording(data, "foot_stride")
    assert "segment_quat" in feet.reference
    assert "angle" in feet.attrs["absent"]


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
    assert found.attrs["person"] == "fan_knee/P1", "a store's name makes nobody anew"


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
