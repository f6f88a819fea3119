"""Speed of reading MoVi's suit files beside ``scipy.io.loadmat`` of the same bytes (pytest-benchmark).

Run ``pytest benchmarks/speed --benchmark-enable``; without it, it also checks that both read the same numbers. The
reader does more than SciPy (a process of its own, which starts Python and hands the numbers over, so that a damaged
file cannot take the user's session with it; every header). ``test_ratio`` takes both in turn by the clock on the wall,
since the child's processor time is not ours.
"""

import time

import numpy as np
import pytest
import scipy.io
from kinbench_adapters._formats.arrays import mat_fields
from kinbench_adapters._movi.suit import read_suit

JOINTS = 21
SAMPLES = 24_000
"""200 seconds: a round of 21 motions. The suite, which times nothing, takes a tenth of it."""
ROUNDS = ("S1_Synched", "I1")
AIM = 0.3
TAKES = 3


@pytest.fixture(scope="module")
def samples(request):
    return SAMPLES if request.config.getoption("benchmark_enable") else SAMPLES // 10


@pytest.fixture(scope="module")
def path(tmp_path_factory, samples):
    random = np.random.RandomState(1)
    headers = [
        f"{joint + 1:02d}-{kind}-{part}"
        for joint in range(JOINTS)
        for kind, parts in (("X", "xyz"), ("V", "xyz"), ("Q", "sxyz"), ("A", "xyz"), ("W", "xyz"))
        for part in parts
    ]
    numbers = [f"{joint + 1:02d}" for joint in range(JOINTS)]
    table = {
        "dataHeader": np.array([headers], dtype=object),
        "jointNames": np.array([[f"Joint{number}" for number in numbers]], dtype=object),
        "jointNumbers": np.array([numbers], dtype=object),
    }
    walk = random.normal(0, 1, (samples, len(headers))).cumsum(axis=0).round(4)
    path = tmp_path_factory.mktemp("movi") / "imu_Subject_1.mat"
    imu = {name: {"data": walk + index, **table} for index, name in enumerate(ROUNDS)}
    scipy.io.savemat(path, {"IMU": imu}, do_compression=True)
    return path


def read_with_scipy(path):
    return scipy.io.loadmat(path, struct_as_record=False)["IMU"][0, 0]


def test_reader(benchmark, path, samples):
    suit = benchmark.pedantic(read_suit, args=(path, "I1"), rounds=1)
    assert suit.data.shape == (samples, 336)


def test_scipy(benchmark, path, samples):
    imu = benchmark.pedantic(read_with_scipy, args=(path,), rounds=1)
    assert imu.I1[0, 0].data.shape == (samples, 336)


def test_names(benchmark, path):
    assert benchmark(mat_fields, path) == {"IMU": ROUNDS}


def test_ratio(benchmark, path):
    """Both in turn, the best of each (other work can only add), and the same numbers from both."""
    theirs, ours = [], []
    for _ in range(TAKES if benchmark.enabled else 1):
        start = time.perf_counter()
        table = read_with_scipy(path)
        middle = time.perf_counter()
        suit = read_suit(path, "I1")
        theirs.append(middle - start)
        ours.append(time.perf_counter() - middle)
    np.testing.assert_array_equal(suit.signal("Joint03", "A"), table.I1[0, 0].data[:, 2 * 16 + 10 : 2 * 16 + 13])
    ratio = min(theirs) / min(ours)
    print(f"MoVi's suit: {ratio:.2f} of the speed of scipy.io.loadmat on the same bytes ({min(ours) * 1e3:.0f} ms)")
    benchmark.pedantic(mat_fields, args=(path,), rounds=1)
    benchmark.extra_info["ratio_to_scipy"] = round(ratio, 3)
    if benchmark.enabled:  # the suite runs this as a check of correctness only, on whatever machine it is
        assert ratio >= AIM
