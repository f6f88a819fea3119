"""Models for use: trained, pre-trained, searched for and kept, and put to work on people whom nobody measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kinbench import plugins, prediction, provenance
from kinbench.api.places import Folder, Names, cache_of, device_of, open, opened, seeds_of
from kinbench.conversion import Progress, ignore
from kinbench.prediction import Prediction, Weights
from kinbench.provenance import Available, Origin, Search


def train(
    task: str,
    model: str,
    datasets: Names,
    to: str | Path,
    *,
    seed: int = 0,
    device: str = "cpu",
    force: bool = False,
    data: Folder = None,
    on_progress: Progress = ignore,
) -> Weights:
    """Fit a model on all persons of some stores and keep it in the folder ``to``; see ``prediction.train``.

    ``model`` may name weights to begin from, ``'model[settings]@WEIGHTS'``; ``device`` is ``cpu`` or ``cuda``. Raises
    ``UsageError`` for an unknown name, a model that cannot be kept, or a folder that is not empty (``force``
    replaces earlier weights), ``NotApplicable`` where nothing feeds the task.
    """
    selector, origin = _begun(model, data)
    return prediction.train(
        opened(datasets, data),
        plugins.get("tasks", task).load(),
        selector,
        Path(to),
        seed=seeds_of(seed)[0],
        cache=cache_of(data),
        origin=origin,
        device=device_of(device),
        force=force,
        on_progress=on_progress,
    )


def pretrain(
    task: str,
    model: str,
    datasets: Names,
    to: str | Path,
    *,
    like: str | Path | None = None,
    seed: int = 0,
    device: str = "cpu",
    force: bool = False,
    data: Folder = None,
    on_progress: Progress = ignore,
) -> dict[str, Any]:
    """Let a model learn from the inputs of some stores, without any answer, and return the card of what it keeps.

    No store needs a reference, and none is read. ``like`` is a store (path or name): each store's windows are then
    drawn by how much its inputs look like those. See ``prediction.pretrain``. ``run`` and ``finetune`` go on from the
    folder ``to``. Raises as ``train`` does, and for a model that learns nothing from inputs alone.
    """
    selector, origin = _begun(model, data)
    return prediction.pretrain(
        opened(datasets, data),
        plugins.get("tasks", task).load(),
        selector,
        Path(to),
        seed=seeds_of(seed)[0],
        cache=cache_of(data),
        like=None if like is None else open(like, data=data),
        origin=origin,
        device=device_of(device),
        force=force,
        on_progress=on_progress,
    )


def finetune(
    task: str,
    weights: str | Path,
    datasets: Names,
    to: str | Path,
    *,
    model: str | None = None,
    seed: int = 0,
    device: str = "cpu",
    force: bool = False,
    data: Folder = None,
    on_progress: Progress = ignore,
) -> Weights:
    """Go on from ``weights`` (a folder, or offered ones by name) with the answers of some stores; see ``train``.

    ``model`` is the one that the weights are of, unless said: other settings of it, or which one, where they have no
    card. Raises as ``train`` does.
    """
    return prediction.finetune(
        opened(datasets, data),
        plugins.get("tasks", task).load(),
        provenance.origin_of(weights, cache=cache_of(data)),
        Path(to),
        selector=model,
        seed=seeds_of(seed)[0],
        cache=cache_of(data),
        device=device_of(device),
        force=force,
        on_progress=on_progress,
    )


def search(
    task: str,
    model: str,
    datasets: Names,
    to: str | Path,
    *,
    trials: int,
    seed: int = 0,
    device: str = "cpu",
    force: bool = False,
    data: Folder = None,
    on_progress: Progress = ignore,
) -> Search:
    """Search a model's settings on the persons of some stores, and keep every trial in ``to/search.json``.

    No test is involved; see ``prediction.search``. ``plan(search=...)`` runs the model with the best of them. Raises
    ``UsageError`` for a model that names nothing to search, or where Optuna is not installed (the extra ``search``).
    """
    selector, origin = _begun(model, data)
    return prediction.search(
        opened(datasets, data),
        plugins.get("tasks", task).load(),
        selector,
        Path(to),
        trials=trials,
        seed=seeds_of(seed)[0],
        cache=cache_of(data),
        origin=origin,
        device=device_of(device),
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

    ``weights`` is a folder that ``train`` wrote, or the name of offered ones; ``format`` is ``mot`` or ``csv``;
    ``model``, where said, must be the one that was trained. The store needs no reference. People at rest, whom no model
    is fitted on, have no row in a ``.mot`` unless ``keep_still``. Raises ``UsageError`` for what is not there or may
    not be written, ``DataError`` for damaged weights, or where no recording has what the task needs.
    """
    offered = not Path(weights).exists() and str(weights) in plugins.find("weights")
    folder = provenance.located(str(weights), cache=cache_of(data)) if offered else Path(weights)
    return prediction.predict(
        open(dataset, data=data),
        prediction.open_weights(folder, model=model),
        Path(to),
        format=format,
        keep_still=keep_still,
        force=force,
        on_progress=on_progress,
    )


# --- weights that somebody offers ------------------------------------------------------------------------------------


def weights(*, data: Folder = None) -> tuple[Available, ...]:
    """Return the weights that installed packages offer, and where those lie that are here."""
    return provenance.available(cache=cache_of(data))


def fetch_weights(name: str, *, data: Folder = None, on_progress: Progress = ignore) -> Path:
    """Bring offered weights here, every file checked against its sha256, and return their folder.

    Raises ``UsageError`` for an unknown name, ``DataError`` where a file cannot be had.
    """
    return provenance.fetch(name, cache=cache_of(data), on_progress=on_progress)


def _begun(model: str, data: Folder) -> tuple[str, Origin | None]:
    """Return (model with its settings, weights) of ``'model[settings]@WEIGHTS'``."""
    selector, named = provenance.split(model)
    return selector, None if named is None else provenance.origin_of(named, cache=cache_of(data))
