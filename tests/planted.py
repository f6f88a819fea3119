"""A planting library: copies of sound recordings with one known mistake each, and how well inspection names it.

``PLANTS`` are the kinds of mistakes that conversions make, each a pure function of a recording and a random generator.
Run this file to print the whole campaign: every plant on every real recording there is, thresholds having been fixed on
``DESIGN`` and judged on the other datasets.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from kinbench_adapters.amass import AmassAdapter
from kinbench_adapters.calgary import CalgaryAdapter
from kinbench_adapters.lab import LabAdapter
from kinbench_adapters.opensense import OpenSenseAdapter
from scipy.signal import butter, sosfiltfilt
from scipy.spatial.transform import Rotation

from kinbench import inspection
from kinbench.conversion import prepare
from kinbench.inspection import Finding
from kinbench.recording import Recording

DESIGN = ("neura_sparse", "halilaj_lab", "capsense_treadmill", "calgary")
"""Datasets on which thresholds were fixed; all others judge them."""
LABORATORIES = ("neura_sparse", "halilaj_lab", "capsense_treadmill", "fan_knee", "zare_ankle", "xsens_dot",
                "tan_treadmill")  # fmt: skip
CROP_S = 50.0
SPANS_S = {"halilaj_lab": (300.0, 350.0)}
"""A campaign looks at most at so much of a recording; of mixed tasks at where the person walks."""
MOST = 4
SHORT_MOST = {"tan_treadmill": 10}
"""So many recordings of a dataset at most are planted in; of single steps more, which are looked at together."""
GRAVITY = 9.80665


# --- real recordings -------------------------------------------------------------------------------------------------


def sources(shared: Path, scratch: Path) -> Iterator[tuple[str, object]]:
    """Yield (dataset, source) of every real recording there is a description of."""
    manifests = Path(__file__).parent / "manifests"
    for name in LABORATORIES:
        if (manifests / name).is_dir():
            yield from ((name, source) for source in LabAdapter().find(manifests / name).sources)
    yield from (("opensense", source) for source in OpenSenseAdapter().find(shared / "opensense" / "example").sources)
    yield from (("calgary", source) for source in CalgaryAdapter().find(shared / "calgary_ric").sources)
    places = {
        "ACCAD/Female1General_c3d/A1 - Stand": "accad_A1_stand",
        "MPI_mosh/50004/sample": "amass_sample_female_500",
        "SSM_synced/20160330_03333/sample": "amass_sample_ssm_male_601",
    }
    for place, name in places.items():
        path = scratch / "amass" / f"{place}_poses.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(shared / "amass" / f"{name}.npz", path)
    yield from (("amass", source) for source in AmassAdapter(cutoff_hz=15).find(scratch / "amass").sources)


def recordings(shared: Path, scratch: Path, wanted: Iterable[str] | None = None) -> Iterator[tuple[str, Recording]]:
    """Yield (dataset, recording) as conversion makes it, cut to ``CROP_S``, at most ``MOST`` of a dataset."""
    taken: Counter = Counter()
    for dataset, source in sources(shared, scratch):
        if wanted is None or dataset in wanted:
            taken[dataset] += 1
            if taken[dataset] <= SHORT_MOST.get(dataset, MOST):
                yield dataset, prepared(dataset, source)


def prepared(dataset: str, source) -> Recording:
    """Return a recording as conversion makes it, cut to its span."""
    return cut(prepare(source), *SPANS_S.get(dataset, (0.0, CROP_S)))


def cut(recording: Recording, start_s: float, stop_s: float) -> Recording:
    """Return a span of a recording."""

    def piece(stream):
        if stream is None:
            return None
        time_s = stream["time"].values
        return stream.isel(time=np.flatnonzero((time_s >= start_s) & (time_s < stop_s)))

    return replace(recording, imu=piece(recording.imu), reference=piece(recording.reference))


# --- helpers ---------------------------------------------------------------------------------------------------------


def changed(recording: Recording, stream: str, **variables) -> Recording:
    """Return the recording with variables of one stream set to new values."""
    data = getattr(recording, stream).copy(deep=True)
    for name, values in variables.items():
        data[name].values = np.asarray(values, dtype=data[name].dtype)
    return replace(recording, **{stream: data})


def retimed(recording: Recording, stream: str, time_s: np.ndarray) -> Recording:
    data = getattr(recording, stream)
    return replace(recording, **{stream: data.assign_coords(time=("time", time_s, dict(data["time"].attrs)))})


def sensor_indices(recording: Recording) -> list[int]:
    """Sensors whose signals are whole enough to be planted in."""
    acc = recording.imu["acc"].values
    return [i for i in range(acc.shape[1]) if np.isfinite(acc[:, i]).all(axis=1).mean() > 0.5]


def pick(recording: Recording, rng: np.random.Generator) -> int:
    return int(rng.choice(sensor_indices(recording)))


def segments(recording: Recording) -> list[str]:
    return [str(name) for name in recording.imu["segment"].values]


def vectors(recording: Recording) -> list[str]:
    return [name for name in ("acc", "gyr", "mag") if name in recording.imu]


def exchanged(recording: Recording, pairs: Iterable[tuple[int, int]]) -> Recording:
    """Return the recording with the data of sensors exchanged, everything said of them staying in place."""
    order = list(range(recording.imu.sizes["sensor"]))
    for one, other in pairs:
        order[one], order[other] = order[other], order[one]
    names = [name for name in ("acc", "gyr", "mag", "quat", "valid") if name in recording.imu]
    return changed(recording, "imu", **{name: recording.imu[name].values[:, order] for name in names})


def rows_taken(recording: Recording, kept: np.ndarray, streams: Iterable[str] = ("imu",)) -> Recording:
    """Return the recording with rows chosen by number, on an even clock as if they were all there is."""
    for stream in streams:
        data = getattr(recording, stream)
        step = float(np.median(np.diff(data["time"].values)))
        taken = data.isel(time=kept[kept < data.sizes["time"]])
        time_s = data["time"].values[0] + step * np.arange(taken.sizes["time"])
        attrs = dict(data["time"].attrs)
        recording = replace(recording, **{stream: taken.assign_coords(time=("time", time_s, attrs))})
    return recording


def same_rows(recording: Recording) -> bool:
    """Whether imu and reference are rows of one table."""
    if recording.reference is None:
        return False
    one, other = recording.imu["time"].values, recording.reference["time"].values
    same_clock = recording.attrs["sync"]["method"] == "same_clock"
    return one.size == other.size and bool(np.allclose(one, other)) and same_clock


# --- plants ----------------------------------------------------------------------------------------------------------

Planted = tuple[Recording, str] | None
"""The copy, and the name of the sensor that was spoilt (empty where all were); None where there is nothing to spoil."""


@dataclass(frozen=True)
class Plant:
    """One mistake: its kind, a name, the kinds of cause that name it rightly, and the checks that speak of it."""

    kind: str
    name: str
    causes: tuple[str, ...]
    checks: tuple[str, ...]
    make: Callable[[Recording, np.random.Generator], Planted]


def scaled(stream: str, name: str, factor: float) -> Callable[[Recording, np.random.Generator], Planted]:
    def make(recording, rng):
        data = getattr(recording, stream)
        if data is None or name not in data:
            return None
        return changed(recording, stream, **{name: data[name].values * factor}), ""

    return make


def acc_scaled(factor: float):
    def make(recording, rng):
        if recording.imu["acc"].attrs["kind"] != "specific_force":
            return None  # without gravity there is no yardstick
        return scaled("imu", "acc", factor)(recording, rng)

    return make


PROPER = [m for m in (np.eye(3)[list(p)] * np.array(s)[:, None]
          for p in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
          for s in np.array(np.meshgrid([1, -1], [1, -1], [1, -1])).T.reshape(-1, 3))
          if np.linalg.det(m) > 0 and not np.allclose(m, np.eye(3))]  # fmt: skip


def permuted(names: tuple[str, ...] | None = None):
    def make(recording, rng):
        at, turn = pick(recording, rng), PROPER[int(rng.integers(len(PROPER)))]
        spoilt = {}
        for name in names or vectors(recording):
            if name not in recording.imu:
                return None
            values = recording.imu[name].values.copy()
            values[:, at] = values[:, at] @ turn.T.astype(values.dtype)
            spoilt[name] = values
        return changed(recording, "imu", **spoilt), spoilt_name(recording, at, turn)

    return make


def spoilt_name(recording: Recording, at: int, turn: np.ndarray) -> str:
    """Return the sensor's name, after ``Z:`` where the axis about which joints flex is left as it was."""
    z = recording.imu["rotation"].values[at, 2]
    return f"{'Z:' if np.allclose(z @ turn, z) else ''}{recording.imu['sensor'].values[at]}"


def flipped(names: tuple[str, ...] | None = None):
    def make(recording, rng):
        at, axis = pick(recording, rng), int(rng.integers(3))
        spoilt = {}
        for name in names or vectors(recording):
            if name not in recording.imu:
                return None
            values = recording.imu[name].values.copy()
            values[:, at, axis] *= -1
            spoilt[name] = values
        return changed(recording, "imu", **spoilt), spoilt_name(
            recording, at, np.eye(3) - 2.0 * np.diag(np.eye(3)[axis])
        )

    return make


def orientation(change):
    def make(recording, rng):
        for stream, name in (("imu", "quat"), ("reference", "segment_quat")):
            data = getattr(recording, stream)
            if data is not None and name in data:
                return changed(recording, stream, **{name: change(data[name].values)}), ""
        return None

    return make


def sides_exchanged(recording, rng):
    names = segments(recording)
    pairs = [(i, names.index(f"{name[:-1]}l")) for i, name in enumerate(names)
             if name.endswith("_r") and names.index(name) == i and f"{name[:-1]}l" in names]  # fmt: skip
    if pairs:
        return exchanged(recording, pairs), ""
    if not any(name[-2:] in ("_r", "_l") for name in names):
        return None
    other = {"r": "l", "l": "r"}
    turned = [f"{name[:-1]}{other[name[-1]]}" if name[-2:] in ("_r", "_l") else name for name in names]
    imu = recording.imu.assign_coords(segment=("sensor", np.array(turned, dtype=recording.imu["segment"].dtype)))
    return replace(recording, imu=imu), ""


def one_side_exchanged(recording, rng):
    names = segments(recording)
    there = [s for s in ("thigh", "shank", "foot") if f"{s}_r" in names and f"{s}_l" in names]
    if len(there) < 2:
        return None
    segment = str(rng.choice(there))
    right, left = names.index(f"{segment}_r"), names.index(f"{segment}_l")
    return exchanged(recording, [(right, left)]), str(recording.imu["sensor"].values[right])


def labels_exchanged(recording, rng):
    names = segments(recording)
    there = [(f"{a}_{side}", f"{b}_{side}") for a, b in (("thigh", "shank"), ("shank", "foot")) for side in "rl"]
    there = [(a, b) for a, b in there if a in names and b in names]
    if not there:
        return None
    one, other = there[int(rng.integers(len(there)))]
    return exchanged(recording, [(names.index(one), names.index(other))]), ""


def late(samples: float):
    def make(recording, rng):
        if recording.reference is None or not {"angle", "segment_quat"} & set(recording.reference):
            return None
        rate_hz = 1.0 / float(np.median(np.diff(recording.imu["time"].values)))
        shift_s = float(rng.choice((-1, 1))) * samples / rate_hz
        moved = retimed(recording, "reference", recording.reference["time"].values + shift_s)
        sync = dict(recording.attrs["sync"], method="declared", measured_shift_s=-shift_s)
        return moved.with_attrs(sync=sync), ""

    return make


def reversed_time(*, both: bool):
    def make(recording, rng):
        if both and recording.reference is None:
            return None
        for stream in ("imu", "reference") if both else ("imu",):
            data = getattr(recording, stream)
            last = data["time"].values[-1] + data["time"].values[0]
            if both and stream == "reference":
                imu_time = recording.imu["time"].values
                last = imu_time[-1] + imu_time[0]
            turned = data.isel(time=slice(None, None, -1))
            time_s = last - turned["time"].values
            recording = replace(recording, **{stream: turned.assign_coords(time=("time", time_s, data["time"].attrs))})
        return recording, ""

    return make


def other_rate(factor: float):
    """The true rate is ``factor`` times the declared one: the declared clock runs factor times too slowly."""

    def make(recording, rng):
        streams = ("imu", "reference") if same_rows(recording) else ("imu",)
        for stream in streams:
            time_s = getattr(recording, stream)["time"].values
            recording = retimed(recording, stream, time_s[0] + (time_s - time_s[0]) * factor)
        rates = {
            name: {**rate, **{key: rate[key] / factor for key in ("nominal_hz", "measured_hz") if rate.get(key)}}
            if name in streams else rate
            for name, rate in recording.attrs["rates"].items()
        }  # fmt: skip
        return recording.with_attrs(rates=rates), ""

    return make


def gravity_removed(recording, rng):
    imu = recording.imu
    if imu["acc"].attrs["kind"] == "gravity_removed":
        data = imu.copy()
        data["acc"].attrs = dict(imu["acc"].attrs, kind="specific_force")
        return replace(recording, imu=data), ""
    acc = imu["acc"].values.astype(np.float64)
    if "quat" in imu:
        quat = imu["quat"].values.reshape(-1, 4).astype(np.float64)
        whole = np.isfinite(quat).all(axis=1) & (np.abs(np.nan_to_num(quat)).sum(axis=1) > 0)
        turn = Rotation.from_quat(np.where(whole[:, None], quat, (1.0, 0, 0, 0)), scalar_first=True)
        acc = acc - turn.inv().apply([0.0, GRAVITY, 0.0]).reshape(acc.shape)
    else:
        rate_hz = 1.0 / float(np.median(np.diff(imu["time"].values)))
        slow = butter(2, 0.3, fs=rate_hz, output="sos")
        for sensor in range(acc.shape[1]):
            known = np.isfinite(acc[:, sensor]).all(axis=1)
            if known.sum() > 100:
                acc[known, sensor] -= sosfiltfilt(slow, acc[known, sensor], axis=0)
    return changed(recording, "imu", acc=acc), ""


def saturated(values: np.ndarray) -> bool:
    """Whether a sensor's signal (n, 3) meets the extreme of an axis so often that its own range has cut it."""
    extremes = [extreme(axis[np.isfinite(axis)]) for axis in values.T for extreme in (np.min, np.max)]
    met = [int((axis == extreme).sum()) for axis, extreme in zip(np.repeat(values.T, 2, axis=0), extremes, strict=True)]
    return max(met) > 10


def clipped_signal(name: str):
    def make(recording, rng):
        if name not in recording.imu:
            return None
        at = pick(recording, rng)
        values = recording.imu[name].values.copy()
        if saturated(values[:, at]):
            return None  # this mistake is there already
        limit = 0.7 * float(np.nanmax(np.abs(values[:, at])))
        values[:, at] = np.clip(values[:, at], -limit, limit)
        return changed(recording, "imu", **{name: values}), str(recording.imu["sensor"].values[at])

    return make


def lost_packets(recording, rng):
    n = recording.imu.sizes["time"]
    kept = np.ones(n, dtype=bool)
    for start in rng.integers(n // 10, n - 30, size=12):
        kept[start : start + int(rng.integers(3, 20))] = False
    streams = ("imu", "reference") if same_rows(recording) else ("imu",)
    return rows_taken(recording, np.flatnonzero(kept), streams), ""


def doubled_packets(recording, rng):
    n = recording.imu.sizes["time"]
    again = rng.choice(np.arange(n // 10, n - 10), size=20, replace=False)
    streams = ("imu", "reference") if same_rows(recording) else ("imu",)
    return rows_taken(recording, np.sort(np.concatenate([np.arange(n), again])), streams), ""


def counter_wrap(sign: int):
    def make(recording, rng):
        time_s = recording.imu["time"].values.copy()
        at = int(rng.integers(time_s.size // 4, 3 * time_s.size // 4))
        time_s[at:] += sign * 2**16 * float(np.median(np.diff(time_s)))
        return retimed(recording, "imu", time_s), ""

    return make


def zeroed(stream: str, name: str):
    def make(recording, rng):
        data = getattr(recording, stream)
        if data is None or name not in data:
            return None
        values = data[name].values.copy()
        at = pick(recording, rng) if stream == "imu" else int(rng.integers(values.shape[1]))
        for start in rng.integers(values.shape[0] // 10, values.shape[0] - 60, size=4):
            values[start : start + int(rng.integers(10, 50)), at] = 0
        who = str(data["sensor"].values[at]) if stream == "imu" else ""
        return changed(recording, stream, **{name: values}), who

    return make


def turned_about(angle_deg: float):
    """Turn a sensor's acceleration and angular rate, and not its orientation: the three no longer share axes."""

    def make(recording, rng):
        if "quat" not in recording.imu:
            return None
        at, axis = pick(recording, rng), rng.normal(size=3)
        turn = Rotation.from_rotvec(np.radians(angle_deg) * axis / np.linalg.norm(axis)).as_matrix()
        spoilt = {}
        for name in vectors(recording):
            values = recording.imu[name].values.copy()
            values[:, at] = values[:, at] @ turn.T.astype(values.dtype)
            spoilt[name] = values
        return changed(recording, "imu", **spoilt), str(recording.imu["sensor"].values[at])

    return make


def late_sensor(samples: int):
    """One sensor's samples come later than those of the others; the first are missing."""

    def make(recording, rng):
        if recording.imu.sizes["sensor"] < 2:
            return None
        at = pick(recording, rng)
        return changed(recording, "imu", **shifted(recording, at, samples)), str(recording.imu["sensor"].values[at])

    return make


def shifted(recording: Recording, at: int, samples: int) -> dict[str, np.ndarray]:
    found = {}
    for name in ("acc", "gyr", "mag", "quat", "valid"):
        if name in recording.imu:
            values = recording.imu[name].values.copy()
            values[samples:, at] = values[:-samples, at].copy()
            values[:samples, at] = False if values.dtype == bool else np.nan
            found[name] = values
    return found


def gyro_biased(bias_rad_s: float):
    def make(recording, rng):
        if "gyr" not in recording.imu:
            return None
        at, axis = pick(recording, rng), int(rng.integers(3))
        values = recording.imu["gyr"].values.copy()
        values[:, at, axis] += rng.choice((-1, 1)) * bias_rad_s
        return changed(recording, "imu", gyr=values), str(recording.imu["sensor"].values[at])

    return make


def columns_of(recording: Recording, joint: str) -> list[int]:
    """Return the columns of a joint's flexion angles, right before left."""
    if recording.reference is None or "angle" not in recording.reference:
        return []
    names = [str(name) for name in recording.reference["dof"].values]
    wanted = [f"{joint}_{side}" for side in "rl"]
    return [names.index(name) for name in wanted if name in names]


def angle_negated(joint: str):
    def make(recording, rng):
        columns = columns_of(recording, joint)
        if not columns:
            return None
        values = recording.reference["angle"].values.copy()
        values[:, columns] *= -1
        return changed(recording, "reference", angle=values), ""

    return make


def angles_exchanged(one: str, other: str):
    def make(recording, rng):
        here, there = columns_of(recording, one), columns_of(recording, other)
        if not here or len(here) != len(there):
            return None
        spoilt = {}
        for name in ("angle", "valid"):
            if name in recording.reference and recording.reference[name].ndim == 2:
                values = recording.reference[name].values.copy()
                values[:, here + there] = values[:, there + here]
                spoilt[name] = values
        return changed(recording, "reference", **spoilt), ""

    return make


def acceleration_negated(recording, rng):
    at = pick(recording, rng)
    values = recording.imu["acc"].values.copy()
    values[:, at] *= -1
    return changed(recording, "imu", acc=values), str(recording.imu["sensor"].values[at])


def cut_short(share: float):
    """One sensor's file ends early: what comes after is missing, and masked as a conversion does."""

    def make(recording, rng):
        if recording.imu.sizes["sensor"] < 2:
            return None
        at, start = pick(recording, rng), int(share * recording.imu.sizes["time"])
        spoilt = {}
        for name in ("acc", "gyr", "mag", "quat", "valid"):
            if name in recording.imu:
                values = recording.imu[name].values.copy()
                values[start:, at] = False if values.dtype == bool else np.nan
                spoilt[name] = values
        return changed(recording, "imu", **spoilt), str(recording.imu["sensor"].values[at])

    return make


AXES = ("gyro axes", "segment axes", "axes against the reference")
INNER = ("gyro axes", "gyro against gravity")
PLANTS = (
    Plant("unit of acceleration", "g", ("unit",), ("gravity",), acc_scaled(1 / GRAVITY)),
    Plant("unit of acceleration", "mg", ("unit",), ("gravity",), acc_scaled(1000 / GRAVITY)),
    Plant("unit of acceleration", "g twice", ("unit",), ("gravity",), acc_scaled(GRAVITY)),
    Plant("rad and deg", "gyro in deg/s", ("unit",), ("gyro unit",), scaled("imu", "gyr", 180 / np.pi)),
    Plant("rad and deg", "gyro converted twice", ("unit",), ("gyro unit",), scaled("imu", "gyr", np.pi / 180)),
    Plant("rad and deg", "angle in rad", ("unit",), ("angle unit",), scaled("reference", "angle", np.pi / 180)),
    Plant("rad and deg", "angle converted twice", ("unit",), ("angle unit",),
          scaled("reference", "angle", 180 / np.pi)),
    Plant("axis permutation", "one sensor", ("axes",), AXES, permuted()),
    Plant("axis permutation", "one sensor again", ("axes",), AXES, permuted()),
    Plant("axis permutation", "gyro alone", ("axes",), (*AXES, "gyro against gravity"), permuted(("gyr",))),
    Plant("axis flip", "one sensor", ("axes",), (*AXES, "gyro against gravity"), flipped()),
    Plant("axis flip", "gyro alone", ("axes",), (*AXES, "gyro against gravity"), flipped(("gyr",))),
    Plant("transposed orientation", "all", ("quaternion",), ("quaternion up", "segment axes"),
          orientation(lambda q: q * np.array([1, -1, -1, -1], dtype=q.dtype))),
    Plant("quaternion order", "x, y, z, w", ("quaternion",), ("quaternion up", "segment axes"),
          orientation(lambda q: q[..., [1, 2, 3, 0]])),
    Plant("side swap", "both legs", ("side",), ("sides",), sides_exchanged),
    Plant("side swap", "one segment", ("side",), ("sides between segments",), one_side_exchanged),
    Plant("label swap", "neighbours", ("label",), ("segments by motion", "axes against the reference"),
          labels_exchanged),
    Plant("label swap", "neighbours again", ("label",), ("segments by motion", "axes against the reference"),
          labels_exchanged),
    *(Plant("sync", f"{samples:g} samples", ("sync",), ("sync",), late(samples))
      for samples in (0.25, 0.5, 1.0, 3.0, 12.0)),
    Plant("time reversal", "imu", ("reversal",), ("time direction",), reversed_time(both=False)),
    Plant("time reversal", "imu and reference", ("reversal",), ("time direction",), reversed_time(both=True)),
    *(Plant("wrong rate", f"{factor:g} of it", ("rate",), ("rate by gravity", "drift"), other_rate(factor))
      for factor in (0.6, 1.2, 2.5)),
    Plant("gravity removed", "under another name", ("gravity",), ("gravity",), gravity_removed),
    Plant("clipping", "gyro", ("clipping",), ("clipping",), clipped_signal("gyr")),
    Plant("clipping", "acceleration", ("clipping",), ("clipping",), clipped_signal("acc")),
    Plant("lost packets", "closed up", ("packets",), ("lost samples", "drift"), lost_packets),
    Plant("doubled packets", "on an even clock", ("packets",), ("doubled samples",), doubled_packets),
    Plant("counter wrap", "back", ("clock",), ("clock",), counter_wrap(-1)),
    Plant("counter wrap", "once too often", ("clock",), ("clock",), counter_wrap(1)),
    Plant("zeros for missing", "gyro", ("missing",), ("zeros for missing",), zeroed("imu", "gyr")),
    Plant("zeros for missing", "orientation", ("missing",), ("quaternion norm",), zeroed("imu", "quat")),
    Plant("zeros for missing", "angle", ("missing",), ("zeros for missing",), zeroed("reference", "angle")),
    Plant("turned against its orientation", "40 degrees", ("axes",), ("gyro axes", "quaternion up"), turned_about(40)),
    Plant("one sensor late", "8 samples", ("sync", "clock"), ("sync of sensors",), late_sensor(8)),
    Plant("gyro bias", "0.3 rad/s", ("bias",), ("gyro bias",), gyro_biased(0.3)),
    Plant("sign of an angle", "ankle", ("sign",), ("axes against the reference",),
          angle_negated("ankle_dorsiflexion")),
    Plant("angles exchanged", "hip and knee", ("label",), ("axes against the reference", "segments by motion"),
          angles_exchanged("hip_flexion", "knee_flexion")),
    Plant("acceleration's axes", "negated", ("axes",), ("quaternion up", "gyro against gravity"),
          acceleration_negated),
    Plant("acceleration's axes", "exchanged", ("axes",), ("quaternion up", "gyro against gravity"),
          permuted(("acc",))),
    Plant("file cut short", "one sensor's", ("missing",), ("missing at the ends",), cut_short(0.6)),
)  # fmt: skip


# --- judging ---------------------------------------------------------------------------------------------------------

OUTCOMES = ("named", "found", "not assessed", "missed")
"""Named: a new failure has the right cause. Found: a new failure has another. Not assessed: none has, and no check that
speaks of this mistake passes. Missed: none has, and one passes."""


def failing(findings: Iterable[Finding]) -> Counter:
    return Counter((f.check, f.where, f.kind) for f in findings if f.verdict == "FAIL")


@dataclass(frozen=True)
class Told:
    """What became of a copy: the outcome, the causes newly named, in the order in which a reader meets them."""

    outcome: str
    causes: tuple[str, ...] = ()
    first: bool = False
    alone: bool = False

    @staticmethod
    def of(plant: Plant, causes: Iterable[str], otherwise: str) -> Told:
        told = tuple(dict.fromkeys(causes))
        right = [cause in plant.causes for cause in told]
        outcome = "named" if any(right) else "found" if told else otherwise
        return Told(outcome, told, bool(right) and right[0], bool(right) and all(right))


def outcome(plant: Plant, before: list[Finding], after: list[Finding], sensor: str, size: float = 0.0) -> Told:
    """Return what became of one planted copy; ``size`` is the mistake's, where a pass may hold up to it only."""
    known = failing(before)
    new = []
    for f in after:
        if f.verdict == "FAIL":
            key = (f.check, f.where, f.kind)
            known[key] -= 1
            if known[key] < 0:
                new.append(f.kind)
    checks = plant.checks
    if sensor.startswith("Z:"):
        checks = tuple(check for check in checks if check != "axes against the reference")  # which looks at Z alone
    name = sensor.removeprefix("Z:")
    passes = any(
        f.verdict == "PASS" and f.check in checks and (name in f.where or f.where in ("imu", "imu.gyr"))
        and not (f.within is not None and size <= f.within)
        for f in after
    )  # fmt: skip
    return Told.of(plant, new, "missed" if passes else "not assessed")


def pooled_outcome(
    plant: Plant, before: Mapping[str, list[Finding]], after: Mapping[str, list[Finding]], each: Iterable[str]
) -> Told:
    """Return what became of a dataset all of whose recordings bear the same mistake.

    The causes are those of the pooled verdicts, the one that most places fail by before others.
    """
    outcomes = set(each)
    known = {(one.check, one.cause, where) for one in inspection.pool(before) for where in one.where}
    new = [
        one for one in inspection.pool(after)
        if one.verdict == "FAIL" and not {(one.check, one.cause, where) for where in one.where} <= known
    ]  # fmt: skip
    causes = [one.cause.partition(":")[0] for one in new]
    told = Told.of(plant, causes, "missed" if "missed" in outcomes else "not assessed")
    if "named" in outcomes:
        return replace(told, outcome="named")
    return replace(told, outcome="found") if "found" in outcomes and told.outcome != "named" else told


def informed(recording: Recording) -> bool:
    """Whether there is an orientation, or a reference that moves with the body, to compare with."""
    reference = recording.reference
    return "quat" in recording.imu or (reference is not None and bool({"angle", "segment_quat"} & set(reference)))


def fine(recording: Recording) -> bool:
    """Whether segment orientations and gyros resolve a quarter of a sample."""
    reference = recording.reference
    return reference is not None and "segment_quat" in reference and "gyr" in recording.imu


UNDER = "sync under a sample"
"""Lags that joint angles do not resolve: shown, and not counted among all."""


def seed_of(dataset: str, number: int, plant: int) -> np.random.Generator:
    return np.random.default_rng([sum(map(ord, dataset)), number, plant])


def is_short(recording: Recording) -> bool:
    """Whether a recording is looked at together with others of its person: they all bear the very same mistake."""
    short = inspection.Short()
    short.add(recording)
    return bool(short.groups)


def joined(each: Iterable[Recording]) -> dict[str, list[Finding]]:
    """Return the findings on short recordings laid one behind the other."""
    short = inspection.Short()
    for recording in each:
        short.add(recording)
    return inspection.check_joined(short)


@dataclass(frozen=True)
class Row:
    """One planted copy, or with ``recording`` empty one dataset of them."""

    dataset: str
    recording: str
    informed: bool
    kind: str
    name: str
    told: Told

    @property
    def outcome(self) -> str:
        return self.told.outcome


def campaign(
    found: Iterable[tuple[str, Recording]], wanted: Callable[[int, int], bool] = lambda recording, plant: True
) -> Iterator[Row]:
    """Yield a row for each planted copy, and for each dataset and plant one of all its copies together."""
    by_dataset: dict[str, list[Recording]] = defaultdict(list)
    for dataset, recording in found:
        by_dataset[dataset].append(recording)
    for dataset, each in by_dataset.items():
        before = {str(recording.key): inspection.check(recording) for recording in each}
        together = joined(each)
        for number, plant in enumerate(PLANTS):
            yield from _planted(dataset, each, before, together, number, plant, wanted)


def _planted(dataset, each, before, together, number: int, plant: Plant, wanted) -> Iterator[Row]:
    after, outcomes, copies, kind, who = {}, [], [], plant.kind, ""
    for index, recording in enumerate(each):
        seed = seed_of(dataset, 0 if is_short(recording) else index, number)
        made = plant.make(recording, seed) if wanted(index, number) else None
        if made is None:
            continue
        key = str(recording.key)
        copy, who = made
        copies.append(copy)
        after[key] = inspection.check(copy)
        told = outcome(plant, before[key], after[key], who, size_of(plant, recording))
        outcomes.append(told.outcome)
        kind = UNDER if under(plant, recording) else plant.kind
        yield Row(dataset, key, informed(recording), kind, plant.name, told)
    if not after:
        return
    behind = joined(copies)
    known = {**{key: before[key] for key in after}, **together}
    for name, findings in behind.items():
        outcomes.append(outcome(plant, together.get(name, []), findings, who, size_of(plant, each[0])).outcome)
    told = pooled_outcome(plant, known, {**after, **behind}, outcomes)
    yield Row(dataset, "", any(map(informed, each)), kind, plant.name, told)


def size_of(plant: Plant, recording: Recording) -> float:
    """Return by how many seconds a plant shifts the reference, 0 where it does not."""
    return float(plant.name.split()[0]) * median_step_s(recording) if plant.kind == "sync" else 0.0


def median_step_s(recording: Recording) -> float:
    return float(np.median(np.diff(recording.imu["time"].values)))


def under(plant: Plant, recording: Recording) -> bool:
    return plant.kind == "sync" and plant.name in ("0.25 samples", "0.5 samples") and not fine(recording)


def table(rows: Iterable[Row]) -> str:
    """Return counts of outcomes by kind, as text; shares are of what was assessed but for the first."""
    counts: dict[str, Counter] = defaultdict(Counter)
    for row in rows:
        for kind in (row.kind, *(("ALL",) if row.kind != UNDER else ())):
            counts[kind][row.outcome] += 1
            counts[kind]["first"] += row.told.first
            counts[kind]["alone"] += row.told.alone
    shares = ("of all", "named", "named first", "named alone")
    lines = [f"{'kind':32}" + "".join(f"{name:>14}" for name in OUTCOMES) + "".join(f"{name:>13}" for name in shares)]
    for kind, told in sorted(counts.items(), key=lambda each: each[0] == "ALL"):
        total = sum(told[name] for name in OUTCOMES)
        assessed = total - told["not assessed"]
        parts = [f"{told['named'] / total:.1%}"]
        parts += [f"{told[name] / assessed:.1%}" if assessed else "-" for name in ("named", "first", "alone")]
        lines.append(f"{kind:32}" + "".join(f"{told[name]:14d}" for name in OUTCOMES)
                     + "".join(f"{part:>13}" for part in parts))  # fmt: skip
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Plant every kind of mistake in every real recording.")
    parser.add_argument("shared", type=Path, help="the folder of real recordings")
    parser.add_argument("--half", choices=("design", "judged", "all"), default="all")
    parser.add_argument("--misses", action="store_true", help="list what was not named")
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        every = (*LABORATORIES, "opensense", "calgary", "amass")
        wanted = [name for name in every if options.half in ("all", "design" if name in DESIGN else "judged")]
        found = list(recordings(options.shared, Path(scratch), wanted))
    rows = []
    for row in campaign(found):
        rows.append(row)
        if options.misses and row.outcome != "named":
            where = row.recording or row.dataset
            print(f"{row.outcome:13} {where:46} {row.kind}: {row.name} {','.join(row.told.causes)}", flush=True)
    for half, inside in (("design", True), ("judged", False)):
        for known, words in ((True, "with orientation or reference"), (False, "without")):
            for single, level in ((True, "per recording"), (False, "pooled per dataset")):
                chosen = [row for row in rows if (row.dataset in DESIGN) == inside and row.informed == known
                          and bool(row.recording) == single]  # fmt: skip
                if chosen:
                    print(f"\n{half} half, {words}, {level}: {len(chosen)} copies\n{table(chosen)}")
    print(f"\n{sum(bool(row.recording) for row in rows)} copies, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(sys.argv[1:])
