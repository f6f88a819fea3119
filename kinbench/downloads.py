"""The only room that knows the network: files fetched by pooch, checked against a pinned hash."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Download:
    """One file that may be fetched without anybody's agreement.

    ``path`` is where it belongs below the raw folder; ``known_hash`` is ``sha256:...`` or ``md5:...``, None where
    nobody has published one: then it is not fetched unless a person asks for it, and what came is recorded.
    """

    path: str
    url: str
    known_hash: str | None
    size_bytes: int
