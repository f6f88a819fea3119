"""Carry changes out, in order."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence

from kinbench.errors import UsageError, suggest
from kinbench.perturbations._change import Change
from kinbench.perturbations._conventions import axes, scale, unmirrored
from kinbench.perturbations._devices import bias, clip, late, magnetic, missing, noise, packets, rate
from kinbench.perturbations._labels import label_noise, label_offset
from kinbench.perturbations._leg import Leg
from kinbench.perturbations._mounting import shift, swap_labels, swap_sides, turn, turn_random

KINDS: Mapping[str, Callable[..., Leg]] = {
    kind.__name__: kind
    for kind in (
        turn, turn_random, shift, swap_sides, swap_labels, missing, packets, bias, noise, clip, rate, late, magnetic,
        scale, axes, unmirrored, label_offset, label_noise,
    )
}  # fmt: skip
"""Every kind of change by name; its settings are the function's keywords."""


def perturb(leg: Leg, changes: Sequence[Change]) -> Leg:
    """Return the leg with the changes made in order, of the same shape.

    Raises ``UsageError`` for a kind that there is not, or settings that it does not take.
    """
    for change in changes:
        if change.kind not in KINDS:
            raise UsageError(f"There is no change '{change.kind}'.{suggest(change.kind, sorted(KINDS))}")
        leg = _bound(change)(leg)
    return leg


def _bound(change: Change) -> Callable[[Leg], Leg]:
    kind, settings = KINDS[change.kind], dict(change.settings)
    try:
        inspect.signature(kind).bind(None, **settings)
    except TypeError as error:
        raise UsageError(f"The change '{change}' cannot be made: {error}.") from error
    return lambda leg: kind(leg, **settings)
