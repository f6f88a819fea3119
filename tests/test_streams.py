"""Models that are filters: what they are handed, that no answer can be reached from it, and how a run asks them."""

import gc
import hashlib
import types
from dataclasses import replace

import numpy as np
import pytest
from runner_cases import ENTRY_POINTS, MODELS, RATE_HZ, TASK, UA, UG, UI, laboratory, recording

from kinbench import plugins, store, windows
from kinbench.errors import DataError, UsageError
from kinbench.leaderboards import board
from kinbench.perturbations import Change
from kinbench.prediction.estimation import estimate
from kinbench.protocol import ProtocolCard
from kinbench.recording import Span
from kinbench.runner import plan, rescore, run
from kinbench.tasks import Task
from kinbench.windows.streams import BODY

FILTERS = '''
from toy_models import *
from kinbench.errors import KinbenchError


class Integral:
    """Adds up the shank's rate, and says which recordings it was asked for."""
    card = ModelCard("toy-filter", "1", "integral", "the rate added up")

    def __init__(self, how="right"):
        self.how, self.notes = how, ()
        if how == "causal":
            self.causal = True

    def fit(self, train, valid, *, seed):
        tell("fit filter")

    def estimate(self, stream):
        tell(f"ask {stream.leg} {stream.time_s.size} {','.join(stream.dofs)}")
        self.notes = (*self.notes, f"felt {float(stream.imu['gyr'].values.sum()):.6f}")
        rate = stream.imu["gyr"].values[:, stream.sensor(f"shank_{stream.leg}"), 2]
        time_s = stream.imu["time"].values
        turned = np.degrees(np.cumsum(rate - rate.mean()) * (time_s[1] - time_s[0]))
        answer = np.interp(stream.time_s, time_s, turned)[:, None].astype(np.float32)
        if self.how == "hole":
            answer[len(answer) // 2 :] = np.nan
        return answer[:10] if self.how == "short" else answer

    def predict(self, x):
        raise KinbenchError("a filter has no answer to windows")


class Scaled(Integral):
    """Adds up the rate and multiplies it by the number that a file holds."""
    card = ModelCard("toy-scaled", "1", "scaled integral", "the rate added up, scaled")

    def __init__(self, gain):
        super().__init__()
        self.files = {"gain": Path(gain)}

    def estimate(self, stream):
        return super().estimate(stream) * np.float32(self.files["gain"].read_text())
'''
_NAMES = "toy-filter = toy_filters:Integral\ntoy-scaled = toy_filters:Scaled"
FILTER_POINTS = [(ENTRY_POINTS[0][0], f"{ENTRY_POINTS[0][1]}\n{_NAMES}")]


@pytest.fixture
def space(tmp_path, install, monkeypatch):
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log.txt"))
    install("toy", FILTER_POINTS, {"toy_models": MODELS, "toy_filters": FILTERS})
    return tmp_path


def asked(space):
    return [line for line in (space / "log.txt").read_text().splitlines() if line.startswith("ask")]


def planned(space, lab, protocols, model="toy-filter", task=TASK):
    named = {protocol.card.name: protocol for protocol in protocols}
    return plan([lab], named, {task.name: task}, [model], seeds=(0,), results=space / "results", cache=space / "cache")


# --- what is handed ---------------------------------------------------------------------------------------------------


def reachable(thing):
    """Every object that can be reached from one, without what Python itself holds together."""
    seen, waiting = {}, [thing]
    while waiting:
        here = waiting.pop()
        if id(here) in seen or isinstance(here, type | types.ModuleType | types.FunctionType | types.CodeType):
            continue
        seen[id(here)] = here
        waiting += gc.get_referents(here)
        if isinstance(here, np.ndarray) and here.base is not None:
            waiting.append(here.base)
    return list(seen.values())


def arrays_of(thing):
    return [part for part in reachable(thing) if isinstance(part, np.ndarray)]


def test_no_reference_and_no_target_can_be_reached_from_a_stream(tmp_path):
    lab = laboratory(tmp_path, "lab", ("S1",))
    imu, attrs = lab.read_inputs(lab.keys()[0])
    whole = lab.read(lab.keys()[0])
    answers = whole.reference["angle"].values
    for stream in (
        windows.stream_of(imu, attrs, TASK, "r"),
        windows.stream_of(whole.imu, whole.attrs, TASK, "r"),
    ):
        found = arrays_of(stream)
        assert any(np.may_share_memory(part, stream.imu["gyr"].values) for part in found), "the search does find arrays"
        for part in found:
            assert not np.may_share_memory(part, answers)
            flat = part.astype(np.float64).ravel() if part.dtype.kind == "f" else np.empty(0)
            for column in answers.T.astype(np.float64):
                assert flat.size < column.size or not np.isin(column[:50], flat).all()
    texts = {part for part in reachable(stream) if isinstance(part, str)}
    assert "lab/S1" not in texts, "nor who it is"


def test_changing_a_stream_changes_nothing_else():
    imu = recording("lab", "S1").imu
    before = imu.copy(deep=True)
    stream = windows.stream_of(imu, {}, TASK, "r")
    stream.imu["gyr"].values[:] = 7.0
    assert before.identical(imu)


def test_a_stream_has_the_sensors_of_the_leg_and_the_grid_of_the_task():
    held = recording("lab", "S1")
    task = replace(TASK, rate_hz=40.0)
    for leg, name in (("r", "R"), ("l", "L")):
        stream = windows.stream_of(held.imu, {"person_table": {"height_m": 1.8, "sex": "female"}}, task, leg)
        assert [str(sensor) for sensor in stream.imu["sensor"].values] == [name]
        assert np.array_equal(stream.imu["gyr"].values[:, 0], held.imu["gyr"].sel(sensor=name).values), "not mirrored"
        assert stream.dofs == (f"knee_flexion_{leg}",)
        assert stream.sensor(f"shank_{leg}") == 0
        assert stream.sensor("thigh_r") is None
        assert np.allclose(np.diff(stream.time_s), 1 / 40.0)
        assert stream.time_s[-1] <= held.imu["time"].values[-1] + 0.01
        assert stream.body == {"height_m": 1.8}
        assert set(stream.body) <= set(BODY)


@pytest.mark.parametrize(("origin", "kept"), [("measured", True), ("synthetic", False)])
def test_an_orientation_that_was_computed_with_the_answer_is_left_out(origin, kept):
    imu = recording("lab", "S1").imu
    turns = np.zeros((imu.sizes["time"], 2, 4), dtype=np.float32)
    turns[..., 0] = 1.0
    told = {"units": "1", "maps": "sensor_to_world", "origin": "device"}
    imu["quat"] = (("time", "sensor", "component"), turns, told)
    imu["origin"] = ("sensor", np.array([origin, origin]))
    assert ("quat" in windows.stream_of(imu, {}, TASK, "r").imu) == kept


def test_a_recording_of_one_sample_is_refused():
    with pytest.raises(DataError, match="two samples"):
        windows.stream_of(recording("lab", "S1").imu.isel(time=slice(0, 1)), {}, TASK, "r")


def test_a_sensor_whose_rotation_is_unknown_is_handed_all_the_same():
    segment_axes = replace(TASK, axes="segment")
    assert windows.stream_of(recording("lab", "S1").imu, {}, segment_axes, "r").sensor("shank_r") == 0


# --- how a run asks ---------------------------------------------------------------------------------------------------


def test_a_filter_is_asked_once_a_recording_and_leg_and_scored_like_any_model(space):
    lab = laboratory(space, "lab")
    finished = run(planned(space, lab, [UG]))
    assert not finished.failed
    assert len(asked(space)) == 2 * len(finished.made), "one recording each, two legs, though there are two views"
    result = finished.made[0]
    assert {score.view for score in result.scores} == {"test", "test_long"}
    assert all(score.values["r"] > 0.7 for score in result.scores), "it is right but for an offset and some drift"
    assert any("whole of each recording's inputs" in note for note in result.notes) and result.whole_recording
    assert rescore(result, lab, results=space / "results", cache=space / "cache") == result.scores


class Twice:
    """Two folds that are fitted on the same people and test another one each."""

    card = ProtocolCard("toy-twice", 1, "twice", "others", "nothing", ranks=False)

    def folds(self, entries, task):
        first, second, *_ = UG.folds(entries, task)
        fitted = {role: tuple(s for s in first.roles["fit"] if "/S3" in s.key) for role in ("fit",)}
        return [
            replace(fold, roles={"test": fold.roles["test"], "validation": (), **fitted}) for fold in (first, second)
        ]


def test_what_a_filter_notes_of_one_cell_stands_in_no_other(space):
    made = run(planned(space, laboratory(space, "lab"), [Twice()])).made
    assert not [result.failure for result in made if result.failure]
    assert (space / "log.txt").read_text().count("fit filter") == 1, "one fit for both"
    one, other = ({note for note in result.notes if note.startswith("felt")} for result in made)
    assert one and other and not one & other


def test_test_and_train_spans_of_one_recording_are_told_by_one_answer(space):
    lab = laboratory(space, "lab", ("S1",))
    (result,) = run(planned(space, lab, [UI])).made
    assert result.done
    legs = [line.split()[1] for line in asked(space)]
    assert sorted(legs) == ["l", "r"]
    size = {line.split()[2] for line in asked(space)}
    assert size == {str(int(40.0 * RATE_HZ))}, "asked for the recording's whole grid"


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("hole", "not finite"),
        ("short", "for every instant of 'time_s', but answered (10, 1)"),
        ("causal", "claim to be causal cannot be put to the test"),
    ],
)
def test_an_answer_that_cannot_be_believed_fails_with_one_sentence(space, how, words):
    finished = run(planned(space, laboratory(space, "lab"), [UG], f"toy-filter[how={how}]"))
    assert len(finished.failed) == 3
    assert words in finished.failed[0].failure.sentence


class Altered:
    """As UG, with inputs changed, or a sensor taken away."""

    card = ProtocolCard("toy-altered", 1, "altered", "changed", "nothing", ranks=False)

    def __init__(self, **how):
        self.how = how

    def folds(self, entries, task):
        return [replace(fold, **self.how) for fold in UG.folds(entries, task)]


TWO = Task(
    name="toy-two", version=1, title="Knee flexion from two gyroscopes", segments=("shank", "thigh"), channels=("gyr",),
    dofs=("knee_flexion",), rate_hz=50.0, window=32, stride=16, per_leg=True, axes="sensor", moving=None,
)  # fmt: skip


def two_sensor_lab(folder):
    path = folder / "lab.zarr"
    with store.create(path, dataset="lab", card={"name": "lab", "simulation": True}) as writer:
        for subject in ("S1", "S2", "S3"):
            one = recording("lab", subject)
            four = one.imu.isel(sensor=[0, 1, 0, 1]).assign_coords(
                sensor=("sensor", np.array(["R", "L", "RT", "LT"], dtype=np.dtypes.StringDType())),
                segment=(
                    "sensor", np.array(["shank_r", "shank_l", "thigh_r", "thigh_l"], dtype=np.dtypes.StringDType())
                ),
            )  # fmt: skip
            writer.write(replace(one, imu=four))
    return store.open(path)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"test_changes": (Change.of("scale", gyr=2.0),)}, "no answer to changed inputs"),
        ({"segments": ("shank",)}, "no answer without the sensor on thigh_r and thigh_l"),
    ],
)
def test_folds_that_change_inputs_or_take_a_sensor_beside_the_joint_are_not_applicable(space, how, words):
    lab = two_sensor_lab(space)
    told = planned(space, lab, [Altered(**how)], task=TWO)
    assert not told.cells
    (skipped,) = told.skipped
    assert words in skipped.reason
    assert len(planned(space, lab, [Altered(**how)], model="toy-mean", task=TWO).cells) == 3, "no matter to others"
    assert len(planned(space, lab, [UG], task=TWO).cells) == 3


def test_a_filter_without_adapt_is_not_applicable_where_models_adapt(space):
    told = planned(space, laboratory(space, "lab"), [UA])
    assert not told.cells
    assert "no 'adapt'" in told.skipped[0].reason


# --- predicting -------------------------------------------------------------------------------------------------------


def test_angles_of_a_recording_that_nobody_measured(space):
    held = recording("lab", "S1")
    angles = estimate(plugins.create("models", "toy-filter"), held.imu, TASK, ("r", "l"))
    assert angles.dofs == ("knee_flexion_r", "knee_flexion_l")
    truth = held.reference["angle"].values
    for column in range(2):
        assert np.corrcoef(angles.angle[:, column], truth[: len(angles.angle), column])[0, 1] > 0.9


def test_windows_are_covered_by_rows_of_one_answer(tmp_path):
    data = windows.prepare(laboratory(tmp_path, "lab"), TASK, cache=tmp_path / "cache")
    key = str(data.entries[1].key)
    test = data.test_windows([Span(key, 100, 500), Span(key, 700, 720)])
    found = windows.answered(test, 1, lambda entry, leg: np.arange(3000.0)[:, None] + 10_000 * leg)
    assert np.array_equal(found["prediction"][:, 0], found["sample"] + 10_000.0 * found["leg"])
    assert set(found["sample"].tolist()) == {*range(100, 500), *range(700, 720)}
    assert set(found["key"].tolist()) == {1}


# --- files outside the package ---------------------------------------------------------------------------------------


def test_a_model_is_known_by_what_its_files_hold_and_not_by_their_paths(space):
    lab, gain, copy = laboratory(space, "lab"), space / "gain.txt", space / "moved.txt"
    gain.write_text("1.0")
    chosen = f"toy-scaled[gain={gain}]"
    (first, *_) = run(planned(space, lab, [UG], chosen)).made
    sha256 = hashlib.sha256(b"1.0").hexdigest()
    assert first.model.files == {"gain": sha256}
    assert not planned(space, lab, [UG], chosen).to_run, "the same file: it is done"
    copy.write_text("1.0")
    assert not planned(space, lab, [UG], f"toy-scaled[gain={copy}]").to_run, "the same file elsewhere is the same"
    gain.write_text("0.5")
    again = run(planned(space, lab, [UG], chosen)).made
    assert len(again) == 3, "another file at the same path is another model"
    assert again[0].scores != first.scores and again[0].fit_key != first.fit_key
    labels = {row["model"] for row in board([first, *again]).tables[0].to_json()["overall"]}
    assert len(labels) == 2 and any(f"gain {sha256[:8]}" in label for label in labels)


def test_a_file_that_is_not_there_is_refused_before_a_run(space):
    with pytest.raises(UsageError, match=r"needs the file '.*nowhere.txt' \(gain\), which cannot be read"):
        planned(space, laboratory(space, "lab"), [UG], f"toy-scaled[gain={space / 'nowhere.txt'}]")


def test_a_model_without_files_keeps_the_identity_it_had(space):
    [cell, *_] = planned(space, laboratory(space, "lab"), [UG]).cells
    assert set(cell.model.identity) == {"name", "settings", "version", "distribution", "distribution_version"}
