"""Promises of a model's card, its fit and its answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from kinbench.contracts import ModelCard, StreamModel
from kinbench.testing.claims import attribute, require, require_identifier, require_texts
from kinbench.testing.models.cohorts import MadeUp, Recorded, none_of
from kinbench.testing.models.trials import Promise, Trial, shape_of


def check_card(trial: Trial) -> None:
    """Require a card, and the methods that belong together."""
    model = trial.factory()
    card = attribute(model, "card", ModelCard, "A model")
    require_texts(card, ("name", "version", "title", "description"), "A model's card")
    require_identifier(card.name, "A model's name")
    for person in card.trained_on:
        require(person.count("/") == 1, f"A card's trained_on lists 'dataset/subject', not {person!r}.")
    for name in ("fit", "predict"):
        require(callable(getattr(model, name, None)), f"A model must have the method '{name}'.")
    if hasattr(model, "adapt"):
        for name in ("save", "load"):
            require(callable(getattr(model, name, None)), f"A model with 'adapt' must have '{name}' as well.")


def _fit(trial: Trial) -> None:
    require(trial.ordinary.untouched, "fit must not change the windows it is given.")
    _parameters(trial.model)


def _parameters(model: Any) -> None:
    if hasattr(model, "parameters"):
        count = model.parameters()
        require(isinstance(count, int) and count >= 0, f"parameters() must return a number of weights, got {count!r}.")


def _shapes(trial: Trial) -> None:
    for x in (trial.x, trial.x[:1]):
        shape_of(trial.model.predict(x.copy()), x, trial.spec)


def _dtype(trial: Trial) -> None:
    for x in (trial.x, trial.x[:0]):
        found = trial.model.predict(x.copy())
        shape_of(found, x, trial.spec)
        require(found.dtype == np.float32, f"predict must return float32, got {found.dtype}.")


def _finite(trial: Trial) -> None:
    trial.answer(trial.model, trial.x, "on ordinary windows")
    trial.answer(trial.model, trial.x[:1], "for a single window")


def _no_mutation(trial: Trial) -> None:
    given = trial.x.copy()
    trial.model.predict(given)
    require(given.tobytes() == trial.x.tobytes(), "predict must not change x in place, and on ordinary windows it did.")
    # The runner hands over what it has sliced or mapped, which need not be writable.
    given.flags.writeable = False
    try:
        trial.model.predict(given)
    except ValueError as error:
        raise AssertionError(f"predict must take a read-only x without writing to it: {error}") from error
    require(trial.holed.untouched, "fit must not change the windows it is given, missing values included.")
    holes = trial.cohort.windows(3, clean=False).x
    given = holes.copy()
    trial.holed.model.predict(given)
    require(given.tobytes() == holes.tobytes(), "predict must not change x in place, and with a sensor missing it did.")


def _determinism(trial: Trial) -> None:
    once, locked = trial.model.predict(trial.x.copy()), trial.x.copy()
    require(
        once.tobytes() == trial.model.predict(trial.x.copy()).tobytes(),
        "predict must give the same for the same windows, and a second call gave something else.",
    )
    locked.flags.writeable = False
    require(once.tobytes() == trial.model.predict(locked).tobytes(), "predict must give the same for a read-only x.")
    state = np.random.get_state()
    try:
        found = []
        for other in (1, 2):
            np.random.seed(other)
            found.append(trial.fit(seed=5).model.predict(trial.x.copy()))
    finally:
        np.random.set_state(state)
    require(
        found[0].tobytes() == found[1].tobytes(),
        "The same data and seed must give the same predictions, byte for byte, and two fits differ; "
        "draw every random number from the seed.",
    )


def _independence(trial: Trial) -> None:
    together = trial.model.predict(trial.x.copy())
    trial.alone(trial.model, trial.x, together, "A window's")


def _no_global_state(trial: Trial) -> None:
    before = trial.model.predict(trial.x.copy())
    cohort = trial.cohort
    if isinstance(cohort, MadeUp):
        Trial(trial.factory, replace(cohort, spec=replace(cohort.spec, task=f"{cohort.spec.task}/other"))).fit(seed=9)
    elif isinstance(cohort, Recorded):
        Trial(trial.factory, replace(cohort, persons=cohort.persons[::-1])).fit(seed=9)
    require(
        trial.model.predict(trial.x.copy()).tobytes() == before.tobytes(),
        "Two models must share no state, and fitting another one changed this one's predictions.",
    )


def _missing_sensors(trial: Trial) -> None:
    holes = trial.cohort.windows(3, clean=False).x
    trial.answer(trial.holed.model, holes, "with a sensor missing (NaN)")
    trial.answer(trial.model, holes, "with a sensor missing (NaN) that training had")


def _no_validation(trial: Trial) -> None:
    model, train = trial.factory(), trial.cohort.windows(1)
    model.fit(train, none_of(train), seed=0)
    if not isinstance(model, StreamModel):
        trial.answer(model, trial.x, "after a fit without validation windows")


PROMISES = (
    Promise("card", "a card with name, version, title and description; methods that belong together", check_card,
            founding=True, on_windows=False),
    Promise("fit", "fit takes ordinary windows and leaves them as they are", _fit, founding=True, on_windows=False),
    Promise("shapes", "predict answers (n, time, dof), for many windows and for one", _shapes, founding=True),
    Promise("no mutation", "fit and predict leave what they are given as it was, read-only arrays too", _no_mutation),
    Promise("dtype", "predict answers float32, for no window too", _dtype),
    Promise("finite", "every angle is a finite number", _finite),
    Promise("determinism", "the same windows and seed give the same bits, whatever was drawn elsewhere", _determinism),
    Promise("independence of windows", "no window's answer depends on the windows that it comes with", _independence),
    Promise("no global state", "fitting another model changes nothing of this one", _no_global_state),
    Promise("missing sensors", "a sensor that is NaN is borne, in fit and in predict", _missing_sensors),
    Promise("no validation windows", "fit does without validation windows", _no_validation, on_windows=False),
)  # fmt: skip
