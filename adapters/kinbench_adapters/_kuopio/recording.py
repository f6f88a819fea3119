"""One walk as a recording: its sensors, its segments, the person, and what is to be done with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench.contracts import DatasetCard
from kinbench.errors import DataError, Skipped
from kinbench.recording import Declared, Placement, Recording, Sync, imu_dataset, segment_dataset
from kinbench_adapters._attributes import identity, sources
from kinbench_adapters._formats.c3d import read_markers
from kinbench_adapters._formats.markers import length_unit
from kinbench_adapters._kuopio.anatomy import Anatomy, find_segments
from kinbench_adapters._kuopio.people import Participant
from kinbench_adapters._kuopio.sensors import RATE_HZ, Sensors, read_sensors
from kinbench_adapters._kuopio.trials import Trial
from kinbench_adapters._kuopio.wearing import Worn

FloatArray = NDArray[np.float64]

SYNC = ("estimated", "same_clock")
SEARCH_S = 0.5
"""Users of the dataset found lags of 0 and 1 sample."""
DEVICE = "Xsens MTw Awinda"
TILT_LIMIT_DEG = 35.0
"""Mean specific force of a walk points up within a few degrees; a strap is turned by up to 30, a wrong axis by 90."""
_MM = {"mm": 1.0, "cm": 10.0, "m": 1000.0}


@dataclass(frozen=True)
class Settings:
    """Which sensor sits where, and how the clocks are brought together."""

    wearing: Mapping[str, Worn]
    sync: str


def load(
    trial: Trial, settings: Settings, people: Mapping[str, Participant], card: DatasetCard, version: str
) -> Recording:
    """Read one walk as it stands; raises ``DataError`` with what is wrong with it.

    One that the dataset's authors list as invalid raises ``Skipped``.
    """
    person = people.get(trial.key.subject, Participant())
    if trial.key.trial in person.invalid:
        raise Skipped("the dataset's authors list this trial as invalid", where=trial.key)
    worn = None if trial.sensors is None else read_sensors(trial.sensors, settings.wearing)
    anatomy = None if trial.markers is None else _segments(trial)
    steps: list[dict[str, Any]] = []
    absent: dict[str, str] = {}
    quality = list(person.flags)
    rates: dict[str, Any] = {}
    if worn is None:
        absent["imu"] = "there is no extracted file of the sensors for this trial"
    else:
        steps.append(_sensors_step(worn, settings))
        quality += _imu_quality(worn, settings)
        absent |= {f"sensor:{serial}": "nobody placed it on a segment (sensors.csv)" for serial in worn.left_out}
        rates["imu"] = _rate()
    if anatomy is None:
        absent["reference"] = "there is no C3D file of this trial"
    else:
        steps.append({"step": "read_reference", "format": "C3D marker clusters", "up": anatomy.up,
                      "forward": anatomy.forward, "segments": anatomy.figures})  # fmt: skip
        quality += anatomy.flags
        absent |= {f"segment:{name}": why for name, why in sorted(anatomy.lacking.items())}
        rates["reference"] = _rate()
    return Recording(
        key=trial.key,
        imu=None if worn is None else _imu(worn, settings),
        reference=None if anatomy is None else _reference(anatomy),
        attrs={
            **identity(trial.key, card, person=trial.key.person, activity="walking"),
            "rates": rates,
            "world": _world(anatomy),
            "source": sources((trial.name_of(path), path) for path in trial.paths),
            "adapter": {"name": "kuopio", "version": version},
            "history": steps,
            "absent": absent,
            "quality": quality,
            "person_table": dict(person.table),
            "walk": {"speed": trial.speed, "named_side": trial.side},
        },
        declared=_declared(worn, settings, anatomy),
    )


def _world(anatomy: Anatomy | None) -> str:
    if anatomy is None:
        return "unknown"
    heading = "heading arbitrary" if anatomy.forward is None else f"{anatomy.forward} the way that is walked"
    return f"{anatomy.up} up, right-handed, {heading}"


def _rate() -> dict[str, Any]:
    # The sensors' files hold no time and the cameras' a rate, which is checked: time is the sample's number over it.
    return {"nominal_hz": RATE_HZ, "measured_hz": RATE_HZ, "regular": True, "clock": "sample count", "lost": 0}


def _declared(worn: Sensors | None, settings: Settings, anatomy: Anatomy | None) -> Declared:
    automatic = () if worn is None else tuple(s for s in worn.serials if settings.wearing[s].axes is None)
    if anatomy is None:
        return Declared(automatic=automatic)
    sync = Sync("same_clock") if worn is None else Sync(settings.sync, search_s=SEARCH_S)
    return Declared(
        reference_up=anatomy.up, reference_forward=anatomy.forward, sync=sync, automatic=automatic
    )  # fmt: skip


# --- sensors ----------------------------------------------------------------------------------------------------------


def _imu(worn: Sensors, settings: Settings) -> xr.Dataset:
    signals = {
        "acc": (worn.acc, {"units": "m s-2", "kind": "specific_force", "frame": "sensor"}),
        "gyr": (worn.gyr, {"units": "rad s-1", "frame": "sensor"}),
    }
    valid = np.isfinite(worn.acc).all(axis=2) & np.isfinite(worn.gyr).all(axis=2)
    placements = [_placement(serial, settings.wearing[serial]) for serial in worn.serials]
    return imu_dataset(np.arange(len(worn.acc)) / RATE_HZ, placements, signals, valid=valid)


def _placement(serial: str, worn: Worn) -> Placement:
    return Placement(
        sensor=serial, segment=worn.segment, side=worn.side, site=worn.site, level=worn.level, rotation=worn.axes,
        rotation_origin="unknown" if worn.axes is None else "nominal", device=DEVICE,
    )  # fmt: skip


def _sensors_step(worn: Sensors, settings: Settings) -> dict[str, Any]:
    return {
        "step": "read_imu", "format": "extracted Xsens .mat", "samples": len(worn.acc),
        "gyr": "rotation vectors of the orientation increments sdi.dq, times the rate",
        "segments": {serial: settings.wearing[serial].segment for serial in worn.serials},
        "left_out": list(worn.left_out), "rows_not_read": dict(worn.lost), "shorter_by": dict(worn.shorter),
        "up_off_deg": {serial: _up_off_deg(worn, settings, serial) for serial in worn.serials},
    }  # fmt: skip


def _up_off_deg(worn: Sensors, settings: Settings, serial: str) -> float | None:
    """Return how far mean specific force lies from the segment's proximal axis; None where the axes are not known."""
    axes = settings.wearing[serial].axes
    if axes is None:
        return None
    mean = np.nanmean(worn.acc[:, worn.serials.index(serial)], axis=0)
    return round(float(np.degrees(np.arccos(np.clip((axes @ mean)[1] / np.linalg.norm(mean), -1, 1)))), 1)


def _imu_quality(worn: Sensors, settings: Settings) -> list[str]:
    off = {serial: _up_off_deg(worn, settings, serial) for serial in worn.serials}
    flags = [f"gravity_off:{serial}" for serial, deg in off.items() if deg is not None and deg > TILT_LIMIT_DEG]
    flags += [f"not_placed:{serial}" for serial in worn.left_out]
    return flags + (["imu_missing_samples"] if worn.lost or worn.shorter else [])


# --- cameras ----------------------------------------------------------------------------------------------------------


def _segments(trial: Trial) -> Anatomy:
    path = trial.markers
    if path is None:
        raise DataError("expected a C3D file, found none", where=trial.key)
    markers = read_markers(path)
    unit = length_unit(markers.units)
    problems = []
    if abs(markers.rate_hz - RATE_HZ) > 1e-3:
        problems.append(f"POINT:RATE: expected {RATE_HZ:g} Hz, found {markers.rate_hz:g}")
    if unit not in _MM:
        problems.append(f"POINT:UNITS: expected a unit of length, found '{markers.units}'")
    if problems:
        raise DataError(problems, where=path)
    return find_segments({name: way * _MM[unit] for name, way in markers.paths.items()}, path)


def _reference(anatomy: Anatomy) -> xr.Dataset:
    motions = anatomy.motions
    frames = len(motions["pelvis"].origin)
    return segment_dataset(
        np.arange(frames) / RATE_HZ,
        list(motions),
        np.stack([motion.quaternion for motion in motions.values()], axis=1),
        tier="optical_6dof",
        position=np.stack([motion.origin for motion in motions.values()], axis=1),
        position_units="mm",
        point="proximal joint (pelvis: middle of the hips)",
    )
