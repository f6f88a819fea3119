"""Gait events by four kinds of signal: each finds what was planted, and on real walks they find each other's."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinbench_adapters._formats.opensim import read_sto, read_trc
from raw_folders.bodies import walker
from scipy.io import loadmat

from kinbench.errors import DataError, UsageError
from kinbench.kinematics import (
    Frame,
    cluster_motion,
    events_from_foot_markers,
    events_from_force,
    events_from_gyro,
    events_from_hip_angle,
)

PEOPLE = tuple(f"Sub0{number}" for number in range(1, 8))


def apart_ms(found, wanted, within_s=0.3):
    """How far in time the nearest found event is from each wanted one; every one must have its own."""
    nearest = np.array([np.argmin(np.abs(found - time)) for time in wanted])
    assert len(set(nearest.tolist())) == len(wanted)
    apart = found[nearest] - wanted
    assert np.abs(apart).max() < within_s
    return apart * 1000


def phase(rate_hz, length_s, stride_s):
    """Time, and where in the stride (0 to 1 from contact) each sample is."""
    time = np.arange(round(length_s * rate_hz)) / rate_hz
    return time, time / stride_s % 1


# --- planted events --------------------------------------------------------------------------------------------------

strides = st.floats(0.8, 1.6)
rates = st.sampled_from([50.0, 100.0, 128.0, 200.0])


@settings(max_examples=40, deadline=None)
@given(stride_s=strides, rate_hz=rates, threshold_n=st.floats(10, 60))
def test_force_tells_when_it_crosses_the_threshold(stride_s, rate_hz, threshold_n):
    time, cycle = phase(rate_hz, 12.0, stride_s)
    force = 800 * np.clip(np.sin(2 * np.pi * (cycle + 0.1)) + 0.2, 0, None)  # loaded where the sine is above -0.2
    found = events_from_force(force, rate_hz, threshold_n=threshold_n)
    edge = np.arcsin(threshold_n / 800 - 0.2) / (2 * np.pi)
    for found_s, share in ((found.contact_s, edge - 0.1), (found.off_s, 0.4 - edge)):
        planted = (np.arange(-1, 16) + share) * stride_s
        inside = planted[(planted > 0.1) & (planted < time[-1] - 0.1)]
        assert np.abs(apart_ms(found_s, inside)).max() < 1500 / rate_hz
    assert found.method == "force"


def test_a_short_load_or_relief_is_no_event():
    force = np.zeros(1000)
    force[200:260] = force[400:470] = 700.0
    clean = events_from_force(force, 100.0)
    force[230:233] = 0.0  # a relief of 30 ms
    force[600:604] = 90.0  # somebody's hand on the plate
    for clean_s, dirty_s in zip(
        (clean.contact_s, clean.off_s),
        (events_from_force(force, 100.0).contact_s, events_from_force(force, 100.0).off_s),
        strict=True,
    ):
        assert dirty_s == pytest.approx(clean_s)
    assert len(clean.contact_s) == len(clean.off_s) == 2


def test_force_in_a_gap_is_not_searched():
    force = np.tile(np.repeat([0.0, 700.0], 60), 8)
    whole = events_from_force(force, 100.0)
    force[230:250] = np.nan
    cut = events_from_force(force, 100.0)
    assert set(whole.contact_s) - set(cut.contact_s) == set()
    assert set(whole.off_s) - set(cut.off_s) == {whole.off_s[(whole.off_s > 2.3) & (whole.off_s < 2.5)][0]}


@pytest.mark.parametrize(("gait", "stride_s", "stance"), [("walking", 1.0, 0.6), ("running", 0.7, 0.4)])
def test_foot_markers_of_a_foot_on_a_treadmill(gait, stride_s, stance):
    time, cycle = phase(200.0, 15.0, stride_s)
    swing = np.clip((cycle - stance) / (1 - stance), 0, 1)
    ahead = np.where(swing == 0, 0.3 - cycle, 0.3 - stance * (1 + np.cos(np.pi * swing)) / 2)
    heel = np.stack([ahead, 0.1 * np.sin(np.pi * swing) ** 2, 0 * time], axis=1)
    toe = heel + np.array([0.2, 0.0, 0.0])
    found = events_from_foot_markers(heel, toe, 200.0, gait=gait)
    strides = np.arange(1, 13)
    assert np.abs(apart_ms(found.contact_s, strides * stride_s)).max() < 30
    assert np.abs(apart_ms(found.off_s, (strides + stance) * stride_s)).max() < 45
    # In millimetres, in a world with z up and y ahead: the same.
    turned = [place[:, [2, 0, 1]] * 1000 for place in (heel, toe)]
    again = events_from_foot_markers(*turned, 200.0, up=2, forward=1, gait=gait)
    assert again.contact_s == pytest.approx(found.contact_s)
    assert again.off_s == pytest.approx(found.off_s)


def test_a_walk_through_a_lab_needs_the_pelvis_and_its_own_direction():
    person = walker(5, length_s=25.0, rate_hz=100.0, turn_deg=150.0)
    heel, toe = (person.point("foot_r", (x, -0.04, 0)) for x in (-0.05, 0.14))
    found = events_from_foot_markers(heel, toe, 100.0, forward=toe - heel, pelvis=person.position["pelvis"])
    by_hip = events_from_hip_angle(person.angles["hip_flexion_r"], 100.0)
    inner = by_hip.contact_s[(by_hip.contact_s > 4) & (by_hip.contact_s < 22)]
    assert len(inner) > 8
    assert np.median(np.abs(apart_ms(found.contact_s, inner))) < 120
    assert (np.diff(found.contact_s) > 0.6).all()
    assert (found.contact_s > 1.9).all()  # nobody steps while standing


@settings(max_examples=40, deadline=None)
@given(stride_s=strides, rate_hz=rates)
def test_contact_comes_15_percent_of_a_stride_after_the_hip_s_peak(stride_s, rate_hz):
    _, cycle = phase(rate_hz, 12.0, stride_s)
    found = events_from_hip_angle(15 + 22 * np.cos(2 * np.pi * (cycle - 0.85)), rate_hz)
    contacts = np.arange(2, 6) * stride_s
    assert np.abs(apart_ms(found.contact_s, contacts)).max() < 1500 / rate_hz
    assert found.off_s.size == 0
    assert found.method == "hip_angle"


def swing_rate(cycle):
    """A shank's forward rate in rad/s: swing with its dips at toe-off and contact, slow tilt in stance (Salarian)."""
    return (
        5.5 * np.exp(-(((cycle - 0.8) / 0.08) ** 2))
        - 3.0 * np.exp(-(((cycle - 0.62) / 0.05) ** 2))
        - 2.5 * np.exp(-(((cycle - 0.97) / 0.03) ** 2))
        - 0.6 * (cycle < 0.5)
    )


@settings(max_examples=40, deadline=None)
@given(stride_s=strides, rate_hz=rates)
def test_the_shank_s_gyro_tells_contact_and_toe_off_about_mid_swing(stride_s, rate_hz):
    _, cycle = phase(rate_hz, 15.0, stride_s)
    found = events_from_gyro(swing_rate(cycle), rate_hz)
    whole = np.arange(1, int(13 / stride_s))
    assert np.abs(apart_ms(found.contact_s, (whole + 0.97) * stride_s)).max() < 30 + 1000 / rate_hz
    assert np.abs(apart_ms(found.off_s, (whole + 0.62) * stride_s)).max() < 30 + 1000 / rate_hz


def test_standing_still_has_no_events():
    still = 1e-3 * np.random.RandomState(0).normal(size=3000)
    assert events_from_gyro(still, 100.0).contact_s.size == 0
    assert events_from_force(800 + still, 100.0).contact_s.size == 0
    assert events_from_hip_angle(np.full(3000, 10.0), 100.0).contact_s.size == 0
    nothing = np.full(3000, np.nan)
    for find in (events_from_gyro, events_from_force, events_from_hip_angle):
        assert find(nothing, 100.0).contact_s.size == 0


def test_what_cannot_be_believed_is_refused():
    _, cycle = phase(100.0, 10.0, 1.1)
    with pytest.raises(DataError, match="convert it from degrees"):
        events_from_gyro(np.degrees(swing_rate(cycle)), 100.0)
    with pytest.raises(DataError, match="change its sign"):
        events_from_gyro(-swing_rate(cycle), 100.0)
    with pytest.raises(DataError, match="upward positive"):
        events_from_force(-700.0 * (cycle < 0.6), 100.0)
    with pytest.raises(DataError, match="one leg"):
        events_from_hip_angle(np.zeros((100, 2)), 100.0)
    heel = np.zeros((100, 3))
    with pytest.raises(DataError, match="heel marker of shape"):
        events_from_foot_markers(np.zeros(100), heel, 100.0)
    with pytest.raises(DataError, match="100, 99 and 100"):
        events_from_foot_markers(heel, heel[1:], 100.0)
    with pytest.raises(DataError, match="not vertical"):
        events_from_foot_markers(heel, heel, 100.0, up=1, forward=(0, 1, 0))
    with pytest.raises(UsageError, match="Did you mean 'running'"):
        events_from_foot_markers(heel, heel, 100.0, gait="runing")


# --- real recordings -------------------------------------------------------------------------------------------------


def treadmill(shared, person):
    """The vertical force and the tibia's forward rate of both legs; sensors start 10 s late in some files."""
    folder = shared / "capsense_treadmill" / person / "CSBaseline"
    force = read_sto(folder / f"OpenSim_{person}_CSBaseline_GRF.mot")
    gyro = read_trc(folder / f"OpenSim_{person}_CSBaseline_Gyro.trc")
    for letter, sign in (("r", 1), ("l", -1)):  # z points right on the right shank, left on the left one
        sensor = gyro.markers.index(f"tibia_{letter}_imu_offset_imu")
        yield letter, force.values[:, force.columns.index(f"{letter}Fy")], sign * gyro.values[:, sensor, 2]


@pytest.mark.parametrize("person", [name for name in PEOPLE if name != "Sub05"])
def test_the_gyro_finds_every_step_that_the_force_plate_feels(shared, person):
    """Contacts 4 to 71 ms late and toe-offs 28 to 57 ms early in the median, which the sensors' own lag is part of.

    Salarian et al. 2004 found +8.7 and -2.9 ms on other shanks. Sub05's clocks do not agree with each other.
    """
    for _, force, rate in treadmill(shared, person):
        plate, gyro = events_from_force(force, 100.0), events_from_gyro(rate, 100.0)
        for found, wanted, low, high in (
            (gyro.contact_s, plate.contact_s, 0, 75), (gyro.off_s, plate.off_s, -60, -20),
        ):  # fmt: skip
            apart = apart_ms(found, wanted[(wanted > 15.0) & (wanted < len(force) / 100 - 2.0)])
            assert low < np.median(apart) < high
            assert np.subtract(*np.quantile(apart, [0.75, 0.25])) < 30


def test_the_hip_s_peak_finds_contacts_of_the_force_plate(shared):
    """In the median 8 and 15 ms early on this person, at worst 95: good to cut strides, not to time them."""
    ik = read_sto(shared / "capsense_treadmill" / "Sub02" / "CSBaseline" / "IKoutput_20to65secs.mot")
    for letter, force, _ in treadmill(shared, "Sub02"):
        hip = events_from_hip_angle(ik.values[:, ik.columns.index(f"hip_flexion_{letter}")], 100.0)
        plate = events_from_force(force, 100.0).contact_s
        apart = apart_ms(hip.contact_s + ik.time[0], plate[(plate > 21.0) & (plate < 64.0)])
        assert abs(np.median(apart)) < 30
        assert np.abs(apart).max() < 120


def test_foot_markers_find_one_contact_in_every_stride_of_another_s_list(shared):
    """The list was cut from foot gyros elsewhere; its borders are no contacts, but a fixed share of a stride away."""
    folder = shared / "foot_stride"
    rows = list(csv.reader((folder / "mocap_sample.csv").read_text().splitlines()))
    values = np.array([[float(cell) for cell in row[1:]] for row in rows[2:]])
    place = {name: values[:, 3 * i : 3 * i + 3] for i, name in enumerate(rows[0][1::3])}
    borders = list(csv.DictReader((folder / "stride_borders_sample.csv").read_text().splitlines()))
    middle = (place["L_FCC"] + place["R_FCC"]) / 2  # no pelvis was recorded; it is between the feet
    phases = {}
    for side, foot in (("L", "left"), ("R", "right")):
        heel, toe = place[f"{side}_FCC"], place[f"{side}_TOE"]
        found = events_from_foot_markers(heel, toe, 100.0, up=2, forward=toe - heel, pelvis=middle).contact_s
        spans = [(float(b["start"]) / 204.8, float(b["end"]) / 204.8) for b in borders if b["foot"] == foot]
        inside = [found[(found >= start) & (found < stop)] for start, stop in spans]
        assert sum(len(contacts) == 1 for contacts in inside) >= len(spans) - 1
        phases[foot] = np.array(
            [(c[0] - start) / (stop - start) for c, (start, stop) in zip(inside, spans, strict=True) if len(c) == 1]
        )
        assert phases[foot].std() < 0.015
    assert np.median(phases["left"]) == pytest.approx(np.median(phases["right"]), abs=0.02)


@pytest.mark.parametrize(("side", "column"), [("L", 0), ("R", 2)])
def test_a_runner_s_contacts_are_the_clinic_s(shared, side, column):
    """37 strides each at 2.9 m/s. The clinic's toe-offs come when the forefoot is 11 cm above the belt, ours sooner."""
    ezc3d, folder = pytest.importorskip("ezc3d"), shared / "calgary_ric"
    events = loadmat(folder / "angles" / "20140515T133244_r.mat", simplify_cells=True)["r_angles"]["events"]
    static, run = (points_of(ezc3d, folder / "raw_c3d" / f"20140515T133244_{name}.c3d") for name in ("static", "run"))
    names = [f"{side}_foot_{number}" for number in (1, 2, 3)]
    cluster, moving = np.stack([static[n][0] for n in names]), np.stack([run[n] for n in names], axis=1)
    below = cluster.mean(axis=0) * [1, 0, 1]  # the sole under the heel, and 15 cm ahead (mm; the runner faces -z)
    heel, ball = (cluster_motion(cluster, Frame(np.eye(3), below - [0, 0, x]), moving).origin for x in (0, 150))
    found = events_from_foot_markers(heel, ball, 200.0, forward=(0, 0, -1), gait="running")
    clinic_contact, clinic_off = (events[:, column + i].astype(float) - 1 for i in (0, 1))
    apart = apart_ms(found.contact_s, clinic_contact / 200)
    assert abs(np.median(apart)) <= 5
    assert np.abs(apart).max() <= 25
    stance = [found.off_s[found.off_s > time][0] - time for time in found.contact_s[:-1]]
    assert 0.2 < np.median(stance) < 0.32
    early = apart_ms(found.off_s, clinic_off / 200)
    assert -80 < np.median(early) < -45


def points_of(ezc3d, path):
    file = ezc3d.c3d(str(path))
    points = file["data"]["points"][:3]
    return {name: points[:, i].T for i, name in enumerate(file["parameters"]["POINT"]["LABELS"]["value"])}
