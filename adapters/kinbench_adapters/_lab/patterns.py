"""File names with named fields: ``{subject}/{trial}_{sensor}.csv`` finds files and says whose they are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_TOKEN = re.compile(r"\{(?P<field>\w+)\}|(?P<deep>\*\*/?)|(?P<star>\*)|(?P<one>\?)")


@dataclass(frozen=True)
class Match:
    """One file and the fields its name holds."""

    path: Path
    fields: Mapping[str, str]


def compile_files(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a file pattern over relative paths with ``/``.

    ``{name}`` is a run of characters without ``/`` (the same text wherever the name recurs); ``*``, ``?`` and ``**`` as
    in globs.
    """
    pieces: list[str] = []
    seen: set[str] = set()
    end = 0
    for token in _TOKEN.finditer(pattern):
        pieces.append(re.escape(pattern[end : token.start()]))
        if token["field"]:
            name = token["field"]
            pieces.append(f"(?P={name})" if name in seen else f"(?P<{name}>[^/]+?)")
            seen.add(name)
        elif token["deep"]:
            pieces.append("(?:.*/)?" if token["deep"].endswith("/") else ".*")
        else:
            pieces.append("[^/]*" if token["star"] else "[^/]")
        end = token.end()
    pieces.append(re.escape(pattern[end:]))
    return re.compile("".join(pieces))


def fields_of(pattern: str) -> frozenset[str]:
    """Return the names of the fields in a file pattern."""
    return frozenset(token["field"] for token in _TOKEN.finditer(pattern) if token["field"])


def list_files(root: Path) -> tuple[str, ...]:
    """Return every file below ``root`` as a relative path with ``/``, in order; hidden ones are left out."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = Path(folder).relative_to(root)
        found += [(below / name).as_posix() for name in sorted(names) if not name.startswith(".")]
    return tuple(found)


def match_files(root: Path, pattern: str, listing: Iterable[str]) -> tuple[Match, ...]:
    """Return the files of ``listing`` (relative to ``root``) that fit ``pattern``, with their fields."""
    expression = compile_files(pattern)
    found = ((name, expression.fullmatch(name)) for name in listing)
    return tuple(Match(root / name, match.groupdict()) for name, match in found if match is not None)
