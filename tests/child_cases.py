"""What may become of a child process: functions at the top of a module, to be run in one."""

import os
import time
from pathlib import Path

import numpy as np
from kinbench_adapters._formats.child import Told


def doubled(asked):
    return Told({"said": asked.values}, {name: 2 * values for name, values in asked.arrays.items()})


def whereabouts(asked):
    return Told({"files": [path.name for path in Path().iterdir()], "pid": os.getpid()})


def refuses(asked):
    raise ValueError("byte 17\nis none")


def crashes(asked):
    os.abort()


def crashes_on_bad(asked):
    """Die of a file called bad.mat, as a reader in C does; else read as ever."""
    from kinbench_adapters._camargo.tables import _load

    if any("bad.mat" in path for path in asked.values):
        os.kill(os.getpid(), 11)
    return _load(asked)


def mutters(asked):
    os.write(2, b"x" * 10_000 + b"\nterminate called: no such block\n\n")
    os._exit(3)


def hangs(asked):
    time.sleep(60)


def eats(asked):
    return Told(None, {"all": np.ones(2**30)})


def lives_too_long(asked):
    """Answer, and then die while the interpreter ends."""
    import atexit

    atexit.register(os.abort)
    return Told("done")
