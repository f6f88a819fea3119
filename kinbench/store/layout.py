"""Where things lie in a store, and its root: a Zarr v3 group that carries the dataset's card under a seal."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kinbench.errors import DataError, StoreError
from kinbench.files import canonical
from kinbench.recording import Key
from kinbench.schema import IDENTIFIER, SCHEMA_VERSION

FORMAT = "1"
"""Version of the layout on disk. A store of another version is refused, never half-read."""

ROOT = "zarr.json"
RECORDINGS = "recordings"
INDEX = "index.json"
STAGING = ".staging"
LOCK = ".lock"
HOLDER = ".writer"
SUFFIX = ".zarr.zip"

CONVERT = "run 'kinbench convert' to make it"


def unit_path(root: Path, key: Key) -> Path:
    """Return where the recording ``key`` lies; raises ``DataError`` for a key that cannot be a path."""
    for part in (key.subject, key.session, key.trial):
        if not IDENTIFIER.fullmatch(part):
            raise DataError(f"'{part}' is not a short ASCII identifier; use letters, digits and . _ + -", where=key)
    return root / RECORDINGS / key.subject / key.session / f"{key.trial}{SUFFIX}"


def unit_name(key: Key) -> str:
    """Return the name of a recording within its store: ``subject/session/trial``."""
    return f"{key.subject}/{key.session}/{key.trial}"


def units(root: Path) -> Iterator[tuple[str, str]]:
    """Yield (name, path) of the recordings that are there, by listing alone, in no order.

    Plain text and ``scandir``, since this is done on every opening and pathlib takes ten times as long.
    """
    for subject in _folders(str(root / RECORDINGS)):
        for session in _folders(subject.path):
            for trial in _listed(session.path):
                if trial.name.endswith(SUFFIX):
                    yield f"{subject.name}/{session.name}/{trial.name.removesuffix(SUFFIX)}", trial.path


def _folders(path: str) -> list[os.DirEntry[str]]:
    return [entry for entry in _listed(path) if entry.is_dir()]


def _listed(path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as found:
            return list(found)
    except FileNotFoundError:
        return []  # none was made yet, or a writer just removed the last recording in it
    except OSError as error:
        raise StoreError(
            f"its recordings cannot be listed ({error.strerror or error}); make the folder readable", where=path
        ) from error


def key_of(dataset: str, name: str) -> Key:
    """Return the key of the recording called ``name`` (``subject/session/trial``)."""
    return Key(dataset, *name.split("/"))


def root_bytes(dataset: str, card: Mapping[str, Any]) -> bytes:
    """Return the root's ``zarr.json``. ``card`` must be JSON-plain."""
    attributes = {
        "kinbench_format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "dataset": dataset,
        "card": dict(card),
    }
    attributes["sha256"] = hashlib.sha256(canonical(attributes)).hexdigest()
    return json.dumps(
        {"zarr_format": 3, "node_type": "group", "attributes": attributes}, indent=2, ensure_ascii=False
    ).encode()  # fmt: skip


def read_root(root: Path) -> tuple[str, dict[str, Any]]:
    """Return (dataset, card) of the store at ``root``.

    Raises ``StoreError`` where there is no folder, no store, a store of another version, or a damaged root.
    """
    if not root.is_dir():
        raise StoreError(f"there is no store here; {CONVERT}", where=root)
    if not (root / ROOT).is_file():
        raise StoreError(f"this folder is not a kinbench store (it has no {ROOT}); {CONVERT}", where=root)
    try:
        attributes = json.loads((root / ROOT).read_bytes())["attributes"]
        version = attributes["kinbench_format"]
    except OSError as error:
        raise StoreError(f"{ROOT} cannot be read ({error.strerror or error})", where=root) from error
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{ROOT} is damaged or not kinbench's; convert the dataset again", where=root) from error
    if version != FORMAT or attributes.get("schema_version") != SCHEMA_VERSION:
        raise StoreError(
            f"the store is of format {version}, schema {attributes.get('schema_version')}; this kinbench reads format"
            f" {FORMAT}, schema {SCHEMA_VERSION}: convert the dataset again",
            where=root,
        )
    said = attributes.pop("sha256", None)
    if said != hashlib.sha256(canonical(attributes)).hexdigest():
        raise StoreError(f"{ROOT} was altered after it was written; convert the dataset again", where=root)
    return attributes["dataset"], attributes["card"]
