"""The index: what is in a store, without opening a recording. Derived from the units' manifests, and never the truth.

It is not trusted to be current: every unit's seal (its last 64 bytes) is compared with the one the index knows, and
only the manifests of units that differ are opened. So a lost, damaged, old or copied index costs time and nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinbench.errors import StoreError
from kinbench.files import canonical
from kinbench.recording import IndexEntry
from kinbench.store import unit
from kinbench.store.entries import from_json, to_json
from kinbench.store.layout import FORMAT, INDEX, key_of, units


@dataclass(frozen=True)
class Indexed:
    """One unit as the index knows it."""

    seal: str
    entry: IndexEntry


Index = Mapping[str, Indexed]
"""From the unit's name (``subject/session/trial``) to what is known of it."""


def stored(root: Path) -> Index | None:
    """Return the index that was saved, or None where there is none or it is damaged."""
    try:
        head, _, body = (root / INDEX).read_bytes().partition(b"\n")
        if head != _head(body):
            return None
        said: dict[str, Any] = json.loads(body)
        return {name: Indexed(found["seal"], from_json(found["entry"])) for name, found in said.items()}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def current(root: Path, dataset: str, known: Index) -> dict[str, Indexed]:
    """Return the index of what is there now, taking from ``known`` what its seal confirms.

    Raises ``StoreError`` naming every unit whose manifest cannot be read.
    """
    found, bad = {}, []
    for name, path in sorted(units(root)):
        try:
            seal = unit.read_seal(path)
            if name in known and known[name].seal == seal:
                found[name] = known[name]
            else:
                found[name] = Indexed(seal, unit.read_manifest(Path(path), key_of(dataset, name)).entry)
        except FileNotFoundError:
            continue  # a writer removed it between the listing and this line
        except StoreError as error:
            bad.append(str(error))
        except OSError as error:
            bad.append(f"{path}: it cannot be read ({error.strerror or error})")
    if bad:
        raise StoreError(bad)
    return found


def index_bytes(index: Index) -> bytes:
    """Return the file of an index: a line with its sha256, then the units; the same recordings give the same bytes."""
    body = canonical({name: {"seal": index[name].seal, "entry": to_json(index[name].entry)} for name in index})
    return _head(body) + b"\n" + body


def _head(body: bytes) -> bytes:
    return canonical({"kinbench_format": FORMAT, "sha256": hashlib.sha256(body).hexdigest()})
