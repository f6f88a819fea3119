"""Fields of a ``.mat`` taken by name: what is expected of them, and where it was not found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench_adapters._formats.arrays import Tree

FloatArray = NDArray[np.float64]


def struct(fields: Mapping[str, Tree], name: str, path: Path) -> dict[str, Tree]:
    """Return the struct ``name``; raises ``DataError`` where there is none."""
    found = fields.get(name)
    if not isinstance(found, dict):
        raise DataError(f"expected a struct '{name}', found {_told(fields, name)}", where=path)
    return found


def numbers(fields: Mapping[str, Tree], name: str, path: Path, shape: tuple[int | None, ...]) -> FloatArray:
    """Return the array ``name`` of the given shape (None: any length); raises ``DataError`` where it is not that."""
    found = fields.get(name)
    fits = isinstance(found, np.ndarray) and found.ndim == len(shape)
    if (
        not fits
        or not isinstance(found, np.ndarray)
        or any(want not in (None, have) for want, have in zip(shape, found.shape, strict=True))
    ):
        wanted = " x ".join("n" if size is None else str(size) for size in shape)
        raise DataError(f"expected '{name}' of {wanted} numbers, found {_told(fields, name)}", where=path)
    return found


def texts(fields: Mapping[str, Tree], name: str, path: Path) -> list[str]:
    """Return the cell of texts ``name``; raises ``DataError`` where it is none, or holds anything else."""
    found = fields.get(name)
    listed = (found,) if isinstance(found, str) else found
    if not isinstance(listed, tuple) or not listed or not all(isinstance(item, str) for item in listed):
        raise DataError(f"expected '{name}' to be a cell of texts, found {_told(fields, name)}", where=path)
    return [str(item).strip() for item in listed]


def _told(fields: Mapping[str, Tree], name: str) -> str:
    found = fields.get(name)
    if found is None:
        return f"none among {', '.join(fields) or 'no fields'}"
    if isinstance(found, np.ndarray):
        return " x ".join(str(size) for size in found.shape) + " numbers"
    if isinstance(found, str):
        return f"the text '{found[:40]}'"
    return f"a struct of {', '.join(found)}" if isinstance(found, dict) else f"a cell of {len(found)}"
