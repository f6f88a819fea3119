"""Virtual sensors as a recording asks for them: dynamics, placement, hardware, gaps, and what is said of it all."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from raw_folders.bodies import walker
from scipy.signal import welch
from scipy.spatial.transform import Rotation

from kinbench import conversion, schema
from kinbench.alignment import CONSTRUCTION, estimate_lag
from kinbench.contracts import Source
from kinbench.errors import DataError, UsageError
from kinbench.recording import (
    Body,
    Declared,
    Dynamics,
    Hardware,
    Key,
    Placement,
    Recording,
    SoftTissue,
    Sync,
    VirtualImu,
    VirtualPlacement,
    segment_dataset,
)
from kinbench.virtual_imu import angular_rate, on_segment, smooth, specific_force, synthesise

RATE_HZ = 200.0
KEY = Key("made", "P1", "1", "walk")
SHANK = VirtualPlacement(
    Placement("shank", "shank_r", "right", "anteromedial", "mid", np.eye(3), "declared"), offset_m=(0.05, -0.2, -0.02)
)
TURN = Rotation.from_euler("zx", [90, 20], degrees=True).as_matrix()
FOOT = VirtualPlacement(
    Placement("foot", "foot_r", "right", "dorsum", "mid", TURN, "declared"), offset_m=(0.08, 0.02, 0.0)
)


@pytest.fixture(scope="module")
def person():
    return walker(3, length_s=8.0, rate_hz=RATE_HZ)


def reference(time, position, rotation):
    """A reference stream of {segment: (n, 3)} and {segment: (n, 3, 3)}; position None for rotations alone."""
    names = list(rotation)
    quat = np.stack([quaternions(rotation[name]) for name in names], axis=1)
    place = None if position is None else np.stack([position[name] for name in names], axis=1)
    return segment_dataset(time, names, quat, tier="simulation", position=place, point="proximal joint", exact=True)


def quaternions(matrices):
    found = np.full((len(matrices), 4), np.nan)
    known = np.isfinite(matrices).all(axis=(1, 2))
    found[known] = Rotation.from_matrix(matrices[known]).as_quat(scalar_first=True)
    return found


def recording(stream, request, **attrs):
    rates = {"reference": {"nominal_hz": RATE_HZ, "measured_hz": RATE_HZ, "regular": True, "lost": 0}}
    said = {
        "schema_version": schema.SCHEMA_VERSION, "dataset": "made", "dataset_version": "1", "subject": "P1",
        "session": "1", "trial": "walk", "person": "made/P1", "activity": "walking",
        "licence": {"id": "CC0-1.0", "redistributable": True}, "rates": rates, "world": "ours", "sync": {},
        "source": [], "adapter": {"name": "test", "version": "1"}, "history": [], "simulation": True,
        "absent": {"imu": "no sensor was worn"},
    }  # fmt: skip
    return Recording(KEY, None, stream, {**said, **attrs}, Declared(virtual=request, sync=Sync("same_clock")))


def of(person, request, **changes):
    place = {name: values.copy() for name, values in person.position.items()}
    turn = {name: values.copy() for name, values in person.rotation.items()}
    for segment, rows in changes.items():
        place[segment][rows] = np.nan
    return recording(reference(person.time, place, turn), request)


def request(*placements, dynamics=Dynamics(), hardware=Hardware()):  # noqa: B008 (frozen)
    return VirtualImu(Body("measured", {"shank_r": 0.4}), placements or (SHANK, FOOT), dynamics, hardware)


def still(n, rate_hz=100.0):
    """A shank that nobody moves."""
    rotation = {"shank_r": np.tile(np.eye(3), (n, 1, 1))}
    return reference(np.arange(n) / rate_hz, {"shank_r": np.zeros((n, 3))}, rotation)


def step_of(done):
    return done.attrs["history"][-1]


# --- the ideal sensor, and the whole way ------------------------------------------------------------------------------


def test_an_ideal_sensor_reads_what_its_place_and_turn_say(person):
    done = synthesise(of(person, request()))
    q = quaternions(person.rotation["foot_r"])
    place, turn = on_segment(person.position["foot_r"], q, FOOT.offset_m, TURN)
    np.testing.assert_allclose(done.imu["acc"].values[:, 1], specific_force(place, turn, RATE_HZ), atol=1e-5)
    np.testing.assert_allclose(done.imu["gyr"].values[:, 1], angular_rate(turn, RATE_HZ), atol=1e-6)
    assert done.imu["acc"].attrs["kind"] == "specific_force"
    assert [str(x) for x in done.imu["origin"].values] == ["synthetic", "synthetic"]
    assert [str(x) for x in done.imu["attachment"].values] == ["virtual", "virtual"]
    assert "valid" not in done.imu
    assert done.reference["segment_position"].dtype == np.float32
    assert done.declared.virtual is None


def test_a_recording_without_sensors_converts_all_the_way(person):
    asked = request(hardware=Hardware(rate_hz=100.0, acc_noise_density=1e-3, gyr_noise_density=1e-4, seed=5))
    done = conversion.prepare(Source(KEY, (), lambda: of(person, asked)))
    assert done.validate() == []
    assert done.attrs["rates"]["imu"] == {"nominal_hz": 100.0, "measured_hz": 100.0, "regular": True, "lost": 0}
    assert done.attrs["rates"]["reference"]["nominal_hz"] == RATE_HZ
    assert done.attrs["absent"] == {}
    sync = done.attrs["sync"]
    assert (sync["method"], sync["by"], sync["measured_shift_s"]) == ("same_clock", CONSTRUCTION, None)
    assert abs(estimate_lag(done.imu, done.reference, search_s=1.0).shift_s) < 0.003
    knee = done.reference["angle"].sel(dof="knee_flexion_r").values
    np.testing.assert_allclose(knee, person.angles["knee_flexion_r"], atol=1e-3)


def test_without_a_request_nothing_is_made(person):
    bare = replace(of(person, None), declared=Declared())
    assert synthesise(bare) is bare


def test_a_reference_without_positions_has_gyroscopes_only_and_says_so(person):
    done = synthesise(recording(reference(person.time, None, person.rotation), request()))
    assert "acc" not in done.imu and done.imu["gyr"].shape == (len(person.time), 2, 3)
    assert "positions" in done.attrs["absent"]["acc"]


def test_the_history_tells_the_whole_request_and_what_came_of_it(person):
    dynamics = Dynamics(cutoff_hz=20.0, soft_tissue=SoftTissue())
    asked = request(dynamics=dynamics, hardware=Hardware(rate_hz=100.0, acc_range=12.0, seed=9))
    step = step_of(synthesise(of(person, asked)))
    assert step["step"] == "virtual_imu"
    assert {name: step[name] for name in asked.plain()} == asked.plain()
    measured = step["measured"]
    assert (measured["motion_rate_hz"], measured["rate_hz"]) == (RATE_HZ, 100.0)
    assert (
        0 < measured["missing"]["shank"] == measured["missing"]["foot"] < 60
    )  # both ends, which the low-pass makes up
    assert measured["clipped"]["foot"] > 0
    assert 0 < measured["tissue_travel_m"]["shank"] < 0.02


# --- dynamics and placement -------------------------------------------------------------------------------------------


def test_the_cutoff_smooths_the_segment_ahead_of_the_sensor(person):
    done = synthesise(of(person, request(FOOT, dynamics=Dynamics(cutoff_hz=8.0))))
    place, turn = smooth(person.position["foot_r"], quaternions(person.rotation["foot_r"]), RATE_HZ, 8.0)
    read = specific_force(*on_segment(place, turn, FOOT.offset_m, TURN), RATE_HZ)
    inside = slice(28, -28)  # a cutoff's length of 25 samples, and 3 that the derivative looks ahead
    np.testing.assert_allclose(done.imu["acc"].values[inside, 0], read[inside], atol=1e-5)
    assert not done.imu["valid"].values[:28].any() and not done.imu["valid"].values[-28:].any()


def test_no_valid_sample_leans_on_what_the_low_pass_made_up(person):
    """The filter goes on beyond either end with no acceleration, which a foot that swings there does not have."""
    swinging = slice(600, 1400)
    part = replace(
        person,
        time=person.time[swinging],
        position={name: place[swinging] for name, place in person.position.items()},
        rotation={name: turn[swinging] for name, turn in person.rotation.items()},
    )
    asked = request(FOOT, dynamics=Dynamics(cutoff_hz=30.0))
    cut, whole = synthesise(of(part, asked)).imu, synthesise(of(person, asked)).imu
    off = np.abs(cut["acc"].values[:, 0] - whole["acc"].values[swinging, 0]).max(axis=1)
    assert off[cut["valid"].values[:, 0]].max() < 1.0 and cut["valid"].values.mean() > 0.97


def test_a_misaligned_sensor_reads_turned_signals_and_keeps_what_is_believed_of_it(person):
    error = np.array([3.0, -5.0, 8.0])
    straight, turned = (
        synthesise(of(person, request(replace(FOOT, misalignment_deg=tuple(degrees)))))
        for degrees in (np.zeros(3), error)
    )
    np.testing.assert_array_equal(turned.imu["rotation"].values[0], TURN)
    really = Rotation.from_rotvec(error, degrees=True).as_matrix() @ TURN
    for name in ("acc", "gyr"):
        in_segment = straight.imu[name].values[:, 0] @ TURN.T
        np.testing.assert_allclose(turned.imu[name].values[:, 0] @ really.T, in_segment, atol=2e-4)


def test_soft_tissue_rings_at_its_own_frequency_and_dies_away():
    rate_hz, n = 200.0, 1000
    jolt = np.zeros((n, 3))
    jolt[:, 0] = 0.002 / (1 + np.exp(-(np.arange(n) - 200) / 1.5))  # a step of 2 mm forwards within some 30 ms
    rotation = np.tile(np.eye(3), (n, 1, 1))
    tissue = SoftTissue(natural_hz=10.0, damping=0.1, limit_m=0.05, wobble_deg_per_m=0.0)
    stream = reference(np.arange(n) / rate_hz, {"shank_r": jolt}, {"shank_r": rotation})
    rigid, soft = (
        synthesise(recording(stream, request(SHANK, dynamics=Dynamics(soft_tissue=kind)))).imu["acc"].values[:, 0, 0]
        for kind in (None, tissue)
    )
    ring = (soft - rigid)[220:]
    frequency, power = welch(ring[:256], rate_hz, nperseg=256)
    assert frequency[np.argmax(power)] == pytest.approx(10.0 * np.sqrt(1 - 0.1**2), abs=0.8)
    swings = [np.abs(ring[start : start + 20]).max() for start in (0, 20, 40)]  # one period each
    for first, second in pairwise(swings):
        assert second / first == pytest.approx(np.exp(-2 * np.pi * 0.1), rel=0.15)
    np.testing.assert_allclose(soft[-100:], 0, atol=1e-3)


def test_soft_tissue_is_at_rest_in_the_upright_pose_and_sags_when_the_leg_lies():
    n = 400
    lying = np.tile(Rotation.from_euler("z", 90, degrees=True).as_matrix(), (n, 1, 1))
    tissue = SoftTissue(natural_hz=5.0, damping=0.5, limit_m=1.0, wobble_deg_per_m=0.0)
    for rotation, sag in ((np.tile(np.eye(3), (n, 1, 1)), 0.0), (lying, np.sqrt(2))):
        stream = reference(np.arange(n) / 100.0, {"shank_r": np.zeros((n, 3))}, {"shank_r": rotation})
        done = synthesise(recording(stream, request(SHANK, dynamics=Dynamics(soft_tissue=tissue))))
        expected = sag * schema.GRAVITY / (2 * np.pi * 5.0) ** 2
        assert step_of(done)["measured"]["tissue_travel_m"]["shank"] == pytest.approx(expected, rel=1e-2, abs=1e-6)
        np.testing.assert_allclose(np.linalg.norm(done.imu["acc"].values[:, 0], axis=1), schema.GRAVITY, atol=1e-4)


def test_soft_tissue_never_travels_beyond_its_limit_and_turns_the_sensor_as_it_goes(person):
    tight = SoftTissue(natural_hz=6.0, damping=0.2, limit_m=0.004, wobble_deg_per_m=500.0)
    done = synthesise(of(person, request(FOOT, dynamics=Dynamics(soft_tissue=tight))))
    assert 0.003 < step_of(done)["measured"]["tissue_travel_m"]["foot"] <= 0.004
    rigid = synthesise(of(person, request(FOOT)))
    apart = np.abs(done.imu["gyr"].values - rigid.imu["gyr"].values).max()
    assert 0.1 < apart < 0.004 * np.deg2rad(500.0) * 2 * np.pi * 60


# --- gaps -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tissue", [None, SoftTissue()])
def test_what_is_missing_stays_missing_and_is_counted(person, tissue):
    hole = slice(700, 706)
    asked = request(dynamics=Dynamics(cutoff_hz=20.0, soft_tissue=tissue))
    done, whole = synthesise(of(person, asked, shank_r=hole)), synthesise(of(person, asked))
    reach = 10 + (3 if tissue is None else 6)  # the low-pass's edge, and what the derivatives look ahead
    ends = np.ones(len(person.time), dtype=bool)
    ends[reach:-reach] = False
    unknown = ends.copy()
    unknown[700 - reach : 706 + reach] = True
    np.testing.assert_array_equal(np.isnan(done.imu["acc"].values[:, 0]).any(axis=1), unknown)
    np.testing.assert_array_equal(done.imu["valid"].values, np.stack([~unknown, ~ends], axis=1))
    assert step_of(done)["measured"]["missing"] == {"shank": int(unknown.sum()), "foot": int(ends.sum())}
    np.testing.assert_array_equal(done.imu["acc"].values[:, 1], whole.imu["acc"].values[:, 1])
    np.testing.assert_allclose(done.imu["acc"].values[:600, 0], whole.imu["acc"].values[:600, 0], atol=1e-3)


def test_a_slower_device_does_not_read_across_a_gap_either(person):
    done = synthesise(of(person, request(hardware=Hardware(rate_hz=100.0)), shank_r=slice(700, 706)))
    missing = np.isnan(done.imu["acc"].values[:, 0]).any(axis=1)
    assert missing[350:353].all() and 3 < missing.sum() < 40 and not done.imu["valid"].values[351, 0]


# --- hardware ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", [100.0, 60.0, 128.0, 500.0])
def test_a_device_samples_at_its_own_rate_without_aliases_and_without_delay(rate_hz):
    n, kept_hz, lost_hz = 2000, 12.0, 90.0
    t = np.arange(n) / RATE_HZ
    sway = {"shank_r": np.zeros((n, 3))}
    sway["shank_r"][:, 0] = np.sin(2 * np.pi * kept_hz * t) / (2 * np.pi * kept_hz) ** 2
    sway["shank_r"][:, 2] = np.sin(2 * np.pi * lost_hz * t) / (2 * np.pi * lost_hz) ** 2
    stream = reference(t, sway, {"shank_r": np.tile(np.eye(3), (n, 1, 1))})
    flat = VirtualPlacement(SHANK.placement)
    device = synthesise(recording(stream, request(flat, hardware=Hardware(rate_hz=rate_hz))))
    time, acc = device.imu["time"].values, device.imu["acc"].values[:, 0]
    assert len(time) == int((n - 1) / RATE_HZ * rate_hz) + 1
    np.testing.assert_allclose(np.diff(time), 1 / rate_hz, rtol=1e-9)
    middle = (time > 0.5) & (time < time[-1] - 0.5)
    np.testing.assert_allclose(acc[middle, 0], -np.sin(2 * np.pi * kept_hz * time[middle]), atol=0.02)
    np.testing.assert_allclose(acc[middle, 1], schema.GRAVITY, atol=1e-5)
    if rate_hz < 2 * lost_hz:
        assert np.abs(acc[middle, 2]).max() < 2e-3
    assert device.attrs["rates"]["imu"]["nominal_hz"] == rate_hz


def test_white_noise_has_the_density_that_was_declared():
    for rate_hz in (100.0, 400.0):
        noisy = Hardware(acc_noise_density=0.02, gyr_noise_density=0.003, seed=1)
        imu = synthesise(recording(still(40_000, rate_hz), request(SHANK, hardware=noisy))).imu
        for name, density in (("acc", 0.02), ("gyr", 0.003)):
            values = imu[name].values[:, 0].astype(np.float64) - ([0, schema.GRAVITY, 0] if name == "acc" else 0)
            assert values.std() == pytest.approx(density * np.sqrt(rate_hz / 2), rel=0.02)
            _, power = welch(values, rate_hz, nperseg=1024, axis=0)
            inner = slice(2, -2)
            np.testing.assert_allclose(np.sqrt(power[inner].mean()), density, rtol=0.02)
            low, high = np.array_split(power[inner].mean(axis=1), 2)
            assert low.mean() == pytest.approx(high.mean(), rel=0.05)


def test_the_bias_walks_as_far_as_was_declared():
    """Allan deviation of a random walk K is K sqrt(tau / 3) (IEEE Std 952)."""
    rate_hz, walk = 50.0, 0.01
    imu = synthesise(
        recording(still(60_000, rate_hz), request(SHANK, hardware=Hardware(gyr_bias_walk=walk, seed=4)))
    ).imu
    values = imu["gyr"].values[:, 0].astype(np.float64)
    for tau_s in (1.0, 4.0):
        m = int(tau_s * rate_hz)
        means = values[: len(values) // m * m].reshape(-1, m, 3).mean(axis=1)
        deviation = np.sqrt(0.5 * (np.diff(means, axis=0) ** 2).mean())
        assert deviation == pytest.approx(walk * np.sqrt(tau_s / 3), rel=0.1)


def test_a_bias_is_constant_and_as_large_as_was_declared():
    biases = []
    for seed in range(60):
        imu = synthesise(recording(still(8), request(SHANK, hardware=Hardware(gyr_bias=0.02, seed=seed)))).imu
        np.testing.assert_array_equal(imu["gyr"].values[:, 0], imu["gyr"].values[:1, 0].repeat(8, axis=0))
        biases.append(imu["gyr"].values[0, 0])
    assert np.std(biases) == pytest.approx(0.02, rel=0.15)


def test_a_sensor_draws_its_own_noise_whatever_else_is_set_and_whoever_else_is_there(person):
    noisy = Hardware(acc_noise_density=0.01, seed=7)
    alone, both = (synthesise(of(person, request(*p, hardware=noisy))).imu for p in ((FOOT,), (SHANK, FOOT)))
    np.testing.assert_array_equal(alone["acc"].values[:, 0], both["acc"].values[:, 1])
    ideal = synthesise(of(person, request())).imu
    noise = both["acc"].values - ideal["acc"].values
    assert abs(np.corrcoef(noise[:, 0, 0], noise[:, 1, 0])[0, 1]) < 0.1
    biased = synthesise(of(person, request(hardware=replace(noisy, acc_bias=0.5)))).imu
    np.testing.assert_allclose(np.diff(biased["acc"].values - both["acc"].values, axis=0), 0, atol=1e-5)
    other = synthesise(of(person, request(hardware=replace(noisy, seed=8)))).imu
    assert not np.array_equal(other["acc"].values, both["acc"].values)


def test_clipping_clips_and_counts(person):
    limited = synthesise(of(person, request(hardware=Hardware(acc_range=15.0, gyr_range=2.0))))
    ideal = synthesise(of(person, request()))
    count = np.zeros(2, dtype=int)
    for name, limit in (("acc", 15.0), ("gyr", 2.0)):
        values = ideal.imu[name].values
        np.testing.assert_array_equal(limited.imu[name].values, np.clip(values, -limit, limit))
        count += (np.abs(values) > limit).sum(axis=(0, 2))
    assert step_of(limited)["measured"]["clipped"] == {"shank": count[0], "foot": count[1]} and count.min() > 0


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (request(replace(SHANK, placement=replace(SHANK.placement, segment="shin"))), "no segment 'shin' for sensor"),
        (VirtualImu(Body("measured"), ()), "no virtual sensor is placed"),
        (request(hardware=Hardware(rate_hz=0.0)), "rate_hz must be positive"),
        (request(hardware=Hardware(gyr_range=-1.0)), "gyr_range must be positive"),
        (request(hardware=Hardware(acc_noise_density=-0.1)), "acc_noise_density must not be negative"),
        (request(dynamics=Dynamics(soft_tissue=SoftTissue(damping=0.0))), "a damping"),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_met_is_refused(person, asked, said):
    with pytest.raises(UsageError, match=said):
        synthesise(of(person, asked))


@pytest.mark.parametrize(
    ("dynamics", "said"),
    [
        (Dynamics(cutoff_hz=100.0), "cutoff_hz must lie between 0 and half of this recording's rate"),
        (Dynamics(soft_tissue=SoftTissue(natural_hz=150.0)), "natural_hz must lie between 0 and half of this"),
    ],
)
def test_a_recording_too_slow_for_the_request_fails_alone(person, dynamics, said):
    with pytest.raises(DataError, match=said):
        synthesise(of(person, request(dynamics=dynamics)))


def test_all_that_is_wrong_with_a_request_is_told_at_once(person):
    with pytest.raises(UsageError) as caught:
        synthesise(of(person, request(hardware=Hardware(rate_hz=-1.0, acc_bias=-1.0, seed=-1))))
    assert len(str(caught.value).splitlines()) == 3


def test_a_mounting_that_is_no_rotation_is_refused(person):
    mirrored = replace(SHANK, placement=replace(SHANK.placement, rotation=np.diag([1.0, 1.0, -1.0])))
    with pytest.raises(DataError, match="rotation matrix"):
        synthesise(of(person, request(mirrored)))


def test_motion_that_is_not_there_cannot_carry_sensors():
    with pytest.raises(UsageError, match="the motion of segments"):
        synthesise(recording(None, request()))


def test_a_clock_with_a_hole_is_refused_and_a_rounded_one_is_not():
    stream = still(300, 150.0)
    rounded = stream.assign_coords(time=("time", np.round(stream["time"].values, 3)))
    assert synthesise(recording(rounded, request(SHANK))).imu["acc"].values[150, 0, 1] == pytest.approx(schema.GRAVITY)
    with pytest.raises(DataError, match="equally spaced samples"):
        synthesise(recording(stream.isel(time=[*range(100), *range(102, 300)]), request(SHANK)))
    with pytest.raises(DataError, match="at least 4 samples"):
        synthesise(recording(stream.isel(time=[0, 1, 2]), request(SHANK)))
