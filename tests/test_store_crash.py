"""Whatever moment a writer dies or a disk refuses, a store holds whole recordings only, and going on mends the rest.

A second process imports everything once and forks a child per crash point; the child counts what it does to the file
system (Python's audit events, every fsync and every write) and stops dead at the k-th.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from store_cases import CARD, recording

from kinbench import store
from kinbench.errors import StoreError

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="crash points are run in forked children")


def in_second_process(tmp_path, *arguments):
    program = Path(__file__).parent / "store_crash_harness.py"
    done = subprocess.run(
        [sys.executable, "-W", "error", str(program), str(tmp_path), *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("job", ["convert", "replace_and_remove"])
@pytest.mark.parametrize("act", ["die", "refuse"])
def test_stopped_at_every_event_nothing_is_half_and_going_on_gives_the_same_bytes(tmp_path, job, act):
    assert in_second_process(tmp_path, job, act) >= 30


WRITER = """
import sys, time
from store_cases import CARD, recording
from kinbench import store
with store.create(sys.argv[1], dataset="lab", card=CARD) as writer:
    writer.write(recording())
    print("holding", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_is_told_who_holds_the_store_and_a_killed_one_lets_go(tmp_path):
    path = tmp_path / "lab.zarr"
    first = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert first.stdout.readline() == "holding\n"
        with (
            pytest.raises(StoreError, match=f"PID {first.pid}.*wait for it"),
            store.create(path, dataset="lab", card=CARD),
        ):
            pass
        with pytest.raises(StoreError, match=f"PID {first.pid}"):
            store.open(path).rebuild_index()
        assert len(store.open(path)) == 1
    finally:
        first.kill()
        first.wait()
        first.stdout.close()
    with store.create(path, dataset="lab", card=CARD) as writer:
        writer.write(recording("run"))
    assert len(store.open(path)) == 2
    assert store.open(path).verify() == []
    assert not (path / ".writer").exists()


def test_many_writers_at_once_lose_nothing(tmp_path):
    program = """
import sys
from store_cases import CARD, recording
from kinbench import store
from kinbench.errors import StoreError
left = 200
while left:
    try:
        with store.create(sys.argv[1], dataset="lab", card=CARD) as writer:
            writer.write(recording(sys.argv[2]))
        break
    except StoreError as error:
        assert "is writing to this store" in str(error), error
        __import__("time").sleep(0.02)
        left -= 1
assert left
"""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    path = str(tmp_path / "lab.zarr")
    running = [subprocess.Popen([sys.executable, "-c", program, path, f"t{n}"], env=env) for n in range(3)]
    assert [one.wait() for one in running] == [0, 0, 0]
    assert [key.trial for key in store.open(path)] == ["t0", "t1", "t2"]
    assert store.open(path).verify() == []


def test_every_commit_is_flushed_before_and_after_its_rename(tmp_path, monkeypatch):
    done = []
    fsync, rename = os.fsync, Path.replace

    def noted_fsync(handle):
        done.append(("fsync", str(Path(f"/proc/self/fd/{handle}").readlink())))
        fsync(handle)

    def noted_rename(path, target):
        done.append(("rename", str(path), str(target)))
        return rename(path, target)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc to name a file handle")
    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_rename)
    with store.create(tmp_path / "lab.zarr", dataset="lab", card=CARD) as writer:
        writer.write(recording())
    renames = [place for place, event in enumerate(done) if event[0] == "rename"]
    assert [Path(done[place][2]).name for place in renames] == ["zarr.json", "walk.zarr.zip", "index.json"]
    for place in renames:
        _, source, target = done[place]
        assert done[place - 1] == ("fsync", source)
        assert done[place + 1] == ("fsync", str(Path(target).parent))
