"""Speed of vqf-jcs beside OpenSim's IMU inverse kinematics of the same frames, and how far the two are apart.

Run ``pytest benchmarks/speed/test_orientation_speed.py --benchmark-enable -s``: both in one run, one after the other,
over the first 775 frames of OpenSim's own example (8 sensors), with the device's orientations. Without
``--benchmark-enable`` only a dozen frames are solved. OpenSim's time is that of its child process, the model's reading
and the placement included; that of vqf-jcs begins with the stream as well.
"""

import importlib.util
import os
import time
from pathlib import Path

import numpy as np
import pytest
from kinbench_benchmarks.models.opensense_ik import OpenSenseIk
from kinbench_benchmarks.models.vqf_jcs import VqfJcs
from kinbench_benchmarks.tasks import LOWER_BODY

from kinbench import plugins, windows
from kinbench.conversion import prepare

FRAMES, FEW = 775, 120
ROUNDS = 5
AIM = 100.0
"""OpenSim's time over ours."""
AIM_DEG = 3.0
"""Of hip and knee flexion, after each one's mean difference is taken off."""


@pytest.fixture(scope="module")
def folder():
    named = os.environ.get("KINBENCH_SHARED_DATA")
    shared = Path(named) if named else Path(__file__).parents[3] / "shared" / "data"
    if not shared.is_dir():
        pytest.skip("the shared recordings are not here: set KINBENCH_SHARED_DATA to their folder")
    if importlib.util.find_spec("opensim") is None:
        pytest.skip("OpenSim is not installed: pip install kinbench[opensim]")
    return shared / "opensense" / "example"


def seconds(act):
    begin = time.perf_counter()
    answer = act()
    return answer, time.perf_counter() - begin


def test_ratio(benchmark, folder):
    (source,) = plugins.create("adapters", "opensense").find(folder).sources
    frames = FRAMES if benchmark.enabled else FEW
    imu = prepare(source).imu.isel(time=slice(0, frames))
    asked = windows.stream_of(imu, {}, LOWER_BODY, "")
    ours = VqfJcs(orientation="device", calibration="static")
    theirs = OpenSenseIk(model=str(folder / "reference" / "Rajagopal2015_opensense.osim"), pose=0.0,
                         rate_hz=None if benchmark.enabled else 10)  # fmt: skip
    solved, theirs_s = seconds(lambda: theirs.estimate(asked))
    found = benchmark.pedantic(lambda: ours.estimate(asked), rounds=ROUNDS if benchmark.enabled else 1)
    assert np.isfinite(solved).all() and np.isfinite(found).all()
    if not benchmark.enabled:
        return
    ours_s = min(seconds(lambda: ours.estimate(asked))[1] for _ in range(ROUNDS))
    print(f"\n{frames} frames: vqf-jcs {1e3 * ours_s:.0f} ms, OpenSim {theirs_s:.1f} s, ratio {theirs_s / ours_s:.0f}")
    for column, dof in enumerate(asked.dofs):
        error = found[:, column] - solved[:, column]
        print(f"{dof:25} RMSE {np.sqrt(np.mean(error**2)):4.1f}  after offset {error.std():4.1f} deg")
        if dof.startswith(("hip_flexion", "knee_flexion")):
            assert error.std() < AIM_DEG
    assert theirs_s / ours_s >= AIM
