"""One mistake, one name: findings that only follow from a mistake which another check has named are named after it.

A check looks at one thing and blames what it sees: with time turned round every gyro looks turned round, with two
labels exchanged gravity lies across both segments, with angles in radians none is in range. They fail all the same, and
say from what they follow; only their cause is the other's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from kinbench.inspection.findings import Finding, Sensor

REVERSED = "axes:-x,-y,-z"
MOST = 0.6
"""A convention is one for all: of the sensors that can be judged, so many must share a fault before it is one."""
ALL = 0.8
"""The same, before turned gyros are called turned time."""
NEAR = 0.03
"""Cosines that differ by less are no reason to prefer one reading."""
LATE_S = 0.02
"""A reference so much off its sensors lets joints seem to turn about other axes."""
MIRRORED = "axes:mirrored"
TURNED_R = -0.8
PLACES = ("axes against the reference", "sides", "sides between segments", "segments by motion")
_Rule = Callable[[list[Finding], "_Seen"], Iterable[tuple[int, str]]]


class _Seen:
    """Which checks fail, and of which sensors a place speaks."""

    def __init__(self, sensors: Sequence[Sensor]) -> None:
        self.names = {sensor.name for sensor in sensors}
        self.worn = {sensor.segment: sensor.name for sensor in reversed(sensors)}

    def sensors_in(self, finding: Finding) -> set[str]:
        """Return the sensors named in the finding's place, by their own or their segment's names; all where none is."""
        inside = finding.where.partition("[")[2].rstrip("]")
        if not inside:
            return set(self.names)
        return {self.worn.get(name, name) for name in inside.split(", ")}


def explained(findings: Sequence[Finding], sensors: Sequence[Sensor]) -> list[Finding]:
    """Return the findings, those that follow from another's mistake with its cause."""
    found, seen = list(findings), _Seen(sensors)
    for rule in _RULES:
        for at, cause in list(rule(found, seen)):
            if found[at].verdict == "FAIL" and found[at].cause != cause:
                found[at] = replace(found[at], cause=cause, message=f"{found[at].message} [follows from {cause}]")
    return found


def _failing(findings: Iterable[Finding], checks: Iterable[str] = (), kinds: Iterable[str] = ()) -> list[Finding]:
    checks, kinds = tuple(checks), tuple(kinds)
    return [
        one for one in findings
        if one.verdict == "FAIL" and (not checks or one.check in checks) and (not kinds or one.kind in kinds)
    ]  # fmt: skip


def _units(findings: list[Finding], seen: _Seen) -> Iterable[tuple[int, str]]:
    """Angles in another unit are out of range and turn too slowly; gyros in another unit carry nothing.

    The unit of acceleration is one for all sensors: where half of those that are off have one, the others have too.
    """
    angle = _failing(findings, ["angle unit"], ["unit"])
    gravity = _failing(findings, ["gravity"])
    units = [one.cause for one in gravity if one.kind == "unit"]
    gyro = {name: one.cause for one in _failing(findings, ["gyro unit"], ["unit"]) for name in seen.sensors_in(one)}
    for at, one in enumerate(findings):
        if angle and (one.where.startswith("reference.angle") or one.check in ("rate by joints", PLACES[0])):
            yield at, angle[0].cause
        elif one.check == "gravity" and len(units) >= 0.5 * len(gravity) > 0:
            yield at, max(dict.fromkeys(units), key=units.count)  # what else is off is seen when this is mended
        elif one.check in ("gyro bias", "gyro against gravity", "rate by joints", "rate by gravity", "swing"):
            named = [gyro[name] for name in sorted(seen.sensors_in(one)) if name in gyro]
            if named:
                yield at, named[0]


def _gravity(findings: list[Finding], seen: _Seen) -> Iterable[tuple[int, str]]:
    """Where gravity was taken away nothing says which way is up: it is taken from all sensors or from none."""
    gone = _failing(findings, ["gravity"], ["gravity"])
    for at, one in enumerate(findings):
        if gone and one.check in ("gravity in gait", "gravity against the axes", "gyro against gravity"):
            yield at, gone[0].cause


def _time(findings: list[Finding], seen: _Seen) -> Iterable[tuple[int, str]]:
    """With time turned round, every gyro looks turned round, and every joint."""
    judged = [
        one for one in findings if one.check in ("gyro axes", "segment axes") and one.verdict != "NOT ASSESSED"
    ]  # fmt: skip
    turned = [one for one in judged if one.cause == REVERSED]
    told = _failing(findings, ["time direction"])
    if told and _unturned_joints(findings) and told[0].value == 1:
        yield findings.index(told[0]), MIRRORED
        return
    if not told and not (len(turned) > 1 and len(turned) > ALL * len(judged)):
        return
    for at, one in enumerate(findings):
        over_strides = one.check == "gravity" and "over strides" in one.message
        if one.cause == REVERSED or over_strides or one.check in ("axes against the reference", "rate by gravity"):
            yield at, "reversal"


def _unturned_joints(findings: list[Finding]) -> bool:
    """Whether joints follow the gyros on some axes, so that both share a direction of time, but are not turned round.

    Turned time then turns every joint: a single sensor that looks turned is a mirror image of itself.
    """
    joints = [one for one in findings if one.check == "axes against the reference" and one.evidence]
    return bool(joints) and all(one.value is not None and one.value > TURNED_R for one in joints)


def _convention(findings: list[Finding], seen: _Seen) -> Iterable[tuple[int, str]]:
    """How the reference's orientations are written is one convention: shared by segments, it is no sensor's axes."""
    segments = [(at, one) for at, one in enumerate(findings) if one.check == "segment axes"]
    judged = [one for _, one in segments if one.verdict != "NOT ASSESSED"]
    wrong = [(at, one) for at, one in segments if one.verdict == "FAIL"]
    if len(wrong) < 2 or len(wrong) < MOST * len(judged) or _failing(findings, ["time direction"]):
        return
    joints = [one for one in findings if one.check == "axes against the reference" and one.evidence]
    if any(one.value is not None and one.value < TURNED_R for one in joints):
        return  # angles, which are no orientations, say the same
    for cause in ("quaternion:direction", "quaternion:order", "quaternion:order+direction"):
        fits = [one for _, one in wrong if one.cause == cause or _as_good(one, cause)]
        if any(one.cause == cause for _, one in wrong) and len(fits) >= ALL * len(wrong):
            for at, _ in wrong:
                yield at, cause
            return


def _as_good(finding: Finding, cause: str) -> bool:
    """Whether the evidence for a cause is about that for the best."""
    told = {name: amount for name, amount in finding.evidence.items() if name != "of"}
    return bool(told) and told.get(cause, 0.0) > max(told.values()) - NEAR * finding.evidence["of"]


def _rate(findings: list[Finding], seen: _Seen) -> Iterable[tuple[int, str]]:
    """At a wrong rate gravity is carried wrongly, and samples seem lost."""
    wrong = _failing(findings, ["rate by joints", "rate by gravity"], ["rate"])
    if not wrong:
        return
    for at, one in enumerate(findings):
        over_strides = one.check == "gravity" and "over strides" in one.message
        if over_strides or one.check in ("gyro against gravity", "lost samples", "drift", "sync"):
            yield at, wrong[0].cause


def _orientations(findings: list[Finding], seen: _Seen) -> Iterable[tuple[int, str]]:
    """How orientations are written is one convention for all sensors; a single one that is off has its axes turned."""
    ups = [(at, one) for at, one in enumerate(findings) if one.check == "quaternion up"]
    judged = [one for _, one in ups if one.verdict != "NOT ASSESSED"]
    wrong = [(at, one) for at, one in ups if one.verdict == "FAIL" and one.kind == "quaternion"]
    if not wrong:
        return
    if len(wrong) >= MOST * len(judged):
        causes = [one.cause for _, one in wrong if one.cause != "quaternion"] or ["quaternion"]
        cause = max(dict.fromkeys(causes), key=causes.count)
        for at, one in enumerate(findings):
            if one.check in ("quaternion up", "gyro axes") and one.kind in ("quaternion", "axes"):
                yield at, cause
        return
    for at, one in wrong:
        name = one.where.partition("[")[2].rstrip("]")
        own = [
            other.cause for other in _failing(findings, ["gyro axes", "gyro against gravity"], ["axes"])
            if other.where == f"imu.gyr[{name}]"
        ]  # fmt: skip
        yield at, own[0] if own else "axes"


def _places(findings: list[Finding], seen: _Seen) -> Iterable[tuple[int, str]]:
    """A sensor that sits elsewhere lies across its segment, turns unlike it and swings the wrong way."""
    for wrong in _failing(findings, PLACES, ["side", "label"]):
        if "flexion" in wrong.cause:
            continue  # angles were exchanged, no sensors
        moved = seen.sensors_in(wrong)
        for at, one in enumerate(findings):
            follows = one.check in ("swing", "gravity in gait", "gravity against the axes", "gyro bias", "segment axes",
                                    "sync of sensors") or (one.check == "gyro unit" and one.kind in ("rate", "scale")
                                    ) or (one.check == PLACES[0] and one.kind not in ("side", "label"))  # fmt: skip
            if follows and one.verdict == "FAIL" and seen.sensors_in(one) <= moved:
                yield at, wrong.cause


def _angles(findings: list[Finding], seen: _Seen) -> Iterable[tuple[int, str]]:
    """Of two exchanged angles either may be out of range."""
    for wrong in _failing(findings, PLACES[:1], ["label", "sign"]):
        for at, one in enumerate(findings):
            angle = one.where.partition("[")[2].rstrip("]")
            if one.where.startswith("reference.angle[") and angle and (
                angle in wrong.cause or wrong.cause in ("sign:all", f"sign:{angle[:-2]}")
            ):  # fmt: skip
                yield at, wrong.cause


def _lateness(findings: list[Finding], seen: _Seen) -> Iterable[tuple[int, str]]:
    """What is late does not follow its joint: a sensor, or with all of them the reference."""
    late_s = max((abs(one.value or 0.0) for one in _failing(findings, ["sync"], ["sync"])), default=0.0)
    for at, one in enumerate(findings):
        if late_s > LATE_S and one.check == PLACES[0] and one.cause == "axes":  # no mistake of places explains it
            yield at, "sync"
    for wrong in _failing(findings, ["sync of sensors"]):
        late = seen.sensors_in(wrong)
        for at, one in enumerate(findings):
            if one.check == PLACES[0] and late & seen.sensors_in(one):
                yield at, wrong.cause


def _samples(findings: list[Finding], seen: _Seen) -> Iterable[tuple[int, str]]:
    """Samples lost or doubled move the lag; a clipped gyro has an offset."""
    packets = _failing(findings, ["doubled samples"]) or _failing(findings, ["lost samples"], ["packets"])
    clipped = {one.where for one in _failing(findings, ["clipping"])}
    for at, one in enumerate(findings):
        if packets and one.check in ("lost samples", "drift", "sync"):
            yield at, packets[0].cause
        elif one.check == "gyro bias" and one.where in clipped:
            yield at, "clipping"


_RULES: tuple[_Rule, ...] = (
    _units, _gravity, _convention, _time, _rate, _orientations, _places, _angles, _lateness, _samples
)  # fmt: skip
