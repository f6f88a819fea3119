"""When a foot meets the ground and leaves it: from foot markers, ground reaction, shank gyro, or hip angle.

Each function looks at one leg. Times are seconds from the first sample. Signals may hold NaN: every stretch without
one is searched by itself, so that no event is made up in a gap.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import butter, find_peaks, sosfiltfilt

from kinbench.errors import DataError, UsageError, suggest

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

SHORTEST_STRIDE_S = 0.5
"""A sprinter's stride takes about 0.45 s, a runner's 0.65 s, a walker's 1 s."""

LEAST_SHARE = 0.4
"""A swing reaches over this share of the signal's range (5th to 95th percentile); less is standing, or noise."""

LANDED_SHARE = 0.4
"""Of the time from a runner's contact to the heel's highest; what the toe does before is landing, not pushing off."""

MARKER_CUTOFF_HZ, PUSH_OFF_CUTOFF_HZ, GYRO_CUTOFF_HZ, ANGLE_CUTOFF_HZ = 10.0, 15.0, 12.0, 5.0
"""Zero-phase low-pass before anything is looked for."""

HIP_PEAK_SHARE = 0.85
"""Where in the gait cycle, counted from contact, the hip is flexed most."""

KNEE_PEAK_SHARE = 0.72
"""Where in the gait cycle the knee is flexed most, in swing (Perry and Burnfield 2010, Gait Analysis, ch. 5)."""

SWING_RAD_S = np.radians(50.0)
"""A shank that swings forward turns faster than this (Salarian et al. 2004)."""

FASTEST_RAD_S = 35.0
"""No shank turns this fast, 2000 degrees per second: a rate above it is in degrees."""

SWING_SEARCH_S = 0.5
SHORTEST_PHASE_S = 0.08
"""No foot stands, or swings, for less than this."""

_HEEL_RISE_S = 0.8
_SHORTEST_STRETCH_S = 0.5


@dataclass(frozen=True)
class GaitEvents:
    """One foot's contacts (k,) and toe-offs (m,) in seconds from the first sample, each in order, and how found."""

    contact_s: FloatArray
    off_s: FloatArray
    method: str


def events_from_foot_markers(
    heel: ArrayLike,
    toe: ArrayLike,
    rate_hz: float,
    *,
    up: int = 1,
    forward: int | ArrayLike = 0,
    pelvis: ArrayLike | None = None,
    gait: str = "walking",
) -> GaitEvents:
    """Return one foot's events from its ``heel`` and ``toe`` markers (n, 3), in any one unit.

    ``up`` is the world's vertical axis, 0 to 2; ``forward`` the axis walked along, or a direction (3,) or (n, 3).
    Contact is where the heel is furthest in front, as seen from the ``pelvis`` (n, 3), which only a treadmill can do
    without (Zeni et al. 2008, Gait & Posture 27:710-714; on a treadmill runner it agrees within 5 ms with the
    touch-downs of the Running Injury Clinic's own method). For ``gait`` ``walking``, toe-off is where the toe is
    furthest behind, by the same source. A runner's toe has been in the air for a while by then, so for ``running``
    toe-off is where the toe's vertical acceleration peaks, between contact and the heel's highest (Hreljac and Marshall
    2000, J. Biomech. 33:783-786). Raises ``DataError`` for other shapes, ``UsageError`` for another
    ``gait``.
    """
    if gait not in ("walking", "running"):
        raise UsageError(f"gait: expected walking or running, got '{gait}'.{suggest(gait, ('walking', 'running'))}")
    back, front = _points(heel, "heel"), _points(toe, "toe")
    centre = np.zeros_like(back) if pelvis is None else _points(pelvis, "pelvis")
    if not len(back) == len(front) == len(centre):
        counts = f"{len(back)}, {len(front)} and {len(centre)}"
        raise DataError(f"expected as many samples of heel, toe and pelvis, got {counts}")
    ahead = _direction(forward, up, len(back))
    contact = _peaks(np.einsum("ni,ni->n", back - centre, ahead), rate_hz, MARKER_CUTOFF_HZ)
    if gait == "walking":
        off = _peaks(-np.einsum("ni,ni->n", front - centre, ahead), rate_hz, MARKER_CUTOFF_HZ)
    else:
        off = _push_offs(front[:, up], _peaks(back[:, up], rate_hz, MARKER_CUTOFF_HZ), contact, rate_hz)
    return GaitEvents(contact / rate_hz, off / rate_hz, f"foot_markers_{gait}")


def events_from_force(vertical_n: ArrayLike, rate_hz: float, *, threshold_n: float = 20.0) -> GaitEvents:
    """Return one foot's events from the ``vertical_n`` (n,) force on it, in newtons, upward positive.

    Contact is where the force rises through ``threshold_n`` and toe-off where it falls through it, between samples;
    a load or a relief shorter than 0.08 s is noise. Raises ``DataError`` where the force points down.
    """
    force = _signal(vertical_n, "vertical force")
    if np.isfinite(force).any() and -np.nanmin(force) > max(np.nanmax(force), threshold_n):
        raise DataError(
            f"expected the ground's force on the foot, upward positive, found {np.nanmin(force):.0f} to "
            f"{np.nanmax(force):.0f} N; change its sign"
        )
    contact: list[float] = []
    off: list[float] = []
    for first, stretch in _stretches(np.isfinite(force), rate_hz):
        part = force[stretch]
        loaded = _without_short_runs(part > threshold_n, round(SHORTEST_PHASE_S * rate_hz))
        for before in np.flatnonzero(np.diff(loaded.astype(np.int8))):
            crossing = first + before + _crossing(part[before], part[before + 1], threshold_n)
            (contact if loaded[before + 1] else off).append(crossing)
    return GaitEvents(np.array(contact, dtype=np.float64) / rate_hz, np.array(off, dtype=np.float64) / rate_hz, "force")


def events_from_gyro(forward_rad_s: ArrayLike, rate_hz: float) -> GaitEvents:
    """Return one foot's events from the rate (n,) at which its shank swings, in rad/s, positive when it swings forward.

    That is the gyro about the segment's Z on both legs. Mid-swing is the peak above 50 degrees per second, contact the
    first minimum after it, toe-off the deepest minimum before it, within half a second (Aminian et al. 2002, J.
    Biomech. 35:689-699; Salarian et al. 2004, IEEE TBME 51:1434-1443). Raises ``DataError`` for rates that must be
    degrees, and for a rate whose sign is turned.
    """
    rate = _signal(forward_rad_s, "shank rate")
    smooth = _smooth(rate, rate_hz, GYRO_CUTOFF_HZ)
    if np.isfinite(smooth).any():
        _check_shank_rate(smooth)
    swings = [place for place in _peaks(rate, rate_hz, GYRO_CUTOFF_HZ) if smooth[place] > SWING_RAD_S]
    minima, _ = find_peaks(-smooth)
    reach = SWING_SEARCH_S * rate_hz
    contact, off = [], []
    for swing in swings:
        after = minima[(minima > swing) & (minima <= swing + reach) & (smooth[minima] < 0)]
        before = minima[(minima < swing) & (minima >= swing - reach) & (smooth[minima] < 0)]
        if after.size:
            contact.append(after[0])
        if before.size:
            off.append(before[np.argmin(smooth[before])])
    return GaitEvents(np.array(contact, dtype=np.float64) / rate_hz, np.array(off, dtype=np.float64) / rate_hz, "gyro")


def events_from_hip_angle(hip_flexion_deg: ArrayLike, rate_hz: float) -> GaitEvents:
    """Return one foot's contacts from its hip's flexion (n,) in degrees: 15 % of a stride after each peak.

    The hip is flexed most at 85 % of the cycle that begins with contact. A stride lasts from one peak to the next;
    after the last peak of a stretch, as long as the one before. There are no toe-offs. Raises ``DataError`` for another
    shape.
    """
    return _from_flexion(_signal(hip_flexion_deg, "hip flexion"), rate_hz, HIP_PEAK_SHARE, "hip_angle")


def events_from_knee_angle(knee_flexion_deg: ArrayLike, rate_hz: float) -> GaitEvents:
    """Return one foot's contacts from its knee's flexion (n,) in degrees: 28 % of a stride after each peak in swing.

    As ``events_from_hip_angle``, for a reference without a hip. Strides are told as well; the instant of contact is
    less sure, for gaits differ more in when the knee is flexed most. Raises ``DataError`` for another shape.
    """
    return _from_flexion(_signal(knee_flexion_deg, "knee flexion"), rate_hz, KNEE_PEAK_SHARE, "knee_angle")


def _from_flexion(flexion: FloatArray, rate_hz: float, peak_share: float, method: str) -> GaitEvents:
    """Return the contacts that follow a peak which comes once in a stride, at ``peak_share`` of it."""
    contact = []
    for first, stretch in _stretches(np.isfinite(flexion), rate_hz):
        peaks = first + _peaks(flexion[stretch], rate_hz, ANGLE_CUTOFF_HZ)
        strides = np.diff(peaks)
        if strides.size:
            found = peaks + (1 - peak_share) * np.append(strides, strides[-1])
            contact.append(found[found < first + (stretch.stop - stretch.start)])
    times = np.concatenate(contact) / rate_hz if contact else np.empty(0)
    return GaitEvents(times, np.empty(0), method)


# --- signals ---------------------------------------------------------------------------------------------------------


def _signal(values: ArrayLike, name: str) -> FloatArray:
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1:
        raise DataError(f"expected the {name} of one leg, shape (n,), got {found.shape}")
    return found


def _points(values: ArrayLike, name: str) -> FloatArray:
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 2 or found.shape[1] != 3:
        raise DataError(f"expected the {name} marker of shape (n, 3), got {found.shape}")
    return found


def _direction(forward: int | ArrayLike, up: int, count: int) -> FloatArray:
    """Return horizontal unit vectors (n, 3)."""
    given = np.eye(3)[forward] if isinstance(forward, int) else np.asarray(forward, dtype=np.float64)
    level = np.array(np.broadcast_to(given, (count, 3)))
    level[:, up] = 0.0
    length = np.linalg.norm(level, axis=1, keepdims=True)
    if (length == 0).any():
        raise DataError("expected a forward direction that is not vertical; name the world's axis that is walked along")
    return np.asarray(level / length, dtype=np.float64)


def _stretches(known: BoolArray, rate_hz: float) -> Iterator[tuple[int, slice]]:
    """Yield the start and the slice of every stretch of known samples that is long enough to hold an event."""
    edges = np.diff(np.concatenate([[False], known, [False]]).astype(np.int8))
    for start, stop in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        if stop - start >= _SHORTEST_STRETCH_S * rate_hz:
            yield int(start), slice(int(start), int(stop))


def _smooth(signal: FloatArray, rate_hz: float, cutoff_hz: float) -> FloatArray:
    """Return the signal after a zero-phase low-pass (4th order), NaN outside stretches that can be filtered."""
    if cutoff_hz >= rate_hz / 2:
        return signal
    sections = butter(2, cutoff_hz, fs=rate_hz, output="sos")
    found = np.full_like(signal, np.nan)
    for _, stretch in _stretches(np.isfinite(signal), rate_hz):
        found[stretch] = sosfiltfilt(sections, signal[stretch])
    return found


def _peaks(signal: FloatArray, rate_hz: float, cutoff_hz: float) -> NDArray[np.intp]:
    """Return the samples of the peaks that come once in a stride."""
    smooth = _smooth(signal, rate_hz, cutoff_hz)
    known = smooth[np.isfinite(smooth)]
    if not known.size:
        return np.empty(0, dtype=np.intp)
    low, high = np.quantile(known, [0.05, 0.95])
    distance = max(1.0, SHORTEST_STRIDE_S * rate_hz)
    found, _ = find_peaks(smooth, distance=distance, prominence=max(LEAST_SHARE * (high - low), 1e-12))
    return np.asarray(found, dtype=np.intp)


def _push_offs(
    height: FloatArray, highest: NDArray[np.intp], contact: NDArray[np.intp], rate_hz: float
) -> NDArray[np.intp]:
    """Return where the toe's vertical acceleration peaks between each contact and the heel's next highest place."""
    acceleration = np.gradient(np.gradient(_smooth(height, rate_hz, PUSH_OFF_CUTOFF_HZ)))
    found = []
    for sample in contact:
        later = highest[(highest > sample) & (highest < sample + _HEEL_RISE_S * rate_hz)]
        if later.size:
            first = sample + round(LANDED_SHARE * (later[0] - sample))
            if np.isfinite(acceleration[first : later[0]]).all():
                found.append(first + int(np.argmax(acceleration[first : later[0]])))
    return np.array(found, dtype=np.intp)


def _check_shank_rate(rate: FloatArray) -> None:
    """Raise ``DataError`` for a rate in degrees, or one that is fastest when negative, as no walking shank is."""
    low, high = np.nanquantile(rate, [0.005, 0.995])
    if max(high, -low) > FASTEST_RAD_S:
        fastest = max(high, -low)
        raise DataError(f"expected the shank's rate in rad/s, found up to {fastest:.0f}; convert it from degrees")
    if -low > max(high, SWING_RAD_S):
        raise DataError(
            f"expected the shank's rate positive when it swings forward, found {low:.1f} to {high:.1f} rad/s; "
            "change its sign"
        )


def _crossing(before: float, after: float, threshold: float) -> float:
    """Return where between two samples a line crosses the threshold; 0.5 where it does not (a bridged short run)."""
    if (before - threshold) * (after - threshold) > 0:
        return 0.5
    return float((threshold - before) / (after - before))


def _without_short_runs(loaded: BoolArray, least: int) -> BoolArray:
    """Return the mask with short reliefs filled first, and then short loads removed; both ends are left alone."""
    done = loaded.copy()
    for value in (False, True):
        edges = np.flatnonzero(np.diff(done.astype(np.int8))) + 1
        for start, stop in pairwise(edges):
            if done[start] == value and stop - start < least:
                done[start:stop] = not value
    return done
