"""The dataset and its people, one by one or from a table of theirs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, ValidationInfo, field_validator, model_validator

from kinbench import schema
from kinbench_adapters._lab.grammar.values import Facts, Identifier, one_of, short_for


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


PLAUSIBLE = {"age_y": (0.0, 120.0), "height_m": (0.3, 2.6), "mass_kg": (2.0, 350.0), "leg_length_m": (0.1, 1.5)}
"""Between which numbers a person's own lie."""


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

    @field_validator(*PLAUSIBLE)
    @classmethod
    def _plausible(cls, value: float | None, info: ValidationInfo) -> float | None:
        low, high = PLAUSIBLE[str(info.field_name)]
        if value is not None and not low < value < high:
            raise ValueError(f"expected a number between {low:g} and {high:g}, got {value:g}; mind its unit")
        return value


LENGTHS_M = {"m": 1.0, "cm": 0.01, "mm": 0.001}

PersonNumber = Literal["age_y", "height_m", "mass_kg", "leg_length_m"]
PersonField = Literal["sex", "age_y", "height_m", "mass_kg", "leg_length_m", "condition", "affected_side"]


class PersonColumn(Facts):
    """One column of the person table: its name, its unit where it is a length, and what its words mean."""

    column: str
    unit: Literal["m", "cm", "mm"] = "m"
    words: dict[str, str] = Field(default_factory=dict)


class PersonTable(Facts):
    """A table of people beside the recordings, one row each: ``.csv``, ``.tsv`` or ``.xlsx`` (its first sheet).

    ``subject`` makes the subject's name of the cell in the column ``id``: ``Sub{id:02}`` turns 1 into Sub01.
    """

    files: str
    id: str
    subject: str = "{id}"
    columns: dict[PersonField, Annotated[PersonColumn, short_for("column")]] = Field(min_length=1)

    @model_validator(mode="after")
    def _readable(self) -> PersonTable:
        problems = []
        suffix = Path(self.files).suffix.lower()
        if suffix not in TABLES:
            problems.append(f"files: expected a table ({', '.join(TABLES)}), got '{self.files}'")
        if self.files.startswith("/") or ".." in self.files.split("/") or set("{*?") & set(self.files):
            problems.append("files: expected the path of one file below root")
        if not ID_FIELD.search(self.subject):
            problems.append("subject: write {id} where the cell of the id column stands, or {id:02} for two digits")
        for name, column in self.columns.items():
            if column.unit != "m" and not name.endswith("_m"):
                problems.append(f"columns.{name}: 'unit' is that of a length")
            if column.words and name not in ("sex", "condition", "affected_side"):
                problems.append(f"columns.{name}: 'words' are for a column of words")
        strange = [word for word in self.columns.get("sex", _NO_COLUMN).words.values() if word not in schema.SEXES]
        problems += [f"columns.sex: expected one of {', '.join(schema.SEXES)}, got '{word}'" for word in strange]
        if problems:
            raise ValueError("; ".join(problems))
        return self


TABLES = (".csv", ".tsv", ".xlsx")
ID_FIELD = re.compile(r"\{id(?::0?(?P<digits>\d+))?\}")
_NO_COLUMN = PersonColumn(column="")
