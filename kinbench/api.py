"""What kinbench can do, by name: the command line and a notebook call the same functions.

Names of plugins and stores become objects here; nothing is computed. Paths: stores lie in ``$KINBENCH_DATA`` (else
``./data``), results in ``$KINBENCH_RESULTS`` (else ``./results``), a dataset's raw files in ``./raw/<name>``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from kinbench import (
    acquisition,
    conversion,
    exports,
    files,
    inspection,
    plugins,
    prediction,
    results,
    runner,
    schema,
    store,
    studies,
    testing,
    verification,
)
from kinbench import leaderboards as boards
from kinbench.acquisition import Survey
from kinbench.contracts import BenchmarkProtocol, Demo, Proposal, Proposer
from kinbench.conversion import Conversion, Progress, ignore
from kinbench.errors import DataError, KinbenchError, StoreError, UsageError, suggest
from kinbench.exports import Export
from kinbench.inspection import Comparison
from kinbench.leaderboards import Board
from kinbench.prediction import Prediction, Weights
from kinbench.results import Result
from kinbench.runner import Check, Finished, Plan, Skipped
from kinbench.runner.auditing import Finding, audit
from kinbench.store import Store
from kinbench.studies import Study
from kinbench.tasks import Task
from kinbench.testing.leaks import Caught
from kinbench.verification import Report

Names = str | Iterable[str] | None
Folder = str | Path | None
MOST_COMPARED = 40
_LEVELS = tuple(level for level in schema.LEVELS if level != "unknown")


def data_folder(data: Folder = None) -> Path:
    """Return the folder of the stores: as given, else ``$KINBENCH_DATA``, else ``./data``."""
    return Path(data or os.environ.get("KINBENCH_DATA") or "data")


def results_folder(results: Folder = None) -> Path:
    """Return the folder of the results: as given, else ``$KINBENCH_RESULTS``, else ``./results``."""
    return Path(results or os.environ.get("KINBENCH_RESULTS") or "results")


# --- data ------------------------------------------------------------------------------------------------------------


def data(
    name: str,
    raw: str | Path | None = None,
    *,
    download: bool = False,
    unpinned: bool = False,
    on_progress: Progress = ignore,
    on_step: Callable[[str], None] = lambda text: None,
) -> Survey:
    """Tell what of a dataset's raw folder is there, missing or wrong, and what to do next; ``table()`` has the files.

    ``name`` is that of an adapter, ``raw`` the folder, ``./raw/<name>`` unless said. ``download`` fetches what the
    licence lets anyone fetch, each file checked against its pinned hash; ``unpinned`` also what nobody has published
    a hash of. Raises ``UsageError`` for an adapter that expects no particular folder, or where nothing may be fetched
    without an agreement.
    """
    reader = plugins.create("adapters", name)
    found = acquisition.survey(reader, Path("raw") / reader.card.name if raw is None else Path(raw), selector=name)
    if not download:
        return found
    return acquisition.obtain(found, reader, unpinned=unpinned, on_progress=on_progress, on_step=on_step)


def convert(
    adapter: str,
    raw: str | Path,
    *,
    name: str | None = None,
    sites_of: str | Path | None = None,
    unknown_level: str | None = None,
    activities: bool = False,
    data: Folder = None,
    on_progress: Progress = ignore,
) -> Conversion:
    """Convert a raw folder with the adapter of that name into ``<data>/<dataset>.zarr``.

    ``adapter`` may carry settings, ``'name[key=value]'``; ``name`` overrides the dataset's name; ``sites_of`` is a
    store (path or name) where measured sensors sit, for a dataset's virtual ones to sit there too, and
    ``unknown_level`` (``proximal``, ``mid``, ``distal``) what to take where it does not say how high. ``activities``
    labels, from the sensors, who walks, runs, turns or is still when in recordings that leave it open (mixed, unknown).

    The returned table says what became of each recording; one that fails does not stop the others. Raises
    ``UsageError`` for an unknown adapter, a missing folder, a wrong manifest, or sites for sensors that were measured;
    ``DataError`` for a folder the adapter knows nothing of.
    """
    reader = plugins.create("adapters", adapter)
    if unknown_level is not None and (sites_of is None or unknown_level not in _LEVELS):
        raise UsageError(f"--level goes with --sites-of, and is one of {', '.join(_LEVELS)}; got '{unknown_level}'.")
    sites = None
    if sites_of is not None:
        sites = conversion.sites_of(open(sites_of, data=data), unknown_level=unknown_level)
    return conversion.convert(
        reader, _existing(raw), data_folder(data), name=name, settings=plugins.settings_text(adapter), sites=sites,
        activities=activities, on_progress=on_progress,
    )  # fmt: skip


def open(dataset: str | Path, *, data: Folder = None) -> Store:
    """Open a store by its path or by its name in the data folder; ``store.read(key).imu`` is an ``xarray.Dataset``.

    Raises ``StoreError`` for what is no store, ``UsageError`` for a name that is not there.
    """
    path, known = Path(dataset), _stores(data)
    # A raw folder is often called as its dataset is: the name means the store then.
    if path.is_dir() and (str(dataset) not in known or store.is_store(path)):
        return store.open(path)
    if str(dataset) not in known:
        raise UsageError(f"There is no dataset '{dataset}' in {data_folder(data)}.{suggest(str(dataset), list(known))}")
    return store.open(known[str(dataset)])


def validate(dataset: str | Path, *, data: Folder = None, on_progress: Progress = ignore) -> Report:
    """Check a store's bytes, schema and physics; the report's ``table()`` is a pandas DataFrame."""
    return verification.validate(open(dataset, data=data).path, on_progress=on_progress)


def compare(
    dataset: str | Path,
    against: str | Path,
    *,
    most: int = MOST_COMPARED,
    data: Folder = None,
    on_progress: Progress = ignore,
) -> Comparison:
    """Lay two stores side by side: gait cycles by segment and axis, peaks, signal to noise, before and after each step.

    Of each store at most ``most`` recordings are read, evenly over its persons and trials; see ``inspection.compare``.
    The comparison's ``table()`` is a pandas DataFrame.
    """
    stores = [open(name, data=data) for name in (dataset, against)]
    keys = [_evenly(opened.keys(), most) for opened in stores]
    total, done = sum(map(len, keys)), 0

    def tell(key: str) -> None:
        nonlocal done
        on_progress(done, total, key)
        done += 1

    first, second = (map(opened.read, chosen) for opened, chosen in zip(stores, keys, strict=True))
    names = (stores[0].name, stores[1].name)
    if names[0] == names[1]:
        names = (str(dataset), str(against))
    found = inspection.compare(first, second, names=names, on_recording=tell)
    on_progress(total, total, "")
    there = [len(opened) for opened in stores]
    return replace(found, this=replace(found.this, there=there[0]), other=replace(found.other, there=there[1]))


def _evenly(keys: list[Any], most: int) -> list[Any]:
    return keys if len(keys) <= most else [keys[place * len(keys) // most] for place in range(most)]


def inspect(
    raw: str | Path,
    *,
    adapter: str | None = None,
    to: str | Path | None = None,
    on_progress: Progress = ignore,
) -> Proposal:
    """Look at a raw folder that nobody described, and propose the manifest that it would need; nothing is written.

    ``to`` is the file that the manifest will stand in, where that is not the raw folder: it then says where the
    recordings are. Every adapter that can propose (``contracts.Proposer``) is asked, or the one named. Raises
    ``UsageError`` for an absent folder, or where several make something of it and none is named; ``DataError`` where
    none does.
    """
    path = _existing(raw)
    askable = _proposers() if adapter is None else {adapter: plugins.create("adapters", adapter)}
    deaf = [name for name, asked in askable.items() if not isinstance(asked, Proposer)]
    if deaf:
        raise UsageError(f"Adapter '{deaf[0]}' cannot propose a manifest; those that can: {', '.join(_proposers())}.")
    found: dict[str, Proposal] = {}
    problems: list[str] = []
    for name, asked in askable.items():
        try:
            found[name] = asked.propose(path, to=None if to is None else Path(to), on_progress=on_progress)
        except DataError as error:
            problems += [f"{name}: {problem}" if len(askable) > 1 else problem for problem in error.problems]
    if len(found) > 1:
        raise UsageError(f"The adapters {' and '.join(found)} make something of '{raw}'; choose with --adapter.")
    if not found:
        raise DataError(
            problems or "there is no adapter that can propose a manifest; see 'kinbench list adapters'", where=raw
        )
    return next(iter(found.values()))


def _proposers() -> dict[str, Any]:
    """Return every adapter that can propose; one that cannot be made disturbs nobody else's."""
    found = {}
    for name in plugins.find("adapters"):
        try:
            reader = plugins.create("adapters", name)
        except KinbenchError:
            continue
        if isinstance(reader, Proposer):
            found[name] = reader
    return found


def page(
    what: Report | Proposal,
    to: str | Path | None = None,
    *,
    dataset: str | Path | None = None,
    comparison: Comparison | None = None,
    raw: str | Path = "",
    data: Folder = None,
) -> str:
    """Return a report, or a proposal, as one self-contained HTML page; with ``to``, write it there as well.

    A report's ``dataset`` is where plots come from (none without it), ``comparison`` what to show of another store; a
    proposal's ``raw`` is the folder's name. Raises ``UsageError`` where matplotlib is not installed (the extra
    ``pages``), or where ``to`` is not named as a page is.
    """
    from kinbench import pages

    target = None if to is None else page_path(to)
    if isinstance(what, Proposal):
        html = pages.proposal(what, raw=Path(raw).resolve().name if raw else "")
    else:
        html = pages.report(what, None if dataset is None else open(dataset, data=data), comparison)
    if target is not None:
        files.publish(html.encode(), target)
    return html


def page_path(to: str | Path) -> Path:
    """Return where a page is to go; raises ``UsageError`` unless it is named as one, or where none can be drawn."""
    from kinbench import pages

    path = Path(to)
    if path.suffix.lower() not in (".html", ".htm") or path.is_dir():
        raise UsageError(f"--html: expected the name of a page, such as report.html, got '{to}'.")
    pages.require()
    return path


def _existing(raw: str | Path) -> Path:
    path = Path(raw)
    if not path.exists():
        raise UsageError(f"Expected a folder of raw files, found nothing at '{raw}'; check the path.")
    return path


def _stores(data: Folder) -> dict[str, Path]:
    return {path.name.removesuffix(".zarr"): path for path in sorted(data_folder(data).glob("*.zarr")) if path.is_dir()}


# --- runs ------------------------------------------------------------------------------------------------------------


def plan(
    *,
    protocols: Names = None,
    tasks: Names = None,
    datasets: Names = None,
    models: Names = None,
    seeds: int | Iterable[int] | None = None,
    data: Folder = None,
    results: Folder = None,
    on_progress: Progress = ignore,
) -> Plan:
    """Return which cells there are, which are done, which have no meaning and why. What is left out means all.

    Of the protocols, all that rank models: a study, which may be thousands of cells, is run by name; so are tasks
    that are variants of another (``Task.by_name``).

    Raises ``UsageError`` for an unknown name, ``NotApplicable`` when a task asked for by name fits no dataset.
    """
    known = _stores(data)
    chosen = _listed(datasets) or list(known)
    if not chosen:
        raise UsageError(f"There are no datasets in {data_folder(data)}; make one with 'kinbench convert'.")
    folder = results_folder(results)
    selected, broken = (_listed(models) or [], ()) if models is not None else _all_models()
    planned = runner.plan(
        [open(name, data=data) for name in chosen],
        _protocols(protocols),
        _tasks(tasks),
        selected,
        seeds=_seeds(seeds),
        results=folder,
        cache=data_folder(data) / ".cache",
        named=tasks is not None,
        on_progress=on_progress,
    )
    return replace(planned, skipped=(*planned.skipped, *broken))


def _protocols(names: Names) -> dict[str, Any]:
    chosen = _load_all("protocols", names)
    return chosen if names is not None else {name: value for name, value in chosen.items() if value.card.ranks}


def _tasks(names: Names) -> dict[str, Any]:
    chosen = _load_all("tasks", names)
    return chosen if names is not None else {name: value for name, value in chosen.items() if not value.by_name}


def execute(
    plan: Plan,
    *,
    workers: int = 1,
    limit: int | None = None,
    fail_fast: bool = False,
    on_progress: Progress = ignore,
) -> Finished:
    """Run what a plan has left to do; one result per cell is kept the moment it is scored."""
    return runner.run(plan, workers=workers, limit=limit, fail_fast=fail_fast, on_progress=on_progress)


def run(*, workers: int = 1, limit: int | None = None, fail_fast: bool = False, **selection: Any) -> pd.DataFrame:
    """Plan and run in one call; returns one row per person, DoF and metric. ``selection`` is that of ``plan``."""
    finished = execute(plan(**selection), workers=workers, limit=limit, fail_fast=fail_fast)
    return boards.frame(finished.results)


def rescore(*, data: Folder = None, results: Folder = None, on_progress: Progress = ignore) -> pd.DataFrame:
    """Score all kept predictions again against the stores; ``equal`` is True where every score has the same bits.

    One row per result: key, cell, equal, and the reason where it could not be scored again or is not equal. No model,
    task or protocol is needed.
    """
    folder, found = results_folder(results), [result for result in _read(results) if result.done]
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


def leaderboard(
    *,
    protocols: Names = None,
    tasks: Names = None,
    datasets: Names = None,
    metric: str = "rmse",
    results: Folder = None,
) -> Board:
    """Return the tables made from results alone; a board shows itself in a notebook and can ``write(folder)``."""
    return boards.board(
        _read(results), protocols=_listed(protocols), tasks=_listed(tasks), datasets=_listed(datasets), metric=metric
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
    asked: dict[str, Any] = {"protocols": tuple(_listed(protocols) or ()), "kept": kept}
    if distances is not False:
        asked["distances"] = kept.distances if distances is True else distances
    asked |= {name: value for name, value in (("target", target), ("margin", margin)) if value is not None}
    found = studies.study(
        name, _read(folder), tasks=_listed(tasks), datasets=_listed(datasets), models=_listed(models), metric=metric,
        **asked,
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


# --- checks ----------------------------------------------------------------------------------------------------------


def check_protocol(
    protocols: Names = None,
    *,
    tasks: Names = None,
    datasets: Names = None,
    data: Folder = None,
    on_progress: Progress = ignore,
) -> Check:
    """Put protocols, ours or a stranger's, to the test: what they promise, and the leak check on every fold.

    Promises are tried on made-up cohorts (``testing.check_protocol``), folds on the stores in the data folder, with
    their samples. What is left out means all; without a store, only promises are tried. Raises ``UsageError`` for an
    unknown name.
    """
    chosen = _load_all("protocols", protocols)
    broken = {}
    for done, (name, protocol) in enumerate(chosen.items()):
        on_progress(done, len(chosen), f"{name}: made-up cohorts")
        try:
            testing.check_protocol(protocol)
        except AssertionError as breach:
            broken[name] = str(breach)
        except Exception as error:  # the boundary to foreign code: one that breaks disturbs nobody else's check
            broken[name] = f"breaks on a made-up cohort: {type(error).__name__}: {error}"
    stores = [open(name, data=data) for name in (_listed(datasets) or _stores(data))]
    workspace = runner.Workspace(tuple(stores), data_folder(data) / ".cache")
    rows = runner.check(workspace, chosen, _load_all("tasks", tasks) if stores else {}, on_progress=on_progress)
    return Check(tuple(chosen), broken, rows)


def check_results(*, results: Folder = None) -> tuple[Finding, ...]:
    """Return what of the kept results was chosen, left out, or tried again on the same test view; see ``audit``."""
    return audit(_read(results))


def check_guards(*, on_progress: Progress = ignore) -> tuple[Caught, ...]:
    """Plant every leak we know of in made-up data and return the sentence that refuses each (None: it passed)."""
    return testing.check_guards(on_progress)


# --- reading results -------------------------------------------------------------------------------------------------


def _read(folder: Folder) -> list[Result]:
    return results.read(results_folder(folder))


def _listed(names: Names) -> list[str] | None:
    """Return the names as a list; one name may stand alone."""
    if names is None:
        return None
    return [names] if isinstance(names, str) else list(names)


def _seeds(seeds: int | Iterable[int] | None) -> tuple[int, ...]:
    chosen = runner.SEEDS if seeds is None else (seeds,) if isinstance(seeds, int) else tuple(seeds)
    wrong = [seed for seed in chosen if not isinstance(seed, int) or not 0 <= seed < 2**32]
    if wrong or not chosen:
        raise UsageError(f"Expected seeds as whole numbers from 0 to 4294967295, got {wrong or 'none'}.")
    return chosen


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


def _load_all(kind: plugins.Kind, names: Names) -> dict[str, Any]:
    return {name: plugins.get(kind, name).load() for name in _listed(names) or plugins.find(kind)}


# --- the demo --------------------------------------------------------------------------------------------------------


def demo(
    to: str | Path = "kinbench-demo",
    *,
    everything: bool = False,
    workers: int | None = None,
    on_progress: Progress = ignore,
    on_step: Callable[[str], None] = lambda text: None,
) -> Board:
    """Write a simulated cohort as raw files below ``to``, convert it, run it, and return its leaderboard.

    Leaves ``raw/``, ``data/``, ``results/`` and ``leaderboard/`` in ``to``; run again, it goes on where it stopped.
    ``everything`` runs all tasks, models and seeds instead of the short tour.
    """
    folder = Path(to)
    cohort: Demo = next(iter(_load_all("demos", None).values()))
    on_step(f"Simulated people, raw vendor files: {folder / 'raw'}")
    parts = cohort.write(folder / "raw", on_progress)
    for part in parts:
        converted = convert(part.adapter, part.raw, name=part.name, data=folder / "data", on_progress=on_progress)
        on_step(f"Converted with '{part.adapter}': {len(converted.outcomes)} recordings into {converted.path}")
    recipe = cohort.recipe
    planned = plan(
        protocols=recipe.protocols,
        tasks=None if everything else recipe.tasks,
        models=None if everything else recipe.models,
        seeds=None if everything else recipe.seeds,
        data=folder / "data",
        results=folder / "results",
        on_progress=on_progress,
    )
    on_step(planned.text())
    finished = execute(planned, workers=workers or os.cpu_count() or 1, on_progress=on_progress)
    on_step(finished.text())
    board = leaderboard(results=folder / "results")
    for path in board.write(folder / "leaderboard"):
        on_step(f"Wrote {path}")
    return board


# --- what there is ---------------------------------------------------------------------------------------------------


def listing(kind: str | None = None, *, data: Folder = None) -> dict[str, list[dict[str, Any]]]:
    """Return what there is, by kind: converted datasets and registered plugins.

    Protocols also with ``use`` (``ranks`` models, a ``study``, or run ``by name`` only) and ``title``, for which they
    are imported; of the others none is. A protocol that cannot be loaded is listed as such, and hides no other.
    """
    kinds = ("datasets", *plugins.KINDS)
    if kind is not None and kind not in kinds:
        raise UsageError(f"There is nothing called '{kind}' to list.{suggest(kind, kinds)}")
    found: dict[str, list[dict[str, Any]]] = {}
    for name in kinds if kind is None else (kind,):
        found[name] = _dataset_rows(data) if name == "datasets" else _plugin_rows(name)
    return found


def _dataset_rows(data: Folder) -> list[dict[str, Any]]:
    return [{"name": name, **_dataset_facts(path), "path": str(path)} for name, path in _stores(data).items()]


def _dataset_facts(path: Path) -> dict[str, Any]:
    """Return a store's size at a glance; a damaged one is listed as such, and hides no other."""
    try:
        entries = store.open(path).entries()
    except StoreError:
        unknown = dict.fromkeys(("persons", "recordings", "minutes", "simulation"))
        return {**unknown, "state": "damaged: see 'kinbench validate'"}
    return {
        "persons": len({entry.person for entry in entries}),
        "recordings": len(entries),
        "minutes": round(sum(entry.duration_s for entry in entries) / 60, 1),
        "simulation": "yes" if any(entry.simulation for entry in entries) else "no",
        "state": "ok",
    }


def _plugin_rows(kind: str) -> list[dict[str, Any]]:
    chosen = next(known for known in plugins.KINDS if known == kind)
    return [
        {
            "name": plugin.name,
            **(_protocol_use(plugin) if kind == "protocols" else {}),
            "from": f"{plugin.distribution} {plugin.version}",
            "object": plugin.entry.value,
        }
        for plugin in plugins.find(chosen).values()
    ]


def _protocol_use(plugin: plugins.Plugin) -> dict[str, str | None]:
    """Return what a protocol is for, and its title."""
    try:
        loaded = plugin.load()
    except KinbenchError:
        return {"use": None, "title": f"cannot be loaded: see 'kinbench info {plugin.name}'"}
    card = loaded.card
    return {"use": "ranks" if card.ranks else "study" if card.study else "by name", "title": card.title}


def info(name: str, *, data: Folder = None) -> list[dict[str, Any]]:
    """Tell what a dataset, adapter, task, protocol, model or demo of that name is; one entry per meaning.

    Raises ``UsageError`` with the closest name where there is none.
    """
    found = [_dataset_info(name, data)] if name in _stores(data) else []
    known = [*_stores(data)]
    for kind in plugins.KINDS:
        registered = plugins.find(kind)
        known += registered
        if name in registered:
            found.append(_plugin_info(registered[name]))
    if not found:
        raise UsageError(f"There is no dataset, adapter, task, protocol or model '{name}'.{suggest(name, known)}")
    return found


def _dataset_info(name: str, data: Folder) -> dict[str, Any]:
    opened = open(name, data=data)
    entries = opened.entries()
    return {
        "kind": "dataset",
        "name": name,
        **{key: value for key, value in opened.card.items() if key != "name"},
        "path": str(opened.path),
        "persons": len({entry.person for entry in entries}),
        "recordings": len(entries),
        "minutes": round(sum(entry.duration_s for entry in entries) / 60, 1),
        "activities": sorted({entry.activity for entry in entries}),
        "segments": sorted({sensor.segment for entry in entries for sensor in entry.sensors}),
        "dofs": sorted({dof for entry in entries for dof in entry.dofs}),
        "acceleration": sorted({entry.acc_kind for entry in entries if entry.acc_kind}),
        "tiers": sorted({entry.tier for entry in entries if entry.tier}),
        "digest": opened.digest,
    }


def _plugin_info(plugin: plugins.Plugin) -> dict[str, Any]:
    loaded = plugin.load()
    card = getattr(loaded, "card", loaded)
    described: dict[str, Any] = {"kind": plugin.kind.removesuffix("s"), "name": plugin.name}
    described |= {"from": f"{plugin.distribution} {plugin.version}"}
    if isinstance(loaded, Task):
        described |= asdict(loaded) | {"channels_in": len(loaded.channel_names)}
    elif is_dataclass(card) and not isinstance(card, type):
        described["settings"] = plugins.settings_of(loaded) if callable(loaded) else None
        described |= {key: value for key, value in asdict(card).items() if key != "name"}
    elif isinstance(loaded, BenchmarkProtocol):
        described |= asdict(loaded.card)
    if callable(getattr(loaded, "schema", None)):
        described["manifest_schema"] = f"kinbench info {plugin.name} --schema > kinbench.schema.json"
    return described


def manifest_schema(adapter: str) -> dict[str, Any]:
    """Return the JSON Schema of the manifest that an adapter reads, for editors to complete and check it by.

    Raises ``UsageError`` for an adapter that reads none.
    """
    reader = plugins.create("adapters", adapter)
    if not callable(getattr(reader, "schema", None)):
        raise UsageError(f"Adapter '{adapter}' reads no manifest, so it has no schema; 'lab' does.")
    found: dict[str, Any] = reader.schema()
    return found


# --- elsewhere -------------------------------------------------------------------------------------------------------


def export(
    task: str,
    datasets: Names,
    to: str | Path,
    *,
    format: str = "npz",
    protocols: Names = None,
    force: bool = False,
    data: Folder = None,
    on_progress: Progress = ignore,
) -> Export:
    """Write what feeds a task in some stores into the folder ``to``, for training elsewhere; see ``exports.export``.

    ``datasets`` are paths or names of stores, ``format`` is ``npz``, ``csv`` or ``folders``, ``protocols`` those whose
    folds are written too (none unless said). Raises ``UsageError`` for an unknown name, or a folder that is not empty
    (``force`` replaces an earlier export), ``NotApplicable`` where nothing feeds the task.
    """
    return exports.export(
        _opened(datasets, data),
        plugins.get("tasks", task).load(),
        Path(to),
        format=format,
        protocols=[plugins.get("protocols", name).load() for name in _listed(protocols) or ()],
        cache=data_folder(data) / ".cache",
        force=force,
        on_progress=on_progress,
    )


def train(
    task: str,
    model: str,
    datasets: Names,
    to: str | Path,
    *,
    seed: int = 0,
    force: bool = False,
    data: Folder = None,
    on_progress: Progress = ignore,
) -> Weights:
    """Fit a model on all persons of some stores and keep it in the folder ``to``; see ``prediction.train``.

    Raises ``UsageError`` for an unknown name, a model that cannot be kept, or a folder that is not empty (``force``
    replaces earlier weights), ``NotApplicable`` where nothing feeds the task.
    """
    return prediction.train(
        _opened(datasets, data),
        plugins.get("tasks", task).load(),
        model,
        Path(to),
        seed=_seeds(seed)[0],
        cache=data_folder(data) / ".cache",
        force=force,
        on_progress=on_progress,
    )


def predict(
    dataset: str | Path,
    weights: str | Path,
    to: str | Path,
    *,
    model: str | None = None,
    format: str = "mot",
    keep_still: bool = False,
    force: bool = False,
    data: Folder = None,
    on_progress: Progress = ignore,
) -> Prediction:
    """Write the angles of every recording of a store into the folder ``to``; see ``prediction.predict``.

    ``weights`` is a folder that ``train`` wrote, ``format`` is ``mot`` or ``csv``; ``model``, where said, must be the
    one that was trained. The store needs no reference. People at rest, whom no model is fitted on, have no row in a
    ``.mot`` unless ``keep_still``. Raises ``UsageError`` for what is not there or may not be
    written, ``DataError`` for damaged weights, or where no recording has what the task needs.
    """
    return prediction.predict(
        open(dataset, data=data),
        prediction.open_weights(Path(weights), model=model),
        Path(to),
        format=format,
        keep_still=keep_still,
        force=force,
        on_progress=on_progress,
    )


def _opened(datasets: Names, data: Folder) -> list[Store]:
    """Return the stores; raises ``UsageError`` where none is named."""
    chosen = _listed(datasets)
    if not chosen:
        raise UsageError("Expected at least one store: its path, or its name in the data folder.")
    return [open(name, data=data) for name in chosen]
