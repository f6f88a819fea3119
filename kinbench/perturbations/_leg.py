"""What is changed: one leg of one recording on a task's grid."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import UsageError, suggest
from kinbench.kinematics import mirror_acc, mirror_gyr
from kinbench.tasks import Task

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

TRIADS = ("acc", "gyr")
"""The channels that are vectors; ``acc_norm`` and ``gyr_norm`` are their lengths."""
ALL = "all"
"""What the setting ``sensor`` says for every sensor of the task."""
_SHARED = ("pelvis", "trunk")


@dataclass(frozen=True)
class Leg:
    """Inputs (n, channel) in SI units, targets (n, dof), where these hold (n, dof), and whose they are.

    Inputs are in the task's axes, NaN where masked; ``person`` is ``dataset/subject``, ``recording`` its key.
    """

    task: Task
    person: str
    leg: str
    signals: Float32Array
    targets: Float32Array
    labelled: BoolArray
    recording: str = ""

    def generator(self, kind: str, draw: int, name: str = "") -> np.random.Generator:
        """Return the generator of one draw for one person and sensor (or DoF); the same in every process.

        A sensor that both legs of a leg-agnostic task share is one sensor, and draws once.
        """
        return _generator(f"{kind}|{draw}|{self.person}|{self._side_of(name)}|{name}")

    def fresh_generator(self, kind: str, draw: int, name: str = "") -> np.random.Generator:
        """Return a generator for what differs from one recording of a person to the next, such as noise."""
        return _generator(f"{kind}|{draw}|{self.person}|{self.recording}|{self._side_of(name)}|{name}")

    def _side_of(self, name: str) -> str:
        return "" if name in _SHARED else self.leg

    def sensors(self, sensor: str = ALL) -> tuple[str, ...]:
        """Return the segments that ``sensor`` means: all of the task's, or one; raises ``UsageError`` for another."""
        if sensor == ALL:
            return self.task.segments
        if sensor not in self.task.segments:
            raise UsageError(
                f"The task '{self.task.name}' has no sensor '{sensor}'.{suggest(sensor, [*self.task.segments, ALL])}"
            )
        return (sensor,)

    @property
    def mirrored(self) -> bool:
        """Whether this is a left leg that the task mirrors onto a right one."""
        return self.leg == "l" and self.task.axes == "segment"

    def columns(self, segment: str, channel: str) -> tuple[int, ...]:
        """Return where a segment's channel (``acc``, ``gyr``, ``acc_norm``, ``gyr_norm``) stands among the inputs."""
        names = self.task.channel_names
        wanted = f"{segment}/{channel}"
        return tuple(i for i, name in enumerate(names) if name == wanted or name.startswith(f"{wanted}/"))

    def block(self, segment: str) -> list[int]:
        """Return where all channels of a segment stand, in the task's order."""
        return [column for channel in self.task.channels for column in self.columns(segment, channel)]

    def each(self, kind: str, sensor: str, change: Callable[[str, str, FloatArray], FloatArray]) -> Leg:
        """Return the leg with ``change(segment, channel, values (n, 3))`` made to acc and gyr of the sensors meant.

        Where the values changed, their length (``acc_norm``) is taken anew. Raises ``UsageError`` where the task has a
        length without its vector: nobody knows then what becomes of it.
        """
        alone = [name for name in self.task.channels if name.removesuffix("_norm") not in self.task.channels]
        if alone:
            raise UsageError(
                f"The change '{kind}' needs vectors, and the task '{self.task.name}' has {', '.join(alone)} without."
            )
        signals = self.signals.copy()
        for segment in self.sensors(sensor):
            for channel in TRIADS:
                columns = self.columns(segment, channel)
                if not columns:
                    continue
                before = self.signals[:, columns]
                values = change(segment, channel, before.astype(np.float64))
                signals[:, columns] = values
                length = self.columns(segment, f"{channel}_norm")
                if length and not np.array_equal(before, signals[:, columns], equal_nan=True):
                    signals[:, length] = np.sqrt((values**2).sum(axis=1, keepdims=True))
        return replace(self, signals=signals)

    def stretches(self, segment: str) -> tuple[tuple[int, int], ...]:
        """Return where all channels of a segment hold a number: [start, stop) each, in order."""
        known = np.isfinite(self.signals[:, self.block(segment)]).all(axis=1)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(np.int8)))
        return tuple((int(start), int(stop)) for start, stop in edges.reshape(-1, 2))

    def as_worn(self, channel: str, vector: FloatArray) -> FloatArray:
        """Return a vector (..., 3) of the person's own axes in the task's: mirrored where this leg is."""
        if not self.mirrored:
            return vector
        return np.asarray(mirror_acc(vector) if channel == "acc" else mirror_gyr(vector))


def _generator(name: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))
