"""MATLAB ``table`` objects in ``.mat`` files, read through the package mat-io (the extra ``camargo``).

SciPy cannot read them. They are read in a child process (``_formats.child``), several files in one go, because a
damaged file can crash or hang the interpreter that reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench_adapters._formats import child
from kinbench_adapters._formats.extras import optional

FloatArray = NDArray[np.float64]

_TIMEOUT_S = 120.0
_MEMORY_BYTES = 6 * 2**30
_MAGIC = b"MATLAB"


@dataclass(frozen=True)
class Table:
    """One table: ``numbers[column]`` (n,) and ``texts[column]`` of n texts."""

    path: Path
    numbers: Mapping[str, FloatArray]
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def column(self, name: str) -> FloatArray:
        """Return a column of numbers; raises ``DataError`` where there is none of that name."""
        if name not in self.numbers:
            there = ", ".join((*self.numbers, *self.texts)) or "none"
            raise DataError(f"expected a column '{name}' of numbers, found {there[:200]}", where=self.path)
        return self.numbers[name]


@dataclass(frozen=True)
class MatFile:
    """The variables of one file: ``tables`` by name, and ``scalars``, single numbers and texts."""

    path: Path
    tables: Mapping[str, Table]
    scalars: Mapping[str, float | str]

    def table(self, name: str = "data") -> Table:
        """Return the table of that name, or the only one; raises ``DataError`` where neither is there."""
        if name in self.tables:
            return self.tables[name]
        if len(self.tables) == 1:
            return next(iter(self.tables.values()))
        told = ", ".join((*self.tables, *self.scalars)) or "no variable that could be read"
        raise DataError(f"expected a table '{name}', found {told}", where=self.path)


def read_tables(paths: Sequence[Path]) -> list[MatFile]:
    """Return the variables of each file, in the order given; raises ``DataError`` with all that cannot be read."""
    optional("matio", extra="camargo", reads="MATLAB tables")
    broken = [path for path in paths if _head(path) != _MAGIC]
    if broken:
        raise DataError([f"{path.name}: is no MATLAB file; fetch it again" for path in broken], where=broken[0].parent)
    asked = child.Told([str(path.resolve()) for path in paths])
    try:
        found = child.run(_load, asked, timeout_s=_TIMEOUT_S, memory_bytes=_MEMORY_BYTES)
    except child.ChildError as error:
        if len(paths) == 1:
            why = f"{paths[0].name}: cannot be read ({error}); fetch it again"
            raise DataError(why, where=paths[0].parent) from None
        # One file took the reader down with it: the others are read alone, so that it is named.
        return [found for path in paths for found in read_tables([path])]
    failed = [(path, why) for path, why in zip(paths, found.values["failed"], strict=True) if why]
    if failed:
        where = paths[0].parent if len(paths) == 1 else _common(paths)
        raise DataError([f"{path.name}: cannot be read ({why}); fetch it again" for path, why in failed], where=where)
    return [_decoded(path, one, found.arrays) for path, one in zip(paths, found.values["files"], strict=True)]


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(len(_MAGIC))
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=path) from error


def _common(paths: Sequence[Path]) -> Path:
    return Path(min((path.parent for path in paths), key=lambda place: len(place.parts))).parent


def _decoded(path: Path, told: Mapping[str, Any], arrays: child.Arrays) -> MatFile:
    tables = {}
    for name, one in told["tables"].items():
        numbers = {column: np.asarray(arrays[key], dtype=np.float64) for key, column in one["columns"].items()}
        tables[name] = Table(path, numbers, {column: tuple(texts) for column, texts in one["texts"].items()})
    return MatFile(path, tables, told["scalars"])


# --- the child's side -------------------------------------------------------------------------------------------------


def _load(asked: child.Told) -> child.Told:
    """Read each file with mat-io, and say of each that cannot be read why; runs in a process of its own."""
    reader = import_module("matio")
    arrays: dict[str, FloatArray] = {}
    files, failed = [], []
    for name in asked.values:
        try:
            files.append(_encoded(reader.load_from_mat(name), arrays))
            failed.append("")
        except Exception as error:  # whatever a library makes of damaged bytes, the parent tells it of this file
            files.append({"tables": {}, "scalars": {}})
            failed.append(f"{type(error).__name__}: {' '.join(str(error).split())[:160]}")
    return child.Told({"files": files, "failed": failed}, arrays)


def _encoded(variables: Mapping[str, Any], arrays: dict[str, FloatArray]) -> dict[str, Any]:
    """Return what is told of one file's variables; their columns of numbers go to ``arrays``."""
    tables: dict[str, Any] = {}
    scalars: dict[str, float | str] = {}
    for name, value in variables.items():
        if hasattr(value, "columns") and hasattr(value, "iloc"):
            numbers, texts = _columns(value)
            keys = {str(len(arrays) + place): column for place, column in enumerate(numbers)}
            arrays |= {key: numbers[column] for key, column in keys.items()}
            tables[name] = {"columns": keys, "texts": texts}
        elif not name.startswith("__") and np.asarray(value, dtype=object).size == 1:
            single = _single(value)
            if isinstance(single, str) or (isinstance(single, int | float) and np.isfinite(single)):
                scalars[name] = single
    return {"tables": tables, "scalars": scalars}


def _columns(frame: Any) -> tuple[dict[str, FloatArray], dict[str, list[str]]]:
    """Return a frame's columns of numbers and of texts; one that is neither (dates, nested tables) is left out."""
    numbers: dict[str, FloatArray] = {}
    texts: dict[str, list[str]] = {}
    for column in frame.columns:
        if frame[column].dtype.kind in "iufb":
            numbers[str(column)] = np.asarray(frame[column], dtype=np.float64)
            continue
        values = [_single(value) for value in frame[column]]
        if all(isinstance(value, str) for value in values):
            texts[str(column)] = [str(value) for value in values]
        elif all(isinstance(value, int | float) for value in values):
            numbers[str(column)] = np.asarray(values, dtype=np.float64)
    return numbers, texts


def _single(value: Any) -> Any:
    """Return the one value in an array of one, as MATLAB's scalars and texts come, however deep it lies."""
    while isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    return value.item() if isinstance(value, np.generic) else value
