"""The conformance suites on our own plugins, and on plugins with one planted breach each."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from kinbench_adapters.lab import LabAdapter
from kinbench_benchmarks.models.mean_pose import MeanPose
from kinbench_benchmarks.protocols import UA, UG, UI
from raw_folders import amass, calgary, camargo, kuopio, movi, opensense

from kinbench import plugins, testing
from kinbench.errors import DataError, KinbenchError, NotApplicable
from kinbench.testing.models import PAIR

QUICK = {
    "hur2025-cnn": "[epochs=2]", "hur2025-cnn-code": "[epochs=2]", "hur2025-lstm": "[epochs=1]",
    "rapp2021": "[width=4,layers=1,kernel=3,iterations=2,orientation_iterations=1]",
    "rapp2021-conv1d": "[width=4,layers=1,kernel=3,iterations=2]", "rapp2021-lstm": "[width=4,iterations=2]",
    "rope-transformer": "[layers=1,heads=2,width=12,feed_forward=8,iterations=3,adapt_iterations=2]",
    "ssl-transformer": "[width=16,layers=1,heads=2,feed_forward=16,probe_steps=5,tune_steps=5,adapt_steps=5]",
}  # fmt: skip
ELSEWHERE = ("opensense-ik",)
"""Models that cannot be made without a file of the user's: tried in tests of their own."""
MANIFESTS = Path(__file__).parent / "manifests"


# --- ours ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in plugins.find("models") if name not in ELSEWHERE])
def test_our_models_keep_the_contract(name):
    testing.check_model(lambda: plugins.create("models", name + QUICK.get(name, "")))


@pytest.mark.parametrize("name", plugins.find("protocols"))
def test_our_protocols_keep_the_contract(name):
    testing.check_protocol(plugins.get("protocols", name).load())


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo's raw folders, with one person each."""
    cohort = replace(plugins.get("demos", "cohort").load(), people_per_laboratory=1, length_s=30)
    return cohort.write(tmp_path_factory.mktemp("demo"), lambda done, total, label: None)


@pytest.mark.parametrize("part", [0, 1])
def test_our_adapters_keep_the_contract_on_the_demo(demo, part):
    testing.check_adapter(plugins.create("adapters", demo[part].adapter), demo[part].raw)


FAKES = {
    "amass": amass, "calgary": calgary, "camargo": camargo, "kuopio": kuopio, "movi": movi, "opensense": opensense,
}  # fmt: skip
LESS = {"movi": {"rounds": ("S1", "I1"), "length_s": 11.0}}
"""A round of each kind says as much as all of them."""


@pytest.mark.parametrize("name", FAKES)
def test_our_adapters_keep_the_contract_on_a_folder_in_the_published_layout(name, tmp_path):
    FAKES[name].write(tmp_path / "raw", people=1, **LESS.get(name, {}))
    testing.check_adapter(plugins.create("adapters", name), tmp_path / "raw")


def test_every_adapter_of_ours_is_tried():
    assert set(FAKES) | {"lab"} == set(plugins.find("adapters"))


@pytest.mark.parametrize("lab", ["fan_knee", "halilaj_lab", "neura_sparse"])
def test_the_lab_adapter_keeps_the_contract_on_real_recordings(shared, lab):
    testing.check_adapter(LabAdapter(), MANIFESTS / lab)


# --- models with one breach ------------------------------------------------------------------------------------------


class Good:
    """Scales one channel: enough of a model for every promise to hold."""

    card = replace(MeanPose.card, name="scale", title="Scale", description="For tests.")

    def __init__(self):
        self.gain = np.zeros(0)

    def fit(self, train, valid, *, seed):
        y = np.nan_to_num(train.y)
        self.gain = y.mean((0, 1), dtype=np.float64) + np.random.default_rng(seed).normal(size=y.shape[2])

    def predict(self, x):
        first = np.nan_to_num(x[:, :, -1:])
        return (first * self.gain).astype(np.float32)

    def adapt(self, calibration, valid, *, seed):
        self.gain = self.gain + np.nan_to_num(calibration.y).mean()

    def save(self, folder):
        np.save(folder / "gain.npy", self.gain)

    def load(self, folder):
        self.gain = np.load(folder / "gain.npy")


class ChangesX(Good):
    def predict(self, x):
        x[np.isnan(x)] = 0.0
        x -= x.mean()
        return super().predict(x)


class WritesToX(Good):
    def predict(self, x):
        if len(x) > 1:
            x[:] = x
        return super().predict(x)


class ChangesTraining(Good):
    def fit(self, train, valid, *, seed):
        train.signals[:] = np.nan_to_num(train.signals) - 1
        super().fit(train, valid, seed=seed)


class ChangesHoles(Good):
    def fit(self, train, valid, *, seed):
        train.signals[np.isnan(train.signals)] = 0
        super().fit(train, valid, seed=seed)


class ChangesCalibration(Good):
    def adapt(self, calibration, valid, *, seed):
        calibration.targets[:] = np.nan_to_num(calibration.targets)


class IgnoresTheSeed(Good):
    def fit(self, train, valid, *, seed):
        super().fit(train, valid, seed=seed)
        self.gain = self.gain + np.random.normal()


class Forgets(Good):
    def load(self, folder):
        self.gain = np.load(folder / "gain.npy") * 1.001


class SavesTooLittle(Good):
    def __init__(self):
        super().__init__()
        self.extra = 0.0

    def fit(self, train, valid, *, seed):
        super().fit(train, valid, seed=seed)
        self.extra = 3.0

    def adapt(self, calibration, valid, *, seed):
        self.gain = self.gain + self.extra


class SavesElsewhere(Good):
    def save(self, folder):
        SavesElsewhere.gain = self.gain


class ReadsLater(Good):
    def load(self, folder):
        self.folder = folder

    def predict(self, x):
        if hasattr(self, "folder"):
            super().load(self.folder)
        return super().predict(x)


class AdaptsOnly(Good):
    save = None


class WrongShape(Good):
    def predict(self, x):
        return super().predict(x)[:, -1]


class WrongType(Good):
    def predict(self, x):
        return super().predict(x).astype(np.float64)


class NotAnArray(Good):
    def predict(self, x):
        return super().predict(x).tolist()


class NotFinite(Good):
    def predict(self, x):
        return (x[:, :, :1] * self.gain).astype(np.float32)


class NeedsValidation(Good):
    def fit(self, train, valid, *, seed):
        super().fit(train, valid, seed=seed)
        self.gain = self.gain * np.nanmean(valid.x)


class LooksAround(Good):
    def predict(self, x):
        if not len(x):
            return super().predict(x)
        return super().predict(np.nan_to_num(x) - np.nanmean(x, axis=(0, 1)))


class DrawsInPredict(Good):
    def fit(self, train, valid, *, seed):
        super().fit(train, valid, seed=seed)
        self.generator = np.random.default_rng(seed)

    def predict(self, x):
        return super().predict(x) + self.generator.normal(size=1).astype(np.float32)


class Shares(Good):
    shared = np.zeros(1)

    def fit(self, train, valid, *, seed):
        super().fit(train, valid, seed=seed)
        Shares.shared = self.gain

    def predict(self, x):
        first = np.nan_to_num(x[:, :, -1:])
        return (first * Shares.shared).astype(np.float32)


class BadName(Good):
    card = replace(Good.card, name="my model")


class NoCard(Good):
    card = None


class BadPerson(Good):
    card = replace(Good.card, trained_on=("Jane",))


class BadCount(Good):
    def parameters(self):
        return "many"


def test_a_good_model_of_ten_lines_passes():
    testing.check_model(Good)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (ChangesX, "must not change x in place"),
        (WritesToX, "read-only x"),
        (ChangesTraining, "fit must not change the windows"),
        (ChangesHoles, "missing values included"),
        (ChangesCalibration, "adapt must not change the windows"),
        (IgnoresTheSeed, "same data and seed"),
        (Forgets, "loaded model must predict exactly"),
        (SavesTooLittle, "save all that adapt needs"),
        (SavesElsewhere, "wrote nothing"),
        (AdaptsOnly, "'adapt' must have 'save'"),
        (WrongShape, "must return \\(n, time, dof\\)"),
        (WrongType, "must return float32, got float64"),
        (NotAnArray, "must return a numpy array, got list"),
        (NotFinite, "finite angles, and with a sensor missing"),
        (NeedsValidation, "without validation windows"),
        (LooksAround, "must not depend on the windows it comes with"),
        (DrawsInPredict, "a second call gave something else"),
        (Shares, "must share no state"),
        (BadName, "short ASCII identifiers"),
        (NoCard, "must have 'card', a ModelCard"),
        (BadPerson, "'dataset/subject', not 'Jane'"),
        (BadCount, "number of weights, got 'many'"),
    ],
)
@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_a_models_breach_is_named(model, told):
    with pytest.raises(AssertionError, match=told):
        testing.check_model(model, PAIR)


def test_a_model_that_reads_its_folder_later_breaks():
    with pytest.raises(FileNotFoundError):
        testing.check_model(ReadsLater, PAIR)


def test_a_model_for_other_tasks_says_so_and_is_asked_for_its_own():
    class Picky(Good):
        def fit(self, train, valid, *, seed):
            if len(train.spec.segments) != 2:
                raise NotApplicable("needs a pair")
            super().fit(train, valid, seed=seed)

    class Nothing(Good):
        def fit(self, train, valid, *, seed):
            raise NotApplicable("needs a trunk")

    testing.check_model(Picky)
    with pytest.raises(AssertionError, match="not applicable to any"):
        testing.check_model(Nothing)


# --- protocols with one breach ---------------------------------------------------------------------------------------


class Changed:
    """One of our protocols whose folds a breach has changed."""

    def __init__(self, change, base=UG, **card):
        self.card = replace(base.card, **card)
        self.base, self.change, self.calls = base, change, 0

    def folds(self, entries, task):
        self.calls += 1
        return self.change(self, list(self.base.folds(entries, task)), entries)


def each(change):
    return lambda self, folds, entries: [change(fold) for fold in folds]


def with_roles(**change):
    return each(lambda fold: replace(fold, roles={**fold.roles, **{k: v(fold) for k, v in change.items()}}))


def earlier(spans):
    """Break the embargo before the first of these."""
    return (replace(spans[0], start=spans[0].start - 60), *spans[1:])


def longer(spans):
    return (*spans[:-1], replace(spans[-1], stop=spans[-1].stop + 10**6))


@pytest.mark.parametrize(
    ("protocol", "told"),
    [
        (Changed(lambda self, folds, _: folds[self.calls % 2 :]), "a second call differs|are not the same|differ"),
        (Changed(lambda self, folds, entries: folds if str(entries[0].key) < str(entries[-1].key) else folds[::-1]),
         "order of the entries"),
        (Changed(each(lambda fold: replace(fold, name="fold"))), "names must be unique"),
        (Changed(with_roles(fit=lambda fold: fold.roles["fit"] + fold.roles["test"])), "leaks"),
        (Changed(with_roles(validation=lambda fold: fold.roles["fit"][:1])), "leaks"),
        (Changed(with_roles(validation=lambda fold: earlier(fold.roles["validation"])), UI), "leaks"),
        (Changed(with_roles(test=lambda fold: longer(fold.roles["test"]))), "outside"),
        (Changed(with_roles(test=lambda fold: fold.roles["test"] * 2)), "counts time twice"),
        (Changed(with_roles(fit=lambda fold: ())), "has no fit span"),
        (Changed(with_roles(test_long=lambda fold: fold.roles["test_long"][:-1])), "test_long does not hold"),
        (Changed(with_roles(training=lambda fold: ())), "unknown roles \\['training'\\]"),
        (Changed(with_roles(stopping=lambda fold: fold.roles["validation"])), "never adapts"),
        (Changed(with_roles(adaptation=lambda fold: ()), UA), "has no adaptation span"),
        (Changed(with_roles(stopping=lambda fold: ()), UA), "has no stopping span"),
        (Changed(each(lambda fold: replace(fold, test_persons=(*fold.test_persons, "one/S99")))), "no test span of"),
        (Changed(each(lambda fold: replace(fold, test_dataset="elsewhere"))), "'elsewhere'"),
        (Changed(lambda self, folds, entries: entries.clear() or folds), "must not change the entries"),
        (Changed(lambda self, folds, entries: folds, sees=""), "sees must be a text"),
        (Changed(lambda self, folds, entries: folds, version=0), "number from 1"),
        (Changed(lambda self, folds, entries: []), "not applicable to any"),
        (SimpleNamespace(card=UG.card), "must have the method 'folds'"),
        (SimpleNamespace(folds=UG.folds), "must have 'card'"),
    ],
)  # fmt: skip
def test_a_protocols_breach_is_named(protocol, told):
    with pytest.raises(AssertionError, match=told):
        testing.check_protocol(protocol)


def test_a_protocol_must_refuse_emptiness_with_a_reason():
    class Crashes(Changed):
        def folds(self, entries, task):
            entries[0]
            return super().folds(entries, task)

    with pytest.raises(AssertionError, match="folds of no recording must raise NotApplicable, got IndexError"):
        testing.check_protocol(Crashes(lambda self, folds, entries: folds))


# --- adapters with one breach ----------------------------------------------------------------------------------------


class Spoilt:
    """The lab adapter with one breach: of what it finds, or of what its first recording loads."""

    def __init__(self, found=None, loaded=None, **attributes):
        self.adapter = LabAdapter()
        self.card, self.version = self.adapter.card, self.adapter.version
        self.found = found or (lambda raw: raw)
        self.loaded = loaded
        for name, value in attributes.items():
            setattr(self, name, value)

    def find(self, raw):
        found = self.found(self.adapter.find(raw))
        if self.loaded is None:
            return found
        return replace(found, sources=tuple(replace(s, load=self.load(s)) for s in found.sources))

    def load(self, source):
        return lambda: self.loaded(source.load())


class Careless(Spoilt):
    def find(self, raw):
        return super().find(raw) if list(raw.glob("*")) else SimpleNamespace()


def without_units(recording):
    imu = recording.imu.copy()
    imu["gyr"].attrs.pop("units")
    return replace(recording, imu=imu)


def with_unit(recording):
    imu = recording.imu.copy()
    imu["gyr"].attrs["units"] = "rpm"
    return replace(recording, imu=imu)


def with_bad_segment(recording):
    imu = recording.imu
    return replace(recording, imu=imu.assign_coords(segment=("sensor", np.array(["knee"] * imu.sizes["sensor"]))))


def with_time_back(recording):
    time = recording.imu["time"].values.copy()
    time[5] = time[4]
    return replace(recording, imu=recording.imu.assign_coords(time=("time", time)))


def with_noise(recording):
    imu = recording.imu.copy(deep=True)
    imu["acc"].values[:] += np.random.normal(size=1).astype(np.float32)
    return replace(recording, imu=imu)


def no_attr(name):
    return lambda recording: replace(recording, attrs={k: v for k, v in recording.attrs.items() if k != name})


def attr(**values):
    return lambda recording: recording.with_attrs(**values)


def twice(found):
    return replace(found, sources=(*found.sources, found.sources[0]))


def rekeyed(**change):
    return lambda found: replace(
        found, sources=tuple(replace(s, key=replace(s.key, **change)) for s in found.sources[:1])
    )


@pytest.mark.parametrize(
    ("adapter", "told"),
    [
        (Spoilt(loaded=without_units), "imu.gyr has no units"),
        (Spoilt(loaded=with_unit), "cannot be acted on.*rpm"),
        (Spoilt(loaded=with_bad_segment), "knee"),
        (Spoilt(loaded=with_time_back), "strictly increasing"),
        (Spoilt(loaded=with_noise), "second call gave another imu"),
        (Spoilt(loaded=no_attr("licence")), "lacks the attributes licence"),
        (Spoilt(loaded=attr(licence={"id": "MIT"})), "whether it is redistributable"),
        (Spoilt(loaded=attr(subject="other")), "the key says"),
        (Spoilt(loaded=attr(world=np.float32(1))), "plain JSON"),
        (Spoilt(loaded=attr(simulation="yes")), "attrs\\['simulation'\\]"),
        (Spoilt(loaded=attr(source=[{"name": "/etc/raw.txt", "sha256": "0" * 64}])), "relative path"),
        (Spoilt(loaded=attr(person_table={"shoe_size": 42})), "shoe_size"),
        (Spoilt(loaded=lambda recording: replace(recording, imu=None, reference=None)), "neither an imu"),
        (Spoilt(loaded=lambda recording: recording.imu), "load must return a Recording"),
        (Spoilt(found=twice), "more than once"),
        (Spoilt(found=lambda found: replace(found, sources=())), "no source"),
        (Spoilt(found=lambda found: found.sources), "must return a RawDataset"),
        (Spoilt(found=lambda found: replace(found, card=replace(found.card, licence=""))), "licence must be a text"),
        (Spoilt(found=rekeyed(dataset="elsewhere")), "must begin with its dataset"),
        (Spoilt(found=rekeyed(subject="Jane Doe")), "short ASCII"),
        (Spoilt(found=rekeyed(subject="someone")), "calls itself"),
        (Spoilt(version=""), "version must be a text"),
        (Spoilt(card=None), "must have 'card', a DatasetCard"),
        (Careless(), "nothing was raised|must raise"),
    ],
)
def test_an_adapters_breach_is_named(demo, adapter, told):
    with pytest.raises(AssertionError, match=told):
        testing.check_adapter(adapter, demo[1].raw)


def test_an_adapter_must_leave_the_raw_folder_alone(tmp_path, demo):
    notes = tmp_path / "raw" / "notes.txt"
    shutil.copytree(demo[1].raw, tmp_path / "raw")

    def scribble(recording):
        notes.write_text("seen")
        return recording

    with pytest.raises(AssertionError, match="files in it have changed"):
        testing.check_adapter(Spoilt(loaded=scribble), tmp_path / "raw")


def test_a_folder_whose_recordings_do_not_load_is_the_folders_fault(demo):
    def broken(recording):
        raise DataError("line 7 is cut")

    with pytest.raises(KinbenchError, match="line 7"):
        testing.check_adapter(Spoilt(loaded=broken), demo[1].raw)
