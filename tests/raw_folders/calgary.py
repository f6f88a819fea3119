"""A fake download of the Running Injury Clinic's release: its folders, its JSON and its tables, with their quirks.

The walkers go on a treadmill: the belt's steady travel is taken off, which changes no acceleration. Their standing
trial is the pose of all angles zero, which is what the clinic's recipe takes a standing person for; so every angle can
be checked against the truth that made it.
"""

import csv
import json
import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import inflate64
import numpy as np

from raw_folders.bodies import Person, walker

TO_LAB = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
"""The walker's world (X forward, Y up, Z right) to the clinic's (X right, Y up, Z back)."""
PLACE_MM = np.array([240.0, 0.0, -80.0])
START_S, STOP_S = 1.5, 2.5
"""How long a walker takes to get under way, and to stop."""

COLUMNS = (
    "sub_id", "datestring", "filename", "speed", "age", "Height", "Weight", "Gender", "DominantLeg", "InjDefn",
    "InjJoint", "InjSide", "SpecInjury", "InjDuration", "InjJoint2", "InjSide2", "SpecInjury2", "Activities", "Level",
    "YrsRunning", "RaceDistance", "RaceTimeHrs", "RaceTimeMins", "RaceTimeSecs", "YrPR", "NumRaces",
)  # fmt: skip

CLUSTERS_M = {
    "pelvis": ((-0.14, 0.08, 0.0), (-0.12, 0.13, -0.04), (-0.12, 0.13, 0.04)),
    "thigh": ((-0.07, -0.20, 0.03), (-0.08, -0.25, 0.04), (-0.07, -0.21, -0.03), (-0.06, -0.29, 0.0)),
    "shank": ((-0.06, -0.16, 0.04), (-0.07, -0.21, 0.03), (-0.07, -0.16, -0.02), (-0.06, -0.25, 0.01)),
    "foot": ((-0.07, -0.02, 0.005), (-0.05, -0.05, 0.04), (-0.07, -0.06, 0.005)),
}
"""Markers in segment axes from the proximal joint, of a right leg; z is outward. A foot's are in no fixed order."""


@dataclass(frozen=True)
class Session:
    """What the fake release says of one session; a mode's rate None is a mode that it lacks."""

    sub_id: str
    stamp: str
    seed: int
    walking_hz: int | None = 200
    running_hz: int | None = 200
    extended: bool = False
    row: tuple = ()


SESSIONS = (
    Session("100001", "20110531T161051", 1, 120, 200, True,
            (("Gender", "Female"), ("InjDefn", "Continuing to train in pain"), ("InjJoint", "Knee"),
             ("InjSide", "Bi-lateral"), ("SpecInjury", "patellofemoral pain syndrome"),
             ("Activities", "running,\nswimming,\r\n\"trail\" running"))),
    Session("100001", "20140515T133244", 1, None, 200, False, (("InjDefn", "No injury"), ("InjSide", "Right"))),
    Session("100002", "20150102T080000", 2, 200, None, False,
            (("age", "255"), ("Height", "999"), ("Weight", "0"), ("Gender", "Unknown"), ("InjDefn", ""),
             ("InjJoint", "Hip"), ("InjSide", "Left"), ("SpecInjury", "Hip OA"), ("DominantLeg", "null"))),
    Session("100003", "20160229T235959", 3, 200, 200, True, (("Height", "0"), ("Weight", "1564"), ("InjDefn", ""))),
)  # fmt: skip


def treadmill(seed, rate_hz, mode, *, length_s=6.0):
    """The person of one trial while at full pace, the belt's travel taken off."""
    stride_s = 0.75 if mode == "running" else 1.1
    person = walker(
        seed, length_s=length_s + START_S + STOP_S, rate_hz=float(rate_hz), stand_s=0.0, turn_deg=0.0, stride_s=stride_s
    )
    first = round(START_S * rate_hz)
    kept = slice(first, first + round(length_s * rate_hz))
    time = person.time[kept] - person.time[first]
    belt = np.polyfit(time, person.position["pelvis"][kept, 0], 1)[0]
    travel = np.outer(time * belt, [1.0, 0.0, 0.0])
    start = person.position["pelvis"][first] * [1, 0, 1]
    return replace(
        person,
        time=time,
        position={name: place[kept] - start - travel for name, place in person.position.items()},
        rotation={name: turn[kept] for name, turn in person.rotation.items()},
        angles={name: angle[kept] for name, angle in person.angles.items()},
    )


def standing(person):
    """The same person with every angle zero, one sample."""
    body = person.body
    down = {"thigh": body.thigh_m, "shank": body.shank_m}
    position = {"pelvis": np.array([[0.0, body.ankle_m + body.thigh_m + body.shank_m, 0.0]])}
    for side, sign in (("r", 1), ("l", -1)):
        position[f"thigh_{side}"] = position["pelvis"] + [0, 0, sign * body.hip_m]
        position[f"shank_{side}"] = position[f"thigh_{side}"] - [0, down["thigh"], 0]
        position[f"foot_{side}"] = position[f"shank_{side}"] - [0, down["shank"], 0]
    upright = {name: np.eye(3)[None] for name in position}
    return Person(person.rate_hz, np.zeros(1), body, position, upright, {})


def in_lab(path_m):
    """A path (n, 3) in the clinic's world, in its millimetres."""
    return np.round(path_m @ TO_LAB.T * 1000 + PLACE_MM, 5)


def cluster_markers(person, *, toes):
    """Every cluster marker (n, 3), the fourth of pelvis and feet being the mean of the other three."""
    found = {}
    for segment in ("pelvis", "thigh_l", "shank_l", "foot_l", "thigh_r", "shank_r", "foot_r"):
        stem, _, side = segment.partition("_")
        name = f"{side.upper()}_{stem}" if side else stem
        mirror = np.array([1, 1, -1 if side == "l" else 1])
        for number, offset in enumerate(CLUSTERS_M[stem], start=1):
            found[f"{name}_{number}"] = in_lab(person.point(segment, np.array(offset) * mirror))
        if stem in ("pelvis", "foot"):
            found[f"{name}_4"] = np.mean([found[f"{name}_{number}"] for number in (1, 2, 3)], axis=0)
        if stem == "foot" and toes:
            found[f"{side.upper()}_toe"] = in_lab(person.point(segment, (person.body.ball_m + 0.05, -0.05, 0)))
    return found


def joint_markers(person, *, extended):
    """The anatomical markers of the standing trial, 10 or 14."""
    body, found = person.body, {}
    for side, sign in (("l", -1), ("r", 1)):
        name = side.upper()
        found[f"{name}_hip"] = in_lab(person.point("pelvis", (0, 0, sign * 2 * body.hip_m)))
        for joint, segment, half in (("knee", f"shank_{side}", 0.05), ("ankle", f"foot_{side}", 0.035)):
            found[f"{name}_lat_{joint}"] = in_lab(person.point(segment, (0, 0, sign * half)))
            found[f"{name}_med_{joint}"] = in_lab(person.point(segment, (0, 0, -sign * half)))
        if extended:
            for head, across in (("first", -0.03), ("fifth", 0.03)):
                place = (body.ball_m, -body.ankle_m, sign * across)
                found[f"{name}_{head}"] = in_lab(person.point(f"foot_{side}", place))
    return found


def session_json(session, *, length_s=6.0):
    """The object of one session's file."""
    still = standing(treadmill(session.seed, 200, "walking", length_s=2.0))
    told = {
        "joints": {name: place[0].tolist() for name, place in joint_markers(still, extended=session.extended).items()},
        "neutral": {name: place[0].tolist() for name, place in cluster_markers(still, toes=session.extended).items()},
    }
    for mode, letter, rate_hz in (("walking", "w", session.walking_hz), ("running", "r", session.running_hz)):
        told[mode] = told[f"hz_{letter}"] = told[f"dv_{letter}"] = []
        if rate_hz is not None:
            person = treadmill(session.seed, rate_hz, mode, length_s=length_s)
            moving = cluster_markers(person, toes=session.extended)
            told[mode] = {name: path.tolist() for name, path in moving.items()}
            told[f"hz_{letter}"] = rate_hz
            told[f"dv_{letter}"] = {
                side: {"KNEE_FLEXION_PEAK_ANGLE": 40.5, "NEVER_WRITTEN": 0} for side in ("left", "right")
            }
    return told


def table_row(session, speed):
    """One row of a table, as the clinic writes them."""
    day, clock = session.stamp.split("T")
    told = dict.fromkeys(COLUMNS, "") | {
        "sub_id": session.sub_id,
        "datestring": f"{day[:4]}-{day[4:6]}-{day[6:]} {clock[:2]}:{clock[2:4]}:{clock[4:]}",
        "filename": f"{session.stamp}.json", "speed": speed, "age": "33", "Height": "170.5", "Weight": "68",
        "Gender": "Male", "DominantLeg": "Right", "InjDefn": "No injury", "InjJoint": "No Injury", "InjSide": "Right",
        "SpecInjury": "N/A", "InjDuration": "NaN", "Level": "Recreational", "YrsRunning": "999",
    }  # fmt: skip
    return told | dict(session.row)


def write_table(path, mode, sessions):
    letter = "r" if mode == "running" else "w"
    names = [f"speed_{letter}" if name == "speed" else name for name in COLUMNS]
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(names)
        for session in sessions:
            if getattr(session, f"{mode}_hz") is not None:
                rows.writerow(table_row(session, "2.71828182845905" if letter == "r" else "1.25").values())


def write(folder, *, people=2, length_s=6.0, tables=True, sessions=None):
    """Write the release of the first ``people`` below ``folder`` and return it."""
    folder = Path(folder)
    known = sorted({session.sub_id for session in SESSIONS})[:people]
    chosen = tuple(s for s in SESSIONS if s.sub_id in known) if sessions is None else sessions
    for session in chosen:
        path = folder / "reformat_data" / session.sub_id / f"{session.stamp}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(session_json(session, length_s=length_s)))
    if tables:
        for mode, name in (("running", "run_data_meta.csv"), ("walking", "walk_data_meta.csv")):
            write_table(folder / name, mode, chosen)
    return folder


# --- the archive ------------------------------------------------------------------------------------------------------


def deflate64(data):
    """Pack bytes as the release's archive does."""
    packer = inflate64.Deflater()
    return packer.deflate(data) + packer.flush()


def stored_blocks(data):
    """Pack bytes as blocks that are not compressed, which are alike in Deflate and Deflate64 (RFC 1951, 3.2.4)."""
    chunks = [data[start : start + 0xFFFF] for start in range(0, len(data), 0xFFFF)] or [b""]
    last = len(chunks) - 1
    return b"".join(
        struct.pack("<BHH", index == last, len(chunk), len(chunk) ^ 0xFFFF) + chunk
        for index, chunk in enumerate(chunks)
    )


def write_archive(path, members, *, method=9, pack=deflate64):
    """Write a ZIP of ``{name: bytes}``; local headers carry an extra field that the directory does not have."""
    body, directory = b"", b""
    for name, data in members.items():
        packed, extra = pack(data), struct.pack("<HH4s", 0xCAFE, 4, b"kin!")
        facts = (method, 0, 0x5A21, zlib.crc32(data), len(packed), len(data), len(name.encode()))
        local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 45, 0, *facts[:3], *facts[3:], len(extra))
        directory += struct.pack(
            "<4s6H3L5H2L", b"PK\x01\x02", 45, 45, 0, *facts[:3], *facts[3:], 0, 0, 0, 0, 0, len(body)
        ) + name.encode()  # fmt: skip
        body += local + name.encode() + extra + packed
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, len(members), len(members), len(directory), len(body), 0)
    path.write_bytes(body + directory + end)
    return path
