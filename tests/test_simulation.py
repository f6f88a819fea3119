"""The simulated cohort: its people, its physics, its files, and what was planted in them."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from kinbench_adapters._simulation import COHORT, Cohort, cohort, gait, planted, truth, vendors
from kinbench_adapters._simulation.chain import SEGMENTS, angles_of, move
from kinbench_adapters.lab import LabAdapter
from kinbench_adapters.opensense import OpenSenseAdapter
from scipy.interpolate import CubicSpline
from scipy.signal import butter, sosfiltfilt
from scipy.spatial.transform import Rotation

from kinbench import inspection, plugins, schema
from kinbench.alignment import align
from kinbench.contracts import Demo
from kinbench.harmonisation import harmonise
from kinbench.kinematics import joint_angles

PHASE = np.linspace(0, 1, 100, endpoint=False)
SAGITTAL = ("hip_flexion_r", "knee_flexion_r", "ankle_dorsiflexion_r")
SMALL = Cohort(people_per_laboratory=4, length_s=35.0)
JOINTS = [("knee_flexion_r", "thigh_r", "shank_r"), ("knee_flexion_l", "thigh_l", "shank_l"),
          ("ankle_dorsiflexion_r", "shank_r", "foot_r"), ("hip_flexion_l", "pelvis", "thigh_l")]  # fmt: skip


@pytest.fixture(scope="module")
def people():
    return list(cohort.people())


@pytest.fixture(scope="module")
def one(people):
    """One person's walk, and the motion of the segments."""
    random = np.random.RandomState(1)
    plan = cohort.Walk(length_s=50.0, stand_s=7.0, turn_deg=180.0, straight_s=(5.0, 7.0), pace=1.0)
    course = gait.walk(random, people[0].style, plan, 200.0)
    return people[0], course, move(people[0].body, course)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    told = []
    parts = SMALL.write(folder, lambda *args: told.append(args))
    return folder, parts, told


@pytest.fixture(scope="module")
def recordings(written):
    """Everything the small cohort holds, through the adapters and in the schema, clocks not yet aligned."""
    _, (hall, corridor), _ = written
    sources = (*OpenSenseAdapter().find(hall.raw).sources, *LabAdapter().find(corridor.raw).sources)
    return {str(source.key): harmonise(source.load()) for source in sources}


def mt_file(folder, subject, sensor):
    home = folder / "simulated-a" / subject / "walking" / "IMU" / "xsens" / "LowerExtremity"
    place = [mount.sensor for mount in cohort.HALL.mounts].index(sensor)
    return pd.read_csv(sorted(home.glob("*.txt"))[place], sep="\t", comment="/")


def digests(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# --- who they are -----------------------------------------------------------------------------------------------------


def test_the_cohort_is_reached_through_its_door_and_is_a_demo():
    assert plugins.get("demos", "cohort").load() is COHORT
    assert isinstance(COHORT, Demo)
    for kind in ("protocols", "tasks", "models"):
        assert set(getattr(COHORT.recipe, kind)) <= set(plugins.find(kind)), kind
    assert (COHORT.name, COHORT.version, COHORT.seed) == ("cohort", "1", 20250114)


def test_seed_and_version_mean_these_people(people):
    """Whoever changes what is drawn makes another cohort, and must give it another version."""
    assert COHORT.version == "1"
    heights = [round(person.body.height_m, 6) for person in people]
    assert heights[:2] == [1.856878, 1.736157]


def test_there_are_twelve_people_in_two_laboratories_who_walk_long_enough(people):
    assert len(people) >= 12
    assert len({person.laboratory.dataset for person in people}) == 2
    for laboratory in cohort.LABORATORIES:
        walked = sum(laboratory.plan.length_s - laboratory.plan.stand_s for _ in laboratory.trials)
        assert 100 <= walked <= 120
        assert laboratory.plan.stand_s - laboratory.imu_start_s[1] >= 5, "the calibration pose must be 5 s at least"


def test_the_laboratories_disagree_in_everything():
    hall, corridor = cohort.LABORATORIES
    assert hall.rate_hz != corridor.rate_hz
    assert hall.device != corridor.device
    assert hall.stride_s != corridor.stride_s
    assert hall.amplitude != corridor.amplitude
    for mine in hall.mounts:
        theirs = next(mount for mount in corridor.mounts if mount.segment == mine.segment)
        assert not np.allclose(mine.rotation, theirs.rotation, atol=0.1), mine.segment


def test_six_harmonics_hold_the_published_curves():
    values = gait.normal_coefficients()
    waves = np.exp(2j * np.pi * np.arange(0, 1, 0.05)[:, None] * np.arange(gait.HARMONICS + 1))
    fitted = dict(zip(gait.DOFS, (waves @ values).real.T, strict=True))
    for name, curve in (gait._LEG_CURVES | gait._BODY_CURVES).items():
        np.testing.assert_allclose(fitted.get(name, fitted.get(f"{name}_r")), curve, atol=1.0)
    np.testing.assert_allclose(fitted["knee_flexion_l"], np.roll(fitted["knee_flexion_r"], 10), atol=1e-9)


def test_people_differ_as_much_as_published_bands_do(people):
    for laboratory in cohort.LABORATORIES:
        mine = [person for person in people if person.laboratory is laboratory]
        strides = np.stack([gait.normal_angles(person.style, PHASE) for person in mine])
        for name in SAGITTAL:
            seen = strides[:, :, gait.DOFS.index(name)] + np.array([[p.zero_deg[name]] for p in mine])
            assert 2.0 < np.std(seen, axis=0, ddof=1).mean() < 7.5, name


def test_sensors_sit_some_degrees_from_where_they_should(people):
    errors = [
        np.rad2deg(Rotation.from_matrix(seat.rotation @ seat.mount.rotation.T).magnitude())
        for person in people
        for seat in person.seats
    ]
    assert 5 < np.mean(errors) < 10
    assert all(np.isclose(np.linalg.det(seat.rotation), 1) for person in people for seat in person.seats)


# --- how they move ----------------------------------------------------------------------------------------------------


def test_the_segments_turn_by_the_angles_of_the_course(one):
    _, course, motion = one
    known = angles_of(course, motion)
    for name, dof in schema.DOFS.items():
        distal = motion.turn[dof.distal].as_quat(scalar_first=True)
        world = np.tile([1.0, 0, 0, 0], (len(distal), 1))
        proximal = world if dof.proximal == "world" else motion.turn[dof.proximal].as_quat(scalar_first=True)
        found = dof.sign * joint_angles(proximal, distal)[:, dof.component]
        np.testing.assert_allclose((found - known[name] + 180) % 360 - 180, 0, atol=1e-6, err_msg=name)


def test_bones_keep_their_length(one):
    person, _, motion = one
    for a, b, length_m in (("thigh_r", "shank_r", person.body.thigh_m), ("shank_l", "foot_l", person.body.shank_m)):
        np.testing.assert_allclose(np.linalg.norm(motion.position[a] - motion.position[b], axis=1), length_m, atol=1e-9)


def test_the_standing_foot_stays_and_the_body_goes_on(one):
    _, course, motion = one
    steady = course.effort > 0.99
    flat = steady & (np.abs(course.phase % 1 - 0.25) < 0.05)
    foot = np.linalg.norm(np.gradient(motion.position["foot_r"][:, [0, 2]], 1 / 200.0, axis=0), axis=1)
    body = np.linalg.norm(np.gradient(motion.position["pelvis"][:, [0, 2]], 1 / 200.0, axis=0), axis=1)
    assert np.median(foot[flat]) < 0.25
    assert 0.9 < np.median(body[steady]) < 1.8
    assert np.ptp(motion.position["pelvis"][steady][:, 1]) < 0.12
    assert 0.75 < np.median(motion.position["pelvis"][:, 1]) / (one[0].body.thigh_m + one[0].body.shank_m) < 1.15


def test_a_trial_begins_still_and_has_turns_and_pauses_and_no_two_strides_alike(one):
    _, course, motion = one
    assert set(motion.turn) == set(SEGMENTS)
    assert course.effort[course.time < 6.5].max() < 0.01
    walking = course.time > 9
    assert course.effort[walking & (course.time < 46)].min() < 0.1, "a pause"
    assert np.ptp(course.heading_deg) > 120, "a turn"
    peaks = [
        course.angles[inside, gait.DOFS.index("knee_flexion_r")].max()
        for stride in range(3, 25)
        if (inside := np.floor(course.phase) == stride).any() and course.effort[inside].min() > 0.99
    ]
    assert len(peaks) > 4
    assert np.std(peaks) > 0.3


# --- what they leave on disk ------------------------------------------------------------------------------------------


def test_the_same_bytes_every_time(tmp_path):
    tiny = Cohort(people_per_laboratory=1, length_s=30.0)
    tiny.write(tmp_path / "a")
    tiny.write(tmp_path / "b")
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert len(digests(tmp_path / "a")) > 12


def test_progress_is_told_from_none_to_all(written):
    _, _, told = written
    assert told[0][0] == 0
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert told[-1][0] == told[-1][1]


def test_everything_says_that_it_is_simulated(written, recordings):
    folder, parts, _ = written
    assert [part.name for part in parts] == ["simulated-a", "simulated-b"]
    assert json.loads((folder / "simulated-a" / "SIMULATED.json").read_text()) == {
        "simulation": True, "name": "simulated-a", "version": "1", "seed": COHORT.seed,
    }  # fmt: skip
    for part, adapter in zip(parts, (OpenSenseAdapter(), LabAdapter()), strict=True):
        assert adapter.find(part.raw).card.simulation
    for recording in recordings.values():
        assert recording.attrs["simulation"] is True
        assert recording.reference["angle"].attrs["tier"] == "simulation"


def test_the_hall_writes_the_study_layout(written):
    folder, _, _ = written
    home = folder / "simulated-a" / "Subject01" / "walking"
    assert (home / "IMU" / "myIMUMappings_walking.xml").is_file()
    assert len(list((home / "IMU" / "xsens" / "LowerExtremity").glob("MT_012005D6_001-001_00B4*.txt"))) == 8
    text = (home / "Mocap" / "ikResults" / "walking_IK.mot").read_text()
    assert "inDegrees=yes" in text
    labels = text.split("endheader\n")[1].split("\n")[0].split("\t")
    assert labels[:4] == ["time", "pelvis_tilt", "pelvis_list", "pelvis_rotation"]
    assert {"knee_angle_r", "ankle_angle_l", "subtalar_angle_r"} <= set(labels)
    knee = np.loadtxt(text.splitlines()[len(text.split("endheader")[0].splitlines()) + 2 :])[
        :, labels.index("knee_angle_r")
    ]
    assert knee.max() > 40, "flexion is positive, in degrees"


@pytest.mark.parametrize("sensor", ["pelvis_imu", "femur_r_imu", "calcn_l_imu"])
def test_at_rest_the_hall_reads_gravity_in_si_and_its_filter_knows_where_up_is(written, sensor):
    table = mt_file(written[0], "Subject01", sensor).iloc[50:450]
    acc = table[["Acc_X", "Acc_Y", "Acc_Z"]].to_numpy()
    assert np.median(np.linalg.norm(acc, axis=1)) == pytest.approx(schema.GRAVITY, abs=0.2)
    matrix = table[[f"Mat[{row}][{column}]" for row in (1, 2, 3) for column in (1, 2, 3)]].to_numpy().reshape(-1, 3, 3)
    np.testing.assert_allclose(np.einsum("nij,nj->ni", matrix, acc).mean(axis=0), [0, 0, schema.GRAVITY], atol=0.8)
    assert np.abs(table[["Gyr_X", "Gyr_Y", "Gyr_Z"]].to_numpy()).mean() < 0.02
    assert np.linalg.norm(table[["Mag_X", "Mag_Y", "Mag_Z"]].to_numpy(), axis=1).mean() == pytest.approx(1, abs=0.02)


def test_at_rest_the_corridor_reads_gravity_in_g_and_turns_in_degrees(written):
    table = pd.read_csv(written[0] / "simulated-b" / "P01" / "walk1_imu.csv")
    for sensor in ("TRK", "PEL", "THR", "SHL", "FTR"):
        still = table.iloc[:300]
        assert np.median(np.linalg.norm(still[[f"{sensor}_a{a}" for a in "xyz"]], axis=1)) == pytest.approx(1, abs=0.05)
    shank = np.linalg.norm(table[[f"SHR_g{a}" for a in "xyz"]], axis=1)
    assert 150 < np.percentile(shank, 99) < 700, "degrees per second"
    assert np.diff(table["t_ms"]).mean() == pytest.approx(1000 / 60, abs=1e-3)


def test_the_corridor_counts_extension_in_radians_and_the_ankle_from_the_shank(written):
    table = pd.read_csv(written[0] / "simulated-b" / "P01" / "walk1_angles.csv")
    assert table["R_KneeExt"].min() < -0.6
    assert 1.1 < table["R_AnkleInner"].median() < 2.0
    assert table.notna().all().all()


def test_a_hidden_marker_leaves_empty_cells_that_are_masked(written, recordings):
    table = pd.read_csv(written[0] / "simulated-b" / "P03" / "walk2_angles.csv")
    gone = table["L_KneeExt"].isna()
    assert gone.sum() == pytest.approx(24, abs=1)
    assert table.drop(columns="L_KneeExt").notna().all().all()
    angle = recordings["simulated-b/P03/1/walk2"].reference["angle"].sel(dof="knee_flexion_l")
    assert np.isnan(angle.values).sum() == gone.sum()


def test_the_hall_loses_doubles_and_cuts_packets_as_planted(written):
    folder = written[0]

    def counters(subject, sensor):
        return mt_file(folder, subject, sensor)["PacketCounter"].to_numpy()

    assert np.all(np.diff(counters("Subject01", "femur_r_imu")) == 1)
    assert list(counters("Subject02", "femur_r_imu")[:3]) == [1850, 1850, 1851]
    lost = np.setdiff1d(counters("Subject03", "femur_l_imu"), counters("Subject03", "tibia_r_imu"))
    assert list(lost - counters("Subject03", "femur_l_imu")[0]) == [1203, 2950, 2951, 2952]
    lengths = {sensor: len(counters("Subject04", sensor)) for sensor in ("pelvis_imu", "tibia_l_imu", "torso_imu")}
    assert lengths["pelvis_imu"] - lengths["tibia_l_imu"] == 31
    assert lengths["pelvis_imu"] - lengths["torso_imu"] == 15


def test_a_counter_wraps_in_the_middle_of_a_trial(people):
    trial = cohort.capture(people[4], "walking", 30.0)
    text = vendors._mt_text(
        np.random.RandomState(0), trial.readings[0], vendors.FIRST_PACKET["Subject05"], vendors.Fault()
    )
    first = [line.split("\t")[0] for line in text.splitlines()[6:]]
    assert first[65535 - 65000 : 65537 - 65000] == ["65535", "00000"]


def test_what_the_whole_cohort_plants_is_within_its_trials(people):
    rows = min(len(cohort.capture(people[0], "walking").readings[0].acc), 10_000)
    for subject, faults in vendors.FAULTS.items():
        assert subject in cohort.HALL.subjects
        for fault in faults.values():
            assert max((*fault.lost, fault.doubled or 0)) < rows
    assert vendors.FIRST_PACKET["Subject05"] + rows > 65536


# --- what was planted can be found ------------------------------------------------------------------------------------


def explained(recording, dof, proximal, distal, offset_s):
    """Multiple correlation of a joint's rate with the two gyros beside it, the reference starting at ``offset_s``."""
    imu, reference = recording.imu, recording.reference
    time, angle = reference["time"].values, reference["angle"].sel(dof=dof).values.astype(float)
    rate_hz = (len(time) - 1) / (time[-1] - time[0])
    low = butter(4, 8.0, fs=rate_hz, output="sos")
    segments = [str(segment) for segment in imu["segment"].values]
    gyr = imu["gyr"].values[:, [segments.index(proximal), segments.index(distal)]].reshape(imu.sizes["time"], 6)
    whole = np.isfinite(gyr).all(axis=1)
    clock = time - time[0] + offset_s
    inside = (clock > imu["time"].values[0]) & (clock < imu["time"].values[-1]) & np.isfinite(angle)
    heard = sosfiltfilt(low, CubicSpline(imu["time"].values[whole], gyr[whole])(clock), axis=0)
    wanted = sosfiltfilt(low, np.gradient(np.where(np.isfinite(angle), angle, 0.0), time))
    design = np.column_stack([heard[inside], np.ones(inside.sum())])
    fit = design @ np.linalg.lstsq(design, wanted[inside], rcond=None)[0]
    return float(np.corrcoef(fit, wanted[inside])[0, 1])


@pytest.mark.parametrize(("dof", "proximal", "distal"), JOINTS)
@pytest.mark.parametrize("key", ["simulated-a/Subject01/1/walking", "simulated-b/P02/1/walk1"])
def test_two_gyros_explain_the_joint_rate_at_the_planted_lag_and_at_no_other(recordings, key, dof, proximal, distal):
    lag = planted()[key]
    there = explained(recordings[key], dof, proximal, distal, lag)
    assert there > 0.95
    for wrong_s in (-0.1, 0.1):
        assert explained(recordings[key], dof, proximal, distal, lag + wrong_s) < there - 0.02


def test_every_key_is_planted_and_every_offset_is_found_within_a_third_of_a_sample(recordings):
    known = planted()
    assert set(recordings) <= set(known)
    for key, recording in recordings.items():
        found = align(recording)
        rate_hz = found.attrs["rates"]["imu"]["nominal_hz"]
        assert (found.attrs["sync"]["offset_s"] - known[key]) * rate_hz == pytest.approx(0, abs=0.3), key
        assert found.validate() == [], key


def test_offsets_differ_and_are_no_whole_samples():
    shifts = np.array([*planted().values()])
    assert len(np.unique(np.round(shifts, 3))) == len(shifts)
    assert (shifts < 0).any()
    assert (shifts > 0).any()
    assert np.abs(shifts * 300 - np.round(shifts * 300)).max() > 0.1


def test_the_truth_names_every_sensor_and_zero():
    for key, known in truth().items():
        assert len(known.rotations) == 8, key
        assert set(schema.DOFS) <= set(known.zero_deg)
        assert known.offset_s == planted()[key]


def test_a_folder_that_cannot_be_written_is_not_silently_skipped(tmp_path):
    (tmp_path / "simulated-a").write_text("in the way")
    with pytest.raises(OSError, match="simulated-a"):
        Cohort(people_per_laboratory=1, length_s=30.0).write(Path(tmp_path))


def test_thighs_that_move_a_little_more_with_the_other_shank_are_no_exchange_however_many_say_so(recordings):
    """Whoever walks evenly does: two people, two walks each, all four of them with the same small lead across."""
    found = {}
    for key, recording in recordings.items():
        if key.startswith(("simulated-b/P01", "simulated-b/P02")):
            legs = [str(name).startswith(("thigh", "shank")) for name in recording.imu["segment"].values]
            found[key] = inspection.check(replace(recording, imu=recording.imu.isel(sensor=np.flatnonzero(legs))))
    assert len(found) == 4
    assert {one.verdict for one in inspection.pool(found) if one.check == "sides between segments"} == {"NOT ASSESSED"}
