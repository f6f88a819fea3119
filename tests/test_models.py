import re
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kinbench_benchmarks import tasks
from kinbench_benchmarks.models.hur2025 import CnnNetwork, CodeCnn, Lstm, LstmNetwork, PaperCnn
from kinbench_benchmarks.models.mean_pose import MeanPose
from kinbench_benchmarks.models.ridge import Ridge

from kinbench import plugins
from kinbench.contracts import AdaptiveModel
from kinbench.errors import DataError, KinbenchError, UsageError
from kinbench.windows import Batches, TaskSpec

WINDOW = 32
CHANNELS = ("thigh/gyr/x", "thigh/gyr/y", "shank/gyr/x", "shank/gyr/y")
SPEC = TaskSpec("toy", 1, CHANNELS, ("knee_flexion", "ankle_dorsiflexion"), ("thigh", "shank"), 100.0, WINDOW)
QUICK = {"epochs": 6, "epoch_windows": 64}
FACTORIES = {
    "mean-pose": MeanPose,
    "ridge": Ridge,
    "hur2025-cnn": lambda: PaperCnn(**QUICK),
    "hur2025-cnn-code": lambda: CodeCnn(epochs=60, lr=1e-2, patience=20),
    "hur2025-lstm": lambda: Lstm(epochs=4, lr=1e-2),
}
EVERY = pytest.mark.parametrize("name", FACTORIES)
TRAINED = pytest.mark.parametrize("name", [name for name in FACTORIES if name != "mean-pose"])


def windows(seed=0, *, people=3, samples=1000, offset=0.0, noise=0.1, spec=SPEC, labelled=None):
    """People whose angles are a linear function of smooth signals, each with a slightly different one."""
    rng = np.random.default_rng(seed)
    signals, targets = [], []
    mixing = np.random.default_rng(99).normal(size=(len(spec.channel_names), len(spec.dof_names))) * 10
    for _ in range(people):
        t = np.arange(samples) / spec.rate_hz
        rate = rng.uniform(0.8, 1.2, len(spec.channel_names))
        phase = rng.uniform(0, 6, len(spec.channel_names))
        x = np.sin(2 * np.pi * rate * t[:, None] + phase)
        targets.append(x @ (mixing + rng.normal(size=mixing.shape)) + 20 + offset)
        signals.append(x + rng.normal(size=x.shape) * noise)
    count = people * samples
    starts = [p * samples + np.arange(0, samples - spec.window + 1, spec.window // 2) for p in range(people)]
    mask = np.ones((count, len(spec.dof_names)), dtype=bool) if labelled is None else labelled(count)
    y = np.where(mask, np.concatenate(targets), np.nan)
    return Batches(
        np.concatenate(signals).astype(np.float32), y.astype(np.float32), mask,
        np.concatenate(starts), np.repeat(np.arange(people), [len(s) for s in starts]),
        np.ones((sum(len(s) for s in starts), len(spec.segments)), dtype=bool), spec,
    )  # fmt: skip


def rmse(model, batches):
    return float(np.sqrt(np.nanmean((model.predict(batches.x) - batches.y) ** 2)))


def empty(spec=SPEC):
    return replace(windows(spec=spec), starts=np.empty(0, dtype=np.int64))


def fit(name, seed=0):
    model = FACTORIES[name]()
    model.fit(windows(1), windows(2, people=1), seed=seed)
    return model


@cache
def _fitted_once(name):
    return fit(name)


def fitted(name):
    """A fitted model of one's own, without fitting it anew for every test."""
    return deepcopy(_fitted_once(name))


# --- every model -----------------------------------------------------------------------------------------------------


@EVERY
def test_is_registered_and_an_adaptive_model(name):
    model = plugins.create("models", name)
    assert isinstance(model, AdaptiveModel)
    assert model.card.name == name


@EVERY
def test_predicts_finite_float32_angles_of_the_right_shape(name):
    model = fitted(name)
    x = windows(3).x
    before = x.copy()
    predicted = model.predict(x)
    assert predicted.shape == (len(x), WINDOW, 2)
    assert predicted.dtype == np.float32
    assert np.isfinite(predicted).all()
    np.testing.assert_array_equal(x, before)
    assert model.predict(x[:0]).shape == (0, WINDOW, 2)
    assert isinstance(model.parameters(), int)


@EVERY
def test_same_seed_same_bytes_whatever_was_drawn_before(name):
    first = fit(name).predict(windows(3).x)
    np.random.default_rng(0)
    torch.rand(7)
    second = fitted(name).predict(windows(3).x)
    assert first.tobytes() == second.tobytes()


def test_another_seed_gives_another_network():
    assert not np.array_equal(
        fitted("hur2025-cnn").predict(windows(3).x), fit("hur2025-cnn", seed=1).predict(windows(3).x)
    )


@pytest.mark.parametrize("name", ["hur2025-cnn", "hur2025-lstm"])
def test_fitting_leaves_the_callers_torch_as_it_was(name):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    threads = torch.get_num_threads()
    fit(name)
    assert torch.rand(1) == expected
    assert torch.get_num_threads() == threads


@EVERY
def test_save_and_load_give_bit_equal_predictions_and_adapt_alike(name, tmp_path):
    model = fitted(name)
    model.save(tmp_path)
    again = FACTORIES[name]()
    again.load(tmp_path)
    x = windows(3).x
    assert model.predict(x).tobytes() == again.predict(x).tobytes()
    assert again.notes == model.notes
    assert not [path for path in tmp_path.iterdir() if path.suffix not in (".safetensors", ".json")]
    for each in (model, again):
        each.adapt(windows(4, people=1, offset=9), windows(5, people=1, offset=9), seed=2)
    assert model.predict(x).tobytes() == again.predict(x).tobytes()
    assert again.notes == model.notes


@EVERY
def test_refuses_to_load_what_is_not_its_own(name, tmp_path):
    with pytest.raises(DataError, match="no readable model state"):
        FACTORIES[name]().load(tmp_path)
    other = "ridge" if name == "mean-pose" else "mean-pose"
    fitted(other).save(tmp_path)
    theirs, ours = FACTORIES[other]().card, FACTORIES[name]().card
    told = f"state of {other} version {theirs.version}, expected {name} version {ours.version}"
    with pytest.raises(DataError, match=re.escape(told)):
        FACTORIES[name]().load(tmp_path)
    whole = (tmp_path / "weights.safetensors").read_bytes()
    for damaged in (b"PK\x03\x04 cut", whole[:-1], b""):
        (tmp_path / "weights.safetensors").write_bytes(damaged)
        with pytest.raises(DataError, match="no readable model state"):
            FACTORIES[other]().load(tmp_path)


@EVERY
def test_says_so_when_used_before_it_knows_anything(name, tmp_path):
    for use in (lambda m: m.predict(windows().x), lambda m: m.save(tmp_path), lambda m: m.parameters()):
        with pytest.raises(KinbenchError, match="call fit or load"):
            use(FACTORIES[name]())


@EVERY
def test_refuses_inputs_of_another_task(name):
    with pytest.raises(DataError, match="expected inputs"):
        fitted(name).predict(np.zeros((2, WINDOW, 3), dtype=np.float32))


@EVERY
def test_refuses_to_learn_from_nothing(name):
    with pytest.raises(DataError, match="no training window"):
        FACTORIES[name]().fit(empty(), empty(), seed=0)
    unlabelled = windows(labelled=lambda n: np.tile([True, False], (n, 1)))
    with pytest.raises(DataError, match="no valid training sample of ankle_dorsiflexion"):
        FACTORIES[name]().fit(unlabelled, empty(), seed=0)


@EVERY
def test_a_missing_sensor_and_masked_targets_do_no_harm(name):
    rng = np.random.default_rng(0)
    train = windows(1, labelled=lambda n: rng.random((n, 2)) > 0.4)
    train.signals[: len(train.signals) // 3, :2] = np.nan
    train.targets[~train.labelled] = np.nan
    train.signals[:, 3] = 7.0
    model = FACTORIES[name]()
    model.fit(train, windows(2, people=1), seed=0)
    x = windows(3).x
    x[:, :, 2:] = np.nan
    assert np.isfinite(model.predict(x)).all()


@TRAINED
def test_beats_the_mean_pose(name):
    test = windows(7, people=1)
    assert rmse(fitted(name), test) < 0.8 * rmse(fitted("mean-pose"), test)


@EVERY
def test_adapting_helps_a_person_with_an_offset(name):
    model = fitted(name)
    person = {"people": 1, "offset": 15.0}
    test = windows(7, **person)
    before = rmse(model, test)
    model.adapt(windows(7, **person), windows(8, **person), seed=0)
    assert rmse(model, test) < before


@TRAINED
def test_adapting_ends_no_worse_on_its_stopping_block(name):
    model = fitted(name)
    misleading, stopping = windows(7, people=1, offset=60), windows(8, people=1)
    before = rmse(model, stopping)
    model.adapt(misleading, stopping, seed=0)
    assert rmse(model, stopping) < before + 0.5


@TRAINED
def test_few_validation_windows_choose_nothing_and_it_is_said(name):
    model = FACTORIES[name]()
    model.fit(windows(1), empty(), seed=0)
    assert any("0 validation windows" in note for note in model.notes)
    told = len(model.notes)
    model.adapt(windows(4, people=1), replace(windows(5), starts=windows(5).starts[:7]), seed=0)
    assert any("7 validation windows" in note for note in model.notes[told:])


# --- mean pose -------------------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-180, 180, width=32), min_size=2, max_size=6))
def test_mean_pose_is_the_mean(levels):
    blocks = [np.full((WINDOW, 1), level, dtype=np.float32) for level in levels]
    spec = replace(SPEC, dof_names=("knee_flexion",))
    train = Batches(
        np.zeros((WINDOW * len(levels), 4), dtype=np.float32), np.concatenate(blocks),
        np.ones((WINDOW * len(levels), 1), dtype=bool), np.arange(len(levels)) * WINDOW,
        np.zeros(len(levels), dtype=np.int64), np.ones((len(levels), 2), dtype=bool), spec,
    )  # fmt: skip
    model = MeanPose()
    model.fit(train, train, seed=0)
    np.testing.assert_allclose(model.predict(train.x), np.mean(np.float64(levels)), atol=1e-4)


# --- ridge -----------------------------------------------------------------------------------------------------------


def test_ridge_finds_an_exact_linear_map_of_context():
    train, test = windows(1, noise=0.0), windows(2, people=1, noise=0.0)
    for batches in (train, test):
        batches.targets[:, 0] = 3.0 * np.roll(batches.signals[:, 1], 5) + 40.0
        batches.targets[:, 1] = -2.0 * np.roll(batches.signals[:, 0], -5)
    model = Ridge(reach_s=0.1, lags=5)
    model.fit(train, test, seed=0)
    inner = slice(12, -12)  # where the context is whole
    np.testing.assert_allclose(model.predict(test.x)[1:-1, inner], test.y[1:-1, inner], atol=0.2)


def test_ridge_adapts_towards_the_prior_when_there_is_little_to_learn_from():
    model = fitted("ridge")
    x = windows(3).x
    before = model.predict(x)
    model.adapt(empty(), empty(), seed=0)
    np.testing.assert_array_equal(model.predict(x), before)
    assert "not adapted" in model.notes[-1]


@pytest.mark.parametrize("wrong", [{"lags": 0}, {"reach_s": -1.0}, {"thin": 0}])
def test_ridge_refuses_settings_without_meaning(wrong):
    with pytest.raises(UsageError):
        Ridge(**wrong)


# --- the paper's networks --------------------------------------------------------------------------------------------


def parameters(network):
    return sum(weight.numel() for weight in network.parameters())


def test_networks_have_the_published_number_of_parameters():
    assert parameters(LstmNetwork(72, 10)) == 368_906
    assert parameters(CnnNetwork(72, 3, 50)) == 12_305
    assert parameters(CnnNetwork(72, 10, None)) == 10_042
    assert parameters(CnnNetwork(72, 10, 50)) == 12_592


@pytest.mark.parametrize(
    ("model", "dofs", "count"),
    [
        (Lstm(epochs=1), 10, 368_906),
        (CodeCnn(epochs=1), 3, 12_305),
        (PaperCnn(epochs=1), 10, 10_042),
        (PaperCnn(epochs=1, time_layer=True), 10, 12_592),
    ],
)
def test_models_build_the_published_sizes_from_the_72_channel_task(model, dofs, count):
    spec = TaskSpec(
        "lower-body", 1, tuple(f"c{i}" for i in range(72)), tuple(f"d{i}" for i in range(dofs)), ("all",), 100.0, 50
    )
    data = windows(1, people=1, samples=200, spec=spec)
    model.fit(data, replace(data, starts=data.starts[:0]), seed=0)
    assert model.parameters() == count
    assert model.predict(data.x).shape == (len(data), 50, dofs)


def test_the_papers_cnn_reaches_negative_angles_but_not_below_training():
    train = windows(1, offset=-60.0)
    model = PaperCnn(**QUICK)
    model.fit(train, windows(2, offset=-60.0), seed=0)
    predicted = model.predict(windows(3).x * 5)
    assert predicted.min() < -20
    assert predicted.min() >= train.y.min() - 1e-3


def test_a_causal_network_looks_at_no_later_sample():
    model = fitted("hur2025-lstm")
    x = windows(3).x[:1]
    changed = x.copy()
    changed[:, 20:] += 1.0
    np.testing.assert_array_equal(model.predict(x)[:, :20], model.predict(changed)[:, :20])
    assert not np.array_equal(model.predict(x)[:, 20:], model.predict(changed)[:, 20:])


def test_a_layer_over_time_fixes_the_window():
    longer = np.zeros((1, WINDOW + 1, 4), dtype=np.float32)
    assert fitted("hur2025-cnn").predict(longer).shape == (1, WINDOW + 1, 2)
    with pytest.raises(DataError, match=f"windows of {WINDOW} samples"):
        fitted("hur2025-cnn-code").predict(longer)


def test_weights_with_a_time_layer_do_not_load_without(tmp_path):
    model = PaperCnn(**QUICK, time_layer=True)
    model.fit(windows(1), windows(2), seed=0)
    model.save(tmp_path)
    with pytest.raises(DataError, match="load with the same settings"):
        PaperCnn().load(tmp_path)


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"lr": 0}, {"batch": 0}, {"patience": 0}, {"epoch_windows": -1}])
def test_networks_refuse_settings_without_meaning(wrong):
    with pytest.raises(UsageError, match="must be positive"):
        PaperCnn(**wrong)


def test_a_diverging_fit_is_an_error_not_a_score():
    with pytest.raises(KinbenchError, match="diverged"):
        PaperCnn(epochs=2, lr=1e30).fit(windows(1), empty(), seed=0)


# --- tasks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", plugins.find("tasks"))
def test_tasks_are_registered_under_their_own_name(name):
    task = plugins.get("tasks", name).load()
    assert task.name == name
    assert all(variant in plugins.find("tasks") for variant in task.variants)


def test_tasks_are_those_of_the_protocols():
    assert len(tasks.KNEE_PAIR.channel_names) == len(tasks.ANKLE_PAIR.channel_names) == 12
    assert len(tasks.SAGITTAL.channel_names) == 42
    assert len(tasks.SAGITTAL.dofs) == 6
    for task in (tasks.KNEE_PAIR, tasks.ANKLE_PAIR, tasks.SAGITTAL):
        assert (task.rate_hz, task.window, task.stride) == (100.0, 128, 64)
        assert (task.acc_kind, task.axes) == ("specific_force", "segment")
    for task in (tasks.KNEE_PAIR_FREE_ACC, tasks.ANKLE_PAIR_FREE_ACC):
        assert (task.acc_kind, task.axes) == ("gravity_removed", "sensor")


def test_tasks_and_protocols_load_no_torch():
    code = (
        "import sys, kinbench_benchmarks.tasks, kinbench_benchmarks.models.ridge; "
        "sys.exit('torch' in sys.modules)"
    )  # fmt: skip
    subprocess.run([sys.executable, "-c", code], check=True)
