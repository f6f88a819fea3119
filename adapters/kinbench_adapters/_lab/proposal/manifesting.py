"""From what was seen to the text of a manifest, key by key in the order of the manual."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinbench.contracts import Guess
from kinbench_adapters._lab.grammar.files import SELF_CLOCKED
from kinbench_adapters._lab.patterns import fields_of, list_files, match_files
from kinbench_adapters._lab.proposal.families import Naming
from kinbench_adapters._lab.proposal.folder import Family, Surroundings
from kinbench_adapters._lab.proposal.markers import SITES, MarkerSet
from kinbench_adapters._lab.proposal.questions import question
from kinbench_adapters._lab.proposal.sensing import Sensing
from kinbench_adapters._lab.proposal.truth import Truth
from kinbench_adapters._lab.proposal.verdicts import asked, guessed
from kinbench_adapters._lab.proposal.vocabulary import words_of
from kinbench_adapters._lab.proposal.writing import Text, plain

MOST_NOTES = 20
_ACTIVITIES = {
    "walk": "walking", "walking": "walking", "gait": "walking", "gang": "walking", "levelground": "walking",
    "treadmill": "walking_treadmill", "run": "running", "running": "running", "squat": "squat", "squats": "squat",
    "stairs": "stairs", "stair": "stairs", "ramp": "ramp", "jump": "jump", "sts": "sit_to_stand",
}  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """All that was seen of a raw folder."""

    raw: Path
    around: Surroundings
    sensing: Sensing | None
    truth: Truth | None
    markers: MarkerSet | None

    @property
    def families(self) -> Sequence[Family]:
        """The folder's families of files."""
        return self.around.families


def gather(seen: Seen) -> dict[str, Guess]:
    """Return a guess for every field that the manifest will have."""
    sensing, truth, markers = seen.sensing, seen.truth, seen.markers
    guesses = {guess.field: guess for guess in _about_the_dataset(seen)}
    for part in (sensing, truth, markers):
        if part is not None:
            guesses |= part.guesses
    if sensing is not None and sensing.vendor:
        _ask_for_the_reader(guesses)
    for sensor in () if sensing is None else sensing.sensors:
        guesses[f"imu.sensors.{sensor}.calibrate"] = _calibration(sensor)
    if sensing is not None and truth is not None and truth.family is not None:
        guesses["sync.method"] = asked("sync.method")
    absent = _without_reference(seen)
    if absent:
        guesses["reference.optional"] = _optional(absent)
    return guesses


def _ask_for_the_reader(guesses: dict[str, Guess]) -> None:
    """Where a format that tells itself is contradicted, no key can mend it: the question is whether to believe it."""
    fields = [f"imu.{key}" for key in ("acc.unit", "acc.kind", "gyr.unit")]
    doubts = [guesses.pop(field) for field in fields if field in guesses and guesses[field].verdict == "open"]
    if doubts:
        why = "; ".join(doubt.evidence.removeprefix(f"{question(doubt.field)}. ") for doubt in doubts)
        word = guesses["imu.reader"].value
        guesses["imu.reader"] = asked("imu.reader", f"{why}. Write {word} again if you know that it is right")


def compose(
    seen: Seen,
    guesses: Mapping[str, Guess],
    *,
    root: str | None = None,
    notes: Sequence[str] = (),
    problems: Sequence[str] = (),
) -> str:
    """Return the manifest's text. ``root`` is the raw folder, where the manifest is to stand elsewhere.

    ``notes`` are what the physics checks found that no field can mend, ``problems`` why recordings could not be read as
    described.
    """
    text = Text()
    text.line(0, "kinbench: 1")
    if root is not None:
        text.line(0, f"root: {plain(root)}")
    text.line(0, "dataset:")
    for key in ("id", "version", "licence", "redistributable"):
        text.field(1, key, guesses[f"dataset.{key}"])
    _write_fields(text, guesses)
    text.field(0, "activity", guesses["activity"])
    if seen.sensing is not None:
        text.line(0, "")
        _write_imu(text, seen.sensing, guesses)
    if seen.truth is not None:
        text.line(0, "")
        _write_reference(text, seen.truth, guesses)
        if seen.truth.family is not None and seen.sensing is not None:
            text.line(0, "")
            _write_sync(text, guesses)
    if seen.markers is not None:
        text.line(0, "")
        _write_markers(text, guesses, alone=seen.sensing is None)
    told = [problem for problem in problems if not any(name in problem for name in seen.around.unread)]
    _write_notes(text, seen, notes, told)
    return str(text)


def _write_notes(text: Text, seen: Seen, notes: Sequence[str], problems: Sequence[str]) -> None:
    """Write below the manifest what no key of it can say."""
    for title, told in (
        ("Also found by the checks; no key of a manifest mends it, 'kinbench validate' will say it again", notes),
        ("Recordings that could not be read as described above", problems),
        ("Could not be read, though their names end as recordings do", seen.around.refusals),
        ("Also in the folder, and not described here", _left_over(seen)),
    ):  # fmt: skip
        if told:
            text.line(0, "")
            text.note(0, f"{title}:")
        for item in told[:MOST_NOTES]:
            text.note(0, f"- {item}")
        if len(told) > MOST_NOTES:
            text.note(0, f"- and {len(told) - MOST_NOTES} more")


def _without_reference(seen: Seen) -> list[str]:
    """Return the recordings, by the fields of their names, for which no file of the reference is there."""
    sensing, truth = seen.sensing, seen.truth
    if sensing is None or truth is None or truth.family is None:
        return []
    listing = list_files(seen.raw)
    patterns = sensing.main.naming.pattern, truth.family.naming.pattern
    if not all(patterns):
        return []
    shared = sorted((fields_of(patterns[0]) & fields_of(patterns[1])) - {"sensor"})
    ours, theirs = (
        {tuple(match.fields[name] for name in shared): match for match in match_files(seen.raw, pattern, listing)}
        for pattern in patterns
    )
    return ["/".join(key) for key in ours if key not in theirs]


def _optional(absent: Sequence[str]) -> Guess:
    which = ", ".join(absent[:3]) + (", ..." if len(absent) > 3 else "")
    told = f"{'1 recording has' if len(absent) == 1 else f'{len(absent)} recordings have'} no such file ({which}): "
    told += "converted without angles; take the line out, and such recordings are refused"
    return guessed("reference.optional", True, 0.8, told)


def _naming(seen: Seen) -> Naming:
    """Return the naming of the files that make the recordings."""
    if seen.sensing is not None:
        return seen.sensing.main.naming
    truth, markers = seen.truth, seen.markers
    family = truth.family if truth is not None else markers.family if markers is not None else None
    assert family is not None  # there is one of the three, and angles beside sensors need sensors
    return family.naming


def _about_the_dataset(seen: Seen) -> list[Guess]:
    name = re.sub(r"[^A-Za-z0-9._+-]+", "_", seen.raw.resolve().name).strip("_")[:64] or "dataset"
    guesses = [
        guessed("dataset.id", name, 0.5, "the folder's name; give the name that it should be known by"),
        guessed("dataset.version", "1", 0.5, "no file tells a version of the data"),
        asked("dataset.licence"),
        guessed("dataset.redistributable", False, 0.5, "nobody may pass them on unless you say so"),
        _activity(seen),
    ]
    look = None if seen.truth is None else seen.truth.look
    look = look if seen.sensing is None else seen.sensing.main.first
    return [*guesses, _person(_naming(seen), {} if look is None else look.reader)]


def _activity(seen: Seen) -> Guess:
    names = [] if seen.sensing is None else [*seen.sensing.main.looks]
    names += [] if seen.truth is None else [seen.truth.look.name]
    words = [word for name in names for word in words_of(f"{seen.raw.name}/{name}")]
    told = {_ACTIVITIES[word] for word in words if word in _ACTIVITIES}
    if len(told) == 1:
        return guessed("activity", told.pop(), 0.6, "a word in the files' names")
    if told == {"walking", "walking_treadmill"}:
        return guessed("activity", "walking_treadmill", 0.6, "words in the files' names")
    return asked("activity")


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
    return asked("fields.subject", f"there are {len(recordings)} recordings")


def _write_fields(text: Text, guesses: Mapping[str, Guess]) -> None:
    guess = guesses.get("fields.subject")
    if guess is not None and guess.value != "{subject}":
        text.line(0, "fields:")
        text.field(1, "subject", guess)


def _write_imu(text: Text, sensing: Sensing, guesses: Mapping[str, Guess]) -> None:
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
        calibration = guesses[f"imu.sensors.{sensor}.calibrate"]
        text.doubt(2, guess, about=sensor if guess.verdict != "open" else "")
        if calibration.verdict == "open":
            text.doubt(2, calibration)
        text.line(2, f"{plain(sensor)}: {{segment: {text.value(guess)}, calibrate: {text.value(calibration)}}}")


def _calibration(sensor: str) -> Guess:
    told = "no file tells how it was turned on its segment: a conversion finds it by gravity and gait, and leaves it "
    told += "unknown where it is not sure"
    return guessed(f"imu.sensors.{sensor}.calibrate", "auto", 0.5, told)


def _write_reader(text: Text, depth: int, field: str, guesses: Mapping[str, Guess]) -> None:
    guess = guesses[field]
    text.doubt(depth, guess)
    if isinstance(guess.value, Mapping) and set(guess.value) == {"name", "pattern"}:
        text.line(depth, "reader:")
        for key, value in guess.value.items():
            text.line(depth + 1, f"{key}: {plain(value)}")
        return
    text.line(depth, f"reader: {text.value(guess)}".rstrip())


def _write_clock(text: Text, part: str, reader: str, guesses: Mapping[str, Guess]) -> None:
    time, rate = guesses.get(f"{part}.time"), guesses[f"{part}.rate_hz"]
    if time is not None:
        text.field(1, "time", time)
        return
    if reader not in SELF_CLOCKED or rate.value is None:
        text.field(1, "rate_hz", rate)


def _write_signal(text: Text, signal: str, sensing: Sensing, guesses: Mapping[str, Guess], *, shared: bool) -> None:
    if signal == "mag" and "imu.mag.unit" not in guesses:
        return
    text.line(1, f"{signal}:")
    if not shared:
        text.field(2, "files", guesses[f"imu.{signal}.files"])
    columns = guesses[f"imu.{signal}.columns"]
    text.doubt(2, columns)
    if isinstance(columns.value, Mapping):
        text.line(2, "columns:")
        for sensor, own in columns.value.items():
            text.line(3, f"{plain(sensor)}: {plain(own)}")
    else:
        text.line(2, f"columns: {text.value(columns)}".rstrip())
    if signal == "quat":
        for key in ("order", "maps", "up"):
            text.field(2, key, guesses[f"imu.quat.{key}"])
        return
    text.field(2, "unit", guesses[f"imu.{signal}.unit"])
    if signal == "acc":
        frame = guesses.get("imu.acc.frame")
        if frame is not None and frame.verdict == "guessed":
            text.note(2, f"guess ({frame.confidence:.0%}): in the {frame.value}'s axes; {frame.evidence}")
        text.field(2, "kind", guesses["imu.acc.kind"])


def _write_reference(text: Text, truth: Truth, guesses: Mapping[str, Guess]) -> None:
    text.line(0, "reference:")
    if truth.family is not None:
        text.field(1, "files", guesses["reference.files"])
        _write_reader(text, 1, "reference.reader", guesses)
        _write_clock(text, "reference", truth.look.reader["name"], guesses)
        if "reference.optional" in guesses:
            text.field(1, "optional", guesses["reference.optional"])
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
    method, search = guesses["sync.method"], guesses.get("sync.search_s")
    text.line(0, "sync:")
    text.field(1, "method", method)
    if search is not None and method.value == "estimated":
        text.line(1, f"search_s: {plain(search.value)}")


def _write_markers(text: Text, guesses: Mapping[str, Guess], *, alone: bool) -> None:
    text.line(0, "reference:")
    text.field(1, "files", guesses["reference.files"])
    _write_reader(text, 1, "reference.reader", guesses)
    text.field(1, "tier", guesses["reference.tier"])
    text.line(1, "world:")
    text.field(2, "up", guesses["reference.world.up"])
    if "reference.world.forward" in guesses:
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


def _left_over(seen: Seen) -> list[str]:
    used = [] if seen.sensing is None else [id(family) for family in seen.sensing.families.values()]
    used += [] if seen.truth is None or seen.truth.family is None else [id(seen.truth.family)]
    used += [] if seen.markers is None else [id(seen.markers.family)]
    return [family.naming.pattern or family.first.name for family in seen.families if id(family) not in used]
