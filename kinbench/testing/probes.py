"""No peeking: the answer is planted where a model must not reach, and its predictions must not move by a bit.

The model is fitted and asked in three worlds that have the same inputs: without an answer, with one answer planted,
and with another. Whoever answers otherwise in one of them has reached for it. Planted is, in ``CHANNELS``:

- rows: the tested windows with their answers in the flat arrays, in rows that no window covers, before and after;
- bases: the arrays that those handed over are views of (``.base``), and the memory behind them;
- payloads: the spare bits of NaN, of missing sensors and of masked targets;
- frames: local variables of the callers (``sys._getframe``), as the runner holds the truth while a model predicts;
- objects: what the garbage collector and the loaded modules lead to (``gc.get_objects``, ``sys.modules``);
- files: arrays, tables and JSON in the working folder, the data folder with its cache, and the results; whoever lists
  or reads in the folders of data and results at all is told, understood or not;
- environment: variables;
- earlier: what another model of the same class was fitted on before, wherever it may have put it.

What cannot be caught in one process, and no probe here claims to: a model that recognises the probe (its windows are
few and made up) and behaves; one that carries the answers of real people in its weights or its package, which only its
card's ``trained_on`` can own up to; one that asks another machine, another process, or reads raw memory elsewhere; one
that hides behind a delay or a thread of its own. A probe that finds nothing is no proof of honesty.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from kinbench.contracts import StreamModel
from kinbench.recording import Key, TaskEntry
from kinbench.tasks import Task
from kinbench.testing.models.streams import estimated, made_up_stream
from kinbench.testing.models.trials import Float32Array, Promise, Trial
from kinbench.windows import Batches, Piece, TaskData, TaskSpec

CHANNELS = {
    "rows": "rows of the flat arrays that no window covers",
    "bases": "the arrays that those it is given are views of (.base)",
    "payloads": "the spare bits of NaN",
    "frames": "the local variables of its callers",
    "objects": "objects of the process that nobody handed to it",
    "files": "files in the folders of data, results or work",
    "environment": "environment variables",
    "earlier": "what an earlier model of its class was fitted on",
}
"""Where answers are planted, by name, and how a person is told of it."""

_VARIABLE = "KINBENCH_PLANTED_TRUTH"
_MODULE = "kinbench_planted_truth"
_FIRST_SEED = 31


@dataclass(frozen=True)
class World:
    """The tested windows ``x`` (n, time, channel) and what is planted of them, ``number`` 0 being nothing.

    The answers are computed where they are planted, never kept here: this object stands in every frame.
    """

    seed: int
    number: int
    channels: frozenset[str]

    def has(self, channel: str) -> bool:
        """Whether an answer is planted there."""
        return self.number > 0 and channel in self.channels


def _answers(world: World, shape: tuple[int, ...]) -> Float32Array:
    """Return the planted angles, in degrees: other ones in another world, and all NaN where there are none."""
    if world.number == 0:
        return np.full(shape, np.nan, dtype=np.float32)
    rng = np.random.default_rng([world.seed, world.number])
    slow = np.cumsum(rng.normal(0, 2, shape), axis=1)
    return np.asarray(slow + (60.0 if world.number == 1 else -60.0), dtype=np.float32)


def _no_peeking(trial: Trial) -> str:
    moved = _moved(trial, _FIRST_SEED, frozenset(CHANNELS))
    if moved is None:
        return f"answers planted in {len(CHANNELS)} places moved no answer by a bit"
    reached = []
    for number, (channel, place) in enumerate(CHANNELS.items(), start=1):
        # Other windows each time: what a model remembers of the last world must not hide the next.
        if _moved(trial, _FIRST_SEED + number, frozenset([channel])) is not None:
            reached.append(place)
    where = "; ".join(reached) or "several places at once, and none of them alone"
    raise AssertionError(f"A model must not reach for answers, and {moved} planted in: {where}.")


def _moved(trial: Trial, seed: int, channels: frozenset[str]) -> str | None:
    """Return what the planted answers did to the predictions, None where they did nothing."""
    found = []
    for number in (0, 1, 2):
        world = World(seed, number, channels)
        predictions, touched = _ask(trial, world)
        if touched:
            return f"while it had no business there, this one looked into '{touched}', which may hold what is"
        found.append(predictions)
    without, first, second = found
    if without.tobytes() == first.tobytes() == second.tobytes():
        return None
    apart = max(float(np.nanmax(np.abs(other - without), initial=0.0)) for other in (first, second))
    if isinstance(trial.model, StreamModel):
        return f"its angles moved by up to {apart:.3g} deg with what is"
    truth = _answers(World(seed, 1, channels), (len(trial.cohort.windows(seed)), *first.shape[1:]))
    near, far = (float(np.sqrt(np.mean((each[: len(truth)] - truth) ** 2))) for each in (first, without))
    return (
        f"its predictions moved by up to {apart:.3g} deg (RMSE against the planted answer {near:.3g} deg, {far:.3g} "
        "without) with what is"
    )


# --- one world -------------------------------------------------------------------------------------------------------


def _ask(trial: Trial, world: World) -> tuple[Float32Array, str]:
    """Return what a model fitted in this world predicts for the tested windows, and where it looked on disk."""
    if world.has("earlier"):
        _fit_earlier(trial, world)
    model = trial.factory()
    with ExitStack() as stack:
        if world.has("objects"):
            stack.enter_context(_in_a_module(trial, world))
        if world.has("environment"):
            stack.enter_context(_in_the_environment(trial, world))
        touched = stack.enter_context(_in_a_folder(trial, world)) if world.has("files") else []
        predictions = _called(trial, world, model)
    return predictions, touched[0] if touched else ""


def _called(trial: Trial, world: World, model: Any) -> Float32Array:
    """Return all that a model predicts, with the truth among the locals, as in the runner, which alone holds it."""
    truth = data = None
    if world.has("frames"):
        truth = _truth(trial, world)
        data = _task_data(trial.spec, truth)
    train, valid = _planted(trial, world, 32, people=3), trial.cohort.windows(33, people=1)
    model.fit(train, valid, seed=0)
    predictions = [_predicted(trial, world, model)]
    if hasattr(model, "normalise"):
        mine = model.normalise(_planted(trial, world, 34, people=1).unlabelled(), seed=0)
        predictions.append(mine.predict(_inputs(trial, world)))
    if hasattr(model, "adapt"):
        model.adapt(_planted(trial, world, 35, people=1), valid, seed=0)
        predictions.append(_predicted(trial, world, model))
    del truth, data
    return np.concatenate(predictions)


def _predicted(trial: Trial, world: World, model: Any) -> Float32Array:
    if isinstance(model, StreamModel):
        return estimated(model, made_up_stream(trial.spec))[None]
    return np.asarray(model.predict(_inputs(trial, world)))


def _fit_earlier(trial: Trial, world: World) -> None:
    """Fit another model of the class on the tested windows with their answers, let it predict them, and let it go."""
    truth = _truth(trial, world)
    model = trial.factory()
    model.fit(truth, trial.cohort.windows(33, people=1), seed=0)
    _predicted(trial, world, model)


# --- plants ----------------------------------------------------------------------------------------------------------


def _tested(trial: Trial, world: World) -> Batches:
    return trial.cohort.windows(world.seed)


def _truth(trial: Trial, world: World) -> Batches:
    """Return the tested windows with the planted answers for targets, each window on rows of its own."""
    tested = _tested(trial, world)
    x = tested.x
    answers = _answers(world, (*x.shape[:2], len(trial.spec.dof_names)))
    rows, window = x.shape[0] * x.shape[1], x.shape[1]
    oriented = None
    if tested.orientations is not None:
        oriented = tested.oriented(np.arange(len(tested))).reshape(rows, len(trial.spec.segments), 4)
    return Batches(
        x.reshape(rows, -1), answers.reshape(rows, -1), np.ones((rows, answers.shape[2]), dtype=bool),
        np.arange(0, rows, window, dtype=np.int64), tested.person, tested.present, trial.spec, oriented,
    )  # fmt: skip


def _planted(trial: Trial, world: World, seed: int, *, people: int) -> Batches:
    """Return ordinary windows, masked and with a sensor missing, with this world's plants around and in them.

    Inputs and layout are the same in every world, and what is not labelled is NaN where no answer is planted.
    """
    given, truth = trial.cohort.windows(seed, people=people, clean=False), _truth(trial, world)
    hidden = truth.targets if world.has("rows") else np.full_like(truth.targets, np.nan)
    rows, before = len(given.signals), len(truth.signals)
    signals = np.concatenate([truth.signals, given.signals, truth.signals])
    targets = np.concatenate([hidden, given.targets, hidden])
    unknown = np.zeros(truth.labelled.shape, dtype=bool)
    labelled = np.concatenate([unknown, given.labelled, unknown])
    if world.has("payloads"):
        signals[before : before + rows] = _with_payload(given.signals, truth.targets)
        targets[before : before + rows] = _with_payload(given.targets, truth.targets)
    oriented = None
    if given.orientations is not None:
        none = np.full((before, *given.orientations.shape[1:]), np.nan, dtype=np.float32)
        oriented = np.concatenate([none, given.orientations, none])
    behind = truth.targets if world.has("bases") else np.full_like(truth.targets, np.nan)
    return replace(
        given, signals=_view(signals, behind), targets=_view(targets, behind), labelled=labelled,
        starts=given.starts + before, orientations=oriented,
    )  # fmt: skip


def _inputs(trial: Trial, world: World) -> Float32Array:
    """Return the tested windows as they are handed to ``predict``: every third without its first sensor."""
    x, spec = _tested(trial, world).x, trial.spec
    mine = [number for number, name in enumerate(spec.channel_names) if name.split("/")[0] == spec.segments[0]]
    answers = _answers(world, (*x.shape[:2], len(spec.dof_names)))
    missing = np.full((len(x[::3]), x.shape[1], len(mine)), np.nan, dtype=np.float32)
    x[::3, :, mine] = _with_payload(missing, answers[::3]) if world.has("payloads") else missing
    return _view(x, answers if world.has("bases") else np.full_like(answers, np.nan))


def _view(values: Float32Array, behind: Float32Array) -> Float32Array:
    """Return the values as a view of an array that goes on behind them with others."""
    whole = np.concatenate([values.reshape(-1), behind.reshape(-1)])
    return whole[: values.size].reshape(values.shape)


def _with_payload(values: Float32Array, answers: Float32Array) -> Float32Array:
    """Return the values with thousandths of a degree of the answers in the 22 spare bits of every NaN."""
    found = values.copy()
    bits, empty = found.view(np.uint32), np.isnan(found)
    hidden = np.resize(np.rint((answers + 2000.0) * 1000.0).astype(np.uint32).ravel(), int(empty.sum()))
    bits[empty] = np.uint32(0x7FC00000) | (hidden & np.uint32(0x3FFFFF))
    return found


def _task_data(spec: TaskSpec, truth: Batches) -> TaskData:
    """Return the tested windows as the runner holds them: one recording with its reference."""
    channels = tuple(dict.fromkeys(name.split("/")[1] for name in spec.channel_names))
    task = Task(
        spec.task, spec.version, "The planted truth", spec.segments, channels, spec.dof_names, spec.rate_hz,
        spec.window, spec.window,
    )  # fmt: skip
    rows = len(truth.signals)
    entry = TaskEntry(Key("planted", "S1", "1", "walk"), "planted/S1", "walking", "0" * 64, spec.rate_hz, spec.window,
                      spec.window, ((0, rows),))  # fmt: skip
    return TaskData(
        task=task, store_name="planted", entries=(entry,), excluded=(),
        pieces=(Piece(0, 0, 0, rows, ((0, rows),)),), signals=truth.signals, targets=truth.targets,
        labelled=truth.labelled, native=(), native_time_s=np.empty(0), native_hashes=np.empty(0, dtype=np.uint64),
    )  # fmt: skip


# --- plants outside the process's hands ------------------------------------------------------------------------------


@contextmanager
def _in_a_module(trial: Trial, world: World) -> Iterator[None]:
    """Keep the truth alive in a module, where whoever goes through the objects of the process comes by it."""
    module: Any = ModuleType(_MODULE)
    module.data = _task_data(trial.spec, _truth(trial, world))
    module.truth = _truth(trial, world)
    sys.modules[_MODULE] = module
    try:
        yield
    finally:
        del sys.modules[_MODULE]


@contextmanager
def _in_the_environment(trial: Trial, world: World) -> Iterator[None]:
    values = _truth(trial, world).targets[: trial.spec.window].ravel()
    os.environ[_VARIABLE] = ",".join(f"{value:.3f}" for value in values)
    try:
        yield
    finally:
        os.environ.pop(_VARIABLE, None)


@contextmanager
def _in_a_folder(trial: Trial, world: World) -> Iterator[list[str]]:
    """Work in a folder that holds the answers in every usual form; yields where the model looked, filled as it looks.

    Folders of data and results are watched; that of work is not, for weights may lie there.
    """
    before, kept = Path.cwd(), {name: os.environ.get(name) for name in ("KINBENCH_DATA", "KINBENCH_RESULTS")}
    watched = [(before / (kept[name] or default)).resolve() for name, default in _FOLDERS.items()]
    with tempfile.TemporaryDirectory() as name:
        work = Path(name).resolve()
        _write_answers(_truth(trial, world), work)
        os.environ.update({variable: str(work / default) for variable, default in _FOLDERS.items()})
        os.chdir(work)
        try:
            with _watching([*watched, *(work / default for default in _FOLDERS.values())]) as touched:
                yield touched
        finally:
            os.chdir(before)
            for variable, value in kept.items():
                os.environ.pop(variable, None)
                if value is not None:
                    os.environ[variable] = value


_FOLDERS = {"KINBENCH_DATA": "data", "KINBENCH_RESULTS": "results"}


def _write_answers(truth: Batches, work: Path) -> None:
    x, y = truth.x, truth.y
    for folder in (work, work / "data", work / "data" / ".cache", work / "results", work / "results" / "models"):
        folder.mkdir(exist_ok=True)
        np.save(folder / "answers.npy", y)
        np.savez(folder / "answers.npz", x=x, y=y, prediction=truth.targets)
    (work / "answers.json").write_text(json.dumps(truth.targets.tolist()), encoding="utf-8")
    with (work / "answers.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([truth.spec.dof_names, *truth.targets.tolist()])


# --- who reads what --------------------------------------------------------------------------------------------------


class _Watch:
    """What the interpreter's audit hook, which cannot be taken off again, looks at: nothing, but in a probe."""

    installed = False
    folders: tuple[str, ...] = ()
    touched: list[str] | None = None


@contextmanager
def _watching(folders: list[Path]) -> Iterator[list[str]]:
    """Yield a list that fills with the paths below ``folders`` that are opened or listed meanwhile."""
    if not _Watch.installed:
        sys.addaudithook(_audit)
        _Watch.installed = True
    touched: list[str] = []
    _Watch.folders, _Watch.touched = tuple(str(folder) for folder in folders), touched
    try:
        yield touched
    finally:
        _Watch.folders, _Watch.touched = (), None


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _Watch.touched is None or event not in ("open", "os.listdir", "os.scandir"):
        return
    path = arguments[0]
    if isinstance(path, (str, bytes, os.PathLike)):
        whole = os.path.abspath(os.fsdecode(path))  # noqa: PTH100, a Path would make events of its own
        if any(whole == folder or whole.startswith(folder + os.sep) for folder in _Watch.folders):
            _Watch.touched.append(whole)


PROMISES = (
    Promise("no peeking", "answers planted where a model must not reach move no prediction", _no_peeking,
            on_windows=False),
)  # fmt: skip
