"""Where things lie, and names turned into what they stand for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kinbench import plugins, results, runner, store
from kinbench.errors import UsageError, suggest
from kinbench.results import Result
from kinbench.store import Store

Names = str | Iterable[str] | None
Folder = str | Path | None
DEVICES = ("cpu", "cuda")


def data_folder(data: Folder = None) -> Path:
    """Return the folder of the stores: as given, else ``$KINBENCH_DATA``, else ``./data``."""
    return Path(data or os.environ.get("KINBENCH_DATA") or "data")


def results_folder(results: Folder = None) -> Path:
    """Return the folder of the results: as given, else ``$KINBENCH_RESULTS``, else ``./results``."""
    return Path(results or os.environ.get("KINBENCH_RESULTS") or "results")


def cache_of(data: Folder) -> Path:
    """Return the folder of what can be made again: windows, and weights that were fetched."""
    return data_folder(data) / ".cache"


def device_of(device: str) -> str:
    """Return where to compute; raises ``UsageError`` for what is neither ``cpu`` nor ``cuda``."""
    if device not in DEVICES:
        raise UsageError(f"There is no device '{device}' to compute on.{suggest(device, DEVICES)}")
    return device


def open(dataset: str | Path, *, data: Folder = None) -> Store:
    """Open a store by its path or by its name in the data folder; ``store.read(key).imu`` is an ``xarray.Dataset``.

    Raises ``StoreError`` for what is no store, ``UsageError`` for a name that is not there.
    """
    path, known = Path(dataset), stores_in(data)
    # A raw folder is often called as its dataset is: the name means the store then.
    if path.is_dir() and (str(dataset) not in known or store.is_store(path)):
        return store.open(path)
    if str(dataset) not in known:
        raise UsageError(f"There is no dataset '{dataset}' in {data_folder(data)}.{suggest(str(dataset), list(known))}")
    return store.open(known[str(dataset)])


def opened(datasets: Names, data: Folder) -> list[Store]:
    """Return the stores; raises ``UsageError`` where none is named."""
    chosen = listed(datasets)
    if not chosen:
        raise UsageError("Expected at least one store: its path, or its name in the data folder.")
    return [open(name, data=data) for name in chosen]


def stores_in(data: Folder) -> dict[str, Path]:
    """Return the stores of the data folder by name."""
    return {path.name.removesuffix(".zarr"): path for path in sorted(data_folder(data).glob("*.zarr")) if path.is_dir()}


def existing(raw: str | Path) -> Path:
    """Return the path of raw files; raises ``UsageError`` where nothing is there."""
    path = Path(raw)
    if not path.exists():
        raise UsageError(f"Expected a folder of raw files, found nothing at '{raw}'; check the path.")
    return path


# --- names -----------------------------------------------------------------------------------------------------------


def listed(names: Names) -> list[str] | None:
    """Return the names as a list; one name may stand alone."""
    if names is None:
        return None
    return [names] if isinstance(names, str) else list(names)


def seeds_of(seeds: int | Iterable[int] | None) -> tuple[int, ...]:
    """Return the seeds, those of the benchmark unless said; raises ``UsageError`` for what is none."""
    chosen = runner.SEEDS if seeds is None else (seeds,) if isinstance(seeds, int) else tuple(seeds)
    wrong = [seed for seed in chosen if not isinstance(seed, int) or not 0 <= seed < 2**32]
    if wrong or not chosen:
        raise UsageError(f"Expected seeds as whole numbers from 0 to 4294967295, got {wrong or 'none'}.")
    return chosen


def load_all(kind: plugins.Kind, names: Names) -> dict[str, Any]:
    """Return the plugins of these names, all of the kind unless said."""
    return {name: plugins.get(kind, name).load() for name in listed(names) or plugins.find(kind)}


def read_results(folder: Folder) -> list[Result]:
    """Return every result of a folder."""
    return results.read(results_folder(folder))
