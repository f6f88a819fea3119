"""Read OpenSim's sensor mapping XML (``XsensDataReaderSettings``): which sensor's file stands for which model frame.

Real files hold commented-out sensors, comments nested in comments (which XML forbids), and white space in names; all of
that is taken as its author meant it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from kinbench.errors import DataError

_COMMENT_EDGE = re.compile(r"<!--|-->")
_SENSOR = re.compile(r"<ExperimentalSensor\b")
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")


@dataclass(frozen=True)
class ImuMapping:
    """``trial_prefix`` and, per sensor in the file's order, (name, name_in_model).

    A sensor's file is ``trial_prefix + name + '.txt'``; names usually begin with an underscore. ``nested`` counts the
    comments that opened within a comment, ``commented_out`` the sensors inside comments, ``padded`` the names that had
    white space around them.
    """

    trial_prefix: str
    sensors: tuple[tuple[str, str], ...]
    nested: int = 0
    commented_out: int = 0
    padded: int = 0


def read_mapping(path: Path) -> ImuMapping:
    """Read one mapping XML.

    Raises ``DataError`` when the file is absent, is not XML even without its comments, defines entities, or lacks the
    trial prefix, a name, or any sensor that is not commented out; or when a sensor or a frame is mapped twice.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError("Expected a sensor mapping XML, found none.", where=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Expected a sensor mapping XML in UTF-8: {error}.", where=path) from error
    kept = without_comments(_DECLARATION.sub("", text))
    root = _root(path, kept)
    prefix = _text(root.find(".//trial_prefix"))
    sensors = tuple(
        ((node.get("name") or "").strip(), _text(node.find("name_in_model")))
        for node in root.iter("ExperimentalSensor")
    )
    problems = [] if prefix else ["Expected a <trial_prefix>, found none."]
    if not sensors:
        problems.append("Expected at least one <ExperimentalSensor> that is not commented out, found none.")
    if any(not name or not frame for name, frame in sensors):
        problems.append("Every <ExperimentalSensor> needs a name and a <name_in_model>.")
    for what, values in (("sensor", [name for name, _ in sensors]), ("model frame", [frame for _, frame in sensors])):
        twice = sorted({value for value in values if value and values.count(value) > 1})
        problems += [f"The {what} '{value}' is mapped twice; expected once." for value in twice]
    if problems:
        raise DataError(problems, where=path)
    return ImuMapping(
        prefix, sensors, nested=_nested(text), padded=_padded(root),
        commented_out=len(_SENSOR.findall(text)) - len(_SENSOR.findall(kept)),
    )  # fmt: skip


def _root(path: Path, text: str) -> ElementTree.Element:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise DataError("A sensor mapping must not define entities; remove the DOCTYPE.", where=path)
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise DataError(f"Expected a sensor mapping XML; it cannot be parsed: {error}.", where=path) from error


def _text(node: ElementTree.Element | None) -> str:
    return "" if node is None or node.text is None else node.text.strip()


def _nested(text: str) -> int:
    """Return how many comments open while another is open."""
    depth = nested = 0
    for edge in _COMMENT_EDGE.finditer(text):
        nested += edge[0] == "<!--" and depth > 0
        depth = depth + 1 if edge[0] == "<!--" else max(depth - 1, 0)
    return nested


def _padded(root: ElementTree.Element) -> int:
    """Return how many of the prefix, the sensors' names and the frames have white space around them."""
    texts = [node.get("name") or "" for node in root.iter("ExperimentalSensor")]
    texts += [node.text or "" for node in (*root.iter("name_in_model"), *root.iter("trial_prefix"))]
    return sum(text != text.strip() for text in texts)


def without_comments(text: str) -> str:
    """Return XML text without its comments, nested ones included.

    A comment that opens within a comment closes its own; where openings outnumber closings, the first closing ends
    the comment, as XML has it.
    """
    kept, depth, start = [], 0, 0
    for edge in _COMMENT_EDGE.finditer(text):
        if edge[0] == "<!--":
            if depth == 0:
                kept.append(text[start : edge.start()])
            depth += 1
        elif depth > 0:
            depth -= 1
            start = edge.end()
    if depth > 0:
        return re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    return "".join(kept) + text[start:]
