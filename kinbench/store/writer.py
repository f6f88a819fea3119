"""Writing to a store: one writer at a time, each recording whole or absent."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from kinbench.errors import StoreError
from kinbench.files import make_folder, plain, publish, refusals, sweep, sync_folder
from kinbench.recording import Key, Recording
from kinbench.store import index, layout, unit


class Writer:
    """Adds, replaces and removes recordings of one store; a context manager that holds the store's lock.

    On entering, it takes the lock, sweeps what an earlier, killed writer left aside, and makes the store where there is
    none. On leaving, it saves the index. Recordings appear one by one, each by one rename.

    A store with damaged or lost recordings opens too, to be mended: what is written again is whole, what is not
    stays in the index, so that no reader takes the rest for all there was.
    """

    def __init__(self, path: Path, dataset: str, card: Mapping[str, Any]) -> None:
        self.path = path
        self.dataset = dataset
        self._card = plain(card, "card")
        self._lock = FileLock(path / layout.LOCK)
        self._known: dict[str, index.Indexed] = {}

    def __enter__(self) -> Self:
        self._refuse_foreign_folder()
        self._take_lock()
        try:
            with refusals(self.path):
                sweep(self._staging)
            self._write_root()
            self._known = dict(index.stored(self.path) or {})
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._save_index(self._current())
            else:
                # The error on its way out is the one to tell; a reader brings an old index up to date by itself.
                with suppress(StoreError):
                    self._save_index(self._current())
            with refusals(self.path):
                sweep(self._staging)
        finally:
            self._release()

    def write(self, recording: Recording) -> str:
        """Store a schema-form recording, replacing one of the same key, and return its content digest.

        Raises ``DataError`` for a recording that cannot be stored and ``StoreError`` where the disk refuses; the store
        is then as it was.
        """
        self._own(recording.key)
        data, entry = unit.pack(recording)
        publish(data, layout.unit_path(self.path, recording.key), self._staging)
        self._known[layout.unit_name(recording.key)] = index.Indexed(unit.seal_in(data), entry)
        return entry.digest

    def has(
        self,
        key: Key,
        *,
        source: Sequence[Mapping[str, Any]] | None = None,
        adapter: Mapping[str, Any] | None = None,
    ) -> bool:
        """Return whether ``key`` is stored and undamaged, and, where given, came from this source by this adapter.

        ``source`` and ``adapter`` are compared with the recording's attributes of those names.
        """
        self._own(key)
        path = layout.unit_path(self.path, key)
        if not path.is_file():
            return False
        try:
            attrs = unit.read_attrs(path, key)
        except StoreError:
            return False  # a damaged one is as good as none: it will be written anew
        wanted = {"source": source, "adapter": adapter}
        return all(attrs.get(name) == plain(value, name) for name, value in wanted.items() if value is not None)

    def remove(self, key: Key) -> None:
        """Remove one recording, damaged or lost ones too; raises ``StoreError`` where there is none."""
        self._own(key)
        path, name = layout.unit_path(self.path, key), layout.unit_name(key)
        if not path.is_file() and name not in self._known:
            raise StoreError(f"there is no recording {key} to remove", where=self.path)
        # First out of the index, then off the disk: an index that names an absent recording means a loss.
        self._forget(name)
        if path.is_file():
            self._unlink(path)

    def rebuild_index(self) -> None:
        """Derive the index anew from the recordings, believing nothing that the old one says, and save it.

        Lost recordings are forgotten by it. Damaged ones still lie there, so a reader tells of them all the same.
        """
        self._known, _ = index.survey(self.path, self.dataset, {})
        self._save_index(self._known)

    def _current(self) -> index.Index:
        found, _ = index.survey(self.path, self.dataset, self._known)
        return {**self._known, **found}

    def _forget(self, name: str) -> None:
        self._known.pop(name, None)
        before = index.stored(self.path) or {}
        if name in before:
            self._save_index({other: found for other, found in before.items() if other != name})

    def _unlink(self, path: Path) -> None:
        with refusals(path):
            path.unlink()
            sync_folder(path.parent)
            for folder in (path.parent, path.parent.parent):
                if not any(folder.iterdir()):
                    folder.rmdir()

    @property
    def _staging(self) -> Path:
        return self.path / layout.STAGING

    def _own(self, key: Key) -> None:
        if key.dataset != self.dataset:
            raise StoreError(f"recording {key} does not belong to the store of '{self.dataset}'", where=self.path)

    def _refuse_foreign_folder(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise StoreError("a file stands where the store should go; choose another name", where=self.path)
        ours = {layout.LOCK, layout.HOLDER, layout.STAGING}
        if self.path.is_dir() and not (self.path / layout.ROOT).is_file():
            other = next((found.name for found in self.path.iterdir() if found.name not in ours), None)
            if other is not None:
                raise StoreError(
                    f"this folder is not a kinbench store and is not empty (it holds '{other}'); choose another one",
                    where=self.path,
                )

    def _take_lock(self) -> None:
        with refusals(self.path):
            make_folder(self.path)
            try:
                self._lock.acquire(timeout=0)
            except Timeout as error:
                raise StoreError(
                    f"another process ({self._holder()}) is writing to this store; wait for it to end, or stop it",
                    where=self.path,
                ) from error
        try:
            with refusals(self.path):
                (self.path / layout.HOLDER).write_text(str(os.getpid()), encoding="ascii")
        except BaseException:
            self._lock.release()
            raise

    def _holder(self) -> str:
        try:
            return f"PID {(self.path / layout.HOLDER).read_text(encoding='ascii')}"
        except (OSError, ValueError):
            return "PID unknown"

    def _write_root(self) -> None:
        if (self.path / layout.ROOT).is_file():
            dataset, card = layout.read_root(self.path)
            if dataset != self.dataset:
                raise StoreError(f"it is the store of '{dataset}', not of '{self.dataset}'", where=self.path)
            if card == self._card:
                return
        publish(layout.root_bytes(self.dataset, self._card), self.path / layout.ROOT, self._staging)

    def _save_index(self, found: index.Index) -> None:
        publish(index.index_bytes(found), self.path / layout.INDEX, self._staging)

    def _release(self) -> None:
        # Only the name of the lock's holder: were it left behind, the next writer would write its own over it.
        with suppress(OSError):
            (self.path / layout.HOLDER).unlink(missing_ok=True)
        self._lock.release()


def create(path: Path | str, *, dataset: str, card: Mapping[str, Any]) -> Writer:
    """Return a writer for the store at ``path``, to be used in a ``with`` statement; an existing store is added to.

    ``card`` describes the dataset and must be JSON-plain. Raises ``StoreError``, on entering, where another process is
    writing (it names its PID), the folder is someone else's, or it is another dataset's store.
    """
    return Writer(Path(path), dataset, card)
