"""What every recording says of itself, whichever adapter reads it: whose it is, and of which bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kinbench import schema
from kinbench.contracts import DatasetCard
from kinbench.recording import Key


def identity(key: Key, card: DatasetCard, *, person: str, activity: str) -> dict[str, Any]:
    """Return the attributes that say who did what, in which dataset, and who may use it."""
    return {
        "schema_version": schema.SCHEMA_VERSION,
        "dataset": key.dataset,
        "dataset_version": card.version,
        "subject": key.subject,
        "session": key.session,
        "trial": key.trial,
        "person": person,
        "activity": activity,
        "licence": {"id": card.licence, "redistributable": card.redistributable},
        "simulation": card.simulation,
    }


def sources(named: Iterable[tuple[str, Path]]) -> list[dict[str, str]]:
    """Return the name and the sha256 of every file a recording was read from, in the order given."""
    return [{"name": name, "sha256": _sha256(path)} for name, path in named]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
