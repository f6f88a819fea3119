"""The OpenSense adapter on fabricated folders of both layouts: what was planted in them, and every quirk, is found."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinbench_adapters._opensense.pairing import Z_UP_TO_Y_UP, pair
from kinbench_adapters._opensense.plates import Plate, Plates, read_plates
from kinbench_adapters._opensense.sensors import WornSensor
from kinbench_adapters.lab import LabAdapter
from kinbench_adapters.opensense import OpenSenseAdapter
from raw_folders.opensense import SENSORS, write, write_trc, write_trial
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from kinbench.conversion import prepare
from kinbench.errors import DataError
from kinbench.harmonisation import harmonise
from kinbench.kinematics import matrices
from kinbench.testing import check_adapter
from kinbench.virtual_imu import angular_rate

LAYOUTS = ("study", "majic")
HALF_SAMPLE_S = 0.003
FLIP = {axis: Rotation.from_euler(axis, 180, degrees=True) for axis in "xyz"}


def found(raw):
    (source,) = OpenSenseAdapter().find(raw).sources
    return source


def tried(raw, **quirks):
    """One short trial with these quirks, and what the adapter makes of it."""
    truth = write_trial(raw, **{"length_s": 20.0, **quirks})
    return found(raw).load(), truth


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """One clean trial of a layout: (source, declared recording, truth), made once."""

    @cache
    def make(layout):
        raw = tmp_path_factory.mktemp(layout)
        truth = write_trial(raw, layout=layout, length_s=30.0)
        source = found(raw)
        return source, source.load(), truth

    return make


def step(recording, name):
    return next(step for step in recording.attrs["history"] if step["step"] == name)


# --- what was planted ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_both_layouts_keep_the_contract(tmp_path, layout):
    check_adapter(OpenSenseAdapter(), write(tmp_path, people=1, length_s=15.0, layout=layout))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_clean_folder_has_no_flag_and_lacks_nothing(trial, layout):
    source, recording, _ = trial(layout)
    assert recording.attrs["quality"] == []
    assert dict(recording.attrs["absent"]) == {}
    assert set(recording.attrs["person_table"].values()) == {None, "unknown"}
    assert recording.attrs["activity"] == "walking"
    names = [path.name for path in source.files]
    assert "walking.trc" in names and not any("static" in name for name in names)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_lag_is_found_by_each_plate_and_agrees_with_the_engines(trial, layout):
    source, recording, truth = trial(layout)
    told = recording.attrs["plate_sync"]
    assert abs(told["shift_s"] - truth.shift_s) < HALF_SAMPLE_S
    assert set(told["sensors"]) == set(SENSORS) and told["spread_s"] < HALF_SAMPLE_S
    engine = prepare(source).attrs["sync"]
    assert engine["confident"] and abs(engine["shift_s"] - told["shift_s"]) < 0.01


def test_the_heading_of_the_cameras_over_the_sensors_is_measured(trial):
    _, recording, _ = trial("study")
    assert set(recording.attrs["heading"]) == set(SENSORS)
    for heading in recording.attrs["heading"].values():
        assert abs(heading["mean_deg"] - 63.0) < 1.0
        assert heading["spread_deg"] < 1.0 and abs(heading["drift_deg_per_min"]) < 1.0 and heading["tilt_deg"] < 1.0


def test_the_cases_orientation_from_plates_of_any_axes_is_the_true_one(trial):
    """The turn from sensor to plate is estimated; what it makes of the plate is the sensor's own orientation."""
    _, recording, truth = trial("majic")
    frames = np.searchsorted(truth.person.time, truth.reference_time).clip(max=len(truth.person.time) - 1)
    for index, segment in enumerate(recording.reference["segment"].values):
        frame = next(name for name, (where, *_) in SENSORS.items() if where == segment)
        true = truth.person.rotation[str(segment)][frames] @ truth.sensor_to_segment[frame]
        seen = matrices(recording.reference["segment_quat"].values[:, index])
        error = Rotation.from_matrix(np.swapaxes(true, 1, 2) @ seen).mean()
        assert np.degrees(error.magnitude()) < 1.0, segment
    pairs = step(recording, "read_plates")["pairs"]
    assert min(told["r"] for told in pairs.values()) > 0.97
    assert max(told["residual_rad_s"] for told in pairs.values()) < 0.2


def test_angles_of_plates_are_the_true_ones_from_the_calibration_pose_on(trial):
    """The pose makes every flexion zero, so that the walker's own stance is what remains as a constant."""
    source, recording, truth = trial("majic")
    assert recording.reference["segment_quat"].attrs["tier"] == "optical_6dof"
    reference = prepare(source).reference
    assert set(reference["angle"].attrs.items()) >= {("convention", "isb_zxy"), ("tier", "optical_6dof")}
    time = reference["time"].values + 0.01  # the imu's first packet stands 10 ms into the walk
    for dof in (str(name) for name in reference["dof"].values if not str(name).startswith("pelvis")):
        true = CubicSpline(truth.person.time, truth.person.angles[dof])(time)
        error = reference["angle"].sel(dof=dof).values - true
        assert np.nanstd(error) < 2.0, dof
        pose = time < truth.shift_s + 3.0
        if "flexion" in dof:
            assert abs(np.nanmedian(reference["angle"].sel(dof=dof).values[pose])) < 1.5, dof


def test_inputs_and_truth_share_a_definition_of_the_segments_and_no_signal(trial):
    source, recording, _ = trial("majic")
    imu = prepare(source).imu
    for index, segment in enumerate(str(name) for name in imu["segment"].values):
        if str(imu["rotation_origin"].values[index]) == "functional":
            apart = Rotation.from_matrix(imu["rotation"].values[index] @ recording.declared.segment_axes[segment].T)
            assert np.degrees(apart.magnitude()) < 5.0, segment
    assert set(recording.declared.segment_axes) == {segment for segment, *_ in SENSORS.values()}


def test_marker_ik_is_the_reference_wherever_it_exists(trial):
    _, recording, truth = trial("study")
    assert "segment_quat" not in recording.reference
    assert recording.reference["angle"].attrs["convention"] == "opensim_coordinate"
    true = CubicSpline(truth.person.time, truth.person.angles["knee_flexion_r"])(truth.reference_time)
    np.testing.assert_allclose(recording.reference["angle"].sel(dof="knee_flexion_r").values, true, atol=1e-3)


def test_the_authors_own_sensor_results_are_never_the_reference(tmp_path):
    recording, _ = tried(tmp_path, ik=False, imu_ik=True)
    assert "segment_quat" in recording.reference and "angle" not in recording.reference
    names = [source["name"] for source in recording.attrs["source"]]
    assert not any("IKResults" in name for name in names)
    assert not any("IKWith" in str(path) for path in found(tmp_path).files)


# --- laws of the pairing ---------------------------------------------------------------------------------------------


def tumbling(time, seed):
    """A smooth tumbling motion (n, 3, 3)."""
    random = np.random.default_rng(seed)
    turns = np.cumsum(random.normal(0, 0.25, (150, 3)), axis=0)
    return Rotation.from_rotvec(CubicSpline(np.arange(150) / 3 - 10, turns)(time))


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.floats(-5, 5), st.floats(-170, 170))
def test_any_turn_any_lag_and_any_heading_are_found(seed, lag_s, heading_deg):
    turn = Rotation.random(3, random_state=seed)
    imu_time, camera_time = np.arange(0, 25, 0.01), np.arange(0, 20, 0.01)
    worn, plates = [], {}
    for index, segment in enumerate(("thigh_r", "shank_r", "pelvis")):
        case = tumbling(imu_time, seed + index)
        quat = (Rotation.from_euler("x", 90, degrees=True) * case).as_quat(scalar_first=True)
        gyr = angular_rate(quat, 100.0)
        worn.append(WornSensor(segment, segment, imu_time, gyr, None, quat))
        seen = Rotation.from_euler("y", heading_deg, degrees=True) * tumbling(camera_time + lag_s, seed + index)
        n = len(camera_time)
        plates[segment] = Plate(
            ("a", "b", "c"), (seen * turn[index].inv()).as_matrix(), np.zeros((n, 3)), np.zeros(n), 0, 0, 0
        )
    found = pair(Plates(None, 100.0, camera_time, plates, "mm", "mm"), worn, search_s=8.0)
    assert abs(found.shift_s - lag_s) < 0.002
    for index, segment in enumerate(plates):
        pair_ = found.pairs[segment]
        assert np.degrees((Rotation.from_matrix(pair_.rotation) * turn[index].inv()).magnitude()) < 1.0
        assert abs((pair_.heading.mean_deg - heading_deg + 180) % 360 - 180) < 1.0


def test_the_lag_of_a_real_walk_is_found_from_its_segments_in_place_of_plates(shared):
    """Awinda against Vicon, synchronised by hardware but for one or two samples; joint-based segments, not plates."""
    (source,) = LabAdapter().find(Path(__file__).parent / "manifests" / "neura_sparse").sources
    imu = source.load().imu
    table = pd.read_csv(shared / "neura_sparse/vicon/S02-Trial-Walk-1.csv", comment="/")
    time = (1120 + np.arange(len(table))) / 100  # a crop of the walk, by its own header
    words = {"pelvis": "RPV", "thigh_r": "RTH", "shank_r": "RSK", "shank_l": "LSK", "foot_r": "RFT", "foot_l": "LFT"}
    plates = {}
    for segment, word in words.items():
        turn = Z_UP_TO_Y_UP @ matrices(table[[f"q{word}_{number}" for number in (1, 2, 3, 4)]].values)
        nothing = np.zeros(len(table))
        plates[segment] = Plate((), turn, np.zeros((len(table), 3)), nothing, 0, 0, 0)
    worn = [
        WornSensor(str(name), str(segment), imu["time"].values, imu["gyr"].values[:, index].astype(float), None, None)
        for index, (name, segment) in enumerate(zip(imu["sensor"].values, imu["segment"].values, strict=True))
        if segment in words
    ]
    found = pair(Plates(None, 100.0, time, plates, "m", "m"), worn, search_s=3.0)
    assert 0.0 < found.shift_s < 0.02 and found.spread_s < 0.01
    assert set(found.pairs) == set(words) and min(told.r for told in found.pairs.values()) > 0.85


def test_plates_of_another_trial_are_not_believed(tmp_path):
    write_trial(tmp_path / "one", "Subject01", layout="majic", length_s=20.0)
    write_trial(tmp_path / "two", "Subject01", layout="majic", length_s=20.0, seed=77)
    one, two = (tmp_path / name / "Subject01/walking/walking.trc" for name in ("one", "two"))
    one.write_bytes(two.read_bytes())
    recording = found(tmp_path / "one").load()
    if recording.reference is None:
        assert "plates_unread" in recording.attrs["quality"] and "plates" in recording.attrs["absent"]
    else:
        assert any(flag.startswith(("plate_unlike", "heading")) for flag in recording.attrs["quality"])


# --- quirks, each found by the data ----------------------------------------------------------------------------------


def test_a_header_that_says_100_hz_of_40_hz_data_is_found_out(tmp_path):
    recording, truth = tried(tmp_path, imu_rate_hz=40.0, header_hz=100.0)
    assert recording.attrs["quality"][0] == "rate_40hz"
    assert recording.attrs["quality"][1].startswith("rate_measured:") and len(recording.attrs["quality"]) == 2
    rates = recording.attrs["rates"]["imu"]
    assert (rates["nominal_hz"], rates["header_hz"]) == (40.0, 100.0) and abs(rates["by_rotation_hz"] - 40) < 1
    assert abs(recording.imu["time"].values[1] - 0.025) < 1e-9
    assert abs(recording.attrs["plate_sync"]["shift_s"] - truth.shift_s) < HALF_SAMPLE_S


def test_a_rate_that_is_no_rate_of_the_device_is_refused(tmp_path):
    write_trial(tmp_path, length_s=12.0)
    for path in tmp_path.rglob("MT_*.txt"):
        lines = path.read_text().splitlines()
        for row in range(6, len(lines)):
            cells = lines[row].split("\t")
            cells[17:20] = [f"{np.degrees(float(cell)):.6f}" for cell in cells[17:20]]  # deg/s under rad/s's name
            lines[row] = "\t".join(cells)
        path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match="says 100 Hz, and by orientation against angular rate it is"):
        found(tmp_path).load()


@pytest.mark.parametrize(
    ("frame", "axis", "flag", "layout"),
    [
        ("tibia_r_imu", "x", "inverted:shank_r:travel_-", "study"),
        ("tibia_r_imu", "z", "inverted:shank_r:up_17", "study"),
        ("femur_l_imu", "y", "inverted:thigh_l:up_17", "majic"),
        ("pelvis_imu", "x", "inverted:pelvis:travel_-", "majic"),
    ],
)
def test_an_inverted_case_is_found_and_its_segment_comes_out_right(tmp_path, frame, axis, flag, layout):
    recording, truth = tried(tmp_path, turned={frame: FLIP[axis]}, layout=layout)
    (told,) = recording.attrs["quality"]
    assert told.startswith(flag)
    segment = SENSORS[frame][0]
    done = prepare(found(tmp_path))
    rotation = done.imu.sel(sensor=frame)["rotation"].values
    if segment == "pelvis":
        assert np.isnan(rotation).all()
    else:
        apart = Rotation.from_matrix(rotation @ truth.sensor_to_segment[frame].T)
        assert np.degrees(apart.magnitude()) < 20
    if layout == "majic":
        apart = Rotation.from_matrix(recording.declared.segment_axes[segment] @ truth.sensor_to_segment[frame].T)
        assert np.degrees(apart.magnitude()) < 20


def test_without_cameras_the_swing_of_the_shank_tells_that_its_case_is_inverted(tmp_path):
    write_trial(tmp_path, length_s=25.0, turned={"tibia_l_imu": FLIP["x"]})
    (tmp_path / "Subject01/walking/Mocap/walking.trc").unlink()
    recording = found(tmp_path).load()
    (told,) = recording.attrs["quality"]
    assert told.startswith("inverted:shank_l:swing_-")
    assert step(recording, "read_imu")["turned"]["shank_r"]["by"] == "swing"
    assert recording.declared.calibrations["tibia_l_imu"].axis == "-z"


def test_a_case_on_its_side_is_flagged_and_a_nominal_rotation_not_given(tmp_path):
    recording, _ = tried(tmp_path, turned={"torso_imu": Rotation.from_euler("z", 90, degrees=True)}, length_s=12.0)
    assert [flag for flag in recording.attrs["quality"] if flag.startswith("sideways:trunk:up_")]
    assert str(recording.imu.sel(sensor="torso_imu")["rotation_origin"].values) == "unknown"


def test_mapping_and_export_quirks_are_put_right_and_counted(tmp_path):
    recording, _ = tried(
        tmp_path, comments=True, white_space=True, shifted=("femur_l_imu",), first_packet=65000,
        short={"tibia_l_imu": 33}, unmapped=("calcn_r_imu",), length_s=12.0,
    )  # fmt: skip
    assert recording.attrs["quality"] == [
        "foot_r_unmapped", "mapping_commented_out:1", "mapping_nested_comments:1", "mapping_white_space:15",
        "lengths_differ:33packets", "counter_wraps:1", "matrix_shifted:1sensors",
    ]  # fmt: skip
    assert recording.imu.sizes["sensor"] == 7
    assert not recording.imu["valid"].sel(sensor="tibia_l_imu").values[:33].any()


def test_units_are_checked_by_the_size_of_the_plates_and_labels_of_all_styles_are_read(tmp_path):
    clean, _ = tried(tmp_path / "a", units="m", numbered=True, layout="majic", length_s=15.0)
    wrong, _ = tried(tmp_path / "b", written_units="m", frames_as_labels=True, layout="majic", length_s=15.0)
    assert clean.attrs["quality"] == [] and wrong.attrs["quality"] == ["marker_units:mm_not_m"]
    one, other = (step(r, "read_plates")["plates"]["thigh_l"]["residual_mm"] for r in (clean, wrong))
    assert 0.05 < one < 0.5 and abs(one - other) < 0.05
    np.testing.assert_allclose(
        clean.reference["segment_quat"].values, wrong.reference["segment_quat"].values, atol=0.01
    )


def test_markers_that_change_names_are_put_back(tmp_path):
    """By shape where the plate is no square, by the jump where it is one: its diagonal fits as well as before."""
    quirks = {"layout": "majic", "length_s": 20.0}
    clean, _ = tried(tmp_path / "a", **quirks, square=True)
    wrong, _ = tried(
        tmp_path / "b", **quirks, square=True,
        swapped_corners=(("R.Foot", "O", "D", 900, 1400), ("R.Tibia", "X", "D", 1200, 1300)),
    )  # fmt: skip
    assert wrong.attrs["quality"] == ["markers_exchanged:foot_r:500", "markers_exchanged:shank_r:100"]
    np.testing.assert_allclose(
        np.abs(clean.reference["segment_quat"].values), np.abs(wrong.reference["segment_quat"].values), atol=2e-3
    )


def test_a_marker_that_jumps_away_is_refused_and_hidden_ones_are_missing(tmp_path):
    write_trial(tmp_path, layout="majic", length_s=15.0, hidden=(("R.Foot", "X", 800, 900), ("R.Foot", "Y", 850, 900)))
    clean = found(tmp_path).load()
    path = tmp_path / "Subject01/walking/walking.trc"
    lines = path.read_text().splitlines()
    labels = [name for name in lines[3].split("\t") if name][2:]
    column = 2 + 3 * labels.index("L.Tibia_IMU_X")
    for row in range(6 + 700, 6 + 760):
        cells = lines[row].split("\t")
        cells[column] = f"{float(cells[column]) + 300:.4f}"
        lines[row] = "\t".join(cells)
    path.write_text("\n".join(lines) + "\n")
    recording = found(tmp_path).load()
    assert recording.attrs["quality"] == ["markers_refused:shank_l:60"]
    quat = recording.reference["segment_quat"]
    assert np.isnan(quat.sel(segment="shank_l").values[700:760]).all()
    assert np.isnan(quat.sel(segment="foot_r").values[850:900]).all()
    assert np.isfinite(quat.sel(segment="foot_r").values[800:850]).all()
    assert clean.attrs["quality"] == []


def test_markers_written_as_zeros_are_missing(tmp_path):
    hidden = (("R.Tibia", "O", 600, 700), ("R.Tibia", "X", 600, 700))
    recording, _ = tried(tmp_path, layout="majic", length_s=15.0, hidden=hidden, zeros=True)
    assert np.isnan(recording.reference["segment_quat"].sel(segment="shank_r").values[600:700]).all()
    assert recording.attrs["quality"] == []


def test_foot_plates_under_each_others_names_are_found_by_whose_motion_they_share(tmp_path):
    right, _ = tried(tmp_path / "a", layout="majic")
    crossed, _ = tried(tmp_path / "b", layout="majic", exchanged_feet=True)
    assert right.attrs["quality"] == [] and crossed.attrs["quality"] == ["plates_exchanged:foot"]
    for foot in ("foot_r", "foot_l"):
        one, other = (r.reference["segment_quat"].sel(segment=foot).values for r in (right, crossed))
        assert np.nanmax(np.abs(np.abs((one * other).sum(axis=1)) - 1)) < 1e-3


def test_a_heading_that_drifts_is_measured_and_flagged(tmp_path):
    recording, _ = tried(tmp_path, drift_deg_per_min=25.0)
    for heading in recording.attrs["heading"].values():
        assert abs(heading["drift_deg_per_min"] - 25.0) < 1.5
    assert len([flag for flag in recording.attrs["quality"] if flag.startswith("heading_drift:")]) == 8


def test_a_lab_that_is_not_y_up_is_found_by_gravity(tmp_path):
    recording, _ = tried(tmp_path, layout="majic", offset_lab_deg=90.0, length_s=12.0)
    assert recording.reference is None and recording.attrs["quality"] == ["plates_unread"]
    assert "90 degrees from the lab's Y axis" in recording.attrs["absent"]["plates"]
    assert "90 degrees from the lab's Y axis" in recording.attrs["absent"]["reference"]


def test_a_person_who_does_not_stand_still_has_no_segments_of_plates(tmp_path):
    recording, _ = tried(tmp_path, layout="majic", stand_s=0.0, length_s=15.0, early_s=3.237)
    assert recording.reference is None
    assert "stands still" in recording.attrs["absent"]["reference"]


def test_complex_tasks_are_mixed_activity_in_both_layouts(tmp_path):
    for layout in LAYOUTS:
        recording, _ = tried(tmp_path / layout, layout=layout, trial="complexTasks", length_s=15.0)
        assert recording.attrs["activity"] == "mixed" and recording.attrs["quality"] == []
        assert recording.reference is not None


def test_several_marker_files_none_of_them_the_trials_are_not_chosen_from(tmp_path):
    write_trial(tmp_path, layout="majic", length_s=12.0)
    home = tmp_path / "Subject01/walking"
    (home / "walking.trc").rename(home / "take1.trc")
    (home / "take2.trc").write_bytes((home / "take1.trc").read_bytes())
    recording = found(tmp_path).load()
    assert recording.reference is None and "take1.trc, take2.trc" in recording.attrs["absent"]["plates"]


def plate_table(n=100, scale=1.0):
    corners = np.array([[0, 0, 0], [0.09, 0, 0], [0, 0.06, 0], [0.08, 0.05, 0.01]]) * scale
    return {f"Pelvis_IMU_{name}": np.tile(corner, (n, 1)) for name, corner in zip("OXYD", corners, strict=True)}


@pytest.mark.parametrize(
    ("table", "time", "expected"),
    [
        ({"R.ASIS": np.ones((100, 3))}, np.arange(100) / 100, "found none that is seen whole"),
        (plate_table(scale=50.0), np.arange(100) / 100, "expected 0.03 to 0.4 m"),
        (plate_table(), np.zeros(100), "rise at every row"),
    ],
)
def test_planted_faults_of_the_marker_file(tmp_path, table, time, expected):
    write_trc(tmp_path / "walking.trc", table, time, "m")
    with pytest.raises(DataError, match=expected):
        read_plates(tmp_path / "walking.trc")


def test_what_a_raw_folder_should_hold_is_found_in_both_layouts_and_what_is_wrong_is_told(tmp_path):
    for layout in LAYOUTS:
        write(tmp_path / layout, layout=layout, length_s=6.0)
        for expected in OpenSenseAdapter.tree.expected:
            files = {path for pattern in expected.patterns for path in (tmp_path / layout).glob(pattern)}
            assert files or not expected.required, expected.what
            assert [expected.check(path) for path in sorted(files)] == [None] * len(files)
    damaged = tmp_path / "damaged"
    damaged.write_text("nothing of the kind")
    assert all(expected.check(damaged) for expected in OpenSenseAdapter.tree.expected)
    assert "2164" in " ".join(OpenSenseAdapter.tree.steps) and OpenSenseAdapter.tree.downloads == ()


def test_harmonising_writes_the_segments_axes_into_the_history(trial):
    _, recording, _ = trial("majic")
    done = harmonise(recording)
    assert step(done, "turn_segments")["variable"] == "segment_quat"
    assert step(done, "find_segments")["segments"]["thigh_r"]["explained"] > 0.5


def test_a_damaged_marker_file_costs_the_headings_and_not_the_angles(tmp_path):
    write_trial(tmp_path, length_s=12.0)
    path = tmp_path / "Subject01/walking/Mocap/walking.trc"
    path.write_text(path.read_text()[:-40])
    recording = found(tmp_path).load()
    assert recording.reference is not None and "angle" in recording.reference
    assert recording.attrs["quality"] == ["plates_unread"] and "heading" not in recording.attrs
    assert "cut short" in recording.attrs["absent"]["plates"]
