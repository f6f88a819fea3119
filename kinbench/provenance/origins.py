"""Where a model begins: ``model[settings]@WEIGHTS`` taken apart, and the weights told from a folder or a name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinbench import plugins
from kinbench.contracts import Model, StartedModel
from kinbench.errors import DataError, KinbenchError, UsageError, suggest
from kinbench.files import digest
from kinbench.protocol import Seen
from kinbench.provenance.registry import located
from kinbench.provenance.weights import CARD, STATE, digests_of, read_card, seen_by, unknown_in

_SELECTOR = re.compile(r"(?P<model>[^\[\]@]*(\[[^\[\]]*\])?)(@(?P<weights>.+))?", re.DOTALL)


@dataclass(frozen=True)
class Origin:
    """Weights that a model begins from.

    ``name`` stands in results; ``folder`` is what ``begin`` is given; ``sha256`` is over the digests of all files.
    ``card`` is None where nobody wrote one, as for published files: then it is not known whom they have seen.
    """

    name: str
    folder: Path
    sha256: str
    card: Mapping[str, Any] | None

    @property
    def seen(self) -> Seen | None:
        """Whom the weights have seen; None where that is not known."""
        return None if self.card is None else seen_by(self.card, f"the weights '{self.name}'")

    @property
    def unknown(self) -> str | None:
        """Of which weights nobody wrote down the persons: these, or those they go back to; None where all is known."""
        return self.name if self.card is None else unknown_in(self.card)

    def plain(self) -> dict[str, Any]:
        """Return what the card of weights that go on from these says of them."""
        return {"name": self.name, "sha256": self.sha256, "card": None if self.card is None else dict(self.card)}


def split(selector: str) -> tuple[str, str | None]:
    """Return (model with its settings, weights or None) of ``model[settings]@WEIGHTS``; raises ``UsageError``."""
    match = _SELECTOR.fullmatch(selector.strip())
    if match is None or (match["weights"] and not match["model"]):
        raise UsageError(
            f"Expected a model as 'name', 'name[key=value,...]' or either with '@WEIGHTS', got '{selector}'."
        )
    return match["model"], match["weights"]


def origin_of(weights: str | Path, *, cache: Path) -> Origin:
    """Return the weights in a folder, else those that an installed package offers under this name.

    What has a card is checked against it, byte by byte. Raises ``UsageError`` where there is neither, or where offered
    weights were not fetched yet; ``DataError`` for damaged ones.
    """
    folder, name = Path(weights), Path(weights).resolve().name
    if not folder.is_dir():
        offered = plugins.find("weights")
        if str(weights) not in offered:
            raise UsageError(
                f"Expected weights: a folder, or a name that 'kinbench weights list' shows; '{weights}' is neither."
                f"{suggest(str(weights), list(offered)) if offered else ''}"
            )
        folder, name = located(str(weights), cache=cache), str(weights)
    files = digests_of(folder)
    if not files:
        raise UsageError(f"Expected weights, found an empty folder at '{weights}'.")
    if not (folder / CARD).is_file():
        return Origin(name, folder, digest(files), None)
    card = read_card(folder)
    return Origin(name, folder / STATE, digest(files), card)


def begin(model: Model, origin: Origin, selector: str) -> None:
    """Let a fresh model take up weights.

    Raises ``UsageError`` for a model that has no ``begin``, ``DataError`` where the weights do not fit it.
    """
    if not isinstance(model, StartedModel):
        raise UsageError(
            f"The model '{selector}' cannot begin from weights: it has no 'begin'. Leave '@{origin.name}' out."
        )
    try:
        model.begin(origin.folder)
    except KinbenchError:
        raise
    except Exception as error:  # whatever a plugin does, it is told as the plugin's doing
        raise DataError(
            f"the model '{selector}' could not take up these weights: {type(error).__name__}: {error}",
            where=origin.folder,
        ) from error
