"""The lower body from 16 markers: a simulated walker's own angles, real walks, and Vicon's and OpenSim's numbers."""

import csv
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from kinbench_adapters._formats.opensim import read_sto, read_trc
from raw_folders.bodies import walker
from scipy.io import loadmat
from scipy.signal import find_peaks
from scipy.spatial.transform import Rotation

from kinbench import schema
from kinbench.errors import DataError, UsageError
from kinbench.kinematics import PLUG_IN_GAIT, joint_angles, plug_in_gait

LEG_LENGTH_M, KNEE_WIDTH_M, ANKLE_WIDTH_M = 0.9, 0.1, 0.07
SIZES = {"leg_length_m": LEG_LENGTH_M, "knee_width_m": KNEE_WIDTH_M, "ankle_width_m": ANKLE_WIDTH_M}
SAGITTAL = [f"{joint}_{side}" for joint in ("hip_flexion", "knee_flexion", "ankle_dorsiflexion") for side in "rl"]


def markers(person, *, skin_deg=0.0):
    """The 16 markers on a simulated person, from Davis' regression read backwards.

    ``skin_deg`` turns thigh and shank markers about the limb, away from where wands would hold them.
    """
    reach, depth = 0.115 * LEG_LENGTH_M - 0.0153, 0.1288 * LEG_LENGTH_M - 0.04856 + 0.007
    theta, beta = np.radians([28.4, 18.0])
    back = depth * np.cos(beta) - reach * np.cos(theta) * np.sin(beta)
    above = reach * np.cos(theta) * np.cos(beta) + depth * np.sin(beta)
    half = person.body.hip_m + reach * np.sin(theta)
    turned = np.radians(skin_deg)
    found = {}
    for letter, side in (("r", 1), ("l", -1)):
        capital = letter.upper()
        wand = {
            limb: [radius * np.sin(turned), down, side * radius * np.cos(turned)]
            for limb, radius, down in (("thigh", 0.09, -0.2), ("shank", 0.07, -0.2))
        }
        knee, ankle = KNEE_WIDTH_M / 2 + 0.007, ANKLE_WIDTH_M / 2 + 0.007
        found |= {
            f"{capital}ASI": person.point("pelvis", (back, above, side * half)),
            f"{capital}PSI": person.point("pelvis", (back - 0.16, above, side * 0.04)),
            f"{capital}THI": person.point(f"thigh_{letter}", wand["thigh"]),
            f"{capital}KNE": person.point(f"thigh_{letter}", (0, -person.body.thigh_m, side * knee)),
            f"{capital}TIB": person.point(f"shank_{letter}", wand["shank"]),
            f"{capital}ANK": person.point(f"shank_{letter}", (0, -person.body.shank_m, side * ankle)),
            f"{capital}HEE": person.point(f"foot_{letter}", (-0.05, -0.04, 0)),
            f"{capital}TOE": person.point(f"foot_{letter}", (0.14, -0.04, 0)),
        }
    return found


def angles(segments):
    """Every DoF of the segments, (n,) degrees each."""
    turn = {name: motion.quaternion for name, motion in segments.items()}
    return {
        name: dof.sign * joint_angles(turn[dof.proximal], turn[dof.distal])[:, dof.component]
        for name, dof in schema.DOFS.items()
        if {dof.proximal, dof.distal} <= turn.keys()
    }


@pytest.fixture(scope="module")
def person():
    return walker(3, length_s=8.0, rate_hz=100.0, turn_deg=90.0)


@pytest.fixture(scope="module")
def seen(person):
    return markers(person)


# --- against the walker that wore the markers ------------------------------------------------------------------------


def test_markers_on_wands_give_the_joints_and_angles_that_made_them(person, seen):
    segments = plug_in_gait(None, seen, **SIZES, knee_axis="markers")
    assert set(segments) == set(PLUG_IN_GAIT)
    for name, motion in segments.items():
        assert motion.origin == pytest.approx(person.position[name], abs=1e-3)
    found = angles(segments)
    for joint in ("hip", "knee"):
        for name, dof in schema.DOFS.items():
            if dof.joint == joint:  # the knee's marker is at right angles to the thigh, the ankle's only nearly
                assert found[name] == pytest.approx(person.angles[name], abs=0.5)
    assert segments["pelvis"].residual == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("skin_deg", [-60.0, -20.0, 0.0, 35.0, 70.0])
def test_the_knee_s_own_axis_mends_markers_put_anywhere_on_the_skin(person, skin_deg):
    worn = markers(person, skin_deg=skin_deg)
    found = angles(plug_in_gait(None, worn, **SIZES))
    for name in SAGITTAL:
        error = found[name] - person.angles[name]
        assert np.std(error) < 1.5
        assert abs(np.mean(error)) < 3.0
    if abs(skin_deg) > 30:  # as placed, they would not do
        believed = angles(plug_in_gait(None, worn, **SIZES, knee_axis="markers"))
        assert np.std(believed["knee_flexion_r"] - person.angles["knee_flexion_r"]) > 2.5


def test_where_no_width_is_known_sagittal_angles_hardly_change(person, seen):
    known = angles(plug_in_gait(None, seen, **SIZES))
    unknown = angles(plug_in_gait(None, seen, leg_length_m=LEG_LENGTH_M))
    for name in SAGITTAL:
        assert np.abs(unknown[name] - known[name]).max() < 5.0
        assert np.std(unknown[name] - known[name]) < 1.5


def test_a_turned_world_leaves_joint_angles_as_they_are(seen):
    turn = Rotation.from_rotvec([0.4, -1.1, 2.0])
    moved = {name: turn.apply(place) + np.array([3.0, -2.0, 5.0]) for name, place in seen.items()}
    before, after = (angles(plug_in_gait(None, each, **SIZES)) for each in (seen, moved))
    for name in before:
        assert after[name] == pytest.approx(before[name], abs=1e-6)


def test_mirrored_legs_give_equal_angles(seen):
    swapped = str.maketrans("LR", "RL")
    mirrored = {name[0].translate(swapped) + name[1:]: place * [1, 1, -1] for name, place in seen.items()}
    before, after = (angles(plug_in_gait(None, each, **SIZES)) for each in (seen, mirrored))
    for name in before:
        assert after[f"{name[:-1]}{'l' if name.endswith('r') else 'r'}"] == pytest.approx(before[name], abs=1e-6)


def test_a_static_trial_gives_what_is_constant(person, seen):
    standing = {name: place[:150] for name, place in seen.items()}
    going = {name: place[150:].copy() for name, place in seen.items()}
    wanted = angles(plug_in_gait(standing, going, **SIZES))
    # Without heels, and without one corner of the pelvis, the static trial is all that knows them.
    for name in ("LHEE", "RHEE", "RPSI"):
        del going[name]
    found = angles(plug_in_gait(standing, going, **SIZES))
    for name in wanted:
        assert found[name] == pytest.approx(wanted[name], abs=1e-6)
    with pytest.raises(DataError, match="RPSI is missing throughout; give a static trial"):
        plug_in_gait(None, going, **SIZES)


# --- missing and mistaken markers ------------------------------------------------------------------------------------


def with_gap(seen, **gaps):
    gapped = {name: place.copy() for name, place in seen.items()}
    for name, span in gaps.items():
        gapped[name][slice(*span)] = np.nan
    return gapped


def test_one_lost_corner_of_the_pelvis_is_put_back(seen):
    whole = angles(plug_in_gait(None, seen, **SIZES))
    found = angles(plug_in_gait(None, with_gap(seen, RPSI=(100, 300), LASI=(500, 600)), **SIZES))
    for name in whole:
        assert found[name] == pytest.approx(whole[name], abs=1e-6)


def test_a_lost_leg_marker_leaves_its_segments_unknown_there_and_only_there(seen):
    segments = plug_in_gait(None, with_gap(seen, LTIB=(100, 300)), **SIZES)
    gone = np.zeros(len(seen["LTIB"]), dtype=bool)
    gone[100:300] = True
    for name, motion in segments.items():
        lost = np.isnan(motion.rotation).any(axis=(1, 2))
        assert np.array_equal(lost, gone if name in ("shank_l", "foot_l") else np.zeros_like(gone))


@pytest.mark.parametrize("how", ["absent", "never seen"])
@pytest.mark.parametrize("marker", ["LTIB", "LANK", "LTHI"])
def test_segments_whose_markers_are_missing_throughout_are_left_out(person, how, marker):
    cut = markers(person, skin_deg=50.0)
    if how == "never seen":
        cut[marker] = np.full_like(cut[marker], np.nan)
    else:
        del cut[marker]
    segments = plug_in_gait(None, cut, **SIZES)
    assert set(PLUG_IN_GAIT) - set(segments) == {n for n, needs in PLUG_IN_GAIT.items() if marker in needs}
    if "thigh_l" in segments:  # found about the knee's own axis all the same
        error = angles(segments)["hip_internal_rotation_l"] - person.angles["hip_internal_rotation_l"]
        assert abs(np.mean(error)) < 5.0


def test_a_marker_that_was_filled_in_far_from_its_place_counts_as_missing(seen):
    drifting = {name: place.copy() for name, place in seen.items()}
    drifting["RTHI"][200:400] += np.linspace(0.2, 0.1, 200)[:, None] * [0, 1, 0]
    lost = np.isnan(plug_in_gait(None, drifting, **SIZES)["thigh_r"].rotation).any(axis=(1, 2))
    assert np.flatnonzero(lost).tolist() == list(range(200, 400))


def test_what_cannot_be_believed_is_refused_with_a_reason(seen):
    with pytest.raises(DataError, match="expected markers in metres"):
        plug_in_gait(None, {name: place * 1000 for name, place in seen.items()})
    with pytest.raises(DataError, match="LASI, LPSI is missing throughout"):
        plug_in_gait(None, {name: place for name, place in seen.items() if name not in ("LASI", "LPSI")})
    with pytest.raises(DataError, match="never seen together"):
        plug_in_gait(None, with_gap(seen, LASI=(0, 400), RPSI=(400, None)))
    with pytest.raises(DataError, match="LTOE of shape"):
        plug_in_gait(None, seen | {"LTOE": seen["LTOE"][:-1]})
    with pytest.raises(DataError, match="the right knee is found from how it bends"):
        plug_in_gait(None, {name: place[:150] for name, place in seen.items()})
    with pytest.raises(UsageError, match=r"knee_axis.*'markers'"):
        plug_in_gait(None, seen, knee_axis="marker")
    with pytest.raises(DataError, match="leg length"):
        plug_in_gait(None, {name: place for name, place in seen.items() if "ANK" not in name})


def test_swapped_labels_are_refused(seen):
    swapped = {"L" + name[1:] if name[0] == "R" else "R" + name[1:]: place for name, place in seen.items()}
    with pytest.raises(DataError, match="left and right, or ASI and PSI, are swapped"):
        plug_in_gait(None, swapped)


# --- real walks ------------------------------------------------------------------------------------------------------

WALKS = ("F1/F1Gang1", "F1/F1Gang3", "F2/F2Gang3", "F2/F2Gang4", "F5/F5Gang1", "F5/F5Gang2", "M1/M1Gang17",
         "M4/M4Gang2", "M4/M4Gang3")  # fmt: skip


def nexus(path: Path) -> dict[str, np.ndarray]:
    """A Vicon Nexus trajectory export in metres, with its gaps."""
    rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    names = [cell.split(":")[-1] for cell in rows[2][2::3] if cell]
    cells = [(row + [""] * 3 * len(names))[2 : 2 + 3 * len(names)] for row in rows[5:] if len(row) > 5]
    values = np.array([[float(cell) if cell else np.nan for cell in row] for row in cells]) / 1000
    return {name: values[:, 3 * i : 3 * i + 3] for i, name in enumerate(names)}


@pytest.mark.parametrize("walk", WALKS)
def test_knees_and_hips_of_real_walks_are_within_what_walking_is(shared, walk):
    """Winter 2009 (fig. 3.2, app. A), Kadaba et al. 1990: means and spreads of healthy adults.

    Swing bends the knee by 50 to 75 degrees; stance never stretches it beyond 15; the hip's range is 30 to 55 degrees.
    """
    found = angles(plug_in_gait(None, nexus(shared / "nexus_walk" / f"{walk}.csv")))
    for side in "rl":
        knee, hip = found[f"knee_flexion_{side}"], found[f"hip_flexion_{side}"]
        peaks, _ = find_peaks(np.where(np.isfinite(knee), knee, -np.inf), height=35, distance=120)
        assert len(peaks) >= 2
        assert 50 <= np.median(knee[peaks]) <= 75
        assert -15 <= np.nanpercentile(knee, 2) <= 15
        assert 30 <= np.nanpercentile(hip, 99) - np.nanpercentile(hip, 1) <= 55
        assert np.nanpercentile(hip, 99) > 20
        # The thigh swings forward while the knee bends: a peak of the hip stands between two of the knee.
        for first, last in pairwise(peaks):
            if last - first < 300 and np.isfinite(hip[first:last]).all():
                assert np.argmax(hip[first:last]) < 0.4 * (last - first)


def test_a_real_walk_whose_left_and_right_are_swapped_is_refused(shared):
    with pytest.raises(DataError, match="left and right, or ASI and PSI, are swapped"):
        plug_in_gait(None, nexus(shared / "nexus_walk" / "M1" / "M1Gang16.csv"))


def compared(found, wanted):
    """Correlation, root mean square error without the mean, and the mean, in degrees."""
    known = np.isfinite(found) & np.isfinite(wanted)
    error = (found - wanted)[known]
    return np.corrcoef(found[known], wanted[known])[0, 1], np.std(error), np.mean(error)


def test_joints_and_angles_are_vicon_s_own(shared):
    """Vicon's Plug-in Gait on the same markers; the left leg's angles in that file are broken, its joints are not."""
    file = loadmat(shared / "neura_sparse" / "vicon" / "S02-Trial-Walk-1.mat", simplify_cells=True)
    names = [f"{side}{name}" for side in "LR" for name in ("ASI", "PSI", "THI", "KNE", "TIB", "ANK", "HEE", "TOE")]
    seen = {name: file[name] / 1000 for name in names}
    # The person's sizes are not in the file: two widths from its joints, two more so that the hips agree.
    sizes = {"knee_width_m": 0.1087, "ankle_width_m": 0.0683, "leg_length_m": 0.905}
    between = np.median(np.linalg.norm(seen["LASI"] - seen["RASI"], axis=1))
    segments = plug_in_gait(None, seen, **sizes, asis_width_m=between + 0.0272)
    for letter, side in (("r", "R"), ("l", "L")):
        for segment, joint in (("thigh", "HJC"), ("shank", "KJC"), ("foot", "AJC")):
            apart = np.linalg.norm(segments[f"{segment}_{letter}"].origin - file[side + joint] / 1000, axis=1)
            assert np.median(apart) < 0.003
    found = angles(segments)
    r, centred, offset = compared(found["knee_flexion_r"], file["R_Femur_R_Tibia"])
    assert r > 0.99 and centred < 1.6 and abs(offset) < 2.0
    r, centred, offset = compared(found["hip_flexion_r"], -file["Root_R_Femur"][:, 0])
    assert r > 0.99 and centred < 1.6 and abs(offset) < 3.0
    r, centred, _ = compared(found["ankle_dorsiflexion_r"], -file["R_Tibia_R_Foot"][:, 0])
    assert r > 0.97 and centred < 1.5


@pytest.mark.parametrize("thigh", ["Thigh_Upper", "Thigh_Rear"])
def test_sagittal_angles_agree_with_marker_inverse_kinematics(shared, thigh):
    """OpenSim's inverse kinematics on 28 markers, of which this model sees 16; knee flexion is negative there.

    Offsets at the hip are the pelvis' definition: its X points along the ASIS and PSIS here, some 17 degrees down.
    """
    folder = shared / "opensim_mocap" / "levelground"
    motion, ik = (read(folder / f"levelground_ccw_fast_01_01{end}") for read, end in
                  ((read_trc, ".trc"), (read_sto, "_ik.mot")))  # fmt: skip
    place = {name: motion.values[:, i] for i, name in enumerate(motion.markers)}
    labels = {"ASI": "ASIS", "PSI": "PSIS", "THI": thigh, "KNE": "Knee_Lat", "TIB": "Shank_Upper", "ANK": "Ankle_Lat",
              "HEE": "Heel", "TOE": "Toe_Tip"}  # fmt: skip
    found = angles(plug_in_gait(None, {s + our: place[f"{s}_{its}"] for s in "LR" for our, its in labels.items()}))
    for name, its, sign, least_r, bound_deg in (
        ("hip_flexion", "hip_flexion", 1, 0.99, 2.2),
        ("knee_flexion", "knee_angle", -1, 0.99, 1.8),
        ("ankle_dorsiflexion", "ankle_angle", 1, 0.95, 2.5),
    ):
        for side in "rl":
            wanted = sign * np.degrees(ik.values[:, ik.columns.index(f"{its}_{side}")])
            r, centred, _ = compared(np.interp(ik.time, motion.time, found[f"{name}_{side}"]), wanted)
            assert r > least_r
            assert centred < bound_deg
