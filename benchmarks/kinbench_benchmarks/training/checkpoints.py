"""Progress of an interrupted training on disk, taken up only by the same training.

One safetensors file per training: tensors, and everything else as JSON in its header, so that it appears whole by one
rename. Its name and its header hold the training's identity; a file of another identity, or one that cannot be read
whole, is as if it was not there.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from kinbench.errors import KinbenchError

EVERY_S = 30.0
"""Seconds of training between checkpoints in the midst of a stage."""
STAGE_S = 1.0
"""Seconds of training without one after which the end of a stage is one too."""


class Checkpoints:
    """Where one training keeps its progress; nowhere, and at no cost, without a folder."""

    def __init__(self, folder: Path | None, name: str, identity: str) -> None:
        self._identity = identity
        self._path: Path | None = None
        self._last = time.monotonic()
        if folder is not None:
            self._path = folder / f"{re.sub(r'[^A-Za-z0-9.-]+', '-', name) or 'training'}-{identity[:16]}.safetensors"

    def due(self, *, stage_ends: bool) -> bool:
        """Return whether the last one is old enough for another."""
        return self._path is not None and time.monotonic() - self._last >= (STAGE_S if stage_ends else EVERY_S)

    def save(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Keep this progress instead of what was kept before. Raises ``KinbenchError`` where the disk refuses."""
        if self._path is None:
            return
        try:
            self._write(self._path, tensors, meta)
        except (OSError, SafetensorError) as error:
            raise KinbenchError(
                f"progress cannot be kept in '{self._path.parent}': {error}; make room there"
            ) from error
        self._last = time.monotonic()

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return what was kept of this training, None where nothing whole is."""
        if self._path is None or not self._path.is_file():
            return None
        try:
            with safe_open(self._path, framework="pt") as file:
                header = file.metadata() or {}
                if header.get("identity") != self._identity:
                    return None
                names = list(file.keys())
                return {name: file.get_tensor(name).clone() for name in names}, json.loads(header["state"])
        except (OSError, ValueError, KeyError, SafetensorError):
            return None

    def _write(self, path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Write aside, to the disk, then in place by one rename."""
        path.parent.mkdir(parents=True, exist_ok=True)
        header = {"identity": self._identity, "state": json.dumps(meta)}
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        # Copies, because tied weights share memory, which the format does not take.
        save_file({name: value.detach().cpu().clone() for name, value in tensors.items()}, aside, metadata=header)
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under names that begin with ``prefix`` and a slash."""
    return {f"{prefix}/{name}": value for name, value in tensors.items()}


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with ``prefix`` and a slash, without it."""
    return {n.removeprefix(f"{prefix}/"): value for n, value in tensors.items() if n.startswith(f"{prefix}/")}
