"""MT Manager exports and the packet clock: every real dialect, laws by hypothesis, and a planted fault per guard."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinbench_adapters._formats.clock import DROPPED, Counted, common_rate, join, place_by_counter
from kinbench_adapters._formats.mt_manager import (
    AGREEMENT_DEG,
    GROUPS,
    angle_between_deg,
    quaternion_from_euler,
    quaternion_from_matrix,
    read_mt,
)
from scipy.spatial.transform import Rotation

from kinbench.errors import DataError

HEAD = "// Start Time: Unknown\n// Update Rate: 100.0Hz\n// Firmware Version: 4.0.2\n"
COLUMNS = ("PacketCounter", "SampleTimeFine", "Acc_X", "Acc_Y", "Acc_Z", "Gyr_X", "Gyr_Y", "Gyr_Z")
FIRST_ROW = HEAD.count("\n") + 2


def write(path, rows, *, head=HEAD, columns=COLUMNS, separator="\t", end="\n", last=True):
    lines = [separator.join(columns), *(separator.join(map(str, row)) for row in rows)]
    path.write_bytes((head.replace("\n", end) + end.join(lines) + (end if last else "")).encode())
    return path


def packets(n, *, start=100):
    return [(f"{start + i:05d}", "", f"{i}.500000", "-1.250000", "9.800000", "0.1", "0.2", "0.3") for i in range(n)]


@pytest.fixture
def export(tmp_path):
    return tmp_path / "MT_012005D6_009-001_00B421E6.txt"


# --- the real files --------------------------------------------------------------------------------------------------

REAL = {
    "opensense/dialects": 10,
    "opensense/example/IMUData": 8,
    "neura_sparse/rawimu": 9,
    "fan_knee": 2,
    "halilaj_lab": 3,
}


@pytest.mark.parametrize("folder", REAL)
def test_every_real_export_is_read(shared, folder):
    files = sorted(p for p in (shared / folder).glob("*.txt") if not p.name.startswith(("Lknee", "sensor")))
    assert len(files) == REAL[folder]
    for path in files:
        file = read_mt(path)
        lines = path.read_text().splitlines()
        header = next(i for i, line in enumerate(lines) if line.startswith("PacketCounter"))
        assert len(file.counter) == len(lines) - header - 1
        assert file.device == path.stem[-8:]
        assert all(
            values.shape == (len(file.counter), 4 if name == "quat" else 3) for name, values in file.columns.items()
        )
        missing = sum(int(np.isnan(values).sum()) for values in file.columns.values())
        assert missing == (1 if "TAB_NAN" in path.name else 0)
        position, report = place_by_counter(file.counter)
        assert report.doubled == (1 if folder == "fan_knee" else 0)
        assert report.received == (position != DROPPED).sum()


def test_at_rest_every_orientation_turns_the_specific_force_upwards(shared):
    """Sensor to earth with Z up, for Mat, Quat and Euler alike; the transpose would not do it."""
    for path in sorted((shared / "opensense").glob("**/*.txt")):
        file = read_mt(path)
        if "acc" not in file.columns or "quat" not in file.columns:
            continue
        still = slice(0, min(100, len(file.counter)))
        up = Rotation.from_quat(file.columns["quat"][still], scalar_first=True).apply(file.columns["acc"][still])
        np.testing.assert_allclose(np.nanmean(up, axis=0), [0, 0, 9.81], atol=0.25, err_msg=path.name)


def test_an_orientation_held_thrice_agrees(shared):
    path = shared / "opensense/dialects/MT2022_ACC_GYRO_ROT_ALL_TAB_NAN_00B42D4B.txt"
    lines = path.read_text().splitlines()
    header = next(i for i, line in enumerate(lines) if line.startswith("PacketCounter"))
    names = lines[header].split("\t")
    table = np.array([[float(cell) for cell in line.split("\t")] for line in lines[header + 1 :]])
    column = {name: table[:, i] for i, name in enumerate(names)}
    quat, euler, matrix = (np.column_stack([column[n] for n in GROUPS[g]]) for g in ("Quat", "Euler", "Mat"))
    from_matrix = Rotation.from_matrix(matrix.reshape(-1, 3, 3).transpose(0, 2, 1)).as_quat(scalar_first=True)
    assert angle_between_deg(quat, from_matrix).max() < AGREEMENT_DEG
    assert angle_between_deg(quat, quaternion_from_euler(euler)).max() < AGREEMENT_DEG
    assert read_mt(path).orientation == "Quat"


def test_the_same_data_in_four_separators_is_the_same(shared):
    files = sorted((shared / "opensense/dialects").glob("MT2022_ACC_GYRO_ROT_MAT_*.txt"))
    first, *others = [read_mt(path) for path in files]
    assert len(others) == 2
    for other in others:
        assert np.array_equal(other.counter, first.counter)
        for name, values in first.columns.items():
            assert np.array_equal(other.columns[name], values)


def test_the_example_of_unequal_lengths_joins_on_one_clock(shared):
    files = {p.stem[-8:]: read_mt(p) for p in sorted((shared / "opensense/example/IMUData").glob("*.txt"))}
    joined = join({name: Counted(file.counter, file.columns) for name, file in files.items()})
    lengths = [len(file.counter) for file in files.values()]
    assert (min(lengths), max(lengths)) == (2432, 2505)
    assert joined.counter.size == 2505 and joined.valid.sum(axis=0).tolist() == lengths
    assert np.isnan(joined.arrays["acc"]).any(axis=2).tolist() == (~joined.valid).tolist()


# --- what the reader takes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", ["\t", ",", ";", " "])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_dialects(export, separator, end):
    file = read_mt(write(export, packets(5), separator=separator, end=end))
    assert file.rate_hz == 100.0 and file.device == "00B421E6"
    assert file.counter.tolist() == [100, 101, 102, 103, 104]
    assert file.columns["acc"].tolist() == [[i + 0.5, -1.25, 9.8] for i in range(5)]
    assert set(file.columns) == {"acc", "gyr"}


def test_a_trailing_separator_and_blank_lines_at_the_end_are_no_columns(export):
    rows = [(*row, "") for row in packets(3)]
    file = read_mt(write(export, [*rows, ()], columns=(*COLUMNS, "")))
    assert len(file.counter) == 3


def test_a_decimal_comma_is_read_where_the_separator_is_a_semicolon(export):
    rows = [[cell.replace(".", ",") for cell in row] for row in packets(3)]
    assert read_mt(write(export, rows, separator=";")).columns["acc"][1].tolist() == [1.5, -1.25, 9.8]


def test_columns_without_any_value_are_absent_and_single_gaps_stay_missing(export):
    rows = [list(row) for row in packets(4)]
    for row in rows:
        row[5:8] = ["NaN", "", "NaN"]
    rows[2][2] = ""
    file = read_mt(write(export, rows))
    assert "gyr" not in file.columns
    assert np.isnan(file.columns["acc"][2, 0]) and np.isfinite(file.columns["acc"][[0, 1, 3]]).all()


def test_the_rate_comes_from_the_header_else_from_the_ticks_else_from_nowhere(export):
    head = "// Firmware Version: 4.0.2\n"
    assert read_mt(write(export, packets(4), head=head)).rate_hz is None
    ticked = [(row[0], 2**32 - 500 + 250 * i if i < 2 else 250 * (i - 2), *row[2:]) for i, row in enumerate(packets(6))]
    assert read_mt(write(export, ticked, head=head)).rate_hz == 40.0
    assert read_mt(write(export, ticked)).rate_hz == 100.0


def matrix_rows(n):
    turn = Rotation.from_euler("xyz", [(10 * i, 20, -30) for i in range(n)], degrees=True).as_matrix()
    return turn, [[f"{v:.6f}" for v in r.T.ravel()] for r in turn]


MAT = GROUPS["Mat"]


def test_the_matrix_is_read_column_after_column(export):
    turn, cells = matrix_rows(6)
    file = read_mt(write(export, [(i, *c) for i, c in enumerate(cells)], columns=("PacketCounter", *MAT)))
    read = Rotation.from_quat(file.columns["quat"], scalar_first=True).as_matrix()
    np.testing.assert_allclose(read, turn, atol=2e-6)
    assert file.orientation == "Mat"


@settings(max_examples=60, deadline=None)
@given(turn=st.lists(st.floats(-180, 180), min_size=3, max_size=3), flip=st.sampled_from(["", "x", "y", "z"]))
def test_every_matrix_becomes_its_quaternion_half_turns_included(turn, flip):
    rotation = Rotation.from_euler("xyz", turn, degrees=True)
    if flip:
        rotation = Rotation.from_euler(flip, 180, degrees=True)
    written = np.round(rotation.as_matrix(), 6).T.reshape(1, 9)
    quat = quaternion_from_matrix(written)
    assert np.linalg.norm(quat) == pytest.approx(1)
    assert angle_between_deg(quat, rotation.as_quat(scalar_first=True)[None])[0] < 1e-3


def test_a_matrix_with_a_missing_element_is_a_missing_orientation():
    _, cells = matrix_rows(2)
    values = np.array(cells, dtype=float)
    values[1, 4] = np.nan
    quat = quaternion_from_matrix(values)
    assert np.isfinite(quat[0]).all() and np.isnan(quat[1]).all()


def test_euler_angles_are_degrees_about_the_fixed_x_y_z(export):
    angles = [(0, 90.0, 0.0, 0.0), (1, 0.0, 0.0, 90.0), (2, 90.0, 0.0, 90.0)]
    file = read_mt(write(export, angles, columns=("PacketCounter", "Roll", "Pitch", "Yaw")))
    turn = Rotation.from_quat(file.columns["quat"], scalar_first=True)
    np.testing.assert_allclose(turn.apply([0, 1, 0]), [[0, 0, 1], [-1, 0, 0], [0, 0, 1]], atol=1e-12)
    assert file.orientation == "Euler"


@pytest.mark.parametrize("short", [False, True])
def test_a_matrix_one_column_too_far_left_is_moved_back_and_said(export, short):
    """As some Madgwick files of the study: nine values from Mag_Z on, Mat[3][3] empty or not there."""
    turn, cells = matrix_rows(6)
    rows = [(i, "0.1", "0.2", *c) if short else (i, "0.1", "0.2", *c, "") for i, c in enumerate(cells)]
    file = read_mt(write(export, rows, columns=("PacketCounter", *GROUPS["mag"], *MAT)))
    np.testing.assert_allclose(Rotation.from_quat(file.columns["quat"], scalar_first=True).as_matrix(), turn, atol=2e-6)
    assert "mag" not in file.columns and "moved back" in file.mended[0]


# --- what the reader refuses -----------------------------------------------------------------------------------------


def refused(path):
    with pytest.raises(DataError) as caught:
        read_mt(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    assert "found none" in refused(tmp_path / "MT_x_00B421E6.txt")


def test_a_row_cut_short_or_too_long_is_told_by_line(export):
    rows = packets(6)
    rows[2], rows[4] = rows[2][:-1], (*rows[4], "1.0")
    message = refused(write(export, rows))
    assert f"Line {FIRST_ROW + 2} has 7 cells" in message and f"Line {FIRST_ROW + 4} has 9 cells" in message


def test_bytes_of_nothing_amid_the_rows_are_refused(export):
    write(export, packets(9000))
    content = bytearray(export.read_bytes())
    content[-100] = 0
    export.write_bytes(content)
    assert "binary" in refused(export)


def test_a_last_line_cut_between_cells_is_told(export):
    write(export, packets(6))
    export.write_bytes(export.read_bytes()[:-12])
    assert f"Line {FIRST_ROW + 5}" in refused(export) and "cut short" in refused(export)


def test_a_last_line_cut_within_a_number_is_told(export):
    rows = [(*row[:-1], "0.300000") for row in packets(6)]
    write(export, rows)
    export.write_bytes(export.read_bytes()[:-3])
    assert "cut short" in refused(export)


def test_a_whole_last_line_without_a_line_end_is_taken(export):
    assert len(read_mt(write(export, packets(6), last=False)).counter) == 6


def test_a_cell_that_is_no_number_is_told_by_line_and_column(export):
    rows = [list(row) for row in packets(6)]
    rows[3][4] = "9.8O"
    assert f"Line {FIRST_ROW + 3}, column Acc_Z: expected a number, found '9.8O'" in refused(write(export, rows))


@pytest.mark.parametrize("text", ['"', '"9.8', "9.8x", "True", "9 8", "#"])
def test_text_of_any_kind_in_a_cell_is_told(export, text):
    rows = [list(row) for row in packets(6)]
    rows[5][4] = text
    assert f"Line {FIRST_ROW + 5}, column Acc_Z: expected a number, found '{text}'" in refused(write(export, rows))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_wide_text_is_refused(export, encoding):
    export.write_bytes((HEAD + "\t".join(COLUMNS) + "\n").encode(encoding))
    assert "UTF-16" in refused(export)


def test_bytes_that_are_not_ascii_are_told_by_line(export):
    rows = [list(row) for row in packets(4)]
    rows[1][2] = "1.5°"
    assert f"Line {FIRST_ROW + 1} holds bytes" in refused(write(export, rows))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "header row"),
        (HEAD, "header row"),
        (HEAD + "\t".join(COLUMNS) + "\n", "without data"),
        (HEAD + "Acc_X\tAcc_Y\tAcc_Z\n1\t2\t3\n", "PacketCounter"),
        (HEAD + "PacketCounter\tAcc_X\tAcc_Z\n1\t2\t3\n", "Acc_Y missing"),
        (HEAD + "PacketCounter\tAcc_X\tAcc_X\n1\t2\t3\n", "twice"),
        (HEAD + "PacketCounter\tTemperature\n1\t2\n", "at least one signal"),
        (HEAD + "PacketCounter\tRoll\tPitch\tYaw\n1.5\t2\t3\t4\n", "whole PacketCounter"),
        (HEAD + "PacketCounter\tRoll\tPitch\tYaw\n\t2\t3\t4\n", "whole PacketCounter"),
        (HEAD.replace("100.0Hz", "fast") + "PacketCounter\tRoll\tPitch\tYaw\n1\t2\t3\t4\n", "update rate"),
    ],
)
def test_planted_faults_of_the_header(export, content, expected):
    export.write_text(content)
    assert expected in refused(export)


def test_a_mirrored_or_row_major_nonsense_matrix_is_refused(export):
    _, cells = matrix_rows(3)
    cells[1][0] = f"{-float(cells[1][0]):.6f}"
    rows = [(i, *c) for i, c in enumerate(cells)]
    assert f"Line {FIRST_ROW + 1}: Mat is no" in refused(write(export, rows, columns=("PacketCounter", *MAT)))


def test_an_empty_last_matrix_element_without_a_rotation_to_the_left_is_refused(export):
    rows = [(i, "0.1", "0.2", "0.3", *["0.5"] * 8, "") for i in range(3)]
    assert "no rotation" in refused(write(export, rows, columns=("PacketCounter", *GROUPS["mag"], *MAT)))


def test_two_orientations_that_contradict_each_other_are_refused(export):
    rows = [(i, 1, 0, 0, 0, 0.0, 0.0, 5.0 if i == 2 else 0.0) for i in range(4)]
    columns = ("PacketCounter", *GROUPS["Quat"], *GROUPS["Euler"])
    message = refused(write(export, rows, columns=columns))
    assert "Quat and Euler" in message and f"line {FIRST_ROW + 2}" in message


# --- the packet clock ------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    start=st.integers(0, 2**16 - 1),
    steps=st.lists(st.integers(0, 30), min_size=1, max_size=60),
)
def test_positions_are_the_true_packet_numbers_whatever_wraps(start, steps):
    true = np.concatenate(([0], np.cumsum(steps)))
    position, report = place_by_counter((start + true) % 2**16, moduli=(2**16,))
    kept = position != DROPPED
    assert np.array_equal(position[kept], true[kept])
    assert np.array_equal(~kept[1:], np.array(steps) == 0)
    assert report.lost == true[-1] + 1 - np.unique(true).size
    assert report.wraps == (start + true[-1]) // 2**16


def test_a_counter_of_32_bits_wraps_where_it_does():
    position, report = place_by_counter([2**32 - 2, 2**32 - 1, 0, 2])
    assert position.tolist() == [0, 1, 2, 4] and (report.wraps, report.lost) == (1, 1)


@pytest.mark.parametrize(
    ("counter", "expected"),
    [
        ([], "found none"),
        ([-1, 0], "from 0"),
        ([5, 2**32], "from 0"),
        ([10, 11, 12, 9, 10], "goes back from 12 to 9"),
        ([40000, 40001, 0, 1], "goes back"),
        ([0, 1, 2, 60000], "lost packets"),
    ],
)
def test_what_a_counter_cannot_mend_is_refused(counter, expected):
    with pytest.raises(DataError, match=expected):
        place_by_counter(np.array(counter, dtype=np.int64))


def ramp(counter):
    return Counted(np.array(counter) % 2**16, {"acc": np.repeat(np.array(counter, dtype=float)[:, None], 3, axis=1)})


def test_sensors_meet_on_equal_counters_across_a_wrap_with_gaps_and_doubled_packets():
    joined = join(
        {
            "a": ramp([65533, 65534, 65536, 65537]),
            "b": ramp([65535, 65536, 65536, 65537, 65538]),
            "c": ramp([65536, 65537]),
        }
    )
    assert joined.counter.tolist() == [65533, 65534, 65535, 65536, 65537, 65538]
    for index, name in enumerate("abc"):
        seen = joined.valid[:, index]
        assert np.array_equal(joined.arrays["acc"][seen, index, 0], joined.counter[seen]), name
        assert np.isnan(joined.arrays["acc"][~seen, index]).all()
    assert joined.valid.sum(axis=0).tolist() == [4, 4, 2]
    assert (joined.reports["a"].lost, joined.reports["b"].doubled) == (1, 1)
    assert joined.conflicting == {"a": 0, "b": 0, "c": 0}


def test_a_doubled_packet_with_other_content_is_counted_and_the_first_kept():
    sensor = Counted(np.array([1, 2, 2]), {"acc": np.array([[1.0], [2.0], [7.0]])})
    joined = join({"a": sensor})
    assert joined.conflicting == {"a": 1} and joined.arrays["acc"][:, 0, 0].tolist() == [1.0, 2.0]


def test_a_sensor_without_an_array_is_missing_there():
    joined = join({"a": Counted([1, 2], {"acc": np.ones((2, 3))}), "b": Counted([1, 2], {"gyr": np.ones((2, 3))})})
    assert np.isnan(joined.arrays["gyr"][:, 0]).all() and np.isfinite(joined.arrays["gyr"][:, 1]).all()


def test_sensors_that_never_meet_and_broken_counters_are_refused_by_name():
    with pytest.raises(DataError, match="do not overlap"):
        join({"a": ramp([1, 2]), "b": ramp([900, 901])})
    with pytest.raises(DataError, match="sensor b"):
        join({"a": ramp([1, 2]), "b": ramp([9, 3])})
    with pytest.raises(DataError, match="at least one sensor"):
        join({})


def test_two_rates_in_one_trial_are_refused_by_name():
    assert common_rate({"a": 100.0, "b": None}) == 100.0
    assert common_rate({"a": None}) is None
    with pytest.raises(DataError, match=r"a 100 Hz, b 40 Hz"):
        common_rate({"a": 100.0, "b": 40.0})
