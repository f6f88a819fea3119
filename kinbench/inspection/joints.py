"""Which sensor sits where, and turned how: what the reference's joint rates say of sides, labels and axes together.

A flexion's rate is the distal segment's angular rate about Z minus the proximal's. Where the declared sensors do not
give it, every single mistake that could explain that is tried: two sensors exchanged, one sensor's axes exchanged or
turned round, every sign turned (time backwards), an angle's sign turned, two angles exchanged. The one that mends all
joints and spoils none is named; gravity helps to choose among axes that turn alike.

Of a single joint, two sensors exchanged, its sign turned and time turned all look the same. There the sign of a knee's
own angle decides, then which of the two turns faster, then what is the smaller mistake; what is left open is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import xarray as xr

from kinbench.inspection.findings import BoolArray, FloatArray, Sensor, median_rate_hz, norm
from kinbench.inspection.inertia import IDENTITY, cause_of, signed_axes
from kinbench.inspection.rates import CUTOFF_HZ, low_passed
from kinbench.schema import DOFS, Dof

GRID_LIMIT_HZ = 200.0
LEAST_S = 3.0
STILL_RAD_S = 0.05
"""As for the single joint (``mounting``): the low-pass of both rates, and what near holes does not count."""
SPOILT = 0.12
"""An explanation must not cost any joint more correlation than this."""
MENDED = 0.7
"""Where it explains, a joint's correlation reaches at least this, or nearly the best of all explanations."""
UPRIGHT = 0.15
"""How much gravity's cosine with the segment's Y counts beside correlations, per sensor that is read otherwise."""


FASTER = 0.05
"""How much it counts, beside correlations, that of two exchanged sensors the upper would turn faster by a fifth."""
BENT = 0.05
"""The same, that a knee's angle is mostly negative, for its sign."""
SMALLER = {"sign": 0.0, "side": -0.01, "label": -0.01, "reversal": -0.02, "sign:all": -0.05}
"""What counts for mistakes that explain alike: one of several angles, sensors or signs rather than all of time."""
OPEN = 0.05
"""Explanations of another kind that score so nearly as well are told with the best."""


@dataclass(frozen=True)
class Explanation:
    """A mistake that would explain joint rates: its cause, and r of each joint if it were mended.

    ``rivals`` are causes of other kinds that would explain them as well.
    """

    cause: str
    r: Mapping[str, float]
    score: float
    rivals: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The first word of the cause."""
        return self.cause.partition(":")[0]


@dataclass(frozen=True)
class _Joint:
    dof: Dof
    proximal: int
    distal: int
    covariance: FloatArray
    shared: FloatArray
    power: float
    rms: float
    bent: float
    """The 95th and 5th percentile of the angle together, deg: a knee's is positive."""
    target: FloatArray
    seen: BoolArray
    heard: BoolArray


class JointRates:
    """The rates of all flexions that two sensors can speak of, ready for any assignment of sensors and axes."""

    def __init__(self, sensors: Sequence[Sensor], reference: xr.Dataset) -> None:
        first: dict[str, Sensor] = {}
        for sensor in sensors:
            if sensor.gyr is not None and np.isfinite(sensor.rotation).all():
                first.setdefault(sensor.segment, sensor)
        self.sensors = list(first.values())
        self._up = [_gravity(sensor) for sensor in self.sensors]
        self._inputs: FloatArray = np.zeros((0, 0))
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
            values, known = low_passed(sensor.time + sensor.clock_offset_s, sensor.gyr, grid, rate_hz, cutoff_hz)
            moved.append(values)
            heard.append(known)
        inputs = self._inputs = np.concatenate(moved, axis=1)
        for column, dof in wanted:
            angle = np.radians(known_angle(reference, column))[:, None]
            flexion, seen = low_passed(time, angle, grid, rate_hz, cutoff_hz)
            ends = segments.index(dof.proximal), segments.index(dof.distal)
            both = seen & heard[ends[0]] & heard[ends[1]]
            if both.sum() < LEAST_S * rate_hz:
                continue
            rate = np.gradient(flexion[:, 0], 1.0 / rate_hz)
            target = rate[both] - rate[both].mean()
            bent = float(np.degrees(np.percentile(flexion[both], (5, 95)).sum()))
            given = np.nan_to_num(inputs[both])
            given = given - given.mean(axis=0)
            heard_both = heard[ends[0]] & heard[ends[1]]
            yield _Joint(dof, *ends, given.T @ given, given.T @ target, float(target @ target),
                         float(np.sqrt(np.mean(target**2))), bent, rate, seen,
                         heard_both)  # fmt: skip

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

    def free(self) -> dict[str, float]:
        """Return the correlation of each flexion's rate with its two sensors' gyros on any axes, where it moves."""
        found = {}
        for joint in self._joints:
            if joint.rms < STILL_RAD_S:
                continue
            at = [3 * place + axis for place in (joint.proximal, joint.distal) for axis in range(3)]
            gram, shared = joint.covariance[np.ix_(at, at)], joint.shared[at]
            gram = gram + (1e-9 * np.trace(gram) + 1e-12) * np.eye(len(at))
            explained = float(shared @ np.linalg.solve(gram, shared))
            found[joint.dof.name] = float(np.sqrt(min(1.0, explained / joint.power))) if joint.power > 0 else 0.0
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
        backwards.
        """
        asis = self.r()
        if all(value >= MENDED for value in asis.values()):
            return None
        found = [
            other for other in self._mistakes(asis)
            if _mends(asis, other.r) and not (forward and other.cause == "reversal")
        ]  # fmt: skip
        if not found:
            return None
        best = max(found, key=lambda other: other.score)
        rivals = dict.fromkeys(
            other.cause for other in found if other.kind != best.kind and other.score > best.score - OPEN
        )
        return replace(best, rivals=tuple(rivals))

    def _mistakes(self, asis: Mapping[str, float]) -> Iterator[Explanation]:
        count = len(self.sensors)
        places = range(count)
        total = sum(asis.values())
        yield from self._signs(asis)
        yield from self._angles(asis)
        for one, other in combinations(places, 2):
            worn = list(places)
            worn[one], worn[other] = other, one
            r = self.r(worn)
            upright = UPRIGHT * (
                self._upright(one, other) + self._upright(other, one)
                - self._upright(one, one) - self._upright(other, other)
            )  # fmt: skip
            yield Explanation(self._exchange(one, other), r, sum(r.values()) - total + upright + SMALLER["label"]
                              + self._faster(one, other))  # fmt: skip
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

    def _signs(self, asis: Mapping[str, float]) -> Iterator[Explanation]:
        """Yield the signs of one angle, of one in both legs, and of all turned, and of time."""
        groups = {name: [name] for name in asis}
        for name in asis:
            if name[-2:] in ("_r", "_l"):
                groups.setdefault(name[:-2], [other for other in asis if other[:-2] == name[:-2]])
        bent = {joint.dof.name: joint.bent for joint in self._joints if joint.dof.name.startswith("knee")}
        for group, names in groups.items():
            knees = [bent[name] for name in names if name in bent]
            if any(value > 0 for value in knees):
                continue  # a knee that bends as it can is not turned
            r = {name: -value if name in names else value for name, value in asis.items()}
            gain = sum(r.values()) - sum(asis.values())
            yield Explanation(f"sign:{group}", r, gain + SMALLER["sign"] + (BENT if knees else 0.0))
        turned = {name: -value for name, value in asis.items()}
        gain = sum(turned.values()) - sum(asis.values())
        yield Explanation("reversal", turned, gain + SMALLER["reversal"])
        if not any(value > 0 for value in bent.values()):
            yield Explanation("sign:all", turned, gain + SMALLER["sign:all"])

    def _angles(self, asis: Mapping[str, float]) -> Iterator[Explanation]:
        """Yield two angles exchanged, and two in both legs."""
        crossed = {
            (first.dof.name, second.dof.name): {
                first.dof.name: self._crossed(first, second), second.dof.name: self._crossed(second, first)
            }
            for first, second in combinations(self._joints, 2)
        }  # fmt: skip
        for (first, second), r in crossed.items():
            told = {**asis, **r}
            gain = sum(told.values()) - sum(asis.values())
            yield Explanation(_angles(first, second), told, gain)
            others = first[:-1] + "rl"[first[-1] == "r"], second[:-1] + "rl"[second[-1] == "r"]
            if first[-2:] == second[-2:] == "_r" and others in crossed:
                told |= crossed[others]
                gain = sum(told.values()) - sum(asis.values())
                yield Explanation(_angles(first[:-2], second[:-2]), told, gain)

    def _crossed(self, joint: _Joint, other: _Joint) -> float:
        """Return the correlation of another joint's angle's rate with this joint's sensors, as declared."""
        both = joint.heard & other.seen
        if both.sum() < 50:
            return 0.0
        said = np.zeros(int(both.sum()))
        for place, sign in ((joint.distal, joint.dof.sign), (joint.proximal, -joint.dof.sign)):
            said += sign * self._inputs[both, 3 * place : 3 * place + 3] @ self.sensors[place].rotation[2]
        if said.std() == 0 or other.target[both].std() == 0:
            return 0.0
        return float(np.corrcoef(said, other.target[both])[0, 1])

    def _faster(self, one: int, other: int) -> float:
        """Return what speaks for exchanging two neighbours: each segment of a leg turns faster than the one above."""
        for joint in self._joints:
            if {joint.proximal, joint.distal} == {one, other} and not joint.dof.proximal.startswith("pelvis"):
                power = np.diag(joint.covariance)
                upper, lower = (float(power[3 * at : 3 * at + 3].sum()) for at in (joint.proximal, joint.distal))
                if min(upper, lower) > 0:
                    return FASTER * float(np.clip(0.5 * np.log(upper / lower) / np.log(1.2), -1.0, 1.0))
        return 0.0

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


def _angles(one: str, other: str) -> str:
    """Return the name of two angles' exchange."""
    first, second = sorted((one, other))
    return f"side:{first[:-2]}" if first[:-2] == second[:-2] else f"label:{first}<->{second}"


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


def known_angle(reference: xr.Dataset, column: int) -> FloatArray:
    """Return one angle in deg, NaN where masked."""
    angle = np.array(reference["angle"].values[:, column], dtype=np.float64)
    if "valid" in reference:
        mask = np.asarray(reference["valid"].values, dtype=bool)
        angle[~(mask if mask.ndim == 1 else mask[:, column])] = np.nan
    return angle
