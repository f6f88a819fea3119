"""The plots of one recording that a person wants: a few seconds of all, gravity, spectra, clocks, angles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import xarray as xr
from scipy.signal import welch

from kinbench import inspection
from kinbench.inspection.comparison import Gait
from kinbench.inspection.findings import Sensor, median_rate_hz, norm, sensors_of
from kinbench.inspection.motion import GRAVITY_TOLERANCE, resting
from kinbench.pages.pictures import LINES, MOST_POINTS, FloatArray, Picture, band, lines, picture, thinned
from kinbench.recording import Recording
from kinbench.schema import DOFS, GRAVITY

SECONDS = 4.0
MOST_SENSORS = 12
MOST_DOFS = 12
MOST_JOINTS = 4
LAGS_S = 0.5
LAG_STEP_S = 0.01
SYNC_RATE_HZ = 100.0
SYNC_LONGEST_S = 60.0
_UNITS = {"m s-2": "m/s²", "rad s-1": "rad/s"}


def pictures_of(recording: Recording, name: str, *, placed: bool = True) -> list[Picture]:
    """Return the plots that a recording has the signals for. ``name`` tells it apart from others on the page.

    ``placed`` False: nobody knows yet on which segments the sensors sit, nor what sign an angle has. Then segments are
    not named, angles are shown over time, and the clocks by those two sensors that explain a joint best.
    """
    found: list[Picture] = []
    if recording.imu is not None and recording.imu.sizes["time"] > 1 and recording.imu.sizes["sensor"]:
        sensors = list(sensors_of(recording.imu))[:MOST_SENSORS]
        left_out = recording.imu.sizes["sensor"] - len(sensors)
        span = _busiest(sensors)
        called = {sensor.name: _called(sensor) if placed else sensor.name for sensor in sensors}
        found += _seconds(sensors, called, recording.imu, span, left_out, name)
        found += _gravity(sensors, recording.imu, name)
        found += _spectra(sensors, called, recording.imu, name)
        found += _clocks(recording, sensors, span, name, placed=placed)
    if recording.reference is not None and "angle" in recording.reference and recording.reference.sizes["time"] > 1:
        found += _angles(recording, name, inspection.gait_of(recording) if placed else Gait({}, {}))
    return found


# --- seconds ---------------------------------------------------------------------------------------------------------


def _busiest(sensors: Sequence[Sensor]) -> tuple[float, float]:
    """Return the ``SECONDS`` in which the sensors together move most: start and stop in s."""
    time = sensors[0].time
    last = max(float(time[0]), float(time[-1]) - SECONDS)
    starts = np.arange(float(time[0]), last + 1e-9, SECONDS / 4)
    score = np.zeros(starts.size)
    for sensor in sensors:
        values = sensor.gyr if sensor.gyr is not None else sensor.acc
        if values is None:
            continue
        moved = np.nan_to_num(norm(values - np.nanmean(values, axis=0)) ** 2)
        total = np.concatenate([[0.0], np.cumsum(moved)])
        first, stop = (np.searchsorted(time, at) for at in (starts, starts + SECONDS))
        score += (total[stop] - total[first]) / max(float(total[-1]), 1e-12)
    start = float(starts[int(np.argmax(score))])
    return start, start + SECONDS


def _unit(imu: xr.Dataset, signal: str) -> str:
    unit = str(imu[signal].attrs.get("units", "unit not known"))
    return _UNITS.get(unit, unit)


def _called(sensor: Sensor) -> str:
    return sensor.segment if sensor.name == sensor.segment else f"{sensor.name} ({sensor.segment})"


def _seconds(
    sensors: Sequence[Sensor],
    called: Mapping[str, str],
    imu: xr.Dataset,
    span: tuple[float, float],
    left_out: int,
    name: str,
) -> Iterator[Picture]:
    signals = [signal for signal in ("acc", "gyr") if signal in imu]
    if not signals:
        return
    inside = (sensors[0].time >= span[0]) & (sensors[0].time < span[1])

    def draw(grid: np.ndarray) -> None:
        for row, sensor in enumerate(sensors):
            for column, signal in enumerate(signals):
                axes = grid[row, column]
                values = sensor.acc if signal == "acc" else sensor.gyr
                axes.set_title(f"{called[sensor.name]}: {signal} [{_unit(imu, signal)}]")
                if values is None:
                    axes.text(0.5, 0.5, "nothing known", ha="center", va="center", transform=axes.transAxes)
                    continue
                time, shown = thinned(sensor.time[inside], values[inside])
                lines(axes, time, shown, "xyz")
                axes.set_xlim(span)
                if row == 0:
                    axes.legend(loc="lower right", ncols=3, bbox_to_anchor=(1.0, 0.97), borderaxespad=0.0)
        for axes in grid[-1]:
            axes.set_xlabel("time [s]")

    every = -(-int(inside.sum()) // MOST_POINTS)
    more = f"; {left_out} more sensors are not shown" if left_out else ""
    more += f"; one sample in {every} is drawn" if every > 1 else ""
    measured = " and ".join({"acc": "acceleration", "gyr": "angular rate"}[signal] for signal in signals)
    alt = (
        f"{measured.capitalize()} of {len(sensors)} sensors, in the sensor's own axes x, y and z, from {span[0]:.1f} "
        f"to {span[1]:.1f} s, where they move most{more}."
    )
    yield picture(
        "A few seconds of every sensor",
        alt,
        draw,
        rows=len(sensors),
        columns=len(signals),
        row_in=1.0,
        same_x=True,
        name=name,
    )


# --- gravity and spectra ---------------------------------------------------------------------------------------------


def _gravity(sensors: Sequence[Sensor], imu: xr.Dataset, name: str) -> Iterator[Picture]:
    rests = {sensor.name: resting(sensor.acc, sensor.rate_hz) for sensor in sensors if sensor.acc is not None}
    if not rests:
        return
    removed = all(sensor.acc_kind == "gravity_removed" for sensor in sensors if sensor.acc is not None)
    told = [
        f"{key} {np.median(found):.2f} ({len(found)} windows)" if len(found) else f"{key} never at rest"
        for key, found in rests.items()
    ]

    def draw(grid: np.ndarray) -> None:
        axes = grid[0, 0]
        if _unit(imu, "acc") == "m/s²" and not removed:
            axes.axhspan(GRAVITY - GRAVITY_TOLERANCE, GRAVITY + GRAVITY_TOLERANCE, color="#00664d", alpha=0.12)
            axes.axhline(GRAVITY, color="#00664d", linewidth=1, linestyle=LINES[2][1])
        for place, found in enumerate(rests.values()):
            few = thinned(found, most=60)[0]
            spread = place + 0.3 * np.linspace(-1, 1, max(few.size, 2))[: few.size]
            axes.plot(spread, few, marker="o", linestyle="none", markersize=2.5, color=LINES[0][0], alpha=0.6)
            if len(found):
                axes.plot([place - 0.35, place + 0.35], [np.median(found)] * 2, color="#111111", linewidth=1.4)
            else:
                axes.text(place, 0.5, "never\nat rest", ha="center", va="center", transform=axes.get_xaxis_transform())
        axes.set_xticks(range(len(rests)), [*rests], rotation=20, ha="right")
        axes.set_xlim(-0.6, len(rests) - 0.4)
        axes.set_ylabel(f"mean |acc| [{_unit(imu, 'acc')}]")

    expected = "0, as gravity is removed" if removed else f"{GRAVITY:.2f} within {GRAVITY_TOLERANCE:g} (shaded)"
    alt = f"Mean acceleration of every half second at rest, per sensor; expected {expected}. " + "; ".join(told) + "."
    yield picture("Gravity at rest", alt, draw, row_in=2.0, top_in=0.1, bottom_in=0.6, name=name)


def _spectra(sensors: Sequence[Sensor], called: Mapping[str, str], imu: xr.Dataset, name: str) -> Iterator[Picture]:
    found: dict[str, list[tuple[str, FloatArray, FloatArray]]] = {}
    for signal in ("acc", "gyr"):
        for sensor in sensors:
            values = sensor.acc if signal == "acc" else sensor.gyr
            spectrum = None if values is None else _spectrum(norm(values), sensor.rate_hz)
            if spectrum is not None:
                found.setdefault(signal, []).append((called[sensor.name], *spectrum))
    if not found:
        return

    def draw(grid: np.ndarray) -> None:
        for axes, (signal, spectra) in zip(grid[0], found.items(), strict=True):
            for index, (label, frequency, density) in enumerate(spectra):
                colour, dash = LINES[index % 4][0], LINES[(index // 4 + index) % 4][1]
                axes.semilogy(frequency, density, color=colour, linestyle=dash, linewidth=0.8, label=label)
            axes.set_title(f"|{signal}| [{_unit(imu, signal)} per √Hz]")
            axes.set_xlabel("frequency [Hz]")
            axes.set_xlim(0, float(spectra[0][1][-1]))
            axes.yaxis.get_major_locator().set_params(subs=(1.0, 3.0))
            axes.yaxis.set_major_formatter(lambda value, place: f"{value:g}")
            axes.yaxis.set_minor_formatter(lambda value, place: "")
        handles, labels = grid[0, -1].get_legend_handles_labels()
        grid[0, 0].figure.legend(handles, labels, loc="lower center", ncols=4)

    peaks = [f"{label} {_strongest(frequency, density):.2f} Hz" for label, frequency, density in [*found.values()][-1]]
    alt = (
        f"Spectral density of the length of {' and '.join(found)} of every sensor up to half the rate. Strongest from "
        f"0.4 to 4 Hz, by {[*found][-1]}: {'; '.join(peaks)}."
    )
    legend_in = 0.17 * -(-max(map(len, found.values())) // 4)
    yield picture("Spectra", alt, draw, columns=len(found), row_in=2.4, bottom_in=0.5 + legend_in, name=name)


def _strongest(frequency: FloatArray, density: FloatArray) -> float:
    return float(frequency[np.argmax(np.where((frequency >= 0.4) & (frequency <= 4.0), density, 0.0))])


def _spectrum(values: FloatArray, rate_hz: float) -> tuple[FloatArray, FloatArray] | None:
    known = values[np.isfinite(values)]
    if rate_hz == 0.0 or known.size < 4 * rate_hz:
        return None
    length = round(4 * rate_hz)
    frequency, power = welch(known, rate_hz, nperseg=length)
    return frequency[1:], np.sqrt(np.maximum(power[1:], 1e-20))


# --- clocks ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Explained:
    """A joint's rate by the reference and as its two gyros explain it, (n,) rad/s, and r (m,) over the lags tried."""

    dof: str
    by: tuple[str, str]
    time: FloatArray
    by_reference: FloatArray
    by_gyros: FloatArray
    lags_s: FloatArray
    r: FloatArray


def _clocks(
    recording: Recording, sensors: Sequence[Sensor], span: tuple[float, float], name: str, *, placed: bool
) -> Iterator[Picture]:
    found: list[_Explained] = []
    for dof in _sagittal(recording)[:MOST_JOINTS] if not placed else _sagittal(recording):
        assert recording.reference is not None  # it has a flexion
        worn = _adjacent(sensors, dof) if placed else _explaining(recording.reference, sensors, dof)
        one = _explained(recording.reference, worn, dof) if worn else None
        if one is not None and len(found) < MOST_JOINTS:
            found.append(one)
    if not found:
        return
    sync = recording.attrs.get("sync") or {}

    def draw(grid: np.ndarray) -> None:
        for row, one in enumerate(found):
            left, right = grid[row]
            middle = float(
                np.clip(np.mean(span), one.time[0] + SECONDS / 2, max(one.time[-1] - SECONDS / 2, one.time[0]))
            )
            inside = np.abs(one.time - middle) <= SECONDS / 2
            columns = np.column_stack([one.by_reference, one.by_gyros])[inside]
            lines(left, one.time[inside], columns, ("reference", "two gyros"))
            left.set_title(f"{one.dof} [rad/s]")
            if row == 0:
                left.legend(loc="lower right", ncols=2, bbox_to_anchor=(1.0, 0.97), borderaxespad=0.0)
            right.plot(one.lags_s * 1000, one.r, color=LINES[0][0])
            best = float(one.lags_s[int(np.argmax(one.r))]) * 1000
            right.axvline(best, color=LINES[1][0], linestyle=LINES[1][1], linewidth=1)
            right.axvline(0.0, color="#555555", linewidth=0.6)
            right.set_title(f"by {' and '.join(one.by)}: best r {one.r.max():.3f} at {best:+.0f} ms")
        grid[-1, 0].set_xlabel("time [s]")
        grid[-1, 1].set_xlabel("reference moved by [ms]")

    best = "; ".join(
        f"{one.dof} by {' and '.join(one.by)} r {one.r.max():.3f} at {one.lags_s[int(np.argmax(one.r))] * 1000:+.0f} ms"
        for one in found
    )
    said = f"Sync method {sync.get('method', 'not declared')}" + (
        f", measured residual {float(sync['measured_shift_s']) * 1000:+.1f} ms when converted"
        if sync.get("measured_shift_s") is not None and sync.get("method") != "estimated"
        else ""
    )
    alt = (
        "The rate of each joint by the reference and as its two gyros explain it on free axes, and how well they do "
        f"(r) when the reference is moved. {best}. {said}."
    )
    yield picture(
        "Clocks of sensors and reference", alt, draw, rows=len(found), columns=2, row_in=1.2, same_x=True, name=name
    )


def _sagittal(recording: Recording) -> list[str]:
    """Return the flexions of the legs, knees first: two long segments tell their joint's rate best."""
    reference = recording.reference
    if reference is None or "angle" not in reference:
        return []
    names = [str(name) for name in reference["dof"].values]
    flexions = [name for name in names if name in DOFS and not DOFS[name].component and DOFS[name].joint != "pelvis"]
    return sorted(flexions, key=lambda name: ("knee", "hip", "ankle").index(DOFS[name].joint))


def _adjacent(sensors: Sequence[Sensor], dof: str) -> list[Sensor]:
    """Return the first sensor with a gyro on either side of a joint; nothing where one is missing."""
    by_segment = {sensor.segment: sensor for sensor in reversed(sensors) if sensor.gyr is not None}
    both = [by_segment.get(segment) for segment in (DOFS[dof].proximal, DOFS[dof].distal)]
    return [sensor for sensor in both if sensor is not None] if None not in both else []


def _explaining(reference: xr.Dataset, sensors: Sequence[Sensor], dof: str) -> list[Sensor]:
    """Return the two sensors that explain a flexion's rate best at any lag; nothing where there are none."""
    with_gyro = [sensor for sensor in sensors if sensor.gyr is not None]
    found = [
        (one.r.max(), pair) for pair in combinations(with_gyro, 2) if (one := _explained(reference, pair, dof, 0.05))
    ]
    return list(max(found, key=lambda each: each[0])[1]) if found else []


def _explained(
    reference: xr.Dataset, worn: Sequence[Sensor], name: str, step_s: float = LAG_STEP_S
) -> _Explained | None:
    """Return how far two gyros explain a flexion's rate, None where there is too little to tell."""
    time, angle = _angle(reference, name)
    if time.size < SYNC_RATE_HZ:
        return None
    start = max(time[0], *(sensor.time[0] for sensor in worn)) + LAGS_S
    stop = min(time[-1], *(sensor.time[-1] for sensor in worn)) - LAGS_S
    if stop - start < SECONDS or (np.diff(time) <= 0).any() or any((np.diff(s.time) <= 0).any() for s in worn):
        return None
    start += max(0.0, (stop - start - SYNC_LONGEST_S) / 2)
    grid = np.arange(start, min(stop, start + SYNC_LONGEST_S), 1.0 / SYNC_RATE_HZ)
    inputs = np.column_stack([*(_onto(grid, s.time + s.clock_offset_s, s.gyr) for s in worn if s.gyr is not None)])
    lags = np.arange(-LAGS_S, LAGS_S + step_s / 2, step_s)
    rates = [_rate(time + lag, angle, grid) for lag in lags]
    known = np.isfinite(inputs).all(axis=1) & np.isfinite(rates).all(axis=0)
    if known.sum() < SECONDS * SYNC_RATE_HZ:
        return None
    fits = [_fit(inputs[known], rate[known]) for rate in rates]
    middle = lags.size // 2
    by_gyros = np.full(grid.size, np.nan)
    by_gyros[known] = fits[middle][0]
    by = (worn[0].name, worn[1].name)
    return _Explained(name, by, grid, rates[middle], by_gyros, lags, np.array([r for _, r in fits]))


def _angle(reference: xr.Dataset, name: str) -> tuple[FloatArray, FloatArray]:
    """Return (time, angle in deg) of one DoF, NaN where it is masked."""
    column = [str(dof) for dof in reference["dof"].values].index(name)
    angle = np.array(reference["angle"].values[:, column], dtype=np.float64)
    if "valid" in reference:
        mask = np.asarray(reference["valid"].values)
        angle[~(mask if mask.ndim == 1 else mask[:, column])] = np.nan
    return np.asarray(reference["time"].values, dtype=np.float64), angle


def _onto(grid: FloatArray, time: FloatArray, values: FloatArray) -> FloatArray:
    return np.column_stack([np.interp(grid, time, column) for column in values.T])


def _rate(time: FloatArray, angle: FloatArray, grid: FloatArray) -> FloatArray:
    """Return (n,) rad/s of an angle in degrees over a twentieth of a second: markers are noisy when differentiated."""
    half = 0.025
    ahead, behind = (np.interp(grid + by, time, angle) for by in (half, -half))
    return np.asarray(np.radians(ahead - behind) / (2 * half), dtype=np.float64)


def _fit(inputs: FloatArray, target: FloatArray) -> tuple[FloatArray, float]:
    """Return the least-squares fit (n,) of the target by the inputs and a constant, and r between the two."""
    centred, wanted = inputs - inputs.mean(axis=0), target - target.mean()
    gram = centred.T @ centred
    weights = np.linalg.solve(
        gram + 1e-9 * np.trace(gram) * np.eye(len(gram)) + 1e-12 * np.eye(len(gram)), centred.T @ wanted
    )
    fitted = centred @ weights
    scale = float(np.sqrt((fitted @ fitted) * (wanted @ wanted)))
    return fitted + target.mean(), float(fitted @ wanted) / scale if scale > 0 else 0.0


# --- angles ----------------------------------------------------------------------------------------------------------


def _angles(recording: Recording, name: str, gait: Gait) -> Iterator[Picture]:
    assert recording.reference is not None  # the caller looked
    reference = recording.reference
    every = [str(dof) for dof in reference["dof"].values]
    shown = every[:MOST_DOFS]
    if not shown:
        return
    curves = {dof: _cycle(reference, dof, gait) for dof in shown}
    rows = -(-len(shown) // 3)

    def draw(grid: np.ndarray) -> None:
        for place, (axes, dof) in enumerate(zip(grid.ravel(), shown, strict=False)):
            last = place + grid.shape[1] >= len(shown)
            cycles = curves[dof]
            if cycles is not None:
                band(axes, np.linspace(0, 100, 101), cycles.mean(axis=0), cycles.std(axis=0), 0, dof)
                axes.set_title(f"{dof} [deg], {len(cycles)} strides")
                axes.set_xlabel("gait cycle [%]" if last else "")
            else:
                time, angle = _angle(reference, dof)
                inside = time - time[0] <= 5 * SECONDS
                axes.plot(*thinned(time[inside], angle[inside]), color=LINES[0][0])
                axes.set_title(f"{dof} [deg]")
                axes.set_xlabel("time [s]" if last else "")
        for axes in grid.ravel()[len(shown) :]:
            axes.axis("off")

    ranges = "; ".join(_range(reference, dof) for dof in shown)
    walks = any(cycles is not None for cycles in curves.values())
    how = (
        "Mean gait cycle and standard deviation of every angle"
        if walks
        else f"The first {5 * SECONDS:g} s of every angle"
    )
    more = f" {len(every) - len(shown)} more are not shown." if len(every) > len(shown) else ""
    alt = f"{how}. Over the whole recording: {ranges}.{more}"
    yield picture("Joint angles", alt, draw, rows=rows, columns=min(3, len(shown)), row_in=1.6, name=name)


def _cycle(reference: xr.Dataset, dof: str, gait: Gait) -> FloatArray | None:
    """Return (stride, 101) of an angle over the strides of its own leg, None where there are too few."""
    leg = dof[-1] if dof[-2:] in ("_r", "_l") else next(iter(gait.strides), "")
    if leg not in gait.strides:
        return None
    time, angle = _angle(reference, dof)
    if median_rate_hz(time) == 0.0 or (np.diff(time) <= 0).any():
        return None
    share = np.linspace(0.0, 1.0, 101)
    strides = gait.strides[leg]
    at = strides[:, :1] + share * (strides[:, 1:] - strides[:, :1])
    found = np.interp(at, time, angle, left=np.nan, right=np.nan)
    found = found[np.isfinite(found).all(axis=1)]
    return found if len(found) >= 3 else None


def _range(reference: xr.Dataset, dof: str) -> str:
    _, angle = _angle(reference, dof)
    known = angle[np.isfinite(angle)]
    return f"{dof} {known.min():.0f} to {known.max():.0f} deg" if known.size else f"{dof} not known"
