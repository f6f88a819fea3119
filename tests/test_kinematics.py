"""Joint angles: the convention of the schema, its inverse, and the mirror."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat
from scipy.spatial.transform import Rotation

from kinbench import schema
from kinbench.errors import DataError, UsageError
from kinbench.kinematics import (
    Frame,
    clinic_angles,
    cluster_motion,
    dofs_from_segments,
    joint_angles,
    mirror_acc,
    mirror_gyr,
    orthonormal,
    rotation_from_angles,
)
from kinbench.recording import segment_dataset

CONVENTIONS = ("isb_zxy", "calgary_clinic")
IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])
wide = st.floats(-179.0, 179.0)
narrow = st.floats(-89.0, 89.0)


def turns(seed, n=5):
    return Rotation.random(n, random_state=seed)


def quaternions(rotation):
    return rotation.as_quat(scalar_first=True)


@settings(max_examples=60, deadline=None)
@given(a=wide, b=narrow, c=wide, seed=st.integers(0, 1000), convention=st.sampled_from(CONVENTIONS))
def test_angles_survive_the_round_trip_in_any_world(a, b, c, seed, convention):
    proximal = turns(seed, 1)
    distal = proximal * Rotation.from_quat(rotation_from_angles(a, b, c, convention=convention), scalar_first=True)
    found = joint_angles(quaternions(proximal), quaternions(distal), convention=convention)
    assert found[0] == pytest.approx([a, b, c], abs=1e-6)


@pytest.mark.parametrize(("convention", "sequence"), [("isb_zxy", "ZXY"), ("calgary_clinic", "YXZ")])
def test_angles_are_those_of_the_convention_s_intrinsic_sequence(convention, sequence):
    proximal, distal = turns(1, 50), turns(2, 50)
    euler = (proximal.inv() * distal).as_euler(sequence, degrees=True)
    wanted = euler[:, [sequence.index(axis) for axis in "ZXY"]]
    assert joint_angles(quaternions(proximal), quaternions(distal), convention=convention) == pytest.approx(wanted)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_world_change_leaves_joint_angles_as_they_are(convention):
    proximal, distal, world = turns(3), turns(4), turns(5, 1)
    before = joint_angles(quaternions(proximal), quaternions(distal), convention=convention)
    after = joint_angles(quaternions(world * proximal), quaternions(world * distal), convention=convention)
    assert after == pytest.approx(before, abs=1e-9)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_leg_and_its_mirror_image_have_equal_angles(convention):
    def seen_in_a_mirror(turn):
        return Rotation.from_matrix(np.diag([1, 1, -1]) @ turn.as_matrix() @ np.diag([1, 1, -1]))

    pelvis, hip, knee, ankle = (Rotation.from_rotvec(np.random.RandomState(i).normal(size=3) * 0.5) for i in range(4))
    right = {"pelvis": pelvis, "thigh_r": pelvis * hip, "shank_r": pelvis * hip * knee}
    right["foot_r"] = right["shank_r"] * ankle
    left = {name.replace("_r", "_l"): seen_in_a_mirror(turn) for name, turn in right.items()}
    one, other = (dofs_from_segments(stream(leg), convention=convention)["angle"] for leg in (right, left))
    for stem in sorted({name.removesuffix("_r") for name in schema.DOFS if name.endswith("_r")}):
        assert other.sel(dof=f"{stem}_l").values == pytest.approx(one.sel(dof=f"{stem}_r").values, abs=1e-3)


def test_the_clinic_s_angles_are_what_its_code_computes():
    proximal, distal = turns(6, 40), turns(7, 40)
    r = (proximal.inv() * distal).as_matrix()
    x = np.arctan2(r[:, 1, 2], np.sqrt(r[:, 0, 2] ** 2 + r[:, 2, 2] ** 2))
    y = np.arctan2(-r[:, 0, 2], r[:, 2, 2])
    z = np.arctan2(-r[:, 1, 0], r[:, 1, 1])
    wanted = np.degrees(np.stack([x, y, z], axis=1))
    assert clinic_angles(quaternions(proximal), quaternions(distal)) == pytest.approx(wanted, abs=1e-9)


def test_sixty_degrees_of_knee_flexion_are_the_same_in_both_conventions_and_the_rest_is_not():
    knee = rotation_from_angles(-60.0, 8.0, 10.0)
    assert clinic_angles([IDENTITY], knee)[0] == pytest.approx([-12.6, 1.9, 59.5], abs=0.06)
    assert -joint_angles([IDENTITY], knee, convention="calgary_clinic")[0, 0] == pytest.approx(60.0, abs=0.51)


@settings(max_examples=40, deadline=None)
@given(a=st.floats(-170, 170))
def test_pure_flexion_is_the_same_in_both_conventions(a):
    turn = rotation_from_angles(a, 0.0, 0.0)
    isb, clinic = (joint_angles([IDENTITY], turn, convention=convention) for convention in CONVENTIONS)
    assert clinic == pytest.approx(isb, abs=1e-9)


def test_the_convention_that_was_used_is_written_on_the_angles():
    segments = leg(knee=60.0, hip=20.0)
    for convention in CONVENTIONS:
        assert dofs_from_segments(segments, convention=convention)["angle"].attrs["convention"] == convention
    assert set(CONVENTIONS) <= set(schema.CONVENTIONS)


@pytest.mark.parametrize(("name", "said"), [("calgary_clinc", "'calgary_clinic'"), ("visual3d", "isb_zxy")])
def test_a_convention_that_angles_cannot_be_taken_in_is_refused(name, said):
    with pytest.raises(UsageError, match=f"'{name}'.*{said}"):
        dofs_from_segments(leg(knee=60.0), convention=name)
    with pytest.raises(UsageError, match=said):
        joint_angles([IDENTITY], [IDENTITY], convention=name)


def test_a_runner_s_angles_are_the_clinic_s_own(shared):
    """Frames and joint centres by the clinic's rule (Ferber et al. 2024, supplement), the right leg of one runner."""
    ezc3d, folder = pytest.importorskip("ezc3d"), shared / "calgary_ric"
    printed = loadmat(folder / "angles" / "20140515T133244_r.mat", simplify_cells=True)["r_angles"]
    static, run = (markers_of(ezc3d, folder / "raw_c3d" / f"20140515T133244_{name}.c3d") for name in ("static", "run"))
    place = {name: values[0] for name, values in static.items()}
    hip = place["R_hip"] + 0.25 * (place["L_hip"] - place["R_hip"])
    knee, ankle = ((place[f"R_lat_{joint}"] + place[f"R_med_{joint}"]) / 2 for joint in ("knee", "ankle"))
    frames = {
        "pelvis": np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]]),
        "R_thigh": orthonormal(hip - knee, place["R_lat_knee"] - place["R_med_knee"]),
        "R_shank": orthonormal(knee - ankle, place["R_lat_ankle"] - place["R_med_ankle"]),
    }
    turn = {}
    for name, frame in frames.items():
        markers = [f"{name}_{number}" for number in (1, 2, 3, 4)]
        motion = cluster_motion([place[m] for m in markers], Frame(frame, hip), np.stack([run[m] for m in markers], 1))
        turn[name] = motion.quaternion
    for joint, (proximal, distal) in {"R_hip": ("pelvis", "R_thigh"), "R_knee": ("R_thigh", "R_shank")}.items():
        difference = clinic_angles(turn[proximal], turn[distal]) - printed[joint]
        assert np.sqrt(np.mean(difference**2, axis=0)).max() < 0.001


def markers_of(ezc3d, path):
    file = ezc3d.c3d(str(path))
    points = file["data"]["points"][:3]
    return {name: points[:, i].T for i, name in enumerate(file["parameters"]["POINT"]["LABELS"]["value"])}


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
