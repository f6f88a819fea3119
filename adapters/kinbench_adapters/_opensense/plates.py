"""The marker plates that the study fixed to its sensors: how each is turned, from its markers against its own shape.

Every sensor rode on a plate with four markers (left legs have a fifth), labelled ``<Base>_IMU_O``, ``_X``, ``_Y``,
``_D`` or ``_1`` to ``_4``. Which marker is which matters only to somebody who trusts the plate's axes; here they are
arbitrary (the first good frame's), since the constant rotation to the sensor is estimated from motion.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError
from kinbench.kinematics import RigidFit, fit_rigid, quaternions
from kinbench_adapters._formats.opensim import TrcTable, read_trc

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

BASES: dict[str, str] = {
    "pelvis": "pelvis", "back": "trunk", "torso": "trunk",
    **{
        word: f"{segment}_{letter}"
        for segment, bone in (("thigh", "femur"), ("shank", "tibia"), ("foot", "foot"), ("foot", "calcn"))
        for letter in "rl"
        for word in (f"{letter}{bone}", f"{bone}{letter}")
    },
}  # fmt: skip
"""The plates' names in lower case, letters alone: ``R.Femur`` in the study, ``femur_r`` in copies of it."""

_LABEL = re.compile(r"^(?:.*:)?(?P<base>.+)_IMU_(?:[OXYD]|[1-5])$", re.IGNORECASE)
_METRES = {"m": 1.0, "mm": 1e-3}

PLATE_M = (0.03, 0.4)
"""How far apart the two farthest markers of a plate can be. It tells metres from millimetres."""
RESIDUAL_LIMIT_M = 0.01
"""A frame whose markers lie further than this (root mean square) from the plate's shape shows a wrong marker."""
JUMP_DEG, JUMP_DEG_S = 20.0, 1500.0
"""No plate turns further from one known frame to the next than the first and the second times the time between."""
JUMPS_TRIED = 200
SHAPE_FRAMES = 500
"""So many frames, spread over the trial, make a mean shape that is known ten times better than one frame."""
LEAST_FRAMES = 50


@dataclass(frozen=True)
class Plate:
    """One plate: ``rotation`` (n, 3, 3) plate to lab, ``origin`` (n, 3) m, ``residual`` (n,) m; NaN where unknown.

    ``lost`` counts the frames without three markers, ``refused`` those beyond ``RESIDUAL_LIMIT_M``, and ``exchanged``
    those in which two markers bore each other's names and were put back.
    """

    markers: tuple[str, ...]
    rotation: FloatArray
    origin: FloatArray
    residual: FloatArray
    lost: int
    refused: int
    exchanged: int

    def plain(self) -> dict[str, object]:
        """Return what is to be said of it, for a recording's history."""
        known = self.residual[np.isfinite(self.residual)]
        return {
            "markers": list(self.markers),
            "residual_mm": round(float(np.sqrt(np.mean(known**2))) * 1e3, 3) if known.size else None,
            "lost": self.lost,
            "refused": self.refused,
            "exchanged": self.exchanged,
        }


@dataclass(frozen=True)
class Plates:
    """The plates of one trial by segment, on the cameras' clock; ``units`` as believed, ``written`` as in the file."""

    path: Path
    rate_hz: float
    time: FloatArray
    by_segment: Mapping[str, Plate]
    units: str
    written: str


def read_plates(path: Path) -> Plates:
    """Read the plates of one ``.trc``.

    Raises ``DataError`` for a file that ``read_trc`` refuses, whose time does not rise, that holds no plate, or whose
    plates have the size of a plate neither in metres nor in millimetres.
    """
    table = read_trc(path)
    if table.time.size < 2 or not (np.diff(table.time) > 0).all():
        raise DataError("Expected times that rise at every row; they stand still, fall, or are too few.", where=path)
    markers = {
        segment: (names, _known(table.values[:, [table.markers.index(name) for name in names]]))
        for segment, names in _labels(table).items()
    }
    markers = {segment: found for segment, found in markers.items() if _complete(found[1]).sum() >= LEAST_FRAMES}
    if not markers:
        raise DataError(
            "Expected marker plates, three or more markers such as 'R.Femur_IMU_O' (or _1 to _5) on one sensor, found "
            "none that is seen whole.",
            where=path,
        )
    units = _units(path, table.units, [values for _, values in markers.values()])
    by_segment = {
        segment: _plate(names, values * _METRES[units], table.time)
        for segment, (names, values) in sorted(markers.items())
    }
    return Plates(path, table.rate_hz, table.time, by_segment, units, table.units)


def _labels(table: TrcTable) -> dict[str, tuple[str, ...]]:
    """Return the labels of every plate with at least three markers, by segment."""
    found: dict[str, list[str]] = {}
    for name in table.markers:
        match = _LABEL.match(name)
        segment = BASES.get(re.sub(r"[^a-z]", "", match["base"].lower())) if match else None
        if segment is not None:
            found.setdefault(segment, []).append(name)
    return {segment: tuple(names) for segment, names in found.items() if len(names) >= 3}


def _known(values: FloatArray) -> FloatArray:
    """Return markers with NaN for those that were not seen: some exporters write them as zeros, at the lab's origin."""
    unseen = (values == 0).all(axis=2, keepdims=True)
    return np.where(unseen, np.nan, values)


def _complete(markers: FloatArray) -> BoolArray:
    """Return the frames that show every marker of the plate which is seen at all in most of them."""
    seen: BoolArray = np.asarray(np.isfinite(markers).all(axis=2))
    usual = np.flatnonzero(seen.mean(axis=0) > 0.5)
    return np.asarray(seen[:, usual].all(axis=1) & (usual.size >= 3))


def _units(path: Path, written: str, plates: list[FloatArray]) -> str:
    """Return the unit in which the plates have a plate's size; raises where there is none."""
    reach = float(np.median([np.nanmedian(_distances(plate).max(axis=1)) for plate in plates]))
    fitting = [unit for unit, metres in _METRES.items() if PLATE_M[0] <= reach * metres <= PLATE_M[1]]
    if not fitting:
        raise DataError(
            f"The plates' farthest markers are {reach:.4g} apart and the file says '{written}'; expected "
            f"{PLATE_M[0]} to {PLATE_M[1]} m, in m or mm.",
            where=path,
        )
    return fitting[0]


def _distances(markers: FloatArray) -> FloatArray:
    """Return all distances between markers (n, pairs), zero where one is missing."""
    pairs = [np.linalg.norm(markers[:, i] - markers[:, j], axis=1) for i, j in combinations(range(markers.shape[1]), 2)]
    return np.asarray(np.nan_to_num(np.stack(pairs, axis=1)))


# --- one plate -------------------------------------------------------------------------------------------------------


def _plate(names: tuple[str, ...], markers: FloatArray, time: FloatArray) -> Plate:
    """Fit every frame to the plate's mean shape, in metres; put back markers that bear each other's names."""
    usual = np.isfinite(markers).all(axis=2).mean(axis=0) > 0.5
    names = tuple(name for name, kept in zip(names, usual, strict=True) if kept)
    markers = markers[:, usual]
    shape = _shape(markers)
    fit = fit_rigid(shape, markers)
    lost = int(np.isnan(fit.residual).sum())
    mended = _by_shape(shape, markers, fit) | _by_jumps(shape, markers, fit, time)
    refused = fit.residual > RESIDUAL_LIMIT_M
    for values in (fit.rotation, fit.translation, fit.residual):
        values[refused] = np.nan
    return Plate(names, fit.rotation, fit.translation, fit.residual, lost, int(refused.sum()), int(mended.sum()))


def _by_shape(shape: FloatArray, markers: FloatArray, fit: RigidFit) -> BoolArray:
    """Mend, in place, frames that fit the shape only if two markers change names; return which they are (n,)."""
    mended = fit.residual > RESIDUAL_LIMIT_M
    wrong = np.flatnonzero(mended)
    for order in _exchanges(markers.shape[1]):
        if not wrong.size:
            break
        markers[wrong], before = markers[wrong][:, order], markers[wrong]
        again = fit_rigid(shape, markers[wrong])
        good = again.residual <= RESIDUAL_LIMIT_M
        _replace(fit, wrong[good], again, good)
        markers[wrong[~good]] = before[~good]
        wrong = wrong[~good]
    mended[wrong] = False
    return np.asarray(mended)


def _by_jumps(shape: FloatArray, markers: FloatArray, fit: RigidFit, time: FloatArray) -> BoolArray:
    """Mend, in place, frames from a jump on that no plate can make, if markers change names; return which (n,).

    Corners that change names across the diagonal of a square fit its shape as well as before, half a turn away.
    """
    known = np.flatnonzero(fit.residual <= RESIDUAL_LIMIT_M)
    quat = quaternions(fit.rotation[known])
    turn = np.degrees(2 * np.arccos(np.clip(np.abs((quat[1:] * quat[:-1]).sum(axis=1)), 0, 1)))
    jumps = np.flatnonzero(turn > JUMP_DEG + JUMP_DEG_S * np.diff(time[known]))
    mended, renamed = np.zeros(len(markers), dtype=bool), np.arange(markers.shape[1])
    for place in jumps[:JUMPS_TRIED]:
        before, after = known[place], known[place + 1]
        ahead = np.arange(after, len(markers))
        if _apart_deg(fit.rotation[before], fit.rotation[after]) <= JUMP_DEG:
            continue
        orders = np.array(list(permutations(range(markers.shape[1]))))
        tried = fit_rigid(shape, markers[after][orders])
        apart = np.array([_apart_deg(fit.rotation[before], rotation) for rotation in tried.rotation])
        apart[~(tried.residual <= RESIDUAL_LIMIT_M)] = np.inf
        best = int(np.argmin(apart))
        if apart[best] <= JUMP_DEG:
            markers[ahead] = markers[ahead][:, orders[best]]
            _replace(fit, ahead, fit_rigid(shape, markers[ahead]), np.ones(ahead.size, dtype=bool))
            renamed = renamed[orders[best]]
        mended[ahead] = (renamed != np.arange(renamed.size)).any()
    return mended


def _exchanges(count: int) -> list[list[int]]:
    """Return every order of markers in which two have changed places."""
    orders = []
    for i, j in combinations(range(count), 2):
        order = [*range(count)]
        order[i], order[j] = j, i
        orders.append(order)
    return orders


def _replace(fit: RigidFit, frames: NDArray[np.intp], other: RigidFit, which: BoolArray) -> None:
    fit.rotation[frames] = other.rotation[which]
    fit.translation[frames] = other.translation[which]
    fit.residual[frames] = other.residual[which]


def _apart_deg(one: FloatArray, other: FloatArray) -> float:
    return float(np.degrees(np.arccos(np.clip((np.sum(one * other) - 1) / 2, -1, 1))))


def _shape(markers: FloatArray) -> FloatArray:
    """Return the plate's mean shape (k, 3), centred, in the axes of its most ordinary frame."""
    whole = markers[np.isfinite(markers).all(axis=(1, 2))]
    whole = whole[:: max(1, len(whole) // SHAPE_FRAMES)]
    between = _distances(whole)
    ordinary = np.abs(between - np.median(between, axis=0)).sum(axis=1)
    shape = whole[int(np.argmin(ordinary))]
    for _ in range(2):
        fit = fit_rigid(shape, whole)
        inward = np.einsum("nij,nki->nkj", fit.rotation, whole - fit.translation[:, None])
        shape = np.nanmedian(inward, axis=0)
    return np.asarray(shape - shape.mean(axis=0), dtype=np.float64)
