"""From a raw folder to a store: fetched, inspected, converted, validated, compared, shown, and taken elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from kinbench import acquisition, conversion, exports, files, inspection, plugins, schema, verification
from kinbench.acquisition import Survey
from kinbench.api.places import Folder, Names, data_folder, existing, listed, open, opened
from kinbench.contracts import Proposal, Proposer
from kinbench.conversion import Conversion, Progress, ignore
from kinbench.errors import DataError, KinbenchError, UsageError
from kinbench.exports import Export
from kinbench.inspection import Comparison
from kinbench.verification import Report

MOST_COMPARED = 40
_LEVELS = tuple(level for level in schema.LEVELS if level != "unknown")


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
        reader, existing(raw), data_folder(data), name=name, settings=plugins.settings_text(adapter), sites=sites,
        activities=activities, on_progress=on_progress,
    )  # fmt: skip


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
        opened(datasets, data),
        plugins.get("tasks", task).load(),
        Path(to),
        format=format,
        protocols=[plugins.get("protocols", name).load() for name in listed(protocols) or ()],
        cache=data_folder(data) / ".cache",
        force=force,
        on_progress=on_progress,
    )


# --- proposals and pages ---------------------------------------------------------------------------------------------


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
    path = existing(raw)
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
