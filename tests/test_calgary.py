"""The calgary adapter on a fabricated release: the truth that made it, its quirks, and a planted fault per guard."""

import hashlib
import json
import sys
import zipfile
import zlib

import ezc3d
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinbench_adapters._calgary import metadata
from kinbench_adapters._calgary.captures import read_session
from kinbench_adapters._calgary.tracking import Limits
from kinbench_adapters.calgary import CalgaryAdapter
from raw_folders import calgary as fake

from kinbench import kinematics, virtual_imu
from kinbench.acquisition import survey
from kinbench.contracts import Adapter
from kinbench.conversion import prepare
from kinbench.errors import DataError, UsageError
from kinbench.recording import Placement
from kinbench.schema import DOFS
from kinbench.testing import check_adapter

RUN = "100001/20140515T133244/running"
SHORT_S = 3.0


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return fake.write(tmp_path_factory.mktemp("release"), people=3, length_s=SHORT_S)


@pytest.fixture
def session():
    """One run-only session as an object that a test may spoil."""
    return fake.session_json(fake.SESSIONS[1], length_s=SHORT_S)


@pytest.fixture(scope="module")
def small():
    """The bytes of a session of 20 samples."""
    return json.dumps(fake.session_json(fake.SESSIONS[1], length_s=0.1)).encode()


def source(raw, name=RUN, **chosen):
    (found,) = [s for s in CalgaryAdapter(**chosen).find(raw).sources if str(s.key) == f"calgary/{name}"]
    return found


def written(raw, session, *, tables=True):
    """A release of one session with this content."""
    fake.write(raw, sessions=fake.SESSIONS[1:2], length_s=1.0, tables=tables)
    text = session if isinstance(session, bytes) else json.dumps(session).encode()
    (raw / "reformat_data/100001/20140515T133244.json").write_bytes(text)
    return raw


def refused(raw, name=RUN, **chosen):
    with pytest.raises(DataError) as caught:
        source(raw, name, **chosen).load()
    return str(caught.value)


def history(recording, step):
    (found,) = [entry for entry in recording.attrs["history"] if entry["step"] == step]
    return found


# --- what there is ----------------------------------------------------------------------------------------------------


def test_it_is_an_adapter_and_keeps_every_promise(release):
    assert isinstance(CalgaryAdapter(), Adapter)
    check_adapter(CalgaryAdapter(), release)
    check_adapter(CalgaryAdapter(convention="clinic"), release)


def test_walking_and_running_are_two_trials_of_one_session_and_absent_modes_are_none(release):
    keys = [str(s.key) for s in CalgaryAdapter().find(release).sources]
    assert keys == [
        "calgary/100001/20110531T161051/running",
        "calgary/100001/20110531T161051/walking",
        "calgary/100001/20140515T133244/running",
        "calgary/100002/20150102T080000/walking",
        "calgary/100003/20160229T235959/running",
        "calgary/100003/20160229T235959/walking",
    ]


def test_without_tables_the_files_tell_their_modes(release, tmp_path):
    fake.write(tmp_path, people=3, length_s=1.0, tables=False)
    bare = CalgaryAdapter().find(tmp_path).sources
    assert [s.key for s in bare] == [s.key for s in CalgaryAdapter().find(release).sources]
    recording = bare[0].load()
    assert recording.attrs["person_table"]["condition"] == "unknown"
    assert "person_without_metadata" in recording.attrs["quality"]


@pytest.mark.parametrize("below", [".", "ric_data", "reformat_data"])
def test_sessions_are_found_below_either_folder_or_none(tmp_path, below):
    fake.write(tmp_path / "made", sessions=fake.SESSIONS[2:3], length_s=1.0)
    target = tmp_path / "raw" / below
    target.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "made/reformat_data").rename(target)
    (only,) = CalgaryAdapter().find(tmp_path / "raw").sources
    assert str(only.key) == "calgary/100002/20150102T080000/walking"
    assert only.load().attrs["rates"]["reference"]["nominal_hz"] == 200


def test_each_mode_has_its_own_rate_marker_and_joint_counts(release):
    walk = source(release, "100001/20110531T161051/walking").load()
    assert walk.attrs["rates"]["reference"]["nominal_hz"] == 120
    assert (history(walk, "read_markers")["joints"], history(walk, "read_markers")["neutral"]) == (14, 30)
    run = source(release).load()
    assert run.attrs["rates"]["reference"]["nominal_hz"] == 200
    assert (history(run, "read_markers")["joints"], history(run, "read_markers")["neutral"]) == (10, 28)
    assert (walk.attrs["activity"], run.attrs["activity"]) == ("walking_treadmill", "running_treadmill")


def test_the_raw_tree_tells_what_is_there(release, tmp_path):
    assert survey(CalgaryAdapter(), release).ok
    empty = survey(CalgaryAdapter(), tmp_path)
    assert not empty.ok
    assert {d.path for d in empty.wanted} == {"run_data_meta.csv", "walk_data_meta.csv", "ric_data.zip"}
    (tmp_path / "run_data_meta.csv").write_text("a,b\n1,2\n")
    (tmp_path / "ric_data.zip").write_bytes(b"<html>not found</html>")
    wrong = {path.name: why for finding in survey(CalgaryAdapter(), tmp_path).findings for path, why in finding.wrong}
    assert "sub_id" in wrong["run_data_meta.csv"] and "ZIP" in wrong["ric_data.zip"]


def test_a_folder_without_sessions_is_refused(tmp_path):
    (tmp_path / "notes.json").write_text("{}")
    with pytest.raises(DataError, match="YYYYMMDDThhmmss"):
        CalgaryAdapter().find(tmp_path)


def test_two_files_of_one_recording_are_refused(release, tmp_path):
    for folder in ("reformat_data", "ric_data"):
        target = tmp_path / folder / "100002"
        target.mkdir(parents=True)
        text = (release / "reformat_data/100002/20150102T080000.json").read_bytes()
        (target / "20150102T080000.json").write_bytes(text)
    with pytest.raises(DataError, match="Two files would both be 'calgary/100002"):
        CalgaryAdapter().find(tmp_path)


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"convention": "grood"}, "convention must be one of isb, clinic"),
        ({"compat": "rapp"}, "compat must be one of none, rapp2021"),
        ({"cutoff_hz": "high"}, "cutoff_hz must be a number"),
        ({"residual_mm": -1}, "residual_mm must be a number not below 0"),
        ({"masked_share": 50}, "masked_share must be a share"),
    ],
)
def test_settings_that_cannot_be_are_refused(chosen, told):
    with pytest.raises(UsageError, match=told):
        CalgaryAdapter(**chosen)


# --- against the truth that made it -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["100001/20110531T161051/walking", RUN, "100003/20160229T235959/running"])
def test_every_angle_is_the_walkers_and_every_sensor_reads_what_it_should(release, name):
    recording = prepare(source(release, name))
    (session,) = [s for s in fake.SESSIONS if s.stamp == recording.key.session]
    mode = recording.key.trial
    person = fake.treadmill(session.seed, getattr(session, f"{mode}_hz"), mode, length_s=SHORT_S)

    angles = recording.reference["angle"]
    assert {str(dof) for dof in angles["dof"].values} == set(DOFS)
    for dof in DOFS:
        np.testing.assert_allclose(angles.sel(dof=dof), person.angles[dof], atol=1e-3, err_msg=dof)

    inside = slice(60, -60)  # the low-pass continues the motion at its ends by a guess
    for index, segment in enumerate(str(s) for s in recording.imu["sensor"].values):
        stem, _, side = segment.partition("_")
        offset = np.mean(fake.CLUSTERS_M[stem], axis=0) * (1, 1, -1 if side == "l" else 1)
        turn = kinematics.quaternions(person.rotation[segment])
        felt = virtual_imu.specific_force(person.point(segment, offset), turn, person.rate_hz)
        turned = virtual_imu.angular_rate(turn, person.rate_hz)
        acc, gyr = (recording.imu[name].values[inside, index] for name in ("acc", "gyr"))
        assert np.sqrt(np.mean((acc - felt[inside]) ** 2)) < 0.03, segment
        assert np.sqrt(np.mean((gyr - turned[inside]) ** 2)) < 0.002, segment


def test_sensors_are_called_by_where_their_clusters_are(release):
    imu = prepare(source(release)).imu
    places = {str(s): (str(site), str(level)) for s, site, level in zip(
        imu["sensor"].values, imu["site"].values, imu["level"].values, strict=True
    )}  # fmt: skip
    assert places["pelvis"] == ("sacrum", "mid")
    assert places["thigh_r"] == places["thigh_l"] == ("posterior", "mid")
    assert places["shank_r"][0] == "posterior" and places["foot_l"][0] == "heel"
    assert set(imu["origin"].values) == {"synthetic"} and set(imu["attachment"].values) == {"virtual"}


def test_segment_lengths_are_measured_and_a_foot_without_metatarsal_markers_has_none(release):
    body = fake.standing(fake.treadmill(1, 200, "walking", length_s=2.0)).body
    extended = source(release, "100001/20110531T161051/running").load().declared.virtual.body
    assert extended.length_m["thigh_r"] == pytest.approx(body.thigh_m, abs=1e-4)
    assert extended.length_m["shank_l"] == pytest.approx(body.shank_m, abs=1e-4)
    assert extended.length_m["foot_r"] == pytest.approx(np.hypot(body.ball_m, body.ankle_m), abs=1e-4)
    assert "foot_r" not in source(release).load().declared.virtual.body.length_m


def test_sensors_go_where_a_real_store_has_them(release):
    """The lengths serve the sites of another dataset; what a person has no length for is left out by name."""
    request = source(release).load().declared.virtual
    real = [
        Placement("T", "thigh_r", "right", "lateral", "mid", np.eye(3), "nominal", "strap"),
        Placement("P", "pelvis", "midline", "sacrum", "mid", np.eye(3), "nominal", "strap"),
        Placement("F", "foot_r", "right", "dorsum", "mid", np.eye(3), "nominal", "strap"),
    ]
    moved = virtual_imu.at_sites(request, real)
    assert [virtual.placement.sensor for virtual in moved.placements] == ["T", "P"] and set(moved.left_out) == {"F"}
    thigh = moved.placements[0].offset_m
    assert thigh[2] > 0.05 and thigh[1] == pytest.approx(-request.body.length_m["thigh_r"] / 2)
    assert moved.dynamics == request.dynamics


def test_the_clinics_convention_is_named_and_is_what_its_rule_gives(release):
    recording = prepare(source(release, convention="clinic"))
    angles = recording.reference["angle"]
    assert angles.attrs["convention"] == "calgary_clinic"
    quats = {str(n): recording.reference["segment_quat"].sel(segment=n).values for n in ("thigh_r", "shank_r")}
    x, y, z = kinematics.clinic_angles(quats["thigh_r"], quats["shank_r"]).T
    for dof, theirs in (("knee_flexion_r", z), ("knee_adduction_r", -x), ("knee_internal_rotation_r", -y)):
        np.testing.assert_allclose(angles.sel(dof=dof), theirs, atol=1e-3, err_msg=dof)
    isb = prepare(source(release)).reference["angle"]
    apart = np.abs(isb - angles).max("time")
    assert float(apart.sel(dof="knee_flexion_r")) < 0.5 < float(apart.sel(dof="knee_adduction_r"))


def test_the_mean_of_three_markers_takes_no_part_in_a_fit(session, tmp_path):
    recording = source(written(tmp_path, session)).load()
    markers = history(recording, "segment_frames")["markers"]
    assert markers["foot_r"] == ["R_foot_1", "R_foot_2", "R_foot_3"] and len(markers["pelvis"]) == 3
    assert len(markers["thigh_l"]) == 4
    shift = np.array([0.0, 30.0, 20.0])
    real = np.array(session["neutral"]["pelvis_4"]) + shift
    session["neutral"]["pelvis_4"] = real.tolist()
    session["running"]["pelvis_4"] = (np.array(session["running"]["pelvis_4"]) + shift).tolist()
    other = source(written(tmp_path, session)).load()
    assert len(history(other, "segment_frames")["markers"]["pelvis"]) == 4


# --- the people -------------------------------------------------------------------------------------------------------


def test_the_person_table_keeps_facts_and_turns_sentinels_into_unknown(release):
    hurt = source(release, "100001/20110531T161051/running").load().attrs
    assert hurt["person_table"] == {
        "sex": "female", "age_y": 33.0, "height_m": 1.705, "mass_kg": 68.0, "leg_length_m": None,
        "condition": "Continuing to train in pain; Knee: patellofemoral pain syndrome", "affected_side": "both",
    }  # fmt: skip
    assert hurt["speed_mps"] == 2.71828182845905
    well = source(release).load().attrs["person_table"]
    assert (well["condition"], well["affected_side"]) == ("No injury", "unknown")
    unknown = source(release, "100002/20150102T080000/walking").load().attrs["person_table"]
    assert (unknown["sex"], unknown["age_y"], unknown["height_m"], unknown["mass_kg"]) == ("unknown", None, None, None)
    assert (unknown["condition"], unknown["affected_side"]) == ("Hip: Hip OA", "left")
    blank = source(release, "100003/20160229T235959/walking").load().attrs["person_table"]
    assert blank["condition"] == "unknown"  # nobody said that this person is well


@settings(deadline=None, max_examples=50)
@given(st.lists(st.one_of(st.floats(), st.sampled_from([255, 999, 0, 1564, 30, 200])), min_size=1, max_size=20))
def test_a_number_is_kept_exactly_where_it_is_plausible(tmp_path_factory, values):
    path = tmp_path_factory.getbasetemp() / "run_data_meta.csv"
    rows = [fake.Session("1", f"2011{n:04d}T000000", 1, row=(("Weight", value),)) for n, value in enumerate(values)]
    fake.write_table(path, "running", rows)
    found = [visit.person["mass_kg"] for visit in metadata.read_visits(path, "speed_r").values()]
    assert found == [value if 30 <= value <= 200 else None for value in values]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda text: text.replace("sub_id", "subject"), "sub_id"),
        (lambda text: text + text.splitlines()[-1] + "\n", "twice"),
        (lambda text: text + "1,2,3\n", "cells"),
        (lambda text: text + '"1,2', "cannot be read"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path, spoil, told):
    fake.write(tmp_path, sessions=fake.SESSIONS[1:2], length_s=1.0)
    table = tmp_path / "run_data_meta.csv"
    table.write_text(spoil(table.read_text()))
    with pytest.raises(DataError, match=told):
        CalgaryAdapter().find(tmp_path)


def test_a_session_in_another_persons_folder_is_refused(tmp_path):
    fake.write(tmp_path, sessions=fake.SESSIONS[1:2], length_s=1.0)
    (tmp_path / "reformat_data/100001").rename(tmp_path / "reformat_data/100009")
    assert "folder of person 100001" in refused(tmp_path, "100009/20140515T133244/running")


def test_two_different_tables_are_refused(tmp_path):
    fake.write(tmp_path, sessions=fake.SESSIONS[1:2], length_s=1.0)
    (tmp_path / "old").mkdir()
    (tmp_path / "old/run_data_meta.csv").write_text("sub_id\n")
    with pytest.raises(DataError, match="two different tables"):
        CalgaryAdapter().find(tmp_path)


# --- damaged sessions -------------------------------------------------------------------------------------------------


INSIDE = slice(10, -10)
"""Away from the ends, where the low-pass ahead of the virtual sensors leans on what it made up."""


def test_missing_samples_are_missing_and_spoil_no_other_segment(session, tmp_path):
    running = session["running"]
    running["R_thigh_2"][100:110] = [[None, None, None]] * 10  # three markers are left
    running["L_foot_1"][200:205] = [[0, 0, 0]] * 5  # two are left
    recording = source(written(tmp_path, session)).load()
    quat = recording.reference["segment_quat"]
    assert np.isfinite(quat.sel(segment="thigh_r")).all()
    gone = ~np.isfinite(quat.sel(segment="foot_l").values).all(axis=1)
    assert np.flatnonzero(gone).tolist() == list(range(200, 205))
    assert history(recording, "mask_tracking_errors")["segments"]["foot_l"]["missing"] == 5
    done = prepare(source(tmp_path))
    assert not done.reference["valid"].sel(dof="ankle_dorsiflexion_l").values[200:205].any()
    assert done.reference["valid"].sel(dof="knee_flexion_l").all()
    assert not done.imu["valid"].sel(sensor="foot_l").values[200:205].any()
    assert done.imu["valid"].sel(sensor="foot_r").values[INSIDE].all()


def _drop(*path):
    def spoil(session):
        for name in path[:-1]:
            session = session[name]
        del session[path[-1]]

    return spoil


def _set(value, *path):
    def spoil(session):
        for name in path[:-1]:
            session = session[name]
        session[path[-1]] = value

    return spoil


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_drop("neutral"), "found no neutral"),
        (_set([], "running"), "this session has no such trial"),
        (_set([], "hz_r"), "expected a sampling rate"),
        (_set(7, "hz_r"), "found 7"),
        (_set(True, "hz_r"), "expected a sampling rate"),
        (_drop("joints", "R_hip"), "standing trial: expected the markers R_hip"),
        (_set([None, 1, 2], "neutral", "L_foot_1"), "L_foot_1"),
        (_set([1, 2], "neutral", "L_foot_1"), "neutral.L_foot_1: expected three numbers"),
        (_set("x", "neutral", "L_foot_1"), "neutral.L_foot_1"),
        (_drop("running", "R_shank_3"), "moving trial: expected the markers R_shank_3"),
        (_set([[1, 2, 3]], "running", "R_shank_3"), "equally long"),
        (_set([[1, 2, 3], [1, 2], [3, 4, 5, 6]], "running", "R_shank_3"), "running.R_shank_3: expected rows of three"),
        (_set([["a", 1, 2]], "running", "R_shank_3"), "running.R_shank_3"),
        (_set([[True, 1, 2]], "running", "R_shank_3"), "running.R_shank_3"),
        (_set(5, "running", "R_shank_3"), "running.R_shank_3"),
    ],
)
def test_a_session_that_is_none_is_refused_in_words(session, tmp_path, spoil, told):
    spoil(session)
    assert told in refused(written(tmp_path, session))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "cannot be parsed"),
        (b'{"joints": {', "cannot be parsed"),
        (b"[1, 2]", "expected a JSON object"),
        (b'{"joints": {}, "joints": {}}', "the object: expected each key once, found joints"),
        (b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}", "cannot be parsed"),
        (b'{"hz_r": NaN}', "cannot be parsed"),
        (b'{"hz_r": 1e999}', "cannot be parsed"),
        (b'{"\xff": 1}', "cannot be parsed"),
        (b"PK\x03\x04", "cannot be parsed"),
    ],
)
def test_what_is_not_json_is_refused_in_one_sentence(tmp_path, text, told):
    told_of = refused(written(tmp_path, text))
    assert told in told_of and len(told_of.splitlines()) == 1


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=8), st.floats(0, 1))
def test_damage_is_refused_or_makes_no_difference_to_the_shape(small, changes, kept):
    """Whatever happens to the bytes of a session: a DataError, or all the markers that it had."""
    data = bytearray(small)
    for place, byte in changes:
        data[int(place * len(data))] = byte
    if kept < 0.1:
        data = data[: int(kept * 10 * len(data))]
    try:
        capture = read_session(bytes(data), "running", "a.json")
    except DataError:
        return
    assert {path.shape for path in capture.moving.values()} == {(20, 3)}


def test_a_marker_that_comes_twice_is_refused(session, tmp_path):
    text = json.dumps(session).replace('"R_knee_twice"', "").replace('"R_shank_3"', '"R_shank_2"')
    assert "R_shank_2 more than once" in refused(written(tmp_path, text.encode()))


@pytest.mark.parametrize(
    ("turn", "told"),
    [
        (np.diag([0.001, 0.001, 0.001]), "expected the standing hip centres 0.5 to 1.4 m above the floor"),
        (np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]), "expected the standing hip centres"),
        (np.diag([-1.0, 1, -1]), "Z points forward"),
        (np.diag([-1.0, 1, 1]), "the other way round"),
    ],
)
def test_another_unit_or_world_is_refused(session, tmp_path, turn, told):
    """The release is in millimetres, Y up, and the person faces -Z; nothing else may pass for it."""
    for group in ("joints", "neutral", "running"):
        session[group] = {name: (np.array(place) @ turn.T).tolist() for name, place in session[group].items()}
    assert told in refused(written(tmp_path, session))


# --- tracking errors --------------------------------------------------------------------------------------------------


def test_markers_taken_for_each_other_are_masked_with_the_reason_and_nothing_else_is(session, tmp_path):
    clean = prepare(source(written(tmp_path, session)))
    assert clean.attrs["quality"] == []
    assert clean.imu["valid"].values[INSIDE].all()
    running, span = session["running"], slice(300, 320)
    running["R_thigh_1"][span], running["R_thigh_2"][span] = running["R_thigh_2"][span], running["R_thigh_1"][span]
    recording = prepare(source(written(tmp_path, session)))
    told = history(recording, "mask_tracking_errors")
    assert told["segments"]["thigh_r"]["residual"] == 20 and told["segments"]["thigh_r"]["missing"] == 0
    assert told["segments"]["thigh_r"]["spans_s"] == [[1.45, 1.65]]  # 20 samples, and 50 ms to either side
    assert told["limits"]["residual_mm"] == Limits.residual_mm
    assert recording.attrs["quality"] == ["thigh_r:tracking"]
    valid = recording.reference["valid"]
    for dof in DOFS:
        masked = 0 if "thigh_r" not in (DOFS[dof].proximal, DOFS[dof].distal) else 40
        assert int((~valid.sel(dof=dof)).sum()) == masked, dof


def test_markers_named_otherwise_standing_than_moving_are_told_by_their_shape(session, tmp_path):
    clean = source(written(tmp_path, session)).load()
    neutral = session["neutral"]
    one, two, three = (neutral[f"L_foot_{number}"] for number in (1, 2, 3))
    neutral["L_foot_1"], neutral["L_foot_2"], neutral["L_foot_3"] = two, three, one
    recording = source(written(tmp_path, session)).load()
    assert recording.attrs["quality"] == ["foot_l:relabelled"]
    told = history(recording, "mask_tracking_errors")["segments"]["foot_l"]
    assert told["standing_markers_named"] == ["L_foot_2", "L_foot_3", "L_foot_1"]
    np.testing.assert_allclose(recording.reference["segment_quat"], clean.reference["segment_quat"], atol=1e-6)


def test_a_person_who_moves_the_other_way_round_than_standing_is_refused(session, tmp_path):
    about = np.diag([-1.0, 1.0, -1.0])
    session["running"] = {name: (np.array(path) @ about).tolist() for name, path in session["running"].items()}
    assert "pelvis: expected it within 90 deg of its standing pose" in refused(written(tmp_path, session))


def test_a_cluster_that_leaps_as_one_is_masked_though_it_fits(session, tmp_path):
    running = session["running"]
    for number in (1, 2, 3, 4):
        path = np.array(running[f"L_foot_{number}"])
        path[200:203] += [0.0, 400.0, 0.0]
        running[f"L_foot_{number}"] = path.tolist()
    told = history(source(written(tmp_path, session)).load(), "mask_tracking_errors")["segments"]["foot_l"]
    assert told["residual"] == 0 and told["jump"] == 4
    assert told["spans_s"] == [[0.945, 1.07]]


def test_a_recording_that_loses_too_much_is_refused_with_the_numbers(session, tmp_path):
    running = session["running"]
    running["R_foot_2"][: len(running["R_foot_2"]) // 2] = [[None] * 3] * (len(running["R_foot_2"]) // 2)
    raw = written(tmp_path, session)
    told = refused(raw, masked_share=0.4)
    assert "foot_r: expected at most 40% of samples missing or mistracked, found 50.0% (300 missing" in told
    assert source(raw, masked_share=0.6).load().attrs["quality"] == []  # missing is not mistracked


# --- the archive ------------------------------------------------------------------------------------------------------


def raw_deflate(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


PACKINGS = {
    "Deflate64": (9, fake.deflate64),
    "Deflate64, stored blocks": (9, fake.stored_blocks),
    "Deflate": (8, raw_deflate),
    "stored": (0, bytes),
}


@pytest.fixture
def archived(release, tmp_path):
    """Make a raw folder with the tables and an archive of one session, and return it with the session's bytes."""

    def archived(packing="Deflate64", *, folder="reformat_data"):
        method, pack = PACKINGS[packing]
        name = "100001/20140515T133244.json"
        data = (release / "reformat_data" / name).read_bytes()
        for table in metadata.TABLES.values():
            (tmp_path / table).write_bytes((release / table).read_bytes())
        members = {"README.txt": b"made for a test", f"{folder}/{name}": data}
        fake.write_archive(tmp_path / "ric_data.zip", members, method=method, pack=pack)
        return tmp_path, data

    return archived


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_session_is_read_out_of_the_archive_in_place(archived, release, packing):
    raw, data = archived(packing)
    recording = source(raw).load()
    assert recording.attrs["source"][0] == {
        "name": "ric_data.zip/reformat_data/100001/20140515T133244.json",
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    assert recording.reference.identical(source(release).load().reference)
    check_adapter(CalgaryAdapter(), raw)


def test_python_itself_cannot_read_that_archive(archived):
    raw, _ = archived()
    with zipfile.ZipFile(raw / "ric_data.zip") as archive, pytest.raises(NotImplementedError):
        archive.read(archive.infolist()[1])


def test_an_unpacked_session_goes_before_the_archives(archived, release):
    raw, data = archived()
    target = raw / "reformat_data/100001"
    target.mkdir(parents=True)
    (target / "20140515T133244.json").write_bytes(data)
    assert source(raw).files == (target / "20140515T133244.json",)


@pytest.mark.parametrize("place", [0.2, 0.5, 0.9])
def test_a_damaged_member_fails_alone_and_says_so(archived, place):
    raw, _ = archived()
    path = raw / "ric_data.zip"
    data = bytearray(path.read_bytes())
    at = int(len(data) * place)
    data[at : at + 8] = bytes(byte ^ 0x55 for byte in data[at : at + 8])
    path.write_bytes(data)
    assert "damaged" in refused(raw)


def test_a_member_in_a_way_of_packing_that_nobody_reads_here_is_refused(archived, release):
    raw, data = archived()
    fake.write_archive(raw / "ric_data.zip", {"ric_data/100001/20140515T133244.json": data}, method=14, pack=bytes)
    assert "found method 14" in refused(raw)


def test_an_archive_that_is_cut_is_refused(archived):
    raw, _ = archived()
    path = raw / "ric_data.zip"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="expected a ZIP archive"):
        CalgaryAdapter().find(raw)


@pytest.mark.parametrize(("package", "what"), [("simdjson", "JSON"), ("inflate64", "Deflate64"), ("ezc3d", "C3D")])
def test_a_missing_extra_is_asked_for_in_one_sentence(archived, monkeypatch, package, what):
    raw, _ = archived()
    name = RUN
    if package == "ezc3d":
        write_pair(raw, "P1")
        name = "P1/P1/running"
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=f"{what}.*needs the package '{package}'.*pip install 'kinbench"):
        source(raw, name).load()


# --- C3D pairs --------------------------------------------------------------------------------------------------------


def write_c3d(path, markers, *, rate_hz=200.0, units=""):
    """Write markers {name: (n, 3)}."""
    file = ezc3d.c3d()
    names = list(markers)
    places = np.stack([np.asarray(markers[name], dtype=float).reshape(-1, 3) for name in names], axis=1)
    file["parameters"]["POINT"]["RATE"]["value"] = [rate_hz]
    file["parameters"]["POINT"]["LABELS"]["value"] = names
    file["parameters"]["POINT"]["UNITS"]["value"] = [units]
    file["data"]["points"] = np.concatenate([places.T, np.ones((1, len(names), len(places)))])
    file.write(str(path))
    return path


def write_pair(raw, name, *, kind="run", scale=1.0, units="", static=True, names=("{}_{}", "{}_static")):
    told = fake.session_json(fake.SESSIONS[1], length_s=1.0)
    moving = {marker: np.array(path) * scale for marker, path in told["running"].items()}
    write_c3d(raw / f"{names[0].format(name, kind)}.c3d", moving, units=units)
    if static:
        still = {marker: np.array(place) * scale for marker, place in (told["neutral"] | told["joints"]).items()}
        write_c3d(raw / f"{names[1].format(name)}.c3d", still, units=units)
    return raw


def test_a_pair_gives_what_the_sessions_json_gives(tmp_path, session):
    fake.write(tmp_path / "json", sessions=fake.SESSIONS[1:2], length_s=1.0)
    (tmp_path / "c3d").mkdir()
    raw = write_pair(tmp_path / "c3d", "20140515T133244")
    (tmp_path / "c3d/run_data_meta.csv").write_bytes((tmp_path / "json/run_data_meta.csv").read_bytes())
    one, other = prepare(source(raw)), prepare(source(tmp_path / "json"))
    np.testing.assert_allclose(one.reference["angle"], other.reference["angle"], atol=0.01)
    np.testing.assert_allclose(one.imu["gyr"], other.imu["gyr"], atol=0.05)
    assert [entry["name"] for entry in one.attrs["source"]] == [
        "20140515T133244_run.c3d", "20140515T133244_static.c3d", "run_data_meta.csv",
    ]  # fmt: skip


def test_the_standing_hips_tell_metres_from_millimetres(tmp_path):
    raw = write_pair(tmp_path, "P1", scale=1e-3)
    recording = source(raw, "P1/P1/running").load()
    assert recording.reference["segment_position"].attrs["units"] == "m"
    assert history(recording, "segment_frames")["units_told_by"].startswith("the height of the standing hip")
    done = prepare(source(raw, "P1/P1/running"))
    assert 0.6 < float(done.reference["segment_position"].sel(segment="pelvis", axis="y").mean()) < 1.2


@pytest.mark.parametrize(
    ("scale", "units", "told"),
    [
        (1e-3, "mm", "expected the standing hip centres"),
        (0.1, "", "unit not told"),
        (1.0, "furlong", "found 'furlong'"),
    ],
)
def test_a_unit_that_cannot_be_is_refused(tmp_path, scale, units, told):
    assert told in refused(write_pair(tmp_path, "P1", scale=scale, units=units), "P1/P1/running")


def test_a_trial_without_its_standing_one_fails_alone(tmp_path):
    assert "_static.c3d" in refused(write_pair(tmp_path, "P1", static=False), "P1/P1/running")


def test_the_session_names_the_person_where_no_table_does_and_that_is_said(tmp_path):
    raw = write_pair(tmp_path, "RBDS001", names=("{}{}T35_rot", "{}static_rot"))
    recording = source(raw, "RBDS001/RBDS001/running-T35_rot").load()
    assert "cannot be told" in history(recording, "person")["told_by"]


def test_walking_pairs_are_walking(tmp_path):
    recording = source(write_pair(tmp_path, "P1", kind="walk"), "P1/P1/walking").load()
    assert recording.attrs["activity"] == "walking_treadmill"


def test_a_table_of_the_other_mode_tells_the_person_and_not_the_speed(release, tmp_path):
    raw = write_pair(tmp_path, "20140515T133244", kind="walk")
    (raw / "run_data_meta.csv").write_bytes((release / "run_data_meta.csv").read_bytes())
    attrs = source(raw, "100001/20140515T133244/walking").load().attrs
    assert attrs["person_table"]["height_m"] == 1.705 and "speed_mps" not in attrs


@pytest.mark.parametrize("keep", [0, 100, 700, -600])
def test_a_cut_c3d_file_is_refused(tmp_path, keep):
    raw = write_pair(tmp_path, "P1")
    path = raw / "P1_run.c3d"
    path.write_bytes(path.read_bytes()[:keep])
    assert "P1_run.c3d" in refused(raw, "P1/P1/running")


@pytest.mark.parametrize(("away", "value"), [(9, 255), (11, 255), (-1, 200)])
def test_a_damaged_c3d_file_takes_no_more_than_its_reader_down(tmp_path, away, value):
    """Each of these bytes ends the library with a segmentation fault."""
    path = write_pair(tmp_path, "P1") / "P1_static.c3d"
    data = bytearray(path.read_bytes())
    data[data.index(b"LABELS") + away] = value
    path.write_bytes(data)
    assert "P1_static.c3d: expected a C3D file, and it cannot be read" in refused(tmp_path, "P1/P1/running")


# --- Rapp et al. 2021 -------------------------------------------------------------------------------------------------


def test_the_published_errors_come_on_request_only_and_under_their_name(release):
    right = prepare(source(release)).imu
    assert right["acc"].attrs["kind"] == "specific_force"
    wrong = prepare(source(release, compat="rapp2021"))
    assert wrong.imu["acc"].attrs["kind"] == "rapp2021"
    up = wrong.imu["acc"].sel(sensor="pelvis", axis="y")
    assert float(up.mean()) == pytest.approx(-9.81, abs=0.7)  # minus the specific force
    assert float(right["acc"].sel(sensor="pelvis", axis="y").mean()) == pytest.approx(9.81, abs=0.7)
    assert history(wrong, "rapp2021")["touchdowns"]["L"] >= 2
    assert wrong.imu.sizes["time"] == right.sizes["time"]  # their second at either end stays


def test_what_their_code_cannot_take_is_refused(session, tmp_path):
    session["running"]["pelvis_2"][10] = [None] * 3
    assert "missing at sample 10" in refused(written(tmp_path, session), compat="rapp2021")


def test_a_session_is_read_the_same_from_bytes(session):
    capture = read_session(json.dumps(session).encode(), "running", "somewhere.json")
    np.testing.assert_array_equal(capture.moving["R_foot_1"], session["running"]["R_foot_1"])
    assert capture.units == "mm" and capture.rate_hz == 200
