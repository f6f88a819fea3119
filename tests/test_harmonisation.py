"""Harmonisation: units, worlds, axes, signs and masks, each declared, each once, each written down."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from kinbench import schema
from kinbench.errors import DataError, UsageError
from kinbench.harmonisation import harmonise
from kinbench.kinematics import dofs_from_segments, joint_angles
from kinbench.recording import (
    Calibration,
    Declared,
    Key,
    Mask,
    Placement,
    Recording,
    Sync,
    angle_dataset,
    imu_dataset,
    segment_dataset,
)

KEY = Key("lab", "S01", "1", "walk")
N = 12
TIME = np.arange(N) / 100
RANDOM = np.random.default_rng(7)
VALUES = RANDOM.normal(size=(N, 2, 3)).astype(np.float32)


def imu(acc="m s-2", gyr="rad s-1", mag=None, quat=None):
    signals = {
        "acc": (VALUES, {"units": acc, "kind": "specific_force", "frame": "sensor"}),
        "gyr": (VALUES, {"units": gyr, "frame": "sensor"}),
    }
    if mag is not None:
        signals["mag"] = (VALUES, {"units": mag, "frame": "sensor"})
    if quat is not None:
        signals["quat"] = (quat, {"units": "1", "maps": "sensor_to_world", "origin": "device"})
    return imu_dataset(TIME, [Placement("a", "thigh_r", "right"), Placement("b", "shank_r", "right")], signals)


def angles(values=None, units="deg", dofs=("knee_flexion_r", "hip_flexion_r")):
    values = np.tile([[10.0, 20.0]], (N, 1)) if values is None else values
    return angle_dataset(TIME, dofs, values, units=units, convention="isb_zxy", tier="encoder")


def segments(rotations, names=("thigh_r", "shank_r")):
    quat = np.stack([turn.as_quat(scalar_first=True) for turn in rotations], axis=1)
    return segment_dataset(TIME, names, quat, tier="optical_6dof")


def recorded(imu=None, reference=None, **declared):
    return Recording(KEY, imu, reference, {"history": [], "world": "as recorded"}, Declared(**declared))


def steps(recording):
    return [step["step"] for step in recording.attrs["history"]]


def assert_same(one, other):
    for before, after in ((one.imu, other.imu), (one.reference, other.reference)):
        assert (before is None and after is None) or before.identical(after)
    assert one.attrs == other.attrs
    assert one.declared == other.declared


# --- units ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "unit", "factor"),
    [
        ("acc", "m s-2", 1.0),
        ("acc", "g", schema.GRAVITY),
        ("acc", "mg", schema.GRAVITY / 1000),
        ("gyr", "deg s-1", np.pi / 180),
        ("mag", "gauss", 100.0),
        ("mag", "mG", 0.1),
        ("mag", "1", 1.0),
    ],
)
def test_units_of_an_imu_become_the_schema_s(variable, unit, factor):
    done = harmonise(recorded(imu(**{variable: unit})))
    assert done.imu[variable].values == pytest.approx(VALUES * factor, rel=1e-6)
    assert done.imu[variable].values.dtype == np.float32
    assert done.imu[variable].attrs["units"] in schema.VARIABLES[variable].units.split("|")
    assert steps(done) == ([] if factor == 1.0 else ["convert_units"])


def test_radians_become_degrees_and_millimetres_metres():
    reference = angles(np.full((N, 2), np.pi / 6), units="rad")
    assert harmonise(recorded(reference=reference)).reference["angle"].values == pytest.approx(30.0)
    placed = segments([Rotation.identity(N)] * 2).assign(
        segment_position=(("time", "segment", "axis"), np.full((N, 2, 3), 1500.0), {"units": "mm", "point": "origin"})
    )
    done = harmonise(recorded(reference=placed)).reference["segment_position"]
    assert done.values == pytest.approx(1.5)
    assert done.attrs == {"units": "m", "point": "origin"}
    assert done.dtype == np.float32


def test_every_unknown_unit_is_named_at_once():
    with pytest.raises(DataError) as caught:
        harmonise(recorded(imu(acc="furlong", gyr="degs s-1")))
    assert len(caught.value.problems) == 2
    assert "'furlong'" in str(caught.value)
    assert "deg s-1" in str(caught.value)


# --- worlds and orientations ----------------------------------------------------------------------


def source_turns(seed):
    return [Rotation.random(N, random_state=seed + k) for k in range(2)]


def test_z_up_becomes_y_up_and_relative_rotations_stay():
    turns = source_turns(1)
    before = segments(turns)
    done = harmonise(recorded(reference=before, reference_up="z", reference_forward="x")).reference
    quat = done["segment_quat"].values
    up_before = turns[0].inv().apply([0, 0, 1])
    up_after = Rotation.from_quat(quat[:, 0], scalar_first=True).inv().apply([0, 1, 0])
    assert up_after == pytest.approx(up_before, abs=1e-6)
    assert joint_angles(quat[:, 0], quat[:, 1]) == pytest.approx(
        joint_angles(before["segment_quat"].values[:, 0], before["segment_quat"].values[:, 1]), abs=1e-3
    )


@pytest.mark.parametrize(("up", "vector"), [("x", [1, 0, 0]), ("y", [0, 1, 0]), ("z", [0, 0, 1]), ("-z", [0, 0, -1])])
def test_the_up_of_the_sensors_world_becomes_y(up, vector):
    turns = source_turns(3)
    quat = np.stack([turn.as_quat(scalar_first=True) for turn in turns], axis=1)
    done = harmonise(recorded(imu(quat=quat), imu_up=up)).imu["quat"].values
    after = Rotation.from_quat(done[:, 1], scalar_first=True).inv().apply([0, 1, 0])
    assert after == pytest.approx(turns[1].inv().apply(vector), abs=1e-6)


def test_forward_and_right_follow_the_declaration():
    still = segments([Rotation.identity(N)] * 2).assign(
        segment_position=(
            ("time", "segment", "axis"),
            np.tile([[1.0, 2.0, 3.0]], (N, 2, 1)),
            {"units": "m", "point": "o"},
        )
    )
    done = harmonise(recorded(reference=still, reference_up="z", reference_forward="y")).reference
    # forward = y = 2, up = z = 3, right = forward x up = x = 1
    assert done["segment_position"].values[0, 0] == pytest.approx([2.0, 3.0, 1.0])


def test_the_order_and_direction_of_quaternions_are_mended():
    turns = source_turns(5)
    straight = np.stack([turn.as_quat(scalar_first=True) for turn in turns], axis=1)
    other_way = np.stack([turn.inv().as_quat() for turn in turns], axis=1)
    done = harmonise(recorded(imu(quat=other_way), quat_order="xyzw", quat_maps="world_to_sensor"))
    same = np.abs(np.sum(done.imu["quat"].values * straight, axis=-1))
    assert same == pytest.approx(1.0, abs=1e-6)
    assert steps(done) == ["reorder_quaternion", "invert_quaternion"]
    assert done.imu["quat"].attrs["maps"] == "sensor_to_world"


def test_segment_axes_turn_the_source_s_axes_into_ours():
    # A source with x anterior, y left, z proximal: ours are X = x, Y = z, Z = -y.
    axes = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    ours = [Rotation.random(N, random_state=8), Rotation.random(N, random_state=9)]
    source = [turn * Rotation.from_matrix(axes) for turn in ours]
    done = harmonise(recorded(reference=segments(source), segment_axes={"thigh_r": axes, "shank_r": axes})).reference
    wanted = joint_angles(ours[0].as_quat(scalar_first=True), ours[1].as_quat(scalar_first=True))
    angle = dofs_from_segments(done)["angle"]
    assert angle.sel(dof="knee_flexion_r").values == pytest.approx(-wanted[:, 0], abs=1e-3)


def test_missing_quaternions_stay_missing_and_norms_are_left_to_inspection():
    quat = segments(source_turns(1))["segment_quat"].values.copy()
    quat[2, 0] = np.nan
    quat[3] *= 0.5
    reference = segment_dataset(TIME, ("thigh_r", "shank_r"), quat, tier="optical_6dof")
    done = harmonise(recorded(reference=reference, reference_up="z")).reference["segment_quat"].values
    assert np.isnan(done[2, 0]).all()
    assert np.linalg.norm(done[3, 0]) == pytest.approx(0.5, abs=1e-6)


# --- degrees of freedom and masks -----------------------------------------------------------------


def test_sign_and_zero_of_a_dof_in_this_order():
    done = harmonise(
        recorded(reference=angles(), dof_scale={"knee_flexion_r": -1.0}, dof_zero_deg={"knee_flexion_r": 25.0})
    )
    assert done.reference["angle"].sel(dof="knee_flexion_r").values == pytest.approx(15.0)
    assert done.reference["angle"].sel(dof="hip_flexion_r").values == pytest.approx(20.0)
    assert steps(done) == ["scale_dof"]


def test_a_mask_takes_values_and_validity_away_half_open_and_only_there():
    done = harmonise(recorded(reference=angles(), masks=(Mask(0.02, 0.05, "wrapped", ("knee_flexion_r",)),)))
    valid = done.reference["valid"]
    assert valid.sel(dof="hip_flexion_r").values.all()
    assert np.flatnonzero(~valid.sel(dof="knee_flexion_r").values).tolist() == [2, 3, 4]
    assert np.isnan(done.reference["angle"].values[2:5, 0]).all()
    assert done.attrs["history"][-1]["samples"] == 3


def test_a_mask_of_segments_reaches_every_dof():
    done = harmonise(recorded(reference=segments(source_turns(2)), masks=(Mask(0.0, 0.03, "marker lost"),)))
    angle = dofs_from_segments(done.reference)
    assert angle["valid"].values[:3].any() == np.False_
    assert angle["valid"].values[3:].all()


# --- laws -----------------------------------------------------------------------------------------


def full(acc="g", gyr="deg s-1", up="z", zero=10.0):
    quat = segments(source_turns(11))["segment_quat"].values
    both = segments(source_turns(12)).merge(angles())
    return recorded(
        imu(acc=acc, gyr=gyr, mag="gauss", quat=quat),
        both,
        imu_up=up,
        quat_order="xyzw",
        reference_up=up,
        segment_axes={"thigh_r": np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])},
        dof_zero_deg={"knee_flexion_r": zero},
        masks=(Mask(0.0, 0.02, "start"),),
        calibrations={"a": Calibration((0, 1), None, "z", "right")},
        sync=Sync("estimated"),
    )


@settings(max_examples=15, deadline=None)
@given(
    acc=st.sampled_from(["m s-2", "g", "mg"]),
    gyr=st.sampled_from(["rad s-1", "deg s-1"]),
    up=st.sampled_from(["x", "y", "z", "-z"]),
    zero=st.floats(-40, 40),
)
def test_harmonising_twice_is_harmonising_once(acc, gyr, up, zero):
    source = full(acc, gyr, up, zero)
    once = harmonise(source)
    assert_same(harmonise(once), once)
    assert once.declared == Declared(calibrations=source.declared.calibrations, sync=source.declared.sync)


def test_the_raw_recording_is_not_touched():
    source = full()
    before = source.imu.copy(deep=True), source.reference.copy(deep=True)
    harmonise(source)
    assert source.imu.identical(before[0])
    assert source.reference.identical(before[1])


def test_what_is_in_schema_form_passes_untouched_and_unremarked():
    source = recorded(imu(), angles())
    assert_same(harmonise(source), source)


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "word"),
    [
        ({"dof_scale": {"knee_flexon_r": -1.0}}, "knee_flexion_r"),
        ({"dof_zero_deg": {"nothing": 1.0}}, "nothing"),
        ({"masks": (Mask(0, 1, "?", ("knee",)),)}, "'knee'"),
        ({"segment_axes": {"thigh": np.eye(3)}}, "thigh"),
        ({"reference_up": "q"}, "'q'"),
        ({"imu_up": "xz"}, "'xz'"),
        ({"reference_up": "z", "reference_forward": "-z"}, "different"),
        ({"reference_forward": "x"}, "reference_up"),
        ({"quat_order": "zyxw"}, "zyxw"),
        ({"segment_quat_maps": "backwards"}, "backwards"),
    ],
)
def test_a_declaration_that_cannot_be_is_refused_in_one_sentence(declared, word):
    with pytest.raises(UsageError, match=word):
        harmonise(recorded(imu(), angles().merge(segments(source_turns(1))), **declared))


def test_mirrored_segment_axes_are_refused():
    with pytest.raises(UsageError, match="right-handed"):
        harmonise(recorded(reference=segments(source_turns(1)), segment_axes={"thigh_r": np.diag([1.0, 1.0, -1.0])}))


def test_a_mask_of_segments_cannot_name_dofs():
    reference = segments(source_turns(1)).merge(angles())
    with pytest.raises(UsageError, match="all of them"):
        harmonise(recorded(reference=reference, masks=(Mask(0, 1, "?", ("knee_flexion_r",)),)))
