"""One recording as one file: a zipped Zarr v3 group that seals itself.

Members are stored uncompressed in the zip (the chunks inside are zstd with a checksum of their own), in name order,
with one fixed time stamp, so the same recording gives the same bytes. ``manifest.json`` holds the sha256 of every other
member, the content digest and the index entry. The zip's comment, the last 64 bytes of the file, is the hex sha256 of
all bytes before it: ``head -c -64 FILE | sha256sum`` checks a recording without kinbench.

What is read is checked first: the seal on a full read, the manifest's sha256 of each member on a read of the inputs
alone. A damaged file is an error, never other numbers.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray
from zarr.codecs import ZstdCodec
from zarr.core.buffer import Buffer, default_buffer_prototype
from zarr.storage import MemoryStore

from kinbench.errors import DataError, StoreError
from kinbench.files import canonical, plain
from kinbench.recording import IndexEntry, Key, Recording, labels
from kinbench.store.digest import content_digest, is_text
from kinbench.store.entries import entry_of, from_json, to_json
from kinbench.store.layout import FORMAT

MANIFEST = "manifest.json"
INPUTS = "inputs"
REFERENCE = "reference"
SEAL = 64
"""Length of the seal at the end of a unit: a sha256 in hex."""

_CHUNK_ROWS = 65536
"""Arrays are chunked along time only; ten minutes at 100 Hz are one chunk."""

_ZSTD_LEVEL = 1
_EPOCH = (1980, 1, 1, 0, 0, 0)
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError, LookupError,
    TypeError, AttributeError, ArithmeticError,
)  # fmt: skip
"""What zipfile, json and zarr raise on bytes that are not what was written."""


@dataclass(frozen=True)
class Manifest:
    """What a unit says of itself: its key, content digest, index entry, and the sha256 of every other member."""

    key: Key
    digest: str
    entry: IndexEntry
    members: Mapping[str, str]


# --- writing ---------------------------------------------------------------------------------------------------------


def pack(recording: Recording) -> tuple[bytes, IndexEntry]:
    """Return the file of a schema-form recording, and its index entry.

    Raises ``DataError`` for a recording whose raw facts are still to be acted on (``declared``), whose attributes
    contradict its key, or that holds what a store cannot (objects, NaN in attributes).
    """
    if recording.declared is not None:
        raise DataError("it still holds declared facts; harmonise and align it before storing", where=recording.key)
    attrs = plain(recording.attrs, f"{recording.key}.attrs")
    for name in ("dataset", "subject", "session", "trial"):
        if name in attrs and attrs[name] != getattr(recording.key, name):
            raise DataError(f"attribute {name} is '{attrs[name]}', against the recording's key", where=recording.key)
    digest = content_digest(recording)
    entry = entry_of(recording, digest)
    members = _encode(recording, attrs)
    members[MANIFEST] = canonical(
        {
            "kinbench_format": FORMAT,
            "key": str(recording.key),
            "digest": digest,
            "entry": to_json(entry),
            "members": {name: hashlib.sha256(data).hexdigest() for name, data in members.items()},
        }
    )
    return _sealed_zip(members), entry


def _encode(recording: Recording, attrs: Mapping[str, Any]) -> dict[str, bytes]:
    held: dict[str, Buffer] = {}
    store = MemoryStore(held)
    zarr.create_group(store, zarr_format=3, attributes=dict(attrs))
    for path, stream in ((INPUTS, recording.imu), (REFERENCE, recording.reference)):
        if stream is not None:
            _encode_stream(store, path, stream)
    return {name: buffer.to_bytes() for name, buffer in held.items()}


def _encode_stream(store: MemoryStore, path: str, stream: xr.Dataset) -> None:
    # Written by zarr itself, not by xarray's writer: it is twice as fast, keeps bool and text as they are, and adds no
    # CF encoding that a reader would have to undo. "coordinates" is xarray's own way to name them.
    coordinates = " ".join(sorted(str(name) for name in stream.coords))
    group = zarr.create_group(
        store, path=path, zarr_format=3, attributes={**plain(stream.attrs, path), "coordinates": coordinates}
    )
    for name, variable in stream.variables.items():
        values = (
            labels(variable.values.ravel()).reshape(variable.shape) if is_text(variable.values) else variable.values
        )
        array = group.create_array(
            str(name),
            shape=values.shape,
            dtype=values.dtype,
            chunks=tuple(max(1, min(size, _CHUNK_ROWS)) for size in values.shape),
            compressors=(ZstdCodec(level=_ZSTD_LEVEL, checksum=True),),
            fill_value=np.nan if values.dtype.kind == "f" else None,
            dimension_names=[str(dim) for dim in variable.dims],
            attributes=plain(variable.attrs, f"{path}.{name}"),
            config={"write_empty_chunks": True},
        )
        array[...] = values


def _sealed_zip(members: Mapping[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, members[name])
        archive.comment = b"0" * SEAL
    body = held.getvalue()[:-SEAL]
    return body + _seal_of(body)


def _seal_of(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


# --- reading ---------------------------------------------------------------------------------------------------------


def read(path: Path, key: Key) -> Recording:
    """Return the recording at ``path``, every byte checked; raises ``StoreError`` if it is damaged or not ``key``."""
    return _decode(path, key, _whole(path, key)[0])


def read_inputs(path: Path, key: Key) -> tuple[xr.Dataset | None, dict[str, Any]]:
    """Return (imu, attributes) without reading a byte of the reference; raises ``StoreError`` where damaged."""
    with _damage_told(path), path.open("rb") as file, zipfile.ZipFile(file) as archive:
        manifest = _manifest(archive.read(MANIFEST))
        _belongs(manifest, key, path)
        members = _checked(archive, manifest, lambda name: not name.startswith(f"{REFERENCE}/"), path)
        return _decode_stream(members, INPUTS), _attributes(members)


def read_attrs(path: Path, key: Key) -> dict[str, Any]:
    """Return the attributes alone, every byte of the file checked; raises ``StoreError`` where it is damaged."""
    return _attributes(_whole(path, key)[0])


def read_manifest(path: Path, key: Key) -> Manifest:
    """Return the manifest; raises ``StoreError`` where it is damaged or another recording's."""
    with _damage_told(path), path.open("rb") as file, zipfile.ZipFile(file) as archive:
        manifest = _manifest(archive.read(MANIFEST))
    _belongs(manifest, key, path)
    return manifest


def read_seal(path: str) -> str:
    """Return the seal at the end of the file, unchecked: it changes whenever the content does."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        os.lseek(handle, max(0, os.fstat(handle).st_size - SEAL), os.SEEK_SET)
        return os.read(handle, SEAL).decode("ascii", errors="replace")
    finally:
        os.close(handle)


def seal_in(data: bytes) -> str:
    """Return the seal of a packed unit."""
    return data[-SEAL:].decode("ascii")


def problems(path: Path, key: Key) -> list[str]:
    """Return what is wrong with the unit, one sentence each, an empty list where every byte and claim holds."""
    try:
        members, manifest = _whole(path, key)
        recording = _decode(path, key, members)
        with _damage_told(path):
            digest = content_digest(recording)
            entry = entry_of(recording, digest)
    except DataError as error:
        return list(error.problems)
    if digest != manifest.digest:
        return ["the content digest in its manifest is not that of its content; convert it again"]
    if manifest.entry != entry:
        return ["the index entry in its manifest is not that of its content; convert it again"]
    return []


def _whole(path: Path, key: Key) -> tuple[dict[str, bytes], Manifest]:
    with _damage_told(path):
        data = path.read_bytes()
        sealed = data[-SEAL:] == _seal_of(data[:-SEAL])
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            manifest = _manifest(archive.read(MANIFEST))
            _belongs(manifest, key, path)
            members = _checked(archive, manifest, lambda _: True, path)
        if not sealed:
            raise StoreError("its seal does not match its bytes; convert it again", where=path)
        return members, manifest


def _decode(path: Path, key: Key, members: Mapping[str, bytes]) -> Recording:
    with _damage_told(path):
        imu, reference = (_decode_stream(members, stream) for stream in (INPUTS, REFERENCE))
        return Recording(key, imu, reference, _attributes(members))


def _manifest(data: bytes) -> Manifest:
    said = json.loads(data)
    if said["kinbench_format"] != FORMAT:
        raise StoreError(
            f"it is of format {said['kinbench_format']}; this kinbench reads format {FORMAT}: convert it again"
        )
    return Manifest(Key.parse(said["key"]), said["digest"], from_json(said["entry"]), said["members"])


def _belongs(manifest: Manifest, key: Key, path: Path) -> None:
    if manifest.key != key:
        raise StoreError(f"it holds {manifest.key} and not {key}: files were swapped or renamed", where=path)


def _checked(
    archive: zipfile.ZipFile, manifest: Manifest, wanted: Callable[[str], bool], path: Path
) -> dict[str, bytes]:
    """Return the wanted members whose sha256 the manifest confirms; raises StoreError naming all that it does not."""
    there = set(archive.namelist()) - {MANIFEST}
    bad = [f"{name} is missing; convert it again" for name in sorted(set(manifest.members) - there)]
    bad += [f"{name} is not in its manifest; convert it again" for name in sorted(there - set(manifest.members))]
    members = {}
    for name in sorted(there & set(manifest.members)):
        if not wanted(name):
            continue
        try:
            members[name] = archive.read(name)
        except _DAMAGE as error:
            bad.append(f"{name} is damaged ({error}); convert it again")
            continue
        if hashlib.sha256(members[name]).hexdigest() != manifest.members[name]:
            bad.append(f"{name} is not what its manifest says; convert it again")
    if bad:
        raise StoreError(bad, where=path)
    return members


def _attributes(members: Mapping[str, bytes]) -> dict[str, Any]:
    attributes: dict[str, Any] = json.loads(members["zarr.json"])["attributes"]
    return attributes


def _decode_stream(members: Mapping[str, bytes], path: str) -> xr.Dataset | None:
    if f"{path}/zarr.json" not in members:
        return None
    buffer = default_buffer_prototype().buffer
    store = MemoryStore({name: buffer.from_bytes(data) for name, data in members.items()}, read_only=True)
    group = zarr.open_group(store, path=path, mode="r", zarr_format=3)
    attrs = group.attrs.asdict()
    coordinates = set(str(attrs.pop("coordinates")).split())
    variables = {name: _variable(group, name) for name in _array_names(members, path)}
    return xr.Dataset(
        {name: variable for name, variable in variables.items() if name not in coordinates},
        coords={name: variable for name, variable in variables.items() if name in coordinates},
        attrs=attrs,
    )


def _array_names(members: Mapping[str, bytes], path: str) -> list[str]:
    return sorted(name.split("/")[1] for name in members if name.startswith(f"{path}/") and name.count("/") == 2
                  and name.endswith("/zarr.json"))  # fmt: skip


def _variable(group: zarr.Group, name: str) -> tuple[tuple[str, ...], NDArray[Any], dict[str, Any]]:
    array = group[name]
    if not isinstance(array, zarr.Array):
        raise StoreError(f"{name} is a group where an array was expected; convert it again")
    dims = getattr(array.metadata, "dimension_names", None) or ()
    return tuple(str(dim) for dim in dims), np.asarray(array[...]), array.attrs.asdict()


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """Turn whatever damaged bytes provoke in zipfile, json and zarr into one ``StoreError`` that names the file."""
    try:
        yield
    except StoreError as error:
        if error.where is None:
            raise StoreError(error.problems, where=path) from error
        raise
    except OSError as error:
        raise StoreError(f"it cannot be read ({error.strerror or error})", where=path) from error
    except _DAMAGE as error:
        raise StoreError(f"it is damaged ({error}); convert it again", where=path) from error
