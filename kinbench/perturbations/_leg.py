"""What is changed: one leg of one recording on a task's grid."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinbench.tasks import Task

Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Leg:
    """Inputs (n, channel) in SI units, targets (n, dof), where these hold (n, dof), and whose they are.

    Inputs are in the task's axes, NaN where masked; ``person`` is ``dataset/subject``.
    """

    task: Task
    person: str
    leg: str
    signals: Float32Array
    targets: Float32Array
    labelled: BoolArray

    def generator(self, kind: str, draw: int, segment: str = "") -> np.random.Generator:
        """Return the generator of one draw for one person and segment; the same in every process."""
        name = f"{kind}|{draw}|{self.person}|{self.leg}|{segment}"
        return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))

    def columns(self, segment: str, channel: str) -> tuple[int, ...]:
        """Return where a segment's channel (``acc``, ``gyr``, ``acc_norm``, ``gyr_norm``) stands among the inputs."""
        names = self.task.channel_names
        wanted = f"{segment}/{channel}"
        return tuple(i for i, name in enumerate(names) if name == wanted or name.startswith(f"{wanted}/"))
