"""A reference that OpenSim makes of markers: its truth on a model that we move, its guards, and a real recording."""

from pathlib import Path

import child_cases
import numpy as np
import pytest
from conftest import needs_shared
from kinbench_adapters import _opensim_ik
from kinbench_adapters._formats.opensim import TrcTable, read_sto, read_trc
from kinbench_adapters._opensim_ik import solve
from kinbench_adapters.lab import LabAdapter
from opensim_case import judge

from kinbench import conversion
from kinbench.errors import DataError, UsageError

RATE_HZ, FRAMES = 60.0, 40
SOLVED_DEG = 0.05
"""How near the solver comes at its usual accuracy (1e-5)."""

MANIFEST = """
kinbench: 1
dataset: {id: lab, version: "1", licence: CC0-1.0, redistributable: true}
imu:
  files: "{subject}/{trial}_{sensor}.csv"
  rate_hz: 60
  acc: {columns: [ax, ay, az], unit: m/s2, kind: specific_force}
  sensors: {T: {segment: thigh_r, axes: {x: anterior, y: proximal}}}
reference:
  files: "{subject}/{trial}.trc"
  opensim_ik: {model: "{subject}/scaled.osim", weights: {pelvis_0: 5}}
  angles: {hip_flexion_r: hip_flexion_r, knee_flexion_r: {column: knee_angle_r, sign: -1}}
sync: {method: same_clock}
"""


def write_trc(path, names, time, places, unit="mm"):
    """Write markers (n, marker, 3) metres as motion capture systems export them; NaN is an empty cell."""
    scale = {"mm": 1000.0, "m": 1.0}[unit]
    head = ["PathFileType\t4\t(X/Y/Z)\tmarkers.trc",
            "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
            f"{RATE_HZ:g}\t{RATE_HZ:g}\t{len(time)}\t{len(names)}\t{unit}\t{RATE_HZ:g}\t1\t{len(time)}",
            "Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t",
            "\t\t" + "\t".join(f"{axis}{n + 1}" for n in range(len(names)) for axis in "XYZ")]  # fmt: skip
    rows = [
        "\t".join([str(k + 1), repr(t), *("" if np.isnan(v) else repr(v * scale) for v in frame.ravel().tolist())])
        for k, (t, frame) in enumerate(zip(time.tolist(), places, strict=True))
    ]
    path.write_text("\n".join([*head, *rows]) + "\n")


@pytest.fixture(scope="module")
def leg(tmp_path_factory):
    """A model, its hip and knee angles (n, 2) in rad, and where its markers are then: (path, angles, names, places)."""
    path = tmp_path_factory.mktemp("leg") / "scaled.osim"
    phase = 2 * np.pi * np.arange(FRAMES) / FRAMES
    angles = np.column_stack((0.3 + 0.4 * np.sin(phase), -0.5 + 0.4 * np.cos(phase)))
    found = judge(leg={"target": str(path), "values": angles.tolist()})
    return path, angles, [str(name) for name in found["names"]], found["markers"]


@pytest.fixture
def lab(leg, tmp_path):
    """A laboratory with one person and one trial, for the tests to spoil; returns its folder."""
    path, _, names, places = leg
    person = tmp_path / "P1"
    person.mkdir()
    (person / "scaled.osim").write_bytes(path.read_bytes())
    write_trc(person / "walk.trc", names, np.arange(FRAMES) / RATE_HZ, places)
    gravity = "".join("0.1,9.8,0.2\n" for _ in range(FRAMES))
    (person / "walk_T.csv").write_text("ax,ay,az\n" + gravity)
    (tmp_path / "kinbench.yaml").write_text(MANIFEST)
    return tmp_path


def load(folder):
    (source,) = LabAdapter().find(folder).sources
    return source.load()


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def table_of(leg, places=None, unit="m", names=None):
    _, _, known, true = leg
    values = true if places is None else places
    return TrcTable(RATE_HZ, unit, tuple(names or known), np.arange(len(values)) / RATE_HZ, values)


def told(call):
    with pytest.raises(DataError) as caught:
        call()
    return "\n".join(caught.value.problems)


def test_the_models_own_motion_comes_back(lab, leg):
    recording = load(lab)
    angles = np.degrees(leg[1])
    reference = recording.reference
    np.testing.assert_allclose(reference["angle"].sel(dof="hip_flexion_r").values, angles[:, 0], atol=SOLVED_DEG)
    np.testing.assert_allclose(reference["angle"].sel(dof="knee_flexion_r").values, angles[:, 1], atol=SOLVED_DEG)
    assert reference["angle"].attrs == {"units": "deg", "convention": "opensim_coordinate", "tier": "optical_marker_ik"}
    assert recording.declared.dof_scale == {"knee_flexion_r": -1.0}
    (step,) = [step for step in recording.attrs["history"] if step["step"] == "opensim_ik"]
    assert step["model"] == "scaled.osim"
    assert step["weights"] == {"pelvis_0": 5.0}
    assert step["marker_error_max_m"] < 1e-3
    assert (step["markers"], step["frames"], step["frames_masked"]) == (10, FRAMES, 0)
    assert "quality" not in recording.attrs
    assert {"P1/scaled.osim", "P1/walk.trc"} <= {source["name"] for source in recording.attrs["source"]}


def test_it_converts_like_any_other_reference(lab, tmp_path):
    converted = conversion.convert(LabAdapter(), lab, tmp_path / "data")
    assert [outcome.status for outcome in converted.outcomes] == ["converted"]
    assert converted.outcomes[0].dofs == 2


def test_noise_of_the_markers_is_their_error(leg):
    noise = np.random.default_rng(3).normal(0, 0.01, leg[3].shape)
    found = solve(leg[0], table_of(leg, leg[3] + noise), ["hip_flexion_r"], weights={}, where=leg[0])
    # 10 markers in 3 directions leave 30 - 8 of 30 degrees of freedom to the residual (8 coordinates are fitted).
    assert found.error_rms_m == pytest.approx(np.sqrt(3) * 0.01 * np.sqrt(22 / 30), rel=0.1)


def test_a_marker_of_weight_zero_has_no_say_and_a_heavy_one_has_more(leg):
    spoilt = leg[3].copy()
    spoilt[:, leg[2].index("femur_r_0")] += 0.05
    errors = {}
    for weight in (0.0, 1.0, 100.0):
        weights = {"femur_r_0": weight}
        found = solve(leg[0], table_of(leg, spoilt), ["hip_flexion_r"], weights=weights, where=leg[0])
        errors[weight] = np.abs(found.values[:, 0] - np.degrees(leg[1][:, 0])).max()
    assert errors[0.0] < SOLVED_DEG < 1.0 < errors[1.0] < errors[100.0]


def test_frames_that_show_too_few_markers_are_masked(leg):
    places = leg[3].copy()
    thigh = [leg[2].index(f"femur_r_{number}") for number in range(3)]
    pelvis = [leg[2].index(f"pelvis_{number}") for number in range(4)]
    places[5, thigh[0]] = np.nan  # two of three are left: the hip holds the third point
    places[10, thigh[:2]] = np.nan
    places[15, pelvis[0]] = np.nan
    places[20, pelvis[:2]] = np.nan
    found = solve(leg[0], table_of(leg, places), ["hip_flexion_r", "knee_angle_r"], weights={}, where=leg[0])
    assert np.flatnonzero(np.isnan(found.values).any(axis=1)).tolist() == [10, 20]
    known = ~np.isnan(found.values[:, 0])
    np.testing.assert_allclose(found.values[known], np.degrees(leg[1])[known], atol=SOLVED_DEG)
    assert np.isnan(found.error_m[5, thigh[0]])
    assert found.plain()["frames_masked"] == 2


@pytest.mark.parametrize(
    ("coordinates", "weights", "words"),
    [
        (["knee_angle_l"], {}, "has no coordinate 'knee_angle_l'. Did you mean 'knee_angle_r'?"),
        (["wrist_flex_r"], {}, "'wrist_flex_r' moves none of the markers"),
        ([], {"femur_r_9": 2.0}, "weight for marker 'femur_r_9'"),
        (["knee_angle_l", "wrist_flex_r"], {"x": 1.0}, "wrist_flex_r"),
    ],
)
def test_what_model_and_markers_cannot_tell_is_refused(leg, coordinates, weights, words):
    sentences = told(lambda: solve(leg[0], table_of(leg), coordinates, weights=weights, where=leg[0]))
    assert words in sentences
    assert sentences.count("\n") == len(coordinates) + len(weights) - 1, "all at once"


def test_a_locked_coordinate_is_refused(leg, tmp_path):
    path = tmp_path / "locked.osim"
    judge(leg={"target": str(path), "values": [[0.0, 0.0]], "locked": ["knee_angle_r"]})
    assert "locked" in told(lambda: solve(path, table_of(leg), ["knee_angle_r"], weights={}, where=path))


def test_a_wrong_unit_does_not_pass_for_a_person(leg):
    found = told(lambda: solve(leg[0], table_of(leg, unit="mm"), ["hip_flexion_r"], weights={}, where=leg[0]))
    assert "m RMS" in found
    assert "'mm'" in found
    assert "inch" in told(
        lambda: solve(leg[0], table_of(leg, unit="inch"), ["hip_flexion_r"], weights={}, where=leg[0])
    )


def test_strange_markers_are_named(leg):
    names = [f"M{number}" for number in range(10)]
    found = told(lambda: solve(leg[0], table_of(leg, names=names), ["hip_flexion_r"], weights={}, where=leg[0]))
    assert "at least 3 markers" in found
    assert "pelvis_0" in found


def test_a_model_that_is_none_or_absent_fails_alone(lab):
    (lab / "P1" / "scaled.osim").write_text("<OpenSimDocument>")
    assert "OpenSim" in told(lambda: load(lab))
    (lab / "P1" / "scaled.osim").unlink()
    assert "expected the scaled model 'scaled.osim'" in told(lambda: load(lab))


def test_a_solver_that_hangs_is_ended(leg, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setattr(_opensim_ik, "_track_all", child_cases.hangs)
    monkeypatch.setattr(_opensim_ik, "_START_S", 0.1)
    monkeypatch.setattr(_opensim_ik, "_FRAME_S", 0.0)
    assert "did not end" in told(lambda: solve(leg[0], table_of(leg), ["hip_flexion_r"], weights={}, where=leg[0]))


def test_a_solver_that_crashes_is_told(leg, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setattr(_opensim_ik, "_track_all", child_cases.crashes)
    assert "status -6" in told(lambda: solve(leg[0], table_of(leg), ["hip_flexion_r"], weights={}, where=leg[0]))


def test_a_poor_fit_is_flagged(lab, leg):
    spoilt = leg[3] + np.random.default_rng(4).normal(0, 0.03, leg[3].shape)
    write_trc(lab / "P1" / "walk.trc", leg[2], np.arange(FRAMES) / RATE_HZ, spoilt, unit="m")
    assert load(lab).attrs["quality"] == ["reference:marker_error"]


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(_opensim_ik, "find_spec", lambda name: None)
    table = TrcTable(RATE_HZ, "m", ("A",), np.zeros(1), np.zeros((1, 1, 3)))
    with pytest.raises(UsageError, match=r"pip install 'kinbench\[opensim\]'"):
        solve(tmp_path / "m.osim", table, ["a"], weights={}, where=tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("{trial}.trc", "{trial}.sto", "needs 'files' of measured markers"),
        ("  angles:", "  tier: encoder\n  angles:", "'tier' is optical_marker_ik"),
        ("  angles:", "  unit: rad\n  angles:", "'unit' is deg"),
        ("{subject}/scaled.osim", "{subject}/*.osim", "one file per recording"),
        ("{subject}/scaled.osim", "{person}/scaled.osim", "unknown field {person}"),
        ("pelvis_0: 5", "pelvis_0: -5", "weights"),
        ("weights:", "weihgts:", "Did you mean 'weights'?"),
        ("opensim_ik:", "opensim_ki:", "Did you mean 'opensim_ik'?"),
    ],
)
def test_mistakes_in_the_manifest_are_told_with_their_line(tmp_path, old, new, words):
    (tmp_path / "kinbench.yaml").write_text(MANIFEST)
    edit(tmp_path / "kinbench.yaml", old, new)
    with pytest.raises(UsageError) as caught:
        LabAdapter().find(tmp_path)
    assert words in str(caught.value)
    assert "kinbench.yaml:" in str(caught.value)


# --- a real recording ------------------------------------------------------------------------------------------------


@needs_shared
def test_a_real_walk_agrees_with_the_inverse_kinematics_that_came_with_it(shared):
    folder = shared / "opensim_mocap" / "levelground"
    model, rows = folder / "final_with_imu.osim", slice(0, 400)
    whole = read_trc(folder / "levelground_ccw_fast_01_01.trc")
    table = TrcTable(whole.rate_hz, whole.units, whole.markers, whole.time[rows], whole.values[rows])
    theirs = read_sto(folder / "levelground_ccw_fast_01_01_ik.mot")
    # Another solver's angles of the same model and markers, which leave a larger marker error (8.5 mm against 8.1).
    limits = {"hip_flexion": 3.0, "hip_adduction": 1.5, "hip_rotation": 2.5, "knee_angle": 2.5, "ankle_angle": 1.5}
    names = [f"{joint}_{side}" for joint in limits for side in "rl"]
    found = solve(model, table, names, weights={}, where=folder)
    assert found.error_rms_m < 0.012
    for index, name in enumerate(names):
        shipped = np.degrees(theirs.values[rows, theirs.columns.index(name)])
        apart = np.sqrt(np.nanmean((found.values[:, index] - shipped) ** 2))
        assert apart < limits[name.rpartition("_")[0]], name
