"""The identity of a recording: what it says, not how it is stored.

sha256 over (1) the canonical JSON of the identity attributes and (2), in name order, the little-endian C-order bytes of
every numeric variable and coordinate of both streams, every NaN as the one quiet NaN (0x7fc00000 in float32).

Identity attributes: the key; ``person``, ``activity``, ``world``, ``simulation``; of labelled ``activities`` what is
done when (a task may take a part of a recording by them); of ``sync`` what places the two time axes (``method``,
``offset_s``, ``shift_s``, ``drift_ppm``); and per variable its name, dims, shape, type, all its own attributes (units,
kind, frame, convention, tier, maps, origin) and, for text, the labels themselves (so placements).

Not identity: ``history``, ``adapter``, ``source`` names, ``licence``, ``dataset_version``, ``rates`` (the time axes say
it), ``absent``, ``quality``, ``person_table`` (about the person, not the signals), compression, and the confidence
figures of the sync, whose last bits depend on the machine that estimated them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench.files import canonical, plain
from kinbench.recording import Recording

_RECORDING = ("person", "activity", "world", "simulation")
_SYNC = ("method", "offset_s", "shift_s", "drift_ppm")


def content_digest(recording: Recording) -> str:
    """Return the hex sha256 of the recording's content; raises ``DataError`` for what a store cannot hold."""
    variables = dict(_variables(recording))
    attrs = {name: recording.attrs.get(name) for name in _RECORDING}
    if recording.attrs.get("activities"):
        attrs["activities"] = [
            [span[name] for name in ("activity", "start_s", "stop_s")] for span in recording.attrs["activities"]
        ]
    sync = recording.attrs.get("sync") or {}
    identity = {
        "key": str(recording.key),
        **plain(attrs, f"{recording.key}.attrs"),
        "sync": plain({name: sync.get(name) for name in _SYNC}, f"{recording.key}.attrs.sync"),
        "streams": {
            name: None if stream is None else plain(stream.attrs, f"{recording.key}.{name}")
            for name, stream in (("imu", recording.imu), ("reference", recording.reference))
        },
        "variables": {name: _identity(name, variables[name]) for name in sorted(variables)},
    }
    sha = hashlib.sha256(canonical(identity))
    for name in sorted(variables):
        if not is_text(variables[name].values):
            sha.update(_payload(variables[name].values))
    return sha.hexdigest()


def is_text(values: NDArray[Any]) -> bool:
    """Return whether an array holds labels."""
    return values.dtype.kind in "TUO"


def _variables(recording: Recording) -> Iterator[tuple[str, xr.Variable]]:
    for stream, data in (("imu", recording.imu), ("reference", recording.reference)):
        if data is not None:
            for name, variable in data.variables.items():
                yield f"{stream}.{name}", variable


def _identity(name: str, variable: xr.Variable) -> dict[str, Any]:
    values = variable.values
    found: dict[str, Any] = {
        "dims": [str(dim) for dim in variable.dims],
        "shape": list(values.shape),
        "attrs": plain(variable.attrs, name),
    }
    if is_text(values):
        if not all(isinstance(label, str) for label in values.flat):
            raise DataError("an array of Python objects cannot be stored; use numbers or text", where=name)
        return {**found, "dtype": "string", "labels": [str(label) for label in values.flat]}
    if values.dtype.kind not in "biuf":
        raise DataError(f"an array of {values.dtype} cannot be stored; use numbers, booleans or text", where=name)
    return {**found, "dtype": values.dtype.newbyteorder("=").name}


def _payload(values: NDArray[Any]) -> bytes:
    little = values.astype(values.dtype.newbyteorder("<"), order="C", copy=True)
    if little.dtype.kind == "f":
        little[np.isnan(little)] = np.nan
    return little.tobytes()
