"""One trial as a recording: its sensors on one clock, its reference if it has one, and what is to be done with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from kinbench import schema
from kinbench.contracts import DatasetCard
from kinbench.errors import DataError
from kinbench.recording import Calibration, Declared, Placement, Recording, Sync, imu_dataset
from kinbench_adapters._attributes import identity, sources
from kinbench_adapters._formats.clock import Counted, Joined, common_rate, join
from kinbench_adapters._formats.imu_mapping import ImuMapping, read_mapping
from kinbench_adapters._formats.mt_manager import MtFile, read_each
from kinbench_adapters._opensense.checks import Rate, Turned, how_turned, measured_rate
from kinbench_adapters._opensense.mounts import MOUNTS, opposite, segment_of
from kinbench_adapters._opensense.optics import Optics, read_optics, segments_of
from kinbench_adapters._opensense.reference import read_reference, reference_rate
from kinbench_adapters._opensense.sensors import MOVING_S, STILL_S, WornSensor, worn_sensors
from kinbench_adapters._opensense.trials import Trial

FloatArray = NDArray[np.float64]

PERSON_TABLE = dict.fromkeys(schema.PERSON_FIELDS) | {"sex": "unknown"}
"""The study tells of 9 men and 2 women, healthy, 27.9 years old on average, and of nobody which one of them was."""

PLATES_UNREAD = "plates_unread"
"""The flag of a trial with markers whose plates say nothing; ``absent`` says why."""

SYNC_SEARCH_S = 20.0
"""How far apart the clocks may start: in the study the sensors start some seconds before the cameras."""

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
    rate = _rate(trial, files)
    joined = join({name: Counted(file.counter, file.columns) for name, file in files.items()})
    worn = worn_sensors(joined, segments, rate.hz)
    absent = _absent_signals(joined)
    optics = _optics(trial, worn, absent)
    pairs = {} if optics is None else optics.pairing.pairs
    turned = {s.segment: how_turned(s, pairs.get(s.segment), walking=_walking(trial)) for s in worn}
    imu, calibrations = _imu(joined, files, segments, turned, rate.hz)
    reference, axes, steps = _reference(trial, card, joined, optics, turned, absent)
    steps = [_imu_step(trial, mapping, files, joined, rate, turned), *steps]
    used = (trial.xml, *(file.path for file in files.values()), *(trial.angles if reference is not None else ()))
    files_read = (*used, *(() if optics is None else (optics.path,)))
    return Recording(
        key=trial.key,
        imu=imu,
        reference=reference,
        attrs={
            **identity(trial.key, card, person=trial.key.person, activity=_activity(trial)),
            "person_table": PERSON_TABLE,
            "rates": {
                "imu": _imu_rate(joined, rate),
                **({} if reference is None else {"reference": reference_rate(reference)}),
            },
            "world": "Y up, right-handed, heading arbitrary",
            "source": sources((trial.name_of(path), path) for path in files_read),
            "adapter": {"name": "opensense", "version": version},
            "history": steps,
            "absent": absent,
            "quality": [
                *rate.flags, *_unmapped(segments), *_mapping_flags(mapping), *_packet_flags(joined, files),
                *_turned_flags(turned), *(() if optics is None else optics.flags),
                *([PLATES_UNREAD] if "plates" in absent else ()),
            ],
            **({} if optics is None else optics.attrs()),
        },
        declared=Declared(
            imu_up="z" if "quat" in joined.arrays else None,
            reference_up="y" if axes else None,
            segment_axes=axes,
            calibrations=calibrations,
            sync=Sync("estimated", search_s=SYNC_SEARCH_S) if reference is not None else None,
        ),
    )  # fmt: skip


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


def _rate(trial: Trial, files: Mapping[str, MtFile]) -> Rate:
    try:
        return measured_rate(files, common_rate({frame: file.rate_hz for frame, file in files.items()}))
    except DataError as error:
        raise DataError(error.problems, where=trial.text_folder) from error


def _absent_signals(joined: Joined) -> dict[str, str]:
    words = {"acc": "Acc", "gyr": "Gyr"}
    return {
        name: f"the export holds no {word} columns with values"
        for name, word in words.items()
        if name not in joined.arrays
    }


def _optics(trial: Trial, worn: Sequence[WornSensor], absent: dict[str, str]) -> Optics | None:
    """Return what the cameras saw of the plates; None, with the reason in ``absent``, where nothing can be had."""
    if not trial.markers:
        return None
    if len(trial.markers) > 1:
        names = ", ".join(path.name for path in trial.markers)
        absent["plates"] = f"several .trc, none named after the trial: {names}"
    elif not any(sensor.gyr is not None for sensor in worn):
        absent["plates"] = "the sensors give no angular rates to compare with those of their plates"
    else:
        try:
            return read_optics(trial.markers[0], worn, search_s=SYNC_SEARCH_S)
        except DataError as error:
            absent["plates"] = "; ".join(error.problems)
    return None


def _reference(
    trial: Trial,
    card: DatasetCard,
    joined: Joined,
    optics: Optics | None,
    turned: Mapping[str, Turned],
    absent: dict[str, str],
) -> tuple[xr.Dataset | None, dict[str, FloatArray], list[dict[str, Any]]]:
    """Return the reference, its segments' axes where it is of plates, and the history steps of what was read.

    The marker IK is the reference wherever it exists; the plates are where it does not.
    """
    steps = [] if optics is None else [optics.step()]
    if "gyr" not in joined.arrays:
        absent["reference"] = "it is on a clock of its own, and without angular rates no shift can be estimated"
        if not trial.angles:
            absent["reference"] = f"no Mocap/ikResults/*_IK.mot in '{trial.name_of(trial.folder)}'"
        return None, {}, steps
    if trial.angles:
        reference, step = read_reference(trial, simulation=card.simulation)
        return reference, {}, [*steps, step]
    if optics is None:
        plates = absent.get("plates", "no .trc of the trial in motion")
        absent["reference"] = f"no Mocap/ikResults/*_IK.mot in '{trial.name_of(trial.folder)}', and no plates: {plates}"
        return None, {}, steps
    right = {name: (-1.0 if turn.right < 0 else 1.0) * MOUNTS[name].right for name, turn in turned.items()}
    try:
        segments, anatomy = segments_of(optics, right, tier="simulation" if card.simulation else "optical_6dof")
    except DataError as error:
        absent["reference"] = "; ".join(error.problems)
        return None, {}, steps
    absent.update({f"reference {name}": reason for name, reason in anatomy.lacking.items()})
    return segments, anatomy.axes, [*steps, anatomy.step()]


def _imu(
    joined: Joined,
    files: Mapping[str, MtFile],
    segments: Mapping[str, str],
    turned: Mapping[str, Turned],
    rate_hz: float,
) -> tuple[xr.Dataset, dict[str, Calibration]]:
    """Return the imu stream in raw sensor axes, and what is to be calibrated.

    A leg sensor that has both signals asks for its rotation to be found, with the sign that its mounting declares, or
    the other where the data contradict it; the pelvis and trunk get the nominal one, unless they are turned. Without
    angular rates nothing is known of any rotation, and unknown is said.
    """
    placements, calibrations = [], {}
    for index, frame in enumerate(joined.sensors):
        mount, turn = MOUNTS[segments[frame]], turned[segments[frame]]
        whole = all(
            name in joined.arrays and np.isfinite(joined.arrays[name][:, index]).any() for name in ("acc", "gyr")
        )
        if whole and mount.hint is not None:
            hint = opposite(mount.hint) if turn.right < 0 else mount.hint
            # Nobody can tell this adapter another still span: a person who moves there loses a rotation, not the trial.
            calibrations[frame] = Calibration(STILL_S, MOVING_S, hint, "right", required=False)
        nominal = None
        if whole and mount.nominal is not None and turn.flag(segments[frame]) is None:
            nominal = np.array(mount.nominal)
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


def _imu_step(
    trial: Trial,
    mapping: ImuMapping,
    files: Mapping[str, MtFile],
    joined: Joined,
    rate: Rate,
    turned: Mapping[str, Turned],
) -> dict[str, Any]:
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
        "rate": rate.plain(),
        "turned": {segment: turn.plain() for segment, turn in turned.items()},
        "not_in_schema": [frame for _, frame in mapping.sensors if segment_of(frame) is None],
        "unmapped_files": beside,
    }


def _imu_rate(joined: Joined, rate: Rate) -> dict[str, Any]:
    # The packet counter is the clock: time is counter / rate. What was measured of the rate itself is ``by_rotation``.
    return {
        "nominal_hz": rate.hz,
        "measured_hz": rate.hz,
        "header_hz": rate.header_hz,
        "by_rotation_hz": None if rate.by_rotation_hz is None else round(rate.by_rotation_hz, 3),
        "regular": True,
        "clock": "packet counter",
        "lost": sum(report.lost for report in joined.reports.values()),
        "missing_at_ends": int((~joined.valid).sum()) - sum(report.lost for report in joined.reports.values()),
        "doubled": sum(report.doubled for report in joined.reports.values()),
    }


def _activity(trial: Trial) -> str:
    if _walking(trial):
        return "walking"
    return "mixed" if "complextasks" in f"{trial.folder.name} {trial.xml.stem}".lower() else "unknown"


def _walking(trial: Trial) -> bool:
    return "walking" in f"{trial.folder.name} {trial.xml.stem}".lower()


# --- quality flags ---------------------------------------------------------------------------------------------------


def _unmapped(segments: Mapping[str, str]) -> list[str]:
    present = set(segments.values())
    return [f"{segment}_unmapped" for segment in MOUNTS if segment not in present]


def _mapping_flags(mapping: ImuMapping) -> list[str]:
    """Say what had to be put right in the mapping before it could be read as its author meant it."""
    found = {"commented_out": mapping.commented_out, "nested_comments": mapping.nested, "white_space": mapping.padded}
    return [f"mapping_{what}:{count}" for what, count in found.items() if count]


def _packet_flags(joined: Joined, files: Mapping[str, MtFile]) -> list[str]:
    """Say what had to be put right in the exports: unequal lengths, a counter that wraps, a matrix in other columns."""
    received = [report.received + report.lost for report in joined.reports.values()]
    wraps = max(report.wraps for report in joined.reports.values())
    flags = [f"lengths_differ:{max(received) - min(received)}packets"] if max(received) != min(received) else []
    flags += [f"counter_wraps:{wraps}"] if wraps else []
    shifted = sum(bool(file.mended) for file in files.values())
    return flags + ([f"matrix_shifted:{shifted}sensors"] if shifted else [])


def _turned_flags(turned: Mapping[str, Turned]) -> list[str]:
    return [flag for segment, turn in turned.items() if (flag := turn.flag(segment)) is not None]
