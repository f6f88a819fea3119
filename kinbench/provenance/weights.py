"""A trained model on disk: its card, which says what it is and whom it knows, and what the model wrote itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from kinbench import plugins
from kinbench.contracts import Model
from kinbench.errors import DataError, UsageError
from kinbench.protocol import Seen
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
    """A trained model and its card; one that was only pre-trained has no answer yet (``fitted`` False).

    ``seen`` are the persons it knows, ``recordings`` the content digests of theirs; both None where its weights began
    from others of which nobody wrote down whom they know.
    """

    folder: Path
    card: Mapping[str, Any]
    task: Task
    model: Keepable

    @property
    def selector(self) -> str:
        """The model as it was asked for, settings included."""
        return str(self.card["model"]["selector"])

    @property
    def fitted(self) -> bool:
        """Whether it has learnt answers, and not only what inputs look like."""
        return bool(self.card.get("stage", "fitted") == "fitted")

    @property
    def seen(self) -> frozenset[str]:
        """Everybody whom any stage of its training is known to have seen, as ``dataset/subject``."""
        return frozenset(person for card in _lineage(self.card) for person in _persons(card))

    @property
    def recordings(self) -> frozenset[str]:
        """The content digests of the recordings that any stage of its training is known to have seen."""
        return frozenset(
            digest
            for card in _lineage(self.card)
            for store in card["stores"]
            for digest in store["recordings"].values()
        )

    @property
    def unknown(self) -> str | None:
        """The weights that it goes back to of which nobody wrote down the persons, None where all is known."""
        return unknown_in(self.card)


def keepable(selector: str) -> Keepable:
    """Return a fresh model; raises ``UsageError`` for one that cannot be kept on disk."""
    model = plugins.create("models", selector)
    if not isinstance(model, Keepable):
        raise UsageError(f"The model '{selector}' has no save and load, so its weights cannot be kept.")
    return model


def open_weights(folder: Path, *, model: str | None = None) -> Weights:
    """Return the fitted model in a folder, every byte of it checked against the card.

    ``model``, where said, must be the one that was fitted. Raises ``UsageError`` where the folder holds no weights,
    those of another model, or some that are pre-trained only; ``DataError`` where they are damaged, or this kinbench
    cannot take them up.
    """
    weights = _checked(folder)
    if model is not None and model != weights.selector:
        raise UsageError(f"'{folder}' holds weights of '{weights.selector}', not of '{model}'; leave --model out.")
    if not weights.fitted:
        raise UsageError(
            f"'{folder}' holds weights of '{weights.selector}' that were pre-trained and never fitted, so they have no "
            "answer; go on from them with 'kinbench finetune' or 'kinbench run -m model@FOLDER'."
        )
    weights.model.load(folder / STATE)
    return weights


def read_card(folder: Path) -> dict[str, Any]:
    """Return the card of a folder of weights, whose every byte is what the card says; errors as ``open_weights``."""
    return dict(_checked(folder).card)


def _checked(folder: Path) -> Weights:
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
    return weights


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


# --- whom weights know -----------------------------------------------------------------------------------------------


def seen_by(card: Mapping[str, Any], what: str) -> Seen | None:
    """Return whom the weights of a card, and those that they began from, have seen; None where that is not known."""
    if unknown_in(card) is not None:
        return None
    cards = list(_lineage(card))
    stores = [store for one in cards for store in one["stores"]]
    return Seen(
        what,
        persons=tuple(sorted({person for one in cards for person in _persons(one)})),
        recordings={digest: key for store in stores for key, digest in store["recordings"].items()},
        samples={
            int(number, 16): key
            for store in stores
            for key, numbers in store.get("samples", {}).items()
            for number in numbers
        },
    )


def unknown_in(card: Mapping[str, Any]) -> str | None:
    """Return the name of weights without a card that those of ``card`` go back to, None where there are none."""
    for one in _lineage(card):
        began = one.get("began_from")
        if began is not None and began["card"] is None:
            return str(began["name"])
    return None


def liked_by(card: Mapping[str, Any]) -> dict[str, str]:
    """Return the stores by whose inputs those of pre-training were weighted: digests by name, the last stage first."""
    return {str(like["store"]): str(like["digest"]) for one in _lineage(card) if (like := one.get("like"))}


def _lineage(card: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a card, then that of the weights that these began from, and so on."""
    while True:
        yield card
        began = card.get("began_from")
        if began is None or began["card"] is None:
            return
        card = began["card"]


def _persons(card: Mapping[str, Any]) -> list[str]:
    return [person for role in card["persons"].values() for person in role]


# --- files -----------------------------------------------------------------------------------------------------------


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests_of(folder: Path, below: str = "") -> dict[str, str]:
    """Return the sha256 of every file of a folder, or of one below it, by its path in the folder."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in sorted((folder / below).rglob("*"))
        if path.is_file()
    }
