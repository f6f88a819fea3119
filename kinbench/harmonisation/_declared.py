"""Declared units, axes, orders and signs to the schema's: what every conversion does to recorded numbers.

An adapter declares facts about raw numbers; here they are acted on, once, each leaving a step in ``history``. What is
already in schema form stays as it is, so that harmonising twice is harmonising once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from kinbench import schema
from kinbench.errors import DataError, UsageError, suggest
from kinbench.harmonisation._rotations import product
from kinbench.recording import Declared, Mask, Recording

FloatArray = NDArray[np.float64]

_MAGNETIC = {
    "uT": ("uT", 1.0), "µT": ("uT", 1.0), "μT": ("uT", 1.0), "nT": ("uT", 1e-3), "mT": ("uT", 1e3), "T": ("uT", 1e6),
    "mG": ("uT", 0.1), "mgauss": ("uT", 0.1), "G": ("uT", 100.0), "gauss": ("uT", 100.0),
    "1": ("1", 1.0), "a.u.": ("1", 1.0), "au": ("1", 1.0),
}  # fmt: skip
_LENGTH = {"m": ("m", 1.0), "cm": ("m", 1e-2), "mm": ("m", 1e-3)}
_NONE = {"1": ("1", 1.0)}
UNITS: dict[str, dict[str, tuple[str, float]]] = {
    "acc": {
        **dict.fromkeys(("m s-2", "m/s2", "m/s^2", "m/s²"), ("m s-2", 1.0)),
        "g": ("m s-2", schema.GRAVITY), "mg": ("m s-2", schema.GRAVITY * 1e-3),
    },
    "gyr": {
        **dict.fromkeys(("rad s-1", "rad/s"), ("rad s-1", 1.0)),
        **dict.fromkeys(("deg s-1", "deg/s", "dps", "°/s"), ("rad s-1", np.pi / 180)),
        **dict.fromkeys(("mdeg s-1", "mdps"), ("rad s-1", np.pi / 180e3)),
    },
    "mag": _MAGNETIC,
    "quat": _NONE,
    "angle": {"deg": ("deg", 1.0), "rad": ("deg", 180 / np.pi)},
    "segment_quat": _NONE,
    "segment_position": _LENGTH,
    "grf": {"N": ("N", 1.0), "kN": ("N", 1e3)},
    "moment": {"N m": ("N m", 1.0), "N m/kg": ("N m", 1.0), "%BW BH": ("N m", 0.01 * schema.GRAVITY)},
}  # fmt: skip
"""Per variable: the units that may be declared, what each becomes, and the factor."""

_TIMES = {"N m/kg": ("mass_kg",), "%BW BH": ("mass_kg", "height_m")}
"""What of the person a unit is divided by, over and above its factor."""

_FORWARD = {"x": "y", "y": "x", "z": "x"}
"""Where a world declares its up axis only, its heading is arbitrary, and this axis is taken for forward."""

WORLD = "right-handed, Y up, X forward, Z right"


def harmonise(recording: Recording) -> Recording:
    """Return the recording in schema units, axes and signs.

    Acts on the ``units`` of every variable and on ``recording.declared``: quaternion order and direction, world axes,
    segment axes (R_ours_to_world = W R_source A^T, where v_ours = A v_source and W turns the source's world into
    ours), sign or factor and zero of every DoF, masks. Values become float32; where virtual sensors are still to be
    made of them, ``virtual_imu.synthesise`` rounds them. What is still to do (``virtual``, ``convention``,
    ``calibrations``, ``sync``) stays in ``declared``; ``history`` gains one step per thing changed.

    Raises ``DataError`` for an unknown unit (all of them at once), and ``UsageError`` for a declaration that cannot
    be: an axis that is none, a mirrored ``segment_axes``, a DoF or segment that the recording does not have.
    """
    _require_units(recording)
    declared = recording.declared or Declared()
    _require_declarations(recording, declared)
    imu, reference = recording.imu, recording.reference
    steps: list[dict[str, Any]] = []
    if imu is not None:
        imu = _in_units(imu, recording, steps)
        imu = _imu_quaternions(imu, declared, steps)
    if reference is not None:
        reference = _in_units(reference, recording, steps)
        reference = _segment_quaternions(reference, declared, steps)
        reference = _reference_vectors(reference, declared, steps)
        reference = _dof_values(reference, declared, steps)
        reference = _masked(reference, declared.masks, steps)
        reference = reference if declared.virtual is not None else _rounded(reference)
    left = Declared(
        calibrations=declared.calibrations,
        automatic=declared.automatic,
        sync=declared.sync,
        convention=declared.convention,
        virtual=declared.virtual,
    )
    done = replace(recording, imu=imu, reference=reference, declared=None if recording.declared is None else left)
    if any(step["step"] == "turn_world" for step in steps):
        done = done.with_attrs(world=WORLD)
    for step in steps:
        done = done.with_step(**step)
    return done


# --- refusals ---------------------------------------------------------------------------------------------------------


def _require_units(recording: Recording) -> None:
    problems = []
    for stream in (recording.imu, recording.reference):
        for name, array in ({} if stream is None else stream.data_vars).items():
            known = UNITS.get(str(name))
            unit = str(array.attrs.get("units", ""))
            if known is not None and unit not in known:
                problems.append(f"{name}: {unit!r} is not a unit of {name};{suggest(unit, tuple(known))}")
            unknown = [fact for fact in _TIMES.get(unit, ()) if _person(recording).get(fact) is None]
            if unknown:
                problems.append(f"{name}: {unit!r} needs the person's {' and '.join(unknown)}")
    if problems:
        raise DataError(problems, where=recording.key)


def _require_declarations(recording: Recording, declared: Declared) -> None:
    for name, axis in (("reference_forward", declared.reference_forward), ("reference_up", declared.reference_up)):
        _axis(axis or "y", name)
    _axis(declared.imu_up or "y", "imu_up")
    if declared.reference_forward is not None and declared.reference_up is None:
        raise UsageError(f"{recording.key}: reference_forward needs reference_up beside it")
    orders = {"quat_order": declared.quat_order, "segment_quat_order": declared.segment_quat_order}
    for name, order in orders.items():
        if order not in ("wxyz", "xyzw"):
            raise UsageError(f"{recording.key}: {name} must be 'wxyz' or 'xyzw', and is {order!r}")
    for name, value, inverse in (
        ("quat_maps", declared.quat_maps, "world_to_sensor"),
        ("segment_quat_maps", declared.segment_quat_maps, "world_to_segment"),
    ):
        straight = "_to_".join(reversed(inverse.split("_to_")))
        if value not in (straight, inverse):
            raise UsageError(f"{recording.key}: {name} must be '{straight}' or '{inverse}', and is {value!r}")
    _require_present(recording, "segment", declared.segment_axes)
    _require_present(recording, "dof", [*declared.dof_scale, *declared.dof_zero_deg])
    _require_present(recording, "dof", [dof for mask in declared.masks for dof in mask.dofs])
    for segment, matrix in declared.segment_axes.items():
        turn = np.asarray(matrix, dtype=np.float64)
        if turn.shape != (3, 3) or not np.allclose(turn @ turn.T, np.eye(3), atol=1e-4) or np.linalg.det(turn) < 0:
            raise UsageError(f"{recording.key}: segment_axes of {segment} must be a right-handed rotation (3 x 3)")


def _require_present(recording: Recording, dim: str, names: Iterable[str]) -> None:
    reference = recording.reference
    there = [str(x) for x in reference[dim].values] if reference is not None and dim in reference.dims else []
    for name in names:
        if name not in there:
            raise UsageError(
                f"{recording.key}: the declaration names the {dim} {name!r}, which the reference does not have."
                f"{suggest(name, there)}"
            )


# --- units ------------------------------------------------------------------------------------------------------------


def _person(recording: Recording) -> dict[str, Any]:
    return recording.attrs.get("person_table") or {}


def _in_units(stream: xr.Dataset, recording: Recording, steps: list[dict[str, Any]]) -> xr.Dataset:
    changed = {}
    for name, array in stream.data_vars.items():
        if str(name) not in UNITS:
            continue
        unit = str(array.attrs["units"])
        target, factor = UNITS[str(name)][unit]
        factor *= math.prod(float(_person(recording)[fact]) for fact in _TIMES.get(unit, ()))
        if factor != 1.0:
            steps.append({"step": "convert_units", "variable": str(name), "from": unit, "to": target, "factor": factor})
        values = array.values if factor == 1.0 else array.values.astype(np.float64) * factor
        changed[name] = _like(array, values, units=target)
    return stream.assign(changed)


def _rounded(stream: xr.Dataset) -> xr.Dataset:
    """Return the stream with its signals as float32."""
    exact = [name for name, array in stream.data_vars.items() if str(name) in UNITS and array.dtype != np.float32]
    return stream.assign({name: stream[name].astype(np.float32) for name in exact}) if exact else stream


def _like(array: xr.DataArray, values: NDArray[Any], **attrs: str) -> xr.DataArray:
    """Return the array with other values, in its own precision, and with these attributes set."""
    dtype = np.float64 if array.dtype == np.float64 else np.float32
    return array.copy(data=np.asarray(values, dtype=dtype)).assign_attrs(attrs)


# --- orientations and worlds ------------------------------------------------------------------------------------------


def _imu_quaternions(imu: xr.Dataset, declared: Declared, steps: list[dict[str, Any]]) -> xr.Dataset:
    if "quat" not in imu:
        return imu
    turn = None if declared.imu_up is None else _world(declared.imu_up, None)
    values = _canonical(
        imu["quat"].values, declared.quat_order, declared.quat_maps == "world_to_sensor", turn, None, "quat", steps
    )
    return imu.assign(quat=_like(imu["quat"], values, maps="sensor_to_world"))


def _segment_quaternions(reference: xr.Dataset, declared: Declared, steps: list[dict[str, Any]]) -> xr.Dataset:
    if "segment_quat" not in reference:
        return reference
    array = reference["segment_quat"]
    names = [str(name) for name in reference["segment"].values]
    axes = np.stack([np.asarray(declared.segment_axes.get(name, np.eye(3)), dtype=np.float64) for name in names])
    values = _canonical(
        array.values,
        declared.segment_quat_order,
        declared.segment_quat_maps == "world_to_segment",
        _reference_world(declared),
        axes if declared.segment_axes else None,
        "segment_quat",
        steps,
    )
    return reference.assign(segment_quat=_like(array, values, maps="segment_to_world"))


def _canonical(
    quaternions: NDArray[Any],
    order: str,
    inverse: bool,
    world: FloatArray | None,
    axes: FloatArray | None,
    variable: str,
    steps: list[dict[str, Any]],
) -> NDArray[Any]:
    """Return quaternions (n, k, 4) w first, body to world, in our world and body axes; untouched where all is so."""
    values = quaternions
    if order == "xyzw":
        values = values[..., [3, 0, 1, 2]]
        steps.append({"step": "reorder_quaternion", "variable": variable, "from": order, "to": "wxyz"})
    if inverse:
        values = values * np.array([1, -1, -1, -1], dtype=values.dtype)
        steps.append({"step": "invert_quaternion", "variable": variable})
    if world is not None and not np.array_equal(world, np.eye(3)):
        values = product(_quaternion(world), values.astype(np.float64))
        steps.append({"step": "turn_world", "variable": variable, "matrix": world.tolist()})
    if axes is not None and not np.array_equal(axes, np.broadcast_to(np.eye(3), axes.shape)):
        inward = np.stack([_quaternion(matrix.T) for matrix in axes])
        values = product(values.astype(np.float64), inward)
        steps.append({"step": "turn_segments", "variable": variable, "matrices": axes.tolist()})
    return values


def _reference_vectors(reference: xr.Dataset, declared: Declared, steps: list[dict[str, Any]]) -> xr.Dataset:
    """Turn positions, and ground reactions given in the world's axes, into our world."""
    world = _reference_world(declared)
    if world is not None and declared.reference_forward is None and "grf" in reference:
        reference = reference.assign(grf=_headless(reference["grf"]))
    if world is None or np.array_equal(world, np.eye(3)):
        return reference
    changed = {}
    for name in ("segment_position", "grf"):
        if name in reference and reference[name].attrs.get("frame", "world").startswith("world"):
            changed[name] = _like(reference[name], reference[name].values.astype(np.float64) @ world.T)
            steps.append({"step": "turn_world", "variable": name, "matrix": world.tolist()})
    return reference.assign(changed)


def _headless(grf: xr.DataArray) -> xr.DataArray:
    """Return forces in the world's axes as what they are where nobody said which way is forward."""
    return grf.assign_attrs(frame=schema.ARBITRARY_HEADING) if grf.attrs.get("frame", "world") == "world" else grf


def _reference_world(declared: Declared) -> FloatArray | None:
    return None if declared.reference_up is None else _world(declared.reference_up, declared.reference_forward)


def _world(up: str, forward: str | None) -> FloatArray:
    """Return W with v_ours = W v_source: rows are our X (forward), Y (up) and Z (right) in the source's axes."""
    upward = _axis(up, "up")
    ahead = _axis(forward or _FORWARD[up.lstrip("+-")], "forward")
    if abs(ahead @ upward) > 0.5:
        raise UsageError(f"the world's forward axis {forward!r} and up axis {up!r} must be two different axes")
    return np.stack([ahead, upward, np.cross(ahead, upward)])


def _axis(text: str, field: str) -> FloatArray:
    letter = text.lstrip("+-")
    if letter not in schema.AXES or len(text) - len(letter) > 1:
        raise UsageError(f"{field} must be an axis such as 'z' or '-y', and is {text!r}")
    unit: FloatArray = np.eye(3)[schema.AXES.index(letter)]
    return -unit if text.startswith("-") else unit


def _quaternion(matrix: FloatArray) -> FloatArray:
    turn: FloatArray = Rotation.from_matrix(matrix).as_quat(scalar_first=True)
    return turn


# --- degrees of freedom and masks -------------------------------------------------------------------------------------


def _dof_values(reference: xr.Dataset, declared: Declared, steps: list[dict[str, Any]]) -> xr.Dataset:
    if "angle" not in reference:
        return reference
    values = reference["angle"].values.astype(np.float64)
    for column, name in enumerate(str(name) for name in reference["dof"].values):
        scale, zero = float(declared.dof_scale.get(name, 1.0)), float(declared.dof_zero_deg.get(name, 0.0))
        if (scale, zero) != (1.0, 0.0):
            values[:, column] = values[:, column] * scale + zero
            steps.append({"step": "scale_dof", "dof": name, "scale": scale, "zero_deg": zero})
    return reference.assign(angle=_like(reference["angle"], values))


def _masked(reference: xr.Dataset, masks: tuple[Mask, ...], steps: list[dict[str, Any]]) -> xr.Dataset:
    for mask in masks:
        reference, samples = _with_mask(reference, mask)
        steps.append(
            {
                "step": "mask",
                "start_s": mask.start_s,
                "stop_s": mask.stop_s,
                "reason": mask.reason,
                "dofs": list(mask.dofs),
                "samples": samples,
            }
        )
    return reference


def _with_mask(reference: xr.Dataset, mask: Mask) -> tuple[xr.Dataset, int]:
    """Return the reference with [start, stop) set to NaN and not valid, and how many samples that was."""
    time = reference["time"].values
    inside = (time >= mask.start_s) & (time < mask.stop_s)
    changed: dict[str, Any] = {}
    if "segment_quat" in reference:
        if mask.dofs:
            raise UsageError(
                "a mask of a reference with segment orientations cannot name DoFs: it holds for all of them"
            )
        changed["segment_quat"] = _like(
            reference["segment_quat"], np.where(inside[:, None, None], np.nan, reference["segment_quat"].values)
        )
    if "angle" in reference:
        names = [str(name) for name in reference["dof"].values]
        cells = inside[:, None] & np.array([not mask.dofs or name in mask.dofs for name in names])
        changed["angle"] = _like(reference["angle"], np.where(cells, np.nan, reference["angle"].values))
        valid = _validity(reference, ("time", "dof"))
        changed["valid"] = (("time", "dof"), valid & ~cells)
    else:
        valid = _validity(reference, ("time",))
        changed["valid"] = (("time",), valid & ~inside)
    return reference.assign(changed), int(inside.sum())


def _validity(reference: xr.Dataset, dims: tuple[str, ...]) -> NDArray[np.bool_]:
    """Return the validity along ``dims``: what stands there, else True wherever there is a value."""
    shape = tuple(reference.sizes[dim] for dim in dims)
    if "valid" in reference:
        mask = np.asarray(reference["valid"].values, dtype=bool)
        return np.array(np.broadcast_to(mask.reshape(mask.shape + (1,) * (len(dims) - mask.ndim)), shape))
    if "dof" in dims:
        return np.asarray(np.isfinite(reference["angle"].values), dtype=bool)
    return np.ones(shape, dtype=bool)
