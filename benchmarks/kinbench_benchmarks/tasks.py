"""The benchmark's tasks: frozen values, as the table of protocols 1, Tasks. Any change is a new version."""

from __future__ import annotations

from dataclasses import replace

from kinbench.tasks import Task

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
