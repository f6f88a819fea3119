"""What a fitted model leaves on disk: arrays as safetensors, everything else as JSON beside them. No pickle anywhere.

Written and read without torch, so that a linear model needs none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from kinbench.contracts import ModelCard
from kinbench.errors import DataError
from kinbench.windows import TaskSpec

ARRAYS = "weights.safetensors"
META = "state.json"
NETWORK = "network/"
"""What the names of a network's weights begin with, so that other arrays can stand beside them."""


@runtime_checkable
class Network(Protocol):
    """What has weights by name: a torch module."""

    def state_dict(self) -> dict[str, Any]:
        """Return its weights by name."""
        ...


def write_weights(
    folder: Path, card: ModelCard, spec: TaskSpec, weights: Network | Mapping[str, Any], **meta: Any
) -> None:
    """Write a model's state into an existing folder.

    ``weights`` is a network (its names get the prefix ``network/``) or arrays and tensors by name; ``meta`` must be
    JSON-plain.
    """
    save_file(plain(weights), folder / ARRAYS)
    text = json.dumps(
        {"model": card.name, "version": card.version, "spec": asdict(spec), **meta}, indent=1, sort_keys=True
    )
    (folder / META).write_text(text + "\n", encoding="utf-8")


def read_weights(folder: Path, card: ModelCard) -> tuple[TaskSpec, dict[str, NDArray[Any]], dict[str, Any]]:
    """Return (spec, arrays, meta) as written; the arrays are copies that may be changed.

    Raises ``DataError`` where they are absent, damaged, or of another model or version of it.
    """
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        arrays = {name: np.array(value) for name, value in load_file(folder / ARRAYS).items()}
        written_by = (meta.pop("model"), meta.pop("version"))
        spec = _spec(meta.pop("spec"))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise DataError(f"no readable model state: {error}; fit the model again", where=folder) from error
    if written_by != (card.name, card.version):
        raise DataError(
            f"state of {written_by[0]} version {written_by[1]}, expected {card.name} version {card.version}; "
            "fit the model again",
            where=folder,
        )
    return spec, arrays, meta


def plain(weights: Network | Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return arrays by name of a network's weights, or of arrays and tensors wherever they are."""
    if isinstance(weights, Network):
        weights = {f"{NETWORK}{name}": value for name, value in weights.state_dict().items()}
    return {name: _array(value) for name, value in weights.items()}


def _array(value: Any) -> NDArray[Any]:
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    # Not np.ascontiguousarray, which makes a vector of a scalar.
    return np.require(value, requirements="C")


def _spec(stored: Mapping[str, Any]) -> TaskSpec:
    return TaskSpec(
        task=stored["task"],
        version=stored["version"],
        channel_names=tuple(stored["channel_names"]),
        dof_names=tuple(stored["dof_names"]),
        segments=tuple(stored["segments"]),
        rate_hz=stored["rate_hz"],
        window=stored["window"],
    )
