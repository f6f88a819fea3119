"""Promises of models that are filters: they go through whole recordings, and predict no window."""

from __future__ import annotations

import numpy as np

from kinbench.contracts import StreamModel
from kinbench.errors import DataError, KinbenchError, NotApplicable
from kinbench.recording import Placement, imu_dataset
from kinbench.schema import GRAVITY
from kinbench.testing.claims import require, require_raises
from kinbench.testing.models.trials import Float32Array, Promise, Trial
from kinbench.windows import Stream, TaskSpec

SECONDS = 20.0
STILL_S = 4.0
"""So long the made-up person stands before walking."""
_SIDES = {"r": "right", "l": "left"}


def made_up_stream(spec: TaskSpec) -> Stream:
    """Return a made-up leg or body: it stands, then every segment swings about its Z axis, once a second and a bit."""
    leg = "" if any(name.endswith(("_r", "_l")) for name in spec.segments) else "r"
    time_s = np.arange(0.0, SECONDS, 1.0 / spec.rate_hz)
    acc, gyr, placements = [], [], []
    for number, name in enumerate(spec.segments):
        full = name if not leg or name in ("pelvis", "trunk") else f"{name}_{leg}"
        swing = np.where(time_s < STILL_S, 0.0, 0.4 * np.sin(2 * np.pi * 1.1 * (time_s - STILL_S) + 0.3 * number))
        acc.append(GRAVITY * np.stack([np.sin(swing), np.cos(swing), np.zeros_like(swing)], axis=1))
        turn = np.gradient(swing, time_s)
        gyr.append(np.stack([np.zeros_like(turn), np.zeros_like(turn), turn], axis=1))
        side = _SIDES.get(full[-1], "midline") if "_" in full else "midline"
        placements.append(Placement(full, full, side, rotation=np.eye(3), rotation_origin="nominal"))
    signals = {
        "acc": (np.stack(acc, axis=1), {"units": "m s-2", "frame": "sensor", "kind": "specific_force"}),
        "gyr": (np.stack(gyr, axis=1), {"units": "rad s-1", "frame": "sensor"}),
    }
    return Stream(
        imu=imu_dataset(time_s, placements, signals), leg=leg, body={}, time_s=time_s,
        dofs=tuple(f"{name}_{leg}" if leg else name for name in spec.dof_names), spec=spec,
    )  # fmt: skip


def estimated(model: StreamModel, stream: Stream) -> Float32Array:
    """Return what a filter answers; raises ``NotApplicable`` where it can say nothing of what is made up."""
    try:
        return model.estimate(stream)
    except DataError as error:
        raise NotApplicable(f"the filter can say nothing of the made-up recording: {error}") from error


def _estimate(trial: Trial, model: StreamModel) -> Float32Array:
    stream = made_up_stream(trial.spec)
    before = stream.imu.copy(deep=True)
    found = estimated(model, stream)
    require(before.identical(stream.imu), "estimate must not change the recording it is given.")
    expected = (stream.time_s.size, len(stream.dofs))
    require(
        isinstance(found, np.ndarray) and found.shape == expected and found.dtype == np.float32,
        f"estimate must return float32 angles (samples, dof) = {expected}, got "
        f"{getattr(found, 'dtype', type(found).__name__)} {getattr(found, 'shape', '')}.",
    )
    return found


def _streams(trial: Trial) -> str:
    require_raises(lambda: trial.model.predict(trial.x), (KinbenchError,), "predict of a filter")
    found = _estimate(trial, trial.model)
    require(
        found.tobytes() == _estimate(trial, trial.model).tobytes(),
        "estimate must give the same for the same recording, and a second call gave something else.",
    )
    require(
        found.tobytes() == _estimate(trial, trial.fit().model).tobytes(),
        "The same windows and seed must give the same filter, byte for byte, and two fits differ.",
    )
    if callable(getattr(trial.model, "save", None)) and callable(getattr(trial.model, "load", None)):
        require(
            found.tobytes() == _estimate(trial, trial.kept(trial.model)).tobytes(),
            "A loaded filter must answer exactly as the saved one, byte for byte, and it does not.",
        )
    return f"{np.isfinite(found).mean():.0%} of a made-up recording answered"


PROMISES = (
    Promise("streams", "a filter answers whole recordings, the same each time, and leaves them alone", _streams,
            only=("estimate",), on_windows=False),
)  # fmt: skip
