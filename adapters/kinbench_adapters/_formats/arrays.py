"""Bare arrays and trees of them: NumPy ``.npy`` and MATLAB ``.mat`` (v4 to v7).

A ``.npy`` that needs pickle is refused before any of it is read. A ``.mat`` is read by SciPy in a child process
(``_formats.child``), because a damaged one can crash or hang the interpreter that reads it. What the variables of a
``.mat`` and the fields of its structs are called is also told without reading them.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench_adapters._formats import child

FloatArray = NDArray[np.float64]
Tree: TypeAlias = "FloatArray | str | tuple[Tree, ...] | dict[str, Tree]"
"""What stands in a ``.mat``: numbers (n-d), text, a cell or struct array in MATLAB's linear order, a struct."""


def read_npy(path: Path) -> FloatArray:
    """Return the array of a ``.npy`` file as float64 (n,) or (n, k); raises ``DataError`` on anything but numbers."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=path) from error
    shape, dtype, offset = _npy_header(path, raw)
    if dtype.kind not in "iuf" or dtype.hasobject:
        raise DataError(f"holds {dtype}, expected plain numbers (pickled objects are never loaded)", where=path)
    if not 1 <= len(shape) <= 2 or 0 in shape:
        raise DataError(f"has shape {shape}, expected (samples,) or (samples, columns), not empty", where=path)
    expected, found = math.prod(shape) * dtype.itemsize, len(raw) - offset
    if found != expected:
        raise DataError(f"holds {found} bytes of data, its header says {expected}: it is cut short", where=path)
    values: FloatArray = np.load(io.BytesIO(raw), allow_pickle=False).astype(np.float64)
    return values


def _npy_header(path: Path, raw: bytes) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    stream = io.BytesIO(raw)
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
        else:
            raise ValueError(f"version {version} is not read here")
    except (ValueError, TypeError, SyntaxError) as error:
        raise DataError(f"is no .npy file: {error}", where=path) from error
    return tuple(shape), dtype, stream.tell()


# --- MATLAB files, read by a child ------------------------------------------------------------------------------------


def read_mat(path: Path) -> dict[str, FloatArray]:
    """Return every numeric array of a ``.mat`` file as float64, struct fields by dotted path (``trial.knee``).

    1 x n and n x 1 become (n,), n x k stays; what has more dimensions is for ``read_mat_tree``. Raises ``DataError``
    where the file cannot be read, holds no numbers, or is a v7.3 file (HDF5).
    """
    arrays = dict(_matrices(read_mat_tree(path)))
    if not arrays:
        raise DataError("holds no numeric array", where=path)
    return arrays


def read_mat_tree(path: Path, keep: Sequence[str] = ("*",)) -> dict[str, Tree]:
    """Return the variables of a ``.mat`` file: structs as dicts, cells and struct arrays as tuples, text as ``str``.

    Numbers are float64 of their own shape; (m, n) cells come in MATLAB's linear (column-major) order; an array of
    several texts is a tuple of them. ``keep`` are globs of dotted paths (``IMU.S1*``): of everything else only the
    place is kept, an empty tuple. What is no number, text, cell or struct (function handles, objects) is left out.
    Raises ``DataError`` where the file cannot be read, or is a v7.3 file (HDF5).
    """
    _refuse_hdf5(path, _head(path, 128))
    try:
        found = child.run(_load, child.Told({"path": str(path.resolve()), "keep": list(keep)}))
    except child.ChildError as error:
        raise DataError(f"is no readable MATLAB file (v4 to v7): {error}", where=path) from None
    return {name: _decoded(item, found.arrays) for name, item in found.values["s"].items()}


def _head(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(size)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=path) from error


def _refuse_hdf5(path: Path, head: bytes) -> None:
    if head.startswith((b"\x89HDF", b"MATLAB 7.3")):
        raise DataError(
            "is a MATLAB v7.3 file, expected v7 or older; read it with 'reader: hdf5', or save it again with save(..., "
            "'-v7')",
            where=path,
        )


def _decoded(told: Any, arrays: child.Arrays) -> Tree:
    """Return what the child told: ``{"a": array}``, ``{"t": text}``, ``{"l": [...]}`` or ``{"s": {...}}``."""
    ((kind, value),) = told.items()
    if kind == "a":
        return arrays[value].astype(np.float64, copy=False)
    if kind == "t":
        return str(value)
    if kind == "l":
        return tuple(_decoded(item, arrays) for item in value)
    return {name: _decoded(item, arrays) for name, item in value.items()}


def _matrices(tree: Mapping[str, Tree], prefix: str = "") -> Iterator[tuple[str, FloatArray]]:
    """Yield (dotted path, array) of each vector and matrix, through structs of one element."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _matrices(value, f"{prefix}{name}.")
        elif isinstance(value, np.ndarray) and 1 <= value.ndim <= 2 and value.size:
            yield prefix + name, value.reshape(-1) if 1 in value.shape else value


# --- the child's side -------------------------------------------------------------------------------------------------


def _load(asked: child.Told) -> child.Told:
    """Read a file with SciPy; runs in a process of its own."""
    import scipy.io

    variables = scipy.io.loadmat(asked.values["path"], struct_as_record=False, squeeze_me=False)
    encoder = _Encoder(asked.values["keep"])
    told = encoder.struct({name: value for name, value in variables.items() if not name.startswith("__")}, "")
    return child.Told(told, encoder.arrays)


class _Encoder:
    """SciPy's objects as JSON-plain values, with the numbers beside them in ``arrays``."""

    def __init__(self, keep: Sequence[str]) -> None:
        self._keep = keep
        self.arrays: dict[str, NDArray[Any]] = {}

    def struct(self, fields: Mapping[str, Any], path: str) -> dict[str, Any]:
        told = {}
        for name, value in fields.items():
            item = self._value(value, f"{path}.{name}" if path else name)
            if item is not None:
                told[name] = item
        return {"s": told}

    def _value(self, value: Any, path: str) -> dict[str, Any] | None:
        """Return one value encoded, None for what is no number, text, cell or struct."""
        if hasattr(value, "_fieldnames"):
            return self.struct({name: getattr(value, name) for name in value._fieldnames}, path)
        if not isinstance(value, np.ndarray):
            return None
        if value.dtype == object:
            if value.size == 1 and hasattr(value.flat[0], "_fieldnames"):
                return self._value(value.flat[0], path)
            items = (self._value(item, path) for item in value.reshape(-1, order="F"))
            return {"l": [{"l": []} if item is None else item for item in items]}
        if not any(fnmatchcase(path, pattern) for pattern in self._keep):
            return {"l": []} if value.dtype.kind in "iufbU" else None
        if value.dtype.kind == "U":
            texts = [str(text) for text in value.reshape(-1, order="F")]
            return {"t": "".join(texts)} if len(texts) < 2 else {"l": [{"t": text} for text in texts]}
        if value.dtype.kind in "iufb":
            return {"a": self._array(value)}
        return None

    def _array(self, value: NDArray[Any]) -> str:
        name = str(len(self.arrays))
        self.arrays[name] = value
        return name


# --- names without values ---------------------------------------------------------------------------------------------

_COMPRESSED, _MATRIX, _STRUCT = 15, 14, 2
_PEEK_BYTES = 64 * 2**10
"""How much of a variable is looked at for its name and its field names, which stand at its beginning."""


def mat_fields(path: Path) -> dict[str, tuple[str, ...]]:
    """Return each variable of a ``.mat`` (v5 to v7) with its struct field names, () for what is no struct.

    Reads the beginning of each variable only, in pure Python. Raises ``DataError`` where the file is no such file, is
    cut short, or is a v7.3 file (HDF5). (Layout: MATLAB MAT-File Format, MathWorks, R2023a, chapter 1.)
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(128)
            _refuse_hdf5(path, head)
            order = {b"IM": "<", b"MI": ">"}.get(head[126:128])
            if order is None:
                raise DataError("is no MATLAB file of version 5 to 7: its header has no byte order mark", where=path)
            return dict(_named_variables(stream, order))
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=path) from error
    except (struct.error, zlib.error, ValueError) as error:
        raise DataError(f"is no readable MATLAB file (v5 to v7): {error}", where=path) from error


def _named_variables(stream: io.BufferedReader, order: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (variable, field names) in file order; raises ``ValueError`` where an element is cut short."""
    end = stream.seek(0, io.SEEK_END)
    at = 128
    while at < end:
        stream.seek(at)
        kind, size = struct.unpack(f"{order}II", stream.read(8))
        if at + 8 + size > end:
            raise ValueError(f"the variable at byte {at} should have {size} bytes, the file ends {end - at - 8} after")
        if kind in (_COMPRESSED, _MATRIX):
            raw = stream.read(min(size, _PEEK_BYTES))
            body = zlib.decompressobj().decompress(raw, _PEEK_BYTES)[8:] if kind == _COMPRESSED else raw
            name, fields = _variable_names(body, order)
            if name:
                yield name, fields
        at += 8 + size


def _variable_names(body: bytes, order: str) -> tuple[str, tuple[str, ...]]:
    """Return the name of a variable, and of its fields, from the beginning of its element."""
    flags, at = _subelement(body, 0, order)
    _, at = _subelement(body, at, order)
    name, at = _subelement(body, at, order)
    text = name.decode("utf-8", "replace")
    if struct.unpack(f"{order}I", flags[:4])[0] & 0xFF != _STRUCT:
        return text, ()
    width, at = _subelement(body, at, order)
    names, _ = _subelement(body, at, order)
    step = struct.unpack(f"{order}i", width[:4])[0]
    if step <= 0:
        raise ValueError(f"the struct '{text}' says that its field names are {step} bytes long")
    cut = (names[i : i + step].split(b"\0", 1)[0].decode("utf-8", "replace") for i in range(0, len(names), step))
    return text, tuple(cut)


def _subelement(body: bytes, at: int, order: str) -> tuple[bytes, int]:
    """Return the data of the element at ``at`` (its short form included) and where the next begins."""
    (tag,) = struct.unpack_from(f"{order}I", body, at)
    if tag >> 16:
        size, start, following = tag >> 16, at + 4, at + 8
    else:
        (size,) = struct.unpack_from(f"{order}I", body, at + 4)
        start, following = at + 8, at + 8 + (size + 7) // 8 * 8
    if start + size > len(body):
        raise ValueError("a variable ends within its own header")
    return body[start : start + size], following
