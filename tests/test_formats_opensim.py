"""OpenSim tables and sensor mappings: every real file, the round trip, and a planted fault per guard."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinbench_adapters._formats.imu_mapping import read_mapping, without_comments
from kinbench_adapters._formats.mt_manager import angle_between_deg, read_mt
from kinbench_adapters._formats.opensim import read_sto, read_trc, write_sto

from kinbench.errors import DataError

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64)


def refused(read, path):
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


# --- the real files --------------------------------------------------------------------------------------------------


def test_every_real_sto_and_mot_is_read_whole(shared):
    files = sorted([*shared.rglob("*.sto"), *shared.rglob("*.mot")])
    assert len(files) > 15
    for path in files:
        table = read_sto(path)
        lines = path.read_text().splitlines()
        label = next(i for i, line in enumerate(lines) if line.lower().startswith("time"))
        assert table.time.size == sum(bool(line.strip()) for line in lines[label + 1 :]), path
        assert table.values.shape[:2] == (table.time.size, len(table.columns))
        assert (np.diff(table.time) > 0).all() and np.isfinite(table.values).all()
        assert (table.values.ndim == 3) == (table.meta.get("DataType") == "Quaternion")


def test_every_real_trc_is_read_whole(shared):
    files = sorted(shared.rglob("*.trc"))
    assert len(files) > 15
    for path in files:
        table = read_trc(path)
        assert table.units in ("m", "mm") and table.rate_hz in (60, 100, 200)
        assert table.values.shape == (table.time.size, len(table.markers), 3)
        measured = (table.time.size - 1) / (table.time[-1] - table.time[0])
        assert measured == pytest.approx(table.rate_hz, rel=0.02)
        missing = np.isnan(table.values)
        assert (missing.any(axis=2) == missing.all(axis=2)).all()


@pytest.mark.parametrize(
    ("name", "degrees"),
    [
        ("opensim_mocap/subject01_walk/subject01_walk1_ik.mot", True),
        ("opensim_mocap/hamner_run200/run200_ik.mot", False),
        ("capsense_treadmill/Sub02/CSBaseline/IKoutput_20to65secs.mot", True),
        ("realtime_opensense/recording_0.sto", None),
        ("opensim_mocap/hamner_run200/run200_grf.mot", None),
    ],
)
def test_the_unit_of_angles_is_said_or_not_known(shared, name, degrees):
    assert read_sto(shared / name).in_degrees is degrees


def test_orientations_agree_with_what_opensim_made_of_the_same_exports(shared):
    example = shared / "opensense/example"
    table = read_sto(example / "reference/walking_orientations.sto")
    mapping = read_mapping(example / "myIMUMappings.xml")
    assert len(mapping.sensors) == 8
    for name, frame in mapping.sensors:
        quat = read_mt(example / "IMUData" / f"{mapping.trial_prefix}{name}.txt").columns["quat"]
        theirs = table.values[:, table.columns.index(frame)]
        assert angle_between_deg(quat[: len(theirs)], theirs).max() < 0.1


# --- .sto and .mot ---------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.tuples(FINITE, FINITE, FINITE), min_size=1, max_size=8),
    in_degrees=st.booleans(),
)
def test_what_is_written_reads_back_bit_for_bit(tmp_path_factory, values, in_degrees):
    path = tmp_path_factory.getbasetemp() / "round_trip.mot"
    numbers = np.array(values)
    write_sto(path, ("knee_angle_r", "pelvis_tx"), numbers[:, 0], numbers[:, 1:], in_degrees)
    table = read_sto(path)
    assert table.columns == ("knee_angle_r", "pelvis_tx") and table.in_degrees is in_degrees
    assert np.array_equal(table.time, numbers[:, 0]) and np.array_equal(table.values, numbers[:, 1:])


def test_missing_values_survive_the_round_trip(tmp_path):
    path = tmp_path / "a.mot"
    write_sto(path, ("a",), [0.0, 1.0], [[np.nan], [2.0]], True)
    assert np.array_equal(read_sto(path).values, [[np.nan], [2.0]], equal_nan=True)


def test_shapes_that_do_not_agree_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="expected"):
        write_sto(tmp_path / "a.mot", ("a",), [0.0], [[1.0, 2.0]], True)
    assert not (tmp_path / "a.mot").exists()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_old_and_odd_headers_are_read(tmp_path, end):
    path = tmp_path / "old.mot"
    text = (
        "\nwalk\ndatacolumns 3\ndatarows 99\nrange 0.4 1.6\notherdata 1\nAngles are in radians.\nendheader\t\t\n\n"
        "time\tknee angle\tb\t\n  0.40000000\t  1.5\t nan\n  0.50000000\t -2\tInf\n\nleft over\n"
    )
    path.write_bytes(text.replace("\n", end).encode())
    table = read_sto(path)
    assert table.name == "walk" and table.meta["datacolumns"] == "3" and table.in_degrees is False
    assert table.columns == ("knee angle", "b") and table.time.tolist() == [0.4, 0.5]
    assert np.array_equal(table.values, [[1.5, np.nan], [-2, np.inf]], equal_nan=True)


def test_typed_cells_become_an_axis_of_their_own(tmp_path):
    path = tmp_path / "q.sto"
    path.write_text("DataType=Quaternion\nversion=3\nendheader\ntime\ta\tb\n0\t1,0,0,0\t0, 1, 0, 0\n")
    assert read_sto(path).values.tolist() == [[[1, 0, 0, 0], [0, 1, 0, 0]]]
    path.write_text("version=3\nendheader\ntime\ta\n0\t1,2,3\n1\t4,5,6\n")
    assert read_sto(path).values.shape == (2, 1, 3)


STO = "inDegrees=yes\nendheader\ntime\ta\tb\n0\t1\t2\n1\t3\t4\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "endheader"),
        (STO.replace("endheader", "end"), "endheader"),
        ("endheader\n", "without labels"),
        ("endheader\ntime\ta\n", "without data"),
        (STO.replace("time", "frame"), "Line 3: expected labels that begin with 'time'"),
        (STO.replace("\tb", "\ta"), "'a' twice"),
        (STO.replace("3\t4", "3"), "Line 5 has 2 numbers"),
        (STO[:-4], "Line 5 has 1 numbers"),
        (STO.replace("3\t4", "3\t\t"), "Line 5 has 2 numbers"),
        (STO.replace("3\t4", "3\tx"), "Line 5: expected a number, found 'x'"),
        ("DataType=Spin\n" + STO, "DataType"),
        ("DataType=Vec3\n" + STO, "Line 5 has 3 numbers where the labels call for 7"),
    ],
)
def test_planted_faults_of_a_motion(tmp_path, text, expected):
    path = tmp_path / "bad.mot"
    path.write_text(text)
    assert expected in refused(read_sto, path)


@pytest.mark.parametrize("read", [read_sto, read_trc])
def test_files_that_are_no_text_or_not_there_are_refused(tmp_path, read):
    path = tmp_path / "wide.trc"
    path.write_bytes(STO.encode("utf-16"))
    assert "UTF-16" in refused(read, path)
    assert "found none" in refused(read, tmp_path / "absent.trc")


# --- .trc ------------------------------------------------------------------------------------------------------------

TRC = (
    "PathFileType\t4\t(X/Y/Z)\tC:/some folder/walk.trc\n"
    "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames\t\n"
    "100.00\t100.00\t2\t2\tmm\t100.00\t1\t2\n"
    "Frame#\tTime\tASIS\t\t\tKNEE\t\t\n"
    "\t\tX1\tY1\tZ1\tX2\tY2\tZ2\n"
    "\n"
    "7\t0.07\t1\t2\t3\t4\t5\t6\t\n"
    "8\t0.08\t1.5\t2.5\t3.5\t\t\t\n"
    "\n"
    "junk\n"
)


def test_a_trc_with_missing_markers_and_a_late_start(tmp_path):
    path = tmp_path / "walk.trc"
    path.write_text(TRC)
    table = read_trc(path)
    assert (table.rate_hz, table.units, table.markers) == (100.0, "mm", ("ASIS", "KNEE"))
    assert table.time.tolist() == [0.07, 0.08]
    assert np.array_equal(table.values, [[[1, 2, 3], [4, 5, 6]], [[1.5, 2.5, 3.5], [np.nan] * 3]], equal_nan=True)


def test_unnamed_and_repeated_markers_stay_apart(tmp_path):
    path = tmp_path / "walk.trc"
    path.write_text(TRC.replace("ASIS", "*").replace("KNEE", "*"))
    assert read_trc(path).markers == ("*", "*#2")


def test_a_trc_separated_by_spaces(tmp_path):
    path = tmp_path / "walk.trc"
    head, rows = TRC.split("7\t", 1)
    path.write_text(head + "7 0.07 1 2 3 4 5 6\n")
    assert rows and read_trc(path).values.shape == (1, 2, 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello\n", "PathFileType"),
        (TRC.replace("Units", "Unit"), "Units missing"),
        (TRC.replace("100.00\t100.00", "fast\t100.00"), "DataRate"),
        (TRC.replace("Frame#", "Frames"), "Line 4"),
        (TRC[: TRC.index("7\t0.07")], "without data"),
        (TRC.replace("4\t5\t6\t\n", "4\t5\n"), "Line 7 has 7 numbers where the labels call for 8"),
        (TRC.replace("4\t5\t6\t\n", "4\t5\t6\t7\n"), "Line 7 has 9"),
        (TRC.replace("2.5", "2,5"), "Line 8: expected a number, found '2,5'"),
    ],
)
def test_planted_faults_of_a_trc(tmp_path, text, expected):
    path = tmp_path / "bad.trc"
    path.write_text(text)
    assert expected in refused(read_trc, path)


# --- sensor mappings -------------------------------------------------------------------------------------------------

SENSOR = '<ExperimentalSensor name="{}"><name_in_model>{}</name_in_model></ExperimentalSensor>'


def mapping(*sensors, prefix="<trial_prefix> MT_1 </trial_prefix>"):
    body = "\n".join(sensors)
    return (
        '<?xml version="1.0" encoding="UTF-8" ?>\n<OpenSimDocument><XsensDataReaderSettings>'
        f"{prefix}<ExperimentalSensors>{body}</ExperimentalSensors></XsensDataReaderSettings></OpenSimDocument>"
    )


def test_real_mappings_are_read_without_their_commented_sensors(shared):
    read = read_mapping(shared / "opensense/subject07/myIMUMappings_complexTasks.xml")
    assert read.trial_prefix == "MT_012005D6_005-000"
    assert [frame for _, frame in read.sensors] == [
        "pelvis_imu", "tibia_r_imu", "femur_r_imu", "tibia_l_imu", "femur_l_imu", "calcn_l_imu", "calcn_r_imu",
    ]  # fmt: skip


def test_nested_comments_and_white_space_are_taken_as_meant(tmp_path):
    path = tmp_path / "myIMUMappings.xml"
    dead = f"<!-- {SENSOR.format('_1', 'torso_imu')} <!-- old --> {SENSOR.format('_2', 'pelvis_imu')} -->"
    path.write_text(mapping(dead, SENSOR.format(" _3\t", " femur_r_imu ")))
    read = read_mapping(path)
    assert (read.trial_prefix, read.sensors) == ("MT_1", (("_3", "femur_r_imu"),))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a<!--b-->c", "ac"),
        ("a<!--b<!--c-->d-->e", "ae"),
        ("a<!--b<!--c-->d", "ad"),
        ("a<!--b-->c<!--d<!--e-->f-->g", "acg"),
        ("abc", "abc"),
    ],
)
def test_comments_are_stripped(text, kept):
    assert without_comments(text) == kept


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<a", "cannot be parsed"),
        (mapping(), "at least one"),
        (mapping(SENSOR.format("_1", "a"), prefix=""), "trial_prefix"),
        (mapping(SENSOR.format("", "a")), "needs a name"),
        (mapping(SENSOR.format("_1", " ")), "needs a name"),
        (mapping(SENSOR.format("_1", "a"), SENSOR.format("_1", "b")), "sensor '_1' is mapped twice"),
        (mapping(SENSOR.format("_1", "a"), SENSOR.format("_2", "a")), "frame 'a' is mapped twice"),
        ('<!DOCTYPE x [<!ENTITY y "z">]>' + mapping(), "entities"),
    ],
)
def test_planted_faults_of_a_mapping(tmp_path, text, expected):
    path = tmp_path / "myIMUMappings.xml"
    path.write_text(text)
    assert expected in refused(read_mapping, path)


def test_a_mapping_in_another_encoding_or_not_there_is_refused(tmp_path):
    path = tmp_path / "myIMUMappings.xml"
    path.write_bytes(mapping(SENSOR.format("_1", "a")).encode("utf-16"))
    assert "UTF-8" in refused(read_mapping, path)
    assert "found none" in refused(read_mapping, tmp_path / "absent.xml")
