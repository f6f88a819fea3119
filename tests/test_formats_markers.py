"""Marker and table exports: Nexus, Motive, Visual3D, HDF5 and C3D give the numbers that are in them, or say why not."""

import csv

import numpy as np
import pytest
from kinbench_adapters._formats import c3d, hdf5, motive, nexus, v3d_text
from kinbench_adapters._lab.grammar.files import READERS, Reader
from kinbench_adapters._lab.tables import read_table
from kinbench_adapters.lab import LabAdapter
from raw_folders.vendor_files import mutants

from kinbench.errors import DataError


def written(folder, text, name="file.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def number(cell):
    return float(cell) if cell else np.nan


# --- Nexus -----------------------------------------------------------------------------------------------------------

PLACES = np.round(np.random.default_rng(0).normal(size=(4, 2, 3)) * 1000, 3)
ANGLES = np.round(np.random.default_rng(1).normal(size=(4, 3)) * 20, 3)
FORCES = np.round(np.random.default_rng(2).normal(size=(8, 3)) * 500, 3)


def rows(values, frames, per_frame=1):
    return "".join(
        ",".join(map(str, [frames[i // per_frame], i % per_frame, *np.ravel(row)])) + "\n"
        for i, row in enumerate(values)
    )


def take(first=1, subject="P1:"):
    frames = list(range(first, first + 4))
    return (
        "Devices\n200\n,,Plate - Force,,,\nFrame,Sub Frame,Fx,Fy,Fz\n,,N,N,N\n" + rows(FORCES, frames, 2) + "\n"
        f"Model Outputs\n100\n,,{subject}RKneeAngles,,\nFrame,Sub Frame,X,Y,Z\n,,deg,deg,deg\n{rows(ANGLES, frames)}\n"
        f"Trajectories\n100\n,,{subject}LASI,,,{subject}RASI,,,\nFrame,Sub Frame,X,Y,Z,X,Y,Z\n,,mm,mm,mm,mm,mm,mm\n"
        + rows(PLACES, frames)
    )


def test_every_section_of_a_nexus_export_has_its_own_clock(tmp_path):
    path = written(tmp_path, take(first=11))
    markers = nexus.read_markers(path)
    np.testing.assert_array_equal(markers.paths["RASI"], PLACES[:, 1])
    assert (markers.rate_hz, markers.units, list(markers.paths)) == (100.0, "mm", ["LASI", "RASI"])
    np.testing.assert_allclose(markers.time_s, 0.1 + np.arange(4) / 100)
    angles = nexus.read_section(path, ["RKneeAngles[0]"])
    np.testing.assert_array_equal(angles.columns["RKneeAngles"], ANGLES)
    assert angles.units == {"RKneeAngles": "deg"}
    plate = nexus.read_section(path, ["Plate - Force:Fz"])
    np.testing.assert_array_equal(plate.columns["Plate - Force:Fz"], FORCES[:, 2])
    np.testing.assert_allclose(plate.time_s, 0.1 + np.arange(8) / 200)


def test_two_subjects_keep_their_names_before_the_markers(tmp_path):
    text = take().replace("P1:RASI", "P2:LASI")
    assert list(nexus.read_markers(written(tmp_path, text)).paths) == ["P1:LASI", "P2:LASI"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.replace("Trajectories", "Paths"), "expected a section 'Trajectories', found none"),
        (
            lambda t: t.replace("Trajectories\n100", "Trajectories\nfast"),
            "line 26: expected a rate in Hz, found 'fast'",
        ),
        (lambda t: t[: t.rindex("\n1,0")], "found its head alone"),
        (lambda t: t.replace("\n3,0", "\n4,0"), "frame 4.0 follows 2.0"),
        (
            lambda t: t.replace("Sub Frame,X,Y,Z,X", "Sub Frame,X,Y,X,Y"),
            "'LASI' stands over 3 columns, expected X, Y, Z",
        ),
        (lambda t: t.replace("\n2,0,", "\n2,0,x"), "expected a number, got 'x"),
        (lambda t: t.rstrip("\n") + ",5\n", r"line 33: 9 cells, expected 8 \(the last line"),
        (lambda t: t.replace("Frame,Sub Frame", "Frame,Time"), "expected 'Frame,Sub Frame'"),
    ],
)
def test_each_fault_of_a_nexus_export_is_named(tmp_path, change, told):
    with pytest.raises(DataError, match=told):
        nexus.read_markers(written(tmp_path, change(take())))


def test_columns_of_two_sections_are_no_table(tmp_path):
    path = written(tmp_path, take())
    with pytest.raises(DataError, match="sections Trajectories and Devices, each with a clock of its own"):
        nexus.read_section(path, ["LASI", "Plate - Force:Fx"])
    with pytest.raises(DataError, match=r"there is no 'LASY'\. Did you mean 'LASI'"):
        nexus.read_section(path, ["LASY"])


def test_real_nexus_walks_say_what_their_rows_say(shared):
    files = sorted((shared / "nexus_walk").glob("*/*.csv"))
    assert len(files) == 10
    for path in files:
        lines = [line for line in csv.reader(path.read_text().splitlines()) if line]
        names = [cell.split(":")[1] for cell in lines[2] if cell]
        found = nexus.read_markers(path)
        assert list(found.paths) == names and len(names) == 16
        assert (found.rate_hz, found.units) == (200.0, "mm")
        assert len(found.time_s) == len(lines) - 5
        for row in (0, len(lines) // 2, len(lines) - 6):
            expected = np.array([number(cell) for cell in lines[5 + row][2:50]]).reshape(16, 3)
            np.testing.assert_array_equal([values[row] for values in found.paths.values()], expected)
            assert found.time_s[row] == (int(lines[5 + row][0]) - 1) / 200


# --- Motive ----------------------------------------------------------------------------------------------------------


def motive_take(space="Global", units="Meters", rate="120.000000"):
    keys = [
        "Format Version", "1.23", "Take Name", "walk", "Capture Frame Rate", "240.000000", "Export Frame Rate", rate,
        "Capture Start Time", "2024-05-27 02.04.24.730 오후", "Rotation Type", "Quaternion", "Length Units", units,
        "Coordinate Space", space,
    ]  # fmt: skip
    types = ["Rigid Body"] * 8 + ["Rigid Body Marker"] * 3 + ["Marker"] * 6
    names = ["Pelvis"] * 8 + ["Pelvis:1"] * 3 + ["Pelvis:1"] * 3 + ["Knee"] * 3
    kinds = ["Rotation"] * 4 + ["Position"] * 3 + ["Mean Marker Error"] + ["Position"] * 9
    parts = [*"XYZW", *"XYZ", "", *"XYZXYZXYZ"]
    head = [["", "Type", *types], ["", "Name", *names], ["", "ID", *['"AB"'] * 17], ["", "", *kinds]]
    values = np.arange(3 * 17, dtype=float).reshape(3, 17) / 8
    body = [[i, f"{i / 120:.6f}", *row] for i, row in enumerate(values.tolist())]
    body[1][-3:] = ["", "", ""]
    lines = [keys, [], *head, ["Frame", "Time (Seconds)", *parts], *body]
    return "".join(",".join(map(str, line)) + "\r\n" for line in lines), values


def test_markers_and_bodies_of_a_motive_export(tmp_path):
    text, values = motive_take()
    path = written(tmp_path, text)
    found = motive.read_markers(path)
    assert (found.rate_hz, found.units, found.up, list(found.paths)) == (120.0, "m", "y", ["Pelvis:1", "Knee"])
    np.testing.assert_array_equal(found.paths["Pelvis:1"], values[:, 11:14])  # the measured one, not the solved one
    assert np.isnan(found.paths["Knee"][1]).all() and not np.isnan(found.paths["Knee"][0]).any()
    columns = motive.read_columns(path, ["Pelvis/Rotation", "Pelvis/Position", "Knee[1]"])
    np.testing.assert_array_equal(columns.paths["Pelvis/Rotation"], values[:, :4])
    np.testing.assert_array_equal(columns.paths["Pelvis/Position"], values[:, 4:7])
    np.testing.assert_allclose(columns.time_s, np.arange(3) / 120, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.replace("Format Version", "Version"), "this is no Motive export"),
        (lambda t: t.replace("Global", "Local"), "expected Coordinate Space Global, found 'Local'"),
        (lambda t: t.replace("Meters", "Cubits"), "expected Length Units such as Meters, found 'Cubits'"),
        (lambda t: t.replace("Export Frame Rate,120", "Export Frame Rate,x"), "expected an Export Frame Rate"),
        (lambda t: t.replace("Type", "Kind"), "expected rows 'Type', 'Name'"),
        (lambda t: t.replace("Marker", "Bone"), "found none; export markers"),
        (lambda t: t.replace("1,0.008333", "1,"), "line 9: expected a time, found none"),
        (lambda t: t.rstrip() + ",1", "line 10: 20 cells, expected 19"),
        (lambda t: t[: t.index("\r\n0,0.0")], "no data below it"),
    ],
)
def test_each_fault_of_a_motive_export_is_named(tmp_path, change, told):
    with pytest.raises(DataError, match=told):
        motive.read_markers(written(tmp_path, change(motive_take()[0])))


def test_a_real_motive_take_says_what_its_rows_say(shared):
    path = shared / "motive/motive_take_head.csv"
    lines = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    found = motive.read_markers(path)
    assert list(found.paths) == list(dict.fromkeys(lines[3][2:])) and len(found.paths) == 11
    assert (found.rate_hz, found.units, len(found.time_s)) == (120.0, "m", 6000)
    for row in (0, 3000, 5999):
        cells = [number(cell) for cell in lines[7 + row]]
        np.testing.assert_array_equal(np.ravel([values[row] for values in found.paths.values()]), cells[2:])
        assert found.time_s[row] == cells[1]


# --- Visual3D --------------------------------------------------------------------------------------------------------

V3D = (
    "\ta.c3d\ta.c3d\ta.c3d\ta.c3d\tb.c3d\n\tLknee\tLknee\tLknee\tFz\tFz\n"
    "\tLINK_MODEL_BASED\tLINK_MODEL_BASED\tLINK_MODEL_BASED\tFORCE\tFORCE\n\tORIGINAL\tORIGINAL\tORIGINAL\tO\tO\n"
    "ITEM\tX\tY\tZ\tX\tX\n1\t-10.5\t3.25\t7\t700\t600\n2\t-10.25\t\t7.5\t710\t\n"
)


def test_visual3d_signals_go_by_name_component_and_file(tmp_path):
    path = written(tmp_path, V3D, "out.txt")
    found = v3d_text.read_columns(path, ["Lknee", "Lknee.X", "a.c3d/Fz", "b.c3d/Fz.X"])
    np.testing.assert_array_equal(found["Lknee"], [[-10.5, 3.25, 7], [-10.25, np.nan, 7.5]])
    np.testing.assert_array_equal(found["Lknee.X"], [-10.5, -10.25])
    np.testing.assert_array_equal(found["a.c3d/Fz"], [700, 710])
    np.testing.assert_array_equal(found["b.c3d/Fz.X"], [600, np.nan])


@pytest.mark.parametrize(
    ("change", "wanted", "told"),
    [
        (lambda t: t, "Fz", "'Fz' stands 2 times; write its file before it"),
        (lambda t: t, "Rknee", r"there is no 'Rknee'\. Did you mean 'Lknee'"),
        (lambda t: t.replace("ITEM", "TIME"), "Lknee", "line 5: expected 'ITEM'"),
        (lambda t: t.replace("\n2\t", "\n3\t"), "Lknee", "line 7: expected item 2, found '3'"),
        (lambda t: t.replace("3.25", "3,25"), "Lknee", "line 6, column '2': expected a number"),
        (lambda t: t.replace("\tFz\tFz\n", "\tFz\n"), "Lknee", "lines 1, 2 and 5 have 6, 5 and 6 cells"),
        (lambda t: t.replace("\t710\t", "\t710"), "Lknee", "line 7: 5 cells, expected 6"),
        (lambda t: t[:40], "Lknee", "expected five of header"),
    ],
)
def test_each_fault_of_a_visual3d_export_is_named(tmp_path, change, wanted, told):
    with pytest.raises(DataError, match=told):
        v3d_text.read_columns(written(tmp_path, change(V3D), "out.txt"), [wanted])


def test_a_real_visual3d_export_says_what_its_rows_say(shared):
    path = shared / "fan_knee/Lknee trial 271.txt"
    table = read_table(path, Reader(name="v3d_text"), ["Lknee[0]", "Lknee"])
    lines = [line.split("\t") for line in path.read_text().splitlines()[5:]]
    np.testing.assert_array_equal(table.columns["Lknee"], [[float(cell) for cell in line[1:]] for line in lines])
    plain = read_table(path, Reader(name="delimited", delimiter="tab", skip_rows=4), ["X"])
    np.testing.assert_array_equal(table.columns["Lknee[0]"], plain.columns["X"])


# --- HDF5 ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path):
    import h5py

    path = tmp_path / "file.h5"
    values = np.arange(12.0).reshape(4, 3)
    with h5py.File(path, "w") as file:
        file["imu/thigh"] = values
        file["imu/thigh"].attrs["columns"] = ["ax", "ay", "az"]
        file["imu/shank"] = values + 100
        file["imu"].attrs["columns"] = '["px", "py", "pz"]'
        file["knee"] = values[:, 0]
        file["steps"] = np.zeros((2, 4, 3))
        file["note"] = "text"
        file["elsewhere"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/secret")
    return path, values


def test_hdf5_columns_go_by_path_and_by_the_names_that_attributes_give(tree):
    path, values = tree
    wanted = ["imu/thigh", "imu/thigh/ay", "az", "shank", "py", "/knee"]
    found = hdf5.read_columns(path, wanted)
    np.testing.assert_array_equal(found["imu/thigh"], values)
    np.testing.assert_array_equal(found["imu/thigh/ay"], values[:, 1])
    np.testing.assert_array_equal(found["az"], values[:, 2])
    np.testing.assert_array_equal(found["shank"], values + 100)
    np.testing.assert_array_equal(found["py"], values[:, 1] + 100)
    np.testing.assert_array_equal(found["/knee"], values[:, 0])
    table = read_table(path, Reader(name="hdf5"), ["imu/thigh[2]"])
    np.testing.assert_array_equal(table.columns["imu/thigh[2]"], values[:, 2])


def test_a_matlab_v73_array_is_as_matlab_has_it(tmp_path):
    import h5py

    values = np.arange(12.0).reshape(4, 3)
    path = tmp_path / "trial.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in (("imu", values), ("knee", values[:, :1])):
            file[name] = array.T
            file[name].attrs["MATLAB_class"] = np.bytes_(b"double")
    table = read_table(path, Reader(name="hdf5"), ["imu", "knee"])
    np.testing.assert_array_equal(table.columns["imu"], values)
    np.testing.assert_array_equal(table.columns["knee"], values[:, 0])


def test_hdf5_says_what_it_has_instead(tree, tmp_path):
    path, _ = tree
    with pytest.raises(DataError) as caught:
        hdf5.read_columns(path, ["thihg", "steps", "elsewhere"])
    told = str(caught.value)
    assert "there is no 'thihg'" in told and "'steps' has shape (2, 4, 3)" in told and "no 'elsewhere'" in told
    with pytest.raises(DataError, match="expected an HDF5 file, found something else"):
        hdf5.read_columns(written(tmp_path, "hello"), ["a"])


def test_a_real_hdf5_names_its_columns_by_an_attribute(shared):
    file = hdf5.read_hdf5(shared / "tan_treadmill/example_data.h5", keep=())
    names = file.names_of("subject_01")
    assert len(names) == file.shapes["subject_01"][-1] == 256
    assert names[:2] == ("body weight", "body height") and "AccelX_L_FOOT" in names


# --- C3D -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    ezc3d = pytest.importorskip("ezc3d")
    path = tmp_path_factory.mktemp("c3d") / "walk.c3d"
    file = ezc3d.c3d()
    file["parameters"]["POINT"]["RATE"]["value"] = [100.0]
    file["parameters"]["POINT"]["UNITS"]["value"] = ["mm"]
    file["parameters"]["POINT"]["LABELS"]["value"] = ["LASI", "RASI"]
    points = np.ones((4, 2, 5))
    points[:3] = np.arange(30).reshape(3, 2, 5) + 1
    points[:3, 1, 2] = 0.0
    file["data"]["points"] = points
    file["parameters"]["ANALOG"]["RATE"]["value"] = [200.0]
    file["parameters"]["ANALOG"]["LABELS"]["value"] = ["Thigh.ACCX", "Thigh.GYROX"]
    file["parameters"]["ANALOG"]["UNITS"]["value"] = ["g", "deg/s"]
    file["data"]["analogs"] = np.arange(20.0).reshape(1, 2, 10) / 4
    file.write(str(path))
    return path, points


def test_points_are_markers_and_analog_channels_columns(capture):
    path, points = capture
    markers = read_table(path, Reader(name="c3d"), ["LASI", "RASI[2]"])
    np.testing.assert_array_equal(markers.columns["LASI"], points[:3, 0].T)
    assert np.isnan(markers.columns["RASI[2]"][2]), "the origin is no place of a marker"
    assert (markers.rate_hz, markers.length_unit) == (100.0, "mm")
    analog = read_table(path, Reader(name="c3d"), ["Thigh.ACCX", "Thigh.GYROX"])
    np.testing.assert_allclose(analog.columns["Thigh.GYROX"], 2.5 + np.arange(10) / 4, atol=1e-4)
    assert analog.rate_hz == 200.0 and c3d.read_c3d(path)[1].units == {"Thigh.ACCX": "g", "Thigh.GYROX": "deg/s"}
    with pytest.raises(DataError, match=r"Thigh\.ACCX are analog channels .200 Hz. and the others markers .100 Hz."):
        read_table(path, Reader(name="c3d"), ["LASI", "Thigh.ACCX"])
    with pytest.raises(DataError, match=r"there is no 'LAS'"):
        read_table(path, Reader(name="c3d"), ["LAS"])


def test_analog_sensors_of_a_capture_are_an_imu(tmp_path, capture):
    (tmp_path / "P1.c3d").write_bytes(capture[0].read_bytes())
    (tmp_path / "kinbench.yaml").write_text(
        """
kinbench: 1
dataset: {id: lab, version: "1", licence: CC0-1.0, redistributable: true}
imu:
  files: "{subject}.c3d"
  gyr: {columns: ["{sensor}.GYROX", "{sensor}.GYROX", "{sensor}.GYROX"], unit: deg/s}
  sensors: {Thigh: {segment: thigh_r}}
""",
        encoding="utf-8",
    )
    imu = LabAdapter().find(tmp_path).sources[0].load().imu
    np.testing.assert_allclose(imu["gyr"].values[:, 0, 2], 2.5 + np.arange(10) / 4, atol=1e-4)
    np.testing.assert_allclose(imu["time"].values, np.arange(10) / 200)


def test_a_real_capture_has_no_analog_channels(shared):
    markers, analog = c3d.read_c3d(shared / "calgary_ric/raw_c3d/20140515T133244_static.c3d")
    assert len(markers.paths) == 38 and markers.rate_hz == 200.0 and not analog.channels


# --- all of them -----------------------------------------------------------------------------------------------------

WHOLE = {
    "nexus": (take().encode(), ["LASI"]),
    "motive": (motive_take()[0].encode(), ["Knee"]),
    "v3d_text": (V3D.encode(), ["Lknee"]),
}


@pytest.mark.parametrize("name", WHOLE)
def test_damaged_text_is_read_or_refused_in_words(tmp_path, name):
    raw, wanted = WHOLE[name]
    refused = 0
    for broken in mutants(raw):
        try:
            read_table(written(tmp_path, broken), Reader(name=name), wanted)
        except DataError as error:
            refused += 1
            assert error.where is not None
    assert refused > 10


def test_a_damaged_capture_is_read_or_refused_in_words(tmp_path, capture):
    for broken in mutants(capture[0].read_bytes(), count=6):
        try:
            c3d.read_c3d(written(tmp_path, broken, "broken.c3d"))
        except DataError as error:
            assert error.where is not None


def test_every_reader_a_manifest_can_name_reads_or_refuses_a_file(tmp_path):
    options = {"line_pattern": {"pattern": "{a}"}}
    for name in READERS:
        reader = Reader(name=name, **options.get(name, {}))
        for path in (written(tmp_path, "hello\nworld\n", "some.csv"), tmp_path / "none.csv"):
            with pytest.raises(DataError):
                read_table(path, reader, ["a"])
