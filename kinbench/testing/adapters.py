"""What an adapter promises, tried on a raw folder that it reads."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from kinbench import harmonisation, virtual_imu
from kinbench.contracts import DatasetCard, RawDataset, Source
from kinbench.errors import DataError, UsageError
from kinbench.recording import Key, Recording
from kinbench.schema import PERSON_FIELDS, RECORDING_ATTRS, VARIABLES, Breach
from kinbench.testing.claims import attribute, require, require_identifier, require_raises, require_texts

SET_LATER = ("sync",)
"""Attributes that conversion adds."""


def check_adapter(adapter: Any, raw: Path | str) -> None:
    """Raise ``AssertionError`` at the first promise of ``contracts.Adapter`` that is broken on the folder ``raw``.

    ``raw`` must be whole: every recording in it must load. Its files are hashed before and after; the missing and
    the empty folder are tried too.
    """
    _check_card(attribute(adapter, "card", DatasetCard, "An adapter"), "An adapter's card")
    require_texts(adapter, ("version",), "An adapter")
    require(callable(getattr(adapter, "find", None)), "An adapter must have the method 'find'.")
    raw = Path(raw)
    _check_refusals(adapter)
    before = _contents(raw)
    found = adapter.find(raw)
    _check_found(adapter, found, raw)
    for source in found.sources:
        _check_source(source, found.card)
    require(_contents(raw) == before, "An adapter must leave the raw folder as it is, and files in it have changed.")


def _check_card(card: DatasetCard, whose: str) -> None:
    require_texts(card, ("name", "title", "version", "licence"), whose)
    require_identifier(card.name, f"{whose}: name")


def _check_refusals(adapter: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder)
        require_raises(lambda: adapter.find(empty / "absent"), (UsageError,), "find on a folder that is absent")
        require_raises(lambda: adapter.find(empty), (DataError, UsageError), "find on an empty folder")


def _contents(raw: Path) -> dict[str, str]:
    return {
        path.relative_to(raw).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(raw.rglob("*"))
        if path.is_file()
    }


# --- what find gives -------------------------------------------------------------------------------------------------


def _check_found(adapter: Any, found: RawDataset, raw: Path) -> None:
    require(isinstance(found, RawDataset), f"find must return a RawDataset, got {type(found).__name__}.")
    _check_card(found.card, "The found dataset's card")
    keys = [source.key for source in found.sources]
    require(bool(keys), "find must raise DataError where there is nothing, and it returned no source.")
    names = [str(key) for key in keys]
    twice = sorted({name for name in names if names.count(name) > 1})
    require(not twice, f"Keys must be unique, and {twice} come more than once.")
    for key in keys:
        _check_key(key, found.card)
    require(keys == sorted(keys), "find must return its sources in natural order of their keys.")
    again = [str(source.key) for source in adapter.find(raw).sources]
    require(names == again, "find must give the same keys each time, and a second call gave others.")
    for source in found.sources:
        require(bool(source.files), f"{source.key} names no file.")
        for path in source.files:
            require(path.is_file(), f"{source.key} names {path}, which is not a file.")


def _check_key(key: Key, card: DatasetCard) -> None:
    for part in ("dataset", "subject", "session", "trial"):
        require_identifier(getattr(key, part), f"A key's {part}")
    require(key.dataset == card.name, f"{key} must begin with its dataset's name '{card.name}'.")


# --- what load gives -------------------------------------------------------------------------------------------------


def _check_source(source: Source, card: DatasetCard) -> None:
    recording = source.load()
    where = str(source.key)
    require(isinstance(recording, Recording), f"{where}: load must return a Recording, got {type(recording).__name__}.")
    require(recording.key == source.key, f"{where}: the recording calls itself {recording.key}.")
    streams = {"imu": recording.imu, "reference": recording.reference}
    require(any(stream is not None for stream in streams.values()), f"{where} has neither an imu nor a reference.")
    for name, stream in streams.items():
        if stream is not None:
            _check_stream(f"{where}: {name}", stream)
    _check_attrs(where, recording, card)
    _check_repeats(where, recording, source.load())
    _check_harmonises(where, recording)


def _check_stream(where: str, stream: xr.Dataset) -> None:
    require("time" in stream.coords, f"{where} has no time.")
    time = np.asarray(stream["time"].values, dtype=np.float64)
    require(
        time.size > 0 and bool(np.isfinite(time).all()) and bool((np.diff(time) > 0).all()),
        f"{where}.time must be finite seconds, strictly increasing.",
    )
    for name in stream.data_vars:
        if name == "valid":
            continue
        require(str(name) in VARIABLES, f"{where}.{name} is no variable of the schema.")
        units = stream[name].attrs.get("units")
        require(
            isinstance(units, str) and bool(units),
            f"{where}.{name} has no units; the adapter must declare them, since nothing guesses.",
        )


def _check_attrs(where: str, recording: Recording, card: DatasetCard) -> None:
    attrs = recording.attrs
    missing = [name for name in RECORDING_ATTRS if name not in SET_LATER and attrs.get(name) is None]
    require(not missing, f"{where} lacks the attributes {', '.join(missing)}; unknown is said, not left out.")
    _require_json(where, attrs)
    for part in ("dataset", "subject", "session", "trial"):
        require(
            attrs[part] == getattr(recording.key, part),
            f"{where}: attrs['{part}'] is {attrs[part]!r} and the key says {getattr(recording.key, part)!r}.",
        )
    licence = attrs["licence"]
    require(
        isinstance(licence, Mapping) and bool(licence.get("id")) and isinstance(licence.get("redistributable"), bool),
        f"{where}: attrs['licence'] must hold an id and whether it is redistributable, not {licence!r}.",
    )
    require(
        attrs["simulation"] is card.simulation,
        f"{where}: attrs['simulation'] is {attrs['simulation']!r} and the dataset's card says {card.simulation!r}.",
    )
    for source in attrs["source"]:
        name, digest = source.get("name", ""), source.get("sha256", "")
        require(
            bool(name) and not Path(name).is_absolute() and "\\" not in name,
            f"{where}: a source's name must be a relative path with forward slashes, not {name!r}.",
        )
        require(len(digest) == 64, f"{where}: source {name} has no sha256.")
    unknown = sorted(set(attrs.get("person_table") or {}) - set(PERSON_FIELDS))
    require(not unknown, f"{where}: attrs['person_table'] has unknown fields {unknown}.")


def _require_json(where: str, attrs: Mapping[str, Any]) -> None:
    try:
        json.dumps(attrs, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{where}: attributes must be plain JSON: {error}.") from error


def _check_repeats(where: str, first: Recording, second: Recording) -> None:
    for name in ("imu", "reference"):
        one, other = getattr(first, name), getattr(second, name)
        same = one is other if one is None or other is None else one.identical(other)
        require(same, f"{where}: load must give the same each time, and a second call gave another {name}.")
    require(first.attrs == second.attrs, f"{where}: load must give the same each time, and attributes differ.")


def _check_harmonises(where: str, recording: Recording) -> None:
    """Let the engine act on what is declared; what remains must be what only alignment can still settle."""
    try:
        done = virtual_imu.synthesise(harmonisation.harmonise(recording))
    except (DataError, UsageError) as error:
        raise AssertionError(f"{where}: what it declares cannot be acted on: {error}") from error
    waiting = set((done.declared.calibrations if done.declared else None) or ())
    breaches = [breach for breach in done.validate() if not _settled_later(breach, waiting)]
    require(not breaches, f"{where} is not in schema form after harmonising: {'; '.join(map(str, breaches))}")


def _settled_later(breach: Breach, waiting: set[str]) -> bool:
    return breach.path == "attrs.sync" or any(breach.path.endswith(f"[{sensor}]") for sensor in waiting)
