"""Loads: ground reactions by body weight and moments by mass, from the reference to the score."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import xarray as xr
from conftest import SHARED, needs_shared
from kinbench_benchmarks import tasks
from kinbench_benchmarks.protocols import DATA_SIZE_PERSONS_LINEAR, DATA_SIZE_WINDOWS, FIVE_FOLD
from laboratories import LABORATORIES, convert
from scipy.spatial.transform import Rotation

import kinbench
from kinbench import schema, store, windows
from kinbench.contracts import ModelCard
from kinbench.errors import DataError, NotApplicable
from kinbench.harmonisation import harmonise
from kinbench.metrics import METRICS, compute_all, metrics_of
from kinbench.protocol import windows_in
from kinbench.recording import Key, Placement, Recording, Span, angle_dataset, imu_dataset
from kinbench.runner.scoring import coverage, predict_view, score_view
from kinbench.runner.stopwatch import Stopwatch
from kinbench.schema import GRAVITY
from kinbench.statistics.curves import data_efficiency
from kinbench.tasks import Around, Task, from_plain
from kinbench.testing import check_protocol
from kinbench.testing.protocols import cohort
from kinbench.windows.loads import contacts_of, stance_of, stances_of

RATE_HZ, MASS_KG, WEIGHT_N = 100.0, 70.0, 70.0 * GRAVITY
STEP, STANCE = 120, 70
TASK = replace(
    tasks.GRF_TREADMILL, segments=("trunk", "foot_r"), optional=("trunk",), window=64, stride=32, shortest=32
)


def force(samples, *, offset=0):
    """A right foot that stands 70 of every 120 samples, braked by 0.1 and pushed by 0.1 of body weight, pushed left."""
    phase = (np.arange(samples) + offset) % STEP
    stands = phase < STANCE
    up = np.where(stands, np.sin(np.pi * (phase + 0.5) / STANCE), 0.0)
    ahead = np.where(stands, -0.1 * np.sin(2 * np.pi * (phase + 0.5) / STANCE), 0.0)
    return np.stack([ahead, up, -0.05 * up], axis=1) * WEIGHT_N


def worn(segments, samples, seed):
    noise = np.random.default_rng(seed).standard_normal((samples, len(segments), 3))
    places = [Placement(name, name, "right", rotation=np.eye(3), rotation_origin="declared") for name in segments]
    signals = {
        "acc": (noise, {"units": "m s-2", "frame": "sensor", "kind": "specific_force"}),
        "gyr": (noise, {"units": "rad s-1", "frame": "sensor"}),
    }
    return imu_dataset(np.arange(samples) / RATE_HZ, places, signals)


def plates(values, names=("right",), frame="world"):
    return xr.Dataset(
        {"grf": (("time", "plate", "axis"), values.astype(np.float32), {"units": "N", "frame": frame})},
        coords={
            "time": ("time", np.arange(values.shape[0]) / RATE_HZ, {"units": "s"}),
            "plate": ("plate", list(names)), "axis": ("axis", list(schema.AXES)),
        },
    )  # fmt: skip


def recording(subject="S1", *, segments=("trunk", "foot_r"), samples=1200, reference=None, mass_kg=MASS_KG,
              activity="walking_treadmill", trial="walk"):  # fmt: skip
    reference = plates(force(samples)[:, None]) if reference is None else reference
    return Recording(
        Key("lab", subject, "1", trial), worn(segments, samples, sum(map(ord, subject + trial))), reference,
        {
            "schema_version": schema.SCHEMA_VERSION, "dataset": "lab", "dataset_version": "1", "subject": subject,
            "session": "1", "trial": trial, "person": f"lab/{subject}", "activity": activity,
            "licence": {"id": "CC0-1.0", "redistributable": True}, "rates": {"imu": {"nominal_hz": RATE_HZ}},
            "world": "Y up", "sync": {"method": "same_clock"}, "source": [{"name": "walk.csv", "sha256": "0" * 64}],
            "adapter": {"name": "toy", "version": "1"}, "history": [], "simulation": True, "absent": {},
            "person_table": {"mass_kg": mass_kg},
        },
    )  # fmt: skip


def laboratory(folder, *recordings):
    with store.create(folder / "lab.zarr", dataset="lab", card={"name": "lab", "simulation": True}) as writer:
        for one in recordings:
            writer.write(one)
    return store.open(folder / "lab.zarr")


def prepared(folder, *recordings, task=TASK):
    return windows.prepare(laboratory(folder, *recordings), task, cache=folder / "cache")


# --- what a task is --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [value for value in vars(tasks).values() if isinstance(value, Task)], ids=str)
def test_a_task_is_made_again_of_its_definition(task):
    assert from_plain(task.plain()) == task


def test_a_task_of_angles_says_nothing_of_loads():
    assert not {"quantity", "optional", "around", "shortest", "straight_deg"} & tasks.KNEE_PAIR.plain().keys()
    assert tasks.GRF_OVERGROUND.plain()["around"] == {"before": 40, "length": 128}


def test_a_definition_lacking_an_old_field_or_with_a_strange_one_is_refused():
    plain = tasks.KNEE_PAIR.plain()
    for wrong in ({**plain, "colour": "red"}, {name: plain[name] for name in plain if name != "dofs"}):
        with pytest.raises(ValueError, match="exactly the fields"):
            from_plain(wrong)


# --- from newtons to body weights ------------------------------------------------------------------------------------


def test_forces_are_shares_of_body_weight_by_where_they_point(tmp_path):
    data = prepared(tmp_path, recording())
    values = dict(zip(data.task.dofs, data.targets.T, strict=True))
    medial, ahead, up = (values[f"grf_{name}_r"] for name in ("medial", "anterior", "vertical"))
    assert up.max() == pytest.approx(1.0, abs=1e-3)
    assert medial.max() == pytest.approx(0.05, abs=1e-3)  # the ground pushes a right foot to the left
    assert np.argmin(ahead[:STANCE]) < np.argmax(ahead[:STANCE])
    assert (data.stance == (up > 0.02)).all()


def test_the_left_plate_is_never_taken_for_the_right(tmp_path):
    other = plates(np.stack([force(1200), 2 * force(1200)], axis=1), ("left", "right"))
    turned = plates(np.stack([2 * force(1200), force(1200)], axis=1), ("right", "left"))
    a, b = (prepared(tmp_path / name, recording(reference=r)) for name, r in (("a", other), ("b", turned)))
    np.testing.assert_array_equal(a.targets, b.targets)
    assert a.targets[:, 2].max() == pytest.approx(2.0, abs=1e-2)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"mass_kg": None}, "mass is not known"),
        ({"reference": plates(force(1200)[:, None], ("first",))}, "no force plate that is said to be under one foot"),
        ({"reference": plates(force(1200)[:, None], ("left",))}, "no reference of grf_medial_r"),
        ({"reference": plates(force(1200)[:, None], frame=schema.ARBITRARY_HEADING)}, "no reference of grf_medial_r"),
        ({"segments": ("trunk",)}, "no sensor on foot_r"),
        ({"activity": "running_treadmill"}, "takes walking_treadmill"),
    ],
)
def test_what_cannot_give_a_load_is_left_out_with_the_reason(tmp_path, how, reason):
    entry = laboratory(tmp_path, recording(**how)).entries()[0]
    assert reason in windows.applicable(entry, TASK)


def test_a_recording_of_angles_alone_has_no_forces(tmp_path):
    angle = angle_dataset(np.arange(1200) / 100, ["knee_flexion_r"], np.zeros((1200, 1)), units="deg",
                          convention="isb_zxy", tier="encoder")  # fmt: skip
    entry = laboratory(tmp_path, recording(reference=angle)).entries()[0]
    assert entry.forces == () and "no force plate" in windows.applicable(entry, TASK)


def test_a_recording_of_forces_alone_has_no_angles(tmp_path):
    entry = laboratory(tmp_path, recording(segments=("thigh_r", "shank_r"))).entries()[0]
    assert windows.applicable(entry, tasks.KNEE_PAIR) == "it is unlabelled: it has no reference angle"


def test_a_sensor_that_can_be_spared_is_told_as_missing(tmp_path):
    data = prepared(tmp_path, recording("S1"), recording("S2", segments=("foot_r",)))
    spans = [Span(str(entry.key), 0, 1200) for entry in data.entries]
    found = data.batches(spans)
    first = found.person == found.person[0]
    assert found.present[first].all() and not found.present[~first, 0].any() and found.present[:, 1].all()
    assert np.isnan(found.x[~first][..., :6]).all() and np.isfinite(found.x[~first][..., 6:]).all()


# --- moments ---------------------------------------------------------------------------------------------------------


def moments(values, unit):
    return xr.Dataset(
        {"moment": (("time", "load"), values.astype(np.float32), {"units": unit, "acts": "external"})},
        coords={"time": ("time", np.arange(values.shape[0]) / RATE_HZ, {"units": "s"}), "load": list(KNEE.dofs)},
    )


KNEE = replace(tasks.KNEE_MOMENT, segments=("foot_r",), optional=(), window=64, stride=32)


@pytest.mark.parametrize(("unit", "per_kg"), [("N m", 1 / MASS_KG), ("N m/kg", 1.0), ("%BW BH", 0.01 * GRAVITY * 1.8)])
def test_moments_are_by_mass_whatever_they_were_written_in(tmp_path, unit, per_kg):
    raw = np.random.default_rng(0).uniform(-5, 5, (1200, 2))
    one = recording(reference=moments(raw, unit)).with_attrs(person_table={"mass_kg": MASS_KG, "height_m": 1.8})
    done = harmonise(one)
    assert done.reference["moment"].attrs["units"] == "N m" and not done.validate()
    data = prepared(tmp_path, done, task=KNEE)
    np.testing.assert_allclose(data.targets, raw * per_kg, rtol=1e-5)
    assert data.stance.all()  # no plate tells otherwise


def test_moments_by_height_need_the_height():
    one = recording(reference=moments(np.zeros((1200, 2)), "%BW BH"))
    with pytest.raises(DataError, match="'%BW BH' needs the person's height_m"):
        harmonise(one)


def test_moments_are_scored_while_the_foot_stands(tmp_path):
    both = moments(np.ones((1200, 2)), "N m").merge(plates(force(1200)[:, None]))
    data = prepared(tmp_path, recording(reference=both), task=KNEE)
    assert data.stance.mean() == pytest.approx(STANCE / STEP, abs=0.03)


def test_an_unknown_moment_breaks_the_schema():
    wrong = moments(np.zeros((9, 2)), "N m").assign_coords(load=["knee_moment", "knee_adduction_moment_r"])
    found = [breach.path for breach in schema.validate(None, wrong, {}) if "load" in breach.path]
    assert found == ["reference.load[knee_moment]"]


# --- steps -----------------------------------------------------------------------------------------------------------


def test_a_step_is_what_bears_weight_for_a_tenth_of_a_second():
    up = np.zeros(300)
    up[0:50], up[100:105], up[150:220], up[290:] = 1.0, 1.0, 0.5, 1.0
    up[180] = np.nan
    stance = stance_of(up)
    assert stances_of(stance, 100.0) == [(0, 50), (150, 180), (181, 220), (290, 300)]
    assert contacts_of(stance, 100.0) == [150, 181, 290]


def test_time_around_contacts_is_all_that_counts(tmp_path):
    task = replace(TASK, activities=("walking",), around=Around(before=10, length=40))
    reference = plates(force(1200, offset=-50)[:, None])
    data = prepared(tmp_path, recording(activity="walking", reference=reference), task=task)
    assert data.entries[0].runs == tuple((at - 10, at + 30) for at in range(50, 1200, STEP))


def test_a_short_stretch_is_padded_without_a_label(tmp_path):
    data = prepared(tmp_path, recording(samples=40))
    key = str(data.entries[0].key)
    found = data.batches([Span(key, 0, 40)])
    x, y, valid = found.take(np.array([0]))
    assert len(found) == 1 and data.entries[0].window == 32
    assert valid[0, :40].all() and not valid[0, 40:].any() and np.isnan(y[0, 40:]).all()
    np.testing.assert_array_equal(x[0, 40:], np.repeat(x[0, 39:40], 24, axis=0))
    assert len(data.batches([Span(key, 0, 31)])) == 0
    assert data.places([Span(key, 0, 40)]).sample.tolist() == [0]


def test_windows_are_counted_as_they_are_cut():
    spans = [Span("a", 0, 31), Span("a", 40, 72), Span("a", 100, 260)]
    assert (windows_in(spans, 64, 32), windows_in(spans, 64, 32, 32)) == (4, 5)


def test_straight_walking_is_along_the_line_either_way(tmp_path):
    dofs = tasks.LOWER_BODY.dofs
    heading = np.concatenate([np.full(400, 100.0), np.linspace(100, 280, 200), np.full(400, 280.0)])
    values = np.concatenate([np.zeros((1000, len(dofs))), heading[:, None]], axis=1)
    angle = angle_dataset(np.arange(1000) / 100, [*dofs, "pelvis_rotation"], values, units="deg",
                          convention="isb_zxy", tier="optical_6dof")  # fmt: skip
    worn_by = recording(segments=tasks.LOWER_BODY.segments, samples=1000, reference=angle, activity="walking")
    (first, second) = prepared(tmp_path, worn_by, task=replace(tasks.LOWER_BODY, moving=None)).entries[0].runs
    assert first == (0, pytest.approx(433, abs=2)) and second == (pytest.approx(567, abs=2), 1000)


def test_orientation_becomes_angles_of_the_segment(tmp_path):
    """Sensors worn askew, turned in heading, lean and flexion by known angles, give these angles."""
    dofs, samples = tasks.LOWER_BODY.dofs, 300
    time = np.arange(samples) / RATE_HZ
    truth = np.stack([0.2 * np.sin(3 * time), 0.5 + 0.3 * np.cos(2 * time), -0.6 * np.sin(4 * time)], axis=1)
    body = Rotation.from_euler("YXZ", truth[:, [1, 0, 2]])
    askew = Rotation.from_euler("xyz", [0.4, -1.0, 2.0])
    quat = (body * askew).as_quat(scalar_first=True) * np.where(np.arange(samples) % 7, 1, -1)[:, None]
    segments = tasks.LOWER_BODY.segments
    imu = worn(segments, samples, 0)
    places = [Placement(n, n, "right", rotation=askew.as_matrix(), rotation_origin="declared") for n in segments]
    signals = {name: (imu[name].values, imu[name].attrs) for name in ("acc", "gyr")}
    signals["quat"] = (np.repeat(quat[:, None], 8, axis=1),
                       {"units": "1", "maps": "sensor_to_world", "origin": "device filter"})  # fmt: skip
    angle = angle_dataset(time, dofs, np.zeros((samples, len(dofs))), units="deg", convention="isb_zxy",
                          tier="simulation")  # fmt: skip
    one = replace(recording(reference=angle, activity="walking"), imu=imu_dataset(time, places, signals))
    task = replace(tasks.LOWER_BODY_EULER, moving=None)
    data = prepared(tmp_path, one, task=task)
    column = task.channel_names.index("thigh_r/euler/x")
    np.testing.assert_allclose(data.signals[:, column : column + 3], truth, atol=1e-5)
    without = laboratory(tmp_path / "without", recording(segments=segments, activity="walking", reference=angle))
    reason = windows.applicable(without.entries()[0], task, [tasks.LOWER_BODY])
    assert reason == "it has no 'quat', which lower-body/euler needs; 'lower-body' would fit"


# --- scores ----------------------------------------------------------------------------------------------------------


def test_a_force_is_no_angle():
    reference = np.linspace(0, 400, 50)
    found = metrics_of("grf")["rmse"].compute(reference + 360.0, reference, np.zeros(50, dtype=int))
    assert found.value == pytest.approx(360.0)
    assert {metric.unit for metric in metrics_of("moment").values()} == {"N m/kg", "%", "1"}
    assert metrics_of("angle") is METRICS


def test_peaks_are_of_each_stance_and_have_a_line():
    step = np.repeat([0, 1, 2, -1], 10)
    shape = np.tile(np.sin(np.pi * np.arange(10) / 9), 4)
    reference = shape * np.repeat([1.0, 1.1, 1.3, 5.0], 10)
    prediction = 0.5 * reference + 0.2
    found = compute_all(metrics_of("grf").values(), prediction, reference, np.zeros(40, dtype=int), step)
    assert found["peak_slope"].value == pytest.approx(0.5)
    assert found["peak_intercept"].value == pytest.approx(0.2)
    assert found["peak_r"].value == pytest.approx(1.0)
    measured = np.array([reference[step == number].max() for number in range(3)])
    assert found["peak_offset"].value == pytest.approx(np.mean(0.5 * measured + 0.2 - measured))
    assert found["peak_rmse"].value == pytest.approx(np.sqrt(np.mean((0.5 * measured + 0.2 - measured) ** 2)))


@pytest.mark.parametrize(
    ("steps", "reason"), [(0, "no stance"), (2, "fewer than 3 peaks"), (4, "the reference varies less than 0.02 BW")]
)
def test_peaks_that_say_nothing_say_why(steps, reason):
    step = np.concatenate([np.repeat(np.arange(steps), 5), np.full(10, -1)])
    reference = np.tile(np.linspace(0, 1, 5), steps + 2)
    found = compute_all(metrics_of("grf").values(), reference, reference, np.zeros(reference.size, dtype=int), step)
    assert found["peak_slope"].value is None and reason in found["peak_slope"].reason


def test_metrics_of_two_quantities_never_meet():
    with pytest.raises(DataError, match="angle and grf"):
        compute_all([METRICS["rmse"], metrics_of("grf")["rmse"]], [0.0], [0.0], [0])


class Shaped:
    """Answers 0.1 of body weight too much in stance, 0.3 in swing, by a clock that the first channel holds."""

    card = ModelCard("shaped", "1", "shaped", "knows the truth")

    def __init__(self, data):
        self.data = data

    def predict(self, x):
        truth = {row.tobytes(): (y, s) for row, y, s in zip(self.data.signals, self.data.targets, self.data.stance,
                                                            strict=True)}  # fmt: skip
        answer = np.empty((*x.shape[:2], 3), dtype=np.float32)
        for at in np.ndindex(x.shape[:2]):
            y, stands = truth[x[at].tobytes()]
            answer[at] = y + (0.1 if stands else 0.3)
        return answer


def test_stance_is_the_headline_and_swing_stands_beside_it(tmp_path):
    data = prepared(tmp_path, recording())
    table = predict_view(Shaped(data), data, [Span(str(data.entries[0].key), 0, 1200)], Stopwatch())
    scores = score_view("test", table, data, ["lab/S1"], tuple(metrics_of("grf").values()))
    rmse = {(score.view, score.dof): score.values["rmse"] for score in scores}
    for dof in data.task.dofs:
        assert rmse["test", dof] == pytest.approx(0.1, abs=1e-6)
        assert rmse["test_swing", dof] == pytest.approx(0.3, abs=1e-6)
    stance = next(score for score in scores if score.view == "test")
    assert stance.samples == stance.covered == int(data.stance.sum()) and coverage(scores) == 1.0
    assert stance.values["peak_rmse"] == pytest.approx(0.1, abs=1e-6)
    assert {s.view for s in score_view("test_long", table, data, ["lab/S1"], ())} == {"test_long"}


# --- protocols -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "protocol", [FIVE_FOLD, DATA_SIZE_WINDOWS, DATA_SIZE_PERSONS_LINEAR], ids=lambda p: p.card.name
)
def test_the_protocols_keep_their_promises(protocol):
    check_protocol(protocol)


def test_everybody_is_tested_once_in_five_groups():
    entries, task = cohort("lab", 12), replace(tasks.KNEE_PAIR, window=16, stride=8)
    folds = FIVE_FOLD.folds(entries, task)
    assert len(folds) == 5
    tested = [person for fold in folds for person in fold.test_persons]
    assert sorted(tested) == sorted({entry.person for entry in entries}) and len(set(tested)) == len(tested)


def test_less_data_is_part_of_more():
    entries, task = cohort("lab", 6), replace(tasks.KNEE_PAIR, window=16, stride=8)
    whole = {fold.name: fold for fold in FIVE_FOLD.folds(entries, task)}
    found = {}
    for fold in DATA_SIZE_WINDOWS.folds(entries, task):
        found.setdefault(fold.name.split(":")[0], []).append(fold)
    assert found.keys() == whole.keys()
    for name, sizes in found.items():
        assert [fold.condition["fraction"] for fold in sizes][::5] == [1.0, 0.1, 0.01]
        samples = [{(s.key, at) for s in fold.roles["fit"] for at in range(s.start, s.stop)} for fold in sizes]
        all_of_it = {(s.key, at) for s in whole[name].roles["fit"] for at in range(s.start, s.stop)}
        assert samples[0] == all_of_it
        assert all(less <= more for more, less in pairwise(samples))
        assert len(samples[5]) == pytest.approx(0.1 * len(samples[0]), rel=0.25)
        assert all(fold.condition["windows"] == windows_in(fold.roles["fit"], 16, 8) for fold in sizes)


def test_one_person_cannot_be_dealt():
    with pytest.raises(NotApplicable, match="two persons"):
        FIVE_FOLD.folds(cohort("lab", 1), tasks.KNEE_PAIR)


# --- how much less data ----------------------------------------------------------------------------------------------

SIZES = np.array([0.01, 0.1, 1.0])


def test_a_tenth_of_the_data_is_ten_times_less():
    rows = np.array([[3.0, 2.0, 1.0]] * 6) + np.linspace(-0.2, 0.2, 6)[:, None]
    found = data_efficiency(SIZES, rows, rows[:, 1])
    assert found.value == pytest.approx(10.0) and found.low == pytest.approx(10.0) and found.n == 6
    assert data_efficiency(SIZES, rows, rows.mean(axis=1) - 0.5).value == pytest.approx(10**0.5)
    assert found.reason is None


def test_a_curve_that_rises_again_needs_what_it_needs_from_there():
    assert data_efficiency(SIZES, [[1.0, 3.0, 1.0]], [2.0]).value == pytest.approx(10**0.5)


def test_a_factor_that_cannot_be_told_says_why():
    never = data_efficiency(SIZES, [[3.0, 2.0, 1.5]] * 5, [1.0] * 5)
    assert np.isnan(never.value) and "above the baseline's" in never.reason
    always = data_efficiency(SIZES, [[3.0, 2.0, 1.5]] * 5, [4.0] * 5)
    assert always.value == pytest.approx(100.0) and "at least" in always.reason
    with pytest.raises(DataError, match="for each of 5 rows"):
        data_efficiency(SIZES, [[3.0, 2.0, 1.5]] * 5, [4.0] * 4)


# --- real people -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def treadmill(tmp_path_factory):
    folder = tmp_path_factory.mktemp("treadmill")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KINBENCH_SHARED_DATA", str(SHARED))
        convert(next(lab for lab in LABORATORIES if lab.name == "capsense_treadmill"), SHARED, folder)
    return folder


@needs_shared
def test_the_ground_bears_a_person_s_weight(treadmill):
    found = kinbench.open("capsense_treadmill", data=treadmill)
    both = replace(tasks.GRF_TREADMILL, dofs=(*tasks.GRF_TREADMILL.dofs, "grf_vertical_l", "grf_medial_l"))
    data = windows.prepare(found, both, cache=treadmill / ".cache")
    assert len(data.entries) == 7 and not data.excluded
    for piece in data.pieces:
        start, stop = piece.runs[0]
        rows = slice(piece.offset + start, piece.offset + stop)
        contacts = contacts_of(data.stance[rows], RATE_HZ)
        medial, ahead, up, other, other_medial = data.targets[rows][contacts[0] : contacts[-1]].T
        assert (up + other).mean() == pytest.approx(1.0, abs=0.03)
        assert medial.mean() > 0.01 and other_medial.mean() > 0.01
        assert abs(ahead.mean()) < 0.01
        stance = data.stance[rows][contacts[0] : contacts[-1]]
        steps = [ahead[a:b] for a, b in stances_of(stance, RATE_HZ) if b - a > 40]
        assert np.median([np.argmin(step) < np.argmax(step) for step in steps]) == 1.0


@needs_shared
def test_sensors_tell_more_of_the_ground_than_the_mean_does(treadmill, tmp_path):
    table = kinbench.run(
        protocols="five-fold", tasks="grf/treadmill", models=["ridge", "mean-pose"], seeds=0, data=treadmill,
        results=tmp_path,
    )  # fmt: skip
    table = table[(table["view"] == "test") & (table["metric"] == "rmse")]
    assert set(table["unit"]) == {"BW"} and table["person"].nunique() == 7
    error = table.groupby(["dof", "model"])["value"].mean().unstack()
    assert (error["ridge"] < 0.75 * error["mean-pose"]).all()
    assert error.loc["grf_vertical_r", "ridge"] < 0.25


@needs_shared
def test_a_real_knee_is_loaded_while_it_stands(tmp_path, monkeypatch):
    monkeypatch.setenv("KINBENCH_SHARED_DATA", str(SHARED))
    convert(next(lab for lab in LABORATORIES if lab.name == "tan_treadmill"), SHARED, tmp_path)
    data = windows.prepare(kinbench.open("tan_treadmill", data=tmp_path), tasks.KNEE_MOMENT, cache=tmp_path / "cache")
    assert len(data.entries) == 20 and len({entry.person for entry in data.entries}) == 2
    flexion, adduction = data.targets.T
    assert np.abs(data.targets[~data.stance]).max() < 0.1
    for piece in data.pieces:
        rows = slice(piece.offset, piece.offset + piece.samples)
        assert 0.2 < flexion[rows].max() < 1.2 and 0.1 < adduction[rows].max() < 1.0
