"""Which channels the network has, in which order, and how a task's inputs are put into them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench.kinematics import mirror_acc, mirror_gyr
from kinbench.windows import TaskSpec

Float32Array = NDArray[np.float32]
IntArray = NDArray[np.int64]

SENSORS = ("trunk", "pelvis", "thigh_r", "thigh_l", "shank_r", "shank_l", "foot_r", "foot_l")
KINDS = ("acc", "gyr")
"""The published order: all accelerometers, sensor by sensor, then all gyroscopes."""


@dataclass(frozen=True)
class Layout:
    """The network's channels (``segment/channel/axis``), in the published order.

    Leg-agnostic names ('thigh') are the right leg's to a task, since left legs come mirrored onto right ones. What the
    publication does not have (lengths, orientations, other sensors) comes last, as the task has it.
    """

    names: tuple[str, ...]

    @classmethod
    def of(cls, names: Sequence[str]) -> Layout:
        """Return the layout of some channels."""
        return cls(tuple(sorted(dict.fromkeys(names), key=_rank)))

    def with_task(self, spec: TaskSpec) -> Layout:
        """Return the layout with those channels of a task too that it lacks, leg-agnostic ones as the right leg's."""
        return Layout.of((*self.names, *(self._named(name) for name in spec.channel_names)))

    def columns(self, spec: TaskSpec) -> IntArray:
        """Return where each of a task's channels stands in the layout; raises ``DataError`` for one that it lacks."""
        missing = [name for name in spec.channel_names if self._named(name) not in self.names]
        if missing:
            raise DataError(f"the network has no channel {', '.join(missing)} of task '{spec.task}'; fit it anew")
        return np.array([self.names.index(self._named(name)) for name in spec.channel_names], dtype=np.int64)

    def place(self, x: Float32Array, spec: TaskSpec) -> Float32Array:
        """Return (n, time, layout's channels) of a task's inputs (n, time, channel); NaN where the task has none."""
        placed = np.full((*x.shape[:2], len(self.names)), np.nan, dtype=np.float32)
        placed[..., self.columns(spec)] = x
        return placed

    def mirrored(self, placed: Float32Array) -> Float32Array:
        """Return inputs in which a leg's absent sensors are the other leg's, mirrored in the sagittal plane.

        Segment axes are taken for granted: a sensor's own axes have no such plane. The other leg's half a stride of
        delay stays what it is.
        """
        filled = placed.copy()
        for column, name in enumerate(self.names):
            other = _other_side(name)
            if other in self.names:
                twin = placed[..., self.names.index(other)] * _sign(name)
                filled[..., column] = np.where(np.isnan(placed[..., column]), twin, placed[..., column])
        return filled

    def _named(self, name: str) -> str:
        """Return the layout's name of a task's channel, under which its right leg's and a leg-agnostic one are one."""
        segment, _, rest = name.partition("/")
        right = f"{segment}_r/{rest}" if f"{segment}_r" in SENSORS else name
        bare = f"{segment.removesuffix('_r')}/{rest}"
        return next((known for known in (name, right, bare) if known in self.names), right)


def _rank(name: str) -> tuple[int, int, int]:
    """Return what channels are sorted by: kind, sensor, and (by a stable sort) as they came."""
    segment, kind, *_ = name.split("/")
    sided = segment if segment in SENSORS else f"{segment}_r"
    sensor = SENSORS.index(sided) if sided in SENSORS else len(SENSORS)
    return (KINDS.index(kind) if kind in KINDS else len(KINDS), sensor, "xyz".find(name[-1]) if kind in KINDS else 0)


def _other_side(name: str) -> str | None:
    segment, _, rest = name.partition("/")
    if segment[-2:] not in ("_r", "_l"):
        return None
    return f"{segment[:-1]}{'l' if segment.endswith('_r') else 'r'}/{rest}"


def _sign(name: str) -> float:
    """Return what a channel's sign becomes in a mirror: 1 for lengths, NaN for what has no mirror image of its own."""
    _, kind, *axis = name.split("/")
    if not axis:
        return 1.0
    if kind not in KINDS:
        return float("nan")
    mirror = mirror_acc if kind == "acc" else mirror_gyr
    return float(np.asarray(mirror(np.ones(3)))["xyz".index(axis[0])])
