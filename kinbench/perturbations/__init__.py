"""Things that go wrong with sensors and labels, done on purpose: what a protocol's fold may order, by name and figure.

A ``Change`` is a plain, frozen value, so that it can stand in a fold's digest. ``perturb`` carries changes out on one
leg of one recording as a task sees it. What is drawn at random is drawn from the change's own ``draw`` and the
person and segment: the same sensor is wrong the same way in all recordings of a person, and larger figures of one draw
are more of the same mistake. Noise and lost packets alone are drawn for each recording.

How a sensor sits: ``turn``, ``turn_random``, ``shift``, ``swap_sides``, ``swap_labels``. What a device does: ``bias``,
``noise``, ``clip``, ``rate``, ``packets``, ``missing``, ``late``, ``magnetic`` (which no task's inputs feel).
Conventions nobody translated: ``scale``, ``axes``, ``unmirrored``. What a reference does: ``label_offset``,
``label_noise``. Sensors are named as the task names them.
"""

from __future__ import annotations

from kinbench.perturbations._change import Change, Setting
from kinbench.perturbations._leg import Leg
from kinbench.perturbations._perturb import KINDS, perturb

__all__ = ["KINDS", "Change", "Leg", "Setting", "perturb"]
