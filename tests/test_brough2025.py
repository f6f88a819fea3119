"""The transformer with rotary positions: what makes them rotations, its published weights, and tuning elsewhere."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kinbench_benchmarks.models import published
from kinbench_benchmarks.models.brough2025.network import RopeNetwork
from kinbench_benchmarks.models.brough2025.rope import LAYOUTS, Rotation

TRUE = pytest.mark.parametrize("layout", ["neighbours", "halves"])
QUICK = settings(max_examples=40, deadline=None)
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
