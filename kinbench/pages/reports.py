"""A store's report as a page: pooled checks, problems, another store beside it, then every recording folded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import kinbench
from kinbench.errors import DataError
from kinbench.inspection import Comparison, Finding
from kinbench.inspection.comparison import STORED
from kinbench.pages import motions, overlays
from kinbench.pages.paper import rendered
from kinbench.pages.pictures import Picture
from kinbench.store import Store
from kinbench.verification import Report

MOST_PLOTTED = 6
MOST_LISTED = 200
MOST_TOLD = 100
MOST_WARNED = 20
"""Recordings with plots, recordings with findings, findings or problems in one list, and places of one warning: pages
stay a few MB."""


def report(report: Report, store: Store | None = None, comparison: Comparison | None = None) -> str:
    """Return the page of a report, a whole HTML document.

    ``store`` is read for the plots of at most six recordings, those with most failures first, then one per person;
    ``comparison`` adds what ``inspection.compare`` found. Raises ``UsageError`` where matplotlib is not installed.
    """
    every = _folded(report)
    listed = sorted(every, key=lambda one: -one.counts["FAIL"])[:MOST_LISTED]
    plotted = {} if store is None else _plotted(store, listed)
    shown = [_with_pictures(one, plotted.get(one.name, [])) for one in listed]
    shown.sort(key=lambda one: (not one.pictures, -one.counts["FAIL"]))
    problems, tips = _problems(report), _tips(report)
    contents = [("checks", "Checks, over all recordings")]
    contents += [("problems", "Files and schema")] if problems else []
    contents += [("tips", "Warnings")] if tips else []
    contents += [("against", f"{comparison.this.name} against {comparison.other.name}")] if comparison else []
    contents += [("recordings", "Recordings")]
    return rendered(
        "report.html", title=f"Validation of {report.store}", version=kinbench.__version__, contents=contents,
        report=report, counts=report.counts(), checks=_checks(report),
        problems=problems[:MOST_TOLD], problems_left=max(0, len(problems) - MOST_TOLD),
        tips=tips,
        recordings=shown, listed=_listed(len(every), len(shown), len(plotted)),
        comparison=comparison, **_compared(comparison),
    )  # fmt: skip


# --- checks ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Check:
    """One check over all recordings, in as few words as a row of a table has room for."""

    check: str
    verdict: str
    passed: int
    failed: int
    unassessed: int
    message: str
    where: str


def _checks(report: Report) -> list[_Check]:
    """Return one row per check, what fails first."""
    rows = [
        _Check(
            one.check, one.verdict, one.passed, one.failed, one.not_assessed,
            one.message.partition("; ")[2] + (f"; {one.mend}" if one.mend and one.mend not in one.message else ""),
            _few((*one.recordings, *one.where)),
        )
        for one in report.pooled
    ]  # fmt: skip
    return sorted(rows, key=lambda row: ("FAIL", "PASS", "NOT ASSESSED").index(row.verdict))


def _few(names: Sequence[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


@dataclass(frozen=True)
class _Tip:
    """One of the numbered warnings, and where it warns."""

    number: int
    title: str
    count: int
    places: Sequence[str]


def _tips(report: Report) -> list[_Tip]:
    by_number: dict[tuple[int, str], list[str]] = {}
    for key, tip in report.warnings:
        by_number.setdefault((tip.number, tip.title), []).append(f"{key} {tip.where}: {tip.message}")
    return [
        _Tip(number, title, len(places), places[:MOST_WARNED])
        for (number, title), places in sorted(by_number.items(), key=lambda each: each[0])
    ]


def _problems(report: Report) -> list[str]:
    return [
        *report.damaged,
        *(f"{key}: {reason}" for key, reason in report.unread),
        *(f"{key}: {breach}" for key, breach in report.breaches),
    ]


# --- recordings ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Folded:
    """One recording's findings, and its plots where it has any."""

    name: str
    anchor: str
    verdict: str
    counts: Mapping[str, int]
    told: Sequence[Finding]
    told_left: int
    passed: str
    pictures: Sequence[Picture] = field(default_factory=tuple)


def _folded(report: Report) -> list[_Folded]:
    by_key: dict[str, list[Finding]] = {}
    for key, finding in report.findings:
        by_key.setdefault(key, []).append(finding)
    return [_fold(f"recording-{index}", key, found) for index, (key, found) in enumerate(by_key.items(), start=1)]


def _fold(anchor: str, key: str, found: Sequence[Finding]) -> _Folded:
    counts = {verdict: sum(one.verdict == verdict for one in found) for verdict in ("PASS", "FAIL", "NOT ASSESSED")}
    told = sorted((one for one in found if one.verdict != "PASS"), key=lambda one: one.verdict != "FAIL")
    passed: dict[str, int] = {}
    for one in found:
        if one.verdict == "PASS":
            passed[one.check] = passed.get(one.check, 0) + 1
    verdict = "FAIL" if counts["FAIL"] else "PASS" if counts["PASS"] else "NOT ASSESSED"
    return _Folded(
        key, anchor, verdict, counts, told[:MOST_TOLD], max(0, len(told) - MOST_TOLD),
        ", ".join(check if count == 1 else f"{check} ×{count}" for check, count in passed.items()),
    )  # fmt: skip


def _with_pictures(one: _Folded, pictures: Sequence[Picture]) -> _Folded:
    return _Folded(**{**one.__dict__, "pictures": pictures})


def _plotted(store: Store, listed: Sequence[_Folded]) -> dict[str, list[Picture]]:
    """Return the plots of a few recordings, by name: those that fail first, then one of each person, then more."""
    persons: set[str] = set()
    order: list[tuple[int, int, str]] = []
    for place, one in enumerate(listed):
        person = "/".join(one.name.split("/")[:2])
        rank = 0 if one.counts["FAIL"] else 1 if person not in persons else 2
        persons.add(person)
        order.append((rank, place, one.name))
    found: dict[str, list[Picture]] = {}
    for _, _, name in sorted(order)[:MOST_PLOTTED]:
        try:
            found[name] = motions.pictures_of(store.read(name), name)
        except DataError:
            found[name] = []  # why it cannot be read stands among the problems
    return found


def _listed(every: int, listed: int, plotted: int) -> str:
    if every <= 1:
        return "There is one." if every else "There is none that could be read."
    told = f"Findings of {listed} of {every} recordings are listed" if listed < every else f"All {every} are listed"
    if plotted == every:
        return f"{told}, each with its plots."
    if not plotted:
        return f"{told}."
    return f"{told}; the plots are those of {plotted} of them, those with most failures first, then one of each person."


# --- against another -------------------------------------------------------------------------------------------------


def _compared(comparison: Comparison | None) -> dict[str, Any]:
    if comparison is None:
        return {"steps": [], "not_assessed": [], "overlays": []}
    stored = comparison.at(STORED)
    units = {pair.signal: pair.unit for pair in stored}
    steps = comparison.by_stage().to_dict("records") if comparison.steps else []
    reasons: dict[str, list[str]] = {}
    for pair in stored:
        if pair.reason:
            reasons.setdefault(pair.reason, []).append(f"{pair.segment} {pair.signal} {pair.axis}")
    return {
        "steps": [{**row, "unit": units[row["signal"]]} for row in steps],
        "not_assessed": [(reason, ", ".join(places)) for reason, places in reasons.items()],
        "overlays": list(_overlays(comparison)),
    }


def _overlays(comparison: Comparison) -> Iterator[tuple[str, list[Any], Picture]]:
    for segment, picture in overlays.pictures_of(comparison):
        yield segment, [pair for pair in comparison.at(STORED) if pair.segment == segment], picture
