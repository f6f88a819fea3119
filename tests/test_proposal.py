"""Proposals for folders that nobody described: dialects, what is asked and refused, and estimates on bare arrays."""

import json
import re
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinbench_adapters._lab.manifest import read_manifest
from kinbench_adapters._simulation import COHORT
from kinbench_adapters.lab import LabAdapter
from scipy.spatial.transform import Rotation

import kinbench
from kinbench import inspection, pages
from kinbench.contracts import Proposer
from kinbench.errors import DataError, UsageError

DEG = np.degrees(1.0)
SENSORS = {"pelvis": "pelvis", "thigh_r": "thigh_r", "shank_r": "shank_r", "foot_r": "foot_r"}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """The demo's raw folders: MT Manager files with mapping and IK, and a lab's tables with the manifest that fits."""
    folder = tmp_path_factory.mktemp("cohort")
    COHORT.write(folder, lambda *_: None)
    return folder


@pytest.fixture(scope="module")
def walk(cohort):
    """One walk in SI units by sensor, and the joint angles in degrees: what the files below are made of."""
    lab = cohort / "simulated-b"
    source = LabAdapter().find(lab).sources[0]
    recording = source.load()
    imu = recording.imu
    names = {"PEL": "pelvis", "THR": "thigh_r", "SHR": "shank_r", "FTR": "foot_r"}
    sensors = {
        names[str(name)]: (imu["acc"].values[:, i] * 9.80665, imu["gyr"].values[:, i] / DEG)
        for i, name in enumerate(imu["sensor"].values)
        if str(name) in names
    }
    angles = {
        str(dof): recording.reference["angle"].values[:, i] for i, dof in enumerate(recording.reference["dof"].values)
    }
    knee = -np.degrees(angles["knee_flexion_r"])
    reference = np.interp(np.arange(len(imu["time"])) / 60, recording.reference["time"].values, knee)
    return {"sensors": sensors, "knee": reference, "rate_hz": 60.0}


def guesses_of(folder):
    return {guess.field: guess for guess in LabAdapter().propose(folder).guesses}


def write_csv(folder, walk, *, acc=1.0, gyr=1.0, delimiter=",", decimal=".", rows=1500):
    """One file per sensor: a clock in milliseconds, acceleration, angular rate."""
    folder.mkdir(parents=True)
    for name, (force, rate) in walk["sensors"].items():
        table = np.column_stack([np.arange(rows) * 1000 / 60, force[:rows] * acc, rate[:rows] * gyr])
        lines = [delimiter.join(["time_ms", "Acc_X", "Acc_Y", "Acc_Z", "Gyr_X", "Gyr_Y", "Gyr_Z"])]
        lines += [delimiter.join(f"{value:.6f}".replace(".", decimal) for value in row) for row in table]
        (folder / f"P01_walk1_{name}.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_the_lab_adapter_is_a_proposer():
    assert isinstance(LabAdapter(), Proposer)


@pytest.mark.parametrize(
    ("acc", "acc_unit", "gyr", "gyr_unit", "delimiter", "decimal"),
    [
        (1.0, "m/s2", 1.0, "rad/s", ",", "."),
        (1 / 9.80665, "g", DEG, "deg/s", ";", ","),
        (1000 / 9.80665, "mg", DEG, "deg/s", "\t", "."),
        (1.0, "m/s2", DEG, "deg/s", " ", "."),
    ],
)
def test_units_and_dialects_are_told_by_content(tmp_path, walk, acc, acc_unit, gyr, gyr_unit, delimiter, decimal):
    folder = write_csv(tmp_path / "raw", walk, acc=acc, gyr=gyr, delimiter=delimiter, decimal=decimal)
    for path in folder.iterdir():
        path.rename(path.with_suffix(".dat"))  # the suffix says nothing
    found = guesses_of(folder)
    assert found["imu.acc.unit"].value == acc_unit
    assert found["imu.acc.kind"].value == "specific_force"
    assert found["imu.gyr.unit"].value == gyr_unit
    assert found["imu.files"].value == "{subject}_walk1_{sensor}.dat"
    assert found["imu.time"].value == {"column": "time_ms", "unit": "ms"}
    assert {name: found[f"imu.sensors.{name}.segment"].value for name in SENSORS} == SENSORS


def test_an_array_without_any_name_is_taken_apart_by_its_numbers(tmp_path, walk):
    raw = tmp_path / "raw"
    raw.mkdir()
    blocks = [block for force, rate in walk["sensors"].values() for block in (rate * DEG, force)]
    np.save(raw / "walk.npy", np.hstack(blocks)[:2000])
    proposal = LabAdapter().propose(raw)
    found = {guess.field: guess for guess in proposal.guesses}
    assert "columns:\n      s1: [3, 4, 5]" in proposal.manifest
    assert found["imu.gyr.unit"].value == "deg/s"
    assert found["imu.acc.unit"].value == "m/s2"
    assert found["imu.rate_hz"].verdict == "open"
    assert all(found[f"imu.sensors.s{i}.segment"].verdict == "open" for i in (1, 2, 3, 4))


def test_every_question_is_refused_by_name_and_nothing_else_is(tmp_path, walk):
    folder = write_csv(tmp_path / "raw", walk)
    np.save(folder / "mocap_right_knee.npy", -walk["knee"][:1500])
    proposal = LabAdapter().propose(folder)
    (folder / "kinbench.yaml").write_text(proposal.manifest)
    with pytest.raises(UsageError) as refused:
        read_manifest(folder / "kinbench.yaml")
    asked = {guess.field for guess in proposal.guesses if guess.verdict == "open"}
    assert asked == {"dataset.licence", "reference.convention"}
    assert all(f"QUESTION {field}" in proposal.manifest for field in asked)
    lines = str(refused.value).splitlines()
    assert len(lines) == len(asked)
    assert "dataset.licence" in str(refused.value)
    assert "convention" in str(refused.value)


def test_the_reference_gets_its_joint_sign_unit_rate_and_lag(tmp_path, walk):
    folder = write_csv(tmp_path / "raw", walk)
    lags = []
    for late in (0, 30):
        np.save(folder / "mocap_right_knee.npy", -np.radians(walk["knee"][late : late + 1490]))
        found = guesses_of(folder)
        lags.append(found["sync.lag_s"].value)
    assert found["reference.files"].value == "mocap_right_knee.npy"
    assert found["reference.unit"].value == "rad"
    assert found["reference.rate_hz"].value == 60
    assert found["reference.angles.knee_flexion_r"].value == {"column": "0", "sign": -1}
    assert lags[1] - lags[0] == pytest.approx(30 / 60, abs=0.005)
    assert found["sync.method"].value == "estimated"


def test_a_wrapped_stretch_of_the_reference_is_proposed_for_a_mask(tmp_path, walk):
    folder = write_csv(tmp_path / "raw", walk)
    knee = walk["knee"][:1490].copy()
    knee[600:720] = -170 + np.arange(120) % 2 * 340
    np.save(folder / "mocap_right_knee.npy", knee)
    (mask,) = guesses_of(folder)["reference.masks"].value
    assert mask["dofs"] == ["knee_flexion_r"]
    assert mask["span_s"] == pytest.approx([600 / 60 - 0.5, 720 / 60 + 0.5], abs=0.25)
    np.save(folder / "mocap_right_knee.npy", walk["knee"][:1490])
    assert "reference.masks" not in guesses_of(folder)


def test_an_estimate_from_the_sensors_is_not_taken_for_truth(tmp_path, walk):
    folder = write_csv(tmp_path / "raw", walk)
    np.save(folder / "madgwick_right_knee.npy", walk["knee"][:1500])
    np.save(folder / "vicon_right_knee.npy", walk["knee"][:1490])
    assert guesses_of(folder)["reference.files"].value == "vicon_right_knee.npy"
    (folder / "vicon_right_knee.npy").unlink()
    assert guesses_of(folder)["reference.tier"].value == "imu_fusion"


def test_devices_get_their_segments_from_a_small_table(tmp_path, walk):
    folder = write_csv(tmp_path / "raw", walk)
    codes = {"pelvis": "00B40001", "thigh_r": "00B40002", "shank_r": "00B40003", "foot_r": "00B40004"}
    for name, code in codes.items():
        (folder / f"P01_walk1_{name}.csv").rename(folder / f"P01_walk1_{code}.csv")
    assert guesses_of(folder)["imu.sensors.00B40002.segment"].verdict == "open"
    (folder / "where.txt").write_text("".join(f"{code}\t{name}\n" for name, code in codes.items()))
    found = guesses_of(folder)
    assert {name: found[f"imu.sensors.{code}.segment"].value for name, code in codes.items()} == SENSORS


def test_without_side_a_segment_is_asked_for(tmp_path, walk):
    folder = write_csv(tmp_path / "raw", walk)
    for path in folder.iterdir():
        path.rename(path.with_name(path.name.replace("_r", "")))
    guess = guesses_of(folder)["imu.sensors.thigh.segment"]
    assert guess.verdict == "open"
    assert guess.evidence.startswith("Of which leg?")


def test_a_header_that_contradicts_gravity_is_a_question(tmp_path, walk):
    folder = tmp_path / "raw"
    folder.mkdir()
    force, rate = walk["sensors"]["thigh_r"]
    names = [f"{signal}_{axis} ({unit})" for signal, unit in (("Acc", "g"), ("Gyr", "rad/s")) for axis in "XYZ"]
    table = np.column_stack([np.arange(1500) / 60, force[:1500], rate[:1500]])
    np.savetxt(folder / "thigh_r.csv", table, delimiter=",", header=",".join(["time", *names]), comments="")
    found = guesses_of(folder)
    assert found["imu.acc.unit"].verdict == "open"
    assert "says g" in found["imu.acc.unit"].evidence
    assert found["imu.gyr.unit"].value == "rad/s"


def test_a_folder_without_recordings_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(UsageError, match="there is no folder"):
        LabAdapter().propose(tmp_path / "absent")
    (tmp_path / "notes.txt").write_text("nothing here\n")
    with pytest.raises(DataError, match="none of 1 files holds"):
        LabAdapter().propose(tmp_path)


def test_damaged_files_are_passed_over_and_told(tmp_path, walk):
    folder = write_csv(tmp_path / "raw", walk)
    (folder / "broken.npy").write_bytes(b"\x93NUMPY\x01\x00garbage")
    (folder / "broken.c3d").write_bytes(b"\x02\x50" + bytes(600))
    (folder / "empty.csv").write_bytes(b"")
    (folder / "half.mot").write_text("Coordinates\nendheader\ntime\tknee_angle_r\n0.0\t1\n0.1\n")
    (folder / "words.mot").write_text("this is no table\n")
    proposal = LabAdapter().propose(folder)
    assert {guess.field: guess for guess in proposal.guesses}["imu.files"].value == "{subject}_walk1_{sensor}.csv"
    told = dict(sentence.split(": ", 1) for sentence in proposal.unread)
    assert set(told) == {"'broken.npy'", "'broken.c3d'", "'empty.csv'", "'half.mot'", "'words.mot'"}
    assert "Line 5 has 1 numbers where the labels call for 2" in told["'half.mot'"], "where, what came, what should"
    assert "empty" in told["'empty.csv'"]
    assert all(sentence.split(":")[0] in proposal.manifest for sentence in proposal.unread)
    page = pages.proposal(proposal)
    assert "Files that could not be read" in page and "half.mot" in page
    assert "optional" not in proposal.manifest, "a file that cannot be read makes nothing optional"


def write_mot(path, knee):
    rows = "\n".join(f"{index / 60:.6f}\t{value:.5f}" for index, value in enumerate(knee))
    path.write_text(f"walk\nversion=1\nnRows={len(knee)}\nnColumns=2\ninDegrees=yes\nendheader\n"
                    f"time\tknee_angle_r\n{rows}\n")  # fmt: skip


def test_a_reference_is_optional_only_where_one_is_missing_and_then_says_which(tmp_path, walk):
    folder = write_csv(tmp_path / "raw", walk)
    for path in list(folder.iterdir()):
        shutil.copy(path, folder / path.name.replace("walk1", "walk2"))
    write_mot(folder / "P01_walk1_ik.mot", walk["knee"][:1490])
    (folder / "P01_walk2_ik.mot").write_text("damaged\n")
    proposal = LabAdapter().propose(folder)
    assert "optional" not in proposal.manifest
    assert any("P01_walk2_ik.mot" in told for told in proposal.unread)
    write_mot(folder / "P01_walk2_ik.mot", walk["knee"][:1490])
    assert "optional" not in LabAdapter().propose(folder).manifest
    for path in list(folder.glob("*walk1*.csv")):
        shutil.copy(path, folder / path.name.replace("walk1", "walk3"))
    found = {guess.field: guess for guess in LabAdapter().propose(folder).guesses}
    assert found["reference.optional"].value is True
    assert "1 recording" in found["reference.optional"].evidence and "P01/3" in found["reference.optional"].evidence


def test_a_manifest_for_another_folder_finds_the_recordings_from_there(tmp_path, walk):
    folder = write_csv(tmp_path / "raw", walk)
    assert "root:" not in kinbench.inspect(folder, to=folder / "kinbench.yaml").manifest
    elsewhere = tmp_path / "notes" / "manifests"
    elsewhere.mkdir(parents=True)
    manifest = kinbench.inspect(folder, to=elsewhere / "kinbench.yaml").manifest
    assert 'root: "../../raw"\n' in manifest
    (elsewhere / "kinbench.yaml").write_text(mend(manifest, {"licence:": "licence: none stated"}))
    done = kinbench.convert("lab", elsewhere, data=tmp_path / "data")
    assert not done.failed


def test_progress_is_told_file_by_file(tmp_path, walk):
    told = []
    kinbench.inspect(write_csv(tmp_path / "raw", walk), on_progress=lambda *step: told.append(step))
    assert told[0][:2] == (0, told[0][1])
    assert told[-1][0] == told[-1][1]


# --- a new user's quarter of an hour ---------------------------------------------------------------------------------


def mend(text, changes):
    """Apply a person's changes, a line each, and count them."""
    lines = text.splitlines()
    for old, new in changes.items():
        places = [index for index, line in enumerate(lines) if re.fullmatch(rf"\s*{re.escape(old)}", line)]
        assert len(places) == 1, f"{old!r} stands on {len(places)} lines"
        indent = lines[places[0]][: len(lines[places[0]]) - len(lines[places[0]].lstrip())]
        lines[places[0]] = indent + new
    return "\n".join(lines) + "\n"


def test_from_a_folder_of_mt_files_and_a_mot_to_a_validated_store(tmp_path, cohort):
    raw = tmp_path / "my_walks"
    shutil.copytree(cohort / "simulated-a" / "Subject01", raw / "Subject01")
    proposal = kinbench.inspect(raw, adapter="lab")
    changes = {"licence:": "licence: CC0-1.0", "tier: optical_marker_ik": "tier: simulation"}
    assert len(changes) <= 5
    (raw / "kinbench.yaml").write_text(mend(proposal.manifest, changes))
    done = kinbench.convert("lab", raw, data=tmp_path / "data")
    assert not done.failed
    report = kinbench.validate(tmp_path / "data" / "my_walks.zarr")
    assert not report.damaged and not report.breaches and not report.unread
    recording = next(iter(kinbench.open("my_walks", data=tmp_path / "data")))
    assert recording.subject == "Subject01"


def test_from_dot_files_and_a_mot_to_a_validated_store(tmp_path, walk):
    raw = tmp_path / "dot_lab"
    raw.mkdir()
    write_dot(raw, "thigh", walk["sensors"]["thigh_r"])
    write_dot(raw, "shank", walk["sensors"]["shank_r"])
    write_mot(raw / "walk_ik.mot", walk["knee"])
    proposal = kinbench.inspect(raw, adapter="lab")
    changes = {
        "licence:": "licence: none stated",
        "tier:": "tier: simulation",
        "thigh: {segment: , calibrate: auto}": "thigh: {segment: thigh_r, calibrate: auto}",
        "shank: {segment: , calibrate: auto}": "shank: {segment: shank_r, calibrate: auto}",
    }
    assert len(changes) <= 5
    (raw / "kinbench.yaml").write_text(mend(proposal.manifest, changes))
    done = kinbench.convert("lab", raw, data=tmp_path / "data")
    assert not done.failed
    report = kinbench.validate(tmp_path / "data" / "dot_lab.zarr")
    assert not report.damaged and not report.breaches and not report.unread


@pytest.mark.parametrize("apart_s", [0, 1])
@pytest.mark.parametrize("tags", [("D422CD00A1B2", "D422CD00A1B3"), ("Thigh_R", "Shank_R")])
def test_the_day_and_time_behind_a_sensors_name_are_no_part_of_it(tmp_path, walk, tags, apart_s):
    for trial in (1, 2):
        folder = tmp_path / "P01" / f"walk{trial}"
        folder.mkdir(parents=True)
        for number, (tag, part) in enumerate(zip(tags, ("thigh_r", "shank_r"), strict=True)):
            force, rate = walk["sensors"][part]
            write_dot(folder, f"{tag}_20241209_17310{trial + 4 * number * apart_s}", (force[:900], rate[:900]))
    proposal = LabAdapter().propose(tmp_path)
    found = {guess.field: guess for guess in proposal.guesses}
    assert found["imu.files"].value == "{subject}/walk{trial}/{sensor}_????????_??????.csv"
    assert [re.search(rf'^ +"?{tag}"?: ', proposal.manifest, re.MULTILINE) is not None for tag in tags] == [True, True]


def test_an_archive_is_to_be_unpacked(tmp_path):
    (tmp_path / "walk.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"unpack 'walk\.zip' first"):
        LabAdapter().propose(tmp_path)


def write_dot(folder, name, signals):
    """A Movella DOT export in rate quantities: header lines, microseconds, m s-2, deg s-1."""
    force, rate = signals
    head = f"sep=,\nDeviceTag:,{name}\nFirmwareVersion:,3.0.0\nAppVersion:,2023.6.0\n"
    head += "SyncStatus:,Synced\nOutputRate:,60Hz\nFilterProfile:,General\nMeasurement Mode:,Inertial data Mode\n\n"
    names = "PacketCounter,SampleTimeFine,Acc_X,Acc_Y,Acc_Z,Gyr_X,Gyr_Y,Gyr_Z"
    rows = [
        f"{row + 1},{500_000 + round(row * 1e6 / 60)},"
        + ",".join(f"{v:.6f}" for v in (*force[row], *(rate[row] * DEG)))
        for row in range(len(force))
    ]
    (folder / f"{name}.csv").write_text(head + names + "\n" + "\n".join(rows) + "\n")


def test_a_format_that_physics_contradicts_is_asked_whether_to_be_believed(tmp_path, walk):
    force, rate = walk["sensors"]["thigh_r"]
    write_dot(tmp_path, "thigh", (force / 9.80665, rate))
    proposal = LabAdapter().propose(tmp_path)
    (reader,) = [guess for guess in proposal.guesses if guess.field == "imu.reader"]
    assert reader.verdict == "open"
    assert "says m/s2" in reader.evidence and "gravity in g" in reader.evidence
    assert '\n  reader: "?"\n' in proposal.manifest
    (tmp_path / "kinbench.yaml").write_text(proposal.manifest)
    with pytest.raises(UsageError, match="reader"):
        read_manifest(tmp_path / "kinbench.yaml")


def test_the_command_prints_the_same_proposal(tmp_path, walk):
    folder = write_csv(tmp_path / "raw", walk)
    proposal = kinbench.inspect(folder)
    assert json.dumps([guess.field for guess in proposal.guesses])
    assert proposal.manifest == LabAdapter().propose(folder).manifest


# --- estimates on bare arrays ----------------------------------------------------------------------------------------


def resting_and_shaken(seed, gravity=9.81, turn=None):
    """Still, then moving, then still: acceleration (n, 3) with gravity along a direction, 100 Hz."""
    random = np.random.default_rng(seed)
    up = np.array([0.2, 0.9, 0.4]) / np.linalg.norm([0.2, 0.9, 0.4])
    up = up if turn is None else Rotation.from_rotvec(turn).apply(up)
    time = np.arange(2000) / 100
    moves = ((time > 5) & (time < 15))[:, None]
    shake = moves * 4 * np.sin(2 * np.pi * 1.1 * time[:, None] + np.array([0.0, 1.0, 2.0]))
    return gravity * up + shake + random.normal(0, 0.02, (2000, 3))


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([("m/s2", 1.0), ("g", 1 / 9.81), ("mg", 1000 / 9.81)]),
    st.floats(0.93, 1.07),
    st.tuples(*[st.floats(-3, 3)] * 3),
)
def test_gravity_at_rest_tells_the_unit_whatever_the_mounting(unit, scale, turn):
    word, factor = unit
    acc = resting_and_shaken(1, turn=np.array(turn)) * factor * scale
    found, kind = inspection.estimate_acceleration([acc], 100.0)
    if word == "mg" and scale > 1.01:
        assert found.verdict == "open"  # it may be counts, of which there are 1024 in a g
        return
    assert (found.value, found.verdict, kind.value) == (word, "known", "specific_force")


def test_gravity_that_was_removed_is_seen_and_its_unit_declined():
    acc = resting_and_shaken(2, gravity=0.0)
    unit, kind = inspection.estimate_acceleration([acc], 100.0)
    assert kind.value == "gravity_removed"
    assert unit.verdict != "known"


@settings(max_examples=20, deadline=None)
@given(st.booleans(), st.booleans(), st.sampled_from(["x", "y", "z", "-x", "-y", "-z"]), st.integers(0, 1000))
def test_the_one_right_reading_of_a_quaternion_is_found(scalar_last, inverted, up, seed):
    random = np.random.default_rng(seed)
    time = np.arange(1500) / 100
    rate = np.stack([np.sin(2 * np.pi * f * time + p) for f, p in ((0.7, 0.3), (0.5, 1.1), (0.9, 2.0))], axis=1) * 1.5
    turn = Rotation.from_rotvec(random.normal(0, 1, 3))
    world = [turn]
    for step in rate[:-1]:
        world.append(world[-1] * Rotation.from_rotvec(step / 100))
    turns = Rotation.concatenate(world)
    axis = np.zeros(3)
    axis["xyz".index(up[-1])] = -1.0 if up[0] == "-" else 1.0
    acc = turns.inv().apply(9.81 * axis) + random.normal(0, 0.1, (1500, 3))
    written = (turns.inv() if inverted else turns).as_quat(scalar_first=not scalar_last)
    estimate, reading = inspection.estimate_quaternion([written], [acc], [rate], 100.0)
    assert estimate.verdict == "known"
    assert (reading.order, reading.maps, reading.up) == (
        "xyzw" if scalar_last else "wxyz", "world_to_sensor" if inverted else "sensor_to_world", up,
    )  # fmt: skip


def test_counts_of_a_converter_are_not_taken_for_units():
    acc = resting_and_shaken(4) / 9.81 * 1024
    assert inspection.estimate_acceleration([acc], 100.0)[0].verdict == "open"
    acc = resting_and_shaken(4) / 9.81 * 16384
    assert inspection.estimate_acceleration([acc], 100.0)[0].verdict == "open"
    counts = np.random.default_rng(5).normal(0, 2000, (2000, 3))
    assert inspection.estimate_angular_rate([counts], [None], 100.0).verdict == "open"


def test_earth_axes_are_told_from_sensor_axes():
    turns = [np.array([a, b, 0.3]) for a, b in ((0.0, 0.5), (1.0, 0.2), (2.0, -0.4))]
    sensor = [resting_and_shaken(seed, turn=turn) for seed, turn in enumerate(turns)]
    assert inspection.estimate_frame(sensor, 100.0).value == "sensor"
    up = Rotation.align_vectors([[0, 0, 1]], [[0.2, 0.9, 0.4]])[0]
    earth = [up.apply(resting_and_shaken(seed)) for seed in range(3)]
    assert inspection.estimate_frame(earth, 100.0).value == "earth"
    assert inspection.estimate_frame(earth, 100.0).verdict == "guessed"


@settings(max_examples=30, deadline=None)
@given(st.floats(20, 1000), st.sampled_from(["s", "ms", "us"]), st.floats(0, 1e6))
def test_a_clock_is_read_in_the_only_unit_that_gives_a_usual_rate(rate_hz, unit, start):
    scale = {"s": 1.0, "ms": 1e3, "us": 1e6}[unit]
    found = inspection.estimate_clock(start + np.arange(500) / rate_hz * scale)
    assert found.value.unit == unit
    assert found.value.rate_hz == pytest.approx(rate_hz, rel=1e-3)
    assert found.value.regular


def test_a_clock_that_stumbles_or_is_none_is_told():
    random = np.random.default_rng(3)
    stumbling = np.cumsum(random.choice([9.0, 10.0, 12.0, 21.0], size=2000, p=[0.15, 0.6, 0.15, 0.1]))
    assert inspection.estimate_clock(stumbling).value.regular is False
    assert inspection.estimate_clock(random.normal(size=500)).verdict == "open"


def test_a_knee_bends_one_way_and_what_never_bends_is_declined():
    gait = 30 - 32 * np.cos(np.arange(600) / 15)
    assert inspection.estimate_knee_sign(gait).value == 1
    assert inspection.estimate_knee_sign(-gait).value == -1
    assert inspection.estimate_knee_sign(gait / 4).verdict == "open"
    assert inspection.estimate_angle_unit(gait).value == "deg"
    assert inspection.estimate_angle_unit(np.radians(gait)).value == "rad"
    assert inspection.estimate_angle_unit(np.radians(gait)).verdict == "guessed"
