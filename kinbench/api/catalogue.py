"""What there is: converted datasets and registered plugins."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from kinbench import plugins, store
from kinbench.api.places import Folder, open, stores_in
from kinbench.contracts import BenchmarkProtocol
from kinbench.errors import KinbenchError, StoreError, UsageError, suggest
from kinbench.tasks import Task


def listing(kind: str | None = None, *, data: Folder = None) -> dict[str, list[dict[str, Any]]]:
    """Return what there is, by kind: converted datasets and registered plugins.

    Protocols also with ``use`` (``ranks`` models, a ``study``, or run ``by name`` only) and ``title``, for which they
    are imported; of the others none is. A protocol that cannot be loaded is listed as such, and hides no other.
    """
    kinds = ("datasets", *plugins.KINDS)
    if kind is not None and kind not in kinds:
        raise UsageError(f"There is nothing called '{kind}' to list.{suggest(kind, kinds)}")
    found: dict[str, list[dict[str, Any]]] = {}
    for name in kinds if kind is None else (kind,):
        found[name] = _dataset_rows(data) if name == "datasets" else _plugin_rows(name)
    return found


def _dataset_rows(data: Folder) -> list[dict[str, Any]]:
    return [{"name": name, **_dataset_facts(path), "path": str(path)} for name, path in stores_in(data).items()]


def _dataset_facts(path: Path) -> dict[str, Any]:
    """Return a store's size at a glance; a damaged one is listed as such, and hides no other."""
    try:
        entries = store.open(path).entries()
    except StoreError:
        unknown = dict.fromkeys(("persons", "recordings", "minutes", "simulation"))
        return {**unknown, "state": "damaged: see 'kinbench validate'"}
    return {
        "persons": len({entry.person for entry in entries}),
        "recordings": len(entries),
        "minutes": round(sum(entry.duration_s for entry in entries) / 60, 1),
        "simulation": "yes" if any(entry.simulation for entry in entries) else "no",
        "state": "ok",
    }


def _plugin_rows(kind: str) -> list[dict[str, Any]]:
    chosen = next(known for known in plugins.KINDS if known == kind)
    return [
        {
            "name": plugin.name,
            **(_protocol_use(plugin) if kind == "protocols" else {}),
            "from": f"{plugin.distribution} {plugin.version}",
            "object": plugin.entry.value,
        }
        for plugin in plugins.find(chosen).values()
    ]


def _protocol_use(plugin: plugins.Plugin) -> dict[str, str | None]:
    """Return what a protocol is for, and its title."""
    try:
        loaded = plugin.load()
    except KinbenchError:
        return {"use": None, "title": f"cannot be loaded: see 'kinbench info {plugin.name}'"}
    card = loaded.card
    return {"use": "ranks" if card.ranks else "study" if card.study else "by name", "title": card.title}


def info(name: str, *, data: Folder = None) -> list[dict[str, Any]]:
    """Tell what a dataset, adapter, task, protocol, model or demo of that name is; one entry per meaning.

    Raises ``UsageError`` with the closest name where there is none.
    """
    found = [_dataset_info(name, data)] if name in stores_in(data) else []
    known = [*stores_in(data)]
    for kind in plugins.KINDS:
        registered = plugins.find(kind)
        known += registered
        if name in registered:
            found.append(_plugin_info(registered[name]))
    if not found:
        raise UsageError(f"There is no dataset, adapter, task, protocol or model '{name}'.{suggest(name, known)}")
    return found


def _dataset_info(name: str, data: Folder) -> dict[str, Any]:
    opened = open(name, data=data)
    entries = opened.entries()
    return {
        "kind": "dataset",
        "name": name,
        **{key: value for key, value in opened.card.items() if key != "name"},
        "path": str(opened.path),
        "persons": len({entry.person for entry in entries}),
        "recordings": len(entries),
        "minutes": round(sum(entry.duration_s for entry in entries) / 60, 1),
        "activities": sorted({entry.activity for entry in entries}),
        "segments": sorted({sensor.segment for entry in entries for sensor in entry.sensors}),
        "dofs": sorted({dof for entry in entries for dof in entry.dofs}),
        "acceleration": sorted({entry.acc_kind for entry in entries if entry.acc_kind}),
        "tiers": sorted({entry.tier for entry in entries if entry.tier}),
        "digest": opened.digest,
    }


def _plugin_info(plugin: plugins.Plugin) -> dict[str, Any]:
    loaded = plugin.load()
    card = getattr(loaded, "card", loaded)
    described: dict[str, Any] = {"kind": plugins.singular(plugin.kind), "name": plugin.name}
    described |= {"from": f"{plugin.distribution} {plugin.version}"}
    if isinstance(loaded, Task):
        described |= asdict(loaded) | {"channels_in": len(loaded.channel_names)}
    elif is_dataclass(card) and not isinstance(card, type):
        described["settings"] = plugins.settings_of(loaded) if callable(loaded) else None
        described |= {key: value for key, value in asdict(card).items() if key != "name"}
    elif isinstance(loaded, BenchmarkProtocol):
        described |= asdict(loaded.card)
    if callable(getattr(loaded, "schema", None)):
        described["manifest_schema"] = f"kinbench info {plugin.name} --schema > kinbench.schema.json"
    return described


def manifest_schema(adapter: str) -> dict[str, Any]:
    """Return the JSON Schema of the manifest that an adapter reads, for editors to complete and check it by.

    Raises ``UsageError`` for an adapter that reads none.
    """
    reader = plugins.create("adapters", adapter)
    if not callable(getattr(reader, "schema", None)):
        raise UsageError(f"Adapter '{adapter}' reads no manifest, so it has no schema; 'lab' does.")
    found: dict[str, Any] = reader.schema()
    return found
