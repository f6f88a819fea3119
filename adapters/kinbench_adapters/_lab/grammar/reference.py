"""The reference: joint angles, or the orientations of segments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, FiniteFloat, field_validator, model_validator

from kinbench import schema
from kinbench_adapters._lab.grammar.directions import matrix_from_axes
from kinbench_adapters._lab.grammar.files import Files, clock_problems
from kinbench_adapters._lab.grammar.values import (
    Columns,
    DofName,
    Facts,
    SegmentName,
    SpanS,
    as_tuple,
    one_of,
    ordered,
    short_for,
)


class Angle(Facts):
    """One joint coordinate: value = sign * column + zero_deg."""

    column: str
    sign: Literal["1", "-1", "+1"] = "1"
    zero_deg: FiniteFloat = 0.0


def _four(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(value) not in (1, 4):
        raise ValueError("expected 4 columns, or one that holds 4 numbers")
    return value


class SegmentOrientation(Facts):
    """One segment's quaternion and how its axes lie in the body."""

    columns: Annotated[Columns, AfterValidator(_four)]
    axes: Mapping[str, str]

    @field_validator("axes")
    @classmethod
    def _axes(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        matrix_from_axes(value)
        return value


class ReferenceQuaternion(Facts):
    """How the reference's quaternions are written, and the world they live in."""

    order: Literal["wxyz", "xyzw"]
    maps: Literal["segment_to_world", "world_to_segment"]
    up: Literal["x", "y", "z", "-x", "-y", "-z"]
    forward: Literal["x", "y", "z", "-x", "-y", "-z"] | None = None

    @model_validator(mode="after")
    def _different(self) -> ReferenceQuaternion:
        if self.forward is not None and self.forward[-1] == self.up[-1]:
            raise ValueError(f"up '{self.up}' and forward '{self.forward}' lie along one axis")
        return self


class MaskedSpan(Facts):
    """Seconds of the reference (on its own clock) that are not to be believed."""

    span_s: SpanS
    reason: str
    dofs: Annotated[tuple[DofName, ...], BeforeValidator(as_tuple)] = ()

    @field_validator("span_s")
    @classmethod
    def _ordered(cls, value: SpanS) -> SpanS:
        return ordered(value)


class Reference(Files):
    """The measured truth: joint angles, or segment orientations from which they follow.

    Without ``files`` it stands in the imu's own files, on the imu's clock.
    """

    tier: Annotated[str, BeforeValidator(one_of(schema.TIERS))] = Field(
        description=f"how it was measured: {', '.join(schema.TIERS)}"
    )
    convention: Annotated[str, BeforeValidator(one_of(schema.CONVENTIONS))] | None = None
    unit: Literal["deg", "rad"] | None = None
    angles: dict[DofName, Annotated[Angle, short_for("column")]] = Field(default_factory=dict)
    quat: ReferenceQuaternion | None = None
    segments: dict[SegmentName, SegmentOrientation] = Field(default_factory=dict)
    optional: bool = False
    masks: tuple[MaskedSpan, ...] = ()

    @model_validator(mode="after")
    def _either(self) -> Reference:
        if bool(self.angles) == bool(self.segments):
            raise ValueError("expected either 'angles' or 'segments'")
        if self.angles and (self.convention is None or self.unit is None):
            raise ValueError(f"'angles' need 'unit' (deg or rad) and 'convention' ({', '.join(schema.CONVENTIONS)})")
        if self.segments and self.quat is None:
            raise ValueError("'segments' need 'quat' (order, maps, up and, if known, forward)")
        problems = list(clock_problems(self, self.files))
        if self.files is not None and "{sensor}" in self.files:
            problems.append("'files' cannot hold {sensor}: a reference belongs to the whole recording")
        own = (self.reader, self.rate_hz, self.time, self.start_s)
        if self.files is None and (self.optional or any(value is not None for value in own)):
            problems.append("without 'files' the reference stands in the imu's files, on the imu's clock")
        if problems:
            raise ValueError("; ".join(problems))
        return self
