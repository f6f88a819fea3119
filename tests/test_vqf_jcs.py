"""Joint angles by a filter and a joint coordinate system: against motion that is known, and against optical truth."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filter_cases import COORDINATES, STEMS, Walk, about_y, motion, oriented, sensors, stream, task, walked
from hypothesis import given, settings
from hypothesis import strategies as st
from kinbench_benchmarks import tasks
from kinbench_benchmarks.models.vqf_jcs import VqfJcs
from kinbench_benchmarks.models.vqf_jcs.calibration import hinge_axes
from kinbench_benchmarks.models.vqf_jcs.heading import heading_between, turned
from scipy.spatial.transform import Rotation

from kinbench import plugins, testing, windows
from kinbench.contracts import AdaptiveModel, StreamModel
from kinbench.conversion import prepare
from kinbench.errors import DataError, KinbenchError, NotApplicable, UsageError
from kinbench.windows import Batches

FLEXIONS = tuple(f"{stem}_{leg}" for leg in "rl" for stem in ("hip_flexion", "knee_flexion", "ankle_dorsiflexion"))
RIGHT = tuple(f"{stem}_r" for stem in STEMS)
WALKING = slice(400, 2300)


def rmse(found, walk, dofs, rows=WALKING):
    truth = np.stack([walk.truth(dof) for dof in dofs], axis=1)[: len(found)]
    return np.sqrt(np.mean((found[rows] - truth[rows]) ** 2, axis=0))


def centred(found, walk, dofs, rows=WALKING):
    truth = np.stack([walk.truth(dof) for dof in dofs], axis=1)[: len(found)]
    return (found[rows] - truth[rows]).std(axis=0)


def mounts(seed):
    names = walked().signals
    return dict(zip(names, Rotation.random(len(names), random_state=seed).as_matrix(), strict=True))


def test_is_a_filter_that_can_be_kept():
    model = plugins.create("models", "vqf-jcs")
    assert isinstance(model, StreamModel)
    assert isinstance(model, AdaptiveModel)
    testing.check_model(VqfJcs)
    with pytest.raises(KinbenchError, match="call estimate"):
        model.predict(np.zeros((1, 10, 12), dtype=np.float32))


# --- known motion -----------------------------------------------------------------------------------------------------


def test_angles_of_a_simulated_walk_are_told_to_two_degrees_without_magnetometer():
    walk = walked()
    error = rmse(VqfJcs().estimate(stream(sensors(walk), FLEXIONS)), walk, FLEXIONS)
    assert (error < 2.0).all(), error


def test_frontal_and_transverse_angles_are_told_up_to_the_mean_internal_rotation():
    walk = walked()
    error = centred(VqfJcs().estimate(stream(sensors(walk), RIGHT)), walk, RIGHT)
    assert (error < 2.5).all(), error


def test_a_person_who_turns_round_is_no_different():
    walk = walked(3, turn_deg=180.0, length_s=30.0)
    error = rmse(VqfJcs().estimate(stream(sensors(walk), FLEXIONS)), walk, FLEXIONS)
    assert (error < 3.0).all(), error


def test_with_a_magnetometer_the_field_makes_the_heading_one():
    walk = walked()
    field = np.array([0.3, -0.8, 0.5])

    def mag(segment, mounting):
        return (field @ walk.rotation[segment]) @ mounting.get(segment, np.eye(3))

    imu = sensors(walk, mounts=mounts(4), mag=mag)
    found = VqfJcs(magnetometer=True).estimate(stream(imu, RIGHT))
    assert (rmse(found, walk, RIGHT) < 2.5).all(), "internal rotation too, which without it is lost"


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_how_a_sensor_sits_changes_nothing_once_it_is_known(seed):
    walk = walked()
    plain = VqfJcs().estimate(stream(sensors(walk), FLEXIONS))
    turned_sensors = VqfJcs().estimate(stream(sensors(walk, mounts=mounts(seed)), FLEXIONS))
    assert np.abs(turned_sensors - plain)[WALKING].max() < 1.0


@settings(max_examples=10, deadline=None)
@given(angle=st.floats(-np.pi, np.pi))
def test_turning_the_world_about_gravity_changes_nothing(angle):
    walk = walked()
    plain, world = (
        VqfJcs(orientation="device").estimate(stream(sensors(walk, quat=oriented(walk, turn)), RIGHT))
        for turn in (None, lambda segment: about_y(angle))
    )
    assert np.allclose(plain, world, atol=1e-2)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_with_the_joints_heading_every_sensor_may_have_a_north_of_its_own(seed):
    walk = walked()
    north = dict(zip(walk.signals, np.random.default_rng(seed).uniform(-np.pi, np.pi, 7), strict=True))
    by_joint = VqfJcs(orientation="device", heading="joint")
    plain, own = (
        by_joint.estimate(stream(sensors(walk, quat=oriented(walk, turn)), RIGHT))
        for turn in (None, lambda segment: about_y(north[segment]))
    )
    assert np.allclose(plain, own, atol=1e-2)


def test_exact_orientations_give_exact_angles():
    walk = walked()
    found = VqfJcs(orientation="device").estimate(stream(sensors(walk, mounts=mounts(1), quat=oriented(walk)), RIGHT))
    assert (rmse(found, walk, RIGHT, slice(None)) < 0.02).all()


def test_a_mirrored_leg_has_the_same_angles():
    walk = walked()
    mirrored = {}
    for name, (acc, gyr) in walk.signals.items():
        other = name[:-1] + {"r": "l", "l": "r"}[name[-1]] if "_" in name else name
        mirrored[other] = (acc * [1, 1, -1], gyr * [-1, -1, 1])
    right = VqfJcs().estimate(stream(sensors(walk), STEMS, "r"))
    left = VqfJcs().estimate(stream(sensors(Walk(walk.time_s, mirrored, {})), STEMS, "l"))
    assert np.abs(right - left)[WALKING].max() < 0.2


def test_an_uneven_clock_and_another_grid_are_no_hindrance():
    walk = walked()
    imu = sensors(walk)
    kept = np.sort(np.random.default_rng(0).permutation(imu.sizes["time"])[: int(0.9 * imu.sizes["time"])])
    found = VqfJcs().estimate(stream(imu.isel(time=kept), FLEXIONS, rate_hz=50.0))
    truth = np.stack([walk.truth(dof) for dof in FLEXIONS], 1)[::2][: len(found)]
    assert (np.sqrt(np.mean((found - truth)[200:1100] ** 2, axis=0)) < 3.0).all()


# --- what is missing --------------------------------------------------------------------------------------------------


def test_a_gap_gives_nan_and_a_short_one_is_bridged():
    walk = walked()
    imu = sensors(walk)
    shank = list(walk.signals).index("shank_r")
    imu["gyr"].values[1000:1005, shank] = np.nan
    imu["acc"].values[1500:1600, shank] = np.nan
    found = VqfJcs().estimate(stream(imu, FLEXIONS))
    knee, hip = found[:, 1], found[:, 0]
    assert np.isfinite(knee[900:1490]).all()
    assert np.isnan(knee[1510:1590]).all()
    assert np.isfinite(knee[1610:]).all()
    assert np.isfinite(hip).all(), "the hip has nothing to do with the shank"


@pytest.mark.parametrize(
    ("how", "dofs", "spoil", "words"),
    [
        ({}, ("knee_flexion_r",), lambda imu: imu.isel(sensor=[0, 1]), "no sensor on shank_r"),
        ({}, ("knee_flexion_r",), lambda imu: imu.drop_vars("gyr"), "no gyr; take orientation=device"),
        ({"orientation": "device"}, ("knee_flexion_r",), lambda imu: imu, "no 'quat'"),
        ({"magnetometer": True}, ("knee_flexion_r",), lambda imu: imu, "no mag; take magnetometer=false"),
        ({"calibration": "static", "magnetometer": True}, ("knee_flexion_r",), lambda imu: imu, "no mag"),
    ],
)
def test_what_is_missing_is_told_in_one_sentence(how, dofs, spoil, words):
    with pytest.raises(DataError) as told:
        VqfJcs(**how).estimate(stream(spoil(sensors(walked())), dofs))
    assert words in str(told.value)
    assert "\n" not in str(told.value)


def test_a_rotation_that_nobody_knows_is_not_guessed():
    with pytest.raises(DataError, match="thigh_r to its segment is unknown; take calibration=pca"):
        VqfJcs().estimate(stream(sensors(walked(), known=False), ("knee_flexion_r",)))


def test_accelerations_without_gravity_are_refused():
    imu = sensors(walked())
    imu["acc"].attrs["kind"] = "gravity_removed"
    with pytest.raises(DataError, match="needs gravity"):
        VqfJcs().estimate(stream(imu, ("knee_flexion_r",)))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"orientation": "madgwick"}, "expected vqf or device"),
        ({"calibration": "pcs"}, "Did you mean 'pca'"),
        ({"heading": "north"}, "expected one of auto, joint, world"),
        ({"calibration": "static"}, "needs one heading of all sensors"),
        ({"heading": "world"}, "needs one heading of all sensors"),
        ({"orientation": "device", "magnetometer": True}, "magnetometer=true is VQF's"),
        ({"window_s": 0}, "seconds above 0"),
        ({"forward": "w"}, "forward"),
        ({"offset": "yes"}, "expected true or false"),
    ],
)
def test_settings_that_cannot_be_are_refused(how, words):
    with pytest.raises(UsageError, match=words):
        VqfJcs(**how)


# --- its own calibration ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("calibration", ["pca", "functional"])
def test_sensors_that_nobody_calibrated_are_calibrated_by_their_motion(calibration):
    walk = walked()
    imu = sensors(walk, mounts=mounts(7), known=False)
    found = VqfJcs(calibration=calibration).estimate(stream(imu, FLEXIONS))
    assert (centred(found, walk, FLEXIONS) < 5.0).all(), centred(found, walk, FLEXIONS)


def test_a_standing_pose_is_zero_by_the_static_calibration():
    walk = walked()
    imu = sensors(walk, mounts=mounts(9) | {"pelvis": np.eye(3)}, known=False, quat=oriented(walk))
    found = VqfJcs(orientation="device", calibration="static", forward="x").estimate(stream(imu, FLEXIONS))
    assert np.abs(found[50:100]).max() < 1.0
    assert (centred(found, walk, FLEXIONS) < 2.0).all()


def test_a_person_who_never_stands_has_no_static_calibration():
    walk = walked()
    imu = sensors(walk, quat=oriented(walk)).isel(time=slice(500, 1500))
    imu = imu.assign_coords(time=imu["time"] - imu["time"].values[0])
    with pytest.raises(DataError, match="stands still"):
        VqfJcs(orientation="device", calibration="static").estimate(stream(imu, FLEXIONS))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_axes_of_a_hinge_are_found_from_a_rough_guess(seed):
    random = np.random.default_rng(seed)
    near_axis, far_axis = Rotation.random(2, random_state=seed).apply([0.0, 0.0, 1.0])
    t = np.arange(600) / 100
    body = np.stack([np.sin(2 * t + phase) for phase in random.uniform(0, 6, 3)], axis=1)
    bend = 2 * np.cos(7 * t)
    far_from_near = Rotation.align_vectors([far_axis], [near_axis])[0]
    near = body - (body @ near_axis)[:, None] * near_axis + np.outer(np.sin(5 * t), near_axis)
    angle = np.cumsum(bend) / 100
    far = Rotation.from_rotvec(np.outer(-angle, far_axis)).apply(far_from_near.apply(near)) + np.outer(bend, far_axis)
    guesses = [
        Rotation.from_rotvec(random.normal(0, 0.15, 3)).apply(axis) for axis in (near_axis, far_axis)
    ]  # fmt: skip
    found = hinge_axes(near, far, *guesses)
    for axis, truth in zip(found, (near_axis, far_axis), strict=True):
        assert axis @ truth > 0.999


@settings(max_examples=15, deadline=None)
@given(offset=st.floats(-3.1, 3.1))
def test_a_heading_between_neighbours_is_taken_off_again(offset):
    near = Rotation.from_euler("y", np.linspace(0, 3, 500)[:, None]).as_matrix()
    bend = Rotation.from_euler("z", np.sin(np.arange(500) / 10)[:, None]).as_matrix()
    far = turned(near @ bend, np.full(500, offset))
    found = heading_between(near, far, 100)
    assert np.allclose(np.exp(1j * (found + offset)), 1.0, atol=1e-6)
    assert np.allclose(turned(far, found), near @ bend, atol=1e-6)


# --- level ------------------------------------------------------------------------------------------------------------


def labelled(level, dofs=("knee_flexion",)):
    spec = windows.TaskSpec(
        "toy", 1, ("thigh/gyr/z", "shank/gyr/z"), tuple(dofs), ("thigh", "shank"), 100.0, 20
    )  # fmt: skip
    rows = np.zeros((100, 2), dtype=np.float32)
    targets = np.full((100, len(dofs)), level, dtype=np.float32)
    starts = np.arange(0, 81, 10)
    return Batches(
        rows, targets, np.ones_like(targets, dtype=bool), starts, np.zeros(starts.size, dtype=np.int64),
        np.ones((starts.size, 2), dtype=bool), spec,
    )  # fmt: skip


def test_nothing_is_learnt_unless_an_offset_is_asked_for(tmp_path):
    walk = walked()
    asked = stream(sensors(walk), ("knee_flexion",), "r")
    plain, levelled = VqfJcs(), VqfJcs(offset=True)
    alone = plain.estimate(asked)
    for model in (plain, levelled):
        model.fit(labelled(33.0), labelled(33.0), seed=0)
    assert np.array_equal(plain.estimate(asked), alone)
    assert plain.parameters() == 0
    moved = levelled.estimate(asked)
    assert abs(moved[500:2000].mean() - 33.0) < 2.0, "the level of others"
    assert np.ptp(moved - alone) < 1e-3, "and the course of its own"
    levelled.save(tmp_path)
    again = VqfJcs()
    again.load(tmp_path)
    assert np.array_equal(again.estimate(asked), moved)
    again.adapt(labelled(10.0), labelled(10.0), seed=0)
    assert abs(again.estimate(asked)[500:2000].mean() - 10.0) < 2.0, "the person's own"
    plain.adapt(labelled(10.0), labelled(10.0), seed=0)
    assert np.array_equal(plain.estimate(asked), alone)
    assert "nothing to adapt" in plain.notes[-1]


def test_what_is_no_joint_angle_is_not_for_it():
    with pytest.raises(NotApplicable, match="grf_vertical_r"):
        VqfJcs().fit(labelled(1.0, ("grf_vertical_r",)), labelled(1.0, ("grf_vertical_r",)), seed=0)
    spec = replace(task(("knee_flexion_r",)), dofs=("pelvis_tilt",))
    with pytest.raises(DataError, match="is no joint"):
        VqfJcs().estimate(windows.stream_of(sensors(walked()), {}, spec, ""))


# --- optical truth ----------------------------------------------------------------------------------------------------

MANIFESTS = Path(__file__).parent / "manifests"
HOWS = ({}, {"magnetometer": True}, {"orientation": "device"}, {"calibration": "pca"}, {"calibration": "functional"})


def errors(found, asked, reference):
    """RMSE and centred RMSE by DoF, in degrees, where a real recording's reference holds."""
    names = [str(name) for name in reference["dof"].values]
    rows = {}
    for column, dof in enumerate(asked.dofs):
        truth = reference["angle"].values[:, names.index(dof)].astype(float)
        if "valid" in reference:
            truth[~reference["valid"].values[:, names.index(dof)]] = np.nan
        at = np.interp(asked.time_s, reference["time"].values, truth, left=np.nan, right=np.nan)
        error = (found[:, column] - at)[np.isfinite(at) & np.isfinite(found[:, column])]
        rows[dof] = (float(np.sqrt(np.mean(error**2))), float(error.std()))
    return rows


def shown(name, how, rows):
    for dof, (rmse_deg, centred_deg) in rows.items():
        print(f"{name:13} {how:38} {dof:22} RMSE {rmse_deg:5.1f}  centred {centred_deg:4.1f} deg")


@pytest.mark.parametrize(
    ("name", "of", "hows", "knee_deg"),
    [("neura_sparse", tasks.SAGITTAL, HOWS, 5.0), ("fan_knee", tasks.KNEE_PAIR, HOWS, 3.0)],
)
def test_against_optical_truth_the_knee_is_told_as_well_as_the_field_reports(shared, name, of, hows, knee_deg):
    (source,) = plugins.create("adapters", "lab").find(MANIFESTS / name).sources
    recording = prepare(source)
    for how in hows:
        asked = windows.stream_of(recording.imu, {}, of, "l" if of.per_leg else "")
        rows = errors(VqfJcs(**how).estimate(asked), asked, recording.reference)
        shown(name, ", ".join(f"{key}={value}" for key, value in how.items()) or "6D, store", rows)
        for dof, (_, centred_deg) in rows.items():
            assert centred_deg < (knee_deg if dof.startswith("knee") else 10.0), (how, dof)
    if name == "neura_sparse":
        spoilt = windows.stream_of(recording.imu, {}, of, "")
        spoilt.imu["gyr"].values[:] *= 0.5
        rows = errors(VqfJcs().estimate(spoilt), spoilt, recording.reference)
        assert rows["knee_flexion_r"][1] > 5.0, "with rates of another unit it could not be"


def test_against_opensims_inverse_kinematics_of_the_same_sensors(shared):
    folder = shared / "opensense" / "example"
    (source,) = plugins.create("adapters", "opensense").find(folder).sources
    asked = windows.stream_of(prepare(source).imu, {}, tasks.LOWER_BODY, "")
    names, table = motion(folder / "reference" / "imu_ik_opensim46.mot")
    solved = slice(0, 775)
    found = VqfJcs(orientation="device", calibration="static").estimate(asked)
    rows = {}
    for column, dof in enumerate(asked.dofs):
        truth = table[:, names.index(COORDINATES[dof[:-2]] + dof[-2:])]
        error = (found[: len(truth), column] - truth)[solved]
        rows[dof] = (float(np.sqrt(np.mean(error**2))), float(error.std()))
    shown("opensense", "device, static; against OpenSim's IK", rows)
    for leg in "rl":
        assert rows[f"hip_flexion_{leg}"][1] < 3.0
        assert rows[f"knee_flexion_{leg}"][1] < 3.0
        assert rows[f"ankle_dorsiflexion_{leg}"][1] < 4.0
