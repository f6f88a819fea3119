"""The release's two tables, ``run_data_meta.csv`` and ``walk_data_meta.csv``: one row per session and mode.

Facts of the tables as published: 26 columns, cells with quoted commas and line breaks, four spellings of missing, and
sentinels among the numbers (age 255, height 999 and 0, mass 0 and 1564), which the plausible ranges below turn into
unknown. A blank ``InjDefn`` is unknown as well: 352 sessions of people with osteoarthritis have it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kinbench.errors import DataError
from kinbench_adapters._attributes import sources

TABLES = {"running": "run_data_meta.csv", "walking": "walk_data_meta.csv"}
"""The table of each mode."""

SPEEDS = {"running": "speed_r", "walking": "speed_w"}
NEEDED = ("sub_id", "datestring", "filename", "age", "Height", "Weight", "Gender", "InjDefn", "InjJoint", "InjSide",
          "SpecInjury")  # fmt: skip
MISSING = frozenset({"", "NaN", "null", "N/A"})
PLAUSIBLE = {"age": (10.0, 100.0), "Height": (120.0, 250.0), "Weight": (30.0, 200.0), "speed": (0.1, 10.0)}
"""Years, centimetres, kilograms and metres per second of a person on a treadmill; anything else is a sentinel."""

_SEXES = {"Female": "female", "Male": "male"}
_SIDES = {"Right": "right", "Left": "left", "Bilateral": "both", "Bi-lateral": "both"}
_CENTIMETRE_M = 0.01


@dataclass(frozen=True)
class Visit:
    """What a table says of one session: whose it was, the belt's speed, and the person (``schema.PERSON_FIELDS``)."""

    sub_id: str
    session: str
    speed_mps: float | None
    person: Mapping[str, Any]


@dataclass(frozen=True)
class Metadata:
    """Both tables, by mode and session (``20140515T133244``); ``sources`` are the names and sha256 of those there."""

    visits: Mapping[str, Mapping[str, Visit]]
    sources: list[dict[str, str]]

    @property
    def complete(self) -> bool:
        """Whether both tables are there, so that a mode that neither lists does not exist."""
        return all(mode in self.visits for mode in TABLES)

    def modes(self, session: str) -> tuple[str, ...]:
        """Return the modes in which a session is listed."""
        return tuple(mode for mode in TABLES if session in self.visits.get(mode, {}))

    def visit(self, session: str, mode: str) -> Visit | None:
        """Return what is known of a session: from its mode's table, else of the person only, from the other's."""
        for table in (mode, *TABLES):
            found = self.visits.get(table, {}).get(session)
            if found is not None:
                return found if table == mode else replace(found, speed_mps=None)
        return None


def read_metadata(paths: Mapping[str, Path], name_of: Callable[[Path], str]) -> Metadata:
    """Read the tables that are there, by mode; raises ``DataError`` with every bad row of a table.

    ``name_of`` tells what a table is called below the raw folder.
    """
    visits = {mode: read_visits(path, SPEEDS[mode]) for mode, path in sorted(paths.items())}
    return Metadata(visits, sources((name_of(paths[mode]), paths[mode]) for mode in visits))


def read_visits(path: Path, speed: str) -> dict[str, Visit]:
    """Return the rows of one table by session; ``speed`` is the name of its speed column (m/s)."""
    found: dict[str, Visit] = {}
    problems = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            absent = [name for name in (*NEEDED, speed) if name not in (rows.fieldnames or ())]
            if absent:
                raise DataError(f"expected the columns {', '.join(absent)}, found none of that name", where=path)
            for row in rows:
                line = rows.line_num
                if None in row or None in row.values():
                    problems.append(f"line {line}: expected {len(rows.fieldnames or ())} cells, found another number")
                    continue
                visit = _visit(row, speed)
                if not visit.session or visit.session in found:
                    told = f"'{visit.session}' twice" if visit.session else "an empty filename"
                    problems.append(f"line {line}: expected each session once, found {told}")
                    continue
                found[visit.session] = visit
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"expected a comma-separated table, and it cannot be read: {error}", where=path) from error
    if problems:
        raise DataError(problems, where=path)
    return found


def _visit(row: Mapping[str, str], speed: str) -> Visit:
    height_cm = _number(row["Height"], "Height")
    person = {
        "sex": _SEXES.get(row["Gender"], "unknown"),
        "age_y": _number(row["age"], "age"),
        "height_m": None if height_cm is None else round(height_cm * _CENTIMETRE_M, 4),
        "mass_kg": _number(row["Weight"], "Weight"),
        "leg_length_m": None,
        "condition": _condition(row),
        "affected_side": _affected_side(row),
    }
    session = row["filename"].strip().removesuffix(".json")
    return Visit(row["sub_id"].strip(), session, _number(row[speed], "speed"), person)


def _number(cell: str, name: str) -> float | None:
    """Return a number within its plausible range, None for a missing one or a sentinel."""
    try:
        value = float(cell)
    except ValueError:
        return None
    low, high = PLAUSIBLE[name]
    return value if low <= value <= high else None


def _text(cell: str) -> str | None:
    return None if cell.strip() in MISSING else cell.strip()


def _is_injury(text: str | None) -> bool:
    return text is not None and not text.lower().startswith("no injury")


def _condition(row: Mapping[str, str]) -> str:
    """Return the definition and the injury in the table's words; a blank says nothing, and least of all 'healthy'."""
    definition, injury, joint = (_text(row[name]) for name in ("InjDefn", "SpecInjury", "InjJoint"))
    if _is_injury(injury) and _is_injury(joint):
        injury = f"{joint}: {injury}"
    told = dict.fromkeys(text for text in (definition, injury) if text is not None)
    return "; ".join(told) or "unknown"


def _affected_side(row: Mapping[str, str]) -> str:
    """Return the injured side; the uninjured have one in the table too, which means nothing."""
    injured = any(_is_injury(_text(row[name])) for name in ("InjDefn", "SpecInjury"))
    return _SIDES.get(row["InjSide"], "unknown") if injured else "unknown"
