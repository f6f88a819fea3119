"""What can be said of the sensors' files: reader, clock, units, frames, orientation, and where each sensor sits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinbench import inspection
from kinbench.contracts import Guess
from kinbench.inspection import Estimate
from kinbench_adapters._formats.vendors import VENDORS
from kinbench_adapters._lab.patterns import list_files
from kinbench_adapters._lab.proposal.folder import Family, Identity
from kinbench_adapters._lab.proposal.looks import Look
from kinbench_adapters._lab.proposal.places import guess_places, told_by_files
from kinbench_adapters._lab.proposal.signals import Found
from kinbench_adapters._lab.proposal.verdicts import asked, counted, estimated, guessed, known
from kinbench_adapters._lab.proposal.vocabulary import words_of

FloatArray = NDArray[np.float64]

DEG = float(np.degrees(1.0))
EARTH = (
    "A manifest describes accelerations in the sensor's own axes. If yours were turned to the earth's (north, west, "
    "up; some software calls them global or free), take 'acc' out"
)
_TIME_WORDS = {"time", "t", "timestamp", "timestamps", "seconds", "sec", "ms", "zeit", "temps", "tiempo", "stamp",
               "sampletimefine", "elapsed"}  # fmt: skip
_SCHEMA_UNITS = {"m s-2": "m/s2", "rad s-1": "rad/s", "deg s-1": "deg/s", "uT": "uT", "1": "a.u."}


@dataclass(frozen=True)
class Sensing:
    """The sensors' part of a proposal.

    ``families`` are the files by signal, one family for all or one each. ``columns`` gives per signal what the manifest
    says of them. ``samples`` are the signals of the recordings looked at: recording, sensor, signal.
    """

    families: Mapping[str, Family]
    columns: Mapping[str, Any]
    sensors: tuple[str, ...]
    samples: Mapping[Identity, Mapping[str, Mapping[str, FloatArray]]]
    guesses: Mapping[str, Guess]
    said: Mapping[str, str | None]
    """By signal: the unit that the file states."""
    rows: Mapping[Identity, int]

    @property
    def main(self) -> Family:
        """The family of the first signal."""
        return next(iter(self.families.values()))

    @property
    def vendor(self) -> bool:
        """Whether the format says itself what it holds."""
        return self.main.first.vendor is not None

    @property
    def rate_hz(self) -> float | None:
        """The rate, where it is known or guessed."""
        guess = self.guesses.get("imu.rate_hz")
        return None if guess is None or guess.value is None else float(guess.value)

    def pooled(self, signal: str) -> list[FloatArray | None]:
        """Return one signal of every sensor in every recording looked at, None where a sensor lacks it."""
        return [held.get(signal) for sensors in self.samples.values() for held in sensors.values()]


def look_at_sensors(raw: Path, families: Sequence[Family]) -> Sensing | None:
    """Return what can be said of a folder's sensors; None where there are none."""
    chosen = _chosen(families)
    if not chosen:
        return None
    found = {signal: _of_signal(family, signal) for signal, family in chosen.items()}
    everywhere = [dict.fromkeys(s for sensors in held.values() for s in sensors) for held in found.values()]
    shared = [sensor for sensor in everywhere[0] if all(sensor in others for others in everywhere)]
    main = next(iter(chosen.values()))
    named = main.first.vendor is not None or "{sensor}" in main.naming.pattern
    renamed = dict(zip(shared, shared, strict=True)) if named else _short(shared)
    samples: dict[Identity, dict[str, dict[str, FloatArray]]] = {}
    for signal, held in found.items():
        for key, sensors in held.items():
            for sensor, what in sensors.items():
                if sensor in renamed:
                    samples.setdefault(key, {}).setdefault(renamed[sensor], {})[signal] = what.values
    guesses: dict[str, Guess] = {}
    said = {signal: _said(family, found[signal], signal) for signal, family in chosen.items()}
    rows = {key: max(look.rows for look in looks.values()) for key, looks in main.by_recording().items()}
    sensing = Sensing(
        chosen, _columns(found, renamed), tuple(renamed.values()), samples, guesses, said, rows,
    )  # fmt: skip
    _guess_files(sensing, guesses)
    _guess_columns(sensing, guesses)
    _guess_clock(sensing, guesses, next(iter(found.values())))
    _guess_units(sensing, guesses, found)
    _guess_orientation(sensing, guesses, found)
    told = told_by_files(raw, _small_files(raw), sensing.sensors)
    every = {sensor: held for sensors in reversed(samples.values()) for sensor, held in sensors.items()}
    for guess in guess_places({sensor: every[sensor] for sensor in sensing.sensors}, told).values():
        guesses[guess.field] = guess
    return sensing


def _small_files(raw: Path) -> list[str]:
    return [name for name in list_files(raw) if Path(name).suffix.lower() in (".xml", ".txt", ".csv", ".tsv", ".md")]


# --- which files and columns -----------------------------------------------------------------------------------------


def _chosen(families: Sequence[Family]) -> dict[str, Family]:
    """Return the family that has most, by signal; another one beside it gives the signal that it lacks."""
    having = [family for family in families if family.signals and family.naming.pattern]
    bodies = [family for family in having if _signals_of(family) & {"acc", "gyr"}] or having
    if not bodies:
        return {}
    main = max(bodies, key=lambda family: (len(_signals_of(family) & {"acc", "gyr"}), family.rows))
    chosen = {signal: main for signal in ("acc", "gyr", "mag", "quat") if signal in _signals_of(main)}
    for signal in ("acc", "gyr"):
        for other in having:
            if signal not in chosen and signal in _signals_of(other) and _sensors_of(other) == _sensors_of(main):
                chosen[signal] = other
    return {signal: chosen[signal] for signal in ("acc", "gyr", "mag", "quat") if signal in chosen}


def _signals_of(family: Family) -> set[str]:
    return {signal for found in family.signals.values() for held in found.of.values() for signal in held}


def _sensors_of(family: Family) -> set[str]:
    named = {fields["sensor"] for fields in family.naming.fields.values() if "sensor" in fields}
    return named or {sensor for found in family.signals.values() for sensor in found.of}


def _of_signal(family: Family, signal: str) -> dict[Identity, dict[str, Found]]:
    """Return one signal by recording and sensor; a file that is one sensor's has its name from the file's."""
    held: dict[Identity, dict[str, Found]] = {}
    for key, looks in family.by_recording().items():
        for named, look in looks.items():
            found = family.signals.get(look.name)
            for sensor, signals in () if found is None else found.of.items():
                if signal in signals:
                    held.setdefault(key, {})[named or sensor or "sensor"] = signals[signal]
    return held


def _short(sensors: Sequence[str]) -> dict[str, str]:
    """Return shorter names, without the words that all names end with."""
    parts = [name.split("_") for name in sensors]
    drop = 0
    while (
        len(sensors) > 1 and len({tuple(part[-drop - 1 :]) for part in parts}) == 1 and min(map(len, parts)) > drop + 1
    ):
        drop += 1
    short = ["_".join(part[: len(part) - drop]) for part in parts]
    return dict(zip(sensors, short if len(set(short)) == len(short) else sensors, strict=True))


def _columns(found: Mapping[str, Mapping[Identity, Mapping[str, Found]]], renamed: Mapping[str, str]) -> dict[str, Any]:
    """Return per signal its columns: alike for all sensors, with {sensor} in them, or each sensor's own."""
    made: dict[str, Any] = {}
    for signal, held in found.items():
        every = {s: what for sensors in reversed(list(held.values())) for s, what in sensors.items()}
        own = {short: list(every[sensor].columns) for sensor, short in renamed.items()}
        if not any(own.values()):
            continue
        templates = {tuple(_template(column, sensor) for column in columns) for sensor, columns in own.items()}
        alike = {tuple(columns) for columns in own.values()}
        if len(alike) == 1:
            made[signal] = list(alike.pop())
        elif len(templates) == 1:
            made[signal] = list(templates.pop())
        else:
            made[signal] = own
        if isinstance(made[signal], list) and len(made[signal]) == 1:
            made[signal] = made[signal][0]
    return made


def _template(column: str, sensor: str) -> str:
    return column.replace(sensor, "{sensor}", 1)


# --- guesses ---------------------------------------------------------------------------------------------------------


def _guess_files(sensing: Sensing, guesses: dict[str, Guess]) -> None:
    for signal, family in sensing.families.items():
        one = len({id(other) for other in sensing.families.values()}) == 1
        field = "imu.files" if one else f"imu.{signal}.files"
        fields = "; ".join(f"{name} by {how}" for name, how in family.naming.how.items())
        told = f"{counted(len(family.naming.fields), 'file')} of one kind, told by {family.how}" + (
            f"; {fields}" if fields else ""
        )
        guesses[field] = guessed(field, family.naming.pattern, 0.9, told)
        reader = dict(family.first.reader)
        told = f"'{family.first.name}' was read with it, {family.first.rows} rows"
        where = field.replace("files", "reader")
        guesses[where] = known(where, reader if len(reader) > 1 else reader["name"], 0.98, told)


def _guess_columns(sensing: Sensing, guesses: dict[str, Guess]) -> None:
    """Say which columns are which signal; a format that tells itself has none to name."""
    for signal, columns in sensing.columns.items():
        field = f"imu.{signal}.columns"
        guesses[field] = guessed(field, columns, 0.9, f"told by {sensing.families[signal].how}")


def _guess_clock(sensing: Sensing, guesses: dict[str, Guess], first: Mapping[Identity, Mapping[str, Found]]) -> None:
    look = sensing.main.first
    if look.vendor is not None and look.rate_hz is not None:
        guesses["imu.rate_hz"] = known("imu.rate_hz", look.rate_hz, 0.99, "the files' headers say it")
        return
    if look.time_s is not None and len(look.time_s) > 1:
        rate_hz = look.rate_hz or float(1 / np.median(np.diff(look.time_s)))
        guesses["imu.rate_hz"] = known("imu.rate_hz", rate_hz, 0.98, "the files' own clock")
        return
    column = time_column(look)
    if column is not None:
        name, reading = column
        value: dict[str, Any] = {"column": name, "unit": reading.value.unit}
        if not reading.value.regular:
            value["regular"] = False
        guesses["imu.time"] = Guess("imu.time", value, reading.verdict, reading.confidence, reading.evidence)
        told = f"the column '{name}': {reading.evidence}"
        guesses["imu.rate_hz"] = guessed("imu.rate_hz", round(reading.value.rate_hz, 4), 0.9, told)
        return
    if look.rate_hz is not None:
        guesses["imu.rate_hz"] = known("imu.rate_hz", look.rate_hz, 0.9, look.rate_told)
        return
    told = "the files hold neither a clock nor a rate"
    if named := [column for column, label in look.labels.items() if _names_time(label)]:
        told = f"the column '{named[0]}' is no clock: {inspection.estimate_clock(look.columns[named[0]]).evidence}"
    guesses["imu.rate_hz"] = asked("imu.rate_hz", told)


def time_column(look: Look) -> tuple[str, Estimate] | None:
    """Return the column that is a clock by its name and by its numbers, and how it reads."""
    for column, label in look.labels.items():
        if _names_time(label) and look.columns[column].ndim == 1:
            reading = inspection.estimate_clock(look.columns[column])
            if reading.value is not None:
                return column, reading
    return None


def _names_time(label: str) -> bool:
    return bool({word for part in words_of(label) for word in (part, part.removesuffix("s"))} & _TIME_WORDS)


def _guess_units(
    sensing: Sensing, guesses: dict[str, Guess], found: Mapping[str, Mapping[Identity, Mapping[str, Found]]]
) -> None:
    rate_hz = sensing.rate_hz
    if "acc" in found:
        acc = [values for values in sensing.pooled("acc") if values is not None]
        unit, kind = inspection.estimate_acceleration(acc, rate_hz)
        guesses["imu.acc.unit"] = _told("imu.acc.unit", unit, sensing.said["acc"])
        guesses["imu.acc.kind"] = _told("imu.acc.kind", kind, _said_kind(sensing))
        if guesses["imu.acc.kind"].value == "specific_force":
            _guess_frame(sensing, acc, guesses)
    if "gyr" in found:
        guesses["imu.gyr.unit"] = gyr_unit(sensing, None)
    if "mag" in found:
        said = sensing.said["mag"]
        if said:  # of no use in any task, so not worth a question
            guesses["imu.mag.unit"] = guessed("imu.mag.unit", said, 0.9, "the file says it")


def _guess_frame(sensing: Sensing, acc: Sequence[FloatArray], guesses: dict[str, Guess]) -> None:
    """Say in whose axes accelerations are: the sensor's own, or, which no manifest can describe, the earth's."""
    field = "imu.acc.frame"
    if sensing.vendor:
        guesses[field] = known(field, "sensor", 0.99, "the format's, by its maker's manual")
        return
    frame = inspection.estimate_frame(acc, sensing.rate_hz)
    if frame.value == "earth":
        guesses["imu.acc.kind"] = asked("imu.acc.kind", f"{frame.evidence}. {EARTH}")
    elif frame.verdict == "open":
        told = f"nothing speaks for another, but nothing proves it: {frame.evidence}. {EARTH}"
        guesses[field] = guessed(field, "sensor", 0.6, told)
    else:
        guesses[field] = estimated(field, frame)


def _said(family: Family, found: Mapping[Identity, Mapping[str, Found]], signal: str) -> str | None:
    """Return the unit that the format or the header states, None where they state none or several."""
    vendor = family.first.vendor
    if vendor is not None:
        return _SCHEMA_UNITS.get(str(vendor.facts.get(signal, {}).get("units")))
    units = {what.unit for sensors in found.values() for what in sensors.values()}
    return units.pop() if len(units) == 1 else None


def _said_kind(sensing: Sensing) -> str | None:
    vendor = sensing.families["acc"].first.vendor
    return None if vendor is None else vendor.facts.get("acc", {}).get("kind")


def _told(field: str, estimate: Estimate, said: str | None) -> Guess:
    """Put what a file states beside what physics says: agreement is known, contradiction is a question."""
    if said is None:
        return estimated(field, estimate)
    if estimate.value is None:
        return guessed(field, said, 0.85, f"the file says {said}; the numbers do not tell: {estimate.evidence}")
    if estimate.value == said:
        sure = known if estimate.verdict == "known" else guessed
        return sure(field, said, 0.99 if sure is known else 0.9, f"the file says {said}, and {estimate.evidence}")
    if estimate.verdict == "guessed":
        return guessed(field, said, 0.7, f"the file says {said}, yet {estimate.evidence}")
    return asked(field, f"the file says {said}, but {estimate.evidence}")


def gyr_unit(sensing: Sensing, joint_rate_rad_s: float | None) -> Guess:
    """Return the gyro's unit, by the file and by physics; ``joint_rate_rad_s`` is the reference's, if there is one."""
    gyr, quat = sensing.pooled("gyr"), sensing.pooled("quat")
    pairs = [(rate, turn) for rate, turn in zip(gyr, quat, strict=True) if rate is not None]
    estimate = inspection.estimate_angular_rate(
        [rate for rate, _ in pairs], [turn for _, turn in pairs], sensing.rate_hz, joint_rate_rad_s
    )
    return _told("imu.gyr.unit", estimate, sensing.said["gyr"])


def _guess_orientation(
    sensing: Sensing, guesses: dict[str, Guess], found: Mapping[str, Mapping[Identity, Mapping[str, Found]]]
) -> None:
    if "quat" not in found:
        return
    look = sensing.families["quat"].first
    if look.vendor is not None:
        up = VENDORS[look.reader["name"]].up
        for key, value in (("order", "wxyz"), ("maps", "sensor_to_world"), ("up", up)):
            guesses[f"imu.quat.{key}"] = known(f"imu.quat.{key}", value, 0.98, "the format's, as its reader gives it")
        return
    named = {what.order for sensors in found["quat"].values() for what in sensors.values()}
    rate_hz = sensing.rate_hz or 100.0
    gyr = [
        None if rate is None else rate / (DEG if guesses.get("imu.gyr.unit", _NONE).value == "deg/s" else 1.0)
        for rate in sensing.pooled("gyr")
    ]
    triples = [
        (turn, force, rate)
        for turn, force, rate in zip(sensing.pooled("quat"), sensing.pooled("acc"), gyr, strict=True)
        if turn is not None
    ]
    estimate, reading = inspection.estimate_quaternion(
        [turn for turn, _, _ in triples], [force for _, force, _ in triples], [rate for _, _, rate in triples], rate_hz
    )
    order = named.pop() if len(named) == 1 else None
    if reading is None:
        for key in ("order", "maps", "up"):
            guesses[f"imu.quat.{key}"] = asked(f"imu.quat.{key}", estimate.evidence)
        if order is not None:
            told = f"by the columns' names; the numbers do not tell: {estimate.evidence}"
            guesses["imu.quat.order"] = guessed("imu.quat.order", order, 0.8, told)
        return
    for key in ("order", "maps", "up"):
        value = getattr(reading, key)
        guesses[f"imu.quat.{key}"] = Guess(
            f"imu.quat.{key}", value, estimate.verdict, estimate.confidence, estimate.evidence
        )
    if order not in (None, reading.order):
        told = f"the columns are named {order}, but their numbers fit gravity in no order but {reading.order}"
        guesses["imu.quat.order"] = asked("imu.quat.order", f"{told}: {estimate.evidence}")


_NONE = Guess("", None, "open", 0.0, "")
