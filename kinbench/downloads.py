"""The only room that knows the network: files fetched by pooch, checked against a pinned hash.

A file appears whole and checked, or not at all: it grows under another name (``<name>.part``), is hashed, then moved.
A download that was stopped goes on where it ended; one whose hash is wrong leaves nothing.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from kinbench.errors import DataError

Progress = Callable[[int, int, str], None]
"""Called with bytes so far, bytes in all (0: unknown) and the file's name."""

_CHUNK_BYTES = 2**20
_TIMEOUT_S = 30.0
_RETRIES = 5
"""How often a connection that breaks is taken up again, as long as each one brought something."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_PARTIAL_CONTENT, _RANGE_NOT_SATISFIABLE = 206, 416


@dataclass(frozen=True)
class Download:
    """One file that may be fetched without anybody's agreement.

    ``path`` is where it belongs below the raw folder; ``known_hash`` is ``sha256:...`` or ``md5:...``, None where
    nobody has published one: then it is not fetched unless a person asks for it, and what came is recorded.
    ``size_bytes`` 0 is unknown.
    """

    path: str
    url: str
    known_hash: str | None
    size_bytes: int


@dataclass(frozen=True)
class Fetched:
    """A file that is there now. ``sha256`` is what it had, where no hash was pinned before it came."""

    path: Path
    sha256: str | None = None


def ignore(done: int, total: int, label: str) -> None:
    """Take no notice of progress."""


def pinned_hash(download: Download, folder: Path) -> str | None:
    """Return the hash a file must have: the published one, else the one its first download wrote beside it."""
    if download.known_hash is not None:
        return download.known_hash
    record = _record(folder / download.path)
    return f"sha256:{record.read_text(encoding='ascii').split()[0]}" if record.is_file() else None


def refuse_full_disk(downloads: Iterable[Download], folder: Path) -> None:
    """Raise ``DataError`` where the files, less what has come of them, are larger than the disk has room for."""
    _refuse_full_disk(sum(max(0, d.size_bytes - _size(_part(folder / d.path))) for d in downloads), folder)


def _refuse_full_disk(needed: int, folder: Path) -> None:
    free = shutil.disk_usage(next(place for place in (folder, *folder.absolute().parents) if place.exists())).free
    if needed > free:
        raise DataError(
            f"expected {in_bytes(needed)} of free space for the download, found {in_bytes(free)}; free some, or name "
            "a folder on another disk",
            where=folder,
        )


def fetch(download: Download, folder: Path, *, unpinned: bool = False, on_progress: Progress = ignore) -> Fetched:
    """Fetch one file into ``folder / download.path`` and return it; one that is there with the right hash stays.

    Without a pinned hash it is fetched only where ``unpinned`` says so; its sha256 is then returned and written beside
    it (``<file>.sha256``), and is what later downloads of it are held against. Raises ``DataError`` with one
    sentence when it cannot be had (no connection, no such page, no room) or is not the file that was pinned.
    """
    target = folder / download.path
    known = pinned_hash(download, folder)
    if known is None and not unpinned:
        raise DataError(
            f"nobody has published a hash of {download.url}, so what comes cannot be checked; '--unpinned' fetches it "
            "all the same and writes down the sha256 it had",
            where=target,
        )
    if known is None and target.exists():
        return Fetched(target)
    refuse_full_disk([download], folder)
    _retrieve(download, target, known, on_progress)
    if known is not None:
        return Fetched(target)
    with target.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    _record(target).write_text(f"{sha256}  {target.name}\n", encoding="ascii", newline="\n")
    return Fetched(target, sha256)


def in_bytes(count: float) -> str:
    """Return a number of bytes as a person would write it: ``22.8 GB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"


def _retrieve(download: Download, target: Path, known: str | None, on_progress: Progress) -> None:
    import pooch

    logger = pooch.get_logger()
    before, stream = logger.level, _Stream(download, _part(target), on_progress)
    logger.setLevel(logging.WARNING)
    try:
        pooch.retrieve(download.url, known, fname=target.name, path=target.parent, downloader=stream)
    except ValueError as error:
        raise DataError(_another_file(download, known, stream.content_type, str(error)), where=target) from None
    except OSError as error:
        raise DataError(_why_not(download, error, stream), where=target) from error
    finally:
        logger.setLevel(before)


def _another_file(download: Download, known: str | None, content_type: str, told: str) -> str:
    if known is None:
        return told
    algorithm, _, digest = known.rpartition(":")
    found = re.search(r"got '?([0-9a-f]{32,})", told)
    came = "" if found is None else f" {found[1]}"
    kind = f" (a page, {content_type}, and not a file)" if content_type.startswith("text/html") else ""
    return (
        f"expected {algorithm or 'sha256'} {digest}, but {download.url} gave another file,{came or ' of another hash'}"
        f"{kind}; nothing was kept. Fetch it again, and if it stays so, by hand from the dataset's page"
    )


def _why_not(download: Download, error: OSError, stream: _Stream) -> str:
    kept = _size(stream.part)
    on = f"; {in_bytes(kept)} are kept, and the same command goes on from there" if kept else ""
    if error.errno in _NO_ROOM:
        return f"the disk is full{on}; make room first"
    response = getattr(error, "response", None)
    if response is not None:
        answer = f"{response.status_code} {response.reason}"
        return f"{download.url} answers {answer}; the dataset's page tells where the file is now"
    return f"cannot be fetched from {download.url}: {_last_words(error)}{on or '; try again'}"


def _last_words(error: BaseException) -> str:
    """Return what an error says at the bottom: the libraries wrap it in their own objects' names."""
    while True:
        inner = next((arg for arg in error.args if isinstance(arg, BaseException)), getattr(error, "reason", None))
        if not isinstance(inner, BaseException):
            words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            return words.rpartition(">: ")[2] or type(error).__name__
        error = inner


class _Stream:
    """Downloads for pooch: into a part file that outlives a broken connection, then to where pooch hashes it."""

    def __init__(self, download: Download, part: Path, on_progress: Progress) -> None:
        self.part, self.content_type = part, ""
        self._size, self._name, self._on_progress = download.size_bytes, Path(download.path).name, on_progress
        self._pinned = download.known_hash is not None

    def __call__(self, url: str, output_file: str, pooch: Any, check_only: bool = False) -> None:
        if self._size and _size(self.part) > self._size:
            self.part.unlink()
        for again in range(_RETRIES + 1):
            before = _size(self.part)
            try:
                if not self._size or before < self._size:
                    self._append(url)
                break
            except OSError as error:
                answered = getattr(error, "response", None)
                if answered is not None and answered.status_code == _RANGE_NOT_SATISFIABLE and before:
                    self.part.unlink()  # it is longer than the file at the server, so it is of another one
                elif error.errno in _NO_ROOM or _size(self.part) <= before or again == _RETRIES:
                    if not _size(self.part):
                        self.part.unlink(missing_ok=True)
                    raise
        self._refuse_page()
        self.part.replace(output_file)

    def _refuse_page(self) -> None:
        """Raise ``ValueError`` for what is plainly another file, where there is no hash that would tell."""
        size = _size(self.part)
        page = self.content_type.startswith("text/html") and not self._name.endswith((".html", ".htm"))
        if not self._pinned and (page or self._size not in (0, size)):
            self.part.unlink()
            raise ValueError(
                f"expected a file of {in_bytes(self._size) if self._size else 'unknown size'}, found {in_bytes(size)} "
                f"of {self.content_type or 'unknown kind'}; nothing was kept. See the dataset's page"
            )

    def _append(self, url: str) -> None:
        from pooch import HTTPDownloader

        have = _size(self.part)
        # Compressed on the way, a file has no size to compare and no place to go on from.
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
        with self.part.open("ab") as file:
            answer = _Answer(self, file, have)
            try:
                HTTPDownloader(
                    progressbar=_Bar(file, have, self._size, self._name, self._on_progress), chunk_size=_CHUNK_BYTES,
                    headers=headers, hooks={"response": answer}, timeout=_TIMEOUT_S,
                )(url, file, None)  # fmt: skip
            except DataError:
                if not have:
                    self.part.unlink()
                raise
            finally:
                answer.close()


class _Answer:
    """Looks at what the server answers before its bytes are written."""

    def __init__(self, stream: _Stream, file: BinaryIO, have: int) -> None:
        self._stream, self._file, self._have = stream, file, have
        self._response: Any = None

    def __call__(self, response: Any, *_: Any, **__: Any) -> None:
        self._response = response
        if response.is_redirect:
            return
        self._stream.content_type = response.headers.get("content-type", "")
        if response.ok:
            _refuse_full_disk(int(response.headers.get("content-length", 0)), self._stream.part.parent)
        goes_on = response.headers.get("content-range", "").startswith(f"bytes {self._have}-")
        if response.ok and not (response.status_code == _PARTIAL_CONTENT and goes_on):
            self._file.truncate(0)  # the server starts from the beginning again

    def close(self) -> None:
        """Let go of the connection, also where the answer was not read to its end."""
        if self._response is not None:
            self._response.close()


class _Bar:
    """What pooch takes for a progress bar; counts what is in the file."""

    def __init__(self, file: BinaryIO, have: int, size: int, name: str, on_progress: Progress) -> None:
        self.total = 0  # pooch sets it to what the server says is still to come
        self._file, self._have, self._size, self._name, self._on_progress = file, have, size, name, on_progress

    def update(self, count: int) -> None:
        """Tell how much of the file is here."""
        done = self._file.tell()
        self._on_progress(done, self._size or max(done, self._have + self.total), self._name)

    def reset(self) -> None:
        """Do nothing: what is here is counted, not added up."""

    def close(self) -> None:
        """Do nothing: whoever shows the bar closes it."""


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def _record(target: Path) -> Path:
    return target.with_name(target.name + ".sha256")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
