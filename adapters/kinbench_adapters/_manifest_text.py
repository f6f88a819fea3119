"""A manifest's text: YAML without YAML's guesses, the line of every key, and mistakes in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic_core import ErrorDetails

from kinbench.errors import UsageError, suggest

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

    def told(self, found: Iterable[Mistake]) -> str:
        """Return one line of text per mistake, in the manifest's order."""
        return _told(self.path, found)


def _told(path: Path, found: Iterable[Mistake]) -> str:
    return "\n".join(f"{path}:{line}: {text}" for line, text in sorted(set(found)))


# --- YAML with line numbers ------------------------------------------------------------------------------------------


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


# --- mistakes in words -----------------------------------------------------------------------------------------------


def mistakes(found: Sequence[ErrorDetails], model: type[BaseModel], lines: Mapping[KeyPath, int]) -> Iterator[Mistake]:
    """Yield the line and the sentence of each of pydantic's findings about ``model``.

    A key that is missing because it is misspelt is told once, as the misspelt one.
    """
    misspelt = {place for details in found if (place := _meant(details, model)) is not None}
    for details in found:
        location = tuple(str(part) for part in details["loc"])
        if details["type"] == "missing" and location in misspelt:
            continue
        here = _place(location, lines)
        shown = ".".join((*here, location[-1]) if details["type"] == "missing" else here)
        sentence = _sentence(details, _model_at(model, location[:-1]))
        yield lines[here], f"{shown}: {sentence}" if shown else sentence


def _place(location: Iterable[str], lines: Mapping[KeyPath, int]) -> KeyPath:
    """Return the key path that pydantic's location means, which also names the kinds of values it tried."""
    place: KeyPath = ()
    for part in location:
        if (*place, part) in lines:
            place = (*place, part)
    return place


def _meant(details: ErrorDetails, model: type[BaseModel]) -> KeyPath | None:
    """Return the key path that an unknown key was meant to be, where one is close."""
    if details["type"] != "extra_forbidden":
        return None
    *parents, name = (str(part) for part in details["loc"])
    close = get_close_matches(name, tuple(_model_at(model, parents).model_fields), n=1, cutoff=0.6)
    return (*parents, close[0]) if close else None


def _sentence(details: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context, value = details["type"], details.get("ctx", {}), details["input"]
    name = str(details["loc"][-1]) if details["loc"] else ""
    if kind == "extra_forbidden":
        return f"unknown key.{suggest(name, tuple(model.model_fields))}"
    if kind == "missing":
        field = model.model_fields.get(name)
        return "is missing" + (f" ({field.description})" if field is not None and field.description else "")
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        words = re.findall(r"'([^']*)'", str(context["expected"]))
        return f"expected {context['expected']}, got '{value}'.{suggest(str(value), words)}"
    got = "nothing" if value is None else f"'{value}'" if isinstance(value, str) else f"a {_kind_of(value)}"
    return f"{_EXPECTED.get(kind, details['msg'])}, got {got}"


_EXPECTED = {
    "float_parsing": "expected a number",
    "float_type": "expected a number",
    "int_parsing": "expected a whole number",
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
    "string_type": "expected text",
    "finite_number": "expected a finite number",
    "greater_than": "expected a number above 0",
    "greater_than_equal": "expected 0 or more",
    "model_type": "expected keys below it",
    "model_attributes_type": "expected keys below it",
    "dict_type": "expected keys below it",
    "mapping_type": "expected keys below it",
    "tuple_type": "expected a list in [ ]",
    "too_short": "expected at least one entry",
    "too_long": "expected a shorter list",
}


def _kind_of(value: object) -> str:
    return "mapping" if isinstance(value, dict) else "list" if isinstance(value, (list, tuple)) else "value"


def _model_at(root: type[BaseModel], location: Iterable[str]) -> type[BaseModel]:
    """Return the model that stands at a key path, following mappings, lists and optional values."""
    model = root
    annotation: Any = root
    for part in location:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            if part not in annotation.model_fields:
                continue
            field = annotation.model_fields[part].annotation
            inner = next(_models_in(field), None)
            annotation = field if get_origin(field) in (dict, tuple) else inner
        else:
            annotation = next(_models_in(annotation), None)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for argument in get_args(annotation):
        yield from _models_in(argument)
