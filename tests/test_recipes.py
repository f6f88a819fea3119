"""How the published networks are trained: the fast recipe, the paper's and the code's, and weights to begin from."""

from dataclasses import replace
from shutil import copytree

import numpy as np
import pytest
import torch
from kinbench_benchmarks.models import _windows
from kinbench_benchmarks.models._recipes import Increments, Minibatches, Recipe, override
from kinbench_benchmarks.models._state import Scaling
from kinbench_benchmarks.models._windows import ScaledWindows, Targets, mean_square, squared_error, summed_rmse
from kinbench_benchmarks.models.hur2025 import CNN_FAST, CODE, LSTM_FAST, PAPER, CodeCnn, Lstm, PaperCnn
from kinbench_benchmarks.training import checkpoints, quiet_torch
from test_models import WINDOW, empty, windows

from kinbench import plugins
from kinbench.contracts import StartedModel, TrainedModel, Training
from kinbench.errors import DataError, LeakError, UsageError
from kinbench.protocol import check_causal

QUICK = {"epochs": 2, "epoch_windows": 64}


def train():
    return windows(1, samples=300)


def valid():
    return windows(2, people=1, samples=400)


def fit(model, seed=0):
    model.fit(train(), valid(), seed=seed)
    return model


def scaled(batches, targets=None):
    scaling = Scaling.fit(train())
    return ScaledWindows(batches, scaling, targets or Targets.degrees(2))


# --- recipes as published --------------------------------------------------------------------------------------------


def shape(schedule):
    """How many steps each stage has, and after which steps there is a look."""
    stages = [stage for stage, _ in schedule.stages(scaled(train()), 0, None, None)]
    look = schedule.validation(scaled(train()), scaled(valid()), keep_start=False)
    total = sum(stage.steps for stage in stages)
    assert {stage.lr for stage in stages} == {1e-3}
    assert {stage.optimiser for stage in stages} == {"adam"}
    assert look.patience == 1 and not look.keep_start
    return [stage.steps for stage in stages], [step for step in range(1, total + 1) if look.due(step, total)]


def test_the_papers_search_is_one_adam_from_500_to_3000_in_steps_of_200():
    assert shape(PAPER.fitting) == ([2900], list(range(500, 2901, 200)))
    assert shape(PAPER.adapting) == ([15], list(range(1, 16)))


def test_the_codes_search_is_a_new_adam_every_500():
    assert shape(CODE.fitting) == ([500] * 6, list(range(500, 3001, 500)))
    assert shape(CODE.adapting) == ([1] * 15, list(range(1, 16)))


@pytest.mark.parametrize("schedule", [PAPER.fitting, CODE.fitting, PAPER.adapting, CODE.adapting])
def test_every_step_is_on_all_windows(schedule):
    ((_, sampler), *_) = schedule.stages(scaled(train()), 0, None, None)
    x, wanted, known = sampler.draw()
    assert len(x) == len(train())
    np.testing.assert_array_equal(wanted[known], train().y[known])
    np.testing.assert_allclose(x.mean((0, 1)), 0, atol=0.05)


def by_hand(network, data, looks, score, fresh):
    """The increments as a plain loop, with one Adam or a new one each; (weights, epochs) that it ends with."""
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    x, y, known = (torch.from_numpy(array) for array in data.take(np.arange(len(data))))
    best, done, before = np.inf, 0, None
    for look in looks:
        if fresh:
            optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
        for _ in range(done, look):
            optimiser.zero_grad()
            squared_error(network, (x, y, known)).backward()
            optimiser.step()
        done, now = look, score(network)
        if now >= best and not (fresh and look == looks[-1]):
            network.load_state_dict(before)
            return look
        best, before = now, {name: value.clone() for name, value in network.state_dict().items()}
    return done


def run(schedule, scores):
    """A CNN fitted by increments whose errors are given, and one by hand; the looks are at 3, 5 and 7 epochs."""
    model = CodeCnn()
    model.recipe = Recipe("test", schedule, schedule, degrees=True)
    torch.manual_seed(0)
    expected = model.build(train().spec, Scaling.fit(train()))
    left = iter(scores)
    with quiet_torch():
        epochs = by_hand(expected, scaled(train()), (3, 5, 7), lambda network: next(left), schedule.fresh)
    return model, expected, epochs


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize(
    ("scores", "note"),
    [([3, 2, 1], "epoch 7 of 7"), ([3, 2, 4], None), ([3, 4], "epoch 3 of 5"), ([3, 3], "epoch 3 of 5")],
)
def test_increments_take_the_steps_of_a_plain_loop_to_the_bit(fresh, scores, note, monkeypatch):
    """At the cap the code takes what there is, though its score rose; the paper goes back to the look before."""
    schedule = Increments(first=3, every=2, most=8, fresh=fresh, score="mean square")
    model, expected, _ = run(schedule, scores)
    left = iter(scores)
    monkeypatch.setattr("kinbench_benchmarks.models._recipes.mean_square", lambda network, valid: next(left))
    fit(model)
    weights = model._fitted.network.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in expected.state_dict().items())
    assert f"{note or ('epoch 7 of 7' if fresh else 'epoch 5 of 7')} kept" in model.notes


def test_scores_are_those_of_their_definition():
    rng = np.random.default_rng(0)
    data = scaled(windows(3, labelled=lambda n: rng.random((n, 2)) > 0.4))
    network = PaperCnn(**QUICK).build(data.batches.spec, data.scaling).eval()
    with torch.no_grad():
        wrong = network(torch.from_numpy(data.scaling.inputs(data.batches.x))).numpy() - data.batches.y
        assert mean_square(network, data) == pytest.approx(np.nanmean(wrong**2), rel=1e-5)
        rmse = np.sqrt(np.nanmean(wrong**2, axis=(0, 1)))
        assert summed_rmse(network, data) == pytest.approx(rmse.sum(), rel=1e-5)


def test_all_windows_at_once_need_no_memory_for_all_at_once(monkeypatch):
    data = scaled(train())
    network = Lstm(**QUICK).build(data.batches.spec, data.scaling).eval()
    drawn = [torch.from_numpy(array) for array in data.take(np.arange(len(data)))]

    def gradients():
        network.zero_grad()
        loss = squared_error(network, drawn)
        loss.backward()
        return loss.item(), [weight.grad.clone() for weight in network.parameters()]

    loss, whole = gradients()
    monkeypatch.setattr(_windows, "PART", 50)
    again, parts = gradients()
    assert again == pytest.approx(loss, rel=1e-6)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_published_recipes_put_out_degrees_and_the_fast_one_what_is_alike():
    paper, fast = fit(PaperCnn("paper", epochs=2)), fit(PaperCnn(**QUICK))
    assert paper.predict(windows(3).x).min() >= 0  # its last ReLU, as published
    np.testing.assert_array_equal(paper._fitted.targets.scale, 1)
    np.testing.assert_array_equal(fast._fitted.targets.zero, Scaling.fit(train()).y_min)


# --- settings --------------------------------------------------------------------------------------------------------


def test_a_result_tells_its_recipe_in_full_with_what_was_changed():
    model = fit(Lstm("paper", epochs=2, adapt_lr=1e-4))
    (told,) = [note for note in model.notes if note.startswith("recipe ")]
    assert told.startswith("recipe paper: degrees; fitting full batch (first 2, every 2, most 2, lr 0.001")
    assert "adapting full batch (first 1, every 1, most 15, lr 0.0001" in told
    model.adapt(windows(4, people=1, samples=200), windows(5, people=1, samples=300), seed=0)
    assert told in model.notes
    assert "minibatches (epochs 2, fixed_epochs 2, lr 0.002, batch 32, patience 4, epoch_windows 64)" in fit(
        Lstm(**QUICK)
    ).notes[0]  # fmt: skip


def test_overrides_change_what_they_name_and_nothing_else():
    assert override(PAPER, max_epochs=600).fitting == Increments(first=500, every=200, most=600)
    assert override(PAPER, max_epochs=90).fitting == Increments(first=90, every=200, most=90)
    assert override(PAPER, epochs=50).fitting == Increments(first=50, every=50, most=50)
    assert override(CODE, adapt_epochs=4).adapting == replace(CODE.adapting, first=4, every=4, most=4)
    assert override(LSTM_FAST, epochs=3, batch=8, patience=2) == Recipe(
        "fast", Minibatches(3, 3, 2e-3, 8, 2, 512), Minibatches(15, 5, 5e-4, 8, 2, 512)
    )
    assert override(CNN_FAST, patience=20).adapting.patience == 4
    assert override(CNN_FAST) == CNN_FAST


@pytest.mark.parametrize(
    ("selector", "says"),
    [
        ("hur2025-lstm[recipe=papers]", "no recipe 'papers'. Did you mean 'paper'"),
        ("hur2025-lstm[recipe=paper,batch=8]", "Recipe 'paper' has no use for batch"),
        ("hur2025-lstm[max_epochs=8]", "Recipe 'fast' has no use for max_epochs"),
        ("hur2025-cnn[tune=some]", "tune is one of none, head, all"),
        ("hur2025-cnn[recipe=code,epochs=0]", "must be positive"),
        ("hur2025-cnn-code[lr=-1]", "must be positive"),
    ],
)
def test_settings_without_meaning_are_refused_in_a_sentence(selector, says):
    with pytest.raises(UsageError, match=says.replace("'", ".")):
        plugins.create("models", selector)


@pytest.mark.parametrize("name", ["hur2025-lstm", "hur2025-cnn", "hur2025-cnn-code"])
@pytest.mark.parametrize("recipe", ["paper", "code"])
def test_every_network_learns_by_every_recipe_and_adapts(name, recipe):
    model = plugins.create("models", f"{name}[recipe={recipe},epochs=12,lr=0.02]")
    first = fit(plugins.create("models", f"{name}[recipe={recipe},epochs=1]"))
    x = windows(3)
    fit(model)
    assert np.nanmean((model.predict(x.x) - x.y) ** 2) < np.nanmean((first.predict(x.x) - x.y) ** 2)
    model.adapt(windows(4, people=1, samples=200), windows(5, people=1, samples=300), seed=0)
    assert any(note.startswith("adapting: epoch") for note in model.notes)


def test_without_validation_the_least_epochs_are_taken():
    model = Lstm("code", max_epochs=3)
    model.fit(train(), empty(), seed=0)
    assert "0 validation windows: 3 epochs, not stopped early" in model.notes


# --- causality -------------------------------------------------------------------------------------------------------


def test_the_lstm_claims_to_be_causal_and_is():
    x = windows(3).x
    assert Lstm.causal
    check_causal(fit(Lstm(**QUICK)).predict, x, "lstm")
    with pytest.raises(LeakError):
        check_causal(fit(PaperCnn(**QUICK)).predict, x, "cnn")


# --- a device, and progress ------------------------------------------------------------------------------------------


class Stopped(Exception):
    """What takes a fit down."""


def test_a_fit_that_was_stopped_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "EVERY_S", 0.0)
    monkeypatch.setattr("kinbench_benchmarks.training.loop._PROGRESS_S", 0.0)
    told = []

    def stop(done, total, label):
        if done == 3:
            raise Stopped

    def fitted(training):
        model = Lstm(**QUICK)
        assert isinstance(model, TrainedModel)
        model.prepare(training)
        fit(model)
        return model.predict(windows(3).x).tobytes()

    with pytest.raises(Stopped):
        fitted(Training(checkpoints=tmp_path, on_progress=stop))
    again = fitted(Training(checkpoints=tmp_path, on_progress=lambda *said: told.append(said)))
    assert told[0] == (3, 4, "hur2025-lstm-2-fit")
    assert again == fitted(Training())


@pytest.mark.parametrize("name", ["hur2025-cnn", "rapp2021", "rapp2021-lstm", "rope-transformer", "ssl-transformer"])
def test_a_device_that_is_not_there_is_told_before_anything_is_learnt(name):
    with pytest.raises(UsageError, match="torch finds"):
        plugins.create("models", name).prepare(Training(device=f"cuda:{torch.cuda.device_count()}"))


# --- weights to begin from -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights") / "cohort"
    folder.mkdir()
    fit(PaperCnn(epochs=6)).save(folder)
    return folder


def begun(weights, **options):
    model = PaperCnn(**QUICK, **options)
    assert isinstance(model, StartedModel)
    model.begin(weights)
    return model


def offset(seed, **options):
    return windows(seed, people=1, offset=15.0, **options)


def test_weights_are_taken_as_they_are_unless_something_is_to_be_tuned(weights):
    known, model = PaperCnn(), begun(weights)
    known.load(weights)
    model.fit(offset(4), offset(5), seed=0)
    np.testing.assert_array_equal(model.predict(windows(3).x), known.predict(windows(3).x))
    assert "weights of 'cohort' taken as they are: nothing was fitted" in model.notes


def test_weights_with_a_card_are_called_by_the_folder_that_holds_both(weights, tmp_path):
    (tmp_path / "knees").mkdir()
    (tmp_path / "knees" / "card.json").write_text("{}")
    copytree(weights, tmp_path / "knees" / "model")
    model = begun(tmp_path / "knees" / "model")
    model.fit(offset(4), offset(5), seed=0)
    assert "weights of 'knees' taken as they are: nothing was fitted" in model.notes


@pytest.mark.parametrize("tune", ["head", "all"])
def test_tuning_learns_what_it_says_and_ends_no_worse(tune, weights):
    model = begun(weights, tune=tune)
    before = {name: value.clone() for name, value in model._fitted.network.state_dict().items()}
    start = np.mean((model.predict(offset(5).x) - offset(5).y) ** 2)
    model.fit(offset(4), offset(5), seed=0)
    assert np.mean((model.predict(offset(5).x) - offset(5).y) ** 2) < start
    moved = {n for n, value in model._fitted.network.state_dict().items() if not torch.equal(value, before[n])}
    assert "convolutions.4.weight" in moved
    assert ("convolutions.0.weight" in moved) == (tune == "all")
    assert f"weights of 'cohort': {'all of them' if tune == 'all' else 'their head alone'} fitted on" in model.notes
    assert any(note.startswith("recipe fast") for note in model.notes)


def test_weights_of_another_task_are_refused(weights):
    with pytest.raises(DataError, match="do not fit task 'toy': channels are"):
        begun(weights).fit(windows(1).narrowed(["thigh"]), valid(), seed=0)
    with pytest.raises(DataError, match="expected hur2025-lstm version"):
        Lstm().begin(weights)


def test_weights_keep_what_their_numbers_mean_whatever_recipe_takes_them_up(tmp_path):
    model = fit(PaperCnn("paper", epochs=2))
    model.save(tmp_path)
    other = PaperCnn()
    other.load(tmp_path)
    assert other.predict(windows(3).x).tobytes() == model.predict(windows(3).x).tobytes()
    assert windows(3).x.shape[1] == WINDOW
