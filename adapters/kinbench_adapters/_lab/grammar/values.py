"""The kinds of values the grammar's keys take, and the base of its models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, FiniteFloat, Tag

from kinbench import schema
from kinbench.errors import suggest


class Facts(BaseModel):
    """A part of a manifest: unknown keys are mistakes, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def one_of(words: Sequence[str]) -> Any:
    """Let a key take these words only, and suggest the likely one."""

    def check(value: object) -> object:
        if not isinstance(value, str) or value not in words:
            hint = suggest(value, list(words)) if isinstance(value, str) else f" Known: {', '.join(words)}."
            raise ValueError(f"expected one of {len(words)} words, got '{value}'.{hint}")
        return value

    return check


def short_for(key: str) -> Any:
    """Let a plain word stand for a mapping whose only entry is ``key``."""
    return BeforeValidator(lambda value: {key: value} if isinstance(value, str) else value)


def as_tuple(value: object) -> object:
    """Let a plain word stand for a list of one."""
    return (value,) if isinstance(value, str) else value


def _identifier(value: object) -> object:
    if not isinstance(value, str) or not schema.IDENTIFIER.fullmatch(value):
        raise ValueError(f"expected letters, digits and . _ + - (at most 64), got '{value}'")
    return value


def _activity(value: object) -> object:
    if isinstance(value, str) and value.startswith("other:") and len(value) > len("other:"):
        return value
    if not isinstance(value, str) or value not in schema.ACTIVITIES:
        raise ValueError(f"unknown activity '{value}'; write 'other:{value}' if none of {', '.join(schema.ACTIVITIES)}")
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


Columns = Annotated[tuple[str, ...], BeforeValidator(as_tuple)]
ColumnsBySensor = Annotated[
    Annotated[Columns, Tag("alike")] | Annotated[dict[str, Columns], Tag("by_sensor")],
    Discriminator(lambda value: "by_sensor" if isinstance(value, Mapping) else "alike"),
]
"""Columns that are alike for every sensor, or each sensor's own."""
Identifier = Annotated[str, BeforeValidator(_identifier)]
Activity = Annotated[str, BeforeValidator(_activity)]
SegmentName = Annotated[str, AfterValidator(_known_segment)]
DofName = Annotated[str, AfterValidator(_known_dof)]
SpanS = tuple[FiniteFloat, FiniteFloat]
