"""Joint moments: which column holds which, and what they were divided by."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from kinbench import schema
from kinbench.errors import suggest
from kinbench_adapters._lab.grammar.values import Facts, short_for


class MomentColumn(Facts):
    """One moment: value = sign * column."""

    column: str
    sign: Literal["1", "-1", "+1"] = "1"


def _known(name: str) -> str:
    if name not in schema.MOMENTS:
        raise ValueError(f"there is no moment '{name}'.{suggest(name, list(schema.MOMENTS))}")
    return name


MomentName = Annotated[
    str, AfterValidator(_known), WithJsonSchema({"type": "string", "enum": list(schema.MOMENTS)})
]  # fmt: skip


class Moments(Facts):
    """External joint moments in the reference's own file: what the ground does to the joint, not what muscles do.

    ``%BW BH`` is percent of body weight times body height; it and ``N m/kg`` need the person's mass (and height).
    """

    unit: Literal["N m", "N m/kg", "%BW BH"]
    columns: dict[MomentName, Annotated[MomentColumn, short_for("column")]] = Field(min_length=1)
