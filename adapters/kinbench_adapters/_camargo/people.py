"""Who the person is: ``SubjectInfo.mat``."""

from __future__ import annotations

from typing import Any

from kinbench_adapters._camargo.tables import Table

_COLUMNS = {"age_y": ("Age", (10.0, 110.0)), "height_m": ("Height", (1.2, 2.3)), "mass_kg": ("Weight", (30.0, 200.0))}
_SEXES = {"m": "male", "male": "male", "f": "female", "female": "female"}
_HEALTHY = "healthy"
"""All of its people are able-bodied, by the paper."""


def person_table(table: Table | None, subject: str) -> tuple[dict[str, Any], list[str]]:
    """Return the person's table, and a flag for every value that nobody can have (in metres, kilograms, years)."""
    person: dict[str, Any] = {"sex": "unknown", "condition": _HEALTHY}
    subjects = () if table is None else table.texts.get("Subject", ())
    row = next((place for place, name in enumerate(subjects) if name.strip().upper() == subject), None)
    if table is None or row is None:
        return person, []
    words = table.texts.get("Gender", ())
    if row < len(words):
        person["sex"] = _SEXES.get(words[row].strip().lower(), "unknown")
    flags = []
    for name, (column, (low, high)) in _COLUMNS.items():
        values = table.numbers.get(column)
        value = None if values is None or row >= len(values) else float(values[row])
        person[name] = round(value, 4) if value is not None and low <= value <= high else None
        if value is not None and value == value and person[name] is None:
            flags.append(f"{name}_impossible")
    return person, flags
