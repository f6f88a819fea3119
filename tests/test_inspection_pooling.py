"""What several recordings say together, the seven tips, and causes that machines can read."""

from dataclasses import replace

import numpy as np
import pytest
from test_inspection import findings, late, recording, spoil, verdicts

from kinbench import inspection
from kinbench.inspection import CAUSES, Finding, pool

NOT = "NOT ASSESSED"


def told(verdict, cause="", *, where="imu.gyr[a]", **evidence):
    return Finding("axes", verdict, where, "", None, cause, "", {k.replace("asis", ""): v for k, v in evidence.items()})


def test_evidence_that_decides_nothing_alone_decides_together():
    weak = told(NOT, asis=2.0, turned=5.0, of=6.0)
    (alone,) = pool({"one": [told(NOT, asis=2.0, turned=2.2, of=6.0)]})
    (together,) = pool({"one": [told(NOT, asis=1.0, turned=1.1, of=1.2)], "two": [weak], "three": [weak]})
    assert alone.verdict == NOT
    assert (together.verdict, together.cause, together.where) == ("FAIL", "turned", ("imu.gyr[a]",))


def test_evidence_of_different_sensors_is_summed_by_place():
    here = told(NOT, asis=0.0, turned=9.0, of=10.0)
    there = told("PASS", where="imu.gyr[b]", asis=10.0, turned=1.0, of=10.0)
    (pooled,) = pool({"one": [here, there], "two": [here, there]})
    assert (pooled.verdict, pooled.where) == ("FAIL", ("imu.gyr[a]",))


def test_no_number_of_unassessed_findings_makes_a_pass():
    (pooled,) = pool({str(at): [told(NOT)] for at in range(50)})
    assert (pooled.verdict, pooled.not_assessed) == (NOT, 50)


def test_one_failure_among_many_passes_fails_and_says_where():
    (pooled,) = pool({"good": [told("PASS")] * 9, "bad": [told("FAIL", "axes:y,x,z")]})
    assert (pooled.verdict, pooled.cause, pooled.recordings) == ("FAIL", "axes:y,x,z", ("bad",))
    assert (pooled.failed, pooled.passed) == (1, 9)


def test_real_findings_pool_in_their_order():
    found = {"a": inspection.check(recording()), "b": inspection.check(recording(1))}
    pooled = pool(found)
    assert [one.check for one in pooled] == list(dict.fromkeys(f.check for each in found.values() for f in each))
    assert "FAIL" not in {one.verdict for one in pooled}
    assert pool({}) == []


# --- causes ----------------------------------------------------------------------------------------------------------


def negated(values):
    return -values


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda r: spoil(r, "acc", lambda v: v / 9.80665), "unit:acc:g"),
        (lambda r: spoil(r, "gyr", np.degrees), "unit:gyr:deg/s"),
        (lambda r: spoil(r, "gyr", lambda v: v[..., [1, 0, 2]] * (1, -1, 1)), "axes:-y,x,z"),
        (lambda r: spoil(r, "gyr", negated), "reversal"),
        (lambda r: late(r, 0.2), "sync"),
    ],
)
@pytest.mark.parametrize("quat", [True, False])
def test_every_mistake_has_a_cause_and_what_mends_it(change, cause, quat):
    failed = [f for f in inspection.check(change(recording(quat=quat))) if f.verdict == "FAIL"]
    assert cause in {f.cause for f in failed}
    assert {f.kind for f in failed} <= set(CAUSES)
    assert all(f.mend for f in failed if f.cause == cause)


def test_gyro_and_accelerometer_alone_tell_axes_and_time():
    sound = recording(quat=False)
    assert verdicts(findings(inspection.check(sound), "time direction")) == {"PASS"}
    wrong = findings(inspection.check(spoil(sound, "gyr", lambda v: v[..., [2, 0, 1]])), "gyro against gravity")
    assert verdicts(wrong) == {"FAIL"}
    assert {f.cause for f in wrong} == {"axes:y,z,x"}


def test_lost_and_doubled_samples_and_zeros_are_found():
    sound = recording()
    n = sound.imu.sizes["time"]

    def rows(kept):
        imu = sound.imu.isel(time=kept)
        return replace(sound, imu=imu.assign_coords(time=("time", np.arange(len(kept)) / 100.0, {"units": "s"})))

    lost = rows(np.delete(np.arange(n), np.r_[1500:1507, 2000:2009, 2600:2605, 3100:3110]))
    doubled = rows(np.sort(np.r_[np.arange(n), 1200:3600:100]))
    zeroed = spoil(sound, "gyr", lambda v: np.where((np.arange(n) // 40 % 25 == 0)[:, None, None], 0.0, v))
    for spoilt, cause in ((lost, "packets:lost"), (doubled, "packets:doubled"), (zeroed, "missing:zeros")):
        assert cause in {f.cause for f in inspection.check(spoilt) if f.verdict == "FAIL"}, cause


# --- tips ------------------------------------------------------------------------------------------------------------


def test_the_seven_tips_come_in_their_order_and_fail_nothing():
    tips = inspection.tips(recording())
    assert sorted({tip.number for tip in tips}) == list(range(1, 8))
    assert [tip.number for tip in tips] == sorted(tip.number for tip in tips)


def test_accelerations_of_running_are_a_remark_and_no_rejection():
    hard = spoil(recording(), "acc", lambda v: v * 4)
    warned = [tip for tip in inspection.tips(hard) if tip.number == 1 and tip.warns]
    assert warned
    assert all("do not reject" in tip.message for tip in warned)


def test_an_unknown_rotation_and_unlike_rates_are_warned_of():
    sound = recording()
    sound.imu["rotation"].values[0] = np.nan
    slow = replace(sound, reference=sound.reference.isel(time=slice(None, None, 2)))
    assert {2, 3, 4} <= {tip.number for tip in inspection.tips(slow) if tip.warns}


def test_a_recording_without_sensors_has_its_tips_too():
    assert {tip.number for tip in inspection.tips(replace(recording(), imu=None))} >= {1, 2, 4, 5, 6, 7}


# --- short recordings ------------------------------------------------------------------------------------------------


def steps(original, count=12, lasts_s=1.2):
    """Return single steps of a recording, each a recording of its own that starts at zero."""
    found = []
    for number in range(count):
        start_s = 10 + 2 * number

        def piece(stream, start_s=start_s):
            time = stream["time"].values
            inside = stream.isel(time=np.flatnonzero((time >= start_s) & (time < start_s + lasts_s)))
            return inside.assign_coords(time=("time", inside["time"].values - start_s, {"units": "s"}))

        key = replace(original.key, trial=f"step{number}")
        found.append(replace(original, key=key, imu=piece(original.imu), reference=piece(original.reference)))
    return found


def together(recordings):
    short = inspection.Short()
    for each in recordings:
        short.add(each)
    return inspection.check_joined(short)


def test_steps_that_say_too_little_alone_say_it_together():
    sound = steps(recording(quat=False, segments=True))
    check = "segment axes"
    assert {f.verdict for each in sound for f in inspection.check(each) if f.check == check} <= {NOT}
    (found,) = together(sound).values()
    assert "FAIL" not in verdicts(found)
    assert "PASS" in verdicts(findings(found, check))


def test_what_is_wrong_in_steps_is_named_by_all_of_them():
    wrong = steps(spoil(recording(quat=False, segments=True), "gyr", np.degrees))
    alone = {str(each.key): inspection.check(each) for each in wrong}
    (unit,) = [one for one in pool({**alone, **together(wrong)}) if one.check == "gyro unit"]
    assert (unit.verdict, unit.cause) == ("FAIL", "unit:gyr:deg/s")


def test_only_short_recordings_of_one_person_and_kind_are_joined():
    one, other = steps(recording())[:4], steps(recording())[:3]
    other = [each.with_attrs(person="lab/somebody") for each in other]
    names = together([*one, *other, recording()])
    assert len(names) == 2
    assert any("4 short" in name for name in names)
    assert any("somebody: 3 short" in name for name in names)
    assert together(one[:1]) == {}


def test_nothing_of_one_recording_is_read_into_the_next():
    first, second = steps(recording())[:2]
    joined = inspection.joining.join([first, second])
    gap = np.isnan(joined.imu["gyr"].values).all(axis=(1, 2))
    assert gap.sum() == pytest.approx(500, abs=2)
    assert (np.diff(joined.imu["time"].values) > 0).all()
    at = np.flatnonzero(gap)[-1] + 1
    np.testing.assert_array_equal(joined.imu["gyr"].values[at:], second.imu["gyr"].values)
    offset = joined.imu["time"].values[at] - second.imu["time"].values[0]
    assert joined.reference["time"].values[-1] - second.reference["time"].values[-1] == pytest.approx(offset)
