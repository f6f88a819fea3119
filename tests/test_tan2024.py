"""The self-supervised transformer: sizes, masks, what it learns from gaps, and what it takes over into a fit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from kinbench_benchmarks import tasks
from kinbench_benchmarks.models.tan2024 import (
    GRID,
    RECIPES,
    Masking,
    Shape,
    SslNetwork,
    SslTransformer,
    reconstruction,
)
from kinbench_benchmarks.models.tan2024.layout import Layout
from kinbench_benchmarks.models.tan2024.network import positions
from kinbench_benchmarks.models.tan2024.sampling import Masked
from kinbench_benchmarks.models.tan2024.scaling import InputScaling
from kinbench_benchmarks.protocols import DATA_SIZE_PERSONS, DATA_SIZE_WINDOWS
from kinbench_benchmarks.training import checkpoints
from runner_cases import PROTOCOLS, TASK, laboratory

from kinbench import plugins, runner
from kinbench.contracts import AdaptiveModel, PretrainedModel, Searchable, SelfNormalisingModel, TrainedModel, Training
from kinbench.errors import DataError, KinbenchError, UsageError
from kinbench.prediction import pretrain
from kinbench.windows import Batches, TaskSpec, Unlabelled

SEGMENTS = ("pelvis", "thigh_r", "shank_r")


def spec_of(segments=SEGMENTS, dofs=("knee_flexion_r",), window=64, task="walk"):
    names = tuple(f"{s}/{kind}/{axis}" for s in segments for kind in ("acc", "gyr") for axis in "xyz")
    return TaskSpec(task, 1, names, dofs, segments, 50.0, window)


SPEC = spec_of()
TINY = {"patch": 4, "width": 64, "layers": 1, "heads": 2, "feed_forward": 64, "dropout": 0.0, "batch": 32,
        "probe_steps": 5, "tune_steps": 5, "adapt_steps": 5, "pretrain_steps": 5}  # fmt: skip


def tiny(**settings):
    return SslTransformer(**{**TINY, **settings})


def walkers(seed, people=4, spec=SPEC, seconds=40.0, absent=()):
    """People who walk: every channel a sum of the same harmonics of their step, at their own pace, with some noise."""
    common, rng = np.random.default_rng(99), np.random.default_rng(seed)
    channels = len(spec.channel_names)
    size = common.normal(0, 1, (channels, 4)) * [3, 2, 1.5, 1]
    phase = common.uniform(0, 2 * np.pi, (channels, 4))
    mixing = common.normal(0, 1, (channels, len(spec.dof_names)))
    signals, targets, starts, owner = [], [], [], []
    samples = int(seconds * spec.rate_hz)
    for person in range(people):
        step = 2 * np.pi * rng.uniform(0.8, 1.2) * np.arange(samples)[:, None, None] / spec.rate_hz
        own = size * rng.uniform(0.9, 1.1, size.shape)
        x = (own * np.cos((1 + np.arange(4)) * (step + rng.uniform(0, 6)) + phase)).sum(axis=2)
        signals.append(x + 5 + rng.normal(0, 0.1, x.shape))
        targets.append(10 * x @ mixing + 20)
        begin = np.arange(0, samples - spec.window + 1, spec.window // 2)
        starts.append(begin + person * samples)
        owner.append(np.full(begin.size, person))
    x, starts = np.concatenate(signals).astype(np.float32), np.concatenate(starts)
    present = np.ones((starts.size, len(spec.segments)), dtype=bool)
    for name in absent:
        x[:, [channel.startswith(f"{name}/") for channel in spec.channel_names]] = np.nan
        present[:, spec.segments.index(name)] = False
    y = np.concatenate(targets).astype(np.float32)
    return Batches(x, y, np.ones(y.shape, dtype=bool), starts, np.concatenate(owner), present, spec)


def nobody(spec=SPEC):
    whole = walkers(0, people=1, spec=spec, seconds=2.0)
    return replace(whole, starts=whole.starts[:0], person=whole.person[:0], present=whole.present[:0])


def rmse(model, batches):
    return float(np.sqrt(np.mean((model.predict(batches.x) - batches.y) ** 2)))


def weights_of(model):
    return {name: value.clone() for name, value in model._known().network.state_dict().items()}


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A small network that learnt to fill gaps of eight people's walks, and where it is kept."""
    model = tiny(pretrain_steps=400, pretrain_lr=5e-3)
    model.pretrain(walkers(1, people=8).unlabelled(), walkers(2, people=2).unlabelled(), seed=0)
    folder = tmp_path_factory.mktemp("pretrained")
    model.save(folder)
    return model, folder


# --- sizes -----------------------------------------------------------------------------------------------------------


def test_has_the_published_number_of_weights():
    network = SslNetwork(48, 128, 3, RECIPES["paper"].shape)
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()}
    assert count == {"embedding": 9_408, "encoder": 2_077_824, "reconstruction": 9_264, "head": 579}
    assert (network.absent.shape, network.hidden.shape) == ((128, 48), (48,))
    for start in (network.absent, network.hidden):
        assert -0.5 <= start.min() < -0.4 < 0.4 < start.max() <= 0.5


def test_layers_start_apart_and_the_published_settings_are_those_of_the_paper():
    first, second = (layer.linear1.weight for layer in SslNetwork(6, 16, 1, Shape(width=8, layers=2, heads=2)).encoder)
    assert not torch.equal(first, second)
    paper = RECIPES["paper"]
    assert (paper.pretrain_steps, paper.pretrain_lr, paper.batch, paper.weight_decay) == (50_000, 1e-4, 64, 0.01)
    assert (paper.probe_steps, paper.probe_lr, paper.tune_steps, paper.tune_lr) == (300, 1e-3, 300, 1e-4)
    assert paper.mask.hidden(128) == 16
    assert paper.stage("probe").trainable == ("head.",)
    assert (paper.stage("tune").trainable, paper.stage("tune").warm_up) == (None, 0.2)


def test_positions_have_twice_the_patches_as_base():
    place = positions(128, 192).double().numpy()
    for at, column in ((5, 0), (77, 40), (127, 190)):
        angle = at / 256 ** (column / 192)
        np.testing.assert_allclose(place[at, column : column + 2], [np.sin(angle), np.cos(angle)], atol=1e-5)


@pytest.mark.parametrize("task", [tasks.GRF_TREADMILL, tasks.KNEE_PAIR, tasks.LOWER_BODY, tasks.JOINT_PAIR_HIP])
@pytest.mark.parametrize("patch", [1, 8])
def test_takes_the_channels_dofs_and_window_of_any_task(task, patch):
    channels, dofs = len(task.channel_names), len(task.dofs)
    network = SslNetwork(channels, task.window, dofs, Shape(patch, 8, 1, 2, 8)).eval()
    x = torch.randn(3, task.window, channels)
    assert network(x).shape == (3, task.window, dofs)
    hidden = torch.zeros(3, network.patches, dtype=torch.bool)
    assert network.reconstruct(x, hidden).shape == x.shape


# --- channels --------------------------------------------------------------------------------------------------------


def test_channels_stand_as_published_accelerometers_first():
    names = Layout.of(tasks.GRF_TREADMILL.channel_names).names
    sensors = ("trunk", "pelvis", "thigh_r", "thigh_l", "shank_r", "shank_l", "foot_r", "foot_l")
    assert names == tuple(f"{s}/{kind}/{axis}" for kind in ("acc", "gyr") for s in sensors for axis in "xyz")
    paired = Layout.of(tasks.JOINT_PAIR_HIP.channel_names).names
    assert paired[:7] == (*(f"{s}/acc/{a}" for s in ("pelvis", "thigh") for a in "xyz"), "pelvis/gyr/x")
    assert set(paired[12:]) == {f"{s}/{kind}_norm" for s in ("pelvis", "thigh") for kind in ("acc", "gyr")}


def test_a_tasks_inputs_are_put_where_they_belong_and_the_rest_is_nan():
    layout = Layout.of(tasks.GRF_TREADMILL.channel_names)
    spec = spec_of(("thigh", "shank"))  # leg-agnostic: those of the right leg
    x = np.arange(12, dtype=np.float32).reshape(1, 1, 12)
    placed = dict(zip(layout.names, layout.place(x, spec)[0, 0], strict=True))
    assert placed["thigh_r/acc/y"] == 1
    assert placed["shank_r/gyr/z"] == 11
    assert sum(np.isnan(value) for value in placed.values()) == 36
    with pytest.raises(DataError, match="no channel head/acc/x"):
        layout.place(x, spec_of(("head", "shank")))
    assert layout.with_task(spec) == layout
    assert len(layout.with_task(spec_of(("head",))).names) == 54


def test_an_absent_legs_sensors_can_be_the_other_legs_mirrored():
    layout = Layout.of(spec_of(("pelvis", "shank_r", "shank_l")).channel_names)
    x = np.ones((2, 1, 18), dtype=np.float32)
    left = [name.startswith("shank_l") for name in layout.names]
    x[0][:, left] = np.nan
    x[1][:, left] = 7.0
    filled = layout.mirrored(x)
    assert filled[0, 0][left].tolist() == [1, 1, -1, -1, -1, 1]
    assert (filled[1, 0][left] == 7.0).all()


# --- masks -----------------------------------------------------------------------------------------------------------


def test_the_grid_is_the_studys():
    hidden = {patch: [mask.hidden(128 // patch) for mask in masks] for patch, masks in GRID.items()}
    assert hidden == {
        1: [8, 16, 32, 48, 64, 80], 2: [4, 8, 16, 24, 32, 40], 4: [2, 4, 8, 12, 16, 20], 8: [1, 2, 4, 6, 8, 10],
    }  # fmt: skip


@given(st.integers(2, 128), st.floats(0.01, 0.99), st.sampled_from(["contiguous", "random"]), st.integers(0, 9))
def test_a_mask_hides_its_part_of_every_window_in_one_run_or_scattered(patches, ratio, kind, seed):
    masking = Masking(1, ratio, kind)
    drawn = masking.draw(20, patches, np.random.default_rng(seed))
    assert (drawn.sum(axis=1) == masking.hidden(patches)).all()
    assert 0 < masking.hidden(patches) < patches
    if kind == "contiguous":
        assert (np.abs(np.diff(drawn.astype(int), axis=1, prepend=0, append=0)).sum(axis=1) == 2).all()


def test_every_run_and_every_patch_is_as_likely():
    drawn = Masking(1, 0.25).draw(4000, 8, np.random.default_rng(0))
    starts = drawn.argmax(axis=1)
    assert (np.bincount(starts, minlength=7) / 4000 > 0.12).all()
    scattered = Masking(1, 0.25, "random").draw(4000, 8, np.random.default_rng(0))
    np.testing.assert_allclose(scattered.mean(axis=0), 0.25, atol=0.03)


@pytest.mark.parametrize("wrong", [{"ratio": 0.0}, {"ratio": 1.0}, {"patch": 0}, {"kind": "sparse"}])
def test_a_mask_that_is_none_is_refused(wrong):
    with pytest.raises(UsageError, match="Masking needs"):
        Masking(**wrong)


def sampler(windows, seed=0):
    scaling = InputScaling.fit(windows, Layout.of(windows.spec.channel_names), compat=None, mirror=False)
    return Masked(windows, scaling, Masking(4, 0.25), batch=16, seed=seed)


def test_a_sampler_draws_a_new_mask_each_time_and_goes_on_where_it_was():
    windows = walkers(1, people=1).unlabelled()
    drawing = sampler(windows)
    masks = [drawing.draw()[1] for _ in range(3)]
    assert not np.array_equal(masks[0], masks[1])
    state = drawing.state()
    expected = [drawing.draw() for _ in range(5)]
    again = sampler(windows)
    again.restore(state)
    for (x, hidden), (other, other_hidden) in zip(expected, (again.draw() for _ in range(5)), strict=True):
        assert x.tobytes() == other.tobytes()
        assert hidden.tobytes() == other_hidden.tobytes()


def test_windows_are_drawn_as_often_as_they_weigh():
    two = walkers(1, people=2)
    windows = replace(two.unlabelled(), weight=np.where(two.person == 0, 0.0, 1.0).astype(np.float32))
    drawing, scaling = sampler(windows), sampler(two.unlabelled())._windows._source._scaling
    theirs = {row.tobytes() for row in scaling(two.x[two.person == 1], SPEC)}
    drawn = [row.tobytes() for _ in range(20) for row in drawing.draw()[0]]
    assert set(drawn) <= theirs


# --- scaling ---------------------------------------------------------------------------------------------------------


def test_inputs_are_z_scored_per_axis_by_training_windows_alone_or_as_the_code_does():
    train = walkers(1, people=2)
    layout = Layout.of(SPEC.channel_names)
    x = layout.place(train.x, SPEC).astype(np.float64)
    axes = InputScaling.fit(train.unlabelled(), layout, compat=None, mirror=False)
    np.testing.assert_allclose(axes.mean, x.mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(axes.sd, x.std(axis=(0, 1)), rtol=1e-5)
    code = InputScaling.fit(train.unlabelled(), layout, compat="code", mirror=False)
    assert (code.mean == 0).all()
    np.testing.assert_allclose(code.sd[:9], x[..., :9].std(), rtol=1e-5)
    np.testing.assert_allclose(code.sd[9:], x[..., 9:].std(), rtol=1e-5)
    back = axes.back(axes(train.x, SPEC), SPEC)
    np.testing.assert_allclose(back, train.x, atol=1e-4)


def test_the_code_takes_no_mean_off_answers_either():
    train = walkers(1, people=2)
    for compat, zero in ((None, train.y.mean()), ("code", 0.0)):
        model = tiny(compat=compat)
        model.fit(train, nobody(), seed=0)
        assert model._known().targets.zero == pytest.approx(zero, rel=1e-5)
        assert model._known().targets.scale == pytest.approx(train.y.std(), rel=1e-5)


# --- what is absent --------------------------------------------------------------------------------------------------


def test_an_absent_sensor_is_its_embedding_and_that_stands_still_while_the_head_learns():
    with_holes = walkers(1, people=2, absent=("thigh_r",))
    first, probed, tuned = (tiny(probe_steps=p, tune_steps=t, tune_lr=lr) for p, t, lr in
                            ((1, 1, 1e-12), (5, 1, 1e-12), (5, 5, 1e-3)))  # fmt: skip
    for model in (first, probed, tuned):
        model.fit(with_holes, nobody(), seed=0)
    start, head, both = (weights_of(model) for model in (first, probed, tuned))
    assert not torch.equal(start["head.weight"], head["head.weight"])
    for name in ("absent", "embedding.weight", "encoder.0.linear1.weight"):
        assert torch.allclose(start[name], head[name], atol=1e-9)
        assert not torch.allclose(start[name], both[name], atol=1e-9)
    there = [not name.startswith("thigh_r") for name in tuned.input_scaling.layout.names]
    moved = (both["absent"] - start["absent"]).abs()
    assert (moved[:, [not each for each in there]] > 1e-6).all()
    assert np.isfinite(tuned.predict(with_holes.x)).all()


def test_a_model_told_to_mirror_learns_from_a_leg_that_nobody_wore_a_sensor_on():
    spec = spec_of(("pelvis", "shank_r", "shank_l"))
    one_leg = walkers(1, people=2, spec=spec, absent=("shank_l",))
    model = tiny(mirror=True)
    model.fit(one_leg, nobody(spec), seed=0)
    x = one_leg.x[:3]
    both = x.copy()
    both[..., 12:18] = x[..., 6:12] * np.array([1, 1, -1, -1, -1, 1], dtype=np.float32)
    assert np.isnan(x[..., 12:18]).all()
    np.testing.assert_array_equal(model.predict(x), model.predict(both))
    left = [name.startswith("shank_l") for name in model.input_scaling.layout.names]
    assert (model.input_scaling.sd[left] != 1.0).all()


# --- learning from gaps ----------------------------------------------------------------------------------------------


def test_reconstruction_beats_the_mean_and_straight_lines_on_people_it_never_saw(pretrained):
    model, _ = pretrained
    found = reconstruction(model, walkers(3, people=3).unlabelled(), seed=5)
    assert found.model < 0.7 * found.interpolation
    assert found.model < 0.5 * found.mean
    assert "of 122 windows of other people, reconstruction error" in model.notes[-1]
    loss = model.notes[1].split("loss ")[1].split(" ")
    assert float(loss[2]) < 0.5 * float(loss[0])


def test_the_baselines_of_reconstruction_are_what_they_are_called(pretrained):
    model, _ = pretrained
    layout = model.input_scaling.layout
    ramp = model.input_scaling.back(np.linspace(-1, 1, 64, dtype=np.float32)[None, :, None].repeat(18, 2), SPEC)
    windows = Unlabelled(ramp[0], np.zeros(1, dtype=np.int64), np.ones((1, 3), dtype=bool), SPEC)
    inner = [s for s in range(20) if not Masking(4).draw(1, 16, np.random.default_rng(s))[0, [0, -1]].any()]
    found = reconstruction(model, windows, seed=inner[0])
    assert found.interpolation < 1e-5
    assert 0 < found.mean < 1
    assert len(layout.names) == 18


def test_pre_training_learns_nothing_from_what_is_not_there(pretrained):
    without = walkers(1, people=2, absent=("thigh_r",))
    model = tiny()
    model.pretrain(without.unlabelled(), nobody().unlabelled(), seed=0)
    assert len(model.notes) == 2
    assert np.isfinite(reconstruction(model, without.unlabelled()).model)
    with pytest.raises(DataError, match="no window to pre-train on"):
        tiny().pretrain(nobody().unlabelled(), nobody().unlabelled(), seed=0)


def test_a_fit_begins_where_pre_training_ended(pretrained):
    before, folder = pretrained
    train = walkers(4, people=1)
    begun, scratch = tiny(tune_lr=1e-12), tiny(tune_lr=1e-12)
    begun.begin(folder)
    for model in (begun, scratch):
        model.fit(train, nobody(), seed=1)
    learnt, mine, random = weights_of(before), weights_of(begun), weights_of(scratch)
    for name in learnt:
        torch.testing.assert_close(mine[name], learnt[name], atol=1e-9, rtol=0)
        assert name.endswith("bias") or "norm" in name or not torch.equal(random[name], learnt[name])
    np.testing.assert_allclose(
        begun.input_scaling.mean, scratch.input_scaling.mean
    )  # the fit's own, not pre-training's
    assert "from the encoder of 'walk': 5 steps of the head, 5 of all; inputs scaled by these" in begun.notes[1]
    assert "from random weights" in scratch.notes[1]
    assert begun.notes[0].startswith("recipe fast: patch 4, width 64")


def test_a_fit_learns(pretrained):
    _, folder = pretrained
    train, test = walkers(4, people=2, seconds=10.0), walkers(5, people=3)
    for begin in (False, True):
        model = tiny(probe_steps=60, probe_lr=5e-3, tune_steps=40, tune_lr=1e-3)
        if begin:
            model.begin(folder)
        model.fit(train, nobody(), seed=1)
        assert rmse(model, test) < 0.4 * test.y.std()


def test_an_interrupted_pre_training_ends_with_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "EVERY_S", 0.0)
    windows = walkers(1, people=2).unlabelled()

    def learn(folder, stop=None):
        def told(done, total, label):
            if stop is not None and done >= stop:
                raise KeyboardInterrupt

        model = tiny(dropout=0.1, pretrain_steps=12)
        model.prepare(Training(checkpoints=folder, on_progress=told))
        model.pretrain(windows, windows, seed=3)
        return weights_of(model)

    whole = learn(None)
    monkeypatch.setattr("kinbench_benchmarks.training.loop._PROGRESS_S", 0.0)
    for stop in (3, 7):
        with pytest.raises(KeyboardInterrupt):
            learn(tmp_path, stop)
    again = learn(tmp_path)
    assert whole.keys() == again.keys()
    assert all(torch.equal(whole[name], again[name]) for name in whole)


# --- what is taken over ----------------------------------------------------------------------------------------------


def test_the_encoder_goes_over_to_a_task_with_other_dofs_and_sensors(pretrained, tmp_path):
    fitted = tiny()
    fitted.fit(walkers(1, people=2), nobody(), seed=0)
    fitted.save(tmp_path)
    other = spec_of(("pelvis", "shank_r", "foot_r"), ("grf_vertical_r", "grf_anterior_r"), task="force")
    model = tiny(tune_lr=1e-12)
    model.begin(tmp_path)
    model.fit(walkers(1, people=2, spec=other), nobody(other), seed=0)
    layout, before = model.input_scaling.layout, Layout.of(SPEC.channel_names)
    assert len(layout.names) == 24
    assert model.predict(walkers(2, spec=other).x).shape[2] == 2
    theirs, mine = weights_of(fitted), weights_of(model)
    torch.testing.assert_close(mine["encoder.0.linear2.weight"], theirs["encoder.0.linear2.weight"], atol=1e-9, rtol=0)
    place = [layout.names.index(name) for name in before.names]
    torch.testing.assert_close(
        mine["embedding.weight"].reshape(64, 4, 24)[:, :, place], theirs["embedding.weight"].reshape(64, 4, 18),
        atol=1e-9, rtol=0,
    )  # fmt: skip
    torch.testing.assert_close(
        mine["reconstruction.weight"].reshape(4, 24, 64)[:, place], theirs["reconstruction.weight"].reshape(4, 18, 64),
        atol=1e-9, rtol=0,
    )  # fmt: skip
    torch.testing.assert_close(mine["absent"][:, place], theirs["absent"], atol=1e-9, rtol=0)
    assert "from the encoder of 'walk'" in model.notes[1]


@pytest.mark.parametrize(("tune", "head", "encoder"), [("none", True, True), ("head", False, True),
                                                       ("all", False, False)])  # fmt: skip
def test_weights_that_answer_the_task_are_tuned_only_where_asked(tmp_path, tune, head, encoder):
    fitted = tiny()
    fitted.fit(walkers(1, people=2), nobody(), seed=0)
    fitted.save(tmp_path)
    model = tiny(tune=tune)
    model.begin(tmp_path)
    model.fit(walkers(7, people=2), nobody(), seed=0)
    theirs, mine = weights_of(fitted), weights_of(model)
    assert torch.equal(theirs["head.weight"], mine["head.weight"]) is head
    assert torch.equal(theirs["encoder.0.linear1.weight"], mine["encoder.0.linear1.weight"]) is encoder
    assert ("nothing fitted" in model.notes[1]) is (tune == "none")
    np.testing.assert_array_equal(model.input_scaling.mean, fitted.input_scaling.mean)


def test_weights_of_other_windows_or_sizes_are_refused(pretrained, tmp_path):
    _, folder = pretrained
    model = tiny()
    model.begin(folder)
    short = spec_of(window=32)
    with pytest.raises(DataError, match="windows of 64 samples at 50 Hz, and 'walk' has 32"):
        model.fit(walkers(1, spec=short), nobody(short), seed=0)
    with pytest.raises(DataError, match="load with the same settings"):
        tiny(width=16).begin(folder)
    with pytest.raises(DataError, match=r"'masked': 0.125.*load with the same settings"):
        tiny(masked=0.5).begin(folder)  # whose results would tell of a mask that these never learnt under
    with pytest.raises(DataError, match="no readable model state"):
        tiny().begin(tmp_path)


def test_a_pre_trained_model_is_kept_and_has_no_answers_yet(pretrained):
    model, folder = pretrained
    again = tiny()
    again.load(folder)
    assert again.notes == model.notes
    x = walkers(3).x[:4]
    hidden = Masking(4).draw(4, 16, np.random.default_rng(0))
    assert again.reconstruct(x, hidden).tobytes() == model.reconstruct(x, hidden).tobytes()
    with pytest.raises(KinbenchError, match="pre-trained and has no answers yet"):
        again.predict(x)


def test_hidden_samples_play_no_part_in_what_is_made_up_for_them(pretrained):
    model, _ = pretrained
    x = walkers(3).x[:4]
    hidden = Masking(4).draw(4, 16, np.random.default_rng(0))
    other = np.where(hidden.repeat(4, axis=1)[..., None], np.float32(1e3), x)
    assert model.reconstruct(x, hidden).tobytes() == model.reconstruct(other, hidden).tobytes()


# --- the contract ----------------------------------------------------------------------------------------------------


def test_is_registered_and_does_what_its_contracts_say():
    model = plugins.create("models", "ssl-transformer[patch=2,masked=0.25,recipe=paper]")
    for contract in (AdaptiveModel, SelfNormalisingModel, TrainedModel, PretrainedModel, Searchable):
        assert isinstance(model, contract)
    assert model.recipe.mask == Masking(2, 0.25)
    for name in model.space:
        plugins.create("models", f"ssl-transformer[{name}={model.space[name].options[0]}]")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"recipe": "slow"}, "no recipe 'slow'"),
        ({"heads": 5}, "multiple of the heads"),
        ({"tune_steps": 0}, "steps and lr above 0"),
        ({"masked": 1.5}, "ratio between 0 and 1"),
        ({"compat": "paper"}, "compat 'code'"),
        ({"width": "wide"}, "width must be a number"),
    ],
)
def test_settings_that_make_no_model_are_refused(settings, said):
    with pytest.raises(UsageError, match=said):
        SslTransformer(**settings)


# --- in a run --------------------------------------------------------------------------------------------------------

IN_A_RUN = (
    "ssl-transformer[patch=4,width=16,layers=1,heads=2,feed_forward=16,pretrain_steps=5,probe_steps=5,tune_steps=5]"
)


def run(stores, protocols, folder, model=IN_A_RUN, **how):
    plan = runner.plan(
        stores, protocols, {TASK.name: TASK}, [model], seeds=(0,), results=folder / "results", cache=folder / "cache"
    )
    return runner.run(plan, **how)


def test_a_run_begins_from_pre_training_and_refuses_persons_that_it_saw(tmp_path):
    mine, theirs = laboratory(tmp_path, "lab"), laboratory(tmp_path, "other", subjects=("S1", "S2"))
    for name, store in (("clean", theirs), ("leaky", mine)):
        card = pretrain([store], TASK, IN_A_RUN, tmp_path / name, cache=tmp_path / "cache")
        assert {person.split("/")[0] for role in card["persons"].values() for person in role} == {store.name}
    ug = {"toy-ug": PROTOCOLS["toy-ug"]}
    (fine,) = run([mine], ug, tmp_path, f"{IN_A_RUN}@{tmp_path / 'clean'}", limit=1).made
    assert fine.done
    assert "from the encoder of 'toy-knee': 5 steps of the head, 5 of all" in " ".join(fine.notes)
    leaky = run([mine], ug, tmp_path, f"{IN_A_RUN}@{tmp_path / 'leaky'}")
    assert len(leaky.failed) == 3
    assert all("'leaky'" in result.failure.sentence for result in leaky.failed)


@pytest.mark.parametrize("protocol", [DATA_SIZE_PERSONS, DATA_SIZE_WINDOWS], ids=lambda p: p.card.name)
def test_runs_under_the_protocols_of_data_size(tmp_path, protocol):
    lab = laboratory(tmp_path, "lab")
    made = run([lab], {protocol.card.name: protocol}, tmp_path, limit=2).made
    assert [result.done for result in made] == [True, True]
    assert {result.fold.condition["fraction"] for result in made} <= set(protocol.fractions)
