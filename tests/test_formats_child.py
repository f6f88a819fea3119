"""Readers in a child process: what goes in comes out, and one that crashes, hangs or eats memory takes nobody along."""

import os
import sys
import time
from pathlib import Path

import child_cases
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from kinbench_adapters._formats.child import ChildError, Told, run


@pytest.fixture(autouse=True)
def _cases_can_be_imported(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
ARRAYS = st.dictionaries(
    st.text(max_size=6),
    hnp.arrays(st.sampled_from(["<f8", "<f4", "<i4"]), hnp.array_shapes(max_dims=3, max_side=4, min_side=0),
               elements=st.integers(-1000, 1000)),
    max_size=3,
)  # fmt: skip


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=PLAIN, arrays=ARRAYS)
def test_what_goes_in_comes_back(values, arrays):
    told = run(child_cases.doubled, Told(values, arrays))
    assert told.values == {"said": values}
    assert list(told.arrays) == list(arrays)
    for name, array in arrays.items():
        assert told.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(told.arrays[name], 2 * array)


def test_it_is_another_process_in_an_empty_folder():
    told = run(child_cases.whereabouts).values
    assert told["files"] == [] and told["pid"] != os.getpid()


def test_a_module_beside_the_recordings_is_not_imported(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    assert run(child_cases.doubled, Told(1)).values == {"said": 1}


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (child_cases.refuses, r"^ValueError: byte 17 is none$"),
        (child_cases.crashes, r"^its process ended with status -6$"),
        (child_cases.mutters, r"^terminate called: no such block$"),
        (child_cases.lives_too_long, r"^its process ended with status -6$"),
    ],
)
def test_why_nothing_came_back_is_one_line(function, why):
    with pytest.raises(ChildError, match=why):
        run(function)


def test_a_child_that_hangs_is_ended():
    start = time.monotonic()
    with pytest.raises(ChildError, match=r"^its process did not end within 0\.5 s$"):
        run(child_cases.hangs, timeout_s=0.5)
    assert time.monotonic() - start < 10


@pytest.mark.skipif(sys.platform == "win32", reason="Windows bounds no process")
def test_a_child_that_eats_memory_is_refused_it():
    """It asks for 8 GiB, of which this machine never sees any."""
    with pytest.raises(ChildError, match=r"^its process needs more than 2 GiB of memory$"):
        run(child_cases.eats, memory_bytes=2 * 2**30)
