"""Markers, and how the motion of segments is made of them: a marker set by name, or a lab's own frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, field_validator, model_validator

from kinbench.errors import suggest
from kinbench.kinematics import PLUG_IN_GAIT
from kinbench_adapters._lab.grammar.files import Files, check_file_pattern
from kinbench_adapters._lab.grammar.values import (
    Columns,
    Facts,
    SegmentName,
    SignedAxis,
    SpanS,
    Vector,
    ordered,
)

HIPS = ("hip_r", "hip_l")
"""Points that are there without being declared, once the pelvis' markers are named."""

PLUG_IN_GAIT_MARKERS = tuple(dict.fromkeys(name for names in PLUG_IN_GAIT.values() for name in names))


class World(Facts):
    """Which way the cameras' world points: up, and the way people go where that is one way."""

    up: SignedAxis
    forward: SignedAxis | None = None

    @model_validator(mode="after")
    def _different(self) -> World:
        if self.forward is not None and self.forward[-1] == self.up[-1]:
            raise ValueError(f"up '{self.up}' and forward '{self.forward}' lie along one axis")
        return self


class StaticTrial(Files):
    """A trial of the same person and markers, standing, from which what is constant is taken."""

    span_s: SpanS | None = None

    @field_validator("span_s")
    @classmethod
    def _ordered(cls, value: SpanS | None) -> SpanS | None:
        return None if value is None else ordered(value)

    @model_validator(mode="after")
    def _one_file(self) -> StaticTrial:
        if self.files is None:
            raise ValueError("'files' is missing: the standing trial, such as '{subject}/static.trc'")
        return self


class Hips(Facts):
    """The pelvis' markers from which hip centres follow (Harrington et al. 2007): right before left."""

    asis: tuple[str, str]
    psis: Annotated[Columns, Field(min_length=1, max_length=2)]


class MarkerSegment(Facts):
    """One segment: its origin and two directions, ``[from, to]``; the first one named is kept.

    ``cluster`` are the markers that ride on it.
    """

    cluster: Columns = ()
    origin: Columns
    axes: dict[Literal["x", "y", "z"], tuple[str, str]]

    @field_validator("axes")
    @classmethod
    def _two(cls, value: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
        if len(value) != 2:
            raise ValueError("expected two of x (anterior), y (proximal), z (right), each [from, to]")
        return value

    @property
    def places(self) -> tuple[str, ...]:
        """Every marker or point that its frame needs."""
        return tuple(dict.fromkeys((*self.origin, *(name for pair in self.axes.values() for name in pair))))


class PlugInGait(Facts):
    """What is known of the person besides the markers (see ``kinbench.kinematics.plug_in_gait``)."""

    marker_diameter_m: PositiveFloat = 0.014
    leg_length_m: PositiveFloat | None = None
    asis_width_m: PositiveFloat | None = None
    knee_width_m: PositiveFloat | None = None
    ankle_width_m: PositiveFloat | None = None
    knee_axis: Literal["functional", "markers"] = "functional"


class Markers(Files):
    """Measured markers and how segments are made of them.

    ``columns`` is how a marker's name becomes columns of the file; ``names`` gives markers that the file calls
    otherwise, or their three columns. ``zero: missing`` is a file that writes 0, 0, 0 for a marker that was not seen.
    """

    set: Literal["plug_in_gait", "clusters", "frames"] = Field(
        description="plug_in_gait, clusters or frames: how segments are made of markers"
    )
    unit: Literal["mm", "cm", "m"] = Field(description="of the markers: mm, cm or m")
    columns: Vector = ("{marker}",)
    names: dict[str, Vector] = Field(default_factory=dict)
    zero: Literal["measured", "missing"] = "measured"
    static: StaticTrial | None = None
    person: PlugInGait = PlugInGait()
    hips: Hips | None = None
    points: dict[str, Columns] = Field(default_factory=dict)
    segments: dict[SegmentName, MarkerSegment] = Field(default_factory=dict)
    residual_mm: PositiveFloat = 20.0

    @model_validator(mode="after")
    def _complete(self) -> Markers:
        problems = [*(_model_problems(self) if self.set == "plug_in_gait" else _frame_problems(self))]
        if not any("{marker}" in name for name in self.columns):
            problems.append("columns: write {marker} where the marker's name stands")
        if self.files is not None:
            check_file_pattern(self.files)
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def made(self) -> frozenset[str]:
        """The points that are made of markers."""
        return frozenset(self.points) | frozenset(HIPS if self.hips is not None else ())

    @property
    def needed(self) -> tuple[str, ...]:
        """The markers to be read, by the names that the manifest uses."""
        if self.set == "plug_in_gait":
            return PLUG_IN_GAIT_MARKERS
        asked: list[str] = [name for names in self.points.values() for name in names]
        asked += [] if self.hips is None else [*self.hips.asis, *self.hips.psis]
        for segment in self.segments.values():
            asked += [*segment.cluster, *segment.places]
        return tuple(name for name in dict.fromkeys(asked) if name not in self.made)

    def columns_of(self, marker: str) -> tuple[str, ...]:
        """Return the columns of one marker in the file."""
        called = self.names.get(marker, (marker,))
        return called if len(called) > 1 else tuple(name.replace("{marker}", called[0]) for name in self.columns)


def _model_problems(markers: Markers) -> Iterator[str]:
    strange = [name for name in ("segments", "points", "hips") if getattr(markers, name)]
    if strange:
        yield f"set 'plug_in_gait' makes its own segments; leave out {', '.join(strange)}"
    for name in markers.names:
        if name not in PLUG_IN_GAIT_MARKERS:
            yield f"names: there is no Plug-in Gait marker '{name}'.{suggest(name, PLUG_IN_GAIT_MARKERS)}"


def _frame_problems(markers: Markers) -> Iterator[str]:
    if "person" in markers.model_fields_set:
        yield "'person' belongs to set 'plug_in_gait'"
    if not markers.segments:
        yield f"set '{markers.set}' needs 'segments', each with origin and axes"
    for name, segment in markers.segments.items():
        if markers.set == "clusters" and len(segment.cluster) < 3:
            yield f"segments.{name}: set 'clusters' needs a 'cluster' of three markers or more"
        if markers.set == "frames" and segment.cluster:
            yield f"segments.{name}: set 'frames' takes the frame from its markers in every sample; leave out 'cluster'"
    if markers.set == "frames" and markers.static is not None:
        yield "set 'frames' needs no 'static' trial"
    yield from _point_problems(markers)


def _point_problems(markers: Markers) -> Iterator[str]:
    """A point is the middle of markers and of points before it."""
    known: list[str] = [] if markers.hips is None else list(HIPS)
    for name, parts in markers.points.items():
        later = [part for part in parts if part in markers.points and part not in known]
        if later:
            yield f"points.{name}: '{later[0]}' is declared after it"
        known.append(name)
    used: Sequence[str] = [name for segment in markers.segments.values() for name in segment.places]
    used = [*used, *(part for parts in markers.points.values() for part in parts)]
    if markers.hips is None:
        for name in dict.fromkeys(used):
            if name in HIPS and name not in markers.points:
                yield f"'{name}' needs 'hips: {{asis: [right, left], psis: [right, left]}}', or a point of that name"
