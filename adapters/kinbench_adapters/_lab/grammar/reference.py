"""The reference: joint angles, the orientations of segments, or markers that OpenSim makes joint angles of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    FiniteFloat,
    NonNegativeFloat,
    field_validator,
    model_validator,
)

from kinbench import schema
from kinbench_adapters._lab.grammar.directions import matrix_from_axes
from kinbench_adapters._lab.grammar.files import SUFFIXES, Files, check_file_pattern, clock_problems
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


_OF_MARKER_IK = {"tier": "optical_marker_ik", "convention": "opensim_coordinate", "unit": "deg"}
"""What OpenSim's coordinates from markers are, so that nobody needs to say it."""


class OpensimIk(Facts):
    """A request to have OpenSim follow the markers with a scaled model; the angles' columns are its coordinates."""

    model: str
    weights: dict[str, NonNegativeFloat] = Field(default_factory=dict)

    @field_validator("model")
    @classmethod
    def _one_file(cls, value: str) -> str:
        check_file_pattern(value)
        if "*" in value or "?" in value or "{sensor}" in value:
            raise ValueError("expected one file per recording: fields {subject}, {session}, {trial}, and no * or ?")
        return value


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

    tier: Annotated[str, one_of(schema.TIERS)] = Field(
        description=f"how it was measured: {', '.join(schema.TIERS)}"
    )
    convention: Annotated[str, one_of(schema.CONVENTIONS)] | None = None
    unit: Literal["deg", "rad"] | None = None
    angles: dict[DofName, Annotated[Angle, short_for("column")]] = Field(default_factory=dict)
    opensim_ik: Annotated[OpensimIk | None, short_for("model")] = None
    quat: ReferenceQuaternion | None = None
    segments: dict[SegmentName, SegmentOrientation] = Field(default_factory=dict)
    optional: bool = False
    masks: tuple[MaskedSpan, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _marker_ik(cls, value: Any) -> Any:
        """Say what goes without saying of OpenSim's coordinates."""
        return {**_OF_MARKER_IK, **value} if isinstance(value, dict) and "opensim_ik" in value else value

    @model_validator(mode="after")
    def _either(self) -> Reference:
        if bool(self.angles) == bool(self.segments):
            raise ValueError("expected either 'angles' or 'segments'")
        if self.angles and (self.convention is None or self.unit is None):
            raise ValueError(f"'angles' need 'unit' (deg or rad) and 'convention' ({', '.join(schema.CONVENTIONS)})")
        if self.segments and self.quat is None:
            raise ValueError("'segments' need 'quat' (order, maps, up and, if known, forward)")
        problems = [*clock_problems(self, self.files), *_marker_ik_problems(self)]
        if self.files is not None and "{sensor}" in self.files:
            problems.append("'files' cannot hold {sensor}: a reference belongs to the whole recording")
        own = (self.reader, self.rate_hz, self.time, self.start_s)
        if self.files is None and (self.optional or any(value is not None for value in own)):
            problems.append("without 'files' the reference stands in the imu's files, on the imu's clock")
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _marker_ik_problems(reference: Reference) -> Iterator[str]:
    if reference.opensim_ik is None:
        return
    files = reference.files or ""
    reader = reference.reader.name if reference.reader is not None else SUFFIXES.get(Path(files).suffix.lower())
    if reader != "trc":
        yield "'opensim_ik' needs 'files' of measured markers (.trc)"
    if not reference.angles:
        yield "'opensim_ik' gives 'angles', not 'segments': name the model's coordinate for each DoF"
    if reference.time is not None:
        yield "a .trc has a clock of its own; leave out 'time'"
    for key, only in _OF_MARKER_IK.items():
        if getattr(reference, key) != only:
            yield f"'{key}' is {only} where OpenSim follows markers; leave it out"
