"""Skin and muscle under a sensor: a damped oscillator that the bone's acceleration drives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import cont2discrete, lfilter, lfilter_zi

from kinbench.recording import SoftTissue
from kinbench.schema import GRAVITY
from kinbench.virtual_imu._quaternions import columns, exponential, product, rows
from kinbench.virtual_imu._signals import UP, on_segment, specific_force
from kinbench.virtual_imu._smoothing import runs

FloatArray = NDArray[np.float64]


def ride(
    tissue: SoftTissue,
    position: FloatArray,
    orientation: FloatArray,
    offset_m: FloatArray,
    rotation: FloatArray,
    rate_hz: float,
) -> tuple[FloatArray, FloatArray, float]:
    """Return position (n, 3) and orientation (n, 4) of a sensor on soft tissue, and its farthest travel in metres.

    The tissue's displacement x from ``offset_m``, in segment axes, obeys ``x'' + 2 d w x' + w^2 x = -(f - g up)``,
    w = 2 pi ``natural_hz``, d = ``damping``, where f is the specific force at ``offset_m`` on the bone: inertia and
    weight alike, nothing in the upright pose at rest. It is bounded smoothly, x limit tanh(|x| / limit) / |x|. The
    sensor rolls over the segment as it shifts: it turns about u cross x by ``wobble_deg_per_m`` |x|, with u the way
    from the segment's Y axis to the sensor. Missing samples are NaN, and the oscillator starts afresh after them, at
    rest under the force of that moment.
    """
    bone_place, bone_turn = on_segment(position, orientation, offset_m, np.eye(3))
    drive = GRAVITY * np.asarray(UP) - specific_force(bone_place, bone_turn, rate_hz)
    free = _oscillated(tissue, drive, rate_hz)
    size = np.linalg.norm(free, axis=1, keepdims=True)
    shift = free * np.where(size > 0, tissue.limit_m * np.tanh(size / tissue.limit_m) / np.where(size > 0, size, 1), 1)
    roll = np.deg2rad(tissue.wobble_deg_per_m) * np.cross(_outward(offset_m), shift)
    rolled = columns(product(rows(orientation), exponential(rows(roll))))
    place, _ = on_segment(position, orientation, offset_m + shift, rotation)
    _, seated = on_segment(position, rolled, offset_m, rotation)
    travel = np.linalg.norm(shift, axis=1)
    return place, seated, float(np.nanmax(travel)) if np.isfinite(travel).any() else 0.0


def _outward(offset_m: FloatArray) -> FloatArray:
    """Return the unit vector from the segment's long axis to the sensor; to the front for a sensor on the axis."""
    away = offset_m * [1.0, 0.0, 1.0]
    distance = float(np.linalg.norm(away))
    return away / distance if distance > 0 else np.array([1.0, 0.0, 0.0])


def _oscillated(tissue: SoftTissue, drive: FloatArray, rate_hz: float) -> FloatArray:
    """Return the oscillator's answer (n, 3) to accelerations that run straight from sample to sample."""
    omega = 2 * np.pi * tissue.natural_hz
    flowing = (np.array([1.0]), np.array([1.0, 2 * tissue.damping * omega, omega**2]))
    numerator, below, _ = cont2discrete(flowing, 1 / rate_hz, method="foh")
    above = np.ravel(numerator)
    rest = lfilter_zi(above, below)
    moved = np.full_like(drive, np.nan)
    for run in runs(drive):
        moved[run] = lfilter(above, below, drive[run], axis=0, zi=rest[:, None] * drive[run][:1])[0]
    return moved
