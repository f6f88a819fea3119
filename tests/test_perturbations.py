"""What is done to sensors and labels on purpose: physics that must hold, and faults that must be told."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinbench.errors import NotApplicable, UsageError
from kinbench.kinematics import mirror_acc, mirror_gyr
from kinbench.perturbations import KINDS, Change, Leg, perturb
from kinbench.schema import GRAVITY
from kinbench.tasks import Task

TASK = Task(
    "pair", 1, "pair", ("thigh", "shank"), ("acc", "gyr", "acc_norm", "gyr_norm"), ("knee_flexion",), 100.0, 128, 64,
    per_leg=True,
)  # fmt: skip
BODY = replace(
    TASK, name="body", segments=("pelvis", "shank_r", "shank_l"), channels=("acc", "gyr"), dofs=("knee_flexion_r",),
    per_leg=False,
)  # fmt: skip
HIP = replace(TASK, name="hip", segments=("pelvis", "thigh"))
N = 400


def leg(task=TASK, side="r", *, seed=0, person="lab/S1", recording="lab/S1/1/walk", holes=True):
    """Smooth motion in all channels, with a hole in the middle that splits it in two."""
    random = np.random.default_rng(seed)
    time = np.arange(N) / task.rate_hz
    signals = np.full((N, len(task.channel_names)), np.nan, dtype=np.float32)
    made = Leg(
        task, person, side if task.per_leg else "", signals, np.zeros((N, len(task.dofs)), dtype=np.float32),
        np.ones((N, len(task.dofs)), dtype=bool), recording,
    )  # fmt: skip
    for segment in task.segments:
        for channel, size in (("acc", 5.0), ("gyr", 3.0)):
            waves = [np.sin(2 * np.pi * random.uniform(0.5, 4, 3) * time[:, None] + random.uniform(0, 6, 3))
                     for _ in range(2)]  # fmt: skip
            values = (size * sum(waves) + (np.array([0, GRAVITY, 0]) if channel == "acc" else 0)).astype(np.float32)
            if channel in task.channels:
                signals[:, made.columns(segment, channel)] = values
            if f"{channel}_norm" in task.channels:
                signals[:, made.columns(segment, f"{channel}_norm")] = lengths(values)[:, None]
    if holes:
        signals[150:153] = np.nan
    return made


def lengths(values):
    return np.sqrt((values.astype(np.float64) ** 2).sum(axis=1))


def triad(made, segment, channel):
    return made.signals[:, made.columns(segment, channel)]


def done(made, kind, **how):
    return perturb(made, [Change.of(kind, **how)])


def known(made):
    return np.isfinite(made.signals).all(axis=1)


NOTHING = {
    "turn": {"angle_deg": 0.0}, "turn_random": {"sd_deg": 0.0}, "shift": {"along_m": 0.0}, "packets": {"share": 0.0},
    "bias": {}, "noise": {}, "clip": {"acc_g": 1e3, "gyr_deg_s": 1e6}, "rate": {"rate_hz": 100.0},
    "late": {"samples": 0}, "label_offset": {"sd_deg": 0.0}, "label_noise": {"sd_deg": 0.0},
    "scale": {}, "axes": {"order": "xyz"},
}  # fmt: skip
SOMETHING = {
    "turn": {"angle_deg": 20.0}, "turn_random": {}, "shift": {"along_m": 0.05}, "packets": {"share": 0.1},
    "bias": {"acc": 0.5, "gyr_deg_s": 5.0}, "noise": {"acc_sd": 0.2, "gyr_sd": 0.05},
    "clip": {"acc_g": 1.0, "gyr_deg_s": 100.0}, "rate": {"rate_hz": 20.0}, "late": {"samples": 4},
    "label_offset": {"sd_deg": 3.0}, "label_noise": {"sd_deg": 2.0}, "swap_sides": {},
    "swap_labels": {"first": "thigh", "second": "shank"}, "missing": {"sensor": "shank", "filled": "zero"},
    "scale": {"acc": 1 / GRAVITY, "gyr": -1.0}, "axes": {"order": "x-zy"}, "unmirrored": {},
}  # fmt: skip


# --- what holds for all ----------------------------------------------------------------------------------------------


def test_every_kind_is_tried_here():
    assert set(SOMETHING) | {"magnetic"} == set(KINDS)
    assert set(NOTHING) == set(SOMETHING) - {"swap_sides", "swap_labels", "missing", "unmirrored"}


@pytest.mark.parametrize("kind", NOTHING)
@pytest.mark.parametrize("side", ["r", "l"])
def test_nothing_of_a_change_is_no_change(kind, side):
    before = leg(side=side)
    after = done(before, kind, **NOTHING[kind])
    np.testing.assert_array_equal(after.signals, before.signals)
    np.testing.assert_array_equal(after.targets, before.targets)


@pytest.mark.parametrize("kind", SOMETHING)
def test_a_change_leaves_what_it_was_given_and_is_the_same_again(kind):
    before = leg(side="l")
    signals, targets = before.signals.copy(), before.targets.copy()
    after, again = (done(before, kind, **SOMETHING[kind]) for _ in range(2))
    np.testing.assert_array_equal(before.signals, signals)
    np.testing.assert_array_equal(before.targets, targets)
    assert after.signals.tobytes() == again.signals.tobytes() and after.targets.tobytes() == again.targets.tobytes()
    assert after.signals.dtype == np.float32 and after.targets.dtype == np.float32
    changed = kind.startswith("label")
    assert np.array_equal(after.signals, signals, equal_nan=True) == changed
    assert np.array_equal(after.targets, targets) != changed


@pytest.mark.parametrize("kind", SOMETHING)
def test_what_was_known_stays_known_and_what_was_not_stays_so(kind):
    before = leg()
    np.testing.assert_array_equal(known(done(before, kind, **SOMETHING[kind])), known(before))


@pytest.mark.parametrize("kind", sorted(set(SOMETHING) - {"swap_labels"}))
def test_lengths_are_those_of_the_changed_vectors(kind):
    after = done(leg(), kind, **SOMETHING[kind])
    for segment in TASK.segments:
        for channel in ("acc", "gyr"):
            length = triad(after, segment, f"{channel}_norm")[:, 0]
            np.testing.assert_allclose(length, lengths(triad(after, segment, channel)), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["turn", "turn_random", "bias", "label_offset"])
def test_a_sensor_is_wrong_the_same_way_in_all_recordings_of_a_person_and_another_way_in_others(kind):
    def change(**who):
        before = leg(**who)
        after = done(before, kind, **SOMETHING[kind])
        return np.concatenate([after.signals - before.signals, after.targets - before.targets], axis=1)[0]

    here = change()
    np.testing.assert_array_equal(here, change(recording="lab/S1/1/other"))
    for other in ({"person": "lab/S2"}, {"side": "l"}):
        assert not np.array_equal(here, change(**other))


@pytest.mark.parametrize("kind", ["noise", "packets", "label_noise"])
def test_noise_and_lost_packets_are_drawn_for_each_recording(kind):
    one = done(leg(), kind, **SOMETHING[kind])
    other = done(leg(recording="lab/S1/1/other"), kind, **SOMETHING[kind])
    assert not np.array_equal(one.signals, other.signals, equal_nan=True) or (one.targets != other.targets).any()


@pytest.mark.parametrize("kind", ["turn", "turn_random", "bias", "noise", "packets"])
def test_another_draw_is_another_mistake(kind):
    one, other = (done(leg(), kind, draw=draw, **SOMETHING[kind]) for draw in (0, 1))
    assert not np.array_equal(one.signals, other.signals, equal_nan=True)


@pytest.mark.parametrize("kind", ["turn", "turn_random", "shift", "bias", "noise", "clip", "rate", "packets"])
def test_one_sensor_alone(kind):
    before = leg()
    after = done(before, kind, sensor="shank", **SOMETHING[kind])
    np.testing.assert_array_equal(after.signals[:, before.block("thigh")], before.signals[:, before.block("thigh")])
    alone = done(before, kind, **SOMETHING[kind])
    np.testing.assert_array_equal(after.signals[:, before.block("shank")], alone.signals[:, before.block("shank")])


# --- how a sensor sits -----------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(angle=st.floats(0, 180), draw=st.integers(0, 9), side=st.sampled_from("rl"))
def test_a_turn_keeps_lengths_and_angles_between_vectors_and_is_undone_by_its_opposite(angle, draw, side):
    before = leg(side=side, holes=False)
    after = done(before, "turn", angle_deg=angle, draw=draw)
    for segment in TASK.segments:
        acc, gyr = triad(before, segment, "acc"), triad(before, segment, "gyr")
        turned_acc, turned_gyr = triad(after, segment, "acc"), triad(after, segment, "gyr")
        np.testing.assert_allclose(lengths(turned_acc), lengths(acc), rtol=1e-5)
        # Left legs are mirrored: a polar and an axial vector keep their product, whose sign the mirror turned.
        np.testing.assert_allclose((turned_acc * turned_gyr).sum(1), (acc * gyr).sum(1), atol=2e-3)
    back = done(after, "turn", angle_deg=-angle, draw=draw)
    np.testing.assert_allclose(back.signals, before.signals, atol=1e-4)


@pytest.mark.parametrize("side", ["r", "l"])
def test_the_axis_of_a_draw_stays_over_angles(side):
    """Twice by 20 degrees is once by 40 about the same axis."""
    before = leg(side=side)
    twice = done(done(before, "turn", angle_deg=20.0), "turn", angle_deg=20.0)
    np.testing.assert_allclose(twice.signals, done(before, "turn", angle_deg=40.0).signals, atol=1e-4)


def test_axes_are_uniform_on_the_sphere_and_angles_what_they_are_said_to_be():
    up = leg(holes=False)
    up.signals[:, up.columns("thigh", "acc")] = (0, GRAVITY, 0)
    cosines = np.array([
        triad(done(up, "turn", angle_deg=90.0, draw=draw), "thigh", "acc")[0, 1] / GRAVITY for draw in range(600)
    ])  # fmt: skip
    # About a uniform axis u, a quarter turn takes the vertical to u_y^2 of itself: 1/3 on average, SD sqrt(4/45).
    assert abs(cosines.mean() - 1 / 3) < 4 * np.sqrt(4 / 45 / 600)
    angles = np.array([
        np.linalg.norm(_rotation(done(up, "turn_random", draw=draw), up, "shank")) for draw in range(300)
    ])  # fmt: skip
    assert np.sqrt((angles**2).mean()) == pytest.approx(13.5, rel=0.15)
    doubled = np.linalg.norm(_rotation(done(up, "turn_random", draw=7, compat="rapp2021"), up, "shank"))
    assert doubled == pytest.approx(2 * angles[7], rel=1e-4)


def _rotation(after, before, segment):
    """The rotation vector in degrees that carries one leg's vectors into another's."""
    from scipy.spatial.transform import Rotation

    return np.degrees(
        Rotation.align_vectors(triad(after, segment, "gyr"), triad(before, segment, "gyr"))[0].as_rotvec()
    )


def test_a_left_leg_turns_as_the_sensor_on_it_does_and_is_mirrored_afterwards():
    """A pelvis sensor is one device, whichever leg it is seen from."""
    right = leg(HIP, "r", holes=False)
    left = replace(right, leg="l", signals=mirrored(right).signals)
    for kind in ("turn", "turn_random", "bias", "noise", "packets"):
        how = SOMETHING[kind]
        one, other = done(right, kind, **how), done(left, kind, **how)
        pelvis = one.block("pelvis")
        np.testing.assert_allclose(mirrored(other).signals[:, pelvis], one.signals[:, pelvis], atol=1e-5)
        assert not np.allclose(mirrored(other).signals, one.signals, atol=1e-2)  # the thighs are two


def mirrored(made):
    signals = made.signals.copy()
    for segment in made.task.segments:
        signals[:, made.columns(segment, "acc")] = mirror_acc(triad(made, segment, "acc"))
        signals[:, made.columns(segment, "gyr")] = mirror_gyr(triad(made, segment, "gyr"))
    return replace(made, signals=signals)


@settings(max_examples=15, deadline=None)
@given(along=st.floats(-0.3, 0.3), side=st.sampled_from("rl"))
def test_a_shift_and_back_is_none(along, side):
    before = leg(side=side)
    after = done(done(before, "shift", along_m=along), "shift", along_m=-along)
    np.testing.assert_allclose(after.signals, before.signals, atol=2e-4)


def test_a_sensor_further_down_a_pendulum_feels_more():
    """A rod swinging about its upper end: at distance r the sensor reads gravity, r alpha along, r omega^2 up."""
    made = leg(holes=False)
    time = np.arange(N) / TASK.rate_hz
    angle, w = 0.6 * np.sin(2 * np.pi * time), 2 * np.pi
    rate, acceleration = 0.6 * w * np.cos(w * time), -0.6 * w**2 * np.sin(w * time)

    def felt(r):
        return np.stack([GRAVITY * np.sin(angle) + r * acceleration, GRAVITY * np.cos(angle) + r * rate**2,
                         np.zeros(N)], axis=1)  # fmt: skip

    made.signals[:, made.columns("shank", "gyr")] = np.stack([0 * rate, 0 * rate, rate], axis=1)
    made.signals[:, made.columns("shank", "acc")] = felt(0.2)
    lower = triad(done(made, "shift", along_m=-0.15), "shank", "acc")
    np.testing.assert_allclose(lower[5:-5], felt(0.35)[5:-5], atol=1e-4)
    np.testing.assert_array_equal(
        triad(done(made, "shift", along_m=-0.15), "shank", "gyr"), triad(made, "shank", "gyr")
    )


def test_at_rest_the_place_does_not_matter():
    still = leg()
    for segment in TASK.segments:
        still.signals[:, still.columns(segment, "gyr")] = 0.0
    np.testing.assert_array_equal(done(still, "shift", along_m=0.2).signals, still.signals)


def test_a_shift_of_a_stretch_too_short_to_derive_is_still_a_number():
    short = leg()
    short.signals[3:] = np.nan
    assert np.isfinite(done(short, "shift", along_m=0.1).signals[:3]).all()


def test_swapping_twice_is_none():
    for made, kind, how in (
        (leg(), "swap_sides", {}), (leg(BODY), "swap_sides", {}),
        (leg(), "swap_labels", {"first": "thigh", "second": "shank"}),
    ):  # fmt: skip
        once = done(made, kind, **how)
        assert not np.array_equal(once.signals, made.signals, equal_nan=True)
        np.testing.assert_array_equal(done(once, kind, **how).signals, made.signals)


def test_sides_change_places_and_what_has_none_stays():
    before, after = leg(BODY), done(leg(BODY), "swap_sides")
    np.testing.assert_array_equal(triad(after, "shank_r", "acc"), triad(before, "shank_l", "acc"))
    np.testing.assert_array_equal(triad(after, "shank_l", "gyr"), triad(before, "shank_r", "gyr"))
    np.testing.assert_array_equal(triad(after, "pelvis", "acc"), triad(before, "pelvis", "acc"))
    np.testing.assert_array_equal(done(leg(), "swap_sides").signals, mirrored(leg()).signals)


# --- what a device does ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fill", ["hold", "interpolate"])
@pytest.mark.parametrize("rate_hz", [50.0, 40.0, 20.0])
def test_a_lower_rate_keeps_what_is_slow_and_takes_what_is_fast(rate_hz, fill):
    made = leg(holes=False)
    time = np.arange(N) / TASK.rate_hz
    slow, fast = np.sin(2 * np.pi * 0.5 * time), np.sin(2 * np.pi * 45 * time)
    made.signals[:, made.columns("shank", "acc")] = np.stack([slow, fast, np.full(N, GRAVITY)], axis=1)
    after = triad(done(made, "rate", rate_hz=rate_hz, fill=fill), "shank", "acc")
    allowed = 2 * np.pi * 0.5 / rate_hz if fill == "hold" else 0.02  # a held sine is late by up to one interval
    middle = slice(40, -40)
    assert np.abs(after[middle, 0] - slow[middle]).max() < 1.2 * allowed
    assert np.abs(after[middle, 1]).max() < 0.12
    np.testing.assert_allclose(after[middle, 2], GRAVITY, rtol=0.01)


def test_a_held_rate_has_steps_as_long_as_its_interval():
    after = triad(done(leg(holes=False), "rate", rate_hz=25.0), "shank", "gyr")
    assert (after.reshape(-1, 4, 3) == after[::4, None]).all()


@settings(max_examples=10, deadline=None)
@given(draw=st.integers(0, 99), fill=st.sampled_from(["hold", "interpolate"]))
def test_more_lost_packets_of_a_draw_are_the_same_and_more(draw, fill):
    before = leg(holes=False)
    lost = []
    for share in (0.05, 0.2, 0.5):
        after = done(before, "packets", share=share, draw=draw, fill=fill)
        lost.append((after.signals != before.signals)[:, before.block("shank")].any(axis=1))
    assert (lost[0] <= lost[1]).all() and (lost[1] <= lost[2]).all()


def test_packets_are_lost_in_the_share_and_the_bursts_that_were_ordered():
    before = leg(holes=False)
    shares, bursts = [], []
    for draw in range(60):
        after = done(before, "packets", share=0.2, burst_s=0.08, draw=draw)
        gone = (triad(after, "shank", "gyr") != triad(before, "shank", "gyr")).any(axis=1)
        shares.append(gone.mean())
        edges = np.flatnonzero(np.diff(np.concatenate([[0], gone.astype(int), [0]])))
        bursts += list(edges[1::2] - edges[::2])
        held = np.flatnonzero(gone)
        np.testing.assert_array_equal(triad(after, "shank", "gyr")[held], triad(after, "shank", "gyr")[held - 1])
    assert np.mean(shares) == pytest.approx(0.2, abs=0.03)
    assert np.mean(bursts) == pytest.approx(8, rel=0.15)


def test_clipping_stays_inside_and_touches_nothing_that_was():
    before = leg()
    after = done(before, "clip", acc_g=0.8, gyr_deg_s=120.0)
    for channel, limit in (("acc", 0.8 * GRAVITY), ("gyr", np.radians(120.0))):
        was, now = triad(before, "thigh", channel), triad(after, "thigh", channel)
        inside = np.abs(was) <= limit
        np.testing.assert_array_equal(now[inside], was[inside])
        assert np.nanmax(np.abs(now)) <= limit * (1 + 1e-6)


def test_a_bias_has_the_size_it_was_ordered_in():
    before = leg(holes=False)
    after = done(before, "bias", acc=0.4, gyr_deg_s=3.0)
    for channel, size in (("acc", 0.4), ("gyr", np.radians(3.0))):
        off = triad(after, "shank", channel) - triad(before, "shank", channel)
        np.testing.assert_allclose(lengths(off), size, rtol=1e-4)
        assert np.abs(off - off[0]).max() < 1e-5


def test_noise_has_the_deviation_it_was_ordered_in():
    before = leg(holes=False)
    after = done(before, "noise", acc_sd=0.3, gyr_sd=0.02)
    for channel, size in (("acc", 0.3), ("gyr", 0.02)):
        assert np.std(triad(after, "shank", channel) - triad(before, "shank", channel)) == pytest.approx(size, rel=0.1)
    off = np.concatenate([done(leg(person=f"lab/S{n}"), "label_offset", sd_deg=4.0).targets[0] for n in range(200)])
    assert np.std(off) == pytest.approx(4.0, rel=0.2)
    assert np.std(done(before, "label_noise", sd_deg=2.0).targets) == pytest.approx(2.0, rel=0.15)


def test_a_missing_sensor_is_told_zeroed_or_still():
    before = leg()
    nan, zero, mean = (done(before, "missing", sensor="shank", filled=how) for how in ("nan", "zero", "mean"))
    assert np.isnan(nan.signals[:, before.block("shank")]).all()
    assert (zero.signals[known(before)][:, before.block("shank")] == 0).all()
    still = triad(mean, "shank", "acc")[known(before)]
    np.testing.assert_allclose(still, np.tile(np.nanmean(triad(before, "shank", "acc"), axis=0), (len(still), 1)), 1e-4)
    for after in (nan, zero, mean):
        np.testing.assert_array_equal(after.signals[:, before.block("thigh")], before.signals[:, before.block("thigh")])


@pytest.mark.parametrize("samples", [3, -3, 2 * N])
def test_late_inputs_are_those_of_before(samples):
    before = leg(holes=False)
    after = done(before, "late", samples=samples)
    source = np.clip(np.arange(N) - samples, 0, N - 1)
    np.testing.assert_array_equal(after.signals, before.signals[source])
    np.testing.assert_array_equal(after.targets, before.targets)


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "kind", "how", "says"),
    [
        (leg(), "trun", {}, "Did you mean 'turn'"),
        (leg(), "turn", {"angle": 3.0}, "cannot be made.*angle"),
        (leg(), "turn", {"angle_deg": 3.0, "sensor": "shin"}, "has no sensor 'shin'"),
        (leg(), "turn_random", {"compat": "rapp"}, "compat must be"),
        (leg(), "clip", {"acc_g": 0.0}, "positive ranges"),
        (leg(), "rate", {"rate_hz": 200.0}, "up to the 100 Hz of the task"),
        (leg(), "rate", {"rate_hz": 50.0, "fill": "guess"}, "hold or interpolate"),
        (leg(), "packets", {"share": 0.9}, "share of packets"),
        (leg(), "packets", {"share": 0.1, "fill": "guess"}, "hold or interpolate"),
        (leg(), "missing", {"sensor": "shank", "filled": "love"}, "nan, zero, mean"),
        (leg(), "swap_labels", {"first": "shank", "second": "shank"}, "two sensors"),
        (leg(), "swap_labels", {"first": "all", "second": "shank"}, "two sensors"),
        (leg(replace(TASK, axes="sensor")), "swap_sides", {}, "mirrors none"),
        (leg(replace(BODY, segments=("pelvis", "shank_r"))), "swap_sides", {}, "no sensor on both"),
        (leg(replace(TASK, axes="sensor")), "shift", {"along_m": 0.1}, "in sensor axes"),
        (leg(replace(TASK, channels=("gyr",))), "shift", {"along_m": 0.1}, "needs acc and gyr"),
        (leg(replace(TASK, channels=("acc_norm", "gyr"))), "turn", {"angle_deg": 1.0}, "has acc_norm without"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(made, kind, how, says):
    with pytest.raises(UsageError, match=says):
        done(made, kind, **how)


def test_another_unit_is_the_same_motion_by_a_factor():
    before = leg()
    after = done(before, "scale", acc=1 / GRAVITY, gyr=180 / np.pi)
    np.testing.assert_allclose(triad(after, "shank", "acc") * GRAVITY, triad(before, "shank", "acc"), rtol=1e-6)
    np.testing.assert_allclose(triad(after, "shank", "gyr"), np.degrees(triad(before, "shank", "gyr")), rtol=1e-6)


@pytest.mark.parametrize("side", ["r", "l"])
def test_other_axes_name_the_same_vectors(side):
    """Up (our y) is the z of 'x-zy', and left (our -z) its y; back again by the inverse order."""
    before = leg(side=side)
    after = done(before, "axes", order="x-zy")
    own = triad(before, "thigh", "acc") * ([1, 1, -1] if side == "l" else [1, 1, 1])
    theirs = triad(after, "thigh", "acc") * ([1, 1, -1] if side == "l" else [1, 1, 1])
    np.testing.assert_array_equal(theirs, np.stack([own[:, 0], -own[:, 2], own[:, 1]], axis=1).astype(np.float32))
    np.testing.assert_array_equal(done(after, "axes", order="xz-y").signals, before.signals)


def test_an_unmirrored_left_leg_is_as_it_was_worn_and_a_right_one_stays():
    left = leg(side="l")
    after = done(left, "unmirrored")
    np.testing.assert_array_equal(triad(after, "shank", "acc"), mirror_acc(triad(left, "shank", "acc")))
    np.testing.assert_array_equal(triad(after, "shank", "gyr"), mirror_gyr(triad(left, "shank", "gyr")))
    np.testing.assert_array_equal(after.targets, left.targets)
    np.testing.assert_array_equal(done(leg(), "unmirrored").signals, leg().signals)


@pytest.mark.parametrize("order", ["xy", "xyzx", "xzy", "x-yz", "xxz", "abc", "x y z"])
def test_axes_that_are_no_right_handed_frame_are_refused(order):
    with pytest.raises(UsageError, match="right-handed axes such as 'x-zy', got"):
        done(leg(), "axes", order=order)


@pytest.mark.parametrize("factor", [0.0, np.nan, np.inf])
def test_a_factor_that_leaves_nothing_is_refused(factor):
    with pytest.raises(UsageError, match="factor of gyr that is finite and not 0"):
        done(leg(), "scale", gyr=factor)


def test_magnetism_changes_nothing_that_a_task_takes():
    with pytest.raises(NotApplicable, match="no magnetometer"):
        done(leg(), "magnetic", field_ut=20.0)
