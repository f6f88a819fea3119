"""The transformer with rotary positions: what makes them rotations, its published weights, and tuning elsewhere."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kinbench_benchmarks.models import published
from kinbench_benchmarks.models.brough2025 import RopeTransformer
from kinbench_benchmarks.models.brough2025.network import RopeNetwork
from kinbench_benchmarks.models.brough2025.rope import LAYOUTS, Rotation

import kinbench
from kinbench import plugins
from kinbench.errors import DataError, UsageError
from kinbench.windows import Batches, TaskSpec

TRUE = pytest.mark.parametrize("layout", ["neighbours", "halves"])
QUICK = settings(max_examples=20, deadline=None)
seeds, sizes = st.integers(0, 2**31), st.sampled_from([2, 4, 8, 16, 30])


# --- rotary positions ------------------------------------------------------------------------------------------------


def turned(layout, vectors, time):
    """Vectors (time, size) in float64, each turned by its own position."""
    return Rotation.of(time, vectors.shape[-1], LAYOUTS[layout], vectors)(vectors)


def pair(seed, size, time):
    """The same query and key (size,) at every one of ``time`` positions."""
    made = torch.from_numpy(np.random.default_rng(seed).normal(size=(2, size)))
    return (vector.expand(time, size) for vector in made)


def dependence_on_place(layout, seed, size, time=24):
    """How much the score of one query and key at one lag changes with where they stand, beside their lengths."""
    query, key = pair(seed, size, time)
    scores = turned(layout, query, time) @ turned(layout, key, time).T / (query[0].norm() * key[0].norm())
    return max(float(np.ptp(np.diagonal(scores.numpy(), lag))) for lag in range(-time + 2, time - 1))


@TRUE
@QUICK
@given(seeds, sizes)
def test_every_position_is_a_rotation_that_keeps_lengths_and_angles(layout, seed, size):
    time = 50
    first, second = (torch.from_numpy(np.random.default_rng([seed, k]).normal(size=(time, size))) for k in (0, 1))
    one, two = turned(layout, first, time), turned(layout, second, time)
    torch.testing.assert_close(one.norm(dim=-1), first.norm(dim=-1), rtol=1e-6, atol=0)
    torch.testing.assert_close((one * two).sum(-1), (first * second).sum(-1), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(one[0], first[0], rtol=0, atol=0)  # position 0 is no turn


@TRUE
@QUICK
@given(seeds, sizes)
def test_a_score_depends_on_how_far_apart_two_positions_are_and_on_nothing_else(layout, seed, size):
    assert dependence_on_place(layout, seed, size) < 1e-5


@TRUE
def test_a_score_does_depend_on_the_lag(layout):
    query, key = pair(0, 16, 24)
    scores = (turned(layout, query, 24) @ turned(layout, key, 24).T).numpy()
    assert np.ptp(scores[0]) > 1.0


@given(seeds, st.sampled_from([4, 8, 16]))
@QUICK
def test_the_layout_of_the_code_is_no_rotation_and_loses_the_lag(seed, size):
    vectors = torch.from_numpy(np.random.default_rng(seed).normal(size=(50, size)))
    stretched = turned("code", vectors, 50).norm(dim=-1) / vectors.norm(dim=-1)
    assert float((stretched - 1).abs().max()) > 1e-2
    assert dependence_on_place("code", seed, size) > 1e-2


def test_both_true_layouts_are_one_rotation_in_another_order_of_components():
    vectors = torch.randn(9, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    order = [0, 4, 1, 5, 2, 6, 3, 7]
    torch.testing.assert_close(turned("neighbours", vectors[:, order], 9), turned("halves", vectors, 9)[:, order])


# --- the network -----------------------------------------------------------------------------------------------------


def network(channels=16, dofs=3, width=96, layers=4, heads=6, feed_forward=256, layout="neighbours", dropout=0.1):
    torch.manual_seed(0)
    return RopeNetwork(
        channels, dofs, width=width, layers=layers, heads=heads, feed_forward=feed_forward, dropout=dropout,
        layout=LAYOUTS.get(layout),
    ).eval()  # fmt: skip


@pytest.mark.parametrize(
    ("how", "count"),
    [({}, 350_467), ({"width": 48}, 138_883),
     ({"width": 64, "layers": 1, "heads": 1, "feed_forward": 64}, 26_499)],
)  # fmt: skip
def test_has_as_many_parameters_as_reported(how, count):
    assert sum(weight.numel() for weight in network(**how).parameters()) == count


def test_without_positions_the_order_of_samples_is_lost_and_with_them_it_counts():
    x = torch.randn(2, 20, 16, generator=torch.Generator().manual_seed(1))
    order = torch.randperm(20, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        for layout, ordered in ((None, False), ("neighbours", True), ("halves", True), ("code", True)):
            made = network(layout=layout)
            apart = float((made(x)[:, order] - made(x[:, order])).abs().max())
            assert (apart > 1e-3) == ordered


@pytest.mark.parametrize("time", [1, 7, 400])
def test_takes_windows_of_any_length(time):
    with torch.inference_mode():
        assert network()(torch.zeros(2, time, 16)).shape == (2, time, 3)


# --- published weights -----------------------------------------------------------------------------------------------

GOLDEN = {
    "code": (6.7022, -1.6009, -9.5242), "neighbours": (6.1179, -1.4201, -9.4118),
    "halves": (6.5564, -1.5536, -9.4958), None: (6.2930, -1.4623, -9.4448),
}  # fmt: skip
"""Flexion, adduction and rotation of the published transformer at frame 50 of 100, by the layout of its positions."""


@pytest.fixture
def transformer(shared):
    return shared / "published_weights" / "transformer" / "Running" / "Ankle"


def sines(time=100):
    """Normalised inputs sin(2 pi t / 220 + 0.3 c), (1, time, 16)."""
    t, channel = np.arange(time)[:, None], np.arange(16)[None]
    return np.sin(2 * np.pi * t / 220 + 0.3 * channel).astype(np.float32)[None]


@pytest.mark.parametrize("layout", GOLDEN)
def test_the_published_weights_give_the_golden_angles_in_every_layout(transformer, layout):
    files = published.read(transformer)
    made = network(width=64, layers=1, heads=1, feed_forward=64, layout=layout)
    made.load_state_dict(dict(files.weights))
    with torch.inference_mode():
        angles = made(torch.from_numpy(sines())).numpy() * files.y_sd + files.y_mean
    np.testing.assert_allclose(angles[0, 50], GOLDEN[layout], atol=1e-3)


# --- the model -------------------------------------------------------------------------------------------------------

SMALL = {"layers": 1, "heads": 2, "width": 16, "feed_forward": 16}
CHANNELS = tuple(
    f"{segment}/{kind}"
    for segment in ("shank", "foot")
    for kind in ("acc/x", "acc/y", "acc/z", "acc_norm", "gyr/x", "gyr/y", "gyr/z", "gyr_norm")
)
ANKLE = TaskSpec("joint-pair/ankle/running", 1, CHANNELS, ("ankle_dorsiflexion", "ankle_inversion",
                 "ankle_internal_rotation"), ("shank", "foot"), 200.0, 100)  # fmt: skip
KNEE = TaskSpec("toy", 1, tuple(f"{segment}/{kind}" for segment in ("thigh", "shank")
                                for kind in ("acc/x", "acc/y", "acc/z", "gyr/x", "gyr/y", "gyr/z")),
                ("knee_flexion",), ("thigh", "shank"), 100.0, 40)  # fmt: skip


def windows(spec=KNEE, seed=0, *, people=3, count=6, offset=0.0):
    """People whose angles are smooth signals' own, ``count`` windows each; ``offset`` is added to every angle."""
    rng = np.random.default_rng(seed)
    rows = people * count * spec.window
    t = np.arange(rows) / spec.rate_hz
    rates = np.linspace(0.7, 1.4, len(spec.channel_names))
    x = np.sin(2 * np.pi * rates * t[:, None] + np.arange(len(rates))) + 0.05 * rng.normal(size=(rows, len(rates)))
    y = 20 * x[:, : len(spec.dof_names)] + offset
    starts = np.arange(0, rows, spec.window)
    return Batches(
        x.astype(np.float32), y.astype(np.float32), np.ones(y.shape, dtype=bool), starts,
        np.repeat(np.arange(people), count), np.ones((len(starts), len(spec.segments)), dtype=bool), spec,
    )  # fmt: skip


def error(model, batches):
    return float(np.sqrt(((model.predict(batches.x) - batches.y) ** 2).mean()))


def fitted(**settings):
    model = RopeTransformer(**{**SMALL, "iterations": 50, "lr": 5e-3, **settings})
    model.fit(windows(), windows(seed=1, people=1, count=8), seed=0)
    return model


@pytest.fixture(scope="module")
def model():
    return fitted()


def test_learns_what_can_be_learnt_and_says_its_whole_recipe(model):
    held_out = windows(seed=2)
    assert error(model, held_out) < 0.6 * float(np.std(held_out.y))
    (told,) = [note for note in model.notes if note.startswith("recipe")]
    assert "recipe fast: 1 layers, 2 heads, width 16, feed-forward 16, dropout 0.1; fitting iterations 50" in told


def test_the_recipes_have_the_reported_shape_and_the_two_stages():
    for recipe in ("fast", "paper"):
        shape = RopeTransformer(recipe=recipe).shape
        assert (shape.layers, shape.heads, shape.feed_forward, shape.dropout) == (4, 6, 256, 0.1)
    paper = RopeTransformer(recipe="paper").shape.fitting
    assert (paper.iterations, paper.people, paper.crop_s) == (5000, (8, 16), (1.0, 2.0))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [({"width": 50}, "width must be a multiple of twice the heads"), ({"layers": 0}, "must be positive"),
     ({"dropout": 1.0}, "dropout between 0 and 1"), ({"recipe": "papr"}, "There is no recipe 'papr'.*'paper'"),
     ({"compat": "rotary"}, "compat is not set or one of code, published, touchdown")],
)  # fmt: skip
def test_a_setting_that_makes_no_network_is_refused_in_a_sentence(settings, sentence):
    with pytest.raises(UsageError, match=sentence):
        RopeTransformer(**settings)


def test_is_kept_and_taken_up_with_the_same_bits_and_only_with_its_own_heads(model, tmp_path):
    model.save(tmp_path)
    x = windows(seed=2).x
    again = RopeTransformer(heads=2)  # the other sizes are those of the weights
    again.load(tmp_path)
    assert again.predict(x).tobytes() == model.predict(x).tobytes()
    with pytest.raises(DataError, match=r"weights of settings.*2 heads"):
        RopeTransformer(heads=4).load(tmp_path)
    with pytest.raises(DataError, match=r"weights of settings.*code"):
        RopeTransformer(heads=2, compat="code").load(tmp_path)


def test_the_codes_layout_is_another_network_off_unless_asked_for():
    code, plain = (fitted(compat=compat, turn_sd_deg=0.0, noise=0.0, iterations=3) for compat in ("code", None))
    x = windows(seed=2).x
    assert np.abs(code.predict(x) - plain.predict(x)).max() > 1e-3
    for told in ("queries and keys turned as the publication's code", "sensors turned by 0 degrees SD"):
        assert any(told in note for note in code.notes) and not any(told in note for note in plain.notes)
    assert plain._fitted.network.layout is LAYOUTS["neighbours"] and code._fitted.network.layout is LAYOUTS["code"]


def test_adapting_tunes_every_weight_and_mends_an_offset(model, tmp_path):
    model.save(tmp_path)
    model = RopeTransformer(heads=2, adapt_iterations=30, adapt_lr=1e-2, noise=0.0, turn_sd_deg=0.0)
    model.load(tmp_path)
    before = {name: value.clone() for name, value in model._fitted.network.state_dict().items()}
    mine, later = windows(seed=3, people=1, count=10, offset=25.0), windows(seed=4, people=1, count=8, offset=25.0)
    came = error(model, later)
    model.adapt(mine, windows(seed=5, people=1, count=8, offset=25.0), seed=0)
    assert error(model, later) < 0.6 * came
    after = model._fitted.network.state_dict()
    assert all(not torch.equal(before[name], after[name]) for name in before)


def test_goes_on_from_its_own_weights_elsewhere(model, tmp_path):
    model.save(tmp_path)
    there, held_out = windows(seed=3, offset=25.0), windows(seed=4, offset=25.0)
    came = error(model, held_out)
    for tune, better in (("none", False), ("all", True)):
        begun = RopeTransformer(heads=2, tune=tune, iterations=30, lr=1e-2, noise=0.0, turn_sd_deg=0.0)
        begun.begin(tmp_path)
        begun.fit(there, windows(seed=5, people=1, count=8, offset=25.0), seed=0)
        assert (error(begun, held_out) < 0.6 * came) == better


def test_a_second_fit_begins_from_the_weights_again(model, tmp_path):
    model.save(tmp_path)
    there, held_out = windows(seed=3, offset=25.0), windows(seed=4, offset=25.0)
    begun = RopeTransformer(heads=2, tune="all", iterations=3, lr=1e-2, noise=0.0, turn_sd_deg=0.0)
    begun.begin(tmp_path)
    answers, notes = [], []
    for _ in range(2):
        begun.fit(there, windows(seed=5, people=1, count=8, offset=25.0), seed=0)
        answers.append(begun.predict(held_out.x).tobytes())
        notes.append(begun.notes)
    assert answers[0] == answers[1] != model.predict(held_out.x).tobytes()
    assert notes[0] == notes[1]


# --- begun from published weights ------------------------------------------------------------------------------------


def in_si(files, spec=ANKLE):
    """The golden inputs as a task's windows in SI units, as the publication makes its own, and the angles expected."""
    x = sines() * files.x_sd + files.x_mean
    return x.astype(np.float32)


def begun(folder, compat="published", spec=ANKLE, **settings):
    model = RopeTransformer(compat=compat, **settings)
    model.begin(folder)
    model.fit(windows(spec), windows(spec, people=1), seed=0)
    return model


def test_begins_from_the_published_weights_and_answers_as_they_do_in_our_signs(transformer):
    model = begun(transformer)
    assert model.parameters() == 26_499
    angles = model.predict(in_si(published.read(transformer)))[0, 50]
    np.testing.assert_allclose(angles, -np.array(GOLDEN["code"]), atol=1e-3)  # dorsiflexion, inversion, internal
    assert any("published weights, compat published" in note for note in model.notes)
    assert any("nothing was fitted" in note for note in model.notes)


def test_a_specific_force_reaches_the_published_weights_as_at_touchdown(transformer):
    files = published.read(transformer)
    x = in_si(files)
    x[..., [1, 9]] *= -1  # the publication's accelerometer is minus the specific force's y there
    np.testing.assert_allclose(
        begun(transformer, "touchdown").predict(x)[0, 50], -np.array(GOLDEN["code"]), atol=1e-3
    )


def test_published_weights_are_tuned_kept_and_taken_up(transformer, tmp_path):
    model = begun(transformer, tune="all", iterations=3)
    model.save(tmp_path)
    again = RopeTransformer(compat="published")
    again.load(tmp_path)
    x = in_si(published.read(transformer))
    assert again.predict(x).tobytes() == model.predict(x).tobytes()
    assert np.abs(model.predict(x)[0, 50] + np.array(GOLDEN["code"])).max() > 1e-3


def test_published_weights_refuse_what_they_are_not_for(transformer, tmp_path):
    with pytest.raises(DataError, match="say compat=touchdown"):
        begun(transformer, compat=None)
    with pytest.raises(DataError, match="100 Hz"):
        begun(transformer, spec=replace(ANKLE, rate_hz=100.0))
    with pytest.raises(DataError, match="expected the weights of a transformer"):
        begun(transformer.parents[2] / "conv1d" / "Running" / "Ankle")
    with pytest.raises(UsageError, match="compat=touchdown is for published weights"):
        RopeTransformer(compat="touchdown", **SMALL).fit(windows(), windows(), seed=0)
    with pytest.raises(DataError, match="no readable model state"):
        RopeTransformer().begin(tmp_path)


# --- from one laboratory to another ----------------------------------------------------------------------------------

PROTOCOLS = ("cross-dataset-finetuned", "finetune-brough2025", "harmonisation-off")


@pytest.fixture(scope="module")
def laboratories(tmp_path_factory):
    """The stores of two simulated laboratories of three people, and where to keep results of them."""
    folder = tmp_path_factory.mktemp("laboratories")
    cohort = replace(plugins.get("demos", "cohort").load(), people_per_laboratory=3, length_s=40.0)
    for part in cohort.write(folder / "raw"):
        kinbench.convert(part.adapter, part.raw, name=part.name, data=folder / "data")
    return {"data": folder / "data", "results": folder / "results"}


def test_is_tuned_elsewhere_under_every_protocol_that_does_and_told_before_and_after(laboratories):
    tiny = "rope-transformer[layers=1,heads=2,width=12,feed_forward=8,iterations=3,adapt_iterations=3]"
    plan = kinbench.plan(protocols=PROTOCOLS, tasks="knee-pair", models=tiny, seeds=0, **laboratories)
    finished = kinbench.execute(plan)
    assert not finished.failed
    assert {result.protocol.name for result in finished.results} == set(PROTOCOLS)
    for result in finished.results:
        adapts = result.protocol.adapts and result.fold.condition.get("persons") != 0
        assert any(note.startswith("adapting:") for note in result.notes) == adapts
    (answer,) = kinbench.study("finetuning", **laboratories).answers
    assert answer.variant == "cross-dataset-finetuned"
    table = answer.tables["movements"]
    assert set(zip(table["train"], table["dataset"], strict=True)) == {
        ("simulated-a", "simulated-b"), ("simulated-b", "simulated-a")
    }  # fmt: skip
    assert set(table["n"]) == {3} and set(table["tuned"]) == {"1 other"}
    assert (table["error_change"] != 0).all()
