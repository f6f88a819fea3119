"""From one recording's inputs to its angles: every sample that has inputs, overlapping windows averaged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench import windows
from kinbench.contracts import Model, StreamModel
from kinbench.tasks import Task
from kinbench.windows import Piece, Stretch


@dataclass(frozen=True)
class Angles:
    """The angles of one recording on the task's grid, in seconds from its first imu sample.

    ``angle`` (n, dof) float32 in degrees (a load in its own unit), NaN where a sensor of it holds no sample; ``dofs``
    are full names, both legs of a leg-agnostic task. ``moving`` (n,) is where the person moves by the task's rule.
    ``padded`` counts stretches shorter than a window, whose angles are worth less; ``upsampled`` says that the sensors
    were slower than the task.
    """

    dofs: tuple[str, ...]
    rate_hz: float
    angle: NDArray[np.float32]
    moving: NDArray[np.bool_]
    padded: int
    upsampled: bool

    @property
    def time_s(self) -> NDArray[np.float64]:
        """The instants, (n,)."""
        return np.arange(len(self.angle)) / self.rate_hz

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where each angle is known, (n, dof)."""
        return np.isfinite(self.angle)


def estimate(model: Model, imu: xr.Dataset, task: Task, legs: tuple[str, ...]) -> Angles | str:
    """Return a fitted model's angles for one recording's sensors, or the reason why there are none.

    A left leg goes in mirrored, as the task wants it; its angles mean the same on both sides (``schema.DOFS``), so
    they come out as the left leg's own. Raises ``DataError`` where the model's answer cannot be believed.
    """
    inputs = windows.derive_inputs(imu, task, legs)
    if isinstance(inputs, str):
        return inputs
    samples = inputs.moving.size
    signals = np.concatenate([leg.signals for leg in inputs.legs])
    stretches = [
        Stretch(Piece(0, number, number * samples, samples, leg.runs), start, stop)
        for number, leg in enumerate(inputs.legs)
        for start, stop in leg.runs
    ]
    test = windows.cover(stretches, signals, task)
    if isinstance(model, StreamModel):
        streams = [windows.stream_of(imu, {}, task, leg) for leg in legs]
        table = windows.answered(test, len(task.dofs), lambda _, leg: model.estimate(streams[leg]))
    else:
        table = test.assemble(test.checked(model.predict(test.x), len(task.dofs)))
    angle = np.full((samples, len(inputs.legs) * len(task.dofs)), np.nan, dtype=np.float32)
    for column in range(len(task.dofs)):
        angle[table["sample"], table["leg"] * len(task.dofs) + column] = table["prediction"][:, column]
    dofs = tuple(dof for leg in inputs.legs for dof in task.dofs_of(leg.leg))
    return Angles(dofs, task.rate_hz, angle, inputs.moving, test.padded, inputs.upsampled)
