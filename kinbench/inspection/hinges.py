"""The rate by joints: how long a joint's axis is in the gyros on either side.

A flexion's rate is a sum of the components of two angular rates along the joint's axis, whose direction in either
sensor is found by least squares (as for the lag, ``kinbench.alignment``). Wherever the sensors are strapped, the axis
so found has length 1: another length, the same in both, is a wrong rate or scale. It needs no gravity.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from kinbench.inspection.findings import Finding, FloatArray, Sensor, median_rate_hz, norm
from kinbench.inspection.joints import GRID_LIMIT_HZ, known_angle
from kinbench.inspection.rates import CUTOFF_HZ, low_passed, slices
from kinbench.schema import DOFS

LEAST_S = 8.0
LAG_SAMPLES = 4
NEARLY = 2.0
"""Lags up to which so many times as much is left are not told apart from the best: it lies between two samples."""
EXPLAINED = 0.99
"""Share of a rate's power that free axes must explain before their length means something. In sound recordings it is
0.93 to 1.05 where they explain 99 % (runners, a squat, four walks), and 0.8 to 1.4, at times alike, where they
explain 98 %."""
LENGTHS = (0.87, 1.15)
SOUND_LENGTHS = (0.93, 1.08)
ALIKE = 0.1
"""A rate or a scale of all gyros lengthens all axes alike."""
UNITS = (0.2, 5.0)
"""Beyond, it is a unit that is wrong."""


@dataclass(frozen=True)
class Hinge:
    """A joint's rate (n,) and the angular rates (n, 3) of the sensors on either side, rad/s, at the same moments."""

    target: FloatArray
    given: tuple[FloatArray, FloatArray]

    def fit(self) -> tuple[float, tuple[float, float]]:
        """Return the share of the rate's power that free axes leave, and the lengths of both axes.

        A reference that is some samples late leaves more, and lengthens or shortens axes that turn alike: so the lag
        that leaves least is taken out. Where the sample before or after leaves hardly more but changes a length,
        no length means anything, and all is said to be left.
        """
        fits = [self._fit(lag) for lag in range(-LAG_SAMPLES - 1, LAG_SAMPLES + 2)]
        best = min(range(1, len(fits) - 1), key=lambda at: fits[at][0])
        near = [fit for fit in fits[best - 1 : best + 2] if fit[0] <= NEARLY * fits[best][0]]
        beside = np.array([lengths for _, lengths in near])
        if (beside.max(axis=0) > (1 + 2 * ALIKE) * beside.min(axis=0)).any():
            return 1.0, fits[best][1]
        return fits[best]

    def _fit(self, lag: int) -> tuple[float, tuple[float, float]]:
        late, early = slices(lag)
        target, given = self.target[late], [rates[early] for rates in self.given]
        matrix = np.column_stack([*given, np.ones(len(target))])
        weights = np.asarray(np.linalg.lstsq(matrix, target, rcond=None)[0], dtype=np.float64)
        power = float(((target - target.mean()) ** 2).sum())
        left = float(((target - matrix @ weights) ** 2).sum()) / power
        return left, (float(norm(weights[:3])), float(norm(weights[3:6])))


def hinges(sensors: Sequence[Sensor], reference: xr.Dataset) -> Iterator[Hinge]:
    """Yield every flexion with a gyro on either side that both were seen for long enough."""
    first: dict[str, Sensor] = {}
    for sensor in sensors:
        if sensor.gyr is not None:
            first.setdefault(sensor.segment, sensor)
    time = np.asarray(reference["time"].values, dtype=np.float64)
    for column, name in enumerate(str(name) for name in reference["dof"].values):
        dof = DOFS.get(name)
        if dof is None or dof.component or dof.proximal not in first or dof.distal not in first:
            continue
        ends = first[dof.proximal], first[dof.distal]
        clocks = [sensor.time + sensor.clock_offset_s for sensor in ends]
        rates = [median_rate_hz(time), *(sensor.rate_hz for sensor in ends)]
        if min(rates) <= 0 or not all((np.diff(at) > 0).all() for at in (time, *clocks)):
            continue
        rate_hz = min(GRID_LIMIT_HZ / 2, max(rates))
        grid = np.arange(max(time[0], *(c[0] for c in clocks)), min(time[-1], *(c[-1] for c in clocks)), 1 / rate_hz)
        if grid.size < LEAST_S * rate_hz:
            continue
        cutoff_hz = min(CUTOFF_HZ, 0.4 * min(rates))
        angle, seen = low_passed(time, np.radians(known_angle(reference, column))[:, None], grid, rate_hz, cutoff_hz)
        heard = [
            low_passed(clock, sensor.gyr, grid, rate_hz, cutoff_hz)
            for clock, sensor in zip(clocks, ends, strict=True) if sensor.gyr is not None
        ]  # fmt: skip
        known = seen & heard[0][1] & heard[1][1]
        if known.sum() < LEAST_S * rate_hz:
            continue
        target = np.gradient(angle[:, 0], 1 / rate_hz)
        if float(target[known].std()) == 0:
            continue
        yield Hinge(target[known], (heard[0][0][known], heard[1][0][known]))


def check_hinges(sensors: Sequence[Sensor], reference: xr.Dataset | None) -> Iterator[Finding]:
    """Check the rate by the length of joint axes."""
    if reference is None or "angle" not in reference:
        return
    found = list(hinges(sensors, reference))
    if found:
        yield _rate(found)


def _rate(found: Sequence[Hinge]) -> Finding:
    check, where = "rate by joints", "imu.time"
    fits = [hinge.fit() for hinge in found]
    lengths = np.array([length for left, both in fits if left < 1 - EXPLAINED for length in both])
    if not lengths.size:
        return Finding(check, "NOT ASSESSED", where, f"no joint's rate is explained to {EXPLAINED:.0%} by its gyros")
    factor = float(np.median(lengths))
    told = f"the joints' rates are {factor:.2f} times what the gyros say about their axes"
    if LENGTHS[0] <= factor <= LENGTHS[1]:
        if SOUND_LENGTHS[0] <= factor <= SOUND_LENGTHS[1]:
            return Finding(check, "PASS", where, told, factor)
        return Finding(check, "NOT ASSESSED", where, f"{told}: too near to 1", factor)
    if lengths.max() / lengths.min() > 1 + 2 * ALIKE or not UNITS[0] < factor < UNITS[1]:
        return Finding(check, "NOT ASSESSED", where, f"{told}, but not all alike, or in another unit", factor)
    mend = f"the true rate is {1 / factor:.3g} times the one declared, or all gyros' scale is off"
    return Finding(check, "FAIL", where, f"{told}; the rate looks wrong", factor, f"rate:{factor:.3g}", mend)
