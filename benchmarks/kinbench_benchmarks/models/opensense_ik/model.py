"""A musculoskeletal model posed by OpenSim so that its sensors stand as the real ones do."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench.contracts import ModelCard
from kinbench.errors import DataError, UsageError, suggest
from kinbench.kinematics import matrices, quaternions
from kinbench.schema import DOF_ALIASES
from kinbench.windows import Stream
from kinbench_benchmarks.models._filter import Filter
from kinbench_benchmarks.models._orientation import at_rest, check_source, mean_rotation, orientation_on_grid

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]

BODIES = {
    "trunk": "torso_imu", "pelvis": "pelvis_imu", "thigh_r": "femur_r_imu", "shank_r": "tibia_r_imu",
    "foot_r": "calcn_r_imu", "thigh_l": "femur_l_imu", "shank_l": "tibia_l_imu", "foot_l": "calcn_l_imu",
}  # fmt: skip
"""Sensors as OpenSim names them: a frame of the body it is on."""
WEIGHTINGS = ("uniform", "low-feet")
_LOW_FEET = {"shank": 0.5, "foot": 0.01}
"""The other weighting of the OpenSense study (Al Borno et al. 2022): shanks and, above all, feet count less."""
_COORDINATES = {dof: coordinate for coordinate, dof in DOF_ALIASES.items()}
_SEEN_FROM_BEHIND_DEG = 30.0
MODELS = "https://github.com/opensim-org/opensim-models/tree/master/Models/Rajagopal_OpenSense"


class OpenSenseIk(Filter):
    """Joint angles by OpenSim's IMUPlacer and IMUInverseKinematicsTool, and by no imitation of them.

    ``model`` is the .osim file (one is at ``MODELS``). ``orientation``: ``device``, or ``vqf``
    with the magnetometer, for all sensors must have one heading.
    ``weighting``: ``uniform``, or ``low-feet`` (1 for trunk, pelvis and thighs, 0.5 for shanks, 0.01 for feet).
    ``heading_axis`` is the axis of the base sensor that points forward in the pose (``x`` to ``-z``); the base is the
    pelvis' sensor or, without one, the first. ``pose``: the placement is that of the first second at ``rest``, or of so
    many seconds after the start; the person then stands as the model does by default. ``rate_hz`` solves so many frames
    a second and draws the angles between; the task's rate unless set. ``offset`` as ``Filter`` says.
    """

    card = ModelCard(
        name="opensense-ik",
        version="1",
        title="OpenSense inverse kinematics",
        description="OpenSim's own IMUPlacer and IMUInverseKinematicsTool on a model that the user names; orientations "
        "as the device gives them, or by VQF with the magnetometer. Nothing is learnt.",
        citation="Al Borno et al. 2022, J NeuroEng Rehabil 19:22; Laidig and Seel 2023, Inf. Fusion 91:187-204",
    )

    def __init__(
        self,
        model: str = "",
        orientation: str = "device",
        weighting: str = "uniform",
        heading_axis: str = "z",
        pose: float | str = "rest",
        rate_hz: float | None = None,
        offset: bool = False,
    ) -> None:
        super().__init__(offset)
        check_source(orientation, orientation == "vqf")
        if weighting not in WEIGHTINGS:
            raise UsageError(
                f"opensense-ik weighting: expected one of {', '.join(WEIGHTINGS)}, got {weighting!r}."
                f"{suggest(str(weighting), WEIGHTINGS)}"
            )
        if str(heading_axis).lstrip("-") not in ("x", "y", "z"):
            raise UsageError(f"opensense-ik heading_axis: expected an axis such as z or -x, got {heading_axis!r}")
        if pose != "rest" and (isinstance(pose, str | bool) or not pose >= 0):
            raise UsageError(f"opensense-ik pose: expected rest, or seconds from the start, got {pose!r}")
        if rate_hz is not None and not rate_hz > 0:
            raise UsageError(f"opensense-ik rate_hz: expected frames a second above 0, got {rate_hz!r}")
        self.model = _model_file(model)
        self.files = {"model": self.model}
        self.orientation, self.weighting, self.heading_axis = orientation, weighting, str(heading_axis)
        self.pose, self.rate_hz = pose, rate_hz

    def estimate(self, stream: Stream) -> Float32Array:
        """Return angles (samples, dof) in degrees; NaN where any sensor holds nothing.

        Raises ``DataError`` where OpenSim refuses the model or the frames, with its reason, and where the model has no
        coordinate for an angle that is asked for.
        """
        strange = [name for name in stream.dofs if name not in _COORDINATES]
        if strange:
            raise DataError(f"OpenSim has no coordinate that is {', '.join(strange)}")
        segments = [str(name) for name in stream.imu["segment"].values if str(name) in BODIES]
        if not segments:
            raise DataError("there is no sensor on trunk, pelvis or legs")
        standing = {
            segment: orientation_on_grid(
                stream, segment, orientation=self.orientation, magnetometer=self.orientation == "vqf"
            )
            for segment in segments
        }  # fmt: skip
        posed = {segment: self._posed(stream, quat, segments) for segment, quat in standing.items()}
        base = "pelvis" if "pelvis" in segments else segments[0]
        ahead, aside = _facing(posed[base][0], self.heading_axis)
        posed = {segment: _turned(aside, quat) for segment, quat in posed.items()}
        standing = {segment: _turned(ahead, quat) for segment, quat in standing.items()}
        known = np.all([np.isfinite(quat).all(axis=1) for quat in standing.values()], axis=0)
        if not known.any():
            raise DataError("at no instant do all of its sensors have an orientation")
        every = max(1, round(stream.spec.rate_hz / self.rate_hz)) if self.rate_hz else 1
        frames = _thinned(known, every)
        solved = {segment: quat[frames] for segment, quat in standing.items()}
        table, about = self._solved(base, posed, solved, stream.time_s[frames])
        columns = [_angle(name, table, about, self.model) for name in stream.dofs]
        found = np.full((stream.time_s.size, len(columns)), np.nan)
        for column, values in enumerate(columns):
            found[known, column] = np.interp(stream.time_s[known], stream.time_s[frames], values)
        return self._levelled(stream, found)

    def _posed(self, stream: Stream, quat: FloatArray, segments: list[str]) -> FloatArray:
        """Return the orientation (1, 4) of one sensor in the pose."""
        if self.pose == "rest":
            inside = at_rest(stream, segments)
        else:
            first = min(int(np.searchsorted(stream.time_s, float(self.pose))), stream.time_s.size - 1)
            inside = slice(first, first + 1)
        return quaternions(mean_rotation(quat[inside]))[None]

    def _solved(
        self, base: str, posed: Mapping[str, FloatArray], standing: Mapping[str, FloatArray], time_s: FloatArray
    ) -> tuple[dict[str, FloatArray], dict[str, Any]]:
        """Return the coordinates of the solved frames in degrees, by name, and what the tool told of the model."""
        with tempfile.TemporaryDirectory(prefix="opensense-ik-") as place:
            folder = Path(place)
            _write(folder / "placement.sto", posed, np.zeros(1))
            _write(folder / "orientations.sto", standing, time_s)
            job = {
                "model": str(self.model), "placement": "placement.sto", "orientations": "orientations.sto",
                "base": BODIES[base], "heading_axis": self.heading_axis, "weights": self._weights(list(standing)),
                "motion": "ik.mot", "about": "about.json",
            }  # fmt: skip
            (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
            _run_tool(folder)
            about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
            if "failed" in about:
                raise DataError(f"OpenSim could not solve it: {about['failed']}", where=self.model)
            table = _read(folder / "ik.mot")
            self._note(f"OpenSim left the sensors {_left_over_deg(folder):.1f} degrees (RMS) from where they stand")
        if len(table["time"]) != time_s.size:
            raise DataError(f"OpenSim solved {len(table['time'])} of {time_s.size} frames", where=self.model)
        return table, about

    def _weights(self, segments: list[str]) -> dict[str, float]:
        if self.weighting == "uniform":
            return {}
        return {BODIES[name]: _LOW_FEET.get(name.split("_")[0], 1.0) for name in segments}


def _model_file(path: str) -> Path:
    """Return the model's file; raises ``UsageError`` where none is named, none is there, or OpenSim is not."""
    if not path:
        raise UsageError(f"opensense-ik needs a model: 'opensense-ik[model=FILE.osim]', such as those at {MODELS}")
    if not Path(path).is_file():
        raise UsageError(f"opensense-ik model: expected an .osim file, found none at '{path}'")
    if importlib.util.find_spec("opensim") is None:
        raise UsageError("OpenSim is not installed; run 'pip install kinbench[opensim]'.")
    return Path(path).resolve()


def _facing(quat: FloatArray, axis: str) -> tuple[FloatArray, FloatArray]:
    """Return the turns (4,) of the world about Y after which the base's heading axis points along X, and along -Z.

    The frames that are solved are to face X: facing elsewhere, the pelvis begins far from where the model stands, and
    the solver does not always find its way. The pose is to face aside: IMUPlacer (OpenSim 4.6) measures in space by
    how much the base is to be turned to X, not in the horizontal, so that an axis that is tilted by 16 degrees is
    taken to be 16 degrees off when it faces X, and rightly 90 degrees off when it faces aside.
    """
    letter = "xyz".index(axis.lstrip("-"))
    heading = matrices(quat)[:, letter] * (-1.0 if axis.startswith("-") else 1.0)
    to_x = float(np.arctan2(heading[2], heading[0]))
    ahead, aside = (np.array([np.cos(half), 0.0, np.sin(half), 0.0]) for half in (to_x / 2, (to_x + np.pi / 2) / 2))
    return ahead, aside


def _turned(turn: FloatArray, quat: FloatArray) -> FloatArray:
    """Return orientations (n, 4) with their world turned, NaN where they were."""
    return quaternions(matrices(turn) @ matrices(quat))


def _thinned(known: NDArray[np.bool_], every: int) -> NDArray[np.int64]:
    """Return which frames to solve: every so many of those known, the last one in any case."""
    frames = np.flatnonzero(known)
    return np.asarray(np.union1d(frames[::every], frames[-1:]), dtype=np.int64)


def _angle(dof: str, table: Mapping[str, FloatArray], about: Mapping[str, Any], model: Path) -> FloatArray:
    """Return one of the schema's angles in degrees; a knee that the model bends backwards is turned round."""
    coordinate = _COORDINATES[dof]
    if coordinate not in table:
        raise DataError(f"the model has no coordinate '{coordinate}', which is {dof}", where=model)
    low, high = about["coordinates"][coordinate]
    backwards = coordinate.startswith("knee_angle") and high <= _SEEN_FROM_BEHIND_DEG < -low
    return -table[coordinate] if backwards else table[coordinate]


# --- files and the process -------------------------------------------------------------------------------------------


def _write(path: Path, standing: Mapping[str, FloatArray], time_s: FloatArray) -> None:
    """Write orientations, sensor to world, as a .sto file of quaternions."""
    names = "\t".join(BODIES[segment] for segment in standing)
    head = ["DataRate=100", "DataType=Quaternion", "version=3", "OpenSimVersion=4.6", "endheader", f"time\t{names}"]
    quats = np.stack(list(standing.values()), axis=1)
    rows = [
        "\t".join([f"{at:.9g}", *(",".join(f"{part:.12g}" for part in quat) for quat in row)])
        for at, row in zip(time_s.tolist(), quats.tolist(), strict=True)
    ]
    path.write_text("\n".join([*head, *rows]) + "\n", encoding="utf-8")


def _read(path: Path) -> dict[str, FloatArray]:
    lines = path.read_text(encoding="utf-8").splitlines()
    begin = lines.index("endheader") + 1
    if "inDegrees=yes" not in lines[:begin]:
        raise DataError("OpenSim wrote angles that are not said to be in degrees", where=path)
    values = np.array([[float(part) for part in line.split("\t")] for line in lines[begin + 1 :] if line.strip()])
    return dict(zip(lines[begin].split("\t"), values.T, strict=True))


def _left_over_deg(folder: Path) -> float:
    """Return how far (RMS over frames and sensors) the solved model's sensors are from the real ones.

    It is in a file that the tool names itself, in radians.
    """
    (path,) = folder.glob("*rientationErrors.sto")
    lines = path.read_text(encoding="utf-8").splitlines()
    begin = lines.index("endheader") + 2
    errors = np.array([[float(part) for part in line.split("\t")[1:]] for line in lines[begin:] if line.strip()])
    return float(np.degrees(np.sqrt(np.mean(errors**2))))


def _run_tool(folder: Path) -> None:
    """Run the tool in a folder of its own and wait; raises ``DataError`` where the process dies without a word."""
    command = [sys.executable, "-I", str(Path(__file__).with_name("tool.py")), "job.json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if not (folder / "about.json").is_file():
        last = (done.stderr or done.stdout or "it said nothing").strip().splitlines()[-1]
        raise DataError(f"OpenSim ended with code {done.returncode}: {last}")
