"""Every promise of a model, one by one: who keeps them, who breaks one, and who peeks."""

import gc
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from kinbench_benchmarks.models.mean_pose import MeanPose

from kinbench.errors import DataError, KinbenchError, NotApplicable
from kinbench.testing import check_model
from kinbench.testing.models import BODY, PAIR, PROMISES, MadeUp, examine, measure
from kinbench.testing.probes import CHANNELS
from kinbench.windows import Batches, TaskData

SMALL = replace(PAIR, task="small", window=8)


class Scale:
    """Scales one channel: enough of a model for every promise to hold."""

    card = replace(MeanPose.card, name="scale", title="Scale", description="For tests.")

    def fit(self, train, valid, *, seed):
        self.gain = np.nan_to_num(train.y).mean((0, 1), dtype=np.float64)

    def predict(self, x):
        return (np.nan_to_num(x[:, :, -1:]) * self.gain).astype(np.float32)

    def save(self, folder):
        np.save(folder / "gain.npy", self.gain)

    def load(self, folder):
        self.gain = np.load(folder / "gain.npy")


def found(model):
    return {finding.promise: finding for finding in examine(model, [MadeUp(SMALL)])}


def broken(model):
    return {name: finding.sentence for name, finding in found(model).items() if finding.status == "broken"}


# --- one by one ------------------------------------------------------------------------------------------------------


def test_a_good_model_keeps_all_and_every_promise_is_told_once():
    told = found(Scale)
    assert list(told) == [promise.name for promise in PROMISES]
    assert not broken(Scale)
    assert told["adapt"].status == "not applicable" and "no 'adapt'" in told["adapt"].sentence
    assert told["save and load"].status == "kept"
    assert told["look-ahead"].sentence == "look-ahead 0 samples: causal, though it does not claim so (causal = True)"


def test_a_broken_promise_hides_no_other():
    class Careless(Scale):
        def predict(self, x):
            return super().predict(x).astype(np.float64)

        def load(self, folder):
            self.gain = np.load(folder / "gain.npy") * 2

    told = broken(Careless)
    assert set(told) == {"dtype", "finite", "missing sensors", "no validation windows", "save and load"}
    assert "got float64" in told["dtype"]
    assert "exactly as the saved one" in told["save and load"]


def test_what_nothing_can_be_judged_without_stops_the_rest():
    class Crashes(Scale):
        def fit(self, train, valid, *, seed):
            raise RuntimeError("the loss is a turnip")

    told = found(Crashes)
    assert told["fit"].sentence == "RuntimeError: the loss is a turnip"
    assert {told[p.name].sentence for p in PROMISES[2:]} == {"cannot be judged, since 'fit' is broken"}


def test_a_model_for_other_tasks_is_told_apart():
    class Picky(Scale):
        def fit(self, train, valid, *, seed):
            if len(train.spec.segments) != 2:
                raise NotApplicable("needs a pair")
            super().fit(train, valid, seed=seed)

    rows = examine(Picky, (MadeUp(SMALL), MadeUp(replace(BODY, window=8))))
    assert not [row for row in rows if row.status == "broken"]
    body = [row for row in rows if row.task == BODY.task]
    assert (body[1].status, body[1].sentence) == ("not applicable", "needs a pair")


# --- no peeking ------------------------------------------------------------------------------------------------------


class Cheat(Scale):
    """Answers honestly where it finds no answer; ``find`` returns (n, time, dof) for the windows, or None."""

    def fit(self, train, valid, *, seed):
        super().fit(train, valid, seed=seed)
        self.look(train)

    def look(self, train):
        pass

    def predict(self, x):
        honest = super().predict(x)
        answer = self.find(x)
        if answer is None or np.size(answer) < honest.size:
            return honest
        answer = np.asarray(answer, dtype=np.float32).ravel()[: honest.size].reshape(honest.shape)
        return np.where(np.isfinite(answer), answer, honest)


class ReadsRows(Cheat):
    """Looks for the tested samples in the flat arrays, whether a window covers them or not."""

    def look(self, train):
        self.signals, self.targets = train.signals, train.targets

    def find(self, x):
        known = {row.tobytes(): target for row, target in zip(self.signals, self.targets, strict=True)}
        first = x.reshape(-1, x.shape[2])
        return [known.get(row.tobytes(), np.full(self.targets.shape[1], np.nan)) for row in first]


class ReadsTheBase(Cheat):
    def find(self, x):
        whole = x
        while whole.base is not None:
            whole = whole.base
        return whole.ravel()[x.size :]


class ReadsTheBaseOfTargets(Cheat):
    def look(self, train):
        self.targets = train.targets

    def find(self, x):
        whole = self.targets
        while whole.base is not None:
            whole = whole.base
        return whole.ravel()[self.targets.size :]


class ReadsPayloads(Cheat):
    def find(self, x):
        bits = x.view(np.uint32)[np.isnan(x)] & 0x3FFFFF
        return np.resize(np.where(bits > 0, bits / 1000.0 - 2000.0, np.nan), x.shape[:2]) if bits.size else None


class ReadsPayloadsOfTargets(Cheat):
    def look(self, train):
        bits = train.targets.view(np.uint32)[np.isnan(train.targets)] & 0x3FFFFF
        self.hidden = bits[bits > 0] / 1000.0 - 2000.0

    def find(self, x):
        return np.resize(self.hidden, x.shape[:2]) if self.hidden.size else None


class WalksFrames(Cheat):
    def find(self, x):
        frame = sys._getframe(1)
        while frame is not None:
            for value in list(frame.f_locals.values()):
                if isinstance(value, TaskData):
                    return value.targets
            frame = frame.f_back
        return None


class WalksObjects(Cheat):
    def find(self, x):
        for each in gc.get_objects() if len(x) > 1 else ():
            # To ask a dead weak reference what it is an instance of raises.
            if type(each) is TaskData and each.store_name == "planted":
                return each.targets
        return None


class WalksModules(Cheat):
    def find(self, x):
        for module in list(sys.modules.values()) if len(x) > 1 else ():
            for value in list(getattr(module, "__dict__", {}).values()):
                if type(value) is Batches and value.spec.task == SMALL.task:
                    return value.targets
        return None


class ReadsFiles(Cheat):
    def find(self, x):
        return np.load("answers.npy") if Path("answers.npy").exists() else None


class ListsData(Cheat):
    """Opens stores as a person would; finds none, and was there."""

    def find(self, x):
        list(Path(os.environ.get("KINBENCH_DATA", "data")).glob("*.zarr"))
        return None


class ReadsTheEnvironment(Cheat):
    def find(self, x):
        for value in os.environ.values():
            parts = value.split(",")
            if len(parts) == x.shape[1] and all(part.lstrip("-").replace(".", "").isdigit() for part in parts):
                return np.resize([float(part) for part in parts], x.shape[:2])
        return None


class Remembers(Cheat):
    """Keeps what any model of its class was ever fitted on, the first it heard of a window."""

    seen: ClassVar = {}

    def look(self, train):
        for x, y in zip(train.x, train.y, strict=True):
            self.seen.setdefault(x[:, -1].tobytes(), y)

    def find(self, x):
        return [self.seen.get(each[:, -1].tobytes(), np.full((x.shape[1], 1), np.nan)) for each in x]


class LeavesAFile(Remembers):
    """The same, on disk, wherever the temporary folder is."""

    folder = None

    def look(self, train):
        with (self.folder / "seen.bin").open("ab") as file:
            file.write(b"".join(x[:, -1].tobytes() + y.tobytes() for x, y in zip(train.x, train.y, strict=True)))

    def find(self, x):
        each = 4 * x.shape[1]
        data = (self.folder / "seen.bin").read_bytes()
        pairs = [data[at : at + 2 * each] for at in range(0, len(data), 2 * each)]
        seen = {pair[:each]: np.frombuffer(pair[each:], dtype=np.float32) for pair in reversed(pairs)}
        return [seen.get(w[:, -1].tobytes(), np.full(x.shape[1], np.nan)) for w in x]


CHEATS = {
    ReadsRows: "rows", ReadsTheBase: "bases", ReadsTheBaseOfTargets: "bases", ReadsPayloads: "payloads",
    ReadsPayloadsOfTargets: "payloads", WalksFrames: "frames", WalksObjects: "objects", WalksModules: "objects",
    ReadsFiles: "files", ListsData: "files", ReadsTheEnvironment: "environment", Remembers: "earlier",
    LeavesAFile: "earlier",
}  # fmt: skip


@pytest.mark.parametrize("model", CHEATS)
def test_who_peeks_is_caught_and_told_where(model, tmp_path):
    LeavesAFile.folder = tmp_path
    Remembers.seen.clear()
    peeking = broken(model)["no peeking"]
    assert CHANNELS[CHEATS[model]] in peeking
    if model is not ListsData:
        moved = peeking.split("RMSE against the planted answer ")[1].split(" deg, ")
        near, far = float(moved[0]), float(moved[1].split(" ")[0])
        assert near < far, "what was planted was put to use"


def test_every_channel_has_its_cheat():
    assert set(CHEATS.values()) == set(CHANNELS)


def test_a_probe_leaves_the_process_as_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KINBENCH_DATA", "mine")
    before = dict(os.environ), set(sys.modules), Path.cwd()
    broken(ReadsFiles)
    assert (dict(os.environ), set(sys.modules), Path.cwd()) == before
    assert not list(tmp_path.iterdir())


def test_reading_ones_own_files_is_no_peeking(tmp_path):
    """Weights beside the package, a cache of one's own: only folders of data and results are out of bounds."""
    (tmp_path / "mine.txt").write_text("2")

    class Reads(Scale):
        def predict(self, x):
            return super().predict(x) * np.float32((tmp_path / "mine.txt").read_text())

    assert not broken(Reads)


def test_labels_of_validation_may_be_used():
    class Validates(Scale):
        def fit(self, train, valid, *, seed):
            super().fit(train, valid, seed=seed)
            if len(valid):
                self.gain = self.gain + np.nanmean(valid.y)

    assert not broken(Validates)


# --- look-ahead ------------------------------------------------------------------------------------------------------


def looks(ahead, behind=0):
    """A model that sums a channel from so many samples behind to so many ahead."""

    def predict(x):
        padded = np.pad(x[..., :1], ((0, 0), (behind, ahead), (0, 0)))
        return sum(padded[:, step : step + x.shape[1]] for step in range(ahead + behind + 1)).astype(np.float32)

    return predict


@pytest.mark.parametrize(("ahead", "behind"), [(0, 0), (0, 5), (1, 0), (3, 7), (6, 0), (31, 31)])
def test_look_ahead_is_measured_in_samples(ahead, behind):
    x = MadeUp(PAIR).windows(3).x
    horizon = measure(looks(ahead, behind), x)
    assert (horizon.ahead, horizon.window) == (ahead, 32)
    assert horizon.whole == (ahead == 31)


@pytest.mark.parametrize("ahead", [0, 2, 40])
def test_in_a_long_window_a_look_ahead_is_found_to_the_instants_tried(ahead):
    x = np.random.default_rng(0).normal(size=(4, 300, 2)).astype(np.float32)
    assert measure(looks(ahead), x).ahead == ahead


def test_a_claim_to_be_causal_is_held_against_the_measurement():
    class Liar(Scale):
        causal = True

        def predict(self, x):
            return super().predict(x - np.nan_to_num(x).mean(axis=1, keepdims=True))

    class Honest(Scale):
        causal = True

    assert "claims to be causal, and it is not: look-ahead 31 of 31" in "".join(
        finding.sentence for finding in examine(Liar, (MadeUp(PAIR),)) if finding.status == "broken"
    )
    assert found(Honest)["look-ahead"].sentence == "look-ahead 0 samples: causal"


def test_a_model_that_is_blind_is_told_so():
    assert "do not depend on the inputs" in found(MeanPose)["look-ahead"].sentence


# --- how runs train --------------------------------------------------------------------------------------------------


class Trained(Scale):
    """Has all that a long training needs, in small."""

    notes = ()
    begun = None

    def prepare(self, training):
        self.training = training

    def begin(self, folder):
        try:
            self.begun = np.load(folder / "gain.npy")
        except OSError as error:
            raise DataError("no weights", where=folder) from error

    def fit(self, train, valid, *, seed):
        super().fit(train, valid, seed=seed)
        if self.begun is not None:
            self.gain, self.notes = self.begun, ("began from weights: nothing fitted",)


class SavesTheDevice(Trained):
    def save(self, folder):
        super().save(folder)
        (folder / "device.txt").write_text(self.training.device if hasattr(self, "training") else "cpu")


class NotesProgress(Trained):
    def fit(self, train, valid, *, seed):
        super().fit(train, valid, seed=seed)
        if getattr(self, "training", None) and self.training.checkpoints:
            (self.training.checkpoints / "step.txt").write_text("7")
            self.gain = self.gain + 1


class BeginsWithAnything(Trained):
    def begin(self, folder):
        self.begun = np.zeros(1)


class SaysNothing(Trained):
    def fit(self, train, valid, *, seed):
        super().fit(train, valid, seed=seed)
        self.notes = ()


class FitsInSecret(Trained):
    def fit(self, train, valid, *, seed):
        super().fit(train, valid, seed=seed)
        if self.begun is not None:
            self.gain = self.gain * 1.01


class NoDevice(Trained):
    def prepare(self, training):
        if training.device != "cpu":
            raise KinbenchError("there is no such device here")


@pytest.mark.parametrize("model", [Trained, NoDevice])
def test_a_model_for_long_training_keeps_its_promises(model):
    told = found(model)
    assert told["prepare"].status == "kept"
    assert (told["begin"].status, told["begin"].sentence) == ("kept", "it is evaluated as it was saved")
    assert not broken(model)


@pytest.mark.parametrize(
    ("model", "promise", "says"),
    [
        (SavesTheDevice, "prepare", "no part in what save writes"),
        (NotesProgress, "prepare", "checkpoints must not change"),
        (BeginsWithAnything, "begin", "something else must raise DataError"),
        (SaysNothing, "begin", "must say in 'notes'"),
        (FitsInSecret, "begin", "as the saved one, byte for byte"),
    ],
)  # fmt: skip
def test_a_breach_of_long_training_is_named(model, promise, says):
    assert says in broken(model)[promise]


# --- filters ---------------------------------------------------------------------------------------------------------


class Filter:
    card = replace(MeanPose.card, name="filter", title="Filter", description="For tests.")
    calls = 0

    def fit(self, train, valid, *, seed):
        self.level = np.float32(np.nanmean(train.y))

    def predict(self, x):
        raise KinbenchError("a filter is asked by recording")

    def estimate(self, stream):
        turn = np.cumsum(stream.imu["gyr"].values[:, 0, 2:3], axis=0)
        return np.repeat(self.level + turn, len(stream.dofs), axis=1).astype(np.float32)


class Predicts(Filter):
    def predict(self, x):
        return np.zeros((*x.shape[:2], 1), dtype=np.float32)


class Spoils(Filter):
    def estimate(self, stream):
        stream.imu["gyr"].values[:] = 0
        return super().estimate(stream)


class Short(Filter):
    def estimate(self, stream):
        return super().estimate(stream)[1:]


class Moody(Filter):
    def fit(self, train, valid, *, seed):
        Filter.calls += 1
        self.level = np.float32(Filter.calls)


class FilterForgets(Filter):
    def save(self, folder):
        np.save(folder / "level.npy", self.level)

    def load(self, folder):
        self.level = np.load(folder / "level.npy") + 1


class FilterPeeks(Filter):
    def estimate(self, stream):
        answer = np.load("answers.npy") if Path("answers.npy").exists() else np.zeros(1)
        return super().estimate(stream) + np.float32(np.nan_to_num(answer).mean())


class Drifts(Filter):
    def estimate(self, stream):
        Filter.calls += 1
        return super().estimate(stream) + np.float32(Filter.calls)


def test_a_filter_is_held_to_what_a_filter_promises():
    told = found(Filter)
    assert not broken(Filter)
    assert told["streams"].sentence == "100% of a made-up recording answered"
    assert told["shapes"].sentence == "the model is a filter, and does not predict windows"
    check_model(Filter)


@pytest.mark.parametrize(
    ("model", "says"),
    [(Predicts, "predict of a filter must raise"), (Spoils, "must not change the recording"),
     (Short, r"must return float32 angles"), (Drifts, "a second call gave something else"),
     (Moody, "two fits differ"), (FilterForgets, "A loaded filter must answer exactly")],
)  # fmt: skip
def test_a_filters_breach_is_named(model, says):
    assert says in broken(model)["streams"]


def test_a_filter_that_peeks_is_caught():
    assert CHANNELS["files"] in broken(FilterPeeks)["no peeking"]
    assert found(Filter)["no peeking"].status == "kept"
