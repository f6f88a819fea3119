"""One recording: its key, its sensors' placement, the two signal streams, and the index entry without signals.

The same type serves before and after harmonisation. An adapter fills ``declared`` with what it knows of the raw
numbers (units stand in ``attrs["units"]``); ``kinbench.harmonisation`` acts on it and leaves it empty. Nothing else
multiplies or rotates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from kinbench import schema

FloatArray = NDArray[np.float64]


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key that puts ``trial2`` before ``trial10``."""
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.findall(r"\d+|\D+", text))


@dataclass(frozen=True)
class Key:
    """The name of a recording: short ASCII identifiers that print as a path and sort naturally."""

    dataset: str
    subject: str
    session: str
    trial: str

    def __str__(self) -> str:
        return f"{self.dataset}/{self.subject}/{self.session}/{self.trial}"

    def __lt__(self, other: Key) -> bool:
        return self.sort_key < other.sort_key

    @property
    def sort_key(self) -> tuple[Any, ...]:
        """The natural order of recordings: by dataset, subject, session, trial."""
        return tuple(natural(part) for part in (self.dataset, self.subject, self.session, self.trial))

    @property
    def person(self) -> str:
        """The person as ``dataset/subject``, where no alias says otherwise."""
        return f"{self.dataset}/{self.subject}"

    @classmethod
    def parse(cls, text: str) -> Key:
        """Return the key that prints as ``text``; raises ``ValueError`` unless it has four parts."""
        dataset, subject, session, trial = text.split("/")
        return cls(dataset, subject, session, trial)


@dataclass(frozen=True)
class Placement:
    """Where one sensor sits and how it is turned.

    ``rotation`` (3, 3) maps sensor axes to segment axes: ``v_segment = rotation @ v_sensor``. ``None`` is unknown.
    """

    sensor: str
    segment: str
    side: str
    site: str = "unknown"
    level: str = "unknown"
    rotation: FloatArray | None = None
    rotation_origin: str = "unknown"
    attachment: str = "unknown"
    origin: str = "measured"
    device: str = "unknown"
    clock_offset_s: float = 0.0


# --- what an adapter declares and the engine has yet to do ------------------------------------------------------------


@dataclass(frozen=True)
class Sync:
    """How the reference clock stands to the imu clock.

    ``method``: ``estimated`` (measure the shift between the two declared time axes, searching ``search_s`` both
    ways), ``declared`` (``offset_s`` is the fact), ``hardware`` or ``same_clock`` (the declared axes agree). The shift
    is measured and recorded in every case; it moves the reference only under ``estimated``.
    ``offset_s`` = start of the reference minus start of the imu, on the imu's clock; positive: reference later.
    """

    method: str
    offset_s: float | None = None
    search_s: float = 2.0


@dataclass(frozen=True)
class Calibration:
    """A request to find one sensor's rotation to its segment from its own signals.

    ``still_s`` (start, stop): gravity there gives the proximal axis. ``moving_s`` (start, stop) or None for the
    rest: the principal axis of angular rate there gives the flexion axis. Neither gives its sign: ``axis`` ('x',
    '-z', ...) is the sensor axis that nominally points to ``toward`` ('right', 'anterior'), and settles it.
    ``required`` False: where it fails the sensor is kept with an unknown rotation, and the recording says why.
    """

    still_s: tuple[float, float]
    moving_s: tuple[float, float] | None
    axis: str
    toward: str
    required: bool = True


@dataclass(frozen=True)
class Mask:
    """A span of the reference (all DoFs, or those named) that is not to be believed, on its declared clock."""

    start_s: float
    stop_s: float
    reason: str
    dofs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Declared:
    """Facts about raw numbers on which ``kinbench.harmonisation`` acts, in this order.

    ``imu_up`` is the axis of the quaternions' world that points up (``'z'`` for ENU). ``reference_up`` and
    ``reference_forward`` are those of the reference's world. ``segment_axes`` gives, per reference segment, the
    (3, 3) matrix from the source's segment axes to ours. ``dof_scale`` is the sign (or factor) and ``dof_zero_deg``
    what is added after it, per DoF.
    """

    imu_up: str | None = None
    quat_order: str = "wxyz"
    quat_maps: str = "sensor_to_world"
    reference_up: str | None = None
    reference_forward: str | None = None
    segment_quat_order: str = "wxyz"
    segment_quat_maps: str = "segment_to_world"
    segment_axes: Mapping[str, FloatArray] = field(default_factory=dict)
    dof_scale: Mapping[str, float] = field(default_factory=dict)
    dof_zero_deg: Mapping[str, float] = field(default_factory=dict)
    masks: tuple[Mask, ...] = ()
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    sync: Sync | None = None


# --- the recording ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recording:
    """Signals and metadata of one recording.

    ``imu``: dims ``time, sensor, axis, component``; variables of ``schema.VARIABLES``; placement coordinates along
    ``sensor``; optional ``valid (time, sensor)``. ``reference``: ``angle (time, dof)`` and/or
    ``segment_quat (time, segment, component)`` ...; optional ``valid (time, dof)``. Each has its own ``time``, in
    seconds.

    ``attrs`` (JSON-plain) holds ``schema.RECORDING_ATTRS``: among them ``person`` (the id of a human being over
    datasets, ``dataset/subject`` unless an alias is known), ``rates`` ({stream: {nominal_hz, measured_hz, regular,
    lost, ...}}), ``world`` (text), ``sync`` ({method, offset_s, shift_s, confidence, ...}), ``source`` (list of
    {name, sha256}), ``adapter`` ({name, version}), ``history`` (list of {step, ...parameters}), ``simulation``
    (bool), ``absent`` ({what: reason}), optional ``quality`` (list of flags), ``person_table`` (schema.PERSON_FIELDS).
    """

    key: Key
    imu: xr.Dataset | None
    reference: xr.Dataset | None
    attrs: Mapping[str, Any]
    declared: Declared | None = None

    def with_step(self, step: str, **parameters: Any) -> Recording:
        """Return a copy whose history ends with one more step. Parameters must be JSON-plain."""
        history = [*self.attrs.get("history", ()), {"step": step, **parameters}]
        return replace(self, attrs={**self.attrs, "history": history})

    def with_attrs(self, **attrs: Any) -> Recording:
        """Return a copy with these attributes set."""
        return replace(self, attrs={**self.attrs, **attrs})

    def validate(self) -> list[schema.Breach]:
        """Return every breach of the schema."""
        return schema.validate(self.imu, self.reference, self.attrs)


def imu_dataset(
    time: ArrayLike,
    placements: Sequence[Placement],
    signals: Mapping[str, tuple[ArrayLike, Mapping[str, Any]]],
    *,
    valid: ArrayLike | None = None,
) -> xr.Dataset:
    """Return an imu stream.

    ``time`` (n,) seconds; ``signals`` maps a variable name to (values (n, sensor, 3 or 4), attributes); ``valid``
    (n, sensor) bool. Attributes must hold at least ``units``. Values become float32, time float64.
    """
    dims = {name: schema.VARIABLES[name].dims for name in signals}
    data = xr.Dataset(
        {
            name: (dims[name], np.asarray(values, dtype=np.float32), dict(attrs))
            for name, (values, attrs) in signals.items()
        },
        coords={
            "time": ("time", np.asarray(time, dtype=np.float64), {"units": "s"}),
            "sensor": ("sensor", labels(p.sensor for p in placements)),
            "axis": ("axis", labels(schema.AXES)),
            "segment_axis": ("segment_axis", labels(("anterior", "proximal", "right"))),
            **{
                name: ("sensor", labels(getattr(p, name) for p in placements))
                for name in schema.PLACEMENT_COORDS
            },
            "rotation": (("sensor", "segment_axis", "axis"), _rotations(placements)),
            "clock_offset_s": (
                "sensor", np.array([p.clock_offset_s for p in placements], dtype=np.float64), {"units": "s"},
            ),
        },
    )  # fmt: skip
    if "quat" in signals:
        data = data.assign_coords(quat_component=("component", labels(schema.QUATERNION)))
    if valid is not None:
        data["valid"] = (("time", "sensor"), np.asarray(valid, dtype=bool))
    return data


def angle_dataset(
    time: ArrayLike,
    dofs: Sequence[str],
    angle: ArrayLike,
    *,
    units: str,
    convention: str,
    tier: str,
    valid: ArrayLike | None = None,
) -> xr.Dataset:
    """Return a reference stream of joint angles, ``angle`` (n, dof) in ``units`` (``deg`` or ``rad``)."""
    known = [schema.DOFS[name] for name in dofs]
    data = xr.Dataset(
        {
            "angle": (
                ("time", "dof"),
                np.asarray(angle, dtype=np.float32),
                {"units": units, "convention": convention, "tier": tier},
            )
        },
        coords={
            "time": ("time", np.asarray(time, dtype=np.float64), {"units": "s"}),
            "dof": ("dof", labels(dofs)),
            "joint": ("dof", labels(dof.joint for dof in known)),
            "side": ("dof", labels(dof.side for dof in known)),
            "positive": ("dof", labels(dof.positive for dof in known)),
        },
    )
    if valid is not None:
        data["valid"] = (("time", "dof"), np.asarray(valid, dtype=bool))
    return data


def segment_dataset(time: ArrayLike, segments: Sequence[str], quat: ArrayLike, *, tier: str) -> xr.Dataset:
    """Return a reference stream of segment orientations, ``quat`` (n, segment, 4)."""
    return xr.Dataset(
        {
            "segment_quat": (
                ("time", "segment", "component"),
                np.asarray(quat, dtype=np.float32),
                {"units": "1", "maps": "segment_to_world", "tier": tier},
            )
        },
        coords={
            "time": ("time", np.asarray(time, dtype=np.float64), {"units": "s"}),
            "segment": ("segment", labels(segments)),
            "quat_component": ("component", labels(schema.QUATERNION)),
        },
    )


def labels(values: Any) -> NDArray[Any]:
    """Return variable-length strings, which Zarr v3 can store without a warning."""
    return np.array([str(value) for value in values], dtype=np.dtypes.StringDType())


def _rotations(placements: Sequence[Placement]) -> FloatArray:
    unknown = np.full((3, 3), np.nan)
    return np.array([unknown if p.rotation is None else p.rotation for p in placements], dtype=np.float64).reshape(
        len(placements), 3, 3
    )


def placements_of(imu: xr.Dataset) -> list[Placement]:
    """Return the sensors of an imu stream, in its order."""
    found = []
    for index, sensor in enumerate(imu["sensor"].values):
        rotation = np.asarray(imu["rotation"].values[index], dtype=np.float64)
        found.append(
            Placement(
                sensor=str(sensor),
                rotation=rotation if np.isfinite(rotation).all() else None,
                clock_offset_s=float(imu["clock_offset_s"].values[index]),
                **{name: str(imu[name].values[index]) for name in schema.PLACEMENT_COORDS},
            )
        )
    return found


def with_rotations(imu: xr.Dataset, rotations: Mapping[str, tuple[FloatArray, str]]) -> xr.Dataset:
    """Return the stream with (matrix, origin) set for the sensors named."""
    matrices = imu["rotation"].values.copy()
    origins = [str(origin) for origin in imu["rotation_origin"].values]
    for index, sensor in enumerate(imu["sensor"].values):
        if str(sensor) in rotations:
            matrices[index], origins[index] = rotations[str(sensor)]
    return imu.assign_coords(rotation=(imu["rotation"].dims, matrices), rotation_origin=("sensor", labels(origins)))


# --- indexes: what may be known without reading a signal ----------


@dataclass(frozen=True)
class SensorEntry:
    """What an index knows of one sensor."""

    sensor: str
    segment: str
    side: str
    rotation_origin: str
    origin: str


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


@dataclass(frozen=True)
class TaskEntry:
    """One recording as one task sees it; protocols get these, and never a signal.

    ``runs`` are the stretches [start, stop), in samples at the task's rate on the recording's own grid (sample 0 at
    imu time 0), on which the task is defined: inputs present, moving, reference valid for at least one leg.
    ``embargo`` is max(window, 1 s, filter support) in the same samples.
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
