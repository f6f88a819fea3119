"""What a proposal asks, in words for somebody who knows the laboratory and not kinbench, and what may be answered."""

from __future__ import annotations

from kinbench import schema

SEGMENTS = f"{', '.join(schema.SEGMENTS[:-1])} or {schema.SEGMENTS[-1]}"
_TIERS = {
    "optical_marker_ik": "from optical markers by a body model or inverse kinematics",
    "optical_6dof": "from clusters of optical markers, each segment by itself",
    "markerless_video": "from video without markers",
    "body_model_fit": "from a body's shape fitted to scans or markers",
    "encoder": "by a goniometer, an encoder or a robot's joint",
    "imu_fusion": "computed from the sensors themselves: to compare with, no truth",
    "simulation": "made up by a computer",
}
_CONVENTIONS = {
    "isb_zxy": "flexion, then ab/adduction, then rotation, as the ISB recommends",
    "calgary_clinic": "as the Running Injury Clinic's code prints them",
    "opensim_coordinate": "an OpenSim model's coordinates",
    "plug_in_gait": "Vicon's Plug-in Gait",
    "visual3d": "Visual3D's joint angles",
    "axis_angle": "one angle about one axis",
    "encoder_pin": "about a device's own pin",
}
LICENCE = "Who may use these data? Write an SPDX name (CC-BY-4.0, MIT) or words such as 'none stated'"
ACTIVITY = (
    f"What did they do? Write one of {', '.join(word for word in schema.ACTIVITIES if word != 'unknown')}, other:<what "
    "it was>, or unknown; for some recordings only, see 'recordings' in the manual"
)
SUBJECT = (
    "Whose recordings are these? The files' names do not tell. If all are one person's, write a name (P1); if not, "
    "write {subject} into 'files' in the place of what tells the person in a name, and take 'fields' out"
)
SEGMENT = (
    f"On which segment was it? Write {SEGMENTS} (_r: the person's right leg), or take this line out: the sensor is "
    "then left out"
)
RATE = "How many samples a second (Hz)? Write the number"
TIME = (
    "Which column is the clock, and in which unit does it count? Write {column: its name, unit: s, ms or us}, with "
    "'regular: false' where it stumbles; without a clock write 'rate_hz: 100' (samples a second) in the place of 'time'"
)
KIND = (
    "Is gravity in these accelerations? Write specific_force (an accelerometer at rest reads 9.81 m/s2) or "
    "gravity_removed (it reads 0)"
)
COLUMNS = "Which columns are x, y and z? Write [name of x, name of y, name of z]"
CALIBRATE = (
    "How was it turned on the segment? Give its axes (see 'sensors' in the manual), write auto again, or leave out "
    "'calibrate': its turn then stays unknown, and no task can use it that needs it"
)
FILES = "Which files are to be read? Mend them or write the pattern of others"
READER = "Are these files whole, and what their beginnings say? Mend them or leave them out"
TIER = f"How were the angles measured? Write {'; '.join(f'{word} ({what})' for word, what in _TIERS.items())}"
CONVENTION = f"Which angles are they? Write {'; '.join(f'{word} ({what})' for word, what in _CONVENTIONS.items())}"
SYNC = (
    "How do the clocks of sensors and reference stand to each other? Write hardware (started together by a cable) or "
    "same_clock (one device); declared, with 'offset_s: ' below it (start of the reference minus start of the sensors, "
    "in seconds); or estimated (kinbench finds the shift by movement, and refuses where it is not sure)"
)
ORDER = "In which order are the four numbers? Write wxyz or xyzw"
MAPS = (
    "Do they turn vectors from the sensor to the world, or back? Write sensor_to_world (what most devices give) or "
    "world_to_sensor"
)
UP = "Which axis of the orientations' world points up? Write x, y, z, -x, -y or -z"
MARKERS_UP = "Which axis of the laboratory points up? Write x, y, z, -x, -y or -z"
_UNITS = {
    "imu.acc.unit": ("accelerations", "m/s2, g or mg"), "imu.gyr.unit": ("angular rates", "rad/s or deg/s"),
    "reference.unit": ("angles", "deg or rad"), "reference.markers.unit": ("markers", "m, cm or mm"),
}  # fmt: skip
_BY_WORD = {
    "licence": LICENCE, "activity": ACTIVITY, "subject": SUBJECT, "segment": SEGMENT, "rate_hz": RATE, "time": TIME,
    "kind": KIND, "columns": COLUMNS, "calibrate": CALIBRATE, "files": FILES, "reader": READER, "tier": TIER,
    "convention": CONVENTION, "method": SYNC, "order": ORDER, "maps": MAPS, "up": UP,
}  # fmt: skip


def question(field: str) -> str:
    """Return the question that an empty field asks, and what may be answered."""
    if field.startswith("reference.angles."):
        return sign(field.rpartition(".")[2])
    if field in _UNITS:
        what, words = _UNITS[field]
        return f"In which unit are the {what}? Write {words}"
    if field == "reference.world.up":
        return MARKERS_UP
    return _BY_WORD[field.rpartition(".")[2]]


def sign(dof: str) -> str:
    """Return the question which way a joint's angle counts."""
    if dof not in schema.DOFS:
        return f"Of which leg? Write {dof}_r (right) or {dof}_l (left) in the place of '{dof}'"
    return f"Is {schema.DOFS[dof].positive} positive in it (write sign: 1) or negative (sign: -1)?"


def side_question(segment: str, told: str) -> str:
    """Return the question of which leg a sensor was."""
    return f"Of which leg? It is on a {segment} by {told}. Write {segment}_r (the person's right) or {segment}_l (left)"
