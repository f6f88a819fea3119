"""Gravity as the sensors feel it while the person stands still, and what it says of their axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kinbench import kinematics
from kinbench_adapters._movi.mounts import Mount

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

WINDOW = 60
"""Half a second at the suit's rate: longer than a footfall, shorter than any pause between two motions."""
STILL_RAD_S = 0.15
"""Root mean square rate below which a worn sensor is still: quiet standing sways by a tenth of it."""
STILL_G = 0.1
TILT_LIMIT_DEG = 35.0
"""Straps on slanted limbs are turned by up to 30 degrees from their nominal axes; a wrong axis is off by 90."""
CLEAR_DEG = 10.0
"""How much further off another reading must be to be ruled out. The nearest two of the foot are 30 degrees apart."""
QUAT_LIMIT_DEG = 15.0
"""A fused orientation knows gravity within a few degrees; that of a bone, and not of its sensor, does not."""
_UP = np.array([0.0, 1.0, 0.0])


@dataclass(frozen=True)
class Rest:
    """``up`` (w, k, 3): where up is in each sensor's axes, in each of the ``starts`` (w,) of still windows.

    ``standing`` says that the cameras saw the person upright in all of them.
    """

    starts: NDArray[np.intp]
    up: FloatArray
    standing: bool

    @property
    def mean_up(self) -> FloatArray:
        """The middle direction of each sensor, (k, 3), unit vectors; NaN where the person never rests."""
        if not len(self.up):
            return np.full((self.up.shape[1], 3), np.nan)
        middle = np.median(self.up, axis=0)
        unit: FloatArray = middle / np.linalg.norm(middle, axis=-1, keepdims=True)
        return unit


def find_rest(acc: FloatArray, gyr: FloatArray, upright: BoolArray | None) -> Rest:
    """Return the windows in which all sensors are still, of these those ``upright`` (n,) where there are any.

    ``acc`` (n, k, 3) in g, ``gyr`` (n, k, 3) in rad s-1. Still: the root mean square of every sensor's rate below
    ``STILL_RAD_S``, and its mean acceleration within ``STILL_G`` of 1 g.
    """
    count = len(acc) // WINDOW
    sensors = acc.shape[1]
    felt = acc[: count * WINDOW].reshape(count, WINDOW, sensors, 3)
    turned = gyr[: count * WINDOW].reshape(count, WINDOW, sensors, 3)
    mean = felt.mean(axis=1)
    size = np.linalg.norm(mean, axis=-1)
    rate = np.sqrt((turned**2).sum(axis=-1).mean(axis=1))
    with np.errstate(invalid="ignore"):
        still = ((rate < STILL_RAD_S) & (np.abs(size - 1) < STILL_G)).all(axis=1)
    standing = still.copy()
    if upright is not None:
        seen = upright[: count * WINDOW]
        full = np.zeros(count * WINDOW, dtype=bool)
        full[: len(seen)] = seen
        standing &= full.reshape(count, WINDOW).all(axis=1)
    known = upright is not None and bool(standing.any())
    chosen = np.flatnonzero(standing if known else still)
    return Rest(chosen * WINDOW, mean[chosen] / size[chosen][..., None], known)


@dataclass(frozen=True)
class Tilt:
    """What gravity says of one sensor: its ``rotation``, which ``reading`` of its axes that is, and how far off."""

    rotation: FloatArray
    reading: str
    off_deg: float | None
    others_deg: Mapping[str, float] = field(default_factory=dict)

    @property
    def unclear(self) -> bool:
        """Whether another reading fits gravity about as well, so that the one taken is the published one at most."""
        return self.off_deg is not None and any(off < self.off_deg + CLEAR_DEG for off in self.others_deg.values())

    @property
    def doubted(self) -> bool:
        """Whether the person stood still and the sensor's up lay further off than a strap explains."""
        return self.off_deg is not None and self.off_deg > TILT_LIMIT_DEG


def tilts(mounted: Sequence[Mount], rest: Rest) -> list[Tilt]:
    """Return, per sensor, the reading of its axes that gravity bears out: the published one, unless another clearly."""
    return [_tilt(mount, up) for mount, up in zip(mounted, rest.mean_up, strict=True)]


def _tilt(mount: Mount, up: FloatArray) -> Tilt:
    first = next(iter(mount.rotations))
    if not np.isfinite(up).all():
        return Tilt(mount.rotations[first], first, None)
    off = {name: round(_angle_deg(rotation @ up, _UP), 2) for name, rotation in mount.rotations.items()}
    best = min(off, key=lambda name: off[name])
    chosen = best if off[best] <= TILT_LIMIT_DEG and off[first] >= off[best] + CLEAR_DEG else first
    others = {name: angle for name, angle in off.items() if name != chosen}
    return Tilt(mount.rotations[chosen], chosen, off[chosen], others)


def quaternion_world(acc: FloatArray, quat: FloatArray, rest: Rest) -> tuple[str | None, str]:
    """Return the axis of the quaternions' world that points up, and what was found; None where there is none.

    ``quat`` (n, k, 4), w first, is held to turn sensor axes into a world: then ``R acc`` points the same way for every
    sensor at rest, along one of that world's axes, within ``QUAT_LIMIT_DEG``.
    """
    if not len(rest.starts):
        return None, "nobody rests, so that gravity cannot say what the suit's own orientations turn into what"
    inside = (rest.starts[:, None] + np.arange(WINDOW)).reshape(-1)
    felt = acc[inside] / np.linalg.norm(acc[inside], axis=-1, keepdims=True)
    world = np.einsum("nkij,nkj->nki", kinematics.matrices(quat[inside]), felt)
    known = np.isfinite(world).all(axis=(1, 2))
    if not known.any():
        return None, "the suit's own orientations are missing at rest"
    mean = world[known].mean(axis=0)
    axis = int(np.argmax(np.abs(mean.mean(axis=0))))
    sign = float(np.sign(mean[:, axis].mean()) or 1.0)
    off = [_angle_deg(direction, sign * np.eye(3)[axis]) for direction in mean]
    name = ("" if sign > 0 else "-") + "xyz"[axis]
    if max(off) > QUAT_LIMIT_DEG:
        return None, (
            f"gravity at rest, turned by the suit's own orientations, lies up to {max(off):.0f} degrees from their "
            f"world's {name} axis, so that they are not those of the sensors"
        )
    return name, f"gravity at rest lies within {max(off):.1f} degrees of their world's {name} axis"


def _angle_deg(one: FloatArray, other: FloatArray) -> float:
    cosine = float(one @ other) / (float(np.linalg.norm(one)) * float(np.linalg.norm(other)))
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def plain(mounted: Sequence[Mount], found: Sequence[Tilt], rest: Rest) -> Mapping[str, object]:
    """Return what gravity said as JSON-plain values, for the history."""
    return {
        "still_windows": len(rest.starts),
        "window_s": WINDOW / 120.0,
        "seen_standing": rest.standing,
        "sensors": {
            mount.joint: {"axes": tilt.reading, "off_deg": tilt.off_deg, "other_axes_off_deg": dict(tilt.others_deg)}
            for mount, tilt in zip(mounted, found, strict=True)
        },
    }
