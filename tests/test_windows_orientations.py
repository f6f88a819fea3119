"""Orientations that a model may learn from: told from where the person walks, in training windows and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest
from kinbench_benchmarks import tasks
from raw_folders.bodies import walker
from scipy.spatial.transform import Rotation
from walking_cases import walk

from kinbench import kinematics, store, virtual_imu, windows
from kinbench.errors import UsageError
from kinbench.perturbations import Change
from kinbench.recording import Placement, Span, imu_dataset, segment_dataset

TASK = replace(tasks.JOINT_PAIR_KNEE_ORIENTED, dofs=("knee_flexion",), rate_hz=100.0, window=100, stride=50)
LEG = ("thigh_r", "shank_r")


def oriented(heading_deg, *, segments=("pelvis", *LEG), seed=3, **how):
    """A straight walk in a laboratory whose X is ``heading_deg`` to the right of where the person goes."""
    recording = walk(seed, length_s=14.0, **how)
    person = walker(seed, length_s=14.0, rate_hz=100.0, stand_s=3.0, stride_s=1.1, turn_deg=0.0)
    turn = Rotation.from_euler("Y", heading_deg, degrees=True).as_matrix()
    quats = [kinematics.quaternions(turn @ person.rotation[name]) for name in segments]
    reference = segment_dataset(person.time, list(segments), np.stack(quats, 1), tier="simulation")
    return replace(recording, reference=kinematics.dofs_from_segments(reference)), person


def prepared(folder, *recordings, task=TASK):
    with store.create(folder / "lab.zarr", dataset="lab", card={"name": "lab", "simulation": True}) as writer:
        for one in recordings:
            writer.write(one)
    return windows.prepare(store.open(folder / "lab.zarr"), task, cache=folder / "cache")


def spans(data):
    return [Span(str(entry.key), 0, 10**6) for entry in data.entries]


def matrices(data):
    batches = data.batches(spans(data))
    return kinematics.matrices(batches.oriented(np.arange(len(batches))))


@pytest.mark.parametrize("heading_deg", [0.0, 75.0, 180.0, -100.0])
def test_orientations_are_told_from_where_the_person_walks(tmp_path, heading_deg):
    recording, person = oriented(heading_deg)
    data = prepared(tmp_path, recording)
    found = matrices(data)
    at = data.places(spans(data)).sample[:, None] + np.arange(TASK.window)
    for column, name in enumerate(LEG):
        off = Rotation.from_matrix(
            (person.rotation[name][at].swapaxes(-1, -2) @ found[:, :, column]).reshape(-1, 3, 3)
        ).magnitude()
        assert np.rad2deg(off).max() < 4.0  # the line of walking is a mean over strides
        assert np.ptp(np.rad2deg(off)) < 0.1


def test_a_left_leg_is_mirrored_as_its_gyroscope_is(tmp_path):
    """A gyroscope's rate and its segment's turn are one: in training windows of either leg they must agree."""
    recording, person = oriented(40.0, segments=("pelvis", *LEG, "thigh_l", "shank_l"))
    recording = _with_left_sensors(recording, person)
    data = prepared(tmp_path, recording)
    batches = data.batches(spans(data))
    assert {piece.leg for piece in data.pieces} == {0, 1}
    rotation = kinematics.matrices(batches.oriented(np.arange(len(batches))))
    names = batches.spec.channel_names
    for column, segment in enumerate(batches.spec.segments):
        gyr = batches.x[:, :, [names.index(f"{segment}/gyr/{axis}") for axis in "xyz"]]
        turned = rotation[:, :-1, column].swapaxes(-1, -2) @ rotation[:, 1:, column]
        rate = Rotation.from_matrix(turned.reshape(-1, 3, 3)).as_rotvec().reshape(*turned.shape[:2], 3) * 100.0
        between = (gyr[:, 1:] + gyr[:, :-1]) / 2
        assert np.sqrt(np.mean((rate - between) ** 2)) < 0.05 < 0.3 < np.sqrt(np.mean(between**2))


def _with_left_sensors(recording, person):
    names = ("thigh_r", "shank_r", "thigh_l", "shank_l")
    quats = [kinematics.quaternions(person.rotation[name]) for name in names]
    acc = [virtual_imu.specific_force(person.position[n], q, 100.0) for n, q in zip(names, quats, strict=True)]
    gyr = [virtual_imu.angular_rate(quat, 100.0) for quat in quats]
    places = [
        Placement(n, n, "right" if n[-1] == "r" else "left", rotation=np.eye(3), rotation_origin="declared")
        for n in names
    ]
    imu = imu_dataset(
        person.time, places,
        {
            "acc": (np.stack(acc, 1), {"units": "m s-2", "kind": "specific_force", "frame": "sensor"}),
            "gyr": (np.stack(gyr, 1), {"units": "rad s-1", "frame": "sensor"}),
        },
    )  # fmt: skip
    return replace(recording, imu=imu)


def test_a_way_back_is_told_from_the_way_back(tmp_path):
    recording, person = oriented(0.0)
    back = Rotation.from_euler("Y", 180.0, degrees=True)
    quat = recording.reference["segment_quat"].values.copy()
    half = len(quat) // 2
    for column in range(quat.shape[1]):
        turned = back * Rotation.from_quat(quat[half:, column], scalar_first=True)
        quat[half:, column] = turned.as_quat(scalar_first=True)
    reference = segment_dataset(person.time, ["pelvis", *LEG], quat, tier="simulation")
    data = prepared(tmp_path, replace(recording, reference=kinematics.dofs_from_segments(reference)))
    rows = kinematics.matrices(data.orientations[[half - 40, half + 40], 0])
    truth = person.rotation["thigh_r"][[half - 40, half + 40]]
    off = np.rad2deg(Rotation.from_matrix(truth.swapaxes(-1, -2) @ rows).magnitude())
    assert off.max() < 4.0


def test_without_a_pelvis_the_world_stays_as_it_is_stored(tmp_path):
    recording, person = oriented(75.0, segments=LEG)
    data = prepared(tmp_path, recording)
    stored = kinematics.quaternions(Rotation.from_euler("Y", 75.0, degrees=True).as_matrix() @ person.rotation[LEG[0]])
    found = data.orientations[:, 0]
    np.testing.assert_allclose(np.abs((found * stored[: len(found)]).sum(axis=1)), 1.0, atol=1e-5)


def test_what_the_reference_lacks_is_nan_and_of_nothing_it_says_so(tmp_path):
    recording, _ = oriented(0.0)
    quat = recording.reference["segment_quat"].values  # a view: what is written there is written in the recording
    quat[600:700, 1] = np.nan
    data = prepared(tmp_path, recording)
    assert np.isnan(data.orientations[620:680, 0]).all()
    assert np.isfinite(data.orientations[620:680, 1]).all()
    (tmp_path / "bare").mkdir()
    ((_, reason),) = prepared(tmp_path / "bare", walk(3, length_s=14.0)).excluded
    assert reason == "its reference holds no orientation of thigh or shank"


def test_orientations_follow_their_windows_and_no_test_window_has_any(tmp_path):
    first, _ = oriented(0.0)
    second, _ = oriented(60.0, seed=4, subject="S2")
    data = prepared(tmp_path, first, second)
    whole = data.batches(spans(data))
    parts = [data.batches([span]) for span in spans(data)]
    joined = windows.concatenate(parts)
    index = np.arange(len(whole))
    np.testing.assert_array_equal(joined.oriented(index), whole.oriented(index))
    np.testing.assert_array_equal(whole.narrowed(["shank"]).oriented(index)[:, :, 0], whole.oriented(index)[:, :, 1])
    narrowed = data.narrowed(replace(TASK, segments=("shank",)))
    np.testing.assert_array_equal(narrowed.orientations[:, 0], data.orientations[:, 1])
    changed = data.changed([Change.of("noise", acc_sd=1.0)], spans(data)[1:])
    np.testing.assert_array_equal(
        changed.batches(spans(data)[1:]).oriented(np.arange(len(parts[1]))), parts[1].oriented(np.arange(len(parts[1])))
    )
    assert not hasattr(data.test_windows(spans(data)), "orientations")
    assert not hasattr(whole.unlabelled(), "orientations")


def test_a_task_that_asks_for_none_has_none(tmp_path):
    recording, _ = oriented(0.0)
    plain = replace(TASK, orientations=False, straight_deg=None)
    data = prepared(tmp_path, recording, task=plain)
    batches = data.batches(spans(data))
    assert batches.orientations is None
    with pytest.raises(UsageError, match="take its variant 'oriented'"):
        batches.oriented(np.arange(1))
    assert "orientations" not in plain.plain()
    assert windows.task_digest(plain) != windows.task_digest(replace(plain, orientations=True))
