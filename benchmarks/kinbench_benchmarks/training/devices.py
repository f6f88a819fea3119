"""Where torch computes, with how many threads, and from which random state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from kinbench.errors import UsageError


def check_device(name: str) -> torch.device:
    """Return the device of torch's ``name`` (``cpu``, ``cuda``, ``cuda:1``); ``UsageError`` where there is none."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"Expected a device by torch's name, as 'cpu' or 'cuda', got '{name}'.") from error
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise UsageError(f"Device '{name}' is asked for, and torch finds {count} CUDA devices; take 'cpu'.")
    elif device.type != "cpu":
        try:
            torch.empty(1, device=device)
        except (RuntimeError, NotImplementedError, AssertionError) as error:
            raise UsageError(f"Device '{name}' is asked for, and torch cannot compute there; take 'cpu'.") from error
    return device


def device_of(network: nn.Module) -> torch.device:
    """Return where a network's weights are; the CPU where it has none."""
    return next((weight.device for weight in network.parameters()), torch.device("cpu"))


def on_device(batch: Any, device: torch.device) -> Any:
    """Return what was drawn with every array and tensor in it as a tensor on ``device``.

    Tuples, lists and mappings are looked into; anything else is left as it is.
    """
    if isinstance(batch, np.ndarray):
        return torch.from_numpy(batch if batch.flags.writeable else batch.copy()).to(device)
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(on_device(part, device) for part in batch))
    if isinstance(batch, tuple | list):
        return type(batch)(on_device(part, device) for part in batch)
    if isinstance(batch, Mapping):
        return {name: on_device(part, device) for name, part in batch.items()}
    return batch


@contextmanager
def quiet_torch(seed: int | None = None, device: torch.device | None = None) -> Iterator[None]:
    """Run with one thread and, where a seed is given, a random state of its own; leave both as they were.

    On a CUDA ``device`` its random state is meant too, and cuDNN may take deterministic algorithms only.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    devices = [device] if device is not None and device.type == "cuda" else []
    try:
        with (
            torch.random.fork_rng(devices=devices, enabled=seed is not None),
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
        ):
            if seed is not None:
                torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Return torch's random state: of the CPU and, on a CUDA device, of that device."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_random_state(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Take up what ``random_state`` gave."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
