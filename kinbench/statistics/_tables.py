"""Tables of values by person, made ready: the persons that every column has, and frames out of dataclasses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinbench.errors import DataError, UsageError

FloatArray = NDArray[np.float64]
Table = Mapping[str, Mapping[str, float]] | pd.DataFrame
"""``{model: {person: value}}``, or the DataFrame of the same shape: persons down, models across."""


@dataclass(frozen=True)
class Complete:
    """The persons that every column has: ``values`` (persons, columns); the others are named, never imputed."""

    names: tuple[str, ...]
    persons: tuple[str, ...]
    values: FloatArray
    left_out: tuple[str, ...]

    @property
    def n(self) -> int:
        """The number of persons."""
        return len(self.persons)


def columns_of(table: Table) -> dict[str, dict[str, float]]:
    """Return finite values by person and column, in the order of the columns; persons by their names."""
    columns = table.to_dict() if isinstance(table, pd.DataFrame) else table
    return {
        str(name): {
            str(person): float(value)
            for person, value in column.items()
            if value is not None and math.isfinite(float(value))
        }
        for name, column in columns.items()
    }


def complete(table: Table, *, least: int = 2, what: str = "models") -> Complete:
    """Return the persons that every column has. Raises ``DataError`` for fewer than ``least`` columns or no person."""
    columns = columns_of(table)
    if len(columns) < least:
        raise DataError(f"A comparison needs at least {least} {what}, got {len(columns)}: {', '.join(columns) or '-'}.")
    everyone = set[str]().union(*columns.values())
    shared = sorted(set.intersection(*(set(column) for column in columns.values())))
    if not shared:
        raise DataError(f"A comparison needs persons whom all {what} share; {', '.join(columns)} share none.")
    values = np.array([[column[person] for column in columns.values()] for person in shared], dtype=np.float64)
    return Complete(tuple(columns), tuple(shared), values, tuple(sorted(everyone - set(shared))))


def frame_of(rows: Sequence[Any], /, **same: Any) -> pd.DataFrame:
    """Return one row per dataclass; nested estimates become ``name``, ``name_low`` and ``name_high``."""
    return pd.DataFrame([_flat(asdict(row)) | same for row in rows])


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict) and {"low", "high"} <= set(value):
            flat |= {name: value.get("value", value.get("mean")), f"{name}_low": value["low"]}
            flat[f"{name}_high"] = value["high"]
        else:
            flat[name] = value
    return flat


def check_alpha(alpha: float) -> None:
    """Raise ``UsageError`` for a level of significance that is none."""
    if not 0.0 < alpha < 1.0:
        raise UsageError(f"A level of significance lies between 0 and 1, not at {alpha}.")


def persons(n: int) -> str:
    """Return ``1 person`` or ``n persons``."""
    return "1 person" if n == 1 else f"{n} persons"
