"""Synchronising by orientation against sliding one series along the other, and resampling against scipy's own filter.

``pytest benchmarks/speed/test_harmonisation_speed.py`` prints both ratios. The search over every lag by correlation
must give the same mean cos^2(angle / 2) as lag after lag, at least ``SEARCH_BAR`` times faster for 12,000 samples and
lags of 2,000 both ways. Resampling a recording may cost ``RESAMPLE_BAR`` times the bare filter.
"""

import statistics
import time

import numpy as np
import pytest
from scipy.signal import resample_poly

from kinbench.alignment import orientation_agreement
from kinbench.harmonisation import resample
from kinbench.recording import Key, Placement, Recording, imu_dataset

SAMPLES, REACH = 12_000, 2_000
SEARCH_BAR = 100.0
RESAMPLE_BAR = 4.0
REPEATS = 5


def lag_by_lag(p, q, reach):
    """The same objective as Hur et al. 2025 slide it, vectorised over time."""
    found = np.empty(2 * reach + 1)
    for at, lag in enumerate(range(-reach, reach + 1)):
        start, stop = max(0, -lag), min(len(p), len(q) - lag)
        found[at] = np.mean(np.sum(p[start:stop] * q[start + lag : stop + lag], axis=1) ** 2)
    return found


def seconds_of(function, *arguments):
    begin = time.perf_counter()
    kept = function(*arguments)
    return time.perf_counter() - begin, kept


def test_the_search_by_correlation_outruns_lag_by_lag(benchmark):
    random = np.random.default_rng(0)
    p = np.cumsum(random.normal(size=(SAMPLES, 4)), axis=0)
    p /= np.linalg.norm(p, axis=1, keepdims=True)
    q = np.roll(p, 137, axis=0)
    slow, brute = seconds_of(lag_by_lag, p, q, REACH)
    fast = []
    for _ in range(REPEATS):
        seconds, found = seconds_of(orientation_agreement, p, q, REACH)
        fast.append(seconds)
    assert found == pytest.approx(brute, abs=1e-9)
    assert int(np.argmax(found)) - REACH == 137
    ratio = slow / statistics.median(fast)
    benchmark.extra_info["times_faster"] = round(ratio, 1)
    benchmark(orientation_agreement, p, q, REACH)
    print(f"\nthe search over every lag is {ratio:.0f} times faster than lag by lag, bar {SEARCH_BAR:g}")
    if benchmark.enabled:
        assert ratio >= SEARCH_BAR


def test_resampling_a_recording_costs_little_more_than_the_filter(benchmark):
    random = np.random.default_rng(0)
    sensors, samples = 8, 72_000
    signals = {
        name: (random.normal(size=(samples, sensors, 3)), {"units": units, "frame": "sensor"})
        for name, units in (("acc", "m s-2"), ("gyr", "rad s-1"))
    }
    placements = [Placement(f"s{i}", "trunk", "midline") for i in range(sensors)]
    imu = imu_dataset(np.arange(samples) / 120, placements, signals)
    recording = Recording(Key("lab", "S01", "1", "walk"), imu, None, {"history": []})
    flat = np.concatenate([signals[name][0].reshape(samples, -1) for name in signals], axis=1)
    ratios = []
    for _ in range(REPEATS):
        bare, _ = seconds_of(resample_poly, flat, 5, 6)
        whole, done = seconds_of(resample, recording, 100.0)
        ratios.append(whole / bare)
    assert done.imu.sizes["time"] == 60_000
    ratio = statistics.median(ratios)
    benchmark.extra_info["times_the_bare_filter"] = round(ratio, 2)
    benchmark(resample, recording, 100.0)
    print(f"\nresampling a recording takes {ratio:.2f} times the bare filter, bar {RESAMPLE_BAR:g}")
    if benchmark.enabled:
        assert ratio <= RESAMPLE_BAR
