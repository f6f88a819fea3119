"""The Camargo adapter by its door: what comes out of a folder in its layout, what is refused, each with its fault."""

import sys
from itertools import pairwise
from pathlib import Path

import child_cases
import numpy as np
import pandas as pd
import pytest
from kinbench_adapters._camargo import recording, tables
from kinbench_adapters._camargo.conditions import gait_events, motions, terrain
from kinbench_adapters._camargo.people import person_table
from kinbench_adapters._camargo.sensors import READINGS, find_axes, read_sensors
from kinbench_adapters._camargo.tables import MatFile, Table, read_tables
from kinbench_adapters._camargo.trials import STAIRS_M, find_trials
from kinbench_adapters.camargo import CamargoAdapter

from kinbench import plugins
from kinbench.conversion import prepare
from kinbench.errors import DataError, UsageError
from kinbench.schema import GRAVITY
from tests.raw_folders import camargo as fake

RAMP, TREADMILL = "Ramp_3_L_01_02", "treadmill_01_01"


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A ramp and the treadmill, of one person; the sensors begin 5 samples after the angles."""
    return fake.write(tmp_path_factory.mktemp("camargo"), people=1, trials=(TREADMILL, RAMP), late=5)


@pytest.fixture(scope="module")
def ramp(raw):
    return prepare(CamargoAdapter().find(raw).sources[0])


@pytest.fixture(scope="module")
def body():
    return fake.performance("AB06", RAMP)


@pytest.fixture(scope="module")
def header(body):
    return fake.STARTS_S + body.time


def as_table(frame, path="here.mat"):
    """A frame as the reader gives it."""
    texts = {c: tuple(frame[c]) for c in frame.columns if not pd.api.types.is_numeric_dtype(frame[c])}
    return Table(path, {c: frame[c].to_numpy(float) for c in frame.columns if c not in texts}, texts)


# --- what is found ----------------------------------------------------------------------------------------------------


def test_every_trial_is_found_whatever_its_capitals(empty):
    folder = empty(
        "part1/AB06/10_09_18/ramp/imu/Ramp_1_L_01_04.mat", "part1/AB06/10_09_18/ramp/ik/Ramp_1_L_01_04.mat",
        "part1/AB06/10_09_18/ramp/conditions/ramp_1_l_01_04.mat", "AB30/1_2_19/treadmill/ik/treadmill_04_2_01.mat",
        "AB30/1_2_19/static/ik/static_01.mat", "AB30/osimxml/ik/model.mat", "part1/SubjectInfo.mat", "SubjectInfo.mat",
        "scripts/ik/x.mat",
    )  # fmt: skip
    found = CamargoAdapter().find(folder)
    assert [str(source.key) for source in found.sources] == [
        "camargo/AB06/10_09_18/ramp_1_l_01_04", "camargo/AB30/1_2_19/treadmill_04_2_01",
    ]  # fmt: skip
    assert len(found.sources[0].files) == 4 and folder / "part1/SubjectInfo.mat" in found.sources[0].files
    assert folder / "SubjectInfo.mat" in found.sources[1].files
    assert found.card.persons == 22 and "not been tried on the real download" in found.card.description


def test_one_trial_twice_is_refused(empty):
    with pytest.raises(DataError, match="twice"):
        CamargoAdapter().find(
            empty("a/AB06/10_09_18/stair/imu/stair_1_l_01_01.mat", "b/AB06/10_09_18/stair/imu/stair_1_l_01_01.mat")
        )


def test_the_choice_of_angles_is_declared_and_no_other_taken(empty):
    folder = empty("AB06/10_09_18/stair/ik/stair_1_l_01_01.mat")
    with pytest.raises(DataError, match="ik_offset"):
        CamargoAdapter(angles="ik_offset").find(folder)
    with pytest.raises(UsageError, match="ik, ik_offset"):
        plugins.create("adapters", "camargo[angles=id]")


# --- angles and sensors, against the walker ---------------------------------------------------------------------------


def test_angles_are_those_of_the_walker_knees_turned(ramp, body):
    names = [str(name) for name in ramp.reference["dof"].values]
    assert len(names) == 13 and not [name for name in names if "inversion" in name]
    for name in names:
        np.testing.assert_allclose(ramp.reference["angle"].sel(dof=name).values, body.angles[name], atol=1e-3)
    assert ramp.reference["angle"].attrs["convention"] == "opensim_coordinate"
    turned = [step["dof"] for step in ramp.attrs["history"] if step["step"] == "scale_dof"]
    assert turned == ["knee_flexion_r", "knee_flexion_l"]


def test_sensors_are_those_of_the_walker_in_si_units(ramp, body):
    truth = fake.imu(body, body.time).iloc[5:]
    for place, name in enumerate(ramp.imu["sensor"].values):
        for kind, variable, factor in (("Accel", "acc", GRAVITY), ("Gyro", "gyr", 1.0)):
            values = truth[[f"{name}_{kind}_{axis}" for axis in "XYZ"]].to_numpy() * factor
            known = np.isfinite(ramp.imu[variable].values[:, place]).all(axis=1)
            np.testing.assert_allclose(ramp.imu[variable].values[known, place], values[known], atol=1e-4)
    assert ramp.imu["acc"].attrs["units"] == "m s-2" and (~ramp.imu["valid"].values[295:300]).all()


def test_published_axes_hold_and_the_foots_are_found(ramp):
    origins = dict(zip(map(str, ramp.imu["sensor"].values), map(str, ramp.imu["rotation_origin"].values), strict=True))
    assert origins == {"trunk": "nominal", "thigh": "nominal", "shank": "nominal", "foot": "functional"}
    off = ramp.imu["rotation"].values[3].T @ fake.ON_FOOT
    assert np.degrees(np.arccos((np.trace(off) - 1) / 2)) < 10.0
    up = ramp.imu["acc"].values[:200, 1].mean(axis=0) @ ramp.imu["rotation"].values[1].T
    assert up[1] / np.linalg.norm(up) > 0.98


def test_both_streams_are_on_one_clock(ramp):
    sync = ramp.attrs["sync"]
    assert sync["method"] == "same_clock" and abs(sync["measured_shift_s"]) < 0.002
    np.testing.assert_allclose(sync["offset_s"], -5 / fake.RATE_HZ, atol=1e-6)


def test_what_was_done_stands_on_the_recordings_clock(ramp):
    assert [one["name"] for one in ramp.attrs["motions"]] == ["idle", "walk_rampascent", "rampascent"]
    assert ramp.attrs["motions"][0]["start_s"] == 0.0 and ramp.attrs["motions"][1]["as_written"] == "walk-rampascent"
    assert ramp.attrs["terrain"] == {"ramp_incline_deg": 9.2} and ramp.attrs["activity"] == "ramp"
    contacts = np.array(ramp.attrs["gait_events"]["contact_s"])
    np.testing.assert_allclose(contacts, 1.1 * np.arange(1, 8), atol=0.006)
    assert ramp.attrs["person_table"] == {"sex": "male", "condition": "healthy", "age_y": 20.0, "height_m": 1.7,
                                          "mass_kg": 70.0}  # fmt: skip


def test_the_treadmill_tells_its_speeds_and_the_offset_angles_are_taken_where_asked(raw, header):
    loaded = CamargoAdapter(angles="ik_offset").find(raw).sources[1].load()
    assert loaded.attrs["activity"] == "walking_treadmill" and "motions" not in loaded.attrs
    assert [one["speed_mps"] for one in loaded.attrs["belt_speeds"]] == [1.0]
    truth = fake.performance("AB06", TREADMILL)
    knee = loaded.reference["angle"].sel(dof="knee_flexion_l").values
    np.testing.assert_allclose(knee, -truth.angles["knee_flexion_l"] + fake.OFFSET_DEG, atol=1e-3)
    assert loaded.attrs["history"][-1]["angles"] == "ik_offset"


# --- units and axes: what is measured, and refused --------------------------------------------------------------------


@pytest.mark.parametrize(("scale", "unit"), [(1.0, "g"), (GRAVITY, "m s-2")])
def test_the_unit_of_acceleration_is_measured(body, header, scale, unit):
    assert read_sensors(as_table(fake.imu(body, header, acc_scale=scale))).unit == unit


@pytest.mark.parametrize(
    ("quirk", "reason"),
    [({"acc_scale": 3.0}, "its unit is neither"), ({"gyr_scale": 57.29578}, "degrees")],
)
def test_a_unit_that_no_sensor_has_is_refused(body, header, quirk, reason):
    with pytest.raises(DataError, match=reason):
        read_sensors(as_table(fake.imu(body, header, **quirk)))


def test_a_sensor_in_another_unit_than_the_others_is_refused(body, header):
    frame = fake.imu(body, header)
    frame[[f"shank_Accel_{axis}" for axis in "XYZ"]] *= GRAVITY
    with pytest.raises(DataError, match=r"shank 9\.\d+"):
        read_sensors(as_table(frame))


def test_angles_in_radians_are_refused_by_the_sensors_that_follow_them(body, header):
    sensors = read_sensors(as_table(fake.imu(body, header)))
    with pytest.raises(DataError, match="angles not in degrees"):
        find_axes(sensors, header, np.radians(body.angles["knee_flexion_r"]) * 3)


def found_axes(body, header, *, knee=1.0, turned=None):
    sensors = read_sensors(as_table(fake.imu(body, header, turned=turned)))
    return find_axes(sensors, header, knee * body.angles["knee_flexion_r"])


def test_sensors_that_hang_the_other_way_are_told_by_gravity(body, header):
    found = found_axes(body, header, turned=np.diag([-1.0, -1.0, 1.0]))
    assert {"axes_by_gravity:thigh", "axes_by_gravity:shank", "axes_by_gravity:trunk"} == set(found.flags)
    np.testing.assert_array_equal(found.rotations["thigh"], READINGS["x up"])
    assert found.evidence["knee"]["r"] > 0.99


def test_sensors_that_gravity_contradicts_keep_an_unknown_rotation(body, header):
    found = found_axes(body, header, turned=np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    assert found.rotations == dict.fromkeys(("trunk", "thigh", "shank", "foot"))
    assert "gravity_off:thigh" in found.flags and "flexion_axes_unchecked" in found.flags


def test_sensors_on_the_back_of_the_limb_are_told_by_the_knee(body, header):
    """Gravity cannot tell front from back; turned half about x, both limbs seem to extend where the knee flexes."""
    found = found_axes(body, header, turned=np.diag([1.0, -1.0, -1.0]))
    assert "flexion_axes_contradict_knee" in found.flags and found.evidence["knee"]["r"] < -0.9
    assert found.rotations["thigh"] is None and found.rotations["shank"] is None


@pytest.mark.parametrize("scale", [1.0, -1.0])
def test_a_knee_that_flexes_to_the_positive_side_is_refused(body, header, scale):
    frame = fake.angles(body, header, knee=scale)
    if scale < 0:
        assert recording._angles(as_table(frame)).dofs[-1] == "ankle_dorsiflexion_l"
    else:
        with pytest.raises(DataError, match="negative side") as error:
            recording._angles(as_table(frame))
        assert len(error.value.problems) == 2


def test_a_knee_that_hardly_bends_is_flagged_unchecked(body, header):
    still = fake.angles(body, header).iloc[:200]
    assert recording._angles(as_table(still)).flags == ("knee_sign_unchecked:r", "knee_sign_unchecked:l")


@pytest.mark.parametrize(
    ("break_clock", "reason"),
    [
        (lambda h: h[::-1], "increase"),
        (lambda h: h * 2, "found 100"),
        (lambda h: np.where(h > 5, np.nan, h), "increase"),
    ],
)
def test_a_header_that_is_no_clock_is_refused(body, header, break_clock, reason):
    with pytest.raises(DataError, match=f"'Header'.*{reason}"):
        read_sensors(as_table(fake.imu(body, break_clock(header))))


def test_sensors_without_columns_or_samples_are_named(body, header):
    frame = fake.imu(body, header)
    assert read_sensors(as_table(frame.drop(columns="foot_Gyro_Z"))).absent == ("foot",)
    frame[[f"foot_Gyro_{axis}" for axis in "XYZ"]] = np.nan
    with pytest.raises(DataError, match="foot: every sample is missing"):
        read_sensors(as_table(frame))
    with pytest.raises(DataError, match="thigh_Accel_X"):
        read_sensors(as_table(frame[["Header"]]))


# --- stairs, labels, people -------------------------------------------------------------------------------------------


def trial_of(empty, name):
    found = find_trials(empty(f"AB06/10_09_18/{name.partition('_')[0]}/ik/{name}.mat"), "camargo", "ik")
    return next(trial for trial in found if trial.key.trial == name)


@pytest.mark.parametrize(
    ("inches", "flags"),
    [(6.0, []), (None, []), (4.0, ["stair_height_m_differs"]), (0.1524, ["stair_height_m_differs"])],
)
def test_stairs_are_in_inches_and_held_against_the_paper(empty, inches, flags):
    trial = trial_of(empty, "stair_3_r_02_01")
    told = MatFile("x", {}, {} if inches is None else {"stairHeight": inches})
    assert terrain(trial, told) == ({"stair_height_m": 0.1524}, flags)
    unnumbered = trial_of(empty, "stair_l_02_01")
    assert terrain(unnumbered, MatFile("x", {}, {"stairHeight": 5.0})) == ({"stair_height_m": 0.127}, [])
    np.testing.assert_allclose(list(STAIRS_M.values()), np.arange(4, 8) * 0.0254)


def test_the_pace_on_level_ground_is_told_by_the_name(empty):
    assert terrain(trial_of(empty, "levelground_ccw_fast_01_02"), None) == ({"pace": "fast"}, [])


def test_labels_become_spans_without_gaps():
    labels = pd.DataFrame(
        {"Header": np.arange(6) / 1e3 + 2.0, "Label": ["idle", "idle", "stand-walk", "walk", "walk", "idle"]}
    )
    found = motions(as_table(labels), 2.0)
    assert [(one["name"], one["start_s"]) for one in found] == [
        ("idle", 0.0), ("stand_walk", 0.002), ("walk", 0.003), ("idle", 0.005),
    ]  # fmt: skip
    assert all(one["stop_s"] == following["start_s"] for one, following in pairwise(found))
    assert motions(as_table(labels[["Header"]]), 0.0) == []


def test_a_gait_cycle_begins_where_its_count_does():
    count = np.array([90.0, 95, 0, 5, 99.9, 100, 0.2, np.nan, 3])
    found = gait_events(as_table(pd.DataFrame({"Header": np.arange(9.0), "HeelStrike": count, "ToeOff": count})), 0.0)
    assert found["contact_s"] == [2.0, 6.0]


def test_people_are_told_and_what_nobody_can_be_is_flagged():
    people = fake.info(["AB06", "AB07"])
    people.loc[1, ["Height", "Weight"]] = [170.0, np.nan]
    found, flags = person_table(as_table(people), "AB07")
    assert (found["sex"], found["height_m"], found["mass_kg"], flags) == ("female", None, None, ["height_m_impossible"])
    assert person_table(as_table(people), "AB30") == ({"sex": "unknown", "condition": "healthy"}, [])


# --- files ------------------------------------------------------------------------------------------------------------


def test_tables_are_read_as_they_were_written(tmp_path):
    frame = pd.DataFrame(
        {"Header": [0.0, 0.005], "Whole": np.array([1, 2]), "Label": np.array(["a", "b"], dtype=object)}
    )
    fake.save(tmp_path / "one.mat", {"labels": frame, "stairHeight": np.array([[4.0]]), "many": np.zeros((3, 3))})
    (found,) = read_tables([tmp_path / "one.mat"])
    assert found.tables["labels"].texts == {"Label": ("a", "b")} and list(found.tables["labels"].numbers["Whole"]) == [
        1,
        2,
    ]
    assert found.scalars == {"stairHeight": 4.0} and found.table().path == tmp_path / "one.mat"
    with pytest.raises(DataError, match="expected a column 'Speed' of numbers, found Header, Whole, Label"):
        found.table().column("Speed")


def damaged(tmp_path, raw):
    """A trial of whose files two are damaged: one cut, one with wrong bytes in it."""
    first = CamargoAdapter().find(raw).sources[0]
    for path in first.files:
        place = tmp_path / path.relative_to(raw)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())
    imu, ik = (next(tmp_path.rglob(f"{folder}/*.mat")) for folder in ("imu", "ik"))
    imu.write_bytes(imu.read_bytes()[:20000])
    data = bytearray(ik.read_bytes())
    data[200:260] = bytes(60)
    ik.write_bytes(data)
    return CamargoAdapter().find(tmp_path).sources[0]


def test_damaged_files_are_named_all_at_once(tmp_path, raw):
    with pytest.raises(DataError) as error:
        damaged(tmp_path, raw).load()
    assert len(error.value.problems) == 2 and all("fetch it again" in text for text in error.value.problems)
    assert all("\n" not in text for text in error.value.problems)


def test_a_file_that_takes_its_reader_down_is_named(tmp_path, raw, monkeypatch):
    good, bad = (tmp_path / name for name in ("good.mat", "bad.mat"))
    good.write_bytes((raw / "SubjectInfo.mat").read_bytes())
    bad.write_bytes(good.read_bytes())
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setattr(tables, "_load", child_cases.crashes_on_bad)
    with pytest.raises(DataError, match=r"^[^:]*: bad\.mat: cannot be read \(its process ended with status -11\)"):
        read_tables([good, bad])


def test_what_is_no_matlab_file_is_refused_without_a_reader(empty):
    source = CamargoAdapter().find(empty("AB06/10_09_18/stair/imu/a.mat", "AB06/10_09_18/stair/ik/a.mat")).sources[0]
    with pytest.raises(DataError, match="no MATLAB file") as error:
        source.load()
    assert len(error.value.problems) == 2


def test_without_its_package_the_command_is_told(raw, monkeypatch):
    monkeypatch.setitem(sys.modules, "matio", None)
    with pytest.raises(UsageError, match=r"pip install 'kinbench\[camargo\]'"):
        CamargoAdapter().find(raw).sources[0].load()
