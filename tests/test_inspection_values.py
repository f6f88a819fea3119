"""What the numbers themselves say: ranges too small, files cut short, zeros for missing, sensors out of step."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_inspection import RATE_HZ, findings, recording, spoil, verdicts

from kinbench import inspection
from kinbench.inspection.packets import check_zero_angles
from kinbench.inspection.saturation import judge_range
from kinbench.recording import angle_dataset

NOT = "NOT ASSESSED"


# --- range -----------------------------------------------------------------------------------------------------------


def clipping_of(values):
    found = judge_range("imu.acc[a]", values)
    assert found.check == "clipping"
    return found.verdict


def noisy(seed, n=2000):
    """Strides with impacts of unlike heights, (n, 3), as floats."""
    rng = np.random.default_rng(seed)
    t = np.arange(n) / 100
    heights = rng.uniform(15, 40, 1 + int(t[-1] / 1.1))[(t / 1.1).astype(int)]
    strike = heights * np.exp(-((t % 1.1) / 0.03))
    return np.stack([strike, 3 * np.sin(2 * np.pi * 0.9 * t), 0.3 * strike], 1) + rng.normal(0, 0.2, (n, 3))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), digits=st.sampled_from((9, 2)), share=st.floats(0.4, 0.7))
def test_peaks_that_all_end_alike_were_cut_and_unlike_ones_were_not(seed, digits, share):
    values = noisy(seed).round(digits)
    limit = round(share * float(np.abs(values).max()), digits)
    touched = int((np.abs(values) >= limit).sum())
    assert clipping_of(values) != "FAIL"
    assert clipping_of(np.clip(values, -limit, limit)) == "FAIL" if touched >= 8 else "no claim"


def test_a_lone_peak_may_have_been_cut_and_is_not_passed():
    values = noisy(3)
    values[1000, 0] = 300.0
    assert clipping_of(values) == NOT
    values[1001, 0] = 300.0
    assert clipping_of(values) == NOT


def test_what_rests_at_its_extreme_or_swings_slowly_in_coarse_digits_was_not_cut():
    t = np.arange(6000) / 100
    slow = 10 * np.sin(2 * np.pi * 0.2 * t)
    rest = np.where(t < 30, 0.0, -(np.sin(t - 30) ** 2) * 5)
    rng = np.random.default_rng(0)
    for one in (slow.round(1), slow.round(2), rest.round(2)):
        values = np.stack([one, rng.normal(0, 0.1, t.size), rng.normal(0, 0.1, t.size)], 1)
        assert clipping_of(values) != "FAIL"


def test_rows_that_repeat_are_no_ceiling():
    values = noisy(1)
    top = int(np.argmax(values[:, 0]))
    values[top : top + 30] = values[top]
    assert clipping_of(values) != "FAIL"


# --- missing ---------------------------------------------------------------------------------------------------------


def ended(original, start_s, stop_s):
    """Return the recording with one sensor there from one moment to another only."""

    def lose(values):
        values[: int(start_s * RATE_HZ), 1] = np.nan
        values[int(stop_s * RATE_HZ) :, 1] = np.nan
        return values

    for name in ("acc", "gyr", "quat"):
        original = spoil(original, name, lose)
    return original


ENDS = "missing at the ends"


@pytest.mark.parametrize(("start_s", "stop_s", "told"), [(0, 25, "last 15.0 s"), (4, 40, "first 4.0 s")])
def test_a_file_that_ends_early_or_starts_late_is_found(start_s, stop_s, told):
    failed = [f for f in findings(inspection.check(ended(recording(), start_s, stop_s)), ENDS) if f.verdict == "FAIL"]
    assert [(f.where, f.cause) for f in failed] == [("imu[shank]", "missing:ends")]
    assert told in failed[0].message


def test_ends_that_differ_by_some_samples_pass():
    assert verdicts(findings(inspection.check(ended(recording(), 0.02, 39.9)), ENDS)) == {"PASS"}


def test_a_reference_that_covers_less_may_be_meant_so():
    whole = recording()
    half = replace(whole, reference=whole.reference.isel(time=slice(0, 2000)))
    told = {f.where: f.verdict for f in findings(inspection.check(half), ENDS)}
    assert told == {"imu": "PASS", "reference": NOT} | {k: "PASS" for k in told if k == "reference[knee_flexion_r]"}


def zeros_of(t, values):
    reference = angle_dataset(
        t, ["knee_flexion_r"], values[:, None], units="deg", convention="isb_zxy", tier="optical_marker_ik"
    )
    (found,) = check_zero_angles(reference)
    return found.verdict


def test_zeros_near_zero_are_found_by_what_leads_to_them_and_rest_at_zero_is_not_judged():
    t = np.arange(3000) / 100
    swing = 3 * np.sin(2 * np.pi * 0.9 * t) + np.random.default_rng(0).normal(0, 0.01, t.size)
    assert zeros_of(t, swing) == "PASS"
    gone = swing.copy()
    gone[1000:1020] = 0.0
    assert zeros_of(t, gone) == "FAIL"
    resting = (swing * np.clip((t - 5) / 5, 0, 1)).round(1)
    assert zeros_of(t, resting) == NOT


# --- sync ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("segments", [False, True])
def test_a_pass_of_sync_says_within_what(segments):
    (found,) = findings(inspection.check(recording(segments=segments)), "sync")
    assert found.verdict == "PASS"
    assert found.within is not None
    assert abs(found.value) <= found.within


def test_one_sensor_late_against_the_others_is_found():
    def late_by_eight(values):
        values[8:, 1] = values[:-8, 1].copy()
        values[:8, 1] = np.nan
        return values

    spoilt = sound = recording()
    check = "sync of sensors"
    assert "FAIL" not in verdicts(findings(inspection.check(sound), check))
    for name in ("acc", "gyr", "quat"):
        spoilt = spoil(spoilt, name, late_by_eight)
    failed = [f for f in findings(inspection.check(spoilt), check) if f.verdict == "FAIL"]
    assert "clock:late" in {f.cause for f in failed}


def test_without_a_reference_no_sensor_is_said_to_be_in_time():
    assert verdicts(findings(inspection.check(replace(recording(), reference=None)), "sync of sensors")) == {NOT}


# --- doubled samples and units ---------------------------------------------------------------------------------------


def test_samples_that_repeat_at_rest_are_neither_passed_nor_failed():
    sound = recording(still=True)
    rows = np.sort(np.concatenate([np.arange(sound.imu.sizes["time"]), np.arange(300, 3000, 90)]))
    imu = sound.imu.isel(time=rows)
    again = replace(sound, imu=imu.assign_coords(time=("time", np.arange(rows.size) / RATE_HZ, {"units": "s"})))
    check = "doubled samples"
    assert verdicts(findings(inspection.check(sound), check)) == {"PASS"}
    assert verdicts(findings(inspection.check(again), check)) == {NOT}


def test_angles_all_beyond_their_range_are_a_unit_and_one_is_not():
    t = np.arange(1000) / 100
    names = ["hip_flexion_r", "knee_flexion_r", "ankle_dorsiflexion_r", "hip_flexion_l"]
    standing = np.array([12.0, 8.0, 6.0, 11.0]) + np.random.default_rng(0).normal(0, 0.2, (t.size, 4))

    def unit(values):
        reference = angle_dataset(t, names, values, units="deg", convention="isb_zxy", tier="optical_marker_ik")
        found = inspection.check(replace(recording(), imu=None, reference=reference))
        (told,) = findings(found, "angle unit")
        return told.verdict, told.cause

    assert unit(standing)[0] != "FAIL"
    assert unit(np.degrees(standing)) == ("FAIL", "unit:angle:deg")
    assert unit(standing + np.array([0.0, 200.0, 0.0, 0.0]))[0] != "FAIL"
