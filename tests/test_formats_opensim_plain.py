"""Marker files of plain numbers are read on a faster way: it must read what Python reads, to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinbench_adapters._formats.opensim import read_trc

from kinbench.errors import DataError

HEAD = "PathFileType\t4\nDataRate\tUnits\n100\tmm\nFrame#\tTime\tA\n\tX1\tY1\tZ1\n\n"
DOUBLES = st.floats(allow_nan=False, allow_infinity=False, width=64)
SHORT = st.decimals(-9999, 9999, places=5).map(str)
CELLS = st.one_of(
    SHORT, SHORT, SHORT, st.just(""), st.just("nan"), DOUBLES.map(repr), DOUBLES.map("{:.8g}".format),
    st.sampled_from(["-0", "+5", "5.", "-.5", "inf", "1e400", "1E-320", "000000000000000001.5", " 1.5", "  "]),
)  # fmt: skip
ROWS = st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=40)


def read(folder, rows, *, end=""):
    path = folder / "walk.trc"
    path.write_text(HEAD + "".join(f"{i}\t{i / 100}\t" + "\t".join(row) + end + "\n" for i, row in enumerate(rows)))
    return read_trc(path)


@settings(max_examples=150, deadline=None)
@given(rows=ROWS, end=st.sampled_from(["", "\t"]))
def test_every_number_is_the_nearest_one(tmp_path_factory, rows, end):
    table = read(tmp_path_factory.getbasetemp(), rows, end=end)
    expected = np.array([[float(cell.strip() or "nan") for cell in row] for row in rows])
    known = ~np.isnan(expected)
    assert np.array_equal(known, ~np.isnan(table.values[:, 0]))
    assert table.values[:, 0][known].tobytes() == expected[known].tobytes()  # the sign of 0 too


@pytest.mark.parametrize("text", ["--1", "1e", "1 2", "NA", "True", '"1"', "0x10", ".", "1,5", "1\x02"])
def test_what_is_no_number_is_told_with_its_line(tmp_path, text):
    with pytest.raises(DataError, match="Line 8: expected a number, found"):
        read(tmp_path, [("1", "2", "3"), ("4", text, "6")])


@pytest.mark.parametrize("rows", [["1\t2", "3"], ["1", "2\t3"]])
def test_cells_that_only_add_up_are_refused(tmp_path, rows):
    lines = [f"{i}\t0.1\t1\t2\t{row}" for i, row in enumerate(rows)]
    path = tmp_path / "walk.trc"
    path.write_text(HEAD + "\n".join(lines) + "\n")
    with pytest.raises(DataError, match="has 6 numbers where the labels call for 5"):
        read_trc(path)


def test_a_number_behind_the_last_marker_is_refused_in_any_row(tmp_path):
    path = tmp_path / "walk.trc"
    path.write_text(HEAD + "0\t0\t1\t2\t3\t\n1\t0.01\t1\t2\t3\t4\n")
    with pytest.raises(DataError, match="Line 8 has 6 numbers"):
        read_trc(path)
