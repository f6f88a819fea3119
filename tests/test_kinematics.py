"""Joint angles: the convention of the schema, its inverse, and the mirror."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from kinbench import schema
from kinbench.errors import DataError
from kinbench.kinematics import dofs_from_segments, joint_angles, mirror_acc, mirror_gyr, rotation_from_angles
from kinbench.recording import segment_dataset

IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])
wide = st.floats(-179.0, 179.0)
narrow = st.floats(-89.0, 89.0)


def turns(seed, n=5):
    return Rotation.random(n, random_state=seed)


def quaternions(rotation):
    return rotation.as_quat(scalar_first=True)


@settings(max_examples=60, deadline=None)
@given(a=wide, b=narrow, c=wide, seed=st.integers(0, 1000))
def test_angles_survive_the_round_trip_in_any_world(a, b, c, seed):
    proximal = turns(seed, 1)
    distal = proximal * Rotation.from_quat(rotation_from_angles(a, b, c), scalar_first=True)
    found = joint_angles(quaternions(proximal), quaternions(distal))
    assert found[0] == pytest.approx([a, b, c], abs=1e-6)


def test_angles_are_those_of_the_intrinsic_z_x_y_sequence():
    proximal, distal = turns(1, 50), turns(2, 50)
    wanted = (proximal.inv() * distal).as_euler("ZXY", degrees=True)
    assert joint_angles(quaternions(proximal), quaternions(distal)) == pytest.approx(wanted, abs=1e-8)


def test_a_world_change_leaves_joint_angles_as_they_are():
    proximal, distal, world = turns(3), turns(4), turns(5, 1)
    before = joint_angles(quaternions(proximal), quaternions(distal))
    after = joint_angles(quaternions(world * proximal), quaternions(world * distal))
    assert after == pytest.approx(before, abs=1e-9)


def test_gimbal_lock_gives_finite_angles_without_a_warning():
    assert np.isfinite(joint_angles([IDENTITY], rotation_from_angles(20.0, 90.0, 10.0))).all()


@pytest.mark.parametrize("bad", [np.full(4, np.nan), np.zeros(4)])
def test_a_missing_quaternion_gives_nan_in_its_row_only(bad):
    found = joint_angles([IDENTITY, bad], [IDENTITY, IDENTITY])
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()


def leg(knee, ankle=0.0, hip=0.0, letters="rl"):
    """A pelvis that stands in the world, and legs flexed by these angles about Z, by hand."""
    segments = {"pelvis": Rotation.identity()}
    for letter in letters:
        segments[f"thigh_{letter}"] = Rotation.from_euler("Z", hip, degrees=True)
        segments[f"shank_{letter}"] = segments[f"thigh_{letter}"] * Rotation.from_euler("Z", -knee, degrees=True)
        segments[f"foot_{letter}"] = segments[f"shank_{letter}"] * Rotation.from_euler("Z", ankle, degrees=True)
    return stream(segments)


def stream(segments, n=3):
    quat = np.stack([np.tile(quaternions(turn), (n, 1)) for turn in segments.values()], axis=1)
    return segment_dataset(np.arange(n) / 100, list(segments), quat, tier="optical_6dof")


def test_flexing_a_leg_flexes_hip_knee_and_ankle_on_both_sides():
    angle = dofs_from_segments(leg(knee=60.0, ankle=12.0, hip=25.0))["angle"]
    for letter in "rl":
        assert angle.sel(dof=f"knee_flexion_{letter}").values == pytest.approx(60.0, abs=1e-4)
        assert angle.sel(dof=f"hip_flexion_{letter}").values == pytest.approx(25.0, abs=1e-4)
        assert angle.sel(dof=f"ankle_dorsiflexion_{letter}").values == pytest.approx(12.0, abs=1e-4)


@pytest.mark.parametrize(("letter", "about_x", "about_y"), [("r", 1, 1), ("l", -1, -1)])
def test_adduction_and_internal_rotation_are_mirrored_between_the_legs(letter, about_x, about_y):
    thigh = Rotation.from_euler("X", 10 * about_x, degrees=True)
    turned = Rotation.from_euler("Y", 10 * about_y, degrees=True)
    adducted = dofs_from_segments(stream({"pelvis": Rotation.identity(), f"thigh_{letter}": thigh}))["angle"]
    rotated = dofs_from_segments(stream({"pelvis": Rotation.identity(), f"thigh_{letter}": turned}))["angle"]
    assert adducted.sel(dof=f"hip_adduction_{letter}").values == pytest.approx(10.0, abs=1e-4)
    assert rotated.sel(dof=f"hip_internal_rotation_{letter}").values == pytest.approx(10.0, abs=1e-4)


def test_only_dofs_with_both_segments_are_computed_and_the_rest_is_kept():
    segments = leg(knee=30.0, letters="r").sel(segment=["shank_r", "thigh_r"])
    segments = segments.assign(
        segment_position=xr.DataArray(
            np.zeros((3, 2, 3), np.float32), dims=("time", "segment", "axis"), attrs={"units": "m", "point": "origin"}
        )
    )
    found = dofs_from_segments(segments)
    assert [str(name) for name in found["dof"].values] == [
        name for name, dof in schema.DOFS.items() if dof.joint == "knee" and dof.side == "right"
    ]
    assert found["segment_quat"].equals(segments["segment_quat"])
    assert found["segment_position"].equals(segments["segment_position"])
    assert found["angle"].attrs == {"units": "deg", "convention": "isb_zxy", "tier": "optical_6dof"}
    assert not [b for b in schema.validate(None, found.drop_vars("segment_position"), {}) if "reference" in b.path]


def test_the_pelvis_alone_gives_its_three_angles_in_the_world():
    found = dofs_from_segments(stream({"pelvis": Rotation.from_euler("Y", 15, degrees=True)}))
    assert found["angle"].sel(dof="pelvis_rotation").values == pytest.approx(15.0, abs=1e-4)


def test_a_missing_quaternion_is_nan_and_not_valid():
    segments = leg(knee=30.0)
    quat = segments["segment_quat"].values.copy()
    quat[1, list(segments["segment"].values).index("thigh_r")] = np.nan
    found = dofs_from_segments(segments.assign(segment_quat=segments["segment_quat"].copy(data=quat)))
    assert found["valid"].sel(dof="knee_flexion_r").values.tolist() == [True, False, True]
    assert np.isnan(found["angle"].sel(dof="knee_flexion_r").values[1])
    assert found["valid"].sel(dof="knee_flexion_l").values.all()


def test_segments_that_share_no_joint_are_refused():
    with pytest.raises(DataError, match="two adjacent segments"):
        dofs_from_segments(stream({"thigh_r": Rotation.identity(), "foot_l": Rotation.identity()}))


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.floats(-50, 50, width=32), min_size=3, max_size=3))
def test_the_mirror_is_an_involution_and_keeps_the_cross_product_s_law(values):
    vector = np.array(values, dtype=np.float32)
    assert np.array_equal(mirror_acc(mirror_acc(vector)), vector)
    assert np.array_equal(mirror_gyr(mirror_gyr(vector)), vector)
    assert mirror_acc(vector).dtype == np.float32
    # A rotating arm seen in a mirror: velocity (polar) mirrors like acc, when rate (axial) mirrors like gyr.
    arm = np.array([0.1, -0.4, 0.2])
    assert np.cross(mirror_gyr(vector), mirror_acc(arm)) == pytest.approx(mirror_acc(np.cross(vector, arm)), abs=1e-4)
