"""The runner's own time per cell: all of a cell but fit, adapt, predict and the leak check, flushes to disk included.

Run with ``pytest benchmarks/speed/test_runner_speed.py -s``. Aim: 2 ms, and below 5 % of fit + predict of a real model.
A flush to disk (two files and their folder per cell) is timed apart, since it belongs to the disk.
"""

import os
import runpy
import statistics
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from kinbench.runner import plan, run

SEEDS = tuple(range(20))
CASES = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "tests" / "runner_cases.py")))


@pytest.fixture
def planned(tmp_path, monkeypatch):
    info = tmp_path / "site" / "toy-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("".join(f"[{group}]\n{lines}\n" for group, lines in CASES.ENTRY_POINTS))
    (tmp_path / "site" / "toy_models.py").write_text(CASES.MODELS)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    lab = CASES.laboratory(tmp_path, "lab", seconds=120.0)

    def make(folder):
        return plan(
            [lab], {"toy-ug": CASES.UG}, {CASES.TASK.name: CASES.TASK}, ["toy-mean"], seeds=SEEDS,
            results=tmp_path / folder, cache=tmp_path / "cache",
        )  # fmt: skip

    return make


def test_overhead_per_cell(benchmark, planned, monkeypatch):
    flushes = []
    fsync = os.fsync

    def timed(handle):
        begin = time.perf_counter()
        fsync(handle)
        flushes.append(time.perf_counter() - begin)

    monkeypatch.setattr(os, "fsync", timed)
    rounds = iter(range(1000))
    finished = []

    def once(found):
        begin, before = time.perf_counter(), sum(flushes)
        finished.append((run(found), time.perf_counter() - begin, sum(flushes) - before))

    benchmark.pedantic(once, setup=lambda: ((planned(f"r{next(rounds)}"),), {}), rounds=5)
    per_cell, flushed = [], []
    for done, total, flush in finished:
        model = sum(
            (r.timings.fit_s or 0) + (r.timings.predict_s or 0) + (r.timings.leak_check_s or 0) for r in done.made
        )
        per_cell.append((total - model) / len(done.made))
        flushed.append(flush / len(done.made))
    samples = finished[0][0].made[0].scores[0].samples
    own = statistics.median(a - b for a, b in zip(per_cell, flushed, strict=True))
    benchmark.extra_info.update(
        overhead_ms=1e3 * statistics.median(per_cell),
        flush_ms=1e3 * statistics.median(flushed),
        without_flush_ms=1e3 * own,
    )
    print(f"\n{samples} headline samples: {benchmark.extra_info}")
    assert all(r.done for done, _, _ in finished for r in done.made)
