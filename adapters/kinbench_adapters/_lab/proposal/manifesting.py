"""From what was seen to the text of a manifest, key by key in the order of the manual."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kinbench import schema
from kinbench.contracts import Guess
from kinbench_adapters._lab.grammar.files import SELF_CLOCKED
from kinbench_adapters._lab.proposal.families import Naming
from kinbench_adapters._lab.proposal.folder import Family
from kinbench_adapters._lab.proposal.markers import SITES, MarkerSet
from kinbench_adapters._lab.proposal.sensing import Sensing
from kinbench_adapters._lab.proposal.truth import Truth
from kinbench_adapters._lab.proposal.verdicts import asked, guessed
from kinbench_adapters._lab.proposal.vocabulary import words_of
from kinbench_adapters._lab.proposal.writing import Text, plain

_ACTIVITIES = {
    "walk": "walking", "walking": "walking", "gait": "walking", "gang": "walking", "levelground": "walking",
    "treadmill": "walking_treadmill", "run": "running", "running": "running", "squat": "squat", "squats": "squat",
    "stairs": "stairs", "stair": "stairs", "ramp": "ramp", "jump": "jump", "sts": "sit_to_stand",
}  # fmt: skip


def compose(
    raw: Path,
    families: Sequence[Family],
    sensing: Sensing | None,
    truth: Truth | None,
    markers: MarkerSet | None,
    guesses: dict[str, Guess],
) -> str:
    """Return the manifest's text; ``guesses`` gains an entry for every field that it does not have yet."""
    naming = _naming(sensing, truth, markers)
    for guess in _about_the_dataset(raw, sensing, truth, naming):
        guesses.setdefault(guess.field, guess)
    for part in (sensing, truth, markers):
        if part is not None:
            for field, guess in part.guesses.items():
                guesses.setdefault(field, guess)
    if truth is not None and sensing is not None and "imu.gyr.unit" in truth.guesses:
        guesses["imu.gyr.unit"] = truth.guesses["imu.gyr.unit"]
    text = Text()
    text.line(0, "kinbench: 1")
    text.line(0, "dataset:")
    for key in ("id", "version", "licence", "redistributable"):
        text.field(1, key, guesses[f"dataset.{key}"])
    _write_fields(text, guesses)
    text.field(0, "activity", guesses["activity"])
    if sensing is not None:
        text.line(0, "")
        _write_imu(text, sensing, guesses)
    if truth is not None:
        text.line(0, "")
        _write_reference(text, truth, guesses)
        if truth.family is not None and sensing is not None:
            text.line(0, "")
            _write_sync(text, guesses)
    if markers is not None:
        text.line(0, "")
        _write_markers(text, guesses, alone=sensing is None)
    left = _left_over(families, sensing, truth, markers)
    if left:
        text.line(0, "")
        text.note(0, f"Also in the folder, and not described here: {', '.join(left)}")
    return str(text)


def _naming(sensing: Sensing | None, truth: Truth | None, markers: MarkerSet | None) -> Naming:
    """Return the naming of the files that make the recordings."""
    if sensing is not None:
        return sensing.main.naming
    family = truth.family if truth is not None else markers.family if markers is not None else None
    assert family is not None  # there is one of the three, and angles beside sensors need sensors
    return family.naming


def _about_the_dataset(raw: Path, sensing: Sensing | None, truth: Truth | None, naming: Naming) -> list[Guess]:
    name = re.sub(r"[^A-Za-z0-9._+-]+", "_", raw.resolve().name).strip("_")[:64] or "dataset"
    guesses = [
        guessed("dataset.id", name, 0.5, "the folder's name; give the name that it should be known by"),
        guessed("dataset.version", "1", 0.5, "no file tells a version of the data"),
        asked("dataset.licence", "who may use these data? An SPDX name, or words such as 'none stated'"),
        guessed("dataset.redistributable", False, 0.5, "nobody may pass them on unless you say so"),
        _activity(raw, sensing, truth),
    ]
    look = sensing.main.first if sensing is not None else truth.look if truth is not None else None
    return [*guesses, _person(naming, {} if look is None else look.reader)]


def _activity(raw: Path, sensing: Sensing | None, truth: Truth | None) -> Guess:
    names = [*([] if sensing is None else sensing.main.looks), *([] if truth is None else [truth.look.name])]
    told = {_ACTIVITIES[word] for name in names for word in words_of(f"{raw.name}/{name}") if word in _ACTIVITIES}
    if len(told) == 1:
        return guessed("activity", told.pop(), 0.6, "a word in the files' names")
    if told == {"walking", "walking_treadmill"}:
        return guessed("activity", "walking_treadmill", 0.6, "words in the files' names")
    return asked("activity", f"what did they do? {', '.join(schema.ACTIVITIES)}, or other:<text>")


def _person(naming: Naming, reader: Mapping[str, Any]) -> Guess:
    """Name the person where the files' names do not: P1 for a single recording, a question for several."""
    if "{subject}" in str(reader.get("each", "")):
        return guessed("fields.subject", "{subject}", 0.6, "each table of the file is taken for a person")
    if "{subject}" in naming.pattern:
        told = f"{naming.how.get('subject', 'the names')}: {', '.join(naming.values('subject')[:8])}"
        return guessed("fields.subject", "{subject}", 0.8, told)
    recordings = {tuple(sorted((k, v) for k, v in held.items() if k != "sensor")) for held in naming.fields.values()}
    if len(recordings) == 1:
        return guessed("fields.subject", "P1", 0.6, "one recording, so one person, whatever the name")
    told = (
        "the names do not tell whose recordings these are. All of one person? Else write {subject} into 'files' where "
        "the name tells the person"
    )
    return asked("fields.subject", told)


def _write_fields(text: Text, guesses: Mapping[str, Guess]) -> None:
    guess = guesses.get("fields.subject")
    if guess is not None and guess.value != "{subject}":
        text.line(0, "fields:")
        text.field(1, "subject", guess)


def _write_imu(text: Text, sensing: Sensing, guesses: dict[str, Guess]) -> None:
    text.line(0, "imu:")
    shared = "imu.files" in guesses
    if shared:
        text.field(1, "files", guesses["imu.files"])
        _write_reader(text, 1, "imu.reader", guesses)
    _write_clock(text, "imu", sensing.main.first.reader["name"], guesses)
    if not sensing.vendor:
        for signal in sensing.families:
            _write_signal(text, signal, sensing, guesses, shared=shared)
    elif sensing.guesses.get("imu.acc.unit") is not None:
        for field in ("imu.acc.unit", "imu.acc.kind", "imu.gyr.unit"):
            if field in guesses and guesses[field].verdict != "known":
                text.note(1, f"Beware, {field}: {guesses[field].evidence}")
    text.line(1, "sensors:")
    if any(set(held) != set(sensing.sensors) for held in sensing.samples.values()):
        text.note(
            2, "Beware: not all recordings have all of these sensors. A manifest names those of all its recordings;"
        )
        text.note(
            2, "where people wore other devices, write a manifest for each, or use the adapter made for the layout."
        )
    for sensor in sensing.sensors:
        guess = guesses[f"imu.sensors.{sensor}.segment"]
        calibration = guesses.setdefault(f"imu.sensors.{sensor}.calibrate", _calibration(sensor))
        text.doubt(2, guess, about=sensor if guess.verdict != "open" else "")
        text.line(2, f"{plain(sensor)}: {{segment: {text.value(guess)}, calibrate: {calibration.value}}}")


def _calibration(sensor: str) -> Guess:
    told = "no file tells how it was turned: found from gravity and gait when converted, left unknown where not sure"
    return guessed(f"imu.sensors.{sensor}.calibrate", "auto", 0.5, told)


def _write_reader(text: Text, depth: int, field: str, guesses: Mapping[str, Guess]) -> None:
    guess = guesses[field]
    if isinstance(guess.value, Mapping) and set(guess.value) == {"name", "pattern"}:
        text.line(depth, "reader:")
        for key, value in guess.value.items():
            text.line(depth + 1, f"{key}: {plain(value)}")
        return
    text.line(depth, f"reader: {plain(guess.value)}")


def _write_clock(text: Text, part: str, reader: str, guesses: Mapping[str, Guess]) -> None:
    time, rate = guesses.get(f"{part}.time"), guesses[f"{part}.rate_hz"]
    if time is not None:
        text.field(1, "time", time)
        return
    if reader not in SELF_CLOCKED or rate.value is None:
        text.field(1, "rate_hz", rate)


def _write_signal(text: Text, signal: str, sensing: Sensing, guesses: Mapping[str, Guess], *, shared: bool) -> None:
    if signal == "mag" and guesses["imu.mag.unit"].value is None:
        return  # of no use in any task, so not worth a question
    text.line(1, f"{signal}:")
    if not shared:
        text.field(2, "files", guesses[f"imu.{signal}.files"])
    columns = sensing.columns[signal]
    if isinstance(columns, Mapping):
        text.line(2, "columns:")
        for sensor, own in columns.items():
            text.line(3, f"{plain(sensor)}: {plain(own)}")
    else:
        text.line(2, f"columns: {plain(columns)}")
    if signal == "quat":
        for key in ("order", "maps", "up"):
            text.field(2, key, guesses[f"imu.quat.{key}"])
        return
    text.field(2, "unit", guesses[f"imu.{signal}.unit"])
    if signal == "acc":
        text.field(2, "kind", guesses["imu.acc.kind"])
        frame = guesses.get("imu.acc.frame")
        if frame is not None and frame.value == "earth":
            text.note(2, f"QUESTION imu.acc.frame: {frame.evidence}. Accelerations must be in the sensor's own axes.")


def _write_reference(text: Text, truth: Truth, guesses: dict[str, Guess]) -> None:
    text.line(0, "reference:")
    if truth.family is not None:
        text.field(1, "files", guesses["reference.files"])
        _write_reader(text, 1, "reference.reader", guesses)
        _write_clock(text, "reference", truth.look.reader["name"], guesses)
        text.line(1, "optional: true")
    for key in ("tier", "convention", "unit"):
        text.field(1, key, guesses[f"reference.{key}"])
    text.line(1, "angles:")
    for dof, column in truth.columns.items():
        guess = guesses[f"reference.angles.{dof}"]
        text.doubt(2, guess)
        asked: Any = guess.value if guess.value is not None else column.name
        text.line(2, f"{dof}: {plain(asked)}")
    masks = guesses.get("reference.masks")
    if masks is not None:
        text.doubt(1, masks)
        text.line(1, "masks:")
        for mask in masks.value:
            text.line(2, f"- {plain(mask)}")


def _write_sync(text: Text, guesses: Mapping[str, Guess]) -> None:
    method, search = guesses.get("sync.method"), guesses.get("sync.search_s")
    if method is None or search is None:
        text.line(0, "sync: {method: }")
        return
    text.line(0, "sync:")
    text.field(1, "method", method)
    if search.value is not None and method.value == "estimated":
        text.line(1, f"search_s: {plain(search.value)}")


def _write_markers(text: Text, guesses: Mapping[str, Guess], *, alone: bool) -> None:
    text.line(0, "reference:")
    text.field(1, "files", guesses["reference.files"])
    _write_reader(text, 1, "reference.reader", guesses)
    text.field(1, "tier", guesses["reference.tier"])
    text.line(1, "world:")
    text.field(2, "up", guesses["reference.world.up"])
    if guesses["reference.world.forward"].value is not None:
        text.field(2, "forward", guesses["reference.world.forward"])
    text.line(1, "markers:")
    text.field(2, "set", guesses["reference.markers.set"])
    text.field(2, "unit", guesses["reference.markers.unit"])
    if alone:
        text.line(0, "")
        text.note(0, "guess (50%): there are no sensors, so virtual ones ride on the segments; put them where you want")
        text.line(0, "virtual:")
        text.line(1, "sensors:")
        for name, place in SITES.items():
            text.line(2, f"{name}: {plain(place)}")


def _left_over(
    families: Sequence[Family], sensing: Sensing | None, truth: Truth | None, markers: MarkerSet | None
) -> list[str]:
    used = [] if sensing is None else [id(family) for family in sensing.families.values()]
    used += [] if truth is None or truth.family is None else [id(truth.family)]
    used += [] if markers is None else [id(markers.family)]
    return [family.naming.pattern or family.first.name for family in families if id(family) not in used]
