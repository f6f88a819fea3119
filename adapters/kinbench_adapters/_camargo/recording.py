"""One trial as a recording: its sensors, its joint angles, what was done in it, and what is to be done with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench import schema
from kinbench.contracts import DatasetCard
from kinbench.errors import DataError
from kinbench.recording import Declared, Placement, Recording, Sync, angle_dataset, imu_dataset
from kinbench_adapters._attributes import identity, sources
from kinbench_adapters._camargo.conditions import belt_speeds, gait_events, motions, terrain
from kinbench_adapters._camargo.people import person_table
from kinbench_adapters._camargo.sensors import PLACES, RATE_HZ, Axes, Sensors, clock, find_axes, read_sensors
from kinbench_adapters._camargo.tables import MatFile, Table, read_tables
from kinbench_adapters._camargo.trials import CONDITIONS, CYCLES, IMU, MODES, PEOPLE, Trial

FloatArray = NDArray[np.float64]

ANGLES = ("ik", "ik_offset")
SEARCH_S = 0.5
KNEES = ("knee_angle_r", "knee_angle_l")
_BENT_DEG = 20.0
_RANGE = (1.0, 99.0)


@dataclass(frozen=True)
class Settings:
    """What a user may choose: which published angles are the reference."""

    angles: str


@dataclass(frozen=True)
class Angles:
    """``degrees`` (n, dof) of the schema's ``dofs``, as written, on the file's clock; ``flags`` what was doubted."""

    dofs: tuple[str, ...]
    time: FloatArray
    degrees: FloatArray
    flags: tuple[str, ...]

    def of(self, dof: str) -> FloatArray | None:
        """Return one column (n,), None where there is none."""
        return self.degrees[:, self.dofs.index(dof)] if dof in self.dofs else None


def load(trial: Trial, settings: Settings, card: DatasetCard, version: str) -> Recording:
    """Read one trial as it stands; raises ``DataError`` with what is wrong with it."""
    files = dict(zip((*trial.files, *((PEOPLE,) if trial.people else ())), read_tables(trial.paths), strict=True))
    sensors = read_sensors(files[IMU].table()) if IMU in files else None
    angles = _angles(files[settings.angles].table()) if settings.angles in files else None
    axes = None if sensors is None else _axes(sensors, angles, trial)
    base_s = min(float(one.time[0]) for one in (sensors, angles) if one is not None)
    done, flags = _done(trial, files, base_s)
    person, impossible = person_table(files[PEOPLE].table() if PEOPLE in files else None, trial.key.subject)
    absent = {} if sensors is not None else {"imu": f"there is no file of the sensors ({IMU}) for this trial"}
    if angles is None:
        absent["reference"] = f"there is no file of joint angles ({settings.angles}) for this trial"
    if sensors is not None:
        absent |= {f"sensor:{name}": "its columns are not in the file" for name in sensors.absent}
    rates = {name: _rate(one.time) for name, one in (("imu", sensors), ("reference", angles)) if one is not None}
    return Recording(
        key=trial.key,
        imu=None if sensors is None or axes is None else _imu(sensors, axes, base_s),
        reference=None if angles is None else _reference(angles, base_s),
        attrs={
            **identity(trial.key, card, person=trial.key.person, activity=MODES[trial.mode]),
            "rates": rates,
            "world": "unknown; the reference is joint angles",
            "source": sources((trial.name_of(path), path) for path in trial.paths),
            "adapter": {"name": "camargo", "version": version},
            "history": _steps(sensors, axes, angles, settings),
            "absent": absent,
            "quality": [*(axes.flags if axes is not None else ()), *(angles.flags if angles is not None else ()),
                        *([] if sensors is None or np.isfinite(sensors.acc).all() else ["imu_missing_samples"]),
                        *flags, *impossible],
            "person_table": person,
            **done,
        },
        declared=_declared(sensors, axes, angles),
    )  # fmt: skip


def _declared(sensors: Sensors | None, axes: Axes | None, angles: Angles | None) -> Declared:
    automatic = () if axes is None else tuple(name for name, matrix in axes.rotations.items() if matrix is None)
    scale = {} if angles is None else {dof: -1.0 for dof in angles.dofs if dof.startswith("knee_flexion")}
    sync = Sync("same_clock", search_s=SEARCH_S) if sensors is not None and angles is not None else None
    return Declared(dof_scale=scale, sync=sync, automatic=automatic)


def _rate(time: FloatArray) -> dict[str, Any]:
    steps = np.diff(time)
    measured = (len(time) - 1) / float(time[-1] - time[0])
    return {
        "nominal_hz": RATE_HZ, "measured_hz": round(measured, 6), "clock": "Header",
        "regular": bool(np.abs(steps * RATE_HZ - 1).max() < 0.5),
        "lost": int(np.maximum(np.round(steps * RATE_HZ) - 1, 0).sum()),
    }  # fmt: skip


def _done(trial: Trial, files: dict[str, MatFile], base_s: float) -> tuple[dict[str, Any], list[str]]:
    """Return what was done in the trial as attributes, and flags."""
    conditions = files.get(CONDITIONS)
    ground, flags = terrain(trial, conditions)
    done: dict[str, Any] = {"terrain": ground} if ground else {}
    if conditions is not None and "labels" in conditions.tables:
        done["motions"] = motions(conditions.tables["labels"], base_s)
    if conditions is not None and "speed" in conditions.tables:
        done["belt_speeds"] = belt_speeds(conditions.tables["speed"], base_s)
    if CYCLES in files:
        done["gait_events"] = gait_events(files[CYCLES].table(), base_s)
    return done, flags


def _steps(
    sensors: Sensors | None, axes: Axes | None, angles: Angles | None, settings: Settings
) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    if sensors is not None and axes is not None:
        steps.append({"step": "read_imu", "format": "MATLAB table", "samples": len(sensors.time),
                      "acc_unit": sensors.unit, "acc_median_size": sensors.size, **axes.evidence})  # fmt: skip
    if angles is not None:
        steps.append({"step": "read_reference", "format": "MATLAB table", "angles": settings.angles,
                      "frames": len(angles.time)})  # fmt: skip
    return steps


# --- sensors ----------------------------------------------------------------------------------------------------------


def _axes(sensors: Sensors, angles: Angles | None, trial: Trial) -> Axes:
    knee = None if angles is None else angles.of("knee_flexion_r")
    try:
        return find_axes(sensors, None if angles is None else angles.time, None if knee is None else -knee)
    except DataError as error:
        raise DataError(error.problems, where=trial.files[IMU]) from error


def _imu(sensors: Sensors, axes: Axes, base_s: float) -> xr.Dataset:
    signals = {
        "acc": (sensors.acc, {"units": sensors.unit, "kind": "specific_force", "frame": "sensor"}),
        "gyr": (sensors.gyr, {"units": "rad s-1", "frame": "sensor"}),
    }
    valid = np.isfinite(sensors.acc).all(axis=2) & np.isfinite(sensors.gyr).all(axis=2)
    placements = [_placement(name, axes.rotations[name]) for name in sensors.names]
    return imu_dataset(sensors.time - base_s, placements, signals, valid=valid)


def _placement(name: str, rotation: FloatArray | None) -> Placement:
    segment, side, site, level = PLACES[name]
    return Placement(
        sensor=name, segment=segment, side=side, site=site, level=level, rotation=rotation,
        rotation_origin="unknown" if rotation is None else "nominal",
    )  # fmt: skip


# --- angles -----------------------------------------------------------------------------------------------------------


def _angles(table: Table) -> Angles:
    """Return the angles that the schema has; raises ``DataError`` where the knees bend to the other side.

    The published models' knees flex to the negative side.
    """
    time = clock(table)
    columns = {schema.DOF_ALIASES[name]: name for name in table.numbers if name in schema.DOF_ALIASES}
    if not columns:
        raise DataError(
            f"expected columns such as {', '.join(KNEES)}, found {', '.join(table.numbers)}", where=table.path
        )
    flags, problems = [], []
    for knee in (name for name in KNEES if name in table.numbers and np.isfinite(table.numbers[name]).any()):
        low, high = np.nanpercentile(table.numbers[knee], _RANGE)
        if max(-low, high) < _BENT_DEG:
            flags.append(f"knee_sign_unchecked:{knee[-1]}")
        elif high > -low:
            problems.append(
                f"{knee}: expected it to flex to the negative side, as published, found {low:.0f} to {high:.0f} degrees"
            )
    if problems:
        raise DataError(problems, where=table.path)
    degrees = np.stack([table.column(column) for column in columns.values()], axis=1)
    return Angles(tuple(columns), time, degrees, tuple(flags))


def _reference(angles: Angles, base_s: float) -> xr.Dataset:
    return angle_dataset(
        angles.time - base_s, angles.dofs, angles.degrees, units="deg", convention="opensim_coordinate",
        tier="optical_marker_ik", valid=np.isfinite(angles.degrees),
    )  # fmt: skip
