"""The reference: joint angles, orientations of segments, markers that either is made of, and force plates."""

from __future__ import annotations

from collections.abc import Iterator
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
from kinbench_adapters._lab.grammar.directions import Axes
from kinbench_adapters._lab.grammar.files import SUFFIXES, Files, check_file_pattern, clock_problems
from kinbench_adapters._lab.grammar.markers import Markers, World
from kinbench_adapters._lab.grammar.moments import Moments
from kinbench_adapters._lab.grammar.plates import GroundReaction
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
    axes: Axes


class ReferenceQuaternion(World):
    """How the reference's quaternions are written, and the world they live in."""

    order: Literal["wxyz", "xyzw"]
    maps: Literal["segment_to_world", "world_to_segment"]


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
    """The measured truth: joint angles, segment orientations from which they follow, markers of which these are made.

    Without ``files`` it stands in the imu's own files, on the imu's clock. Ground reactions may go with it, or be all
    there is.
    """

    tier: Annotated[str, one_of(schema.TIERS)] | None = Field(
        default=None, description=f"how it was measured: {', '.join(schema.TIERS)}"
    )
    convention: Annotated[str, one_of(schema.CONVENTIONS)] | None = None
    unit: Literal["deg", "rad"] | None = None
    angles: dict[DofName, Annotated[Angle, short_for("column")]] = Field(default_factory=dict)
    opensim_ik: Annotated[OpensimIk | None, short_for("model")] = None
    quat: ReferenceQuaternion | None = None
    segments: dict[SegmentName, SegmentOrientation] = Field(default_factory=dict)
    world: World | None = None
    markers: Markers | None = None
    grf: GroundReaction | None = None
    moments: Moments | None = None
    optional: bool = False
    masks: tuple[MaskedSpan, ...] = ()

    @property
    def in_files(self) -> bool:
        """Whether any of it stands in files of its own."""
        return any(part is not None and part.files is not None for part in (self, self.markers, self.grf))

    @property
    def directions(self) -> World | None:
        """Which way the reference's world points, where that is told."""
        return self.quat if self.quat is not None else self.world

    @model_validator(mode="before")
    @classmethod
    def _marker_ik(cls, value: Any) -> Any:
        """Say what goes without saying of OpenSim's coordinates."""
        return {**_OF_MARKER_IK, **value} if isinstance(value, dict) and "opensim_ik" in value else value

    @model_validator(mode="after")
    def _complete(self) -> Reference:
        problems = [
            *_content_problems(self),
            *_world_problems(self),
            *clock_problems(self, self.files),
            *_marker_ik_problems(self),
            *_file_problems(self),
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self


_TAKEN_APART = ("isb_zxy", "calgary_clinic")
"""Conventions in which the engine takes joint angles from segments."""


def _content_problems(reference: Reference) -> Iterator[str]:
    kinematic = bool(reference.angles or reference.segments or reference.markers)
    if not kinematic and reference.grf is None:
        yield "expected either 'angles' or 'segments', or 'markers' or 'grf'"
    if reference.moments is not None and (not kinematic or reference.opensim_ik is not None):
        yield "'moments' stand in the file of 'angles', 'segments' or 'markers', and there is none of these"
    if reference.angles and reference.segments:
        yield "expected either 'angles' or 'segments'"
    if reference.segments and reference.markers:
        yield "expected either 'segments' (orientations in the file) or 'markers' (from which they are made)"
    if kinematic and reference.tier is None:
        yield f"'tier' is missing (how it was measured: {', '.join(schema.TIERS)})"
    if reference.angles and (reference.convention is None or reference.unit is None):
        yield f"'angles' need 'unit' (deg or rad) and 'convention' ({', '.join(schema.CONVENTIONS)})"
    if not reference.angles and reference.convention not in (None, *_TAKEN_APART):
        known = " or ".join(_TAKEN_APART)
        yield f"joint angles are taken from segments by convention {known}, not '{reference.convention}'"
    if reference.segments and reference.quat is None:
        yield "'segments' need 'quat' (order, maps, up and, if known, forward)"


def _world_problems(reference: Reference) -> Iterator[str]:
    if reference.world is not None and reference.quat is not None:
        yield "'world' and 'quat' both say where up is; leave out 'world'"
    if reference.directions is None and (reference.markers is not None or reference.grf is not None):
        yield "'markers' and 'grf' need 'world' (up and, if people go one way, forward)"


def _file_problems(reference: Reference) -> Iterator[str]:
    if reference.files is not None and "{sensor}" in reference.files:
        yield "'files' cannot hold {sensor}: a reference belongs to the whole recording"
    markers = reference.markers
    own = (reference.reader, reference.rate_hz, reference.time, reference.start_s)
    if reference.files is None and (reference.optional or any(value is not None for value in own)):
        yield "without 'files' the reference stands in the imu's files, on the imu's clock"
    if reference.angles and markers is not None and markers.files is None:
        yield "where 'angles' are measured too, 'markers' need 'files' of their own"
    if markers is not None and not reference.angles and markers.files is not None:
        yield "markers: write 'files' under reference, since nothing else stands there"


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
