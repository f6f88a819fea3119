"""One trial as a recording: its sensors on one clock, its reference if it has one, and what is to be done with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from kinbench.contracts import DatasetCard
from kinbench.errors import DataError
from kinbench.recording import Calibration, Declared, Placement, Recording, Sync, imu_dataset
from kinbench_adapters._attributes import identity, sources
from kinbench_adapters._formats.clock import Counted, Joined, common_rate, join
from kinbench_adapters._formats.imu_mapping import ImuMapping, read_mapping
from kinbench_adapters._formats.mt_manager import MtFile, read_each
from kinbench_adapters._opensense.mounts import MOUNTS, segment_of
from kinbench_adapters._opensense.reference import read_reference, reference_rate
from kinbench_adapters._opensense.trials import Trial

SYNC_SEARCH_S = 20.0
"""How far apart the clocks may start: in the study the sensors start some seconds before the cameras."""

STILL_S = (0.2, 1.8)
"""Every trial begins with the calibration pose; the shipped recording is steady from its first sample to 1.9 s."""
MOVING_S = (2.0, 30.0)
"""The first steps give the flexion axis. What comes later is left alone: protocols score a trial's last fifth."""

SIGNALS: dict[str, dict[str, str]] = {
    "acc": {"units": "m s-2", "kind": "specific_force", "frame": "sensor"},
    "gyr": {"units": "rad s-1", "frame": "sensor"},
    "mag": {"units": "1", "frame": "sensor"},
    "quat": {"units": "1", "maps": "sensor_to_world", "origin": "Xsens filter on the device"},
}


def load(trial: Trial, card: DatasetCard, version: str) -> Recording:
    """Read one trial as it stands; raises ``DataError`` with all that is wrong with it."""
    mapping = read_mapping(trial.xml)
    segments = _segments(trial, mapping)
    files = _read_sensors(trial, mapping, segments)
    rate_hz = _rate(trial, files)
    joined = join({name: Counted(file.counter, file.columns) for name, file in files.items()})
    absent = _absent_signals(joined)
    imu, calibrations = _imu(joined, files, segments, rate_hz)
    steps = [_imu_step(trial, mapping, files, joined)]
    rates = {"imu": _imu_rate(joined, rate_hz)}
    reference = None
    if not trial.angles:
        absent["reference"] = f"no Mocap/ikResults/*_IK.mot in '{trial.name_of(trial.folder)}'"
    elif "gyr" not in joined.arrays:
        absent["reference"] = "it is on a clock of its own, and without angular rates no shift can be estimated"
    else:
        reference, step = read_reference(trial, simulation=card.simulation)
        steps.append(step)
        rates["reference"] = reference_rate(reference)
    files_read = (trial.xml, *(file.path for file in files.values()), *(trial.angles if reference is not None else ()))
    return Recording(
        key=trial.key,
        imu=imu,
        reference=reference,
        attrs={
            **identity(trial.key, card, person=trial.key.person, activity=_activity(trial)),
            "rates": rates,
            "world": "Y up, right-handed, heading arbitrary",
            "source": sources((trial.name_of(path), path) for path in files_read),
            "adapter": {"name": "opensense", "version": version},
            "history": steps,
            "absent": absent,
            "quality": _quality(segments, rate_hz),
        },
        declared=Declared(
            imu_up="z" if "quat" in joined.arrays else None,
            calibrations=calibrations,
            sync=Sync("estimated", search_s=SYNC_SEARCH_S) if reference is not None else None,
        ),
    )


def _segments(trial: Trial, mapping: ImuMapping) -> dict[str, str]:
    """Return the segment of every mapped frame that has one in the schema."""
    segments = {frame: segment for _, frame in mapping.sensors if (segment := segment_of(frame)) is not None}
    if not segments:
        frames = ", ".join(frame for _, frame in mapping.sensors)
        raise DataError(
            f"None of the frames mapped ({frames}) stands for a segment of the legs or trunk.", where=trial.xml
        )
    twice = sorted({segment for segment in segments.values() if list(segments.values()).count(segment) > 1})
    if twice:
        raise DataError(f"Expected one sensor a segment, found two on {', '.join(twice)}.", where=trial.xml)
    return segments


def _read_sensors(trial: Trial, mapping: ImuMapping, segments: Mapping[str, str]) -> dict[str, MtFile]:
    paths = {frame: trial.text_file(mapping, name) for name, frame in mapping.sensors if frame in segments}
    lost = {frame: path for frame, path in paths.items() if not path.is_file()}
    if lost:
        problems = (
            f"Sensor '{frame}' is mapped, but its file is absent: expected '{trial.name_of(path)}'."
            for frame, path in lost.items()
        )
        raise DataError(problems, where=trial.xml)
    return read_each(paths)


def _rate(trial: Trial, files: Mapping[str, MtFile]) -> float:
    try:
        rate_hz = common_rate({frame: file.rate_hz for frame, file in files.items()})
    except DataError as error:
        raise DataError(error.problems, where=trial.text_folder) from error
    if rate_hz is None:
        raise DataError(
            "The exports tell no update rate; write a manifest that declares it and convert them with the lab adapter.",
            where=trial.text_folder,
        )
    return rate_hz


def _absent_signals(joined: Joined) -> dict[str, str]:
    words = {"acc": "Acc", "gyr": "Gyr"}
    return {
        name: f"the export holds no {word} columns with values"
        for name, word in words.items()
        if name not in joined.arrays
    }


def _imu(
    joined: Joined, files: Mapping[str, MtFile], segments: Mapping[str, str], rate_hz: float
) -> tuple[xr.Dataset, dict[str, Calibration]]:
    """Return the imu stream in raw sensor axes, and what is to be calibrated.

    A leg sensor that has both signals asks for its rotation to be found; the pelvis and trunk get the nominal one.
    Without angular rates nothing is known of any rotation, and unknown is said.
    """
    placements, calibrations = [], {}
    for index, frame in enumerate(joined.sensors):
        mount = MOUNTS[segments[frame]]
        turned = all(
            name in joined.arrays and np.isfinite(joined.arrays[name][:, index]).any() for name in ("acc", "gyr")
        )
        if turned and mount.hint is not None:
            # Nobody can tell this adapter another still span: a person who moves there loses a rotation, not the trial.
            calibrations[frame] = Calibration(STILL_S, MOVING_S, mount.hint, "right", required=False)
        nominal = np.array(mount.nominal) if turned and mount.nominal is not None else None
        placements.append(
            Placement(
                sensor=frame, segment=segments[frame], side=mount.side, site=mount.site, level=mount.level,
                rotation=nominal, rotation_origin="unknown" if nominal is None else "nominal", attachment="strap",
                device=f"Xsens MTw {files[frame].device}",
            )
        )  # fmt: skip
    time = (joined.counter - joined.counter[0]) / rate_hz
    signals = {name: (joined.arrays[name], attrs) for name, attrs in SIGNALS.items() if name in joined.arrays}
    if not signals:
        raise DataError("Expected acceleration, angular rate or orientation of at least one sensor, found none.")
    return imu_dataset(time, placements, signals, valid=joined.valid), calibrations


def _imu_step(trial: Trial, mapping: ImuMapping, files: Mapping[str, MtFile], joined: Joined) -> dict[str, Any]:
    read = {file.path for file in files.values()}
    beside = sorted(p.name for p in trial.text_folder.glob(f"{mapping.trial_prefix}_*.txt") if p not in read)
    return {
        "step": "read_imu",
        "format": "MT Manager text",
        "sensors": {
            frame: {
                **joined.reports[frame].plain(),
                "conflicting": joined.conflicting[frame],
                "orientation": file.orientation,
                "mended": list(file.mended),
            }
            for frame, file in files.items()
        },
        "not_in_schema": [frame for _, frame in mapping.sensors if segment_of(frame) is None],
        "unmapped_files": beside,
    }


def _imu_rate(joined: Joined, rate_hz: float) -> dict[str, Any]:
    # The packet counter is the clock: time is counter / rate, so no rate of its own can be measured from it.
    return {
        "nominal_hz": rate_hz,
        "measured_hz": rate_hz,
        "regular": True,
        "clock": "packet counter",
        "lost": sum(report.lost for report in joined.reports.values()),
        "missing_at_ends": int((~joined.valid).sum()) - sum(report.lost for report in joined.reports.values()),
        "doubled": sum(report.doubled for report in joined.reports.values()),
    }


def _activity(trial: Trial) -> str:
    told = f"{trial.folder.name} {trial.xml.stem}".lower()
    if "walking" in told:
        return "walking"
    return "mixed" if "complextasks" in told else "unknown"


def _quality(segments: Mapping[str, str], rate_hz: float) -> list[str]:
    flags = [] if rate_hz == 100.0 else [f"rate_{rate_hz:g}hz"]
    present = set(segments.values())
    return flags + [f"{segment}_unmapped" for segment in MOUNTS if segment not in present]
