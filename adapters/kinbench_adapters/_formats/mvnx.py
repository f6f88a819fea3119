"""Read Xsens MVN exports (``.mvnx``), versions 3 and 4: the suit's sensors, and the model's segments and joints.

XML with a list of segments, sensors and joints, then one ``frame`` a sample whose children hold numbers apart by
blanks; their order differs between versions, so they are taken by name. Frames of type ``identity``, ``tpose`` and
``npose`` are calibration poses and left out. The world is right-handed with Z up, X forward at calibration;
quaternions are w, x, y, z into it. MVN stores no raw signals since 2018: acceleration is free of gravity in the
world, angular rates are those of segments in the world. What the sensors measured is rebuilt from these and their
orientation, and noted.

Segments and joint angles (degrees; of each joint ab/adduction, axial rotation, flexion, in this order) are columns
for a reference: ``orientation/RightUpperLeg``, ``jointAngle/jRightKnee[2]``. They are computed from the same sensors,
so their tier is ``imu_fusion``: a comparison, not a truth. Source: MVN User Manual (MV0319P), "MVNX". Checked on
files made in the documented layout, not on a real export.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from kinbench.errors import DataError, suggest
from kinbench_adapters._formats.delimited import BEYOND
from kinbench_adapters._formats.quaternions import into_sensor, specific_force
from kinbench_adapters._formats.vendor import (
    STANDARD_GRAVITY,
    VendorFile,
    acceleration,
    in_sensor,
    orientation,
)
from kinbench_adapters._formats.vendor_text import picked

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

PER_SEGMENT = {
    "orientation": 4, "position": 3, "velocity": 3, "acceleration": 3, "angularVelocity": 3, "angularAcceleration": 3,
}  # fmt: skip
PER_SENSOR = {
    "sensorFreeAcceleration": 3, "sensorAcceleration": 3, "sensorAngularVelocity": 3, "sensorMagneticField": 3,
    "sensorOrientation": 4,
}  # fmt: skip
PER_JOINT = {"jointAngle": 3, "jointAngleXZY": 3}
"""Children of a frame, and the numbers of one segment, sensor or joint in each."""

_LISTS = {"segments": "segment", "sensors": "sensor", "joints": "joint"}
_USED = {**PER_SEGMENT, **PER_SENSOR, **PER_JOINT}
_ENTITY = re.compile(rb"<!(DOCTYPE|ENTITY)")
_HEAD_BYTES = 2**14
_SHOWN = 5


@dataclass
class _Take:
    """What stands in a file, as it is read: labels, attributes of the subject, and one text a frame and child needed.

    ``seen`` are the names of all children that frames have.
    """

    needed: frozenset[str]
    seen: set[str] = field(default_factory=set)
    labels: dict[str, list[str]] = field(default_factory=dict)
    subject: dict[str, str] = field(default_factory=dict)
    index: list[str] = field(default_factory=list)
    children: dict[str, list[str]] = field(default_factory=dict)
    poses: int = 0


def read_vendor(path: Path, wanted: Iterable[str] = (), *, acc_kind: str | None = None) -> VendorFile:
    """Read one export; ``wanted`` are columns of segments and joints by name.

    ``acc_kind`` says what ``sensorAcceleration`` of old files is, where they hold that and no free acceleration. Raises
    ``DataError`` (all problems at once) where the file is no such XML or is cut, has no rate, no frames, a list of
    numbers of the wrong length, or a column wanted is absent.
    """
    columns = picked(wanted)
    needed = {name.split("/")[0] for name in columns} | set(PER_SENSOR) | {"angularVelocity"}
    take = _parsed(path, frozenset(needed & set(_USED)))
    rate_hz = _rate_hz(path, take)
    if not take.index:
        raise DataError("expected frames of type 'normal', found none; export the recording again", where=path)
    values, problems = _numbers(take)
    counter = _counter(take, problems)
    if problems:
        raise DataError(problems, where=path)
    sensors, facts, notes = _signals(take, values, acc_kind)
    if take.poses:
        notes.append(f"{take.poses} calibration poses left out")
    return VendorFile(
        path, sensors, facts, counter=counter, rate_hz=rate_hz, columns=_columns(path, take, values, columns),
        filter="MVN", notes=tuple(notes),
    )  # fmt: skip


# --- the XML ---------------------------------------------------------------------------------------------------------


def _parsed(path: Path, needed: frozenset[str]) -> _Take:
    try:
        with path.open("rb") as file:
            if _ENTITY.search(file.read(_HEAD_BYTES)):
                raise DataError("an MVN export defines no entities; remove the DOCTYPE", where=path)
            file.seek(0)
            return _streamed(path, file, needed)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=path) from error


def _streamed(path: Path, file: BinaryIO, needed: frozenset[str]) -> _Take:
    take = _Take(needed)
    root = None
    try:
        for event, node in ElementTree.iterparse(file, events=("start", "end")):
            tag = _local(node.tag)
            if event == "start":
                root = root if root is not None else tag
                if tag == "subject":
                    take.subject = dict(node.attrib)
            elif tag in _LISTS:
                take.labels[tag] = [str(child.get("label")) for child in node if _local(child.tag) == _LISTS[tag]]
            elif tag == "frame":
                _add_frame(take, node)
                node.clear()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DataError(f"is no whole MVN export: {error}; export it again", where=path) from error
    if root != "mvnx":
        raise DataError(f"expected an MVN export (<mvnx>), found <{root}>", where=path)
    return take


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _add_frame(take: _Take, frame: ElementTree.Element) -> None:
    if frame.get("type", "normal") != "normal":
        take.poses += 1
        return
    row = len(take.index)
    take.index.append(frame.get("index", ""))
    for child in frame:
        name = _local(child.tag)
        take.seen.add(name)
        if name in take.needed:
            texts = take.children.setdefault(name, [])
            texts += [""] * (row - len(texts))  # a child that earlier frames do not have
            texts.append(child.text or "")


def _rate_hz(path: Path, take: _Take) -> float:
    told = take.subject.get("frameRate", "")
    try:
        rate_hz = float(told)
    except ValueError:
        rate_hz = 0.0
    if not 0 < rate_hz < 1e5:
        raise DataError(f"subject frameRate: expected a rate in Hz, found '{told}'", where=path)
    return rate_hz


def _numbers(take: _Take) -> tuple[dict[str, FloatArray], list[str]]:
    """Return (frames, labels, k) of each child needed, and the frames whose numbers are not as many as their labels."""
    values, problems = {}, []
    for name in sorted(take.children):
        width = _USED[name] * len(_owners(take, name))
        texts = take.children[name] + [""] * (len(take.index) - len(take.children[name]))
        rows = np.full((len(texts), width), np.nan)
        wrong = []
        for row, text in enumerate(texts):
            cells = text.split()
            try:
                numbers = [float(cell) for cell in cells]
            except ValueError:
                wrong.append(f"frame {take.index[row]}, {name}: expected numbers, found '{text.strip()[:40]}'")
                continue
            if any(abs(value) > BEYOND for value in numbers):
                wrong.append(f"frame {take.index[row]}, {name}: holds a number that is no measurement")
            elif len(numbers) != width:
                wrong.append(f"frame {take.index[row]}, {name}: expected {width} numbers, found {len(numbers)}")
            else:
                rows[row] = numbers
        problems += wrong[:_SHOWN]
        if len(wrong) > _SHOWN:
            problems.append(f"and {len(wrong) - _SHOWN} more frames like it in {name}")
        if width:
            values[name] = rows.reshape(len(texts), -1, _USED[name])
    return values, problems


def _owners(take: _Take, name: str) -> list[str]:
    kind = "segments" if name in PER_SEGMENT else "sensors" if name in PER_SENSOR else "joints"
    return take.labels.get(kind, [])


def _counter(take: _Take, problems: list[str]) -> IntArray | None:
    """Return the frames' numbers; None where they have none, and then rows follow at the rate."""
    if not any(take.index):
        return None
    wrong = [text for text in take.index if not text.isascii() or not text.isdecimal() or len(text) > 9]
    if wrong:
        problems.append(f"expected a whole number as index of every frame, found '{wrong[0]}' ({len(wrong)} such)")
        return None
    return np.array([int(text) for text in take.index], dtype=np.int64)


# --- the signals -----------------------------------------------------------------------------------------------------


def _signals(
    take: _Take, values: Mapping[str, FloatArray], acc_kind: str | None
) -> tuple[dict[str, dict[str, FloatArray]], dict[str, dict[str, Any]], list[str]]:
    labels, segments = take.labels.get("sensors", []), take.labels.get("segments", [])
    facts: dict[str, dict[str, Any]] = {}
    notes: list[str] = []
    sensors: dict[str, dict[str, FloatArray]] = {label: {} for label in labels}
    turned = values.get("sensorOrientation")
    if turned is not None:
        facts["quat"] = orientation()
    if "sensorFreeAcceleration" in values and turned is not None:
        facts["acc"] = acceleration()
        notes.append("acc: rebuilt from free acceleration and sensor orientation, R^T (a + 9.80665 m s-2 up)")
    elif "sensorAcceleration" in values and acc_kind is not None:
        facts["acc"] = acceleration(kind=acc_kind)
    elif "sensorAcceleration" in values:
        notes.append("acc: left out, as the file does not say whether sensorAcceleration holds gravity (acc_kind)")
    if "sensorAngularVelocity" in values:
        facts["gyr"] = in_sensor("rad s-1")
    elif "angularVelocity" in values and turned is not None and set(labels) & set(segments):
        facts["gyr"] = in_sensor("rad s-1")
        notes.append("gyr: the segment's angular velocity in the world, turned into the axes of the sensor on it")
    if "sensorMagneticField" in values:
        facts["mag"] = in_sensor("1")
    for place, label in enumerate(labels):
        own = sensors[label]
        quat = None if turned is None else turned[:, place]
        if quat is not None:
            own["quat"] = quat
        if "acc" in facts and "sensorFreeAcceleration" in values and quat is not None:
            own["acc"] = specific_force(quat, values["sensorFreeAcceleration"][:, place], STANDARD_GRAVITY)
        elif "acc" in facts:
            own["acc"] = values["sensorAcceleration"][:, place]
        if "sensorAngularVelocity" in values:
            own["gyr"] = values["sensorAngularVelocity"][:, place]
        elif "gyr" in facts and quat is not None and label in segments:
            own["gyr"] = into_sensor(quat, values["angularVelocity"][:, segments.index(label)])
        if "mag" in facts:
            own["mag"] = values["sensorMagneticField"][:, place]
    return {label: own for label, own in sensors.items() if own}, facts, notes


def _columns(path: Path, take: _Take, values: Mapping[str, FloatArray], wanted: Iterable[str]) -> dict[str, FloatArray]:
    """Return ``child/label`` (frames, k) for each name wanted."""
    found, problems = {}, []
    for name in wanted:
        child, _, label = name.partition("/")
        owners = _owners(take, child) if child in _USED else []
        if child not in values:
            problems.append(f"there is no '{name}'.{suggest(child, sorted(take.seen))}")
        elif label not in owners:
            problems.append(f"there is no '{name}'.{suggest(label, owners)}")
        else:
            found[name] = values[child][:, owners.index(label)]
    if problems:
        raise DataError(problems, where=path)
    return found
