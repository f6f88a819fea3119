"""The words of laboratories: for signals and axes in column names, for segments and sides, for joints and motions.

A word that may mean two things means nothing here; what is not in the list is asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# --- signals ---------------------------------------------------------------------------------------------------------

_SIGNALS = {
    "free_acc": r"free[ _]?acc(?:el(?:eration)?)?|lin(?:ear)?[ _]?acc(?:el(?:eration)?)?|user[ _]?acc(?:eleration)?",
    "acc": r"acc(?:el(?:eration|erometer|erations)?|s)?|specific[ _]?force",
    "gyr": r"gyr(?:o(?:scope|s)?)?|ang(?:ular)?[ _]?(?:vel(?:ocity)?|rate)|turn[ _]?rate|omega",
    "mag": r"mag(?:netic[ _]?field|netometer|neto)?|compass",
    "quat": r"(?:quat(?:ernion)?s?|ori(?:entations?)?)(?:[ _]?q)?|q",
}
_SIGNAL = "|".join(f"(?P<{name}>{words})" for name, words in _SIGNALS.items())
_GAP = r"[\s_./:|-]*"
_UNIT = r"(?:\s*[\[(](?P<unit>[^\[\]()]*)[\])])?"
_AXIS = r"[\[(]?(?P<axis>[xyzw]|s(?:calar)?|[0-4])[\])]?"
_BEFORE = r"(?P<sensor>.*?)(?:[\s_./:|-]+|(?<=[a-z0-9])(?=[A-Z]))"
_AFTER = r"(?:[\s_./:|-]+(?P<after>.+?))?"
_ALONE = re.compile(rf"(?i:{_SIGNAL}){_GAP}(?i:{_AXIS}){_UNIT}{_AFTER}")
_LABEL = re.compile(rf"{_BEFORE}(?i:{_SIGNAL}){_GAP}(?i:{_AXIS}){_UNIT}{_AFTER}")
_SHORT = re.compile(r"(?:(?P<sensor>.*?)[\s_./:|-]+)?(?i:(?P<letter>[agmqw])(?P<axis>[xyzw0-3]))" + _UNIT)
_LETTERS = {"a": "acc", "g": "gyr", "w": "gyr", "m": "mag", "q": "quat"}


@dataclass(frozen=True)
class Label:
    """What a column's name says: signal, axis as written (in lower case), the sensor's name or '', a unit or ''."""

    signal: str
    axis: str
    sensor: str = ""
    unit: str = ""


def read_label(text: str) -> Label | None:
    """Return what a column's name says of a sensor's signal; None where it says nothing."""
    text = text.strip()
    found = _ALONE.fullmatch(text) or _LABEL.fullmatch(text)
    if found is not None:
        signal = next(name for name in _SIGNALS if found[name])
        sensor = found.groupdict().get("sensor") or found["after"] or ""
        axis = found["axis"].lower()[0].replace("s", "w")
        return Label(signal, axis, sensor.strip(" _./:|-"), found["unit"] or "")
    found = _SHORT.fullmatch(text)
    if found is not None:
        return Label(
            _LETTERS[found["letter"].lower()], found["axis"].lower(), found["sensor"] or "", found["unit"] or ""
        )
    return None


def read_signal(text: str) -> str | None:
    """Return the signal that a name without axis speaks of, such as ``acc`` of ``Sub01_Accel.trc``."""
    for word in words_of(text):
        for name, words in _SIGNALS.items():
            if len(word) > 2 and re.fullmatch(words, word):
                return name
    return None


_UNITS = {
    "m/s2": "m/s2", "m/s^2": "m/s2", "m/s²": "m/s2", "ms-2": "m/s2", "m s-2": "m/s2", "g": "g", "mg": "mg",
    "rad/s": "rad/s", "rads-1": "rad/s", "deg/s": "deg/s", "dps": "deg/s", "°/s": "deg/s", "degree/s": "deg/s",
    "ut": "uT", "µt": "uT", "gauss": "gauss", "mgauss": "mG",
}  # fmt: skip


def read_unit(text: str) -> str | None:
    """Return the manifest's word for a unit that a file writes."""
    return _UNITS.get(text.strip().lower())


_ANGLE_UNIT = re.compile(
    r"[\[(]\s*(?:(?P<deg>deg(?:rees?)?|°)|(?P<rad>rad(?:ians?)?))\s*[\])]|[_ -](?:(?P<d>deg)|(?P<r>rad))$", re.I
)


def read_angle_unit(text: str) -> str | None:
    """Return ``deg`` or ``rad`` where an angle's name says it: ``knee (rad)``, ``knee_deg``."""
    found = _ANGLE_UNIT.search(text.strip())
    return None if found is None else "deg" if found["deg"] or found["d"] else "rad"


# --- segments --------------------------------------------------------------------------------------------------------

_SEGMENT_WORDS = {
    "trunk": "trunk torso thorax sternum stern chest upperbody rumpf",
    "pelvis": "pelvis sacrum waist hip_belt becken root pelv",
    "thigh": "thigh femur upleg upperleg upleg uleg uplegs upper_leg oberschenkel cuisse muslo",
    "shank": "shank tibia lowleg lowerleg lleg lower_leg unterschenkel jambe calf",
    "foot": "foot feet calcn toes toe fuss fuß pied pie shoe",
}
_SEGMENTS = {word.replace("_", ""): name for name, words in _SEGMENT_WORDS.items() for word in words.split()}
_LEFT = {"l", "left", "links", "gauche", "izquierda", "izquierdo", "lt"}
_RIGHT = {"r", "right", "rechts", "droit", "droite", "derecha", "derecho", "rt"}
SIDED = ("thigh", "shank", "foot")


@dataclass(frozen=True)
class Place:
    """A segment without its side, and the side: ``r``, ``l`` or '' where it is not said (or there is none)."""

    segment: str
    side: str

    @property
    def name(self) -> str | None:
        """The schema's word, None where the side is missing."""
        if self.segment not in SIDED:
            return self.segment
        return f"{self.segment}_{self.side}" if self.side else None


def words_of(text: str) -> list[str]:
    """Return the words of a name in lower case: apart by signs, by digits and where a capital follows."""
    return [word.lower() for word in re.findall(r"[A-ZÄÖÜ]?[a-zäöüßéèê]+|[A-ZÄÖÜ]+(?![a-zäöü])|\d+", text)]


def read_place(text: str) -> Place | None:
    """Return the segment and side that a name speaks of; None where it names none, or several."""
    words = _joined(words_of(text))
    found = {_SEGMENTS[word] for word in words if word in _SEGMENTS}
    sides = {side_of(word) for word in words} - {""}
    if not found:
        for word in words:
            for prefix, side in (("l", "l"), ("r", "r"), ("left", "l"), ("right", "r")):
                rest = word.removeprefix(prefix)
                if rest != word and rest in _SEGMENTS:
                    found.add(_SEGMENTS[rest])
                    sides.add(side)
    if len(found) != 1 or len(sides) > 1:
        return None
    segment = found.pop()
    return Place(segment, next(iter(sides), "") if segment in SIDED else "")


_CODES = {"tr": "trunk", "trk": "trunk", "th": "thigh", "thi": "thigh", "ul": "thigh", "sh": "shank", "sha": "shank",
          "ll": "shank", "ft": "foot", "fo": "foot", "pe": "pelvis", "pel": "pelvis"}  # fmt: skip


def read_code(text: str) -> Place | None:
    """Return what a short code such as ``THR`` or ``L_SH`` is likely to mean; None where it fits none, or two."""
    plain = re.sub(r"[\W_\d]", "", text).lower()
    found = {Place(_CODES[plain], "")} if plain in _CODES and _CODES[plain] not in SIDED else set()
    for side in "rl":
        for rest in (plain.removeprefix(side), plain.removesuffix(side)):
            if rest != plain and _CODES.get(rest) in SIDED:
                found.add(Place(_CODES[rest], side))
    return found.pop() if len(found) == 1 else None


def side_of(word: str) -> str:
    """Return ``l``, ``r`` or ''."""
    return "l" if word in _LEFT else "r" if word in _RIGHT else ""


def _joined(words: list[str]) -> list[str]:
    """Return the words, with ``up leg``, ``lower leg`` and the like as one."""
    found, index = [], 0
    while index < len(words):
        pair = "".join(words[index : index + 2])
        if pair in _SEGMENTS and words[index] not in _SEGMENTS:
            found.append(pair)
            index += 2
        else:
            found.append(words[index])
            index += 1
    return found


# --- joints ----------------------------------------------------------------------------------------------------------

_JOINTS = {
    **dict.fromkeys(("knee", "knie", "genou", "rodilla"), "knee"),
    **dict.fromkeys(("hip", "hüfte", "huefte", "hanche", "cadera"), "hip"),
    **dict.fromkeys(("ankle", "sprunggelenk", "cheville", "tobillo"), "ankle"),
}
_BETWEEN = {("pelvis", "thigh"): "hip", ("thigh", "shank"): "knee", ("shank", "foot"): "ankle"}
_FLEXION = {
    "knee": "knee_flexion", "hip": "hip_flexion", "ankle": "ankle_dorsiflexion",
}  # fmt: skip
_OTHER_MOTIONS = {
    "adduction", "abduction", "add", "abd", "ir", "er", "introt", "extrot", "int", "rotation", "rot", "internal",
    "external", "varus", "valgus", "inversion", "eversion", "beta", "moment", "force", "power", "torque",
    "velocity", "vel", "emg", "kam", "kfm", "tx", "ty", "tz", "jc", "jrf",
}  # fmt: skip


@dataclass(frozen=True)
class Joint:
    """A sagittal joint coordinate without its side, and the side: ``r``, ``l`` or ''."""

    coordinate: str
    side: str

    extension: bool = False
    """Whether the name says that extension is what is positive."""

    @property
    def dof(self) -> str | None:
        """The schema's DoF, None where the side is missing."""
        return f"{self.coordinate}_{self.side}" if self.side else None


def read_joint(text: str) -> Joint | None:
    """Return the flexion that a name speaks of; None where it speaks of none, of several, or of another motion."""
    words = _joined(words_of(text))
    if any(word in _OTHER_MOTIONS for word in words):
        return None
    joints, sides = set(), {side_of(word) for word in words} - {""}
    for word in words:
        for prefix, side in (("", ""), ("l", "l"), ("r", "r")):
            if word.startswith(prefix) and word[len(prefix) :] in _JOINTS:
                joints.add(_JOINTS[word[len(prefix) :]])
                sides |= {side} - {""}
    if not joints:
        segments = tuple(_SEGMENTS[word] for word in words if word in _SEGMENTS)
        if segments in _BETWEEN:
            joints.add(_BETWEEN[segments])
    if len(joints) != 1 or len(sides) > 1:
        return None
    extension = bool({"ext", "extension", "plantar", "plantarflexion"} & set(words)) and "flex" not in words
    return Joint(_FLEXION[joints.pop()], next(iter(sides), ""), extension)


# --- what a file is --------------------------------------------------------------------------------------------------

COMPUTED_WORDS = {
    "madgwick", "mahony", "filter", "filtered", "fusion", "fused", "imu", "imuik", "estimate", "estimated",
    "predicted", "prediction", "pred", "orientations",
}  # fmt: skip
"""In a file's name: the angles in it were computed from the sensors, so they are no truth."""
OPTICAL_WORDS = {"vicon", "mocap", "optical", "optitrack", "qualisys", "motive", "markers", "omc"}
ENCODER_WORDS = {"enc", "encoder", "goniometer", "potentiometer"}
