"""Speed of reading one of the clinic's sessions, beside reading its bytes, the standard library's JSON and pandas.

Run ``pytest benchmarks/speed --benchmark-enable -s``; without it, it checks that all read the same numbers. The session
is as the release has them: both modes, 28 markers, 15 s at 200 Hz, plain decimals; one mode of it is wanted.
"""

import json
import time

import numpy as np
import pandas as pd
import pytest
from kinbench_adapters._calgary.captures import read_session
from kinbench_adapters.calgary import CalgaryAdapter
from raw_folders import calgary as fake

from kinbench.conversion import prepare

SESSION = fake.Session("100001", "20140515T133244", 1)
LENGTH_S = 15.0
ROUNDS = 7
AIM = 7.0


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    raw = fake.write(tmp_path_factory.mktemp("clinic"), sessions=(SESSION,), length_s=LENGTH_S)
    (only,) = raw.rglob("*.json")
    return only


def parse(path):
    return read_session(path.read_bytes(), "running", path.name).moving


def parse_with_json(path):
    with path.open("rb") as file:
        told = json.load(file)
    return {name: np.array(rows) for name, rows in told["running"].items()}


def parse_with_pandas(path):
    table = pd.read_json(path, typ="series")
    return {name: np.array(rows) for name, rows in table["running"].items()}


def least(work, rounds):
    """The least processor time of some rounds: other work on the machine can only add."""
    found = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def test_parse(benchmark, path):
    moving = benchmark(parse, path)
    assert len(moving) == 28


def test_ratio(benchmark, path):
    """What of the time of others reading takes, and what of it the whole conversion; the same numbers from all."""
    ours, theirs, pandas = parse(path), parse_with_json(path), parse_with_pandas(path)
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])
        np.testing.assert_allclose(ours[name], pandas[name], rtol=1e-9)
    if not benchmark.enabled:
        benchmark.pedantic(parse, args=(path,), rounds=1)
        return
    (source,) = [s for s in CalgaryAdapter().find(path.parents[2]).sources if s.key.trial == "running"]
    taken = {
        "bytes": least(path.read_bytes, ROUNDS),
        "parse": least(lambda: parse(path), ROUNDS),
        "load": least(source.load, ROUNDS),
        "convert": least(lambda: prepare(source), 3),
        "json": least(lambda: parse_with_json(path), 3),
        "pandas": least(lambda: parse_with_pandas(path), 3),
    }
    benchmark.pedantic(parse, args=(path,), rounds=1)
    megabytes = path.stat().st_size / 1e6
    print(f"\n{megabytes:.1f} MB: " + ", ".join(f"{name} {spent * 1e3:.0f} ms" for name, spent in taken.items()))
    ratios = {
        "parse_over_json": taken["json"] / taken["parse"],
        "parse_over_pandas": taken["pandas"] / taken["parse"],
        "load_over_json": taken["json"] / taken["load"],
        "load_in_reads_of_the_bytes": taken["load"] / taken["bytes"],
    }
    print(", ".join(f"{name} {ratio:.1f}" for name, ratio in ratios.items()))
    benchmark.extra_info.update({name: round(ratio, 2) for name, ratio in ratios.items()})
    assert ratios["parse_over_json"] >= AIM
