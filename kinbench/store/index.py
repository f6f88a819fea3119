"""The index: what is in a store, without opening a recording. Derived from the units' manifests, and never the truth.

It is not trusted to be current: every unit's seal (its last 64 bytes) is compared with the one the index knows, and
only the manifests of units that differ are opened. So a damaged or old index costs time and nothing else. It is
believed in one thing: a unit that it names and that is gone was lost, since a writer takes one out of the index before
it takes it off the disk.
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
from kinbench.store.layout import FORMAT, INDEX, RECORDINGS, SUFFIX, key_of, units


@dataclass(frozen=True)
class Indexed:
    """One unit as the index knows it."""

    seal: str
    entry: IndexEntry


Index = Mapping[str, Indexed]
"""From the unit's name (``subject/session/trial``) to what is known of it."""

LOST = "missing; convert it again"


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


def current(root: Path, dataset: str) -> dict[str, Indexed]:
    """Return the index of what is there now; raises ``StoreError`` naming every unit that is damaged or lost."""
    known = stored(root) or {}
    found, bad = survey(root, dataset, known)
    gone = known.keys() - found.keys() - bad.keys()
    if gone:
        # Asked again, as a writer may have removed it since, and then the index names it no longer.
        bad |= dict.fromkeys(gone & (stored(root) or {}).keys(), LOST)
    if bad:
        told = [f"{RECORDINGS}/{name}{SUFFIX}: {problem}" for name, problem in sorted(bad.items())]
        raise StoreError([_summary(root, len(bad)), *told], where=root)
    return found


def survey(root: Path, dataset: str, known: Index) -> tuple[dict[str, Indexed], dict[str, str]]:
    """Return (the index of the units there now, what is wrong with the others by name).

    Taken from ``known`` is what its seal confirms; of the others the manifest is read.
    """
    found, bad = {}, {}
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
            bad[name] = "; ".join(error.problems)
        except OSError as error:
            bad[name] = f"it cannot be read ({error.strerror or error}); convert it again"
    return found, bad


def _summary(root: Path, bad: int) -> str:
    return (
        f"expected every recording whole, found {bad} damaged or lost: see all with 'kinbench validate {root}', convert"
        " them again, move what is no recording elsewhere, or forget lost ones with rebuild_index()"
    )


def index_bytes(index: Index) -> bytes:
    """Return the file of an index: a line with its sha256, then the units; the same recordings give the same bytes."""
    body = canonical({name: {"seal": index[name].seal, "entry": to_json(index[name].entry)} for name in index})
    return _head(body) + b"\n" + body


def _head(body: bytes) -> bytes:
    return canonical({"kinbench_format": FORMAT, "sha256": hashlib.sha256(body).hexdigest()})
