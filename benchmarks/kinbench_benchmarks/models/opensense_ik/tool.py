"""OpenSim's IMUPlacer and IMUInverseKinematicsTool, run as a script in a process of their own.

They write logs and files wherever they stand, and a wrong model can take the interpreter with it. The one argument is
the path of a JSON file: ``model`` (.osim), ``placement`` and ``orientations`` (.sto, worlds with Y up), ``base`` (a
sensor's name), ``heading_axis``, ``weights`` (by sensor; empty: all alike), ``motion`` (a .mot) and ``about`` (JSON),
both to be written. ``about`` gets ``coordinates``, those of the model with their default range in degrees, or
``failed``, a sentence.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

PLACED = "placed.osim"


def solve(job: dict[str, Any]) -> dict[str, Any]:
    """Place the sensors, solve every frame, and return what to tell of the model."""
    import opensim

    opensim.Logger.setLevelString("Error")
    straight = opensim.Vec3(0.0, 0.0, 0.0)  # the worlds already have Y up
    placer = opensim.IMUPlacer()
    placer.set_model_file(job["model"])
    placer.set_orientation_file_for_calibration(job["placement"])
    placer.set_sensor_to_opensim_rotations(straight)
    placer.set_base_imu_label(job["base"])
    placer.set_base_heading_axis(job["heading_axis"])
    placer.run(False)
    placed = placer.getCalibratedModel()
    placed.printToXML(PLACED)
    tool = opensim.IMUInverseKinematicsTool()
    tool.set_model_file(PLACED)
    tool.set_orientations_file(job["orientations"])
    tool.set_sensor_to_opensim_rotations(straight)
    tool.set_results_directory(".")
    tool.set_output_motion_file(job["motion"])
    tool.set_report_errors(True)
    # Of its own accord OpenSim 4.6 ends after two seconds: the default range is "-Inf 2".
    tool.set_time_range(0, -math.inf)
    tool.set_time_range(1, math.inf)
    if job["weights"]:
        weights = opensim.OrientationWeightSet()
        for name, weight in job["weights"].items():
            weights.cloneAndAppend(opensim.OrientationWeight(name, weight))
        tool.set_orientation_weights(weights)
    tool.run(False)
    return {"coordinates": _coordinates(placed)}


def _coordinates(model: Any) -> dict[str, list[float]]:
    coordinates = model.getCoordinateSet()
    every = (coordinates.get(index) for index in range(coordinates.getSize()))
    return {each.getName(): [math.degrees(each.getRangeMin()), math.degrees(each.getRangeMax())] for each in every}


def main(path: Path) -> None:
    """Do one job, and write what came of it."""
    job = json.loads(path.read_text(encoding="utf-8"))
    try:
        about = solve(job)
    except Exception as error:  # the boundary of the process: whatever OpenSim raises is told as its sentence
        about = {"failed": " ".join(str(error).split()) or type(error).__name__}
    Path(job["about"]).write_text(json.dumps(about), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
