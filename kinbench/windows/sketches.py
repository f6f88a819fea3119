"""A few numbers by which a recording is known again under any name, kept where its samples must not be.

Of each sensor's runs of native-rate samples (``fingerprints``), hashed, the ``KEPT`` smallest numbers: a bottom-k
sketch (Cohen & Kaplan, PODC 2007). Two recordings that share a number share a sensor's samples. Tasks, names, the order
of sensors and declared rates play no part; a recording that was filtered or resampled is another one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xarray as xr

from kinbench.files import digest, publish
from kinbench.recording import IndexEntry, Key
from kinbench.windows.fingerprints import samples_of

SKETCH_VERSION = 1
"""Part of a cache's name; raised by any change of what a sketch holds."""
KEPT = 8
"""So many numbers of each sensor: of a recording cut in two, one half has none of them once in 2**8 per sensor."""


class Sketched(Protocol):
    """What ``sketches`` needs of a store: nothing that holds a reference."""

    @property
    def digest(self) -> str:
        """The digest of everything in the store."""
        ...

    def entries(self) -> list[IndexEntry]:
        """Return the index, without signals."""
        ...

    def read_inputs(self, key: Key) -> tuple[xr.Dataset | None, dict[str, Any]]:
        """Return one recording's sensors and attributes."""
        ...


def sketches(
    store: Sketched,
    keys: Iterable[str],
    *,
    cache: Path,
    on_progress: Callable[[int, int, str], None] = lambda done, total, label: None,
) -> dict[str, tuple[int, ...]]:
    """Return the sketch of each of some recordings of a store, by key; what was sketched before is in ``cache``."""
    wanted = set(keys)
    entries = [entry for entry in store.entries() if str(entry.key) in wanted]
    path = cache / f"sketches-{store.digest[:16]}-{digest([SKETCH_VERSION, KEPT])[:8]}.json"
    kept = _kept(path)
    new = [entry for entry in entries if entry.digest not in kept]
    for done, entry in enumerate(new):
        on_progress(done, len(new), str(entry.key))
        imu, _ = store.read_inputs(entry.key)
        kept[entry.digest] = () if imu is None else sketch_of(imu)
    if new:
        publish(json.dumps({name: list(numbers) for name, numbers in kept.items()}).encode(), path)
    return {str(entry.key): kept[entry.digest] for entry in entries}


def sketch_of(imu: xr.Dataset) -> tuple[int, ...]:
    """Return the sketch of one recording's sensors: the smallest hashes of each one's runs of samples, in order."""
    names = [name for name in ("acc", "gyr") if name in imu]
    if not names:
        return ()
    values = np.concatenate([imu[name].transpose("time", "sensor", "axis").values for name in names], axis=2)
    runs = samples_of(np.asarray(imu["time"].values), values.astype(np.float32)).runs[:, :-1]
    found: set[int] = set()
    for column in runs.T:
        found.update(np.unique(column[column != 0])[:KEPT].tolist())
    return tuple(sorted(found))


def _kept(path: Path) -> dict[str, tuple[int, ...]]:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): tuple(int(number) for number in numbers) for name, numbers in plain.items()}
    except (OSError, ValueError, AttributeError, TypeError):  # absent or damaged: it is made again
        return {}
