"""The grammar of ``kinbench.yaml``: what a lab must say of its recordings so that no Python is needed.

The models below are the grammar; ``adapters/README.md`` explains it. Every scalar is text until a key asks for a
number, so YAML's own guesses (``no`` as false, ``0012`` as octal, dates) cannot change a sensor's name. Mistakes are
told all at once, each with its line, its key and, where a key or word is misspelt, the likely right one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    NonNegativeInt,
    PositiveFloat,
    ValidationError,
    field_validator,
    model_validator,
)

from kinbench import schema
from kinbench.errors import UsageError, suggest
from kinbench_adapters._formats.delimited import DELIMITERS
from kinbench_adapters._formats.line_pattern import compile_pattern
from kinbench_adapters._manifest_text import ManifestText, load_text, mistakes

FloatArray = NDArray[np.float64]

FILE_NAME = "kinbench.yaml"
EXAMPLE = """\
kinbench: 1
dataset: {id: my_lab, version: "1", licence: none stated, redistributable: false}
activity: walking

imu:
  files: "{subject}/{trial}_{sensor}.csv"
  rate_hz: 60
  acc: {columns: [ax, ay, az], unit: g, kind: specific_force}
  gyr: {columns: [gx, gy, gz], unit: deg/s}
  sensors:
    thigh: {segment: thigh_r, axes: {x: proximal, z: right}}
    shank: {segment: shank_r, axes: {x: proximal, z: right}}

reference:
  files: "{subject}/{trial}_angles.csv"
  rate_hz: 60
  tier: optical_marker_ik
  convention: opensim_coordinate
  unit: deg
  angles: {knee_flexion_r: knee}

sync: {method: estimated}
"""
"""The shortest complete manifest, for people who have no manual at hand."""

# --- words -----------------------------------------------------------------------------------------------------------

ACC_UNITS = {"m/s2": "m s-2", "m/s^2": "m s-2", "m s-2": "m s-2", "g": "g", "mg": "mg"}
GYR_UNITS = {"rad/s": "rad s-1", "rad s-1": "rad s-1", "deg/s": "deg s-1", "deg s-1": "deg s-1"}
MAG_UNITS = {"uT": "uT", "a.u.": "1", "1": "1", "mG": "mG", "gauss": "gauss"}
TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}

DIRECTIONS: dict[str, tuple[float, float, float]] = {
    "anterior": (1.0, 0.0, 0.0), "posterior": (-1.0, 0.0, 0.0), "proximal": (0.0, 1.0, 0.0),
    "distal": (0.0, -1.0, 0.0), "right": (0.0, 0.0, 1.0), "left": (0.0, 0.0, -1.0),
}  # fmt: skip
"""The six ways an axis may point, as vectors along segment X anterior, Y proximal, Z right (schema 1)."""

READERS: dict[str, tuple[str, ...]] = {
    "mt_manager": (),
    "delimited": (
        "delimiter", "decimal", "skip_rows", "skip_until", "header", "rows_after_header", "nan", "encoding", "comment",
    ),
    "line_pattern": ("pattern", "skip_lines", "encoding"),
    "npy": (),
    "mat": (),
    "sto": (),
    "trc": (),
}  # fmt: skip
"""The readers and the options each takes."""

SUFFIXES = {
    ".csv": "delimited", ".tsv": "delimited", ".npy": "npy", ".mat": "mat", ".sto": "sto", ".mot": "sto", ".trc": "trc",
}  # fmt: skip
SELF_CLOCKED = ("mt_manager", "sto", "trc")
"""Readers whose files hold their own clock."""

FIELDS = ("subject", "session", "trial", "sensor")


def _one_of(words: Sequence[str]) -> Any:
    def check(value: object) -> object:
        if not isinstance(value, str) or value not in words:
            hint = suggest(value, list(words)) if isinstance(value, str) else f" Known: {', '.join(words)}."
            raise ValueError(f"expected one of {len(words)} words, got '{value}'.{hint}")
        return value

    return check


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _short(key: str) -> Any:
    """Let a plain word stand for a mapping whose only entry is ``key``."""
    return BeforeValidator(lambda value: {key: value} if isinstance(value, str) else value)


def _identifier(value: object) -> object:
    if not isinstance(value, str) or not schema.IDENTIFIER.fullmatch(value):
        raise ValueError(f"expected letters, digits and . _ + - (at most 64), got '{value}'")
    return value


def _span(value: tuple[float, float]) -> tuple[float, float]:
    if not value[0] < value[1]:
        raise ValueError(f"expected [start, stop] with start before stop, got {list(value)}")
    return value


def _known_segment(value: str) -> str:
    name = schema.SEGMENT_ALIASES.get(value.lower(), value)
    if name not in schema.SEGMENTS:
        raise ValueError(f"unknown segment '{value}'.{suggest(value, schema.SEGMENTS)}")
    return name


def _known_dof(name: str) -> str:
    if name not in schema.DOFS:
        raise ValueError(f"unknown DoF '{name}'.{suggest(name, tuple(schema.DOFS))}")
    return name


Columns = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]
Identifier = Annotated[str, BeforeValidator(_identifier)]
SegmentName = Annotated[str, AfterValidator(_known_segment)]
DofName = Annotated[str, AfterValidator(_known_dof)]
SpanS = tuple[FiniteFloat, FiniteFloat]


def _activity(value: object) -> object:
    if isinstance(value, str) and value.startswith("other:") and len(value) > len("other:"):
        return value
    if not isinstance(value, str) or value not in schema.ACTIVITIES:
        raise ValueError(f"unknown activity '{value}'; write 'other:{value}' if none of {', '.join(schema.ACTIVITIES)}")
    return value


Activity = Annotated[str, BeforeValidator(_activity)]


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


# --- the dataset and its people --------------------------------------------------------------------------------------


class DatasetFacts(_Facts):
    """Who may use the data, and how they are cited."""

    id: Identifier = Field(description="a short name: letters, digits and . _ + -")
    version: str = Field(description="the version of the data, in quotes")
    licence: str = Field(description="an SPDX name, or words such as 'none stated'")
    redistributable: bool = Field(description="true or false: may the data be passed on")
    title: str = ""
    description: str = ""
    access: str = ""
    citation: str = ""
    url: str = ""


class Person(_Facts):
    """One row of the person table. ``alias`` is the same human being in another dataset, ``dataset/subject``."""

    sex: Annotated[str, BeforeValidator(_one_of(schema.SEXES))] = "unknown"
    age_y: PositiveFloat | None = None
    height_m: PositiveFloat | None = None
    mass_kg: PositiveFloat | None = None
    leg_length_m: PositiveFloat | None = None
    condition: str = "unknown"
    affected_side: str = "unknown"
    alias: str | None = None


# --- files, columns, clocks ------------------------------------------------------------------------------------------


class Reader(_Facts):
    """How the files are written."""

    name: Annotated[str, BeforeValidator(_one_of(tuple(READERS)))]
    delimiter: Annotated[str, BeforeValidator(_one_of(tuple(DELIMITERS)))] | None = None
    decimal: Annotated[str, BeforeValidator(_one_of((".", ",")))] = "."
    skip_rows: NonNegativeInt = 0
    skip_until: str | None = None
    header: bool = True
    rows_after_header: NonNegativeInt = 0
    nan: Columns = ()
    comment: str | None = None
    encoding: str = "utf-8"
    pattern: str | None = None
    skip_lines: Columns = ()

    @field_validator("header", mode="before")
    @classmethod
    def _no_header(cls, value: object) -> object:
        return False if value == "none" else value

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        if value is not None:
            compile_pattern(value)
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            "".encode(value)
        except LookupError:
            raise ValueError(f"unknown encoding '{value}'; utf-8, utf-16, latin-1 and cp1252 are usual") from None
        return value

    @model_validator(mode="after")
    def _options(self) -> Reader:
        strange = sorted(self.model_fields_set - {"name"} - set(READERS[self.name]))
        if strange:
            options = ", ".join(READERS[self.name]) or "none"
            raise ValueError(f"reader '{self.name}' takes no '{strange[0]}'; its options: {options}")
        if self.name == "line_pattern" and self.pattern is None:
            raise ValueError("reader 'line_pattern' needs 'pattern', for example \"Acc: {acc_x}, {acc_y}, {acc_z}\"")
        return self


class TimeColumn(_Facts):
    """The column that holds the time. ``regular: false`` is a clock that stumbles: nothing is placed on a grid."""

    column: str
    unit: Literal["s", "ms", "us"]
    regular: bool = True


class _Files(_Facts):
    files: str | None = None
    reader: Annotated[Reader | None, _short("name")] = None
    rate_hz: PositiveFloat | None = Field(default=None, le=1e5)
    time: TimeColumn | None = None
    start_s: FiniteFloat | None = None

    @field_validator("files")
    @classmethod
    def _pattern(cls, value: str | None) -> str | None:
        if value is not None:
            _check_file_pattern(value)
        return value


def _check_file_pattern(value: str) -> None:
    for name in re.findall(r"\{([^{}]*)\}", value):
        if name not in FIELDS:
            raise ValueError(f"unknown field {{{name}}}.{suggest(name, FIELDS)}")
    if value.startswith("/") or ".." in value.split("/") or "\\" in value:
        raise ValueError("expected a path below root with / between folders, without '..'")


class Acceleration(_Facts):
    """Acceleration: three columns or one column of three; ``{sensor}`` in a name stands for the sensor's key."""

    columns: Columns
    unit: Annotated[str, BeforeValidator(_one_of(tuple(ACC_UNITS)))]
    kind: Annotated[str, BeforeValidator(_one_of(schema.ACC_KINDS))]
    files: str | None = None


class AngularRate(_Facts):
    """Angular rate, columns as for the acceleration."""

    columns: Columns
    unit: Annotated[str, BeforeValidator(_one_of(tuple(GYR_UNITS)))]
    files: str | None = None


class MagneticField(_Facts):
    """Magnetic field, columns as for the acceleration."""

    columns: Columns
    unit: Annotated[str, BeforeValidator(_one_of(tuple(MAG_UNITS)))]
    files: str | None = None


class SensorQuaternion(_Facts):
    """The device's own orientation: four columns, and in which world."""

    columns: Columns
    order: Literal["wxyz", "xyzw"]
    maps: Literal["sensor_to_world", "world_to_sensor"]
    up: Literal["x", "y", "z", "-x", "-y", "-z"]
    filter: str = "device filter"
    files: str | None = None


# --- sensors ---------------------------------------------------------------------------------------------------------


class Calibrate(_Facts):
    """Find the rotation from the sensor's own signals (seconds on the imu's clock)."""

    still_s: SpanS
    moving_s: SpanS | None = None
    axis: Literal["x", "y", "z", "-x", "-y", "-z"]
    toward: Literal["right", "anterior"]

    @field_validator("still_s", "moving_s")
    @classmethod
    def _ordered(cls, value: SpanS | None) -> SpanS | None:
        return None if value is None else _span(value)


class Rotation(_Facts):
    """How a sensor is turned: at most one of ``axes``, ``matrix``, ``calibrate``; none is 'unknown'."""

    axes: Mapping[str, str] | None = None
    matrix: tuple[tuple[FiniteFloat, ...], ...] | None = None
    calibrate: Calibrate | None = None
    rotation_origin: Annotated[str, BeforeValidator(_one_of(schema.ROTATION_ORIGINS))] | None = None

    @field_validator("axes")
    @classmethod
    def _axes(cls, value: Mapping[str, str] | None) -> Mapping[str, str] | None:
        if value is not None:
            matrix_from_axes(value)
        return value

    @field_validator("matrix")
    @classmethod
    def _matrix(cls, value: tuple[tuple[float, ...], ...] | None) -> tuple[tuple[float, ...], ...] | None:
        if value is not None:
            _check_rotation(value)
        return value

    @model_validator(mode="after")
    def _one_way(self) -> Rotation:
        given = [name for name in ("axes", "matrix", "calibrate") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of axes, matrix, calibrate, not {' and '.join(given)}")
        if self.rotation_origin is not None and given not in (["axes"], ["matrix"]):
            raise ValueError("rotation_origin says where 'axes' or 'matrix' came from; there is neither")
        return self

    @property
    def stated(self) -> bool:
        """Whether a rotation, or a way to find it, is given."""
        return any(value is not None for value in (self.axes, self.matrix, self.calibrate))

    def resolved(self) -> tuple[FloatArray | None, str]:
        """Return (matrix, origin): 'nominal' for axes, 'declared' for a matrix, unless ``rotation_origin`` says."""
        if self.axes is not None:
            return matrix_from_axes(self.axes), self.rotation_origin or "nominal"
        if self.matrix is not None:
            return np.array(self.matrix, dtype=np.float64), self.rotation_origin or "declared"
        return None, "unknown"


class Sensor(Rotation):
    """One sensor: the segment it sits on, where, and how it is turned."""

    segment: SegmentName
    site: Annotated[str, BeforeValidator(_one_of(schema.SITES))] = "unknown"
    level: Annotated[str, BeforeValidator(_one_of(schema.LEVELS))] = "unknown"
    attachment: Annotated[str, BeforeValidator(_one_of(schema.ATTACHMENTS))] | None = None
    device: str = "unknown"
    quality: Columns = ()


def matrix_from_axes(axes: Mapping[str, str]) -> FloatArray:
    """Return (3, 3), source axes to segment axes, from words such as ``{x: proximal, z: right}``.

    Two axes suffice, the third follows by the right-hand rule. Raises ``ValueError`` (one sentence).
    """
    for name, word in axes.items():
        if name not in schema.AXES:
            raise ValueError(f"unknown axis '{name}'; expected x, y, z")
        if word not in DIRECTIONS:
            raise ValueError(f"axis {name}: unknown direction '{word}'.{suggest(word, tuple(DIRECTIONS))}")
    if len(axes) < 2:
        raise ValueError("expected at least two of x, y, z (the third follows)")
    known = {name: np.array(DIRECTIONS[word]) for name, word in axes.items()}
    for index, name in enumerate(schema.AXES):
        second, third = schema.AXES[(index + 1) % 3], schema.AXES[(index + 2) % 3]
        if name not in known:
            known[name] = np.cross(known[second], known[third])
    matrix: FloatArray = np.column_stack([known[name] for name in schema.AXES])
    if abs(np.linalg.det(matrix) - 1.0) > 1e-9:
        told = ", ".join(f"{name} {word}" for name, word in axes.items())
        raise ValueError(f"{told} is no right-handed set of perpendicular axes; one of them points the other way")
    return matrix


def _check_rotation(rows: Sequence[Sequence[float]]) -> None:
    if len(rows) != 3 or any(len(row) != 3 for row in rows):
        raise ValueError("expected three rows of three numbers (v_segment = matrix @ v_sensor)")
    matrix = np.array(rows, dtype=np.float64)
    if np.abs(matrix @ matrix.T - np.eye(3)).max() > 1e-3 or np.linalg.det(matrix) < 0:
        raise ValueError("is no right-handed rotation: rows must be unit vectors at right angles, determinant +1")


class Imu(_Files):
    """The sensors' files, signals and places."""

    counter: str | None = None
    acc: Acceleration | None = None
    gyr: AngularRate | None = None
    mag: MagneticField | None = None
    quat: SensorQuaternion | None = None
    sensors: dict[str, Sensor] = Field(min_length=1)

    @property
    def signals(self) -> dict[str, Acceleration | AngularRate | MagneticField | SensorQuaternion]:
        """The signals that are declared, by the schema's names."""
        found = {"acc": self.acc, "gyr": self.gyr, "mag": self.mag, "quat": self.quat}
        return {name: value for name, value in found.items() if value is not None}

    @model_validator(mode="after")
    def _complete(self) -> Imu:
        problems = [
            *_signal_problems(self),
            *(_vendor_problems(self) if self.reader is not None and self.reader.name == "mt_manager" else ()),
            *(_counter_problems(self) if self.counter is not None else ()),
            *_clock_problems(self),
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _signal_problems(imu: Imu) -> Iterator[str]:
    for name, signal in imu.signals.items():
        width = 4 if name == "quat" else 3
        if len(signal.columns) not in (1, width):
            yield f"{name}.columns: expected {width} columns, or one that holds {width} numbers"
        if signal.files is not None:
            _check_file_pattern(signal.files)
        pattern = signal.files or imu.files or ""
        if len(imu.sensors) > 1 and "{sensor}" not in pattern + "".join(signal.columns):
            yield f"{name}: write {{sensor}} in the file pattern or in the column names, to tell the sensors apart"
    if imu.files is None and (not imu.signals or any(s.files is None for s in imu.signals.values())):
        yield "'files' is missing: the pattern of the imu files, such as '{subject}/{trial}.csv'"


def _vendor_problems(imu: Imu) -> Iterator[str]:
    """MT Manager text says its columns, units and clock itself."""
    strange = [*imu.signals, *(name for name in ("counter", "time") if getattr(imu, name) is not None)]
    if strange:
        yield f"reader 'mt_manager' knows its columns, units and counter; leave out {', '.join(strange)}"
    if imu.files is not None and "{sensor}" not in imu.files:
        yield "reader 'mt_manager' reads one file per sensor; write {sensor} in 'files'"


def _counter_problems(imu: Imu) -> Iterator[str]:
    if imu.rate_hz is None or imu.time is not None:
        yield "'counter' numbers the samples, so it needs 'rate_hz', and no 'time'"
    if imu.files is None or "{sensor}" not in imu.files or any(s.files for s in imu.signals.values()):
        yield "'counter' joins one file per sensor; write {sensor} in 'files', and no 'files' under a signal"


def _clock_problems(facts: _Files) -> Iterator[str]:
    """A file without a clock of its own needs one from the manifest, and a stumbling clock has no rate."""
    if facts.time is not None and not facts.time.regular and facts.rate_hz is not None:
        yield "a clock with 'regular: false' is measured; leave out 'rate_hz'"
    pattern = facts.files or next((s.files for s in getattr(facts, "signals", {}).values() if s.files), None)
    if pattern is None:
        return
    reader = facts.reader.name if facts.reader is not None else SUFFIXES.get(Path(pattern).suffix.lower())
    if reader not in (None, *SELF_CLOCKED) and facts.rate_hz is None and facts.time is None:
        yield "the files hold no clock that is known by itself; give 'rate_hz' or 'time'"


# --- the reference ---------------------------------------------------------------------------------------------------


class Angle(_Facts):
    """One joint coordinate: value = sign * column + zero_deg."""

    column: str
    sign: Literal["1", "-1", "+1"] = "1"
    zero_deg: FiniteFloat = 0.0


def _four(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(value) not in (1, 4):
        raise ValueError("expected 4 columns, or one that holds 4 numbers")
    return value


class SegmentOrientation(_Facts):
    """One segment's quaternion and how its axes lie in the body."""

    columns: Annotated[Columns, AfterValidator(_four)]
    axes: Mapping[str, str]

    @field_validator("axes")
    @classmethod
    def _axes(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        matrix_from_axes(value)
        return value


class ReferenceQuaternion(_Facts):
    """How the reference's quaternions are written, and the world they live in."""

    order: Literal["wxyz", "xyzw"]
    maps: Literal["segment_to_world", "world_to_segment"]
    up: Literal["x", "y", "z", "-x", "-y", "-z"]
    forward: Literal["x", "y", "z", "-x", "-y", "-z"] | None = None

    @model_validator(mode="after")
    def _different(self) -> ReferenceQuaternion:
        if self.forward is not None and self.forward[-1] == self.up[-1]:
            raise ValueError(f"up '{self.up}' and forward '{self.forward}' lie along one axis")
        return self


class MaskedSpan(_Facts):
    """Seconds of the reference (on its own clock) that are not to be believed."""

    span_s: SpanS
    reason: str
    dofs: Annotated[tuple[DofName, ...], BeforeValidator(_as_tuple)] = ()

    @field_validator("span_s")
    @classmethod
    def _ordered(cls, value: SpanS) -> SpanS:
        return _span(value)


class Reference(_Files):
    """The measured truth: joint angles, or segment orientations from which they follow.

    Without ``files`` it stands in the imu's own files, on the imu's clock.
    """

    tier: Annotated[str, BeforeValidator(_one_of(schema.TIERS))] = Field(
        description=f"how it was measured: {', '.join(schema.TIERS)}"
    )
    convention: Annotated[str, BeforeValidator(_one_of(schema.CONVENTIONS))] | None = None
    unit: Literal["deg", "rad"] | None = None
    angles: dict[DofName, Annotated[Angle, _short("column")]] = Field(default_factory=dict)
    quat: ReferenceQuaternion | None = None
    segments: dict[SegmentName, SegmentOrientation] = Field(default_factory=dict)
    optional: bool = False
    masks: tuple[MaskedSpan, ...] = ()

    @model_validator(mode="after")
    def _either(self) -> Reference:
        if bool(self.angles) == bool(self.segments):
            raise ValueError("expected either 'angles' or 'segments'")
        if self.angles and (self.convention is None or self.unit is None):
            raise ValueError(f"'angles' need 'unit' (deg or rad) and 'convention' ({', '.join(schema.CONVENTIONS)})")
        if self.segments and self.quat is None:
            raise ValueError("'segments' need 'quat' (order, maps, up and, if known, forward)")
        problems = list(_clock_problems(self))
        if self.files is not None and "{sensor}" in self.files:
            problems.append("'files' cannot hold {sensor}: a reference belongs to the whole recording")
        own = (self.reader, self.rate_hz, self.time, self.start_s)
        if self.files is None and (self.optional or any(value is not None for value in own)):
            problems.append("without 'files' the reference stands in the imu's files, on the imu's clock")
        if problems:
            raise ValueError("; ".join(problems))
        return self


class SyncFacts(_Facts):
    """How the two clocks stand to each other (see ``kinbench.recording.Sync``)."""

    method: Literal["hardware", "same_clock", "declared", "estimated"]
    offset_s: FiniteFloat | None = None
    search_s: PositiveFloat = 2.0

    @model_validator(mode="after")
    def _offset(self) -> SyncFacts:
        if (self.method == "declared") != (self.offset_s is not None):
            raise ValueError("'offset_s' goes with method 'declared', and with no other")
        return self


class SensorOverride(Rotation):
    """What differs for one sensor in some recordings."""

    quality: Columns = ()


class Override(_Facts):
    """What differs for the recordings whose subject/session/trial fits the pattern; later patterns win."""

    activity: Activity | None = None
    sync: SyncFacts | None = None
    masks: tuple[MaskedSpan, ...] = ()
    sensors: dict[str, SensorOverride] = Field(default_factory=dict)
    quality: Columns = ()
    exclude: str | None = None


# --- the whole -------------------------------------------------------------------------------------------------------


class Manifest(_Facts):
    """All of ``kinbench.yaml``."""

    kinbench: Literal["1"] = Field(description="the version of this grammar: 1")
    dataset: DatasetFacts
    root: str | None = None
    simulation: bool = False
    fields: dict[Literal["subject", "session", "trial"], Identifier] = Field(default_factory=dict)
    activity: Activity = "unknown"
    people: dict[str, Person] = Field(default_factory=dict)
    imu: Imu
    reference: Reference | None = None
    sync: SyncFacts | None = None
    recordings: dict[str, Override] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits_together(self) -> Manifest:
        problems = [*_reference_problems(self), *_override_problems(self), *_mask_problems(self)]
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _reference_problems(manifest: Manifest) -> Iterator[str]:
    reference = manifest.reference
    if reference is None:
        return
    if reference.files is not None and manifest.sync is None:
        yield "'sync' is missing: say how the clocks of imu and reference stand to each other"
    if reference.files is None and "{sensor}" in (manifest.imu.files or "{sensor}"):
        yield "reference: 'files' is missing: the imu has one file per sensor, so the reference stands elsewhere"


def _override_problems(manifest: Manifest) -> Iterator[str]:
    for pattern, override in manifest.recordings.items():
        for sensor in override.sensors:
            if sensor not in manifest.imu.sensors:
                hint = suggest(sensor, tuple(manifest.imu.sensors))
                yield f"recordings '{pattern}': there is no sensor '{sensor}'.{hint}"
        if manifest.reference is None and (override.masks or override.sync is not None):
            yield f"recordings '{pattern}': masks and sync need a reference"


def _mask_problems(manifest: Manifest) -> Iterator[str]:
    """A mask for a DoF that the reference does not give would hide nothing."""
    reference = manifest.reference
    if reference is None or not reference.angles:
        return
    masks = {"reference": reference.masks} | {f"recordings '{p}'": o.masks for p, o in manifest.recordings.items()}
    for place, spans in masks.items():
        for name in sorted({dof for mask in spans for dof in mask.dofs} - set(reference.angles)):
            yield f"{place}: a mask names '{name}', which the reference does not give"


def read_manifest(path: Path) -> tuple[Manifest, Path]:
    """Return the manifest at ``path`` and the folder its file patterns are relative to.

    Raises ``UsageError`` with one line per mistake: ``kinbench.yaml:12: imu.sesnors: unknown key. Did you mean ...``.
    """
    text = load_text(path)
    try:
        manifest = Manifest.model_validate(text.plain)
    except ValidationError as error:
        raise UsageError(text.told(mistakes(error.errors(), Manifest, text.lines))) from None
    return manifest, _root(manifest, text)


def _root(manifest: Manifest, text: ManifestText) -> Path:
    folder = text.path.parent
    if manifest.root is None:
        return folder

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1]) or match[2]
        if not found:
            problem = f"root: the environment variable {match[1]} is not set; set it to the folder of the recordings"
            raise UsageError(text.told([(text.lines[("root",)], problem)]))
        return found

    root = folder / Path(re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", value, manifest.root)).expanduser()
    if not root.is_dir():
        raise UsageError(text.told([(text.lines[("root",)], f"root: there is no folder '{root}'")]))
    return root
