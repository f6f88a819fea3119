"""Which cells there are, which are done, and which have no meaning, with the reason: before anything is run.

A cell is protocol x task x dataset(s) x fold x model x seed. Its key is a digest of what its score depends on, and
of nothing else, so that a resumed, reordered or shared run finds what is done.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from kinbench import plugins, results
from kinbench.contracts import (
    AdaptiveModel,
    AdditiveModel,
    BenchmarkProtocol,
    Model,
    SelfNormalisingModel,
    StreamModel,
    TrainedModel,
)
from kinbench.engines import THREADS
from kinbench.errors import KinbenchError, NotApplicable, UsageError
from kinbench.files import canonical, digest_object
from kinbench.metrics import metrics_of
from kinbench.protocol import FIT_ROLES, ROLES, Fold, ProtocolCard, fit_digest, flaws, fold_digest, recordings_of
from kinbench.provenance import Origin, Search, begin, liked_by, origin_of, sha256_of, split
from kinbench.recording import TaskEntry
from kinbench.runner.cells import Cell, ModelChoice, Skipped
from kinbench.runner.workspace import Workspace
from kinbench.store import Store
from kinbench.tasks import Task, parse_selector
from kinbench.windows import applicable

SEEDS = (0, 1, 2)
_TOLD = 3
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Plan:
    """The cells in the order they run, the keys of those done, and what is not applicable."""

    cells: tuple[Cell, ...]
    done: frozenset[str]
    skipped: tuple[Skipped, ...]
    results: Path
    workspace: Workspace = field(repr=False)

    @property
    def to_run(self) -> tuple[Cell, ...]:
        """The cells that are not done."""
        return tuple(cell for cell in self.cells if cell.key not in self.done)

    def text(self) -> str:
        """Return the plan for a person: how many are done and to run, by table; what is not applicable and why."""
        lines = [f"{len(self.done)} done, {len(self.to_run)} to run, {len(self.skipped)} not applicable"]
        groups: dict[tuple[str, str, str], list[Cell]] = {}
        for cell in self.cells:
            groups.setdefault((cell.protocol.name, cell.task.name, cell.dataset), []).append(cell)
        for group, cells in groups.items():
            undone = sum(cell.key not in self.done for cell in cells)
            models = ", ".join(dict.fromkeys(cell.model.selector for cell in cells))
            lines.append(f"  {' · '.join(group)}: {undone} of {len(cells)} to run ({models})")
        lines += [f"  not applicable: {skipped}" for skipped in self.skipped]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain JSON values."""
        return {
            "cells": [
                {
                    "protocol": cell.protocol.name, "task": cell.task.name, "dataset": cell.dataset,
                    "fold": cell.fold.name, "model": cell.model.selector, "seed": cell.seed, "key": cell.key,
                    "done": cell.key in self.done,
                }
                for cell in self.cells
            ],
            "not_applicable": [asdict(skipped) for skipped in self.skipped],
        }  # fmt: skip


def plan(
    stores: Sequence[Store],
    protocols: Mapping[str, BenchmarkProtocol],
    tasks: Mapping[str, Task],
    models: Sequence[str | Search],
    *,
    seeds: Sequence[int] = SEEDS,
    results: Path,
    cache: Path,
    named: bool = False,
    on_progress: Progress = lambda done, total, label: None,
) -> Plan:
    """Return the cells of all stores, protocols, tasks, models and seeds. Fits and scores nothing.

    A model is a selector, which may name weights to begin from (``model[settings]@WEIGHTS``: a folder, or offered
    ones), or a search, which stands for the best settings that it found.

    ``results`` and ``cache`` are folders; the tasks' caches are made here where they are missing. ``named`` says that
    the user asked for these tasks by name: one that fits no store then raises ``NotApplicable`` with the
    reason and the variant that would fit, instead of being listed. Raises ``UsageError`` for an unknown model, a
    setting it does not take, weights for a model that cannot begin from any, or two stores of one name; ``DataError``
    for weights that are damaged or do not fit the model.
    """
    _refuse_doubles([store.name for store in stores], "stores", "name one of them otherwise")
    workspace = Workspace(tuple(stores), cache)
    choices = _choose(models, workspace)
    cells: list[Cell] = []
    skipped: list[Skipped] = []
    steps = [(task, store) for task in tasks.values() for store in stores]
    for done, (task, store) in enumerate(steps):
        on_progress(done, len(steps), f"{task.name}: {store.name}")
        reason = _prepare(workspace, task, store)
        if reason is not None:
            skipped.append(Skipped(task.name, store.name, reason))
    for task in tasks.values():
        missing = tuple(entry for entry in skipped if entry.task == task.name)
        found = _cells_of(workspace, task, protocols, choices, seeds, skipped)
        if named and not found:
            others = [entry for entry in skipped if entry.task == task.name and entry not in missing]
            raise NotApplicable(
                f"The task '{task.name}' cannot be run here:\n" + "\n".join(str(entry) for entry in (*missing, *others))
            )
        cells += found
    on_progress(len(steps), len(steps), "planned")
    done_keys = frozenset(cell.key for cell in cells if is_done(results, cell.key))
    return Plan(tuple(cells), done_keys, tuple(skipped), results, workspace)


def is_done(folder: Path, key: str) -> bool:
    """Whether a whole result with its predictions is there; one that failed or was limited is not done."""
    result = results.find(folder, key)
    return result is not None and result.done and result.limit is None and (folder / f"{key}.npz").is_file()


# --- models ----------------------------------------------------------------------------------------------------------


def _choose(models: Iterable[str | Search], workspace: Workspace) -> tuple[ModelChoice, ...]:
    """Return the models that are asked for, and tell the workspace whom their weights and searches have seen."""
    choices = []
    for asked in models:
        choice, origin = _choice(asked if isinstance(asked, str) else asked.selector, workspace.cache)
        seen = [] if origin is None or origin.seen is None else [origin.seen]
        if not isinstance(asked, str):
            choice = replace(choice, search=_search_part(asked))
            seen.append(asked.seen)
        workspace.learn(choice.selector, tuple(seen))
        choices.append(choice)
    _refuse_doubles([choice.selector for choice in choices], "models", "give each one once, and weights other names")
    return tuple(choices)


def _choice(asked: str, cache: Path) -> tuple[ModelChoice, Origin | None]:
    selector, weights = split(asked)
    model = plugins.create("models", selector)
    name, settings = parse_selector(selector)
    endless = [key for key, value in settings.items() if isinstance(value, float) and not math.isfinite(value)]
    if endless:
        raise UsageError(f"The model '{selector}': expected finite numbers, got another for {', '.join(endless)}.")
    plugin = plugins.get("models", name)
    if not isinstance(model, Model):
        lacks = [part for part in ("card", "fit", "predict") if not hasattr(model, part)]
        raise KinbenchError(
            f"The model '{name}' of {plugin.distribution} {plugin.version} lacks {', '.join(lacks)}, which every model "
            "needs; run kinbench.testing.check_model on it."
        )
    origin = None if weights is None else origin_of(weights, cache=cache)
    choice = ModelChoice(
        selector=_written(name, settings), name=name, settings=settings, card=model.card,
        distribution=plugin.distribution, distribution_version=plugin.version, adapts=isinstance(model, AdaptiveModel),
        additive=isinstance(model, AdditiveModel) and origin is None,  # sums know of no beginning
        normalises=isinstance(model, SelfNormalisingModel), streams=isinstance(model, StreamModel),
        trains=isinstance(model, TrainedModel), oriented=bool(getattr(model, "oriented", False)),
        files=_digests(model, selector),
    )  # fmt: skip
    if origin is None:
        return choice, None
    begin(model, origin, selector)  # what does not fit is refused before anything is run
    named = replace(
        choice, selector=f"{choice.selector}@{origin.name}", weights=_weights_part(origin), begins_in=origin.folder
    )
    return named, origin


def _digests(model: Model, selector: str) -> dict[str, str]:
    """Return the sha256 of the files that a model's answers depend on; raises ``UsageError`` for one not there."""
    found = {}
    for setting, path in sorted(getattr(model, "files", {}).items()):
        try:
            found[setting] = sha256_of(Path(path))
        except OSError as error:
            raise UsageError(
                f"The model '{selector}' needs the file '{path}' ({setting}), which cannot be read: {error.strerror}."
            ) from error
    return found


def _weights_part(origin: Origin) -> results.WeightsPart:
    card, seen = origin.card, origin.seen
    if card is None:
        return results.WeightsPart(name=origin.name, sha256=origin.sha256, unknown=origin.unknown)
    liked = liked_by(card)
    return results.WeightsPart(
        name=origin.name, sha256=origin.sha256, stage=card.get("stage", "fitted"), model=card["model"]["selector"],
        task=card["task"]["name"], stores={store["name"]: store["digest"] for store in card["stores"]},
        persons=None if seen is None else len(seen.persons), unknown=origin.unknown,
        simulation=bool(card["simulation"]), like=next(iter(liked), None), liked=liked,
    )  # fmt: skip


def _search_part(search: Search) -> results.SearchPart:
    return results.SearchPart(
        sha256=search.sha256, trials=search.trials, seed=search.seed, persons=len(search.seen.persons),
        score=float(search.plain["best"]["score"]), task=str(search.plain["task"]["name"]),
    )  # fmt: skip


def _written(name: str, settings: Mapping[str, results.Setting]) -> str:
    if not settings:
        return name
    texts = (
        f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in sorted(settings.items())
    )
    return f"{name}[{','.join(texts)}]"


def _refuse_doubles(names: Sequence[str], what: str, mend: str) -> None:
    doubled = sorted(name for name, count in Counter(names).items() if count > 1)
    if doubled:
        raise UsageError(f"Expected different {what}, got {', '.join(doubled)} more than once; {mend}.")


# --- tasks and folds -------------------------------------------------------------------------------------------------


def _prepare(workspace: Workspace, task: Task, store: Store) -> str | None:
    """Return why a store cannot feed a task, or None once its windows are prepared."""
    variants = [plugin.load() for name, plugin in plugins.find("tasks").items() if name in task.variants]
    reasons = [applicable(entry, task, variants) for entry in store.entries()]
    if None not in reasons:
        return _commonest(reasons) or "the store is empty"
    try:
        data = workspace.data(task, store.name)
    except NotApplicable as error:
        return str(error)
    return None if data.entries else _commonest([reason for _, reason in data.excluded])


def _commonest(reasons: Sequence[str | None]) -> str:
    counts = Counter(reason for reason in reasons if reason is not None)
    return "; ".join(f"{reason} ({count} of {len(reasons)} recordings)" for reason, count in counts.most_common(3))


def _cells_of(
    workspace: Workspace, task: Task, protocols: Mapping[str, BenchmarkProtocol], models: Sequence[ModelChoice],
    seeds: Sequence[int], skipped: list[Skipped],
) -> list[Cell]:  # fmt: skip
    """Return one task's cells, and append what is not applicable to ``skipped``."""
    out = {entry.dataset for entry in skipped if entry.task == task.name}
    fitting = [store.name for store in workspace.stores if store.name not in out]
    cells: list[Cell] = []
    for protocol in protocols.values():
        card = protocol.card
        groups = [fitting] if card.scope == "datasets" else [[name] for name in fitting]
        for group in filter(None, groups):
            entries = [entry for name in group for entry in workspace.data(task, name).entries]
            dataset = "+".join(group)
            try:
                folds = protocol.folds(entries, task)
            except NotApplicable as error:
                skipped.append(Skipped(task.name, dataset, str(error), card.name))
                continue
            unsound = flaws(folds, entries, task)
            if unsound:
                skipped.append(Skipped(task.name, dataset, f"its folds are not sound: {'; '.join(unsound[:_TOLD])}; "
                                       f"'kinbench check protocol {card.name}' tells all", card.name))  # fmt: skip
                continue
            digests = {str(entry.key): entry.digest for entry in entries}
            named = _Named.of(folds, task, card, digests)
            for model in models:
                able = [each for each in named if model.lacks(each.fold, task) is None]
                for lack, count in Counter(filter(None, (model.lacks(fold, task) for fold in folds))).items():
                    part = f" in {count} of {len(folds)} folds" if able else ""
                    reason = f"the model has {lack}, which {card.name} needs{part}"
                    skipped.append(Skipped(task.name, dataset, reason, card.name, model.selector))
                cells += _cells(card, task, able, model, seeds)
    return cells


@dataclass(frozen=True)
class _Named:
    """A fold and all that keys are made of besides a model and a seed: digests, and the texts of what it uses.

    ``fit`` and ``whole`` tell what is fitted on, with the fold's sensors and with all; ``used`` and ``fitted`` are
    canonical texts of recordings' digests by key.
    """

    fold: Fold
    digest: str
    fit: str
    whole: str
    used: bytes
    fitted: bytes

    @classmethod
    def of(cls, folds: Sequence[Fold], task: Task, card: ProtocolCard, digests: Mapping[str, str]) -> list[_Named]:
        """Return the folds, named. What neighbours share is written once: a study has thousands, of everybody."""

        @lru_cache(maxsize=16)
        def written(keys: frozenset[str]) -> bytes:
            return canonical({key: digests[key] for key in keys})

        return [
            cls(
                fold=fold, digest=fold_digest(fold, task, card), fit=fit_digest(fold, task),
                whole=fit_digest(replace(fold, segments=None), task),
                used=written(recordings_of(fold, ROLES)), fitted=written(recordings_of(fold, FIT_ROLES)),
            )
            for fold in folds
        ]  # fmt: skip


def _cells(
    card: ProtocolCard, task: Task, folds: Sequence[_Named], model: ModelChoice, seeds: Sequence[int]
) -> list[Cell]:
    definition = task.plain()
    metrics = {metric.name: metric.version for metric in metrics_of(task.quantity).values()}
    fit_keys: dict[tuple[str, str, int], str] = {}

    def fit_key(what: str, name: str, fold: _Named, seed: int) -> str:
        """Return the key of a fit or of its sums; folds of one such digest fit on the same recordings."""
        if (what, name, seed) not in fit_keys:
            others = {what: name, "model": model.identity, "seed": seed, "threads": THREADS}
            written = {part: canonical(value) for part, value in others.items()}
            fit_keys[what, name, seed] = digest_object({"recordings": fold.fitted, **written})
        return fit_keys[what, name, seed]

    cells = []
    for fold in folds:
        for seed in seeds:
            key = results.cell_key(
                recordings=fold.used, task=definition, protocol=(card.name, card.version), fold=fold.digest,
                metrics=metrics, model=model.identity, seed=seed, threads=THREADS,
            )  # fmt: skip
            fitted = fit_key("fold", fold.fit, fold, seed)
            job = fit_key("sums", fold.whole, fold, seed) if model.additive else fitted
            cells.append(Cell(card, task, fold.fold, fold.digest, model, seed, key, fitted, job))
    return cells


def entries_of(fold: Fold, entries: Iterable[TaskEntry]) -> list[TaskEntry]:
    """Return the entries that a fold uses in any role."""
    keys = {span.key for spans in fold.roles.values() for span in spans}
    return [entry for entry in entries if str(entry.key) in keys]
