"""Virtual sensors as Rapp et al. made them, faults and all, for networks that were trained on them. Off by default.

Source: Rapp, Shin, Thomsen, Ferber, Halilaj, J Biomech 116:110229 (2021), and the code published with it. What differs
from physics, and from the paper, on purpose:

- the accelerometer is MINUS the specific force, in world axes, turned by R (sensor to world) once more instead of back
  by its transpose. At the pose of touchdown that reads (+forward, -up, +right) of the specific force; in the sagittal
  plane its two other channels then hold the segment's absolute tilt, which no accelerometer can know;
- gravity is 9.81 m s-2;
- the rotations for augmentation are twice as wide as the paper says.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import butter, filtfilt, find_peaks

from kinbench.errors import DataError, UsageError
from kinbench.virtual_imu._quaternions import between, columns, exponential, logarithm, of_matrices, product, rows, turn

FloatArray = NDArray[np.float64]

COMPAT = (None, "rapp2021")

_GRAVITY = 9.81
_AT_TOUCHDOWN = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
"""Sensor to world at touchdown, world X right, Y up, Z back: sensor x forward, y up, z right, of both legs."""
_JUMP_RAD_S = 10.0
_MEDIAN_REACH = 5
_GYRO_ORDER, _GYRO_CUTOFF_HZ, _GYRO_PAD = 4, 8.0, 200
_TOUCHDOWN_DISTANCE_S, _TOUCHDOWN_PROMINENCE_M = 0.5, 0.05
_MINIMUM_SAMPLES = 11


def rapp2021_touchdowns(foot_marker_height_m: ArrayLike, rate_hz: float) -> NDArray[np.int64]:
    """Return the samples at which a foot touches down: minima of a foot marker's height (n,) in metres.

    At least 0.5 s apart (100 samples at the source's 200 Hz), and 50 mm below what surrounds them. Raises
    ``DataError`` for missing samples.
    """
    height = np.asarray(foot_marker_height_m, dtype=np.float64)
    if height.ndim != 1 or not np.isfinite(height).all():
        raise DataError(f"touchdowns need a marker's height (n,) without missing samples, got shape {height.shape}")
    distance = max(1.0, _TOUCHDOWN_DISTANCE_S * rate_hz)
    found, _ = find_peaks(-height, distance=distance, prominence=_TOUCHDOWN_PROMINENCE_M)
    return np.asarray(found, dtype=np.int64)


def rapp2021(
    markers: ArrayLike, touchdowns: ArrayLike, rate_hz: float, *, axes: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Return acc (n, 3) m s-2 and gyr (n, 3) rad s-1 of one segment's cluster, exactly as the published code has them.

    ``markers`` (n, 3, 3) are the cluster's first three, in metres, frame by marker by axis. ``axes`` (3, 3) turns
    their world into the source's, X right, Y up, Z back: its rows are those three directions in the markers' world
    (``numpy.eye(3)`` for the clinic's own files; ((0, 0, 1), (0, 1, 0), (-1, 0, 0)) for ours). ``touchdowns`` (k,)
    are the samples of ``rapp2021_touchdowns``, of the left foot for left segments and of the right foot for right
    ones and the pelvis.

    The cluster's frame is u1 = m2 - m1, u2 = (m3 - m1) x u1, u3 = u1 x u2. It is turned, by one rotation averaged
    over the touchdowns (Markley et al., J Guid Control Dyn 30:1193-1197, 2007), so that there x points forward, y up
    and z right. Acceleration: two first-order central differences of the three markers' mean, no filter, then see the
    module. Gyroscope: the turn from the sample before, where a row that changes by more than 10 rad s-1 becomes the
    median of the eleven rows around it, then a fourth-order Butterworth filter at 8 Hz, forwards and backwards; row 0
    repeats row 1. The source drops a second at either end; that is the caller's to do.

    Raises ``DataError`` for other shapes, missing markers, markers in one line, fewer than 11 samples, or no
    touchdown within them.
    """
    place = _markers(markers)
    world = _world(axes)
    events = np.asarray(touchdowns, dtype=np.int64)
    if not events.size or events.min() < 0 or events.max() >= len(place):
        raise DataError(f"expected touchdowns between sample 0 and {len(place) - 1}, got {events.tolist()}")
    place = place @ world.T
    cluster = of_matrices(_cluster_frames(place))
    sensor = product(cluster, _mean_turn(cluster[:, events])[:, None])
    return _accelerometer(place.mean(axis=1), sensor, rate_hz), _gyroscope(sensor, rate_hz)


def _markers(markers: ArrayLike) -> FloatArray:
    place = np.asarray(markers, dtype=np.float64)
    if place.ndim != 3 or place.shape[1:] != (3, 3) or len(place) < _MINIMUM_SAMPLES:
        raise DataError(f"expected markers (n, 3, 3) with n at least {_MINIMUM_SAMPLES}, got {place.shape}")
    if not np.isfinite(place).all():
        missing = int(np.argmin(np.isfinite(place).all(axis=(1, 2))))
        raise DataError(f"this cluster needs all three markers throughout, and one is missing at sample {missing}")
    return place


def _world(axes: ArrayLike) -> FloatArray:
    world = np.asarray(axes, dtype=np.float64)
    if world.shape != (3, 3) or not np.allclose(world @ world.T, np.eye(3), atol=1e-6) or np.linalg.det(world) < 0:
        raise UsageError("axes must be a right-handed rotation (3 x 3) to X right, Y up, Z back")
    return world


def _cluster_frames(place: FloatArray) -> FloatArray:
    first, other = place[:, 1] - place[:, 0], place[:, 2] - place[:, 0]
    second = np.cross(other, first)
    frames = np.stack([first, second, np.cross(first, second)], axis=2)
    length = np.linalg.norm(frames, axis=1, keepdims=True)
    if not (length > 0).all():
        flat = int(np.argmin((length > 0).all(axis=(1, 2))))
        raise DataError(f"three markers in one line make no frame (sample {flat})")
    return np.asarray(frames / length)


def _mean_turn(cluster: FloatArray) -> FloatArray:
    """Return the average (4,) turn from the cluster's frame (4, k) at the touchdowns to where the sensor should be."""
    target = np.repeat(of_matrices(_AT_TOUCHDOWN), cluster.shape[1], axis=1)
    turns = between(cluster, target)
    _, vectors = np.linalg.eigh(turns @ turns.T)
    return np.asarray(vectors[:, -1])


def _accelerometer(origin: FloatArray, sensor: FloatArray, rate_hz: float) -> FloatArray:
    velocity = np.gradient(origin, 1 / rate_hz, axis=0)
    acceleration = np.gradient(velocity, 1 / rate_hz, axis=0)
    return columns(turn(sensor, rows(-acceleration - [0.0, _GRAVITY, 0.0])))


def _gyroscope(sensor: FloatArray, rate_hz: float) -> FloatArray:
    turns = columns(logarithm(between(sensor[:, :-1], sensor[:, 1:]))) * rate_hz
    rate = np.concatenate([turns[:1], turns])
    jumps = 1 + np.flatnonzero((np.abs(np.diff(rate, axis=0)) > _JUMP_RAD_S).any(axis=1))
    mended = rate.copy()
    for row in jumps:
        mended[row] = np.median(rate[max(0, row - _MEDIAN_REACH) : row + _MEDIAN_REACH + 1], axis=0)
    above, below = butter(_GYRO_ORDER, _GYRO_CUTOFF_HZ, fs=rate_hz)
    return np.asarray(filtfilt(above, below, mended, axis=0, padlen=min(len(mended) // 2, _GYRO_PAD)))


def random_rotations(count: int, *, sd_deg: float = 13.5, seed: int, compat: str | None = None) -> FloatArray:
    """Return ``count`` random rotations (count, 3, 3): axes uniform on the sphere, angles normal about 0.

    13.5 degrees is the deviation that Rapp et al. (2021) state for turning sensors in training. ``compat='rapp2021'``
    is what their code does: it takes the drawn angle for half of it, so that the deviation is 27 degrees. Raises
    ``UsageError`` for another ``compat``.
    """
    if compat not in COMPAT:
        raise UsageError(f"compat must be None or 'rapp2021', and is {compat!r}")
    random = np.random.RandomState(seed)
    height, azimuth = random.uniform(-1, 1, count), random.uniform(0, 2 * np.pi, count)
    angle = np.deg2rad(sd_deg) * random.normal(size=count) * (1.0 if compat is None else 2.0)
    level = np.sqrt(1 - height**2)
    axis = np.stack([level * np.cos(azimuth), level * np.sin(azimuth), height])
    turns = np.repeat(exponential(axis * angle), 3, axis=1)
    images = turn(turns, np.tile(np.eye(3), count))
    return np.ascontiguousarray(images.T.reshape(count, 3, 3).transpose(0, 2, 1))
