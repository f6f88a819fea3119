"""Promises of what models keep: on disk, of a person, of earlier weights."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from kinbench.contracts import Training
from kinbench.errors import DataError, KinbenchError
from kinbench.testing.claims import require, require_raises
from kinbench.testing.models.cohorts import worn_otherwise
from kinbench.testing.models.trials import Promise, Trial, left_alone
from kinbench.windows import Unlabelled

_NOTHING_FITTED = "nothing"
"""The word by which a model that began from weights notes that ``fit`` fitted none."""


def _save_and_load(trial: Trial) -> None:
    expected = trial.model.predict(trial.x.copy())
    again = trial.kept(trial.model)
    require(
        again.predict(trial.x.copy()).tobytes() == expected.tobytes(),
        "A loaded model must predict exactly as the saved one, byte for byte, and it does not.",
    )
    require(trial.model.predict(trial.x.copy()).tobytes() == expected.tobytes(), "save must not change the model.")


def _adapt(trial: Trial) -> None:
    model = trial.fit().model
    again = trial.kept(model)
    for each in (model, again):
        calibration, valid = trial.calibration()
        untouched = left_alone(partial(each.adapt, calibration, valid, seed=3), calibration, valid)
        require(untouched, "adapt must not change the windows it is given.")
    adapted = trial.answer(model, trial.x, "after adapting")
    require(
        again.predict(trial.x.copy()).tobytes() == adapted.tobytes(),
        "Adapting a loaded model must end where adapting the saved one does, byte for byte, and it does not; "
        "save all that adapt needs.",
    )
    require(
        trial.kept(model).predict(trial.x.copy()).tobytes() == adapted.tobytes(),
        "An adapted model must predict the same after save and load, and it does not.",
    )


def _normalise(trial: Trial) -> None:
    model, x = trial.fit().model, trial.x
    before = model.predict(x.copy())
    other = worn_otherwise(trial.cohort.windows(8, people=1))
    mine = _normalised(model, other)
    after = trial.answer(mine, x, "after normalising")
    require(
        model.predict(x.copy()).tobytes() == before.tobytes(),
        "normalise must leave the fitted model as it was, for others are predicted with it, and its predictions "
        "changed.",
    )
    require(
        after.tobytes() != before.tobytes(),
        "normalise must take something of the windows it is given, and inputs moved and stretched changed no "
        "prediction; leave the method out.",
    )
    require(
        _normalised(model, other).predict(x.copy()).tobytes() == after.tobytes(),
        "The same windows and seed must normalise alike, byte for byte, and a second time differs.",
    )
    trial.alone(mine, x, after, "A normalised model's")
    holes = trial.cohort.windows(8, people=1, clean=False).unlabelled()
    trial.answer(_normalised(model, holes), x, "without a sensor")
    if hasattr(model, "adapt"):
        mine.adapt(trial.cohort.windows(6, people=1), trial.cohort.windows(7, people=1), seed=3)
        require(
            model.predict(x.copy()).tobytes() == before.tobytes(),
            "A normalised model must share nothing with the fitted one that either could change, and adapting it "
            "changed the fitted one's predictions.",
        )


def _normalised(model: Any, unlabelled: Unlabelled) -> Any:
    found = []
    untouched = left_alone(lambda: found.append(model.normalise(unlabelled, seed=0)), unlabelled)
    (mine,) = found
    require(
        mine is not model and callable(getattr(mine, "predict", None)),
        f"normalise must return another model, got {'the same one' if mine is model else type(mine).__name__}.",
    )
    require(untouched, "normalise must not change the windows it is given.")
    return mine


# --- how a run trains ------------------------------------------------------------------------------------------------


def _prepare(trial: Trial) -> None:
    """Device and checkpoints are the run's business: neither may show in what is saved, nor in what is predicted."""
    expected = trial.model.predict(trial.x.copy())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("plain", "other", "progress"):
            (folder / part).mkdir()
        plain = _trained(trial, Training())
        plain.save(folder / "plain")
        require(
            plain.predict(trial.x.copy()).tobytes() == expected.tobytes(),
            "A model that was told to train on the CPU must end as one that was told nothing, and it does not.",
        )
        for when in ("with checkpoints", "with the checkpoints of a fit that was done before"):
            kept = _trained(trial, Training(checkpoints=folder / "progress"))
            require(
                kept.predict(trial.x.copy()).tobytes() == expected.tobytes(),
                f"Keeping checkpoints must not change what is learnt, and {when} the predictions are others.",
            )
        try:
            plain.prepare(Training(device="cuda"))
        except KinbenchError:
            return  # there is no such device here, and the model says so
        plain.save(folder / "other")
        names = [sorted(path.name for path in (folder / part).iterdir()) for part in ("plain", "other")]
        same = names[0] == names[1] and all(
            (folder / "plain" / name).read_bytes() == (folder / "other" / name).read_bytes() for name in names[0]
        )
        require(same, "The device must play no part in what save writes, and after prepare(device='cuda') it is other.")


def _trained(trial: Trial, training: Training) -> Any:
    model = trial.factory()
    model.prepare(training)
    model.fit(trial.cohort.windows(1), trial.cohort.windows(2, people=1), seed=0)
    return model


def _begin(trial: Trial) -> str | None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "other").mkdir()
        (folder / "other" / "holiday.txt").write_text("sun", encoding="utf-8")
        require_raises(
            lambda: trial.factory().begin(folder / "other"), (DataError,), "begin from a folder of something else"
        )
        (folder / "weights").mkdir()
        trial.model.save(folder / "weights")
        model = trial.factory()
        model.begin(folder / "weights")
        train, valid = trial.cohort.windows(1), trial.cohort.windows(2, people=1)
        untouched = left_alone(lambda: model.fit(train, valid, seed=0), train, valid)
    require(untouched, "fit must not change the windows it is given, after begin too.")
    begun = trial.answer(model, trial.x, "after begin and fit")
    notes = [str(note) for note in getattr(model, "notes", ())]
    require(bool(notes), "A model that began from weights must say in 'notes' what fit did, and says nothing.")
    if not any(_NOTHING_FITTED in note for note in notes):
        return "it goes on learning from the weights"
    require(
        begun.tobytes() == trial.model.predict(trial.x.copy()).tobytes(),
        "A model that says it fitted nothing must predict as the saved one, byte for byte, and it does not.",
    )
    return "it is evaluated as it was saved"


PROMISES = (
    Promise("save and load", "a loaded model predicts as the saved one, to the bit", _save_and_load,
            only=("save", "load")),
    Promise("adapt", "adapting a loaded model ends where adapting the saved one does", _adapt, only=("adapt",)),
    Promise("normalise", "normalise returns another model of the person's own statistics, and changes none", _normalise,
            only=("normalise",)),
    Promise("prepare", "neither the device nor checkpoints show in what is learnt or saved", _prepare,
            only=("prepare", "save")),
    Promise("begin", "weights of something else are refused, its own taken up as they are", _begin,
            only=("begin", "save")),
)  # fmt: skip
