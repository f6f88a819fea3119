"""One sequence as a recording: segments that move as the body model's joints do, and the sensors asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
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
    ORIGINS,
    Rest,
    mean_rest,
    rest_angles_deg,
    segment_axes,
    segment_joints,
    segment_motion,
)
from kinbench_adapters._amass.stillness import WINDOW_S, spans, still_samples
from kinbench_adapters._attributes import identity, sources

FloatArray = NDArray[np.float64]

TIER = "body_model_fit"
JUMP_RAD_S = 35.0
"""A joint that turns faster from one frame to the next was fitted wrongly: 2,000 deg/s is where sensors clip, and where
Tan et al. leave windows out."""
UPRIGHT = np.cos(np.deg2rad(45.0))
"""How near the pelvis' long axis must come to the world's Z once, unless the person never stands in the sequence."""

_OUR_WORLD = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""AMASS's world (Z up) to the schema's (Y up)."""


@dataclass(frozen=True)
class Figure:
    """A fitted body in motion: per joint of a segment its rotation (n, 3, 3) and origin (n, 3) m, in AMASS's world.

    ``named`` is each segment's joint, ``axes`` each joint's (3, 3) matrix from model to segment axes, ``skin`` the
    SMPL mesh at rest, (6890, 3) m, where there is one.
    """

    rest: Rest
    skin: FloatArray | None
    named: Mapping[str, int]
    axes: Mapping[int, FloatArray]
    rotation: Mapping[int, FloatArray]
    origin: Mapping[int, FloatArray]
    rate_hz: float


def load(sequence: Sequence, variant: int, card: DatasetCard, version: str, settings: Settings) -> Recording:
    """Read one sequence as it stands; raises ``DataError`` with all that is wrong with it."""
    motion = read_motion(sequence.path, minimum_hz=settings.minimum_hz)
    rest, skin, body_step, flags = _body(motion, settings)
    figure = _figure(motion, rest, skin, settings)
    name = str(sequence.key(card.name))
    turned = misalignments(figure.named, seed=settings.seed, name=name, variant=variant, compat=settings.compat)
    placements = place(SITE_SETS[settings.sites], figure.named, rest, figure.axes, skin, turned)
    jumps = _jumps(figure)
    still = _still_masks(figure, placements, settings)
    masks = (*still, *_jump_masks(jumps, figure.rate_hz))
    whose = identify(sequence.subset, sequence.subject)
    key = sequence.key(card.name, variant)
    return Recording(
        key=key,
        imu=None,
        reference=_reference(figure),
        attrs={
            **identity(key, card, person=whose.person, activity=activity_of(sequence.subset, sequence.motion)),
            "rates": {"reference": _rate(motion)},
            "world": "Z up, right-handed, heading arbitrary",
            "source": sources([(sequence.name, sequence.path)]),
            "adapter": {"name": "amass", "version": version},
            "history": [
                _read_step(sequence, motion), {"step": "identify", "person": whose.person, "evidence": whose.evidence},
                body_step, _segments_step(figure, settings, jumps), _sites_step(settings, skin, variant),
                *_still_step(settings, still),
            ],
            "absent": {},
            "quality": [*flags, *_quality(figure, settings, whose), *(f"jumps:{segment}" for segment in jumps)],
            "person_table": {"sex": motion.gender if motion.gender in schema.SEXES else "unknown"},
            **({} if settings.compat is None else {"compat": settings.compat}),
        },
        declared=Declared(
            reference_up="z",
            segment_axes={segment: figure.axes[joint] for segment, joint in figure.named.items()},
            masks=masks,
            virtual=VirtualImu(_declared_body(figure), placements, Dynamics(cutoff_hz=settings.cutoff_hz)),
            sync=Sync("same_clock"),
        ),
    )  # fmt: skip


def _figure(motion: Motion, rest: Rest, skin: FloatArray | None, settings: Settings) -> Figure:
    rotation, origin = segment_motion(motion.vectors, motion.trans, rest)
    named = segment_joints(swapped=settings.swaps_legs)
    return Figure(rest, skin, named, segment_axes(rest, settings.zero), rotation, origin, motion.rate_hz)


def _reference(figure: Figure) -> xr.Dataset:
    joints = figure.named.values()
    frames = len(figure.origin[0])
    return segment_dataset(
        np.arange(frames) / figure.rate_hz,
        list(figure.named),
        kinematics.quaternions(np.stack([figure.rotation[joint] for joint in joints], axis=1)),
        tier=TIER,
        position=np.stack([figure.origin[joint] for joint in joints], axis=1),
        point=ORIGINS,
        exact=True,
    )


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


def _declared_body(figure: Figure) -> Body:
    rest = figure.rest
    lengths = {segment: round(rest.length_m(joint), 6) for segment, joint in figure.named.items()}
    return Body(rest.geometry, lengths, height_m=round(rest.height_m, 4), source=rest.source)


def _still_masks(figure: Figure, placements: Iterable[VirtualPlacement], settings: Settings) -> tuple[Mask, ...]:
    """Return the spans that the still-window rule leaves out, by the sensors' own ideal accelerations."""
    below = STILL_BELOW[settings.still]
    if below is None:
        return ()
    still = still_samples(np.stack([_felt(figure, one) for one in placements], axis=1), figure.rate_hz, below)
    reason = f"still: mean standard deviation of the accelerations below {below:g} m s-2 over {WINDOW_S:g} s"
    return tuple(
        Mask((start - 0.5) / figure.rate_hz, (stop - 0.5) / figure.rate_hz, reason) for start, stop in spans(still)
    )


def _felt(figure: Figure, virtual: VirtualPlacement) -> FloatArray:
    """Return what a sensor's accelerometer reads, (n, 3) m s-2, with its nominal axes and nothing smoothed."""
    joint = figure.named[virtual.placement.segment]
    turn = kinematics.quaternions(_OUR_WORLD @ figure.rotation[joint] @ figure.axes[joint].T)
    seat = np.eye(3) if virtual.placement.rotation is None else virtual.placement.rotation
    path = figure.origin[joint] @ _OUR_WORLD.T
    position, orientation = virtual_imu.on_segment(path, turn, virtual.offset_m, seat)
    return virtual_imu.specific_force(position, orientation, figure.rate_hz)


def _jumps(figure: Figure) -> dict[str, NDArray[np.bool_]]:
    """Return, of each segment that does, between which frames (n - 1,) it turns faster than ``JUMP_RAD_S``."""
    least = 1 + 2 * np.cos(min(JUMP_RAD_S / figure.rate_hz, np.pi))
    found = {}
    for segment, joint in figure.named.items():
        turn = figure.rotation[joint]
        jumps = np.einsum("nij,nij->n", turn[:-1], turn[1:]) < least  # the trace: 1 + 2 cos of the turn
        if jumps.any():
            found[segment] = jumps
    return found


def _jump_masks(jumps: Mapping[str, NDArray[np.bool_]], rate_hz: float) -> tuple[Mask, ...]:
    """Return the frames on both sides of every jump: a fit that leaps is right on one side of the leap at most."""
    if not jumps:
        return ()
    between = np.any(list(jumps.values()), axis=0)
    leapt = np.concatenate([between, [False]]) | np.concatenate([[False], between])
    reason = f"the fit jumps: over {JUMP_RAD_S:g} rad/s from one frame to the next ({', '.join(jumps)})"
    return tuple(Mask((start - 0.5) / rate_hz, (stop - 0.5) / rate_hz, reason) for start, stop in spans(leapt))


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


def _segments_step(figure: Figure, settings: Settings, jumps: Mapping[str, NDArray[np.bool_]]) -> dict[str, Any]:
    return {
        "step": "segments", "joints": dict(figure.named), "zero": settings.zero,
        "rest_angles_deg": dict(rest_angles_deg(figure.rest)), "compat": settings.compat,
        "jumps": {segment: int(found.sum()) for segment, found in jumps.items()},
    }  # fmt: skip


def _sites_step(settings: Settings, skin: FloatArray | None, variant: int) -> dict[str, Any]:
    chosen = SITE_SETS[settings.sites]
    vertices = skin is not None and all(site.vertex is not None for site in chosen.sites)
    return {
        "step": "sites", "set": settings.sites, "source": chosen.source,
        "places": "vertices of the SMPL mesh" if vertices else "equivalents by site and level, virtual_imu.site_offset",
        "left_out": list(chosen.left_out), "orientation_variant": variant, "seed": settings.seed,
    }  # fmt: skip


def _still_step(settings: Settings, masks: tuple[Mask, ...]) -> list[dict[str, Any]]:
    if settings.still == "keep":
        return []
    below = STILL_BELOW[settings.still]
    return [{"step": "still_windows", "rule": settings.still, "below": below, "spans": len(masks)}]


def _quality(figure: Figure, settings: Settings, whose: Identity) -> list[str]:
    flags = [] if settings.zero == "anatomical" else ["zero:smpl_rest"]
    if figure.skin is None or any(site.vertex is None for site in SITE_SETS[settings.sites].sites):
        flags.append("sites:equivalents")
    if settings.swaps_legs:
        flags.append("legs_swapped:tan2024")
    if whose.may_recur:
        flags.append("person_may_recur")
    if figure.rotation[0][:, 2, 1].max() < UPRIGHT:  # the model's up in the world's
        flags.append("never_upright")
    return flags
