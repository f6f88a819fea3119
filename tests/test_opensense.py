"""The OpenSense adapter: the real example, and fabricated folders in the study's full layout."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from kinbench_adapters._formats.mt_manager import MATRIX
from kinbench_adapters._formats.opensim import write_sto
from kinbench_adapters._opensense.mounts import MOUNTS, direction
from kinbench_adapters.opensense import OpenSenseAdapter
from scipy.spatial.transform import Rotation

from kinbench.alignment import align
from kinbench.contracts import Adapter
from kinbench.errors import DataError, UsageError
from kinbench.schema import SEGMENT_ALIASES

SERIALS = {
    "torso_imu": "00B42268", "pelvis_imu": "00B42279", "femur_r_imu": "00B4227C", "tibia_r_imu": "00B4227D",
    "calcn_r_imu": "00B421EF", "femur_l_imu": "00B421EE", "tibia_l_imu": "00B421ED", "calcn_l_imu": "00B421E6",
}  # fmt: skip
PREFIX = "MT_012005D6_009-001"
COLUMNS = ("pelvis_tilt", "pelvis_tx", "hip_flexion_r", "knee_angle_r", "knee_angle_r_beta", "subtalar_angle_r")


def adapter():
    return OpenSenseAdapter()


def write_mapping(path, sensors=SERIALS, *, comment=""):
    body = "".join(
        f'<ExperimentalSensor name="_{serial}"><name_in_model>{frame}</name_in_model></ExperimentalSensor>'
        for frame, serial in sensors.items()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"<OpenSimDocument><XsensDataReaderSettings><trial_prefix>{PREFIX}</trial_prefix>"
        f"<ExperimentalSensors>{comment}{body}</ExperimentalSensors></XsensDataReaderSettings></OpenSimDocument>"
    )


def write_sensor(path, *, n=60, start=100, rate="100.0", gyro=True, up="x"):
    names = ["Acc_X", "Acc_Y", "Acc_Z"] + (["Gyr_X", "Gyr_Y", "Gyr_Z"] if gyro else []) + list(MATRIX)
    turn = Rotation.from_euler("z", np.linspace(0, 30, n)[:, None], degrees=True).as_matrix()
    parts = [np.tile(9.8 * direction(up) + [0.0, -0.25, 0.5], (n, 1)), turn.transpose(0, 2, 1).reshape(n, 9)]
    if gyro:
        parts.insert(1, np.tile([0.1, 0.2, 0.3], (n, 1)))
    values = np.concatenate(parts, axis=1)
    rows = [f"{(start + i) % 2**16:05d}\t\t" + "\t".join(f"{v:.6f}" for v in row) for i, row in enumerate(values)]
    head = f"// Start Time: Unknown\n// Update Rate: {rate}Hz\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head + "\t".join(("PacketCounter", "SampleTimeFine", *names)) + "\n" + "\n".join(rows) + "\n")


def write_angles(path, *, in_degrees=True, knee=40.0, n=50):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.full((n, len(COLUMNS)), 5.0)
    values[:, 3] = np.linspace(0.0, knee, n)
    values[:, 1] = 0.9
    write_sto(path, COLUMNS, np.arange(n) / 100 + 2.0, values if in_degrees else np.radians(values), in_degrees)


def write_trial(raw, subject="Subject07", trial="walking", *, sensors=SERIALS, **options):
    """One trial in the study's layout; ``options`` go to every sensor's file."""
    imu = raw / subject / trial / "IMU"
    write_mapping(imu / f"myIMUMappings_{trial}.xml", sensors)
    for index, (frame, serial) in enumerate(sensors.items()):
        up = "-z" if frame.startswith("calcn") else "x"
        write_sensor(imu / f"xsens/LowerExtremity/{PREFIX}_{serial}.txt", **{"n": 60 + index, "up": up, **options})
    write_angles(raw / subject / trial / f"Mocap/ikResults/{trial}_IK.mot")
    ours = imu / "xsens/IKResults/IKWithErrorsUniformWeights"
    write_angles(ours / f"{trial}_IK.mot", knee=99.0)
    return raw / subject / trial


def loaded(raw):
    (source,) = adapter().find(raw).sources
    return source.load()


def refused(raw):
    with pytest.raises(DataError) as caught:
        loaded(raw)
    return str(caught.value)


# --- the real example ------------------------------------------------------------------------------------------------


def test_the_real_example_has_eight_sensors_on_one_clock_and_says_what_it_lacks(shared):
    recording = loaded(shared / "opensense/example")
    imu = recording.imu
    assert imu.sizes["sensor"] == 8 and imu.sizes["time"] == 2505
    assert set(imu.data_vars) == {"acc", "quat", "valid"}
    assert recording.reference is None
    assert set(recording.attrs["absent"]) == {"gyr", "reference"}
    assert recording.attrs["quality"] == ["lengths_differ:73packets"]
    assert imu["valid"].values.sum(axis=0).min() == 2432
    assert recording.attrs["rates"]["imu"]["lost"] == 0
    assert set(imu["rotation_origin"].values) == {"unknown"} and not recording.declared.calibrations
    assert not recording.with_attrs(sync={"method": "none"}).validate()


def test_the_nominal_mounts_are_those_of_the_real_example(shared):
    """In the calibration pose, by the sensors' own orientations, heading from the pelvis sensor's z axis."""
    imu = loaded(shared / "opensense/example").imu
    first = Rotation.from_quat(imu["quat"].values[0].astype(float), scalar_first=True)
    names = [str(name) for name in imu["segment"].values]
    forward = first[names.index("pelvis")].apply([0, 0, 1]) * [1, 1, 0]
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1])
    for index, segment in enumerate(names):
        mount = MOUNTS[segment]
        turn = first[index].as_matrix()
        if mount.hint is not None:
            axis = np.eye(3)["xyz".index(mount.hint[-1])] * (-1 if mount.hint[0] == "-" else 1)
            assert np.degrees(np.arccos(turn @ axis @ right)) < 25, segment
        else:
            segment_axes = np.stack([forward, [0, 0, 1], right])
            error = Rotation.from_matrix(segment_axes @ turn @ np.array(mount.nominal).T)
            assert np.degrees(error.magnitude()) < 25, segment


# --- the study's layout ----------------------------------------------------------------------------------------------


def test_the_studys_layout_gives_signals_angles_and_what_is_left_to_do(tmp_path):
    write_trial(tmp_path)
    found = adapter().find(tmp_path)
    assert isinstance(adapter(), Adapter) and found.card.name == "opensense"
    (source,) = found.sources
    assert str(source.key) == "opensense/Subject07/1/walking"
    assert len(source.files) == 10 and all(path.is_file() for path in source.files)
    recording = source.load()
    assert list(recording.imu["sensor"].values) == list(SERIALS)
    assert recording.imu.sizes["time"] == 67
    np.testing.assert_allclose(recording.imu["time"].values[:3], [0, 0.01, 0.02])
    assert recording.imu["acc"].attrs["kind"] == "specific_force"
    assert [str(d) for d in recording.reference["dof"].values] == ["pelvis_tilt", "hip_flexion_r", "knee_flexion_r"]
    assert float(recording.reference["angle"].values[:, 2].max()) == 40.0
    assert recording.reference["time"].values[0] == 2.0
    assert recording.reference["angle"].attrs == {
        "units": "deg", "convention": "opensim_coordinate", "tier": "optical_marker_ik",
    }  # fmt: skip
    assert recording.declared.sync.method == "estimated" and recording.declared.imu_up == "z"
    assert set(recording.declared.calibrations) == {name for name in SERIALS if name[:5] not in ("torso", "pelvi")}
    assert dict(recording.attrs["absent"]) == {} and recording.attrs["activity"] == "walking"
    dropped = recording.attrs["history"][1]["dropped"]
    assert dropped == ["pelvis_tx", "knee_angle_r_beta", "subtalar_angle_r"]
    assert not recording.with_attrs(sync={"method": "none"}).validate()


def test_attributes_are_plain_and_the_same_every_time(tmp_path):
    write_trial(tmp_path)
    (source,) = adapter().find(tmp_path).sources
    one, two = source.load(), pickle.loads(pickle.dumps(source)).load()
    assert json.dumps(one.attrs, sort_keys=True, allow_nan=False) == json.dumps(two.attrs, sort_keys=True)
    assert one.imu.identical(two.imu) and one.reference.identical(two.reference)
    assert one.attrs["source"][0]["name"] == "Subject07/walking/IMU/myIMUMappings_walking.xml"


def test_several_people_and_trials_come_in_natural_order_from_any_folder_above(tmp_path):
    for subject, trial in (("Subject10", "walking"), ("Subject02", "complexTasks"), ("Subject02", "walking")):
        write_trial(tmp_path / "files", subject, trial)
    keys = [str(source.key) for source in adapter().find(tmp_path).sources]
    assert keys == [
        "opensense/Subject02/1/complexTasks", "opensense/Subject02/1/walking", "opensense/Subject10/1/walking",
    ]  # fmt: skip
    below = tmp_path / "files/Subject02/complexTasks"
    for raw in (below, below / "IMU"):
        recording = loaded(raw)
        assert str(recording.key) == keys[0] and recording.attrs["activity"] == "mixed"
        assert recording.reference is not None


def test_the_re_releases_layout_is_read_without_a_reference(tmp_path):
    folder = tmp_path / "Subject03/walking"
    write_mapping(folder / "myIMUMappings_walking.xml")
    for serial in SERIALS.values():
        write_sensor(folder / "imu data" / f"{PREFIX}_{serial}.txt")
    recording = loaded(tmp_path)
    assert str(recording.key) == "opensense/Subject03/1/walking"
    assert recording.declared.sync is None and "ikResults" in recording.attrs["absent"]["reference"]


def test_radians_are_declared_as_radians(tmp_path):
    folder = write_trial(tmp_path)
    write_angles(folder / "Mocap/ikResults/walking_IK.mot", in_degrees=False)
    assert loaded(tmp_path).reference["angle"].attrs["units"] == "rad"


def test_a_reference_without_gyro_to_align_it_is_left_out_with_the_reason(tmp_path):
    write_trial(tmp_path, gyro=False)
    recording = loaded(tmp_path)
    assert recording.reference is None and "clock of its own" in recording.attrs["absent"]["reference"]
    assert "gyr" not in recording.imu and set(recording.imu["rotation_origin"].values) == {"unknown"}


def test_unmapped_feet_another_rate_and_reported_faults_are_flagged(tmp_path):
    sensors = {name: serial for name, serial in SERIALS.items() if name != "calcn_r_imu"}
    folder = write_trial(tmp_path, "Subject09", sensors=sensors, rate="40.0")
    write_sensor(folder / f"IMU/xsens/LowerExtremity/{PREFIX}_00B421EF.txt")
    recording = loaded(tmp_path)
    assert recording.attrs["quality"] == ["rate_40hz", "foot_r_unmapped", "lengths_differ:6packets"]
    assert recording.attrs["history"][0]["unmapped_files"] == [f"{PREFIX}_00B421EF.txt"]
    assert recording.imu["time"].values[1] == 0.025


def test_a_frame_that_is_no_segment_of_ours_is_dropped_and_said(tmp_path):
    write_trial(tmp_path, sensors={**SERIALS, "humerus_r_imu": "00B42200"})
    recording = loaded(tmp_path)
    assert recording.imu.sizes["sensor"] == 8
    assert recording.attrs["history"][0]["not_in_schema"] == ["humerus_r_imu"]


def test_lost_and_doubled_packets_are_masked_and_counted(tmp_path):
    folder = write_trial(tmp_path, n=60)
    path = folder / f"IMU/xsens/LowerExtremity/{PREFIX}_{SERIALS['tibia_r_imu']}.txt"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:4], lines[3], *lines[4:13], *lines[15:]]))
    recording = loaded(tmp_path)
    assert recording.attrs["rates"]["imu"] == {
        "nominal_hz": 100.0, "measured_hz": 100.0, "header_hz": 100.0, "by_rotation_hz": None,
        "regular": True, "clock": "packet counter", "lost": 2, "missing_at_ends": 0, "doubled": 1,
    }  # fmt: skip
    shank = recording.imu.sel(sensor="tibia_r_imu")
    assert np.flatnonzero(~shank["valid"].values).tolist() == [10, 11]
    assert np.isnan(shank["acc"].values[10:12]).all() and not np.isnan(shank["acc"].values[12:]).any()


def test_simulated_folders_are_simulations_wherever_it_is_said(tmp_path):
    write_trial(tmp_path)
    (tmp_path / "SIMULATED.json").write_text('{"simulation": true, "name": "lab-a", "version": "1", "seed": 7}')
    found = adapter().find(tmp_path)
    recording = found.sources[0].load()
    assert found.card.simulation and found.card.name == "lab-a" and "7" in found.card.version
    assert recording.attrs["simulation"] is True and recording.key.dataset == "lab-a"
    assert recording.reference["angle"].attrs["tier"] == "simulation"
    assert adapter().card.name == "opensense"


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"simulation": false, "name": "a"}', '{"simulation": true, "name": "a b"}']
)
def test_a_wrong_simulation_mark_is_the_users_to_mend(tmp_path, text):
    write_trial(tmp_path)
    (tmp_path / "SIMULATED.json").write_text(text)
    with pytest.raises(UsageError, match=r"SIMULATED\.json"):
        adapter().find(tmp_path)


# --- bad input -------------------------------------------------------------------------------------------------------


def test_a_missing_folder_and_an_empty_one(tmp_path):
    with pytest.raises(UsageError, match="found none"):
        adapter().find(tmp_path / "absent")
    with pytest.raises(DataError, match=r"SubjectNN(.|\n)*IMUData"):
        adapter().find(tmp_path)


def test_sensors_mapped_but_absent_are_all_named_with_the_files_expected(tmp_path):
    folder = write_trial(tmp_path)
    texts = folder / "IMU/xsens/LowerExtremity"
    for frame in ("tibia_r_imu", "calcn_l_imu"):
        (texts / f"{PREFIX}_{SERIALS[frame]}.txt").unlink()
    message = refused(tmp_path)
    assert (
        f"'tibia_r_imu' is mapped, but its file is absent: expected '{texts.relative_to(tmp_path)}/{PREFIX}" in message
    )
    assert "'calcn_l_imu'" in message


def test_a_bad_recording_fails_alone(tmp_path):
    write_trial(tmp_path, "Subject02")
    bad = write_trial(tmp_path, "Subject03")
    (bad / "IMU/myIMUMappings_walking.xml").write_text("<not xml")
    good, broken = adapter().find(tmp_path).sources
    assert good.load().imu is not None
    with pytest.raises(DataError, match="cannot be parsed"):
        broken.load()


def test_a_trial_without_its_mapping_fails_alone_and_says_where_it_belongs(tmp_path):
    write_trial(tmp_path, "Subject02")
    bare = write_trial(tmp_path, "Subject03") / "IMU"
    (bare / "myIMUMappings_walking.xml").unlink()
    again = tmp_path / "Subject10/complexTasks"
    for serial in SERIALS.values():
        write_sensor(again / "imu data" / f"{PREFIX}_{serial}.txt")
    good, study, released = adapter().find(tmp_path).sources
    assert good.load().reference is not None
    assert [str(s.key) for s in (study, released)] == [
        "opensense/Subject03/1/walking", "opensense/Subject10/1/complexTasks",
    ]  # fmt: skip
    for source, folder in ((study, bare), (released, again)):
        assert len(source.files) == len(SERIALS)
        with pytest.raises(DataError, match=r"myIMUMappings\*\.xml.*8 exports") as caught:
            pickle.loads(pickle.dumps(source)).load()
        assert caught.value.where == str(folder)


def test_exports_that_a_mapping_does_not_use_are_no_trial_of_their_own(tmp_path):
    folder = write_trial(tmp_path)
    write_sensor(folder / f"IMU/xsens/UpperExtremity/{PREFIX}_00B42999.txt")
    write_sensor(folder / f"imu data/{PREFIX}_00B42999.txt")
    assert [str(source.key) for source in adapter().find(tmp_path).sources] == ["opensense/Subject07/1/walking"]


def test_a_person_who_does_not_stand_still_loses_rotations_and_not_the_recording(tmp_path):
    write_trial(tmp_path, n=400)
    path = tmp_path / f"Subject07/walking/IMU/xsens/LowerExtremity/{PREFIX}_{SERIALS['femur_r_imu']}.txt"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line.replace("0.500000", f"{i % 9}.0", 1) for i, line in enumerate(lines)))
    recording = loaded(tmp_path)
    assert not any(request.required for request in recording.declared.calibrations.values())
    found = align(replace(recording, reference=None, declared=replace(recording.declared, sync=None)))
    failed = {step["sensor"]: step["failed"] for step in found.attrs["history"] if "failed" in step}
    assert "is not still" in failed["femur_r_imu"]
    assert "rotation_unknown:femur_r_imu" in found.attrs["quality"]
    assert str(found.imu.sel(sensor="femur_r_imu")["rotation_origin"].values) == "unknown"


def test_faults_of_several_sensors_are_told_at_once(tmp_path):
    folder = write_trial(tmp_path) / "IMU/xsens/LowerExtremity"
    for frame in ("femur_r_imu", "femur_l_imu"):
        path = folder / f"{PREFIX}_{SERIALS[frame]}.txt"
        path.write_text(path.read_text()[:-30])
    message = refused(tmp_path)
    assert SERIALS["femur_r_imu"] in message and SERIALS["femur_l_imu"] in message and "cut short" in message


def test_two_rates_are_refused(tmp_path):
    folder = write_trial(tmp_path)
    write_sensor(folder / f"IMU/xsens/LowerExtremity/{PREFIX}_{SERIALS['torso_imu']}.txt", rate="40.0")
    assert "torso_imu 40 Hz" in refused(tmp_path)


def test_an_undeclared_rate_is_refused(tmp_path):
    folder = write_trial(tmp_path)
    for path in (folder / "IMU/xsens/LowerExtremity").glob("*.txt"):
        path.write_text(path.read_text().replace("// Update Rate: 100.0Hz\n", ""))
    assert "no update rate" in refused(tmp_path)


def test_the_headers_words_say_the_unit_where_its_key_does_not(tmp_path):
    path = write_trial(tmp_path) / "Mocap/ikResults/walking_IK.mot"
    path.write_text(path.read_text().replace("inDegrees=yes\n", ""))
    assert loaded(tmp_path).reference["angle"].attrs["units"] == "deg"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("\n2.02\t", "\n2.01\t"), "rises at every row"),
        (("\n2.02\t", "\nnan\t"), "not a number"),
        (("endheader", "end"), "endheader"),
    ],
)
def test_planted_faults_of_the_angles(tmp_path, change, expected):
    path = write_trial(tmp_path) / "Mocap/ikResults/walking_IK.mot"
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change))
    assert expected in refused(tmp_path)


def test_angles_of_an_unknown_unit_are_never_guessed(tmp_path):
    path = write_trial(tmp_path) / "Mocap/ikResults/walking_IK.mot"
    path.write_text(path.read_text().replace("inDegrees=yes", "").replace("Angles are in degrees.", ""))
    assert "degrees or radians" in refused(tmp_path)


def test_a_knee_that_flexes_to_negative_angles_is_refused(tmp_path):
    folder = write_trial(tmp_path)
    write_angles(folder / "Mocap/ikResults/walking_IK.mot", knee=-60.0)
    assert "gait2392" in refused(tmp_path)


def test_several_ik_results_none_of_them_the_trials_are_refused(tmp_path):
    folder = write_trial(tmp_path) / "Mocap/ikResults"
    (folder / "walking_IK.mot").rename(folder / "a_IK.mot")
    write_angles(folder / "b_IK.mot")
    assert "a_IK.mot, b_IK.mot" in refused(tmp_path)


def test_a_mapping_of_nothing_we_know_or_twice_the_same_segment_is_refused(tmp_path):
    write_trial(tmp_path / "a", sensors={"humerus_r_imu": "00B42200"})
    assert "None of the frames" in refused(tmp_path / "a")
    assert SEGMENT_ALIASES["toes_r"] == "foot_r"
    write_trial(tmp_path / "b", sensors={"toes_r_imu": "00B42200", "calcn_r_imu": "00B42201"})
    assert "two on foot_r" in refused(tmp_path / "b")


def test_two_trials_of_one_name_are_refused_before_anything_is_read(tmp_path):
    write_trial(tmp_path / "copy1")
    write_trial(tmp_path / "copy2")
    with pytest.raises(DataError, match="would both be 'opensense/Subject07/1/walking'"):
        adapter().find(tmp_path)
