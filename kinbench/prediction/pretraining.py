"""A model that learns what inputs look like from everybody in some stores, whether or not they have a reference."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from kinbench import windows
from kinbench.contracts import PretrainedModel, Training
from kinbench.engines import THREADS
from kinbench.errors import NotApplicable, UsageError
from kinbench.files import refuse_folder, working_folder
from kinbench.prediction import cards
from kinbench.prediction.material import Progress, deal, refuse_doubles
from kinbench.prediction.preparation import plugins_doing, progress_of, ready
from kinbench.prediction.similarity import Similarity, similarity
from kinbench.provenance import CARD, Keepable, Origin
from kinbench.store import Store
from kinbench.tasks import Task
from kinbench.windows import StoreInputs, Unlabelled


def pretrain(
    stores: Sequence[Store],
    task: Task,
    selector: str,
    folder: Path,
    *,
    seed: int = 0,
    cache: Path,
    like: Store | None = None,
    origin: Origin | None = None,
    device: str = "cpu",
    force: bool = False,
    on_progress: Progress = lambda done, total, label: None,
) -> dict[str, Any]:
    """Let a registered model learn from the inputs of all persons of the stores, keep it, and return its card.

    No reference is asked for, none is read. A fifth of the persons, by the hash of their names, is kept for validation;
    a single person leaves it empty. ``like`` draws each store's windows by how much its inputs look like those of
    that store (``similarity``); the card tells the shares. Raises ``UsageError`` for a model that has no ``pretrain``
    or a folder that may not be written, ``NotApplicable`` where no store gives a window.
    """
    _pretrainable(ready(selector, origin, Training(device)), selector)
    refuse_folder(folder, CARD, force=force)
    refuse_doubles(stores)
    parts = [windows.inputs(store, task, cache=cache, on_progress=on_progress) for store in stores]
    if not any(len(part) for part in parts):
        reasons = dict.fromkeys(reason for part in parts for _, reason in part.excluded)
        raise NotApplicable(f"No input feeds '{task.name}': {'; '.join(reasons) or 'the stores are empty'}.")
    alike = None if like is None else similarity(parts, windows.inputs(like, task, cache=cache))
    learn, judge = deal({person for part in parts for person in part.persons})
    train, valid = _pooled(parts, learn, alike), _pooled(parts, judge, alike)
    on_progress(0, 1, f"pretrain {selector}")
    identity = ("pretrain", selector, seed, [store.digest for store in stores], like and like.digest, task.plain())
    with (
        threadpool_limits(limits=THREADS),
        redirect_stdout(sys.stderr),
        working_folder(progress_of(folder, *identity)) as checkpoints,
    ):
        model = ready(selector, origin, Training(device, checkpoints, on_progress))
        with plugins_doing(f"the model '{selector}' could not be pre-trained"):
            _pretrainable(model, selector).pretrain(train, valid, seed=seed)
        card = {
            "stage": "pre-trained", "model": cards.model_part(model, selector), "task": cards.task_part(task),
            "seed": seed, "device": device,
            "stores": [
                cards.store_part(store, part.digests, dict(part.excluded), cache=cache)
                for store, part in zip(stores, parts, strict=True)
            ],
            "simulation": any(
                cards.simulated(store, part.keys) for store, part in zip(stores, parts, strict=True)
            ),
            "persons": {"pre-training": sorted(learn), "validation": sorted(judge)},
            "windows": {"pre-training": len(train), "validation": len(valid)}, "validation": [],
            "like": _like(like, alike), "began_from": cards.origin_part(origin),
        }  # fmt: skip
        cards.write(folder, model, card, force=force)
    on_progress(1, 1, "done")
    return {"folder": str(folder), **card}


def _pretrainable(model: Keepable, selector: str) -> PretrainedModel:
    if not isinstance(model, PretrainedModel):
        raise UsageError(f"The model '{selector}' learns nothing from inputs alone: it has no 'pretrain' and 'begin'.")
    return model


def _pooled(parts: Sequence[StoreInputs], persons: Sequence[str], alike: Similarity | None) -> Unlabelled:
    """Return the windows of some persons, of all stores; weighted so that each store has its share of the draws."""
    if alike is None:
        return windows.pool([part.of(persons) for part in parts])
    mine = {part.store_name: part.of(persons) for part in parts}
    total = sum(map(len, mine.values()))
    shares: Mapping[str, float] = {name: alike.share[name] for name, part in mine.items() if len(part)}
    weights = {name: share / sum(shares.values()) * total / len(mine[name]) for name, share in shares.items()}
    return windows.pool([part.of(persons, weight=weights.get(part.store_name, 0.0)) for part in parts])


def _like(like: Store | None, alike: Similarity | None) -> dict[str, Any] | None:
    if like is None or alike is None:
        return None
    return {"store": like.name, "digest": like.digest, **asdict(alike)}
