"""The Kuopio adapter by its door: what comes out of a folder in its layout, what is refused, each with its fault."""

from dataclasses import replace

import numpy as np
import pytest
from kinbench_adapters._kuopio.anatomy import find_segments
from kinbench_adapters._kuopio.people import read_people
from kinbench_adapters._kuopio.sensors import read_sensors
from kinbench_adapters._kuopio.wearing import KNOWN, PELVIS, Worn, read_wearing
from kinbench_adapters.kuopio import KuopioAdapter

from kinbench import kinematics, plugins
from kinbench.conversion import prepare
from kinbench.errors import DataError, Skipped, UsageError
from kinbench.virtual_imu import angular_rate
from tests.raw_folders import kuopio as fake

LATE = 1
COMMON = slice(LATE, None)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """One walk, whose sensors began a sample late."""
    return fake.write(tmp_path_factory.mktemp("kuopio"), people=1, late=LATE)


@pytest.fixture(scope="module")
def declared(raw):
    return KuopioAdapter().find(raw).sources[0].load()


@pytest.fixture(scope="module")
def walk(raw, declared):
    return prepare(replace(KuopioAdapter().find(raw).sources[0], load=lambda: declared))


@pytest.fixture(scope="module")
def body():
    return fake.performance(1, "r_comf_01")


@pytest.fixture
def paths(body):
    return fake.markers(body)


# --- what is found ----------------------------------------------------------------------------------------------------


def test_every_walk_is_found_and_no_calibration(empty):
    folder = empty(
        "a/02/mocap/l_slow_10.c3d", "a/02/mocap/l_slow_9.c3d", "01/mocap/r_comf_01.c3d", "01/mocap/calib_hip_01.c3d",
        "01/mocap/mass.c3d", "01/imu_extracted/data_r_comf_01.mat", "01/imu_extracted/data_r_fast_02.mat",
        "x/mocap/r_comf_01.c3d",
    )  # fmt: skip
    found = KuopioAdapter().find(folder)
    assert [str(source.key) for source in found.sources] == [
        "kuopio/01/laboratory/r_comf_01", "kuopio/01/laboratory/r_fast_02",
        "kuopio/02/laboratory/l_slow_9", "kuopio/02/laboratory/l_slow_10",
    ]  # fmt: skip
    assert [len(source.files) for source in found.sources] == [2, 1, 1, 1]
    assert found.card.persons == 51 and found.card.redistributable
    assert "not been tried on the real download" in found.card.description


def test_one_walk_twice_is_refused(empty):
    with pytest.raises(DataError, match="twice"):
        KuopioAdapter().find(empty("a/01/mocap/r_comf_01.c3d", "b/01/mocap/r_comf_01.c3d"))


def test_wrong_settings_are_refused(raw):
    for selector in ("kuopio[sync=guessed]", "kuopio[sensors=3]", "kuopio[colour=red]"):
        with pytest.raises(UsageError):
            plugins.create("adapters", selector)
    with pytest.raises(UsageError, match="table of the sensors"):
        KuopioAdapter(sensors=str(raw / "absent.csv")).find(raw)


def test_the_downloads_are_pinned():
    downloads = KuopioAdapter.tree.downloads
    assert len(downloads) == 5 and all(
        one.known_hash.startswith("md5:") and len(one.known_hash) == 36 for one in downloads
    )


# --- angles and sensors, against the walker ---------------------------------------------------------------------------


@pytest.mark.parametrize("joint", ["hip", "knee", "ankle"])
def test_angles_are_those_of_the_walker(walk, body, joint):
    """All but hip flexion, whose zero lies where the pelvis is level on average."""
    for name in walk.reference["dof"].values:
        if str(name).startswith(joint):
            off = walk.reference["angle"].sel(dof=name).values - body.angles[str(name)]
            mean, spread = float(np.nanmean(off)), float(np.nanstd(off))
            assert spread < 1.0
            assert abs(mean) < (0.3 if not str(name).startswith("hip_flexion") else 6.0)


def test_the_pelvis_is_level_on_average_and_this_is_said(walk, body):
    angle = walk.reference["angle"]
    assert abs(float(angle.sel(dof="pelvis_tilt").mean())) < 0.2
    shift = float((angle.sel(dof="hip_flexion_r").values - body.angles["hip_flexion_r"]).mean())
    np.testing.assert_allclose(shift, body.angles["pelvis_tilt"].mean(), atol=0.3)
    assert "pelvis_zero:trial_mean" in walk.attrs["quality"]
    assert np.nanstd(angle.sel(dof="pelvis_list").values - body.angles["pelvis_list"]) < 0.5


def test_markers_that_were_not_seen_leave_no_angle(walk):
    knee = walk.reference["angle"].sel(dof="knee_flexion_l").values
    assert np.isnan(knee).sum() == fake.UNSEEN.stop - fake.UNSEEN.start


def test_rates_and_accelerations_are_those_of_the_walker(walk, body):
    truth = fake.extracted(body, np.random.RandomState(1), LATE)
    pelvis = [str(name) for name in walk.imu["sensor"].values].index(PELVIS)
    acc, gyr = (walk.imu[name].values[:, pelvis] for name in ("acc", "gyr"))
    missing = np.isnan(acc).any(axis=1)
    assert list(np.flatnonzero(missing)) == list(range(fake.NEVER_READ.start, fake.NEVER_READ.stop))
    assert not walk.imu["valid"].values[missing].any() and walk.imu["valid"].values[~missing].all()
    np.testing.assert_allclose(acc[~missing], truth[PELVIS]["calibratedAcceleration"][~missing], atol=1e-4)
    turning = angular_rate(kinematics.quaternions(body.rotation["pelvis"]), fake.RATE_HZ)[COMMON]
    seen = gyr @ walk.imu["rotation"].values[pelvis].T
    np.testing.assert_allclose(seen[~missing], turning[~missing], atol=0.03)


def test_only_placed_sensors_are_there_and_the_others_are_named(walk):
    assert [str(name) for name in walk.imu["sensor"].values] == list(fake.SERIALS)
    assert [str(name) for name in walk.imu["segment"].values] == list(fake.SERIALS.values())
    assert "sensor:B42E00" in walk.attrs["absent"] and "not_placed:B42E00" in walk.attrs["quality"]


def test_rotations_are_published_or_found_and_never_guessed(declared, walk):
    assert [str(origin) for origin in declared.imu["rotation_origin"].values] == ["nominal"] + ["unknown"] * 4
    assert declared.declared.automatic == tuple(fake.SERIALS)[1:]
    unknown = {flag.split(":")[1] for flag in walk.attrs["quality"] if flag.startswith("rotation_unknown:")}
    found = set(fake.SERIALS) - unknown
    assert {serial for serial in found if fake.SERIALS[serial] in ("thigh_r", "shank_r")} and len(found) >= 3
    for index, serial in enumerate(fake.SERIALS):
        off = walk.imu["rotation"].values[index].T @ fake.TURNED
        assert np.isnan(off).all() == (serial in unknown)
        if index and serial in found:  # by gravity and gait alone, never by the reference
            assert np.degrees(np.arccos((np.trace(off) - 1) / 2)) < 15.0


def test_the_lag_of_a_sample_is_measured(walk):
    sync = walk.attrs["sync"]
    assert sync["method"] == "estimated" and sync["r"] > 0.99
    np.testing.assert_allclose(sync["offset_s"], -LATE / fake.RATE_HZ, atol=0.25 / fake.RATE_HZ)


def test_the_person_and_the_walk_are_told(walk):
    table = walk.attrs["person_table"]
    assert table == {"sex": "female", "condition": "healthy", "age_y": 21.0, "height_m": 1.66, "mass_kg": 61.0,
                     "leg_length_m": 0.832}  # fmt: skip
    assert walk.attrs["walk"] == {"speed": "comfortable", "named_side": "right"}


# --- sensors: where they sit ------------------------------------------------------------------------------------------


def test_without_a_table_only_the_pelvis_is_known(tmp_path):
    assert read_wearing(tmp_path / "sensors.csv") == dict(KNOWN)
    fake.write_mat(tmp_path / "data.mat", {PELVIS: small(), "B42D48": small()})
    found = read_sensors(tmp_path / "data.mat", KNOWN)
    assert found.serials == (PELVIS,) and found.left_out == ("B42D48",)
    with pytest.raises(DataError, match=r"no sensor of B42DA3, B42D48 is placed"):
        read_sensors(tmp_path / "data.mat", {"B40000": Worn("pelvis")})


def test_the_table_is_read_and_the_pelvis_keeps_its_axes(tmp_path):
    path = tmp_path / "sensors.csv"
    path.write_text("\ufeffserial,segment,site\r\nb42da3,pelvis,\r\n\r\nB42D48,thigh_l,lateral\r\n", encoding="utf-8")
    found = read_wearing(path)
    assert found[PELVIS].axes is not None and found["B42D48"].axes is None
    assert (found["B42D48"].side, found["B42D48"].site) == ("left", "lateral")
    path.write_text("serial,segment\nB42DA3,trunk\n")
    assert read_wearing(path)[PELVIS].axes is None


def test_all_that_is_wrong_in_the_table_is_told_by_line(tmp_path):
    path = tmp_path / "sensors.csv"
    path.write_text(
        "serial,segment,site\nB1,thigh_rr,\nB2,foot_r,top\nB2,foot_l,\nB3,foot_l,\nB3,foot_r,\n,pelvis,\nB5,pelvis,,1\n"
    )
    with pytest.raises(DataError) as error:
        read_wearing(path)
    assert [text.split(":")[0] for text in error.value.problems] == ["line 2", "line 3", "line 6", "line 7", "line 8"]
    assert "thigh_r" in error.value.problems[0] and str(path) in str(error.value)
    for text in ("", "sensor;segment\n", "serial,segment,colour\nB1,pelvis,red\n"):
        path.write_text(text)
        with pytest.raises(DataError, match="line 1"):
            read_wearing(path)


# --- markers: what is measured, and refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("turn", "up", "forward"),
    [(np.eye(3), "y", "x"), (fake.TO_LAB, "z", "y"), (np.diag([-1.0, -1.0, 1.0]) @ fake.TO_LAB, "z", "-y")],
)
def test_which_way_is_up_and_forward_is_measured(body, turn, up, forward):
    found = find_segments(fake.markers(body, turn), "here")
    assert (found.up, found.forward) == (up, forward)


def test_somebody_who_is_not_upright_is_refused(body):
    lying = np.array([[1.0, 0.0, 0.0], [0.0, 0.7071, -0.7071], [0.0, 0.7071, 0.7071]])
    with pytest.raises(DataError, match="nothing tells which way is up"):
        find_segments(fake.markers(body, lying), "here")


def test_without_condyles_the_knee_tells_its_axis(body, paths):
    """As for the one person who has no markers there."""
    bare = find_segments(fake.markers(body, without_condyles=True), "here")
    full = find_segments(paths, "here")
    assert "flexion_axis:functional:thigh_r" in bare.flags and set(bare.motions) == set(full.motions)
    for name in ("thigh_r", "shank_l"):
        off = np.swapaxes(bare.motions[name].rotation, 1, 2) @ full.motions[name].rotation
        turn = np.degrees(np.arccos(np.clip((np.trace(off, axis1=1, axis2=2) - 1) / 2, -1, 1)))
        assert np.nanmax(turn) < 8.0
        assert not np.isnan(turn).all()


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        ("RFemur5", "RFemur6", "RFemur6 outside of RFemur5"), ("LTibia5", "LTibia6", "LTibia6 outside of LTibia5"),
        ("Pelvis_RFemur_score", "Pelvis_LFemur_score", "outside of|exchanged"), ("RFoot1", "RFoot2", "foot_r"),
    ],
)  # fmt: skip
def test_exchanged_markers_are_refused(paths, one, other, reason):
    paths[one], paths[other] = paths[other], paths[one]
    with pytest.raises(DataError, match=reason):
        find_segments(paths, "here")


def test_a_whole_body_with_its_sides_exchanged_is_refused(paths):
    other = {"R": "L", "L": "R"}
    swapped = {"".join(other.get(letter, letter) for letter in name): path for name, path in paths.items()}
    with pytest.raises(DataError):
        find_segments(swapped, "here")


def test_metres_called_millimetres_are_refused(paths):
    with pytest.raises(DataError, match=r"250 to 600 mm .* found 0\.\d+: the unit"):
        find_segments({name: path / 1000 for name, path in paths.items()}, "here")


def test_a_marker_that_jumps_to_another_place_is_masked(paths):
    paths["RTibia2"][300:320] = paths["LTibia2"][300:320]
    found = find_segments(paths, "here")
    gone = np.isnan(found.motions["shank_r"].rotation).any(axis=(1, 2))
    assert list(np.flatnonzero(gone)) == list(range(300, 320))


def test_segments_without_markers_are_left_out_and_said(paths):
    left = {name: path for name, path in paths.items() if name not in ("LFoot1", "RFemur_RTibia_score")}
    found = find_segments(left, "here")
    assert set(found.lacking) == {"foot_l", "thigh_r", "shank_r"} and "LFoot1" in found.lacking["foot_l"]
    with pytest.raises(DataError, match="Pelvis_LFemur_score, 3 of Pelvis1"):
        find_segments(
            {n: p for n, p in paths.items() if n not in ("Pelvis_LFemur_score", "Pelvis1", "Pelvis2")}, "here"
        )


# --- what is missing, damaged, or declared invalid --------------------------------------------------------------------


def test_a_walk_without_sensors_keeps_its_angles(tmp_path):
    fake.write(tmp_path, people=1, length_s=4.0, without_imu=(1,), table=None, info=False)
    recording = prepare(KuopioAdapter().find(tmp_path).sources[0])
    assert recording.imu is None and "no extracted file" in recording.attrs["absent"]["imu"]
    assert "knee_flexion_r" in recording.reference["dof"].values and recording.attrs["person_table"]["sex"] == "unknown"


def test_a_trial_that_the_authors_call_invalid_is_skipped(empty):
    folder = empty("01/mocap/r_comf_01.c3d")
    fake.write_people(folder / "info_participants.xlsx", 1, "l_slow_03, R_comf_01")
    with pytest.raises(Skipped, match="invalid"):
        KuopioAdapter().find(folder).sources[0].load()


def test_what_nobody_can_be_is_flagged(empty):
    folder = empty("01/mocap/r_comf_01.c3d")
    path = folder / "info_participants.xlsx"
    fake.write_people(path, 1900)
    found = read_people(path)
    assert found["1899"].flags == ("age_y_impossible", "height_m_impossible", "mass_kg_impossible")
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(DataError, match="workbook"):
        KuopioAdapter().find(folder)


def test_a_rate_and_a_unit_that_are_others_are_refused_at_once(tmp_path):
    fake.write(tmp_path, people=1, length_s=2.0, without_imu=(1,), rate_hz=120.0, units="inch")
    with pytest.raises(DataError) as error:
        KuopioAdapter().find(tmp_path).sources[0].load()
    assert [text.split(" ")[0] for text in error.value.problems] == ["POINT:RATE:", "POINT:UNITS:"]


def small(acc=None, quat=None):
    n = 8 if acc is None else len(acc)
    fields = fake._fields(np.tile([9.8, 0.1, 0.2], (n, 1)) if acc is None else acc, np.zeros((n, 3)))
    fields["calibratedAcceleration"][:] = [9.8, 0.1, 0.2] if acc is None else acc
    for row, value in (quat or {}).items():
        fields["sdi"]["dq"][row, 0] = np.asarray(value, dtype=float)
    return fields


def test_sensors_that_are_not_as_published_are_refused_at_once(tmp_path):
    sensors = {
        "A1": {"calibratedAcceleration": np.ones((5, 2)), "sdi": small()["sdi"]},
        "A2": {"calibratedAcceleration": np.ones((8, 3))},
        "A3": small(acc=np.zeros((8, 3))),
        "A4": small(quat={row: [0.4, 0, 0, 0] for row in range(8)}),
    }
    fake.write_mat(tmp_path / "data_r_comf_01.mat", sensors)
    with pytest.raises(DataError) as error:
        read_sensors(tmp_path / "data_r_comf_01.mat", dict.fromkeys(sensors, Worn("pelvis")))
    reasons = ("n x 3", "struct array sdi", "no row of it was read", "no row of it was read")
    assert all(
        f"sensors.A{place}" in text and reason in text
        for place, (text, reason) in enumerate(zip(error.value.problems, reasons, strict=True), start=1)
    )


def test_sensors_of_other_lengths_are_padded_and_this_is_told(tmp_path):
    fake.write_mat(tmp_path / "data.mat", {PELVIS: small(), "B42D48": small(acc=np.full((5, 3), 3.0))})
    found = read_sensors(tmp_path / "data.mat", {**KNOWN, "B42D48": Worn("thigh_r")})
    assert found.shorter == {"B42D48": 3} and np.isnan(found.acc[5:, 1]).all() and np.isfinite(found.acc[:, 0]).all()


def test_a_cut_file_of_sensors_is_refused(raw, tmp_path):
    path = tmp_path / "01/imu_extracted/data_r_comf_01.mat"
    path.parent.mkdir(parents=True)
    path.write_bytes(next(raw.rglob("data_*.mat")).read_bytes()[:3000])
    with pytest.raises(DataError, match="MATLAB file") as error:
        KuopioAdapter().find(tmp_path).sources[0].load()
    assert "\n" not in str(error.value)
