"""Who the people are, and which trials the dataset's authors call invalid: ``info_participants.xlsx``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kinbench.errors import DataError
from kinbench_adapters._lab.spreadsheet import by_header, read_rows

PEOPLE = "info_participants.xlsx"
_COLUMNS = {"age_y": ("Age", 1.0, (10.0, 110.0)), "height_m": ("Height", 0.01, (1.2, 2.3)),
            "mass_kg": ("Mass", 1.0, (30.0, 200.0))}  # fmt: skip
_LEG = ("thigh_length", "shank_length")
_SEXES = {"m": "male", "male": "male", "f": "female", "female": "female"}
_HEALTHY = "healthy"
"""The dataset's own word for all of its people."""


@dataclass(frozen=True)
class Participant:
    """The person's table in the schema's terms, flags for values that nobody can have, and the invalid trials."""

    table: Mapping[str, Any] = field(default_factory=lambda: {"sex": "unknown", "condition": _HEALTHY})
    flags: tuple[str, ...] = ()
    invalid: frozenset[str] = frozenset()


def read_people(path: Path) -> dict[str, Participant]:
    """Return {``01``: person}; raises ``DataError`` where the workbook is damaged or has no column ``ID``.

    Heights are in centimetres, masses in kilograms, lengths of thigh and shank in millimetres. A cell that is empty
    is unknown; one that holds what no person can be is flagged and left out.
    """
    rows = by_header(path, read_rows(path))
    if rows and "ID" not in rows[0]:
        raise DataError(f"expected a column 'ID', found {', '.join(rows[0])}", where=path)
    people = {}
    for row in rows:
        number = _number(row["ID"])
        if number is not None:
            people[f"{int(number):02d}"] = _participant(row)
    return people


def _participant(row: Mapping[str, str]) -> Participant:
    table: dict[str, Any] = {"sex": _SEXES.get(row.get("Gender", "").strip().lower(), "unknown"), "condition": _HEALTHY}
    flags = []
    for name, (column, scale, (low, high)) in _COLUMNS.items():
        number = _number(row.get(column, ""))
        size = None if number is None else number * scale
        table[name] = round(size, 4) if size is not None and low <= size <= high else None
        if size is not None and table[name] is None:
            flags.append(f"{name}_impossible")
    legs = [_number(row.get(f"{side}_{part}", "")) for side in ("Left", "Right") for part in _LEG]
    lengths = [leg for leg in legs if leg is not None]
    if len(lengths) == len(legs):
        table["leg_length_m"] = round(sum(lengths) / 2000.0, 4)
    invalid = (name.strip().lower() for name in row.get("Invalid_trials", "").split(","))
    return Participant(table, tuple(flags), frozenset(name for name in invalid if name))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
