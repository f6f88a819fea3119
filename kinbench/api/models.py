"""Models for use: trained and kept, and put to work on people whom nobody measured."""

from __future__ import annotations

from pathlib import Path

from kinbench import plugins, prediction
from kinbench.api.places import Folder, Names, data_folder, open, opened, seeds_of
from kinbench.conversion import Progress, ignore
from kinbench.prediction import Prediction, Weights


def train(
    task: str,
    model: str,
    datasets: Names,
    to: str | Path,
    *,
    seed: int = 0,
    force: bool = False,
    data: Folder = None,
    on_progress: Progress = ignore,
) -> Weights:
    """Fit a model on all persons of some stores and keep it in the folder ``to``; see ``prediction.train``.

    Raises ``UsageError`` for an unknown name, a model that cannot be kept, or a folder that is not empty (``force``
    replaces earlier weights), ``NotApplicable`` where nothing feeds the task.
    """
    return prediction.train(
        opened(datasets, data),
        plugins.get("tasks", task).load(),
        model,
        Path(to),
        seed=seeds_of(seed)[0],
        cache=data_folder(data) / ".cache",
        force=force,
        on_progress=on_progress,
    )


def predict(
    dataset: str | Path,
    weights: str | Path,
    to: str | Path,
    *,
    model: str | None = None,
    format: str = "mot",
    keep_still: bool = False,
    force: bool = False,
    data: Folder = None,
    on_progress: Progress = ignore,
) -> Prediction:
    """Write the angles of every recording of a store into the folder ``to``; see ``prediction.predict``.

    ``weights`` is a folder that ``train`` wrote, ``format`` is ``mot`` or ``csv``; ``model``, where said, must be the
    one that was trained. The store needs no reference. People at rest, whom no model is fitted on, have no row in a
    ``.mot`` unless ``keep_still``. Raises ``UsageError`` for what is not there or may not be
    written, ``DataError`` for damaged weights, or where no recording has what the task needs.
    """
    return prediction.predict(
        open(dataset, data=data),
        prediction.open_weights(Path(weights), model=model),
        Path(to),
        format=format,
        keep_still=keep_still,
        force=force,
        on_progress=on_progress,
    )
