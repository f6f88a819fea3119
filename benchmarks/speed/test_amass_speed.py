"""Speed of the AMASS adapter beside numpy's own reading of the same file (pytest-benchmark).

Run ``pytest benchmarks/speed --benchmark-enable``; without it, it also checks that both read the same numbers. Reading
is the adapter's ``load``: the archive hardened, forward kinematics of the body, placements. Preparing adds the engine's
part: world, eight virtual sensors, angles, sync, validation.
"""

import time

import numpy as np
import pytest
from kinbench_adapters.amass import AmassAdapter
from scipy.spatial.transform import Rotation

from kinbench import conversion

FRAMES = 14_400
"""Two minutes at 120 Hz, a long sequence of AMASS."""

MOST_READS = 15.0
"""How many times numpy's reading of the same bytes the adapter's may take: that one is little more than a copy."""

MINUTES_FOR_AMASS = 20.0
"""What preparing all of it (60 hours at 120 Hz) may take on one core, storing left out."""
AMASS_FRAMES = 60 * 3600 * 120
ROUNDS = 5


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    time_s = np.arange(FRAMES)[:, None] / 120
    poses = 0.3 * np.sin(2 * np.pi * time_s * np.linspace(0.3, 1.2, 156) + np.arange(156))
    upright = Rotation.from_euler("x", 90, degrees=True)
    poses[:, :3] = (upright * Rotation.from_rotvec(poses[:, :3])).as_rotvec()
    folder = tmp_path_factory.mktemp("amass")
    path = folder / "CMU" / "01" / "01_01_poses.npz"
    path.parent.mkdir(parents=True)
    np.savez(
        path, poses=poses, trans=np.tile([0.0, 0.0, 0.9], (FRAMES, 1)), betas=np.zeros(16), gender="male",
        mocap_framerate=120.0, dmpls=np.zeros((FRAMES, 8)),
    )  # fmt: skip
    return folder


def source(raw):
    return AmassAdapter().find(raw).sources[0]


def read_with_numpy(raw):
    with np.load(source(raw).files[0], allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def best(run):
    """The least processor time of some rounds: other work can only add."""
    spent = []
    for _ in range(ROUNDS):
        start = time.process_time()
        run()
        spent.append(time.process_time() - start)
    return min(spent)


def test_numpy(benchmark, raw):
    assert len(benchmark(read_with_numpy, raw)["poses"]) == FRAMES


def test_load(benchmark, raw):
    assert benchmark(source(raw).load).reference.sizes["time"] == FRAMES


def test_prepare(benchmark, raw):
    assert benchmark(conversion.prepare, source(raw)).imu.sizes == {
        "time": FRAMES, "sensor": 8, "axis": 3, "segment_axis": 3,
    }  # fmt: skip


def test_ratio(benchmark, raw):
    one = source(raw)
    poses = read_with_numpy(raw)["poses"]
    knee = conversion.prepare(one).reference["angle"].sel(dof="knee_flexion_l").values
    turn = Rotation.from_rotvec(poses[:, 12:15]).as_euler("XZY", degrees=True)  # flexion first, as about our Z
    np.testing.assert_allclose(knee, turn[:, 0], atol=1e-3)
    numpy, load, prepare = best(lambda: read_with_numpy(raw)), best(one.load), best(lambda: conversion.prepare(one))
    minutes = prepare / FRAMES * AMASS_FRAMES / 60
    ratios = f"load {load / numpy:.1f}, prepare {prepare / numpy:.1f} times np.load of the same file"
    print(f"AMASS: {ratios}; all of it {minutes:.1f} min")
    benchmark.pedantic(one.load, rounds=1)
    benchmark.extra_info.update(load_per_numpy=round(load / numpy, 2), prepare_per_numpy=round(prepare / numpy, 2))
    if benchmark.enabled:  # the suite runs this as a check of correctness only, on whatever machine it is
        assert load / numpy <= MOST_READS and minutes <= MINUTES_FOR_AMASS
