"""A fresh model made ready: told where to compute and keep its progress, and begun from weights where it is to."""

from __future__ import annotations

import shutil
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


@contextmanager
def progress_folder(target: Path, *identity: Any) -> Iterator[Path]:
    """Yield a folder beside ``target`` for the checkpoints of one training; it goes when that has come to its end.

    One that is stopped leaves what it wrote, and the next of the same ``identity`` (JSON-plain) finds it again.
    """
    beside = target.absolute().with_name(f".{target.absolute().name}.progress")
    place = beside / digest(list(identity))[:16]
    place.mkdir(parents=True, exist_ok=True)
    try:
        yield place
    except BaseException:
        if not any(path.is_file() for path in beside.rglob("*")):
            shutil.rmtree(beside, ignore_errors=True)
        raise
    shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def plugins_doing(what: str) -> Iterator[None]:
    """Turn whatever a plugin's code raises into a ``DataError`` that says it was the plugin's doing."""
    try:
        yield
    except KinbenchError:
        raise
    except Exception as error:
        raise DataError(f"{what}: {type(error).__name__}: {error}") from error
