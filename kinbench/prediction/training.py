"""A model fitted on everybody in some stores, and kept, for use on people whom nobody has measured."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from kinbench import __version__, plugins, windows
from kinbench.contracts import Float32Array, StreamModel
from kinbench.engines import THREADS
from kinbench.errors import DataError, KinbenchError, NotApplicable, UsageError
from kinbench.files import new_folder, refuse_folder
from kinbench.metrics import compute_all, metrics_of
from kinbench.prediction.weights import CARD, FORMAT, STATE, Keepable, Weights, keepable, open_weights, sha256_of
from kinbench.protocol import cut, embargo, timelines, windows_in
from kinbench.recording import Span, TaskEntry
from kinbench.schema import DOFS
from kinbench.store import Store
from kinbench.tasks import Task, parse_selector
from kinbench.windows import Batches, TaskData

Progress = Callable[[int, int, str], None]
Spans = tuple[Span, ...]
ONE_IN = 5
"""One in so many persons stops the fit; of a single person, the last part of this size does."""


def train(
    stores: Sequence[Store],
    task: Task,
    selector: str,
    folder: Path,
    *,
    seed: int = 0,
    cache: Path,
    force: bool = False,
    on_progress: Progress = lambda done, total, label: None,
) -> Weights:
    """Fit a registered model on all persons of the stores and keep it in ``folder``, whole or not at all.

    A fifth of the persons, at least one, is the validation set, which may stop the fit or choose; of a single person
    it is the last fifth. The scores on it in the card are therefore no test. Raises ``UsageError`` for a model that
    cannot be kept, a folder that may not be written, or angles of conventions that may not meet; ``NotApplicable``
    where nothing feeds the task.
    """
    if not stores or len({store.name for store in stores}) < len(stores):
        raise UsageError("Expected one store or several of different names to train on.")
    model = keepable(selector)
    refuse_folder(folder, CARD, force=force)
    parts = {store.name: windows.prepare(store, task, cache=cache, on_progress=on_progress) for store in stores}
    entries = [entry for data in parts.values() for entry in data.entries]
    _refuse_mixed_conventions(entries, task)
    roles = _roles(entries, task, list(parts.values()))
    sets = {role: _batches(parts, spans) for role, spans in roles.items()}
    if not len(sets["fit"]):
        raise NotApplicable(f"No recording for '{task.name}' holds a whole window; give it longer ones.")
    on_progress(0, 2, f"fit {selector}")
    with threadpool_limits(limits=THREADS), redirect_stdout(sys.stderr):
        _fit(model, selector, sets["fit"], sets["validation"], seed)
        on_progress(1, 2, "validation")
        scores = _scores(model, stores, parts, roles["validation"])
        with new_folder(folder, CARD, force=force) as place:
            (place / STATE).mkdir()
            model.save(place / STATE)
            card = {
                "format": FORMAT, "kinbench": __version__, "model": _model(model, selector), "seed": seed,
                "threads": THREADS,
                "task": {
                    "name": task.name, "version": task.version, "digest": windows.task_digest(task),
                    "definition": task.plain(),
                },
                "stores": [_store(store, parts[store.name], roles) for store in stores],
                "simulation": any(entry.simulation for entry in entries),
                "persons": {
                    **{role: _persons(entries, spans) for role, spans in roles.items()},
                    "pre-training": sorted(model.card.trained_on),
                },
                "windows": {role: len(batches) for role, batches in sets.items()},
                "validation": scores,
                "files": {
                    path.relative_to(place).as_posix(): sha256_of(path)
                    for path in sorted((place / STATE).rglob("*"))
                    if path.is_file()
                },
            }  # fmt: skip
            text = json.dumps(card, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
            (place / CARD).write_text(text + "\n", encoding="utf-8", newline="\n")
    on_progress(2, 2, "done")
    return open_weights(folder)


def _fit(model: Keepable, selector: str, train: Batches, valid: Batches, seed: int) -> None:
    try:
        model.fit(train, valid, seed=seed)
    except KinbenchError:
        raise
    except Exception as error:  # whatever a plugin does, it is told as the plugin's doing
        raise DataError(f"the model '{selector}' could not be fitted: {type(error).__name__}: {error}") from error


# --- who is learnt from ----------------------------------------------------------------------------------------------


def _refuse_mixed_conventions(entries: Iterable[TaskEntry], task: Task) -> None:
    """Sagittal angles of different conventions may be learnt together; frontal and transverse ones never.

    Loads have no convention: they are forces and moments by name, about the schema's axes.
    """
    if task.quantity != "angle":
        return
    conventions = sorted({entry.convention or "unknown" for entry in entries})
    bound = [dof for leg in task.legs for dof in task.dofs_of(leg) if DOFS[dof].plane != "sagittal"]
    if len(conventions) > 1 and bound:
        raise UsageError(
            f"The stores' angle conventions ({', '.join(conventions)}) differ, and {', '.join(bound)} of different "
            "conventions cannot be learnt together; train on the stores of one convention."
        )


def _roles(entries: Sequence[TaskEntry], task: Task, parts: Sequence[TaskData]) -> dict[str, Spans]:
    """Return the spans to fit and to validate on; persons are dealt by the hash of their names."""
    times = timelines(entries)
    whole = {person: tuple(span for spans in mine.values() for span in spans) for person, mine in times.items()}
    usable = [person for person, spans in whole.items() if windows_in(spans, task.window, task.stride, task.least)]
    if not usable:
        reasons = dict.fromkeys(reason for data in parts for _, reason in data.excluded)
        raise NotApplicable(f"Nothing feeds '{task.name}': {'; '.join(reasons) or 'no recording is long enough'}.")
    if len(usable) == 1:
        samples = {str(entry.key): entry.embargo for entry in entries}
        last = 100 - 100 // ONE_IN
        mine = [
            embargo({"fit": cut(timeline, 0, last), "validation": cut(timeline, last, 100)}, samples)
            for timeline in times[usable[0]].values()
        ]
        return {role: tuple(span for cuts in mine for span in cuts[role]) for role in ("fit", "validation")}
    dealt = sorted(usable, key=lambda person: hashlib.sha256(person.encode()).hexdigest())
    border = max(1, round(len(dealt) / ONE_IN))
    chosen = {"fit": dealt[border:], "validation": dealt[:border]}
    return {role: tuple(span for person in persons for span in whole[person]) for role, persons in chosen.items()}


def _batches(parts: Mapping[str, TaskData], spans: Spans) -> Batches:
    return windows.concatenate([parts[name].batches(spans) for name in sorted(parts)])


def _persons(entries: Sequence[TaskEntry], spans: Spans) -> list[str]:
    used = {span.key for span in spans}
    return sorted({entry.person for entry in entries if str(entry.key) in used})


# --- what the card says ----------------------------------------------------------------------------------------------


def _model(model: Keepable, selector: str) -> dict[str, Any]:
    name, settings = parse_selector(selector)
    plugin = plugins.get("models", name)
    count = getattr(model, "parameters", None)
    return {
        "selector": selector, "name": name, "settings": settings, "version": model.card.version,
        "title": model.card.title, "distribution": plugin.distribution, "distribution_version": plugin.version,
        "parameters": int(count()) if callable(count) else None,
        "notes": [str(note) for note in getattr(model, "notes", ())],
    }  # fmt: skip


def _store(store: Store, data: TaskData, roles: Mapping[str, Spans]) -> dict[str, Any]:
    used = {span.key for spans in roles.values() for span in spans}
    return {
        "name": store.name, "digest": store.digest, "licence": store.card.get("licence") or "unknown",
        "redistributable": bool(store.card.get("redistributable")),
        "recordings": {str(entry.key): entry.digest for entry in data.entries if str(entry.key) in used},
        "left_out": dict(data.excluded),
    }  # fmt: skip


def _scores(
    model: Keepable, stores: Sequence[Store], parts: Mapping[str, TaskData], spans: Spans
) -> list[dict[str, Any]]:
    """Return the scores of every validation person and DoF, the recordings of one store together."""
    rows = []
    for store, data in zip(stores, parts.values(), strict=True):
        persons = {str(entry.key): entry.person for entry in data.entries}
        by_person: dict[str, list[Span]] = defaultdict(list)
        for span in spans:
            if span.key in persons:
                by_person[persons[span.key]].append(span)
        for person, mine in sorted(by_person.items()):
            rows += _scores_of(model, store, data, person, mine)
    return rows


def _asked(model: StreamModel, store: Store, data: TaskData, entry: int, leg: int) -> Float32Array:
    imu, attrs = store.read_inputs(data.entries[entry].key)
    if imu is None:
        raise DataError("it has no imu stream", where=data.entries[entry].key)
    return model.estimate(windows.stream_of(imu, attrs, data.task, data.task.legs[leg]))


def _scores_of(
    model: Keepable, store: Store, data: TaskData, person: str, spans: Sequence[Span]
) -> list[dict[str, Any]]:
    test = data.test_windows(spans)
    if not len(test):
        return []
    if isinstance(model, StreamModel):
        table = windows.answered(test, len(data.task.dofs), partial(_asked, model, store, data))
    else:
        table = test.assemble(test.checked(model.predict(test.x), len(data.task.dofs)))
    reference, valid = data.truth(table)
    rows = []
    for column, dof in enumerate(data.task.dofs):
        use = valid[:, column]
        if not use.any():
            continue
        found = compute_all(
            metrics_of(data.task.quantity).values(), table["prediction"][use, column], reference[use, column],
            table["leg"][use],
        )  # fmt: skip
        values = {name: score.value for name, score in found.items()}
        rows.append({"store": data.store_name, "person": person, "dof": dof, "samples": int(np.sum(use)), **values})
    return rows
