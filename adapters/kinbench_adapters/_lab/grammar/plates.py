"""Force plates: what they measured, in which unit, and on whom the force acts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from kinbench_adapters._lab.grammar.files import Files, clock_problems
from kinbench_adapters._lab.grammar.values import Vector


class GroundReaction(Files):
    """Ground reaction forces, by plate, in the axes of the reference's ``world``.

    ``acts_on: plate`` is a file of the forces that the plates felt, which point down under a person who stands.
    """

    unit: Literal["N", "kN"] = Field(description="of the forces: N or kN")
    acts_on: Literal["person", "plate"] = "person"
    plates: dict[str, Vector] = Field(min_length=1)
    optional: bool = False

    @model_validator(mode="after")
    def _clock(self) -> GroundReaction:
        problems = list(clock_problems(self, self.files))
        own = (self.reader, self.rate_hz, self.time, self.start_s)
        if self.files is None and (self.optional or any(value is not None for value in own)):
            problems.append("without 'files' the plates stand in the reference's file, on its clock")
        if problems:
            raise ValueError("; ".join(problems))
        return self
