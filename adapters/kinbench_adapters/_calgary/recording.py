"""One trial as a recording: the segments' motion as the reference, virtual sensors asked for, the person known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from kinbench import schema
from kinbench.contracts import DatasetCard
from kinbench.errors import DataError
from kinbench.recording import Declared, Recording, Sync, VirtualImu, segment_dataset
from kinbench_adapters._attributes import identity
from kinbench_adapters._calgary import rapp2021
from kinbench_adapters._calgary.anatomy import Anatomy, stand
from kinbench_adapters._calgary.captures import Capture
from kinbench_adapters._calgary.metadata import Metadata, Visit
from kinbench_adapters._calgary.sensors import virtual_imu
from kinbench_adapters._calgary.sessions import Trial
from kinbench_adapters._calgary.tracking import Limits, Tracked, track

ACTIVITIES = {"running": "running_treadmill", "walking": "walking_treadmill"}
CONVENTIONS = {"isb": "isb_zxy", "clinic": "calgary_clinic"}
_UNKNOWN_PERSON = {**dict.fromkeys(schema.PERSON_FIELDS), "sex": "unknown", "condition": "unknown",
                   "affected_side": "unknown"}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What a user may choose; see ``kinbench_adapters.calgary.CalgaryAdapter``."""

    convention: str
    compat: str | None
    cutoff_hz: float
    limits: Limits


def load(trial: Trial, metadata: Metadata, card: DatasetCard, version: str, settings: Settings) -> Recording:
    """Read one trial as it stands; raises ``DataError`` with all that is wrong with it."""
    visit = metadata.visit(trial.session, trial.mode)
    _require_one_person(trial, visit)
    capture = trial.read()
    anatomy = stand(capture, trial.key)
    tracked = track(capture, anatomy, settings.limits, trial.key)
    request: VirtualImu | None = virtual_imu(anatomy, settings.cutoff_hz)
    steps = [capture.step, _frames_step(anatomy), tracked.step, _person_step(trial, visit)]
    imu = None
    if settings.compat == rapp2021.NAME and request is not None:
        imu, step = rapp2021.read_sensors(capture, anatomy, tracked, request.placements, trial.key)
        request = None
        steps.append(step)
    rate = {"nominal_hz": capture.rate_hz, "measured_hz": capture.rate_hz, "regular": True, "lost": 0}
    return Recording(
        key=trial.key,
        imu=imu,
        reference=_reference(capture, anatomy, tracked),
        attrs={
            **identity(trial.key, card, person=trial.key.person, activity=ACTIVITIES[trial.mode]),
            "rates": {"reference": rate} if imu is None else {"imu": rate, "reference": rate},
            "world": "Y up, X to the right, Z backwards",
            "surface": "treadmill",
            "source": [*capture.sources, *metadata.sources],
            "adapter": {"name": "calgary", "version": version},
            "history": steps,
            "absent": {},
            "quality": _flags(tracked, visit),
            "person_table": dict(_UNKNOWN_PERSON if visit is None else visit.person),
            **({} if visit is None or visit.speed_mps is None else {"speed_mps": visit.speed_mps}),
            **({} if settings.compat is None else {"compat": settings.compat}),
        },
        declared=Declared(
            reference_up="y", reference_forward="-z", sync=Sync("same_clock"),
            convention=CONVENTIONS[settings.convention], virtual=request,
        ),
    )  # fmt: skip


def _require_one_person(trial: Trial, visit: Visit | None) -> None:
    if visit is not None and trial.folder_person not in (None, visit.sub_id):
        raise DataError(
            f"expected the folder of person {visit.sub_id}, whose session this is by the metadata table, found "
            f"'{trial.folder_person}'; move the file, since two people must not become one",
            where=trial.files[0],
        )


def _reference(capture: Capture, anatomy: Anatomy, tracked: Tracked) -> xr.Dataset:
    motions = tracked.motions
    samples = len(next(iter(motions.values())).origin)
    return segment_dataset(
        np.arange(samples) / capture.rate_hz,
        tuple(motions),
        np.stack([motion.quaternion for motion in motions.values()], axis=1),
        tier="optical_6dof",
        position=np.stack([motion.origin for motion in motions.values()], axis=1),
        position_units=anatomy.units,
        point="proximal joint",
        exact=True,
    )


def _frames_step(anatomy: Anatomy) -> dict[str, Any]:
    return {
        "step": "segment_frames",
        "recipe": "gait_kinematics.m (Ferber et al. 2024): standing pelvis level, standing feet straight ahead",
        "units": anatomy.units,
        "units_told_by": anatomy.told_by,
        "markers": {segment: list(names) for segment, names in anatomy.markers.items()},
    }


def _person_step(trial: Trial, visit: Visit | None) -> dict[str, Any]:
    told = "the metadata table" if visit is not None else "the folder's name"
    if visit is None and trial.folder_person is None:
        told = "the session's name: no metadata table lists it, so sessions of one person cannot be told"
    return {"step": "person", "sub_id": trial.key.subject, "told_by": told}


def _flags(tracked: Tracked, visit: Visit | None) -> list[str]:
    return [*tracked.flags, *(() if visit is not None else ("person_without_metadata",))]
