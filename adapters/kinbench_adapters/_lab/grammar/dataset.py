"""The dataset and its people."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveFloat

from kinbench import schema
from kinbench_adapters._lab.grammar.values import Facts, Identifier, one_of


class DatasetFacts(Facts):
    """Who may use the data, and how they are cited."""

    id: Identifier = Field(description="a short name: letters, digits and . _ + -")
    version: str = Field(description="the version of the data, in quotes")
    licence: str = Field(description="an SPDX name, or words such as 'none stated'")
    redistributable: bool = Field(description="true or false: may the data be passed on")
    title: str = ""
    description: str = ""
    access: str = ""
    citation: str = ""
    url: str = ""


class Person(Facts):
    """One row of the person table. ``alias`` is the same human being in another dataset, ``dataset/subject``."""

    sex: Annotated[str, one_of(schema.SEXES)] = "unknown"
    age_y: PositiveFloat | None = None
    height_m: PositiveFloat | None = None
    mass_kg: PositiveFloat | None = None
    leg_length_m: PositiveFloat | None = None
    condition: str = "unknown"
    affected_side: str = "unknown"
    alias: str | None = None
