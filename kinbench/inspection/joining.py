"""Short recordings of one person, looked at as one: a step alone says too little, ten of them say something.

They are laid one behind the other, with missing samples between them for longer than any lag that is looked for, so
that nothing of one is taken for the other's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import xarray as xr

from kinbench.inspection.findings import FloatArray
from kinbench.recording import Recording

SHORT_S = 12.0
APART_S = 5.0
MOST_S = 60.0
"""So much of one person is looked at together at most."""


@dataclass
class Short:
    """Short recordings of persons, gathered one by one, each group of like sensors and reference on its own."""

    groups: dict[tuple[object, ...], list[Recording]] = field(default_factory=dict)

    def add(self, recording: Recording) -> None:
        """Keep a recording, if it is short, its clocks go forward, and there is not enough of the person yet."""
        lasts_s = _lasts_s(recording)
        if recording.imu is None or not 0 < lasts_s < SHORT_S:
            return
        group = self.groups.setdefault(_likeness(recording), [])
        if sum(map(_lasts_s, group)) + lasts_s <= MOST_S:
            group.append(recording)

    def joined(self) -> dict[str, Recording]:
        """Return each group of two and more as one recording, by a name for people."""
        found: dict[str, Recording] = {}
        for group in self.groups.values():
            if len(group) > 1:
                name = f"{group[0].attrs.get('person')}: {len(group)} short recordings joined"
                found[f"{name} ({len(found) + 1})" if name in found else name] = join(group)
        return found


def join(recordings: Sequence[Recording]) -> Recording:
    """Return short recordings with like sensors one behind the other, ``APART_S`` of missing samples between them."""
    starts: list[float] = []
    total = 0.0
    for recording in recordings:
        first = min(float(stream["time"].values[0]) for stream in _streams(recording))
        starts.append(total - first)
        step_s = _step_s(recording.imu) if recording.imu is not None else 1.0
        total += step_s * np.ceil((_lasts_s(recording) + APART_S) / step_s)
    imu, reference = (
        _behind([getattr(recording, stream) for recording in recordings], starts) for stream in ("imu", "reference")
    )
    return replace(recordings[0], imu=imu, reference=reference)


def _streams(recording: Recording) -> list[xr.Dataset]:
    return [stream for stream in (recording.imu, recording.reference) if stream is not None]


def _lasts_s(recording: Recording) -> float:
    """Return seconds from the first sample of any stream to the last, 0 where a clock does not go forward."""
    times = [np.asarray(stream["time"].values, dtype=np.float64) for stream in _streams(recording)]
    if not times or any(time.size < 2 or not (np.diff(time) > 0).all() for time in times):
        return 0.0
    return float(max(time[-1] for time in times) - min(time[0] for time in times))


def _likeness(recording: Recording) -> tuple[object, ...]:
    """Return what recordings must share to be read as one: the person, and all that is said of the signals."""
    told: list[object] = [recording.key.dataset, recording.attrs.get("person")]
    for stream in _streams(recording):
        told += [stream[name].values.tobytes() for name in ("rotation",) if name in stream.coords]
        told += [tuple(map(str, stream[name].values)) for name in ("sensor", "segment", "dof") if name in stream.coords]
        told += [(name, tuple(sorted((k, str(v)) for k, v in stream[name].attrs.items()))) for name in stream]
        told.append(round(_step_s(stream), 6))
    return tuple(told)


def _step_s(stream: xr.Dataset) -> float:
    return float(np.median(np.diff(stream["time"].values)))


def _behind(streams: Sequence[xr.Dataset | None], starts: Sequence[float]) -> xr.Dataset | None:
    pieces: list[xr.Dataset] = []
    for at, stream in enumerate(streams):
        if stream is None:
            return None
        time_s = np.asarray(stream["time"].values, dtype=np.float64) + starts[at]
        pieces.append(_at(stream, time_s))
        following = streams[at + 1] if at + 1 < len(streams) else None
        if following is not None:
            pieces.append(_nothing(stream, time_s[-1], float(following["time"].values[0]) + starts[at + 1]))
    return xr.concat(
        pieces, dim="time", data_vars="minimal", coords="minimal", compat="override", join="override",
        combine_attrs="override",
    )  # fmt: skip


def _at(stream: xr.Dataset, time_s: FloatArray) -> xr.Dataset:
    return stream.assign_coords(time=("time", time_s, dict(stream["time"].attrs)))


def _nothing(stream: xr.Dataset, after_s: float, before_s: float) -> xr.Dataset:
    """Return missing samples between two moments, at the stream's own rate."""
    count = max(1, round((before_s - after_s) / _step_s(stream)) - 1)
    time_s = np.linspace(after_s, before_s, count + 2)[1:-1]
    empty = _at(stream.isel(time=np.zeros(count, dtype=int)), time_s).copy(deep=True)
    for name, variable in empty.data_vars.items():
        if "time" in variable.dims:
            empty[name].values = np.zeros_like(variable.values) if variable.dtype == bool else variable.values * np.nan
    return empty
