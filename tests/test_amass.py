"""The AMASS adapter on fabricated folders in its real layouts: whose, where, what, and the motion itself."""

import pickle
import zipfile
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinbench_adapters._amass.activities import activity_of
from kinbench_adapters._amass.archives import nominal_rate
from kinbench_adapters._amass.persons import identify
from kinbench_adapters._amass.skeleton import mean_rest
from kinbench_adapters._amass.stillness import still_samples
from kinbench_adapters.amass import AmassAdapter
from kinbench_benchmarks.tasks import KNEE_PAIR
from raw_folders import amass as fake
from scipy.spatial.transform import Rotation, RotationSpline

from kinbench import conversion, store, testing, windows
from kinbench.errors import DataError, UsageError
from kinbench.schema import ACTIVITIES, GRAVITY

LEGS = ("thigh_r", "shank_r", "foot_r", "thigh_l", "shank_l", "foot_l")


def keys(raw, **chosen):
    return [str(source.key) for source in AmassAdapter(**chosen).find(raw).sources]


def loaded(raw, **chosen):
    (source,) = AmassAdapter(**chosen).find(raw).sources
    return source.load()


def prepared(raw, **chosen):
    (source,) = AmassAdapter(**chosen).find(raw).sources
    return conversion.prepare(source)


def refusal(raw, **chosen):
    with pytest.raises(DataError) as caught:
        loaded(raw, **chosen)
    return str(caught.value)


def step(recording, name):
    (found,) = (step for step in recording.attrs["history"] if step["step"] == name)
    return found


def write_motion(raw, vectors, *, subset="KIT/3", motion="a", **members):
    """One SMPL+H sequence of these rotation vectors, (n, joints, 3)."""
    told = {"trans": np.zeros((len(vectors), 3)), **members}
    return fake.write_smplh(raw / subset / f"{motion}_poses.npz", vectors, told.pop("trans"), **told)


def upright(n=240):
    """A body in its rest pose that stands, facing y of the world: (n, 22, 3)."""
    vectors = np.zeros((n, 22, 3))
    vectors[:, 0] = fake.rotvec(fake.TO_AMASS @ Rotation.from_euler("y", 180, degrees=True).as_matrix())
    return vectors


def swinging(joint, n=240, rate_hz=120.0):
    """A standing body one joint of which flexes and extends."""
    vectors = upright(n)
    vectors[:, joint, 0] = 0.4 * np.sin(2 * np.pi * np.arange(n) / rate_hz)
    return vectors


@cache
def person(subset):
    return fake.person(subset)


# --- the motion, against what made it --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def everybody(tmp_path_factory):
    """{subset: recording} of every fake person, prepared."""
    raw = fake.write(tmp_path_factory.mktemp("amass"), people=len(fake.FOLDERS))
    found = AmassAdapter().find(raw)
    return {source.key.subject.split("-")[0]: conversion.prepare(source) for source in found.sources}


@pytest.mark.parametrize("subset", fake.FOLDERS)
def test_joint_angles_are_those_of_the_walker(everybody, subset):
    angle, truth = everybody[subset].reference["angle"], person(subset).angles
    assert set(angle["dof"].values) == set(truth)
    for dof in truth:
        error = (angle.sel(dof=dof).values - truth[dof] + 180) % 360 - 180
        assert np.abs(error).max() < 1e-3, dof
    assert angle.attrs["tier"] == "body_model_fit" and angle.attrs["convention"] == "isb_zxy"


def test_the_middle_of_the_hips_is_where_the_walkers_is(everybody):
    position = everybody["BMLrub"].reference["segment_position"].sel(segment="pelvis").values
    np.testing.assert_allclose(position, person("BMLrub").position["pelvis"], atol=2e-6)


@pytest.mark.parametrize("segment", ["pelvis", "thigh_r", "shank_l", "foot_r"])
def test_gyros_in_segment_axes_are_the_rates_of_the_rotations_alone(everybody, segment):
    imu, walker = everybody["BMLrub"].imu, person("BMLrub")
    index = list(imu["sensor"].values).index(segment)
    read = imu["gyr"].values[:, index] @ imu["rotation"].values[index].T
    true = RotationSpline(walker.time, Rotation.from_matrix(walker.rotation[segment]))(walker.time, 1)
    assert np.abs(read - true)[5:-5].max() < 1e-3 * np.abs(true).max()


def test_a_standing_walker_feels_gravity_along_every_segment(everybody):
    imu = everybody["ACCAD"].imu
    still = imu["time"].values < 1.0
    for index, segment in enumerate(imu["sensor"].values):
        acc = (imu["acc"].values[still, index] @ imu["rotation"].values[index].T).mean(axis=0)
        assert abs(np.linalg.norm(acc) - GRAVITY) < 0.05, segment
        assert acc[1] > 0.95 * GRAVITY, segment


@pytest.mark.parametrize("chosen", [{}, {"smplx": True}, {"new_names": True, "doubled": True}])
def test_it_keeps_the_contract_in_every_layout(tmp_path, chosen):
    testing.check_adapter(AmassAdapter(), fake.write(tmp_path / "raw", length_s=3.0, people=2, **chosen))


@pytest.mark.parametrize("chosen", [
    {"sites": "tan", "compat": "tan2024", "orientation_variants": 2, "cutoff_hz": 15, "still": "code"},
    {"sites": "transpose", "zero": "anatomical"}, {"sites": "imuposer", "height_m": 1.8},
])  # fmt: skip
def test_it_keeps_the_contract_with_every_setting(tmp_path, chosen):
    testing.check_adapter(AmassAdapter(**chosen), fake.write(tmp_path / "raw", length_s=3.0, people=1))


def test_both_formats_of_one_motion_are_one_recording_but_for_the_format(tmp_path):
    one = prepared(fake.write(tmp_path / "h", people=1, length_s=3.0))
    other = prepared(fake.write(tmp_path / "x", people=1, length_s=3.0, smplx=True))
    assert one.key == other.key
    assert one.reference.equals(other.reference) and one.imu.equals(other.imu)
    assert step(one, "read_sequence")["format"] == "SMPL+H" and step(other, "read_sequence")["format"] == "SMPL-X"


def test_sources_travel_to_another_process(tmp_path):
    (source,) = AmassAdapter(sites="tan").find(fake.write(tmp_path, people=1, length_s=2.0)).sources
    assert pickle.loads(pickle.dumps(source)).load().reference.identical(source.load().reference)


# --- left and right, the rest pose, the world ------------------------------------------------------------------------


@pytest.mark.parametrize(("joint", "moving"), [(1, "thigh_l shank_l foot_l"), (5, "shank_r foot_r"), (7, "foot_l")])
def test_a_joint_moves_the_sensors_below_it_on_its_own_side(tmp_path, joint, moving):
    write_motion(tmp_path, swinging(joint))
    imu = prepared(tmp_path).imu
    busy = np.sqrt((imu["gyr"].values ** 2).mean(axis=(0, 2))) > 0.1
    assert set(imu["sensor"].values[busy]) == set(moving.split())
    sides = dict(zip(imu["sensor"].values, imu["side"].values, strict=True))
    assert sides["thigh_l"] == "left" and sides["thigh_r"] == "right" and sides["pelvis"] == "midline"


def test_signs_of_the_raw_rotation_vectors(tmp_path):
    vectors = upright(20)
    vectors[:, [1, 2], 0], vectors[:, [4, 5], 0], vectors[:, [7, 8], 0] = -0.7, 1.2, -0.1
    write_motion(tmp_path, vectors)
    angle = prepared(tmp_path).reference["angle"].isel(time=0)
    for side in "lr":
        assert float(angle.sel(dof=f"hip_flexion_{side}")) == pytest.approx(np.degrees(0.7), abs=1e-3)
        assert float(angle.sel(dof=f"knee_flexion_{side}")) == pytest.approx(np.degrees(1.2), abs=1e-3)
        assert float(angle.sel(dof=f"ankle_dorsiflexion_{side}")) == pytest.approx(np.degrees(0.1), abs=1e-3)


def test_legs_are_swapped_only_on_request_and_it_is_said(tmp_path):
    write_motion(tmp_path, swinging(1))
    wrong = prepared(tmp_path, sites="tan", compat="tan2024")
    busy = np.sqrt((wrong.imu["gyr"].values ** 2).mean(axis=(0, 2))) > 0.1
    assert set(wrong.imu["sensor"].values[busy]) == {"thigh_r", "shank_r", "foot_r"}
    assert "legs_swapped:tan2024" in wrong.attrs["quality"] and step(wrong, "segments")["compat"] == "tan2024"
    assert "legs_swapped:tan2024" not in prepared(tmp_path, sites="tan").attrs["quality"]


def test_the_rest_pose_is_the_zero_unless_asked_and_what_it_hides_is_said(tmp_path):
    write_motion(tmp_path, upright())
    rest, anatomical = prepared(tmp_path), prepared(tmp_path, zero="anatomical")
    legs = [dof for dof in rest.reference["dof"].values if not dof.startswith("pelvis")]
    assert np.abs(rest.reference["angle"].sel(dof=legs).values).max() < 1e-3
    assert "zero:smpl_rest" in rest.attrs["quality"] and "zero:smpl_rest" not in anatomical.attrs["quality"]
    told = step(rest, "segments")["rest_angles_deg"]
    for dof in legs:
        assert float(anatomical.reference["angle"].sel(dof=dof)[0]) == pytest.approx(told[dof], abs=0.01)
    for dof, degrees in {
        "hip_adduction_l": -5.2, "hip_adduction_r": -5.7, "knee_flexion_l": 5.6, "knee_flexion_r": 4.7,
        "ankle_dorsiflexion_l": 6.3, "ankle_dorsiflexion_r": 6.1,
    }.items():  # fmt: skip
        assert told[dof] == pytest.approx(degrees, abs=0.1), dof


@pytest.mark.parametrize(("near", "far"), [("thigh_r", "shank_r"), ("shank_r", "foot_r"), ("thigh_l", "shank_l")])
def test_anatomical_axes_run_from_joint_to_joint(tmp_path, near, far):
    write_motion(tmp_path, fake.pose_vectors(person("BMLrub"))[0][:100])
    reference = prepared(tmp_path, zero="anatomical").reference
    place, turn = reference["segment_position"], reference["segment_quat"].sel(segment=near).values
    reach = (place.sel(segment=far) - place.sel(segment=near)).values.astype(float)
    seen = Rotation.from_quat(turn.astype(float), scalar_first=True).inv().apply(reach)
    np.testing.assert_allclose(seen[:, [0, 2]], 0, atol=1e-5)
    assert (seen[:, 1] < -0.3).all()


def test_the_trunk_moves_as_spine3_does_however_the_spine_is_bent(tmp_path):
    vectors = upright(20)
    vectors[:, 3], vectors[:, 6], vectors[:, 9] = (0.3, 0, 0), (0.1, 0.2, 0), (0.2, 0, -0.1)
    write_motion(tmp_path, vectors)
    trunk = loaded(tmp_path).reference.sel(segment="trunk").isel(time=0)
    joint, base = mean_rest().offset, mean_rest().joint
    root, spine1, spine2, spine3 = (Rotation.from_rotvec(vectors[0, index]) for index in (0, 3, 6, 9))
    place = base[0] + root.apply(joint[3] + spine1.apply(joint[6] + spine2.apply(joint[9])))
    world = root * spine1 * spine2 * spine3
    found = Rotation.from_quat(trunk["segment_quat"].values, scalar_first=True)
    assert (found * world.inv()).magnitude() < 1e-9
    np.testing.assert_allclose(
        trunk["segment_position"].values + world.apply(base[9] - base[3]), place, atol=1e-12
    )  # from the trunk's base to Spine3, in Spine3's own axes


def test_a_body_that_is_never_upright_is_flagged(tmp_path):
    write_motion(tmp_path, np.zeros((40, 22, 3)))  # model axes taken for the world's: up is y
    assert "never_upright" in loaded(tmp_path).attrs["quality"]
    write_motion(tmp_path, upright(40))
    assert "never_upright" not in loaded(tmp_path).attrs["quality"]


def test_a_fit_that_jumps_is_flagged_with_the_joint_that_does(tmp_path):
    vectors = swinging(4)
    write_motion(tmp_path, vectors)
    assert not [flag for flag in loaded(tmp_path).attrs["quality"] if flag.startswith("jumps")]
    vectors[100, 7, 0] = 0.5  # at 120 Hz: 60 rad/s there and back
    write_motion(tmp_path, vectors)
    recording = loaded(tmp_path)
    assert "jumps:foot_l" in recording.attrs["quality"]
    assert step(recording, "segments")["jumps"] == {"foot_l": 2}


# --- where the sensors are -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sites", "segments", "left_out"), [
    ("kinbench", ("trunk", "pelvis", *LEGS), 0), ("tan", ("trunk", "pelvis", *LEGS), 0),
    ("transpose", ("pelvis", "shank_r", "shank_l"), 3), ("imuposer", ("pelvis", "thigh_r", "thigh_l"), 3),
])  # fmt: skip
def test_each_set_has_its_sensors_and_says_which_have_no_segment(tmp_path, sites, segments, left_out):
    write_motion(tmp_path, upright())
    recording = loaded(tmp_path, sites=sites)
    assert {v.placement.segment for v in recording.declared.virtual.placements} == set(segments)
    assert len(step(recording, "sites")["left_out"]) == left_out
    assert "sites:equivalents" in recording.attrs["quality"]


def test_sensors_read_gravity_as_their_axes_say(tmp_path):
    write_motion(tmp_path, upright())
    imu = prepared(tmp_path, sites="tan").imu
    read = {str(name): imu["acc"].values[50, index] / GRAVITY for index, name in enumerate(imu["sensor"].values)}
    np.testing.assert_allclose(read["thigh_l"], (0, 1, 0), atol=1e-3)
    np.testing.assert_allclose(read["foot_r"], (0, 0.5, 3**0.5 / 2), atol=1e-3)  # z out of the instep, y up along it


@pytest.mark.parametrize(("segment", "normal"), [
    ("trunk", (1, 0, 0)), ("pelvis", (-1, 0, 0)), ("thigh_r", (0, 0, 1)), ("shank_l", (0, 0, -1)),
])  # fmt: skip
def test_z_is_the_outward_normal_and_the_sensor_lies_on_that_side(tmp_path, segment, normal):
    write_motion(tmp_path, upright(20))
    (virtual,) = (v for v in loaded(tmp_path).declared.virtual.placements if v.placement.segment == segment)
    np.testing.assert_allclose(virtual.placement.rotation[:, 2], normal, atol=1e-12)
    np.testing.assert_allclose(virtual.placement.rotation[:, 1], (0, 1, 0), atol=1e-12)
    assert np.dot(virtual.offset_m, normal) > 0.04


def test_a_declared_height_scales_the_template(tmp_path):
    write_motion(tmp_path, upright(20))
    own, tall = loaded(tmp_path).declared.virtual, loaded(tmp_path, height_m=1.859).declared.virtual
    for segment, length in own.body.length_m.items():
        assert tall.body.length_m[segment] == pytest.approx(1.1 * length, rel=1e-5)
    for one, other in zip(own.placements, tall.placements, strict=True):
        np.testing.assert_allclose(other.offset_m, 1.1 * np.array(one.offset_m), atol=1e-9)
    assert own.body.geometry == "mean_template" and own.body.height_m == 1.69
    assert own.body.length_m["thigh_r"] == pytest.approx(0.385, abs=5e-4)


@pytest.mark.parametrize(("compat", "low", "high"), [(None, -10.0, 10.0), ("tan2024", 0.0, 10.0)])
def test_variants_are_one_persons_recordings_with_turned_sensors(tmp_path, compat, low, high):
    raw = fake.write(tmp_path, people=1, length_s=3.0)
    chosen = {"sites": "tan", "compat": compat}
    nominal = prepared(raw, **chosen)
    found = AmassAdapter(**chosen, orientation_variants=3, seed=4).find(raw).sources
    assert [source.key.trial for source in found] == [f"0005_normal_walk1-o{n}" for n in (1, 2, 3)]
    turned = [conversion.prepare(source) for source in found]
    assert {recording.attrs["person"] for recording in turned} == {nominal.attrs["person"]}
    angles = []
    for recording in turned:
        np.testing.assert_array_equal(recording.reference["angle"], nominal.reference["angle"])
        np.testing.assert_array_equal(recording.imu["rotation"], nominal.imu["rotation"])
        for index in range(8):
            to, start = (r.imu["acc"].values[:, index].astype(float) for r in (recording, nominal))
            turn, _ = Rotation.align_vectors(to, start)
            np.testing.assert_allclose(turn.apply(start), to, atol=1e-3)
            angles.append(turn.as_euler("XYZ", degrees=True))
    assert np.min(angles) > low - 0.01 and np.max(angles) < high + 0.01
    assert np.ptp(angles) > 0.7 * (high - low) and len(np.unique(np.round(angles, 3))) == np.size(angles)


def test_the_draw_depends_on_the_seed_and_not_on_the_folder(tmp_path):
    def drawn(raw, seed):
        (source,) = AmassAdapter(orientation_variants=1, seed=seed).find(raw).sources
        return [v.misalignment_deg for v in source.load().declared.virtual.placements]

    one, other = (fake.write(tmp_path / name, people=1, length_s=2.0) for name in "ab")
    assert drawn(one, 1) == drawn(other, 1) != drawn(one, 2)


# --- standing still --------------------------------------------------------------------------------------------------


def test_still_windows_are_masked_with_the_reason_only_on_request(tmp_path):
    raw = fake.write(tmp_path, people=1, length_s=6.0)
    kept, masked = prepared(raw, sites="tan"), prepared(raw, sites="tan", still="code")
    assert np.isfinite(kept.reference["angle"].values).all()
    time, missing = masked.reference["time"].values, np.isnan(masked.reference["angle"].values).all(axis=1)
    assert missing[time < 0.5].all() and missing[time > 5.5].all() and not missing[(time > 1.5) & (time < 3.5)].any()
    assert np.isnan(masked.imu["acc"].values[time < 0.4]).all()
    assert np.isfinite(masked.imu["acc"].values[(time > 1.6) & (time < 3.4)]).all()
    masks = [s for s in masked.attrs["history"] if s["step"] == "mask"]
    assert masks and all("below 2 m s-2" in s["reason"] for s in masks)
    assert step(masked, "still_windows")["spans"] == len(masks)


def test_the_papers_rule_leaves_more_than_the_codes(tmp_path):
    raw = fake.write(tmp_path, people=1, length_s=6.0)
    spans = {rule: loaded(raw, still=rule).declared.masks for rule in ("keep", "paper", "code")}
    lengths = {rule: sum(mask.stop_s - mask.start_s for mask in masks) for rule, masks in spans.items()}
    assert lengths["keep"] == 0 <= lengths["paper"] < lengths["code"]


@settings(max_examples=30, deadline=None)
@given(st.integers(20, 700), st.sampled_from([60.0, 100.0, 250.0]), st.floats(0.05, 5.0), st.integers(0, 10))
def test_a_sample_is_still_where_every_window_over_it_is(count, rate_hz, below, seed):
    random = np.random.default_rng(seed)
    acc = random.normal(size=(count, 2, 3)) * np.repeat(random.uniform(0, 4, count // 10 + 1), 10)[:count, None, None]
    still = still_samples(acc, rate_hz, below)
    width, stride = min(round(1.28 * rate_hz), count), round(0.64 * rate_hz)
    for start in {*range(0, count - width + 1, stride), count - width}:
        window = acc[start : start + width]
        if window.std(axis=0).mean() >= below:
            assert not still[start : start + width].any()
    assert still_samples(acc * 0, rate_hz, below).all()
    assert not still_samples(acc * 0 + np.resize([-9.0, 9.0], count)[:, None, None], rate_hz, below).any()


# --- the user's body model -------------------------------------------------------------------------------------------


def write_model(path, *, vertices=6890, joints=52, seed=0, **members):
    """A body model whose first twelve vertices are its joints; nobody's body."""
    random = np.random.default_rng(seed)
    template = random.uniform(-0.5, 0.5, (vertices, 3)) * [0.4, 1.0, 0.2]
    template[:12] = mean_rest().joint * 1.05
    regressor = np.zeros((joints, vertices))
    regressor[range(joints), range(joints)] = 1
    tree = np.zeros((2, joints), dtype=np.int64)
    tree[0, :12] = (4294967295, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8)
    told = {
        "v_template": template, "shapedirs": random.normal(0, 0.01, (vertices, 3, 16)), "J_regressor": regressor,
        "kintree_table": tree, "part_names": np.array([{"a": 1}], dtype=object), **members,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, allow_pickle=True, **{name: value for name, value in told.items() if value is not None})
    return path, template, told["shapedirs"]


def test_joints_and_sites_are_those_of_the_persons_own_shape(tmp_path):
    betas = np.linspace(-2, 2, 16)
    write_motion(tmp_path / "raw", upright(20), gender="female", betas=betas)
    path, template, directions = write_model(tmp_path / "models/female/model.npz")
    skin = template + directions @ betas
    recording = loaded(tmp_path / "raw", body_model=str(path), sites="tan")
    virtual = recording.declared.virtual
    assert virtual.body.geometry == "body_model"
    assert virtual.body.height_m == pytest.approx(np.ptp(skin[:, 1]), abs=1e-4)
    assert virtual.body.length_m["shank_l"] == pytest.approx(np.linalg.norm(skin[7] - skin[4]), abs=1e-6)
    offset = {v.placement.segment: np.array(v.offset_m) for v in virtual.placements}
    to_segment = fake.TO_MODEL.T
    np.testing.assert_allclose(offset["thigh_l"], to_segment @ (skin[945] - skin[1]), atol=1e-9)
    np.testing.assert_allclose(offset["thigh_r"], to_segment @ (skin[4434] - skin[2]), atol=1e-9)
    np.testing.assert_allclose(offset["pelvis"], to_segment @ (skin[3147] - (skin[1] + skin[2]) / 2), atol=1e-9)
    pelvis = recording.reference["segment_position"].sel(segment="pelvis").values[0]
    root = Rotation.from_rotvec(upright(1)[0, 0])
    np.testing.assert_allclose(pelvis, skin[0] + root.apply((skin[1] + skin[2]) / 2 - skin[0]), atol=1e-9)
    assert recording.attrs["quality"] == ["zero:smpl_rest"] and step(recording, "body")["betas"] == 16


def test_a_folder_of_models_gives_each_person_the_one_of_their_gender(tmp_path):
    write_motion(tmp_path / "raw", upright(20), gender=np.array(b"male", dtype="S6"))
    for seed, gender in enumerate(("female", "male")):
        write_model(tmp_path / "smplh" / gender / "model.npz", seed=seed)
    recording = loaded(tmp_path / "raw", body_model=str(tmp_path / "smplh"), sites="tan")
    alone = loaded(tmp_path / "raw", body_model=str(tmp_path / "smplh/male/model.npz"), sites="tan")
    assert recording.declared.virtual.plain() == alone.declared.virtual.plain()
    other = loaded(tmp_path / "raw", body_model=str(tmp_path / "smplh/female/model.npz"), sites="tan")
    assert "body_model:gender_unverified" in other.attrs["quality"]
    (tmp_path / "smplh/male/model.npz").unlink()
    assert "'male/model.npz'" in refusal(tmp_path / "raw", body_model=str(tmp_path / "smplh"))


@pytest.mark.parametrize(("change", "told"), [
    ({"J_regressor": None}, "J_regressor is lacking"),
    ({"J_regressor": np.array([{}], dtype=object)}, "J_regressor is lacking"),
    ({"kintree_table": np.zeros((2, 52), dtype=int)}, "order of joints"),
    ({"shapedirs": np.zeros((10, 3, 16))}, r"shapedirs \(6890, 3, b\)"),
    ({"vertices": 10475, "joints": 55}, "SMPL-X body model and the sequence is of SMPL+H"),
    ({"vertices": 100, "joints": 52}, "found (100, 3)"),
])  # fmt: skip
def test_a_wrong_body_model_is_refused(tmp_path, change, told):
    write_motion(tmp_path / "raw", upright(20))
    path, *_ = write_model(tmp_path / "model.npz", **change)
    assert told.replace("\\", "") in refusal(tmp_path / "raw", body_model=str(path))


def test_smplx_models_give_joints_and_equivalent_sites(tmp_path):
    fake.write_smplx(tmp_path / "raw/KIT/3/a_stageii.npz", upright(20), np.zeros((20, 3)), gender="neutral")
    write_model(tmp_path / "x/SMPLX_NEUTRAL.npz", vertices=10475, joints=55)
    recording = loaded(tmp_path / "raw", body_model=str(tmp_path / "x"), sites="tan")
    assert recording.declared.virtual.body.geometry == "body_model"
    assert recording.attrs["quality"] == ["zero:smpl_rest", "sites:equivalents"]


# --- folders, people, activities -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("place", "key"), [
    ("BioMotionLab_NTroje/rub001/0005_normal_walk1_poses", "BMLrub-rub001/1/0005_normal_walk1"),
    ("BMLrub/BioMotionLab_NTroje/rub001/0005_normal_walk1_poses", "BMLrub-rub001/1/0005_normal_walk1"),
    ("CMU/CMU/01/01_01_poses", "CMU-01/1/01_01"), ("MPImosh/MPI_mosh/50002/misc_poses", "MoSh-50002/1/misc"),
    ("CNRS/SMPL-X G/CNRS/283/-01_L_1_stageii", "CNRS-283/1/01_L_1"),
    ("Eyes_Japan_Dataset/aita/accident-02-dodge fast-aita_poses",
     "EyesJapanDataset-aita/1/accident-02-dodge_fast-aita"),
    ("SSM_synced/20160330_03333/ankles_poses", "SSM-20160330_03333/1/ankles"),
    ("MyLab/s1/walk_poses", "MyLab-s1/1/walk"),
])  # fmt: skip
def test_every_spelling_of_a_folder_names_its_recording(tmp_path, place, key):
    fake.write_smplh(tmp_path / "raw" / f"{place}.npz", upright(20), np.zeros((20, 3)))
    assert keys(tmp_path / "raw") == [f"amass/{key}"]
    assert step(loaded(tmp_path / "raw"), "read_sequence")["subset_known"] is ("MyLab" not in place)


def test_a_subsets_or_a_persons_own_folder_can_be_given(tmp_path):
    write_motion(tmp_path, upright(20), subset="CMU/01", motion="01_01")
    for raw in (tmp_path, tmp_path / "CMU", tmp_path / "CMU/01"):
        assert keys(raw) == ["amass/CMU-01/1/01_01"]


def test_shapes_are_no_recordings_and_no_failures(tmp_path):
    raw = fake.write(tmp_path / "raw", people=2, length_s=2.0)
    assert len(keys(raw)) == 2
    fake.save(tmp_path / "shapes/CMU/01/shape.npz", {"betas": np.zeros(16)})
    fake.save(tmp_path / "shapes/CMU/01/neutral_stagei.npz", {"betas": np.zeros(16)})
    with pytest.raises(DataError, match="only 2 files of body shapes"):
        AmassAdapter().find(tmp_path / "shapes")


def test_old_and_new_names_of_one_recording_are_refused_with_both_files(tmp_path):
    for name in ("BioMotionLab_NTroje", "BMLrub"):
        write_motion(tmp_path, upright(20), subset=f"{name}/rub001")
    with pytest.raises(DataError, match=r"BMLrub/rub001/a_poses.*BioMotionLab_NTroje/rub001/a_poses.*keep one"):
        AmassAdapter().find(tmp_path)


def test_a_folder_of_both_flavours_asks_which(tmp_path):
    write_motion(tmp_path, upright(20))
    fake.write_smplx(tmp_path / "KIT/3/a_stageii.npz", upright(20), np.zeros((20, 3)))
    with pytest.raises(DataError, match="flavour=smplh"):
        AmassAdapter().find(tmp_path)
    for flavour, format in (("smplh", "SMPL+H"), ("smplx", "SMPL-X")):
        assert step(loaded(tmp_path, flavour=flavour), "read_sequence")["format"] == format
    (tmp_path / "KIT/3/a_stageii.npz").unlink()
    with pytest.raises(DataError, match="none of flavour 'smplx'"):
        AmassAdapter(flavour="smplx").find(tmp_path)


def test_one_person_in_two_subsets_is_one_person(everybody):
    persons = {subset: recording.attrs["person"] for subset, recording in everybody.items()}
    assert persons["MoSh"] == persons["DFaust"] == "amass/MPI_50002"
    assert persons["BMLmovi"] == "movi/Subject_11"
    assert len(set(persons.values())) == len(persons) - 1


@pytest.mark.parametrize(("subset", "folder", "person"), [
    ("BMLmovi", "Subject_7_F_MoSh", "movi/Subject_7"), ("ACCAD", "Female1Walking_c3d", "amass/ACCAD_Female1"),
    ("ACCAD", "Male2MartialArtsKicks_c3d", "amass/ACCAD_Male2"), ("ACCAD", "s007", "amass/ACCAD_s007"),
    ("DanceDB", "20120805_VasoAristeidou", "amass/DanceDB_VasoAristeidou"),
    ("SSM", "20160330_03333", "amass/SSM_20160330_03333"), ("MoSh", "00093", "amass/MoSh_00093"),
    ("KIT", "50002", "amass/KIT_50002"),
])  # fmt: skip
def test_who_is_who_and_nobody_is_guessed(subset, folder, person):
    found = identify(subset, folder)
    assert found.person == person and found.evidence and not found.may_recur


def test_people_whom_the_source_does_not_tell_apart_are_flagged(everybody):
    assert "person_may_recur" in everybody["CMU"].attrs["quality"]
    assert "several subject numbers" in step(everybody["CMU"], "identify")["evidence"]
    assert "person_may_recur" not in everybody["BMLrub"].attrs["quality"]


@pytest.mark.parametrize(("subset", "motion", "activity"), [
    ("BMLrub", "0005_normal_walk1", "walking"), ("BMLrub", "0000_treadmill_norm", "walking_treadmill"),
    ("BMLrub", "0026_circle_walk", "unknown"), ("KIT", "walking_medium09", "walking"),
    ("KIT", "walking_run02", "running"),
    ("KIT", "upstairs_downstairs01", "unknown"), ("CMU", "01_01", "unknown"), ("ACCAD", "A1 - Stand", "standing"),
    ("ACCAD", "B3 - walk1", "walking"), ("ACCAD", "B10 - walk turn left (45)", "unknown"),
    ("EKUT", "walking_medium09", "unknown"),
])  # fmt: skip
def test_activities_come_from_closed_rules(subset, motion, activity):
    assert activity_of(subset, motion) == activity and activity in ACTIVITIES


# --- files that cannot be believed -----------------------------------------------------------------------------------


def test_sequences_without_a_rate_or_too_slow_are_skipped_with_the_reason(tmp_path):
    raw = fake.write(tmp_path / "raw", people=1, length_s=3.0, unusable=True)
    outcomes = {o.key.trial: o for o in conversion.convert(AmassAdapter(), raw, tmp_path / "stores").outcomes}
    assert outcomes["0005_normal_walk1"].status == "converted"
    assert outcomes["norate"].status == outcomes["slow"].status == "skipped"
    assert "no frame rate" in outcomes["norate"].reason and "40 Hz is below 50 Hz" in outcomes["slow"].reason
    again = {str(s.key).split("/")[-1]: s for s in AmassAdapter(minimum_hz=30).find(raw).sources}
    assert again["slow"].load().attrs["rates"]["reference"]["nominal_hz"] == 40


@pytest.mark.parametrize(("written", "read"), [
    (np.array("female"), "female"), (np.array(b"female", dtype="S6"), "female"), (np.array("b'male'"), "male"),
    (np.array(["male"]), "male"), (np.array("neutral"), "unknown"), (np.array("m"), "unknown"), (None, "unknown"),
])  # fmt: skip
def test_gender_under_every_spelling(tmp_path, written, read):
    write_motion(tmp_path, upright(20), gender=written)
    assert loaded(tmp_path).attrs["person_table"] == {"sex": read}


@pytest.mark.parametrize(("written", "nominal"), [
    (120.00004577636719, 120.0), (59.94, 59.94), (250, 250.0), (np.array([60.0]), 60.0), (99.99999, 100.0),
])  # fmt: skip
def test_rates_are_rounded_to_name_them_and_kept_to_count_time(tmp_path, written, nominal):
    write_motion(tmp_path, upright(20), rate=written)
    recording = loaded(tmp_path)
    told, time = recording.attrs["rates"]["reference"], recording.reference["time"].values
    measured = float(np.ravel(written)[0])
    assert told["nominal_hz"] == nominal == nominal_rate(measured) and told["measured_hz"] == measured
    assert (len(time) - 1) / time[-1] == pytest.approx(measured, rel=1e-12)


POSES = np.zeros((20, 156))
BROKEN = {
    "another width": ({"poses": np.zeros((20, 72))}, "found float64(20, 72)"),
    "degrees": ({"poses": POSES + 90.0}, "are these degrees"),
    "not numbers": ({"poses": POSES.astype("U3")}, "(n, 156)"),
    "missing frames": ({"poses": np.where(np.arange(20)[:, None] == 7, np.nan, POSES)}, "are not, the first 7"),
    "few frames": ({"poses": POSES[:3], "trans": np.zeros((3, 3))}, "at least 8 frames"),
    "no poses": ({"poses": None}, "found only trans"),
    "no trans": ({"trans": None}, "trans (20, 3)"),
    "short trans": ({"trans": np.zeros((19, 3))}, "found (19, 3)"),
    "infinite trans": ({"trans": np.full((20, 3), np.inf)}, "finite trans"),
    "a rate of nothing": ({"rate": 0.0}, "one positive number as mocap_framerate"),
    "two rates": ({"rate": np.array([60.0, 120.0])}, "one positive number"),
    "betas": ({"betas": np.zeros((2, 16))}, "betas as one row"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_planted_fault_is_told_in_one_sentence_and_the_file(tmp_path, name):
    change, told = BROKEN[name]
    path = write_motion(tmp_path, upright(20), **change)
    message = refusal(tmp_path)
    assert told in message and str(path) in message and "\n" not in message


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    write_motion(tmp_path, upright(20), trans=np.zeros((5, 3)), rate=0.0, betas=np.zeros((2, 2)))
    assert len(refusal(tmp_path).splitlines()) == 3


def test_nothing_is_ever_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    def bomb():
        return np.array([Bomb()], dtype=object)

    path = tmp_path / "KIT/3/a_poses.npz"
    path.parent.mkdir(parents=True)
    np.savez(path, poses=POSES, trans=np.zeros((20, 3)), mocap_framerate=120.0, gender=bomb(), extra=bomb())
    assert loaded(tmp_path).attrs["person_table"] == {"sex": "unknown"}
    np.savez(path, poses=bomb(), trans=np.zeros((20, 3)), mocap_framerate=120.0)
    assert "Expected 'poses'" in refusal(tmp_path)


def test_archives_that_lie_or_are_damaged_are_refused(tmp_path):
    path = write_motion(tmp_path, upright(200))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "Expected an .npz archive" in refusal(tmp_path)
    path.write_bytes(b"not a zip")
    assert "Expected an .npz archive" in refusal(tmp_path)
    place = whole.index(b"(200, 156)")
    plain = fake.save(tmp_path / "plain.npz", {"poses": np.zeros((200, 156))})
    with zipfile.ZipFile(plain) as one, zipfile.ZipFile(path, "w") as other:
        other.writestr("poses.npy", one.read("poses.npy").replace(b"(200, 156)", b"(999, 156)"))
    assert "does not fit" in refusal(tmp_path) and "poses" in refusal(tmp_path)
    path.write_bytes(whole[: place + 400] + b"\xff" + whole[place + 401 :])
    assert "'poses' cannot be read: Bad CRC-32" in refusal(tmp_path)


# --- what is asked for -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("chosen", "told"), [
    ({"sites": "tann"}, "Did you mean 'tan'"), ({"zero": "none"}, "zero must be one of rest, anatomical"),
    ({"height_m": 175}, "stature in metres"), ({"still": "yes"}, "keep, paper, code"),
    ({"orientation_variants": -1}, "a count from 0 to 99"), ({"orientation_variants": True}, "a count"),
    ({"cutoff_hz": 0}, "above 0"), ({"minimum_hz": "x"}, "minimum_hz"), ({"seed": 1.5}, "seed"),
    ({"body_model": "a.npz", "height_m": 1.8}, "give one"), ({"compat": "tan"}, "compat must be one of"),
    ({"flavour": "smpl", "sites": "x"}, "flavour must be"),
])  # fmt: skip
def test_settings_that_cannot_be_are_told(chosen, told):
    with pytest.raises(UsageError, match="adapter 'amass'") as caught:
        AmassAdapter(**chosen)
    assert told in str(caught.value)


def test_a_body_model_that_is_not_there_is_told_before_anything_is_read(tmp_path):
    raw = fake.write(tmp_path, people=1, length_s=2.0)
    with pytest.raises(UsageError, match=r"'/nowhere/model\.npz', which is neither"):
        AmassAdapter(body_model="/nowhere/model.npz").find(raw)


def test_the_tree_tells_what_is_wrong_with_a_file_without_reading_it(tmp_path):
    sequences, shapes = AmassAdapter.tree.expected
    raw = fake.write(tmp_path, people=1, length_s=2.0, unusable=True)
    found = {path.name: sequences.check(path) for pattern in sequences.patterns for path in raw.glob(pattern)}
    assert found.pop("0005_normal_walk1_poses.npz") is None
    assert found["norate_poses.npz"] is None and found["slow_poses.npz"] is None  # skipped by rule: nothing to mend
    (shape,) = (path for pattern in shapes.patterns for path in raw.glob(pattern))
    assert sequences.check(shape) == "holds no poses" and not shapes.required


def test_no_task_takes_legs_that_were_swapped_on_request(tmp_path):
    raw = fake.write(tmp_path / "raw", people=1, length_s=6.0)
    done = conversion.convert(AmassAdapter(sites="tan", compat="tan2024"), raw, tmp_path / "stores")
    found = windows.prepare(store.open(done.path), KNEE_PAIR, cache=tmp_path / "cache")
    assert not found.entries and all("compat 'tan2024'" in reason for _, reason in found.excluded)
