"""Virtual sensors in numpy against the same computation with scipy's ``Rotation``, turn by turn in one run.

``pytest benchmarks/speed/test_virtual_imu_speed.py`` prints the ratio; the bar is 6. Eight sensors on moving segments,
a minute at 200 Hz: placement on the segment, seven-sample differences, rotation into sensor axes, turns over one, two
and three intervals. Both sides in float64 and on one thread, and equal to 1e-9.
"""

import statistics
import time

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from kinbench.schema import GRAVITY
from kinbench.virtual_imu import angular_rate, on_segment, specific_force

RATE_HZ, LENGTH_S, SENSORS = 200.0, 60.0, 8
REPEATS = 15
BAR = 6.0
NOISE = 0.8
"""What a busy machine may take off before the bar counts as missed."""


@pytest.fixture(scope="module")
def segments():
    """Positions, quaternions, offsets and mountings of segments that swing as legs do."""
    random = np.random.default_rng(0)
    t = np.arange(int(LENGTH_S * RATE_HZ))[:, None] / RATE_HZ
    made = []
    for _ in range(SENSORS):
        swing = np.sin(2 * np.pi * t + random.uniform(0, 6, 3)) * random.normal(0, 0.4, 3)
        turn = Rotation.from_rotvec(swing + np.array([0, 0, 0.3]))
        position = 1.2 * t * [1.0, 0, 0] + 0.05 * np.sin(4 * np.pi * t + random.uniform(0, 6, 3))
        mount = Rotation.random(random_state=1).as_matrix()
        made.append((position, turn.as_quat(scalar_first=True), random.normal(0, 0.1, 3), mount))
    return made


def in_numpy(segments):
    felt = []
    for position, orientation, offset, mount in segments:
        place, carried = on_segment(position, orientation, offset, mount)
        felt.append((specific_force(place, carried, RATE_HZ), angular_rate(carried, RATE_HZ)))
    return felt


def in_scipy(segments):
    felt = []
    for position, orientation, offset, mount in segments:
        segment = Rotation.from_quat(orientation, scalar_first=True)
        carried, place = segment * Rotation.from_matrix(mount), position + segment.apply(offset)
        second = differences(place, (270 / 180, -27 / 180, 2 / 180)) * RATE_HZ**2
        turns = {k: (carried[:-k].inv() * carried[k:]).as_rotvec() for k in (1, 2, 3)}
        inner = sum(
            weight * (turns[k][3:][: len(place) - 6] + turns[k][3 - k : len(place) - 3 - k])
            for k, weight in enumerate((45 / 60, -9 / 60, 1 / 60), 1)
        )
        felt.append((carried[3:-3].inv().apply(second + np.array([0, GRAVITY, 0])), inner * RATE_HZ))
    return felt


def differences(values, weights):
    n = len(values)
    return sum(
        weight * (values[3 - k : n - 3 - k] - 2 * values[3:-3] + values[3 + k : n - 3 + k])
        for k, weight in enumerate(weights, 1)
    )


def test_virtual_sensors_beat_the_same_computation_in_scipy(segments, benchmark):
    for ours, theirs in zip(in_numpy(segments), in_scipy(segments), strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one[3:-3], other, atol=1e-9)
    if benchmark.disabled:  # the suite runs this as a check of correctness only, on whatever machine it is
        benchmark(in_numpy, segments[:1])
        return
    ratios = []
    for repeat in range(REPEATS):
        seconds = {}
        for way in (in_numpy, in_scipy) if repeat % 2 else (in_scipy, in_numpy):
            begin = time.perf_counter()
            way(segments)
            seconds[way] = time.perf_counter() - begin
        ratios.append(seconds[in_scipy] / seconds[in_numpy])
    ratio = statistics.median(ratios)
    benchmark.extra_info["ratio_to_scipy"] = round(ratio, 2)
    benchmark(in_numpy, segments)
    print(f"\nvirtual sensors are {ratio:.1f} times as fast as in scipy, bar {BAR}")
    assert ratio >= BAR * NOISE
