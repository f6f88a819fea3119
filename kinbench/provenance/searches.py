"""A search for a model's settings as it stands on disk: every trial, what it cost, and whom it saw."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinbench.errors import DataError, UsageError
from kinbench.protocol import Seen
from kinbench.provenance.weights import sha256_of

SEARCH = "search.json"
"""The file that a search writes, after every trial."""
SEARCH_FORMAT = 1


@dataclass(frozen=True)
class Search:
    """A search that was made: ``plain`` is all of its file."""

    path: Path
    sha256: str
    plain: Mapping[str, Any]

    @property
    def selector(self) -> str:
        """The model with the best settings found, as it is asked for."""
        return str(self.plain["best"]["selector"])

    @property
    def trials(self) -> int:
        """How many settings were tried."""
        return len(self.plain["trials"])

    @property
    def seed(self) -> int:
        """The seed of the sampler and of every fit."""
        return int(self.plain["seed"])

    @property
    def seen(self) -> Seen:
        """Whom the search saw: whoever was fitted on, or judged by, in choosing the settings."""
        stores = self.plain["stores"]
        return Seen(
            f"the search '{self.path.parent.resolve().name}/{self.path.name}'",
            persons=tuple(sorted({person for role in self.plain["persons"].values() for person in role})),
            recordings={digest: key for store in stores for key, digest in store["recordings"].items()},
            samples={
                int(number, 16): key
                for store in stores
                for key, numbers in store["samples"].items()
                for number in numbers
            },
        )


def read_search(path: Path) -> Search:
    """Return the search in a file, or in a folder that ``kinbench search`` wrote.

    Raises ``UsageError`` where there is none, ``DataError`` where it cannot be read or found no settings.
    """
    path = path / SEARCH if path.is_dir() else path
    if not path.is_file():
        raise UsageError(f"Expected a search, found nothing at '{path}'; make one with 'kinbench search'.")
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(plain, dict) or plain.get("format") != SEARCH_FORMAT:
            raise ValueError(f"expected format {SEARCH_FORMAT}")
        search = Search(path, sha256_of(path), plain)
        best = plain["best"]
        _ = search.trials, search.seed, search.seen, plain["space"], plain["model"]["selector"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"not a search that this kinbench knows ({error}); search again", where=path) from error
    if best is None:
        raise DataError("no trial of this search came to a score, so there are no settings to take", where=path)
    return search
