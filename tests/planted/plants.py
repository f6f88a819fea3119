"""``PLANTS``: the kinds of mistakes that conversions make, each a pure function of a recording and a generator."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import butter, sosfiltfilt
from scipy.spatial.transform import Rotation

from kinbench.recording import Recording

GRAVITY = 9.80665


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


# --- mistakes ---------------------------------------------------------------------------------------------------------

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
