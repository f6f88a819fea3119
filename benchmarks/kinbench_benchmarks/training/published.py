"""Weights that others published: read without running anything that a file may carry, and put into our networks."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from kinbench.errors import DataError


def read_published(path: Path) -> dict[str, Tensor]:
    """Return the weights by name of a ``.safetensors`` file or of one that torch saved, on the CPU.

    Of a pickled file only tensors and plain values are taken (``weights_only``). A mapping that holds the weights as
    ``state_dict`` or ``model_state_dict`` is looked into. Raises ``DataError`` where there is no such file, or anything
    else in it.
    """
    found = read_saved(path)
    for inner in ("state_dict", "model_state_dict"):
        if isinstance(found.get(inner), Mapping):
            found = found[inner]
    if not found or not all(isinstance(value, Tensor) for value in found.values()):
        raise DataError("expected a network's weights by name, got something else", where=path)
    return {str(name): value for name, value in found.items()}


def read_saved(path: Path) -> Mapping[str, Any]:
    """Return the values by name of a ``.safetensors`` file or of one that torch saved, nothing in it executed.

    Raises ``DataError`` where there is no such file, or it is damaged or holds anything but tensors and plain values.
    """
    if not path.is_file():
        raise DataError("expected a file of a network's weights, found none", where=path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a damaged file seems to be, which is told below
            found = _loaded(path)
    except Exception as error:  # of a damaged file torch raises whatever its bytes happen to lead to
        raise DataError(f"expected a file of a network's weights, got: {_reason(error)}", where=path) from error
    if not isinstance(found, Mapping):
        raise DataError(f"expected a network's weights by name, got {type(found).__name__}", where=path)
    return found


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


def _loaded(path: Path) -> Any:
    return load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True, map_location="cpu")


def _reason(error: Exception) -> str:
    """Return an error's first line; of what torch would not unpickle, that and no advice to run it all the same."""
    if isinstance(error, pickle.UnpicklingError):
        return "a damaged file, or one that holds code and not only numbers"
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
