"""The kinds of values the grammar's keys take, and the base of its models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    FiniteFloat,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Tag,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

from kinbench import schema
from kinbench.errors import suggest


class Facts(BaseModel):
    """A part of a manifest: unknown keys are mistakes, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class _OneOf:
    """Let a key take these words only, and suggest the likely one; an editor is told all of them."""

    words: tuple[str, ...]

    def __call__(self, value: object) -> object:
        if not isinstance(value, str) or value not in self.words:
            known = list(self.words)
            hint = suggest(value, known) if isinstance(value, str) else f" Known: {', '.join(known)}."
            raise ValueError(f"expected one of {len(known)} words, got '{value}'.{hint}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.words)}


def one_of(words: Sequence[str]) -> Any:
    """Let a key take these words only, and suggest the likely one: to stand behind ``str`` in an ``Annotated``."""
    return _OneOf(tuple(words))


@dataclass(frozen=True)
class _OrWord:
    """Let a plain word stand for something longer, ``meant(word)``; an editor is told that either will do."""

    meant: Callable[[str], object]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            lambda value: self.meant(value) if isinstance(value, str) else value, handler(source)
        )

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, handler(core)]}


def short_for(key: str) -> Any:
    """Let a plain word stand for a mapping whose only entry is ``key``."""
    return _OrWord(lambda value: {key: value})


def as_tuple(value: object) -> object:
    """Let a plain word stand for a list of one."""
    return (value,) if isinstance(value, str) else value


def _identifier(value: object) -> object:
    if not isinstance(value, str) or not schema.IDENTIFIER.fullmatch(value):
        raise ValueError(f"expected letters, digits and . _ + - (at most 64), got '{value}'")
    return value


AUTO = "auto"
"""In place of what the author cannot say: it is found from the signals."""


def _activity(value: object) -> object:
    if value == AUTO:
        return value
    if isinstance(value, str) and value.startswith("other:") and len(value) > len("other:"):
        return value
    if not isinstance(value, str) or value not in schema.ACTIVITIES:
        raise ValueError(
            f"unknown activity '{value}'; write 'other:{value}' if none of {', '.join(schema.ACTIVITIES)}; "
            "or 'auto', to have mixed tasks told apart by the sensors"
        )
    return value


def _known_segment(value: str) -> str:
    name = schema.SEGMENT_ALIASES.get(value.lower(), value)
    if name not in schema.SEGMENTS:
        raise ValueError(f"unknown segment '{value}'.{suggest(value, schema.SEGMENTS)}")
    return name


def _known_dof(name: str) -> str:
    if name not in schema.DOFS:
        raise ValueError(f"unknown DoF '{name}'.{suggest(name, tuple(schema.DOFS))}")
    return name


def ordered(value: SpanS) -> SpanS:
    """Return a span of seconds; raises ``ValueError`` where it ends before it begins."""
    if not value[0] < value[1]:
        raise ValueError(f"expected [start, stop] with start before stop, got {list(value)}")
    return value


def _three(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(value) not in (1, 3):
        raise ValueError("expected 3 columns, or one that holds 3 numbers")
    return value


Columns = Annotated[tuple[str, ...], _OrWord(as_tuple)]
Vector = Annotated[Columns, AfterValidator(_three)]
"""Columns of a vector: three, or one that holds three numbers a row."""
ColumnsBySensor = Annotated[
    Annotated[Columns, Tag("alike")] | Annotated[dict[str, Columns], Tag("by_sensor")],
    Discriminator(lambda value: "by_sensor" if isinstance(value, Mapping) else "alike"),
]
"""Columns that are alike for every sensor, or each sensor's own."""
Identifier = Annotated[
    str, BeforeValidator(_identifier), WithJsonSchema({"type": "string", "pattern": f"^{schema.IDENTIFIER.pattern}$"})
]
Activity = Annotated[
    str,
    BeforeValidator(_activity),
    WithJsonSchema({"anyOf": [{"enum": [*schema.ACTIVITIES, AUTO]}, {"type": "string", "pattern": "^other:."}]}),
]
SegmentName = Annotated[
    str,
    AfterValidator(_known_segment),
    WithJsonSchema({"type": "string", "enum": [*schema.SEGMENTS, *schema.SEGMENT_ALIASES]}),
]
DofName = Annotated[str, AfterValidator(_known_dof), WithJsonSchema({"type": "string", "enum": list(schema.DOFS)})]
SpanS = tuple[FiniteFloat, FiniteFloat]
SignedAxis = Literal["x", "y", "z", "-x", "-y", "-z"]
