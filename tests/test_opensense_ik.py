"""OpenSim's own inverse kinematics as a model: against a motion that OpenSim made of the same sensors."""

import json
import sys

import numpy as np
import pytest
from conftest import needs_shared
from filter_cases import COORDINATES, motion, oriented, sensors, stream, walked
from kinbench_benchmarks import tasks
from kinbench_benchmarks.models.opensense_ik import OpenSenseIk, model

from kinbench import plugins, windows
from kinbench.contracts import AdaptiveModel, StreamModel
from kinbench.conversion import prepare
from kinbench.errors import DataError, UsageError

FLEXIONS = ("hip_flexion_r", "knee_flexion_r", "ankle_dorsiflexion_r")


@pytest.fixture
def osim(shared):
    pytest.importorskip("opensim", reason="OpenSim is not installed: pip install kinbench[opensim]")
    return shared / "opensense" / "example" / "reference" / "Rajagopal2015_opensense.osim"


@pytest.fixture
def empty(tmp_path):
    path = tmp_path / "empty.osim"
    path.write_text('<?xml version="1.0"?><OpenSimDocument Version="40000"><Model name="nobody"/></OpenSimDocument>')
    return path


def legs(*, frames=None, names=None):
    """A simulated walk with exact orientations of a device, Z of its pelvis' sensor forward."""
    walk = walked()
    forward = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    imu = sensors(walk, mounts={"pelvis": forward}, quat=oriented(walk), names=names)
    return walk, imu if frames is None else imu.isel(time=frames)


def test_it_is_a_filter_that_can_be_kept(empty, tmp_path):
    ik = plugins.create("models", f"opensense-ik[model={empty}]")
    assert isinstance(ik, StreamModel)
    assert ik.files == {"model": empty.resolve()}, "a run knows it by what the model holds"
    assert isinstance(ik, AdaptiveModel)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({}, "needs a model: 'opensense-ik[model=FILE.osim]', such as those at https://github.com/opensim-org"),
        ({"model": "/nowhere/body.osim"}, "found none at '/nowhere/body.osim'"),
        ({"weighting": "low_feet"}, "Did you mean 'low-feet'"),
        ({"orientation": "xsens"}, "expected vqf or device"),
        ({"heading_axis": "forward"}, "expected an axis such as z or -x"),
        ({"pose": "standing"}, "expected rest, or seconds"),
        ({"rate_hz": 0}, "above 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(how, words, empty):
    with pytest.raises(UsageError) as told:
        OpenSenseIk(**({"model": str(empty)} if how and "model" not in how else {}) | how)
    assert words in str(told.value)


def test_a_machine_without_opensim_is_told_so(empty, monkeypatch):
    monkeypatch.setattr(model.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install kinbench\[opensim\]"):
        OpenSenseIk(model=str(empty))


@pytest.mark.parametrize(
    ("dofs", "spoil", "words"),
    [
        (("knee_adduction_r",), lambda imu: imu, "OpenSim has no coordinate that is knee_adduction_r"),
        (FLEXIONS, lambda imu: imu.drop_vars("quat"), "no 'quat'"),
        (FLEXIONS, lambda imu: imu.isel(time=slice(800, 1000)), "stands still"),
    ],
)
def test_what_is_missing_is_told_before_opensim_is_asked(empty, dofs, spoil, words, monkeypatch):
    monkeypatch.setattr(model, "_run_tool", lambda folder: pytest.fail("it was asked"))
    imu = spoil(legs()[1])
    imu = imu.assign_coords(time=("time", imu["time"].values - imu["time"].values[0], {"units": "s"}))
    with pytest.raises(DataError, match=words):
        OpenSenseIk(model=str(empty)).estimate(stream(imu, dofs))


def test_a_process_that_dies_without_a_word_is_one_sentence(empty, monkeypatch, tmp_path):
    monkeypatch.setattr(model.sys, "executable", "/bin/false")
    with pytest.raises(DataError, match="OpenSim ended with code 1: it said nothing"):
        OpenSenseIk(model=str(empty)).estimate(stream(legs()[1], FLEXIONS))
    assert model.sys is sys


def test_a_knee_that_a_model_bends_backwards_is_turned_round():
    table = {"knee_angle_r": np.array([-5.0, -60.0])}
    backwards = model._angle("knee_flexion_r", table, {"coordinates": {"knee_angle_r": [-120.0, 10.0]}}, None)
    forwards = model._angle("knee_flexion_r", table, {"coordinates": {"knee_angle_r": [0.0, 120.0]}}, None)
    assert np.array_equal(backwards, [5.0, 60.0])
    assert np.array_equal(forwards, [-5.0, -60.0])


def test_every_other_frame_is_solved_and_the_last_one():
    known = np.ones(10, dtype=bool)
    known[4] = False
    assert model._thinned(known, 3).tolist() == [0, 3, 7, 9]


@needs_shared
def test_a_model_that_opensim_refuses_is_one_sentence(osim, empty):
    with pytest.raises(DataError) as told:
        OpenSenseIk(model=str(empty)).estimate(stream(legs()[1], FLEXIONS))
    assert str(told.value).startswith(f"{empty}: OpenSim could not solve it: ")
    assert "\n" not in str(told.value)


@needs_shared
def test_it_is_what_opensim_itself_made_of_the_same_sensors(osim, capfd):
    (source,) = plugins.create("adapters", "opensense").find(osim.parent.parent).sources
    names, table = motion(osim.parent / "imu_ik_opensim46.mot")
    frames = np.r_[0:20, 640:690]  # standing, and the first steps; between them nothing was recorded
    asked = windows.stream_of(prepare(source).imu.isel(time=frames), {}, tasks.LOWER_BODY, "")
    ik = OpenSenseIk(model=str(osim), pose=0.0)
    found = ik.estimate(asked)
    assert np.isnan(found[40:620]).all()
    for column, dof in enumerate(asked.dofs):
        error = (found[:, column] - table[: len(found), names.index(COORDINATES[dof[:-2]] + dof[-2:])])[frames]
        print(f"{dof:25} RMSE {np.sqrt(np.mean(error**2)):.2f} deg")
        flexion = "flexion" in dof
        assert np.sqrt(np.mean(error**2)) < (0.5 if flexion else 1.5), dof
    assert "OpenSim left the sensors" in ik.notes[0]
    out, err = capfd.readouterr()
    assert "[info]" not in out + err, "OpenSim's own log is kept to itself"


@pytest.mark.parametrize(
    ("weighting", "weights"),
    [
        ("uniform", {}),
        (
            "low-feet",
            {"pelvis_imu": 1.0, "femur_r_imu": 1.0, "tibia_r_imu": 0.5, "calcn_r_imu": 0.01},
        ),
    ],
)
def test_both_weightings_of_the_study_and_the_world_that_opensim_is_told(empty, weighting, weights, monkeypatch):
    told = {}

    def spy(folder):
        told.update(json.loads((folder / "job.json").read_text()))
        files = ("placement", "orientations")
        told["rows"] = {name: (folder / f"{name}.sto").read_text().splitlines() for name in files}
        (folder / "about.json").write_text('{"failed": "enough"}')

    monkeypatch.setattr(model, "_run_tool", spy)
    names = ("pelvis", "thigh_r", "shank_r", "foot_r")
    with pytest.raises(DataError, match="enough"):
        OpenSenseIk(model=str(empty), weighting=weighting, rate_hz=10).estimate(stream(legs(names=names)[1], FLEXIONS))
    assert told["weights"] == weights
    assert (told["base"], told["heading_axis"]) == ("pelvis_imu", "z")
    labels = "time\tpelvis_imu\tfemur_r_imu\ttibia_r_imu\tcalcn_r_imu"
    assert told["rows"]["placement"][5] == told["rows"]["orientations"][5] == labels
    assert len(told["rows"]["placement"]) == 7, "one pose"
    steps = np.diff([float(row.split("\t")[0]) for row in told["rows"]["orientations"][6:]])
    assert np.allclose(steps[:-1], 0.1)
    pose, first = (
        model.matrices([float(part) for part in told["rows"][name][6].split("\t")[1].split(",")])[:, 2]
        for name in ("placement", "orientations")
    )
    assert np.degrees(np.arctan2(first[2], first[0])) == pytest.approx(0.0, abs=2.0), "frames face X"
    assert abs(np.degrees(np.arctan2(pose[2], pose[0]))) == pytest.approx(90.0, abs=2.0), "the pose faces aside"
