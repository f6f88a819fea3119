"""Speed of loading a trial of the OpenSense study beside reading its bytes and parsing them (pytest-benchmark).

Run ``pytest benchmarks/speed/test_opensense_speed.py --benchmark-enable -s``. A load reads eight exports, the markers
and the joint angles, hashes all of them, fits eight plates and pairs them with their sensors; pandas' C parser merely
turns the same bytes into numbers. Measured in turn, by processor time, so that a busy machine slows all three.
"""

import runpy
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from kinbench_adapters.opensense import OpenSenseAdapter

TESTS = Path(__file__).parents[2] / "tests"
LENGTH_S = 60.0
ROUNDS = 5
AIM = 0.1
"""Least ratio of pandas' time to a load's, plates, lag and heading included; most is reading the markers' text."""


@pytest.fixture(scope="module", params=["study", "majic"])
def trial(request, tmp_path_factory):
    sys.path.insert(0, str(TESTS))
    try:
        builder = runpy.run_path(str(TESTS / "raw_folders" / "opensense.py"))
    finally:
        sys.path.remove(str(TESTS))
    raw = tmp_path_factory.mktemp(request.param)
    builder["write_trial"](raw, layout=request.param, length_s=LENGTH_S)
    (source,) = OpenSenseAdapter().find(raw).sources
    return source


def read(files):
    return sum(len(path.read_bytes()) for path in files)


def parse(files):
    """Pandas' C parser on every table of numbers; a header's length is all it is told."""
    skip = {".txt": 5, ".trc": 6, ".mot": 10}
    cells = 0
    for path in files:
        if path.suffix in skip:
            header = None if path.suffix == ".trc" else 0
            cells += pd.read_csv(path, sep="\t", skiprows=skip[path.suffix], header=header, engine="c").size
    return cells


def test_load(benchmark, trial):
    recording = benchmark.pedantic(trial.load, rounds=ROUNDS if benchmark.enabled else 1)
    assert recording.imu.sizes["sensor"] == 8 and recording.reference is not None


def test_ratio(benchmark, trial):
    spent = {"read": [], "pandas": [], "load": []}
    for _ in range(ROUNDS if benchmark.enabled else 1):
        for name, act in (("read", lambda: read(trial.files)), ("pandas", lambda: parse(trial.files)),
                          ("load", trial.load)):  # fmt: skip
            start = time.process_time()
            assert act()
            spent[name].append(time.process_time() - start)
    best = {name: min(times) for name, times in spent.items()}
    megabytes = sum(path.stat().st_size for path in trial.files) / 1e6
    benchmark.extra_info.update(
        megabytes=round(megabytes, 1), ratio_to_pandas=round(best["pandas"] / best["load"], 3),
        ratio_to_read=round(best["load"] / max(best["read"], 1e-6), 1),
    )  # fmt: skip
    print(
        f"\nOpenSense trial ({megabytes:.0f} MB, {LENGTH_S:g} s): load {best['load']:.2f} s, "
        f"{best['pandas'] / best['load']:.2f} of the speed of pandas ({best['pandas']:.2f} s); raw read "
        f"{best['read'] * 1e3:.0f} ms"
    )
    benchmark.pedantic(trial.load, rounds=1)
    if benchmark.enabled:
        assert best["pandas"] / best["load"] >= AIM
