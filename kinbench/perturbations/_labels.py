"""References that are wrong: off by a constant, as a static trial leaves them, or noisy, as markers do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kinbench.perturbations._leg import Leg


def label_offset(leg: Leg, *, sd_deg: float, draw: int = 0) -> Leg:
    """Return a leg whose reference is off by a constant for each person, leg and DoF, normal with ``sd_deg``.

    So does every new placing of markers move a joint's zero: by less than 5 degrees in most studies that say how much
    (McGinley et al., Gait Posture 29:360-369, 2009).
    """
    offsets = [sd_deg * leg.generator("label_offset", draw, dof).standard_normal() for dof in leg.task.dofs]
    return replace(leg, targets=(leg.targets + np.array(offsets)).astype(np.float32))


def label_noise(leg: Leg, *, sd_deg: float, draw: int = 0) -> Leg:
    """Return a leg with white noise of deviation ``sd_deg`` on every sample of its reference."""
    drawn = leg.fresh_generator("label_noise", draw).standard_normal(leg.targets.shape)
    return replace(leg, targets=(leg.targets + sd_deg * drawn).astype(np.float32))
