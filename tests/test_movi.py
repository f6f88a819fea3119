"""MoVi by its door: what comes out of a folder in its layout, and what is refused or flagged, each with its fault."""

import numpy as np
import pytest
import scipy.io
from kinbench_adapters._formats.arrays import mat_fields, read_mat_tree
from kinbench_adapters._movi import conventions
from kinbench_adapters._movi.motions import motion_name, motions
from kinbench_adapters._movi.mounts import mounts
from kinbench_adapters._movi.person import person_table
from kinbench_adapters._movi.rest import find_rest, quaternion_world, tilts
from kinbench_adapters._movi.spine import describe
from kinbench_adapters._movi.suit import parse_header
from kinbench_adapters.movi import MoviAdapter
from raw_folders import movi as fake

from kinbench import plugins
from kinbench.conversion import prepare
from kinbench.errors import DataError, UsageError
from kinbench.testing import check_adapter

COLUMN = np.arange(336) % 16
ACC, GYR = (COLUMN >= 10) & (COLUMN < 13), COLUMN >= 13


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return fake.write(tmp_path_factory.mktemp("movi"), people=2, full=True, compress=True)


@pytest.fixture(scope="module")
def first(raw):
    """Round S1 of person 1, converted."""
    return prepare(source(raw, "Subject_1/S1"))


def source(folder, name, **settings):
    found = {f"{s.key.subject}/{s.key.session}": s for s in MoviAdapter(**settings).find(folder).sources}
    return found[name]


def one(folder, **quirks):
    """A folder with one round of one person, and its source."""
    fake.write(folder, people=1, rounds=("S1",), length_s=11.0, **quirks)
    return source(folder, "Subject_1/S1")


def step(recording, name):
    return next(step for step in recording.attrs["history"] if step["step"] == name)


# --- what is found ----------------------------------------------------------------------------------------------------


def test_every_round_that_is_there_is_found_and_no_other(raw):
    found = MoviAdapter().find(raw)
    assert [str(s.key) for s in found.sources] == [
        "movi/Subject_1/I1/all", "movi/Subject_1/I2/all", "movi/Subject_1/S1/all", "movi/Subject_1/S2/all",
        "movi/Subject_2/I1/all", "movi/Subject_2/S1/all",
    ]  # fmt: skip
    assert found.card.persons == 90 and not found.card.redistributable


def test_the_door_takes_the_settings_and_refuses_others(raw):
    adapter = plugins.create("adapters", "movi[trunk=spine1,virtual=true]")
    assert "movi/Subject_1/F/all" in [str(s.key) for s in adapter.find(raw).sources]
    for selector in ("movi[trunk=spine2]", "movi[compat=rapp2021]", "movi[virtual=1]"):
        with pytest.raises(UsageError):
            plugins.create("adapters", selector)


def test_folders_of_any_name_are_read(tmp_path):
    fake.write(tmp_path, people=1, rounds=("I1",), length_s=11.0, suit_folder="S_IMU", optical_folder="x")
    (tmp_path / "S_IMU" / "imu_Subject_1.mat").rename(tmp_path / "IMU_subject_01.MAT")
    assert [str(s.key) for s in MoviAdapter().find(tmp_path).sources] == ["movi/Subject_1/I1/all"]


def test_one_file_twice_is_refused(raw, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "imu_Subject_1.mat").write_bytes((raw / "IMUmatlab" / "imu_Subject_1.mat").read_bytes())
    with pytest.raises(DataError, match="twice"):
        MoviAdapter().find(tmp_path)


def test_a_suit_file_that_is_none_fails_alone(raw, tmp_path):
    (tmp_path / "imu_Subject_7.mat").write_bytes(b"nothing of the kind")
    (tmp_path / "imu_Subject_8.mat").write_bytes(b"MATLAB 7.3 MAT-file" + b" " * 200)
    (tmp_path / "imu_Subject_9.mat").write_bytes((raw / "IMUmatlab" / "imu_Subject_1.mat").read_bytes())
    found = {s.key.subject: s for s in MoviAdapter().find(tmp_path).sources if s.key.session in ("suit", "I1")}
    with pytest.raises(DataError, match="byte order mark"):
        found["Subject_7"].load()
    with pytest.raises(DataError, match=r"v7\.3"):
        found["Subject_8"].load()
    recording = found["Subject_9"].load()
    assert recording.attrs["person_table"]["height_m"] is None, "nothing tells who that is"


def test_it_keeps_an_adapters_promises(tmp_path):
    check_adapter(MoviAdapter(), fake.write(tmp_path, people=1, rounds=("S1", "I1"), length_s=11.0))


def test_the_tree_tells_the_files_and_their_damage(raw, tmp_path):
    tree = MoviAdapter.tree
    assert "10.5683/SP2/JRHDRN" in tree.steps[0] and not tree.downloads
    suit = tree.expected[0]
    good = next(raw.glob(suit.patterns[0]))
    assert suit.check(good) is None
    cut = tmp_path / "imu_Subject_1.mat"
    cut.write_bytes(good.read_bytes()[:-100])
    assert "the file ends" in suit.check(cut)


# --- the cameras' truth -----------------------------------------------------------------------------------------------


def test_angles_are_those_of_the_walker(first):
    body = fake.performance(1, "S1")
    for name in first.reference["dof"].values:
        off = (first.reference["angle"].sel(dof=name).values - body.angles[str(name)] + 180) % 360 - 180
        assert np.nanmax(np.abs(off)) < 0.05, name
    angle = first.reference["angle"]
    assert angle.attrs["tier"] == "optical_6dof" and angle.attrs["convention"] == "isb_zxy"


def test_what_visual3d_missed_is_missing_on_that_joint_only(first):
    hole = np.zeros(first.reference.sizes["time"], dtype=bool)
    hole[fake.MISSING_SPAN] = True
    for name, expected in (("knee_flexion_r", hole), ("ankle_inversion_r", hole), ("knee_flexion_l", ~hole & hole)):
        np.testing.assert_array_equal(np.isnan(first.reference["angle"].sel(dof=name).values), expected)


def test_positions_are_joints_in_metres_y_up(first):
    body = fake.performance(1, "S1")
    position = first.reference["segment_position"]
    for name in ("pelvis", "thigh_l", "foot_r"):
        ours = position.sel(segment=name).values
        known = np.isfinite(ours).all(axis=1)
        np.testing.assert_allclose(ours[known], body.position[name][known], atol=2e-4)


@pytest.mark.parametrize(
    ("quirk", "rows"), [({"markers": False}, True), ({"row_vectors": False}, False)], ids=["no-markers", "columns"]
)
def test_rows_and_columns_are_told_apart(tmp_path, quirk, rows):
    recording = one(tmp_path, **quirk).load()
    told = step(recording, "read_reference")["convention"]
    assert told["row_vectors"] is rows
    right, wrong = (told["rows"], told["columns"]) if rows else (told["columns"], told["rows"])
    assert wrong > 1.5 * right


def test_a_chain_that_fits_neither_convention_is_refused():
    body = fake.performance(1, "S1", 11.0)
    rotation, position = fake._lab(body, fake.V3D)
    names = ["pelvis", "thigh_r", "shank_r", "foot_r", "thigh_l", "shank_l", "foot_l"]
    v3d = ["RPV", "RTH", "RSK", "RFT", "LTH", "LSK", "LFT"]
    affine = np.tile(np.eye(4), (len(body.time), 7, 1, 1))
    affine[:, 0, :3, :3] = rotation["RPV"]
    affine[:, 0, :3, 3] = position["RPV"] * 1e3
    affine[:, 1:, :3, 3] = 100.0
    spun = np.random.RandomState(0).permutation(len(body.time))
    markers = np.stack([position[name] for name in v3d], axis=1)[spun] * 1e3
    with pytest.raises(DataError, match="rows or for columns"):
        conventions.placed(names, affine, [-1, 0, 1, 2, 0, 4, 5], markers, "S1")


def test_both_ways_to_build_a_foot_are_known(tmp_path, first):
    assert "ankle_zero:along_the_foot" in first.attrs["quality"]
    recording = prepare(one(tmp_path, foot_axes=fake.V3D, header="{number}{kind}{part}"))
    off = recording.reference["angle"].sel(dof="ankle_dorsiflexion_l").values
    np.testing.assert_allclose(off, fake.performance(1, "S1", 11.0).angles["ankle_dorsiflexion_l"], atol=0.05)
    assert "ankle_zero:along_the_foot" not in recording.attrs["quality"]


@pytest.mark.parametrize("turn", [np.diag([-1.0, -1.0, 1.0]), np.diag([1.0, -1.0, -1.0]), fake.V3D], ids=str)
def test_segment_axes_of_another_kind_are_refused(turn):
    body = fake.performance(1, "S1", 11.0)
    rotation, position = fake._lab(body, fake.V3D)
    names = ("pelvis", "thigh_r", "shank_r", "foot_r", "thigh_l", "shank_l", "foot_l")
    v3d = ("RPV", "RTH", "RSK", "RFT", "LTH", "LSK", "LFT")
    stacked = np.stack([rotation[name] for name in v3d], axis=1)
    segments = conventions.Segments(names, stacked, np.stack([position[name] for name in v3d], axis=1) * 1e3)
    upright = conventions.upright_frames(segments)
    axes, _ = conventions.segment_axes(segments, upright, "S1")
    assert set(axes) == set(names)
    stacked[:, 2] = stacked[:, 2] @ turn
    with pytest.raises(DataError, match="shank_r: while the person is upright") as caught:
        conventions.segment_axes(segments, upright, "S1")
    assert len(caught.value.problems) == 1


def test_without_an_upright_moment_nothing_is_believed():
    body = fake.performance(1, "S1", 11.0)
    rotation, position = fake._lab(body, fake.V3D)
    names = ("pelvis", "thigh_r", "shank_r", "foot_r", "thigh_l", "shank_l", "foot_l")
    v3d = ("RPV", "RTH", "RSK", "RFT", "LTH", "LSK", "LFT")
    points = np.stack([position[name] for name in v3d], axis=1)[..., [2, 1, 0]]
    segments = conventions.Segments(names, np.stack([rotation[name] for name in v3d], axis=1), points)
    with pytest.raises(DataError, match="nothing confirms"):
        conventions.segment_axes(segments, conventions.upright_frames(segments), "S1")


def test_a_file_of_another_performance_is_refused(raw, tmp_path):
    (tmp_path / "S1_v3d_Subject_1.mat").write_bytes((raw / "S_V3D" / "F_v3d_Subject_1.mat").read_bytes())
    with pytest.raises(DataError, match="expected a variable 'Subject_1_S1', found Subject_1_F: another performance"):
        source(tmp_path, "Subject_1/S1").load()


def test_cameras_without_the_suits_file_stand_alone(raw, tmp_path):
    (tmp_path / "S2_v3d_Subject_1.mat").write_bytes((raw / "S_V3D" / "S2_v3d_Subject_1.mat").read_bytes())
    recording = prepare(source(tmp_path, "Subject_1/S2"))
    assert recording.imu is None and "not here" in recording.attrs["absent"]["imu"]
    assert recording.reference.sizes["dof"] == 21


# --- what was done, and by whom ---------------------------------------------------------------------------------------


def test_motions_come_in_the_persons_own_order(raw, first):
    second = source(raw, "Subject_2/S1").load()
    names = [[motion["name"] for motion in recording.attrs["motions"]] for recording in (first, second)]
    assert sorted(names[0]) == sorted(names[1]) and names[0] != names[1]
    last = first.attrs["motions"][-1]
    assert last["name"] == "dancing" and last["own_choice"] and last["stop_s"] == 14.0
    assert first.attrs["motions"][0]["start_s"] == 0.0


def test_spellings_of_a_motion_are_one():
    assert motion_name("jumping_jack") == motion_name("Jumping Jacks") == ("jumping_jacks", False)
    assert motion_name("crossarms") == motion_name("cross_arms") == ("cross_arms", False)
    assert motion_name("dancing_rm") == ("dancing", True)


@pytest.mark.parametrize(
    ("fields", "count", "told"),
    [
        ({"motions_list": ("walking",), "flags120": np.array([[1.0, 50.0]])}, 1, None),
        ({"motions_list": ("walking",), "flags120": np.array([[1.0, 101.0]])}, 0, "another performance"),
        ({"motions_list": ("walking",), "flags120": np.array([[60.0, 50.0]])}, 0, "another performance"),
        ({"motions_list": ("walking", "x"), "flags120": np.array([[1.0, 50.0], [np.nan, np.nan]])}, 1, "1 of 2"),
        ({"motions_list": ("walking",), "flags120": np.ones((2, 2))}, 0, "lists 1 motions"),
        ({"motions_list": ("walking",)}, 0, "marks no motions"),
    ],
    ids=["whole", "beyond", "backwards", "incomplete", "unequal", "absent"],
)
def test_marks_that_are_not_of_this_round_are_not_believed(fields, count, told):
    found, reason = motions(fields, 100)
    assert len(found) == count
    assert reason is None if told is None else told in reason


@pytest.mark.parametrize(
    ("height", "height_m"), [(178.0, 1.78), (1.78, 1.78), (1780.0, 1.78), (70.0, None), (17.8, None)]
)
def test_a_height_is_in_the_only_unit_a_body_fits(height, height_m):
    table, flags = person_table({"height": np.array([[height]]), "sex": "Female", "mass": "64", "age": np.nan})
    assert table == {"sex": "female", "condition": "unknown", "height_m": height_m, "mass_kg": 64.0, "age_y": None}
    assert flags == ([] if height_m else ["height_m_impossible"])


def test_the_person_is_the_same_in_every_round(raw, first):
    unlabelled = source(raw, "Subject_1/I1").load()
    assert unlabelled.attrs["person"] == first.attrs["person"] == "movi/Subject_1"
    assert unlabelled.attrs["person_table"] == first.attrs["person_table"]
    assert unlabelled.reference is None and "no camera" in unlabelled.attrs["absent"]["reference"]


# --- the suit ---------------------------------------------------------------------------------------------------------


def test_signals_in_segment_axes_are_those_of_the_walker(first):
    body = fake.performance(1, "S1")
    assert first.imu["acc"].attrs["units"] == "m s-2" and first.imu["acc"].attrs["kind"] == "specific_force"
    for index, name in enumerate(str(n) for n in first.imu["segment"].values):
        rotation = first.imu["rotation"].values[index]
        gyr = first.imu["gyr"].values[:, index] @ rotation.T
        step_ = body.rotation[name][:-1].swapaxes(1, 2) @ body.rotation[name][1:]
        rate = np.stack([step_[:, 2, 1], step_[:, 0, 2], step_[:, 1, 0]], axis=1) * fake.RATE_HZ
        assert np.median(np.abs(gyr[:-1] - rate)) < 0.05, name
        up = first.imu["acc"].values[:120, index].mean(axis=0) @ rotation.T
        np.testing.assert_allclose(np.linalg.norm(up), 9.80665, atol=0.1)
        tilted = body.rotation[name][:120].mean(axis=0).T @ [0, 1, 0]
        np.testing.assert_allclose(up / 9.80665, tilted, atol=0.03)


@pytest.fixture(scope="module")
def round_i1(raw):
    """The fields of one round of the suit, as they stand in the file."""
    return read_mat_tree(raw / "IMUmatlab" / "imu_Subject_2.mat", keep=("IMU.I1.*",))["IMU"]["I1"]


def suit_file(folder, fields, compressed=True):
    """A suit's file with one round I1 of these fields; returns its source."""
    cells = {name: fake._cell(value) if isinstance(value, tuple) else value for name, value in fields.items()}
    scipy.io.savemat(folder / "imu_Subject_1.mat", {"IMU": {"I1": cells}}, do_compression=compressed)
    return source(folder, "Subject_1/I1")


def test_columns_go_by_their_headers(raw, round_i1, tmp_path):
    order = np.random.RandomState(0).permutation(336)
    headers = tuple(np.array(round_i1["dataHeader"])[order])
    ours = suit_file(tmp_path, round_i1 | {"data": round_i1["data"][:, order], "dataHeader": headers}).load().imu
    whole = source(raw, "Subject_2/I1").load().imu
    for name in ("acc", "gyr", "quat"):
        np.testing.assert_array_equal(ours[name].values, whole[name].values)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("01-A-x", ("01", "A", "x")), ("01Ax", ("01", "A", "x")), ("A01_y", ("01", "A", "y")),
        ("02-Q-s", ("02", "Q", "w")), ("02-Q-w", ("02", "Q", "w")), ("02-W-z", ("02", "W", "z")),
        ("RightArm-02-X-x", ("02", "X", "x")), ("Arm 02 X X", ("02", "X", "x")), ("01-Q-0", ("01", "Q", "0")),
        ("01-V", ("01", "V", "")), ("03-A-x", None), ("Hip-A-x", None), ("01-B-x", None), ("01-02-A-x", None),
        ("0102-A-x", None), ("", None),
    ],
)  # fmt: skip
def test_a_header_tells_one_joint_and_kind_or_nothing(header, found):
    assert parse_header(header, ["01", "02"]) == found


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda f: f | {"data": f["data"][:, :-1]}, "335 columns and 336 headers"),
        (lambda f: f | {"dataHeader": (*f["dataHeader"][:-1], "21-B-z")}, "is headed '21-B-z'"),
        (lambda f: f | {"dataHeader": (*f["dataHeader"][:-1], "21-W-x")}, "as another one is"),
        (lambda f: f | {"jointNumbers": f["jointNumbers"][:-1]}, "20 for 21 names"),
        (lambda f: f | {"jointNames": ("Hips", *f["jointNames"][1:])}, "include Hip"),
        (lambda f: f | {"data": f["data"][:0]}, "expected 'data'|the round is empty"),
        (lambda f: f | {"data": f["data"] * np.where(ACC, 9.8, 1)}, "accelerations in g"),
        (lambda f: f | {"data": f["data"] * np.where(GYR, 57.3, 1)}, "rates in rad"),
        (lambda f: f | {"data": np.where(np.arange(336) == 10, 1e200, f["data"])}, "kind A lie beyond 200 g"),
    ],
    ids=["narrow", "kind", "double", "numbers", "names", "empty", "metres", "degrees", "wild"],
)
def test_a_round_that_contradicts_itself_is_refused(round_i1, tmp_path, spoil, told):
    with pytest.raises(DataError, match=told) as caught:
        suit_file(tmp_path, spoil(round_i1)).load()
    assert "imu_Subject_1.mat" in str(caught.value)


def test_tan_2024_leaves_g_and_says_so(raw, first):
    recording = prepare(source(raw, "Subject_1/S1", compat="tan2024"))
    assert recording.imu["acc"].attrs["kind"] == "tan2024" and "acc_in_g:tan2024" in recording.attrs["quality"]
    assert "in g" in recording.imu["acc"].attrs["numbers"]
    np.testing.assert_allclose(recording.imu["acc"].values * 9.80665, first.imu["acc"].values, rtol=1e-5, atol=1e-5)


# --- gravity, orientations, the spine ---------------------------------------------------------------------------------


def still(mounted, count=240, **turned):
    """Everybody standing: (acc, gyr) of sensors whose axes are the published ones but for ``turned``."""
    random = np.random.RandomState(1)
    rotation = [turned.get(mount.joint, next(iter(mount.rotations.values()))) for mount in mounted]
    acc = np.stack([np.tile(r.T @ [0.0, 1.0, 0.0], (count, 1)) for r in rotation], axis=1)
    return acc + random.normal(0, 0.002, acc.shape), random.normal(0, 0.01, acc.shape)


@pytest.mark.parametrize("joint", ["Hip", "RightLeg"])
def test_an_axis_that_gravity_denies_is_flagged_and_stays(joint):
    mounted = mounts("spine3")
    acc, gyr = still(mounted, **{joint: np.eye(3)})
    found = dict(zip([m.joint for m in mounted], tilts(mounted, find_rest(acc, gyr, None)), strict=True))
    assert [name for name, tilt in found.items() if tilt.doubted] == [joint]
    assert found[joint].off_deg > 80 and found[joint].reading == "published"


@pytest.mark.parametrize("reading", list(mounts("spine3")[-1].rotations))
def test_gravity_decides_how_the_foot_is_worn(reading):
    mounted = mounts("spine1")
    acc, gyr = still(mounted, LeftFoot=mounted[-1].rotations[reading])
    found = tilts(mounted, find_rest(acc, gyr, None))[-1]
    assert found.reading == reading and not found.doubted and not found.unclear
    np.testing.assert_allclose(found.rotation @ acc[:, -1].mean(axis=0), [0, 1, 0], atol=0.01)


def test_a_foot_worn_between_two_readings_is_unclear():
    mounted = mounts("spine3")
    published, other = (mounted[-1].rotations[name] for name in (*mounted[-1].rotations,)[::2])
    between = published.T @ [0, 1, 0] + other.T @ [0, 1, 0]
    acc, gyr = still(mounted)
    acc[:, -1] = between / np.linalg.norm(between)
    found = tilts(mounted, find_rest(acc, gyr, None))[-1]
    assert found.unclear and found.reading == next(iter(mounted[-1].rotations))


def test_a_person_who_never_rests_confirms_nothing():
    mounted = mounts("spine3")
    acc, gyr = still(mounted)
    rest = find_rest(acc, gyr + 1.0, None)
    assert all(tilt.off_deg is None and not tilt.doubted for tilt in tilts(mounted, rest))
    assert quaternion_world(acc, np.ones((*acc.shape[:2], 4)), rest)[0] is None


def test_a_sitting_rest_counts_only_where_no_standing_one_is_seen():
    mounted = mounts("spine3")
    standing, gyr = still(mounted)
    sitting = still(mounted, RightUpLeg=np.eye(3))[0]
    upright = np.repeat([True, False], 240)
    rest = find_rest(np.vstack([standing, sitting]), np.vstack([gyr, gyr]), upright)
    assert rest.standing and not any(tilt.doubted for tilt in tilts(mounted, rest))


def test_orientations_that_are_not_the_sensors_are_left_out(tmp_path, first):
    assert first.imu["quat"].attrs["origin"].startswith("Axis Neuron")
    recording = prepare(one(tmp_path, world_quat=False))
    assert "quat" not in recording.imu and "not those of the sensors" in recording.attrs["absent"]["quat"]


@pytest.mark.parametrize("measured", ["Spine", "Spine1", "Spine3"])
def test_the_measured_spine_entry_is_found_in_the_numbers(measured):
    random = np.random.RandomState(3)
    made = {name: random.normal(0, 1, (2000, 3)).cumsum(axis=0) * 0.02 for name in ("Hip", measured, "Head")}
    made = {name: values + random.normal(0, 0.002, values.shape) for name, values in made.items()}
    fake._compute_spine(measured, made)
    found = describe(made)
    assert [name for name, told in found.items() if told == "measured"] == [measured]
    assert describe({**made, "Neck": made["Head"]})["Neck"] == "repeats Head"
    assert describe({**made, "Neck": np.zeros((2000, 3))})["Neck"] == "constant"
    smooth = np.sin(np.arange(6000).reshape(2000, 3) / 900)
    assert "without a sensor's noise" in describe({**made, "Neck": smooth})["Neck"]


def test_a_computed_trunk_is_flagged_and_the_setting_mends_it(tmp_path):
    worn = one(tmp_path, spine="Spine1").load()
    assert "trunk_computed:Spine3" in worn.attrs["quality"]
    mended = source(tmp_path, "Subject_1/S1", trunk="spine1").load()
    assert not [flag for flag in mended.attrs["quality"] if flag.startswith("trunk_computed")]
    assert str(mended.imu["sensor"].values[0]) == "Spine1"


# --- clocks, virtual sensors ------------------------------------------------------------------------------------------


def test_one_clock_where_the_lengths_agree(first):
    sync = first.attrs["sync"]
    assert sync["method"] == "same_clock" and abs(sync["measured_shift_s"]) < 1e-3 and sync["r"] > 0.99


def test_a_suit_that_starts_late_is_measured(tmp_path):
    sync = prepare(one(tmp_path, late=30)).attrs["sync"]
    assert sync["method"] == "estimated"
    np.testing.assert_allclose(sync["offset_s"], -30 / fake.RATE_HZ, atol=0.5 / fake.RATE_HZ)


def test_round_f_has_virtual_sensors_where_asked(raw):
    recording = prepare(source(raw, "Subject_1/F", virtual=True))
    assert set(recording.imu["origin"].values) == {"synthetic"} and recording.imu.sizes["sensor"] == 8
    body = fake.performance(1, "F")
    index = [str(name) for name in recording.imu["segment"].values].index("thigh_l")
    up = recording.imu["acc"].values[:120, index].mean(axis=0) @ recording.imu["rotation"].values[index].T
    np.testing.assert_allclose(up / 9.80665, body.rotation["thigh_l"][:120].mean(axis=0).T @ [0, 1, 0], atol=0.03)


# --- files that are damaged -------------------------------------------------------------------------------------------


def test_names_are_told_without_reading(raw):
    path = raw / "IMUmatlab" / "imu_Subject_1.mat"
    assert mat_fields(path) == {"IMU": ("S1_Synched", "S2_Synched", "I1", "I2")}
    assert mat_fields(raw / "S_V3D" / "S1_v3d_Subject_1.mat") == {"Subject_1_S1": ("subject", "move")}


@pytest.fixture(scope="module")
def small(round_i1, tmp_path_factory):
    """The bytes of a suit's file of one second, quick to read, compressed and not."""
    folder = tmp_path_factory.mktemp("small")
    found = []
    for compressed in (True, False):
        suit_file(folder, round_i1 | {"data": round_i1["data"][:120]}, compressed=compressed)
        found.append((folder / "imu_Subject_1.mat").read_bytes())
    return found


@pytest.mark.parametrize("seed", range(6))
def test_damaged_bytes_are_refused_or_read_and_never_crash(small, tmp_path, seed):
    random = np.random.RandomState(seed)
    raw = bytearray(small[seed % 2])
    if seed % 3:
        for place in random.randint(0, len(raw), 1 + 40 * (seed % 2)):
            raw[place] ^= 1 << random.randint(8)
    else:
        raw = raw[: random.randint(len(raw))]
    path = tmp_path / "imu_Subject_1.mat"
    path.write_bytes(raw)
    for found in MoviAdapter().find(tmp_path).sources:
        try:
            found.load()
        except DataError as error:
            assert "\n" not in error.problems[0] and error.where
