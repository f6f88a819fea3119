"""A task's derived arrays: Zarr v3 whose one shard is, from its first byte, the plain array.

One shard spans the whole array, uncompressed, with inner chunks along the first axis only. Zarr then lays the inner
chunks down in order, so the shard is the flat array, padding, and its index: any Zarr reader can take slices, and a
memory map of it gives shuffled windows at memory speed.

What is opened is checked first: the root names the sha256 of every array, and seals itself with one of its own. Arrays
that rotted on the disk are as good as none, and are made again.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zarr
from filelock import FileLock
from numpy.typing import NDArray

from kinbench.errors import StoreError
from kinbench.files import digest, make_folder, plain, refusals, sweep, sync_folder
from kinbench.schema import IDENTIFIER

_FORMAT = "2"
_ROWS = 8192
_SHARD_INDEX_BYTES_PER_CHUNK = 16
_CHECKSUM_BYTES = 4


def write_flat(folder: Path, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> None:
    """Write arrays of numbers or booleans (any shape with a first axis) and JSON-plain ``meta`` as ``folder``.

    The folder appears whole, by one rename, and replaces one that is there; processes that build the same one take
    turns. Raises ``StoreError`` where the disk refuses, or for an array that is no plain block of numbers.
    """
    for name, values in arrays.items():
        if values.dtype.kind not in "biuf" or values.ndim == 0 or not IDENTIFIER.fullmatch(name):
            raise StoreError(
                f"array '{name}' ({values.dtype}, {values.ndim} dims) is no block of numbers", where=folder
            )
    aside = folder.with_name(f".{folder.name}.partial")
    with refusals(folder, needed=sum(values.nbytes for values in arrays.values())):
        try:
            make_folder(folder.parent)
            with FileLock(folder.with_name(f".{folder.name}.lock")):
                sweep(aside)
                _write(aside, arrays, plain(meta, "meta"))
                sweep(folder)
                aside.rename(folder)
                sync_folder(folder.parent)
        except OSError:
            shutil.rmtree(aside, ignore_errors=True)
            raise


def open_flat(folder: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]] | None:
    """Return (read-only memory maps by name, meta), or None where the folder is absent, altered or not ours.

    Every byte is hashed, at some 1.5 GB/s, once per process and version of a file.
    """
    try:
        attributes = json.loads((folder / "zarr.json").read_bytes())["attributes"]
        if attributes["kinbench_flat"] != _FORMAT or attributes["sha256"] != _seal(attributes):
            return None
        arrays = {
            name: _map(folder / name, tuple(said["shape"]), np.dtype(said["dtype"]), said["sha256"])
            for name, said in attributes["arrays"].items()
        }
        return arrays, attributes["meta"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(folder: Path, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> None:
    little = {name: np.ascontiguousarray(values, values.dtype.newbyteorder("<")) for name, values in arrays.items()}
    attributes: dict[str, Any] = {
        "kinbench_flat": _FORMAT,
        "meta": dict(meta),
        "arrays": {
            name: {"shape": list(values.shape), "dtype": values.dtype.str, "sha256": _sha256(values)}
            for name, values in little.items()
        },
    }
    attributes["sha256"] = _seal(attributes)
    zarr.create_group(zarr.storage.LocalStore(folder), zarr_format=3, attributes=attributes)
    for name, values in little.items():
        rows = _inner_rows(len(values))
        array = zarr.create_array(
            zarr.storage.LocalStore(folder),
            name=name,
            shape=values.shape,
            dtype=values.dtype,
            chunks=(rows, *(max(1, size) for size in values.shape[1:])),
            shards=(_shard_rows(len(values)), *(max(1, size) for size in values.shape[1:])),
            compressors=None,
            fill_value=0,
            # Zarr leaves out inner chunks that hold only the fill value, and the shard would no longer be flat.
            config={"write_empty_chunks": True},
        )
        array[...] = values
    for path in sorted(folder.rglob("*")):
        _sync(path)
    sync_folder(folder)


def _sync(path: Path) -> None:
    if path.is_dir():
        sync_folder(path)
        return
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _seal(attributes: Mapping[str, Any]) -> str:
    # A wrong offset in meta gives wrong windows as surely as a wrong sample does.
    return digest({name: said for name, said in attributes.items() if name != "sha256"})


def _sha256(values: NDArray[Any]) -> str:
    return hashlib.sha256(values.reshape(-1).view(np.uint8).data).hexdigest()


class _Version(NamedTuple):
    """The state of a shard: whoever writes it changes its time or its inode."""

    path: Path
    array_bytes: int
    changed_ns: int
    inode: int


@lru_cache(maxsize=256)
def _sha256_on_disk(shard: _Version) -> str:
    return _sha256(np.memmap(shard.path, dtype=np.uint8, mode="r", shape=(shard.array_bytes,)))


def _map(folder: Path, shape: tuple[int, ...], dtype: np.dtype[Any], sha256: str) -> NDArray[Any]:
    if math.prod(shape) == 0:
        return np.empty(shape, dtype)
    shard = folder / "c" / "/".join("0" for _ in shape)
    rows = _shard_rows(shape[0])
    index = rows // _inner_rows(shape[0]) * _SHARD_INDEX_BYTES_PER_CHUNK + _CHECKSUM_BYTES
    there = shard.stat()
    if there.st_size != rows * math.prod(shape[1:]) * dtype.itemsize + index:
        raise ValueError(f"{shard} is not one flat shard")
    version = _Version(shard.resolve(), math.prod(shape) * dtype.itemsize, there.st_mtime_ns, there.st_ino)
    if _sha256_on_disk(version) != sha256:
        raise ValueError(f"{shard} is not what was written")
    return np.memmap(shard, dtype=dtype, mode="r", shape=shape)


def _inner_rows(rows: int) -> int:
    return max(1, min(rows, _ROWS))


def _shard_rows(rows: int) -> int:
    inner = _inner_rows(rows)
    return max(1, math.ceil(rows / inner)) * inner
