"""What may be said of recordings one by one: how their clocks stand, and what differs for some."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, PositiveFloat, model_validator

from kinbench_adapters._lab.grammar.reference import MaskedSpan
from kinbench_adapters._lab.grammar.sensors import Rotation
from kinbench_adapters._lab.grammar.values import Activity, Columns, Facts, one_of

WAYS = ("rate", "hops", "orientation")
"""What may be compared to find how the clocks stand; ``kinbench.alignment.WAYS`` says what each needs."""


class SyncFacts(Facts):
    """How the two clocks stand to each other (see ``kinbench.recording.Sync``)."""

    method: Literal["hardware", "same_clock", "declared", "estimated"]
    offset_s: FiniteFloat | None = None
    search_s: PositiveFloat = 2.0
    by: Annotated[str, one_of(WAYS)] = "rate"

    @model_validator(mode="after")
    def _offset(self) -> SyncFacts:
        if self.method == "declared" and self.offset_s is None:
            raise ValueError("method 'declared' needs 'offset_s': start of the reference minus start of the imu, in s")
        if self.method != "declared" and self.offset_s is not None:
            raise ValueError(f"'offset_s' goes with method 'declared', not with '{self.method}'")
        return self


class SensorOverride(Rotation):
    """What differs for one sensor in some recordings."""

    quality: Columns = ()


class Override(Facts):
    """What differs for the recordings whose subject/session/trial fits the pattern; later patterns win."""

    activity: Activity | None = None
    sync: SyncFacts | None = None
    masks: tuple[MaskedSpan, ...] = ()
    sensors: dict[str, SensorOverride] = Field(default_factory=dict)
    quality: Columns = ()
    exclude: str | None = None
