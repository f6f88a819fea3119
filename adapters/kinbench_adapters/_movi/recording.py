"""One round as a recording: its sensors, its segments, what was done in it, and what is to be done with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench import kinematics
from kinbench.contracts import DatasetCard
from kinbench.errors import DataError
from kinbench.recording import Declared, Placement, Recording, Sync, imu_dataset, segment_dataset
from kinbench_adapters._attributes import identity, sources
from kinbench_adapters._movi.motions import motions
from kinbench_adapters._movi.mounts import Mount, mounts
from kinbench_adapters._movi.optical import Optical, read_optical, read_subject
from kinbench_adapters._movi.person import person_table
from kinbench_adapters._movi.rest import Tilt, find_rest, plain, quaternion_world, tilts
from kinbench_adapters._movi.rounds import FULL_ROUND, Round
from kinbench_adapters._movi.spine import CERTAIN, DOUBTED, describe
from kinbench_adapters._movi.suit import RATE_HZ, read_suit, refuse_units
from kinbench_adapters._movi.virtual import virtual_suit

FloatArray = NDArray[np.float64]

DEVICE = "Noitom Perception Neuron"
SYNC_SEARCH_S = 2.0
WIDEST_SEARCH_S = 30.0
SAME_LENGTH = 1
"""Samples by which two rounds that the dataset calls synchronised may differ in length and still share a clock."""
ORIGIN = "Axis Neuron (the suit's own software), fused and undocumented"


@dataclass(frozen=True)
class Settings:
    """What a user may choose: which spine entry is the ``trunk``, virtual sensors for round F, a published error."""

    trunk: str = "spine3"
    virtual: bool = False
    compat: str | None = None


@dataclass(frozen=True)
class _Worn:
    """The suit's part of a recording."""

    imu: xr.Dataset
    imu_up: str | None
    steps: list[dict[str, Any]]
    quality: list[str]
    absent: dict[str, str]


def load(round_: Round, settings: Settings, card: DatasetCard, version: str) -> Recording:
    """Read one round as it stands; raises ``DataError`` with what is wrong with it."""
    optical = None if round_.optical is None else read_optical(round_.optical, round_.number, round_.key.session)
    worn = None if round_.suit is None else _worn(round_, settings, optical)
    table, quality = _person(round_, optical)
    done, lacking = ([], None) if optical is None else motions(optical.fields, optical.samples)
    absent = dict(worn.absent) if worn is not None else {}
    if optical is None:
        absent["reference"] = _no_cameras(round_)
    elif lacking is not None:
        absent["motions"] = lacking
    if worn is None and not _virtual(round_, settings):
        absent["imu"] = "the suit's file of this round is not here"
    steps = worn.steps if worn is not None else []
    rates: dict[str, Any] = {"imu": _rate()} if worn is not None else {}
    if optical is not None:
        steps = [*steps, _reference_step(optical)]
        rates["reference"] = _rate()
    return Recording(
        key=round_.key,
        imu=None if worn is None else worn.imu,
        reference=None if optical is None else _reference(optical, exact=_virtual(round_, settings)),
        attrs={
            **identity(round_.key, card, person=round_.key.person, activity="mixed"),
            "rates": rates,
            "world": "Z up, right-handed, heading arbitrary",
            "source": sources((round_.name_of(path), path) for path in round_.paths),
            "adapter": {"name": "movi", "version": version},
            "history": steps,
            "absent": absent,
            "quality": [*(worn.quality if worn is not None else ()), *_reference_quality(optical), *quality],
            "person_table": table,
            **({} if settings.compat is None else {"compat": settings.compat}),
            "motions": done,
        },
        declared=_declared(round_, settings, worn, optical, table.get("height_m")),
    )


def _declared(
    round_: Round, settings: Settings, worn: _Worn | None, optical: Optical | None, height_m: float | None
) -> Declared:
    if optical is None:
        return Declared(imu_up=None if worn is None else worn.imu_up)
    return Declared(
        imu_up=None if worn is None else worn.imu_up,
        reference_up="z",
        segment_axes=optical.axes,
        sync=_sync(round_, worn, optical),
        virtual=virtual_suit(optical, settings.trunk, height_m) if _virtual(round_, settings) else None,
    )


def _virtual(round_: Round, settings: Settings) -> bool:
    return settings.virtual and round_.key.session == FULL_ROUND and round_.optical is not None


def _no_cameras(round_: Round) -> str:
    if round_.key.session.startswith("I"):
        return "no camera saw this round"
    return f"{round_.key.session}_v3d_{round_.key.subject}.mat is not here"


# --- the suit ---------------------------------------------------------------------------------------------------------


def _worn(round_: Round, settings: Settings, optical: Optical | None) -> _Worn:
    path, field = round_.suit, round_.field
    if path is None or field is None:
        raise DataError("expected a file of the suit for this round, found none", where=round_.key)
    suit = read_suit(path, field)
    refuse_units(suit, path)
    mounted = mounts(settings.trunk)
    lost = [mount.joint for mount in mounted if mount.joint not in suit.joints]
    if lost:
        raise DataError(f"expected the suit's joints to include {', '.join(lost)}; they do not", where=path)
    acc, gyr, quat = (np.stack([suit.signal(m.joint, kind) for m in mounted], axis=1) for kind in "AWQ")
    rest = find_rest(acc, gyr, None if optical is None else optical.upright)
    found = tilts(mounted, rest)
    up, told = quaternion_world(acc, quat, rest)
    spine = describe({joint: suit.signal(joint, "A") for joint in (*DOUBTED, *CERTAIN) if joint in suit.joints})
    signals = _signals(acc, gyr, None if up is None else quat, settings.compat)
    valid = np.isfinite(acc).all(axis=2) & np.isfinite(gyr).all(axis=2)
    placements = [_placement(mount, tilt) for mount, tilt in zip(mounted, found, strict=True)]
    trunk = mounted[0].joint
    step = {
        "step": "read_imu", "format": "MoVi suit", "field": field, "samples": len(suit.data),
        "gravity": plain(mounted, found, rest), "quaternions": told,
        "trunk": {"entry": trunk, "by": "setting 'trunk'", "spine": spine},
    }  # fmt: skip
    return _Worn(
        imu_dataset(np.arange(len(suit.data)) / RATE_HZ, placements, signals, valid=valid),
        up,
        [step],
        _imu_quality(mounted, found, spine.get(trunk), settings) + ([] if valid.all() else ["imu_missing_samples"]),
        {} if up is not None else {"quat": told},
    )


def _signals(
    acc: FloatArray, gyr: FloatArray, quat: FloatArray | None, compat: str | None
) -> dict[str, tuple[FloatArray, dict[str, str]]]:
    """Return the signals with what they are; ``compat`` leaves g where m s-2 is said, as Tan et al. did, and tells."""
    in_g = {"units": "g", "kind": "specific_force", "frame": "sensor"}
    left = {"units": "m s-2", "kind": "tan2024", "frame": "sensor", "numbers": "in g, as in Tan et al. 2024"}
    signals = {
        "acc": (acc, left if compat == "tan2024" else in_g),
        "gyr": (gyr, {"units": "rad s-1", "frame": "sensor"}),
    }
    if quat is not None:
        signals["quat"] = (quat, {"units": "1", "maps": "sensor_to_world", "origin": ORIGIN})
    return signals


def _placement(mount: Mount, tilt: Tilt) -> Placement:
    return Placement(
        sensor=mount.joint, segment=mount.segment, side=mount.side, site=mount.site, level=mount.level,
        rotation=tilt.rotation, rotation_origin="nominal", attachment="suit", device=DEVICE,
    )  # fmt: skip


def _imu_quality(mounted: tuple[Mount, ...], found: list[Tilt], trunk: str | None, settings: Settings) -> list[str]:
    flags = [f"gravity_off:{mount.joint}" for mount, tilt in zip(mounted, found, strict=True) if tilt.doubted]
    flags += [
        f"axes_by_gravity:{mount.joint}"
        for mount, tilt in zip(mounted, found, strict=True)
        if tilt.reading != next(iter(mount.rotations))
    ]
    flags += [f"axes_unclear:{mount.joint}" for mount, tilt in zip(mounted, found, strict=True) if tilt.unclear]
    if found[0].off_deg is None:
        flags.append("gravity_unchecked")
    if trunk != "measured":
        flags.append(f"trunk_computed:{mounted[0].joint}")
    if settings.compat == "tan2024":
        flags.append("acc_in_g:tan2024")
    return flags


# --- the cameras ------------------------------------------------------------------------------------------------------


def _reference(optical: Optical, *, exact: bool) -> xr.Dataset:
    segments = optical.segments
    return segment_dataset(
        np.arange(optical.samples) / RATE_HZ,
        segments.names,
        kinematics.quaternions(segments.rotation),
        tier="optical_6dof",
        position=optical.joints,
        position_units="mm",
        point="proximal joint (pelvis: middle of the hips; trunk: Visual3D's origin)",
        exact=exact,
    )


def _reference_step(optical: Optical) -> dict[str, Any]:
    return {"step": "read_reference", "format": "Visual3D affines of MoVi", **optical.evidence}


def _reference_quality(optical: Optical | None) -> list[str]:
    if optical is None:
        return []
    feet = [name for name in ("foot_r", "foot_l") if np.array_equal(optical.axes.get(name, np.eye(3))[0], [0, 0, -1])]
    flags = ["ankle_zero:along_the_foot"] if feet else []
    return flags + [f"{name}_unseen" for name in ("trunk",) if name not in optical.segments.names]


def _sync(round_: Round, worn: _Worn | None, optical: Optical) -> Sync | None:
    """Return how the clocks stand: the same one where the dataset says so and the lengths bear it out."""
    if worn is None:
        return Sync("same_clock")
    apart = abs(worn.imu.sizes["time"] - optical.samples)
    if round_.synched and apart <= SAME_LENGTH:
        return Sync("same_clock", search_s=SYNC_SEARCH_S)
    return Sync("estimated", search_s=min(WIDEST_SEARCH_S, SYNC_SEARCH_S + apart / RATE_HZ))


def _rate() -> dict[str, Any]:
    # The files hold no time: it is the sample's number over the rate that the dataset's paper gives.
    return {"nominal_hz": RATE_HZ, "measured_hz": RATE_HZ, "regular": True, "clock": "sample count", "lost": 0}


def _person(round_: Round, optical: Optical | None) -> tuple[dict[str, Any], list[str]]:
    if optical is not None:
        return person_table(optical.subject)
    if round_.person is None:
        return person_table({})
    session = round_.person.name.split("_")[0].upper()
    return person_table(read_subject(round_.person, round_.number, session))
