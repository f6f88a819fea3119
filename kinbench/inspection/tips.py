"""The seven tips of the field's cheat sheet, each as a numbered warning about one recording.

They are rules of thumb for people who bring a dataset to a published model (J. Tang, 2025, 'Motion capture and IMU data
harmonisation', a student's report on Calgary data at Carnegie Mellon University). Warnings and no verdicts: where the
sheet contradicts measurements, the warning says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kinbench.inspection.findings import FloatArray, Sensor, median_rate_hz, sensors_of
from kinbench.inspection.values import spikes
from kinbench.recording import Recording

ACC_RANGE = 20.0
GYR_RANGE_DEG_S = 500.0
GAIT_HZ = (0.4, 4.0)
NOISE_HZ = 0.3
"""Share of the band, from the top, in which there is noise and no motion."""
NOISE_RATIO = 10.0
_LEAST = 100


@dataclass(frozen=True)
class Tip:
    """One tip: its number, what it asks for, where it warns (empty where it does not), and what was seen."""

    number: int
    title: str
    warns: bool
    where: str
    message: str

    def __str__(self) -> str:
        return f"tip {self.number} ({self.title}){' ' + self.where if self.where else ''}: {self.message}"


def tips(recording: Recording) -> list[Tip]:
    """Return what each of the seven tips says of a recording in schema form, in their order; at least one line each."""
    sensors = [] if recording.imu is None else list(sensors_of(recording.imu))
    return [
        *_units(sensors),
        _axes(sensors),
        *_rates(recording, sensors),
        _places(recording),
        _noise(sensors),
        *_spikes(sensors),
        _folders(recording),
    ]


def _units(sensors: Sequence[Sensor]) -> Iterator[Tip]:
    """1: units m/s2 and deg/s, within +-20 m/s2 and +-500 deg/s."""
    warned = False
    for sensor in sensors:
        for name, values, limit, unit in (
            ("acc", sensor.acc, ACC_RANGE, "m/s2"),
            ("gyr", None if sensor.gyr is None else np.degrees(sensor.gyr), GYR_RANGE_DEG_S, "deg/s"),
        ):
            largest = _largest(values)
            if largest > limit:
                warned = True
                message = f"{name} reaches {largest:.0f} {unit}, beyond +-{limit:g}"
                remark = "; running feet do (40 m/s2 and more), so look, but do not reject" if name == "acc" else ""
                yield Tip(1, "units", True, f"imu.{name}[{sensor.name}]", message + remark)
    if not warned:
        yield Tip(1, "units", False, "", f"within +-{ACC_RANGE:g} m/s2 and +-{GYR_RANGE_DEG_S:g} deg/s")


def _largest(values: FloatArray | None) -> float:
    known = np.zeros(0) if values is None else np.abs(values[np.isfinite(values)])
    return float(known.max()) if known.size else 0.0


def _axes(sensors: Sequence[Sensor]) -> Tip:
    """2: one convention of axes for all datasets."""
    unknown = [sensor.name for sensor in sensors if not np.isfinite(sensor.rotation).all()]
    if unknown:
        message = f"the rotation to the segment is unknown of {', '.join(unknown)}; declare or calibrate it"
        return Tip(2, "axes", True, "imu.rotation", message)
    return Tip(2, "axes", False, "", "every sensor's rotation to its segment is known; world Y up, segments X Y Z")


def _rates(recording: Recording, sensors: Sequence[Sensor]) -> Iterator[Tip]:
    """3: one rate; after resampling the spectrum must keep the peak of gait."""
    rates = {
        name: median_rate_hz(np.asarray(stream["time"].values, dtype=np.float64))
        for name, stream in (("imu", recording.imu), ("reference", recording.reference))
        if stream is not None
    }
    if len(rates) == 2 and abs(rates["imu"] / rates["reference"] - 1) > 0.005:
        message = f"imu {rates['imu']:.4g} Hz, reference {rates['reference']:.4g} Hz; tasks bring both to one rate"
        yield Tip(3, "rate", True, "time", message)
    peak = _peak_hz(sensors)
    if peak is None:
        yield Tip(3, "rate", False, "", "no clear peak in the spectrum to hold a resampled copy to")
    else:
        outside = not GAIT_HZ[0] <= peak <= GAIT_HZ[1]
        yield Tip(3, "rate", outside, "imu" if outside else "", f"the spectrum of angular rate peaks at {peak:.2f} Hz")


def _peak_hz(sensors: Sequence[Sensor]) -> float | None:
    """Return the frequency of the largest peak of angular rate above 0.2 Hz, summed over sensors."""
    power: FloatArray | None = None
    for sensor in sensors:
        values = sensor.gyr if sensor.gyr is not None else sensor.acc
        if values is None or len(values) < _LEAST:
            continue
        whole = np.nan_to_num(values - np.nanmean(values, axis=0))
        found = (np.abs(np.fft.rfft(whole * np.hanning(len(whole))[:, None], axis=0)) ** 2).sum(axis=1)
        power = found if power is None else power + found
    if power is None or not sensors[0].rate_hz:
        return None
    frequency = np.arange(len(power)) * sensors[0].rate_hz / max(1, len(sensors[0].time))
    band = (frequency > 0.2) & (frequency < 10.0)
    if not band.any() or not power[band].max() > 10 * float(np.median(power[band])):
        return None
    return float(frequency[band][int(np.argmax(power[band]))])


def _places(recording: Recording) -> Tip:
    """4: say where each sensor sits."""
    unknown = [] if recording.imu is None else [
        str(name) for name, site in zip(recording.imu["sensor"].values, recording.imu["site"].values, strict=True)
        if str(site) == "unknown"
    ]  # fmt: skip
    if unknown:
        return Tip(4, "placement", True, "imu.site", f"nobody says where on the segment {', '.join(unknown)} sit")
    return Tip(4, "placement", False, "", "the site of every sensor is told")


def _noise(sensors: Sequence[Sensor]) -> Tip:
    """5: noise of sensors alike, by their spectra."""
    floors = {sensor.name: floor for sensor in sensors if (floor := _floor(sensor)) is not None}
    if len(floors) < 2:
        return Tip(5, "noise", False, "", "fewer than two sensors to compare")
    low, high = min(floors, key=lambda name: floors[name]), max(floors, key=lambda name: floors[name])
    ratio = floors[high] / floors[low]
    told = f"in the upper band {high} has {ratio:.1f} times the noise of {low}"
    if ratio > NOISE_RATIO:
        return Tip(5, "noise", True, f"imu.acc[{high}]", f"{told}; the harmonisation step equalise_noise evens it out")
    return Tip(5, "noise", False, "", told)


def _floor(sensor: Sensor) -> float | None:
    """Return the amplitude density of acceleration in the upper band, lower quartile, m s-2 per root Hz."""
    if sensor.acc is None or np.isfinite(sensor.acc).all(axis=1).sum() < _LEAST or not sensor.rate_hz:
        return None
    whole = np.nan_to_num(sensor.acc - np.nanmean(sensor.acc, axis=0))
    power = (np.abs(np.fft.rfft(whole, axis=0)) ** 2).sum(axis=1) * 2 / (sensor.rate_hz * len(whole))
    floor = float(np.sqrt(np.percentile(power[int((1 - NOISE_HZ) * len(power)) :], 25)))
    return floor if floor > 0 else None


def _spikes(sensors: Sequence[Sensor]) -> Iterator[Tip]:
    """6: spikes beyond 6 SD of the second derivative."""
    warned = False
    for sensor in sensors:
        for name, values in (("acc", sensor.acc), ("gyr", sensor.gyr)):
            if values is None or len(values) < _LEAST:
                continue
            bend = np.abs(np.diff(values, 2, axis=0))
            beyond = int((bend > 6 * np.nanstd(np.diff(values, 2, axis=0), axis=0)).any(axis=1).sum())
            isolated = sum(int(spikes(values[:, axis]).sum()) for axis in range(3))
            if beyond:
                warned = True
                message = f"{beyond} samples beyond 6 SD of the second difference, {isolated} of them isolated"
                remark = "" if isolated else "; impacts are no spikes, so none is to be removed"
                yield Tip(6, "spikes", True, f"imu.{name}[{sensor.name}]", message + remark)
    if not warned:
        yield Tip(6, "spikes", False, "", "nothing beyond 6 SD of the second difference")


def _folders(recording: Recording) -> Tip:
    """7: one layout of folders, by task, person and site."""
    message = f"stored as {recording.key}; 'kinbench export' writes TASK/Subject folders for those who want them"
    return Tip(7, "folders", False, "", message)
