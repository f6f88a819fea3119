"""Mistakes in words: what pydantic finds wrong in a manifest, as one sentence each, at its line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from kinbench.errors import suggest
from kinbench_adapters._lab.text import KeyPath, Mistake


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
