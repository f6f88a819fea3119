"""How often each store's windows are drawn in pre-training, by how much its inputs look like those of another store."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kinbench.errors import NotApplicable
from kinbench.windows import StoreInputs
from kinbench.windows.spectra import log_power, spectral_distance


@dataclass(frozen=True)
class Similarity:
    """How far each store's inputs lie from the target's, in dB, and the share of all draws that its windows get."""

    distance_db: Mapping[str, float]
    share: Mapping[str, float]


def similarity(parts: Sequence[StoreInputs], target: StoreInputs) -> Similarity:
    """Return how much like ``target`` the windows of each store are, from inputs alone.

    The distance is the log-spectral one (``windows.spectra``) between power densities of the channels that both have; a
    store's share falls as exp(-distance / mean distance), whatever its size. Raises ``NotApplicable`` where a store has
    no sensor that the target has, or the target no window.
    """
    if not len(target):
        raise NotApplicable(f"'{target.store_name}' gives no window to be like; name another store.")
    wanted = log_power(target.windows)
    distance = {part.store_name: spectral_distance(log_power(part.windows), wanted) for part in parts if len(part)}
    unlike = [name for name, value in distance.items() if not math.isfinite(value)]
    if unlike:
        raise NotApplicable(f"{', '.join(unlike)} and '{target.store_name}' have no sensor in common to compare.")
    mean = sum(distance.values()) / len(distance)
    raw = {name: math.exp(-value / mean) if mean > 0 else 1.0 for name, value in distance.items()}
    return Similarity(distance, {name: value / sum(raw.values()) for name, value in raw.items()})
