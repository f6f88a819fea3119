"""What goes wrong with a sensor: each a pure function of a leg and the change's settings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from kinbench.perturbations._leg import Float32Array, Leg


def turn(leg: Leg, *, angle_deg: float, draw: int = 0, sensor: str = "all") -> Leg:
    """Return a leg whose sensors sit turned by ``angle_deg`` about an axis drawn for each person and segment.

    ``sensor`` is a segment of the task, or ``all``.
    """
    signals = leg.signals.copy()
    for segment in leg.task.segments:
        if sensor in ("all", segment):
            axis = leg.generator("turn", draw, segment).standard_normal(3)
            rotation = Rotation.from_rotvec(np.radians(angle_deg) * axis / np.linalg.norm(axis)).as_matrix()
            _rotate(leg, signals, segment, rotation)
    return replace(leg, signals=signals)


def _rotate(leg: Leg, signals: Float32Array, segment: str, rotation: np.ndarray) -> None:
    for channel in ("acc", "gyr"):
        columns = leg.columns(segment, channel)
        if columns:
            values = signals[:, columns].astype(np.float64)
            # Without BLAS: the same bits on every machine.
            signals[:, columns] = sum(values[:, axis, None] * rotation[:, axis] for axis in range(3))
