"""Bare numeric arrays: NumPy ``.npy`` and MATLAB ``.mat`` (v4 to v7).

A ``.npy`` that needs pickle is refused before any of it is read. A ``.mat`` is read by SciPy in a child process under
a time and a memory limit, because a damaged one can crash or hang the interpreter that reads it.
"""

from __future__ import annotations

import io
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError

FloatArray = NDArray[np.float64]

_TIMEOUT_S = 60.0
_MEMORY_BYTES = 4 * 2**30
_CHILD = "import sys; from kinbench_adapters._formats.arrays import _child; _child(sys.argv[1], sys.argv[2])"


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


def read_mat(path: Path) -> dict[str, FloatArray]:
    """Return every numeric array of a ``.mat`` file as float64, struct fields by dotted path (``trial.knee``).

    1 x n and n x 1 become (n,), n x k stays. Raises ``DataError`` where the file cannot be read, holds no numbers, or
    is a v7.3 file (HDF5).
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(128)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=path) from error
    if head.startswith((b"\x89HDF", b"MATLAB 7.3")):
        raise DataError("is a MATLAB v7.3 file, expected v7 or older; save it again with save(..., '-v7')", where=path)
    with tempfile.TemporaryDirectory(prefix="kinbench-mat-") as folder:
        target = Path(folder) / "arrays.npz"
        _run_child(path, target)
        with np.load(target, allow_pickle=False) as archive:
            arrays = {name: archive[name].astype(np.float64) for name in archive.files}
    if not arrays:
        raise DataError("holds no numeric array", where=path)
    return arrays


def _run_child(path: Path, target: Path) -> None:
    command = [sys.executable, "-c", _CHILD, str(path.resolve()), str(target)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise DataError(f"could not be read within {_TIMEOUT_S:g} s; it is damaged or too large", where=path) from error
    if done.returncode != 0 or not target.exists():
        reason = done.stderr.strip().splitlines()
        told = reason[-1] if reason else f"the reader ended with status {done.returncode}"
        raise DataError(f"is no readable MATLAB file (v4 to v7): {told}", where=path)


def _child(source: str, target: str) -> None:
    """Read ``source`` with SciPy and write its numeric arrays to ``target``; runs in a process of its own."""
    _limit_memory()
    import scipy.io

    variables = scipy.io.loadmat(source, struct_as_record=False, squeeze_me=False)
    named = {name: value for name, value in variables.items() if not name.startswith("__")}
    np.savez(target, allow_pickle=False, **dict(_numeric(named)))


def _limit_memory() -> None:
    """Bound the address space where the system can."""
    if sys.platform == "win32":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = _MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(_MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _numeric(named: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield (dotted path, array) of each numeric array, through structs of one element."""
    for name, value in named.items():
        if not isinstance(value, np.ndarray):
            continue
        if value.dtype.kind in "iufb" and 1 <= value.ndim <= 2 and value.size:
            yield prefix + name, value.reshape(-1) if 1 in value.shape else value
        elif value.dtype == object and value.size == 1:
            inner = value.reshape(-1)[0]
            fields = getattr(inner, "_fieldnames", None)
            if fields is not None:
                yield from _numeric({field: getattr(inner, field) for field in fields}, f"{prefix}{name}.")
