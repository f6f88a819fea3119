"""OpenSim itself, in a process of its own: it reads, writes and poses, and leaves what it found in an ``.npz``.

In a process of its own because it can crash the interpreter, prints, and writes a log file where it stands. Its
wrapped objects do not keep each other alive: every intermediate one must have a name here.
"""

import json
import sys
from pathlib import Path

import numpy as np

TABLES = {1: "TimeSeriesTable", 3: "TimeSeriesTableVec3", 4: "TimeSeriesTableQuaternion"}
"""OpenSim's table, by how many numbers a cell holds."""

MARKER_FRAMES = 25


def reads(paths):
    """Yield, per file, the labels, times and values (n, column * element) that OpenSim finds, or why it refuses."""
    for path, elements in paths:
        try:
            table = getattr(opensim, TABLES[elements])(path)
        except RuntimeError as error:
            yield {"refused": str(error)}
            continue
        flat = table.flatten() if elements > 1 else table
        matrix = flat.getMatrix()
        yield {
            "labels": json.dumps(list(table.getColumnLabels())),
            "time": np.array(table.getIndependentColumn()),
            "values": matrix.to_numpy().copy(),
            **(markers(path) if path.endswith(".trc") else {}),
        }


def markers(path):
    """Return a few frames of a .trc by OpenSim's other reader, the one its marker tools use."""
    data = opensim.MarkerData(path)
    rows = np.unique(np.linspace(0, data.getNumFrames() - 1, MARKER_FRAMES).astype(int))
    values = np.empty((len(rows), data.getNumMarkers(), 3))
    for k, row in enumerate(rows):
        frame = data.getFrame(int(row))
        for j in range(values.shape[1]):
            point = frame.getMarker(j)
            values[k, j] = [point.get(axis) for axis in range(3)]
    return {"marker_rows": rows, "marker_values": values, "marker_rate_hz": data.getDataRate()}


def written(target, labels, time, values):
    """Write a .sto as OpenSim does."""
    table = opensim.TimeSeriesTable()
    table.setColumnLabels(labels)
    for t, row in zip(time, values, strict=True):
        table.appendRow(float(t), opensim.RowVector(np.asarray(row, dtype=float)))
    table.addTableMetaDataString("inDegrees", "yes")
    opensim.STOFileAdapter.write(table, target)


def pose(model_path, names, values, bodies):
    """Return (n, body, 3, 3) rotations in ground of a model put into poses (n, coordinate), rad and m, and its poses.

    A locked coordinate stays, and one coupled to another follows it.
    """
    model = opensim.Model(model_path)
    state = model.initSystem()
    coordinates = [model.getCoordinateSet().get(name) for name in names]
    rotations, posed = np.empty((len(values), len(bodies), 3, 3)), np.empty((len(values), len(names)))
    for k, row in enumerate(values):
        for coordinate, value in zip(coordinates, row, strict=True):
            if not coordinate.getLocked(state):
                coordinate.setValue(state, float(value), False)
        model.assemble(state)
        model.realizePosition(state)
        for j, name in enumerate(bodies):
            body = model.getBodySet().get(name)
            transform = body.getTransformInGround(state)
            rotation = transform.R()
            rotations[k, j] = [[rotation.get(a, b) for b in range(3)] for a in range(3)]
        posed[k] = [coordinate.getValue(state) for coordinate in coordinates]
    return rotations, posed


MARKERS = {
    "pelvis": ((0.1, 0.05, 0.12), (0.1, 0.05, -0.12), (-0.1, 0.06, 0.05), (-0.1, 0.06, -0.05)),
    "femur_r": ((0.07, -0.15, 0.03), (0.02, -0.25, 0.08), (0.0, -0.4, 0.06)),
    "tibia_r": ((0.04, -0.15, 0.02), (0.0, -0.25, 0.06), (0.0, -0.39, 0.05)),
    "hand_r": (),
}
JOINTS = {
    "femur_r": ("pelvis", "hip_flexion_r", (0, -0.05, 0.08)),
    "tibia_r": ("femur_r", "knee_angle_r", (0, -0.42, 0)),
    "hand_r": ("pelvis", "wrist_flex_r", (0, 0.2, 0.3)),
}


def leg(target, values, locked=()):
    """Write a model of a pelvis, a leg and an unmarked hand; return where its markers are (n, marker, 3), and who.

    ``values`` (n, 2) are hip flexion and knee angle, rad, about Z; the pelvis moves with them.
    """
    model = opensim.Model()
    bodies = {name: opensim.Body(name, 1.0, opensim.Vec3(0), opensim.Inertia(0.1)) for name in MARKERS}
    for body in bodies.values():
        model.addBody(body)
    root = opensim.FreeJoint("ground_pelvis", model.getGround(), bodies["pelvis"])
    model.addJoint(root)
    joints = []
    for name, (parent, coordinate, at) in JOINTS.items():
        zero = opensim.Vec3(0)
        joint = opensim.PinJoint(name, bodies[parent], opensim.Vec3(*at), zero, bodies[name], zero, zero)
        joint.updCoordinate().setName(coordinate)
        joint.updCoordinate().set_locked(coordinate in locked)
        model.addJoint(joint)
        joints.append(joint)
    names = []
    for body, places in MARKERS.items():
        for number, at in enumerate(places):
            names.append(f"{body}_{number}")
            model.addMarker(opensim.Marker(names[-1], bodies[body], opensim.Vec3(*at)))
    model.finalizeConnections()
    model.printToXML(target)
    state = model.initSystem()
    coordinates = [model.getCoordinateSet().get(name) for name in ("hip_flexion_r", "knee_angle_r")]
    pelvis = [model.getCoordinateSet().get(i) for i in range(6)]
    places = np.empty((len(values), len(names), 3))
    for k, row in enumerate(values):
        for coordinate, value in zip(coordinates, row, strict=True):
            coordinate.setValue(state, float(value), False)
        for axis, coordinate in enumerate(pelvis):
            coordinate.setValue(state, float(0.2 * np.sin(0.05 * k + axis)), False)
        model.realizePosition(state)
        for j, name in enumerate(names):
            marker = model.getMarkerSet().get(name)
            point = marker.getLocationInGround(state)
            places[k, j] = [point.get(axis) for axis in range(3)]
    return places, names


def main(request, target):
    """Do what the request (a JSON file) asks; write the answers to ``target``."""
    asked = json.loads(Path(request).read_text())
    found = {}
    for number, answer in enumerate(reads(asked.get("read", ()))):
        found |= {f"{number}/{name}": value for name, value in answer.items()}
    if "write" in asked:
        written(**asked["write"])
    if "pose" in asked:
        found["rotations"], found["posed"] = pose(**asked["pose"])
    if "leg" in asked:
        found["markers"], found["names"] = leg(**asked["leg"])
    np.savez(target, **found)


if __name__ == "__main__":
    import opensim

    opensim.Logger.setLevelString("Off")
    opensim.Logger.removeFileSink()
    main(*sys.argv[1:])
