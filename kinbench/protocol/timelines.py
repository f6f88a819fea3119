"""A person's time, end to end, cut into blocks, with an embargo on both sides of every border (protocols 1, Splits)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

from kinbench.recording import Span, TaskEntry

Group = TypeVar("Group")

BLOCKS: dict[str, tuple[int, int]] = {"A": (0, 20), "B": (20, 40), "C": (40, 80), "D": (80, 100)}
"""The blocks of one activity's timeline, in percent of its valid samples."""


def timelines(entries: Iterable[TaskEntry]) -> dict[str, dict[str, tuple[Span, ...]]]:
    """Return, per person and activity, the valid stretches of that person's recordings in key order, end to end.

    The order of ``entries`` plays no part. Persons stand in the natural order of their first recording.
    """
    found: dict[str, dict[str, list[Span]]] = {}
    for entry in sorted(entries, key=lambda entry: entry.key.sort_key):
        spans = [Span(str(entry.key), start, stop) for start, stop in sorted(entry.runs)]
        if spans:
            found.setdefault(entry.person, {}).setdefault(entry.activity, []).extend(spans)
    return {
        person: {activity: tuple(spans) for activity, spans in activities.items()}
        for person, activities in found.items()
    }


def cut(timeline: Sequence[Span], start: int, stop: int) -> tuple[Span, ...]:
    """Return the part of one timeline from ``start`` to ``stop`` percent of its samples.

    Borders are whole samples, so that parts that meet in percent meet without a gap and without a shared sample.
    """
    total = length(timeline)
    return part(timeline, total * start // 100, total * stop // 100)


def length(spans: Iterable[Span]) -> int:
    """Return how many samples spans hold."""
    return sum(span.stop - span.start for span in spans)


def part(timeline: Sequence[Span], start: int, stop: int) -> tuple[Span, ...]:
    """Return samples [start, stop) of one timeline, counted from its beginning over all of its spans."""
    parts, position = [], 0
    for span in timeline:
        size = span.stop - span.start
        first, last = max(start - position, 0), min(stop - position, size)
        if first < last:
            parts.append(Span(span.key, span.start + first, span.start + last))
        position += size
    return tuple(parts)


def blocks(entries: Iterable[TaskEntry]) -> dict[str, dict[str, tuple[Span, ...]]]:
    """Return, per person, the blocks A, B, C and D, each holding its share of every activity. Without embargo."""
    return {
        person: {
            name: tuple(span for timeline in activities.values() for span in cut(timeline, *percent))
            for name, percent in BLOCKS.items()
        }
        for person, activities in timelines(entries).items()
    }


def embargo(groups: Mapping[Group, Sequence[Span]], samples: Mapping[str, int]) -> dict[Group, tuple[Span, ...]]:
    """Return the groups without what lies within a recording's embargo of a border between two of them.

    ``samples`` maps a recording's key to its embargo in samples. A border lies where spans of two groups follow each
    other in one recording, half-way between them; spans of different groups end up at least two embargoes apart, and
    spans of one group are never parted.
    """
    zones = _zones(groups, samples)
    return {
        group: tuple(part for span in spans for part in _without(span, zones[span.key]))
        for group, spans in groups.items()
    }


def _zones(groups: Mapping[Group, Sequence[Span]], samples: Mapping[str, int]) -> dict[str, list[tuple[int, int]]]:
    by_key: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for number, spans in enumerate(groups.values()):
        for span in spans:
            by_key[span.key].append((span.start, span.stop, number))
    zones: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for key, parts in by_key.items():
        parts.sort()
        for (_, stop, group), (start, _, other) in pairwise(parts):
            if group != other:
                border = (stop + start) // 2
                zones[key].append((border - samples[key], border + samples[key]))
    return zones


def _without(span: Span, zones: Sequence[tuple[int, int]]) -> list[Span]:
    parts = [(span.start, span.stop)]
    for low, high in zones:
        parts = [
            piece
            for start, stop in parts
            for piece in ((start, min(stop, low)), (max(start, high), stop))
            if piece[0] < piece[1]
        ]
    return [Span(span.key, start, stop) for start, stop in parts]


def windows_in(spans: Iterable[Span], window: int, stride: int, least: int | None = None) -> int:
    """Return how many windows, ``stride`` samples apart, the spans hold: whole ones, and one of each shorter span that
    has ``least`` samples, where that is said.
    """
    sizes = [span.stop - span.start for span in spans]
    return sum(max(size - window, 0) // stride + 1 for size in sizes if size >= (window if least is None else least))
