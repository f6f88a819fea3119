"""A sensor's rotation to its segment, from gravity while the person stands and the principal axis while they move.

Gravity at rest gives the proximal axis; the axis about which the segment turns most while the person moves is the
flexion axis, and stands across the leg (Seel et al. 2014 use the same constraint). Gravity and angular rate cannot give
its sign: a hint, the sensor axis that nominally points to the right or to the front, settles it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench import schema
from kinbench.errors import DataError, UsageError
from kinbench.recording import Calibration

FloatArray = NDArray[np.float64]

STILL_ACC_M_S2 = 0.5
STILL_GYR_RAD_S = 0.2
"""Largest standard deviation, of any axis, in a span that counts as still: quiet standing sways a third as much."""

MIN_STILL_S = 0.3
MIN_MOVING_S = 2.0
GRAVITY_TOLERANCE_M_S2 = 1.0
"""How far the mean |acc| of a still span may lie from gravity: worn accelerometers are off by up to 0.5."""

AMBIGUOUS_DEG = 60.0
"""A hint further than this from the axis that it should settle could belong to another axis as well."""

MIN_EXPLAINED = 0.5
"""Least share of the angular rate's power about the principal axis: below it, no axis stands out."""


def calibrate(imu: xr.Dataset, sensor: str, request: Calibration) -> tuple[FloatArray, dict[str, Any]]:
    """Return the rotation (3, 3) of ``sensor`` to its segment (v_segment = rotation @ v_sensor), and how it was found.

    ``imu`` must be in schema units with ``specific_force``; the spans of ``request`` are on its clock. Y (proximal)
    is the mean specific force over ``still_s``; Z (right) is the principal axis of angular rate over ``moving_s`` (all
    the rest where that is None), made perpendicular to Y, with the sign that the hint gives; X = Y x Z.

    The dict is JSON-plain: the spans, ``explained`` (share of the rate's power about the principal axis),
    ``tilt_deg`` (angle between that axis and the horizontal), ``hint_deg`` (angle between the hint and the axis that
    it settled), ``still_acc_sd`` and ``still_gyr_sd``.

    Raises ``UsageError`` for a request that makes no sense, and ``DataError`` where the still span is not still, no
    axis stands out, or the hint is more than 60 degrees from the axis found.
    """
    hint = _hint(sensor, request)
    acc, gyr, time = _signals(imu, sensor)
    still = _within(time, request.still_s)
    moving = ~still if request.moving_s is None else _within(time, request.moving_s)
    _require_length(sensor, "still_s", request.still_s, time, still, MIN_STILL_S)
    _require_length(sensor, "moving_s", request.moving_s, time, moving, MIN_MOVING_S)
    acc_sd, gyr_sd = _require_stillness(sensor, request, acc[still], gyr[still])
    up = _unit(acc[still].mean(axis=0))
    axis, explained = _principal_axis(gyr[moving] - gyr[still].mean(axis=0))
    across = axis - (axis @ up) * up
    tilt_deg = float(np.degrees(np.arcsin(np.clip(abs(axis @ up), 0.0, 1.0))))
    if explained < MIN_EXPLAINED or tilt_deg > AMBIGUOUS_DEG:
        raise DataError(
            f"sensor {sensor}: no flexion axis stands out while moving ({explained:.0%} of the angular rate's power is "
            f"about one axis, {tilt_deg:.0f} degrees from the horizontal; needed are {MIN_EXPLAINED:.0%} and at most "
            f"{AMBIGUOUS_DEG:.0f} degrees); choose a moving_s with walking or squats, or declare the sensor's axes"
        )
    right = _unit(across)
    found = right if request.toward == "right" else np.cross(up, right)
    if found @ hint < 0:
        right, found = -right, -found
    hint_deg = float(np.degrees(np.arccos(np.clip(found @ hint, -1.0, 1.0))))
    if hint_deg > AMBIGUOUS_DEG:
        raise DataError(
            f"sensor {sensor}: the hint says that {request.axis} points to {request.toward}, but the axis found is "
            f"{hint_deg:.0f} degrees from it; name the sensor axis that is nearest to {request.toward}"
        )
    rotation = np.stack([np.cross(up, right), up, right])
    return rotation, {
        "sensor": sensor,
        "still_s": [float(x) for x in request.still_s],
        "moving_s": None if request.moving_s is None else [float(x) for x in request.moving_s],
        "axis": request.axis,
        "toward": request.toward,
        "explained": round(explained, 4),
        "tilt_deg": round(tilt_deg, 2),
        "hint_deg": round(hint_deg, 2),
        "still_acc_sd": round(acc_sd, 4),
        "still_gyr_sd": round(gyr_sd, 4),
    }


def _hint(sensor: str, request: Calibration) -> FloatArray:
    name = request.axis.strip().lower()
    letter = name.lstrip("+-")
    if letter not in schema.AXES or len(name) - len(letter) > 1:
        raise UsageError(
            f"sensor {sensor}: calibrate.axis must be a sensor axis such as 'x' or '-z', and is {request.axis!r}"
        )
    if request.toward not in ("right", "anterior"):
        raise UsageError(
            f"sensor {sensor}: calibrate.toward must be 'right' or 'anterior', and is {request.toward!r}; "
            "turn the axis's sign around for 'left' or 'posterior'"
        )
    axis: FloatArray = np.eye(3)[schema.AXES.index(letter)]
    return -axis if name.startswith("-") else axis


def _signals(imu: xr.Dataset, sensor: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    names = [str(name) for name in imu["sensor"].values]
    if sensor not in names:
        raise UsageError(f"calibrate names the sensor {sensor!r}, and the recording has {', '.join(names)}")
    lacking = [name for name in ("acc", "gyr") if name not in imu]
    if lacking:
        raise DataError(
            f"sensor {sensor}: calibrate needs acc and gyr, and the recording has no {' and no '.join(lacking)}"
        )
    if imu["acc"].attrs.get("kind") != "specific_force":
        raise DataError(
            f"sensor {sensor}: calibrate needs gravity, which these accelerations lack; declare the sensor's axes"
        )
    column = names.index(sensor)
    acc = imu["acc"].values[:, column].astype(np.float64)
    gyr = imu["gyr"].values[:, column].astype(np.float64)
    known = np.isfinite(acc).all(axis=1) & np.isfinite(gyr).all(axis=1)
    if "valid" in imu:
        known &= np.asarray(imu["valid"].values[:, column], dtype=bool)
    return acc[known], gyr[known], np.asarray(imu["time"].values[known], dtype=np.float64)


def _within(time: FloatArray, span_s: tuple[float, float]) -> NDArray[np.bool_]:
    return np.asarray((time >= span_s[0]) & (time < span_s[1]), dtype=bool)


def _require_length(
    sensor: str,
    field: str,
    span_s: tuple[float, float] | None,
    time: FloatArray,
    inside: NDArray[np.bool_],
    least_s: float,
) -> None:
    step = float(np.median(np.diff(time))) if len(time) > 1 else np.inf
    if inside.sum() < 2 or inside.sum() * step < least_s * (1 - 1e-6):
        held = f"runs from {time[0]:.1f} to {time[-1]:.1f} s" if len(time) else "is empty"
        raise DataError(
            f"sensor {sensor}: calibrate.{field} {'(the rest)' if span_s is None else list(span_s)} must hold at least "
            f"{least_s} s of samples; the recording {held}"
        )


def _require_stillness(sensor: str, request: Calibration, acc: FloatArray, gyr: FloatArray) -> tuple[float, float]:
    acc_sd, gyr_sd = float(acc.std(axis=0).max()), float(gyr.std(axis=0).max())
    if acc_sd > STILL_ACC_M_S2 or gyr_sd > STILL_GYR_RAD_S:
        raise DataError(
            f"sensor {sensor}: calibrate.still_s {list(request.still_s)} is not still (acc varies by {acc_sd:.2f} "
            f"m s-2, at most {STILL_ACC_M_S2}; gyr by {gyr_sd:.2f} rad s-1, at most "
            f"{STILL_GYR_RAD_S}); choose a quieter span"
        )
    mean = float(np.linalg.norm(acc.mean(axis=0)))
    if abs(mean - schema.GRAVITY) > GRAVITY_TOLERANCE_M_S2:
        raise DataError(
            f"sensor {sensor}: while still its acceleration is {mean:.2f} m s-2, and gravity is {schema.GRAVITY:.2f}; "
            "check the declared unit and whether gravity was removed"
        )
    return acc_sd, gyr_sd


def _principal_axis(gyr: FloatArray) -> tuple[FloatArray, float]:
    """Return the unit axis of largest angular-rate power and its share of the whole."""
    values, vectors = np.linalg.eigh(gyr.T @ gyr)
    return np.asarray(vectors[:, -1], dtype=np.float64), float(values[-1] / max(values.sum(), 1e-12))


def _unit(vector: FloatArray) -> FloatArray:
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float64)
