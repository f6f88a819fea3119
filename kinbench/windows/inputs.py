"""All inputs of a store that a model may learn from without answers, whether or not anybody measured a reference."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench import store
from kinbench.errors import UsageError
from kinbench.files import digest
from kinbench.recording import IndexEntry, Key, canonical_person
from kinbench.tasks import Task
from kinbench.windows.applicability import input_legs
from kinbench.windows.batches import BoolArray, Float32Array, IntArray, TaskSpec, Unlabelled
from kinbench.windows.derivation import LegInputs, derive_inputs

CACHE_VERSION = 1
"""Part of a cache's name; raised by any change of what ``inputs`` computes or how it lies on disk."""
STATIC_M_S2 = 0.2
"""A window whose acceleration varies less than this (SD over time, mean over all axes) shows nobody moving (Tan et al.
2024, their data; the code behind it takes ten times that)."""
IMPOSSIBLE_M_S2, IMPOSSIBLE_RAD_S = 160.0, 35.0
"""No body does this: 16 g and 2,000 deg/s, where devices end (same source)."""

Progress = Callable[[int, int, str], None]


class InputRecordings(Protocol):
    """What ``inputs`` needs of a store: nothing that holds a reference."""

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

    def read_inputs(self, key: Key) -> tuple[xr.Dataset | None, dict[str, Any]]:
        """Return one recording's sensors and attributes."""
        ...


@dataclass(frozen=True)
class StoreInputs:
    """The windows of one store that a task's model may learn from without answers, and whose they are.

    ``windows`` are all of them; ``person`` and ``recording`` (n,) are numbers into ``persons`` (``dataset/subject``, by
    the one name a person goes by) and ``keys``. ``digests`` are the recordings' content digests by key, of those alone
    that give a window. ``excluded`` says by key why a recording gives none. ``static`` and ``impossible`` count the
    windows that were left out because nobody moves in them, or no body could.
    """

    store_name: str
    windows: Unlabelled
    person: IntArray
    persons: tuple[str, ...]
    recording: IntArray
    keys: tuple[str, ...]
    digests: Mapping[str, str]
    excluded: tuple[tuple[str, str], ...]
    static: int
    impossible: int

    def __len__(self) -> int:
        return len(self.windows)

    def of(self, persons: Collection[str], *, weight: float | None = None) -> Unlabelled:
        """Return the windows of some persons, their rows copied, so that nobody else's can be reached from there.

        ``weight`` is how often each of them is to be drawn beside those of other stores.
        """
        chosen = np.isin(self.person, [number for number, name in enumerate(self.persons) if name in persons])
        signals, starts = _rows_of(self.windows.signals, self.windows.starts[chosen], self.windows.spec.window)
        drawn = None if weight is None else np.full(starts.size, weight, dtype=np.float32)
        return Unlabelled(signals, starts, self.windows.present[chosen], self.windows.spec, drawn)

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many windows each person gives."""
        each = np.bincount(self.person, minlength=len(self.persons))
        return {name: int(count) for name, count in zip(self.persons, each, strict=True)}


def inputs(
    store_: InputRecordings, task: Task, *, cache: Path, on_progress: Progress = lambda done, total, label: None
) -> StoreInputs:
    """Return all windows of a store's inputs as a task sees them, from the cache below ``cache`` where they are there.

    No reference is asked for and none is read; nor is an activity, as any movement can teach how sensors move together.
    Of the task's sensors a recording may lack all but one: those it lacks are NaN and ``present`` False. Axes, kind of
    acceleration, rate, window, stride, mirrored left legs and the rule that tells motion are the task's. Windows
    lie wholly inside stretches where all sensors that the recording has hold a sample; those in which nobody moves
    (``STATIC_M_S2``) or no body could (``IMPOSSIBLE_M_S2``, ``IMPOSSIBLE_RAD_S``) are left out and counted.

    A store that gives no window gives none, with the reasons; the caller knows whether that matters.
    """
    wanted = replace(task, activities=None, optional=task.segments)
    entries = sorted(store_.entries(), key=lambda entry: entry.key.sort_key)
    told = [CACHE_VERSION, *(asdict(entry) for entry in entries)]
    folder = cache / f"inputs-{store_.digest[:16]}-{digest(wanted.plain())[:16]}-{digest(told)[:16]}"
    opened = store.open_flat(folder)
    if opened is None:
        arrays, meta = _gather_all(store_, wanted, entries, on_progress)
        store.write_flat(folder, arrays, meta)
        opened = store.open_flat(folder) or (arrays, meta)
    on_progress(len(entries), len(entries), "done")
    return _opened(store_.name, task, *opened)


def pool(parts: Sequence[Unlabelled]) -> Unlabelled:
    """Return the windows of several sets as one; their specs must be equal, and there must be one part at least.

    Where any has weights, those without weigh 1.
    """
    if not parts:
        raise UsageError("There is nothing to pool: expected at least one set of windows.")
    for part in parts[1:]:
        if part.spec != parts[0].spec:
            raise UsageError(
                f"Windows of '{part.spec.task}' and '{parts[0].spec.task}' cannot be pooled: their specs differ."
            )
    kept = [part for part in parts if len(part)] or [parts[0]]
    if len(kept) == 1:
        return kept[0]
    offsets = np.cumsum([0, *(part.signals.shape[0] for part in kept[:-1])])
    weight = None
    if any(part.weight is not None for part in kept):
        each = [np.ones(len(part), dtype=np.float32) if part.weight is None else part.weight for part in kept]
        weight = np.concatenate(each)
    return Unlabelled(
        signals=np.concatenate([part.signals for part in kept]),
        starts=np.concatenate([part.starts + offset for part, offset in zip(kept, offsets, strict=True)]),
        present=np.concatenate([part.present for part in kept]),
        spec=kept[0].spec,
        weight=weight,
    )


# --- deriving --------------------------------------------------------------------------------------------------------


def _gather_all(
    store_: InputRecordings, task: Task, entries: Sequence[IndexEntry], on_progress: Progress
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    every: dict[str, list[NDArray[Any]]] = {
        "signals": [np.empty((0, len(task.channel_names)), dtype=np.float32)],
        "starts": [np.empty(0, dtype=np.int64)],
        "recording": [np.empty(0, dtype=np.int64)],
    }
    meta: dict[str, Any] = {"recordings": [], "excluded": [], "static": 0, "impossible": 0}
    rows = 0
    for done, entry in enumerate(entries):
        on_progress(done, len(entries), str(entry.key))
        found = _windows_of(store_, entry, task)
        if isinstance(found, str):
            meta["excluded"].append([str(entry.key), found])
            continue
        for leg, moving in found:
            begin, static, impossible = _usable(leg, moving, task)
            kept, begin = _rows_of(leg.signals, begin, task.window)
            every["signals"].append(kept)
            every["starts"].append(begin + rows)
            every["recording"].append(np.full(begin.size, len(meta["recordings"]), dtype=np.int64))
            rows += len(kept)
            meta["static"] += static
            meta["impossible"] += impossible
        meta["recordings"].append([str(entry.key), canonical_person(entry.person), entry.digest])
    return {name: np.concatenate(parts) for name, parts in every.items()}, meta


def _windows_of(store_: InputRecordings, entry: IndexEntry, task: Task) -> list[tuple[LegInputs, BoolArray]] | str:
    """Return the legs of one recording that have a sensor, and where the person moves; or why there are none."""
    legs = input_legs(entry, task)
    if isinstance(legs, str):
        return legs
    there = {s.segment for s in entry.sensors if task.axes == "sensor" or s.rotation_origin != "unknown"}
    worn = tuple(leg for leg in legs if there.intersection(task.segments_of(leg)))
    if not worn:
        return f"it has no sensor with known axes on any of {', '.join(task.segments)}"
    imu, _ = store_.read_inputs(entry.key)
    if imu is None:
        return "it has no imu stream"
    derived = derive_inputs(imu, task, worn)
    if isinstance(derived, str):
        return derived
    return [(leg, derived.moving) for leg in derived.legs]


def _usable(leg: LegInputs, moving: BoolArray, task: Task) -> tuple[IntArray, int, int]:
    """Return where a leg's windows begin, and how many were left out as static and as impossible."""
    begin = [np.empty(0, dtype=np.int64)]
    for start, stop in leg.runs:
        for first, last in _stretches(moving[start:stop]):
            whole = np.arange(0, last - first - task.window + 1, task.stride, dtype=np.int64)
            begin.append(start + first + whole)
    starts = np.concatenate(begin)
    static, impossible = _judged(leg.signals, starts, task)
    return starts[~static & ~impossible], int((static & ~impossible).sum()), int(impossible.sum())


def _judged(signals: Float32Array, starts: IntArray, task: Task) -> tuple[BoolArray, BoolArray]:
    """Return in which windows nobody moves, and in which there is what no body does, (n,) each."""
    kind = np.array([name.split("/")[1] for name in task.channel_names])
    acc, gyr = signals[:, kind == "acc"], signals[:, kind == "gyr"]
    static, impossible = np.zeros(starts.size, dtype=bool), np.zeros(starts.size, dtype=bool)
    for number, start in enumerate(starts.tolist()):
        rows = slice(start, start + task.window)
        known = acc[rows][:, np.isfinite(acc[start])].astype(np.float64)
        static[number] = known.size > 0 and known.std(axis=0).mean() < STATIC_M_S2
        impossible[number] = bool(
            (np.abs(known) > IMPOSSIBLE_M_S2).any() or (np.abs(gyr[rows]) > IMPOSSIBLE_RAD_S).any()
        )
    return static, impossible


def _stretches(mask: BoolArray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _rows_of(signals: Float32Array, starts: IntArray, window: int) -> tuple[Float32Array, IntArray]:
    """Return the rows that some windows cover, copied, and where the windows begin in them."""
    change = np.zeros(len(signals) + 1, dtype=np.int64)
    np.add.at(change, starts, 1)
    np.add.at(change, starts + window, -1)
    covered = np.cumsum(change[:-1]) > 0
    place = np.cumsum(covered) - 1
    return np.asarray(signals)[covered], place[starts]


# --- opening ---------------------------------------------------------------------------------------------------------


def _opened(name: str, task: Task, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> StoreInputs:
    signals, starts = np.asarray(arrays["signals"]), np.asarray(arrays["starts"])
    recording = np.asarray(arrays["recording"])
    kept, recording = np.unique(recording, return_inverse=True)
    told = [meta["recordings"][number] for number in kept]
    persons = tuple(sorted({person for _, person, _ in told}))
    number_of = {person: number for number, person in enumerate(persons)}
    owner = np.array([number_of[person] for _, person, _ in told], dtype=np.int64)
    spec = TaskSpec(
        task.name, task.version, task.channel_names, task.dofs, task.segments, task.rate_hz, task.window
    )  # fmt: skip
    left = set(range(len(meta["recordings"]))) - set(kept.tolist())
    short = [(meta["recordings"][number][0], _NO_WINDOW) for number in sorted(left)]
    excluded = [*((key, reason) for key, reason in meta["excluded"]), *short]
    return StoreInputs(
        store_name=name,
        windows=Unlabelled(signals, starts, _present(signals, starts, spec), spec),
        person=owner[recording] if owner.size else recording,
        persons=persons,
        recording=recording,
        keys=tuple(key for key, _, _ in told),
        digests={key: content for key, _, content in told},
        excluded=tuple(sorted(excluded, key=lambda pair: Key.parse(pair[0]).sort_key)),
        static=meta["static"],
        impossible=meta["impossible"],
    )


_NO_WINDOW = "it has no whole window in which somebody moves as a body can"


def _present(signals: Float32Array, starts: IntArray, spec: TaskSpec) -> BoolArray:
    """Return which sensors each window has, (n, segment)."""
    each = len(spec.channel_names) // len(spec.segments)
    return np.isfinite(signals[starts][:, ::each])
