"""The manifest adapter: fabricated laboratories of every kind, planted faults, and the real folders where they are."""

from pathlib import Path

import numpy as np
import pytest
from kinbench_adapters._formats.opensim import write_sto
from kinbench_adapters.lab import LabAdapter

from kinbench.contracts import Adapter
from kinbench.errors import DataError, UsageError

MANIFESTS = Path(__file__).parent / "manifests"
RATE = 60.0

HEAD = """
kinbench: 1
dataset: {id: lab, version: "1", licence: CC0-1.0, redistributable: true}
activity: walking
"""
IMU = """
imu:
  files: "{subject}/{trial}_{sensor}.csv"
  rate_hz: 60
  acc: {columns: [ax, ay, az], unit: g, kind: specific_force}
  gyr: {columns: [gx, gy, gz], unit: deg/s}
  sensors:
    T: {segment: femur_l, site: lateral, axes: {x: proximal, z: left}}
    S: {segment: shank_l, calibrate: {still_s: [0, 0.2], axis: -z, toward: right}, quality: acc_scale}
"""
REFERENCE = """
reference:
  files: "{subject}/{trial}_knee.csv"
  time: {column: t, unit: ms}
  tier: optical_6dof
  convention: isb_zxy
  unit: deg
  angles: {knee_flexion_l: {column: knee, sign: -1, zero_deg: 5}}
  masks: [{span_s: [0.1, 0.2], reason: occluded}]
sync: {method: declared, offset_s: 1.5}
"""
LABELLED = HEAD + IMU + REFERENCE


def signals(rows=30, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, 6)).round(6)


def csv(path, names, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(",".join(names) + "\n" + "".join(",".join(map(repr, row)) + "\n" for row in values.tolist()))


@pytest.fixture
def lab(tmp_path):
    """Two people, one trial each, one file per sensor; returns (folder, values by file)."""
    written = {}
    for number, person in enumerate(("P2", "P10")):
        for sensor in "TS":
            values = signals(seed=10 * number + ord(sensor))
            csv(tmp_path / person / f"walk_{sensor}.csv", ["ax", "ay", "az", "gx", "gy", "gz"], values)
            written[person, sensor] = values
        time = 1000.0 * np.arange(30) / RATE
        csv(tmp_path / person / "walk_knee.csv", ["t", "knee"], np.column_stack([time.round(3), signals(seed=9)[:, 0]]))
    manifest(tmp_path, LABELLED)
    return tmp_path, written


def manifest(folder, text):
    (folder / "kinbench.yaml").write_text(text, encoding="utf-8")


def load(folder, index=0):
    return LabAdapter().find(folder).sources[index].load()


# --- what a laboratory declares --------------------------------------------------------------------------------------


def test_it_is_an_adapter_and_finding_reads_no_signal(lab):
    folder, _ = lab
    for path in folder.rglob("*.csv"):
        path.write_text("nothing")
    assert isinstance(LabAdapter(), Adapter)
    found = LabAdapter().find(folder)
    assert [str(source.key) for source in found.sources] == ["lab/P2/1/walk", "lab/P10/1/walk"]
    assert found.card.name == "lab"
    assert found.card.licence == "CC0-1.0"
    assert {path.name for path in found.sources[0].files} == {
        "kinbench.yaml",
        "walk_T.csv",
        "walk_S.csv",
        "walk_knee.csv",
    }


def test_signals_are_those_of_the_files_in_declared_units(lab):
    folder, written = lab
    recording = load(folder)
    imu = recording.imu
    assert [str(name) for name in imu["sensor"].values] == ["T", "S"]
    np.testing.assert_array_equal(imu["acc"].values[:, 0], written["P2", "T"][:, :3].astype(np.float32))
    np.testing.assert_array_equal(imu["gyr"].values[:, 1], written["P2", "S"][:, 3:].astype(np.float32))
    assert imu["acc"].attrs == {"units": "g", "kind": "specific_force", "frame": "sensor"}
    assert imu["gyr"].attrs["units"] == "deg s-1"
    np.testing.assert_allclose(imu["time"].values, np.arange(30) / RATE)
    np.testing.assert_allclose(recording.reference["time"].values, np.arange(30) / RATE, atol=1e-6)
    assert recording.attrs["rates"]["reference"]["regular"]


def test_facts_are_declared_and_nothing_is_converted(lab):
    recording = load(lab[0])
    declared = recording.declared
    assert dict(declared.dof_scale) == {"knee_flexion_l": -1.0}
    assert dict(declared.dof_zero_deg) == {"knee_flexion_l": 5.0}
    assert (declared.sync.method, declared.sync.offset_s) == ("declared", 1.5)
    assert [(mask.start_s, mask.stop_s, mask.reason) for mask in declared.masks] == [(0.1, 0.2, "occluded")]
    assert declared.calibrations["S"].axis == "-z"
    np.testing.assert_array_equal(recording.imu["rotation"].values[0], [[0, 1, 0], [1, 0, 0], [0, 0, -1]])
    assert np.isnan(recording.imu["rotation"].values[1]).all()
    assert [str(origin) for origin in recording.imu["rotation_origin"].values] == ["nominal", "unknown"]
    assert [str(segment) for segment in recording.imu["segment"].values] == ["thigh_l", "shank_l"]
    assert recording.attrs["quality"] == ["S:acc_scale"]
    assert recording.attrs["person"] == "lab/P2"
    assert [source["name"] for source in recording.attrs["source"]] == [
        "P2/walk_S.csv", "P2/walk_T.csv", "P2/walk_knee.csv", "kinbench.yaml",
    ]  # fmt: skip


def test_only_sync_and_units_are_left_to_the_engine(lab):
    paths = {breach.path for breach in load(lab[0]).validate()}
    assert paths == {"attrs.sync", "imu.acc.units", "imu.gyr.units"}


def test_people_activities_and_other_facts_of_some_recordings(lab):
    folder, _ = lab
    manifest(
        folder,
        LABELLED
        + """
people: {P2: {sex: female, age_y: 31, alias: other_lab/S7}}
recordings:
  "*": {activity: standing, quality: [noisy]}
  "P10/*":
    activity: "other:waltz"
    sync: {method: hardware}
    masks: [{span_s: [1, 2], reason: late}]
    sensors: {S: {axes: {x: proximal, z: left}, rotation_origin: optical}}
""",
    )
    first, second = load(folder, 0), load(folder, 1)
    assert (first.attrs["activity"], second.attrs["activity"]) == ("standing", "other:waltz")
    assert first.attrs["person"] == "other_lab/S7"
    assert first.attrs["person_table"]["age_y"] == 31.0
    assert second.attrs["person_table"]["sex"] == "unknown"
    assert second.declared.sync.method == "hardware"
    assert [mask.reason for mask in second.declared.masks] == ["occluded", "late"]
    assert not second.declared.calibrations
    assert [str(origin) for origin in second.imu["rotation_origin"].values] == ["nominal", "optical"]
    assert first.attrs["quality"] == ["noisy", "S:acc_scale"]


def test_a_recording_can_be_excluded_and_a_stale_pattern_is_refused(lab):
    folder, _ = lab
    manifest(folder, LABELLED + 'recordings: {"P2/*": {exclude: the strap slipped}}')
    assert [source.key.subject for source in LabAdapter().find(folder).sources] == ["P10"]
    manifest(folder, LABELLED + 'recordings: {"P3/*": {exclude: nobody}}')
    with pytest.raises(UsageError, match=r"kinbench\.yaml: recordings: 'P3/\*' fits no recording"):
        LabAdapter().find(folder)


def test_simulated_data_say_so(lab):
    folder, _ = lab
    manifest(folder, LABELLED + "simulation: true")
    recording = load(folder)
    assert recording.attrs["simulation"] is True
    assert LabAdapter().find(folder).card.simulation
    assert {str(origin) for origin in recording.imu["origin"].values} == {"synthetic"}
    assert {str(name) for name in recording.imu["attachment"].values} == {"virtual"}


def test_a_manifest_may_stand_elsewhere_than_the_data(lab, tmp_path_factory, monkeypatch):
    folder, _ = lab
    elsewhere = tmp_path_factory.mktemp("manifests")
    monkeypatch.setenv("KINBENCH_TEST_ROOT", str(folder))
    manifest(elsewhere, LABELLED + "root: ${KINBENCH_TEST_ROOT}")
    assert len(LabAdapter().find(elsewhere).sources) == 2
    assert len(LabAdapter().find(elsewhere / "kinbench.yaml").sources) == 2
    (elsewhere / "kinbench.yaml").rename(elsewhere / "mine.yaml")
    assert len(LabAdapter(manifest="mine.yaml").find(elsewhere).sources) == 2
    monkeypatch.delenv("KINBENCH_TEST_ROOT")
    manifest(elsewhere, LABELLED + f"root: ${{KINBENCH_TEST_ROOT:-{folder}}}")
    assert len(LabAdapter().find(elsewhere).sources) == 2


def test_two_finds_are_equal(lab):
    one, two = load(lab[0]), load(lab[0])
    assert one.attrs == two.attrs
    assert one.imu.identical(two.imu)


def test_a_sensor_the_manifest_does_not_describe_is_told_and_left_out(lab):
    folder, _ = lab
    csv(folder / "P2" / "walk_X.csv", ["anything"], signals()[:, :1])
    recording = load(folder)
    assert recording.imu.sizes["sensor"] == 2
    assert recording.attrs["absent"] == {"sensor X": "the manifest does not describe it"}
    assert "P2/walk_X.csv" not in {source["name"] for source in recording.attrs["source"]}


# --- layouts ---------------------------------------------------------------------------------------------------------


def test_one_wide_file_with_the_reference_inside_on_a_stumbling_clock(tmp_path):
    time = np.delete(np.arange(32), [10, 11]) * 10.0 + 500.0
    values = signals()
    names = ["t", *(f"{s}_{c}" for s in ("T", "S") for c in ("x", "y", "z")), "knee"]
    csv(tmp_path / "log7.csv", names, np.column_stack([time, values, values[:, 0]]))
    text = """
imu:
  files: log{subject}.csv
  time: {column: t, unit: ms, regular: false}
  gyr: {columns: ["{sensor}_x", "{sensor}_y", "{sensor}_z"], unit: rad/s}
  sensors: {T: {segment: thigh_r}, S: {segment: shank_r}}
reference: {tier: encoder, convention: encoder_pin, unit: deg, angles: {knee_flexion_r: knee}}
"""
    manifest(tmp_path, HEAD + text)
    recording = load(tmp_path)
    np.testing.assert_allclose(recording.imu["time"].values, time / 1000)
    np.testing.assert_array_equal(recording.reference["time"].values, recording.imu["time"].values)
    rates = recording.attrs["rates"]["imu"]
    assert (rates["regular"], rates["lost"], rates["longest_gap_s"]) == (False, 2, 0.03)
    assert rates["measured_hz"] == pytest.approx(29 / 0.31)
    assert recording.declared.sync.method == "same_clock"
    assert "acc" in recording.attrs["absent"]
    manifest(tmp_path, HEAD + text.replace(", regular: false", ""))
    with pytest.raises(DataError, match=r"1 gaps in its clock, the longest of 0\.030 s after 0\.590 s"):
        load(tmp_path)


def test_a_reference_is_not_taken_for_another_trial(tmp_path):
    csv(tmp_path / "P_walk.csv", ["x", "y", "z"], signals()[:, :3])
    csv(tmp_path / "P_walk_knee.csv", ["knee"], signals()[:, :1])
    text = """
imu:
  files: "{subject}_{trial}.csv"
  rate_hz: 60
  gyr: {columns: [x, y, z], unit: rad/s}
  sensors: {S: {segment: shank_r}}
reference:
  files: "{subject}_{trial}_knee.csv"
  rate_hz: 60
  tier: encoder
  convention: encoder_pin
  unit: deg
  angles: {knee_flexion_r: knee}
sync: {method: hardware}
"""
    manifest(tmp_path, HEAD + text)
    assert [source.key.trial for source in LabAdapter().find(tmp_path).sources] == ["walk"]
    assert load(tmp_path).reference is not None


def test_a_counter_puts_sensors_of_unequal_length_on_one_clock(tmp_path):
    full = np.column_stack([(65530 + np.arange(30)) % 65536, signals(seed=1)])
    short = np.delete(full, [4, 5], axis=0)[:-3]
    doubled = np.insert(full, 7, full[6], axis=0)
    names = ["n", "ax", "ay", "az", "gx", "gy", "gz"]
    csv(tmp_path / "P" / "walk_T.csv", names, doubled)
    csv(tmp_path / "P" / "walk_S.csv", names, short)
    manifest(tmp_path, HEAD + IMU.replace("rate_hz: 60", "rate_hz: 60\n  counter: n"))
    recording = load(tmp_path)
    assert recording.imu.sizes["time"] == 30
    np.testing.assert_array_equal(np.flatnonzero(~recording.imu["valid"].values[:, 1]), [4, 5, 27, 28, 29])
    assert recording.imu["valid"].values[:, 0].all()
    np.testing.assert_array_equal(recording.imu["acc"].values[8, 0], full[8, 1:4].astype(np.float32))
    mended = recording.attrs["history"][0]["counter"]
    assert (mended["T"]["doubled"], mended["T"]["wraps"], mended["S"]["lost"]) == (1, 1, 2)
    assert recording.attrs["absent"]["reference"] == "the manifest declares no reference"


STAMPED = IMU.replace("rate_hz: 60", "time: {column: us, unit: us}")


def stamped(folder, sensor, stamps, values):
    names = ["us", "ax", "ay", "az", "gx", "gy", "gz"]
    csv(folder / "P" / f"walk_{sensor}.csv", names, np.column_stack([stamps, values]))


def test_time_stamps_of_one_clock_put_sensors_of_unequal_length_in_place(tmp_path):
    values, stamps = signals(40), 10_000_000 + 16667 * np.arange(40)
    stamped(tmp_path, "T", stamps[2:], values[2:])
    stamped(tmp_path, "S", np.delete(stamps, [5, 6])[:-5] + 2000, np.delete(values, [5, 6], axis=0)[:-5])
    manifest(tmp_path, HEAD + STAMPED)
    recording = load(tmp_path)
    imu = recording.imu
    np.testing.assert_allclose(imu["time"].values, stamps / 1e6, atol=1e-9)
    np.testing.assert_array_equal(np.flatnonzero(~imu["valid"].values[:, 0]), [0, 1])
    np.testing.assert_array_equal(np.flatnonzero(~imu["valid"].values[:, 1]), [5, 6, 35, 36, 37, 38, 39])
    for index in range(2):
        there = imu["valid"].values[:, index]
        np.testing.assert_array_equal(imu["acc"].values[there, index], values[there, :3].astype(np.float32))
        assert np.isnan(imu["gyr"].values[~there, index]).all()
    np.testing.assert_allclose(imu["clock_offset_s"].values, [0.0, 0.002], atol=1e-9)
    step, rates = recording.attrs["history"][0], recording.attrs["rates"]["imu"]
    assert step["step"] == "clock"
    assert step["time_stamps"] == {
        "T": {"rows": 38, "lost": 0, "missing_at_ends": 2, "first_s": 10.033334, "clock_offset_s": 0.0},
        "S": {"rows": 33, "lost": 2, "missing_at_ends": 5, "first_s": 10.002, "clock_offset_s": 0.002},
    }
    assert (rates["regular"], rates["lost"]) == (True, 2) and rates["measured_hz"] == pytest.approx(59.9988, abs=1e-3)


def test_stamps_in_whole_milliseconds_and_a_later_start_of_equal_length_are_put_in_place(tmp_path):
    whole = np.round(np.arange(901) / 0.06) * 1000
    stamped(tmp_path, "T", whole[:-1], signals(900))
    stamped(tmp_path, "S", whole[1:], signals(900))
    manifest(tmp_path, HEAD + STAMPED.replace("time:", "rate_hz: 60\n  start_s: 3\n  time:"))
    recording = load(tmp_path)
    np.testing.assert_array_equal(np.argwhere(~recording.imu["valid"].values), [[0, 1], [900, 0]])
    np.testing.assert_allclose(recording.imu["time"].values, 3 + np.arange(901) / 60, atol=2e-3)
    np.testing.assert_array_equal(recording.imu["clock_offset_s"].values, [0, 0])


@pytest.mark.parametrize(
    ("late", "told"),
    [
        (lambda us: us + 0.4 * 16667, r"sensor S: the times of 98 samples, .* sample 0 .* up to 0\.40 of a sample off"),
        (lambda us: us * 1.004, "sensor S: the times of .* of a sample off"),
        (lambda us: np.insert(us, 9, us[8] + 3000)[:-1], "sensor S: samples 8 and 9 .* are of one instant"),
        (lambda us: us + 1e9, "time stamps do not overlap"),
        (
            lambda us: np.where(np.arange(us.size) > 20, us + 1e10, us),
            r"sensor S: .* most after 0\.333 s; more is missing than there is",
        ),
    ],
)
def test_stamps_that_are_not_of_one_regular_clock_are_refused(tmp_path, late, told):
    stamps = 16667.0 * np.arange(100)
    stamped(tmp_path, "T", stamps, signals(100))
    stamped(tmp_path, "S", late(stamps)[:-2], signals(98))
    manifest(tmp_path, HEAD + STAMPED)
    with pytest.raises(DataError, match=told):
        load(tmp_path)


def test_unequal_files_without_a_clock_are_not_sent_to_counters_that_may_not_agree(lab):
    folder, _ = lab
    path = folder / "P2" / "walk_S.csv"
    path.write_text(path.read_text().rsplit("\n", 3)[0] + "\n")
    with pytest.raises(DataError, match=r"declare 'time: .* 'counter:' only if all sensors count together"):
        load(folder)


def test_the_real_dots_are_joined_by_their_stamps_and_not_by_their_counters(shared, tmp_path):
    text = f"""
root: {shared / "xsens_dot"}
imu:
  files: "{{subject}}/{{sensor}}.csv"
  reader: {{name: delimited, skip_until: PacketCounter}}
  time: {{column: SampleTimeFine, unit: us}}
  acc: {{columns: [Acc_X, Acc_Y, Acc_Z], unit: m/s2, kind: specific_force}}
  gyr: {{columns: [Gyr_X, Gyr_Y, Gyr_Z], unit: deg/s}}
  sensors: {{femur: {{segment: thigh_r}}, tibia: {{segment: shank_r}}}}
"""
    manifest(tmp_path, HEAD + text)
    recording = load(tmp_path)
    imu = recording.imu
    assert imu.sizes["time"] == 3263
    np.testing.assert_array_equal(np.argwhere(~imu["valid"].values), [[0, 1]])
    np.testing.assert_array_equal(imu["acc"].values[1, 0], np.float32([0.639424, 0.271287, 9.834217]))
    np.testing.assert_array_equal(imu["acc"].values[1, 1], np.float32([9.590073, -2.106734, -1.102273]))
    np.testing.assert_array_equal(imu["clock_offset_s"].values, [0, 0])
    told = recording.attrs["history"][0]["time_stamps"]
    assert (told["femur"]["rows"], told["tibia"]["rows"], told["tibia"]["lost"]) == (3263, 3262, 0)
    assert (told["femur"]["first_s"], told["tibia"]["first_s"]) == (1020.235923, 1020.25259)


def test_opensim_tables_and_an_optional_reference(tmp_path):
    header = (
        "PathFileType\t4\t(X/Y/Z)\ta.trc\n"
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames\n"
        "100\t100\t5\t1\tm\t100\t1\t5\nFrame#\tTime\tthigh_imu\t\t\n\t\tX1\tY1\tZ1\n\n"
    )
    for person in ("A", "B"):
        folder = tmp_path / person
        folder.mkdir()
        for name in ("acc", "gyr"):
            rows = "".join(f"{i + 1}\t{i / 100}\t{i}\t1\t2\n" for i in range(5))
            (folder / f"{name}.trc").write_text(header + rows)
    write_sto(tmp_path / "A" / "ik.mot", ["knee_angle_r"], np.arange(3) / 50 + 0.02, np.ones((3, 1)), True)
    text = """
imu:
  acc: {files: "{subject}/acc.trc", columns: "{sensor}_imu", unit: m/s2, kind: specific_force}
  gyr: {files: "{subject}/gyr.trc", columns: "{sensor}_imu", unit: rad/s}
  sensors: {thigh: {segment: thigh_r}}
reference:
  files: "{subject}/ik.mot"
  optional: true
  tier: optical_marker_ik
  convention: opensim_coordinate
  unit: deg
  angles: {knee_flexion_r: knee_angle_r}
sync: {method: same_clock}
"""
    manifest(tmp_path, HEAD + text)
    labelled, unlabelled = load(tmp_path, 0), load(tmp_path, 1)
    np.testing.assert_array_equal(labelled.imu["acc"].values[3, 0], [3, 1, 2])
    np.testing.assert_allclose(labelled.reference["time"].values, [0.02, 0.04, 0.06])
    assert labelled.attrs["rates"]["reference"]["measured_hz"] == pytest.approx(50)
    assert unlabelled.reference is None
    assert unlabelled.attrs["absent"] == {"reference": "no file fits '{subject}/ik.mot'"}
    assert unlabelled.declared.sync is None
    manifest(tmp_path, HEAD + text.replace("unit: deg", "unit: rad"))
    with pytest.raises(DataError, match="says its angles are in degrees"):
        load(tmp_path, 0)
    manifest(tmp_path, HEAD + text.replace("  optional: true\n", ""))
    with pytest.raises(DataError, match="no file fits the reference pattern"):
        load(tmp_path, 1)


def test_segment_orientations_with_their_axes_and_world(lab):
    folder, _ = lab
    quaternions = signals(seed=3)[:, :4]
    csv(folder / "P2" / "walk_knee.csv", ["qx", "qy", "qz", "qw"], quaternions)
    reference = """
reference:
  files: "{subject}/{trial}_knee.csv"
  rate_hz: 60
  start_s: 2
  tier: optical_6dof
  quat: {order: xyzw, maps: world_to_segment, up: z, forward: x}
  segments: {tibia_l: {columns: [qx, qy, qz, qw], axes: {x: anterior, y: left, z: proximal}}}
sync: {method: estimated, search_s: 5}
"""
    manifest(folder, HEAD + IMU + reference)
    recording = load(folder)
    np.testing.assert_array_equal(recording.reference["segment_quat"].values[:, 0], quaternions.astype(np.float32))
    declared = recording.declared
    np.testing.assert_array_equal(declared.segment_axes["shank_l"], [[1, 0, 0], [0, 0, 1], [0, -1, 0]])
    assert (declared.segment_quat_order, declared.segment_quat_maps) == ("xyzw", "world_to_segment")
    assert (declared.reference_up, declared.reference_forward) == ("z", "x")
    assert recording.reference["time"].values[0] == 2.0
    assert declared.sync.search_s == 5.0


def test_arrays_without_names(tmp_path):
    np.save(tmp_path / "P_imu.npy", signals())
    np.save(tmp_path / "P_knee.npy", np.arange(30.0))
    text = """
imu:
  files: "{subject}_imu.npy"
  rate_hz: 60
  acc: {columns: [0, 1, 2], unit: mg, kind: gravity_removed}
  gyr: {columns: [3, 4, 5], unit: rad/s}
  quat: {columns: [0, 1, 2, 3], order: wxyz, maps: sensor_to_world, up: z}
  sensors: {S: {segment: shank_r}}
reference:
  files: "{subject}_knee.npy"
  rate_hz: 60
  tier: optical_6dof
  convention: isb_zxy
  unit: deg
  angles: {knee_flexion_r: 0}
sync: {method: hardware}
"""
    manifest(tmp_path, HEAD + text)
    recording = load(tmp_path)
    np.testing.assert_array_equal(recording.imu["gyr"].values[:, 0], signals()[:, 3:].astype(np.float32))
    assert recording.imu["acc"].attrs["kind"] == "gravity_removed"
    assert recording.declared.imu_up == "z"
    np.testing.assert_array_equal(recording.reference["angle"].values[:, 0], np.arange(30))
    manifest(tmp_path, HEAD + text.replace("[3, 4, 5]", "[3, 4, 6]"))
    with pytest.raises(DataError, match="no column '6'"):
        load(tmp_path)


def test_columns_by_sensor_where_the_names_do_not_hold_the_sensors(tmp_path):
    values = signals()
    csv(tmp_path / "P.csv", ["x", "y", "z", "x", "y", "z"], values)
    text = """
imu:
  files: "{subject}.csv"
  rate_hz: 60
  gyr: {columns: {S: [3, 4, 5], T: [2, 1, 0]}, unit: rad/s}
  sensors: {T: {segment: thigh_r}, S: {segment: shank_r}}
"""
    manifest(tmp_path, HEAD + text)
    gyr = load(tmp_path).imu["gyr"]
    np.testing.assert_array_equal(gyr.sel(sensor="T").values, values[:, [2, 1, 0]].astype(np.float32))
    np.testing.assert_array_equal(gyr.sel(sensor="S").values, values[:, 3:].astype(np.float32))
    manifest(tmp_path, HEAD + text.replace("[3, 4, 5]", "[3, 4, 6]"))
    with pytest.raises(DataError, match="no column 6"):
        load(tmp_path)


def test_the_real_array_of_eight_sensors_is_described_by_its_columns(shared, tmp_path):
    names = "abcdefgh"
    segments = ("pelvis", "thigh_r", "shank_r", "foot_r", "thigh_l", "shank_l", "foot_l", "trunk")
    acc, gyr = (
        ", ".join(f"{n}: {[6 * i + first + k for k in range(3)]}" for i, n in enumerate(names)) for first in (0, 3)
    )
    text = f"""
root: {shared / "realtime_opensense"}
imu:
  files: "raw_imu_{{subject}}.npy"
  rate_hz: 30
  acc: {{columns: {{{acc}}}, unit: m/s2, kind: specific_force}}
  gyr: {{columns: {{{gyr}}}, unit: rad/s}}
  sensors: {{{", ".join(f"{n}: {{segment: {segment}}}" for n, segment in zip(names, segments, strict=True))}}}
"""
    manifest(tmp_path, HEAD + text)
    imu = load(tmp_path).imu
    raw = np.load(shared / "realtime_opensense/raw_imu_0.npy").reshape(-1, 8, 6).astype(np.float32)
    np.testing.assert_array_equal(imu["acc"].values, raw[:, :, :3])
    np.testing.assert_array_equal(imu["gyr"].values, raw[:, :, 3:])
    at_rest = np.linalg.norm(np.median(imu["acc"].values[:30], axis=0), axis=1)
    assert (abs(at_rest - 9.8) < 0.8).all(), at_rest


def mt_text(rate_hz, rows=30):
    names = ["PacketCounter", "Acc_X", "Acc_Y", "Acc_Z", "Gyr_X", "Gyr_Y", "Gyr_Z"]
    body = "".join("\t".join([str(100 + i), *map(str, row)]) + "\n" for i, row in enumerate(signals(rows).tolist()))
    return f"// Update Rate: {rate_hz:.1f}Hz\n" + "\t".join(names) + "\n" + body


MT = """
imu:
  files: "{subject}/MT_{trial}_{sensor}.txt"
  reader: mt_manager
  sensors: {00B40001: {segment: thigh_r}, 00B40002: {segment: shank_r}}
"""


def test_vendor_text_knows_its_units_clock_and_rate(tmp_path):
    (tmp_path / "P").mkdir()
    for sensor in ("00B40001", "00B40002"):
        (tmp_path / "P" / f"MT_walk_{sensor}.txt").write_text(mt_text(100.0))
    manifest(tmp_path, HEAD + MT)
    recording = load(tmp_path)
    assert recording.imu["acc"].attrs == {"units": "m s-2", "kind": "specific_force", "frame": "sensor"}
    assert recording.imu["gyr"].attrs["units"] == "rad s-1"
    np.testing.assert_allclose(recording.imu["time"].values, np.arange(30) / 100)
    np.testing.assert_array_equal(recording.imu["acc"].values[:, 1], signals()[:, :3].astype(np.float32))
    manifest(tmp_path, HEAD + MT.replace("reader: mt_manager", "reader: mt_manager\n  rate_hz: 60"))
    with pytest.raises(DataError, match="the manifest says 60 Hz, the files' header 100 Hz"):
        load(tmp_path)


def test_sensors_of_one_trial_at_two_rates_are_refused(tmp_path):
    (tmp_path / "P").mkdir()
    (tmp_path / "P" / "MT_walk_00B40001.txt").write_text(mt_text(100.0))
    (tmp_path / "P" / "MT_walk_00B40002.txt").write_text(mt_text(60.0))
    manifest(tmp_path, HEAD + MT)
    with pytest.raises(DataError, match="one rate"):
        load(tmp_path)


# --- what is wrong with the files ------------------------------------------------------------------------------------


def test_a_missing_folder_manifest_or_file_is_one_clear_error(tmp_path):
    with pytest.raises(UsageError, match="no folder"):
        LabAdapter().find(tmp_path / "none")
    with pytest.raises(UsageError, match=r"no kinbench\.yaml"):
        LabAdapter().find(tmp_path)
    manifest(tmp_path, LABELLED)
    with pytest.raises(DataError, match="no file fits the imu pattern"):
        LabAdapter().find(tmp_path)


def test_a_bad_recording_fails_alone(lab):
    folder, _ = lab
    path = folder / "P2" / "walk_T.csv"
    path.write_text(path.read_text()[:-30])
    first, second = LabAdapter().find(folder).sources
    with pytest.raises(DataError, match=r"walk_T\.csv: line 31: . cells, expected 6 \(the last line"):
        first.load()
    assert second.load().imu.sizes["time"] == 30


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("walk_S.csv", None, "sensor 'S' is in the manifest, but no file fits"),
        ("walk_S.csv", lambda text: text.split("\n")[0] + "\n", r"has a header \(line 1\) but no data"),
        ("walk_S.csv", lambda text: text.rsplit("\n", 3)[0] + "\n", "differ in length"),
        ("walk_S.csv", lambda text: text.replace("ax", "az"), "no column 'ax'"),
        ("walk_S.csv", lambda text: text.replace(",", ",x", 6), "expected a number|no column"),
        ("walk_knee.csv", lambda text: text.replace("\n33.333", "\n16.667"), "does not rise at 1 samples"),
        ("walk_knee.csv", lambda text: text.replace("\n33.333", "\nNaN"), "the time of sample 2 is missing"),
    ],
)
def test_each_fault_of_a_file_is_named(lab, name, change, told):
    folder, _ = lab
    path = folder / "P2" / name
    if change is None:
        path.unlink()
    else:
        path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=told):
        load(folder)


@pytest.mark.parametrize(
    ("right", "wrong", "missed"),
    [
        ("gyr: {columns: [gx, gy, gz]", "gyr: {columns: [gx, gyy, gz]", "gyy"),
        ("column: knee, sign", "column: kne, sign", "kne"),
        ("gyr: {columns: [gx, gy, gz]", 'gyr: {columns: [gx, "g{sensor}", gz]', "gT"),
    ],
)  # fmt: skip
def test_a_misspelt_column_is_told_with_the_manifests_line(lab, right, wrong, missed):
    folder, _ = lab
    text = LABELLED.replace(right, wrong)
    assert text != LABELLED
    manifest(folder, text)
    line = next(number for number, told in enumerate(text.splitlines(), start=1) if wrong in told)
    with pytest.raises(DataError, match=rf"there is no column '{missed}'.* kinbench\.yaml:{line} asks for it\.$"):
        load(folder)


def test_two_rates_and_unequal_clocks_are_refused(lab):
    folder, _ = lab
    text = LABELLED.replace("  time: {column: t, unit: ms}", "  time: {column: t, unit: ms}\n  rate_hz: 100")
    manifest(folder, text)
    with pytest.raises(DataError, match=r"its clock runs at 60\.0.* Hz, 100 Hz is declared"):
        load(folder)
    for sensor, step in (("T", 10), ("S", 12)):
        names = ["ms", "ax", "ay", "az", "gx", "gy", "gz"]
        csv(folder / "P2" / f"walk_{sensor}.csv", names, np.column_stack([np.arange(30) * step, signals()]))
    manifest(folder, HEAD + IMU.replace("rate_hz: 60", "time: {column: ms, unit: ms}"))
    with pytest.raises(DataError, match=r"sensor S: its stamps run at 83\.333 Hz, those of T at 100\.000 Hz"):
        load(folder)


def test_a_reference_without_imu_files_is_told(lab):
    folder, _ = lab
    csv(folder / "P3" / "walk_knee.csv", ["t", "knee"], signals()[:, :2])
    sources = LabAdapter().find(folder).sources
    assert [source.key.subject for source in sources] == ["P2", "P3", "P10"]
    with pytest.raises(DataError, match="a reference without imu files"):
        sources[1].load()


def test_files_that_cannot_be_told_apart_are_refused(lab):
    folder, _ = lab
    manifest(folder, (HEAD + IMU).replace("{subject}/{trial}_{sensor}", "*/{trial}_{sensor}"))
    with pytest.raises(UsageError, match=r"no file pattern holds \{subject\}"):
        LabAdapter().find(folder)
    manifest(folder, (HEAD + IMU).replace("{subject}/{trial}_{sensor}", "*/{trial}_{sensor}") + "fields: {subject: P}")
    with pytest.raises(UsageError, match="are both P/1/walk"):
        LabAdapter().find(folder)


def test_missing_values_are_masked_not_made_up(lab):
    folder, _ = lab
    path = folder / "P2" / "walk_T.csv"
    lines = path.read_text().split("\n")
    lines[3] = ",,," + ",".join(lines[3].split(",")[3:])
    path.write_text("\n".join(lines))
    imu = load(folder).imu
    assert np.isnan(imu["acc"].values[2, 0]).all()
    np.testing.assert_array_equal(np.argwhere(~imu["valid"].values), [[2, 0]])


# --- the real laboratories -------------------------------------------------------------------------------------------

REAL = {
    # manifest: recordings, samples and sensors of the first labelled one, rate, reference samples, DoFs
    "neura_sparse": (1, 2503, 9, 100.0, 2503, 6),
    "fan_knee": (1, 6670, 2, 100.0, 6671, 1),
    "halilaj_lab": (1, 26419, 3, 40.0, 26396, 1),
    "capsense_treadmill": (7, 7057, 8, 100.0, 4501, 13),
    "zare_ankle": (4, 17510, 2, 97.276546, 17510, 1),
}


@pytest.mark.parametrize("name", REAL)
def test_the_real_laboratories_load_as_declared(shared, name):
    count, samples, sensors, rate_hz, truths, dofs = REAL[name]
    sources = LabAdapter().find(MANIFESTS / name).sources
    assert len(sources) == count
    source = next(s for s in sources if s.key.subject in ("S02", "P1", "Sub02", "2"))
    recording = source.load()
    assert dict(recording.imu.sizes)["time"] == samples
    assert dict(recording.imu.sizes)["sensor"] == sensors
    assert recording.attrs["rates"]["imu"]["measured_hz"] == pytest.approx(rate_hz)
    assert dict(recording.reference.sizes)["time"] == truths
    assert dict(recording.reference.sizes)["dof"] == dofs
    assert {breach.path for breach in recording.validate()} <= {"attrs.sync", "imu.gyr.units"}


def test_the_real_doubled_packet_is_dropped_and_told(shared):
    recording = LabAdapter().find(MANIFESTS / "fan_knee").sources[0].load()
    assert {told["doubled"] for told in recording.attrs["history"][0]["counter"].values()} == {1}


def test_the_people_without_joint_angles_are_kept_with_their_plates(shared):
    sources = LabAdapter().find(MANIFESTS / "capsense_treadmill").sources
    labelled = [source.key.subject for source in sources if any("IKoutput" in path.name for path in source.files)]
    assert labelled == ["Sub02"]
    recording = sources[0].load()
    assert set(recording.reference.data_vars) == {"grf"}
    assert [str(name) for name in recording.reference["plate"].values] == ["left", "right"]
    assert "angle" in recording.attrs["absent"]
    assert recording.attrs["quality"] == ["torso:acc_scale", "toes_l:acc_scale"]


def test_the_plates_carry_the_people_of_the_table(shared):
    """Mass comes from the workbook, force from the plates: two files that know nothing of each other."""
    for source in LabAdapter().find(MANIFESTS / "capsense_treadmill").sources:
        recording = source.load()
        person = recording.attrs["person_table"]
        upward = recording.reference["grf"].values[..., 1].sum(axis=1).mean()
        assert upward / (person["mass_kg"] * 9.81) == pytest.approx(0.99, abs=0.025)
        assert person["sex"] in ("female", "male")
        assert 0.7 < person["leg_length_m"] < 1.1 < person["height_m"] < 2.1


def test_the_encoder_turns_with_foot_minus_shank(shared):
    """The declared axes and sign: dorsiflexion rate = foot minus shank about the axis declared to point right."""
    recording = LabAdapter().find(MANIFESTS / "zare_ankle").sources[0].load()
    assert recording.imu["acc"].attrs["kind"] == "gravity_removed"
    turned = np.einsum("sij,tsj->tsi", recording.imu["rotation"].values, recording.imu["gyr"].values)
    shank, foot = (
        turned[:, [str(s) for s in recording.imu["segment"].values].index(n), 2] for n in ("shank_r", "foot_r")
    )
    time = recording.imu["time"].values
    rate = np.gradient(recording.reference["angle"].values[:, 0].astype(np.float64), time)
    smooth = np.ones(15) / 15
    r = np.corrcoef(np.convolve(rate, smooth, "same"), np.convolve(foot - shank, smooth, "same"))[0, 1]
    assert r > 0.9
