"""MATLAB ``table`` objects in ``.mat`` files, read through the package mat-io (the extra ``camargo``).

SciPy cannot read them. They are read in a child process under a time and a memory limit, several files in one go,
because a damaged file can crash or hang the interpreter that reads it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench_adapters._formats.extras import optional

FloatArray = NDArray[np.float64]

_TIMEOUT_S = 120.0
_MEMORY_BYTES = 6 * 2**30
_CHILD = "import sys; from kinbench_adapters._camargo.tables import _child; _child(*sys.argv[1:])"
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
    with tempfile.TemporaryDirectory(prefix="kinbench-tables-") as folder:
        try:
            told = _run_child(paths, Path(folder))
        except DataError:
            if len(paths) == 1:
                raise
            # One file took the reader down with it: the others are read alone, so that it is named.
            return [found for path in paths for found in read_tables([path])]
        failed = [f"{path.name}: cannot be read ({why}); fetch it again" for path, why in told["failed"]]
        if failed:
            raise DataError(failed, where=Path(told["failed"][0][0]).parent if len(paths) == 1 else _common(paths))
        return [_decoded(path, one, Path(folder)) for path, one in zip(paths, told["files"], strict=True)]


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(len(_MAGIC))
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=path) from error


def _common(paths: Sequence[Path]) -> Path:
    return Path(min((path.parent for path in paths), key=lambda place: len(place.parts))).parent


def _run_child(paths: Sequence[Path], folder: Path) -> dict[str, Any]:
    names = [str(path.resolve()) for path in paths]
    command = [sys.executable, "-c", _CHILD, str(folder), json.dumps(names)]
    told = ", ".join(path.name for path in paths)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise DataError(
            f"{told}: could not be read within {_TIMEOUT_S:g} s; fetch it again", where=paths[0].parent
        ) from error
    target = folder / "told.json"
    if done.returncode != 0 or not target.exists():
        reason = done.stderr.strip().splitlines()
        why = reason[-1] if reason else f"the reader ended with status {done.returncode}"
        raise DataError(f"{told}: cannot be read ({why}); fetch it again", where=paths[0].parent)
    found: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
    found["failed"] = [(path, why) for path, why in zip(paths, found["failed"], strict=True) if why]
    return found


def _decoded(path: Path, told: Mapping[str, Any], folder: Path) -> MatFile:
    tables = {}
    for name, one in told["tables"].items():
        with np.load(folder / one["numbers"], allow_pickle=False) as stored:
            numbers = {column: np.asarray(stored[key], dtype=np.float64) for key, column in one["columns"].items()}
        tables[name] = Table(path, numbers, {column: tuple(texts) for column, texts in one["texts"].items()})
    return MatFile(path, tables, told["scalars"])


# --- the child's side -------------------------------------------------------------------------------------------------


def _child(folder: str, names: str) -> None:
    """Read each file with mat-io and write what is in it to ``folder``; runs in a process of its own."""
    if sys.platform != "win32":
        resource = import_module("resource")
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        soft = _MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(_MEMORY_BYTES, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    reader = import_module("matio")
    files, failed = [], []
    for place, name in enumerate(json.loads(names)):
        try:
            files.append(_encoded(reader.load_from_mat(name), Path(folder), place))
            failed.append("")
        except Exception as error:  # whatever a library makes of damaged bytes, the parent tells it of this file
            files.append({"tables": {}, "scalars": {}})
            failed.append(f"{type(error).__name__}: {' '.join(str(error).split())[:160]}")
    (Path(folder) / "told.json").write_text(json.dumps({"files": files, "failed": failed}), encoding="utf-8")


def _encoded(variables: Mapping[str, Any], folder: Path, place: int) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    scalars: dict[str, float | str] = {}
    for name, value in variables.items():
        if hasattr(value, "columns") and hasattr(value, "iloc"):
            numbers, texts = _columns(value)
            file = f"{place}_{len(tables)}.npz"
            keys = {f"c{index}": column for index, column in enumerate(numbers)}
            np.savez(folder / file, allow_pickle=False, **{key: numbers[column] for key, column in keys.items()})
            tables[name] = {"numbers": file, "columns": keys, "texts": texts}
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
