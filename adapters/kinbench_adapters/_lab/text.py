"""A manifest's text: YAML without YAML's guesses, and the line of every key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kinbench.errors import UsageError

_LARGEST_BYTES = 2**20

KeyPath = tuple[str, ...]
Mistake = tuple[int, str]
"""A line, counted from 1, and what is wrong there."""


@dataclass(frozen=True)
class ManifestText:
    """Nested dicts, lists and text (every scalar is text or None), and the line of every key path."""

    path: Path
    plain: Mapping[str, Any]
    lines: Mapping[KeyPath, int]

    def empty(self) -> Iterator[Mistake]:
        """Yield every key that has no value: whether it was to be filled in or left out, only its author knows."""
        for place, line in self.lines.items():
            if self._at(place) is None:
                yield line, f"{'.'.join(place)}: is empty; write a value, or take the key out"

    def lines_of(self, value: str) -> list[int]:
        """Return the lines of every key or item with this value, a pattern that makes it among them, in order."""
        return sorted({line for place, line in self.lines.items() if _makes(self._at(place), value)})

    def _at(self, place: KeyPath) -> Any:
        found: Any = self.plain
        for part in place:
            found = found[int(part) if isinstance(found, list) else part]
        return found

    def told(self, found: Iterable[Mistake]) -> str:
        """Return one line of text per mistake, in the manifest's order."""
        return "\n".join(f"{self.path}:{line}: {text}" for line, text in sorted(set(found)))


def _makes(asked: Any, name: str) -> bool:
    """Return whether a manifest's text is a name, or a pattern with ``{fields}`` and more that becomes it."""
    if not isinstance(asked, str) or not re.sub(r"\{\w+\}", "", asked):
        return False
    fixed = [re.escape(part) for part in re.split(r"\{\w+\}", asked)]
    return re.fullmatch(".+".join(fixed), name) is not None


def load_text(path: Path) -> ManifestText:
    """Return the text of a manifest; raises ``UsageError`` naming the line where it is not YAML with unique keys."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    if len(raw) > _LARGEST_BYTES:
        raise UsageError(f"{path}: is {len(raw)} bytes, expected a manifest of a few thousand")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}:{line}: is not UTF-8 text; save it as UTF-8") from error
    node = _compose(path, text)
    if not isinstance(node, yaml.MappingNode):
        raise UsageError(f"{path}:1: expected keys such as 'dataset:' and 'imu:', got no mapping")
    lines: dict[KeyPath, int] = {(): 1}
    return ManifestText(path, _mapping(node, (), lines, path), lines)


def _compose(path: Path, text: str) -> yaml.Node | None:
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                line = 1 if event.start_mark is None else event.start_mark.line + 1
                raise UsageError(f"{path}:{line}: *{event.anchor} refers to another place; write it out instead")
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = 1 if mark is None else mark.line + 1
        hint = "; put a value that begins with { or * in quotes" if "{" in text or "*" in text else ""
        hint = "; indent with spaces, a tab is none" if "'\\t'" in str(error.problem) else hint
        raise UsageError(f"{path}:{line}: is no YAML: {error.problem}{hint}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{path}:1: is no YAML: {error}") from error


def _mapping(node: yaml.MappingNode, place: KeyPath, lines: dict[KeyPath, int], path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise UsageError(f"{path}:{line}: expected a plain word as key; put a value that begins with {{ in quotes")
        here = (*place, key.value)
        if key.value in found:
            raise UsageError(f"{path}:{line}: {'.'.join(here)}: given twice (first on line {lines[here]})")
        lines[here] = line
        found[key.value] = _plain(value, here, lines, path)
    return found


def _plain(node: yaml.Node, place: KeyPath, lines: dict[KeyPath, int], path: Path) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, place, lines, path)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*place, str(index))] = item.start_mark.line + 1
        return [_plain(item, (*place, str(index)), lines, path) for index, item in enumerate(node.value)]
    empty = isinstance(node, yaml.ScalarNode) and node.style is None and node.value in ("", "~", "null")
    return None if empty else node.value
