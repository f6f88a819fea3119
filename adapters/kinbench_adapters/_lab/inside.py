"""Recordings that stand together in one HDF5 file: which there are, and the columns of one of them.

``each: "{subject}[{trial}]"`` is a dataset per subject whose first axis counts trials (from 1), its second samples and
its third columns, named by an attribute; without ``[{trial}]`` a dataset is one recording. Trials of one array are of
one length, so short ones are filled up: ``padding: zero`` takes the rows at the end in which every column is zero for
what they are.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError, suggest
from kinbench_adapters._formats.hdf5 import Hdf5, read_hdf5
from kinbench_adapters._lab.grammar.files import Reader
from kinbench_adapters._lab.patterns import compile_files

FloatArray = NDArray[np.float64]

_COUNTED = "[{trial}]"


def places(path: Path, each: str) -> list[dict[str, str]]:
    """Return the fields of every recording in the file; raises ``DataError`` where no dataset fits the pattern."""
    pattern = each.removesuffix(_COUNTED)
    expression = compile_files(pattern)
    shapes = _read(path, path.stat().st_mtime_ns, ()).shapes
    axes = 3 if each.endswith(_COUNTED) else 2
    found: list[dict[str, str]] = []
    for name, shape in shapes.items():
        match = expression.fullmatch(name)
        if match is None or len(shape) != axes:
            continue
        counts = range(1, shape[0] + 1) if axes == 3 else (None,)
        found += [{**match.groupdict(), **({} if count is None else {"trial": str(count)})} for count in counts]
    if not found:
        told = ", ".join(f"{name} {shape}" for name, shape in list(shapes.items())[:5]) or "no dataset at all"
        raise DataError(f"no dataset with {axes} axes fits '{each}'; there are {told}", where=path)
    return found


def read_columns(path: Path, reader: Reader, names: tuple[str, ...]) -> dict[str, FloatArray]:
    """Return columns (n,) of the recording at ``reader.each``; raises ``DataError`` for all that are not there."""
    name, _, count = (reader.each or "").rstrip("]").partition("[")
    file = _read(path, path.stat().st_mtime_ns, (name,))
    if name not in file.datasets:
        raise DataError(f"there is no dataset '{name}'.{suggest(name, tuple(file.shapes))}", where=path)
    columns = file.names_of(name)
    if not columns:
        raise DataError(f"no attribute of '{name}', or of what holds it, names its columns", where=path)
    absent = [f"there is no '{wanted}'.{suggest(wanted, columns)}" for wanted in names if wanted not in columns]
    if absent:
        raise DataError(absent, where=path)
    values = file.datasets[name]
    values = values[int(count) - 1] if count else values
    if reader.padding == "zero":
        filled = np.flatnonzero((values != 0).any(axis=1))
        values = values[: int(filled[-1]) + 1 if filled.size else 0]
    return {wanted: values[:, columns.index(wanted)] for wanted in names}


@lru_cache(maxsize=4)
def _read(path: Path, changed_ns: int, keep: tuple[str, ...]) -> Hdf5:
    """Return what a file holds; many recordings of one file are read one after the other."""
    return read_hdf5(path, keep)
