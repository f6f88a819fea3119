"""Who the person is, in the schema's units: those of the file are found by what a body can be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kinbench_adapters._formats.arrays import Tree

_HEIGHT_M = (1.2, 2.3)
_MASS_KG = (30.0, 200.0)
_AGE_Y = (10.0, 100.0)
_NAMES = {"sex": ("sex", "gender"), "height": ("height",), "mass": ("mass", "weight"), "age": ("age",)}


def person_table(subject: Mapping[str, Tree]) -> tuple[dict[str, Any], list[str]]:
    """Return the person's table, and a quality flag for every value that no person can have.

    Height may stand in metres, centimetres or millimetres: one range of body heights fits only one of them.
    """
    by_name = {name.lower(): value for name, value in subject.items()}
    told = {field: next((by_name[n] for n in names if n in by_name), None) for field, names in _NAMES.items()}
    table: dict[str, Any] = {"sex": _sex(told["sex"]), "condition": "unknown"}
    flags = []
    for field, value, limits, scales in (
        ("height_m", told["height"], _HEIGHT_M, (1.0, 1e-2, 1e-3)),
        ("mass_kg", told["mass"], _MASS_KG, (1.0,)),
        ("age_y", told["age"], _AGE_Y, (1.0,)),
    ):
        number = _number(value)
        scaled = [] if number is None else [number * scale for scale in scales]
        fits = [size for size in scaled if limits[0] <= size <= limits[1]]
        table[field] = round(fits[0], 4) if fits else None
        if number is not None and not fits:
            flags.append(f"{field}_impossible")
    return table, flags


def _number(value: Tree | None) -> float | None:
    if isinstance(value, np.ndarray) and value.size == 1 and np.isfinite(value).all():
        return float(value.reshape(-1)[0])
    if isinstance(value, str):
        try:
            number = float(value.strip())
        except ValueError:
            return None
        return number if np.isfinite(number) else None
    return None


def _sex(value: Tree | None) -> str:
    word = value.strip().lower() if isinstance(value, str) else ""
    return {"male": "male", "m": "male", "female": "female", "f": "female"}.get(word, "unknown")
