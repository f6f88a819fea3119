"""What the mere rhythm of gait tells: the mean angle of other people at the same instant of the stride.

Where in its stride a leg is, is told by one gyro of it and by nothing else: the shank's, or else the foot's, or the
thigh's. What counts is the rate about its principal axis, which is that of flexion however the sensor sits, turned so
that it is fastest when positive: a leg swings forward faster than it ever goes back. Strides begin at the contacts of
``kinematics.events_from_gyro`` (at a foot or a thigh, at an instant of each stride just as good, and the same in all
people); between two of them the phase goes evenly from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinbench.contracts import ModelCard
from kinbench.errors import DataError, KinbenchError, NotApplicable
from kinbench.kinematics import events_from_gyro
from kinbench.windows import Batches, Stream, TaskSpec
from kinbench_benchmarks.models._state import not_fitted
from kinbench_benchmarks.weights import read_weights, write_weights

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]

POINTS = 101
"""Phases at which the mean angle is kept, the last being the first again."""
STRIDE_S = (0.5, 2.0)
"""From a contact to the next: less is no stride, and more is a pause."""
TELLING = ("shank", "foot", "thigh")
"""Whose gyro tells the phase, the best first."""
LEAST_STRIDES = 3


@dataclass(frozen=True)
class _Course:
    """The mean angle by phase (dof, point) and the mean of all (dof,), in degrees."""

    spec: TaskSpec
    cycle: FloatArray
    mean: FloatArray


class MeanGaitCycle:
    """The training persons' mean angle by gait phase; where nobody strides, their mean angle.

    Each person's mean cycle counts the same. ``adapt`` takes the cycle and the mean of the person's own calibration
    instead, of the DoFs that it labels.
    """

    card = ModelCard(
        name="mean-gait-cycle",
        version="1",
        title="Mean gait cycle",
        description="The training persons' mean angle at each phase of the stride; the phase is told by one gyro of "
        "the leg. Where nobody strides it is the mean pose. What does not beat it has seen the rhythm alone.",
        citation="Salarian et al. 2004, IEEE TBME 51:1434-1443 (contacts from the shank's gyro)",
    )

    def __init__(self) -> None:
        self.notes: tuple[str, ...] = ()
        self._course: _Course | None = None

    def fit(self, train: Batches, valid: Batches, *, seed: int) -> None:
        """Take the mean cycle of ``train``; ``valid`` and ``seed`` play no part.

        Raises ``NotApplicable`` for a task without a gyro on a leg, ``DataError`` where a DoF is labelled nowhere.
        """
        _telling(train.spec)
        self.notes = ()
        cycle, mean = _cycles(train)
        unlabelled = [n for n, known in zip(train.spec.dof_names, np.isfinite(mean), strict=True) if not known]
        if unlabelled:
            raise DataError(f"no valid training sample of {', '.join(unlabelled)}; nothing can be learnt about it")
        walked = np.asarray(np.isfinite(cycle).all(axis=1))
        strideless = [n for n, known in zip(train.spec.dof_names, walked, strict=True) if not known]
        if strideless:
            self.notes = (f"fewer than {LEAST_STRIDES} strides to learn {', '.join(strideless)} from: mean pose",)
        self._course = _Course(train.spec, np.where(np.isfinite(cycle), cycle, mean[:, None]), mean)

    def adapt(self, calibration: Batches, valid: Batches, *, seed: int) -> None:
        """Take the person's own cycle, where the ``calibration`` holds strides enough, and their own mean."""
        known = self._known()
        cycle, mean = _cycles(calibration)
        walked = np.isfinite(cycle).all(axis=1, keepdims=True)
        self._course = _Course(
            known.spec, np.where(walked, cycle, known.cycle), np.where(np.isfinite(mean), mean, known.mean)
        )

    def estimate(self, stream: Stream) -> Float32Array:
        """Return angles (samples, dof) in degrees: of the mean cycle where there are strides, else of the mean pose."""
        known = self._known()
        found = np.tile(known.mean, (stream.time_s.size, 1))
        striding = np.zeros(stream.time_s.size, dtype=bool)
        phases: dict[str, FloatArray] = {}
        for column, dof in enumerate(stream.dofs):
            segment = _segment_for(dof, [str(name) for name in stream.imu["segment"].values])
            if segment not in phases:
                phases[segment] = phase_of(_rate_of(stream, segment), stream.spec.rate_hz)
            phase = phases[segment]
            at = np.isfinite(phase)
            found[at, column] = np.interp(phase[at], np.linspace(0.0, 1.0, POINTS), known.cycle[column])
            striding |= at
        if not striding.all():
            self.notes = tuple(dict.fromkeys((*self.notes, "no gait in parts of the recordings: mean pose there")))
        return found.astype(np.float32)

    def predict(self, x: Float32Array) -> Float32Array:
        """Raise ``KinbenchError``: a window may hold no whole stride. ``estimate`` takes whole recordings."""
        raise KinbenchError(f"model '{self.card.name}' goes through whole recordings, not windows: call estimate")

    def save(self, folder: Path) -> None:
        """Write the cycle and the mean into an existing folder."""
        known = self._known()
        write_weights(folder, self.card, known.spec, {"cycle": known.cycle, "mean": known.mean}, notes=self.notes)

    def load(self, folder: Path) -> None:
        """Take up what ``save`` wrote."""
        spec, arrays, meta = read_weights(folder, self.card)
        self._course, self.notes = _Course(spec, arrays["cycle"], arrays["mean"]), tuple(meta["notes"])

    def parameters(self) -> int:
        """Return the number of means."""
        known = self._known()
        return known.cycle.size + known.mean.size

    def _known(self) -> _Course:
        if self._course is None:
            raise not_fitted(self.card)
        return self._course


# --- phase -----------------------------------------------------------------------------------------------------------


def phase_of(swing_rad_s: FloatArray, rate_hz: float) -> FloatArray:
    """Return the phase (n,) from 0 at a contact to 1 at the next, NaN where the leg does not stride.

    ``swing_rad_s`` (n,) is how fast the segment turns, positive when it swings forward; it may hold NaN.
    """
    try:
        contacts = events_from_gyro(swing_rad_s, rate_hz).contact_s
    except DataError:  # it turns as no walking leg does, so there is no stride to be told
        contacts = np.empty(0)
    at_s = np.arange(swing_rad_s.size) / rate_hz
    phase = np.full(at_s.size, np.nan)
    for start, stop in pairwise(contacts):
        if STRIDE_S[0] <= stop - start <= STRIDE_S[1]:
            inside = (at_s >= start) & (at_s < stop)
            phase[inside] = (at_s[inside] - start) / (stop - start)
    return phase


def swing_of(gyr: FloatArray) -> FloatArray:
    """Return the rate (n,) about the principal axis of ``gyr`` (n, 3), in any axes, positive in swing; NaN stays."""
    known = gyr[np.isfinite(gyr).all(axis=1)]
    if not len(known):
        return np.full(len(gyr), np.nan)
    _, vectors = np.linalg.eigh(known.T @ known)
    slowest, fastest = np.quantile(known @ vectors[:, -1], [0.005, 0.995])
    forward = 1.0 if fastest >= -slowest else -1.0
    return np.asarray(gyr @ vectors[:, -1] * forward)


def _segment_for(dof: str, segments: Sequence[str]) -> str:
    """Return whose gyro tells the phase of an angle: that of the same leg which does it best."""
    leg = dof[-2:] if dof.endswith(("_r", "_l")) else ""
    for name in TELLING:
        if f"{name}{leg}" in segments:
            return f"{name}{leg}"
    raise NotApplicable(f"mean-gait-cycle needs a gyro on a shank, foot or thigh beside {dof}")


def _rate_of(stream: Stream, segment: str) -> FloatArray:
    """Return how fast a segment swings (samples,) on the task's grid."""
    index = stream.sensor(segment)
    if index is None or "gyr" not in stream.imu:
        raise DataError(f"mean-gait-cycle needs a gyro on {segment}, and the recording has none")
    gyr = np.asarray(stream.imu["gyr"].values[:, index], dtype=np.float64)
    if "valid" in stream.imu:
        gyr[~np.asarray(stream.imu["valid"].values[:, index], dtype=bool)] = np.nan
    rate = swing_of(gyr)
    time_s = np.asarray(stream.imu["time"].values, dtype=np.float64) + float(stream.imu["clock_offset_s"].values[index])
    known = np.isfinite(rate)
    if known.sum() < 2:
        return np.full(stream.time_s.size, np.nan)
    return np.interp(stream.time_s, time_s[known], rate[known])


def _telling(spec: TaskSpec) -> dict[str, str]:
    """Return whose gyro tells the phase, by DoF; raises ``NotApplicable`` where there is none."""
    gyros = [name for name in spec.segments if f"{name}/gyr/z" in spec.channel_names]
    return {dof: _segment_for(dof, gyros) for dof in spec.dof_names}


# --- learning --------------------------------------------------------------------------------------------------------


def _cycles(batches: Batches) -> tuple[FloatArray, FloatArray]:
    """Return the mean over persons of their mean angle by phase (dof, point) and of all (dof,), NaN where unknown."""
    dofs = len(batches.spec.dof_names)
    cycles: dict[int, list[FloatArray]] = {}
    for person, rows in _stretches(batches):
        parts = cycles.setdefault(person, [])
        parts.append(_sums(batches, rows))
    if not cycles:
        return np.full((dofs, POINTS), np.nan), np.full(dofs, np.nan)
    total = np.stack([np.sum(parts, axis=0) for parts in cycles.values()])  # (person, 2, dof, bins + all + strides)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = total[:, 0, :, :-1] / total[:, 1, :, :-1]
    means[..., :-1][total[:, 1, :, -1] < LEAST_STRIDES] = np.nan
    means[..., :-1][~np.isfinite(means[..., :-1]).all(axis=2)] = np.nan
    whole = _mean_known(means)
    centres = (np.arange(POINTS - 1) + 0.5) / (POINTS - 1)
    around = np.concatenate([centres - 1, centres, centres + 1])
    points = np.linspace(0.0, 1.0, POINTS)
    cycle = np.stack([np.interp(points, around, np.tile(row, 3)) for row in whole[:, :-1]])
    return cycle, whole[:, -1]


def _sums(batches: Batches, rows: slice) -> FloatArray:
    """Return sums and counts (2, dof, ...) of a stretch: by phase, of all samples, and how many strides there are."""
    spec = batches.spec
    found = np.zeros((2, len(spec.dof_names), POINTS + 1))
    telling = _telling(spec)
    phases = {segment: phase_of(_swing_in(batches, rows, segment), spec.rate_hz) for segment in set(telling.values())}
    for column, dof in enumerate(spec.dof_names):
        valid = batches.labelled[rows, column]
        angle = np.where(valid, batches.targets[rows, column], 0.0).astype(np.float64)
        phase = phases[telling[dof]]
        use = valid & np.isfinite(phase)
        bins = np.minimum((phase[use] * (POINTS - 1)).astype(np.int64), POINTS - 2)
        found[0, column, : POINTS - 1] = np.bincount(bins, angle[use], POINTS - 1)
        found[1, column, : POINTS - 1] = np.bincount(bins, minlength=POINTS - 1)
        found[:, column, POINTS - 1] = angle.sum(), valid.sum()
        found[1, column, POINTS] = np.count_nonzero(np.diff(phase[use]) < 0) + bool(use.any())
    return found


def _swing_in(batches: Batches, rows: slice, segment: str) -> FloatArray:
    """Return how fast a segment swings in a stretch of windows."""
    names = batches.spec.channel_names
    gyr = batches.signals[rows][:, [names.index(f"{segment}/gyr/{axis}") for axis in "xyz"]].astype(np.float64)
    return swing_of(gyr)


def _stretches(batches: Batches) -> Iterator[tuple[int, slice]]:
    """Yield (person, rows) of windows that overlap: they were cut from one stretch of time."""
    if not len(batches):
        return
    apart = np.diff(batches.starts) >= batches.spec.window
    apart |= np.diff(batches.starts) < 0
    apart |= np.diff(batches.person) != 0
    edges = [0, *(np.flatnonzero(apart) + 1).tolist(), len(batches)]
    for first, last in pairwise(edges):
        stop = int(batches.starts[last - 1]) + batches.spec.window
        yield int(batches.person[first]), slice(int(batches.starts[first]), stop)


def _mean_known(values: FloatArray) -> FloatArray:
    """Return the mean over the first axis of what is known, NaN where nothing is."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(known, values, 0.0).sum(axis=0) / known.sum(axis=0))
