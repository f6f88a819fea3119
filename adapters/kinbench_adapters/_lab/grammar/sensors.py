"""Sensors: the segment each sits on, where, and how it is turned."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Discriminator, FiniteFloat, Tag, field_validator, model_validator

from kinbench import schema
from kinbench.errors import suggest
from kinbench_adapters._lab.grammar.directions import Axes, check_rotation, matrix_from_axes
from kinbench_adapters._lab.grammar.values import AUTO, Columns, Facts, SegmentName, SignedAxis, SpanS, one_of, ordered

FloatArray = NDArray[np.float64]


class Calibrate(Facts):
    """Find the rotation from the sensor's own signals (seconds on the imu's clock)."""

    still_s: SpanS
    moving_s: SpanS | None = None
    axis: SignedAxis
    toward: Literal["right", "anterior"]

    @field_validator("still_s", "moving_s")
    @classmethod
    def _ordered(cls, value: SpanS | None) -> SpanS | None:
        return None if value is None else ordered(value)


def _auto_or_spans(value: object) -> object:
    if isinstance(value, str) and value != AUTO:
        hint = suggest(value, [AUTO])
        raise ValueError(f"expected 'auto', or keys still_s, moving_s, axis and toward, got '{value}'.{hint}")
    return value


AutoOrSpans = Annotated[
    Annotated[Literal["auto"], Tag("auto")] | Annotated[Calibrate, Tag("spans")],
    Discriminator(lambda value: "auto" if isinstance(value, str) else "spans"),
    BeforeValidator(_auto_or_spans),
]


class Rotation(Facts):
    """How a sensor is turned: at most one of ``axes``, ``matrix``, ``calibrate``; none is 'unknown'."""

    axes: Axes | None = None
    matrix: tuple[tuple[FiniteFloat, ...], ...] | None = None
    calibrate: AutoOrSpans | None = None
    rotation_origin: Annotated[str, one_of(schema.ROTATION_ORIGINS)] | None = None

    @field_validator("matrix")
    @classmethod
    def _matrix(cls, value: tuple[tuple[float, ...], ...] | None) -> tuple[tuple[float, ...], ...] | None:
        if value is not None:
            check_rotation(value)
        return value

    @model_validator(mode="after")
    def _one_way(self) -> Rotation:
        given = [name for name in ("axes", "matrix", "calibrate") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of axes, matrix, calibrate, not {' and '.join(given)}")
        if self.rotation_origin is not None and given not in (["axes"], ["matrix"]):
            raise ValueError("rotation_origin says where 'axes' or 'matrix' came from; there is neither")
        return self

    @property
    def stated(self) -> bool:
        """Whether a rotation, or a way to find it, is given."""
        return any(value is not None for value in (self.axes, self.matrix, self.calibrate))

    def resolved(self) -> tuple[FloatArray | None, str]:
        """Return (matrix, origin): 'nominal' for axes, 'declared' for a matrix, unless ``rotation_origin`` says."""
        if self.axes is not None:
            return matrix_from_axes(self.axes), self.rotation_origin or "nominal"
        if self.matrix is not None:
            return np.array(self.matrix, dtype=np.float64), self.rotation_origin or "declared"
        return None, "unknown"


class Sensor(Rotation):
    """One sensor: the segment it sits on, where, and how it is turned."""

    segment: SegmentName
    site: Annotated[str, one_of(schema.SITES)] = "unknown"
    level: Annotated[str, one_of(schema.LEVELS)] = "unknown"
    attachment: Annotated[str, one_of(schema.ATTACHMENTS)] | None = None
    device: str = "unknown"
    quality: Columns = ()
