"""The readers a manifest can name for text and bare arrays: what they return, and what they refuse, with the place."""

import io
from pathlib import Path

import child_cases
import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from kinbench_adapters._formats import arrays
from kinbench_adapters._formats.arrays import read_mat, read_npy
from kinbench_adapters._formats.delimited import Dialect, read_delimited
from kinbench_adapters._formats.line_pattern import compile_pattern, read_lines

from kinbench.errors import DataError


def written(folder, text, name="file.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


# --- delimited -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("a,b\n1,2.5\n3,-4e-1\n", Dialect()),
        ("a,b\r\n1,2.5\r\n3,-4e-1", Dialect()),
        ("\ufeffa,b\n1,2.5\n3,-4e-1\n\n", Dialect()),
        ("a;b\n1;2,5\n3;-0,4\n", Dialect(delimiter=";", decimal=",")),
        ("a\tb\n 1\t 2.5\n3 \t-0.4  \n", Dialect(delimiter="\t")),
        ("  a   b\n  1   2.5\n  3  -0.4\n", Dialect(delimiter=" ")),
        ("made by me\n\na,b\ns,m\n1,2.5\n3,-0.4\n", Dialect(skip_rows=2, rows_after_header=1)),
        ("x\n// y\na,b\n1,2.5\n3,-0.4\n", Dialect(skip_until="a,b")),
        ("// y\na,b\n1,2.5\n3,-0.4\n", Dialect(comment="//")),
        ('"a","b"\n"1","2.5"\n3,-0.4\n', Dialect()),
    ],
    ids=["lf", "crlf", "bom", "decimal-comma", "tab", "space", "skip-rows", "skip-until", "comment", "quoted"],
)
def test_a_declared_dialect_is_read(tmp_path, text, dialect):
    found = read_delimited(written(tmp_path, text), ["b", "a"], dialect)
    assert list(found) == ["b", "a"]
    np.testing.assert_array_equal(found["a"], [1.0, 3.0])
    np.testing.assert_array_equal(found["b"], [2.5, -0.4])


def test_columns_by_index_and_words_for_missing(tmp_path):
    path = written(tmp_path, "1,,x\nNaN,--,y\n", "bare.csv")
    found = read_delimited(path, ["0", "1"], Dialect(header=False, nan=("--",)))
    np.testing.assert_array_equal(found["0"], [1.0, np.nan])
    np.testing.assert_array_equal(found["1"], [np.nan, np.nan])


@given(
    st.lists(
        st.lists(st.floats(-1e30, 1e30) | st.just(np.nan), min_size=3, max_size=3),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=30, deadline=None)
def test_what_is_written_comes_back(tmp_path_factory, rows):
    text = "a,b,c\n" + "".join(",".join("" if np.isnan(v) else repr(v) for v in row) + "\n" for row in rows)
    found = read_delimited(written(tmp_path_factory.mktemp("csv"), text), ["a", "b", "c"])
    np.testing.assert_allclose(np.column_stack(list(found.values())), np.array(rows), rtol=1e-15)


@pytest.mark.parametrize(
    ("text", "dialect", "told"),
    [
        ("a,b\n1,2\n3\n4,5\n", Dialect(), "line 3: 1 cells, expected 2"),
        ("a,b\n1,2\n3,4,5\n", Dialect(), "line 3: 3 cells, expected 2"),
        ("a,b\n1,2\n3", Dialect(), "was the file cut short"),
        ("a,b\n1,2\n\n3,4\n", Dialect(), "line 3: is blank"),
        ("a,b\n", Dialect(), r"a header \(line 1\) but no data"),
        ("", Dialect(), "is empty"),
        ("a,b\n1,two\n", Dialect(), "line 2, column 'b': expected a number, got 'two'"),
        ("a;b\n1;2,5\n", Dialect(delimiter=";"), "decimal"),
        ("a,b\n1,inf\n", Dialect(), "infinity"),
        ("a,b\n1,2e45\n", Dialect(), "line 2, column 'b': 2e.45 is no measurement"),
        ("a,c\n1,2\n", Dialect(), "no column 'b'"),
        ("b,b,a\n1,2,3\n", Dialect(), "2 columns are called 'b'"),
        ("x\n1,2\n", Dialect(skip_until="Time"), "no line contains 'Time'"),
        ('a,b\n1,"2\n', Dialect(), "line 2"),
    ],
)
def test_what_is_not_as_declared_is_refused_with_its_place(tmp_path, text, dialect, told):
    with pytest.raises(DataError, match=told) as caught:
        read_delimited(written(tmp_path, text), ["a", "b"], dialect)
    assert "file.csv" in str(caught.value)


def test_all_bad_cells_are_told_at_once(tmp_path):
    with pytest.raises(DataError) as caught:
        read_delimited(written(tmp_path, "a,b\nx,1\n2,y\n"), ["a", "b"])
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ("a,b\n1,2\n°,3\n".encode("latin-1"), "line 3: byte 0xb0 is not utf-8"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        (b"a,b\n1,\x00\n", "line 2: holds a zero byte"),
    ],
)
def test_another_encoding_is_named(tmp_path, raw, told):
    path = tmp_path / "file.csv"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=told):
        read_delimited(path, ["a"])


def test_a_declared_encoding_is_used(tmp_path):
    path = written(tmp_path, "°,b\n1,2\n", encoding="latin-1")
    assert read_delimited(path, ["°"], Dialect(encoding="latin-1"))["°"].tolist() == [1.0]


def test_an_absent_file_is_told(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_delimited(tmp_path / "none.csv", ["a"])


# --- line pattern ----------------------------------------------------------------------------------------------------

PATTERN = "Enc: {_} | Angle: {angle}° || Acc: {x}, {y} || Time: {time} ms"
LOG = (
    "=== New Session ===\r\n"
    "Enc: -5 | Angle: -1.3° || Acc: 0.5, 1e2 || Time: 12042 ms\r\n"
    "Enc: 6 | Angle: 2° || Acc: -.5, nan || Time: 12052 ms\r\n"
)


def test_named_fields_of_a_line_are_read(tmp_path):
    found = read_lines(written(tmp_path, LOG, "LOG.TXT"), PATTERN, skip_lines=["=== *"])
    assert list(found) == ["angle", "x", "y", "time"]
    np.testing.assert_array_equal(found["angle"], [-1.3, 2.0])
    np.testing.assert_array_equal(found["y"], [100.0, np.nan])
    np.testing.assert_array_equal(found["time"], [12042.0, 12052.0])


def test_a_line_that_fits_nothing_is_refused_with_its_number(tmp_path):
    with pytest.raises(DataError, match=r"line 1 fits neither.*New Session"):
        read_lines(written(tmp_path, LOG), PATTERN)
    with pytest.raises(DataError, match=r"line 4 .*the last line: was the file cut short"):
        read_lines(written(tmp_path, LOG + "Enc: 7 | Angle: 2° || Ac"), PATTERN, skip_lines=["=== *"])


def test_a_log_without_a_sample_is_refused(tmp_path):
    with pytest.raises(DataError, match="no line fits"):
        read_lines(written(tmp_path, "=== New Session ===\n"), PATTERN, skip_lines=["=== *"])


@pytest.mark.parametrize("pattern", ["no field", "{a}{b}", "{a} {a}", "{1x}", "{_} only"])
def test_a_pattern_that_cannot_work_is_refused(pattern):
    with pytest.raises(ValueError, match=r"\w"):
        compile_pattern(pattern)


# --- arrays ----------------------------------------------------------------------------------------------------------


def npy(array, **kwargs):
    stream = io.BytesIO()
    np.save(stream, array, **kwargs)
    return stream.getvalue()


@pytest.mark.parametrize("dtype", ["float64", "float32", "int16", ">f8"])
def test_npy_numbers_are_read(tmp_path, dtype):
    path = tmp_path / "a.npy"
    path.write_bytes(npy(np.arange(6, dtype=dtype).reshape(3, 2)))
    np.testing.assert_array_equal(read_npy(path), [[0, 1], [2, 3], [4, 5]])


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (npy(np.array([{}], dtype=object), allow_pickle=True), "plain numbers"),
        (npy(np.arange(6.0))[:-3], "cut short"),
        (npy(np.arange(6.0)) + b"x", "holds 49 bytes"),
        (npy(np.zeros((0, 3))), "not empty"),
        (npy(np.zeros((2, 2, 2))), "shape"),
        (npy(np.array(["a"])), "plain numbers"),
        (b"no array at all", "no .npy file"),
        (b"", "no .npy file"),
    ],
)
def test_npy_that_is_no_plain_array_is_refused(tmp_path, raw, told):
    path = tmp_path / "a.npy"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=told):
        read_npy(path)


def test_mat_variables_and_struct_fields_are_read(tmp_path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(
        path, {"knee": np.arange(4.0)[None], "marker": np.ones((4, 3)), "trial": {"hip": np.arange(4)}, "name": "S1"}
    )
    found = read_mat(path)
    assert {name: values.shape for name, values in found.items()} == {"knee": (4,), "marker": (4, 3), "trial.hip": (4,)}
    np.testing.assert_array_equal(found["trial.hip"], [0, 1, 2, 3])


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"MATLAB 7.3 MAT-file, Platform" + b" " * 200, "v7.3"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 200, "v7.3"),
        (b"nothing of the kind", "no readable MATLAB file"),
        (b"", "no readable MATLAB file"),
    ],
)
def test_mat_that_cannot_be_read_is_refused(tmp_path, raw, told):
    path = tmp_path / "a.mat"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=told):
        read_mat(path)


def test_a_cut_mat_is_refused(tmp_path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"knee": np.arange(400.0)})
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(DataError, match="no readable MATLAB file"):
        read_mat(path)


def test_a_reader_that_dies_takes_nobody_with_it(tmp_path, monkeypatch):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"knee": np.arange(4.0)})
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setattr(arrays, "_load", child_cases.crashes)
    with pytest.raises(DataError, match=r"no readable MATLAB file .*: its process ended with status -6"):
        read_mat(path)
