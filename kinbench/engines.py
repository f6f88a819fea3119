"""Where jobs run: in this process, or in several fresh ones. One thread of linear algebra each, whichever it is.

The same jobs give the same results in any number of workers: a job's answer may depend on the job and on the context
alone. Processes are spawned, never forked (a fork copies locks that other threads hold).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from kinbench.errors import UsageError

THREADS = 1
"""Threads per job, part of every result's identity: training on two threads gives other bits than on one."""
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

C = TypeVar("C")
J = TypeVar("J")
R = TypeVar("R")


class _Worker:
    """What one spawned process keeps between jobs."""

    context: Any = None


def run(
    jobs: Sequence[J],
    function: Callable[[C, J], R],
    *,
    setup: Callable[[], C],
    workers: int = 1,
    on_done: Callable[[J, R], None],
    on_lost: Callable[[J, str], None],
) -> None:
    """Run ``function(context, job)`` for every job; ``setup()`` makes the context, once in each process.

    ``on_done(job, answer)`` is called here, as jobs end; ``on_lost(job, sentence)`` when a worker process died under
    a job (killed, or crashed in native code). An exception of ``function``, ``on_done`` or ``on_lost`` stops the run:
    no further job is started. With ``workers`` above 1 everything handed over must be picklable. Raises ``UsageError``
    for fewer than one worker.
    """
    if workers < 1:
        raise UsageError(f"Expected at least one worker, got {workers}.")
    if workers == 1 or len(jobs) < 2:
        with threadpool_limits(limits=THREADS):
            context = setup()
            for job in jobs:
                on_done(job, function(context, job))
        return
    with _environment(dict.fromkeys(_THREAD_VARIABLES, str(THREADS))):
        _run_processes(jobs, function, setup, workers, on_done, on_lost)


def _run_processes(
    jobs: Sequence[J], function: Callable[[C, J], R], setup: Callable[[], C], workers: int,
    on_done: Callable[[J, R], None], on_lost: Callable[[J, str], None],
) -> None:  # fmt: skip
    """Run jobs in pools until each is answered or lost.

    A dead worker takes its pool with it and does not say which job killed it. Jobs start in order, so it is one of the
    first unfinished ones: these are tried again one after the other, where the first unfinished one is the guilty.
    """
    left = list(jobs)
    while left:
        left = _run_pool(left, function, setup, min(workers, len(left)), on_done)
        suspects, left = left[:workers], left[workers:]
        while suspects:
            suspects = _run_pool(suspects, function, setup, 1, on_done)
            if suspects:
                on_lost(suspects[0], "the worker process died while it ran this (killed, out of memory, or a crash)")
                suspects = suspects[1:]


def _run_pool(
    jobs: Sequence[J], function: Callable[[C, J], R], setup: Callable[[], C], workers: int,
    on_done: Callable[[J, R], None],
) -> list[J]:  # fmt: skip
    """Run jobs in a pool and return those that a dying worker left unfinished, in order."""
    lost: list[int] = []
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_enter, initargs=(setup,))
    try:
        futures: dict[Future[R], int] = {}
        for index, job in enumerate(jobs):
            try:
                futures[pool.submit(_call, function, job)] = index
            except BrokenProcessPool:
                lost.append(index)
        for future in as_completed(futures):
            try:
                answer = future.result()
            except BrokenProcessPool:
                lost.append(futures[future])
                continue
            on_done(jobs[futures[future]], answer)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return [jobs[index] for index in sorted(lost)]


def _enter(setup: Callable[[], Any]) -> None:
    threading.Thread(target=_die_with_parent, daemon=True).start()
    threadpool_limits(limits=THREADS)
    _Worker.context = setup()


def _call(function: Callable[[Any, J], R], job: J) -> R:
    return function(_Worker.context, job)


def _die_with_parent() -> None:
    # Without this, workers of a run that was killed would go on writing beside the run that resumes it.
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
