"""Read markers from JSON: objects of ``name: [x, y, z]`` or ``name: [[x, y, z], ...]``, millions of numbers at a time.

Parsed by simdjson (the extra ``calgary``), which hands the numbers of a marker over as one block. It is strict: no
NaN, no comments, no number that a double cannot hold, no depth beyond 1,024. A key that comes twice is refused here,
since parsers disagree about which one counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench_adapters._formats.extras import optional

FloatArray = NDArray[np.float64]


def parse_object(data: bytes, *, where: object) -> Any:
    """Return the JSON object that ``data`` holds, members read on demand; raises ``DataError`` for anything else."""
    simdjson = optional("simdjson", extra="calgary", reads="JSON of this size")
    try:
        document = simdjson.Parser().parse(data)
    except (ValueError, RuntimeError, UnicodeDecodeError) as error:
        raise DataError(
            f"expected one JSON object, and it cannot be parsed ({str(error).split(':')[0]}: cut short, NaN or another "
            "thing that JSON does not have); fetch the file again",
            where=where,
        ) from error
    if not isinstance(document, simdjson.Object):
        raise DataError(f"expected a JSON object, found {type(document).__name__}", where=where)
    require_unique(document, "the object", where=where)
    return document


def require_unique(members: Any, name: str, *, where: object) -> None:
    """Raise ``DataError`` where a key of a parsed object comes twice."""
    keys = list(members.keys())
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise DataError(f"{name}: expected each key once, found {', '.join(twice)} more than once", where=where)


def read_paths(members: Any, name: str, *, where: object) -> dict[str, FloatArray]:
    """Return ``{marker: (n, 3)}`` of an object of trajectories, NaN where a number is null or a sample all zero.

    Raises ``DataError``, with all problems at once, for rows that are not three numbers and for unequal lengths.
    """
    require_unique(members, name, where=where)
    paths, problems = {}, []
    for marker in members.keys():  # noqa: SIM118 - a parsed object is not a dict
        try:
            paths[marker] = _path(members[marker])
        except (TypeError, ValueError, AttributeError):
            problems.append(f"{name}.{marker}: expected rows of three numbers (or null), found something else")
    lengths = {len(path) for path in paths.values()}
    if len(lengths) > 1:
        problems.append(f"{name}: expected all markers equally long, found {sorted(lengths)} rows")
    if problems:
        raise DataError(problems, where=where)
    return paths


def read_points(members: Any, name: str, *, where: object) -> dict[str, FloatArray]:
    """Return ``{marker: (3,)}`` of an object of single points, NaN where missing; raises ``DataError`` likewise."""
    require_unique(members, name, where=where)
    points, problems = {}, []
    for marker in members.keys():  # noqa: SIM118 - a parsed object is not a dict
        try:
            points[marker] = _rows([members[marker].as_list()])[0]
        except (TypeError, ValueError, AttributeError):
            problems.append(f"{name}.{marker}: expected three numbers (or null), found something else")
    if problems:
        raise DataError(problems, where=where)
    return points


def _path(rows: Any) -> FloatArray:
    """Return one marker (n, 3): as one block, or number by number where some are null."""
    if set(map(len, rows)) - {3}:
        raise ValueError("ragged")
    try:
        block = np.frombuffer(rows.as_buffer(of_type="d"), dtype=np.float64)
    except TypeError:
        return _rows(rows.as_list())
    return _without_zeros(block.reshape(-1, 3))


def _rows(rows: list[list[Any]]) -> FloatArray:
    for row in rows:
        if len(row) != 3 or any(not isinstance(number, int | float | None) or number is True for number in row):
            raise ValueError("not three numbers")
    return _without_zeros(np.array(rows, dtype=np.float64).reshape(-1, 3))


def _without_zeros(places: FloatArray) -> FloatArray:
    """Return the rows with NaN for (0, 0, 0), which is how some programs write a marker that was not seen."""
    empty = (places == 0).all(axis=1)
    return np.where(empty[:, None], np.nan, places) if empty.any() else places
