"""HDF5 through h5py (the extra ``hdf5``): datasets by path, with names for their columns where attributes give them.

Read in a child process (``_formats.child``), since a damaged file can hang or end the interpreter that reads it.
Nothing is followed out of the file: external and soft links are left alone. MATLAB's files of version 7.3 are HDF5 too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench_adapters._formats import child
from kinbench_adapters._formats.extras import optional

FloatArray = NDArray[np.float64]

MAGIC = b"\x89HDF\r\n\x1a\n"
COLUMN_ATTRIBUTES = ("columns", "column_names", "names", "labels", "fields", "channels")
"""Attributes, of a dataset or of a group above it, that may name the columns of its last axis."""


@dataclass(frozen=True)
class Hdf5:
    """The numeric datasets that were asked for, by path without the leading ``/``, and all attributes by path.

    ``shapes`` are those of every numeric dataset of the file. An attribute is text, a number, or a list of these.
    """

    path: Path
    datasets: Mapping[str, FloatArray]
    attributes: Mapping[str, Mapping[str, Any]]
    shapes: Mapping[str, tuple[int, ...]]

    def attribute(self, path: str, name: str) -> Any:
        """Return an attribute of a group or dataset ('' is the root), None where there is none."""
        return self.attributes.get(path, {}).get(name)

    def listed(self, path: str, name: str) -> list[Any]:
        """Return an attribute that is a list, or a text that holds one as JSON; [] where there is none."""
        value = self.attribute(path, name)
        if isinstance(value, str) and value.lstrip().startswith("["):
            try:
                value = json.loads(value)
            except ValueError:
                return []
        return value if isinstance(value, list) else []

    def rows(self, dataset: str) -> FloatArray:
        """Return a dataset as the program that wrote it has it: MATLAB's stand in the file with their axes reversed.

        (n, 1) and (1, n) become (n,).
        """
        values = self.datasets[dataset]
        if self.attribute(dataset, "MATLAB_class") is not None:
            values = values.T
        return values.reshape(-1) if values.ndim == 2 and 1 in values.shape else values

    def names_of(self, dataset: str) -> tuple[str, ...]:
        """Return the names of a dataset's columns, () where no attribute of it, or of a group above it, gives them."""
        shape = self.shapes[dataset]
        reversed_ = self.attribute(dataset, "MATLAB_class") is not None
        width = 0 if not shape else shape[0] if reversed_ else shape[-1]
        parts = dataset.split("/")
        for depth in range(len(parts), -1, -1):
            for name in COLUMN_ATTRIBUTES:
                found = self.listed("/".join(parts[:depth]), name)
                if found and len(found) == width:
                    return tuple(text_of(item) for item in found)
        return ()


def text_of(value: Any) -> str:
    """Return a text without the zero bytes and blanks that fixed-length ones are filled up with."""
    return str(value).split("\0")[0].strip()


def read_hdf5(path: Path, keep: Sequence[str] = ("*",)) -> Hdf5:
    """Read the numeric datasets whose paths fit one of the globs ``keep``, and all attributes.

    Raises ``DataError`` where the file is no HDF5, is cut or damaged; ``UsageError`` where h5py is not installed.
    """
    try:
        with path.open("rb") as file:
            head = file.read(2048)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=path) from error
    if not any(head[start : start + 8] == MAGIC for start in (0, 512, 1024)):
        raise DataError("expected an HDF5 file, found something else; check the name, or export it again", where=path)
    optional("h5py", extra="hdf5", reads="an HDF5 file")
    try:
        found = child.run(_load, child.Told({"path": str(path.resolve()), "keep": list(keep)}))
    except child.ChildError as error:
        raise DataError(f"is no readable HDF5 file: {error}", where=path) from None
    datasets = {name: values.astype(np.float64, copy=False) for name, values in found.arrays.items()}
    shapes = {name: tuple(shape) for name, shape in found.values["shapes"].items()}
    return Hdf5(path, datasets, found.values["attributes"], shapes)


def read_columns(path: Path, wanted: Iterable[str]) -> dict[str, FloatArray]:
    """Return columns by name, each (n,) or (n, k).

    A name is a dataset's path, that and ``/`` and the name of one of its columns, or either without the path where no
    other dataset has it. Raises ``DataError`` naming what there is where one is absent or stands for several.
    """
    names = list(dict.fromkeys(wanted))
    file = read_hdf5(path)
    known = _columns(file)
    found, problems = {}, []
    for name in names:
        places = known.get(name.lstrip("/"), [])
        if len(places) != 1:
            some = ", ".join(sorted(known)[:8])
            problems.append(
                f"there is no '{name}'; there are, for example, {some}"
                if not places
                else f"'{name}' is in {', '.join(dataset for dataset, _ in places)}; write the path before it"
            )
            continue
        dataset, column = places[0]
        values = file.rows(dataset)
        if column is not None:
            values = values[..., column]
        if not 1 <= values.ndim <= 2:
            problems.append(
                f"'{name}' has shape {values.shape}, expected (samples,) or (samples, columns): a manifest cannot take "
                "it apart; save each recording by itself"
            )
            continue
        found[name] = values
    if problems:
        raise DataError(problems, where=path)
    return found


def _columns(file: Hdf5) -> dict[str, list[tuple[str, int | None]]]:
    """Return, for every name that may be meant, the datasets (and column) that it stands for."""
    known: dict[str, list[tuple[str, int | None]]] = {name: [(name, None)] for name in file.datasets}
    for dataset in file.datasets:
        for index, column in enumerate(file.names_of(dataset)):
            known.setdefault(f"{dataset}/{column}", []).append((dataset, index))
            known.setdefault(column, []).append((dataset, index))
        last = dataset.rpartition("/")[2]
        if last != dataset:
            known.setdefault(last, []).append((dataset, None))
    return known


# --- the child's side -------------------------------------------------------------------------------------------------


def _load(asked: child.Told) -> child.Told:
    """Return the datasets that are wanted, and all shapes and attributes; runs in a process of its own."""
    h5py = optional("h5py", extra="hdf5", reads="an HDF5 file")
    datasets: dict[str, NDArray[Any]] = {}
    shapes: dict[str, list[int]] = {}
    attributes: dict[str, dict[str, Any]] = {}
    with h5py.File(asked.values["path"], "r") as file:
        attributes[""] = _attributes(file)

        def visit(name: str, item: Any) -> None:
            attributes[name] = _attributes(item)
            if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "iufb" or item.shape is None:
                return
            shapes[name] = list(item.shape)
            if any(fnmatchcase(name, pattern) for pattern in asked.values["keep"]):
                datasets[name] = np.asarray(item[()])

        file.visititems(visit)
    return child.Told({"shapes": shapes, "attributes": attributes}, datasets)


def _attributes(item: Any) -> dict[str, Any]:
    found = {}
    for name in item.attrs:
        value = _plain(item.attrs[name])
        if value is not None:
            found[str(name)] = value
    return found


def _plain(value: Any) -> Any:
    """Return text, a number or a list of these; None for anything else."""
    if isinstance(value, bytes | np.bytes_):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, str):
        return str(value)
    if isinstance(value, np.ndarray):
        items = [_plain(item) for item in value.reshape(-1)]
        return None if any(item is None for item in items) else items
    if isinstance(value, np.integer | int):
        return int(value)
    if isinstance(value, np.floating | float):
        return float(value)
    return None
