"""Sensors put on wrongly: turned, shifted along the segment, or taken for one another.

All of it is rigid-body mechanics and holds for any sensor; nothing of it is measured or learnt. A left leg that the
task mirrors is changed as the real one would be, and then mirrored.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from kinbench.errors import UsageError
from kinbench.kinematics import mirror_acc, mirror_gyr
from kinbench.perturbations._leg import ALL, FloatArray, Leg
from kinbench.virtual_imu import random_rotations, transfer

SHORTEST_STRETCH = 4
"""Samples that a derivative needs; a shorter stretch is taken for one without angular acceleration."""


def turn(leg: Leg, *, angle_deg: float, draw: int = 0, sensor: str = ALL) -> Leg:
    """Return a leg whose sensors sit turned by ``angle_deg`` about an axis drawn for each person and segment.

    Axes are uniform on the sphere; larger angles of one draw are turns about the same axis. Acceleration and angular
    rate are turned alike. ``sensor`` is a segment of the task, or ``all``.
    """

    def turned(segment: str, channel: str, values: FloatArray) -> FloatArray:
        axis = leg.generator("turn", draw, segment).standard_normal(3)
        rotation = Rotation.from_rotvec(np.radians(angle_deg) * axis / np.linalg.norm(axis)).as_matrix()
        return _rotated(leg, channel, values, rotation)

    return leg.each("turn", sensor, turned)


def turn_random(leg: Leg, *, sd_deg: float = 13.5, draw: int = 0, sensor: str = ALL, compat: str | None = None) -> Leg:
    """Return a leg whose sensors sit turned about uniform axes, by angles normal about 0 with deviation ``sd_deg``.

    13.5 degrees is what Rapp et al. (J Biomech 116:110229, 2021, Table 3) state for their turned inputs; ``compat=
    'rapp2021'`` turns twice as far, as their code does (``virtual_imu.random_rotations``). One turn for each person,
    leg and sensor; more deviation of one draw turns the same way. Raises ``UsageError`` for another ``compat``.
    """

    def turned(segment: str, channel: str, values: FloatArray) -> FloatArray:
        seed = int(leg.generator("turn_random", draw, segment).integers(2**32))
        rotation = random_rotations(1, sd_deg=sd_deg, seed=seed, compat=compat)[0]
        return _rotated(leg, channel, values, rotation)

    return leg.each("turn_random", sensor, turned)


def shift(leg: Leg, *, along_m: float, sensor: str = ALL) -> Leg:
    """Return a leg whose sensors sit ``along_m`` metres further up their segments (down where negative).

    On a rigid segment the accelerometer then reads ``a + alpha x r + omega x (omega x r)``, which holds for specific
    force as for acceleration, gravity being the same at both places; the gyroscope reads what it did. Angular
    acceleration is the derivative of the gyroscope on the task's grid (``virtual_imu.transfer``). Skin moves more
    than bone, and differently from place to place: that is not in here. Raises ``UsageError`` for a task without acc
    and gyr in segment axes.
    """
    if leg.task.axes != "segment" or not {"acc", "gyr"} <= set(leg.task.channels):
        raise UsageError(
            f"The change 'shift' needs acc and gyr in segment axes, to know which way up a segment is, and the task "
            f"'{leg.task.name}' has {', '.join(leg.task.channels)} in {leg.task.axes} axes."
        )
    arm = np.array([0.0, along_m, 0.0])

    def shifted(segment: str, channel: str, values: FloatArray) -> FloatArray:
        if channel == "gyr":
            return values
        rate = leg.signals[:, leg.columns(segment, "gyr")].astype(np.float64)
        moved = values.copy()
        for start, stop in leg.stretches(segment):
            moved[start:stop] = _elsewhere(values[start:stop], rate[start:stop], leg.task.rate_hz, arm)
        return moved

    return leg.each("shift", sensor, shifted)


def swap_sides(leg: Leg) -> Leg:
    """Return a leg whose right sensors were taken for left ones and the other way round.

    In a task of the whole body the inputs of both sides change places: each sensor is still in the axes of the segment
    it sits on, as a calibrated system would have it, and only its name is wrong. In a leg-agnostic task each leg is
    mirrored once too often: which side it is, is all that such a task asks of a name. Raises ``UsageError`` where the
    task has one side only, or does not mirror.
    """
    if leg.task.per_leg:
        if leg.task.axes != "segment":
            raise UsageError(f"The sides of '{leg.task.name}' cannot be swapped: in sensor axes it mirrors none.")
        return leg.each(
            "swap_sides", ALL, lambda _, channel, values: np.asarray(
                mirror_acc(values) if channel == "acc" else mirror_gyr(values)
            ),
        )  # fmt: skip
    pairs = [(name, f"{name[:-2]}_l") for name in leg.task.segments if name.endswith("_r")]
    both = [pair for pair in pairs if pair[1] in leg.task.segments]
    if not both:
        raise UsageError(f"The sides of '{leg.task.name}' cannot be swapped: it has no sensor on both.")
    for right, left in both:
        leg = swap_labels(leg, first=right, second=left)
    return leg


def swap_labels(leg: Leg, *, first: str, second: str) -> Leg:
    """Return a leg of which two sensors were taken for each other, each in the axes of the segment it sits on."""
    one, other = leg.sensors(first), leg.sensors(second)
    if len(one) > 1 or len(other) > 1 or first == second:
        raise UsageError(f"Expected two sensors to take for each other, got '{first}' and '{second}'.")
    signals = leg.signals.copy()
    signals[:, leg.block(first)] = leg.signals[:, leg.block(second)]
    signals[:, leg.block(second)] = leg.signals[:, leg.block(first)]
    return replace(leg, signals=signals)


def _rotated(leg: Leg, channel: str, values: FloatArray, rotation: FloatArray) -> FloatArray:
    """Return (n, 3) values turned, without BLAS: the same bits on every machine."""
    own = leg.as_worn(channel, values)  # mirroring is its own inverse
    return leg.as_worn(channel, np.asarray(sum(own[:, axis, None] * rotation[:, axis] for axis in range(3))))


def _elsewhere(acc: FloatArray, gyr: FloatArray, rate_hz: float, arm: FloatArray) -> FloatArray:
    if len(acc) < SHORTEST_STRETCH:
        return np.asarray(acc + np.cross(gyr, np.cross(gyr, arm)))
    return transfer(acc, gyr, rate_hz, arm)
