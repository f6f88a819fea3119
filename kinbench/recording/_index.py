"""What may be known of recordings without reading a signal."""

from __future__ import annotations

from dataclasses import dataclass

from kinbench.recording._key import Key


@dataclass(frozen=True)
class SensorEntry:
    """What an index knows of one sensor."""

    sensor: str
    segment: str
    side: str
    rotation_origin: str
    origin: str
    site: str = "unknown"
    level: str = "unknown"


@dataclass(frozen=True)
class IndexEntry:
    """What a store's index knows of one recording, without its signals."""

    key: Key
    person: str
    digest: str
    activity: str
    duration_s: float
    imu_rate_hz: float | None
    reference_rate_hz: float | None
    sensors: tuple[SensorEntry, ...]
    signals: tuple[str, ...]
    acc_kind: str | None
    dofs: tuple[str, ...]
    convention: str | None
    tier: str | None
    simulation: bool
    compat: str | None = None
    """The published error that this recording reproduces on request; no task takes it."""
    forces: tuple[str, ...] = ()
    """Components of ``schema.GROUND_FORCES`` that plates measured, in N."""
    moments: tuple[str, ...] = ()
    """Moments of ``schema.MOMENTS`` that the reference holds, in N m."""
    mass_kg: float | None = None
    """The person's mass, without which a force is no share of body weight."""


@dataclass(frozen=True)
class TaskEntry:
    """One recording as one task sees it; protocols get these, and never a signal.

    ``runs`` are the stretches [start, stop), in samples at the task's rate on the recording's own grid (sample 0 at
    imu time 0), on which the task is defined: inputs present, moving, reference valid for at least one leg.
    ``embargo`` is max(window, 1 s, filter support) in the same samples. ``strides`` are where strides begin, in the
    same samples and in order: one leg's foot contacts, told by the reference; empty where nothing tells them.
    ``sensor_origin`` is 'measured' where somebody wore all of the task's sensors, 'synthetic' where all were computed
    from motion, else 'mixed'.
    """

    key: Key
    person: str
    activity: str
    digest: str
    rate_hz: float
    window: int
    embargo: int
    runs: tuple[tuple[int, int], ...]
    convention: str | None = None
    simulation: bool = False
    upsampled: bool = False
    strides: tuple[int, ...] = ()
    sensor_origin: str = "measured"

    @property
    def samples(self) -> int:
        """Total samples in all runs."""
        return sum(stop - start for start, stop in self.runs)


@dataclass(frozen=True, order=True)
class Span:
    """Samples [start, stop) of one recording, at the task's rate on the recording's grid."""

    key: str
    start: int
    stop: int
