"""What a process needs to run cells: the stores, and each task's windows, opened once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from kinbench import plugins, windows
from kinbench.errors import DataError
from kinbench.perturbations import Change
from kinbench.protocol import Fold, Leak, Seen, check_answers, check_leaks
from kinbench.recording import Key, SensorEntry, Span, TaskEntry
from kinbench.runner.cells import ModelChoice
from kinbench.runner.summaries import Summaries
from kinbench.store import Store
from kinbench.tasks import Task
from kinbench.windows import Batches, Copy, Stream, TaskData, Unlabelled


class Workspace:
    """The stores of a run and the windows cut from them. Sent to a worker it carries names only, and opens anew."""

    def __init__(self, stores: tuple[Store, ...], cache: Path) -> None:
        self.stores = stores
        self.cache = cache
        self._digests = {store.name: store.digest for store in stores}
        self._index = {store.name: tuple(store.entries()) for store in stores}
        self._factories: dict[str, Callable[..., Any]] = {}
        self._data: dict[tuple[Task, str], TaskData] = {}
        self._checked: set[tuple[Any, ...]] = set()
        self._seen: dict[str, tuple[Seen, ...]] = {}
        self._sketches: dict[str, tuple[int, ...]] = {}
        self._copies: dict[tuple[Task, tuple[str, ...]], tuple[Copy, ...]] = {}
        self._answered: set[tuple[Task, str]] = set()
        self.summaries = Summaries()

    def __getstate__(self) -> dict[str, Any]:
        fresh: dict[str, Any] = {"_factories": {}, "_data": {}, "_checked": set(), "_copies": {}, "_answered": set()}
        return {**self.__dict__, **fresh, "summaries": Summaries()}

    def store(self, name: str) -> Store:
        """Return the store of this name."""
        return next(store for store in self.stores if store.name == name)

    def digest(self, name: str) -> str:
        """Return the digest of a whole store, as it was when the run was planned."""
        return self._digests[name]

    def data(self, task: Task, store: str) -> TaskData:
        """Return a store's windows for a task."""
        if (task, store) not in self._data:
            self._data[task, store] = windows.prepare(self.store(store), task, cache=self.cache)
        return self._data[task, store]

    def rotation_origins(self, task: Task, store: str) -> tuple[str, ...]:
        """Return how the rotations of the task's sensors to their segments were found, in one store."""
        return tuple(sorted({sensor.rotation_origin for sensor in self._sensors(task, store)}))

    def sensor_origins(self, task: Task, store: str) -> tuple[str, ...]:
        """Return whether the task's sensors were worn (``measured``) or computed (``synthetic``), in one store."""
        return tuple(sorted({sensor.origin for sensor in self._sensors(task, store)}))

    def _sensors(self, task: Task, store: str) -> list[SensorEntry]:
        segments = {segment for leg in task.legs for segment in task.segments_of(leg)}
        return [s for entry in self._index[store] for s in entry.sensors if s.segment in segments]

    def model(self, choice: ModelChoice) -> Any:
        """Return a fresh model. Its plugin is looked up once per process: reading all entry points takes long."""
        if choice.name not in self._factories:
            self._factories[choice.name] = plugins.get("models", choice.name).load()
        return self._factories[choice.name](**choice.settings)

    def learn(self, selector: str, seen: tuple[Seen, ...]) -> None:
        """Take note of whom the weights and the search of a model have seen, for the leak check."""
        self._seen[selector] = seen

    def datasets(self, fold: Fold) -> tuple[str, ...]:
        """Return the names of the stores that a fold uses, in the order of this workspace."""
        used = {*fold.train_datasets, fold.test_dataset}
        return tuple(store.name for store in self.stores if store.name in used)

    def entries(self, fold: Fold, task: Task) -> list[TaskEntry]:
        """Return the entries of every store that a fold uses."""
        return [entry for name in self.datasets(fold) for entry in self.data(task, name).entries]

    def batches(
        self, fold: Fold, task: Task, spans: Iterable[Span], copies: Sequence[Sequence[Change]] = ()
    ) -> Batches:
        """Return the windows to fit or to validate on, wholly inside spans, of whichever stores these belong to.

        The order of the spans plays no part, nor does that of the stores. The changes of the fold's fit are made; with
        ``copies`` there is one set of windows for each, with its changes made after the fold's own.
        """
        return self._labelled(fold, task, spans, [(*fold.fit_changes, *copy) for copy in copies or ((),)])

    def calibration(self, fold: Fold, task: Task, spans: Iterable[Span]) -> Batches:
        """Return the windows to adapt to or to stop on, as ``batches`` does, but as they were recorded."""
        return self._labelled(fold, task, spans, [()])

    def unlabelled(self, fold: Fold, task: Task) -> Unlabelled:
        """Return the inputs of the fold's unlabelled spans: its sensors only, changed as those it is tested on."""
        spans = sorted(fold.roles.get("unlabelled", ()))
        return self._given(fold, task, spans).batches(spans).unlabelled()

    def _labelled(
        self, fold: Fold, task: Task, spans: Iterable[Span], versions: Sequence[tuple[Change, ...]]
    ) -> Batches:
        """Return the windows inside spans, once for each of the ``versions``, with its changes made."""
        wanted = sorted(spans)
        given = fold.narrowed(task).segments
        return windows.concatenate(
            [
                self.data(task, name).changed(changes, wanted).batches(wanted).narrowed(given)
                for changes in versions
                for name in sorted(self.datasets(fold))
            ]
        )

    def test_data(self, fold: Fold, task: Task) -> TaskData:
        """Return the inputs that a fold is tested on: its sensors only, with its changes made."""
        tested = [span for role in ("test", "test_long") for span in fold.roles.get(role, ())]
        return self._given(fold, task, tested)

    def stream(self, fold: Fold, task: Task, key: Key, leg: str) -> Stream:
        """Return what a filter is handed of one recording of the fold's test dataset: its sensors, no reference."""
        imu, attrs = self.store(fold.test_dataset).read_inputs(key)
        if imu is None:
            raise DataError("it has no imu stream", where=key)
        return windows.stream_of(imu, attrs, fold.narrowed(task), leg)

    def _given(self, fold: Fold, task: Task, spans: Sequence[Span]) -> TaskData:
        data = self.data(task, fold.test_dataset)
        return data.changed(fold.test_changes, spans).narrowed(fold.narrowed(task))

    def check(
        self, fold: Fold, task: Task, trained_on: tuple[str, ...], cell: str, declared: tuple[Leak, ...],
        model: str = "",
    ) -> None:  # fmt: skip
        """Refuse a fold that leaks: raises ``LeakError`` naming ``cell``. Leaks that are ``declared`` are let through.

        ``model`` is the selector of one of which ``learn`` has told whom its weights and search have seen. A split that
        was found clean is not looked at again, whatever else sets the folds of a study apart that share it.
        """
        seen = self._seen.get(model, ())
        split = (task, trained_on, model if seen else "", declared, *_split(fold))
        if split in self._checked:
            return
        homes: dict[str, TaskData] = {}
        for name in self.datasets(fold):
            data = self.data(task, name)
            self._check_answers(task, name, cell)
            homes |= {str(entry.key): data for entry in data.entries}
        check_leaks(
            fold, self.entries(fold, task), signals=lambda key: homes[key].samples(key), trained_on=trained_on,
            seen=seen, sketch=lambda key: self._sketch(fold, key),
            copies=self._copies_of(task, self.datasets(fold)), cell=cell, declared=declared,
        )  # fmt: skip
        self._checked.add(split)

    def _sketch(self, fold: Fold, key: str) -> tuple[int, ...]:
        """Return the numbers that a tested recording is known by under any name; those of its fold are read at once."""
        if key not in self._sketches:
            tested = {span.key for role in ("test", "test_long") for span in fold.roles.get(role, ())}
            self._sketches |= windows.sketches(self.store(fold.test_dataset), tested, cache=self.cache)
        return self._sketches[key]

    def _check_answers(self, task: Task, store: str, cell: str) -> None:
        """Refuse a store whose inputs hold the answer. It is a matter of a task and a store, not of a fold."""
        if (task, store) not in self._answered:
            check_answers(self.data(task, store), cell)
            self._answered.add((task, store))

    def _copies_of(self, task: Task, stores: tuple[str, ...]) -> tuple[Copy, ...]:
        """Return what of some stores is the same motion under two names."""
        if (task, stores) not in self._copies:
            self._copies[task, stores] = windows.find_copies(self.data(task, name) for name in stores)
        return self._copies[task, stores]


def _split(fold: Fold) -> tuple[Any, ...]:
    """Return all of a fold that the leak check looks at: who is tested, and whose time plays which role."""
    roles = tuple((role, tuple(sorted(spans))) for role, spans in sorted(fold.roles.items()))
    return (fold.test_persons, fold.train_datasets, fold.test_dataset, fold.individual, fold.adapts_to, roles)
