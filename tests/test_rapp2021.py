"""The models of Rapp et al. as a run sees them: what they learn, what they keep, whose weights they take up."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from kinbench_benchmarks import tasks
from kinbench_benchmarks.models.rapp2021 import Conv1d, Fusion, Lstm
from kinbench_benchmarks.models.rapp2021._recipes import CONV1D, override
from raw_folders.bodies import walker
from test_rapp2021_parts import DOFS, SEGMENTS, spec_of, toy

from kinbench import kinematics, plugins, virtual_imu
from kinbench.contracts import AdaptiveModel, Searchable, SelfNormalisingModel, StartedModel, TrainedModel, Training
from kinbench.errors import DataError, NotApplicable, UsageError
from kinbench.protocol import Fold
from kinbench.runner.cells import ModelChoice
from kinbench.windows import Batches

WINDOW = 60
TINY = {"layers": 1, "width": 8, "iterations": 12}
FACTORIES = {
    "rapp2021-conv1d": lambda **how: Conv1d(**{**TINY, "kernel": 7, **how}),
    "rapp2021-lstm": lambda **how: Lstm(**{**TINY, **how}),
    "rapp2021": lambda **how: Fusion(**{**TINY, "kernel": 7, "orientation_iterations": 6, **how}),
}
EVERY = pytest.mark.parametrize("name", FACTORIES)


def walks(seed=0, *, people=3, joint="knee", rate_hz=100.0, length_s=6.0, oriented=True, norms=True, bias_rad_s=0.0):
    """Windows of people who walk, their right legs, sensors in segment axes and without fault but for a gyro's bias."""
    spec = replace(spec_of(joint, norms=norms), rate_hz=rate_hz, window=WINDOW)
    signals, targets, quats = [], [], []
    for number in range(people):
        person = walker(100 * seed + number, length_s=length_s, rate_hz=rate_hz, stand_s=0.0, turn_deg=0.0)
        names = [name if name == "pelvis" else f"{name}_r" for name in SEGMENTS[joint]]
        quat = [kinematics.quaternions(person.rotation[name]) for name in names]
        parts = []
        for name, one in zip(names, quat, strict=True):
            for triad in (
                virtual_imu.specific_force(person.position[name], one, rate_hz),
                virtual_imu.angular_rate(one, rate_hz) + bias_rad_s,
            ):
                parts += [triad, np.linalg.norm(triad, axis=1, keepdims=True)] if norms else [triad]
        signals.append(np.concatenate(parts, axis=1))
        targets.append(np.stack([person.angles[f"{dof}_r"] for dof in DOFS[joint]], axis=1))
        quats.append(np.stack(quat, axis=1))
    samples = len(signals[0])
    starts = [p * samples + np.arange(0, samples - WINDOW + 1, WINDOW // 2) for p in range(people)]
    y = np.concatenate(targets).astype(np.float32)
    return Batches(
        np.concatenate(signals).astype(np.float32), y, np.ones_like(y, dtype=bool), np.concatenate(starts),
        np.repeat(np.arange(people), [len(s) for s in starts]),
        np.ones((sum(len(s) for s in starts), 2), dtype=bool), spec,
        np.concatenate(quats).astype(np.float32) if oriented else None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def sets():
    return walks(1), walks(2, people=1), walks(3, people=1)


def rmse(prediction, batches):
    return np.sqrt(np.nanmean((prediction - batches.y) ** 2, axis=(0, 1)))


# --- every model -----------------------------------------------------------------------------------------------------


@EVERY
def test_is_registered_with_all_that_a_run_asks_for(name):
    model = plugins.create("models", name)
    for contract in (AdaptiveModel, SelfNormalisingModel, TrainedModel):
        assert isinstance(model, contract)
    assert model.card.name == name
    assert "centred RMSE" in model.card.description
    if name != "rapp2021":
        assert isinstance(model, StartedModel)
        assert isinstance(model, Searchable)
        for setting, where in model.space.items():
            value = where.options[0] if hasattr(where, "options") else where.high
            type(model)(**{setting: value})


@EVERY
def test_one_seed_gives_one_model_which_is_kept_and_goes_on_after_a_kill(name, sets, tmp_path, monkeypatch):
    train, valid, test = sets
    for setting in ("loop._PROGRESS_S", "checkpoints.EVERY_S"):
        monkeypatch.setattr(f"kinbench_benchmarks.training.{setting}", 0.0)

    def fitted(kill_at=None):
        model, steps = FACTORIES[name](), []

        def told(done, total, label):
            if label.endswith("-fit"):
                steps.append(done)
                if done == kill_at:
                    raise KeyboardInterrupt

        model.prepare(Training(checkpoints=tmp_path / "progress", on_progress=told))
        model.fit(train, valid, seed=4)
        return model, steps

    with pytest.raises(KeyboardInterrupt):
        fitted(kill_at=15)
    first, steps = fitted()
    assert steps[0] == 15  # where it was killed, in the second stage, and not at the start
    other = FACTORIES[name]()
    torch.rand(3)
    other.fit(train, valid, seed=4)
    answer = first.predict(test.x)
    assert answer.shape == test.y.shape
    assert answer.dtype == np.float32
    assert np.isfinite(answer).all()
    assert answer.tobytes() == other.predict(test.x).tobytes()
    another = FACTORIES[name]()
    another.fit(train, valid, seed=5)
    assert answer.tobytes() != another.predict(test.x).tobytes()
    kept = tmp_path / "kept"
    kept.mkdir()
    first.save(kept)
    again = FACTORIES[name]()
    again.load(kept)
    assert again.predict(test.x).tobytes() == answer.tobytes()
    assert again.parameters() == first.parameters()
    assert again.notes == first.notes
    assert any("recipe fast" in note and "iterations 12" in note for note in first.notes)


@EVERY
def test_lost_sensors_and_short_windows_still_have_an_answer(name, sets):
    train, valid, test = sets
    model = FACTORIES[name]()
    model.fit(train, valid, seed=0)
    x = test.x[:2].copy()
    x[0, :, :8] = np.nan
    x[1, 30:] = x[1, 29]
    assert np.isfinite(model.predict(x)).all()
    assert model.predict(x[:0]).shape == (0, WINDOW, 3)


@EVERY
def test_is_tuned_to_a_person_and_never_ends_worse_than_it_began(name, sets):
    train, valid, test = sets
    model = FACTORIES[name](iterations=40)
    model.fit(train, valid, seed=0)
    before = rmse(model.predict(test.x), test).mean()
    model.adapt(test, test, seed=0)
    assert rmse(model.predict(test.x), test).mean() < before
    assert sum(note.startswith("adapting: ") for note in model.notes) == 1
    own = model.normalise(test.unlabelled(), seed=0)
    assert own.predict(test.x).tobytes() != model.predict(test.x).tobytes()


@pytest.mark.parametrize("name", ["rapp2021-conv1d", "rapp2021-lstm"])
def test_learns_angles_of_people_it_never_saw_at_another_rate_with_other_channels(name, sets):
    model = FACTORIES[name](iterations=80, width=16, lr=0.02, lr_decay=0.985)
    train, test = walks(1, norms=False, oriented=False), walks(3, people=1, norms=False, oriented=False)
    model.fit(train, replace(test, starts=test.starts[:0]), seed=0)
    flat = np.broadcast_to(np.nanmean(train.y, axis=(0, 1)), test.y.shape)
    assert rmse(model.predict(test.x), test)[0] < 0.6 * rmse(flat, test)[0]


# --- recipes ---------------------------------------------------------------------------------------------------------


def test_the_papers_recipe_has_the_published_size():
    network = Conv1d(recipe="paper").build(spec_of(), None)
    assert sum(weight.numel() for weight in network.parameters()) == 559_033
    assert "5000" in Conv1d(recipe="paper").recipe.told()


def test_turns_and_steps_are_said_and_follow_the_compat(sets):
    train, valid, _ = sets
    model = FACTORIES["rapp2021-conv1d"](compat="code", iterations=2)
    model.fit(train, valid, seed=0)
    assert model.notes[1:] == ("4 steps", "compat code: sensors turned by 27 degrees SD in training")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"recipe": "slow"}, "no recipe 'slow'"),
        ({"kernel": 10}, "kernel must be odd"),
        ({"layers": 4}, "layers must be 1, 2 or 3"),
        ({"lr_decay": 1.5}, "lr_decay above 0"),
        ({"compat": "paper"}, "compat is not set or one of code, published, touchdown"),
        ({"tune": "some"}, "tune is one of none, head, all"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, says):
    with pytest.raises(UsageError, match=says):
        Conv1d(**settings)


def test_an_overridden_fitting_is_followed_by_its_adapting():
    made = override(CONV1D["fast"], lr=0.02, noise=0.0)
    assert made.adapting.lr == pytest.approx(0.002)
    assert made.adapting.noise == 0.0
    assert override(CONV1D["fast"], lr=None) == CONV1D["fast"]


# --- fusion ----------------------------------------------------------------------------------------------------------


def test_gyroscopes_without_fault_take_over_the_amplitude(sets):
    """Integration is exact within a window where gyroscopes are: the blend is nearer than the network's own angle."""
    train, valid, test = sets
    model = FACTORIES["rapp2021"](orientation_iterations=50, noise=0.0, turn_sd_deg=0.0)
    model.fit(train, valid, seed=0)
    alone = FACTORIES["rapp2021-conv1d"](noise=0.0, turn_sd_deg=0.0)
    alone.fit(train, valid, seed=0)
    assert rmse(model.predict(test.x), test)[0] < 0.8 * rmse(alone.predict(test.x), test)[0]
    share = next(note for note in model.notes if note.startswith("share of"))
    assert float(share.split("knee_flexion ")[1].split(",")[0]) < 0.5
    assert "shares learnt on validation" in model.notes


def test_gyroscopes_that_drift_are_left_out():
    drifting = walks(2, people=1, bias_rad_s=3.0)
    model = FACTORIES["rapp2021"](orientation_iterations=10, iterations=60, lr=0.01, noise=0.0, turn_sd_deg=0.0)
    model.fit(walks(1, people=2, bias_rad_s=3.0), drifting, seed=0)
    share = next(note for note in model.notes if note.startswith("share of"))
    assert float(share.split("knee_flexion ")[1].split(",")[0]) > 0.5


def test_the_codes_blend_is_learnt_from_the_reference_and_scaled(sets, tmp_path):
    train, valid, test = sets
    model = FACTORIES["rapp2021"](compat="code")
    model.fit(train, valid, seed=0)
    said = next(note for note in model.notes if note.startswith("compat code: shares"))
    scales = [float(word) for word in said.split("times ")[1].split(", ")]
    assert scales[0] == pytest.approx(1.0, abs=0.05)  # what is carried from the truth has the truth's size
    answer = model.predict(test.x)
    assert np.isfinite(answer).all()
    model.save(tmp_path)
    again = FACTORIES["rapp2021"](compat="code")
    again.load(tmp_path)
    assert again.predict(test.x).tobytes() == answer.tobytes()
    with pytest.raises(DataError, match="load with the same settings"):
        FACTORIES["rapp2021"]().load(tmp_path)  # which would carry the gyroscopes on in another way


def test_the_search_gives_what_the_closed_form_gives(sets):
    train, valid, test = sets
    found = []
    for search in (False, True):
        model = FACTORIES["rapp2021"](search=search)
        model.fit(train, replace(valid, starts=valid.starts[:0]), seed=0) if not search else None
        found.append(model)
    found[1]._angles, found[1]._network, found[1]._blend = found[0]._angles, found[0]._network, found[0]._blend
    x = test.x[:1, :12]
    np.testing.assert_allclose(found[0].predict(x), found[1].predict(x), atol=0.01)


def test_a_task_without_orientations_or_with_another_joint_is_refused(sets):
    train, valid, _ = sets
    with pytest.raises(NotApplicable, match="take its variant 'joint-pair/knee/oriented'"):
        FACTORIES["rapp2021"]().fit(replace(train, orientations=None), valid, seed=0)
    other = replace(train, spec=replace(train.spec, dof_names=DOFS["hip"]))
    with pytest.raises(NotApplicable, match="one joint's DoFs and the two segments beside it"):
        FACTORIES["rapp2021"]().fit(other, valid, seed=0)


# --- weights of others -----------------------------------------------------------------------------------------------

GOLDEN = {
    "Walking/Hip": ((-23.4793, 1.1242, -3.0813), (-13.1270, 1.2757, 0.7804)),
    "Walking/Knee": ((7.5999, 2.4080, 19.1125), (32.3591, 11.8161, 22.7299)),
    "Walking/Ankle": ((-8.3920, 4.7703, -8.0748), (8.7251, -0.5893, -9.8723)),
    "Running/Hip": ((-28.6489, -6.1148, -6.5736), (-16.0635, -4.6571, 1.7947)),
    "Running/Knee": ((32.2604, 9.2113, 12.7414), (23.3796, 9.3817, 23.0532)),
    "Running/Ankle": ((-12.3550, 3.1926, -6.3064), (-6.0952, 1.3028, -8.1280)),
}
SIGNS = {"hip": (-1, -1, -1), "knee": (1, -1, -1), "ankle": (-1, -1, -1)}


@pytest.mark.parametrize("where", GOLDEN)
def test_published_weights_give_the_golden_angles(shared, where):
    folder = shared / "published_weights" / "conv1d" / where
    statistics = torch.load(folder / "norm_dict.pt", weights_only=True, map_location="cpu")["params"]
    mean, sd = (statistics[name].reshape(-1).numpy() for name in ("x_mean", "x_std"))
    time, channel = np.arange(201)[:, None], np.arange(16)[None]
    z = np.stack([np.zeros((201, 16)), np.sin(2 * np.pi * time / 220 + 0.3 * channel)])
    joint = where.split("/")[1].lower()
    model = Conv1d(compat="published")
    model.begin(folder)
    empty = _empty(joint)
    model.fit(empty, empty, seed=0)
    angles = model.predict((z * sd + mean).astype(np.float32))[:, 100]
    np.testing.assert_allclose(angles * SIGNS[joint], GOLDEN[where], atol=1e-3)
    assert model.parameters() in (559_033, 449_833)
    assert any(f"weights of '{where}' taken as they are" in note for note in model.notes)


def _empty(joint="knee"):
    batches = walks(0, people=1, joint=joint, rate_hz=200.0, length_s=1.0)
    return replace(batches, starts=batches.starts[:0], person=batches.person[:0])


def test_published_weights_say_which_leg_bends_of_a_specific_force(shared):
    """In rad/s, with the accelerometer as at touchdown, the published knee follows a simulated one; in deg/s not."""
    test = replace(walks(7, people=2, rate_hz=200.0, length_s=8.0))
    whole = replace(test, starts=np.array([0, len(test.signals) // 2]), spec=replace(test.spec, window=1600))
    model = Conv1d(compat="touchdown")
    model.begin(shared / "published_weights" / "conv1d" / "Walking" / "Knee")
    model.fit(_empty(), _empty(), seed=0)
    inner = slice(80, -80)
    x, y = whole.x, whole.y[:, inner, 0]

    def r_of(x):
        return np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(model.predict(x)[:, inner, 0], y, strict=True)])

    assert r_of(x) > 0.9
    degrees = x.copy()
    degrees[..., [4, 5, 6, 7, 12, 13, 14, 15]] *= 57.3
    assert r_of(degrees) < r_of(x) - 0.1


def test_weights_are_tuned_as_far_as_asked_and_kept(tmp_path):
    folder, kept = toy(tmp_path / "knee"), tmp_path / "kept"
    train = walks(1, rate_hz=200.0, length_s=2.0)
    answers = {}
    for tune in ("none", "head", "all"):
        model = Conv1d(compat="touchdown", tune=tune, iterations=30, lr=0.01)
        model.begin(folder)
        model.fit(train, train, seed=0)
        answers[tune] = model.predict(train.x)
        weights = {name: value.clone() for name, value in model._state().network.state_dict().items()}
        fresh = torch.load(folder / "model.pt", weights_only=True)
        same = [name for name, value in fresh.items() if torch.equal(value, weights[f"network.{name}"])]
        assert ("conv0.weight" in same) == (tune != "all")
        assert ("lin_out.weight" in same) == (tune == "none")
    assert (
        rmse(answers["all"], train).mean() < rmse(answers["head"], train).mean() < rmse(answers["none"], train).mean()
    )
    kept.mkdir()
    model.save(kept)
    again = Conv1d(compat="touchdown", tune="all", iterations=30, lr=0.01)
    again.load(kept)
    assert again.predict(train.x).tobytes() == answers["all"].tobytes()


def test_weights_of_ours_bring_their_own_size(sets, tmp_path):
    train, valid, test = sets
    for name, size in (("rapp2021-conv1d", {"width": 6, "kernel": 5, "layers": 2}), ("rapp2021-lstm", {"width": 6})):
        kept = tmp_path / name
        kept.mkdir()
        model = FACTORIES[name](**size)
        model.fit(train, valid, seed=0)
        model.save(kept)
        begun = FACTORIES[name]()
        begun.begin(kept)
        begun.fit(train, valid, seed=1)
        assert begun.predict(test.x).tobytes() == model.predict(test.x).tobytes()
        assert any("nothing was fitted" in note for note in begun.notes)


def test_a_layout_without_weights_and_weights_without_a_layout_are_refused(sets, tmp_path):
    train, valid, _ = sets
    with pytest.raises(UsageError, match="begin from them, with --weights"):
        Conv1d(compat="touchdown").fit(train, valid, seed=0)
    model = Conv1d()
    model.begin(toy(tmp_path / "knee"))
    with pytest.raises(DataError, match="say compat=touchdown"):
        model.fit(train, valid, seed=0)
    with pytest.raises(DataError, match="no readable model state"):
        Conv1d().begin(tmp_path)


def test_a_run_asks_it_only_where_there_are_orientations_and_both_sensors():
    choice = replace(_choice("rapp2021"), oriented=plugins.create("models", "rapp2021").oriented)
    whole = Fold("S1", ("lab/S1",), ("lab",), "lab", {})
    one = replace(whole, segments=("thigh",))
    assert choice.lacks(whole, tasks.JOINT_PAIR_KNEE_ORIENTED) is None
    assert choice.lacks(whole, tasks.JOINT_PAIR_KNEE) == (
        "no orientations to learn from in this task (take 'joint-pair/knee/oriented')"
    )
    assert choice.lacks(one, tasks.JOINT_PAIR_KNEE_ORIENTED) == "no answer without the sensor on shank_r and shank_l"
    assert _choice("ridge").lacks(one, tasks.JOINT_PAIR_KNEE) is None


def _choice(name):
    card = plugins.create("models", name).card
    return ModelChoice(name, name, {}, card, "kinbench", "0", adapts=True)
