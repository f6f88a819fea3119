"""Vendors' exports: every signal comes back from each layout, what a file says of itself is believed, faults are named.

DOT and APDM text are also read as real people's sensors wrote them; the other layouts are fabricated as documented.
"""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinbench_adapters._formats import hdf5
from kinbench_adapters._formats.quaternions import into_sensor, rate_of_steps, specific_force
from kinbench_adapters._formats.vendor import VendorFile
from kinbench_adapters._formats.vendors import VENDORS, read_vendor
from kinbench_adapters.lab import LabAdapter
from raw_folders import vendor_files as files
from raw_folders.vendor_files import G, truth
from scipy.spatial.transform import Rotation

from kinbench.errors import DataError, UsageError

DEG = np.pi / 180


def written(folder, text, name="file.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


def close(found, expected, atol=1e-6):
    np.testing.assert_allclose(found, expected, atol=atol, rtol=0)


def same_turn(found, expected):
    """Quaternions of one orientation, whichever of the two signs they have."""
    close(np.abs((found * expected).sum(axis=-1)), 1.0)


# --- Movella DOT -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "rate_hz", "together"),
    [
        ({}, 100.0, True),
        ({"sync": "Un-synced", "head": files.DOT_EXPORTER}, None, False),
        ({"head": ""}, None, False),
        ({"separator": ";", "decimal": ","}, 100.0, True),
        ({"end": "\r\n"}, 100.0, True),
    ],
    ids=["app", "data-exporter", "pc-sdk-log", "decimal-comma", "crlf"],
)
def test_a_dot_export_knows_its_units_clock_and_rate(tmp_path, how, rate_hz, together):
    signals = truth()
    file = read_vendor("dot", written(tmp_path, files.dot(signals, **how)))
    own = file.only()
    close(own["acc"], signals.acc[:, 0])
    close(own["gyr"] * DEG, signals.gyr[:, 0])
    close(own["mag"], signals.mag[:, 0])
    assert [file.facts[name]["units"] for name in ("acc", "gyr", "mag")] == ["m s-2", "deg s-1", "1"]
    assert (file.rate_hz, file.synchronised) == (rate_hz, together)
    close(file.time_s, 1.0 + np.arange(12) / 100)


def test_a_dot_sensor_is_called_by_its_tag_and_else_by_its_file(tmp_path):
    assert list(read_vendor("dot", written(tmp_path, files.dot(truth(), tag="LeftShin"))).sensors) == ["LeftShin"]
    assert list(read_vendor("dot", written(tmp_path, files.dot(truth(), head=""), "shin.csv")).sensors) == ["shin"]


def test_dot_specific_force_is_rebuilt_from_free_acceleration_and_quaternion_alone(tmp_path):
    signals = truth()
    file = read_vendor("dot", written(tmp_path, files.dot(signals, payload="Quat FreeAcc Status")))
    close(file.only()["acc"], signals.acc[:, 0], atol=1e-5)
    same_turn(file.only()["quat"], signals.quat[:, 0])
    assert "gyr" not in file.facts and any("rebuilt" in note for note in file.notes)
    euler = read_vendor("dot", written(tmp_path, files.dot(signals, payload="Euler FreeAcc")))
    assert set(euler.facts) == {"quat"}, "no accelerometer and no gyroscope can be had from angles"
    same_turn(euler.only()["quat"], signals.quat[:, 0])
    close(euler.columns["FreeAcc"], signals.free_acc(9.81)[:, 0])


def test_dot_increments_become_rates(tmp_path):
    signals = truth()
    for head in (files.DOT_APP, ""):  # without a header the rate is that of the stamps
        file = read_vendor("dot", written(tmp_path, files.dot(signals, payload="dq dv Mag", head=head)))
        close(file.only()["acc"], signals.acc[:, 0], atol=1e-5)
        close(file.only()["gyr"], signals.gyr[:, 0], atol=1e-5)
        assert file.facts["gyr"]["units"] == "rad s-1"


def test_the_dot_clock_wraps_and_drops_what_came_twice(tmp_path):
    text = files.dot(truth(), start_us=2**32 - 45_000)
    lines = text.splitlines(keepends=True)
    file = read_vendor("dot", written(tmp_path, "".join([*lines[:-3], lines[-4], *lines[-3:]])))
    close(np.diff(file.time_s), 0.01)
    assert len(file.only()["acc"]) == 12
    assert not any("differ" in note for note in file.notes)
    cells = lines[-4].split(",")
    other = ",".join([*cells[:2], "1.5", *cells[3:]])
    again = read_vendor("dot", written(tmp_path, "".join([*lines[:-3], other, *lines[-3:]])))
    assert "1 of the packets that came twice differ from the first" in again.notes
    np.testing.assert_array_equal(again.only()["acc"], file.only()["acc"])
    assert any("twice" in note for note in file.notes) and any("wrapped 1 times" in note for note in file.notes)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.replace("SampleTimeFine", "Time"), "expected a row of names with 'SampleTimeFine'"),
        (lambda t: t.replace("Gyr_Y", "Gyr_Q"), "expected Gyr_X, Gyr_Y, Gyr_Z together, Gyr_Y missing"),
        (lambda t: t.replace("1050000", "50000"), "line 18: SampleTimeFine goes back from 1040000 to 50000"),
        (lambda t: t.replace("1050000", "1050000.5"), "line 18, column 'SampleTimeFine': expected whole microseconds"),
        (lambda t: t.replace("1050000,", "1050000,x"), "line 18, column 'Acc_X': expected a number"),
        (lambda t: t.replace(",1050000,", ","), r"line 18: \d+ cells, expected 11"),
        (lambda t: t.replace("100Hz", "fast"), "OutputRate: expected a rate such as '60Hz', found 'fast'"),
        (lambda t: t[: t.index("1,1000000")], "has a header .line 12. but no data"),
        (lambda t: "", "is empty"),
    ],
)  # fmt: skip
def test_each_fault_of_a_dot_export_is_named(tmp_path, change, told):
    with pytest.raises(DataError, match=told) as caught:
        read_vendor("dot", written(tmp_path, change(files.dot(truth()))))
    assert "file.csv" in str(caught.value)


def test_dot_orientations_that_contradict_each_other_are_refused(tmp_path):
    signals = truth()
    other = truth(seed=1)
    names, columns = files.dot_payload(signals, 0, "Quat")
    more, angles = files.dot_payload(other, 0, "Euler")
    text = files.table(["SampleTimeFine", *names, *more], [range(0, 120_000, 10_000), *columns, *angles])
    with pytest.raises(DataError, match="Quat and Euler hold one orientation twice and differ"):
        read_vendor("dot", written(tmp_path, text))


def test_real_dot_exports_say_what_their_rows_say(shared):
    for name, rows in (("femur", 3263), ("tibia", None)):
        path = shared / f"xsens_dot/knee_tracking1/{name}.csv"
        lines = path.read_text(encoding="utf-8").splitlines()
        head = next(i for i, line in enumerate(lines) if line.startswith("PacketCounter"))
        cells = list(csv.reader(lines[head + 1 :]))
        file = read_vendor("dot", path)
        own = file.only()
        assert file.rows == len(cells) == (rows or len(cells))
        for row in (0, 1000, len(cells) - 1):
            expected = [float(cell) for cell in cells[row]]
            assert own["acc"][row].tolist() == expected[2:5]
            assert own["gyr"][row].tolist() == expected[5:8]
            assert own["mag"][row].tolist() == expected[8:11]
            close(file.time_s[row], expected[1] * 1e-6, atol=1e-9)
        assert (file.rate_hz, file.synchronised, file.filter) == (60.0, True, "General")
        assert list(file.sensors) == [name.capitalize()]


# --- Xsens MVN -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shuffled", [False, True])
def test_what_the_suits_sensors_measured_is_rebuilt(tmp_path, shuffled):
    signals = truth()
    file = read_vendor("mvnx", written(tmp_path, files.mvnx(signals, shuffled=shuffled), "take.mvnx"))
    assert list(file.sensors) == list(files.SENSORS)
    for place, sensor in enumerate(files.SENSORS):
        own = file.of(sensor)
        close(own["acc"], signals.acc[:, place], atol=1e-5)
        close(own["gyr"], signals.gyr[:, place], atol=1e-5)
        close(own["mag"], signals.mag[:, place])
        same_turn(own["quat"], signals.quat[:, place])
    assert (file.rate_hz, file.counter.tolist()) == (100.0, list(range(12)))
    assert "2 calibration poses left out" in file.notes
    assert any(note.startswith("acc: rebuilt") for note in file.notes)


def test_an_old_take_is_asked_what_its_acceleration_is(tmp_path):
    signals = truth()
    path = written(tmp_path, files.mvnx(signals, version=3), "take.mvnx")
    file = read_vendor("mvnx", path)
    assert "acc" not in file.facts and any("acc_kind" in note for note in file.notes)
    close(file.of("Pelvis")["gyr"], signals.gyr[:, 0])
    told = read_vendor("mvnx", path, acc_kind="specific_force")
    close(told.of("Pelvis")["acc"], signals.acc[:, 0])


def test_segments_and_joints_of_a_take_are_columns(tmp_path):
    signals = truth()
    angles = np.random.default_rng(1).normal(size=(12, 2, 3)).round(6)
    path = written(tmp_path, files.mvnx(signals, angles=angles), "take.mvnx")
    file = read_vendor("mvnx", path, ["jointAngle/jRightKnee[2]", "orientation/RightUpperLeg"])
    close(file.columns["jointAngle/jRightKnee"], angles[:, 1])
    close(file.columns["orientation/RightUpperLeg"], signals.quat[:, 1])
    with pytest.raises(DataError) as caught:
        read_vendor("mvnx", path, ["jointAngle/jRightKne", "jointAngl/jRightKnee"])
    assert "Did you mean 'jRightKnee'?" in str(caught.value) and "Did you mean 'jointAngle'?" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t[:-40], "is no whole MVN export"),
        (lambda t: t.replace('frameRate="100"', 'frameRate="x"'), "frameRate: expected a rate in Hz, found 'x'"),
        (
            lambda t: t.replace("<sensorMagneticField>", "<sensorMagneticField>1 "),
            "frame 0, sensorMagneticField: expected 9",
        ),
        (lambda t: t.replace("<angularVelocity>", "<angularVelocity>one "), "expected numbers, found 'one"),
        (lambda t: t.replace("<angularVelocity>", "<angularVelocity>1e99 "), "holds a number that is no measurement"),
        (lambda t: t.replace('type="normal"', 'type="tpose"'), "expected frames of type 'normal', found none"),
        (lambda t: t.replace("<mvnx", "<!DOCTYPE x><mvnx"), "defines no entities"),
        (lambda t: t.replace("<mvnx", "<bvh").replace("mvnx>", "bvh>"), "expected an MVN export"),
        (lambda t: t.replace('index="3"', 'index="three"'), "expected a whole number as index"),
    ],
)
def test_each_fault_of_a_take_is_named(tmp_path, change, told):
    with pytest.raises(DataError, match=told):
        read_vendor("mvnx", written(tmp_path, change(files.mvnx(truth())), "take.mvnx"))


# --- APDM ------------------------------------------------------------------------------------------------------------


def test_the_older_apdm_text_says_its_units_and_rate(tmp_path):
    signals = truth(rate_hz=128.0)
    file = read_vendor("apdm_csv", written(tmp_path, files.apdm_old(signals)))
    for place, sensor in enumerate(("Lumbar", "Right Ankle", "Left Ankle")):
        own = file.of(sensor)
        close(own["acc"], signals.acc[:, place])
        close(own["gyr"], signals.gyr[:, place])
        close(own["mag"], signals.mag[:, place])
        close(own["quat"], signals.quat[:, place])
    assert file.rate_hz == 128.0
    assert [file.facts[name]["units"] for name in ("acc", "gyr", "mag")] == ["m s-2", "rad s-1", "uT"]
    with pytest.raises(DataError, match=r"there is no sensor 'Right Ankel'\. Did you mean 'Right Ankle'"):
        file.of("Right Ankel")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.replace("Time,Lumbar", "Clock,Lumbar"), "begins with 'Time'"),
        (lambda t: t.replace("Lumbar/Acceleration/Y", "Lumbar/Acceleration/Q"), "Lumbar/Acceleration/Y missing"),
        (lambda t: t.replace("rad/s", "turns/s", 1), "expected rad/s or deg/s, found 'turns/s'"),
        (lambda t: t.replace("rad/s", "deg/s", 3), "sensors tell gyr in deg s-1 and rad s-1"),
        (lambda t: t.replace("s,m/s", "ms,m/s", 1), "column 'Time': expected s, found 'ms'"),
        (lambda t: t.replace(",128,Hz", ",fast,Hz"), "Sample Rate: expected a number of Hz, found 'fast'"),
        (lambda t: t.replace("0.022625", "0.014812"), "line 7: the time does not rise"),
        (lambda t: t.replace("Format", "").replace("Test Name", "Format=8,"), "expected Format=7, found Format=8"),
    ],
)
def test_each_fault_of_an_apdm_text_is_named(tmp_path, change, told):
    with pytest.raises(DataError, match=told):
        read_vendor("apdm_csv", written(tmp_path, change(files.apdm_old(truth(rate_hz=128.0)))))


@pytest.mark.parametrize(("name", "rows", "sensors"), [("imuData01", 1024, 4), ("apdm_format7", 3, 6)])
def test_real_apdm_text_says_what_its_rows_say(shared, name, rows, sensors):
    path = shared / f"opensense/apdm/{name}.csv"
    lines = list(csv.reader(path.read_text().splitlines()))
    old = name == "imuData01"
    head, width = (4, 15) if old else (3, 14)
    names = [cell.split("/")[0] for cell in lines[2][1::width]] if old else [c for c in lines[0][4::width] if c]
    file = read_vendor("apdm_csv", path)
    assert list(file.sensors) == names and len(names) == sensors
    assert file.rows == rows == len(lines) - head
    for row in {0, rows // 2, rows - 1}:
        cells = [float(cell) for cell in lines[head + row]]
        for place, sensor in enumerate(names):
            own, start = file.of(sensor), 1 + place * width
            assert own["acc"][row].tolist() == cells[start : start + 3]
            assert own["gyr"][row].tolist() == cells[start + 3 : start + 6]
            assert own["mag"][row].tolist() == cells[start + 6 : start + 9]
            after = start + (9 if old else 10)
            assert own["quat"][row].tolist() == cells[after : after + 4]
    assert file.rate_hz == (128.0 if old else None)
    close(np.diff(file.time_s), 1 / 128, atol=2e-6)


def test_apdm_quaternions_turn_gravity_up(shared):
    still = read_vendor("apdm_csv", shared / "opensense/apdm/imuData01.csv").of("Static")
    inverse = still["quat"] * [1, -1, -1, -1]
    close(into_sensor(inverse, still["acc"]).mean(axis=0), [0, 0, 9.8], atol=0.05)


@pytest.mark.parametrize("version", [3, 5])
def test_apdm_hdf5_of_either_kind(tmp_path, version):
    signals = truth(rate_hz=128.0)
    path = files.apdm_h5(tmp_path / "walk.h5", signals, version=version)
    wanted = ["Sensors/5718/Time"] if version == 5 else []
    file = read_vendor("apdm_h5", path, wanted)
    for place, sensor in enumerate(("Lumbar", "Right Ankle", "Left Ankle")):
        own = file.of(sensor)
        np.testing.assert_array_equal(own["acc"], signals.acc[:, place])
        np.testing.assert_array_equal(own["gyr"], signals.gyr[:, place])
        np.testing.assert_array_equal(own["quat"], signals.quat[:, place])
    assert file.rate_hz == (None if version == 5 else 128.0)
    close(np.diff(file.time_s), 1 / 128, atol=1e-6)
    assert list(file.columns) == wanted


def test_apdm_hdf5_tells_all_that_is_wrong(tmp_path):
    import h5py

    path = files.apdm_h5(tmp_path / "walk.h5", truth())
    with h5py.File(path, "r+") as file:
        del file["Sensors/5718/Time"]
        del file["Sensors/5719/Gyroscope"]
        file["Sensors/5719/Gyroscope"] = np.zeros((3, 3))
    with pytest.raises(DataError) as caught:
        read_vendor("apdm_h5", path)
    assert len(caught.value.problems) == 2
    with h5py.File(path, "r+") as file:
        del file.attrs["FileFormatVersion"]
    with pytest.raises(DataError, match="FileFormatVersion"):
        read_vendor("apdm_h5", path)
    apart = files.apdm_h5(tmp_path / "apart.h5", truth())
    with h5py.File(apart, "r+") as file:
        file["Sensors/5720/Time"][:] = file["Sensors/5720/Time"][:] + 9000
    with pytest.raises(DataError, match="'Lumbar' and 'Left Ankle' have 12 and 12 samples whose times are not"):
        read_vendor("apdm_h5", apart)


def test_hdf5_without_its_package_is_one_sentence(tmp_path, monkeypatch):
    path = files.apdm_h5(tmp_path / "walk.h5", truth())
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(UsageError, match=r"pip install 'kinbench\[hdf5\]'"):
        hdf5.read_hdf5(path)


# --- Shimmer, Noraxon, Noitom ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how",
    [
        {}, {"separator": ";"}, {"separator": ","}, {"formatted": True}, {"devices": ("RWrist",)},
        {"devices": ("A", "B", "C"), "separator": ","},
    ],
)  # fmt: skip
def test_a_shimmer_export_says_its_units(tmp_path, how):
    signals = truth(rate_hz=50.0)
    file = read_vendor("shimmer", written(tmp_path, files.shimmer(signals, **how)), accelerometer="low_noise")
    assert list(file.sensors) == list(how.get("devices", ("Shimmer_AB12",)))
    for place, own in enumerate(file.sensors.values()):
        close(own["acc"], signals.acc[:, place])
        close(own["gyr"] * DEG, signals.gyr[:, place])
        close(own["mag"], signals.mag[:, place])
    assert [file.facts[name]["units"] for name in ("acc", "gyr", "mag")] == ["m s-2", "deg s-1", "1"]
    close(np.diff(file.time_s), 0.02, atol=1e-6)
    assert file.synchronised


def test_a_shimmer_with_two_accelerometers_asks_which(tmp_path):
    signals = truth()
    path = written(tmp_path, files.shimmer(signals, sync=False))
    with pytest.raises(DataError, match="'Shimmer_AB12' has Accel_LN and Accel_WR; choose one"):
        read_vendor("shimmer", path)
    wide = read_vendor("shimmer", path, accelerometer="wide_range")
    close(wide.only()["acc"], signals.acc[:, 0] + 0.5)
    assert not wide.synchronised
    alone = read_vendor("shimmer", written(tmp_path, files.shimmer(signals, wide=False)))
    close(alone.only()["acc"], signals.acc[:, 0])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.replace("deg/s", "revs"), "expected a unit of gyr, found 'revs'"),
        (lambda t: t.replace("_CAL", "_RAW"), "expected calibrated signals"),
        (lambda t: t.replace("Gyro_Y_CAL", "Gyro_Y_RAW"), "Gyro_Y_CAL missing"),
        (lambda t: t.replace("TimestampSync_Unix", "Time"), "expected a time such as"),
        (lambda t: t.replace("\tms\t", "\tdays\t").replace("\nms\t", "\ndays\t"), "expected ms, found 'days'"),
        (lambda t: t.replace("1600000000050", "1600000000030"), "line 9: the time does not rise"),
        (lambda t: t.replace("_CAL", "").replace("_RAW", ""), "expected names such as"),
    ],
)
def test_each_fault_of_a_shimmer_export_is_named(tmp_path, change, told):
    with pytest.raises(DataError, match=told):
        read_vendor("shimmer", written(tmp_path, change(files.shimmer(truth(), wide=False))))


@pytest.mark.parametrize(
    "how", [{}, {"preamble": 0}, {"separator": ";", "decimal": ","}, {"separator": "\t"}],
    ids=["preamble", "bare", "decimal-comma", "tab"],
)  # fmt: skip
def test_a_noraxon_export_is_in_thousandths_of_g(tmp_path, how):
    signals = truth(rate_hz=200.0)
    path = written(tmp_path, files.noraxon(signals, **how))
    file = read_vendor("noraxon", path, ["RT Knee Flexion (deg)"])
    assert list(file.sensors) == ["Pelvis", "Foot LT", "Foot RT"]
    for place, own in enumerate(file.sensors.values()):
        close(own["acc"] / 1000 * G, signals.acc[:, place], atol=1e-5)
        close(own["gyr"] * DEG, signals.gyr[:, place])
    assert (file.facts["acc"]["units"], file.facts["gyr"]["units"]) == ("mg", "deg s-1")
    close(file.time_s, np.arange(12) / 200)
    close(file.columns["RT Knee Flexion (deg)"], np.linspace(0, 60, 12))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.replace("time,", "clock,"), "expected a row of names with 'time'"),
        (lambda t: t.replace("Sensor Y LT", "Sensor W LT"), "acc of 'Foot LT': expected x, y, z together, y missing"),
        (lambda t: t.replace("Accel Sensor X (mG)", "Accel Sensor X (G)", 1), "acc is in g and mg"),
        (lambda t: t.replace("Accel Sensor", "Force").replace("Gyroscope", "Course"), "expected names such as"),
        (lambda t: t.replace("\n0.010000000", "\n0.000000000"), "the time does not rise"),
        (lambda t: t.replace("\n0.010000000", "\n"), "line 7: expected a time, found none"),
    ],
)
def test_each_fault_of_a_noraxon_export_is_named(tmp_path, change, told):
    with pytest.raises(DataError, match=told):
        read_vendor("noraxon", written(tmp_path, change(files.noraxon(truth(rate_hz=200.0)))))


def test_a_noitom_export_is_asked_for_what_it_does_not_say(tmp_path):
    signals = truth(rate_hz=60.0)
    lost = np.zeros((12, 3), dtype=int)
    lost[4:6, 1] = 1
    for counted in (True, False):
        path = written(tmp_path, files.noitom(signals, counted=counted, lost=lost))
        bare = read_vendor("noitom", path)
        assert not bare.sensors and "'acc_unit' and 'acc_kind'" in bare.notes[-2] and "'gyr_unit'" in bare.notes[-1]
        file = read_vendor(
            "noitom", path, ["Hips-Bone-Quat-w"], acc_unit="g", acc_kind="specific_force", gyr_unit="rad s-1"
        )
        close(file.of("Hips")["acc"] * G, signals.acc[:, 0], atol=1e-5)
        close(file.of("RightLeg")["gyr"], signals.gyr[:, 2])
        close(file.columns["Hips-Bone-Quat-w"], signals.quat[:, 0, 0])
        gone = np.isnan(file.of("RightUpLeg")["acc"]).all(axis=1)
        assert gone.tolist() == (lost[:, 1] == 1).tolist()
        assert file.rate_hz is None and file.time_s is None and "RightUpLeg: 2 lost samples" in file.notes[0]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda t: t.replace("-Sensor-", "_").replace("-Bone-", "_").replace("-Joint-", "_"),
            "expected a row of names",
        ),
        (lambda t: t.replace("Hips-Sensor-Acce-y", "Hips-Sensor-Acce-q"), "Hips-Sensor-Acce-y missing"),
        (lambda t: t.replace("12\n", "13\n", 1), "line 1 says 13 frames, 12 rows follow"),
        (lambda t: t.replace("-Sensor-", "-Joint-"), "export sensors"),
    ],
)
def test_each_fault_of_a_noitom_export_is_named(tmp_path, change, told):
    with pytest.raises(DataError, match=told):
        read_vendor("noitom", written(tmp_path, change(files.noitom(truth()))))


# --- laws ------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_specific_force_is_free_acceleration_with_gravity_in_sensor_axes(seed):
    rng = np.random.default_rng(seed)
    turn = Rotation.random(5, rng=seed)
    force = rng.normal(size=(5, 3)) * 20
    quat = turn.as_quat(scalar_first=True) * rng.choice([-1, 1], size=(5, 1))
    close(specific_force(quat, turn.apply(force) - [0, 0, G], G), force)


@given(st.integers(0, 2**32 - 1), st.floats(1, 400))
@settings(max_examples=30, deadline=None)
def test_steps_of_orientation_are_the_rate_times_the_sample(seed, rate_hz):
    rng = np.random.default_rng(seed)
    axis = rng.normal(size=(5, 3))
    steps = axis / np.linalg.norm(axis, axis=1, keepdims=True) * rng.uniform(0, 3.1, size=(5, 1))
    quat = Rotation.from_rotvec(steps).as_quat(scalar_first=True) * rng.choice([-1, 1], size=(5, 1))
    close(rate_of_steps(quat, rate_hz), steps * rate_hz, atol=1e-6 * rate_hz)
    close(rate_of_steps(np.array([[1.0, 0, 0, 0]]), rate_hz), 0.0)


def test_no_orientation_no_force():
    quat = np.array([[np.nan] * 4, [0.0] * 4])
    assert np.isnan(specific_force(quat, np.zeros((2, 3)), G)).all()


# --- damage ----------------------------------------------------------------------------------------------------------

WHOLE = {
    "dot": (files.dot, {}),
    "mvnx": (files.mvnx, {}),
    "apdm_csv": (files.apdm_old, {}),
    "shimmer": (files.shimmer, {"accelerometer": "low_noise"}),
    "noraxon": (files.noraxon, {}),
    "noitom": (files.noitom, {"acc_unit": "g", "acc_kind": "specific_force", "gyr_unit": "rad s-1"}),
}


@pytest.mark.parametrize("name", WHOLE)
def test_damaged_text_is_read_or_refused_in_words(tmp_path, name):
    make, options = WHOLE[name]
    refused = 0
    for raw in files.mutants(make(truth(rows=6)).encode()):
        try:
            assert isinstance(read_vendor(name, written(tmp_path, raw), **options), VendorFile)
        except DataError as error:
            refused += 1
            assert error.where is not None
    assert refused > 10


@pytest.mark.parametrize("name", ["dot", "apdm_csv"])
def test_damaged_real_text_is_read_or_refused_in_words(tmp_path, shared, name):
    path = {"dot": "xsens_dot/knee_tracking1/tibia.csv", "apdm_csv": "opensense/apdm/apdm_format7.csv"}[name]
    for raw in files.mutants((shared / path).read_bytes()[:20_000]):
        try:
            assert isinstance(read_vendor(name, written(tmp_path, raw)), VendorFile)
        except DataError as error:
            assert error.where is not None


def test_damaged_hdf5_is_read_or_refused_in_words(tmp_path):
    raw = files.apdm_h5(tmp_path / "walk.h5", truth(rows=4)).read_bytes()
    for broken in files.mutants(raw, count=6):
        try:
            read_vendor("apdm_h5", written(tmp_path, broken, "broken.h5"))
        except DataError as error:
            assert error.where is not None


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    for name in VENDORS:
        with pytest.raises(DataError):
            read_vendor(name, tmp_path / "none")


# --- in a laboratory -------------------------------------------------------------------------------------------------

HEAD = """
kinbench: 1
dataset: {id: lab, version: "1", licence: CC0-1.0, redistributable: true}
activity: walking
"""


def load(folder, text, index=0):
    (folder / "kinbench.yaml").write_text(HEAD + text, encoding="utf-8")
    return LabAdapter().find(folder).sources[index].load()


def test_a_real_pair_of_dots_needs_no_column_unit_or_clock(tmp_path, shared):
    text = """
root: ${KINBENCH_SHARED_DATA}/xsens_dot
fields: {trial: knee}
imu:
  files: "{subject}/{sensor}.csv"
  reader: dot
  sensors: {femur: {segment: thigh_r}, tibia: {segment: shank_r}}
"""
    recording = load(tmp_path, text)
    imu = recording.imu
    assert imu["gyr"].attrs["units"] == "deg s-1" and imu["mag"].attrs["units"] == "1"
    files_ = [read_vendor("dot", shared / f"xsens_dot/knee_tracking1/{name}.csv") for name in ("femur", "tibia")]
    late = round((files_[1].time_s[0] - files_[0].time_s[0]) * 60)
    assert late == 1, "the tibia's first packet is a sample later; equal packet numbers are not one instant"
    np.testing.assert_array_equal(imu["acc"].values[1, 1], files_[1].only()["acc"][0].astype(np.float32))
    assert not imu["valid"].values[0, 1] and imu["valid"].values[0, 0]
    assert imu["time"].values[0] == 0
    assert recording.attrs["rates"]["imu"]["measured_hz"] == pytest.approx(60, abs=0.01)


def test_dots_that_were_not_synchronised_are_no_one_recording(tmp_path):
    for place, name in enumerate("TS"):
        written(tmp_path, files.dot(truth(), place, sync="Un-synced"), f"P1_{name}.csv")
    text = """
imu:
  files: "{subject}_{sensor}.csv"
  reader: dot
  sensors: {T: {segment: thigh_r}, S: {segment: shank_r}}
"""
    with pytest.raises(DataError, match="not synchronised"):
        load(tmp_path, text)
    for place, name in enumerate("TS"):
        written(tmp_path, files.dot(truth(), place, head=""), f"P1_{name}.csv")
    with pytest.raises(DataError, match="not synchronised"):
        load(tmp_path, text)
    told = load(tmp_path, text.replace("reader: dot", "reader: {name: dot, synchronised: true}"))
    close(told.imu["acc"].values, truth().acc[:, :2].astype(np.float32), atol=1e-4)


def test_sensors_exported_in_two_ways_are_refused(tmp_path):
    written(tmp_path, files.dot(truth(), 0), "P1_T.csv")
    written(tmp_path, files.dot(truth(), 1, payload="dq dv"), "P1_S.csv")
    text = """
imu:
  files: "{subject}_{sensor}.csv"
  reader: dot
  sensors: {T: {segment: thigh_r}, S: {segment: shank_r}}
"""
    with pytest.raises(DataError, match=r"T and S hold gyr in two ways \(units deg s-1 and rad s-1\)"):
        load(tmp_path, text)


def test_a_take_gives_sensors_and_the_reference_beside_them(tmp_path):
    signals = truth()
    angles = np.random.default_rng(1).normal(size=(12, 2, 3)).round(6)
    written(tmp_path, files.mvnx(signals, angles=angles, index=[*range(5), *range(6, 13)]), "P1-walk.mvnx")
    text = """
imu:
  files: "{subject}-{trial}.mvnx"
  sensors:
    RightUpperLeg: {segment: thigh_r}
    RightLowerLeg: {segment: shank_r}
reference:
  files: "{subject}-{trial}.mvnx"
  tier: imu_fusion
  convention: isb_zxy
  unit: deg
  angles: {knee_flexion_r: "jointAngle/jRightKnee[2]"}
sync: {method: same_clock}
"""
    beside = text.replace('reference:\n  files: "{subject}-{trial}.mvnx"', "reference:").partition("sync:")[0]
    for recording in (load(tmp_path, text), load(tmp_path, beside)):
        knee = recording.reference["angle"].values[:, 0]
        np.testing.assert_array_equal(recording.reference["time"].values, recording.imu["time"].values)
        close(knee[[*range(5), *range(6, 13)]], angles[:, 1, 2], atol=1e-4)
        assert np.isnan(knee[5])
    imu = recording.imu
    assert imu.sizes["time"] == 13 and not imu["valid"].values[5].any()
    close(imu["acc"].values[:5, 0], signals.acc[:5, 1], atol=1e-4)
    close(imu["acc"].values[6:, 1], signals.acc[5:, 2], atol=1e-4)
    assert recording.attrs["absent"]["sensor Pelvis"] == "the manifest does not describe it"


@pytest.mark.parametrize(
    ("name", "text", "reader", "sensor", "place"),
    [
        ("P1.csv", lambda s: files.apdm_old(s), "apdm_csv", "Right Ankle", 1),
        ("P1.csv", lambda s: files.noraxon(s), "noraxon", "Foot LT", 1),
        ("P1.csv", lambda s: files.shimmer(s, ("A", "B")), "{name: shimmer, accelerometer: low_noise}", "B", 1),
        ("P1.csv", lambda s: files.noitom(s),
         "{name: noitom, acc_unit: g, acc_kind: specific_force, gyr_unit: rad/s}\n  rate_hz: 100", "RightUpLeg", 1),
    ],
    ids=["apdm_csv", "noraxon", "shimmer", "noitom"],
)  # fmt: skip
def test_every_vendor_of_one_file_converts_by_its_word(tmp_path, name, text, reader, sensor, place):
    signals = truth()
    written(tmp_path, text(signals), name)
    told = load(
        tmp_path,
        f'\nimu:\n  files: "{{subject}}.csv"\n  reader: {reader}\n  sensors: {{{sensor}: {{segment: shank_l}}}}\n',
    )
    scale = {"m s-2": 1.0, "g": G, "mg": G / 1000}[told.imu["acc"].attrs["units"]]
    close(told.imu["acc"].values[:, 0] * scale, signals.acc[:, place], atol=1e-4)
    scale = {"rad s-1": 1.0, "deg s-1": DEG}[told.imu["gyr"].attrs["units"]]
    close(told.imu["gyr"].values[:, 0] * scale, signals.gyr[:, place], atol=1e-4)
    close(told.imu["time"].values, np.arange(12) / 100)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('imu:\n  files: "{subject}_{sensor}.mvnx"\n  sensors: {T: {segment: thigh_r}}\n', "leave {sensor} out"),
        ('imu:\n  files: "{subject}.csv"\n  reader: dot\n  sensors: {T: {segment: thigh_r}}\n', "write {sensor} in"),
        ('imu:\n  files: "{subject}.csv"\n  reader: noitom\n  sensors: {T: {segment: thigh_r}}\n', "rate_hz"),
        ('imu:\n  files: "{subject}.csv"\n  reader: {name: dot, accelerometer: low_noise}\n'
         "  sensors: {T: {segment: thigh_r}}\n", "takes no 'accelerometer'"),
        ('imu:\n  files: "{subject}.mvnx"\n  sensors: {Pelvis: {segment: pelvis}}\nreference:\n  tier: optical_6dof\n'
         "  convention: isb_zxy\n  unit: deg\n  angles: {knee_flexion_r: jointAngle/jRightKnee}\n", "imu_fusion"),
        ('imu:\n  files: "{subject}.csv"\n  reader: shimmr\n  sensors: {T: {segment: thigh_r}}\n', "'shimmer'"),
    ],
)  # fmt: skip
def test_a_manifest_that_misuses_a_vendors_reader_is_told(tmp_path, text, told):
    with pytest.raises(UsageError) as caught:
        load(tmp_path, "\n" + text)
    assert told in str(caught.value)
