"""One sequence as a recording: segments that move as the body model's joints do, and the sensors asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench import kinematics, schema, virtual_imu
from kinbench.contracts import DatasetCard
from kinbench.recording import (
    Body,
    Declared,
    Dynamics,
    Mask,
    Recording,
    Sync,
    VirtualImu,
    VirtualPlacement,
    segment_dataset,
)
from kinbench_adapters._amass.activities import activity_of
from kinbench_adapters._amass.archives import Motion, nominal_rate, read_motion
from kinbench_adapters._amass.body_model import gender_told, locate, read_body_model
from kinbench_adapters._amass.persons import Identity, identify
from kinbench_adapters._amass.sequences import Sequence
from kinbench_adapters._amass.settings import STILL_BELOW, Settings
from kinbench_adapters._amass.sites import SITE_SETS, misalignments, place
from kinbench_adapters._amass.skeleton import (
    MEAN_STATURE_M,
    Rest,
    mean_rest,
    rest_angles_deg,
    segment_axes,
    segment_joints,
    segment_motion,
)
from kinbench_adapters._amass.stillness import spans, still_samples
from kinbench_adapters._attributes import identity, sources

FloatArray = NDArray[np.float64]

TIER = "body_model_fit"
UP_MODEL = np.array([0.0, 1.0, 0.0])
UPRIGHT = np.cos(np.deg2rad(45.0))
"""How near the pelvis' long axis must come to the world's Z once, unless the person never stands in the sequence."""

_OUR_WORLD = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""AMASS's world (Z up) to the schema's (Y up)."""


def load(sequence: Sequence, variant: int, card: DatasetCard, version: str, settings: Settings) -> Recording:
    """Read one sequence as it stands; raises ``DataError`` with all that is wrong with it."""
    motion = read_motion(sequence.path, minimum_hz=settings.minimum_hz)
    rest, skin, body_step, flags = _body(motion, settings)
    named = segment_joints(swapped=settings.swaps_legs)
    axes = segment_axes(rest, settings.zero)
    rotation, origin = segment_motion(motion.vectors, motion.trans, rest)
    key = sequence.key(card.name, variant)
    name = str(sequence.key(card.name))
    turned = misalignments(named, seed=settings.seed, name=name, variant=variant, compat=settings.compat)
    placements = place(SITE_SETS[settings.sites], named, rest, axes, skin, turned)
    time = np.arange(len(motion.trans)) / motion.rate_hz
    masks = _still_masks(settings, placements, named, axes, rotation, origin, time)
    whose = identify(sequence.subset, sequence.subject)
    return Recording(
        key=key,
        imu=None,
        reference=segment_dataset(
            time, list(named),
            np.stack([kinematics.quaternions(rotation[joint]) for joint in named.values()], axis=1),
            tier=TIER, position=np.stack([origin[joint] for joint in named.values()], axis=1),
            point="proximal joint (pelvis: middle of the hips; trunk: Spine3)", exact=True,
        ),
        attrs={
            **identity(key, card, person=whose.person, activity=activity_of(sequence.subset, sequence.motion)),
            "rates": {"reference": _rate(motion)},
            "world": "Z up, right-handed, heading arbitrary",
            "source": sources([(sequence.name, sequence.path)]),
            "adapter": {"name": "amass", "version": version},
            "history": [
                _read_step(sequence, motion), {"step": "identify", "person": whose.person, "evidence": whose.evidence},
                body_step, _segments_step(rest, settings, named), _sites_step(settings, skin, variant),
                *_still_step(settings, masks),
            ],
            "absent": {},
            "quality": [*flags, *_quality(settings, skin, whose, rotation[0])],
            "person_table": {"sex": motion.gender if motion.gender in schema.SEXES else "unknown"},
        },
        declared=Declared(
            reference_up="z",
            segment_axes={segment: axes[joint] for segment, joint in named.items()},
            masks=masks,
            virtual=VirtualImu(
                _declared_body(rest, named), placements, Dynamics(cutoff_hz=settings.cutoff_hz),
            ),
            sync=Sync("same_clock"),
        ),
    )  # fmt: skip


def _body(motion: Motion, settings: Settings) -> tuple[Rest, FloatArray | None, dict[str, Any], list[str]]:
    """Return the joints at rest, the SMPL mesh at rest where there is one, the history step, and quality flags."""
    if not settings.body_model:
        rest = mean_rest(settings.height_m)
        step = {
            "step": "body", "geometry": rest.geometry, "source": rest.source, "height_m": rest.height_m,
            "template_height_m": MEAN_STATURE_M, "betas": "not used: they need the body model",
        }  # fmt: skip
        return rest, None, step, ["geometry:mean_template"]
    path = locate(settings.body_model, motion.gender, motion.format)
    model = read_body_model(path, motion.format)
    skin = model.shape(motion.betas)
    rest = model.rest(skin)
    step = {
        "step": "body", "geometry": rest.geometry, "source": rest.source, "height_m": round(rest.height_m, 4),
        "gender": motion.gender, "betas": min(len(motion.betas), model.directions.shape[2]),
        "skin": "rides rigidly on its joint: no pose blend shapes, no skinning",
    }  # fmt: skip
    flags = [] if gender_told(path) == motion.gender else ["body_model:gender_unverified"]
    return rest, skin if model.format == "SMPL+H" else None, step, flags


def _declared_body(rest: Rest, named: Mapping[str, int]) -> Body:
    lengths = {segment: round(rest.length_m(joint), 6) for segment, joint in named.items()}
    return Body(rest.geometry, lengths, height_m=round(rest.height_m, 4), source=rest.source)


def _still_masks(
    settings: Settings,
    placements: tuple[VirtualPlacement, ...],
    named: Mapping[str, int],
    axes: Mapping[int, FloatArray],
    rotation: Mapping[int, FloatArray],
    origin: Mapping[int, FloatArray],
    time: FloatArray,
) -> tuple[Mask, ...]:
    """Return the spans that the still-window rule leaves out, by the sensors' own ideal accelerations."""
    below = STILL_BELOW[settings.still]
    if below is None:
        return ()
    rate_hz = (len(time) - 1) / float(time[-1])
    acc = []
    for virtual in placements:
        joint = named[virtual.placement.segment]
        turn = kinematics.quaternions(_OUR_WORLD @ rotation[joint] @ axes[joint].T)
        seat = np.eye(3) if virtual.placement.rotation is None else virtual.placement.rotation
        position, orientation = virtual_imu.on_segment(origin[joint] @ _OUR_WORLD.T, turn, virtual.offset_m, seat)
        acc.append(virtual_imu.specific_force(position, orientation, rate_hz))
    still = still_samples(np.stack(acc, axis=1), rate_hz, below)
    reason = f"still: mean standard deviation of the accelerations below {below:g} m s-2 over 1.28 s"
    half = 0.5 / rate_hz
    return tuple(Mask(float(time[a]) - half, float(time[b - 1]) + half, reason) for a, b in spans(still))


# --- what is said of it -----------------------------------------------------------------------------------------------


def _rate(motion: Motion) -> dict[str, Any]:
    return {
        "nominal_hz": nominal_rate(motion.rate_hz),
        "measured_hz": motion.rate_hz,
        "regular": True,
        "clock": "frame rate as the file tells it",
        "lost": 0,
    }


def _read_step(sequence: Sequence, motion: Motion) -> dict[str, Any]:
    return {
        "step": "read_sequence", "format": motion.format, "subset": sequence.subset, "subset_known": sequence.known,
        "subject_folder": sequence.subject, "motion": sequence.motion, "gender": motion.gender,
        "not_read": list(motion.not_read),
    }  # fmt: skip


def _segments_step(rest: Rest, settings: Settings, named: Mapping[str, int]) -> dict[str, Any]:
    return {
        "step": "segments", "joints": dict(named), "zero": settings.zero, "rest_angles_deg": rest_angles_deg(rest),
        "compat": settings.compat,
    }  # fmt: skip


def _sites_step(settings: Settings, skin: FloatArray | None, variant: int) -> dict[str, Any]:
    chosen = SITE_SETS[settings.sites]
    vertices = skin is not None and all(site.vertex is not None for site in chosen.sites)
    return {
        "step": "sites", "set": settings.sites, "source": chosen.source,
        "places": "vertices of the SMPL mesh" if vertices else "equivalents on the mean template",
        "left_out": list(chosen.left_out), "orientation_variant": variant, "seed": settings.seed,
    }  # fmt: skip


def _still_step(settings: Settings, masks: tuple[Mask, ...]) -> list[dict[str, Any]]:
    if settings.still == "keep":
        return []
    below = STILL_BELOW[settings.still]
    return [{"step": "still_windows", "rule": settings.still, "below": below, "spans": len(masks)}]


def _quality(settings: Settings, skin: FloatArray | None, whose: Identity, pelvis: FloatArray) -> list[str]:
    flags = [] if settings.zero == "anatomical" else ["zero:smpl_rest"]
    if skin is None or any(site.vertex is None for site in SITE_SETS[settings.sites].sites):
        flags.append("sites:equivalents")
    if settings.swaps_legs:
        flags.append("legs_swapped:tan2024")
    if whose.may_recur:
        flags.append("person_may_recur")
    if (pelvis @ UP_MODEL)[:, 2].max() < UPRIGHT:
        flags.append("never_upright")
    return flags
