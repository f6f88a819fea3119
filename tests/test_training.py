import json
import math
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kinbench_benchmarks.training import (
    Crops,
    Everything,
    Shuffled,
    Stage,
    Validation,
    checkpoints,
    load_into,
    masked_mse,
    quiet_torch,
    read_published,
    read_weights,
    train,
    write_weights,
)
from kinbench_benchmarks.training.devices import check_device, on_device
from safetensors.torch import save_file
from torch import nn

from kinbench.contracts import ModelCard, Training
from kinbench.errors import DataError, KinbenchError, UsageError
from kinbench.windows import TaskSpec

CARD = ModelCard("toy", "1", "Toy", "A toy.")
SPEC = TaskSpec("toy", 1, ("thigh/gyr/x",), ("knee_flexion",), ("thigh",), 100.0, 8)


class Windows:
    """Thirty-seven windows: the last batch of an epoch is smaller."""

    def __init__(self, seed=0, count=37):
        rng = np.random.default_rng(seed)
        self.x = rng.normal(size=(count, 5)).astype(np.float32)
        self.y = (self.x @ np.random.default_rng(9).normal(size=(5, 2))).astype(np.float32)

    def __len__(self):
        return len(self.x)

    def take(self, index):
        return self.x[index], self.y[index]


def network():
    """One with dropout and running statistics: all that a checkpoint must not forget."""
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.3), nn.ReLU(), nn.BatchNorm1d(8), nn.Linear(8, 2))


def square(net, drawn):
    return ((net(drawn[0]) - drawn[1]) ** 2).mean()


def error(seed=5):
    held = Windows(seed)
    return lambda net: float(square(net, (torch.from_numpy(held.x), torch.from_numpy(held.y))))


class Killed(BaseException):
    """What takes a training down at one step."""


class Loss:
    """The squared error; it kills at one of its calls."""

    def __init__(self, kill=0):
        self.calls, self.kill = 0, kill

    def __call__(self, net, drawn):
        self.calls += 1
        if self.calls == self.kill:
            raise Killed
        return square(net, drawn)


def long_training(folder=None, *, kill=0, seed=3, data=0, lr=1e-2, valid=5, start=1, name="toy"):
    """Stages of every kind over one and the same sampler, validated, in a folder of checkpoints; and how often it
    asked for the loss."""
    windows = Windows(data)
    sampler = Shuffled(windows, 8, 0)
    stages = [
        (Stage(12, lr, decay="exponential", gamma=0.99), sampler),
        (Stage(11, 5e-3, decay="exponential", gamma=0.98, keep_moments=True), sampler),
        (Stage(9, 1e-3, "adamw", 0.01, "warm-up cosine", trainable=("4.",)), Everything(windows)),
    ]
    net, loss = network(), Loss(kill)
    if start != 1:
        nn.init.constant_(net[0].bias, start)
    course = train(
        net, stages, loss, seed=seed, training=Training(checkpoints=folder),
        validation=Validation(error(valid), every=4, patience=3), name=name,
    )  # fmt: skip
    return net, course, loss.calls


def bits(net):
    return b"".join(value.numpy().tobytes() for value in net.state_dict().values())


@pytest.fixture
def each_step(monkeypatch):
    monkeypatch.setattr(checkpoints, "EVERY_S", 0.0)
    monkeypatch.setattr(checkpoints, "STAGE_S", 0.0)


# --- interrupted and taken up ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kill", [1, 2, 5, 6, 12, 13, 16, 23, 24, 31, 32])
def test_a_killed_training_goes_on_to_the_same_bits(kill, tmp_path, each_step):
    """In the midst of an epoch and at its end (5), between stages (12, 23), at a validation (16) and at the end."""
    whole, expected, steps = long_training()
    with pytest.raises(Killed):
        long_training(tmp_path, kill=kill)
    net, course, calls = long_training(tmp_path)
    assert calls == steps - kill + 1
    assert bits(net) == bits(whole)
    assert course.losses.tobytes() == expected.losses.tobytes()
    assert (course.steps, course.kept_step, course.errors, course.notes) == (
        expected.steps, expected.kept_step, expected.errors, expected.notes,
    )  # fmt: skip


def test_a_training_is_killed_again_and_again_and_still_ends_the_same(tmp_path, each_step):
    whole, expected, _ = long_training()
    for _ in range(expected.steps - 1):
        with pytest.raises(Killed):
            long_training(tmp_path, kill=2)
    net, course, calls = long_training(tmp_path)
    assert calls == 1
    assert bits(net) == bits(whole)
    assert course.losses.tobytes() == expected.losses.tobytes()


def test_patience_that_had_begun_goes_on(tmp_path, each_step):
    """The error rises from the first look on, so that the third one stops: killed after two of them."""

    def rising(folder, kill=0):
        asked = []
        looks = Validation(lambda net: asked.append(0) or float(net[0].weight.abs().sum()), 2, 2)
        net, loss = nn.Sequential(nn.Linear(5, 2)), Loss(kill)
        nn.init.constant_(net[0].weight, 1e-3)
        nn.init.zeros_(net[0].bias)
        stages = [(Stage(40, 1e-2), Shuffled(Windows(), 8, 0))]
        return net, train(net, stages, loss, seed=0, training=Training(checkpoints=folder), validation=looks)

    whole, expected = rising(None)
    assert (expected.steps, expected.kept_step) == (6, 2)
    with pytest.raises(Killed):
        rising(tmp_path, kill=6)
    net, course = rising(tmp_path)
    assert (course.steps, course.kept_step, course.errors) == (6, 2, expected.errors)
    assert bits(net) == bits(whole)


@pytest.mark.parametrize(
    "other", [{"data": 1}, {"seed": 4}, {"lr": 2e-2}, {"valid": 6}, {"start": 0.5}, {"name": "another"}]
)
def test_progress_of_another_training_is_not_taken_up(other, tmp_path, each_step):
    with pytest.raises(Killed):
        long_training(tmp_path, kill=20)
    expected, _, steps = long_training(**other)
    net, _, calls = long_training(tmp_path, **other)
    assert calls == steps
    assert bits(net) == bits(expected)


@pytest.mark.parametrize("left", [0, 7, 100, -1])
def test_a_half_written_checkpoint_is_as_if_it_was_not_there(left, tmp_path, each_step):
    with pytest.raises(Killed):
        long_training(tmp_path, kill=20)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(kept.read_bytes()[:left])
    expected, _, steps = long_training()
    net, _, calls = long_training(tmp_path)
    assert calls == steps
    assert bits(net) == bits(expected)


def test_a_finished_training_is_not_done_again(tmp_path, each_step):
    first, course, _ = long_training(tmp_path)
    again, same, calls = long_training(tmp_path)
    assert calls == 0
    assert bits(first) == bits(again)
    assert same.losses.tobytes() == course.losses.tobytes()


def test_short_trainings_write_nothing_and_none_is_kept_without_a_folder(tmp_path):
    long_training(tmp_path)
    long_training()
    assert not list(tmp_path.iterdir())


def test_a_process_that_dies_in_the_midst_of_writing_loses_nothing(tmp_path, each_step):
    """The system ends it, without a last word, while a checkpoint is half on disk."""
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
import test_training
from kinbench_benchmarks.training import checkpoints
checkpoints.EVERY_S = checkpoints.STAGE_S = 0.0
written, whole = [], checkpoints.save_file
def save_file(tensors, path, metadata):
    whole(tensors, path, metadata)
    written.append(path)
    if len(written) == 17:
        path.write_bytes(path.read_bytes()[:500])
        os.kill(os.getpid(), signal.SIGKILL)
checkpoints.save_file = save_file
test_training.long_training(Path({str(tmp_path)!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == -signal.SIGKILL
    whole, expected, steps = long_training()
    net, course, calls = long_training(tmp_path)
    assert calls == steps - 16
    assert bits(net) == bits(whole)
    assert course.kept_step == expected.kept_step


def test_progress_that_cannot_be_kept_is_told(tmp_path, each_step):
    (tmp_path / "file").write_text("")
    with pytest.raises(KinbenchError, match="progress cannot be kept in"):
        long_training(tmp_path / "file")


# --- what a training is ----------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    torch.rand(3)
    first = bits(long_training()[0])
    torch.rand(4)
    assert first == bits(long_training()[0])
    assert first != bits(long_training(seed=4)[0])


def test_it_leaves_the_callers_torch_as_it_was():
    net, windows, threads = network(), Windows(), torch.get_num_threads()
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    train(net, [(Stage(2, 1e-3), Everything(windows))], square, seed=0)
    assert torch.rand(1) == expected
    assert torch.get_num_threads() == threads
    assert not net.training
    assert all(weight.grad is None and weight.requires_grad for weight in net.parameters())


def test_it_takes_the_steps_of_a_bare_loop():
    windows, bare, ours = Windows(), network(), network()
    rng, optimiser = np.random.default_rng(2), torch.optim.Adam(bare.parameters(), lr=1e-2)
    losses = []
    with quiet_torch(4):
        for _ in range(2):
            order = rng.permutation(37)
            for begin in range(0, 37, 8):
                x, y = windows.take(order[begin : begin + 8])
                optimiser.zero_grad()
                loss = square(bare, (torch.from_numpy(x), torch.from_numpy(y)))
                loss.backward()
                optimiser.step()
                losses.append(float(loss.detach()))
    course = train(ours, [(Stage(10, 1e-2), Shuffled(windows, 8, 2))], square, seed=4)
    assert bits(ours) == bits(bare)
    np.testing.assert_array_equal(course.losses, losses)
    assert (course.steps, course.kept_step, course.errors) == (10, 10, ())


def rates(*stages):
    """The learning rate of every step, told by an Adam of which only it can be seen."""
    seen = []

    class Spy(torch.optim.Adam):
        def step(self, closure=None):
            seen.append(self.param_groups[0]["lr"])
            return super().step(closure)

    original = torch.optim.Adam
    torch.optim.Adam = Spy
    try:
        train(nn.Linear(5, 2), [(stage, Everything(Windows())) for stage in stages], square, seed=0)
    finally:
        torch.optim.Adam = original
    return seen


def test_an_exponential_decay_goes_on_over_the_stages():
    found = rates(Stage(4, 1e-2, decay="exponential", gamma=0.9), Stage(3, 1e-2, decay="exponential", gamma=0.9))
    np.testing.assert_allclose(found, 1e-2 * 0.9 ** np.arange(7))


def test_a_warm_up_multiplies_the_cosine():
    found = rates(Stage(20, 1e-3, decay="warm-up cosine", warm_up=0.2))
    expected = [1e-3 * min(1, (t + 1) / 4) * (1 + math.cos(math.pi * t / 20)) / 2 for t in range(20)]
    np.testing.assert_allclose(found, expected)
    assert rates(Stage(3, 1e-3)) == [1e-3] * 3


def test_only_what_a_stage_names_learns_in_it():
    net, before = network(), network()
    train(net, [(Stage(3, 1e-2, trainable=("4.",)), Everything(Windows()))], square, seed=0)
    assert torch.equal(net[0].weight, before[0].weight)
    assert not torch.equal(net[4].weight, before[4].weight)
    assert all(weight.requires_grad for weight in net.parameters())
    with pytest.raises(UsageError, match="No weight of the network begins with"):
        train(net, [(Stage(3, 1e-2, trainable=("tail",)), Everything(Windows()))], square, seed=0)


def test_moments_begin_anew_in_a_stage_unless_they_are_kept():
    def after(*stages):
        net = network()
        train(net, [(stage, Everything(Windows())) for stage in stages], square, seed=0)
        return bits(net)

    assert after(Stage(4, 1e-2), Stage(4, 1e-2, keep_moments=True)) == after(Stage(8, 1e-2))
    assert after(Stage(4, 1e-2), Stage(4, 1e-2)) != after(Stage(8, 1e-2))
    for before in ((), (Stage(4, 1e-2, "adamw"),), (Stage(4, 1e-2, trainable=("4.",)),)):
        with pytest.raises(UsageError, match="needs one before it"):
            after(*before, Stage(4, 1e-2, keep_moments=True))


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"lr": 0.0}, {"lr": math.nan}, {"optimiser": "sgd"}, {"decay": "step"}, {"gamma": 1.1}]
)
def test_stages_without_meaning_are_refused(wrong):
    with pytest.raises(UsageError):
        Stage(**{"steps": 1, "lr": 1e-3, **wrong})


def test_a_training_without_a_stage_or_that_diverges_is_refused():
    with pytest.raises(UsageError, match="no stage"):
        train(network(), [], square, seed=0)
    with pytest.raises(KinbenchError, match="diverged"):
        train(network(), [(Stage(9, 1e30), Everything(Windows()))], square, seed=0)
    with pytest.raises(KinbenchError, match="a loss that is no number"):  # at once, not after a million steps
        train(network(), [(Stage(10**6, 1e30), Everything(Windows()))], square, seed=0)
    never = Validation(lambda net: math.nan, 1, 3)
    with pytest.raises(KinbenchError, match="diverged"):
        train(network(), [(Stage(9, 1e-3), Everything(Windows()))], square, seed=0, validation=never)


def test_progress_is_told_to_the_end():
    told = []
    train(
        network(), [(Stage(5, 1e-3), Everything(Windows()))], square, seed=0, name="toy",
        training=Training(on_progress=lambda *said: told.append(said)),
    )  # fmt: skip
    assert told[-1] == (5, 5, "toy")


# --- validation ------------------------------------------------------------------------------------------------------


def looked(errors, steps=20, **options):
    """How a training went whose errors are given, look by look, and the weights of every step."""
    left, net, weights = iter(errors), network(), []

    def loss(net, drawn):
        weights.append(bits(net))
        return square(net, drawn)

    course = train(
        net, [(Stage(steps, 1e-3), Everything(Windows()))], loss, seed=0,
        validation=Validation(lambda net: next(left), **options),
    )  # fmt: skip
    return course, [*weights, None].index(bits(net)) if bits(net) in weights else course.steps


@pytest.mark.parametrize(
    ("errors", "options", "steps", "kept"),
    [
        ([5, 4, 3, 2, 1], {"every": 4, "patience": 1}, 20, 20),
        ([5, 4, 6, 3], {"every": 4, "patience": 1}, 12, 8),
        ([5, 4, 6, 3, 3], {"every": 4, "patience": 2}, 20, 16),
        ([5, 5], {"every": 4, "patience": 1}, 8, 4),
        ([1, 5, 4, 3], {"every": 4, "patience": 3, "keep_start": True}, 12, 0),
        ([5, 4, 3, 9], {"every": 3, "patience": 1, "first": 10}, 19, 16),
        ([5, 4, 3, 2, 9], {"every": 4, "patience": 1, "keep_last": True}, 20, 20),
        ([5, 4, 9], {"every": 4, "patience": 1, "keep_last": True}, 12, 8),
        ([5, 4, 3, 2], {"every": 6, "patience": 1}, 20, 20),
    ],
)
def test_it_stops_and_keeps_as_validation_says(errors, options, steps, kept):
    course, weights_of = looked(errors, **options)
    assert (course.steps, course.kept_step, weights_of) == (steps, kept, kept)


@pytest.mark.parametrize("wrong", [{"every": 0}, {"patience": 0}, {"first": 0}])
def test_validation_without_meaning_is_refused(wrong):
    with pytest.raises(UsageError):
        Validation(error(), **{"every": 1, "patience": 1, **wrong})


# --- samplers --------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 9), st.integers(0, 40), st.integers(0, 2**32))
def test_a_sampler_that_is_taken_up_draws_what_it_would_have(count, batch, limit, place, seed):
    sampler, other = (Shuffled(count, batch, seed, limit) for _ in range(2))
    drawn = [sampler.draw() for _ in range(place)]
    state = json.loads(json.dumps(sampler.state()))
    other.restore(state)
    for _ in range(7):
        np.testing.assert_array_equal(sampler.draw(), other.draw())
    epoch = np.concatenate([np.empty(0, dtype=int), *drawn[: sampler.epoch_steps]])
    assert len(set(epoch)) == len(epoch) <= min(limit or count, count)


def test_every_window_is_drawn_once_an_epoch_in_an_order_of_its_own():
    sampler = Shuffled(37, 8, 0)
    epochs = [np.concatenate([sampler.draw() for _ in range(sampler.epoch_steps)]) for _ in range(2)]
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(37))
    assert not np.array_equal(*epochs)


def test_windows_are_drawn_as_often_as_their_weights_say():
    sampler = Shuffled(4, 100, 0, 40_000, weight=np.array([0.0, 1.0, 2.0, 5.0]))
    assert sampler.epoch_steps == 400
    counts = Counter(np.concatenate([sampler.draw() for _ in range(400)]).tolist())
    assert counts[0] == 0
    np.testing.assert_allclose([counts[i] / 40_000 for i in (1, 2, 3)], [1 / 8, 2 / 8, 5 / 8], atol=0.01)
    for wrong in (np.zeros(4), np.ones(3), np.array([1.0, -1.0, 1.0, 1.0]), np.array([np.nan, 1, 1, 1])):
        with pytest.raises(UsageError, match="weights of at least 0"):
            Shuffled(4, 1, 0, weight=wrong)


class Numbered:
    """Windows of 20 samples, whose every sample tells its window and its time."""

    def __len__(self):
        return 12

    def take(self, index):
        x = index[:, None] * 100.0 + np.arange(20)
        return x[..., None], x


def test_crops_are_of_distinct_people_with_one_start_for_both_their_legs():
    person = np.repeat([7, 8, 9, 11], 3)
    sampler, other = (Crops(Numbered(), person, 6, 3, seed=1, window=20) for _ in range(2))
    starts = set()
    for draw in range(60):
        if draw == 31:
            other.restore(json.loads(json.dumps(sampler.state())))
        x, y = sampler.draw()
        if draw >= 31:
            np.testing.assert_array_equal(other.draw()[0], x)
        assert x.shape == (len(y), 6, 1) and y.shape[1] == 6
        assert len(y) == (6 if draw % 2 == 0 else 2)  # four people: three, then the one who is left
        window, time = np.divmod(y, 100)
        np.testing.assert_array_equal(np.diff(time, axis=1), 1)
        whose = person[window[:, 0].astype(int)]
        np.testing.assert_array_equal(whose[::2], whose[1::2])
        assert len(set(whose)) == len(y) // 2
        np.testing.assert_array_equal(time[::2, 0], time[1::2, 0])
        starts |= set(time[:, 0])
    assert starts == set(range(15))
    with pytest.raises(UsageError, match="cannot be cut"):
        Crops(Numbered(), person, 21, 3, seed=1, window=20)


def test_nothing_can_be_drawn_from_nothing():
    for make in (lambda: Shuffled(0, 1, 0), lambda: Everything(Windows(count=0))):
        with pytest.raises(DataError, match="no window"):
            make()
    with pytest.raises(UsageError):
        Shuffled(4, 0, 0)


# --- losses and devices ----------------------------------------------------------------------------------------------


def test_masked_mse_counts_what_is_known_and_no_nan():
    predicted = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    target = torch.tensor([[0.0, math.nan], [1.0, math.nan]])
    loss = masked_mse(predicted, target, ~torch.isnan(target))
    assert loss == (1 + 4) / 2
    loss.backward()
    np.testing.assert_array_equal(predicted.grad, [[1.0, 0.0], [2.0, 0.0]])
    assert masked_mse(predicted, target, torch.zeros(2, 2, dtype=torch.bool)) == 0


def test_a_device_that_is_not_there_is_told_in_a_sentence():
    assert check_device("cpu").type == "cpu"
    with pytest.raises(UsageError, match="by torch's name"):
        check_device("gpu please")
    absent = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(UsageError, match=f"'{absent}' is asked for, and torch finds"):
        train(network(), [(Stage(1, 1e-3), Everything(Windows()))], square, seed=0, training=Training(device=absent))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_learns_much_the_same_and_gives_the_network_back():
    def on(device):
        net = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2))
        torch.manual_seed(0)
        for weight in net.parameters():
            nn.init.normal_(weight, 0, 0.3)
        return net, train(
            net, [(Stage(30, 1e-2), Shuffled(Windows(), 8, 0))], square, seed=0, training=Training(device=device)
        )

    cpu, gpu = on("cpu"), on("cuda")
    assert all(weight.device.type == "cpu" for weight in gpu[0].parameters())
    np.testing.assert_allclose(gpu[1].losses, cpu[1].losses, rtol=1e-3)


def test_what_is_drawn_becomes_tensors_whatever_holds_it():
    locked = np.arange(3.0)
    locked.flags.writeable = False
    moved = on_device({"a": (locked, [np.ones(2, dtype=bool)]), "b": "text", "c": torch.ones(1)}, torch.device("cpu"))
    assert torch.equal(moved["a"][0], torch.arange(3.0, dtype=torch.float64))
    assert moved["a"][1][0].dtype == torch.bool
    assert moved["b"] == "text"


# --- weights on disk -------------------------------------------------------------------------------------------------


def test_weights_come_back_to_the_bit_with_all_that_was_written_beside_them(tmp_path):
    net = network()
    write_weights(tmp_path, CARD, SPEC, net, notes=["a"], settings={"x": 1})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state.json", "weights.safetensors"]
    spec, arrays, meta = read_weights(tmp_path, CARD)
    assert spec == SPEC
    assert meta == {"notes": ["a"], "settings": {"x": 1}}
    other = nn.Sequential(*(type(m)(*s) for m, s in zip(net, ((5, 8), (), (), (8,), (8, 2)), strict=True)))
    load_into(other, {name.removeprefix("network/"): value for name, value in arrays.items()})
    assert bits(other) == bits(net)
    with pytest.raises(DataError, match="expected other version 1"):
        read_weights(tmp_path, ModelCard("other", "1", "", ""))
    with pytest.raises(DataError, match="weights do not fit the network"):
        load_into(nn.Linear(5, 3), {"weight": np.zeros((5, 3), dtype=np.float32)})


def test_published_weights_are_read_without_running_what_a_file_carries(tmp_path):
    weights = {"a": torch.arange(3.0), "b": torch.ones(2, 2)}
    torch.save(weights, tmp_path / "plain.pt")
    torch.save({"epoch": 3, "state_dict": weights}, tmp_path / "nested.pth")
    save_file(weights, tmp_path / "safe.safetensors")
    for name in ("plain.pt", "nested.pth", "safe.safetensors"):
        found = read_published(tmp_path / name)
        assert found.keys() == weights.keys()
        assert all(torch.equal(found[key], weights[key]) for key in weights)


class Bomb:
    """What runs a command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_file_that_is_no_weights_is_refused_in_a_sentence(tmp_path):
    torch.save({"a": Bomb(tmp_path / "ran")}, tmp_path / "bomb.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    (tmp_path / "text.pt").write_text("no weights")
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\x00")
    for name in ("bomb.pt", "list.pt", "text.pt", "empty.pt", "cut.safetensors", "absent.pt", "absent.safetensors"):
        with pytest.raises(DataError, match="expected a") as caught:
            read_published(tmp_path / name)
        assert len(caught.value.problems) == 1 and str(caught.value).isprintable(), "no line feed and no colours"
        assert "trust" not in str(caught.value), "nor advice to run what a stranger wrote"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_damaged_file_is_refused_in_a_sentence_wherever_the_damage_is(tmp_path, zipped):
    path, generator = tmp_path / "model.pt", np.random.default_rng(0)
    torch.save({"a": torch.arange(3.0), "b": torch.ones(2, 2)}, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for _ in range(150):
        damaged = bytearray(whole[: int(generator.integers(1, len(whole) + 1))])
        for place in generator.integers(0, min(len(damaged), 600), 3):
            damaged[place] = generator.integers(256)
        path.write_bytes(damaged)
        try:
            assert all(isinstance(value, torch.Tensor) for value in read_published(path).values())
        except DataError as error:
            assert len(error.problems) == 1
