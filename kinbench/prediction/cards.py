"""What the card of weights says: which model, which task, which stores, whom it learnt from, which files."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from kinbench import __version__, plugins, windows
from kinbench.contracts import Model
from kinbench.engines import THREADS
from kinbench.files import new_folder
from kinbench.provenance import CARD, FORMAT, STATE, Keepable, Origin, digests_of
from kinbench.store import Store
from kinbench.tasks import Task, parse_selector


def write(folder: Path, model: Keepable, card: Mapping[str, Any], *, force: bool) -> None:
    """Keep a model and its card in a folder, whole or not at all; the card gets the digest of every file."""
    with new_folder(folder, CARD, force=force) as place:
        (place / STATE).mkdir()
        model.save(place / STATE)
        told = {**card, "format": FORMAT, "kinbench": __version__, "threads": THREADS}
        told["files"] = digests_of(place, STATE)
        text = json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        (place / CARD).write_text(text + "\n", encoding="utf-8", newline="\n")


def model_part(model: Model, selector: str, *, learnt: bool = True) -> dict[str, Any]:
    """Return what a card says of a model: its selector without weights, its versions; what it has learnt."""
    name, settings = parse_selector(selector)
    plugin = plugins.get("models", name)
    return {
        "selector": selector, "name": name, "settings": settings, "version": model.card.version,
        "title": model.card.title, "distribution": plugin.distribution, "distribution_version": plugin.version,
        **(_learnt(model) if learnt else {}),
    }  # fmt: skip


def _learnt(model: Model) -> dict[str, Any]:
    """Return what a model can tell only after it has learnt: its size, and what it notes."""
    count = getattr(model, "parameters", None)
    return {
        "parameters": int(count()) if callable(count) else None,
        "notes": [str(note) for note in getattr(model, "notes", ())],
    }


def task_part(task: Task) -> dict[str, Any]:
    """Return what a card says of a task: enough to make it again."""
    return {
        "name": task.name, "version": task.version, "digest": windows.task_digest(task), "definition": task.plain(),
    }  # fmt: skip


def store_part(
    store: Store, recordings: Mapping[str, str], left_out: Mapping[str, str], *, cache: Path
) -> dict[str, Any]:
    """Return what a card says of a store: its licence, and the recordings used, by digest and by sketch."""
    sketched = windows.sketches(store, recordings, cache=cache)
    return {
        "name": store.name, "digest": store.digest, "licence": store.card.get("licence") or "unknown",
        "redistributable": bool(store.card.get("redistributable")), "recordings": dict(recordings),
        "samples": {key: [f"{number:016x}" for number in numbers] for key, numbers in sketched.items()},
        "left_out": dict(left_out),
    }  # fmt: skip


def origin_part(origin: Origin | None) -> dict[str, Any] | None:
    """Return what a card says of the weights that its own began from."""
    return None if origin is None else origin.plain()


def simulated(store: Store, keys: Collection[str]) -> bool:
    """Whether any of some recordings is of a simulated person."""
    return any(entry.simulation for entry in store.entries() if str(entry.key) in keys)
