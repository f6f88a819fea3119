"""A model fitted on everybody in some stores, and kept, for use on people whom nobody has measured."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

from threadpoolctl import threadpool_limits

from kinbench import plugins
from kinbench.contracts import Training
from kinbench.engines import THREADS
from kinbench.errors import UsageError
from kinbench.files import refuse_folder, working_folder
from kinbench.prediction import cards
from kinbench.prediction.material import Progress, gather
from kinbench.prediction.preparation import plugins_doing, progress_of, ready
from kinbench.provenance import CARD, Origin, Weights, open_weights
from kinbench.store import Store
from kinbench.tasks import Task, parse_selector, selector_of

TUNE = "tune"
"""The setting by which a model is told what of its weights ``fit`` goes on with (``contracts.StartedModel``)."""


def train(
    stores: Sequence[Store],
    task: Task,
    selector: str,
    folder: Path,
    *,
    seed: int = 0,
    cache: Path,
    origin: Origin | None = None,
    device: str = "cpu",
    force: bool = False,
    on_progress: Progress = lambda done, total, label: None,
) -> Weights:
    """Fit a registered model on all persons of the stores and keep it in ``folder``, whole or not at all.

    A fifth of the persons, at least one, is the validation set, which may stop the fit or choose; of a single person
    it is the last fifth. The scores on it in the card are therefore no test. With ``origin`` the model begins from
    these weights (fine-tuning), and the card names them and whom they have seen. One that is stopped goes on where it
    was when it is asked for again, if the model can. Raises ``UsageError`` for a model that cannot be kept or cannot
    begin, a folder that may not be written, or angles of conventions that may not meet; ``NotApplicable`` where
    nothing feeds the task.
    """
    ready(selector, origin, Training(device))  # what cannot be is refused before anything is read
    refuse_folder(folder, CARD, force=force)
    material = gather(stores, task, cache=cache, on_progress=on_progress)
    fit, validation = (material.batches(role) for role in ("fit", "validation"))
    on_progress(0, 2, f"fit {selector}")
    began = None if origin is None else origin.sha256
    identity = ("train", selector, began, seed, [store.digest for store in stores], task.plain())
    with (
        threadpool_limits(limits=THREADS),
        redirect_stdout(sys.stderr),
        working_folder(progress_of(folder, *identity)) as checkpoints,
    ):
        model = ready(selector, origin, Training(device, checkpoints, on_progress))
        with plugins_doing(f"the model '{selector}' could not be fitted"):
            model.fit(fit, validation, seed=seed)
        on_progress(1, 2, "validation")
        card = {
            "stage": "fitted", "model": cards.model_part(model, selector), "task": cards.task_part(task),
            "seed": seed, "device": device, "stores": material.store_parts(cache),
            "simulation": any(entry.simulation for entry in material.entries),
            "persons": {**material.persons(), "pre-training": sorted(model.card.trained_on)},
            "windows": {"fit": len(fit), "validation": len(validation)},
            "validation": material.scores(model), "began_from": cards.origin_part(origin),
        }  # fmt: skip
        cards.write(folder, model, card, force=force)
    on_progress(2, 2, "done")
    return open_weights(folder)


def finetune(
    stores: Sequence[Store],
    task: Task,
    origin: Origin,
    folder: Path,
    *,
    selector: str | None = None,
    seed: int = 0,
    cache: Path,
    device: str = "cpu",
    force: bool = False,
    on_progress: Progress = lambda done, total, label: None,
) -> Weights:
    """Go on from weights with answers: ``train`` of the model that they are of, begun from them.

    ``selector`` is the model, where another is meant, or where nobody wrote down which one the weights are of. A model
    with a setting ``tune`` tunes everything unless ``selector`` says otherwise; the card's selector tells. Raises
    ``UsageError`` where the model is not known, and as ``train`` does.
    """
    if selector is None:
        if origin.card is None:
            raise UsageError(
                f"'{origin.name}' has no card, so nobody knows which model its weights are of; say it with --model."
            )
        name, settings = parse_selector(str(origin.card["model"]["selector"]))
        settings.pop(TUNE, None)  # how those weights came to be, which says nothing of what is asked for now
        selector = selector_of(name, settings)
    return train(
        stores, task, _tuning(selector), folder, seed=seed, cache=cache, origin=origin, device=device, force=force,
        on_progress=on_progress,
    )  # fmt: skip


def _tuning(selector: str) -> str:
    """Return a model's selector, told to tune everything where it has such a setting and none is given."""
    name, given = parse_selector(selector)
    known = plugins.settings_of(plugins.get("models", name).load()) or {}
    return selector_of(name, {**given, TUNE: "all"}) if TUNE in known and TUNE not in given else selector
