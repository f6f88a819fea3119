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

from kinbench.errors import StoreError, suggest
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
        return f"Store('{self.path}', {len(self._index)} recordings)"

    def __len__(self) -> int:
        return len(self._index)

    def __iter__(self) -> Iterator[Key]:
        return iter(self.keys())

    def keys(self) -> list[Key]:
        """Return the keys in natural order (trial2 before trial10)."""
        return sorted(layout.key_of(self.name, name) for name in self._index)

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

    def read(self, key: Key) -> Recording:
        """Return one recording, every byte checked; raises ``StoreError`` where it is absent or damaged."""
        return unit.read(self._path(key), key)

    def read_inputs(self, key: Key) -> tuple[xr.Dataset | None, dict[str, Any]]:
        """Return (imu stream or None, attributes) without reading a byte of the reference."""
        return unit.read_inputs(self._path(key), key)

    def verify(self) -> list[str]:
        """Hash and decode everything again; return one sentence per damaged, missing or unexpected file.

        Only manifests and content are believed here; the index is checked against them, and used for one thing: a
        recording that it names and that is gone was lost.
        """
        return [*self._root_problems(), *self._unit_problems(), *self._index_problems(), *self._strangers()]

    def rebuild_index(self) -> None:
        """Derive the index anew from the recordings and save it; raises ``StoreError`` while someone is writing."""
        with Writer(self.path, self.name, self.card) as writer:
            writer.rebuild_index()
        self.__dict__.pop("_index", None)

    @cached_property
    def _index(self) -> index.Index:
        return index.current(self.path, self.name, index.stored(self.path) or {})

    def _path(self, key: Key) -> Path:
        path = layout.unit_path(self.path, key)
        if key.dataset != self.name or not path.is_file():
            hint = suggest(str(key), [str(known) for known in self.keys()])
            raise StoreError(f"there is no recording {key}.{hint}", where=self.path)
        return path

    def _root_problems(self) -> Iterator[str]:
        if (self.path / layout.ROOT).read_bytes() != layout.root_bytes(self.name, self.card):
            yield f"{layout.ROOT}: altered after it was written; convert the dataset again"

    def _unit_problems(self) -> Iterator[str]:
        for name, place in sorted(layout.units(self.path)):
            path, key = Path(place), layout.key_of(self.name, name)
            for problem in unit.problems(path, key):
                yield f"{path.relative_to(self.path).as_posix()}: {problem}"

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
                yield f"{path.relative_to(self.path).as_posix()}: missing; convert it again"
            elif known[name].seal == unit.read_seal(str(path)):
                yield from self._contradiction(path, key, known[name].entry)

    def _contradiction(self, path: Path, key: Key, entry: IndexEntry) -> Iterator[str]:
        try:
            if unit.read_manifest(path, key).entry != entry:
                yield f"{layout.INDEX}: contradicts the manifest of {key}; rebuild the index"
        except StoreError:
            return  # already told as the unit's own problem

    def _strangers(self) -> Iterator[str]:
        known = {layout.ROOT, layout.INDEX, layout.LOCK, layout.HOLDER}
        known |= {Path(place).relative_to(self.path).as_posix() for _, place in layout.units(self.path)}
        for path in sorted(self.path.rglob("*")):
            name = path.relative_to(self.path).as_posix()
            if path.is_file() and name not in known and not name.startswith(f"{layout.STAGING}/"):
                yield f"{name}: not part of the store; move it elsewhere"


def open(path: Path | str) -> Store:
    """Return the store at ``path``. Reads its card only: the time does not grow with the number of recordings.

    Raises ``StoreError`` where there is no store, with the command that makes one, or one of another version.
    """
    root = Path(path)
    name, card = layout.read_root(root)
    return Store(root, name, card)
