"""Activities from the sensors alone: of a made-up walker whose turns are known, and of real people, by the second."""

import json
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from conftest import ROOT, SHARED, needs_shared
from hypothesis import given, settings
from hypothesis import strategies as st
from kinbench_adapters.calgary import CalgaryAdapter
from kinbench_adapters.lab import LabAdapter
from raw_folders.bodies import walker
from scipy.interpolate import CubicSpline
from scipy.ndimage import maximum_filter1d, minimum_filter1d, uniform_filter1d
from scipy.spatial.transform import Rotation, Slerp

import kinbench
from kinbench import conversion, store, windows
from kinbench.errors import DataError
from kinbench.harmonisation import LABELS, label_activities
from kinbench.kinematics import quaternions
from kinbench.recording import Key, Placement, Recording, imu_dataset
from kinbench.schema import GRAVITY
from kinbench.tasks import Task
from kinbench.virtual_imu import angular_rate, specific_force

KNEE = Task(
    name="knee", version=1, title="knee", segments=("thigh", "shank"), channels=("acc", "gyr"), dofs=("knee_flexion",),
    rate_hz=40.0, window=40, stride=20, per_leg=True, moving=None, activities=("walking",),
)  # fmt: skip


# --- made-up walkers --------------------------------------------------------------------------------------------------


@cache
def person(seed, rate_hz=100.0):
    return walker(seed, length_s=30.0, rate_hz=rate_hz, stand_s=3.0)


def worn(seed=1, segments=("pelvis", "thigh_r", "shank_r", "thigh_l", "shank_l"), rate_hz=100.0):
    """A walker's recording, every sensor mounted at random."""
    found, random = person(seed, rate_hz), np.random.default_rng(seed)
    acc, gyr = [], []
    for name in segments:
        mounting = Rotation.random(rng=random).as_matrix()
        quat = quaternions(found.rotation[name])
        acc.append(specific_force(found.point(name, (0.0, -0.1, 0.0)), quat, rate_hz) @ mounting)
        gyr.append(angular_rate(quat, rate_hz) @ mounting + random.normal(0, 0.01, 3))
    return recording(segments, np.stack(acc, 1), np.stack(gyr, 1), found.time)


def recording(segments, acc, gyr, time, kind="specific_force"):
    placements = [
        Placement(name, name, {"r": "right", "l": "left"}.get(name.rpartition("_")[2], "midline")) for name in segments
    ]
    frame = {"frame": "sensor"}
    signals = {"gyr": (gyr, {"units": "rad s-1", **frame})}
    if acc is not None:
        signals["acc"] = (acc, {"units": "m s-2", "kind": kind, **frame})
    return Recording(Key("lab", "S1", "1", "walk"), imu_dataset(time, placements, signals), None, {"activity": "mixed"})


def truth(seed, at_s):
    """What the made-up walker does: turning by the heading of the pelvis, walking by its way; nothing where unclear."""
    found = person(seed)
    ahead = found.rotation["pelvis"][:, :, 0]
    span = round(1.1 * found.rate_hz)
    yaw = np.unwrap(np.arctan2(-ahead[:, 2], ahead[:, 0]))
    turning = np.abs(uniform_filter1d(np.gradient(yaw) * found.rate_hz, span)) > np.radians(30)
    step = uniform_filter1d(np.gradient(found.position["pelvis"], axis=0) * found.rate_hz, span, axis=0)
    speed = np.linalg.norm(step[:, [0, 2]], axis=1)
    doing = np.where(turning, "turn", np.where(speed > 0.4, "walk", np.where(speed < 0.05, "still", "")))
    return doing[np.clip(np.round(at_s * found.rate_hz).astype(int), 0, doing.size - 1)]


def seconds_of(labelled):
    """Whole seconds' middles, and the label that stands there."""
    spans = labelled.attrs["activities"]
    at_s = np.arange(0.5, spans[-1]["stop_s"], 1.0)
    told = np.full(at_s.size, "", dtype="U5")
    for span in spans:
        told[(at_s >= span["start_s"]) & (at_s < span["stop_s"])] = span["activity"]
    return at_s, told


def f1(true, told, name):
    hits = np.sum((true == name) & (told == name))
    return 2 * hits / max(1, np.sum(true[true != ""] == name) + np.sum(told[true != ""] == name))


BODIES = [
    ("pelvis", "thigh_r", "shank_r", "thigh_l", "shank_l"), ("thigh_r", "shank_r"), ("shank_l",), ("thigh_l",),
    ("pelvis",), ("foot_r",), ("trunk",),
]  # fmt: skip


@pytest.mark.parametrize("segments", BODIES, ids="+".join)
def test_walking_turning_and_standing_are_told_apart_by_whatever_is_worn(segments):
    at_s, told = seconds_of(label_activities(worn(1, segments)))
    true = truth(1, at_s)
    assert f1(true, told, "walk") > 0.9
    assert f1(true, told, "turn") > 0.75
    assert f1(true, told, "still") > 0.7
    assert "run" not in told


@pytest.mark.parametrize("rate_hz", [40.0, 60.0, 200.0])
def test_the_rate_of_the_sensors_does_not_matter(rate_hz):
    at_s, told = seconds_of(label_activities(worn(2, ("thigh_r", "shank_r"), rate_hz)))
    true = truth(2, at_s)
    assert min(f1(true, told, name) for name in ("walk", "turn", "still")) > 0.75


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_mounting_does_not_matter(seed):
    found = worn(3, ("thigh_r", "shank_r"))
    turn = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    turned = found.imu.assign(
        {name: found.imu[name].copy(data=(found.imu[name].values @ turn.T).astype("f4")) for name in ("acc", "gyr")}
    )
    spans = [label_activities(one).attrs["activities"] for one in (found, replace(found, imu=turned))]
    assert [span["activity"] for span in spans[0]] == [span["activity"] for span in spans[1]]
    edges = [[span["start_s"] for span in one] for one in spans]
    assert np.allclose(*edges, atol=0.21)


# --- what the step is -------------------------------------------------------------------------------------------------


def test_the_step_labels_every_instant_changes_no_signal_and_says_what_it_found():
    found = worn(1)
    labelled = label_activities(found)
    spans = labelled.attrs["activities"]
    assert json.loads(json.dumps(spans)) == spans
    assert spans[0]["start_s"] == 0.0
    assert spans[-1]["stop_s"] == pytest.approx(float(found.imu["time"].values[-1]), abs=1e-3)
    assert all(one["stop_s"] == two["start_s"] for one, two in pairwise(spans))
    assert all(one["activity"] != two["activity"] for one, two in pairwise(spans))
    assert all(span["activity"] in LABELS and 0 <= span["confidence"] <= 1 for span in spans)
    assert labelled.imu is found.imu and "activities" not in found.attrs
    step = labelled.attrs["history"][-1]
    assert step["step"] == "label_activities"
    assert sum(step["seconds"].values()) == pytest.approx(spans[-1]["stop_s"], abs=0.1)
    assert label_activities(found).attrs["activities"] == spans


def test_hopping_on_the_spot_and_shaking_are_neither_walking_nor_running():
    time = np.arange(0, 20, 0.01)
    nothing = np.zeros_like(time)
    hop = 20 * np.clip(np.sin(2 * np.pi * time / 0.6), 0, None) ** 2
    hopping = np.stack([nothing, nothing, 1.7 * np.sin(2 * np.pi * time / 0.6)], 1)
    random = np.random.default_rng(0)
    shaking = np.gradient(uniform_filter1d(random.normal(0, 0.5, (time.size, 3)), 11, axis=0), 0.01, axis=0)
    for force, rates in ((hop, hopping), (GRAVITY + random.normal(0, 3, time.size), shaking)):
        acc = np.stack([nothing, force, nothing], 1)[:, None]
        labelled = label_activities(recording(("shank_r",), acc, rates[:, None], time))
        assert labelled.attrs["history"][-1]["seconds"]["other"] > 18


def test_without_acceleration_walking_is_still_told_and_a_turn_is_not():
    found = worn(1, ("thigh_r", "shank_r"))
    bare = recording(("thigh_r", "shank_r"), None, found.imu["gyr"].values, found.imu["time"].values)
    at_s, told = seconds_of(label_activities(bare))
    true = truth(1, at_s)
    assert "turn" not in told
    assert np.mean(told[true == "walk"] == "walk") > 0.9


def test_what_lies_in_a_hole_is_other_and_nobody_vouches_for_it():
    found = worn(1, ("shank_r",))
    holed = found.imu.assign(gyr=found.imu["gyr"].where((found.imu["time"] < 5) | (found.imu["time"] > 9)))
    spans = label_activities(replace(found, imu=holed)).attrs["activities"]
    (hole,) = [span for span in spans if span["start_s"] <= 7 < span["stop_s"]]
    assert hole["activity"] == "other" and hole["confidence"] < 0.2


def test_a_recording_without_rates_is_refused():
    found = worn(1, ("shank_r",))
    with pytest.raises(DataError, match="angular rates or orientations"):
        label_activities(replace(found, imu=found.imu.drop_vars("gyr")))
    with pytest.raises(DataError, match="angular rates or orientations"):
        label_activities(replace(found, imu=None))


# --- asked for at conversion ------------------------------------------------------------------------------------------

OUTING = """
kinbench: 1
dataset: {id: outing, version: "1", licence: CC0-1.0, redistributable: true}
activity: mixed
imu:
  files: "{subject}/{trial}_{sensor}.csv"
  rate_hz: 100
  acc: {columns: [ax, ay, az], unit: m/s2, kind: specific_force}
  gyr: {columns: [gx, gy, gz], unit: rad/s}
  sensors:
    P: {segment: pelvis}
    T: {segment: thigh_r, axes: {x: anterior, y: proximal}}
    S: {segment: shank_r, axes: {x: anterior, y: proximal}}
reference:
  files: "{subject}/{trial}_knee.csv"
  rate_hz: 100
  tier: optical_6dof
  convention: isb_zxy
  unit: deg
  angles: {knee_flexion_r: knee}
sync: {method: same_clock}
"""


def outing(folder, text):
    """A laboratory whose one person stands, walks, turns, and from 24 s on goes nearly twice as fast, for 12 s."""
    found, rate_hz = walker(1, length_s=60.0, stand_s=4.0), 100.0
    pace = np.concatenate([np.ones(2400), np.linspace(1.0, 1.9, 100), np.full(1200, 1.9)])
    course_s = np.concatenate([[0.0], np.cumsum(pace[:-1])]) / rate_hz
    (folder / "P1").mkdir(parents=True)
    for sensor, name in (("P", "pelvis"), ("T", "thigh_r"), ("S", "shank_r")):
        quat = quaternions(Slerp(found.time, Rotation.from_matrix(found.rotation[name]))(course_s).as_matrix())
        path = CubicSpline(found.time, found.point(name, (0.0, -0.1, 0.0)))(course_s)
        values = np.concatenate([specific_force(path, quat, rate_hz), angular_rate(quat, rate_hz)], axis=1)
        np.savetxt(folder / "P1" / f"free_{sensor}.csv", values, delimiter=",", header="ax,ay,az,gx,gy,gz", comments="")
    knee = np.interp(course_s, found.time, found.angles["knee_flexion_r"])
    np.savetxt(folder / "P1" / "free_knee.csv", knee, header="knee", comments="")
    (folder / "kinbench.yaml").write_text(text, encoding="utf-8")
    return folder


def taken(opened, folder, activity):
    """The stretches in seconds that a knee task of this activity takes of a store's one recording, or the reason."""
    data = windows.prepare(opened, replace(KNEE, activities=(activity,)), cache=folder / "cache")
    if data.entries:
        return [(start / KNEE.rate_hz, stop / KNEE.rate_hz) for start, stop in data.entries[0].runs]
    return data.excluded[0][1]


@pytest.mark.parametrize("door", ["manifest", "recordings", "request"])
def test_a_walking_task_takes_only_the_walks_of_a_mixed_recording(tmp_path, door):
    texts = {
        "manifest": OUTING.replace("activity: mixed", "activity: auto"),
        "recordings": OUTING + "recordings: {'*/free': {activity: auto}}\n",
        "request": OUTING,
    }
    folder = outing(tmp_path / "raw", texts[door])
    outcome = kinbench.convert("lab", folder, activities=door == "request", data=tmp_path / "data")
    assert not outcome.failed
    opened = kinbench.open("outing", data=tmp_path / "data")
    (key,) = (entry.key for entry in opened.entries())
    attrs = opened.read(key).attrs
    assert attrs["activity"] == "mixed"
    (step,) = (step for step in attrs["history"] if step["step"] == "label_activities")
    assert step["version"] >= 1 and step["sensors"] == ["P", "T", "S"]
    spans = [(span["activity"], span["start_s"], span["stop_s"]) for span in attrs["activities"]]
    assert {name for name, *_ in spans} == {"still", "walk", "turn", "run"}
    for activity, label, low, high in (("walking", "walk", 4.0, 24.5), ("running", "run", 23.5, 37.0)):
        stretches = taken(opened, tmp_path, activity)
        bounds = [(start, stop) for name, start, stop in spans if name == label]
        assert len(stretches) == len(bounds) > 1
        for (start, stop), (first, last) in zip(stretches, bounds, strict=True):
            assert low - 0.5 <= first and last <= high + 0.5
            assert first - 0.03 <= start < stop <= last + 0.03


def test_mixed_stays_what_it_is_unless_somebody_asks(tmp_path):
    outcome = kinbench.convert("lab", outing(tmp_path / "raw", OUTING), data=tmp_path / "data")
    assert not outcome.failed
    opened = kinbench.open("outing", data=tmp_path / "data")
    (key,) = (entry.key for entry in opened.entries())
    assert "activities" not in opened.read(key).attrs
    assert "--activities ('activity: auto' in a manifest)" in taken(opened, tmp_path, "walking")


def test_what_is_declared_is_not_labelled_over_on_request(tmp_path):
    folder = outing(tmp_path / "raw", OUTING.replace("activity: mixed", "activity: walking"))
    kinbench.convert("lab", folder, activities=True, data=tmp_path / "data")
    opened = kinbench.open("outing", data=tmp_path / "data")
    (key,) = (entry.key for entry in opened.entries())
    assert "activities" not in opened.read(key).attrs


def test_a_recording_that_cannot_be_labelled_converts_and_says_why(tmp_path):
    text = OUTING.replace("  gyr: {columns: [gx, gy, gz], unit: rad/s}\n", "")
    outcome = kinbench.convert("lab", outing(tmp_path / "raw", text), activities=True, data=tmp_path / "data")
    assert not outcome.failed
    opened = kinbench.open("outing", data=tmp_path / "data")
    (key,) = (entry.key for entry in opened.entries())
    assert "angular rates or orientations" in opened.read(key).attrs["absent"]["activities"]


# --- real material ----------------------------------------------------------------------------------------------------


@cache
def laboratory(name, subject):
    sources = LabAdapter().find(ROOT / "tests" / "manifests" / name).sources
    return conversion.prepare(next(source for source in sources if source.key.subject == subject))


def by_the_knees(reference, at_s):
    """Walking where every knee moves by 30 degrees about each instant, still where none moves; nothing in between."""
    time_s = reference["time"].values
    grid_s = np.arange(time_s[0], time_s[-1], 0.05)
    knees = [n for n, dof in enumerate(reference["dof"].values) if str(dof).startswith("knee_flexion")]
    angles = [reference["angle"].values[:, knee].astype(float) for knee in knees]
    on_grid = [np.interp(grid_s, time_s[np.isfinite(a)], a[np.isfinite(a)]) for a in angles]
    ranges = np.array([maximum_filter1d(a, 29) - minimum_filter1d(a, 29) for a in on_grid])
    still = maximum_filter1d(ranges.max(axis=0), 21) < 2.5
    doing = np.where((ranges > 30).all(axis=0), "walk", np.where(still, "still", ""))
    doing = doing[np.clip(np.searchsorted(grid_s, at_s), 0, grid_s.size - 1)]
    return np.where((at_s < time_s[0]) | (at_s > time_s[-1]), "", doing)


@needs_shared
def test_mixed_tasks_are_told_apart(shared):
    """Of eleven minutes: seated and still, then a jog into a walk at 334 to 346 s."""
    at_s, told = seconds_of(label_activities(laboratory("halilaj_lab", "P1")))
    seated = ((at_s > 180) & (at_s < 270)) | ((at_s > 370) & (at_s < 580))
    assert np.mean(told[seated] == "still") > 0.9
    assert not {"walk", "run"} & set(told[seated])
    assert set(told[(at_s > 334) & (at_s < 339)]) == {"run"}
    assert set(told[(at_s > 341) & (at_s < 346)]) == {"walk"}


@needs_shared
@pytest.mark.parametrize(("name", "subject"), [("neura_sparse", "S02"), ("capsense_treadmill", "Sub02")])
def test_real_walks_agree_with_the_knees(shared, name, subject):
    found = laboratory(name, subject)
    at_s, told = seconds_of(label_activities(found))
    true = by_the_knees(found.reference, at_s)
    assert np.sum(true == "walk") >= 7
    assert np.mean(np.isin(told[true == "walk"], ("walk", "turn"))) > 0.95
    if (true == "still").any():
        assert np.mean(told[true == "still"] == "still") > 0.9
    assert "run" not in told


@needs_shared
@pytest.mark.parametrize("subject", ["Sub01", "Sub03", "Sub05", "Sub07"])
def test_treadmill_walkers_walk(shared, subject):
    _, told = seconds_of(label_activities(laboratory("capsense_treadmill", subject)))
    assert np.mean(told == "walk") > 0.93
    assert not {"run", "turn"} & set(told)


@needs_shared
def test_runners_run_whatever_they_wear(shared):
    source = next(
        s for s in CalgaryAdapter().find(SHARED / "calgary_ric").sources if s.key.session == "20140515T133244"
    )
    found = conversion.prepare(source)
    for segments in ([str(name) for name in found.imu["segment"].values], ["pelvis"], ["shank_l"], ["thigh_r"]):
        keep = np.isin([str(name) for name in found.imu["segment"].values], segments)
        _, told = seconds_of(label_activities(replace(found, imu=found.imu.isel(sensor=keep))))
        assert np.mean(told == "run") > 0.9, segments


@needs_shared
def test_a_mixed_recording_feeds_a_walking_task_with_its_walks(shared, tmp_path):
    found = laboratory("halilaj_lab", "P1")
    labelled = found  # the manifest asks for it
    bare = replace(found, attrs={name: value for name, value in found.attrs.items() if name != "activities"})
    for name, one in (("bare", bare), ("labelled", labelled)):
        with store.create(tmp_path / f"{name}.zarr", dataset=found.key.dataset, card={}) as writer:
            writer.write(one)
    bare, told = (store.open(tmp_path / f"{name}.zarr") for name in ("bare", "labelled"))
    assert bare.digest != told.digest
    nothing = windows.prepare(bare, KNEE, cache=tmp_path / "cache")
    assert not nothing.entries
    assert "nobody says what is done when" in nothing.excluded[0][1]
    data = windows.prepare(told, KNEE, cache=tmp_path / "cache")
    walks = [(s["start_s"], s["stop_s"]) for s in labelled.attrs["activities"] if s["activity"] == "walk"]
    (entry,) = data.entries
    assert entry.runs
    for start, stop in entry.runs:
        assert any(low - 0.05 <= start / 40 and stop / 40 <= high + 0.05 for low, high in walks)
    assert 5 < entry.samples / 40 < sum(high - low for low, high in walks)
