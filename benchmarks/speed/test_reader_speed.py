"""Speed of the MT Manager reader beside pandas' C parser on the same bytes (pytest-benchmark).

Run ``pytest benchmarks/speed --benchmark-enable``; without it, it also checks that both read the same numbers. The
reader does more than the parser (it refuses ragged and cut rows, checks the counter, turns matrices into quaternions)
and less (it skips columns that nobody needs). ``test_ratio`` takes both in turn, so that a busy machine slows both.
"""

import time

import numpy as np
import pandas as pd
import pytest
from kinbench_adapters._formats.mt_manager import GROUPS, MATRIX, read_mt

ROWS = 60_000
"""Ten minutes at 100 Hz, as in the OpenSense study."""

AIM = 0.7
ROUNDS = 15
CLOCKS = ("SampleTimeFine", "Year", "Month", "Day", "Second", "UTC_Nano", "UTC_Year", "UTC_Month", "UTC_Day",
          "UTC_Hour", "UTC_Minute", "UTC_Second", "UTC_Valid")  # fmt: skip
DIALECTS = {
    "quaternion": (("SampleTimeFine",), (*GROUPS["acc"], *GROUPS["gyr"], *GROUPS["mag"], *GROUPS["Quat"])),
    "matrix": (("SampleTimeFine",), (*GROUPS["acc"], *GROUPS["gyr"], *GROUPS["mag"], *MATRIX)),
    "matrix-and-empty-clocks": (CLOCKS, (*GROUPS["acc"], *MATRIX)),
}


@pytest.fixture(scope="module", params=DIALECTS)
def export(request, tmp_path_factory):
    empty, full = DIALECTS[request.param]
    rng = np.random.default_rng(7)
    values = rng.normal(0, 5, (ROWS, len(full)))
    if MATRIX[0] in full:
        yaw = np.linspace(0, 6, ROWS)
        c, s, zero = np.cos(yaw), np.sin(yaw), np.zeros(ROWS)
        values[:, -9:] = np.column_stack((c, s, zero, -s, c, zero, zero, zero, zero + 1))
    path = tmp_path_factory.mktemp("mt") / "MT_012005D6_009-001_00B421E6.txt"
    with path.open("w", newline="\n") as file:
        file.write("// Start Time: Unknown\n// Update Rate: 100.0Hz\n")
        file.write("\t".join(("PacketCounter", *empty, *full)) + "\n")
        gap = "\t" * (len(empty) + 1)
        for index, row in enumerate(values.tolist()):
            file.write(f"{index % 2**16:05d}{gap}" + "\t".join(f"{v:.6f}" for v in row) + "\n")
    return path


def parse_with_pandas(path):
    return pd.read_csv(path, sep="\t", skiprows=2, engine="c")


def test_reader(benchmark, export):
    file = benchmark(read_mt, export)
    assert len(file.counter) == ROWS


def test_pandas(benchmark, export):
    table = benchmark(parse_with_pandas, export)
    assert len(table) == ROWS


def test_ratio(benchmark, export):
    """Both in turn by processor time, the best of each (other work can only add), and the same numbers from both."""
    theirs, ours = [], []
    for _ in range(ROUNDS):
        start = time.process_time()
        table = parse_with_pandas(export)
        middle = time.process_time()
        file = read_mt(export)
        theirs.append(middle - start)
        ours.append(time.process_time() - middle)
    np.testing.assert_allclose(file.columns["acc"], table[list(GROUPS["acc"])].to_numpy(), rtol=1e-15, atol=1e-15)
    ratio = min(theirs) / min(ours)
    print(f"MT reader: {ratio:.2f} of the speed of pandas' C parser on the same bytes ({min(ours) * 1e3:.0f} ms)")
    benchmark.pedantic(read_mt, args=(export,), rounds=1)
    benchmark.extra_info["ratio_to_pandas"] = round(ratio, 3)
    if benchmark.enabled:  # the suite runs this as a check of correctness only, on whatever machine it is
        assert ratio >= AIM
