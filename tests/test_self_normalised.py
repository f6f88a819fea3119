"""``ug-self-normalised``: a person's own inputs, and nothing else of that person, reach a model before it predicts."""

from copy import deepcopy
from dataclasses import fields, replace

import numpy as np
import pytest
from kinbench_benchmarks.models._state import Scaling
from kinbench_benchmarks.models.hur2025 import Lstm, PaperCnn
from kinbench_benchmarks.models.ridge import Ridge
from kinbench_benchmarks.protocols import UA, UG, UG_SELF_NORMALISED
from runner_cases import ENTRY_POINTS, MODELS, TASK, laboratory

from kinbench import plugins
from kinbench.contracts import ModelCard, SelfNormalisingModel
from kinbench.errors import DataError, LeakError, NotApplicable
from kinbench.files import digest
from kinbench.perturbations import Change
from kinbench.protocol import check_leaks, fit_digest, fold_digest
from kinbench.recording import Span
from kinbench.runner import plan, run
from kinbench.runner.workspace import Workspace
from kinbench.testing import check_model, check_protocol
from kinbench.testing.models import BODY, PAIR, windows
from kinbench.testing.protocols import TASK as MADE_UP
from kinbench.testing.protocols import cohort
from kinbench.windows import Batches, Unlabelled

# --- the protocol ----------------------------------------------------------------------------------------------------

GOLDEN = {
    "five": "44deb67e950d1f22320ebe9987c47dd6e640de8886b682ef7b1706125b9cf9a0",
    "many": "ac5fa49c2c8639e106265b48c7f71f643f00c062f5a6696d53a66365f0115419",
}


def folds_of(people, name="five"):
    return UG_SELF_NORMALISED.folds(cohort(name, people), MADE_UP)


def test_it_is_registered_promises_kept_and_runs_beside_ug():
    assert plugins.get("protocols", "ug-self-normalised").load() is UG_SELF_NORMALISED
    check_protocol(UG_SELF_NORMALISED)
    card = UG_SELF_NORMALISED.card
    assert card.normalises and card.ranks and not card.study and not card.adapts
    assert card.sees == "unlabelled 20 %"


@pytest.mark.parametrize("people", [2, 5, 13])
def test_the_model_is_ugs_the_inputs_are_uas_first_block_and_the_test_is_theirs(people):
    entries = cohort("lab", people)
    tested = {person: fold for fold in UG.folds(entries, MADE_UP) for person in fold.test_persons}
    adapted = {fold.name: fold for fold in UA.folds(entries, MADE_UP)}
    folds = UG_SELF_NORMALISED.folds(entries, MADE_UP)
    assert sorted(fold.name for fold in folds) == sorted(tested)
    for fold in folds:
        assert set(fold.roles) == {"fit", "validation", "unlabelled", "test"}
        assert fit_digest(fold, MADE_UP) == fit_digest(tested[fold.name], MADE_UP)
        assert fold.roles["unlabelled"] == adapted[fold.name].roles["adaptation"]
        assert set(fold.roles["test"]) <= set(tested[fold.name].roles["test"])
        assert fold.normalises and not fold.adapts


@pytest.mark.parametrize(("name", "people"), [("five", 5), ("many", 13)])
def test_folds_are_the_same_for_ever(name, people):
    digests = [fold_digest(fold, MADE_UP, UG_SELF_NORMALISED.card) for fold in folds_of(people, name)]
    assert digest(digests) == GOLDEN[name]


def test_one_person_alone_and_too_little_time_say_why():
    with pytest.raises(NotApplicable, match="'ug-self-normalised' needs two persons"):
        folds_of(1)
    short = [replace(entry, runs=((0, 500),)) for entry in cohort("lab", 3)]
    with pytest.raises(NotApplicable, match="fewer than 4 windows for unlabelled"):
        UG_SELF_NORMALISED.folds(short, MADE_UP)


# --- the leak check --------------------------------------------------------------------------------------------------


def with_unlabelled(change):
    entries = cohort("five", 5)
    fold = UG_SELF_NORMALISED.folds(entries, MADE_UP)[0]
    return replace(fold, roles={**fold.roles, "unlabelled": change(fold)}), entries


def test_a_person_may_lend_statistics_and_be_tested():
    check_leaks(*with_unlabelled(lambda fold: fold.roles["unlabelled"]), signals=None)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda fold: fold.roles["test"], "unlabelled .* overlap"),
        (lambda fold: [replace(s, start=s.start - 300, stop=s.start - 255) for s in fold.roles["test"][:1]],
         "unlabelled .* 255 samples apart; the embargo of 128"),
        (lambda fold: fold.roles["validation"], "overlap"),
        (lambda fold: [Span("five/S3/1/walk1", 30, 900)], "five/S3 is unlabelled, who is not among the fold's test"),
    ],
)  # fmt: skip
def test_what_is_unlabelled_stays_clear_of_the_test_and_of_others(change, says):
    with pytest.raises(LeakError, match=says):
        check_leaks(*with_unlabelled(lambda fold: tuple(change(fold))), signals=None)


def test_unlabelled_samples_that_are_the_tests_own_are_found():
    """The same seconds filed under another trial of the person: no span shows it, the samples do."""
    entries = cohort("five", 5)
    time_s = np.arange(0, 100, 1 / MADE_UP.rate_hz)
    hashes = {str(entry.key): np.arange(1, time_s.size + 1, dtype=np.uint64)[:, None] + 10**6 * n
              for n, entry in enumerate(entries)}  # fmt: skip
    fold = replace(
        UG_SELF_NORMALISED.folds(entries, MADE_UP)[0],
        roles={"fit": (Span("five/S3/1/run1", 30, 900),), "unlabelled": (Span("five/S1/1/walk2", 30, 900),),
               "test": (Span("five/S1/1/walk1", 30, 900),)},
    )  # fmt: skip
    check_leaks(fold, entries, signals=lambda key: (time_s, hashes[key]))
    hashes["five/S1/1/walk2"] = hashes["five/S1/1/walk1"]
    with pytest.raises(LeakError, match=r"shares a run of .* unlabelled five/S1/1/walk2"):
        check_leaks(fold, entries, signals=lambda key: (time_s, hashes[key]))


# --- promises of a protocol ------------------------------------------------------------------------------------------


class Altered:
    """``ug-self-normalised`` with its card or its folds changed."""

    def __init__(self, card=None, fold=lambda fold, entries: fold):
        self.card = replace(UG_SELF_NORMALISED.card, **(card or {}))
        self._fold = fold

    def folds(self, entries, task):
        return [self._fold(fold, entries) for fold in UG_SELF_NORMALISED.folds(entries, task)]


def without(fold, entries):
    return replace(fold, roles={role: spans for role, spans in fold.roles.items() if role != "unlabelled"})


def of_two(fold, entries):
    other = min(entry.person for entry in entries if entry.person not in fold.test_persons)
    theirs = {"unlabelled": (), "test": ()}
    for each in UG_SELF_NORMALISED.folds(entries, MADE_UP):
        if each.test_persons == (other,):
            theirs = each.roles
    kept = {role: tuple(s for s in fold.roles[role] if not s.key.startswith(f"{other}/")) for role in fold.roles}
    both = {role: kept[role] + theirs[role] for role in ("unlabelled", "test")}
    return replace(fold, roles={**kept, **both}, test_persons=(*fold.test_persons, other)) if kept["fit"] else fold


@pytest.mark.parametrize(
    ("protocol", "says"),
    [
        (Altered({"normalises": False}), "has unlabelled spans, and its protocol's card does not say so"),
        (Altered(fold=without), "has no unlabelled span"),
        (Altered(fold=of_two), "tests 2 persons; statistics are of one person"),
        (Altered(fold=lambda fold, entries: replace(fold, roles={**fold.roles, "unlabelled": fold.roles["test"]})),
         "leaks: .* overlap"),
    ],
)  # fmt: skip
def test_a_protocol_that_breaks_its_promise_is_found(protocol, says):
    with pytest.raises(AssertionError, match=says):
        check_protocol(protocol)


# --- what is handed over ---------------------------------------------------------------------------------------------


def test_a_model_is_handed_inputs_and_nothing_that_leads_to_an_answer():
    given = windows(PAIR, 1)
    unlabelled = given.unlabelled()
    assert [part.name for part in fields(Unlabelled)] == ["signals", "starts", "present", "spec", "weight"]
    assert unlabelled.weight is None, "weights are told where a model is pre-trained, and of no person who is tested"
    assert not {"y", "targets", "valid", "labelled", "person"} & set(dir(unlabelled))
    assert not isinstance(unlabelled, Batches)
    np.testing.assert_array_equal(unlabelled.x, given.x)
    np.testing.assert_array_equal(np.concatenate(list(unlabelled.iterate(5))), given.x)
    assert len(unlabelled) == len(given)


# --- the shipped models ----------------------------------------------------------------------------------------------


def quick(kind=PaperCnn):
    return kind if kind is Ridge else lambda: kind(epochs=2, batch=16)


@pytest.mark.parametrize("kind", [PaperCnn, Lstm, Ridge])
def test_models_take_a_persons_mean_and_sd_and_only_when_asked(kind):
    model = quick(kind)()
    assert isinstance(model, SelfNormalisingModel) and "ug-self-normalised" in model.card.description
    model.fit(windows(PAIR, 1), windows(PAIR, 2, people=1), seed=0)
    x = windows(PAIR, 3).x
    person = windows(PAIR, 8, people=1)
    worn = replace(person, signals=np.float32(2) * person.signals + np.float32(3))
    as_fitted = model.predict(x)
    plain, odd = (model.normalise(batches.unlabelled(), seed=0) for batches in (person, worn))
    # What was moved and stretched is moved and stretched back: the same numbers reach the weights.
    np.testing.assert_allclose(odd.predict(2 * x + 3), plain.predict(x), atol=1e-3)
    assert np.abs(model.predict(2 * x + 3) - as_fitted).max() > 1
    assert model.predict(x).tobytes() == as_fitted.tobytes()
    assert "person's own mean and SD" in odd.notes[-1] and "person's" not in " ".join(model.notes)
    with pytest.raises(DataError, match="expected inputs"):
        model.normalise(windows(BODY, 1).unlabelled(), seed=0)


@pytest.mark.parametrize("kind", [PaperCnn, Ridge])
def test_a_normalised_model_is_kept_and_taken_up(tmp_path, kind):
    model = quick(kind)()
    model.fit(windows(PAIR, 1), windows(PAIR, 2, people=1), seed=0)
    mine = model.normalise(windows(PAIR, 8, people=1).unlabelled(), seed=0)
    mine.save(tmp_path)
    again = quick(kind)()
    again.load(tmp_path)
    x = windows(PAIR, 3).x
    assert again.predict(x).tobytes() == mine.predict(x).tobytes()


def test_a_sensor_that_is_missing_or_still_keeps_its_scale_of_training():
    train = windows(PAIR, 1)
    scaling = Scaling.fit(train)
    signals = windows(PAIR, 8, people=1).signals.copy()
    signals[:, 0], signals[:, 1] = np.nan, 7.0
    mine = scaling.normalised(replace(train, signals=signals, starts=train.starts[:5]).unlabelled())
    assert mine.x_mean[0] == scaling.x_mean[0] and mine.x_sd[0] == scaling.x_sd[0]
    assert mine.x_mean[1] == pytest.approx(7) and mine.x_sd[1] == scaling.x_sd[1]
    assert (mine.x_sd[2:] != scaling.x_sd[2:]).all()
    for name in ("y_mean", "y_sd", "y_min"):
        assert getattr(mine, name) is getattr(scaling, name)


# --- promises of a model ---------------------------------------------------------------------------------------------


class Offset:
    """Answers the mean angle, moved by how far its first channel is from its mean."""

    card = ModelCard("offset", "1", "offset", "a line through one channel")

    def fit(self, train, valid, *, seed):
        self.centre = float(np.nanmean(train.x[..., 0]))
        self.angles = np.nanmean(train.y.astype(float), axis=(0, 1))

    def predict(self, x):
        moved = np.nan_to_num(x[..., :1] - np.float32(self.centre))
        return (self.angles + moved).astype(np.float32)

    def normalise(self, unlabelled, *, seed):
        mine = deepcopy(self)
        mine.centre = float(np.nan_to_num(np.nanmean(np.nan_to_num(unlabelled.x[..., 0]))))
        return mine


class InPlace(Offset):
    def normalise(self, unlabelled, *, seed):
        self.centre = float(np.mean(np.nan_to_num(unlabelled.x[..., 0])))
        return deepcopy(self)


class Itself(Offset):
    def normalise(self, unlabelled, *, seed):
        return self


class Nothing(Offset):
    def normalise(self, unlabelled, *, seed):
        return deepcopy(self)


class Fickle(Offset):
    calls = 0

    def normalise(self, unlabelled, *, seed):
        mine = super().normalise(unlabelled, seed=seed)
        Fickle.calls += 1
        mine.centre += 0.1 * Fickle.calls
        return mine


class Peeking(Offset):
    """Once normalised, it centres what it is tested on by that itself."""

    own = False

    def normalise(self, unlabelled, *, seed):
        mine = super().normalise(unlabelled, seed=seed)
        mine.own = True
        return mine

    def predict(self, x):
        return super().predict(x - np.nan_to_num(x).mean(axis=(0, 1)) if self.own and x.size else x)


class Writing(Offset):
    def normalise(self, unlabelled, *, seed):
        unlabelled.signals[:] = 0
        return super().normalise(unlabelled, seed=seed)


class Wanting(Offset):
    def normalise(self, unlabelled, *, seed):
        mine = deepcopy(self)
        mine.angles = unlabelled.y.mean(axis=(0, 1))
        return mine


class Sharing(PaperCnn):
    """Its normalised copy has the fitted network itself, so that adapting the one tunes the other."""

    def __init__(self):
        super().__init__(epochs=2, batch=16)

    def normalise(self, unlabelled, *, seed):
        mine = super().normalise(unlabelled, seed=seed)
        mine._fitted = replace(mine._fitted, network=self._fitted.network)
        return mine


def test_models_that_keep_the_promise_pass():
    check_model(Offset)
    check_model(quick(), PAIR)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (InPlace, "must leave the fitted model as it was"), (Itself, "must return another model"),
        (Nothing, "must take something"), (Fickle, "must normalise alike"),
        (Peeking, "must not depend on the windows it comes with"), (Writing, "must not change the windows"),
        (Sharing, "must share nothing"),
    ],
)  # fmt: skip
def test_a_model_that_breaks_its_promise_is_found(model, says):
    with pytest.raises(AssertionError, match=says):
        check_model(model, PAIR)


def test_a_model_that_asks_for_answers_finds_none():
    with pytest.raises(AttributeError, match="'Unlabelled' object has no attribute 'y'"):
        check_model(Wanting, PAIR)


# --- the runner ------------------------------------------------------------------------------------------------------

OWN = '''

class Own(Mean):
    """The mean angle, moved by the mean of the person's own rate; tells what it is handed."""
    card = ModelCard("toy-own", "1", "own mean", "moved by a person's own rate")
    moved = 0.0

    def fit(self, train, valid, *, seed):
        super().fit(train, valid, seed=seed)
        self.notes = ()

    def predict(self, x):
        return super().predict(x) + np.float32(self.moved)

    def normalise(self, unlabelled, *, seed):
        tell(f"normalise {type(unlabelled).__name__} {len(unlabelled)}")
        mine = Own()
        mine.value, mine.moved = self.value, float(unlabelled.x.astype(float).mean()) + seed
        mine.notes = ("moved",)
        return mine
'''


@pytest.fixture
def lab(tmp_path, install, monkeypatch):
    points = [("kinbench.models", ENTRY_POINTS[0][1] + "\ntoy-own = toy_models:Own")]
    install("toy", points, {"toy_models": MODELS + OWN})
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log.txt"))
    return laboratory(tmp_path, "lab", seconds=60.0)


def planned(folder, lab, protocols, models, *, where="results", seeds=(0,)):
    named = {protocol.card.name: protocol for protocol in protocols}
    return plan(
        [lab], named, {TASK.name: TASK}, models, seeds=seeds, results=folder / where, cache=folder / "cache"
    )  # fmt: skip


def test_a_run_normalises_a_copy_and_shares_the_fit_with_ug(tmp_path, lab):
    made = run(planned(tmp_path, lab, [UG, UG_SELF_NORMALISED], ["toy-own"]))
    assert not made.failed and len(made.results) == 6
    log = (tmp_path / "log.txt").read_text().splitlines()
    assert log.count("fit mean") == 3
    told = [line for line in log if line.startswith("normalise")]
    assert len(told) == 3 and all(line.startswith("normalise Unlabelled") for line in told)
    by = {(r.protocol.name, r.fold.name): r for r in made.results}
    for person in ("lab/S1", "lab/S2", "lab/S3"):
        ug, mine = by["ug", person], by["ug-self-normalised", person]
        assert mine.windows["unlabelled"] > 4 and "unlabelled" not in ug.windows
        assert mine.notes[-1] == "moved" and "moved" not in ug.notes
        assert mine.protocol.normalises and not ug.protocol.normalises
        assert mine.predictions != ug.predictions and mine.timings.adapt_s is not None
    # Whichever stands first, and alone: the same bits.
    for folder, protocols in (("turned", [UG_SELF_NORMALISED, UG]), ("alone", [UG_SELF_NORMALISED])):
        again = run(planned(tmp_path, lab, protocols, ["toy-own"], where=folder))
        assert all(r.predictions == by[r.protocol.name, r.fold.name].predictions for r in again.results)


def test_a_model_without_normalise_is_not_applicable_with_the_reason(tmp_path, lab):
    found = planned(tmp_path, lab, [UG, UG_SELF_NORMALISED], ["toy-mean", "toy-own"])
    (skipped,) = found.skipped
    assert skipped.model == "toy-mean" and skipped.protocol == "ug-self-normalised"
    assert skipped.reason == "the model has no 'normalise', which ug-self-normalised needs"
    assert [cell.model.name for cell in found.cells if cell.fold.normalises] == ["toy-own"] * 3


def test_no_window_to_normalise_on_fails_the_cell_with_a_sentence(tmp_path, lab):
    class Brief(Altered):
        def __init__(self):
            super().__init__(
                fold=lambda fold, entries: replace(
                    fold,
                    roles={
                        **fold.roles,
                        "unlabelled": tuple(replace(s, stop=s.start + 5) for s in fold.roles["unlabelled"]),
                    },
                )
            )

    made = run(planned(tmp_path, lab, [Brief()], ["toy-own"]))
    assert {r.failure.sentence for r in made.failed} == {"the unlabelled spans hold no window"}


def test_statistics_are_of_sensors_worn_as_in_the_test_and_what_is_adapted_to_is_as_recorded(tmp_path, lab):
    space = Workspace((lab,), tmp_path / "cache")
    entries = space.data(TASK, "lab").entries
    clean = UG_SELF_NORMALISED.folds(entries, TASK)[0]
    bias = Change.of("bias", gyr_deg_s=100.0, draw=0)
    worn = replace(clean, test_changes=(bias,))
    before, after = (space.unlabelled(fold, TASK).x for fold in (clean, worn))
    np.testing.assert_allclose(np.linalg.norm(after - before, axis=2), np.deg2rad(100), rtol=1e-3)
    learnt = replace(UA.folds(entries, TASK)[0], fit_changes=(bias,))
    spans = learnt.roles["adaptation"]
    plain = space.data(TASK, "lab").batches(spans)
    assert space.calibration(learnt, TASK, spans).signals.tobytes() == plain.signals.tobytes()
    assert space.batches(learnt, TASK, spans).signals.tobytes() != plain.signals.tobytes()
