"""What tells one training from another: digests of data, weights and settings."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from torch import Tensor

_CHUNK = 256


def digest(*values: Any) -> str:
    """Return a digest of arrays, tensors, dataclasses, sequences, mappings and anything with a ``repr`` that tells."""
    told = hashlib.blake2b(digest_size=16)
    for value in values:
        for part in _parts(value):
            told.update(part)
    return told.hexdigest()


def source_fingerprint(source: Any) -> str:
    """Return what tells a source's windows from those of another."""
    if callable(own := getattr(source, "fingerprint", None)):
        return str(own())
    if is_dataclass(source):
        return digest(source)
    return digest(*(source.take(np.arange(i, min(i + _CHUNK, len(source)))) for i in range(0, len(source), _CHUNK)))


def sampler_fingerprint(sampler: Any) -> str:
    """Return what tells a sampler, its data and where it stands from others; the sampler stays where it was."""
    before = sampler.state()
    if callable(own := getattr(sampler, "fingerprint", None)):
        return digest(str(own()), before)
    drawn = sampler.draw()
    sampler.restore(before)
    return digest(type(sampler).__qualname__, drawn, before)


def _parts(value: Any) -> Iterator[bytes | memoryview]:
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        yield f"array {value.dtype} {value.shape}".encode()
        yield np.ascontiguousarray(value).reshape(-1).view(np.uint8).data
    elif is_dataclass(value) and not isinstance(value, type):
        yield type(value).__qualname__.encode()
        for field in fields(value):
            yield f".{field.name}".encode()
            yield from _parts(getattr(value, field.name))
    elif isinstance(value, Mapping):
        yield b"{"
        for name, part in value.items():
            yield f"{name!r}:".encode()
            yield from _parts(part)
        yield b"}"
    elif isinstance(value, tuple | list):
        yield b"("
        for part in value:
            yield from _parts(part)
            yield b","
        yield b")"
    else:
        yield repr(value).encode()
