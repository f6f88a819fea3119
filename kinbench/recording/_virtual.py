"""What was done to make virtual sensors ride on a measured body: one description, written into the history.

Four parts, after WIMUSim (Oishi et al. 2025): the body and its geometry, the dynamics (how position becomes
acceleration, and how soft tissue moves), the placements, and the hardware. The defaults are an ideal sensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from kinbench.recording._key import Placement

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Body:
    """Where the segments' geometry comes from.

    ``geometry``: ``measured`` (from the person's markers), ``body_model`` (the person's own shape) or
    ``mean_template`` (a population mean, scaled to ``height_m``). ``length_m`` gives, per segment, the distance from
    its origin (the point that ``segment_position`` follows) to its far joint, along which sites are placed.
    """

    geometry: str
    length_m: Mapping[str, float] = field(default_factory=dict)
    height_m: float | None = None
    source: str = ""


@dataclass(frozen=True)
class SoftTissue:
    """How skin and muscle move a sensor on its segment: a damped oscillator driven by the segment's acceleration.

    ``natural_hz`` and ``damping`` (ratio) are the oscillator's; ``limit_m`` bounds its travel; ``wobble_deg_per_m``
    turns the sensor with it, rolling it over the segment. Without one the sensor is screwed to the bone.
    """

    natural_hz: float = 12.0
    damping: float = 0.3
    limit_m: float = 0.02
    wobble_deg_per_m: float = 200.0


@dataclass(frozen=True)
class Dynamics:
    """How motion becomes signals. ``cutoff_hz``: zero-phase low-pass of positions and orientations, None for none."""

    cutoff_hz: float | None = None
    soft_tissue: SoftTissue | None = None


@dataclass(frozen=True)
class VirtualPlacement:
    """One virtual sensor: what a laboratory would write down of it, and where it really is.

    ``placement.rotation`` is what is believed and stored. ``offset_m`` is its place in segment axes, from the point
    that the reference's ``segment_position`` follows. ``misalignment_deg`` is a rotation vector in segment axes: the
    sensor is really turned by ``exp(misalignment) @ placement.rotation``.
    """

    placement: Placement
    offset_m: Vector = (0.0, 0.0, 0.0)
    misalignment_deg: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Hardware:
    """What a device makes of what it feels. The defaults are an ideal one at the motion's own rate.

    Noise densities are those of white noise, one-sided (m s-2 Hz-0.5, rad s-1 Hz-0.5): a sample's standard deviation
    is the density times sqrt(rate / 2). Bias walks are random walks per root second (m s-2 s-0.5, rad s-1 s-0.5);
    ``acc_bias`` and ``gyr_bias`` the standard deviation of a constant bias per axis; ranges clip (m s-2, rad s-1).
    ``rate_hz`` is the device's own, None the motion's. ``seed`` makes the draw, and is part of what was done.
    """

    rate_hz: float | None = None
    acc_noise_density: float = 0.0
    gyr_noise_density: float = 0.0
    acc_bias: float = 0.0
    gyr_bias: float = 0.0
    acc_bias_walk: float = 0.0
    gyr_bias_walk: float = 0.0
    acc_range: float | None = None
    gyr_range: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class VirtualImu:
    """A request to make the imu stream from the reference's ``segment_quat`` and ``segment_position``.

    ``left_out`` says, by name, which sensors were asked for and cannot be had on this body, and why.
    """

    body: Body
    placements: tuple[VirtualPlacement, ...]
    dynamics: Dynamics = Dynamics()
    hardware: Hardware = Hardware()
    left_out: Mapping[str, str] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Return the description as JSON-plain values, for the history."""
        sensors = {
            virtual.placement.sensor: {
                "segment": virtual.placement.segment,
                "offset_m": list(virtual.offset_m),
                "misalignment_deg": list(virtual.misalignment_deg),
            }
            for virtual in self.placements
        }
        return {
            "body": {**asdict(self.body), "length_m": dict(self.body.length_m)},
            "dynamics": asdict(self.dynamics),
            "placements": sensors,
            "hardware": asdict(self.hardware),
            **({"left_out": dict(self.left_out)} if self.left_out else {}),
        }
