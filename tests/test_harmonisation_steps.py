"""Steps on request: each does what it says and no more, leaves its input alone, and can be run again from history."""

import copy
import inspect
from functools import cache

import numpy as np
import pytest
from conftest import needs_shared
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_folders.bodies import walker
from scipy.signal import welch
from scipy.spatial.transform import Rotation

from kinbench import harmonisation
from kinbench.errors import DataError, UsageError
from kinbench.harmonisation import equalise_noise, remove_spikes, resample, smooth_savgol, straight_walking
from kinbench.recording import (
    Declared,
    Key,
    Placement,
    Recording,
    Sync,
    angle_dataset,
    imu_dataset,
    segment_dataset,
)
from kinbench.virtual_imu import angular_rate, specific_force

KEY = Key("lab", "S01", "1", "walk")
UNITS = {"acc": "m s-2", "gyr": "rad s-1"}


def imu(time, sensors=("trunk",), valid=None, **signals):
    """A stream of (n, sensor, 3 or 4) arrays; a name may be given (n, 3) for one sensor."""
    told = {}
    for name, values in signals.items():
        wide = np.asarray(values, dtype=float).reshape(len(time), len(sensors), -1)
        attrs = {"units": UNITS.get(name, "1"), "frame": "sensor"}
        if name == "acc":
            attrs["kind"] = "specific_force"
        if name == "quat":
            attrs = {"units": "1", "maps": "sensor_to_world", "origin": "device"}
        told[name] = (wide, attrs)
    return imu_dataset(time, [Placement(s, s, "midline") for s in sensors], told, valid=valid)


def angles(time, values, dofs=("knee_flexion_r",), valid=None):
    wide = np.asarray(values, dtype=float).reshape(len(time), len(dofs))
    return angle_dataset(time, dofs, wide, units="deg", convention="isb_zxy", tier="encoder", valid=valid)


def recorded(imu=None, reference=None, declared=None):
    return Recording(KEY, imu, reference, {"history": [], "rates": {}}, declared)


def tone(time, hz, phase=0.3):
    """One sensor's three axes, in quadrature and their sum."""
    wave = 2 * np.pi * hz * time + phase
    return np.stack([np.cos(wave), np.sin(wave), np.cos(wave) + np.sin(wave)], axis=1)


def fitted(time, values, hz):
    """Amplitude and phase (radians, of a cosine) of a tone in values."""
    wave = 2 * np.pi * hz * time
    a, b = np.linalg.lstsq(np.stack([np.cos(wave), np.sin(wave)], 1), values, rcond=None)[0]
    return np.hypot(a, b), np.arctan2(-b, a)


def last(recording):
    return recording.attrs["history"][-1]


@cache
def walk(seed=0, length_s=40.0, rate_hz=100.0, stand_s=2.0):
    return walker(seed, length_s=length_s, rate_hz=rate_hz, stand_s=stand_s)


def worn(
    person, segment="trunk", mounting=None, names=("acc", "gyr", "quat"), heading=None, noise=0.0, bias=0.0, seed=0
):
    """A sensor riding on a walker, in a world of its own heading."""
    mounting = Rotation.identity() if mounting is None else mounting
    turn = Rotation.from_matrix(person.rotation[segment]) * mounting
    quat = turn.as_quat(scalar_first=True)
    random = np.random.default_rng(seed)
    place = person.point(segment, (0.0, 0.1, 0.0))
    signals = {
        "acc": specific_force(place, quat, person.rate_hz) + noise * random.normal(size=place.shape),
        "gyr": angular_rate(quat, person.rate_hz) + bias + 0.1 * noise * random.normal(size=place.shape),
        "quat": ((heading or Rotation.identity()) * turn).as_quat(scalar_first=True),
    }
    return imu(person.time, (segment,), **{name: signals[name] for name in names})


# --- what holds for every step ----------------------------------------------------------------------------------------


def everything():
    """A walk with all kinds of signal, a hole, a mask and a spike."""
    person = walk(1, 12.0, 100.0)
    stream = worn(person)
    gyr = stream["gyr"].values.copy()
    gyr[200:203] = np.nan
    gyr[400:450] = np.nan
    gyr[700] += 30.0
    valid = np.ones((len(person.time), 1), dtype=bool)
    valid[400:450] = False
    knee = person.angles["knee_flexion_r"]
    known = np.ones((len(knee), 1), dtype=bool)
    known[300:310] = False
    reference = angles(person.time + 0.2, knee, valid=known)
    stream = stream.assign(gyr=stream["gyr"].copy(data=gyr), valid=(("time", "sensor"), valid))
    return recorded(stream, reference)


STEPS = {
    "resample": lambda r: resample(r, 60.0),
    "resample linear": lambda r: resample(r, 60.0, method="linear", max_gap_s=0.02),
    "remove_spikes": lambda r: remove_spikes(r, sd=6.0),
    "remove_spikes bridged": lambda r: remove_spikes(r, sd=8.0, bridge_samples=1),
    "smooth_savgol": lambda r: smooth_savgol(r, window_s=0.11, order=3, variables=("acc", "gyr", "quat", "angle")),
    "equalise_noise": lambda r: equalise_noise(r, density={"gyr": 0.5, "acc": 5.0}, seed=3),
    "straight_walking": lambda r: straight_walking(r, tolerance_deg=25.0),
}
AGAIN_IS_ONCE = ("resample", "resample linear", "remove_spikes", "straight_walking")


def same(one, other):
    return all(
        (a is None and b is None) or a.identical(b) for a, b in ((one.imu, other.imu), (one.reference, other.reference))
    )


@pytest.mark.parametrize("name", STEPS)
def test_a_step_leaves_its_input_as_it_was_and_one_line_of_history(name):
    before = everything()
    kept = copy.deepcopy(before)
    done = STEPS[name](before)
    assert same(before, kept)
    assert before.attrs == kept.attrs
    assert [step["step"] for step in done.attrs["history"]] == [name.split()[0]]
    assert not same(done, before)


@pytest.mark.parametrize("name", STEPS)
def test_the_history_run_again_gives_the_same_bytes(name):
    done = STEPS[name](everything())
    step = dict(last(done))
    function = getattr(harmonisation, step.pop("step"))
    told = {k: v for k, v in step.items() if k in inspect.signature(function).parameters}
    wanted = set(inspect.signature(function).parameters) - {"recording"}
    assert wanted == set(told)
    again = function(everything(), **told)
    assert same(again, done)
    assert again.attrs == done.attrs


@pytest.mark.parametrize("name", AGAIN_IS_ONCE)
def test_twice_is_once(name):
    once = STEPS[name](everything())
    assert same(STEPS[name](once), once)


@pytest.mark.parametrize("name", STEPS)
def test_what_was_missing_for_long_or_masked_stays_so(name):
    done = STEPS[name](everything())
    time = done.imu["time"].values
    hole = (time > 4.05) & (time < 4.44)
    assert np.isnan(done.imu["gyr"].values[hole]).all()
    assert not done.imu["valid"].values[hole].any()
    assert np.isfinite(done.imu["acc"].values[(time < 3.98) | (time > 4.51)]).all()
    clock = done.reference["time"].values
    masked = (clock > 3.2 + 1e-9) & (clock < 3.29)
    assert not done.reference["valid"].values[masked].any()


@settings(max_examples=8, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), name=st.sampled_from(["resample", "smooth_savgol", "remove_spikes"]))
def test_the_order_of_sensors_makes_no_difference(seed, name):
    random = np.random.default_rng(seed)
    time = np.arange(300) / 100
    signals = {n: random.normal(size=(300, 3, 3)) for n in ("acc", "gyr")}
    quat = random.normal(size=(1, 3, 4)) + 0.05 * np.cumsum(random.normal(size=(300, 3, 4)), axis=0)
    stream = imu(time, ("trunk", "pelvis", "thigh_r"), **signals, quat=quat)
    order = random.permutation(3)
    shuffled = recorded(stream.isel(sensor=order))
    done = {  # the reference's variables are not there
        "resample": lambda r: resample(r, 60.0),
        "smooth_savgol": lambda r: smooth_savgol(r, window_s=0.11, order=3, variables=("acc", "gyr", "quat")),
        "remove_spikes": lambda r: remove_spikes(r, sd=3.0),
    }[name]
    assert done(shuffled).imu.identical(done(recorded(stream)).imu.isel(sensor=order))


# --- resampling -------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    rates=st.sampled_from(
        [(120.0, 100.0), (200.0, 100.0), (60.0, 100.0), (148.0, 100.0), (285.7, 200.0), (100.0, 40.0)]
    ),
    hz=st.floats(0.5, 15.0),
    start_s=st.floats(-3.0, 3.0),
    phase=st.floats(-3.0, 3.0),
)
def test_a_tone_keeps_its_phase_and_its_size(rates, hz, start_s, phase):
    native_hz, rate_hz = rates
    hz = min(hz, 0.15 * min(rates))
    time = start_s + np.arange(int(8 * native_hz)) / native_hz
    done = resample(recorded(imu(time, acc=tone(time, hz, phase))), rate_hz).imu
    clock = done["time"].values
    assert clock == pytest.approx(start_s + np.arange(clock.size) / rate_hz, abs=1e-9)
    middle = slice(int(rate_hz), -int(rate_hz))
    size, angle = fitted(clock[middle], done["acc"].values[middle, 0, 0], hz)
    shift = (angle - phase + np.pi) % (2 * np.pi) - np.pi
    assert size == pytest.approx(1.0, abs=0.01)
    assert abs(shift) / (2 * np.pi * hz) * rate_hz < 0.01


@pytest.mark.parametrize("rates", [(120.0, 100.0), (200.0, 100.0)])
def test_fifteen_hertz_keeps_its_size(rates):
    time = np.arange(int(10 * rates[0])) / rates[0]
    done = resample(recorded(imu(time, gyr=tone(time, 15.0))), rates[1]).imu
    size, _ = fitted(done["time"].values[100:-100], done["gyr"].values[100:-100, 0, 1], 15.0)
    assert size == pytest.approx(1.0, abs=0.01)


def test_what_would_fold_is_filtered_away_and_linear_interpolation_lets_it_fold():
    time = np.arange(2000) / 200
    high = recorded(imu(time, acc=tone(time, 70.0)))
    clean, folded = (
        resample(high, 100.0, method=method).imu["acc"].values[100:-100, 0, :2] for method in ("polyphase", "linear")
    )
    assert np.abs(clean).max() < 0.01  # -40 dB
    assert np.sqrt(np.mean(folded**2)) == pytest.approx(np.sqrt(0.5), rel=0.02)


def test_gravity_makes_no_transient_at_the_ends():
    time = np.arange(500) / 120
    done = resample(recorded(imu(time, acc=np.tile([0.0, 9.80665, 0.0], (500, 1)))), 100.0).imu
    assert done["acc"].values[:, 0, 1] == pytest.approx(9.80665, abs=1e-5)


def test_an_uneven_clock_is_put_straight():
    random = np.random.default_rng(0)
    time = np.cumsum(random.uniform(0.008, 0.013, 1500))
    for method in ("polyphase", "linear"):
        done = resample(recorded(imu(time, acc=tone(time, 2.0))), 100.0, method=method).imu
        size, angle = fitted(done["time"].values[50:-50], done["acc"].values[50:-50, 0, 0], 2.0)
        assert size == pytest.approx(1.0, abs=0.01)
        assert angle == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("method", ["polyphase", "linear"])
def test_gaps_are_bridged_up_to_the_length_told_and_no_further(method):
    time = np.arange(1000) / 200
    values = tone(time, 1.0)
    values[200:208] = np.nan  # 40 ms
    values[500:520] = np.nan  # 100 ms
    stream = recorded(imu(time, acc=values))
    done = resample(stream, 100.0, method=method, max_gap_s=0.05).imu
    lost = np.isnan(done["acc"].values).any(axis=(1, 2))
    assert set(np.flatnonzero(lost)) <= set(range(250, 260))
    assert lost.sum() >= 9
    strict = resample(stream, 100.0, method=method, max_gap_s=0.0).imu
    assert np.isnan(strict["acc"].values[101:103]).all()
    loose = resample(stream, 100.0, method=method, max_gap_s=0.2).imu
    assert np.isfinite(loose["acc"].values).all()


def test_masked_angles_are_never_bridged_and_masked_sensor_samples_like_gaps():
    time = np.arange(400) / 200
    valid = np.ones((400, 1), dtype=bool)
    valid[100:104] = False
    stream = imu(time, acc=tone(time, 1.0), valid=valid)
    done = resample(recorded(stream, angles(time, 100 * time, valid=valid)), 100.0)
    assert done.imu["valid"].values.all()
    assert np.isfinite(done.imu["acc"].values).all()
    assert np.flatnonzero(~done.reference["valid"].values[:, 0]).tolist() == [50, 51]
    assert np.flatnonzero(np.isnan(done.reference["angle"].values[:, 0])).tolist() == [50, 51]


@pytest.mark.parametrize("method", ["polyphase", "linear"])
def test_angles_go_round_the_circle_and_keep_their_count_of_turns(method):
    time = np.arange(1200) / 120
    heading = 90.0 * time
    wrapped = (heading + 180) % 360 - 180
    done = resample(recorded(None, angles(time, wrapped, ("pelvis_rotation",))), 100.0, method=method).reference
    found, truth = done["angle"].values[20:-20, 0], 90.0 * done["time"].values[20:-20]
    assert np.abs((found - truth + 180) % 360 - 180).max() < 0.2
    assert np.abs(found).max() < 181
    counted = resample(recorded(None, angles(time, heading, ("pelvis_rotation",))), 100.0, method=method).reference
    assert counted["angle"].values[20:-20, 0] == pytest.approx(truth, abs=0.2)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), method=st.sampled_from(["polyphase", "linear"]))
def test_orientations_stay_rotations_whatever_their_signs_and_in_any_world(seed, method):
    random = np.random.default_rng(seed)
    time = np.arange(360) / 120
    path = Rotation.from_rotvec(np.stack([np.sin(2 * time), 0.5 * np.sin(3 * time + 1), 2.5 * time], axis=1))
    world, mount = Rotation.random(random_state=seed), Rotation.random(random_state=seed + 1)
    quat = (world * path * mount).as_quat(scalar_first=True)
    signs = random.choice([-1, 1], (360, 1))
    done = resample(recorded(imu(time, quat=quat * signs)), 100.0, method=method).imu
    found = Rotation.from_quat(done["quat"].values[10:-10, 0], scalar_first=True)
    assert np.linalg.norm(done["quat"].values[:, 0], axis=1) == pytest.approx(1.0, abs=1e-6)
    clock = done["time"].values[10:-10]
    truth = Rotation.from_rotvec(np.stack([np.sin(2 * clock), 0.5 * np.sin(3 * clock + 1), 2.5 * clock], axis=1))
    off = (found.inv() * (world * truth * mount)).magnitude()
    assert np.degrees(off).max() < 0.2


def test_segments_and_both_clocks_keep_their_own_start():
    time = np.arange(240) / 120
    quat = np.tile([1.0, 0, 0, 0], (240, 2, 1))
    place = np.stack([np.stack([time, 0 * time, 0 * time], 1)] * 2, 1)
    reference = segment_dataset(
        time - 0.5, ("thigh_r", "shank_r"), quat, tier="optical_6dof", position=place, exact=True
    )
    done = resample(recorded(imu(time + 0.25, acc=tone(time, 1.0)), reference), 100.0)
    assert done.imu["time"].values[0] == 0.25
    assert done.reference["time"].values[0] == -0.5
    assert done.reference["segment_position"].dtype == np.float64
    assert done.reference["segment_position"].values[:, 1, 0] == pytest.approx(np.arange(199 + 1) / 100, abs=1e-9)
    assert done.attrs["rates"]["imu"] == {"nominal_hz": 100.0, "measured_hz": 100.0, "regular": True}
    assert last(done)["native_hz"] == {"imu": 120.0, "reference": 120.0}
    assert [b for b in done.validate() if b.path.startswith("imu")] == []


def test_a_resampling_that_cannot_be_is_refused():
    time = np.arange(100) / 100
    stream = recorded(imu(time, acc=tone(time, 1.0)))
    with pytest.raises(UsageError, match="rate above 0"):
        resample(stream, 0.0)
    with pytest.raises(UsageError, match="Did you mean 'polyphase'"):
        resample(stream, 50.0, method="poliphase")
    with pytest.raises(UsageError, match="max_gap_s"):
        resample(stream, 50.0, max_gap_s=-1.0)
    with pytest.raises(DataError, match=r"walk/imu: .*two samples"):
        resample(recorded(stream.imu.isel(time=[0])), 50.0)
    with pytest.raises(DataError, match="steps back"):
        resample(recorded(stream.imu.isel(time=[0, 2, 1])), 50.0)


# --- spikes -----------------------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), size=st.floats(60.0, 500.0), sign=st.sampled_from([-1, 1]), axis=st.integers(0, 2))
def test_a_planted_spike_is_found_and_nothing_else_goes(seed, size, sign, axis):
    stream = worn(walk(2, 12.0), names=("acc", "gyr"), noise=0.05)
    clean = remove_spikes(recorded(stream)).imu["acc"].values
    at = int(np.random.default_rng(seed).integers(60, 1100))
    acc = stream["acc"].values.copy()
    acc[at, 0, axis] += sign * size
    done = remove_spikes(recorded(stream.assign(acc=stream["acc"].copy(data=acc))))
    gone, before = (np.isnan(values).all(axis=(1, 2)) for values in (done.imu["acc"].values, clean))
    assert gone[at]
    assert set(np.flatnonzero(gone ^ before)) - set(range(at - 60, at + 61)) == set()
    assert (gone ^ before).sum() <= 3
    assert np.isfinite(done.imu["gyr"].values[at]).all()
    assert last(done)["removed"]["acc"]["trunk"] == gone.sum()


def test_a_clean_simulated_walk_keeps_nearly_all():
    for segment in ("trunk", "shank_r", "foot_r"):
        done = remove_spikes(recorded(worn(walk(3, 12.0), segment, names=("acc", "gyr"), noise=0.05)))
        for name in ("acc", "gyr"):
            assert np.isnan(done.imu[name].values).any(axis=2).mean() < 0.003


def test_a_spike_is_bridged_by_its_neighbours_where_that_is_declared():
    time = np.arange(600) / 100
    values = tone(time, 1.0)
    spoilt = values.copy()
    spoilt[300] += 40.0
    done = remove_spikes(recorded(imu(time, acc=spoilt)), bridge_samples=1).imu["acc"].values[:, 0]
    assert done[300] == pytest.approx((values[299] + values[301]) / 2, abs=1e-5)
    assert done[299] == pytest.approx(values[299], abs=1e-6)


def test_spikes_in_angles_go_with_their_joint_and_a_turn_of_the_circle_is_none():
    time = np.arange(600) / 100
    heading = (100 * time + 180) % 360 - 180
    knee = 30 * np.sin(time)
    knee[250] += 90
    stream = angles(time, np.stack([heading, knee], 1), ("pelvis_rotation", "knee_flexion_r"))
    done = remove_spikes(recorded(None, stream), variables=("angle",))
    assert last(done)["removed"] == {"angle": {"knee_flexion_r": 1}}
    assert np.isnan(done.reference["angle"].values[250]).tolist() == [False, True]


def test_spikes_asked_for_amiss_are_refused():
    time = np.arange(100) / 100
    stream = recorded(imu(time, acc=tone(time, 1.0)))
    with pytest.raises(UsageError, match="sd above 0"):
        remove_spikes(stream, sd=0.0)
    with pytest.raises(UsageError, match="not 'quat'"):
        remove_spikes(stream, variables=("quat",))
    with pytest.raises(DataError, match="has none of them"):
        remove_spikes(stream, variables=("gyr",))


@needs_shared
@pytest.mark.parametrize("sensor", ["Accel", "Gyro"])
def test_a_clean_real_walk_is_left_alone(shared, sensor):
    path = shared / "capsense_treadmill" / "Sub02" / "CSBaseline" / f"OpenSim_Sub02_CSBaseline_{sensor}.trc"
    rows = [[float(x) for x in line.split()] for line in path.read_text().splitlines()[6:] if line.strip()]
    table = np.array(rows)[:, 1:26]
    names = ("torso", "pelvis", "shank_r", "thigh_r", "shank_l", "thigh_l", "foot_r", "foot_l")
    stream = imu(table[:, 0], names, acc=table[:, 1:])
    gone = np.isnan(remove_spikes(recorded(stream)).imu["acc"].values).any(axis=2).mean(axis=0)
    assert gone[:6].max() < 0.003
    assert gone.max() < 0.005


# --- smoothing --------------------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None, derandomize=True)
@given(coefficients=st.lists(st.floats(-5, 5), min_size=4, max_size=4), window=st.sampled_from([0.05, 0.11, 0.21]))
def test_a_polynomial_of_the_order_passes_unchanged_ends_included(coefficients, window):
    time = np.arange(200) / 100
    curve = np.polyval(coefficients, time)
    stream = imu(time, acc=np.stack([curve, -curve, 2 * curve], 1))
    done = smooth_savgol(recorded(stream), window_s=window, order=3).imu["acc"].values
    assert done == pytest.approx(stream["acc"].values, abs=1e-4)


def test_jitter_is_smoothed_and_no_stretch_hears_of_another():
    random = np.random.default_rng(0)
    time = np.arange(1000) / 100
    noise = random.normal(size=(1000, 3))
    noise[400:500] = np.nan
    noise[505:515] = np.nan
    stream = recorded(imu(time, acc=noise))
    done = smooth_savgol(stream, window_s=0.11, order=2)
    values = done.imu["acc"].values[:, 0]
    assert np.nanstd(values[:400]) < 0.55
    assert values[500:505] == pytest.approx(noise[500:505], abs=1e-6)
    assert last(done)["left_as_they_were"] == 5
    other = stream.imu.isel(time=slice(0, 400))
    assert np.array_equal(smooth_savgol(recorded(other), window_s=0.11, order=2).imu["acc"].values[:, 0], values[:400])


def test_smoothing_amiss_is_refused():
    time = np.arange(100) / 100
    stream = recorded(imu(time, acc=tone(time, 1.0)))
    with pytest.raises(UsageError, match="order 5 with 5 samples"):
        smooth_savgol(stream, window_s=0.05, order=5)
    uneven = recorded(imu(time + 0.003 * (np.arange(100) % 2), acc=tone(time, 1.0)))
    with pytest.raises(DataError, match="resample it first"):
        smooth_savgol(uneven, window_s=0.11, order=2)


# --- noise ------------------------------------------------------------------------------------------------------------


def floor_of(values, rate_hz):
    frequency, power = welch(values, rate_hz, nperseg=int(rate_hz), axis=0)
    high = (frequency > 0.35 * rate_hz) & (frequency < 0.475 * rate_hz)
    return np.sqrt(power[high].mean(axis=0))


@settings(max_examples=10, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), rate_hz=st.sampled_from([60.0, 100.0, 200.0]), share=st.floats(0.0, 0.9))
def test_a_quiet_sensor_is_brought_to_the_floor_asked_for(seed, rate_hz, share):
    random = np.random.default_rng(seed)
    time = np.arange(int(60 * rate_hz)) / rate_hz
    own = share * 0.01 * np.sqrt(rate_hz / 2)
    quiet = tone(time, 2.0) + own * random.normal(size=(time.size, 3))
    done = equalise_noise(recorded(imu(time, gyr=quiet)), density={"gyr": 0.01}, seed=seed)
    assert floor_of(done.imu["gyr"].values[:, 0], rate_hz) == pytest.approx(0.01, rel=0.08)
    assert last(done)["floors"]["gyr"]["trunk"] == pytest.approx([share * 0.01] * 3, rel=0.12, abs=2e-5)
    size, _ = fitted(time, done.imu["gyr"].values[:, 0, 0], 2.0)
    assert size == pytest.approx(1.0, abs=0.01)


def test_the_draw_depends_on_seed_and_names_and_not_on_the_company():
    time = np.arange(1000) / 100
    both = recorded(imu(time, ("trunk", "pelvis"), acc=np.stack([tone(time, 1.0)] * 2, 1)))
    one = recorded(both.imu.isel(sensor=[1]))
    noisy = equalise_noise(both, density={"acc": 0.1}, seed=1).imu["acc"].values
    alone = equalise_noise(one, density={"acc": 0.1}, seed=1).imu["acc"].values
    assert np.array_equal(noisy[:, 1], alone[:, 0])
    assert not np.array_equal(noisy[:, 0], noisy[:, 1])
    assert not np.array_equal(alone, equalise_noise(one, density={"acc": 0.1}, seed=2).imu["acc"].values)


def test_noise_is_never_taken_away():
    random = np.random.default_rng(0)
    time = np.arange(2000) / 100
    loud = np.stack([tone(time, 1.0), tone(time, 1.0) + random.normal(size=(2000, 3))], axis=1)
    stream = recorded(imu(time, ("trunk", "pelvis"), acc=loud))
    with pytest.raises(DataError, match=r"acc of pelvis is 0\.1\d* already, above the 0\.05"):
        equalise_noise(stream, density={"acc": 0.05})
    with pytest.raises(UsageError, match="not 'mag'"):
        equalise_noise(stream, density={"mag": 0.05})
    with pytest.raises(UsageError, match="0 or more"):
        equalise_noise(stream, density={"acc": -1.0})


# --- straight walking -------------------------------------------------------------------------------------------------


def true_yaw(person, segment):
    """Heading of a segment's forward axis since the start, degrees to the left."""
    forward = person.rotation[segment][:, :, 0]
    heading = np.unwrap(np.arctan2(-forward[:, 2], forward[:, 0]))
    return np.degrees(heading - heading[0])


@pytest.mark.parametrize("segment", ["trunk", "pelvis"])
@pytest.mark.parametrize("by", ["quat", "gyr"])
def test_turns_are_marked_and_straight_ways_are_kept(segment, by):
    for seed in range(3):
        person = walk(seed, 60.0, stand_s=12.0)
        names = ("acc", "gyr", "quat") if by == "quat" else ("acc", "gyr")
        mounting, heading = Rotation.random(random_state=seed), Rotation.from_euler("Y", 70 * seed, degrees=True)
        stream = worn(person, segment, mounting, names, heading, noise=0.05, bias=0.01)
        done = straight_walking(recorded(stream, angles(person.time, person.angles["knee_flexion_r"])))
        assert last(done)["by"] == by
        away = np.abs((true_yaw(person, segment) + 90) % 180 - 90)
        kept = done.imu["valid"].values[:, 0]
        assert 0.4 < kept.mean() < 0.95
        assert kept[away < 24].all()
        assert not kept[away > 36].any()
        assert np.array_equal(done.reference["valid"].values[:, 0], kept)
        assert np.array_equal(done.imu["acc"].values, stream["acc"].values)
        spans = last(done)["spans_s"]
        assert sum(stop - start for start, stop in spans) == pytest.approx(kept.sum() / 100, abs=0.02 * len(spans))


def test_a_mask_that_was_there_stays_and_a_reference_on_its_own_clock_follows():
    person = walk(0, 60.0)
    stream = worn(person)
    valid = np.ones((len(person.time), 1), dtype=bool)
    valid[:100] = False
    late = angles(person.time[::2] - 0.005, person.angles["knee_flexion_r"][::2])
    done = straight_walking(recorded(stream.assign(valid=(("time", "sensor"), valid)), late))
    assert not done.imu["valid"].values[:100].any()
    spans = last(done)["spans_s"]
    clock = late["time"].values
    inside = np.any([(clock >= a) & (clock <= b) for a, b in spans], axis=0)
    assert np.array_equal(done.reference["valid"].values[:, 0], inside)


def test_a_heading_ends_where_the_gyroscope_is_silent_for_long():
    person = walk(0, 60.0)
    stream = worn(person, names=("acc", "gyr"))
    gyr = stream["gyr"].values.copy()
    gyr[1000:1003] = np.nan
    gyr[2500:2600] = np.nan
    done, whole = (straight_walking(recorded(s)) for s in (stream.assign(gyr=stream["gyr"].copy(data=gyr)), stream))
    kept, all_kept = done.imu["valid"].values[:, 0], whole.imu["valid"].values[:, 0]
    assert (kept[:2500] == all_kept[:2500]).mean() > 0.99
    assert all_kept[2600:].any()
    assert not kept[2500:].any()


def test_where_no_heading_can_be_had_that_is_said():
    person = walk(0, 12.0, 100.0)
    with pytest.raises(DataError, match="trunk or pelvis"):
        straight_walking(recorded(worn(person, "thigh_r")))
    with pytest.raises(DataError, match="trunk or pelvis"):
        straight_walking(recorded(worn(person, names=("acc",))))
    with pytest.raises(UsageError, match="between 0 and 90"):
        straight_walking(recorded(worn(person)), tolerance_deg=90.0)
    waiting = Declared(sync=Sync("estimated"))
    with pytest.raises(UsageError, match="align the reference first"):
        straight_walking(recorded(worn(person), angles(person.time, person.angles["knee_flexion_r"]), waiting))
