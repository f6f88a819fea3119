"""What the physics checks say against a proposal, and for it.

The recordings that the proposal describes are read as a conversion would, and checked as ``kinbench validate`` does. A
check that fails contradicts a field, which becomes a question; one that passes is evidence for it. What a file states
and only a check could confirm (a clock, a sensor's place) is known where one does, and otherwise a guess.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kinbench import inspection
from kinbench.contracts import Guess
from kinbench.errors import DataError
from kinbench.inspection import Finding
from kinbench.recording import Recording
from kinbench_adapters._lab.proposal.drafting import busiest, place
from kinbench_adapters._lab.proposal.questions import question
from kinbench_adapters._lab.proposal.verdicts import asked

_BRACKETED = re.compile(r"\[(.*)\]")
_SENSOR = "imu.sensors."
_ANGLE = "reference.angles."
_MOST_EVIDENCE = 2
_UNITS = {"acc": "imu.acc.unit", "gyr": "imu.gyr.unit", "angle": "reference.unit"}
_QUATERNION = ("imu.quat.order", "imu.quat.maps", "imu.quat.up")
_SELF_TOLD = ("imu.acc.", "imu.gyr.", "imu.quat.")
"""Fields that are the reader's, where a format tells them itself."""
_NEARLY = 0.9
"""How sure a statement of a file is that no check could look at."""


@dataclass(frozen=True)
class Subject:
    """What is judged: the recordings read, what is proposed of them, and whether the format tells itself what it is."""

    segments: Mapping[str, str]
    """By sensor, as far as proposed."""
    fields: Collection[str]
    vendor: bool

    def sensors_on(self, *segments: str) -> list[str]:
        """Return the fields of the sensors that are said to be on these segments."""
        return [f"{_SENSOR}{name}.segment" for name, segment in self.segments.items() if segment in segments]

    def sided(self) -> list[str]:
        """Return the fields of all sensors that are on one side."""
        return [f"{_SENSOR}{name}.segment" for name, segment in self.segments.items() if segment[-2:] in ("_r", "_l")]

    def angles(self, name: str) -> list[str]:
        """Return the fields of a joint angle, of both legs where no side is said, or of ``all``."""
        held = [field for field in self.fields if field.startswith(_ANGLE)]
        return [field for field in held if name == "all" or field[len(_ANGLE) :] in (name, f"{name}_r", f"{name}_l")]

    def clock(self, stream: str) -> str:
        """Return the field that the stream's clock stands in."""
        return f"{stream}.time" if f"{stream}.time" in self.fields else f"{stream}.rate_hz"

    def own(self, fields: Iterable[str]) -> list[str]:
        """Return the fields that the manifest has: of a format that tells itself, its reader in their place."""
        held = ["imu.reader" if self.vendor and field.startswith(_SELF_TOLD) else field for field in fields]
        return [field for field in dict.fromkeys(held) if field in self.fields]


def scrutinise(drafts: Sequence[Recording], guesses: dict[str, Guess], *, vendor: bool) -> list[str]:
    """Hold the guesses against the checks, and return in words what the checks found that is no field's fault."""
    segments = {
        field.removeprefix(_SENSOR).removesuffix(".segment"): str(guess.value)
        for field, guess in guesses.items()
        if field.startswith(_SENSOR) and field.endswith(".segment") and guess.value is not None
    }
    subject = Subject(segments, tuple(guesses), vendor)
    told = _findings(drafts, guesses)
    notes: dict[str, str] = {}
    failed = [(finding, about(finding, subject)) for finding in told if finding.verdict == "FAIL"]
    blind = "imu.gyr.unit" in guesses and guesses["imu.gyr.unit"].verdict == "open"
    for finding, fields in failed:
        if blind and fields != ["imu.gyr.unit"] and not finding.where.startswith("reference"):
            continue  # read in a unit drawn by chance, the gyros contradict everything
        if not fields or _lonely(finding, told):
            notes.setdefault(f"{finding.check}, {finding.where}", finding.message)
        elif unsure := [field for field in fields if guesses[field].verdict == "open"]:
            for field in unsure:
                guesses[field] = replace(guesses[field], evidence=f"{guesses[field].evidence}; {_said(finding)}")
        else:
            for field in fields:
                guesses[field] = _contradicted(guesses[field], finding)
    confirmed = _confirm([finding for finding in told if finding.verdict == "PASS"], subject, guesses)
    if subject.clock("imu") not in confirmed:  # the reference's clock was compared with one that nothing confirms
        confirmed.discard(subject.clock("reference"))
    _demote(guesses, confirmed)
    return [f"{where}: {message}" for where, message in notes.items()]


def _findings(drafts: Sequence[Recording], guesses: dict[str, Guess]) -> list[Finding]:
    """Return what every check says of every draft; clocks that cannot be estimated as proposed become a question."""
    told: list[Finding] = []
    for draft in drafts:
        try:
            placed = place(draft)
        except DataError as error:
            placed = draft
            _unplaced(error.problems[0], guesses)
        told += inspection.check(busiest(placed))
    return told


def _unplaced(problem: str, guesses: dict[str, Guess]) -> None:
    """Make a question of the clocks, unless it is for want of places that they could not be compared."""
    method = guesses.get("sync.method")
    places = [guess for field, guess in guesses.items() if field.startswith(_SENSOR) and field.endswith(".segment")]
    if method is not None and all(guess.verdict != "open" for guess in places):
        guesses["sync.method"] = asked("sync.method", f"it looked {method.value} ({method.evidence}), but {problem}")


def _lonely(finding: Finding, told: Sequence[Finding]) -> bool:
    """Whether a factor that is no unit's is found in fewer than half of the sensors: they are bad, not the field."""
    if finding.kind != "scale":
        return False
    alike = [other for other in told if other.check == finding.check and other.verdict != "NOT ASSESSED"]
    return 2 * sum(other.verdict == "FAIL" for other in alike) < len(alike)


# --- which fields a finding is about ---------------------------------------------------------------------------------


def about(finding: Finding, subject: Subject) -> list[str]:
    """Return the fields that a failed check contradicts; none where the data are at fault and not their description."""
    stream = "reference" if finding.where.startswith("reference") else "imu"
    kind, detail = finding.kind, finding.cause.partition(":")[2]
    if kind in ("unit", "scale"):
        fields = [_UNITS[detail.partition(":")[0]]]
    elif kind == "gravity":
        fields = ["imu.acc.kind"]
    elif kind == "sync" and not detail:
        fields = ["sync.method"]
    elif kind == "rate":
        streams = ("imu", "reference") if finding.check in ("drift", "rate by joints") else (stream,)
        fields = [subject.clock(name) for name in streams]
    elif kind == "clock":
        fields = [subject.clock(stream)]
    elif kind == "reversal":
        fields = ["imu.files", "imu.acc.files", "imu.gyr.files"]
    elif kind == "sign":
        fields = subject.angles(detail) or [f"{_ANGLE}{name}" for name in _names(finding)]
    elif kind == "side":
        fields = subject.sided() if detail == "all" else subject.sensors_on(f"{detail}_r", f"{detail}_l")
        fields = fields or subject.angles(detail)
    elif kind == "label":
        one, _, other = detail.partition("<->")
        fields = subject.sensors_on(one, other) or [*subject.angles(one), *subject.angles(other)]
    elif kind == "quaternion" and detail != "norm":
        fields = list(_QUATERNION)
    elif kind == "axes":
        fields = _axes(finding)
    else:
        return []
    return subject.own(fields)


def _axes(finding: Finding) -> list[str]:
    """Columns where two signals of one sensor disagree; how or where a sensor was worn where a body contradicts it."""
    if finding.where.startswith("imu.gyr"):
        return ["imu.gyr.columns", "imu.acc.columns", *(_QUATERNION if finding.check == "gyro axes" else ())]
    named = finding.cause.split(":")[2:]  # of several, the sensor whose axes would explain it
    if finding.check == "axes against the reference" and not named:
        return [f"{_SENSOR}{name}.segment" for name in _names(finding)]
    return [f"{_SENSOR}{name}.calibrate" for name in named or _names(finding)]


def _names(finding: Finding) -> list[str]:
    found = _BRACKETED.search(finding.where)
    return [] if found is None else found[1].split(", ")


# --- what follows ----------------------------------------------------------------------------------------------------


def _said(finding: Finding) -> str:
    return f"the check '{finding.check}' of {finding.where} says: {finding.message}"


def _contradicted(guess: Guess, finding: Finding) -> Guess:
    """Return the guess as a question, with what contradicts it and what may be answered."""
    if guess.verdict == "open":
        return replace(guess, evidence=f"{guess.evidence}; {_said(finding)}")
    told = f"{question(guess.field)}. It looked like {_written(guess.value)} ({guess.evidence}), but {_said(finding)}"
    if guess.field.startswith(_ANGLE):
        column = guess.value["column"] if isinstance(guess.value, Mapping) else guess.value
        return Guess(guess.field, {"column": column, "sign": None}, "open", 0.0, told)
    if not guess.field.endswith(".calibrate"):
        told += f". Write {_written(guess.value)} again if you know that it is right"
    return Guess(guess.field, None, "open", 0.0, told)


def _written(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {item}" for key, item in value.items()) + "}"
    return str(value)


def _confirm(passed: Sequence[Finding], subject: Subject, guesses: dict[str, Guess]) -> set[str]:
    """Add what passed to the evidence, and return the fields that it confirms."""
    added: dict[str, list[str]] = {}
    for finding in passed:
        for field in subject.own(_supported(finding, subject)):
            checks = added.setdefault(field, [])
            if guesses[field].verdict == "open" or finding.check in checks:
                continue
            checks.append(finding.check)
            if len(checks) <= _MOST_EVIDENCE:
                evidence = f"{guesses[field].evidence}; checked ({finding.check}): {finding.message}"
                guesses[field] = replace(guesses[field], evidence=evidence)
    return set(added)


def _supported(finding: Finding, subject: Subject) -> list[str]:
    """Return the fields that could not be wrong, or not by much, with this check passed."""
    names = _names(finding)
    places = [f"{_SENSOR}{name}.segment" for name in names]
    if finding.check == "gyro unit" and names:
        return ["imu.gyr.unit", subject.clock("imu")]
    if finding.check == "gyro against gravity":
        return ["imu.gyr.columns", "imu.acc.columns", "imu.gyr.unit"]
    if finding.check == "rate by gravity":
        return [subject.clock("imu")]
    if finding.check == "gravity":
        return ["imu.acc.unit", "imu.acc.kind"]
    if finding.check in ("quaternion up", "gyro axes"):
        return list(_QUATERNION)
    if finding.check == "axes against the reference":
        return [*places, f"{_ANGLE}{finding.message.partition(':')[0]}"]
    if finding.check == "sides":
        return [*subject.sided(), "sync.lag_s"]
    if finding.check == "sides between segments":
        return places
    if finding.check == "segments by motion":
        return subject.sensors_on(*names)
    if finding.check in ("sync", "drift"):
        return ["sync.method", subject.clock("reference")]
    return []


def _demote(guesses: dict[str, Guess], confirmed: Collection[str]) -> None:
    """Make a guess of what only a file says: which could be wrong, and no check confirmed."""
    for field, guess in guesses.items():
        if guess.verdict == "known" and _by_word_only(field) and field not in confirmed:
            told = f"{guess.evidence}; no check could confirm it"
            guesses[field] = replace(guess, verdict="guessed", confidence=min(guess.confidence, _NEARLY), evidence=told)


def _by_word_only(field: str) -> bool:
    clock = field in ("imu.time", "imu.rate_hz", "reference.time", "reference.rate_hz", "sync.lag_s")
    return clock or (field.startswith(_SENSOR) and field.endswith(".segment"))
