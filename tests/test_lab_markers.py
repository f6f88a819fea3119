"""Markers in the manifest: segments by Plug-in Gait, clusters and own frames, virtual sensors, plates; planted faults.

The body is the simulated walker's, so the joint angles that made its markers are known.
"""

import numpy as np
import pytest
from kinbench_adapters.lab import LabAdapter
from raw_folders.bodies import walker

from kinbench import conversion
from kinbench.errors import DataError, UsageError
from kinbench.kinematics import rotations_from_vectors

RATE_HZ = 100.0
GRAVITY = 9.80665
BLOBS = {"thigh": (-0.2, 0.06), "shank": (-0.2, 0.05), "foot": (0.02, 0.04), "pelvis": (0.05, 0.1)}
"""Height and breadth of a cluster in segment axes, metres."""

HEAD = """
kinbench: 1
dataset: {id: lab, version: "1", licence: CC0-1.0, redistributable: true}
activity: walking
"""
CLUSTERS = (
    HEAD
    + """
reference:
  files: "{subject}/{trial}.trc"
  tier: optical_6dof
  world: {up: z, forward: -y}
  markers:
    set: clusters
    unit: mm
    static: {files: "{subject}/static.trc"}
    segments:
SEGMENTS
virtual:
  cutoff_hz: 20
  sensors:
    thigh: {segment: thigh_r, site: lateral, level: mid}
    shank: {segment: shank_r, offset_m: [0.0, -0.2, 0.05], axes: {x: proximal, z: right}}
    foot: {segment: foot_r, at: foot_r_1}
"""
)


def frame_of(name, kind):
    """The manifest's lines for one segment: its origin and axes are markers that only the standing trial shows."""
    cluster = f"cluster: [{', '.join(f'{name}_{i}' for i in range(4))}], " if kind == "clusters" else ""
    axes = f"{{y: [{name}_o, {name}_y], z: [{name}_o, {name}_z]}}"
    return f"      {name}: {{{cluster}origin: {name}_o, axes: {axes}}}"


def manifest_text(names, kind="clusters"):
    return CLUSTERS.replace("SEGMENTS", "\n".join(frame_of(name, kind) for name in names))


def markers_of(person, names):
    """Four markers that ride on every segment, and three that show its frame: origin, up and right."""
    found = {}
    for name in names:
        height, breadth = BLOBS[name.split("_")[0]]
        for index, place in enumerate(([0.04, 0, 0], [0, 0.05, breadth], [0, -0.06, -breadth], [-0.05, 0.03, 0.02])):
            found[f"{name}_{index}"] = person.point(name, np.add(place, [0, height, 0]))
        for label, place in (("o", [0, 0, 0]), ("y", [0, 0.1, 0]), ("z", [0, 0.02, 0.1])):
            found[f"{name}_{label}"] = person.point(name, place)
    return found


def to_lab(points):
    """The walker's world (X forward, Y up, Z right) in the laboratory's: Z up, walking along -Y."""
    return points @ np.array([[0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]])


def write_trc(path, markers, *, rate_hz=RATE_HZ, units="mm", scale=1e3):
    path.parent.mkdir(parents=True, exist_ok=True)
    names, count = list(markers), len(next(iter(markers.values())))
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{path.name}",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"{rate_hz:g}\t{rate_hz:g}\t{count}\t{len(names)}\t{units}\t{rate_hz:g}\t1\t{count}",
        "Frame#\tTime\t" + "\t\t\t".join(names),
        "\t\t" + "\t".join(f"{axis}{index}" for index in range(1, len(names) + 1) for axis in "XYZ"),
        "",
    ]
    table = np.concatenate([to_lab(points) * scale for points in markers.values()], axis=1)
    for index, values in enumerate(table):
        cells = ("" if np.isnan(value) else f"{value:.5f}" for value in values)
        lines.append(f"{index + 1}\t{index / rate_hz:.6f}\t" + "\t".join(cells))
    path.write_text("\n".join(lines) + "\n")


NAMES = ("pelvis", "thigh_r", "shank_r", "foot_r")


@pytest.fixture(scope="module")
def person():
    return walker(seed=3, length_s=8.0, rate_hz=RATE_HZ, stand_s=1.0)


def standing_only(markers, names):
    """The moving trial as clinics record it: the frames' own markers are taken off after the standing trial."""
    gone = {f"{name}_{label}" for name in names for label in "oyz"}
    return {name: np.full_like(points, np.nan) if name in gone else points for name, points in markers.items()}


@pytest.fixture
def lab(tmp_path, person):
    markers = markers_of(person, NAMES)
    write_trc(tmp_path / "P1" / "static.trc", {name: points[:50] for name, points in markers.items()})
    write_trc(tmp_path / "P1" / "walk.trc", standing_only(markers, NAMES))
    write(tmp_path, manifest_text(NAMES))
    return tmp_path


def write(folder, text):
    (folder / "kinbench.yaml").write_text(text, encoding="utf-8")


def converted(folder, trial="walk"):
    sources = LabAdapter().find(folder).sources
    return conversion.prepare(next(source for source in sources if source.key.trial == trial))


def column(stream, variable, dim, name):
    return stream[variable].values[:, [str(label) for label in stream[dim].values].index(name)]


DOFS = ("hip_flexion_r", "knee_flexion_r", "ankle_dorsiflexion_r", "hip_adduction_r")


# --- clusters and frames ---------------------------------------------------------------------------------------------


def test_clusters_carry_the_standing_trials_frames_to_the_true_angles(lab, person):
    found = converted(lab)
    for dof in DOFS:
        np.testing.assert_allclose(column(found.reference, "angle", "dof", dof), person.angles[dof], atol=0.02)
    assert [str(source.key) for source in LabAdapter().find(lab).sources] == ["lab/P1/1/walk"], "static is no trial"
    assert found.reference["segment_quat"].attrs["tier"] == "optical_6dof"
    assert {source["name"] for source in found.attrs["source"]} == {"kinbench.yaml", "P1/static.trc", "P1/walk.trc"}


def test_virtual_sensors_are_where_and_how_they_were_asked_for(lab, person):
    """At rest gravity is up; the shank's x points up the leg, and its gyro's z is the shank's turning."""
    found = converted(lab)
    still = found.imu["time"].values < 0.8
    for sensor, axis in (("thigh", 1), ("shank", 0)):
        felt = column(found.imu, "acc", "sensor", sensor)[still]
        mean = np.nanmean(felt, axis=0)
        assert np.linalg.norm(mean) == pytest.approx(GRAVITY, abs=0.1)
        assert mean[axis] / GRAVITY > 0.95
    assert set(found.imu["origin"].values.tolist()) == {"synthetic"}
    (step,) = [step for step in found.attrs["history"] if step["step"] == "virtual_imu"]
    length = person.position["thigh_r"] - person.position["shank_r"]
    assert step["body"]["length_m"]["thigh_r"] == pytest.approx(np.linalg.norm(length, axis=1).mean(), abs=1e-3)
    np.testing.assert_allclose(step["placements"]["foot"]["offset_m"], [0.0, 0.07, 0.04], atol=1e-4)
    np.testing.assert_allclose(step["placements"]["shank"]["offset_m"], [0.0, -0.2, 0.05])


def test_own_frames_follow_their_markers_in_every_sample(lab, person):
    write_trc(lab / "P1" / "walk.trc", markers_of(person, NAMES))
    text = manifest_text(NAMES, "frames").replace("set: clusters", "set: frames")
    write(lab, text.replace('    static: {files: "{subject}/static.trc"}\n', ""))
    (lab / "P1" / "static.trc").unlink()
    found = converted(lab)
    for dof in DOFS:
        np.testing.assert_allclose(column(found.reference, "angle", "dof", dof), person.angles[dof], atol=0.02)


def test_without_a_standing_trial_the_walk_itself_tells_the_shape(lab, person):
    write_trc(lab / "P1" / "walk.trc", markers_of(person, NAMES))
    write(lab, manifest_text(NAMES).replace('    static: {files: "{subject}/static.trc"}\n', ""))
    (lab / "P1" / "static.trc").unlink()
    found = converted(lab)
    np.testing.assert_allclose(
        column(found.reference, "angle", "dof", "knee_flexion_r"), person.angles["knee_flexion_r"], atol=0.02
    )


def test_missing_markers_are_missing_angles_and_silent_sensors(lab, person):
    markers = standing_only(markers_of(person, NAMES), NAMES)
    for index in (1, 2):
        markers[f"shank_r_{index}"][300:340] = np.nan
    write_trc(lab / "P1" / "walk.trc", markers)
    found = converted(lab)
    knee = column(found.reference, "angle", "dof", "knee_flexion_r")
    assert np.isnan(knee[300:340]).all()
    assert np.isfinite(knee[:300]).all()
    assert not column(found.imu, "valid", "sensor", "shank")[305:335].any()
    assert column(found.imu, "valid", "sensor", "thigh")[305:335].all()


def test_a_marker_that_leaves_its_cluster_is_not_believed(lab, person):
    markers = standing_only(markers_of(person, NAMES), NAMES)
    markers["shank_r_1"][300:340] += 0.15
    write_trc(lab / "P1" / "walk.trc", markers)
    found = converted(lab)
    assert np.isnan(column(found.reference, "angle", "dof", "knee_flexion_r")[300:340]).all()
    (step,) = [step for step in found.attrs["history"] if step["step"] == "segments_from_markers"]
    assert step["refused"] == {"shank_r": 40}


def test_zeros_are_measured_unless_said_to_be_missing(lab, person):
    markers = standing_only(markers_of(person, NAMES), NAMES)
    markers["shank_r_1"][300:340] = 0.0
    write_trc(lab / "P1" / "walk.trc", markers)
    assert np.isnan(column(converted(lab).reference, "angle", "dof", "knee_flexion_r")[320])
    write(lab, manifest_text(NAMES).replace("    unit: mm\n", "    unit: mm\n    zero: missing\n"))
    knee = column(converted(lab).reference, "angle", "dof", "knee_flexion_r")
    np.testing.assert_allclose(knee, person.angles["knee_flexion_r"], atol=0.02)


def test_a_unit_that_the_file_contradicts_is_refused(lab):
    write(lab, manifest_text(NAMES).replace("unit: mm", "unit: m"))
    with pytest.raises(DataError, match=r"says its markers are in mm, the manifest says 'm'"):
        converted(lab)


def test_a_marker_that_is_not_there_is_told_with_the_likely_one(lab):
    write(lab, manifest_text(NAMES).replace("cluster: [thigh_r_0,", "cluster: [thigh_rr_0,"))
    with pytest.raises(DataError, match=r"there is no 'thigh_rr_0'\. Did you mean 'thigh_r_0'"):
        converted(lab)


def test_a_frame_that_no_trial_shows_is_told(lab):
    write(lab, manifest_text(NAMES).replace('    static: {files: "{subject}/static.trc"}\n', ""))
    (lab / "P1" / "static.trc").unlink()
    with pytest.raises(DataError, match=r"shank_r: shank_r_o, shank_r_y, shank_r_z is never seen together with its"):
        converted(lab)


def test_hip_centres_lie_where_the_regression_has_them(lab, person):
    """Harrington et al. 2007: from the middle of the ASIS, by the pelvis' depth and width."""
    markers = markers_of(person, ("pelvis",))
    places = {"RASI": [0.1, 0.1, 0.13], "LASI": [0.1, 0.1, -0.13], "SACR": [-0.08, 0.1, 0.0]}
    markers |= {name: person.point("pelvis", place) for name, place in places.items()}
    write_trc(lab / "P1" / "walk.trc", markers)
    text = (
        HEAD
        + """
reference:
  files: "{subject}/walk.trc"
  tier: optical_6dof
  world: {up: z, forward: -y}
  markers:
    set: frames
    unit: mm
    hips: {asis: [RASI, LASI], psis: SACR}
    points: {asis: [RASI, LASI]}
    segments:
      pelvis: {origin: [hip_r, hip_l], axes: {z: [LASI, RASI], x: [SACR, asis]}}
virtual: {sensors: {right_hip: {segment: pelvis, at: hip_r}}}
fields: {trial: walk}
"""
    )
    write(lab, text)
    found = converted(lab)
    (step,) = [step for step in found.attrs["history"] if step["step"] == "virtual_imu"]
    np.testing.assert_allclose(step["placements"]["right_hip"]["offset_m"], [0, 0, 0.33 * 0.26 + 0.0073], atol=1e-4)
    expected = person.point("pelvis", [0.1 - 0.24 * 0.18 - 0.0099, 0.1 - 0.30 * 0.26 - 0.0109, 0.0])
    np.testing.assert_allclose(column(found.reference, "segment_position", "segment", "pelvis"), expected, atol=1e-4)


# --- Plug-in Gait ----------------------------------------------------------------------------------------------------

PIG = (
    HEAD
    + """
reference:
  files: "{subject}/walk.trc"
  tier: optical_6dof
  world: {up: z, forward: -y}
  markers:
    set: plug_in_gait
    unit: mm
    names: {LASI: L.ASIS}
fields: {trial: walk}
"""
)


def plug_in_gait_markers(person):
    worn = {"LASI": ("pelvis", [0.1, 0.1, -0.13]), "RASI": ("pelvis", [0.1, 0.1, 0.13]),
            "LPSI": ("pelvis", [-0.08, 0.1, -0.05]), "RPSI": ("pelvis", [-0.08, 0.1, 0.05])}  # fmt: skip
    for capital, letter, side in (("R", "r", 1.0), ("L", "l", -1.0)):
        knee = (
            person.rotation[f"thigh_{letter}"].transpose(0, 2, 1)
            @ (person.position[f"shank_{letter}"] - person.position[f"thigh_{letter}"])[..., None]
        )
        ankle = (
            person.rotation[f"shank_{letter}"].transpose(0, 2, 1)
            @ (person.position[f"foot_{letter}"] - person.position[f"shank_{letter}"])[..., None]
        )
        worn |= {
            f"{capital}THI": (f"thigh_{letter}", [0.0, knee[0, 1, 0] / 2, 0.1 * side]),
            f"{capital}KNE": (f"thigh_{letter}", [0.0, knee[0, 1, 0], 0.05 * side]),
            f"{capital}TIB": (f"shank_{letter}", [0.0, ankle[0, 1, 0] / 2, 0.08 * side]),
            f"{capital}ANK": (f"shank_{letter}", [0.0, ankle[0, 1, 0], 0.04 * side]),
            f"{capital}HEE": (f"foot_{letter}", [-0.05, -0.03, 0.0]),
            f"{capital}TOE": (f"foot_{letter}", [0.15, -0.03, 0.0]),
        }
    return {name: person.point(*place) for name, place in worn.items()}


def test_plug_in_gait_is_named_in_one_word(tmp_path, person):
    markers = plug_in_gait_markers(person)
    markers["L.ASIS"] = markers.pop("LASI")
    write_trc(tmp_path / "P1" / "walk.trc", markers)
    write(tmp_path, PIG)
    found = converted(tmp_path)
    assert found.imu is None
    assert "imu" in found.attrs["absent"]
    for side in "rl":
        knee = column(found.reference, "angle", "dof", f"knee_flexion_{side}")
        truth = person.angles[f"knee_flexion_{side}"]
        assert np.corrcoef(knee, truth)[0, 1] > 0.99
        assert np.std(knee - truth) < 4


def test_a_leg_without_markers_is_left_out_and_said(tmp_path, person):
    markers = plug_in_gait_markers(person)
    markers["L.ASIS"] = markers.pop("LASI")
    markers["LTHI"] = np.full_like(markers["LTHI"], np.nan)
    write_trc(tmp_path / "P1" / "walk.trc", markers)
    write(tmp_path, PIG + "virtual: {sensors: {a: {segment: thigh_l, offset_m: [0, 0, 0]}, b: {segment: shank_r, "
                          "offset_m: [0, 0, 0]}}}\n")  # fmt: skip
    found = converted(tmp_path)
    assert {f"segment {name}_l" for name in ("thigh", "shank", "foot")} <= set(found.attrs["absent"])
    assert [str(name) for name in found.imu["sensor"].values] == ["b"]
    (step,) = [step for step in found.attrs["history"] if step["step"] == "virtual_imu"]
    assert "missing throughout" in step["left_out"]["a"]


# --- angles and markers, plates --------------------------------------------------------------------------------------


def write_mot(path, time, columns):
    rows = np.column_stack([time, *columns.values()])
    head = f"{path.name}\nversion=1\nnRows={len(rows)}\nnColumns={rows.shape[1]}\ninDegrees=yes\nendheader\n"
    text = "\t".join(("time", *columns)) + "\n" + "\n".join("\t".join(f"{v:.6f}" for v in row) for row in rows)
    path.write_text(head + text + "\n")


WITH_ANGLES = (
    HEAD
    + """
reference:
  files: "{subject}/{trial}.mot"
  tier: optical_marker_ik
  convention: opensim_coordinate
  unit: deg
  angles: {knee_flexion_r: {column: knee_angle_r, sign: -1}}
  world: {up: z, forward: -y}
  markers:
    files: "{subject}/{trial}.trc"
    set: clusters
    unit: mm
    static: {files: "{subject}/static.trc"}
    segments:
SEGMENTS
  grf:
    files: "{subject}/{trial}_grf.mot"
    unit: N
    acts_on: plate
    plates: {left: [lx, ly, lz], right: [rx, ry, rz]}
virtual: {sensors: {shank: {segment: shank_r, offset_m: [0, -0.2, 0]}}}
"""
)


@pytest.fixture
def with_angles(lab, person):
    """Angles of a part of the trial, markers of all of it, plates ten times as fast."""
    inside = slice(100, 601)
    write_mot(lab / "P1" / "walk.mot", person.time[inside], {"knee_angle_r": -person.angles["knee_flexion_r"][inside]})
    fast = np.arange(int(7.9 * 1000)) / 1000
    slow, quick = np.sin(2 * np.pi * fast), np.sin(2 * np.pi * 300 * fast)
    plates = {"lx": 0 * fast, "ly": 0 * fast, "lz": -500 - 100 * slow - 50 * quick, "rx": 0 * fast, "ry": 20 + 0 * fast,
              "rz": -200 + 0 * fast}  # fmt: skip
    write_mot(lab / "P1" / "walk_grf.mot", fast, plates)
    text = WITH_ANGLES.replace("SEGMENTS", "\n".join(frame_of(name, "clusters") for name in NAMES))
    write(lab, text)
    return lab


def test_angles_stay_the_truth_where_markers_carry_the_sensors(with_angles, person):
    found = converted(with_angles)
    assert list(found.reference["dof"].values) == ["knee_flexion_r"]
    np.testing.assert_allclose(
        found.reference["angle"].values[:, 0], person.angles["knee_flexion_r"][100:601], atol=1e-3
    )
    assert found.reference["angle"].attrs["convention"] == "opensim_coordinate"
    assert found.imu.sizes["time"] == 501
    segments = [str(name) for name in found.reference["segment"].values]
    assert segments == list(NAMES)


def test_fast_plates_are_averaged_not_folded_down_and_act_on_the_person(with_angles):
    """300 Hz on the plate would stand as a false slow wave if every tenth sample were taken."""
    found = converted(with_angles)
    time = 1.0 + found.reference["time"].values
    left = found.reference["grf"].values[:, 0]
    np.testing.assert_allclose(left[:, 1], 500 + 100 * np.sin(2 * np.pi * time), atol=1.0)
    right = found.reference["grf"].values[:, 1]
    np.testing.assert_allclose(right, np.broadcast_to([20.0, 200.0, 0.0], right.shape), atol=1e-2)
    steps = [step["step"] for step in found.attrs["history"]]
    assert steps.count("reverse_forces") == steps.count("plates_on_reference_clock") == 1


def test_markers_of_other_instants_are_refused(with_angles, person):
    shifted = {"knee_angle_r": person.angles["knee_flexion_r"][100:601]}
    write_mot(with_angles / "P1" / "walk.mot", person.time[100:601] + 0.004, shifted)
    with pytest.raises(DataError, match=r"not of the angles' instants"):
        converted(with_angles)


def test_plates_alone_are_a_reference_on_their_own_clock(with_angles):
    text = (with_angles / "kinbench.yaml").read_text()
    start, stop = text.index("  files:"), text.index("  grf:")
    write(with_angles, text[:start] + "  world: {up: z}\n" + text[stop : text.index("virtual:")])
    found = converted(with_angles)
    assert set(found.reference.data_vars) == {"grf"}
    assert found.reference.sizes["time"] == 7900
    assert found.attrs["rates"]["reference"]["nominal_hz"] == pytest.approx(1000)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("set: clusters", "set: cluster", "expected 'plug_in_gait', 'clusters' or 'frames', got 'cluster'. Did you"),
        ("    unit: mm\n", "", "reference.markers.unit: is missing (of the markers: mm, cm or m)"),
        ("    unit: mm\n", "    unit: inch\n", "reference.markers.unit: expected 'mm', 'cm' or 'm', got 'inch'"),
        ("    segments:", "    segemnts:", "reference.markers.segemnts: unknown key. Did you mean 'segments'?"),
        ("  world: {up: z, forward: -y}\n", "", "'markers' and 'grf' need 'world'"),
        ("{up: z, forward: -y}", "{up: z, forward: -z}", "up 'z' and forward '-z' lie along one axis"),
        ("world: {up: z", "world: {upp: z", "reference.world.upp: unknown key. Did you mean 'up'?"),
        ("y: [thigh_r_o, thigh_r_y], ", "", "expected two of x (anterior), y (proximal), z (right)"),
        ("cluster: [shank_r_0, shank_r_1, shank_r_2, shank_r_3]", "cluster: shank_r_0", "segments.shank_r: set 'clust"),
        ("origin: pelvis_o", "origin: hip_r", "'hip_r' needs 'hips: {asis: [right, left], psis: [right, left]}'"),
        ("    set: clusters", "    set: plug_in_gait", "set 'plug_in_gait' makes its own segments; leave out segments"),
        ("    set: clusters", "    set: frames", "leave out 'cluster'"),
        ("    set: clusters", "    columns: fixed\n    set: clusters", "columns: write {marker}"),
        ("thigh: {segment: thigh_r", "thigh: {segment: thigh_l", "there is no segment 'thigh_l'|no segment 'thigh_l'"),
        ("site: lateral", "site: latral", "expected one of 10 words, got 'latral'. Did you mean 'lateral'?"),
        (", site: lateral, level: mid", "", "virtual.sensors.thigh: say where it sits"),
        ("at: foot_r_1", "at: foot_r_1, offset_m: [0, 0, 0]", "give one of 'at' and 'offset_m'"),
        ("cutoff_hz: 20", "cutof_hz: 20", "virtual.cutof_hz: unknown key. Did you mean 'cutoff_hz'?"),
        ("  tier: optical_6dof\n", "", "'tier' is missing (how it was measured: "),
        ("virtual:", "sync: {method: same_clock}\nvirtual:", "'sync' needs an imu"),
        ("  tier:", "  convention: visual3d\n  tier:", "by convention isb_zxy or calgary_clinic, not 'visual3d'"),
        (
            "  tier:",
            "  masks: [{span_s: [0, 1], reason: x, dofs: [knee_flexion_r]}]\n  tier:",
            "reference: a mask of segments holds for all of them; leave out 'dofs'",
        ),
    ],
)
def test_a_mistake_about_markers_is_told_with_its_line(lab, old, new, told):
    text = manifest_text(NAMES)
    assert old in text
    write(lab, text.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        LabAdapter().find(lab)
    assert any(part in str(caught.value) for part in told.split("|")), str(caught.value)
    assert all("kinbench.yaml:" in line for line in str(caught.value).splitlines())


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("unit: N", "unit: kg", "reference.grf.unit: expected 'N' or 'kN', got 'kg'"),
        ("plates:", "plate:", "reference.grf.plate: unknown key. Did you mean 'plates'?"),
        ("[lx, ly, lz]", "[lx, ly]", "expected 3 columns, or one that holds 3 numbers"),
        ("acts_on: plate", "acts_on: floor", "expected 'person' or 'plate', got 'floor'"),
        ('    files: "{subject}/{trial}.trc"\n', "", "where 'angles' are measured too, 'markers' need 'files'"),
    ],
)
def test_a_mistake_about_plates_is_told(with_angles, old, new, told):
    text = (with_angles / "kinbench.yaml").read_text()
    assert old in text
    write(with_angles, text.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        LabAdapter().find(with_angles)
    assert told in str(caught.value)


def test_measured_and_virtual_sensors_do_not_mix(lab):
    imu = 'imu: {files: "{subject}/{trial}_{sensor}.csv", rate_hz: 60, gyr: {columns: [x, y, z], unit: rad/s}, '
    write(lab, manifest_text(NAMES) + imu + "sensors: {a: {segment: thigh_r}}}\nsync: {method: same_clock}\n")
    with pytest.raises(UsageError, match="'virtual' sensors are for a lab without real ones"):
        LabAdapter().find(lab)


def test_turning_the_laboratory_changes_no_angle(lab, person):
    """The angles are the body's: whichever way the walk goes through the laboratory."""
    before = converted(lab).reference["angle"].values
    turn = rotations_from_vectors(np.array([0.0, 0.7, 0.0]))
    markers = {name: points @ turn.T for name, points in markers_of(person, NAMES).items()}
    write_trc(lab / "P1" / "static.trc", {name: points[:50] for name, points in markers.items()})
    write_trc(lab / "P1" / "walk.trc", standing_only(markers, NAMES))
    after = converted(lab)
    joints = [i for i, name in enumerate(after.reference["dof"].values) if not str(name).startswith("pelvis")]
    np.testing.assert_allclose(after.reference["angle"].values[:, joints], before[:, joints], atol=0.02)
