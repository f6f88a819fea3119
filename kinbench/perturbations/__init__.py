"""Things that go wrong with sensors and labels, done on purpose: what a protocol's fold may order, by name and figure.

A ``Change`` is a plain, frozen value, so that it can stand in a fold's digest. ``perturb`` carries changes out on one
leg of one recording as a task sees it. What is drawn at random is drawn from the change's own ``draw`` and the
person and segment: the same sensor is wrong the same way in all recordings of a person, and larger figures of one draw
are more of the same mistake.
"""

from __future__ import annotations

from kinbench.perturbations._change import Change, Setting
from kinbench.perturbations._inputs import turn
from kinbench.perturbations._leg import Leg
from kinbench.perturbations._perturb import KINDS, perturb

__all__ = ["KINDS", "Change", "Leg", "Setting", "perturb", "turn"]
