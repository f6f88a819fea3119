"""Bytes to disk so that they appear whole or not at all, and the one way JSON is written and digested.

Order of every commit: write aside, fsync the file, rename, fsync the folder. After a kill, a full disk or a power cut,
a name holds either what it held before or all of the new bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from kinbench.errors import DataError, StoreError, UsageError

_AGAIN = "then run the same command again: what is complete is kept"


def publish(data: bytes, target: Path, staging: Path | None = None, *, last: bool = True) -> None:
    """Make ``target`` hold ``data``, whole, by one rename out of the folder ``staging`` (else from beside it).

    Of several files of one commit only the ``last`` must make the folder follow to the disk. Raises ``StoreError`` with
    the path, the bytes needed and the bytes free where the disk refuses; ``target`` is then as it was, and nothing is
    left in ``staging``.
    """
    aside = target.parent / f".{target.name}.{os.getpid()}" if staging is None else staging / target.name
    with refusals(target, needed=len(data)):
        try:
            make_folder(target.parent)
            make_folder(aside.parent)
            _write(aside, data)
            aside.replace(target)
            if last:
                sync_folder(target.parent)
        except OSError:
            # The disk is in trouble already: if even this fails, the next writer sweeps the staging folder.
            with suppress(OSError):
                aside.unlink(missing_ok=True)
            raise


@contextmanager
def new_folder(target: Path, mark: str, *, force: bool = False) -> Iterator[Path]:
    """Yield an empty folder beside ``target`` that becomes it on leaving: whole, or, if anything is raised, not at all.

    ``mark`` is the file by which a folder is known to be one of these: with ``force`` such a one is replaced, and no
    other ever is. Raises ``UsageError`` where ``target`` may not be written, ``StoreError`` where the disk refuses.
    """
    target = target.absolute()
    refuse_folder(target, mark, force=force)
    aside, old = (target.with_name(f".{target.name}.{what}") for what in ("partial", "old"))
    with refusals(target):
        try:
            make_folder(target.parent)
            sweep(aside)
            aside.mkdir()
            yield aside
            for path in sorted(aside.rglob("*")):
                sync_folder(path) if path.is_dir() else _sync(path)
            sync_folder(aside)
            sweep(old)
            if target.is_dir():
                target.rename(old)
            aside.rename(target)
            sync_folder(target.parent)
            sweep(old)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise


@contextmanager
def working_folder(place: Path) -> Iterator[Path]:
    """Yield a folder for what a long computation leaves on its way, which goes once that has come to its end.

    One that is stopped leaves it, for the next to go on from; one that wrote nothing leaves nothing.
    """
    with refusals(place):
        make_folder(place)
    try:
        yield place
    except BaseException:
        if not any(path.is_file() for path in place.rglob("*")):
            shutil.rmtree(place, ignore_errors=True)
        raise
    shutil.rmtree(place, ignore_errors=True)


def refuse_folder(target: Path, mark: str, *, force: bool = False) -> None:
    """Raise ``UsageError`` where ``new_folder`` would refuse ``target``: ask before anything is computed for it."""
    if target.exists() and not target.is_dir():
        raise UsageError(f"Expected the name of a folder, found a file at '{target}'; name another one.")
    if not target.is_dir() or not any(target.iterdir()):
        return
    if not force:
        raise UsageError(f"'{target}' is not empty; name another folder, or say --force to replace it.")
    if not (target / mark).is_file():
        raise UsageError(
            f"'{target}' is not empty and holds no {mark}, so its content is not of the kind that --force may replace; "
            "name another folder."
        )


@contextmanager
def refusals(path: Path, *, needed: int = 0) -> Iterator[None]:
    """Turn what the operating system refuses below ``path`` into a ``StoreError`` that says what to do."""
    try:
        yield
    except OSError as error:
        room = f" ({needed} bytes needed, {_free(path)} free)" if needed else ""
        raise StoreError(
            f"cannot write here: {error.strerror or error}{room}; free some space, make the folder writable or choose"
            f" another one, {_AGAIN}",
            where=path,
        ) from error


def make_folder(path: Path) -> None:
    """Create ``path`` and its missing parents, each one durably."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Flush a folder's own entries to the disk, where the system can (Windows cannot open a folder)."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(folder: Path) -> None:
    """Remove an unfinished folder and all in it; no error where there is none."""
    if folder.is_dir():
        shutil.rmtree(folder)


def canonical(value: Any) -> bytes:
    """Return the one JSON text of a JSON-plain value: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def canonical_object(parts: Mapping[str, bytes]) -> bytes:
    """Return ``canonical`` of an object whose values are such texts already: what many share is written once."""
    return b"{" + b",".join(canonical(name) + b":" + parts[name] for name in sorted(parts)) + b"}"


def digest_object(parts: Mapping[str, bytes]) -> str:
    """Return ``digest`` of an object whose values are canonical texts already."""
    return hashlib.sha256(canonical_object(parts)).hexdigest()


def digest(value: Any) -> str:
    """Return the sha256, in hex, of a JSON-plain value's canonical text. Raises ``ValueError`` for NaN."""
    return hashlib.sha256(canonical(value)).hexdigest()


def plain(value: Any, where: str) -> Any:
    """Return ``value`` as JSON holds it (lists, dicts with text keys, Python numbers), keys sorted.

    Raises ``DataError`` naming the place of what JSON cannot hold: NaN, arrays of several values, other objects.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise DataError(f"a metadata value must be finite, found {value}; leave it out or use null", where=where)
        return value
    if isinstance(value, Mapping):
        bad = next((key for key in value if not isinstance(key, str)), None)
        if bad is not None:
            raise DataError(f"a metadata name must be text, found {bad!r}", where=where)
        return {key: plain(value[key], f"{where}.{key}") for key in sorted(value)}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [plain(item, f"{where}[{place}]") for place, item in enumerate(value)]
    raise DataError(
        f"metadata must be JSON-plain, found {type(value).__name__}; use text, numbers or lists", where=where
    )


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o644)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(handle, left) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _free(path: Path) -> int:
    there = next(folder for folder in (path, *path.parents) if folder.is_dir())
    return shutil.disk_usage(there).free
