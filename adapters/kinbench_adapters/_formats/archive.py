"""Read members of a ZIP archive in place, also those packed by Deflate64 (method 9), which Python's zipfile cannot.

Deflate64 is Deflate with a window of 64 KiB (PKWARE APPNOTE 6.3.10, 4.4.5 and 5.5); Windows writes it for archives
beyond 4 GiB. A member is found through the archive's directory and read alone, so an archive of any size can stay as
it was downloaded.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from kinbench.errors import DataError
from kinbench_adapters._formats.extras import optional

DEFLATE64 = 9
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "Deflate", DEFLATE64: "Deflate64"}


def members(path: Path) -> list[zipfile.ZipInfo]:
    """Return the files that an archive holds, from its directory; raises ``DataError`` where that cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [member for member in archive.infolist() if not member.is_dir()]
    except (zipfile.BadZipFile, OSError, struct.error) as error:
        raise DataError(f"expected a ZIP archive, and its directory cannot be read: {error}", where=path) from error


def read_member(path: Path, member: zipfile.ZipInfo) -> bytes:
    """Return the bytes of one member; raises ``DataError`` where they are damaged, locked or packed in another way."""
    where = f"{path}/{member.filename}"
    if member.flag_bits & 0x1 or member.compress_type not in _METHODS:
        found = "an encrypted one" if member.flag_bits & 0x1 else f"method {member.compress_type}"
        raise DataError(f"expected a member packed by {', '.join(_METHODS.values())}, found {found}", where=where)
    try:
        data = _unpacked(_packed(path, member), member)
    except (ValueError, OSError, struct.error, zlib.error) as error:
        raise DataError(f"expected a whole member of the archive, found a damaged one: {error}", where=where) from error
    if len(data) != member.file_size or zlib.crc32(data) != member.CRC:
        raise DataError(
            f"expected {member.file_size} bytes with CRC {member.CRC:08x}, found {len(data)} with "
            f"{zlib.crc32(data):08x}: the archive is damaged; fetch it again",
            where=where,
        )
    return data


def _packed(path: Path, member: zipfile.ZipInfo) -> bytes:
    """Return a member's packed bytes, which follow its local header (whose extra field may differ in length)."""
    with path.open("rb") as file:
        file.seek(member.header_offset)
        header = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
        if header[0] != b"PK\x03\x04":
            raise ValueError("no local header where the directory says")
        file.seek(header[9] + header[10], 1)
        packed = file.read(member.compress_size)
    if len(packed) != member.compress_size:
        raise ValueError(f"{len(packed)} of {member.compress_size} packed bytes are there")
    return packed


def _unpacked(packed: bytes, member: zipfile.ZipInfo) -> bytes:
    if member.compress_type == zipfile.ZIP_STORED:
        return packed
    if member.compress_type == zipfile.ZIP_DEFLATED:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed)
    inflater: Any = optional("inflate64", extra="calgary", reads="an archive packed by Deflate64").Inflater()
    return bytes(inflater.inflate(packed))
