"""The door to OpenSim for tests: ask it things in a process of its own, or skip where it is absent."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

JUDGE = Path(__file__).with_name("opensim_judge.py")


@cache
def why_not():
    """Return why OpenSim cannot be imported here, '' where it can."""
    done = subprocess.run([sys.executable, "-c", "import opensim"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else (done.stderr.strip() or "it crashed").splitlines()[-1]


def judge(**asked):
    """Return what OpenSim finds (read=, write=, pose=, leg=; see ``opensim_judge``), as arrays by name."""
    if why_not():
        pytest.skip(f"OpenSim cannot be imported ({why_not()}): pip install 'kinbench[opensim]'")
    with TemporaryDirectory() as folder:
        place = Path(folder)
        request, target = place / "request.json", place / "found.npz"
        request.write_text(json.dumps(asked))
        command = [sys.executable, str(JUDGE), str(request), str(target)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=place, check=False, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        assert not (place / "opensim.log").exists()
        with np.load(target) as found:
            return dict(found)
