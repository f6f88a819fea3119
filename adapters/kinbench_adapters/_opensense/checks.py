"""What the sensors' own signals say against their header and their mounting: the rate, and which way they are turned.

Nothing here knows a subject's number; every answer comes with the figure it rests on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench_adapters._formats.mt_manager import MtFile
from kinbench_adapters._opensense.mounts import MOUNTS, direction
from kinbench_adapters._opensense.pairing import Pair
from kinbench_adapters._opensense.sensors import MOVING_S, STILL_S, WornSensor

FloatArray = NDArray[np.float64]

# --- the rate --------------------------------------------------------------------------------------------------------

UPDATE_RATES_HZ = (20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 75.0, 80.0, 100.0, 120.0)
"""Rates that this make of sensor is set to; a measured one is taken for the nearest."""
RATE_TOLERANCE = 0.1
"""A header further than this from the measured rate is wrong: the settings lie further apart, the measurement not."""
NEAREST_TOLERANCE = 0.06
TURN_R = 0.9
LEAST_RATE_RAD_S = 0.1
LARGEST_TURN_RAD = 1.0
LEAST_STEPS = 30


@dataclass(frozen=True)
class Rate:
    """The rate believed, and the figures: by the header, and by rotation (Hz) per sensor and over all of them."""

    hz: float
    header_hz: float | None
    by_rotation_hz: float | None
    sensors: Mapping[str, float]

    def plain(self) -> dict[str, object]:
        """Return the figures, for a recording's history."""
        measured = None if self.by_rotation_hz is None else round(self.by_rotation_hz, 3)
        sensors = {name: round(hz, 3) for name, hz in self.sensors.items()}
        return {"hz": self.hz, "header_hz": self.header_hz, "by_rotation_hz": measured, "sensors": sensors}

    @property
    def flags(self) -> list[str]:
        """``rate_40hz`` where it is not the study's 100 Hz; ``rate_measured`` where the header is not believed."""
        flags = [] if self.hz == 100.0 else [f"rate_{self.hz:g}hz"]
        if self.header_hz != self.hz:
            said = "none" if self.header_hz is None else f"{self.header_hz:g}hz"
            flags.append(f"rate_measured:{self.by_rotation_hz:.1f}hz:header_{said}")
        return flags


def measured_rate(files: Mapping[str, MtFile], header_hz: float | None) -> Rate:
    """Return the rate of a trial's packets: the header's, unless the sensors' turning says otherwise.

    From one packet to the next a sensor turns by the angle between its orientations, and by its angular rate times one
    packet's time; their ratio is that time. Raises ``DataError`` where there is no header and nothing to measure, or
    where what is measured is near no rate of the device.
    """
    sensors = {name: hz for name, file in files.items() if (hz := _rate_by_rotation(file)) is not None}
    by_rotation = float(np.median(list(sensors.values()))) if sensors else None
    if by_rotation is None:
        if header_hz is None:
            raise DataError(
                "The exports tell no update rate, and none can be measured from them; write a manifest that declares "
                "it and convert them with the lab adapter."
            )
        return Rate(header_hz, header_hz, None, {})
    if header_hz is not None and abs(by_rotation / header_hz - 1) <= RATE_TOLERANCE:
        return Rate(header_hz, header_hz, by_rotation, sensors)
    nearest = min(UPDATE_RATES_HZ, key=lambda rate: abs(by_rotation / rate - 1))
    if abs(by_rotation / nearest - 1) > NEAREST_TOLERANCE:
        said = "tells no update rate" if header_hz is None else f"says {header_hz:g} Hz"
        told = ", ".join(f"{name} {hz:.1f}" for name, hz in sensors.items())
        raise DataError(
            f"The header {said}, and by orientation against angular rate it is {by_rotation:.1f} Hz ({told}), which is "
            "no rate of this device; a unit or a column is not what its name says."
        )
    return Rate(nearest, header_hz, by_rotation, sensors)


def _rate_by_rotation(file: MtFile) -> float | None:
    """Return packets a second by orientation against angular rate; None where the sensor cannot tell."""
    if "quat" not in file.columns or "gyr" not in file.columns:
        return None
    turn, gyr = file.columns["quat"], file.columns["gyr"]
    next_packet = (np.diff(file.counter) == 1) & np.isfinite(turn[1:] + turn[:-1]).all(axis=1)
    next_packet &= np.isfinite(gyr[1:] + gyr[:-1]).all(axis=1)
    angles = _turns(turn[:-1][next_packet], turn[1:][next_packet])
    rates = 0.5 * (gyr[1:] + gyr[:-1])[next_packet]
    small = np.linalg.norm(angles, axis=1) < LARGEST_TURN_RAD
    angles, rates = angles[small], rates[small]
    power = float(np.sum(rates**2))
    if len(rates) < LEAST_STEPS or power < LEAST_RATE_RAD_S**2 * len(rates):
        return None
    both = float(np.sum(angles * rates))
    if both < TURN_R * np.sqrt(power * float(np.sum(angles**2))):
        return None
    return power / both


def _turns(before: FloatArray, after: FloatArray) -> FloatArray:
    """Return the rotation vectors (n, 3), in sensor axes, from one orientation (n, 4) to the other."""
    w0, v0, w1, v1 = before[:, :1], before[:, 1:], after[:, :1], after[:, 1:]
    scalar = w0 * w1 + (v0 * v1).sum(axis=1, keepdims=True)
    vector = w0 * v1 - w1 * v0 - np.cross(v0, v1)
    vector = np.where(scalar < 0, -vector, vector)
    sine = np.linalg.norm(vector, axis=1, keepdims=True)
    half = np.arctan2(sine, np.abs(scalar))
    return np.asarray(vector * np.where(sine > 0, 2 * half / np.where(sine > 0, sine, 1.0), 2.0))


# --- which way a sensor is turned ------------------------------------------------------------------------------------

INVERTED_DEG = 120.0
SIDEWAYS_DEG = 60.0
"""How far gravity at rest lies from where the mounting has up: beyond the first the case is upside down, beyond the
second it lies on its side. In the study's published recording it is 5 to 33 degrees."""
STILL_ACC_M_S2 = 0.5
AXIS_LEAN = 0.15
"""Least lean of a shank's swing that decides. On the shanks of three people in other published recordings, two walking
and one at mixed tasks, it is 0.21 to 0.29."""
LEAST_MOVING_S = 8.0
TRAVEL_OVER_S = 1.0
TRAVEL_M_S = 0.4
LEAST_TRAVEL_S = 3.0
TRAVEL_R = 0.5
TRAVEL_COSINE = 0.5
"""A way counts where a plate goes at 0.4 m/s over a second, for three seconds in all; it decides where it is the same
way in the sensor's axes most of the time, and the declared right within 60 degrees of the right or the left of it."""


@dataclass(frozen=True)
class Turned:
    """What speaks against a declared mounting: ``up_deg`` gravity from the declared up, None where nobody stood still;
    ``right`` +1 where the declared right is right, -1 where it is left, 0 where nobody can tell, ``by`` what figure.
    """

    up_deg: float | None
    right: int = 0
    by: str = "none"
    figure: float = 0.0

    def plain(self) -> dict[str, object]:
        """Return the figures, for a recording's history."""
        up_deg = None if self.up_deg is None else round(self.up_deg, 1)
        return {"up_deg": up_deg, "right": self.right, "by": self.by, "figure": round(self.figure, 3)}

    @property
    def upside_down(self) -> bool:
        """Whether gravity says that the case hangs the other way up."""
        return self.up_deg is not None and self.up_deg > INVERTED_DEG

    def flag(self, segment: str) -> str | None:
        """Say what is wrong: ``inverted`` or ``sideways`` with the segment and what shows it, or None."""
        causes = [f"up_{self.up_deg:.0f}deg"] if self.upside_down else []
        causes += [f"{self.by}_{self.figure:+.2f}"] if self.right < 0 else []
        if causes:
            return ":".join((f"inverted:{segment}", *causes))
        if self.up_deg is not None and self.up_deg > SIDEWAYS_DEG:
            return f"sideways:{segment}:up_{self.up_deg:.0f}deg"
        return None


def how_turned(sensor: WornSensor, pair: Pair | None, *, walking: bool) -> Turned:
    """Hold a sensor's mounting against gravity while standing, and against the way its wearer goes.

    The way is seen by the cameras where the sensor has a plate, else told by the swing of a walking shank.
    """
    up = None if sensor.acc is None else _up_at_rest(sensor.acc[_within(sensor.time, STILL_S)])
    up_deg = None if up is None else _gravity_deg(sensor.segment, up)
    if up is not None and pair is not None:
        right, figure = _travel_sign(sensor.segment, up, pair)
        if right:
            return Turned(up_deg, right, "travel", figure)
    if up is not None and walking and sensor.gyr is not None and sensor.segment.startswith("shank"):
        moving = _within(sensor.time, MOVING_S)
        right, figure = _swing_sign(sensor.segment, up, sensor.gyr[moving], sensor.time)
        if right:
            return Turned(up_deg, right, "swing", figure)
    return Turned(up_deg)


def _within(time: FloatArray, span_s: tuple[float, float]) -> NDArray[np.bool_]:
    return np.asarray((time >= span_s[0]) & (time < span_s[1]))


def _up_at_rest(acc: FloatArray) -> FloatArray | None:
    """Return up (3,) in sensor axes, from specific force (n, 3) while standing; None where that is not still."""
    known = acc[np.isfinite(acc).all(axis=1)]
    if len(known) < 10 or known.std(axis=0).max() > STILL_ACC_M_S2:
        return None
    mean = known.mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean))


def _gravity_deg(segment: str, up: FloatArray) -> float:
    """Return how far gravity at rest lies from the mounting's up."""
    return float(np.degrees(np.arccos(np.clip(direction(MOUNTS[segment].up) @ up, -1.0, 1.0))))


def _swing_sign(segment: str, up: FloatArray, gyr: FloatArray, time: FloatArray) -> tuple[int, float]:
    """Return +1 where a walking shank turns fastest about its declared right, -1 about its left, 0 undecided; the lean.

    In gait a shank swings forward, about the axis that points to the right, faster than it ever turns back (mid-swing
    is found by that peak: Aminian et al. 2002, J. Biomech. 35:689-699). The lean is (fastest forward - fastest back) /
    their sum, about the principal axis of ``gyr`` (n, 3) with the sign that the mounting declares.
    """
    known = gyr[np.isfinite(gyr).all(axis=1)]
    if len(known) * float(np.median(np.diff(time))) < LEAST_MOVING_S:
        return 0, 0.0
    axis = np.linalg.eigh(known.T @ known)[1][:, -1]
    axis = axis - (axis @ up) * up
    axis *= np.sign(axis @ MOUNTS[segment].right) / np.linalg.norm(axis)
    back, forward = np.percentile(known @ axis, (0.5, 99.5))
    lean = float((forward + back) / (forward - back)) if forward > back else 0.0
    return (int(np.sign(lean)) if abs(lean) >= AXIS_LEAN else 0), lean


def _travel_sign(segment: str, up: FloatArray, pair: Pair) -> tuple[int, float]:
    """Return +1 where the declared right is right of the way a person goes, -1 where left, 0 undecided; the cosine.

    People go forward, so the mean of the way they go, in the sensor's own axes, points to the front.
    """
    step = max(1, round(TRAVEL_OVER_S / pair.step_s))
    if len(pair.origin) < 2 * step:
        return 0, 0.0
    way = (pair.origin[step:] - pair.origin[:-step]) / (step * pair.step_s)
    way[:, 1] = 0.0
    speed = np.linalg.norm(way, axis=1)
    middle = pair.orientation[step // 2 : step // 2 + len(way)]
    going = (speed > TRAVEL_M_S) & np.isfinite(speed) & np.isfinite(middle).all(axis=(1, 2))
    if going.sum() * pair.step_s < LEAST_TRAVEL_S:
        return 0, 0.0
    ahead = np.einsum("nij,ni->nj", middle[going], way[going] / speed[going, None]).mean(axis=0)
    if np.linalg.norm(ahead) < TRAVEL_R:
        return 0, 0.0
    right = np.cross(ahead, up)
    cosine = float(right @ MOUNTS[segment].right / np.linalg.norm(right))
    return (int(np.sign(cosine)) if abs(cosine) >= TRAVEL_COSINE else 0), cosine
