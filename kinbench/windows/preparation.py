"""The task cache: each recording resampled, turned to segment axes and masked once, then mapped from disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kinbench import store
from kinbench.files import digest
from kinbench.recording import IndexEntry, Key, Recording, TaskEntry, canonical_person
from kinbench.tasks import Task
from kinbench.windows.applicability import applicable, feasible_legs
from kinbench.windows.derivation import Derived, derive
from kinbench.windows.taskdata import NativePiece, Piece, TaskData

CACHE_VERSION = 4
"""Part of a cache's name; raised by any change of what ``prepare`` computes or how it lies on disk."""

Progress = Callable[[int, int, str], None]


class Recordings(Protocol):
    """What ``prepare`` needs of a store."""

    @property
    def name(self) -> str:
        """The name of the store."""
        ...

    @property
    def digest(self) -> str:
        """The digest of everything in the store."""
        ...

    def entries(self) -> list[IndexEntry]:
        """Return the index, without signals."""
        ...

    def read(self, key: Key) -> Recording:
        """Return one recording with its signals."""
        ...


def task_digest(task: Task) -> str:
    """Return the sha256 of a task's canonical JSON: equal for equal definitions, whatever the session."""
    return digest(task.plain())


def _index_digest(feeding: Sequence[IndexEntry]) -> str:
    return digest([CACHE_VERSION, *(asdict(entry) for entry in feeding)])


def _silent(done: int, total: int, label: str) -> None:
    return None


def prepare(
    store_: Recordings,
    task: Task,
    *,
    cache: Path,
    on_progress: Progress = _silent,
    variants: Sequence[Task] = (),
) -> TaskData:
    """Return a store as a task sees it, from the cache below ``cache`` where it is complete, else made and written.

    The cache's folder is named by the digests of the store, the task and the index entries that feed it (persons and
    activities are no part of a store's digest); it may be deleted at any time. ``variants`` are
    tasks that reasons may name for recordings that cannot feed this one. Reasons are made anew on every call.
    """
    feeding = []
    excluded: list[tuple[str, str]] = []
    for entry in sorted(store_.entries(), key=lambda entry: entry.key.sort_key):
        reason = applicable(entry, task, variants)
        if reason is None:
            feeding.append(entry)
        else:
            excluded.append((str(entry.key), reason))
    folder = cache / f"{store_.digest[:16]}-{task_digest(task)[:16]}-{_index_digest(feeding)[:16]}"
    opened = store.open_flat(folder) if feeding else None
    if opened is not None:
        arrays, meta = opened
        on_progress(len(feeding), len(feeding), "cached")
    else:
        arrays, meta = _derive_all(store_, task, feeding, on_progress)
        if meta["pieces"]:
            store.write_flat(folder, arrays, meta)
            arrays, meta = store.open_flat(folder) or (arrays, meta)
    arrays = {name: np.asarray(values) for name, values in arrays.items()}  # slices of np.memmap itself are slow
    return _task_data(store_.name, task, arrays, meta, excluded)


# --- deriving --------------------------------------------------------------------------------------------------------


@dataclass
class _Flat:
    """Flat arrays in the making."""

    parts: dict[str, list[NDArray[Any]]]
    rows: int = 0
    times: int = 0
    hashes: int = 0


def _derive_all(
    store_: Recordings, task: Task, feeding: Sequence[IndexEntry], on_progress: Progress
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    flat = _Flat({name: [empty] for name, empty in _empty(task).items()})
    meta: dict[str, list[Any]] = {"entries": [], "pieces": [], "native": [], "excluded": []}
    for done, entry in enumerate(feeding):
        on_progress(done, len(feeding), str(entry.key))
        derived = derive(store_.read(entry.key), task, feasible_legs(entry, task))
        if isinstance(derived, str):
            meta["excluded"].append([str(entry.key), derived])
        else:
            _add(flat, meta, entry, derived, task)
    on_progress(len(feeding), len(feeding), "done")
    return {name: np.concatenate(parts) for name, parts in flat.parts.items()}, meta


def _empty(task: Task) -> dict[str, NDArray[Any]]:
    loaded = {"stance": np.empty(0, dtype=np.bool_)} if task.loads else {}
    shape = (0, len(task.segments), 4)
    oriented = {"orientations": np.empty(shape, dtype=np.float32)} if task.orientations else {}
    return {
        **loaded,
        **oriented,
        "signals": np.empty((0, len(task.channel_names)), dtype=np.float32),
        "targets": np.empty((0, len(task.dofs)), dtype=np.float32),
        "labelled": np.empty((0, len(task.dofs)), dtype=np.bool_),
        "native_time_s": np.empty(0, dtype=np.float64),
        "native_hashes": np.empty(0, dtype=np.uint64),
    }


def _add(flat: _Flat, meta: dict[str, list[Any]], entry: IndexEntry, derived: Derived, task: Task) -> None:
    number = len(meta["entries"])
    meta["entries"].append(
        {
            "key": str(entry.key),
            "person": entry.person,
            "activity": entry.activity,
            "digest": entry.digest,
            "rate_hz": task.rate_hz,
            "window": task.least,
            "embargo": derived.embargo,
            "runs": [list(run) for run in derived.runs],
            "convention": entry.convention,
            "simulation": entry.simulation,
            "upsampled": derived.upsampled,
            "strides": list(derived.strides),
            "sensor_origin": _sensor_origin(entry, task, [leg.leg for leg in derived.legs]),
        }
    )
    for leg in derived.legs:
        meta["pieces"].append(
            [number, task.legs.index(leg.leg), flat.rows, leg.signals.shape[0], [list(run) for run in leg.runs]]
        )
        flat.rows += leg.signals.shape[0]
        flat.parts["signals"].append(leg.signals)
        flat.parts["targets"].append(leg.targets)
        flat.parts["labelled"].append(leg.labelled)
        if "stance" in flat.parts:  # where no plate tells, all that is labelled counts as borne
            flat.parts["stance"].append(np.asarray(leg.labelled.any(axis=1)) if leg.stance is None else leg.stance)
        if leg.orientations is not None:
            flat.parts["orientations"].append(leg.orientations)
    time_s, runs = derived.native
    meta["native"].append([flat.times, time_s.size, flat.hashes, *runs.shape])
    flat.times += time_s.size
    flat.hashes += runs.size
    flat.parts["native_time_s"].append(time_s)
    flat.parts["native_hashes"].append(runs.reshape(-1))


def _sensor_origin(entry: IndexEntry, task: Task, legs: Sequence[str]) -> str:
    """Return where the signals of the sensors that a task takes come from, ``mixed`` where not all from one."""
    taken = {segment for leg in legs for segment in task.segments_of(leg)}
    origins = {sensor.origin for sensor in entry.sensors if sensor.segment in taken}
    return origins.pop() if len(origins) == 1 else "mixed"


# --- opening ---------------------------------------------------------------------------------------------------------


def _task_data(
    name: str,
    task: Task,
    arrays: Mapping[str, NDArray[Any]],
    meta: Mapping[str, Any],
    excluded: Sequence[tuple[str, str]],
) -> TaskData:
    every = [*excluded, *((key, reason) for key, reason in meta["excluded"])]
    return TaskData(
        task=task,
        store_name=name,
        entries=tuple(_entry(values) for values in meta["entries"]),
        excluded=tuple(sorted(every, key=lambda pair: Key.parse(pair[0]).sort_key)),
        pieces=tuple(
            Piece(entry, leg, offset, samples, tuple((start, stop) for start, stop in runs))
            for entry, leg, offset, samples, runs in meta["pieces"]
        ),
        signals=arrays["signals"],
        targets=arrays["targets"],
        labelled=arrays["labelled"],
        stance=arrays.get("stance"),
        orientations=arrays.get("orientations"),
        native=tuple(NativePiece(*values) for values in meta["native"]),
        native_time_s=arrays["native_time_s"],
        native_hashes=arrays["native_hashes"],
    )


def _entry(values: Mapping[str, Any]) -> TaskEntry:
    plain = {field.name: values[field.name] for field in fields(TaskEntry)}
    plain["key"] = Key.parse(values["key"])
    plain["person"] = canonical_person(values["person"])
    plain["runs"] = tuple((start, stop) for start, stop in values["runs"])
    plain["strides"] = tuple(values["strides"])
    return TaskEntry(**plain)
