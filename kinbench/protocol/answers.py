"""The answer among the questions: inputs of which a straight line gives the target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import LeakError
from kinbench.schema import DOFS, VARIABLES
from kinbench.windows import TaskData

Float64Array = NDArray[np.float64]

LINE_R = 0.999
"""No sensor's reading at one instant is a straight line of a joint angle to such a correlation; a copy of it is."""
ROWS = 20_000
"""So many samples, evenly over a store, are looked at."""
ROWS_PER_CHANNEL = 20
EVENTS = ("event", "events", "heel", "toe", "stride", "stance", "phase")
"""What names of events begin with; those of the reference are made of markers, forces or joint angles."""
LEAST_SD = 0.5
"""A reference that varies less, in its unit, is not looked at."""


def check_answers(data: TaskData, cell: str) -> None:
    """Raise ``LeakError`` where a task's inputs are the reference's, or give a target away.

    That is: a channel, or an event, that only the reference can tell; one input, or a straight line through all inputs
    of one instant, that is a target. Instants are compared over everything that is labelled in a store.
    """
    told = sorted({channel for channel in data.task.channels if _of_reference(channel)})
    if told:
        raise LeakError(
            f"{cell}: the task '{data.task.name}' takes {', '.join(told)} as an input, which only the reference can "
            "tell; an input must be a sensor's own."
        )
    usable = np.flatnonzero(data.labelled.any(axis=1) & np.isfinite(data.signals).all(axis=1))
    if usable.size < ROWS_PER_CHANNEL * (data.signals.shape[1] + 1):
        return
    rows = usable[:: -(-usable.size // ROWS)]
    inputs, targets = data.signals[rows].astype(np.float64), data.targets[rows].astype(np.float64)
    found = [
        sentence
        for column, dof in enumerate(data.task.dofs)
        for sentence in _told(inputs, targets[:, column], data.labelled[rows, column], data.task.channel_names, dof)
    ]
    if found:
        raise LeakError("\n".join(f"{cell}: in '{data.store_name}' {sentence}" for sentence in found))


def _of_reference(channel: str) -> bool:
    name = channel.removesuffix("_norm")
    known = VARIABLES.get(name)
    return name in DOFS or name.split("_")[0] in EVENTS or (known is not None and known.stream == "reference")


def _told(
    inputs: Float64Array, target: Float64Array, labelled: NDArray[np.bool_], names: Sequence[str], dof: str
) -> list[str]:
    x, y = inputs[labelled], target[labelled]
    if y.size < ROWS_PER_CHANNEL * (x.shape[1] + 1) or y.std() < LEAST_SD:
        return []
    x, y = x - x.mean(axis=0), y - y.mean()
    scale = np.sqrt((x * x).sum(axis=0))
    one = np.divide(np.abs(x.T @ y), scale * np.sqrt(y @ y), out=np.zeros(x.shape[1]), where=scale > 0)
    if one.max() > LINE_R:
        return [
            f"the input {names[int(one.argmax())]} is the target {dof} itself, up to scale and offset (|r| = "
            f"{one.max():.5f}); a model must not be handed the answer."
        ]
    left = y - _line(x, y, scale)
    r = float(np.sqrt(max(0.0, 1.0 - (left @ left) / (y @ y))))
    if r > LINE_R:
        return [
            f"a straight line through the inputs of one instant gives the target {dof} (r = {r:.5f}); the answer is "
            "among them, in parts."
        ]
    return []


def _line(x: Float64Array, y: Float64Array, scale: Float64Array) -> Float64Array:
    """Return the least-squares line through centred inputs."""
    even = x / np.where(scale > 0, scale, 1.0)
    return np.asarray(even @ np.linalg.lstsq(even, y, rcond=None)[0])
