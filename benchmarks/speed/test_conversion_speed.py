"""Speed and memory of whole conversions: raw folder to store, ten recordings and a hundred (pytest-benchmark).

Run ``pytest benchmarks/speed --benchmark-enable -s``; without it, small folders only show that all of them convert.
Recordings are read, converted and written one at a time, so memory must not grow with their number. Every conversion
runs in a process of its own, whose peak is that of its own pages (VmHWM; the peak that ``getrusage`` tells can be
the parent's).
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from raw_folders import amass, calgary

FEW, MANY = 10, 100
GROWTH_MB = 16.0  # measured: 5 and 6 MB, on a peak of 211 and 252 MB
"""What ninety recordings more may add to the peak: their names, digests, index entries, and the allocator's slack."""

CONVERT = """
import json, sys, time
from pathlib import Path
from kinbench import conversion, plugins

adapter = plugins.create("adapters", sys.argv[1])
wall, used = time.perf_counter(), time.process_time()
done = conversion.convert(adapter, Path(sys.argv[2]), Path(sys.argv[3]))
wall, used = time.perf_counter() - wall, time.process_time() - used
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(json.dumps({"failed": [o.reason for o in done.failed], "recordings": len(done.outcomes), "wall_s": wall,
                  "process_s": used, "peak_mb": int(peak.split()[1]) / 1024}))
"""


def sequences(folder, count, length_s):
    """AMASS: one sequence of a walker, as that of so many people."""
    body = amass.person("CMU", length_s=length_s)
    vectors, trans = amass.pose_vectors(body)
    first = folder / "CMU" / "000" / "000_01_poses.npz"
    first.parent.mkdir(parents=True)
    amass.write_smplh(first, vectors, trans, rate=body.rate_hz)
    for number in range(1, count):
        copy = folder / "CMU" / f"{number:03d}" / f"{number:03d}_01_poses.npz"
        copy.parent.mkdir()
        shutil.copyfile(first, copy)


def sessions(folder, count, length_s):
    """The running clinic: one runner's session, as that of so many people."""
    calgary.write(folder, people=1, length_s=length_s, tables=False)
    runner = next(path for path in sorted((folder / "reformat_data").iterdir()))
    first = next(path for path in sorted(runner.glob("*.json")))
    trials = sum(bool(json.loads(first.read_bytes())[mode]) for mode in ("walking", "running"))
    text = first.read_bytes()
    shutil.rmtree(folder / "reformat_data")
    for number in range(count // trials):
        copy = folder / "reformat_data" / f"{100_000 + number}" / first.name
        copy.parent.mkdir(parents=True)
        copy.write_bytes(text)


def converted(adapter, raw, target):
    """Convert in a process of its own and return what it tells, with MB of raw bytes a second."""
    command = [sys.executable, "-c", CONVERT, adapter, str(raw), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert told["failed"] == []
    raw_mb = sum(path.stat().st_size for path in Path(raw).rglob("*") if path.is_file()) / 1e6
    return {**told, "raw_mb": raw_mb, "mb_per_s": raw_mb / told["process_s"]}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from Linux's /proc")
@pytest.mark.parametrize(("adapter", "write"), [("amass", sequences), ("calgary", sessions)])
def test_memory_does_not_grow_with_the_number_of_recordings(benchmark, tmp_path, adapter, write):
    if benchmark.disabled:  # the suite runs this as a check of correctness only, on whatever machine it is
        write(tmp_path / "raw", 4, 5.0)
        done = benchmark.pedantic(converted, (adapter, tmp_path / "raw", tmp_path / "data"), rounds=1)
        assert done["recordings"] == 4
        return
    for count in (FEW, MANY):
        write(tmp_path / f"raw{count}", count, 20.0)
    small = converted(adapter, tmp_path / f"raw{FEW}", tmp_path / "small")
    large = benchmark.pedantic(converted, (adapter, tmp_path / f"raw{MANY}", tmp_path / "large"), rounds=1)
    assert (small["recordings"], large["recordings"]) == (FEW, MANY)
    growth_mb = large["peak_mb"] - small["peak_mb"]
    print(
        f"{adapter}: peak {small['peak_mb']:.0f} MB for {FEW} recordings, {large['peak_mb']:.0f} MB for {MANY} "
        f"({growth_mb:+.1f} MB); {large['raw_mb']:.0f} MB at {large['mb_per_s']:.1f} MB of raw bytes a second of a core"
    )
    benchmark.extra_info.update({"few": small, "many": large, "growth_mb": growth_mb})
    assert growth_mb < GROWTH_MB
