"""Ridge over all sets of seven sensors and all persons: sums of persons against refitting every set on every fold.

Run with ``pytest benchmarks/speed/test_sweep_speed.py -s --benchmark-enable``.

Six persons, each left out once and another one to validate on, as ``ug`` does: 126 sets times 6 folds. The sweep reads
each person's windows once and solves every set from the sums; refitting reads them anew for every set and fold. So the
gain grows with the data, from what solving costs, towards 126 / 4 times the folds that a person serves. Only some
refits are carried out, and their mean stands for all. Times are of the processor, so that a busy machine changes them
little. What every cell has besides its fit (predicting, scoring, two files) is in neither.
"""

import time
from functools import reduce
from itertools import combinations
from operator import add

import numpy as np
import pytest
from kinbench_benchmarks.models.ridge import Ridge
from threadpoolctl import threadpool_limits

from kinbench.windows import Batches, TaskSpec, concatenate

SEGMENTS = ("pelvis", "thigh_r", "shank_r", "foot_r", "thigh_l", "shank_l", "foot_l")
SETS = [sensors for count in range(1, 7) for sensors in combinations(SEGMENTS, count)]
SAMPLED = SETS[::25]
"""Sets that are refitted: every 25th, of all sizes; their mean stands for all."""
PERSONS = 6
SPEC = TaskSpec(
    "sagittal", 1, tuple(f"{s}/{c}/{a}" for s in SEGMENTS for c in ("acc", "gyr") for a in "xyz"),
    tuple(f"dof{i}" for i in range(6)), SEGMENTS, 100.0, 128,
)  # fmt: skip


def windows(count, person):
    """Half overlapping windows of one person of a noisy linear world."""
    random = np.random.default_rng(person)
    rows = 64 * (count + 1)
    signals = random.normal(size=(rows, 42)).astype(np.float32)
    mixed = signals @ np.random.default_rng(0).normal(size=(42, 6)).astype(np.float32)
    return Batches(
        signals, mixed + random.normal(size=(rows, 6)).astype(np.float32), np.ones((rows, 6), dtype=bool),
        64 * np.arange(count), np.full(count, person, dtype=np.int64), np.ones((count, 7), dtype=bool), SPEC,
    )  # fmt: skip


def folds():
    """The persons to fit on and the one to validate on, for each person left out."""
    for left in range(PERSONS):
        judge = (left + 1) % PERSONS
        yield [person for person in range(PERSONS) if person not in (left, judge)], judge


def processor_s(function):
    begin = time.process_time()
    answer = function()
    return answer, time.process_time() - begin


def swept(people):
    ridge = Ridge()
    sums = [ridge.summarise(person) for person in people]
    return [
        list(ridge.fit_from(reduce(add, (sums[n] for n in fitted)), sums[judge], SETS, seed=0))
        for fitted, judge in folds()
    ]


def refitted(people, sensors):
    """A model of the first fold; the others are as large."""
    fitted, judge = next(folds())
    model = Ridge()
    train = concatenate([people[n] for n in fitted])
    model.fit(train.narrowed(sensors), people[judge].narrowed(sensors), seed=0)
    return model


def squared_error(model, batches, sensors):
    """Mean squared error in float64, by the weights: predictions are float32 and would hide all below 1e-7."""
    given = batches.narrowed(sensors)
    ridge = Ridge()
    (judge,) = ridge.summarise(given).normal(model._fitted.mean, model._fitted.sd)
    return judge.mean_square(model._fitted.map.weights, model._fitted.map.intercept)


@pytest.mark.parametrize("count", [30, 170, 1000], ids=lambda count: f"{count} windows a person")
def test_a_sweep_against_refitting(benchmark, count):
    if benchmark.disabled and count > 30:
        pytest.skip("up to two minutes long: run with --benchmark-enable")
    people = [windows(count, person) for person in range(PERSONS)]
    with threadpool_limits(limits=1):
        sweep, sweep_s = processor_s(lambda: benchmark.pedantic(lambda: swept(people), rounds=1, iterations=1))
        alone = [processor_s(lambda sensors=sensors: refitted(people, sensors)) for sensors in SAMPLED]
    refit_s = sum(seconds for _, seconds in alone) / len(SAMPLED) * len(SETS) * PERSONS
    errors = [
        (squared_error(sweep[0][SETS.index(sensors)], people[0], sensors), squared_error(model, people[0], sensors))
        for sensors, (model, _) in zip(SAMPLED, alone, strict=True)
    ]
    apart = max(float(np.abs(np.sqrt(one / other) - 1).max()) for one, other in errors)
    benchmark.extra_info.update(
        sweep_s=sweep_s, refit_s=refit_s, times_faster=refit_s / sweep_s, errors_apart=apart
    )  # fmt: skip
    print(f"\n{count} windows a person: {benchmark.extra_info}")
    assert apart < 1e-9
    if benchmark.enabled:
        assert sweep_s < refit_s / 4
