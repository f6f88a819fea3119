"""What a model promises, tried on small synthetic windows with missing sensors and masked targets."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench.contracts import ModelCard
from kinbench.errors import NotApplicable
from kinbench.testing.claims import attribute, require, require_identifier, require_texts
from kinbench.windows import Batches, TaskSpec, Unlabelled

Factory = Callable[[], Any]

PAIR = TaskSpec(
    task="conformance/pair", version=1,
    channel_names=tuple(f"{s}/{c}/{a}" for s in ("thigh", "shank") for c in ("acc", "gyr") for a in "xyz"),
    dof_names=("knee_flexion",), segments=("thigh", "shank"), rate_hz=100.0, window=32,
)  # fmt: skip
BODY = TaskSpec(
    task="conformance/body", version=1,
    channel_names=tuple(f"{s}/gyr/{a}" for s in ("pelvis", "thigh_r", "shank_r") for a in "xyz"),
    dof_names=("hip_flexion_r", "knee_flexion_r"), segments=("pelvis", "thigh_r", "shank_r"), rate_hz=50.0, window=25,
)  # fmt: skip
"""An odd window, another rate, several DoFs: what a model may not have in its bones."""

WINDOW_TOLERANCE_DEG = 0.05
SUMS_TOLERANCE = 1e-6
"""Of the spread of predictions, which are float32: how far a model from sums may be from one fitted otherwise."""


def check_model(factory: Factory, spec: TaskSpec | None = None) -> None:
    """Raise ``AssertionError`` at the first promise of ``contracts.Model`` that the factory's models break.

    ``factory()`` returns a fresh model, as an entry point does without settings; give it short training. ``spec`` is
    the task to try, two of ours where it is left out. Models with ``adapt`` are held to ``AdaptiveModel`` too, those
    with ``normalise`` to ``SelfNormalisingModel``, those with ``summarise`` to ``AdditiveModel``.
    A model that raises ``NotApplicable`` in ``fit`` for a task is believed, and not held to anything on it.
    """
    _check_card(factory())
    applicable = [each for each in ((spec,) if spec else (PAIR, BODY)) if _fits(factory, each)]
    require(bool(applicable), "The model is not applicable to any of the tasks tried; pass the spec of one that it is.")
    for each in applicable:
        _check_predictions(factory, each)
        _check_independence(factory, each)
        _check_reproducible(factory, each)
        _check_robust(factory, each)
        _check_state(factory, each)
        if hasattr(factory(), "normalise"):
            _check_normalised(factory, each)
        if hasattr(factory(), "summarise"):
            _check_sums(factory, each)
            _check_subsets(factory, each)


# --- data ------------------------------------------------------------------------------------------------------------


def windows(spec: TaskSpec, seed: int, *, people: int = 3, clean: bool = True) -> Batches:
    """Return synthetic windows: smooth signals, angles that depend on them; not ``clean``: with holes.

    Holes are one sensor missing from the first person's signals (NaN, ``present`` False) and masked targets (NaN).
    """
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(12).normal(size=(len(spec.channel_names), len(spec.dof_names)))
    samples = 12 * spec.window
    signals = []
    for _ in range(people):
        t = np.arange(samples)[:, None] / spec.rate_hz
        phase = rng.uniform(0, 2 * np.pi, len(spec.channel_names))
        signals.append(2.0 * np.sin(2 * np.pi * rng.uniform(0.8, 1.3, phase.size) * t + phase))
    x = np.concatenate(signals)
    y = 20.0 + 8.0 * x @ mixing
    x += rng.normal(0, 0.1, x.shape)
    begins = np.arange(0, samples - spec.window + 1, spec.window // 2)
    starts = (np.arange(people)[:, None] * samples + begins).reshape(-1)
    person = np.repeat(np.arange(people), begins.size)
    present = np.ones((starts.size, len(spec.segments)), dtype=bool)
    labelled = np.ones(y.shape, dtype=bool)
    if not clean:
        mine = [name.split("/")[0] == spec.segments[0] for name in spec.channel_names]
        x[:samples, mine] = np.nan
        present[person == 0, 0] = False
        labelled = rng.random(y.shape) > 0.3
    return Batches(
        x.astype(np.float32), np.where(labelled, y, np.nan).astype(np.float32), labelled,
        starts.astype(np.int64), person.astype(np.int64), present, spec,
    )  # fmt: skip


def _none(spec: TaskSpec) -> Batches:
    whole = windows(spec, 0, people=1)
    return replace(whole, starts=whole.starts[:0], person=whole.person[:0], present=whole.present[:0])


def _bytes(batches: Batches) -> tuple[bytes, ...]:
    return tuple(
        array.tobytes() for array in (batches.signals, batches.targets, batches.labelled, batches.starts)
    )  # fmt: skip


# --- checks ----------------------------------------------------------------------------------------------------------


def _check_card(model: Any) -> None:
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


def _fits(factory: Factory, spec: TaskSpec) -> bool:
    try:
        _fitted(factory, spec)
    except NotApplicable:
        return False
    return True


def _fitted(factory: Factory, spec: TaskSpec, seed: int = 0) -> Any:
    model = factory()
    train, valid = windows(spec, 1), windows(spec, 2, people=1)
    before = _bytes(train), _bytes(valid)
    model.fit(train, valid, seed=seed)
    require((_bytes(train), _bytes(valid)) == before, "fit must not change the windows it is given.")
    return model


def _predict(model: Any, x: NDArray[np.float32], spec: TaskSpec, when: str) -> NDArray[np.float32]:
    """Return a prediction that has kept its promises of shape, type, range, and leaving its input alone."""
    given = x.copy()
    predicted = model.predict(given)
    require(given.tobytes() == x.tobytes(), f"predict must not change x in place, and {when} it did.")
    require(isinstance(predicted, np.ndarray), f"predict must return a numpy array, got {type(predicted).__name__}.")
    expected = (x.shape[0], x.shape[1], len(spec.dof_names))
    require(predicted.shape == expected, f"predict must return (n, time, dof) = {expected}, got {predicted.shape}.")
    require(predicted.dtype == np.float32, f"predict must return float32, got {predicted.dtype}.")
    require(bool(np.isfinite(predicted).all()), f"predict must return finite angles, and {when} some are not.")
    result: NDArray[np.float32] = predicted
    return result


def _check_predictions(factory: Factory, spec: TaskSpec) -> None:
    model = _fitted(factory, spec)
    x = windows(spec, 3).x
    predicted = _predict(model, x, spec, "on ordinary windows")
    require(
        predicted.tobytes() == _predict(model, x, spec, "asked again").tobytes(),
        "predict must give the same for the same windows, and a second call gave something else.",
    )
    _predict(model, x[:1], spec, "for a single window")
    _predict(model, x[:0], spec, "for no window")
    # The runner hands over what it has sliced or mapped, which need not be writable.
    locked = x.copy()
    locked.flags.writeable = False
    _predict_locked(model, locked, predicted)
    if hasattr(model, "parameters"):
        count = model.parameters()
        require(isinstance(count, int) and count >= 0, f"parameters() must return a number of weights, got {count!r}.")


def _predict_locked(model: Any, x: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    try:
        again = model.predict(x)
    except ValueError as error:
        raise AssertionError(f"predict must take a read-only x without writing to it: {error}") from error
    require(again.tobytes() == expected.tobytes(), "predict must give the same for a read-only x.")


def _check_independence(factory: Factory, spec: TaskSpec) -> None:
    model = _fitted(factory, spec)
    x = windows(spec, 3).x
    together = _predict(model, x, spec, "on ordinary windows")
    alone = np.concatenate([_predict(model, x[i : i + 1], spec, "for a single window") for i in range(0, len(x), 7)])
    apart = float(np.abs(together[::7] - alone).max())
    require(
        apart <= WINDOW_TOLERANCE_DEG,
        f"A window's prediction must not depend on the windows it comes with (test statistics would leak), and it "
        f"moved by {apart:.3g} deg.",
    )
    _fitted(factory, replace(spec, task=spec.task + "/other"), seed=9)
    require(
        model.predict(x).tobytes() == together.tobytes(),
        "Two models must share no state, and fitting another one changed this one's predictions.",
    )


def _check_reproducible(factory: Factory, spec: TaskSpec) -> None:
    x = windows(spec, 3).x
    state = np.random.get_state()
    try:
        np.random.seed(1)
        first = _fitted(factory, spec, seed=5).predict(x)
        np.random.seed(2)
        second = _fitted(factory, spec, seed=5).predict(x)
    finally:
        np.random.set_state(state)
    require(
        first.tobytes() == second.tobytes(),
        "The same data and seed must give the same predictions, byte for byte, and two fits differ; "
        "draw every random number from the seed.",
    )


def _check_robust(factory: Factory, spec: TaskSpec) -> None:
    holes = windows(spec, 1, clean=False)
    before = _bytes(holes)
    model = factory()
    model.fit(holes, windows(spec, 2, people=1, clean=False), seed=0)
    require(_bytes(holes) == before, "fit must not change the windows it is given, missing values included.")
    _predict(model, windows(spec, 3, clean=False).x, spec, "with a sensor missing (NaN)")
    alone = factory()
    alone.fit(windows(spec, 1), _none(spec), seed=0)
    _predict(alone, windows(spec, 3).x, spec, "after a fit without validation windows")


def _check_state(factory: Factory, spec: TaskSpec) -> None:
    model = _fitted(factory, spec)
    x = windows(spec, 3).x
    expected = model.predict(x)
    again = _kept(factory, model) if hasattr(model, "save") else None
    if again is not None:
        require(
            again.predict(x).tobytes() == expected.tobytes(),
            "A loaded model must predict exactly as the saved one, byte for byte, and it does not.",
        )
        require(model.predict(x).tobytes() == expected.tobytes(), "save must not change the model.")
    if not hasattr(model, "adapt"):
        return
    for each in filter(None, (model, again)):
        calibration, valid = windows(spec, 6, people=1, clean=False), windows(spec, 7, people=1)
        before = _bytes(calibration), _bytes(valid)
        each.adapt(calibration, valid, seed=3)
        require((_bytes(calibration), _bytes(valid)) == before, "adapt must not change the windows it is given.")
    adapted = _predict(model, x, spec, "after adapting")
    if again is not None:
        require(
            again.predict(x).tobytes() == adapted.tobytes(),
            "Adapting a loaded model must end where adapting the saved one does, byte for byte, and it does not; "
            "save all that adapt needs.",
        )
        require(
            _kept(factory, model).predict(x).tobytes() == adapted.tobytes(),
            "An adapted model must predict the same after save and load, and it does not.",
        )


def _check_normalised(factory: Factory, spec: TaskSpec) -> None:
    model = _fitted(factory, spec)
    x = windows(spec, 3).x
    before = model.predict(x)
    mine = _normalised(model, _worn_otherwise(spec))
    after = _predict(mine, x, spec, "after normalising")
    require(
        model.predict(x).tobytes() == before.tobytes(),
        "normalise must leave the fitted model as it was, for others are predicted with it, and its predictions "
        "changed.",
    )
    require(
        after.tobytes() != before.tobytes(),
        "normalise must take something of the windows it is given, and inputs moved and stretched changed no "
        "prediction; leave the method out.",
    )
    require(
        _normalised(model, _worn_otherwise(spec)).predict(x).tobytes() == after.tobytes(),
        "The same windows and seed must normalise alike, byte for byte, and a second time differs.",
    )
    alone = np.concatenate([_predict(mine, x[i : i + 1], spec, "after normalising") for i in range(0, len(x), 7)])
    apart = float(np.abs(after[::7] - alone).max())
    require(
        apart <= WINDOW_TOLERANCE_DEG,
        f"A normalised model's prediction must not depend on the windows it comes with (test statistics would leak), "
        f"and it moved by {apart:.3g} deg.",
    )
    _predict(_normalised(model, windows(spec, 8, people=1, clean=False).unlabelled()), x, spec, "without a sensor")
    if hasattr(model, "adapt"):
        mine.adapt(windows(spec, 6, people=1), windows(spec, 7, people=1), seed=3)
        require(
            model.predict(x).tobytes() == before.tobytes(),
            "A normalised model must share nothing with the fitted one that either could change, and adapting it "
            "changed the fitted one's predictions.",
        )


def _worn_otherwise(spec: TaskSpec) -> Unlabelled:
    """Return a person's windows whose channels are moved and stretched, as by a sensor that is worn elsewhere."""
    given = windows(spec, 8, people=1)
    return replace(given, signals=np.float32(1.5) * given.signals + np.float32(0.5)).unlabelled()


def _normalised(model: Any, unlabelled: Unlabelled) -> Any:
    before = unlabelled.signals.tobytes()
    mine = model.normalise(unlabelled, seed=0)
    require(
        mine is not model and callable(getattr(mine, "predict", None)),
        f"normalise must return another model, got {'the same one' if mine is model else type(mine).__name__}.",
    )
    require(unlabelled.signals.tobytes() == before, "normalise must not change the windows it is given.")
    return mine


def _check_sums(factory: Factory, spec: TaskSpec) -> None:
    """Sums of persons, whole and with holes, must add up to what ``fit`` learns from, and stay as they are."""
    x = windows(spec, 3).x
    for clean in (True, False):
        train, valid = windows(spec, 1, clean=clean), windows(spec, 2, people=1, clean=clean)
        alone = factory()
        alone.fit(train, valid, seed=0)
        expected = alone.predict(x)
        model, before = factory(), (_bytes(train), _bytes(valid))
        persons = [model.summarise(_of_persons(train, [person])) for person in np.unique(train.person)]
        judge = model.summarise(valid)
        require((_bytes(train), _bytes(valid)) == before, "summarise must not change the windows it is given.")
        for when in ("", " once more"):  # a second time: what was added and fitted from is as it was
            (summed,) = model.fit_from(reduce(add, persons), judge, [spec.segments], seed=0)
            require(
                _predict(summed, x, spec, "from sums").tobytes() == expected.tobytes(),
                f"A model from the sums of persons, added up{when} in the order of their numbers, must predict as one "
                "fitted on their windows, byte for byte, and it does not.",
            )
        (other,) = model.fit_from(reduce(add, persons[::-1]), judge, [spec.segments], seed=0)
        _require_close(other.predict(x), expected, "A model must learn the same from sums added in another order")
        halves = [_of_windows(train, np.arange(len(train)) % 2 == half) for half in (0, 1)]
        (other,) = model.fit_from(reduce(add, map(model.summarise, halves)), judge, [spec.segments], seed=0)
        _require_close(other.predict(x), expected, "A model must learn the same from the sums of parts of a person")
    require(
        isinstance(judge.nbytes, int) and judge.nbytes > 0, "A summary must tell its size in memory as 'nbytes'."
    )  # fmt: skip


def _check_subsets(factory: Factory, spec: TaskSpec) -> None:
    train, valid = windows(spec, 1), windows(spec, 2, people=1)
    x = windows(spec, 3)
    subsets = [spec.segments, *((name,) for name in spec.segments)]
    summed = factory().summarise(train), factory().summarise(valid)
    found = list(factory().fit_from(*summed, subsets, seed=0))
    require(len(found) == len(subsets), "fit_from must yield one model for each set of sensors, in their order.")
    for subset, model in zip(subsets, found, strict=True):
        given = x.narrowed(subset)
        predicted = _predict(model, given.x, given.spec, "from sums")
        alone = factory()
        alone.fit(train.narrowed(subset), valid.narrowed(subset), seed=0)
        _require_close(
            predicted, alone.predict(given.x),
            "A model of some sensors must predict as one fitted on windows of these sensors alone",
        )  # fmt: skip
        (again,) = factory().fit_from(*summed, [subset], seed=0)
        require(
            again.predict(given.x).tobytes() == predicted.tobytes(),
            "A model of some sensors must not depend on which other sets are asked for, and it does.",
        )


def _require_close(predicted: NDArray[np.float32], expected: NDArray[np.float32], promise: str) -> None:
    apart = float(np.abs(predicted - expected).max() / np.ptp(expected))
    require(apart <= SUMS_TOLERANCE, f"{promise}, and it is {apart:.3g} of the spread away.")


def _of_persons(batches: Batches, persons: Sequence[int]) -> Batches:
    return _of_windows(batches, np.isin(batches.person, persons))


def _of_windows(batches: Batches, chosen: NDArray[np.bool_]) -> Batches:
    return replace(
        batches, starts=batches.starts[chosen], person=batches.person[chosen], present=batches.present[chosen]
    )  # fmt: skip


def _kept(factory: Factory, model: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder))
        require(any(Path(folder).iterdir()), "save must write into the folder it is given, and wrote nothing.")
        again = factory()
        again.load(Path(folder))
    # The folder is gone by now: a model that still reads from it breaks here.
    return again
