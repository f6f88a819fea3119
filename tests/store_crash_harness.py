"""Stops a writer at every file-system event and looks at what is left. Run by ``test_store_crash``.

``store_crash_harness.py FOLDER convert|replace_and_remove die|refuse`` prints how many events there were.
"""

import errno
import os
import shutil
import sys
from functools import partial
from pathlib import Path

from store_cases import CARD, recording

from kinbench import store
from kinbench.errors import StoreError

ROOT = Path(sys.argv[1])
EVENTS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree", "os.truncate"}
REPLACEMENT = recording("walk", n=6, seed=9, reference=False)
RECORDINGS = [recording("walk", n=6, reference=False), recording("run", n=6, imu=False)]


def convert(path):
    with store.create(path, dataset="lab", card=CARD) as writer:
        for one in RECORDINGS:
            if not writer.has(one.key, source=one.attrs["source"]):
                writer.write(one)


def replace_and_remove(path):
    with store.create(path, dataset="lab", card=CARD) as writer:
        writer.write(REPLACEMENT)
        writer.remove(RECORDINGS[1].key)


def finish(path):
    """A person's second try at replace_and_remove, whatever the first one reached."""
    with store.create(path, dataset="lab", card=CARD) as writer:
        writer.write(REPLACEMENT)
        if writer.has(RECORDINGS[1].key):
            writer.remove(RECORDINGS[1].key)


def tree(path):
    return {
        found.relative_to(path).as_posix(): found.read_bytes()
        for found in path.rglob("*")
        if found.is_file() and found.name != ".lock"
    }


def arm(at, path, act):
    """From now on call act(kind, write) at the at-th file-system event below path; return the counter."""
    count = [0]
    fsync, write = os.fsync, os.write

    def step(kind, call=None):
        count[0] += 1
        if count[0] == at:
            act(kind, call)

    def hook(event, args):
        if event in EVENTS and isinstance(args[0], (str, os.PathLike)) and str(path) in os.fspath(args[0]):
            step(event)

    def slow_fsync(handle):
        step("fsync")
        fsync(handle)

    def torn_write(handle, data):
        step("write", lambda: write(handle, bytes(data)[: len(data) // 2]))
        return write(handle, data)

    os.fsync, os.write = slow_fsync, torn_write
    sys.addaudithook(hook)
    return count


def die(kind, call):
    if call:
        call()
    os._exit(77)


def refuse(kind, call):
    if call:
        call()
    raise OSError(errno.ENOSPC, "No space left on device")


def child(work):
    """Run work in a fork; return its exit status."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            code = work() or 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", flush=True)
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def believe(path, allowed):
    """What a reader sees is whole, and one of what it may be."""
    if not (path / "zarr.json").is_file():
        return
    opened = store.open(path)
    assert opened.verify() == [], opened.verify()
    found = {entry.key.trial: entry.digest for entry in opened.entries()}
    assert set(found) <= set(allowed), found
    assert all(found.get(trial) in digests for trial, digests in allowed.items()), found


def attempt(job, path, act, at):
    """0: the job ended before its at-th event. 75: it went on all the same. 76: it told of the refusal. 77: dead."""
    count = arm(at, path, act)
    try:
        job(path)
    except StoreError as error:
        assert act is refuse and "No space left" in str(error) and str(path) in str(error), error
        return 76
    return 0 if count[0] < at else 75


def go_on(resume, path, allowed, expected):
    believe(path, allowed)
    resume(path)
    assert tree(path) == expected, sorted(set(tree(path)) ^ set(expected))


def explore(start, job, resume, act, allowed, final):
    """Stop job, begun from a copy of the folder start, at its every event; return how many there were."""
    shutil.copytree(start, ROOT / "whole")
    assert child(partial(resume, ROOT / "whole")) == 0
    assert child(partial(believe, ROOT / "whole", final)) == 0
    expected, at, status = tree(ROOT / "whole"), 0, None
    while status != 0:
        at += 1
        path = ROOT / f"at{at}"
        shutil.copytree(start, path)
        status = child(partial(attempt, job, path, act, at))
        assert status in ({0, 77} if act is die else {0, 75, 76}), f"event {at}: {status}"
        assert child(partial(go_on, resume, path, allowed, expected)) == 0, f"event {at}"
        shutil.rmtree(path)
    return at - 1


def main(job, act):
    digests = {one.key.trial: store.content_digest(one) for one in RECORDINGS}
    start = ROOT / "start"
    start.mkdir()
    if job == "convert":
        allowed = {trial: {digest, None} for trial, digest in digests.items()}
        return explore(start, convert, convert, act, allowed, {trial: {digest} for trial, digest in digests.items()})
    assert child(partial(convert, start)) == 0
    new = store.content_digest(REPLACEMENT)
    allowed = {"walk": {digests["walk"], new}, "run": {digests["run"], None}}
    return explore(start, replace_and_remove, finish, act, allowed, {"walk": {new}})


if __name__ == "__main__":
    print(main(sys.argv[2], {"die": die, "refuse": refuse}[sys.argv[3]]))
