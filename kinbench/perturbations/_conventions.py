"""Conventions nobody translated: another unit or sign, other segment axes, a left leg taken as it is.

A converted recording has them translated; these undo it, one at a time, to show what that is worth.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from kinbench.errors import UsageError
from kinbench.perturbations._leg import ALL, FloatArray, Leg

_AXIS = re.compile(r"([+-]?)([xyz])")


def scale(leg: Leg, *, acc: float = 1.0, gyr: float = 1.0, sensor: str = ALL) -> Leg:
    """Return a leg whose acc and gyr are so many times what they are: in another unit, or with another sign.

    Raises ``UsageError`` for a factor that is zero or no number.
    """
    factors = {"acc": acc, "gyr": gyr}
    for name, factor in factors.items():
        if not np.isfinite(factor) or factor == 0:
            raise UsageError(f"The change 'scale' needs a factor of {name} that is finite and not 0, got {factor}.")
    return leg.each("scale", sensor, lambda segment, channel, values: values * factors[channel])


def axes(leg: Leg, *, order: str, sensor: str = ALL) -> Leg:
    """Return a leg whose sensors are in other segment axes: ``order`` names which of ours become its x, y and z.

    'x-zy' is a laboratory whose x points ahead, whose y points left (our -z) and whose z points up (our y). A left leg
    that the task mirrors was in those axes too before it was. Raises ``UsageError`` unless the order is three axes,
    each with a sign or without, that make a right-handed frame.
    """
    named = _AXIS.findall(order)
    rotation = np.zeros((3, 3))
    for row, (sign, name) in enumerate(named[:3]):
        rotation[row, "xyz".index(name)] = -1.0 if sign == "-" else 1.0
    if "".join(map("".join, named)) != order or len(named) != 3 or not np.isclose(np.linalg.det(rotation), 1.0):
        raise UsageError(f"The change 'axes' needs an order of right-handed axes such as 'x-zy', got '{order}'.")

    def renamed(segment: str, channel: str, values: FloatArray) -> FloatArray:
        own = leg.as_worn(channel, values)  # mirroring is its own inverse
        return leg.as_worn(channel, np.asarray(own @ rotation.T))

    return leg.each("axes", sensor, renamed)


def unmirrored(leg: Leg, *, sensor: str = ALL) -> Leg:
    """Return a left leg as it was before a leg-agnostic task mirrored it; a right leg, and any other task's, as it is.

    The reference stays what it is: a left knee bends by as much as a right one.
    """
    if not leg.mirrored:
        return replace(leg)
    return leg.each("unmirrored", sensor, lambda segment, channel, values: leg.as_worn(channel, values))
