"""Joint coordinates from measured markers by OpenSim's own inverse kinematics, with the error of every marker.

Each frame is the pose of the scaled model whose markers lie nearest to the measured ones, in the sense of weighted
least squares (Lu & O'Connor, J Biomech 32, 1999; Delp et al., IEEE Trans Biomed Eng 54, 2007). OpenSim (the
``opensim`` extra) runs in a child process (``_formats.child``), since a damaged model can crash or hang the
interpreter that loads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError, UsageError, suggest
from kinbench_adapters._formats import child
from kinbench_adapters._formats.opensim import TrcTable

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

METRES = {"m": 1.0, "cm": 1e-2, "mm": 1e-3}

_START_S, _FRAME_S = 120.0, 0.2
"""What a model may take to load, and a frame to solve; a usual one takes 3 ms."""
_ACCURACY = 1e-5
_REFUSED_M = 0.1
"""A model whose markers stay a decimetre off is not this person's, or the file's unit is not what it says."""
_NUDGE = 1e-3
_ROOT_MARKERS, _MARKERS = 3, 2
"""How many of its markers a body must show: a joint holds one point of every body but the first."""


@dataclass(frozen=True)
class MarkerIk:
    """What the inverse kinematics found.

    ``values`` (n, coordinate) are degrees (metres for a translation), NaN in frames that show too few markers;
    ``error_m`` (n, marker) is each marker's distance from the model's, NaN where it was not seen or a frame is not
    believed. ``unused`` are markers of the file that the model does not have.
    """

    coordinates: tuple[str, ...]
    values: FloatArray
    markers: tuple[str, ...]
    error_m: FloatArray
    unused: tuple[str, ...]
    weights: Mapping[str, float]
    version: str

    @property
    def error_rms_m(self) -> float:
        """The root mean square of all marker errors."""
        return float(np.sqrt(np.nanmean(self.error_m**2)))

    def plain(self) -> dict[str, Any]:
        """Return how it was done and how well the model fits, as JSON-plain values for the history."""
        by_marker = np.sqrt(np.nanmean(self.error_m**2, axis=0))
        return {
            "opensim": self.version,
            "markers": len(self.markers),
            "unused_markers": list(self.unused),
            "weights": dict(self.weights),
            "frames": len(self.values),
            "frames_masked": int(np.isnan(self.values).any(axis=1).sum()),
            "marker_error_rms_m": round(self.error_rms_m, 6),
            "marker_error_max_m": round(float(np.nanmax(self.error_m)), 6),
            "worst_marker": self.markers[int(np.argmax(by_marker))],
        }


def solve(
    model: Path, table: TrcTable, coordinates: Sequence[str], *, weights: Mapping[str, float], where: Path
) -> MarkerIk:
    """Return the named coordinates of a scaled model (``.osim``) that follows the markers of a table.

    ``weights`` are those of markers that weigh other than 1; 0 leaves one out. Raises ``UsageError`` where OpenSim is
    not installed; ``DataError`` (all problems at once) where model and markers do not fit: no model, no common
    markers, a coordinate that the model lacks, has locked, or that no marker moves, a weight for no marker, a marker
    error beyond 0.1 m RMS; and where OpenSim fails or takes too long.
    """
    if find_spec("opensim") is None:
        raise UsageError(
            f"{where}: 'opensim_ik' needs OpenSim, which is not installed; install it with pip install "
            "'kinbench[opensim]'"
        )
    if table.units not in METRES:
        raise DataError(f"expected markers in {', '.join(METRES)}, found '{table.units}'", where=where)
    if not model.is_file():
        raise DataError(f"expected the scaled model '{model.name}' for these markers, found none", where=model.parent)
    found = _solved(model, table, weights, where)
    told, arrays = found.values, found.arrays
    _refuse(told, arrays, coordinates, weights, model, where)
    index = [told["coordinates"].index(name) for name in coordinates]
    believed = arrays["believed"]
    values = np.where(told["rotational"], np.degrees(arrays["values"]), arrays["values"])[:, index]
    error_m = np.where(believed[:, None], arrays["error_m"], np.nan)
    values[~believed] = np.nan
    ik = MarkerIk(
        tuple(coordinates), values, tuple(told["markers"]), error_m, tuple(told["unused"]), dict(weights),
        told["version"],
    )  # fmt: skip
    if ik.error_rms_m > _REFUSED_M:
        raise DataError(
            f"the model's markers stay {ik.error_rms_m:.3f} m RMS from the measured ones, expected less than "
            f"{_REFUSED_M:g} m; scale the model to this person, or correct the file's unit ('{table.units}')",
            where=where,
        )
    return ik


def _solved(model: Path, table: TrcTable, weights: Mapping[str, float], where: Path) -> child.Told:
    """Return what OpenSim makes of the markers, in a process of its own."""
    asked = {"model": str(model.resolve()), "markers": list(table.markers), "weights": dict(weights)}
    measured = {"time": table.time, "position_m": table.values * METRES[table.units]}
    timeout_s = _START_S + _FRAME_S * len(table.time)
    try:
        return child.run(_track_all, child.Told(asked, measured), timeout_s=timeout_s)
    except child.ChildError as error:
        raise DataError(f"OpenSim's inverse kinematics failed: {error}", where=where) from None


def _refuse(
    told: Mapping[str, Any],
    arrays: child.Arrays,
    coordinates: Sequence[str],
    weights: Mapping[str, float],
    model: Path,
    where: Path,
) -> None:
    known = told["coordinates"]
    unknown = [name for name in coordinates if name not in known]
    problems = [f"{model.name} has no coordinate '{name}'.{suggest(name, known)}" for name in unknown]
    problems += [
        f"there is a weight for marker '{name}', which {model.name} and these markers do not both have."
        f"{suggest(name, told['common'])}"
        for name in weights
        if name not in told["common"]
    ]
    if len(told["markers"]) < _ROOT_MARKERS:
        problems.append(
            f"expected at least {_ROOT_MARKERS} markers that {model.name} has too, found {len(told['markers'])}; the "
            f"model has {', '.join(told['model_markers'][:5]) or 'none'}"
        )
    for name in coordinates:
        if name in known and name in told["locked"]:
            problems.append(f"coordinate '{name}' is locked in {model.name}, so markers cannot move it")
        elif name in known and arrays and name not in told["moving"]:
            problems.append(f"coordinate '{name}' moves none of the markers, so they cannot tell it")
    if not problems and not arrays["believed"].any():
        problems.append("no frame shows enough markers of every body to believe its pose")
    if problems:
        raise DataError(problems, where=where)


# --- the child's side ------------------------------------------------------------------------------------------------
# OpenSim's wrapped objects do not keep each other alive: whatever an object came out of must keep a name.


def _track_all(request: child.Told) -> child.Told:
    """Return the model's coordinates and marker errors in every frame; runs in a process of its own."""
    import opensim

    opensim.Logger.setLevelString("Off")
    opensim.Logger.removeFileSink()
    asked, time, position_m = request.values, request.arrays["time"], request.arrays["position_m"]
    model = opensim.Model(asked["model"])
    state = model.initSystem()
    coordinates = [model.getCoordinateSet().get(i) for i in range(model.getCoordinateSet().getSize())]
    model_markers = [model.getMarkerSet().get(i).getName() for i in range(model.getMarkerSet().getSize())]
    common = [name for name in asked["markers"] if name in model_markers]
    used = [name for name in common if asked["weights"].get(name, 1.0) > 0]
    told = {
        "version": opensim.GetVersion(),
        "coordinates": [coordinate.getName() for coordinate in coordinates],
        "rotational": [coordinate.getMotionType() == opensim.Coordinate.Rotational for coordinate in coordinates],
        "locked": [coordinate.getName() for coordinate in coordinates if coordinate.getLocked(state)],
        "model_markers": model_markers,
        "common": common,
        "markers": used,
        "unused": [name for name in asked["markers"] if name not in model_markers],
    }
    if len(used) < _ROOT_MARKERS:
        return child.Told(told)
    position_m = position_m[:, [asked["markers"].index(name) for name in used]]
    told["moving"] = _moving(model, state, coordinates, used)
    seen = np.asarray(np.isfinite(position_m).all(axis=2), dtype=bool)
    values, error_m = _track(opensim, model, coordinates, time, position_m, used, asked["weights"])
    bodies = [model.getMarkerSet().get(name).getParentFrameName() for name in used]
    error_m = np.where(seen, error_m, np.nan)
    return child.Told(told, {"values": values, "error_m": error_m, "believed": _believed(seen, bodies)})


def _moving(model: Any, state: Any, coordinates: Sequence[Any], names: Sequence[str]) -> list[str]:
    """Return the coordinates that move a marker when they are nudged from the default pose."""
    markers = [model.getMarkerSet().get(name) for name in names]

    def places() -> FloatArray:
        model.realizePosition(state)
        points = [marker.getLocationInGround(state) for marker in markers]
        return np.array([[point.get(axis) for axis in range(3)] for point in points])

    at_rest, moving = places(), []
    for coordinate in coordinates:
        value = coordinate.getValue(state)
        coordinate.setValue(state, value + _NUDGE, False)
        if np.abs(places() - at_rest).max() > 1e-3 * _NUDGE:
            moving.append(str(coordinate.getName()))
        coordinate.setValue(state, value, False)
    return moving


def _believed(seen: BoolArray, bodies: Sequence[str]) -> BoolArray:
    """Return (n,) whether every body shows markers enough: three of the best marked one, two of the others.

    A body that carries fewer must show all it has.
    """
    counts = {body: bodies.count(body) for body in dict.fromkeys(bodies)}
    root = max(counts, key=lambda body: ("pelvis" in body.lower(), counts[body]))
    enough = np.ones(len(seen), dtype=bool)
    for body, count in counts.items():
        needed = min(count, _ROOT_MARKERS if body == root else _MARKERS)
        enough &= seen[:, [other == body for other in bodies]].sum(axis=1) >= needed
    return enough


def _track(
    opensim: Any,
    model: Any,
    coordinates: Sequence[Any],
    time: FloatArray,
    position_m: FloatArray,
    names: Sequence[str],
    weights: Mapping[str, float],
) -> tuple[FloatArray, FloatArray]:
    """Return the coordinates (n, coordinate) and marker errors (n, marker) of every frame."""
    table = opensim.TimeSeriesTableVec3()
    table.setColumnLabels(list(names))
    for t, frame in zip(time, position_m, strict=True):
        row = opensim.RowVectorVec3(len(names))
        for j, point in enumerate(frame):
            row[j] = opensim.Vec3(*map(float, point))
        table.appendRow(float(t), row)
    weighed = opensim.SetMarkerWeights()
    for name in names:
        weighed.cloneAndAppend(opensim.MarkerWeight(name, float(weights.get(name, 1.0))))
    reference = opensim.MarkersReference(table, weighed)
    none = opensim.SimTKArrayCoordinateReference()
    solver = opensim.InverseKinematicsSolver(model, reference, none, float("inf"))
    solver.setAccuracy(_ACCURACY)
    state = model.initSystem()
    state.setTime(float(time[0]))
    solver.assemble(state)
    values, error_m = np.empty((len(time), len(coordinates))), np.empty((len(time), len(names)))
    for k, t in enumerate(time):
        state.setTime(float(t))
        solver.track(state)
        values[k] = [coordinate.getValue(state) for coordinate in coordinates]
        error_m[k] = [solver.computeCurrentMarkerError(name) for name in names]
    return values, error_m
