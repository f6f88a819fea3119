"""The mean cycle of other people: its phase from one gyro, its curve from labels, its word on what is no gait."""

from dataclasses import replace

import numpy as np
import pytest
from filter_cases import sensors, stream, task, walked
from hypothesis import given, settings
from hypothesis import strategies as st
from kinbench_benchmarks.models.gait_cycle import MeanGaitCycle, phase_of, swing_of
from scipy.spatial.transform import Rotation

from kinbench import plugins, testing
from kinbench.contracts import AdaptiveModel, StreamModel
from kinbench.errors import DataError, KinbenchError, NotApplicable
from kinbench.windows import Batches, TaskSpec

DOFS = ("knee_flexion", "ankle_dorsiflexion")
WALKING = slice(400, 2000)


def batches(seeds, *, leg="r", spec=None, labelled=True, dofs=DOFS):
    """Windows of some simulated walks, as a leg-agnostic task cuts them."""
    toy = task(dofs, per_leg=True)
    spec = spec or TaskSpec("toy", 1, toy.channel_names, toy.dofs, toy.segments, toy.rate_hz, toy.window)
    signals, targets, starts, person, begin = [], [], [], [], 0
    for number, seed in enumerate(seeds):
        walk = walked(seed)
        rows = np.concatenate([np.concatenate(walk.signals[f"{name}_{leg}"], axis=1) for name in toy.segments], axis=1)
        signals.append(rows)
        targets.append(np.stack([walk.truth(f"{dof}_{leg}") for dof in dofs], axis=1))
        own = begin + np.arange(0, len(rows) - 99, 50)
        starts.append(own)
        person += [number] * own.size
        begin += len(rows)
    y = np.concatenate(targets).astype(np.float32)
    mask = np.full(y.shape, labelled)
    first = np.concatenate(starts)
    return Batches(
        np.concatenate(signals).astype(np.float32), np.where(mask, y, np.nan).astype(np.float32), mask, first,
        np.array(person), np.ones((first.size, len(spec.segments)), dtype=bool), spec,
    )  # fmt: skip


def fitted(seeds=(1, 2), **how):
    model = MeanGaitCycle()
    model.fit(batches(seeds, **how), batches(seeds[:1], **how), seed=0)
    return model


def rmse(found, walk, leg="r"):
    truth = np.stack([walk.truth(f"{dof}_{leg}") for dof in DOFS], axis=1)[: len(found)]
    return np.sqrt(np.mean((found - truth)[WALKING] ** 2, axis=0))


def test_is_a_filter_that_can_be_adapted_and_kept():
    model = plugins.create("models", "mean-gait-cycle")
    assert isinstance(model, StreamModel)
    assert isinstance(model, AdaptiveModel)
    testing.check_model(MeanGaitCycle)
    with pytest.raises(KinbenchError, match="call estimate"):
        model.predict(np.zeros((1, 100, 18), dtype=np.float32))


def test_another_persons_walk_is_told_by_its_rhythm_far_better_than_by_the_mean():
    model, walk = fitted(), walked(0)
    asked = stream(sensors(walk), DOFS, "r")
    error = rmse(model.estimate(asked), walk)
    spread = np.array([walk.truth(f"{dof}_r")[WALKING].std() for dof in DOFS])
    assert (error < 0.7 * spread).all(), (error, spread)
    assert error[0] < 10.0


def test_the_left_leg_has_a_phase_of_its_own():
    model, walk = fitted(), walked(0)
    left = model.estimate(stream(sensors(walk), DOFS, "l"))
    assert rmse(left, walk, "l")[0] < 10.0
    assert rmse(left, walk, "r")[0] > 15.0, "half a stride apart"


def test_standing_is_the_mean_pose_and_said_to_be():
    model, walk = fitted(), walked(0)
    found = model.estimate(stream(sensors(walk), DOFS, "r"))
    still = found[50:200]
    assert np.ptp(still, axis=0).max() == 0.0
    mean = np.nanmean(np.stack([batches((seed,)).targets.mean(axis=0) for seed in (1, 2)]), axis=0)
    assert np.allclose(still[0], mean, atol=1.5)
    assert any("no gait" in note for note in model.notes)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_how_the_sensor_sits_plays_no_part(seed):
    walk = walked(0)
    gyr = walk.signals["shank_r"][1]
    turned = gyr @ Rotation.random(random_state=seed).as_matrix()
    assert np.allclose(swing_of(turned), swing_of(gyr), atol=1e-6)
    assert np.corrcoef(swing_of(gyr), gyr[:, 2])[0, 1] > 0.98, "it is the rate of flexion, positive in swing"


def test_the_phase_goes_from_contact_to_contact():
    phase = phase_of(swing_of(walked(0).signals["shank_r"][1]), 100.0)
    inside = phase[WALKING]
    assert np.isfinite(inside).mean() > 0.9
    assert np.nanmin(phase) >= 0.0
    assert np.nanmax(phase) < 1.0
    strides = np.count_nonzero(np.diff(inside) < -0.5)
    assert strides == pytest.approx(16.0 / 1.1, abs=2)
    assert np.isnan(phase_of(np.zeros(500), 100.0)).all()
    assert np.isnan(phase_of(np.full(500, np.nan), 100.0)).all()
    assert np.isnan(phase_of(-5 * np.abs(np.sin(np.arange(500) / 20)), 100.0)).all(), "no leg turns so"


def test_persons_count_the_same_however_long_they_walk():
    long, short = batches((1,)), batches((2,))
    few = replace(
        short, starts=short.starts[:16], person=short.person[:16] + 1, present=short.present[:16],
    )  # fmt: skip
    both = Batches(
        np.concatenate([long.signals, few.signals]), np.concatenate([long.targets, few.targets]),
        np.concatenate([long.labelled, few.labelled]), np.concatenate([long.starts, few.starts + len(long.signals)]),
        np.concatenate([long.person, few.person]), np.concatenate([long.present, few.present]), long.spec,
    )  # fmt: skip
    means = []
    for part in (long, few, both):
        model = MeanGaitCycle()
        model.fit(part, part, seed=0)
        means.append(model._course.mean)
    assert np.allclose(means[2], (means[0] + means[1]) / 2, atol=1e-3)


def test_the_calibration_of_a_person_takes_the_place_of_others(tmp_path):
    model, walk = fitted((1, 2)), walked(0)
    asked = stream(sensors(walk), DOFS, "r")
    before = rmse(model.estimate(asked), walk)
    model.adapt(batches((0,)), batches((0,)), seed=0)
    after = rmse(model.estimate(asked), walk)
    assert (after < before).all()
    assert after[0] < 4.0
    model.save(tmp_path)
    again = MeanGaitCycle()
    again.load(tmp_path)
    assert np.array_equal(again.estimate(asked), model.estimate(asked))
    known = model.estimate(asked)
    nothing = batches((0,), labelled=False)
    model.adapt(nothing, nothing, seed=0)
    assert np.array_equal(model.estimate(asked), known), "a calibration without labels says nothing"


def test_without_strides_to_learn_from_it_is_the_mean_pose():
    part = batches((1,))
    still = replace(part, signals=np.zeros_like(part.signals))
    model = MeanGaitCycle()
    model.fit(still, still, seed=0)
    assert "fewer than 3 strides" in model.notes[0]
    found = model.estimate(stream(sensors(walked(0)), DOFS, "r"))
    assert np.ptp(found, axis=0).max() < 1e-3


def test_what_it_needs_is_told_in_one_sentence():
    blind = batches((1,), labelled=False)
    with pytest.raises(DataError, match="no valid training sample of knee_flexion, ankle_dorsiflexion"):
        MeanGaitCycle().fit(blind, blind, seed=0)
    spec = TaskSpec("toy", 1, ("pelvis/gyr/z",), ("hip_flexion_r",), ("pelvis",), 100.0, 100)
    part = batches((1,))
    with pytest.raises(NotApplicable, match="needs a gyro on a shank, foot or thigh beside hip_flexion_r"):
        MeanGaitCycle().fit(replace(part, spec=spec), replace(part, spec=spec), seed=0)
    gyroless = sensors(walked(0)).drop_vars("gyr")
    with pytest.raises(DataError, match="needs a gyro on shank_r, and the recording has none"):
        fitted().estimate(stream(gyroless, DOFS, "r"))
