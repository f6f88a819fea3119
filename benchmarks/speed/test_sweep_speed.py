"""Ridge over all sets of seven sensors: one sweep from shared normal equations against refitting every set.

Run with ``pytest benchmarks/speed/test_sweep_speed.py -s --benchmark-enable``.

A sweep reads the windows once, with all sensors, which
costs as much as some four average refits of one set; the other sets are then solved from blocks. So the gain grows with
the data towards 126 / 4 and no further, for a single fold. Times are of the processor, so that a busy machine changes
them little. What every cell has besides its fit (predicting, scoring, two files) is in neither.
"""

import time
from itertools import combinations

import numpy as np
import pytest
from kinbench_benchmarks.models.ridge import Ridge
from threadpoolctl import threadpool_limits

from kinbench.windows import Batches, TaskSpec

SEGMENTS = ("pelvis", "thigh_r", "shank_r", "foot_r", "thigh_l", "shank_l", "foot_l")
SETS = [sensors for count in range(1, 7) for sensors in combinations(SEGMENTS, count)]
SAMPLED = SETS[::25]
"""Sets that are refitted: every 25th, of all sizes; their mean stands for all."""
SPEC = TaskSpec(
    "sagittal", 1, tuple(f"{s}/{c}/{a}" for s in SEGMENTS for c in ("acc", "gyr") for a in "xyz"),
    tuple(f"dof{i}" for i in range(6)), SEGMENTS, 100.0, 128,
)  # fmt: skip


def windows(count, seed):
    """Half overlapping windows of a noisy linear world."""
    random = np.random.default_rng(seed)
    rows = 64 * (count + 1)
    signals = random.normal(size=(rows, 42)).astype(np.float32)
    mixed = signals @ np.random.default_rng(0).normal(size=(42, 6)).astype(np.float32)
    return Batches(
        signals, mixed + random.normal(size=(rows, 6)).astype(np.float32), np.ones((rows, 6), dtype=bool),
        64 * np.arange(count), np.zeros(count, dtype=np.int64), np.ones((count, 7), dtype=bool), SPEC,
    )  # fmt: skip


def narrowed(batches, sensors):
    spec = batches.spec.narrowed(sensors)
    columns = [batches.spec.channel_names.index(name) for name in spec.channel_names]
    return Batches(
        batches.signals[:, columns], batches.targets, batches.labelled, batches.starts, batches.person,
        batches.present[:, [SEGMENTS.index(name) for name in spec.segments]], spec,
    )  # fmt: skip


def processor_s(function):
    begin = time.process_time()
    answer = function()
    return answer, time.process_time() - begin


@pytest.mark.parametrize("count", [500, 2000])
def test_a_sweep_against_refitting(benchmark, count):
    if benchmark.disabled and count > 500:
        pytest.skip("two minutes long: run with --benchmark-enable")
    train, valid = windows(count, 1), windows(count // 4, 2)
    x = windows(64, 3)

    def refitted(sensors):
        model = Ridge()
        model.fit(narrowed(train, sensors), narrowed(valid, sensors), seed=0)
        return model

    with threadpool_limits(limits=1):
        swept, sweep_s = processor_s(
            lambda: benchmark.pedantic(
                lambda: list(Ridge().fit_subsets(train, valid, SETS, seed=0)), rounds=1, iterations=1
            )
        )  # fmt: skip
        alone = [processor_s(lambda sensors=sensors: refitted(sensors)) for sensors in SAMPLED]
        apart = max(
            np.abs(
                model.predict(narrowed(x, sensors).x).astype(np.float64)
                - swept[SETS.index(sensors)].predict(narrowed(x, sensors).x)
            ).max()
            for sensors, (model, _) in zip(SAMPLED, alone, strict=True)
        )
    refit_s = sum(seconds for _, seconds in alone) / len(SAMPLED) * len(SETS)
    benchmark.extra_info.update(
        sweep_s=sweep_s, refit_s=refit_s, times_faster=refit_s / sweep_s, apart_deg=float(apart)
    )  # fmt: skip
    print(f"\n{count} windows: {benchmark.extra_info}")
    assert apart < 1e-5  # predictions are float32: one step of theirs
    assert sweep_s < refit_s / 4
