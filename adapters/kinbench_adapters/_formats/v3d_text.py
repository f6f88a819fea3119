"""Read Visual3D text exports: signals side by side, tab separated.

Row 1 names the file each column is of, row 2 the signal, row 3 its type (``LINK_MODEL_BASED``), row 4 its folder
(``ORIGINAL``), row 5 ``ITEM`` and the components; then one row an item, counted from 1. The file tells no rate and no
unit. A signal of several components goes by its name (``Lknee``, ``Lknee[0]``) or by one component of it
(``Lknee.X``); a signal of several files in one export goes by ``file/signal``. Source: the C-Motion wiki, "Export
ASCII"; checked on a real file.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError, suggest
from kinbench_adapters._formats.delimited import Dialect, read_rows, split_cells
from kinbench_adapters._formats.vendor_text import picked, text_lines

FloatArray = NDArray[np.float64]

_TAB = Dialect(delimiter="\t")
_HEAD = 5
_SHOWN = 5


def read_columns(path: Path, wanted: Iterable[str]) -> dict[str, FloatArray]:
    """Return columns by name, (n,) or (n, k); raises ``DataError`` naming line and column (all problems at once).

    Empty cells are missing. A name that two columns bear is refused, as are items that are not counted one by one.
    """
    lines = text_lines(path)
    if len(lines) <= _HEAD:
        raise DataError(f"has {len(lines)} lines, expected five of header and rows below them", where=path)
    files, signals, _, _, components = (split_cells(line, _TAB) for line in lines[:_HEAD])
    if not components or components[0].upper() != "ITEM":
        raise DataError("line 5: expected 'ITEM' and components; this is no Visual3D export", where=path)
    width = len(components)
    if not len(files) == len(signals) == width:
        raise DataError(
            f"lines 1, 2 and 5 have {len(files)}, {len(signals)} and {width} cells, expected equally many", where=path
        )
    known = _known(files, signals, components)
    names = picked(wanted)
    problems = []
    for name in names:
        places = known.get(name, [])
        if not places:
            problems.append(f"there is no '{name}'.{suggest(name, tuple(known))}")
        elif len(places) > 1:
            problems.append(f"'{name}' stands {len(places)} times; write its file before it: '<file>/<signal>'")
    if problems:
        raise DataError(problems, where=path)
    used = sorted({place for name in names for place in known[name][0]})
    read = read_rows(path, lines, _HEAD, width, {"item": 0, **{str(place): place for place in used}}, _TAB)
    _refuse_bad_items(path, read["item"])
    found = {}
    for name in names:
        own = [read[str(place)] for place in known[name][0]]
        found[name] = own[0] if len(own) == 1 else np.column_stack(own)
    return found


def _known(files: list[str], signals: list[str], components: list[str]) -> dict[str, list[list[int]]]:
    """Return, for every name that may be meant, the groups of columns it stands for."""
    groups: dict[tuple[str, str], list[int]] = {}
    for place in range(1, len(components)):
        if signals[place]:
            groups.setdefault((files[place], signals[place]), []).append(place)
    known: dict[str, list[list[int]]] = {}
    for (file, signal), places in groups.items():
        for name in (signal, f"{file}/{signal}"):
            known.setdefault(name, []).append(places)
            for place in places:
                known.setdefault(f"{name}.{components[place]}", []).append([place])
    return known


def _refuse_bad_items(path: Path, item: FloatArray) -> None:
    wrong = np.flatnonzero(~(np.diff(item, prepend=0.0) == 1))
    if wrong.size:
        raise DataError(
            (f"line {_HEAD + 1 + row}: expected item {row + 1}, found '{item[row]:g}'" for row in wrong[:_SHOWN]),
            where=path,
        )
