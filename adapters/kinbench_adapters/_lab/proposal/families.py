"""Files that belong together, and the pattern of their names: whose, which trial, which sensor each is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from kinbench_adapters._lab.patterns import compile_files
from kinbench_adapters._lab.proposal.vocabulary import read_place

DEVICE = re.compile(r"(?<![0-9A-Za-z])(?:[0-9A-F]{8}|D4[0-9A-F]{10})(?![0-9A-Za-z])")
"""The identifiers that Xsens and Movella devices have: eight hexadecimal digits, or twelve that begin with D4."""

_STAMP = re.compile(r"(?<![0-9A-Za-z])\d{8}[-_]?\d{6}(?:[-_]\d{3})?(?![0-9A-Za-z])")
"""The day and the time that apps write behind a sensor's name: to the second, so each of one recording has its own."""

_SUBJECT = re.compile(
    r"(?:^|(?<=[/_\-. ]))"
    r"((?:s|p|sub|subj|subject|participant|patient|person|pat|proband|vp|ab|tf|f|m)[-_]?\d{1,3})(?=[/_\-. ]|$)",
    re.IGNORECASE,
)
_SESSION = re.compile(r"(?:^|(?<=[/_\-. ]))((?:ses|session|day|visit)[-_]?\d{1,3})(?=[/_\-. ]|$)", re.IGNORECASE)
_TOKEN = re.compile(r"[A-Za-z]+|\d+|.", re.DOTALL)
_MARK = {"sensor": "\ue000", "subject": "\ue001", "session": "\ue002", "trial": "\ue003"}


@dataclass(frozen=True)
class Naming:
    """A file pattern, the files that fit it with their fields, and how each field was found."""

    pattern: str
    fields: Mapping[str, Mapping[str, str]]
    """By file: the values of subject, session, trial, sensor."""
    how: Mapping[str, str]

    def values(self, name: str) -> list[str]:
        """Return the values of one field, in order of appearance."""
        return list(dict.fromkeys(fields[name] for fields in self.fields.values() if name in fields))


def skeleton(name: str) -> str:
    """Return a name without what usually differs between files of one kind: identifiers, numbers, segments, sides."""
    plain = DEVICE.sub("#", name)
    plain = "".join(
        "@" if re.fullmatch(r"[A-Za-z_]+", part) and read_place(part) else part
        for part in re.split(r"([^A-Za-z_]+)", plain)
    )
    return re.sub(r"\d+", "0", plain)


def unstamped(names: Sequence[str]) -> dict[str, str]:
    """Return names with ``?`` for every digit of a time stamp, where they are told apart without; else as they are."""
    found = {name: _STAMP.sub(lambda stamp: re.sub(r"\d", "?", stamp[0]), name) for name in names}
    return found if len(set(found.values())) == len(found) else {name: name for name in names}


def name_files(names: Sequence[str], sensors: Mapping[str, str] | None = None) -> Naming:
    """Return the pattern that fits the given files and no others of theirs, with fields for what differs.

    ``sensors`` gives the text in each name that is the sensor's, where each sensor has a file.
    """
    marked = unstamped(names)
    how: dict[str, str] = {}
    if sensors is not None:
        for name, sensor in sensors.items():
            head, _, tail = marked[name].rpartition(sensor)
            marked[name] = head + _MARK["sensor"] + tail
        how["sensor"] = "the part of the name that tells files of one recording apart"
    for field, expression in (("subject", _SUBJECT), ("session", _SESSION)):
        found = {name: expression.search(text) for name, text in marked.items()}
        if all(found.values()):
            for name, match in found.items():
                assert match is not None  # all of them fit
                marked[name] = re.sub(rf"(?<![A-Za-z0-9]){re.escape(match[1])}(?![0-9])", _MARK[field], marked[name])
            how[field] = f"names such as '{next(m[1] for m in found.values() if m)}'"
    marked = _marked_trials(marked, how)
    pattern = _written(next(iter(marked.values())))
    if any(_written(text) != pattern for text in marked.values()) or not _fits(pattern, names):
        return Naming(names[0] if len(names) == 1 else "", {name: {} for name in names}, {})
    expression = compile_files(pattern)
    fields = {name: match.groupdict() for name in names if (match := expression.fullmatch(name)) is not None}
    if sensors is not None and any(fields[name].get("sensor") != sensor for name, sensor in sensors.items()):
        return Naming("", {name: {} for name in names}, {})
    return Naming(pattern, fields, how)


def _marked_trials(marked: dict[str, str], how: dict[str, str]) -> dict[str, str]:
    """Mark what still differs: in the last part of the path that does the trial, in parts before session, subject."""
    parts = {name: text.split("/") for name, text in marked.items()}
    if len({len(pieces) for pieces in parts.values()}) != 1:
        return marked
    depth = len(next(iter(parts.values())))
    differing = [index for index in range(depth) if len({pieces[index] for pieces in parts.values()}) > 1]
    free = [field for field in ("trial", "session", "subject") if field not in how]
    if len(differing) > len(free):
        return marked
    for index, field in zip(reversed(differing), free, strict=False):
        texts = [pieces[index] for pieces in parts.values()]
        head, tail = _common(texts), _common([text[::-1] for text in texts], reverse=True)
        tail = tail[: min(len(text) - len(head) for text in texts)] if len(head) + len(tail) else tail
        while any(len(text) <= len(head) + len(tail) for text in texts) and tail:
            tail = "".join(_TOKEN.findall(tail[::-1])[:-1])[::-1]
        if any(mark in text[len(head) : len(text) - len(tail)] for text in texts for mark in _MARK.values()):
            return marked
        how[field] = "what else differs between the names" if field == "trial" else "folders that differ"
        for pieces in parts.values():
            text = pieces[index]
            pieces[index] = head + _MARK[field] + text[len(text) - len(tail) :] if tail else head + _MARK[field]
    return {name: "/".join(pieces) for name, pieces in parts.items()}


def _common(texts: Sequence[str], *, reverse: bool = False) -> str:
    """Return the tokens at the start (``reverse``: of texts written backwards, at the end) that all texts share."""
    tokens = [_TOKEN.findall(text) for text in texts]
    shared = "".join(column[0] for column in takewhile(_alike, zip(*tokens, strict=False)))
    return shared[::-1] if reverse else shared


def _alike(column: Sequence[str]) -> bool:
    return len(set(column)) == 1


def _written(text: str) -> str:
    for field, mark in _MARK.items():
        text = text.replace(mark, f"{{{field}}}")
    return text


def _fits(pattern: str, names: Iterable[str]) -> bool:
    expression = compile_files(pattern)
    return all(expression.fullmatch(name) for name in names)


def sensors_by_name(names: Sequence[str]) -> dict[str, str] | None:
    """Return the text in each name that is a sensor's: a device's identifier, or a segment; None where there is none.

    Where one is, there must be several, or the file of one sensor would be taken for one of many.
    """
    devices = {name: DEVICE.findall(_STAMP.sub("", name)) for name in names}  # eight digits of a day are no device's
    if all(devices.values()):
        return {name: found[-1] for name, found in devices.items()}
    words = {name: _place_text(name) for name in names}
    told = {name: text for name, text in words.items() if text}
    if len(told) == len(names) and len(set(told.values())) > 1:
        return told
    return None


def _place_text(name: str) -> str:
    """Return the words in the last part of a path that name a segment: ``R_LowLeg2`` of ``walk_R_LowLeg2.csv``."""
    stem = name.rpartition("/")[2].rpartition(".")[0]
    pieces = re.split(r"([_\-. ]+)", stem)
    best = ""
    for start in range(0, len(pieces), 2):
        for stop in range(start + 1, min(start + 6, len(pieces) + 1), 2):
            text = "".join(pieces[start:stop])
            place = read_place(text)
            if place is None:
                continue
            kept = read_place(best) if best else None
            better = kept is None or (place.name is not None and kept.name is None)
            if better or (kept == place and len(text) < len(best)):
                best = text
    return best


_HINTED = re.compile(r"((?:imu|sensor|node|dot|mtw|unit|device|dev)[-_ ]?[A-Za-z0-9]{1,4})(?=[_\-. ]|$)", re.IGNORECASE)


def sensors_by_difference(names: Sequence[str]) -> dict[str, str] | None:
    """Return the part of each name that tells files of one folder apart, where it is the same set in every folder.

    Of files in one folder only words are taken for sensors, or what the name itself calls one (``imu2``); numbers are
    as likely trials.
    """
    hinted = {name: _HINTED.findall(name.rpartition("/")[2].rpartition(".")[0]) for name in names}
    if all(hinted.values()) and len({found[-1] for found in hinted.values()}) > 1:
        return {name: found[-1] for name, found in hinted.items()}
    folders: dict[str, list[str]] = {}
    for name in names:
        folders.setdefault(name.rpartition("/")[0], []).append(name)
    told: dict[str, str] = {}
    for members in folders.values():
        stems = [name.rpartition("/")[2] for name in members]
        head = _common(stems)
        tail = _common([stem[::-1] for stem in stems], reverse=True)
        middles = [stem[len(head) : len(stem) - len(tail)] for stem in stems]
        if not all(middles):
            return None
        told |= dict(zip(members, middles, strict=True))
    sets = {frozenset(told[name] for name in members) for members in folders.values()}
    words = all(re.search(r"[A-Za-z]", text) for text in told.values())
    return told if len(sets) == 1 and len(next(iter(sets))) > 1 and (words or len(folders) > 1) else None
