"""A simulated person who stands, walks and turns: what the fake raw folders are made of. Nobody was measured."""

from dataclasses import dataclass, replace

import numpy as np
from kinbench_adapters._simulation.chain import angles_of, draw_body, move
from kinbench_adapters._simulation.gait import Walk, draw_style, walk


@dataclass(frozen=True)
class Person:
    """``position[segment]`` (n, 3) m of the proximal joint and ``rotation[segment]`` (n, 3, 3) segment to world.

    World: Y up, X forward at the start, Z right, metres. ``angles[dof]`` (n,) deg are those of the schema, exact.
    """

    rate_hz: float
    time: np.ndarray
    body: object
    position: dict
    rotation: dict
    angles: dict

    def point(self, segment, offset_m):
        """The path (n, 3) of a point fixed to a segment, given in segment axes from its proximal joint."""
        return self.position[segment] + self.rotation[segment] @ np.asarray(offset_m, dtype=float)


def walker(seed=0, *, length_s=12.0, rate_hz=200.0, stand_s=2.0, stride_s=1.1, turn_deg=180.0):
    """A person who faces X and stands still for ``stand_s``, then walks, with turns of ``turn_deg`` on the way."""
    random = np.random.RandomState(seed)
    body = draw_body(random)
    style = draw_style(random, stride_s=stride_s, amplitude=1.0)
    plan = Walk(length_s=length_s, stand_s=stand_s, turn_deg=turn_deg, straight_s=(4.0, 6.0), pace=1.0)
    course = walk(random, style, plan, rate_hz)
    motion = move(body, replace(course, heading_deg=course.heading_deg - course.heading_deg[0]))
    return Person(
        rate_hz,
        course.time,
        body,
        dict(motion.position),
        {name: turn.as_matrix() for name, turn in motion.turn.items()},
        angles_of(course, motion),
    )
