"""A fitted model on disk: its card, which says what it is and whom it knows, and what the model wrote itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from kinbench import plugins
from kinbench.contracts import Model
from kinbench.errors import DataError, UsageError
from kinbench.tasks import Task, from_plain
from kinbench.windows import task_digest

CARD = "card.json"
"""By this file a folder is known to hold weights."""
STATE = "model"
FORMAT = 1


@runtime_checkable
class Keepable(Model, Protocol):
    """A model that can be kept on disk and taken up again."""

    def save(self, folder: Path) -> None:
        """Write all that ``load`` needs into an existing, empty folder."""
        ...

    def load(self, folder: Path) -> None:
        """Take up what ``save`` wrote; predictions must be bit-equal to before."""
        ...


@dataclass(frozen=True)
class Weights:
    """A fitted model and its card. ``seen`` are the persons it knows, ``recordings`` the digests of theirs."""

    folder: Path
    card: Mapping[str, Any]
    task: Task
    model: Keepable

    @property
    def selector(self) -> str:
        """The model as it was asked for, settings included."""
        return str(self.card["model"]["selector"])

    @property
    def seen(self) -> frozenset[str]:
        """Everybody whom fit, validation or any pre-training saw, as ``dataset/subject``."""
        return frozenset(person for role in self.card["persons"].values() for person in role)

    @property
    def recordings(self) -> frozenset[str]:
        """The content digests of the recordings that fit or validation saw, whatever their store was called."""
        return frozenset(digest for store in self.card["stores"] for digest in store["recordings"].values())


def keepable(selector: str) -> Keepable:
    """Return a fresh model; raises ``UsageError`` for one that cannot be kept on disk."""
    model = plugins.create("models", selector)
    if not isinstance(model, Keepable):
        raise UsageError(f"The model '{selector}' has no save and load, so its weights cannot be kept.")
    return model


def open_weights(folder: Path, *, model: str | None = None) -> Weights:
    """Return the fitted model in a folder, every byte of it checked against the card.

    ``model``, where said, must be the one that was fitted. Raises ``UsageError`` where the folder holds no weights or
    those of another model, ``DataError`` where they are damaged, or this kinbench cannot take them up.
    """
    card = _card(folder)
    try:
        task = from_plain(card["task"]["definition"])
        selector, version = card["model"]["selector"], card["model"]["version"]
        files, digest = dict(card["files"]), card["task"]["digest"]
        weights = Weights(folder, card, task, keepable(selector))
        _ = weights.seen, weights.recordings, card["simulation"], card["seed"]  # a card without them is none
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"not a card of weights that this kinbench knows ({error!r}); train again", where=folder
        ) from error
    if model is not None and model != selector:
        raise UsageError(f"'{folder}' holds weights of '{selector}', not of '{model}'; leave --model out.")
    problems = [
        f"{name} is {'missing' if not (folder / name).is_file() else 'not what was written'}"
        for name, sha256 in files.items()
        if not (folder / name).is_file() or sha256_of(folder / name) != sha256
    ]
    if task_digest(task) != digest:
        problems.append("the task in its card is not the one that its digest names")
    if weights.model.card.version != version:
        problems.append(f"these are weights of {selector} version {version}, and version "
                        f"{weights.model.card.version} is installed")  # fmt: skip
    if problems:
        raise DataError([f"{problem}; train again" for problem in problems], where=folder)
    weights.model.load(folder / STATE)
    return weights


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _card(folder: Path) -> dict[str, Any]:
    path = folder / CARD
    if not path.is_file():
        raise UsageError(
            f"Expected a folder of weights, found no {CARD} in '{folder}'; make one with 'kinbench train'."
        )
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read ({error}); train again", where=path) from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise DataError("not a card of weights that this kinbench knows; train again", where=path)
    return card
