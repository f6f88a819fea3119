"""Weights that know whom they know, and angles of recordings that nobody measured."""

import csv
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from kinbench_benchmarks import tasks
from opensim_case import judge
from runner_cases import TASK, laboratory, recording

import kinbench
from kinbench import prediction, schema, store, windows
from kinbench.contracts import ModelCard
from kinbench.errors import DataError, NotApplicable, UsageError
from kinbench.kinematics import mirror_acc, mirror_gyr
from kinbench.prediction import estimate, open_weights, predict, train
from kinbench.recording import Placement, imu_dataset
from kinbench.schema import DOF_ALIASES, DOFS
from kinbench.tasks import Moving, Task


@pytest.fixture(scope="module")
def labs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return [laboratory(folder, "one"), laboratory(folder, "two", ("P1", "P2"), seconds=20.0)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def weights(labs, cache, tmp_path_factory):
    return train(labs[:1], TASK, "ridge", tmp_path_factory.mktemp("weights") / "ridge", cache=cache)


@pytest.fixture(scope="module")
def resting_weights(labs, cache, tmp_path_factory):
    """Weights of a task that leaves people at rest out."""
    task = replace(TASK, name="toy-knee-moving", moving=Moving())
    return train(labs[:1], task, "ridge", tmp_path_factory.mktemp("weights") / "moving", cache=cache)


def write(path, *recordings, **card):
    name = recordings[0].key.dataset
    with store.create(path / f"{name}.zarr", dataset=name, card={"name": name, **card}) as writer:
        for one in recordings:
            writer.write(one)
    return store.open(path / f"{name}.zarr")


def without_reference(one):
    return replace(one, reference=None)


def read_csv(path):
    """Return (column names, numbers (row, column) with NaN for empty cells)."""
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    return header, np.array([[float(cell or "nan") for cell in row] for row in rows])


# --- training --------------------------------------------------------------------------------------------------------


def test_the_card_says_what_was_fitted_on_whom(labs, cache, tmp_path):
    done = train(labs, TASK, "ridge", tmp_path / "w", seed=7, cache=cache)
    card = json.loads((tmp_path / "w" / "card.json").read_text())
    assert card["model"]["selector"] == "ridge"
    assert card["model"]["distribution"] == "kinbench"
    assert (card["seed"], card["threads"], card["kinbench"]) == (7, 1, kinbench.__version__)
    assert card["task"]["digest"] == windows.task_digest(TASK)
    assert {part["name"]: part["digest"] for part in card["stores"]} == {lab.name: lab.digest for lab in labs}
    fit, valid = (set(card["persons"][role]) for role in ("fit", "validation"))
    assert fit | valid == {"one/S1", "one/S2", "one/S3", "two/P1", "two/P2"} == done.seen
    assert not fit & valid
    assert len(valid) == 1  # a fifth of five
    [row] = card["validation"]
    lab = next(lab for lab in labs if row["store"] == lab.name)
    one = lab.read(f"{row['person']}/1/walk")
    error = estimate(done.model, one.imu, TASK, ("r", "l")).angle - one.reference["angle"].values
    assert ({row["person"]}, row["dof"], row["samples"]) == (valid, "knee_flexion", error.size)
    assert row["rmse"] == pytest.approx(np.sqrt((error.astype(np.float64) ** 2).mean()), rel=1e-4)
    assert done.recordings == {entry.digest for lab in labs for entry in lab.entries()}


def test_a_single_person_stops_the_fit_on_the_last_fifth(cache, tmp_path):
    lab = laboratory(tmp_path, "alone", ("S1",))
    card = train([lab], TASK, "ridge", tmp_path / "w", cache=cache).card
    assert card["persons"]["fit"] == card["persons"]["validation"] == ["alone/S1"]
    samples = 40 * TASK.rate_hz * 2  # both legs
    assert 0.7 * samples < card["windows"]["fit"] * TASK.stride < 0.8 * samples
    assert 0.1 * samples < card["windows"]["validation"] * TASK.stride < 0.2 * samples


def test_training_again_gives_the_same_predictions(labs, cache, weights, tmp_path):
    again = train(labs[:1], TASK, "ridge", tmp_path / "w", cache=cache)
    x = np.random.default_rng(1).normal(size=(4, TASK.window, 3)).astype(np.float32)
    np.testing.assert_array_equal(again.model.predict(x), weights.model.predict(x))
    np.testing.assert_array_equal(open_weights(again.folder).model.predict(x), weights.model.predict(x))


def test_what_cannot_be_trained_is_told(labs, cache, weights, tmp_path, install):
    names = [("kinbench.models", f"{name.lower()} = odd_models:{name}") for name in ("Fleeting", "Sour")]
    install("odd", names, {"odd_models": ODD_MODELS})
    with pytest.raises(UsageError, match="'fleeting' has no save and load"):
        train(labs, TASK, "fleeting", tmp_path / "w", cache=cache)
    with pytest.raises(DataError, match="'sour' could not be fitted: ZeroDivisionError"):
        train(labs, TASK, "sour", tmp_path / "w", cache=cache)
    with pytest.raises(UsageError, match="different names"):
        train([labs[0], labs[0]], TASK, "ridge", tmp_path / "w", cache=cache)
    with pytest.raises(NotApplicable, match="activity is 'walking'"):
        train(labs, replace(TASK, activities=("running",)), "ridge", tmp_path / "w", cache=cache)
    with pytest.raises(UsageError, match="--force"):
        train(labs, TASK, "ridge", weights.folder, cache=cache)
    assert not (tmp_path / "w").exists()


ODD_MODELS = """
from kinbench.contracts import ModelCard

class Fleeting:
    card = ModelCard(name="fleeting", version="1", title="Fleeting", description="Cannot be kept.")
    def fit(self, train, valid, *, seed): ...
    def predict(self, x): ...

class Sour(Fleeting):
    card = ModelCard(name="sour", version="1", title="Sour", description="Cannot be fitted.")
    def fit(self, train, valid, *, seed): 1 / 0
    def save(self, folder): ...
    def load(self, folder): ...
"""


def test_conventions_that_may_not_meet_are_not_learnt_together(cache, tmp_path):
    both = []
    for name, convention in (("isb", "isb_zxy"), ("clinic", "calgary_clinic")):
        one = recording(name, "S1")
        angle = one.reference.assign_coords(dof=["knee_adduction_r", "knee_adduction_l"])
        angle["angle"].attrs["convention"] = convention
        both.append(write(tmp_path, replace(one, reference=angle)))
    frontal = replace(TASK, dofs=("knee_adduction",))
    with pytest.raises(UsageError, match="calgary_clinic, isb_zxy"):
        train(both, frontal, "ridge", tmp_path / "w", cache=cache)


# --- weights on disk -------------------------------------------------------------------------------------------------


@pytest.fixture
def copy(weights, tmp_path):
    return shutil.copytree(weights.folder, tmp_path / "copy")


def test_weights_of_another_model_are_refused(weights):
    with pytest.raises(UsageError, match="weights of 'ridge', not of 'mean-pose'"):
        open_weights(weights.folder, model="mean-pose")
    assert open_weights(weights.folder, model="ridge").selector == "ridge"


def test_a_folder_without_weights_is_told(tmp_path):
    with pytest.raises(UsageError, match="kinbench train"):
        open_weights(tmp_path)


@pytest.mark.parametrize("planted", ["byte", "missing", "task", "version", "json", "format", "persons"])
def test_damaged_weights_are_never_used(copy, planted):
    state = next(path for path in (copy / "model").iterdir() if path.suffix != ".json")
    card = json.loads((copy / "card.json").read_text())
    if planted == "byte":
        found = bytearray(state.read_bytes())
        found[len(found) // 2] ^= 1
        state.write_bytes(bytes(found))
    elif planted == "missing":
        state.unlink()
    elif planted == "task":
        card["task"]["definition"]["rate_hz"] = 60.0
    elif planted == "version":
        card["model"]["version"] = "0"
    elif planted == "format":
        card["format"] = 99
    elif planted == "persons":
        del card["persons"]
    (copy / "card.json").write_text("{" if planted == "json" else json.dumps(card))
    with pytest.raises(DataError, match="train again"):
        open_weights(copy)


# --- from inputs to angles -------------------------------------------------------------------------------------------


class Counting:
    """Answers, for every sample, where in its window it stands."""

    card = ModelCard(name="counting", version="1", title="Counting", description="For tests.")

    def fit(self, train, valid, *, seed): ...

    def predict(self, x):
        return np.tile(np.arange(x.shape[1], dtype=np.float32)[None, :, None], (len(x), 1, 1))


def test_overlapping_windows_are_averaged():
    one = recording("lab", "S1", seconds=1.92)  # 96 samples: windows at 0, 16, 32, 48, 64
    angles = estimate(Counting(), one.imu, TASK, ("r", "l"))
    starts, samples = np.arange(0, 65, 16), np.arange(96)
    within = samples[:, None] - starts
    inside = (within >= 0) & (within < 32)
    expected = np.where(inside, within, 0).sum(axis=1) / inside.sum(axis=1)
    np.testing.assert_allclose(angles.angle, np.stack([expected, expected], axis=1), rtol=1e-6)
    assert angles.dofs == ("knee_flexion_r", "knee_flexion_l")


class Wrong(Counting):
    def __init__(self, answer):
        self.answer = answer

    def predict(self, x):
        return self.answer(super().predict(x))


@pytest.mark.parametrize(
    ("answer", "words"), [(lambda y: y * np.nan, "not finite"), (lambda y: y[:, :1], "was to answer")]
)
def test_answers_that_cannot_be_believed_are_refused(answer, words):
    with pytest.raises(DataError, match=words):
        estimate(Wrong(answer), recording("lab", "S1").imu, TASK, ("r", "l"))


PAIR = Task(
    name="pair", version=1, title="Knee flexion", segments=("thigh", "shank"), channels=("acc", "gyr"),
    dofs=("knee_flexion",), rate_hz=50.0, window=32, stride=16, per_leg=True, moving=None,
)  # fmt: skip


class Summing(Counting):
    """Answers with the sum of a sample's channels, so that any channel of the wrong sign shows."""

    def predict(self, x):
        return (x * np.arange(1, 13, dtype=np.float32)).sum(axis=2, keepdims=True)


def test_a_left_leg_that_mirrors_the_right_one_gives_its_angles():
    generator, time = np.random.default_rng(3), np.arange(100) / 50.0
    right = {name: generator.normal(size=(100, 2, 3)) for name in ("acc", "gyr")}
    left = {"acc": mirror_acc(right["acc"]), "gyr": mirror_gyr(right["gyr"])}
    placements = [
        Placement(name, name, side, rotation=np.eye(3), rotation_origin="declared")
        for side, letter in (("right", "r"), ("left", "l"))
        for name in (f"thigh_{letter}", f"shank_{letter}")
    ]
    both = {name: np.concatenate([right[name], left[name]], axis=1) for name in right}
    attrs = {"acc": {"units": "m s-2", "kind": "specific_force", "frame": "sensor"},
             "gyr": {"units": "rad s-1", "frame": "sensor"}}  # fmt: skip
    imu = imu_dataset(time, placements, {name: (both[name], attrs[name]) for name in both})
    angles = estimate(Summing(), imu, PAIR, ("r", "l"))
    np.testing.assert_allclose(angles.angle[:, 0], angles.angle[:, 1], rtol=1e-5)
    assert np.ptp(angles.angle) > 10


def test_inputs_need_no_reference_and_no_activity():
    from test_windows import index_entry, make

    one = make(activity="jump", segments=("thigh_r", "shank_r", "thigh_l"))
    entry, task = replace(index_entry(one), dofs=()), replace(PAIR, activities=("walking",))
    assert windows.input_legs(entry, task) == ("r",)
    assert "activity" in windows.applicable(entry, task)
    assert windows.input_legs(replace(entry, acc_kind="gravity_removed"), task).startswith("its acceleration is")
    assert windows.input_legs(replace(entry, sensors=entry.sensors[:1]), task) == "it has no sensor on shank_r"
    assert "no task takes" in windows.input_legs(replace(entry, compat="rapp2021"), task)


# --- a store's angles ------------------------------------------------------------------------------------------------


def test_the_reference_plays_no_part(weights, tmp_path):
    stores = []
    for name, change in (("with", lambda one: one), ("without", without_reference)):
        (tmp_path / name).mkdir()
        stores.append(write(tmp_path / name, *(change(recording("lab", who)) for who in ("A", "B"))))
    assert not any(entry.dofs for entry in stores[1].entries())
    for lab, name in zip(stores, ("with", "without"), strict=True):
        done = predict(lab, weights, tmp_path / f"angles-{name}", format="csv")
        assert len(done.done) == 2
    for file in ("A/1/walk.csv", "B/1/walk.csv"):
        found = (tmp_path / "angles-with" / file).read_bytes()
        assert found == (tmp_path / "angles-without" / file).read_bytes()
        assert len(found) > 10_000


def test_angles_follow_the_reference(weights, tmp_path):
    one = recording("lab", "A")
    predict(write(tmp_path, one), weights, tmp_path / "angles", format="csv")
    header, numbers = read_csv(tmp_path / "angles" / "A" / "1" / "walk.csv")
    assert header == ["time [s]", "knee_flexion_r [deg]", "knee_flexion_l [deg]", "moving"]
    reference = one.reference["angle"].values
    error = numbers[:, 1:3] - np.stack(
        [np.interp(numbers[:, 0], one.reference["time"].values, reference[:, column]) for column in range(2)], axis=1
    )
    centred = error - error.mean(axis=0)
    assert np.sqrt((centred**2).mean()) < 0.3 * reference.std()


def test_gaps_are_empty_cells_and_absent_rows(weights, tmp_path):
    one = without_reference(recording("lab", "A"))
    one.imu["gyr"].values[500:700, 0] = np.nan  # the right sensor
    lab = write(tmp_path, one)
    predict(lab, weights, tmp_path / "csv", format="csv")
    _, numbers = read_csv(tmp_path / "csv" / "A" / "1" / "walk.csv")
    assert np.isnan(numbers[510:690, 1]).all()
    assert np.isfinite(numbers[:, 2]).all()
    done = predict(lab, weights, tmp_path / "mot")
    text = (tmp_path / "mot" / "A" / "1" / "walk.mot").read_text()
    assert "nan" not in text
    times = np.array([float(line.split("\t")[0]) for line in text.split("endheader\n")[1].splitlines()[1:]])
    assert not ((times > 10.2) & (times < 13.8)).any()
    assert times.size == done.recordings[0].rows == int(text.split("nRows=")[1].split()[0]) > 1700
    assert "have some of its angles only" in done.recordings[0].notes[0]
    assert done.recordings[0].known["knee_flexion_l"] == 1.0
    assert 0.89 < done.recordings[0].known["knee_flexion_r"] < 0.91


def test_opensim_reads_what_we_wrote(weights, tmp_path):
    lab = write(tmp_path, without_reference(recording("lab", "A")))
    predict(lab, weights, tmp_path / "mot")
    predict(lab, weights, tmp_path / "csv", format="csv")
    _, numbers = read_csv(tmp_path / "csv" / "A" / "1" / "walk.csv")
    found = judge(read=[[str(tmp_path / "mot" / "A" / "1" / "walk.mot"), 1]])
    assert json.loads(str(found["0/labels"])) == ["knee_angle_r", "knee_angle_l"]
    np.testing.assert_allclose(found["0/values"], numbers[:, 1:3], rtol=1e-7)
    np.testing.assert_allclose(found["0/time"], numbers[:, 0], atol=1e-12)


def angles_of(dofs):
    angle = np.arange(3 * len(dofs), dtype=np.float32).reshape(3, -1)
    return prediction.Angles(tuple(dofs), 50.0, angle, np.ones(3, dtype=bool), 0, False)


def at_rest(one, *spans):
    """The same recording, its sensors at rest in these spans of seconds."""
    for start, stop in spans:
        one.imu["gyr"].values[round(start * 50) : round(stop * 50)] = 0.0
    return one


def rows_of(path):
    """The times of a .mot's rows, and its header."""
    head, body = path.read_text().split("endheader\n")
    return np.array([float(line.split("\t")[0]) for line in body.splitlines()[1:]]), head


def test_rest_has_no_row_and_is_told_once(resting_weights, tmp_path):
    two = [at_rest(without_reference(recording("lab", who)), (10.0, 20.0)) for who in ("A", "B")]
    lab = write(tmp_path, *two)
    done = predict(lab, resting_weights, tmp_path / "mot")
    (note,) = (line for line in done.text().splitlines() if "at rest" in line)
    for who, one in zip("AB", done.recordings, strict=True):
        times, head = rows_of(tmp_path / "mot" / who / "1" / "walk.mot")
        assert not ((times > 11.0) & (times < 19.0)).any()
        assert min((times < 9.0).sum(), (times > 21.0).sum()) > 400
        assert one.rows == times.size and 400 < one.at_rest < 510
        assert f"{one.at_rest} instants have no row, being of a person at rest" in head
        assert one.notes == ()
    assert str(sum(one.at_rest for one in done.recordings)) in note and "--keep-still" in note
    kept = predict(lab, resting_weights, tmp_path / "kept", keep_still=True)
    times, head = rows_of(tmp_path / "kept" / "A" / "1" / "walk.mot")
    assert ((times > 11.0) & (times < 19.0)).sum() == 399
    assert f"{kept.recordings[0].at_rest} rows are of a person at rest" in head
    told = predict(lab, resting_weights, tmp_path / "csv", format="csv")
    header, numbers = read_csv(tmp_path / "csv" / "A" / "1" / "walk.csv")
    assert (numbers[:, header.index("moving")] == 0).sum() == told.recordings[0].at_rest == done.recordings[0].at_rest
    assert "have 'moving' 0" in told.text()


def test_opensim_reads_a_motion_with_rest_left_out(resting_weights, tmp_path):
    predict(write(tmp_path, at_rest(recording("lab", "A"), (10.0, 20.0))), resting_weights, tmp_path / "mot")
    file = tmp_path / "mot" / "A" / "1" / "walk.mot"
    found = judge(read=[[str(file), 1]])
    np.testing.assert_allclose(found["0/time"], rows_of(file)[0], atol=1e-12)


def test_whoever_never_moves_has_no_motion_unless_asked_for(resting_weights, tmp_path):
    still, walks = at_rest(recording("lab", "A"), (0.0, 100.0)), recording("lab", "B")
    lab = write(tmp_path, still, walks)
    done = predict(lab, resting_weights, tmp_path / "mot")
    assert "nobody moves in it" in done.recordings[0].reason and "--keep-still" in done.recordings[0].reason
    assert not (tmp_path / "mot" / "A").exists() and done.recordings[1].reason is None
    kept = predict(lab, resting_weights, tmp_path / "kept", keep_still=True)
    assert kept.recordings[0].rows == kept.recordings[0].at_rest > 0


def test_coordinates_have_opensims_names_and_our_signs():
    from kinbench.prediction.motions import motion

    found = motion(angles_of(DOFS), "all")
    text, rows = found.text, found.rows
    header, first, *_ = text.split("endheader\n")[1].splitlines()
    names, values = header.split("\t")[1:], first.split("\t")[1:]
    assert rows == 3
    assert {DOF_ALIASES[name]: float(value) for name, value in zip(names, values, strict=True)} == {
        dof: float(number) for number, dof in enumerate(DOFS) if dof in DOF_ALIASES.values()
    }
    assert "inDegrees=yes" in text


def test_a_joint_that_opensim_has_not_asks_for_csv(labs, cache, weights, tmp_path):
    foreign = replace(weights, task=replace(TASK, dofs=("knee_adduction",)))
    with pytest.raises(UsageError, match="--format csv"):
        predict(labs[0], foreign, tmp_path / "angles")
    assert not (tmp_path / "angles").exists()


# --- what to know of them --------------------------------------------------------------------------------------------


def test_whoever_was_trained_on_is_flagged(labs, weights, tmp_path):
    done = predict(labs[0], weights, tmp_path / "same")
    assert {one.seen for one in done.recordings} == {"recording"}
    assert done.seen == ("one/S1", "one/S2", "one/S3")
    again = recording("one", "S1", seconds=15.0)
    other_day = replace(again, key=replace(again.key, session="2"), attrs={**again.attrs, "session": "2"})
    done = predict(write(tmp_path, other_day), weights, tmp_path / "person")
    assert [one.seen for one in done.recordings] == ["person"]
    assert "this person was in the training set" in done.text()
    assert json.loads((tmp_path / "person" / "predictions.json").read_text())["persons_trained_on"] == ["one/S1"]
    done = predict(labs[1], weights, tmp_path / "others")
    assert done.seen == ()
    assert "training set" not in done.text()
    assert "simulated" in done.text()  # the weights are of simulated people


def test_one_recording_without_sensors_does_not_stop_the_others(weights, tmp_path):
    bare = recording("lab", "B")
    bare = replace(bare, imu=bare.imu.assign_coords(segment=("sensor", ["thigh_r", "thigh_l"])))
    done = predict(write(tmp_path, recording("lab", "A"), bare), weights, tmp_path / "angles")
    assert [one.reason is None for one in done.recordings] == [True, False]
    assert "lab/B/1/walk: it has no sensor on shank_r" in done.text()
    with pytest.raises(DataError, match=r"no sensor on shank_r \(1 of 1"):
        (tmp_path / "bare").mkdir()
        predict(write(tmp_path / "bare", bare), weights, tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


# --- end to end ------------------------------------------------------------------------------------------------------


def errors(folder, lab, dof):
    """Return, per recording, (RMSE, its part without offset, SD of the reference, correlation) where people move."""
    found = []
    for key in lab:
        header, numbers = read_csv(folder / key.subject / key.session / f"{key.trial}.csv")
        reference = lab.read(key).reference
        time, angle = reference["time"].values, reference["angle"].sel(dof=dof).values
        known = np.isfinite(angle)
        truth = np.interp(numbers[:, 0], time[known], angle[known])
        answer = numbers[:, header.index(f"{dof} [deg]")]
        use = (numbers[:, -1] == 1) & np.isfinite(answer)
        error = (answer - truth)[use]
        r = np.corrcoef(answer[use], truth[use])[0, 1]
        found.append((np.sqrt((error**2).mean()), error.std(), truth[use].std(), r))
    return found


def test_loads_are_trained_written_and_exported_in_their_own_unit(call, tmp_path):
    name = standing_people(tmp_path).name
    asked, data = (name, "--task", "grf/treadmill/1"), ("--data", tmp_path)
    code, shown, told = call("train", *asked, "--model", "mean-pose", "--to", tmp_path / "w", *data)
    assert code == 0, told
    assert re.search(r"grf_vertical_r of lab/\w+: RMSE \d+\.\d\d BW", shown)
    code, _, told = call("predict", name, "--weights", tmp_path / "w", "--to", tmp_path / "mot", *data)
    assert (code, "choose --format csv" in told) == (2, True)
    angles = ("--weights", tmp_path / "w", "--to", tmp_path / "csv", "--format", "csv")
    code, _, told = call("predict", name, *angles, *data)
    assert code == 0, told
    header, numbers = read_csv(tmp_path / "csv" / "S1" / "1" / "walk.csv")
    assert header[1:4] == ["grf_medial_r [BW]", "grf_anterior_r [BW]", "grf_vertical_r [BW]"]
    assert np.isfinite(numbers).all()
    code, _, told = call("export", *asked, "--format", "folders", "--to", tmp_path / "x", *data)
    assert code == 0, told
    about = json.loads((tmp_path / "x" / "grf_treadmill_1" / f"{name}@S1" / "about" / "1" / "walk.json").read_text())
    assert about["columns"]["grf_r/1/walk.grf.npy"] == header[1:4]


def standing_people(folder):
    """A store of three people on a treadmill whose right foot bears their weight half of the time."""
    samples, mass_kg = 1200, 70.0
    time = np.arange(samples) / 100.0
    up = np.clip(np.sin(2 * np.pi * time), 0, None)
    force = np.stack([0.1 * up, up, -0.05 * up], axis=1)[:, None] * mass_kg * schema.GRAVITY
    segments = tasks.GRF_TREADMILL_1.segments
    people = []
    for number, subject in enumerate(("S1", "S2", "S3")):
        noise = np.random.default_rng(number).standard_normal((samples, len(segments), 3))
        places = [Placement(name, name, "right", rotation=np.eye(3), rotation_origin="declared") for name in segments]
        imu = imu_dataset(time, places, {
            "acc": (noise, {"units": "m s-2", "frame": "sensor", "kind": "specific_force"}),
            "gyr": (noise, {"units": "rad s-1", "frame": "sensor"}),
        })  # fmt: skip
        plate = xr.Dataset(
            {"grf": (("time", "plate", "axis"), force.astype(np.float32), {"units": "N", "frame": "world"})},
            coords={"time": ("time", time, {"units": "s"}), "plate": ["right"], "axis": list(schema.AXES)},
        )
        one = recording("lab", subject)
        about = {**one.attrs, "activity": "walking_treadmill", "person_table": {"mass_kg": mass_kg}}
        people.append(replace(one, imu=imu, reference=plate, attrs=about))
    return write(folder, *people)


def test_from_one_laboratory_to_the_other(call, tmp_path):
    from kinbench_adapters._simulation import Cohort

    data = ("--data", tmp_path / "data")
    for part in Cohort(people_per_laboratory=2, length_s=30).write(tmp_path / "raw"):
        kinbench.convert(part.adapter, part.raw, name=part.name, data=tmp_path / "data")
    asked = ("simulated-a", "--task", "knee-pair", "--model", "ridge", "--to", tmp_path / "w", *data)
    code, shown, told = call("train", *asked)
    assert code == 0, told
    assert "RMSE" in shown
    asked = ("simulated-b", "--weights", tmp_path / "w", "--to", tmp_path / "angles", *data)
    code, shown, told = call("predict", *asked, "--format", "csv", "--json")
    assert code == 0, told
    assert len(json.loads(shown)["recordings"]) == 4
    for dof in ("knee_flexion_r", "knee_flexion_l"):
        for rmse, centred, sd, r in errors(tmp_path / "angles", kinbench.open(tmp_path / "data/simulated-b.zarr"), dof):
            assert rmse < 1.2 * sd  # one person to learn from, and people stand differently
            assert centred < 0.5 * sd
            assert r > 0.9
    code, shown, told = call("predict", *asked)
    assert (code, shown) == (2, "")
    assert "--force" in told
    asked = ("simulated-b", "--task", "knee-pair", "--to", tmp_path / "export", *data)
    code, shown, told = call("export", *asked, "--protocol", "ug", "--json")
    assert code == 0, told
    assert json.loads(shown)["folds"]["ug"]["folds"] == 2
    assert (tmp_path / "export" / "simulated-b.npz").is_file()


def test_a_real_laboratory(call, shared, tmp_path):
    from conftest import ROOT

    data = ("--data", tmp_path)
    for name in ("neura_sparse", "xsens_dot"):
        kinbench.convert("lab", ROOT / "tests" / "manifests" / name, data=tmp_path)
    code, _, told = call("train", "neura_sparse", "-t", "knee-pair", "-m", "ridge", "--to", tmp_path / "w", *data)
    assert code == 0, told
    known, unknown = tmp_path / "known", tmp_path / "unknown"
    code, shown, told = call(
        "predict", "neura_sparse", "--weights", tmp_path / "w", "--to", known, "--format", "csv", *data
    )
    assert code == 0, told
    assert "this recording was in the training set" in shown
    for dof in ("knee_flexion_r", "knee_flexion_l"):
        [(rmse, _, _, r)] = errors(known, kinbench.open("neura_sparse", data=tmp_path), dof)
        assert rmse < 6.0
        assert r > 0.95
    # A recording of a DOT pair that nobody measured the knee of.
    code, shown, told = call("predict", "xsens_dot", "--weights", tmp_path / "w", "--to", unknown, "--json", *data)
    assert code == 0, told
    [one] = json.loads(shown)["recordings"]
    assert list(one["known"]) == ["knee_flexion_r"]
    assert one["known"]["knee_flexion_r"] > 0.9
    assert one["rows"] > 3000
