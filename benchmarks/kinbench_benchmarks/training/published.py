"""Weights that others published: read without running anything that a file may carry, and put into our networks."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from kinbench.errors import DataError


def read_published(path: Path) -> dict[str, Tensor]:
    """Return the weights by name of a ``.safetensors`` file or of one that torch saved, on the CPU.

    Of a pickled file only tensors and plain values are taken (``weights_only``). A mapping that holds the weights as
    ``state_dict`` or ``model_state_dict`` is looked into. Raises ``DataError`` where there is no such file, or anything
    else in it.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, weights_only=True, map_location="cpu")
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, SafetensorError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"expected a file of a network's weights, got: {reason}", where=path) from error
    return _tensors(found, path)


def load_into(network: nn.Module, weights: Mapping[str, Tensor | NDArray[Any]], *, where: object = None) -> None:
    """Put weights by name into a network. Raises ``DataError`` where a name or a shape is not its own."""
    tensors = {
        name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value for name, value in weights.items()
    }
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        words = " ".join(str(error).split())
        raise DataError(f"weights do not fit the network: {words}; fit the model again", where=where) from error
    network.eval()


def _tensors(found: Any, path: Path) -> dict[str, Tensor]:
    for inner in ("state_dict", "model_state_dict"):
        if isinstance(found, Mapping) and isinstance(found.get(inner), Mapping):
            found = found[inner]
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise DataError("expected a network's weights by name, got something else", where=path)
    return {str(name): value for name, value in found.items()}
