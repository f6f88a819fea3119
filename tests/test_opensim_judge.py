"""OpenSim as judge: its own readers against ours, and its coordinates against our joint angles."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
from conftest import SHARED, needs_shared
from kinbench_adapters._formats.opensim import read_sto, read_trc, write_sto
from opensim_case import judge

from kinbench import kinematics
from kinbench.recording import segment_dataset

REFUSED: dict[str, str] = {}
"""Shared files that OpenSim 4.6 refuses, and a word of its reason. There is none: it reads all of them."""

BODIES = {"pelvis": "pelvis", "thigh_r": "femur_r", "shank_r": "tibia_r", "foot_r": "calcn_r", "thigh_l": "femur_l",
          "shank_l": "tibia_l", "foot_l": "calcn_l"}  # fmt: skip
COORDINATES = {"hip_flexion": "hip_flexion", "hip_adduction": "hip_adduction", "hip_internal_rotation": "hip_rotation",
               "knee_flexion": "knee_angle", "ankle_dorsiflexion": "ankle_angle"}  # fmt: skip
PELVIS = ("pelvis_tilt", "pelvis_list", "pelvis_rotation")


# --- tables ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ours:
    labels: list
    time: np.ndarray
    values: np.ndarray
    """(n, column) or (n, column, element)."""

    @property
    def elements(self):
        return self.values.shape[2] if self.values.ndim == 3 else 1

    @property
    def flat(self):
        """As OpenSim keeps them: a quaternion has unit length there, whatever the file says."""
        values = self.values
        if self.elements == 4:
            values = values / np.linalg.norm(values, axis=2, keepdims=True)
        return values.reshape(len(self.time), -1)


def ours(path):
    if path.suffix == ".trc":
        table = read_trc(path)
        return Ours(list(table.markers), table.time, table.values)
    table = read_sto(path)
    return Ours(list(table.columns), table.time, table.values)


@pytest.fixture(scope="module")
def readings():
    """{relative name: (our reading, OpenSim's)} of every OpenSim table among the shared recordings."""
    if SHARED is None:
        pytest.skip("the shared recordings are not here: set KINBENCH_SHARED_DATA to their folder")
    paths = sorted(path for path in SHARED.rglob("*") if path.suffix in (".sto", ".mot", ".trc"))
    mine = [ours(path) for path in paths]
    found = judge(read=[(str(path), table.elements) for path, table in zip(paths, mine, strict=True)])
    theirs = [
        {key.partition("/")[2]: value for key, value in found.items() if key.startswith(f"{number}/")}
        for number in range(len(paths))
    ]
    names = [path.relative_to(SHARED).as_posix() for path in paths]
    return {name: pair for name, *pair in zip(names, mine, theirs, strict=True)}


def accepted(readings):
    return {name: pair for name, pair in readings.items() if "refused" not in pair[1]}


def test_opensim_refuses_exactly_the_files_listed_here(readings):
    refused = {name: str(theirs["refused"]) for name, (_, theirs) in readings.items() if "refused" in theirs}
    assert sorted(refused) == sorted(REFUSED), refused
    for name, words in REFUSED.items():
        assert words in refused[name]
    assert len(readings) > 40


def test_every_table_reads_as_opensim_reads_it(readings):
    for name, (mine, theirs) in accepted(readings).items():
        assert mine.labels == json.loads(str(theirs["labels"])), name
        np.testing.assert_allclose(mine.time, theirs["time"], rtol=0, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(mine.flat, theirs["values"], rtol=0, atol=1e-6, equal_nan=True, err_msg=name)


def test_markers_read_as_opensims_marker_tools_read_them(readings):
    checked = 0
    for name, (mine, theirs) in accepted(readings).items():
        if name.endswith(".trc"):
            rows = theirs["marker_rows"]
            np.testing.assert_allclose(mine.values[rows], theirs["marker_values"], rtol=0, atol=1e-6, err_msg=name)
            checked += 1
    assert checked > 20


@pytest.mark.parametrize("in_degrees", [True, False])
def test_opensim_reads_what_we_write(tmp_path, in_degrees):
    generator = np.random.default_rng(5)
    time, values = np.cumsum(generator.uniform(0.001, 1, 200)), generator.normal(0, 1e3, (200, 3))
    write_sto(tmp_path / "ours.sto", ["a", "/jointset/hip_r/hip_flexion_r/value", "c"], time, values, in_degrees)
    found = judge(read=[(str(tmp_path / "ours.sto"), 1)])
    assert json.loads(str(found["0/labels"])) == ["a", "/jointset/hip_r/hip_flexion_r/value", "c"]
    np.testing.assert_array_equal(found["0/time"], time)
    np.testing.assert_array_equal(found["0/values"], values)


def test_we_read_what_opensim_writes(tmp_path):
    generator = np.random.default_rng(6)
    time, values = np.arange(50) / 100, generator.normal(0, 1e3, (50, 2))
    path = tmp_path / "theirs.sto"
    judge(write={"target": str(path), "labels": ["a", "b"], "time": time.tolist(), "values": values.tolist()})
    table = read_sto(path)
    assert (table.columns, table.in_degrees) == (("a", "b"), True)
    np.testing.assert_allclose(table.time, time, rtol=0, atol=1e-12)
    np.testing.assert_allclose(table.values, values, rtol=1e-12)


# --- joint angles ----------------------------------------------------------------------------------------------------


def differences(model, motion, every, knee_sign=1):
    """{our DoF: our angle minus the model's coordinate, deg} over every ``every``-th row of a shared motion."""
    table = read_sto(SHARED / motion)
    rows = slice(None, None, every)
    radians = np.where(["_t" in name[-3:] for name in table.columns], 1.0, np.pi / 180 if table.in_degrees else 1.0)
    values = table.values[rows] * radians
    poses = {"model_path": str(SHARED / model), "names": table.columns, "values": values.tolist()}
    found = judge(pose={**poses, "bodies": list(BODIES.values())})
    segments = segment_dataset(
        table.time[rows], list(BODIES), kinematics.quaternions(found["rotations"]), tier="simulation", exact=True
    )
    angles = kinematics.dofs_from_segments(segments)
    names = {f"{dof}_{side}": f"{name}_{side}" for dof, name in COORDINATES.items() for side in "rl"}
    names |= {name: name for name in PELVIS}
    theirs = {name: np.degrees(found["posed"][:, table.columns.index(column)]) for name, column in names.items()}
    signs = {name: knee_sign if name.startswith("knee") else 1 for name in names}
    return {name: angles["angle"].sel(dof=name).values - signs[name] * theirs[name] for name in names}


@needs_shared
@pytest.mark.parametrize(
    "model", ["opensense/example/reference/Rajagopal2015_opensense.osim",
              "opensense/subject07/std_calibrated_subject07.osim"],
)  # fmt: skip
def test_our_angles_are_the_rajagopal_models_coordinates(model):
    error = differences(model, "opensense/example/reference/imu_ik_opensim46.mot", 16)
    for side in "rl":
        for dof in ("hip_flexion", "hip_adduction", "hip_internal_rotation"):
            assert np.abs(error[f"{dof}_{side}"]).max() < 1e-3, "a ball joint in our own order: the same angles"
        # The knee's axis is tilted, with adduction and rotation by spline; the ankle's pin is oblique. Their one
        # coordinate is not the first of three angles: by this much over walking (0.27 to 0.31, 0.14 to 0.15 deg RMS).
        assert 0.2 < rms(error[f"knee_flexion_{side}"]) < 0.4
        assert 0.1 < rms(error[f"ankle_dorsiflexion_{side}"]) < 0.2
        assert max(np.abs(error[f"{dof}_{side}"]).max() for dof in ("knee_flexion", "ankle_dorsiflexion")) < 0.7


@needs_shared
def test_our_angles_are_a_gait2392_models_coordinates():
    folder = "opensim_mocap/levelground"
    error = differences(
        f"{folder}/final_with_imu.osim", f"{folder}/levelground_ccw_fast_01_01_ik.mot", 16, knee_sign=-1
    )
    for name in (
        *PELVIS,
        *(f"hip_{dof}_{side}" for side in "rl" for dof in ("flexion", "adduction", "internal_rotation")),
    ):
        assert np.abs(error[name]).max() < 1e-3, name
    for side in "rl":
        assert np.abs(error[f"knee_flexion_{side}"]).max() < 1e-3, "a pin about Z, of the other sign"
        # The pin of the ankle is oblique, and the subtalar joint moves too: 1.1 to 1.2 deg RMS, 5 at most.
        assert 0.9 < rms(error[f"ankle_dorsiflexion_{side}"]) < 1.4


def rms(values):
    return float(np.sqrt(np.mean(values**2)))
