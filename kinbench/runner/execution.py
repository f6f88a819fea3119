"""Run what a plan has left to do. Every cell ends as one result on disk, with its scores or with its failure."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from kinbench import engines, results
from kinbench.contracts import (
    AdaptiveModel,
    Float32Array,
    Model,
    SelfNormalisingModel,
    StreamModel,
    TrainedModel,
    Training,
)
from kinbench.errors import DataError, KinbenchError, UsageError
from kinbench.files import publish, sweep
from kinbench.metrics import metrics_of
from kinbench.protocol import cautions, check_causal
from kinbench.recording import TaskEntry
from kinbench.results import DatasetPart, Failure, FoldPart, MetricPart, ModelPart, ProtocolPart, Result, TaskPart
from kinbench.runner import predictions
from kinbench.runner.cells import Cell, ModelChoice
from kinbench.runner.fitting import Fits, Fitted, notes_of
from kinbench.runner.planning import Plan, Progress, entries_of
from kinbench.runner.scoring import Ask, coverage, predict_view, score_view, views_of
from kinbench.runner.stopwatch import Stopwatch
from kinbench.runner.workspace import Workspace


@dataclass(frozen=True)
class Job:
    """Cells that share one fitted model, or the sums of one fit, in order; those of one model stand together."""

    cells: tuple[Cell, ...]
    results: Path
    limit: int | None
    fail_fast: bool
    device: str


@dataclass(frozen=True)
class Finished:
    """What a run did: the results it made, in the plan's order, and all of the plan's that are there now."""

    made: tuple[Result, ...]
    results: tuple[Result, ...]
    left: int

    @property
    def failed(self) -> tuple[Result, ...]:
        """The results that this run made and that have no scores."""
        return tuple(result for result in self.made if not result.done)

    def text(self) -> str:
        """Return the outcome for a person: counts, then every failure."""
        done = len(self.made) - len(self.failed)
        lines = [f"{done} scored, {len(self.failed)} failed, {len(self.results) - len(self.made)} done before"]
        if self.left:
            lines[0] += f", {self.left} left to run"
        lines += [f"  failed: {result.label}: {_sentence(result)}" for result in self.failed]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as plain JSON values."""
        return {
            "scored": [result.key for result in self.made if result.done],
            "failed": [{"key": r.key, "cell": r.label, "error": _sentence(r)} for r in self.failed],
            "done_before": len(self.results) - len(self.made),
            "left": self.left,
        }


def _sentence(result: Result) -> str:
    """Return why a result failed, without its own name before each line: whoever tells it has named it."""
    lines = result.failure.sentence.splitlines() if result.failure else []
    return "\n".join(line.removeprefix(f"{result.label}: ") for line in lines)


def run(
    plan: Plan,
    *,
    workers: int = 1,
    limit: int | None = None,
    fail_fast: bool = False,
    device: str = "cpu",
    on_progress: Progress = lambda done, total, label: None,
) -> Finished:
    """Run every cell of the plan that is not done and return what came of it.

    A result appears on disk whole, the moment its cell is scored; a cell that fails is kept as failed, with the reason,
    and tried again by the next run. ``workers`` above 1 runs in spawned processes, with the same results. ``limit``
    runs that many cells only and marks them 'not for the leaderboard'. ``fail_fast`` raises the first failure.
    ``device`` is where models compute that can choose (``cpu``, ``cuda``): it is told in the results and no part of
    what they are. Raises ``UsageError`` while another run is writing into the same folder, or where a model says that
    the device cannot be had.
    """
    _refuse_device(plan, device)
    plan.results.mkdir(parents=True, exist_ok=True)
    lock = FileLock(plan.results / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise UsageError(f"Another run is writing into '{plan.results}'; wait, or name another folder.") from error
    with lock:
        sweep(plan.results / results.STAGING)
        return _run(plan, workers, limit, fail_fast, device, on_progress)


def _refuse_device(plan: Plan, device: str) -> None:
    """Ask each model once whether it can compute there, before the first is fitted."""
    for choice in {cell.model.selector: cell.model for cell in plan.to_run}.values():
        if choice.trains:
            plan.workspace.model(choice).prepare(Training(device))


def _run(
    plan: Plan, workers: int, limit: int | None, fail_fast: bool, device: str, on_progress: Progress
) -> Finished:  # fmt: skip
    chosen = plan.to_run if limit is None else plan.to_run[:limit]
    made: dict[str, Result] = {}

    def on_done(job: Job, answers: Sequence[Result]) -> None:
        for result in answers:
            made[result.key] = result
            on_progress(len(made), len(chosen), result.label)
            if fail_fast and not result.done:
                raise KinbenchError(f"{result.label}: {_sentence(result)}")

    def on_lost(job: Job, sentence: str) -> None:
        on_done(job, _lose(plan.workspace, job, sentence))

    def on_training(done: int, total: int, label: str) -> None:
        on_progress(len(made), len(chosen), f"{label} {done} of {total}")

    on_progress(0, len(chosen), "starting")
    # A worker process has nobody to tell how far a training is.
    function = partial(run_job, on_training=on_training) if workers == 1 else run_job
    engines.run(
        _jobs(chosen, plan.results, limit, fail_fast, device), function, setup=partial(_same, plan.workspace),
        workers=workers, on_done=on_done, on_lost=on_lost,
    )  # fmt: skip
    now = [made[c.key] if c.key in made else results.find(plan.results, c.key) for c in plan.cells]
    there = tuple(result for result in now if result is not None)
    return Finished(
        made=tuple(made[cell.key] for cell in chosen), results=there, left=len(plan.to_run) - len(chosen)
    )  # fmt: skip


def _same(space: Workspace) -> Workspace:
    return space


def _jobs(cells: Sequence[Cell], folder: Path, limit: int | None, fail_fast: bool, device: str) -> list[Job]:
    """Group cells by fitted model or sums: what shares them is run by one worker, and is fitted once."""
    groups: dict[str, dict[str, list[Cell]]] = {}
    for cell in cells:
        groups.setdefault(cell.job_key, {}).setdefault(cell.fit_key, []).append(cell)
    return [
        Job(tuple(cell for alike in group.values() for cell in alike), folder, limit, fail_fast, device)
        for group in groups.values()
    ]


def run_job(
    space: Workspace, job: Job, on_training: Progress = lambda done, total, label: None
) -> list[Result]:  # fmt: skip
    """Run one job's cells and write each result. A cell that fails never stops the next, unless ``fail_fast``."""
    fits = Fits(space, job.results, job.cells, job.device, on_training)
    answers = []
    for cell in job.cells:
        try:
            with redirect_stdout(sys.stderr):  # what a model prints is no part of our answer
                result = _score(space, job, cell, fits)
        except (Exception, SystemExit) as error:  # the boundary of a cell: whatever a model does, the run goes on
            result = _failed(space, cell, job, _failure(error))
        results.write(job.results, result)
        answers.append(result)
        if job.fail_fast and not result.done:
            break
    return answers


def _lose(space: Workspace, job: Job, sentence: str) -> list[Result]:
    """Return the results of a job whose worker died: those it still wrote, and failures for the others."""
    answers = []
    for cell in job.cells:
        found = results.find(job.results, cell.key)
        if found is None or not found.done or found.limit != job.limit:
            found = _failed(space, cell, job, Failure(kind="WorkerDied", sentence=sentence))
            results.write(job.results, found)
        answers.append(found)
    return answers


# --- one cell --------------------------------------------------------------------------------------------------------


def _score(space: Workspace, job: Job, cell: Cell, fits: Fits) -> Result:
    watch = Stopwatch()
    with watch.time("leak_check"):
        space.check(
            cell.fold, cell.task, cell.model.card.trained_on, cell.label, cell.protocol.leaks, cell.model.selector
        )
    fitted = fits.take(cell, watch)
    windows = {**fitted.windows, **(_adapt(space, cell, fits, fitted, watch) if cell.fold.adapts else {})}
    model = fitted.model
    if cell.fold.normalises:
        model, windows["unlabelled"] = _normalise(space, cell, model, watch)
    data = space.data(cell.task, cell.fold.test_dataset)
    given = space.test_data(cell.fold, cell.task)
    ask = _asked(space, cell, model, watch) if isinstance(model, StreamModel) else None
    if getattr(model, "causal", False):
        check_causal(model.predict, given.test_windows(cell.fold.roles["test"][:1]).x, cell.label)
    views = {view: predict_view(model, given, spans, watch, ask) for view, spans in views_of(cell.fold).items()}
    metrics = tuple(metrics_of(cell.task.quantity).values())
    scores = tuple(
        score
        for view, table in views.items()
        for score in score_view(view, table, data, cell.fold.test_persons, metrics)
    )
    packed = predictions.pack(views)
    publish(
        packed, job.results / f"{cell.key}.npz", job.results / results.STAGING, last=False
    )  # fmt: skip
    unscored = _unscored(space, cell, job)
    return unscored.model_copy(
        update={
            "status": "done", "scores": scores, "coverage": coverage(scores), "failure": None,
            "model": _model_part(cell, fitted.parameters), "windows": windows,
            "predictions": hashlib.sha256(packed).hexdigest(),
            "notes": _notes(space, cell, fitted, model, unscored.unranked), "timings": watch.read(),
        }
    )  # fmt: skip


def _adapt(space: Workspace, cell: Cell, fits: Fits, fitted: Fitted, watch: Stopwatch) -> dict[str, int]:
    if not isinstance(fitted.model, AdaptiveModel):
        raise DataError(f"the model '{cell.model.selector}' cannot adapt")
    calibration = space.calibration(cell.fold, cell.task, cell.fold.roles["adaptation"])
    stopping = space.calibration(cell.fold, cell.task, cell.fold.roles.get("stopping", ()))
    if len(calibration) == 0:
        raise DataError("the spans to adapt on hold no window")
    with watch.time("adapt"), fits.training(cell, cell.key) as training:
        if isinstance(fitted.model, TrainedModel):
            fitted.model.prepare(training)
        fitted.model.adapt(calibration, stopping, seed=cell.seed)
    return {"adaptation": len(calibration), "stopping": len(stopping)}


def _normalise(space: Workspace, cell: Cell, model: Model, watch: Stopwatch) -> tuple[Model, int]:
    """Return the model with the tested person's own statistics, and how many windows they were taken of."""
    if not isinstance(model, SelfNormalisingModel):
        raise DataError(f"the model '{cell.model.selector}' has no 'normalise'")
    unlabelled = space.unlabelled(cell.fold, cell.task)
    if len(unlabelled) == 0:
        raise DataError("the unlabelled spans hold no window")
    with watch.time("adapt"):
        return model.normalise(unlabelled, seed=cell.seed), len(unlabelled)


def _asked(space: Workspace, cell: Cell, model: StreamModel, watch: Stopwatch) -> Ask:
    """Return a filter's way to be asked for recordings, once each, whichever views they are part of."""
    entries, legs = space.data(cell.task, cell.fold.test_dataset).entries, cell.task.legs
    if getattr(model, "causal", False):
        raise DataError("a filter's claim to be causal cannot be put to the test: leave 'causal' out")

    @cache
    def ask(entry: int, leg: int) -> Float32Array:
        stream = space.stream(cell.fold, cell.task, entries[entry].key, legs[leg])
        with watch.time("predict"):
            return model.estimate(stream)

    return ask


def _notes(space: Workspace, cell: Cell, fitted: Fitted, model: Model, unranked: str | None) -> tuple[str, ...]:
    used = entries_of(cell.fold, space.entries(cell.fold, cell.task))
    upsampled = [str(entry.key) for entry in used if entry.upsampled]
    conventions = sorted({entry.convention for entry in used if entry.convention})
    notes = [*cell.fold.notes, *cautions(cell.fold, used), *fitted.notes, *notes_of(model)]
    if isinstance(model, StreamModel):
        notes.append(results.WHOLE_RECORDING)
    if unranked is not None:
        notes.append(f"{unranked}: this result never ranks")
    notes += _notes_of_origin(cell.model)
    if upsampled:
        notes.append(f"upsampled, native rate below 0.9 of the task's: {', '.join(upsampled)}")
    if len(conventions) > 1:
        notes.append(f"the reference angles follow more than one convention: {', '.join(conventions)}")
    return tuple(dict.fromkeys(notes))


def _notes_of_origin(model: ModelChoice) -> list[str]:
    """Return what a reader must know of the weights that a model began from, and of the search for its settings."""
    notes, weights, search = [], model.weights, model.search
    if weights is not None and weights.simulation:
        notes.append(f"the weights '{weights.name}' were trained on simulated people")
    if weights is not None and weights.like is not None:
        liked = ", ".join(weights.liked or [weights.like])
        notes.append(f"pre-training drew its stores by how much their inputs look like those of {liked}")
    if search is not None:
        notes.append(f"the settings are the best of {search.trials} trials of a search on {search.persons} people")
    return notes


def _failed(space: Workspace, cell: Cell, job: Job, error: Failure) -> Result:
    return _unscored(space, cell, job).model_copy(update={"failure": error})


def _failure(error: BaseException) -> Failure:
    sentence = str(error) or "no reason was given"
    kind = type(error).__name__
    return Failure(kind=kind, sentence=sentence if isinstance(error, KinbenchError) else f"{kind}: {sentence}")


# --- what a result says of its cell ----------------------------------------------------------------------------------


def _unscored(space: Workspace, cell: Cell, job: Job) -> Result:
    """Return all that is known of a cell before it is scored, as a failure without a reason yet."""
    used = entries_of(cell.fold, space.entries(cell.fold, cell.task))
    card, task = cell.protocol, cell.task
    return Result(
        status="failed", key=cell.key, fit_key=cell.fit_key,
        protocol=ProtocolPart(
            name=card.name, version=card.version, title=card.title, sees=card.sees, scope=card.scope,
            adapts=card.adapts, ranks=card.ranks, study=card.study, leaks=card.leaks, normalises=card.normalises,
        ),
        task=TaskPart(
            name=task.name, version=task.version, title=task.title, dofs=task.dofs, definition=_plain(task.plain()),
        ),
        model=_model_part(cell, None), fold=_fold_part(cell),
        datasets=tuple(_dataset_part(space, cell, name, used) for name in space.datasets(cell.fold)),
        seed=cell.seed, threads=engines.THREADS, limit=job.limit,
        simulation=any(entry.simulation for entry in used),
        metrics={
            metric.name: MetricPart(
                version=metric.version, unit=metric.unit, better=metric.better, title=metric.title
            )
            for metric in metrics_of(task.quantity).values()
        },
        environment={**results.environment(), "device": job.device if cell.model.trains else "cpu"},
    )  # fmt: skip


def _model_part(cell: Cell, parameters: int | None) -> ModelPart:
    model = cell.model
    return ModelPart(
        selector=model.selector, name=model.name, settings=dict(model.settings), title=model.card.title,
        version=model.card.version, distribution=model.distribution, distribution_version=model.distribution_version,
        parameters=parameters, weights=model.weights, search=model.search, files=dict(model.files),
    )  # fmt: skip


def _fold_part(cell: Cell) -> FoldPart:
    fold = cell.fold
    return FoldPart(
        name=fold.name, digest=cell.fold_digest, test_persons=fold.test_persons, train_datasets=fold.train_datasets,
        test_dataset=fold.test_dataset, diagonal=fold.diagonal, notes=fold.notes, condition=dict(fold.condition),
        segments=fold.segments, fit_changes=tuple(map(str, fold.fit_changes)),
        test_changes=tuple(map(str, fold.test_changes)),
        fit_copies=tuple(" ".join(map(str, copy)) for copy in fold.fit_copies),
    )  # fmt: skip


def _dataset_part(space: Workspace, cell: Cell, name: str, used: Sequence[TaskEntry]) -> DatasetPart:
    keys = {str(entry.key) for entry in space.data(cell.task, name).entries}
    mine = [entry for entry in used if str(entry.key) in keys]
    return DatasetPart(
        name=name, digest=space.digest(name), simulation=any(entry.simulation for entry in mine),
        conventions=tuple(sorted({entry.convention for entry in mine if entry.convention})),
        rotation_origins=space.rotation_origins(cell.task, name),
        sensor_origins=space.sensor_origins(cell.task, name),
        recordings={str(entry.key): entry.digest for entry in mine},
    )  # fmt: skip


def _plain(value: Any) -> Any:
    """Return a task's fields as JSON gives them back: tuples as lists."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, tuple) else value
