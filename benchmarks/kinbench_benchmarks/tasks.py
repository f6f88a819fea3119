"""The benchmark's tasks: frozen values, as the table of protocols 1, Tasks. Any change is a new version."""

from __future__ import annotations

from dataclasses import replace

from kinbench.schema import BODY_ACCELERATIONS
from kinbench.tasks import Around, Moving, Task

_RATE_HZ = 100.0
_WINDOW = 128
_STRIDE = 64
_SIX_AXES = ("acc", "gyr")

KNEE_PAIR = Task(
    name="knee-pair",
    version=1,
    title="Knee flexion from a thigh and a shank sensor",
    segments=("thigh", "shank"),
    channels=_SIX_AXES,
    dofs=("knee_flexion",),
    rate_hz=_RATE_HZ,
    window=_WINDOW,
    stride=_STRIDE,
    per_leg=True,
    variants=("knee-pair/free-acc",),
)
"""12 channels in segment axes, each leg a sample, windows of 1.28 s every 0.64 s, any activity that moves."""

KNEE_PAIR_FREE_ACC = replace(
    KNEE_PAIR,
    name="knee-pair/free-acc",
    title=f"{KNEE_PAIR.title} without gravity, in sensor axes",
    acc_kind="gravity_removed",
    axes="sensor",
    variants=("knee-pair",),
)
"""For devices that give gravity-free acceleration only: without gravity there is no way to calibrate the axes."""

ANKLE_PAIR = replace(
    KNEE_PAIR,
    name="ankle-pair",
    title="Ankle dorsiflexion from a shank and a foot sensor",
    segments=("shank", "foot"),
    dofs=("ankle_dorsiflexion",),
    variants=("ankle-pair/free-acc",),
)
"""As ``KNEE_PAIR``, one joint further down."""

ANKLE_PAIR_FREE_ACC = replace(
    ANKLE_PAIR,
    name="ankle-pair/free-acc",
    title=f"{ANKLE_PAIR.title} without gravity, in sensor axes",
    acc_kind="gravity_removed",
    axes="sensor",
    variants=("ankle-pair",),
)
"""As ``KNEE_PAIR_FREE_ACC``, one joint further down."""

SAGITTAL = Task(
    name="sagittal",
    version=1,
    title="Sagittal hip, knee and ankle angles of both legs from pelvis, thigh, shank and foot sensors",
    segments=("pelvis", "thigh_r", "shank_r", "foot_r", "thigh_l", "shank_l", "foot_l"),
    channels=_SIX_AXES,
    dofs=(
        "hip_flexion_r", "knee_flexion_r", "ankle_dorsiflexion_r",
        "hip_flexion_l", "knee_flexion_l", "ankle_dorsiflexion_l",
    ),
    rate_hz=_RATE_HZ,
    window=_WINDOW,
    stride=_STRIDE,
    activities=("walking", "walking_treadmill"),
)  # fmt: skip
"""42 channels in segment axes, six DoFs; walking over ground or on a treadmill."""

# --- ground reactions and moments (Tan et al. 2024) ------------------------------------------------------------------

_ALL_EIGHT = ("trunk", "pelvis", "thigh_r", "shank_r", "foot_r", "thigh_l", "shank_l", "foot_l")
_FOUR = ("trunk", "thigh_r", "shank_r", "foot_r")
_FORCES = ("grf_medial_r", "grf_anterior_r", "grf_vertical_r")
_STEP = 64

GRF_TREADMILL = Task(
    name="grf/treadmill",
    version=1,
    title="Ground reaction of the right foot on a treadmill from up to eight sensors",
    segments=_ALL_EIGHT,
    channels=_SIX_AXES,
    dofs=_FORCES,
    rate_hz=_RATE_HZ,
    window=_WINDOW,
    stride=_STRIDE,
    activities=("walking_treadmill",),
    moving=None,
    quantity="grf",
    optional=tuple(name for name in _ALL_EIGHT if name not in _FOUR),
    shortest=_STEP,
    variants=("grf/treadmill/4", "grf/treadmill/1"),
)
"""48 channels in segment axes, medial, anterior and vertical force in body weights, all of a walk.

Sensors other than the trunk's and the right leg's may be missing. A step cut out by itself is padded to a window.
"""

GRF_OVERGROUND = replace(
    GRF_TREADMILL,
    name="grf/overground",
    title="Ground reaction of the right foot over ground from up to eight sensors",
    activities=("walking",),
    around=Around(before=40, length=_WINDOW),
    variants=("grf/overground/4", "grf/overground/1"),
)
"""As ``GRF_TREADMILL``, from 40 samples before each contact with a plate to 88 after: one window a contact."""

GRF_DROP_LANDING = replace(
    GRF_TREADMILL,
    name="grf/drop-landing",
    title="Ground reaction of the right foot when landing from a drop, from up to eight sensors",
    activities=("drop_landing",),
    around=Around(before=30, length=80),
    variants=("grf/drop-landing/4", "grf/drop-landing/1"),
)
"""As ``GRF_TREADMILL``, 0.8 s from the jump, padded to a window.

A plate does not see where the jump begins; from a box of 0.3 to 0.45 m the fall takes 0.25 to 0.3 s, so the 80 samples
begin 30 before the foot touches the plate.
"""


def _with_sensors(task: Task, segments: tuple[str, ...], words: str) -> Task:
    """Return a task of forces with fewer sensors, all of which must be there."""
    return replace(
        task,
        name=f"{task.name}/{len(segments)}",
        title=task.title.replace("up to eight sensors", words),
        segments=segments,
        optional=(),
        variants=(),
        by_name=True,
    )


_TRUNK_AND_LEG, _FOOT_ALONE = "the trunk's and the right leg's sensors", "a sensor on the right foot"
GRF_TREADMILL_4 = _with_sensors(GRF_TREADMILL, _FOUR, _TRUNK_AND_LEG)
GRF_TREADMILL_1 = _with_sensors(GRF_TREADMILL, ("foot_r",), _FOOT_ALONE)
GRF_OVERGROUND_4 = _with_sensors(GRF_OVERGROUND, _FOUR, _TRUNK_AND_LEG)
GRF_OVERGROUND_1 = _with_sensors(GRF_OVERGROUND, ("foot_r",), _FOOT_ALONE)
GRF_DROP_LANDING_4 = _with_sensors(GRF_DROP_LANDING, _FOUR, _TRUNK_AND_LEG)
GRF_DROP_LANDING_1 = _with_sensors(GRF_DROP_LANDING, ("foot_r",), _FOOT_ALONE)


def _each_foot(task: Task) -> Task:
    """Return a task of the right foot as one of either foot, a sample each: the left one mirrored onto the right."""
    return replace(
        task,
        name=f"{task.name}/each-foot",
        title=task.title.replace("the right foot", "either foot").replace("up to eight", "up to five"),
        segments=("trunk", "pelvis", "thigh", "shank", "foot"),
        dofs=tuple(dof.removesuffix("_r") for dof in task.dofs),
        per_leg=True,
        optional=("trunk", "pelvis"),
        variants=(),
        by_name=True,
    )


GRF_RUNNING = replace(
    GRF_TREADMILL,
    name="grf/running",
    title="Ground reaction of the right foot when running, from up to eight sensors",
    activities=("running", "running_treadmill"),
    variants=(),
    by_name=True,
)
"""As ``GRF_TREADMILL``, of another motion: what is learnt from it may be taken to walking (motion transfer)."""
GRF_TREADMILL_EACH_FOOT = _each_foot(GRF_TREADMILL)
"""Both feet teach one: 30 channels, and what they taught is the right foot's to ``GRF_TREADMILL``."""
GRF_RUNNING_EACH_FOOT = _each_foot(GRF_RUNNING)

KNEE_MOMENT = replace(
    GRF_TREADMILL,
    name="knee-moment",
    title="External flexion and adduction moment of the right knee from up to eight sensors",
    dofs=("knee_flexion_moment_r", "knee_adduction_moment_r"),
    activities=("walking", "walking_treadmill"),
    quantity="moment",
    variants=(),
)
"""As ``GRF_TREADMILL``, two external moments in N m per kg of body mass, walking over ground or on a treadmill."""

BODY_ACCELERATION = replace(
    GRF_TREADMILL,
    name="body-acceleration",
    title="Acceleration of the body in the world from up to eight sensors",
    dofs=tuple(BODY_ACCELERATIONS),
    activities=None,
    moving=Moving(),
    quantity="acceleration",
    optional=tuple(name for name in _ALL_EIGHT if name != "pelvis"),
    straight_deg=30.0,
    variants=(),
    by_name=True,
)
"""The inputs of ``GRF_TREADMILL``, to pre-train on where forces are not measured: task transfer of Tan et al. (2024).

Any activity that moves, along the recording's line: in a turn its forward would be neither the old way nor the new.
Only the pelvis's sensor must be there.
"""

# --- pairs of segments (Rapp et al. 2021) ----------------------------------------------------------------------------

_SIXTEEN = ("acc", "acc_norm", "gyr", "gyr_norm")


def _joint_pair(joint: str, segments: tuple[str, str], dofs: tuple[str, ...]) -> Task:
    return Task(
        name=f"joint-pair/{joint}",
        version=1,
        title=f"{joint.capitalize()} angles in three planes from the sensors on either side",
        segments=segments,
        channels=_SIXTEEN,
        dofs=dofs,
        rate_hz=200.0,
        window=400,
        stride=200,
        per_leg=True,
        activities=("walking", "walking_treadmill"),
        variants=(f"joint-pair/{joint}/sagittal",),
    )


def _running(task: Task) -> Task:
    """Return a task of walking as one of running: the two are learnt and scored apart."""
    return replace(
        task,
        name=f"{task.name}/running",
        title=f"{task.title}, running",
        activities=("running", "running_treadmill"),
        variants=(),
    )


def _at_100_hz(task: Task) -> Task:
    return replace(
        task,
        name=f"{task.name}/100hz",
        title=f"{task.title}, 100 Hz",
        rate_hz=_RATE_HZ,
        window=task.window // 2,
        stride=task.stride // 2,
        variants=(),
        by_name=True,
    )


def _sagittal(task: Task) -> Task:
    """Return a task with its first DoF alone, for references that have no other plane."""
    return replace(
        task, name=f"{task.name}/sagittal", title=task.title.replace("angles in three planes", "flexion"),
        dofs=task.dofs[:1], variants=(), by_name=True,
    )  # fmt: skip


def _oriented(task: Task) -> Task:
    """Return a task whose training windows hold the two segments' orientations, of people who walk straight.

    They are told from where the person heads; in a turn that would be neither the old way nor the new.
    """
    return replace(
        task, name=f"{task.name}/oriented", title=f"{task.title}, orientations to learn from", orientations=True,
        straight_deg=30.0, variants=(), by_name=True,
    )  # fmt: skip


JOINT_PAIR_HIP = _joint_pair("hip", ("pelvis", "thigh"), ("hip_flexion", "hip_adduction", "hip_internal_rotation"))
"""16 channels in segment axes (each triad and its length), three angles, crops of 2 s at 200 Hz, walking."""
JOINT_PAIR_KNEE = _joint_pair("knee", ("thigh", "shank"), ("knee_flexion", "knee_adduction", "knee_internal_rotation"))
JOINT_PAIR_ANKLE = _joint_pair(
    "ankle", ("shank", "foot"), ("ankle_dorsiflexion", "ankle_inversion", "ankle_internal_rotation")
)
JOINT_PAIR_HIP_RUNNING = _running(JOINT_PAIR_HIP)
JOINT_PAIR_KNEE_RUNNING = _running(JOINT_PAIR_KNEE)
JOINT_PAIR_ANKLE_RUNNING = _running(JOINT_PAIR_ANKLE)
JOINT_PAIR_HIP_100HZ = _at_100_hz(JOINT_PAIR_HIP)
JOINT_PAIR_KNEE_100HZ = _at_100_hz(JOINT_PAIR_KNEE)
JOINT_PAIR_ANKLE_100HZ = _at_100_hz(JOINT_PAIR_ANKLE)
JOINT_PAIR_HIP_SAGITTAL = _sagittal(JOINT_PAIR_HIP)
JOINT_PAIR_KNEE_SAGITTAL = _sagittal(JOINT_PAIR_KNEE)
JOINT_PAIR_ANKLE_SAGITTAL = _sagittal(JOINT_PAIR_ANKLE)
JOINT_PAIR_HIP_ORIENTED = _oriented(JOINT_PAIR_HIP)
"""As ``JOINT_PAIR_HIP``; what a model is fitted on holds the segments' orientations too, which a test never shows."""
JOINT_PAIR_KNEE_ORIENTED = _oriented(JOINT_PAIR_KNEE)
JOINT_PAIR_ANKLE_ORIENTED = _oriented(JOINT_PAIR_ANKLE)

# --- the lower body (Hur et al. 2025) --------------------------------------------------------------------------------

LOWER_BODY = Task(
    name="lower-body",
    version=1,
    title="Hip, knee and ankle angles of both legs from eight sensors, walking straight",
    segments=_ALL_EIGHT,
    channels=_SIX_AXES,
    dofs=tuple(
        f"{dof}_{side}"
        for side in "rl"
        for dof in ("hip_flexion", "hip_adduction", "hip_internal_rotation", "knee_flexion", "ankle_dorsiflexion")
    ),
    rate_hz=_RATE_HZ,
    window=50,
    stride=25,
    activities=("walking", "walking_treadmill"),
    straight_deg=30.0,
)
"""48 channels in segment axes, ten DoFs, windows of 0.5 s every 0.25 s, where the pelvis heads along the line walked.
"""

LOWER_BODY_EULER = replace(
    LOWER_BODY,
    name="lower-body/euler",
    title=f"{LOWER_BODY.title}, orientations too",
    channels=(*_SIX_AXES, "euler"),
    variants=("lower-body",),
    by_name=True,
)
"""72 channels as the paper's: the device's orientation beside the six axes, in rad about X, Y and Z in the order Y-X-Z.

The paper does not say its order. The heading is in it, so what is learnt holds for one direction in one laboratory.
"""
