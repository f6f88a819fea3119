"""Reading a store: the card at once, the index when asked, a recording when named, and the check of every byte."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from kinbench.errors import DataError, StoreError, suggest
from kinbench.recording import IndexEntry, Key, Recording
from kinbench.store import index, layout, unit
from kinbench.store.writer import Writer


class Store:
    """One dataset's converted recordings, read-only. Made by ``open``; sees what was there when first asked."""

    def __init__(self, path: Path, name: str, card: dict[str, Any]) -> None:
        self.path = path
        self.name = name
        self.card = card

    def __repr__(self) -> str:
        try:
            return f"Store('{self.path}', {len(self._index)} recordings)"
        except StoreError:
            return f"Store('{self.path}', damaged: see 'kinbench validate {self.path}')"

    def __len__(self) -> int:
        return len(self._index)

    def __iter__(self) -> Iterator[Key]:
        return iter(self.keys())

    def keys(self) -> list[Key]:
        """Return the keys in natural order (trial2 before trial10).

        Like all that tells what is in the store, it raises ``StoreError`` naming every damaged and every lost recording
        rather than go on with fewer.
        """
        return sorted(layout.key_of(self.name, name) for name in self._index)

    def found(self) -> list[Key]:
        """Return the keys of all files that are there, damaged or not, in natural order. Opens none: for checks."""
        return sorted(layout.key_of(self.name, name) for name, _ in layout.units(self.path))

    def entries(self) -> list[IndexEntry]:
        """Return the index entries in the order of ``keys``, without opening a recording."""
        return sorted((found.entry for found in self._index.values()), key=lambda entry: entry.key.sort_key)

    def table(self) -> pd.DataFrame:
        """Return one row per recording: who, what, how long, which sensors, signals and DoFs. Opens no recording."""
        rows = [
            {
                "key": str(entry.key), "person": entry.person, "activity": entry.activity,
                "duration_s": entry.duration_s, "imu_rate_hz": entry.imu_rate_hz,
                "reference_rate_hz": entry.reference_rate_hz,
                "segments": ", ".join(sensor.segment for sensor in entry.sensors),
                "signals": ", ".join(entry.signals), "acc_kind": entry.acc_kind, "dofs": ", ".join(entry.dofs),
                "tier": entry.tier, "simulation": entry.simulation,
            }
            for entry in self.entries()
        ]  # fmt: skip
        return pd.DataFrame(rows)

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(str(self))}</p>{self.table().to_html()}"

    @property
    def digest(self) -> str:
        """The identity of the whole store: sha256 over the sorted content digests of its recordings."""
        digests = sorted(found.entry.digest for found in self._index.values())
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()

    def read(self, key: Key | str) -> Recording:
        """Return one recording, named by its key or the key's text, every byte checked.

        Raises ``StoreError`` where it is absent or damaged.
        """
        asked = self._key(key)
        return unit.read(self._path(asked), asked)

    def read_inputs(self, key: Key | str) -> tuple[xr.Dataset | None, dict[str, Any]]:
        """Return (imu stream or None, attributes) without reading a byte of the reference."""
        asked = self._key(key)
        return unit.read_inputs(self._path(asked), asked)

    def verify(self) -> list[str]:
        """Hash and decode everything again; return one sentence per damaged, missing or unexpected file.

        Only manifests and content are believed here; the index is checked against them, and used for one thing: a
        recording that it names and that is gone was lost.
        """
        return [*self._root_problems(), *self._unit_problems(), *self._index_problems(), *self._strangers()]

    def rebuild_index(self) -> None:
        """Derive the index anew from the recordings and save it: lost ones are forgotten, damaged ones stay to be told.

        Raises ``StoreError`` while someone is writing.
        """
        with Writer(self.path, self.name, self.card) as writer:
            writer.rebuild_index()
        self.__dict__.pop("_index", None)

    @cached_property
    def _index(self) -> index.Index:
        return index.current(self.path, self.name)

    def _key(self, said: Key | str) -> Key:
        if isinstance(said, Key):
            return said
        try:
            return Key.parse(said)
        except ValueError as error:
            raise StoreError(
                f"expected a key as 'dataset/subject/session/trial', found '{said}'.{self._nearest(said)}",
                where=self.path,
            ) from error

    def _path(self, key: Key) -> Path:
        try:
            path = layout.unit_path(self.path, key)
        except DataError as error:
            raise self._absent(key) from error
        if key.dataset != self.name or not path.is_file():
            raise self._absent(key)
        return path

    def _absent(self, key: Key) -> StoreError:
        if key.dataset == self.name and layout.unit_name(key) in (index.stored(self.path) or {}):
            return StoreError(f"expected recording {key}, found its file {index.LOST}", where=self.path)
        return StoreError(f"there is no recording {key}.{self._nearest(str(key))}", where=self.path)

    def _nearest(self, said: str) -> str:
        return suggest(said, [str(known) for known in self.found()])

    def _root_problems(self) -> Iterator[str]:
        try:
            same = (self.path / layout.ROOT).read_bytes() == layout.root_bytes(self.name, self.card)
        except OSError as error:
            yield f"{layout.ROOT}: it cannot be read ({error.strerror or error}); convert the dataset again"
            return
        if not same:
            yield f"{layout.ROOT}: altered after it was written; convert the dataset again"

    def _unit_problems(self) -> Iterator[str]:
        known = index.stored(self.path)
        for name, place in sorted(layout.units(self.path)):
            path, key = Path(place), layout.key_of(self.name, name)
            stray = " (the index does not name it: if it is no recording, move it elsewhere)"
            hint = stray if known is not None and name not in known else ""
            for problem in unit.problems(path, key):
                yield f"{path.relative_to(self.path).as_posix()}: {problem}{hint}"

    def _index_problems(self) -> Iterator[str]:
        if not (self.path / layout.INDEX).is_file():
            return
        known = index.stored(self.path)
        if known is None:
            yield f"{layout.INDEX}: damaged; rebuild the index"
            return
        for name in sorted(known):
            key = layout.key_of(self.name, name)
            path = layout.unit_path(self.path, key)
            if not path.is_file():
                yield f"{path.relative_to(self.path).as_posix()}: {index.LOST}"
            else:
                yield from self._contradiction(path, key, known[name])

    def _contradiction(self, path: Path, key: Key, known: index.Indexed) -> Iterator[str]:
        try:
            if unit.read_seal(str(path)) == known.seal and unit.read_manifest(path, key).entry != known.entry:
                yield f"{layout.INDEX}: contradicts the manifest of {key}; rebuild the index"
        except (OSError, StoreError):
            return  # already told as the unit's own problem

    def _strangers(self) -> Iterator[str]:
        known = {layout.ROOT, layout.INDEX, layout.LOCK, layout.HOLDER}
        known |= {Path(place).relative_to(self.path).as_posix() for _, place in layout.units(self.path)}
        for path in sorted(self.path.rglob("*")):
            name = path.relative_to(self.path).as_posix()
            if path.is_file() and name not in known and not name.startswith(f"{layout.STAGING}/"):
                yield f"{name}: not part of the store; move it elsewhere"


def is_store(path: Path) -> bool:
    """Say whether a folder is a store, whole or damaged, or any other folder."""
    return (path / layout.ROOT).is_file()


def open(path: Path | str) -> Store:
    """Return the store at ``path``. Reads its card only: the time does not grow with the number of recordings.

    Raises ``StoreError`` where there is no store, with the command that makes one, or one of another version.
    """
    root = Path(path)
    name, card = layout.read_root(root)
    return Store(root, name, card)
