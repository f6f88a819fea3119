"""Carry changes out, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kinbench.errors import UsageError, suggest
from kinbench.perturbations._change import Change
from kinbench.perturbations._inputs import turn
from kinbench.perturbations._leg import Leg

KINDS: Mapping[str, Callable[..., Leg]] = {"turn": turn}
"""Every kind of change by name."""


def perturb(leg: Leg, changes: Sequence[Change]) -> Leg:
    """Return the leg with the changes made in order, of the same shape; raises ``UsageError`` for another kind."""
    for change in changes:
        if change.kind not in KINDS:
            raise UsageError(f"There is no change '{change.kind}'.{suggest(change.kind, sorted(KINDS))}")
        leg = KINDS[change.kind](leg, **dict(change.settings))
    return leg
