"""Shuffled windows out of a task's cache against memcpy of as many bytes, turn by turn in one run.

``pytest benchmarks/speed/test_windows_speed.py`` prints the ratio; the bar is 0.4. One thread; both sides touch memory
that is mapped already, and read from as many different places of the corpus, so that neither lives in the processor's
cache. A batch is 256 windows of inputs and targets, the size that models are fitted on.
"""

import statistics
import time

import numpy as np
import pytest

from kinbench import store
from kinbench.windows import Batches, TaskSpec

CORPUS_VALUES, WINDOW, BATCH = 24_000_000, 128, 256
REPEATS = 200
BAR = 0.4
NOISE = 0.8
"""What a busy machine may take off before the bar counts as missed."""


@pytest.fixture(scope="module", params=[(12, 1), (42, 6)], ids=["two-sensors", "seven-sensors"])
def batches(request, tmp_path_factory):
    """Half-overlapping windows of a corpus of 100 MB, opened from disk as a run opens them."""
    channels, dofs = request.param
    rows = CORPUS_VALUES // channels
    folder = tmp_path_factory.mktemp("cache") / "task"
    generator = np.random.default_rng(0)
    arrays = {
        "signals": generator.standard_normal((rows, channels), dtype=np.float32),
        "targets": generator.standard_normal((rows, dofs), dtype=np.float32),
        "labelled": np.ones((rows, dofs), dtype=bool),
    }
    store.write_flat(folder, arrays, {})
    opened, _ = store.open_flat(folder)
    for values in opened.values():
        values.max()  # maps every page, as the first epoch of a fit does
    starts = np.arange(0, rows - WINDOW, WINDOW // 2)
    spec = TaskSpec("speed", 1, ("c",) * channels, ("d",) * dofs, ("s",), 100.0, WINDOW)
    return Batches(
        **{name: np.asarray(values) for name, values in opened.items()}, starts=starts,
        person=np.zeros_like(starts), present=np.ones((starts.size, 1), dtype=bool), spec=spec,
    )  # fmt: skip


def copy_blocks(batches, buffers, places):
    """The limit: as many bytes, in contiguous blocks, into buffers that are reused."""
    for name, buffer in buffers.items():
        flat = getattr(batches, name)
        np.copyto(buffer, flat[places[name] : places[name] + BATCH * WINDOW])


def test_shuffled_windows_reach_a_good_part_of_memcpy(batches, benchmark):
    generator = np.random.default_rng(1)
    buffers = {
        name: np.empty((BATCH * WINDOW, getattr(batches, name).shape[1]), getattr(batches, name).dtype)
        for name in ("signals", "targets", "labelled")
    }
    ratios = []
    for repeat in range(REPEATS):
        index = generator.integers(0, len(batches), BATCH)
        places = dict.fromkeys(buffers, int(generator.integers(0, len(batches.signals) - BATCH * WINDOW)))
        cases = {"gather": lambda i=index: batches.take(i), "memcpy": lambda p=places: copy_blocks(batches, buffers, p)}
        seconds = {}
        for name in ("gather", "memcpy") if repeat % 2 else ("memcpy", "gather"):
            begin = time.perf_counter()
            kept = cases[name]()
            seconds[name] = time.perf_counter() - begin
            del kept
        ratios.append(seconds["memcpy"] / seconds["gather"])
    ratio = statistics.median(ratios)
    benchmark.extra_info["ratio_to_memcpy"] = round(ratio, 3)
    benchmark(batches.take, generator.integers(0, len(batches), BATCH))
    print(f"\nshuffled windows reach {ratio:.2f} of memcpy, bar {BAR}")
    if benchmark.enabled:  # the suite runs this as a check of correctness only, on whatever machine it is
        assert ratio >= BAR * NOISE
