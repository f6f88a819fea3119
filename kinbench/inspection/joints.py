"""Which sensor sits where, and turned how: what the reference's joint rates say of sides, labels and axes together.

A flexion's rate is the distal segment's angular rate about Z minus the proximal's. Where the declared sensors do not
give it, every single mistake that could explain that is tried: two sensors exchanged, one sensor's axes exchanged or
turned round, every sign turned (time backwards). The one that mends all joints and spoils none is named; gravity helps
to choose among axes that turn alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import xarray as xr
from scipy.ndimage import binary_dilation
from scipy.signal import butter, sosfiltfilt

from kinbench.inspection.findings import BoolArray, FloatArray, Sensor, median_rate_hz, norm
from kinbench.inspection.inertia import IDENTITY, cause_of, signed_axes
from kinbench.schema import DOFS, Dof

CUTOFF_HZ = 6.0
GRID_LIMIT_HZ = 200.0
GUARD_S = 0.15
MAX_GAP_S = 0.1
LEAST_S = 3.0
"""As for the single joint (``mounting``): the low-pass of both rates, and what near holes does not count."""
SPOILT = 0.12
"""An explanation must not cost any joint more correlation than this."""
MENDED = 0.7
"""Where it explains, a joint's correlation reaches at least this, or nearly the best of all explanations."""
UPRIGHT = 0.15
"""How much gravity's cosine with the segment's Y counts beside correlations, per sensor that is read otherwise."""


@dataclass(frozen=True)
class Explanation:
    """A mistake that would explain joint rates: its cause, and r of each joint if it were mended."""

    cause: str
    r: Mapping[str, float]
    score: float


@dataclass(frozen=True)
class _Joint:
    dof: Dof
    proximal: int
    distal: int
    covariance: FloatArray
    shared: FloatArray
    power: float


class JointRates:
    """The rates of all flexions that two sensors can speak of, ready for any assignment of sensors and axes."""

    def __init__(self, sensors: Sequence[Sensor], reference: xr.Dataset) -> None:
        first: dict[str, Sensor] = {}
        for sensor in sensors:
            if sensor.gyr is not None and np.isfinite(sensor.rotation).all():
                first.setdefault(sensor.segment, sensor)
        self.sensors = list(first.values())
        self._up = [_gravity(sensor) for sensor in self.sensors]
        self._joints = list(self._measured(reference))

    @property
    def names(self) -> list[str]:
        """The flexions there are, by DoF."""
        return [joint.dof.name for joint in self._joints]

    def _measured(self, reference: xr.Dataset) -> Iterator[_Joint]:
        segments = [sensor.segment for sensor in self.sensors]
        time = np.asarray(reference["time"].values, dtype=np.float64)
        dofs = [str(name) for name in reference["dof"].values]
        wanted = [
            (column, DOFS[name]) for column, name in enumerate(dofs)
            if name in DOFS and not DOFS[name].component
            and DOFS[name].proximal in segments and DOFS[name].distal in segments
        ]  # fmt: skip
        if not wanted or not all((np.diff(at) > 0).all() for at in (time, *(s.time for s in self.sensors))):
            return
        rates = [median_rate_hz(time), *(sensor.rate_hz for sensor in self.sensors)]
        rate_hz = min(GRID_LIMIT_HZ, max(rates))
        cutoff_hz = min(CUTOFF_HZ, 0.4 * min(rates))
        start = max(time[0], *(s.time[0] + s.clock_offset_s for s in self.sensors))
        stop = min(time[-1], *(s.time[-1] + s.clock_offset_s for s in self.sensors))
        grid = np.arange(start, stop, 1.0 / rate_hz)
        if grid.size < LEAST_S * rate_hz or grid.size < 50:
            return
        moved, heard = [], []
        for sensor in self.sensors:
            assert sensor.gyr is not None  # chosen so
            values, known = _low_passed(sensor.time + sensor.clock_offset_s, sensor.gyr, grid, rate_hz, cutoff_hz)
            moved.append(values)
            heard.append(known)
        inputs = np.concatenate(moved, axis=1)
        for column, dof in wanted:
            angle = np.radians(_known(reference, column))[:, None]
            flexion, seen = _low_passed(time, angle, grid, rate_hz, cutoff_hz)
            ends = segments.index(dof.proximal), segments.index(dof.distal)
            both = seen & heard[ends[0]] & heard[ends[1]]
            if both.sum() < LEAST_S * rate_hz:
                continue
            target = np.gradient(flexion[:, 0], 1.0 / rate_hz)[both]
            target = target - target.mean()
            given = np.nan_to_num(inputs[both])
            given = given - given.mean(axis=0)
            yield _Joint(dof, *ends, given.T @ given, given.T @ target, float(target @ target))

    def r(self, worn: Sequence[int] | None = None, z: Mapping[int, FloatArray] | None = None) -> dict[str, float]:
        """Return the correlation of each flexion's rate with its sensors'.

        ``worn[i]`` is the sensor whose data stand at place i, ``z[i]`` the segment's Z in the axes of those data.
        """
        found = {}
        for joint in self._joints:
            weights = np.zeros(3 * len(self.sensors))
            for place, sign in ((joint.distal, joint.dof.sign), (joint.proximal, -joint.dof.sign)):
                data = place if worn is None else worn[place]
                axis = self.sensors[place].rotation[2]
                weights[3 * data : 3 * data + 3] += sign * (axis if z is None else z.get(place, axis))
            power = float(weights @ joint.covariance @ weights) * joint.power
            found[joint.dof.name] = float(weights @ joint.shared) / np.sqrt(power) if power > 0 else 0.0
        return found

    def slopes(self) -> dict[str, float]:
        """Return the slope of each flexion's rate over its sensors', as declared; 0 where they say nothing of Z."""
        found = {}
        for joint in self._joints:
            weights = np.zeros(3 * len(self.sensors))
            for place, sign in ((joint.distal, joint.dof.sign), (joint.proximal, -joint.dof.sign)):
                weights[3 * place : 3 * place + 3] += sign * self.sensors[place].rotation[2]
            power = float(weights @ joint.covariance @ weights)
            found[joint.dof.name] = float(weights @ joint.shared) / power if power > 0 else 0.0
        return found

    def explain(self, *, forward: bool = False) -> Explanation | None:
        """Return the single mistake that best explains the joints which the declared sensors do not, if one does.

        ``forward``: it is known that time runs forwards. Else every joint turned round speaks for time running
        backwards, as it does for the two sensors of a single joint exchanged.
        """
        asis = self.r()
        found = [
            other for other in self._mistakes(asis)
            if _mends(asis, other.r) and not (forward and other.cause == "reversal")
        ]  # fmt: skip
        return max(found, key=lambda other: other.score) if found else None

    def _mistakes(self, asis: Mapping[str, float]) -> Iterator[Explanation]:
        count = len(self.sensors)
        places = range(count)
        total = sum(asis.values())
        yield Explanation("reversal", turned := {name: -r for name, r in asis.items()}, sum(turned.values()) - total)
        for one, other in combinations(places, 2):
            worn = list(places)
            worn[one], worn[other] = other, one
            r = self.r(worn)
            upright = UPRIGHT * (
                self._upright(one, other) + self._upright(other, one)
                - self._upright(one, one) - self._upright(other, other)
            )  # fmt: skip
            yield Explanation(self._exchange(one, other), r, sum(r.values()) - total + upright)
        pairs = [(self._place(s.segment[:-1] + "r"), i) for i, s in enumerate(self.sensors) if s.segment[-2:] == "_l"]
        both = [(right, left) for right, left in pairs if right is not None]
        if len(both) > 1:
            worn = list(places)
            for right, left in both:
                worn[right], worn[left] = left, right
            r = self.r(worn)
            yield Explanation("side:all", r, sum(r.values()) - total)
        for place in places:
            if not any(place in (joint.proximal, joint.distal) for joint in self._joints):
                continue
            for axes in signed_axes():
                if axes == IDENTITY:
                    continue
                read = self.sensors[place].rotation @ np.array(axes, dtype=np.float64).T
                r = self.r(z={place: read[2]})
                upright = UPRIGHT * (self._cosine(read, place) - self._cosine(self.sensors[place].rotation, place))
                mirrored = 0.02 if np.linalg.det(np.array(axes)) < 0 else 0.0
                name = f"{cause_of(axes)}:{self.sensors[place].name}"
                yield Explanation(name, r, sum(r.values()) - total + upright - mirrored)

    def _exchange(self, one: int, other: int) -> str:
        first, second = sorted((self.sensors[one].segment, self.sensors[other].segment))
        if first[:-2] == second[:-2]:
            return f"side:{first[:-2]}"
        return f"label:{first}<->{second}"

    def _place(self, segment: str) -> int | None:
        return next((i for i, sensor in enumerate(self.sensors) if sensor.segment == segment), None)

    def _upright(self, place: int, data: int) -> float:
        return self._cosine(self.sensors[place].rotation, data)

    def _cosine(self, rotation: FloatArray, data: int) -> float:
        up = self._up[data]
        return 0.0 if up is None else float(rotation[1] @ up)


def _mends(asis: Mapping[str, float], r: Mapping[str, float]) -> bool:
    """Whether these correlations mend every joint that is bad and spoil none."""
    bad = [name for name, value in asis.items() if value < MENDED]
    return bool(bad) and all(r[name] >= max(MENDED, asis[name]) for name in bad) and all(
        r[name] >= asis[name] - SPOILT for name in asis
    )  # fmt: skip


def _gravity(sensor: Sensor) -> FloatArray | None:
    """Return the direction of mean specific force in sensor axes, None where there is none."""
    if sensor.acc is None or sensor.acc_kind != "specific_force":
        return None
    known = sensor.acc[np.isfinite(sensor.acc).all(axis=1)]
    if not len(known):
        return None
    mean: FloatArray = known.mean(axis=0)
    length = float(norm(mean))
    return mean / length if length > 0.5 * float(norm(known).mean()) else None


def _known(reference: xr.Dataset, column: int) -> FloatArray:
    """Return one angle in deg, NaN where masked."""
    angle = np.array(reference["angle"].values[:, column], dtype=np.float64)
    if "valid" in reference:
        mask = np.asarray(reference["valid"].values, dtype=bool)
        angle[~(mask if mask.ndim == 1 else mask[:, column])] = np.nan
    return angle


def _low_passed(
    time: FloatArray, values: FloatArray, grid: FloatArray, rate_hz: float, cutoff_hz: float
) -> tuple[FloatArray, BoolArray]:
    """Return signals (n, k) on the grid, low-passed, and which samples stand away from every hole."""
    known = np.isfinite(values).all(axis=1)
    at = time[known]
    if at.size < 20:
        return np.zeros((grid.size, values.shape[1])), np.zeros(grid.size, dtype=bool)
    sos = butter(4, cutoff_hz, fs=rate_hz, output="sos")
    between = np.stack([np.interp(grid, at, column) for column in values[known].T], axis=1)
    smooth: FloatArray = sosfiltfilt(sos, between, axis=0)
    after = np.clip(np.searchsorted(at, grid), 1, at.size - 1)
    hole = at[after] - at[after - 1] > max(MAX_GAP_S, 1.5 * float(np.median(np.diff(at))))
    hole |= (grid < at[0]) | (grid > at[-1])
    guard = np.ones(2 * round(GUARD_S * rate_hz) + 1, dtype=bool)
    ends = np.pad(hole, 1, constant_values=True)  # the filter knows nothing beyond them either
    return smooth, ~np.asarray(binary_dilation(ends, structure=guard)[1:-1], dtype=bool)
