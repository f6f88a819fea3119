"""A fresh model made ready: told where to compute and keep its progress, and begun from weights where it is to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kinbench.contracts import TrainedModel, Training
from kinbench.errors import DataError, KinbenchError
from kinbench.files import digest
from kinbench.provenance import Keepable, Origin, begin, keepable

Progress = Callable[[int, int, str], None]


def ready(selector: str, origin: Origin | None, training: Training) -> Keepable:
    """Return a fresh model, prepared and begun; raises ``UsageError`` where it cannot be kept, or cannot begin."""
    model = keepable(selector)
    if isinstance(model, TrainedModel):
        model.prepare(training)
    if origin is not None:
        begin(model, origin, selector)
    return model


def progress_of(target: Path, *identity: Any) -> Path:
    """Return a folder beside ``target`` for the checkpoints of one training, known by its ``identity`` (JSON-plain)."""
    return target.absolute().with_name(f".{target.absolute().name}.{digest(list(identity))[:16]}.progress")


@contextmanager
def plugins_doing(what: str) -> Iterator[None]:
    """Turn whatever a plugin's code raises into a ``DataError`` that says it was the plugin's doing."""
    try:
        yield
    except KinbenchError:
        raise
    except Exception as error:
        raise DataError(f"{what}: {type(error).__name__}: {error}") from error
