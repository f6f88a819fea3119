"""How one person walks: normal joint curves as Fourier series, bent to a style, and a trial's course of angles.

The curves are read off published ones of healthy adults at natural cadence, rounded to the degree, every 5 % of the
stride from heel contact: sagittal hip, knee and ankle after Winter, *The Biomechanics and Motor Control of Human Gait*
(2nd ed. 1991) and Perry & Burnfield, *Gait Analysis* (2nd ed. 2010); the other planes, pelvis and trunk after Kadaba
et al., J Orthop Res 8:383-392 (1990). Names and signs are those of ``kinbench.schema.DOFS`` (the trunk's components
are Z, X, Y of trunk in pelvis). Six harmonics keep such curves to within a degree.

Numbers are drawn from ``numpy.random.RandomState``, whose stream numpy keeps for ever, so that a seed means the same
people with any numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d

FloatArray = NDArray[np.float64]

HARMONICS = 6

_LEG_CURVES: dict[str, tuple[float, ...]] = {
    "hip_flexion": (35, 34, 31, 27, 22, 17, 11, 5, -1, -5, -8, -6, 1, 12, 22, 30, 35, 37, 37, 36),
    "hip_adduction": (0, 3, 5, 6, 6, 5, 5, 4, 4, 3, 1, -3, -6, -6, -5, -4, -3, -2, -1, -1),
    "hip_internal_rotation": (-3, 0, 2, 3, 3, 3, 3, 3, 3, 3, 2, 1, -1, -3, -4, -4, -3, -3, -3, -4),
    "knee_flexion": (5, 12, 18, 20, 17, 13, 9, 6, 5, 7, 13, 24, 38, 53, 61, 61, 52, 36, 18, 6),
    "knee_adduction": (0, 1, 1, 1, 1, 0, 0, 0, 0, 0, -1, -2, -2, -1, 1, 3, 3, 2, 1, 0),
    "knee_internal_rotation": (-2, 1, 3, 4, 4, 3, 2, 1, 0, -1, -1, 0, 1, 1, 0, -1, -3, -4, -5, -4),
    "ankle_dorsiflexion": (0, -5, -3, 1, 4, 6, 7, 9, 10, 9, 5, -5, -17, -19, -12, -6, -2, 0, 1, 1),
    "ankle_inversion": (2, 0, -2, -3, -3, -3, -3, -2, -2, -1, 1, 4, 5, 4, 3, 2, 2, 2, 2, 2),
    "ankle_internal_rotation": (-3, -4, -5, -5, -5, -5, -5, -5, -6, -6, -5, -3, -1, 0, -1, -2, -2, -3, -3, -3),
}
_BODY_CURVES: dict[str, tuple[float, ...]] = {
    "pelvis_tilt": (-10, -10, -11, -11, -11, -11, -10, -10, -9, -9, -10, -10, -11, -11, -11, -11, -10, -10, -9, -9),
    "pelvis_list": (0, -2, -4, -4, -3, -2, -1, -1, 0, 0, 0, 2, 4, 4, 3, 2, 1, 1, 0, 0),
    "pelvis_rotation": (5, 5, 4, 2, 1, 0, -1, -2, -3, -4, -5, -5, -4, -2, -1, 0, 1, 2, 3, 4),
    "trunk_extension": (7, 8, 9, 9, 8, 7, 6, 6, 6, 7, 7, 8, 9, 9, 8, 7, 6, 6, 6, 7),
    "trunk_bending": (0, 2, 4, 5, 4, 3, 2, 1, 0, 0, 0, -2, -4, -5, -4, -3, -2, -1, 0, 0),
    "trunk_rotation": (-9, -8, -7, -5, -3, -1, 1, 3, 5, 7, 9, 8, 7, 5, 3, 1, -1, -3, -5, -7),
}
LEG_DOFS = tuple(f"{stem}_{letter}" for letter in "rl" for stem in _LEG_CURVES)
DOFS = (*LEG_DOFS, *_BODY_CURVES)
"""Every angle of the chain, in the order of the columns of all arrays here."""

# What healthy adults differ by, as standard deviations. With amplitude, timing and shape these offsets give 4 to 6
# degrees between people in the sagittal plane, as Winter's and Kadaba's bands do.
_OFFSET_SD_DEG = {"hip_flexion": 3.5, "knee_flexion": 3.5, "ankle_dorsiflexion": 2.5, "pelvis_tilt": 3.5}
_OTHER_OFFSET_SD_DEG = 2.0
_AMPLITUDE_SD = 0.09
_LAG_SD_STRIDE = 0.012
_WARP_SD_STRIDE = 0.010
_SHAPE_SD = 0.10
_ASYMMETRY = 0.3
"""What share of the deviations each leg has to itself."""
# What one person's strides differ by.
_STRIDE_TIME_SD = 0.02
_STRIDE_AMPLITUDE_SD = 0.03
_STRIDE_OFFSET_SD_DEG = 0.7
_SWAY_SD_DEG, _SWAY_S = 0.25, 1.2


@dataclass(frozen=True)
class Style:
    """One person's walk: a Fourier series per DoF, the stance, the stride time and a private time warp.

    ``coefficients`` (HARMONICS + 1, dof) complex, degrees; ``stance_deg`` (dof,) the upright pose; ``stride_s`` at
    natural pace; ``warp`` (amplitude, phase) in strides.
    """

    coefficients: NDArray[np.complex128]
    stance_deg: FloatArray
    stride_s: float
    warp: tuple[float, float]


@dataclass(frozen=True)
class Course:
    """One trial at ``rate_hz``: what the joints do, and where in the stride the person is.

    ``time`` (n,) s; ``angles`` (n, dof) degrees in the order of ``DOFS``; ``heading_deg`` (n,) to the left;
    ``phase`` (n,) strides since the start, heel contact of the right foot at whole numbers; ``effort`` (n,) 0 standing
    to 1 walking.
    """

    rate_hz: float
    time: FloatArray
    angles: FloatArray
    heading_deg: FloatArray
    phase: FloatArray
    effort: FloatArray


@dataclass(frozen=True)
class Walk:
    """What a trial asks for: seconds in all, seconds of standing at its start, how the way turns, natural pace."""

    length_s: float
    stand_s: float
    turn_deg: float
    straight_s: tuple[float, float]
    pace: float


@cache
def normal_coefficients() -> NDArray[np.complex128]:
    """Return the Fourier series of the normal curves, (HARMONICS + 1, dof): ``Re sum c_k exp(2 pi i k phase)``."""
    curves = [_LEG_CURVES[name.rsplit("_", 1)[0]] if name in LEG_DOFS else _BODY_CURVES[name] for name in DOFS]
    spectrum = np.fft.rfft(np.asarray(curves, dtype=np.float64), axis=1).T[: HARMONICS + 1] / len(curves[0])
    spectrum[1:] *= 2
    left = np.array([name.endswith("_l") for name in DOFS])
    half_a_stride = (-1.0) ** np.arange(HARMONICS + 1)
    spectrum[:, left] *= half_a_stride[:, None]
    return spectrum


def draw_style(random: np.random.RandomState, *, stride_s: float, amplitude: float) -> Style:
    """Return a person's style: the normal curves, bent in offset, amplitude, timing and shape.

    ``stride_s`` and ``amplitude`` are what the person's laboratory tends to (a slow corridor, a brisk hall).
    """
    normal = normal_coefficients()
    harmonic = np.arange(HARMONICS + 1)
    spread = np.array([_OFFSET_SD_DEG.get(_stem(name), _OTHER_OFFSET_SD_DEG) for name in DOFS])
    offset = spread * _both_legs(random)
    scale = amplitude * (1 + _AMPLITUDE_SD * _both_legs(random))
    lag = _LAG_SD_STRIDE * _both_legs(random)
    shape = 1 + _SHAPE_SD * np.stack([_both_legs(random) + 1j * _both_legs(random) for _ in harmonic])
    shape[:2] = 1  # the mean and the first harmonic are bent by offset, amplitude and lag
    bent = normal * shape * np.exp(-2j * np.pi * harmonic[:, None] * lag)
    bent[1:] *= scale
    bent[0] += offset
    return Style(
        coefficients=bent,
        stance_deg=_stance(random, bent[0].real),
        stride_s=stride_s * float(np.exp(0.05 * random.normal())),
        warp=(_WARP_SD_STRIDE * float(random.normal()), float(random.uniform())),
    )


def normal_angles(style: Style, phase: FloatArray) -> FloatArray:
    """Return a person's mean stride, (n, dof) degrees, at ``phase`` (n,) in strides."""
    return np.asarray(style.coefficients[0].real + _oscillation(style, phase), dtype=np.float64)


def walk(random: np.random.RandomState, style: Style, plan: Walk, rate_hz: float) -> Course:
    """Return one trial: standing still, then straight ways, turns and pauses, no two strides alike."""
    time = np.arange(round(plan.length_s * rate_hz)) / rate_hz
    effort, pace, turning = _itinerary(random, plan, time)
    strides = int(2 * plan.length_s / style.stride_s) + 4
    rhythm = _per_stride(random, strides, 1)
    blind = np.cumsum(effort * pace) / (rate_hz * style.stride_s)
    phase = np.cumsum(effort * pace * (1 + _STRIDE_TIME_SD * rhythm(blind)[:, 0])) / (rate_hz * style.stride_s)
    phase += random.uniform()
    size = np.sqrt(pace)[:, None] * (1 + _STRIDE_AMPLITUDE_SD * _per_stride(random, strides, len(DOFS))(phase))
    drift = _STRIDE_OFFSET_SD_DEG * _per_stride(random, strides, len(DOFS))(phase)
    walking = style.coefficients[0].real + size * _oscillation(style, phase) + drift
    sway = _SWAY_SD_DEG * smooth_noise(random, time, len(DOFS), _SWAY_S)
    angles = style.stance_deg + effort[:, None] * (walking - style.stance_deg) + sway
    heading = random.uniform(-180, 180) + np.cumsum(turning) / rate_hz
    return Course(rate_hz, time, angles, heading, phase, effort)


def smooth_noise(random: np.random.RandomState, time: FloatArray, columns: int, every_s: float) -> FloatArray:
    """Return (n, columns) of smooth noise of about unit standard deviation: a spline through a draw ``every_s``."""
    knots = np.arange(time[0], time[-1] + 2 * every_s, every_s)
    return np.asarray(CubicSpline(knots, random.normal(size=(len(knots), columns)))(time), dtype=np.float64)


def _oscillation(style: Style, phase: FloatArray) -> FloatArray:
    depth, where = style.warp
    warped = phase + depth * np.sin(2 * np.pi * (phase - where))
    waves = np.exp(2j * np.pi * warped[:, None] * np.arange(1, HARMONICS + 1))
    swing = waves.real @ style.coefficients[1:].real - waves.imag @ style.coefficients[1:].imag
    return np.asarray(swing, dtype=np.float64)


def _itinerary(random: np.random.RandomState, plan: Walk, time: FloatArray) -> tuple[FloatArray, ...]:
    """Return effort (0 to 1), pace and turning (degrees per second), all (n,) and smooth."""
    effort, pace, turning = np.zeros_like(time), np.full_like(time, plan.pace), np.zeros_like(time)
    stop = plan.length_s - 2.0
    effort[(time >= plan.stand_s + 0.6) & (time < stop)] = 1
    now, leg = plan.stand_s + 0.6, 0
    while now < stop:
        straight, turn = random.uniform(*plan.straight_s), random.uniform(2.2, 3.2)
        pace[time >= now] = plan.pace * random.uniform(0.9, 1.1)
        bend = (time >= now + straight) & (time < now + straight + turn)
        pace[bend] *= 0.85
        turning[bend] = plan.turn_deg / turn * random.uniform(0.95, 1.05) * random.choice([-1, 1])
        now, leg = now + straight + turn, leg + 1
        if leg % 3 == 0:
            pause = random.uniform(1.5, 2.5)
            effort[(time >= now) & (time < now + pause)] = 0
            now += pause
    rate = 1 / (time[1] - time[0])
    return tuple(gaussian_filter1d(values, 0.18 * rate, mode="nearest") for values in (effort, pace, turning))


def _per_stride(random: np.random.RandomState, strides: int, columns: int) -> CubicSpline:
    """Return smooth deviations of unit standard deviation, one draw per stride, as functions of the phase."""
    return CubicSpline(np.arange(strides), random.normal(size=(strides, columns)))


def _stance(random: np.random.RandomState, mean: FloatArray) -> FloatArray:
    """Return the upright pose: legs nearly straight, feet flat on the floor, all else half as in walking."""
    pose = 0.5 * mean
    column = {name: index for index, name in enumerate(DOFS)}
    tilt = mean[column["pelvis_tilt"]]
    pose[column["pelvis_tilt"]] = tilt
    for letter in "rl":
        hip, knee = -tilt + 2 * random.normal(), 4 + 2 * random.normal()
        pose[column[f"hip_flexion_{letter}"]] = hip
        pose[column[f"knee_flexion_{letter}"]] = knee
        pose[column[f"ankle_dorsiflexion_{letter}"]] = knee - hip - tilt
    return pose


def _both_legs(random: np.random.RandomState) -> FloatArray:
    """Return (dof,) unit deviations, of which the two legs of a person share most."""
    stems = sorted({_stem(name) for name in DOFS})
    shared = dict(zip(stems, random.normal(size=len(stems)), strict=True))
    own = random.normal(size=len(DOFS))
    return np.array(
        [
            np.sqrt(1 - _ASYMMETRY**2) * shared[_stem(name)] + _ASYMMETRY * deviation
            for name, deviation in zip(DOFS, own, strict=True)
        ]
    )


def _stem(name: str) -> str:
    return name.rsplit("_", 1)[0] if name in LEG_DOFS else name
