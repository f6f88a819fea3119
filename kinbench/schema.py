"""THE vocabulary of a converted recording: dims, variables, units, segments, sites, DoFs, version.

A dimension or a unit is one line here. ``validate`` lists every breach of a recording at once. World and segment
axes, and the positive direction of every DoF, follow the ISB (Wu et al. 2002; Grood & Suntay 1983) and are written
out in ``DOFS``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Literal

import numpy as np
import xarray as xr

SCHEMA_VERSION = "1"
GRAVITY = 9.80665
"""Standard gravity in m s-2. At rest a specific-force accelerometer reads +GRAVITY along up."""

Stream = Literal["imu", "reference"]

# --- closed vocabularies ---------------------------------------------------------------------------------------------

SEGMENTS = ("trunk", "pelvis", "thigh_r", "shank_r", "foot_r", "thigh_l", "shank_l", "foot_l")
"""Segment axes on both sides: X anterior, Y proximal, Z to the subject's right; right-handed."""

SEGMENT_ALIASES: dict[str, str] = {
    "torso": "trunk", "thorax": "trunk", "sternum": "trunk", "chest": "trunk", "sacrum": "pelvis", "waist": "pelvis",
    "femur_r": "thigh_r", "femur_l": "thigh_l", "tibia_r": "shank_r", "tibia_l": "shank_l",
    "calcn_r": "foot_r", "calcn_l": "foot_l", "toes_r": "foot_r", "toes_l": "foot_l",
    "uleg_right": "thigh_r", "uleg_left": "thigh_l", "lleg_right": "shank_r", "lleg_left": "shank_l",
    "r_upleg": "thigh_r", "l_upleg": "thigh_l", "r_lowleg": "shank_r", "l_lowleg": "shank_l",
    "foot_right": "foot_r", "foot_left": "foot_l",
}  # fmt: skip
"""Vendors' and OpenSim's words for the segments, in lower case."""

SIDES = ("left", "right", "midline")
SITES = (
    "anterior", "posterior", "lateral", "medial", "anteromedial", "dorsum", "heel", "sternum", "sacrum", "unknown",
)  # fmt: skip
LEVELS = ("proximal", "mid", "distal", "unknown")
ATTACHMENTS = ("strap", "tape", "plate", "suit", "virtual", "unknown")
ROTATION_ORIGINS = ("declared", "static", "functional", "optical", "nominal", "unknown")
SENSOR_ORIGINS = ("measured", "synthetic")
ACC_KINDS = ("specific_force", "gravity_removed", "rapp2021", "tan2024")
"""The last two exist to reproduce published errors, on request: Rapp's doubly rotated accelerometer (minus specific
force, turned from sensor to world instead of back), and Tan's accelerations left in g. No task takes them."""
TIERS = (
    "optical_marker_ik", "optical_6dof", "markerless_video", "body_model_fit", "encoder", "imu_fusion", "simulation",
)  # fmt: skip
CONVENTIONS = (
    "isb_zxy",
    "calgary_clinic",
    "opensim_coordinate",
    "plug_in_gait",
    "visual3d",
    "axis_angle",
    "encoder_pin",
)
SYNC_METHODS = ("hardware", "same_clock", "declared", "estimated", "none")
ACTIVITIES = (
    "walking", "walking_treadmill", "running", "running_treadmill", "standing", "sitting", "sit_to_stand", "squat",
    "stairs", "ramp", "jump", "drop_landing", "cutting", "mixed", "unknown",
)  # fmt: skip
"""The closed list; anything else is written ``other:<text>``."""
OPEN_ACTIVITIES = ("mixed", "unknown")
"""Activities of a recording that leave open what is done in it: its labelled spans say that, where it has them."""

SEXES = ("female", "male", "other", "unknown")
PERSON_FIELDS = ("sex", "age_y", "height_m", "mass_kg", "leg_length_m", "condition", "affected_side")

AXES = ("x", "y", "z")
QUATERNION = ("w", "x", "y", "z")
PLACEMENT_COORDS = ("segment", "side", "site", "level", "rotation_origin", "attachment", "origin", "device")

IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


# --- degrees of freedom ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dof:
    """One joint coordinate: which joint, which Cardan component of R_proximal^T R_distal, which sign is positive.

    ``component`` 0, 1, 2 = a, b, c of the intrinsic Z-X-Y sequence; ``sign`` multiplies it. ``limits_deg`` is the
    range a living joint stays within, for the plausibility check only. ``plane`` decides whether values of
    different conventions may meet in one score (sagittal ones may).
    """

    name: str
    joint: str
    side: str
    component: int
    sign: int
    positive: str
    plane: Literal["sagittal", "frontal", "transverse"]
    limits_deg: tuple[float, float]
    proximal: str
    distal: str


_LEG_DOFS: tuple[tuple[str, int, int, bool, str, tuple[float, float]], ...] = (
    # stem, component, sign on the right, mirrored on the left, positive direction, plausible range
    ("hip_flexion", 0, +1, False, "flexion", (-60.0, 150.0)),
    ("hip_adduction", 1, +1, True, "adduction", (-75.0, 60.0)),
    ("hip_internal_rotation", 2, +1, True, "internal rotation", (-80.0, 80.0)),
    ("knee_flexion", 0, -1, False, "flexion", (-30.0, 170.0)),
    ("knee_adduction", 1, +1, True, "adduction (varus)", (-50.0, 50.0)),
    ("knee_internal_rotation", 2, +1, True, "internal rotation", (-70.0, 70.0)),
    ("ankle_dorsiflexion", 0, +1, False, "dorsiflexion", (-80.0, 60.0)),
    ("ankle_inversion", 1, +1, True, "inversion", (-60.0, 60.0)),
    ("ankle_internal_rotation", 2, +1, True, "internal rotation", (-60.0, 60.0)),
)
_LETTERS: tuple[tuple[str, Literal["right", "left"]], ...] = (("r", "right"), ("l", "left"))
_PLANES: tuple[Literal["sagittal", "frontal", "transverse"], ...] = ("sagittal", "frontal", "transverse")
_ADJACENT = {"hip": ("pelvis", "thigh"), "knee": ("thigh", "shank"), "ankle": ("shank", "foot")}


def _dofs() -> dict[str, Dof]:
    found = {}
    for stem, component, sign, mirrored, positive, limits in _LEG_DOFS:
        joint = stem.split("_", 1)[0]
        for letter, side in (("r", "right"), ("l", "left")):
            proximal, distal = _ADJACENT[joint]
            found[f"{stem}_{letter}"] = Dof(
                name=f"{stem}_{letter}", joint=joint, side=side, component=component,
                sign=-sign if mirrored and letter == "l" else sign, positive=positive, plane=_PLANES[component],
                limits_deg=limits, proximal=proximal if proximal == "pelvis" else f"{proximal}_{letter}",
                distal=f"{distal}_{letter}",
            )  # fmt: skip
    for name, component, positive, limits in (
        ("pelvis_tilt", 0, "posterior tilt", (-120.0, 120.0)),
        ("pelvis_list", 1, "right side down", (-90.0, 90.0)),
        ("pelvis_rotation", 2, "to the left", (-inf, inf)),  # a heading; turns may be counted on
    ):  # fmt: skip
        found[name] = Dof(
            name, "pelvis", "midline", component, +1, positive, _PLANES[component], limits, "world", "pelvis"
        )
    return found


DOFS: dict[str, Dof] = _dofs()

DOF_ALIASES: dict[str, str] = {
    f"{alias}_{letter}": f"{name}_{letter}"
    for alias, name in (
        ("hip_flexion", "hip_flexion"), ("hip_adduction", "hip_adduction"), ("hip_rotation", "hip_internal_rotation"),
        ("knee_angle", "knee_flexion"), ("ankle_angle", "ankle_dorsiflexion"),
    )
    for letter in "rl"
} | {name: name for name in ("pelvis_tilt", "pelvis_list", "pelvis_rotation")}  # fmt: skip
"""OpenSim coordinates (Rajagopal 2015 signs) with the same sign and meaning as ours.

``subtalar_angle`` is left out on purpose: its axis is oblique, so it is not inversion.
"""


# --- forces and moments ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GroundForce:
    """One component of the force of the ground on one foot: ``sign`` times ``axis`` of our world (X forward, Y up)."""

    name: str
    side: Literal["right", "left"]
    axis: int
    sign: int
    positive: str


_COMPONENTS = (("medial", 2, "towards the midline"), ("anterior", 0, "forward"), ("vertical", 1, "up"))
GROUND_FORCES: dict[str, GroundForce] = {
    f"grf_{component}_{letter}": GroundForce(
        f"grf_{component}_{letter}", side, axis, -1 if component == "medial" and letter == "r" else 1, positive
    )
    for component, axis, positive in _COMPONENTS
    for letter, side in _LETTERS
}
"""Ground reactions by foot. A plate called ``right`` or ``left`` is the one under that foot alone; others are nobody's.

What others call mediolateral is to the right for both feet; here it points at the midline for either, so that legs
may be compared.
"""
ARBITRARY_HEADING = "world, heading arbitrary"
"""The ``frame`` of forces where nobody said which way is forward: their vertical is known, and nothing else."""

MOMENTS: dict[str, str] = {
    f"{stem}_moment_{letter}": positive
    for stem, positive in (("knee_flexion", "flexes the knee"), ("knee_adduction", "adducts the knee (varus)"))
    for letter in "rl"
}
"""External joint moments by name, and what a positive one does: what the ground does to the joint, not the muscles."""


BODY_ACCELERATIONS: dict[str, str] = {
    "body_acceleration_forward": "along the line walked, the way the person goes",
    "body_acceleration_up": "up",
    "body_acceleration_right": "to the right of the way the person goes",
}
"""The acceleration of the middle of the hips in the world, gravity not in it, by name, and where a positive one points.

It is derived from the pelvis's ``segment_position`` where a task asks for it, never stored.
"""


# --- variables -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Variable:
    """What one array of a recording must look like once it is converted."""

    name: str
    stream: Stream
    dims: tuple[str, ...]
    units: str
    dtype: str
    attrs: Mapping[str, tuple[str, ...] | None]
    """Compulsory attributes; a tuple lists the only values allowed, None means any non-empty text."""


_SENSOR_FRAME = {"frame": ("sensor",)}
VARIABLES: dict[str, Variable] = {
    variable.name: variable
    for variable in (
        Variable("acc", "imu", ("time", "sensor", "axis"), "m s-2", "float32", {"kind": ACC_KINDS, **_SENSOR_FRAME}),
        Variable("gyr", "imu", ("time", "sensor", "axis"), "rad s-1", "float32", _SENSOR_FRAME),
        Variable("mag", "imu", ("time", "sensor", "axis"), "uT|1", "float32", _SENSOR_FRAME),
        Variable("quat", "imu", ("time", "sensor", "component"), "1", "float32",
                 {"maps": ("sensor_to_world",), "origin": None}),
        Variable("angle", "reference", ("time", "dof"), "deg", "float32", {"convention": CONVENTIONS, "tier": TIERS}),
        Variable("segment_quat", "reference", ("time", "segment", "component"), "1", "float32",
                 {"maps": ("segment_to_world",), "tier": TIERS}),
        Variable("segment_position", "reference", ("time", "segment", "axis"), "m", "float32", {"point": None}),
        Variable("grf", "reference", ("time", "plate", "axis"), "N", "float32", {"frame": None}),
        Variable("moment", "reference", ("time", "load"), "N m", "float32", {"acts": ("external",)}),
    )
}  # fmt: skip

RECORDING_ATTRS = (
    "schema_version", "dataset", "dataset_version", "subject", "session", "trial", "person", "activity", "licence",
    "rates", "world", "sync", "source", "adapter", "history", "simulation",
)  # fmt: skip
"""Compulsory attributes of a recording. Their content is described at ``kinbench.recording.Recording``."""


# --- validation ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Breach:
    """One departure from the schema: where, what was expected, what is there, how to mend it."""

    path: str
    expected: str
    found: str
    mend: str

    def __str__(self) -> str:
        return f"{self.path}: expected {self.expected}, found {self.found}; {self.mend}"


def validate(imu: xr.Dataset | None, reference: xr.Dataset | None, attrs: Mapping[str, Any]) -> list[Breach]:
    """Return every structural breach of one recording, an empty list where there is none.

    ``imu`` and ``reference`` are the two streams in schema form; ``attrs`` are the recording's attributes. Physics is
    ``kinbench.inspection``'s business.
    """
    breaches = _attribute_breaches(attrs)
    if imu is None and reference is None:
        breaches.append(Breach("recording", "an imu or a reference stream", "neither", "convert it again"))
    if imu is not None:
        breaches += _stream_breaches("imu", imu) + _placement_breaches(imu)
    if reference is not None:
        breaches += _stream_breaches("reference", reference) + _dof_breaches(reference)
    return breaches


def _attribute_breaches(attrs: Mapping[str, Any]) -> list[Breach]:
    breaches = [
        Breach(f"attrs.{name}", "a value", "nothing", "the adapter must declare it")
        for name in RECORDING_ATTRS
        if attrs.get(name) is None
    ]
    version = attrs.get("schema_version")
    if version is not None and version != SCHEMA_VERSION:
        breaches.append(Breach("attrs.schema_version", SCHEMA_VERSION, repr(version), "convert it again"))
    activity = attrs.get("activity")
    if activity is not None and activity not in ACTIVITIES and not str(activity).startswith("other:"):
        breaches.append(
            Breach("attrs.activity", f"one of {', '.join(ACTIVITIES)}", repr(activity), f"write 'other:{activity}'")
        )
    for name in ("dataset", "subject", "session", "trial"):
        value = attrs.get(name)
        if value is not None and not IDENTIFIER.fullmatch(str(value)):
            breaches.append(
                Breach(f"attrs.{name}", "a short ASCII identifier", repr(value), "use letters, digits and . _ + -")
            )
    sync = attrs.get("sync") or {}
    if sync and sync.get("method") not in SYNC_METHODS:
        breaches.append(
            Breach("attrs.sync.method", f"one of {', '.join(SYNC_METHODS)}", repr(sync.get("method")), "say how")
        )
    return breaches


def _stream_breaches(stream: Stream, data: xr.Dataset) -> list[Breach]:
    breaches = _time_breaches(stream, data)
    for name in data.data_vars:
        path = f"{stream}.{name}"
        if name == "valid":
            if data["valid"].dtype != np.dtype(bool) or data["valid"].dims[:1] != ("time",):
                breaches.append(Breach(path, "bool along time", str(data["valid"].dtype), "store the mask as bool"))
            continue
        variable = VARIABLES.get(str(name))
        if variable is None or variable.stream != stream:
            breaches.append(Breach(path, "a variable of the schema", "an unknown one", "rename or drop it"))
            continue
        breaches += _variable_breaches(path, variable, data[name])
    return breaches


def _variable_breaches(path: str, variable: Variable, array: xr.DataArray) -> list[Breach]:
    breaches = []
    if array.dims != variable.dims:
        breaches.append(Breach(path, f"dims {variable.dims}", str(array.dims), "transpose or rename the dims"))
    if str(array.dtype) != variable.dtype:
        breaches.append(Breach(path, variable.dtype, str(array.dtype), "cast it"))
    units = array.attrs.get("units")
    if units not in variable.units.split("|"):
        breaches.append(Breach(f"{path}.units", variable.units, repr(units), "convert the values, then the attribute"))
    for name, allowed in variable.attrs.items():
        value = array.attrs.get(name)
        if not value or (allowed is not None and value not in allowed):
            expected = "some text" if allowed is None else f"one of {', '.join(allowed)}"
            breaches.append(Breach(f"{path}.{name}", expected, repr(value), "the adapter must declare it"))
    return breaches


def _time_breaches(stream: Stream, data: xr.Dataset) -> list[Breach]:
    path = f"{stream}.time"
    if "time" not in data.coords:
        return [Breach(path, "a time coordinate", "none", "add it, in seconds")]
    time = data["time"]
    breaches = []
    if time.dtype != np.dtype("float64"):
        breaches.append(Breach(path, "float64", str(time.dtype), "cast it"))
    if time.attrs.get("units") != "s":
        breaches.append(Breach(f"{path}.units", "s", repr(time.attrs.get("units")), "convert to seconds"))
    steps = np.diff(time.values)
    if time.size and not np.isfinite(time.values).all():
        breaches.append(Breach(path, "finite times", "NaN or infinity", "drop or place those rows"))
    elif (steps <= 0).any():
        breaches.append(
            Breach(
                path,
                "strictly increasing",
                f"{int((steps <= 0).sum())} steps back or repeated",
                "re-index by the packet counter",
            )
        )
    return breaches


def _placement_breaches(imu: xr.Dataset) -> list[Breach]:
    allowed = {
        "segment": SEGMENTS, "side": SIDES, "site": SITES, "level": LEVELS, "rotation_origin": ROTATION_ORIGINS,
        "attachment": ATTACHMENTS, "origin": SENSOR_ORIGINS, "device": None,
    }  # fmt: skip
    breaches = []
    for name, values in allowed.items():
        path = f"imu.{name}"
        if name not in imu.coords:
            breaches.append(Breach(path, "a coordinate along sensor", "none", "unknown is said, not left out"))
            continue
        for sensor, value in zip(imu["sensor"].values, imu[name].values, strict=True):
            if values is not None and str(value) not in values:
                breaches.append(
                    Breach(f"{path}[{sensor}]", f"one of {', '.join(values)}", repr(str(value)), "use the closed list")
                )
    return breaches + _rotation_breaches(imu)


def _rotation_breaches(imu: xr.Dataset) -> list[Breach]:
    if "rotation" not in imu.coords:
        return [Breach("imu.rotation", "(sensor, segment_axis, axis)", "none", "store NaN where it is unknown")]
    breaches = []
    for index, sensor in enumerate(imu["sensor"].values):
        matrix = np.asarray(imu["rotation"].values[index], dtype=np.float64)
        known = np.isfinite(matrix).all()
        origin = str(imu["rotation_origin"].values[index]) if "rotation_origin" in imu.coords else "unknown"
        path = f"imu.rotation[{sensor}]"
        if known and (np.abs(matrix @ matrix.T - np.eye(3)).max() > 1e-4 or np.linalg.det(matrix) < 0):
            breaches.append(Breach(path, "a right-handed rotation", "not orthonormal or mirrored", "check its axes"))
        if known == (origin == "unknown"):
            breaches.append(
                Breach(path, "NaN exactly where rotation_origin is unknown", f"origin '{origin}'", "say which it is")
            )
    return breaches


def _dof_breaches(reference: xr.Dataset) -> list[Breach]:
    breaches = [
        Breach(f"reference.load[{name}]", f"one of {', '.join(MOMENTS)}", "an unknown name", "rename it")
        for name in (reference["load"].values if "load" in reference.coords else ())
        if str(name) not in MOMENTS
    ]
    if "angle" not in reference:
        return breaches
    for name in ("joint", "side", "positive"):
        if name not in reference["angle"].coords:
            breaches.append(Breach(f"reference.{name}", "a coordinate along dof", "none", "take it from the schema"))
    for name in reference["dof"].values:
        if str(name) not in DOFS:
            breaches.append(Breach(f"reference.dof[{name}]", "a DoF of the schema", "an unknown name", "rename it"))
    return breaches
