"""The same answers in one process or several; a worker that dies costs its own job only."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from kinbench import engines
from kinbench.errors import UsageError


def setup(base):
    return {"base": base, "pid": os.getpid()}


def multiply(context, job):
    return context["base"] * job


def threads_and_process(context, job):
    np.linalg.inv(np.eye(3))  # linear algebra is loaded and at work
    return os.environ.get("OMP_NUM_THREADS"), [pool["num_threads"] for pool in threadpool_info()], os.getpid()


def die_on_three(context, job):
    if job == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return job


def fail_on_three(context, job):
    if job == 3:
        raise RuntimeError("three")
    return job


def collect(jobs, function, workers, base=10):
    done, lost = {}, {}
    engines.run(
        jobs, function, setup=partial(setup, base), workers=workers,
        on_done=done.__setitem__, on_lost=lost.__setitem__,
    )  # fmt: skip
    return done, lost


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_is_answered_once(workers):
    assert collect([1, 2, 3, 4], multiply, workers) == ({1: 10, 2: 20, 3: 30, 4: 40}, {})


def test_no_jobs_is_no_work():
    assert collect([], multiply, 2) == ({}, {})


@pytest.mark.parametrize("workers", [1, 2])
def test_linear_algebra_has_one_thread(workers):
    before = os.environ.get("OMP_NUM_THREADS")
    done, _ = collect([1, 2], threads_and_process, workers)
    assert all(count == 1 for _, counts, _ in done.values() for count in counts)
    assert all((pid == os.getpid()) == (workers == 1) for _, _, pid in done.values())
    if workers > 1:
        assert {variable for variable, _, _ in done.values()} == {"1"}
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_a_dead_worker_loses_its_own_job_only():
    done, lost = collect([1, 2, 3, 4, 5], die_on_three, 2)
    assert sorted(done) == [1, 2, 4, 5]
    assert list(lost) == [3] and "died" in lost[3]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_exception_stops_the_run(workers):
    with pytest.raises(RuntimeError, match="three"):
        collect([3, 1, 2], fail_on_three, workers)


def test_an_exception_of_on_done_stops_the_run_before_the_next_job():
    ran = []

    def refuse(job, answer):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engines.run(
            [1, 2, 3], lambda context, job: ran.append(job), setup=dict, on_done=refuse, on_lost=ran.append
        )  # fmt: skip
    assert ran == [1]


def test_no_worker_is_refused():
    with pytest.raises(UsageError, match="at least one worker"):
        collect([1], multiply, 0)


def test_workers_do_not_outlive_a_killed_parent(tmp_path):
    source = f"""
import os, sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
from functools import partial
from kinbench import engines
from test_engines import linger, setup
if __name__ == "__main__":
    engines.run([1, 2], partial(linger, {str(tmp_path)!r}), setup=dict, workers=2, on_done=print, on_lost=print)
"""
    script = tmp_path / "run.py"
    script.write_text(source)
    with subprocess.Popen([sys.executable, str(script)]) as process:
        pids = _wait_for(lambda: [int(path.name) for path in tmp_path.iterdir() if path.name.isdigit()])
        process.kill()
    _wait_for(lambda: not any(_alive(pid) for pid in pids))


def linger(folder, context, job):
    Path(folder, str(os.getpid())).touch()
    time.sleep(60)


def _wait_for(condition, patience_s=30):
    limit = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.05)
    return found


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
