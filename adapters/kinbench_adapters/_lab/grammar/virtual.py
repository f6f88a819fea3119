"""Virtual sensors: where they ride on the segments that markers or a motion capture system followed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, FiniteFloat, PositiveFloat, model_validator

from kinbench import schema
from kinbench_adapters._lab.grammar.directions import Axes
from kinbench_adapters._lab.grammar.values import Columns, Facts, SegmentName, one_of


class VirtualSensor(Facts):
    """One virtual sensor: its segment, and its place by ``site`` and ``level``, by ``at`` or by ``offset_m``.

    ``at`` is a marker or point of the manifest, several are their middle. ``axes`` are the sensor's, the segment's own
    unless said.
    """

    segment: SegmentName
    site: Annotated[str, one_of(schema.SITES)] = "unknown"
    level: Annotated[str, one_of(schema.LEVELS)] = "unknown"
    offset_m: tuple[FiniteFloat, FiniteFloat, FiniteFloat] | None = None
    at: Columns = ()
    axes: Axes | None = None

    @model_validator(mode="after")
    def _one_place(self) -> VirtualSensor:
        if self.at and self.offset_m is not None:
            raise ValueError("give one of 'at' and 'offset_m'")
        if not self.at and self.offset_m is None and self.site == "unknown":
            raise ValueError("say where it sits: 'site' (and 'level'), 'at' a marker, or 'offset_m'")
        return self


class Virtual(Facts):
    """The virtual sensors of a lab without real ones, and the low-pass of the motion that they feel."""

    sensors: dict[str, VirtualSensor] = Field(min_length=1)
    cutoff_hz: PositiveFloat | None = None
    length_m: dict[SegmentName, PositiveFloat] = Field(default_factory=dict)

    @property
    def places(self) -> tuple[str, ...]:
        """Every marker or point at which a sensor sits."""
        return tuple(dict.fromkeys(name for sensor in self.sensors.values() for name in sensor.at))
