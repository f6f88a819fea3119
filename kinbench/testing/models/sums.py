"""Promises of models that learn from sums of persons."""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np

from kinbench.testing.claims import require
from kinbench.testing.models.cohorts import bytes_of, of_persons, of_windows
from kinbench.testing.models.trials import Float32Array, Promise, Trial

SUMS_TOLERANCE = 1e-6
"""Of the spread of predictions, which are float32: how far a model from sums may be from one fitted otherwise."""


def _sums(trial: Trial) -> None:
    """Sums of persons, whole and with holes, must add up to what ``fit`` learns from, and stay as they are."""
    x, segments = trial.x, trial.spec.segments
    for clean in (True, False):
        train, valid = trial.cohort.windows(1, clean=clean), trial.cohort.windows(2, people=1, clean=clean)
        alone = trial.factory()
        alone.fit(train, valid, seed=0)
        expected = alone.predict(x.copy())
        model, before = trial.factory(), (bytes_of(train), bytes_of(valid))
        persons = [model.summarise(of_persons(train, [person])) for person in np.unique(train.person)]
        judge = model.summarise(valid)
        require((bytes_of(train), bytes_of(valid)) == before, "summarise must not change the windows it is given.")
        for when in ("", " once more"):  # a second time: what was added and fitted from is as it was
            (summed,) = model.fit_from(reduce(add, persons), judge, [segments], seed=0)
            require(
                trial.answer(summed, x, "from sums").tobytes() == expected.tobytes(),
                f"A model from the sums of persons, added up{when} in the order of their numbers, must predict as one "
                "fitted on their windows, byte for byte, and it does not.",
            )
        (other,) = model.fit_from(reduce(add, persons[::-1]), judge, [segments], seed=0)
        _require_close(other.predict(x), expected, "A model must learn the same from sums added in another order")
        halves = [of_windows(train, np.arange(len(train)) % 2 == half) for half in (0, 1)]
        (other,) = model.fit_from(reduce(add, map(model.summarise, halves)), judge, [segments], seed=0)
        _require_close(other.predict(x), expected, "A model must learn the same from the sums of parts of a person")
    require(
        isinstance(judge.nbytes, int) and judge.nbytes > 0, "A summary must tell its size in memory as 'nbytes'."
    )  # fmt: skip


def _subsets(trial: Trial) -> None:
    train, valid = trial.cohort.windows(1), trial.cohort.windows(2, people=1)
    x, segments = trial.cohort.windows(3), trial.spec.segments
    subsets = [segments, *((name,) for name in segments)]
    summed = trial.factory().summarise(train), trial.factory().summarise(valid)
    found = list(trial.factory().fit_from(*summed, subsets, seed=0))
    require(len(found) == len(subsets), "fit_from must yield one model for each set of sensors, in their order.")
    for subset, model in zip(subsets, found, strict=True):
        given = x.narrowed(subset)
        predicted = trial.answer(model, given.x, "from sums")
        alone = trial.factory()
        alone.fit(train.narrowed(subset), valid.narrowed(subset), seed=0)
        _require_close(
            predicted, alone.predict(given.x),
            "A model of some sensors must predict as one fitted on windows of these sensors alone",
        )  # fmt: skip
        (again,) = trial.factory().fit_from(*summed, [subset], seed=0)
        require(
            again.predict(given.x).tobytes() == predicted.tobytes(),
            "A model of some sensors must not depend on which other sets are asked for, and it does.",
        )


def _require_close(predicted: Float32Array, expected: Float32Array, promise: str) -> None:
    spread = float(np.ptp(expected))
    apart = float(np.abs(predicted - expected).max()) / (spread or 1.0)
    require(apart <= SUMS_TOLERANCE, f"{promise}, and it is {apart:.3g} of the spread away.")


PROMISES = (
    Promise("sums", "what is learnt from persons' sums is what fit learns from their windows", _sums,
            only=("summarise", "fit_from")),
    Promise("subsets of sensors", "a model of some sensors is one fitted on windows of these alone", _subsets,
            only=("summarise", "fit_from")),
)  # fmt: skip
