"""Two sets of recordings side by side: what is known of simulated walks must come out, and nothing be made up."""

import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT, needs_shared
from hypothesis import given, settings
from hypothesis import strategies as st
from walking_cases import SEGMENTS, STRIDE_S, walk

import kinbench
from kinbench import inspection
from kinbench.inspection.comparison import AXES, STORED


@pytest.fixture(scope="module")
def plain():
    """One walk, without noise."""
    return walk()


def pairs(comparison, stage=STORED, **wanted):
    return [
        pair for pair in comparison.at(stage) if all(getattr(pair, name) == value for name, value in wanted.items())
    ]


def without_reference(recording):
    return replace(recording, reference=None)


def with_imu(recording, change):
    """Return the recording with its imu changed in place by ``change(imu)``."""
    imu = recording.imu.copy(deep=True)
    change(imu)
    return replace(recording, imu=imu)


# --- strides ---------------------------------------------------------------------------------------------------------


def test_strides_are_those_that_were_walked(plain):
    gait = inspection.gait_of(plain)
    assert gait.reason == ""
    assert gait.method == {"r": "shank gyro"}
    lengths = np.diff(gait.strides["r"], axis=1)[:, 0]
    assert len(lengths) >= 10
    assert np.median(lengths) == pytest.approx(STRIDE_S, rel=0.1)
    assert gait.strides["r"][0, 0] > 2.5, "nobody walks while they stand"


def test_the_hip_tells_strides_where_no_gyro_does(plain):
    by_gyro = inspection.gait_of(plain)
    no_gyro = replace(plain, imu=plain.imu.drop_vars("gyr"))
    by_hip = inspection.gait_of(no_gyro)
    assert by_hip.method == {"r": "hip angle"}
    nearest = [np.abs(by_gyro.strides["r"][:, 0] - start).min() for start in by_hip.strides["r"][:, 0]]
    assert np.median(nearest) < 0.1 * STRIDE_S


def test_without_a_rotation_strides_start_where_they_do_with_one(plain):
    known, unknown = (inspection.gait_of(walk(known=known)).strides["r"] for known in (True, False))
    assert len(known) == len(unknown)
    assert np.abs(known - unknown).max() < 0.05


@pytest.mark.parametrize(
    ("recording", "words"),
    [
        (walk(length_s=12.0, stand_s=11.0, reference=False), "strides alike"),
        (walk(segments=("pelvis", "thigh_r"), reference=False), "neither the gyro of a shank nor a hip flexion"),
    ],
)
def test_without_gait_the_reason_is_told(recording, words):
    gait = inspection.gait_of(recording)
    assert not gait.strides
    assert words in gait.reason


def test_a_hole_takes_its_stride_and_nothing_else(plain):
    gait = inspection.gait_of(plain)
    middle = float(gait.strides["r"][4].mean())

    def tear(imu):
        imu["gyr"].values[np.abs(imu["time"].values - middle) < 0.1] = np.nan

    torn = with_imu(without_reference(plain), tear)
    kept = inspection.gait_of(torn).strides["r"]
    assert not ((kept[:, 0] < middle) & (kept[:, 1] > middle)).any()
    assert len(kept) < len(gait.strides["r"])
    counts = {pair.this.strides for pair in pairs(inspection.compare([torn], [plain]), signal="gyr")}
    assert max(counts) <= len(kept)


# --- what must come out ----------------------------------------------------------------------------------------------


@settings(max_examples=3, deadline=None, derandomize=True)
@given(mount=st.integers(1, 1000))
def test_the_same_walk_is_the_same_however_its_sensors_are_turned(mount):
    first, second = (without_reference(walk(mount=seed, length_s=14.0)) for seed in (0, mount))
    for pair in pairs(inspection.compare([first], [second])):
        assert pair.reason == ""
        assert pair.r > 0.9999
        assert pair.rms < 1e-3


def test_a_segment_turned_wrongly_shows_on_its_axes_and_not_in_its_length(plain):
    wrong = with_imu(
        plain, lambda imu: imu["rotation"].values.__setitem__(1, np.diag([-1.0, 1, -1]) @ imu["rotation"].values[1])
    )
    found = inspection.compare([plain], [wrong])
    (flexion,) = pairs(found, segment="thigh_r", signal="gyr", axis="z")
    (length,) = pairs(found, segment="thigh_r", signal="gyr", axis="length")
    assert flexion.r < -0.99
    assert length.r > 0.9999


def test_the_peak_of_a_shank_is_its_stride_and_of_a_faster_walker_faster(plain):
    fast = walk(stride_s=0.9)
    found = inspection.compare([plain], [fast])
    (pair,) = pairs(found, segment="shank_r", signal="gyr", axis="length")
    walked = [float(np.median(np.diff(inspection.gait_of(one).strides["r"], axis=1))) for one in (plain, fast)]
    # Half a stride has a peak as well, which is a step's.
    assert min(abs(pair.this.peak_hz * walked[0] - k) for k in (1, 2)) < 0.08
    assert pair.other.peak_hz > 1.1 * pair.this.peak_hz


def test_planted_noise_is_the_floor_and_lowers_the_signal_to_noise():
    quiet, loud = (walk(noise=(level, level / 10), reference=False) for level in (0.02, 0.2))
    found = inspection.compare([quiet], [loud])
    for pair in pairs(found, segment="pelvis", axis="x"):
        wanted = {"acc": 1.0, "gyr": 0.1}[pair.signal]
        assert pair.other.floor == pytest.approx(0.2 * wanted, rel=0.2)
        assert pair.this.snr_db - pair.other.snr_db == pytest.approx(20.0, abs=4.0)
        assert pair.this.harmonic_db >= pair.other.harmonic_db


# --- the steps -------------------------------------------------------------------------------------------------------


def test_steps_do_what_they_say():
    quiet, loud = walk(noise=(0.02, 0.002), reference=False), walk(noise=(0.2, 0.02), rate_hz=60.0, reference=False)
    found = inspection.compare([quiet], [loud])
    assert found.stages == (STORED, "resample", "remove_spikes", "smooth_savgol", "equalise_noise")
    told = dict(found.steps)
    assert told["resample"]["rate_hz"] == 60.0
    (stored,), (smooth,), (equal,) = (
        pairs(found, stage, segment="pelvis", signal="acc", axis="x")
        for stage in (STORED, "smooth_savgol", "equalise_noise")
    )
    assert smooth.other.floor < 0.5 * stored.other.floor
    assert smooth.other.snr_db > stored.other.snr_db + 6
    assert equal.this.floor == pytest.approx(equal.other.floor, rel=0.2)
    assert equal.this.floor == pytest.approx(told["equalise_noise"]["density"]["acc"], rel=0.2)
    table = found.by_stage()
    assert [*table[table["signal"] == "acc"]["stage"]] == [*found.stages]


def test_removing_spikes_undoes_what_spikes_did(plain):
    clean = without_reference(plain)
    places = np.arange(700, 2100, 50)

    def spike(imu):
        imu["acc"].values[places, 0, 0] += 300.0

    found = inspection.compare([with_imu(clean, spike)], [clean])
    before, after = (
        pairs(found, stage, segment="pelvis", signal="acc", axis="length")[0] for stage in ("resample", "remove_spikes")
    )
    assert before.rms > 1.0
    assert after.rms < 0.1 * before.rms


def test_an_uneven_clock_is_resampled_and_goes_through_all_steps(plain):
    def jitter(imu):
        steps = np.diff(imu["time"].values)
        steps[::2] *= 1.3
        steps[1::2] *= 0.7
        imu["time"] = ("time", np.concatenate([[0.0], np.cumsum(steps)]), {"units": "s"})

    found = inspection.compare([with_imu(without_reference(plain), jitter)], [plain])
    assert (found.this.walking, found.this.left_out) == (1, ())
    (last,) = pairs(found, "smooth_savgol", segment="shank_r", signal="gyr", axis="z")
    assert last.r > 0.999


# --- what cannot be compared -----------------------------------------------------------------------------------------


def test_unknown_rotations_leave_the_length_only(plain):
    found = inspection.compare([plain], [walk(known=False)], names=("ours", "theirs"))
    for pair in pairs(found):
        if pair.axis == "length":
            assert pair.r > 0.999
        else:
            assert pair.verdict == "NOT ASSESSED"
            assert pair.reason == f"the rotation to {pair.segment} is unknown in theirs"
            assert pair.r is pair.rms is None


def test_gravity_and_none_do_not_meet(plain):
    removed = with_imu(plain, lambda imu: imu["acc"].attrs.__setitem__("kind", "gravity_removed"))
    found = inspection.compare([plain], [removed])
    assert all("without it" in pair.reason for pair in pairs(found, signal="acc"))
    assert not any(pair.reason for pair in pairs(found, signal="gyr"))


def test_who_stands_is_compared_with_nobody(plain):
    still = walk(length_s=12.0, stand_s=11.0, reference=False)
    found = inspection.compare([plain], [still], names=("ours", "theirs"))
    assert {pair.verdict for pair in found.pairs} == {"NOT ASSESSED"}
    assert {pair.reason for pair in found.pairs} == {"no gait in theirs"}
    assert found.steps == ()
    assert found.other.left_out[0][0] == str(still.key)
    assert "not assessed  no gait in theirs" in found.text()
    assert found.by_stage().empty


def test_a_segment_that_one_side_lacks_is_named(plain):
    found = inspection.compare([plain], [walk(segments=("shank_r", "foot_r"))])
    assert {pair.segment for pair in pairs(found) if not pair.reason} == {"shank_r", "foot_r"}
    assert {pair.reason for pair in pairs(found, segment="pelvis")} == {"no sensor on pelvis where other walks"}


def test_no_recordings_at_all_is_no_error():
    found = inspection.compare([], [])
    assert found.pairs == ()
    assert "0 of 0 recordings" in found.text()
    assert found.to_json()["pairs"] == []


# --- its forms -------------------------------------------------------------------------------------------------------


def test_it_is_a_table_a_text_and_strict_json_and_the_same_every_time(plain):
    noisy = [walk(seed, noise=(0.05, 0.005), subject=f"S{seed}") for seed in (1, 2)]
    found = inspection.compare([plain], noisy)
    told = json.dumps(found.to_json(), allow_nan=False)
    assert told == json.dumps(inspection.compare([plain], noisy).to_json(), allow_nan=False)
    table = found.table()
    assert len(table) == len(found.stages) * len(SEGMENTS) * 2 * len(AXES)
    assert set(table["recordings_other"]) == {2}
    curves = [pair["curves"]["this"]["mean"] for pair in json.loads(told)["pairs"] if "curves" in pair]
    assert {len(curve) for curve in curves} == {101}
    assert "shank_r  gyr  z" in found.text()


@needs_shared
def test_a_real_walk_is_itself_and_a_landing_is_no_gait(shared, tmp_path):
    for name in ("neura_sparse", "fan_knee"):
        assert not kinbench.convert("lab", ROOT / "tests" / "manifests" / name, data=tmp_path).failed
    found = kinbench.compare("neura_sparse", "neura_sparse", data=tmp_path)
    assert all(pair.r == pytest.approx(1.0) and pair.rms == 0.0 for pair in pairs(found))
    (shank,) = pairs(found, segment="shank_r", signal="gyr", axis="length")
    assert shank.this.strides >= 3
    assert 0.6 < shank.this.peak_hz < 0.9, "the walker takes 1.4 s for a stride"
    (knee,) = pairs(found, segment="shank_r", signal="gyr", axis="z")
    assert knee.this.harmonic_db > 6, "it repeats"
    landing = kinbench.compare("neura_sparse", "fan_knee", data=tmp_path)
    assert {pair.verdict for pair in landing.pairs} == {"NOT ASSESSED"}


def test_of_many_recordings_an_even_choice_is_read_and_told(tmp_path, plain):
    from kinbench import store

    with store.create(tmp_path / "lab.zarr", dataset="lab", card={"name": "lab"}) as writer:
        for number in range(5):
            writer.write(walk(number, subject=f"S{number}", length_s=8.0, stand_s=1.0, segments=("shank_r",)))
    found = kinbench.compare(tmp_path / "lab.zarr", tmp_path / "lab.zarr", most=2)
    assert (found.this.recordings, found.this.there) == (2, 5)
    assert "2 of 2 recordings, chosen evenly among 5 compared" in found.text()
