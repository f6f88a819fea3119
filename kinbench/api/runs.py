"""Models under protocols: planned, run, scored again, ranked, asked and drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from kinbench import leaderboards as boards
from kinbench import plugins, runner, studies
from kinbench.api.places import (
    Folder,
    Names,
    cache_of,
    data_folder,
    device_of,
    listed,
    load_all,
    open,
    read_results,
    results_folder,
    seeds_of,
    stores_in,
)
from kinbench.conversion import Progress, ignore
from kinbench.errors import KinbenchError, UsageError
from kinbench.leaderboards import Board
from kinbench.provenance import Search, read_search, split
from kinbench.results import Result
from kinbench.runner import Finished, Plan, Skipped
from kinbench.studies import Study


def plan(
    *,
    protocols: Names = None,
    tasks: Names = None,
    datasets: Names = None,
    models: Names = None,
    weights: str | Path | None = None,
    search: str | Path | None = None,
    seeds: int | Iterable[int] | None = None,
    data: Folder = None,
    results: Folder = None,
    on_progress: Progress = ignore,
) -> Plan:
    """Return which cells there are, which are done, which have no meaning and why. What is left out means all.

    Of the protocols, all that rank models: a study, which may be thousands of cells, is run by name; so are tasks
    that are variants of another (``Task.by_name``).

    A model may begin from weights, ``'model[settings]@WEIGHTS'`` (a folder, or a name of ``weights()``); ``weights``
    says the same of a single model. ``search`` is what ``search()`` wrote: its model with the best settings found.

    Raises ``UsageError`` for an unknown name, ``NotApplicable`` when a task asked for by name fits no dataset.
    """
    known = stores_in(data)
    chosen = listed(datasets) or list(known)
    if not chosen:
        raise UsageError(f"There are no datasets in {data_folder(data)}; make one with 'kinbench convert'.")
    folder = results_folder(results)
    selected, broken = _selected(models, weights, search)
    planned = runner.plan(
        [open(name, data=data) for name in chosen],
        _protocols(protocols),
        _tasks(tasks),
        selected,
        seeds=seeds_of(seeds),
        results=folder,
        cache=cache_of(data),
        named=tasks is not None,
        on_progress=on_progress,
    )
    return replace(planned, skipped=(*planned.skipped, *broken))


def _selected(
    models: Names, weights: str | Path | None, search: str | Path | None
) -> tuple[list[str | Search], tuple[Skipped, ...]]:
    """Return the models to run, by selector or as a search found them, and those that cannot be made."""
    if models is None and search is None:
        if weights is not None:
            raise UsageError("--weights goes with --model: it says where that model begins.")
        every, broken = _all_models()
        return [*every], broken
    named = listed(models) or []
    if weights is not None:
        if len(named) != 1 or split(named[0])[1] is not None:
            raise UsageError("--weights goes with one --model; of several, write each as 'model@WEIGHTS'.")
        named = [f"{named[0]}@{weights}"]
    return [*named, *([] if search is None else [read_search(Path(search))])], ()


def _protocols(names: Names) -> dict[str, Any]:
    chosen = load_all("protocols", names)
    return chosen if names is not None else {name: value for name, value in chosen.items() if value.card.ranks}


def _tasks(names: Names) -> dict[str, Any]:
    chosen = load_all("tasks", names)
    return chosen if names is not None else {name: value for name, value in chosen.items() if not value.by_name}


def _all_models() -> tuple[list[str], tuple[Skipped, ...]]:
    """Return every registered model that can be made, and why not: a broken one disturbs nobody else's."""
    found, broken = [], []
    for name in plugins.find("models"):
        try:
            plugins.create("models", name)
            found.append(name)
        except KinbenchError as error:
            broken.append(Skipped("", "", str(error), model=name))
    return found, tuple(broken)


def execute(
    plan: Plan,
    *,
    workers: int = 1,
    limit: int | None = None,
    fail_fast: bool = False,
    device: str = "cpu",
    on_progress: Progress = ignore,
) -> Finished:
    """Run what a plan has left to do; one result per cell is kept the moment it is scored.

    ``device`` (``cpu``, ``cuda``) is where networks compute.
    """
    return runner.run(
        plan, workers=workers, limit=limit, fail_fast=fail_fast, device=device_of(device), on_progress=on_progress
    )


def run(
    *, workers: int = 1, limit: int | None = None, fail_fast: bool = False, device: str = "cpu", **selection: Any
) -> pd.DataFrame:
    """Plan and run in one call; returns one row per person, DoF and metric. ``selection`` is that of ``plan``."""
    device_of(device)  # refused before a plan is made, which may take long
    finished = execute(plan(**selection), workers=workers, limit=limit, fail_fast=fail_fast, device=device)
    return boards.frame(finished.results)


def rescore(*, data: Folder = None, results: Folder = None, on_progress: Progress = ignore) -> pd.DataFrame:
    """Score all kept predictions again against the stores; ``equal`` is True where every score has the same bits.

    One row per result: key, cell, equal, and the reason where it could not be scored again or is not equal. No model,
    task or protocol is needed.
    """
    folder, found = results_folder(results), [result for result in read_results(results) if result.done]
    rows = []
    # The windows are cut anew, so that nothing a run left behind vouches for itself.
    with TemporaryDirectory() as fresh:
        for done, result in enumerate(found):
            on_progress(done, len(found), result.label)
            rows.append({"key": result.key, "cell": result.label, **_again(result, folder, data, Path(fresh))})
    on_progress(len(found), len(found), "")
    return pd.DataFrame(rows, columns=["key", "cell", "equal", "reason"])


def _again(result: Result, folder: Path, data: Folder, cache: Path) -> dict[str, Any]:
    try:
        scores = runner.rescore(result, open(result.fold.test_dataset, data=data), results=folder, cache=cache)
    except KinbenchError as error:
        return {"equal": False, "reason": str(error)}
    equal = scores == result.scores
    return {"equal": equal, "reason": None if equal else "the scores differ from those kept in the result"}


# --- what results say ------------------------------------------------------------------------------------------------


def leaderboard(
    *,
    protocols: Names = None,
    tasks: Names = None,
    datasets: Names = None,
    metric: str = "rmse",
    ceilings: bool = False,
    results: Folder = None,
) -> Board:
    """Return the tables made from results alone; a board shows itself in a notebook and can ``write(folder)``.

    With ``ceilings`` each ends with what its models would score if the test offsets were told them: no results.
    """
    return boards.board(
        read_results(results),
        protocols=listed(protocols),
        tasks=listed(tasks),
        datasets=listed(datasets),
        metric=metric,
        ceilings=ceilings,
    )


def study(
    name: str,
    *,
    protocols: Names = None,
    tasks: Names = None,
    datasets: Names = None,
    models: Names = None,
    variant: str | None = None,
    metric: str = "rmse",
    target: float | None = None,
    margin: float | None = None,
    distances: Mapping[str, pd.DataFrame] | bool = False,
    data: Folder = None,
    results: Folder = None,
) -> Study:
    """Return what the results say to one question, as sentences and tables; it can ``write(folder)``.

    ``name`` is a study protocol or a family of them (``few-shot``, ``learning-curve``, ``sensor-subsets``,
    ``placement-stress``, ``cross-dataset``), or ``compare``, ``slices``, ``agreement``, ``cycles`` for any protocol
    (``protocols``; all that are no study unless said). The last three read the kept predictions and the stores.
    ``target`` is the error that persons are counted for, ``margin`` what counts as the same, ``distances`` frames by
    name that a loss between datasets is held against (True: how far the stores lie apart, by ``studies.distances``);
    ``variant`` keeps the answers whose title has that text.

    Raises ``UsageError`` for an unknown name, and where no result answers the question.
    """
    folder = results_folder(results)
    kept = studies.Kept(folder, lambda dataset: open(dataset, data=data), data_folder(data) / ".cache")
    asked: dict[str, Any] = {"protocols": tuple(listed(protocols) or ()), "kept": kept}
    if distances is not False:
        asked["distances"] = kept.distances if distances is True else distances
    asked |= {name: value for name, value in (("target", target), ("margin", margin)) if value is not None}
    found = studies.study(
        name, read_results(folder), tasks=listed(tasks), datasets=listed(datasets), models=listed(models),
        metric=metric, **asked,
    )  # fmt: skip
    return found if variant is None else found.choose(variant)


def plot(name: str, to: str | Path, *, figure: str | None = None, **asked: Any) -> Path:
    """Draw one figure of a study into an ``.svg``, ``.pdf`` or ``.png`` file and return its path.

    ``asked`` is what ``study`` takes, and must leave one answer. ``figure`` is the first that there is of it, unless
    said. Raises ``UsageError`` as ``study`` does, for several answers, and where matplotlib is not installed.
    """
    from kinbench import figures

    target = figures.check(Path(to))
    return figures.draw(study(name, **asked).only, target, figure=figure)
