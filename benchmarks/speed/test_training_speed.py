"""What our training loop adds to a bare torch loop, on the published networks of Hur et al. (2025), turn by turn.

``pytest benchmarks/speed/test_training_speed.py -s --benchmark-enable`` prints steps per second of both and their
ratio; the bar is 5 % more time. One thread; times are of the processor, the least of several turns of each, so that a
busy machine changes them little. Each network is at its published size, 72 channels in windows of 50 samples, in the
minibatches of the fast recipe and, the paper's way, on all windows at once. Both sides draw, scale and mask the same
windows; ours also follows the schedule, records losses, tells progress and could keep checkpoints.
"""

import time

import numpy as np
import pytest
import torch
from kinbench_benchmarks.models._state import Scaling
from kinbench_benchmarks.models._windows import ScaledWindows, Targets, squared_error
from kinbench_benchmarks.models.hur2025 import CnnNetwork, LstmNetwork
from kinbench_benchmarks.training import Everything, Shuffled, Stage, quiet_torch, train

from kinbench.contracts import Training
from kinbench.windows import Batches, TaskSpec

WINDOW, CHANNELS, BATCH, FULL = 50, 72, 32, 256
TURNS = 7
BAR = 1.05
NOISE = 1.05
"""What a busy machine may add before the bar counts as missed."""
NETWORKS = {
    "hur2025-lstm": (lambda: LstmNetwork(CHANNELS, 10), 10, 4),
    "hur2025-cnn": (lambda: CnnNetwork(CHANNELS, 10, None), 10, 120),
    "hur2025-cnn-code": (lambda: CnnNetwork(CHANNELS, 3, WINDOW), 3, 120),
}


def windows(dofs):
    rng = np.random.default_rng(0)
    starts = np.arange(FULL) * (WINDOW // 2)
    rows = int(starts[-1]) + WINDOW
    spec = TaskSpec("speed", 1, ("c",) * CHANNELS, ("d",) * dofs, ("s",), 100.0, WINDOW)
    batches = Batches(
        rng.standard_normal((rows, CHANNELS), dtype=np.float32), rng.standard_normal((rows, dofs), dtype=np.float32),
        np.ones((rows, dofs), dtype=bool), starts, np.zeros_like(starts), np.ones((FULL, 1), dtype=bool), spec,
    )  # fmt: skip
    return ScaledWindows(batches, Scaling.fit(batches), Targets.degrees(dofs))


def sampler_of(data, full):
    return Everything(data) if full else Shuffled(data, BATCH, 0)


def bare(network, sampler, steps):
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    network.train()
    for _ in range(steps):
        drawn = tuple(torch.from_numpy(array) for array in sampler.draw())
        optimiser.zero_grad()
        squared_error(network, drawn).backward()
        optimiser.step()


def ours(network, sampler, steps, folder):
    train(
        network, [(Stage(steps, 1e-3), sampler)], squared_error, seed=0,
        training=Training(checkpoints=folder, on_progress=lambda *told: None), name="speed",
    )  # fmt: skip


def timed(function, *arguments):
    began = time.process_time()
    function(*arguments)
    return time.process_time() - began


@pytest.mark.parametrize("full", [False, True], ids=["minibatches", "full-batch"])
@pytest.mark.parametrize("name", NETWORKS)
def test_our_loop_costs_little_more_than_a_bare_one(name, full, benchmark, tmp_path):
    build, dofs, steps = NETWORKS[name]
    steps = max(2, steps // 6) if full else steps
    data, network = windows(dofs), build()
    with quiet_torch():
        bare(network, sampler_of(data, full), 2)
        if not benchmark.enabled:  # the default run times nothing: both sides run, once
            benchmark(ours, network, sampler_of(data, full), 2, None)
            return
        pairs = [
            (
                timed(bare, network, sampler_of(data, full), steps),
                timed(ours, network, sampler_of(data, full), steps, None),
            )
            for _ in range(TURNS)
        ]
    theirs, mine = (min(side) for side in zip(*pairs, strict=True))
    ratio = mine / theirs
    print(f"\n{name}, {'full batch' if full else 'minibatches'}: bare {steps / theirs:.1f} steps/s, "
          f"ours {steps / mine:.1f} steps/s, {ratio:.3f} of the time")  # fmt: skip
    benchmark.extra_info["ratio"] = ratio
    benchmark.pedantic(ours, (network, sampler_of(data, full), steps, None), rounds=1)
    assert ratio < BAR * NOISE
