"""Rotations, fits and joint angles against the same computation in SciPy's Rotation, turn by turn in one run.

``pytest --benchmark-enable benchmarks/speed/test_kinematics_speed.py`` prints the ratios. A minute of walking at 200 Hz
is 12,000 frames; its angles at one joint are to be had in milliseconds. One thread.
"""

import statistics
import time

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from kinbench.kinematics import fit_rigid, forward_kinematics, joint_angles, matrices, rotations_from_vectors

FRAMES = 12_000
REPEATS = 10
PROXIMAL, DISTAL = (Rotation.random(FRAMES, random_state=seed).as_quat(scalar_first=True) for seed in (1, 2))
VECTORS = np.random.default_rng(3).normal(size=(FRAMES, 3))
CLUSTER = np.random.default_rng(4).normal(size=(4, 3))
MOVING = CLUSTER @ np.swapaxes(matrices(PROXIMAL), 1, 2)
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
LOCAL = np.repeat(matrices(PROXIMAL)[:, None], len(PARENTS), axis=1)
ARMS, ROOT = np.ones((len(PARENTS), 3)), np.zeros((FRAMES, 3))


def scipy_angles():
    proximal, distal = (Rotation.from_quat(turn, scalar_first=True) for turn in (PROXIMAL, DISTAL))
    return (proximal.inv() * distal).as_euler("ZXY", degrees=True)


def scipy_matrices():
    return Rotation.from_quat(PROXIMAL, scalar_first=True).as_matrix()


def scipy_exponential():
    return Rotation.from_rotvec(VECTORS).as_matrix()


def scipy_fits():
    return np.stack([Rotation.align_vectors(frame, CLUSTER)[0].as_matrix() for frame in MOVING[::40]])


def scipy_chain():
    """The 22 joints of a body model, each turned by its parent."""
    world = []
    for joint, parent in enumerate(PARENTS):
        local = Rotation.from_matrix(LOCAL[::20, joint])
        world.append(local if parent < 0 else world[parent] * local)
    return np.stack([turn.as_matrix() for turn in world], axis=1)


COMPUTATIONS = {
    "joint angles": (lambda: joint_angles(PROXIMAL, DISTAL), scipy_angles, 1, 1.0),
    "matrices": (lambda: matrices(PROXIMAL), scipy_matrices, 1, 0.3),
    "exponential": (lambda: rotations_from_vectors(VECTORS), scipy_exponential, 1, 0.3),
    "rigid fit": (lambda: fit_rigid(CLUSTER, MOVING).rotation, scipy_fits, 40, 5.0),
    "body chain": (lambda: forward_kinematics(LOCAL, ARMS, PARENTS, ROOT)[0], scipy_chain, 20, 2.0),
}
"""Ours, SciPy's, one frame in how many SciPy is given, and the least ratio. Single conversions are compiled there and
numpy here, so that half its speed is what there is to be had; what is made of them must be faster."""


@pytest.mark.parametrize("name", COMPUTATIONS)
def test_a_minute_of_frames_against_scipy(name, benchmark):
    ours, scipys, step, bar = COMPUTATIONS[name]
    assert ours()[::step] == pytest.approx(scipys(), abs=1e-6)
    benchmark(ours)
    if not benchmark.enabled:  # the suite runs this as a check of correctness only, on whatever machine it is
        return
    ratios, own = [], []
    for _ in range(REPEATS):
        start = time.perf_counter()
        ours()
        middle = time.perf_counter()
        scipys()
        own.append(middle - start)
        ratios.append((time.perf_counter() - middle) * step / own[-1])
    ratio = statistics.median(ratios)
    print(f"\n{name}: {statistics.median(own) * 1e3:.1f} ms for {FRAMES} frames, {ratio:.1f} times SciPy's speed")
    assert ratio > bar
