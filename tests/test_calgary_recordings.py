"""The calgary adapter on real recordings, against other people's numbers: the clinic's own angles, published networks.

The recordings and weights stay where they are; what stands here are scores and facts about them.
"""

import hashlib

import numpy as np
import pytest
import scipy.io
import torch
from conftest import SHARED
from kinbench_adapters._calgary import metadata
from kinbench_adapters._calgary.anatomy import CLUSTERS, stand
from kinbench_adapters._calgary.captures import read_pair
from kinbench_adapters._calgary.tracking import Limits, track
from kinbench_adapters.calgary import CalgaryAdapter

from kinbench import alignment, kinematics
from kinbench.conversion import prepare
from kinbench.testing import check_adapter

RUNNER = "20140515T133244"
ENDS = 75
"""Samples at either end that the networks see half of: 3 * (k - 1) / 2."""


@pytest.fixture(scope="module")
def folder():
    if SHARED is None:
        pytest.skip("the shared recordings are not here: set KINBENCH_SHARED_DATA to their folder")
    return SHARED / "calgary_ric"


def sources(folder, **settings):
    return {str(s.key).partition("/")[2]: s for s in CalgaryAdapter(**settings).find(folder).sources}


def capture(folder, run, standing):
    paths = [folder / "raw_c3d" / f"{name}.c3d" for name in (run, standing)]
    return read_pair(*paths, {path: path.name for path in paths})


@pytest.fixture(scope="module")
def runner(folder):
    """One runner's unmasked motion: the clinic's angles have no masks either."""
    found = capture(folder, f"{RUNNER}_run", f"{RUNNER}_static")
    off = Limits(residual_mm=1e9, turn_dps=1e9, speed_mps=1e9)
    return track(found, stand(found, RUNNER), off, RUNNER).motions


@pytest.fixture(scope="module")
def clinic(folder):
    """The clinic's own angles of that runner by name, (5000, 3) x, y, z in its signs."""
    angles = scipy.io.loadmat(folder / "angles" / f"{RUNNER}_r.mat")["r_angles"]
    return {name: np.asarray(angles[name][0, 0], dtype=float) for name in angles.dtype.names}


def apart(one, other):
    return (one - other + 180.0) % 360.0 - 180.0


@pytest.fixture(scope="module")
def converted(folder):
    """The three runners as they are converted, by session."""
    return {source.key.session: prepare(source) for source in sources(folder).values()}


@pytest.fixture(scope="module")
def rapp(folder):
    """One runner's sensors after Rapp et al. 2021."""
    return prepare(sources(folder, compat="rapp2021")[f"201225/{RUNNER}/running"]).imu


# --- the clinic's numbers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["r", "l"])
@pytest.mark.parametrize(("joint", "proximal", "distal"), [
    ("hip", "pelvis", "thigh"), ("knee", "thigh", "shank"), ("ankle", "shank", "foot"),
])  # fmt: skip
def test_the_joints_are_the_clinics_own(runner, clinic, joint, proximal, distal, side):
    """All three angles of all six joints, frame by frame, markers exchanged or not; the left side's wraps are wraps."""
    above = runner[proximal if proximal == "pelvis" else f"{proximal}_{side}"]
    ours = kinematics.clinic_angles(above.quaternion, runner[f"{distal}_{side}"].quaternion)
    rmse = np.sqrt(np.mean(apart(ours, clinic[f"{side.upper()}_{joint}"]) ** 2, axis=0))
    print(f"{joint}_{side} against the clinic: RMSE {rmse} deg")
    assert (rmse < 0.01).all()


def test_the_pelvis_is_the_clinics_with_its_columns_and_signs_told(runner, clinic):
    """Its columns are the pelvis's angles about Z-X-Y, (-y, x, -z) of ours by the clinic's rule, to 0.014 deg."""
    lab = np.tile(kinematics.quaternions(np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])), (5000, 1))
    x, y, z = kinematics.clinic_angles(lab, runner["pelvis"].quaternion).T
    rmse = np.sqrt(np.mean((np.stack([-y, x, -z], axis=1) - clinic["pelvis"]) ** 2, axis=0))
    print(f"pelvis against the clinic: RMSE {rmse} deg")
    assert (rmse < 0.02).all()


def test_the_fourth_marker_of_pelvis_and_feet_adds_nothing(folder, runner):
    """The clinic's code fits it too; since it is the mean of the other three, the fit is the same."""
    found = capture(folder, f"{RUNNER}_run", f"{RUNNER}_static")
    frames = stand(found, RUNNER).frames
    for segment in ("pelvis", "foot_r", "foot_l"):
        names = [f"{CLUSTERS[segment]}_{number}" for number in (1, 2, 3, 4)]
        moving = np.stack([found.moving[name] for name in names], axis=1)
        still = np.array([found.standing[name] for name in names])
        with_mean = kinematics.cluster_motion(still, frames[segment], moving)
        assert np.abs(with_mean.rotation - runner[segment].rotation).max() < 2e-4, segment


# --- the release's tables ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "rows", "persons"), [("running", 1832, 1402), ("walking", 2088, 1686)])
def test_the_real_tables_are_read_whole(folder, mode, rows, persons):
    path = folder / "metadata" / metadata.TABLES[mode]
    visits = metadata.read_visits(path, metadata.SPEEDS[mode])
    assert len(visits) == rows
    assert len({visit.sub_id for visit in visits.values()}) == persons
    assert len(path.read_text(encoding="utf-8").splitlines()[0].split(",")) == 26
    people = [visit.person for visit in visits.values()]
    for name, low, high in (("age_y", 10, 100), ("height_m", 1.2, 2.5), ("mass_kg", 30, 200)):
        known = [person[name] for person in people if person[name] is not None]
        assert low <= min(known) and max(known) <= high
        assert rows - len(known) < 0.06 * rows, name
    assert all(visit.speed_mps is not None for visit in visits.values())
    assert {person["sex"] for person in people} == {"female", "male", "unknown"}
    assert {person["affected_side"] for person in people} == {"left", "right", "both", "unknown"}


def test_both_tables_together_list_2506_sessions_of_1798_persons(folder):
    paths = {mode: folder / "metadata" / name for mode, name in metadata.TABLES.items()}
    tables = metadata.read_metadata(paths, lambda path: path.name)
    sessions = {session for visits in tables.visits.values() for session in visits}
    persons = {visit.sub_id for visits in tables.visits.values() for visit in visits.values()}
    assert (len(sessions), len(persons)) == (2506, CalgaryAdapter.card.persons)


def test_the_pinned_hashes_are_those_of_the_real_tables(folder):
    pinned = {d.path: d for d in CalgaryAdapter.tree.downloads}
    for name in metadata.TABLES.values():
        data = (folder / "metadata" / name).read_bytes()
        assert pinned[name].known_hash == f"sha256:{hashlib.sha256(data).hexdigest()}"
        assert pinned[name].size_bytes == len(data)


# --- three runners ----------------------------------------------------------------------------------------------------


def test_the_runners_keep_every_promise(folder):
    check_adapter(CalgaryAdapter(), folder)


def test_the_runners_convert_and_their_people_are_known(folder, converted):
    found = sources(folder)
    assert set(found) == {
        "200267/20141003T073938/running", f"201225/{RUNNER}/running", "RBDS001/RBDS001/running-T35_rot",
    }  # fmt: skip
    for name, recording in converted.items():
        assert recording.attrs["sync"]["by"] == alignment.CONSTRUCTION
        lag = alignment.estimate_lag(recording.imu, recording.reference, search_s=2.0)
        assert lag.r > 0.999 and abs(lag.shift_s) < 1e-4, name
    known = converted[RUNNER].attrs
    assert known["speed_mps"] == pytest.approx(2.905, abs=1e-3)
    assert known["person_table"]["height_m"] == 1.70


def test_tracking_errors_are_found_by_the_markers_alone(converted):
    """20140515T133244 has exchanged markers on its left thigh and both feet, and on no other segment."""
    (step,) = [entry for entry in converted[RUNNER].attrs["history"] if entry["step"] == "mask_tracking_errors"]
    shares = {segment: told["masked"] / 5000 for segment, told in step["segments"].items()}
    assert {segment for segment, share in shares.items() if share} == {"thigh_l", "foot_l", "foot_r"}
    assert shares["foot_r"] == pytest.approx(0.228, abs=0.01)
    assert shares["thigh_l"] == pytest.approx(0.034, abs=0.005) and shares["foot_l"] < 0.05


def test_clean_runners_lose_nothing_and_unfiltered_ones_next_to_nothing(folder):
    for run, standing in (
        ("20141003T073938_run", "20141003T073938_static"),
        ("RBDS001runT35_rot", "RBDS001static_rot"),
    ):
        found = capture(folder, run, standing)
        tracked = track(found, stand(found, run), Limits(), run)
        masked = {segment: told["masked"] for segment, told in tracked.step["segments"].items() if told["masked"]}
        assert masked == ({} if run.startswith("2014") else {"foot_l": 37})  # of 4,500


def test_the_relabelled_runners_heel_markers_are_put_in_the_order_that_fits(converted):
    """By name his ankles would stand at 86 to 159 deg of dorsiflexion, and his feet's fit leave 4.7 mm."""
    assert [flag for flag in converted["RBDS001"].attrs["quality"] if "relabelled" in flag] == [
        "foot_r:relabelled", "foot_l:relabelled",
    ]  # fmt: skip
    for side in "rl":
        ankle = converted["RBDS001"].reference["angle"].sel(dof=f"ankle_dorsiflexion_{side}")
        print(f"ankle_{side} from {float(ankle.min()):.0f} to {float(ankle.max()):.0f} deg")
        assert float(ankle.min()) > -60 and float(ankle.max()) < 45
    for session in (RUNNER, "20141003T073938"):
        assert not any("relabelled" in flag for flag in converted[session].attrs["quality"])


def test_after_masking_no_limb_moves_as_none_can(converted):
    recording = converted[RUNNER]
    speed_dps = np.degrees(np.linalg.norm(recording.imu["gyr"].values, axis=2))
    assert np.nanmax(speed_dps) < 900
    knee = recording.reference["angle"].sel(dof="knee_flexion_l").values
    assert np.nanmin(knee) > -10 and np.nanmax(knee) < 120


def test_the_relabelled_runner_has_its_rate_its_gap_and_a_real_fourth_pelvis_marker(folder, converted):
    recording = converted["RBDS001"]
    assert recording.attrs["rates"]["reference"]["nominal_hz"] == 150
    steps = {entry["step"]: entry for entry in recording.attrs["history"]}
    assert len(steps["segment_frames"]["markers"]["pelvis"]) == 4  # iliac spines, not a cluster and its mean
    found = capture(folder, "RBDS001runT35_rot", "RBDS001static_rot")
    gaps = sum(int((~np.isfinite(path)).any(axis=1).sum()) for path in found.moving.values())
    assert gaps == 2 and steps["mask_tracking_errors"]["segments"]["pelvis"]["missing"] == 0


# --- published networks -----------------------------------------------------------------------------------------------


def network(weights, x):
    """The published Conv1D, (n, 16) -> (n, 3): three times convolution, ReLU, batch norm; two layers per sample."""
    layer = torch.nn.functional
    state = torch.load(weights / "model.pt", map_location="cpu", weights_only=True)
    norm = torch.load(weights / "norm_dict.pt", map_location="cpu", weights_only=True)["params"]
    y = ((torch.as_tensor(x, dtype=torch.float32)[None] - norm["x_mean"]) / norm["x_std"]).transpose(1, 2)
    for number in range(3):
        kernel, name = state[f"conv{number}.weight"], f"conv_batchnorm{number}"
        y = layer.conv1d(y, kernel, state[f"conv{number}.bias"], padding=(kernel.shape[-1] - 1) // 2).relu()
        y = layer.batch_norm(
            y, *(state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        )
    y = torch.sigmoid(layer.linear(y.transpose(1, 2), state["lin0.weight"], state["lin0.bias"]))
    y = layer.linear(y, state["lin_out.weight"], state["lin_out.bias"])
    return (y * norm["y_std"] + norm["y_mean"])[0].numpy()


def channels(imu, *segments):
    """(n, 16): acc, |acc|, gyr, |gyr| of the proximal, then of the distal sensor."""
    columns = []
    for segment in segments:
        for name in ("acc", "gyr"):
            values = imu[name].sel(sensor=segment).values
            columns += [values, np.linalg.norm(values, axis=1, keepdims=True)]
    return np.concatenate(columns, axis=1)


@pytest.mark.parametrize(
    ("joint", "segments", "r_least", "published_rmse"),
    [("Knee", ("thigh_r", "shank_r"), 0.96, 6.8), ("Hip", ("pelvis", "thigh_r"), 0.98, 3.9)],
)
def test_the_published_networks_know_these_sensors(folder, clinic, rapp, joint, segments, r_least, published_rmse):
    weights = folder.parent / "published_weights/conv1d/Running" / joint
    inside = slice(ENDS, -ENDS)
    with torch.no_grad():
        flexion = network(weights, channels(rapp, *segments))[inside, 0]
    truth = clinic[f"R_{joint.lower()}"][inside, 2]
    r, rmse = np.corrcoef(flexion, truth)[0, 1], np.std(flexion - truth)
    print(f"{joint}: r {r:.4f}, centred RMSE {rmse:.2f} deg")
    assert r > r_least
    assert rmse == pytest.approx(published_rmse, abs=0.1)
